//! Definitions that can be written but not executed, and plain data.

use dad_definition::{check_executable, load_data, load_data_as, load_str};
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

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test makes the files that a user would have"
)]
fn data_of_a_type_has_all_its_problems_at_their_places_in_the_file() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        #[serde(rename = "name")]
        _name: String,
        #[serde(default, rename = "calls")]
        _calls: u32,
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("entries.yaml");
    let problems = |text: &str| -> Vec<(Option<u32>, Option<String>, Option<String>)> {
        std::fs::write(&file, text).unwrap();
        let problems = load_data_as::<Vec<Entry>>(&file).unwrap_err();
        let problems = problems.iter();
        problems
            .map(|problem| (problem.line, problem.path.clone(), problem.hint.clone()))
            .collect()
    };
    let place =
        |line, path: &str, hint: Option<&str>| (Some(line), Some(path.to_owned()), hint.map(str::to_owned));
    assert_eq!(
        problems(
            "- 1\n- { calls: 2 }\n- { name: a, cals: 1 }\n- { name: b, calls: x, other: 1 }\n- { name: 5 }\n"
        ),
        [
            place(1, "[0]", None),
            place(2, "[1]", None),
            place(3, "[2].cals", Some("did you mean `calls`?")),
            place(4, "[3].calls", None),
            place(4, "[3].other", Some("the keys are name, calls")),
            // A name of a wrong type is not missing as well.
            place(5, "[4].name", None),
        ]
    );
    assert_eq!(problems("text\n").len(), 1);
    std::fs::write(&file, "- { name: a }\n").unwrap();
    assert_eq!(
        load_data_as::<Vec<Entry>>(&file).unwrap().map(|all| all.len()),
        Some(1)
    );
    let many = "- 1\n".repeat(200);
    assert_eq!(problems(&many).len(), 101, "the rest is counted");
}
