//! `runs export --html`: a run as one page that needs no network, and in which nothing of the run executes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dad_fs::Dir;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment};

const FLOW: &str = r##"schema_version: 1
kind: flow
root_id: f
elements:
  - { node: prints, type: command, settings: { commands: [[cat, hostile.txt]], working_dir: "$var{project_root}" } }
  - { node: writes, type: file_operation, settings: { base_directory: "$var{project_root}/made", operations: [{ type: create_file, path: a.md, content: "# Title" }] } }
  - for_each: each
    statement: "$expr{ [1, 2, 3] }"
    body:
      - { node: item, type: command, settings: { commands: [[echo, item]] } }
  - { node: breaks, type: command, on_error: continue, settings: { commands: [["false"]] } }
  - { node: asks, type: command, requires_approval: true, settings: { commands: [[echo, done]] } }
"##;

/// Everything that ends an element, begins one, or changes the direction of a text.
pub(crate) const HOSTILE: &str = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(1)> \u{202e}\u{2028}\u{2029}\u{1b}[31m]]>";

/// A project with a run that waits.
pub(crate) fn waiting() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    env.write("hostile.txt", HOSTILE);
    std::fs::create_dir_all(env.project().join("made")).unwrap();
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    env
}

fn export(env: &TestEnvironment, more: &[&str]) -> (CommandOutput, String) {
    let file = env.path("run.html").to_string_lossy().into_owned();
    let args = [&["runs", "export", "last", "--html", "-o", &file], more].concat();
    let output = env.run(&args).expect(0);
    let page = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    (output, page)
}

/// The content of each element of scripts, with its attributes.
fn scripts(page: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find("<script ") {
        let (attributes, behind) = rest[at + "<script ".len()..].split_once('>').unwrap();
        let (content, behind) = behind.split_once("</script>").unwrap();
        found.push((attributes, content));
        rest = behind;
    }
    found
}

fn document(page: &str, id: &str) -> Value {
    let attribute = format!("id=\"{id}\"");
    let all = scripts(page);
    let (_, json) = all
        .iter()
        .find(|(attributes, _)| attributes.contains(&attribute))
        .unwrap();
    serde_json::from_str(json).unwrap()
}

/// The details of all steps.
fn details(page: &str) -> Vec<Value> {
    let portions = scripts(page).into_iter();
    let portions = portions.filter(|(attributes, _)| attributes.contains("class=\"steps\""));
    portions
        .flat_map(|(_, json)| serde_json::from_str::<Vec<Value>>(json).unwrap())
        .collect()
}

fn detail(page: &str, path: &str) -> Value {
    let found = details(page).into_iter().find(|step| step["path"] == path);
    found.unwrap()
}

