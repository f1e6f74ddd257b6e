//! Hints of the command: the next steps of the libraries as commands and options.

use dad_core::ErrorInfo;
use dad_run::NextStep;

use crate::options::Place;
use crate::output::program;
use crate::output::summary::command_in;

/// Advice for the user. Its commands name the place of the runs when it is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hint(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    /// The words of a command line behind `dhenara`.
    Command(Vec<String>),
}

impl Hint {
    /// Adds text.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Text(text.into()));
        self
    }

    /// Adds a command that takes the place of the runs.
    pub(crate) fn command<const N: usize>(self, words: [&str; N]) -> Self {
        self.command_line(words.map(str::to_owned).to_vec())
    }

    /// As [`command`](Self::command), with words that are put together elsewhere.
    pub(crate) fn command_line(mut self, words: Vec<String>) -> Self {
        self.0.push(Part::Command(words));
        self
    }

    /// Adds another hint on a line of its own.
    pub(crate) fn and(mut self, other: Self) -> Self {
        if !self.0.is_empty() {
            self = self.text("\n");
        }
        self.0.extend(other.0);
        self
    }

    /// The hint as it is shown, with commands for a place.
    pub(crate) fn in_place(&self, place: &Place) -> String {
        self.with_commands(|words| command_in(words, place))
    }

    /// The hint as it is shown; `command` writes out a command line.
    pub(crate) fn with_commands(&self, command: impl Fn(&[&str]) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Command(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                format!("`{}`", command(&words))
            }
        });
        parts.collect()
    }

    /// The hint for an error that a run recorded: by its code where a command helps, else as it was recorded.
    pub(crate) fn recorded(error: &ErrorInfo, run: &str) -> Option<Self> {
        match error.code.as_str() {
            "budget_exceeded" => Some(
                Self::default()
                    .text("resume the run with a larger budget by ")
                    .command(["resume", run, "--budget", "LIMITS"])
                    .text(", or raise `budget` of the node and add `--definition current`"),
            ),
            _ => error.hint.clone().map(Self::from),
        }
    }
}

impl From<String> for Hint {
    fn from(text: String) -> Self {
        Self::default().text(text)
    }
}

impl From<&str> for Hint {
    fn from(text: &str) -> Self {
        Self::default().text(text)
    }
}

impl From<NextStep> for Hint {
    fn from(step: NextStep) -> Self {
        let hint = Self::default();
        match step {
            NextStep::ListRuns => hint.command(["runs", "list"]).text(" shows the runs there are"),
            NextStep::ListUnreadableRuns => hint.command(["runs", "list"]).text(" tells why"),
            NextStep::StartRun => hint.command(["run", "agent", "NAME"]).text(" makes one"),
            NextStep::RemoveRun { run } => hint.command(["runs", "rm", &run]).text(" removes it"),
            NextStep::NameRunThatReached => hint
                .text("name a run that came to this step; ")
                .command(["runs", "list"])
                .text(" shows them"),
            NextStep::EntryPointOrExecute => {
                hint.text("leave out `--entry-point`, or `--execute` and `--fresh`")
            }
            NextStep::NameEntryPointIn { run } => {
                hint.text(format!("say where: `--previous-run-id {run} --entry-point PATH`"))
            }
            NextStep::NameEntryPoint => hint.text("name it by `--entry-point PATH`"),
            NextStep::NamePreviousRun => hint.text("name it by `--previous-run-id RUN|last`"),
            NextStep::AnswerInstead => {
                hint.text("leave out `--reuse-answers` and answer its questions yourself")
            }
            NextStep::StartAt { path } => hint.text(format!("use `--entry-point {path}` to start there")),
            NextStep::GiveVariable { name } => {
                hint.text(format!("give it by `--var {name}=…` or `--var {name}=@FILE`"))
            }
            NextStep::StartRerun { run } => hint.text(format!(
                "start a re-run from it: `--previous-run-id {run} --entry-point PATH`"
            )),
            NextStep::TrustProject { project_root } => hint.text(format!(
                "name your own project by `--project-root DIR`; if you trust this one, `{} {}` obeys it",
                program::command("trust"),
                project_root.display()
            )),
            NextStep::NameProjectRoot => hint.text("name the project by `--project-root DIR`"),
            NextStep::ChooseRunRoot => hint.text("choose another place by `--run-root DIR`"),
            NextStep::ForceRemoval => hint.text("`--force` removes it anyway"),
            NextStep::ResumeOrRemove { run } => hint
                .text("resume that one by ")
                .command(["resume", &run])
                .text(", or remove it as well; `--force` removes this one anyway"),
            NextStep::TrustRun { .. } => {
                hint.text("look at what it would execute; if you trust its origin, add `--trust`")
            }
            NextStep::NameForeignRun { .. } => hint.text(
                "name it by its id; `resume`, `answer` and `run step` also ask for `--trust`, because its \
                 `.run/definition.json` says what they execute",
            ),
            NextStep::DecideUncertainSteps => hint.text(
                "for each of them, `--redo PATH` executes it again, `--accept PATH` takes its result, and `--skip PATH` \
                 passes it over",
            ),
            NextStep::RedoOrSkip { path } => hint.text(format!("`--redo {path}` or `--skip {path}`")),
            NextStep::ResumeUnresponsive => hint.text(format!(
                "a node returns when `cx.cancelled()` resolves, or is dropped there; `{}` executes it again",
                program::command("resume")
            )),
            NextStep::StealLease => {
                hint.text("if that process has ended, take the run over by `--steal-lease`")
            }
            NextStep::ChooseStateDirectory => {
                hint.text("`DHENARA_STATE_DIR` names another directory for the state of this user")
            }
            NextStep::CheckOriginKey => hint.text("it comes from DHENARA_ORIGIN_KEY"),
            step => Self::of_drivers(step),
        }
    }
}

