//! Tags and notes of runs.

use dhenara::run::{Labels, Tag};

use crate::harness::TestEnvironment;

const FLOW: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: a, type: command, settings: { commands: [["true"]] } }
"#;

fn environment() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    for _ in 0..2 {
        drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    }
    env
}

#[test]
fn tags_are_given_and_taken_away() {
    let env = environment();
    let tag = |words: &[&str]| {
        env.run(&[&["runs", "tag", "last"], words].concat())
            .expect(0)
            .stdout
    };
    assert_eq!(tag(&["+good", "release/1.0", "-bad"]), "good release/1.0\n");
    assert_eq!(
        tag(&["--run-root", "runs", "-good", "+hidden"]),
        "hidden release/1.0\n"
    );
    assert_eq!(tag(&["-hidden"]), "release/1.0\n");
    assert_eq!(tag(&[]), "release/1.0\n");
    drop(env.run(&["runs", "note", "last", "two\nlines"]).expect(0));
    assert_eq!(
        env.unchanged(&["runs", "note", "last"]).expect(0).stdout,
        "two\nlines\n"
    );

    let found = env
        .unchanged(&["runs", "list", "--tag", "release/1.0", "--json"])
        .expect(0);
    let found = found.json("cli_runs_list");
    assert_eq!(found["runs"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["runs"][0]["tags"][0], "release/1.0");
    let shown = env
        .unchanged(&["runs", "show", "last", "--json"])
        .expect(0)
        .json("cli_runs_show");
    assert_eq!(shown["labels"]["note"], "two\nlines");
    insta::assert_snapshot!(env.unchanged(&["runs", "list"]).expect(0), @"
    STATUS     RUN                         AGENT      MADE                     TOOK     STEPS   TAGS
    completed  run_00000000_000000_000001  flow_root  0000-00-00 00:00:00 UTC  [time]  1 step
    completed  run_00000000_000000_000002  flow_root  0000-00-00 00:00:00 UTC  [time]  1 step  release/1.0
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "show", "last"]).expect(0), @"
    run_00000000_000000_000002  completed
      made      0000-00-00 00:00:00 UTC, took [time]
      steps     1 completed
      size      5 files, [size]
      tags      release/1.0
      note      two
                lines
      artifacts [root]/project/runs/run_00000000_000000_000002
      flow_root
        ✓ a                             [time]  1 command
    ---- exit code 0
    ");

    let labels = env
        .run(&["runs", "note", "last", "", "--json"])
        .expect(0)
        .json("cli_runs_labels");
    assert_eq!(labels["labels"].get("note"), None, "{labels}");
    let labels = env
        .unchanged(&["runs", "tag", "last", "--json"])
        .expect(0)
        .json("cli_runs_labels");
    assert_eq!(labels["labels"]["tags"][0], "release/1.0");
}

#[test]
fn a_label_changes_no_recorded_fact() {
    let env = environment();
    let journal = || std::fs::read(env.last_run().join(".run/journal.jsonl")).unwrap();
    let (before, verified) = (
        journal(),
        env.unchanged(&["runs", "verify", "last"]).expect(0).stdout,
    );
    drop(env.run(&["runs", "tag", "last", "+good"]).expect(0));
    assert_eq!(journal(), before);
    assert_eq!(
        env.unchanged(&["runs", "verify", "last"]).expect(0).stdout,
        verified
    );
    drop(
        env.run(&["run", "flow", "flow.yaml", "--previous-run-id", "last"])
            .expect(0),
    );
    let again = env.unchanged(&["runs", "tag", "last"]).expect(0);
    assert_eq!(again.stdout, "", "a re-run has labels of its own: {again}");
}

#[test]
fn labels_that_cannot_be_read_hide_no_run() {
    let env = environment();
    env.is_checked();
    let file = env.last_run().join(".run/labels.json");
    std::fs::write(&file, "{ \"schema_version\": 1, \"tags\": [\"\\u001b[2J\"] }").unwrap();
    assert_eq!(
        env.unchanged(&["runs", "list"]).expect(0).stdout.lines().count(),
        3
    );
    insta::assert_snapshot!(env.unchanged(&["runs", "show", "last"]).expect(0), @r"
    run_00000000_000000_000002  completed
      made      0000-00-00 00:00:00 UTC, took [time]
      steps     1 completed
      size      5 files, [size]
      labels    `[root]/project/runs/run_00000000_000000_000002/.run/labels.json` cannot be read: `\u{1b}[2J` is no tag: a tag has letters, digits, `-`, `_`, `.`, `:` and `/`, begins with a letter or digit, and has at most 64 bytes
      artifacts [root]/project/runs/run_00000000_000000_000002
      flow_root
        ✓ a                             [time]  1 command
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "tag", "last", "+good"]).expect(5), @r"
    ---- stderr
    error[unreadable]: `[root]/project/runs/run_00000000_000000_000002/.run/labels.json` cannot be read: `\u{1b}[2J` is no tag: a tag has letters, digits, `-`, `_`, `.`, `:` and `/`, begins with a letter or digit, and has at most 64 bytes
    ---- exit code 5
    ");
    #[cfg(unix)]
    {
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        drop(env.unchanged(&["runs", "show", "last"]).expect(0));
        assert_ne!(env.unchanged(&["runs", "tag", "last", "+good"]).code, Some(0));
    }
}

#[test]
fn what_is_no_tag_is_refused() {
    let env = environment();
    insta::assert_snapshot!(env.refused(&["runs", "tag", "last", "+two words"]), @"
    ---- stderr
    error[tag]: `two words` is no tag: a tag has letters, digits, `-`, `_`, `.`, `:` and `/`, begins with a letter or digit, and has at most 64 bytes
      hint: write `dhenara runs tag RUN +good -bad`; options stand before the tags
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.refused(&["runs", "tag", "last", "+"]), @"
    ---- stderr
    error[tag]: an empty text is no tag: a tag has letters, digits, `-`, `_`, `.`, `:` and `/`, begins with a letter or digit, and has at most 64 bytes
      hint: write `dhenara runs tag RUN +good -bad`; options stand before the tags
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.refused(&["runs", "tag", "elsewhere", "+good"]), @"
    ---- stderr
    error[unknown_run]: there is no run `elsewhere`
      hint: `dhenara runs list` shows the runs there are
    ---- exit code 2
    ");
    let long = "x".repeat(64 * 1024 + 1);
    insta::assert_snapshot!(env.unchanged(&["runs", "note", "last", &long]).expect(2), @"
    ---- stderr
    error[labels]: the labels are not changed: a note has at most 65536 bytes
    ---- exit code 2
    ");
}

#[test]
fn changes_of_several_threads_follow_each_other() {
    let env = environment();
    let run = env.last_run();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let run = &run;
            scope.spawn(move || {
                let tag: Tag = format!("tag-{number}").parse().unwrap();
                let changed = Labels::change(run, |labels| labels.tags.extend([tag.clone()])).unwrap();
                assert!(changed.tags.contains(&tag));
            });
        }
    });
    assert_eq!(Labels::read(&run).unwrap().tags.len(), 8);
}
