//! The catalogue of models through the command line: lists, warnings, built-in prices, and models that are tried.

use insta::assert_snapshot;
use serde_json::json;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::TestEnvironment;

const CREDENTIALS: &str = ".dhenara/.secrets/.credentials.yaml";

fn ask(models: &str) -> String {
    format!(
        "schema_version: 1\nkind: flow\nelements:\n  - {{ node: ask, type: ai_model_call, settings: {{ models: {models}, prompt: Hi }} }}\n"
    )
}

#[test]
fn models_are_listed_by_provider_and_text() {
    let env = TestEnvironment::new();
    env.write(
        ".dhenara/models.yaml",
        "- { name: local/claude-copy, base_url: 'http://127.0.0.1:8000', window: 32000, aliases: [copy] }\n",
    );
    assert_snapshot!(env.unchanged(&["models", "list", "claude-opus-4-8"]), @r"
    MODEL                                 WINDOW  ANSWER  $ IN  $ CACHED  $ OUT  THINKING  ABILITIES
    anthropic/claude-opus-4-8                 1M    128k  5.00      0.50  25.00  adaptive  tools, structured_output, vision, pdf
    perplexity/anthropic/claude-opus-4-8                  5.00      0.50  25.00            tools
    ---- exit code 0
    ");
    assert_snapshot!(env.unchanged(&["models", "list", "--provider", "local"]), @r"
    MODEL              WINDOW  ABILITIES
    local/claude-copy     32k  alias copy
    ---- exit code 0
    ");
    assert_snapshot!(env.unchanged(&["models", "list", "--provider", "antropic"]), @r"
    ---- stderr
    error[unknown_provider]: the provider `antropic` is not known, did you mean `anthropic`?
      hint: known are anthropic, cerebras, deepseek, fireworks_ai, gemini, google, groq, local, mistral, moonshot, ollama, openai, openrouter, perplexity, together_ai, xai
    ---- exit code 2
    ");
    assert_snapshot!(env.unchanged(&["models", "list", "gpt-55"]), @r"
    ---- stderr
    no known model has such a name; `openai/gpt-5.5` is similar
    ---- exit code 0
    ");
    let all = env
        .unchanged(&["models", "list", "--json"])
        .json("cli_models_list");
    let models = all["models"].as_array().unwrap();
    assert!(models.len() > 500, "{}", models.len());
    let copy = models
        .iter()
        .find(|model| model["name"] == "local/claude-copy")
        .unwrap();
    assert_eq!(copy["configured"], true);
    assert_eq!(copy["aliases"], json!(["copy"]));
    assert_eq!(copy["base_url"], "http://127.0.0.1:8000/v1/");
    let google = env
        .unchanged(&["models", "list", "--provider", "google", "--json"])
        .json("cli_models_list");
    let google = google["models"].as_array().unwrap();
    assert!(!google.is_empty() && google.iter().all(|model| model["provider"] == "google"));
    // Outside of a project, too.
    let elsewhere = TestEnvironment::without_project();
    drop(
        elsewhere
            .unchanged(&["models", "list", "mistral-large-4"])
            .expect(0),
    );
}

#[test]
fn all_that_is_known_about_a_model_is_shown() {
    let env = TestEnvironment::new();
    env.write(
        ".dhenara/models.yaml",
        "- { name: big, provider: openai, model: gpt-5.5, aliases: [main] }\n- { name: openai/gpt-5.1, base_url: 'https://proxy.example/v1' }\n",
    );
    assert_snapshot!(env.unchanged(&["models", "show", "main"]), @r"
    model     big
    asked     as `gpt-5.5` at https://api.openai.com/v1/ (openai_responses)
    aliases   main
    window    1,050,000 tokens
    answer    at most 128,000 tokens
    price     a million tokens cost
              $5.00 input, $30.00 output, $0.50 cached input
              priority: $12.50 input, $75.00 output, $1.25 cached input
              flex: $2.50 input, $15.00 output, $0.25 cached input
              batch: $2.50 input, $15.00 output, $0.25 cached input
              above 272,000 tokens: $10.00 input, $45.00 output, $1.00 cached input
              above 272,000 tokens, flex: $5.00 input, $22.50 output, $0.50 cached input
              above 272,000 tokens, batch: $5.00 input, $22.50 output, $0.50 cached input
    thinking  effort: none, low, medium, high, xhigh
    can       tools, parallel_tools, structured_output, vision, pdf, prompt_caching
    ---- exit code 0
    ");
    assert_snapshot!(env.unchanged(&["models", "show", "anthropic/claude-mythos-preview"]), @r"
    model     anthropic/claude-mythos-preview
    asked     as `claude-mythos-preview` at https://api.anthropic.com/v1/ (anthropic)
    window    1,000,000 tokens
    answer    at most 128,000 tokens
    price     a million tokens cost
              $10.00 input, $50.00 output, $1.00 cached input, $12.50 cache write, $20.00 long cache write
    thinking  always_adaptive: low, medium, high, xhigh, max
    can       tools, structured_output, vision, pdf, prompt_caching
    cannot    sampling
    retires   2026-06-09
    ---- stderr
    warning: the provider of `anthropic/claude-mythos-preview` retired it on 2026-06-09
    ---- exit code 0
    ");
    assert_snapshot!(env.unchanged(&["models", "show", "openai/gpt-5.1"]), @r"
    model     openai/gpt-5.1
    asked     as `gpt-5.1` at https://proxy.example/v1/ (openai)
    window    272,000 tokens
    answer    at most 128,000 tokens
    price     not known
    thinking  effort: none, low, medium, high
    can       tools, parallel_tools, structured_output, vision, pdf, prompt_caching
    ---- exit code 0
    ");
    assert_snapshot!(env.unchanged(&["models", "show", "anthropic/claude-opus-48"]), @r"
    ---- stderr
    error[unknown_model]: nothing is known about `anthropic/claude-opus-48`, did you mean `anthropic/claude-opus-4-8`?
      hint: `dhenara models list` shows the known ones; one that is not known can be asked all the same
    ---- exit code 2
    ");
    assert_snapshot!(env.unchanged(&["models", "show", "claude-opus-4-8"]), @r"
    ---- stderr
    error[unknown_model]: `claude-opus-4-8` is not a known model; write `provider/model`, did you mean `anthropic/claude-opus-4-8`?
    ---- exit code 2
    ");
    assert_snapshot!(env.unchanged(&["models", "show", "antropic/claude-opus-4-8"]), @r"
    ---- stderr
    error[unknown_provider]: the provider `antropic` of `antropic/claude-opus-4-8` is not known, did you mean `anthropic/claude-opus-4-8`?; known are anthropic, cerebras, deepseek, fireworks_ai, gemini, google, groq, mistral, moonshot, ollama, openai, openrouter, perplexity, together_ai, xai
      hint: add the provider with its `base_url` to `.dhenara/models.yaml`
    ---- exit code 2
    ");
    let shown = env
        .unchanged(&["models", "show", "xai/grok-4.7", "--json"])
        .json("cli_models_show");
    assert_eq!(shown["model"]["price"]["input"], 2.0);
    assert_eq!(shown["model"]["price"]["long_context"]["above"], 200_000);
}

#[test]
fn a_model_that_would_be_asked_in_vain_is_warned_of_and_not_refused() {
    let env = TestEnvironment::new();
    env.write(CREDENTIALS, "anthropic: { api_key: sk-anthropic-0123456789 }\n");
    env.write(
        "flow.yaml",
        &ask("[anthropic/claude-mythos-preview, anthropic/claude-opus-48, \"$var{other}\"]")
            .replace("elements:", "variables: { other: anthropic/none }\nelements:"),
    );
    assert_snapshot!(env.unchanged(&["validate", "flow.yaml"]), @r"
    flow.yaml: valid, 1 step
    ---- stderr
    warning: the provider of `anthropic/claude-mythos-preview` retired it on 2026-06-09
    warning: `anthropic/claude-opus-48` is none of its provider's models that were known on 2026-11-30; did you mean `anthropic/claude-opus-4-8`?
    ---- exit code 0
    ");
    let said = env
        .unchanged(&["validate", "flow.yaml", "--json"])
        .json("cli_validate");
    assert_eq!(said["definitions"][0]["warnings"].as_array().unwrap().len(), 2);
    let dry = env.run(&["run", "flow", "flow.yaml", "--dry-run"]).expect(0);
    assert!(
        dry.stderr
            .contains("warning: the provider of `anthropic/claude-mythos-preview` retired it on 2026-06-09"),
        "{dry}"
    );
    assert!(
        dry.stderr.contains("did you mean `anthropic/claude-opus-4-8`?"),
        "{dry}"
    );
    // The model that is asked in its place counts.
    let other = [
        "run",
        "flow",
        "flow.yaml",
        "--dry-run",
        "--model",
        "anthropic/claude-opus-4-8",
    ];
    assert!(!env.run(&other).expect(0).stderr.contains("warning"));
    // A project that knows better says so.
    env.write(
        ".dhenara/models.yaml",
        "- { name: anthropic/claude-mythos-preview, retires: 2999-01-01 }\n- { name: anthropic/claude-opus-48, window: 1000000 }\n",
    );
    assert!(
        !env.unchanged(&["validate", "flow.yaml"])
            .expect(0)
            .stderr
            .contains("warning")
    );
}

#[test]
fn models_are_found_wherever_a_step_stands() {
    let env = TestEnvironment::new();
    env.write(CREDENTIALS, "anthropic: { api_key: sk-anthropic-0123456789 }\n");
    let step = |id: &str, more: &str| {
        format!(
            "{{ node: {id}, type: ai_model_call, settings: {{ models: [anthropic/no-such-{id}, anthropic/claude-opus-4-8], prompt: Hi{more} }} }}"
        )
    };
    let made_up = step("made_up", ", model_call_config: { test_mode: true }");
    let text = format!(
        "schema_version: 1\nkind: flow\nelements:\n  - {{ for_each: each, statement: [1], body: [{}] }}\n  - {}\nfinally:\n  - {}\n",
        step("inner", ""),
        made_up,
        step("final", ""),
    );
    env.write("flow.yaml", &text);
    let said = env.unchanged(&["validate", "flow.yaml"]).expect(0);
    for (id, is_warned_of) in [("inner", true), ("final", true), ("made_up", false)] {
        assert_eq!(
            said.stderr.contains(&format!("`anthropic/no-such-{id}`")),
            is_warned_of,
            "{said}"
        );
    }
}

#[test]
fn a_budget_of_money_holds_for_models_whose_price_is_built_in() {
    let env = TestEnvironment::new();
    env.write(
        CREDENTIALS,
        "openai: { api_key: sk-openai-0123456789 }\nollama: { api_key: none }\n",
    );
    let dry = ["run", "flow", "flow.yaml", "--dry-run", "--budget", "cost=1.00"];
    env.write("flow.yaml", &ask("[openai/gpt-5.5]"));
    drop(env.run(&dry).expect(0));
    env.write("flow.yaml", &ask("[ollama/gpt-5.5]"));
    assert!(env.run(&dry).expect(2).stderr.contains("error[unknown_price]"));
    // At another address, another price may hold.
    env.write("flow.yaml", &ask("[openai/gpt-5.5]"));
    env.write(
        ".dhenara/models.yaml",
        "- { name: openai/gpt-5.5, base_url: 'https://proxy.example/v1' }\n",
    );
    assert!(env.run(&dry).expect(2).stderr.contains("error[unknown_price]"));
}

#[test]
fn an_entry_that_cannot_be_meant_is_refused_with_its_name() {
    let env = TestEnvironment::new();
    for (entry, expected) in [
        (
            "headers: { Authorization: Bearer x }",
            "the header `Authorization` cannot be sent",
        ),
        ("auth: { header: 'a b' }", "the header `a b` cannot be sent"),
        ("price: { input: -1, output: 1 }", "the price has `input: -1`"),
        ("capabilities: { sight: true }", "`sight`"),
    ] {
        env.write(
            ".dhenara/models.yaml",
            &format!("- {{ name: local/x, {entry} }}\n"),
        );
        let said = env.unchanged(&["models", "list"]).expect(2);
        assert!(
            said.stderr.contains("models.yaml") && said.stderr.contains(expected),
            "{entry}: {said}"
        );
    }
}

/// A server that answers with a status, whatever it is asked.
async fn refusing(status: u16, more: impl FnOnce(ResponseTemplate) -> ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let body = json!({ "error": { "message": "no", "type": "refused" } });
    let answer = more(ResponseTemplate::new(status).set_body_json(body));
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_tried_with_the_key_that_a_run_would_use() {
    let env = TestEnvironment::new();
    let server = MockServer::start().await;
    let answer = json!({
        "id": "1", "object": "chat.completion", "model": "tiny-2026",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "yes" } }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11 },
    });
    // All it was thought in is spent, and no text is there.
    let thought = json!({
        "id": "1", "object": "chat.completion", "model": "thinker",
        "choices": [{ "index": 0, "finish_reason": "length", "message": { "role": "assistant", "content": "" } }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 16, "total_tokens": 26 },
    });
    for (at, answer) in [
        ("/v1/chat/completions", answer),
        ("/thinks/chat/completions", thought),
    ] {
        Mock::given(method("POST"))
            .and(path(at))
            .and(header("authorization", "Bearer sk-local-0123456789"))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .mount(&server)
            .await;
    }
    let models = format!(
        "- {{ name: local/tiny, base_url: '{0}' }}\n- {{ name: local/thinker, base_url: '{0}/thinks' }}\n",
        server.uri()
    );
    env.write(".dhenara/models.yaml", &models);
    env.write(CREDENTIALS, "local: { api_key: sk-local-0123456789 }\n");
    let said = env.unchanged(&["models", "check"]).expect(0);
    assert!(
        said.stdout
            .starts_with("local/tiny: answers as `tiny-2026` after "),
        "{said}"
    );
    assert!(said.stdout.contains("\nlocal/thinker: answers "), "{said}");
    let said = env
        .unchanged(&["models", "check", "local/tiny", "--json"])
        .json("cli_models_check");
    assert_eq!(said["models"], json!([{ "name": "local/tiny", "answers": true }]));
    for request in server.received_requests().await.unwrap() {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let longest = body["max_tokens"]
            .as_u64()
            .or(body["max_completion_tokens"].as_u64());
        assert_eq!(longest, Some(16), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_answer_is_explained() {
    let env = TestEnvironment::new();
    env.write(CREDENTIALS, "openai: { api_key: sk-openai-0123456789 }\n");
    for (status, expected) in [
        (401, "the provider does not take the key: check `openai` in "),
        (403, "the key may not ask this model"),
        (404, "no model is named `gpt-55`; `openai/gpt-5.5` is similar"),
        (429, "its rate limit or its quota is used up"),
        (402, "its rate limit or its quota is used up"),
        (500, "the provider has trouble of its own"),
    ] {
        let server = refusing(status, |answer| answer).await;
        let entry = format!("- {{ name: openai/gpt-55, base_url: '{}' }}\n", server.uri());
        env.write(".dhenara/models.yaml", &entry);
        let said = env.unchanged(&["models", "check"]).expect(1);
        assert!(said.stdout.contains(expected), "{status}: {said}");
        assert!(
            said.stdout.contains("OPENAI_API_KEY") == matches!(status, 401 | 403),
            "{said}"
        );
        assert!(!said.stdout.contains("sk-openai"), "{said}");
    }
    let elsewhere = refusing(307, |answer| {
        answer.insert_header("location", "https://other.example/v1")
    })
    .await;
    let entry = format!("- {{ name: openai/gpt-55, base_url: '{}' }}\n", elsewhere.uri());
    env.write(".dhenara/models.yaml", &entry);
    let said = env.unchanged(&["models", "check"]).expect(1);
    assert!(said.stdout.contains("write that as its `base_url`"), "{said}");

    env.write(
        ".dhenara/models.yaml",
        "- { name: local/x, base_url: 'http://127.0.0.1:9' }\n",
    );
    assert_snapshot!(env.unchanged(&["models", "check", "local/x"]), @r"
    local/x: error[model_connection]: `local/x` could not be reached: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111); it was asked at http://127.0.0.1:9
      hint: check the address http://127.0.0.1:9/v1/, whether its server is there, and the proxy, if there is one (HTTPS_PROXY, HTTP_PROXY, NO_PROXY)
    ---- exit code 1
    ");
    env.write(".dhenara/models.yaml", "[]\n");
    assert_snapshot!(env.unchanged(&["models", "check", "mistral/mistral-large-4"]), @r"
    mistral/mistral-large-4: error[no_credentials]: there is no API key for `mistral`
      hint: set MISTRAL_API_KEY, or write into [root]/project/.dhenara/.secrets/.credentials.yaml:
            mistral:
              api_key: …
    ---- exit code 1
    ");
    assert_snapshot!(env.unchanged(&["models", "check", "mistrl/mistral-large-4"]), @r"
    mistrl/mistral-large-4: error[unknown_provider]: the provider `mistrl` of `mistrl/mistral-large-4` is not known, did you mean `mistral/mistral-large-4`?; known are anthropic, cerebras, deepseek, fireworks_ai, gemini, google, groq, mistral, moonshot, ollama, openai, openrouter, perplexity, together_ai, xai
      hint: add the provider with its `base_url` to `.dhenara/models.yaml`
    ---- exit code 1
    ");
    assert_snapshot!(env.unchanged(&["models", "check"]), @r"
    ---- stderr
    error[no_models]: `.dhenara/models.yaml` names no models
      hint: name one: `dhenara models check PROVIDER/MODEL`
    ---- exit code 2
    ");
    let said = env
        .unchanged(&["models", "check", "mistral/mistral-large-4", "--json"])
        .expect(1);
    let said = said.json("cli_models_check");
    assert_eq!(said["models"][0]["error"]["code"], "no_credentials");
}
