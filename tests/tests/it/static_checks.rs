//! A definition that cannot work is refused before anything executes, and no hint leads into the next error.

use insta::assert_snapshot;

use crate::harness::{CommandOutput, TestEnvironment};

const RUN: [&str; 3] = ["run", "flow", "flow.yaml"];

/// A flow with an effect and a model call behind it.
fn flow(models: &str, more: &str) -> String {
    format!(
        "schema_version: 1\nkind: flow\nelements:\n  - {{ node: deploy, type: command, settings: {{ commands: [\"echo done > $var{{project_root}}/effect\"] }} }}\n  \
         - node: ask\n    type: ai_model_call\n{more}    settings: {{ models: {models}, prompt: Hello }}\n"
    )
}

/// Refuses the flow by each command, and makes no run.
fn refused(env: &TestEnvironment, code: &str) {
    for args in [&RUN[..], &[&RUN[..], &["--dry-run"]].concat()] {
        let said = env.run(args).expect(2);
        assert!(
            said.stderr.contains(&format!("error[{code}]: `flow_root.ask`")),
            "{said}"
        );
    }
    assert!(env.runs().is_empty());
    assert!(!env.project().join("effect").exists());
    let said = env.run(&["validate", "flow.yaml"]);
    match code {
        "no_credentials" => assert!(
            said.expect(0).stderr.starts_with("warning: `flow_root.ask`"),
            "a key may be elsewhere"
        ),
        code => assert!(
            said.expect(2)
                .stderr
                .contains(&format!("error[{code}]: `flow_root.ask`"))
        ),
    }
}

#[test]
fn models_that_cannot_be_asked_are_refused_before_the_first_step() {
    let env = TestEnvironment::new();
    for (models, code) in [
        ("[opnai/gpt-5.5]", "unknown_provider"),
        ("[gpt-5]", "unknown_model"),
        ("[openai/gpt-5.5]", "no_credentials"),
        ("[openai/gpt-5.5, opnai/gpt-5.5]", "no_credentials"),
    ] {
        env.write("flow.yaml", &flow(models, ""));
        refused(&env, code);
    }
    assert_snapshot!(env.refused(&RUN), @r#"
    ---- stderr
    error[no_credentials]: `flow_root.ask`: there is no API key for `openai`; the provider `opnai` of `opnai/gpt-5.5` is not known, did you mean `openai/gpt-5.5`?; known are anthropic, cerebras, deepseek, fireworks_ai, gemini, google, groq, mistral, moonshot, ollama, openai, openrouter, perplexity, together_ai, xai
      hint: set OPENAI_API_KEY, or write into [root]/project/.dhenara/.secrets/.credentials.yaml:
            openai:
              api_key: …
    ---- exit code 2
    "#);
    env.write("flow.yaml", &flow("[opnai/gpt-5.5]", ""));
    let said = env.run(&RUN).expect(2);
    assert!(said.stderr.contains("did you mean `openai/gpt-5.5`?"), "{said}");
}

#[test]
fn one_model_that_can_be_asked_is_enough() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &flow("[openai/gpt-5.5, ollama/x]", ""));
    drop(env.run(&[&RUN[..], &["--dry-run"]].concat()).expect(0));
    // An input may name another model.
    env.write(
        "flow.yaml",
        &flow("[openai/gpt-5.5]", "    pre_events: [node_input_required]\n"),
    );
    drop(env.run(&[&RUN[..], &["--dry-run"]].concat()).expect(0));
    // What is made up needs none.
    let made_up = flow("[openai/gpt-5.5]", "").replace(
        "prompt: Hello",
        "prompt: Hello, model_call_config: { test_mode: true }",
    );
    env.write("flow.yaml", &made_up);
    drop(env.run(&RUN).expect(0));
}

#[test]
fn a_re_run_that_asks_no_model_needs_no_key() {
    let env = TestEnvironment::new();
    let text = flow("[openai/gpt-5.5]", "").replace(
        "prompt: Hello",
        "prompt: Hello, model_call_config: { test_mode: true }",
    );
    env.write("flow.yaml", &text);
    drop(env.run(&RUN).expect(0));
    env.write("flow.yaml", &text.replace("test_mode: true", "test_mode: false"));
    let again = |more: &[&str]| env.run(&[&RUN[..], &["--previous-run-id", "last"], more].concat());
    let refused = again(&[]).expect(2);
    assert!(
        refused.stderr.contains("error[no_credentials]: `flow_root.ask`"),
        "{refused}"
    );
    env.write("flow.yaml", &text);
    let said = again(&["--execute", "deploy"]).expect(0);
    assert!(said.stderr.contains("↺ ask"), "{said}");
}

fn said(env: &TestEnvironment, elements: &str, more: &str) -> CommandOutput {
    env.write(
        "flow.yaml",
        &format!(
            "schema_version: 1\nkind: flow\nvariables: {{ n: 3, list: [1] }}\nelements:\n{elements}{more}"
        ),
    );
    env.run(&["validate", "flow.yaml"])
}

const STEP: &str = "      - { node: a, type: command, settings: { commands: [[\"true\"]] } }\n";

