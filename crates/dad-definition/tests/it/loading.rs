//! Right definitions, and the results of loading them.

use dad_core::{ElementId, NodeType};
use dad_definition::{Loaded, SpanMap, compile, load_file, load_str};
use serde_json::json;

use crate::registry::Registry;

/// The example of the design without control flow.
pub(crate) const AUTOCODER: &str = r#"
schema_version: 1
kind: agent                        # or: flow
root_id: autocoder_root
required: [task]
variables:
  repo: "$var{run_root}/global_data/repo"
  spec: { checks: [a, b], limit: 2.50 }
budget: { cost: 2.00, calls: 40 }
output: "$expr{ $hier{main_flow.test}.outcome.results[0].stdout }"
elements:
  - flow: main_flow
    elements:
      - node: dynamic_repo_analysis
        type: folder_analyzer
        settings:
          base_directory: "$expr{repo}"
          operations:
            - { operation_type: analyze_folder, path: src, content_read_mode: structure }
      - node: code_generator
        type: ai_model_call
        pre_events: [node_input_required]
        timeout: 30m
        retry: { max_attempts: 3, when: [rate_limit] }
        settings:
          models: [anthropic/claude-sonnet-4-5, openai/gpt-5.1]
          system_instructions: ["You are a professional code implementation agent."]
          prompt: |-
            Task: $expr{task}
            Context: $expr{ $hier{dynamic_repo_analysis}.outcome.results }
          model_call_config:
            structured_output: { schema: { type: object } }
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
        settings: { commands: [[cargo, test, --quiet]], working_dir: "$expr{repo}" }
      - subflow: summary
        variables: { audience: users }
        elements:
          - { node: write, type: command, settings: { commands: ["echo $var{audience}"] } }
    finally:
      - { node: clean, type: command, settings: { commands: ["rm -rf target/tmp"] } }
"#;

