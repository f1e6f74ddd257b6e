//! Conversations: questions that one part of the program asks at the terminal, one conversation at a time.

use std::fmt::Display;
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dad_core::HierarchyPath;
use dad_events::{LimitPause, pause_time_limit};
use tokio::sync::{Mutex, MutexGuard, oneshot};

use crate::error::TerminalError;
use crate::path::{self, PathOptions};
use crate::prompt::{self, Item, KeptRaw, Line, Menu, Widget};
use crate::screen::{Taken, is_interactive, write_line};
use crate::text::{BOLD, DIM, printable};

/// The turn: prompts share the one terminal of the process. The mutex is fair, so that steps ask in their order.
static TURN: Mutex<()> = Mutex::const_new(());

/// The pause before a question, in which events that happened before it are printed: observers report them a little later. A
/// person does not notice the delay.
const SETTLE: Duration = Duration::from_millis(25);

/// Waits until no prompt is open any more, and the lines held back behind one are printed. A prompt that was dropped takes a
/// moment to leave the terminal.
pub async fn prompts_closed() {
    let _turn = TURN.lock().await;
}

/// The turn of a conversation, and the screen with it. A prompt that was dropped holds it until it has left the terminal.
#[derive(Debug)]
struct Turn {
    // In this order: the terminal is as it was before others print, and they have printed before the next begins.
    keys: Keys,
    screen: Taken,
    _turn: MutexGuard<'static, ()>,
    _limit: LimitPause,
}

/// The keys of a conversation; given back when this is dropped.
#[derive(Debug, Default)]
struct Keys(KeptRaw);

impl Drop for Keys {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Several questions that belong together: no other task asks or prints between them.
///
/// Everything is shown on standard error. While it lasts, other tasks continue, and their lines are held back. Dropping
/// it, or the future of a question, closes the open prompt and leaves the terminal as it was.
///
/// Ctrl-C ends the prompt and then reaches the process as its usual signal (except on Windows), so a run stops as it does
/// without a prompt.
///
/// ```no_run
/// # async fn ask() -> Result<(), dad_terminal::TerminalError> {
/// use dad_terminal::{Conversation, YesNo};
///
/// let conversation = Conversation::begin().await?;
/// let name = conversation.text("Name: ", None).await?;
/// let count = conversation.number("How many: ", 1..=10, Some(3_u32)).await?;
/// if conversation.yes_no("Sure?", YesNo::No).await? {
///     println!("{count} for {name}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Conversation {
    turn: Arc<Turn>,
    /// Before each prompt.
    indent: &'static str,
}

/// The answer that Enter gives. A closed set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum YesNo {
    /// Yes.
    Yes,
    /// No.
    #[default]
    No,
}

impl Conversation {
    /// Waits for the terminal and takes it.
    ///
    /// # Errors
    /// [`TerminalError::NoTerminal`] if no person can be asked, and [`TerminalError::Interrupted`] in the seconds after the
    /// person has pressed Ctrl-C.
    pub async fn begin() -> Result<Self, TerminalError> {
        if !is_interactive() {
            return Err(TerminalError::NoTerminal);
        }
        // From here on the caller waits for a person, also while others have their turn.
        let limit = pause_time_limit();
        let turn = TURN.lock().await;
        #[expect(clippy::disallowed_methods, reason = "a terminal is no step")]
        let _ = tokio::task::spawn_blocking(|| std::thread::sleep(SETTLE)).await;
        let turn = Turn {
            keys: Keys::default(),
            screen: Taken::take()?,
            _turn: turn,
            _limit: limit,
        };
        Ok(Self {
            turn: Arc::new(turn),
            indent: "",
        })
    }

