//! The formats of `docs/format/`: that they are complete, and that the check of run directories notices what is wrong.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use dad_tests::{Schemas, check_run_dir, format_dir, validate_run_dir};
use dhenara::definition::{SpanMap, compile, load_file};
use dhenara::models::Models;
use dhenara::{
    AIModelNode, CommandNode, FlowBuilder, FlowDefinition, FlowRunner, NodeBuilder, ObservabilitySettings,
    RunEnd, RunView,
};
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, journal, read_json};
use crate::nodes::{Echo, TalkerSettings, context, registry};

#[test]
fn the_table_names_every_schema() {
    let readme = std::fs::read_to_string(format_dir().join("README.md")).unwrap();
    let in_table: BTreeSet<&str> = readme
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('`'))
        .filter_map(|word| word.strip_suffix(".schema.json"))
        .collect();
    let there: BTreeSet<&str> = Schemas::get().names().collect();
    assert_eq!(in_table, there);
    for name in there {
        let schema = Schemas::get().document(name).unwrap();
        assert!(
            schema["title"].as_str().is_some_and(|title| !title.is_empty()),
            "{name} has no title"
        );
    }
}

/// A flow whose run has files of every kind.
fn everything() -> FlowDefinition {
    let model = AIModelNode::new(["echo/echo"]).prompt("Hello");
    let flaky = CommandNode::new(["test -f ../flag || { touch ../flag; exit 1; }"]);
    let retry = dhenara::RetryPolicy::default()
        .max_attempts(2)
        .initial_delay(std::time::Duration::from_millis(1))
        .repeat_effects(true);
    FlowBuilder::new()
        .variable("long", "x".repeat(5000))
        .node("model", model)
        .node("talks", TalkerSettings::node("$expr{long}"))
        .node("flaky", NodeBuilder::from(flaky).retry(retry))
        .subflow(
            "inner",
            FlowBuilder::new().node("talks", TalkerSettings::node("short")),
        )
        .build()
        .unwrap()
}

#[tokio::test]
async fn every_kind_of_file_has_its_schema() {
    let env = TestEnvironment::new();
    let builder = || {
        context("everything", &env.project())
            .resource(Arc::new(Models::new(Echo)))
            .observability_settings(ObservabilitySettings::default())
            .register_node_static_input("model", json!({ "settings_override": { "prompt": "Good day" } }))
    };
    let flow = everything();
    let first = FlowRunner::new(flow.clone(), builder().build().unwrap())
        .run()
        .await
        .unwrap();
    let again = builder()
        .previous_run_id("last")
        .start_hierarchy_path("inner")
        .build()
        .unwrap();
    let again = FlowRunner::new(flow, again).run().await.unwrap();

    let mut seen = BTreeSet::new();
    for run in [&first.run_dir, &again.run_dir] {
        seen.extend(validate_run_dir(run).schemas);
    }
    // Written by the command line, where the definition comes from a file.
    let flow = "schema_version: 1\nkind: flow\nelements:\n  - node: look\n    type: folder_analyzer\n    settings:\n      \
                base_directory: $var{project_root}/src\n      operations: [{ operation_type: analyze_folder, path: . }]\n";
    env.write("flow.yaml", flow);
    env.write("src/a", "");
    let _ = env.run(&["run", "flow", "flow.yaml"]).expect(0);
    seen.extend(validate_run_dir(&env.last_run()).schemas);
    env.write("src/b", "");
    let _ = env
        .run(&["run", "flow", "flow.yaml", "--previous-run-id", "last"])
        .expect(0);
    seen.extend(validate_run_dir(&env.last_run()).schemas);

    let change = "schema_version: 1\nkind: flow\nelements:\n  - node: change\n    type: file_operation\n    settings:\n      \
                  base_directory: $var{project_root}/src\n      operations: [{ type: create_file, path: c, content: x }]\n";
    env.write("change.yaml", change);
    let _ = env.run(&["run", "flow", "change.yaml"]).expect(0);
    seen.extend(validate_run_dir(&env.last_run()).schemas);

    // Beside the record: what people wrote, and that the run was imported.
    let _ = env.run(&["runs", "tag", "last", "+good"]).expect(0);
    let archive = env.path("run.tar").to_string_lossy().into_owned();
    let _ = env.run(&["runs", "export", "last", "--tar", &archive]).expect(0);
    let there = TestEnvironment::new();
    let _ = there.run(&["runs", "import", &archive]).expect(0);
    seen.extend(validate_run_dir(&there.last_run()).schemas);

    // Only where another process intervenes, or takes the signals; the tests of that check it.
    seen.extend(["export", "inbox", "question"].map(str::to_owned));

    // Events stand in no file.
    let is_of_a_file = |name: &&str| !name.starts_with("cli_") && !["common", "event"].contains(name);
    let mut wanted: BTreeSet<String> = Schemas::get()
        .names()
        .filter(is_of_a_file)
        .map(str::to_owned)
        .collect();
    // Log events need a subscriber, which is one for the whole process; another test has it.
    wanted.remove("logs");
    seen.remove("logs");
    assert_eq!(seen, wanted);

    let files = validate_run_dir(&first.run_dir).files;
    for (prefix, what) in [(".run/values/", "large values"), (".run/attempts/", "attempts")] {
        assert!(
            files.iter().any(|file| file.starts_with(prefix)),
            "no {what} in {files:#?}"
        );
    }
}

