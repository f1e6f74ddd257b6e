//! The surroundings of commands: terminals, programs on a path of their own, processes left behind, outputs of all kinds.

use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{CommandOutput, TestEnvironment, read_json};

fn flow(settings: &Value) -> TestEnvironment {
    let env = TestEnvironment::new();
    let flow = json!({
        "schema_version": 1,
        "kind": "flow",
        "elements": [{ "node": "step", "type": "command", "settings": settings }],
    });
    env.write("flow.json", &flow.to_string());
    env
}

fn run(env: &TestEnvironment) -> CommandOutput {
    env.run(&["run", "flow", "flow.json"])
}

fn outcome(env: &TestEnvironment) -> Value {
    read_json(&env.last_run().join("flow_root/step/outcome.json"))
}

/// The result of the only command.
fn result(env: &TestEnvironment) -> Value {
    outcome(env)["results"][0].clone()
}

#[track_caller]
fn failure(settings: &Value) -> Value {
    let env = flow(settings);
    drop(run(&env).expect(1));
    read_json(&env.last_run().join("flow_root/step/result.json"))["error"].clone()
}

#[test]
fn a_command_that_asks_at_a_terminal_fails_at_once_where_the_run_has_one() {
    let env = flow(
        &json!({ "timeout": 60, "commands": ["echo before; read x < /dev/tty || echo none; ps -o tty= -p $$"] }),
    );
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let line = format!("{program} run flow flow.json --no-input");
    let mut command = env.command("script", &env.project());
    let began = Instant::now();
    let output = command
        .args(["-qec", &line, "/dev/null"])
        .stdout(Stdio::piped())
        .output();
    // Without the program there is no terminal to be had.
    let Ok(output) = output else { return };
    assert!(output.status.success(), "{output:?}");
    assert!(began.elapsed().as_secs() < 50, "it was not stopped");
    assert_eq!(result(&env)["stdout"], "before\nnone\n?\n");
}

#[test]
fn a_command_has_a_session_of_its_own_that_ends_with_it() {
    let env = flow(
        &json!({ "commands": [["sh", "-c", "ps -o pid=,pgid=,sid= -p $$; (trap '' TERM; sleep 300) & sleep 300 &"]] }),
    );
    drop(run(&env).expect(0));
    let result = result(&env);
    let ids: Vec<&str> = result["stdout"].as_str().unwrap().split_whitespace().collect();
    assert!(ids.len() == 3 && ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
    let left = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z') && rest.split(' ').nth(2) == Some(ids[0]))
    });
    assert_eq!(left.count(), 0, "nothing is left in its group");
}

