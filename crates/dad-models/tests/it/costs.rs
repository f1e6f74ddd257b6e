//! The costs of usage documents of all providers, against a table that was computed by hand: each cost is the sum of tokens times
//! prices that the provider's page of prices has for their kind.

use dad_models::{Credentials, HttpClient, ModelCatalog, ModelClient, Price};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::providers::{call, request, server};

/// The body of an answer with a usage and a service tier.
fn body(protocol: &str, usage: &Value, tier: &Value) -> Value {
    match protocol {
        "openai" => json!({ "id": "1", "model": "m", "service_tier": tier, "usage": usage,
            "choices": [{ "index": 0, "finish_reason": "stop", "message": { "content": "Hi" } }] }),
        "openai_responses" => {
            json!({ "id": "1", "model": "m", "status": "completed", "service_tier": tier, "usage": usage,
            "output": [{ "type": "message", "content": [{ "type": "output_text", "text": "Hi" }] }] })
        }
        "anthropic" => json!({ "id": "1", "model": "m", "stop_reason": "end_turn", "usage": usage,
            "content": [{ "type": "text", "text": "Hi" }] }),
        _ => json!({ "modelVersion": "m", "usageMetadata": usage,
            "candidates": [{ "content": { "parts": [{ "text": "Hi" }] }, "finishReason": "STOP" }] }),
    }
}

#[tokio::test]
async fn costs_are_those_of_the_pages_of_prices() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../data/usages.json")).unwrap();
    assert_eq!(cases.len(), 40);
    for case in &cases {
        let protocol = case["protocol"].as_str().unwrap();
        let name = format!("{protocol}: {}", case["name"]);
        let place = match protocol {
            "openai" => "/v1/chat/completions",
            "openai_responses" => "/v1/responses",
            "anthropic" => "/v1/messages",
            _ => "/v1/models/m:generateContent",
        };
        let answer = ResponseTemplate::new(200).set_body_json(body(protocol, &case["usage"], &case["tier"]));
        let server = server(place, answer).await;
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir(project.path().join(".dhenara")).unwrap();
        let models = json!([{ "name": "m", "provider": "here", "model": "m", "protocol": protocol,
            "base_url": format!("{}/v1", server.uri()), "price": case["price"] }]);
        std::fs::write(project.path().join(".dhenara/models.yaml"), models.to_string()).unwrap();
        let credentials = Credentials::new(project.path(), None, dad_core::SecretRegistry::new());
        let client = HttpClient::new(ModelCatalog::load(project.path()).unwrap(), credentials);
        let response = client.complete(&request(), &call()).await.unwrap();
        let usage = response.usage;
        let counts = [
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
        ];
        assert_eq!(json!(counts), case["counts"], "{name}");
        let (cost, expected) = (usage.cost.unwrap(), case["cost"].as_f64().unwrap());
        assert!((cost - expected).abs() < 1e-9, "{name}: {cost} is not {expected}");
    }
}

#[test]
fn no_call_costs_more_than_at_the_highest_prices() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../data/usages.json")).unwrap();
    for case in &cases {
        let price: Price = serde_json::from_value(case["price"].clone()).unwrap();
        let [sent, received] = [0, 1].map(|at| case["counts"][at].as_u64().unwrap());
        let cost = case["cost"].as_f64().unwrap();
        for tier in [None, case["tier"].as_str()] {
            let rates = price.highest(sent, tier);
            let of_input = [
                rates.cached_input,
                rates.cache_write,
                rates.cache_write_long,
                rates.audio_input,
            ];
            let of_output = [rates.reasoning, rates.audio_output, rates.image_output];
            let highest =
                |usual: f64, kinds: &[Option<f64>]| kinds.iter().flatten().copied().fold(usual, f64::max);
            let bound = highest(rates.input, &of_input) * sent as f64
                + highest(rates.output, &of_output) * received as f64;
            assert!(
                cost <= bound / 1e6 + 1e-9,
                "{}: {cost} exceeds {bound}",
                case["name"]
            );
        }
    }
}
