//! The schemas of elements.

use dad_core::{ComponentKind, NodeType, SCHEMA_VERSION};
use serde_json::{Map, Value, json};

use crate::compile::is_refused_when_empty;
use crate::decode::allowed_elements;
use crate::json_schema::opened::{open_args, open_settings};
use crate::json_schema::values::{INCLUDED, VALUE};
use crate::json_schema::values::{def, described, fields};
use crate::node_types::NodeTypes;

/// Adds what may stand in an agent or flow to `$defs`.
pub(super) fn add(inside: ComponentKind, leaves: &Leaves, defs: &mut Map<String, Value>) {
    let keys = allowed_elements(inside);
    for key in keys {
        let element = match *key {
            "node" => leaves.node.clone(),
            "callback" => leaves.callback.clone(),
            "flow" | "subflow" => component(key, ComponentKind::Flow),
            "subagent" => component(key, ComponentKind::Agent),
            key => control(key, inside),
        };
        defs.insert(format!("{inside}.{key}"), element);
    }
    let choices = keys
        .iter()
        .map(|key| json!({ "if": { "required": [key] }, "then": def(&format!("{inside}.{key}")) }));
    let required = keys.iter().map(|key| json!({ "required": [key] }));
    // Named here too, so that an editor can offer them while there is none.
    let properties = keys
        .iter()
        .map(|key| ((*key).to_owned(), json!({ "description": about(key) })));
    let element = json!({
        "description": "One element; the key that says what it is holds its id.",
        "type": "object",
        "anyOf": required.collect::<Vec<_>>(),
        "properties": properties.collect::<Map<_, _>>(),
        "allOf": choices.collect::<Vec<_>>(),
    });
    defs.insert(format!("{inside}.element"), element);
    let elements = json!({ "type": "array", "items": def(&format!("{inside}.element")) });
    defs.insert(format!("{inside}.elements"), elements);
}

fn about(key: &str) -> &'static str {
    match key {
        "node" => "A leaf that does something.",
        "callback" => "A function of the application, as a leaf.",
        "flow" | "subflow" => "A flow.",
        "subagent" => "An agent.",
        "conditional" => "A choice between two branches.",
        "for_each" => "A loop over a list or range.",
        "repeat" => "A loop that ends by a condition.",
        _ => "Elements that may run at the same time and may not refer to each other.",
    }
}

/// An element that refuses unknown keys: its id, what any element may have, and its own keys.
fn element(key: &str, required: &[&str], own: Value) -> Value {
    let id = json!({ key: described("id", about(key)) });
    let properties = [id, own, options()].map(fields);
    let required: Vec<&str> = [key].iter().chain(required).copied().collect();
    json!({
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": properties.into_iter().flatten().collect::<Map<_, _>>(),
    })
}

/// Keys of a whole definition only.
pub(super) fn root_keys(kind: ComponentKind) -> Value {
    json!({
        "schema_version": { "description": "The version of the format.", "const": SCHEMA_VERSION },
        "kind": { "description": "What the file defines.", "const": kind },
        "root_id": described("id", "The id of the root; by default the name of the definition and `_root`."),
        "required": {
            "description": "Variables that must be given from outside, such as with `--var NAME=TEXT`.",
            "type": "array",
            "uniqueItems": true,
            "items": def("variable_name"),
        },
        "budget": budget("What the run may consume."),
        "allow_protected": {
            "description": "Globs, from the project root, of files that steps may change although tools obey them without a \
                            person starting the tool, such as `.github/workflows/**`.",
            "type": "array",
            "items": { "type": "string", "minLength": 1 },
        },
        "approvals": {
            "description": "Rules that decide about steps and calls of tools, or have a person asked. Of those that hold the most \
                            careful one counts: deny, ask, allow.",
            "type": "array",
            "items": approval_rule(),
        },
        "output": described(VALUE, "The run's own result, a template or a value with templates in it."),
        "pre_events": pre_events(),
        "post_events": post_events(),
        "timeout": timeout("The longest time that it may take"),
    })
}

fn budget(about: &str) -> Value {
    json!({
        "description": about,
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "cost": { "description": "US dollars.", "type": "number", "minimum": 0 },
            "tokens": { "description": "Tokens sent and received.", "type": "integer", "minimum": 0 },
            "calls": { "description": "Model calls.", "type": "integer", "minimum": 0 },
            "wall_time": described("duration", "How long it is driven."),
        },
    })
}

fn pre_events() -> Value {
    let about = "Events published before it executes; `node_input_required` asks for the input of a node, \
                 `component_input_required` for that of a component.";
    described("event_names", about)
}

