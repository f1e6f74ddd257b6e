//! A strict check of schemas by the documented rules of the providers.

// By path, because the tests of the whole system include this file by path.
#[path = "checker/anthropic.rs"]
mod anthropic;
#[cfg(test)]
#[path = "checker/examples.rs"]
mod examples;
#[path = "checker/gemini.rs"]
mod gemini;
#[path = "checker/graph.rs"]
mod graph;
#[path = "checker/openai.rs"]
mod openai;

use std::collections::HashSet;

use serde_json::{Map, Value};

use anthropic::*;
use gemini::*;
use openai::*;

/// A provider with rules for schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// OpenAI: `response_format`, `text.format` and the parameters of functions.
    OpenAi,
    /// Anthropic: `output_config.format` and the `input_schema` of tools.
    Anthropic,
    /// Gemini: `responseJsonSchema` and `parametersJsonSchema`.
    Gemini,
}

/// The requests that a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Those that ask the provider to enforce the schema.
    Strict,
    /// Those that do not.
    Lenient,
    /// All.
    Always,
}

/// A documented rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// A name for messages of tests.
    pub id: &'static str,
    /// The provider.
    pub provider: Provider,
    /// The requests that it is for.
    pub when: When,
    /// The document, issue or file that says so.
    pub source: &'static str,
    check: Check,
}

