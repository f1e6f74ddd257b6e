//! No credential stands in a file of a run that another program wrote: one it was given, or one that a node made.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dhenara::definition::load_str;
use dhenara::runner::Runner;
use dhenara::{
    BindContext, Bound, BoundStep, Node, NodeContext, NodeError, NodeOutput, RunContext, RunStatus, World,
    builtin_nodes,
};
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{TestEnvironment, read_json};
use crate::secrets::{KEY, NAME, assert_clean, assert_runs_clean, forms};

#[track_caller]
fn assert_no_key(what: &str, bytes: &[u8]) {
    assert_clean(what, bytes);
    assert!(!String::from_utf8_lossy(bytes).contains(NAME), "{what}");
}

fn credentials(env: &TestEnvironment) {
    let file = format!("first: {{ api_key: \"{KEY}\" }}\nsecond: {{ api_key: \"{NAME}\" }}\n");
    env.write(".dhenara/.secrets/.credentials.yaml", &file);
}

/// The key in all its forms, far enough apart that the pieces in which a file is read end in some of them.
fn long_text() -> String {
    let forms = forms().into_values().collect::<Vec<_>>().join("\n");
    let gap = "filler ".repeat(1_000);
    [&*forms, &gap].concat().repeat(30)
}

/// Bytes that are no text, with the key in them.
fn blob() -> Vec<u8> {
    [b"\xff\xfe\x00", KEY.as_bytes(), b"\x80"].concat()
}

fn masked_blob() -> Vec<u8> {
    b"\xff\xfe\x00[redacted]\x80".to_vec()
}

#[test]
fn files_given_to_a_run_are_masked() {
    let env = TestEnvironment::new();
    credentials(&env);
    env.write("given/deep/long.txt", &long_text());
    env.write(&format!("given/in {NAME}/{NAME}.txt"), "nothing\n");
    env.write("given/script.sh", "#!/bin/sh\necho it ran\n");
    let given = env.project().join("given");
    std::fs::write(given.join("blob.bin"), blob()).unwrap();
    set_executable(&given.join("script.sh"));
    env.write(
        "flow.yaml",
        r#"schema_version: 1
kind: flow
elements:
  - { node: script, type: command, settings: { commands: [["$var{run_dir}/static_inputs/script.sh"]] } }
"#,
    );
    let output = env
        .run(&["run", "flow", "flow.yaml", "--input-dir", "given"])
        .expect(0);
    assert_no_key("the standard error", output.stderr.as_bytes());
    let inputs = env.last_run().join("static_inputs");
    let text = std::fs::read_to_string(inputs.join("deep/long.txt")).unwrap();
    assert!(text.matches("[redacted]").count() >= 30 * forms().len(), "{text}");
    assert_eq!(text.matches("filler ").count(), 30_000);
    assert_eq!(std::fs::read(inputs.join("blob.bin")).unwrap(), masked_blob());
    let name = inputs.join("in [redacted]/[redacted].txt");
    assert_eq!(std::fs::read_to_string(name).unwrap(), "nothing\n");
    let outcome = read_json(&env.last_run().join("flow_root/script/outcome.json"));
    assert_eq!(outcome["results"][0]["stdout"], "it ran\n");
    assert!(assert_runs_clean(&env, &assert_no_key) > 10);
}

fn set_executable(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Leaves the key in files of its own; then it fails, waits or succeeds.
#[derive(Default)]
struct Leaves(Arc<AtomicU32>);

impl Node for Leaves {
    type Settings = ();
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "leaves";

    fn bind(&self, (): (), _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(Leaving(Arc::clone(&self.0))))
    }
}

struct Leaving(Arc<AtomicU32>);

