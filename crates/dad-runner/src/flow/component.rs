//! Components: what is entered, in which order, and what it comes to.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use dad_core::{Clean, ErrorInfo, FirstFailure, HierarchyPath, RuleDecision, StepStatus};
use dad_definition::{Component, Content, Expression, Intended, NodeElement, ProgramElement, Selected};
use dad_run::driver::{ComponentEnd, EnteredComponent, RunDriver};
use dad_run::{
    AnswerWish, Asked, Descriptors, EntryPoint, Normaliser, RerunPlan, RunError, RunHandle, RunView, Side,
    Totals, ViewEntry, is_result, missing_variable, variables_of,
};
use dad_template::Limits;
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use crate::ask::approval::{Approval, Intent};
use crate::ask::input::{Asker, AskingPlace, Input, input};
use crate::ask::subject::{AskedIn, Subjects};
use crate::concurrency::active::Busy;
use crate::concurrency::room::{Branch, Branches, MOST_PARALLEL, Room};
use crate::node::registry::NodeRegistry;
use crate::render::evaluate::Evaluator;
use crate::render::reader::Reader;
use crate::render::scope::{Frame, ResultCache};
use crate::step::effects::Effects;
use crate::step::pipeline::take_step;
use crate::step::stop::{Phase, Stops, absorbs};

/// What all steps of one run share.
pub(crate) struct Walk {
    /// By it everything is recorded; nodes only have `run`.
    pub(crate) driver: RunDriver,
    pub(crate) run: RunHandle,
    pub(crate) registry: NodeRegistry,
    pub(crate) cache: Arc<ResultCache>,
    pub(crate) normaliser: Normaliser,
    /// The first step with an effect that this run has executed.
    effects: Effects,
    /// Where a re-run begins to execute, if it does at one place.
    pub(crate) entry_point: Option<EntryPoint>,
    /// What a re-run was asked to execute.
    execute: Vec<Selected>,
    /// What a re-run asks again.
    ask: Vec<Selected>,
    /// What takes the answers of the previous run whatever was asked.
    reuse_answers: Vec<Selected>,
    /// The steps that are on their way.
    pub(crate) busy: Busy,
    /// What steps take before they open files.
    pub(crate) descriptors: Descriptors,
    /// What ran out of time, and how that is told of the steps in it that are stopped.
    pub(crate) out_of_time: Mutex<Vec<(HierarchyPath, String)>>,
}

/// What a step or component came to. `status` is what it means for the component around it: a failure that was
/// absorbed is completed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: StepStatus,
    pub(crate) totals: Totals,
    pub(crate) failures: Vec<FirstFailure>,
}

/// What a run of a whole definition came to.
pub(crate) struct WalkEnded {
    pub(crate) ended: Ended,
    pub(crate) output: Result<Option<Clean<serde_json::Value>>, ErrorInfo>,
}

/// Where elements stand: what is around them in the run.
#[derive(Clone, Copy)]
pub(crate) struct Inside<'a> {
    /// Variables.
    pub(crate) frame: &'a Arc<Frame>,
    /// The component, iteration or branch.
    pub(crate) entered: &'a EnteredComponent,
    /// Fires when nothing more is begun here, and what executes is to stop.
    pub(crate) stop: &'a CancellationToken,
    pub(crate) phase: Phase<'a>,
    /// Where it stands relative to the entry point of a re-run.
    pub(crate) side: Side,
    /// What was executed before.
    pub(crate) effects: &'a Effects,
    /// The branch of the concurrent component around it, if there is one.
    pub(crate) branch: Option<&'a Arc<Branch>>,
}

/// What executing a component gave beside what its steps came to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Facts {
    /// Of a loop: how many iterations were begun.
    pub(crate) iterations: Option<u64>,
    /// Of a conditional: which branch was taken.
    pub(crate) branch: Option<bool>,
}

