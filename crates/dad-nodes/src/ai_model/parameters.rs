//! The parameters of a tool's command: arguments that are exactly `{name}`, which the model gives.
//!
//! Braces around a plain name mean nothing else, so that a name that nothing gives never reaches a program. One pair more is one
//! pair of text: `{{name}}` is the text `{name}`. Other braces are text, such as those of JSON and of a shell's `${name}`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use dad_template::{Part, Template};
use serde_json::Value;

/// A word of a tool's command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// A text.
    Text(String),
    /// The value that the model gives by this name, as one argument.
    Parameter {
        name: String,
        /// The value if the model leaves it out; without one, the argument is left out.
        default: Option<Value>,
    },
}

/// A name in braces that no argument can have where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misplaced {
    pub(super) message: String,
    pub(super) hint: String,
}

/// The parameters that a schema declares, each with its own schema.
pub(super) struct Declared<'a>(BTreeMap<&'a str, &'a Value>);

impl<'a> Declared<'a> {
    /// The properties of a schema, also those that its parts and local references add.
    pub(super) fn of(schema: &'a Value) -> Self {
        const LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
        const PARTS: [&str; 3] = ["if", "then", "else"];
        let mut declared = BTreeMap::new();
        let mut seen = HashSet::new();
        let mut next = vec![schema];
        while let Some(part) = next.pop() {
            let properties = part.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                declared.entry(name.as_str()).or_insert(property);
            }
            let lists = LISTS.iter().filter_map(|key| part.get(key)?.as_array());
            next.extend(lists.flatten());
            next.extend(PARTS.iter().filter_map(|key| part.get(key)));
            let dependent = part.get("dependentSchemas").and_then(Value::as_object);
            next.extend(dependent.into_iter().flat_map(|schemas| schemas.values()));
            let referred = part.get("$ref").and_then(Value::as_str);
            let pointer = referred.and_then(|reference| reference.strip_prefix('#'));
            next.extend(
                pointer
                    .filter(|pointer| seen.insert(*pointer))
                    .and_then(|pointer| schema.pointer(pointer)),
            );
        }
        Self(declared)
    }

    /// The meaning of a word that holds no inserted value.
    ///
    /// # Errors
    /// The first name in braces that the model cannot give, or not there.
    pub(super) fn word(&self, written: &str) -> Result<Word, Misplaced> {
        let whole = written.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        if let Some((name, property)) = whole.and_then(|name| self.0.get_key_value(name)) {
            return Ok(Word::Parameter {
                name: (*name).to_owned(),
                default: property.get("default").filter(|value| !value.is_null()).cloned(),
            });
        }
        let mut text = String::new();
        let mut end = 0;
        for braced in braced(written) {
            if braced.depth == 1 {
                return Err(self.misplaced(written, braced.name));
            }
            text.push_str(&written[end..braced.at.start]);
            text.push_str(&written[braced.at.start + 1..braced.at.end - 1]);
            end = braced.at.end;
        }
        text.push_str(&written[end..]);
        Ok(Word::Text(text))
    }

    fn misplaced(&self, written: &str, name: &str) -> Misplaced {
        let as_text = format!("`{{{{{name}}}}}` is the text `{{{name}}}`");
        if self.0.contains_key(name) {
            return Misplaced {
                message: format!("`{{{name}}}` stands inside `{written}`, where nothing would replace it"),
                hint: format!("make it an argument of its own: `\"{{{name}}}\"`; {as_text}"),
            };
        }
        let near = dad_core::nearest(name, self.0.keys().copied());
        let hint = near.map_or_else(
            || format!("declare `{name}` in the `properties` of `parameters`; {as_text}"),
            |near| format!("did you mean `{{{near}}}`? {as_text}"),
        );
        Misplaced {
            message: if written.len() == name.len() + 2 {
                format!("`{written}` stands for no parameter")
            } else {
                format!("`{{{name}}}` in `{written}` stands for no parameter")
            },
            hint,
        }
    }
}

