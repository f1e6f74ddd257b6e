//! Components: what is entered, in which order, and what it comes to.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dad_core::{ErrorInfo, FirstFailure, HierarchyPath, OnError, PathSelector, StepStatus};
use dad_definition::{Component, ProgramElement};
use dad_run::{Decision, EnteredComponent, RunError, RunHandle, Totals};
use dad_template::{Limits, Value};
use serde_json::Map;

use crate::fingerprint::Normaliser;
use crate::registry::NodeRegistry;
use crate::road::take_step;
use crate::scope::{Frame, Place, PlaceScope, ResultCache};

/// What all steps of one run share.
pub(crate) struct Walk {
    pub(crate) run: RunHandle,
    pub(crate) registry: NodeRegistry,
    pub(crate) cache: ResultCache,
    pub(crate) normaliser: Normaliser,
    /// Whether this run has executed a step with an effect.
    pub(crate) effect_executed: AtomicBool,
    plan: HashMap<HierarchyPath, Decision>,
}

/// What a step or component came to. `status` is what it means for the component around it: a failure that was
/// absorbed is completed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: StepStatus,
    pub(crate) totals: Totals,
    pub(crate) failures: Vec<FirstFailure>,
}

/// Whether a cancellation still counts: what stands under `finally` runs to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Body,
    Finally,
}

/// What a run of a whole definition came to.
pub(crate) struct WalkEnded {
    pub(crate) ended: Ended,
    pub(crate) output: Result<Option<serde_json::Value>, ErrorInfo>,
}

type BoxedWalk<'a> = Pin<Box<dyn Future<Output = Result<Ended, RunError>> + Send + 'a>>;

impl Walk {
    pub(crate) fn new(run: RunHandle, registry: NodeRegistry) -> Self {
        let steps = run.plan().map(|plan| plan.steps.as_slice()).unwrap_or_default();
        let plan = steps
            .iter()
            .map(|step| (step.path.clone(), step.decision.clone()))
            .collect();
        Self {
            normaliser: normaliser(&run),
            registry,
            cache: ResultCache::default(),
            effect_executed: AtomicBool::new(false),
            plan,
            run,
        }
    }

    /// What the plan of a re-run says of a step.
    pub(crate) fn planned(&self, path: &HierarchyPath) -> Option<&Decision> {
        self.plan.get(path)
    }

    /// The step that a name means, wherever it stands.
    pub(crate) fn resolve(&self, name: &str) -> Option<HierarchyPath> {
        let paths = self.run.program().paths();
        name.parse::<PathSelector>().ok()?.select(&paths).ok().cloned()
    }

    /// Takes the whole program along.
    pub(crate) async fn root(self: &Arc<Self>) -> Result<WalkEnded, RunError> {
        let program = Arc::clone(self.run.program());
        let given = self.run.scope().given_variables.clone();
        let mut frame = None;
        let ended = self
            .component(&program.root, None, &given, Phase::Body, &mut frame)
            .await?;
        let output = match (&program.output, ended.status, frame) {
            (Some(output), StepStatus::Completed, Some(frame)) => {
                self.output(output, &program.root, &frame).map(Some)
            }
            _ => Ok(None),
        };
        Ok(WalkEnded { ended, output })
    }

    fn output(
        &self,
        output: &dad_definition::Output,
        root: &Component,
        frame: &Frame,
    ) -> Result<serde_json::Value, ErrorInfo> {
        let place = Place {
            id: &root.id,
            path: &root.path,
            component: &root.path,
        };
        let scope = PlaceScope::new((&self.run, &self.cache), frame, &output.references, place);
        let rendered = output.value.render(&scope, &Limits::default());
        rendered.map_err(|error| {
            let mut info = ErrorInfo::from_error("output", &error);
            info.message = format!("`output` cannot be evaluated: {}", info.message);
            info
        })
    }

