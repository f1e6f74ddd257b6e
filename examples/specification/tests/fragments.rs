//! The fragments of the specification do what the specification says.

use dad_testing::TestProject;
use dhenara::{ObservabilitySettings, Project, RunEnd, RunStatus, RunView, SetupError, StepStatus};
use specification::{
    continue_from, create_a_run_context, implementation_flow, my_agent, run_agent_and_flow, run_lifecycle,
    set_up_an_agent_runner, static_inputs,
};

/// A project for tests, opened for its user.
fn opened() -> (TestProject, Project) {
    let test = TestProject::new();
    let project = test.project();
    (test, project)
}

#[tokio::test]
async fn a_context_is_set_up_with_a_prefix() {
    let (_dir, project) = opened();
    let run = create_a_run_context(&project, ObservabilitySettings::default()).unwrap();
    let identity = run.identity().clone();
    assert!(
        identity.run_id.as_str().starts_with("test_run_"),
        "{}",
        identity.run_id
    );
    run.complete_run(RunEnd::Completed, None).await.unwrap();
    for file in ["trace.jsonl", "metrics.jsonl", "logs.jsonl", "dad_metadata.json"] {
        assert!(identity.trace_dir.join(file).is_file(), "{file}");
    }
    assert_eq!(
        RunView::open(&identity.run_dir).unwrap().status,
        RunStatus::Completed
    );
}

#[tokio::test]
async fn a_runner_is_set_up_with_handlers() {
    let (_dir, project) = opened();
    let report = set_up_an_agent_runner(my_agent().unwrap(), &project)
        .unwrap()
        .run()
        .await
        .unwrap();
    assert!(
        report
            .run_dir
            .starts_with(project.root().join("runs/agent_autocoder"))
    );
    assert!(
        report
            .run_dir
            .join("autocoder_root/flow1/node3/outcome.json")
            .is_file()
    );
}

#[tokio::test]
async fn a_run_lives_and_is_continued() {
    let (_dir, project) = opened();
    let report = run_lifecycle(&project).await.unwrap();
    assert_eq!(report.status, RunStatus::Completed);
    let rerun = continue_from(&project, report.run_id.as_str()).await.unwrap();
    let view = RunView::open(&rerun.run_dir).unwrap();
    let step = |path: &str| view.step(&path.parse().unwrap()).unwrap().clone();
    assert_eq!(
        step("my_agent.flow1.node2").reused_from.unwrap().run_id,
        report.run_id
    );
    assert_eq!(step("my_agent.flow1.node3").reused_from, None);
    assert_eq!(step("my_agent.flow1.node3").status, StepStatus::Completed);
}

#[tokio::test]
async fn static_inputs_come_from_code_and_file() {
    let (dir, project) = opened();
    let file = dir.path().join("inputs.json");
    let give = |text: &str| {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test makes the files a user would have"
        )]
        std::fs::write(&file, text).unwrap();
        static_inputs(&project, &file)
            .unwrap()
            .setup_run(&my_agent().unwrap())
    };
    let run = give(r#"{"flow1.node3": {"commands": [["echo", "given"]]}}"#).unwrap();
    assert!(
        run.handle()
            .given_input(&"my_agent.flow1.node2".parse().unwrap())
            .is_some()
    );
    assert!(
        run.identity()
            .run_dir
            .join("static_inputs/static_inputs.json")
            .is_file()
    );
    run.complete_run(RunEnd::Cancelled, None).await.unwrap();
    let unknown = give(r#"{"node4": {}}"#).unwrap_err();
    assert!(matches!(unknown.setup(), Some(SetupError::UnknownInput { .. })));
    let unfit = give(r#"{"node3": {"commands": 1}}"#).unwrap_err();
    assert!(matches!(unfit.setup(), Some(SetupError::InvalidInput { .. })));
}

#[tokio::test]
async fn agents_and_flows_have_runners() {
    let (_dir, project) = opened();
    let flow = dhenara::FlowBuilder::new().build().unwrap();
    let context = |root: &str| project.context(root).unwrap().build().unwrap();
    let reports = run_agent_and_flow(context("my_agent"), flow, context("my_flow")).await;
    for report in reports.unwrap() {
        assert_eq!(report.status, RunStatus::Completed);
    }
}

#[test]
fn the_flow_of_the_global_data_directory_is_a_definition() {
    assert_eq!(implementation_flow().unwrap().definition().body.elements.len(), 3);
}

/// The fragments with the lines of code that the original has for each, without imports, comments and empty lines.
const ORIGINAL: [(&str, &str, usize); 8] = [
    ("RunContext", "create_a_run_context", 7),
    ("Setting up the Run Context", "set_up_an_agent_runner", 16),
    ("Run Lifecycle", "run_lifecycle", 10),
    ("Re-runs and Continuations", "continue_from", 7),
    ("Static Inputs", "static_inputs", 5),
    ("Integration with Event System", "node_input_event_handler", 15),
    ("Integration with Runners", "run_agent_and_flow", 4),
    ("Global Data Directory", "implementation_flow", 22),
];

/// The lines of code in the body of a function.
fn lines_of(function: &str) -> Option<usize> {
    let source = include_str!("../src/lib.rs");
    let (_, behind) = source.split_once(&format!("fn {function}("))?;
    let (_, body) = behind.split_once(" {\n")?;
    let (body, _) = body.split_once("\n}\n")?;
    let lines = body.lines().map(str::trim);
    let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    Some(code.count())
}

#[test]
fn no_fragment_is_longer_than_the_original_by_more_than_a_third() {
    let readme = include_str!("../README.md");
    for (heading, function, original) in ORIGINAL {
        let lines = lines_of(function).unwrap();
        assert!(
            lines * 3 <= original * 4,
            "{heading}: {lines} lines, {original} in the original"
        );
        let row = format!("| {heading} | `{function}` | {original} | {lines} |");
        assert!(readme.contains(&row), "README.md lacks the row\n{row}");
    }
}
