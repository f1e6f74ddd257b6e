//! A person's answer counts in a re-run for the same question, and for no other.

use dhenara::definition::load_str;
use dhenara::nodes::CommandNodeInput;
use dhenara::run::RunView;
use dhenara::runner::Runner;
use dhenara::{HandlerError, NodeInputRequiredEvent};
use serde_json::{Value, json};

use crate::foreign_runs::driven_elsewhere;
use crate::harness::{TestEnvironment, edit_journal, read_json, records};
use crate::nodes::context;
use crate::terminal::talk;

/// Asks what is to be done with each file.
const FILES: &str = r#"schema_version: 1
kind: flow
root_id: f
required: [files]
elements:
  - for_each: all
    statement: "$expr{files}"
    body:
      - node: ask
        type: command
        pre_events: [node_input_required]
        settings: { commands: ["echo \"$var{item}: $ANSWER\""] }
"#;

/// Asks about what an earlier step found.
const TOPIC: &str = r#"schema_version: 1
kind: flow
root_id: f
variables: { topic: cats }
elements:
  - { node: look, type: command, settings: { commands: [[echo, "$expr{topic}"]] } }
  - node: ask
    type: command
    pre_events: [node_input_required]
    settings: { commands: ["echo \"is $var{found} fine? $ANSWER\""] }
"#;

fn topic(found: &str) -> String {
    TOPIC.replace("$var{found}", found)
}

/// As the step `look` says it.
const FOUND: &str = "$expr{ $hier{look}.outcome.results[0].stdout.strip() }";

fn answer(text: &str) -> String {
    json!({ "env_vars": { "ANSWER": text } }).to_string()
}

const RERUN: [&str; 5] = ["run", "flow", "flow.yaml", "--previous-run-id", "last"];

fn rerun<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&RERUN[..], more].concat()
}

/// The output of each step, in the order of the paths.
fn printed(env: &TestEnvironment) -> Vec<String> {
    let view = RunView::open(env.last_run()).unwrap();
    let mut found: Vec<(String, String)> = view
        .steps()
        .filter(|step| step.path.leaf() == "ask")
        .map(|step| {
            let outcome: Value = view.step_file(&step.path, "outcome.json").unwrap().unwrap();
            let text = outcome["results"][0]["stdout"]
                .as_str()
                .unwrap()
                .trim_end()
                .to_owned();
            (step.path.to_string(), text)
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, text)| text).collect()
}

fn id(env: &TestEnvironment) -> String {
    env.last_run().file_name().unwrap().to_str().unwrap().to_owned()
}

/// A run in which every file was answered with its name in capitals.
fn answered_files(files: &[&str]) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FILES);
    let list = json!(files).to_string();
    drop(
        env.run(&["run", "flow", "flow.yaml", "--var-json", &format!("files={list}")])
            .expect(3),
    );
    for (index, file) in files.iter().enumerate() {
        let code = if index + 1 == files.len() { 0 } else { 3 };
        drop(
            env.run(&["answer", "last", "--input", &answer(&file.to_uppercase())])
                .expect(code),
        );
    }
    env
}

