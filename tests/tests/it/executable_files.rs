//! Files that a tool executes or obeys without a person starting it: a step changes one only if the definition allows it, or
//! a person agreed to just that.

use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment, read_json};
use crate::models::{Scripted, calls, says};

/// A project with files that tools obey.
fn project() -> TestEnvironment {
    let env = TestEnvironment::new();
    for file in [
        ".envrc",
        "tools/deep/.vscode/tasks.json",
        ".github/workflows/ci.yml",
        "agents/other/agent.yaml",
        "agents/other/prompts/ask.md",
    ] {
        env.write(file, "theirs\n");
    }
    env.write("moved/workflows/ci.yml", "mine\n");
    env.write("notes.txt", "notes\n");
    env
}

fn flow(operations: &Value, more: &Value) -> Value {
    let mut node = json!({ "node": "change", "type": "file_operation",
        "settings": { "base_directory": "$var{project_root}", "operations": operations } });
    let mut flow = json!({ "schema_version": 1, "kind": "flow" });
    for (key, value) in more.as_object().unwrap() {
        let of = match key.as_str() {
            "requires_approval" => &mut node,
            _ => &mut flow,
        };
        of[key] = value.clone();
    }
    flow["elements"] = json!([node]);
    flow
}

fn run(env: &TestEnvironment, operations: &Value, more: &Value) -> CommandOutput {
    env.write("flow.json", &flow(operations, more).to_string());
    env.run(&["run", "flow", "flow.json"])
}

fn create(path: &str) -> Value {
    json!({ "type": "create_file", "path": path, "content": "mine\n" })
}

/// The refusal of an operation; nothing if it is made.
fn refusal(env: &TestEnvironment, operation: &Value, more: &Value) -> Option<String> {
    let output = run(env, &json!([operation]), more);
    let result = read_json(&env.last_run().join("flow_root/change/result.json"));
    let error = result.get("error");
    assert_eq!(error.is_some(), output.code == Some(1), "{output}");
    let text = |name: &str| error.unwrap()[name].as_str().unwrap().to_owned();
    error.map(|_| format!("{}: {}", text("code"), text("message")))
}

#[track_caller]
fn is_protected(env: &TestEnvironment, operation: &Value, which: &str) {
    let refused = refusal(env, operation, &json!({})).unwrap_or_default();
    assert!(
        refused.starts_with("protected_file: ") && refused.contains(&format!("`{which}` is protected: ")),
        "{operation}: {refused}"
    );
}

#[test]
fn no_operation_changes_what_a_tool_obeys() {
    let env = project();
    for (operation, which) in [
        (create(".envrc"), ".envrc"),
        (create("sub/.EnvRC"), "sub/.EnvRC"),
        (create(".husky/pre-commit"), ".husky/pre-commit"),
        (create("a/.cargo/config.toml"), "a/.cargo/config.toml"),
        (create("CLAUDE.md"), "CLAUDE.md"),
        (create("agents/new/agent.yaml"), "agents/new/agent.yaml"),
        (
            create("agents/other/prompts/ask.md"),
            "agents/other/prompts/ask.md",
        ),
        (
            json!({ "type": "edit_file", "path": ".envrc", "edits": [{ "old_text": "theirs", "new_text": "mine" }] }),
            ".envrc",
        ),
        (json!({ "type": "delete_file", "path": ".envrc" }), ".envrc"),
        (
            json!({ "type": "move_file", "source": ".envrc", "destination": "away" }),
            ".envrc",
        ),
        (
            json!({ "type": "move_file", "source": "notes.txt", "destination": ".envrc-new/.mcp.json" }),
            ".envrc-new/.mcp.json",
        ),
        (
            json!({ "type": "create_directory", "path": ".vscode" }),
            ".vscode",
        ),
        (
            json!({ "type": "delete_directory", "path": "tools" }),
            "tools/deep/.vscode",
        ),
        (
            json!({ "type": "move_file", "source": "tools/deep", "destination": "elsewhere" }),
            "elsewhere/.vscode",
        ),
    ] {
        is_protected(&env, &operation, which);
    }
    insta::assert_snapshot!(refusal(&env, &create(".envrc"), &json!({})).unwrap(), @"protected_file: operation 1 (create_file): `.envrc` is protected: direnv executes it in a shell that enters its directory; it is changed only if `allow_protected` of the definition has `.envrc`, or a person approves it (`requires_approval: true`)");
    for kept in [
        ".envrc",
        "tools/deep/.vscode/tasks.json",
        "agents/other/prompts/ask.md",
    ] {
        assert_eq!(
            std::fs::read_to_string(env.project().join(kept)).unwrap(),
            "theirs\n",
            "{kept}"
        );
    }
    for made in [".husky", "CLAUDE.md", "elsewhere", "agents/new", ".vscode"] {
        assert!(!env.project().join(made).exists(), "{made}");
    }
    // What is as it was is no change, and looking is none either.
    let same = json!({ "type": "create_file", "path": ".envrc", "content": "theirs\n" });
    assert_eq!(refusal(&env, &same, &json!({})), None);
    let look = json!({ "type": "list_directory", "path": ".github/workflows" });
    assert_eq!(refusal(&env, &look, &json!({})), None);
}