#[tokio::test]
async fn the_definition_of_a_run_reads_back_as_it_was() {
    let env = TestEnvironment::new();
    let flow = everything();
    let context = context("everything", &env.project()).build().unwrap();
    let run = context.setup_run(&flow).unwrap();
    let view = RunView::open(&run.identity().run_dir).unwrap();
    let read = view.definition().unwrap();
    assert_eq!(read.definition, *run.handle().program().definition);
    assert_eq!(read.definition, *flow.definition());
    assert!(read.spans.is_none(), "it was built in Rust");
    let compiled = compile(&read.definition, &view.root_id, &registry(), None).unwrap();
    assert_eq!(compiled.digest, run.handle().program().digest);
    let steps: Vec<_> = compiled
        .steps()
        .map(|step| (step.path.clone(), step.digest))
        .collect();
    assert_eq!(
        Vec::from_iter(read.steps().map(|(path, digest)| (path.clone(), digest))),
        steps
    );
    let created = journal(&run.identity().run_dir).remove(0);
    assert_eq!(created["definition_digest"], compiled.digest.to_string());
    let _ = run.complete_run(RunEnd::Completed, None).await.unwrap();
}

#[test]
fn the_definition_of_a_file_reads_back_as_it_was() {
    let env = TestEnvironment::new();
    env.write("task.md", "Do $var{what}.\n");
    let file = env.write(
        "flow.yaml",
        r#"schema_version: 1
kind: flow
variables: { what: it, task: { $file: ./task.md } }
output: { done: "$expr{task}" }
elements:
  - node: say
    type: command
    timeout: 90s
    retry: { max_attempts: 2, initial_delay: 1.5s }
    on_error: continue
    settings: { commands: [[echo, "$expr{task}"]] }
  - subflow: inner
    elements: []
    finally: [{ node: ends, type: command, settings: { commands: ["true"] } }]
"#,
    );
    let _ = env.run(&["run", "flow", "flow.yaml"]).expect(0);
    let written = RunView::open(env.last_run()).unwrap().definition().unwrap();
    let loaded = load_file(&file, Some(&env.project())).unwrap();
    assert_eq!(written.definition, loaded.definition);
    let place = |spans: &SpanMap| {
        spans
            .get("elements[0]")
            .map(|at| (at.file.to_owned(), at.line, at.column))
    };
    assert_eq!(place(&written.spans.unwrap()), place(&loaded.spans));
}

