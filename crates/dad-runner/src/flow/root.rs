//! The whole definition of a run: its root component, the budget of time, and its output.

use std::sync::Arc;

use dad_core::{Clean, ErrorInfo, StepStatus};
use dad_definition::{Component, Expression};
use dad_run::driver::missing_variable;
use dad_run::{RunError, SetupError};
use dad_template::Limits;
use serde_json::Value;

use crate::flow::component::{ComponentInput, ComponentPlace};
use crate::render::evaluate::EvaluatedVariables;
use crate::render::scope::Frame;
use crate::step::executor::RunExecutor;
use crate::step::outcome::ElementOutcome;
use crate::step::stop::{Phase, Stops};

/// The outcome of a whole definition.
pub(crate) struct DefinitionOutcome {
    pub(crate) outcome: ElementOutcome,
    pub(crate) output: Result<Option<Clean<Value>>, ErrorInfo>,
}

impl From<ElementOutcome> for DefinitionOutcome {
    fn from(outcome: ElementOutcome) -> Self {
        Self {
            outcome,
            output: Ok(None),
        }
    }
}

impl RunExecutor {
    /// Executes the definition of the run.
    pub(crate) async fn run_definition(self: &Arc<Self>) -> Result<DefinitionOutcome, RunError> {
        let program = Arc::clone(self.run().program());
        let root = &program.root;
        let around = self.driver().cancelled();
        let stop = &around.child_token();
        let place = ComponentPlace {
            component: root,
            path: &root.path,
            around: None,
            stops: Stops {
                phase: Phase::Body,
                branch: None,
                around,
                own: stop,
            },
            relation: self.order.root(&root.path),
            effects: &self.effects,
        };
        let _stoppable = self.driver().stoppable(&root.path, stop, None);
        let mut given = match self.component_input(place).await? {
            ComponentInput::Given(given) => given.unwrap_or_default(),
            ComponentInput::Ended(outcome) => return Ok(outcome.into()),
        };
        given.extend(self.run().scope().given_variables.clone());
        let EvaluatedVariables { frame, error } = self.variables(place, &given)?;
        let missing = missing_variable(&program, &given).map(|name| {
            let missing = SetupError::MissingVariable(name.clone());
            missing.to_info().at(&root.path)
        });
        let variables = EvaluatedVariables {
            frame: Arc::clone(&frame),
            error: missing.or(error),
        };
        let outcome = self.enter_in_time(place, variables).await?;
        let output = match &program.output {
            // A step that executes alone leaves out the results that the output needs.
            Some(output) if outcome.status == StepStatus::Completed && !self.order.is_alone() => {
                self.output(output, root, &frame).map(Some)
            }
            _ => Ok(None),
        };
        Ok(DefinitionOutcome { outcome, output })
    }

    /// Enters the root. When the run has been driven for as long as its budget allows, no further element begins, and those that
    /// execute are stopped.
    async fn enter_in_time(
        self: &Arc<Self>,
        place: ComponentPlace<'_>,
        variables: EvaluatedVariables,
    ) -> Result<ElementOutcome, RunError> {
        let Some(limit) = self.driver().wall_time_left() else {
            return self.enter(place, variables).await;
        };
        let cancelled = place.stops.own;
        let stop = &cancelled.child_token();
        let stops = Stops {
            own: stop,
            ..place.stops
        };
        let entered = self.enter(ComponentPlace { stops, ..place }, variables);
        let budget = self.driver().budget();
        let reason = format!("the run was driven as long as its budget ({budget}) allows");
        let ended = self.in_time(limit, place.path, stop, reason.clone(), entered);
        let (mut outcome, is_late) = ended.await?;
        // A run that completes after its limit, without being cancelled, counts as in time.
        if is_late && outcome.status == StepStatus::Cancelled && !cancelled.is_cancelled() {
            let error = ErrorInfo::new("budget_exceeded", reason)
                .with_hint("resume the run with a larger `wall_time` in its budget");
            outcome.end_by_limit(StepStatus::Failed, place.path, error);
        }
        Ok(outcome)
    }

    fn output(
        &self,
        output: &Expression,
        root: &Component,
        frame: &Arc<Frame>,
    ) -> Result<Clean<Value>, ErrorInfo> {
        let evaluator = self.session.evaluator();
        let scope = evaluator.scope(output, root, &root.path, frame);
        let rendered = output.value.render(&scope, &Limits::default());
        // A template may have joined the parts of a secret.
        let redactor = self.run().secrets().redactor();
        let masked = rendered.map(|output| Clean::render(output, &redactor));
        masked.map_err(|error| {
            let mut info = evaluator.failed(&error, "output", Some("`output`"));
            info.code = "output".to_owned();
            info
        })
    }
}