/// The words of tools' commands that hold inserted values, by the name of the tool. Such a word is no parameter and is not scanned
/// for one, whatever was inserted.
#[derive(Debug, Default)]
pub(super) struct Inserted(HashMap<String, Vec<bool>>);

impl Inserted {
    /// Those of unrendered tools.
    pub(super) fn of<'a>(tools: impl Iterator<Item = &'a Value>) -> Self {
        let inserted = tools.filter_map(|tool| {
            let words = tool.get("command")?.as_array()?;
            let inserted: Vec<bool> = words.iter().map(holds_value).collect();
            let name = tool.get("name")?.as_str()?;
            inserted.contains(&true).then(|| (name.to_owned(), inserted))
        });
        Self(inserted.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The meanings of the rendered words of a tool's command.
    ///
    /// # Errors
    /// The first name in braces that the model cannot give, or not there.
    pub(super) fn words(
        &self,
        tool: &str,
        command: Vec<String>,
        schema: &Value,
    ) -> Result<Vec<Word>, Misplaced> {
        let declared = Declared::of(schema);
        // An input may have given another command.
        let inserted = self
            .0
            .get(tool)
            .filter(|inserted| inserted.len() == command.len());
        let is_inserted = |at: usize| inserted.is_some_and(|inserted| inserted[at]);
        let words = command.into_iter().enumerate();
        words
            .map(|(at, word)| {
                if is_inserted(at) {
                    Ok(Word::Text(word))
                } else {
                    declared.word(&word)
                }
            })
            .collect()
    }
}

fn holds_value(word: &Value) -> bool {
    let template = word.as_str().and_then(|text| Template::parse(text).ok());
    template.is_some_and(|template| template.as_literal().is_none())
}

/// The fault of an unrendered word. Beside a value that is inserted, no name can stand in braces.
pub(super) fn fault(declared: &Declared<'_>, unrendered: &str) -> Option<Misplaced> {
    let template = Template::parse(unrendered).ok()?;
    if let Some(text) = template.as_literal() {
        return declared.word(&text).err();
    }
    let texts = template.parts().filter_map(|part| match part {
        Part::Text { text, .. } => Some(text),
        Part::Placeholder(_) => None,
    });
    let names: Vec<&str> = texts.flat_map(braced).map(|braced| braced.name).collect();
    let name = names.first()?;
    Some(Misplaced {
        message: format!(
            "`{{{name}}}` stands beside a value in `{unrendered}`, where nothing would replace it"
        ),
        hint: format!(
            "make it an argument of its own: `\"{{{name}}}\"`; `$expr{{ \"{{\" }}` is the text `{{`"
        ),
    })
}

/// A plain name in braces.
struct Braced<'a> {
    name: &'a str,
    /// The place with its pairs of braces.
    at: Range<usize>,
    /// The number of pairs.
    depth: usize,
}

