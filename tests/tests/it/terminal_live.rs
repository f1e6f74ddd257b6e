//! A run at a terminal: what moves while it executes, what stays, and how Ctrl-C ends it.

use insta::assert_snapshot;

use crate::harness::TestEnvironment;
use crate::pty::{AtEnd, CTRL_C, ENTER, SHAPES, Terminal};

/// A step of which only a file says when it ends, with a name that fills a narrow screen.
const GATED: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: first, type: command, settings: { commands: [[echo, first]] } }
  - { node: a_step_that_waits_for_a_file_and_has_a_very_long_name_for_a_step, type: command, settings: { timeout: 300, commands: ["until test -e $var{project_root}/gate; do sleep 0.05; done"] } }
  - { node: third, type: command, settings: { commands: [[echo, third]] } }
"#;

/// A step that no polite signal ends.
const STUBBORN: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: stubborn, type: command, settings: { timeout: 300, commands: ["trap '' INT TERM; touch $var{project_root}/begun; while true; do sleep 0.1; done"] } }
"#;

fn project(flow: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", flow);
    env
}

/// Whether a screen has a sign that moves.
fn moves(screen: &str) -> bool {
    screen.contains(|c: char| ('\u{2800}'..='\u{28ff}').contains(&c))
}

/// The rows behind the first, which has the id of the run.
fn rows(screen: &str) -> String {
    let lines = screen
        .lines()
        .filter(|line| !line.contains("  artifacts ") && !line.contains("[root]"));
    lines.collect::<Vec<_>>().join("\n")
}

fn wait_for_step<'t, 'e>(terminal: &'t Terminal<'e>) -> &'t Terminal<'e> {
    terminal.wait("the line of the step moves", |terminal| {
        let screen = terminal.screen();
        screen
            .lines()
            .any(|line| moves(line) && line.contains("a_step_that_waits"))
    })
}

#[test]
fn a_line_moves_while_a_step_executes_and_nothing_of_it_stays() {
    for shape in SHAPES {
        let env = project(GATED);
        let terminal = env.dhenara_at_shape(shape, &["run", "flow.yaml"]);
        wait_for_step(&terminal);
        let moving = terminal.screen();
        let signs = moving.lines().filter(|line| moves(line)).count();
        assert_eq!(signs, 1, "one step executes:\n{moving}");
        assert!(moving.contains("✓ first"), "{moving}");
        env.write("gate", "");
        let AtEnd { screen, status, .. } = terminal.ends();
        assert!(!moves(&screen), "{screen}");
        assert_eq!(status, "exit status: 0", "{screen}");
        for name in ["✓ first", "✓ a_step_that_waits", "✓ third", "completed run_"] {
            assert_eq!(screen.matches(name).count(), 1, "{name}:\n{screen}");
        }
        assert!(!screen.contains("\n\n\n"), "{screen}");
    }
}

#[test]
fn ctrl_c_stops_a_run_and_leaves_a_clean_screen() {
    for shape in SHAPES {
        let env = project(GATED);
        let terminal = env.dhenara_at_shape(shape, &["run", "flow.yaml"]);
        wait_for_step(&terminal).press(CTRL_C);
        let AtEnd { screen, status, .. } = terminal.ends();
        assert_eq!(status, "exit status: 130", "{screen}");
        assert!(!moves(&screen), "{screen}");
        assert!(!screen.contains("^C"), "{screen}");
        assert_eq!(screen.matches("cancelled run_").count(), 1, "{screen}");
        assert!(screen.contains("dhenara resume run_"), "{screen}");
        if shape.columns == 60 {
            // A step may end before its command has been counted.
            assert_snapshot!(rows(&screen).replace("  1 command", ""));
        }
    }
}

#[test]
fn ctrl_c_pressed_again_ends_a_step_that_does_not_stop() {
    for presses in [2, 3] {
        let env = project(STUBBORN);
        let terminal = env.dhenara_at_shape(SHAPES[1], &["run", "flow.yaml"]);
        terminal.wait("the step executes", |_| env.project().join("begun").exists());
        terminal.press(CTRL_C).shows("press Ctrl-C again");
        for _ in 1..presses {
            terminal.press(CTRL_C);
        }
        let AtEnd { screen, status, .. } = terminal.ends();
        assert_eq!(status, "exit status: 130", "{screen}");
        assert!(!moves(&screen), "{screen}");
        env.is_checked();
        // The run can be read, and is no longer driven.
        let shown = env.run(&["runs", "show", "last"]).expect(0);
        assert!(shown.stdout.contains("dhenara resume run_"), "{shown}");
    }
}

#[test]
fn variables_are_asked_for_on_a_narrow_screen() {
    let env = project(
        "schema_version: 1\nkind: flow\nrequired: [title_of_the_report]\nvariables: { tone: calm }\npre_events: [component_input_required]\n\
         elements:\n  - { node: a, type: command, settings: { commands: [[echo, \"$var{title_of_the_report}, $var{tone}\"]] } }\n",
    );
    let terminal = env.dhenara_at_shape(SHAPES[1], &["run", "flow.yaml"]);
    terminal
        .shows("title_of_the_report")
        .answer("A title that is longer than what is left of a line of sixty columns");
    terminal.shows("tone").press(ENTER);
    let AtEnd { screen, status, .. } = terminal.ends();
    assert_eq!(status, "exit status: 0", "{screen}");
    assert!(!moves(&screen), "{screen}");
    assert_snapshot!(rows(&screen));
}

#[test]
fn an_approval_with_a_long_preview_fits_a_small_screen() {
    let lines: String = (1..=60)
        .map(|n| format!("line {n} of a file that is longer than the screen\\n"))
        .collect();
    let env = project(&format!(
        "schema_version: 1\nkind: flow\nelements:\n  - node: save\n    type: file_operation\n    requires_approval: true\n    settings:\n      \
         base_directory: \"$var{{project_root}}\"\n      operations: [{{ type: create_file, path: long.txt, content: \"{lines}\" }}]\n"
    ));
    let terminal = env.dhenara_at_shape(SHAPES[1], &["run", "flow.yaml"]);
    terminal.shows("read all of it");
    let asked = terminal.still();
    assert!(asked.lines().count() <= 20, "{asked}");
    assert!(asked.contains("… and 57 lines"), "{asked}");
    terminal.press(CTRL_C);
    let AtEnd { screen, status, .. } = terminal.ends();
    assert_eq!(status, "exit status: 130", "{screen}");
    assert!(!env.project().join("long.txt").exists());
}
