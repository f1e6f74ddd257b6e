//! Limits of things that do not end: output of commands, answers of models, trees of directories.
#![cfg(unix)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment, read_json};
use crate::models::{Scripted, says};

const MIB: u64 = 1 << 20;

/// Runs a shell script that fails, as a step `c`.
fn fails(env: &TestEnvironment, script: &str, settings: &Value) -> CommandOutput {
    let mut step = json!({ "node": "c", "type": "command",
        "settings": { "commands": [["sh", "-c", script]], "timeout": 100, "limits": { "output_mib": 1 } } });
    for (name, value) in settings.as_object().unwrap() {
        step["settings"][name] = value.clone();
    }
    env.write(
        "flow.json",
        &json!({ "schema_version": 1, "kind": "flow", "elements": [step] }).to_string(),
    );
    env.run(&["run", "flow", "flow.json"]).expect(1)
}

fn log(env: &TestEnvironment, name: &str) -> Vec<u8> {
    std::fs::read(env.last_run().join("flow_root/c").join(name)).unwrap()
}

/// The length at which a log was cut, as its last line says.
#[track_caller]
fn cut_at(log: &[u8]) -> u64 {
    let text = String::from_utf8(log.to_vec()).unwrap();
    let last = text.lines().last().unwrap();
    let number = last
        .strip_prefix("… cut at ")
        .and_then(|rest| rest.split(' ').next());
    let number = number.unwrap_or_else(|| panic!("{last}")).parse().unwrap();
    assert!(last.ends_with("the limit of `output_mib` …"), "{last}");
    let note = format!("\n{last}\n");
    assert_eq!(log.len() as u64, number + note.len() as u64);
    number
}

#[test]
fn a_command_that_prints_too_much_is_ended_and_its_log_says_where_it_was_cut() {
    let env = TestEnvironment::new();
    for (script, name) in [("yes", "stdout.log"), ("yes >&2", "stderr.log")] {
        let failed = fails(&env, script, &json!({}));
        assert!(
            failed.stderr.contains("printed more than 1 MiB and was ended"),
            "{failed}"
        );
        assert!(failed.stderr.contains("output_mib"), "{failed}");
        assert_eq!(cut_at(&log(&env, name)), MIB);
        let result = read_json(&env.last_run().join("flow_root/c/result.json"));
        assert_eq!(result["error"]["code"], "output_too_long", "{result}");
        let outcome = read_json(&env.last_run().join("flow_root/c/outcome.json"));
        assert_eq!(outcome["results"][0]["success"], false);
    }
    // What fits is whole.
    let script = "head -c 1048576 /dev/zero | tr '\\0' x; exit 7";
    let failed = fails(&env, script, &json!({}));
    assert!(failed.stderr.contains("exit code 7"), "{failed}");
    assert_eq!(log(&env, "stdout.log").len() as u64, MIB);
}

#[test]
fn without_a_word_about_it_there_is_a_limit() {
    let env = TestEnvironment::new();
    drop(fails(
        &env,
        "head -c 300000000 /dev/zero | tr '\\0' x",
        &json!({ "limits": {} }),
    ));
    let log = env.last_run().join("flow_root/c/stdout.log");
    assert_eq!(std::fs::metadata(&log).unwrap().len() / MIB, 256);
}

#[test]
fn a_command_that_wants_to_print_on_is_ended_all_the_same() {
    let env = TestEnvironment::new();
    let script =
        "trap '' TERM PIPE; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done";
    let failed = fails(&env, script, &json!({}));
    assert!(failed.stderr.contains("printed more than 1 MiB"), "{failed}");
    assert_eq!(cut_at(&log(&env, "stdout.log")), MIB);
}

