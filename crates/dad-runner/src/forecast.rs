//! The forecast of a re-run without an entry point. Every step whose inputs are certain is rendered with the results of the
//! previous run, and decided; the others depend on those that are not.

use std::collections::HashMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use dad_core::{Fingerprint, HierarchyPath, Usage};
use dad_definition::{
    Component, Content, Expression, ForEachLoop, NodeElement, ProgramElement, References, RepeatLoop,
};
use dad_run::driver::variables_of;
use dad_run::reuse::{
    Child, EntryRelation, Normaliser, Purity, Recalled, Requested, RerunRequests, RunOrder, Verdict,
    origin_of,
};
use dad_run::{
    Decision, PlannedAnswer, PlannedStep, PreparedRun, Reason, RerunPlan, RunError, RunPreview, RunScope,
    RunView,
};
use dad_template::Value;
use parking_lot::Mutex;
use serde_json::Map;

use crate::ask::asker::{AskedIn, Asker};
use crate::ask::subject::Subjects;
use crate::node::registry::NodeRegistry;
use crate::node::traits::BindContext;
use crate::render::evaluate::{EvaluatedVariables, Evaluator};
use crate::render::scope::{Evidence, Frame, ResultCache, read_name};
use crate::step::decision::{Comparison, Decided};
use crate::step::fingerprint::Fingerprinted;

/// The steps that a forecast renders at most; later ones are decided when the re-run reaches them.
const MAX_RENDERED: usize = 1000;

/// Refines the plan of a re-run that has no entry point, and checks that every step that may execute has its requirements.
/// Nothing is executed, and no person is asked.
///
/// # Errors
/// If the previous run cannot be read; [`SetupError::NotReady`](dad_run::SetupError::NotReady) if a step lacks a requirement, such as the key of a model.
pub async fn forecast(prepared: &mut PreparedRun, registry: &NodeRegistry) -> Result<(), RunError> {
    let plan = prepared.plan().filter(|plan| plan.entry_point.is_none());
    if let Some((plan, preview)) = plan.zip(prepared.rerun_preview()) {
        let (steps, answers) = Forecast::new(&preview, registry, plan).look().await?;
        prepared.refine_plan(steps, answers);
    }
    registry.check_requirements(prepared)
}

/// The results that a re-run will have: those of the previous run, some of them from another iteration.
struct Shifted<'a> {
    preview: &'a RunPreview,
    /// The places of results that the previous run has in another iteration, by the place in the re-run.
    moved: Mutex<HashMap<HierarchyPath, HierarchyPath>>,
}

impl Evidence for Shifted<'_> {
    fn scope(&self) -> &RunScope {
        self.preview.scope()
    }

    fn root_path(&self) -> HierarchyPath {
        self.preview.program().root.path.clone()
    }

    fn run_dir(&self) -> &Path {
        self.preview.run_dir()
    }

    fn read_result(&self, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
        let moved = self.moved.lock();
        let from = moved.get(path).unwrap_or(path);
        self.preview
            .results()
            .map_or(Ok(None), |view| view.result_bytes(from))
    }
}

struct Forecast<'a> {
    preview: &'a RunPreview,
    registry: &'a NodeRegistry,
    shifted: Arc<Shifted<'a>>,
    cache: ResultCache,
    normaliser: Normaliser,
    order: RunOrder,
    requests: RerunRequests,
    steps: Vec<PlannedStep>,
    answers: Vec<PlannedAnswer>,
    /// Steps whose results will change, or may change.
    unsure: Vec<HierarchyPath>,
    effects: EffectForecast,
}

/// The first step with an effect before a place, as the executor finds it: concurrent branches do not see the effects of each
/// other.
#[derive(Clone, Debug, Default)]
struct EffectForecast {
    /// A step that will execute, or may execute.
    first: Option<HierarchyPath>,
    /// Whether it certainly executes.
    is_certain: bool,
}

