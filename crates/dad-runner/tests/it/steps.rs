use std::time::Duration;

use dad_core::{OnError, RetryPolicy, RunStatus, SecretRegistry, StepStatus};
use dad_definition::FlowBuilder;
use dad_events::{HandlerError, NodeInputRequiredEvent};
use dad_run::RunView;
use dad_runner::FlowRunner;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::nodes::{echo, failing, node};
use crate::{assert_tidy, context, path, report, run, statuses};

fn outcome(report: &dad_runner::RunReport, step: &str) -> serde_json::Value {
    let file = report
        .run_dir
        .join(path(step).to_relative_dir())
        .join("outcome.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[tokio::test]
async fn results_variables_and_output_flow_from_step_to_step() {
    let project = tempfile::tempdir().unwrap();
    let inner = FlowBuilder::new()
        .variable("shown", "<$expr{$hier{first}.outcome.value}>")
        .node("second", echo("$expr{shown} in $var{component_hier_path}"));
    let flow = FlowBuilder::new()
        .variable("name", "Ada")
        .node("first", echo("$expr{name}"))
        .subflow("inner", inner)
        .node("third", echo("$expr{$hier{inner.second}.outcome}"))
        .output("$expr{$hier{third}.outcome.value.value}")
        .build()
        .unwrap();
    let report = run(flow, project.path()).await.unwrap();
    assert_eq!(report.output, Some(json!("<Ada> in flow.inner")));
    assert_eq!(report.totals.counts.completed, 3);
    assert_tidy(&report);
}

#[tokio::test]
async fn a_failure_stops_its_component_and_finally_runs() {
    let project = tempfile::tempdir().unwrap();
    let inner = FlowBuilder::new()
        .node("bad", failing())
        .node("never", echo(1))
        .finally_node("clean", echo(2));
    let flow = FlowBuilder::new()
        .subflow("inner", inner)
        .node("after", echo(3))
        .finally_node("end", echo(4));
    let report = report(run(flow.build().unwrap(), project.path()).await);
    let ended = [
        ("flow.inner.bad", StepStatus::Failed),
        ("flow.inner.clean", StepStatus::Completed),
        ("flow.end", StepStatus::Completed),
    ];
    assert_eq!(
        statuses(&report),
        ended.map(|(path, status)| (path.to_owned(), status))
    );
    let error = report.error.clone().unwrap();
    assert_eq!(
        (error.code.as_str(), error.path),
        ("told_to_fail", Some(path("flow.inner.bad")))
    );
    assert_eq!(
        outcome(&report, "flow.inner.bad")["value"],
        "partial",
        "the outcome as far as it got"
    );
    assert_tidy(&report);
}

#[tokio::test]
async fn an_absorbed_failure_lets_the_flow_go_on() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new()
        .node("bad", failing().on_error(OnError::Continue))
        .node(
            "after",
            echo("$expr{$hier{bad}.error.code} $expr{$hier{bad}.outcome.value}"),
        )
        .build()
        .unwrap();
    let report = run(flow, project.path()).await.unwrap();
    assert_eq!(outcome(&report, "flow.after")["value"], "told_to_fail partial");
    assert_eq!(report.totals.counts.failed, 1, "what failed is still counted");
}

#[tokio::test]
async fn a_template_that_cannot_be_rendered_fails_its_step_with_its_place() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new()
        .node("first", echo(json!({"a": 1})))
        .node("second", echo(json!(["$expr{$hier{first}.outcome.value.b}"])))
        .build()
        .unwrap();
    let report = report(run(flow, project.path()).await);
    let error = report.error.unwrap();
    assert_eq!(error.path, Some(path("flow.second")));
    assert!(error.message.contains("value[0]"), "{}", error.message);
    assert!(report.run_dir.join("flow/second/result.json").is_file());
}

#[tokio::test]
async fn an_attempt_is_repeated_and_what_it_left_is_kept_apart() {
    let project = tempfile::tempdir().unwrap();
    let retry = RetryPolicy::default()
        .max_attempts(3)
        .initial_delay(Duration::from_millis(1));
    let flow = FlowBuilder::new()
        .node("flaky", node("flaky", json!({"succeeds_at": 3})).retry(retry))
        .build();
    let report = run(flow.unwrap(), project.path()).await.unwrap();
    assert_eq!(outcome(&report, "flow.flaky")["attempt"], 3);
    let left = std::fs::read_dir(report.run_dir.join(".run/attempts"))
        .unwrap()
        .count();
    assert_eq!(left, 2);
    assert_tidy(&report);
}

