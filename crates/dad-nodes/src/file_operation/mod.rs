//! Changing files. The road of a change: directories and paths are checked (`place`), all contents are computed (`tree`,
//! `edit`, `look`), what is about to happen is written down and done (`plan`), one step at a time in each directory (`lock`).

mod edit;
mod indentation;
mod lock;
mod look;
mod mark;
mod nearest;
mod obeyed;
mod outcome;
mod place;
mod plan;
mod planned;
mod protected;
mod recorded;
mod result;
mod settings;
mod state;
mod tree;
mod undo;
mod vouched;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use dad_core::{Digest, Redactor};
use dad_definition::{Compiled, SettingsProblem};
use dad_events::activity::FileOperations;
use dad_events::{Activity, ActivityEnd};
use dad_fs::{Dir, Durability, FileLock, Gate};
use dad_run::RunHandle;
use dad_runner::{
    BindContext, Bound, BoundStep, Node, NodeContext, NodeError, NodeOutput, Preview, Stop, look,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::git;

pub use outcome::FileOperationNodeOutcome;
pub use recorded::{FileDiff, file_diffs};
use result::{NOT_EXECUTABLE, PROTECTED, UNUSED_FIELD};
pub use settings::{
    FileEdit, FileOperation, FileOperationNode, FileOperationNodeInput, FileOperationNodeSettings,
    FileOperationType, OnFailure, SearchConfig,
};
pub use undo::{Undo, UndoAction, UndoChange, UndoError, UndoStep};
use vouched::Vouched;

/// Executes `file_operation`.
#[derive(Debug, Default)]
pub(crate) struct FileOperationExecutor {
    protected: Arc<protected::ProtectedOfRuns>,
}

impl Node for FileOperationExecutor {
    type Settings = FileOperationNodeSettings;
    type Input = FileOperationNodeInput;
    type Outcome = Value;
    const TYPE: &'static str = "file_operation";
    const VERSION: u32 = 2;
    const DEFINITION_ONLY: &'static [&'static str] = &["git_hooks"];

    fn bind(
        &self,
        mut settings: FileOperationNodeSettings,
        input: Option<FileOperationNodeInput>,
        _: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        let written = std::mem::take(&mut settings.operations);
        let operations = match input.and_then(|input| input.operations) {
            Some(given) => given,
            None => crate::serde_forms::operations(written, settings.operations_template.take().as_ref())?,
        };
        Ok(Box::new(Operations {
            settings,
            operations: operations.into(),
            protected: Arc::clone(&self.protected),
        }))
    }

    /// A field that a rendered operation lacks fails that operation alone.
    fn compile(unrendered: &Value) -> Compiled {
        let operations = unrendered.get("operations").and_then(Value::as_array);
        let operations = operations.into_iter().flatten().enumerate();
        let problem = |(index, operation): (usize, &Value)| {
            let kind = FileOperationType::deserialize(operation.get("type")?).ok()?;
            let needs = kind.needs().iter();
            let is_there = |name: &str| operation.get(name).is_some_and(|value| !value.is_null());
            let missing = needs
                .copied()
                .find(|names| !names.iter().any(|name| is_there(name)))?;
            let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
            Some(SettingsProblem::new(
                format!("operations[{index}]"),
                "missing_field",
                format!("{} is missing", names.join(" or ")),
            ))
        };
        let message = unrendered.get("commit_message").and_then(Value::as_str);
        let is_empty = message.is_some_and(|message| message.trim().is_empty());
        let empty_message = is_empty.then(|| {
            SettingsProblem::new(
                "commit_message".to_owned(),
                "empty_commit_message",
                "the message is empty, and git makes no commit without one".to_owned(),
            )
            .hint("leave it out for `Change files`".to_owned())
        });
        let unused = |(index, operation): (usize, &Value)| {
            let kind = FileOperationType::deserialize(operation.get("type")?).ok()?;
            let is_asked_for = operation.get("executable").and_then(Value::as_bool) == Some(true);
            (is_asked_for && kind != FileOperationType::SetExecutable).then(|| {
                SettingsProblem::new(
                    format!("operations[{index}].executable"),
                    UNUSED_FIELD,
                    NOT_EXECUTABLE.to_owned(),
                )
            })
        };
        let problems = operations.clone().filter_map(problem);
        let problems = problems.chain(operations.filter_map(unused)).chain(empty_message);
        {
            let mut compiled = Compiled::default();
            compiled.problems = problems.collect();
            compiled
        }
    }
}

