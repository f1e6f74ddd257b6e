//! Screens of all commands that people read, at a terminal of 100 and one of 60 columns: nothing is wider, but for what must stay
//! whole to be copied.

use insta::assert_snapshot;
use insta::internals::SettingsBindDropGuard;

use crate::harness::{TestEnvironment, edit_journal};
use crate::pty::{Printed, SHAPES, Shape};

/// A flow with a step of each type of node, and a loop.
const DEMO: &str = r#"schema_version: 1
kind: flow
variables: { topic: the quick brown fox that jumps over a lazy dog }
elements:
  - node: collect_sources
    type: command
    settings:
      commands: [["printf", "%s\n", "one two three four five six seven eight nine ten eleven twelve thirteen", "a second line"]]
  - node: write_report
    type: file_operation
    settings:
      base_directory: "$var{project_root}/work"
      operations:
        - { type: create_file, path: reports/a_report_with_a_long_name.md, content: "A report of several words, whose only line is longer than sixty columns.\n" }
  - node: ask
    type: ai_model_call
    settings:
      models: [openai/gpt-5.5, anthropic/claude-sonnet-4-5]
      system_instructions: You are a careful editor of release notes, who writes short sentences and never invents a fact.
      prompt: "Write about $var{topic} in one paragraph, plainly, for readers who have not seen the project before."
      model_call_config: { test_mode: true }
  - node: look
    type: folder_analyzer
    settings: { allowed_directories: ["$var{project_root}/work"], operations: [{ operation_type: analyze_folder, path: "$var{project_root}/work" }] }
  - for_each: each_item
    statement: "$expr{ [1, 2, 3] }"
    body:
      - { node: print_item, type: command, settings: { commands: [["echo", "item $var{item}"]] } }
"#;

const FAILS: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: good, type: command, settings: { commands: [["true"]] } }
  - { node: compile, type: command, settings: { commands: [["sh", "-c", "echo a long line of standard output with many words that does not fit; echo an error with many words that does not fit either >&2; exit 3"]] } }
"#;

const ASKS: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: confirm_the_release, type: command, requires_approval: true, settings: { commands: [["sh", "-c", "echo released to the world with a long command line of words"]] } }
  - { node: choose, type: command, pre_events: [node_input_required], settings: { commands: [["true"]] } }
"#;

fn project() -> TestEnvironment {
    let env = TestEnvironment::with_short_path();
    for (name, text) in [("demo", DEMO), ("fails", FAILS), ("asks", ASKS)] {
        env.write(&format!("{name}.yaml"), text);
    }
    env.write("work/notes.txt", "some notes\n");
    env
}

/// Runs a flow, and gives its steps a duration that is always the same.
fn ran(env: &TestEnvironment, code: i32, args: &[&str]) {
    drop(env.run(args).expect(code));
    edit_journal(&env.last_run(), |record| {
        if record["duration_ms"].is_number() {
            record["duration_ms"] = 1234.into();
        }
    });
}

/// A project with a completed run, a re-run of it, a failed run, and one that waits.
fn with_runs() -> TestEnvironment {
    let env = project();
    ran(&env, 0, &["run", "demo.yaml"]);
    ran(&env, 0, &["rerun", "last", "--execute", "look"]);
    ran(&env, 1, &["run", "fails.yaml"]);
    ran(&env, 3, &["run", "asks.yaml", "--no-input"]);
    env
}

/// Whether a line is one word, or a command to be copied.
fn stays_whole(line: &str) -> bool {
    let line = line.trim().trim_start_matches('`');
    !line.contains(' ') || line.starts_with("dhenara ")
}

/// Shows screens of both widths beside their command.
struct Screens<'e> {
    env: &'e TestEnvironment,
    text: String,
    _filters: SettingsBindDropGuard,
}

impl<'e> Screens<'e> {
    fn of(env: &'e TestEnvironment) -> Self {
        let mut settings = insta::Settings::clone_current();
        // With the blanks that align them.
        settings.add_filter(r"(?m)^ +\d+  (\S+\.\w+)$", "  [length]  $1");
        settings.add_filter(r" +\[size\]", " [size]");
        // The parser of the command line takes the name from the file of the program.
        settings.add_filter("dhenara-under-test", "dhenara");
        Self {
            env,
            text: String::new(),
            _filters: settings.bind_to_scope(),
        }
    }

