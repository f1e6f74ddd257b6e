//! Many runs of one definition: each row once, judged by what it expects, and continued under the name of the batch.

use serde_json::{Value, json};

use crate::harness::TestEnvironment;
use crate::models::{Scripted, says};

/// Fails for the tone `bad` until a file `mended` is there.
const FLOW: &str = "\
schema_version: 1
kind: flow
variables: { tone: calm }
output: $expr{ $hier{say}.outcome.results[0].stdout }
elements:
  - node: say
    type: command
    settings:
      working_dir: $var{project_root}
      commands: ['echo ran >> log; test $var{tone} != bad || test -e mended && printf %s $var{tone}']
";

fn write(env: &TestEnvironment, rows: &[Value]) {
    env.write("flow.yaml", FLOW);
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    env.write("rows.jsonl", &(lines.join("\n") + "\n"));
}

/// The number of steps that executed since the last look.
fn executed(env: &TestEnvironment) -> usize {
    let log = env.project().join("log");
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(log);
    text.lines().count()
}

const EACH: [&str; 5] = ["run", "flow", "flow.yaml", "--each", "rows.jsonl"];

#[test]
fn each_row_is_run_and_compared_with_what_it_expects() {
    let env = TestEnvironment::new();
    write(
        &env,
        &[
            json!({ "variables": { "tone": "calm" }, "expect": { "equals": "calm" } }),
            json!({ "id": "part", "variables": { "tone": "quite loud" }, "expect": { "contains": ["quite", "loud"] } }),
            json!({ "id": "not", "variables": { "tone": "loud" }, "expect": { "equals": "calm", "contains": "lo" } }),
            json!({ "id": "shape", "expect": { "schema": { "type": "string", "maxLength": 2 } } }),
            json!({ "id": "true", "expect": { "expression": "$expr{ $var{output} == $var{tone} }" }, "variables": { "tone": "x" } }),
            json!({ "id": "false", "expect": { "expression": "$expr{ len($var{output}) > 9 }" } }),
            json!({ "id": "anything" }),
        ],
    );
    // One at a time, the lines come in the order of the rows.
    let ran = env
        .run(&[&EACH[..], &["--batch", "first", "--max-concurrency", "1"]].concat())
        .expect(1);
    insta::assert_snapshot!(ran.stderr, @r#"
    first
    ✓ 1  [time]  calm
    ✓ part  [time]  quite loud
    ✗ not  [time]  is not "calm": loud
    ✓ shape  [time]  calm
    ✓ true  [time]  x
    ✗ false  [time]  `$expr{ len($var{output}) > 9 }` is false: calm
    ✓ anything  [time]  calm
    5 of 7 passed, 2 failed
    "#);
    assert_eq!((ran.stdout.as_str(), executed(&env)), ("", 7));
}

#[test]
fn a_batch_is_continued_under_its_name() {
    let env = TestEnvironment::new();
    let tones = ["calm", "bad", "loud"].map(|tone| json!({ "id": tone, "variables": { "tone": tone } }));
    write(&env, &tones);
    let named = [&EACH[..], &["--batch", "b", "--json"]].concat();
    let ran = env.run(&named).expect(1).json("cli_run_each");
    let statuses = |document: &Value| {
        let trials = document["trials"].as_array().unwrap().iter();
        trials
            .map(|trial| trial["run"]["status"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(statuses(&ran), ["completed", "failed", "completed"]);
    assert_eq!(executed(&env), 3);
    env.write("mended", "");
    let again = env.run(&named).expect(0).json("cli_run_each");
    assert_eq!(
        (statuses(&again).join(" "), executed(&env)),
        ("completed completed completed".to_owned(), 1)
    );
    assert_eq!(
        again["trials"][0]["run"]["run_id"],
        ran["trials"][0]["run"]["run_id"]
    );
    // Without the name it is another batch.
    drop(env.run(&[&EACH[..], &["--limit", "2"]].concat()).expect(0));
    assert_eq!(executed(&env), 2);
    // A row that became another is refused, and the others stand.
    write(
        &env,
        &[
            json!({ "id": "calm", "variables": { "tone": "changed" } }),
            tones[2].clone(),
        ],
    );
    let refused = env.run(&[&EACH[..], &["--batch", "b"]].concat()).expect(1);
    insta::assert_snapshot!(refused.stderr, @"
    b
    ✗ calm  row `calm` was run with other variables or inputs: start another batch, or give the row another id
    ✓ loud  [time]  loud
    1 of 2 passed, 1 failed
    ");
    assert_eq!(executed(&env), 0);
}

#[test]
fn each_row_is_run_by_each_model_and_repeatedly() {
    let env = TestEnvironment::new();
    write(
        &env,
        &[
            json!({ "id": "one" }),
            json!({ "id": "two", "variables": { "tone": "own" } }),
        ],
    );
    let more = [
        "--model",
        "a/x",
        "--model",
        "b/y",
        "--repeat",
        "2",
        "--var",
        "tone=given",
        "--json",
    ];
    let ran = env
        .run(&[&EACH[..], &more].concat())
        .expect(0)
        .json("cli_run_each");
    let trials = ran["trials"].as_array().unwrap().iter();
    let shown: Vec<String> = trials
        .map(|trial| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            [
                text(&trial["row"]),
                text(&trial["model"]),
                trial["repetition"].to_string(),
                text(&trial["run"]["output"]),
            ]
            .join(" ")
        })
        .collect();
    assert_eq!(
        shown,
        [
            "one a/x 1 given",
            "one a/x 2 given",
            "one b/y 1 given",
            "one b/y 2 given",
            "two a/x 1 own",
            "two a/x 2 own",
            "two b/y 1 own",
            "two b/y 2 own",
        ]
    );
    assert_eq!(executed(&env), 8);
    let batch = ran["batch"].as_str().unwrap();
    let again = env
        .unchanged(&["runs", "table", batch, "--json"])
        .expect(0)
        .json("cli_run_each");
    assert_eq!(again["trials"].as_array().unwrap().len(), 8);
    let shown = env.unchanged(&["runs", "table", batch]).expect(0);
    // Columns are as wide as the longest time.
    let lines = shown
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
    ROW MODEL # TOOK OUTPUT
    ✓ one a/x [time] given
    ✓ one a/x 2 [time] given
    ✓ one b/y [time] given
    ✓ one b/y 2 [time] given
    ✓ two a/x [time] own
    ✓ two a/x 2 [time] own
    ✓ two b/y [time] own
    ✓ two b/y 2 [time] own
    a/x: 4 of 4 passed
    b/y: 4 of 4 passed
    8 of 8 passed
    ");
    let field = env
        .unchanged(&[
            "runs",
            "table",
            batch,
            "--field",
            "say.outcome.results[0].command",
        ])
        .expect(0);
    assert!(field.stdout.contains("printf %s given"), "{field}");
    insta::assert_snapshot!(env.unchanged(&["runs", "table", batch, "--field", "say.outcome.results[0].comand"]).expect(2), @"
    ---- stderr
    error[no_value]: `key_ca23a72eec04e03921b811f8` has no value at `say.outcome.results[0].comand`: it has no `comand`, but `command`
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "table", "nowhere"]).expect(2), @"
    ---- stderr
    error[no_batch]: the batch `[root]/project/runs/nowhere` cannot be used: there is none of this name
      hint: `run NAME --each FILE` makes a batch
    ---- exit code 2
    ");
}

#[test]
fn rows_that_are_none_are_refused_before_anything_runs() {
    let env = TestEnvironment::new();
    write(
        &env,
        &[
            json!({ "tone": "calm" }),
            json!([1]),
            json!({ "varables": {} }),
            json!({ "expect": {} }),
            json!({ "expect": { "expression": "len(output) > 3" } }),
            json!({ "expect": { "equal": 1 } }),
            json!({ "id": "7" }),
            json!({}),
            json!({ "id": "8" }),
        ],
    );
    insta::assert_snapshot!(env.unchanged(&EACH).expect(2), @r#"
    ---- stderr
    error[rows]: rows.jsonl:1: unknown key `tone`; variables stand in `variables`
    rows.jsonl:2: a row is an object such as `{"variables": {"tone": "calm"}}`
    rows.jsonl:3: unknown key `varables`; did you mean `variables`?
    rows.jsonl:4: `expect` expects nothing; it holds `equals`, `contains`, `schema`, `expression` or `judge`
    rows.jsonl:5: `expression` is a text, `len(output) > 3`; write it as `$expr{ … }`, with `$var{output}` for the output
    rows.jsonl:6: unknown field `equal`, expected one of `equals`, `contains`, `schema`, `expression`, `judge`
    rows.jsonl:9: there is a row `8` before it
    ---- exit code 2
    "#);
    env.write("rows.jsonl", "\n");
    insta::assert_snapshot!(env.unchanged(&EACH).expect(2), @"
    ---- stderr
    error[rows]: rows.jsonl: there are no rows in it
    ---- exit code 2
    ");
    let two = ["run", "flow", "flow.yaml", "--model", "a/x", "--model", "b/y"];
    insta::assert_snapshot!(env.unchanged(&two).expect(2), @"
    ---- stderr
    error[option]: `--model` is given several times
      hint: keep one of them; with `--each FILE` each line is run with every model
    ---- exit code 2
    ");
    write(&env, &[json!({})]);
    insta::assert_snapshot!(env.unchanged(&[&EACH[..], &["--batch", "../b"]].concat()).expect(2), @"
    ---- stderr
    ../b
    error[run_root_subpath]: `../b` is not a relative path inside the run root
    ---- exit code 2
    ");
    assert_eq!(executed(&env), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_judges_outputs_once() {
    let denied = json!({ "reason": "It is loud.", "passed": false }).to_string();
    let passed = json!({ "reason": "It is calm.", "passed": true }).to_string();
    let scripted = Scripted::new(vec![says(&passed), says(&denied), says("no judgement")]).await;
    let env = &scripted.env;
    let judge = json!({ "model": "local/tiny", "criteria": "The tone is calm." });
    write(
        env,
        &[
            json!({ "id": "calm", "variables": { "tone": "calm" }, "expect": { "judge": judge } }),
            json!({ "id": "loud", "variables": { "tone": "loud" }, "expect": { "judge": judge } }),
            // All else does not hold: no judge is paid.
            json!({ "id": "other", "expect": { "equals": "other", "judge": judge } }),
        ],
    );
    let each = [&EACH[..], &["--batch", "b", "--max-concurrency", "1"]].concat();
    let ran = env.run(&each).expect(1);
    insta::assert_snapshot!(ran.stderr, @r#"
    b
    ✓ calm  [time], $0.0005  calm
    ✗ loud  [time], $0.0005  does not meet its criteria, says local/tiny: It is loud: loud
    ✗ other  [time]  is not "other": calm
    1 of 3 passed, 2 failed, $0.0010
    "#);
    let asked = scripted.asked().await;
    assert_eq!(asked.len(), 2);
    let prompt = asked[0].to_string();
    assert!(
        prompt.contains("The tone is calm.") && prompt.contains("---\\ncalm\\n---"),
        "{prompt}"
    );
    // Judgements stand: the same batch is free, and its table shows them.
    let again = env
        .run(&[&each[..], &["--json"]].concat())
        .expect(1)
        .json("cli_run_each");
    assert_eq!(
        again["trials"][1]["verdict"]["reasons"],
        json!(["does not meet its criteria, says local/tiny: It is loud"])
    );
    let table = env
        .unchanged(&["runs", "table", "b", "--json"])
        .expect(0)
        .json("cli_run_each");
    assert_eq!(table["trials"], again["trials"]);
    assert_eq!(scripted.asked().await.len(), 2);
    // An answer of the wrong shape is no judgement.
    let strict = json!({ "model": "local/tiny", "criteria": "Nothing is said." });
    write(env, &[json!({ "id": "strict", "expect": { "judge": strict } })]);
    let failed = env.run(&[&EACH[..], &["--batch", "c"]].concat()).expect(1);
    insta::assert_snapshot!(failed.stderr, @"
    c
    ✗ strict  [time], $0.0015  was not judged by local/tiny: the answer is not the JSON that was asked for: expected ident at line…
    0 of 1 passed, 1 failed, $0.0015
    ");
}
