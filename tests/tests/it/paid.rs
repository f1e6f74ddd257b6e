//! Nothing unchanged is paid for twice: counted at the server that is asked.

use serde_json::json;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::TestEnvironment;

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
