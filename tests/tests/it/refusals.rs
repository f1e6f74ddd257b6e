//! What is refused before anything is made: exit code 2, a message that names the nearest valid thing, and no new file
//! or directory, not even a run root.

use dhenara::{FlowBuilder, RunError, RunId};

use crate::harness::TestEnvironment;
use crate::nodes::{TalkerSettings, context};

const AGENT: &str = r#"schema_version: 1
kind: agent
root_id: greeter_root
variables: { name: world }
elements:
  - flow: first
    elements:
      - { node: greet, type: command, settings: { commands: [[echo, "Hello, $expr{name}!"]] } }
      - { node: code_ops, type: command, settings: { commands: [[echo, one]] } }
  - flow: second
    elements:
      - { node: greet, type: command, settings: { commands: [[echo, two]] } }
"#;

/// A project with one agent.
fn project() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("agents/greeter/agent.yaml", AGENT);
    env
}

/// The same with one run of it.
fn project_with_run() -> TestEnvironment {
    let env = project();
    let _ = env.run(&["run", "agent", "greeter"]).expect(0);
    env
}

const GREETER: [&str; 3] = ["run", "agent", "greeter"];

#[track_caller]
fn refused(env: &TestEnvironment, more: &[&str]) -> crate::harness::CommandOutput {
    env.refused(&[&GREETER, more].concat())
}

/// A project whose flow file has these elements.
fn flow(elements: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &format!("schema_version: 1\nkind: flow\nelements:\n{elements}"));
    env
}

const FLOW: [&str; 3] = ["run", "flow", "flow.yaml"];

#[test]
fn an_agent_that_is_not_there() {
    let env = project();
    insta::assert_snapshot!(env.refused(&["run", "agent", "greter"]), @"");
    insta::assert_snapshot!(env.refused(&["run", "agent", "../greeter"]), @"");
    let empty = TestEnvironment::new();
    insta::assert_snapshot!(empty.refused(&["run", "agent", "greeter"]), @"");
}

#[test]
fn a_project_that_cannot_be_read() {
    let env = project();
    insta::assert_snapshot!(refused(&env, &["--project-root", "nowhere"]), @"");
    insta::assert_snapshot!(refused(&env, &["--project-root", "agents/greeter/agent.yaml"]), @"");
    let outside = TestEnvironment::without_project();
    insta::assert_snapshot!(outside.refused(&GREETER), @"");
}

#[test]
fn a_flow_that_cannot_be_read() {
    let env = project();
    insta::assert_snapshot!(env.refused(&["run", "flow", "nowhere.yaml"]), @"");
    insta::assert_snapshot!(env.refused(&["run", "flow", "agents/greeter/agent.yaml"]), @"");
}

#[test]
fn a_previous_run_that_is_not_there() {
    let env = project_with_run();
    insta::assert_snapshot!(refused(&env, &["--previous-run-id", "run_20251123_141516_9f3a1c"]), @"");
    let id = env.last_run().file_name().unwrap().to_string_lossy().into_owned();
    let near = format!("{}x", &id[..id.len() - 1]);
    let output = refused(&env, &["--previous-run-id", &near]);
    assert!(output.stderr.contains(&format!("did you mean `{id}`?")), "{output}");
    insta::assert_snapshot!(refused(&project(), &["--previous-run-id", "last"]), @"");
}

#[test]
fn a_previous_run_of_another_definition() {
    let env = project_with_run();
    env.write("agents/other/agent.yaml", &AGENT.replace("greeter_root", "other_root"));
    let id = env.last_run().file_name().unwrap().to_string_lossy().into_owned();
    insta::assert_snapshot!(env.refused(&["run", "agent", "other", "--previous-run-id", &id]), @"");
}

#[test]
fn an_entry_point_that_names_no_step() {
    let env = project_with_run();
    let at = |entry| refused(&env, &["--previous-run-id", "last", "--entry-point", entry]);
    insta::assert_snapshot!(at("cod_ops"), @"");
    // An end of an id is no end of a path.
    insta::assert_snapshot!(at("ops"), @"");
    insta::assert_snapshot!(at("greet"), @"");
    insta::assert_snapshot!(at("first/greet"), @"");
}

