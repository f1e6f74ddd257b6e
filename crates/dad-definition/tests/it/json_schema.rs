//! The JSON Schema of definitions, against what the loader and the compiler say.

use dad_core::{DefinitionKind, NodeDefinition, NodeType};
use dad_definition::{
    CallbackInfo, NodeTypeInfo, NodeTypes, Problems, compile, definition_schema, load_data, load_file,
    load_str,
};
use jsonschema::Validator;
use proptest::prelude::*;
use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::loading::{AUTOCODER, id};
use crate::registry::Registry;
use crate::round_trip::{definition, object, text};

/// The registered types, one that takes any settings, one that is made of parts, and two functions.
struct Types {
    registry: Registry,
    free: NodeTypeInfo,
    composed: NodeTypeInfo,
    notify: CallbackInfo,
    count: CallbackInfo,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Count {
    /// The number of times.
    times: u32,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Composed {
    number: Option<u32>,
    /// Another of its kind.
    inner: Option<Box<Self>>,
    #[schemars(flatten)]
    more: More,
}

/// One of two, distinguished by a tag.
#[derive(JsonSchema)]
#[schemars(tag = "mode", rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum More {
    /// A file.
    One {
        path: String,
    },
    Two {
        text: String,
        pair: (u8, String),
    },
}

impl Types {
    fn new() -> Self {
        Self {
            registry: Registry::new(),
            free: NodeTypeInfo::any(1),
            composed: {
                let mut node_type_info = NodeTypeInfo::any(1);
                node_type_info.settings_schema = schemars::schema_for!(Composed).to_value();
                node_type_info
            },
            notify: CallbackInfo::new(true.into()),
            count: CallbackInfo::new(schemars::schema_for!(Count).to_value()),
        }
    }
}

impl NodeTypes for Types {
    fn names(&self) -> Vec<&str> {
        let mut names = self.registry.names();
        names.extend(["free", "my/composed ~ type"]);
        names
    }

    fn node_type(&self, node_type: &NodeType) -> Option<&NodeTypeInfo> {
        match node_type.as_str() {
            "free" => Some(&self.free),
            "my/composed ~ type" => Some(&self.composed),
            _ => self.registry.node_type(node_type),
        }
    }

    fn callback_names(&self) -> Vec<&str> {
        vec!["count", "notify"]
    }

    fn callback(&self, function: &str) -> Option<&CallbackInfo> {
        match function {
            "count" => Some(&self.count),
            "notify" => Some(&self.notify),
            _ => None,
        }
    }
}

/// The schemas of agents and flows, ready to be used.
struct Schemas {
    types: Types,
    agent: Validator,
    flow: Validator,
}

impl Schemas {
    fn new() -> Self {
        let types = Types::new();
        let validator = |kind| {
            let schema = definition_schema(kind, &types);
            jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
            jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{error}"))
        };
        let [agent, flow] = [DefinitionKind::Agent, DefinitionKind::Flow].map(validator);
        Self { types, agent, flow }
    }

    /// The verdict of the schema of its kind on a definition; of an unknown kind that of flows.
    fn problems(&self, definition: &Value) -> Vec<String> {
        let schema = match definition["kind"].as_str() {
            Some("agent") => &self.agent,
            _ => &self.flow,
        };
        schema
            .iter_errors(definition)
            .map(|error| format!("`{}`: {error}", error.instance_path()))
            .collect()
    }

    /// The verdict of loader and compiler on a definition written as JSON.
    fn compiled(&self, definition: &Value) -> Result<(), Problems> {
        let loaded = load_str(&definition.to_string(), "x.json", None, None)?;
        compile(&loaded.definition, &id("root"), &self.types, Some(&loaded.spans)).map(drop)
    }

    #[track_caller]
    fn accept(&self, definition: &Value) {
        let reported = self.compiled(definition);
        assert!(reported.is_ok(), "{definition:#}: {}", reported.unwrap_err());
        let problems = self.problems(definition);
        assert!(problems.is_empty(), "{definition:#}: {}", problems.join("\n"));
    }

