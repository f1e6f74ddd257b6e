//! Command strings with places for values: the script that an author wrote, and the script filled with values.

use dad_core::shell_word;
use dad_template::{Part as TemplatePart, Template};
use serde_json::{Value, json};

use super::place;
use super::quoting::{PREFIX, Quoting, Refusal, expansion, variable};

/// A command string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandText {
    /// No placeholders: the shell reads it as it is.
    Plain,
    /// Placeholders among other text.
    Script(ShellScript),
    /// One placeholder and nothing else: the value is the command.
    Generated,
}

/// Looks at a command string; `None` if it is no template, which is reported elsewhere.
pub(crate) fn read(text: &str) -> Option<Result<CommandText, Refusal>> {
    let template = Template::parse(text).ok()?;
    if template.as_literal().is_some() {
        return Some(Ok(CommandText::Plain));
    }
    if template.is_single_placeholder() {
        return Some(Ok(CommandText::Generated));
    }
    Some(ShellScript::compile(&template).map(CommandText::Script))
}

/// A text that an author wrote for a shell, with places for values. Made by the compiler of definitions only: there is no
/// other constructor, and it cannot be read from data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShellScript(pub(super) Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The author's text.
    Text(String),
    /// The place of a value.
    Value {
        /// The placeholder, as it is written.
        source: String,
        quoting: Quoting,
    },
}

/// A script with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilledScript {
    /// The arguments that are executed.
    pub(crate) argv: Vec<String>,
    /// A line that a user could paste into a shell, to the same effect.
    pub(crate) typed: String,
}

/// The longest argument of a program on Linux, with the byte that ends it; other systems take more of one, and fewer of all.
const LONGEST_VALUE: usize = 128 * 1024 - 1;

/// Whether a text names a variable that could be one for a value.
fn names_a_reserved_variable(text: &str) -> bool {
    text.match_indices(PREFIX)
        .any(|(at, _)| text[at + PREFIX.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

impl ShellScript {
    /// Decides of each placeholder how its value is given.
    ///
    /// # Errors
    /// The first placeholder that stands where a value could be code, or where it would not arrive.
    pub(super) fn compile(template: &Template) -> Result<Self, Refusal> {
        let mut sources = Vec::new();
        let texts = template.parts().map(|part| match part {
            TemplatePart::Text { text, .. } => Some(text.to_string()),
            TemplatePart::Placeholder(placeholder) => {
                sources.push(placeholder.source().to_owned());
                None
            }
        });
        let texts: Vec<Option<String>> = texts.collect();
        if texts.iter().flatten().any(|text| names_a_reserved_variable(text)) {
            return Err(Refusal {
                code: "reserved_name",
                message: format!(
                    "names such as `{}` are for the values of placeholders",
                    variable(1)
                ),
                hint: "give your variable another name".to_owned(),
            });
        }
        let quotings = place::decide(&texts, &sources)?;
        let mut values = sources.into_iter().zip(quotings);
        let parts = texts.into_iter().filter_map(|text| match text {
            Some(text) => Some(Part::Text(text)),
            None => values
                .next()
                .map(|(source, quoting)| Part::Value { source, quoting }),
        });
        Ok(Self(parts.collect()))
    }

    /// The parts as templates: texts, and each placeholder in a list of its own, so that two scripts of the same text with
    /// values at other places differ.
    pub(crate) fn templates(&self) -> Value {
        let part = |part: &Part| match part {
            Part::Text(text) => json!(dad_template::escape(text)),
            Part::Value { source, .. } => json!([source]),
        };
        self.0.iter().map(part).collect()
    }

    /// The placeholders, as they are written, in the order of their values.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Value { source, .. } => Some(source.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with its values as they are, which is how a template renders it.
    pub(crate) fn rendered(&self, values: &[String]) -> String {
        let mut values = values.iter();
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Value { .. } => values.next().map_or("", String::as_str),
        });
        parts.collect()
    }

    /// The script with a value for each placeholder.
    ///
    /// # Errors
    /// If no argument of a program can hold one of the values.
    pub(crate) fn with(&self, values: &[String]) -> Result<FilledScript, Refusal> {
        for (source, value) in self.placeholders().zip(values) {
            check_value(source, value)?;
        }
        let script = format!("{}{}", prologue(values.len()), self.text(expansion));
        // What follows the script is the name of the shell, then its parameters.
        let argv = ["sh", "-c", &script, "sh"].into_iter().map(str::to_owned);
        Ok(FilledScript {
            argv: argv.chain(values.iter().cloned()).collect(),
            typed: self.typed(values),
        })
    }

    /// The text with what stands in the places of its values, given by number and quoting.
    pub(super) fn text(&self, value: impl Fn(usize, Quoting) -> String) -> String {
        let mut number = 0;
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Value { quoting, .. } => {
                number += 1;
                value(number, *quoting)
            }
        });
        parts.collect()
    }

    pub(super) fn typed(&self, values: &[String]) -> String {
        let is_in_document = |part: &Part| {
            matches!(
                part,
                Part::Value {
                    quoting: Quoting::HereDocument,
                    ..
                }
            )
        };
        if self.0.iter().any(is_in_document) {
            // A value could be the line that ends the document.
            let set = values.iter().enumerate();
            let set: Vec<String> = set
                .map(|(index, value)| format!("{}={}", variable(index + 1), shell_word(value)))
                .collect();
            return format!("{}; {}", set.join(" "), self.text(expansion));
        }
        self.text(|number, quoting| match (values.get(number - 1), quoting) {
            (Some(value), Quoting::Word) => shell_word(value),
            (Some(value), _) => value.chars().flat_map(escaped).collect(),
            (None, _) => String::new(),
        })
    }

    /// The text as it was when values were parameters by number, which is part of the fingerprints of that time.
    pub(crate) fn numbered(&self) -> String {
        self.text(|number, quoting| match quoting {
            Quoting::Word => format!("\"${{{number}}}\""),
            Quoting::Double | Quoting::HereDocument => format!("${{{number}}}"),
        })
    }
}

/// Moves the parameters of the shell into variables, on the line on which the author's text begins: messages of the shell
/// count lines.
pub(super) fn prologue(values: usize) -> String {
    let set: Vec<String> = (1..=values)
        .map(|number| format!("{}=${{{number}}}", variable(number)))
        .collect();
    format!("{}; shift {values}; ", set.join(" "))
}

/// A character within double quotes.
pub(super) fn escaped(c: char) -> impl Iterator<Item = char> {
    let special = matches!(c, '"' | '$' | '`' | '\\');
    special.then_some('\\').into_iter().chain([c])
}

fn check_value(source: &str, value: &str) -> Result<(), Refusal> {
    let (code, what) = if value.contains('\0') {
        (
            "value_with_nul",
            "holds a NUL, which no argument of a program can".to_owned(),
        )
    } else if value.len() > LONGEST_VALUE {
        (
            "value_too_long",
            format!(
                "has {} bytes, and an argument of a program at most {LONGEST_VALUE}",
                value.len()
            ),
        )
    } else {
        return Ok(());
    };
    Err(Refusal {
        code,
        message: format!("the value of `{source}` {what}"),
        hint: format!("give it to the program with `stdin: \"{source}\"`"),
    })
}
