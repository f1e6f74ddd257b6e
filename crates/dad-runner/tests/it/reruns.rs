use std::path::Path;

use dad_core::FlowDefinition;
use dad_definition::FlowBuilder;
use dad_run::{NextStep, RunView};
use dad_runner::{Error, FlowRunner, RunReport};

use crate::nodes::{echo, effect, failing};
use crate::{context, path, report, run};

/// Which steps of a run executed in it.
fn executed(report: &RunReport) -> Vec<String> {
    let view = RunView::open(&report.run_dir).unwrap();
    view.steps()
        .filter(|step| step.reused_from.is_none())
        .map(|step| step.path.leaf().to_owned())
        .collect()
}

async fn rerun(flow: FlowDefinition, project: &Path, entry: Option<&str>) -> Result<RunReport, Error> {
    let mut context = context(project).previous_run_id("last");
    if let Some(entry) = entry {
        context = context.start_hierarchy_path(entry);
    }
    let report = FlowRunner::new(flow, context.build()?).run().await?;
    let _ = dad_tests::validate_run_dir(&report.run_dir);
    Ok(report)
}

fn flow(second: &str) -> FlowDefinition {
    FlowBuilder::new()
        .node("first", echo("$var{run_id} $var{run_dir}"))
        .node("second", echo(second))
        .node("third", echo("$expr{$hier{second}.outcome.value}"))
        .node("fourth", echo("$expr{$hier{first}.outcome.calls}"))
        .build()
        .unwrap()
}

#[tokio::test]
async fn reused_files_are_byte_identical_also_in_a_rerun_of_a_rerun() {
    let project = tempfile::tempdir().unwrap();
    let first = run(flow("a"), project.path()).await.unwrap();
    let second = rerun(flow("a"), project.path(), Some("third")).await.unwrap();
    let third = rerun(flow("a"), project.path(), Some("fourth")).await.unwrap();
    assert_eq!(executed(&second), ["third", "fourth"]);
    assert_eq!(executed(&third), ["fourth"]);
    for file in ["result.json", "outcome.json", "memo.jsonl"] {
        let read = |report: &RunReport| std::fs::read(report.run_dir.join("flow/second").join(file)).unwrap();
        assert_eq!(read(&first), read(&second), "{file}");
        assert_eq!(read(&first), read(&third), "{file}");
    }
    let view = RunView::open(&third.run_dir).unwrap();
    let origin = |step: &str| {
        view.step(&path(step))
            .unwrap()
            .reused_from
            .clone()
            .unwrap()
            .run_id
    };
    assert_eq!(origin("flow.second"), first.run_id, "the run that executed it");
    assert_eq!(origin("flow.third"), second.run_id);
}

#[tokio::test]
async fn without_an_entry_point_only_what_changed_executes() {
    let project = tempfile::tempdir().unwrap();
    run(flow("a"), project.path()).await.unwrap();
    let same = rerun(flow("a"), project.path(), None).await.unwrap();
    assert!(
        executed(&same).is_empty(),
        "run id and directory stand in a prompt and do not count"
    );
    let changed = rerun(flow("b"), project.path(), None).await.unwrap();
    assert_eq!(executed(&changed), ["second", "third"]);
}

#[tokio::test]
async fn after_an_effect_what_depends_on_the_world_executes() {
    let project = tempfile::tempdir().unwrap();
    let flow = |value: &str| {
        FlowBuilder::new()
            .node("pure", echo("a"))
            .node("changes", effect(value))
            .node("tests", effect("test"))
            .node("pure_too", echo("b"))
            .build()
            .unwrap()
    };
    run(flow("a"), project.path()).await.unwrap();
    assert!(executed(&rerun(flow("a"), project.path(), None).await.unwrap()).is_empty());
    assert_eq!(
        executed(&rerun(flow("b"), project.path(), None).await.unwrap()),
        ["changes", "tests"]
    );
}

#[tokio::test]
async fn a_damaged_file_is_never_reused() {
    let project = tempfile::tempdir().unwrap();
    let first = run(flow("a"), project.path()).await.unwrap();
    let file = first.run_dir.join("flow/first/outcome.json");
    let text = std::fs::read_to_string(&file).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test damages a file")]
    std::fs::write(&file, text.replace('1', "2")).unwrap();
    let error = rerun(flow("a"), project.path(), Some("second"))
        .await
        .unwrap_err();
    let Error::Failed { report } = error else {
        panic!("{error}");
    };
    let error = report.error.unwrap();
    assert_eq!(error.code, "corrupt");
    assert_eq!(error.path.unwrap().as_str(), "flow.first");
}

#[tokio::test]
async fn a_step_that_failed_cannot_lie_before_the_entry_point() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new()
        .node("bad", failing())
        .node("next", echo(1))
        .build()
        .unwrap();
    drop(report(run(flow.clone(), project.path()).await));
    let runs = || std::fs::read_dir(project.path().join("runs")).unwrap().count();
    let before = runs();
    let Err(Error::Run(error)) = rerun(flow, project.path(), Some("next")).await else {
        panic!("it must fail")
    };
    assert_eq!(
        error.next_step(),
        Some(NextStep::StartAt {
            path: path("flow.bad")
        })
    );
    assert_eq!(runs(), before, "no directory is left behind");
}
