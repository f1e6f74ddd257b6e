//! Values that enter a run are kept as they are, or refused where they enter: items, variables, inputs, files.

use crate::harness::{TestEnvironment, records};

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

const ITEMS: &str = r#"schema_version: 1
kind: flow
root_id: n
elements:
  - for_each: l
    statement: "$expr{py: ITEMS}"
    body:
      - { node: gate, type: command, settings: { commands: [[test, -e, "$var{project_root}/go"]] } }
      - { node: use, type: command, settings: { commands: [[echo, "$expr{py: 'item is ' + str(item)}"]] } }
"#;

#[test]
fn an_item_that_cannot_be_recorded_is_an_error_where_it_enters() {
    let env = TestEnvironment::new();
    for (items, reason) in [
        (
            r#"json.loads('[{\"id\": 1}, {\"id\": 123456789012345678901}]')"#,
            "item 1",
        ),
        ("[1, float('inf')]", "item 1"),
        (&*format!("[[], json.loads('{}')]", nested(126)), "deeper than"),
    ] {
        env.write(
            "flow.yaml",
            &ITEMS.replace("ITEMS", &items.replace('"', "\\\"").replace("\\\\\"", "\\\"")),
        );
        let refused = env.run(&["run", "flow", "flow.yaml"]).expect(1);
        assert!(
            refused.stderr.contains("n.l: ") && refused.stderr.contains(reason),
            "{items}: {refused}"
        );
        assert!(records(&env.last_run(), "loop_started").is_empty(), "{items}");
        drop(env.run(&["runs", "verify", "last"]).expect(0));
    }
}

#[test]
fn an_item_is_the_same_before_and_after_a_resume() {
    let env = TestEnvironment::new();
    // A tuple is recorded as a list, so that it is one from the beginning.
    env.write("flow.yaml", &ITEMS.replace("ITEMS", "[(1, 2), {'a': 1.0}]"));
    env.write("go", "");
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let said = |env: &TestEnvironment| {
        let log = |item: usize| env.last_run().join(format!("n/l/iter_{item}/use/stdout.log"));
        [0, 1].map(|item| std::fs::read_to_string(log(item)).unwrap())
    };
    let at_once = said(&env);
    std::fs::remove_file(env.project().join("go")).unwrap();
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    env.write("go", "");
    drop(env.run(&["resume", "last"]).expect(0));
    assert_eq!(said(&env), at_once);
    assert_eq!(at_once[0], "item is [1, 2]\n");
}

