//! The loop that shows a widget and gives it keys until it is answered.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{Clear, ClearType};
use crossterm::{cursor, queue, terminal};

use super::raw::Raw;
use super::{Canvas, Drawing, Flow, Widget};
use crate::error::TerminalError;
use crate::screen::{coloured, is_forbidden};

/// The interval at which a prompt checks that its question was not dropped.
const TICK: Duration = Duration::from_millis(50);

/// The time without a key after which all keys pressed before have arrived.
const PAUSE: Duration = Duration::from_millis(20);

/// A key that was pressed, as far as prompts tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Ctrl(char),
    Enter,
    /// Enter with Alt: a line feed in a text.
    AltEnter,
    Backspace,
    Delete,
    Tab,
    Up,
    Down,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Other,
}

impl Key {
    fn of(event: KeyEvent) -> Self {
        let has = |modifier| event.modifiers.contains(modifier);
        let (ctrl, alt) = (has(KeyModifiers::CONTROL), has(KeyModifiers::ALT));
        match event.code {
            // What programs that type for a person send as the end of a line.
            KeyCode::Char('j') if ctrl => Self::Enter,
            KeyCode::Char(c) if ctrl => Self::Ctrl(c.to_ascii_lowercase()),
            KeyCode::Char('b') if alt => Self::WordLeft,
            KeyCode::Char('f') if alt => Self::WordRight,
            KeyCode::Char(_) if alt => Self::Other,
            KeyCode::Char(c) => Self::Char(c),
            KeyCode::Enter if alt => Self::AltEnter,
            KeyCode::Enter => Self::Enter,
            KeyCode::Backspace => Self::Backspace,
            KeyCode::Delete => Self::Delete,
            KeyCode::Tab => Self::Tab,
            KeyCode::Up => Self::Up,
            KeyCode::Down => Self::Down,
            KeyCode::Left if ctrl || alt => Self::WordLeft,
            KeyCode::Right if ctrl || alt => Self::WordRight,
            KeyCode::Left => Self::Left,
            KeyCode::Right => Self::Right,
            KeyCode::Home => Self::Home,
            KeyCode::End => Self::End,
            _ => Self::Other,
        }
    }
}

/// Shows a widget and gives it keys until it is answered, or `stop` says that the question was dropped.
pub(crate) fn drive<W: Widget>(
    mut widget: W,
    _raw: &Raw,
    stop: &AtomicBool,
) -> Result<W::Answer, TerminalError> {
    let mut painter = Painter::default();
    if widget.ignores_earlier_keys() && discard_keys()? == Discarded::Interrupt {
        return Err(TerminalError::Interrupted);
    }
    loop {
        painter.paint(&widget)?;
        let flow = match next(stop)? {
            Happened::Stopped => {
                painter.withdraw()?;
                return Err(TerminalError::Interrupted);
            }
            Happened::Key(Key::Ctrl('c')) => {
                painter.leave()?;
                return Err(TerminalError::Interrupted);
            }
            Happened::Forbidden => {
                painter.leave()?;
                return Err(TerminalError::NoTerminal);
            }
            Happened::HungUp => return Err(TerminalError::Ended),
            Happened::Key(key) => widget.key(key),
            Happened::Pasted(text) => {
                widget.paste(&text);
                Flow::Ask
            }
            Happened::Resized => Flow::Ask,
        };
        match flow {
            Flow::Ask => {}
            Flow::Answer(answer) => {
                painter.settle(&widget, &answer)?;
                return Ok(answer);
            }
            Flow::End => {
                painter.leave()?;
                return Err(TerminalError::Ended);
            }
        }
    }
}

#[derive(PartialEq)]
enum Discarded {
    Keys,
    /// Ctrl-C was among them, which is meant for the program whenever it is pressed.
    Interrupt,
}

/// Takes the keys that were pressed until now, and pastes too.
fn discard_keys() -> std::io::Result<Discarded> {
    while wait(Duration::ZERO)? == Terminal::Open && crossterm::event::poll(PAUSE)? {
        if let Event::Key(event) = crossterm::event::read()?
            && Key::of(event) == Key::Ctrl('c')
        {
            return Ok(Discarded::Interrupt);
        }
    }
    Ok(Discarded::Keys)
}

enum Happened {
    Key(Key),
    Pasted(String),
    Resized,
    Stopped,
    Forbidden,
    HungUp,
}

