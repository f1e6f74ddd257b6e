use std::path::Path;

use dad_core::{HierarchyPath, PathSelector, RunStatus};
use dad_run::layout::{DOT_RUN, INBOX};
use dad_run::{Answer, OpenQuestion, Question, RunView, answer_question};
use dad_terminal::{NodeQuestion, TerminalError, ask_question, is_interactive};
use serde_json::{Value, json};

use crate::app::App;
use crate::args::{AnswerOptions, ResumeOptions};
use crate::error::CommandError;
use crate::resume::{resume, run_catalog};
use crate::run::runtime;
use crate::{exit_code, given, json};

/// `dhenara answer RUN [PATH|QUESTION_ID]`.
pub(crate) fn answer(
    app: &App,
    run: &str,
    which: Option<&str>,
    options: &AnswerOptions,
) -> Result<u8, CommandError> {
    let entry = run_catalog(&options.place, options.env.as_deref())?.find_unfinished(run)?;
    let view = RunView::open(&entry.dir)?;
    let open = choose(&view, which)?;
    let question = view.question(&open.id)?;
    let answer = match &options.deny {
        Some(reason) => Answer::Denied {
            source: "dhenara answer".to_owned(),
            reason: reason.clone(),
        },
        None => Answer::Given {
            source: "dhenara answer".to_owned(),
            value: value(app, &question, options)?,
        },
    };
    if !answer_question(view.dir(), &open.id, answer)? {
        let message = format!(
            "the question `{}` of `{}` has been answered already",
            open.id, view.run_id
        );
        let mut error = CommandError::usage("already_answered", message);
        error.exit_code = exit_code::REFUSED;
        return Err(error.with_hint(format!(
            "`dhenara resume {}` goes on with that answer",
            view.run_id
        )));
    }
    if view.status == RunStatus::Running || options.no_resume {
        let next = match view.status {
            RunStatus::Running => "the process that drives the run goes on with it".to_owned(),
            _ => format!("`dhenara resume {}` goes on with it", view.run_id),
        };
        match options.json {
            true => json::print(json!({ "run_id": view.run_id, "question": open.id, "path": open.path })),
            false => json::print_text(&format!("answered {} of {}; {next}", open.path, view.run_id)),
        }
        return Ok(exit_code::DONE);
    }
    let options = ResumeOptions {
        place: options.place.clone(),
        env: options.env.clone(),
        no_input: options.no_input,
        json: options.json,
        ..ResumeOptions::default()
    };
    resume(app, view.run_id.as_str(), &options)
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
                format!("`{}` asks nothing", view.run_id),
            )),
            several => Err(CommandError::usage(
                "ambiguous_question",
                format!("`{}` asks several questions: {}", view.run_id, listed(several)),
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

/// Whether somebody has answered the open question of a step, and the run has not taken the answer up yet.
pub(crate) fn is_answered(run_dir: &Path, step: &HierarchyPath) -> bool {
    let inbox = run_dir.join(DOT_RUN).join(INBOX);
    // Most runs are told nothing from outside, and need not be read.
    if std::fs::read_dir(&inbox).is_ok_and(|mut messages| messages.next().is_none()) {
        return false;
    }
    let view = RunView::open(run_dir);
    view.is_ok_and(|view| {
        let mut open = view.open_questions().filter(|open| open.path == *step);
        open.any(|open| inbox.join(format!("{}.json", open.id)).exists())
    })
}

/// What is answered: as the command line says, else as a person at the terminal says.
fn value(app: &App, question: &Question, options: &AnswerOptions) -> Result<Value, CommandError> {
    // A type that this program does not know is checked by the one that drives the run.
    let info = dad_definition::NodeTypes::node_type(&app.nodes, &question.node_type);
    let check = |value: &Value| info.map_or(Ok(()), |info| (info.check_input)(value));
    match &options.input {
        Some(text) => {
            let value = given::json_of(text, "--input")?;
            check(&value)
                .map_err(|reason| CommandError::usage("invalid_input", format!("in the answer, {reason}")))?;
            Ok(value)
        }
        None if is_interactive() => runtime()?
            .block_on(ask_question(&asked(question), check))
            .map_err(|error| no_answer(question, &error)),
        None => {
            let message = format!("nothing is said to answer `{}` with", question.path);
            Err(CommandError::usage("no_answer", message).with_hint(HOW_TO_ANSWER))
        }
    }
}

const HOW_TO_ANSWER: &str = "write `--input JSON`, `--input @FILE`, or `--deny REASON`";

/// The question as prompts take it.
fn asked(question: &Question) -> NodeQuestion {
    let (path, node_type) = (question.path.clone(), question.node_type.clone());
    let mut asked = NodeQuestion::new(path, node_type, question.settings.clone());
    asked.schema = Some(question.schema.clone());
    asked
}

fn no_answer(question: &Question, error: &TerminalError) -> CommandError {
    let message = format!("`{}` was not answered: {error}", question.path);
    CommandError::usage("no_answer", message).with_hint(HOW_TO_ANSWER)
}