#[test]
fn each_item_finds_its_own_answer_wherever_it_stands() {
    let env = answered_files(&["a", "b", "c"]);
    let first = id(&env);
    // One is new, one is gone, the others stand elsewhere.
    let files = "files=[\"new\", \"c\", \"a\"]";
    let planned = env.run(&rerun(&["--var-json", files, "--dry-run"])).expect(0);
    insta::assert_snapshot!(planned, @"
    depends  f.all.iter_0.ask  decided when the re-run reaches it
    execute  f.all.iter_1.ask  only another iteration had this effect
    execute  f.all.iter_2.ask  a step with an effect was executed before it
    ask      f.all.iter_0.ask  the previous run has no answer to it
    answer   f.all.iter_1.ask  answer reused, from run_00000000_000000_000001 f.all.iter_2.ask
    answer   f.all.iter_2.ask  answer reused, from run_00000000_000000_000001 f.all.iter_0.ask
    ---- stderr
    re-run of run_00000000_000000_000001: 0 reused, 2 to execute, 1 decided on the way
    ---- exit code 0
    ");
    drop(env.run(&rerun(&["--var-json", files])).expect(3));
    let view = RunView::open(env.last_run()).unwrap();
    let open: Vec<_> = view.open_questions().collect();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].path.as_str(), "f.all.iter_0.ask");
    let question = view.question(&open[0].id).unwrap();
    assert_eq!(
        question.previous_input, None,
        "the answer about another item is not offered"
    );
    drop(env.run(&["answer", "last", "--input", &answer("NEW")]).expect(0));
    assert_eq!(printed(&env), ["new: NEW", "c: C", "a: A"]);
    let answered = records(&env.last_run(), "answered");
    let how: Vec<Value> = answered
        .iter()
        .map(|record| json!([record["path"], record["by"], record["from"]]))
        .collect();
    assert_eq!(
        how,
        [
            json!(["f.all.iter_0.ask", "outside", null]),
            json!(["f.all.iter_1.ask", "previous_run", { "run_id": first, "path": "f.all.iter_2.ask" }]),
            json!(["f.all.iter_2.ask", "previous_run", { "run_id": first, "path": "f.all.iter_0.ask" }]),
        ]
    );
    let why = env.run(&["runs", "why", "last", "f.all.iter_1.ask"]).expect(0);
    insta::assert_snapshot!(why, @"
    ✓ f.all.iter_1.ask
      executed: `f.all.iter_0.ask` had an effect before it
      input  answer reused, from run_00000000_000000_000001 f.all.iter_2.ask
    ---- exit code 0
    ");
    let why = env
        .run(&["runs", "why", "last", "f.all.iter_1.ask", "--json"])
        .expect(0)
        .json("cli_runs_why");
    assert_eq!(why["answer"]["by"], "previous_run");

    // What was taken counts in the next one as what was given.
    drop(
        env.run(&rerun(&["--var-json", "files=[\"a\", \"new\"]"]))
            .expect(0),
    );
    assert_eq!(printed(&env), ["a: A", "new: NEW"]);
    drop(env.run(&rerun(&["--var-json", "files=[]"])).expect(0));
}

#[test]
fn an_item_that_is_there_twice_has_two_answers() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FILES);
    drop(
        env.run(&["run", "flow", "flow.yaml", "--var-json", "files=[\"x\", \"x\"]"])
            .expect(3),
    );
    drop(env.run(&["answer", "last", "--input", &answer("one")]).expect(3));
    drop(env.run(&["answer", "last", "--input", &answer("two")]).expect(0));
    drop(env.run(&rerun(&["--fresh"])).expect(0));
    assert_eq!(printed(&env), ["x: one", "x: two"]);
}