/// Operations that are about to be made.
struct Operations {
    /// Without the operations.
    settings: FileOperationNodeSettings,
    operations: Arc<[FileOperation]>,
    protected: Arc<protected::ProtectedOfRuns>,
}

#[async_trait]
impl BoundStep for Operations {
    async fn preview(&self, run: &RunHandle) -> Result<Preview, NodeError> {
        let mut request = self.request(run);
        request.vouched = Vouched::by_previous_run(run, None, &request.base);
        look(move |_| request.preview()).await
    }

    fn state(&self, cx: &NodeContext) -> Result<Option<Value>, NodeError> {
        let base = self.base(cx.run());
        Ok(Some(
            json!({ "base_directory": base, "operations": *self.operations }),
        ))
    }

    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let settings = &self.settings;
        let mut request = self.request(cx.run());
        request.vouched = Vouched::by_previous_run(cx.run(), Some(cx.path()), &request.base);
        request.agreed = agreed(cx);
        let base = request.base.clone();
        let roots = request.roots(cx.dir()?.gate())?;
        let locks = if request.changes_something() {
            lock::lock(&roots, cx).await?
        } else {
            Vec::new()
        };
        let repositories = if settings.uses_git() {
            let files = request.changed_files(&roots);
            let commits = settings.commit.unwrap_or(false);
            if commits {
                settings.message_of_commit()?;
            }
            let found = git::Repositories::before_changes(&files, commits, cx).await?;
            if settings.git_hooks.unwrap_or(false) {
                found.with_hooks(cx).await?
            } else {
                found
            }
        } else {
            git::Repositories::default()
        };
        let work = Work {
            _locks: locks,
            step: cx.dir()?.clone(),
            left: cx.run().uncommitted_attempts(cx.path())?,
            name: format!("{}\n{}", cx.run().identity().run_id, cx.path()),
            durability: cx.run().durability(),
            redactor: cx.redactor(),
            request,
            roots,
        };
        let running = cx.begin(activity(&work.request.operations));
        let changed = cx.blocking(move |stop| {
            let changed = work.change(stop)?;
            Ok((work, changed))
        });
        let (work, changed) = match changed.await {
            Ok((work, changed)) => {
                running.end(end_of(changed.failure.as_ref()));
                (work, changed)
            }
            Err(error) => {
                running.fail(&error);
                return Err(error);
            }
        };
        let recorded = record_in_git(settings, &repositories, &work.roots, &changed.touched, cx).await;
        let mut output = Output::new(base, changed.results);
        match recorded {
            Ok(git) => output.git = git,
            Err(error) => return Err(error.with_partial(output.into_node_output())),
        }
        match changed.failure {
            None => Ok(output.into_node_output()),
            Some(failure) => Err(failure.with_partial(output.into_node_output())),
        }
    }
}

/// File operations as traces show them.
fn activity(operations: &[FileOperation]) -> Activity {
    let mut traced = FileOperations::new(operations.len());
    if let [only] = operations {
        traced.operation = Some(result::type_name(only.operation_type));
        let file = only.path.as_deref().or(only.source.as_deref());
        traced.file = file.map(str::to_owned);
    }
    Activity::FileOperation(traced)
}

fn end_of(failure: Option<&NodeError>) -> ActivityEnd {
    failure.map_or_else(ActivityEnd::default, |failure| {
        ActivityEnd::failed(failure.info.clone())
    })
}

/// The files that tools obey and that the person saw who agreed.
fn agreed(cx: &NodeContext) -> BTreeSet<String> {
    let shown = cx.agreed().and_then(|facts| facts.get(PROTECTED)?.as_object());
    shown
        .into_iter()
        .flatten()
        .map(|(file, _)| file.clone())
        .collect()
}

/// The operations, with everything that decides about them.
struct Request {
    base: PathBuf,
    allowed: Vec<PathBuf>,
    /// Both, as they are also called after the project was moved.
    directories: Vec<PathBuf>,
    /// As an author could write them, without the operations.
    settings: Value,
    relative_only: bool,
    protected: Arc<protected::Protected>,
    operations: Arc<[FileOperation]>,
    /// The changes that the previous run made.
    vouched: Vouched,
    /// The files that tools obey and that a person agreed to change.
    agreed: BTreeSet<String>,
    rules: tree::Rules,
}

