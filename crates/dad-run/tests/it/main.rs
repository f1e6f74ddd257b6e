//! Run directories seen from outside: what is made when, and what readers make of every state.

#![expect(clippy::unwrap_used, reason = "a failed expectation of a test may panic")]
#![expect(clippy::disallowed_methods, reason = "tests damage files")]

mod clock;
mod decisions;
mod files;
mod retention;

use std::path::{Path, PathBuf};

use dad_core::{
    Clean, ComponentKind, FlowDefinition, HierarchyPath, NodeType, RunStatus, StepResult, StepStatus,
    StepValues, Timestamp,
};
use dad_definition::{FlowBuilder, NodeBuilder, NodeTypeInfo, NodeTypes};
use dad_run::driver::{CommitDetails, NewAnswer, StepStart};
use dad_run::{
    ActiveRun, AnsweredBy, Catalog, QuestionKind, RunContext, RunContextBuilder, RunEnd, RunError, RunView,
    SetupError,
};
use dad_tests::TestProject;
use serde_json::{Value, json};

/// One node type that takes anything.
struct Anything(NodeTypeInfo);

impl NodeTypes for Anything {
    fn names(&self) -> Vec<&str> {
        vec!["anything"]
    }

    fn node_type(&self, node_type: &NodeType) -> Option<&NodeTypeInfo> {
        (node_type.as_str() == "anything").then_some(&self.0)
    }
}

const ANYTHING: NodeType = NodeType::from_static("anything");

fn context(project: &Path) -> RunContextBuilder {
    RunContext::builder("flow", project)
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(Anything(NodeTypeInfo::any(1)))
}

fn flow() -> FlowDefinition {
    let node = || NodeBuilder::new(ANYTHING, json!({}));
    FlowBuilder::new()
        .node("one", node())
        .node("two", node())
        .build()
        .unwrap()
}

fn set_up(project: &Path) -> ActiveRun {
    context(project).build().unwrap().setup_run(&flow()).unwrap()
}

/// Executes and commits the step `flow.one`.
fn commit_one(run: &ActiveRun) {
    let driver = run.driver().unwrap();
    assert!(matches!(run.driver(), Err(RunError::AlreadyDriven)));
    let root = driver
        .enter_component(&"flow".parse().unwrap(), ComponentKind::Flow, Clean::default())
        .unwrap();
    let path = "flow.one".parse().unwrap();
    let staged = driver.begin_step(&path, &ANYTHING, &StepStart::first()).unwrap();
    staged
        .dir()
        .unwrap()
        .create_dir_all("custom-artifacts")
        .unwrap()
        .write_new("extra.txt", b"kept", dad_fs::Durability::Process)
        .unwrap();
    let mut values = StepValues::default();
    values.outcome = Some(Clean::from_store(json!({ "n": 1 })));
    let result = StepResult::new(path, &ANYTHING, StepStatus::Completed, Timestamp::now());
    let result = result.with_values(values);
    driver
        .commit_step(&root, &staged, &result, CommitDetails::default())
        .unwrap();
}

fn catalog(project: &Path) -> Catalog {
    dad_run::Dirs::new(project, None, None).unwrap().catalog()
}

fn journal(run_dir: &Path) -> PathBuf {
    run_dir.join(".run/journal.jsonl")
}

