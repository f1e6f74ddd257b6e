use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use dad_core::{
    Budget, Definition, Digest, ElementId, HierarchyPath, PathSelector, Redactor, RunId, RunKind,
    SecretRegistry, Timestamp, nearest,
};
use dad_definition::{NodeTypes, Program, check_executable, compile};
use dad_events::EventBusBuilder;
use dad_fs::{Dir, Durability, FsResult};
use serde_json::{Map, Value, json};

use crate::adopt::adopted;
use crate::builder::{Options, RunContextBuilder};
use crate::catalog::{Catalog, RunEntry};
use crate::clock::{random_hex, random_suffix};
use crate::drive::{Opened, drive};
use crate::edit::Edit;
use crate::error::RunError;
use crate::format;
use crate::inbox::Inbox;
use crate::inputs::{GivenInputs, check_external, find_static_inputs, read_static_inputs};
use crate::journal::file::JournalWriter;
use crate::journal::record::RecordBody;
use crate::journal::values::store_value;
use crate::layout::{DOT_RUN, DOT_TRACE, PLAN, RUNS, STAGE, STATIC_INPUTS, STATIC_INPUTS_FILE};
use crate::lease::{self, Lease};
use crate::masking::copy_files;
use crate::order::EntryPoint;
use crate::origin_key::OriginKey;
use crate::original::OriginalRun;
use crate::plan::{
    Decision, PlannedAnswer, PlannedStep, RerunPlan, distinct_places, plan_by_fingerprint,
    plan_from_entry_point,
};
use crate::preview::RunPreview;
use crate::projection::{to_file_text, write_new_json};
use crate::recorded::{Versioned, write_definition};
use crate::resources::Resources;
use crate::run::{ActiveRun, RunScope};
use crate::settings::RunSettings;
use crate::step::outcome_of;
use crate::view::RunView;

/// Where the runs of a project are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// The project, absolute.
    pub project_root: PathBuf,
    /// Where runs are kept, absolute.
    pub run_root: PathBuf,
    /// Where runs of this context are made: the run root, or a directory in it.
    pub effective_run_root: PathBuf,
}

impl Dirs {
    /// Makes the paths absolute; a relative run root lies in the project.
    ///
    /// # Errors
    /// If the project is no directory, its path or that of the run root is no UTF-8 text, or the subpath leads out of the run root.
    pub fn new(
        project_root: &Path,
        run_root: Option<&Path>,
        subpath: Option<&str>,
    ) -> Result<Self, RunError> {
        let refused = |reason: String| RunError::Project {
            path: project_root.to_path_buf(),
            reason,
        };
        let project_root = std::fs::canonicalize(project_root).map_err(|e| refused(e.to_string()))?;
        std::fs::read_dir(&project_root).map_err(|e| refused(e.to_string()))?;
        let run_root = project_root.join(run_root.unwrap_or(Path::new(RUNS)));
        for path in [&project_root, &run_root] {
            if path.to_str().is_none() {
                return Err(RunError::Project {
                    path: path.clone(),
                    reason: "its path is no UTF-8 text, as which records hold it".to_owned(),
                });
            }
        }
        let effective_run_root = match subpath.filter(|subpath| !subpath.is_empty()) {
            None => run_root.clone(),
            Some(subpath) => {
                let plain = Path::new(subpath)
                    .components()
                    .all(|c| matches!(c, Component::Normal(_)));
                if !plain {
                    return Err(RunError::RunRootSubpath(subpath.to_owned()));
                }
                run_root.join(subpath)
            }
        };
        Ok(Self {
            project_root,
            run_root,
            effective_run_root,
        })
    }

    /// The runs there are.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        Catalog::new(&self.run_root, &self.effective_run_root)
    }
}

/// Everything about a run that is not in its definition; nothing has been made yet.
pub struct RunContext {
    pub(crate) root_id: ElementId,
    pub(crate) dirs: Dirs,
    pub(crate) entry_point: Option<PathSelector>,
    /// What the run is driven with: what is given, and of a run that is resumed what was recorded beside.
    pub(crate) settings: RunSettings,
    /// Which of them were recorded otherwise.
    pub(crate) overrides: Vec<String>,
    pub(crate) options: Options,
    pub(crate) bus: EventBusBuilder,
}

