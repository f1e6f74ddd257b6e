//! Whether a project can be used on this machine: its files, the place of its runs, the programs that steps call, and keys.

use std::path::Path;
use std::process::{Command, Stdio};

use dad_core::{ErrorInfo, format_size};
use dad_models::{KeyPlace, ModelCatalog, ModelError, key_variable};
use dad_nodes::SandboxMode;

use crate::config::FILE;
use crate::error::ProjectError;
use crate::project::Project;

/// The least room for runs that is no warning, in bytes: some hundred runs with their traces.
const LEAST_SPACE: u64 = 256 << 20;

/// The findings about a project, and the keys of the providers that are known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The findings.
    pub checks: Vec<Check>,
    /// The providers, sorted by name.
    pub providers: Vec<ProviderCheck>,
}

impl Diagnosis {
    /// The findings about a project that cannot be opened.
    #[must_use]
    pub fn unopened(checks: impl Into<Vec<Check>>) -> Self {
        Self {
            checks: checks.into(),
            providers: Vec::new(),
        }
    }

    /// Whether runs can start: no check failed. Missing keys and programs concern only the steps that need them.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.checks
            .iter()
            .all(|check| check.status != CheckStatus::Failed)
    }
}

/// A finding.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Check {
    /// Its subject, in a word.
    pub name: &'static str,
    /// Its result.
    pub status: CheckStatus,
    /// The finding in words.
    pub message: String,
    /// The remedy, if there is something to do.
    pub hint: Option<String>,
}

/// The result of a check. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// As it should be.
    Passed,
    /// Steps that need it fail; others execute.
    Warning,
    /// No run can start.
    Failed,
}

impl CheckStatus {
    /// Its word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// A provider of models, and its key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProviderCheck {
    /// Its name.
    pub name: String,
    /// The environment variable that its key may stand in.
    pub variable: String,
    /// The place of its key, never the key itself; `None` if there is none.
    pub key: Option<KeyPlace>,
    /// Whether its server wants a key.
    pub needs_key: bool,
    /// Whether its server could be reached, and the reason if not; `None` if it was not asked.
    pub reached: Option<Result<(), String>>,
}

impl Check {
    /// A finding without a remedy.
    #[must_use]
    pub fn new(name: &'static str, status: CheckStatus, message: impl Into<String>) -> Self {
        Self {
            name,
            status,
            message: message.into(),
            hint: None,
        }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn of_error(name: &'static str, error: &ErrorInfo) -> Self {
        Self {
            hint: error.hint.clone(),
            ..Self::new(name, CheckStatus::Failed, error.message.clone())
        }
    }
}

impl Project {
    /// Looks at everything that a run needs. It changes nothing, and asks no server.
    #[must_use]
    pub fn diagnose(&self) -> Diagnosis {
        let mut checks = vec![self.configuration()];
        let models = self.model_catalog();
        checks.push(match &models {
            Ok(catalog) => {
                let count = catalog.configured().count();
                Check::new("models", CheckStatus::Passed, format!("{count} of your own"))
            }
            Err(error) => Check::of_error("models", &error.to_info()),
        });
        checks.push(self.definitions_check());
        checks.push(self.run_root_check());
        checks.push(git());
        checks.push(self.sandbox());
        let (providers, key_error) = self.providers();
        checks.extend(key_error);
        Diagnosis { checks, providers }
    }

    /// Asks the server of each provider whose models can be asked whether it answers, without a key and without cost.
    ///
    /// # Errors
    /// If the models of the project cannot be read.
    pub async fn reach_providers(&self, diagnosis: &mut Diagnosis) -> Result<(), ProjectError> {
        let catalog = self.model_catalog()?;
        let client = self.http_client()?;
        for provider in &mut diagnosis.providers {
            if provider.key.is_some() || !provider.needs_key {
                let reached = client.reach(&model_of(&catalog, &provider.name)).await;
                provider.reached = Some(reached.map_err(|error| match error {
                    ModelError::Connection { reason, .. } => reason,
                    error => error.to_string(),
                }));
            }
        }
        Ok(())
    }

    fn configuration(&self) -> Check {
        // It was read when the project was opened.
        let name = &self.settings().name;
        let message = if self.root().join(FILE).is_file() {
            format!("{FILE}, environment {name}")
        } else {
            format!("no {FILE}: defaults")
        };
        Check::new("config", CheckStatus::Passed, message)
    }

