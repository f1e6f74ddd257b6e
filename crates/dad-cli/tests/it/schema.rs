//! `dhenara schema`, with the settings of the built-in nodes.

use std::path::{Path, PathBuf};
use std::process::Command;

use dad_definition::load_data;
use jsonschema::Validator;
use serde_json::{Value, json};

fn schema(kind: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_dhenara"))
        .args(["schema", kind])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn validator(kind: &str) -> Validator {
    let schema = schema(kind);
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{kind}: {error}"));
    jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{kind}: {error}"))
}

/// The YAML files of a directory, at every depth; what runs left is not looked at.
fn yaml_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "runs" && name != ".dhenara" {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            found.push(path);
        }
    }
}

#[test]
fn the_examples_are_valid() {
    let (agent, flow) = (validator("agent"), validator("flow"));
    let mut files = Vec::new();
    yaml_files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples"),
        &mut files,
    );
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let definition = load_data(&file).unwrap_or_else(|problems| panic!("{problems}"));
        let schema = match definition["kind"].as_str() {
            Some("agent") => &agent,
            _ => &flow,
        };
        let problems: Vec<String> = schema
            .iter_errors(&definition)
            .map(|error| format!("`{}`: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{}: {}", file.display(), problems.join("\n"));
    }
}

#[test]
fn every_built_in_node_has_its_settings() {
    let flow = validator("flow");
    let is_valid = |node_type: &str, settings: Value| {
        let node = json!({ "node": "n", "type": node_type, "settings": settings });
        flow.is_valid(&json!({ "schema_version": 1, "kind": "flow", "elements": [node] }))
    };
    let right = [
        (
            "ai_model_call",
            json!({ "models": ["openai/gpt-5.1"], "prompt": "Hello $var{name}" }),
        ),
        (
            "command",
            json!({ "commands": ["ls", ["ls", "-l"]], "sleep_before": "$expr{pause}" }),
        ),
        (
            "file_operation",
            json!({ "operations_template": "$expr{ $hier{plan}.outcome.structured.all }" }),
        ),
        (
            "folder_analyzer",
            json!({ "operations": [{ "operation_type": "analyze_folder", "path": "src" }] }),
        ),
    ];
    for (node_type, mut settings) in right {
        assert!(is_valid(node_type, settings.clone()), "{node_type}: {settings}");
        settings["no_such_setting"] = json!(1);
        assert!(!is_valid(node_type, settings.clone()), "{node_type}: {settings}");
    }
    let refused = json!({ "models": ["openai/gpt-5.1"], "model_call_config": { "streaming": "yes" } });
    assert!(!is_valid("ai_model_call", refused));
}

#[test]
fn comments_of_settings_are_shown() {
    let schema = schema("agent");
    let models = &schema["$defs"]["node.ai_model_call"]["properties"]["models"];
    assert!(
        models["description"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{models}"
    );
}
