//! The folder analyzer alone: modes, limits, languages, and what is not as it should be.

use std::path::Path;

use dad_nodes::{FolderAnalyzerSettings, analyze_folders};
use dad_runner::Stop;
use serde_json::{Value, json};

fn analyze(base: &Path, settings: impl Into<Value>) -> Value {
    let settings: FolderAnalyzerSettings = serde_json::from_value(settings.into()).unwrap();
    match analyze_folders(base, &settings, &Stop::default()) {
        Ok(output) => json!({ "outcome": output.outcome, "data": output.output.unwrap()["data"] }),
        Err(error) => json!({
            "failed": { "code": error.info.code, "message": error.info.message },
            "outcome": error.partial.outcome,
        }),
    }
}

/// The result of one operation, without what differs from place to place.
fn one(base: &Path, operation: impl Into<Value>) -> Value {
    let all = analyze(base, json!({ "operations": [operation.into()] }));
    assert!(all.get("failed").is_none(), "{all:#}");
    all["outcome"]["results"][0].clone()
}

/// An operation with more settings.
fn with(mut operation: Value, more: Value) -> Value {
    if let (Value::Object(all), Value::Object(more)) = (&mut operation, more) {
        all.extend(more);
    }
    operation
}

fn write(base: &Path, path: &str, text: impl AsRef<[u8]>) {
    let path = base.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn sources() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sources");
    for entry in std::fs::read_dir(samples).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

/// A repository with everything that may stand in one.
fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    write(base, "README.md", "# Demo\n\nA tiny repo.\n");
    write(base, "src/main.py", "print('hello')\n");
    write(base, "src/deep/er/still.py", "x = 1\n");
    write(base, "src/data.bin", b"\x00\x01");
    write(base, ".gitignore", "target/\n*.log\n!keep.log\n");
    write(base, "src/.gitignore", "*.tmp\n");
    write(base, ".git/HEAD", "ref: x");
    write(base, ".git/info/exclude", "private.txt\n");
    write(base, "private.txt", "mine");
    write(base, "a.log", "no");
    write(base, "keep.log", "yes");
    write(base, "src/b.tmp", "no");
    write(base, "target/out.txt", "no");
    write(base, ".env.example", "A=1\n");
    dir
}

#[test]
fn the_rules_of_a_repository_hold_in_its_linked_working_trees_and_submodules() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    write(base, "main/.git/HEAD", "ref: refs/heads/main");
    write(base, "main/.git/info/exclude", "private.txt\n");
    write(base, "main/.git/worktrees/linked/HEAD", "ref: refs/heads/side");
    write(base, "main/.git/worktrees/linked/commondir", "../..\n");
    let link = base.join("main/.git/worktrees/linked");
    write(base, "linked/.git", format!("gitdir: {}\n", link.display()));
    write(base, "main/.git/modules/sub/HEAD", "ref: refs/heads/main");
    write(base, "main/.git/modules/sub/info/exclude", "private.txt\n");
    write(base, "main/sub/.git", "gitdir: ../.git/modules/sub\n");
    for tree in ["linked", "main/sub"] {
        write(base, &format!("{tree}/private.txt"), "mine");
        write(base, &format!("{tree}/public.txt"), "ours");
        let found = one(&base.join(tree), json!({ "operation_type": "find_files" }));
        assert_eq!(found["files_found"], json!(["public.txt"]), "{tree}");
    }
}

#[test]
fn braces_in_rules_stand_for_themselves_as_git_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let rules = "*.py{}\n{one,two}.txt\n\\{three}\n[{]four\n";
    write(dir.path(), ".gitignore", rules);
    for name in [
        "a.py",
        "a.py{}",
        "one.txt",
        "{one,two}.txt",
        "{three}",
        "{four",
        "four",
    ] {
        write(dir.path(), name, "");
    }
    let found = one(dir.path(), json!({ "operation_type": "find_files" }));
    assert_eq!(found["files_found"], json!(["a.py", "four", "one.txt"]));
}

