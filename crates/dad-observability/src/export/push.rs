//! Sends what receivers have not acknowledged yet.

use std::path::Path;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use dad_core::{SecretRegistry, printable};
use futures_util::future::join_all;
use serde::Serialize;

use super::failure::{Accepted, ExportError, Failure};
use super::lines::{Lines, file_of};
use super::message::{LONGEST, Message, Records, SHORTEST, Unfit};
use super::offsets::{acknowledge, acknowledged};
use super::route::Route;
use crate::settings::{ExporterType, ObservabilitySettings, OtlpProtocol, Signal};

/// The bytes of lines that are sent together: what is sent again at most if an answer is lost.
const BATCH: usize = 512 << 10;

/// The attempts of a push for one message after the first.
const RETRIES: usize = 4;

/// The first pause between two attempts, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The part of a file whose records are counted for a message, in bytes.
const COUNTED: u64 = 32 << 20;

/// The characters of a receiver's words that a message repeats.
const WORDS: usize = 300;

/// Sends the records of runs to the receivers that the settings name: what they have not acknowledged yet.
///
/// A pusher is for any number of runs, one after the other or at once. It may send the records of a run that is being driven;
/// what is written afterwards stays for the next push.
#[derive(Debug)]
pub struct Pusher {
    routes: Vec<Route>,
    secrets: SecretRegistry,
    retries: usize,
    again: bool,
}

/// The outcome of a push for one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PushReport {
    /// The signals that were to be sent.
    pub signals: Vec<SignalReport>,
}

/// The outcome of a push for one signal of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SignalReport {
    /// The signal.
    pub signal: Signal,
    /// The address of the receiver, without parameters.
    pub endpoint: String,
    /// The number of records that it took.
    pub sent: u64,
    /// The number of records that it refused, or that no message can hold. They are not sent again.
    pub refused: u64,
    /// The number of records that wait for the next push.
    pub left: u64,
    /// Why records are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The words about what was refused or could not be read.
    pub warnings: Vec<String>,
    /// Whether the receiver was asked, or not because another run showed that it takes no request.
    pub tried: bool,
}

impl PushReport {
    /// Whether no record is left.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.signals.iter().all(|signal| signal.reason.is_none())
    }

    /// The number of records that receivers took.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.signals.iter().map(|signal| signal.sent).sum()
    }

    /// The number of records that receivers refused, or that no message can hold.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.signals.iter().map(|signal| signal.refused).sum()
    }

    /// The number of records that wait for the next push.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.signals.iter().map(|signal| signal.left).sum()
    }
}

impl Pusher {
    /// A pusher of the signals whose exporters include [`ExporterType::Otlp`]. Known secrets are masked in the words of
    /// receivers.
    ///
    /// # Errors
    /// If an address, a header or a certificate of the settings cannot be used.
    pub fn new(settings: &ObservabilitySettings, secrets: SecretRegistry) -> Result<Self, ExportError> {
        for secret in settings.secrets() {
            secrets.add(secret);
        }
        let wanted = Signal::ALL.into_iter();
        let wanted = wanted.filter(|signal| settings.exporters(*signal).contains(&ExporterType::Otlp));
        Ok(Self {
            routes: wanted
                .map(|signal| Route::new(settings, signal))
                .collect::<Result<_, _>>()?,
            secrets,
            retries: RETRIES,
            again: false,
        })
    }

    /// The same that sends everything from the beginning, also what was acknowledged.
    #[must_use]
    pub fn again(self) -> Self {
        Self { again: true, ..self }
    }

    /// The same that makes one attempt: its caller decides when to try again.
    pub(super) fn without_retries(self) -> Self {
        Self { retries: 0, ..self }
    }

