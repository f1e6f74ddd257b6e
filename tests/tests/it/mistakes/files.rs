//! Files that are not what they should be.

use std::fs;

use insta::assert_snapshot;

use super::{FLOW, Said};
use crate::harness::TestEnvironment;

#[test]
fn bytes_that_are_no_text() {
    let env = TestEnvironment::new();
    let mut said = Said::in_(&env);
    let run = ["run", "flow", "flow.yaml"];
    let file = env.project().join("flow.yaml");
    fs::write(&file, [FLOW.as_bytes(), b"description: caf\xe9\n"].concat()).unwrap();
    said.by(&run);
    let wide: Vec<u8> = "\u{feff}kind: flow\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(&file, wide).unwrap();
    said.by(&run);
    fs::write(&file, "kind: flow\0\n").unwrap();
    said.by(&run);
    fs::write(&file, "a".repeat(5 << 20)).unwrap();
    said.by(&run);
    assert_snapshot!(said.all());
}

#[test]
fn marks_and_ends_of_lines_of_other_systems_are_none() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &format!("\u{feff}{}", FLOW.replace('\n', "\r\n")));
    drop(env.run(&["validate", "flow.yaml"]).expect(0));
    env.write(
        "flow.yaml",
        &FLOW.replace("commands", "comands").replace('\n', "\r\n"),
    );
    assert_snapshot!(env.unchanged(&["validate", "flow.yaml"]).expect(2), @r#"
    flow.yaml: 1 problem
    ---- stderr
    flow.yaml:5:43: error[unknown_key]: unknown key `comands`
      |
    5 |   - { node: a, type: command, settings: { comands: [["true"]] } }
      |                                           ^^^^^^^
      = hint: did you mean `commands`?
    ---- exit code 2
    "#);
}

#[test]
fn directories_and_links_in_the_place_of_files() {
    let env = TestEnvironment::new();
    let mut said = Said::in_(&env);
    env.write("flow.yaml", FLOW);
    fs::create_dir(env.project().join("dir.yaml")).unwrap();
    said.by(&["run", "flow", "dir.yaml"])
        .by(&["validate", "dir.yaml"])
        .by(&["run", "flow", "flow.yaml", "--static-inputs", "."])
        .by(&["run", "flow", "flow.yaml", "--run-root", "flow.yaml"])
        .by(&["runs", "import", "."])
        .by(&["runs", "import", "nothing.tar"]);
    std::os::unix::fs::symlink("nowhere", env.project().join("link.yaml")).unwrap();
    said.by(&["run", "flow", "link.yaml"]);
    assert_snapshot!(said.all());
}

#[test]
fn inputs() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    let mut said = Said::in_(&env);
    for text in [
        "",
        "[]",
        "{",
        "{\"nothing\": {}}",
        "{\"a\": 5}",
        "{\"a\": {\"comands\": []}}",
        "{\"a\": {}} x",
    ] {
        env.write("in.json", text);
        said.by(&["run", "flow", "flow.yaml", "--static-inputs", "in.json"]);
    }
    said.by(&["run", "flow", "flow.yaml", "--static-inputs", "nothing.json"]);
    assert_snapshot!(said.all());
}

#[test]
fn archives() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    drop(env.run(&["runs", "export", "last", "--tar", "run.tar"]).expect(0));
    let mut said = Said::in_(&env);
    said.late(2, &["runs", "import", "run.tar"])
        .late(2, &["runs", "import", "flow.yaml"])
        .by(&["runs", "export", "last", "--tar", "run.tar"])
        .by(&["runs", "export", "last", "--tar", "nowhere/run.tar"])
        .by(&["runs", "export", "last"]);
    let whole = fs::read(env.project().join("run.tar")).unwrap();
    fs::write(env.project().join("half.tar"), &whole[..1000]).unwrap();
    said.late(2, &["runs", "import", "half.tar", "--run-root", "elsewhere"]);
    fs::write(env.project().join("empty.tar"), "").unwrap();
    said.late(2, &["runs", "import", "empty.tar"]);
    assert_snapshot!(said.all());
}
