//! Files that no file operation changes, by any operation and from any base directory: what records runs, configures projects,
//! or is being executed.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{TestEnvironment, read_json};

/// A project with another one in it, and something that looks like a run.
fn project() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write(
        "other/.dhenara/.secrets/.credentials.yaml",
        "openai: { api_key: k }\n",
    );
    env.write("copied/run/.run/lease", "\n");
    env.write("traced/a/.trace/trace.jsonl", "{}\n");
    env.write("nested/.git/config", "\n");
    env.write("parts/text.txt", "part");
    env.write("free.txt", "free");
    env
}

/// Executes operations in a base directory, each in a step of its own; what they are refused with, if they are.
fn refusals(env: &TestEnvironment, base: &str, operations: &[Value], more: &[&str]) -> Vec<Option<String>> {
    let step = |(index, operation): (usize, &Value)| {
        json!({ "node": format!("n{index}"), "type": "file_operation", "on_error": "continue",
            "settings": { "base_directory": base, "operations": [operation] } })
    };
    let mut elements: Vec<Value> = operations.iter().enumerate().map(step).collect();
    elements.push(json!({ "node": "read", "type": "command", "settings": { "commands": [["echo", { "$file": "../parts/text.txt" }]] } }));
    let flow = json!({ "schema_version": 1, "kind": "flow", "elements": elements });
    env.write("flows/running.json", &flow.to_string());
    let args = ["run", "flow", "flows/running.json"];
    drop(env.run(&[&args, more].concat()).expect(0));
    let run = env.last_run();
    let refusal = |index: usize| {
        let result = read_json(&run.join(format!("running_root/n{index}/result.json")));
        let error = result.get("error")?;
        let text = |name: &str| error[name].as_str().unwrap().to_owned();
        Some(format!("{}: {}", text("code"), text("message")))
    };
    (0..operations.len()).map(refusal).collect()
}

fn refusal(env: &TestEnvironment, base: &str, operation: &Value, more: &[&str]) -> Option<String> {
    refusals(env, base, std::slice::from_ref(operation), more).remove(0)
}

fn operations(path: &str) -> Vec<Value> {
    vec![
        json!({ "type": "create_file", "path": path, "content": "mine" }),
        json!({ "type": "create_file", "path": format!("{path}/new.txt"), "content": "mine" }),
        json!({ "type": "edit_file", "path": path, "edits": [{ "old_text": "a", "new_text": "b" }] }),
        json!({ "type": "create_directory", "path": path }),
        json!({ "type": "delete_file", "path": path }),
        json!({ "type": "delete_directory", "paths": ["nothing", path], "missing_ok": true }),
        json!({ "type": "move_file", "source": path, "destination": "elsewhere" }),
        json!({ "type": "move_file", "source": "free.txt", "destination": path }),
    ]
}

/// Checks that no operation changes a path.
#[track_caller]
fn untouched(env: &TestEnvironment, base: &str, path: &str, more: &[&str]) {
    let operations = operations(path);
    for (operation, refused) in operations.iter().zip(refusals(env, base, &operations, more)) {
        let refused = refused.unwrap_or_default();
        assert!(refused.starts_with("outside: "), "{operation}: {refused}");
    }
    assert!(env.project().join("free.txt").exists());
}

const PROJECT: &str = "$var{project_root}";

#[test]
fn no_run_is_forged_and_none_is_changed() {
    let env = project();
    for path in [
        "runs/run_20991231_235959_ffffff",
        "runs/anything",
        "runs/.trash",
        "runs/.lock",
        "RUNS/x",
        "elsewhere/.run",
        "a/.Trace",
        "RUN~1/definition.json",
        "runs",
    ] {
        untouched(&env, PROJECT, path, &[]);
    }
    untouched(&env, "$var{run_root}", "run_20991231_235959_ffffff", &[]);
    untouched(&env, "$var{project_root}/..", "project/runs/new", &[]);
    std::fs::create_dir(env.project().join("runs/global_data")).unwrap();
    untouched(&env, "$var{run_root}/global_data/..", "new", &[]);
}

#[test]
fn the_configuration_of_the_user_is_protected() {
    let env = project();
    env.write("home/.config/dhenara/config.yaml", "allow_key: []\n");
    for path in [
        "home/.config/dhenara/config.yaml",
        "home/.config/dhenara",
        "home/.Config/Dhenara/new",
    ] {
        untouched(&env, PROJECT, path, &[]);
    }
    let above = json!({ "type": "delete_directory", "path": "home" });
    let refused = refusal(&env, PROJECT, &above, &[]).unwrap_or_default();
    assert!(refused.contains("the user's own configuration"), "{refused}");
}

#[test]
fn the_run_root_that_was_given_is_protected() {
    let env = project();
    std::fs::create_dir_all(env.project().join("out/here")).unwrap();
    let more = ["--run-root", "out/here"];
    for path in ["out/here/run_20991231_235959_ffffff", "out/Here/x"] {
        untouched(&env, PROJECT, path, &more);
    }
    let delete = json!({ "type": "delete_directory", "path": "out" });
    let refused = refusal(&env, PROJECT, &delete, &more).unwrap_or_default();
    assert!(
        refused.ends_with("`out` holds the directory of this run"),
        "{refused}"
    );
    let fine = json!({ "type": "create_file", "path": "out/there.txt", "content": "mine" });
    assert_eq!(refusal(&env, PROJECT, &fine, &more), None);

    // A run root that holds the project protects what looks like runs in it, and leaves the rest.
    let more = ["--run-root", "."];
    for path in [
        "run_20991231_235959_ffffff",
        "my_RERUN_20991231_235959_0a0a0a",
        ".trash",
    ] {
        untouched(&env, PROJECT, path, &more);
    }
    assert_eq!(refusal(&env, PROJECT, &fine, &more), None);
}

