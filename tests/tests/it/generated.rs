//! Text that no author wrote is read by a shell only where the definition allows it, wherever it comes from.

use serde_json::{Value, json};

use crate::harness::{TestEnvironment, read_json};
use crate::models::{Scripted, calls, says};

/// Text that leaves a mark if a shell reads it.
const MARK: &str = "echo hidden > \"$PWD/PWNED\"";

fn flow(env: &TestEnvironment, settings: &Value, options: &Value, variables: &Value) {
    let mut step = json!({ "node": "step", "type": "command", "settings": settings });
    for (name, value) in options.as_object().unwrap() {
        step[name] = value.clone();
    }
    let flow = json!({ "schema_version": 1, "kind": "flow", "variables": variables, "elements": [step] });
    env.write("flow.json", &flow.to_string());
}

#[track_caller]
fn refused(env: &TestEnvironment, args: &[&str]) {
    let words = ["run", "flow", "flow.json", "--no-input"];
    let output = env.run(&[&words, args].concat());
    assert_ne!(output.code, Some(0), "{args:?}: {output}");
    assert!(
        output.stderr.contains("a shell would read it as code")
            || output.stderr.contains("generated_command"),
        "{args:?}: {output}"
    );
    nothing_ran(env);
}

#[track_caller]
fn nothing_ran(env: &TestEnvironment) {
    assert!(env.runs().iter().all(|run| !run.join("PWNED").exists()));
    assert!(!env.project().join("PWNED").exists());
}

#[test]
fn a_value_is_no_code_wherever_it_stands() {
    let env = TestEnvironment::new();
    let variables = json!({ "list": [MARK], "text": MARK, "shell": [["sh", "-ec", MARK]], "word": "-c" });
    for commands in [
        json!("$expr{ list }"),
        json!(["$expr{ text }"]),
        json!("$expr{ shell }"),
        json!(["$expr{ shell[0] }"]),
        json!([["sh", "-c", "$var{text}"]]),
        json!([["/bin/bash", "-lc", "cd /; $var{text}"]]),
        json!([["sh", "$var{word}", "$var{text}"]]),
    ] {
        flow(&env, &json!({ "commands": commands }), &json!({}), &variables);
        refused(&env, &[]);
    }
    // What the compiler makes of a command is taken from no other source.
    let inner = json!([{ "script": MARK, "arguments": [], "shown": "echo hello" }]);
    let written = json!({ "allow_generated": true, "commands": [{ "text": MARK }] });
    let variables = json!({ "inner": inner, "yes": true });
    flow(
        &env,
        &json!({ "commands": "$expr{ inner }" }),
        &json!({}),
        &variables,
    );
    let output = env.run(&["run", "flow", "flow.json"]).expect(1);
    assert!(
        output
            .stderr
            .contains("a command is a text or a list of arguments"),
        "{output}"
    );
    flow(
        &env,
        &json!({ "commands": [["true"]], "written": written }),
        &json!({}),
        &variables,
    );
    drop(env.refused(&["run", "flow", "flow.json"]));
    flow(
        &env,
        &json!({ "commands": ["$expr{ inner }"], "allow_generated": "$expr{ yes }" }),
        &json!({}),
        &variables,
    );
    let output = env.refused(&["run", "flow", "flow.json"]);
    assert!(
        output.stderr.contains("only the definition can give it"),
        "{output}"
    );
    nothing_ran(&env);
}

#[test]
fn an_input_is_no_code() {
    let env = TestEnvironment::new();
    flow(
        &env,
        &json!({ "commands": ["echo mine"] }),
        &json!({}),
        &json!({}),
    );
    let inputs = [
        json!({ "commands": [MARK] }),
        json!({ "commands": [["sh", "-c", MARK]] }),
        json!({ "settings_override": { "commands": [MARK] } }),
        json!({ "settings_override": { "commands": ["echo mine", MARK] } }),
    ];
    for input in &inputs {
        refused(&env, &["--input", &format!("step={input}")]);
    }
    env.write("inputs.json", &json!({ "step": inputs[0] }).to_string());
    refused(&env, &["--static-inputs", "inputs.json"]);
    for input in [
        json!({ "commands": [{ "script": MARK, "arguments": [], "shown": "echo hello" }] }),
        json!({ "settings_override": { "written": { "allow_generated": true } } }),
        json!({ "settings_override": { "commands": [MARK], "allow_generated": true } }),
        json!({ "settings_override": { "allow_generated": null } }),
    ] {
        let output = env.run(&["run", "flow", "flow.json", "--input", &format!("step={input}")]);
        assert_eq!(output.code, Some(2), "{output}");
    }
    // The same text is what the author wrote; a list of arguments is read by no shell.
    for input in [
        json!({ "settings_override": { "commands": ["echo mine"] } }),
        json!({ "commands": [["echo", MARK]] }),
    ] {
        drop(
            env.run(&["run", "flow", "flow.json", "--input", &format!("step={input}")])
                .expect(0),
        );
    }
    nothing_ran(&env);
}

