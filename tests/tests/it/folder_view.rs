//! The view of the folder analyzer: the files that git sees, within the limits that are asked for, and it says what it leaves out.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment, read_json};

/// An operation over `project/tree`, as a flow.
fn look(env: &TestEnvironment, operation: &Value) -> CommandOutput {
    env.write("flow.json", &flow(operation).to_string());
    env.run(&["run", "flow", "flow.json"])
}

fn flow(operation: &Value) -> Value {
    let settings = json!({ "base_directory": "$var{project_root}/tree", "operations": [operation] });
    json!({
        "schema_version": 1,
        "kind": "flow",
        "elements": [{ "node": "look", "type": "folder_analyzer", "settings": settings }],
    })
}

/// The result of one operation.
fn result(env: &TestEnvironment, operation: &Value) -> Value {
    drop(look(env, operation).expect(0));
    read_json(&env.last_run().join("flow_root/look/outcome.json"))["results"][0].clone()
}

fn find() -> Value {
    json!({ "operation_type": "find_files", "path": ".", "include_hidden": true })
}

fn found(env: &TestEnvironment) -> Vec<String> {
    let result = result(env, &find());
    assert_eq!(result.get("errors"), None, "{result:#}");
    let files = result["files_found"].as_array().unwrap().iter();
    files.map(|file| file.as_str().unwrap().to_owned()).collect()
}

fn with(mut operation: Value, more: Value) -> Value {
    if let (Value::Object(all), Value::Object(more)) = (&mut operation, more) {
        all.extend(more);
    }
    operation
}

fn git(env: &TestEnvironment, dir: &Path, arguments: &[&str]) {
    let output = env.command("git", dir).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
}

/// A project with a repository in `tree`, which has these files.
fn repository(files: &[(&str, &str)]) -> TestEnvironment {
    let env = TestEnvironment::new();
    std::fs::create_dir_all(env.path("project/tree")).unwrap();
    git(&env, &env.path("project/tree"), &["init", "--quiet"]);
    for (path, text) in files {
        env.write(&format!("tree/{path}"), text);
    }
    env
}

