//! The documents of `--json`: one document of its schema on standard output, and nothing else there.

use serde_json::{Value, json};

use crate::harness::{TestEnvironment, read_json};

const FLOW: &str = r#"schema_version: 1
kind: flow
variables: { code: "0" }
output: { code: "$expr{code}", said: "$expr{ $hier{say}.outcome.results[0].stdout }" }
elements:
  - { node: say, type: command, settings: { commands: [[echo, something]] } }
  - { node: ends, type: command, settings: { commands: [[sh, -c, 'exit "$1"', sh, "$expr{code}"]] } }
"#;

fn environment() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    env
}

#[test]
fn of_a_run() {
    let env = environment();
    let output = env.run(&["run", "flow", "flow.yaml", "--json"]).expect(0);
    let document = output.json("cli_run");
    assert_eq!(document["status"], "completed");
    assert_eq!(document["output"], json!({ "code": "0", "said": "something\n" }));
    assert_eq!(document["run_dir"], env.last_run().to_string_lossy().as_ref());
    let summary = read_json(&env.last_run().join("run_summary.json"));
    assert_eq!(document["counts"], summary["counts"]);
}

#[test]
fn of_a_run_that_failed() {
    let env = environment();
    let output = env
        .run(&["run", "flow", "flow.yaml", "--var", "code=3", "--json"])
        .expect(1);
    let document = output.json("cli_run");
    assert_eq!(document["status"], "failed");
    assert_eq!(document["output"], Value::Null);
    insta::assert_json_snapshot!(document["error"], @r#"
    {
      "code": "command_failed",
      "message": "`sh -c 'exit \"$1\"' sh 3` ended with exit code 3",
      "path": "flow_root.ends"
    }
    "#);
}

#[test]
fn of_a_dry_run() {
    let env = environment();
    let dry = ["run", "flow", "flow.yaml", "--json", "--dry-run"];
    let document = env.unchanged(&dry).expect(0).json("cli_dry_run");
    assert_eq!(
        (&document["steps"], &document["plan"]),
        (&json!(["flow_root.say", "flow_root.ends"]), &Value::Null)
    );
    let _ = env.run(&["run", "flow", "flow.yaml"]).expect(0);
    for more in [
        &["--previous-run-id", "last"][..],
        &["--previous-run-id", "last", "--entry-point", "ends"],
    ] {
        let output = env.unchanged(&[&dry, more].concat()).expect(0);
        let document = output.json("cli_dry_run");
        assert_eq!(document["plan"]["steps"].as_array().map(Vec::len), Some(2));
    }
}

#[test]
fn of_the_list_of_runs() {
    let env = environment();
    let empty = env
        .unchanged(&["runs", "list", "--json"])
        .expect(0)
        .json("cli_runs_list");
    assert_eq!(empty["runs"], json!([]));
    let _ = env.run(&["run", "flow", "flow.yaml"]).expect(0);
    let _ = env
        .run(&["run", "flow", "flow.yaml", "--var", "code=3"])
        .expect(1);
    let _ = env
        .run(&[
            "run",
            "flow",
            "flow.yaml",
            "--previous-run-id",
            "last",
            "--entry-point",
            "ends",
            "--var",
            "code=0",
        ])
        .expect(0);
    let list = env
        .unchanged(&["runs", "list", "--json"])
        .expect(0)
        .json("cli_runs_list");
    let shown: Vec<Value> = list["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["status"].clone())
        .collect();
    assert_eq!(shown, ["completed", "failed", "completed"]);
    assert_eq!(list["runs"][2]["parent"], list["runs"][1]["run_id"]);
}

#[test]
fn of_a_run_and_its_steps() {
    let env = environment();
    let _ = env
        .run(&["run", "flow", "flow.yaml", "--var", "code=3"])
        .expect(1);
    let run = env
        .unchanged(&["runs", "show", "last", "--json"])
        .expect(0)
        .json("cli_runs_show");
    let paths: Vec<&Value> = run["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["path"])
        .collect();
    assert_eq!(paths, ["flow_root", "flow_root.say", "flow_root.ends"]);
    assert_eq!(run["error"]["path"], "flow_root.ends");

    let step = env
        .unchanged(&["runs", "show", "last", "say", "--json"])
        .expect(0)
        .json("cli_runs_show");
    let result = read_json(&env.last_run().join("flow_root/say/result.json"));
    assert_eq!(step["result"], result);
    assert_eq!(step["artifacts"], step["committed"]["artifacts"]);
    let component = env
        .unchanged(&["runs", "show", "last", "flow_root", "--json"])
        .expect(0);
    assert_eq!(component.json("cli_runs_show")["status"], "failed");
}

#[test]
fn of_errors() {
    let env = environment();
    env.write("wrong.yaml", &FLOW.replace("settings:", "setings:"));
    let _ = env.run(&["run", "flow", "flow.yaml"]).expect(0);
    let codes: Vec<(Value, Option<i32>)> = [
        &["run", "flow", "nowhere.yaml"][..],
        &["run", "flow", "wrong.yaml"],
        &["run", "agent", "absent"],
        &["run", "flow", "flow.yaml", "--env", "nowhere"],
        &["run", "flow", "flow.yaml", "--var", "cod=1"],
        &["run", "flow", "flow.yaml", "--previous-run-id", "run_1"],
        &["run", "flow", "flow.yaml", "--entry-point", "say"],
        &["runs", "show", "run_1"],
        &["runs", "show", "last", "nothing"],
        &["runs", "list", "--project-root", "nowhere"],
    ]
    .iter()
    .map(|args| {
        let output = env.unchanged(&[args, &["--json"][..]].concat());
        (output.json("cli_error")["error"]["code"].clone(), output.code)
    })
    .collect();
    insta::assert_debug_snapshot!(codes, @r#"
    [
        (
            String("unreadable"),
            Some(
                2,
            ),
        ),
        (
            String("definition"),
            Some(
                2,
            ),
        ),
        (
            String("unknown_agent"),
            Some(
                2,
            ),
        ),
        (
            String("unknown_environment"),
            Some(
                2,
            ),
        ),
        (
            String("unknown_variable"),
            Some(
                2,
            ),
        ),
        (
            String("unknown_run"),
            Some(
                2,
            ),
        ),
        (
            String("entry_point_without_previous_run"),
            Some(
                2,
            ),
        ),
        (
            String("unknown_run"),
            Some(
                2,
            ),
        ),
        (
            String("unknown_path"),
            Some(
                2,
            ),
        ),
        (
            String("project"),
            Some(
                2,
            ),
        ),
    ]
    "#);

    let problems = env
        .unchanged(&["run", "flow", "wrong.yaml", "--json"])
        .json("cli_error");
    insta::assert_json_snapshot!(problems["error"], @r#"
    {
      "code": "definition",
      "message": "2 problems in wrong.yaml",
      "problems": [
        {
          "code": "unknown_key",
          "message": "unknown key `setings`",
          "file": "wrong.yaml",
          "line": 6,
          "column": 33,
          "path": "elements[0].setings",
          "hint": "did you mean `settings`?"
        },
        {
          "code": "unknown_key",
          "message": "unknown key `setings`",
          "file": "wrong.yaml",
          "line": 7,
          "column": 34,
          "path": "elements[1].setings",
          "hint": "did you mean `settings`?"
        }
      ]
    }
    "#);
}