#[test]
fn an_entry_point_without_a_previous_run() {
    insta::assert_snapshot!(refused(&project_with_run(), &["--entry-point", "first.greet"]), @"");
}

#[test]
fn an_entry_point_after_a_step_without_a_result() {
    let env = project();
    env.write("agents/greeter/agent.yaml", &AGENT.replace("[echo, one]", "[sh, -c, exit 1]"));
    let _ = env.run(&GREETER).expect(1);
    let more = ["--previous-run-id", "last", "--entry-point", "second.greet"];
    insta::assert_snapshot!(refused(&env, &more), @"");
}

#[test]
fn a_misspelt_key() {
    let env = project();
    env.write("agents/greeter/agent.yaml", &AGENT.replacen("settings:", "setings:", 1));
    insta::assert_snapshot!(refused(&env, &[]), @"");
    env.write("agents/greeter/agent.yaml", &AGENT.replacen("commands:", "comands:", 1));
    insta::assert_snapshot!(refused(&env, &[]), @"");
}

#[test]
fn ids_that_cannot_be_told_apart() {
    let step = |id: &str| format!("  - {{ node: {id}, type: command, settings: {{ commands: [[\"true\"]] }} }}\n");
    let same = flow(&(step("greet") + &step("greet")));
    insta::assert_snapshot!(same.refused(&FLOW), @"");
    let case = flow(&(step("greet") + &step("Greet")));
    insta::assert_snapshot!(case.refused(&FLOW), @"");
}

#[test]
fn ids_that_mean_something_else() {
    let ids = ["iter_0", "is_true", "is_false", "previous", "last", "static_inputs", "con", "a/b", "..", "a.b", ".run"];
    let step = |id: &str| format!("  - {{ node: {id:?}, type: command, settings: {{ commands: [[\"true\"]] }} }}\n");
    for id in ids {
        let output = flow(&step(id)).refused(&FLOW);
        assert!(output.stderr.contains(id), "{output}");
    }
    insta::assert_snapshot!(flow(&step("iter_0")).refused(&FLOW), @"");
    insta::assert_snapshot!(flow(&step("../../escape")).refused(&FLOW), @"");
    let root = TestEnvironment::new();
    root.write("flow.yaml", "schema_version: 1\nkind: flow\nroot_id: ../escape\nelements: []\n");
    let output = root.refused(&FLOW);
    assert!(output.stderr.contains("../escape"), "{output}");
}

#[test]
fn variables_that_do_not_fit() {
    let env = project();
    env.write("agents/greeter/agent.yaml", &AGENT.replace("variables:", "required: [task]\nvariables:"));
    insta::assert_snapshot!(refused(&env, &[]), @"");
    insta::assert_snapshot!(refused(&env, &["--var", "task=x", "--var", "nam=Ada"]), @"");
    insta::assert_snapshot!(refused(&env, &["--var", "task"]), @"");
    insta::assert_snapshot!(refused(&env, &["--var", "task=@nowhere.md"]), @"");
    insta::assert_snapshot!(refused(&env, &["--var-json", "task={"]), @"");
}