/// Each text of `field`, under the name of its file.
fn texts(result: &Value, field: &str) -> String {
    let children = result["analysis"]["children"].as_array().unwrap();
    let part = |child: &Value| {
        let text = child[field]
            .as_str()
            .or(child["content"].as_str())
            .unwrap_or("(none)");
        format!("==== {}\n{text}", child["path"].as_str().unwrap())
    };
    children.iter().map(part).collect::<Vec<_>>().join("\n")
}

#[test]
fn outlines_tell_as_much_as_asked_for() {
    let dir = sources();
    for level in ["basic", "standard", "detailed", "full"] {
        let operation = json!({
            "operation_type": "analyze_folder",
            "content_read_mode": "structure",
            "content_structure_detail_level": level,
        });
        let result = one(dir.path(), operation);
        insta::assert_snapshot!(format!("outline_{level}"), texts(&result, "content_structure"));
    }
}

#[test]
fn a_file_that_is_of_another_language_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "no.py", "((((( this is % not $$ it )\n");
    write(dir.path(), "half.py", "def f(): pass\n((((\n");
    write(dir.path(), "empty.py", "");
    let operation = json!({ "operation_type": "analyze_folder", "content_read_mode": "structure" });
    let result = one(dir.path(), operation);
    assert_eq!(
        result["errors"],
        json!(["no.py: the file is not of the language that its name says"])
    );
}

#[test]
fn contents_are_stripped_by_their_trees() {
    let dir = sources();
    for exclusions in [
        &["comments"][..],
        &["doc_strings"],
        &["comments", "doc_strings", "blank_lines"],
    ] {
        let operation = json!({
            "operation_type": "analyze_folder",
            "content_read_mode": "full",
            "content_exclusions": exclusions,
        });
        let result = one(dir.path(), operation);
        insta::assert_snapshot!(
            format!("without_{}", exclusions.join("_")),
            texts(&result, "content")
        );
    }
}

#[test]
fn a_tree_is_reported_in_the_shapes_of_the_original() {
    let dir = tree();
    let operation = json!({
        "operation_type": "analyze_folder", "content_read_mode": "preview", "include_primary_meta": true,
        "generate_tree_diagram": true,
    });
    let mut whole = one(dir.path(), operation);
    let drawn = whole["tree_diagram"].as_str().unwrap();
    whole["tree_diagram"] = drawn.split_once('\n').unwrap().1.into();
    insta::assert_json_snapshot!("analyze_folder", whole);
    let operation = json!({ "operation_type": "get_structure", "path": "src" });
    insta::assert_json_snapshot!("get_structure", one(dir.path(), operation));
    let operation = json!({ "operation_type": "analyze_folder", "path": ["src/deep", "README.md"], "content_read_mode": "full" });
    insta::assert_json_snapshot!("several_paths", one(dir.path(), operation));
    let data = analyze(
        dir.path(),
        json!({ "operations": [
        { "operation_type": "analyze_folder", "include_primary_meta": true },
        { "operation_type": "find_files", "path": ["src", "nowhere"] },
    ], "fail_fast": false }),
    );
    let mut data = data["data"].clone();
    assert_eq!(
        data["base_directory"],
        dir.path().canonicalize().unwrap().to_string_lossy().as_ref()
    );
    data["base_directory"] = "[base]".into();
    data["errors"] = json!(data["errors"].as_array().unwrap().len());
    insta::assert_json_snapshot!("output_data", data);
}

