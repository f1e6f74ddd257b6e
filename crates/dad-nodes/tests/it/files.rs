use std::path::Path;
use std::process::Command;

use dad_nodes::{FileEdit, FileOperation, FileOperationNode, FileOperationType, OnFailure, SearchConfig};
use serde_json::json;

use crate::{error, file, outcome, run};

fn node(base: &Path, operations: Vec<FileOperation>) -> FileOperationNode {
    FileOperationNode::new(operations).base_directory(base.to_string_lossy())
}

fn create(path: &str, content: &str) -> FileOperation {
    FileOperation::new(FileOperationType::CreateFile)
        .path(path)
        .content(content)
}

fn edit(path: &str, old_text: &str, new_text: &str) -> FileOperation {
    let operation = FileOperation::new(FileOperationType::EditFile).path(path);
    operation.edits([FileEdit::new(old_text, new_text)])
}

fn of(operation_type: FileOperationType, path: &str) -> FileOperation {
    FileOperation::new(operation_type).path(path)
}

/// Removes a file that may be missing.
fn delete_if_there(path: &str) -> FileOperation {
    of(FileOperationType::DeleteFile, path).missing_ok(true)
}

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.txt"), "one\ntwo\none\n").unwrap();
    dir
}

fn read(tree: &tempfile::TempDir, path: &str) -> String {
    std::fs::read_to_string(tree.path().join(path)).unwrap()
}

