//! People at a terminal: what a prompt shows, and what becomes of their keys.

use std::path::Path;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, read_json, records};
use crate::pty::{AtEnd, CTRL_C, CTRL_D, CTRL_G, DOWN, ENTER, Terminal, UP, editor};

/// The input of a step.
fn given(run: &Path) -> Value {
    let answered = records(run, "answered");
    assert_eq!(answered.len(), 1);
    answered[0]["input"]["value"].clone()
}

/// Gives each key when the screen shows what it is meant for.
#[track_caller]
pub(crate) fn talk(terminal: &Terminal<'_>, talk: &[(&str, &str)]) {
    for (shown, keys) in talk {
        terminal.shows(shown).press(keys);
    }
}

/// A screen without the head of the tree, which is printed a little later than it happens: on a busy machine behind the
/// prompt.
pub(crate) fn without_head(screen: &str) -> String {
    let lines: Vec<&str> = screen.lines().filter(|line| *line != "flow_root").collect();
    lines.join("\n")
}

fn node(name: &str, kind: &str, settings: &str) -> String {
    format!(
        "  - node: {name}\n    type: {kind}\n    pre_events: [node_input_required]\n    settings: {settings}\n"
    )
}

/// A project with a flow of one step that asks.
fn asking_flow(kind: &str, settings: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    let elements = node("ask", kind, settings);
    env.write(
        "flow.yaml",
        &format!("schema_version: 1\nkind: flow\nelements:\n{elements}"),
    );
    env
}

/// Two models without a server, and a prompt with variables of three kinds.
fn asking_model() -> TestEnvironment {
    let settings = "{ models: [local/tiny, local/big], prompt: { text: \"$var{who} $var{tone} $var{times}\", variables: \
                    { who: {}, tone: { default: plain, allowed: [plain, rude] }, times: { default: 3 } } } }";
    let env = asking_flow("ai_model_call", settings);
    let nowhere = "http://127.0.0.1:9/v1";
    let models = format!(
        "- {{ name: local/tiny, base_url: \"{nowhere}\" }}\n- {{ name: local/big, base_url: \"{nowhere}\" }}\n"
    );
    env.write(".dhenara/models.yaml", &models);
    env
}

const RUN: [&str; 3] = ["run", "flow", "flow.yaml"];