#[test]
fn no_part_of_a_secret_or_of_a_character_stands_where_it_is_cut() {
    let env = TestEnvironment::new();
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        "secrets: { KEY: a-secret-of-some-length }\n",
    );
    // At each distance from the limit in turn.
    for before in [MIB - 30, MIB - 23, MIB - 11, MIB - 1] {
        let script = format!("head -c {before} /dev/zero | tr '\\0' x; while :; do printf \"$KEY\"; done");
        drop(fails(
            &env,
            &script,
            &json!({ "env_vars": { "KEY": "$secret{KEY}" } }),
        ));
        let log = String::from_utf8(log(&env, "stdout.log")).unwrap();
        assert!(!log.contains("a-se") && !log.contains("length"), "{before}");
    }
    drop(fails(&env, "yes ééééé", &json!({})));
    let log = log(&env, "stdout.log");
    assert!(cut_at(&log) >= MIB - 1 && String::from_utf8(log).is_ok());
}

/// A server that answers each request with headers and then bytes without end, and how many requests came.
fn endless(headers: &'static str, bytes: &'static [u8]) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let mut request = [0; 64 * 1024];
                let _ = stream.read(&mut request);
                let mut sent = stream.write_all(headers.as_bytes());
                while sent.is_ok() {
                    sent = stream.write_all(bytes);
                }
            });
        }
    });
    (port, asked)
}

#[test]
fn an_answer_that_does_not_end_is_given_up_and_not_asked_for_again() {
    const HEADERS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    const EVENT: &[u8] =
        b"data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}]}\n\n";
    let env = TestEnvironment::new();
    let (port, asked) = endless(HEADERS, EVENT);
    env.write(
        ".dhenara/models.yaml",
        &format!("- {{ name: local/tiny, base_url: \"http://127.0.0.1:{port}/v1\" }}\n"),
    );
    env.write(
        ".dhenara/config.yaml",
        "environments: { default: { limits: { answer_mib: 1 } } }\n",
    );
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - node: ask\n    type: ai_model_call\n    settings: { models: [local/tiny], prompt: Hi, model_call_config: { streaming: true, retries: 3 } }\n",
    );
    let failed = env.run(&["run", "flow", "flow.yaml"]).expect(1);
    assert!(failed.stderr.contains("is longer than 1 MiB"), "{failed}");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "{failed}");
    let result = read_json(&env.last_run().join("flow_root/ask/result.json"));
    assert_eq!(result["error"]["code"], "answer_too_long", "{result}");
    let text = std::fs::metadata(env.last_run().join("flow_root/ask/stream.txt")).unwrap();
    assert!(text.len() <= MIB, "{}", text.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_unpacked_into_more_than_was_sent() {
    let scripted = Scripted::new(vec![says("Done.")]).await;
    scripted.flow(&crate::models::node(""));
    drop(scripted.run(&[]).expect(0));
    for request in scripted.server.received_requests().await.unwrap() {
        assert_eq!(request.headers.get("accept-encoding"), None);
    }
    // One that is compressed all the same: the first bytes of many zeros.
    let packed = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xed, 0xc1, 1, 1, 0, 0, 0, 0x82, 0x20,
    ];
    let answer = wiremock::ResponseTemplate::new(200)
        .insert_header("content-encoding", "gzip")
        .set_body_raw(packed.to_vec(), "application/json");
    let scripted = scripted.again(vec![answer]).await;
    let failed = scripted.run(&[]).expect(1);
    assert!(failed.stderr.contains("cannot be used"), "{failed}");
}

/// A script that makes directories in each other, with a file in the last.
const DEEP: &str = "import os, sys\nfor _ in range(20000):\n  os.mkdir('d')\n  os.chdir('d')\nopen('end', 'w').write(sys.argv[1])\n";

/// The content of the last file of a tree that [`DEEP`] made, which no path names.
fn last_of(env: &TestEnvironment, dir: &std::path::Path) -> String {
    let script = "import os\nwhile os.path.isdir('d'): os.chdir('d')\nprint(open('end').read(), end='')\n";
    let mut command = env.command("python3", dir);
    String::from_utf8(command.args(["-c", script]).output().unwrap().stdout).unwrap()
}