#[tokio::test]
async fn effects_are_not_repeated_unless_the_definition_says_so() {
    let project = tempfile::tempdir().unwrap();
    let retry = RetryPolicy::default()
        .max_attempts(3)
        .initial_delay(Duration::from_millis(1));
    let bad = node("echo", json!({"value": 1, "fail": true, "world": "effect"})).retry(retry);
    let report = report(
        run(
            FlowBuilder::new().node("bad", bad).build().unwrap(),
            project.path(),
        )
        .await,
    );
    assert!(!report.run_dir.join(".run/attempts").exists());
}

#[tokio::test(start_paused = true)]
async fn a_step_ends_at_its_time_limit() {
    let project = tempfile::tempdir().unwrap();
    let sleeper = node("sleeper", json!({"seconds": 3600})).timeout(Duration::from_secs(5));
    let flow = FlowBuilder::new().node("sleeper", sleeper).build().unwrap();
    let report = report(run(flow, project.path()).await);
    assert_eq!(
        statuses(&report),
        [("flow.sleeper".to_owned(), StepStatus::TimedOut)]
    );
    assert_eq!(report.error.as_ref().unwrap().code, "timed_out");
    assert_eq!(report.status, RunStatus::Failed);
    assert_tidy(&report);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_still_runs_what_stands_under_finally() {
    let project = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let flow = FlowBuilder::new()
        .node("sleeper", node("sleeper", json!({"seconds": 3600})))
        .node("never", echo(1))
        .finally_node("clean", node("sleeper", json!({"seconds": 1})))
        .build()
        .unwrap();
    let context = context(project.path())
        .cancelled_by(stop.clone())
        .build()
        .unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    });
    let report = report(FlowRunner::new(flow, context).run().await);
    assert_eq!(report.status, RunStatus::Cancelled);
    let ended = [
        ("flow.sleeper", StepStatus::Cancelled),
        ("flow.clean", StepStatus::Completed),
    ];
    assert_eq!(
        statuses(&report),
        ended.map(|(path, status)| (path.to_owned(), status))
    );
    assert_eq!(outcome(&report, "flow.sleeper"), "woken");
}

#[tokio::test]
async fn a_panic_fails_the_step_and_nothing_else() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new()
        .node("panics", node("panics", json!({})))
        .build()
        .unwrap();
    let report = report(run(flow, project.path()).await);
    assert_eq!(report.error.unwrap().message, "the node panicked: as it does");
}

#[tokio::test]
async fn a_question_is_answered_by_a_handler_or_lets_the_run_wait() {
    async fn answers(event: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        assert_eq!(event.result("first")?.unwrap()["outcome"]["value"], 1);
        Ok(event.set_input(json!({ "prompt_variables": { "who": "a handler" } }))?)
    }
    let project = tempfile::tempdir().unwrap();
    let asks = echo("asked").pre_events(["node_input_required"]);
    let flow = FlowBuilder::new()
        .node("first", echo(1))
        .node("asks", asks)
        .build()
        .unwrap();
    let answered = context(project.path()).on(answers).build().unwrap();
    let report_of = FlowRunner::new(flow.clone(), answered).run().await.unwrap();
    assert_eq!(
        outcome(&report_of, "flow.asks")["given"],
        json!({ "who": "a handler" })
    );

    let unanswered = report(run(flow.clone(), project.path()).await);
    assert_eq!(unanswered.status, RunStatus::Waiting);
    assert_eq!(unanswered.totals.counts.completed, 1);

    let input =
        json!({ "prompt_variables": { "who": "static" }, "settings_override": { "value": "patched" } });
    let given = context(project.path())
        .register_node_static_input("asks", input)
        .build()
        .unwrap();
    let report_of = FlowRunner::new(flow, given).run().await.unwrap();
    let ended = outcome(&report_of, "flow.asks");
    assert_eq!(
        (&ended["given"], &ended["value"]),
        (&json!({ "who": "static" }), &json!("patched"))
    );
}

#[tokio::test]
async fn no_secret_reaches_a_file() {
    let project = tempfile::tempdir().unwrap();
    let secrets = SecretRegistry::new();
    secrets.add("sk-very-secret");
    let flow = FlowBuilder::new()
        .node("leaks", echo("key: sk-very-secret"))
        .node("reads", echo("$expr{$hier{leaks}.outcome.value}"))
        .build()
        .unwrap();
    let context = context(project.path()).secrets(secrets).build().unwrap();
    let report = FlowRunner::new(flow, context).run().await.unwrap();
    assert_eq!(outcome(&report, "flow.reads")["value"], "key: [redacted]");
    let memo = std::fs::read_to_string(report.run_dir.join("flow/leaks/memo.jsonl")).unwrap();
    assert!(!memo.contains("sk-very-secret"), "{memo}");
    let result = std::fs::read_to_string(report.run_dir.join("flow/leaks/result.json")).unwrap();
    assert!(!result.contains("sk-very-secret"), "{result}");
}

