//! Live progress of a run.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::Arc;

use async_trait::async_trait;
use dad_core::{ErrorInfo, HierarchyPath, format_duration};
use dad_events::{
    ComponentEnded, Event, EventBody, RunInfo, RunObserver, RunStarted, StepEnded, TextStreamed,
};
use parking_lot::{Mutex, MutexGuard};

use crate::screen::{Spinner, error_width, print_line};
use crate::text::{BOLD, DIM, mark, one_line, path_indent, path_name, printable, usage, waits_for};

/// Shows the component tree of a run while it grows: a line for each component entered and each step ended, and on a
/// terminal a moving line for each step that executes.
#[derive(Debug)]
pub struct Progress {
    live: bool,
    running: Mutex<HashMap<HierarchyPath, Spinner>>,
    /// Of texts that arrive piece by piece, what is shown when the line is whole.
    streams: Mutex<HashMap<HierarchyPath, String>>,
    /// The components entered and not left, an outer one before those in it.
    open: Mutex<Vec<OpenComponent>>,
}

#[derive(Debug)]
struct OpenComponent {
    path: HierarchyPath,
    /// Whether another ran at the same time.
    crowded: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// A display on standard error.
    #[must_use]
    pub fn new() -> Self {
        Self {
            live: std::io::stderr().is_terminal(),
            running: Mutex::default(),
            streams: Mutex::default(),
            open: Mutex::default(),
        }
    }

    /// Prints a line between those of the tree; while a prompt is open, behind it.
    pub fn print(&self, line: &str) {
        print_line(line);
    }

    fn running(&self) -> MutexGuard<'_, HashMap<HierarchyPath, Spinner>> {
        self.running.lock()
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<HierarchyPath, String>> {
        self.streams.lock()
    }

    fn open(&self) -> MutexGuard<'_, Vec<OpenComponent>> {
        self.open.lock()
    }

    fn enter(&self, path: &HierarchyPath) {
        let mut open = self.open();
        let mut crowded = false;
        for other in &mut *open {
            if !path.is_within(&other.path) {
                other.crowded = true;
                crowded = true;
            }
        }
        open.push(OpenComponent {
            path: path.clone(),
            crowded,
        });
    }

    /// The name of a step's line: with its components as far as others ran beside them, because then the line may not
    /// stand below its own.
    fn line_name(&self, path: &HierarchyPath) -> String {
        let open = self.open();
        let around = open.iter().filter(|component| path.is_within(&component.path));
        let crowded = around.skip_while(|component| !component.crowded);
        let mut names: Vec<String> = crowded.map(|component| path_name(&component.path)).collect();
        names.push(path_name(path));
        names.join(".")
    }

    fn begin(&self, path: &HierarchyPath) {
        if !self.live {
            return;
        }
        let template = format!("{}{{spinner}} {{msg}}  {{elapsed}}", path_indent(path));
        let spinner = Spinner::new(template, self.line_name(path));
        self.running().insert(path.clone(), spinner);
    }

    fn end(&self, path: &HierarchyPath) {
        self.running().remove(path);
        let rest = self.streams().remove(path);
        if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
            self.print_streamed(path, &rest);
        }
    }

    /// Shows a text that arrives piece by piece, line by line.
    fn stream(&self, streamed: &TextStreamed) {
        if !self.live {
            return;
        }
        let mut streams = self.streams();
        let begun = streams.entry(streamed.path.clone()).or_default();
        begun.push_str(&streamed.text);
        let Some((lines, rest)) = begun.rsplit_once('\n') else {
            return;
        };
        let (lines, rest) = (lines.to_owned(), rest.to_owned());
        *begun = rest;
        drop(streams);
        self.print_streamed(&streamed.path, &lines);
    }

    fn print_streamed(&self, path: &HierarchyPath, lines: &str) {
        let indent = path_indent(path);
        // Beside others it has to be said whose text it is.
        let whose = match self.running().len() {
            0 | 1 => String::new(),
            _ => format!("{DIM}{}:{DIM:#} ", self.line_name(path)),
        };
        for line in printable(lines).lines() {
            self.print(&format!("{indent}  {whose}{line}"));
        }
    }

    fn show(&self, event: &Event) {
        match &event.body {
            EventBody::RunStarted(started) => self.print(&run_line(&event.run, started)),
            EventBody::ComponentStarted(started) => {
                self.enter(&started.path);
                self.print(&format!(
                    "{}{BOLD}{}{BOLD:#}",
                    path_indent(&started.path),
                    path_name(&started.path)
                ));
            }
            EventBody::ComponentEnded(ended) => {
                self.open().retain(|component| component.path != ended.path);
                if let Some(line) = component_line(ended) {
                    self.print(&line);
                }
            }
            EventBody::StepStarted(started) => self.begin(&started.path),
            // The prompt shows it.
            EventBody::QuestionAsked(asked) if asked.at_prompt => {}
            EventBody::QuestionAsked(asked) => {
                let (sign, style) = mark(dad_core::StepStatus::Waiting, false);
                let what = waits_for(asked.kind);
                self.print(&format!(
                    "{}{style}{sign}{style:#} {:<width$}  {DIM}{what}{DIM:#}",
                    path_indent(&asked.path),
                    self.line_name(&asked.path),
                    width = name_width(error_width())
                ));
            }
            EventBody::AttemptFailed(failed) => {
                self.end(&failed.path);
                let error = one_line(&failed.error.message, 100);
                let (path, attempt) = (path_indent(&failed.path), failed.attempt);
                self.print(&format!(
                    "{path}{DIM}! {} attempt {attempt} failed: {error}{DIM:#}",
                    path_name(&failed.path)
                ));
            }
            EventBody::TextStreamed(streamed) => self.stream(streamed),
            EventBody::StepEnded(ended) => {
                self.end(&ended.path);
                let name = self.line_name(&ended.path);
                self.print(&step_line(ended, &name, name_width(error_width())));
            }
            _ => {}
        }
    }
}

