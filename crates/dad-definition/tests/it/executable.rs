//! Definitions that can be written but not executed, and plain data.

use dad_definition::{check_executable, load_data, load_str};
use insta::assert_snapshot;

#[test]
fn nothing_is_ignored_in_silence() {
    let text = "\
schema_version: 1
kind: flow
budget: { cost: 1.0 }
pre_events: [node_input_required]
elements:
  - subflow: inner
    pre_events: [component_input_required, other]
    retry: { max_attempts: 2 }
    elements:
      - node: ask
        type: command
        pre_events: [something_else]
        settings: { commands: [ls] }
";
    let loaded = load_str(text, "flow.yaml", None, None).unwrap();
    let problems = check_executable(&loaded.definition, Some(&loaded.spans)).unwrap_err();
    let reported: Vec<String> = problems
        .iter()
        .map(|p| format!("{}: {}", p.line.unwrap(), p.message))
        .collect();
    assert_snapshot!(reported.join("\n"), @"
    4: `pre_events` cannot be executed here in this version: the only event before it is `component_input_required`
    7: `pre_events` cannot be executed here in this version: the only event before it is `component_input_required`
    8: `retry` cannot be executed here in this version: only nodes have it so far
    12: `pre_events` cannot be executed here in this version: the only event before it is `node_input_required`
    ");
}

#[test]
fn plain_data_follows_the_rules_of_definitions() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    let write = |text: &str| {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test makes the files a user would have"
        )]
        std::fs::write(&file, text).unwrap();
    };
    write("a: { b: [1, 2.5, yes, \"$expr{x}\"] }\n");
    let value = load_data(&file).unwrap();
    assert_eq!(
        value,
        serde_json::json!({"a": {"b": [1, 2.5, "yes", "$expr{x}"]}})
    );
    write("a: 1\na: 2\n");
    assert!(
        load_data(&file)
            .unwrap_err()
            .to_string()
            .contains("config.yaml:2")
    );
    assert!(load_data(&dir.path().join("missing.yaml")).is_err());
}