#[test]
fn what_holds_something_protected_is_neither_removed_nor_moved() {
    let env = project();
    let tell = |operation: Value| refusal(&env, PROJECT, &operation, &[]).unwrap_or_default();
    let delete = |path: &str| tell(json!({ "type": "delete_directory", "path": path }));
    let move_to =
        |path: &str| tell(json!({ "type": "move_file", "source": path, "destination": "moved/here" }));
    let told: Vec<String> = ["other", "copied", "traced", "nested", "flows", "parts", "runs"]
        .iter()
        .flat_map(|path| [delete(path), move_to(path)])
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    outside: operation 1 (delete_directory): `other/.dhenara` belongs to the settings of a project
    outside: operation 1 (move_file): `other/.dhenara` belongs to the settings of a project
    outside: operation 1 (delete_directory): `copied/run/.run` belongs to the records of a run
    outside: operation 1 (move_file): `copied/run/.run` belongs to the records of a run
    outside: operation 1 (delete_directory): `traced/a/.trace` belongs to the records of a run
    outside: operation 1 (move_file): `traced/a/.trace` belongs to the records of a run
    outside: operation 1 (delete_directory): `nested/.git` is the repository's own data
    outside: operation 1 (move_file): `nested/.git` is the repository's own data
    outside: operation 1 (delete_directory): `flows` holds the definition of this run
    outside: operation 1 (move_file): `flows` holds the definition of this run
    outside: operation 1 (delete_directory): `parts` holds the definition of this run
    outside: operation 1 (move_file): `parts` holds the definition of this run
    outside: operation 1 (delete_directory): `runs` holds the directory of this run
    outside: operation 1 (move_file): `runs` holds the directory of this run
    ");
    for kept in [
        "other/.dhenara/.secrets/.credentials.yaml",
        "copied/run/.run/lease",
        "traced/a/.trace/trace.jsonl",
        "nested/.git/config",
        "flows/running.json",
        "parts/text.txt",
    ] {
        assert!(env.project().join(kept).exists(), "{kept}");
    }
    assert!(!env.project().join("moved").exists());
}

#[test]
fn the_running_definition_and_what_it_names_are_not_changed() {
    let env = project();
    for path in ["flows/running.json", "flows/Running.json", "parts/text.txt"] {
        let operations = operations(path);
        for (operation, refused) in operations.iter().zip(refusals(&env, PROJECT, &operations, &[])) {
            let refused = refused.unwrap_or_default();
            let wanted = "belongs to the definition of this run";
            assert!(refused.ends_with(wanted), "{operation}: {refused}");
        }
    }
    // A name in which it is reached by a link, and a definition outside of the project.
    std::os::unix::fs::symlink(
        env.project().join("flows/running.json"),
        env.project().join("link.json"),
    )
    .unwrap();
    let outside = env.path("home/flow.json");
    let flow = |base: &Path, path: &str| {
        json!({ "schema_version": 1, "kind": "flow", "elements": [{ "node": "change", "type": "file_operation",
            "settings": { "base_directory": base, "operations": [{ "type": "create_file", "path": path, "content": "" }] } }] })
        .to_string()
    };
    std::fs::write(&outside, flow(&env.path("home"), "flow.json")).unwrap();
    let refused = env.run(&["run", "flow", "../home/flow.json"]).expect(1);
    assert!(
        refused.stderr.contains("belongs to the definition of this run"),
        "{refused}"
    );
    std::fs::write(
        env.project().join("flows/running.json"),
        flow(&env.project(), "flows/running.json"),
    )
    .unwrap();
    let refused = env.run(&["run", "flow", "link.json"]).expect(1);
    assert!(
        refused.stderr.contains("belongs to the definition of this run"),
        "{refused}"
    );
    // Another one is not being executed.
    let other = json!({ "type": "create_file", "path": "flows/other.json", "content": "{}" });
    assert_eq!(refusal(&env, PROJECT, &other, &[]), None);
}

#[test]
fn shared_data_is_changed_and_everything_is_looked_at() {
    let env = project();
    let create = json!({ "type": "create_file", "path": "runs/global_data/notes.txt", "content": "mine" });
    assert_eq!(refusal(&env, PROJECT, &create, &[]), None);
    let edit = json!({ "type": "edit_file", "path": "notes.txt", "edits": [{ "old_text": "mine", "new_text": "ours" }] });
    assert_eq!(refusal(&env, "$var{run_root}/global_data", &edit, &[]), None);
    let notes = env.project().join("runs/global_data/notes.txt");
    assert_eq!(std::fs::read_to_string(notes).unwrap(), "ours");
    for look in [
        json!({ "type": "list_directory", "path": "runs" }),
        json!({ "type": "get_file_info", "paths": [".dhenara/config.yaml", "copied/run/.run", "flows/running.json"] }),
        json!({ "type": "search_files", "path": "other", "search_config": { "pattern": "credentials" } }),
    ] {
        assert_eq!(refusal(&env, PROJECT, &look, &[]), None, "{look}");
    }
}
