//! The example `examples/tutorial`, offline: a loop, a conditional, a flow from a file of its own, a commit.

use std::path::{Path, PathBuf};

use dad_tests::validate_run_dir;
use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment, has_git, read_json, read_lines, records, workspace};

const FLOW: &str = "coding_assistant_root/main_flow";
const MODEL: &str = "implement/code_generator";
const FILE_OPS: &str = "implement/anything_to_do/is_true/code_generator_file_ops";

/// The example, or nothing without git.
fn example() -> Option<TestEnvironment> {
    has_git().then(|| {
        let env = TestEnvironment::without_project();
        env.copy_dir(&workspace().join("examples/tutorial"), &env.project());
        env
    })
}

fn run_offline(env: &TestEnvironment, more: &[&str]) -> CommandOutput {
    let args = ["run", "agent", "coding_assistant", "--env", "offline"];
    env.run(&[&args, more].concat())
}

fn git(env: &TestEnvironment, arguments: &[&str]) -> String {
    let repo = env.project().join("runs/global_data/app");
    let output = env.command("git", &repo).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn step(run: &Path, step: &str) -> PathBuf {
    run.join(FLOW).join(step)
}

fn prompt(run: &Path) -> String {
    let state = read_json(&step(run, MODEL).join("state.json"));
    state["prompt"]["text"].as_str().unwrap().to_owned()
}

/// The steps of a run in the order in which they were committed, and how each came to its result.
fn committed(run: &Path) -> String {
    let lines = records(run, "step_committed").into_iter().map(|record| {
        let path = record["path"].as_str().unwrap();
        let path = path.trim_start_matches("coding_assistant_root.main_flow.");
        let how = match record["reused_from"] {
            Value::Null => record["status"].as_str().unwrap(),
            _ => "reused",
        };
        format!("{path} {how}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn it_reads_asks_changes_and_commits() {
    let Some(env) = example() else { return };
    let output = run_offline(&env, &[]).expect(0);
    insta::assert_snapshot!(output.stdout, @"
    greet says goodbye when it is told to.
    Say goodbye too

     CHANGELOG.md | 3 +++
     README.md    | 5 ++++-
     src/greet.sh | 7 ++++++-
     src/words.sh | 4 ++++
     tests/run.sh | 2 ++
     5 files changed, 19 insertions(+), 2 deletions(-)
    The source tree

     README.md     |  8 ++++++++
     docs/style.md |  3 +++
     src/greet.sh  |  6 ++++++
     src/words.sh  |  5 +++++
     tests/run.sh  | 17 +++++++++++++++++
     5 files changed, 39 insertions(+)
    ");
    assert!(
        output.stderr.contains("the prompt is the recorded one"),
        "{output}"
    );

    let run = env.last_run();
    insta::assert_snapshot!(committed(&run), @"
    working_copy completed
    context.iter_0.analyse completed
    context.iter_1.analyse completed
    context.iter_2.analyse completed
    context.iter_3.analyse completed
    implement.code_generator completed
    implement.anything_to_do.is_true.code_generator_file_ops completed
    implement.anything_to_do.is_true.check completed
    history completed
    ");
    // The directory of the run mirrors the definition.
    let root = "coding_assistant_root/";
    let files = validate_run_dir(&run).files;
    let files: Vec<&str> = files.iter().filter_map(|file| file.strip_prefix(root)).collect();
    insta::assert_snapshot!(files.join("\n"), @"
    component_result.json
    main_flow/component_result.json
    main_flow/context/component_result.json
    main_flow/context/iter_0/analyse/outcome.json
    main_flow/context/iter_0/analyse/result.json
    main_flow/context/iter_0/analyse/world.json
    main_flow/context/iter_1/analyse/outcome.json
    main_flow/context/iter_1/analyse/result.json
    main_flow/context/iter_1/analyse/world.json
    main_flow/context/iter_2/analyse/outcome.json
    main_flow/context/iter_2/analyse/result.json
    main_flow/context/iter_2/analyse/world.json
    main_flow/context/iter_3/analyse/outcome.json
    main_flow/context/iter_3/analyse/result.json
    main_flow/context/iter_3/analyse/world.json
    main_flow/history/outcome.json
    main_flow/history/result.json
    main_flow/history/state.json
    main_flow/history/stderr.log
    main_flow/history/stdout.log
    main_flow/implement/anything_to_do/component_result.json
    main_flow/implement/anything_to_do/is_true/check/outcome.json
    main_flow/implement/anything_to_do/is_true/check/result.json
    main_flow/implement/anything_to_do/is_true/check/state.json
    main_flow/implement/anything_to_do/is_true/check/stderr.log
    main_flow/implement/anything_to_do/is_true/check/stdout.log
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/file_changes/[digest]
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/file_changes/[digest]
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/file_changes/[digest]
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/file_changes/[digest]
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/file_changes/[digest]
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/file_changes/[digest]
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/file_changes/[digest]
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/file_changes/[digest]
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/file_changes/[digest]
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/file_changes/plan.json
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/memo.jsonl
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/outcome.json
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/result.json
    main_flow/implement/anything_to_do/is_true/code_generator_file_ops/state.json
    main_flow/implement/code_generator/memo.jsonl
    main_flow/implement/code_generator/outcome.json
    main_flow/implement/code_generator/result.json
    main_flow/implement/code_generator/state.json
    main_flow/implement/component_result.json
    main_flow/working_copy/outcome.json
    main_flow/working_copy/result.json
    main_flow/working_copy/state.json
    main_flow/working_copy/stderr.log
    main_flow/working_copy/stdout.log
    ");

    // What was asked is the description, then the files in the order of the passes that read them.
    insta::assert_snapshot!(prompt(&run), @r#"
    # Task: Say goodbye too

    The program `greet` can only say hello. Give it an option `--goodbye`, before the name, with which it says
    `Goodbye, Ada!` instead, and without a name `Goodbye, world!`.

    - What is said belongs in `src/words.sh`, the option in `src/greet.sh`.
    - Check the new option in `tests/run.sh`, and show it in the README.
    - Begin a `CHANGELOG.md` that tells of it in one line.

    # Files

    <file path="README.md">
    # greet

    Says hello.

        sh src/greet.sh           Hello, world!
        sh src/greet.sh Ada       Hello, Ada!

    `sh tests/run.sh` checks that it does.
    </file>
    <file path="src/greet.sh">
    # Greets whoever is named, or the world.
    set -eu
    . "$(dirname "$0")/words.sh"

    name=${1:-world}
    hello "$name"
    </file>
    <file path="src/words.sh">
    # What can be said, and to whom.

    hello() {
        printf 'Hello, %s!\n' "$1"
    }
    </file>
    <file path="tests/run.sh">
    # Compares what the program says with what it should say.
    set -eu
    cd "$(dirname "$0")/.."

    says() {
        wanted=$1
        shift
        said=$(sh src/greet.sh "$@")
        if [ "$said" != "$wanted" ]; then
            echo "expected '$wanted', got '$said'"
            exit 1
        fi
        echo "ok: $said"
    }

    says 'Hello, world!'
    says 'Hello, Ada!' Ada
    </file>
    <file path="docs/style.md">
    (not read)
    </file>
    "#);
    let memo = read_lines(&step(&run, MODEL).join("memo.jsonl"));
    assert_eq!(memo.len(), 1);
    assert_eq!(memo[0]["request"]["messages"][0]["text"], prompt(&run));
    assert_eq!(
        memo[0]["request"]["options"]["schema"]["title"],
        "TaskImplementation"
    );

    // The change is a commit, and the example's own files are as they were.
    insta::assert_snapshot!(git(&env, &["log", "--format=%an: %s"]), @"
    Coding assistant: Say goodbye too
    Coding assistant: The source tree
    ");
    insta::assert_snapshot!(git(&env, &["show", "--stat", "--format=%B"]), @"
    Say goodbye too

    greet says goodbye when it is told to.


     CHANGELOG.md | 3 +++
     README.md    | 5 ++++-
     src/greet.sh | 7 ++++++-
     src/words.sh | 4 ++++
     tests/run.sh | 2 ++
     5 files changed, 19 insertions(+), 2 deletions(-)
    ");
    assert_eq!(git(&env, &["status", "--porcelain"]), "");
    for file in ["README.md", "src/greet.sh", "src/words.sh", "tests/run.sh"] {
        let text = |root: PathBuf| std::fs::read_to_string(root.join(file)).unwrap();
        let original = text(workspace().join("examples/tutorial/app"));
        assert_eq!(text(env.project().join("app")), original);
        assert_ne!(text(env.project().join("runs/global_data/app")), original);
    }
    let check = step(&run, "implement/anything_to_do/is_true/check/stdout.log");
    insta::assert_snapshot!(std::fs::read_to_string(check).unwrap(), @"
    ok: Hello, world!
    ok: Hello, Ada!
    ok: Goodbye, world!
    ok: Goodbye, Ada!
    ");
}

#[test]
fn a_rerun_from_the_file_operations_asks_no_person() {
    let Some(env) = example() else { return };
    let _ = run_offline(&env, &[]).expect(0);
    let (first, log) = (env.last_run(), git(&env, &["log", "--format=%H"]));
    let from = |entry: &str| {
        let more = ["--previous-run-id", "last", "--entry-point", entry];
        let output = run_offline(&env, &more).expect(0);
        // Nothing was changed, so there is nothing to commit.
        assert_eq!(git(&env, &["log", "--format=%H"]), log);
        (env.last_run(), output)
    };

    let (run, output) = from("code_generator_file_ops");
    insta::assert_snapshot!(committed(&run), @"
    working_copy reused
    context.iter_0.analyse reused
    context.iter_1.analyse reused
    context.iter_2.analyse reused
    context.iter_3.analyse reused
    implement.code_generator reused
    implement.anything_to_do.is_true.code_generator_file_ops completed
    implement.anything_to_do.is_true.check completed
    history completed
    ");
    assert!(!output.stderr.contains("cassettes"), "{output}");
    assert_eq!(
        std::fs::read(step(&run, MODEL).join("memo.jsonl")).unwrap(),
        std::fs::read(step(&first, MODEL).join("memo.jsonl")).unwrap()
    );
    let summary = read_json(&run.join("run_summary.json"));
    assert_eq!(summary["agg_usage_total_tokens"], 0);
    let outcome = read_json(&step(&run, FILE_OPS).join("outcome.json"));
    let results = outcome["results"].as_array().unwrap();
    assert!(
        results.iter().all(|result| result["unchanged"] == true),
        "{outcome}"
    );

    // In the middle of the loop the passes before are taken over.
    let (run, _) = from("context.iter_2");
    insta::assert_snapshot!(committed(&run), @"
    working_copy reused
    context.iter_0.analyse reused
    context.iter_1.analyse reused
    context.iter_2.analyse completed
    context.iter_3.analyse completed
    implement.code_generator completed
    implement.anything_to_do.is_true.code_generator_file_ops completed
    implement.anything_to_do.is_true.check completed
    history completed
    ");
}

#[test]
fn variables_from_outside_change_the_prompt() {
    let Some(env) = example() else { return };
    let task = json!({
        "title": "Be polite",
        "required_context": [{ "path": "README.md" }, { "path": "docs", "mode": "preview" }],
    });
    env.write("mine.md", "Say please, and $expr{nothing} else.\n");
    let task = format!("task_spec={task}");
    let more = [
        "--var-json",
        &task,
        "--var",
        "description=@mine.md",
        "--var",
        "model=openai/other",
    ];
    let output = run_offline(&env, &more).expect(0);
    assert!(
        output.stderr.contains("lines differ between this prompt"),
        "{output}"
    );
    let run = env.last_run();
    insta::assert_snapshot!(prompt(&run), @r#"
    # Task: Be polite

    Say please, and $expr{nothing} else.

    # Files

    <file path="README.md">
    # greet

    Says hello.

        sh src/greet.sh           Hello, world!
        sh src/greet.sh Ada       Hello, Ada!

    `sh tests/run.sh` checks that it does.
    </file>
    <file path="docs/style.md">
    # Style

    Plain POSIX shell. Every file begins with a comment that says what it is for.
    </file>
    "#);
    assert!(!step(&run, "context/iter_2").exists());
    let state = read_json(&step(&run, MODEL).join("state.json"));
    assert_eq!(state["ai_model"], "openai/other");
    insta::assert_snapshot!(git(&env, &["log", "--format=%s"]), @"
    Be polite
    The source tree
    ");
}

#[test]
fn tests_that_fail_fail_the_run_and_its_history_is_kept() {
    let Some(env) = example() else { return };
    env.write("app/tests/wrong.sh", "exit 3\n");
    let _ = run_offline(&env, &["--var", "check=tests/wrong.sh"]).expect(1);
    let run = env.last_run();
    insta::assert_snapshot!(committed(&run), @"
    working_copy completed
    context.iter_0.analyse completed
    context.iter_1.analyse completed
    context.iter_2.analyse completed
    context.iter_3.analyse completed
    implement.code_generator completed
    implement.anything_to_do.is_true.code_generator_file_ops completed
    implement.anything_to_do.is_true.check failed
    history completed
    ");
    let history = read_json(&step(&run, "history/outcome.json"));
    let log = history["results"][0]["stdout"].as_str().unwrap();
    assert!(log.starts_with("Say goodbye too\n"), "{log}");
}

#[test]
fn an_answer_without_changes_commits_nothing() {
    let Some(env) = example() else { return };
    let tape =
        "cassettes/coding_assistant/coding_assistant_root/main_flow/implement/code_generator/memo.jsonl";
    let mut memo = read_lines(&env.project().join(tape)).remove(0);
    let answer = json!({ "summary": "Nothing has to be done.", "file_operations": [] });
    memo["response"]["text"] = answer.to_string().into();
    env.write(tape, &format!("{memo}\n"));
    let _ = run_offline(&env, &[]).expect(0);
    let run = env.last_run();
    insta::assert_snapshot!(committed(&run), @"
    working_copy completed
    context.iter_0.analyse completed
    context.iter_1.analyse completed
    context.iter_2.analyse completed
    context.iter_3.analyse completed
    implement.code_generator completed
    history completed
    ");
    let choice = read_json(&step(&run, "implement/anything_to_do/component_result.json"));
    assert_eq!(choice["branch"], false);
    assert_eq!(git(&env, &["log", "--format=%s"]), "The source tree\n");
}