impl EffectForecast {
    /// Notes a step with an effect. A step that certainly executes counts before one that may.
    fn note(&mut self, step: &HierarchyPath, is_certain: bool) {
        if self.first.is_none() || (is_certain && !self.is_certain) {
            self.first = Some(step.clone());
            self.is_certain = is_certain;
        }
    }

    /// Adds the effects of a branch that has been looked at.
    fn join(&mut self, branch: &Self) {
        if let Some(step) = &branch.first {
            self.note(step, branch.is_certain);
        }
    }
}

/// The surroundings of elements.
#[derive(Clone, Copy)]
struct Around<'f> {
    path: &'f HierarchyPath,
    frame: &'f Arc<Frame>,
    /// The steps and components that decide whether they are reached, or their variables.
    waits_for: &'f [HierarchyPath],
    /// Whether they are reached in any case.
    is_reached: bool,
}

/// The iterations of a loop.
#[derive(Clone, Copy)]
struct Iterations<'a> {
    component: &'a Component,
    body: &'a [ProgramElement],
    /// The condition that ends the loop after an iteration.
    until: Option<&'a Expression>,
    /// The most iterations that there are.
    count: u64,
    /// Whether they execute at the same time.
    is_concurrent: bool,
}

/// The surroundings of a component.
struct Outside<'f> {
    parent: Option<&'f Arc<Frame>>,
    waits_for: Vec<HierarchyPath>,
    is_reached: bool,
}

/// A step whose settings and input are certain.
struct RenderedStep {
    fingerprint: Fingerprint,
    first_version: Fingerprint,
    purity: Purity,
}

/// The forecast about a step.
struct StepForecast {
    decision: Decision,
    reason: Reason,
    /// The usage that its reuse saves.
    saves: Usage,
    purity: Purity,
}

impl StepForecast {
    /// A step that is decided when the re-run reaches it, because it depends on other steps.
    fn later(paths: Vec<HierarchyPath>, purity: Purity) -> Self {
        Self {
            decision: Decision::DependsOn { paths },
            reason: Reason::DecidedLater,
            saves: Usage::default(),
            purity,
        }
    }
}

/// The forecast of an input.
enum InputForecast {
    Given(Option<serde_json::Value>),
    /// The step or component will ask for it.
    Asked,
}

type BoxedLook<'a> = Pin<Box<dyn Future<Output = Result<(), RunError>> + Send + 'a>>;

impl<'a> Forecast<'a> {
    fn new(preview: &'a RunPreview, registry: &'a NodeRegistry, plan: &RerunPlan) -> Self {
        let program = preview.program();
        let parent = preview.results();
        let here = preview.place();
        let places = parent.into_iter().flat_map(RunView::places).chain([here]);
        Self {
            preview,
            registry,
            shifted: Arc::new(Shifted {
                preview,
                moved: Mutex::default(),
            }),
            cache: ResultCache::default(),
            normaliser: Normaliser::of_places(places.chain(plan.ancestors.iter().cloned())),
            order: RunOrder::default(),
            requests: RerunRequests::new(Some(plan), program),
            steps: Vec::new(),
            answers: Vec::new(),
            unsure: Vec::new(),
            effects: EffectForecast::default(),
        }
    }

    async fn look(mut self) -> Result<(Vec<PlannedStep>, Vec<PlannedAnswer>), RunError> {
        let root = &self.preview.program().root;
        let path = root.path.clone();
        let inside = Outside {
            parent: None,
            waits_for: Vec::new(),
            is_reached: true,
        };
        self.component(root, path, inside).await?;
        Ok((self.steps, self.answers))
    }

