//! Mistakes in model calls that are found before anything executes, and answers that models give in forms of their own.

use serde_json::{Value, json};

use crate::harness::{TestEnvironment, read_json};
use crate::models::{Scripted, calls, says};

fn flow(settings: &str) -> String {
    format!(
        "schema_version: 1\nkind: flow\nelements:\n  - node: ask\n    type: ai_model_call\n    settings: {{ {settings} }}\n"
    )
}

fn validated(settings: &str) -> (Option<i32>, String) {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &flow(settings));
    let said = env.run(&["validate", "flow.yaml"]);
    (said.code, said.stderr)
}

#[test]
fn options_that_a_model_does_not_take_are_no_valid_definition() {
    let tool =
        "{ name: look, command: [ls], parameters: { type: object, additionalProperties: { type: string } } }";
    for (model, config, wrong) in [
        ("anthropic/claude-opus-4-8", "options: { seed: 3 }", "`seed`"),
        ("openai/gpt-5.5", "options: { top_k: 3 }", "`top_k`"),
        (
            "anthropic/claude-opus-4-8",
            &format!("options: {{ strict: true }}, tools: [{tool}]"),
            "the schema of the tool `look`",
        ),
        (
            "openai/gpt-5.5",
            "options: { strict: true }, structured_output: { schema: { type: object, additionalProperties: { type: string } } }",
            "the schema of the answer",
        ),
        (
            "anthropic/claude-haiku-4-5",
            &format!("tool_choice: required, reasoning_effort: low, tools: [{tool}]"),
            "call a tool",
        ),
    ] {
        let (code, said) = validated(&format!(
            "models: [{model}], prompt: Hi, model_call_config: {{ {config} }}"
        ));
        assert_eq!(code, Some(2), "{config}: {said}");
        assert!(
            said.contains("`flow_root.ask`") && said.contains(wrong),
            "{config}: {said}"
        );
    }
    for config in [
        "options: { seed: \"$var{element_id}\" }",
        "options: { strict: true }, tools: [{ name: look, node: folder_analyzer }], tool_choice: { name: look }",
        "options: { strict: true }, tools: [{ name: look, command: [ls], parameters: \"$expr{ {'type': 'object'} }\" }]",
    ] {
        let (code, said) = validated(&format!(
            "models: [openai/gpt-5.5], prompt: Hi, model_call_config: {{ {config} }}"
        ));
        assert_eq!(code, Some(0), "{config}: {said}");
    }
}