#[tokio::test]
async fn a_run_is_readable_while_it_is_driven_and_after() {
    let project = TestProject::new();
    let run = set_up(project.path());
    let dir = run.identity().run_dir.clone();
    assert_eq!(RunView::open(&dir).unwrap().status, RunStatus::Running);
    commit_one(&run);
    let view = RunView::open(&dir).unwrap();
    let step = view.step(&"flow.one".parse().unwrap()).unwrap();
    let names: Vec<String> = view
        .artifacts(step)
        .unwrap()
        .into_iter()
        .map(|artifact| artifact.name)
        .collect();
    assert_eq!(
        names,
        ["custom-artifacts/extra.txt", "outcome.json", "result.json"]
    );
    let (control, driver) = (run.control(), run.driver().unwrap());
    run.complete_run(RunEnd::Completed, None).await.unwrap();
    assert!(matches!(
        control.custom("late", None, Value::Null),
        Err(RunError::Ended)
    ));
    let late = driver.branch_taken(&"flow.two".parse().unwrap(), true);
    assert!(matches!(late, Err(RunError::Ended)));
    assert_eq!(
        catalog(project.path()).find("last", None).unwrap().status,
        RunStatus::Completed
    );
    for file in [".trace/dad_metadata.json", "run_summary.json"] {
        let text: Value = serde_json::from_slice(&std::fs::read(dir.join(file)).unwrap()).unwrap();
        assert_eq!(text["status"], "completed", "{file}");
    }
}

#[tokio::test]
async fn a_dropped_run_is_abandoned_and_a_forgotten_one_interrupted() {
    let project = TestProject::new();
    let run = set_up(project.path());
    let (dir, handle) = (run.identity().run_dir.clone(), run.handle());
    drop(run);
    let view = RunView::open(&dir).unwrap();
    assert_eq!(
        (view.status, view.error.unwrap().code.as_str()),
        (RunStatus::Failed, "abandoned")
    );
    assert!(handle.is_cancelled());
}

#[tokio::test]
async fn a_torn_line_is_expected_and_damage_before_it_is_not() {
    let project = TestProject::new();
    let run = set_up(project.path());
    let dir = run.identity().run_dir.clone();
    commit_one(&run);
    run.complete_run(RunEnd::Completed, None).await.unwrap();
    let project = project.into_unchecked();
    let whole = std::fs::read_to_string(journal(&dir)).unwrap();

    // Cut at every byte: a shorter run, never an error.
    let last = whole.trim_end().rfind('\n').unwrap() + 1;
    for cut in (last..whole.len()).step_by(7).chain([whole.len() - 1]) {
        std::fs::write(journal(&dir), &whole[..cut]).unwrap();
        let view = RunView::open(&dir).unwrap();
        // Only the line feed is missing of the last record.
        let is_whole = cut + 1 == whole.len();
        let wanted = if is_whole {
            RunStatus::Completed
        } else {
            RunStatus::Interrupted
        };
        assert_eq!(view.status, wanted, "no process holds the lease");
        assert_eq!(view.torn, cut > last && !is_whole);
        let listed = catalog(project.path()).find("last", None).unwrap();
        assert_eq!(listed.status, wanted, "{cut}");
    }
    std::fs::write(
        journal(&dir),
        whole.replacen("component_started", "component_st\u{1}rted", 1),
    )
    .unwrap();
    let damaged = RunView::open(&dir).unwrap_err();
    assert!(matches!(damaged, RunError::Journal { line: 4, .. }), "{damaged}");
    std::fs::write(journal(&dir), whole.replacen("\"seq\":3", "\"seq\":4", 1)).unwrap();
    assert!(matches!(
        RunView::open(&dir).unwrap_err(),
        RunError::Journal { line: 3, .. }
    ));
}

