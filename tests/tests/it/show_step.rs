//! A step as `runs show RUN STEP` shows it: its conversation with models, of failed attempts too, and its parts alone.

use serde_json::json;

use crate::harness::TestEnvironment;
use crate::models::{Scripted, calls, says};

const SHOW: [&str; 4] = ["runs", "show", "last", "ask"];

/// A model node that asks a tool and must answer with an object that has a field `ok`.
const ASKS: &str = r#"  - node: ask
    type: ai_model_call
    retry: { max_attempts: 2, initial_delay: 0.01, repeat_effects: true }
    settings:
      models: [local/tiny]
      system_instructions: ["Be brief.\nBe kind."]
      prompt: "First line\n  second line \u001b[2J"
      model_call_config:
        structured_output:
          repairs: 0
          schema: { type: object, required: [ok], properties: { ok: { type: string } } }
        tools:
          - name: note
            command: [echo, noted, "{text}"]
            parameters: { type: object, properties: { text: { type: string } } }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_shown_as_it_was_held() {
    let scripted = Scripted::new(vec![
        says("no structure"),
        calls("note", &json!({ "text": "one\ntwo" })),
        says("{\"ok\": \"yes\\nand more\"}"),
    ])
    .await;
    scripted.flow(ASKS);
    drop(scripted.run(&[]).expect(0));
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"(?m)^  [ \d]{9}\d  ", "        size  ");
    let _sizes = settings.bind_to_scope();
    insta::assert_snapshot!(scripted.env.unchanged(&SHOW).expect(0), @r#"
    ✓ flow_root.ask  [time]  tiny, 2 calls, 600 tokens  $0.0010
    settings
      models: ["local/tiny"]
      model_call_config:
        structured_output:
          repairs: 0
          schema:
            type: object
            required: ["ok"]
            properties:
              ok:
                type: string
        tools:
          - name: note
            command: ["echo","noted","{text}"]
            parameters:
              type: object
              properties:
                text:
                  type: string
    ✗ attempt 1 failed: flow_root.ask: the answer is not the JSON that was asked for: expected ident at line 1 column 2, near `no structure`
    system
      Be brief.
      Be kind.
    user
      First line
        second line \u{1b}[2J
    assistant  local/tiny, 300 tokens, $0.0005
      no structure
    ✓ attempt 2 completed
    system
      Be brief.
      Be kind.
    user
      First line
        second line \u{1b}[2J
    assistant  local/tiny, 300 tokens, $0.0005
      calls note
        text:
          one
          two
    tool note
      all_succeeded: true
      commands_executed: 1
      successful_commands: 1
      failed_commands: 0
      results:
        - command:
            echo noted 'one
            two'
          returncode: 0
          stdout:
            noted one
            two
          stderr: ""
          success: true
    assistant  local/tiny, 300 tokens, $0.0005
      ok:
        yes
        and more
    files [root]/project/runs/run_00000000_000000_000001/flow_root/ask
            size  memo.jsonl
            size  outcome.json
            size  result.json
            size  state.json
            size  stderr.log
            size  stdout.log
    ---- exit code 0
    "#);
    insta::assert_snapshot!(scripted.env.unchanged(&[&SHOW[..], &["--messages"]].concat()).expect(0), @r#"
    ✗ attempt 1 failed: flow_root.ask: the answer is not the JSON that was asked for: expected ident at line 1 column 2, near `no structure`
    system
      Be brief.
      Be kind.
    user
      First line
        second line \u{1b}[2J
    assistant  local/tiny, 300 tokens, $0.0005
      no structure
    ✓ attempt 2 completed
    system
      Be brief.
      Be kind.
    user
      First line
        second line \u{1b}[2J
    assistant  local/tiny, 300 tokens, $0.0005
      calls note
        text:
          one
          two
    tool note
      all_succeeded: true
      commands_executed: 1
      successful_commands: 1
      failed_commands: 0
      results:
        - command:
            echo noted 'one
            two'
          returncode: 0
          stdout:
            noted one
            two
          stderr: ""
          success: true
    assistant  local/tiny, 300 tokens, $0.0005
      ok:
        yes
        and more
    ---- exit code 0
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_alone_is_printed_to_the_byte() {
    let scripted = Scripted::new(vec![says("an answer\u{1b}[2J \r\n\n")]).await;
    scripted.flow(
        "  - { node: ask, type: ai_model_call, settings: { models: [local/tiny], prompt: \"one\\n\\u001b[2Jtwo\" } }\n",
    );
    drop(scripted.run(&[]).expect(0));
    let part = |part: &str| {
        scripted
            .env
            .unchanged(&[&SHOW[..], &[part]].concat())
            .expect(0)
            .stdout
    };
    assert_eq!(part("--prompt"), "one\n\u{1b}[2Jtwo");
    assert_eq!(part("--answer"), "an answer\u{1b}[2J \r\n\n");
    let files = part("--files");
    assert!(
        files
            .lines()
            .any(|file| file.ends_with("/flow_root/ask/memo.jsonl")),
        "{files}"
    );
    assert!(
        files.lines().all(|file| std::path::Path::new(file).is_file()),
        "{files}"
    );

    for part in ["--prompt", "--answer", "--messages", "--files"] {
        let shown = scripted
            .env
            .unchanged(&[&SHOW[..], &[part, "--json"]].concat())
            .expect(0);
        let document = shown.json("cli_runs_show");
        assert_eq!(document["path"], "flow_root.ask", "{shown}");
    }
    let transcript = scripted
        .env
        .unchanged(&[&SHOW[..], &["--messages", "--json"]].concat());
    let turns = &transcript.json("cli_runs_show")["attempts"][0]["turns"];
    assert_eq!(turns[0], json!({ "role": "user", "text": "one\n\u{1b}[2Jtwo" }));
    assert_eq!(turns[1]["model"], "local/tiny");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_was_interrupted_is_one() {
    let scripted = Scripted::new(vec![calls("burn", &json!({ "what": "paper" })), says("done")]).await;
    scripted.flow(
        "  - node: ask\n    type: ai_model_call\n    settings:\n      models: [local/tiny]\n      prompt: Hi\n      model_call_config:\n        tools: [{ name: burn, requires_approval: true, command: [echo, burned, \"{what}\"], parameters: { type: object, properties: { what: {} } } }]\n",
    );
    drop(scripted.run(&[]).expect(3));
    let messages = [&SHOW[..], &["--messages"]].concat();
    insta::assert_snapshot!(scripted.env.unchanged(&messages).expect(0), @"
    user
      Hi
    assistant  local/tiny, 300 tokens, $0.0005
      calls burn
        what: paper
    ---- exit code 0
    ");
    drop(
        scripted
            .env
            .run(&["answer", "last", "--deny", "no fire"])
            .expect(0),
    );
    insta::assert_snapshot!(scripted.env.unchanged(&messages).expect(0), @"
    user
      Hi
    assistant  local/tiny, 300 tokens, $0.0005
      calls burn
        what: paper
    tool burn
      error: it was not approved: no fire
    assistant  local/tiny, 300 tokens, $0.0005
      done
    ---- exit code 0
    ");
}

#[test]
fn output_of_commands_stands_as_text() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        r#"schema_version: 1
kind: flow
elements:
  - node: says
    type: command
    on_error: continue
    settings: { commands: [["sh", "-c", "echo one; echo two >&2; exit 3"]] }
  - node: writes
    type: file_operation
    settings:
      base_directory: "$var{project_root}"
      operations:
        - { type: create_file, path: made.txt, content: "a\nb\n" }
"#,
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"(?m)^  [ \d]{9}\d  ", "        size  ");
    let _sizes = settings.bind_to_scope();
    insta::assert_snapshot!(env.unchanged(&["runs", "show", "last", "says"]).expect(0), @r#"
    ✗ flow_root.says  [time]  failed  1 command
    settings
      commands:
        - ["sh","-c","echo one; echo two >&2; exit 3"]
    $ sh -c 'echo one; echo two >&2; exit 3'  exit code 3
      stdout
        one
      stderr
        two
    error
      flow_root.says: `sh -c 'echo one; echo two >&2; exit 3'` ended with exit code 3: two
      code command_failed
    files [root]/project/runs/run_00000000_000000_000001/flow_root/says
            size  outcome.json
            size  result.json
            size  state.json
            size  stderr.log
            size  stdout.log
    ---- exit code 0
    "#);
    insta::assert_snapshot!(env.unchanged(&["runs", "show", "last", "writes"]).expect(0), @"
    ✓ flow_root.writes  [time]  1 operation
    settings
      base_directory: [root]/project
      operations:
        - type: create_file
          path: made.txt
          content:
            a
            b
    outcome
      base_directory: [root]/project
      results:
        - type: create_file
          path: made.txt
          success: true
          left:
            made.txt: [digest]
    changes
      --- /dev/null
      +++ b/made.txt
      @@ -0,0 +1,2 @@
      +a
      +b
    files [root]/project/runs/run_00000000_000000_000001/flow_root/writes
            size  file_changes/[digest]
            size  file_changes/plan.json
            size  outcome.json
            size  result.json
            size  state.json
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "show", "last", "says", "--answer"]).expect(2), @"
    ---- stderr
    error[no_conversation]: `flow_root.says` asked no model in `run_00000000_000000_000001`
      hint: `dhenara runs get run_00000000_000000_000001 flow_root.says.outcome` prints its outcome
    ---- exit code 2
    ");
}
