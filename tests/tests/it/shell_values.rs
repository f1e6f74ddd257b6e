//! Values in commands for a shell: they arrive, or the definition is refused with the right form.

use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment, read_json};

fn flow(command: &str, more: &Value, value: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    let mut settings = json!({ "commands": [command] });
    for (name, setting) in more.as_object().unwrap() {
        settings[name] = setting.clone();
    }
    let flow = json!({
        "schema_version": 1,
        "kind": "flow",
        "required": ["v"],
        "elements": [{ "node": "step", "type": "command", "settings": settings }],
    });
    env.write("flow.json", &flow.to_string());
    env.write("value", value);
    env
}

fn run(env: &TestEnvironment) -> CommandOutput {
    env.run(&["run", "flow", "flow.json", "--var", "v=@value"])
}

/// The result of the one command.
fn result(env: &TestEnvironment) -> Value {
    read_json(&env.last_run().join("flow_root/step/outcome.json"))["results"][0].clone()
}

#[test]
fn nothing_that_a_script_does_with_its_parameters_changes_a_value() {
    let cases = [
        (
            "f() { printf '%s.' \"build/$var{v}\" \"$1\"; }; f tmp",
            "build/a b.tmp.",
        ),
        ("set -- c d; printf '%s.' \"$var{v}\" \"$1\"", "a b.c."),
        ("set -- c d; shift; printf '%s.' $var{v} \"$1\" $#", "a b.d.1."),
        ("for x; do printf own; done; printf '%s.' $# $var{v}", "0.a b."),
        ("(cd / && printf '%s.' $var{v}); printf '%s.' $var{v}", "a b.a b."),
        ("env | grep -c dad_; printf '%s.' $var{v}", "0\na b."),
    ];
    for (command, wanted) in cases {
        let env = flow(command, &json!({}), "a b");
        let output = run(&env).expect(0);
        assert_eq!(result(&env)["stdout"], wanted, "{command}: {output}");
    }
}

#[test]
fn a_here_document_has_the_value_and_is_shown_so_that_it_can_be_pasted() {
    let value = "EOF\n$(touch pwned) `touch pwned` \"'\\";
    let env = flow("cat <<EOF\nname: $var{v}.\nEOF", &json!({}), value);
    drop(run(&env).expect(0));
    let result = result(&env);
    assert_eq!(result["stdout"], format!("name: {value}.\n"));
    let shown = result["command"].as_str().unwrap();
    let state = read_json(&env.last_run().join("flow_root/step/state.json"));
    assert_eq!(state["commands"], json!([shown]));
    let pasted = env
        .command("sh", &env.project())
        .args(["-c", shown])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(pasted.stdout).unwrap(),
        format!("name: {value}.\n")
    );
}

#[test]
fn a_refusal_names_the_place_and_the_form_that_works() {
    let cases = [
        ("cat > f <<'EOF'\n$var{v}\nEOF", "begins with `'EOF'`"),
        ("python3 -c 'print(\"$var{v}\")'", "sys.argv[1]"),
        ("sh -c \"echo $var{v}\"", "sh -c '… \"$1\" …' sh \"$var{v}\""),
        (
            "echo $var{v} | bash",
            "in what `bash` reads as code from its input",
        ),
        ("echo ${x:-$var{v}}", "inside `${…}`"),
    ];
    for (command, told) in cases {
        let env = flow(command, &json!({}), "a");
        let output = env.run(&["validate", "flow.json"]).expect(2);
        assert!(
            output.stderr.contains("flow.json:1:") && output.stderr.contains("placeholder_in_shell"),
            "{output}"
        );
        assert!(output.stderr.contains(told), "{output}");
    }
    // As the hints say.
    let value = "1);print(6*7";
    for (command, more) in [
        ("python3 -c 'import sys; print(sys.argv[1])' $var{v}", json!({})),
        ("sh -c 'echo \"$1\"' sh \"$var{v}\"", json!({})),
        ("cat", json!({ "stdin": "$var{v}\n" })),
        (
            "printf '%s\\n' \"$VALUE\"",
            json!({ "env_vars": { "VALUE": "$var{v}" } }),
        ),
    ] {
        let env = flow(command, &more, value);
        drop(run(&env).expect(0));
        assert_eq!(result(&env)["stdout"], format!("{value}\n"), "{command}");
    }
}

#[test]
fn a_value_that_is_too_long_for_an_argument_goes_through_the_input() {
    let long = "x".repeat(200_000);
    let env = flow("printf '%s' $var{v} | wc -c", &json!({}), &long);
    let output = run(&env).expect(1);
    assert!(output.stderr.contains("has 200000 bytes"), "{output}");
    let info = read_json(&env.last_run().join("flow_root/step/result.json"))["error"].clone();
    assert_eq!(info["code"], "value_too_long");
    assert_eq!(info["hint"], "give it to the program with `stdin: \"$var{v}\"`");
    let env = flow("wc -c", &json!({ "stdin": "$var{v}" }), &long);
    drop(run(&env).expect(0));
    assert_eq!(result(&env)["stdout"].as_str().unwrap().trim(), "200000");
}
