//! The raw mode of the terminal, in which prompts get each key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::{cursor, queue, terminal};
use parking_lot::{Mutex, MutexGuard};

use super::drive::write;

/// The terminal gives each key at once and shows none by itself; ends when this is dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct Raw(());

impl Raw {
    fn enter() -> std::io::Result<Self> {
        terminal::enable_raw_mode()?;
        let raw = Self(());
        keep_line_ends()?;
        let mut out = Vec::new();
        queue!(out, EnableBracketedPaste)?;
        write(&out)?;
        Ok(raw)
    }
}

/// Keeps line ends: a program that prints a line in this mode expects the next one to begin at the left.
#[cfg(unix)]
fn keep_line_ends() -> std::io::Result<()> {
    use rustix::termios::{OptionalActions, OutputModes, tcgetattr, tcsetattr};
    let stdin = std::io::stdin();
    let mut modes = tcgetattr(&stdin)?;
    modes.output_modes.insert(OutputModes::OPOST);
    tcsetattr(&stdin, OptionalActions::Now, &modes)?;
    Ok(())
}

#[cfg(not(unix))]
fn keep_line_ends() -> std::io::Result<()> {
    Ok(())
}

impl Drop for Raw {
    fn drop(&mut self) {
        let mut out = Vec::new();
        // Nothing more can be done for a terminal that is gone.
        let queued = queue!(out, DisableBracketedPaste, cursor::Show);
        let _ = queued.and_then(|()| write(&out));
        let _ = terminal::disable_raw_mode();
    }
}

/// The time by which the mode outlasts a prompt for the next one, so that keys typed between them are not shown twice.
/// Short, because Ctrl-C is no signal until then.
const KEPT: Duration = Duration::from_millis(200);

/// The mode between two prompts of a conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptRaw(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    raw: Option<Raw>,
    /// The number of times that it was kept.
    times: u64,
}

impl KeptRaw {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock()
    }

    /// Takes the mode, or begins it.
    pub(crate) fn take(&self) -> std::io::Result<Raw> {
        // Not in one expression: the other arm must not wait for the lock of the first.
        let kept = self.kept().raw.take();
        kept.map_or_else(Raw::enter, Ok)
    }

    pub(crate) fn keep(&self, raw: Raw) {
        let mut kept = self.kept();
        kept.raw = Some(raw);
        kept.times += 1;
    }

    /// Ends the mode.
    pub(crate) fn end(&self) {
        self.kept().raw = None;
    }

    /// Waits until the next prompt takes the mode, and ends it if none comes.
    pub(crate) fn linger(&self) {
        let (since, times) = (Instant::now(), self.kept().times);
        while since.elapsed() < KEPT {
            std::thread::sleep(Duration::from_millis(10));
            let kept = self.kept();
            if kept.raw.is_none() || kept.times != times {
                return;
            }
        }
        let mut kept = self.kept();
        if kept.times == times {
            kept.raw = None;
        }
    }
}
