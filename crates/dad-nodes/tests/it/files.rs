use std::path::Path;
use std::process::Command;

use dad_nodes::{FileEdit, FileOperation, FileOperationNode, FileOperationNodeSettings, FileOperationType};
use serde_json::json;

use crate::{error, outcome, run};

fn node(base: &Path, operations: Vec<FileOperation>) -> FileOperationNode {
    let base_directory = Some(base.to_string_lossy().into_owned());
    FileOperationNode {
        settings: FileOperationNodeSettings {
            base_directory,
            operations,
            ..Default::default()
        },
    }
}

fn create(path: &str, content: &str) -> FileOperation {
    FileOperation {
        path: Some(path.into()),
        content: Some(content.into()),
        ..Default::default()
    }
}

fn edit(path: &str, old_text: &str, new_text: &str) -> FileOperation {
    let edits = Some(vec![FileEdit {
        old_text: old_text.into(),
        new_text: new_text.into(),
    }]);
    let operation_type = FileOperationType::EditFile;
    FileOperation {
        operation_type,
        path: Some(path.into()),
        edits,
        ..Default::default()
    }
}

fn of(operation_type: FileOperationType, path: &str) -> FileOperation {
    FileOperation {
        operation_type,
        path: Some(path.into()),
        ..Default::default()
    }
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
    let move_file = FileOperation {
        operation_type: FileOperationType::MoveFile,
        source: Some("deep/new.txt".into()),
        destination: Some("deep/moved.txt".into()),
        ..Default::default()
    };
    let operations = vec![
        of(FileOperationType::CreateDirectory, "empty"),
        create("deep/new.txt", "hello\n"),
        edit("deep/new.txt", "hello", "hello, world"),
        move_file,
        edit("a.txt", "two", "2"),
        of(FileOperationType::DeleteFile, "gone.txt"),
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

    let again = run(
        node(tree.path(), vec![operations[4].clone(), operations[5].clone()]),
        project.path(),
    )
    .await;
    let results = outcome(&again)["results"].clone();
    assert!(
        results
            .as_array()
            .unwrap()
            .iter()
            .all(|result| result["unchanged"] == true),
        "{results}"
    );
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
            of(FileOperationType::CreateFile, "x"),
            "missing_field",
            "`content` is missing",
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
    let operation = FileOperation {
        dry_run: Some(true),
        ..create("a.txt", "new\n")
    };
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
        node.settings.stage = Some(true);
        node.settings.commit = Some(commit);
        node.settings.commit_message = Some("Change two".to_owned());
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
    let report = run(with(true, vec![edit("a.txt", "2", "zwei")]), project.path()).await;
    assert_eq!(report.error, None, "nothing to commit is no failure");
    assert_eq!(outcome(&report)["results"][0]["unchanged"], json!(true));
}
