//! Outputs of runs judged by a model. A judgement is a run of its own beside those of the batch: it is paid once, and can be looked
//! at as any other.

use dad_core::{Digest, ElementId, RunId, RunStatus};
use dad_definition::load_str;
use dad_run::{RunView, SetupError};
use dad_runner::{RunReport, Runner};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::batch::expectation::text_of;
use crate::batch::{BatchDriving, taken_up};
use crate::error::ProjectError;
use crate::project::Project;

/// The root component of a judgement.
const ROOT: &str = "judge_root";

/// A model that decides whether an output meets criteria.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `model` and `criteria`")]
#[non_exhaustive]
pub struct Judge {
    /// The model, by provider and name.
    pub model: String,
    /// The criteria, in plain words.
    pub criteria: String,
}

/// The answer of a judge.
#[derive(Debug, Deserialize)]
struct Answer {
    passed: bool,
    reason: String,
}

impl Judge {
    /// A judge by its model and criteria.
    #[must_use]
    pub fn new(model: impl Into<String>, criteria: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            criteria: criteria.into(),
        }
    }

    /// Why the output of a judged run does not meet the criteria, by the report of the judgement; `None` if it does.
    pub(super) fn denial(&self, judgement: Result<&RunReport, &str>) -> Option<String> {
        let failed = |reason: &str| Some(format!("was not judged by {}: {reason}", self.model));
        let report = match judgement {
            Ok(report) => report,
            Err(reason) => return failed(reason),
        };
        let answer = report.output.clone().unwrap_or_default();
        match serde_json::from_value::<Answer>(answer) {
            Ok(answer) if answer.passed => None,
            Ok(answer) => Some(format!(
                "does not meet its criteria, says {}: {}",
                self.model,
                answer.reason.trim_end_matches('.')
            )),
            Err(_) => match &report.error {
                Some(error) => failed(&error.message),
                None => failed(&format!("the judgement is {}", report.status)),
            },
        }
    }

    /// The key of the judgement of an output: another output or other criteria are judged anew.
    fn key(&self, trial: &str, output: &Value) -> String {
        let judged = json!([self.model, self.criteria, output]);
        format!("{trial}\n{}", Digest::of_json(&judged))
    }

    /// The judgement of an output as it was recorded; `None` if it was not judged, or the judgement did not end.
    pub(super) fn recorded(
        &self,
        project: &Project,
        trial: &str,
        output: &Value,
    ) -> Result<Option<RunReport>, ProjectError> {
        let root_id = ElementId::new(ROOT).map_err(SetupError::RootId)?;
        let name = RunId::of_key(&root_id, &self.key(trial, output));
        let dir = project.dirs()?.effective_run_root.join(name.as_str());
        if !dir.is_dir() {
            return Ok(None);
        }
        let report = RunReport::of(&RunView::open(&dir)?)?;
        Ok(Some(report).filter(|report| matches!(report.status, RunStatus::Completed | RunStatus::Failed)))
    }

    /// Judges an output, or takes up the judgement that was begun before.
    pub(super) async fn judge(
        &self,
        project: &Project,
        trial: &str,
        output: &Value,
        driving: &BatchDriving<'_>,
    ) -> Result<RunReport, ProjectError> {
        let project = project.clone().ask_model(&self.model);
        let definition = load_str(DEFINITION, "judge.yaml", None, None)?.definition;
        let context = driving
            .changed(project.context(ROOT)?)
            .key(self.key(trial, output))
            .variable("criteria", self.criteria.as_str())
            .variable("output", text_of(output));
        let ended = Runner::new(definition, context.build()?).run().await;
        taken_up(&project, ended, driving).await
    }
}

/// The definition of a judgement. Its model is given when it is run.
const DEFINITION: &str = include_str!("judge.yaml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_of_another_form_is_refused_in_plain_words() {
        let read = |text: &str| serde_json::from_str::<Judge>(text).unwrap_err().to_string();
        let text = read("\"polite\"");
        assert!(
            text.contains("expected an object with `model` and `criteria`"),
            "{text}"
        );
        let missing = read("{\"model\": \"a/b\"}");
        assert!(missing.contains("`criteria`"), "{missing}");
    }
}
