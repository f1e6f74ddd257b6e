//! The tables of outcomes in `docs/nodes.md`: the outcomes of real steps have the fields that stand there, and no other.
//!
//! `cargo xtask tidy` compares the tables with the types; this is about the parts that no type describes.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};

use crate::harness::{TestEnvironment, git, has_git, read_json, tell, workspace};

/// Fields that no step of this test has.
const NOT_MADE: &[&str] = &[
    // Only where the system refuses to keep an owner or an attribute, which depends on the user of the test.
    "results[].not_kept",
];

/// The first cells of the table rows between two texts of the page.
fn names_between(from: &str, to: &str) -> BTreeSet<String> {
    let page = std::fs::read_to_string(workspace().join("docs/nodes.md")).unwrap();
    let section = page.split_once(from).unwrap_or_else(|| panic!("no `{from}`")).1;
    let section = section.split_once(to).unwrap_or_else(|| panic!("no `{to}`")).0;
    let cells = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split("`, `"));
    names.map(|name| name.trim_end_matches('`').to_owned()).collect()
}

fn fields_of(node: &str) -> BTreeSet<String> {
    names_between(&format!("### Outcome of `{node}`\n"), "\n\n")
}

/// Adds the paths of all fields of an outcome, down to those below which the page lists none.
fn add_paths(value: &Value, path: &str, listed: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    let is_open = |path: &str| {
        let below = |name: &String| {
            name.strip_prefix(path)
                .is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        path.is_empty() || listed.iter().any(below)
    };
    match value {
        Value::Object(fields) if is_open(path) => {
            for (name, value) in fields {
                let field = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                found.insert(field.clone());
                add_paths(value, &field, listed, found);
            }
        }
        Value::Array(elements) if is_open(path) => {
            for element in elements {
                add_paths(element, &format!("{path}[]"), listed, found);
            }
        }
        _ => {}
    }
}

/// The outcomes of all steps of the newest run.
fn outcomes(env: &TestEnvironment, steps: &[&str]) -> Vec<Value> {
    let root = env.last_run().join("flow_root");
    let read = |step: &&str| read_json(&root.join(step).join("outcome.json"));
    steps.iter().map(read).collect()
}

#[track_caller]
fn compare(node: &str, outcomes: &[Value]) {
    let listed = fields_of(node);
    let mut found = BTreeSet::new();
    for outcome in outcomes {
        add_paths(outcome, "", &listed, &mut found);
    }
    let unlisted: Vec<_> = found.difference(&listed).collect();
    assert!(
        unlisted.is_empty(),
        "missing in the table of `{node}`: {unlisted:?}"
    );
    let is_made = |name: &&String| !NOT_MADE.contains(&name.as_str());
    let not_found: Vec<_> = listed.difference(&found).filter(is_made).collect();
    assert!(not_found.is_empty(), "no outcome of `{node}` has {not_found:?}");
}

fn flow(env: &TestEnvironment, elements: &Value) {
    let flow = json!({ "schema_version": 1, "kind": "flow", "elements": elements });
    env.write("flow.json", &flow.to_string());
}

/// A repository in which git has a remark about everything.
fn repository(env: &TestEnvironment) {
    for (name, text) in [
        (".gitignore", "*.tmp\n"),
        ("a.txt", "a\n"),
        ("changed.txt", "a\n"),
        ("gone/a", "a"),
        ("moved.txt", "a\n"),
    ] {
        env.write(&format!("tree/{name}"), text);
    }
    let tree = env.project().join("tree");
    std::fs::write(
        env.path("home/.gitconfig"),
        "[user]\nname = t\nemail = t@localhost\n",
    )
    .unwrap();
    symlink("a.txt", tree.join("link")).unwrap();
    git(&tree, &["init", "--quiet"]);
    git(&tree, &["add", "--all"]);
    git(&tree, &["commit", "--quiet", "--message", "before"]);
    git(&tree, &["checkout", "--quiet", "--detach"]);
    let hook = env.write("tree/.git/hooks/pre-commit", "#!/bin/sh\nexit 0\n");
    std::fs::set_permissions(hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    env.write("tree/changed.txt", "b\n");
    env.write("tree/ignored.tmp", "a");
    std::fs::write(tree.join(OsStr::from_bytes(b"odd\xff")), "a").unwrap();
}

#[test]
fn file_operations_have_the_fields_of_the_page() {
    if !has_git() {
        tell("file_operations_have_the_fields_of_the_page needs git");
        return;
    }
    let env = TestEnvironment::new();
    repository(&env);
    for number in 0..1001 {
        env.write(&format!("tree/many/{number}.tmp"), "");
    }
    let base = env.project().join("tree");
    let step = |id: &str, settings: &Value, operations: &Value| {
        let mut settings = settings.clone();
        settings["base_directory"] = json!(base);
        settings["operations"] = operations.clone();
        json!({ "node": id, "type": "file_operation", "settings": settings, "on_error": "continue" })
    };
    let looks = json!([
        { "type": "list_directory", "path": "." },
        { "type": "get_file_info", "path": "a.txt" },
        { "type": "search_files", "path": ".", "search_config": { "pattern": "*.tmp" } },
        { "type": "list_allowed_directories" },
    ]);
    let changes = json!([
        { "type": "create_file", "path": "a.txt", "content": "a\n" },
        { "type": "create_file", "path": "changed.txt", "content": "c\n" },
        { "type": "create_file", "path": "ignored.tmp", "content": "c\n" },
        { "type": "move_file", "source": "moved.txt", "destination": "to.txt" },
        { "type": "delete_directory", "path": "gone" },
        { "type": "delete_file", "path": "link" },
    ]);
    let commits = json!({ "commit": true, "commit_message": "after" });
    let fails = json!([{ "type": "delete_file", "path": "missing" }]);
    let dry = json!([{ "type": "create_file", "path": "new", "content": "n", "dry_run": true }]);
    flow(
        &env,
        &json!([
            step("looks", &json!({}), &looks),
            step("changes", &commits, &changes),
            step("fails", &json!({ "on_failure": "keep" }), &fails),
            step("dry", &json!({}), &dry),
        ]),
    );
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
    compare(
        "file_operation",
        &outcomes(&env, &["looks", "changes", "fails", "dry"]),
    );
}

/// Adds the fields of a directory or file, and of the entries in it.
fn add_entries(entry: &Value, found: &mut BTreeSet<String>) {
    match entry {
        Value::Array(entries) => entries.iter().for_each(|entry| add_entries(entry, found)),
        Value::Object(fields) => {
            found.extend(fields.keys().cloned());
            add_entries(&entry["children"], found);
        }
        _ => {}
    }
}

/// A directory with an entry of each kind.
fn kinds_of_entries(env: &TestEnvironment) {
    for (name, text) in [
        (".ignore", "*.tmp\n"),
        ("lib.rs", "fn a() {}\n"),
        ("Cargo.lock", "# generated\n"),
        ("one.ipynb", "{\"cells\": []}"),
        ("broken.ipynb", "{"),
        ("binary", "\0"),
        ("deep/deeper/a", "a"),
        ("long.txt", "one two three four five six seven eight nine ten"),
    ] {
        env.write(&format!("tree/{name}"), text);
    }
    for number in 0..1001 {
        env.write(&format!("tree/{number}.tmp"), "");
    }
    let tree = env.project().join("tree");
    symlink("lib.rs", tree.join("link")).unwrap();
    std::fs::write(tree.join(OsStr::from_bytes(b"odd\xff")), b"a\xffb").unwrap();
}

#[test]
fn folder_analyses_have_the_fields_of_the_page() {
    let env = TestEnvironment::new();
    kinds_of_entries(&env);
    let base = env.project().join("tree");
    let operations = json!([
        {
            "operation_type": "analyze_folder", "content_read_mode": "full", "max_depth": 1, "max_words_per_file": 9,
            "max_bytes_per_file": 1000, "detect_generated": true, "include_primary_meta": true,
            "include_stats_and_meta": true, "why_ignored": true, "exclude_patterns": ["excluded"],
        },
        { "operation_type": "analyze_file", "path": "lib.rs", "content_read_mode": "structure" },
        { "operation_type": "analyze_file", "path": "long.txt", "content_read_mode": "preview" },
        { "operation_type": "find_files", "path": ".", "why_ignored": true, "respect_gitignore": false, "exclude_patterns": ["lib.rs"] },
        { "operation_type": "get_structure", "path": "deep", "generate_tree_diagram": true },
        { "operation_type": "analyze_file", "path": "missing" },
    ]);
    let settings = json!({ "base_directory": base, "operations": operations, "fail_fast": false });
    flow(
        &env,
        &json!([{ "node": "looks", "type": "folder_analyzer", "settings": settings, "on_error": "continue" }]),
    );
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
    let outcomes = outcomes(&env, &["looks"]);
    compare("folder_analyzer", &outcomes);
    let mut found = BTreeSet::new();
    for result in outcomes[0]["results"].as_array().unwrap() {
        add_entries(&result["analysis"], &mut found);
        add_entries(&result["file_info"], &mut found);
    }
    assert_eq!(found, names_between("| field of an entry |", "\n\n"));
}

#[test]
fn commands_have_the_fields_of_the_page() {
    let env = TestEnvironment::new();
    let config = env.path("home/.config/dhenara/config.yaml");
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    std::fs::write(config, "sandbox: off\n").unwrap();
    let settings = json!({
        "commands": [["sh", "-c", "sleep 600 & setsid sleep 5 & sleep 1"], ["echo", "[1]"]],
        "output": "json",
        "sandbox": true,
    });
    flow(
        &env,
        &json!([{ "node": "act", "type": "command", "settings": settings }]),
    );
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
    compare("command", &outcomes(&env, &["act"]));
}