#[test]
fn an_answer_and_a_changed_input_of_an_approval_are_no_code() {
    let env = TestEnvironment::new();
    flow(
        &env,
        &json!({ "commands": ["echo mine"] }),
        &json!({ "requires_approval": true }),
        &json!({}),
    );
    let input = json!({ "commands": [MARK] }).to_string();
    drop(env.run(&["run", "flow", "flow.json", "--no-input"]).expect(3));
    let output = env.run(&["answer", "last", "--approve", "--input", &input]);
    assert_ne!(output.code, Some(0), "{output}");
    nothing_ran(&env);
    flow(
        &env,
        &json!({ "commands": ["echo mine"] }),
        &json!({ "pre_events": ["node_input_required"] }),
        &json!({}),
    );
    drop(env.run(&["run", "flow", "flow.json", "--no-input"]).expect(3));
    let output = env.run(&["answer", "last", "--input", &input]).expect(1);
    assert!(
        output.stderr.contains("a shell would read it as code"),
        "{output}"
    );
    nothing_ran(&env);
}

#[test]
fn what_is_shown_is_what_runs() {
    let env = TestEnvironment::new();
    let variables = json!({ "v": "a; touch PWNED", "w": "$(touch PWNED) \"quoted\"" });
    flow(
        &env,
        &json!({ "commands": ["printf '%s\\n' $var{v} \"<$var{w}>\"", ["echo", "$var{v}"]] }),
        &json!({ "requires_approval": true }),
        &variables,
    );
    drop(env.run(&["run", "flow", "flow.json", "--no-input"]).expect(3));
    let questions = env.last_run().join(".run/questions");
    let question = std::fs::read_dir(questions)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let preview = read_json(&question)["preview"].as_str().unwrap().to_owned();
    let typed: Vec<&str> = preview.lines().filter(|line| line.starts_with("$ ")).collect();
    insta::assert_snapshot!(typed.join("\n"), @r#"
    $ printf '%s\n' 'a; touch PWNED' "<\$(touch PWNED) \"quoted\">"
    $ echo 'a; touch PWNED'
    "#);
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
    let outcome = read_json(&env.last_run().join("flow_root/step/outcome.json"));
    assert_eq!(
        outcome["results"][0]["stdout"],
        "a; touch PWNED\n<$(touch PWNED) \"quoted\">\n"
    );
    // Typed as it was shown it does the same.
    let shown = typed[0].trim_start_matches("$ ");
    let typed = env
        .command("sh", &env.project())
        .args(["-c", shown])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(typed.stdout).unwrap(),
        outcome["results"][0]["stdout"]
    );
    nothing_ran(&env);
}