    #[track_caller]
    fn refuse(&self, definition: &Value) {
        assert!(self.compiled(definition).is_err(), "{definition:#} is compiled");
        assert!(!self.problems(definition).is_empty(), "{definition:#} is valid");
    }
}

/// YAML as plain data, by the rules of definitions.
fn data(yaml: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    crate::includes::write(dir.path(), "x.yaml", yaml);
    load_data(&dir.path().join("x.yaml")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn flow(elements: &str) -> Value {
    data(&format!(
        "schema_version: 1\nkind: flow\nrequired: [a]\nelements: [{elements}]\n"
    ))
}

fn agent(elements: &str) -> Value {
    data(&format!(
        "schema_version: 1\nkind: agent\nrequired: [a]\nelements: [{elements}]\n"
    ))
}

fn node(node_type: &str, settings: &str) -> Value {
    flow(&format!("{{ node: n, type: {node_type}, settings: {settings} }}"))
}

#[test]
fn a_real_definition_is_valid() {
    let schemas = Schemas::new();
    schemas.accept(&data(AUTOCODER));
    schemas.accept(&data(crate::building::EVERYTHING));
}

#[test]
fn templates_may_stand_in_the_place_of_any_value() {
    let schemas = Schemas::new();
    for settings in [
        "{ commands: '$expr{a}' }",
        "{ commands: ['$expr{a}', [x, 'y $expr{a}'], x], timeout: '$expr{a}', fail_fast: '$var{a}' }",
        "{ commands: [], env_vars: '$expr{a}', sleep_before: 1.5, sleep_after: '$expr{a}' }",
        "{ commands: [], working_dir: null, record_settings: { outcome: { file_format: text } } }",
    ] {
        schemas.accept(&node("command", settings));
    }
    schemas.accept(&node(
        "folder_analyzer",
        "{ operations: ['$expr{a}', { operation_type: 'find_$var{a}', max_depth: '$expr{a}' }] }",
    ));
    schemas.accept(&node(
        "file_operation",
        "{ operations: [{ type: create_file, path: '$var{a}', content: x }] }",
    ));
    for settings in [
        "{ mode: one, path: x, number: '$expr{a}', sleep_before: 1 }",
        "{ mode: two, text: x, pair: [1, x], inner: { mode: one, path: x } }",
        "{ mode: two, text: x, pair: ['$expr{a}', x], inner: '$expr{a}' }",
    ] {
        schemas.accept(&node("'my/composed ~ type'", settings));
    }
    schemas.accept(&node("free", "{ anything: [1, { x: y }], sleep_after: 0 }"));
    schemas.accept(&flow("{ node: n, type: free }"));
    schemas.accept(&flow(
        "{ callback: c, function: count, args: { times: '$expr{a}' } }",
    ));
}

#[test]
fn files_may_stand_in_the_place_of_any_value() {
    let schemas = Schemas::new();
    let dir = tempfile::tempdir().unwrap();
    crate::includes::write(dir.path(), "text.md", "a text");
    crate::includes::write(dir.path(), "list.json", "[[\"a\"]]");
    crate::includes::write(dir.path(), "object.json", "{ \"commands\": [] }");
    crate::includes::write(
        dir.path(),
        "inner.yaml",
        "schema_version: 1\nkind: flow\nvariables: { x: 1 }\nelements: []\n",
    );
    let yaml = "
schema_version: 1
kind: flow
variables: { list: [{ $json: list.json }], text: { $file: text.md } }
output: { $file: text.md }
elements:
  - { node: a, type: command, settings: { commands: { $json: list.json }, working_dir: { $file: text.md } } }
  - { node: b, type: command, settings: { $json: object.json } }
  - { for_each: c, statement: { $json: list.json }, body: [] }
  - { subflow: d, use: inner.yaml, variables: { x: { $json: list.json } }, on_error: continue }
";
    crate::includes::write(dir.path(), "flow.yaml", yaml);
    let loaded =
        load_file(&dir.path().join("flow.yaml"), None).unwrap_or_else(|problems| panic!("{problems}"));
    compile(&loaded.definition, &id("root"), &schemas.types, None).unwrap();
    let problems = schemas.problems(&data(yaml));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn what_is_wrong_is_refused_by_schema_and_loader() {
    let schemas = Schemas::new();
    let body = |rest: &str| data(&format!("schema_version: 1\nkind: flow\n{rest}"));
    for definition in [
        json!([]),
        data("kind: flow\nelements: []"),
        data("schema_version: 2\nkind: flow\nelements: []"),
        data("schema_version: 1\nkind: flows\nelements: []"),
        body("variables: {}"),
        body("elements: {}"),
        body("elements: []\nelemets: []"),
        body("elements: []\ntimeout: 0"),
        body("elements: []\nreuse: never"),
        body("elements: []\npre_events: [a b]"),
        body("elements: []\nroot_id: a/b"),
        body("elements: []\nroot_id: iter_1"),
        body("elements: []\nrequired: [run_id]"),
        body("elements: []\nrequired: [a, a]"),
        body("elements: []\nbudget: { cost: -1 }"),
        body("elements: []\nbudget: { dollars: 1 }"),
        body("elements: []\nallow_protected: .envrc"),
        body("elements: []\nallow_protected: ['']"),
        body("elements: []\nvariables: [a]"),
        body("elements: []\nvariables: { 1a: 1 }"),
        body("elements: []\nvariables: { a: { $file: 1 } }"),
        body("elements: []\noutput: { $file: x, $json: y }"),
        body("elements: []\ndescription: 1"),
    ] {
        schemas.refuse(&definition);
    }
}

#[test]
fn wrong_elements_are_refused_by_schema_and_loader() {
    let schemas = Schemas::new();
    let command = "{ node: n, type: command, settings: { commands: [] } }";
    schemas.accept(&flow(command));
    for elements in [
        "{ flow: f, elements: [] }",
        "{ subagent: a, elements: [] }",
        "{ type: command }",
        "{ node: n }",
        "{ node: n, subflow: s, type: command, elements: [], settings: { commands: [] } }",
        "{ node: n, type: comand, settings: { commands: [] } }",
        "{ node: n, type: command, setting: { commands: [] } }",
        "{ node: n, type: command, settings: '$expr{a}' }",
        "{ node: n, type: command, settings: { $file: x } }",
        "{ node: n, type: command, variables: {}, settings: { commands: [] } }",
        "{ node: last, type: free }",
        "{ node: n, type: free, pre_events: [a b] }",
        "{ node: n, type: free, timeout: 0 }",
        "{ node: n, type: free, timeout: soon }",
        "{ node: n, type: free, retry: {} }",
        "{ node: n, type: free, retry: { max_attempts: 0 } }",
        "{ node: n, type: free, retry: { max_attempts: 1, delay: 3 } }",
        "{ node: n, type: free, on_error: ignore }",
        "{ node: n, type: free, reuse: true }",
        "{ node: n, type: free, requires_approval: '$expr{a}' }",
        "{ subflow: s }",
        "{ subflow: s, elements: [{ flow: f, elements: [] }] }",
        "{ subflow: s, elements: [], required: [a] }",
        "{ subflow: s, use: x.yaml, elements: [] }",
        "{ conditional: c, statement: true }",
        "{ conditional: c, true_branch: [] }",
        "{ conditional: c, statement: yes it is, true_branch: [] }",
        "{ conditional: c, statement: 1, true_branch: [] }",
        "{ for_each: f, body: [] }",
        "{ for_each: f, statement: 3, body: [] }",
        "{ for_each: f, statement: [], body: [], max_concurrency: 0 }",
        "{ for_each: f, statement: [], body: [], start_index: 1.5 }",
        "{ for_each: f, statement: [], body: [], item_var: in }",
        "{ for_each: f, statement: [], body: [], on_limit: stop }",
        "{ for_each: f, statement: [], body: [{ flow: x, elements: [] }] }",
        "{ repeat: r, until: true, body: [] }",
        "{ repeat: r, until: true, max_iterations: 0, body: [] }",
        "{ repeat: r, max_iterations: 1, body: [] }",
        "{ parallel: p }",
        "{ parallel: p, elements: [], variables: {} }",
        "{ callback: c }",
        "{ callback: c, function: missing }",
        "{ callback: c, function: count }",
        "{ callback: c, function: count, args: { times: many } }",
        "{ callback: c, function: count, args: { times: 1, more: 2 } }",
        "{ callback: c, function: notify, args: [] }",
    ] {
        schemas.refuse(&flow(elements));
    }
    for elements in [
        command,
        "{ subflow: s, elements: [] }",
        "{ conditional: c, statement: true, true_branch: [{ node: n, type: free }] }",
        "{ parallel: p, elements: [{ subflow: s, elements: [] }] }",
    ] {
        schemas.refuse(&agent(elements));
    }
}

#[test]
fn wrong_settings_are_refused_by_schema_and_loader() {
    let schemas = Schemas::new();
    for (node_type, settings) in [
        ("command", "{}"),
        ("command", "{ command: [] }"),
        ("command", "{ commands: ls }"),
        ("command", "{ commands: [], timeout: long }"),
        ("command", "{ commands: [[[]]] }"),
        ("command", "{ commands: [], env_vars: { A: [] } }"),
        ("command", "{ commands: [], fail_fast: 1 }"),
        ("command", "{ commands: [], sleep_before: -1 }"),
        (
            "command",
            "{ commands: [], record_settings: { outcome: { file_format: json } } }",
        ),
        ("folder_analyzer", "{ operations: [{}] }"),
        ("folder_analyzer", "{ operations: [{ operation_type: find }] }"),
        (
            "folder_analyzer",
            "{ operations: [{ operation_type: find_files, max_depth: -1 }] }",
        ),
        (
            "file_operation",
            "{ operations: [{ type: create_file, path: x }] }",
        ),
        (
            "file_operation",
            "{ operations: [{ type: delete_file, path: x, content: y }] }",
        ),
        (
            "ai_model_call",
            "{ models: [], model_call_config: { streaming: true } }",
        ),
        ("ai_model_call", "{ models: [], prompt: { txt: x } }"),
        ("'my/composed ~ type'", "{ mode: three, path: x }"),
        ("'my/composed ~ type'", "{ mode: one }"),
        ("'my/composed ~ type'", "{ mode: one, path: x, nmber: 1 }"),
        ("'my/composed ~ type'", "{ mode: two, text: x, pair: [x, x] }"),
        ("free", "{ sleep_before: x }"),
    ] {
        schemas.refuse(&node(node_type, settings));
    }
}

#[test]
fn what_types_say_of_their_settings_is_in_the_schema() {
    let schema = definition_schema(DefinitionKind::Agent, &Types::new());
    let defs = &schema["$defs"];
    assert_eq!(
        defs["callback.count"]["properties"]["times"]["description"],
        "The number of times."
    );
    let composed = &defs["node.my-2fcomposed-20-7e-20type"];
    assert_eq!(
        composed["properties"]["inner"]["description"],
        "Another of its kind."
    );
    assert!(composed["properties"]["sleep_before"].is_object());
    let config = defs["node.ai_model_call.ModelCallConfig"].to_string();
    assert!(
        config.contains("max_output_tokens") && !config.contains("streaming"),
        "{config}"
    );
    let flow = definition_schema(DefinitionKind::Flow, &Types::new());
    let has_agents = flow["$defs"]
        .as_object()
        .unwrap()
        .keys()
        .any(|name| name.starts_with("agent."));
    assert!(!has_agents);
}

#[test]
fn nothing_needs_to_be_registered() {
    struct Nothing;
    impl NodeTypes for Nothing {
        fn names(&self) -> Vec<&str> {
            Vec::new()
        }

        fn node_type(&self, _: &NodeType) -> Option<&NodeTypeInfo> {
            None
        }
    }
    let schema = definition_schema(DefinitionKind::Flow, &Nothing);
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
    assert!(jsonschema::is_valid(
        &schema,
        &flow("{ callback: c, function: of_the_application, args: { x: 1 } }, { node: n, type: own }")
    ));
}

/// A node whose type is registered, with settings that are right.
fn known_node() -> impl Strategy<Value = NodeDefinition> {
    // Only exactly one placeholder may become something else than a text.
    let placeholder =
        || prop::sample::select(vec!["$expr{true}", "$var{a}", "$expr{ [1, 2] }"]).prop_map(Value::from);
    let or_template = |value: BoxedStrategy<Value>| prop_oneof![4 => value, 1 => placeholder()].boxed();
    let word = text().prop_map(Value::from).boxed();
    let shell = prop_oneof![
        word.clone(),
        prop::collection::vec(word.clone(), 0..3).prop_map(Value::from)
    ];
    let commands = prop::collection::vec(or_template(shell.boxed()), 0..3).prop_map(Value::from);
    let flag = or_template(any::<bool>().prop_map(Value::from).boxed());
    let count = or_template(prop_oneof![any::<u32>().prop_map(Value::from), Just(Value::Null)].boxed());
    let command = (or_template(commands.boxed()), flag, count.clone()).prop_map(|(commands, flag, count)| {
        (
            "command",
            json!({ "commands": commands, "fail_fast": flag, "timeout": count, "sleep_after": 1 }),
        )
    });
    let kinds = prop::sample::select(vec!["analyze_folder", "find_files"]).prop_map(Value::from);
    let folder = (or_template(kinds.boxed()), count, or_template(word)).prop_map(|(kind, depth, path)| {
        let operation = json!({ "operation_type": kind, "max_depth": depth, "path": path });
        ("folder_analyzer", json!({ "operations": [operation] }))
    });
    let composed = placeholder().prop_map(|it| {
        (
            "my/composed ~ type",
            json!({ "mode": "two", "text": it, "pair": [1, it], "inner": { "mode": "one", "path": "" } }),
        )
    });
    let free = object().prop_map(|settings| ("free", settings));
    prop_oneof![command, folder, composed, free]
        .prop_map(|(node_type, settings)| NodeDefinition::new(NodeType::new(node_type), settings))
}

/// The pointers of all values of a document but the document itself.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
            fields.iter().map(|(key, field)| (escaped(key), field)).collect()
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), item))
            .collect(),
        _ => Vec::new(),
    };
    for (step, child) in children {
        let at = format!("{at}/{step}");
        places(child, &at, found);
        found.push(at);
    }
}

