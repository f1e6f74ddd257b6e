use std::path::Path;

use dad_core::{PathSelector, Redactor, RunStatus};
use dad_run::{Answer, ApprovalAnswer, OpenQuestion, Question, QuestionKind, RunView, answer_question};
use dad_terminal::{
    ApprovalQuestion, NodeQuestion, TerminalError, ask_approval_answer, ask_question, ask_variables,
    is_interactive,
};
use serde_json::{Value, json};

use crate::app::App;
use crate::args::{AnswerOptions, ResumeOptions};
use crate::error::CommandError;
use crate::foreign::check_origin;
use crate::given::json_of;
use crate::resume::Resumption;
use crate::run::runtime;
use crate::{exit_code, json, out};

/// `dhenara answer RUN [PATH|QUESTION_ID]`.
pub(crate) fn answer(
    app: &App,
    run: &str,
    which: Option<&str>,
    options: &AnswerOptions,
) -> Result<u8, CommandError> {
    let project = app.project_or_here(&options.place)?;
    let entry = project.own_runs()?.find_unfinished(run)?;
    let view = project.view(&entry)?;
    if !options.trust {
        check_origin(app, &project, &view)?;
    }
    if view.status == RunStatus::Running && options.driving.is_said() {
        let message = format!(
            "`{}` is driven by a process already, which keeps what it began with",
            view.name()
        );
        return Err(CommandError::usage("already_driven", message)
            .with_hint("leave out `--model`, `--replay` and `--budget`"));
    }
    let open = choose(&view, which)?;
    let question = view.question(&open.id)?;
    // What keeps the run from being resumed is said before the answer is a file of it.
    let resumption = match view.status == RunStatus::Running || options.no_resume {
        true => None,
        false => {
            let options = resuming(options);
            Some((Resumption::new(app, project.clone(), &view, &options)?, options))
        }
    };
    // An answer is a file of the run before the process that drives it has seen it.
    let facts_file = view.facts_file(&question)?;
    let asked = (&question, facts_file.as_deref());
    let answer = given(app, asked, options, &project.secrets().redactor())?;
    if !answer_question(view.dir(), &open.id, answer)? {
        return Err(already_answered(&view, &open));
    }
    match resumption {
        Some((resumption, options)) => resumption.drive(&options),
        None => told(&view, &open, options),
    }
}

/// The answer as it is recorded, with known secrets masked.
fn given(
    app: &App,
    asked: (&Question, Option<&Path>),
    options: &AnswerOptions,
    known: &Redactor,
) -> Result<Answer, CommandError> {
    let source = "dhenara answer".to_owned();
    if let Some(reason) = &options.deny {
        let reason = known.redact(reason).into_owned();
        return Ok(Answer::Denied { source, reason });
    }
    let mut value = value(app, asked, options)?;
    known.redact_json(&mut value);
    Ok(Answer::Given { source, value })
}

fn already_answered(view: &RunView, open: &OpenQuestion) -> CommandError {
    let name = view.name();
    let message = format!("the question `{}` of `{name}` has been answered already", open.id);
    let mut error = CommandError::usage("already_answered", message);
    error.exit_code = exit_code::REFUSED;
    error.with_hint(format!("`dhenara resume {name}` resumes the run with that answer"))
}

/// How a run is resumed behind an answer.
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

/// Says that an answer was recorded, and who continues the run with it.
fn told(view: &RunView, open: &OpenQuestion, options: &AnswerOptions) -> Result<u8, CommandError> {
    let next = match view.status {
        RunStatus::Running => "the process that drives the run uses it".to_owned(),
        _ => format!("`dhenara resume {}` resumes the run with it", view.name()),
    };
    match options.json {
        true => json::print(json!({ "run_id": view.run_id, "question": open.id, "path": open.path }))?,
        false => out::lines(&format!("answered {} of {}; {next}", open.path, view.name()))?,
    }
    Ok(exit_code::DONE)
}

