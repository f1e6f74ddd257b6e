//! The observer of a run: it turns events into spans and metrics.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use dad_events::{Event, IntoObserver, RunInfo, RunObserver};
use parking_lot::Mutex;
use tracing::Dispatch;

use crate::exporters::Exporters;
use crate::logs::{RunLogLayer, RunLogs};
use crate::metrics::Metrics;
use crate::names::{LOGS_FILE, METRICS_FILE, TRACE_FILE};
use crate::otlp::LineFile;
use crate::resource::ResourceFacts;
use crate::settings::ObservabilitySettings;
use crate::traces::Traces;

/// Writes the signals of one run below its `.trace/`. Made from [`ObservabilitySettings`].
#[derive(Debug)]
pub struct FileTelemetry {
    settings: ObservabilitySettings,
    /// The log layer of the subscriber that was in force where the settings were given, if it has one.
    given: Option<RunLogLayer>,
    state: Mutex<State>,
    exporters: Exporters,
}

#[derive(Debug, Default)]
struct State {
    traces: Option<(Traces, LineFile)>,
    metrics: Option<(Metrics, LineFile)>,
    logs: Option<Arc<RunLogs>>,
    /// The layer that routes log events here.
    layer: Option<RunLogLayer>,
    run_id: String,
    warnings: Vec<String>,
}

impl FileTelemetry {
    /// An observer that writes what `settings` enable.
    #[must_use]
    pub fn new(settings: ObservabilitySettings) -> Self {
        Self {
            settings,
            given: layer_in_force(),
            state: Mutex::default(),
            exporters: Exporters::default(),
        }
    }

    /// The same with a function that prints a line of the [console exporter](crate::ExporterType::Console), which gets one line
    /// without control characters. By default it is written to standard error.
    #[must_use]
    pub fn console(mut self, print: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.exporters.print_with(print);
        self
    }

    fn state(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// The log layer of the subscriber that is in force, if it has one.
fn layer_in_force() -> Option<RunLogLayer> {
    let find = |dispatch: &Dispatch| dispatch.downcast_ref::<RunLogLayer>().cloned();
    tracing::dispatcher::get_default(find)
}

impl State {
    /// Has the log events of the run routed here, as soon as there is a layer that routes: an application may install its
    /// subscriber before or after it makes the settings, and while the run is driven.
    fn route(&mut self, given: Option<&RunLogLayer>) {
        if self.layer.is_some() {
            return;
        }
        let Some(logs) = &self.logs else { return };
        let found = layer_in_force().or_else(|| given.cloned());
        if let Some(layer) = &found {
            layer.add(&self.run_id, Arc::clone(logs));
        }
        self.layer = found;
    }

    fn open(&mut self, trace_dir: &Path, name: &str) -> Option<LineFile> {
        match LineFile::open(trace_dir, name) {
            Ok(file) => Some(file),
            Err(error) => {
                self.warnings.push(format!("{error}: {}", error.source));
                None
            }
        }
    }

    fn write_traces(&mut self) {
        let Some((traces, file)) = &mut self.traces else {
            return;
        };
        if let Some(request) = traces.take()
            && let Err(error) = file.write(&request)
        {
            self.warnings.push(error);
            // One warning says it; the rest of the run has no spans.
            self.traces = None;
        }
    }
}

#[async_trait]
impl RunObserver for FileTelemetry {
    fn name(&self) -> &str {
        "telemetry files"
    }

    async fn start(&self, run: &Arc<RunInfo>) {
        let ObservabilitySettings {
            enable_tracing,
            enable_metrics,
            enable_logging,
            ..
        } = &self.settings;
        let mut state = self.state();
        state.run_id = run.run_id.to_string();
        let facts = Arc::new(ResourceFacts::new(&self.settings, run.run_id.as_str()));
        if *enable_tracing {
            let file = state.open(&run.trace_dir, TRACE_FILE);
            state.traces = file.map(|file| (Traces::new(Arc::clone(run), Arc::clone(&facts)), file));
        }
        if *enable_metrics {
            let file = state.open(&run.trace_dir, METRICS_FILE);
            state.metrics = file.map(|file| (Metrics::new(Arc::clone(&facts)), file));
        }
        if *enable_logging && let Some(file) = state.open(&run.trace_dir, LOGS_FILE) {
            let logs = Arc::new(RunLogs::new(
                run,
                Arc::clone(&facts),
                self.settings.root_log_level,
                file,
            ));
            state.logs = Some(logs);
            state.route(self.given.as_ref());
        }
        let trouble = self.exporters.start(&self.settings, run);
        state.warnings.extend(trouble);
    }

    async fn observe(&self, events: &[Arc<Event>]) {
        let mut state = self.state();
        state.route(self.given.as_ref());
        for event in events {
            if let Some((traces, _)) = &mut state.traces {
                traces.observe(event);
            }
            if let Some((metrics, _)) = &mut state.metrics {
                metrics.observe(event);
            }
        }
        state.write_traces();
        let trouble = state.logs.as_ref().and_then(|logs| logs.flush());
        state.warnings.extend(trouble);
        self.exporters.wake();
    }

    async fn finish(&self) -> Vec<String> {
        let mut warnings = self.written();
        warnings.extend(self.exporters.finish().await);
        warnings
    }
}

impl FileTelemetry {
    /// Writes what is left, and returns what went wrong.
    fn written(&self) -> Vec<String> {
        let mut state = self.state();
        if let Some(layer) = state.layer.take() {
            layer.remove(&state.run_id);
        }
        state.write_traces();
        if let Some((mut metrics, mut file)) = state.metrics.take()
            && let Err(error) = file.write(&metrics.take())
        {
            state.warnings.push(error);
        }
        let trouble = state.logs.take().and_then(|logs| logs.flush());
        state.warnings.extend(trouble);
        std::mem::take(&mut state.warnings)
    }
}

impl IntoObserver for ObservabilitySettings {
    fn into_observer(self) -> Option<Arc<dyn RunObserver>> {
        let wanted = self.enable_tracing || self.enable_metrics || self.enable_logging;
        wanted.then(|| Arc::new(FileTelemetry::new(self)) as Arc<dyn RunObserver>)
    }
}
