//! Searching runs for a text.

use serde_json::Value;

use crate::harness::TestEnvironment;
use crate::models::{Scripted, says};

#[tokio::test(flavor = "multi_thread")]
async fn prompts_answers_and_output_are_searched() {
    let scripted = Scripted::new(vec![says("An \"answer\"\nof gold")]).await;
    scripted.flow(
        "  - { node: ask, type: ai_model_call, settings: { models: [local/tiny], prompt: \"Where is the Gold?\" } }\n  - { node: say, type: command, settings: { commands: [[echo, \"silver \\u001b[2J lining\"]] } }\n",
    );
    drop(scripted.run(&[]).expect(0));
    let env = &scripted.env;
    drop(
        env.run(&["runs", "note", "last", "worth its weight in gold"])
            .expect(0),
    );
    insta::assert_snapshot!(env.unchanged(&["runs", "search", "GOLD"]).expect(0), @r#"
    run_00000000_000000_000001  0000-00-00 00:00:00 UTC
      flow_root.ask.outcome.text: An "answer" of gold
      flow_root.ask.settings.prompt: Where is the Gold?
      output.text: An "answer" of gold
      note: worth its weight in gold
    ---- exit code 0
    "#);
    insta::assert_snapshot!(env.unchanged(&["runs", "search", "\"answer\"\nof"]).expect(0), @r#"
    run_00000000_000000_000001  0000-00-00 00:00:00 UTC
      flow_root.ask.outcome.text: An "answer" of gold
      output.text: An "answer" of gold
    ---- exit code 0
    "#);
    insta::assert_snapshot!(env.unchanged(&["runs", "search", "silver"]).expect(0), @r"
    run_00000000_000000_000001  0000-00-00 00:00:00 UTC
      flow_root.say.outcome.results[0].command: echo 'silver \u{1b}[2J lining'
      flow_root.say.outcome.results[0].stdout: silver \u{1b}[2J lining
      flow_root.say.settings.commands[0][1]: silver \u{1b}[2J lining
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "search", "bronze"]).expect(0), @"
    ---- stderr
    the text stands in none of 1 run
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "search", ""]).expect(2), @"
    ---- stderr
    error[search_text]: the text cannot be searched for: it is empty
    ---- exit code 2
    ");

    // What a run found is what `runs get` prints.
    let found = env
        .unchanged(&["runs", "search", "gold", "--json"])
        .expect(0)
        .json("cli_runs_search");
    assert_eq!(found["searched"], 1);
    let places = found["runs"][0]["found"].as_array().unwrap();
    let texts = places
        .iter()
        .filter(|found| found["path"].is_string())
        .map(|found| {
            let place = format!(
                "{}.{}",
                found["path"].as_str().unwrap(),
                found["place"].as_str().unwrap()
            );
            let value = env.unchanged(&["runs", "get", "last", &place]).expect(0).stdout;
            value.contains(found["text"].as_str().unwrap())
        });
    assert_eq!(texts.collect::<Vec<bool>>(), [true, true]);
}

#[test]
fn only_chosen_runs_are_searched_and_damaged_ones_named() {
    let mut settings = insta::Settings::clone_current();
    // The length of a file that holds times.
    settings.add_filter(r"recorded were \d+", "recorded were [number]");
    let _lengths = settings.bind_to_scope();
    let env = TestEnvironment::new();
    for name in ["one", "two"] {
        let flow = format!(
            "schema_version: 1\nkind: flow\nelements:\n  - {{ node: a, type: command, settings: {{ commands: [[echo, needle]] }} }}\n  - {{ node: b, type: command, settings: {{ commands: [[echo, {name}]] }} }}\n"
        );
        env.write(&format!("{name}.yaml"), &flow);
        drop(env.run(&["run", "flow", &format!("{name}.yaml")]).expect(0));
    }
    let runs = |options: &[&str]| -> Vec<Value> {
        let output = env
            .unchanged(&[&["runs", "search", "needle", "--json"], options].concat())
            .expect(0);
        let found = output.json("cli_runs_search");
        found["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["run_id"].clone())
            .collect()
    };
    assert_eq!(runs(&[]).len(), 2);
    let two = runs(&["--agent", "two"]);
    assert_eq!(two, [env.last_run().file_name().unwrap().to_str().unwrap()]);
    assert_eq!(runs(&["--since", "2999-01-01T00:00:00Z"]), [Value::Null; 0]);

    env.is_checked();
    std::fs::write(env.last_run().join("two_root/a/result.json"), "{}").unwrap();
    insta::assert_snapshot!(env.unchanged(&["runs", "search", "needle"]).expect(0), @"
    run_00000000_000000_000001  0000-00-00 00:00:00 UTC
      one_root.a.outcome.results[0].command: echo needle
      one_root.a.outcome.results[0].stdout: needle
      one_root.a.settings.commands[0][1]: needle
    ---- stderr
    left out: `[root]/project/runs/run_00000000_000000_000002/two_root/a/result.json` is not the file that was recorded: it has 2 bytes, recorded were [number]
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "search", "two", "--agent", "two"]).expect(0), @"
    run_00000000_000000_000002  0000-00-00 00:00:00 UTC
      two_root.b.outcome.results[0].command: echo two
      two_root.b.outcome.results[0].stdout: two
      two_root.b.settings.commands[0][1]: two
    ---- stderr
    left out: `[root]/project/runs/run_00000000_000000_000002/two_root/a/result.json` is not the file that was recorded: it has 2 bytes, recorded were [number]
    ---- exit code 0
    ");
}
