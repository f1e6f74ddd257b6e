//! The builders.

use std::time::Duration;

use dad_core::{Budget, NodeType, OnError, OnExhausted, OnLimit, RetryPolicy, Reuse};
use dad_definition::{
    AgentBuilder, CallbackBuilder, ConditionalBuilder, FlowBuilder, ForEachBuilder, NodeBuilder,
    ParallelBuilder, RepeatBuilder,
};
use insta::assert_snapshot;
use serde_json::json;

use crate::loading::{AUTOCODER, load};
use crate::registry::{FolderOperation, FolderSettings, OneOrMany, OperationType, ReadMode};

fn autocoder() -> AgentBuilder {
    let analysis = FolderSettings {
        base_directory: Some("$expr{repo}".to_owned()),
        operations: vec![FolderOperation {
            operation_type: OperationType::AnalyzeFolder,
            path: Some(OneOrMany::One("src".to_owned())),
            max_depth: None,
            content_read_mode: Some(ReadMode::Structure),
        }],
    };
    let prompt = "Task: $expr{task}\nContext: $expr{ $hier{dynamic_repo_analysis}.outcome.results }";
    let generator = NodeBuilder::new(
        NodeType::AI_MODEL_CALL,
        json!({
            "models": ["anthropic/claude-sonnet-4-5", "openai/gpt-5.1"],
            "system_instructions": ["You are a professional code implementation agent."],
            "prompt": prompt,
            "model_call_config": { "structured_output": { "schema": { "type": "object" } } },
        }),
    )
    .pre_events(["node_input_required"])
    .timeout(Duration::from_secs(30 * 60))
    .retry(
        RetryPolicy::default()
            .max_attempts(3)
            .when(vec!["rate_limit".to_owned()]),
    );
    let file_ops = NodeBuilder::new(
        NodeType::FILE_OPERATION,
        json!({ "base_directory": "$expr{repo}", "stage": true }),
    )
    .template(
        "operations_template",
        "$expr{ $hier{code_generator}.outcome.structured.file_operations }",
    )
    .requires_approval();
    let test = NodeBuilder::new(
        NodeType::COMMAND,
        json!({ "commands": [["cargo", "test", "--quiet"]], "working_dir": "$expr{repo}" }),
    )
    .on_error(OnError::Continue)
    .reuse(Reuse::Never);
    let command = |text: &str| NodeBuilder::new(NodeType::COMMAND, json!({ "commands": [text] }));
    let main_flow = FlowBuilder::new()
        .node(
            "dynamic_repo_analysis",
            NodeBuilder::new(NodeType::FOLDER_ANALYZER, analysis),
        )
        .node("code_generator", generator)
        .node("code_generator_file_ops", file_ops)
        .node("test", test)
        .subflow(
            "summary",
            FlowBuilder::new()
                .variable("audience", "users")
                .node("write", command("echo $var{audience}")),
        )
        .finally_node("clean", command("rm -rf target/tmp"));
    AgentBuilder::new("autocoder_root")
        .required(["task"])
        .variable("repo", "$var{run_root}/global_data/repo")
        .variable("spec", json!({ "checks": ["a", "b"], "limit": 2.5 }))
        .budget(Budget::default().cost(2.0).calls(40))
        .output("$expr{ $hier{main_flow.test}.outcome.results[0].stdout }")
        .flow("main_flow", main_flow)
}

#[test]
fn builder_and_file_are_two_spellings_of_one_definition() {
    let built = autocoder().build().unwrap();
    assert_eq!(*built.definition(), load(AUTOCODER).definition);
    assert_eq!(
        serde_json::to_value(&built).unwrap(),
        serde_json::to_value(&load(AUTOCODER).definition).unwrap()
    );
}

/// A definition that uses every element and every option.
pub(crate) const EVERYTHING: &str = r#"
schema_version: 1
kind: agent
root_id: everything
required: [task]
description: All there is.
io_description: A task in, a report out.
variables: { checks: [build, test] }
budget: { cost: 1.5, tokens: 1000, calls: 3 }
allow_protected: [.github/workflows/]
output: "$expr{ $hier{main.fix.last.test}.outcome }"
elements:
  - flow: main
    description: Works.
    elements:
      - repeat: fix
        description: Until it works.
        variables: { goal: "$var{task}" }
        until: "$expr{ $hier{test}.outcome.all_succeeded }"
        max_iterations: 5
        index_var: pass
        on_exhausted: continue
        body:
          - node: test
            type: command
            pre_events: [node_input_required]
            post_events: [tested]
            timeout: 1.5m
            retry:
              { max_attempts: 3, initial_delay: 500ms, max_delay: 10, when: [timeout], repeat_effects: true }
            on_error: continue
            reuse: never
            requires_approval: true
            settings: { commands: ["echo $expr{goal} $expr{pass}"] }
      - for_each: each_check
        description: One after the other.
        variables: { prefix: check }
        statement: "$expr{checks}"
        item_var: check
        index_var: number
        start_index: 1
        max_iterations: 10
        on_limit: truncate
        until: "$expr{ number > 3 }"
        reuse: always
        body:
          - { subflow: one, elements: [{ node: run, type: command, settings: { commands: ['$expr{check}'] } }] }
    finally:
      - { node: clean, type: command, settings: { commands: [ls] } }
  - conditional: any
    description: If there is something to tell.
    variables: { least: 1 }
    statement: "$expr{ len(checks) > least }"
    on_error: continue
    true_branch:
      - parallel: tell
        timeout: 1h
        elements:
          - { callback: reporter, function: notify, args: { who: "$var{task}" }, timeout: 5 }
          - { callback: everybody, function: notify }
    false_branch:
      - for_each: together
        statement: [1, 2]
        max_concurrency: 2
        body: [{ flow: nothing, elements: [] }]
  - subagent: helper
    variables: { wish: "$var{task}" }
    elements: [{ flow: help, elements: [] }]
