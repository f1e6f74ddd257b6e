//! The text that a shell may read as code: the text that the author of the definition wrote. The compiler keeps it beside
//! the settings, where no input, model or file can put anything; a text that it does not vouch for was generated.

use std::borrow::Cow;

use dad_runner::NodeError;
use dad_template::Template;
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

/// The text that an author wrote for shells, in the commands of a definition or in a tool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// Whether the author lets a shell read generated text.
    pub(crate) allow_generated: bool,
    /// For each command its text, if a shell reads one.
    commands: Vec<Option<Script>>,
}

/// A text for a shell, with places for values.
#[derive(Clone, Debug)]
struct Script(Vec<Part>);

/// A part of a text for a shell.
#[derive(Clone, Debug)]
enum Part {
    /// What the shell reads.
    Text(String),
    /// A value that stands for itself.
    Value,
    /// A value within double quotes.
    Within,
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

impl Written {
    /// The text in unrendered settings, and for each command the parts that are to be rendered: texts, and values, each in a
    /// list of its own. Null for a command without values, and if there is none with values.
    pub(crate) fn found(unrendered: &Value) -> (Self, Value) {
        let commands = unrendered.get("commands").and_then(Value::as_array);
        let found = commands.into_iter().flatten().map(Script::found);
        let (commands, values): (Vec<_>, Vec<_>) = found.unzip();
        let written = Self {
            allow_generated: unrendered.get("allow_generated") == Some(&Value::Bool(true)),
            commands,
        };
        match values.iter().all(Value::is_null) {
            true => (written, Value::Null),
            false => (written, values.into()),
        }
    }

    /// The text in the command of a tool: the code of a shell, unless a model gave it.
    pub(crate) fn of_tool(argv: &[String], filled: &[String], allow_generated: bool) -> Self {
        let code = code_among(filled).filter(|code| code_among(argv) == Some(code));
        Self {
            allow_generated,
            commands: vec![code.map(Script::plain)],
        }
    }

    /// The commands as they run, with their rendered parts.
    ///
    /// # Errors
    /// If a shell would read generated text as code and the author does not allow it.
    pub(crate) fn ready(&self, commands: &[CommandLine], parts: &Value) -> Result<Vec<Ready>, NodeError> {
        let one = |(index, command): (usize, &CommandLine)| {
            // Another command may have been given since.
            let written = |text: &str| self.script(index, parts).filter(|ready| ready.shown == text);
            match command {
                CommandLine::Shell(text) => match written(text) {
                    Some(ready) => Ok(ready),
                    None if self.allow_generated => Ok(plain(text)),
                    None => Err(generated(text)),
                },
                CommandLine::Arguments(words) => {
                    let code = code_among(words).filter(|_| !self.allow_generated);
                    match code.filter(|code| written(code).is_none()) {
                        Some(code) => Err(generated(code)),
                        None => Ok(arguments(words)),
                    }
                }
            }
        };
        commands.iter().enumerate().map(one).collect()
    }

    fn script(&self, index: usize, parts: &Value) -> Option<Ready> {
        self.commands.get(index)?.as_ref()?.ready(&parts[index])
    }

    /// The commands in rendered settings as fingerprints had them while their compiled form stood there too: the script and
    /// its arguments.
    pub(crate) fn formerly(&self, settings: &mut Value, parts: &Value) {
        let commands = settings.get_mut("commands").and_then(Value::as_array_mut);
        let parts = parts.as_array().into_iter().flatten().enumerate();
        for (command, (index, own)) in commands.into_iter().flatten().zip(parts) {
            let values = own
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|part| part.get(0));
            let values: Vec<&Value> = values.collect();
            let ready = self.commands[index].as_ref().and_then(|script| script.ready(own));
            if let Some(ready) =
                ready.filter(|ready| !values.is_empty() && command.as_str() == Some(&ready.shown))
            {
                *command = json!({ "script": ready.argv[2], "arguments": values, "shown": ready.shown });
            }
        }
    }
}

