//! The way in: a project from nothing, definitions from templates, and the shortest command that runs one.

use dad_testing::{FakeAnswer, FakeModel};
use dhenara::events::ApprovalRequiredEvent;
use dhenara::models::ModelRequest;
use dhenara::runner::Runner;
use dhenara::{HandlerError, RunReport, on};
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, has_git};

fn project() -> TestEnvironment {
    let env = TestEnvironment::without_project();
    drop(env.run(&["init"]).expect(0));
    env
}

#[test]
fn a_project_is_made_and_its_agent_runs() {
    let env = TestEnvironment::without_project();
    insta::assert_snapshot!(env.run(&["init", "my demo"]).expect(0), @"
    created  .dhenara/config.yaml
    created  .dhenara/models.yaml
    created  .dhenara/schemas/agent.json
    created  .dhenara/schemas/flow.json
    created  agents/hello/agent.yaml
    created  .dhenara/.gitignore
    created  .gitignore

    next
      cd 'my demo'
      dhenara agents
      dhenara run hello
      dhenara runs show last
      dhenara new agent NAME
    ---- exit code 0
    ");
    let dir = env.project().join("my demo");
    insta::assert_snapshot!(env.run_in(&dir, &["agents"]).expect(0), @"
    hello  agent  agents/hello/agent.yaml
      Says hello.
      name  text  world
    ---- exit code 0
    ");
    let run = env.run_in(&dir, &["run", "hello", "--var", "name=Ada"]).expect(0);
    assert_eq!(run.stdout, "Hello, Ada!\n");
    drop(env.run_in(&dir, &["validate"]).expect(0));
}

#[test]
fn files_that_exist_are_kept() {
    let env = TestEnvironment::without_project();
    env.write(".gitignore", "target/\n");
    env.write("agents/hello/agent.yaml", "mine\n");
    let first = env.run(&["init", "--json"]).expect(0).json("cli_new");
    assert_eq!(first["kept"], json!(["agents/hello/agent.yaml", ".gitignore"]));
    assert_eq!(first["created"].as_array().map(Vec::len), Some(5));
    let again = env.unchanged(&["init", "--json"]).expect(0).json("cli_new");
    assert_eq!(
        (&again["created"], again["kept"].as_array().map(Vec::len)),
        (&json!([]), Some(7))
    );
    let kept = std::fs::read_to_string(env.project().join("agents/hello/agent.yaml")).unwrap();
    assert_eq!(kept, "mine\n");
}

#[test]
fn each_key_of_the_configuration_is_valid_when_it_is_used() {
    let env = project();
    let file = env.project().join(".dhenara/config.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let used: Vec<String> = text
        .lines()
        .map(|line| {
            let (indent, example) = line.split_once("# ").unwrap_or((line, ""));
            let is_example = example.trim_start().split_once(':').is_some_and(|(key, _)| {
                !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            });
            if is_example && indent.trim().is_empty() {
                format!("{indent}{example}")
            } else {
                line.to_owned()
            }
        })
        .collect();
    std::fs::write(&file, used.join("\n")).unwrap();
    let project = env.opened().environment("ci").unwrap();
    assert_eq!(project.settings().budget.calls, Some(40));
    let default = env.opened();
    let settings = default.settings();
    assert!(settings.credentials.is_some() && settings.cassette.is_some() && settings.run_root.is_some());
    assert!(settings.durability.is_some() && settings.share.is_some() && settings.ask_timeout.is_some());
    assert!(!settings.on_waiting.is_empty() && !settings.variables.is_empty());
    assert!(settings.limits.answer_mib.is_some() && settings.budget.wall_time.is_some());
}

#[test]
fn each_example_of_a_model_is_valid_when_it_is_used() {
    let env = project();
    let file = env.project().join(".dhenara/models.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let used = text.lines().filter_map(|line| {
        let example = line.strip_prefix("# ")?;
        ["- ", "  "]
            .iter()
            .any(|begin| example.starts_with(begin))
            .then_some(example)
    });
    std::fs::write(&file, used.collect::<Vec<_>>().join("\n")).unwrap();
    let catalog = env.opened().model_catalog().unwrap();
    let mut names: Vec<&str> = catalog.configured().collect();
    names.sort_unstable();
    assert_eq!(names, ["big", "local/coder"]);
}

#[test]
fn the_schemas_are_those_that_the_command_prints() {
    let env = project();
    for kind in ["agent", "flow"] {
        let printed: Value = serde_json::from_str(&env.run(&["schema", kind]).expect(0).stdout).unwrap();
        let file = env.project().join(format!(".dhenara/schemas/{kind}.json"));
        let written: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(written, printed);
    }
    let agent = std::fs::read_to_string(env.project().join("agents/hello/agent.yaml")).unwrap();
    let schema = agent.lines().next().unwrap().split_once("$schema=").unwrap().1;
    assert!(
        env.project().join("agents/hello").join(schema).is_file(),
        "{schema}"
    );
}

/// Every template as an agent and as a flow: valid, and run to its end without a key.
#[test]
fn every_template_runs_offline() {
    let env = project();
    for template in ["hello", "router", "rag", "coder", "reviewer", "chat"] {
        if template == "reviewer" && !has_git() {
            continue;
        }
        for kind in ["agent", "flow"] {
            let name = format!("{template}_{kind}");
            let made = env
                .run(&["new", kind, &name, "--template", template, "--json"])
                .expect(0);
            assert_eq!(made.json("cli_new")["next"][0], format!("dhenara run {name}"));
            let validated = env.run(&["validate", &name]).expect(0);
            assert!(!validated.stderr.contains("warning"), "{validated}");
            let asks = matches!(template, "coder" | "chat");
            let run = env
                .run(&["run", &name, "--no-input"])
                .expect(if asks { 3 } else { 0 });
            match template {
                "coder" => {
                    let done = env.run(&["answer", "last", "--approve"]).expect(0);
                    assert_eq!(done.stdout, "checked src/greet.sh\n");
                    assert!(env.project().join("src/greet.sh").is_file());
                    std::fs::remove_file(env.project().join("src/greet.sh")).unwrap();
                }
                "chat" => {
                    let bye = r#"{"prompt_variables": {"message": "bye"}}"#;
                    let done = env.run(&["answer", "last", "--input", bye]).expect(0);
                    assert!(done.stdout.starts_with("A made-up answer"), "{done}");
                }
                _ => assert!(!run.stdout.is_empty(), "{run}"),
            }
        }
    }
}

#[test]
fn a_name_is_taken_once_and_is_a_name() {
    let env = project();
    insta::assert_snapshot!(env.unchanged(&["new", "agent", "hello"]).expect(2), @"
    ---- stderr
    error[name_taken]: `agents/hello/agent.yaml` cannot be made: the name is taken
      hint: choose another name, or change what is there
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["new", "flow", "../up"]).expect(2), @"
    ---- stderr
    error[agent_name]: the name of the definition: `../up` contains '.'; an id is made of letters, digits and `_`
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["new", "agent", "x", "--template", "chatbot"]).expect(2), @"
    ---- stderr
    error: invalid value 'chatbot' for '--template <TEMPLATE>'
      [possible values: hello, router, rag, coder, reviewer, chat]

      tip: a similar value exists: 'chat'

    For more information, try '--help'.
    ---- exit code 2
    ");
}

#[test]
fn definitions_are_listed_with_their_variables() {
    let env = project();
    drop(
        env.run(&["new", "flow", "answers", "--template", "rag"])
            .expect(0),
    );
    env.write(
        "flows/broken.yaml",
        "schema_version: 1\nkind: flow\nelemets: []\n",
    );
    env.write(
        "flows/report.yaml",
        "schema_version: 1\nkind: flow\nrequired: [topic]\nvariables: { depth: 2, parts: [a, b] }\nelements: []\n",
    );
    insta::assert_snapshot!(env.unchanged(&["agents"]).expect(0), @r#"
    hello  agent  agents/hello/agent.yaml
      Says hello.
      name  text  world

    answers  flow  flows/answers.yaml
      Answers a question from the Markdown files of a folder.
      question  text      How do I begin with this project?
      folder    template  $var{project_root}

    broken  flow  flows/broken.yaml
      2 problems: `dhenara validate broken`

    report  flow  flows/report.yaml
      topic  any     required
      depth  number  2
      parts  list    ["a","b"]
    ---- exit code 0
    "#);
    let listed = env.unchanged(&["agents", "--json"]).expect(0).json("cli_agents");
    insta::assert_json_snapshot!(listed["definitions"][3], @r#"
    {
      "kind": "flow",
      "name": "report",
      "file": "flows/report.yaml",
      "description": null,
      "variables": [
        {
          "name": "topic",
          "required": true,
          "type": "any",
          "default": null
        },
        {
          "name": "depth",
          "required": false,
          "type": "number",
          "default": 2
        },
        {
          "name": "parts",
          "required": false,
          "type": "list",
          "default": [
            "a",
            "b"
          ]
        }
      ],
      "problems": []
    }
    "#);
    assert_eq!(listed["definitions"][2]["problems"][0]["code"], "missing_key");

    let empty = TestEnvironment::new();
    insta::assert_snapshot!(empty.unchanged(&["agents"]).expect(0), @"
    ---- stderr
    there are no agents and flows in `[root]/project`; `dhenara new agent NAME` makes one
    ---- exit code 0
    ");
    assert_eq!(
        empty
            .unchanged(&["agents", "--json"])
            .expect(0)
            .json("cli_agents")["definitions"],
        json!([])
    );
}

#[test]
fn a_name_or_a_file_is_enough_to_run_it() {
    let env = project();
    drop(env.run(&["new", "flow", "greet"]).expect(0));
    let hello = |args: &[&str]| assert_eq!(env.run(args).expect(0).stdout, "Hello, world!\n", "{args:?}");
    hello(&["run", "hello"]);
    hello(&["run", "greet"]);
    hello(&["run", "flow", "greet"]);
    hello(&["run", "flows/greet.yaml"]);
    hello(&["run", "agents/hello/agent.yaml"]);
    insta::assert_snapshot!(env.unchanged(&["run", "helo"]).expect(2), @"
    ---- stderr
    error[unknown_definition]: there is no agent or flow `helo` in `[root]/project`
      hint: did you mean `hello`?
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["run", "flow", "gret"]).expect(2), @"
    ---- stderr
    error[unknown_definition]: there is no flow `gret` in `[root]/project`
      hint: did you mean `greet`?
    ---- exit code 2
    ");

    drop(env.run(&["new", "flow", "hello"]).expect(0));
    insta::assert_snapshot!(env.unchanged(&["run", "hello"]).expect(2), @"
    ---- stderr
    error[ambiguous_name]: `hello` is an agent and a flow
      hint: `dhenara run agent hello` or `dhenara run flow hello`
    ---- exit code 2
    ");
    hello(&["run", "agent", "hello"]);

    // The word for a kind comes first; the long form runs a definition of that name.
    let made = env
        .run(&["new", "agent", "step", "--json"])
        .expect(0)
        .json("cli_new");
    assert_eq!(made["next"][0], "dhenara run agent step");
    hello(&["run", "agent", "step"]);
    insta::assert_snapshot!(env.unchanged(&["run", "step"]).expect(2), @"
    ---- stderr
    error: the following required arguments were not provided:
      <RUN>
      <PATH>

      tip: use `dhenara run agent step`

    Usage: dhenara-under-test run step <RUN> <PATH>

    For more information, try '--help'.
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["run"]).expect(2), @"
    ---- stderr
    error: the following required arguments were not provided:
      <NAME|FILE>

      tip: use `dhenara agents`

    Usage: dhenara-under-test run <NAME|FILE>

    For more information, try '--help'.
    ---- exit code 2
    ");
}

#[test]
fn words_of_other_tools_get_the_command_as_a_tip() {
    let env = project();
    insta::assert_snapshot!(env.unchanged(&["list"]).expect(2), @"
    ---- stderr
    error: unrecognized subcommand 'list'

      tip: use `dhenara agents`

    Usage: dhenara-under-test [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ---- exit code 2
    ");
    for (line, command) in [
        ("f.yaml --var a=b", "dhenara run f.yaml --var a=b"),
        ("hello --var name=Ada", "dhenara run hello --var name=Ada"),
        ("agent run hello", "dhenara run agent hello"),
        ("runs last", "dhenara runs show last"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let refused = env.unchanged(&words).expect(2);
        assert!(
            refused.stderr.contains(&format!("tip: use `{command}`\n")),
            "{refused}"
        );
    }
}

#[test]
fn without_a_project_the_errors_say_where_and_how() {
    let env = TestEnvironment::without_project();
    insta::assert_snapshot!(env.unchanged(&["run", "hello"]).expect(2), @"
    ---- stderr
    error[project]: `[root]/project` is not a project directory: neither it nor a directory above it holds `.dhenara`
      hint: `dhenara init` makes a project here; `--project-root DIR` names another one
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["agents"]).expect(2), @"
    ---- stderr
    error[project]: `[root]/project` is not a project directory: neither it nor a directory above it holds `.dhenara`
      hint: `dhenara init` makes a project here; `--project-root DIR` names another one
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "list"]).expect(0), @"
    ---- stderr
    there are no runs in `[root]/project/runs`; `dhenara run NAME` makes one
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["resume", "last"]).expect(2), @"
    ---- stderr
    error[nothing_to_resume]: there is no unfinished run
      hint: runs are looked for in `[root]/project/runs`
    ---- exit code 2
    ");
    let env = TestEnvironment::new();
    insta::assert_snapshot!(env.unchanged(&["run", "hello"]).expect(2), @"
    ---- stderr
    error[unknown_definition]: there is no agent or flow `hello` in `[root]/project`
      hint: `dhenara new agent hello` makes one
    ---- exit code 2
    ");
}

/// `cargo xtask packages` builds and tests such a program.
#[test]
fn a_program_in_rust_is_made() {
    let env = TestEnvironment::without_project();
    insta::assert_snapshot!(env.run(&["new", "rust", "my-tool"]).expect(0), @"
    created  Cargo.toml
    created  src/main.rs
    created  src/lib.rs
    created  tests/words.rs
    created  .gitignore

    next
      cd my-tool
      cargo test
      cargo run -- run words
    ---- exit code 0
    ");
    let read = |file: &str| std::fs::read_to_string(env.project().join("my-tool").join(file)).unwrap();
    assert!(read("Cargo.toml").contains("name = \"my-tool\""));
    assert!(read("src/main.rs").contains("my_tool::app().run()"));
    let all = ["Cargo.toml", "src/main.rs", "src/lib.rs", "tests/words.rs"]
        .map(read)
        .concat();
    assert!(!all.contains('@'), "{all}");
    insta::assert_snapshot!(env.unchanged(&["new", "rust", "my-tool"]).expect(2), @"
    ---- stderr
    error[name_taken]: `my-tool/Cargo.toml` cannot be made: the name is taken
      hint: choose another name, or change what is there
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["new", "rust", "My Tool"]).expect(2), @"
    ---- stderr
    error[program_name]: no package can be called `My Tool`: a name begins with a small letter, and has small letters, digits, `-` and `_`
    ---- exit code 2
    ");
}

/// Programs make projects and definitions by the library.
#[test]
fn a_program_makes_the_same() {
    use dhenara::project::Template;
    let env = TestEnvironment::new();
    let project = env.opened();
    let made = project.create_flow("talk", Template::Chat).unwrap();
    assert_eq!(made.created, [std::path::Path::new("flows/talk.yaml")]);
    assert_eq!(project.flows(), ["talk"]);
    let error = project.create_flow("talk", Template::Hello).unwrap_err();
    assert_eq!(error.code(), "name_taken");
    let made = project
        .user()
        .create_project(env.path("tmp/new"), project.node_registry())
        .unwrap();
    assert_eq!(made.created.len(), 7);
    let opened = project.user().open(env.path("tmp/new")).unwrap();
    assert_eq!(opened.agents(), ["hello"]);
}

/// A template whose steps ask a model, as after a user has removed `test_mode`.
async fn asked(env: &TestEnvironment, template: &str, model: &FakeModel) -> RunReport {
    let name = format!("{template}_asked");
    let made = env
        .opened()
        .create_flow(&name, template.parse().unwrap())
        .unwrap();
    let file = env.project().join(&made.created[0]);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("test_mode: true"), "{text}");
    std::fs::write(&file, text.replace("test_mode: true", "max_output_tokens: 1000")).unwrap();
    let project = env.opened().offline_models(model.clone());
    let flow = project.flow(&name).unwrap();
    let approve = on(|event: ApprovalRequiredEvent| async move {
        event.approve()?;
        Ok::<_, HandlerError>(())
    });
    let context = project
        .context_for(&flow)
        .unwrap()
        .register_event_handlers([approve]);
    Runner::new(flow, context.build().unwrap()).run().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_ask_a_model_when_test_mode_is_removed() {
    let env = project();
    env.write("notes/begin.md", "To begin with this project, read the map.\n");
    env.write("notes/end.md", "Nothing of use.\n");

    let sorted = json!({ "kind": "other", "reason": "a complaint" });
    let report = asked(&env, "router", &FakeModel::answering([sorted])).await;
    assert_eq!(report.output, Some("for a person: a complaint".into()));
    let sorted = json!({ "kind": "invoice", "reason": "money" });
    let model = FakeModel::answering([FakeAnswer::json(&sorted), "It is on its way.".into()]);
    drop(std::fs::remove_file(
        env.project().join("flows/router_asked.yaml"),
    ));
    let report = asked(&env, "router", &model).await;
    assert_eq!(report.output, Some("It is on its way.".into()));
    assert!(model.prompts()[1].contains("of the kind invoice"));

    let model = FakeModel::answering(["Read the map."]);
    let report = asked(&env, "rag", &model).await;
    assert_eq!(report.output, Some("Read the map.".into()));
    let prompt = &model.prompts()[0];
    let (begin, end) = (prompt.find("begin.md").unwrap(), prompt.find("end.md").unwrap());
    assert!(begin < end && prompt.contains("read the map"), "{prompt}");

    let files = json!({ "files": [{ "path": "src/hi.sh", "content": "echo hi\n" }] });
    let report = asked(&env, "coder", &FakeModel::answering([files])).await;
    assert_eq!(report.output, Some("checked src/hi.sh".into()));
    let written = std::fs::read_to_string(env.project().join("src/hi.sh")).unwrap();
    assert_eq!(written, "echo hi\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reviewer_reads_the_change_of_the_repository() {
    if !has_git() {
        return;
    }
    let env = project();
    env.write("poem.txt", "The moon\n");
    for args in [
        &["init", "-q"][..],
        &["add", "poem.txt"],
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "commit",
            "-qm",
            "begin",
        ],
    ] {
        assert!(
            env.command("git", &env.project())
                .args(args)
                .status()
                .unwrap()
                .success()
        );
    }
    env.write("poem.txt", "The moom\n");
    let model = FakeModel::by(|request: &ModelRequest| {
        let is_verdict = request.options.schema.is_some();
        if is_verdict {
            FakeAnswer::json(&json!({ "approve": false, "remarks": ["moon"] }))
        } else {
            FakeAnswer::text("`moom` is no word")
        }
    });
    let report = asked(&env, "reviewer", &model).await;
    assert_eq!(report.output.unwrap()["approve"], false);
    let read = model
        .prompts()
        .into_iter()
        .filter(|prompt| prompt.contains("+The moom"));
    assert_eq!(read.count(), 2);
    let verdict = model.requests().pop().unwrap();
    let heard = verdict
        .messages
        .iter()
        .filter(|message| message.text.contains("is no word"));
    assert!(heard.count() >= 1, "{:?}", verdict.messages);
}
