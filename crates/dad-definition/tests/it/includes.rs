//! `$file` and `$json`.

use std::io::Write;
use std::path::Path;

use dad_definition::{Loaded, Problems, compile, load_file, to_yaml};
use dad_template::{Limits, Template};
use serde_json::json;
use tempfile::TempDir;

use crate::loading::{id, load};
use crate::registry::Registry;

/// Writes a file for a test; the directory is made.
#[expect(clippy::disallowed_methods, reason = "a test prepares files that no run owns")]
pub(crate) fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::File::create(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

/// A project with one flow whose only node has these settings, and other files.
fn project(settings: &str, files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let yaml = format!(
        "schema_version: 1\nkind: flow\nelements:\n  - node: a\n    type: ai_model_call\n    settings:\n{settings}"
    );
    write(directory.path(), "flows/flow.yaml", &yaml);
    for (name, text) in files {
        write(directory.path(), name, text);
    }
    directory
}

fn open(project: &TempDir) -> Result<Loaded, Problems> {
    load_file(&project.path().join("flows/flow.yaml"), Some(project.path()))
}

#[test]
fn files_stand_as_if_written_there() {
    let project = project(
        "      models: [m]\n      prompt: { $file: ./prompt.md }\n      model_call_config:\n        \
         structured_output: { $json: ../schemas/s.json }\n      system_instructions: [{ $file: prompt.md }]\n",
        &[
            ("flows/prompt.md", "Do $var{run_id}\nand $expr{ 1 + }\n"),
            (
                "schemas/s.json",
                r#"{"a": ["$var{x}", "$$expr{", 1.0], "$var{key}": null}"#,
            ),
        ],
    );
    let loaded = open(&project).unwrap();
    let dad_core::ElementKind::Node(node) = &loaded.definition.body.elements[0].kind else {
        panic!()
    };
    assert_eq!(
        node.settings["prompt"],
        json!("Do $var{run_id}\nand $expr{ 1 + }\n")
    );
    let paths: Vec<&str> = loaded.sources.iter().map(|source| source.path.as_str()).collect();
    assert_eq!(paths, ["flows/flow.yaml", "flows/prompt.md", "schemas/s.json"]);

    // Data has no templates, whatever it looks like.
    let data = &node.settings["model_call_config"]["structured_output"];
    let literal = |text: &serde_json::Value| {
        let template = Template::parse(text.as_str().unwrap()).unwrap();
        template.render(&(), &Limits::default()).unwrap()
    };
    assert_eq!(literal(&data["a"][0]), "$var{x}");
    assert_eq!(literal(&data["a"][1]), "$$expr{");
    assert_eq!(data["$var{key}"], json!(null));

    // A problem in an included text is shown there.
    let problems = compile(
        &loaded.definition,
        &id("root"),
        &Registry::new(),
        Some(&loaded.spans),
    )
    .unwrap_err();
    let first = &problems.as_slice()[0];
    assert_eq!(
        (first.file.as_deref(), first.line, first.column),
        (Some("flows/prompt.md"), Some(2), Some(16))
    );
    assert!(
        problems.to_string().contains("2 | and $expr{ 1 + }"),
        "{problems}"
    );

    assert_eq!(load(&to_yaml(&loaded.definition)).definition, loaded.definition);
}

#[test]
fn an_unknown_key_is_shown_where_the_key_is() {
    let project = project(
        "      models: [m]\n      promt: { $file: ./p.md }\n",
        &[("flows/p.md", "x")],
    );
    let loaded = open(&project).unwrap();
    let problems = compile(
        &loaded.definition,
        &id("root"),
        &Registry::new(),
        Some(&loaded.spans),
    )
    .unwrap_err();
    let first = &problems.as_slice()[0];
    assert_eq!(
        (first.file.as_deref(), first.line),
        (Some("flows/flow.yaml"), Some(8))
    );
}

#[track_caller]
fn refused(include: &str, code: &str, wanted: &str) {
    let project = project(
        &format!("      prompt: {include}\n"),
        &[
            ("flows/prompt.md", "x"),
            ("flows/broken.json", "{\n  \"a\": [1,\n  2\n}"),
            ("flows/nested.json", r#"{"a": {"$file": "/etc/passwd"}}"#),
            ("flows/nul.md", "a\0b"),
            (
                "flows/deep.json",
                &format!("{}{}", "[".repeat(99), "]".repeat(99)),
            ),
            ("flows/twice.json", r#"{"a": 1, "a": 2}"#),
        ],
    );
    let problems = open(&project).unwrap_err();
    let text = problems.to_string();
    assert_eq!(problems.as_slice()[0].code, code, "{text}");
    assert!(text.contains(wanted), "{text}");
}

#[test]
fn what_cannot_be_included() {
    refused(
        "{ $file: ./promt.md }",
        "file_unreadable",
        "did you mean `prompt.md`?",
    );
    refused("{ $file: . }", "file_unreadable", "it is not a file");
    refused("{ $file: [] }", "wrong_type", "expected the path of a file");
    refused("{ $file: '' }", "include_path", "is not a relative path");
    refused(
        "{ $file: prompt.md, other: 1 }",
        "include_mixed",
        "must be the only key",
    );
    refused("{ $file: nul.md }", "nul", "contains a NUL byte");
    refused("{ $json: broken.json }", "json_syntax", "flows/broken.json:4:1");
    refused("{ $json: nested.json }", "include_nested", "has the key `$file`");
    refused("{ $json: deep.json }", "too_deep", "more than 100 levels");
    refused("{ $json: twice.json }", "duplicate_key", "flows/twice.json:1:10");
}

#[test]
fn nothing_outside_the_project_is_read() {
    for path in [
        "/etc/passwd",
        "../../etc/passwd",
        "../../../../../../../../etc/passwd",
        "../..",
    ] {
        let project = project(&format!("      prompt: {{ $file: {path} }}\n"), &[]);
        let problems = open(&project).unwrap_err();
        let code = problems.as_slice()[0].code;
        assert!(
            matches!(code, "include_path" | "include_outside"),
            "{path}: {problems}"
        );
    }
    // The message does not reveal whether a file exists there.
    let reported = |path: &str| {
        let project = project(&format!("      prompt: {{ $file: {path} }}\n"), &[]);
        open(&project).unwrap_err().as_slice()[0].code
    };
    assert_eq!(
        reported("../../no/such/file"),
        reported("../../../../../../../etc/passwd")
    );
}

#[cfg(unix)]
#[test]
fn links_do_not_lead_out_either() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "secret.md", "secret");
    let project = project("      prompt: { $file: ./link/secret.md }\n", &[]);
    std::os::unix::fs::symlink(outside.path(), project.path().join("flows/link")).unwrap();
    let problems = open(&project).unwrap_err();
    assert_eq!(problems.as_slice()[0].code, "include_outside", "{problems}");

    // A file that is not in the project may include what lies beside it.
    let elsewhere = tempfile::tempdir().unwrap();
    let file = project.path().join("flows/flow.yaml");
    assert!(load_file(&file, Some(elsewhere.path())).is_err());
    write(
        project.path(),
        "flows/flow.yaml",
        "schema_version: 1\nkind: flow\nelements: []\noutput: { $file: x.md }\n",
    );
    write(project.path(), "flows/x.md", "x");
    let loaded = load_file(&file, Some(elsewhere.path())).unwrap();
    assert_eq!(loaded.definition.output, Some(json!("x")));
}

#[test]
fn one_file_used_often_is_read_once_and_counted_each_time() {
    let one = "x".repeat(1 << 20);
    let list = |count: usize| {
        format!(
            "      prompt: [{}]\n",
            vec!["{ $file: big.md }"; count].join(", ")
        )
    };
    let few = project(&list(8), &[("flows/big.md", &one)]);
    assert_eq!(open(&few).unwrap().sources.len(), 2);
    let many = project(&list(9), &[("flows/big.md", &one)]);
    assert_eq!(open(&many).unwrap_err().as_slice()[0].code, "too_large");
}
