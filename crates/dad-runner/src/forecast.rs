//! What a re-run without an entry point will do, found out before it begins: every step whose results are certain is
//! rendered with what the previous run has, and decided; the others depend on those.

use std::collections::HashMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use dad_core::{HierarchyPath, Usage};
use dad_definition::{
    Component, Content, Expression, ForEachLoop, NodeElement, ProgramElement, References, RepeatLoop,
    Selected,
};
use dad_run::{
    AnswerWish, Asked, Decision, Facts, Fit, Kind, Known, Normaliser, PlannedAnswer, PlannedStep,
    PreparedRun, Reason, Recalled, RerunPlan, RunError, RunPreview, RunScope, RunView, Side, Verdict, decide,
    origin_of, variables_of,
};
use dad_template::Value;
use serde_json::Map;

use crate::ask::input::Asker;
use crate::ask::subject::{AskedIn, Subjects};
use crate::node::registry::NodeRegistry;
use crate::node::traits::BindContext;
use crate::render::evaluate::Evaluator;
use crate::render::scope::{Evidence, Frame, ResultCache, read_name};
use crate::step::fingerprint::{Fingerprinted, fitting};

/// No more steps are rendered; those behind are decided when the re-run is there.
const MOST_STEPS: usize = 1000;

/// Looks ahead at a run: puts what a re-run will do into its plan, unless an entry point says it, and checks that what executes
/// has what it needs. Nothing is executed, and no person is asked.
///
/// # Errors
/// If the previous run cannot be read; [`RunError::NotReady`] if a step lacks something, such as a model that can be asked.
pub async fn forecast(prepared: &mut PreparedRun, registry: &NodeRegistry) -> Result<(), RunError> {
    let plan = prepared.plan().filter(|plan| plan.entry_point.is_none());
    if let Some((plan, preview)) = plan.zip(prepared.rerun_preview()) {
        let (steps, answers) = Forecast::new(&preview, registry, plan).look().await?;
        prepared.refine_plan(steps, answers);
    }
    registry.check_start(prepared)
}

/// What a re-run will have: results of the previous run, some of them in another iteration.
struct Shifted<'a> {
    preview: &'a RunPreview,
    /// Where the previous run has the result of a step, if not at the same place.
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
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
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
    fresh: bool,
    execute: Vec<Selected>,
    /// What is asked again.
    ask: Vec<Selected>,
    /// What takes the answers of the previous run whatever was asked.
    reuse_answers: Vec<Selected>,
    steps: Vec<PlannedStep>,
    answers: Vec<PlannedAnswer>,
    /// Steps whose results will be others, or may be.
    unsure: Vec<HierarchyPath>,
    /// The first step with an effect that will execute, or may.
    effect: Option<HierarchyPath>,
    /// Whether it certainly will.
    effect_is_certain: bool,
}

/// Where elements stand.
#[derive(Clone, Copy)]
struct Around<'f> {
    path: &'f HierarchyPath,
    frame: &'f Arc<Frame>,
    /// What decides whether they are reached at all, or what their variables are.
    waits_for: &'f [HierarchyPath],
    /// Whether they are reached, whatever is decided on the way.
    is_reached: bool,
}

/// What a component stands in.
struct Outside<'f> {
    parent: Option<&'f Arc<Frame>>,
    waits_for: Vec<HierarchyPath>,
    is_reached: bool,
}

/// A step as it will be.
struct Foreseen {
    fingerprint: dad_core::Fingerprint,
    first_version: dad_core::Fingerprint,
    kind: Kind,
}

/// What a step or component will be given.
enum ForeseenInput {
    Is(Option<serde_json::Value>),
    /// It will ask.
    Asks,
}

type BoxedLook<'a> = Pin<Box<dyn Future<Output = Result<(), RunError>> + Send + 'a>>;