#[async_trait]
impl BoundStep for Leaving {
    async fn world(&self) -> Result<World, NodeError> {
        Ok(World::Pure)
    }

    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let plainly = dhenara::Durability::Process;
        let artifacts = cx.artifacts()?;
        let deep = artifacts.create_dir_all("deep")?;
        deep.write_new("notes.txt", long_text().as_bytes(), plainly)?;
        artifacts.write_new("blob.bin", &blob(), plainly)?;
        artifacts.write_new("plain.bin", b"\xff\x00", plainly)?;
        let named = artifacts.create_dir_all(NAME)?;
        named.write_new(NAME, b"nothing", plainly)?;
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Err(NodeError::new("not_yet", "another attempt may succeed")),
            1 => std::future::pending().await,
            _ => Ok(NodeOutput::new(json!("left"))),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_a_node_makes_are_masked() {
    let env = TestEnvironment::new();
    let secrets = dhenara::types::SecretRegistry::new();
    assert!(secrets.add(KEY) && secrets.add(NAME));
    let nodes = builtin_nodes().register_node(Leaves::default());
    let text = "schema_version: 1\nkind: flow\nelements:\n  - { node: leaves, type: leaves, settings: {}, retry: { max_attempts: 2, \
                initial_delay: 0.01 } }\n";
    let definition = load_str(text, "flow.yaml", None, None).unwrap().definition;
    let context = || {
        let context = RunContext::builder("flow_root", env.project())
            .origin_key(dad_tests::origin_key())
            .nodes(nodes.clone());
        context.secrets(secrets.clone()).build().unwrap()
    };
    // Its second attempt is interrupted while it waits.
    let first = Runner::new(definition.clone(), context()).run();
    assert!(tokio::time::timeout(Duration::from_secs(3), first).await.is_err());
    let run_dir = env.last_run();
    let resumed = Runner::resume(definition, context(), &run_dir)
        .run()
        .await
        .unwrap();
    assert_eq!(resumed.status, RunStatus::Completed);

    let attempts = std::fs::read_dir(run_dir.join(".run/attempts")).unwrap().count();
    assert_eq!(attempts, 2, "one failed, one was interrupted");
    let artifacts = run_dir.join("flow_root/leaves/custom-artifacts");
    let read = |name: &str| std::fs::read(artifacts.join(name)).unwrap();
    let notes = String::from_utf8(read("deep/notes.txt")).unwrap();
    assert!(
        notes.matches("[redacted]").count() >= 30 * forms().len(),
        "{notes}"
    );
    assert_eq!(read("blob.bin"), masked_blob());
    assert_eq!(read("plain.bin"), b"\xff\x00");
    assert_eq!(read("[redacted]/[redacted]"), b"nothing");
    assert!(assert_runs_clean(&env, &assert_no_key) > 10);
    drop(env.run(&["runs", "verify", "last"]).expect(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_answers_are_masked() {
    let server = MockServer::start().await;
    let file = |media_type: &str, bytes: &[u8]| json!({ "inlineData": { "mimeType": media_type, "data": STANDARD.encode(bytes) } });
    let parts = [
        json!({ "text": "two files" }),
        file("text/plain", long_text().as_bytes()),
        file("image/png", &blob()),
    ];
    let answer = json!({
        "candidates": [{ "content": { "parts": parts, "role": "model" }, "finishReason": "STOP", "index": 0 }],
        "usageMetadata": { "promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2 },
    });
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .mount(&server)
        .await;
    let env = TestEnvironment::new();
    credentials(&env);
    let model = format!(
        "- {{ name: here/m, protocol: google, base_url: \"{}/v1\" }}\n",
        server.uri()
    );
    env.write(".dhenara/models.yaml", &model);
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: ask, type: ai_model_call, settings: { models: [here/m], prompt: Draw. } }\n",
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let step = env.last_run().join("flow_root/ask");
    let outcome = read_json(&step.join("outcome.json"));
    for (index, masked) in [(0, None), (1, Some(masked_blob()))] {
        let told = &outcome["files"][index];
        let kept = std::fs::read(step.join(told["path"].as_str().unwrap())).unwrap();
        assert_eq!(told["len"], kept.len());
        assert!(masked.is_none_or(|masked| masked == kept), "{told}");
    }
    assert!(assert_runs_clean(&env, &assert_no_key) > 10);
}

#[test]
fn what_commands_leave_and_templates_put_together_is_masked() {
    let env = TestEnvironment::new();
    credentials(&env);
    env.write(
        ".dhenara/config.yaml",
        "environments:\n  prod: { credentials: .dhenara/.secrets/prod.yaml }\n",
    );
    let of_prod = "sk-OfAnotherEnvironment-42";
    env.write(
        ".dhenara/.secrets/prod.yaml",
        &format!("third: {{ api_key: \"{of_prod}\" }}\n"),
    );
    let (first, second) = NAME.split_at(9);
    env.write("left.sh", &format!("mkdir deep\nprintf '%s' '{NAME}' > deep/left.txt\nprintf '%s' '{of_prod}' > other.txt\nprintf '%s' '{first}'\n"));
    let flow = format!(
        "schema_version: 1\nkind: flow\noutput: {{ together: \"$expr{{ $hier{{leaves}}.outcome.results[0].stdout + '{second}' }}\" }}\nelements:\n  - \
         {{ node: leaves, type: command, settings: {{ commands: [[sh, \"$var{{project_root}}/left.sh\"]] }} }}\n"
    );
    env.write("flow.yaml", &flow);
    let done = env.run(&["run", "flow", "flow.yaml", "--json"]).expect(0);
    let document: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(document["output"]["together"], "[redacted]", "{done}");
    let run = env.last_run();
    for file in ["deep/left.txt", "other.txt"] {
        assert_eq!(
            std::fs::read_to_string(run.join(file)).unwrap(),
            "[redacted]",
            "{file}"
        );
    }
    assert!(!done.stderr.contains(NAME), "{done}");
    std::fs::remove_dir_all(run).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_library_warns_of_is_masked() {
    let server = MockServer::start().await;
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": format!("Overloaded {KEY}") } });
    Mock::given(method("POST"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_raw(format!("event: error\ndata: {error}\n\n"), "text/event-stream"),
        )
        .mount(&server)
        .await;
    let env = TestEnvironment::new();
    credentials(&env);
    let model = format!(
        "- {{ name: here/m, protocol: anthropic, base_url: \"{}/v1\" }}\n",
        server.uri()
    );
    env.write(".dhenara/models.yaml", &model);
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: ask, type: ai_model_call, settings: { models: [here/m], prompt: Say., model_call_config: { streaming: \
         true, retries: 0 } } }\n",
    );
    let failed = env.run(&["run", "flow", "flow.yaml"]).expect(1);
    assert!(failed.stderr.contains("Overloaded [redacted]"), "{failed}");
    assert_no_key("the standard error", failed.stderr.as_bytes());
    assert!(assert_runs_clean(&env, &assert_no_key) > 5);
}