#[test]
fn the_handler_of_the_specification_asks() {
    let env = TestEnvironment::new();
    let terminal = env.asking("specification", &[]);
    assert_snapshot!(terminal.shows("to choose").still(), @"
    ? flow_root.code_generator asks for its input
      Which model?
      › echo/large
        echo/small
      ↑ ↓ to move, Enter to choose
    ");
    terminal.press(DOWN).press(ENTER).shows("Enter your query:");
    assert!(
        !terminal.is_as_before(),
        "keys come one by one while a prompt is open"
    );
    // Pasted text may have several lines; its line ends answer nothing.
    terminal
        .press("\x1b[200~Greet\nthe\x1b[201~")
        .press("m\x7f reader")
        .press(ENTER);
    let AtEnd {
        screen,
        stdout,
        status,
    } = terminal.ends();
    assert_snapshot!(screen, @"
    ? flow_root.code_generator asks for its input
      Which model? echo/small
    Enter your query: Greet the reader
    ✓ flow_root.code_generator [time]
    Task: Greet
    the reader
    ");
    assert_eq!(
        (stdout.as_str(), status.as_str()),
        ("completed\n", "exit status: 0")
    );
    let run = env.last_run();
    let expected = json!({
        "prompt_variables": { "task_description": "Greet\nthe reader" },
        "settings_override": { "models": ["echo/small"] },
    });
    assert_eq!(given(&run), expected);
    let outcome = read_json(&run.join("flow_root/code_generator/outcome.json"));
    assert_eq!(outcome["text"], "Task: Greet\nthe reader");
}

#[test]
fn a_wrong_answer_is_explained_and_asked_again() {
    let env = TestEnvironment::new();
    let terminal = env.asking("prompts", &[]);
    talk(&terminal, &[("Branch [main]", ENTER), ("How many? [3]", "11\r")]);
    assert_snapshot!(terminal.shows("type a number").still(), @"
    Branch main
    How many? [3] 11
      type a number from 1 to 10
    ");
    terminal.press("\x157\r").shows("Go on? [Y/n]").answer("perhaps");
    assert_snapshot!(terminal.shows("type y").still(), @"
    Branch main
    How many? 7
    Go on? [Y/n] perhaps
      type y for yes or n for no
    ");
    terminal
        .press("\x15no\r")
        .shows("Which colour?")
        .press(UP)
        .press(UP)
        .press(ENTER);
    assert_snapshot!(terminal.shows("Which days?").still(), @"
    Branch main
    How many? 7
    Go on? no
    Which colour? green
    Which days?
      › [ ] Monday
        [x] Tuesday
        [ ] Wednesday
      ↑ ↓ to move, Space to mark, Enter to go on
    ");
    terminal
        .press(" ")
        .press(DOWN)
        .press(" ")
        .press(DOWN)
        .press(" ")
        .press(ENTER);
    terminal.shows("Where?").answer("nowhere").shows("does not exist");
    // Tab completes from the entries that are there.
    terminal.press("\x15.dh\t").shows(".dhenara/").press(ENTER);
    terminal.shows("Tell me more:").press("one\rtwo\r");
    assert_snapshot!(terminal.shows("two").still(), @"
    Branch main
    How many? 7
    Go on? no
    Which colour? green
    Which days? Monday, Wednesday
    Where? .dhenara/
    Tell me more:
    one
    two

      an empty line or Ctrl-D ends the text
    ");
    terminal.press(ENTER).shows("Anything else?").press(ENTER);
    let AtEnd {
        screen,
        stdout,
        status,
    } = terminal.ends();
    assert_snapshot!(screen, @"
    Branch main
    How many? 7
    Go on? no
    Which colour? green
    Which days? Monday, Wednesday
    Where? .dhenara/
    Tell me more: one two
    almost done
    Anything else?
    ");
    assert_snapshot!(stdout, @r#"
    "main"
    7
    false
    1
    [0, 2]
    Some(".dhenara")
    "one\ntwo"
    ""
    "#);
    assert_eq!(status, "exit status: 0");
}

#[test]
fn long_texts_are_written_in_an_editor() {
    let env = TestEnvironment::new();
    let script = "test -t 1 && stty -a > \"$HOME/modes\"; case $1 in --flag) shift;; *) exit 9;; esac; cat \"$1\" > \"$HOME/begun\"; \
                  printf 'first line\\n\\nthird line\\n' > \"$1\"";
    let command = format!("{} --flag", editor(&env, script).display());
    let first = [
        ("Branch", ENTER),
        ("How many", ENTER),
        ("Go on", ENTER),
        ("Which colour?", ENTER),
        ("Which days?", ENTER),
        ("Where?", ".\r"),
    ];
    let terminal = env.asking("prompts", &[("EDITOR", &command)]);
    talk(&terminal, &first);
    terminal.shows("Anything else?").press(ENTER);
    let AtEnd { screen, stdout, .. } = terminal.ends();
    assert!(stdout.contains(r#""first line\n\nthird line""#), "{stdout}");
    assert!(
        screen.contains("Tell me more: in [root]/project/editor.sh --flag …"),
        "{screen}"
    );
    let modes = std::fs::read_to_string(env.path("home/modes")).unwrap();
    assert!(
        modes.contains(" icanon"),
        "the editor has a terminal as it was: {modes}"
    );
    assert_eq!(
        std::fs::read_dir(env.path("tmp")).unwrap().count(),
        0,
        "no file is left behind"
    );

    // `VISUAL` comes first; if it fails, the text is typed.
    let terminal = env.asking("prompts", &[("EDITOR", &command), ("VISUAL", "exit 3;")]);
    talk(&terminal, &first);
    terminal
        .shows("an empty line or Ctrl-D")
        .press("typed")
        .press(ENTER)
        .press(CTRL_D);
    terminal.shows("Anything else?").press(ENTER);
    let AtEnd { screen, stdout, .. } = terminal.ends();
    assert!(
        screen.contains("the editor `exit 3;` ended with exit status: 3; type it here instead"),
        "{screen}"
    );
    assert!(stdout.contains(r#""typed""#), "{stdout}");
}

#[test]
fn a_variable_is_written_in_an_editor() {
    let env = asking_model();
    let script = editor(
        &env,
        "cat \"$1\" > \"$HOME/begun\"; echo 'written in peace' > \"$1\"",
    );
    let terminal = env.at_terminal(
        env!("CARGO_BIN_EXE_dhenara-under-test"),
        &RUN,
        &[("VISUAL", script.to_str().unwrap())],
    );
    terminal
        .shows("Which model?")
        .press(ENTER)
        .shows("Ctrl-G opens")
        .press("begun")
        .press(CTRL_G);
    talk(&terminal, &[("tone?", ENTER), ("times:", ENTER)]);
    terminal.ends();
    assert_eq!(std::fs::read_to_string(env.path("home/begun")).unwrap(), "begun");
    assert_eq!(
        given(&env.last_run())["prompt_variables"],
        json!({ "who": "written in peace" })
    );
}

#[test]
fn steps_that_ask_at_the_same_time_are_asked_one_after_the_other() {
    let env = TestEnvironment::new();
    let terminal = env.asking("parallel", &[]);
    terminal.shows("asks for its input");
    // The person thinks while the other branch executes, and nothing is written into the prompt.
    terminal
        .press("A")
        .wait("the other branch goes on", |_| env.path("home/beside").exists());
    std::thread::sleep(std::time::Duration::from_millis(500));
    let first = terminal.screen();
    assert_eq!(first.matches("asks for its input").count(), 1, "{first}");
    assert!(first.ends_with("name: A") && !first.contains("✓"), "{first}");
    terminal.answer("da").wait("the second is asked", |terminal| {
        terminal.screen().matches("asks for its input").count() == 2
    });
    terminal.press("Grace").shows("name: Grace");
    let second = terminal.screen();
    assert!(second.ends_with("name: Grace"), "{second}");
    terminal.press(ENTER).wait("both go on", |terminal| {
        let screen = terminal.screen();
        screen.contains("✓ left") && screen.contains("✓ right")
    });
    env.write("../home/go", "");
    let AtEnd { screen, stdout, .. } = terminal.ends();
    assert_eq!(stdout, "completed\n");
    // Every line of the tree is there, whole and once.
    for line in ["✓ left", "✓ right", "first ", "second ", "third "] {
        assert_eq!(screen.matches(line).count(), 1, "{line}: {screen}");
    }
    let run = env.last_run();
    for (step, other) in [("left", "right"), ("right", "left")] {
        let outcome = read_json(&run.join(format!("flow_root/both/{step}/outcome.json")));
        let text = outcome["text"].as_str().unwrap();
        let asked_first = first.contains(&format!("both.{step} asks"));
        assert_eq!(
            text,
            format!("{} is {step}", if asked_first { "Ada" } else { "Grace" }),
            "not {other}"
        );
    }
}

#[test]
fn a_prompt_whose_question_is_dropped_goes() {
    let env = TestEnvironment::new();
    let terminal = env.asking("slow", &[]);
    // What was typed of the answer is gone with its prompt; the next one has keys of its own.
    terminal.shows("Quick:").shows("Take your time:").answer("here");
    let AtEnd { screen, stdout, .. } = terminal.ends();
    assert_snapshot!(screen, @"
    Quick:
    Take your time: here
    ");
    assert_eq!(stdout, "too late\nhere\n");
}

#[test]
fn ctrl_c_ends_a_program_that_does_not_listen_to_it() {
    let env = TestEnvironment::new();
    // What a process leaves that ends by itself.
    env.is_checked();
    let terminal = env.asking("specification", &[]);
    terminal.shows("Which model?").press(CTRL_C);
    assert_eq!(terminal.ends().status, "signal: 2 (SIGINT)");
}

#[test]
fn ctrl_c_at_a_prompt_stops_the_run() {
    let env = asking_model();
    let terminal = env.dhenara_at_terminal(&RUN);
    terminal.shows("to choose").press(CTRL_C);
    let AtEnd {
        screen,
        stdout,
        status,
    } = terminal.ends();
    assert_snapshot!(without_head(&screen), @"
    run_00000000_000000_000001
    ? flow_root.ask asks for its input
      Which model?
      › local/tiny
        local/big
      ↑ ↓ to move, Enter to choose
    stopping the run; press Ctrl-C again to end at once
    ✗ flow_root cancelled

    cancelled run_00000000_000000_000001 in [time]
      steps     0 completed
      asks      flow_root.ask
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara resume run_00000000_000000_000001
    ");
    assert_eq!((stdout.as_str(), status.as_str()), ("", "exit status: 130"));
}

#[test]
fn a_signal_while_a_prompt_is_open_stops_the_run() {
    let env = asking_model();
    let terminal = env.dhenara_at_terminal(&RUN);
    terminal.shows("to choose").signal("TERM");
    let AtEnd { screen, status, .. } = terminal.ends();
    assert!(screen.contains("cancelled run_"), "{screen}");
    assert_eq!(status, "exit status: 130");
}

#[test]
fn at_the_end_of_input_the_run_waits_and_is_answered_at_the_terminal() {
    let env = asking_model();
    let terminal = env.dhenara_at_terminal(&RUN);
    terminal.shows("to choose").press(CTRL_D);
    let AtEnd { screen, status, .. } = terminal.ends();
    assert_snapshot!(without_head(&screen), @r#"
    run_00000000_000000_000001
    ? flow_root.ask asks for its input
      Which model?
      › local/tiny
        local/big
      ↑ ↓ to move, Enter to choose

    waiting run_00000000_000000_000001 in [time]
      steps     0 completed
      asks      flow_root.ask
      artifacts [root]/project/runs/run_00000000_000000_000001
      next
        dhenara answer run_00000000_000000_000001 --input '{"prompt_variables":{"who":"…","tone":"plain"
    ,"times":3}}'
    "#);
    assert_eq!(status, "exit status: 3");

    let terminal = env.dhenara_at_terminal(&["answer", "last", "--no-resume"]);
    let who = ("who:", "\r");
    let answers = [
        ("to choose", UP),
        ("› local/big", ENTER),
        who,
        ("type something", "Ada\r"),
        ("tone?", DOWN),
        ("› rude", ENTER),
    ];
    talk(&terminal, &answers);
    terminal.shows("times: [3]").answer("x");
    assert_snapshot!(terminal.shows("type a number").still(), @"
    ? flow_root.ask asks for its input
      Which model? local/big
      who: Ada
      tone? rude
      times: [3] x
      type a number
    ");
    terminal.press("\x154\r");
    let AtEnd { stdout, status, .. } = terminal.ends();
    assert_snapshot!(stdout, @"answered flow_root.ask of run_00000000_000000_000001; `dhenara resume run_00000000_000000_000001` resumes the run with it");
    assert_eq!(status, "exit status: 0");

    // It is not asked again for what has been answered.
    let terminal = env.dhenara_at_terminal(&["resume", "last"]);
    let screen = terminal.ends().screen;
    assert!(!screen.contains("asks for its input"), "{screen}");
    let expected = json!({
        "prompt_variables": { "who": "Ada", "tone": "rude", "times": 4 },
        "settings_override": { "models": ["local/big"] },
    });
    assert_eq!(given(&env.last_run()), expected);
}

#[test]
fn there_is_no_prompt_without_a_terminal_or_with_no_input() {
    let env = asking_model();
    let terminal = env.dhenara_at_terminal(&["run", "flow", "flow.yaml", "--no-input"]);
    let AtEnd { screen, status, .. } = terminal.ends();
    assert!(
        screen.contains("waits for an answer") && !screen.contains("Which model?"),
        "{screen}"
    );
    assert_eq!(status, "exit status: 3");
    let answer = env.dhenara_at_terminal(&["answer", "last", "--no-input"]).ends();
    assert!(
        answer.screen.contains("no answer is given for `flow_root.ask`"),
        "{}",
        answer.screen
    );
    assert_eq!(answer.status, "exit status: 2");
    // Where the terminal cannot move its cursor.
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    assert_eq!(
        env.at_terminal(program, &RUN, &[("TERM", "dumb")]).ends().status,
        "exit status: 3"
    );
    // The handler of the specification gets that error.
    let command = &mut env.command(env!("CARGO_BIN_EXE_asking"), &env.project());
    let asked = command.arg(env.project()).arg("prompts").output().unwrap();
    assert_eq!(
        String::from_utf8(asked.stderr).unwrap(),
        "there is no terminal to ask at: standard input and standard error must be one\n"
    );
}

#[test]
fn a_command_is_asked_for() {
    let env = asking_flow(
        "command",
        "{ commands: [[echo, hello], \"echo $WHO\"], allow_generated: true }",
    );
    let terminal = env.dhenara_at_terminal(&RUN);
    terminal.shows("to choose").press(DOWN).press(ENTER);
    talk(
        &terminal,
        &[
            ("command for the shell:", "echo \"to $WHO\"\r"),
            ("and another", ENTER),
        ],
    );
    talk(
        &terminal,
        &[
            ("environment variable", "Ada\r"),
            ("write NAME=VALUE", "\x15WHO=Ada\r"),
            ("go on): WHO=Ada\n", ENTER),
        ],
    );
    let AtEnd { screen, status, .. } = terminal.ends();
    assert_snapshot!(without_head(&screen), @r#"
    run_00000000_000000_000001
    ? flow_root.ask asks for its input
      $ echo hello
      $ echo $WHO
      Which commands? run others
      command for the shell: echo "to $WHO"
      and another (empty to go on):
      environment variable as NAME=VALUE (empty to go on): WHO=Ada
      environment variable as NAME=VALUE (empty to go on):
      ✓ ask                           [time]  1 command

    completed run_00000000_000000_000001 in [time]
      steps     1 completed
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 flow_root.ask
    "#);
    assert_eq!(status, "exit status: 0");
    let outcome = read_json(&env.last_run().join("flow_root/ask/outcome.json"));
    assert_eq!(outcome["results"][0]["stdout"], "to Ada\n");
}

#[test]
fn an_analysis_is_asked_for() {
    let env = asking_flow("folder_analyzer", "{ base_directory: \"$var{project_root}\" }");
    env.write("notes/a.md", "two words");
    let terminal = env.dhenara_at_terminal(&RUN);
    terminal
        .shows("Base directory [$var{project_root}]")
        .answer("nowhere")
        .shows("does not exist");
    terminal.press("\x15.\r").shows("to choose").press(ENTER);
    talk(
        &terminal,
        &[
            ("Path in it", "nope\r"),
            ("there is no `nope`", "\x15notes\r"),
            ("How much", ENTER),
        ],
    );
    talk(
        &terminal,
        &[
            ("git ignores", ENTER),
            ("hidden", "y\r"),
            ("Set more", "y\r"),
            ("patterns", "*.log, tmp\r"),
        ],
    );
    talk(
        &terminal,
        &[
            ("max_depth", "deep\r"),
            ("type a number from 1", "\x152\r"),
            ("max_file_size", "10\r"),
        ],
    );
    talk(
        &terminal,
        &[
            ("max_words", ENTER),
            ("max_total", ENTER),
            ("Another operation?", ENTER),
        ],
    );
    let AtEnd { screen, status, .. } = terminal.ends();
    assert_snapshot!(without_head(&screen), @"
    run_00000000_000000_000001
    ? flow_root.ask asks for its input
      Base directory .
      What is to be done? analyze_folder
      Path in it, or several with commas notes
      How much is read? full
      Leave out what git ignores? yes
      Look at hidden files? y
      Set more (depth, patterns, limits)? y
      more patterns to leave out, with commas (empty for none): *.log, tmp
      max_depth (empty for all): 2
      max_file_size in KiB (empty for 1024): 10
      max_words_per_file (empty for all):
      max_total_words (empty for all):
      Another operation? no
      ✓ ask                           [time]  1 of 1 operations, 2 words

    completed run_00000000_000000_000001 in [time]
      steps     1 completed
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 flow_root.ask
    ");
    assert_eq!(status, "exit status: 0");
    let operation = json!({
        "operation_type": "analyze_folder", "path": "notes", "content_read_mode": "full", "max_depth": 2,
        "respect_gitignore": true, "exclude_patterns": ["*.log", "tmp"], "include_hidden": true, "max_file_size": 10240,
    });
    let expected =
        json!({ "settings_override": { "base_directory": env.project(), "operations": [operation] } });
    assert_eq!(given(&env.last_run()), expected);
}

#[test]
fn file_operations_are_asked_for() {
    let settings =
        "{ base_directory: \"$var{project_root}\", operations: [{ type: delete_file, path: gone.md }] }";
    let env = asking_flow("file_operation", settings);
    let begin = [
        ("Base directory [$var{project_root}]", ENTER),
        ("Which operations?", DOWN),
        ("› others", ENTER),
    ];
    let terminal = env.dhenara_at_terminal(&RUN);
    talk(&terminal, &begin);
    assert_snapshot!(without_head(&terminal.shows("create_file").still()), @"
    run_00000000_000000_000001
    ? flow_root.ask asks for its input
      Base directory $var{project_root}
      Which operations? others
      What is to be done?
      › create_file               give a file its content
        edit_file                 replace texts in a file
        delete_file               remove a file
        move_file                 move or rename a file
        create_directory          make a directory
        delete_directory          remove a directory with everything in it
        list_directory            list a directory
        search_files              find what has a name
        get_file_info             say what stands under a path
        list_allowed_directories  say which directories may be changed
      ↑ ↓ to move, Enter to choose
    ");
    talk(
        &terminal,
        &[
            ("to choose", ENTER),
            ("path:", "../a.md\r"),
            ("without `..`", "\x15a.md\r"),
            ("content:", "one\rtwo\r\r"),
        ],
    );
    talk(
        &terminal,
        &[
            ("Another operation?", "y\r"),
            ("edit_file", DOWN),
            ("› edit_file", ENTER),
            ("to be done? edit_file", "a.md\r"),
        ],
    );
    talk(
        &terminal,
        &[
            ("old_text", "two\r\r"),
            ("new_text", "\x7fe third\r\r"),
            ("Another replacement?", ENTER),
        ],
    );
    let search = UP.repeat(3);
    talk(
        &terminal,
        &[
            ("Another operation? [y/N]", "y\r"),
            ("› create_file", &search),
            ("› search_files", ENTER),
            ("or a pattern:", "A.M\r"),
            ("path: [.]", ENTER),
        ],
    );
    terminal.shows("Another operation? [y/N]").press(ENTER);
    let AtEnd { screen, status, .. } = terminal.ends();
    assert_snapshot!(without_head(&screen), @"
    run_00000000_000000_000001
    ? flow_root.ask asks for its input
      Base directory $var{project_root}
      Which operations? others
      What is to be done? create_file
      path: a.md
      content: one two
      Another operation? y
      What is to be done? edit_file
      path: a.md
      old_text, which stands there once: two
      new_text: twe third
      Another replacement? no
      Another operation? y
      What is to be done? search_files
      a part of the name, or a pattern: A.M
      path: .
      Another operation? no
      ✓ ask                           [time]  3 operations

    completed run_00000000_000000_000001 in [time]
      steps     1 completed
      changed   in [root]/project
                created a.md
                edited a.md
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 flow_root.ask
    ");
    assert_eq!(status, "exit status: 0");
    assert_eq!(
        std::fs::read_to_string(env.project().join("a.md")).unwrap(),
        "one\ntwe third\n"
    );
}

#[test]
fn a_node_of_ones_own_is_asked_for_by_its_schema() {
    let env = TestEnvironment::new();
    let terminal = env.asking("own", &[]);
    talk(
        &terminal,
        &[
            ("name:", "Ada\r"),
            ("times:", "10\r"),
            ("type a whole number from 1 to 9", "\x152\r"),
            ("leave it out", UP),
            ("› false", UP),
            ("› true", ENTER),
            ("tone?", DOWN),
            ("› cold", ENTER),
        ],
    );
    talk(
        &terminal,
        &[
            ("titles, as JSON", "\x15[\"Countess\"\r"),
            ("this is no JSON", "]\r"),
            ("settings_override", ENTER),
        ],
    );
    let AtEnd { screen, stdout, .. } = terminal.ends();
    assert_snapshot!(screen, @r#"
    ? flow_root.greet asks for its input
      The person who is greeted.
      name: Ada
      times: 2
      loud? true
      tone? cold
      titles, as JSON: ["Countess"]
      settings_override, as JSON (empty for none):
    "#);
    assert_eq!(stdout, "completed\n");
    let expected = json!({ "name": "Ada", "times": 2, "loud": true, "tone": "cold", "titles": ["Countess"] });
    assert_eq!(given(&env.last_run()), expected);
}

#[test]
fn what_is_typed_ahead_answers_the_next_questions() {
    let env = TestEnvironment::new();
    let terminal = env.asking("own", &[]);
    terminal.shows("name:").press("Ada\r2\r\r\r\r\r");
    let AtEnd { screen, stdout, .. } = terminal.ends();
    assert_eq!(stdout, "completed\n");
    // Nothing is echoed beside the prompts.
    assert_snapshot!(screen, @"
    ? flow_root.greet asks for its input
      The person who is greeted.
      name: Ada
      times: 2
      loud? leave it out
      tone? warm
      titles, as JSON: []
      settings_override, as JSON (empty for none):
    ");
}

#[test]
fn what_a_previous_run_had_been_given_is_offered() {
    let env = TestEnvironment::new();
    let terminal = env.asking("again", &[]);
    talk(
        &terminal,
        &[
            ("› echo/small", ENTER),
            ("who: [Ada]", ENTER),
            ("› rude", ENTER),
            ("times: [2]", "3\r"),
        ],
    );
    let given: Value = serde_json::from_str(&terminal.ends().stdout).unwrap();
    let expected = json!({
        "prompt_variables": { "who": "Ada", "tone": "rude", "times": 3 },
        "settings_override": { "models": ["echo/small"], "model_call_config": { "max_output_tokens": 10 } },
    });
    assert_eq!(given, expected);
}
