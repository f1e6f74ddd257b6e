//! Components, from the question for their input to the record of their end.

use std::sync::Arc;
use std::time::Duration;

use dad_core::{Clean, ErrorInfo, HierarchyPath, RuleDecision, StepStatus};
use dad_definition::Component;
use dad_run::driver::{ComponentEnd, EnteredComponent, variables_of};
use dad_run::reuse::EntryRelation;
use dad_run::{RunError, SetupError};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::ask::approval::{Approval, Intent};
use crate::ask::asker::{Asker, AskingPlace};
use crate::ask::input::{InputOutcome, input};
use crate::concurrency::room::{Branch, Room};
use crate::flow::content::{BoxedOutcome, ContentOutcome, ControlFacts};
use crate::render::evaluate::EvaluatedVariables;
use crate::render::scope::Frame;
use crate::step::effects::Effects;
use crate::step::executor::RunExecutor;
use crate::step::outcome::ElementOutcome;
use crate::step::place::ElementContext;
use crate::step::stop::{Stops, absorbs};

/// A component at its place in the run, before it is entered.
#[derive(Clone, Copy)]
pub(super) struct ComponentPlace<'a> {
    pub(super) component: &'a Component,
    pub(super) path: &'a HierarchyPath,
    /// The variables around it; the root has none.
    pub(super) around: Option<&'a Arc<Frame>>,
    pub(super) stops: Stops<'a>,
    pub(super) relation: EntryRelation,
    /// The steps with effects before it.
    pub(super) effects: &'a Effects,
}

/// The outcome of asking for the input of a component.
pub(super) enum ComponentInput {
    /// The values given for its variables, if any.
    Given(Option<Map<String, Value>>),
    /// The component ends without being entered.
    Ended(ElementOutcome),
}

impl ComponentPlace<'_> {
    fn asking_place(&self) -> AskingPlace<'_> {
        AskingPlace {
            asker: Asker::Component(self.component),
            path: self.path,
            around: self.around,
            relation: self.relation,
        }
    }
}

