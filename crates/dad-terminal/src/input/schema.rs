//! Asks for the input of a node that this crate does not know, by its JSON Schema.

use serde_json::{Map, Value};

use super::asker::Asker;
use super::form::{json, text_of};
use crate::conversation::{Conversation, YesNo};
use crate::error::TerminalError;

/// The input that every node takes beside its own.
const OVERRIDE: &str = "settings_override";

pub(crate) async fn ask(asker: &mut Asker<'_>) -> Result<Value, TerminalError> {
    let question = asker.question;
    let before = question.previous_input.as_ref();
    let conversation = asker.conversation().await?;
    let fields = question.schema.as_ref().and_then(Fields::of);
    let Some(fields) = fields else {
        let default = before.map(Value::to_string);
        return conversation
            .parsed("input, as JSON: ", default.as_deref(), json)
            .await;
    };
    let mut input = Map::new();
    for field in &fields.0 {
        let before = before.and_then(|input| input.get(&field.name));
        if let Some(value) = ask_field(conversation, field, before).await? {
            input.insert(field.name.clone(), value);
        }
    }
    let object = |typed: &str| match json(typed)? {
        Value::Object(fields) => Ok(Value::Object(fields)),
        _ => Err("type a JSON object, such as {\"timeout\": 5}".to_owned()),
    };
    let prompt = format!("{OVERRIDE}, as JSON (empty for none): ");
    if let Some(patch) = conversation.optional(&prompt, object).await? {
        input.insert(OVERRIDE.to_owned(), patch);
    }
    Ok(Value::Object(input))
}

/// The fields of an input.
#[derive(Debug, PartialEq)]
struct Fields(Vec<Field>);

#[derive(Debug, PartialEq)]
struct Field {
    name: String,
    is_required: bool,
    description: Option<String>,
    default: Option<Value>,
    kind: Kind,
}

/// The question for a field.
#[derive(Debug, PartialEq)]
enum Kind {
    Text,
    Number {
        is_whole: bool,
        low: Option<f64>,
        high: Option<f64>,
    },
    YesNo,
    OneOf(Vec<Value>),
    Json,
}

impl Fields {
    /// `None` if the schema is not that of an object whose fields it names. The schema of no input has no fields.
    fn of(schema: &Value) -> Option<Self> {
        if schema.get("type") == Some(&"null".into()) {
            return Some(Self(Vec::new()));
        }
        let properties = schema.get("properties")?.as_object()?;
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|n| n == name));
        let fields = properties.iter().filter(|(name, _)| *name != OVERRIDE);
        let field = |(name, of): (&String, &Value)| {
            let (of, is_nullable) = resolved(schema, of);
            Field {
                name: name.clone(),
                is_required: is_required(name) && !is_nullable,
                description: properties[name]
                    .get("description")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
                default: properties[name]
                    .get("default")
                    .filter(|value| !value.is_null())
                    .cloned(),
                kind: Kind::of(of),
            }
        };
        Some(Self(fields.map(field).collect()))
    }
}

/// A schema behind its references, and whether null is allowed beside it.
fn resolved<'a>(root: &'a Value, mut of: &'a Value) -> (&'a Value, bool) {
    let mut is_nullable = has_type(of, "null");
    // More steps than a schema has that was made for a type of its own.
    for _ in 0..16 {
        let alternatives = of.get("anyOf").and_then(Value::as_array);
        let target = of.get("$ref").and_then(Value::as_str);
        if let Some(target) = target.and_then(|target| root.pointer(target.strip_prefix('#')?)) {
            of = target;
        } else if let Some([a, b]) = alternatives.map(Vec::as_slice) {
            match (has_type(a, "null"), has_type(b, "null")) {
                (true, false) => of = b,
                (false, true) => of = a,
                _ => break,
            }
            is_nullable = true;
        } else {
            break;
        }
    }
    (of, is_nullable)
}

fn has_type(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|of| of == name),
        of => of == Some(&name.into()),
    }
}

impl Kind {
    fn of(schema: &Value) -> Self {
        if let Some(values) = one_of(schema) {
            return Self::OneOf(values);
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let number = |is_whole| Self::Number {
            is_whole,
            low: bound("minimum"),
            high: bound("maximum"),
        };
        let types = ["string", "boolean", "integer", "number"];
        let has: Vec<&str> = types.into_iter().filter(|name| has_type(schema, name)).collect();
        match has.as_slice() {
            ["string"] => Self::Text,
            ["boolean"] => Self::YesNo,
            ["integer"] => number(true),
            ["number"] => number(false),
            _ => Self::Json,
        }
    }

    fn read(&self, typed: &str) -> Result<Value, String> {
        match self {
            Self::Text => Ok(typed.into()),
            Self::Number { is_whole, low, high } => number(typed.trim(), *is_whole, *low, *high),
            _ => json(typed),
        }
    }
}

/// The values that are allowed, if the schema lists them.
fn one_of(schema: &Value) -> Option<Vec<Value>> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.iter().filter(|value| !value.is_null()).cloned().collect());
    }
    let alternatives = schema.get("oneOf")?.as_array()?;
    alternatives.iter().map(|of| of.get("const").cloned()).collect()
}