#[test]
fn a_question_about_something_else_is_asked_again_with_the_answer_before() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &topic(FOUND));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    drop(env.run(&["answer", "last", "--input", &answer("yes")]).expect(0));
    let first = id(&env);

    // The same values in another text are the same question.
    env.write("flow.yaml", &topic(FOUND).replace("fine?", "really fine?"));
    drop(env.run(&rerun(&["--fresh"])).expect(0));
    assert_eq!(printed(&env), ["is cats really fine? yes"]);

    // Nothing but the value is another one.
    drop(env.run(&rerun(&["--var", "topic=dogs"])).expect(3));
    let view = RunView::open(env.last_run()).unwrap();
    let open = view.open_questions().next().unwrap();
    let question = view.question(&open.id).unwrap();
    let before: Value = serde_json::from_str(&answer("yes")).unwrap();
    assert_eq!(question.previous_input, Some(before));
    let shown = env.run(&["runs", "show", "last", "ask"]).expect(0);
    assert!(
        shown
            .stdout
            .contains("answered before\n    env_vars:\n      ANSWER: yes\n"),
        "{shown}"
    );
    let asked = &records(&env.last_run(), "question")[0];
    assert_eq!(
        asked["asked_again"],
        json!({ "differs": ["$hier{look}.outcome.results[0].stdout"] })
    );
    assert_eq!(asked["asked"], json!(question.asked.unwrap()));
    let why = env.run(&["runs", "why", "last", "ask"]).expect(0);
    insta::assert_snapshot!(why, @"
    ? f.ask
      not executed: it waits for an answer
      input  not answered yet; asked again because `$hier{look}.outcome.results[0].stdout` differs
      answer  `dhenara answer rerun_00000000_000000_000003 f.ask`
    ---- exit code 0
    ");
    drop(env.run(&["answer", "last", "--input", &answer("no")]).expect(0));
    assert_eq!(printed(&env), ["is dogs really fine? no"]);
    let why = env.run(&["runs", "why", "last", "ask"]).expect(0);
    assert!(
        why.stdout.contains("input  answered (dhenara answer); asked again because `$hier{look}.outcome.results[0].stdout` differs"),
        "{why}"
    );
    // From the first run its own answer still counts.
    let from_first = ["run", "flow", "flow.yaml", "--fresh", "--previous-run-id", &first];
    drop(env.run(&from_first).expect(0));
    assert_eq!(printed(&env), ["is cats really fine? yes"]);
}

#[test]
fn a_re_run_says_before_it_begins_what_it_will_ask() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &topic("$expr{topic}"));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    drop(env.run(&["answer", "last", "--input", &answer("yes")]).expect(0));
    insta::assert_snapshot!(env.run(&rerun(&["--dry-run"])).expect(0), @"
    reuse    f.look  nothing that is compared changed, from run_00000000_000000_000001
    reuse    f.ask  nothing that is compared changed, from run_00000000_000000_000001
    answer   f.ask  answer reused, from run_00000000_000000_000001
    ---- stderr
    re-run of run_00000000_000000_000001: 2 reused, 0 to execute
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.run(&rerun(&["--var", "topic=dogs", "--dry-run"])).expect(0), @"
    execute  f.look  its settings, its input or what it reads changed
    depends  f.ask  decided when the re-run reaches it
    ask      f.ask  asked again because `$var{topic}` differs
    ---- stderr
    re-run of run_00000000_000000_000001: 0 reused, 1 to execute, 1 decided on the way
    ---- exit code 0
    ");
    let wanted = env
        .run(&rerun(&["--ask", "ask", "--dry-run", "--json"]))
        .expect(0)
        .json("cli_dry_run");
    assert_eq!(
        wanted["plan"]["answers"],
        json!([{ "path": "f.ask", "asked_again": "wanted" }])
    );
    let reuse = ["--var", "topic=dogs", "--reuse-answers", "ask", "--dry-run"];
    let reused = env.run(&rerun(&reuse)).expect(0);
    assert!(
        reused.stdout.contains("answer   f.ask  answer reused"),
        "{reused}"
    );
    assert!(
        reused.stdout.contains("as `--reuse-answers` wants it"),
        "{reused}"
    );
}