impl Operations {
    /// Relative directories are taken from the run directory.
    fn base(&self, run: &RunHandle) -> PathBuf {
        let base = self.settings.base_directory.as_deref().unwrap_or(".");
        run.identity().run_dir.join(base)
    }

    fn request(&self, run: &RunHandle) -> Request {
        let settings = &self.settings;
        let run_dir = &run.identity().run_dir;
        let base = self.base(run);
        let allowed = settings.allowed_directories.iter();
        let allowed: Vec<PathBuf> = allowed.map(|dir| run_dir.join(dir)).collect();
        let project = &run.scope().place.project_root;
        let in_project = |dir: &PathBuf| {
            dir.strip_prefix(project)
                .map_or_else(|_| dir.clone(), PathBuf::from)
        };
        Request {
            directories: std::iter::once(&base).chain(&allowed).map(in_project).collect(),
            base,
            allowed,
            settings: json!(settings),
            protected: self.protected.of(run),
            relative_only: settings.use_relative_paths.unwrap_or(false),
            operations: Arc::clone(&self.operations),
            vouched: Vouched::default(),
            agreed: BTreeSet::new(),
            rules: tree::Rules {
                with_diff: settings.return_diff_format.unwrap_or(true),
                preserve_indentation: settings.preserve_indentation.unwrap_or(false),
                fail_fast: settings.fail_fast.unwrap_or(false),
                keep: settings.on_failure.unwrap_or_default() == OnFailure::Keep,
            },
        }
    }
}

impl Request {
    fn roots(&self, gate: &Gate) -> Result<place::Roots, NodeError> {
        place::Roots::open(
            self.base.clone(),
            self.allowed.clone(),
            self.relative_only,
            gate,
            Arc::clone(&self.protected),
        )
    }

    fn changes_something(&self) -> bool {
        let changes = |operation: &FileOperation| {
            !operation.operation_type.is_look() && operation.dry_run != Some(true)
        };
        self.operations.iter().any(changes)
    }

    /// The files and directories that operations change, as far as their paths are allowed.
    fn changed_files(&self, roots: &place::Roots) -> Vec<PathBuf> {
        let changing = self
            .operations
            .iter()
            .filter(|operation| !operation.operation_type.is_look() && operation.dry_run != Some(true));
        let named = changing.flat_map(|operation| {
            let one = [&operation.path, &operation.source, &operation.destination];
            let several = operation.paths.iter().flatten();
            one.into_iter().flatten().chain(several)
        });
        let place = |path: &String| roots.place(Some(path), "path").ok();
        named
            .filter_map(place)
            .map(|place| roots.real(place.root).join(place.path))
            .collect()
    }

    /// The files as they are, with the operations that the previous run made.
    fn tree<'a>(&self, roots: &'a place::Roots) -> tree::Tree<'a> {
        let mut tree = tree::Tree::new(roots, BTreeMap::new());
        let made = self.vouched.standing(&self.operations, &mut tree);
        tree.made(made)
    }

    /// Stands for everything that decides what is changed.
    fn digest(&self) -> Digest {
        let tree::Rules {
            preserve_indentation,
            fail_fast,
            keep,
            ..
        } = self.rules;
        Digest::of_json(&json!({
            "directories": self.directories,
            "operations": *self.operations,
            "relative_only": self.relative_only,
            "preserve_indentation": preserve_indentation,
            "fail_fast": fail_fast,
            "keep": keep,
        }))
    }

    /// The differences that all changes together would make.
    fn preview(&self) -> Result<Preview, NodeError> {
        let roots = self.roots(&Gate::default())?;
        let rules = tree::Rules {
            with_diff: true,
            ..self.rules
        };
        let mut tree = self.tree(&roots).agreed(None);
        let planned = tree.plan(&self.operations, rules);
        let changes = tree.changes();
        let files: BTreeMap<String, Value> = changes
            .iter()
            .map(|(place, (before, after))| {
                let fact = json!({ "before": before.fact(), "after": after.fact() });
                (roots.shown(place), fact)
            })
            .collect();
        let failures = planned.results.iter().map(|planning| &planning.result["error"]);
        let mut facts = json!({
            "directories": self.directories,
            "operations": *self.operations,
            "settings": self.settings,
            "files": files,
            "failures": failures.collect::<Vec<_>>(),
        });
        if !tree.obeyed.is_empty() {
            facts[PROTECTED] = json!(tree.obeyed);
        }
        if let Some(failure) = planned.failure.filter(|_| !rules.keep) {
            return Err(failure);
        }
        let mut lines = vec![format!("in {}", self.base.display())];
        let protected = tree.obeyed.iter();
        lines.extend(protected.map(|(file, why)| format!("protected: {} — {why}", file.escape_debug())));
        for (index, planning) in planned.results.iter().enumerate() {
            let text = |name: &str| planning.result[name].as_str().unwrap_or_default().to_owned();
            let note = match (&planning.result["unchanged"], &planning.result["error"]) {
                (Value::Bool(true), _) => ", which is so already".to_owned(),
                (_, Value::String(error)) => format!(", which fails: {error}"),
                _ => String::new(),
            };
            lines.push(format!("{}. {} {}{note}", index + 1, text("type"), text("path")));
            lines.push(text("diff"));
        }
        lines.retain(|line| !line.is_empty());
        Ok(Preview::new(lines.join("\n")).facts(facts))
    }
}