    /// Waits for the terminal, takes it and says which step asks.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub async fn about(path: &HierarchyPath) -> Result<Self, TerminalError> {
        let mut conversation = Self::begin().await?;
        let (sign, style) = crate::text::mark(dad_core::StepStatus::Waiting, false);
        write_line(&format!(
            "{style}{sign}{style:#} {BOLD}{path}{BOLD:#} {DIM}asks for its input{DIM:#}"
        ));
        conversation.indent = "  ";
        Ok(conversation)
    }

    /// Says something between two questions.
    pub fn tell(&self, text: &str) {
        for line in printable(text).lines() {
            write_line(&format!("{}{DIM}{line}{DIM:#}", self.indent));
        }
    }

    /// Asks for a line as it is typed; it may be empty.
    ///
    /// # Errors
    /// [`TerminalError::Ended`] at Ctrl-D, [`TerminalError::Interrupted`] at Ctrl-C, or if the terminal cannot be used.
    pub async fn input(&self, prompt: &str) -> Result<String, TerminalError> {
        self.ask(self.line(prompt, |typed| Ok(typed.to_owned()))).await
    }

    /// Asks for a text that is not empty; an empty line means the default.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    pub async fn text(&self, prompt: &str, default: Option<&str>) -> Result<String, TerminalError> {
        self.parsed(prompt, default, |typed| Ok(typed.to_owned())).await
    }

    /// Asks for a text that is read as something; if it cannot be, the error is shown and it is asked again.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    pub async fn parsed<T: Send + 'static>(
        &self,
        prompt: &str,
        default: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String> + Send + 'static,
    ) -> Result<T, TerminalError> {
        let parse = move |typed: &str| {
            if typed.trim().is_empty() {
                Err("type something".to_owned())
            } else {
                parse(typed)
            }
        };
        let line = self.line(prompt, parse).default(default.map(str::to_owned));
        self.ask(line).await
    }

    /// Asks for a text that may be left out by an empty line.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    pub async fn optional<T: Send + 'static>(
        &self,
        prompt: &str,
        parse: impl Fn(&str) -> Result<T, String> + Send + 'static,
    ) -> Result<Option<T>, TerminalError> {
        let parse = move |typed: &str| {
            if typed.trim().is_empty() {
                Ok(None)
            } else {
                parse(typed).map(Some)
            }
        };
        self.ask(self.line(prompt, parse)).await
    }

    /// Asks for a number in a range.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    pub async fn number<T>(
        &self,
        prompt: &str,
        range: impl RangeBounds<T> + Send + 'static,
        default: Option<T>,
    ) -> Result<T, TerminalError>
    where
        T: FromStr + PartialOrd + Display + Send + 'static,
    {
        let default = default.map(|number| number.to_string());
        let parse = move |typed: &str| number_in(typed, &range);
        self.parsed(prompt, default.as_deref(), parse).await
    }

    /// Asks for a path. It is absolute afterwards, taken from the options' base; Tab completes it.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    pub async fn path(&self, prompt: &str, options: &PathOptions) -> Result<PathBuf, TerminalError> {
        let default = options.default.as_ref().map(|path| path.display().to_string());
        let (checked, completed) = (options.clone(), options.clone());
        let parse = move |typed: &str| {
            if typed.trim().is_empty() {
                Err("type a path".to_owned())
            } else {
                path::check(typed, &checked)
            }
        };
        let line = self.line(prompt, parse).default(default);
        self.ask(line.complete(move |typed| path::complete(typed, &completed)))
            .await
    }

    /// Asks yes or no.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    pub async fn yes_no(&self, prompt: &str, default: YesNo) -> Result<bool, TerminalError> {
        let (choices, enter) = match default {
            YesNo::Yes => ("Y/n", "yes"),
            YesNo::No => ("y/N", "no"),
        };
        let parse = |typed: &str| match typed.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(true),
            "n" | "no" => Ok(false),
            _ => Err("type y for yes or n for no".to_owned()),
        };
        let line = self.line(&format!("{prompt} "), parse);
        self.ask(line.default(Some(enter.to_owned())).label(choices))
            .await
    }

    /// Lets choose one of several, beginning at `at`, and returns its index.
    ///
    /// # Errors
    /// As [`input`](Self::input); [`TerminalError::Ended`] also if there is nothing to choose.
    pub async fn choice<S: AsRef<str>>(
        &self,
        prompt: &str,
        options: &[S],
        at: usize,
    ) -> Result<usize, TerminalError> {
        self.choose(prompt, items(options), at).await
    }

    /// Lets choose one of several, beginning at `at`, where the choice cannot be taken back, and returns its index: keys
    /// that were pressed before the choice appeared do not make it. Begin at the choice that does nothing.
    ///
    /// # Errors
    /// As [`choice`](Self::choice).
    pub async fn decision<S: AsRef<str>>(
        &self,
        prompt: &str,
        options: &[S],
        at: usize,
    ) -> Result<usize, TerminalError> {
        self.decide(prompt, items(options), at).await
    }

    /// Lets choose any number of several, those at `marked` to begin with, and returns their indices in ascending order.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    pub async fn choices<S: AsRef<str>>(
        &self,
        prompt: &str,
        options: &[S],
        marked: &[usize],
    ) -> Result<Vec<usize>, TerminalError> {
        let items: Vec<Item> = options
            .iter()
            .map(|option| Item::new(option.as_ref(), ""))
            .collect();
        if items.is_empty() {
            Ok(Vec::new())
        } else {
            self.ask(Menu::several(&self.indented(prompt), items, marked))
                .await
        }
    }

    /// Asks for a text of several lines: in the editor that `VISUAL` or `EDITOR` names, else at the prompt, where an
    /// empty line or Ctrl-D ends it. The failure of an editor is reported, and the prompt takes its place.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    pub async fn long_text(&self, prompt: &str, begun: &str) -> Result<String, TerminalError> {
        if let Some(editor) = prompt::editor() {
            let prompt = printable(prompt);
            write_line(&format!(
                "{}{BOLD}{prompt}{BOLD:#}{DIM}in {editor} …{DIM:#}",
                self.indent
            ));
            match self.edited(editor, begun).await {
                Err(failed @ TerminalError::Editor { .. }) => {
                    self.tell(&format!("{failed}; type it here instead"));
                }
                edited => return edited,
            }
        }
        let line = self.line(prompt, |typed| Ok(typed.to_owned())).many(begun);
        self.ask(line.hint("an empty line or Ctrl-D ends the text")).await
    }

    /// Asks for a text that is not empty, which Ctrl-G lets the person write in an editor.
    pub(crate) async fn text_or_editor(
        &self,
        prompt: &str,
        default: Option<&str>,
    ) -> Result<String, TerminalError> {
        enum Typed {
            Text(String),
            InEditor(String),
        }
        let Some(editor) = prompt::editor() else {
            return self.text(prompt, default).await;
        };
        let parse = |typed: &str| {
            if typed.trim().is_empty() {
                Err("type something".to_owned())
            } else {
                Ok(Typed::Text(typed.to_owned()))
            }
        };
        let mut begun = default.map(str::to_owned);
        loop {
            let line = self
                .line(prompt, parse)
                .default(begun.clone())
                .editor(Typed::InEditor);
            let text = match self.ask(line.hint(format!("Ctrl-G opens {editor}"))).await? {
                Typed::Text(text) => return Ok(text),
                Typed::InEditor(text) if text.is_empty() => begun.clone().unwrap_or_default(),
                Typed::InEditor(text) => text,
            };
            match self.edited(editor.clone(), &text).await {
                Ok(edited) if !edited.trim().is_empty() => return Ok(edited),
                Ok(_) => self.tell("the text is empty"),
                Err(failed @ TerminalError::Editor { .. }) => self.tell(&failed.to_string()),
                Err(error) => return Err(error),
            }
            begun = Some(text).filter(|text| !text.is_empty());
        }
    }

    /// As [`choice`](Self::choice), with what the options mean.
    pub(crate) async fn choose(
        &self,
        prompt: &str,
        items: Vec<Item>,
        at: usize,
    ) -> Result<usize, TerminalError> {
        self.chosen(Menu::one(&self.indented(prompt), items, at)).await
    }

    /// As [`decision`](Self::decision), with what the options mean.
    pub(crate) async fn decide(
        &self,
        prompt: &str,
        items: Vec<Item>,
        at: usize,
    ) -> Result<usize, TerminalError> {
        self.chosen(Menu::one(&self.indented(prompt), items, at).deciding())
            .await
    }

    async fn chosen(&self, menu: Menu) -> Result<usize, TerminalError> {
        let chosen = self.ask(menu).await?;
        chosen.first().copied().ok_or(TerminalError::Ended)
    }

    fn indented(&self, prompt: &str) -> String {
        format!("{}{prompt}", self.indent)
    }

    fn line<T>(&self, prompt: &str, parse: impl Fn(&str) -> Result<T, String> + Send + 'static) -> Line<T> {
        Line::new(&self.indented(prompt), parse)
    }

    async fn ask<W>(&self, widget: W) -> Result<W::Answer, TerminalError>
    where
        W: Widget + Send + 'static,
        W::Answer: Send + 'static,
    {
        self.blocking(move |keys, stop| {
            let raw = keys.take()?;
            let answer = prompt::drive(widget, &raw, stop)?;
            keys.keep(raw);
            Ok(answer)
        })
        .await
    }

    async fn edited(&self, editor: String, begun: &str) -> Result<String, TerminalError> {
        self.in_program(editor, begun.to_owned(), "md").await
    }

    /// Shows a long text in the person's pager; on the screen itself if there is none.
    pub(crate) async fn read(&self, text: &str) -> Result<(), TerminalError> {
        // A pager is an editor that changes nothing.
        match self.in_program(prompt::pager(), text.to_owned(), "txt").await {
            Err(TerminalError::Editor { .. }) => {
                text.lines().for_each(|line| self.tell(line));
                Ok(())
            }
            shown => shown.map(drop),
        }
    }

    async fn in_program(
        &self,
        program: String,
        text: String,
        extension: &'static str,
    ) -> Result<String, TerminalError> {
        let turn = Arc::clone(&self.turn);
        self.blocking(move |keys, stop| {
            keys.end();
            let _editing = turn.screen.editing();
            prompt::edit(&program, &text, extension, stop)
        })
        .await
    }

    /// Does something at the terminal in a thread where waiting is allowed. The terminal stays taken until it is done,
    /// even if this future is dropped before.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&KeptRaw, &AtomicBool) -> Result<T, TerminalError> + Send + 'static,
    ) -> Result<T, TerminalError> {
        let close = Close(Arc::default());
        let stop = Arc::clone(&close.0);
        let turn = Arc::clone(&self.turn);
        let (sender, receiver) = oneshot::channel();
        #[expect(clippy::disallowed_methods, reason = "a terminal is no step")]
        tokio::task::spawn_blocking(move || {
            let keys = turn.keys.0.clone();
            let done = work(&keys, &stop);
            if matches!(done, Err(TerminalError::Interrupted)) && !stop.load(Ordering::Acquire) {
                turn.screen.interrupted();
                interrupt();
            }
            drop(turn);
            // The caller may have dropped the question.
            let _ = sender.send(done);
            keys.linger();
        });
        receiver.await.unwrap_or(Err(TerminalError::Interrupted))
    }
}

