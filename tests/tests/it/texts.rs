//! A text stays the text that was written, on its way from a definition to where it is used.

use serde_json::{Value, json};

use crate::harness::{TestEnvironment, read_json};

/// Texts that are numbers, truth values or dates to some reader, and texts that are none.
const TEXTS: [&str; 26] = [
    "1.10",
    "1234567e8",
    "-0",
    "1e3",
    "0x1F",
    "2024-01-01",
    "1_000",
    "007",
    "1.0",
    "0.1000",
    "-1.50",
    "12345678901234567890",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "~",
    "0o17",
    ".5",
    "+1",
    "1e-7",
    "100000000000000000000.5",
    "NaN",
    "3.14.15",
    "1:30",
];

fn yaml(env: &TestEnvironment, elements: &str) {
    env.write(
        "flow.yaml",
        &format!("schema_version: 1\nkind: flow\nelements:\n{elements}"),
    );
}

fn outcome(env: &TestEnvironment, step: &str) -> Value {
    read_json(&env.last_run().join("flow_root").join(step).join("outcome.json"))
}

#[test]
fn a_scalar_where_a_text_is_wanted_is_what_was_written() {
    let env = TestEnvironment::new();
    let mut elements = String::new();
    for (number, text) in TEXTS.iter().enumerate() {
        elements.push_str(&format!(
            "  - node: s{number}\n    type: command\n    settings:\n      stdin: {text}\n      env_vars: {{ V: {text} }}\n      \
             commands: [[printf, '%s|', {text}], [printenv, V], [cat]]\n",
        ));
    }
    yaml(&env, &elements);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    for (number, text) in TEXTS.iter().enumerate() {
        let results = outcome(&env, &format!("s{number}"))["results"].clone();
        let printed: Vec<&str> = results
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["stdout"].as_str().unwrap())
            .collect();
        assert_eq!(
            printed,
            [&format!("{text}|"), &format!("{text}\n"), *text],
            "{text}"
        );
    }
    // What is recorded says the same: it is what a resume executes.
    let recorded = std::fs::read_to_string(env.last_run().join(".run/definition.json")).unwrap();
    assert!(recorded.contains(r#""1.10""#) && recorded.contains(r#""1234567e8""#));
}

#[test]
fn what_is_written_arrives_whatever_its_quotes_are() {
    let env = TestEnvironment::new();
    let mut elements = String::new();
    for (number, text) in TEXTS.iter().enumerate() {
        elements.push_str(&format!(
            "  - node: s{number}\n    type: command\n    settings: {{ commands: [[printf, '%s|', \"{text}\", '{text}', {text}]] }}\n",
        ));
    }
    yaml(&env, &elements);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    for (number, text) in TEXTS.iter().enumerate() {
        let stdout = outcome(&env, &format!("s{number}"))["results"][0]["stdout"].clone();
        assert_eq!(stdout, format!("{text}|{text}|{text}|"));
    }
}

#[test]
fn one_placeholder_alone_gives_text_where_text_is_wanted() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        r#"schema_version: 1
kind: flow
variables: { port: 8080, on: true, obj: { a: [1, "b c"] }, half: 1.5, all: { PORT: 8080, DEBUG: true }, dir: 7 }
elements:
  - { node: make, type: file_operation, settings: { base_directory: "$var{project_root}", operations: [
      { type: create_file, path: "$var{port}", content: "$var{obj}" },
      { type: create_file, path: "7/x", content: "$expr{ [1, 2] }" },
      { type: edit_file, path: "$var{port}", edits: [{ old_text: "b c", new_text: "$var{half}" }] } ] } }
  - { node: env, type: command, settings: { env_vars: { PORT: "$var{port}", ON: "$var{on}", OBJ: "$var{obj}" }, commands: ['echo $PORT $ON $OBJ'] } }
  - { node: all, type: command, settings: { env_vars: "$var{all}", commands: ['echo $PORT $DEBUG'] } }
  - { node: in, type: command, settings: { stdin: "$var{obj}", commands: [cat] } }
  - { node: where, type: command, settings: { working_dir: "$var{dir}", commands: ["mkdir -p 7; pwd"] }, on_error: continue }
  - { node: arg, type: command, settings: { commands: [[printf, "%s|", "$var{port}", "$var{on}", "$var{half}"]] } }
  - { node: prompt, type: ai_model_call, settings: { models: [openai/gpt-5], prompt: "$var{port}", system_instructions: "$var{on}", context: ["$var{half}"], model_call_config: { test_mode: true } } }
  - { node: text, type: ai_model_call, settings: { models: [openai/gpt-5], prompt: { text: "$var{obj}" }, model_call_config: { test_mode: true } } }
  - { node: find, type: folder_analyzer, settings: { base_directory: "$var{project_root}", operations: [{ operation_type: find_files, path: "$var{dir}" }] } }
"#,
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let stdout = |step: &str| outcome(&env, step)["results"][0]["stdout"].clone();
    let made = |path: &str| std::fs::read_to_string(env.project().join(path)).unwrap();
    assert_eq!(made("8080"), r#"{"a":[1,"1.5"]}"#);
    assert_eq!(made("7/x"), "[1,2]");
    assert_eq!(stdout("env"), "8080 true {\"a\":[1,\"b c\"]}\n");
    assert_eq!(stdout("all"), "8080 true\n");
    assert_eq!(stdout("in"), r#"{"a":[1,"b c"]}"#);
    assert_eq!(stdout("arg"), "8080|true|1.5|");
    assert_eq!(outcome(&env, "find")["results"][0]["files_found"], json!(["7/x"]));
    let failed =
        read_json(&env.last_run().join("flow_root/where/result.json"))["error"]["message"].to_string();
    assert!(
        failed.contains("/7`") && !failed.contains("invalid type"),
        "{failed}"
    );
}

#[test]
fn nothing_where_a_text_is_wanted_stays_an_error_in_words() {
    let cases = [
        (
            "env_vars: { A: '$expr{null}' }, commands: [ls]",
            "expected a text, found nothing",
        ),
        ("commands: '$expr{5}'", "expected a list, found `5`"),
        (
            "timeout: '$expr{[1]}', commands: [ls]",
            "expected a number, found a list",
        ),
    ];
    for (settings, wanted) in cases {
        let env = TestEnvironment::new();
        yaml(
            &env,
            &format!("  - {{ node: s, type: command, settings: {{ {settings} }} }}\n"),
        );
        let output = env.run(&["run", "flow", "flow.yaml"]).expect(1).to_string();
        assert!(output.contains(wanted), "{output}");
        for word in ["untagged", "u64", "struct", "variant", "sequence", "invalid type"] {
            assert!(!output.contains(word), "{output}");
        }
    }
}

#[test]
fn operations_of_a_template_are_refused_in_words() {
    let env = TestEnvironment::new();
    let template = "\"$expr{py: [{'type': 'create_file', 'path': 5, 'content': {'a': 1}}]}\"";
    yaml(
        &env,
        &format!(
            "  - {{ node: s, type: file_operation, settings: {{ operations_template: {template} }} }}\n"
        ),
    );
    let output = env.run(&["run", "flow", "flow.yaml"]).expect(1).to_string();
    assert!(output.contains("expected a text, found a mapping"), "{output}");
    assert!(
        !output.contains("path"),
        "a number is the text of a path: {output}"
    );
}

#[test]
fn a_number_whose_text_is_another_is_reported_where_it_becomes_a_text() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nvariables: { version: 1.10, limit: 2.50, half: 1.5 }\nelements:\n  \
         - { node: s, type: command, settings: { commands: ['echo v$var{version} $var{half}'], timeout: '$var{limit}' } }\n",
    );
    let output = env.run(&["validate", "flow.yaml"]).expect(0).to_string();
    assert!(
        output.contains("warning[ambiguous_text]") && output.contains("`1.10`"),
        "{output}"
    );
    assert!(!output.contains("2.50`") && !output.contains("`1.5`"), "{output}");
}