fn post_events() -> Value {
    described("event_names", "Custom events published after it.")
}

fn timeout(about: &str) -> Value {
    json!({
        "description": format!("{about}: seconds, or a number with a unit such as `30m`."),
        "$ref": "#/$defs/duration",
        "exclusiveMinimum": 0,
    })
}

/// Keys of agents and flows at every depth.
pub(super) fn body_keys(kind: ComponentKind) -> Value {
    let elements = format!("{kind}.elements");
    json!({
        "description": { "description": "For people.", "type": "string" },
        "io_description": { "description": "What goes in and comes out, for people.", "type": "string" },
        "variables": def("variables"),
        "elements": described(&elements, "What is executed, in order."),
        "finally": described(&elements, "What is executed at the end, however the elements ended."),
    })
}

/// An agent or flow as an element, written here or in a file of its own.
fn component(key: &str, kind: ComponentKind) -> Value {
    let used = json!({
        "use": {
            "description": "The file that the component stands in, relative to this one.",
            "type": "string",
        },
        "variables": described("variables", "Values of variables of the file, in place of its own."),
    });
    json!({
        "if": { "required": ["use"] },
        "then": element(key, &["use"], used.clone()),
        "else": element(key, &["elements"], body_keys(kind)),
        // Named here too, so that an editor can offer it.
        "properties": { "use": used["use"] },
    })
}

fn control(key: &str, inside: ComponentKind) -> Value {
    let elements = |description| described(&format!("{inside}.elements"), description);
    let description = json!({ "description": "For people.", "type": "string" });
    let count =
        |description, least| json!({ "description": description, "type": "integer", "minimum": least });
    match key {
        "conditional" => {
            let own = json!({
                "description": description,
                "variables": def("variables"),
                "statement": described("condition", "What chooses: a boolean, or a template of one."),
                "true_branch": elements("What is executed if the statement is true."),
                "false_branch": elements("What is executed otherwise."),
            });
            let mut element = element(key, &["statement"], own);
            element["anyOf"] = json!([{ "required": ["true_branch"] }, { "required": ["false_branch"] }]);
            element
        }
        "for_each" => element(
            key,
            &["statement", "body"],
            json!({
                "description": description,
                "variables": def("variables"),
                "statement": {
                    "description": "What is looped over: a list, or a template of a list or `range`.",
                    "anyOf": [{ "type": "string" }, { "type": "array", "items": def(VALUE) }, def(INCLUDED)],
                },
                "item_var": described("variable_name", "The variable that holds the item; `item` by default."),
                "index_var": described("variable_name", "The variable that holds the number; `index` by default."),
                "start_index": {
                    "description": "The number of the first iteration; 0 by default.",
                    "anyOf": [{ "type": "integer" }, { "type": "string" }, def(INCLUDED)],
                },
                "max_iterations": count("How many iterations there may be.", 0),
                "on_limit": {
                    "description": "What more items than that mean.",
                    "enum": ["fail", "truncate"],
                    "default": "fail",
                },
                "max_concurrency": count("How many iterations may run at the same time; 1 by default.", 1),
                "until": {
                    "description": "Ends the loop early, evaluated after every iteration in its scope.",
                    "anyOf": [def("condition"), { "type": "null" }],
                },
                "body": elements("What every iteration executes."),
            }),
        ),
        "repeat" => element(
            key,
            &["until", "max_iterations", "body"],
            json!({
                "description": description,
                "variables": def("variables"),
                "until": described("condition", "Ends the loop, evaluated after every pass in its scope."),
                "index_var": described("variable_name", "The variable that holds the number; `index` by default."),
                "max_iterations": count("How many passes there may be.", 1),
                "on_exhausted": {
                    "description": "What it means if the last pass does not end the loop.",
                    "enum": ["fail", "continue"],
                    "default": "fail",
                },
                "body": elements("What every pass executes."),
            }),
        ),
        _ => element(
            key,
            &["elements"],
            json!({ "description": description, "elements": elements("What is executed.") }),
        ),
    }
}

