//! Rules that decide about approvals: of the definition, of the user, and for the rest of a run. Each decision is a record.

use std::path::Path;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment, read_json, records};
use crate::models::{Scripted, calls, says};
use crate::pty::{DOWN, ENTER, UP};

/// Commands that need approval, in a loop and behind it.
const FLOW: &str = r#"schema_version: 1
kind: flow
RULESelements:
  - for_each: all
    statement: [one, one, two]
    body:
      - { node: say, type: command, requires_approval: true, settings: { commands: [[echo, "$var{item}"]] } }
  - { node: finish, type: command, settings: { commands: [[echo, done]] } }
"#;

const RUN: [&str; 4] = ["run", "flow", "flow.yaml", "--no-input"];

fn environment(rules: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    let rules = match rules {
        "" => String::new(),
        rules => format!("approvals: {rules}\n"),
    };
    env.write("flow.yaml", &FLOW.replace("RULES", &rules));
    env
}

fn user_rules(env: &TestEnvironment, rules: &str) {
    let dir = env.path("home/.config/dhenara");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.yaml"), format!("approvals: {rules}\n")).unwrap();
}

/// The decisions, with their sources.
fn decided(run: &Path) -> Vec<(String, String, Value)> {
    let answered = records(run, "answered").into_iter();
    answered
        .map(|answer| {
            let path = answer["path"]
                .as_str()
                .unwrap()
                .trim_start_matches("flow_root.")
                .to_owned();
            let by = format!(
                "{}: {}",
                answer["by"].as_str().unwrap(),
                answer["source"].as_str().unwrap()
            );
            (path, by, answer["input"]["value"]["approve"].clone())
        })
        .collect()
}

fn refused(env: &TestEnvironment) -> String {
    let said: CommandOutput = env.unchanged(&["validate", "flow.yaml"]).expect(2);
    env.shown(&said.stderr)
}

#[test]
fn a_rule_of_the_definition_agrees_and_is_recorded() {
    let env = environment(
        "[{ element: say, arguments: { commands: [[echo, { $one_of: [one, two] }]] }, decision: allow }]",
    );
    drop(env.run(&RUN).expect(0));
    let run = env.last_run();
    let by = "rule: a rule of the definition".to_owned();
    let wanted: Vec<_> = (0..3)
        .map(|number| (format!("all.iter_{number}.say"), by.clone(), json!(true)))
        .collect();
    assert_eq!(decided(&run), wanted);
    let rule = &records(&run, "answered")[0]["rule"]["value"];
    assert_eq!(rule["decision"], "allow");
    assert_eq!(rule["element"], "say");
}

#[test]
fn an_allow_does_not_cover_what_it_does_not_name() {
    let env = environment("[{ node: command, arguments: { commands: [[echo, one]] }, decision: allow }]");
    let said = env.run(&RUN).expect(3);
    assert!(
        said.stderr.contains("asks      flow_root.all.iter_2.say"),
        "{said}"
    );
    assert_eq!(decided(&env.last_run()).len(), 2);
    // A setting that the rule does not name.
    let flow = FLOW
        .replace(
            "RULES",
            "approvals: [{ node: command, arguments: { commands: { $any: true } }, decision: allow }]\n",
        )
        .replace(
            "[[echo, \"$var{item}\"]] }",
            "[[echo, \"$var{item}\"]], working_dir: /tmp }",
        );
    env.write("flow.yaml", &flow);
    let said = env.run(&RUN).expect(3);
    assert!(
        said.stderr.contains("asks      flow_root.all.iter_0.say"),
        "{said}"
    );
}