    /// The forecast of the input of a step or component of which everything that it reads is certain.
    fn input(
        &mut self,
        asker: Asker<'_>,
        path: &HierarchyPath,
        around: Option<&Arc<Frame>>,
    ) -> Result<InputForecast, RunError> {
        if let Some(given) = self.preview.given_input(path).filter(|_| around.is_some()) {
            return Ok(InputForecast::Given(Some(given.value.clone())));
        }
        let subjects = Subjects {
            asked_in: AskedIn {
                program: self.preview.program(),
                types: self.registry,
                given: &self.preview.scope().given_variables,
            },
            evaluator: Evaluator {
                run: &*self.shifted,
                cache: &self.cache,
            },
            normaliser: &self.normaliser,
            salt: self.preview.results().and_then(RunView::salt).unwrap_or_default(),
        };
        if !asker.asks(&subjects.asked_in) {
            return Ok(InputForecast::Given(None));
        }
        let Some(parent) = self.preview.results() else {
            return Ok(InputForecast::Asked);
        };
        let subject = subjects.of(asker, path, around);
        let mut planned = PlannedAnswer::new(path.clone());
        let input = match parent.recall(path, &subject, self.requests.of_answer(path)) {
            Recalled::Answer { path, by } => {
                planned.by = Some(by);
                let input = parent.input(&path)?;
                planned.from = Some(path);
                InputForecast::Given(input)
            }
            Recalled::Asks { because, .. } => {
                planned.asked_again = because;
                InputForecast::Asked
            }
        };
        self.answers.push(planned);
        Ok(input)
    }

    /// The referenced steps whose results may not be those of the previous run.
    fn unsure_of(&self, references: &References, asker: &HierarchyPath) -> Vec<HierarchyPath> {
        let mut found = Vec::new();
        for (_, target) in references.iter() {
            let name = read_name(target, asker);
            let exact: Option<HierarchyPath> = name.parse().ok();
            let meant = |unsure: &&HierarchyPath| match &exact {
                Some(exact) => unsure.is_within(exact),
                None => unsure.without_iterations().is_within(&target.path),
            };
            found.extend(self.unsure.iter().filter(meant).cloned());
        }
        found.sort();
        found.dedup();
        found
    }