const TAKES: &str = "\
schema_version: 1
kind: flow
root_id: v
required: [x]
elements:
  - { node: a, type: command, settings: { commands: [[echo, \"$expr{ len(x) }\"]] } }
";

#[test]
fn values_that_nest_too_deep_are_refused_where_they_enter() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", TAKES);
    let deep = nested(101);
    let inputs = format!(r#"{{"a": {{"settings_override": {{"env_vars": {deep}}}}}}}"#);
    env.write("deep.json", &inputs);
    let run = ["run", "flow", "flow.yaml"];
    let with = |more: &[&str]| env.refused(&[&run[..], more].concat());
    for refused in [
        with(&["--var-json", &format!("x={deep}")]),
        with(&[
            "--var-json",
            "x=[]",
            "--input",
            &format!("a={{\"settings_override\": {deep}}}"),
        ]),
        with(&["--var-json", "x=[]", "--static-inputs", "deep.json"]),
    ] {
        assert!(refused.stderr.contains("lies deeper than 100"), "{refused}");
    }
    // What is just within the limit can be read again wherever it went.
    drop(
        env.run(&[
            "run",
            "flow",
            "flow.yaml",
            "--var-json",
            &format!("x={}", nested(100)),
        ])
        .expect(0),
    );
    drop(env.run(&["runs", "verify", "last"]).expect(0));
    drop(env.run(&["runs", "show", "last", "a"]).expect(0));
    let parent = [
        "--previous-run-id",
        "last",
        "--var-json",
        &format!("x={}", nested(100)),
    ];
    drop(env.run(&[&run[..], &parent].concat()).expect(0));
    let set = [&run[..], &parent, &["--entry-point", "a"]].concat();
    drop(env.run(&set).expect(0));
}

#[test]
fn integers_that_would_be_rounded_are_refused() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", TAKES);
    let refused = env.refused(&[
        "run",
        "flow",
        "flow.yaml",
        "--var-json",
        r#"x=["a", 123456789012345678901]"#,
    ]);
    insta::assert_snapshot!(refused, @"
    ---- stderr
    error[option]: `--var-json`: the integer 123456789012345678901 at `[1]` does not fit into 64 bits and would be rounded
      hint: write the integer as a text, in quotes
    ---- exit code 2
    ");
    env.write(
        "inputs.json",
        r#"{"a": {"env_vars": {"N": 123456789012345678901}}}"#,
    );
    let refused = env.refused(&[
        "run",
        "flow",
        "flow.yaml",
        "--var-json",
        "x=[]",
        "--static-inputs",
        "inputs.json",
    ]);
    assert!(refused.stderr.contains("would be rounded"), "{refused}");
}

#[test]
fn an_answer_that_nests_too_deep_leaves_the_question_open() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &TAKES.replace("{ node: a,", "{ node: a, pre_events: [node_input_required],"),
    );
    drop(
        env.run(&["run", "flow", "flow.yaml", "--var-json", "x=[]", "--no-input"])
            .expect(3),
    );
    let deep = format!("{{\"settings_override\": {{\"env_vars\": {}}}}}", nested(120));
    drop(env.unchanged(&["answer", "last", "--input", &deep]).expect(2));
    let view = dhenara::run::RunView::open(env.last_run()).unwrap();
    // So does a program's.
    let value = (0..120).fold(serde_json::json!({}), |inner, _| serde_json::json!([inner]));
    let answer = dhenara::run::Answer::Given {
        source: "a test".to_owned(),
        value,
    };
    let refused = view.answer(None, answer, &dhenara::builtin_nodes()).unwrap_err();
    assert_eq!(refused.code(), "unrecordable", "{refused}");
    drop(env.run(&["answer", "last", "--input", "{}"]).expect(0));
}

const QUIET: &str = "schema_version: 1\nkind: flow\nroot_id: m\nelements:\n  - { node: a, type: command, settings: { commands: [[\"true\"]] } }\n";

#[cfg(target_os = "linux")]
#[test]
fn an_input_directory_is_copied_with_all_names_and_says_what_is_left_out() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let env = TestEnvironment::new();
    env.write("flow.yaml", QUIET);
    env.write("in/plain", "a");
    env.write("in/.tmp-notes", "b");
    env.write("in/deeper/.tmp-dir/file", "c");
    let odd = env.project().join("in").join(OsStr::from_bytes(b"bad-\xff"));
    std::fs::write(&odd, "d").unwrap();
    symlink("plain", env.project().join("in/link")).unwrap();
    let pipe = std::process::Command::new("mkfifo")
        .arg(env.project().join("in/pipe"))
        .status();
    assert!(pipe.unwrap().success());
    let output = env
        .run(&["run", "flow", "flow.yaml", "--input-dir", "in"])
        .expect(0);
    for said in [
        "in/link` is a symbolic link",
        "in/pipe` is neither a file nor a directory",
    ] {
        assert!(output.stderr.contains(said), "{output}");
    }
    let kept = env.last_run().join("static_inputs");
    for name in ["plain", ".tmp-notes", "deeper/.tmp-dir/file"] {
        assert!(kept.join(name).is_file(), "{name}");
    }
    assert!(kept.join(odd.file_name().unwrap()).is_file());
    assert!(!kept.join("link").exists() && !kept.join("pipe").exists());
    // The checks of the harness read names as texts.
    env.is_checked();
}

#[test]
fn an_input_directory_that_holds_the_run_root_is_refused() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", QUIET);
    env.write("in/plain", "a");
    for args in [
        &["--input-dir", "."][..],
        &["--input-dir", "in", "--run-root", "in"],
        &["--input-dir", "in", "--run-root", "in/deeper/runs"],
        &["--input-dir", "in/../in", "--run-root", "in/runs"],
    ] {
        let refused = env.refused(&[&["run", "flow", "flow.yaml"], args].concat());
        assert!(
            refused.stderr.contains("error[input_file]"),
            "{args:?}: {refused}"
        );
    }
    drop(
        env.run(&["run", "flow", "flow.yaml", "--input-dir", "in"])
            .expect(0),
    );
}

#[cfg(target_os = "linux")]
#[test]
fn secrets_are_masked_in_files_of_any_name() {
    let env = TestEnvironment::new();
    let secret = "first-made-up-value-1234";
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        &format!("secrets:\n  deploy: {secret}\n"),
    );
    let files = "for f in plain .tmp-mine \\\"$(printf 'bad-\\\\377')\\\"; do printf %s \\\"$T\\\" > \\\"$f\\\"; mkdir -p \\\"d-$f\\\"; printf %s \\\"$T\\\" > \\\"d-$f/x\\\"; done";
    env.write(
        "flow.yaml",
        &format!("schema_version: 1\nkind: flow\nroot_id: v\nelements:\n  - {{ node: a, type: command, settings: {{ env_vars: {{ T: \"$secret{{deploy}}\" }}, commands: [\"{files}\"] }} }}\n"),
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let mut seen = 0;
    let mut open = vec![env.last_run()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let text = std::fs::read(&path).unwrap();
            assert!(
                !String::from_utf8_lossy(&text).contains(secret),
                "{}",
                path.display()
            );
            seen += usize::from(text == b"[redacted]");
        }
    }
    assert_eq!(seen, 6);
    env.is_checked();
}

#[test]
fn a_resume_touches_no_file_of_a_command() {
    let env = TestEnvironment::new();
    let script =
        "echo mine > .tmp-mine; echo mine > f/.tmp-1-2; mkdir .tmp-dir; test -e $var{project_root}/go";
    env.write(
        "flow.yaml",
        &format!("schema_version: 1\nkind: flow\nroot_id: f\nelements:\n  - {{ node: a, type: command, settings: {{ commands: [\"{script}\"] }} }}\n  - {{ node: b, type: command, settings: {{ commands: [[test, -e, .tmp-mine]] }} }}\n")
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    env.write("go", "");
    std::fs::remove_dir(env.last_run().join(".tmp-dir")).unwrap();
    std::fs::write(env.last_run().join(".tmp-other"), "").unwrap();
    drop(env.run(&["resume", "last"]).expect(0));
    for name in [".tmp-mine", ".tmp-other", "f/.tmp-1-2"] {
        assert!(env.last_run().join(name).exists(), "{name}");
    }
    env.is_checked();
}
