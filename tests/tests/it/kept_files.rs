//! The properties that a file keeps beside its content under every operation; and what file operations refuse to guess.
#![cfg(unix)]

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment, read_json};

/// Makes operations in `w`; the result of the step.
fn change(env: &TestEnvironment, settings: &Value) -> Value {
    let mut all = json!({ "base_directory": "$var{project_root}/w" });
    all.as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    let flow = json!({ "schema_version": 1, "kind": "flow", "elements": [
        { "node": "change", "type": "file_operation", "on_error": "continue", "settings": all } ] });
    env.write("flow.json", &flow.to_string());
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
    read_json(&env.last_run().join("flow_root/change/result.json"))
}

fn operate(env: &TestEnvironment, operations: &Value) -> Value {
    change(env, &json!({ "operations": operations }))
}

fn edit(path: &str, old: &str, new: &str) -> Value {
    json!({ "type": "edit_file", "path": path, "edits": [{ "old_text": old, "new_text": new }] })
}

fn move_file(source: &str, destination: &str) -> Value {
    json!({ "type": "move_file", "source": source, "destination": destination })
}

fn at(env: &TestEnvironment, path: &str) -> PathBuf {
    env.project().join("w").join(path)
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o7777
}

fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800)
}

fn set_time(path: &Path) {
    std::fs::File::open(path)
        .unwrap()
        .set_modified(long_ago())
        .unwrap();
}

fn time(path: &Path) -> SystemTime {
    path.metadata().unwrap().modified().unwrap()
}

#[track_caller]
fn refused(result: &Value, code: &str, said: &str) {
    assert_eq!(result["error"]["code"], code, "{result}");
    let message = result["error"]["message"].as_str().unwrap();
    assert!(message.contains(said), "{message}");
}

#[test]
fn a_moved_directory_keeps_modes_times_and_links() {
    let env = TestEnvironment::new();
    env.write("w/private/key", "key");
    env.write("w/private/shared/x", "x");
    symlink("../../outside", at(&env, "private/link")).unwrap();
    symlink("key", at(&env, "private/shared/dangling")).unwrap();
    set_mode(&at(&env, "private/key"), 0o400);
    set_mode(&at(&env, "private/shared"), 0o2775);
    set_mode(&at(&env, "private"), 0o700);
    set_time(&at(&env, "private/key"));
    set_time(&at(&env, "private/shared"));
    let result = operate(&env, &json!([move_file("private", "new/place")]));
    assert_eq!(result["execution_status"], "completed", "{result}");
    let there = at(&env, "new/place");
    assert_eq!(
        (
            mode(&there),
            mode(&there.join("key")),
            mode(&there.join("shared"))
        ),
        (0o700, 0o400, 0o2775)
    );
    assert_eq!(
        (time(&there.join("key")), time(&there.join("shared"))),
        (long_ago(), long_ago())
    );
    assert_eq!(
        std::fs::read_link(there.join("link")).unwrap(),
        Path::new("../../outside")
    );
    assert_eq!(
        std::fs::read_link(there.join("shared/dangling")).unwrap(),
        Path::new("key")
    );
    assert!(!at(&env, "private").exists());
}

#[test]
fn owner_and_extended_attributes_stay_with_an_edited_file() {
    let env = TestEnvironment::new();
    env.write("w/f", "a\n");
    let file = at(&env, "f");
    let opened = std::fs::File::open(&file).unwrap();
    let is_extended =
        rustix::fs::fsetxattr(&opened, "user.note", b"kept", rustix::fs::XattrFlags::empty()).is_ok();
    let is_root = file.metadata().unwrap().uid() == 0;
    if is_root {
        std::os::unix::fs::chown(&file, Some(65534), Some(65533)).unwrap();
    }
    set_mode(&file, 0o640);
    let before = file.metadata().unwrap();
    let result = operate(&env, &json!([edit("f", "a", "b"), move_file("f", "g")]));
    let after = at(&env, "g").metadata().unwrap();
    assert_eq!(
        (after.uid(), after.gid(), after.mode()),
        (before.uid(), before.gid(), before.mode()),
        "{result}"
    );
    if is_extended {
        let opened = std::fs::File::open(at(&env, "g")).unwrap();
        let mut value = [0; 10];
        assert_eq!(rustix::fs::fgetxattr(&opened, "user.note", &mut value), Ok(4));
    }
}