#[tokio::test]
async fn unknown_records_are_read_and_newer_directories_refused() {
    let project = TestProject::new();
    let run = set_up(project.path());
    let dir = run.identity().run_dir.clone();
    run.complete_run(RunEnd::Completed, None).await.unwrap();
    let root = project.path().to_path_buf();
    let _project = project.into_unchecked();
    let whole = std::fs::read_to_string(journal(&dir)).unwrap();
    let mut records: Vec<Value> = whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seq = records.len() + 1;
    records.push(json!({ "seq": seq, "at": "2030-01-01T00:00:00Z", "type": "from_the_future", "mac": "" }));
    let rewrite = |records: &[Value]| std::fs::write(journal(&dir), dad_tests::seal(records)).unwrap();
    rewrite(&records);
    let unknown = RunView::open(&dir).unwrap_err();
    assert!(
        matches!(unknown, RunError::Journal { line, .. } if line == seq as u64),
        "{unknown}"
    );
    records[2]["version"] = "99.0.0".into();
    rewrite(&records);
    assert_eq!(RunView::open(&dir).unwrap().status, RunStatus::Completed);
    records.truncate(3);
    records.push(json!({ "seq": 4, "at": "2030-01-01T00:00:00Z", "type": "from_the_future", "mac": "" }));
    rewrite(&records);
    let context = context(&root).build().unwrap();
    let resumed = context.resume_run(&dir, &flow()).unwrap_err();
    assert!(
        matches!(&resumed, RunError::NewerRecords { version, .. } if version == "99.0.0"),
        "{resumed}"
    );
    records[0]["schema_version"] = 9.into();
    rewrite(&records);
    let newer = RunView::open(&dir).unwrap_err();
    assert!(
        matches!(newer, RunError::NewerVersion { found: 9, .. }),
        "{newer}"
    );
    assert!(newer.to_info().hint.unwrap().contains("install"));
}

/// An input that was given before the run.
fn given<'a>(path: &'a HierarchyPath, value: &'a Clean<Value>) -> NewAnswer<'a> {
    NewAnswer {
        path,
        kind: QuestionKind::Input,
        question: None,
        source: "test",
        by: AnsweredBy::Given,
        from: None,
        facts: None,
        subject: None,
        asked_again: None,
        value,
        rule: None,
    }
}

#[tokio::test]
async fn large_fields_stand_beside_the_journal() {
    let project = TestProject::new();
    let run = set_up(project.path());
    let dir = run.identity().run_dir.clone();
    let input = json!({ "text": "x".repeat(100_000) });
    let path = "flow.one".parse().unwrap();
    run.driver()
        .unwrap()
        .answered(given(&path, &Clean::from_store(input.clone())))
        .unwrap();
    run.complete_run(RunEnd::Cancelled, None).await.unwrap();
    let longest = std::fs::read_to_string(journal(&dir))
        .unwrap()
        .lines()
        .map(str::len)
        .max()
        .unwrap();
    assert!(longest < 64 * 1024, "{longest}");
    assert_eq!(RunView::open(&dir).unwrap().input(&path).unwrap(), Some(input));
}

#[tokio::test]
async fn runs_are_found_by_id_prefix_and_last() {
    let project = TestProject::new();
    let mut ids = Vec::new();
    for prefix in ["a", "b"] {
        let run = context(project.path())
            .run_id_prefix(prefix)
            .build()
            .unwrap()
            .setup_run(&flow())
            .unwrap();
        ids.push(run.identity().run_id.clone());
        run.complete_run(RunEnd::Completed, None).await.unwrap();
    }
    let catalog = catalog(project.path());
    assert_eq!(catalog.find("a_", None).unwrap().run_id, ids[0]);
    assert_eq!(catalog.find("last", None).unwrap().run_id, ids[1]);
    assert_eq!(catalog.find(ids[0].as_str(), None).unwrap().run_id, ids[0]);
    let typo = format!("{}x", ids[0]);
    let unknown = catalog.find(&typo, None).unwrap_err();
    assert!(matches!(
        unknown.setup(),
        Some(SetupError::UnknownRun { nearest: Some(_), .. })
    ));
    assert!(catalog.find("", None).is_err());
    let again = context(project.path())
        .run_id(ids[0].clone())
        .build()
        .unwrap()
        .setup_run(&flow());
    let again = again.unwrap_err();
    assert!(matches!(again.setup(), Some(SetupError::RunExists(_))));
}