impl RunExecutor {
    /// Executes a component in the component, iteration or branch of `context`.
    pub(super) fn run_component<'a>(
        self: &'a Arc<Self>,
        component: &'a Component,
        path: HierarchyPath,
        context: ElementContext<'a>,
    ) -> BoxedOutcome<'a> {
        Box::pin(async move {
            let phase = context.phase;
            if let Some(outcome) = self.restored_component(component, &path, phase) {
                return Ok(outcome);
            }
            let stop = &context.stop.child_token();
            let place = ComponentPlace {
                component,
                path: &path,
                around: Some(context.frame),
                stops: Stops {
                    phase,
                    branch: context.branch,
                    around: context.stop,
                    own: stop,
                },
                relation: context.relation,
                effects: context.effects,
            };
            let _stoppable = self.driver().stoppable(&path, stop, phase.shield());
            if stop.is_cancelled() {
                return self.suspend(place, StepStatus::Cancelled);
            }
            let given = match self.component_input(place).await? {
                ComponentInput::Given(given) => given.unwrap_or_default(),
                ComponentInput::Ended(ElementOutcome {
                    status: StepStatus::Cancelled,
                    ..
                }) => return self.suspend(place, StepStatus::Cancelled),
                ComponentInput::Ended(outcome) => return Ok(outcome),
            };
            self.approve_and_enter(place, given).await
        })
    }

    /// Enters a component, after it is approved if that is necessary.
    async fn approve_and_enter(
        self: &Arc<Self>,
        place: ComponentPlace<'_>,
        mut given: Map<String, Value>,
    ) -> Result<ElementOutcome, RunError> {
        let ComponentPlace {
            component, relation, ..
        } = place;
        loop {
            let variables = self.variables(place, &given)?;
            let needs_approval =
                component.options.requires_approval || self.is_ruled(place.path, &variables.frame)?;
            if variables.error.is_some() || relation == EntryRelation::Before || !needs_approval {
                return self.enter(place, variables).await;
            }
            match self.component_approval(place, &variables.frame).await? {
                Approval::Granted(_) => return self.enter(place, variables).await,
                Approval::Edited(input) => given = variables_of(input.get()),
                Approval::Denied(error) => return self.refuse(place, error),
                Approval::Suspended(status) => return self.suspend(place, status),
            }
        }
    }

    /// Asks for the input of a component.
    pub(super) async fn component_input(
        &self,
        place: ComponentPlace<'_>,
    ) -> Result<ComponentInput, RunError> {
        let room = Room::new(place.stops.branch, &self.session.descriptors);
        let mut active = self.session.active.step(&room);
        let input = input(&self.session, place.asking_place(), &mut active, place.stops.own).await?;
        Ok(match input {
            InputOutcome::Given(input) => ComponentInput::Given(input.map(|input| variables_of(input.get()))),
            InputOutcome::Invalid(error) => ComponentInput::Ended(self.refuse(place, error)?),
            InputOutcome::Denied(reason) => {
                let error = ErrorInfo::new("failed_by_hand", reason);
                ComponentInput::Ended(self.refuse(place, error)?)
            }
            InputOutcome::Suspended(status) => ComponentInput::Ended(ElementOutcome::pending(status)),
        })
    }

    /// Whether a rule denies a component or demands a person's approval.
    fn is_ruled(&self, path: &HierarchyPath, frame: &Frame) -> Result<bool, RunError> {
        let driver = self.driver();
        if !driver.has_rules() {
            return Ok(false);
        }
        let variables = self.recorded_variables(path, frame)?.into_json();
        let (at, arguments) = (driver.intended(path), variables.get());
        let ruling = driver.ruling(&at.arguments(arguments));
        Ok(ruling.is_some_and(|ruling| ruling.rule.decision != RuleDecision::Allow))
    }

    /// Asks for approval to enter a component with these variables.
    async fn component_approval(
        &self,
        place: ComponentPlace<'_>,
        frame: &Frame,
    ) -> Result<Approval, RunError> {
        let session = &self.session;
        let AskingPlace {
            asker, path, around, ..
        } = place.asking_place();
        let variables = self.recorded_variables(path, frame)?.into_json();
        let normalised = session.normaliser.value(variables.get());
        let intent = Intent {
            asker: Some(asker),
            path,
            subject: asker
                .asks(&session.asked_in())
                .then(|| session.subjects().of(asker, path, around)),
            node_type: None,
            settings: variables,
            preview: Clean::default(),
            call: None,
            facts: self
                .driver()
                .facts_digest(&json!({ "kind": place.component.kind, "variables": normalised })),
        };
        let room = Room::new(place.stops.branch, &session.descriptors);
        let mut active = session.active.step(&room);
        intent.approval(session, &mut active, place.stops.own).await
    }

    /// Fails a component that is not entered: neither its elements nor its `finally` execute.
    fn refuse(&self, place: ComponentPlace<'_>, error: ErrorInfo) -> Result<ElementOutcome, RunError> {
        let outcome = ElementOutcome::failed(place.path, error.at(place.path));
        self.end_unentered(place, outcome)
    }

    /// Leaves a component that is not entered with this status. The end is recorded if the component
    /// [ends](Self::ends_unbegun) by that.
    fn suspend(&self, place: ComponentPlace<'_>, status: StepStatus) -> Result<ElementOutcome, RunError> {
        if status != StepStatus::Cancelled || !self.ends_unbegun(place.path, place.stops.phase) {
            return Ok(ElementOutcome::pending(status));
        }
        self.end_unentered(place, ElementOutcome::pending(StepStatus::Cancelled))
    }

    /// Records the end of a component of which no element executed.
    fn end_unentered(
        &self,
        place: ComponentPlace<'_>,
        outcome: ElementOutcome,
    ) -> Result<ElementOutcome, RunError> {
        let entered = self
            .driver()
            .enter_component(place.path, place.component.kind, Clean::default())?;
        self.leave(place, &entered, outcome.into())
    }

    /// The variables of a component: as they were evaluated before the run was resumed, else evaluated now.
    pub(super) fn variables(
        &self,
        place: ComponentPlace<'_>,
        given: &Map<String, Value>,
    ) -> Result<EvaluatedVariables, RunError> {
        let ComponentPlace {
            component,
            path,
            around,
            ..
        } = place;
        let recorded = self.history().map(|history| history.variables(path));
        let recorded = recorded.transpose()?.flatten();
        let is_complete = |recorded: &Map<String, Value>| {
            component
                .variables
                .iter()
                .all(|variable| recorded.contains_key(&variable.name))
        };
        Ok(match recorded.filter(is_complete) {
            Some(recorded) => {
                let values = recorded.into_iter().map(|(name, value)| (name, value.into()));
                EvaluatedVariables {
                    frame: Arc::new(Frame::new(path, values.collect(), around.cloned())),
                    error: None,
                }
            }
            None => self.session.evaluator().variables(component, path, around, given),
        })
    }

    /// Executes a component whose variables have been evaluated.
    pub(super) async fn enter(
        self: &Arc<Self>,
        place: ComponentPlace<'_>,
        variables: EvaluatedVariables,
    ) -> Result<ElementOutcome, RunError> {
        let ComponentPlace {
            component,
            path,
            stops,
            relation,
            effects,
            ..
        } = place;
        let EvaluatedVariables { frame, error } = variables;
        let values = self.recorded_variables(path, &frame)?;
        let entered = self.driver().enter_component(path, component.kind, values)?;
        let entered = &self.without_spare_descriptor(entered, stops.branch);
        let context = ElementContext {
            frame: &frame,
            entered,
            stop: stops.own,
            phase: stops.phase,
            relation,
            effects,
            branch: stops.branch,
        };
        let mut content = match error {
            Some(error) => ContentOutcome::failed(path, error),
            None => self.run_content_in_time(component, context).await?,
        };
        let outcome = &mut content.outcome;
        // A component that waits has not come to its end.
        if outcome.status != StepStatus::Waiting {
            outcome.add(self.run_finally(component, context).await?);
        }
        // Also if the cancel came during `finally`, or every stopped step completed in time.
        if outcome.status != StepStatus::Waiting && self.driver().is_cancelled_at(path, stops.phase.shield())
        {
            outcome.cancel();
        }
        self.leave(place, entered, content)
    }

    /// A component, iteration or branch with its directory open, unless many of its kind may be entered at the same time.
    pub(super) fn without_spare_descriptor(
        &self,
        entered: EnteredComponent,
        branch: Option<&Arc<Branch>>,
    ) -> EnteredComponent {
        match branch {
            None => entered,
            Some(_) => self.driver().without_descriptor(entered),
        }
    }

    /// Records the end of a component, and gives its outcome for the component around it.
    fn leave(
        &self,
        place: ComponentPlace<'_>,
        entered: &EnteredComponent,
        content: ContentOutcome,
    ) -> Result<ElementOutcome, RunError> {
        let ContentOutcome {
            outcome,
            facts: ControlFacts { iterations, branch },
        } = content;
        let options = &place.component.options;
        let absorbed = absorbs(options.on_error, outcome.status, place.stops.around);
        self.driver().leave_component(
            entered,
            &ComponentEnd {
                status: outcome.status,
                totals: outcome.totals,
                first_failures: &outcome.failures,
                iterations,
                branch,
                absorbed,
            },
        )?;
        if outcome.status != StepStatus::Waiting {
            for name in &options.post_events {
                self.driver().custom(name, Some(&entered.path), Value::Null)?;
            }
        }
        Ok(if absorbed {
            ElementOutcome::restored(outcome.totals)
        } else {
            outcome
        })
    }

    /// Executes the content of a component. At its time limit no further element begins, and those that execute are stopped.
    async fn run_content_in_time(
        self: &Arc<Self>,
        component: &Component,
        context: ElementContext<'_>,
    ) -> Result<ContentOutcome, RunError> {
        let path = &context.entered.path;
        let Some(limit) = context.phase.limit(component.options.timeout, path) else {
            return self.run_content(component, context).await;
        };
        let stop = &context.stop.child_token();
        let content = self.run_content(component, ElementContext { stop, ..context });
        let within = dad_core::format_duration(limit);
        let reason = format!("`{path}` did not finish within {within}");
        let (mut content, is_late) = self.in_time(limit, path, stop, reason, content).await?;
        // A component that completes after its limit, without being cancelled, counts as in time.
        if is_late && content.outcome.status == StepStatus::Cancelled && !context.stop.is_cancelled() {
            let message = format!("what is in it did not finish within {within}");
            let error = ErrorInfo::new("timed_out", message);
            content.outcome.end_by_limit(StepStatus::TimedOut, path, error);
        }
        Ok(content)
    }

    /// Waits for the elements at a place; when the time is over, stops them for this reason and waits on. Says whether that happened.
    pub(super) async fn in_time<T>(
        &self,
        limit: Duration,
        path: &HierarchyPath,
        stop: &CancellationToken,
        reason: String,
        work: impl Future<Output = Result<T, RunError>>,
    ) -> Result<(T, bool), RunError> {
        let mut work = Box::pin(work);
        tokio::select! {
            biased;
            ended = &mut work => Ok((ended?, false)),
            () = tokio::time::sleep(limit) => {
                self.stop_out_of_time(path, stop, reason);
                Ok((work.await?, true))
            }
        }
    }

    fn recorded_variables(
        &self,
        path: &HierarchyPath,
        frame: &Frame,
    ) -> Result<Clean<Map<String, Value>>, RunError> {
        let values = frame.to_json().map_err(|error| SetupError::Unrecordable {
            what: format!("a variable of `{path}`"),
            reason: error.to_string(),
        });
        Ok(Clean::render(values?, &self.run().secrets().redactor()))
    }
}