    /// Whether there is no signal to send.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.routes.is_empty()
    }

    pub(super) fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Sends what is left of the signals below a `.trace` directory, up to the last line that is whole.
    pub async fn push(&self, trace_dir: &Path) -> PushReport {
        let signals = self.routes.iter().map(|route| async move {
            if let Some(reason) = route.given_up.get() {
                return self.not_tried(route, trace_dir, reason);
            }
            let (mut report, failure) = self.pass(route, trace_dir).await;
            if let Some(Failure::Later { reason, .. } | Failure::Closed { reason }) = &failure {
                let _ = route.given_up.set(self.clean(reason));
            }
            report.left = self.left(route, trace_dir, report.reason.is_some());
            report
        });
        PushReport {
            signals: join_all(signals).await,
        }
    }

    fn not_tried(&self, route: &Route, trace_dir: &Path, reason: &str) -> SignalReport {
        let left = self.left(route, trace_dir, true);
        let mut report = empty(route);
        report.tried = false;
        report.left = left;
        report.reason = (left > 0).then(|| reason.to_owned());
        report
    }

    /// Sends one signal of a run. The failure that ended it, if there is one, is the reason in the report too.
    pub(super) async fn pass(&self, route: &Route, trace_dir: &Path) -> (SignalReport, Option<Failure>) {
        let mut report = empty(route);
        let failure = self.send_all(route, trace_dir, &mut report).await.err();
        report.reason = failure.as_ref().map(|failure| self.clean(failure.reason()));
        (report, failure)
    }

    async fn send_all(
        &self,
        route: &Route,
        trace_dir: &Path,
        report: &mut SignalReport,
    ) -> Result<(), Failure> {
        let (id, signal) = (&route.destination.id, route.signal());
        let on_disk = |reason: String| Failure::Stopped { reason };
        let mut at = 0;
        loop {
            if !self.again {
                // Another process may have sent more meanwhile.
                at = acknowledged(trace_dir, id, signal).map_err(on_disk)?.max(at);
            }
            let prepared = prepare(route, trace_dir, at).await.map_err(on_disk)?;
            let Some(prepared) = prepared else {
                return Ok(());
            };
            if prepared.unreadable > 0 {
                let lines = prepared.unreadable;
                let file = file_of(signal);
                report.warnings.push(format!(
                    "{lines} lines of `{file}` are no OTLP, and were left out"
                ));
            }
            self.note(report, prepared.unfit);
            for message in prepared.messages {
                self.deliver(route, message, report).await?;
            }
            at = prepared.end;
            acknowledge(trace_dir, id, signal, at).map_err(on_disk)?;
        }
    }

    /// Sends a message, in parts if it is too long for the receiver. What the receiver refuses is noted.
    async fn deliver(
        &self,
        route: &Route,
        message: Message,
        report: &mut SignalReport,
    ) -> Result<(), Failure> {
        let mut waiting = vec![message];
        while let Some(message) = waiting.pop() {
            let records = message.count();
            match self.attempt(route, &message.bytes).await {
                Ok(Accepted { rejected, message }) => {
                    let rejected = rejected.min(records);
                    report.sent += records - rejected;
                    if rejected > 0 || !message.is_empty() {
                        self.note(
                            report,
                            vec![Unfit {
                                records: rejected,
                                reason: message,
                            }],
                        );
                    }
                }
                Err(Failure::TooLong { .. }) if records > 1 || message.bytes.len() / 2 >= SHORTEST => {
                    let (parts, unfit) = message.divided(route.destination.protocol);
                    waiting.extend(parts.into_iter().rev());
                    self.note(report, unfit);
                }
                Err(Failure::Refused { reason } | Failure::TooLong { reason }) => {
                    self.note(report, vec![Unfit { records, reason }]);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn attempt(&self, route: &Route, message: &[u8]) -> Result<Accepted, Failure> {
        let (first, longest) = PAUSES;
        let pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(first)
            .with_max_delay(longest)
            .with_max_times(self.retries);
        (|| route.send(message))
            .retry(pauses)
            .when(|failure| matches!(failure, Failure::Later { .. }))
            .adjust(|failure, pause| match failure {
                Failure::Later {
                    after: Some(after), ..
                } => pause.map(|_| (*after).min(longest)),
                _ => pause,
            })
            .await
    }

    /// Notes records that are not sent, in the words of the receiver or of this program.
    fn note(&self, report: &mut SignalReport, all: Vec<Unfit>) {
        for Unfit { records, reason } in all {
            report.refused += records;
            let endpoint = &report.endpoint;
            let signal = report.signal;
            let warning = match records {
                0 => format!("`{endpoint}` says about {signal}: {reason}"),
                _ => format!("{records} records of {signal} were not taken by `{endpoint}`: {reason}"),
            };
            let warning = self.clean(&warning);
            // Hundreds of batches may be refused for one reason.
            if report.warnings.len() < 10 && !report.warnings.contains(&warning) {
                report.warnings.push(warning);
            }
        }
    }

    /// The number of records that wait, if any do.
    pub(super) fn left(&self, route: &Route, trace_dir: &Path, any: bool) -> u64 {
        if !any {
            return 0;
        }
        let signal = route.signal();
        let at = acknowledged(trace_dir, &route.destination.id, signal).unwrap_or(0);
        let Ok(Some(mut lines)) = Lines::open(trace_dir, signal, at) else {
            return 0;
        };
        let mut left = 0;
        while let Ok(Some(batch)) = lines.next(BATCH)
            && batch.end - at < COUNTED
        {
            left += Records::of_lines(signal, &batch.lines).0.count();
        }
        left
    }

    /// Words of a receiver or an error as a message has them: one line, masked, without control characters.
    fn clean(&self, text: &str) -> String {
        let text = self.secrets.redactor().redact(text);
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut line = printable(&words.join(" "));
        if let Some((end, _)) = line.char_indices().nth(WORDS) {
            line.truncate(end);
            line.push('…');
        }
        line
    }
}

fn empty(route: &Route) -> SignalReport {
    SignalReport {
        signal: route.signal(),
        endpoint: route.destination.endpoint.to_string(),
        sent: 0,
        refused: 0,
        left: 0,
        reason: None,
        warnings: Vec::new(),
        tried: true,
    }
}

/// The messages of the next lines.
struct Prepared {
    messages: Vec<Message>,
    unfit: Vec<Unfit>,
    unreadable: u64,
    end: u64,
}

/// Reads the next lines and makes messages of them, on a thread where that delays no task. `None` if there is no whole line.
async fn prepare(route: &Route, trace_dir: &Path, at: u64) -> Result<Option<Prepared>, String> {
    let (signal, protocol) = (route.signal(), route.destination.protocol);
    let trace_dir = trace_dir.to_path_buf();
    #[expect(
        clippy::disallowed_methods,
        reason = "it is part of no step, and ends by itself"
    )]
    let made = tokio::task::spawn_blocking(move || prepared(&trace_dir, signal, protocol, at));
    made.await.map_err(|error| error.to_string())?
}

fn prepared(
    trace_dir: &Path,
    signal: Signal,
    protocol: OtlpProtocol,
    at: u64,
) -> Result<Option<Prepared>, String> {
    let wrong = |error: std::io::Error| format!("`{}` cannot be read: {error}", file_of(signal));
    let Some(mut lines) = Lines::open(trace_dir, signal, at).map_err(wrong)? else {
        return Ok(None);
    };
    let Some(batch) = lines.next(BATCH).map_err(wrong)? else {
        return Ok(None);
    };
    let (records, unreadable) = Records::of_lines(signal, &batch.lines);
    let (messages, unfit) = records.messages(protocol, LONGEST);
    Ok(Some(Prepared {
        messages,
        unfit,
        unreadable,
        end: batch.end,
    }))
}
