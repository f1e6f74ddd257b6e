//! Which text a shell may read as code: what the author of the definition wrote. The compiler says so beside the commands,
//! in a setting that no definition, input or model can give; a text that it does not vouch for was generated.

use dad_runner::NodeError;
use dad_template::Template;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::command::{CommandLine, quoted};
use crate::shell::{self, CommandText};

/// Programs that read an argument as code if an option says so.
const SHELLS: &[&str] = &[
    "sh", "bash", "dash", "ash", "ksh", "mksh", "yash", "zsh", "rbash", "fish", "csh", "tcsh",
];

/// Programs that start the program which their arguments name.
const STARTERS: &[&str] = &[
    "busybox", "chroot", "command", "doas", "env", "exec", "ionice", "nice", "nohup", "setsid", "stdbuf",
    "sudo", "time", "timeout", "xargs",
];

/// What the compiler found written in the commands of a definition.
#[doc(hidden)]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Whether the definition lets a shell read generated text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_generated: bool,
    /// For each command what was written of it, if a shell reads it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Option<WrittenCommand>>,
}

/// A text that the author wrote for a shell.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenCommand {
    /// With its values, as the commands have it.
    pub text: String,
    /// Its parts; none if it has no values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<WrittenPart>,
}

/// A part of a text for a shell.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WrittenPart {
    /// What the shell reads.
    Text(String),
    /// A value that stands for itself.
    Value(Value),
    /// A value within double quotes.
    Within(Value),
}

impl WrittenPart {
    const fn value(&self) -> Option<&Value> {
        match self {
            Self::Text(_) => None,
            Self::Value(value) | Self::Within(value) => Some(value),
        }
    }
}

/// A command that may run.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) argv: Vec<String>,
    /// As results name it.
    pub(crate) shown: String,
    /// As a user would type it, to the same effect.
    pub(crate) typed: String,
    /// As `state.json` has it.
    pub(crate) state: Value,
}

/// What stands written in unrendered settings; `None` if that is nothing which a shell reads.
pub(crate) fn found(unrendered: &Value) -> Option<Value> {
    let commands = unrendered.get("commands").and_then(Value::as_array);
    let commands: Vec<Value> = commands.into_iter().flatten().map(of_command).collect();
    let allowed = unrendered.get("allow_generated") == Some(&Value::Bool(true));
    if !allowed && commands.iter().all(Value::is_null) {
        return None;
    }
    Some(json!({ "allow_generated": allowed, "commands": commands }))
}

fn of_command(command: &Value) -> Value {
    let text = match command {
        Value::Array(words) => match code_among(words.as_slice()) {
            Some(text) => text,
            None => return Value::Null,
        },
        command => command,
    };
    let Some(text) = text.as_str() else {
        return Value::Null;
    };
    match (shell::read(text), command) {
        (Some(Ok(CommandText::Plain)), _) => json!({ "text": text }),
        (Some(Ok(CommandText::Script(script))), Value::String(_)) => {
            json!({ "text": text, "parts": script.parts })
        }
        _ => Value::Null,
    }
}

/// Rendered settings as their fingerprint has them: the script and its arguments in the place of what is written beside.
pub(crate) fn counted(settings: &Value) -> Option<Value> {
    let written = settings.get("written")?;
    let written: Written = serde_json::from_value(written.clone()).ok()?;
    let mut counted = settings.clone();
    counted.as_object_mut()?.shift_remove("written");
    let commands = counted.get_mut("commands").and_then(Value::as_array_mut);
    for (command, found) in commands.into_iter().flatten().zip(written.commands) {
        let found = found.filter(|found| !found.parts.is_empty() && command.as_str() == Some(&found.text));
        if let Some(WrittenCommand { text, parts }) = found {
            let arguments: Vec<&Value> = parts.iter().filter_map(WrittenPart::value).collect();
            *command =
                json!({ "script": script(&parts, &text).argv[2], "arguments": arguments, "shown": text });
        }
    }
    Some(counted)
}

/// What the author of a tool wrote of its command: the code of a shell, unless a model gave it.
pub(crate) fn of_tool(argv: &[String], filled: &[Value], allow_generated: bool) -> Written {
    let of_author: Vec<Value> = argv.iter().map(|word| word.as_str().into()).collect();
    let fixed = code_among(filled).filter(|code| code_among(&of_author) == Some(code));
    let command = fixed.and_then(Value::as_str).map(|code| WrittenCommand {
        text: code.to_owned(),
        parts: Vec::new(),
    });
    Written {
        allow_generated,
        commands: vec![command],
    }
}

/// The argument that a shell reads as code, in a list of arguments: the first behind its options, if one of them is `-c`.
/// Without `-c` that argument is a script, whose own options are not the shell's.
fn code_among(words: &[Value]) -> Option<&Value> {
    let text = |word: &Value| word.as_str().map(str::to_owned).unwrap_or_default();
    let mut words = words[shell_among(words)? + 1..].iter();
    let mut reads_code = false;
    while let Some(word) = words.next() {
        let option = text(word);
        if option == "-" || option == "--" {
            return words.next().filter(|_| reads_code);
        }
        if option.starts_with("--") {
            // These take a file.
            if ["--rcfile", "--init-file"].contains(&&*option) {
                words.next();
            }
            continue;
        }
        if option.len() < 2 || !option.starts_with(['-', '+']) {
            return Some(word).filter(|_| reads_code);
        }
        reads_code |= option.starts_with('-') && option.contains('c');
        // The name of an option follows, as in `-eo pipefail`.
        if option.ends_with(['o', 'O']) {
            words.next();
        }
    }
    None
}