/// The work on files, away from the threads that must not wait.
struct Work {
    request: Request,
    roots: place::Roots,
    /// Held until git has recorded the change as well, and in any case as long as this changes something.
    _locks: Vec<FileLock>,
    /// The directory of the step.
    step: Dir,
    /// The directories that earlier attempts left.
    left: Vec<Dir>,
    /// Tells the step from all others.
    name: String,
    durability: Durability,
    redactor: Redactor,
}

/// The result of the operations.
struct Changed {
    results: Vec<Value>,
    /// Files that this step changed, in this attempt or in one before.
    touched: BTreeSet<place::Place>,
    /// Why some were not, where the others are kept.
    failure: Option<NodeError>,
}

impl Work {
    fn change(&self, stop: &Stop) -> Result<Changed, NodeError> {
        let digest = self.request.digest();
        if self.request.changes_something()
            && let Some(change) = plan::Change::from_previous_attempt(&self.left, &self.roots, digest)?
        {
            return self.go_on(change, stop);
        }
        let tree = self.request.tree(&self.roots);
        let mut tree = tree.agreed(Some(self.request.agreed.clone()));
        let planned = tree.plan(&self.request.operations, self.request.rules);
        let failure = self.failure(&planned);
        if let Some(failure) = &failure
            && !self.request.rules.keep
        {
            return Err(self.with_none_made(failure.clone(), &planned));
        }
        let change = plan::Change::new(&tree, &planned, digest, &self.name, &self.redactor);
        let applied = if change.plan.targets.is_empty() {
            plan::Applied::default()
        } else {
            change.write(&self.step, self.durability)?;
            self.apply(&change, stop)?
        };
        Ok(Changed {
            results: change.results(&applied),
            touched: change.plan.touched,
            failure,
        })
    }

    /// Completes what an interrupted attempt began, as it was planned then.
    fn go_on(&self, mut change: plan::Change, stop: &Stop) -> Result<Changed, NodeError> {
        let mut failure = None;
        if change.lacks_contents() || self.request.rules.keep {
            let made = change.made_results(&self.roots)?;
            let tree = tree::Tree::new(&self.roots, change.known(&made)?);
            let tree = tree.made(vouched::made(&self.request.operations, &made));
            let mut tree = tree.agreed(Some(self.request.agreed.clone()));
            let planned = tree.plan(&self.request.operations, self.request.rules);
            for (_, state) in tree.changes().values() {
                if let state::State::File(content) = state {
                    change.images.add(content);
                }
            }
            failure = self.failure(&planned).filter(|_| self.request.rules.keep);
        }
        change.write(&self.step, self.durability)?;
        let applied = self.apply(&change, stop)?;
        Ok(Changed {
            results: change.results(&applied),
            touched: change.plan.touched,
            failure,
        })
    }

