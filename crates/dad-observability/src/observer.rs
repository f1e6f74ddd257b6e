//! The observer of a run: it turns events into spans, instruments and log records.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dad_events::{Event, IntoObserver, RunInfo, RunObserver};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use tracing::Dispatch;

use crate::content::Capture;
use crate::exporters::Exporters;
use crate::interrupted;
use crate::life::Life;
use crate::logs::{RunLogLayer, RunLogs};
use crate::metrics::Metrics;
use crate::names::{LOGS_FILE, METRICS_FILE, TRACE_FILE};
use crate::otlp::LineFile;
use crate::resource::ResourceFacts;
use crate::settings::{CaptureContent, ObservabilitySettings};
use crate::traces::{self, Traces};

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
    resource: Arc<Resource>,
    traces: Option<(Traces, LineFile)>,
    metrics: Option<(Metrics, LineFile)>,
    logs: Option<(Life, Arc<RunLogs>)>,
    /// The layer that routes log events here.
    layer: Option<RunLogLayer>,
    run_id: String,
    warnings: Vec<String>,
}

/// The size of spans in one line, in bytes of their texts: readers hold a line in memory.
const LINE: usize = 1024 * 1024;

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
        let Some((_, logs)) = &self.logs else { return };
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

    /// Takes events in, and writes what follows from them: records before spans, so that what began is on disk first.
    fn observe(&mut self, events: &[Arc<Event>]) {
        let mut begun = Vec::new();
        let mut life = Vec::new();
        for event in events {
            if let Some((traces, _)) = &mut self.traces {
                traces.observe(event);
                begun.extend(traces.take_begun());
            }
            if let Some((metrics, _)) = &mut self.metrics {
                metrics.observe(event);
            }
            if let Some((told, _)) = &self.logs {
                life.extend(told.record(event));
            }
        }
        if let Some((_, logs)) = &self.logs {
            logs.add_begun(begun);
            logs.add(life);
        }
        self.write_logs();
        self.write_traces();
        if self.metrics.as_ref().is_some_and(|(metrics, _)| metrics.is_due()) {
            self.write_metrics();
        }
    }

    fn write_logs(&mut self) {
        let trouble = self.logs.as_ref().and_then(|(_, logs)| logs.flush());
        self.warnings.extend(trouble);
    }

    fn write_traces(&mut self) {
        let Some((traces, _)) = &mut self.traces else {
            return;
        };
        let spans = traces.take_done();
        self.write_spans(spans);
    }

    fn write_spans(&mut self, mut spans: Vec<Span>) {
        while !spans.is_empty() {
            let rest = spans.split_off(fitting(&spans));
            let Some((_, file)) = &mut self.traces else {
                return;
            };
            if let Err(error) = file.write(&traces::request(spans, &self.resource)) {
                self.warnings.push(error);
                // One warning says it; the rest of the run has no spans.
                self.traces = None;
            }
            spans = rest;
        }
    }

    fn write_metrics(&mut self) {
        if let Some((metrics, file)) = &mut self.metrics
            && let Err(error) = file.write(&metrics.request(&self.resource))
        {
            self.warnings.push(error);
            self.metrics = None;
        }
    }
}

/// The number of spans whose texts fit into a line, at least one.
fn fitting(spans: &[Span]) -> usize {
    let mut room = LINE;
    let fits = |span: &&Span| {
        let len = text_len(span);
        let fits = len <= room;
        room = room.saturating_sub(len);
        fits
    };
    spans.iter().take_while(fits).count().max(1)
}

fn text_len(span: &Span) -> usize {
    let texts = span.attributes.iter().filter_map(|attribute| {
        let value = attribute.value.as_ref()?.value.as_ref()?;
        match value {
            any_value::Value::StringValue(text) => Some(text.len()),
            _ => None,
        }
    });
    texts.sum()
}

/// The spans that earlier processes left open, read off the async threads: as many lines as the run is long.
async fn unfinished(trace_dir: PathBuf) -> Result<Vec<Span>, String> {
    #[expect(clippy::disallowed_methods, reason = "it belongs to no step")]
    let read = tokio::task::spawn_blocking(move || interrupted::unfinished(&trace_dir));
    match read.await {
        Ok(Ok(spans)) => Ok(spans),
        Ok(Err(error)) => Err(format!("{error}: {}", error.source)),
        Err(error) => Err(error.to_string()),
    }
}

#[async_trait]
impl RunObserver for FileTelemetry {
    fn name(&self) -> &str {
        "telemetry files"
    }

    fn wants_content(&self) -> bool {
        self.settings.enable_tracing && self.settings.capture_content != CaptureContent::None
    }

    async fn start(&self, run: &Arc<RunInfo>) {
        // Before its own files are opened: what an earlier process left is whole lines from there on.
        let left = if self.settings.enable_tracing && run.session > 1 {
            unfinished(run.trace_dir.clone()).await
        } else {
            Ok(Vec::new())
        };
        let settings = &self.settings;
        let mut state = self.state();
        state.run_id = run.run_id.to_string();
        state.resource = Arc::new(ResourceFacts::new(settings, run.run_id.as_str()).resource());
        if settings.enable_tracing {
            let capture = Capture::new(settings.capture_content, settings.content_limit);
            let file = state.open(&run.trace_dir, TRACE_FILE);
            state.traces = file.map(|file| (Traces::new(Arc::clone(run), capture), file));
            match left {
                Ok(spans) => state.write_spans(spans),
                Err(error) => state.warnings.push(error),
            }
        }
        if settings.enable_metrics {
            let file = state.open(&run.trace_dir, METRICS_FILE);
            state.metrics = file.map(|file| (Metrics::new(), file));
        }
        if settings.enable_logging
            && let Some(file) = state.open(&run.trace_dir, LOGS_FILE)
        {
            let resource = Arc::clone(&state.resource);
            let logs = Arc::new(RunLogs::new(run, resource, settings.root_log_level, file));
            state.logs = Some((Life::new(Arc::clone(run)), logs));
            state.route(self.given.as_ref());
        }
        let trouble = self.exporters.start(settings, run);
        state.warnings.extend(trouble);
    }

    async fn observe(&self, events: &[Arc<Event>]) {
        let mut state = self.state();
        state.route(self.given.as_ref());
        state.observe(events);
        self.exporters.wake();
    }

    async fn finish(&self) -> Vec<String> {
        let mut warnings = self.close();
        warnings.extend(self.exporters.finish().await);
        warnings
    }
}

impl FileTelemetry {
    /// Writes what is left, and returns what went wrong.
    fn close(&self) -> Vec<String> {
        let mut state = self.state();
        if let Some(layer) = state.layer.take() {
            layer.remove(&state.run_id);
        }
        state.write_logs();
        state.write_traces();
        state.write_metrics();
        // Closed, so that what reads them next finds all.
        (state.traces, state.metrics, state.logs) = (None, None, None);
        std::mem::take(&mut state.warnings)
    }
}

impl IntoObserver for ObservabilitySettings {
    fn into_observer(self) -> Option<Arc<dyn RunObserver>> {
        let wanted = self.enable_tracing || self.enable_metrics || self.enable_logging;
        wanted.then(|| Arc::new(FileTelemetry::new(self)) as Arc<dyn RunObserver>)
    }
}
