//! Files that no operation changes, whatever a model asks for: the records of runs, by which they are resumed and believed,
//! the settings of a project, which name commands and hold keys, and the definition that is being executed. What holds one
//! of them is neither removed nor moved.
//!
//! What tools obey by themselves, and definitions of other agents, change only where the running definition allows it or a
//! person agreed to just that.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use dad_definition::PathGlobs;
use dad_events::RunInfo;
use dad_run::RunHandle;
use dad_run::layout::{
    CATALOG_LOCK, DOT_RUN, DOT_TRACE, GLOBAL_DATA, JOURNAL, RUN_SUMMARY, STATIC_INPUTS, TRASH,
};
use parking_lot::Mutex;
use serde_json::Value;

use super::obeyed::why_obeyed;
use super::place::{has_short_form, plain_name, segments};

/// The settings of a project.
const SETTINGS: &str = ".dhenara";

/// The user's own configuration, below `.config`: it says which projects are obeyed and which keys may be sent where.
const USER_SETTINGS: &str = "dhenara";

/// The files that define an agent, in a directory of its name below one of this name.
const AGENTS: &str = "agents";
const AGENT_FILES: [&str; 2] = ["agent.yaml", "agent.json"];

/// The protected files of a run. Paths are kept as the plain names in them, so that they are known in every
/// spelling that some file system takes for the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Protected {
    /// Without links.
    run_dir: PathBuf,
    root_id: String,
    run_roots: Vec<RunRoot>,
    /// The files that the definition was read from.
    definition: Vec<Vec<String>>,
    project: Option<PathBuf>,
    /// The hooks directory of the project's repository, if that is no directory of its own data.
    hooks: Option<Vec<String>>,
    /// The paths of obeyed files that the definition allows.
    allowed: PathGlobs,
}

/// Why a file is changed only with an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obeyed {
    pub(crate) why: &'static str,
    /// The glob that would allow it.
    pub(crate) glob: String,
}

#[derive(Clone, Debug)]
struct RunRoot {
    names: Vec<String>,
    /// Whether the project lies in it, so that not everything in it is the runs'.
    holds_project: bool,
}

/// The protected paths of the runs that are driven now. They are resolved once a run and not before every step: who could
/// put a link in the place of a directory around them could as well change what is in it, because operations of the run
/// refuse both and nothing else asks here.
#[derive(Debug, Default)]
pub(crate) struct ProtectedOfRuns(Mutex<Vec<(Weak<RunInfo>, Arc<Protected>)>>);

impl ProtectedOfRuns {
    pub(crate) fn of(&self, run: &RunHandle) -> Arc<Protected> {
        let mut runs = self.0.lock();
        // A run that is continued later has another identity, even if it is the same run.
        runs.retain(|(run, _)| run.strong_count() > 0);
        let identity = Arc::downgrade(run.identity());
        match runs.iter().find(|(known, _)| known.ptr_eq(&identity)) {
            Some((_, protected)) => Arc::clone(protected),
            None => {
                let protected = Arc::new(Protected::new(run));
                runs.push((identity, Arc::clone(&protected)));
                protected
            }
        }
    }
}

impl Protected {
    fn new(run: &RunHandle) -> Self {
        let identity = run.identity();
        let variables = &run.scope().run_variables;
        let directory = |name: &str| {
            let text = variables.get(name).and_then(Value::as_str);
            text.map(|text| real(Path::new(text)))
        };
        let project = directory("project_root");
        let run_roots = ["run_root", "effective_run_root"]
            .into_iter()
            .filter_map(directory);
        let run_root = |root: PathBuf| RunRoot {
            names: plain_names(&root),
            holds_project: project.as_ref().is_some_and(|project| project.starts_with(&root)),
        };
        // A file that is reached by a link is both: the link, and what it leads to.
        let both = |file: &PathBuf| {
            let link = file.parent().zip(file.file_name());
            let link = link.map(|(dir, name)| real(dir).join(name));
            [link, Some(real(file))]
        };
        Self {
            run_dir: real(&identity.run_dir),
            root_id: identity.root_id.as_str().to_owned(),
            run_roots: run_roots.map(run_root).collect(),
            definition: run
                .definition_files()
                .iter()
                .flat_map(both)
                .flatten()
                .map(|file| plain_names(&file))
                .collect(),
            hooks: project
                .as_deref()
                .and_then(hooks_path)
                .map(|dir| plain_names(&dir)),
            project,
            // That they are globs has been checked with the definition.
            allowed: PathGlobs::new(&run.program().definition.allow_protected).unwrap_or_default(),
        }
    }

