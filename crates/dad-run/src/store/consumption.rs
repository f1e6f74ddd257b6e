//! The consumption of the steps of a run, record by record.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use dad_core::{HierarchyPath, Timestamp, Usage};
use dad_fs::Dir;

use crate::error::RunError;
use crate::files::{RunFiles, in_dot_run};
use crate::journal::reader::read_journal;
use crate::journal::record::RecordBody;
use crate::journal::step_committed::StepCommitted;
use crate::journal::values::load_artifacts;
use crate::layout::{ATTEMPTS, MEMO};
use crate::store::artifacts::read_artifact;

/// The consumption that one record of a run states: that of a step that ended, or of an attempt that failed. A result that was taken
/// from another run consumed nothing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Consumption {
    /// The step.
    pub path: HierarchyPath,
    /// When it was recorded.
    pub at: Timestamp,
    /// The consumption, cost included.
    pub usage: Usage,
    /// The lines of the exchanges that the step made, if they were asked for; empty where they are missing, or are not the recorded
    /// ones.
    pub exchanges: Vec<u8>,
}

impl Consumption {
    /// Gives the consumption of a run, record by record in their order. The exchanges are read of those whose usage wants them.
    ///
    /// # Errors
    /// What is wrong with the journal, by line.
    pub fn read_each(
        run_dir: &Path,
        wants_exchanges: impl Fn(&Usage) -> bool,
        mut each: impl FnMut(Self),
    ) -> Result<(), RunError> {
        let dir = Dir::open(run_dir)?;
        let mut begun: HashMap<HierarchyPath, u64> = HashMap::new();
        read_journal(&dir, None, |record| {
            let (path, usage, step) = match record.body {
                RecordBody::StepStarted { path, .. } => {
                    begun.insert(path, record.seq);
                    return Ok(());
                }
                RecordBody::AttemptFailed { path, usage, .. } => (path, usage, None),
                RecordBody::StepCommitted(step) => (step.path.clone(), step.full_usage(), Some(step)),
                _ => return Ok(()),
            };
            let seq = begun.remove(&path);
            if !usage.is_zero() {
                let wanted = wants_exchanges(&usage);
                let exchanges = wanted.then(|| exchanges(&dir, &path, seq, step.as_deref()));
                each(Self {
                    path,
                    at: record.at,
                    usage,
                    exchanges: exchanges.flatten().unwrap_or_default(),
                });
            }
            Ok(())
        })
        .map(drop)
    }
}

/// The exchanges of an attempt: where it left them, or in the directory of the step that it ended.
fn exchanges(
    dir: &Dir,
    path: &HierarchyPath,
    seq: Option<u64>,
    step: Option<&StepCommitted>,
) -> Option<Vec<u8>> {
    let files: &dyn RunFiles = dir;
    let left: Option<PathBuf> = seq.map(|seq| in_dot_run(ATTEMPTS).join(seq.to_string()));
    let left = left.and_then(|left| files.read_optional(&left.join(MEMO)).ok().flatten());
    left.or_else(|| {
        let artifacts = load_artifacts(files, &step?.artifacts).ok()?;
        let memo = artifacts.iter().find(|artifact| artifact.name == MEMO)?;
        read_artifact((files, &path.to_relative_dir()), memo).ok()
    })
}