#[test]
fn the_definition_allows_what_its_globs_name_and_nothing_else() {
    let env = project();
    let allow = json!({ "allow_protected": [".github/workflows/", "**/.vscode/*.json"] });
    let told = |path: &str| refusal(&env, &create(path), &allow);
    assert_eq!(told(".github/workflows/new.yml"), None);
    assert_eq!(told("tools/deep/.vscode/tasks.json"), None);
    for path in [".github/actions/a/action.yml", ".vscode/sub/tasks.json", ".envrc"] {
        let refused = told(path).unwrap_or_default();
        assert!(refused.starts_with("protected_file: "), "{path}: {refused}");
    }
    // What nothing changes is not changed by that either.
    let refused = refusal(
        &env,
        &create("a/.git/config"),
        &json!({ "allow_protected": ["**"] }),
    );
    assert!(refused.unwrap_or_default().starts_with("outside: "));
}

#[test]
fn a_glob_that_is_none_is_a_problem_with_its_place() {
    let env = project();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nallow_protected:\n  - .envrc\n  - \"[\"\n  - \"$var{project_root}/.envrc\"\n  - ../.envrc\nelements: []\n",
    );
    insta::assert_snapshot!(env.refused(&["run", "flow", "flow.yaml"]), @r#"
    ---- stderr
    flow.yaml:5:5: error[wrong_value]: `[` is no glob of paths: unclosed character class; missing ']'
      |
    5 |   - "["
      |     ^^^
      = hint: write a path from the project root, such as `.github/workflows/**`

    flow.yaml:6:5: error[wrong_value]: `$var{project_root}/.envrc` is no glob of paths: only the definition itself can allow a path, so no template stands in it
      |
    6 |   - "$var{project_root}/.envrc"
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = hint: write a path from the project root, such as `.github/workflows/**`

    flow.yaml:7:5: error[wrong_value]: `../.envrc` is no glob of paths: no name in a path is `.` or `..`
      |
    7 |   - ../.envrc
      |     ^^^^^^^^^
      = hint: write a path from the project root, such as `.github/workflows/**`
    ---- exit code 2
    "#);
}

#[test]
fn an_approval_names_each_file_on_a_line_of_its_own() {
    let env = project();
    let operations =
        json!([create("notes.txt"), create(".envrc"), { "type": "delete_directory", "path": "tools" }]);
    let approve = json!({ "requires_approval": true });
    let waits = run(&env, &operations, &approve).expect(3);
    drop(waits);
    let shown = env.run(&["runs", "show", "last", "change"]).expect(0).stdout;
    let lines: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("protected: "))
        .collect();
    assert_eq!(
        lines,
        [
            "protected: .envrc — direnv executes it in a shell that enters its directory",
            "protected: tools/deep/.vscode — Visual Studio Code obeys it when the directory is opened: tasks and paths of programs",
            "protected: tools/deep/.vscode/tasks.json — Visual Studio Code obeys it when the directory is opened: tasks and paths of programs",
        ],
        "{shown}"
    );
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
    assert_eq!(
        std::fs::read_to_string(env.project().join(".envrc")).unwrap(),
        "mine\n"
    );
    assert!(!env.project().join("tools").exists());
}

