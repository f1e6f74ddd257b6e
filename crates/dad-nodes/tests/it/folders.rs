use dad_nodes::{ContentReadMode, FolderAnalysisOperation, FolderAnalyzerSettings, FolderOperationType};
use serde_json::{Value, json};

use crate::{error, outcome, run};

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &[u8]| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("README.md", b"# Demo\n\nA tiny repo.\n");
    write("src/main.py", b"print('hello world')\n");
    write("src/data.bin", b"\x00\x01");
    write("target/out.txt", b"ignored");
    write(".gitignore", b"target/\n");
    write(".git/HEAD", b"ref: x");
    dir
}

async fn look(operation: FolderAnalysisOperation) -> Value {
    let (project, tree) = (tempfile::tempdir().unwrap(), tree());
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc", tree.path().join("src/outside")).unwrap();
    let base_directory = tree.path().to_string_lossy();
    let settings = FolderAnalyzerSettings::new([operation]).base_directory(base_directory);
    let report = run(settings, project.path()).await;
    match report.error {
        None => outcome(&report)["results"][0].clone(),
        Some(_) => json!({ "failed": error(&report).code }),
    }
}

fn of(operation_type: FolderOperationType, path: &str) -> FolderAnalysisOperation {
    FolderAnalysisOperation::new(operation_type).path(path)
}

#[tokio::test]
async fn a_folder_is_read_without_what_git_ignores() {
    let whole = of(FolderOperationType::AnalyzeFolder, ".")
        .content_read_mode(ContentReadMode::Full)
        .flat(true);
    let result = look(whole).await;
    let children = result["analysis"]["children"].as_array().unwrap();
    let names: Vec<&str> = children
        .iter()
        .filter_map(|child| child["path"].as_str())
        .collect();
    assert_eq!(names, ["README.md", "src/data.bin", "src/main.py", "src/outside"]);
    assert_eq!(children[0]["content"], "# Demo\n\nA tiny repo.\n");
    assert_eq!(children[1]["content_left_out"], "the file is not text");
    assert_eq!(
        children[3],
        json!({ "path": "src/outside", "symlink": true }),
        "reported, not followed"
    );
    assert_eq!(result["words_read"], 7);
}

#[tokio::test]
async fn words_are_limited_per_file_and_in_total() {
    let full = || of(FolderOperationType::AnalyzeFolder, ".").content_read_mode(ContentReadMode::Full);
    let result = look(full().max_words_per_file(2)).await;
    assert_eq!(result["analysis"]["children"][0]["content"], "# Demo");
    assert_eq!(result["analysis"]["children"][0]["truncated"], true);
    assert_eq!(look(full().max_total_words(6)).await["words_read"], 6);
}

#[tokio::test]
async fn files_are_found_drawn_and_read_alone() {
    let found = look(
        of(FolderOperationType::FindFiles, ".")
            .exclude_patterns(["*.bin"])
            .include_hidden(true),
    )
    .await;
    assert_eq!(
        found["files_found"],
        json!([".gitignore", "README.md", "src/main.py"])
    );
    let drawn = look(of(FolderOperationType::GetTreeDiagram, "src")).await;
    assert_eq!(
        drawn["tree_diagram"],
        "src\n├── data.bin\n├── main.py\n└── outside"
    );
    let read = look(of(FolderOperationType::AnalyzeFile, "src/main.py")).await;
    assert_eq!(
        read["file_info"],
        json!({ "path": "src/main.py", "content": "print('hello world')\n" })
    );
}

#[tokio::test]
async fn nothing_outside_is_looked_at() {
    for path in ["..", "/etc", "src/outside", "src/outside/passwd"] {
        let result = look(of(FolderOperationType::FindFiles, path)).await;
        assert_eq!(result, json!({ "failed": "outside" }), "{path}");
    }
    assert_eq!(
        look(of(FolderOperationType::AnalyzeFile, "missing")).await,
        json!({ "failed": "folder" })
    );
}