fn next(stop: &AtomicBool) -> std::io::Result<Happened> {
    loop {
        if stop.load(Ordering::Acquire) {
            return Ok(Happened::Stopped);
        }
        if is_forbidden() {
            return Ok(Happened::Forbidden);
        }
        // What has been read and not been given out yet does not make the terminal readable, so that is looked at
        // before waiting; but never at a terminal that has hung up, from which crossterm does not return.
        if wait(Duration::ZERO)? == Terminal::HungUp {
            return Ok(Happened::HungUp);
        }
        if !crossterm::event::poll(Duration::ZERO)? {
            wait(TICK)?;
            continue;
        }
        match crossterm::event::read()? {
            Event::Key(event) if event.kind != KeyEventKind::Release => {
                return Ok(Happened::Key(Key::of(event)));
            }
            Event::Paste(text) => return Ok(Happened::Pasted(text)),
            Event::Resize(..) => return Ok(Happened::Resized),
            _ => {}
        }
    }
}

#[derive(PartialEq)]
enum Terminal {
    /// There may be something to read.
    Open,
    HungUp,
}

/// Waits for input, but not longer than this.
#[cfg(unix)]
fn wait(longest: Duration) -> std::io::Result<Terminal> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let longest = Timespec {
        tv_sec: 0,
        tv_nsec: longest.subsec_nanos().into(),
    };
    let stdin = std::io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut fds, Some(&longest)) {
        // A signal, such as that of a new size.
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    if fds[0].revents().intersects(gone) {
        Ok(Terminal::HungUp)
    } else {
        Ok(Terminal::Open)
    }
}

#[cfg(not(unix))]
fn wait(longest: Duration) -> std::io::Result<Terminal> {
    crossterm::event::poll(longest).map(|_| Terminal::Open)
}

pub(super) fn write(bytes: &[u8]) -> std::io::Result<()> {
    let mut screen = std::io::stderr().lock();
    screen.write_all(bytes)?;
    screen.flush()
}

/// Columns and rows.
pub(crate) fn size() -> (usize, usize) {
    match terminal::size() {
        Ok((columns, rows)) if columns > 0 && rows > 0 => (columns.into(), rows.into()),
        _ => (80, 24),
    }
}

/// Draws over what it has drawn before.
#[derive(Default)]
struct Painter {
    shown: Drawing,
}

impl Painter {
    fn paint(&mut self, widget: &impl Widget) -> std::io::Result<()> {
        let (width, height) = size();
        let mut canvas = Canvas::new(width);
        widget.draw(&mut canvas, height);
        let drawing = canvas.finish().fit(height);
        let mut out = self.erased()?;
        put(&mut out, &drawing.rows);
        match drawing.cursor {
            None => queue!(out, cursor::Hide)?,
            Some((row, column)) => {
                up(&mut out, drawing.rows.len() - 1 - row)?;
                queue!(out, cursor::MoveToColumn(cells(column)), cursor::Show)?;
            }
        }
        self.shown = drawing;
        write(&out)
    }

    /// Leaves what is to stay.
    fn settle<W: Widget>(&mut self, widget: &W, answer: &W::Answer) -> std::io::Result<()> {
        let mut canvas = Canvas::new(size().0);
        widget.draw_settled(&mut canvas, answer);
        let mut out = self.erased()?;
        put(&mut out, &canvas.finish().rows);
        out.extend_from_slice(b"\r\n");
        write(&out)
    }

    /// Leaves only what was asked: the answer is no longer waited for, and may have come from elsewhere.
    fn withdraw(&self) -> std::io::Result<()> {
        let mut out = self.erased()?;
        put(&mut out, self.shown.rows.get(..1).unwrap_or_default());
        out.extend_from_slice(b"\r\n");
        write(&out)
    }

    /// Leaves everything as it stands.
    fn leave(&self) -> std::io::Result<()> {
        let mut out = Vec::new();
        if let Some((row, _)) = self.shown.cursor {
            let down = self.shown.rows.len() - 1 - row;
            if down > 0 {
                queue!(out, cursor::MoveDown(cells(down)))?;
            }
        }
        out.extend_from_slice(b"\r\n");
        write(&out)
    }

    /// The sequence that returns to the beginning of the drawing and clears everything from there.
    fn erased(&self) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let last = self.shown.rows.len().saturating_sub(1);
        up(&mut out, self.shown.cursor.map_or(last, |(row, _)| row))?;
        queue!(out, cursor::MoveToColumn(0), Clear(ClearType::FromCursorDown))?;
        Ok(out)
    }
}

fn up(out: &mut Vec<u8>, rows: usize) -> std::io::Result<()> {
    // Moving by 0 moves by 1.
    match rows {
        0 => Ok(()),
        rows => queue!(out, cursor::MoveUp(cells(rows))),
    }
}

fn cells(number: usize) -> u16 {
    number.try_into().unwrap_or(u16::MAX)
}

fn put(out: &mut Vec<u8>, rows: &[String]) {
    // In this mode a line feed goes down and not back.
    let rows: Vec<String> = rows.iter().map(|row| coloured(row)).collect();
    out.extend_from_slice(rows.join("\r\n").as_bytes());
}