#[test]
fn an_approval_does_not_cover_a_file_that_came_after_it_was_shown() {
    let env = project();
    env.write("plain/a.txt", "a\n");
    let operations = json!([{ "type": "delete_directory", "path": "plain" }]);
    drop(run(&env, &operations, &json!({ "requires_approval": true })).expect(3));
    env.write("plain/.envrc", "theirs\n");
    let again = env.run(&["answer", "last", "--approve"]).expect(3);
    assert!(again.stderr.contains("waits for approval"), "{again}");
    assert!(env.project().join("plain/.envrc").exists());
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
    assert!(!env.project().join("plain").exists());
}

#[test]
fn an_approval_of_a_component_covers_no_file_that_a_tool_obeys() {
    let env = project();
    let step = flow(&json!([create(".envrc")]), &json!({}))["elements"].clone();
    let whole = json!({ "schema_version": 1, "kind": "flow",
        "elements": [{ "subflow": "part", "requires_approval": true, "elements": step }] });
    env.write("flow.json", &whole.to_string());
    drop(env.run(&["run", "flow", "flow.json"]).expect(3));
    let failed = env.run(&["answer", "last", "--approve"]).expect(1);
    assert!(failed.stderr.contains("`.envrc` is protected"), "{failed}");
}

fn tool(more: &str) -> String {
    format!(
        "  - node: ask\n    type: ai_model_call\n    requires_approval: {}\n    settings: {{ models: [local/tiny], prompt: Do it., model_call_config: {{ tools: [{{ \
         name: files, node: file_operation{more} }}] }} }}\n",
        more.is_empty()
    )
}

fn change(scripted: &Scripted, path: &str) -> Value {
    json!({ "base_directory": scripted.env.project(), "operations": [create(path)] })
}