#[tokio::test]
async fn a_directory_without_a_first_record_is_hidden() {
    let project = TestProject::new().into_unchecked();
    std::fs::create_dir_all(project.path().join("runs/run_20251123_141516_000001/.run")).unwrap();
    std::fs::create_dir_all(project.path().join("runs/global_data/x")).unwrap();
    std::fs::write(
        project
            .path()
            .join("runs/run_20251123_141516_000001/.run/journal.jsonl"),
        "{\"seq\":1,",
    )
    .unwrap();
    assert!(catalog(project.path()).list().unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_made_before_everything_is_checked() {
    let project = TestProject::new();
    let wrong = [
        context(project.path()).variable("undeclared", 1),
        context(project.path()).previous_run_id("last"),
        context(project.path()).node_input("three", json!({}), "test"),
        context(project.path()).static_inputs(project.path().join("missing.json")),
    ];
    for builder in wrong {
        assert!(builder.build().unwrap().setup_run(&flow()).is_err());
    }
    assert!(
        context(project.path())
            .start_hierarchy_path("one")
            .build()
            .is_err()
    );
    assert!(context(project.path()).run_root_subpath("../up").build().is_err());
    assert!(!project.path().join("runs").exists());
}

#[tokio::test]
async fn the_definition_is_read_back_with_the_digests_of_its_steps() {
    let project = TestProject::new();
    let run = set_up(project.path());
    let dir = run.identity().run_dir.clone();
    let recorded = RunView::open(&dir).unwrap().definition().unwrap();
    assert_eq!(recorded.definition, *flow().definition());
    let steps: Vec<_> = run
        .handle()
        .program()
        .steps()
        .map(|step| (step.path.clone(), step.digest))
        .collect();
    assert_eq!(
        Vec::from_iter(recorded.steps().map(|(path, digest)| (path.clone(), digest))),
        steps
    );
    run.complete_run(RunEnd::Completed, None).await.unwrap();

    let _project = project.into_unchecked();
    let digest = RunView::open(&dir).unwrap().definition_digest().unwrap();
    let file = dir.join(format!(".run/definitions/{digest}.json"));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replacen("\"schema_version\": 1", "\"schema_version\": 9", 1),
    )
    .unwrap();
    let newer = RunView::open(&dir).unwrap().definition().unwrap_err();
    assert!(
        matches!(newer, RunError::NewerVersion { found: 9, .. }),
        "{newer}"
    );
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    let damaged = RunView::open(&dir).unwrap().definition().unwrap_err();
    assert!(matches!(damaged, RunError::Unreadable { .. }), "{damaged}");
}

#[tokio::test]
async fn static_inputs_may_say_their_version() {
    let project = TestProject::new();
    let file = project.path().join("inputs.json");
    let give = |inputs: Value| {
        std::fs::write(&file, inputs.to_string()).unwrap();
        context(project.path())
            .static_inputs(&file)
            .build()
            .unwrap()
            .setup_run(&flow())
    };
    let run = give(json!({ "one": { "n": 1 } })).unwrap();
    let dir = run.identity().run_dir.clone();
    run.complete_run(RunEnd::Completed, None).await.unwrap();
    let written = std::fs::read(dir.join("static_inputs/static_inputs.json")).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(written, json!({ "schema_version": 1, "flow.one": { "n": 1 } }));

    let run = give(written).unwrap();
    let given = run.handle().given_input(&"flow.one".parse().unwrap()).unwrap();
    assert_eq!(given.value, json!({ "n": 1 }));
    run.complete_run(RunEnd::Completed, None).await.unwrap();
    let newer = give(json!({ "schema_version": 9, "one": {} })).unwrap_err();
    assert!(
        matches!(newer, RunError::NewerVersion { found: 9, .. }),
        "{newer}"
    );
}

/// Notes which files are synced.
#[derive(Clone, Default)]
struct Synced(std::sync::Arc<std::sync::Mutex<Vec<PathBuf>>>);

impl dad_fs::FaultInjector for Synced {
    fn before(&self, operation: &dad_fs::Operation<'_>) -> Result<(), dad_fs::Fault> {
        if operation.change == dad_fs::Change::SyncFile {
            self.0.lock().unwrap().push(operation.path.to_path_buf());
        }
        Ok(())
    }
}

impl Synced {
    /// The number of syncs of the journal since the last call.
    fn journal(&self) -> usize {
        let synced = std::mem::take(&mut *self.0.lock().unwrap());
        synced
            .iter()
            .filter(|path| path.ends_with("journal.jsonl"))
            .count()
    }
}

/// The events that a subscription has by now.
fn reported(subscription: &mut dad_events::Subscription) -> Vec<Option<u64>> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut reported = Vec::new();
    while let std::task::Poll::Ready(Some(delivery)) = std::pin::pin!(subscription.next()).poll(&mut context)
    {
        match delivery {
            dad_events::Delivery::Event(event) => reported.push(event.seq),
            other => panic!("the queue is large enough: {other:?}"),
        }
    }
    reported
}