#[tokio::test]
async fn operations_build_on_each_other_and_a_repetition_changes_nothing() {
    let (project, tree) = (tempfile::tempdir().unwrap(), tree());
    let move_file = FileOperation::new(FileOperationType::MoveFile)
        .source("deep/new.txt")
        .destination("deep/moved.txt");
    let operations = vec![
        of(FileOperationType::CreateDirectory, "empty"),
        create("deep/new.txt", "hello\n"),
        edit("deep/new.txt", "hello", "hello, world"),
        move_file,
        edit("a.txt", "two", "2"),
        delete_if_there("gone.txt"),
    ];
    let report = run(node(tree.path(), operations.clone()), project.path()).await;
    assert_eq!(read(&tree, "deep/moved.txt"), "hello, world\n");
    assert_eq!(read(&tree, "a.txt"), "one\n2\none\n");
    assert!(tree.path().join("empty").is_dir() && !tree.path().join("deep/new.txt").exists());
    let diff = outcome(&report)["results"][4]["diff"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(diff.contains("-two\n+2\n"), "{diff}");

    // Without a record that says so, no edit is taken for made.
    let again = run(node(tree.path(), vec![operations[4].clone()]), project.path()).await;
    assert_eq!(error(&again).code, "edit_not_found");
    let gone = run(node(tree.path(), vec![operations[5].clone()]), project.path()).await;
    assert_eq!(outcome(&gone)["results"][0]["unchanged"], true);
}

#[tokio::test]
async fn all_operations_are_made_or_none() {
    let (project, tree) = (tempfile::tempdir().unwrap(), tree());
    let wrong = [
        (
            edit("a.txt", "three", "3"),
            "edit_not_found",
            "is not in the file",
        ),
        (
            edit("a.txt", "one", "1"),
            "edit_ambiguous",
            "2 times, at lines 1, 3",
        ),
        (edit("missing.txt", "x", "y"), "not_found", "does not exist"),
        (
            of(FileOperationType::SearchFiles, ".").search_config(SearchConfig::default()),
            "missing_field",
            "`search_config.pattern` is missing",
        ),
        (create("../out.txt", "x"), "outside", "leads out of"),
        (create("/etc/out.txt", "x"), "outside", "leads out of"),
        (
            create(".git/hooks/pre-commit", "x"),
            "outside",
            "the repository's own data",
        ),
    ];
    for (operation, code, message) in wrong {
        let report = run(
            node(tree.path(), vec![create("first.txt", "x"), operation]),
            project.path(),
        )
        .await;
        let failed = error(&report);
        assert_eq!(failed.code, code, "{}", failed.message);
        assert!(
            failed.message.starts_with("operation 2 (") && failed.message.contains(message),
            "{}",
            failed.message
        );
        assert!(!tree.path().join("first.txt").exists(), "nothing was changed");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_not_followed() {
    let (project, tree, outside) = (tempfile::tempdir().unwrap(), tree(), tree());
    std::os::unix::fs::symlink(outside.path(), tree.path().join("dir")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("a.txt"), tree.path().join("link.txt")).unwrap();
    for operation in [
        create("dir/new.txt", "x"),
        create("link.txt", "x"),
        edit("link.txt", "two", "2"),
    ] {
        let report = run(node(tree.path(), vec![operation]), project.path()).await;
        assert!(report.error.is_some());
    }
    assert_eq!(read(&outside, "a.txt"), "one\ntwo\none\n");
    assert!(!outside.path().join("new.txt").exists());
}

#[tokio::test]
async fn a_dry_run_only_shows() {
    let (project, tree) = (tempfile::tempdir().unwrap(), tree());
    let operation = create("a.txt", "new\n").dry_run(true);
    let report = run(node(tree.path(), vec![operation]), project.path()).await;
    assert_eq!(outcome(&report)["results"][0]["dry_run"], true);
    assert_eq!(read(&tree, "a.txt"), "one\ntwo\none\n");
}

#[tokio::test]
async fn touched_files_and_nothing_else_are_staged_and_committed() {
    let git = |dir: &Path, arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
        Command::new("git")
            .args(identity)
            .args(arguments)
            .current_dir(dir)
            .output()
    };
    let (project, tree) = (tempfile::tempdir().unwrap(), tree());
    let Ok(_) = git(tree.path(), &["init", "--quiet"]) else {
        assert!(
            std::env::var_os("DHENARA_REQUIRE_TOOLS").is_none(),
            "git is required"
        );
        println!("skipped: git not found");
        return;
    };
    git(tree.path(), &["config", "user.name", "t"]).unwrap();
    git(tree.path(), &["config", "user.email", "t@localhost"]).unwrap();
    std::fs::write(tree.path().join("other.txt"), "mine").unwrap();
    let with = |commit: bool, operations: Vec<FileOperation>| {
        let mut node = node(tree.path(), operations);
        node.stage = Some(true);
        node.commit = Some(commit);
        node.commit_message = Some("Change two".to_owned());
        node
    };
    let report = run(
        with(false, vec![edit("a.txt", "two", "2"), create("b c.txt", "b")]),
        project.path(),
    )
    .await;
    assert_eq!(report.error, None);
    let staged = git(tree.path(), &["diff", "--cached", "--name-only"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&staged.stdout), "a.txt\nb c.txt\n");
    let report = run(with(true, vec![edit("a.txt", "2", "zwei")]), project.path()).await;
    assert_eq!(report.error, None);
    let shown = git(tree.path(), &["show", "--name-only", "--format=%s"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "Change two\n\na.txt\n");
    // A user's unfinished work is not committed because the file is as it was to be.
    std::fs::write(tree.path().join("a.txt"), "half done").unwrap();
    let report = run(with(true, vec![create("a.txt", "half done")]), project.path()).await;
    assert_eq!(report.error, None, "nothing to commit is no failure");
    assert_eq!(outcome(&report)["results"][0]["unchanged"], json!(true));
    assert_eq!(outcome(&report)["git"], json!({ "staged": [] }));
    let there_and_back = vec![edit("a.txt", "half", "all"), edit("a.txt", "all", "half")];
    let report = run(with(true, there_and_back), project.path()).await;
    assert_eq!(report.error, None);
    assert_eq!(outcome(&report)["git"], json!({ "staged": [] }));
    let status = git(tree.path(), &["status", "--porcelain"]).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&status.stdout),
        " M a.txt\nA  \"b c.txt\"\n?? other.txt\n"
    );
}

#[tokio::test]
async fn what_git_ignores_is_reported_and_what_came_and_went_is_no_failure() {
    let (project, tree) = (tempfile::tempdir().unwrap(), tree());
    let git = |arguments: &[&str]| {
        Command::new("git")
            .args(arguments)
            .current_dir(tree.path())
            .output()
    };
    if git(&["init", "--quiet"]).is_err() {
        return;
    }
    std::fs::write(tree.path().join(".gitignore"), "*.log\n").unwrap();
    let operations = vec![
        create("new.txt", "x"),
        create("a.log", "x"),
        create("gone.txt", "x"),
        of(FileOperationType::DeleteFile, "gone.txt"),
        delete_if_there("never.txt"),
        of(FileOperationType::CreateDirectory, "dir"),
    ];
    let mut node = node(tree.path(), operations);
    node.stage = Some(true);
    let report = run(node, project.path()).await;
    assert_eq!(report.error, None);
    assert_eq!(
        outcome(&report)["git"],
        json!({ "staged": ["new.txt"], "ignored": ["a.log"] })
    );
}

#[tokio::test]
async fn directories_are_removed_moved_and_searched() {
    let (project, tree) = (tempfile::tempdir().unwrap(), tree());
    std::fs::create_dir_all(tree.path().join("old/deep/empty")).unwrap();
    std::fs::write(tree.path().join("old/deep/One.txt"), "1").unwrap();
    std::fs::write(tree.path().join("old/two.rs"), "2").unwrap();
    let search = |pattern: &str, exclude: &[&str]| {
        FileOperation::new(FileOperationType::SearchFiles)
            .search_config(SearchConfig::new(pattern).exclude_patterns(exclude.iter().copied()))
    };
    let operations = vec![
        FileOperation::new(FileOperationType::MoveFile)
            .source("old/deep")
            .destination("new/place"),
        of(FileOperationType::DeleteDirectory, "old"),
        create("old2/x.txt", "x"),
        search("one", &[]),
        search("**/*.txt", &["old2/"]),
        of(FileOperationType::ListDirectory, "new"),
        of(FileOperationType::GetFileInfo, "new/place/One.txt"),
        FileOperation::new(FileOperationType::ListAllowedDirectories),
        FileOperation::new(FileOperationType::DeleteFile).paths(["a.txt", "old2/x.txt"]),
    ];
    let report = run(node(tree.path(), operations), project.path()).await;
    assert_eq!(report.error, None);
    assert!(!tree.path().join("old").exists());
    assert_eq!(read(&tree, "new/place/One.txt"), "1");
    assert!(tree.path().join("new/place/empty").is_dir() && !tree.path().join("a.txt").exists());
    let results = outcome(&report)["results"].clone();
    assert_eq!(results[3]["matches"], json!(["new/place/One.txt"]));
    assert_eq!(results[4]["matches"], json!(["a.txt", "new/place/One.txt"]));
    assert_eq!(
        results[5]["entries"],
        json!([{ "name": "place", "kind": "directory" }])
    );
    assert_eq!(results[6]["info"], json!({ "kind": "file", "size": 1 }));
    assert_eq!(
        results[7]["directories"],
        json!([tree.path().canonicalize().unwrap()])
    );
    assert_eq!(results.as_array().unwrap().len(), 10, "one for each of `paths`");
}

#[tokio::test]
async fn what_can_be_made_is_kept_where_that_is_asked_for() {
    let (project, tree) = (tempfile::tempdir().unwrap(), tree());
    let operations = vec![
        create("first.txt", "x"),
        edit("a.txt", "three", "3"),
        create("last.txt", "x"),
    ];
    let with = |fail_fast| {
        let mut node = node(tree.path(), operations.clone());
        node.on_failure = Some(OnFailure::Keep);
        node.fail_fast = Some(fail_fast);
        node
    };
    let report = run(with(true), project.path()).await;
    assert_eq!(error(&report).code, "edit_not_found");
    assert!(tree.path().join("first.txt").exists() && !tree.path().join("last.txt").exists());
    let report = run(with(false), project.path()).await;
    assert_eq!(error(&report).code, "edit_not_found");
    assert!(tree.path().join("last.txt").exists());
    let results = outcome(&report)["results"].clone();
    assert_eq!(results[1]["success"], false);
    assert!(
        results[1]["error"]
            .as_str()
            .unwrap()
            .contains("is not in the file")
    );
    let mut all = node(
        tree.path(),
        vec![edit("x", "a", "b"), edit("a.txt", "four", "4"), create("y", "y")],
    );
    all.base_directory = Some(tree.path().display().to_string());
    let report = run(all, project.path()).await;
    assert!(
        error(&report).message.ends_with("; and 1 more failed"),
        "{}",
        error(&report).message
    );
    assert_eq!(
        outcome(&report)["results"][2]["error"],
        "not made, because another operation failed"
    );
}

#[tokio::test]
async fn absolute_paths_reach_the_directories_that_are_allowed() {
    let (project, tree, other) = (tempfile::tempdir().unwrap(), tree(), tree());
    let absolute = other.path().join("b.txt");
    let operations = vec![create(absolute.to_str().unwrap(), "b"), create("c.txt", "c")];
    let with = |relative| {
        let mut node = node(tree.path(), operations.clone());
        node.allowed_directories = vec![other.path().display().to_string()];
        node.use_relative_paths = Some(relative);
        node
    };
    assert_eq!(error(&run(with(true), project.path()).await).code, "outside");
    assert_eq!(run(with(false), project.path()).await.error, None);
    assert_eq!(
        (read(&other, "b.txt"), read(&tree, "c.txt")),
        ("b".to_owned(), "c".to_owned())
    );
}

#[cfg(unix)]
#[tokio::test]
async fn permissions_and_hard_links_survive_as_they_should() {
    use std::os::unix::fs::PermissionsExt;
    let (project, tree, outside) = (tempfile::tempdir().unwrap(), tree(), tree());
    let script = tree.path().join("run.sh");
    std::fs::write(&script, "one\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o750)).unwrap();
    std::fs::hard_link(outside.path().join("a.txt"), tree.path().join("hard.txt")).unwrap();
    let operations = vec![edit("run.sh", "one", "two"), create("hard.txt", "changed")];
    assert_eq!(
        run(node(tree.path(), operations), project.path()).await.error,
        None
    );
    assert_eq!(
        std::fs::metadata(&script).unwrap().permissions().mode() & 0o777,
        0o750
    );
    assert_eq!(read(&tree, "hard.txt"), "changed");
    assert_eq!(
        read(&outside, "a.txt"),
        "one\ntwo\none\n",
        "the other name keeps its content"
    );
}

#[tokio::test]
async fn steps_that_change_one_directory_wait_for_each_other() {
    let (project, tree) = (tempfile::tempdir().unwrap(), tree());
    let lock = dad_fs::Dir::open(tree.path())
        .unwrap()
        .lock_directory()
        .unwrap()
        .unwrap();
    let began = std::time::Instant::now();
    let changing = run(node(tree.path(), vec![create("b.txt", "b")]), project.path());
    let releasing = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(!tree.path().join("b.txt").exists());
        drop(lock);
    };
    let (report, ()) = tokio::join!(changing, releasing);
    assert_eq!(report.error, None);
    assert!(began.elapsed() >= std::time::Duration::from_millis(300));
    let names: Vec<_> = std::fs::read_dir(tree.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "no lock file is left: {names:?}");
}

#[tokio::test]
async fn a_change_that_cannot_be_finished_is_taken_back() {
    let (project, tree) = (tempfile::tempdir().unwrap(), tree());
    // The second of the two cannot be renamed into place: its directory is removed by a fault of the file system.
    let fail_at = |n: u64| {
        struct At(u64, std::sync::atomic::AtomicU64);
        impl dad_fs::FaultInjector for At {
            fn before(&self, operation: &dad_fs::Operation<'_>) -> Result<(), dad_fs::Fault> {
                let is_target = operation.name == "replace" && !operation.path.ends_with("plan.json");
                let in_tree = !operation.path.to_string_lossy().contains("/runs/");
                if is_target && in_tree && self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == self.0
                {
                    return Err(std::io::Error::from_raw_os_error(28).into());
                }
                Ok(())
            }
        }
        dad_fs::Gate::with_faults(At(n, std::sync::atomic::AtomicU64::new(0)))
    };
    let operations = vec![
        edit("a.txt", "two", "2"),
        create("new/b.txt", "b"),
        create("c.txt", "c"),
    ];
    let flow = dad_definition::FlowBuilder::new()
        .node("step", node(tree.path(), operations))
        .build()
        .unwrap();
    let context = dad_run::RunContext::builder("flow", project.path())
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(dad_nodes::builtin_nodes())
        .gate(fail_at(2));
    let ended = dad_runner::FlowRunner::new(flow, context.build().unwrap())
        .run()
        .await;
    let report = ended.unwrap_err().report().unwrap().clone();
    let failed = error(&report);
    assert!(
        failed.message.ends_with("the changes before it were taken back"),
        "{}",
        failed.message
    );
    assert_eq!(read(&tree, "a.txt"), "one\ntwo\none\n");
    let names: Vec<_> = std::fs::read_dir(tree.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["a.txt"], "also directories");
    assert!(file(&report, "file_changes/taken_back.json").contains("a.txt"));
    drop(dad_tests::validate_run_dir(&report.run_dir));
}

/// Lets nothing be changed in a directory any more, after so many replacements there.
struct DeadAfter(u64, std::path::PathBuf, std::sync::atomic::AtomicU64);

impl dad_fs::FaultInjector for DeadAfter {
    fn before(&self, operation: &dad_fs::Operation<'_>) -> Result<(), dad_fs::Fault> {
        if !operation.path.starts_with(&self.1) {
            return Ok(());
        }
        let made = self.2.load(std::sync::atomic::Ordering::Relaxed);
        if made >= self.0 {
            return Err(std::io::Error::from_raw_os_error(5).into());
        }
        let is_made = u64::from(operation.name == "replace");
        self.2.fetch_add(is_made, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn contents_with_secrets_are_not_kept_and_computed_again() {
    const SECRET: &str = "hush-hush-hush";
    for made in 0..3 {
        let (project, tree) = (tempfile::tempdir().unwrap(), tree());
        for file in ["one.env", "two.env"] {
            std::fs::write(tree.path().join(file), format!("KEY={SECRET}\nold\n")).unwrap();
        }
        let operations = vec![
            edit("one.env", "old", "new"),
            edit("two.env", "old", "new"),
            create("z.txt", "z"),
        ];
        let flow = dad_definition::FlowBuilder::new()
            .node("step", node(tree.path(), operations))
            .build()
            .unwrap();
        let context = |gate| {
            let secrets = dad_core::SecretRegistry::new();
            assert!(secrets.add(SECRET));
            let context = dad_run::RunContext::builder("flow", project.path())
                .origin_key(dad_tests::origin_key())
                .nodes(dad_nodes::builtin_nodes());
            context.secrets(secrets).gate(gate).build().unwrap()
        };
        let real = tree.path().canonicalize().unwrap();
        let dead = dad_fs::Gate::with_faults(DeadAfter(made, real, std::sync::atomic::AtomicU64::new(0)));
        let failed = dad_runner::FlowRunner::new(flow.clone(), context(dead))
            .run()
            .await
            .unwrap_err();
        let run_dir = failed.report().unwrap().run_dir.clone();
        assert_eq!(read(&tree, "two.env").contains("new"), made > 1);
        let run = context(dad_fs::Gate::default())
            .resume_run(&run_dir, &flow)
            .unwrap();
        let report = dad_runner::FlowRunner::within(&flow, &run).run().await.unwrap();
        run.seal(report.status.try_into().unwrap(), None).await.unwrap();
        for file in ["one.env", "two.env"] {
            assert_eq!(read(&tree, file), format!("KEY={SECRET}\nnew\n"));
        }
        assert_eq!(read(&tree, "z.txt"), "z");
        let results = outcome(&report)["results"].clone();
        let unchanged: Vec<bool> = (0..3).map(|index| results[index]["unchanged"] == true).collect();
        assert_eq!(unchanged, [made > 0, made > 1, false], "{results}");
        assert!(file(&report, "file_changes/plan.json").contains("withheld"));
        let mut open = vec![run_dir];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    assert!(
                        !String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(SECRET),
                        "{}",
                        path.display()
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn only_a_record_makes_a_change_be_taken_for_made() {
    let (project, tree) = (tempfile::tempdir().unwrap(), tree());
    std::fs::write(tree.path().join("c.toml"), "debug = true\nverbose = false\n").unwrap();
    let move_file = |source: &str, destination: &str| {
        FileOperation::new(FileOperationType::MoveFile)
            .source(source)
            .destination(destination)
    };
    for (operation, code) in [
        (
            edit("c.toml", "silent = true", "verbose = false"),
            "edit_not_found",
        ),
        (
            edit("c.toml", "debug = true  # x", "debug = true"),
            "edit_not_found",
        ),
        (move_file("wrong.txt", "a.txt"), "not_found"),
        (move_file("wrong.txt", "nowhere.txt"), "not_found"),
    ] {
        let report = run(node(tree.path(), vec![operation]), project.path()).await;
        assert_eq!(error(&report).code, code);
    }
    let several = edit("c.toml", "", "").edits([
        FileEdit::new("debug = true", "debug = 0"),
        FileEdit::new("silent = true", "verbose = false"),
    ]);
    let report = run(node(tree.path(), vec![several]), project.path()).await;
    assert_eq!(error(&report).code, "edit_not_found");
    assert_eq!(read(&tree, "c.toml"), "debug = true\nverbose = false\n");

    // The run before says that it made them; of what it did not make it says nothing.
    let operations = vec![
        edit("c.toml", "debug = true", "debug = 0"),
        move_file("a.txt", "b.txt"),
    ];
    let flow = |operations: Vec<FileOperation>| {
        dad_definition::FlowBuilder::new()
            .node("step", node(tree.path(), operations))
            .build()
            .unwrap()
    };
    let rerun = async |operations: Vec<FileOperation>, previous: Option<&str>| {
        let mut context = dad_run::RunContext::builder("flow", project.path())
            .unmasked()
            .origin_key(dad_tests::origin_key())
            .nodes(dad_nodes::builtin_nodes());
        if let Some(previous) = previous {
            context = context.previous_run_id(previous).start_hierarchy_path("step");
        }
        let ran = dad_runner::FlowRunner::new(flow(operations), context.build().unwrap()).run();
        match ran.await {
            Ok(report) => report,
            Err(error) => error.report().unwrap().clone(),
        }
    };
    let first = rerun(operations.clone(), None).await;
    assert_eq!(first.error, None);
    let id = first.run_id.to_string();
    let again = rerun(operations.clone(), Some(&id)).await;
    assert_eq!(again.error, None);
    let results = outcome(&again)["results"].clone();
    assert!(
        results[0]["unchanged"] == true && results[1]["unchanged"] == true,
        "{results}"
    );
    let other = edit("c.toml", "silent = true", "verbose = false");
    let more = rerun(vec![operations[0].clone(), other], Some(&id)).await;
    let refused = error(&more);
    assert_eq!(refused.code, "edit_not_found");
    assert!(refused.message.contains("operation 2"), "{}", refused.message);
}