#[test]
fn a_run_becomes_one_page_with_what_the_commands_print() {
    let env = waiting();
    let (output, page) = export(&env, &[]);
    assert_snapshot!(output, @"
    ---- stderr
    run_00000000_000000_000001: 7 steps in `[root]/run.html`
    ---- exit code 0
    ");
    let shown = env.run(&["runs", "show", "last", "--json"]).json("cli_runs_show");
    assert_eq!(document(&page, "run"), shown);
    let mut timeline = env
        .run(&["runs", "trace", "last", "--json"])
        .json("cli_runs_trace");
    timeline.as_object_mut().unwrap().remove("parts");
    assert_eq!(document(&page, "timeline"), timeline);
    let facts = document(&page, "facts");
    assert_eq!(facts["questions"][0]["path"], "f.asks", "{facts}");
    assert_eq!(document(&page, "spending")["rows"], json!([]));

    let printed = detail(&page, "f.prints");
    assert_eq!(printed["result"]["value"]["node_type"], "command");
    let names: Vec<&str> = printed["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"stdout.log"), "{names:?}");
    assert_eq!(printed["because"], "the run is a first run");
    let written = detail(&page, "f.writes");
    assert_eq!(written["changes"]["value"][0]["path"], "a.md");
    assert_eq!(details(&page).len(), 7);
}

#[test]
fn nothing_of_a_run_is_markup() {
    let env = waiting();
    let (_, page) = export(&env, &[]);
    assert!(page.starts_with("<!doctype html>\n"));
    // Each `<` in the data would be markup for some reader.
    for (attributes, content) in scripts(&page) {
        if attributes.starts_with("type=\"application/json\"") {
            assert!(!content.contains(['<', '\u{2028}', '\u{2029}']), "{attributes}");
        }
    }
    let modules = scripts(&page);
    let modules = modules
        .iter()
        .filter(|(attributes, _)| *attributes == "type=\"module\"");
    assert_eq!(modules.count(), 1);
    assert_eq!(page.matches("<script").count(), scripts(&page).len());
    let policy = page.split("Content-Security-Policy\" content=\"").nth(1).unwrap();
    let policy = policy.split('"').next().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    // What is no data: head and module.
    let head = page.split("<script ").next().unwrap();
    let own = format!("{head}{}", scripts(&page).last().unwrap().1);
    for load in [" src=", " href=", "@import", "url("] {
        assert!(!own.contains(load), "the page loads something by `{load}`");
    }
    let stdout = &detail(&page, "f.prints")["result"]["value"]["outcome"]["results"][0]["stdout"];
    assert_eq!(stdout, HOSTILE);
}

#[test]
fn long_files_and_later_steps_are_left_out_and_named() {
    let env = TestEnvironment::new();
    let long = "long line of a log\n".repeat(80_000);
    env.write("long.txt", &long);
    let flow = r#"schema_version: 1
kind: flow
root_id: f
elements:
  - { node: long, type: command, settings: { commands: [[cat, long.txt]], working_dir: "$var{project_root}" } }
  - { node: after, type: command, settings: { commands: [[echo, after]] } }
"#;
    env.write("flow.yaml", flow);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let content_of = |page: &str| {
        let files = detail(page, "f.long")["files"].clone();
        let mut files = files.as_array().unwrap().iter();
        files.find(|file| file["name"] == "stdout.log").unwrap()["content"].clone()
    };
    let (_, page) = export(&env, &[]);
    assert_eq!(content_of(&page), json!({ "too_long": long.len() }));
    let (_, page) = export(&env, &["--max-file", "2"]);
    assert_eq!(content_of(&page)["value"]["text"], long);
    let (output, page) = export(&env, &["--max-total", "0"]);
    assert_snapshot!(output, @"
    ---- stderr
    run_00000000_000000_000001: 0 steps in `[root]/run.html`
    the details of 2 later steps are left out, because the page holds at most [size] of them; `--max-total` holds more
    ---- exit code 0
    ");
    assert_eq!(details(&page), Vec::<Value>::new());
    assert_eq!(document(&page, "run")["steps"].as_array().unwrap().len(), 3);
}

#[test]
fn a_page_is_little_longer_than_what_it_shows() {
    let env = TestEnvironment::new();
    env.write(
        "text.txt",
        &"A line of a text with \"quotes\" and <marks>.\n".repeat(4_000),
    );
    let flow = r#"schema_version: 1
kind: flow
root_id: f
elements:
  - for_each: each
    statement: "$expr{ [1, 2, 3, 4, 5, 6, 7, 8] }"
    body:
      - { node: item, type: command, settings: { commands: [[cat, text.txt]], working_dir: "$var{project_root}" } }
"#;
    env.write("flow.yaml", flow);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let (_, page) = export(&env, &[]);
    let shown = bytes_below(&env.last_run());
    let most = shown * 12 / 10 + 200_000;
    assert!(page.len() as u64 <= most, "{} of {shown} bytes", page.len());
}

/// The length of all files of a run but its traces.
fn bytes_below(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .filter(|entry| entry.file_name() != ".trace")
        .map(|entry| {
            if entry.file_type().unwrap().is_dir() {
                bytes_below(&entry.path())
            } else {
                entry.metadata().unwrap().len()
            }
        })
        .sum()
}

#[test]
fn a_damaged_file_is_a_line_in_the_page() {
    let env = waiting();
    env.is_checked();
    let result = env.last_run().join("f/prints/result.json");
    std::fs::write(&result, "{}").unwrap();
    let (_, page) = export(&env, &[]);
    let reason = detail(&page, "f.prints")["result"]["unreadable"].clone();
    assert!(reason.as_str().unwrap().contains("result.json"), "{reason}");
    assert_eq!(
        detail(&page, "f.writes")["result"]["value"]["node_type"],
        "file_operation"
    );
}

#[test]
fn pages_replace_no_file_and_options_belong_together() {
    let env = waiting();
    env.write("there.html", "mine");
    let there = env.project().join("there.html").to_string_lossy().into_owned();
    assert_snapshot!(env.unchanged(&["runs", "export", "last", "--html", "-o", &there]).expect(2), @"
    ---- stderr
    error[page]: `[root]/project/there.html` cannot be made: there is a file of this name
      hint: name a file that does not exist, in a directory that does
    ---- exit code 2
    ");
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "mine");
    for wrong in [
        &["runs", "export", "last"][..],
        &["runs", "export", "last", "--html"],
        &["runs", "export", "last", "-o", "x.html"],
        &[
            "runs", "export", "last", "--html", "-o", "x.html", "--tar", "x.tar",
        ],
        &["runs", "export", "last", "--tar", "x.tar", "--max-file", "3"],
    ] {
        drop(env.unchanged(wrong).expect(2));
    }
    let printed = env
        .unchanged(&["runs", "export", "last", "--html", "-o", "-"])
        .expect(0);
    assert!(printed.stdout.starts_with("<!doctype html>"));
    assert!(printed.stdout.ends_with("</html>\n"));
}

/// The run of the test of many steps: it is not signed, so `last` does not mean it.
pub(crate) const LONG_RUN: &str = "run_20260101_000000_bbbbbb";

/// Writes the journal of a run whose loop has so many iterations of one step.
pub(crate) fn with_iterations(env: &TestEnvironment, iterations: u64) -> PathBuf {
    env.is_checked();
    let run = env.project().join("runs").join(LONG_RUN);
    std::fs::create_dir_all(run.join(".run")).unwrap();
    let counts = json!({ "completed": iterations, "failed": 0, "skipped": 0, "reused": 0 });
    let usage = json!({ "calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 });
    let totals = json!({ "counts": counts, "usage": usage });
    let mut records = vec![
        json!({ "type": "run_created", "schema_version": 2, "run_id": LONG_RUN, "root_id": "f", "definition_digest": "0".repeat(64) }),
        json!({ "type": "inputs", "variables": { "value": {} }, "options": {} }),
        json!({ "type": "run_started", "epoch": 1, "pid": 1, "host": "h", "version": "0.1.0", "run_dir": "/r", "run_root": "/r", "project_root": "/r" }),
        json!({ "type": "component_started", "path": "f", "kind": "flow", "variables": { "value": {} } }),
        json!({ "type": "component_started", "path": "f.each", "kind": "for_each", "variables": { "value": {} } }),
    ];
    for index in 0..iterations {
        let path = format!("f.each.iter_{index}.item");
        records
            .push(json!({ "type": "step_started", "path": path, "attempt": 1, "reason": "first_execution" }));
        records.push(json!({ "type": "step_committed", "path": path, "attempt": 1, "status": "completed", "duration_ms": 7, "summary": "1 command" }));
    }
    for path in ["f.each", "f"] {
        records.push(
            json!({ "type": "component_completed", "path": path, "status": "completed", "totals": totals }),
        );
    }
    for (record, seq) in records.iter_mut().zip(1_u64..) {
        record["seq"] = json!(seq);
        record["at"] = json!("2026-01-01T00:00:00Z");
    }
    std::fs::write(run.join(".run/journal.jsonl"), dad_tests::seal(&records)).unwrap();
    std::fs::write(run.join(".run/lease"), "").unwrap();
    run
}

/// The steps of a long run: an export that reads the journal once for each of them takes an hour.
const STEPS: u64 = 20_000;

#[test]
fn a_long_run_becomes_a_page_in_bounded_time() {
    let env = TestEnvironment::new();
    let run = with_iterations(&env, STEPS);
    let file = env.path("long.html").to_string_lossy().into_owned();
    let begun = Instant::now();
    drop(
        env.run(&["runs", "export", LONG_RUN, "--html", "-o", &file])
            .expect(0),
    );
    assert!(begun.elapsed() < Duration::from_mins(4), "{:?}", begun.elapsed());
    let journal = Dir::open(run.join(".run")).unwrap();
    let shown = journal.read("journal.jsonl").unwrap().len();
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(
        page.len() <= shown * 12 / 10 + 200_000,
        "{} of {shown}",
        page.len()
    );
    assert_eq!(details(&page).len() as u64, STEPS);
}