finally:
  - flow: last_words
    elements: []
"#;

fn everything() -> AgentBuilder {
    let command = |text: &str| NodeBuilder::new(NodeType::COMMAND, json!({ "commands": [text] }));
    let test = command("echo $expr{goal} $expr{pass}")
        .pre_events(["node_input_required"])
        .post_events(["tested"])
        .timeout(Duration::from_secs(90))
        .retry(
            RetryPolicy::default()
                .max_attempts(3)
                .initial_delay(Duration::from_millis(500))
                .max_delay(Duration::from_secs(10))
                .when(vec!["timeout".to_owned()])
                .repeat_effects(true),
        )
        .on_error(OnError::Continue)
        .reuse(Reuse::Never)
        .requires_approval();
    let until = "$expr{ $hier{test}.outcome.all_succeeded }";
    let fix = RepeatBuilder::new(until, 5, FlowBuilder::new().node("test", test))
        .description("Until it works.")
        .variable("goal", "$var{task}")
        .index_var("pass")
        .on_exhausted(OnExhausted::Continue);
    let one = FlowBuilder::new().node("run", command("$expr{check}"));
    let each_check = ForEachBuilder::new("$expr{checks}", FlowBuilder::new().subflow("one", one))
        .description("One after the other.")
        .variable("prefix", "check")
        .item_var("check")
        .index_var("number")
        .start_index(1)
        .max_iterations(10, OnLimit::Truncate)
        .until("$expr{ number > 3 }")
        .reuse(Reuse::Always);
    let main = FlowBuilder::new()
        .description("Works.")
        .repeat("fix", fix)
        .for_each("each_check", each_check)
        .finally_node("clean", command("ls"));
    let tell = AgentBuilder::default()
        .callback(
            "reporter",
            CallbackBuilder::new("notify")
                .args(json!({ "who": "$var{task}" }))
                .timeout(Duration::from_secs(5)),
        )
        .callback("everybody", CallbackBuilder::new("notify"));
    let nothing = AgentBuilder::default().flow("nothing", FlowBuilder::new());
    let together = ForEachBuilder::new([1, 2], nothing).max_concurrency(2);
    let any = ConditionalBuilder::new("$expr{ len(checks) > least }")
        .description("If there is something to tell.")
        .variable("least", 1)
        .on_error(OnError::Continue)
        .when_true(AgentBuilder::default().parallel(
            "tell",
            ParallelBuilder::new(tell).timeout(Duration::from_secs(3600)),
        ))
        .when_false(AgentBuilder::default().for_each("together", together));
    AgentBuilder::new("everything")
        .required(["task"])
        .description("All there is.")
        .io_description("A task in, a report out.")
        .variable("checks", ["build", "test"])
        .budget(Budget::default().cost(1.5).tokens(1000).calls(3))
        .allow_protected([".github/workflows/"])
        .output("$expr{ $hier{main.fix.last.test}.outcome }")
        .flow("main", main)
        .conditional("any", any)
        .subagent(
            "helper",
            AgentBuilder::default()
                .variable("wish", "$var{task}")
                .flow("help", FlowBuilder::new()),
        )
        .finally_flow("last_words", FlowBuilder::new())
}

#[test]
fn builders_make_every_element_that_a_file_has() {
    let built = everything().build().unwrap();
    assert_eq!(*built.definition(), load(EVERYTHING).definition);
}

#[test]
fn elements_of_any_kind_may_stand_at_the_end() {
    let node = || NodeBuilder::new(NodeType::COMMAND, json!({ "commands": ["ls"] }));
    let at_the_end = FlowBuilder::new()
        .callback("tell", CallbackBuilder::new("notify"))
        .node("tidy", node());
    let flow = FlowBuilder::new()
        .node("work", node())
        .finally_node("clean", node())
        .finally(at_the_end)
        .build()
        .unwrap();
    let ids = flow.definition().body.finally.iter();
    let ids: Vec<&str> = ids.map(|element| element.id.as_str()).collect();
    assert_eq!(ids, ["clean", "tell", "tidy"]);

    let wrong = FlowBuilder::new().node("tidy", node()).node("no id", node());
    let problems = FlowBuilder::new()
        .finally_node("clean", node())
        .finally(wrong.description("for people"))
        .build()
        .unwrap_err();
    let paths: Vec<&str> = problems
        .iter()
        .filter_map(|problem| problem.path.as_deref())
        .collect();
    assert_eq!(paths, ["finally", "finally[2].node"]);
}

