//! Results of the commands of a step.

use std::collections::VecDeque;

use dad_fs::Dir;
use dad_run::layout::STDOUT;
use dad_runner::{NodeError, NodeOutput};
use serde_json::{Value, json};

use super::{CommandNodeSettings, CommandOutput, LONGEST_OUTPUT};
use crate::command::{CommandNodeOutcome, CommandResult};
use crate::json_text::{json_lines_of, last_json_of};
use crate::process::{self, Finished};
use crate::written::Ready;

/// The commands that ran.
#[derive(Default)]
pub(super) struct Ran {
    results: Vec<CommandResult>,
    succeeded: usize,
    /// Standard output of the last command, shortened if it is long, and how long it is.
    last: String,
    last_len: u64,
    /// Why the first failed command failed.
    failure: Option<(&'static str, String)>,
    /// The parts of the system that they saw and could change, if a sandbox was wanted.
    pub(super) sandbox: Option<Value>,
}

impl Ran {
    /// The number of commands that ran.
    pub(super) fn count(&self) -> usize {
        self.results.len()
    }

    pub(super) fn add(
        &mut self,
        command: &Ready,
        finished: Finished,
        settings: &CommandNodeSettings,
        cancelled: bool,
    ) -> bool {
        let success = finished.failure(&settings.allow_exit_codes).is_none();
        let Finished {
            code,
            signal,
            stdout,
            stdout_len,
            stderr,
            timed_out,
            is_stopped,
            is_cut,
            abandoned,
            ended,
            left_running,
        } = finished;
        let shown = &command.typed;
        if success {
            self.succeeded += 1;
        } else if self.failure.is_none() {
            self.failure = Some(match (timed_out, cancelled, code) {
                _ if is_cut => (
                    process::OUTPUT_TOO_LONG,
                    format!(
                        "`{shown}` printed more than {} MiB and was ended; `limits: {{ output_mib: … }}` allows more",
                        settings.limits.unwrap_or_default().longest_output() >> 20
                    ),
                ),
                (_, true, _) => ("cancelled", format!("`{shown}` was cancelled")),
                (true, ..) => (
                    "command_timed_out",
                    format!(
                        "`{shown}` did not end within its time limit{}{}",
                        if is_stopped {
                            " (a signal had stopped it, and nothing continued it)"
                        } else {
                            unanswered(settings)
                        },
                        last_lines(&stderr, &stdout)
                    ),
                ),
                (_, _, Some(code)) => (
                    "command_failed",
                    format!(
                        "`{shown}` ended with exit code {code}{}",
                        last_lines(&stderr, &stdout)
                    ),
                ),
                (_, _, None) => (
                    "command_failed",
                    format!(
                        "`{shown}` was ended by {}{}",
                        signal.unwrap_or("a signal"),
                        last_lines(&stderr, &stdout)
                    ),
                ),
            });
        }
        self.results.push(CommandResult {
            command: shown.clone(),
            returncode: code,
            stdout: stdout.clone(),
            stderr,
            success,
            abandoned,
            ended: ended.iter().map(|process| json!(process)).collect(),
            left_running: left_running.iter().map(|process| json!(process)).collect(),
        });
        self.last = stdout;
        self.last_len = stdout_len;
        success
    }

    /// A line about the commands and the processes that they left behind: a later step may need that.
    fn summary(&self) -> String {
        let all = |listed: fn(&CommandResult) -> &Vec<Value>| {
            self.results
                .iter()
                .map(|result| listed(result).len())
                .sum::<usize>() as u64
        };
        let ended = all(|result| &result.ended);
        let left_running = all(|result| &result.left_running);
        let mut summary = dad_core::internal::count(self.results.len() as u64, "command");
        for (number, what) in [(ended, "left behind and ended"), (left_running, "left running")] {
            if number > 0 {
                summary += &format!(", {number} {what}");
            }
        }
        summary
    }

    /// The standard output of the last command as its log has it, of which the result may keep less.
    fn whole_last(&self, dir: &Dir) -> Result<String, String> {
        if self.last.len() as u64 == self.last_len {
            return Ok(self.last.clone());
        }
        let most = LONGEST_OUTPUT >> 20;
        let len = usize::try_from(self.last_len)
            .ok()
            .filter(|_| self.last_len <= LONGEST_OUTPUT)
            .ok_or_else(|| {
                format!(
                    "the standard output has {} bytes, and `output` reads at most {most} MiB; {STDOUT} has all of it",
                    self.last_len
                )
            })?;
        let mut end = VecDeque::new();
        let read = dir.read_chunks(STDOUT, |chunk| {
            end.extend(chunk);
            end.drain(..end.len().saturating_sub(len));
        });
        read.map_err(|error| error.to_string())?;
        String::from_utf8(end.into()).map_err(|error| error.to_string())
    }

