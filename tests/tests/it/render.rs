//! `dhenara render`: what one step would execute, without executing anything.

use serde_json::json;

use crate::harness::TestEnvironment;

const AGENT: &str = r#"schema_version: 1
kind: agent
required: [task]
variables: { repo: "$var{project_root}/repo" }
elements:
  - flow: main
    variables: { who: "the team of $expr{task}" }
    elements:
      - { node: list, type: command, settings: { commands: [[printf, "%s,", a, b]] } }
      - for_each: files
        statement: "$expr{ py: $hier{list}.outcome.results[0].stdout.strip(',').split(',') }"
        item_var: file
        body:
          - node: ask
            type: ai_model_call
            settings:
              models: [test/model]
              prompt: |-
                For $expr{who}: task $expr{index} is $expr{task}.
                Read $expr{repo}/$expr{file} on $var{environment}.
"#;

fn project() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("agents/lister/agent.yaml", AGENT);
    // A server that is not there.
    env.write(
        ".dhenara/models.yaml",
        "- { name: test/model, base_url: \"http://127.0.0.1:9/v1\" }\n",
    );
    env
}

#[test]
fn a_step_is_rendered_with_the_results_of_a_run() {
    let env = project();
    let without = ["render", "lister", "ask", "--var", "task=T"];
    insta::assert_snapshot!(env.unchanged(&without).expect(2), @r"
    ---- stderr
    error[template]: cannot evaluate `statement` (agents/lister/agent.yaml:11:32): the step `list` is undefined
      hint: if it needs the result of a step, name a run that has one: `--run last`
    ---- exit code 2
    ");
    let _ = env.run(&["run", "agent", "lister", "--var", "task=one"]);
    let with = ["render", "lister", "files.iter_1.ask", "--run", "last"];
    insta::assert_snapshot!(env.unchanged(&with).expect(0), @r"
    lister_root.main.files.iter_1.ask  ai_model_call
    models:
      - test/model
    prompt: |-
      For the team of one: task 1 is one.
      Read [root]/project/repo/b on default.

    from
      prompt  who          a variable of `lister_root.main`
      prompt  index        the iteration `lister_root.main.files.iter_1`
      prompt  task         given from outside
      prompt  repo         a variable of `lister_root`
      prompt  file         the iteration `lister_root.main.files.iter_1`
      prompt  environment  a variable of every run
    ---- exit code 0
    ");
    // What is given now comes before what the run was given.
    let other = env
        .run(&[&with[..], &["--var", "task=two", "--json"]].concat())
        .expect(0)
        .json("cli_render");
    assert_eq!(other["path"], "lister_root.main.files.iter_1.ask");
    assert!(
        other["settings"]["prompt"]
            .as_str()
            .unwrap()
            .starts_with("For the team of two: task 1 is two.")
    );
    assert_eq!(
        other["origins"][1],
        json!({ "place": "prompt", "reference": "index", "origin": "the iteration `lister_root.main.files.iter_1`" })
    );
}

#[test]
fn a_step_without_references_needs_no_run() {
    let env = project();
    insta::assert_snapshot!(env.unchanged(&["render", "agents/lister/agent.yaml", "list", "--var", "task=T"]).expect(0), @r#"
    lister_root.main.list  command
    commands:
      -
        - printf
        - "%s,"
        - a
        - b
    ---- exit code 0
    "#);
}

#[test]
fn what_cannot_be_rendered_is_reported() {
    let env = project();
    let _ = env.run(&["run", "agent", "lister", "--var", "task=one"]);
    for (args, wanted) in [
        (&["render", "listr", "ask"][..], "did you mean `lister`?"),
        (&["render", "lister", "ask"], "the variable `task` is required"),
        (
            &["render", "lister", "aks", "--var", "task=x"],
            "there are lister_root.main.list, lister_root.main.files.ask",
        ),
        (
            &["render", "lister", "main", "--var", "task=x"],
            "is a component, and a step is wanted",
        ),
        (&["render", "lister", "ask", "--run", "run_1"], "run_1"),
        (
            &["render", "lister", "files.iter_7.ask", "--run", "last"],
            "`lister_root.main.files` has no iteration 7: it goes over 2 items",
        ),
    ] {
        let output = env.unchanged(args).expect(2);
        assert!(output.stderr.contains(wanted), "{args:?}: {output}");
    }
}
