//! Writing and reading fields that are too long for a line of the journal.

use dad_fs::{Dir, Durability};
use serde_json::Value;

use crate::error::RunError;
use crate::files::{RunFiles, in_dot_run};
use crate::journal::stored::{ArtifactList, StoredRef, StoredValue};
use crate::layout::VALUES;

/// Fields above this length, in bytes of JSON, are kept outside the journal.
const INLINE_LIMIT: usize = 4096;

/// A value for a record: itself, or the name of the file it was written to.
pub(crate) fn store_value(
    dot_run: &Dir,
    value: Value,
    durability: Durability,
) -> Result<StoredValue, RunError> {
    let text = value.to_string();
    if text.len() <= INLINE_LIMIT {
        return Ok(StoredValue::Value(value));
    }
    Ok(StoredValue::Stored(store_bytes(
        dot_run,
        text.as_bytes(),
        durability,
    )?))
}

/// A text for people, in a file of its own.
pub(crate) fn store_text(dot_run: &Dir, text: &str, durability: Durability) -> Result<StoredRef, RunError> {
    let stored = StoredRef::of(text.as_bytes());
    publish(dot_run, &stored.text_file_name(), text.as_bytes(), durability)?;
    Ok(stored)
}

/// A list of artifacts for a record.
pub(crate) fn store_artifacts(
    dot_run: &Dir,
    list: ArtifactList,
    durability: Durability,
) -> Result<ArtifactList, RunError> {
    // A name and a digest take about 150 bytes, so 200 of them leave half a record for the rest.
    const MANY: usize = 200;
    match list {
        ArtifactList::Inline(artifacts) if artifacts.len() > MANY => {
            let text = serde_json::to_vec(&artifacts).map_err(|e| RunError::unreadable(VALUES, e))?;
            Ok(ArtifactList::Stored {
                stored: store_bytes(dot_run, &text, durability)?,
            })
        }
        list => Ok(list),
    }
}

fn store_bytes(dot_run: &Dir, bytes: &[u8], durability: Durability) -> Result<StoredRef, RunError> {
    let stored = StoredRef::of(bytes);
    publish(dot_run, &stored.file_name(), bytes, durability)?;
    Ok(stored)
}

fn publish(dot_run: &Dir, name: &str, bytes: &[u8], durability: Durability) -> Result<(), RunError> {
    let values = dot_run.create_dir_all(VALUES)?;
    // The name is the content's digest: if the file exists it is the same file.
    values.publish(name, bytes, durability)?;
    if durability == Durability::Disk {
        // Each time, because the process that made the directory may not have synced it yet.
        dot_run.sync()?;
    }
    Ok(())
}

/// Reads a value of a record back.
pub(crate) fn load_value(run: &dyn RunFiles, value: &StoredValue) -> Result<Value, RunError> {
    match value {
        StoredValue::Value(value) => Ok(value.clone()),
        StoredValue::Stored(stored) => load_stored(run, stored),
    }
}

/// Reads a list of artifacts of a record back.
pub(crate) fn load_artifacts(
    run: &dyn RunFiles,
    list: &ArtifactList,
) -> Result<Vec<dad_core::ArtifactRef>, RunError> {
    match list {
        ArtifactList::Inline(artifacts) => Ok(artifacts.clone()),
        ArtifactList::Stored { stored } => load_stored(run, stored),
    }
}

fn load_stored<T: serde::de::DeserializeOwned>(
    run: &dyn RunFiles,
    stored: &StoredRef,
) -> Result<T, RunError> {
    let name = in_dot_run(VALUES).join(stored.file_name());
    let bytes = run.read_recorded(&name, stored.blake3)?;
    serde_json::from_slice(&bytes).map_err(|e| RunError::unreadable(run.path_of(&name), e))
}