impl<'a> Forecast<'a> {
    fn new(preview: &'a RunPreview, registry: &'a NodeRegistry, plan: &RerunPlan) -> Self {
        let program = preview.program();
        let selected = |selector: &String| program.select(&selector.parse().ok()?).ok();
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
            fresh: plan.fresh,
            execute: plan.execute.iter().filter_map(selected).collect(),
            ask: plan.ask.iter().filter_map(selected).collect(),
            reuse_answers: plan.reuse_answers.iter().filter_map(selected).collect(),
            steps: Vec::new(),
            answers: Vec::new(),
            unsure: Vec::new(),
            effect: None,
            effect_is_certain: false,
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

    /// What a step or component will be given, if all that it reads is certain.
    fn input(
        &mut self,
        asker: Asker<'_>,
        path: &HierarchyPath,
        around: Option<&Arc<Frame>>,
    ) -> Result<ForeseenInput, RunError> {
        if let Some(given) = self.preview.given_input(path).filter(|_| around.is_some()) {
            return Ok(ForeseenInput::Is(Some(given.value.clone())));
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
            return Ok(ForeseenInput::Is(None));
        }
        let Some(parent) = self.preview.results() else {
            return Ok(ForeseenInput::Asks);
        };
        let subject = subjects.of(asker, path, around);
        let mut planned = PlannedAnswer {
            path: path.clone(),
            by: None,
            from: None,
            asked_again: None,
        };
        let input = match parent.recall(path, &subject, self.answer_wish(path)) {
            Recalled::Answer { path, by } => {
                planned.by = Some(by);
                let input = parent.input(&path)?;
                planned.from = Some(path);
                ForeseenInput::Is(input)
            }
            Recalled::Asks { because, .. } => {
                planned.asked_again = because;
                ForeseenInput::Asks
            }
        };
        self.answers.push(planned);
        Ok(input)
    }

    fn answer_wish(&self, path: &HierarchyPath) -> AnswerWish {
        let covers = |selected: &Selected| selected.covers(path);
        match self.reuse_answers.iter().any(covers) {
            _ if self.ask.iter().any(covers) => AnswerWish::AskAgain,
            true => AnswerWish::ByPath,
            false => AnswerWish::SameQuestion,
        }
    }

    /// The places of a list of references whose results are not those of the previous run.
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
                    ForeseenInput::Is(input) => given = input.as_ref().map(variables_of).unwrap_or_default(),
                    ForeseenInput::Asks => waits_for.push(path.clone()),
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
            let (frame, error) = evaluator.variables(component, &path, parent, &given);
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
                    self.list(elements, around).await?;
                    self.list(finally, around).await
                }
                Content::Parallel { elements } => self.list(elements, around).await,
                Content::Conditional {
                    statement,
                    true_branch,
                    false_branch,
                } => {
                    let taken = self.condition(statement, component, around);
                    for (branch, list) in [(true, true_branch), (false, false_branch)] {
                        let part = &path.branch(branch);
                        match taken {
                            Some(taken) if taken != branch => {}
                            Some(_) => self.list(list, Around { path: part, ..around }).await?,
                            None => {
                                self.list(list, later(part, around, std::slice::from_ref(&path)))
                                    .await?;
                            }
                        }
                    }
                    Ok(())
                }
                Content::ForEach(for_each) => self.for_each(component, for_each, around).await,
                Content::Repeat(repeat) => self.repeat(component, repeat, around).await,
                _ => Ok(()),
            }
        })
    }

    /// What a condition comes to, if that is certain.
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
        self.iterations(
            (component, &for_each.body, until),
            over.items.len(),
            &frame,
            around,
        )
        .await
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
        let until = Some(&repeat.until);
        self.iterations(
            (component, &repeat.body, until),
            repeat.max_iterations,
            &frame,
            around,
        )
        .await
    }

    /// Iterations as far as it is certain that there are more.
    async fn iterations(
        &mut self,
        (component, body, until): (&Component, &[ProgramElement], Option<&Expression>),
        count: u64,
        frame: &(dyn Fn(u64) -> Frame + Send + Sync),
        around: Around<'_>,
    ) -> Result<(), RunError> {
        for iteration in 0..count {
            if self.steps.len() >= MOST_STEPS {
                return self.undecided(body, around).await;
            }
            let part = &around.path.iteration(iteration);
            let frame = &Arc::new(frame(iteration));
            let inside = Around {
                path: part,
                frame,
                ..around
            };
            self.list(body, inside).await?;
            match until.map(|until| self.condition(until, component, inside)) {
                None | Some(Some(false)) => {}
                Some(Some(true)) => return Ok(()),
                Some(None) => return self.undecided(body, around).await,
            }
        }
        Ok(())
    }

    /// The body of a loop of which it is not certain how many iterations there are.
    async fn undecided(&mut self, body: &[ProgramElement], around: Around<'_>) -> Result<(), RunError> {
        self.list(
            body,
            later(around.path, around, std::slice::from_ref(around.path)),
        )
        .await
    }

    async fn list(&mut self, elements: &[ProgramElement], around: Around<'_>) -> Result<(), RunError> {
        for element in elements {
            let path = around.path.child(element.id());
            match element {
                ProgramElement::Node(node) => self.step(node, path, around).await?,
                ProgramElement::Component(component) => {
                    let outside = Outside {
                        parent: Some(around.frame),
                        waits_for: around.waits_for.to_vec(),
                        is_reached: around.is_reached,
                    };
                    self.component(component, path, outside).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn step(
        &mut self,
        node: &NodeElement,
        path: HierarchyPath,
        around: Around<'_>,
    ) -> Result<(), RunError> {
        let mut waits_for = around.waits_for.to_vec();
        waits_for.extend(self.unsure_of(&node.references, &path));
        let parent = self.preview.results();
        let (decision, reason, saves, kind) = match self.rendered(node, &path, around, &waits_for).await? {
            Some(Foreseen {
                fingerprint,
                first_version,
                kind,
            }) => {
                let (known, fit) = parent.map_or((None, Fit::Differs), |parent| {
                    fitting(parent, &path, node, (fingerprint, || first_version))
                });
                let (verdict, reason) = decide(&Facts {
                    side: Side::Undecided,
                    known: Known::of(known, node.options.on_error),
                    asked: self.asked(&path),
                    reuse: node.options.reuse,
                    fit,
                    kind,
                    after_effect: self.effect_is_certain,
                });
                let may_be_behind_effect = kind != Kind::Pure && reason != Reason::ReuseAlways;
                match (verdict, known, parent, &self.effect) {
                    (Verdict::Reuse, Some(_), Some(_), Some(effect)) if may_be_behind_effect => {
                        let paths = vec![effect.clone()];
                        (
                            Decision::DependsOn { paths },
                            Reason::DecidedLater,
                            Usage::default(),
                            kind,
                        )
                    }
                    (Verdict::Reuse, Some(known), Some(parent), _) => {
                        if known.path != path {
                            let mut moved = self.shifted.moved.lock().unwrap_or_else(PoisonError::into_inner);
                            moved.insert(path.clone(), known.path.clone());
                        }
                        let origin = origin_of(known, &parent.run_id);
                        (Decision::Reuse { origin }, reason, known.consumed(), kind)
                    }
                    _ => (Decision::Execute, reason, Usage::default(), kind),
                }
            }
            // Whatever it will be given.
            None if around.is_reached
                && let Some(reason) = self.asked_reason(&path) =>
            {
                let kind = self.guessed_kind(node).await;
                (Decision::Execute, reason, Usage::default(), kind)
            }
            None => {
                waits_for.sort();
                waits_for.dedup();
                let decision = Decision::DependsOn { paths: waits_for };
                (
                    decision,
                    Reason::DecidedLater,
                    Usage::default(),
                    self.guessed_kind(node).await,
                )
            }
        };
        if !matches!(decision, Decision::Reuse { .. }) {
            self.unsure.push(path.clone());
            let certain = matches!(decision, Decision::Execute);
            if kind == Kind::Effect && (self.effect.is_none() || (certain && !self.effect_is_certain)) {
                self.effect = Some(path.clone());
                self.effect_is_certain = certain;
            }
        }
        self.steps.push(PlannedStep {
            path,
            decision,
            reason,
            saves,
        });
        Ok(())
    }

    /// What a step will be, if that is certain.
    async fn rendered(
        &mut self,
        node: &NodeElement,
        path: &HierarchyPath,
        around: Around<'_>,
        waits_for: &[HierarchyPath],
    ) -> Result<Option<Foreseen>, RunError> {
        if !waits_for.is_empty() || self.steps.len() >= MOST_STEPS {
            return Ok(None);
        }
        let ForeseenInput::Is(input) = self.input(Asker::Node(node), path, Some(around.frame))? else {
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
        Ok(Some(Foreseen {
            fingerprint: fingerprinted.fingerprint(&self.normaliser, &*bound, salt.unwrap_or_default()),
            first_version: fingerprinted.first_version(&self.normaliser, &*bound),
            kind: world.kind(),
        }))
    }

    /// What kind a step is whose settings are not known yet.
    async fn guessed_kind(&self, node: &NodeElement) -> Kind {
        let Some(executor) = self.registry.leaf(node) else {
            return Kind::Effect;
        };
        match executor.bind(&node.unrendered, None, &BindContext::default()) {
            Ok(bound) => bound.world().await.map_or(Kind::Effect, |world| world.kind()),
            Err(_) => Kind::Effect,
        }
    }

    fn asked_reason(&self, path: &HierarchyPath) -> Option<Reason> {
        match self.asked(path) {
            Asked::Nothing => None,
            Asked::Execute => Some(Reason::Asked),
            Asked::Fresh => Some(Reason::Fresh),
        }
    }

    fn asked(&self, path: &HierarchyPath) -> Asked {
        match self.execute.iter().any(|selected| selected.covers(path)) {
            _ if self.fresh => Asked::Fresh,
            true => Asked::Execute,
            false => Asked::Nothing,
        }
    }
}

/// Elements that are reached only if something else is decided so.
fn later<'f>(path: &'f HierarchyPath, around: Around<'f>, control: &'f [HierarchyPath]) -> Around<'f> {
    let waits_for = match around.waits_for.is_empty() {
        true => control,
        false => around.waits_for,
    };
    Around {
        path,
        waits_for,
        is_reached: false,
        ..around
    }
}