/// Closes the prompt when its caller drops the question.
struct Close(Arc<AtomicBool>);

impl Drop for Close {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Sends the signal that the terminal sends at Ctrl-C when no prompt has its keys, to the whole process group.
#[cfg(unix)]
fn interrupt() {
    use rustix::process::{Signal, kill_current_process_group};
    /// The time in which a handler of the signal can stop the run, before the step that asked gets no answer.
    const HEARD: Duration = Duration::from_millis(500);
    // If there is no such group the prompt is still interrupted.
    let _ = kill_current_process_group(Signal::INT);
    std::thread::sleep(HEARD);
}

#[cfg(not(unix))]
fn interrupt() {}

fn number_in<T>(typed: &str, range: &impl RangeBounds<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let expected = match (range.start_bound(), range.end_bound()) {
        (Bound::Unbounded, Bound::Unbounded) => "type a number".to_owned(),
        (low, Bound::Unbounded) => format!("type a number {}", from(low)),
        (Bound::Unbounded, high) => format!("type a number {}", to(high, "up to")),
        (low, high) => format!("type a number {} {}", from(low), to(high, "to")),
    };
    let number = typed.trim().parse().map_err(|_| expected.clone())?;
    if range.contains(&number) {
        Ok(number)
    } else {
        Err(expected)
    }
}

fn from<T: Display>(bound: Bound<&T>) -> String {
    match bound {
        Bound::Included(low) => format!("from {low}"),
        Bound::Excluded(low) => format!("above {low}"),
        Bound::Unbounded => String::new(),
    }
}

fn to<T: Display>(bound: Bound<&T>, word: &str) -> String {
    match bound {
        Bound::Included(high) => format!("{word} {high}"),
        Bound::Excluded(high) => format!("below {high}"),
        Bound::Unbounded => String::new(),
    }
}

/// Asks for a line, which may be empty. Other tasks continue while the person thinks.
///
/// # Errors
/// [`TerminalError::NoTerminal`] if no person can be asked, [`TerminalError::Ended`] at Ctrl-D,
/// [`TerminalError::Interrupted`] at Ctrl-C.
pub async fn async_input(prompt: &str) -> Result<String, TerminalError> {
    Conversation::begin().await?.input(prompt).await
}

/// Asks for a text that is not empty; an empty line means the default.
///
/// # Errors
/// As [`async_input`].
pub async fn ask_text(prompt: &str, default: Option<&str>) -> Result<String, TerminalError> {
    Conversation::begin().await?.text(prompt, default).await
}

/// Asks for a text of several lines, in the person's editor if there is one: [`Conversation::long_text`].
///
/// # Errors
/// As [`async_input`].
pub async fn ask_long_text(prompt: &str, begun: &str) -> Result<String, TerminalError> {
    Conversation::begin().await?.long_text(prompt, begun).await
}

/// Asks yes or no.
///
/// # Errors
/// As [`async_input`].
pub async fn ask_yes_no(prompt: &str, default: YesNo) -> Result<bool, TerminalError> {
    Conversation::begin().await?.yes_no(prompt, default).await
}

/// Asks for a number in a range, such as `1..=10` or `0.0..`.
///
/// # Errors
/// As [`async_input`].
pub async fn ask_number<T>(
    prompt: &str,
    range: impl RangeBounds<T> + Send + 'static,
    default: Option<T>,
) -> Result<T, TerminalError>
where
    T: FromStr + PartialOrd + Display + Send + 'static,
{
    Conversation::begin().await?.number(prompt, range, default).await
}

/// Asks for a path, which is absolute afterwards; Tab completes it.
///
/// # Errors
/// As [`async_input`].
pub async fn ask_path(prompt: &str, options: &PathOptions) -> Result<PathBuf, TerminalError> {
    Conversation::begin().await?.path(prompt, options).await
}

/// Lets choose one of several and returns its index.
///
/// # Errors
/// As [`async_input`].
pub async fn ask_choice<S: AsRef<str>>(
    prompt: &str,
    options: &[S],
    at: usize,
) -> Result<usize, TerminalError> {
    Conversation::begin().await?.choice(prompt, options, at).await
}

/// Lets choose any number of several and returns their indices in ascending order.
///
/// # Errors
/// As [`async_input`].
pub async fn ask_choices<S: AsRef<str>>(
    prompt: &str,
    options: &[S],
    marked: &[usize],
) -> Result<Vec<usize>, TerminalError> {
    Conversation::begin()
        .await?
        .choices(prompt, options, marked)
        .await
}

/// Options without an explanation, as a menu has them.
fn items<S: AsRef<str>>(options: &[S]) -> Vec<Item> {
    let item = |option: &S| Item::new(option.as_ref(), "");
    options.iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_the_range_is_answered_with_the_range() {
        assert_eq!(number_in("7", &(1..=10)), Ok(7));
        assert_eq!(
            number_in("11", &(1..=10)),
            Err("type a number from 1 to 10".to_owned())
        );
        assert_eq!(
            number_in::<u8>("-1", &(..5)),
            Err("type a number below 5".to_owned())
        );
        assert_eq!(number_in("0.5", &(1.0..)), Err("type a number from 1".to_owned()));
        assert_eq!(number_in::<i32>("x", &(..)), Err("type a number".to_owned()));
    }

    #[tokio::test]
    async fn without_a_terminal_there_is_no_question() {
        // Also where tests are started from a terminal.
        let _forbidden = crate::forbid_prompts();
        let error = async_input("Name: ").await.unwrap_err();
        assert!(matches!(error, TerminalError::NoTerminal), "{error}");
    }
}
