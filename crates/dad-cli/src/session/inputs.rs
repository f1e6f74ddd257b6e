//! The variables and inputs that the command line gives to a run.

use std::io::Read;

use dad_core::internal::in_words;
use dad_core::json::{JsonError, parse_external};
use dad_run::RunContextBuilder;
use serde_json::{Map, Value};

use crate::error::CommandError;
use crate::options::{Given, ReuseOptions};

/// The longest file that an option names, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Gives a context its variables and inputs; the command line overrides the environment.
pub(crate) fn apply(
    mut context: RunContextBuilder,
    given: &Given,
) -> Result<RunContextBuilder, CommandError> {
    if let Some(file) = &given.static_inputs {
        context = context.static_inputs(file);
    }
    for (path, value) in inputs(given)? {
        context = context.node_input(path, value, "--input");
    }
    for (name, value) in variables(given)? {
        context = context.variable(name, value);
    }
    Ok(context)
}

/// The inputs of steps and components, by path.
pub(crate) fn inputs(given: &Given) -> Result<Vec<(String, Value)>, CommandError> {
    let inputs = given.inputs.iter().map(|input| {
        let (path, value) = json_option(input, "--input", "PATH=JSON")?;
        Ok((path.to_owned(), value))
    });
    inputs.collect()
}

/// The variables, each once.
pub(crate) fn variables(given: &Given) -> Result<Map<String, Value>, CommandError> {
    let mut variables = Map::new();
    let mut insert = |name: &str, value: Value| {
        if variables.insert(name.to_owned(), value).is_none() {
            return Ok(());
        }
        let message = format!("the variable `{name}` is given twice");
        Err(CommandError::usage("option", message).with_hint("keep one of the two"))
    };
    for var in &given.vars {
        let (name, text) = split(var, "--var", "NAME=VALUE")?;
        insert(name, text_of(text, "--var")?.into())?;
    }
    for var in &given.json_vars {
        let (name, value) = json_option(var, "--var-json", "NAME=JSON")?;
        insert(name, value)?;
    }
    Ok(variables)
}

/// Gives the context of a re-run what it reuses, and what it executes.
pub(crate) fn apply_reuse(
    mut context: RunContextBuilder,
    options: &ReuseOptions,
) -> Result<RunContextBuilder, CommandError> {
    if let Some(entry) = &options.entry_point {
        context = context.start_hierarchy_path(entry);
    }
    context = context.fresh(options.fresh);
    for selector in &options.execute {
        context = context.execute_anew(selector);
    }
    for selector in &options.ask {
        context = context.ask(selector);
    }
    for selector in &options.reuse_answers {
        context = context.reuse_answers(selector);
    }
    for edit in &options.edits {
        let (target, value) = json_option(edit, "--set", "STEP.outcome.FIELD=JSON")?;
        context = context.set_outcome(target, value);
    }
    Ok(context)
}

/// The two sides of an option's value, whose form is `NAME=VALUE` or the like.
fn split<'a>(text: &'a str, option: &str, form: &str) -> Result<(&'a str, &'a str), CommandError> {
    let name = form.split_once('=').map_or(form, |(name, _)| name);
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| {
            let side = name.to_lowercase();
            CommandError::usage("option", format!("`{option} {text}` has no {side} and value"))
                .with_hint(format!("write `{option} {form}` or `{option} {name}=@FILE`"))
        })
}

/// The text itself, or that of the file after `@`.
fn text_of(text: &str, option: &str) -> Result<String, CommandError> {
    let Some(file) = text.strip_prefix('@') else {
        return Ok(text.to_owned());
    };
    let text = read_text(file).map_err(|reason| {
        CommandError::usage(
            "unreadable",
            format!("`{option}`: `{file}` cannot be read: {reason}"),
        )
        .with_hint(relative_to())
    })?;
    // A byte order mark is no part of the text, as in definitions.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The directory to which the paths of the command line are relative.
fn relative_to() -> String {
    match std::env::current_dir() {
        Ok(dir) => format!("a path is relative to the current directory, `{}`", dir.display()),
        Err(_) => "a path is relative to the current directory".to_owned(),
    }
}

/// The text of a file, which may be a pipe.
pub(crate) fn read_text(file: &str) -> Result<String, String> {
    let mut text = String::new();
    let read = std::fs::File::open(file)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    if read as u64 > MAX_FILE_BYTES {
        return Err(format!("it is longer than {} MiB", MAX_FILE_BYTES >> 20));
    }
    Ok(text)
}

/// A name and its JSON value, or that of a file after `@`.
pub(crate) fn json_option<'a>(
    text: &'a str,
    option: &str,
    form: &str,
) -> Result<(&'a str, Value), CommandError> {
    let (name, value) = split(text, option, form)?;
    Ok((name, json_of(value, option)?))
}

pub(crate) fn json_of(text: &str, option: &str) -> Result<Value, CommandError> {
    let json = text_of(text, option)?;
    parse_external(&json).map_err(|error| match &error {
        JsonError::Syntax(reason) => {
            CommandError::usage("option", format!("`{option}`: `{text}` is not JSON: {}", in_words(reason)))
                .with_hint(if json.trim_start().starts_with(['[', '{']) {
                    "close each `[` and `{`, write keys and texts in double quotes, and put all of it into single quotes"
                } else {
                    "write a text in double quotes inside single quotes: '\"text\"'"
                })
        }
        _ => {
            let refused = CommandError::usage("option", format!("`{option}`: {error}"));
            match error.hint() {
                Some(hint) => refused.with_hint(hint),
                None => refused,
            }
        }
    })
}
