//! No credential stands in any file of a run, nor is it printed, however it is echoed.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{CommandOutput, TestEnvironment, read_json};

/// A credential with everything that encoders change.
pub(crate) const KEY: &str = "sk-T0p/S3cr+et=Key~42 is&so";

/// A credential that may be the name of a file.
pub(crate) const NAME: &str = "sk-NameOfAFile-0987654321";

const FLOW: &str = r#"schema_version: 1
kind: flow
root_id: flow_root
required: [given, forms]
variables: { included: { $file: ./forms.txt } }
output:
  early: "$expr{ $hier{early}.outcome }"
  files: "$expr{ $hier{files}.outcome }"
  ask: "$expr{ $hier{ask}.outcome }"
  told: "$expr{ $hier{told}.outcome }"
elements:
  # Before any key was asked for.
  - node: early
    type: command
    settings: { commands: [[cat, forms.txt], [sh, ./halves.sh], "cat forms.txt >&2; exit 0"], working_dir: "$var{project_root}" }
  - node: files
    type: folder_analyzer
    settings:
      base_directory: "$var{project_root}/looked_at"
      operations: [{ operation_type: analyze_folder, content_read_mode: full }]
  - node: ask
    type: ai_model_call
    settings: { models: [local/tiny], prompt: "Say $expr{given} and $expr{forms}" }
  - node: refused
    type: ai_model_call
    on_error: continue
    settings: { models: [local/tiny], prompt: "Fail with $expr{given}" }
  - node: failing
    type: command
    on_error: continue
    settings: { commands: [[sh, -c, "cat forms.txt; cat forms.txt >&2; exit 3"]], working_dir: "$var{project_root}" }
  - conditional: maybe
    variables: { again: "$expr{given}" }
    statement: "$expr{ len(again) > 0 }"
    true_branch:
      - for_each: each
        statement: "$expr{ [given, forms] }"
        max_iterations: 5
        body:
          - { node: say, type: command, settings: { commands: [[echo, "$expr{item}"]] } }
  - node: told
    type: command
    requires_approval: true
    settings: { commands: [[printf, "%s\n", "$expr{given}", "$expr{forms}"]] }
  - node: asked
    type: ai_model_call
    pre_events: [node_input_required]
    settings: { models: [local/tiny], prompt: { text: "Use $var{said}", variables: { said: {} } } }
"#;

/// The spellings of the key, by their names.
pub(crate) fn forms() -> BTreeMap<String, String> {
    let mut forms = BTreeMap::from([("plain".to_owned(), KEY.to_owned())]);
    let encode = |unescaped: &str, lower: bool| -> String {
        let escape = |byte: u8| {
            if lower {
                format!("%{byte:02x}")
            } else {
                format!("%{byte:02X}")
            }
        };
        KEY.bytes()
            .map(|byte| match byte {
                _ if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => char::from(byte).to_string(),
                _ if unescaped.as_bytes().contains(&byte) => char::from(byte).to_string(),
                _ => escape(byte),
            })
            .collect()
    };
    forms.insert("in an address".to_owned(), encode("", false));
    forms.insert("in an address, small".to_owned(), encode("", true));
    forms.insert("in a path".to_owned(), encode("/", false));
    forms.insert("in a form".to_owned(), encode("", false).replace("%20", "+"));
    for (name, engine) in [("base64", &STANDARD), ("base64 of addresses", &URL_SAFE)] {
        for before in ["", "a", "ab"] {
            forms.insert(
                format!("{name} after {}", before.len()),
                engine.encode(format!("{before}{KEY}")),
            );
        }
    }
    let encoded = STANDARD.encode(format!("user:{KEY}"));
    let lines = encoded.as_bytes().chunks(16).map(String::from_utf8_lossy);
    forms.insert(OVER_LINES.to_owned(), lines.collect::<Vec<_>>().join("\r\n"));
    forms
}

const OVER_LINES: &str = "in lines of base 64";

/// The texts that must be found nowhere: of base64 the part that stands for nothing but the key.
pub(crate) fn needles() -> BTreeMap<String, String> {
    let mut needles = forms();
    for (name, needle) in &mut needles {
        if name == OVER_LINES {
            *needle = needle.lines().nth(1).unwrap_or_default().to_owned();
        } else if let Some(offset) = name.strip_prefix("base64").and_then(|rest| rest.chars().last()) {
            let skip = if offset == '0' { 0 } else { 4 };
            *needle = needle[skip..needle.len() - 4].to_owned();
        }
    }
    needles.insert(
        "in JSON".to_owned(),
        json!(KEY).to_string().trim_matches('"').to_owned(),
    );
    needles
}

#[track_caller]
pub(crate) fn assert_clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for (form, needle) in needles() {
        assert!(
            !text.contains(&needle),
            "the key stands {form} in {what}:\n{text}"
        );
    }
}

#[track_caller]
fn assert_all_clean(env: &TestEnvironment, outputs: &[&CommandOutput]) {
    for output in outputs {
        assert_clean("the standard output", output.stdout.as_bytes());
        assert_clean("the standard error", output.stderr.as_bytes());
    }
    let files = assert_runs_clean(env, &assert_clean);
    assert!(files > 30, "{files} files");
}

