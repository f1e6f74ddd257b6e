//! Standard output: the result of a command. Everything else goes to standard error, through
//! [`dad_terminal::print_line`].

use std::any::Any;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::{AutoStream, ColorChoice};
use dad_core::is_printable;
use dad_terminal::internal::{Pager, only_colours, page};
use dad_terminal::{output_width, printable};
use parking_lot::Mutex;
use serde::Serialize;

use crate::error::CommandError;
use crate::exit_code;
use crate::output::fold::fold_lines;
use crate::output::hint::Hint;
use crate::signals::outlive_interrupts;

/// The code of the error that standard output cannot be written.
pub(crate) const CODE: &str = "output";

/// Whether what reads standard output has gone away.
static IS_READER_GONE: AtomicBool = AtomicBool::new(false);

/// Whether what reads standard output has gone away: it has read what it wanted.
pub(crate) fn reader_is_gone() -> bool {
    IS_READER_GONE.load(Ordering::Relaxed)
}

/// The longest result that is collected before it is known to need the pager, in bytes: no screen has so much.
const LONGEST: usize = 1 << 20;

/// The way to the pager.
static PAGING: Mutex<Paging> = Mutex::new(Paging::None);

/// The way of a result to the pager.
enum Paging {
    /// It does not go there.
    None,
    /// It is collected.
    Collected(String),
    /// It is too long to be collected. The second part lets Ctrl-C go to the pager.
    Open(Pager, Box<dyn Any + Send>),
}

/// Collects the result of a command on a terminal, to show it in the pager if it is long.
pub(crate) fn begin_paging() {
    if io::stdout().is_terminal() {
        *PAGING.lock() = Paging::Collected(String::new());
    }
}

/// Shows what was collected, before more is printed elsewhere.
pub(crate) fn end_paging() -> Result<(), CommandError> {
    let paging = std::mem::replace(&mut *PAGING.lock(), Paging::None);
    match paging {
        Paging::Collected(text) if !text.is_empty() => {
            // Ctrl-C is a key of the pager, and does not end this process before it.
            let _listening = outlive_interrupts();
            if page(&text) { Ok(()) } else { print(&text) }
        }
        Paging::Open(pager, _listening) => {
            // That there is one is known.
            let _ = pager.finish();
            Ok(())
        }
        _ => Ok(()),
    }
}

impl Paging {
    /// Takes a text, or gives it back to be printed.
    fn take(&mut self, text: String) -> Option<String> {
        match std::mem::replace(self, Self::None) {
            Self::None => Some(text),
            Self::Collected(mut collected) => {
                collected += &text;
                if collected.len() <= LONGEST {
                    *self = Self::Collected(collected);
                    return None;
                }
                self.open(collected)
            }
            Self::Open(mut pager, listening) => {
                if !pager.write(&text) {
                    IS_READER_GONE.store(true, Ordering::Relaxed);
                }
                *self = Self::Open(pager, listening);
                None
            }
        }
    }

    /// Opens the pager with the beginning of a text, which is given back if there is none.
    fn open(&mut self, text: String) -> Option<String> {
        let listening = outlive_interrupts();
        let Some(mut pager) = Pager::open() else {
            return Some(text);
        };
        if pager.write(&text) {
            *self = Self::Open(pager, Box::new(listening));
            return None;
        }
        if !pager.finish() {
            return Some(text);
        }
        // The person has left it at once.
        IS_READER_GONE.store(true, Ordering::Relaxed);
        None
    }
}

/// Prints lines for people, with colours where they are wanted. On a terminal, a line that is too wide for it is broken between
/// words.
pub(crate) fn lines(text: &str) -> Result<(), CommandError> {
    let text = fold_lines(&only_colours(text), output_width());
    match AutoStream::choice(&io::stdout()) {
        ColorChoice::Never => put(&anstream::adapter::strip_str(&text).to_string()),
        _ => put(&text),
    }
}

/// Prints a text that programs read as it is; a terminal shows it.
pub(crate) fn exact(text: &str) -> Result<(), CommandError> {
    if io::stdout().is_terminal() {
        put(&printable(text))
    } else {
        put(text)
    }
}

/// Prints a text as it is, to the byte; a terminal shows it.
pub(crate) fn raw(text: &str) -> Result<(), CommandError> {
    if io::stdout().is_terminal() {
        return put(&printable(text));
    }
    let mut out = io::stdout().lock();
    check(write!(out, "{text}").and_then(|()| out.flush()))
}

/// Prints a JSON document piece by piece as it is made; on a terminal its strings escape what the terminal would obey.
pub(crate) fn document(document: &impl Serialize) -> Result<(), CommandError> {
    if io::stdout().is_terminal() {
        let text = serde_json::to_string_pretty(document).map_err(io::Error::from);
        return put(&json_printable(&text.map_err(|error| cannot_write(&error))?));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = serde_json::to_writer_pretty(&mut out, document).map_err(io::Error::from);
    check(written.and_then(|()| writeln!(out)).and_then(|()| out.flush()))
}

fn put(text: &str) -> Result<(), CommandError> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let text = format!("{text}{end}");
    let left = PAGING.lock().take(text);
    left.map_or(Ok(()), |text| print(&text))
}

fn print(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    check(write!(out, "{text}").and_then(|()| out.flush()))
}

/// A reader that went away has read what it wanted; any other failure is an error.
pub(crate) fn check(written: io::Result<()>) -> Result<(), CommandError> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            IS_READER_GONE.store(true, Ordering::Relaxed);
            Ok(())
        }
        written => written.map_err(|error| cannot_write(&error)),
    }
}

fn cannot_write(error: &io::Error) -> CommandError {
    let message = format!("the result cannot be written to standard output: {error}");
    let error = CommandError::usage(CODE, message).with_hint(
        Hint::from(
            "make room, or send standard output elsewhere; what the command has done stays done, and ",
        )
        .command(["runs", "list"])
        .text(" shows the runs there are"),
    );
    CommandError {
        exit_code: exit_code::FAILED,
        ..error
    }
}

/// JSON whose strings have escapes for what a terminal would obey.
fn json_printable(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || is_printable(c) {
            shown.push(c);
        } else {
            let units = c
                .encode_utf16(&mut [0; 2])
                .iter()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect::<String>();
            shown += &units;
        }
    }
    shown
}