#[test]
fn what_a_command_leaves_behind_is_named() {
    let env = flow(
        &json!({ "commands": ["sleep 301 & (trap '' TERM; exec sleep 302) >/dev/null 2>&1 & setsid sleep 5 >/dev/null 2>&1 & sleep 0.3"] }),
    );
    let output = run(&env).expect(0);
    assert!(
        output
            .stderr
            .contains("1 command, 2 left behind and ended, 1 left running"),
        "{output}"
    );
    let result = result(&env);
    let mut ended: Vec<(&str, &str)> = result["ended"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ended| (ended["command"].as_str().unwrap(), ended["by"].as_str().unwrap()))
        .collect();
    ended.sort_unstable();
    assert_eq!(ended, [("sleep 301", "SIGTERM"), ("sleep 302", "SIGKILL")]);
    let running = result["left_running"].as_array().unwrap();
    assert_eq!(running.len(), 1, "{result}");
    assert_eq!(running[0]["command"], "sleep 5");
    let pid = running[0]["pid"].as_u64().unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_command_that_leaves_nothing_behind_says_nothing_of_it() {
    let env = flow(&json!({ "commands": ["sleep 0.1 & wait; echo done | cat"] }));
    drop(run(&env).expect(0));
    let result = result(&env);
    assert!(
        result.get("ended").is_none() && result.get("left_running").is_none(),
        "{result}"
    );
}

#[test]
fn a_program_is_found_on_the_path_that_it_is_given() {
    let env = flow(
        &json!({ "commands": [["own-tool"]], "env_vars": { "PATH": "$var{project_root}/tools:/usr/bin:/bin" } }),
    );
    let tool = env.write("tools/own-tool", "#!/bin/sh\necho found\n");
    let mut mode = std::fs::metadata(&tool).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    std::fs::set_permissions(&tool, mode).unwrap();
    drop(run(&env).expect(0));
    assert_eq!(result(&env)["stdout"], "found\n");
    // And not on another one.
    let error = failure(&json!({ "commands": [["ls"]], "env_vars": { "PATH": "/nowhere" } }));
    assert_eq!(error["code"], "command_not_started", "{error}");
}

#[test]
fn variables_and_homes_in_env_vars_are_texts_and_the_hint_says_so() {
    for (name, value) in [
        ("PATH", "/opt/x:$PATH"),
        ("PATH", "~/bin:/x"),
        ("CONFIG", "${HOME}/x"),
    ] {
        for command in [json!(["no-such-tool"]), json!("exit 127")] {
            let error = failure(&json!({ "commands": [command], "env_vars": { name: value } }));
            let hint = error["hint"].as_str().unwrap_or_default();
            assert!(
                hint.contains(&format!("`env_vars.{name}` is literally the text `{value}`")),
                "{command}: {error}"
            );
        }
    }
    let error = failure(&json!({ "commands": ["exit 1"], "env_vars": { "PRICE": "5$ or $5", "AT": "a~b" } }));
    assert_eq!(error.get("hint"), None, "{error}");
}

#[test]
fn what_is_no_program_says_what_to_write() {
    let error = failure(&json!({ "commands": [["ls -l"]] }));
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .contains("give `ls` and its arguments as items"),
        "{error}"
    );
    let error = failure(&json!({ "commands": [["echo", "x".repeat(200_000)]] }));
    assert!(error["hint"].as_str().unwrap().contains("`stdin`"), "{error}");
    assert!(error["message"].as_str().unwrap().len() < 500, "{error}");
}

#[test]
fn outputs_of_two_commands_do_not_share_a_line() {
    let env = flow(
        &json!({ "commands": ["printf one; printf a >&2", ["printf", "two\n"], ["true"], ["printf", "three"]] }),
    );
    drop(run(&env).expect(0));
    let log = |name: &str| std::fs::read_to_string(env.last_run().join("flow_root/step").join(name)).unwrap();
    assert_eq!(log("stdout.log"), "one\ntwo\nthree");
    assert_eq!(log("stderr.log"), "a\n");
    assert_eq!(result(&env)["stdout"], "one", "the result has what was printed");
}

#[test]
fn json_is_read_whole_and_behind_other_lines() {
    // More than is kept in the result.
    let long = "python3 -c 'import json; print(json.dumps([\"x\" * 70] * 5000))'";
    let env = flow(
        &json!({ "commands": ["printf first", format!("echo 'warning: old'; {long}")], "output": "json" }),
    );
    drop(run(&env).expect(0));
    assert_eq!(outcome(&env)["structured"].as_array().unwrap().len(), 5000);
    let lines = "seq 1 60000 | sed 's/.*/{\"n\": &}/'";
    let env = flow(&json!({ "commands": [lines], "output": "jsonl" }));
    drop(run(&env).expect(0));
    assert_eq!(outcome(&env)["structured"][59_999], json!({ "n": 60_000 }));
    let error = failure(&json!({ "commands": ["echo '{\"a\": 1, \"b\": tru}'"], "output": "json" }));
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("near `{\"a\": 1, \"b\": tru}`"),
        "{error}"
    );
    let error = failure(&json!({ "commands": ["true"], "output": "json" }));
    assert!(
        error["message"].as_str().unwrap().contains("it is empty"),
        "{error}"
    );
}