    /// Why a path, absolute and without links, is changed only with an agreement, unless the definition allows it.
    pub(crate) fn obeyed(&self, path: &Path) -> Option<Obeyed> {
        // The directories around a project do not say what the files in it are.
        let in_project = self
            .project
            .as_ref()
            .and_then(|project| path.strip_prefix(project).ok());
        let relative = in_project.unwrap_or(path);
        let is_hook = || {
            self.hooks
                .as_ref()
                .is_some_and(|hooks| plain_names(path).starts_with(hooks))
        };
        let why = why_obeyed(&plain_names(relative))
            .or_else(|| {
                is_hook().then_some("git executes the hooks in it, because `core.hooksPath` names it")
            })
            .or_else(|| is_of_agent(path).then_some("it belongs to the definition of another agent"))?;
        let glob = segments(relative).collect::<Vec<_>>().join("/");
        let glob = match in_project {
            Some(_) => glob,
            None => format!("/{glob}"),
        };
        (!self.allowed.allow(&glob)).then_some(Obeyed { why, glob })
    }

    /// Why a path, absolute and without links, is not to be changed.
    pub(crate) fn reason(&self, path: &Path) -> Option<&'static str> {
        let names = plain_names(path);
        let has = |wanted: &str| names.iter().any(|name| is_name_of(name, wanted));
        if has(SETTINGS) {
            return Some("belongs to the settings of a project");
        }
        let is_of_user =
            |pair: &[String]| is_name_of(&pair[0], ".config") && is_name_of(&pair[1], USER_SETTINGS);
        if names.windows(2).any(is_of_user) {
            return Some("belongs to the user's own configuration");
        }
        if self.run_dir.starts_with(path) {
            return Some("holds the directory of this run");
        }
        if let Some(run) = path.ancestors().find(|dir| is_run(dir)) {
            if !is_same(run, &self.run_dir) {
                return Some("belongs to another run");
            }
            let first = names.get(segments(run).count())?;
            let records = [DOT_RUN, DOT_TRACE, STATIC_INPUTS, RUN_SUMMARY, &self.root_id];
            if records.iter().any(|record| is_name_of(first, record)) {
                return Some("belongs to the records of this run");
            }
        }
        if has(DOT_RUN) || has(DOT_TRACE) {
            return Some("belongs to the records of a run");
        }
        self.of_run_root(path, &names)
            .or_else(|| self.of_definition(&names))
    }

    fn of_run_root(&self, path: &Path, names: &[String]) -> Option<&'static str> {
        if path.starts_with(&self.run_dir) {
            return None;
        }
        let reason = |root: &RunRoot| {
            if root.names.starts_with(names) {
                return Some("holds the directories of runs");
            }
            let first = names.strip_prefix(root.names.as_slice())?.first()?;
            let is_of_runs = !root.holds_project
                || is_run_id(first)
                || [TRASH, CATALOG_LOCK].iter().any(|name| is_name_of(first, name));
            is_of_runs.then_some("lies among the directories of runs")
        };
        let is_shared = |root: &RunRoot| {
            let rest = names.strip_prefix(root.names.as_slice());
            rest.and_then(<[String]>::first)
                .is_some_and(|first| first == GLOBAL_DATA)
        };
        if self.run_roots.iter().any(is_shared) {
            None
        } else {
            self.run_roots.iter().find_map(reason)
        }
    }

    fn of_definition(&self, names: &[String]) -> Option<&'static str> {
        let reason = |file: &Vec<String>| match (names.starts_with(file), file.starts_with(names)) {
            (true, _) => Some("belongs to the definition of this run"),
            (_, true) => Some("holds the definition of this run"),
            _ => None,
        };
        self.definition.iter().find_map(reason)
    }
}