type BoxedWalk<'a> = Pin<Box<dyn Future<Output = Result<Ended, RunError>> + Send + 'a>>;

impl Walk {
    pub(crate) fn new(driver: RunDriver, registry: NodeRegistry) -> Self {
        let run = driver.handle().clone();
        let cache = Arc::<ResultCache>::default();
        run.identity().reader.set(Arc::new(Reader {
            results: run.result_reader().clone(),
            cache: Arc::clone(&cache),
        }));
        let none = &Vec::new();
        let plan = driver.plan();
        Self {
            normaliser: Normaliser::of_places(run.places()),
            registry,
            cache,
            effects: Effects::after(driver.history().and_then(RunView::first_effect)),
            entry_point: plan.and_then(RerunPlan::entry),
            execute: selected(plan.map_or(none, |plan| &plan.execute), &run),
            ask: selected(plan.map_or(none, |plan| &plan.ask), &run),
            reuse_answers: selected(plan.map_or(none, |plan| &plan.reuse_answers), &run),
            busy: Busy::default(),
            descriptors: run
                .resources()
                .get::<Descriptors>()
                .map_or_else(Descriptors::of_process, |given| (*given).clone()),
            out_of_time: Mutex::default(),
            run,
            driver,
        }
    }

    /// Whether one step executes and nothing else.
    pub(crate) fn is_alone(&self) -> bool {
        self.entry_point.as_ref().is_some_and(|entry| entry.alone)
    }

    /// What was asked for of a step when the re-run was started.
    pub(crate) fn asked(&self, path: &HierarchyPath) -> Asked {
        if self.driver.plan().is_some_and(|plan| plan.fresh) {
            Asked::Fresh
        } else if self.execute.iter().any(|selected| selected.covers(path)) {
            Asked::Execute
        } else {
            Asked::Nothing
        }
    }

    /// Whether a step or component asks although the previous run has an answer.
    pub(crate) fn asks_again(&self, path: &HierarchyPath) -> bool {
        self.ask.iter().any(|selected| selected.covers(path))
    }

    /// What the user wants of the previous run's answers at a place.
    pub(crate) fn answer_wish(&self, path: &HierarchyPath) -> AnswerWish {
        match self.reuse_answers.iter().any(|selected| selected.covers(path)) {
            _ if self.asks_again(path) => AnswerWish::AskAgain,
            true => AnswerWish::ByPath,
            false => AnswerWish::SameQuestion,
        }
    }