/// The options that any element may have.
fn options() -> Value {
    json!({
        "pre_events": pre_events(),
        "post_events": post_events(),
        "timeout": timeout("The longest time one attempt may take"),
        "retry": {
            "description": "Whether a failed attempt is repeated.",
            "type": "object",
            "required": ["max_attempts"],
            "additionalProperties": false,
            "properties": {
                "max_attempts": {
                    "description": "All attempts, the first included.",
                    "type": "integer",
                    "minimum": 1,
                    "maximum": u32::MAX,
                },
                "initial_delay": described("duration", "The pause after the first attempt; 1 s by default."),
                "max_delay": described("duration", "The longest pause; 60 s by default."),
                "when": {
                    "description": "Error codes that are worth another attempt; any if empty.",
                    "type": "array",
                    "items": { "type": "string" },
                },
                "repeat_effects": {
                    "description": "Whether steps with effects may be repeated at all.",
                    "type": "boolean",
                },
            },
        },
        "on_error": {
            "description": "What its failure means for the component around it.",
            "enum": ["fail", "continue"],
            "default": "fail",
        },
        "reuse": {
            "description": "Whether a re-run may take its result from the previous run: if nothing it depends on \
                            changed, whatever changed, or never.",
            "enum": ["auto", "always", "never"],
            "default": "auto",
        },
        "requires_approval": {
            "description": "Whether a person must approve it before it executes.",
            "type": "boolean",
            "default": false,
        },
        "budget": budget("What a node may consume, all its attempts together."),
    })
}

/// Elements without elements in them, the same in agents and flows.
pub(super) struct Leaves {
    node: Value,
    callback: Value,
}

impl Leaves {
    /// Adds settings and arguments to `$defs`.
    pub(super) fn new(types: &dyn NodeTypes, defs: &mut Map<String, Value>) -> Self {
        Self {
            node: node(types, defs),
            callback: callback(types, defs),
        }
    }
}

fn node(types: &dyn NodeTypes, defs: &mut Map<String, Value>) -> Value {
    let mut choices = Vec::new();
    for name in types.names() {
        if let Some(info) = types.node_type(&NodeType::new(name)) {
            let settings = open_settings(info, name, defs);
            choices.push(choice("type", name, "settings", &settings, &info.settings_schema));
        }
    }
    let own = json!({
        "type": name_of("The type of the node.", types.names()),
        "settings": { "description": "Settings of the node's type; texts are templates.", "type": "object" },
    });
    with_choices(element("node", &["type"], own), choices)
}

fn callback(types: &dyn NodeTypes, defs: &mut Map<String, Value>) -> Value {
    let mut choices = Vec::new();
    for name in types.callback_names() {
        if let Some(info) = types.callback(name) {
            let args = open_args(&info.args_schema, name, defs);
            choices.push(choice("function", name, "args", &args, &info.args_schema));
        }
    }
    let own = json!({
        "function": name_of("The name that the function is registered under.", types.callback_names()),
        "args": { "description": "What the function is called with; texts are templates.", "type": "object" },
    });
    with_choices(element("callback", &["function"], own), choices)
}

fn with_choices(mut element: Value, choices: Vec<Value>) -> Value {
    // Schemas have no empty lists of schemas.
    if !choices.is_empty() {
        element["allOf"] = choices.into();
    }
    element
}

/// One of the registered names. Where none is registered, any: the application that runs the definition knows more.
fn name_of(description: &str, names: Vec<&str>) -> Value {
    let mut name = json!({ "description": description, "type": "string" });
    if !names.is_empty() {
        name["enum"] = names.into();
    }
    name
}

/// The condition that the value of one key sets for another.
fn choice(key: &str, name: &str, of: &str, schema: &Value, document: &Value) -> Value {
    let required: &[&str] = if is_refused_when_empty(document) {
        &[of]
    } else {
        &[]
    };
    json!({
        "if": { "required": [key], "properties": { key: { "const": name } } },
        "then": { "required": required, "properties": { of: schema } },
    })
}

fn approval_rule() -> Value {
    json!({
        "type": "object",
        "required": ["decision"],
        "additionalProperties": false,
        "anyOf": [{ "required": ["tool"] }, { "required": ["node"] }, { "required": ["element"] }],
        "not": {
            "anyOf": [{ "required": ["tool", "node"] }, { "required": ["arguments", "exactly"] }],
        },
        "properties": {
            "agent": { "description": "The root component of the run.", "type": "string" },
            "element": { "description": "The step or component, as selectors name it.", "type": "string" },
            "node": { "description": "The type of the node.", "type": "string" },
            "tool": { "description": "The name of the tool that a model calls.", "type": "string" },
            "arguments": {
                "description": "A pattern of the rendered settings or of the arguments, with `$any`, `$glob`, `$one_of`, `$each`, \
                                `$some` and `$rest`. An `allow` names all of them.",
                "type": "object",
            },
            "exactly": { "description": "The rendered settings or the arguments themselves." },
            "decision": { "enum": ["allow", "ask", "deny"] },
        },
    })
}
