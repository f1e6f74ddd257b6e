//! The commits of a step's changes by git, and that it executes nothing which a step wrote.
#![cfg(unix)]

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{TestEnvironment, git, has_git, read_json};

/// A project that is a repository with one commit, and a user for more of them; `None` without git.
fn repository() -> Option<TestEnvironment> {
    if !has_git() {
        return None;
    }
    let env = TestEnvironment::new();
    env.write("src/lib.rs", "fn old() {}\n");
    env.write(".gitignore", "runs/\nflow.json\nPWNED\n");
    begin(&env.project());
    Some(env)
}

fn begin(tree: &Path) {
    git(tree, &["init", "--quiet"]);
    git(tree, &["config", "user.name", "t"]);
    git(tree, &["config", "user.email", "t@localhost"]);
    git(tree, &["add", "--all"]);
    git(
        tree,
        &["commit", "--quiet", "--allow-empty", "--message", "before"],
    );
}

/// Makes operations and commits them; the result of the step.
fn commit(env: &TestEnvironment, base: &str, operations: &Value) -> Value {
    let settings = json!({ "base_directory": base, "commit": true, "operations": operations });
    let flow = json!({ "schema_version": 1, "kind": "flow", "allow_protected": [".githooks/"], "elements": [
        { "node": "change", "type": "file_operation", "on_error": "continue", "settings": settings } ] });
    env.write("flow.json", &flow.to_string());
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
    read_json(&env.last_run().join("flow_root/change/result.json"))
}

#[track_caller]
fn nothing_was_executed(env: &TestEnvironment) {
    let marks = ["project/PWNED", "project/src/PWNED", "home/PWNED"];
    for mark in marks {
        assert!(!env.path(mark).exists(), "{mark}");
    }
}

fn create(path: &str, content: &str) -> Value {
    json!({ "type": "create_file", "path": path, "content": content })
}

/// A script that leaves a mark.
fn script(env: &TestEnvironment) -> String {
    format!("#!/bin/sh\ntouch '{}'\n", env.project().join("PWNED").display())
}

#[test]
fn files_that_look_like_a_repository_are_none() {
    let Some(env) = repository() else { return };
    let program = env.project().join("src/run.sh").display().to_string();
    let config = format!(
        "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n\tfsmonitor = \"sh '{program}'\"\n\thooksPath = .\n"
    );
    let operations = json!([
        create("run.sh", &script(&env)),
        create("HEAD", "ref: refs/heads/main\n"),
        create("objects/keep", ""),
        create("refs/keep", ""),
        create("config", &config),
    ]);
    let result = commit(&env, "$var{project_root}/src", &operations);
    nothing_was_executed(&env);
    assert_eq!(result["execution_status"], "completed", "{result}");
    let shown = git(&env.project(), &["show", "--name-only", "--format=%s"]);
    assert_eq!(
        shown,
        "Change files\n\nsrc/HEAD\nsrc/config\nsrc/objects/keep\nsrc/refs/keep\nsrc/run.sh\n"
    );
}

#[test]
fn neither_hooks_nor_monitors_in_the_tree_are_executed() {
    let Some(env) = repository() else { return };
    let project = env.project();
    git(&project, &["config", "core.hooksPath", ".githooks"]);
    git(&project, &["config", "core.fsmonitor", ".githooks/monitor"]);
    let hooks = [
        "post-index-change",
        "pre-commit",
        "commit-msg",
        "post-commit",
        "reference-transaction",
        "monitor",
    ];
    let mut operations = vec![create("src/new.rs", "fn new() {}\n")];
    for hook in hooks {
        // Executable, as one that an operation moves there.
        let tool = env.write(&format!("tools/{hook}"), &script(&env));
        let mut permissions = std::fs::metadata(&tool).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
        std::fs::set_permissions(&tool, permissions).unwrap();
        let (source, destination) = (format!("tools/{hook}"), format!(".githooks/{hook}"));
        operations.push(json!({ "type": "move_file", "source": source, "destination": destination }));
    }
    let result = commit(&env, "$var{project_root}", &json!(operations));
    nothing_was_executed(&env);
    assert_eq!(result["execution_status"], "completed", "{result}");
    assert_eq!(result["outcome"]["git"]["commits"].as_array().unwrap().len(), 1);
}

