//! The example `examples/autocoder`, offline: models answer from its cassette.

use std::path::{Path, PathBuf};

use dad_tests::validate_run_dir;
use serde_json::Value;

use crate::harness::{TestEnvironment, has_git, journal, read_json, records, workspace};

const FLOW: &str = "autocoder_root/main_flow";

/// A place with a copy of the example and a small source tree for it to work on.
pub(crate) fn environment() -> (TestEnvironment, PathBuf) {
    let env = TestEnvironment::without_project();
    env.copy_dir(&workspace().join("examples/autocoder"), &env.project());
    let source = env.path("source");
    for dir in ["examples/hello", "crates/one/src"] {
        std::fs::create_dir_all(source.join(dir)).unwrap();
    }
    let hello = "examples/hello/hello.yaml";
    std::fs::copy(workspace().join(hello), source.join(hello)).unwrap();
    std::fs::write(source.join("crates/one/src/lib.rs"), "//! One.\n").unwrap();
    (env, source)
}

pub(crate) fn run_offline(
    env: &TestEnvironment,
    source: &Path,
    more: &[&str],
) -> crate::harness::CommandOutput {
    let source = format!("source={}", source.display());
    let args = ["run", "agent", "autocoder", "--env", "offline", "--var", &source];
    env.run(&[&args, more].concat())
}