    fn apply(&self, change: &plan::Change, stop: &Stop) -> Result<plan::Applied, NodeError> {
        let rollback = !self.request.rules.keep;
        let failed = match change.apply(&self.roots, self.durability, rollback, stop) {
            Ok(applied) => return Ok(applied),
            Err(failed) => failed,
        };
        let plan::Failed {
            mut error,
            made,
            is_taken_back,
            tried_back,
        } = *failed;
        if is_taken_back {
            plan::Change::withdraw(&self.step, self.durability)?;
        }
        let became = match (tried_back, is_taken_back, made) {
            (false, ..) | (true, true, 0) => "",
            (true, true, _) => "; the changes before it were taken back",
            (true, false, _) => {
                "; not all changes before it could be taken back, `file_changes/` of the step has them"
            }
        };
        error.info.message.push_str(became);
        Err(error)
    }

    fn failure(&self, planned: &planned::Planned) -> Option<NodeError> {
        let mut failure = planned.failure.clone()?;
        if planned.failures > 1 {
            let more = format!("; and {} more failed", planned.failures - 1);
            failure.info.message.push_str(&more);
        }
        if failure.info.hint.is_none() {
            failure = failure.with_hint(if self.request.rules.keep {
                "the other operations were made"
            } else {
                "nothing was changed"
            });
        }
        Some(failure)
    }

    fn with_none_made(&self, failure: NodeError, planned: &planned::Planned) -> NodeError {
        let result = |planning: &planned::Planning| {
            let mut result = planning.result.clone();
            if result["success"] == true && !planning.touched.is_empty() {
                result["success"] = false.into();
                result["error"] = "not made, because another operation failed".into();
                if let Some(result) = result.as_object_mut() {
                    result.remove("left");
                }
            }
            result
        };
        let results = planned.results.iter().map(result).collect();
        failure.with_partial(Output::new(self.request.base.clone(), results).into_node_output())
    }
}

/// The output of the node.
struct Output {
    base: PathBuf,
    results: Vec<Value>,
    git: Option<Value>,
}

impl Output {
    const fn new(base: PathBuf, results: Vec<Value>) -> Self {
        Self {
            base,
            results,
            git: None,
        }
    }

    fn into_node_output(self) -> NodeOutput {
        let Self { base, results, git } = self;
        let is = |field: &str| results.iter().filter(|result| result[field] == true).count();
        let (count, succeeded, unchanged) = (results.len(), is("success"), is("unchanged"));
        let errors = results.iter().filter_map(|result| result["error"].as_str());
        let data = json!({
            "base_directory": base,
            "success": succeeded == count,
            "errors": errors.collect::<Vec<_>>(),
            "operations_count": count,
            "successful_operations": succeeded,
            "failed_operations": count - succeeded,
        });
        let mut summary = dad_core::internal::count(count as u64, "operation");
        if unchanged > 0 {
            summary.push_str(&format!(", {unchanged} unchanged"));
        }
        if succeeded < count {
            summary.push_str(&format!(", {} failed", count - succeeded));
        }
        let outcome = FileOperationNodeOutcome {
            base_directory: base.to_string_lossy().into_owned(),
            results,
            git,
        };
        NodeOutput::new(json!(outcome))
            .with_output(json!({ "data": data }))
            .with_summary(summary)
    }
}

/// Tells git of the touched files and of nothing else.
async fn record_in_git(
    settings: &FileOperationNodeSettings,
    repositories: &git::Repositories,
    roots: &place::Roots,
    touched: &BTreeSet<place::Place>,
    cx: &NodeContext,
) -> Result<Option<Value>, NodeError> {
    if !settings.uses_git() {
        return Ok(None);
    }
    let files = touched
        .iter()
        .map(|place| (roots.real(place.root).join(&place.path), place.path.clone()));
    let mut reported = git::Recorded::default();
    let recorded = async {
        for (repository, paths) in repositories.of(files, cx).await? {
            let staged = repository.stage(&paths, &mut reported).await?;
            if settings.commit.unwrap_or(false) {
                let message = settings.message_of_commit()?;
                repository.commit(&staged, message, &mut reported).await?;
            }
        }
        Ok(())
    };
    match recorded.await {
        Ok(()) => Ok(Some(json!(reported))),
        Err(error) => Err(with_git_hint(error)),
    }
}

fn with_git_hint(error: NodeError) -> NodeError {
    match error.info.hint {
        Some(_) => error,
        None => error.with_hint(
            "the files are changed, and only the commit is missing: once its reason is gone, resume the run to make it",
        ),
    }
}