#[tokio::test]
async fn with_the_disk_nothing_is_announced_before_it_is_synced() {
    let project = TestProject::new();
    let synced = Synced::default();
    let run = context(project.path())
        .durability(dad_run::Durability::Disk)
        .gate(dad_fs::Gate::with_faults(synced.clone()))
        .build()
        .unwrap()
        .setup_run(&flow())
        .unwrap();
    let mut subscription = run.control().bus().subscribe(100);
    synced.journal();

    // Records that may wait gather; the task that closes their batch syncs once for all of them.
    let first = run.control().custom("first", None, json!(1)).unwrap();
    let second = run.control().custom("second", None, json!(2)).unwrap();
    assert_eq!((reported(&mut subscription), synced.journal()), (vec![], 0));
    let waited = std::time::Instant::now();
    let mut announced = Vec::new();
    while announced.len() < 3 && waited.elapsed().as_secs() < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        announced.extend(reported(&mut subscription));
    }
    assert_eq!(
        announced,
        [Some(first - 1), Some(first), Some(second)],
        "with the start"
    );
    assert_eq!(synced.journal(), 1);

    // An answer may not wait, and takes along what came before it.
    let third = run.control().custom("third", None, json!(3)).unwrap();
    run.driver()
        .unwrap()
        .answered(given(&"flow.one".parse().unwrap(), &Clean::from_store(json!({}))))
        .unwrap();
    assert_eq!(
        (reported(&mut subscription), synced.journal()),
        (vec![Some(third), Some(third + 1)], 1)
    );

    run.control().custom("last", None, json!(4)).unwrap();
    run.complete_run(RunEnd::Completed, None).await.unwrap();
    assert_eq!(
        (reported(&mut subscription).len(), synced.journal()),
        (2, 1),
        "the last one and the end"
    );
}

#[tokio::test]
async fn without_the_disk_nothing_is_synced() {
    let project = TestProject::new();
    let synced = Synced::default();
    let run = context(project.path())
        .gate(dad_fs::Gate::with_faults(synced.clone()))
        .build()
        .unwrap()
        .setup_run(&flow())
        .unwrap();
    commit_one(&run);
    run.complete_run(RunEnd::Completed, None).await.unwrap();
    assert_eq!(synced.0.lock().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_synced_before_its_record_on_several_threads_too() {
    let project = TestProject::new();
    let synced = Synced::default();
    let run = context(project.path())
        .durability(dad_run::Durability::Disk)
        .gate(dad_fs::Gate::with_faults(synced.clone()))
        .build()
        .unwrap()
        .setup_run(&flow())
        .unwrap();
    synced.0.lock().unwrap().clear();
    commit_one(&run);
    let files = std::mem::take(&mut *synced.0.lock().unwrap());
    for name in ["extra.txt", "outcome.json", "result.json"] {
        assert!(
            files.iter().any(|file| file.ends_with(name)),
            "{name} in {files:?}"
        );
    }
    run.complete_run(RunEnd::Completed, None).await.unwrap();
}
