//! Whole conversations at a terminal: a chatbot, variables of components, approvals.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{TestEnvironment, read_json, records, workspace};
use crate::pty::{AtEnd, DOWN, ENTER, UP};
use crate::terminal::{talk, without_head};

fn chatbot() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.copy_dir(&workspace().join("examples/chatbot"), &env.project());
    env
}

/// A screen without what is said of the cassette: where its lines break depends on where the test runs.
fn without_notes(screen: &str) -> String {
    let mut in_note = false;
    let told = screen.lines().filter(|line| {
        let is_note = in_note || line.starts_with("note: ");
        in_note = is_note && !line.ends_with(" one");
        !is_note
    });
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn one_talks_with_the_chatbot_in_rust() {
    let env = chatbot();
    let terminal = env.asking("chatbot", &[]);
    talk(
        &terminal,
        &[
            ("you:", "Hi there\r"),
            ("about?\nyou:", "Why do runs survive?\r"),
            ("stays said.\nyou:", "bye\r"),
        ],
    );
    let AtEnd {
        screen,
        stdout,
        status,
    } = terminal.ends();
    assert_snapshot!(screen, @"
    you: Hi there
    Hello! What would you like to talk about?
    you: Why do runs survive?
    A journal that is written before anything is announced: whatever crashes, what was said stays said.
    you: bye
    ");
    assert_eq!(
        (stdout.as_str(), status.as_str()),
        ("Goodbye, it was a pleasure.\n", "exit status: 0")
    );
}

#[test]
fn one_talks_with_the_chatbot_of_the_file() {
    let env = chatbot();
    let terminal = env.dhenara_at_terminal(&["run", "agent", "chatbot", "--env", "offline"]);
    talk(
        &terminal,
        &[
            ("message:", "Hi there\r"),
            (
                "iter_1.reply asks for its input\n  message:",
                "Why do runs survive?\r",
            ),
            ("iter_2.reply asks for its input\n  message:", "bye\r"),
        ],
    );
    let AtEnd { screen, status, .. } = terminal.ends();
    assert_snapshot!(without_notes(&screen), @"
    run_00000000_000000_000001
    chatbot_root
      conversation
        turn
    ? chatbot_root.conversation.turn.iter_0.reply asks for its input
      message: Hi there
            Hello! What would you like to talk about?
          ✓ iter_0.reply                  [time]  llama3.2, replayed
    ? chatbot_root.conversation.turn.iter_1.reply asks for its input
      message: Why do runs survive?
            A journal that is written before anything is announced: whatever crashes, what was said
              stays said.
          ✓ iter_1.reply                  [time]  llama3.2, replayed
    ? chatbot_root.conversation.turn.iter_2.reply asks for its input
      message: bye
            Goodbye, it was a pleasure.
          ✓ iter_2.reply                  [time]  llama3.2, replayed

    completed run_00000000_000000_000001 in [time]
      steps     3 completed
      model     3 calls replayed
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 chatbot_root.conversation.turn.iter_2.reply
    ");
    assert_eq!(status, "exit status: 0");
    let outcome = read_json(
        &env.last_run()
            .join("chatbot_root/conversation/turn/iter_2/reply/outcome.json"),
    );
    assert_eq!(outcome["text"], "Goodbye, it was a pleasure.");
}

#[test]
fn a_component_asks_for_its_variables() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        r#"schema_version: 1
kind: flow
required: [who]
variables: { greeting: hello, times: 2 }
pre_events: [component_input_required]
elements:
  - { node: say, type: command, settings: { commands: [[echo, "$expr{greeting} $expr{who} $expr{times + 1}"]] } }
"#,
    );
    let terminal = env.dhenara_at_terminal(&["run", "flow", "flow.yaml"]);
    talk(
        &terminal,
        &[
            ("who", "Ada\r"),
            ("greeting", "\x15good day\r"),
            ("times", "\x153\r"),
        ],
    );
    let AtEnd { screen, status, .. } = terminal.ends();
    assert_snapshot!(without_head(&screen), @"
    run_00000000_000000_000001
    ? flow_root asks for its input
      who Ada
      greeting good day
      times 3
      ✓ say                           [time]  1 command

    completed run_00000000_000000_000001 in [time]
      steps     1 completed
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 flow_root.say
    ");
    assert_eq!(status, "exit status: 0");
    let outcome = read_json(&env.last_run().join("flow_root/say/outcome.json"));
    assert_eq!(outcome["results"][0]["stdout"], "good day Ada 4\n");
}

/// Two commands that need approval.
const DANGEROUS: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: first, type: command, requires_approval: true, settings: { commands: [[echo, one]] } }
  - { node: second, type: command, requires_approval: true, settings: { commands: [[echo, two]] } }
"#;

#[test]
fn the_user_approves_changes_or_denies_at_the_terminal() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", DANGEROUS);
    let terminal = env.dhenara_at_terminal(&["run", "flow", "flow.yaml"]);
    // Another input is shown and asked about again.
    talk(
        &terminal,
        &[
            ("› do not execute it", DOWN),
            ("› change its input", ENTER),
            (
                "The input, as JSON",
                "\x7f\x7f{\"commands\": [[\"echo\", \"1\"]]}\r\r",
            ),
            ("› do not execute it", UP),
            ("› execute it", ENTER),
        ],
    );
    talk(
        &terminal,
        &[
            ("flow_root.second needs approval", ""),
            ("› do not execute it", ENTER),
            ("Why not?", "too many\r"),
        ],
    );
    let AtEnd { screen, status, .. } = terminal.ends();
    assert_snapshot!(without_head(&screen), @r#"
    run_00000000_000000_000001
    ? flow_root.first needs approval
      in [root]/project/runs/run_00000000_000000_000001
      $ echo one
      (what the programs themselves read is not covered)
    Shall it be executed? change its input
    The input, as JSON {"commands": [["echo", "1"]]}
    ? flow_root.first needs approval
      in [root]/project/runs/run_00000000_000000_000001
      $ echo 1
      (what the programs themselves read is not covered)
    Shall it be executed? execute it
      ✓ first                         [time]  1 command
    ? flow_root.second needs approval
      in [root]/project/runs/run_00000000_000000_000001
      $ echo two
      (what the programs themselves read is not covered)
    Shall it be executed? do not execute it
    Why not? too many
      ✗ second                        [time]
        it was not approved: too many
    ✗ flow_root failed

    failed run_00000000_000000_000001 in [time]
      steps     1 completed, 1 failed
      error     flow_root.second: it was not approved: too many
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 flow_root.second
      then      dhenara resume run_00000000_000000_000001
    "#);
    assert_eq!(status, "exit status: 1");
    let run = env.last_run();
    let outcome = read_json(&run.join("flow_root/first/outcome.json"));
    assert_eq!(outcome["results"][0]["stdout"], "1\n");
    let answers = records(&run, "answered");
    assert_eq!(
        answers.last().unwrap()["input"]["value"],
        json!({ "approve": false, "reason": "too many" })
    );
}

#[test]
fn keys_that_were_pressed_before_an_approval_was_asked_for_do_not_give_it() {
    let env = TestEnvironment::new();
    let flow = r#"schema_version: 1
kind: flow
variables: { who: you, how: loud }
pre_events: [component_input_required]
elements:
  - { node: first, type: command, requires_approval: true, settings: { commands: ["touch $var{project_root}/made"] } }
"#;
    env.write("flow.yaml", flow);
    let terminal = env.dhenara_at_terminal(&["run", "flow", "flow.yaml"]);
    // One Enter for each variable, and many more before the approval is asked for.
    terminal.shows("who").press(&ENTER.repeat(12));
    terminal.shows("› do not execute it").still();
    terminal.shows("› do not execute it").press(ENTER);
    terminal.shows("Why not?").press(ENTER);
    let AtEnd { status, .. } = terminal.ends();
    assert_eq!(status, "exit status: 1");
    assert!(!env.project().join("made").exists());
}

#[test]
fn keys_that_were_pressed_before_commands_were_shown_do_not_run_them() {
    let env = TestEnvironment::new();
    let flow = r#"schema_version: 1
kind: flow
variables: { who: you }
pre_events: [component_input_required]
elements:
  - { node: first, type: command, pre_events: [node_input_required], settings: { commands: ["touch $var{project_root}/made"] } }
"#;
    env.write("flow.yaml", flow);
    let terminal = env.dhenara_at_terminal(&["run", "flow", "flow.yaml"]);
    terminal.shows("who").press(&ENTER.repeat(12));
    terminal.shows("› run these").still();
    assert!(!env.project().join("made").exists());
    terminal.shows("› run these").press(ENTER);
    terminal.shows("environment variable").press(ENTER);
    let AtEnd { status, .. } = terminal.ends();
    assert_eq!(status, "exit status: 0");
    assert!(env.project().join("made").exists());
}
