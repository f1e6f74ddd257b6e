//! Refusals before anything is made: exit code 2, a message that names the nearest valid thing, and no new file
//! or directory, not even a run root.

use dhenara::{FlowBuilder, RunId, SetupError};

use crate::harness::TestEnvironment;
use crate::nodes::{TalkerSettings, context};

const AGENT: &str = r#"schema_version: 1
kind: agent
root_id: greeter_root
variables: { name: world }
elements:
  - flow: first
    elements:
      - { node: greet, type: command, settings: { commands: [[echo, "Hello, $expr{name}!"]] } }
      - { node: code_ops, type: command, settings: { commands: [[echo, one]] } }
  - flow: second
    elements:
      - { node: greet, type: command, settings: { commands: [[echo, two]] } }
"#;

/// A project with one agent.
fn project() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("agents/greeter/agent.yaml", AGENT);
    env
}

/// The same with one run of it.
fn project_with_run() -> TestEnvironment {
    let env = project();
    let _ = env.run(&["run", "agent", "greeter"]).expect(0);
    env
}

const GREETER: [&str; 3] = ["run", "agent", "greeter"];

#[track_caller]
fn refused(env: &TestEnvironment, more: &[&str]) -> crate::harness::CommandOutput {
    env.refused(&[&GREETER, more].concat())
}

/// A project whose flow file has these elements.
fn flow(elements: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &format!("schema_version: 1\nkind: flow\nelements:\n{elements}"),
    );
    env
}

const FLOW: [&str; 3] = ["run", "flow", "flow.yaml"];

