//! Calls of tools that arrived in part, or hold what cannot be kept: none is made, and the model gets the reason.

use serde_json::{Value, json};

use crate::harness::read_json;
use crate::models::{Scripted, body, calls, says};

const TOOLS: &str = "  - node: ask\n    type: ai_model_call\n    settings: { models: [local/tiny], prompt: Do it., model_call_config: { tools: [{ \
                     name: note, command: [tee, \"$var{project_root}/made\"], parameters: { type: object } }] } }\n";

/// A call whose arguments are written as a text.
fn writes(arguments: &str, finish: &str) -> wiremock::ResponseTemplate {
    let call = json!({ "id": "call_note", "type": "function", "function": { "name": "note", "arguments": arguments } });
    body(
        &json!({ "role": "assistant", "content": null, "tool_calls": [call] }),
        finish,
    )
}

/// The last message that the model got.
async fn told(scripted: &Scripted) -> String {
    let asked = scripted.asked().await;
    asked.last().unwrap()["messages"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()["content"]
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_a_cut_answer_is_not_made() {
    let scripted = Scripted::new(vec![writes("{}", "length"), says("Done.")]).await;
    scripted.flow(TOOLS);
    drop(scripted.run(&[]).expect(0));
    assert!(!scripted.env.project().join("made").exists());
    let told = told(&scripted).await;
    assert!(
        told.contains(
            "`note` was not called: the answer was cut at its longest length, which `max_output_tokens` says"
        ),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_an_answer_that_was_held_back_is_not_made() {
    let scripted = Scripted::new(vec![writes("{}", "content_filter")]).await;
    scripted.flow(TOOLS);
    let failed = scripted.run(&[]).expect(1);
    assert!(!scripted.env.project().join("made").exists());
    assert!(failed.stderr.contains("by a content filter"), "{failed}");
    assert_eq!(scripted.asked().await.len(), 1, "it is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_cannot_be_kept_are_reported() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(110), "]".repeat(110));
    for (arguments, wanted) in [
        (
            "{\"n\":123456789012345678901}",
            "at `n` does not fit into 64 bits",
        ),
        (&deep, "lies deeper than 100 lists and objects"),
        ("{\"n\":", "are not a JSON object"),
    ] {
        let scripted = Scripted::new(vec![writes(arguments, "tool_calls"), says("Done.")]).await;
        scripted.flow(TOOLS);
        drop(scripted.run(&[]).expect(0));
        assert!(!scripted.env.project().join("made").exists(), "{wanted}");
        let told = told(&scripted).await;
        assert!(told.contains(wanted), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_whole_is_made() {
    let scripted = Scripted::new(vec![calls("note", &json!({})), says("Done.")]).await;
    scripted.flow(TOOLS);
    drop(scripted.run(&[]).expect(0));
    assert!(scripted.env.project().join("made").exists());
    let outcome: Value = read_json(&scripted.env.last_run().join("flow_root/ask/outcome.json"));
    assert_eq!(outcome["text"], "Done.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_had_to_call_a_tool_may_answer_then() {
    for choice in ["required", "{ name: note }"] {
        let scripted = Scripted::new(vec![calls("note", &json!({})), says("Done.")]).await;
        let chosen = format!("model_call_config: {{ tool_choice: {choice}, ");
        scripted.flow(&TOOLS.replace("model_call_config: { ", &chosen));
        drop(scripted.run(&[]).expect(0));
        let asked = scripted.asked().await;
        assert_ne!(asked[0]["tool_choice"], "auto", "{choice}");
        assert_eq!(asked[1]["tool_choice"], "auto", "{choice}");
    }
    // The arguments of a cut answer were not used: the call is still to be made.
    let scripted = Scripted::new(vec![
        writes("{}", "length"),
        calls("note", &json!({})),
        says("Done."),
    ])
    .await;
    scripted.flow(&TOOLS.replace(
        "model_call_config: { ",
        "model_call_config: { tool_choice: required, ",
    ));
    drop(scripted.run(&[]).expect(0));
    let choices: Vec<Value> = scripted
        .asked()
        .await
        .iter()
        .map(|asked| asked["tool_choice"].clone())
        .collect();
    assert_eq!(choices, ["required", "required", "auto"]);
}

/// A tool of a file operation node, and more of it.
fn files(more: &str) -> String {
    format!(
        "  - node: ask\n    type: ai_model_call\n    settings: {{ models: [local/tiny], prompt: Do it., model_call_config: {{ tools: [{{ \
         name: files, node: file_operation, {more} }}] }} }}\n"
    )
}

const WITHIN: &str = "settings: { base_directory: \"$var{project_root}/part\", use_relative_paths: true }";

fn creates(more: &Value) -> Value {
    let mut arguments =
        json!({ "operations": [{ "type": "create_file", "path": "made.txt", "content": "x" }] });
    for (name, value) in more.as_object().unwrap() {
        arguments[name] = value.clone();
    }
    arguments
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_definition_fixes_of_a_tool_the_model_does_not_give() {
    let given = [
        creates(&json!({ "base_directory": "/" })),
        creates(&json!({ "use_relative_paths": false })),
        creates(&json!({})),
    ];
    let [first, second, third] = given.map(|given| calls("files", &given));
    let scripted = Scripted::new(vec![first, second, third, says("Done.")]).await;
    scripted.env.write("part/there.txt", "there\n");
    scripted.flow(&files(WITHIN));
    drop(scripted.run(&[]).expect(0));
    let asked = scripted.asked().await;
    let schema = &asked[0]["tools"][0]["function"]["parameters"];
    for fixed in ["base_directory", "use_relative_paths"] {
        assert_eq!(schema["properties"].get(fixed), None, "{schema}");
    }
    assert!(schema["properties"].get("operations").is_some(), "{schema}");
    let messages = asked[3]["messages"].as_array().unwrap();
    let told: Vec<&str> = messages
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!(
        told[..2],
        [
            "{\"error\":\"`base_directory`: only the definition can give it; call the tool without\"}",
            "{\"error\":\"`use_relative_paths`: only the definition can give it; call the tool without\"}",
        ]
    );
    assert!(told[2].contains("\"success\":true"), "{told:?}");
    assert!(scripted.env.project().join("part/made.txt").exists());
    assert!(!scripted.env.project().join("made.txt").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn fixed_settings_of_a_tool_are_checked_with_the_definition() {
    let scripted = Scripted::new(vec![says("Done.")]).await;
    let refused = |tool: &str| {
        scripted.flow(&format!(
            "  - node: ask\n    type: ai_model_call\n    settings:\n      models: [local/tiny]\n      prompt: Do it.\n      model_call_config:\n        tools:\n          - {tool}\n"
        ));
        scripted.env.refused(&["run", "flow", "flow.yaml"]).stderr
    };
    for (tool, wanted) in [
        (
            "{ name: files, node: file_operation, settings: { base_directroy: x } }",
            "flow.yaml:12:62: error[unknown_key]: unknown key `base_directroy`",
        ),
        (
            "{ name: files, node: file_operation, settings: { stage: \"yes\" } }",
            "flow.yaml:12:69: error[wrong_type]",
        ),
        (
            "{ name: run, node: command, settings: { timeout: 0 } }",
            "`timeout` must be a positive number of seconds",
        ),
        (
            "{ name: run, command: [ls], parameters: {}, settings: { working_dir: \"$secret{KEY}\" } }",
            "a secret stands where everybody could read it",
        ),
        (
            "{ name: run, command: [ls], parameters: {}, settings: { commands: [[rm]] } }",
            "`commands` are what `command` of the tool says",
        ),
        (
            "{ name: run, node: command, settings: { allow_generated: true } }",
            "`allow_generated` stands beside `settings`",
        ),
        (
            "{ name: note, callback: note, settings: { a: 1 } }",
            "`settings` belong to a `node` or `command`",
        ),
        (
            "{ name: files, node: file_operation, settings: { stage: true }, parameters: { properties: { stage: {} } } }",
            "the model gives `stage` by `parameters`, and `settings` fix it",
        ),
        (
            "{ name: run, command: [ls], parameters: {}, settings: { sandbox: { netwrok: true } } }",
            "unknown key `netwrok`",
        ),
    ] {
        let told = refused(tool);
        assert!(told.contains(wanted), "{tool}: {told}");
    }
}

/// Calls a command tool without arguments, and tells what the model was told of it.
async fn told_of_command(tool: &str, arguments: &Value, prepare: impl Fn(&Scripted)) -> String {
    let scripted = Scripted::new(vec![calls("run", arguments), says("Done.")]).await;
    prepare(&scripted);
    scripted.flow(&format!(
        "  - node: ask\n    type: ai_model_call\n    settings: {{ models: [local/tiny], prompt: Do it., model_call_config: {{ tools: [{tool}] }} }}\n"
    ));
    drop(scripted.run(&[]).expect(0));
    told(&scripted).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_a_tool_executes_as_the_definition_fixes() {
    let credentials = |scripted: &Scripted| {
        let file = "secrets: { TICKET: a-long-secret-value }\n";
        scripted.env.write(".dhenara/.secrets/.credentials.yaml", file);
        scripted.env.write("part/there.txt", "there\n");
    };
    let print = "test ${#TICKET} = 19 && echo known; pwd; echo $WORD";
    let settings = "settings: { working_dir: \"$var{project_root}/part\", env_vars: { TICKET: \"$secret{TICKET}\", WORD: \"$var{element_id}\" } }";
    for (tool, arguments) in [
        (
            format!(
                "{{ name: run, command: [sh, -c, \"{print}\"], parameters: {{ type: object }}, {settings} }}"
            ),
            json!({}),
        ),
        (
            format!("{{ name: run, node: command, {settings}, allow_generated: true }}"),
            json!({ "commands": [print] }),
        ),
    ] {
        let told = told_of_command(&tool, &arguments, credentials).await;
        assert!(
            told.contains("known\\\\n") && told.contains("/part\\\\nask\\\\n"),
            "{told}"
        );
    }
    let late =
        "{ name: run, command: [sleep, \"60\"], parameters: { type: object }, settings: { timeout: 0.5 } }";
    let told = told_of_command(late, &json!({}), credentials).await;
    assert!(told.contains("did not end within its time limit"), "{told}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_a_model_is_in_the_sandbox_that_the_definition_fixes() {
    if !crate::harness::has_sandbox() {
        return;
    }
    let secret = |scripted: &Scripted| {
        let file = scripted.env.path("home/.ssh/id");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "the-secret-content").unwrap();
        scripted.env.write("part/there.txt", "there\n");
    };
    let within = "settings: { working_dir: \"$var{project_root}/part\", sandbox: true }";
    let read = json!({ "commands": [["sh", "-c", "cat ~/.ssh/id there.txt 2>&1"]], "fail_fast": false });
    let as_argument = format!(
        "{{ name: run, command: [cat, \"{{file}}\", there.txt], parameters: {{ type: object, properties: {{ file: {{ type: string }} }} }}, {within} }}"
    );
    for (tool, arguments, wanted) in [
        (
            format!("{{ name: run, node: command, allow_generated: true, {within} }}"),
            read.clone(),
            "there\\\\n",
        ),
        (
            as_argument,
            json!({ "file": "/proc/1/root/home/.ssh/id" }),
            "No such file",
        ),
        // What the definition leaves open is not for a model to open further.
        (
            "{ name: run, node: command, allow_generated: true, parameters: { type: object } }".to_owned(),
            json!({ "commands": [["true"]], "sandbox": { "read": ["~/.ssh"] } }),
            "`sandbox`: only the definition can give it",
        ),
        (
            "{ name: run, node: command, parameters: { type: object } }".to_owned(),
            json!({ "commands": [["true"]], "sandbox": { "network": true } }),
            "`sandbox`: only the definition can give it",
        ),
    ] {
        let told = told_of_command(&tool, &arguments, secret).await;
        assert!(
            told.contains(wanted) && !told.contains("the-secret-content"),
            "{tool}: {told}"
        );
    }
}

// What no page names.

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_a_call_shows_what_is_fixed() {
    let scripted = Scripted::new(vec![calls("files", &creates(&json!({}))), says("Done.")]).await;
    scripted.env.write("part/there.txt", "there\n");
    scripted.flow(&files(&format!("{WITHIN}, requires_approval: true")));
    drop(scripted.run(&[]).expect(3));
    let shown = scripted
        .env
        .run(&["runs", "show", "last", "ask"])
        .expect(0)
        .stdout;
    assert!(
        shown
            .lines()
            .any(|line| line.starts_with("in ") && line.ends_with("/project/part")),
        "{shown}"
    );
    drop(scripted.env.run(&["answer", "last", "--approve"]).expect(0));
    assert!(scripted.env.project().join("part/made.txt").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_spelt_otherwise_does_not_give_what_is_fixed() {
    let spellings = ["Base_Directory", "base_directory ", "baseDirectory"];
    let mut answers: Vec<_> = spellings
        .iter()
        .map(|name| calls("files", &creates(&json!({ *name: "/" }))))
        .collect();
    answers.push(says("Done."));
    let scripted = Scripted::new(answers).await;
    scripted.env.write("part/there.txt", "there\n");
    scripted.flow(&files(&format!("{WITHIN}, parameters: {{ type: object }}")));
    drop(scripted.run(&[]).expect(0));
    let asked = scripted.asked().await;
    let messages = asked.last().unwrap()["messages"].as_array().unwrap();
    let told = messages.iter().filter(|message| message["role"] == "tool");
    for told in told {
        assert!(
            told["content"]
                .as_str()
                .unwrap()
                .contains("there is no such setting"),
            "{told}"
        );
    }
    assert!(!scripted.env.project().join("part/made.txt").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_in_a_fixed_setting_does_not_name_a_secret() {
    let prepare = |scripted: &Scripted| {
        let file = "secrets: { TICKET: a-long-secret-value }\n";
        scripted.env.write(".dhenara/.secrets/.credentials.yaml", file);
        scripted.env.write("value.txt", "$secret{TICKET}");
    };
    let tool = "{ name: run, command: [sh, -c, 'echo \"${#V}\"'], parameters: { type: object }, \
                settings: { env_vars: { V: \"$expr{ '$secret' + '{TICKET}' }\" } } }";
    let told = told_of_command(tool, &json!({}), prepare).await;
    assert!(told.contains("15\\\\n"), "{told}");
}
