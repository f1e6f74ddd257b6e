//! The upper bound of the cost that a call reserves: in each service tier, in a long context, with files, with calls of tools.

use serde_json::{Value, json};

use crate::models::{Scripted, body, calls, says};

const PRICE: &str = "input: 0.0, output: 10.0, tiers: { priority: { input: 0.0, output: 40.0 }, flex: { input: 0.0, output: 5.0 } }, \
                     long_context: { above: 100, rates: { input: 0.0, output: 20.0 }, tiers: { priority: { input: 0.0, output: 80.0 } } }";

/// A project with a model of these facts.
async fn scripted(facts: &str, answers: Vec<wiremock::ResponseTemplate>) -> Scripted {
    let scripted = Scripted::new(answers).await;
    let model = format!(
        "- {{ name: local/m, base_url: \"{}/v1\", {facts} }}\n",
        scripted.server.uri()
    );
    scripted.env.write(".dhenara/models.yaml", &model);
    scripted
}

fn flow(scripted: &Scripted, prompt: &str, config: &str) {
    scripted.flow(&format!(
        "  - node: ask\n    type: ai_model_call\n    settings: {{ models: [local/m], prompt: {prompt}, model_call_config: {{ {config} }} }}\n"
    ));
}

/// The longest answer that is paid for by a cent.
async fn longest(prompt: &str, options: &str) -> Value {
    let scripted = scripted(&format!("price: {{ {PRICE} }}"), vec![says("Done.")]).await;
    flow(&scripted, prompt, &format!("options: {{ {options} }}"));
    drop(scripted.run(&["--budget", "cost=0.01"]).expect(0));
    scripted.asked().await[0]["max_tokens"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_highest_price_that_may_hold_is_reckoned_with() {
    let long = "x".repeat(400);
    for (prompt, options, tokens) in [
        ("Hi", "service_tier: priority", 250),
        ("Hi", "service_tier: default", 1000),
        ("Hi", "service_tier: flex", 1000),
        // The project of an account at the provider may have priority.
        ("Hi", "service_tier: auto", 250),
        ("Hi", "", 250),
        (
            "Hi",
            "service_tier: default, extra_body: { prompt_cache_retention: 24h }",
            250,
        ),
        (&long, "service_tier: default", 500),
        (&long, "service_tier: priority", 125),
    ] {
        assert_eq!(
            longest(prompt, options).await,
            tokens,
            "{options}, {} bytes",
            prompt.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_count_by_their_kind_and_length() {
    let pdf = [b"%PDF-1.7\n".as_slice(), &[0xFF; 30_000]].concat();
    let wave = [b"RIFF\0\0\0\0WAVEfmt ".as_slice(), &[0xFF; 30_000]].concat();
    let mp3 = [b"ID3\x03".as_slice(), &[0xFF; 30_000]].concat();
    let image = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0xFF; 30_000]].concat();
    // The name does not say what the file is.
    for (file, content, fits, exceeds) in [
        ("a.pdf", &pdf, 31_000, 29_000),
        ("a.txt", &pdf, 31_000, 29_000),
        ("a.wav", &wave, 1000, 200),
        ("a.mp3", &mp3, 2500, 1500),
        ("a.png", &image, 6000, 4000),
        ("a.csv", &b"1;2\n".repeat(7500), 11_000, 9000),
    ] {
        let scripted = scripted("price: { input: 1.0, output: 2.0 }", vec![says("Done.")]).await;
        std::fs::write(scripted.env.project().join(file), content).unwrap();
        let prompt = format!("{{ text: Read this., files: [\"$var{{project_root}}/{file}\"] }}");
        flow(&scripted, &prompt, "max_output_tokens: 100");
        let stopped = scripted
            .run(&["--budget", &format!("tokens={exceeds}")])
            .expect(1);
        assert!(
            stopped.stderr.contains("budget_exceeded") || stopped.stderr.contains("tokens"),
            "{file}: {stopped}"
        );
        assert!(scripted.asked().await.is_empty(), "{file}");
        drop(scripted.run(&["--budget", &format!("tokens={fits}")]).expect(0));
        assert_eq!(scripted.asked().await.len(), 1, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_takes_no_more_than_the_window_of_its_model() {
    let scripted = scripted(
        "window: 5000, price: { input: 1.0, output: 2.0 }",
        vec![says("Done.")],
    )
    .await;
    let pdf = [b"%PDF-1.7\n".as_slice(), &[0xFF; 30_000]].concat();
    std::fs::write(scripted.env.project().join("a.pdf"), pdf).unwrap();
    flow(
        &scripted,
        "{ text: Read this., files: [\"$var{project_root}/a.pdf\"] }",
        "max_output_tokens: 100",
    );
    drop(scripted.run(&["--budget", "tokens=5000"]).expect(1));
    drop(scripted.run(&["--budget", "tokens=5100"]).expect(0));
    assert_eq!(scripted.asked().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_arguments_of_calls_count_beside_the_reasoning_that_goes_back() {
    let arguments = json!({ "text": "x".repeat(15_000) });
    let call = json!({ "id": "c", "type": "function", "function": { "name": "note", "arguments": arguments.to_string() } });
    let thought =
        json!({ "role": "assistant", "content": null, "reasoning_content": "I note.", "tool_calls": [call] });
    for first in [body(&thought, "tool_calls"), calls("note", &arguments)] {
        let scripted = scripted("price: { input: 1.0, output: 2.0 }", vec![first, says("Done.")]).await;
        let tool = "{ name: note, command: [\"true\"], parameters: { type: object, properties: { text: { type: string } } } }";
        flow(
            &scripted,
            "Note it.",
            &format!("max_output_tokens: 100, tools: [{tool}]"),
        );
        let stopped = scripted.run(&["--budget", "tokens=4000"]).expect(1);
        assert_eq!(scripted.asked().await.len(), 1, "{stopped}");
    }
}
