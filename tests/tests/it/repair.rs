//! Runs whose journals were damaged: told, repaired, and continued without doing anything twice.

use std::path::Path;

use serde_json::json;

use crate::harness::{TestEnvironment, records};

const FLOW: &str = "\
schema_version: 1
kind: flow
root_id: f
elements:
  - { node: a, type: command, settings: { commands: [\"echo a >> $var{project_root}/log\"] } }
  - { node: b, type: command, settings: { commands: [\"echo b >> $var{project_root}/log\"] } }
  - { node: c, type: command, settings: { commands: [\"echo c >> $var{project_root}/log\"] } }
  - { node: d, type: command, settings: { commands: [\"echo d >> $var{project_root}/log; test -e $var{project_root}/mended\"] } }
";

fn log(env: &TestEnvironment) -> String {
    let text = std::fs::read_to_string(env.project().join("log")).unwrap();
    text.lines().collect::<Vec<_>>().join(" ")
}

/// Flips a bit in the end of a step.
fn damage(run: &Path, step: &str) {
    let journal = run.join(".run/journal.jsonl");
    let mut bytes = std::fs::read(&journal).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let line = text
        .find(&format!("\"type\":\"step_committed\",\"path\":\"f.{step}\""))
        .unwrap();
    bytes[line + 3] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
}

#[test]
fn a_damaged_run_is_repaired_and_does_nothing_twice() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    assert_eq!(log(&env), "a b c d");
    let run = env.last_run().file_name().unwrap().to_str().unwrap().to_owned();
    let nothing = env.unchanged(&["runs", "repair", &run]).expect(2);
    assert!(nothing.stderr.contains("error[nothing_to_repair]"), "{nothing}");

    damage(&env.last_run(), "b");
    let damaged = std::fs::read(env.last_run().join(".run/journal.jsonl")).unwrap();
    insta::assert_snapshot!(env.unchanged(&["runs", "verify", &run]).expect(5), @"
    ---- stderr
    error[journal_damaged]: `[root]/project/runs/run_00000000_000000_000001/.run/journal.jsonl` is damaged at line 10: its sum differs: it, or the line before it, was changed
      hint: `dhenara runs repair run_00000000_000000_000001 --dry-run` shows what is whole, and what repairing it would keep
    ---- exit code 5
    ");
    for args in [
        &["resume", &run][..],
        &["runs", "show", &run],
        &["runs", "why", &run, "a"],
    ] {
        drop(env.unchanged(args).expect(5));
    }
    insta::assert_snapshot!(env.unchanged(&["runs", "repair", &run, "--dry-run"]).expect(0), @"
    run_00000000_000000_000001: line 10 of the journal is damaged: its sum differs: it, or the line before it, was changed
    9 records before it are whole and stay; 8 lines behind it can be read
      f.b  may have had its effect: decide: --redo, --accept or --skip
      f.c  may have had its effect; a whole line has its result: decide: --redo, --accept or --skip
      f.d  may have had its effect; a whole line has its result: decide: --redo, --accept or --skip
    ---- stderr
    nothing was changed; `dhenara runs repair run_00000000_000000_000001`, with a decision about each undecided step, repairs it
    ---- exit code 0
    ");
    let planned = env
        .unchanged(&["runs", "repair", &run, "--dry-run", "--json"])
        .expect(0);
    let planned = planned.json("cli_runs_repair");
    assert_eq!(planned["uncertain"][1]["path"], json!("f.c"));
    // What had an effect is decided about by the user alone.
    insta::assert_snapshot!(env.unchanged(&["runs", "repair", &run]).expect(4), @"
    ---- stderr
    error[undecided]: it is not known how far steps of `run_00000000_000000_000001` with an effect got: `f.b`, `f.c`, `f.d`
      hint: for each of them, `--redo PATH` executes it again, `--accept PATH` takes its result, and `--skip PATH` passes it over
    ---- exit code 4
    ");
    let twice = ["runs", "repair", &run, "--redo", "c", "--skip", "c"];
    drop(env.unchanged(&twice).expect(2));
    let unknown = [
        "runs", "repair", &run, "--redo", "a", "--skip", "b", "--skip", "c", "--redo", "d",
    ];
    drop(env.unchanged(&unknown).expect(2));
    // The line that had its result is the damaged one.
    let lost = [
        "runs", "repair", &run, "--accept", "b", "--accept", "c", "--redo", "d",
    ];
    drop(env.unchanged(&lost).expect(2));

    let decided = [
        "runs", "repair", &run, "--skip", "b", "--accept", "c", "--redo", "d",
    ];
    drop(env.run(&decided).expect(0));
    let aside = env.last_run().join(".run/torn/journal.jsonl");
    assert_eq!(
        std::fs::read(aside).unwrap(),
        damaged,
        "the whole journal is kept"
    );
    drop(env.run(&["runs", "verify", &run]).expect(0));

    env.write("mended", "");
    drop(env.run(&["resume", &run]).expect(0));
    assert_eq!(log(&env), "a b c d d", "only what was to be done again");
    let shown = env
        .run(&["runs", "show", &run, "--json"])
        .expect(0)
        .json("cli_runs_show");
    assert_eq!(shown["status"], json!("completed"));
    assert_eq!(records(&env.last_run(), "repaired").len(), 1);
}

#[test]
fn an_accepted_result_must_be_the_recorded_one() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    let run = env.last_run().file_name().unwrap().to_str().unwrap().to_owned();
    damage(&env.last_run(), "b");
    std::fs::write(env.last_run().join("f/c/outcome.json"), "{}").unwrap();
    let accepted = [
        "runs", "repair", &run, "--skip", "b", "--accept", "c", "--redo", "d",
    ];
    let refused = env.unchanged(&accepted).expect(5);
    assert!(refused.stderr.contains("error[corrupt]"), "{refused}");
    let redone = [
        "runs", "repair", &run, "--skip", "b", "--redo", "c", "--redo", "d",
    ];
    drop(env.run(&redone).expect(0));
    env.write("mended", "");
    drop(env.run(&["resume", &run]).expect(0));
    assert_eq!(log(&env), "a b c d c d");
}
