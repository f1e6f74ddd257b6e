//! Long results at a terminal are shown in the pager of the user.

use crate::harness::TestEnvironment;
use crate::pty::{CTRL_C, ENTER};

/// A project with a run of many steps.
fn many_steps() -> TestEnvironment {
    let env = TestEnvironment::new();
    let steps: String = (0..60)
        .map(|number| {
            format!("  - {{ node: s{number}, type: command, settings: {{ commands: [['true']] }} }}\n")
        })
        .collect();
    env.write(
        "flow.yaml",
        &format!("schema_version: 1\nkind: flow\nelements:\n{steps}"),
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    env
}

#[test]
fn a_long_result_is_shown_in_the_pager_of_the_user() {
    let env = many_steps();
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let pager = [("PAGER", "tail -n 3 | sed 's/^/paged: /'")];
    let shown =
        |args: &[&str], environment: &[(&str, &str)]| env.showing(program, args, environment).ends().screen;
    let paged = shown(&["runs", "show", "last"], &pager);
    insta::assert_snapshot!(paged, @"
    paged:     ✓ s57                           [time]  1 command
    paged:     ✓ s58                           [time]  1 command
    paged:     ✓ s59                           [time]  1 command
    ");
    // A short one fits on the screen.
    let short = shown(&["runs", "list"], &pager);
    assert!(short.contains("completed") && !short.contains("paged"), "{short}");
    // Not where it is not wanted, nor where there is none.
    for (args, environment) in [
        (vec!["runs", "show", "last", "--no-pager"], pager.as_slice()),
        (vec!["runs", "show", "last"], &[("PAGER", "")]),
        (vec!["runs", "show", "last"], &[("PAGER", "no-such-pager")]),
        (vec!["runs", "show", "last"], &[("TERM", "dumb")]),
    ] {
        let shown = shown(&args, environment);
        assert!(
            shown.contains("s59") && !shown.contains("paged:"),
            "{args:?}: {shown}"
        );
    }
    // A program reads it as it is.
    let piped = env.unchanged(&["runs", "show", "last"]).expect(0);
    assert!(
        piped.stdout.contains("s0 ") && piped.stdout.contains("s59"),
        "{piped}"
    );
}

#[test]
fn the_error_of_a_command_follows_what_it_has_shown() {
    let env = many_steps();
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let screen = env
        .showing(program, &["runs", "show", "last", "s60"], &[])
        .ends()
        .screen;
    assert!(screen.contains("did you mean"), "{screen}");
}

#[test]
fn ctrl_c_is_a_key_of_the_pager() {
    let env = many_steps();
    let pager = "trap : INT; cat > /dev/null; echo open; read key < /dev/tty; read key < /dev/tty; echo left";
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let terminal = env.showing(program, &["runs", "show", "last"], &[("PAGER", pager)]);
    terminal.shows("open").press(CTRL_C);
    terminal.press(ENTER).press(ENTER).shows("left");
    assert_eq!(terminal.ends().status, "exit status: 0");
}