#[test]
fn answers_may_be_reused_whatever_was_asked() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &topic(FOUND));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    drop(env.run(&["answer", "last", "--input", &answer("yes")]).expect(0));
    let first = id(&env);
    let runs = env.runs().len();
    for (wrong, code) in [
        (&rerun(&["--reuse-answers", "nothing"])[..], "unknown_step"),
        (&rerun(&["--reuse-answers", "look"]), "nothing_asks"),
        (
            &["run", "flow", "flow.yaml", "--reuse-answers", "ask"],
            "no_previous_run",
        ),
    ] {
        let refused = env.run(wrong).expect(2);
        assert!(refused.stderr.contains(&format!("error[{code}]")), "{refused}");
    }
    assert_eq!(env.runs().len(), runs, "no run was made");

    drop(
        env.run(&rerun(&["--var", "topic=dogs", "--reuse-answers", "ask"]))
            .expect(0),
    );
    assert_eq!(printed(&env), ["is dogs fine? yes"]);
    let answered = &records(&env.last_run(), "answered")[0];
    assert_eq!(answered["by"], "reuse_answers");
    assert_eq!(answered["from"], json!({ "run_id": first, "path": "f.ask" }));
    let why = env.run(&["runs", "why", "last", "ask"]).expect(0);
    assert!(
        why.stdout.contains("answer reused, from run_")
            && why.stdout.contains("as `--reuse-answers` wants it"),
        "{why}"
    );
    // From then on it is the answer to this question.
    drop(env.run(&rerun(&["--fresh"])).expect(0));
    assert_eq!(printed(&env), ["is dogs fine? yes"]);
    // The path of the whole covers all that ask in it, and what is to be asked again is.
    drop(
        env.run(&rerun(&["--var", "topic=birds", "--reuse-answers", "f"]))
            .expect(0),
    );
    drop(
        env.run(&rerun(&["--reuse-answers", "f", "--ask", "ask"]))
            .expect(3),
    );

    // The same name in two places says nothing.
    let twice = "schema_version: 1\nkind: flow\nroot_id: f\nelements:\n  - subflow: one\n    elements: [ASK]\n  - subflow: two\n    elements: [ASK]\n";
    let ask =
        "{ node: ask, type: command, pre_events: [node_input_required], settings: { commands: [\"true\"] } }";
    env.write("flow.yaml", &twice.replace("ASK", ask));
    let ambiguous = env.run(&rerun(&["--reuse-answers", "ask"])).expect(2);
    assert!(
        ambiguous.stderr.contains("f.one.ask") && ambiguous.stderr.contains("f.two.ask"),
        "{ambiguous}"
    );
}

