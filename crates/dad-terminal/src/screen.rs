//! The screen of the process. All lines and prompts of this crate pass here, so that none is written into another.
//!
//! This is state of the process, because the terminal is: there is one, and every writer shares it with all others. Nothing
//! else is kept here.

use std::collections::{BTreeMap, VecDeque};
use std::io::{IsTerminal, Write};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anstream::ColorChoice;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::{Mutex, MutexGuard};

use crate::below::Below;
use crate::error::TerminalError;
use crate::fold::Fold;
use crate::text::only_colours;

static SCREEN: LazyLock<Mutex<Screen>> = LazyLock::new(Mutex::default);

/// Lines kept while a prompt is open. A person may think for a day while other branches continue.
const KEPT_LINES: usize = 500;

/// The most often that moving lines are drawn in a second.
const FRAMES: u8 = 20;

/// Lines of at most so many bytes are not compared with the width of the terminal.
const NARROW: usize = 20;

/// The time after Ctrl-C without questions. The key also means the questions that wait for their turn, and those that follow
/// from the failure of the prompt.
const QUIET: Duration = Duration::from_secs(3);

struct Screen {
    bars: MultiProgress,
    spinners: BTreeMap<u64, Shown>,
    made: u64,
    /// While a prompt is open: the lines that came meanwhile.
    held: Option<Held>,
    /// The number of reasons to ask no question.
    forbidden: usize,
    editing: bool,
    interrupted_at: Option<Instant>,
    /// The name of the program, whose commands stay whole where lines are folded.
    program: String,
}

impl Default for Screen {
    fn default() -> Self {
        let below = ProgressDrawTarget::term_like_with_hz(Box::new(Below::default()), FRAMES);
        Self {
            bars: MultiProgress::with_draw_target(below),
            spinners: BTreeMap::new(),
            made: 0,
            held: None,
            forbidden: 0,
            editing: false,
            interrupted_at: None,
            program: String::new(),
        }
    }
}

#[derive(Default)]
struct Held {
    lines: VecDeque<String>,
    left_out: u64,
}

/// A moving line.
struct Shown {
    template: String,
    message: String,
    since: Instant,
    /// None while a prompt is open.
    bar: Option<ProgressBar>,
}

fn screen() -> MutexGuard<'static, Screen> {
    SCREEN.lock()
}

/// The number of columns of the terminal that standard output is; `None` if it is none, or its width is not known.
#[must_use]
pub fn output_width() -> Option<usize> {
    width_of(&std::io::stdout())
}

/// The number of columns of the terminal that standard error is.
#[must_use]
pub fn error_width() -> Option<usize> {
    width_of(&std::io::stderr())
}

/// Names the program, whose commands stay whole where lines are folded.
pub fn set_program(name: &str) {
    name.clone_into(&mut screen().program);
}

/// Takes all moving lines away, for a process that ends without the drop of what moves.
pub fn end_moving_lines() {
    let mut screen = screen();
    screen.hide();
    screen.spinners.clear();
}

fn width_of(stream: &impl IsTerminal) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let (columns, _) = crossterm::terminal::size().ok()?;
    (columns > 0).then_some(columns.into())
}

/// Whether a person can be asked: standard input and standard error are a terminal that can do more than print lines,
/// and prompts are not forbidden.
#[must_use]
pub fn is_interactive() -> bool {
    screen().forbidden == 0 && !is_dumb() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether the terminal can do no more than print lines.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Prints a line, or several, on standard error: above the moving lines, and behind the prompt if one is open. On a terminal, a
/// line that is too wide for it is broken between words.
pub fn print_line(line: &str) {
    screen().print(line);
}

/// Whether the person is in an editor that a prompt has opened. Ctrl-C is a key of many editors and reaches this
/// process too, so a program that stops a run at the signal checks this first.
#[must_use]
pub fn editor_is_open() -> bool {
    screen().editing
}

/// Forbids prompts for as long as the value lives: every prompt of the process ends with [`TerminalError::NoTerminal`], an
/// open one too. For programs with an option such as `--no-input`, and for programs that are stopped.
#[must_use = "prompts are forbidden as long as this lives"]
pub fn forbid_prompts() -> PromptsForbidden {
    screen().forbidden += 1;
    PromptsForbidden(())
}

/// While it lives, prompts are forbidden; made by [`forbid_prompts`].
#[derive(Debug)]
pub struct PromptsForbidden(());

impl Drop for PromptsForbidden {
    fn drop(&mut self) {
        screen().forbidden -= 1;
    }
}

/// Standard error for writers of lines, such as those of log events: each line is printed whole, above the moving
/// lines, and behind the prompt if one is open.
///
/// ```
/// use std::io::Write;
/// writeln!(dad_terminal::stderr(), "a line")?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn stderr() -> Lines {
    Lines { begun: Vec::new() }
}

