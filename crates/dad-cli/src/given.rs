//! What the command line gives to a run from outside.

use dad_core::json::{JsonError, parse_external};
use dad_run::RunContextBuilder;
use serde_json::Value;

use crate::args::Given;
use crate::error::CommandError;

/// Gives a context its variables and its inputs; what the command line says comes before the environment.
pub(crate) fn apply(
    mut context: RunContextBuilder,
    given: &Given,
) -> Result<RunContextBuilder, CommandError> {
    if let Some(file) = &given.static_inputs {
        context = context.static_inputs(file);
    }
    for input in &given.inputs {
        let (path, value) = json_option(input, "--input", "PATH=JSON")?;
        context = context.node_input(path, value, "--input");
    }
    for var in &given.vars {
        let (name, text) = split(var, "--var", "NAME=VALUE")?;
        context = context.variable(name, text_of(text, "--var")?);
    }
    for var in &given.json_vars {
        let (name, value) = json_option(var, "--var-json", "NAME=JSON")?;
        context = context.variable(name, value);
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
    std::fs::read_to_string(file).map_err(|error| {
        CommandError::usage(
            "unreadable",
            format!("`{option}`: `{file}` cannot be read: {error}"),
        )
    })
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
            CommandError::usage("option", format!("`{option} …={text}` is not JSON: {reason}"))
                .with_hint("write a text in double quotes inside single quotes: '\"text\"'")
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
