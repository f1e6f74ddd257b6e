//! Long results in the pager of the person.

use std::io::{IsTerminal, Write, stdout};
use std::process::{Child, Command, Stdio};

use crate::fold;
use crate::prompt::result_pager;
use crate::screen::is_dumb;

/// Shows a text in the person's pager, if standard output is a terminal that the text does not fit on, and waits until the person
/// has left it. Says whether it did: without a pager the text is to be printed.
#[must_use]
pub fn page(text: &str) -> bool {
    let Some(pager) = result_pager().filter(|_| !is_dumb()) else {
        return false;
    };
    let Some((columns, rows)) = size().filter(|_| stdout().is_terminal()) else {
        return false;
    };
    if fits(text, columns, rows) {
        return false;
    }
    let Some(mut pager) = Pager::started(&pager) else {
        return false;
    };
    // A person who leaves the pager early has read enough.
    let _ = pager.write(text);
    pager.finish()
}

/// The person's pager, to which a text is written as it is made.
#[derive(Debug)]
pub struct Pager {
    child: Child,
}

impl Pager {
    /// Starts the pager, if standard output is a terminal and there is one.
    #[must_use]
    pub fn open() -> Option<Self> {
        let pager = result_pager().filter(|_| !is_dumb() && stdout().is_terminal())?;
        Self::started(&pager)
    }

    fn started(pager: &str) -> Option<Self> {
        let child = command(pager).stdin(Stdio::piped()).spawn().ok()?;
        Some(Self { child })
    }

    /// Writes more of the text, and says whether it was taken: a person who left the pager takes no more.
    #[must_use]
    pub fn write(&mut self, text: &str) -> bool {
        let input = self.child.stdin.as_mut();
        input.is_some_and(|input| input.write_all(text.as_bytes()).is_ok())
    }

    /// Waits until the person has left the pager, and says whether there was one.
    #[must_use]
    pub fn finish(mut self) -> bool {
        // The code of `sh` for a command that there is not.
        const NOT_FOUND: i32 = 127;
        drop(self.child.stdin.take());
        self.child
            .wait()
            .is_ok_and(|status| status.code() != Some(NOT_FOUND))
    }
}

/// Columns and rows of the terminal.
fn size() -> Option<(usize, usize)> {
    let (columns, rows) = crossterm::terminal::size().ok()?;
    (columns > 0 && rows > 0).then_some((columns.into(), rows.into()))
}

/// Whether a text and the prompt of the shell behind it fit on a screen.
fn fits(text: &str, columns: usize, rows: usize) -> bool {
    let mut left = rows.saturating_sub(1);
    text.lines().all(|line| {
        let height = fold::columns(line).div_ceil(columns).max(1);
        let fits = height <= left;
        left = left.saturating_sub(height);
        fits
    })
}

/// The command of a pager. Its value may hold arguments, so a shell reads it, as git does. Colours are passed through, and what fits
/// after all is left on the screen.
#[cfg(unix)]
fn command(pager: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("LESS=\"${{LESS-FRX}}\" LV=\"${{LV--c}}\"; export LESS LV; {pager}");
    command.arg("-c").arg(script);
    command
}

#[cfg(not(unix))]
fn command(pager: &str) -> Command {
    let mut words = pager.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or(pager));
    command.args(words);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_if_its_lines_do_as_they_are_broken() {
        assert!(fits("one\ntwo\n", 80, 3));
        assert!(!fits("one\ntwo\nthree\n", 80, 3));
        assert!(fits(&"x".repeat(160), 80, 3));
        assert!(!fits(&"x".repeat(161), 80, 3));
        assert!(fits("\u{1b}[1mone\u{1b}[0m", 3, 2), "colours take no place");
        assert!(fits("", 80, 1));
    }
}