#[test]
fn what_is_asked_for_belongs_to_the_question() {
    let env = TestEnvironment::new();
    let flow = "schema_version: 1\nkind: flow\nroot_id: f\nelements:\n  - subflow: part\n    pre_events: [component_input_required]\n    \
                variables: { who: absent, TONE }\n    elements:\n      - { node: say, type: command, settings: { commands: [[echo, \"$expr{who}\"]] } }\n";
    env.write("flow.yaml", &flow.replace(", TONE", ""));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    drop(
        env.run(&["answer", "last", "--input", "{\"variables\": {\"who\": \"Ada\"}}"])
            .expect(0),
    );
    // Another default of what is asked for is no other question.
    env.write("flow.yaml", &flow.replace("absent, TONE", "a_person"));
    drop(env.run(&rerun(&[])).expect(0));
    env.write("flow.yaml", &flow.replace("TONE", "tone: dry"));
    let planned = env.run(&rerun(&["--dry-run"])).expect(0);
    assert!(
        planned
            .stdout
            .contains("ask      f.part  asked again because what is asked for differs"),
        "{planned}"
    );
    drop(env.run(&rerun(&[])).expect(3));
    let asked = &records(&env.last_run(), "question")[0];
    assert_eq!(asked["asked_again"], json!({ "differs": ["schema"] }));
    let why = env.run(&["runs", "why", "last", "part"]);
    insta::assert_snapshot!(why, @"
    ? f.part
      not executed: it waits for an answer
      input  not answered yet; asked again because what is asked for differs
      answer  `dhenara answer rerun_00000000_000000_000003 f.part`
    ---- exit code 0
    ");
}

#[test]
fn at_the_terminal_the_answer_before_is_given_by_enter() {
    let env = TestEnvironment::new();
    let flow = "schema_version: 1\nkind: flow\nroot_id: f\nvariables: { greeting: hello }\nelements:\n  - subflow: part\n    \
                pre_events: [component_input_required]\n    variables: { who: absent, deep: \"$expr{greeting}\" }\n    elements:\n      \
                - { node: say, type: command, settings: { commands: [[echo, \"$expr{deep} $expr{who}\"]] } }\n";
    env.write("flow.yaml", flow);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    drop(
        env.run(&["answer", "last", "--input", "{\"variables\": {\"who\": \"Ada\"}}"])
            .expect(0),
    );
    let said = |env: &TestEnvironment| read_json(&env.last_run().join("f/part/say/outcome.json"));
    let changed = rerun(&["--var", "greeting=bye"]);
    let terminal = env.dhenara_at_terminal(&changed);
    talk(&terminal, &[("who", "\r"), ("deep", "\r")]);
    let end = terminal.ends();
    assert_eq!(end.status, "exit status: 0", "{}", end.screen);
    assert_eq!(said(&env)["results"][0]["stdout"], "bye Ada\n");
    // The same by the command that answers a waiting run.
    drop(env.run(&rerun(&["--var", "greeting=good day"])).expect(3));
    let terminal = env.dhenara_at_terminal(&["answer", "last"]);
    talk(&terminal, &[("who", "\r"), ("deep", "\r")]);
    assert_eq!(terminal.ends().status, "exit status: 0");
    assert_eq!(said(&env)["results"][0]["stdout"], "good day Ada\n");
}

/// A talk that ends with `bye`, or after some turns.
const TALK: &str = r#"schema_version: 1
kind: flow
root_id: f
elements:
  - repeat: turn
    until: "$expr{ 'bye' in $hier{ask}.outcome.results[0].stdout }"
    max_iterations: TURNS
    on_exhausted: continue
    body:
      - node: ask
        type: command
        pre_events: [node_input_required]
        settings: { commands: ["echo \"said: $ANSWER\""] }
"#;

#[test]
fn each_turn_of_a_talk_has_its_own_answer() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &TALK.replace("TURNS", "2"));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    drop(env.run(&["answer", "last", "--input", &answer("hi")]).expect(3));
    drop(env.run(&["answer", "last", "--input", &answer("well")]).expect(0));
    env.write("flow.yaml", &TALK.replace("TURNS", "5"));
    // A turn that there was not is asked, though its question reads the same.
    drop(env.run(&rerun(&["--fresh"])).expect(3));
    let open = RunView::open(env.last_run()).unwrap();
    assert_eq!(
        open.open_questions().next().unwrap().path.as_str(),
        "f.turn.iter_2.ask"
    );
    drop(env.run(&["answer", "last", "--input", &answer("bye")]).expect(0));
    assert_eq!(printed(&env), ["said: hi", "said: well", "said: bye"]);
    drop(env.run(&rerun(&["--fresh"])).expect(0));
    assert_eq!(printed(&env), ["said: hi", "said: well", "said: bye"]);
}

#[test]
fn answers_of_others_never_count() {
    let env = answered_files(&["a"]);
    driven_elsewhere(&env.last_run());
    let foreign = id(&env);
    let named = [
        "run",
        "flow",
        "flow.yaml",
        "--previous-run-id",
        &foreign,
        "--fresh",
    ];
    drop(env.run(&named).expect(3));
    let view = RunView::open(env.last_run()).unwrap();
    let open = view.open_questions().next().unwrap();
    assert_eq!(view.question(&open.id).unwrap().previous_input, None);
    let runs = env.runs().len();
    let refused = env
        .run(&[&named[..], &["--reuse-answers", "ask"]].concat())
        .expect(2);
    assert!(refused.stderr.contains("error[answers_of_others]"), "{refused}");
    assert_eq!(env.runs().len(), runs);
}

