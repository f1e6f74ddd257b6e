//! Checking a run before anything is created.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dad_core::{Budget, Definition, HierarchyPath, nearest};
use dad_definition::{NodeTypes, Program, check_executable, compile};
use dad_fs::Dir;
use serde_json::{Map, Value};

use crate::error::{RunError, SetupError};
use crate::live::active_run::ActiveRun;
use crate::live::adopt::adopted;
use crate::live::inputs::{GivenInputs, check_external, find_static_inputs, read_static_inputs};
use crate::live::resources::Resources;
use crate::rerun::plan::{PlannedAnswer, PlannedStep, RerunPlan};
use crate::setup::context::RunContext;
use crate::setup::options::Options;
use crate::setup::preview::RunPreview;
use crate::store::view::RunView;

/// The parts of a run that are checked before anything is created.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) program: Arc<Program>,
    pub(crate) parent: Option<Arc<RunView>>,
    pub(crate) plan: Option<RerunPlan>,
    pub(crate) inputs: GivenInputs,
    /// Variables of the root component, from wherever they were given.
    pub(crate) given: Map<String, Value>,
    pub(crate) input_dir: Option<Dir>,
}

/// A run that was checked and can be started; nothing of it has been made.
#[must_use = "a run that is not started does nothing"]
#[derive(Debug)]
pub struct PreparedRun {
    context: RunContext,
    prepared: Prepared,
}

impl PreparedRun {
    /// The checked definition.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.prepared.program
    }

    /// The node types it was checked with.
    #[must_use]
    pub fn node_types(&self) -> &Arc<dyn NodeTypes> {
        &self.context.options.types
    }

    /// The directory in which the run will be created.
    #[must_use]
    pub fn effective_run_root(&self) -> &Path {
        &self.context.dirs.effective_run_root
    }

    /// Its budget.
    #[must_use]
    pub fn budget(&self) -> Budget {
        let in_definition = self.prepared.program.definition.budget.unwrap_or_default();
        in_definition.overridden_by(self.context.settings.budget.unwrap_or_default())
    }

    /// Whether it asks no model over a network.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.context.settings.is_offline()
    }

    /// Whether a step was given an input, in any iteration.
    #[must_use]
    pub fn is_given_input(&self, path: &HierarchyPath) -> bool {
        self.prepared.inputs.has(path)
    }

    /// Its resources.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.context.options.resources
    }

    /// Its plan, if it is a re-run.
    #[must_use]
    pub fn plan(&self) -> Option<&RerunPlan> {
        self.prepared.plan.as_ref()
    }

    /// Puts what was found out about its steps into the plan of a re-run.
    pub fn refine_plan(&mut self, steps: Vec<PlannedStep>, answers: Vec<PlannedAnswer>) {
        if let Some(plan) = &mut self.prepared.plan {
            plan.steps = steps;
            plan.answers = answers;
        }
    }

    /// The values that its templates will see if everything is reused from the previous run; `None` if this is no re-run.
    #[must_use]
    pub fn rerun_preview(&self) -> Option<RunPreview> {
        let Prepared {
            program,
            parent,
            inputs,
            given,
            ..
        } = &self.prepared;
        let parent = parent.as_ref()?;
        let scope = self
            .context
            .scope_of(parent.run_id.as_str(), parent.dir(), given.clone());
        let parent = Some(Arc::clone(parent));
        Some(RunPreview::new(
            Arc::clone(program),
            scope,
            inputs.clone(),
            parent,
        ))
    }

    /// Makes the run's directory and begins to drive it. Needs a tokio runtime for the delivery of events.
    ///
    /// # Errors
    /// Why the directory cannot be made.
    pub fn start(self) -> Result<ActiveRun, RunError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(RunError::NoRuntime);
        }
        let run = self.context.create(self.prepared)?;
        run.handle().start()?;
        Ok(run)
    }
}

impl RunContext {
    /// Checks everything, and makes nothing yet.
    ///
    /// # Errors
    /// Whatever is wrong with the definition, the previous run, the entry point, the variables or the inputs.
    pub fn prepare_run(mut self, definition: &impl AsRef<Definition>) -> Result<PreparedRun, RunError> {
        let parent = self.open_parent()?;
        if let Some(parent) = parent.as_ref().filter(|_| self.options.alone) {
            self.take_up(&parent.settings());
        }
        let prepared = self.prepare(definition.as_ref(), parent)?;
        Ok(PreparedRun {
            context: self,
            prepared,
        })
    }

    /// Checks everything, then makes the run's directory and begins to drive it. Needs a tokio runtime for the
    /// delivery of events.
    ///
    /// # Errors
    /// Whatever is wrong with the definition, the previous run, the entry point, the variables or the inputs; then
    /// nothing has been made. Or why the directory cannot be made.
    pub fn setup_run(self, definition: &impl AsRef<Definition>) -> Result<ActiveRun, RunError> {
        self.prepare_run(definition)?.start()
    }

    fn prepare(&self, definition: &Definition, parent: Option<Arc<RunView>>) -> Result<Prepared, RunError> {
        let program = self.program(definition)?;
        let inputs = self.resolve_inputs(&program)?;
        let recorded = parent
            .as_ref()
            .map(|parent| parent.given_variables())
            .transpose()?;
        let mut given = recorded.unwrap_or_default();
        // What an older definition was given may be unknown to this one.
        given.retain(|name, _| program.variable_names().contains(&name.as_str()));
        given.extend(self.given_variables(&program, &inputs));
        Self::check_variables(&program, &given)?;
        let plan = match &parent {
            Some(parent) => Some(self.make_plan(&program, parent)?),
            None => None,
        };
        Ok(Prepared {
            program: Arc::new(program),
            parent,
            plan,
            inputs,
            given,
            input_dir: self.open_input_dir()?,
        })
    }

