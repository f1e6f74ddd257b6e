//! The signals of the runs of a project, and their receivers.

use dad_observability::{ExporterType, ObservabilitySettings, OtlpProtocol, PushReport, Pusher, Signal};
use dad_run::{RunEntry, layout};
use futures_util::{StreamExt, stream};

use super::config::Observability;
use super::resolve::{Resolved, Resolver};
use crate::error::ProjectError;
use crate::project::Project;
use crate::settings::Setting;

/// The runs that are sent at once.
const AT_ONCE: usize = 4;

/// A receiver that a caller names in the place of that of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceReceiver {
    /// Its address, for all signals.
    pub endpoint: Option<String>,
    /// Its protocol.
    pub protocol: Option<OtlpProtocol>,
}

impl TraceReceiver {
    /// A receiver at an address; `None` for the one that the project configures.
    #[must_use]
    pub fn new(endpoint: Option<String>, protocol: Option<OtlpProtocol>) -> Self {
        Self { endpoint, protocol }
    }
}

impl Project {
    /// The signals that a run writes and the receivers of them, for the context of a run: as the environment of the user, the
    /// project and the user's own configuration say. `None` if no signals are written.
    ///
    /// # Errors
    /// [`ProjectError::Observability`] if a setting cannot be used, or would send a key of the user to a server that a file of
    /// the project names.
    pub fn observability(&self) -> Result<Option<ObservabilitySettings>, ProjectError> {
        Ok(self.resolved(None)?.settings)
    }

    /// The warnings about variables of the environment that name what this program does not have, for people.
    ///
    /// # Errors
    /// As [`observability`](Self::observability).
    pub fn observability_warnings(&self) -> Result<Vec<String>, ProjectError> {
        Ok(self.shown()?.warnings)
    }

    /// A pusher of recorded signals to the receiver that is given, or that the project configures.
    ///
    /// # Errors
    /// [`ProjectError::NoReceiver`] if there is none; else as [`observability`](Self::observability).
    pub fn pusher(&self, receiver: &TraceReceiver) -> Result<Pusher, ProjectError> {
        let resolved = self.resolved(receiver.endpoint.as_deref())?;
        let mut settings = resolved.settings.ok_or(ProjectError::NoReceiver)?;
        if let Some(protocol) = receiver.protocol {
            settings.otlp_protocol = protocol;
            settings.otlp_traces.protocol = None;
            settings.otlp_metrics.protocol = None;
            settings.otlp_logs.protocol = None;
        }
        let exports = |signal| settings.exporters(signal).contains(&ExporterType::Otlp);
        if !Signal::ALL.into_iter().any(exports) {
            return Err(ProjectError::NoReceiver);
        }
        let pusher = Pusher::new(&settings, self.secrets().clone());
        pusher.map_err(|error| ProjectError::Observability {
            place: "observability".to_owned(),
            reason: error.to_string(),
            hint: None,
        })
    }

    /// Sends the signals of runs, several at a time, and calls `done` with each when it is through. A run that a process drives
    /// is sent up to what is written.
    pub async fn push_traces(
        &self,
        pusher: &Pusher,
        runs: Vec<RunEntry>,
        mut done: impl FnMut(&RunEntry, PushReport),
    ) {
        let pushes = runs.into_iter().map(|run| async move {
            let report = pusher.push(&run.dir.join(layout::DOT_TRACE)).await;
            (run, report)
        });
        let mut pushes = stream::iter(pushes).buffered(AT_ONCE);
        while let Some((run, report)) = pushes.next().await {
            done(&run, report);
        }
    }

    /// The settings of observability with their origins.
    pub(crate) fn observability_settings(&self) -> Result<Vec<Setting>, ProjectError> {
        Ok(self.shown()?.shown)
    }

    fn shown(&self) -> Result<Resolved, ProjectError> {
        let (declared, user) = self.said();
        let resolver = Resolver::new(self, declared, user.as_ref());
        resolver.without_secrets().resolve(None)
    }

    fn resolved(&self, given: Option<&str>) -> Result<Resolved, ProjectError> {
        let (declared, user) = self.said();
        Resolver::new(self, declared, user.as_ref()).resolve(given)
    }

    /// The configuration of the project in its environment, and that of its user.
    fn said(&self) -> (Option<&Observability>, Option<Observability>) {
        let declared = self.config.declared(&self.settings().name);
        let declared = declared.and_then(|environment| environment.observability.as_ref());
        (declared, self.user().defaults().observability)
    }
}
