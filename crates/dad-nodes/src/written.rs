//! The text that a shell may read as code: the text that the author of the definition wrote. The compiler keeps it beside
//! the settings, where no input, model or file can put anything; a text that it does not vouch for was generated.

use std::borrow::Cow;

use dad_core::shell_word;
use dad_runner::NodeError;
use dad_template::Template;
use serde_json::{Value, json};

use crate::command::CommandLine;
use crate::shell::{CommandText, Refusal, ShellScript, code_among};

/// The text that an author wrote for shells, in the commands of a definition or in a tool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// Whether the author lets a shell read generated text.
    pub(crate) allow_generated: bool,
    /// For each command its text, if a shell reads one.
    commands: Vec<Option<Text>>,
}

/// The reading of a command string.
pub(crate) type Read = Result<CommandText, Refusal>;

/// A text for a shell.
#[derive(Clone, Debug)]
enum Text {
    /// Without values.
    Plain(String),
    /// With places for values.
    Script(ShellScript),
}

/// A command that may run.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) argv: Vec<String>,
    /// As a user would type it, to the same effect; so it stands in results and messages.
    pub(crate) typed: String,
    /// As `state.json` has it.
    pub(crate) state: Value,
}

impl Written {
    /// The text in unrendered settings, of which each command for a shell was read, and for each command its parts, which are
    /// to be rendered. Null for a command without values, and if there is none with values.
    pub(crate) fn found(unrendered: &Value, read: Vec<Option<Read>>) -> (Self, Value) {
        let commands = unrendered.get("commands").and_then(Value::as_array);
        let commands = commands.into_iter().flatten().zip(read);
        let commands: Vec<Option<Text>> = commands
            .map(|(command, read)| Text::found(command, read))
            .collect();
        let values = commands.iter().map(|text| match text {
            Some(Text::Script(script)) => script.templates(),
            _ => Value::Null,
        });
        let values: Vec<Value> = values.collect();
        let written = Self {
            allow_generated: unrendered.get("allow_generated") == Some(&Value::Bool(true)),
            commands,
        };
        if values.iter().all(Value::is_null) {
            (written, Value::Null)
        } else {
            (written, values.into())
        }
    }

    /// The text in the command of a tool: the code of a shell, unless a model gave it.
    pub(crate) fn of_tool(argv: &[String], filled: &[String], allow_generated: bool) -> Self {
        let code = code_among(filled).filter(|code| code_among(argv) == Some(code));
        Self {
            allow_generated,
            commands: vec![code.map(|code| Text::Plain(code.to_owned()))],
        }
    }

    /// The commands as they run, with their rendered parts.
    ///
    /// # Errors
    /// If a shell would read generated text as code and the author does not allow it, or if a value cannot be given to it.
    pub(crate) fn ready(&self, commands: &[CommandLine], parts: &Value) -> Result<Vec<Ready>, NodeError> {
        let one = |(index, command): (usize, &CommandLine)| {
            // Another command may have been given since.
            let written = |text: &str| self.written(index, &parts[index], text);
            match command {
                CommandLine::Shell(text) => match written(text) {
                    Some((script, values)) => filled(script, &values),
                    None if self.allow_generated || self.is_plain(index, text) => Ok(plain(text)),
                    None => Err(generated(text)),
                },
                CommandLine::Arguments(words) => {
                    let code = code_among(words).filter(|_| !self.allow_generated);
                    match code.filter(|code| !self.is_plain(index, code)) {
                        Some(code) => Err(generated(code)),
                        None => Ok(arguments(words)),
                    }
                }
            }
        };
        commands.iter().enumerate().map(one).collect()
    }

    /// Whether the author wrote a text as it is.
    fn is_plain(&self, index: usize, text: &str) -> bool {
        matches!(self.commands.get(index), Some(Some(Text::Plain(plain))) if plain == text)
    }

    /// The script that a text is rendered from, and its values.
    fn written(&self, index: usize, parts: &Value, text: &str) -> Option<(&ShellScript, Vec<String>)> {
        let Some(Text::Script(script)) = self.commands.get(index)? else {
            return None;
        };
        let values: Vec<String> = values(parts)
            .map(|value| dad_template::Value::from(value).to_text())
            .collect();
        (script.rendered(&values) == text).then_some((script, values))
    }

    /// The commands in rendered settings as fingerprints had them while their compiled form stood there too: the script and
    /// its arguments.
    pub(crate) fn formerly(&self, settings: &mut Value, parts: &Value) {
        let commands = settings.get_mut("commands").and_then(Value::as_array_mut);
        for (index, command) in commands.into_iter().flatten().enumerate() {
            let text = command.as_str().unwrap_or_default();
            if let Some((script, _)) = self.written(index, &parts[index], text) {
                let arguments: Vec<&Value> = values(&parts[index]).collect();
                *command = json!({ "script": script.numbered(), "arguments": arguments, "shown": text });
            }
        }
    }
}

/// The values among the rendered parts of a command.
fn values(parts: &Value) -> impl Iterator<Item = &Value> {
    parts
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|part| part.get(0))
}

impl Text {
    /// The text of a command that a shell reads, as far as it may read it.
    fn found(command: &Value, read: Option<Read>) -> Option<Self> {
        if let Value::Array(words) = command {
            let words: Vec<String> = texts(words).collect();
            return literal(code_among(&words)?).map(Self::Plain);
        }
        match read?.ok()? {
            CommandText::Plain => literal(command.as_str()?).map(Self::Plain),
            CommandText::Script(script) => Some(Self::Script(script)),
            CommandText::Generated => None,
        }
    }
}

/// The text of a template without values.
fn literal(text: &str) -> Option<String> {
    let template = Template::parse(text).ok()?;
    template.as_literal().map(Cow::into_owned)
}

fn texts(words: &[Value]) -> impl Iterator<Item = String> {
    words
        .iter()
        .map(|word| word.as_str().unwrap_or_default().to_owned())
}

/// The generated text that an unrendered list of arguments gives to a shell.
pub(crate) fn generated_among(words: &[Value]) -> Option<String> {
    let words: Vec<String> = texts(words).collect();
    let code = code_among(&words)?;
    let is_generated = Template::parse(code).is_ok_and(|code| code.as_literal().is_none());
    is_generated.then(|| code.to_owned())
}

fn generated(text: &str) -> NodeError {
    let message = format!(
        "`{text}` does not stand in the definition, and a shell would read it as code (in `commands`)"
    );
    NodeError::new("generated_command", message)
        .with_hint(
            "write `allow_generated: true` into the settings of the definition, or give a list of arguments",
        )
        .permanent()
}

fn plain(text: &str) -> Ready {
    Ready {
        argv: ["sh", "-c", text].map(str::to_owned).to_vec(),
        typed: text.to_owned(),
        state: text.into(),
    }
}

fn arguments(words: &[String]) -> Ready {
    let typed: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
    Ready {
        argv: words.to_vec(),
        typed: typed.join(" "),
        state: words.into(),
    }
}

fn filled(script: &ShellScript, values: &[String]) -> Result<Ready, NodeError> {
    let unusable = |refusal: Refusal| {
        NodeError::new(refusal.code, refusal.message)
            .with_hint(refusal.hint)
            .permanent()
    };
    let filled = script.with(values).map_err(unusable)?;
    Ok(Ready {
        argv: filled.argv,
        state: filled.typed.as_str().into(),
        typed: filled.typed,
    })
}
