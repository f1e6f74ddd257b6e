//! The memo of a step: exchanges that were paid for or had an effect, one per line, signed by the driver.

use std::path::Path;

use blake3::Hasher;
use dad_core::{Clean, Digest, HierarchyPath, RunId, Timestamp};
use dad_fs::Dir;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::RunError;
use crate::format;
use crate::journal::chain::{END, MAC_FIELD, Mac, append, digits, split};
use crate::origin_key::OriginKey;

/// One line of `memo.jsonl`: a paid or effectful exchange inside a step. It is also the format of cassettes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemoLine {
    /// Version of the format.
    pub schema_version: u32,
    /// The kind of exchange, such as `model_call`.
    pub name: String,
    /// Its number among those of its name in the step, from 1.
    pub number: u32,
    /// When it finished.
    pub at: Timestamp,
    /// Digest of the request's canonical JSON.
    pub request_digest: Digest,
    /// The request.
    pub request: Value,
    /// The response.
    pub response: Value,
    /// Whether what it took stands in an earlier record of the step, which was cancelled and continued.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_counted: bool,
}

impl MemoLine {
    /// A line of the present format. The digest is that of the request itself, before secrets in it were masked.
    #[must_use]
    pub fn new(
        name: &str,
        number: u32,
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

    /// As [`read_file`](Self::read_file) for a file below a directory; no lines if it is missing. With a seal, those lines that
    /// a driver with its key wrote: an exchange that is not certain is made again.
    pub(crate) fn read_in(
        dir: &Dir,
        name: &Path,
        seal: Option<&MemoSeal>,
        step: &HierarchyPath,
    ) -> Result<Vec<Self>, RunError> {
        let Some(mut bytes) = dir.read_optional(name)? else {
            return Ok(Vec::new());
        };
        let path = dir.path().join(name);
        if let Some(seal) = seal {
            let lines = bytes.split_inclusive(|byte| *byte == b'\n');
            let is_whole = |line: &&[u8]| line.ends_with(b"\n");
            let (sealed, others): (Vec<_>, Vec<_>) =
                lines.filter(is_whole).partition(|line| seal.is_on(step, line));
            if !others.is_empty() {
                let path = path.display();
                tracing::warn!(
                    "{} exchanges in `{path}` were not written with your key, and are made again",
                    others.len()
                );
            }
            bytes = sealed.concat();
        }
        Self::parse(&path, bytes)
    }

    pub(crate) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Vec<Self>, RunError> {
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

/// The seal of memos of one run. A line ends with `"mac"`: the first 16 bytes of keyed blake3 over the id of the
/// run, the path of the step and the line without it.
#[derive(Clone)]
pub(crate) struct MemoSeal {
    key: [u8; 32],
    run_id: RunId,
}

impl MemoSeal {
    pub(crate) fn new(key: &OriginKey, run_id: &RunId) -> Self {
        Self {
            key: key.memo_key(),
            run_id: run_id.clone(),
        }
    }

    /// Signs a line, a JSON object.
    pub(crate) fn put_on(&self, step: &HierarchyPath, line: &mut Vec<u8>) {
        let mac = self.mac(step, &[line]);
        append(line, MAC_FIELD, &mac);
    }

    /// Whether a line, with its line feed, is signed.
    fn is_on(&self, step: &HierarchyPath, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\n").and_then(|line| line.strip_suffix(END));
        let split: Option<(&[u8], Mac)> = line.and_then(|line| split(line, MAC_FIELD));
        split.is_some_and(|(line, mac)| self.mac(step, &[line, b"}"]) == mac)
    }

    fn mac(&self, step: &HierarchyPath, line: &[&[u8]]) -> Mac {
        let mut hasher = Hasher::new_keyed(&self.key);
        for part in [self.run_id.as_str(), "\n", step.as_str(), "\n"] {
            hasher.update(part.as_bytes());
        }
        for part in line {
            hasher.update(part);
        }
        digits(&hasher.finalize())
    }
}