#[tokio::test]
async fn pauses_and_the_outcome_as_text_belong_to_every_node() {
    let project = tempfile::tempdir().unwrap();
    let settings = json!({
        "value": "x",
        "sleep_before": 0.001,
        "sleep_after": 0.001,
        "record_settings": { "outcome": { "file_format": "text" } },
    });
    let flow = FlowBuilder::new()
        .node("step", node("echo", settings))
        .build()
        .unwrap();
    let report = run(flow, project.path()).await.unwrap();
    assert!(
        std::fs::read_to_string(report.run_dir.join("flow/step/outcome.txt"))
            .unwrap()
            .contains("\"x\"")
    );
}

#[tokio::test]
async fn no_exchange_is_made_behind_a_stop() {
    let project = tempfile::tempdir().unwrap();
    let persists = node("persists", json!({}));
    let flow = FlowBuilder::new()
        .node(
            "in_time",
            persists
                .clone()
                .timeout(Duration::from_millis(50))
                .on_error(OnError::Continue),
        )
        .node("cancelled", persists)
        .build()
        .unwrap();
    let stop = CancellationToken::new();
    let context = context(project.path())
        .cancelled_by(stop.clone())
        .build()
        .unwrap();
    let running = tokio::spawn(FlowRunner::new(flow, context).run());
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.cancel();
    let report = report(running.await.unwrap());
    let ended = [
        ("flow.in_time", StepStatus::TimedOut),
        ("flow.cancelled", StepStatus::Cancelled),
    ];
    assert_eq!(
        statuses(&report),
        ended.map(|(path, status)| (path.to_owned(), status))
    );
    let journal = std::fs::read_to_string(report.run_dir.join(".run/journal.jsonl")).unwrap();
    assert!(
        !journal.contains("\"custom\""),
        "nothing is paid for behind a stop: {journal}"
    );
    for step in ["in_time", "cancelled"] {
        let memos =
            std::fs::read_to_string(report.run_dir.join("flow").join(step).join("memo.jsonl")).unwrap();
        assert_eq!(memos.lines().count(), 1, "{step}");
    }
    assert_tidy(&report);
}

#[tokio::test]
async fn what_a_record_cannot_hold_is_shortened_or_fails_its_step() {
    let project = tempfile::tempdir().unwrap();
    let exaggerates = |settings: serde_json::Value| node("exaggerates", settings).on_error(OnError::Continue);
    let flow = FlowBuilder::new()
        .node("long", exaggerates(json!({ "summary": 300_000 })))
        .node(
            "longer",
            exaggerates(json!({ "summary": 300_000, "fails": true })),
        )
        .node(
            "fits",
            exaggerates(json!({ "depth": dad_core::json::MAX_RECORDED_DEPTH })),
        )
        .node("deep", exaggerates(json!({ "depth": 126 })))
        .node(
            "deeper",
            exaggerates(json!({ "depth": 200, "summary": 3, "fails": true })),
        )
        .node("behind", echo("$expr{ len($hier{fits}.outcome) }"))
        .build()
        .unwrap();
    let report = run(flow, project.path()).await.unwrap();
    let view = RunView::open(&report.run_dir).unwrap();
    let step = |name: &str| view.step(&path(&format!("flow.{name}"))).unwrap();
    let summary = step("long").summary.clone().unwrap();
    assert!(
        summary.len() < 3000 && summary.ends_with(" bytes)"),
        "{}",
        summary.len()
    );
    assert_eq!(step("longer").status, StepStatus::Failed);
    assert_eq!(step("fits").status, StepStatus::Completed);
    let error = step("deep").error.clone().unwrap();
    assert_eq!(error.code, "json_too_deep", "{error}");
    for name in ["deep", "deeper", "longer"] {
        let step = step(name);
        assert_eq!((step.status, step.usage.calls), (StepStatus::Failed, 1), "{name}");
        assert!(view.result(&step.path).is_ok(), "{name} can be read");
    }
    assert_eq!(view.verify().unwrap().damage, []);
    assert_tidy(&report);
}
