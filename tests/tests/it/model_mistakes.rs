//! Mistakes in model calls that are found before anything executes, and answers that models give in forms of their own.

use crate::harness::TestEnvironment;

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
