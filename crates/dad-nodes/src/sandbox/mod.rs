//! Commands that see only what they are to see, by bubblewrap.

mod around;
mod bubblewrap;
mod mounts;
mod settings;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use dad_run::RunHandle;
use dad_runner::{NodeContext, NodeError, RunSetup};
use parking_lot::Mutex;
use serde_json::{Value, json};

pub(crate) use around::Around;
pub(crate) use bubblewrap::{Prefix, is_its_own_failure};
use mounts::Mounts;
pub use settings::{Sandbox, SandboxBounds, SandboxHome, SandboxMode};

/// The user's policy for the execution of commands. A resource of a run; without one, as definitions say.
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

    /// The user's choice.
    #[must_use]
    pub const fn mode(&self) -> SandboxMode {
        self.mode
    }

    /// Tries whether a sandbox without further rights can be made here.
    ///
    /// # Errors
    /// `sandbox_unavailable` with the reason and the remedy.
    pub fn try_out(&self) -> Result<(), NodeError> {
        let bounds = SandboxBounds::default();
        let mut mounts = Mounts::of_system(&bounds, &self.hidden);
        mounts.add_toolchains();
        self.check(Prefix::new(&bounds, mounts, None)?)
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
        let mut made = self.made.lock();
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

/// The confinement of a command.
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

    /// The arguments before those of a command that executes so.
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
        let reported =
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
            assert_eq!(reported(mode, wanted), is, "{mode:?} {wanted:?}");
        }
    }
}
