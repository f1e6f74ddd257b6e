//! `dhenara answer`.

use std::path::Path;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use dad_core::RunStatus;
use dad_run::{OpenQuestion, Question, QuestionKind, RunView, SetupError};
use dad_terminal::{
    ApprovalQuestion, NodeQuestion, TerminalError, ask_approval_answer, ask_question, ask_variables,
    is_interactive,
};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::commands::resume::{ResumeOptions, Resumption};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::{Driving, Place};
use crate::output::hint::Hint;
use crate::output::program;
use crate::output::{answers, json, out};
use crate::session::drive::runtime;
use crate::session::inputs::json_of;
use crate::session::origin::own_or_trusted;

/// Answer a question of a run, and resume the run.
#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// Its id, a unique beginning of it, or `last`: the newest that is not completed.
    run: String,
    /// The step that asks, by its path or the end of it, or the id of the question; needed if there are several.
    question: Option<String>,
    #[command(flatten)]
    options: AnswerOptions,
}

#[derive(Clone, Debug, Default, Args)]
struct AnswerOptions {
    #[command(flatten)]
    place: Place,
    /// An environment of `.dhenara/config.yaml`, in the place of the recorded one.
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    #[command(flatten)]
    driving: Driving,
    /// The answer; asked for at the terminal if left out.
    #[arg(long, value_name = "JSON|@FILE", conflicts_with = "deny")]
    input: Option<String>,
    /// There will be no answer, or no approval: the step fails.
    #[arg(long, value_name = "REASON", value_parser = NonEmptyStringValueParser::new())]
    deny: Option<String>,
    /// Agree that the step executes as it is.
    #[arg(long, conflicts_with_all = ["input", "deny"])]
    approve: bool,
    /// With `--approve`: agree to the same, with the same arguments, for the rest of the run.
    #[arg(long, requires = "approve")]
    for_run: bool,
    /// Only record the answer, without resuming the run.
    #[arg(long, conflicts_with_all = ["models", "replay", "budget"])]
    no_resume: bool,
    /// Answer and resume a run that is not signed with your key: you trust what it would execute.
    #[arg(long)]
    trust: bool,
    /// Never ask at the terminal.
    #[arg(long)]
    no_input: bool,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

impl Execute for AnswerArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        answer(app, &self.run, self.question.as_deref(), &self.options)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.options.place.clone(),
            json: self.options.json,
            no_input: self.options.no_input,
            ..CommonOptions::default()
        }
    }
}

fn answer(app: &App, run: &str, which: Option<&str>, options: &AnswerOptions) -> Result<u8, CommandError> {
    let project = app.project_or_here(&options.place)?;
    let entry = project.own_runs()?.find_unfinished(run)?;
    let run = own_or_trusted(app, &project, project.view(&entry)?, options.trust)?
        .source(program::command("answer"));
    let view = run.view();
    if view.status == RunStatus::Running && options.driving.is_given() {
        let message = format!(
            "`{}` is driven by a process already, which keeps what it began with",
            view.name()
        );
        return Err(CommandError::usage("already_driven", message)
            .with_hint("leave out `--model`, `--replay` and `--budget`"));
    }
    let open = view
        .open_question(which)
        .map_err(|error| no_question(error, view))?;
    let open = open.clone();
    let question = view.question(&open.id)?;
    // An obstacle to resuming is reported before the answer becomes a file of the run.
    let resumption = if view.status == RunStatus::Running || options.no_resume {
        None
    } else {
        let options = resuming(options);
        Some((Resumption::new(app, &run, &options)?, options))
    };
    // The answer is written before the driver of the run has seen it.
    let facts_file = view.facts_file(&question)?;
    let asked = Asked {
        question: &question,
        facts_file: facts_file.as_deref(),
        how: how_to_answer(view, &question, &open),
    };
    let check = |value: &Value| view.check_answer(&question, value, &app.nodes);
    match &options.deny {
        Some(reason) => run.deny(&*open.id, reason)?,
        None => run.answer(&*open.id, value(&check, &asked, options)?)?,
    }
    match resumption {
        Some((resumption, options)) => resumption
            .drive(&options)
            .map_err(|error| is_recorded(error, view)),
        None => report(view, &open, options),
    }
}

/// The check of an answer; its error names the part that does not fit.
type Check<'a> = &'a (dyn Fn(&Value) -> Result<(), String> + Sync);

/// The error for a run that could not be resumed, with the note that the answer is recorded.
fn is_recorded(mut error: CommandError, view: &RunView) -> CommandError {
    error.info.message += "; the answer is recorded";
    let resume = Hint::default().command(["resume", &view.name()]);
    error.and_hint(resume.text(" resumes the run with it"))
}

/// The options with which a run is resumed after an answer.
fn resuming(options: &AnswerOptions) -> ResumeOptions {
    ResumeOptions {
        place: options.place.clone(),
        env: options.env.clone(),
        driving: options.driving.clone(),
        no_input: options.no_input,
        json: options.json,
        trust: options.trust,
        ..ResumeOptions::default()
    }
}

