//! The state of decoding: places, reports, included files, costs.

use crate::include::Includes;
use crate::place::Place;
use crate::problem::{Problem, Report};
use crate::spans::SpanMap;
use crate::value::{Costs, Data, Tree};
use std::collections::HashSet;

/// The state of decoding.
#[derive(Debug)]
pub(crate) struct Cx {
    pub(crate) spans: SpanMap,
    pub(crate) report: Report,
    pub(crate) includes: Includes,
    /// The costs of all values, those of included files too.
    pub(crate) costs: Costs,
    /// Ids of elements that are missing from the definition because something about them is wrong. What refers to
    /// them is not reported as well.
    pub(crate) dropped: HashSet<String>,
}

impl Cx {
    /// Reports something about a value.
    pub(super) fn at(&mut self, place: &Place, problem: Problem) {
        let problem = problem.at(&self.spans, place);
        self.report.add(problem);
    }

    /// Reports something about a key.
    pub(super) fn at_key(&mut self, place: &Place, problem: Problem) {
        let problem = problem.at_key(&self.spans, place);
        self.report.add(problem);
    }

    /// Reports a value of the wrong type. `wanted` is a noun with its article.
    pub(super) fn wrong_type(&mut self, place: &Place, wanted: &str, found: &Tree) {
        if matches!(found.data, Data::Refused) {
            return;
        }
        self.at(
            place,
            Problem::new(
                "wrong_type",
                format!("expected {wanted}, found {}", found.describe()),
            ),
        );
    }
}