#[test]
fn a_conversation_that_asks_nothing_is_no_valid_definition() {
    for (settings, wrong) in [
        ("prompt: \"\"", "the prompt is blank"),
        ("prompt: \"  \"", "the prompt is blank"),
        ("prompt: { text: \"\" }, context: [Before]", "the prompt is blank"),
        (
            "prompt: { role: system, text: Be kind. }",
            "no message of the conversation is a user's",
        ),
        (
            "prompt: { role: assistant, text: Well }, context: [{ role: system, text: Be kind. }]",
            "is a user's",
        ),
    ] {
        let (code, said) = validated(&format!("models: [ollama/m], {settings}"));
        assert_eq!(code, Some(2), "{settings}: {said}");
        assert!(
            said.contains("prompt") && said.contains(wrong),
            "{settings}: {said}"
        );
    }
    for settings in [
        "prompt: { text: \"\", files: [\"$var{project_root}/a.png\"] }",
        "prompt: { role: system, text: Be kind. }, context: [Hi]",
        "prompt: { role: assistant, text: \"{\" }, context: [Hi]",
        "prompt: \"$var{element_id}\"",
    ] {
        let (code, said) = validated(&format!("models: [ollama/m], {settings}"));
        assert_eq!(code, Some(0), "{settings}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_is_rendered_blank_is_not_sent() {
    let scripted = Scripted::new(vec![says("Done.")]).await;
    let blank =
        "models: [local/tiny], prompt: { text: \" $var{what}\", variables: { what: { default: \"\" } } }";
    scripted.env.write("flow.yaml", &flow(blank));
    let failed = scripted.run(&[]).expect(1);
    assert!(failed.stderr.contains("the prompt is blank"), "{failed}");
    assert!(scripted.asked().await.is_empty());
}

/// A tool whose program writes down its argument.
fn noting(word: &str, parameters: &str) -> String {
    flow(&format!(
        "models: [local/tiny], prompt: Do it., model_call_config: {{ tools: [{{ name: note, command: [sh, -c, 'printf %s \"$1\" > \
         \"$2\"', sh, '{word}', \"$var{{project_root}}/noted\"], parameters: {parameters} }}] }}"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_braces_that_nothing_gives_never_reaches_a_program() {
    let call = || vec![calls("note", &json!({ "dir": "src" })), says("Done.")];
    let declared = "{ type: object, properties: { dir: { type: string } } }";
    let late = "\"$expr{ {'type': 'object', 'properties': {'dir': {}}} }\"";
    for (word, parameters, wrong) in [
        ("{x}", "{ type: object }", "`{x}` stands for no parameter"),
        (
            "--dir={dri}",
            declared,
            "`{dri}` in `--dir={dri}` stands for no parameter",
        ),
        ("--dir={dir}", declared, "`{dir}` stands inside `--dir={dir}`"),
        ("$var{element_id}/{dir}", declared, "stands beside a value"),
        (
            "{x}",
            "{ allOf: [{ properties: { dir: {} } }] }",
            "`{x}` stands for no parameter",
        ),
    ] {
        let scripted = Scripted::new(call()).await;
        scripted.env.write("flow.yaml", &noting(word, parameters));
        let refused = scripted.env.run(&["validate", "flow.yaml"]).expect(2);
        assert!(refused.stderr.contains(wrong), "{word}: {refused}");
    }
    // Only the rendered schema shows it.
    for word in ["{x}", "--dir={dir}"] {
        let scripted = Scripted::new(call()).await;
        scripted.env.write("flow.yaml", &noting(word, late));
        drop(scripted.env.run(&["validate", "flow.yaml"]).expect(0));
        let failed = scripted.run(&[]).expect(1);
        assert!(
            failed.stderr.contains("in the `command` of the tool `note`"),
            "{failed}"
        );
        assert!(scripted.asked().await.is_empty() && !scripted.env.project().join("noted").exists());
    }
    for (word, parameters, noted) in [
        (
            "{dir}",
            "{ allOf: [{ properties: { dir: { type: string } } }] }",
            "src",
        ),
        (
            "{dir}",
            "{ $ref: \"#/$defs/a\", $defs: { a: { properties: { dir: {} } } } }",
            "src",
        ),
        ("{dir}", late, "src"),
        ("@{{u}}", declared, "@{u}"),
        ("{\"dir\":1}", declared, "{\"dir\":1}"),
        ("${dir}", declared, "${dir}"),
        // What is inserted is no parameter.
        ("$expr{ \"{dir}\" }", declared, "{dir}"),
        ("$expr{ \"{x}\" }", declared, "{x}"),
    ] {
        let scripted = Scripted::new(call()).await;
        scripted.env.write("flow.yaml", &noting(word, parameters));
        drop(scripted.run(&[]).expect(0));
        let written = std::fs::read_to_string(scripted.env.project().join("noted")).unwrap();
        assert_eq!(written, noted, "{word}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_tool_stays_forced_until_a_call_was_made() {
    let answers = vec![
        calls("note", &json!({ "dir": 3 })),
        calls("note", &json!({ "dir": "src" })),
        says("Done."),
    ];
    let scripted = Scripted::new(answers).await;
    let text = noting("{dir}", "{ type: object, properties: { dir: { type: string } } }");
    let text = text.replace(
        "model_call_config: {",
        "model_call_config: { tool_choice: required,",
    );
    scripted.env.write("flow.yaml", &text);
    drop(scripted.run(&[]).expect(0));
    let asked = scripted.asked().await;
    let choices: Vec<&Value> = asked.iter().map(|request| &request["tool_choice"]).collect();
    assert_eq!(choices, ["required", "required", "auto"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn thinking_at_the_beginning_of_a_text_is_reasoning() {
    for (answer, text, reasoning) in [
        (
            "<think>\nIt is late.\n</think>\n\nHello",
            "Hello",
            Some("It is late."),
        ),
        ("\n<think>a</think>b</think>", "b</think>", Some("a")),
        ("Hello <think>x</think>", "Hello <think>x</think>", None),
        ("<think>Hello", "<think>Hello", None),
    ] {
        let scripted = Scripted::new(vec![says(answer)]).await;
        scripted
            .env
            .write("flow.yaml", &flow("models: [local/tiny], prompt: Hi"));
        drop(scripted.run(&[]).expect(0));
        let step = scripted.env.last_run().join("flow_root/ask");
        assert_eq!(read_json(&step.join("outcome.json"))["text"], text);
        let response = read_json(&step.join("result.json"))["output"]["data"]["response"].clone();
        assert_eq!(response["reasoning"], json!(reasoning), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_answer_needs_no_repair_for_a_property_left_out() {
    let scripted = Scripted::new(vec![says("```json\n{\"a\": 1, \"b\": null}\n```\n{\"a\": 2}")]).await;
    let schema = "{ type: object, required: [a], properties: { a: { type: integer }, b: { type: string } } }";
    let asks = flow(&format!(
        "models: [local/tiny], prompt: Hi, model_call_config: {{ structured_output: {{ schema: {schema} }} }}"
    ));
    scripted.env.write("flow.yaml", &asks);
    drop(scripted.run(&[]).expect(0));
    assert_eq!(scripted.asked().await.len(), 1);
    let outcome = read_json(&scripted.env.last_run().join("flow_root/ask/outcome.json"));
    assert_eq!(outcome["structured"], json!({ "a": 1 }));
}