/// Reports that an answer was recorded, and the process or command that uses it.
fn report(view: &RunView, open: &OpenQuestion, options: &AnswerOptions) -> Result<u8, CommandError> {
    let next = match view.status {
        RunStatus::Running => "the process that drives the run uses it".to_owned(),
        _ => format!(
            "`{} {}` resumes the run with it",
            program::command("resume"),
            view.name()
        ),
    };
    if options.json {
        json::print(json!({ "run_id": view.run_id, "question": open.id, "path": open.path }))?;
    } else {
        out::lines(&format!("answered {} of {}; {next}", open.path, view.name()))?;
    }
    Ok(exit_code::DONE)
}

/// A question as the command asks it.
struct Asked<'a> {
    question: &'a Question,
    /// The file with all of what is asked about.
    facts_file: Option<&'a Path>,
    /// The commands that answer it.
    how: Hint,
}

/// The answer: from the command line, else from a person at the terminal.
fn value(check: Check<'_>, asked: &Asked<'_>, options: &AnswerOptions) -> Result<Value, CommandError> {
    let question = asked.question;
    match &options.input {
        _ if options.approve && question.kind != QuestionKind::Approval => {
            let message = format!("`{}` asks for an input, not for approval", question.path);
            Err(CommandError::usage("invalid_input", message).with_hint(asked.how.clone()))
        }
        _ if options.approve && options.for_run => Ok(json!({ "approve": true, "for_run": true })),
        _ if options.approve => Ok(json!({ "approve": true })),
        Some(text) => {
            let value = json_of(text, "--input")?;
            check(&value).map_err(|reason| {
                let message = format!("the answer does not fit the question: {reason}");
                CommandError::usage("invalid_input", message).with_hint(asked.how.clone())
            })?;
            Ok(value)
        }
        None if is_interactive() => runtime()?
            .block_on(ask_person(question, asked.facts_file, check))
            .map_err(|error| {
                let message = format!("`{}` was not answered: {error}", question.path);
                CommandError::usage("no_answer", message).with_hint(asked.how.clone())
            }),
        None => {
            let message = format!("no answer is given for `{}`", question.path);
            let error = CommandError::usage("no_answer", message).with_hint(asked.how.clone());
            Err(match asked.facts_file {
                Some(file) => {
                    error.and_hint(format!("`{}` holds all of what is asked about", file.display()))
                }
                None => error,
            })
        }
    }
}

/// The error for a question that is not there, with what the run does instead of asking.
fn no_question(error: SetupError, view: &RunView) -> CommandError {
    let is_none = view.open_questions().next().is_none();
    let mut error = CommandError::from(error);
    if !is_none {
        return error;
    }
    let status = view.status;
    error.info.message += &match status {
        RunStatus::Running => ": it is running".to_owned(),
        status => format!(": it is {status}"),
    };
    let (run, hint) = (view.name(), Hint::default());
    error.with_hint(match status {
        RunStatus::Failed | RunStatus::Cancelled | RunStatus::Interrupted => {
            hint.command(["resume", &run]).text(" continues it")
        }
        _ => hint.command(["runs", "show", &run]).text(" shows how far it is"),
    })
}

/// The ways to answer a question, the likeliest ready to paste.
fn how_to_answer(view: &RunView, question: &Question, open: &OpenQuestion) -> Hint {
    let hint = Hint::default()
        .text("answer it by ")
        .command_line(answers::command(view, open));
    if question.kind == QuestionKind::Approval {
        return hint.text("; `--deny REASON` denies, `--input '{\"input\": …}'` changes the input");
    }
    let fields = question.schema["properties"].as_object();
    let fields: Vec<String> = fields
        .into_iter()
        .flat_map(Map::keys)
        .map(|name| format!("`{name}`"))
        .collect();
    let hint = match fields.len() {
        0 | 1 => hint,
        _ => hint.text(format!("; its fields are {}", fields.join(", "))),
    };
    hint.text("; `--input @FILE` reads a file, `--deny REASON` refuses")
}

/// Asks the person at the terminal.
async fn ask_person(
    question: &Question,
    facts_file: Option<&Path>,
    check: impl Fn(&Value) -> Result<(), String> + Sync,
) -> Result<Value, TerminalError> {
    let Question {
        path,
        node_type,
        settings,
        preview,
        ..
    } = question;
    match (question.kind, node_type) {
        (QuestionKind::Approval, _) => {
            let asked = ApprovalQuestion::new(path, settings)
                .preview(preview)
                .facts_file(facts_file);
            ask_approval_answer(&asked, check).await
        }
        (_, Some(node_type)) => {
            let mut asked = NodeQuestion::new(path.clone(), node_type.clone(), settings.clone());
            asked.schema = Some(question.schema.clone());
            asked.previous_input.clone_from(&question.previous_input);
            ask_question(&asked, check).await
        }
        (_, None) => {
            let variables = settings.as_object().cloned().unwrap_or_default();
            let before = question.previous_input.as_ref();
            ask_variables(path, &variables, before, check).await
        }
    }
}