/// Where the shell stands that a list of arguments starts, by itself or through programs that start the one they are given.
fn shell_among(words: &[Value]) -> Option<usize> {
    let name = |word: &Value| {
        let program = word.as_str()?;
        Some(program.rsplit('/').next().unwrap_or(program).to_owned())
    };
    let is = |word: &Value, known: &[&str]| name(word).is_some_and(|name| known.contains(&&*name));
    match words.first()? {
        first if is(first, SHELLS) => Some(0),
        first if is(first, STARTERS) => words.iter().position(|word| is(word, SHELLS)),
        _ => None,
    }
}

/// Where a literal list of arguments gives a shell something generated.
pub(crate) fn generated_among(words: &[Value]) -> Option<&str> {
    let text = code_among(words)?.as_str()?;
    match Template::parse(text).ok()?.as_literal() {
        Some(_) => None,
        None => Some(text),
    }
}

/// The commands as they run.
///
/// # Errors
/// If a shell would read generated text as code and the definition does not allow it.
pub(crate) fn ready(commands: &[CommandLine], written: &Written) -> Result<Vec<Ready>, NodeError> {
    let one = |(index, command): (usize, &CommandLine)| {
        let is_this = |found: &&WrittenCommand, text: &str| found.text == text;
        let found = |text: &str| {
            let same = written.commands.get(index).and_then(Option::as_ref);
            same.filter(|found| is_this(found, text))
        };
        match command {
            CommandLine::Shell(text) => match found(text) {
                Some(found) if !found.parts.is_empty() => Ok(script(&found.parts, text)),
                Some(_) => Ok(plain(text)),
                None if written.allow_generated => Ok(plain(text)),
                None => Err(generated(text)),
            },
            CommandLine::Arguments(words) => {
                let values: Vec<Value> = words.iter().map(|word| word.as_str().into()).collect();
                let code = code_among(&values).and_then(Value::as_str);
                match code.filter(|code| found(code).is_none() && !written.allow_generated) {
                    Some(code) => Err(generated(code)),
                    None => Ok(arguments(words)),
                }
            }
        }
    };
    commands.iter().enumerate().map(one).collect()
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
        shown: text.to_owned(),
        typed: text.to_owned(),
        state: text.into(),
    }
}

fn arguments(words: &[String]) -> Ready {
    let typed: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    Ready {
        argv: words.to_vec(),
        shown: words.join(" "),
        typed: typed.join(" "),
        state: words.into(),
    }
}

/// A text whose values travel as arguments.
fn script(parts: &[WrittenPart], shown: &str) -> Ready {
    let (mut script, mut typed) = (String::new(), String::new());
    let mut values = Vec::new();
    for part in parts {
        match part {
            WrittenPart::Text(text) => {
                script.push_str(text);
                typed.push_str(text);
            }
            WrittenPart::Value(value) => {
                let text = dad_template::Value::from(value).to_text();
                typed.push_str(&quoted(&text));
                values.push(text);
                script.push_str(&format!("\"${{{}}}\"", values.len()));
            }
            WrittenPart::Within(value) => {
                let text = dad_template::Value::from(value).to_text();
                let special = |c: char| matches!(c, '"' | '$' | '`' | '\\');
                for c in text.chars() {
                    typed.extend(special(c).then_some('\\'));
                    typed.push(c);
                }
                values.push(text);
                script.push_str(&format!("${{{}}}", values.len()));
            }
        }
    }
    let state = json!({ "script": script, "arguments": values, "shown": shown });
    // What follows the script is the name of the shell, then its parameters.
    let argv = ["sh", "-c", &script, "sh"].map(str::to_owned).into_iter();
    Ready {
        argv: argv.chain(values).collect(),
        shown: shown.to_owned(),
        typed,
        state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_shell_is_found_behind_its_options() {
        let cases: &[(&[&str], Option<&str>)] = &[
            (&["sh", "-c", "code"], Some("code")),
            (&["/bin/bash", "-lc", "code", "name"], Some("code")),
            (&["sh", "-c", "-e", "code"], Some("code")),
            (&["bash", "-c", "--", "code"], Some("code")),
            (&["bash", "-e", "-c", "code"], Some("code")),
            (&["bash", "-eo", "pipefail", "-c", "code"], Some("code")),
            (&["bash", "--rcfile", "-c", "script", "-c", "word"], None),
            (&["bash", "--norc", "-c", "code"], Some("code")),
            (&["bash", "+x", "-c", "code"], Some("code")),
            (&["bash", "script.sh", "-branch", "word"], None),
            (&["bash", "script.sh", "-c", "word"], None),
            (&["sh", "-", "-c", "word"], None),
            (&["sh", "-c"], None),
            (&["env", "A=b", "sh", "-c", "code"], Some("code")),
            (&["timeout", "5", "nice", "bash", "-c", "code"], Some("code")),
            (&["busybox", "sh", "-c", "code"], Some("code")),
            (&["grep", "-c", "sh", "file"], None),
        ];
        for (words, wanted) in cases {
            let words: Vec<Value> = words.iter().map(|word| (*word).into()).collect();
            let found = code_among(&words).and_then(Value::as_str);
            assert_eq!(found, *wanted, "{words:?}");
        }
    }
}
