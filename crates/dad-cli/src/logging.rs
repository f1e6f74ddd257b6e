//! The log layers of the process.

use std::io;
use std::sync::OnceLock;

use dad_core::SecretRegistry;
use dad_terminal::print_line;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// The variable that chooses log events where the command line does not.
const VARIABLE: &str = "RUST_LOG";

/// The log events that the terminal shows, as the command line chooses them.
static CHOSEN: OnceLock<Targets> = OnceLock::new();

/// Chooses the log events that the terminal shows: those of a filter such as `info,dad_models=debug`, or with `verbose` those of this
/// program at level `info`.
pub(crate) fn choose(filter: Option<Targets>, verbose: bool) {
    let verbose = verbose.then(|| warnings().with_target("dad_", LevelFilter::INFO));
    if let Some(chosen) = filter.or(verbose) {
        let _ = CHOSEN.set(chosen);
    }
}

/// Warnings and errors, whatever their target.
fn warnings() -> Targets {
    Targets::new().with_default(LevelFilter::WARN)
}

/// The log events that the terminal shows: chosen on the command line, by the environment, or warnings and errors.
fn shown() -> Targets {
    if let Some(chosen) = CHOSEN.get() {
        return chosen.clone();
    }
    let Some(filter) = std::env::var(VARIABLE).ok().filter(|filter| !filter.is_empty()) else {
        return warnings();
    };
    parse(&filter).unwrap_or_else(|form| {
        print_line(&format!("warning: `{VARIABLE}` is ignored: {form}"));
        warnings()
    })
}

/// Reads a filter of log events.
///
/// # Errors
/// The form that a filter has.
pub(crate) fn parse(filter: &str) -> Result<Targets, &'static str> {
    const FORM: &str = "expected a level (`error`, `warn`, `info`, `debug`, `trace`, `off`) or `TARGET=LEVEL`, several with commas";
    filter.parse().map_err(|_| FORM)
}

/// Installs layers that route log events to the run they belong to, and print the chosen ones to standard error, with the secrets of
/// the run masked.
pub(crate) fn install(secrets: SecretRegistry) {
    let terminal = tracing_subscriber::fmt::layer()
        .with_writer(move || Masked {
            lines: dad_terminal::stderr(),
            secrets: secrets.clone(),
        })
        .without_time()
        .with_target(false)
        .with_filter(shown());
    let subscriber = tracing_subscriber::registry()
        .with(dad_observability::layer())
        .with(terminal);
    // A program that embeds this one may have installed its own.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// A writer that masks secrets in each log event.
struct Masked<W> {
    lines: W,
    secrets: SecretRegistry,
}

impl<W: io::Write> io::Write for Masked<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.lines
            .write_all(&self.secrets.redactor().redact_bytes(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}