#[test]
fn a_script_stays_executable_and_can_be_made_so() {
    let env = TestEnvironment::new();
    env.write("w/run.sh", "old");
    set_mode(&at(&env, "run.sh"), 0o750);
    let delete = json!({ "type": "delete_file", "path": "run.sh" });
    let create = |path: &str| json!({ "type": "create_file", "path": path, "content": "#!/bin/sh\n" });
    let executable =
        |path: &str, on: bool| json!({ "type": "set_executable", "path": path, "executable": on });
    let result = operate(
        &env,
        &json!([
            delete, create("run.sh"), create("new.sh"), { "type": "set_executable", "path": "new.sh" }
        ]),
    );
    assert_eq!(result["execution_status"], "completed", "{result}");
    assert_eq!(
        (mode(&at(&env, "run.sh")), mode(&at(&env, "new.sh"))),
        (0o750, 0o755)
    );
    set_time(&at(&env, "new.sh"));
    operate(
        &env,
        &json!([executable("new.sh", false), executable("run.sh", false)]),
    );
    assert_eq!(
        (mode(&at(&env, "run.sh")), mode(&at(&env, "new.sh"))),
        (0o640, 0o644)
    );
    assert_eq!(time(&at(&env, "new.sh")), long_ago(), "its content is the same");
    let again = operate(&env, &json!([executable("new.sh", false)]));
    assert_eq!(again["outcome"]["results"][0]["unchanged"], true, "{again}");
    refused(
        &operate(&env, &json!([executable("missing.sh", true)])),
        "not_found",
        "`missing.sh`",
    );
}

#[test]
fn links_are_removed_as_themselves() {
    let env = TestEnvironment::new();
    env.write("kept", "kept");
    env.write("w/node_modules/a/index.js", "x");
    std::fs::create_dir_all(at(&env, "node_modules/.bin")).unwrap();
    symlink("../a/index.js", at(&env, "node_modules/.bin/a")).unwrap();
    symlink(env.project().join("kept"), at(&env, "link")).unwrap();
    symlink("node_modules", at(&env, "to_dir")).unwrap();
    refused(
        &operate(&env, &json!([{ "type": "delete_directory", "path": "to_dir" }])),
        "link",
        "`delete_file` removes the link itself",
    );
    let result = operate(
        &env,
        &json!([
            { "type": "delete_file", "paths": ["link", "to_dir"] },
            { "type": "delete_directory", "path": "node_modules" },
        ]),
    );
    assert_eq!(result["execution_status"], "completed", "{result}");
    assert_eq!(std::fs::read_dir(at(&env, "")).unwrap().count(), 0);
    assert_eq!(
        std::fs::read_to_string(env.project().join("kept")).unwrap(),
        "kept"
    );
}

#[test]
fn what_is_not_there_is_an_error_unless_that_is_allowed() {
    let env = TestEnvironment::new();
    env.write("w/there", "other\n");
    for operation in [
        json!({ "type": "delete_file", "path": "typo" }),
        json!({ "type": "delete_directory", "path": "typo" }),
        move_file("typo", "there"),
        json!({ "type": "delete_file", "paths": ["there", "typo"] }),
    ] {
        refused(
            &operate(&env, &json!([operation])),
            "not_found",
            "`typo` does not exist",
        );
        assert_eq!(std::fs::read_to_string(at(&env, "there")).unwrap(), "other\n");
        let mut allowed = operation.clone();
        allowed["missing_ok"] = true.into();
        let result = operate(&env, &json!([allowed]));
        assert_eq!(result["execution_status"], "completed", "{result}");
    }
}

#[test]
fn a_change_that_fails_gives_back_modes_and_times() {
    let env = TestEnvironment::new();
    env.write("w/a/f", "a\n");
    set_mode(&at(&env, "a/f"), 0o400);
    set_time(&at(&env, "a/f"));
    set_mode(&at(&env, "a"), 0o2750);
    env.write("w/b/locked/f", "b\n");
    // The last of the plan fails: a directory that may not be written to, or, for root, one on another device.
    let result = operate(
        &env,
        &json!([
            { "type": "delete_directory", "path": "a" },
            { "type": "create_file", "path": "b/locked/f/x", "content": "x" },
        ]),
    );
    assert_eq!(result["execution_status"], "failed", "{result}");
    assert_eq!((mode(&at(&env, "a")), mode(&at(&env, "a/f"))), (0o2750, 0o400));
    assert_eq!(time(&at(&env, "a/f")), long_ago());
}