    fn definitions_check(&self) -> Check {
        let definitions = self.definitions();
        let wrong: Vec<&str> = definitions
            .iter()
            .filter(|definition| definition.problems.is_some())
            .map(|definition| definition.name.as_str())
            .collect();
        if wrong.is_empty() {
            let message = dad_core::internal::count(definitions.len() as u64, "definition");
            return Check::new("agents", CheckStatus::Passed, message);
        }
        Check::new(
            "agents",
            CheckStatus::Warning,
            format!("with problems: {}", wrong.join(", ")),
        )
        .with_hint("validate them")
    }

    /// Runs are made in a directory that may not exist yet: then the nearest one above it counts.
    fn run_root_check(&self) -> Check {
        let run_root = match self.dirs() {
            Ok(dirs) => dirs.run_root,
            Err(error) => return Check::of_error("runs", &error.to_info()),
        };
        let shown = run_root.display();
        let Some(existing) = run_root.ancestors().find(|dir| dir.exists()) else {
            return Check::new(
                "runs",
                CheckStatus::Failed,
                format!("{shown} has no directory above it"),
            );
        };
        if !dad_fs::is_writable(existing) {
            let message = format!("{} cannot be written", existing.display());
            return Check::new("runs", CheckStatus::Failed, message).with_hint("choose another run root");
        }
        let space = dad_fs::free_space(existing);
        let free = space.map(|bytes| format!("\n{} free", format_size(bytes)));
        let readers = if existing == run_root {
            readers(existing)
        } else {
            None
        };
        let readers = readers.map(|readers| format!("\n{readers}"));
        let message = [Some(shown.to_string()), free, readers];
        let message: String = message.into_iter().flatten().collect();
        if space.is_some_and(|bytes| bytes < LEAST_SPACE) {
            return Check::new("runs", CheckStatus::Warning, message).with_hint("remove old runs");
        }
        Check::new("runs", CheckStatus::Passed, message)
    }

    fn sandbox(&self) -> Check {
        let policy = self.user().sandbox();
        if policy.mode() == SandboxMode::Off {
            let message = "off in your configuration: commands execute without one";
            return Check::new("sandbox", CheckStatus::Warning, message);
        }
        match policy.try_out() {
            Ok(()) => Check::new("sandbox", CheckStatus::Passed, "bubblewrap"),
            Err(error) => Check {
                status: if policy.mode() == SandboxMode::Required {
                    CheckStatus::Failed
                } else {
                    CheckStatus::Warning
                },
                ..Check::of_error("sandbox", &error.info)
            },
        }
    }

    /// The providers, and a file with keys that cannot be read.
    fn providers(&self) -> (Vec<ProviderCheck>, Option<Check>) {
        let Ok(catalog) = self.model_catalog() else {
            return (Vec::new(), None);
        };
        let keys = self.model_keys();
        let mut unreadable = None;
        let providers = catalog.providers().into_iter().map(|name| {
            let described = catalog.describe(&model_of(&catalog, name));
            let key = keys.key_place(name).unwrap_or_else(|error| {
                unreadable = Some(Check::new("keys", CheckStatus::Failed, error.to_string()));
                None
            });
            ProviderCheck {
                name: name.to_owned(),
                variable: key_variable(name),
                key,
                needs_key: described.is_ok_and(|model| model.provider.wants_key),
                reached: None,
            }
        });
        (providers.collect(), unreadable)
    }
}

/// A model of a provider: one of the project's or user's own, whose address may stand in its entry, or any name.
fn model_of(catalog: &ModelCatalog, provider: &str) -> String {
    let mut configured = catalog.configured();
    let is_of = |name: &&str| {
        catalog
            .describe(name)
            .is_ok_and(|model| model.provider.name == provider)
    };
    configured
        .find(is_of)
        .map_or_else(|| format!("{provider}/any"), str::to_owned)
}

/// The users of this machine who may look into a directory.
fn readers(dir: &Path) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let mode = dir.metadata().ok()?.mode();
        Some(match (mode & 0o050, mode & 0o005) {
            (0, 0) => "only you may list it",
            (_, 0) => "your group may list it",
            _ => "all users of this machine may list it",
        })
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
}

/// Commits of file operations, and the rules for ignored files, need git.
fn git() -> Check {
    let called = Command::new("git").arg("--version").stdin(Stdio::null()).output();
    match called {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Check::new("git", CheckStatus::Passed, version)
        }
        _ => Check::new("git", CheckStatus::Warning, "there is no program `git` on PATH").with_hint(
            "without it file operations cannot commit, and some rules for ignored files do not count",
        ),
    }
}
