//! Mistakes in definitions.

use insta::assert_snapshot;

use super::Said;
use crate::harness::TestEnvironment;

const HEAD: &str = "schema_version: 1\nkind: flow\nvariables: { tone: calm, list: [1, 2] }\n";

/// All that is said about definitions that have these lines below the head.
fn said(bodies: &[&str]) -> String {
    let env = TestEnvironment::new();
    let mut said = Said::in_(&env);
    for body in bodies {
        said.in_definition(&format!("{HEAD}{body}\n"));
    }
    said.all()
}

#[test]
fn indentation_and_quotes() {
    assert_snapshot!(said(&[
        "elements:\n  - node: a\n\ttype: command",
        "elements:\n  - node: a\n    type: command\n   settings:\n      commands: [[ls]]",
        "elements:\n  - node: a\n    type: command\n    settings:\n      commands:\n        - echo one: two: three",
        "elements:\n  - node: a\n    type: command\n    settings: { commands: [\"echo one] }",
        "elements:\n  - { node: a, type: command, settings: { commands: [[echo, $var{tone}]] } }",
        "elements:\n  - *step",
        "elements:\n  - &step { node: a, type: command, settings: { commands: [[ls]] } }",
        "elements:\n  - { node: a, type: !command x, settings: { commands: [[ls]] } }",
        "elements:\n  - node: a\n    type: command\n    type: command\n    settings: { commands: [[ls]] }",
        "elements:\n  - { node: a, type: command, settings: { commands: [[ls]] }",
    ]));
}

#[test]
fn keys_and_their_places() {
    assert_snapshot!(said(&[
        "steps:\n  - { node: a, type: command, settings: { commands: [[ls]] } }",
        "elements: []\ndescripton: x\nwhatever: x",
        "elements:\n  - { name: a, type: command, settings: { commands: [[ls]] } }",
        "elements:\n  - { node: a, type: command, commands: [[ls]] }",
        "elements:\n  - { node: a, type: command, settings: { cwd: /tmp, commands: [[ls]] } }",
        "elements:\n  - { node: a, type: command, variables: { x: 1 }, settings: { commands: [[ls]] } }",
        "elements:\n  - { node: a, type: shell, settings: { commands: [[ls]] } }",
        "elements:\n  - { node: a, subflow: b, type: command, settings: { commands: [[ls]] } }",
        "elements:\n  - for_each: a\n    items: [1, 2]\n    body: []",
        "elements:\n  - repeat: a\n    body:\n      - { node: b, type: command, settings: { commands: [[ls]] } }",
        "elements:\n  - { node: a, type: command, settings: { commands: [[ls]] } }\n  - { node: a, type: command, settings: { commands: [[ls]] } }",
    ]));
}

#[test]
fn types_of_values() {
    assert_snapshot!(said(&[
        "elements: all",
        "elements:\n  a: { type: command, settings: { commands: [[ls]] } }",
        "elements:\n  - { node: 1, type: command, settings: { commands: [[ls]] } }",
        "elements:\n  - { node: , type: command, settings: { commands: [[ls]] } }",
        "elements:\n  - { node: my step, type: command, settings: { commands: [[ls]] } }",
        "elements:\n  - { node: a, type: command, settings: ls }",
        "elements:\n  - { node: a, type: command, settings: { commands: ls } }",
        "elements:\n  - { node: a, type: command, settings: { commands: [[ls]], timeout: soon } }",
        "elements:\n  - { node: a, type: command, on_error: ignore, settings: { commands: [[ls]] } }",
        "elements:\n  - { node: a, type: command, retry: 3, settings: { commands: [[ls]] } }",
    ]));
}

#[test]
fn heads_of_files() {
    let env = TestEnvironment::new();
    let mut said = Said::in_(&env);
    let element = "elements:\n  - { node: a, type: command, settings: { commands: [[ls]] } }\n";
    said.in_definition("")
        .in_definition("# nothing yet\n")
        .in_definition("hello\n")
        .in_definition("- a\n- b\n")
        .in_definition(&format!("kind: flow\n{element}"))
        .in_definition(&format!("schema_version: 1\n{element}"))
        .in_definition(&format!("schema_version: \"1\"\nkind: flow\n{element}"))
        .in_definition(&format!("schema_version: 9\nkind: flow\n{element}"))
        .in_definition(&format!("schema_version: 1\nkind: workflow\n{element}"))
        .in_definition(&format!("schema_version: 1\nkind: agent\n{element}"))
        .in_definition("schema_version: 1\nkind: flow\n")
        .in_definition(&format!(
            "schema_version: 1\nkind: flow\n{element}---\nkind: flow\n"
        ));
    assert_snapshot!(said.all());
}

/// All that is said about definitions with these texts in a step behind the step `a`.
fn about_texts(texts: &[&str]) -> String {
    let bodies: Vec<String> = texts
        .iter()
        .map(|text| {
            format!(
                "elements:\n  - {{ node: a, type: command, settings: {{ commands: [[ls]] }} }}\n  - node: b\n    type: ai_model_call\n    settings:\n      \
                 models: [ollama/x]\n      prompt: '{text}'"
            )
        })
        .collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    said(&bodies)
}

#[test]
fn placeholders() {
    assert_snapshot!(about_texts(&[
        "$var{tne}",
        "$var{}",
        "$var{tone",
        "$hier{a}.outcome",
        "$hier{c}",
        "$hier{b}",
        "$expr{ $hier{a}.outcome",
        "$expr{ tone | upper }",
        "$expr{ if tone then 1 else 2 }",
        "$expr{ list.0 }",
        "$expr{ tone = 1 }",
        "$expr{ lenn(list) }",
        "$expr{ tone + }",
    ]));
}

#[test]
fn placeholders_of_other_tools() {
    assert_snapshot!(about_texts(&[
        "Be {{ tone }}.",
        "Be {{tone}}, ${tone} and $tone.",
        "Be $vars{tone}.",
        "Be $VAR{tone}.",
        "Be $var(tone).",
    ]));
    // What a shell, a page of documentation or another template engine understands is left as it is.
    let env = TestEnvironment::new();
    let flow = "elements:\n  - { node: a, type: command, settings: { commands: [\"tone=loud; echo $tone ${tone} $(ls) $$ {{.Name}} ${{ tone }}\"] } }\n  \
                - { node: b, type: command, settings: { commands: [[echo, \"$5 {{ other }} ${other} $other(x) $$var{tone}\"]] } }\n";
    env.write("flow.yaml", &format!("{HEAD}{flow}"));
    assert_snapshot!(env.unchanged(&["validate", "flow.yaml"]), @"
    flow.yaml: valid, 2 steps
    ---- exit code 0
    ");
}