#[test]
fn inputs_that_do_not_fit() {
    let env = project();
    env.write("inputs.json", r#"{ "first.gret": { "env_vars": {} } }"#);
    insta::assert_snapshot!(refused(&env, &["--static-inputs", "inputs.json"]), @"");
    env.write("inputs.json", r#"{ "first.greet": { "env_vars": { "A": 1 } } }"#);
    insta::assert_snapshot!(refused(&env, &["--static-inputs", "inputs.json"]), @"");
    env.write("inputs.json", r#"{ "first.greet": "#);
    insta::assert_snapshot!(refused(&env, &["--static-inputs", "inputs.json"]), @"");
    insta::assert_snapshot!(refused(&env, &["--static-inputs", "nowhere.json"]), @"");
    insta::assert_snapshot!(refused(&env, &["--input", r#"first.greet={"env_var": {}}"#]), @"");
    insta::assert_snapshot!(refused(&env, &["--input", "greet={}"]), @"");
    insta::assert_snapshot!(refused(&env, &["--input", "first.greet=echo"]), @"");
}

#[test]
fn an_input_directory_that_is_not_there() {
    let env = project();
    insta::assert_snapshot!(refused(&env, &["--input-dir", "nowhere"]), @"");
}

#[test]
fn an_environment_that_is_not_there() {
    let env = project();
    env.write(".dhenara/config.yaml", "environments: { default: {}, offline: {} }\n");
    insta::assert_snapshot!(refused(&env, &["--env", "ofline"]), @"");
    env.write(".dhenara/config.yaml", "environments: { offline: { casette: tape } }\n");
    insta::assert_snapshot!(refused(&env, &["--env", "offline"]), @"");
}

#[test]
fn a_run_root_that_cannot_be_written() {
    let env = project();
    env.write("runs", "this is a file");
    insta::assert_snapshot!(refused(&env, &[]), @"");
}

#[test]
fn a_run_root_that_leads_elsewhere() {
    let env = project();
    insta::assert_snapshot!(refused(&env, &["--run-root-subpath", "../elsewhere"]), @"");
    insta::assert_snapshot!(refused(&env, &["--run-id-prefix", "../elsewhere"]), @"");
}

#[tokio::test]
async fn a_run_id_that_is_taken() {
    let env = TestEnvironment::new();
    let flow = FlowBuilder::new().node("one", TalkerSettings::node("x")).build().unwrap();
    let id: RunId = "by_hand".parse().unwrap();
    let set_up = || context("flow_root", &env.project()).run_id(id.clone()).build().unwrap().setup_run(&flow);
    let first = set_up().unwrap();
    let error = set_up().unwrap_err();
    assert!(matches!(error, RunError::RunExists(_)), "{error}");
    assert_eq!(error.code(), "run_exists");
    insta::assert_snapshot!(error, @"");
    assert_eq!(env.runs().len(), 1);
    let _ = first.complete_run(dhenara::RunStatus::Completed, None).await.unwrap();
    assert!(set_up().is_err());
    for bad in ["../escape", "", "global_data", ".hidden", "a/b"] {
        assert!(bad.parse::<RunId>().is_err(), "{bad}");
    }
}

#[test]
fn control_flow_that_this_version_has_no_road_for() {
    let node = "{ node: say, type: command, settings: { commands: [[\"true\"]] } }";
    for (key, rest) in [
        ("for_each", format!("statement: \"$expr{{[1, 2]}}\", body: [{node}]")),
        ("repeat", format!("until: \"$expr{{true}}\", max_iterations: 2, body: [{node}]")),
        ("conditional", format!("statement: \"$expr{{true}}\", true_branch: [{node}]")),
        ("parallel", format!("elements: [{node}]")),
        ("callback", "function: notify".to_owned()),
    ] {
        let output = flow(&format!("  - {{ {key}: some, {rest} }}\n")).refused(&FLOW);
        assert!(output.stderr.contains(&format!("`{key}`")), "{output}");
    }
    let one = flow(&format!("  - for_each: all\n    statement: \"$expr{{[1, 2]}}\"\n    body: [{node}]\n"));
    insta::assert_snapshot!(one.refused(&FLOW), @"");
}

#[test]
fn a_placeholder_in_a_string_for_a_shell() {
    let env = flow("  - node: say\n    type: command\n    settings:\n      commands: [\"echo $expr{name}\"]\n");
    insta::assert_snapshot!(env.refused(&FLOW), @"");
}

#[test]
fn settings_that_this_version_does_not_have() {
    let env = flow(
        "  - node: ask\n    type: ai_model_call\n    settings:\n      models: [openai/gpt-5.1]\n      prompt: Hello\n      model_call_config: { tools: [] }\n",
    );
    insta::assert_snapshot!(env.refused(&FLOW), @"");
}

#[test]
fn a_template_that_cannot_be_evaluated_is_found_before_the_run() {
    let env = flow(
        "  - node: say\n    type: command\n    settings: { commands: [[echo, \"$expr{nobody}\", \"$hier{later}\", \"$expr{1 +}\"]] }\n  - { node: later, type: command, settings: { commands: [[\"true\"]] } }\n",
    );
    insta::assert_snapshot!(env.refused(&FLOW), @"");
}

#[test]
fn options_that_are_not_there() {
    let env = project();
    insta::assert_snapshot!(refused(&env, &["--entry-piont", "x"]), @"");
}
