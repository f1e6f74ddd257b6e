//! A run that a program answers, stops, resumes and looks at: the same rules as on the command line.

use dhenara::project::{DefinitionChoice, User};
use dhenara::run::{ChangeKind, Decision, Reason};
use dhenara::runner::Runner;
use dhenara::{Error, Project, ProjectError, RunStatus, StepStatus};
use serde_json::json;

use crate::harness::TestEnvironment;

const FLOW: &str = "schema_version: 1
kind: flow
output: \"$expr{$hier{shows}.outcome.results[0].stdout}\"
elements:
  - node: asks
    type: command
    pre_events: [node_input_required]
    settings: { commands: ['printf \"%s\" \"$NAME\"'] }
  - node: checks
    type: command
    requires_approval: true
    settings: { commands: ['true'] }
  - node: shows
    type: command
    settings: { commands: [[echo, \"hello $expr{$hier{asks}.outcome.results[0].stdout}\"]] }
";

async fn waiting() -> (TestEnvironment, Project) {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    let project = env.opened();
    let flow = project.flow(env.project().join("flow.yaml")).unwrap();
    let context = project.context_for(&flow).unwrap().build().unwrap();
    let report = Runner::new(flow, context).run().await.unwrap();
    assert_eq!(report.status, RunStatus::Waiting);
    (env, project)
}

async fn resumed(project: &Project) -> dhenara::RunReport {
    let run = project.run("last").unwrap();
    run.resume().runner().unwrap().run().await.unwrap()
}

fn code_and_text(error: &ProjectError) -> String {
    let info = error.to_info();
    let hint = info.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{}: {}{hint}", info.code, info.message)
}

/// Answers everything, as a program does that was written after its first run.
async fn completed(project: &Project, name: &str) -> dhenara::RunReport {
    let run = project.run("last").unwrap();
    run.answer("asks", json!({ "env_vars": { "NAME": name } }))
        .unwrap();
    assert_eq!(resumed(project).await.status, RunStatus::Waiting);
    project.run("last").unwrap().approve(None).unwrap();
    resumed(project).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_checked_and_a_wrong_one_leaves_the_run_as_it_was() {
    let (_env, project) = waiting().await;
    let run = project.run("last").unwrap().source("a test");
    let id = run.view().run_id.to_string();

    let wrong = run.answer("asks", json!({ "nonsense": 1 })).unwrap_err();
    assert_eq!(wrong.code(), "invalid_input");
    assert!(wrong.to_string().contains("nonsense"), "{wrong}");
    let wrong = run.answer("nothing", json!({})).unwrap_err();
    assert_eq!(wrong.code(), "unknown_question");
    let wrong = run.approve(None).unwrap_err();
    assert!(
        wrong
            .to_string()
            .contains("it asks for an input, not for approval"),
        "{wrong}"
    );
    assert_eq!(
        resumed(&project).await.status,
        RunStatus::Waiting,
        "it still waits"
    );

    let run = run.reread().unwrap();
    run.answer(None, json!({ "env_vars": { "NAME": "Ada" } }))
        .unwrap();
    let question = run.view().open_questions().next().unwrap().id.clone();
    let again = run.answer(&*question, json!({})).unwrap_err();
    assert_eq!(
        code_and_text(&again),
        format!(
            "already_answered: the question `{question}` of `{id}` has been answered already (resume `{id}`, which uses that answer)"
        )
    );

    // The answer is the input of the step, and the next question is one for approval.
    assert_eq!(resumed(&project).await.status, RunStatus::Waiting);
    let run = run.reread().unwrap();
    assert_eq!(run.why("asks").unwrap().answer.unwrap().source.unwrap(), "a test");
    let wrong = run.answer("checks", json!(true)).unwrap_err();
    assert_eq!(wrong.code(), "invalid_input");
    run.approve("checks").unwrap();
    let report = resumed(&project).await;
    assert_eq!(report.status, RunStatus::Completed);
    assert_eq!(report.output, Some("hello Ada\n".into()));
    let run = run.reread().unwrap();
    assert_eq!(run.view().output().unwrap(), report.output);

    let over = run.resume().runner().unwrap_err();
    assert_eq!(over.code(), "already_completed");
    let over = run.cancel(None).unwrap_err();
    assert_eq!(
        code_and_text(&over),
        format!(
            "not_running: `{id}` is completed: no process drives it (only what executes can be stopped; list the runs to see what does)"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_question_fails_its_step() {
    let (_env, project) = waiting().await;
    let run = project.run("last").unwrap();
    let waits = run.cancel(None).unwrap_err();
    assert!(
        waits
            .to_string()
            .ends_with("waits for an answer: no process drives it until then"),
        "{waits}"
    );
    run.deny("asks", "not today").unwrap();
    let failed = run.resume().runner().unwrap().run().await.unwrap_err();
    let report = failed.report().unwrap();
    assert_eq!(report.status, RunStatus::Failed);
    assert!(report.error.as_ref().unwrap().message.contains("not today"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_definition_is_resumed_by_choice_alone() {
    let (env, project) = waiting().await;
    let run = project.run("last").unwrap();
    run.answer(None, json!({ "env_vars": { "NAME": "Ada" } }))
        .unwrap();
    env.write("flow.yaml", &FLOW.replace("hello $", "goodbye $"));
    let refused = run.resume().runner().unwrap_err();
    assert_eq!(
        code_and_text(&refused),
        "definition_changed: the definition changed since the run was started: changed flow_root.shows (choose the definition that the run was started with, or the current one)"
    );
    let current = run
        .resume()
        .definition(DefinitionChoice::Current)
        .runner()
        .unwrap();
    assert_eq!(current.run().await.unwrap().status, RunStatus::Waiting);
    let run = run.reread().unwrap();
    run.approve(None).unwrap();
    let report = run.resume().runner().unwrap().run().await.unwrap();
    assert_eq!(report.output, Some("goodbye Ada\n".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_did_and_what_a_re_run_would_do_is_said() {
    let (env, project) = waiting().await;
    completed(&project, "Ada").await;
    let first = project.run("last").unwrap();
    let why = first.why("shows").unwrap();
    assert_eq!(why.reason, Some(Reason::FirstExecution));
    assert_eq!((why.status, why.attempts), (StepStatus::Completed, 1));
    assert_eq!(first.why("shown").unwrap_err().code(), "unknown_path");

    let before = project.runs().unwrap().list().unwrap().len();
    let plan = first.plan().await.unwrap();
    let executed = plan
        .steps
        .iter()
        .filter(|step| step.decision == Decision::Execute);
    assert_eq!(executed.count(), 0, "{}", plan.summary());
    env.write("flow.yaml", &FLOW.replace("hello $", "goodbye $"));
    let plan = first.plan().await.unwrap();
    let executed = plan
        .steps
        .iter()
        .filter(|step| step.decision == Decision::Execute);
    let executed: Vec<_> = executed.map(|step| step.path.as_str()).collect();
    assert_eq!(executed, ["flow_root.shows"]);
    assert_eq!(
        project.runs().unwrap().list().unwrap().len(),
        before,
        "nothing was written"
    );

    let flow = project.flow(env.project().join("flow.yaml")).unwrap();
    let context = first.rerun().unwrap().build().unwrap();
    let report = Runner::new(flow, context).run().await.unwrap();
    assert_eq!(report.output, Some("goodbye Ada\n".into()));

    let second = project.run("last").unwrap();
    let diff = first.diff(&second).unwrap();
    assert_eq!(diff.same, 2, "two steps were reused");
    let [step] = diff.steps.as_slice() else {
        panic!("{diff:?}")
    };
    assert_eq!(step.path.as_str(), "flow_root.shows");
    let kinds: Vec<_> = step
        .changes
        .iter()
        .map(|change| (change.kind, &*change.name))
        .collect();
    assert_eq!(
        kinds,
        [
            (ChangeKind::Setting, "commands[0][1]"),
            (ChangeKind::Outcome, "results[0].command"),
            (ChangeKind::Outcome, "results[0].stdout"),
        ]
    );
    let change = &step.changes[0];
    assert_eq!(
        (change.before.as_deref(), change.after.as_deref()),
        (Some("hello Ada"), Some("goodbye Ada"))
    );
    assert_eq!(diff.output.len(), 1);
    assert_eq!(diff.output[0].kind, ChangeKind::Output);
    let none = second.diff(&second).unwrap();
    assert_eq!((none.steps.len(), none.output.len(), none.same), (0, 0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_the_user_s_own_is_only_looked_at() {
    let (env, project) = waiting().await;
    let id = project.run("last").unwrap().view().run_id.to_string();
    let variables = [
        ("HOME", env.path("home").into_os_string()),
        ("DHENARA_ORIGIN_KEY", "ab".repeat(32).into()),
    ];
    let other = User::from_variables(variables.into_iter().collect()).unwrap();
    let project = other.open(env.project()).unwrap();
    let run = project.run(&id).unwrap();
    let refused = run.answer(None, json!({})).unwrap_err();
    assert_eq!(refused.code(), "foreign_run");
    assert_eq!(run.resume().runner().unwrap_err().code(), "foreign_run");
    let run = run.trusted();
    run.answer(None, json!({ "env_vars": { "NAME": "Ada" } }))
        .unwrap();
    let report = run.resume().runner().unwrap().run().await;
    assert!(matches!(report, Ok(report) if report.status == RunStatus::Waiting));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_stops_a_run_that_it_drives_and_one_step_of_it() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: sleeps, type: command, settings: { commands: [[sleep, '600']] } }\n  - { node: behind, type: command, settings: { commands: ['true'] } }\n",
    );
    let project = env.opened();
    let flow = project.flow(env.project().join("flow.yaml")).unwrap();
    let context = project.context_for(&flow).unwrap().build().unwrap();
    let driven = tokio::spawn(Runner::new(flow, context).run());
    let run = loop {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        if let Ok(run) = project.run("last")
            && run.view().entries().count() == 2
        {
            break run;
        }
    };
    let unreached = run.cancel("behind").unwrap_err();
    assert_eq!(unreached.to_string(), "`flow_root.behind` is not reached yet");
    assert_eq!(run.cancel("nothing").unwrap_err().code(), "unknown_path");
    assert_eq!(
        run.cancel("sleeps").unwrap().unwrap().as_str(),
        "flow_root.sleeps"
    );
    let ended = driven.await.unwrap().unwrap_err();
    assert!(
        matches!(ended, Error::Cancelled { .. } | Error::Failed { .. }),
        "{ended}"
    );
    let view = run.reread().unwrap();
    let step = view.view().step(&"flow_root.sleeps".parse().unwrap()).unwrap();
    assert_eq!(step.status, StepStatus::Cancelled);
}
