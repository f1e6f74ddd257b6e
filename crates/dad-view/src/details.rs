//! The part of the page about one step: its result, conversation, changes and files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dad_core::HierarchyPath;
use dad_nodes::{FileDiff, file_diffs};
use dad_project::{ProjectRun, Transcript};
use dad_run::{RunError, StepAttempt, StepCommitted, layout};
use serde::Serialize;
use serde_json::Value;

/// The pictures that a browser shows without executing anything.
const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// Files whose content stands elsewhere in the page.
const SHOWN_ELSEWHERE: [&str; 3] = [layout::RESULT, layout::OUTCOME, layout::MEMO];

/// The largest number of limits that the exchanges of a step are read to: a conversation is shorter than they, for each of them
/// repeats the ones before.
const REPEATED: u64 = 32;

/// The longest parts of a step that the page holds, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Its result, its conversation, and its changes.
    pub(crate) part: u64,
    /// Each of its files.
    pub(crate) file: u64,
}

/// A step as the page shows it.
#[derive(Debug, Serialize)]
pub(crate) struct StepDetails {
    path: HierarchyPath,
    /// Why it was executed or reused, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Shown<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<Shown<Transcript>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Shown<Vec<Change>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<File>,
}

/// A part of a step, or the reason for which the page does not have it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Shown<T> {
    /// The part.
    Value(T),
    /// Its length in bytes, which is above the limit.
    TooLong(u64),
    /// The error that reading it gave.
    Unreadable(String),
}

#[derive(Debug, Serialize)]
struct Change {
    path: String,
    diff: String,
}

#[derive(Debug, Serialize)]
struct File {
    name: String,
    len: u64,
    /// `None` of a file that the page shows as something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Shown<Content>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Content {
    Text(String),
    /// The address of a picture, with its content.
    Picture(String),
    /// Neither text nor a picture.
    Binary(()),
}

impl StepDetails {
    /// Reads a step. A part that is damaged or above the limit is a line in the page, not its end.
    pub(crate) fn of(
        run: &ProjectRun,
        path: &HierarchyPath,
        attempts: Vec<StepAttempt>,
        limits: Limits,
    ) -> Self {
        let view = run.view();
        let limit = limits.part;
        let step = view.step(path);
        let begun = attempts.last().and_then(|attempt| attempt.reason.as_ref());
        let because = step.and_then(|step| step.reason.as_ref()).or(begun);
        Self {
            path: path.clone(),
            because: because.map(ToString::to_string),
            result: result(run, step, limit),
            transcript: transcript(run, path, step, attempts, limit),
            changes: changes(run, step, limit),
            files: files(run, step, limits.file),
        }
    }
}

fn result(run: &ProjectRun, step: Option<&StepCommitted>, limit: u64) -> Option<Shown<Value>> {
    let step = step.filter(|step| step.has_files())?;
    if let Some(len) = recorded_len(run, step, layout::RESULT).filter(|len| *len > limit) {
        return Some(Shown::TooLong(len));
    }
    Some(match run.view().result_bytes(&step.path) {
        Ok(bytes) => {
            let bytes = bytes?;
            match serde_json::from_slice(&bytes) {
                Ok(value) => Shown::Value(value),
                Err(error) => Shown::Unreadable(error.to_string()),
            }
        }
        Err(error) => unreadable(&error),
    })
}

/// The recorded length of a file of a step.
fn recorded_len(run: &ProjectRun, step: &StepCommitted, name: &str) -> Option<u64> {
    let artifacts = run.view().artifacts(step).ok()?;
    let file = artifacts.into_iter().find(|artifact| artifact.name == name)?;
    Some(file.len)
}

fn transcript(
    run: &ProjectRun,
    path: &HierarchyPath,
    step: Option<&StepCommitted>,
    attempts: Vec<StepAttempt>,
    limit: u64,
) -> Option<Shown<Transcript>> {
    let memo = step.and_then(|step| recorded_len(run, step, layout::MEMO));
    if let Some(len) = memo.filter(|len| *len > limit.saturating_mul(REPEATED)) {
        return Some(Shown::TooLong(len));
    }
    let is_single = attempts.len() < 2;
    Some(match run.transcript_of(path.clone(), attempts) {
        Ok(transcript) => {
            let is_silent = transcript.attempts.iter().all(|attempt| attempt.turns.is_empty());
            if is_single && is_silent {
                // The result says all of it.
                return None;
            }
            within(limit, transcript)
        }
        Err(error) => Shown::Unreadable(error.to_string()),
    })
}

fn changes(run: &ProjectRun, step: Option<&StepCommitted>, limit: u64) -> Option<Shown<Vec<Change>>> {
    let diffs = match file_diffs(run.view(), &step?.path) {
        Ok(diffs) => diffs,
        Err(error) => return Some(unreadable(&error)),
    };
    let change = |FileDiff { path, diff, .. }| Change { path, diff };
    let changes: Vec<Change> = diffs.into_iter().map(change).collect();
    (!changes.is_empty()).then(|| within(limit, changes))
}

/// A value, unless its JSON is longer than the limit.
fn within<T: Serialize>(limit: u64, value: T) -> Shown<T> {
    let len = serde_json::to_vec(&value).map_or(u64::MAX, |json| json.len() as u64);
    if len > limit {
        Shown::TooLong(len)
    } else {
        Shown::Value(value)
    }
}

fn files(run: &ProjectRun, step: Option<&StepCommitted>, limit: u64) -> Vec<File> {
    let Some(step) = step else { return Vec::new() };
    let artifacts = match run.view().artifacts(step) {
        Ok(artifacts) => artifacts,
        Err(error) => {
            return vec![File {
                name: "the list of its files".to_owned(),
                len: 0,
                content: Some(unreadable(&error)),
            }];
        }
    };
    let in_changes = format!("{}/", layout::FILE_CHANGES);
    let file = |artifact: dad_core::ArtifactRef| {
        let is_elsewhere =
            SHOWN_ELSEWHERE.contains(&&*artifact.name) || artifact.name.starts_with(&in_changes);
        let content = match artifact.len {
            _ if is_elsewhere => None,
            len if len > limit => Some(Shown::TooLong(len)),
            _ => match run.view().recorded_file(&step.path, &artifact.name) {
                Ok(bytes) => bytes.map(|bytes| Shown::Value(content(bytes))),
                Err(error) => Some(unreadable(&error)),
            },
        };
        File {
            name: artifact.name,
            len: artifact.len,
            content,
        }
    };
    artifacts.into_iter().map(file).collect()
}

/// The content of a file by what its bytes are, whatever its name says.
fn content(bytes: Vec<u8>) -> Content {
    let kind = infer::get(&bytes).map(|kind| kind.mime_type());
    if let Some(kind) = kind.filter(|kind| PICTURES.contains(kind)) {
        return Content::Picture(format!("data:{kind};base64,{}", STANDARD.encode(&bytes)));
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Content::Text(text),
        _ => Content::Binary(()),
    }
}

fn unreadable<T>(error: &RunError) -> Shown<T> {
    Shown::Unreadable(error.to_info().message)
}