#[test]
fn an_agent_that_is_not_there() {
    let env = project();
    insta::assert_snapshot!(env.refused(&["run", "agent", "greter"]), @"
    ---- stderr
    error[unknown_agent]: there is no agent `greter` in `[root]/project`
      hint: did you mean `greeter`?
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.refused(&["run", "agent", "../greeter"]), @"
    ---- stderr
    error[agent_name]: the name of the definition: `../greeter` contains '.'; an id is made of letters, digits and `_`
    ---- exit code 2
    ");
    let empty = TestEnvironment::new();
    insta::assert_snapshot!(empty.refused(&["run", "agent", "greeter"]), @"
    ---- stderr
    error[unknown_agent]: there is no agent `greeter` in `[root]/project`
      hint: `dhenara new agent greeter` makes one
    ---- exit code 2
    ");
}

#[test]
fn a_project_that_cannot_be_read() {
    let env = project();
    insta::assert_snapshot!(refused(&env, &["--project-root", "nowhere"]), @"
    ---- stderr
    error[project]: `nowhere` is not a project directory: No such file or directory (os error 2)
      hint: `dhenara init nowhere` makes a project there
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&env, &["--project-root", "agents/greeter/agent.yaml"]), @"
    ---- stderr
    error[project]: `agents/greeter/agent.yaml` is not a project directory: Not a directory (os error 20)
      hint: name the project by `--project-root DIR`
    ---- exit code 2
    ");
    let outside = TestEnvironment::without_project();
    insta::assert_snapshot!(outside.refused(&GREETER), @"
    ---- stderr
    error[project]: `[root]/project` is not a project directory: neither it nor a directory above it holds `.dhenara`
      hint: `dhenara init` makes a project here; `--project-root DIR` names another one
    ---- exit code 2
    ");
}

#[test]
fn a_flow_that_cannot_be_read() {
    let env = project();
    insta::assert_snapshot!(env.refused(&["run", "flow", "nowhere.yaml"]), @"
    ---- stderr
    error[unreadable]: `nowhere.yaml` cannot be read: No such file or directory (os error 2)
      hint: name a file that is there, or a definition that `dhenara agents` lists
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.refused(&["run", "flow", "agents/greeter/agent.yaml"]), @"
    ---- stderr
    error[wrong_kind]: `agents/greeter/agent.yaml` is an agent
      hint: use `dhenara run agent NAME`
    ---- exit code 2
    ");
}

#[test]
fn a_previous_run_that_is_not_there() {
    let env = project_with_run();
    insta::assert_snapshot!(refused(&env, &["--previous-run-id", "nothing_like_it"]), @"
    ---- stderr
    error[unknown_run]: there is no run `nothing_like_it`
      hint: `dhenara runs list` shows the runs there are
    ---- exit code 2
    ");
    let id = env.last_run().file_name().unwrap().to_string_lossy().into_owned();
    let near = format!("{}x", &id[..id.len() - 1]);
    let output = refused(&env, &["--previous-run-id", &near]);
    assert!(
        output.stderr.contains(&format!("did you mean `{id}`?")),
        "{output}"
    );
    insta::assert_snapshot!(refused(&project(), &["--previous-run-id", "last"]), @"
    ---- stderr
    error[unknown_run]: there is no previous run of this component
      hint: `dhenara runs list` shows the runs there are
    ---- exit code 2
    ");
}

#[test]
fn a_previous_run_of_another_definition() {
    let env = project_with_run();
    env.write(
        "agents/other/agent.yaml",
        &AGENT.replace("greeter_root", "other_root"),
    );
    let id = env.last_run().file_name().unwrap().to_string_lossy().into_owned();
    insta::assert_snapshot!(env.refused(&["run", "agent", "other", "--previous-run-id", &id]), @"
    ---- stderr
    error[other_root]: `run_00000000_000000_000001` is a run of `greeter_root`, not of `other_root`
    ---- exit code 2
    ");
}

#[test]
fn an_entry_point_that_names_no_step() {
    let env = project_with_run();
    let at = |entry| refused(&env, &["--previous-run-id", "last", "--entry-point", entry]);
    insta::assert_snapshot!(at("cod_ops"), @"
    ---- stderr
    error[unknown_entry_point]: the entry point cannot be used: `cod_ops` names no step or component; did you mean `greeter_root.first.code_ops`?
    ---- exit code 2
    ");
    // An end of an id is no end of a path, but what was meant.
    insta::assert_snapshot!(at("ops"), @"
    ---- stderr
    error[unknown_entry_point]: the entry point cannot be used: `ops` names no step or component; did you mean `greeter_root.first.code_ops`?
    ---- exit code 2
    ");
    insta::assert_snapshot!(at("greet"), @"
    ---- stderr
    error[ambiguous_entry_point]: the entry point cannot be used: `greet` is ambiguous; it may mean greeter_root.first.greet, greeter_root.second.greet
    ---- exit code 2
    ");
    insta::assert_snapshot!(at("first/greet"), @"
    ---- stderr
    error[path]: `first/greet` is not a hierarchy path: `first/greet` contains '/'; an id is made of letters, digits and `_`
    ---- exit code 2
    ");
}

#[test]
fn an_entry_point_without_a_previous_run() {
    insta::assert_snapshot!(refused(&project_with_run(), &["--entry-point", "first.greet"]), @"
    ---- stderr
    error[entry_point_without_previous_run]: the entry point `first.greet` needs a previous run
      hint: name it by `--previous-run-id RUN|last`
    ---- exit code 2
    ");
}

#[test]
fn an_entry_point_after_a_step_without_a_result() {
    let env = project();
    env.write(
        "agents/greeter/agent.yaml",
        &AGENT.replace("[echo, one]", "[sh, -c, exit 1]"),
    );
    let _ = env.run(&GREETER).expect(1);
    let more = ["--previous-run-id", "last", "--entry-point", "second.greet"];
    insta::assert_snapshot!(refused(&env, &more), @"
    ---- stderr
    error[nothing_to_reuse]: `greeter_root.first.code_ops` lies before the entry point but is failed in `run_00000000_000000_000001`
      hint: use `--entry-point greeter_root.first.code_ops` to start there
    ---- exit code 2
    ");
}

#[test]
fn a_misspelt_key() {
    let env = project();
    env.write(
        "agents/greeter/agent.yaml",
        &AGENT.replacen("settings:", "setings:", 1),
    );
    insta::assert_snapshot!(refused(&env, &[]), @r#"
    ---- stderr
    agents/greeter/agent.yaml:8:39: error[unknown_key]: unknown key `setings`
      |
    8 |       - { node: greet, type: command, setings: { commands: [[echo, "Hello, $expr{name}!"]] } }
      |                                       ^^^^^^^
      = hint: did you mean `settings`?
    ---- exit code 2
    "#);
    env.write(
        "agents/greeter/agent.yaml",
        &AGENT.replacen("commands:", "comands:", 1),
    );
    insta::assert_snapshot!(refused(&env, &[]), @r#"
    ---- stderr
    agents/greeter/agent.yaml:8:51: error[unknown_key]: unknown key `comands`
      |
    8 |       - { node: greet, type: command, settings: { comands: [[echo, "Hello, $expr{name}!"]] } }
      |                                                   ^^^^^^^
      = hint: did you mean `commands`?
    ---- exit code 2
    "#);
}

#[test]
fn ids_that_cannot_be_distinguished() {
    let step =
        |id: &str| format!("  - {{ node: {id}, type: command, settings: {{ commands: [[\"true\"]] }} }}\n");
    let same = flow(&(step("greet") + &step("greet")));
    insta::assert_snapshot!(same.refused(&FLOW), @r#"
    ---- stderr
    flow.yaml:5:13: error[duplicate_id]: the id `greet` occurs twice among its siblings
      |
    5 |   - { node: greet, type: command, settings: { commands: [["true"]] } }
      |             ^^^^^
      = hint: give one of the two another id
    ---- exit code 2
    "#);
    let case = flow(&(step("greet") + &step("Greet")));
    insta::assert_snapshot!(case.refused(&FLOW), @r#"
    ---- stderr
    flow.yaml:5:13: error[duplicate_id]: the ids `greet` and `Greet` differ only in case
      |
    5 |   - { node: Greet, type: command, settings: { commands: [["true"]] } }
      |             ^^^^^
      = hint: ids are names of directories, which some systems compare without case
    ---- exit code 2
    "#);
}

#[test]
fn ids_that_mean_something_else() {
    let ids = [
        "iter_0",
        "is_true",
        "is_false",
        "previous",
        "last",
        "static_inputs",
        "con",
        "a/b",
        "..",
        "a.b",
        ".run",
    ];
    let step =
        |id: &str| format!("  - {{ node: {id:?}, type: command, settings: {{ commands: [[\"true\"]] }} }}\n");
    for id in ids {
        let output = flow(&step(id)).refused(&FLOW);
        assert!(output.stderr.contains(id), "{output}");
    }
    insta::assert_snapshot!(flow(&step("iter_0")).refused(&FLOW), @r#"
    ---- stderr
    flow.yaml:4:13: error[invalid_id]: `iter_0` is reserved; choose another id
      |
    4 |   - { node: "iter_0", type: command, settings: { commands: [["true"]] } }
      |             ^^^^^^^^
    ---- exit code 2
    "#);
    insta::assert_snapshot!(flow(&step("../../escape")).refused(&FLOW), @r#"
    ---- stderr
    flow.yaml:4:13: error[invalid_id]: `../../escape` contains '.'; an id is made of letters, digits and `_`
      |
    4 |   - { node: "../../escape", type: command, settings: { commands: [["true"]] } }
      |             ^^^^^^^^^^^^^^
    ---- exit code 2
    "#);
    let root = TestEnvironment::new();
    root.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nroot_id: ../escape\nelements: []\n",
    );
    let output = root.refused(&FLOW);
    assert!(output.stderr.contains("../escape"), "{output}");
}

#[test]
fn variables_that_do_not_fit() {
    let env = project();
    env.write(
        "agents/greeter/agent.yaml",
        &AGENT.replace("variables:", "required: [task]\nvariables:"),
    );
    insta::assert_snapshot!(refused(&env, &[]), @"
    ---- stderr
    error[missing_variable]: the variable `task` is required and was not given
      hint: give it by `--var task=…` or `--var task=@FILE`
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&env, &["--var", "task=x", "--var", "nam=Ada"]), @"
    ---- stderr
    error[unknown_variable]: there is no variable `nam`; did you mean `name`?
      hint: the variables are task, name
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&env, &["--var", "task"]), @"
    ---- stderr
    error[option]: `--var task` has no name and value
      hint: write `--var NAME=VALUE` or `--var NAME=@FILE`
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&env, &["--var", "task=@nowhere.md"]), @"
    ---- stderr
    error[unreadable]: `--var`: `nowhere.md` cannot be read: No such file or directory (os error 2)
      hint: a path is relative to the current directory, `[root]/project`
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&env, &["--var-json", "task={"]), @"
    ---- stderr
    error[option]: `--var-json`: `{` is not JSON: it ends within an object at line 1 column 1
      hint: close each `[` and `{`, write keys and texts in double quotes, and put all of it into single quotes
    ---- exit code 2
    ");
}

#[test]
fn inputs_that_do_not_fit() {
    let env = project();
    env.write("inputs.json", r#"{ "first.gret": { "env_vars": {} } }"#);
    insta::assert_snapshot!(refused(&env, &["--static-inputs", "inputs.json"]), @r"
    ---- stderr
    error[unknown_input]: the input from `inputs.json` cannot be placed: `first.gret` names no step or component; did you mean `greeter_root.first.greet`?
    ---- exit code 2
    ");
    env.write("inputs.json", r#"{ "first.greet": { "env_vars": { "A": 1 } } }"#);
    insta::assert_snapshot!(refused(&env, &["--static-inputs", "inputs.json"]), @"
    ---- stderr
    error[invalid_input]: the input of `greeter_root.first.greet` from `inputs.json` does not fit: `env_vars.A`: expected a text, found `1`
    ---- exit code 2
    ");
    env.write("inputs.json", r#"{ "first.greet": "#);
    insta::assert_snapshot!(refused(&env, &["--static-inputs", "inputs.json"]), @"
    ---- stderr
    error[input_file]: `inputs.json` cannot be used: it must be an object of inputs by step: it ends where a value is expected at line 1 column 17
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&env, &["--static-inputs", "nowhere.json"]), @"
    ---- stderr
    error[input_file]: `nowhere.json` cannot be used: No such file or directory (os error 2)
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&env, &["--input", r#"first.greet={"env_var": {}}"#]), @"
    ---- stderr
    error[invalid_input]: the input of `greeter_root.first.greet` from --input does not fit: `env_var`: unknown field `env_var`, expected one of `env_vars`, `commands`, `settings_override`
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&env, &["--input", "greet={}"]), @r"
    ---- stderr
    error[unknown_input]: the input from --input cannot be placed: `greet` is ambiguous; it may mean greeter_root.first.greet, greeter_root.second.greet
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&env, &["--input", "zzz={}"]), @r"
    ---- stderr
    error[unknown_input]: the input from --input cannot be placed: `zzz` names no step or component; there are greeter_root, greeter_root.first, greeter_root.first.greet, greeter_root.first.code_ops, greeter_root.second, greeter_root.second.greet
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&env, &["--input", "first.greet"]), @"
    ---- stderr
    error[option]: `--input first.greet` has no path and value
      hint: write `--input PATH=JSON` or `--input PATH=@FILE`
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&env, &["--input", "first.greet=echo"]), @r#"
    ---- stderr
    error[option]: `--input`: `echo` is not JSON: a JSON value is expected at line 1 column 1
      hint: write a text in double quotes inside single quotes: '"text"'
    ---- exit code 2
    "#);
}

#[test]
fn an_input_directory_that_is_not_there() {
    let env = project();
    let output = refused(&env, &["--input-dir", "nowhere"]);
    assert!(output.stderr.contains("`nowhere`"), "{output}");
}

#[test]
fn an_environment_that_is_not_there() {
    let env = project();
    env.write(
        ".dhenara/config.yaml",
        "environments: { default: {}, offline: {} }\n",
    );
    insta::assert_snapshot!(refused(&env, &["--env", "ofline"]), @"
    ---- stderr
    error[unknown_environment]: there is no environment `ofline` in `[root]/project/.dhenara/config.yaml`
      hint: did you mean `offline`?
    ---- exit code 2
    ");
    env.write(
        ".dhenara/config.yaml",
        "environments: { offline: { casette: tape } }\n",
    );
    insta::assert_snapshot!(refused(&env, &["--env", "offline"]), @"
    ---- stderr
    [root]/project/.dhenara/config.yaml:1:28: error[unknown_key]: unknown key `casette`
      |
    1 | environments: { offline: { casette: tape } }
      |                            ^^^^^^^
      = hint: did you mean `cassette`?
    ---- exit code 2
    ");
}

#[test]
fn a_run_root_that_cannot_be_written() {
    let env = project();
    env.write("runs", "this is a file");
    insta::assert_snapshot!(refused(&env, &[]), @"
    ---- stderr
    error[run_root]: cannot make a run in `[root]/project/runs`: cannot create the directory `[root]/project/runs`: File exists (os error 17)
      hint: choose another place by `--run-root DIR`
    ---- exit code 2
    ");
}

#[test]
fn a_run_root_that_leads_elsewhere() {
    let env = project();
    insta::assert_snapshot!(refused(&env, &["--run-root-subpath", "../elsewhere"]), @"
    ---- stderr
    error[run_root_subpath]: `../elsewhere` is not a relative path inside the run root
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&env, &["--run-id-prefix", "../elsewhere"]), @"
    ---- stderr
    error[run_id_prefix]: the run id prefix `../elsewhere` cannot be used: it is made of letters, digits, `_` and `-`, starts with a letter or digit, holds no key, and the id with it is at most 200 bytes long
    ---- exit code 2
    ");
}

#[tokio::test]
async fn a_run_id_that_is_taken() {
    let env = TestEnvironment::new();
    let flow = FlowBuilder::new()
        .node("one", TalkerSettings::node("x"))
        .build()
        .unwrap();
    let id: RunId = "by_hand".parse().unwrap();
    let set_up = || {
        context("flow_root", &env.project())
            .run_id(id.clone())
            .build()
            .unwrap()
            .setup_run(&flow)
    };
    let first = set_up().unwrap();
    let error = set_up().unwrap_err();
    assert!(matches!(error.setup(), Some(SetupError::RunExists(_))), "{error}");
    assert_eq!(error.code(), "run_exists");
    insta::assert_snapshot!(error, @"there is already a run `by_hand`");
    assert_eq!(env.runs().len(), 1);
    let _ = first
        .complete_run(dhenara::RunEnd::Completed, None)
        .await
        .unwrap();
    assert!(set_up().is_err());
    for bad in ["../escape", "", "global_data", ".hidden", "a/b"] {
        assert!(bad.parse::<RunId>().is_err(), "{bad}");
    }
}

#[test]
fn a_placeholder_where_a_shell_would_not_put_its_value() {
    let shell = |command: &str| {
        flow(&format!(
            "  - node: say\n    type: command\n    settings:\n      commands:\n        - |-\n{command}\n"
        ))
    };
    let quoted = shell("          echo 'this run is $expr{run_id}'");
    insta::assert_snapshot!(quoted.refused(&FLOW), @r#"
    ---- stderr
    flow.yaml:9:11: error[placeholder_in_shell]: `$expr{run_id}` stands inside single quotes, where the shell would not put its value
      |
    9 |           echo 'this run is $expr{run_id}'
      |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = hint: end the single quotes before it: `'…'"$expr{run_id}"'…'`
    ---- exit code 2
    "#);
    let here = shell("          cat << 'END'\n          $expr{run_id}\n          END");
    insta::assert_snapshot!(here.refused(&FLOW), @r#"
    ---- stderr
    flow.yaml:9:11: error[placeholder_in_shell]: `$expr{run_id}` stands in a here-document that begins with `'END'`, where the shell puts no values (line 2)
      |
    9 |           cat << 'END'
      |           ^^^^^^^^^^^^
      = hint: give the text with `stdin` of the node, or take the quotes away from that word, and put `\` before every other `$`, backtick and `\` of the text
    ---- exit code 2
    "#);
    let generated = shell("          $expr{run_id}");
    insta::assert_snapshot!(generated.refused(&FLOW), @"
    ---- stderr
    flow.yaml:9:11: error[generated_command]: `$expr{run_id}` would let a shell read a value as code
      |
    9 |           $expr{run_id}
      |           ^^^^^^^^^^^^^
      = hint: say `allow_generated: true`, or write the command around the value
    ---- exit code 2
    ");
}

#[test]
fn settings_that_this_version_does_not_have() {
    let env =
        flow("  - node: say\n    type: command\n    settings: { commands: [[echo, hello]], shell: true }\n");
    insta::assert_snapshot!(env.refused(&FLOW), @"
    ---- stderr
    flow.yaml:6:44: error[unsupported_setting]: `shell` is not supported: write a command as a string for a shell, or as a list for none
      |
    6 |     settings: { commands: [[echo, hello]], shell: true }
      |                                            ^^^^^
    ---- exit code 2
    ");
}

#[test]
fn a_template_that_cannot_be_evaluated_is_found_before_the_run() {
    let env = flow(
        "  - node: say\n    type: command\n    settings: { commands: [[echo, \"$expr{absent}\", \"$hier{later}\", \"$expr{1 +}\"]] }\n  - { node: later, type: command, settings: { commands: [[\"true\"]] } }\n",
    );
    insta::assert_snapshot!(env.refused(&FLOW), @r#"
    ---- stderr
    flow.yaml:6:42: error[unknown_variable]: unknown variable `absent`
      |
    6 |     settings: { commands: [[echo, "$expr{absent}", "$hier{later}", "$expr{1 +}"]] }
      |                                          ^^^^^^
      = hint: declare it in `variables` of a component around it, or in `required`; if it may be left out, write a default: `$var{absent:…}` or `absent || …`

    flow.yaml:6:53: error[unavailable_step]: `later` is executed later, so it has no result yet
      |
    6 |     settings: { commands: [[echo, "$expr{absent}", "$hier{later}", "$expr{1 +}"]] }
      |                                                     ^^^^^^^^^^^^
      = hint: it means `flow_root.later`

    flow.yaml:6:78: error[template_syntax]: unexpected `}`, a value was expected
      |
    6 |     settings: { commands: [[echo, "$expr{absent}", "$hier{later}", "$expr{1 +}"]] }
      |                                                                              ^
    ---- exit code 2
    "#);
}

#[test]
fn options_that_are_not_there() {
    let env = project();
    insta::assert_snapshot!(refused(&env, &["--entry-piont", "x"]), @"
    ---- stderr
    error: unexpected argument '--entry-piont' found

      tip: a similar argument exists: '--entry-point'

    Usage: dhenara-under-test run agent --entry-point <PATH> <NAME>

    For more information, try '--help'.
    ---- exit code 2
    ");
}

#[test]
fn settings_of_a_command_that_can_be_none() {
    let env = TestEnvironment::new();
    let flow = |settings: &str| {
        format!(
            "schema_version: 1\nkind: flow\nelements:\n  - {{ node: say, type: command, settings: {{ commands: [[echo]], {settings} }} }}\n"
        )
    };
    env.write("flow.yaml", &flow("timeout: -1, env_vars: { 'A=B': x }"));
    let refused = env.unchanged(&["validate", "flow.yaml"]).expect(2);
    assert!(
        refused
            .stderr
            .contains("`timeout` must be a positive number of seconds"),
        "{refused}"
    );
    assert!(
        refused
            .stderr
            .contains("`A=B` cannot be the name of an environment variable"),
        "{refused}"
    );
    env.write("flow.yaml", &flow("timeout: 9"));
    // What the system makes of a setting is no setting.
    for (name, told) in [
        ("secret_env", "there are: "),
        ("comands", "did you mean `commands`?"),
    ] {
        let input = format!("say={{\"settings_override\":{{\"{name}\":{{}}}}}}");
        let refused = env
            .unchanged(&["run", "flow", "flow.yaml", "--input", &input])
            .expect(2);
        assert!(
            refused
                .stderr
                .contains(&format!("`settings_override.{name}`: there is no such setting")),
            "{refused}"
        );
        assert!(refused.stderr.contains(told), "{refused}");
    }
}

#[test]
fn operations_on_files_that_lack_a_field() {
    let env = TestEnvironment::new();
    let operations = r#"{ type: create_file, path: a }, { type: edit_file, edits: [] }, { type: delete_file }, { type: move_file, source: a },
      { type: search_files }, { type: create_file, path: "$var{project_root}/a", content: null }, { type: list_directory }, { type: get_file_info, paths: [a] }"#;
    env.write("flow.yaml", &format!("schema_version: 1\nkind: flow\nelements:\n  - node: change\n    type: file_operation\n    settings:\n      operations: [{operations}]\n"));
    insta::assert_snapshot!(env.unchanged(&["validate", "flow.yaml"]).expect(2), @r#"
    flow.yaml: 6 problems
    ---- stderr
    flow.yaml:7:20: error[missing_field]: `content` is missing
      |
    7 |       operations: [{ type: create_file, path: a }, { type: edit_file, edits: [] }, { type: delete_fi…
      |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    flow.yaml:7:52: error[missing_field]: `path` is missing
      |
    7 | …[{ type: create_file, path: a }, { type: edit_file, edits: [] }, { type: delete_file }, { type: move…
      |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    flow.yaml:7:84: error[missing_field]: `path` or `paths` is missing
      |
    7 | … { type: edit_file, edits: [] }, { type: delete_file }, { type: move_file, source: a },
      |                                   ^^^^^^^^^^^^^^^^^^^^^

    flow.yaml:7:107: error[missing_field]: `destination` is missing
      |
    7 | …ts: [] }, { type: delete_file }, { type: move_file, source: a },
      |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    flow.yaml:8:7: error[missing_field]: `search_config` is missing
      |
    8 |       { type: search_files }, { type: create_file, path: "$var{project_root}/a", content: null }, {…
      |       ^^^^^^^^^^^^^^^^^^^^^^

    flow.yaml:8:31: error[missing_field]: `content` is missing
      |
    8 |       { type: search_files }, { type: create_file, path: "$var{project_root}/a", content: null }, {…
      |                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    ---- exit code 2
    "#);
}
