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
        let message = format!("expected {wanted}, found {}", found.describe());
        let problem = Problem::new("wrong_type", message);
        let problem = match spelling(wanted, &found.data) {
            Some(hint) => problem.hint(hint),
            None => problem,
        };
        self.at(place, problem);
    }
}

/// The way in which what was wanted is written, where the value shows that its author does not know it.
fn spelling(wanted: &str, found: &Data) -> Option<String> {
    match found {
        Data::Number(number) if wanted == "an id" => Some(format!("put it in quotes: `\"{number}\"`")),
        Data::Null if wanted == "an id" => {
            Some("write a name of letters, digits and `_` behind the key".to_owned())
        }
        Data::Text(text) if wanted.starts_with("the number `") => {
            Some(format!("write `{text}` without quotes"))
                .filter(|_| wanted == format!("the number `{text}`"))
        }
        Data::Map(_) if wanted.starts_with("a list") => {
            Some("begin each item of the list with `- `".to_owned())
        }
        _ => None,
    }
}