    fn component<'s>(
        &'s mut self,
        component: &'s Component,
        path: HierarchyPath,
        outside: Outside<'s>,
    ) -> BoxedLook<'s> {
        Box::pin(async move {
            let Outside {
                parent,
                mut waits_for,
                is_reached,
            } = outside;
            waits_for.extend(self.unsure_of(&component.references, &path));
            let mut given = Map::new();
            if waits_for.is_empty() {
                match self.input(Asker::Component(component), &path, parent)? {
                    InputForecast::Given(input) => {
                        given = input.as_ref().map(variables_of).unwrap_or_default();
                    }
                    InputForecast::Asked => waits_for.push(path.clone()),
                }
            }
            if parent.is_none() {
                given.extend(self.preview.scope().given_variables.clone());
            }
            let shifted = Arc::clone(&self.shifted);
            let evaluator = Evaluator {
                run: &*shifted,
                cache: &self.cache,
            };
            let EvaluatedVariables { frame, error } = evaluator.variables(component, &path, parent, &given);
            if error.is_some() && waits_for.is_empty() {
                waits_for.push(path.clone());
            }
            let around = Around {
                path: &path,
                frame: &frame,
                waits_for: &waits_for,
                is_reached,
            };
            match &component.content {
                Content::Sequence { elements, finally } => {
                    self.body(elements, around).await?;
                    self.body(finally, around).await
                }
                Content::Parallel { elements } => self.parallel(elements, around).await,
                Content::Conditional {
                    statement,
                    true_branch,
                    false_branch,
                } => {
                    let bodies = [(true, &true_branch[..]), (false, &false_branch[..])];
                    self.conditional(statement, component, bodies, around).await
                }
                Content::ForEach(for_each) => self.for_each(component, for_each, around).await,
                Content::Repeat(repeat) => self.repeat(component, repeat, around).await,
                _ => Ok(()),
            }
        })
    }

    async fn conditional(
        &mut self,
        statement: &Expression,
        component: &Component,
        bodies: [(bool, &[ProgramElement]); 2],
        around: Around<'_>,
    ) -> Result<(), RunError> {
        let taken = self.condition(statement, component, around);
        for (branch, body) in bodies {
            let part = self
                .order
                .branch(around.path, EntryRelation::NoEntryPoint, branch);
            let path = &part.path;
            match taken {
                Some(taken) if taken != branch => {}
                Some(_) => self.body(body, Around { path, ..around }).await?,
                None => {
                    let control = std::slice::from_ref(around.path);
                    self.body(body, later(path, around, control)).await?;
                }
            }
        }
        Ok(())
    }

    /// The value of a condition, if that is certain.
    fn condition(&self, expression: &Expression, component: &Component, around: Around<'_>) -> Option<bool> {
        let is_sure =
            around.waits_for.is_empty() && self.unsure_of(&expression.references, around.path).is_empty();
        let evaluator = Evaluator {
            run: &*self.shifted,
            cache: &self.cache,
        };
        let evaluated = || evaluator.condition("", expression, component, around.path, around.frame);
        is_sure.then(evaluated)?.ok()
    }

    async fn for_each(
        &mut self,
        component: &Component,
        for_each: &ForEachLoop,
        around: Around<'_>,
    ) -> Result<(), RunError> {
        let statement = &for_each.statement.references;
        let is_sure = around.waits_for.is_empty() && self.unsure_of(statement, around.path).is_empty();
        let shifted = Arc::clone(&self.shifted);
        let evaluator = Evaluator {
            run: &*shifted,
            cache: &self.cache,
        };
        let over = || {
            evaluator
                .over(component, for_each, around.path, around.frame)
                .ok()
        };
        let Some(over) = is_sure.then(over).flatten() else {
            return self.undecided(&for_each.body, around).await;
        };
        let frame = |iteration: u64| {
            let variables = over.variables(for_each, iteration);
            Frame::new(
                &around.path.iteration(iteration),
                variables,
                Some(Arc::clone(around.frame)),
            )
        };
        let until = for_each.until.as_ref();
        let iterations = Iterations {
            component,
            body: &for_each.body,
            until,
            count: over.items.len(),
            is_concurrent: for_each.max_concurrency > 1,
        };
        self.iterations(iterations, &frame, around).await
    }

    async fn repeat(
        &mut self,
        component: &Component,
        repeat: &RepeatLoop,
        around: Around<'_>,
    ) -> Result<(), RunError> {
        if !around.waits_for.is_empty() {
            return self.undecided(&repeat.body, around).await;
        }
        let frame = |pass: u64| {
            let variables = vec![(repeat.index_var.clone(), Value::from(pass))];
            Frame::new(
                &around.path.iteration(pass),
                variables,
                Some(Arc::clone(around.frame)),
            )
        };
        let iterations = Iterations {
            component,
            body: &repeat.body,
            until: Some(&repeat.until),
            count: repeat.max_iterations,
            is_concurrent: false,
        };
        self.iterations(iterations, &frame, around).await
    }

    /// Looks at iterations, as long as it is certain that another one follows.
    async fn iterations(
        &mut self,
        iterations: Iterations<'_>,
        frame: &(dyn Fn(u64) -> Frame + Send + Sync),
        around: Around<'_>,
    ) -> Result<(), RunError> {
        let Iterations {
            component,
            body,
            until,
            count,
            is_concurrent,
        } = iterations;
        let before = is_concurrent.then(|| self.effects.clone());
        let mut after = self.effects.clone();
        for iteration in 0..count {
            if self.steps.len() >= MAX_RENDERED {
                self.effects = after;
                return self.undecided(body, around).await;
            }
            let relation = EntryRelation::NoEntryPoint;
            let part = self.order.iteration(around.path, relation, iteration);
            let frame = &Arc::new(frame(iteration));
            let inside = Around {
                path: &part.path,
                frame,
                ..around
            };
            if let Some(before) = &before {
                self.effects.clone_from(before);
            }
            self.body(body, inside).await?;
            after.join(&self.effects);
            match until.map(|until| self.condition(until, component, inside)) {
                None | Some(Some(false)) => {}
                Some(Some(true)) => break,
                Some(None) => {
                    self.effects = after;
                    return self.undecided(body, around).await;
                }
            }
        }
        self.effects = after;
        Ok(())
    }

    /// Looks at the body of a loop whose number of iterations is not certain.
    async fn undecided(&mut self, body: &[ProgramElement], around: Around<'_>) -> Result<(), RunError> {
        let control = std::slice::from_ref(around.path);
        self.body(body, later(around.path, around, control)).await
    }

    async fn body(&mut self, elements: &[ProgramElement], around: Around<'_>) -> Result<(), RunError> {
        let relation = EntryRelation::NoEntryPoint;
        let children: Vec<Child<'_>> = self.order.elements(elements, around.path, relation).collect();
        for child in children {
            self.element(child, around).await?;
        }
        Ok(())
    }

    async fn parallel(&mut self, elements: &[ProgramElement], around: Around<'_>) -> Result<(), RunError> {
        let relation = EntryRelation::NoEntryPoint;
        let children: Vec<Child<'_>> = self.order.elements(elements, around.path, relation).collect();
        let before = self.effects.clone();
        let mut after = before.clone();
        for child in children {
            self.effects.clone_from(&before);
            self.element(child, around).await?;
            after.join(&self.effects);
        }
        self.effects = after;
        Ok(())
    }

    async fn element(&mut self, child: Child<'_>, around: Around<'_>) -> Result<(), RunError> {
        match child.element {
            ProgramElement::Node(node) => self.step(node, child.path, around).await,
            ProgramElement::Component(component) => {
                let outside = Outside {
                    parent: Some(around.frame),
                    waits_for: around.waits_for.to_vec(),
                    is_reached: around.is_reached,
                };
                self.component(component, child.path, outside).await
            }
            _ => Ok(()),
        }
    }

    async fn step(
        &mut self,
        node: &NodeElement,
        path: HierarchyPath,
        around: Around<'_>,
    ) -> Result<(), RunError> {
        let mut waits_for = around.waits_for.to_vec();
        waits_for.extend(self.unsure_of(&node.references, &path));
        let forecast = match self.rendered(node, &path, around, &waits_for).await? {
            Some(rendered) => self.decided(node, &path, &rendered),
            // Whatever settings and input it will have.
            None if around.is_reached
                && let Some(reason) = self.requested_reason(&path) =>
            {
                StepForecast {
                    decision: Decision::Execute,
                    reason,
                    saves: Usage::default(),
                    purity: self.guessed_purity(node).await,
                }
            }
            None => {
                waits_for.sort();
                waits_for.dedup();
                StepForecast::later(waits_for, self.guessed_purity(node).await)
            }
        };
        self.plan(path, forecast);
        Ok(())
    }

    /// The decision about a step whose fingerprint is certain.
    fn decided(&self, node: &NodeElement, path: &HierarchyPath, step: &RenderedStep) -> StepForecast {
        let parent = self.preview.results();
        let comparison = Comparison {
            previous_run: parent,
            node,
            path,
            relation: EntryRelation::NoEntryPoint,
            requested: self.requests.of_step(path),
            after_effect: self.effects.is_certain,
        };
        let purity = step.purity;
        let Decided {
            verdict,
            reason,
            previous,
            ..
        } = comparison.decide(step.fingerprint, || step.first_version, purity);
        let (Verdict::Reuse, Some(previous), Some(parent)) = (verdict, previous, parent) else {
            return StepForecast {
                decision: Decision::Execute,
                reason,
                saves: Usage::default(),
                purity,
            };
        };
        let may_follow_effect = purity != Purity::Pure && reason != Reason::ReuseAlways;
        if let Some(effect) = self.effects.first.as_ref().filter(|_| may_follow_effect) {
            return StepForecast::later(vec![effect.clone()], purity);
        }
        if previous.path != *path {
            let mut moved = self.shifted.moved.lock();
            moved.insert(path.clone(), previous.path.clone());
        }
        StepForecast {
            decision: Decision::Reuse {
                origin: origin_of(previous, &parent.run_id),
            },
            reason,
            saves: previous.consumed(),
            purity,
        }
    }

    /// Adds a step to the plan, and to the steps on which later ones depend.
    fn plan(&mut self, path: HierarchyPath, forecast: StepForecast) {
        let StepForecast {
            decision,
            reason,
            saves,
            purity,
        } = forecast;
        if !matches!(decision, Decision::Reuse { .. }) {
            self.unsure.push(path.clone());
            if purity == Purity::Effect {
                let is_certain = matches!(decision, Decision::Execute);
                self.effects.note(&path, is_certain);
            }
        }
        self.steps.push({
            let mut planned_step = PlannedStep::new(path, decision, reason);
            planned_step.saves = saves;
            planned_step
        });
    }

    /// A step with its settings and input, if they are certain.
    async fn rendered(
        &mut self,
        node: &NodeElement,
        path: &HierarchyPath,
        around: Around<'_>,
        waits_for: &[HierarchyPath],
    ) -> Result<Option<RenderedStep>, RunError> {
        if !waits_for.is_empty() || self.steps.len() >= MAX_RENDERED {
            return Ok(None);
        }
        let InputForecast::Given(input) = self.input(Asker::Node(node), path, Some(around.frame))? else {
            return Ok(None);
        };
        let evaluator = Evaluator {
            run: &*self.shifted,
            cache: &self.cache,
        };
        let rendered = evaluator.settings(node, path, around.path, around.frame, input.as_ref());
        let (Ok(rendered), Some(executor)) = (rendered, self.registry.leaf(node)) else {
            return Ok(None);
        };
        let cx = BindContext::new(rendered.prepared.as_ref());
        let Ok(bound) = executor.bind(&rendered.settings, input.as_ref(), &cx) else {
            return Ok(None);
        };
        let Ok(world) = bound.world().await else {
            return Ok(None);
        };
        let fingerprinted = Fingerprinted {
            node_type: &node.node_type,
            version: node.version,
            rendered: &rendered,
            input: input.as_ref(),
            world: &world,
        };
        let salt = self.preview.results().and_then(RunView::salt);
        Ok(Some(RenderedStep {
            fingerprint: fingerprinted.fingerprint(&self.normaliser, &*bound, salt.unwrap_or_default()),
            first_version: fingerprinted.first_version(&self.normaliser, &*bound),
            purity: world.purity(),
        }))
    }

    /// The purity of a step whose settings are not known yet; an effect if that depends on them.
    async fn guessed_purity(&self, node: &NodeElement) -> Purity {
        let Some(executor) = self.registry.leaf(node) else {
            return Purity::Effect;
        };
        match executor.bind(&node.unrendered, None, &BindContext::default()) {
            Ok(bound) => bound.world().await.map_or(Purity::Effect, |world| world.purity()),
            Err(_) => Purity::Effect,
        }
    }

    fn requested_reason(&self, path: &HierarchyPath) -> Option<Reason> {
        match self.requests.of_step(path) {
            Requested::Nothing => None,
            Requested::Execute => Some(Reason::Asked),
            Requested::Fresh => Some(Reason::Fresh),
        }
    }
}

/// The surroundings of elements that are reached only by one outcome of a conditional or loop.
fn later<'f>(path: &'f HierarchyPath, around: Around<'f>, control: &'f [HierarchyPath]) -> Around<'f> {
    let waits_for = if around.waits_for.is_empty() {
        control
    } else {
        around.waits_for
    };
    Around {
        path,
        waits_for,
        is_reached: false,
        ..around
    }
}