fn braced(text: &str) -> Vec<Braced<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find('{').map(|at| from + at) {
        let inside = &text[start..];
        let opened = inside.len() - inside.trim_start_matches('{').len();
        let rest = &inside[opened..];
        let name = &rest[..rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len())];
        let behind = &rest[name.len()..];
        let closed = behind.len() - behind.trim_start_matches('}').len();
        let depth = opened.min(closed);
        // `${name}` of a shell, and `$var{name}` that the definition writes with two dollars.
        let before = text[..start].trim_end_matches(char::is_alphabetic);
        let is_of_shell = opened == 1 && before.ends_with('$');
        let begins = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let end = start + opened + name.len();
        if begins && depth > 0 && !is_of_shell {
            found.push(Braced {
                name,
                at: start + opened - depth..end + depth,
                depth,
            });
        }
        from = end + closed;
    }
    found
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: &Value, words: &[(&str, Result<&str, &str>)]) {
        let declared = Declared::of(schema);
        for (written, expected) in words {
            match (declared.word(written), expected) {
                (Ok(Word::Text(text)), Ok(expected)) => assert_eq!(text, *expected, "{written}"),
                (Ok(Word::Parameter { name, .. }), Ok(expected)) => assert_eq!(format!("→{name}"), *expected),
                (Err(misplaced), Err(expected)) => {
                    let said = format!("{} ({})", misplaced.message, misplaced.hint);
                    assert!(said.contains(expected), "{written}: {said}");
                }
                (read, _) => panic!("{written}: {read:?}"),
            }
        }
    }

    #[test]
    fn a_plain_name_in_braces_is_a_parameter_or_a_mistake() {
        let schema = json!({ "properties": { "dir": {}, "a b": {}, "ümlaut": {} } });
        check(
            &schema,
            &[
                ("{dir}", Ok("→dir")),
                ("{a b}", Ok("→a b")),
                ("{ümlaut}", Ok("→ümlaut")),
                ("{dirr}", Err("did you mean `{dir}`?")),
                ("{other}", Err("declare `other`")),
                (
                    "--dir={dri}",
                    Err("`{dri}` in `--dir={dri}` stands for no parameter"),
                ),
                ("--dir={dir}", Err("make it an argument of its own")),
                ("{{dir}}", Ok("{dir}")),
                ("@{{u}}..", Ok("@{u}..")),
                ("{{{x}}}", Ok("{{x}}")),
                ("{{{x}", Err("`{x}`")),
                ("{\"a\":1}", Ok("{\"a\":1}")),
                ("{}", Ok("{}")),
                ("{a,b}", Ok("{a,b}")),
                ("{1}", Ok("{1}")),
                ("{ print }", Ok("{ print }")),
                ("echo ${HOME}", Ok("echo ${HOME}")),
                ("{print $1}", Ok("{print $1}")),
                ("{{.Names}}", Ok("{{.Names}}")),
                ("{open", Ok("{open")),
            ],
        );
    }

    #[test]
    fn parameters_are_declared_wherever_a_schema_has_properties() {
        let schema = json!({
            "allOf": [{ "properties": { "a": {} } }, { "$ref": "#/$defs/more" }],
            "oneOf": [{ "anyOf": [{ "properties": { "b": {} } }] }],
            "if": {}, "then": { "properties": { "c": {} } },
            "dependentSchemas": { "a": { "properties": { "d": {} } } },
            "$defs": {
                "more": { "properties": { "e": {} }, "$ref": "#/$defs/more" },
                "unused": { "properties": { "f": {} } },
            },
        });
        let words: Vec<_> = [
            ("{a}", "→a"),
            ("{b}", "→b"),
            ("{c}", "→c"),
            ("{d}", "→d"),
            ("{e}", "→e"),
        ]
        .into_iter()
        .map(|(word, meaning)| (word, Ok(meaning)))
        .collect();
        check(&schema, &words);
        check(&schema, &[("{f}", Err("`{f}` stands for no parameter"))]);
        check(
            &json!({ "type": "object" }),
            &[("{x}", Err("`{x}` stands for no parameter"))],
        );
        check(&json!(true), &[("{x}", Err("`{x}` stands for no parameter"))]);
    }

    #[test]
    fn what_is_inserted_is_never_scanned() {
        let tools = json!([{ "name": "t", "command": ["echo", "$var{x}", "{dir}"] }]);
        let inserted = Inserted::of(tools.as_array().into_iter().flatten());
        let schema = json!({ "properties": { "dir": { "default": 3 } } });
        let command = |words: [&str; 3]| words.map(str::to_owned).to_vec();
        let words = inserted
            .words("t", command(["echo", "{dir}", "{dir}"]), &schema)
            .unwrap();
        assert_eq!(words[1], Word::Text("{dir}".to_owned()));
        assert_eq!(
            words[2],
            Word::Parameter {
                name: "dir".to_owned(),
                default: Some(json!(3))
            }
        );
        assert!(
            inserted
                .words("u", command(["echo", "{x}", "{dir}"]), &schema)
                .is_err()
        );
        let declared = Declared::of(&schema);
        assert_eq!(fault(&declared, "$var{x}/{{1}}"), None);
        assert!(fault(&declared, "$var{x}/{dir}").is_some());
        assert_eq!(fault(&declared, "$$var{dir}"), None);
    }
}