#[test]
fn each_file_is_recorded_in_its_own_repository() {
    let Some(env) = repository() else { return };
    env.write("nested/inner.txt", "inner\n");
    begin(&env.project().join("nested"));
    let operations = json!([create("nested/new/a.txt", "a"), create("b.txt", "b")]);
    let result = commit(&env, "$var{project_root}", &operations);
    let told = &result["outcome"]["git"];
    assert_eq!(told["staged"], json!(["b.txt", "nested/new/a.txt"]), "{result}");
    assert_eq!(told["commits"].as_array().unwrap().len(), 2);
    let last = |tree: &Path| git(tree, &["show", "--name-only", "--format=%s"]);
    assert_eq!(last(&env.project()), "Change files\n\nb.txt\n");
    assert_eq!(last(&env.project().join("nested")), "Change files\n\nnew/a.txt\n");
}

#[test]
fn without_a_repository_nothing_is_changed() {
    if !has_git() {
        return;
    }
    let env = TestEnvironment::new();
    let result = commit(&env, "$var{project_root}", &json!([create("new.txt", "new")]));
    assert_eq!(result["execution_status"], "failed");
    let message = env.shown(result["error"]["message"].as_str().unwrap());
    insta::assert_snapshot!(message, @"`[root]/project/new.txt` lies in no git repository; nothing was changed");
    assert!(!env.project().join("new.txt").exists());

    // A directory that is called as one is none either.
    std::fs::create_dir(env.project().join(".git")).unwrap();
    let result = commit(&env, "$var{project_root}", &json!([create("new.txt", "new")]));
    assert_eq!(result["error"]["code"], "git", "{result}");
    assert!(!env.project().join("new.txt").exists());
}

/// Makes a file differ on two branches, so that `verb` stops at a conflict.
fn conflict(tree: &Path, verb: &str) {
    git(tree, &["checkout", "--quiet", "-b", "other"]);
    std::fs::write(tree.join("src/lib.rs"), "fn theirs() {}\n").unwrap();
    git(tree, &["commit", "--quiet", "--all", "--message", "theirs"]);
    git(tree, &["checkout", "--quiet", "-"]);
    std::fs::write(tree.join("src/lib.rs"), "fn ours() {}\n").unwrap();
    git(tree, &["commit", "--quiet", "--all", "--message", "ours"]);
    let stopped = std::process::Command::new("git")
        .args([verb, "other"])
        .current_dir(tree)
        .output();
    assert!(!stopped.unwrap().status.success());
}