/// Looks at every file and name of all runs, and says how many files there are.
#[track_caller]
pub(crate) fn assert_runs_clean(env: &TestEnvironment, assert_clean: &dyn Fn(&str, &[u8])) -> usize {
    let mut files = 0;
    let mut open = vec![env.project().join("runs")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            assert_clean("a name", path.as_os_str().as_encoded_bytes());
            if path.is_dir() {
                open.push(path);
            } else {
                files += 1;
                assert_clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

async fn server() -> MockServer {
    let server = MockServer::start().await;
    let said = forms().into_values().collect::<Vec<_>>().join("\n");
    let answer = json!({
        "id": KEY, "object": "chat.completion", "model": "tiny",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": said } }],
        "usage": { "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 },
    });
    let refusal = ResponseTemplate::new(401)
        .insert_header("x-echo", KEY)
        .set_body_string(format!("not with {KEY}"));
    Mock::given(method("POST"))
        .and(body_string_contains("Fail with"))
        .respond_with(refusal)
        .with_priority(1)
        .mount(&server)
        .await;
    let answer = ResponseTemplate::new(200)
        .insert_header("x-echo", KEY)
        .set_body_json(answer);
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

fn project(server: &MockServer) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    let all = forms().into_values().collect::<Vec<_>>().join("\n");
    env.write("forms.txt", &all);
    env.write("looked_at/notes.md", &all);
    env.write("looked_at/code.py", &format!("KEY = \"{KEY}\"\n"));
    let (first, second) = KEY.split_at(9);
    env.write(
        "halves.sh",
        &format!("printf %s '{first}'\nsleep 0.2\nprintf '%s\\n' '{second}'\n"),
    );
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        &format!("local:\n  api_key: \"{KEY}\"\n"),
    );
    let model = format!(
        "- {{ name: local/tiny, base_url: \"{}/v1\", provider: local }}\n",
        server.uri()
    );
    env.write(".dhenara/models.yaml", &model);
    env
}

#[track_caller]
fn outcome(run: &Path, step: &str) -> Value {
    read_json(&run.join("flow_root").join(step).join("outcome.json"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_echoed_stands_nowhere() {
    let server = server().await;
    let env = project(&server);
    let given = format!("given={KEY} {}", forms()["base64 after 1"]);
    let first = env
        .run(&[
            "run",
            "flow",
            "flow.yaml",
            "--var",
            &given,
            "--var",
            "forms=@forms.txt",
            "--json",
        ])
        .expect(3);
    assert_all_clean(&env, &[&first]);
    let shown = env.run(&["runs", "show", "last"]).expect(0);
    let asked = env.run(&["answer", "last"]);
    assert_all_clean(&env, &[&shown, &asked]);

    // As many questions as there are: the approval, then the input.
    let approved = env.run(&["answer", "last", "told", "--approve"]);
    let input = json!({ "prompt_variables": { "said": KEY } }).to_string();
    let answered = env.run(&["answer", "last", "asked", "--input", &input]);
    let resumed = env.run(&["resume", "last", "--json"]);
    let steps = env.run(&["runs", "show", "last", "ask"]);
    assert_all_clean(&env, &[&approved, &answered, &resumed, &steps]);
    let page = env
        .run(&["runs", "export", "last", "--html", "-o", "-"])
        .expect(0);
    assert_all_clean(&env, &[&page]);

    let run = env.last_run();
    assert!(
        run.join("flow_root/told/outcome.json").is_file(),
        "{approved}\n{answered}\n{resumed}\n{shown}"
    );
    for step in ["early", "files", "ask", "told"] {
        let outcome = outcome(&run, step).to_string();
        assert!(outcome.contains("[redacted]"), "{step}: {outcome}");
    }
    let halves = &outcome(&run, "early")["results"][1]["stdout"];
    assert_eq!(halves, "[redacted]\n", "split over two writes");
    let asked = server.received_requests().await.unwrap_or_default();
    assert!(asked.len() >= 2, "the model was asked");

    // What templates see is what stands on disk.
    let output: Value = [&approved, &answered, &resumed]
        .iter()
        .find_map(|output| serde_json::from_str::<Value>(&output.stdout).ok())
        .unwrap_or_default();
    let told = if output.get("output").is_some() {
        output["output"].clone()
    } else {
        output
    };
    for step in ["early", "files", "ask", "told"] {
        assert_eq!(
            told[step],
            outcome(&run, step),
            "{step} in memory and on disk\n{approved}\n{answered}\n{resumed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_run_holds_no_credential() {
    let server = server().await;
    let env = project(&server);
    let given = format!("given={KEY}");
    let started = [
        "run",
        "flow",
        "flow.yaml",
        "--var",
        &given,
        "--var",
        "forms=@forms.txt",
    ];
    drop(env.run(&started).expect(3));
    drop(env.run(&["answer", "last", "told", "--approve"]));
    let page = env
        .run(&["runs", "export", "last", "--html", "-o", "-"])
        .expect(0);
    assert!(page.stdout.contains("[redacted]"));
    assert_clean("the page", page.stdout.as_bytes());
}