    /// What questions are asked with.
    pub(crate) fn asked_in(&self) -> AskedIn<'_> {
        AskedIn {
            program: self.run.program(),
            types: &**self.run.node_types(),
            given: &self.run.scope().given_variables,
        }
    }

    /// Finds out what questions are about.
    pub(crate) fn subjects(&self) -> Subjects<'_> {
        Subjects {
            asked_in: self.asked_in(),
            evaluator: self.evaluator(),
            normaliser: &self.normaliser,
            salt: self.driver.salt(),
        }
    }

    /// Takes the whole program along.
    pub(crate) async fn root(self: &Arc<Self>) -> Result<WalkEnded, RunError> {
        let program = Arc::clone(self.run.program());
        let root = &program.root;
        let side = Side::of_root(&root.path, self.entry_point.as_ref());
        let around = self.driver.cancelled();
        let stop = &around.child_token();
        let stops = Stops {
            phase: Phase::Body,
            branch: None,
            around,
            own: stop,
        };
        let _stoppable = self.driver.stoppable(&root.path, stop, None);
        let place = AskingPlace {
            asker: Asker::Component(root),
            path: &root.path,
            around: None,
            side,
        };
        let asked = match self.asked_variables(root, place, stops).await? {
            Ok(asked) => asked,
            Err(ended) => {
                return Ok(WalkEnded {
                    ended,
                    output: Ok(None),
                });
            }
        };
        let mut given = asked.unwrap_or_default();
        given.extend(self.run.scope().given_variables.clone());
        let (frame, error) = self.variables(root, &root.path, None, &given)?;
        let missing = missing_variable(&program, &given).map(|name| {
            let missing = RunError::MissingVariable(name.clone());
            missing.to_info().at(&root.path)
        });
        let error = missing.or(error);
        let ended = self.root_in_time(root, (&frame, error), stops, side).await?;
        let output = match &program.output {
            // A step that executes alone leaves out what others would have given.
            Some(output) if ended.status == StepStatus::Completed && !self.is_alone() => {
                self.output(output, root, &frame).map(Some)
            }
            _ => Ok(None),
        };
        Ok(WalkEnded { ended, output })
    }

    /// Enters the root; when the run has been driven as long as its budget allows, nothing more is begun, and what executes
    /// is to stop.
    async fn root_in_time(
        self: &Arc<Self>,
        root: &Component,
        variables: (&Arc<Frame>, Option<ErrorInfo>),
        stops: Stops<'_>,
        side: Side,
    ) -> Result<Ended, RunError> {
        let Some(left) = self.driver.wall_time_left() else {
            return self
                .enter(root, &root.path, variables, stops, (side, &self.effects))
                .await;
        };
        let cancelled = stops.own;
        let stop = cancelled.child_token();
        let stops = Stops { own: &stop, ..stops };
        let mut walk = Box::pin(self.enter(root, &root.path, variables, stops, (side, &self.effects)));
        let mut ended = tokio::select! {
            biased;
            ended = &mut walk => return ended,
            () = tokio::time::sleep(left) => {
                let budget = self.driver.budget();
                let why = format!("the run was driven as long as its budget ({budget}) allows");
                self.stop_at(&root.path, &stop, why);
                walk.await?
            }
        };
        // What ended well all the same did so in time.
        if ended.status == StepStatus::Cancelled && !cancelled.is_cancelled() {
            let budget = self.driver.budget();
            let message = format!("the run was driven as long as its budget ({budget}) allows");
            let error = ErrorInfo::new("budget_exceeded", message)
                .with_hint("`dhenara resume RUN --budget wall_time=N` resumes the run with more");
            ended.status = StepStatus::Failed;
            // It comes before the steps that were stopped because of it.
            let path = root.path.clone();
            ended.failures.insert(0, FirstFailure { path, error });
        }
        Ok(ended)
    }

    fn output(
        &self,
        output: &Expression,
        root: &Component,
        frame: &Arc<Frame>,
    ) -> Result<Clean<serde_json::Value>, ErrorInfo> {
        let scope = self.evaluator().scope(output, root, &root.path, frame);
        let rendered = output.value.render(&scope, &Limits::default());
        // A template may have put the parts of a secret together.
        let redactor = self.run.secrets().redactor();
        let masked = rendered.map(|output| Clean::render(output, &redactor));
        masked.map_err(|error| {
            let mut info = self.evaluator().failed(&error, "output", Some("`output`"));
            info.code = "output".to_owned();
            info
        })
    }

    /// Evaluates templates with what this run has.
    pub(crate) fn evaluator(&self) -> Evaluator<'_> {
        Evaluator {
            run: self.run.result_reader(),
            cache: &self.cache,
        }
    }

    fn component<'a>(
        self: &'a Arc<Self>,
        component: &'a Component,
        path: HierarchyPath,
        inside: Inside<'a>,
    ) -> BoxedWalk<'a> {
        Box::pin(async move {
            let Inside {
                frame,
                phase,
                side,
                effects,
                ..
            } = inside;
            if let Some(ended) = self.ended_before(component, &path, phase) {
                return Ok(ended);
            }
            let stop = &inside.stop.child_token();
            let stops = Stops {
                phase,
                branch: inside.branch,
                around: inside.stop,
                own: stop,
            };
            let _stoppable = self.driver.stoppable(&path, stop, phase.shield());
            if stop.is_cancelled() {
                return self.rest(component, &path, StepStatus::Cancelled, stops);
            }
            let place = AskingPlace {
                asker: Asker::Component(component),
                path: &path,
                around: Some(frame),
                side,
            };
            let asked = self.asked_variables(component, place, stops).await?;
            let mut given = match asked {
                Ok(asked) => asked.unwrap_or_default(),
                Err(Ended {
                    status: StepStatus::Cancelled,
                    ..
                }) => return self.rest(component, &path, StepStatus::Cancelled, stops),
                Err(ended) => return Ok(ended),
            };
            let (frame, error) = loop {
                let (frame, error) = self.variables(component, &path, Some(frame), &given)?;
                let is_asked_about = component.options.requires_approval || self.is_ruled(&path, &frame)?;
                if error.is_some() || side == Side::Before || !is_asked_about {
                    break (frame, error);
                }
                match self.component_approval(component, place, &frame, stops).await? {
                    Approval::Granted(_) => break (frame, error),
                    Approval::Edited(input) => given = variables_of(input.get()),
                    Approval::Denied(error) => return self.refuse(component, &path, error, stops),
                    Approval::Pending(status) => return self.rest(component, &path, status, stops),
                }
            };
            self.enter(component, &path, (&frame, error), stops, (side, effects))
                .await
        })
    }

    /// The values that a component is given for its variables, `None` if it is given none; or how it ends without being
    /// entered.
    async fn asked_variables(
        &self,
        component: &Component,
        place: AskingPlace<'_>,
        stops: Stops<'_>,
    ) -> Result<Result<Option<Map<String, serde_json::Value>>, Ended>, RunError> {
        let path = place.path;
        let mut busy = self.busy.step(&Room::new(stops.branch, &self.descriptors));
        Ok(match input(self, place, &mut busy, stops.own).await? {
            Input::Is(input) => Ok(input.map(|input| variables_of(input.get()))),
            Input::Fails(error) => Err(self.refuse(component, path, error, stops)?),
            Input::Denied(reason) => {
                let error = ErrorInfo::new("failed_by_hand", reason);
                Err(self.refuse(component, path, error, stops)?)
            }
            Input::Pending(status) => Err(Ended::pending(status)),
        })
    }

    /// Whether a rule denies a component or has a person asked about it.
    fn is_ruled(&self, path: &HierarchyPath, frame: &Frame) -> Result<bool, RunError> {
        if !self.driver.has_rules() {
            return Ok(false);
        }
        let variables = self.recorded_variables(path, frame)?.into_json();
        let (at, arguments) = (self.driver.intended(path), variables.get());
        let ruling = self.driver.ruling(&Intended { arguments, ..at });
        Ok(ruling.is_some_and(|ruling| ruling.rule.decision != RuleDecision::Allow))
    }

    /// Whether a person agrees that a component is entered with these variables.
    async fn component_approval(
        &self,
        component: &Component,
        place: AskingPlace<'_>,
        frame: &Frame,
        stops: Stops<'_>,
    ) -> Result<Approval, RunError> {
        let AskingPlace {
            asker, path, around, ..
        } = place;
        let variables = self.recorded_variables(path, frame)?.into_json();
        let normalised = self.normaliser.value(variables.get());
        let intent = Intent {
            asker: Some(asker),
            path,
            subject: asker
                .asks(&self.asked_in())
                .then(|| self.subjects().of(asker, path, around)),
            node_type: None,
            settings: variables,
            preview: Clean::default(),
            call: None,
            facts: self
                .driver
                .facts_digest(&json!({ "kind": component.kind, "variables": normalised })),
        };
        let mut busy = self.busy.step(&Room::new(stops.branch, &self.descriptors));
        intent.approval(self, &mut busy, stops.own).await
    }

    /// Ends a component as failed that is not entered: what is in it does not execute, `finally` neither.
    fn refuse(
        &self,
        component: &Component,
        path: &HierarchyPath,
        error: ErrorInfo,
        stops: Stops<'_>,
    ) -> Result<Ended, RunError> {
        let mut all = Ended::nothing();
        all.fail(path, error.at(path));
        self.end_unentered(component, path, all, stops)
    }

    /// Records how a component ended without anything in it having been executed.
    fn end_unentered(
        &self,
        component: &Component,
        path: &HierarchyPath,
        all: Ended,
        stops: Stops<'_>,
    ) -> Result<Ended, RunError> {
        let entered = self
            .driver
            .enter_component(path, component.kind, Clean::default())?;
        self.leave(component, &entered, all, (Facts::default(), stops))
    }

    /// Comes to rest without entering a component, which is recorded if it [ends](Self::ends_unbegun) by that.
    fn rest(
        &self,
        component: &Component,
        path: &HierarchyPath,
        status: StepStatus,
        stops: Stops<'_>,
    ) -> Result<Ended, RunError> {
        if status != StepStatus::Cancelled || !self.ends_unbegun(path, stops.phase) {
            return Ok(Ended::pending(status));
        }
        self.end_unentered(component, path, Ended::pending(StepStatus::Cancelled), stops)
    }

    /// How a component ended before the run was resumed, if that stands. What is under `finally` executes again, because
    /// what it follows is entered again.
    fn ended_before(&self, component: &Component, path: &HierarchyPath, phase: Phase<'_>) -> Option<Ended> {
        let history = self.driver.history().filter(|_| phase == Phase::Body)?;
        let ViewEntry::Component {
            status,
            totals: Some(totals),
            absorbed,
            ..
        } = history.entries.get(path)?
        else {
            return None;
        };
        let stands =
            *absorbed || *status == StepStatus::Completed || component.options.on_error.absorbs(*status);
        stands.then(|| Ended {
            totals: *totals,
            ..Ended::nothing()
        })
    }

    /// How an iteration or branch ended before the run was resumed, if all of it stands: not even its directory is opened
    /// then.
    pub(crate) fn part_ended_before(
        &self,
        body: &[ProgramElement],
        path: &HierarchyPath,
        phase: Phase<'_>,
    ) -> Option<Ended> {
        let mut all = Ended::nothing();
        self.driver.history()?;
        for element in body {
            let path = path.child(element.id());
            all.add(match element {
                ProgramElement::Node(node) => self.committed_before(node, &path, phase)?,
                ProgramElement::Component(component) => self.ended_before(component, &path, phase)?,
                _ => return None,
            });
        }
        Some(all)
    }

    /// What a step came to that this run committed before it was resumed, if that stands. What is under `finally` executes
    /// again.
    pub(crate) fn committed_before(
        &self,
        node: &NodeElement,
        path: &HierarchyPath,
        phase: Phase<'_>,
    ) -> Option<Ended> {
        let history = self.driver.history().filter(|_| phase == Phase::Body)?;
        let step = history.step(path)?;
        is_result(step, node.options.on_error).then(|| Ended {
            totals: step.totals(),
            ..Ended::nothing()
        })
    }

    /// The variables of a component: as they were evaluated before the run was resumed, else evaluated now.
    fn variables(
        &self,
        component: &Component,
        path: &HierarchyPath,
        parent: Option<&Arc<Frame>>,
        given: &Map<String, serde_json::Value>,
    ) -> Result<(Arc<Frame>, Option<ErrorInfo>), RunError> {
        let recorded = self.driver.history().map(|history| history.variables(path));
        let recorded = recorded.transpose()?.flatten();
        let complete = |recorded: &Map<String, serde_json::Value>| {
            component
                .variables
                .iter()
                .all(|variable| recorded.contains_key(&variable.name))
        };
        Ok(match recorded.filter(complete) {
            Some(recorded) => {
                let values = recorded.into_iter().map(|(name, value)| (name, value.into()));
                (
                    Arc::new(Frame::new(path, values.collect(), parent.cloned())),
                    None,
                )
            }
            None => self.evaluator().variables(component, path, parent, given),
        })
    }

    /// Executes a component whose variables have been evaluated.
    async fn enter(
        self: &Arc<Self>,
        component: &Component,
        path: &HierarchyPath,
        (frame, error): (&Arc<Frame>, Option<ErrorInfo>),
        stops: Stops<'_>,
        (side, effects): (Side, &Effects),
    ) -> Result<Ended, RunError> {
        let phase = stops.phase;
        let values = self.recorded_variables(path, frame)?;
        let entered = self.driver.enter_component(path, component.kind, values)?;
        let entered = &self.kept(entered, stops.branch);
        let inside = Inside {
            frame,
            entered,
            stop: stops.own,
            phase,
            side,
            effects,
            branch: stops.branch,
        };
        let mut all = Ended::nothing();
        let facts = match error {
            Some(error) => {
                all.fail(path, error);
                Facts::default()
            }
            None => self.within_limit(component, inside, &mut all).await?,
        };
        // What waits has not come to its end.
        if let Content::Sequence { elements, finally } = &component.content
            && all.status != StepStatus::Waiting
            && !finally.is_empty()
        {
            let inside = Inside {
                phase: Phase::Finally(path),
                stop: &self.driver.ended_at_once().child_token(),
                ..inside
            };
            let mut passed = self.is_passed(elements, inside);
            all.add(self.finally(finally, inside, &mut passed).await?);
        }
        // Also if the cancel came when only `finally` was left, or what was stopped had finished all the same.
        if all.status != StepStatus::Waiting && self.driver.is_cancelled_at(path, phase.shield()) {
            all.cancel();
        }
        self.leave(component, entered, all, (facts, stops))
    }

    /// A component, iteration or branch with its directory open, unless many of them may be entered at the same time.
    pub(crate) fn kept(&self, entered: EnteredComponent, branch: Option<&Arc<Branch>>) -> EnteredComponent {
        match branch {
            None => entered,
            Some(_) => self.driver.without_descriptor(entered),
        }
    }

    /// Notes how a component ended, and what that means for the one around it.
    fn leave(
        &self,
        component: &Component,
        entered: &EnteredComponent,
        mut all: Ended,
        (facts, stops): (Facts, Stops<'_>),
    ) -> Result<Ended, RunError> {
        let absorbed = absorbs(component.options.on_error, all.status, stops.around);
        self.driver.leave_component(
            entered,
            &ComponentEnd {
                status: all.status,
                totals: all.totals,
                first_failures: &all.failures,
                iterations: facts.iterations,
                branch: facts.branch,
                absorbed,
            },
        )?;
        if all.status != StepStatus::Waiting {
            for name in &component.options.post_events {
                self.driver
                    .custom(name, Some(&entered.path), serde_json::Value::Null)?;
            }
        }
        if absorbed {
            all.status = StepStatus::Completed;
            all.failures.clear();
        }
        Ok(all)
    }

    /// Executes what is in a component; at its time limit nothing more is begun, and what executes is to stop.
    async fn within_limit(
        self: &Arc<Self>,
        component: &Component,
        inside: Inside<'_>,
        all: &mut Ended,
    ) -> Result<Facts, RunError> {
        let Some(limit) = inside
            .phase
            .limit(component.options.timeout, &inside.entered.path)
        else {
            return self.content(component, inside, all).await;
        };
        let cancelled = inside.stop;
        let stop = &cancelled.child_token();
        let inside = Inside { stop, ..inside };
        let mut content = Box::pin(self.content(component, inside, all));
        let facts = tokio::select! {
            biased;
            facts = &mut content => return facts,
            () = tokio::time::sleep(limit) => {
                let path = &inside.entered.path;
                let within = dad_core::format_duration(limit);
                self.stop_at(path, inside.stop, format!("`{path}` did not finish within {within}"));
                content.await?
            }
        };
        // What ended well all the same did so in time.
        if all.status == StepStatus::Cancelled && !cancelled.is_cancelled() {
            let limit = dad_core::format_duration(limit);
            let message = format!("what is in it did not finish within {limit}");
            all.status = StepStatus::TimedOut;
            // It comes before the steps that were stopped because of it.
            all.failures.insert(
                0,
                FirstFailure {
                    path: inside.entered.path.clone(),
                    error: ErrorInfo::new("timed_out", message),
                },
            );
        }
        Ok(facts)
    }

    async fn content(
        self: &Arc<Self>,
        component: &Component,
        inside: Inside<'_>,
        all: &mut Ended,
    ) -> Result<Facts, RunError> {
        match &component.content {
            Content::Sequence { elements, .. } => {
                self.list(elements, inside, &mut false, all).await?;
                Ok(Facts::default())
            }
            Content::Parallel { elements } => {
                self.at_once(elements, inside, all).await?;
                Ok(Facts::default())
            }
            Content::Conditional { .. } => self.conditional(component, inside, all).await,
            Content::ForEach(for_each) => self.for_each(component, for_each, inside, all).await,
            Content::Repeat(repeat) => self.repeat(component, repeat, inside, all).await,
            _ => Err(unsupported(&component.path)),
        }
    }

    /// Elements in order, up to the first that does not end well, which is given.
    pub(crate) async fn list<'e>(
        self: &Arc<Self>,
        elements: &'e [ProgramElement],
        inside: Inside<'_>,
        passed: &mut bool,
        all: &mut Ended,
    ) -> Result<Option<&'e ProgramElement>, RunError> {
        for element in elements {
            let path = inside.entered.path.child(element.id());
            let side = inside.side.of_child(&path, self.entry_point.as_ref(), passed);
            let ended = self.element(element, path, Inside { side, ..inside }).await?;
            let goes_on = ended.status == StepStatus::Completed;
            all.add(ended);
            if !goes_on {
                return Ok(Some(element));
            }
        }
        Ok(None)
    }

    /// The `finally` of a component. What a stop leaves of it undone is recorded.
    async fn finally(
        self: &Arc<Self>,
        elements: &[ProgramElement],
        inside: Inside<'_>,
        passed: &mut bool,
    ) -> Result<Ended, RunError> {
        let mut ended = Ended::nothing();
        let stopped_at = self.list(elements, inside, passed, &mut ended).await?;
        if let Some(element) = stopped_at
            && inside.stop.is_cancelled()
        {
            let component = &inside.entered.path;
            let element = component.child(element.id());
            tracing::warn!(
                "the `finally` of `{component}` did not finish: `{element}` was stopped, and nothing behind it executes"
            );
        }
        Ok(ended)
    }

    /// Whether the entry point is one of these elements, or in one.
    fn is_passed(&self, elements: &[ProgramElement], inside: Inside<'_>) -> bool {
        let Some(entry) = &self.entry_point else {
            return false;
        };
        elements
            .iter()
            .any(|element| entry.path.is_within(&inside.entered.path.child(element.id())))
    }

    /// Elements at the same time; one that fails lets the others finish.
    async fn at_once(
        self: &Arc<Self>,
        elements: &[ProgramElement],
        inside: Inside<'_>,
        all: &mut Ended,
    ) -> Result<(), RunError> {
        let mut passed = false;
        let branches: Vec<Effects> = elements.iter().map(|_| inside.effects.branch()).collect();
        let placed = elements.iter().zip(&branches).map(|(element, effects)| {
            let path = inside.entered.path.child(element.id());
            let side = inside
                .side
                .of_child(&path, self.entry_point.as_ref(), &mut passed);
            (element, effects, path, side)
        });
        let walk = |(number, (element, effects, path, side)), branch: Arc<Branch>| async move {
            let inside = Inside {
                side,
                effects,
                branch: Some(&branch),
                ..inside
            };
            (number, self.element(element, path, inside).await)
        };
        let mut ended = Vec::new();
        let room = self.branches(MOST_PARALLEL, inside.branch);
        room.execute(placed.enumerate(), walk, |branch| ended.push(branch))
            .await;
        // In the order of the definition, whichever ended first.
        ended.sort_by_key(|(number, _)| *number);
        for (_, ended) in ended {
            all.add(ended?);
        }
        branches
            .iter()
            .filter_map(Effects::first)
            .take(1)
            .for_each(|first| inside.effects.note(first));
        Ok(())
    }

    /// The branches of a concurrent component.
    pub(crate) fn branches<'a>(&'a self, limit: usize, around: Option<&'a Arc<Branch>>) -> Branches<'a> {
        Branches {
            limit,
            steps: self.descriptors.steps(),
            around,
            busy: &self.busy,
        }
    }

    async fn element(
        self: &Arc<Self>,
        element: &ProgramElement,
        path: HierarchyPath,
        inside: Inside<'_>,
    ) -> Result<Ended, RunError> {
        if inside.side == Side::Outside {
            return Ok(Ended::nothing());
        }
        if self.is_stopped(inside) {
            return Ok(Ended::pending(StepStatus::Cancelled));
        }
        match element {
            ProgramElement::Node(node) => take_step(self, node, path, inside).await,
            ProgramElement::Component(component) => self.component(component, path, inside).await,
            other => Err(unsupported(other.path())),
        }
    }

    fn recorded_variables(
        &self,
        path: &HierarchyPath,
        frame: &Frame,
    ) -> Result<Clean<Map<String, serde_json::Value>>, RunError> {
        let values = frame.to_json().map_err(|error| RunError::Unrecordable {
            what: format!("a variable of `{path}`"),
            reason: error.to_string(),
        });
        Ok(Clean::render(values?, &self.run.secrets().redactor()))
    }
}

