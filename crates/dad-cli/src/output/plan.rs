//! The plan of a re-run as lines.

use dad_core::{HierarchyPath, RunId};
use dad_run::{AnsweredBy, Decision, PlannedAnswer, PlannedStep};
use dad_terminal::{DIM, printable};

/// A line about a step.
pub(crate) fn planned_line(step: &PlannedStep) -> String {
    let (word, detail) = match &step.decision {
        Decision::Reuse { origin } => ("reuse", format!(", from {}", origin.run_id)),
        Decision::Execute => ("execute", String::new()),
        Decision::DependsOn { paths } if paths.is_empty() => ("depends", String::new()),
        Decision::DependsOn { paths } => {
            let names: Vec<&str> = paths.iter().map(HierarchyPath::as_str).collect();
            ("depends", format!("; depends on {}", names.join(", ")))
        }
    };
    format!("{word:<8} {}  {DIM}{}{detail}{DIM:#}", step.path, step.reason)
}

/// A line about a question.
pub(crate) fn planned_answer_line(answer: &PlannedAnswer, parent: &RunId) -> String {
    let (word, detail) = match (&answer.from, &answer.asked_again) {
        (Some(from), _) => {
            let place = if *from == answer.path {
                String::new()
            } else {
                format!(" {from}")
            };
            let option = match answer.by {
                Some(AnsweredBy::ReuseAnswers) => ", as `--reuse-answers` wants it",
                _ => "",
            };
            ("answer", format!("answer reused, from {parent}{place}{option}"))
        }
        (None, Some(because)) => ("ask", format!("asked again because {because}")),
        (None, None) => ("ask", "the previous run has no answer to it".to_owned()),
    };
    format!("{word:<8} {}  {DIM}{}{DIM:#}", answer.path, printable(&detail))
}
