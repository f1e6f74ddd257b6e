//! Commands that see only what they are to see, by bubblewrap.

mod bubblewrap;
mod mounts;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use dad_run::RunHandle;
use dad_run::layout::{DOT_RUN, DOT_TRACE};
use dad_runner::{NodeContext, NodeError, RunSetup};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use bubblewrap::{Prefix, is_its_own_failure};
use mounts::Mounts;

/// What a command sees and may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Sandbox {
    /// Whether it executes in a sandbox, without network.
    Switch(bool),
    /// What it sees and may change beside the usual.
    Bounds(SandboxBounds),
}

/// What a command in a sandbox sees and may change beside its working directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxBounds {
    /// Whether it uses the network of this machine, which includes the servers on it; false by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    /// Files and directories that it may change, beside its working directory. Relative ones are taken from that, `~/` from
    /// the home directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// Files and directories that it may read, beside the system's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// What it sees of the home directory; nothing by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<SandboxHome>,
}

/// What a command in a sandbox sees of the home directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SandboxHome {
    /// An empty one, which is gone with the command.
    #[default]
    None,
    /// All of it but known places of credentials; it changes nothing there.
    Read,
}

/// By hand, so that the error names the key that is wrong.
impl<'de> Deserialize<'de> for Sandbox {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match &value {
            Value::Bool(on) => Ok(Self::Switch(*on)),
            bounds => SandboxBounds::deserialize(bounds)
                .map(Self::Bounds)
                .map_err(serde::de::Error::custom),
        }
    }
}

impl Sandbox {
    fn bounds(&self) -> Option<SandboxBounds> {
        match self {
            Self::Switch(on) => on.then(SandboxBounds::default),
            Self::Bounds(bounds) => Some(bounds.clone()),
        }
    }
}

/// Which commands of a user's runs execute in a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxMode {
    /// None, whatever definitions say.
    Off,
    /// Those that definitions say.
    #[default]
    Auto,
    /// All.
    Required,
}

/// How a user wants commands to be executed. A resource of a run; without one, as definitions say.
#[derive(Debug, Default)]
pub struct SandboxPolicy {
    mode: SandboxMode,
    hidden: Vec<PathBuf>,
    /// Whether it was said that commands execute without the sandbox of their definition.
    is_said: AtomicBool,
    /// The sandboxes that could be made.
    made: Mutex<HashSet<Prefix>>,
}

impl SandboxPolicy {
    /// With the directories that no sandbox shows, such as the one of the user's origin key.
    #[must_use]
    pub fn new(mode: SandboxMode, hidden: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            mode,
            hidden: hidden.into_iter().collect(),
            ..Self::default()
        }
    }

    fn confinement(&self, wanted: Option<&Sandbox>) -> Confinement {
        let wanted = wanted.and_then(Sandbox::bounds);
        match (self.mode, wanted) {
            (SandboxMode::Off, Some(_)) => Confinement::Off,
            (SandboxMode::Off | SandboxMode::Auto, None) => Confinement::Unwanted,
            (SandboxMode::Auto | SandboxMode::Required, Some(bounds)) => Confinement::In(bounds),
            (SandboxMode::Required, None) => Confinement::In(SandboxBounds::default()),
        }
    }

    /// Whether a sandbox can be made; each is tried once.
    fn check(&self, sandbox: Prefix) -> Result<(), NodeError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.contains(&sandbox) {
            sandbox.probe()?;
            made.insert(sandbox);
        }
        Ok(())
    }

    fn say_once(&self) {
        if !self.is_said.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "commands execute without the sandbox of their definition: your configuration says `sandbox: off`"
            );
        }
    }
}

/// How a command executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Confinement {
    /// Without a sandbox: neither the definition nor the user wants one.
    Unwanted,
    /// Without the sandbox of its definition, because the user wants none.
    Off,
    In(SandboxBounds),
}

impl Confinement {
    pub(crate) fn of(wanted: Option<&Sandbox>, run: &RunHandle) -> Self {
        let policy = run.resources().get::<SandboxPolicy>().unwrap_or_default();
        policy.confinement(wanted)
    }

    /// As records have it; `None` where no sandbox is wanted.
    pub(crate) fn recorded(&self) -> Option<Value> {
        match self {
            Self::Unwanted => None,
            Self::Off => Some("off".into()),
            Self::In(bounds) => Some(json!(bounds)),
        }
    }

