use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// Stops the runs that are given it, now or later. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct RunStop(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    token: CancellationToken,
    source: OnceLock<String>,
}

impl RunStop {
    /// Stops nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the runs. Each of them records `source`, which says for people what stopped it.
    pub fn stop(&self, source: impl Into<String>) {
        self.0.source.get_or_init(|| source.into());
        self.0.token.cancel();
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.0.token.is_cancelled()
    }

    /// Resolves when the runs are to stop.
    pub(crate) async fn asked(&self) {
        self.0.token.cancelled().await;
    }

    /// What stops the runs.
    pub(crate) fn source(&self) -> &str {
        self.0.source.get().map_or("the application", String::as_str)
    }
}

impl From<CancellationToken> for RunStop {
    fn from(token: CancellationToken) -> Self {
        Self(Arc::new(Asked {
            token,
            source: OnceLock::new(),
        }))
    }
}
