//! Stopping runs, steps and components, and what a stop reaches.

use std::sync::{Arc, OnceLock};

use dad_core::HierarchyPath;
use tokio_util::sync::CancellationToken;

/// Stops the runs that are given it, now or later. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct RunStop {
    stop: Arc<Asked>,
    at_once: Arc<Asked>,
}

/// One thing that is asked for, and what asked first.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    token: CancellationToken,
    source: OnceLock<String>,
}

impl RunStop {
    /// Stops nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the runs: what executes is stopped, then `finally` executes. Each of them records `source`, which says for people
    /// what stopped it.
    pub fn stop(&self, source: impl Into<String>) {
        self.stop.ask(source.into());
    }

    /// Stops the runs, and what they execute under `finally` as well.
    pub fn stop_at_once(&self, source: impl Into<String>) {
        let source = source.into();
        self.stop.ask(source.clone());
        self.at_once.ask(source);
    }

    /// Whether the runs are to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.is_asked()
    }

    /// That the runs are to stop.
    pub(crate) fn stopping(&self) -> &Asked {
        &self.stop
    }

    /// That they are to stop at once.
    pub(crate) fn ending(&self) -> &Asked {
        &self.at_once
    }
}

impl Asked {
    fn ask(&self, source: String) {
        self.source.get_or_init(|| source);
        self.token.cancel();
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Resolves when it is asked for.
    pub(crate) async fn asked(&self) {
        self.token.cancelled().await;
    }

    pub(crate) fn source(&self) -> &str {
        self.source.get().map_or("the application", String::as_str)
    }
}

impl From<CancellationToken> for RunStop {
    fn from(token: CancellationToken) -> Self {
        Self {
            stop: Arc::new(Asked {
                token,
                source: OnceLock::new(),
            }),
            at_once: Arc::default(),
        }
    }
}

/// The token that stops a step or component, and its shield.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) token: CancellationToken,
    /// The component in whose `finally` it stands.
    pub(crate) shield: Option<HierarchyPath>,
}

/// Whether a cancel of `cancelled` reaches `path`. The `finally` of a component executes however the component ended: what
/// is in it is reached only by a cancel of something inside that component.
pub(crate) fn reaches(
    cancelled: &HierarchyPath,
    path: &HierarchyPath,
    shield: Option<&HierarchyPath>,
) -> bool {
    let is_inside = |shield: &HierarchyPath| cancelled != shield && cancelled.is_within(shield);
    path.is_within(cancelled) && shield.is_none_or(is_inside)
}
