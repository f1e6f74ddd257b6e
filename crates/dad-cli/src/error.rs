//! The error of a command, with its exit code.

use std::path::Path;

use dad_core::{DefinitionKind, ElementId, ErrorInfo, IdError, RunStatus};
use dad_definition::Problems;
use dad_project::ProjectError;
use dad_run::{NextStep, RunError, RunErrorKind, SetupError};
use dad_runner::Error;
use dad_terminal::{internal::error_width, print_line, printable};

use crate::exit_code;
use crate::options::Place;
use crate::output::fold::fold;
use crate::output::hint::Hint;
use crate::output::program;

/// The error of a command: its message, and its exit code.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) exit_code: u8,
    /// Its hint is the text of [`hint`](Self::hint) for the place that the command names.
    pub(crate) info: Box<ErrorInfo>,
    pub(crate) hint: Hint,
    /// Shown with the text they are about, instead of the message.
    pub(crate) problems: Option<Problems>,
    /// Whether the run's own summary has already said it.
    pub(crate) reported: bool,
    /// Whether no run was found that fits, so that the run root may be another than the user thinks of.
    pub(crate) found_no_run: bool,
}

impl CommandError {
    pub(crate) fn usage(code: &str, message: impl Into<String>) -> Self {
        Self::from_info(ErrorInfo::new(code, message))
    }

    /// An error of the request.
    pub(crate) fn from_info(info: ErrorInfo) -> Self {
        Self {
            exit_code: exit_code::USAGE,
            hint: info.hint.clone().map(Hint::from).unwrap_or_default(),
            info: Box::new(info),
            problems: None,
            reported: false,
            found_no_run: false,
        }
    }

    /// The error for a panic of this program.
    pub(crate) fn bug() -> Self {
        let message = format!(
            "{} has a bug: what it says above should never happen",
            program::name()
        );
        let mut error = Self::usage("bug", message).with_hint("please report it, with what was printed");
        error.exit_code = exit_code::BUG;
        error
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = hint.into();
        self.in_place(&Place::default())
    }

    /// The same error with another hint below its own.
    pub(crate) fn and_hint(mut self, hint: impl Into<Hint>) -> Self {
        let own = std::mem::take(&mut self.hint);
        self.with_hint(own.and(hint.into()))
    }

    /// The same error with a next step, if there is one.
    fn with_next_step(self, step: Option<NextStep>) -> Self {
        match step {
            Some(step) => self.with_hint(step),
            None => self,
        }
    }

    /// The same error with commands that find the runs of a place.
    pub(crate) fn in_place(mut self, place: &Place) -> Self {
        let hint = self.hint.in_place(place);
        self.info.hint = Some(hint).filter(|hint| !hint.is_empty());
        self
    }

    /// Prints the error and its hint to standard error.
    pub(crate) fn show(&self) {
        match &self.problems {
            Some(problems) => {
                let shown = problems.for_width(error_width()).to_string();
                print_line(&printable(shown.trim_end()));
            }
            None => {
                let red = anstyle::Style::new()
                    .bold()
                    .fg_color(Some(anstyle::AnsiColor::Red.into()));
                let ErrorInfo {
                    code, message, hint, ..
                } = &*self.info;
                print_line(&format!("{red}error{red:#}[{code}]: {}", printable(message)));
                if let Some(hint) = hint {
                    print_line(&format!(
                        "  hint: {}",
                        fold(&printable(hint), 8, 8, error_width())
                    ));
                }
            }
        }
    }
}

impl From<RunError> for CommandError {
    fn from(error: RunError) -> Self {
        let error = match error {
            RunError::Setup(error) => return (*error).into(),
            error => error,
        };
        let shown = Self::from_info(error.to_info()).with_next_step(error.next_step());
        Self {
            exit_code: exit_code_of(error.kind()),
            ..shown
        }
    }
}