#[test]
fn a_variable_is_named_in_letters_of_any_script() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nrequired: [größe]\nvariables: { 名前: \"$var{größe} m\" }\n\
         output: \"$var{名前}, $expr{größe + '!'}\"\nelements:\n  \
         - { node: s, type: command, settings: { commands: ['echo $var{größe}'] } }\n",
    );
    let output = env
        .run(&["run", "flow", "flow.yaml", "--var", "größe=3"])
        .expect(0);
    assert!(output.to_string().contains("3 m, 3!"), "{output}");
    env.write(
        "bad.yaml",
        "schema_version: 1\nkind: flow\nvariables: { \"gro\u{308}\": 1 }\nelements: []\n",
    );
    let output = env.run(&["validate", "bad.yaml"]).expect(2).to_string();
    assert!(output.contains("letters of any script"), "{output}");
}

#[test]
fn settings_of_a_tool_are_texts_where_its_node_wants_them() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        r#"schema_version: 1
kind: flow
variables: { port: 8080 }
elements:
  - node: ask
    type: ai_model_call
    settings:
      models: [openai/gpt-5]
      prompt: hi
      model_call_config:
        test_mode: true
        tools: [{ node: command, name: run, settings: { env_vars: { PORT: "$var{port}", VERSION: 1.10 } } }]
"#,
    );
    let output = env.run(&["render", "flow.yaml", "ask"]).expect(0).to_string();
    assert!(output.contains(r#"PORT: "8080""#), "{output}");
    assert!(output.contains(r#"VERSION: "1.10""#), "{output}");
}
