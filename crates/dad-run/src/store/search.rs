//! Searching runs for a text: the prompts, answers, inputs, outcomes and printed output of their steps, outputs and notes.
//!
//! Each file is looked through as bytes first. Only one that holds the text is taken apart, to tell its place.

use aho_corasick::{AhoCorasick, BuildError};
use dad_core::{HierarchyPath, RunId, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::error::RunError;
use crate::journal::step_committed::StepCommitted;
use crate::layout::{MEMO, RESULT, STDERR, STDOUT};
use crate::parallel::in_parallel;
use crate::rerun::value_path;
use crate::store::labels::Labels;
use crate::store::original::OriginalRun;
use crate::store::run_entry::{RunEntry, Unreadable};
use crate::store::view::RunView;

/// The parts of a result that are searched.
const PARTS: [&str; 4] = ["outcome", "settings", "input", "error"];
/// The characters of an excerpt before and behind the text.
const AROUND: usize = 40;
/// The largest number of places that are reported of one step.
const MOST: usize = 20;

/// A text that is searched for. Upper and lower case of ASCII letters are the same.
#[derive(Clone, Debug)]
pub struct SearchText {
    plain: AhoCorasick,
    /// The text as it stands in JSON.
    in_json: AhoCorasick,
}

/// Why a text cannot be searched for.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be searched for: {reason}", if text.is_empty() { "the text".to_owned() } else { format!("`{text}`") })]
#[non_exhaustive]
pub struct SearchTextError {
    /// The text.
    pub text: String,
    /// The reason.
    pub reason: String,
}

impl SearchText {
    /// The text as it is; no part of it is a pattern.
    ///
    /// # Errors
    /// If it is empty or extremely long.
    pub fn new(text: &str) -> Result<Self, SearchTextError> {
        let refused = |reason: String| SearchTextError {
            text: text.to_owned(),
            reason,
        };
        if text.is_empty() {
            return Err(refused("it is empty".to_owned()));
        }
        let quoted = Value::from(text).to_string();
        let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
        let find = |text: &str| -> Result<AhoCorasick, BuildError> {
            AhoCorasick::builder().ascii_case_insensitive(true).build([text])
        };
        let failed = |error: BuildError| refused(error.to_string());
        Ok(Self {
            plain: find(text).map_err(failed)?,
            in_json: find(inner).map_err(failed)?,
        })
    }
}

/// The findings of a search.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct SearchFindings {
    /// The runs that hold the text, in the order in which they were given.
    pub runs: Vec<FoundRun>,
    /// The runs that were not, or not wholly, searched.
    pub unreadable: Vec<Unreadable>,
}

/// A run that holds a text.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FoundRun {
    /// The run.
    pub run_id: RunId,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// The places of the text in it.
    pub found: Vec<FoundText>,
}

/// A place that holds a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FoundText {
    /// The step; `None` for the output and the note of the run.
    pub path: Option<HierarchyPath>,
    /// The place in its result, such as `outcome.text`, or the name of its file; of a run `output` with the place in it, or `note`.
    pub place: String,
    /// Some of the text before.
    pub before: String,
    /// The text as it stands there.
    pub text: String,
    /// Some of the text behind.
    pub behind: String,
}

/// Searches runs for a text, several at the same time.
#[must_use]
pub fn search_runs(runs: &[RunEntry], text: &SearchText) -> SearchFindings {
    let all = in_parallel(runs, |run| {
        let mut problems = Vec::new();
        let found = search_run(run, text, &mut problems);
        (found, problems)
    });
    let mut findings = SearchFindings::default();
    for (run, (found, problems)) in runs.iter().zip(all) {
        if !found.is_empty() {
            findings.runs.push(FoundRun {
                run_id: run.run_id.clone(),
                created_at: run.created_at,
                found,
            });
        }
        let unreadable = problems.into_iter().map(|problem| Unreadable {
            dir: run.dir.clone(),
            reason: problem.to_info().message,
        });
        findings.unreadable.extend(unreadable);
    }
    findings
}