    fn open_input_dir(&self) -> Result<Option<Dir>, SetupError> {
        let Some(path) = &self.options.input_dir else {
            return Ok(None);
        };
        let unusable = |reason: String| SetupError::InputFile {
            path: path.clone(),
            reason,
        };
        let dir = Dir::open(path).map_err(|error| unusable(error.source.to_string()))?;
        let real = path.canonicalize().map_err(|error| unusable(error.to_string()))?;
        let roots = [&self.dirs.run_root, &self.dirs.effective_run_root];
        match roots.into_iter().find(|root| real_path(root).starts_with(&real)) {
            Some(root) => Err(unusable(format!(
                "the run root `{}` lies in it, so that each run would copy all runs before it",
                root.display()
            ))),
            None => Ok(Some(dir)),
        }
    }

    /// Compiles a definition and refuses what could not be executed.
    pub(crate) fn program(&self, definition: &Definition) -> Result<Program, RunError> {
        let Options {
            types,
            spans,
            secrets,
            ..
        } = &self.options;
        if let Some(root_id) = definition.root_id.as_ref().filter(|id| **id != self.root_id) {
            return Err(SetupError::OtherRootId {
                context: self.root_id.clone(),
                definition: root_id.clone(),
            }
            .into());
        }
        let definition = adopted(definition, &self.settings.models, secrets)?;
        let program = compile(&definition, &self.root_id, &**types, spans.as_deref())?;
        check_executable(&definition, spans.as_deref())?;
        Ok(program)
    }

    /// The variables that are given to the root component: one by one, or by an input.
    pub(crate) fn given_variables(&self, program: &Program, inputs: &GivenInputs) -> Map<String, Value> {
        let mut given = inputs.root_variables(&program.root.path);
        let redactor = self.options.secrets.redactor();
        given.extend(self.options.variables.iter().map(|(name, value)| {
            // Here they enter the run, which sees the same as its files.
            let mut value = value.clone();
            redactor.redact_json(&mut value);
            (name.clone(), value)
        }));
        given
    }

    pub(crate) fn check_variables(program: &Program, given: &Map<String, Value>) -> Result<(), SetupError> {
        let known = program.variable_names();
        if let Some(name) = given.keys().find(|name| !known.contains(&name.as_str())) {
            let nearest = nearest(name, known.iter().copied()).map(str::to_owned);
            return Err(SetupError::UnknownVariable {
                name: name.clone(),
                nearest,
                known: known.into_iter().map(str::to_owned).collect(),
            });
        }
        for (name, value) in given {
            check_external(&format!("the variable `{name}`"), value)?;
        }
        match missing_variable(program, given) {
            // It asks for what is missing before it is entered.
            Some(_) if program.root.asks() => Ok(()),
            Some(name) => Err(SetupError::MissingVariable(name.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn resolve_inputs(&self, program: &Program) -> Result<GivenInputs, RunError> {
        let Options {
            static_inputs,
            definition_dir,
            types,
            inputs,
            ..
        } = &self.options;
        let file = find_static_inputs(
            static_inputs.as_deref(),
            definition_dir.as_deref(),
            &self.dirs.project_root,
        );
        let from_file = file
            .map(|file| read_static_inputs(&file))
            .transpose()?
            .unwrap_or_default();
        let mut resolved = GivenInputs::default();
        let redactor = self.options.secrets.redactor();
        for mut input in from_file.into_iter().chain(inputs.iter().cloned()) {
            redactor.redact_json(&mut input.given.value);
            resolved.add(input, program, &**types)?;
        }
        Ok(resolved)
    }

    fn open_parent(&self) -> Result<Option<Arc<RunView>>, RunError> {
        let Some(selector) = &self.options.previous_run_id else {
            return Ok(None);
        };
        let entry = self.catalog().find(selector, Some(&self.root_id))?;
        let view = self.open_previous(&entry)?;
        if self.options.alone && !view.is_original() {
            self.check_origin(&view)?;
        }
        // It knew no fingerprints.
        if view.is_original() && self.entry_point.is_none() {
            return Err(SetupError::OriginalSystem(entry.run_id.to_string()).into());
        }
        if view.root_id != self.root_id {
            return Err(SetupError::OtherRoot {
                run: view.run_id.to_string(),
                found: view.root_id.to_string(),
                wanted: self.root_id.to_string(),
            }
            .into());
        }
        Ok(Some(Arc::new(view)))
    }
}

/// A path without the symbolic links in the part of it that is there.
fn real_path(path: &Path) -> PathBuf {
    let there = path
        .ancestors()
        .find_map(|above| Some((above, above.canonicalize().ok()?)));
    match there {
        Some((above, real)) => real.join(path.strip_prefix(above).unwrap_or(Path::new(""))),
        None => path.to_path_buf(),
    }
}

/// A variable that must be given and is not.
#[must_use]
pub fn missing_variable<'p>(program: &'p Program, given: &Map<String, Value>) -> Option<&'p String> {
    program.required().iter().find(|name| !given.contains_key(*name))
}