#[test]
fn what_git_would_refuse_is_found_before_the_first_change() {
    type Prepare = fn(&TestEnvironment);
    let cases: [(&str, Prepare, &str); 11] = [
        (
            "merge",
            |env| conflict(&env.project(), "merge"),
            "a merge is under way",
        ),
        (
            "rebase",
            |env| conflict(&env.project(), "rebase"),
            "a rebase is under way",
        ),
        (
            "cherry-pick",
            |env| conflict(&env.project(), "cherry-pick"),
            "a cherry-pick is under way",
        ),
        (
            "marked as unchanged",
            |env| {
                drop(git(
                    &env.project(),
                    &["update-index", "--assume-unchanged", "src/lib.rs"],
                ));
            },
            "is marked as unchanged",
        ),
        (
            "skipped",
            |env| {
                drop(git(
                    &env.project(),
                    &["update-index", "--skip-worktree", "src/lib.rs"],
                ));
            },
            "marked as skipped",
        ),
        (
            "sparse checkout",
            |env| {
                env.write("kept/a", "a");
                git(&env.project(), &["add", "kept"]);
                git(&env.project(), &["commit", "--quiet", "--message", "kept"]);
                git(&env.project(), &["sparse-checkout", "set", "kept"]);
            },
            "outside of the sparse checkout",
        ),
        (
            "an unknown committer",
            |env| {
                git(&env.project(), &["config", "--unset", "user.email"]);
                git(&env.project(), &["config", "user.useConfigOnly", "true"]);
            },
            "no email was given",
        ),
        (
            "a link to a repository that is gone",
            |env| {
                std::fs::remove_dir_all(env.project().join(".git")).unwrap();
                env.write(".git", "gitdir: ../away\n");
            },
            "not a git repository",
        ),
        (
            "a lock that stays",
            |env| drop(env.write(".git/index.lock", "")),
            "index.lock",
        ),
        (
            "a key that cannot sign",
            |env| {
                git(&env.project(), &["config", "commit.gpgSign", "true"]);
                git(&env.project(), &["config", "gpg.program", "false"]);
            },
            "commits are to be signed, and that fails",
        ),
        (
            "a damaged index",
            |env| drop(env.write(".git/index", "damaged")),
            "index file",
        ),
    ];
    for (name, prepare, said) in cases {
        let Some(env) = repository() else { return };
        prepare(&env);
        let before = std::fs::read_to_string(env.project().join("src/lib.rs")).ok();
        let operations = json!([create("a.txt", "a"), create("src/lib.rs", "fn new() {}\n")]);
        let result = commit(&env, "$var{project_root}", &operations);
        let message = result["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(said), "{name}: {result}");
        assert!(message.contains("nothing was changed"), "{name}: {result}");
        assert!(!env.project().join("a.txt").exists(), "{name}");
        let after = std::fs::read_to_string(env.project().join("src/lib.rs")).ok();
        assert_eq!(after, before, "{name}");
    }
}

#[test]
fn a_repository_of_another_user_is_found_before_the_first_change() {
    use std::os::unix::fs::{MetadataExt, chown};
    let Some(env) = repository() else { return };
    let is_root = env.project().metadata().unwrap().uid() == 0;
    if !is_root || chown(env.project(), Some(65534), None).is_err() {
        return;
    }
    let result = commit(&env, "$var{project_root}", &json!([create("a.txt", "a")]));
    let message = result["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("dubious ownership") && message.contains("nothing was changed"),
        "{result}"
    );
    assert!(!env.project().join("a.txt").exists());
}

#[test]
fn a_conflict_is_not_taken_for_resolved_by_staging() {
    let Some(env) = repository() else { return };
    conflict(&env.project(), "merge");
    let settings = json!({ "base_directory": "$var{project_root}", "stage": true,
        "operations": [create("a.txt", "a"), create("src/lib.rs", "fn new() {}\n")] });
    let flow = json!({ "schema_version": 1, "kind": "flow", "elements": [
        { "node": "change", "type": "file_operation", "on_error": "continue", "settings": settings } ] });
    env.write("flow.json", &flow.to_string());
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
    let result = read_json(&env.last_run().join("flow_root/change/result.json"));
    assert!(
        result["error"]["message"]
            .as_str()
            .unwrap()
            .contains("has a conflict"),
        "{result}"
    );
    assert!(git(&env.project(), &["ls-files", "--unmerged"]).contains("src/lib.rs"));
}

#[test]
fn an_empty_message_is_refused_by_validate_and_before_the_first_change() {
    let Some(env) = repository() else { return };
    for (message, code) in [("\"\"", 2), ("$var{message}", 1)] {
        env.write("flow.yaml", &format!(
            "schema_version: 1\nkind: flow\nvariables: {{ message: \" \" }}\nelements:\n  - node: change\n    type: file_operation\n    \
             settings:\n      base_directory: $var{{project_root}}\n      commit: true\n      commit_message: {message}\n      \
             operations: [{{ type: create_file, path: a.txt, content: a }}]\n"
        ));
        let ran = env.run(&["run", "flow", "flow.yaml"]).expect(code);
        assert!(ran.stderr.contains("empty"), "{}", ran.stderr);
        assert!(!env.project().join("a.txt").exists());
    }
}

#[test]
fn files_of_submodules_worktrees_and_separate_repositories_are_committed_where_they_belong() {
    let Some(env) = repository() else { return };
    let project = env.project();
    let inner = env.path("inner");
    std::fs::create_dir_all(&inner).unwrap();
    std::fs::write(inner.join("x"), "x").unwrap();
    begin(&inner);
    let from = inner.display().to_string();
    git(
        &project,
        &[
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            &from,
            "sub",
        ],
    );
    git(&project, &["commit", "--quiet", "--message", "submodule"]);
    git(&project.join("sub"), &["config", "user.name", "t"]);
    git(&project.join("sub"), &["config", "user.email", "t@localhost"]);
    git(&project, &["worktree", "add", "--quiet", "wt"]);
    git(
        &project,
        &["init", "--quiet", "--separate-git-dir", "../apart", "sep"],
    );
    git(&project.join("sep"), &["config", "user.name", "t"]);
    git(&project.join("sep"), &["config", "user.email", "t@localhost"]);
    let operations = json!([
        create("sub/x", "new"),
        create("wt/src/lib.rs", "new"),
        create("sep/y", "new")
    ]);
    let result = commit(&env, "$var{project_root}", &operations);
    assert_eq!(
        result["outcome"]["git"]["commits"].as_array().map(Vec::len),
        Some(3),
        "{result}"
    );
    for (tree, file) in [("sub", "x"), ("wt", "src/lib.rs"), ("sep", "y")] {
        let last = git(&project.join(tree), &["show", "--name-only", "--format=%s"]);
        assert_eq!(last, format!("Change files\n\n{file}\n"), "{tree}");
        assert_eq!(
            git(&project.join(tree), &["status", "--porcelain", "-uno"]),
            "",
            "{tree}"
        );
    }
}

#[test]
fn changes_of_others_and_hooks_that_did_not_execute_are_named() {
    let Some(env) = repository() else { return };
    env.write("src/lib.rs", "fn old() {}\nunfinished\n");
    hook(&env.project().join(".git/hooks/pre-commit"), "exit 1");
    hook(&env.project().join(".git/hooks/post-merge"), "exit 1");
    let edit = json!({ "type": "edit_file", "path": "src/lib.rs",
        "edits": [{ "old_text": "fn old", "new_text": "fn new" }] });
    let result = commit(&env, "$var{project_root}", &json!([edit, create("b.txt", "b")]));
    let recorded = &result["outcome"]["git"];
    assert_eq!(recorded["changed_before"], json!(["src/lib.rs"]), "{result}");
    assert_eq!(recorded["hooks_not_executed"], json!(["pre-commit"]), "{result}");
    // The next one has nothing to name.
    let result = commit(&env, "$var{project_root}", &json!([create("c.txt", "c")]));
    assert!(
        result["outcome"]["git"].get("changed_before").is_none(),
        "{result}"
    );
}

#[test]
fn a_commit_is_made_whatever_the_settings_of_the_user_are() {
    let Some(env) = repository() else { return };
    let project = env.project();
    for (name, value) in [
        ("commit.cleanup", "strip"),
        ("commit.verbose", "true"),
        ("status.showUntrackedFiles", "no"),
        ("status.relativePaths", "true"),
        ("core.autocrlf", "true"),
        ("core.safecrlf", "true"),
        ("core.quotePath", "true"),
        ("add.ignoreErrors", "false"),
        ("diff.mnemonicPrefix", "true"),
        ("color.ui", "always"),
        ("core.editor", "false"),
        ("commit.status", "true"),
    ] {
        git(&project, &["config", name, value]);
    }
    let settings = json!({ "base_directory": "$var{project_root}", "commit": true, "commit_message": "#12 names",
        "operations": [create("ü ö.txt", "a\n"), create("-x", "x"), create(":(top)y", "y"), create("a\nb*", "z")] });
    let flow = json!({ "schema_version": 1, "kind": "flow", "elements": [
        { "node": "change", "type": "file_operation", "settings": settings } ] });
    env.write("flow.json", &flow.to_string());
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
    let shown = git(
        &project,
        &["-c", "color.ui=never", "show", "--name-only", "-z", "--format=%s"],
    );
    assert_eq!(shown, "#12 names\0\n-x\0:(top)y\0a\nb*\0ü ö.txt\0");
}

#[test]
fn a_commit_that_no_branch_has_is_said_to_be_one() {
    let Some(env) = repository() else { return };
    git(&env.project(), &["checkout", "--quiet", "--detach"]);
    let result = commit(&env, "$var{project_root}", &json!([create("b.txt", "b")]));
    assert_eq!(result["outcome"]["git"]["detached_head"], true, "{result}");
}

#[test]
fn only_what_the_step_changed_is_committed() {
    let Some(env) = repository() else { return };
    env.write("src/lib.rs", "fn old() {}\nunfinished\n");
    let same = create("src/lib.rs", "fn old() {}\nunfinished\n");
    let result = commit(&env, "$var{project_root}", &json!([same, create("b.txt", "b")]));
    assert_eq!(result["outcome"]["git"]["staged"], json!(["b.txt"]), "{result}");
    assert_eq!(
        git(&env.project(), &["show", "--name-only", "--format="]),
        "b.txt\n"
    );

    // An edit of what is not there fails, and nothing is committed.
    let edit = json!({ "type": "edit_file", "path": "src/lib.rs",
        "edits": [{ "old_text": "fn old( )", "new_text": "unfinished" }] });
    let result = commit(&env, "$var{project_root}", &json!([edit]));
    assert_eq!(result["error"]["code"], "edit_not_found", "{result}");
    assert_eq!(commits(&env), 2);
}

/// Makes operations and commits them with the hooks of the repository; how the step ended.
fn commit_with_hooks(env: &TestEnvironment, operations: &Value) -> (String, Value) {
    let settings = json!({ "base_directory": "$var{project_root}", "commit": true, "git_hooks": true, "operations": operations });
    let flow = json!({ "schema_version": 1, "kind": "flow", "allow_protected": [".githooks/"], "elements": [
        { "node": "change", "type": "file_operation", "on_error": "continue", "settings": settings } ] });
    env.write("flow.json", &flow.to_string());
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
    let result = read_json(&env.last_run().join("flow_root/change/result.json"));
    let code = result["error"]["code"].as_str().unwrap_or_default().to_owned();
    (code, result)
}

fn hook(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn commits(env: &TestEnvironment) -> usize {
    git(&env.project(), &["log", "--format=%s"]).lines().count()
}

#[test]
fn hooks_of_before_the_step_are_executed_where_the_definition_says_so() {
    let Some(env) = repository() else { return };
    let mark = env.path("tmp/mark");
    let says = format!("echo checked; env > '{}'", mark.display());
    hook(&env.project().join(".git/hooks/pre-commit"), &says);
    let (code, result) = commit_with_hooks(&env, &json!([create("src/new.rs", "")]));
    assert_eq!((code.as_str(), commits(&env)), ("", 2), "{result}");
    let seen = std::fs::read_to_string(&mark).unwrap();
    assert!(!seen.contains("DHENARA_ORIGIN_KEY"), "no child gets the key");
    let step = env.last_run().join("flow_root/change");
    let printed =
        ["stdout.log", "stderr.log"].map(|log| std::fs::read_to_string(step.join(log)).unwrap_or_default());
    assert!(printed.concat().contains("checked"), "{printed:?}");

    // One that refuses the commit fails the step, and says why.
    hook(
        &env.project().join(".git/hooks/pre-commit"),
        "echo not like this >&2; exit 1",
    );
    let (code, result) = commit_with_hooks(&env, &json!([create("src/other.rs", "")]));
    assert_eq!((code.as_str(), commits(&env)), ("git", 2), "{result}");
    assert!(
        result["error"]["message"]
            .as_str()
            .unwrap()
            .contains("not like this"),
        "{result}"
    );
}

#[test]
fn hooks_that_a_step_wrote_are_not_executed() {
    let Some(env) = repository() else { return };
    git(&env.project(), &["config", "core.hooksPath", ".githooks"]);
    hook(&env.project().join(".githooks/pre-commit"), "true");
    git(&env.project(), &["add", ".githooks"]);
    git(&env.project(), &["commit", "--quiet", "--message", "hooks"]);
    for changed in [
        json!([create(".githooks/pre-commit", &script(&env))]),
        json!([create(".githooks/post-commit", &script(&env))]),
        json!([{ "type": "delete_file", "path": ".githooks/pre-commit" }]),
    ] {
        let (code, result) = commit_with_hooks(&env, &changed);
        assert_eq!(code, "git_hooks_changed", "{result}");
        assert_eq!(commits(&env), 2);
        nothing_was_executed(&env);
        git(&env.project(), &["reset", "--quiet", "--hard"]);
        git(&env.project(), &["clean", "--quiet", "-fd", ".githooks"]);
    }
    let (code, result) = commit_with_hooks(&env, &json!([create("src/new.rs", "")]));
    assert_eq!((code.as_str(), commits(&env)), ("", 3), "{result}");
}

#[test]
fn a_file_that_no_commit_had_can_be_removed_with_another_change() {
    let Some(env) = repository() else { return };
    env.write("n", "n");
    git(&env.project(), &["add", "n"]);
    let operations = json!([{ "type": "delete_file", "path": "n" }, create("b.txt", "b")]);
    let result = commit(&env, "$var{project_root}", &operations);
    assert_eq!(
        result["outcome"]["git"]["commits"].as_array().map(Vec::len),
        Some(1),
        "{result}"
    );
    assert_eq!(
        git(&env.project(), &["show", "--name-only", "--format="]),
        "b.txt\n"
    );
}

#[test]
fn who_commits_is_the_same_with_and_without_hooks() {
    for hooks in [false, true] {
        let Some(env) = repository() else { return };
        git(&env.project(), &["config", "--unset", "user.email"]);
        git(&env.project(), &["config", "--unset", "user.name"]);
        let settings = json!({ "base_directory": "$var{project_root}", "commit": true, "git_hooks": hooks,
            "operations": [create("b.txt", "b")] });
        let flow = json!({ "schema_version": 1, "kind": "flow", "elements": [
            { "node": "change", "type": "file_operation", "settings": settings } ] });
        env.write("flow.json", &flow.to_string());
        let mut command = env.command(env!("CARGO_BIN_EXE_dhenara-under-test"), &env.project());
        for (name, value) in [("NAME", "Agent"), ("EMAIL", "agent@localhost")] {
            command.env(format!("GIT_AUTHOR_{name}"), value);
            command.env(format!("GIT_COMMITTER_{name}"), value);
        }
        let ran = command.args(["run", "flow", "flow.json"]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let author = git(&env.project(), &["show", "--no-patch", "--format=%an %ce"]);
        assert_eq!(author, "Agent agent@localhost\n");
    }
}