#[test]
fn what_is_left_out_is_decided_as_git_does() {
    let dir = tree();
    let find = |more: Value| {
        let operation = with(json!({ "operation_type": "find_files" }), more);
        one(dir.path(), operation)["files_found"].clone()
    };
    let seen = [
        "README.md",
        "keep.log",
        "src/data.bin",
        "src/deep/er/still.py",
        "src/main.py",
    ];
    assert_eq!(find(json!({})), json!(seen));
    assert_eq!(
        find(json!({ "path": "src", "max_depth": 0 })),
        json!(["src/data.bin", "src/main.py"])
    );
    assert_eq!(
        find(json!({ "path": "src", "max_depth": 2 }))[1],
        "src/deep/er/still.py"
    );
    assert_eq!(
        find(json!({ "exclude_patterns": ["*.py", "/README.md"] })),
        json!(["keep.log", "src/data.bin"])
    );
    assert_eq!(find(json!({ "include_hidden": true }))[0], ".env.example");
    let all = find(json!({ "respect_gitignore": false }));
    assert_eq!(all.as_array().unwrap().len(), 9, "{all}");
    write(dir.path(), "rules/mine", "*.md\nsrc/deep/\n");
    let fewer = find(json!({ "additional_gitignore_paths": ["rules/mine"] }));
    assert_eq!(
        fewer,
        json!(["keep.log", "rules/mine", "src/data.bin", "src/main.py"])
    );
    let missing =
        json!({ "operations": [{ "operation_type": "find_files", "additional_gitignore_paths": ["none"] }] });
    assert_eq!(analyze(dir.path(), missing)["failed"]["code"], "folder");
}

#[test]
fn paths_are_reported_as_asked_for() {
    let dir = tree();
    let base = dir.path().canonicalize().unwrap();
    let name = base.file_name().unwrap().to_str().unwrap();
    let found = one(
        &base,
        json!({ "operation_type": "find_files", "path": "src/deep", "include_root_in_path": true }),
    );
    assert_eq!(
        found["files_found"],
        json!([format!("{name}/src/deep/er/still.py")])
    );
    let absolute = json!({
        "use_relative_paths": false,
        "operations": [{ "operation_type": "analyze_folder", "path": "src/deep/er" }],
    });
    let path = base.join("src/deep/er/still.py");
    let tree = analyze(&base, absolute)["outcome"]["results"][0]["analysis"].clone();
    assert_eq!(tree["children"][0]["path"], path.to_str().unwrap());
}

#[test]
fn allowed_directories_stand_in_place_of_the_base() {
    let (dir, other) = (tree(), tempfile::tempdir().unwrap());
    write(other.path(), "file.txt", "there");
    let look = |path: &str| {
        analyze(
            dir.path(),
            json!({
                "allowed_directories": ["src", other.path()],
                "operations": [{ "operation_type": "find_files", "path": path }],
            }),
        )
    };
    assert_eq!(
        look("src/deep")["outcome"]["results"][0]["files_found"],
        json!(["src/deep/er/still.py"])
    );
    assert_eq!(look("README.md")["failed"]["code"], "outside");
    let elsewhere = look(other.path().to_str().unwrap());
    let file = other.path().canonicalize().unwrap().join("file.txt");
    assert_eq!(elsewhere["outcome"]["results"][0]["files_found"], json!([file]));
}

