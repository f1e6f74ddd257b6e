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

/// Commands that are refused, and what their hints lead to: it is taken, and a hostile value reaches the program as it is.
#[test]
fn a_hint_that_is_followed_is_taken_and_lets_no_value_be_code() {
    const SHOW: &str = "import sys; sys.stdout.write(sys.argv[1])";
    let hostile =
        "'; touch pwned; $(touch pwned) `touch pwned` \"); __import__('os').system('touch pwned') #\n* ~ \\";
    let python = format!("python3 -c '{SHOW}' \"$var{{v}}\"");
    let env = json!({ "env_vars": { "VALUE": "$var{v}" } });
    let none = json!({});
    let stdin = json!({ "stdin": "$var{v}" });
    let cases: [(&str, &str, &str, &Value); 18] = [
        ("python3 -c 'print(\"$var{v}\")'", "sys.argv[1]", &python, &none),
        ("python3 -c \"print('$var{v}')\"", "sys.argv[1]", &python, &none),
        (
            "sh -c 'printf %s $var{v}'",
            "sh \"$var{v}\"",
            "sh -c 'printf %s \"$1\"' sh \"$var{v}\"",
            &none,
        ),
        (
            "bash -lc \"printf %s $var{v}\"",
            "bash \"$var{v}\"",
            "bash -c 'printf %s \"$1\"' bash \"$var{v}\"",
            &none,
        ),
        (
            "timeout 5 sh -c \"printf %s $var{v}\"",
            "sh \"$var{v}\"",
            "timeout 5 sh -c 'printf %s \"$1\"' sh \"$var{v}\"",
            &none,
        ),
        (
            "echo a | xargs sh -c \"printf %s $var{v}\"",
            "sh \"$var{v}\"",
            "echo a | xargs sh -c 'printf %s \"$1\"' sh \"$var{v}\"",
            &none,
        ),
        (
            "find . -prune -exec sh -c \"printf %s $var{v}\" \\;",
            "sh \"$var{v}\"",
            "find . -prune -exec sh -c 'printf %s \"$1\"' sh \"$var{v}\" \\;",
            &none,
        ),
        (
            "echo \"printf %s $var{v}\" | sh",
            "sh \"$var{v}\"",
            "sh -c 'printf %s \"$1\"' sh \"$var{v}\"",
            &none,
        ),
        (
            "eval \"printf %s $var{v}\"",
            "leave `eval` out",
            "printf %s $var{v}",
            &none,
        ),
        (
            "trap \"printf %s $var{v}\" EXIT",
            "value=$var{v}; trap",
            "value=$var{v}; trap 'printf %s \"$value\"' EXIT",
            &none,
        ),
        (
            "perl -e \"print '$var{v}'\"",
            "env_vars: { VALUE",
            "perl -e 'print $ENV{VALUE}'",
            &env,
        ),
        (
            "node -e \"process.stdout.write('$var{v}')\"",
            "env_vars: { VALUE",
            "node -e 'process.stdout.write(process.env.VALUE)'",
            &env,
        ),
        (
            "git -c alias.q=\"!printf %s $var{v}\" q",
            "env_vars: { VALUE",
            "git -c alias.q='!printf %s \"$VALUE\"' q",
            &env,
        ),
        (
            "printf 'a:\\n\\t@printf %%s \"$(X)\"' | make -f - X=$var{v}",
            "\"$$VALUE\"",
            "printf 'a:\\n\\t@printf %%s \"$$VALUE\"' | make -f -",
            &env,
        ),
        ("cat <<'EOF'\n$var{v}\nEOF", "`stdin`", "cat", &stdin),
        (
            "printf %s '$var{v}'",
            "write `\"$var{v}\"`",
            "printf %s \"$var{v}\"",
            &none,
        ),
        (
            "case a in $var{v}) printf x;; esac",
            "[ \"$x\" = $var{v} ]",
            "[ a = $var{v} ] || printf %s $var{v}",
            &none,
        ),
        (
            "printf %s {$var{v},b}",
            "put the braces into quotes",
            "printf %s $var{v}",
            &none,
        ),
    ];
    for (command, hint, followed, more) in cases {
        let refused = flow(command, &none, hostile)
            .run(&["validate", "flow.json"])
            .expect(2);
        let hinted = format!("{}{}", refused.stdout, refused.stderr);
        assert!(hinted.contains(hint), "{command}: {hinted}");
        let program = followed
            .split([' ', '|'])
            .find(|word| ["perl", "node", "make", "git"].contains(word));
        let is_there = |name| std::process::Command::new(name).arg("--version").output().is_ok();
        if program.is_some_and(|name| !is_there(name)) {
            continue;
        }
        let env = flow(followed, more, hostile);
        let output = run(&env).expect(0);
        assert_eq!(result(&env)["stdout"], hostile, "{followed}: {output}");
        assert!(
            !env.last_run().join("pwned").exists() && !env.project().join("pwned").exists(),
            "{followed}"
        );
    }
}