impl Ended {
    pub(crate) fn nothing() -> Self {
        Self {
            status: StepStatus::Completed,
            totals: Totals::default(),
            failures: Vec::new(),
        }
    }

    /// Comes to rest without having begun.
    pub(crate) fn pending(status: StepStatus) -> Self {
        Self {
            status,
            ..Self::nothing()
        }
    }

    pub(crate) fn add(&mut self, part: Self) {
        self.totals.add(&part.totals);
        self.failures.extend(part.failures);
        // The component's own record names only the first ones, so no more are carried upward.
        self.failures.truncate(10);
        // A failure tells more than that something waits, and both more than that others ended well.
        let says_more = self.status == StepStatus::Completed
            || (self.status == StepStatus::Waiting && part.status.is_failure());
        if says_more {
            self.status = part.status;
        }
    }

    /// Notes that it was stopped from outside.
    pub(crate) fn cancel(&mut self) {
        if !self.status.is_failure() {
            self.status = StepStatus::Cancelled;
        }
    }

    pub(crate) fn fail(&mut self, path: &HierarchyPath, error: ErrorInfo) {
        self.status = StepStatus::Failed;
        self.failures.push(FirstFailure {
            path: path.clone(),
            error,
        });
    }
}

/// An element this version has no road for; definitions that hold one do not compile.
pub(crate) fn unsupported(path: &HierarchyPath) -> RunError {
    RunError::Unreadable {
        path: path.to_relative_dir(),
        reason: "elements of this kind cannot be executed".to_owned(),
    }
}

/// What selectors of the plan mean; what the definition no longer has is asked for in vain.
fn selected(selectors: &[String], run: &RunHandle) -> Vec<Selected> {
    selectors
        .iter()
        .filter_map(|selector| run.program().select(&selector.parse().ok()?).ok())
        .collect()
}