#[derive(Clone, Copy)]
enum Check {
    /// Of each schema within the schema.
    Node(fn(&Node<'_>) -> Option<String>),
    /// Of the whole schema.
    Whole(fn(&Whole<'_>) -> Option<String>),
}

/// A schema within a schema.
struct Node<'a> {
    path: Vec<String>,
    map: &'a Map<String, Value>,
}

/// A schema with all schemas within it.
struct Whole<'a> {
    root: &'a Value,
    nodes: Vec<Node<'a>>,
}

const OPENAI_GUIDE: &str =
    "https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas";
const OPENAI_NODE: &str = "npm openai 6.49.0, lib/transform.js, JSON_SCHEMA_UNSUPPORTED_SCHEMA_KEYWORDS";
const CLAUDE_GUIDE: &str =
    "https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations";
const CLAUDE_PYTHON: &str = "PyPI anthropic 2.14.0, lib/_parse/_transform.py";
const GEMINI_PYTHON: &str = "PyPI google-genai 3.6.1, types.py, GenerateContentConfig.response_json_schema";

const fn rule(id: &'static str, provider: Provider, when: When, source: &'static str, check: Check) -> Rule {
    Rule {
        id,
        provider,
        when,
        source,
        check,
    }
}

/// All rules.
pub const RULES: &[Rule] = &[
    rule(
        "openai-root",
        Provider::OpenAi,
        When::Always,
        "chatanywhere/GPT_API_free#403",
        Check::Whole(root_is_object),
    ),
    rule(
        "openai-root-composition",
        Provider::OpenAi,
        When::Always,
        "langchain-ai/langchainjs#9804, nspady/google-calendar-mcp#39",
        Check::Whole(openai_root_composition),
    ),
    rule(
        "openai-array-items",
        Provider::OpenAi,
        When::Always,
        "streamnative/streamnative-mcp-server#26, sigoden/aichat#1049",
        Check::Node(openai_items),
    ),
    rule(
        "openai-lookaround",
        Provider::OpenAi,
        When::Always,
        "vercel/ai#21037, nicobailon/pi-interactive-shell#69, pydantic/pydantic-ai#5508",
        Check::Node(openai_lookaround),
    ),
    rule(
        "openai-keywords",
        Provider::OpenAi,
        When::Strict,
        OPENAI_NODE,
        Check::Node(openai_keywords),
    ),
    rule(
        "openai-one-of",
        Provider::OpenAi,
        When::Strict,
        "openai/openai-node#1625, livekit/agents#5302",
        Check::Node(openai_one_of),
    ),
    rule(
        "openai-ref-siblings",
        Provider::OpenAi,
        When::Strict,
        "vectorize-io/hindsight#3944",
        Check::Node(openai_siblings),
    ),
    rule(
        "openai-closed",
        Provider::OpenAi,
        When::Strict,
        OPENAI_GUIDE,
        Check::Node(openai_closed),
    ),
    rule(
        "openai-required",
        Provider::OpenAi,
        When::Strict,
        OPENAI_GUIDE,
        Check::Node(openai_required),
    ),
    rule(
        "openai-type",
        Provider::OpenAi,
        When::Strict,
        OPENAI_GUIDE,
        Check::Node(openai_type),
    ),
    rule(
        "openai-format",
        Provider::OpenAi,
        When::Strict,
        "can1357/oh-my-pi#206 and the guide",
        Check::Node(openai_format),
    ),
    rule(
        "openai-enum",
        Provider::OpenAi,
        When::Strict,
        OPENAI_GUIDE,
        Check::Node(primitive_enum),
    ),
    rule(
        "openai-first-keys",
        Provider::OpenAi,
        When::Strict,
        "https://community.openai.com/t/complex-json-schema-in-structured-outputs-breaks-an-assistant/1142179",
        Check::Whole(openai_first_keys),
    ),
    rule(
        "openai-limits",
        Provider::OpenAi,
        When::Strict,
        OPENAI_GUIDE,
        Check::Whole(openai_limits),
    ),
    rule(
        "openai-references",
        Provider::OpenAi,
        When::Strict,
        OPENAI_GUIDE,
        Check::Whole(references_exist),
    ),
    rule(
        "anthropic-root",
        Provider::Anthropic,
        When::Lenient,
        "anthropics/claude-code#40075, windoze95/cantinarr#497",
        Check::Whole(anthropic_root),
    ),
    rule(
        "anthropic-keywords",
        Provider::Anthropic,
        When::Strict,
        "req_llm#302, laravel/ai#715, litellm#20813, and the guide",
        Check::Node(anthropic_keywords),
    ),
    rule(
        "anthropic-closed",
        Provider::Anthropic,
        When::Strict,
        CLAUDE_GUIDE,
        Check::Node(anthropic_closed),
    ),
    rule(
        "anthropic-min-items",
        Provider::Anthropic,
        When::Strict,
        CLAUDE_GUIDE,
        Check::Node(anthropic_min_items),
    ),
    rule(
        "anthropic-format",
        Provider::Anthropic,
        When::Strict,
        CLAUDE_PYTHON,
        Check::Node(anthropic_format),
    ),
    rule(
        "anthropic-enum",
        Provider::Anthropic,
        When::Strict,
        CLAUDE_GUIDE,
        Check::Node(primitive_enum),
    ),
    rule(
        "anthropic-type",
        Provider::Anthropic,
        When::Strict,
        CLAUDE_PYTHON,
        Check::Node(anthropic_type),
    ),
    rule(
        "anthropic-references",
        Provider::Anthropic,
        When::Strict,
        CLAUDE_GUIDE,
        Check::Whole(references_exist),
    ),
    rule(
        "anthropic-recursion",
        Provider::Anthropic,
        When::Strict,
        CLAUDE_GUIDE,
        Check::Whole(anthropic_recursion),
    ),
    rule(
        "anthropic-choices",
        Provider::Anthropic,
        When::Strict,
        "vercel/ai#17268, and the guide's Schema complexity limits",
        Check::Whole(anthropic_choices),
    ),
    rule(
        "gemini-keywords",
        Provider::Gemini,
        When::Always,
        GEMINI_PYTHON,
        Check::Node(gemini_keywords),
    ),
    rule(
        "gemini-ref-siblings",
        Provider::Gemini,
        When::Always,
        GEMINI_PYTHON,
        Check::Node(gemini_siblings),
    ),
    rule(
        "gemini-enum",
        Provider::Gemini,
        When::Always,
        GEMINI_PYTHON,
        Check::Node(gemini_enum),
    ),
    rule(
        "gemini-references",
        Provider::Gemini,
        When::Always,
        GEMINI_PYTHON,
        Check::Whole(references_exist),
    ),
    rule(
        "gemini-recursion",
        Provider::Gemini,
        When::Strict,
        GEMINI_PYTHON,
        Check::Whole(gemini_recursion),
    ),
];

/// Checks a schema by the rules of a provider; `strict` says whether the request asks the provider to enforce it.
///
/// # Errors
/// With a message in the style of the provider, without the beginning that names the place in the request.
pub fn check_schema(provider: Provider, schema: &Value, strict: bool) -> Result<(), String> {
    let whole = Whole {
        root: schema,
        nodes: nodes(schema)?,
    };
    let other = if strict { When::Lenient } else { When::Strict };
    for rule in RULES {
        if rule.provider != provider || rule.when == other {
            continue;
        }
        let problem = match rule.check {
            Check::Node(check) => whole.nodes.iter().find_map(check),
            Check::Whole(check) => check(&whole),
        };
        if let Some(problem) = problem {
            return Err(problem);
        }
    }
    Ok(())
}

const NAMED: &[&str] = &[
    "$defs",
    "definitions",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
const LISTED: &[&str] = &["allOf", "anyOf", "oneOf", "prefixItems"];
const SINGLE: &[&str] = &[
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// The schemas within a schema, itself first.
fn nodes(schema: &Value) -> Result<Vec<Node<'_>>, String> {
    let mut found = Vec::new();
    let mut next = vec![(Vec::new(), schema)];
    while let Some((path, schema)) = next.pop() {
        let map = match schema {
            Value::Object(map) => map,
            Value::Bool(_) => continue,
            other => return Err(format!("In context={}, {other} is not a schema.", context(&path))),
        };
        let mut push = |keys: Vec<String>, schema| {
            let path: Vec<String> = path.iter().cloned().chain(keys).collect();
            next.push((path, schema));
        };
        for key in NAMED {
            for (name, schema) in map.get(*key).and_then(Value::as_object).into_iter().flatten() {
                push(vec![(*key).to_owned(), name.clone()], schema);
            }
        }
        for key in LISTED {
            let schemas = map.get(*key).and_then(Value::as_array);
            for (index, schema) in schemas.into_iter().flatten().enumerate() {
                push(vec![(*key).to_owned(), index.to_string()], schema);
            }
        }
        for key in SINGLE {
            if let Some(schema) = map.get(*key) {
                push(vec![(*key).to_owned()], schema);
            }
        }
        found.push(Node { path, map });
    }
    Ok(found)
}

fn context(path: &[String]) -> String {
    let quoted: Vec<String> = path.iter().map(|key| format!("'{key}'")).collect();
    match quoted.as_slice() {
        [only] => format!("({only},)"),
        many => format!("({})", many.join(", ")),
    }
}

impl Node<'_> {
    fn says(&self, message: &str) -> Option<String> {
        Some(format!("In context={}, {message}", context(&self.path)))
    }

    fn kinds(&self) -> Vec<&str> {
        match self.map.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    fn is(&self, kind: &str) -> bool {
        self.kinds().contains(&kind)
    }

    fn unknown<'k>(&'k self, known: &[&str]) -> Option<&'k String> {
        self.map.keys().find(|key| !known.contains(&key.as_str()))
    }

    fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.map
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    fn required(&self) -> HashSet<&str> {
        let names = self.map.get("required").and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

fn root_is_object(whole: &Whole<'_>) -> Option<String> {
    let kind = whole
        .root
        .get("type")
        .map_or("\"None\"".to_owned(), Value::to_string);
    (kind != "\"object\"")
        .then(|| format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: {kind}'."))
}

fn primitive_enum(node: &Node<'_>) -> Option<String> {
    let Value::Array(values) = node.map.get("enum")? else {
        return node.says("'enum' must be an array.");
    };
    if values.is_empty() {
        return node.says("enum must not be empty.");
    }
    let is_complex = values.iter().any(|value| value.is_object() || value.is_array());
    is_complex.then(|| node.says("enum values must be strings, numbers, booleans or null."))?
}

fn target<'a>(whole: &Whole<'a>, reference: &str) -> Option<&'a Value> {
    whole.root.pointer(reference.strip_prefix('#')?)
}

fn references_exist(whole: &Whole<'_>) -> Option<String> {
    whole.nodes.iter().find_map(|node| {
        let reference = node.map.get("$ref")?.as_str().unwrap_or_default();
        target(whole, reference).is_none().then(|| {
            node.says(&format!(
                "reference to component '{reference}' which was not found in the schema."
            ))
        })?
    })
}