#[test]
fn a_failure_shows_the_last_lines_that_can_be_read() {
    for (command, shown) in [
        // A title of the window, a colour, and a progress that was written over.
        (
            r"printf 'error: it broke\n\033]0;title\007\033[0m\n' >&2; exit 1",
            ": error: it broke",
        ),
        (
            r"printf '10%%\r99%%\rerror: \033[31mred\033[0m\n' >&2; exit 1",
            ": error: red",
        ),
        // Many programs complain on their standard output.
        ("echo 'test failed: a'; exit 1", ": test failed: a"),
        ("seq 1 9 >&2; exit 1", ": 7\n8\n9"),
        ("exit 1", "exit code 1"),
    ] {
        let error = failure(&json!({ "commands": [command] }));
        assert!(
            error["message"].as_str().unwrap().ends_with(shown),
            "{command}: {error}"
        );
    }
}

#[test]
fn a_command_may_have_a_terminal_of_its_own() {
    let env = flow(&json!({
        "pty": true,
        "commands": ["tty >/dev/null && test -t 0 && test -t 1 && test -t 2 && stty size; echo err >&2; read -r x || echo end; : < /dev/tty"],
    }));
    let output = run(&env).expect(0);
    let result = result(&env);
    assert_eq!(result["stdout"], "24 80\r\nerr\r\nend\r\n", "{output}");
    assert_eq!(result["stderr"], "");
    // With an input it reads that.
    let env =
        flow(&json!({ "pty": true, "stdin": "given\n", "commands": ["read -r x; echo \"$x\"; test -t 1"] }));
    drop(run(&env).expect(0));
    assert_eq!(self::result(&env)["stdout"], "given\r\n");
    // What it starts ends with it, and so does what waits for an answer that never comes.
    let error =
        failure(&json!({ "pty": true, "timeout": 1, "commands": ["read -r x; read -r x; sleep 300"] }));
    assert_eq!(error["code"], "command_timed_out", "{error}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("its terminal gives no answers"),
        "{error}"
    );
    let error = failure(&json!({ "pty": true, "commands": [["no-such-tool"]] }));
    assert_eq!(error["code"], "command_not_started", "{error}");
}

#[test]
fn a_command_with_a_colon_gets_the_hint_of_quotes() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - node: a\n    type: command\n    settings:\n      commands:\n        - echo \"a: b\"\n",
    );
    let output = env.run(&["validate", "flow.yaml"]).expect(2);
    assert!(output.to_string().contains("quotes"), "{output}");
}

#[test]
fn text_that_looks_like_a_placeholder_gets_the_hint_of_its_spelling() {
    for text in ["cp a$var{.txt,.bak}", "see $var{nothing_of_that_name} there"] {
        let env = flow(&json!({ "commands": [["echo", text]] }));
        let output = env.run(&["validate", "flow.json"]).expect(2);
        assert!(output.to_string().contains("$$var{"), "{text}: {output}");
    }
}

#[test]
fn a_password_that_is_asked_for_at_a_terminal_of_its_own_ends_at_once() {
    // Such a program throws away what was typed before it asked.
    let env = flow(
        &json!({ "pty": true, "timeout": 60, "commands": ["python3 -c 'import getpass; getpass.getpass()' || echo ended"] }),
    );
    let began = Instant::now();
    drop(run(&env).expect(0));
    assert!(began.elapsed().as_secs() < 50);
    assert!(result(&env)["stdout"].as_str().unwrap().ends_with("ended\r\n"));
}