#[test]
fn what_can_only_be_a_text_is_no_condition_and_no_list() {
    let env = TestEnvironment::new();
    let conditional = |statement: &str| {
        said(
            &env,
            &format!("  - conditional: c\n    statement: {statement}\n    true_branch:\n{STEP}"),
            "",
        )
    };
    for (statement, right) in [
        (r#""$var{n} > 2""#, "`$expr{ $var{n} > 2 }`"),
        (r#""$expr{ n } > 2""#, "`$expr{ (n) > 2 }`"),
        (r#""n > 2""#, "`$expr{ n > 2 }`"),
        (r#"" $expr{ n > 2 } ""#, "`$expr{ n > 2 }`"),
        ("|\n      $expr{ n > 2 }\n", "`$expr{ n > 2 }`"),
    ] {
        let refused = conditional(statement).expect(2);
        assert!(
            refused.stderr.contains("can only be a text, never true or false"),
            "{refused}"
        );
        assert!(refused.stderr.contains(right), "{refused}");
        // The hint is right.
        drop(conditional(&format!("\"{}\"", right.trim_matches('`'))).expect(0));
    }
    let for_each = |statement: &str| {
        said(
            &env,
            &format!("  - for_each: l\n    statement: {statement}\n    body:\n{STEP}"),
            "",
        )
    };
    for statement in ["\"a,b\"", "\"$var{list}\\n\"", "\"$var{list} $var{list}\""] {
        let refused = for_each(statement).expect(2);
        assert!(
            refused.stderr.contains("can only be a text, never a list"),
            "{refused}"
        );
    }
    drop(for_each("\"$var{list}\"").expect(0));
    let repeat = said(
        &env,
        &format!(
            "  - repeat: r\n    until: \"$hier{{a}}.outcome\"\n    max_iterations: 2\n    body:\n{STEP}"
        ),
        "",
    );
    let repeat = repeat.expect(2);
    assert!(repeat.stderr.contains("write `$expr{ $hier{a}… }`"), "{repeat}");
}

#[test]
fn the_hint_for_a_step_behind_a_conditional_names_it() {
    let env = TestEnvironment::new();
    let elements = "  - subflow: write\n    elements:\n      - conditional: anything\n        statement: true\n        true_branch:\n          \
                    - { node: save, type: command, settings: { commands: [[\"true\"]] } }\n";
    let refused = said(&env, elements, "output: \"$expr{ $hier{write.save}.outcome }\"\n").expect(2);
    assert!(
        refused.stderr.contains("did you mean `write.anything.save`?"),
        "{refused}"
    );
    drop(
        said(
            &env,
            elements,
            "output: \"$expr{ $hier{write.anything.save}.outcome }\"\n",
        )
        .expect(0),
    );
    // A field behind the name of a step is still told as that.
    let refused = said(&env, elements, "output: \"$expr{ $hier{save.outcome} }\"\n").expect(2);
    assert!(
        refused
            .stderr
            .contains("only the name stands in the braces: `$hier{save}.outcome`"),
        "{refused}"
    );
}

#[test]
fn a_template_that_fails_says_where_it_stands_and_what_there_is() {
    let env = TestEnvironment::new();
    let failed = |expression: &str, more: &str| {
        env.write(
            "flow.yaml",
            &format!(
                "schema_version: 1\nkind: flow\nvariables: {{ spec: {{ checks: [1], name: x }} }}\nelements:\n{STEP}  - {{ node: b, type: \
                 command, settings: {{ commands: [[echo, \"$expr{{ {expression} }}\"]] }} }}\n{more}"
            )
            .replace("      - { node: a", "  - { node: a"),
        );
        let said = env.run(&RUN).expect(1).stderr;
        let lines = said.lines().skip_while(|line| !line.starts_with("  error "));
        lines
            .take_while(|line| !line.starts_with("  artifacts"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_snapshot!(failed("$hier{a}.outcome.results[0].stdot", ""), @r#"
    error     flow_root.b: cannot evaluate `commands[0][1]` (flow.yaml:6:69): no key `stdot`
    hint      did you mean `stdout`? it has `command`, `returncode`, `stdout`, `stderr`, `success`
    "#);
    assert_snapshot!(failed("spec.chekcs", ""), @r#"
    error     flow_root.b: cannot evaluate `commands[0][1]` (flow.yaml:6:69): no key `chekcs`
    hint      did you mean `checks`? it has `checks`, `name`
    "#);
    assert_snapshot!(failed("spec.checks[3]", ""), @r#"
    error     flow_root.b: cannot evaluate `commands[0][1]` (flow.yaml:6:69): the index is outside a list
    hint      it has one item, whose index is 0
    "#);
    assert_snapshot!(failed("spec.name", "  - { subflow: s, variables: { y: \"$expr{ spec.zebra }\" }, elements: [ { node: c, type: command, settings: { commands: [[\"true\"]] } } ] }\n"), @r#"
    error     flow_root.s: cannot evaluate the variable `y` (flow.yaml:7:43): no key `zebra`
    hint      it has `checks`, `name`
    "#);
    assert_snapshot!(failed("spec.name", "  - { conditional: s, statement: \"$expr{ spec.nam == 1 }\", true_branch: [ { node: c, type: command, settings: { commands: [[\"true\"]] } } ] }\n"), @r#"
    error     flow_root.s: cannot evaluate `statement` (flow.yaml:7:42): no key `nam`
    hint      did you mean `name`? it has `checks`, `name`
    "#);
    assert_snapshot!(failed("spec.name", "output:\n  - 1\n  - |-\n    The first line.\n    $expr{ 1 / 0 }\n"), @"  error     cannot evaluate `output` (flow.yaml:11:12): division by zero");
}