#[test]
fn drawings_have_limits_of_their_own() {
    let dir = tree();
    let draw = |more: Value| {
        let operation = with(
            json!({ "operation_type": "get_tree_diagram", "path": "src" }),
            more,
        );
        one(dir.path(), operation)["tree_diagram"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        draw(json!({})),
        "src\n├── data.bin\n├── deep\n│   └── er\n│       └── still.py\n└── main.py"
    );
    assert_eq!(
        draw(json!({ "max_depth": 1 })),
        "src\n├── data.bin\n├── deep\n└── main.py"
    );
    assert_eq!(
        draw(json!({ "tree_diagram_max_depth": 2, "tree_diagram_include_files": false })),
        "src\n└── deep\n    └── er"
    );
}

#[test]
fn words_and_sizes_are_limited() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.txt", "one two  three\nfour é\u{a0}six\n");
    write(dir.path(), "b.txt", "x".repeat(2000));
    write(dir.path(), "c.txt", "l1\nl2\nl3\nl4\nl5\nl6\n");
    let read = |more: Value| {
        let operation = with(
            json!({ "operation_type": "analyze_folder", "content_read_mode": "full" }),
            more,
        );
        one(dir.path(), operation)
    };
    let result =
        read(json!({ "max_file_size": 1999, "include_primary_meta": true, "max_words_per_file": 5 }));
    let children = &result["analysis"]["children"];
    assert_eq!(children[0]["content"], "one two  three\nfour é");
    assert_eq!(
        (&children[0]["truncated"], &children[0]["word_count"]),
        (&json!(true), &json!(6))
    );
    assert_eq!(
        children[1]["content_left_out"],
        "2000 bytes are more than `max_file_size` 1999"
    );
    assert_eq!(result["words_read"], 10);
    let result = read(json!({ "max_total_words": 6 }));
    let children = &result["analysis"]["children"];
    assert_eq!(children[0].get("truncated"), None);
    assert_eq!(
        children[2]["content_left_out"],
        "the 6 words of `max_total_words` are used up"
    );
    let result = read(json!({ "content_read_mode": "preview" }));
    assert_eq!(
        result["analysis"]["children"][2]["content_preview"],
        "l1\nl2\nl3\nl4\nl5\n"
    );
    let stats = read(json!({ "content_read_mode": "none", "include_stats_and_meta": true }));
    let metadata = &stats["analysis"]["children"][1]["metadata"];
    assert_eq!(
        (&metadata["size"], &metadata["is_file"]),
        (&json!(2000), &json!(true))
    );
    assert!(
        metadata["modified"].as_str().unwrap().ends_with('Z'),
        "{metadata}"
    );
    // A word that goes over the end of what is read at once, and a character that does.
    write(
        dir.path(),
        "d.txt",
        format!("{} {}é\u{a0}z", "y".repeat(65_530), "w".repeat(4)),
    );
    let counted = read(json!({ "content_read_mode": "none", "include_primary_meta": true }));
    let words = 65_530_usize.div_ceil(64) + 2;
    assert_eq!(counted["analysis"]["children"][3]["word_count"], words);
}

#[test]
fn a_tree_deeper_than_a_result_can_be_is_cut_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let deep: String = vec!["d"; 120].join("/");
    write(dir.path(), &format!("{deep}/file.txt"), "there");
    let nested = one(dir.path(), json!({ "operation_type": "analyze_folder" }));
    let text = serde_json::to_string(&json!({ "outcome": { "results": [nested] } })).unwrap();
    assert!(text.contains("\"truncated\":true"));
    serde_json::from_str::<Value>(&text).expect("what is written can be read");
    let flat = one(
        dir.path(),
        json!({ "operation_type": "analyze_folder", "flat": true }),
    );
    assert_eq!(flat["analysis"]["children"].as_array().unwrap().len(), 1);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_reported_and_never_opened() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write(dir.path(), "file.txt", "there");
    std::os::unix::fs::symlink("/etc/passwd", at("out")).unwrap();
    std::os::unix::fs::symlink(".", at("loop")).unwrap();
    for pipe in ["pipe", ".gitignore"] {
        assert!(
            std::process::Command::new("mkfifo")
                .arg(at(pipe))
                .status()
                .unwrap()
                .success()
        );
    }
    let name = std::ffi::OsStr::from_bytes(b"n\xff.txt");
    std::fs::write(dir.path().join(name), "odd").unwrap();
    write(dir.path(), "latin.txt", b"caf\xe9");
    let operation = json!({ "operation_type": "analyze_folder", "content_read_mode": "full", "include_primary_meta": true });
    let mut result = one(dir.path(), operation);
    let place = dir.path().canonicalize().unwrap();
    let errors = result["errors"]
        .to_string()
        .replace(place.to_str().unwrap(), "[base]");
    result["errors"] = serde_json::from_str(&errors).unwrap();
    result["analysis"]["errors"] = result["errors"].clone();
    insta::assert_json_snapshot!("what_is_no_file", result);
    for path in ["pipe", "out", "/dev/zero"] {
        let file = json!({ "operations": [{ "operation_type": "analyze_file", "path": path }] });
        let failed = analyze(dir.path(), file)["failed"]["code"].clone();
        assert!(failed == "not_a_file" || failed == "outside", "{path}: {failed}");
    }
}

