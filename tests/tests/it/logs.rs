//! Log events on the terminal.

use crate::harness::TestEnvironment;

const FLOW: &str = "\
schema_version: 1
kind: flow
elements:
  - { node: say, type: command, settings: { commands: [[echo, hello]] } }
";

fn project() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    env
}

#[test]
fn wrong_filters_say_what_to_write() {
    let env = project();
    insta::assert_snapshot!(env.refused(&["run", "flow", "flow.yaml", "--log", "a=b=c"]).expect(2), @"
    ---- stderr
    error: invalid value 'a=b=c' for '--log <LEVEL|TARGET=LEVEL>': expected a level (`error`, `warn`, `info`, `debug`, `trace`, `off`) or `TARGET=LEVEL`, several with commas

    For more information, try '--help'.
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.refused(&["run", "flow", "flow.yaml", "--log", "info", "-v"]).expect(2), @"
    ---- stderr
    error: the argument '--log <LEVEL|TARGET=LEVEL>' cannot be used with '--verbose'

    Usage: dhenara-under-test run flow --log <LEVEL|TARGET=LEVEL> <NAME|FILE>

    For more information, try '--help'.
    ---- exit code 2
    ");
}

#[test]
fn a_wrong_filter_of_the_environment_is_a_warning() {
    let env = project();
    let mut command = env.command(env!("CARGO_BIN_EXE_dhenara-under-test"), &env.project());
    let output = command
        .args(["-q", "run", "flow", "flow.yaml"])
        .env("RUST_LOG", "a=b=c")
        .output()
        .unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"warning: `RUST_LOG` is ignored: expected a level (`error`, `warn`, `info`, `debug`, `trace`, `off`) or `TARGET=LEVEL`, several with commas");
    assert!(output.status.success());
}