#[test]
fn images_of_private_files_are_private_in_shared_runs_too() {
    let env = TestEnvironment::new();
    env.write(
        ".dhenara/config.yaml",
        "environments: { default: { share: all } }\n",
    );
    env.write("w/.env", "PASSWORD=made-up-1\n");
    set_mode(&at(&env, ".env"), 0o600);
    operate(&env, &json!([edit(".env", "made-up-1", "made-up-2")]));
    assert_eq!(mode(&at(&env, ".env")), 0o600);
    let images = env.last_run().join("flow_root/change/file_changes");
    let mut seen = 0;
    for entry in std::fs::read_dir(images).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() != "plan.json" {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 2);
}

#[test]
fn an_edit_that_was_made_counts_as_made_only_while_it_stands() {
    let env = TestEnvironment::new();
    env.write("w/f", "one\n");
    let settings = json!({ "operations": [edit("f", "one", "two")] });
    change(&env, &settings);
    let fresh = |env: &TestEnvironment| {
        let run = env.last_run();
        let id = run.file_name().unwrap().to_string_lossy().into_owned();
        let ran = env.run(&["run", "flow", "flow.json", "--previous-run-id", &id, "--fresh"]);
        drop(ran.expect(0));
        read_json(&env.last_run().join("flow_root/change/result.json"))
    };
    for _ in 0..2 {
        let again = fresh(&env);
        assert_eq!(again["outcome"]["results"][0]["unchanged"], true, "{again}");
    }
    env.write("w/f", "two and more\n");
    refused(&fresh(&env), "edit_not_found", "is not in the file");
}

/// Undoes the last run, or a step of it.
fn undo(env: &TestEnvironment, arguments: &[&str], code: i32) -> CommandOutput {
    let run = env.last_run();
    let id = run.file_name().unwrap().to_string_lossy().into_owned();
    let all = ["runs", "undo", &id].into_iter().chain(arguments.iter().copied());
    env.run(&all.collect::<Vec<_>>()).expect(code)
}

/// A run of two steps that change one tree in all the ways there are.
fn changed_tree(env: &TestEnvironment) {
    env.write("w/edited", "one\n");
    env.write("w/moved/deep/x", "x");
    env.write("w/removed/y", "y");
    env.write("w/script", "s");
    symlink("edited", at(env, "link")).unwrap();
    set_mode(&at(env, "removed"), 0o750);
    set_time(&at(env, "removed/y"));
    set_time(&at(env, "edited"));
    let steps = [
        json!([edit("edited", "one", "two"), move_file("moved", "to/there"),
            { "type": "delete_directory", "path": "removed" }, { "type": "delete_file", "path": "link" }]),
        json!([edit("edited", "two", "three"), { "type": "create_file", "path": "to/new", "content": "n" },
            { "type": "set_executable", "path": "script" }]),
    ];
    let step = |(index, operations): (usize, &Value)| {
        json!({ "node": format!("s{index}"), "type": "file_operation",
            "settings": { "base_directory": "$var{project_root}/w", "operations": operations } })
    };
    let elements: Vec<Value> = steps.iter().enumerate().map(step).collect();
    let flow = json!({ "schema_version": 1, "kind": "flow", "elements": elements });
    env.write("flow.json", &flow.to_string());
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
    assert_eq!(std::fs::read_to_string(at(env, "edited")).unwrap(), "three\n");
}

