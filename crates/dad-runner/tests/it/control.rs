//! Conditionals, loops and groups: what executes, where it stands, and what others see of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dad_core::{FlowDefinition, OnError, OnExhausted, OnLimit, RunStatus, StepStatus};
use dad_definition::{
    CallbackBuilder, ConditionalBuilder, FlowBuilder, ForEachBuilder, NodeBuilder, RepeatBuilder,
};
use dad_run::{RecordBody, RunView};
use dad_runner::{Error, FlowRunner, NodeContext, NodeError, RunReport};
use serde_json::{Value, json};

use crate::nodes::{echo, failing, node, registry};
use crate::{assert_tidy, context, path, report, run, statuses};

fn one(id: &str, node: impl Into<NodeBuilder>) -> FlowBuilder {
    FlowBuilder::new().node(id, node)
}

fn build(flow: FlowBuilder) -> FlowDefinition {
    flow.build().unwrap()
}

fn paths(report: &RunReport) -> Vec<String> {
    statuses(report).into_iter().map(|(path, _)| path).collect()
}

fn value(report: &RunReport, step: &str) -> Value {
    let result = RunView::open(&report.run_dir)
        .unwrap()
        .result(&path(step))
        .unwrap();
    result["outcome"]["value"].clone()
}

fn component(report: &RunReport, name: &str) -> Value {
    let file = report
        .run_dir
        .join(path(name).to_relative_dir())
        .join("component_result.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

async fn completed(flow: FlowBuilder) -> (RunReport, tempfile::TempDir) {
    let project = tempfile::tempdir().unwrap();
    let report = run(build(flow), project.path()).await.unwrap();
    assert_tidy(&report);
    (report, project)
}

async fn failed(flow: FlowBuilder) -> (RunReport, tempfile::TempDir) {
    let project = tempfile::tempdir().unwrap();
    let report = report(run(build(flow), project.path()).await);
    assert_eq!(report.status, RunStatus::Failed);
    assert_tidy(&report);
    (report, project)
}

#[tokio::test]
async fn a_conditional_takes_one_branch() {
    let choice = |limit: u32| {
        let both = ConditionalBuilder::new(format!("$expr{{len(list) > {limit}}}"))
            .variable("greeting", "it has $expr{len(list)}")
            .when_true(one("same_id", echo("$expr{greeting}")))
            .when_false(one("same_id", echo("few")));
        FlowBuilder::new()
            .variable("list", json!([1, 2]))
            .conditional("choice", both)
            .node(
                "after",
                echo("$expr{ $hier{choice.is_true.same_id}.outcome.value || 'skipped' }"),
            )
    };
    let (many, _project) = completed(choice(1)).await;
    assert_eq!(paths(&many), ["flow.choice.is_true.same_id", "flow.after"]);
    assert_eq!(value(&many, "flow.choice.is_true.same_id"), "it has 2");
    assert_eq!(value(&many, "flow.after"), "it has 2");
    assert_eq!(component(&many, "flow.choice")["branch"], true);

    let (few, _project) = completed(choice(5)).await;
    assert_eq!(paths(&few), ["flow.choice.is_false.same_id", "flow.after"]);
    assert_eq!(value(&few, "flow.after"), "skipped");

    let empty = FlowBuilder::new().conditional(
        "nothing",
        ConditionalBuilder::new(false).when_true(one("a", echo(1))),
    );
    assert!(paths(&completed(empty).await.0).is_empty());
}

#[tokio::test]
async fn a_condition_must_be_boolean() {
    let flow = FlowBuilder::new().conditional(
        "choice",
        ConditionalBuilder::new("$expr{1}").when_true(one("a", echo(1))),
    );
    let (report, _project) = failed(flow).await;
    let error = report.error.unwrap();
    assert_eq!(
        (error.code.as_str(), error.path.unwrap().as_str()),
        ("condition", "flow.choice")
    );
    assert_eq!(
        error.message,
        "`statement` must be true or false, it is an integer (`1`)"
    );
}

#[tokio::test]
async fn loops_nest_and_the_inner_variable_wins() {
    let inner = ForEachBuilder::new(
        "$expr{item.parts}",
        one("leaf", echo("$expr{item}-$expr{index}-$expr{outer_index}")),
    )
    .start_index("$expr{index + 10}");
    let outer = ForEachBuilder::new(
        json!([{ "parts": ["a", "b"] }, { "parts": ["c"] }]),
        FlowBuilder::new()
            .for_each("inner", inner.variable("outer_index", "$expr{index}"))
            .node("count", echo("$expr{ len($hier{inner.*.leaf}) }")),
    );
    let flow = FlowBuilder::new()
        .for_each("outer", outer)
        .node("last_one", echo("$expr{ $hier{outer.last.inner.last.leaf}.outcome.value }"))
        .node(
            "all",
            echo("$expr{py: [[leaf['outcome']['value'] for leaf in row] for row in $hier{outer.*.inner.*.leaf}]}"),
        )
        .node("first", echo("$expr{ $hier{outer.iter_0.inner.iter_1.leaf}.outcome.value }"));
    let (report, _project) = completed(flow).await;
    assert_eq!(
        paths(&report),
        [
            "flow.outer.iter_0.inner.iter_0.leaf",
            "flow.outer.iter_0.inner.iter_1.leaf",
            "flow.outer.iter_0.count",
            "flow.outer.iter_1.inner.iter_0.leaf",
            "flow.outer.iter_1.count",
            "flow.last_one",
            "flow.all",
            "flow.first",
        ]
    );
    assert_eq!(
        value(&report, "flow.all"),
        json!([["a-10-0", "b-11-0"], ["c-11-1"]])
    );
    assert_eq!(value(&report, "flow.last_one"), "c-11-1");
    assert_eq!(value(&report, "flow.first"), "b-11-0");
    assert_eq!(value(&report, "flow.outer.iter_0.count"), 2);
    let result = component(&report, "flow.outer");
    assert_eq!(
        (&result["iterations"], &result["counts"]["completed"]),
        (&json!(2), &json!(5))
    );
}

#[tokio::test]
async fn a_range_is_never_a_list() {
    let endless = ForEachBuilder::new(
        "$expr{range(1, 10000000000, 3)}",
        one("number", echo("$expr{item}")),
    )
    .until("$expr{ $hier{number}.outcome.value > 6 }");
    let flow = FlowBuilder::new().for_each("numbers", endless).node(
        "sum",
        echo("$expr{py: sum(step['outcome']['value'] for step in $hier{numbers.*.number})}"),
    );
    let (report, _project) = completed(flow).await;
    assert_eq!(value(&report, "flow.sum"), 12);
    let journal = std::fs::read_to_string(report.run_dir.join(".run/journal.jsonl")).unwrap();
    assert!(
        journal.contains(r#""items":{"range":{"start":1,"stop":10000000000,"step":3}}"#),
        "{journal}"
    );
    let decided = journal
        .lines()
        .filter_map(
            |line| match serde_json::from_str::<dad_run::Record>(line).unwrap().body {
                RecordBody::LoopDecided { iteration, stop, .. } => Some((iteration, stop)),
                _ => None,
            },
        )
        .collect::<Vec<_>>();
    assert_eq!(decided, [(0, false), (1, false), (2, true)]);
}

#[tokio::test]
async fn more_items_than_allowed_fail_before_the_first_or_are_left_out() {
    let over = |limit| {
        FlowBuilder::new().for_each(
            "items",
            ForEachBuilder::new("$expr{['a', 'b', 'c']}", one("step", echo("$expr{item}")))
                .max_iterations(2, limit),
        )
    };
    let (report, _project) = failed(over(OnLimit::Fail)).await;
    assert!(paths(&report).is_empty());
    let error = report.error.unwrap();
    assert_eq!(error.message, "there are 3 items, `max_iterations` allows 2");
    let (report, _project) = completed(over(OnLimit::Truncate)).await;
    assert_eq!(paths(&report).len(), 2);
}

#[tokio::test]
async fn what_is_no_list_cannot_be_looped_over() {
    for (statement, message) in [
        (
            "$expr{'text'}",
            "`statement` must be a list or a range, it is text (`text`)",
        ),
        (
            "$expr{null}",
            "`statement` must be a list or a range, it is nothing",
        ),
    ] {
        let body = one("step", echo(1));
        let (report, _project) =
            failed(FlowBuilder::new().for_each("items", ForEachBuilder::new(statement, body))).await;
        assert_eq!(report.error.unwrap().message, message);
    }
}

#[tokio::test]
async fn a_loop_repeats_until_its_condition_holds() {
    let body = one(
        "attempt",
        echo("$expr{ ($hier{fix.previous.attempt}.outcome.value || 0) + 2 }"),
    );
    let repeat = |limit, on_exhausted| {
        let repeat = RepeatBuilder::new("$expr{ $hier{attempt}.outcome.value >= 6 }", limit, body.clone());
        FlowBuilder::new()
            .repeat("fix", repeat.on_exhausted(on_exhausted))
            .node("after", echo("$expr{ $hier{fix.last.attempt}.outcome.value }"))
    };
    let (report, _project) = completed(repeat(5, OnExhausted::Fail)).await;
    assert_eq!(value(&report, "flow.after"), 6);
    assert_eq!(component(&report, "flow.fix")["iterations"], 3);

    let (report, _project) = failed(repeat(2, OnExhausted::Fail)).await;
    let error = report.error.as_ref().unwrap();
    assert_eq!(error.code, "loop_exhausted");
    assert_eq!(error.message, "`until` of `fix` was not true after 2 passes");
    assert_eq!(paths(&report).len(), 2);

    let (report, _project) = completed(repeat(2, OnExhausted::Continue)).await;
    assert_eq!(value(&report, "flow.after"), 4);
}

#[tokio::test(start_paused = true)]
async fn iterations_and_groups_run_at_the_same_time() {
    let sleep = || node("sleeper", json!({ "seconds": 60 }));
    let flow = FlowBuilder::new()
        .for_each(
            "wide",
            ForEachBuilder::new("$expr{range(6)}", one("sleep", sleep())).max_concurrency(3),
        )
        .parallel(
            "group",
            FlowBuilder::new()
                .node("a", sleep())
                .node("b", sleep())
                .node("c", sleep()),
        )
        .node("all", echo("$expr{ len($hier{wide.*.sleep}) }"));
    let project = tempfile::tempdir().unwrap();
    let began = tokio::time::Instant::now();
    let report = run(build(flow), project.path()).await.unwrap();
    // Six iterations, three at a time, take two minutes; a group of three takes one.
    assert_eq!(began.elapsed().as_secs() / 60, 3);
    assert_eq!(value(&report, "flow.all"), 6);
    assert_eq!(component(&report, "flow.wide")["iterations"], 6);
}

#[tokio::test(start_paused = true)]
async fn siblings_of_a_failure_finish_and_nothing_more_begins() {
    let sleep = || node("sleeper", json!({ "seconds": 5 }));
    let body = FlowBuilder::new().conditional(
        "choice",
        ConditionalBuilder::new("$expr{item == 1}")
            .when_true(one("broken", failing()))
            .when_false(one("sleep", sleep())),
    );
    let flow = FlowBuilder::new()
        .for_each(
            "wide",
            ForEachBuilder::new("$expr{range(1000000000)}", body).max_concurrency(2),
        )
        .node("never", echo(1))
        .finally_node("clean", echo("$expr{ $hier{wide}.iterations }"));
    let (report, _project) = failed(flow).await;
    assert_eq!(report.error.as_ref().unwrap().code, "told_to_fail");
    let mut ended = statuses(&report);
    ended.sort();
    assert_eq!(
        ended,
        [
            ("flow.clean".to_owned(), StepStatus::Completed),
            (
                "flow.wide.iter_0.choice.is_false.sleep".to_owned(),
                StepStatus::Completed
            ),
            (
                "flow.wide.iter_1.choice.is_true.broken".to_owned(),
                StepStatus::Failed
            ),
        ]
    );
    assert_eq!(value(&report, "flow.clean"), 2);
}

#[tokio::test]
async fn a_failure_that_is_absorbed_ends_no_loop() {
    let body = FlowBuilder::new()
        .node("try", failing().on_error(OnError::Continue))
        .node("seen", echo("$expr{ $hier{try}.error.code }"));
    let flow = FlowBuilder::new().for_each("items", ForEachBuilder::new(json!([1, 2]), body));
    let (report, _project) = completed(flow).await;
    assert_eq!(paths(&report).len(), 4);
    assert_eq!(value(&report, "flow.items.iter_1.seen"), "told_to_fail");
    assert_eq!(component(&report, "flow.items")["counts"]["failed"], 2);
}

#[tokio::test]
async fn control_flow_at_the_end_is_executed_however_the_others_ended() {
    let each = ForEachBuilder::new(json!([1, 2]), FlowBuilder::new().node("told", echo("$var{item}")));
    let choice = ConditionalBuilder::new(true).when_true(FlowBuilder::new().node("last_word", echo(3)));
    let flow = FlowBuilder::new().node("work", failing()).finally(
        FlowBuilder::new()
            .for_each("each", each)
            .conditional("choice", choice),
    );
    let project = tempfile::tempdir().unwrap();
    let report = report(run(build(flow), project.path()).await);
    assert_eq!(report.status, RunStatus::Failed);
    let done: Vec<String> = statuses(&report)
        .into_iter()
        .filter(|(_, status)| *status == StepStatus::Completed)
        .map(|(path, _)| path)
        .collect();
    assert_eq!(
        done,
        [
            "flow.each.iter_0.told",
            "flow.each.iter_1.told",
            "flow.choice.is_true.last_word"
        ]
    );
}

#[tokio::test]
async fn callbacks_are_steps() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Notice {
        text: String,
        times: u32,
    }
    let called = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&called);
    let notify = move |notice: Notice, cx: NodeContext| {
        let counter = Arc::clone(&counter);
        async move {
            counter.fetch_add(notice.times, Ordering::Relaxed);
            match notice.text.as_str() {
                "fail" => Err(NodeError::new("refused", "as it was told")),
                text => Ok(format!("{text} at {}", cx.path())),
            }
        }
    };
    let project = tempfile::tempdir().unwrap();
    let start = |text: &str| {
        let call = CallbackBuilder::new("notify").args(json!({ "text": text, "times": "$expr{1 + 1}" }));
        let flow = FlowBuilder::new()
            .node("first", echo("hello"))
            .callback("call", call);
        let nodes = registry().callback("notify", notify.clone());
        let context = context(project.path()).nodes(nodes).build().unwrap();
        FlowRunner::new(build(flow), context).run()
    };
    let report = start("$expr{ $hier{first}.outcome.value }").await.unwrap();
    assert_eq!(called.load(Ordering::Relaxed), 2);
    let result = RunView::open(&report.run_dir)
        .unwrap()
        .result(&path("flow.call"))
        .unwrap();
    assert_eq!(
        (&result["executable_type"], &result["node_type"]),
        (&json!("callback"), &json!("callback"))
    );
    assert_eq!(
        result["settings"],
        json!({ "function": "notify", "args": { "text": "hello", "times": 2 } })
    );
    assert_eq!(
        result["outcome"],
        json!({ "callable_result": "hello at flow.call" })
    );
    drop(dad_tests::validate_run_dir(&report.run_dir));
    let error = start("fail").await.unwrap_err();
    assert_eq!(error.code(), "refused");
}

#[tokio::test]
async fn wrong_callbacks_are_refused_before_the_run() {
    let project = tempfile::tempdir().unwrap();
    let refused = |call: CallbackBuilder| {
        let nodes = registry().callback("notify", |_: Vec<u8>, _| async { Ok(()) });
        let context = context(project.path()).nodes(nodes).build().unwrap();
        let flow = build(FlowBuilder::new().callback("call", call));
        context.setup_run(&flow).unwrap_err().to_string()
    };
    let unknown = refused(CallbackBuilder::new("notifi"));
    assert!(
        unknown.contains("unknown function `notifi`") && unknown.contains("did you mean `notify`?"),
        "{unknown}"
    );
    let wrong = refused(CallbackBuilder::new("notify"));
    assert!(wrong.contains("expected a list"), "{wrong}");
}

/// A flow with a loop of three items, a choice and a loop with a condition, and what a re-run of it executes.
async fn rerun(project: &Path, entry: &str) -> Result<Vec<String>, Error> {
    let flow = |run: &str| {
        let body = FlowBuilder::new()
            .node("a", echo("$expr{item}"))
            .node("b", echo("$expr{item} $var{run}"));
        let choice = ConditionalBuilder::new("$expr{ $hier{items.last.a}.outcome.value == 3 }")
            .when_true(one("yes", echo("yes")))
            .when_false(one("no", echo("no")));
        let pass = one("pass", echo("$expr{index}"));
        FlowBuilder::new()
            .variable("run", run)
            .for_each("items", ForEachBuilder::new(json!([1, 2, 3]), body))
            .conditional("choice", choice)
            .repeat(
                "again",
                RepeatBuilder::new("$expr{ $hier{pass}.outcome.value == 1 }", 5, pass),
            )
            .node("end", echo("end"))
            .build()
            .unwrap()
    };
    let context = context(project);
    let context = match entry {
        "" => context,
        entry => context.previous_run_id("last").start_hierarchy_path(entry),
    };
    let report = FlowRunner::new(flow(entry), context.build()?).run().await?;
    drop(dad_tests::validate_run_dir(&report.run_dir));
    let view = RunView::open(&report.run_dir)?;
    assert_eq!(view.steps().count(), 10);
    let executed = view.steps().filter(|step| step.reused_from.is_none());
    Ok(executed
        .map(|step| step.path.to_string().replacen("flow.", "", 1))
        .collect())
}

#[tokio::test]
async fn a_rerun_begins_in_the_middle_of_loops_and_branches() {
    let project = tempfile::tempdir().unwrap();
    assert_eq!(rerun(project.path(), "").await.unwrap().len(), 10);
    let behind = [
        "choice.is_true.yes",
        "again.iter_0.pass",
        "again.iter_1.pass",
        "end",
    ];
    let with =
        |first: &[&str]| -> Vec<String> { first.iter().chain(&behind).map(ToString::to_string).collect() };
    for (entry, wanted) in [
        (
            "items.iter_1.b",
            with(&["items.iter_1.b", "items.iter_2.a", "items.iter_2.b"]),
        ),
        ("items.iter_2", with(&["items.iter_2.a", "items.iter_2.b"])),
        ("choice", with(&[])),
        ("yes", with(&[])),
        ("again.iter_1.pass", with(&[])[2..].to_vec()),
        ("end", with(&[])[3..].to_vec()),
        ("items", {
            let all = ["items.iter_0.a", "items.iter_0.b", "items.iter_1.a"];
            with(
                &[
                    all.as_slice(),
                    &["items.iter_1.b", "items.iter_2.a", "items.iter_2.b"],
                ]
                .concat(),
            )
        }),
        // Left-out iterations: the first in document order.
        ("items.b", {
            let all = ["items.iter_0.b", "items.iter_1.a", "items.iter_1.b"];
            with(&[all.as_slice(), &["items.iter_2.a", "items.iter_2.b"]].concat())
        }),
    ] {
        assert_eq!(rerun(project.path(), entry).await.unwrap(), wanted, "{entry}");
    }
    for (entry, wanted) in [
        ("items.iter_3.a", "was not reached in"),
        ("no", "`flow.choice` took the other branch"),
        ("end.iter_0", "`end.iter_0` names no step or component"),
    ] {
        let error = rerun(project.path(), entry).await.unwrap_err().to_string();
        assert!(error.contains(wanted), "{entry}: {error}");
    }
}

#[tokio::test]
async fn inputs_may_be_for_one_iteration() {
    let project = tempfile::tempdir().unwrap();
    let body = one("ask", echo("$var{word:none}"));
    let flow = build(FlowBuilder::new().for_each("items", ForEachBuilder::new(json!([1, 2, 3]), body)));
    let word = |word: &str| json!({ "prompt_variables": { "word": word } });
    let context = context(project.path())
        .node_input("items.iter_1.ask", word("second"), "test")
        .node_input("ask", word("all"), "test");
    let report = FlowRunner::new(flow, context.build().unwrap())
        .run()
        .await
        .unwrap();
    let words: Vec<Value> = (0..3)
        .map(|i| value(&report, &format!("flow.items.iter_{i}.ask")))
        .collect();
    assert_eq!(words, ["all", "second", "all"]);
}

#[tokio::test]
async fn an_input_gives_a_component_other_variables() {
    let project = tempfile::tempdir().unwrap();
    let part = FlowBuilder::new()
        .variable("word", "own")
        .variable("sentence", "$expr{word}!")
        .node("say", echo("$expr{sentence} $expr{greeting}"));
    let flow = FlowBuilder::new().variable("greeting", "hello").for_each(
        "items",
        ForEachBuilder::new(json!([1, 2]), FlowBuilder::new().subflow("part", part)),
    );
    let flow = build(flow);
    let given = context(project.path())
        .node_input(
            "items.iter_1.part",
            json!({ "variables": { "word": "$expr{given}" } }),
            "test",
        )
        .node_input("flow", json!({ "variables": { "greeting": "hi" } }), "test");
    let report = FlowRunner::new(flow.clone(), given.build().unwrap())
        .run()
        .await
        .unwrap();
    drop(dad_tests::validate_run_dir(&report.run_dir));
    assert_eq!(value(&report, "flow.items.iter_0.part.say"), "own! hi");
    assert_eq!(value(&report, "flow.items.iter_1.part.say"), "$expr{given}! hi");
    let view = RunView::open(&report.run_dir).unwrap();
    assert!(view.input(&path("flow.items.iter_1.part")).unwrap().is_some());

    for (input, wanted) in [
        (
            json!({ "variables": { "wrod": 1 } }),
            "takes no variable `wrod`; did you mean `word`?",
        ),
        (json!({ "word": 1 }), "unknown field `word`"),
        (json!([]), "an input must be an object"),
    ] {
        let context = context(project.path())
            .node_input("part", input, "test")
            .build()
            .unwrap();
        let error = context.setup_run(&flow).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[tokio::test]
async fn usage_inside_loops_adds_up_in_every_parent() {
    let costly = || node("costly", json!({ "tokens": "$expr{item}" }));
    let inner = ForEachBuilder::new("$expr{range(1, 4)}", one("call", costly())).max_concurrency(2);
    let body = FlowBuilder::new()
        .for_each("inner", inner)
        .node("after", costly());
    let branch = ConditionalBuilder::new(true).when_true(
        FlowBuilder::new().for_each("outer", ForEachBuilder::new("$expr{range(10, 30, 10)}", body)),
    );
    let (report, _project) = completed(FlowBuilder::new().conditional("choice", branch)).await;
    // Twice 1 + 2 + 3, then 10 and 20.
    for name in ["flow", "flow.choice", "flow.choice.is_true.outer"] {
        assert_eq!(component(&report, name)["agg_usage_total_tokens"], 42, "{name}");
    }
    assert_eq!(
        component(&report, "flow.choice.is_true.outer.iter_1.inner")["agg_usage_total_tokens"],
        6
    );
    assert_eq!(report.totals.usage.total_tokens, 42);
    assert_eq!(report.totals.usage.calls, 8);
}