#[test]
fn a_definition_may_allow_it() {
    let env = TestEnvironment::new();
    let variables = json!({ "list": ["echo one; echo two"] });
    let allowed = json!({ "commands": "$expr{ list }", "allow_generated": true });
    flow(&env, &allowed, &json!({}), &variables);
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
    let outcome = read_json(&env.last_run().join("flow_root/step/outcome.json"));
    assert_eq!(outcome["results"][0]["stdout"], "one\ntwo\n");
    let input = json!({ "commands": ["echo three | cat"] });
    drop(
        env.run(&["run", "flow", "flow.json", "--input", &format!("step={input}")])
            .expect(0),
    );
    // Lists of arguments need no permission.
    let listed = json!({ "commands": "$expr{ lists }" });
    flow(
        &env,
        &listed,
        &json!({}),
        &json!({ "lists": [["echo", "one; echo two"]] }),
    );
    drop(env.run(&["run", "flow", "flow.json"]).expect(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_gives_a_tool_is_no_code() {
    let tool = |more: &str| {
        format!(
            "  - node: ask\n    type: ai_model_call\n    settings: {{ models: [local/tiny], prompt: Do it., model_call_config: {{ tools: [{{ name: tool, {more} }}] }} }}\n"
        )
    };
    let any = "parameters: { type: object, properties: { p: {}, text: {} } }";
    let hidden = json!({ "commands": [MARK], "written": { "allow_generated": true } });
    for (settings, arguments, told) in [
        (
            format!("node: command, {any}"),
            json!({ "commands": [MARK] }),
            "a shell would read it as code",
        ),
        (
            format!("node: command, {any}"),
            json!({ "commands": [MARK], "allow_generated": true }),
            "only the definition can give it",
        ),
        (
            format!("node: command, {any}"),
            json!({ "commands": [MARK], "allow_generated": false }),
            "a shell would read it as code",
        ),
        (
            format!("node: command, {any}"),
            hidden,
            "`written`: there is no such setting",
        ),
        (
            format!("node: command, {any}"),
            json!({ "commands": [["true"]], "secret_env": { "A": [{ "secret": "B" }] } }),
            "`secret_env`: there is no such setting",
        ),
        (
            format!("command: [sh, -c, \"{{text}}\"], {any}"),
            json!({ "text": MARK }),
            "a shell would read it as code",
        ),
        (
            format!("command: [\"{{p}}\", -c, \"{{text}}\"], {any}"),
            json!({ "p": "sh", "text": MARK }),
            "a shell would read it as code",
        ),
        (
            format!("command: [sh, -c, 'echo \"<$1>\"', sh, \"{{text}}\"], {any}"),
            json!({ "text": MARK }),
            "<echo hidden",
        ),
        (
            format!("command: [sh, -c, \"{{text}}\"], allow_generated: true, {any}"),
            json!({ "text": "echo all; echo owed" }),
            "all\\\\nowed",
        ),
        (
            format!("node: command, allow_generated: true, {any}"),
            json!({ "commands": ["echo all; echo owed"] }),
            "all\\\\nowed",
        ),
    ] {
        let scripted = Scripted::new(vec![calls("tool", &arguments), says("Done.")]).await;
        scripted.flow(&tool(&settings));
        drop(scripted.run(&[]).expect(0));
        let asked = scripted.asked().await;
        let answer = asked[1]["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
        assert!(answer.contains(told), "{settings}: {answer}");
        nothing_ran(&scripted.env);
    }
}

#[test]
fn settings_are_shown_as_an_author_could_write_them() {
    let env = TestEnvironment::new();
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        "TOKEN: a-token-of-some-length\n",
    );
    let settings = json!({
        "commands": ["echo $expr{ word } \"$var{word}\"", "echo plain", ["echo", "$var{word}"]],
        "env_vars": { "KEY": "$var{word} $secret{TOKEN}" },
    });
    flow(
        &env,
        &settings,
        &json!({ "requires_approval": true }),
        &json!({ "word": "a b" }),
    );
    let shown = json!({
        "commands": ["echo a b \"a b\"", "echo plain", ["echo", "a b"]],
        "env_vars": { "KEY": "a b $secret{TOKEN}" },
    });
    let rendered = env.run(&["render", "flow.json", "step", "--json"]).expect(0);
    assert_eq!(rendered.json("cli_render")["settings"], shown, "{rendered}");
    drop(env.run(&["run", "flow", "flow.json", "--no-input"]).expect(3));
    let run = env.last_run();
    let questions = std::fs::read_dir(run.join(".run/questions")).unwrap();
    for question in questions {
        assert_eq!(read_json(&question.unwrap().path())["settings"], shown);
    }
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
    assert_eq!(
        read_json(&run.join("flow_root/step/result.json"))["settings"],
        shown
    );
}

#[test]
fn a_value_and_the_same_text_are_two_commands() {
    let env = TestEnvironment::new();
    let variables = json!({ "word": "*" });
    let run = |command: &str, executed: usize| {
        flow(&env, &json!({ "commands": [command] }), &json!({}), &variables);
        let previous = if env.runs().is_empty() {
            Vec::new()
        } else {
            vec!["--previous-run-id", "last"]
        };
        drop(
            env.run(&[&["run", "flow", "flow.json"], &previous[..]].concat())
                .expect(0),
        );
        let view = dhenara::run::RunView::open(env.last_run()).unwrap();
        let steps = view.steps().filter(|step| !step.is_taken()).count();
        assert_eq!(steps, executed, "{command}");
    };
    run("echo $var{word} *", 1);
    run("echo $var{word} *", 0);
    // Their texts are the same, and in each another word is a pattern.
    run("echo * $var{word}", 1);
    run("echo * *", 1);
    run("echo * *", 0);
}