/// Writes whole lines; made by [`stderr`].
#[derive(Debug)]
pub struct Lines {
    begun: Vec<u8>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            print_line(&String::from_utf8_lossy(&line[..end]));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.begun.is_empty() {
            print_line(&String::from_utf8_lossy(&self.begun));
        }
    }
}

/// Whether prompts are forbidden.
pub(crate) fn is_forbidden() -> bool {
    screen().forbidden > 0
}

/// A text as it may be written to standard error: nothing but colours acts on the terminal, and they are left out where
/// they are not wanted.
pub(crate) fn coloured(text: &str) -> String {
    let text = only_colours(text);
    match anstream::AutoStream::choice(&std::io::stderr()) {
        ColorChoice::Never => anstream::adapter::strip_str(&text).to_string(),
        _ => text,
    }
}

/// Writes a line to standard error at once, also while a prompt is open.
pub(crate) fn write_line(line: &str) {
    let line = coloured(line) + "\n";
    // A standard error that cannot be written changes nothing for a run, and there is no other place to say so.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

impl Screen {
    fn print(&mut self, line: &str) {
        if let Some(held) = &mut self.held {
            if held.lines.len() == KEPT_LINES {
                held.lines.pop_front();
                held.left_out += 1;
            }
            held.lines.push_back(line.to_owned());
            return;
        }
        let fold = Fold {
            width: error_width().filter(|_| line.len() > NARROW),
            program: &self.program,
        };
        let line = fold.lines(line);
        if self.spinners.is_empty() {
            write_line(&line);
        } else {
            // A terminal that went away is no reason to fail a run.
            let _ = self.bars.println(coloured(&line));
        }
    }

    fn hide(&mut self) {
        for bar in self.spinners.values_mut().filter_map(|shown| shown.bar.take()) {
            // Its thread has ended before the line is removed, so that it cannot come back.
            bar.disable_steady_tick();
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }

    fn show(&mut self) {
        let Self { spinners, bars, .. } = self;
        for shown in spinners.values_mut().filter(|shown| shown.bar.is_none()) {
            shown.bar = Some(shown.start(bars));
        }
    }
}

impl Shown {
    fn start(&self, bars: &MultiProgress) -> ProgressBar {
        let bar = bars.add(ProgressBar::new_spinner().with_elapsed(self.since.elapsed()));
        if let Ok(style) = ProgressStyle::with_template(&self.template) {
            bar.set_style(style);
        }
        bar.set_message(self.message.clone());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }
}

/// A moving line at the bottom of the screen; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Spinner(u64);

impl Spinner {
    pub(crate) fn new(template: String, message: String) -> Self {
        let mut screen = screen();
        screen.made += 1;
        let number = screen.made;
        let shown = Shown {
            template,
            message,
            since: Instant::now(),
            bar: None,
        };
        screen.spinners.insert(number, shown);
        if screen.held.is_none() {
            screen.show();
        }
        Self(number)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        let mut screen = screen();
        if let Some(bar) = screen.spinners.remove(&self.0).and_then(|shown| shown.bar) {
            bar.disable_steady_tick();
            bar.finish_and_clear();
            screen.bars.remove(&bar);
        }
    }
}

/// The screen while it belongs to a conversation; what others print meanwhile appears when this is dropped.
#[derive(Debug)]
pub(crate) struct Taken(());

impl Taken {
    /// Takes the screen; the caller must have the turn.
    pub(crate) fn take() -> Result<Self, TerminalError> {
        let mut screen = screen();
        if screen.interrupted_at.is_some_and(|at| at.elapsed() < QUIET) {
            return Err(TerminalError::Interrupted);
        }
        screen.hide();
        screen.held = Some(Held::default());
        Ok(Self(()))
    }

    /// Remembers that the person pressed Ctrl-C.
    pub(crate) fn interrupted(&self) {
        screen().interrupted_at = Some(Instant::now());
    }

    /// Says that an editor has the terminal, until the value is dropped.
    pub(crate) fn editing(&self) -> Editing {
        screen().editing = true;
        Editing(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut screen = screen();
        let held = screen.held.take().unwrap_or_default();
        if held.left_out > 0 {
            screen.print(&format!("… {} more lines came meanwhile", held.left_out));
        }
        for line in held.lines {
            screen.print(&line);
        }
        screen.show();
    }
}

/// An editor has the terminal.
pub(crate) struct Editing(());

impl Drop for Editing {
    fn drop(&mut self) {
        screen().editing = false;
    }
}