    /// For the person who is to agree.
    pub(crate) fn shown(&self) -> Option<String> {
        let bounds = match self {
            Self::Unwanted => return None,
            Self::Off => return Some("sandbox: off, by your configuration".to_owned()),
            Self::In(bounds) => bounds,
        };
        let network = if bounds.network { "network" } else { "no network" };
        let home = match bounds.home.unwrap_or_default() {
            SandboxHome::None => "an empty home directory",
            SandboxHome::Read => "reads the home directory",
        };
        let mut parts = vec![network.to_owned(), home.to_owned()];
        for (word, paths) in [("reads", &bounds.read), ("changes", &bounds.write)] {
            if !paths.is_empty() {
                parts.push(format!("{word} {}", paths.join(", ")));
            }
        }
        Some(format!("sandbox: {}", parts.join("; ")))
    }

    /// What stands before the arguments of a command that executes so.
    pub(crate) fn prefix(&self, working_dir: &Path, cx: &NodeContext) -> Result<Option<Prefix>, NodeError> {
        let policy = cx.resource::<SandboxPolicy>().unwrap_or_default();
        let bounds = match self {
            Self::Unwanted => return Ok(None),
            Self::Off => {
                policy.say_once();
                return Ok(None);
            }
            Self::In(bounds) => bounds,
        };
        let mut mounts = Mounts::of_system(bounds, &policy.hidden);
        mounts.add_run(&Around::of(cx)?);
        mounts.add_toolchains();
        mounts.add_bounds(bounds, working_dir)?;
        Prefix::new(bounds, mounts, Some(working_dir)).map(Some)
    }
}

/// The directories of a run and its project.
pub(crate) struct Around {
    run_dir: PathBuf,
    root_id: String,
    step_dir: PathBuf,
    project: Option<PathBuf>,
    run_roots: Vec<PathBuf>,
    /// All of them as the run names them, and without links.
    named: Vec<(PathBuf, PathBuf)>,
}

impl Around {
    fn of(cx: &NodeContext) -> Result<Self, NodeError> {
        let identity = cx.run().identity();
        let variables = &cx.run().scope().run_variables;
        let named = |name: &str| Some(PathBuf::from(variables.get(name)?.as_str()?));
        let directory = |name: &str| named(name).map(|dir| real(&dir));
        let all = ["project_root", "run_root", "effective_run_root"].into_iter();
        let all = all.filter_map(named).chain([identity.run_dir.clone()]);
        Ok(Self {
            named: all.map(|dir| (dir.clone(), real(&dir))).collect(),
            run_dir: real(&identity.run_dir),
            root_id: identity.root_id.as_str().to_owned(),
            step_dir: real(cx.dir()?.path()),
            project: directory("project_root"),
            run_roots: ["run_root", "effective_run_root"]
                .into_iter()
                .filter_map(directory)
                .collect(),
        })
    }

    /// What of the run directory nothing but the run itself changes.
    fn records(&self) -> impl Iterator<Item = PathBuf> {
        let names = [DOT_RUN, DOT_TRACE, &self.root_id];
        names.map(|name| self.run_dir.join(name)).into_iter()
    }
}

/// Refuses to start a run whose commands could not be executed as they are to be.
pub(crate) fn check_start<'a>(
    wanted: impl Iterator<Item = Option<&'a Sandbox>>,
    setup: &RunSetup<'_>,
) -> Result<(), NodeError> {
    let policy = setup.resources.get::<SandboxPolicy>().unwrap_or_default();
    for wanted in wanted {
        match policy.confinement(wanted) {
            Confinement::Unwanted => {}
            Confinement::Off => policy.say_once(),
            Confinement::In(bounds) => {
                let mut mounts = Mounts::of_system(&bounds, &policy.hidden);
                mounts.add_toolchains();
                policy.check(Prefix::new(&bounds, mounts, None)?)?;
            }
        }
    }
    Ok(())
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_last_word() {
        let on = Sandbox::Switch(true);
        let network = SandboxBounds {
            network: true,
            ..SandboxBounds::default()
        };
        let bounds = Sandbox::Bounds(network.clone());
        let told =
            |mode: SandboxMode, wanted: Option<&Sandbox>| SandboxPolicy::new(mode, []).confinement(wanted);
        let plain = Confinement::In(SandboxBounds::default());
        for (mode, wanted, is) in [
            (SandboxMode::Auto, None, Confinement::Unwanted),
            (
                SandboxMode::Auto,
                Some(&Sandbox::Switch(false)),
                Confinement::Unwanted,
            ),
            (SandboxMode::Auto, Some(&on), plain.clone()),
            (SandboxMode::Auto, Some(&bounds), Confinement::In(network.clone())),
            (SandboxMode::Off, None, Confinement::Unwanted),
            (SandboxMode::Off, Some(&on), Confinement::Off),
            (SandboxMode::Required, None, plain.clone()),
            (SandboxMode::Required, Some(&Sandbox::Switch(false)), plain),
            (SandboxMode::Required, Some(&bounds), Confinement::In(network)),
        ] {
            assert_eq!(told(mode, wanted), is, "{mode:?} {wanted:?}");
        }
    }
}