#[test]
fn a_run_is_taken_back() {
    let env = TestEnvironment::new();
    changed_tree(&env);
    let planned = undo(&env, &["--dry-run", "--json"], 0).json("cli_runs_undo");
    assert_eq!(planned["steps"].as_array().unwrap().len(), 2);
    assert!(at(&env, "to/new").exists(), "a dry run changes nothing");
    let shown = undo(&env, &[], 0);
    insta::assert_snapshot!(shown.stdout, @"
    flow_root.s1
      restored w/edited
      restored w/script
      removed  w/to/new
    flow_root.s0
      restored w/moved
      restored w/moved/deep
      restored w/removed
      restored w/edited
      restored w/link
      restored w/moved/deep/x
      restored w/removed/y
      removed  w/to/there/deep/x
      removed  w/to/there/deep
      removed  w/to/there
      removed  w/to
    ");
    assert_eq!(std::fs::read_to_string(at(&env, "edited")).unwrap(), "one\n");
    assert_eq!(std::fs::read_to_string(at(&env, "moved/deep/x")).unwrap(), "x");
    assert_eq!(
        (mode(&at(&env, "removed")), mode(&at(&env, "script"))),
        (0o750, 0o644)
    );
    assert_eq!(
        (time(&at(&env, "removed/y")), time(&at(&env, "edited"))),
        (long_ago(), long_ago())
    );
    assert_eq!(std::fs::read_link(at(&env, "link")).unwrap(), Path::new("edited"));
    assert!(!at(&env, "to").exists());
    // Once more there is nothing to do.
    let again = undo(&env, &["--json"], 0).json("cli_runs_undo");
    let changes = again["steps"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|step| step["changes"].as_array().unwrap());
    assert!(changes.clone().count() > 5 && changes.into_iter().all(|change| change["action"] == "nothing"));
}

#[test]
fn what_changed_since_is_named_and_nothing_is_taken_back() {
    let env = TestEnvironment::new();
    changed_tree(&env);
    env.write("w/to/new", "changed by a person");
    let refused = undo(&env, &[], 4);
    assert!(
        refused.stderr.contains("`to/new` changed since `flow_root.s1`"),
        "{}",
        refused.stderr
    );
    assert_eq!(std::fs::read_to_string(at(&env, "edited")).unwrap(), "three\n");
    // A step alone is refused where a later one changed its files.
    let refused = undo(&env, &["s0"], 4);
    assert!(refused.stderr.contains("`edited`"), "{}", refused.stderr);
    // A directory stays that holds entries of others.
    env.write("w/to/new", "n");
    env.write("w/to/mine", "mine");
    let shown = undo(&env, &[], 0);
    assert!(
        shown.stdout.contains("kept     w/to (it holds other entries)"),
        "{}",
        shown.stdout
    );
    assert_eq!(std::fs::read_to_string(at(&env, "to/mine")).unwrap(), "mine");
    assert!(at(&env, "moved/deep/x").exists() && !at(&env, "to/new").exists());
}

#[test]
fn results_that_a_re_run_took_over_are_not_taken_back_with_it() {
    let env = TestEnvironment::new();
    changed_tree(&env);
    let run = env.last_run();
    let id = run.file_name().unwrap().to_string_lossy().into_owned();
    drop(
        env.run(&["run", "flow", "flow.json", "--previous-run-id", &id])
            .expect(0),
    );
    let shown = undo(&env, &["--json"], 0).json("cli_runs_undo");
    assert_eq!(shown["steps"], json!([]), "{shown}");
    assert_eq!(std::fs::read_to_string(at(&env, "edited")).unwrap(), "three\n");
}

#[test]
fn a_file_that_one_step_makes_and_a_later_one_changes_is_taken_back() {
    for second in [
        json!([edit("f", "one", "two")]),
        json!([{ "type": "delete_file", "path": "f" }]),
        json!([move_file("f", "g")]),
        json!([{ "type": "set_executable", "path": "f" }]),
    ] {
        let env = TestEnvironment::new();
        env.write("w/other", "other");
        let first = json!([{ "type": "create_file", "path": "f", "content": "one" }]);
        two_steps(&env, &first, &second);
        drop(undo(&env, &[], 0));
        let left: Vec<_> = std::fs::read_dir(at(&env, ""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["other"], "{second}");
    }
}

fn two_steps(env: &TestEnvironment, first: &Value, second: &Value) {
    let step = |(index, operations): (usize, &Value)| {
        json!({ "node": format!("s{index}"), "type": "file_operation",
            "settings": { "base_directory": "$var{project_root}/w", "operations": operations } })
    };
    let elements: Vec<Value> = [first, second].into_iter().enumerate().map(step).collect();
    let flow = json!({ "schema_version": 1, "kind": "flow", "elements": elements });
    env.write("flow.json", &flow.to_string());
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
}

#[test]
fn permissions_that_changed_since_are_not_taken_back() {
    let env = TestEnvironment::new();
    env.write("w/f", "one\n");
    operate(&env, &json!([edit("f", "one", "two")]));
    set_mode(&at(&env, "f"), 0o600);
    let refused = undo(&env, &[], 4);
    assert!(refused.stderr.contains("`f` changed since"), "{}", refused.stderr);
    assert_eq!(mode(&at(&env, "f")), 0o600);
}

#[test]
fn a_directory_that_became_a_link_is_not_followed_by_taking_back() {
    let env = TestEnvironment::new();
    env.write("w/f", "one\n");
    operate(&env, &json!([edit("f", "one", "two")]));
    std::fs::rename(at(&env, ""), env.project().join("real")).unwrap();
    symlink("real", env.project().join("w")).unwrap();
    let refused = undo(&env, &[], 1);
    assert!(refused.stderr.contains("symbolic link"), "{}", refused.stderr);
    assert_eq!(
        std::fs::read_to_string(env.project().join("real/f")).unwrap(),
        "two\n"
    );
}

#[test]
fn taking_back_finds_its_directories_after_the_project_was_moved() {
    let env = TestEnvironment::new();
    env.write("w/f", "f");
    env.write("x/y/f", "f");
    let outside = env.path("o/p/q/r");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("n"), "new").unwrap();
    let inside = env.project().join("x/y");
    change(
        &env,
        &json!({ "allowed_directories": [inside, outside],
        "operations": [{ "type": "create_file", "path": inside.join("n"), "content": "new" }] }),
    );
    let deeper = env.path("a/b/c/d/e/project");
    std::fs::create_dir_all(deeper.parent().unwrap()).unwrap();
    std::fs::rename(env.project(), &deeper).unwrap();
    let run = std::fs::read_dir(deeper.join("runs")).unwrap();
    let run = run
        .map(|entry| entry.unwrap().file_name())
        .find(|name| name.to_string_lossy().starts_with("run_"));
    let id = run.unwrap().to_string_lossy().into_owned();
    let shown = env.run_in(&deeper, &["runs", "undo", &id]).expect(0);
    assert!(shown.stdout.contains("x/y/n"), "{}", shown.stdout);
    assert!(outside.join("n").exists() && !deeper.join("x/y/n").exists());
    std::fs::rename(&deeper, env.project()).unwrap();
}

#[test]
fn an_operation_counts_as_made_only_with_those_that_came_to_one_result_with_it() {
    let create = json!({ "type": "create_file", "path": "a", "content": "one" });
    for other in [edit("a", "one", "two"), move_file("a", "b")] {
        let env = TestEnvironment::new();
        std::fs::create_dir_all(at(&env, "")).unwrap();
        operate(&env, &json!([create, other]));
        let run = env.last_run();
        let id = run.file_name().unwrap().to_string_lossy().into_owned();
        let flow = std::fs::read_to_string(env.project().join("flow.json")).unwrap();
        let mut flow: Value = serde_json::from_str(&flow).unwrap();
        flow["elements"][0]["settings"]["operations"] = json!([create]);
        env.write("flow.json", &flow.to_string());
        drop(
            env.run(&["run", "flow", "flow.json", "--previous-run-id", &id])
                .expect(0),
        );
        assert_eq!(std::fs::read_to_string(at(&env, "a")).unwrap(), "one", "{other}");
    }
}

#[test]
fn a_private_directory_that_takes_the_place_of_another_stays_private() {
    let env = TestEnvironment::new();
    env.write("w/a/secret", "s");
    env.write("w/b/x", "x");
    set_mode(&at(&env, "a"), 0o700);
    set_mode(&at(&env, "b"), 0o755);
    let result = operate(
        &env,
        &json!([{ "type": "delete_directory", "path": "b" }, move_file("a", "b")]),
    );
    assert_eq!(result["execution_status"], "completed", "{result}");
    assert_eq!(mode(&at(&env, "b")), 0o700);
    drop(undo(&env, &[], 0));
    assert_eq!((mode(&at(&env, "a")), mode(&at(&env, "b"))), (0o700, 0o755));
}

#[test]
fn a_file_is_made_executable_by_the_operation_for_that_alone() {
    let env = TestEnvironment::new();
    std::fs::create_dir_all(at(&env, "")).unwrap();
    let create = json!({ "type": "create_file", "path": "run.sh", "content": "", "executable": true });
    let flow = |settings: Value| {
        json!({ "schema_version": 1, "kind": "flow", "variables": { "made": [create] }, "elements": [
            { "node": "change", "type": "file_operation", "settings": settings } ] })
    };
    for (settings, code) in [
        (json!({ "operations": [create] }), 2),
        (json!({ "operations_template": "$var{made}" }), 1),
    ] {
        env.write("flow.json", &flow(settings).to_string());
        let ran = env.run(&["run", "flow", "flow.json"]).expect(code);
        assert!(
            ran.stderr.contains("is a field of `set_executable`"),
            "{}",
            ran.stderr
        );
    }
}