/// The directory that the configuration of the repository around a project names for its hooks.
fn hooks_path(project: &Path) -> Option<PathBuf> {
    let tree = project.ancestors().find(|dir| dir.join(".git").exists())?;
    let git = git_dir(tree)?;
    // A linked working tree has the configuration of its repository, and may have one of its own, which comes first.
    let common = std::fs::read_to_string(git.join("commondir")).unwrap_or_default();
    let configs = [
        git.join("config.worktree"),
        git.join(common.trim()).join("config"),
    ];
    let named = configs
        .iter()
        .find_map(|path| configured_hooks(&std::fs::read_to_string(path).ok()?))?;
    Some(real(&tree.join(named)))
}

fn git_dir(tree: &Path) -> Option<PathBuf> {
    let git = tree.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let link = std::fs::read_to_string(git).ok()?;
    Some(tree.join(link.trim().strip_prefix("gitdir:")?.trim()))
}

/// The value of `core.hooksPath`.
fn configured_hooks(config: &str) -> Option<String> {
    let mut is_core = false;
    let mut found = None;
    for line in config.lines().map(str::trim) {
        let section = line.strip_prefix('[').and_then(|line| line.split_once(']'));
        if let Some((name, _)) = section {
            is_core = name.trim().eq_ignore_ascii_case("core");
        }
        // A value may stand behind the name of its section.
        let line = section.map_or(line, |(_, rest)| rest);
        if let Some((name, value)) = line.split_once('=')
            && is_core
            && name.trim().eq_ignore_ascii_case("hooksPath")
        {
            found = Some(config_value(value));
        }
    }
    found.filter(|value| !value.is_empty())
}

/// A value of the configuration of git without its quotation marks, escapes and comment.
fn config_value(written: &str) -> String {
    let mut value = String::new();
    let mut is_quoted = false;
    let mut chars = written.trim().chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\\' => value.extend(chars.next()),
            '#' | ';' if !is_quoted => break,
            c => value.push(c),
        }
    }
    value.trim_end().to_owned()
}

/// Whether a path lies in the directory of an agent.
fn is_of_agent(path: &Path) -> bool {
    let is_agent = |dir: &Path| {
        let around = dir.parent().and_then(Path::file_name);
        around.is_some_and(|name| plain_name(&name.to_string_lossy()) == AGENTS)
            && AGENT_FILES.iter().any(|file| dir.join(file).exists())
    };
    path.ancestors().any(is_agent)
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

fn plain_names(path: &Path) -> Vec<String> {
    segments(path).map(|name| plain_name(&name)).collect()
}

/// Whether a plain name is an id that runs get: `[<prefix>_](run|rerun)_<date>_<time>_<6 hex>`.
fn is_run_id(name: &str) -> bool {
    let mut parts = name.rsplit('_');
    let (random, time, date, word) = (parts.next(), parts.next(), parts.next(), parts.next());
    let is = |part: Option<&str>, len: usize, radix: u32| {
        part.is_some_and(|part| part.len() == len && part.chars().all(|c| c.is_digit(radix)))
    };
    matches!(word, Some("run" | "rerun")) && is(date, 8, 10) && is(time, 6, 10) && is(random, 6, 16)
}

/// Whether a name is the one of something, as a file system may read it.
fn is_name_of(plain: &str, wanted: &str) -> bool {
    plain == wanted.to_lowercase() || has_short_form(plain, wanted)
}

fn is_run(dir: &Path) -> bool {
    dir.join(DOT_RUN).join(JOURNAL).exists()
}

/// Whether two paths name one directory, also where case does not count.
fn is_same(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().is_ok_and(|a| a == b)
}
