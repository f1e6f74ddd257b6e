//! Mistakes on the command line.

use insta::assert_snapshot;

use super::{FLOW, Said};
use crate::harness::TestEnvironment;

fn project() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    env
}

#[test]
fn options_and_their_values() {
    let env = project();
    let mut said = Said::in_(&env);
    let run = |more: &[&'static str]| [&["run", "flow", "flow.yaml"], more].concat();
    said.by(&run(&["--var"]))
        .by(&run(&["--var", "tone"]))
        .by(&run(&["--var", "=calm"]))
        .by(&run(&["--var", "tone=a", "--var", "tone=b"]))
        .by(&run(&["--var", "tne=a"]))
        .by(&run(&["--var", "tone.loud=a"]))
        .by(&run(&["--var", "tone=@nothing.txt"]))
        .by(&run(&["--var-json", "tone=loud"]))
        .by(&run(&["--var-json", "list=[1, 2"]))
        .by(&run(&["tone=calm"]))
        .by(&run(&["--timeout", "5"]))
        .by(&run(&["--vars", "tone=a"]))
        .by(&run(&["--budget", "5"]))
        .by(&run(&["--budget", "euros=3"]))
        .by(&run(&["--input", "hello"]))
        .by(&run(&["--input", "a=hello"]))
        .by(&run(&["--input", "a={\"commands\": true}"]))
        .by(&run(&["--input", "nothing={}"]))
        .by(&run(&["--execute", "a"]))
        .by(&run(&["--replay", "nothing"]))
        .by(&run(&["--model", "a/b", "--model", "c/d"]));
    assert_snapshot!(said.all());
}

#[test]
fn numbers_times_and_sizes() {
    let env = project();
    let mut said = Said::in_(&env);
    said.by(&["runs", "list", "-n", "many"])
        .by(&["runs", "list", "-n", "-1"])
        .by(&["runs", "list", "-n", "1.5"])
        .by(&["runs", "list", "--since", "yesterday"])
        .by(&["runs", "list", "--status", "done"])
        .by(&["runs", "prune"])
        .by(&["runs", "prune", "--keep-days", "a week"])
        .by(&["runs", "prune", "--keep-last", "-3"])
        .by(&["runs", "prune", "--max-size", "lots"])
        .by(&[
            "run",
            "flow",
            "flow.yaml",
            "--each",
            "rows.jsonl",
            "--repeat",
            "twice",
        ]);
    assert_snapshot!(said.all());
}

#[test]
fn names_of_definitions_and_files() {
    let env = project();
    let mut said = Said::in_(&env);
    said.by(&["run", "flow", "nothing.yaml"])
        .by(&["run", "flow", "flow.yml"])
        .by(&["run", "flow.json"])
        .by(&["run", "flow", "."])
        .by(&["run", "flow", "nothing"])
        .by(&["run", "agent", "flow.yaml"])
        .by(&["run", "agent", "nothing"])
        .by(&["validate", "nothing.yaml"])
        .by(&["render", "flow.yaml", "nothing"])
        .by(&["render", "flow.yaml", ""])
        .by(&["new", "agent", "my agent"])
        .by(&["-C", "nowhere", "runs", "list"])
        .by(&["run", "flow", "flow.yaml", "--project-root", "nowhere"])
        .by(&["run", "flow", "flow.yaml", "--run-root", "flow.yaml"])
        .by(&["run", "flow", "flow.yaml", "--run-id-prefix", "a b"])
        .by(&["models", "show", "gpt"])
        .by(&["models", "list", "--provider", "opnai"])
        .late(1, &["models", "check", "opnai/gpt-5"])
        .by(&["trust", "nowhere"])
        .by(&["config", "show", "--env", "prod"]);
    assert_snapshot!(said.all());
}

#[test]
fn rows_of_a_batch() {
    let env = project();
    let mut said = Said::in_(&env);
    let each = |said: &mut Said<'_>, rows: &str| {
        env.write("rows.jsonl", rows);
        said.by(&["run", "flow", "flow.yaml", "--each", "rows.jsonl"]);
    };
    each(&mut said, "");
    each(&mut said, "tone,list\ncalm,1\n");
    each(
        &mut said,
        "{\"variables\": {\"tone\": \"a\"}}\n{\"variables\": \n",
    );
    each(&mut said, "{\"tone\": \"a\"}\n");
    each(&mut said, "{\"id\": \"x\"}\n{\"id\": \"x\"}\n");
    said.by(&["run", "flow", "flow.yaml", "--each", "nothing.jsonl"])
        .by(&["run", "flow", "flow.yaml", "--each", "."])
        .by(&["run", "flow", "flow.yaml", "--batch", "b"])
        .by(&["runs", "table", "nothing"]);
    assert_snapshot!(said.all());
}