#[async_trait]
impl RunObserver for Progress {
    fn name(&self) -> &str {
        "terminal progress"
    }

    async fn observe(&self, events: &[Arc<Event>]) {
        for event in events {
            self.show(event);
        }
    }

    async fn finish(&self) -> Vec<String> {
        self.running().clear();
        Vec::new()
    }
}

fn run_line(run: &RunInfo, started: &RunStarted) -> String {
    let mut line = format!("{DIM}{}", run.run_id);
    if let Some(plan) = &started.plan {
        // Writing to a string cannot fail.
        let _ = write!(line, "\n{plan}");
    }
    let _ = write!(line, "{DIM:#}");
    line
}

/// The line of a component, if it failed; the success of a component shows in its steps.
fn component_line(ended: &ComponentEnded) -> Option<String> {
    if !ended.status.is_failure() {
        return None;
    }
    let (mark, style) = mark(ended.status, false);
    let mut line = format!(
        "{}{style}{mark}{style:#} {} {}",
        path_indent(&ended.path),
        path_name(&ended.path),
        ended.status
    );
    // A failure of one of its elements was reported there.
    let own = |error: &&ErrorInfo| error.path.as_ref() == Some(&ended.path);
    if let Some(error) = ended.error.as_ref().filter(own) {
        line += &error_line(&ended.path, error, style);
    }
    Some(line)
}

/// Names up to this width leave the columns behind them aligned: at most a third of the screen.
fn name_width(screen: Option<usize>) -> usize {
    const NAME: usize = 28;
    screen.map_or(NAME, |width| NAME.min(width / 3))
}

fn step_line(ended: &StepEnded, name: &str, name_width: usize) -> String {
    let taken = ended.taken_from();
    let (mark, style) = mark(ended.status, taken.is_some());
    let mut details = Vec::new();
    match (taken, &ended.edited_from) {
        (Some(origin), None) => details.push(format!("from {}", origin.run_id)),
        (Some(origin), Some(_)) => details.push(format!("from {}, with a changed outcome", origin.run_id)),
        (None, _) => details.push(format_duration(ended.duration)),
    }
    if let Some(summary) = &ended.summary {
        details.push(one_line(summary, 70));
    }
    let consumed = usage(&ended.usage);
    if !consumed.is_empty()
        && !details
            .iter()
            .any(|detail| detail.contains("tokens") || detail.ends_with("replayed"))
    {
        details.push(consumed);
    }
    let mut line = format!(
        "{}{style}{mark}{style:#} {name:<name_width$}  {DIM}{}{DIM:#}",
        path_indent(&ended.path),
        details.join("  ")
    );
    if let Some(error) = &ended.error {
        line += &error_line(&ended.path, error, style);
    }
    line
}

fn error_line(path: &HierarchyPath, error: &ErrorInfo, style: anstyle::Style) -> String {
    let message = one_line(&error.message, 300);
    format!("\n{}  {style}{message}{style:#}", path_indent(path))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dad_core::{NodeType, RunId, StepStatus, Usage};
    use dad_events::Origin;

    use super::*;

    fn ended(status: StepStatus) -> StepEnded {
        StepEnded::new(
            "root.main_flow.code_generator".parse().unwrap(),
            NodeType::AI_MODEL_CALL,
            status,
            "/".into(),
        )
        .attempt(1)
        .duration(Duration::from_millis(1234))
        .usage(Usage::default().calls(1).total_tokens(42).cost(0.01))
    }

    fn plain(line: &str) -> String {
        anstream::adapter::strip_str(line).to_string()
    }

    #[test]
    fn a_line_says_how_a_step_ended() {
        let line = plain(&step_line(&ended(StepStatus::Completed), "code_generator", 28));
        insta::assert_snapshot!(line, @"    ✓ code_generator                1.2 s  42 tokens, $0.0100");

        let hostile = ErrorInfo::new("x", "line one\n\u{1b}[2Jline two");
        let failed = ended(StepStatus::Failed).error(hostile).usage(Usage::default());
        insta::assert_snapshot!(plain(&step_line(&failed, "code_generator", 28)), @r"
            ✗ code_generator                1.2 s
              line one \u{1b}[2Jline two
        ");

        let run_id: RunId = "run_20251123_141516_000001".parse().unwrap();
        let origin = Origin::new(run_id, "root.main_flow.code_generator".parse().unwrap());
        let reused = ended(StepStatus::Completed)
            .reused_from(origin)
            .usage(Usage::default());
        insta::assert_snapshot!(
            plain(&step_line(&reused, "code_generator", 28)),
            @"    ↺ code_generator                from run_20251123_141516_000001"
        );
    }

    #[test]
    fn steps_in_loops_say_their_iteration() {
        let in_loop = ended(StepStatus::Completed)
            .path("root.flow.checks.iter_12.verify".parse().unwrap())
            .usage(Usage::default());
        insta::assert_snapshot!(plain(&step_line(&in_loop, &path_name(&in_loop.path), 28)), @"      ✓ iter_12.verify                1.2 s");
        assert_eq!(
            path_name(&"root.choice.is_true.loop.iter_0.a".parse().unwrap()),
            "iter_0.a"
        );
    }

    #[test]
    fn text_from_outside_cannot_move_the_cursor() {
        assert_eq!(
            one_line("a\u{1b}]0;title\u{7}b\r\n c\u{202e}d", 40),
            r"a\u{1b}]0;title\u{7}b c\u{202e}d"
        );
        assert_eq!(one_line("0123456789", 5), "0123…");
    }
}