#[test]
fn a_rule_of_the_user_is_above_the_definition_and_holds_without_requires_approval() {
    let env = environment("[{ node: command, decision: allow }]");
    user_rules(&env, "[{ agent: flow_root, element: finish, decision: ask }]");
    let said = env.run(&RUN).expect(3);
    assert!(said.stderr.contains("asks      flow_root.finish"), "{said}");
    user_rules(
        &env,
        "[{ node: command, arguments: { commands: [[echo, two]] }, decision: deny }]",
    );
    let said = env.run(&RUN).expect(1);
    assert_snapshot!(said.stderr.lines().find(|line| line.starts_with("  error")).unwrap(), @"  error     flow_root.all.iter_2.say: a rule of the user's configuration denies it");
    let last = decided(&env.last_run()).pop().unwrap();
    assert_eq!(
        last,
        (
            "all.iter_2.say".to_owned(),
            "rule: a rule of the user's configuration".to_owned(),
            json!(false)
        )
    );
    // Of another agent.
    user_rules(&env, "[{ agent: other_root, node: command, decision: deny }]");
    drop(env.run(&RUN).expect(0));
}

#[test]
fn a_rule_of_a_project_does_not_count() {
    let env = environment("");
    env.write(
        ".dhenara/config.yaml",
        "approvals: [{ node: command, decision: allow }]\n",
    );
    let said = env.run(&RUN).expect(2);
    assert!(said.stderr.contains("unknown key `approvals`"), "{said}");
}

