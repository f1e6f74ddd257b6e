//! The commands that answer the questions of a run, ready to paste.

use dad_core::NodeType;
use dad_run::{OpenQuestion, Question, QuestionKind, RunView};
use dad_terminal::internal::count;
use serde_json::{Map, Value, json};

/// The length from which an offered value is left out of a command: an answer keeps what it leaves out.
const MAX_VALUE: usize = 60;

/// Stands where the user writes a value.
const PLACEHOLDER: &str = "…";

/// The most lines of a preview that stand with the question.
const PREVIEW_LINES: usize = 4;

/// An open question in words: what asks, and for an approval the beginning of what it would do.
pub(crate) fn asked(view: &RunView, open: &OpenQuestion) -> String {
    let path = open.path.to_string();
    let Some(question) = view
        .question(&open.id)
        .ok()
        .filter(|question| !question.preview.is_empty())
    else {
        return path;
    };
    let mut lines = question.preview.lines();
    let shown: Vec<&str> = std::iter::once(&*path)
        .chain(lines.by_ref().take(PREVIEW_LINES))
        .collect();
    match lines.count() {
        0 => shown.join("\n"),
        more => format!("{}\n… {}", shown.join("\n"), count(more as u64, "more line")),
    }
}

/// The words of the command that answers an open question, behind the name of the program. It names the step if several ask.
/// An answer has the shape that the question wants, with the values that it offers.
pub(crate) fn command(view: &RunView, open: &OpenQuestion) -> Vec<String> {
    let mut words = vec!["answer".to_owned(), view.name().into_owned()];
    if view.open_questions().nth(1).is_some() {
        words.push(open.path.to_string());
    }
    if open.kind == QuestionKind::Approval {
        words.push("--approve".to_owned());
    } else if let Ok(question) = view.question(&open.id) {
        words.extend(["--input".to_owned(), example(&question).to_string()]);
    }
    words
}

/// An answer of the shape that a question wants.
fn example(question: &Question) -> Value {
    if let Some(previous) = &question.previous_input {
        return previous.clone();
    }
    match &question.node_type {
        None => json!({ "variables": offered(&question.settings, Clone::clone) }),
        Some(node_type) if *node_type == NodeType::AI_MODEL_CALL => {
            let declared = question.settings.pointer("/prompt/variables");
            let variables = declared.map(|declared| offered(declared, prompt_variable));
            match variables.filter(|variables| !variables.is_empty()) {
                Some(variables) => json!({ "prompt_variables": variables }),
                None => json!({}),
            }
        }
        Some(_) => required(&question.schema),
    }
}

/// The values that variables are offered with. A template is left out, for an answer is data.
fn offered(declared: &Value, value_of: impl Fn(&Value) -> Value) -> Map<String, Value> {
    let declared = declared.as_object().into_iter().flatten();
    declared
        .map(|(name, declared)| (name.clone(), value_of(declared)))
        .filter_map(|(name, value)| {
            let value = if value.is_null() {
                json!(PLACEHOLDER)
            } else {
                value
            };
            let text = value.to_string();
            (text.len() <= MAX_VALUE && !text.contains('$')).then_some((name, value))
        })
        .collect()
}

/// The value of a prompt's variable: its default, or the first that is allowed.
fn prompt_variable(declared: &Value) -> Value {
    let value = declared.get("default").or_else(|| declared["allowed"].get(0));
    value.cloned().unwrap_or_default()
}

/// An object with the fields that a schema requires, each with the simplest value of its type.
fn required(schema: &Value) -> Value {
    let names = schema["required"].as_array().into_iter().flatten();
    let fields = names.filter_map(|name| {
        let name = name.as_str()?;
        Some((name.to_owned(), simplest(&schema["properties"][name])))
    });
    Value::Object(fields.collect())
}

fn simplest(schema: &Value) -> Value {
    if let Some(value) = schema.get("default").or_else(|| schema["enum"].get(0)) {
        return value.clone();
    }
    match schema["type"].as_str() {
        Some("boolean") => json!(true),
        Some("integer" | "number") => json!(0),
        Some("array") => json!([]),
        Some("object") => required(schema),
        _ => json!(PLACEHOLDER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_offered_with_the_values_they_would_have() {
        let plain =
            json!({ "n": 3, "to": null, "greeting": "Hello $var{to}", "long": "x".repeat(MAX_VALUE) });
        assert_eq!(
            Value::Object(offered(&plain, Clone::clone)),
            json!({ "n": 3, "to": "…" })
        );
        let declared =
            json!({ "tone": { "allowed": ["calm", "loud"] }, "count": { "default": 3 }, "free": {} });
        assert_eq!(
            Value::Object(offered(&declared, prompt_variable)),
            json!({ "tone": "calm", "count": 3, "free": "…" })
        );
    }

    #[test]
    fn an_input_has_the_fields_that_its_schema_requires() {
        let schema = json!({
            "required": ["city", "days", "guests"],
            "properties": {
                "city": { "type": "string" },
                "days": { "type": "integer", "default": 2 },
                "guests": { "type": "object", "required": ["adults"], "properties": { "adults": { "type": "integer" } } },
                "note": { "type": "string" },
            },
        });
        assert_eq!(
            required(&schema),
            json!({ "city": "…", "days": 2, "guests": { "adults": 0 } })
        );
    }
}
