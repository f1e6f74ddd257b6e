//! The list of what an analysis leaves out, with the rule that says so.

use super::patterns::Why;
use super::place::Ground;
use super::settings::FolderAnalysisOperation;
use crate::folder_analyzer::FolderAnalysisResult;
use serde_json::{Map, Value};
use std::path::Path;

/// The number of left-out entries that one operation lists.
const MAX_IGNORED: usize = 1000;

/// The left-out entries, as far as the result lists them.
#[derive(Default)]
pub(super) struct Ignored {
    pub(super) reported: Vec<Value>,
    pub(super) count: usize,
}

impl Ignored {
    /// A list, if the operation asks for one.
    pub(super) fn wanted(operation: &FolderAnalysisOperation) -> Option<Self> {
        operation.why_ignored.unwrap_or(false).then(Self::default)
    }

    pub(super) fn add(&mut self, ground: &Ground, path: &Path, with_root: bool, why: &Why) {
        self.count += 1;
        if self.reported.len() < MAX_IGNORED {
            let mut reported = Map::new();
            reported.insert("path".into(), ground.shown(path, with_root).0.into());
            reported.extend(why.reported(ground));
            self.reported.push(reported.into());
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.count += other.count;
        self.reported.extend(other.reported);
        self.reported.truncate(MAX_IGNORED);
    }

    pub(super) fn fill(self, result: &mut FolderAnalysisResult) {
        if self.count > self.reported.len() {
            result.ignored_count = Some(self.count as u64);
        }
        result.why_ignored = Some(self.reported);
    }
}
