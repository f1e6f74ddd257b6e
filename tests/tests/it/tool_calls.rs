//! Calls of tools that arrived in part, or hold what cannot be kept: none is made, and the model gets the reason.

use serde_json::{Value, json};

use crate::harness::read_json;
use crate::models::{Scripted, body, calls, says};

const TOOLS: &str = "  - node: ask\n    type: ai_model_call\n    settings: { models: [local/tiny], prompt: Do it., model_call_config: { tools: [{ \
                     name: note, command: [tee, \"$var{project_root}/made\"], parameters: { type: object } }] } }\n";

/// A call whose arguments are written as a text.
fn writes(arguments: &str, finish: &str) -> wiremock::ResponseTemplate {
    let call = json!({ "id": "call_note", "type": "function", "function": { "name": "note", "arguments": arguments } });
    body(
        &json!({ "role": "assistant", "content": null, "tool_calls": [call] }),
        finish,
    )
}

/// What the model was told at last.
async fn told(scripted: &Scripted) -> String {
    let asked = scripted.asked().await;
    asked.last().unwrap()["messages"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()["content"]
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_a_cut_answer_is_not_made() {
    let scripted = Scripted::new(vec![writes("{}", "length"), says("Done.")]).await;
    scripted.flow(TOOLS);
    drop(scripted.run(&[]).expect(0));
    assert!(!scripted.env.project().join("made").exists());
    let told = told(&scripted).await;
    assert!(
        told.contains(
            "`note` was not called: the answer was cut at its longest length, which `max_output_tokens` says"
        ),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_an_answer_that_was_held_back_is_not_made() {
    let scripted = Scripted::new(vec![writes("{}", "content_filter")]).await;
    scripted.flow(TOOLS);
    let failed = scripted.run(&[]).expect(1);
    assert!(!scripted.env.project().join("made").exists());
    assert!(failed.stderr.contains("by a content filter"), "{failed}");
    assert_eq!(scripted.asked().await.len(), 1, "it is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_cannot_be_kept_are_told() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(110), "]".repeat(110));
    for (arguments, wanted) in [
        (
            "{\"n\":123456789012345678901}",
            "at `n` does not fit into 64 bits",
        ),
        (&deep, "lies deeper than 100 lists and objects"),
        ("{\"n\":", "are not a JSON object"),
    ] {
        let scripted = Scripted::new(vec![writes(arguments, "tool_calls"), says("Done.")]).await;
        scripted.flow(TOOLS);
        drop(scripted.run(&[]).expect(0));
        assert!(!scripted.env.project().join("made").exists(), "{wanted}");
        let told = told(&scripted).await;
        assert!(told.contains(wanted), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_whole_is_made() {
    let scripted = Scripted::new(vec![calls("note", &json!({})), says("Done.")]).await;
    scripted.flow(TOOLS);
    drop(scripted.run(&[]).expect(0));
    assert!(scripted.env.project().join("made").exists());
    let outcome: Value = read_json(&scripted.env.last_run().join("flow_root/ask/outcome.json"));
    assert_eq!(outcome["text"], "Done.");
}
