//! Nothing unchanged is paid for twice: counted at the server that is asked.

use serde_json::json;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{TestEnvironment, read_json, records};
use crate::models::{Scripted, calls, node, says};

const AGENT: &str = "\
schema_version: 1
kind: agent
elements:
  - flow: main_flow
    elements:
      - node: ask
        type: ai_model_call
        settings: { models: [local/tiny], prompt: Hello }
      - node: use_it
        type: command
        settings: { commands: [[echo, \"$expr{$hier{ask}.outcome.text}\"]] }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_asks_no_model_for_what_it_takes_over() {
    let server = MockServer::start().await;
    let answer = json!({
        "id": "1", "object": "chat.completion", "model": "tiny",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    });
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .mount(&server)
        .await;
    let env = TestEnvironment::new();
    env.write("agents/asker/agent.yaml", AGENT);
    env.write(
        ".dhenara/models.yaml",
        &format!("- {{ name: local/tiny, base_url: \"{}/v1\" }}\n", server.uri()),
    );

    drop(env.run(&["run", "agent", "asker"]).expect(0));
    let asked = async || server.received_requests().await.unwrap_or_default().len();
    assert_eq!(asked().await, 1);
    let from_step = [
        "run",
        "agent",
        "asker",
        "--previous-run-id",
        "last",
        "--entry-point",
        "use_it",
    ];
    drop(env.run(&from_step).expect(0));
    drop(
        env.run(&["run", "agent", "asker", "--previous-run-id", "last"])
            .expect(0),
    );
    assert_eq!(asked().await, 1, "neither from a step nor by fingerprint");
    drop(
        env.run(&[
            "run",
            "agent",
            "asker",
            "--previous-run-id",
            "last",
            "--entry-point",
            "ask",
        ])
        .expect(0),
    );
    assert_eq!(asked().await, 2, "asked again where it executes again");
}

/// Cancels a run while its step makes an exchange, the `nth`.
#[cfg(unix)]
async fn cancel_during(scripted: &Scripted, args: &[&str], nth: usize) {
    let mut running = scripted.env.start(args);
    while scripted.asked().await.len() < nth {
        assert!(running.try_wait().unwrap().is_none(), "it waits for an answer");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    scripted.env.signal(&running, "INT");
    drop(scripted.env.finish(running).expect(130));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_cancelled_step_has_paid_for_is_not_paid_for_again() {
    let late = || says("late").set_delay(std::time::Duration::from_mins(2));
    let answers = vec![
        says("one"),
        says("two"),
        late(),
        says("three"),
        late(),
        says("{\"n\": 4}"),
    ];
    let scripted = Scripted::new(answers).await;
    let schema = "{ type: object, required: [n], properties: { n: { type: integer } } }";
    scripted.flow(&node(&format!(
        "structured_output: {{ schema: {schema}, repairs: 5 }}"
    )));
    // A call that is given up counts too: the provider may have done any part of it.
    let run = ["run", "flow", "flow.yaml", "--budget", "calls=6"];
    // The third is under way.
    cancel_during(&scripted, &run, 3).await;
    // It is made again, and the one behind it is under way.
    cancel_during(&scripted, &["resume", "last"], 5).await;
    let done = scripted.env.run(&["resume", "last"]).expect(0);
    assert!(done.stdout.contains("\"n\": 4"), "{done}");
    assert_eq!(
        scripted.asked().await.len(),
        6,
        "four that were answered, two that were not"
    );

    let run = scripted.env.last_run();
    let summary = read_json(&run.join("run_summary.json"));
    let tokens = summary["agg_usage_total_tokens"].as_u64().unwrap();
    assert!(
        tokens > 1200,
        "four answers, and what was reserved for the others: {summary}"
    );
    let ended = records(&run, "step_committed");
    let calls: Vec<_> = ended.iter().map(|record| &record["usage"]["calls"]).collect();
    assert_eq!(calls, [&json!(3), &json!(2), &json!(1)], "each counts once");
    let begun = records(&run, "step_started");
    assert!(begun.iter().all(|record| record["attempt"] == 1), "{begun:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_cancelled_step_has_paid_for_through_its_tools_counts_once() {
    let late = says("late").set_delay(std::time::Duration::from_mins(2));
    let inner = json!({ "models": ["local/big"], "prompt": "Count them." });
    let call = || calls("ai_model_call", &inner);
    let answers = vec![call(), says("two"), late.clone(), says("done")];
    let scripted = Scripted::new(answers).await;
    scripted.flow(&node("tools: [ai_model_call]"));
    cancel_during(&scripted, &["run", "flow", "flow.yaml", "--budget", "calls=4"], 3).await;
    drop(scripted.env.run(&["resume", "last"]).expect(0));
    assert_eq!(scripted.asked().await.len(), 4);
    let ended = records(&scripted.env.last_run(), "step_committed");
    let counts: Vec<_> = ended.iter().map(|record| &record["usage"]["calls"]).collect();
    assert_eq!(counts, [&json!(3), &json!(1)]);
    // A third call would have exceeded a budget of two.
    let scripted = Scripted::new(vec![call(), says("two"), late, says("done")]).await;
    scripted.flow(&node("tools: [ai_model_call]"));
    cancel_during(&scripted, &["run", "flow", "flow.yaml", "--budget", "calls=3"], 3).await;
    let stopped = scripted
        .env
        .run(&["resume", "last", "--budget", "calls=2"])
        .expect(1);
    assert!(stopped.stderr.contains("2 calls"), "{stopped}");
}
