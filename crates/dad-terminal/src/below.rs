//! The place of the moving lines: standard error, with the cursor behind the last of them.
//!
//! Left to itself, the library of moving lines fills the last one with blanks to the edge of the terminal. What the terminal then
//! echoes by itself, such as the `^C` of a person who stops a run, begins a row that is never cleared, and the line stays for good.

use std::io::{self, Write};

use indicatif::TermLike;
use parking_lot::Mutex;

/// The columns and rows of a terminal that does not tell them.
const USUAL: (u16, u16) = (80, 24);

/// Standard error as the place of moving lines.
#[derive(Debug, Default)]
pub(crate) struct Below(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The text since the last flush.
    written: String,
    /// Whether the next text is the blanks behind a line.
    after_line: bool,
    /// Whether the cursor stands behind a line, which the next one does not continue.
    at_end: bool,
}

impl State {
    fn command(&mut self, text: &str) {
        self.written += text;
        self.after_line = false;
        self.at_end = false;
    }

    fn step(&mut self, steps: usize, direction: char) {
        if steps > 0 {
            self.command(&format!("\u{1b}[{steps}{direction}"));
        }
    }

    fn text(&mut self, text: &str) {
        if std::mem::take(&mut self.after_line) {
            self.written += "\u{1b}[K";
            self.at_end = true;
            return;
        }
        if std::mem::take(&mut self.at_end) {
            self.written += "\r\n";
        }
        self.written += text;
        self.after_line = true;
    }
}

impl TermLike for Below {
    fn width(&self) -> u16 {
        crossterm::terminal::size().unwrap_or(USUAL).0
    }

    fn height(&self) -> u16 {
        crossterm::terminal::size().unwrap_or(USUAL).1
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.lock().step(n, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.lock().step(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.lock().step(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.lock().step(n, 'D');
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.lock().command(&format!("{text}\r\n"));
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        if text == "\r" {
            state.command(text);
        } else {
            state.text(text);
        }
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.lock().command("\r\u{1b}[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let written = std::mem::take(&mut self.0.lock().written);
        let mut screen = io::stderr().lock();
        screen.write_all(written.as_bytes())?;
        screen.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(draw: impl Fn(&Below) -> io::Result<()>) -> String {
        let below = Below::default();
        draw(&below).unwrap();
        below.0.into_inner().written
    }

    #[test]
    fn the_cursor_stays_behind_the_last_line() {
        let lines = written(|below| {
            below.write_str("a line")?;
            below.write_str("    ")?;
            below.write_str("a moving one")?;
            below.write_str("")
        });
        assert_eq!(lines, "a line\u{1b}[K\r\na moving one\u{1b}[K");
    }

    #[test]
    fn a_line_that_was_drawn_is_cleared_and_one_that_stays_is_not_continued() {
        let again = written(|below| {
            below.write_str("one")?;
            below.write_str("  ")?;
            below.clear_line()?;
            below.write_str("two")?;
            below.write_str("  ")?;
            below.move_cursor_up(0)?;
            below.write_str("three")
        });
        assert_eq!(again, "one\u{1b}[K\r\u{1b}[2Ktwo\u{1b}[K\r\nthree");
    }
}
