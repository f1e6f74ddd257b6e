//! The mark of a run that was imported.

use dad_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::files::{RunFiles, in_dot_run};
use crate::layout::IMPORTED;

/// The content of `.run/imported.json`: the run is another user's as long as its journal has no more records.
#[derive(Serialize, Deserialize)]
pub(crate) struct Imported {
    pub(crate) at: Timestamp,
    pub(crate) records: u64,
}

/// Whether a run was imported, and no driver of this user has continued it since: that it trusts the run is the first record that
/// such a driver writes.
pub(crate) fn is_only_imported(files: &dyn RunFiles, records: u64) -> Result<bool, RunError> {
    let Some(bytes) = files.read_optional(&in_dot_run(IMPORTED))? else {
        return Ok(false);
    };
    // One that cannot be read is no reason to trust the run.
    let imported = serde_json::from_slice::<Imported>(&bytes).ok();
    Ok(imported.is_none_or(|imported| records <= imported.records))
}
