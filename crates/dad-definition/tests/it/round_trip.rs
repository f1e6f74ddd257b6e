//! A definition written as YAML is the same definition.

use std::time::Duration;

use dad_core::{
    Budget, Callback, ComponentBody, Conditional, Definition, DefinitionKind, Element, ElementKind,
    ElementOptions, ForEach, NodeDefinition, NodeType, OnError, OnExhausted, OnLimit, Parallel, Repeat,
    RetryPolicy, Reuse,
};
use dad_definition::{load_str, to_yaml};
use indexmap::IndexMap;
use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::loading::{AUTOCODER, load};

#[track_caller]
fn check(definition: &Definition) {
    let yaml = to_yaml(definition);
    let loaded =
        load_str(&yaml, "x.yaml", None, None).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    assert_eq!(loaded.definition, *definition, "{yaml}");
    assert_eq!(loaded.warnings, [], "{yaml}");
    assert_eq!(to_yaml(&loaded.definition), yaml, "in the same order");
    let json = serde_json::to_string(definition).unwrap();
    let loaded =
        load_str(&json, "x.json", None, None).unwrap_or_else(|problems| panic!("{problems}\n{json}"));
    assert_eq!(loaded.definition, *definition);
}

#[test]
fn a_definition_is_written_as_a_person_would() {
    let definition = load(AUTOCODER).definition;
    check(&definition);
    assert_snapshot!(to_yaml(&definition), @r#"
    schema_version: 1
    kind: agent
    root_id: autocoder_root
    required:
      - task
    budget:
      cost: 2.0
      calls: 40
    output: "$expr{ $hier{main_flow.test}.outcome.results[0].stdout }"
    variables:
      repo: "$var{run_root}/global_data/repo"
      spec:
        checks:
          - a
          - b
        limit: 2.5
    elements:
      - flow: main_flow
        elements:
          - node: dynamic_repo_analysis
            type: folder_analyzer
            settings:
              base_directory: "$expr{repo}"
              operations:
                - operation_type: analyze_folder
                  path: src
                  content_read_mode: structure
          - node: code_generator
            type: ai_model_call
            pre_events:
              - node_input_required
            timeout: 1800
            retry:
              max_attempts: 3
              initial_delay: 1
              max_delay: 60
              when:
                - rate_limit
            settings:
              models:
                - anthropic/claude-sonnet-4-5
                - openai/gpt-5.1
              system_instructions:
                - You are a professional code implementation agent.
              prompt: |-
                Task: $expr{task}
                Context: $expr{ $hier{dynamic_repo_analysis}.outcome.results }
              model_call_config:
                structured_output:
                  schema:
                    type: object
          - node: code_generator_file_ops
            type: file_operation
            requires_approval: true
            settings:
              base_directory: "$expr{repo}"
              operations_template: "$expr{ $hier{code_generator}.outcome.structured.file_operations }"
              stage: true
          - node: test
            type: command
            on_error: continue
            reuse: never
            settings:
              commands:
                -
                  - cargo
                  - test
                  - "--quiet"
              working_dir: "$expr{repo}"
          - subflow: summary
            variables:
              audience: users
            elements:
              - node: write
                type: command
                settings:
                  commands:
                    - "echo $var{audience}"
        finally:
          - node: clean
            type: command
            settings:
              commands:
                - rm -rf target/tmp
    "#);
}

#[test]
fn awkward_texts_come_back() {
    let mut definition = Definition::new(DefinitionKind::Flow);
    let texts = [
        "",
        " ",
        "a ",
        " a",
        "true",
        "null",
        "~",
        "yes",
        "No",
        "1",
        "1.0",
        "0x1",
        "-",
        "- a",
        "a: b",
        "a #b",
        "#",
        "?",
        "a\n",
        "a\nb",
        "a\nb\n",
        "a\nb\n\n",
        "\na",
        " a\nb",
        "a\n b\n\n  c",
        "a\n \nb",
        "a\n\tb",
        "\ta\nb",
        "a\r\nb",
        "tab\tin",
        "é\nü",
        "\u{85}",
        "a\u{2028}b\nc",
        "\u{feff}x",
        "\u{7f}",
        "😀\n😀",
        "---\nb",
        "...\nb",
        "%x\ny",
        "\"q\"",
        "'q'",
        "\\n",
        "$expr{ a ? b : c }",
        "{ a: b }",
        "[a]",
        "*a",
        "&a",
        "!a",
        "|",
        ">",
        "@",
        "`",
        "<<",
        "a,b",
        "\u{1b}[2J",
        "\u{ffff}",
        "x\n---\ny",
        "# c\n# d",
    ];
    for (index, text) in texts.iter().enumerate() {
        definition.body.variables.insert(format!("v{index}"), json!(text));
        definition.body.variables.insert(
            format!("l{index}"),
            json!([text, [text], { *text: text }, [[]], {}]),
        );
    }
    let long = "k".repeat(950);
    definition.body.variables.insert(
        "long".to_owned(),
        json!([{ &long: 1, "b": 2 }, { "a": { &long: { &long: [] } } }]),
    );
    check(&definition);
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z0-9_ .:#'\"$\\-]{0,12}",
        2 => "([ \ta-z#:-]{0,5}\n){0,4}[ a-z]{0,5}",
        1 => "\\PC{0,12}",
        1 => "(?s).{0,12}",
        1 => prop::sample::select(vec!["true", "null", "~", "yes", "1", "-1.5e3", "<<", "", "{}", "[]"]).prop_map(str::to_owned),
    ]
    .prop_filter("a NUL is refused", |text| !text.contains('\0'))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has only finite numbers", |n| n.is_finite())
            .prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

pub(crate) fn object() -> impl Strategy<Value = Value> {
    prop::collection::vec((text(), value()), 0..4)
        .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

fn options() -> impl Strategy<Value = ElementOptions> {
    let retry = (1..9_u32, 0..5000_u64, 5000..9000_u64, any::<bool>()).prop_map(
        |(max_attempts, initial, max, repeat)| {
            RetryPolicy::default()
                .max_attempts(max_attempts)
                .initial_delay(Duration::from_millis(initial))
                .max_delay(Duration::from_millis(max))
                .when(if repeat {
                    vec!["timeout".to_owned()]
                } else {
                    Vec::new()
                })
                .repeat_effects(repeat)
        },
    );
    (
        prop::collection::vec("[a-z]{1,5}", 0..2),
        prop::option::of(1..9_999_999_u64),
        prop::option::of(retry),
        any::<[bool; 4]>(),
    )
        .prop_map(|(events, timeout, retry, [continues, always, never, approval])| {
            let mut element_options = ElementOptions::default();
            element_options.pre_events = events.clone();
            element_options.post_events = events;
            element_options.timeout = timeout.map(Duration::from_millis);
            element_options.retry = retry;
            element_options.on_error = if continues {
                OnError::Continue
            } else {
                OnError::Fail
            };
            element_options.reuse = if always {
                Reuse::Always
            } else if never {
                Reuse::Never
            } else {
                Reuse::Auto
            };
            element_options.requires_approval = approval;
            element_options.budget =
                never.then(|| Budget::default().wall_time(timeout.map(Duration::from_millis)));
            element_options
        })
}

/// Templates whose variables every generated definition has.
fn template() -> impl Strategy<Value = Value> {
    let templates = [
        "$expr{true}",
        "$var{a}",
        "$expr{ [1, 2] }",
        "text with $var{a}",
        "$$var{a} $expr{a || 1}",
    ];
    prop::sample::select(templates.to_vec()).prop_map(Value::from)
}

/// A template that may be more than a text.
fn placeholder() -> impl Strategy<Value = Value> {
    prop::sample::select(vec!["$expr{true}", "$var{a}", "$expr{ [1, 2] }"]).prop_map(Value::from)
}

fn any_node() -> impl Strategy<Value = NodeDefinition> {
    ("[a-z_]{1,9}", object())
        .prop_map(|(node_type, settings)| NodeDefinition::new(NodeType::new(node_type), settings))
}

fn callback() -> impl Strategy<Value = ElementKind> {
    let args = prop_oneof![any::<u32>().prop_map(Value::from), template()];
    prop_oneof![
        object().prop_map(|args| ("notify", args)),
        args.prop_map(|times| ("count", json!({ "times": times }))),
    ]
    .prop_map(|(function, args)| {
        ElementKind::Callback({
            let mut callback = Callback::new(function.to_owned());
            callback.args = args;
            callback
        })
    })
}

/// An element of an agent or flow, with nodes of the given kind in it.
fn element(kind: DefinitionKind, node: BoxedStrategy<NodeDefinition>) -> BoxedStrategy<ElementKind> {
    let leaf = match kind {
        DefinitionKind::Flow => node.prop_map(ElementKind::Node).boxed(),
        DefinitionKind::Agent => body(element(DefinitionKind::Flow, node))
            .prop_map(ElementKind::Flow)
            .boxed(),
    };
    let leaf = prop_oneof![4 => leaf, 1 => callback()];
    let element = leaf.prop_recursive(3, 10, 3, move |inner| {
        let nested = match kind {
            DefinitionKind::Flow => body(inner.clone()).prop_map(ElementKind::Subflow).boxed(),
            DefinitionKind::Agent => body(inner.clone()).prop_map(ElementKind::Subagent).boxed(),
        };
        // In boxes, because the union has all of them on the stack at every depth.
        prop_oneof![
            nested,
            conditional(inner.clone()).boxed(),
            for_each(inner.clone()).boxed(),
            repeat(inner.clone()).boxed(),
            parallel(inner).boxed()
        ]
    });
    element.boxed()
}

fn condition() -> impl Strategy<Value = Value> {
    prop_oneof![any::<bool>().prop_map(Value::from), placeholder()]
}

fn conditional(element: BoxedStrategy<ElementKind>) -> impl Strategy<Value = ElementKind> {
    let branches = (elements(element.clone()), elements(element));
    (prop::option::of(text()), variables(), condition(), branches).prop_map(
        |(description, variables, statement, (true_branch, false_branch))| {
            ElementKind::Conditional({
                let mut conditional = Conditional::default();
                conditional.description = description;
                conditional.variables = variables;
                conditional.statement = statement;
                conditional.true_branch = true_branch;
                conditional.false_branch = false_branch;
                conditional
            })
        },
    )
}

fn for_each(element: BoxedStrategy<ElementKind>) -> impl Strategy<Value = ElementKind> {
    let statement = prop_oneof![
        prop::collection::vec(value(), 0..3).prop_map(Value::from),
        placeholder()
    ];
    let start = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        template()
    ];
    let limits = (prop::option::of(any::<u64>()), 1..=u32::MAX, any::<[bool; 3]>());
    let until = prop::option::of(condition());
    (
        (prop::option::of(text()), variables(), statement, start),
        (limits, until, elements(element)),
    )
        .prop_map(
            |((description, variables, statement, start_index), (limits, until, body))| {
                let (max_iterations, max_concurrency, [truncates, names_item, names_index]) = limits;
                let default = ForEach::default();
                ElementKind::ForEach({
                    let mut for_each = ForEach::default();
                    for_each.description = description;
                    for_each.variables = variables;
                    for_each.statement = statement;
                    for_each.item_var = if names_item {
                        "check".to_owned()
                    } else {
                        default.item_var
                    };
                    for_each.index_var = if names_index {
                        "number".to_owned()
                    } else {
                        default.index_var
                    };
                    for_each.start_index = start_index;
                    for_each.max_iterations = max_iterations;
                    for_each.on_limit = if truncates {
                        OnLimit::Truncate
                    } else {
                        OnLimit::Fail
                    };
                    for_each.max_concurrency = if until.is_some() { 1 } else { max_concurrency };
                    for_each.until = until;
                    for_each.body = body;
                    for_each
                })
            },
        )
}

fn repeat(element: BoxedStrategy<ElementKind>) -> impl Strategy<Value = ElementKind> {
    let limits = (1..=u64::MAX, any::<[bool; 2]>());
    let start = (prop::option::of(text()), variables(), condition());
    (start, limits, elements(element)).prop_map(
        |((description, variables, until), (max_iterations, [continues, names_index]), body)| {
            let default = Repeat::default();
            ElementKind::Repeat({
                let mut repeat = Repeat::default();
                repeat.description = description;
                repeat.variables = variables;
                repeat.until = until;
                repeat.index_var = if names_index {
                    "pass".to_owned()
                } else {
                    default.index_var
                };
                repeat.max_iterations = max_iterations;
                repeat.on_exhausted = if continues {
                    OnExhausted::Continue
                } else {
                    OnExhausted::Fail
                };
                repeat.body = body;
                repeat
            })
        },
    )
}

fn parallel(element: BoxedStrategy<ElementKind>) -> impl Strategy<Value = ElementKind> {
    (prop::option::of(text()), elements(element)).prop_map(|(description, elements)| {
        ElementKind::Parallel({
            let mut parallel = Parallel::default();
            parallel.description = description;
            parallel.elements = elements;
            parallel
        })
    })
}

fn elements(element: impl Strategy<Value = ElementKind>) -> impl Strategy<Value = Vec<Element>> {
    prop::collection::vec((element, options()), 0..4).prop_map(|elements| {
        let elements = elements.into_iter().enumerate();
        elements
            .map(|(index, (kind, options))| {
                let mut element = Element::new(format!("e{index}").parse().unwrap(), kind);
                element.options = options;
                element
            })
            .collect()
    })
}

fn variables() -> impl Strategy<Value = IndexMap<String, Value>> {
    prop::collection::vec(prop_oneof![4 => value(), 1 => template()], 0..3).prop_map(|variables| {
        let variables = variables.into_iter().enumerate();
        variables
            .map(|(index, value)| (format!("v{index}"), value))
            .collect()
    })
}

fn body(element: impl Strategy<Value = ElementKind>) -> impl Strategy<Value = ComponentBody> {
    (
        prop::option::of(text()),
        variables(),
        elements(element),
        0..3_usize,
    )
        .prop_map(|(description, variables, mut elements, split)| {
            let finally = elements.split_off(split.min(elements.len()));
            {
                let mut component_body = ComponentBody::default();
                component_body.io_description = description.clone();
                component_body.description = description;
                component_body.variables = variables;
                component_body.elements = elements;
                component_body.finally = finally;
                component_body
            }
        })
}

/// Definitions of both kinds with everything that files can say, with nodes of the given kind.
pub(crate) fn definition(
    node: impl Strategy<Value = NodeDefinition> + 'static,
) -> impl Strategy<Value = Definition> {
    let node = node.boxed();
    let bodies = [DefinitionKind::Agent, DefinitionKind::Flow]
        .map(|kind| body(element(kind, node.clone())).prop_map(move |body| (kind, body)));
    let [agent, flow] = bodies;
    let root = (
        prop::option::of(0.0..1e6_f64),
        prop::option::of(any::<u64>()),
        value(),
        any::<bool>(),
    );
    (prop_oneof![agent, flow], root).prop_map(|((kind, body), (cost, calls, output, has_id))| {
        let mut definition = Definition::new(kind);
        definition.root_id = has_id.then(|| "root".parse().unwrap());
        definition.required = vec!["a".to_owned()];
        definition.budget = Some(Budget::default().cost(cost).calls(calls).tokens(calls.map(|calls| calls / 2)).wall_time(calls.map(|calls| Duration::from_millis(calls % 9_999_999))));
        definition.allow_protected = vec!["**/.envrc".to_owned(); usize::from(has_id)];
        let rule = json!({ "element": "a.b", "arguments": { "a": [{ "$rest": { "$any": true } }] }, "decision": "deny" });
        definition.approvals = vec![serde_json::from_value(rule).unwrap(); usize::from(has_id)];
        definition.options.timeout = calls.map(|calls| Duration::from_millis(calls % 9_999 + 1));
        definition.options.post_events = vec!["ended".to_owned(); usize::from(has_id)];
        definition.output = Some(output).filter(|output| !output.is_null());
        definition.body = body;
        definition
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_definition_comes_back(definition in definition(any_node())) {
        check(&definition);
    }
}
