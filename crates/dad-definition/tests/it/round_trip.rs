//! A definition written as YAML is the same definition.

use std::time::Duration;

use dad_core::{
    Budget, ComponentBody, Definition, DefinitionKind, Element, ElementId, ElementKind, ElementOptions,
    NodeDefinition, NodeType, OnError, RetryPolicy, Reuse,
};
use dad_definition::{load_str, to_yaml};
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

fn text() -> impl Strategy<Value = String> {
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

fn object() -> impl Strategy<Value = Value> {
    prop::collection::vec((text(), value()), 0..4)
        .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

fn options() -> impl Strategy<Value = ElementOptions> {
    let retry = (1..9_u32, 0..5000_u64, 5000..9000_u64, any::<bool>()).prop_map(
        |(max_attempts, initial, max, repeat)| RetryPolicy {
            max_attempts,
            initial_delay: Duration::from_millis(initial),
            max_delay: Duration::from_millis(max),
            when: if repeat {
                vec!["timeout".to_owned()]
            } else {
                Vec::new()
            },
            repeat_effects: repeat,
        },
    );
    (
        prop::collection::vec("[a-z]{1,5}", 0..2),
        prop::option::of(1..9_999_999_u64),
        prop::option::of(retry),
        any::<[bool; 4]>(),
    )
        .prop_map(
            |(events, timeout, retry, [continues, always, never, approval])| ElementOptions {
                pre_events: events.clone(),
                post_events: events,
                timeout: timeout.map(Duration::from_millis),
                retry,
                on_error: if continues {
                    OnError::Continue
                } else {
                    OnError::Fail
                },
                reuse: if always {
                    Reuse::Always
                } else if never {
                    Reuse::Never
                } else {
                    Reuse::Auto
                },
                requires_approval: approval,
            },
        )
}

fn element() -> impl Strategy<Value = ElementKind> {
    let node = ("[a-z_]{1,9}", object()).prop_map(|(node_type, settings)| {
        ElementKind::Node(NodeDefinition {
            node_type: NodeType::new(node_type),
            settings,
        })
    });
    node.prop_recursive(3, 10, 3, |inner| body(inner).prop_map(ElementKind::Subflow))
}

fn body(element: impl Strategy<Value = ElementKind>) -> impl Strategy<Value = ComponentBody> {
    let elements = prop::collection::vec((element, options()), 0..4);
    let variables = prop::collection::vec(value(), 0..3);
    (prop::option::of(text()), variables, elements, 0..3_usize).prop_map(
        |(description, variables, elements, split)| {
            let id = |index: usize| -> ElementId { format!("e{index}").parse().unwrap() };
            let elements = elements.into_iter().enumerate();
            let mut elements: Vec<Element> = elements
                .map(|(index, (kind, options))| Element {
                    id: id(index),
                    kind,
                    options,
                })
                .collect();
            let finally = elements.split_off(split.min(elements.len()));
            let variables = variables
                .into_iter()
                .enumerate()
                .map(|(index, value)| (format!("v{index}"), value))
                .collect();
            ComponentBody {
                io_description: description.clone(),
                description,
                variables,
                elements,
                finally,
            }
        },
    )
}

fn definition() -> impl Strategy<Value = Definition> {
    let root = (
        prop::option::of(0.0..1e6_f64),
        prop::option::of(any::<u64>()),
        value(),
        any::<bool>(),
    );
    (body(element()), root).prop_map(|(body, (cost, calls, output, has_id))| {
        let mut definition = Definition::new(DefinitionKind::Flow);
        definition.root_id = has_id.then(|| "root".parse().unwrap());
        definition.required = vec!["a".to_owned()];
        definition.budget = Some(Budget {
            cost,
            calls,
            tokens: None,
        });
        definition.output = Some(output).filter(|output| !output.is_null());
        definition.body = body;
        definition
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_definition_comes_back(definition in definition()) {
        check(&definition);
    }
}