    fn component<'a>(
        self: &'a Arc<Self>,
        component: &'a Component,
        parent: Option<&'a Arc<Frame>>,
        given: &'a Map<String, serde_json::Value>,
        phase: Phase,
        entered_frame: &'a mut Option<Arc<Frame>>,
    ) -> BoxedWalk<'a> {
        Box::pin(async move {
            let (frame, error) = self.variables(component, parent, given);
            let frame = Arc::new(frame);
            *entered_frame = Some(Arc::clone(&frame));
            let values = self.recorded_variables(component, &frame);
            let entered = self
                .run
                .enter_component(&component.path, component.kind, values)?;
            let mut all = Ended {
                status: StepStatus::Completed,
                totals: Totals::default(),
                failures: Vec::new(),
            };
            match error {
                Some(error) => all.fail(&component.path, error),
                None => {
                    self.elements(&component.elements, &frame, &entered, phase, &mut all)
                        .await?;
                }
            }
            let mut last = Ended {
                status: StepStatus::Completed,
                totals: Totals::default(),
                failures: Vec::new(),
            };
            self.elements(&component.finally, &frame, &entered, Phase::Finally, &mut last)
                .await?;
            all.add(last);
            self.run
                .leave_component(&entered, all.status, all.totals, &all.failures)?;
            if component.options.on_error == OnError::Continue && all.status != StepStatus::Cancelled {
                all.status = StepStatus::Completed;
                all.failures.clear();
            }
            Ok(all)
        })
    }

    /// Elements in order, up to the first that fails or the end of the run.
    async fn elements(
        self: &Arc<Self>,
        elements: &[ProgramElement],
        frame: &Arc<Frame>,
        entered: &EnteredComponent,
        phase: Phase,
        all: &mut Ended,
    ) -> Result<(), RunError> {
        for element in elements {
            if phase == Phase::Body && self.run.cancelled().is_cancelled() {
                all.status = StepStatus::Cancelled;
                return Ok(());
            }
            let ended = match element {
                ProgramElement::Node(node) => take_step(self, node, frame, entered, phase).await?,
                ProgramElement::Component(component) => {
                    self.component(component, Some(frame), &Map::new(), phase, &mut None)
                        .await?
                }
                other => return Err(unsupported(other)),
            };
            let failed = ended.status.is_failure();
            all.add(ended);
            if failed {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Evaluates the variables of a component in their order; each sees those before it.
    fn variables(
        &self,
        component: &Component,
        parent: Option<&Arc<Frame>>,
        given: &Map<String, serde_json::Value>,
    ) -> (Frame, Option<ErrorInfo>) {
        let place = Place {
            id: &component.id,
            path: &component.path,
            component: &component.path,
        };
        let mut values: Vec<(String, Value)> = given
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.clone())))
            .collect();
        for variable in component
            .variables
            .iter()
            .filter(|variable| !given.contains_key(&variable.name))
        {
            let so_far = Frame::new(values, parent.cloned());
            let scope = PlaceScope::new((&self.run, &self.cache), &so_far, &component.references, place);
            let evaluated = variable.value.render(&scope, &Limits::default());
            drop(scope);
            values = so_far.into_variables();
            match evaluated {
                Ok(value) => values.push((variable.name.clone(), Value::from(value))),
                Err(error) => {
                    let mut info = ErrorInfo::from_error("template", &error).at(&component.path);
                    info.message = format!(
                        "the variable `{}` cannot be evaluated: {}",
                        variable.name, info.message
                    );
                    return (Frame::new(values, parent.cloned()), Some(info));
                }
            }
        }
        (Frame::new(values, parent.cloned()), None)
    }

    fn recorded_variables(&self, component: &Component, frame: &Frame) -> Map<String, serde_json::Value> {
        let mut values = frame.to_json();
        let redactor = self.run.secrets().redactor();
        values.values_mut().for_each(|value| redactor.redact_json(value));
        debug_assert!(values.len() <= component.variables.len() + self.run.scope().given_variables.len());
        values
    }
}

impl Ended {
    fn add(&mut self, part: Self) {
        self.totals.add(&part.totals);
        self.failures.extend(part.failures);
        // The component's own record names only the first ones, so no more are carried upward.
        self.failures.truncate(10);
        if !self.status.is_failure() {
            self.status = part.status;
        }
    }

    fn fail(&mut self, path: &HierarchyPath, error: ErrorInfo) {
        self.status = StepStatus::Failed;
        self.failures.push(FirstFailure {
            path: path.clone(),
            error,
        });
    }
}

/// An element this version has no road for; definitions that hold one do not compile.
fn unsupported(element: &ProgramElement) -> RunError {
    RunError::Unreadable {
        path: element.path().to_relative_dir(),
        reason: "elements of this kind cannot be executed".to_owned(),
    }
}

/// What differs between this run and those before it though nothing changed.
fn normaliser(run: &RunHandle) -> Normaliser {
    let scope = run.scope();
    let variable = |name: &str| {
        scope
            .run_variables
            .get(name)
            .and_then(|v| v.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let mut replacements = vec![
        (variable("run_dir"), "run_dir"),
        (variable("run_id"), "run_id"),
        (variable("run_root"), "run_root"),
        (variable("project_root"), "project_root"),
    ];
    if let Some(parent) = run.parent() {
        replacements.push((parent.dir().to_string_lossy().into_owned(), "run_dir"));
        replacements.push((parent.run_id.to_string(), "run_id"));
    }
    Normaliser::new(&replacements)
}
