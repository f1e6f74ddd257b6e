use std::path::Path;

use dad_core::{Clean, Digest, Timestamp};
use dad_fs::Dir;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::RunError;
use crate::format;

/// One line of `memo.jsonl`: a paid or effectful exchange inside a step. It is also the format of cassettes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoLine {
    /// Version of the format.
    pub schema_version: u32,
    /// What kind of exchange, such as `model_call`.
    pub name: String,
    /// Its number among those of its name in the step, from 1.
    pub number: u32,
    /// When it finished.
    pub at: Timestamp,
    /// Digest of the request's canonical JSON.
    pub request_digest: Digest,
    /// What was asked.
    pub request: Value,
    /// What came back.
    pub response: Value,
    /// Whether what it took stands in an earlier record of the step, which was cancelled and gone on with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_counted: bool,
}

impl MemoLine {
    /// A line of the present format. The digest is that of the request itself, before secrets in it were masked.
    #[must_use]
    pub fn new(
        (name, number): (&str, u32),
        request_digest: Digest,
        request: Clean<Value>,
        response: Clean<Value>,
        at: Timestamp,
    ) -> Self {
        Self {
            schema_version: format::MEMO,
            name: name.to_owned(),
            number,
            at,
            request_digest,
            request: request.into_inner(),
            response: response.into_inner(),
            is_counted: false,
        }
    }

    /// Reads the lines of a file; a last line that was cut off is left out.
    ///
    /// # Errors
    /// If the file cannot be read, or a whole line is no memo.
    pub fn read_file(path: &Path) -> Result<Vec<Self>, RunError> {
        let (parent, name) = (path.parent(), path.file_name());
        let (Some(parent), Some(name)) = (parent, name) else {
            return Err(RunError::unreadable(path, "it is not the path of a file"));
        };
        Self::parse(path, Dir::open(parent)?.read(name)?)
    }

    /// As [`read_file`](Self::read_file) for a file below a directory; no lines if it is missing.
    pub(crate) fn read_in(dir: &Dir, name: &Path) -> Result<Vec<Self>, RunError> {
        match dir.read_optional(name)? {
            Some(bytes) => Self::parse(&dir.path().join(name), bytes),
            None => Ok(Vec::new()),
        }
    }

    fn parse(path: &Path, bytes: Vec<u8>) -> Result<Vec<Self>, RunError> {
        let text = String::from_utf8(bytes).map_err(|e| RunError::unreadable(path, e))?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().enumerate().filter(|(_, line)| !line.is_empty());
        let parse = |(index, line): (usize, &str)| {
            serde_json::from_str(line)
                .map_err(|e| RunError::unreadable(path, format!("line {}: {e}", index + 1)))
        };
        lines.map(parse).collect()
    }
}
