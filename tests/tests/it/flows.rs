//! Flows from files: without a project, with variables and inputs, shown afterwards.

use dhenara::run::MemoLine;
use dhenara::types::{Clean, Digest};
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, read_json, records, workspace};

fn hello() -> TestEnvironment {
    let env = TestEnvironment::without_project();
    let text = std::fs::read_to_string(workspace().join("examples/hello/hello.yaml")).unwrap();
    env.write("hello.yaml", &text);
    env
}

#[test]
fn a_flow_runs_without_a_project() {
    let env = hello();
    let output = env.run(&["run", "flow", "hello.yaml"]).expect(0);
    insta::assert_snapshot!(output, @"
    Hello, world!
    ---- stderr
    run_00000000_000000_000001
    hello_root
      ✓ greet                         [time]  1 command

    completed run_00000000_000000_000001 in [time]
      steps     1 completed
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 hello_root.greet --project-root [root]/project
    ---- exit code 0
    ");
    assert!(env.last_run().starts_with(env.project().join("runs")));
    // From elsewhere it is the same flow, whose runs lie beside it.
    let output = env.run_in(
        &env.path("tmp"),
        &["run", "flow", "../project/hello.yaml", "--var", "name=Ada"],
    );
    assert_eq!(output.expect(0).stdout, "Hello, Ada!\n");
    assert!(env.last_run().starts_with(env.project().join("runs")));
    assert_eq!(env.runs().len(), 2);
}

#[test]
fn variables_come_from_options_files_and_environments() {
    let env = hello();
    let config = "environments: { shouting: { variables: { name: EVERYBODY } } }\n";
    env.write(".dhenara/config.yaml", config);
    env.write("name.txt", "Grace");
    for (options, wanted) in [
        (&["--var", "name=Ada"][..], "Hello, Ada!\n"),
        (&["--var", "name=@name.txt"], "Hello, Grace!\n"),
        (&["--var-json", r#"name="quoted""#], "Hello, quoted!\n"),
        (&["--env", "shouting"], "Hello, EVERYBODY!\n"),
        (&["--env", "shouting", "--var", "name=Ada"], "Hello, Ada!\n"),
        // What comes from outside is data, never a template.
        (&["--var", "name=$expr{1 + 1}"], "Hello, $expr{1 + 1}!\n"),
    ] {
        let output = env
            .run(&[&["run", "flow", "hello.yaml"], options].concat())
            .expect(0);
        assert_eq!(output.stdout, wanted);
    }
}

#[test]
fn a_dry_run_makes_nothing() {
    let env = hello();
    let output = env
        .unchanged(&["run", "flow", "hello.yaml", "--dry-run"])
        .expect(0);
    insta::assert_snapshot!(output, @"
    execute  hello_root.greet  command
    ---- exit code 0
    ");

    let _ = env.run(&["run", "flow", "hello.yaml"]).expect(0);
    let again = [
        "run",
        "flow",
        "hello.yaml",
        "--previous-run-id",
        "last",
        "--dry-run",
    ];
    let planned = env.unchanged(&again).expect(0);
    assert!(
        planned.stdout.lines().all(|line| line == line.trim_end()),
        "{:?}",
        planned.stdout
    );
    insta::assert_snapshot!(planned, @"
    reuse    hello_root.greet  nothing that is compared changed, from run_00000000_000000_000001
    ---- stderr
    re-run of run_00000000_000000_000001: 1 reused, 0 to execute
    ---- exit code 0
    ");
    let entry = [&again[..], &["--entry-point", "greet"]].concat();
    insta::assert_snapshot!(env.unchanged(&entry).expect(0), @"
    execute  hello_root.greet  at or after the entry point
    ---- stderr
    re-run of run_00000000_000000_000001: 0 reused, 1 to execute, starting at hello_root.greet
    ---- exit code 0
    ");
}

#[test]
fn inputs_reach_their_commands_and_are_kept() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        r#"schema_version: 1
kind: flow
elements:
  - node: notes
    type: command
    settings: { commands: [[cat, "$var{static_inputs_dir}/deep/notes.txt"]] }
  - node: greet
    type: command
    settings: { commands: ["echo $GREETING"], env_vars: { GREETING: none } }
  - node: other
    type: command
    settings: { commands: [[echo, first]] }
"#,
    );
    env.write("given/deep/notes.txt", "what was given\n");
    env.write(
        "inputs.json",
        r#"{ "greet": { "env_vars": { "GREETING": "from the file" } }, "other": { "commands": [[echo, "from the file"]] } }"#
            .replace("[[echo", r#"[["echo""#)
            .as_str(),
    );
    let output = env.run(&[
        "run",
        "flow",
        "flow.yaml",
        "--input-dir",
        "given",
        "--static-inputs",
        "inputs.json",
        "--input",
        r#"other={"commands": [["echo", "from the option"]]}"#,
    ]);
    let _ = output.expect(0);
    let run = env.last_run();
    assert_eq!(
        std::fs::read_to_string(run.join("static_inputs/deep/notes.txt")).unwrap(),
        "what was given\n"
    );
    insta::assert_json_snapshot!(read_json(&run.join("static_inputs/static_inputs.json")), @r#"
    {
      "schema_version": 1,
      "flow_root.greet": {
        "env_vars": {
          "GREETING": "from the file"
        }
      },
      "flow_root.other": {
        "commands": [
          [
            "echo",
            "from the option"
          ]
        ]
      }
    }
    "#);
    let stdout = |step: &str| {
        let outcome = read_json(&run.join("flow_root").join(step).join("outcome.json"));
        outcome["results"][0]["stdout"].as_str().unwrap().to_owned()
    };
    assert_eq!(stdout("notes"), "what was given\n");
    assert_eq!(stdout("greet"), "from the file\n");
    assert_eq!(stdout("other"), "from the option\n");
    let answered: Vec<String> = records(&run, "answered")
        .iter()
        .map(|record| env.shown(&format!("{} {}", record["path"], record["source"])))
        .collect();
    insta::assert_snapshot!(answered.join("\n"), @r#"
    "flow_root.greet" "`inputs.json`"
    "flow_root.other" "--input"
    "#);
}

#[test]
fn values_reach_a_shell_only_as_arguments() {
    let env = TestEnvironment::new();
    env.write(
        "shell.yaml",
        r#"schema_version: 1
kind: flow
required: [value]
output: "$expr{ $hier{say}.outcome.results[0].stdout }"
elements:
  - node: say
    type: command
    settings:
      commands: ['printf "%s|%s|%s\n" $expr{value} "<$expr{value}>" $(printf %s $expr{value})']
"#,
    );
    let value = "$(touch pwned) `touch pwned` ; touch pwned # \" '";
    let given = format!("value={value}");
    let output = env.run(&["run", "flow", "shell.yaml", "--var", &given]).expect(0);
    assert!(
        output.stdout.starts_with(&format!("{value}|<{value}>|")),
        "{output}"
    );
    assert!(!env.last_run().join("pwned").exists());
    assert!(!env.project().join("pwned").exists());
}

#[test]
fn static_inputs_are_found_beside_the_flow() {
    let env = hello();
    env.write(
        "static_inputs.json",
        r#"{ "hello_root.greet": { "commands": [["echo", "found"]] } }"#,
    );
    let output = env.run(&["run", "flow", "hello.yaml"]).expect(0);
    assert_eq!(output.stdout, "found\n");
}

/// A project with a model node that asks for its input, and a cassette that answers it.
fn asking() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write(
        ".dhenara/config.yaml",
        "environments: { offline: { cassette: tape } }\n",
    );
    env.write(
        "ask.yaml",
        r#"schema_version: 1
kind: flow
output: "$expr{ $hier{ask}.outcome.text }"
elements:
  - node: ask
    type: ai_model_call
    pre_events: [node_input_required]
    settings:
      models: [openai/first]
      prompt: { text: "Say hello to $var{name}.", variables: { name: {} } }
"#,
    );
    let request = json!({ "model": "openai/second", "messages": [{ "role": "user", "text": "Say hello to Ada." }], "options": {} });
    let response = json!({
        "model": "second", "provider": "openai", "text": "Hello, Ada.", "finish_reason": "completed",
        "usage": { "calls": 1, "prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8 }
    });
    let at = "2025-11-23T14:15:16Z".parse().unwrap();
    let digest = Digest::of_json(&request);
    let (request, response) = (Clean::from_store(request), Clean::from_store(response));
    let line = MemoLine::new("model_call", 1, digest, request, response, at);
    let line = serde_json::to_string(&line).unwrap();
    env.write("tape/ask_root/ask/memo.jsonl", &(line + "\n"));
    env
}

#[test]
fn an_input_gives_a_model_its_variables_and_settings() {
    let env = asking();
    let input =
        r#"ask={"prompt_variables": {"name": "Ada"}, "settings_override": {"models": ["openai/second"]}}"#;
    let output = env
        .run(&["run", "flow", "ask.yaml", "--env", "offline", "--input", input])
        .expect(0);
    insta::assert_snapshot!(output, @"
  Hello, Ada.
  ---- stderr
  run_00000000_000000_000001
  ask_root
  note: ask_root.ask: call 1 is answered from [root]/project/tape, matched by path and call number; the prompt is the recorded one
    ✓ ask                           [time]  second, replayed

  completed run_00000000_000000_000001 in [time]
    steps     1 completed
    model     1 call replayed
    artifacts [root]/project/runs/run_00000000_000000_000001
    next      dhenara runs show run_00000000_000000_000001 ask_root.ask
  ---- exit code 0
  ");
    let step = env.last_run().join("ask_root/ask");
    let state = read_json(&step.join("state.json"));
    assert_eq!(state["ai_model"], "openai/second");
    assert_eq!(state["prompt"]["text"], "Say hello to Ada.");
    let memo = read_json(&step.join("memo.jsonl"));
    assert_eq!(memo["request"]["model"], "openai/second");
    let result = read_json(&step.join("result.json"));
    assert_eq!(result["input"]["prompt_variables"]["name"], "Ada");
    assert_eq!(result["settings"]["models"], json!(["openai/second"]));
    assert_eq!(result["usage_total_tokens"], 0, "a recorded answer takes nothing");
}

#[test]
fn a_node_whose_question_has_no_answer_lets_the_run_wait() {
    let env = asking();
    let output = env
        .run(&["run", "flow", "ask.yaml", "--env", "offline", "--no-input"])
        .expect(3);
    insta::assert_snapshot!(output, @r#"
    ---- stderr
    run_00000000_000000_000001
    ask_root
      ? ask                           waits for an answer

    waiting run_00000000_000000_000001 in [time]
      steps     0 completed
      asks      ask_root.ask
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara answer run_00000000_000000_000001 --input '{"prompt_variables":{"name":"…"}}'
    ---- exit code 3
    "#);
}

#[test]
fn runs_are_listed_and_shown() {
    let env = hello();
    let none = env.unchanged(&["runs", "list"]).expect(0);
    insta::assert_snapshot!(none, @"
    ---- stderr
    there are no runs in `[root]/project/runs`; `dhenara run NAME` makes one
    ---- exit code 0
    ");
    let _ = env.run(&["run", "flow", "hello.yaml"]).expect(0);
    let more = [
        "--previous-run-id",
        "last",
        "--entry-point",
        "greet",
        "--var",
        "name=Ada",
    ];
    let _ = env
        .run(&[&["run", "flow", "hello.yaml"], &more[..]].concat())
        .expect(0);
    insta::assert_snapshot!(env.unchanged(&["runs", "list"]).expect(0), @"
    STATUS     RUN                           AGENT       MADE                     TOOK     STEPS   FROM
    completed  run_00000000_000000_000001    hello_root  0000-00-00 00:00:00 UTC  [time]  1 step
    completed  rerun_00000000_000000_000002  hello_root  0000-00-00 00:00:00 UTC  [time]  1 step  run_00000000_000000_000001
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "show", "last"]).expect(0), @"
    rerun_00000000_000000_000002  completed
      from      run_00000000_000000_000001
      made      0000-00-00 00:00:00 UTC, took [time]
      steps     1 completed
      size      5 files, [size]
      artifacts [root]/project/runs/rerun_00000000_000000_000002
      hello_root
        ✓ greet                         [time]  1 command
    ---- exit code 0
    ");

    let first = env.runs()[0].file_name().unwrap().to_string_lossy().into_owned();
    let mut settings = insta::Settings::clone_current();
    // Lengths of files that hold times and directories.
    settings.add_filter(r"(?m)^  [ \d]{9}\d  (\w+\.\w+)$", "        size  $1");
    let _sizes = settings.bind_to_scope();
    insta::assert_snapshot!(env.unchanged(&["runs", "show", &first, "greet"]).expect(0), @r#"
    ✓ hello_root.greet  [time]  1 command
    settings
      commands:
        - ["echo","Hello, world!"]
    $ echo 'Hello, world!'  exit code 0
      stdout
        Hello, world!
    files [root]/project/runs/run_00000000_000000_000001/hello_root/greet
            size  outcome.json
            size  result.json
            size  state.json
            size  stderr.log
            size  stdout.log
    ---- exit code 0
    "#);

    // A run is found by a unique beginning of its id; where several fit they are named.
    let _ = env.unchanged(&["runs", "show", "rerun_"]).expect(0);
    let several = env.refused(&["runs", "show", "r"]);
    assert!(several.stderr.contains("fits several runs"), "{several}");
}

#[test]
fn prefix_and_place_of_a_run_can_be_chosen() {
    let env = hello();
    let place = ["--run-root", "kept", "--run-root-subpath", "a/b"];
    let options = [
        &["run", "flow", "hello.yaml", "--run-id-prefix", "test"],
        &place[..],
    ]
    .concat();
    let _ = env.run(&options).expect(0);
    let run = env.last_run();
    assert_eq!(run.parent().unwrap(), env.project().join("kept/a/b"));
    assert!(
        run.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("test_run_")
    );
    let list = env
        .run(&[&["runs", "list", "--json"], &place[..]].concat())
        .expect(0);
    let list = list.json("cli_runs_list");
    assert_eq!(list["runs"].as_array().map(Vec::len), Some(1));
    let none = env
        .run(&["runs", "list", "--json"])
        .expect(0)
        .json("cli_runs_list");
    assert_eq!(none["runs"], Value::Array(Vec::new()));
}

#[test]
fn without_an_entry_point_fingerprints_decide() {
    let env = TestEnvironment::new();
    let config = "environments: { offline: { cassette: tape } }\n";
    let asking = asking();
    env.copy_dir(&asking.project(), &env.project());
    env.write(".dhenara/config.yaml", config);
    let run = |more: &[&str]| {
        let args = ["run", "flow", "ask.yaml", "--env", "offline"];
        env.run(&[&args, more].concat()).expect(0)
    };
    let input = r#"ask={"prompt_variables": {"name": "Ada"}}"#;
    let _ = run(&["--input", input]);
    // The same question is not paid for twice, and no person is asked again for its input.
    let _ = run(&["--previous-run-id", "last"]);
    let reused = records(&env.last_run(), "step_committed").pop().unwrap();
    assert!(reused["reused_from"].is_object(), "{reused}");
    assert!(records(&env.last_run(), "step_started").is_empty());
    // Another one is.
    let _ = run(&[
        "--previous-run-id",
        "last",
        "--input",
        r#"ask={"prompt_variables": {"name": "Grace"}}"#,
    ]);
    assert_eq!(records(&env.last_run(), "step_started").len(), 1);
}

#[test]
fn a_run_is_verified_file_by_file() {
    let env = hello();
    for _ in 0..2 {
        let _ = env.run(&["run", "flow", "hello.yaml"]).expect(0);
    }
    let verify = |run: &str| env.unchanged(&["runs", "verify", run, "--project-root", "."]);
    insta::assert_snapshot!(verify("last").expect(0), @r"
    run_00000000_000000_000002: 1 step, 8 files, all as recorded
    ---- exit code 0
    ");
    let step = env.last_run().join("hello_root/greet");
    std::fs::write(step.join("outcome.json"), "{}").unwrap();
    std::fs::remove_file(step.join("stdout.log")).unwrap();
    insta::assert_snapshot!(verify("last").expect(5), @r"
    hello_root/greet/outcome.json: it is not the file that was recorded
    hello_root/greet/stdout.log: it is missing
    run_00000000_000000_000002: 1 step, 8 files, 2 of them not as recorded
    ---- exit code 5
    ");
    let json = env
        .run(&["runs", "verify", "last", "--project-root", ".", "--json"])
        .expect(5)
        .json("cli_runs_verify");
    assert_eq!(
        (&json["whole"], &json["found"]["files"]),
        (&json!(false), &json!(8))
    );
    // The one before it is whole.
    let _ = verify("last~1").expect(0);
    assert!(verify("last~2").expect(2).stderr.contains("last~2"));
    std::fs::remove_dir_all(env.last_run()).unwrap();
}

#[test]
fn what_a_run_keeps_beside_its_steps_is_verified() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nvariables: { big: x }\nelements:\n  - { node: fails, type: command, settings: { commands: [['false']] } }\n",
    );
    env.write("big.txt", &"long ".repeat(2000));
    let _ = env
        .run(&["run", "flow", "flow.yaml", "--var", "big=@big.txt"])
        .expect(1);
    let verify = || env.unchanged(&["runs", "verify", "last"]);
    insta::assert_snapshot!(verify().expect(0), @"
    run_00000000_000000_000001: 1 step, 8 files, all as recorded
    ---- exit code 0
    ");
    let run = env.last_run();
    let executed = std::fs::read_dir(run.join(".run/definitions")).unwrap().next();
    let definition = executed.unwrap().unwrap().path();
    let whole = std::fs::read_to_string(&definition).unwrap();
    std::fs::write(&definition, whole.replace("\"false\"", "\"true\"")).unwrap();
    let mut with_digests = insta::Settings::clone_current();
    with_digests.add_filter("[0-9a-f]{64}", "[digest]");
    let _digests = with_digests.bind_to_scope();
    insta::assert_snapshot!(env.unchanged(&["resume", "last", "--definition", "recorded"]).expect(5), @"
    ---- stderr
    error[corrupt]: `[root]/project/runs/run_00000000_000000_000001/.run/definitions/[digest].json` is not the file that was recorded: its digest differs
      hint: restore the file, or start a re-run whose entry point is its step or one before it
    ---- exit code 5
    ");
    insta::assert_snapshot!(verify().expect(5), @"
    .run/definitions/[digest].json: it is not the file that was recorded
    run_00000000_000000_000001: 1 step, 8 files, 1 of them not as recorded
    ---- exit code 5
    ");
    std::fs::remove_file(&definition).unwrap();
    let values = run.join(".run/values");
    let value = std::fs::read_dir(&values)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::remove_file(value).unwrap();
    insta::assert_snapshot!(verify().expect(5), @"
    .run/values/[digest].json: it is missing
    .run/definitions/[digest].json: it is missing
    run_00000000_000000_000001: 1 step, 8 files, 2 of them not as recorded
    ---- exit code 5
    ");
    std::fs::remove_dir_all(&run).unwrap();
}

#[test]
fn the_step_before_need_not_be_named() {
    let env = TestEnvironment::new();
    let say = |name: &str| {
        format!(
            "{{ node: {name}, type: command, settings: {{ commands: [[echo, -n, \"{name}$expr{{ \
             $hier{{previous}}.outcome.results[0].stdout }}\"]] }} }}"
        )
    };
    let first = "{ node: a, type: command, settings: { commands: [[echo, -n, a]] } }";
    let [b, c, d, e, f, g, h, i] = ["b", "c", "d", "e", "f", "g", "h", "i"].map(say);
    let elements = format!(
        "  - {first}\n  - {b}\n  - subflow: part\n    elements: [{c}, {d}]\n  - {e}\n  - parallel: both\n    elements: [{h}, {i}]\n  \
         - {{ node: z, type: command, settings: {{ commands: [[echo, end]] }} }}\n  - for_each: all\n    statement: \"$expr{{range(2)}}\"\n    \
         body: [{f}, {g}]\n"
    );
    let head = "schema_version: 1\nkind: flow\nelements:\n";
    env.write("flow.yaml", &format!("{head}{elements}"));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let run = env.last_run();
    let said = |step: &str| {
        let outcome = read_json(&run.join("flow_root").join(step).join("outcome.json"));
        outcome["results"][0]["stdout"]
            .as_str()
            .unwrap()
            .trim_end()
            .to_owned()
    };
    let steps = [
        "b",
        "part/c",
        "part/d",
        "e",
        "both/h",
        "both/i",
        "all/iter_0/f",
        "all/iter_1/f",
        "all/iter_1/g",
    ];
    assert_eq!(
        steps.map(said),
        [
            "ba", "cba", "dcba", "edcba", "hedcba", "iedcba", "fend", "fend", "gfend"
        ]
    );

    env.write(
        "flow.yaml",
        &format!("{head}  - {b}\n  - for_each: some\n    statement: \"$expr{{range(2)}}\"\n    body: [{h}]\n  - {i}\n"),
    );
    insta::assert_snapshot!(env.run(&["validate", "flow.yaml"]).expect(2), @r#"
    flow.yaml: 2 problems
    ---- stderr
    flow.yaml:4:74: error[unknown_step]: no step stands before this place
      |
    4 | …{ commands: [[echo, -n, "b$expr{ $hier{previous}.outcome.results[0].stdout }"]] } }
      |                                   ^^^^^^^^^^^^^^^

    flow.yaml:8:74: error[invalid_reference]: `flow_root.some`, right before this place, is no step
      |
    8 | …{ commands: [[echo, -n, "i$expr{ $hier{previous}.outcome.results[0].stdout }"]] } }
      |                                   ^^^^^^^^^^^^^^^
      = hint: name the step that is meant
    ---- exit code 2
    "#);
}
