//! The parts of a run that `runs show` and `runs list` leave out or add.

use serde_json::json;

#[cfg(target_os = "linux")]
use crate::harness::tell;
use crate::harness::{TestEnvironment, edit_journal};

const MANY: &str = r#"schema_version: 1
kind: flow
elements:
  - for_each: rounds
    statement: "$expr{ range(30) }"
    max_iterations: 30
    body:
      - { node: try, type: command, on_error: continue, settings: { commands: [["sh", "-c", "test $1 != 15", "sh", "$expr{item}"]] } }
"#;

#[test]
fn of_many_iterations_those_are_shown_that_say_something() {
    let env = TestEnvironment::new();
    env.write("many.yaml", MANY);
    let _ = env.run(&["run", "flow", "many.yaml"]).expect(0);
    insta::assert_snapshot!(env.unchanged(&["runs", "show", "last"]).expect(0), @"
    run_00000000_000000_000001  completed
      made      0000-00-00 00:00:00 UTC, took [time]
      steps     29 completed, 1 failed
      size      150 files, [size]
      artifacts [root]/project/runs/run_00000000_000000_000001
      many_root
        rounds
          ✓ iter_0.try                    [time]  1 command
          ✓ iter_1.try                    [time]  1 command
          ✓ iter_2.try                    [time]  1 command
          … 12 more iterations, all completed; `--all` shows them
          ✗ iter_15.try                   [time]  failed  1 command  `sh -c 'test $1 != 15' sh 15` ended with exit code 1
          … 11 more iterations, all completed; `--all` shows them
          ✓ iter_27.try                   [time]  1 command
          ✓ iter_28.try                   [time]  1 command
          ✓ iter_29.try                   [time]  1 command
    ---- exit code 0
    ");
    let all = env.unchanged(&["runs", "show", "last", "--all"]).expect(0);
    assert_eq!(all.stdout.matches(".try ").count(), 30);
    assert!(!all.stdout.contains('…'));
}

const NARROW: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: a_step_with_a_long_name, type: command, settings: { commands: [[echo, first]] } }
  - subflow: prepare_the_release_notes
    elements:
      - { node: fails, type: command, settings: { commands: [["sh", "-c", "echo no room is left >&2; exit 3"]] } }
"#;