impl Script {
    /// The text of a command, and its parts to be rendered.
    fn found(command: &Value) -> (Option<Self>, Value) {
        let text = match command {
            Value::Array(words) => {
                let words = words
                    .iter()
                    .map(|word| word.as_str().unwrap_or_default().to_owned());
                code_among(&words.collect::<Vec<_>>()).map(str::to_owned)
            }
            command => command.as_str().map(str::to_owned),
        };
        let read = text.as_deref().and_then(|text| shell::read(text)?.ok());
        match (read, text) {
            (Some(CommandText::Plain), Some(text)) => {
                (literal(&text).as_deref().map(Self::plain), Value::Null)
            }
            (Some(CommandText::Script(script)), _) if command.is_string() => Self::of(&script.parts),
            _ => (None, Value::Null),
        }
    }

    fn plain(text: &str) -> Self {
        Self(vec![Part::Text(text.to_owned())])
    }

    fn of(written: &[Value]) -> (Option<Self>, Value) {
        let part = |part: &Value| {
            let (kind, template) = part.as_object()?.iter().next()?;
            Some(match kind.as_str() {
                "text" => (Part::Text(literal(template.as_str()?)?), template.clone()),
                "within" => (Part::Within, json!([template])),
                _ => (Part::Value, json!([template])),
            })
        };
        let parts: Option<Vec<(Part, Value)>> = written.iter().map(part).collect();
        match parts {
            Some(parts) => {
                let (parts, values): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
                (Some(Self(parts)), values.into())
            }
            None => (None, Value::Null),
        }
    }

    /// The command as it runs: values travel as arguments of the shell.
    fn ready(&self, rendered: &Value) -> Option<Ready> {
        if let [Part::Text(text)] = self.0.as_slice() {
            return Some(plain(text));
        }
        let (mut script, mut typed, mut shown) = (String::new(), String::new(), String::new());
        let mut values = Vec::new();
        for (index, part) in self.0.iter().enumerate() {
            if let Part::Text(text) = part {
                for all in [&mut script, &mut typed, &mut shown] {
                    all.push_str(text);
                }
                continue;
            }
            let text = dad_template::Value::from(rendered.get(index)?.get(0)?).to_text();
            shown.push_str(&text);
            let number = values.len() + 1;
            if matches!(part, Part::Within) {
                typed.extend(text.chars().flat_map(escaped));
                script.push_str(&format!("${{{number}}}"));
            } else {
                typed.push_str(&quoted(&text));
                script.push_str(&format!("\"${{{number}}}\""));
            }
            values.push(text);
        }
        let state = json!({ "script": script, "arguments": values, "shown": shown });
        // What follows the script is the name of the shell, then its parameters.
        let argv = ["sh", "-c", &script, "sh"].map(str::to_owned).into_iter();
        Some(Ready {
            argv: argv.chain(values).collect(),
            shown,
            typed,
            state,
        })
    }
}

/// A character within double quotes.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let special = matches!(c, '"' | '$' | '`' | '\\');
    special.then_some('\\').into_iter().chain([c])
}

/// The text of a template without values.
fn literal(text: &str) -> Option<String> {
    let template = Template::parse(text).ok()?;
    template.as_literal().map(Cow::into_owned)
}

/// The argument that a shell reads as code, in a list of arguments: the first behind its options, if one of them is `-c`.
/// Without `-c` that argument is a script, whose own options are not the shell's.
fn code_among(words: &[String]) -> Option<&str> {
    let mut words = words[shell_among(words)? + 1..].iter().map(String::as_str);
    let mut reads_code = false;
    while let Some(option) = words.next() {
        if option == "-" || option == "--" {
            return words.next().filter(|_| reads_code);
        }
        if option.starts_with("--") {
            // These take a file.
            if ["--rcfile", "--init-file"].contains(&option) {
                words.next();
            }
            continue;
        }
        if option.len() < 2 || !option.starts_with(['-', '+']) {
            return Some(option).filter(|_| reads_code);
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
fn shell_among(words: &[String]) -> Option<usize> {
    let is = |word: &String, known: &[&str]| known.contains(&word.rsplit('/').next().unwrap_or(word));
    match words.first()? {
        first if is(first, SHELLS) => Some(0),
        first if is(first, STARTERS) => words.iter().position(|word| is(word, SHELLS)),
        _ => None,
    }
}

/// The generated text that an unrendered list of arguments gives to a shell.
pub(crate) fn generated_among(words: &[Value]) -> Option<String> {
    let words = words
        .iter()
        .map(|word| word.as_str().unwrap_or_default().to_owned());
    let words: Vec<String> = words.collect();
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
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(code_among(&words), *wanted, "{words:?}");
        }
    }
}