fn staged(env: &TestEnvironment) -> String {
    let repo = env.project().join("runs/global_data/workspace");
    let mut git = env.command("git", &repo);
    let output = git.args(["diff", "--cached", "--stat"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_analyses_asks_and_changes() {
    if !has_git() {
        return;
    }
    let (env, source) = environment();
    let output = run_offline(&env, &source, &[]).expect(0);
    insta::assert_snapshot!(output, @"
    The hello example greets the reader and has a README.
    ---- stderr
    run_00000000_000000_000001
    autocoder_root
      main_flow
        ✓ working_copy                  [time]  1 command
        ✓ dynamic_repo_analysis         [time]  2 of 2 operations, 26 words
    note: autocoder_root.main_flow.code_generator: call 1 is answered from [root]/project/cassettes/autocoder, matched by path and call number; [number] lines differ between this prompt of 14 lines and the recorded one
        ✓ code_generator                [time]  gpt-5.1, replayed
        ✓ code_generator_file_ops       [time]  2 operations

    completed run_00000000_000000_000001 in [time]
      steps     4 completed
      model     1 call replayed
      changed   in [root]/project/runs/global_data/workspace
                created examples/hello/README.md
                edited examples/hello/hello.yaml
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 autocoder_root.main_flow.code_generator_file_ops
    ---- exit code 0
    ");

    let run = env.last_run();
    let files: Vec<String> = validate_run_dir(&run).files.into_iter().collect();
    insta::assert_snapshot!(files.join("\n"), @"
    .run/definition.json
    .run/definitions/[digest].json
    .run/journal.jsonl
    .run/lease
    .run/spans.json
    .trace/dad_metadata.json
    .trace/logs.jsonl
    .trace/metrics.jsonl
    .trace/trace.jsonl
    autocoder_root/component_result.json
    autocoder_root/main_flow/code_generator/memo.jsonl
    autocoder_root/main_flow/code_generator/outcome.json
    autocoder_root/main_flow/code_generator/result.json
    autocoder_root/main_flow/code_generator/state.json
    autocoder_root/main_flow/code_generator_file_ops/file_changes/[digest]
    autocoder_root/main_flow/code_generator_file_ops/file_changes/[digest]
    autocoder_root/main_flow/code_generator_file_ops/file_changes/[digest]
    autocoder_root/main_flow/code_generator_file_ops/file_changes/plan.json
    autocoder_root/main_flow/code_generator_file_ops/memo.jsonl
    autocoder_root/main_flow/code_generator_file_ops/outcome.json
    autocoder_root/main_flow/code_generator_file_ops/result.json
    autocoder_root/main_flow/code_generator_file_ops/state.json
    autocoder_root/main_flow/component_result.json
    autocoder_root/main_flow/dynamic_repo_analysis/outcome.json
    autocoder_root/main_flow/dynamic_repo_analysis/result.json
    autocoder_root/main_flow/dynamic_repo_analysis/world.json
    autocoder_root/main_flow/working_copy/outcome.json
    autocoder_root/main_flow/working_copy/result.json
    autocoder_root/main_flow/working_copy/state.json
    autocoder_root/main_flow/working_copy/stderr.log
    autocoder_root/main_flow/working_copy/stdout.log
    output.json
    run_summary.json
    ");

    // What was asked is kept, and it is what the templates became.
    let state = read_json(&run.join(FLOW).join("code_generator/state.json"));
    insta::assert_snapshot!(state["prompt"]["text"].as_str().unwrap(), @r#"
    # Task
    The example in `examples/hello` greets the world. Let it greet the reader instead, and explain in
    `examples/hello/README.md` how it is run and what it shows. Change nothing else.


    # The tree
    crates
    └── one
        └── src

    # The files
    [{"path":"examples/hello/hello.yaml","content":"schema_version: 1\nkind: flow\nvariables: { name: world }\noutput: \"$expr{ $hier{greet}.outcome.results[0].stdout }\"\nelements:\n  - node: greet\n    type: command\n    settings: { commands: [[echo, \"Hello, $expr{name}!\"]] }\n"}]
    "#);
    let memo = std::fs::read_to_string(run.join(FLOW).join("code_generator/memo.jsonl")).unwrap();
    let memo: Value = serde_json::from_str(memo.trim()).unwrap();
    assert_eq!(memo["request"]["messages"][0]["text"], state["prompt"]["text"]);

    insta::assert_snapshot!(staged(&env), @"
    examples/hello/README.md  | 10 ++++++++++
    examples/hello/hello.yaml |  2 +-
    2 files changed, 11 insertions(+), 1 deletion(-)
    ");
    let summary = read_json(&run.join("run_summary.json"));
    insta::assert_json_snapshot!(summary["counts"], @r#"
    {
      "completed": 4,
      "reused": 0,
      "failed": 0,
      "skipped": 0
    }
    "#);
}

#[test]
fn a_rerun_takes_over_what_lies_before_the_entry_point() {
    if !has_git() {
        return;
    }
    let (env, source) = environment();
    let _ = run_offline(&env, &source, &[]).expect(0);
    let parent = env.last_run();
    let changed = staged(&env);
    let more = [
        "--previous-run-id",
        "last",
        "--entry-point",
        "code_generator_file_ops",
    ];
    let output = run_offline(&env, &source, &more).expect(0);
    insta::assert_snapshot!(output, @"
    The hello example greets the reader and has a README.
    ---- stderr
    rerun_00000000_000000_000002
    re-run of run_00000000_000000_000001: 3 reused, 1 to execute, starting at autocoder_root.main_flow.code_generator_file_ops
    autocoder_root
      main_flow
        ↺ working_copy                  from run_00000000_000000_000001  1 command
        ↺ dynamic_repo_analysis         from run_00000000_000000_000001  2 of 2 operations, 26 words
        ↺ code_generator                from run_00000000_000000_000001  gpt-5.1, replayed
        ✓ code_generator_file_ops       [time]  2 operations, 2 unchanged

    completed rerun_00000000_000000_000002 in [time]
      steps     4 completed, of them 3 reused
      artifacts [root]/project/runs/rerun_00000000_000000_000002
      next      dhenara runs show rerun_00000000_000000_000002 autocoder_root.main_flow.code_generator_file_ops
    ---- exit code 0
    ");

    let run = env.last_run();
    let (id, parent_id) = (name(&run), name(&parent));
    assert!(id.starts_with("rerun_"), "{id}");

    let committed = records(&run, "step_committed");
    let shown: Vec<String> = committed
        .iter()
        .map(|step| {
            format!(
                "{} {} {}",
                step["path"], step["status"], step["reused_from"]["run_id"]
            )
        })
        .collect();
    insta::assert_snapshot!(env.shown(&shown.join("\n")), @r#"
    "autocoder_root.main_flow.working_copy" "completed" "run_00000000_000000_000001"
    "autocoder_root.main_flow.dynamic_repo_analysis" "completed" "run_00000000_000000_000001"
    "autocoder_root.main_flow.code_generator" "completed" "run_00000000_000000_000001"
    "autocoder_root.main_flow.code_generator_file_ops" "completed" null
    "#);
    let started = records(&run, "step_started");
    assert_eq!(started.len(), 1, "{started:?}");
    assert_eq!(
        started[0]["path"],
        "autocoder_root.main_flow.code_generator_file_ops"
    );

    // Every file of a step that was taken over, its memos included, is the file of the run it was taken from.
    let mut compared = 0;
    for step in ["working_copy", "dynamic_repo_analysis", "code_generator"] {
        let (ours, theirs) = (run.join(FLOW).join(step), parent.join(FLOW).join(step));
        let names = |dir: &Path| {
            let mut names: Vec<_> = std::fs::read_dir(dir)
                .unwrap()
                .map(|e| e.unwrap().file_name())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&ours), names(&theirs));
        for file in names(&ours) {
            assert_eq!(
                std::fs::read(ours.join(&file)).unwrap(),
                std::fs::read(theirs.join(&file)).unwrap()
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 12);

    // The tree was changed by the first run already.
    let outcome = read_json(&run.join(FLOW).join("code_generator_file_ops/outcome.json"));
    let unchanged = |result: &Value| result["unchanged"] == true && result["success"] == true;
    assert!(
        outcome["results"].as_array().unwrap().iter().all(unchanged),
        "{outcome}"
    );
    assert_eq!(staged(&env), changed);

    // Nothing was asked, so nothing was paid.
    let summary = read_json(&run.join("run_summary.json"));
    assert_eq!(summary["agg_usage_total_tokens"], 0);
    assert_eq!(summary["agg_usage_cost"], Value::Null);

    let metadata = read_json(&run.join(".trace/dad_metadata.json"));
    assert_eq!(metadata["previous_run_id"], parent_id);
    assert_eq!(metadata["start_hierarchy_path"], started[0]["path"]);
    let plan = read_json(&run.join(".run/plan.json"));
    assert_eq!(
        (&plan["parent"], &plan["root_parent"]),
        (&parent_id.clone().into(), &parent_id.clone().into())
    );
    assert_eq!(journal(&run)[0]["parent"], parent_id);
}

#[test]
fn a_rerun_of_a_rerun_names_the_run_that_executed() {
    if !has_git() {
        return;
    }
    let (env, source) = environment();
    let _ = run_offline(&env, &source, &[]).expect(0);
    let first = env.last_run();
    let more = [
        "--previous-run-id",
        "last",
        "--entry-point",
        "code_generator_file_ops",
    ];
    let _ = run_offline(&env, &source, &more).expect(0);
    let second = env.last_run();
    let _ = run_offline(&env, &source, &more).expect(0);
    let plan = read_json(&env.last_run().join(".run/plan.json"));
    assert_eq!(plan["parent"], name(&second));
    assert_eq!(plan["root_parent"], name(&first));
    let reused = records(&env.last_run(), "step_committed");
    assert_eq!(reused[0]["reused_from"]["run_id"], name(&first));
}

#[test]
fn it_works_on_the_tree_it_lies_in() {
    if !has_git() {
        return;
    }
    let (env, _) = environment();
    let output = run_offline(&env, &workspace(), &[]).expect(0);
    assert_eq!(
        output.stdout,
        "The hello example greets the reader and has a README.\n"
    );
    insta::assert_snapshot!(staged(&env), @"
    examples/hello/README.md  | 10 ++++++++++
    examples/hello/hello.yaml |  2 +-
    2 files changed, 11 insertions(+), 1 deletion(-)
    ");
}

fn name(run: &Path) -> String {
    run.file_name().unwrap().to_string_lossy().into_owned()
}
