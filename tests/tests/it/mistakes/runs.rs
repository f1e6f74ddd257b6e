//! Mistakes with the runs there are.

use insta::assert_snapshot;

use super::{FLOW, LOOP, Said};
use crate::harness::TestEnvironment;

#[test]
fn runs_that_are_none() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    let mut said = Said::in_(&env);
    said.by(&["runs", "show", "last"])
        .by(&["resume", "last"])
        .by(&["answer", "last"]);
    for _ in 0..2 {
        drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    }
    said.by(&["runs", "show", ""])
        .by(&["runs", "show", "lst"])
        .by(&["runs", "show", "last~7"])
        .by(&["runs", "show", "last~one"])
        .by(&["runs", "diff", "last"])
        .by(&["runs", "repair", "last"])
        .by(&["runs", "repair", "last~1"])
        .by(&["runs", "rm", "nothing"])
        .by(&["resume", "last"])
        .by(&["cancel", "last"])
        .by(&["answer", "last"])
        .by(&["rerun", "nothing"])
        .by(&["wait", "last", "--for", "end"]);
    assert_snapshot!(said.all());
    // Their order is that of their ids, which end with random digits.
    let several = env.unchanged(&["runs", "show", "run_"]).expect(2);
    assert!(
        several.stderr.contains("`run_` fits several runs: run_"),
        "{several}"
    );
}

#[test]
fn steps_and_values() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", LOOP);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let mut said = Said::in_(&env);
    said.by(&["runs", "show", "last", ""])
        .by(&["runs", "show", "last", "a/b"])
        .by(&["runs", "show", "last", "..a"])
        .by(&["runs", "show", "last", "b"])
        .by(&["runs", "show", "last", "each.iter_7.b"])
        .by(&["runs", "show", "last", "c", "--prompt"])
        .by(&["runs", "get", "last", "c.outcme"])
        .by(&["runs", "get", "last", "c.outcome.results.0"])
        .by(&["runs", "get", "last", "c.outcome.results[3]"])
        .by(&["runs", "get", "last", "output"])
        .by(&["runs", "tag", "last", "two words"])
        .by(&["runs", "tag", "last", ""])
        .by(&["runs", "search", ""])
        .by(&["run", "step", "last", "each"])
        .by(&["run", "step", "last", "d"])
        .by(&["runs", "trace", "last", "each.iter_7"])
        .by(&["runs", "trace", "last", "eahc"])
        .by(&["runs", "trace", "last", "a/b"])
        .by(&["runs", "logs", "last", "b"])
        .by(&["runs", "logs", "last", "--level", "x"])
        .by(&["runs", "logs", "last", "--failed", "--follow"])
        .by(&["runs", "cost", "lst"])
        .by(&["runs", "cost", "--by", "modle"])
        .by(&["runs", "cost", "last", "--since", "7d"])
        .by(&["trace", "convert", "last", "--to", "perfetto"])
        .by(&["trace", "convert", "last", "--to", "chrome", "-o", "flow.yaml"]);
    assert_snapshot!(said.all());
}

#[test]
fn re_runs() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", LOOP);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let mut said = Said::in_(&env);
    let rerun = |more: &[&'static str]| [&["rerun", "last"], more].concat();
    said.by(&rerun(&["c"]))
        .by(&rerun(&["--from", "d"]))
        .by(&rerun(&["--from", "each.iter_9.b"]))
        .by(&rerun(&["--from", "c", "--fresh"]))
        .by(&rerun(&["--from", "c", "--set", "a=1"]))
        .by(&rerun(&["--from", "c", "--set", "a.outcome.reslts=1"]))
        .by(&rerun(&["--from", "c", "--set", "c.outcome=1"]))
        .by(&rerun(&["--from", "c", "--set", "a.outcome.results=hello"]))
        .by(&rerun(&["--ask", "a"]))
        .by(&rerun(&["--var", "tne=loud"]))
        .by(&["run", "flow", "flow.yaml", "--from", "c"]);
    assert_snapshot!(said.all());
}

#[test]
fn answers() {
    let env = TestEnvironment::new();
    let flow = LOOP.replacen(
        "type: command",
        "pre_events: [node_input_required], type: command",
        1,
    );
    env.write("flow.yaml", &flow);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    let mut said = Said::in_(&env);
    let answer = |more: &[&'static str]| [&["answer", "last"], more].concat();
    said.by(&answer(&[]))
        .by(&answer(&["--input", "hello"]))
        .by(&answer(&["--input", "[1]"]))
        .by(&answer(&["--input", "{\"comands\": []}"]))
        .by(&answer(&["--input", "{\"commands\": true}"]))
        .by(&answer(&["--input", "@nothing.json"]))
        .by(&answer(&["--approve"]))
        .by(&answer(&["--for-run"]))
        .by(&answer(&["--deny", ""]))
        .by(&answer(&["--approve", "--deny", "no"]))
        .by(&answer(&["c", "--input", "{}"]))
        .by(&answer(&["nothing", "--input", "{}"]))
        .by(&["cancel", "last"]);
    drop(env.run(&["answer", "last", "--deny", "no"]).expect(1));
    said.by(&answer(&["--input", "{}"]));
    assert_snapshot!(said.all());
}
