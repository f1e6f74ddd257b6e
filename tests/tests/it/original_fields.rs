//! The table of docs/format/original.md: each row holds for a run of the original system and for one of ours.

use std::path::{Path, PathBuf};

use dad_tests::format_dir;
use serde_json::{Value, json};

use crate::harness::read_json;
use crate::models::{Scripted, body};

/// The files that the rows speak of.
#[derive(Clone, Copy, Debug)]
enum File {
    Command,
    Model,
    ModelState,
    TestMode,
    Component,
    Summary,
}

use File::{Command, Component, Model, ModelState, Summary, TestMode};

/// A run of the original and one of ours.
struct Runs {
    original: PathBuf,
    ours: PathBuf,
}

/// The answer of the original's chat, in its `result.json`.
const CHAT: &str = "/output/data/response/chat_response";

/// The answer in our `result.json`.
const RESPONSE: &str = "/output/data/response";

impl Runs {
    fn original(&self, file: File) -> PathBuf {
        let model = "a_autocoder/run_20261123_022713_9d6211/autocoder_root/main_flow/code_generator";
        self.original.join(match file {
            Command => "b_flow/run_20261123_022945_9663ff/ag/main_flow/setup/result.json".to_owned(),
            Model => format!("{model}/result.json"),
            ModelState => format!("{model}/state.json"),
            Component => format!("{model}_file_ops/component_result.json"),
            Summary => "a_autocoder/run_20261123_022713_9d6211/run_summary.json".to_owned(),
            TestMode => unreachable!("there is no such run"),
        })
    }

    fn ours(&self, file: File) -> PathBuf {
        self.ours.join(match file {
            Command => "ag/main_flow/act/result.json",
            Model => "ag/main_flow/ask/result.json",
            ModelState => "ag/main_flow/ask/state.json",
            TestMode => "ag/main_flow/made_up/result.json",
            Component => "ag/main_flow/component_result.json",
            Summary => "run_summary.json",
        })
    }

    #[track_caller]
    fn there(&self, file: File, pointer: &str) -> Value {
        let value = read_json(&self.original(file));
        let found = value.pointer(pointer);
        found
            .unwrap_or_else(|| panic!("original, {file:?}: {pointer}"))
            .clone()
    }

    #[track_caller]
    fn here(&self, file: File, pointer: &str) -> Value {
        let value = read_json(&self.ours(file));
        let found = value.pointer(pointer);
        found
            .unwrap_or_else(|| panic!("ours, {file:?}: {pointer}"))
            .clone()
    }

    /// The original has a field that ours does not have.
    #[track_caller]
    fn gone(&self, file: File, pointer: &str) {
        self.there(file, pointer);
        self.absent(file, pointer);
    }

    #[track_caller]
    fn absent(&self, file: File, pointer: &str) {
        let value = read_json(&self.ours(file));
        assert_eq!(value.pointer(pointer), None, "{file:?}: {pointer}");
    }

    /// A field of the original stands elsewhere in the same file of ours, as a value of the same kind.
    #[track_caller]
    fn moved(&self, file: File, from: &str, to: &str) {
        self.gone(file, from);
        let (before, now) = (self.there(file, from), self.here(file, to));
        assert_eq!(kind(&before), kind(&now), "{file:?}: {from}, {to}");
    }