    pub(super) fn output(self, settings: &CommandNodeSettings, dir: &Dir) -> Result<NodeOutput, NodeError> {
        let executed = self.results.len();
        let summary = self.summary();
        let failed = executed - self.succeeded;
        let parsed = match settings.output {
            Some(CommandOutput::Text) | None => None,
            Some(form) if self.failure.is_none() => {
                Some(self.whole_last(dir).and_then(|text| parse_output(form, &text)))
            }
            _ => None,
        };
        let mut outcome = CommandNodeOutcome {
            all_succeeded: self.failure.is_none(),
            commands_executed: executed as u64,
            successful_commands: self.succeeded as u64,
            failed_commands: failed as u64,
            results: self.results,
            sandbox: self.sandbox,
            structured: None,
        };
        let mut failure = self.failure;
        match parsed {
            Some(Ok(structured)) => outcome.structured = Some(structured),
            Some(Err(reason)) => failure = Some(("command_output", reason)),
            None => {}
        }
        let output = NodeOutput::new(json!(outcome)).with_summary(summary);
        match failure {
            None => Ok(output),
            Some((code, message)) => {
                let error = NodeError::new(code, message).with_partial(output);
                Err(with_literals(error, settings))
            }
        }
    }
}

fn parse_output(form: CommandOutput, text: &str) -> Result<Value, String> {
    let read = match form {
        CommandOutput::Jsonl => json_lines_of(text),
        _ => last_json_of(text),
    };
    read.map_err(|reason| format!("the standard output is not the JSON that `output` promises: {reason}"))
}

/// The last lines of what a program complained about, else of what it printed, for its error.
fn last_lines(stderr: &str, stdout: &str) -> String {
    const MOST: usize = 3;
    const LONGEST: usize = 300;
    let of = |text: &str| {
        // Of a line that was written over, what stood there last.
        let last = |line: &str| line.trim_end_matches('\r').rsplit('\r').next().map(str::to_owned);
        // The end is enough, and it may be long.
        let text: Vec<String> = text.lines().rev().take(64).filter_map(last).collect();
        let text = text.join("\n");
        let shown = strip_ansi_escapes::strip_str(text);
        let lines = shown.lines().map(str::trim).filter(|line| !line.is_empty());
        let cut = |line: &str| line.chars().take(LONGEST).collect::<String>();
        let mut lines: Vec<String> = lines.take(MOST).map(cut).collect();
        lines.reverse();
        lines
    };
    let mut lines = of(stderr);
    if lines.is_empty() {
        lines = of(stdout);
    }
    if lines.is_empty() {
        String::new()
    } else {
        format!(": {}", lines.join("\n"))
    }
}

/// The reason for which a command with a terminal may have waited.
fn unanswered(settings: &CommandNodeSettings) -> &'static str {
    if settings.pty == Some(true) && settings.stdin.is_none() {
        " (its terminal gives no answers; `stdin` does)"
    } else {
        ""
    }
}

/// An error with what is easily overlooked: no shell reads `working_dir` and the values of `env_vars`.
pub(super) fn with_literals(error: NodeError, settings: &CommandNodeSettings) -> NodeError {
    if error.info.hint.is_some() {
        return error;
    }
    if error.info.code == "working_dir" {
        let Some(dir) = settings.working_dir.as_deref().filter(|dir| reads_as_shell(dir)) else {
            return error;
        };
        return error.with_hint(format!(
            "`working_dir` is literally the text `{dir}`, because no shell reads it; write the whole path, or begin it with a \
             variable of the run, such as `$var{{project_root}}`"
        ));
    }
    let Some((name, value)) = settings.env_vars.iter().find(|(_, value)| reads_as_shell(value)) else {
        return error;
    };
    error.with_hint(format!(
        "`env_vars.{name}` is literally the text `{value}`, because no shell reads it; write the whole value, or set the variable \
         in the command: `{name}={value} …`"
    ))
}

/// Whether a shell would put something else in the place of a part of a text: a variable, or a home directory.
fn reads_as_shell(text: &str) -> bool {
    let is_name = |rest: &str| rest.starts_with(|c: char| c.is_ascii_uppercase() || "_{".contains(c));
    text.match_indices('$').any(|(at, _)| is_name(&text[at + 1..]))
        || text == "~"
        || text.starts_with("~/")
        || text.contains(":~/")
}
