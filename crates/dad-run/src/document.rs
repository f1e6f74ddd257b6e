//! JSON documents of a run directory: writing them whole, and checking their versions.

use std::path::Path;

use dad_core::{ArtifactRef, Digest};
use dad_fs::{Dir, Durability};
use serde::Serialize;
use serde_json::Value;

use crate::error::RunError;

/// JSON as it stands in files: indented by two spaces, with a final line feed.
pub(crate) fn to_file_text(name: &str, value: &impl Serialize) -> Result<Vec<u8>, RunError> {
    // A result of a step with little in it is about this long.
    let mut text = Vec::with_capacity(1024);
    serde_json::to_writer_pretty(&mut text, value).map_err(|e| RunError::unreadable(name, e))?;
    text.push(b'\n');
    Ok(text)
}

/// Gives a file new content, complete or not at all.
pub(crate) fn write_json(
    dir: &Dir,
    name: &str,
    value: &impl Serialize,
    durability: Durability,
) -> Result<(), RunError> {
    Ok(dir.replace(name, &to_file_text(name, value)?, durability)?)
}

/// As [`write_json`] in a directory in which commands may keep files: the temporary file is made in `.run`.
pub(crate) fn write_json_beside_others(
    dir: &Dir,
    dot_run: &Dir,
    name: &str,
    value: &impl Serialize,
    durability: Durability,
) -> Result<(), RunError> {
    Ok(dir.replace_staged_in(dot_run, name, &to_file_text(name, value)?, durability)?)
}

/// Writes a new file into a directory that has no readers yet.
pub(crate) fn write_new_json(
    dir: &Dir,
    name: &str,
    value: &impl Serialize,
    durability: Durability,
) -> Result<ArtifactRef, RunError> {
    let text = to_file_text(name, value)?;
    dir.write_new(name, &text, durability)?;
    Ok(ArtifactRef::new(
        name.to_owned(),
        text.len() as u64,
        Digest::of(&text),
    ))
}

/// A document of a run directory that says its version beside the fields of something else.
#[derive(Serialize)]
pub(crate) struct Versioned<T> {
    schema_version: u32,
    #[serde(flatten)]
    content: T,
}

impl<T> Versioned<T> {
    pub(crate) const fn new(schema_version: u32, content: T) -> Self {
        Self {
            schema_version,
            content,
        }
    }
}

/// Refuses a document of a newer version, and one whose version is none.
pub(crate) fn check_version(version: &Value, path: &Path, supported: u32) -> Result<(), RunError> {
    let found = version.as_u64().and_then(|version| u32::try_from(version).ok());
    match found {
        Some(found @ 1..) if found <= supported => Ok(()),
        Some(found @ 1..) => Err(RunError::NewerVersion {
            path: path.into(),
            found,
            supported,
        }),
        _ => Err(RunError::unreadable(
            path,
            format!("`schema_version` must be {supported}"),
        )),
    }
}