impl Hint {
    /// The steps about runs that are driven, about definitions and about projects.
    fn of_drivers(step: NextStep) -> Self {
        let hint = Self::default();
        match step {
            NextStep::WaitForDriver { run, steal } => {
                let hint = if steal {
                    hint.text(
                        "`--steal-lease` takes a run from a process that cannot be seen from here, and this one is alive: ",
                    )
                } else {
                    hint
                };
                hint.text("wait until it ends, or stop it by ")
                    .command(["cancel", &run])
                    .text("; ")
                    .command(["runs", "show", &run])
                    .text(" tells how far it is")
            }
            NextStep::WaitOrCancel { run } => hint
                .text("wait until it ends, or stop it by ")
                .command(["cancel", &run]),
            NextStep::AnswerQuestion { run } => hint
                .text("the run waits: ")
                .command(["answer", &run])
                .text(" answers it; end a run as its report says, by `report.status`"),
            NextStep::ResumeAnswered { run } => hint
                .command(["resume", &run])
                .text(" resumes the run with that answer"),
            NextStep::AnswerOrRemove { run } => hint
                .text("answer with ")
                .command(["answer", &run])
                .text(", deny with ")
                .command(["answer", &run, "--deny", "REASON"])
                .text(", or remove the run with ")
                .command(["runs", "rm", &run, "--force"]),
            NextStep::CancelAnother => hint
                .text("only what executes can be stopped; ")
                .command(["runs", "list"])
                .text(" shows what does"),
            NextStep::RepairRun { run } => hint
                .command(["runs", "repair", &run, "--dry-run"])
                .text(" shows what is whole, and what repairing it would keep"),
            NextStep::RunAgent => hint.text("use ").command(["run", "agent", "NAME"]),
            NextStep::RunFlow => hint.text("use ").command(["run", "flow", "FILE"]),
            NextStep::ChooseDefinition => hint.text(
                "`--definition recorded` uses the one it was started with, `--definition current` the present one",
            ),
            NextStep::UseNoEnvironment { known } if known.is_empty() => {
                hint.text("the file declares no environments; `--env default` uses none")
            }
            NextStep::UseNoEnvironment { known } => hint.text(format!(
                "the file declares {}; `--env default` uses none",
                known.join(", ")
            )),
            NextStep::NameReplaySource => hint.text(
                "bring it back to where it was, name a run by `--replay RUN`, or choose an environment by `--env NAME`",
            ),
            NextStep::AcceptReplaySource => hint.text(
                "bring back what it was, or take what it is now by naming it again: a run by `--replay RUN`, the \
                 environment of a cassette by `--env NAME`",
            ),
            // A step that names no command, or one that the libraries have learned since.
            step => hint.text(step.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_carry_the_place_and_options_do_not() {
        let place = Place {
            project_root: Some("a b".into()),
            run_root: Some("kept".into()),
            run_root_subpath: None,
        };
        let run = || "run_1".to_owned();
        let shown = |step: NextStep| Hint::from(step).in_place(&place);
        assert_eq!(
            shown(NextStep::WaitForDriver {
                run: run(),
                steal: false
            }),
            "wait until it ends, or stop it by `dhenara cancel run_1 --project-root 'a b' --run-root kept`; \
             `dhenara runs show run_1 --project-root 'a b' --run-root kept` tells how far it is"
        );
        assert_eq!(
            shown(NextStep::RepairRun { run: run() }),
            "`dhenara runs repair run_1 --dry-run --project-root 'a b' --run-root kept` shows what is whole, and what \
             repairing it would keep"
        );
        assert_eq!(
            shown(NextStep::NamePreviousRun),
            "name it by `--previous-run-id RUN|last`"
        );
        assert_eq!(
            Hint::from("first")
                .and(NextStep::ListRuns.into())
                .in_place(&Place::default()),
            "first\n`dhenara runs list` shows the runs there are"
        );
    }
}
