//! The log layers of the process.

use std::io;

use dad_core::SecretRegistry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

/// Installs layers that route log events to the run they belong to, and print warnings and errors to standard error, with the
/// secrets of the run masked.
pub(crate) fn install(secrets: SecretRegistry) {
    let warnings = tracing_subscriber::fmt::layer()
        .with_writer(move || Masked {
            lines: dad_terminal::stderr(),
            secrets: secrets.clone(),
        })
        .without_time()
        .with_target(false)
        .with_filter(LevelFilter::WARN);
    let subscriber = tracing_subscriber::registry()
        .with(dad_observability::layer())
        .with(warnings);
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