/// Puts the directories beside each other, so that the place can be removed in the usual way.
fn make_flat(env: &TestEnvironment, dir: &std::path::Path) {
    let script = "import os\nn = 0\nwhile os.path.isdir('d/d'):\n  n += 1\n  os.rename('d/d', 'x')\n  os.rename('d', 'o%d' % n)\n  os.rename('x', 'd')\n";
    let done = env.command("python3", dir).args(["-c", script]).status().unwrap();
    assert!(done.success());
}

#[test]
fn a_deep_tree_that_a_command_leaves_is_masked_and_removed() {
    let env = TestEnvironment::new();
    env.is_checked();
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        "secrets: { KEY: a-secret-of-some-length }\n",
    );
    env.write("deep.py", DEEP);
    let step = json!({ "node": "c", "type": "command", "settings": {
        "commands": ["mkdir left && cd left && python3 $var{project_root}/deep.py \"$KEY\""], "env_vars": { "KEY": "$secret{KEY}" } } });
    env.write(
        "flow.json",
        &json!({ "schema_version": 1, "kind": "flow", "elements": [step] }).to_string(),
    );
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
    let run = env.last_run();
    assert_eq!(last_of(&env, &run.join("left")), "[redacted]");
    let id = run.file_name().unwrap().to_str().unwrap();
    drop(env.run(&["runs", "rm", id]).expect(0));
    assert!(!run.exists());
}

#[test]
fn a_deep_tree_of_inputs_is_copied() {
    let env = TestEnvironment::new();
    env.is_checked();
    let given = env.project().join("given");
    std::fs::create_dir(&given).unwrap();
    let made = env
        .command("python3", &given)
        .args(["-c", DEEP, "the end"])
        .status()
        .unwrap();
    assert!(made.success());
    env.write("flow.json", r#"{"schema_version":1,"kind":"flow","elements":[]}"#);
    drop(
        env.run(&["run", "flow", "flow.json", "--input-dir", "given"])
            .expect(0),
    );
    assert_eq!(last_of(&env, &env.last_run().join("static_inputs")), "the end");
    make_flat(&env, &env.last_run().join("static_inputs"));
    make_flat(&env, &given);
}

#[test]
fn operations_on_a_deep_tree_are_refused_and_not_waited_for() {
    let env = TestEnvironment::new();
    env.is_checked();
    let tree = env.project().join("tree");
    std::fs::create_dir(&tree).unwrap();
    assert!(
        env.command("python3", &tree)
            .args(["-c", DEEP, "the end"])
            .status()
            .unwrap()
            .success()
    );
    let step = |id: &str, operation: Value| {
        json!({ "node": id, "type": "file_operation", "on_error": "continue",
            "settings": { "base_directory": "$var{project_root}", "operations": [operation] } })
    };
    let elements = json!([
        step("delete", json!({ "type": "delete_directory", "path": "tree" })),
        step("move", json!({ "type": "move_file", "source": "tree", "destination": "there" })),
        step("search", json!({ "type": "search_files", "path": "tree", "search_config": { "pattern": "end" } })),
        { "node": "look", "type": "folder_analyzer", "settings": { "base_directory": "$var{project_root}/tree",
            "operations": [{ "operation_type": "find_files", "path": "." }] } },
    ]);
    env.write(
        "flow.json",
        &json!({ "schema_version": 1, "kind": "flow", "elements": elements }).to_string(),
    );
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
    let result = |id: &str| read_json(&env.last_run().join(format!("flow_root/{id}/result.json")));
    for id in ["delete", "move"] {
        let error = &result(id)["error"];
        assert_eq!(error["code"], "too_large", "{error}");
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("is deeper than 200 names"),
            "{error}"
        );
    }
    assert_eq!(result("search")["outcome"]["results"][0]["truncated"], true);
    assert_eq!(last_of(&env, &tree), "the end");
    make_flat(&env, &tree);
}
