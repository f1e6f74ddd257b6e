//! A run and its tree as one JSON document.

use std::path::Path;

use dad_core::{ElementId, ErrorInfo, RunId, RunStatus, Timestamp};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::journal::state::OpenQuestion;
use crate::journal::step_committed::Totals;
use crate::store::labels::Labels;
use crate::store::view::RunView;

/// A run as `dhenara runs show --json` prints it, without its version. Its steps are written one by one, for there may be very many.
#[derive(Debug, Serialize)]
pub struct RunDocument<'a> {
    run_id: &'a RunId,
    run_dir: &'a Path,
    root_id: &'a ElementId,
    status: RunStatus,
    error: &'a Option<ErrorInfo>,
    parent: &'a Option<RunId>,
    created_at: Timestamp,
    last_record_at: Timestamp,
    totals: Totals,
    torn: bool,
    labels: Labels,
    open_questions: Vec<&'a OpenQuestion>,
    #[serde(serialize_with = "entries")]
    steps: &'a RunView,
}

fn entries<S: Serializer>(view: &RunView, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(view.entries().map(|(path, entry)| {
        let mut value = json!({ "path": path });
        if let (Some(fields), Value::Object(more)) = (value.as_object_mut(), json!(entry)) {
            fields.extend(more);
        }
        value
    }))
}

impl RunView {
    /// The run and its tree, to be written as JSON. Labels that cannot be read count as none.
    #[must_use]
    pub fn document(&self) -> RunDocument<'_> {
        RunDocument {
            run_id: &self.run_id,
            run_dir: self.dir(),
            root_id: &self.root_id,
            status: self.status,
            error: &self.error,
            parent: &self.parent,
            created_at: self.created_at,
            last_record_at: self.last_record_at,
            totals: self.totals,
            torn: self.torn,
            labels: Labels::read(self.dir()).unwrap_or_default(),
            open_questions: self.open_questions().collect(),
            steps: self,
        }
    }
}