/// What was checked before anything is made.
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

impl RunContext {
    /// Begins a context for a run of the component `root_id` in a project.
    pub fn builder(root_id: impl Into<String>, project_root: impl Into<PathBuf>) -> RunContextBuilder {
        RunContextBuilder::new(root_id.into(), project_root.into())
    }
}

impl std::fmt::Debug for RunContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunContext")
            .field("root_id", &self.root_id)
            .field("dirs", &self.dirs)
            .finish_non_exhaustive()
    }
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

    /// Where the run will be made.
    #[must_use]
    pub fn effective_run_root(&self) -> &Path {
        &self.context.dirs.effective_run_root
    }

    /// What it may consume.
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

    /// What it is given to work with.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.context.options.resources
    }

    /// What it is going to do, if it is a re-run.
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

    /// What its templates will see if everything is taken over from the previous run; `None` if this is no re-run.
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
    /// Where this context makes its run.
    #[must_use]
    pub fn dirs(&self) -> &Dirs {
        &self.dirs
    }

    /// The id of the root component.
    #[must_use]
    pub fn root_id(&self) -> &ElementId {
        &self.root_id
    }

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

    /// Takes up what a run was driven with, where nothing else is given.
    pub(crate) fn take_up(&mut self, recorded: &RunSettings) {
        (self.settings, self.overrides) = recorded.overridden_by(&self.options.settings);
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

    /// The secrets that are masked in the run.
    #[must_use]
    pub fn secrets(&self) -> &SecretRegistry {
        &self.options.secrets
    }

    fn open_input_dir(&self) -> Result<Option<Dir>, RunError> {
        let Some(path) = &self.options.input_dir else {
            return Ok(None);
        };
        let unusable = |reason: String| RunError::InputFile {
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

    pub(crate) fn check_variables(program: &Program, given: &Map<String, Value>) -> Result<(), RunError> {
        let known = program.variable_names();
        if let Some(name) = given.keys().find(|name| !known.contains(&name.as_str())) {
            let nearest = nearest(name, known.iter().copied()).map(str::to_owned);
            return Err(RunError::UnknownVariable {
                name: name.clone(),
                nearest,
            });
        }
        for (name, value) in given {
            check_external(&format!("the variable `{name}`"), value)?;
        }
        match missing_variable(program, given) {
            // It asks for what is missing before it is entered.
            Some(_) if program.root.asks() => Ok(()),
            Some(name) => Err(RunError::MissingVariable(name.clone())),
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
            return Err(RunError::OriginalSystem(entry.run_id.to_string()));
        }
        if view.root_id != self.root_id {
            return Err(RunError::OtherRoot {
                run: view.run_id.to_string(),
                found: view.root_id.to_string(),
                wanted: self.root_id.to_string(),
            });
        }
        Ok(Some(Arc::new(view)))
    }

    /// The runs there are, as this context tells the user's own from others.
    pub(crate) fn catalog(&self) -> Catalog {
        let Options {
            origin_key,
            trust_unsigned,
            ..
        } = &self.options;
        let catalog = self.dirs.catalog().with_origin_key(origin_key.clone());
        catalog.trusting_unsigned(*trust_unsigned)
    }

    /// Refuses a run that is neither the user's own nor trusted.
    pub(crate) fn check_origin(&self, view: &RunView) -> Result<(), RunError> {
        match self.options.trust_run {
            true => Ok(()),
            false => view.check_origin(self.options.trust_unsigned),
        }
    }

    /// The run that another one is started from. Results may be taken from a run of another user too, but what people said in
    /// it counts only if it is the user's own.
    pub(crate) fn open_previous(&self, entry: &RunEntry) -> Result<RunView, RunError> {
        let view = open_any(entry, self.options.origin_key.as_ref())?;
        // Without a key there is no telling.
        let is_own =
            self.options.origin_key.is_none() || view.is_original() || self.check_origin(&view).is_ok();
        match is_own {
            true => Ok(view),
            false if self.options.reuse_answers.is_empty() => Ok(view.without_answers()),
            false => Err(RunError::AnswersOfOthers(view.run_id)),
        }
    }

    fn make_plan(&self, program: &Program, parent: &RunView) -> Result<RerunPlan, RunError> {
        let Options {
            alone,
            fresh,
            execute,
            ask,
            reuse_answers,
            ..
        } = &self.options;
        let entry = match (&self.entry_point, *alone) {
            (None, _) => None,
            (Some(selector), alone) => {
                let selected = match alone {
                    true => program.select_step(selector).map_err(RunError::Step),
                    false => program.select(selector).map_err(RunError::EntryPoint),
                };
                let path = selected?.first();
                Some(EntryPoint { path, alone })
            }
        };
        let steps = match &entry {
            Some(entry) => plan_from_entry_point(program, entry, &parent.run_id, parent)?,
            None => {
                let known: HashSet<_> = parent
                    .steps()
                    .map(|step| step.path.without_iterations())
                    .collect();
                plan_by_fingerprint(program, |path| known.contains(path))
            }
        };
        let execute = execute.iter().map(|selector| {
            let selected = program.select(&selector.parse()?).map_err(RunError::Execute)?;
            Ok(selected.to_string())
        });
        let asking = |selector: &String| asking(selector, program);
        let parents_plan = parent.plan()?;
        let ancestors = parents_plan
            .iter()
            .flat_map(|plan| plan.ancestors.iter().cloned());
        let mut plan = RerunPlan {
            schema_version: format::PLAN,
            parent: parent.run_id.clone(),
            root_parent: parents_plan
                .as_ref()
                .map_or_else(|| parent.run_id.clone(), |plan| plan.root_parent.clone()),
            ancestors: distinct_places(parent.places().chain(ancestors)),
            entry_point: entry.map(|entry| entry.path),
            alone: *alone,
            fresh: *fresh,
            execute: execute.collect::<Result<_, RunError>>()?,
            ask: ask.iter().map(asking).collect::<Result<_, RunError>>()?,
            reuse_answers: reuse_answers
                .iter()
                .map(asking)
                .collect::<Result<_, RunError>>()?,
            answers: Vec::new(),
            edits: Vec::new(),
            inherited_edits: edits_in(parent, parents_plan.as_ref()),
            steps,
        };
        plan.edits = self.edits(program, &plan, parent)?;
        Ok(plan)
    }

    /// The changes of results that are taken over. Each is tried, so that none fails when the run has begun.
    fn edits(&self, program: &Program, plan: &RerunPlan, parent: &RunView) -> Result<Vec<Edit>, RunError> {
        let mut outcomes: HashMap<HierarchyPath, Value> = HashMap::new();
        let redactor = self.options.secrets.redactor();
        let edits = self.options.edits.iter().map(|(target, value)| {
            let mut value = value.clone();
            redactor.redact_json(&mut value);
            check_external(&format!("the value of `{target}`"), &value)?;
            let edit = Edit::parse(target, value, program)?;
            match plan.step(&edit.path).map(|step| &step.decision) {
                Some(Decision::Reuse { .. }) => {
                    let outcome = match outcomes.entry(edit.path.clone()) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(new) => new.insert(outcome_of(&parent.result(&edit.path)?)),
                    };
                    edit.apply(outcome)?;
                    Ok(edit)
                }
                _ => Err(RunError::Edit {
                    target: target.clone(),
                    reason: format!("`{}` does not lie before the entry point", edit.path),
                }),
            }
        });
        edits.collect()
    }

    fn create(self, prepared: Prepared) -> Result<ActiveRun, RunError> {
        let created_at = self.options.clock.now();
        let (run_id, dir) = self.create_dir(created_at, prepared.plan.is_some())?;
        let (dot_run, mut lease) = begin_lease(&dir)?;
        let scope = self.scope_of(run_id.as_str(), dir.path(), prepared.given.clone());
        let Options {
            durability,
            clock,
            spans,
            secrets,
            ..
        } = &self.options;
        let Prepared {
            program,
            plan,
            inputs,
            input_dir,
            ..
        } = &prepared;

        // Written plainly, because with `Durability::Disk` the whole directory is synced before its first record.
        let plainly = Durability::Process;
        write_definition(&dot_run, program, spans.as_deref(), plainly)?;
        let plan_digest = match plan {
            Some(plan) => Some(write_new_json(&dot_run, PLAN, plan, plainly)?.blake3),
            None => None,
        };
        let redactor = secrets.redactor();
        let static_inputs_digest =
            write_static_inputs(&dir, inputs, (input_dir.as_ref(), &redactor), plainly)?;
        let stage = dot_run.create_dir(STAGE)?;
        let trace = dir.create_dir(DOT_TRACE)?;
        let variables = Value::Object(scope.given_variables.clone());
        let variables = store_value(&dot_run, variables, plainly)?;
        let key = self.options.origin_key.clone();
        let key_id = key.as_ref().map(OriginKey::id);
        // A re-run compares digests with those of its parent.
        let inherited = prepared.parent.as_ref().and_then(|parent| parent.salt());
        let salt = inherited.map_or_else(random_hex, |salt| Ok(salt.to_owned()))?;
        let mut journal = JournalWriter::create(&dot_run, key)?;
        lease.lock_journal(&dot_run)?;
        if *durability == Durability::Disk {
            dir.sync_tree()?;
            self.sync_run_root()?;
        }
        journal.append(
            created_at,
            &RecordBody::RunCreated {
                schema_version: format::JOURNAL,
                run_id: run_id.clone(),
                root_id: self.root_id.clone(),
                definition_digest: program.digest,
                parent: plan.as_ref().map(|plan| plan.parent.clone()),
                plan_digest,
                key_id,
                salt: Some(salt),
            },
            None,
        )?;
        let options = self.run_options(plan.as_ref())?;
        let inputs = RecordBody::Inputs {
            variables,
            options,
            static_inputs_digest,
        };
        journal.append(clock.now(), &inputs, None)?;
        if *durability == Durability::Disk {
            journal.sync()?;
        }

        let opened = Opened {
            dir,
            dot_run,
            stage,
            trace,
            lease,
            inbox: Inbox::default(),
            journal,
            run_id,
            created_at,
            history: None,
            interrupted: HashMap::new(),
            upgraded_from: None,
        };
        drive(opened, prepared, scope, self)
    }

    /// Waits until the directories that hold runs are on the disk, up to the project or, if the run root lies
    /// elsewhere, up to the directory that holds it.
    pub(crate) fn sync_run_root(&self) -> Result<(), RunError> {
        let Dirs {
            project_root,
            run_root,
            effective_run_root,
        } = &self.dirs;
        let top = match effective_run_root.starts_with(project_root) {
            true => Some(&**project_root),
            false => run_root.parent(),
        };
        for place in effective_run_root.ancestors() {
            Dir::open_with(place, self.options.gate.clone())?.sync()?;
            if Some(place) == top {
                break;
            }
        }
        Ok(())
    }

    /// Makes the run directory. Its creation is what makes the id this run's own.
    fn create_dir(&self, at: Timestamp, is_rerun: bool) -> Result<(RunId, Dir), RunError> {
        let Options {
            run_id,
            run_id_prefix,
            gate,
            share,
            ..
        } = &self.options;
        let place = &self.dirs.effective_run_root;
        let no_root = |source| RunError::RunRoot {
            path: place.clone(),
            source,
        };
        let is_new = !self.dirs.run_root.exists();
        let root = Dir::create_all_with(place, gate.clone()).map_err(no_root)?;
        if is_new {
            let run_root = Dir::open_with(&self.dirs.run_root, gate.clone());
            run_root.and_then(|dir| leave_to_git(&dir)).map_err(no_root)?;
        }
        let root = root.shared_with(*share);
        let kind = if is_rerun { RunKind::Rerun } else { RunKind::Run };
        loop {
            let id = match run_id {
                Some(id) => id.clone(),
                None => RunId::generate(kind, run_id_prefix.as_deref(), at, random_suffix())?,
            };
            match root.create_dir(id.as_str()) {
                Ok(dir) => return Ok((id, dir)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    if run_id.is_some() {
                        return Err(RunError::RunExists(id.to_string()));
                    }
                }
                Err(source) => {
                    return Err(RunError::RunRoot {
                        path: place.clone(),
                        source,
                    });
                }
            }
        }
    }

    /// How the run was started, for the journal.
    fn run_options(&self, plan: Option<&RerunPlan>) -> Result<Map<String, Value>, RunError> {
        let settings = serde_json::to_value(self.settings.clone().resolved());
        let settings = settings.map_err(|error| RunError::Unrecordable {
            what: "what the run is driven with".to_owned(),
            reason: error.to_string(),
        })?;
        let mut given = settings.as_object().cloned().unwrap_or_default();
        given.insert("interactive".to_owned(), self.options.interactive.into());
        if let Some(entry) = plan.and_then(|plan| plan.entry_point.as_ref()) {
            given.insert("entry_point".to_owned(), json!(entry));
        }
        if let Some(subpath) = &self.options.run_root_subpath {
            given.insert("run_root_subpath".to_owned(), subpath.clone().into());
        }
        Ok(given)
    }

    /// What templates see of a run of some name and place.
    pub(crate) fn scope_of(
        &self,
        run_id: &str,
        run_dir: &Path,
        given_variables: Map<String, Value>,
    ) -> RunScope {
        let text = |path: &Path| Value::from(path.to_string_lossy().into_owned());
        let run_variables = [
            ("run_id", Value::from(run_id)),
            ("run_dir", text(run_dir)),
            ("run_root", text(&self.dirs.run_root)),
            ("effective_run_root", text(&self.dirs.effective_run_root)),
            ("project_root", text(&self.dirs.project_root)),
            ("static_inputs_dir", text(&run_dir.join(STATIC_INPUTS))),
            ("environment", Value::from(self.settings.environment())),
        ];
        RunScope {
            run_variables: run_variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            given_variables,
            spans: self.options.spans.clone(),
        }
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

/// What is to be asked again or answered as before, as the plan has it.
fn asking(selector: &str, program: &Program) -> Result<String, RunError> {
    let selected = program.select(&selector.parse()?).map_err(RunError::Ask)?;
    let path = &selected.path;
    let nodes = program.steps().filter(|node| node.asks()).map(|node| &node.path);
    let components = program.components().filter(|component| component.asks());
    let mut asking = nodes.chain(components.map(|component| &component.path));
    match asking.any(|asker| asker.is_within(path)) {
        true => Ok(selected.to_string()),
        false => Err(RunError::NothingAsks(path.clone())),
    }
}

/// A run to start from, also one of the original system.
pub(crate) fn open_any(entry: &RunEntry, key: Option<&OriginKey>) -> Result<RunView, RunError> {
    match OriginalRun::open(entry.clone())? {
        None => RunView::open_with(&entry.dir, key),
        Some(original) => original.view(),
    }
}

/// Has git leave out a new run root: runs hold prompts and answers, and belong to no commit unless the user wants it.
fn leave_to_git(run_root: &Dir) -> FsResult<()> {
    let text = "# Made with this directory. Without this file git sees the runs.\n*\n";
    // Not through a temporary file: a crash would leave that beside the runs, and an empty file does no harm.
    match run_root.write_new(".gitignore", text.as_bytes(), Durability::Process) {
        // Another process was faster.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        written => written,
    }
}

fn begin_lease(dir: &Dir) -> Result<(Dir, Lease), RunError> {
    let dot_run = dir.create_dir(DOT_RUN)?;
    let mut lease = lease::acquire(&dot_run, false)?;
    lease.sign(&dot_run)?;
    Ok((dot_run, lease))
}

/// The changes that an earlier run made to results which a re-run of it may take.
fn edits_in(parent: &RunView, plan: Option<&RerunPlan>) -> Vec<Edit> {
    let all = plan.into_iter().flat_map(RerunPlan::all_edits);
    let is_there = |edit: &&Edit| {
        let step = parent.step(&edit.path);
        step.is_some_and(|step| step.edited_from.is_some())
    };
    all.filter(is_there).cloned().collect()
}

fn write_static_inputs(
    run_dir: &Dir,
    inputs: &GivenInputs,
    (input_dir, redactor): (Option<&Dir>, &Redactor),
    durability: Durability,
) -> Result<Option<Digest>, RunError> {
    let target = run_dir.create_dir(STATIC_INPUTS)?;
    if let Some(source) = input_dir {
        copy_files(source, &target, redactor)?;
    }
    if inputs.is_empty() {
        return Ok(None);
    }
    let text = to_file_text(
        STATIC_INPUTS_FILE,
        &Versioned::new(format::STATIC_INPUTS, inputs.to_json()),
    )?;
    // A file of that name may have been copied there.
    target.replace(STATIC_INPUTS_FILE, &text, durability)?;
    Ok(Some(Digest::of(&text)))
}