    #[track_caller]
    fn add(&mut self, args: &[&str]) -> &mut Self {
        let mut before = Vec::new();
        for shape in SHAPES {
            let Printed { lines, .. } = fitting(self.env, shape, args);
            // One that fits at once is shown once.
            if lines != before {
                let shown = lines
                    .iter()
                    .map(|line| self.env.shown(line) + "\n")
                    .collect::<String>();
                let (columns, rule) = (shape.columns, "-".repeat(usize::from(shape.columns)));
                self.text += &format!(
                    "$ dhenara {}  # {columns} columns\n{rule}\n{shown}\n",
                    args.join(" ")
                );
            }
            before = lines;
        }
        self
    }

    fn all(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

#[track_caller]
fn fitting(env: &TestEnvironment, shape: Shape, args: &[&str]) -> Printed {
    let printed = env.printed_at(shape, &[], args);
    for line in &printed.lines {
        let width = line.chars().count();
        assert!(
            width <= usize::from(shape.columns) || stays_whole(line),
            "{width} columns at {shape:?}:\n{}",
            printed.lines.join("\n")
        );
    }
    printed
}

#[test]
fn lists_and_runs() {
    let env = with_runs();
    let mut screens = Screens::of(&env);
    screens
        .add(&["runs", "list"])
        .add(&["runs", "show", "last"])
        .add(&["runs", "show", "last~1"])
        .add(&["runs", "show", "last~2"])
        .add(&["runs", "show", "last~3"])
        .add(&["runs", "diff", "last~2", "last~3"])
        .add(&["runs", "why", "last~2", "look"])
        .add(&["runs", "why", "last~1", "compile"])
        .add(&["runs", "search", "sentences"])
        .add(&["runs", "verify", "last"])
        .add(&["runs", "prune", "--keep-last", "2", "--dry-run"])
        .add(&["runs", "undo", "last~3", "--dry-run"]);
    assert_snapshot!(screens.all());
}

#[test]
fn steps_of_each_type() {
    let env = with_runs();
    let mut screens = Screens::of(&env);
    screens
        .add(&["runs", "show", "last~3", "collect_sources"])
        .add(&["runs", "show", "last~3", "write_report"])
        .add(&["runs", "show", "last~3", "ask"])
        .add(&["runs", "show", "last~3", "look"])
        .add(&["runs", "show", "last~1", "compile"])
        .add(&["runs", "show", "last", "confirm_the_release"])
        .add(&["runs", "show", "last", "asks_root"]);
    assert_snapshot!(screens.all());
}

#[test]
fn ends_of_runs() {
    let env = project();
    let mut screens = Screens::of(&env);
    screens
        .add(&["run", "demo.yaml", "--dry-run"])
        .add(&["run", "fails.yaml"])
        .add(&["rerun", "last"])
        .add(&["rerun", "last", "--dry-run"])
        .add(&["run", "step", "last", "good"])
        .add(&["run", "asks.yaml", "--no-input"])
        .add(&["wait", "last"])
        .add(&[
            "answer",
            "last",
            "--deny",
            "not before the tests have passed on every platform that is supported",
            "--no-input",
        ]);
    assert_snapshot!(screens.all());
}

#[test]
fn a_budget_that_is_used_up() {
    let env = project();
    env.write(
        "slow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: wait_for_something_slow, type: command, settings: { commands: [[sleep, '60']] } }\n",
    );
    let mut screens = Screens::of(&env);
    screens.add(&["run", "slow.yaml", "--budget", "wall_time=1s"]);
    assert_snapshot!(screens.all());
}

#[test]
fn projects_and_definitions() {
    let env = project();
    env.write(
        "bad.yaml",
        &DEMO.replace(
            "  - node: ask",
            "  - node: ask, with_a_very_long_key_that_is_not_known: 1",
        ),
    );
    env.write(
        "wide.yaml",
        &FAILS.replace(
            "type: command, settings: { commands: [[\"sh\"",
            "type: comand, a_very_long_key_that_is_not_known: 1, settings: { commands: [[\"sh\"",
        ),
    );
    let mut screens = Screens::of(&env);
    screens
        .add(&["agents"])
        .add(&["validate"])
        .add(&["validate", "demo.yaml"])
        .add(&["validate", "bad.yaml"])
        .add(&["validate", "wide.yaml"])
        .add(&["render", "demo.yaml", "ask"])
        .add(&["config", "show"])
        .add(&["models", "show", "openai/gpt-5.5"])
        .add(&["models", "list", "gpt-5.5"])
        .add(&["models", "check", "openai/gpt-5.5"])
        .add(&["runs", "show", "nothing"])
        .add(&["run", "demo.yaml", "--vra", "topic=x"]);
    // Each makes something, which is there when it is called again.
    for args in [
        &["new", "agent", "helper_of_many"][..],
        &["new", "flow", "notes"],
        &["init", "another"],
    ] {
        screens.add(args);
    }
    assert_snapshot!(screens.all());
}

#[test]
fn what_differs_from_machine_to_machine_fits_too() {
    let env = with_runs();
    for shape in SHAPES {
        drop(fitting(&env, shape, &["doctor"]));
        drop(fitting(&env, shape, &["runs", "list", "--size"]));
        drop(fitting(&env, shape, &["models", "list"]));
        drop(fitting(&env, shape, &["run", "demo.yaml"]));
        drop(fitting(&env, shape, &["--help"]));
        drop(fitting(&env, shape, &["runs", "--help"]));
        drop(fitting(&env, shape, &["run", "flow", "--help"]));
    }
}

#[test]
fn what_takes_part_in_other_runs_fits_too() {
    let env = with_runs();
    env.write(
        "say.yaml",
        r#"schema_version: 1
kind: flow
variables: { topic: spring }
output: $expr{ $hier{say}.outcome.results[0].stdout }
elements:
  - node: say
    type: command
    settings: { commands: [[echo, "a long answer about $var{topic} of more words than fit on a narrow screen"]] }
"#,
    );
    let rows = r#"{"id": "first", "variables": {"topic": "summer"}, "expect": {"contains": "winter, which nothing here is about"}}
{"id": "second", "expect": {"contains": "spring"}}
"#;
    env.write("rows.jsonl", rows);
    drop(
        env.run(&["run", "say.yaml", "--each", "rows.jsonl", "--batch", "seasons"])
            .expect(1),
    );
    drop(
        env.run(&["runs", "export", "last~1", "--tar", "kept.tar"])
            .expect(0),
    );
    for shape in SHAPES {
        for args in [
            &["run", "say.yaml", "--each", "rows.jsonl", "--batch", "seasons"][..],
            &["runs", "table", "seasons"],
            &["runs", "table", "seasons", "--field", "say.outcome.results"],
            &["runs", "watch", "last"],
            &["runs", "watch", "last~1"],
            &["runs", "trace", "last~4", "--expand"],
            &["runs", "logs", "last~4"],
            &["runs", "cost", "--by", "run"],
            &[
                "runs",
                "tag",
                "last",
                "+a_long_tag",
                "+another_long_tag",
                "+a_third_tag_of_a_run",
            ],
            &[
                "runs",
                "note",
                "last",
                "A note of many words, which is longer than a narrow screen is wide.",
            ],
            &["runs", "show", "last"],
            &["runs", "path", "last"],
            &["cancel", "last"],
            &["completions", "--help"],
            &["runs", "export", "last~1"],
        ] {
            drop(fitting(&env, shape, args));
        }
    }
}

#[test]
fn diagrams_and_values_to_be_copied_stay_as_they_are() {
    let env = with_runs();
    for args in [
        &["runs", "graph", "last"][..],
        &["validate", "--graph", "demo.yaml"],
        &["runs", "get", "last~3", "collect_sources.outcome"],
        &["runs", "show", "last~1", "compile", "--json"],
    ] {
        let [wide, narrow] = SHAPES.map(|shape| env.printed_at(shape, &[], args).lines);
        assert_eq!(wide, narrow, "{args:?}");
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let env = with_runs();
    let [wide, _] = SHAPES;
    let screen =
        |environment: &[(&str, &str)]| env.printed_at(wide, environment, &["runs", "show", "last~1"]);
    let codes = |text: &str| text.contains("\u{1b}[1m") || text.contains("\u{1b}[31m");
    let (coloured, plain) = (screen(&[]), screen(&[("NO_COLOR", "1")]));
    assert!(codes(&coloured.formatted), "{}", coloured.formatted);
    assert!(!codes(&plain.formatted), "{}", plain.formatted);
    assert_eq!(coloured.lines, plain.lines);
    assert_eq!(
        (&*coloured.status, &*plain.status),
        ("exit status: 0", "exit status: 0")
    );
    // A file has whole lines, and no codes.
    let file = env
        .unchanged(&["runs", "show", "last~1", "compile"])
        .expect(0)
        .stdout;
    assert!(!file.contains('\u{1b}'), "{file}");
    assert!(file.lines().any(|line| line.chars().count() > 150), "{file}");
}