#[test]
fn a_change_of_one_step_changes_its_digest_alone() {
    let env = TestEnvironment::new();
    let digests = |words: &str| {
        let step = |id, words| {
            format!("{{ node: {id}, type: command, settings: {{ commands: [[echo, {words}]] }} }}")
        };
        let elements = [step("one", "same"), step("two", words)].join(", ");
        env.write(
            "flow.yaml",
            &format!("schema_version: 1\nkind: flow\nelements: [{elements}]\n"),
        );
        let _ = env.run(&["run", "flow", "flow.yaml"]).expect(0);
        let definition = RunView::open(env.last_run()).unwrap().definition().unwrap();
        let steps = definition.steps().map(|(path, digest)| (path.clone(), digest));
        steps.collect::<std::collections::BTreeMap<_, _>>()
    };
    let (before, after) = (digests("before"), digests("after"));
    let same: Vec<bool> = before
        .iter()
        .map(|(path, digest)| after[path] == *digest)
        .collect();
    assert_eq!(same, [true, false]);
}

/// A run directory with one committed step.
fn some_run() -> TestEnvironment {
    let env = TestEnvironment::new();
    let step = "{ node: say, type: command, settings: { commands: [[echo, x]] } }";
    env.write(
        "flow.yaml",
        &format!("schema_version: 1\nkind: flow\nelements: [{step}]\n"),
    );
    let _ = env.run(&["run", "flow", "flow.yaml"]).expect(0);
    env
}

/// The findings of the check after a change of the run directory.
fn problems_after(change: impl FnOnce(&Path)) -> String {
    let env = some_run();
    let run = env.last_run();
    let kept = env.path("tmp/kept");
    env.copy_dir(&run, &kept.join(run.file_name().unwrap()));
    let run = kept.join(run.file_name().unwrap());
    change(&run);
    let (_, problems) = check_run_dir(&run);
    std::fs::remove_dir_all(&kept).unwrap();
    problems.join("\n")
}

fn edit(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = read_json(file);
    change(&mut value);
    std::fs::write(file, value.to_string()).unwrap();
}

#[test]
fn the_check_of_run_directories_notices_what_is_wrong() {
    assert_eq!(problems_after(|_| {}), "");
    let unknown = problems_after(|run| std::fs::write(run.join("flow_root/say/more.json"), "{}").unwrap());
    insta::assert_snapshot!(unknown, @"
    `flow_root/say/more.json` is of no known kind
    `flow_root/say/more.json`: no committed step has it
    ");
    let gone = problems_after(|run| std::fs::remove_file(run.join("flow_root/say/stdout.log")).unwrap());
    assert!(gone.starts_with("`flow_root/say/stdout.log`: "), "{gone}");
    let changed = problems_after(|run| std::fs::write(run.join("flow_root/say/stdout.log"), "y\n").unwrap());
    insta::assert_snapshot!(changed, @"`flow_root/say/stdout.log`: it is not the file that was recorded");
    let field = problems_after(|run| {
        edit(&run.join("run_summary.json"), |summary| {
            summary["more"] = 1.into();
        });
    });
    insta::assert_snapshot!(field, @"`run_summary.json`: run_summary at ``: Unevaluated properties are not allowed ('more' was unexpected)");
    let journal = problems_after(|run| {
        let journal = run.join(".run/journal.jsonl");
        let text = std::fs::read_to_string(&journal).unwrap();
        std::fs::write(&journal, text.replace("\"seq\":3", "\"seq\":4")).unwrap();
    });
    assert!(journal.contains("record 4 is out of order"), "{journal}");
    let newer = problems_after(|run| {
        edit(&run.join("run_summary.json"), |summary| {
            summary["schema_version"] = 2.into();
        });
    });
    assert!(newer.contains("schema_version"), "{newer}");
}

#[test]
fn a_test_whose_runs_are_wrong_fails_when_its_project_is_dropped() {
    let project = dad_tests::TestProject::new();
    let dot_run = project.path().join("runs/run_20251123_141516_000001/.run");
    std::fs::create_dir_all(&dot_run).unwrap();
    std::fs::write(dot_run.join("journal.jsonl"), "{}\n").unwrap();
    assert!(std::panic::catch_unwind(move || drop(project)).is_err());
}