    #[track_caller]
    fn chat_moved(&self, from: &str, to: &str) {
        self.moved(Model, &format!("{CHAT}{from}"), &format!("{RESPONSE}{to}"));
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// A row, by its first cell, and its proof.
type Row = (&'static str, fn(&Runs));

/// The rows about the results of steps.
const RESULTS: &[Row] = &[
    (
        "`result.json` of a command: `output.data.all_succeeded`, `output.data.results`",
        |runs| {
            runs.moved(Command, "/output/data/all_succeeded", "/outcome/all_succeeded");
            runs.moved(Command, "/output/data/results", "/outcome/results");
        },
    ),
    ("`result.json`: `output.metadata`", |runs| {
        runs.gone(Command, "/output/metadata");
        runs.gone(Model, "/output/metadata");
    }),
    (
        "`result.json` of a model call: `output.data.response.chat_response.model`, `.provider`",
        |runs| {
            runs.chat_moved("/model", "/model");
            runs.chat_moved("/provider", "/provider");
            assert_eq!(runs.there(Model, &format!("{CHAT}/provider")), "open_ai");
            assert_eq!(runs.here(Model, &format!("{RESPONSE}/provider")), "local");
        },
    ),
    ("the same: `.usage`", |runs| {
        runs.chat_moved("/usage", "/usage");
        for field in ["prompt_tokens", "completion_tokens", "total_tokens"] {
            runs.chat_moved(&format!("/usage/{field}"), &format!("/usage/{field}"));
        }
    }),
    ("the same: `.usage.reasoning_tokens`", |runs| {
        runs.chat_moved("/usage/reasoning_tokens", "/usage/reasoning_tokens");
        runs.absent(TestMode, &format!("{RESPONSE}/usage/reasoning_tokens"));
    }),
    ("the same: `.usage_charge`", |runs| {
        runs.chat_moved("/usage_charge/cost", "/usage/cost");
        assert_eq!(
            runs.here(Model, "/usage_cost"),
            runs.here(Model, &format!("{RESPONSE}/usage/cost"))
        );
    }),
    ("the same: `.choices[].contents[]`", |runs| {
        runs.gone(Model, &format!("{CHAT}/choices/0/contents/0"));
        assert_eq!(runs.here(Model, "/outcome/structured"), json!({ "n": 3 }));
        assert_eq!(runs.here(Model, "/outcome/files"), json!([]));
        assert!(runs.here(TestMode, "/outcome/text").is_string());
    }),
    ("the same: `.choices[].finish_reason`", |runs| {
        assert_eq!(
            runs.here(Model, &format!("{RESPONSE}/finish_reason")),
            "completed"
        );
        assert_eq!(runs.here(Model, &format!("{RESPONSE}/stop_reason")), "stop");
    }),
    ("the same: `.metadata.streaming`", |runs| {
        runs.gone(Model, &format!("{CHAT}/metadata/streaming"));
        assert_eq!(runs.here(ModelState, "/model_call_config/streaming"), false);
    }),
    ("the same: `.metadata.duration_seconds`", |runs| {
        runs.gone(Model, &format!("{CHAT}/metadata/duration_seconds"));
        assert!(
            runs.here(Model, "/started_at").as_str().unwrap()
                <= runs.here(Model, "/completed_at").as_str().unwrap()
        );
    }),
    ("the same: `.metadata.provider_metadata.id`", |runs| {
        runs.chat_moved("/metadata/provider_metadata/id", "/id");
    }),
    ("the same: `.provider_response`", |runs| {
        runs.gone(Model, &format!("{CHAT}/provider_response"));
        let memo = std::fs::read_to_string(runs.ours(Model).with_file_name("memo.jsonl")).unwrap();
        let memo: Value = serde_json::from_str(memo.trim()).unwrap();
        assert_eq!(memo["request"]["model"], "local/tiny");
        assert_eq!(memo["response"], runs.here(Model, RESPONSE));
    }),
    ("the same: `output.data.response.status`", |runs| {
        runs.gone(Model, &format!("{RESPONSE}/status"));
        assert_eq!(runs.here(Model, "/execution_status"), "completed");
    }),
    (
        "`result.json` of a model call in test mode: `usage_cost`, `usage_*_tokens`",
        |runs| {
            for field in [
                "/usage_cost",
                "/usage_prompt_tokens",
                "/usage_completion_tokens",
                "/usage_total_tokens",
            ] {
                runs.there(Model, field);
                runs.here(Model, field);
                runs.absent(TestMode, field);
            }
            // A reader that a test tries finds the answer where it is in an earnest run.
            for field in ["model", "provider", "text", "finish_reason", "usage"] {
                runs.here(TestMode, &format!("{RESPONSE}/{field}"));
            }
        },
    ),
];

/// The rows about the state of model calls, about components and about whole runs.
const OTHERS: &[Row] = &[
    ("`state.json` of a model call: `api`", |runs| {
        runs.gone(ModelState, "/api");
    }),
    ("the same: `ai_model` (`gpt-5`)", |runs| {
        assert_eq!(runs.there(ModelState, "/ai_model"), "gpt-4.1-nano");
        assert_eq!(runs.here(ModelState, "/ai_model"), "local/tiny");
    }),
    ("the same: `prompt`, a text", |runs| {
        assert!(runs.there(ModelState, "/prompt").is_string());
        let ours = runs.here(ModelState, "/prompt");
        assert_eq!(ours, json!({ "role": "user", "text": "Count them." }));
    }),
    (
        "the same: `model_call_config.reasoning`, `false` by default",
        |runs| {
            assert_eq!(runs.there(ModelState, "/model_call_config/reasoning"), false);
            runs.absent(ModelState, "/model_call_config/reasoning");
        },
    ),
    (
        "the same: `model_call_config.structured_output.output_schema`",
        |runs| {
            let output = "/model_call_config/structured_output";
            runs.moved(
                ModelState,
                &format!("{output}/output_schema"),
                &format!("{output}/schema"),
            );
        },
    ),
    (
        "`component_result.json`: `execution_results`, `metadata`",
        |runs| {
            let agent = runs
                .original(Component)
                .parent()
                .unwrap()
                .parent()
                .unwrap()
                .to_owned();
            let agent = read_json(&agent.join("component_result.json"));
            assert_eq!(
                (&agent["execution_results"], &agent["metadata"]),
                (&json!({}), &json!({}))
            );
            runs.gone(Component, "/execution_results");
            runs.absent(Component, "/metadata");
            assert_eq!(runs.here(Component, "/counts/failed"), 0);
            assert_eq!(runs.here(Component, "/agg_usage_total_tokens"), 51);
        },
    ),
    ("the same: `updated_at`", |runs| {
        runs.moved(Component, "/updated_at", "/completed_at");
    }),
    (
        "`component_result.json` in the directory of the last child",
        |runs| {
            assert_eq!(runs.there(Component, "/component_id"), "main_flow");
            assert_eq!(runs.here(Component, "/component_id"), "main_flow");
            assert!(!runs.ours(Model).with_file_name("component_result.json").exists());
        },
    ),
    ("`run_summary.json`: `execution_id`", |runs| {
        runs.gone(Summary, "/execution_id");
        runs.here(Summary, "/run_id");
    }),
    ("the same: `agg_usage_charge`", |runs| {
        runs.gone(Summary, "/agg_usage_charge");
        assert!(runs.here(Summary, "/agg_usage_cost").is_number());
    }),
    ("`iter_N` of a loop with `start_index`", |runs| {
        let outcome = |iteration: &str| {
            let step = runs.ours.join("ag/main_flow/each").join(iteration).join("count");
            read_json(&step.join("outcome.json"))["results"][0]["stdout"].clone()
        };
        assert_eq!(
            (outcome("iter_0"), outcome("iter_1")),
            ("5\n".into(), "6\n".into())
        );
    }),
    ("times without a zone", |runs| {
        let ends_with_zone = |time: Value| time.as_str().unwrap().ends_with('Z');
        assert!(!ends_with_zone(runs.there(Model, "/created_at")));
        assert!(ends_with_zone(runs.here(Model, "/created_at")));
    }),
];

const AGENT: &str = r#"schema_version: 1
kind: agent
root_id: ag
elements:
  - flow: main_flow
    elements:
      - node: ask
        type: ai_model_call
        settings:
          models: [local/tiny]
          prompt: Count them.
          model_call_config:
            max_output_tokens: 500
            structured_output: { schema: { type: object, required: [n], properties: { n: { type: integer } } } }
      - { node: made_up, type: ai_model_call, settings: { models: [openai/gpt-5], prompt: Count., model_call_config: { test_mode: true } } }
      - { node: act, type: command, settings: { commands: [[echo, ours]] } }
      - for_each: each
        statement: "$expr{ [1, 2] }"
        start_index: 5
        body:
          - { node: count, type: command, settings: { commands: [[echo, "$expr{index}"]] } }
"#;

/// The first cells of the table.
fn first_cells() -> Vec<String> {
    let page = std::fs::read_to_string(format_dir().join("original.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells.skip(1).map(str::to_owned).collect()
}

/// A project in which our run is made: its model counts what it read from a cache and what it thought.
async fn made() -> Scripted {
    let mut answer = json!({
        "id": "chatcmpl-7", "object": "chat.completion", "model": "tiny-2026", "service_tier": "default",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "{\"n\": 3}" } }],
    });
    answer["usage"] = json!({
        "prompt_tokens": 21, "completion_tokens": 30, "total_tokens": 51,
        "prompt_tokens_details": { "cached_tokens": 16 },
        "completion_tokens_details": { "reasoning_tokens": 9 },
    });
    let scripted = Scripted::new(vec![body(&json!({}), "stop").set_body_json(answer)]).await;
    scripted.env.write("agents/fields/agent.yaml", AGENT);
    scripted
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_table_holds() {
    let scripted = made().await;
    drop(scripted.env.run(&["run", "agent", "fields"]).expect(0));
    let runs = Runs {
        original: Path::new(env!("CARGO_MANIFEST_DIR")).join("data/original"),
        ours: scripted.env.last_run(),
    };
    let rows: Vec<&Row> = RESULTS.iter().chain(OTHERS).collect();
    let proved: Vec<&str> = rows.iter().map(|(cell, _)| *cell).collect();
    assert_eq!(first_cells(), proved);
    for (_, holds) in rows {
        holds(&runs);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_fields_of_a_model_call_stand_where_they_stood() {
    let scripted = made().await;
    drop(scripted.env.run(&["run", "agent", "fields"]).expect(0));
    let runs = Runs {
        original: Path::new(env!("CARGO_MANIFEST_DIR")).join("data/original"),
        ours: scripted.env.last_run(),
    };
    for field in [
        "streaming",
        "max_output_tokens",
        "options",
        "metadata",
        "retries",
        "retry_delay",
        "max_retry_delay",
        "test_mode",
    ] {
        let pointer = format!("/model_call_config/{field}");
        let (before, now) = (runs.there(ModelState, &pointer), runs.here(ModelState, &pointer));
        assert_eq!(kind(&before), kind(&now), "{field}");
    }
    let schema = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
    let wanted = json!({
        "max_output_tokens": 500,
        "structured_output": { "schema": schema, "repairs": 2 },
        "streaming": false,
        "retries": 2,
        "retry_delay": 1.0,
        "max_retry_delay": 60.0,
        "test_mode": false,
        "options": {},
        "metadata": {},
    });
    assert_eq!(runs.here(ModelState, "/model_call_config"), wanted);
    for file in [Model, ModelState, Component, Summary] {
        let known =
            |path: &Path| -> Vec<String> { read_json(path).as_object().unwrap().keys().cloned().collect() };
        let ours = known(&runs.ours(file));
        let missing: Vec<String> = known(&runs.original(file))
            .into_iter()
            .filter(|name| !ours.contains(name))
            .collect();
        let wanted: &[&str] = match file {
            Model => &["input"],
            ModelState => &["api"],
            Component => &["execution_results", "metadata", "updated_at"],
            _ => &["execution_id", "agg_usage_charge"],
        };
        assert_eq!(missing, wanted, "{file:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_tell_tokens_apart_and_show_small_amounts() {
    let scripted = made().await;
    let done = scripted.env.run(&["run", "agent", "fields"]).expect(0);
    let model = "1 call, 51 tokens (16 cached, 9 reasoning), $0.000081";
    let shown = scripted.env.unchanged(&["runs", "show", "last"]).expect(0);
    for text in [&done.stderr, &shown.stdout] {
        let line = text.lines().find_map(|line| line.strip_prefix("  model     "));
        assert_eq!(line, Some(model), "{text}");
    }
    let shown = scripted.env.unchanged(&["runs", "show", "last", "ask"]).expect(0);
    let first = scripted.env.shown(shown.stdout.lines().next().unwrap());
    insta::assert_snapshot!(first, @"✓ ag.main_flow.ask  [time]  tiny-2026, 51 tokens (16 cached, 9 reasoning)  $0.000081");
    let listed = scripted.env.unchanged(&["runs", "list"]).expect(0);
    assert!(listed.stdout.contains("  $0.000081"), "{listed}");
}