/// The last message that the model got.
async fn told(scripted: &Scripted) -> String {
    let asked = scripted.asked().await;
    let messages = asked.last().unwrap()["messages"].as_array().unwrap().clone();
    messages.last().unwrap()["content"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_learns_which_file_is_protected_even_if_its_step_was_approved() {
    let scripted = Scripted::new(Vec::new()).await;
    let arguments = change(&scripted, ".envrc");
    let scripted = scripted
        .again(vec![calls("files", &arguments), says("Done.")])
        .await;
    scripted.flow(&tool(""));
    drop(scripted.run(&[]).expect(3));
    drop(scripted.env.run(&["answer", "last", "--approve"]).expect(0));
    let told = told(&scripted).await;
    assert!(
        told.contains("`.envrc` is protected: direnv executes it") && told.contains("`allow_protected`"),
        "{told}"
    );
    assert!(!scripted.env.project().join(".envrc").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_a_call_covers_what_it_shows() {
    let scripted = Scripted::new(Vec::new()).await;
    let arguments = change(&scripted, ".envrc");
    let scripted = scripted
        .again(vec![calls("files", &arguments), says("Done.")])
        .await;
    scripted.flow(&tool(", requires_approval: true"));
    drop(scripted.run(&[]).expect(3));
    let shown = scripted
        .env
        .run(&["runs", "show", "last", "ask"])
        .expect(0)
        .stdout;
    assert!(
        shown.lines().any(|line| line.starts_with("protected: .envrc — ")),
        "{shown}"
    );
    drop(scripted.env.run(&["answer", "last", "--approve"]).expect(0));
    assert!(scripted.env.project().join(".envrc").exists());
}

// What no page names.

#[test]
fn a_directory_is_not_moved_to_where_what_is_in_it_is_obeyed() {
    let env = project();
    std::fs::remove_dir_all(env.project().join(".github")).unwrap();
    let operation = json!({ "type": "move_file", "source": "moved", "destination": ".github" });
    is_protected(&env, &operation, ".github/workflows");
    assert!(!env.project().join(".github").exists());
    assert!(env.project().join("moved/workflows/ci.yml").exists());
}

#[test]
fn a_name_in_letters_that_some_file_systems_take_for_others_is_protected() {
    let env = project();
    for path in [
        ".v\u{17f}code/tasks.json",
        ".cargo/con\u{fb01}g.toml",
        ".hu\u{17f}\u{212a}y/pre-commit",
        "VSCODE~1/tasks.json",
    ] {
        is_protected(&env, &create(path), path);
    }
}

#[test]
fn the_base_directory_does_not_hide_what_a_file_is() {
    let env = project();
    for (base, path) in [
        ("$var{project_root}/.github/workflows", "new.yml"),
        ("$var{project_root}/.github", "workflows/new.yml"),
        ("$var{project_root}/tools/deep/.vscode/..", ".vscode/tasks.json"),
    ] {
        let mut flow = flow(&json!([create(path)]), &json!({}));
        flow["elements"][0]["settings"]["base_directory"] = base.into();
        env.write("flow.json", &flow.to_string());
        let failed = env.run(&["run", "flow", "flow.json"]).expect(1);
        assert!(failed.stderr.contains("is protected"), "{base}: {failed}");
    }
    assert!(!env.project().join(".github/workflows/new.yml").exists());
}

#[test]
fn an_input_cannot_allow_what_the_definition_does_not() {
    let env = project();
    env.write(
        "flow.json",
        &flow(&json!([create("notes.txt")]), &json!({})).to_string(),
    );
    let input = json!({ "operations": [create(".mcp.json")] }).to_string();
    let failed = env
        .run(&["run", "flow", "flow.json", "--input", &format!("change={input}")])
        .expect(1);
    assert!(
        failed.stderr.contains("agents start the servers that it names"),
        "{failed}"
    );
    let input = json!({ "settings_override": { "allow_protected": ["**"] } }).to_string();
    let refused = env.run(&["run", "flow", "flow.json", "--input", &format!("change={input}")]);
    assert_ne!(refused.code, Some(0), "{refused}");
}

#[test]
fn a_directory_that_git_is_configured_to_take_hooks_from_is_protected() {
    let env = project();
    env.write(
        ".git/config",
        "[user]\n\tname = t\n[Core]\n\thookspath = tools/git\n",
    );
    for path in ["tools/git/pre-commit", "Tools/GIT/post-checkout"] {
        is_protected(&env, &create(path), path);
    }
    assert_eq!(refusal(&env, &create("tools/other"), &json!({})), None);
    for config in [
        "[core] hooksPath = tools/git",
        "[core]\n\thooksPath = \"tools/git\" # ours",
        "[core]\n\thooksPath = tools/git ; ours",
        "[core \"x\"]\n\thooksPath = tools/x\n[ core ]\n\thooksPath = \"tools\"/git",
    ] {
        env.write(".git/config", config);
        is_protected(&env, &create("tools/git/pre-commit"), "tools/git/pre-commit");
    }
}

#[test]
fn hooks_of_a_linked_working_tree_and_of_a_repository_around_the_project_are_protected() {
    let env = project();
    env.write(".git", "gitdir: ../repository/worktrees/a\n");
    let own = env.path("repository/worktrees/a");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("commondir"), "../..\n").unwrap();
    let config = "[core]\n\thooksPath = tools/git\n";
    std::fs::write(env.path("repository/config"), config).unwrap();
    is_protected(&env, &create("tools/git/pre-commit"), "tools/git/pre-commit");
    // The last word is that of the working tree itself.
    let config = "[core]\n\thooksPath = tools/own\n";
    std::fs::write(own.join("config.worktree"), config).unwrap();
    is_protected(&env, &create("tools/own/pre-commit"), "tools/own/pre-commit");

    let env = project();
    let around = env.path(".git");
    std::fs::create_dir_all(&around).unwrap();
    let config = "[core]\n\thooksPath = project/tools/git\n";
    std::fs::write(around.join("config"), config).unwrap();
    is_protected(&env, &create("tools/git/pre-commit"), "tools/git/pre-commit");
}