fn number(typed: &str, is_whole: bool, low: Option<f64>, high: Option<f64>) -> Result<Value, String> {
    let bounds = match (low, high) {
        (Some(low), Some(high)) => format!(" from {low} to {high}"),
        (Some(low), None) => format!(" from {low}"),
        (None, Some(high)) => format!(" up to {high}"),
        (None, None) => String::new(),
    };
    let expected = format!("type a {}number{bounds}", if is_whole { "whole " } else { "" });
    let value: Value = serde_json::from_str(typed).map_err(|_| expected.clone())?;
    let fits_kind = value.is_i64() || value.is_u64() || (!is_whole && value.is_f64());
    let fits_bounds = value
        .as_f64()
        .is_some_and(|number| low.is_none_or(|low| number >= low) && high.is_none_or(|high| number <= high));
    if fits_kind && fits_bounds {
        Ok(value)
    } else {
        Err(expected)
    }
}

/// Asks for a field; `None` if it is left out.
async fn ask_field(
    conversation: &Conversation,
    field: &Field,
    before: Option<&Value>,
) -> Result<Option<Value>, TerminalError> {
    if let Some(description) = &field.description {
        conversation.tell(description);
    }
    let offered = before.or(field.default.as_ref());
    let name = &field.name;
    match &field.kind {
        Kind::YesNo if field.is_required || offered.is_some() => {
            let default = match offered {
                Some(Value::Bool(true)) => YesNo::Yes,
                _ => YesNo::No,
            };
            Ok(Some(
                conversation.yes_no(&format!("{name}?"), default).await?.into(),
            ))
        }
        Kind::YesNo => ask_one_of(conversation, field, &[true.into(), false.into()], offered).await,
        Kind::OneOf(values) => ask_one_of(conversation, field, values, offered).await,
        kind => {
            let kind_of = match kind {
                Kind::Json => ", as JSON",
                _ => "",
            };
            let read = reader(kind);
            if field.is_required || offered.is_some() {
                let offered = offered.map(text_of);
                let prompt = format!("{name}{kind_of}: ");
                return conversation
                    .parsed(&prompt, offered.as_deref(), read)
                    .await
                    .map(Some);
            }
            conversation
                .optional(&format!("{name}{kind_of} (empty for none): "), read)
                .await
        }
    }
}

fn reader(kind: &Kind) -> impl Fn(&str) -> Result<Value, String> + Send + use<> {
    let kind = match kind {
        Kind::Text => Kind::Text,
        Kind::Number { is_whole, low, high } => Kind::Number {
            is_whole: *is_whole,
            low: *low,
            high: *high,
        },
        _ => Kind::Json,
    };
    move |typed: &str| kind.read(typed)
}

async fn ask_one_of(
    conversation: &Conversation,
    field: &Field,
    values: &[Value],
    offered: Option<&Value>,
) -> Result<Option<Value>, TerminalError> {
    let mut labels: Vec<String> = values.iter().map(text_of).collect();
    if !field.is_required {
        labels.push("leave it out".to_owned());
    }
    let at = values.iter().position(|value| Some(value) == offered);
    let at = at.unwrap_or(if field.is_required { 0 } else { values.len() });
    let chosen = conversation
        .choice(&format!("{}?", field.name), &labels, at)
        .await?;
    Ok(values.get(chosen).cloned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_read_from_a_schema() {
        let schema = json!({
            "type": "object",
            "required": ["name", "colour", "maybe"],
            "properties": {
                "name": { "type": "string", "description": "Who it is for." },
                "count": { "type": ["integer", "null"], "minimum": 1, "maximum": 9, "default": 3 },
                "loud": { "type": "boolean" },
                "colour": { "$ref": "#/$defs/Colour" },
                "maybe": { "anyOf": [{ "$ref": "#/$defs/Size" }, { "type": "null" }], "default": null },
                "tags": { "type": "array", "items": { "type": "string" } },
                "settings_override": {},
            },
            "$defs": {
                "Colour": { "type": "string", "enum": ["red", "green"] },
                "Size": { "oneOf": [{ "const": "small", "description": "Small." }, { "const": "large" }] },
            },
        });
        let shown: Vec<String> = Fields::of(&schema)
            .unwrap()
            .0
            .iter()
            .map(|field| {
                let required = if field.is_required { " required" } else { "" };
                let default = field
                    .default
                    .as_ref()
                    .map(|value| format!(" [{value}]"))
                    .unwrap_or_default();
                format!("{}{required}{default}: {:?}", field.name, field.kind)
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        name required: Text
        count [3]: Number { is_whole: true, low: Some(1.0), high: Some(9.0) }
        loud: YesNo
        colour required: OneOf([String("red"), String("green")])
        maybe: OneOf([String("small"), String("large")])
        tags: Json
        "#);
        assert_eq!(Fields::of(&json!({ "type": "null" })), Some(Fields(Vec::new())));
        assert_eq!(Fields::of(&json!(true)), None);
        assert_eq!(
            Fields::of(&json!({ "$ref": "#/a", "a": { "$ref": "#/a" } })),
            None
        );
    }

    #[test]
    fn numbers_keep_their_bounds() {
        assert_eq!(number("3", true, Some(1.0), Some(9.0)), Ok(json!(3)));
        assert_eq!(
            number("10", true, Some(1.0), Some(9.0)),
            Err("type a whole number from 1 to 9".to_owned())
        );
        assert_eq!(
            number("1.5", true, None, None),
            Err("type a whole number".to_owned())
        );
        assert_eq!(number("1.5", false, Some(0.0), None), Ok(json!(1.5)));
        assert_eq!(
            number("one", false, None, Some(2.0)),
            Err("type a number up to 2".to_owned())
        );
    }
}
