//! Marks of the cache of prompts, from a definition to the request that a provider gets.

use dad_tests::strict_server::StrictServer;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::TestEnvironment;

/// A server that refuses what the providers refuse, with a model of Anthropic's and one of OpenAI's behind it.
async fn server(env: &TestEnvironment) -> StrictServer {
    let server = StrictServer::start().await;
    let entry = |provider: &str, model: &str, protocol: &str| {
        format!(
            "- {{ name: {protocol}, provider: {provider}, model: {model}, protocol: {protocol}, base_url: \"{}/v1\" }}\n",
            server.uri()
        )
    };
    let models = [
        entry("anthropic", "claude-haiku-4-5", "anthropic"),
        entry("openai", "gpt-5.6-luna", "openai_responses"),
    ];
    env.write(".dhenara/models.yaml", &models.concat());
    let keys = "anthropic: { api_key: sk-strict-0123456789 }\nopenai: { api_key: sk-strict-0123456789 }\n";
    env.write(".dhenara/.secrets/.credentials.yaml", keys);
    server
}

/// A flow whose only step has marks at four places, and calls a tool in two rounds.
fn marked(model: &str) -> String {
    format!(
        r#"schema_version: 1
kind: flow
elements:
  - node: ask
    type: ai_model_call
    settings:
      models: [{model}]
      system_instructions: [Be brief., {{ text: Be kind., cache: true }}, Today is Monday.]
      context:
        - {{ text: First., files: ["$var{{project_root}}/plain.md", {{ path: "$var{{project_root}}/kept.md", cache: true }}] }}
        - {{ role: assistant, text: Read., cache: true }}
      prompt: Use the tools in 2 rounds.
      model_call_config:
        tools:
          - {{ name: list, command: [echo, listed], parameters: {{ type: object, properties: {{}} }}, cache: true }}
          - {{ name: show, command: [echo, shown], parameters: {{ type: object, properties: {{}} }} }}
"#
    )
}

/// The blocks of a list that have a mark, by their places.
fn places(blocks: &Value, mark: &str) -> Vec<usize> {
    let blocks = blocks.as_array().unwrap().iter().enumerate();
    let marked = blocks.filter(|(_, block)| block.get(mark).is_some());
    marked.map(|(at, _)| at).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_of_a_definition_reach_the_provider_in_every_round() {
    let env = TestEnvironment::new();
    let server = server(&env).await;
    env.write("plain.md", "# Plain");
    env.write("kept.md", "# Kept");
    env.write("flow.yaml", &marked("anthropic"));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    for request in &seen {
        let body = &request.body;
        let mark = "cache_control";
        assert_eq!(places(&body["tools"], mark), [0], "{body:#}");
        assert_eq!(places(&body["system"], mark), [0]);
        assert_eq!(body["system"][0]["text"], "Be brief.\n\nBe kind.");
        assert_eq!(body["system"][1]["text"], "\n\nToday is Monday.");
        assert_eq!(places(&body["messages"][0]["content"], mark), [2]);
        assert_eq!(places(&body["messages"][1]["content"], mark), [0]);
        // Four places leave no room for the mark of the whole conversation.
        assert_eq!(body.get(mark), None);
    }
    // The recorded requests have the marks, too: a replay finds its answers.
    let run = env.last_run();
    let run = run.file_name().unwrap().to_str().unwrap();
    drop(env.run(&["run", "flow", "flow.yaml", "--replay", run]).expect(0));
    assert_eq!(server.seen().len(), 3);

    env.write("flow.yaml", &marked("openai_responses"));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let seen = server.seen().split_off(3);
    assert_eq!(seen.len(), 3);
    for request in &seen {
        let body = &request.body;
        let mark = "prompt_cache_breakpoint";
        // OpenAI takes none on tools and on turns of its model: the last is that of the file before it.
        assert_eq!(body["input"][0]["role"], "system");
        assert_eq!(places(&body["input"][0]["content"], mark), [0], "{body:#}");
        assert_eq!(places(&body["input"][1]["content"], mark), [2]);
        assert_eq!(body.get("instructions"), None);
        assert_eq!(body.get("prompt_cache_options"), None);
    }
    assert!(server.refused().is_empty());
}

#[test]
fn what_is_marked_wrongly_is_refused_with_its_place() {
    let env = TestEnvironment::new();
    let flow = |settings: &Value| {
        json!({ "schema_version": 1, "kind": "flow", "elements": [{ "node": "ask", "type": "ai_model_call", "settings": settings }] })
            .to_string()
    };
    let kept = json!({ "text": "x", "cache": true });
    let five = json!({ "models": ["openai/gpt-5"], "system_instructions": [kept, kept, kept], "context": [kept], "prompt": kept });
    env.write("flow.json", &flow(&five));
    assert_snapshot!(env.run(&["validate", "flow.json"]), @r#"
    flow.json: 1 problem
    ---- stderr
    flow.json:1:291: error[wrong_setting]: 5 places are marked with `cache: true`; a request has at most 4
      |
    1 | …e}],"prompt":{"text":"x","cache":true}}}]}
      |                                   ^^^^
      = hint: a mark keeps all that stands before it: mark only the ends of what stays the same
    ---- exit code 2
    "#);
    let misspelt = json!({
        "models": ["openai/gpt-5"],
        "system_instructions": { "text": "x", "cach": true },
        "prompt": { "text": "x", "files": [{ "path": "/a", "cached": true }], "cache": "always" },
    });
    env.write("flow.json", &flow(&misspelt));
    assert_snapshot!(env.run(&["validate", "flow.json"]), @r#"
    flow.json: 3 problems
    ---- stderr
    flow.json:1:156: error[unknown_key]: unknown key `cach`
      |
    1 | …system_instructions":{"text":"x","cach":true},"prompt":{"text":"x","files":[{"path":"/a","cached":tr…
      |                                   ^^^^^^
      = hint: did you mean `cache`?

    flow.json:1:212: error[unknown_key]: unknown key `cached`
      |
    1 | …"text":"x","files":[{"path":"/a","cached":true}],"cache":"always"}}}]}
      |                                   ^^^^^^^^
      = hint: did you mean `cache`?

    flow.json:1:236: error[wrong_type]: expected `true` or `false`, found the text `always`
      |
    1 | …th":"/a","cached":true}],"cache":"always"}}}]}
      |                                   ^^^^^^^^
    ---- exit code 2
    "#);
}

#[test]
fn marks_that_values_decide_are_counted_before_the_call() {
    let env = TestEnvironment::new();
    let kept = json!({ "text": "x", "cache": "$var{keep}" });
    let settings = json!({ "models": ["local/m"], "system_instructions": [kept, kept, kept], "context": [kept], "prompt": kept });
    let flow = |keep: bool| {
        json!({
            "schema_version": 1, "kind": "flow", "variables": { "keep": keep },
            "elements": [{ "node": "ask", "type": "ai_model_call", "settings": settings }],
        })
    };
    // Nothing listens there: only a step without too many marks asks.
    env.write(
        ".dhenara/models.yaml",
        "- { name: local/m, base_url: 'http://127.0.0.1:9/v1' }\n",
    );
    for (keep, words) in [
        (
            true,
            "in settings, `prompt.cache`: 5 places are marked with `cache: true`",
        ),
        (false, "could not be reached"),
    ] {
        let mut flow = flow(keep);
        flow["elements"][0]["settings"]["model_call_config"] = json!({ "retries": 0 });
        env.write("flow.json", &flow.to_string());
        drop(env.run(&["validate", "flow.json"]).expect(0));
        let output = env.run(&["run", "flow", "flow.json"]).expect(1);
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}
