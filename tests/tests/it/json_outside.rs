//! JSON of commands and models: whole, without rounding, and so that what is recorded can be read again.

use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment, read_json};
use crate::models::{Scripted, says};

/// Reads the output of a command, as JSON or lines of it.
fn reads(env: &TestEnvironment, command: &Value, form: &str) -> CommandOutput {
    let settings = json!({ "commands": [["echo", "first"], command], "output": form, "working_dir": "$var{project_root}" });
    let flow = json!({ "schema_version": 1, "kind": "flow",
        "output": "$expr{ len($hier{step}.outcome.structured) }",
        "elements": [{ "node": "step", "type": "command", "settings": settings }] });
    env.write("flow.json", &flow.to_string());
    env.run(&["run", "flow", "flow.json"])
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn a_long_output_is_read_whole() {
    let env = TestEnvironment::new();
    let items: Vec<Value> = (0..60_000).map(|n| json!({ "n": n, "é": "text" })).collect();
    env.write("long.json", &Value::from(items.clone()).to_string());
    let lines: Vec<String> = items.iter().map(Value::to_string).collect();
    env.write("long.jsonl", &lines.join("\n"));
    for (file, form) in [("long.json", "json"), ("long.jsonl", "jsonl")] {
        let done = reads(&env, &json!(["cat", file]), form).expect(0);
        assert_eq!(done.stdout.trim(), "60000", "{form}");
        let outcome = read_json(&env.last_run().join("flow_root/step/outcome.json"));
        assert_eq!(outcome["structured"], Value::from(items.clone()));
        let kept = outcome["results"][1]["stdout"].as_str().unwrap();
        assert!(kept.len() < 300 * 1024, "{}", kept.len());
    }
    let too_long = json!(["head", "-c", "34000000", "/dev/zero"]);
    let failed = reads(&env, &too_long, "json").expect(1);
    assert!(
        failed
            .stderr
            .contains("the standard output has 34000000 bytes, and `output` reads at most 32"),
        "{failed}"
    );
}

#[test]
fn what_could_not_be_kept_is_refused_with_its_place() {
    let env = TestEnvironment::new();
    for (text, form, told) in [
        (
            "{\"a\": [0, {\"b\": 123456789012345678901}]}",
            "json",
            "the integer 123456789012345678901 at `a[1].b` does not fit into 64 bits",
        ),
        (
            "[1]\n[-9223372036854775809]",
            "jsonl",
            "the standard output is not the JSON that `output` promises: in line 2, the integer -9223372036854775809 at `[0]`",
        ),
        (&nested(101), "json", "lies deeper than 100 lists and objects"),
        (&nested(126), "json", "lies deeper than 100 lists and objects"),
        (&nested(100), "jsonl", "lies deeper than 100 lists and objects"),
    ] {
        let failed = reads(&env, &json!(["printf", "%s", text]), form).expect(1);
        assert!(failed.stderr.contains(told), "{failed}");
    }
    for (text, form) in [
        (&*nested(100), "json"),
        (&nested(99), "jsonl"),
        ("\u{feff}[18446744073709551615]", "json"),
    ] {
        let done = reads(&env, &json!(["printf", "%s", text]), form).expect(0);
        assert_eq!(done.stdout.trim(), "1");
        drop(env.run(&["runs", "show", "last", "step"]).expect(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_could_not_be_kept_is_asked_for_again() {
    let deep = format!("{{\"n\": {}}}", nested(125));
    for (answer, told) in [
        (
            "{\"n\": 123456789012345678901}",
            "the integer 123456789012345678901 at `n` does not fit into 64 bits",
        ),
        (
            "Here: ```json\n{\"n\": 123456789012345678901}\n```",
            "does not fit into 64 bits",
        ),
        (&deep, "lies deeper than 100 lists and objects"),
    ] {
        let scripted = Scripted::new(vec![says(answer), says("{\"n\": 1}")]).await;
        scripted.flow(
            "  - node: ask\n    type: ai_model_call\n    settings: { models: [local/tiny], prompt: Count., model_call_config: { structured_output: { schema: { type: object } } } }\n",
        );
        drop(scripted.run(&[]).expect(0));
        let asked = scripted.asked().await;
        let again = asked[1]["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
        assert!(again.contains(told), "{again}");
        let outcome = read_json(&scripted.env.last_run().join("flow_root/ask/outcome.json"));
        assert_eq!(outcome["structured"], json!({ "n": 1 }));
    }
}