impl From<SetupError> for CommandError {
    fn from(error: SetupError) -> Self {
        let exit_code = exit_code_of(error.kind());
        let shown = match error {
            SetupError::Definition(problems) => Self {
                problems: Some(problems.clone()),
                ..Self::from_info(in_short(&problems))
            },
            error => Self {
                found_no_run: matches!(error, SetupError::NoRuns { .. } | SetupError::NothingToResume),
                ..Self::from_info(error.to_info()).with_next_step(error.next_step())
            },
        };
        Self { exit_code, ..shown }
    }
}

impl From<Problems> for CommandError {
    fn from(problems: Problems) -> Self {
        SetupError::Definition(problems).into()
    }
}

impl From<ProjectError> for CommandError {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::Run(error) => error.into(),
            error => {
                let shown = Self::from_info(error.to_info());
                Self {
                    exit_code: exit_code_of(error.kind()),
                    ..match hint_about_names(&error) {
                        Some(hint) => shown.with_hint(hint),
                        None => shown.with_next_step(error.next_step()),
                    }
                }
            }
        }
    }
}

/// The commands that help where a name has no definition, or two.
fn hint_about_names(error: &ProjectError) -> Option<Hint> {
    let hint = Hint::default();
    match error {
        ProjectError::AgentName(IdError::Character { id, .. }) if Path::new(id).is_file() => {
            Some(hint.command(["run", id]).text(" runs a file"))
        }
        ProjectError::AgentName(IdError::Character { id, .. }) => {
            let near = id.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            (!near.starts_with('_') && ElementId::new(&*near).is_ok())
                .then(|| hint.text(format!("write `{near}`")))
        }
        ProjectError::AmbiguousName { name } => Some(
            hint.command(["run", "agent", name])
                .text(" or ")
                .command(["run", "flow", name]),
        ),
        ProjectError::UnknownAgent { name, known, .. }
        | ProjectError::UnknownDefinition { name, known, .. }
            if known.is_empty() =>
        {
            let is_flow = matches!(
                error,
                ProjectError::UnknownDefinition {
                    kind: Some(DefinitionKind::Flow),
                    ..
                }
            );
            let kind = if is_flow { "flow" } else { "agent" };
            Some(hint.command(["new", kind, name]).text(" makes one"))
        }
        _ => None,
    }
}

const fn exit_code_of(kind: RunErrorKind) -> u8 {
    match kind {
        RunErrorKind::Usage => exit_code::USAGE,
        RunErrorKind::Refused => exit_code::REFUSED,
        RunErrorKind::Damage => exit_code::DAMAGE,
        RunErrorKind::Bug => exit_code::BUG,
        _ => exit_code::FAILED,
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        match error {
            Error::Run(error) => error.into(),
            Error::Broken { source, .. } => {
                let error = Self::from(*source);
                Self {
                    exit_code: match error.exit_code {
                        exit_code::DAMAGE => exit_code::DAMAGE,
                        // The run began: it is not its caller who asked for something that cannot be.
                        _ => exit_code::FAILED,
                    },
                    reported: true,
                    ..error
                }
            }
            error => {
                let status = error.report().map_or(RunStatus::Failed, |report| report.status);
                let recorded = error.report().and_then(|report| report.error.clone());
                let info = recorded.unwrap_or_else(|| ErrorInfo::from_error(error.code(), &error));
                let exit_code = match status {
                    RunStatus::Cancelled => exit_code::CANCELLED,
                    _ => exit_code::FAILED,
                };
                Self {
                    exit_code,
                    reported: true,
                    ..Self::from_info(info)
                }
            }
        }
    }
}

/// The problems in one line; each is also reported by itself.
fn in_short(problems: &Problems) -> ErrorInfo {
    let count = problems.as_slice().len();
    let file = problems
        .first()
        .and_then(|problem| problem.file.as_deref())
        .unwrap_or("the definition");
    let plural = if count == 1 { "" } else { "s" };
    ErrorInfo::new("definition", format!("{count} problem{plural} in {file}"))
}