#[test]
fn a_script_that_cannot_be_started_says_why() {
    let env = flow(&json!({}));
    for (name, text, mode, told) in [
        ("plain", "echo hi\n", 0o644, ["it is not executable", "chmod +x"]),
        (
            "gone",
            "#!/no/such/python -u\n",
            0o755,
            ["there is no `/no/such/python`, which its first line names", ""],
        ),
        (
            "dos",
            "#!/bin/sh\r\necho hi\r\n",
            0o755,
            ["there is no `/bin/sh\\r`", "line feeds alone"],
        ),
    ] {
        let file = env.write(name, text);
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let flow = json!({ "schema_version": 1, "kind": "flow", "elements": [{ "node": "step", "type": "command",
            "settings": { "working_dir": "$var{project_root}", "commands": [[format!("./{name}")]] } }] });
        env.write("flow.json", &flow.to_string());
        let output = run(&env).expect(1).to_string();
        for told in told {
            assert!(output.contains(told), "{name}: {output}");
        }
    }
    // One that is found on the path is looked at as well.
    let flow = json!({ "schema_version": 1, "kind": "flow", "elements": [{ "node": "step", "type": "command",
        "settings": { "env_vars": { "PATH": "$var{project_root}:/bin" }, "commands": [["gone"]] } }] });
    env.write("flow.json", &flow.to_string());
    let output = run(&env).expect(1).to_string();
    assert!(output.contains("there is no `/no/such/python`"), "{output}");
    for (words, told) in [
        (json!(["/"]), "it is a directory"),
        (json!(["", "a"]), "it names no program"),
    ] {
        let error = failure(&json!({ "commands": [words] }));
        assert!(error["message"].as_str().unwrap().contains(told), "{error}");
    }
}

#[test]
fn a_working_directory_is_no_text_for_a_shell_and_the_hint_says_so() {
    for dir in ["$HOME/x", "~/x", "~", "${PROJECT}"] {
        let error = failure(&json!({ "commands": ["pwd"], "working_dir": dir }));
        assert_eq!(error["code"], "working_dir", "{error}");
        let hint = error["hint"].as_str().unwrap_or_default();
        assert!(
            hint.contains(&format!("`working_dir` is literally the text `{dir}`"))
                && hint.contains("$var{project_root}"),
            "{error}"
        );
    }
}

#[test]
fn a_result_names_some_of_very_many_processes() {
    let env = flow(&json!({ "commands": ["for i in $(seq 1 60); do sleep 300 & done"] }));
    drop(run(&env).expect(0));
    assert_eq!(result(&env)["ended"].as_array().unwrap().len(), 20);
}

#[test]
fn programs_see_neither_signals_nor_files_of_the_driver() {
    let script = "bash -c 'yes | head -1 >/dev/null; echo ${PIPESTATUS[0]}'; grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -d '[:space:]'; ls /proc/self/fd | tr '\\n' ' '";
    for pty in [false, true] {
        let env = flow(&json!({ "pty": pty, "commands": [script] }));
        // What the tests themselves were started with is passed on.
        let mut alone = env.command("sh", &env.project());
        let alone = alone
            .args(["-c", script])
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        drop(run(&env).expect(0));
        let printed = result(&env)["stdout"].as_str().unwrap().replace('\r', "");
        assert!(printed.starts_with("141\n"), "{printed}");
        assert_eq!(printed, String::from_utf8(alone.stdout).unwrap(), "pty: {pty}");
    }
}

#[test]
fn jobs_of_a_shell_with_a_terminal_end_with_it() {
    let env = flow(&json!({ "pty": true, "commands": ["bash -ic 'sleep 303 & echo on'"] }));
    drop(run(&env).expect(0));
    let result = result(&env);
    assert_eq!(
        result["ended"],
        json!([{ "command": "sleep 303", "by": "SIGTERM" }]),
        "{result}"
    );
    assert_eq!(result.get("left_running"), None);
}

#[test]
fn a_command_that_was_stopped_says_so_at_its_time_limit() {
    let error = failure(&json!({ "timeout": 1, "commands": ["kill -STOP $$; echo on"] }));
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("a signal had stopped it"),
        "{error}"
    );
    // What reads again comes to the end of input again.
    let env = flow(&json!({ "pty": true, "timeout": 60, "commands": ["cat; cat; echo done"] }));
    drop(run(&env).expect(0));
    assert!(result(&env)["stdout"].as_str().unwrap().ends_with("done\r\n"));
}