/// The screen with a run; the place of the run is of another length on each machine.
#[cfg(unix)]
fn screen(env: &TestEnvironment, columns: u16) -> String {
    let screen = env.result_at_terminal(columns, &["runs", "show", "last"]);
    let mut in_place = false;
    let lines = screen.lines().filter(|line| {
        in_place = line.starts_with("  artifacts") || (in_place && !line.starts_with("  next"));
        !in_place
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(unix)]
#[test]
fn a_run_fits_a_narrow_terminal() {
    let env = TestEnvironment::new();
    env.write("narrow.yaml", NARROW);
    let _ = env.run(&["run", "flow", "narrow.yaml"]).expect(1);
    let _ = env
        .run(&["run", "flow", "narrow.yaml", "--previous-run-id", "last"])
        .expect(1);
    insta::assert_snapshot!(screen(&env, 60), @"
    rerun_00000000_000000_000002  failed
      from      run_00000000_000000_000001
      error     narrow_root.prepare_the_release_notes.fails:
                `sh -c 'echo no room is left >&2; exit 3'` ended
                with exit code 3: no room is left
      made      0000-00-00 00:00:00 UTC, took [time]
      steps     1 completed (1 reused), 1 failed
      size      10 files, [size]
      next      dhenara resume rerun_00000000_000000_000002
      narrow_root  failed
        ↺ a_step_with_a_long_name  from
            run_00000000_000000_000001  1 command
        prepare_the_release_notes  failed
          ✗ fails                 [time]  failed  1 command
              `sh -c 'echo no room is left >&2; exit 3'` ended
              with exit code 3: no room is left
    ");
    insta::assert_snapshot!(screen(&env, 100), @"
    rerun_00000000_000000_000002  failed
      from      run_00000000_000000_000001
      error     narrow_root.prepare_the_release_notes.fails: `sh -c 'echo no room is left >&2; exit 3'`
                ended with exit code 3: no room is left
      made      0000-00-00 00:00:00 UTC, took [time]
      steps     1 completed (1 reused), 1 failed
      size      10 files, [size]
      next      dhenara resume rerun_00000000_000000_000002
      narrow_root  failed
        ↺ a_step_with_a_long_name       from run_00000000_000000_000001  1 command
        prepare_the_release_notes  failed
          ✗ fails                         [time]  failed  1 command
              `sh -c 'echo no room is left >&2; exit 3'` ended with exit code 3: no room is left
    ");
}

#[test]
fn a_run_is_shown_from_its_journal_alone() {
    let env = TestEnvironment::new();
    env.is_checked();
    env.write("many.yaml", MANY);
    let _ = env.run(&["run", "flow", "many.yaml"]).expect(0);
    let shown = ["runs", "show", "last", "--all"];
    let whole = env.unchanged(&shown).expect(0);
    // No file of a step is asked for anything.
    std::fs::remove_dir_all(env.last_run().join("many_root")).unwrap();
    let without_steps = env.unchanged(&shown).expect(0);
    assert_eq!(without_steps.stdout, whole.stdout);
}

/// The number of bytes that this thread has asked the system to read; `None` where the system does not count them.
#[cfg(target_os = "linux")]
fn bytes_read() -> Option<u64> {
    let counts = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    let read = counts.lines().find_map(|line| line.strip_prefix("rchar: "));
    Some(read.unwrap().parse().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_journal_is_read_once() {
    let env = TestEnvironment::new();
    env.write("many.yaml", MANY);
    let _ = env.run(&["run", "flow", "many.yaml"]).expect(0);
    let run = env.last_run();
    let journal = run.join(".run/journal.jsonl").metadata().unwrap().len();
    let Some(before) = bytes_read() else {
        tell("skipped: the system does not count what a thread reads");
        return;
    };
    let view = dhenara::run::RunView::open(&run).unwrap();
    let read = bytes_read().unwrap() - before;
    assert_eq!(view.steps().count(), 30);
    // The rest is what the machine is called, who holds the lease, and the counts themselves.
    assert!(
        (journal..journal * 3 / 2).contains(&read),
        "{read} bytes of {journal}"
    );
}

#[test]
fn the_list_tells_sizes_and_what_can_be_gone_on_with() {
    let env = TestEnvironment::new();
    env.write("many.yaml", &MANY.replace("range(30)", "range(2)"));
    env.write(
        "fails.yaml",
        &MANY.replace("on_error: continue, ", "").replace("!= 15", "= 15"),
    );
    let _ = env.run(&["run", "flow", "fails.yaml"]).expect(1);
    let _ = env.run(&["run", "flow", "many.yaml"]).expect(0);
    insta::assert_snapshot!(env.unchanged(&["runs", "list"]).expect(0), @"
    STATUS     RUN                         AGENT       MADE                     TOOK     STEPS
    failed     run_00000000_000000_000001  fails_root  0000-00-00 00:00:00 UTC  [time]  1 step, 1 failed
    completed  run_00000000_000000_000002  many_root   0000-00-00 00:00:00 UTC  [time]  2 steps
    ---- stderr
    resume the newest unfinished run with `dhenara resume run_00000000_000000_000001`
    ---- exit code 0
    ");
    let list = env
        .unchanged(&["runs", "list", "--size", "--json"])
        .expect(0)
        .json("cli_runs_list");
    for (run, dir) in list["runs"].as_array().unwrap().iter().zip(env.runs()) {
        assert_eq!(run["bytes"], size_of(&dir));
    }
    let text = env.unchanged(&["runs", "list", "--size"]).expect(0);
    assert_eq!(
        text.stdout.lines().filter(|line| line.ends_with("KB")).count(),
        2,
        "{text}"
    );
}

#[test]
fn the_list_tells_which_runs_it_cannot_read() {
    let env = TestEnvironment::new();
    env.is_checked();
    env.write("many.yaml", &MANY.replace("range(30)", "range(1)"));
    for prefix in ["a", "b"] {
        drop(
            env.run(&["run", "flow", "many.yaml", "--run-id-prefix", prefix])
                .expect(0),
        );
    }
    let runs = env.runs();
    let damage = |run: &std::path::Path, with: &dyn Fn(&str) -> String| {
        let journal = run.join(".run/journal.jsonl");
        let text = std::fs::read_to_string(&journal).unwrap();
        std::fs::write(journal, with(&text)).unwrap();
    };
    edit_journal(&runs[0], |record| {
        if record["type"] == "run_created" {
            record["schema_version"] = json!(9);
        }
    });
    let list = env.unchanged(&["runs", "list"]).expect(0);
    insta::assert_snapshot!(list, @"
    STATUS     RUN                           AGENT      MADE                     TOOK     STEPS
    completed  b_run_00000000_000000_000002  many_root  0000-00-00 00:00:00 UTC  [time]  1 step
    ---- stderr
    left out: `[root]/project/runs/a_run_00000000_000000_000001/.run/journal.jsonl` has schema version 9; this program reads up to 2
    ---- exit code 0
    ");
    damage(&runs[1], &|text| format!("garbage{text}"));
    insta::assert_snapshot!(env.unchanged(&["runs", "list"]).expect(0), @"
    ---- stderr
    left out: `[root]/project/runs/a_run_00000000_000000_000001/.run/journal.jsonl` has schema version 9; this program reads up to 2
    left out: `[root]/project/runs/b_run_00000000_000000_000002/.run/journal.jsonl` is damaged at line 1: its sum differs: it, or the line before it, was changed
    ---- exit code 0
    ");
    for more in [&[][..], &["--size"]] {
        let args = [&["runs", "list", "--json"], more].concat();
        let list = env.unchanged(&args).expect(0).json("cli_runs_list");
        assert_eq!(list["runs"].as_array().map(Vec::len), Some(0));
        let unreadable = list["unreadable"].as_array().unwrap().iter();
        let dirs: Vec<&str> = unreadable.map(|run| run["run_dir"].as_str().unwrap()).collect();
        let there: Vec<_> = runs.iter().map(|run| run.to_string_lossy()).collect();
        assert_eq!(dirs, there);
    }
}

fn size_of(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    let sizes = entries.map(|entry| {
        if entry.file_type().unwrap().is_dir() {
            size_of(&entry.path())
        } else {
            entry.metadata().unwrap().len()
        }
    });
    sizes.sum()
}