/// The question that is meant; it need not be said if there is only one.
fn choose(view: &RunView, which: Option<&str>) -> Result<OpenQuestion, CommandError> {
    let open: Vec<&OpenQuestion> = view.open_questions().collect();
    let listed = |open: &[&OpenQuestion]| {
        let lines = open.iter().map(|open| format!("{} ({})", open.path, open.id));
        lines.collect::<Vec<_>>().join(", ")
    };
    let Some(which) = which else {
        return match open.as_slice() {
            [only] => Ok((*only).clone()),
            [] => Err(CommandError::usage(
                "no_question",
                format!("`{}` asks nothing", view.name()),
            )),
            several => Err(CommandError::usage(
                "ambiguous_question",
                format!("`{}` asks several questions: {}", view.name(), listed(several)),
            )
            .with_hint("name one by its path or its id")),
        };
    };
    if let Some(open) = open.iter().find(|open| open.id == which) {
        return Ok((*open).clone());
    }
    let selector: PathSelector = which.parse().map_err(dad_run::RunError::from)?;
    let paths = open.iter().map(|open| &open.path);
    let path = selector.select(paths).map_err(|error| {
        CommandError::usage("unknown_question", error.to_string())
            .with_hint(format!("open questions: {}", listed(&open)))
    })?;
    let found = open.iter().find(|open| open.path == *path);
    found
        .map(|open| (*open).clone())
        .ok_or_else(|| CommandError::usage("unknown_question", format!("`{which}` asks nothing")))
}

/// What is answered: as the command line says, else as a person at the terminal says.
fn value(
    app: &App,
    (question, facts_file): (&Question, Option<&Path>),
    options: &AnswerOptions,
) -> Result<Value, CommandError> {
    let check = |value: &Value| check(app, question, value);
    match &options.input {
        _ if options.approve && question.kind != QuestionKind::Approval => {
            let message = format!("`{}` asks for an input, not for approval", question.path);
            Err(CommandError::usage("invalid_input", message).with_hint("write `--input JSON|@FILE`"))
        }
        _ if options.approve => Ok(json!({ "approve": true })),
        Some(text) => {
            let value = json_of(text, "--input")?;
            check(&value)
                .map_err(|reason| CommandError::usage("invalid_input", format!("in the answer, {reason}")))?;
            Ok(value)
        }
        None if is_interactive() => runtime()?
            .block_on(ask_person(question, facts_file, check))
            .map_err(|error| no_answer(question, &error)),
        None => {
            let message = format!("nothing is said to answer `{}` with", question.path);
            let all =
                facts_file.map(|file| format!("; all of what is asked about is in `{}`", file.display()));
            let hint = how_to_answer(question).to_owned() + &all.unwrap_or_default();
            Err(CommandError::usage("no_answer", message).with_hint(hint))
        }
    }
}

fn how_to_answer(question: &Question) -> &'static str {
    match question.kind {
        QuestionKind::Approval => {
            "write `--approve`, `--deny REASON`, or `--input '{\"input\": …}'` for another input"
        }
        _ => "write `--input JSON`, `--input @FILE`, or `--deny REASON`",
    }
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
            let asked = ApprovalQuestion {
                path,
                settings,
                preview,
                facts_file,
            };
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

fn no_answer(question: &Question, error: &TerminalError) -> CommandError {
    let message = format!("`{}` was not answered: {error}", question.path);
    CommandError::usage("no_answer", message).with_hint(how_to_answer(question))
}

fn check(app: &App, question: &Question, value: &Value) -> Result<(), String> {
    if question.kind != QuestionKind::Approval {
        return check_input(app, question, value);
    }
    match ApprovalAnswer::parse(value)? {
        // What a model wants to be done in the midst of a step is not an input of the step.
        ApprovalAnswer::Edited(_)
            if question.schema.pointer("/oneOf/2/properties/input") == Some(&false.into()) =>
        {
            Err("there is no input that could be changed; approve or deny".to_owned())
        }
        ApprovalAnswer::Edited(input) => check_input(app, question, &input),
        _ => Ok(()),
    }
}

fn check_input(app: &App, question: &Question, input: &Value) -> Result<(), String> {
    match &question.node_type {
        // A type that this program does not know is checked by the one that drives the run.
        Some(node_type) => {
            let info = dad_definition::NodeTypes::node_type(&app.nodes, node_type);
            info.map_or(Ok(()), |info| (info.check_input)(input))
        }
        None => check_variables(question, input),
    }
}

/// Whether an answer for a component gives only variables that it asks for.
fn check_variables(question: &Question, input: &Value) -> Result<(), String> {
    let known: Vec<&str> = question
        .settings
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    let given = input.get("variables").and_then(Value::as_object);
    let given = given.ok_or("expected {\"variables\": {NAME: VALUE}}")?;
    match given.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let near = dad_core::nearest(name, known.iter().copied());
            let near = near
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            Err(format!("`{}` does not ask for `{name}`{near}", question.path))
        }
    }
}
