//! The input of an AI model node.

use dad_events::NodeInputRequiredEvent;
use dad_nodes::{AIModelNodeInput, PromptVariable, StructuredOutput};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::asker::{Asker, NodeQuestion};
use super::form::{json_or_text, name_and_value, patch, text_of};
use crate::conversation::YesNo;
use crate::error::TerminalError;

/// The questions for an AI model node.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AIModelInputOptions {
    /// The models to choose from; by default those of `models_with_options`, else those of the node.
    pub models: Vec<String>,
    /// The models to choose from, each with the call options that are used with it.
    pub models_with_options: IndexMap<String, Map<String, Value>>,
    /// The source of the options of the call.
    pub option_update: OptionUpdate,
    /// The shape of the answer, instead of the node's.
    pub structured_output: Option<StructuredOutput>,
    /// Which variables of the prompt are asked for.
    pub variables: AskedVariables,
}

/// The source of the options of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionUpdate {
    /// From the model that was chosen, if it has any, else from the node.
    #[default]
    OfModel,
    /// As before, and the person is asked whether to change them.
    Ask,
    /// From the node.
    Keep,
}

/// Which variables of a prompt are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskedVariables {
    /// None: the handler gives them.
    #[default]
    None,
    /// Those the prompt declares.
    All,
    /// These, of those the prompt declares.
    Named(Vec<String>),
}

impl AskedVariables {
    fn holds(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Named(names) => names.iter().any(|n| n == name),
        }
    }
}

/// The first part of the input of an AI model node: the input of the previous run, and the model, which the person chooses
/// if there are several. The handler adds the variables of the prompt.
///
/// # Errors
/// [`TerminalError::NoTerminal`] if there is something to ask and no person to be asked, or if the person ends the prompt.
pub async fn get_ai_model_node_input(
    event: &NodeInputRequiredEvent,
) -> Result<AIModelNodeInput, TerminalError> {
    get_ai_model_node_input_with(event, &AIModelInputOptions::default()).await
}

/// As [`get_ai_model_node_input`], with other models, call options, the shape of the answer, or the variables of the
/// prompt, for which the person is asked: with their defaults, and by a menu where only some values are allowed.
///
/// # Errors
/// As [`get_ai_model_node_input`].
pub async fn get_ai_model_node_input_with(
    event: &NodeInputRequiredEvent,
    options: &AIModelInputOptions,
) -> Result<AIModelNodeInput, TerminalError> {
    let question = NodeQuestion::from(event);
    ask(&mut Asker::new(&question), options).await
}

pub(crate) async fn ask(
    asker: &mut Asker<'_>,
    options: &AIModelInputOptions,
) -> Result<AIModelNodeInput, TerminalError> {
    let mut input: AIModelNodeInput = asker.question.begun();
    let model = ask_model(asker, options, &input).await?;
    let before = input.settings_override.as_ref();
    let before = before.and_then(|patch| patch.get("model_call_config")?.as_object());
    let mut config = before.cloned().unwrap_or_default();
    if let Some(model) = &model {
        patch(&mut input.settings_override, "models", vec![model.clone()]);
        let of_model = options.models_with_options.get(model);
        if let (Some(of_model), false) = (of_model, options.option_update == OptionUpdate::Keep) {
            config.insert("options".to_owned(), of_model.clone().into());
        }
    }
    if let Some(shape) = &options.structured_output {
        config.insert("structured_output".to_owned(), json!({ "schema": shape.schema }));
    }
    let asked = ask_variables(asker, options, &mut input).await?;
    // A step that asks and has neither several models nor variables can want nothing but these.
    let nothing_else = options.variables == AskedVariables::All && model.is_none() && asked == 0;
    if options.option_update == OptionUpdate::Ask || nothing_else {
        ask_call_options(asker, &mut config).await?;
    }
    if !config.is_empty() {
        patch(&mut input.settings_override, "model_call_config", config);
    }
    Ok(input)
}

/// The model to use instead of the node's list.
async fn ask_model(
    asker: &mut Asker<'_>,
    options: &AIModelInputOptions,
    begun: &AIModelNodeInput,
) -> Result<Option<String>, TerminalError> {
    let of_node = asker
        .setting("models")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let given = options.models.iter().chain(
        options
            .models_with_options
            .keys()
            .filter(|_| options.models.is_empty()),
    );
    let given: Vec<String> = given.cloned().collect();
    let models = if given.is_empty() {
        of_node.filter_map(Value::as_str).map(str::to_owned).collect()
    } else {
        given.clone()
    };
    if models.len() < 2 {
        return Ok(given.into_iter().next());
    }
    let before = begun.settings_override.as_ref();
    let before = before.and_then(|patch| patch.pointer("/models/0")?.as_str());
    let at = models.iter().position(|model| Some(model.as_str()) == before);
    let conversation = asker.conversation().await?;
    let chosen = conversation
        .choice("Which model?", &models, at.unwrap_or(0))
        .await?;
    Ok(models.into_iter().nth(chosen))
}