#[test]
fn an_answer_of_an_earlier_version_is_offered_and_not_taken() {
    let env = answered_files(&["a", "b"]);
    edit_journal(&env.last_run(), |record| {
        let fields = record.as_object_mut().unwrap();
        for name in ["asked", "about", "by", "from"] {
            fields.remove(name);
        }
    });
    drop(env.run(&rerun(&[])).expect(3));
    let asked = &records(&env.last_run(), "question")[0];
    assert_eq!(asked["asked_again"], "not_recorded");
    let view = RunView::open(env.last_run()).unwrap();
    let question = view.question(asked["id"].as_str().unwrap()).unwrap();
    let before: Value = serde_json::from_str(&answer("A")).unwrap();
    assert_eq!(question.previous_input, Some(before));
    // What lies before an entry point stays as it is, and so does a step that executes alone.
    let first = env.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let from_there = [
        "run",
        "flow",
        "flow.yaml",
        "--previous-run-id",
        &first,
        "--entry-point",
        "f.all.iter_1",
    ];
    drop(env.run(&from_there).expect(3));
    drop(env.run(&["run", "step", &first, "f.all.iter_1.ask"]).expect(0));
    assert_eq!(printed(&env), ["b: B"]);
    let reuse = [
        "run",
        "flow",
        "flow.yaml",
        "--fresh",
        "--previous-run-id",
        &first,
        "--reuse-answers",
        "ask",
    ];
    drop(env.run(&reuse).expect(0));
    assert_eq!(printed(&env), ["a: A", "b: B"]);
}

#[tokio::test]
async fn a_handler_has_the_answer_before_as_the_type_of_the_input() {
    let env = answered_files(&["a"]);
    let text = FILES.replace("$var{item}", "$var{item} $expr{ len(files) }");
    let definition = load_str(&text, "flow.yaml", None, None).unwrap().definition;
    async fn again(event: NodeInputRequiredEvent) -> Result<(), HandlerError> {
        let previous: Option<CommandNodeInput> = event.previous_input()?;
        let mut input = previous.unwrap_or_default();
        input.env_vars["ANSWER"] += " again";
        assert!(event.previous_input::<Vec<u8>>().is_err());
        Ok(event.set_input(input)?)
    }
    let context = context("f", &env.project())
        .previous_run_id("last")
        .on(again)
        .build()
        .unwrap();
    drop(Runner::new(definition, context).run().await.unwrap());
    assert_eq!(printed(&env), ["a 1: A again"]);
    let answered = &records(&env.last_run(), "answered")[0];
    assert_eq!(answered["asked_again"], json!({ "differs": ["$var{files}"] }));
    assert_eq!(answered["by"], "handler");
}

/// In loops within loops an answer belongs to the items of all of them, of a component too.
#[tokio::test]
async fn items_of_loops_within_loops_find_their_answers() {
    let env = TestEnvironment::new();
    let text = r#"
schema_version: 1
kind: flow
root_id: f
required: [rows, columns]
elements:
  - for_each: row
    item_var: r
    statement: "$expr{rows}"
    body:
      - for_each: column
        item_var: c
        statement: "$expr{columns}"
        max_concurrency: 2
        body:
          - subflow: part
            pre_events: [component_input_required]
            variables: { word: none }
            elements:
              - { node: say, type: command, settings: { commands: [[echo, "$expr{r}$expr{c} $expr{word}"]] } }
"#;
    let definition = load_str(text, "flow.yaml", None, None).unwrap().definition;
    let said = |run: &std::path::Path| {
        let view = RunView::open(run).unwrap();
        let mut said: Vec<String> = view
            .steps()
            .map(|step| {
                let outcome: Value = view.step_file(&step.path, "outcome.json").unwrap().unwrap();
                outcome["results"][0]["stdout"]
                    .as_str()
                    .unwrap()
                    .trim_end()
                    .to_owned()
            })
            .collect();
        said.sort();
        said
    };
    let run = async |rows: Value, columns: Value, previous: Option<&str>, word: &'static str| {
        let answers = move |event: dhenara::events::ComponentInputRequiredEvent| async move {
            let place: Vec<&str> = event
                .path
                .segments()
                .filter(|part| part.starts_with("iter_"))
                .collect();
            let word = format!("{word} {}", place.join(" "));
            Ok::<_, HandlerError>(event.set_input(json!({ "variables": { "word": word } }))?)
        };
        let mut builder = context("f", &env.project())
            .variable("rows", rows)
            .variable("columns", columns);
        if let Some(previous) = previous {
            builder = builder.previous_run_id(previous);
        }
        let context = builder.on(answers).build().unwrap();
        let report = Runner::new(definition.clone(), context).run().await.unwrap();
        said(&report.run_dir)
    };
    let first = run(json!(["x", "y"]), json!([1, 2]), None, "first").await;
    let all = [
        "x1 first iter_0 iter_0",
        "x2 first iter_0 iter_1",
        "y1 first iter_1 iter_0",
        "y2 first iter_1 iter_1",
    ];
    assert_eq!(first, all);
    let second = run(json!(["y", "x"]), json!([2, 3, 1]), Some("last"), "second").await;
    let mut wanted: Vec<&str> = all
        .into_iter()
        .chain(["x3 second iter_1 iter_1", "y3 second iter_0 iter_1"])
        .collect();
    wanted.sort_unstable();
    assert_eq!(second, wanted);
}