#[test]
fn rules_that_cannot_be_meant_are_refused_with_their_place() {
    let env = environment(
        "[{ tol: x, decision: allow }, { tool: x }, { tool: x, arguments: { a: { $golb: y } }, decision: ask }, { decision: deny }]",
    );
    assert_snapshot!(refused(&env), @r#"
    flow.yaml:3:13: error[wrong_value]: a rule says what it is about: `tool`, `node` or `element`
      |
    3 | approvals: [{ tol: x, decision: allow }, { tool: x }, { tool: x, arguments: { a: { $golb: y } }, dec…
      |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^

    flow.yaml:3:15: error[unknown_key]: unknown key `tol`
      |
    3 | approvals: [{ tol: x, decision: allow }, { tool: x }, { tool: x, arguments: { a: { $golb: y } }, dec…
      |               ^^^
      = hint: did you mean `tool`?

    flow.yaml:3:44: error[missing_key]: the key `decision` is missing
      |
    3 | … [{ tol: x, decision: allow }, { tool: x }, { tool: x, arguments: { a: { $golb: y } }, decision: ask…
      |                                   ^^^^
      = hint: write `decision: allow`, `ask` or `deny`

    flow.yaml:3:55: error[wrong_value]: `$golb` is not known, did you mean `$glob`?; there are $any, $glob, $one_of, $each, $some, $rest
      |
    3 | … decision: allow }, { tool: x }, { tool: x, arguments: { a: { $golb: y } }, decision: ask }, { decis…
      |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    flow.yaml:3:115: error[wrong_value]: a rule says what it is about: `tool`, `node` or `element`
      |
    3 | …{ $golb: y } }, decision: ask }, { decision: deny }]
      |                                   ^^^^^^^^^^^^^^^^^^
    "#);
    let env = environment("");
    user_rules(&env, "[{ tool: x, decision: allow }, { decision: deny }]");
    let said = env.run(&RUN).expect(2);
    assert!(
        said.stderr
            .contains("`approvals[1]`: a rule says what it is about"),
        "{said}"
    );
}

#[test]
fn what_is_agreed_for_the_rest_of_the_run_is_asked_once_also_after_a_resume() {
    let env = environment("");
    drop(env.run(&RUN).expect(3));
    let said = env
        .run(&["answer", "last", "--approve", "--for-run", "--no-input"])
        .expect(3);
    assert!(
        said.stderr.contains("asks      flow_root.all.iter_2.say"),
        "another argument: {said}"
    );
    drop(env.run(&["answer", "last", "--approve", "--no-input"]).expect(0));
    let run = env.last_run();
    let by: Vec<String> = decided(&run).into_iter().map(|(_, by, _)| by).collect();
    assert_eq!(
        by,
        [
            "outside: dhenara answer",
            "rule: an agreement for the rest of the run",
            "outside: dhenara answer"
        ]
    );
    assert_eq!(
        records(&run, "answered")[0]["rule"]["value"],
        json!({
            "agent": "flow_root", "element": "flow_root.all.say", "node": "command", "decision": "allow",
            "exactly": records(&run, "question")[0]["rule"].as_object().map_or_else(
                || read_json(&run.join("flow_root/all/iter_0/say/result.json"))["settings"].clone(),
                |rule| rule["exactly"].clone(),
            ),
        })
    );
    // It is no agreement for another run.
    drop(
        env.run(&[&RUN[..], &["--previous-run-id", "last", "--execute", "say"]].concat())
            .expect(3),
    );
}

#[test]
fn at_the_terminal_the_same_is_agreed_to_once() {
    let env = environment("");
    let terminal = env.dhenara_at_terminal(&RUN[..3]);
    // What is typed before a prompt stands there does not answer it.
    terminal.shows("to move").still();
    terminal.press(UP).press(UP).press(ENTER);
    terminal.shows("$ echo two").shows("to move").still();
    terminal.press(UP).press(ENTER);
    let end = terminal.ends();
    assert_eq!(end.status, "exit status: 0", "{}", end.screen);
    let by: Vec<String> = decided(&env.last_run())
        .into_iter()
        .map(|(_, by, _)| by)
        .collect();
    assert_eq!(
        by,
        [
            "handler: event handler",
            "rule: an agreement for the rest of the run",
            "handler: event handler"
        ]
    );
}

#[test]
fn a_long_preview_is_paged() {
    let env = TestEnvironment::new();
    let lines: Vec<String> = (0..120).map(|number| format!("line {number}")).collect();
    let operation = json!({ "type": "create_file", "path": "made.txt", "content": lines.join("\n") });
    env.write(
        "flow.yaml",
        &format!("schema_version: 1\nkind: flow\nelements:\n  - {{ node: make, type: file_operation, requires_approval: true, settings: {{ base_directory: \"$var{{project_root}}\", operations: [{operation}] }} }}\n"),
    );
    let pager = crate::pty::editor(
        &env,
        "printf 'the pager has %s lines\\n' \"$(grep -c 'line' \"$1\")\"",
    );
    let terminal = env.at_terminal(
        env!("CARGO_BIN_EXE_dhenara-under-test"),
        &["run", "flow", "flow.yaml"],
        &[("PAGER", pager.to_str().unwrap())],
    );
    terminal.shows("… and ").shows("to move").still();
    assert!(!terminal.screen().contains("line 100"), "{}", terminal.screen());
    terminal.press(DOWN).press(DOWN).press(ENTER);
    terminal.shows("the pager has 121 lines").shows("to move").still();
    terminal.press(UP).press(ENTER);
    assert_eq!(terminal.ends().status, "exit status: 0");
    assert!(env.project().join("made.txt").exists());
}

const TOOL: &str = "  - node: ask\n    type: ai_model_call\n    settings: { models: [local/tiny], prompt: Do it., model_call_config: { tools: [{ \
                    name: run, node: command, requires_approval: REQUIRED }] } }\n";

async fn calling(arguments: &[Value]) -> Scripted {
    let mut answers: Vec<_> = arguments
        .iter()
        .map(|arguments| calls("run", arguments))
        .collect();
    answers.push(says("Done."));
    Scripted::new(answers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_decide_about_calls_of_tools_by_their_words() {
    let test = json!({ "commands": [["echo", "cargo", "test", "--quiet"]] });
    let scripted = calling(&[test, json!({ "commands": ["echo cargo test; echo more"] })]).await;
    scripted.flow(&TOOL.replace("REQUIRED", "true"));
    let rules = "approvals: [{ tool: run, arguments: { commands: [[echo, cargo, test, { $rest: { $glob: '--*' } }]] }, decision: allow }]\n";
    let flow = std::fs::read_to_string(scripted.env.project().join("flow.yaml")).unwrap();
    scripted.env.write(
        "flow.yaml",
        &flow.replace("elements:\n", &format!("{rules}elements:\n")),
    );
    let said = scripted.run(&["--no-input"]).expect(3);
    let run = scripted.env.last_run();
    assert_eq!(
        decided(&run),
        [(
            "ask".to_owned(),
            "rule: a rule of the definition".to_owned(),
            json!(true)
        )],
        "{said}"
    );
    assert_eq!(
        records(&run, "question").len(),
        1,
        "the shell text is asked about"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_needs_no_approval_is_denied_by_a_rule() {
    let scripted = calling(&[json!({ "commands": [["touch", "made"]] })]).await;
    scripted.flow(&TOOL.replace("REQUIRED", "false"));
    user_rules(
        &scripted.env,
        "[{ tool: run, arguments: { commands: [[touch, { $rest: { $any: true } }]] }, decision: deny }]",
    );
    drop(scripted.run(&[]).expect(0));
    let asked = scripted.asked().await;
    let told = asked.last().unwrap()["messages"].to_string();
    assert!(
        told.contains("a rule of the user's configuration denies it"),
        "{told}"
    );
    assert!(!scripted.env.last_run().join("made").exists());
    assert_eq!(decided(&scripted.env.last_run()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_about_a_node_denies_and_asks_about_tools_that_execute_it_and_allows_none() {
    for (decision, code) in [("deny", 0), ("ask", 3), ("allow", 3)] {
        let scripted = calling(&[json!({ "commands": [["true"], ["touch", "made"]] })]).await;
        scripted.flow(&TOOL.replace("REQUIRED", if decision == "allow" { "true" } else { "false" }));
        let commands = match decision {
            "allow" => "{ $any: true }",
            _ => "{ $some: [touch, { $rest: { $any: true } }] }",
        };
        user_rules(
            &scripted.env,
            &format!("[{{ node: command, arguments: {{ commands: {commands} }}, decision: {decision} }}]"),
        );
        drop(scripted.run(&["--no-input"]).expect(code));
        let run = scripted.env.last_run();
        assert!(!run.join("made").exists(), "{decision}");
        assert_eq!(decided(&run).len(), usize::from(decision == "deny"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_for_the_run_takes_the_very_arguments() {
    // What looks like a pattern in arguments of a model is none.
    let any = json!({ "commands": [["echo", "a"]], "env_vars": { "$any": "x" } });
    let scripted = calling(&[
        any.clone(),
        any,
        json!({ "commands": [["echo", "a"]], "env_vars": { "other": "x" } }),
    ])
    .await;
    scripted.flow(&TOOL.replace("REQUIRED", "true"));
    drop(scripted.run(&["--no-input"]).expect(3));
    let said = scripted
        .env
        .run(&["answer", "last", "--approve", "--for-run", "--no-input"])
        .expect(3);
    let by: Vec<String> = decided(&scripted.env.last_run())
        .into_iter()
        .map(|(_, by, _)| by)
        .collect();
    assert_eq!(
        by,
        [
            "outside: dhenara answer",
            "rule: an agreement for the rest of the run"
        ],
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_agrees_to_file_operations_does_not_agree_to_protected_files() {
    let create = json!({ "operations": [{ "type": "create_file", "path": ".envrc", "content": "x" }] });
    let scripted = Scripted::new(vec![calls("files", &create), says("Done.")]).await;
    scripted.flow(
        "  - node: ask\n    type: ai_model_call\n    settings: { models: [local/tiny], prompt: Do it., model_call_config: { tools: [{ name: files, \
         node: file_operation, requires_approval: true, settings: { base_directory: \"$var{project_root}\" } }] } }\n",
    );
    user_rules(&scripted.env, "[{ tool: files, decision: allow }]");
    drop(scripted.run(&["--no-input"]));
    assert!(!scripted.env.project().join(".envrc").exists());
    assert_eq!(
        decided(&scripted.env.last_run())[0].1,
        "rule: a rule of the user's configuration"
    );
}