#[test]
fn finished_definitions_can_be_put_together() {
    let node = || NodeBuilder::new(NodeType::COMMAND, json!({ "commands": ["ls"] }));
    let flow = FlowBuilder::new()
        .root_id("alone")
        .node("a", node())
        .build()
        .unwrap();
    let inner = AgentBuilder::new("inner")
        .flow("f", flow.clone())
        .build()
        .unwrap();
    let agent = AgentBuilder::new("outer")
        .description("d")
        .io_description("i")
        .flow("one", flow.clone())
        .flow(
            "two",
            FlowBuilder::from(flow.clone())
                .timeout(Duration::from_secs(5))
                .subflow("three", flow.clone()),
        )
        .subagent("four", inner.clone())
        .finally_flow("five", flow)
        .finally_subagent("six", inner)
        .build()
        .unwrap();
    let yaml = "schema_version: 1\nkind: agent\nroot_id: outer\ndescription: d\nio_description: i\nelements:\n  \
                - { flow: one, elements: &0 [{ node: a, type: command, settings: { commands: [ls] } }] }\n";
    let yaml = yaml.replace("&0 ", "");
    let leaf = "[{ node: a, type: command, settings: { commands: [ls] } }";
    let more = format!(
        "  - {{ flow: two, timeout: 5, elements: {leaf}, {{ subflow: three, elements: {leaf}] }}] }}\n  \
         - {{ subagent: four, elements: [{{ flow: f, elements: {leaf}] }}] }}\nfinally:\n  \
         - {{ flow: five, elements: {leaf}] }}\n  \
         - {{ subagent: six, elements: [{{ flow: f, elements: {leaf}] }}] }}\n"
    );
    assert_eq!(*agent.definition(), load(&format!("{yaml}{more}")).definition);
}

#[test]
fn templates_are_put_where_types_have_none() {
    let node = NodeBuilder::new(NodeType::COMMAND, json!({ "list": [{ "a": 1 }], "none": null }))
        .template("list[0].a", "$expr{x}")
        .template("list[0].deep.er", "1")
        .template("none", "2")
        .template("[\"odd key\"]", "3");
    let flow = FlowBuilder::new().node("a", node).build().unwrap();
    let dad_core::ElementKind::Node(node) = &flow.definition().body.elements[0].kind else {
        panic!()
    };
    assert_eq!(
        node.settings,
        json!({ "list": [{ "a": "$expr{x}", "deep": { "er": "1" } }], "none": "2", "odd key": "3" })
    );
}

#[test]
fn everything_wrong_is_reported_at_once() {
    struct Unserialisable;
    impl serde::Serialize for Unserialisable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no way"))
        }
    }
    let node = |settings| NodeBuilder::new(NodeType::COMMAND, settings);
    let problems = AgentBuilder::new("a/b")
        .variable("run_id", 1)
        .variable("x", Unserialisable)
        .flow(
            "main",
            FlowBuilder::new()
                .output("x")
                .node("last", node(json!({})).template("a[0]", "x").template("..", "x"))
                .node("fine", node(json!([])).timeout(Duration::ZERO))
                .node("FINE", NodeBuilder::new(NodeType::COMMAND, Unserialisable))
                .subflow(
                    "s",
                    FlowBuilder::new().node("x", node(json!({ "p": { "$file": "x" } }))),
                ),
        )
        .requires_approval()
        .build()
        .unwrap_err();
    assert_snapshot!(problems, @"
    error[not_serialisable]: the value cannot be written as JSON: no way
      = at: variables.x

    error[invalid_place]: `a[0]` is not a place in the settings: there is no list with an element 0 in it
      = at: elements[0].elements[0].settings

    error[invalid_place]: `..` is not a place in the settings: write keys with `.` and elements with `[0]`
      = at: elements[0].elements[0].settings

    error[invalid_id]: `last` is reserved; choose another id
      = at: elements[0].elements[0].node

    error[wrong_type]: the settings of a node must be an object
      = at: elements[0].elements[1].settings

    error[not_serialisable]: the value cannot be written as JSON: no way
      = at: elements[0].elements[2].settings

    error[unknown_key]: `output` belongs to the whole definition, not to a part of it
      = at: elements[0].output

    error[invalid_id]: `a/b` contains '/'; an id is made of letters, digits and `_`
      = at: root_id

    error[root_options]: retries, `on_error`, `reuse` and `requires_approval` belong to elements, not to the whole definition

    error[reserved_variable]: `run_id` is a variable of every run and cannot be defined again
      = at: variables.run_id
      = hint: choose another name

    error[wrong_value]: a timeout must be longer than nothing
      = at: elements[0].elements[1].timeout

    error[duplicate_id]: the ids `fine` and `FINE` differ only in case
      = at: elements[0].elements[2].node
      = hint: ids are names of directories, which some systems compare without case

    error[include_not_possible]: `$file` is followed only in files
      = at: elements[0].elements[3].elements[0].settings.p.$file
      = hint: read the file in Rust, or with `include_str!`
    ");
}
