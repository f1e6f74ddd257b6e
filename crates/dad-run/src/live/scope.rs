//! The variables of a run that all templates see.

use std::ops::Range;
use std::sync::Arc;

use dad_definition::SpanMap;
use serde_json::{Map, Value};

use crate::journal::place::RunPlace;

/// The variables of a run that templates of every step can see.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RunScope {
    /// Run variables by name: `run_id`, `run_dir` and so on.
    pub run_variables: Map<String, Value>,
    /// The place where the run is driven; of a run that is only previewed, the place where it would be.
    pub place: RunPlace,
    /// Variables given from outside, data and never templates.
    pub given_variables: Map<String, Value>,
    /// The places of the definition in files, if it was read from files.
    pub spans: Option<Arc<SpanMap>>,
}

impl RunScope {
    /// The position of bytes of a template, as `FILE:LINE:COLUMN`; `place` is that of the template in the definition, such as
    /// `elements[0].settings.prompt`.
    #[must_use]
    pub fn position(&self, place: &str, template: &str, part: Range<usize>) -> Option<String> {
        let spans = self.spans.as_ref()?;
        let found = spans
            .within(place, template, part)
            .or_else(|| spans.nearest(place))?;
        Some(format!("{}:{}:{}", found.file, found.line, found.column))
    }
}