fn home(env: &TestEnvironment, path: &str, text: &str) {
    let file = env.path("home").join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

#[test]
fn what_the_user_has_git_ignore_everywhere_is_left_out() {
    let env = repository(&[("a.key", "x"), ("b", "x"), ("c.sql", "x")]);
    home(&env, ".config/git/ignore", "*.key\n");
    assert_eq!(
        found(&env),
        ["b", "c.sql"],
        "the file that git reads without being told"
    );
    // ripgrep#2407: a file that another file of the configuration names.
    home(&env, ".gitconfig", "[include]\n\tpath = ~/included\n");
    home(&env, "included", "[core]\n\texcludesFile = ~/dotfiles/link\n");
    home(&env, "dotfiles/real", "*.sql\n");
    std::os::unix::fs::symlink("real", env.path("home/dotfiles/link")).unwrap();
    assert_eq!(
        found(&env),
        ["a.key", "b"],
        "and a link, as of those who keep such files elsewhere"
    );
}

#[test]
fn a_repository_names_only_rules_that_lie_in_it() {
    let env = repository(&[("a", "x"), ("b", "x"), ("rules", "a\n")]);
    let tree = env.path("project/tree");
    git(&env, &tree, &["config", "core.excludesFile", "rules"]);
    assert_eq!(found(&env), ["b", "rules"]);
    home(&env, "private", "b\n");
    git(&env, &tree, &["config", "core.excludesFile", "~/private"]);
    let result = result(&env, &find());
    assert_eq!(
        result["files_found"],
        json!(["a", "b", "rules"]),
        "its lines could be told by what they leave out"
    );
    let errors = result["errors"].to_string();
    assert!(errors.contains("may only name a file in it"), "{errors}");
}

#[test]
fn what_is_left_out_is_reported_with_the_rule_that_says_so() {
    let env = repository(&[
        (".gitignore", "# built\nbuild/\n*.log\n!keep.log\n"),
        (".git/info/exclude", "secret\n"),
        ("build/x", ""),
        ("a.log", ""),
        ("keep.log", ""),
        ("secret", ""),
        (".env", ""),
        ("sub/notes.tmp", ""),
    ]);
    let operation = json!({
        "operation_type": "find_files", "why_ignored": true, "exclude_patterns": ["*.md", "./sub"],
    });
    let result = result(&env, &operation);
    assert_eq!(result["files_found"], json!(["keep.log"]));
    let wanted = json!([
        { "path": ".env", "setting": "include_hidden" },
        { "path": ".gitignore", "setting": "include_hidden" },
        { "path": "a.log", "file": ".gitignore", "line": 3 },
        { "path": "build", "file": ".gitignore", "line": 2 },
        { "path": "secret", "file": ".git/info/exclude", "line": 1 },
        { "path": "sub", "setting": "exclude_patterns[1]" },
    ]);
    assert_eq!(result["why_ignored"], wanted);
}

#[test]
fn rules_count_wherever_they_stand_and_whatever_takes_them_back() {
    // libgit2#7284: a rule of a directory takes back one of the directory around it.
    let env = repository(&[
        (
            ".gitignore",
            "**/vendor/\nshould_ignore.py\nsrc/other.py\n*.log\n",
        ),
        ("a/.gitignore", "!vendor\n"),
        ("a/vendor/f", ""),
        ("b/vendor/f", ""),
        // repomix#1870 and #1873: below the top, and taken back.
        (".git/info/exclude", "deep.txt\n!important.log\n"),
        ("x/deep.txt", ""),
        ("important.log", ""),
        ("src/should_ignore.py", ""),
        ("src/other.py", ""),
        ("src/good.py", ""),
    ]);
    assert_eq!(
        found(&env),
        [".gitignore", "a/.gitignore", "a/vendor/f", "src/good.py"]
    );
    // repomix#776: rules of the top, where the path is below it.
    let below = result(&env, &json!({ "operation_type": "find_files", "path": "src" }));
    assert_eq!(below["files_found"], json!(["src/good.py"]));
    // repomix#624: to leave out the file of rules leaves its rules.
    let without = with(find(), json!({ "exclude_patterns": ["**/.gitignore"] }));
    assert_eq!(
        result(&env, &without)["files_found"],
        json!(["a/vendor/f", "src/good.py"])
    );
}

#[test]
fn a_file_named_git_that_lies_leads_nowhere() {
    for lie in [
        "gitdir: /proc/self",
        "gitdir: ../../../home",
        "gitdir: .git",
        "gitdir: /dev/zero",
        "nothing",
        "",
    ] {
        let env = TestEnvironment::new();
        env.write("tree/a", "x");
        env.write("tree/.gitignore", "b\n");
        env.write("tree/b", "x");
        env.write("tree/.git", lie);
        home(&env, "info/exclude", "a\n");
        assert_eq!(found(&env), [".gitignore", "a"], "{lie}");
    }
    let env = TestEnvironment::new();
    env.write("tree/a", "x");
    let pipe = env
        .command("mkfifo", &env.path("project/tree"))
        .arg(".git")
        .status()
        .unwrap();
    assert!(pipe.success());
    assert_eq!(found(&env), ["a"]);
}

#[test]
fn without_git_the_rules_in_the_tree_decide_and_it_is_said_what_is_not_known() {
    let env = repository(&[(".gitignore", "*.gen\n"), ("a.gen", ""), ("b", "")]);
    git(&env, &env.path("project/tree"), &["add", "--force", "a.gen"]);
    assert_eq!(found(&env), [".gitignore", "a.gen", "b"]);
    env.write("flow.json", &flow(&find()).to_string());
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let mut command = env.command(program, &env.project());
    let output = command
        .args(["run", "flow", "flow.json"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let result = read_json(&env.last_run().join("flow_root/look/outcome.json"))["results"][0].clone();
    assert_eq!(result["files_found"], json!([".gitignore", "b"]));
    let errors = result["errors"].to_string();
    assert!(
        errors.contains("cannot be asked") && errors.contains("files that it tracks"),
        "{errors}"
    );
    // A directory that is no repository does not need it.
    std::fs::remove_dir_all(env.path("project/tree/.git")).unwrap();
    let mut command = env.command(program, &env.project());
    let output = command
        .args(["run", "flow", "flow.json"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let result = read_json(&env.last_run().join("flow_root/look/outcome.json"))["results"][0].clone();
    assert_eq!(result.get("errors"), None);
}

#[test]
fn nothing_in_a_repository_is_executed_for_a_look() {
    let env = repository(&[(".gitignore", "*.gen\n"), ("a.gen", ""), ("b", "")]);
    let tree = env.path("project/tree");
    git(&env, &tree, &["add", "b"]);
    let trap = env.write("trap", "#!/bin/sh\ntouch \"$(dirname \"$0\")/sprung\"\n");
    std::fs::set_permissions(&trap, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let trap = trap.to_str().unwrap();
    for key in [
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "core.editor",
        "diff.external",
        "credential.helper",
    ] {
        git(&env, &tree, &["config", key, trap]);
    }
    git(&env, &tree, &["config", "core.hooksPath", "hooks"]);
    std::fs::create_dir(tree.join("hooks")).unwrap();
    std::fs::copy(trap, tree.join("hooks/post-index-change")).unwrap();
    assert_eq!(found(&env), [".gitignore", "b", "hooks/post-index-change"]);
    assert!(!env.path("project/sprung").exists());
}

#[test]
fn a_pattern_that_can_fit_nothing_is_refused_by_name() {
    let env = TestEnvironment::new();
    env.write("tree/a", "x");
    for (pattern, said) in [
        ("../x", "leads out"),
        ("*.{js,ts}", "braces"),
        ("!", "no pattern"),
    ] {
        let operation = with(find(), json!({ "exclude_patterns": ["ok", pattern] }));
        let output = look(&env, &operation).expect(2).to_string();
        assert!(output.contains(said) && output.contains(pattern), "{output}");
        assert!(output.contains("hint"), "{output}");
    }
}

#[test]
fn limits_hold_whatever_the_text_and_the_mode_are() {
    let env = TestEnvironment::new();
    env.write("tree/min.js", &"a".repeat(240_000));
    env.write("tree/zh.txt", &"漢字".repeat(50_000));
    let read = |more: Value| {
        let operation = json!({ "operation_type": "analyze_folder", "content_read_mode": "full" });
        result(&env, &with(operation, more))
    };
    let kept = |result: &Value| -> Vec<usize> {
        let children = result["analysis"]["children"].as_array().unwrap().iter();
        let text = |child: &Value| {
            let text = child.get("content").or_else(|| child.get("content_preview"));
            text.and_then(Value::as_str).map_or(0, str::len)
        };
        children.map(text).collect()
    };
    assert_eq!(kept(&read(json!({ "max_words_per_file": 10 }))), [640, 30]);
    assert_eq!(
        kept(&read(json!({ "content_read_mode": "preview" }))),
        [6400, 300]
    );
    assert_eq!(kept(&read(json!({ "max_bytes_per_file": 100 }))), [100, 99]);
    assert_eq!(
        kept(&read(
            json!({ "max_tokens_per_file": 10, "content_read_mode": "preview" })
        )),
        [30, 30]
    );
    let result = read(json!({ "max_total_tokens": 100 }));
    assert_eq!(kept(&result), [300, 0]);
    assert_eq!(
        (&result["bytes_read"], &result["tokens_read"]),
        (&json!(300), &json!(100))
    );
    assert_eq!(
        result["analysis"]["children"][1]["content_left_out"],
        "the 100 tokens of `max_total_tokens` are used up"
    );
}

#[test]
fn what_no_person_wrote_is_recognised_and_shortened() {
    let env = TestEnvironment::new();
    let image = "A".repeat(2_000_000);
    let notebook = json!({ "cells": [{
        "cell_type": "code",
        "source": ["plot()"],
        "outputs": [{ "output_type": "display_data", "data": { "image/png": image } }],
    }] });
    env.write("tree/a.ipynb", &notebook.to_string());
    env.write("tree/Cargo.lock", &"[[package]]\n".repeat(1000));
    env.write("tree/b.min.js", &"x;".repeat(1000));
    env.write("tree/c.js", &"x;".repeat(10_000));
    env.write(
        "tree/d.go",
        &format!("// Code generated by x; DO NOT EDIT.\n{}", "x\n".repeat(1000)),
    );
    env.write("tree/e.rs", "fn by_hand() {}\n");
    env.write("tree/f.ipynb", "no notebook");
    let operation = json!({
        "operation_type": "analyze_folder", "content_read_mode": "full", "detect_generated": true,
    });
    let seen = result(&env, &operation);
    let children = seen["analysis"]["children"].as_array().unwrap();
    let generated: Vec<&str> = children
        .iter()
        .map(|child| child["generated"].as_str().unwrap_or(""))
        .collect();
    let wanted = [
        "lock file of cargo",
        "",
        "minified",
        "minified",
        "generated, as its beginning says",
        "",
        "",
    ];
    assert_eq!(generated, wanted);
    assert_eq!(children[0]["content"], "[[package]]\n".repeat(5));
    assert_eq!(children[0]["truncated"], true);
    assert_eq!(children[1]["content"], "# %%\nplot()\n# > (image/png left out)\n");
    assert_eq!(children[1]["notebook"], true);
    assert_eq!(
        children[3]["content"].as_str().unwrap().len(),
        6400,
        "a hundred words"
    );
    assert_eq!(
        children[5],
        json!({ "path": "e.rs", "content": "fn by_hand() {}\n" })
    );
    assert_eq!(children[6]["content"], "no notebook");
    let error = children[6]["error"].as_str().unwrap();
    assert!(error.starts_with("the file is no notebook: line 1"), "{error}");
    let plain = result(&env, &json!({ "operation_type": "analyze_file", "path": "c.js" }));
    assert_eq!(
        plain["file_info"]["content"],
        "x;".repeat(10_000),
        "only where it is asked for"
    );
}

#[test]
fn text_in_utf_16_is_reported_as_what_it_is() {
    let env = TestEnvironment::new();
    env.write("tree/x", "");
    let text: Vec<u8> = "\u{feff}<html>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    std::fs::write(env.path("project/tree/a.htm"), text).unwrap();
    let seen = result(
        &env,
        &json!({ "operation_type": "analyze_file", "path": "a.htm" }),
    );
    assert_eq!(
        seen["file_info"]["content_left_out"],
        "the file is text in UTF-16, and only UTF-8 is read"
    );
}