/// The words of a turn are a part of the question of the next one that shows it.
#[test]
fn a_turn_behind_a_changed_answer_is_asked_again() {
    let env = TestEnvironment::new();
    let before = "$expr{ $hier{turn.previous.ask}.outcome.results[0].stdout || 'nothing' }";
    let flow = TALK
        .replace("TURNS", "3")
        .replace("said: ", &format!("{before}, "));
    env.write("flow.yaml", &flow);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    for (text, code) in [("a", 3), ("b", 3), ("c", 0)] {
        drop(
            env.run(&["answer", "last", "--input", &answer(text)])
                .expect(code),
        );
    }
    drop(env.run(&rerun(&["--fresh"])).expect(0));
    // Another first turn: the second shows it, and is asked with what was said before.
    drop(env.run(&rerun(&["--ask", "f.turn.iter_0.ask"])).expect(3));
    drop(env.run(&["answer", "last", "--input", &answer("A")]).expect(3));
    let asked = records(&env.last_run(), "question");
    assert_eq!(asked[0]["asked_again"], "wanted");
    assert_eq!(
        asked[1]["asked_again"],
        json!({ "differs": ["$hier{turn.previous.ask}.outcome.results[0].stdout"] })
    );
    let view = RunView::open(env.last_run()).unwrap();
    let question = view.question(asked[1]["id"].as_str().unwrap()).unwrap();
    let said: Value = serde_json::from_str(&answer("b")).unwrap();
    assert_eq!(question.previous_input, Some(said));
}

/// A person who was asked is heard, also if the question has become that of the previous run in the meantime.
#[test]
fn an_answer_to_an_open_question_goes_before_that_of_the_previous_run() {
    let env = TestEnvironment::new();
    let known = topic("$expr{topic}");
    env.write("flow.yaml", &known);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    drop(env.run(&["answer", "last", "--input", &answer("yes")]).expect(0));
    env.write("flow.yaml", &topic("$expr{topic} of $var{run_root}"));
    drop(env.run(&rerun(&[])).expect(3));
    drop(
        env.run(&["answer", "last", "--no-resume", "--input", &answer("no")])
            .expect(0),
    );
    env.write("flow.yaml", &known);
    drop(env.run(&["resume", "last", "--definition", "current"]).expect(0));
    assert_eq!(printed(&env), ["is cats fine? no"]);
    let why = env.run(&["runs", "why", "last", "ask"]).expect(0);
    assert!(
        why.stdout
            .contains("answered (dhenara answer); asked again because `$var{run_root}` differs"),
        "{why}"
    );
}