fn search_run(run: &RunEntry, text: &SearchText, problems: &mut Vec<RunError>) -> Vec<FoundText> {
    let view = if run.is_original {
        let original = OriginalRun::open(run.clone());
        original.and_then(|original| match original {
            Some(original) => original.view(),
            None => RunView::open(&run.dir),
        })
    } else {
        RunView::open(&run.dir)
    };
    let view = match view {
        Ok(view) => view,
        Err(error) => {
            problems.push(error);
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for step in view.steps() {
        if let Err(error) = view.search_step(step, text, &mut found) {
            problems.push(error);
        }
    }
    match view.output() {
        Ok(output) => {
            let output = output.unwrap_or_default();
            let mut hits = Hits::new(None, text, &mut found);
            hits.in_value(&output, "output".to_owned());
        }
        Err(error) => problems.push(error),
    }
    // Labels that cannot be read are shown with the run.
    let note = Labels::read(&run.dir).ok().and_then(|labels| labels.note);
    if let Some(note) = note {
        Hits::new(None, text, &mut found).in_text(&note, "note".to_owned());
    }
    found
}

impl RunView {
    /// Searches the recorded files of a step. Exchanges and logs repeat the result: they are searched only if that does not hold the text.
    fn search_step(
        &self,
        step: &StepCommitted,
        text: &SearchText,
        found: &mut Vec<FoundText>,
    ) -> Result<(), RunError> {
        let mut hits = Hits::new(Some(&step.path), text, found);
        if let Some(bytes) = self.holding(&step.path, RESULT, &text.in_json)? {
            let name = step.path.to_relative_dir().join(RESULT);
            let result: Value = serde_json::from_slice(&bytes)
                .map_err(|error| RunError::unreadable(self.dir().join(name), error))?;
            for part in PARTS {
                hits.in_value(&result[part], part.to_owned());
            }
        }
        if hits.count > 0 {
            return Ok(());
        }
        for (file, holds) in [
            (MEMO, &text.in_json),
            (STDOUT, &text.plain),
            (STDERR, &text.plain),
        ] {
            if let Some(bytes) = self.holding(&step.path, file, holds)? {
                let content = String::from_utf8_lossy(&bytes);
                for line in content.lines().filter(|line| holds.is_match(*line)) {
                    match serde_json::from_str::<Value>(line).ok().filter(|_| file == MEMO) {
                        Some(exchange) => {
                            hits.in_exchange(&exchange["request"]);
                            hits.in_exchange(&exchange["response"]);
                        }
                        None => hits.in_text(line, file.to_owned()),
                    }
                }
            }
        }
        Ok(())
    }

    /// A recorded file of a step, if it holds a text.
    fn holding(
        &self,
        step: &HierarchyPath,
        name: &str,
        text: &AhoCorasick,
    ) -> Result<Option<Vec<u8>>, RunError> {
        let bytes = self.recorded_file(step, name)?;
        Ok(bytes.filter(|bytes| text.is_match(bytes)))
    }
}

/// The places of a text in one step or run.
struct Hits<'a> {
    path: Option<&'a HierarchyPath>,
    text: &'a SearchText,
    found: &'a mut Vec<FoundText>,
    count: usize,
}

impl<'a> Hits<'a> {
    fn new(path: Option<&'a HierarchyPath>, text: &'a SearchText, found: &'a mut Vec<FoundText>) -> Self {
        Self {
            path,
            text,
            found,
            count: 0,
        }
    }

    fn in_text(&mut self, content: &str, place: String) {
        let Some(hit) = self.text.plain.find(content).filter(|_| self.count < MOST) else {
            return;
        };
        self.count += 1;
        let (before, rest) = content.split_at(hit.start());
        let (text, behind) = rest.split_at(hit.end() - hit.start());
        let cut = before
            .char_indices()
            .rev()
            .nth(AROUND - 1)
            .map_or(0, |(at, _)| at);
        self.found.push(FoundText {
            path: self.path.cloned(),
            place,
            before: before[cut..].to_owned(),
            text: text.to_owned(),
            behind: behind.chars().take(AROUND).collect(),
        });
    }

    fn in_value(&mut self, value: &Value, place: String) {
        match value {
            Value::String(content) => self.in_text(content, place),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.in_value(item, format!("{place}[{index}]"));
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.in_value(value, format!("{place}{}", value_path::step_to(name)));
                }
            }
            _ => {}
        }
    }

    /// Texts of an exchange, all at the name of their file: one that a conversation repeats counts once.
    fn in_exchange(&mut self, value: &Value) {
        match value {
            Value::String(content) => {
                let before = self.found.len();
                self.in_text(content, MEMO.to_owned());
                if let Some(last) = self.found.get(before).cloned()
                    && self.found[..before].contains(&last)
                {
                    self.found.pop();
                    self.count -= 1;
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.in_exchange(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.in_exchange(field)),
            _ => {}
        }
    }
}