/// Asks for the variables that are wanted and returns how many there were.
async fn ask_variables(
    asker: &mut Asker<'_>,
    options: &AIModelInputOptions,
    input: &mut AIModelNodeInput,
) -> Result<usize, TerminalError> {
    let declared = asker
        .question
        .settings
        .pointer("/prompt/variables")
        .and_then(Value::as_object);
    let mut asked = 0;
    for (name, variable) in declared
        .into_iter()
        .flatten()
        .filter(|(name, _)| options.variables.holds(name))
    {
        let variable: PromptVariable = serde_json::from_value(variable.clone()).unwrap_or_default();
        let before = input.prompt_variables.0.get(name).cloned();
        let offered = before.or_else(|| variable.default.clone());
        let value = ask_variable(asker, name, &variable.allowed, offered.as_ref()).await?;
        // The default may be a template, and one that is given would be taken as it is written.
        if Some(&value) == variable.default.as_ref() {
            input.prompt_variables.0.shift_remove(name);
        } else {
            input.prompt_variables.insert(name, value);
        }
        asked += 1;
    }
    Ok(asked)
}

async fn ask_variable(
    asker: &mut Asker<'_>,
    name: &str,
    allowed: &[Value],
    offered: Option<&Value>,
) -> Result<Value, TerminalError> {
    let conversation = asker.conversation().await?;
    if !allowed.is_empty() {
        let labels: Vec<String> = allowed.iter().map(text_of).collect();
        let at = allowed.iter().position(|value| Some(value) == offered);
        let chosen = conversation
            .choice(&format!("{name}?"), &labels, at.unwrap_or(0))
            .await?;
        return Ok(allowed[chosen].clone());
    }
    let prompt = format!("{name}: ");
    match offered {
        None => Ok(conversation.text_or_editor(&prompt, None).await?.into()),
        Some(Value::String(text)) => Ok(conversation.text_or_editor(&prompt, Some(text)).await?.into()),
        Some(other) => {
            let (offered, shown) = (other.clone(), other.to_string());
            let parse = move |typed: &str| of_same_kind(typed, &offered);
            conversation.parsed(&prompt, Some(&shown), parse).await
        }
    }
}

/// Reads what was typed as a value of the kind that another one has.
fn of_same_kind(typed: &str, like: &Value) -> Result<Value, String> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a JSON list",
        Value::Object(_) => "a JSON object",
    };
    let value = json_or_text(typed.trim());
    if like.is_null() || kind(&value) == kind(like) {
        Ok(value)
    } else {
        Err(format!("type {}", kind(like)))
    }
}

/// Asks how the model is to be called.
async fn ask_call_options(
    asker: &mut Asker<'_>,
    config: &mut Map<String, Value>,
) -> Result<(), TerminalError> {
    let current = asker.setting("model_call_config").cloned().unwrap_or_default();
    let conversation = asker.conversation().await?;
    if !conversation
        .yes_no("Change how the model is called?", YesNo::No)
        .await?
    {
        return Ok(());
    }
    let length = current.get("max_output_tokens").and_then(Value::as_u64);
    let prompt = match length {
        Some(length) => format!("max_output_tokens (empty for {length}): "),
        None => "max_output_tokens (empty for no limit): ".to_owned(),
    };
    let number = |typed: &str| match typed.trim().parse::<u32>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("type a number from 1".to_owned()),
    };
    if let Some(length) = conversation.optional(&prompt, number).await? {
        config.insert("max_output_tokens".to_owned(), length.into());
    }
    let given = config.get("options").or_else(|| current.get("options"));
    for (name, value) in given.and_then(Value::as_object).into_iter().flatten() {
        conversation.tell(&format!("{name}={value}"));
    }
    let prompt = "option as NAME=VALUE, such as temperature=0.2 (empty to go on): ";
    while let Some((name, value)) = conversation.optional(prompt, name_and_value).await? {
        let options = config
            .entry("options")
            .or_insert_with(|| Value::Object(Map::new()));
        options[name] = json_or_text(&value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_the_kind_of_its_default() {
        assert_eq!(of_same_kind("3", &json!(1)), Ok(json!(3)));
        assert_eq!(of_same_kind("three", &json!(1)), Err("type a number".to_owned()));
        assert_eq!(
            of_same_kind("yes", &json!(true)),
            Err("type true or false".to_owned())
        );
        assert_eq!(of_same_kind("[1]", &json!([])), Ok(json!([1])));
    }
}