/// The parts that may be wrong, or right, in any place; `None` takes away the part that is there.
fn replacement() -> impl Strategy<Value = Option<Value>> {
    let words = ["true", "30s", "1e3", "x", "always", "$expr{a}", "$expr{"].map(Value::from);
    let others = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!([]),
        json!({}),
        json!([{}]),
    ];
    let all: Vec<Value> = words.into_iter().chain(others).collect();
    prop_oneof![1 => Just(None), 3 => prop::sample::select(all).prop_map(Some)]
}

fn replace(definition: &mut Value, place: &str, replacement: Option<Value>) {
    if let Some(replacement) = replacement {
        *definition.pointer_mut(place).unwrap() = replacement;
        return;
    }
    let (parent, key) = place.rsplit_once('/').unwrap();
    match definition.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.shift_remove(&key.replace("~1", "/").replace("~0", "~"));
        }
        Some(Value::Array(items)) => {
            items.remove(key.parse().unwrap());
        }
        _ => {}
    }
}

thread_local! {
    static SCHEMAS: Schemas = Schemas::new();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_compiles_is_valid(definition in definition(known_node())) {
        SCHEMAS.with(|schemas| {
            // The few whose random texts happen to be broken templates are left out; many would end the test.
            let compiled = compile(&definition, &id("root"), &schemas.types, None);
            prop_assume!(compiled.is_ok());
            schemas.accept(&serde_json::to_value(&definition).unwrap());
            Ok(())
        })?;
    }

    #[test]
    fn what_still_compiles_after_a_change_is_valid(
        definition in definition(known_node()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), replacement()), 10)
    ) {
        let original = serde_json::to_value(&definition).unwrap();
        let mut all = Vec::new();
        places(&original, "", &mut all);
        for (index, replacement) in changes {
            let place = index.get(&all);
            let mut changed = original.clone();
            replace(&mut changed, place, replacement.clone());
            SCHEMAS.with(|schemas| {
                if schemas.compiled(&changed).is_ok() {
                    let problems = schemas.problems(&changed);
                    assert!(problems.is_empty(), "{place} is {replacement:?}: {}", problems.join("\n"));
                }
            });
        }
    }
}