#[test]
fn an_analysis_can_be_stopped() {
    let dir = tree();
    let settings =
        serde_json::from_value(json!({ "operations": [{ "operation_type": "find_files" }] })).unwrap();
    let stop = Stop::default();
    stop.set();
    let stop = Stop::default();
    stop.set();
    let error = analyze_folders(dir.path(), &settings, &stop).unwrap_err();
    assert_eq!(error.info.code, "cancelled");
}

/// The walk is ours, because it must not be led outside while others change the tree; what it finds is what the walk of
/// the `ignore` crate finds.
#[test]
fn the_walk_agrees_with_that_of_the_library() {
    use proptest::prelude::*;
    let names = || prop::sample::select(vec!["a", "b", "src", ".h", "x.log", "keep.log", "t.py"]);
    let rules = || {
        let rule = prop::sample::select(vec![
            "*.log",
            "!keep.log",
            "src/",
            "/a",
            "b/x.log",
            "!.h",
            ".h",
            "**/t.py",
            "a/*",
        ]);
        prop::collection::vec(rule, 0..4)
    };
    let paths = prop::collection::vec(prop::collection::vec(names(), 1..4), 1..12);
    let files = prop::collection::vec(
        (prop::collection::vec(names(), 0..3), any::<bool>(), rules()),
        0..4,
    );
    let mut runner = prop::test_runner::TestRunner::new(ProptestConfig {
        cases: 150,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(
        &(paths, files, any::<bool>(), any::<bool>()),
        |(paths, files, hidden, repository)| {
            let dir = tempfile::tempdir().unwrap();
            let base = dir.path().canonicalize().unwrap();
            let put = |path: &[&str], name: Option<&str>, text: &str| {
                let place = path
                    .iter()
                    .chain(&name)
                    .fold(base.clone(), |place, part| place.join(part));
                // What is a file already cannot be a directory.
                if std::fs::create_dir_all(place.parent().unwrap()).is_ok() && !place.is_dir() {
                    std::fs::write(place, text).unwrap();
                }
            };
            for path in &paths {
                put(path, None, "text");
            }
            for (path, is_git, rules) in &files {
                put(
                    path,
                    Some(if *is_git { ".gitignore" } else { ".ignore" }),
                    &rules.join("\n"),
                );
            }
            if repository {
                put(&[".git"], Some("HEAD"), "x");
                put(&["src", ".git"], Some("HEAD"), "x");
            }
            let ours = one(
                &base,
                json!({ "operation_type": "find_files", "include_hidden": hidden }),
            );
            let walk = ignore::WalkBuilder::new(&base)
                .standard_filters(false)
                .hidden(!hidden)
                .git_ignore(true)
                .git_exclude(true)
                .ignore(true)
                .parents(true)
                // Without it, the library does not look for repositories, beyond which rules do not count.
                .require_git(repository)
                .filter_entry(|entry| entry.file_name() != ".git")
                .sort_by_file_name(Ord::cmp)
                .build();
            let theirs: Vec<String> = walk
                .map(Result::unwrap)
                .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
                .map(|entry| {
                    entry
                        .path()
                        .strip_prefix(&base)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned()
                })
                .collect();
            prop_assert_eq!(&ours["files_found"], &json!(theirs));
            Ok(())
        },
    );
    outcome.unwrap();
}