pub(crate) fn load(yaml: &str) -> Loaded {
    load_str(yaml, "agent.yaml", None, None).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(crate) fn id(text: &str) -> ElementId {
    text.parse().unwrap()
}

#[test]
fn the_example_of_the_design_loads_and_compiles() {
    let loaded = load(AUTOCODER);
    assert_eq!(loaded.warnings, []);
    let program = compile(
        &loaded.definition,
        &id("autocoder_root"),
        &Registry::new(),
        Some(&loaded.spans),
    )
    .unwrap();
    let steps: Vec<&str> = program.steps().map(|step| step.path.as_str()).collect();
    assert_eq!(
        steps,
        [
            "autocoder_root.main_flow.dynamic_repo_analysis",
            "autocoder_root.main_flow.code_generator",
            "autocoder_root.main_flow.code_generator_file_ops",
            "autocoder_root.main_flow.test",
            "autocoder_root.main_flow.summary.write",
            "autocoder_root.main_flow.clean",
        ]
    );
    let generator = program
        .step(&"autocoder_root.main_flow.code_generator".parse().unwrap())
        .unwrap();
    assert_eq!(generator.node_type, NodeType::AI_MODEL_CALL);
    assert_eq!(
        generator.options.timeout,
        Some(std::time::Duration::from_secs(1800))
    );
    assert_eq!(generator.place, "elements[0].elements[1]");
    assert_eq!(
        generator
            .references
            .get("dynamic_repo_analysis")
            .map(ToString::to_string)
            .as_deref(),
        Some("autocoder_root.main_flow.dynamic_repo_analysis")
    );
    assert_eq!(program.variable_names(), ["task", "repo", "spec"]);
}

#[test]
fn json_and_yaml_are_read_alike() {
    let loaded = load(AUTOCODER);
    for text in [
        serde_json::to_string(&loaded.definition).unwrap(),
        serde_json::to_string_pretty(&loaded.definition).unwrap(),
    ] {
        let json =
            load_str(&text, "definition.json", None, None).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(json.definition, loaded.definition);
        let yaml =
            load_str(&text, "definition.yaml", None, None).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(yaml.definition, loaded.definition);
    }
}

#[test]
fn json_has_escapes_that_yaml_does_not() {
    let text = "{\"schema_version\": 1, \"kind\": \"flow\", \"output\": \"\\ud83d\\ude00 \\/ \\u00e9\", \"elements\": []}";
    let loaded = load_str(text, "x.json", None, None).unwrap();
    assert_eq!(loaded.definition.output, Some(json!("😀 / é")));
    for (wrong, message) in [
        ("{\"a\": 1,}", "expected a key in double quotes"),
        ("{\"a\": [1 2]}", "expected `,` or `]`"),
        ("{\"a\": tru}", "expected a value"),
        ("{\"a\": 01}", "expected a value"),
        ("{\"a\": \"x}", "this text has no closing quote"),
        ("{\"a\": \"\\q\"}", "invalid escape in this text"),
        ("{} {}", "something follows the end of the document"),
        ("", "expected a value"),
    ] {
        let problems = load_str(wrong, "x.json", None, None).unwrap_err();
        assert_eq!(
            problems.as_slice()[0].message,
            format!("this is not JSON: {message}"),
            "{wrong}"
        );
    }
}

#[test]
fn only_words_and_numbers_of_json_are_no_text() {
    let yaml = "schema_version: 1\nkind: flow\nelements: []\nvariables:\n  \
                list: [true, false, null, 1, -2.5, 1e3, 'true', '1', on, ~, True, 1.2.3, 2025-01-01, 0x1, .5]\n  \
                empty:\n";
    let loaded = load(yaml);
    assert_eq!(
        loaded.definition.body.variables["list"],
        json!([
            true,
            false,
            null,
            1,
            -2.5,
            1e3,
            "true",
            "1",
            "on",
            "~",
            "True",
            "1.2.3",
            "2025-01-01",
            "0x1",
            ".5"
        ])
    );
    assert_eq!(loaded.definition.body.variables["empty"], json!(null));
    let warned: Vec<&str> = loaded
        .warnings
        .iter()
        .filter_map(|w| w.message.split('`').nth(1))
        .collect();
    assert_eq!(warned, ["on", "~", "True", "0x1", ".5"]);
}

#[test]
fn every_value_and_key_has_its_place() {
    let loaded = load(AUTOCODER.trim_start());
    let at = |place: &str| {
        loaded
            .spans
            .get(place)
            .map(|found| (found.line, found.column))
            .unwrap()
    };
    assert_eq!(at("kind"), (2, 7));
    assert_eq!(
        at("elements[0].elements[0].settings.operations[0].path"),
        (18, 55)
    );
    let key = loaded
        .spans
        .key("elements[0].elements[1].settings.prompt")
        .unwrap();
    assert_eq!((key.line, key.column), (27, 11));
    assert_eq!(&AUTOCODER.trim_start()[key.span], "prompt");
    // What is not there has the place of what is around it.
    let near = loaded
        .spans
        .nearest("elements[0].elements[1].settings.nothing[3].there")
        .unwrap();
    assert_eq!(near.line, 25);
    assert_eq!(loaded.spans.get("nothing"), None);

    let stored = serde_json::to_string(&loaded.spans).unwrap();
    let read: SpanMap = serde_json::from_str(&stored).unwrap();
    let places = |spans: &SpanMap| -> Vec<(String, u32)> {
        spans
            .places()
            .map(|place| (place.to_owned(), spans.get(place).unwrap().line))
            .collect()
    };
    assert_eq!(places(&read), places(&loaded.spans));
}

#[test]
fn line_breaks_of_windows_and_byte_order_marks_change_nothing() {
    let windows = format!("\u{feff}{}", AUTOCODER.replace('\n', "\r\n"));
    assert_eq!(load(&windows).definition, load(AUTOCODER).definition);
    let text = windows.replace("$expr{task}", "$expr{task +}");
    let loaded = load(&text);
    let problems = compile(
        &loaded.definition,
        &id("root"),
        &Registry::new(),
        Some(&loaded.spans),
    )
    .unwrap_err();
    let first = &problems.as_slice()[0];
    assert_eq!((first.line, first.column), (Some(29), Some(31)), "{problems}");
}

#[test]
fn files_are_found_by_their_ending() {
    let project = tempfile::tempdir().unwrap();
    let file = project.path().join("agents").join("a");
    let write = |name: &str, text: &str| crate::includes::write(&file, name, text);
    write("agent.yaml", AUTOCODER);
    let loaded = load_file(&file.join("agent.yaml"), Some(project.path())).unwrap();
    assert_eq!(loaded.sources[0].path, "agents/a/agent.yaml");
    assert_eq!(
        loaded.sources[0].blake3,
        dad_core::Digest::of(AUTOCODER.as_bytes())
    );

    write("agent.toml", "x");
    let reported = |name: &str| {
        let problems = load_file(&file.join(name), Some(project.path())).unwrap_err();
        problems.as_slice()[0].code
    };
    assert_eq!(reported("agent.toml"), "unknown_format");
    assert_eq!(reported("missing.yaml"), "file_unreadable");
    assert_eq!(reported("../a.yaml"), "file_unreadable");
    write("broken.yaml", "kind: [");
    assert_eq!(reported("broken.yaml"), "yaml_syntax");
}
