use std::time::{Duration, Instant};

use dad_core::{ErrorInfo, NodeType, StepStatus};
use dad_definition::NodeBuilder;
use dad_nodes::{CommandLimits, CommandLine, CommandNodeSettings, CommandOutput};

use serde_json::json;

use crate::{error, file, outcome, run};

#[tokio::test]
async fn the_outcome_has_the_shape_of_the_original() {
    let project = tempfile::tempdir().unwrap();
    let commands: Vec<CommandLine> = vec![
        ["echo", "$HOME; `x`"].into(),
        "echo $MYVAR; echo careful >&2".into(),
    ];
    let env_vars = [("MYVAR", "given")];
    let report = run(
        CommandNodeSettings::new(commands).env_vars(env_vars),
        project.path(),
    )
    .await;
    assert_eq!(
        outcome(&report),
        json!({
            "all_succeeded": true,
            "commands_executed": 2,
            "successful_commands": 2,
            "failed_commands": 0,
            "results": [
                {"command": "echo '$HOME; `x`'", "returncode": 0, "stdout": "$HOME; `x`\n", "stderr": "", "success": true},
                {"command": "echo $MYVAR; echo careful >&2", "returncode": 0, "stdout": "given\n", "stderr": "careful\n", "success": true},
            ],
        })
    );
    assert_eq!(file(&report, "stdout.log"), "$HOME; `x`\ngiven\n");
    assert!(file(&report, "state.json").contains("MYVAR"));
}

#[tokio::test]
async fn a_failure_stops_the_commands_and_says_why() {
    let project = tempfile::tempdir().unwrap();
    let commands: Vec<CommandLine> = vec!["echo 'no such thing' >&2; exit 3".into(), "echo never".into()];
    let report = run(CommandNodeSettings::new(commands), project.path()).await;
    let failed = error(&report);
    assert_eq!(failed.code, "command_failed");
    assert!(
        failed.message.ends_with("ended with exit code 3: no such thing"),
        "{}",
        failed.message
    );
    assert_eq!(outcome(&report)["commands_executed"], 1);
}

#[tokio::test]
async fn allowed_exit_codes_and_the_rest_of_the_commands() {
    let project = tempfile::tempdir().unwrap();
    let settings = CommandNodeSettings::new(["exit 1", "exit 2", "echo on"])
        .allow_exit_codes([1])
        .fail_fast(false);
    let report = run(settings, project.path()).await;
    let ended = outcome(&report);
    assert_eq!(
        (&ended["commands_executed"], &ended["failed_commands"]),
        (&json!(3), &json!(1))
    );
}

#[tokio::test]
async fn output_is_read_as_json() {
    let project = tempfile::tempdir().unwrap();
    let settings = |text: &str, output| CommandNodeSettings::new([["printf", "%s", text]]).output(output);
    let report = run(settings("{\"a\": 1}", CommandOutput::Json), project.path()).await;
    assert_eq!(outcome(&report)["structured"], json!({"a": 1}));
    let report = run(settings("1\n2\n", CommandOutput::Jsonl), project.path()).await;
    assert_eq!(outcome(&report)["structured"], json!([1, 2]));
    let report = run(settings("{", CommandOutput::Json), project.path()).await;
    assert_eq!(error(&report).code, "command_output");
}

#[tokio::test]
async fn a_time_limit_ends_the_whole_process_group() {
    let project = tempfile::tempdir().unwrap();
    let marker = project.path().join("grandchild");
    // The grandchild ignores the first request to end and holds the pipe open.
    let script = "trap '' TERM; (trap '' TERM; sleep 4; touch \"$0\") & sleep 60";
    let settings = CommandNodeSettings::new([["sh", "-c", script, marker.to_str().unwrap()]]).timeout(0.2);
    let began = Instant::now();
    let report = run(settings, project.path()).await;
    assert_eq!(error(&report).code, "command_timed_out");
    assert!(began.elapsed() < Duration::from_secs(30));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!marker.exists(), "the grandchild was ended too");
}

#[tokio::test]
async fn the_environment_is_passed_by_name_only() {
    let project = tempfile::tempdir().unwrap();
    let settings = CommandNodeSettings::new(["env"]);
    let report = run(settings, project.path()).await;
    let text = outcome(&report)["results"][0]["stdout"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.contains("PATH="), "{text}");
    // Cargo sets this one for every test.
    assert!(!text.contains("CARGO_MANIFEST_DIR"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_started_is_a_clear_error() {
    let project = tempfile::tempdir().unwrap();
    let settings = |name: &str, dir: Option<&str>| {
        let settings = CommandNodeSettings::new([[name]]);
        match dir {
            Some(dir) => settings.working_dir(dir),
            None => settings,
        }
    };
    let report = run(settings("no_such_program_here", None), project.path()).await;
    assert!(
        error(&report)
            .message
            .starts_with("`no_such_program_here` cannot be started")
    );
    let report = run(settings("ls", Some("nowhere")), project.path()).await;
    assert!(
        error(&report).message.ends_with("nowhere` does not exist"),
        "{}",
        error(&report).message
    );
    assert_eq!(report.totals.counts.failed, 1);
    assert_eq!(StepStatus::Failed.as_str(), "failed");
    #[expect(clippy::disallowed_methods, reason = "a test makes a file")]
    std::fs::write(project.path().join("plain"), "").unwrap();
    let plain = project.path().join("plain").display().to_string();
    let report = run(settings("ls", Some(&plain)), project.path()).await;
    let message = error(&report).message;
    assert!(message.ends_with("plain` is no directory"), "{message}");
}

#[tokio::test]
async fn what_ended_a_command_and_where_its_output_is_wrong_is_reported() {
    let project = tempfile::tempdir().unwrap();
    let message = async |text: &str, output: Option<CommandOutput>| {
        let mut settings = CommandNodeSettings::new([text]);
        settings.output = output;
        error(&run(settings, project.path()).await).message
    };
    let killed = message("kill -9 $$", None).await;
    assert!(killed.ends_with("was ended by SIGKILL"), "{killed}");
    let lines = message("echo '{}'; echo; echo '{'", Some(CommandOutput::Jsonl)).await;
    assert!(
        lines.contains("in line 3, EOF while parsing an object at column 1"),
        "{lines}"
    );
}

#[tokio::test]
async fn no_value_is_read_by_the_shell_in_any_quoting_position() {
    let project = tempfile::tempdir().unwrap();
    let marker = project.path().join("marker");
    let hostile = format!("'; touch {0}; '\"$(touch {0})`touch {0}`\n* \\", marker.display());
    let commands: Vec<CommandLine> = vec![
        "printf '%s|' $expr{hostile} \"a $expr{hostile} b\" x$expr{hostile}".into(),
        "printf '%s|' \"$(printf '%s' \"$expr{hostile}\")\" ${HOME:+}$expr{number}".into(),
    ];
    let step = CommandNodeSettings::new(commands);
    let flow = dad_definition::FlowBuilder::new()
        .variable("hostile", dad_template::escape(&hostile))
        .variable("number", 1.5)
        .node("step", step)
        .build()
        .unwrap();
    let context = dad_run::RunContext::builder("flow", project.path())
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(dad_nodes::builtin_nodes());
    let report = dad_runner::FlowRunner::new(flow, context.build().unwrap())
        .run()
        .await
        .unwrap();
    assert!(!marker.exists());
    let results = outcome(&report)["results"].clone();
    assert_eq!(
        results[0]["stdout"],
        format!("{hostile}|a {hostile} b|x{hostile}|")
    );
    assert_eq!(results[1]["stdout"], format!("{hostile}|1.5|"));
    assert_eq!(
        results[0]["command"].as_str().unwrap().matches("touch").count(),
        9,
        "shown with its values"
    );
}

#[tokio::test]
async fn arguments_are_texts_and_numbers() {
    let project = tempfile::tempdir().unwrap();
    let settings = json!({ "commands": [["echo", "$expr{1 + 1}", 2.0, true, "$expr{'$HOME'}"]] });
    let report = run(NodeBuilder::new(NodeType::COMMAND, settings), project.path()).await;
    assert_eq!(outcome(&report)["results"][0]["stdout"], "2 2.0 true $HOME\n");
    let settings = json!({ "commands": [["echo", "$expr{[1, {'a': 'b c'}]}"]] });
    let report = run(NodeBuilder::new(NodeType::COMMAND, settings), project.path()).await;
    let printed = &outcome(&report)["results"][0]["stdout"];
    assert_eq!(
        printed, "[1,{\"a\":\"b c\"}]\n",
        "one placeholder alone is the text of its value"
    );
}

/// Runs a command of a project that has a credentials file.
async fn with_secret(settings: serde_json::Value, project: &std::path::Path) -> dad_runner::RunReport {
    let secrets = project.join(".dhenara/.secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    std::fs::write(
        secrets.join(".credentials.yaml"),
        "secrets: { DEPLOY: hush-hush-1 }\n",
    )
    .unwrap();
    run(NodeBuilder::new(NodeType::COMMAND, settings), project).await
}

#[tokio::test]
async fn a_secret_reaches_the_command_and_nothing_else() {
    let project = tempfile::tempdir().unwrap();
    let settings = json!({
        "env_vars": { "AUTH": "$expr{'Bea' + 'rer'} $secret{DEPLOY}", "PLAIN": "$expr{ '$sec' + 'ret{DEPLOY}' }" },
        "commands": [
            "printf %s \"$AUTH\" | wc -c; printf '%s' \"$AUTH\" | cut -c1-7; echo \"$PLAIN\"",
            "printf hush-; sleep 0.2; printf hush-1; echo; echo \"$AUTH\" >&2; printf %s \"$AUTH\" | base64",
        ],
    });
    let report = with_secret(settings, project.path()).await;
    let results = outcome(&report)["results"].clone();
    let first = results[0]["stdout"].as_str().unwrap();
    assert_eq!(
        first.split_whitespace().collect::<Vec<_>>(),
        ["18", "Bearer", "$secret{DEPLOY}"],
        "the value of a template names no secret"
    );
    assert_eq!(results[1]["stderr"], "Bearer [redacted]\n");
    assert!(
        results[1]["stdout"].as_str().unwrap().starts_with("[redacted]\n"),
        "{results}"
    );
    assert!(file(&report, "state.json").contains("$secret{DEPLOY}"));
    let mut open = vec![report.run_dir.clone()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                assert!(!text.contains("hush-hush-1"), "{}", path.display());
            }
        }
    }
}

#[tokio::test]
async fn a_secret_that_is_missing_or_in_the_wrong_place_is_reported() {
    let project = tempfile::tempdir().unwrap();
    let settings = json!({ "env_vars": { "A": "$secret{NO_SUCH_SECRET}" }, "commands": ["echo"] });
    let report = with_secret(settings, project.path()).await;
    let failed = error(&report);
    assert_eq!(failed.code, "secret");
    assert!(failed.hint.unwrap().ends_with("secrets:\n  NO_SUCH_SECRET: …"));
    for (settings, place) in [
        (json!({ "commands": ["echo $secret{DEPLOY}"] }), "commands[0]"),
        (
            json!({ "commands": [["echo", "$secret{DEPLOY}"]] }),
            "commands[0]",
        ),
        (
            json!({ "commands": ["cat"], "stdin": "$secret{DEPLOY}" }),
            "stdin",
        ),
        (
            json!({ "commands": ["cat"], "env_vars": { "A": "$secret{a b}" } }),
            "env_vars.A",
        ),
    ] {
        let node = NodeBuilder::new(NodeType::COMMAND, settings);
        let flow = dad_definition::FlowBuilder::new()
            .node("step", node)
            .build()
            .unwrap();
        let context = dad_run::RunContext::builder("flow", project.path())
            .unmasked()
            .origin_key(dad_tests::origin_key())
            .nodes(dad_nodes::builtin_nodes());
        let refused = dad_runner::FlowRunner::new(flow, context.build().unwrap())
            .run()
            .await
            .unwrap_err();
        let reported = ErrorInfo::from_error("refused", &refused).message;
        assert!(
            reported.contains("error[secret]") && reported.contains(place),
            "{reported}"
        );
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn limits_are_set_by_the_shell() {
    let project = tempfile::tempdir().unwrap();
    let settings = CommandNodeSettings::new([
        CommandLine::from("ulimit -t; ulimit -v; ulimit -f; ulimit -n"),
        ["sh", "-c", "head -c 3000000 /dev/zero > big"].into(),
    ])
    .limits(
        CommandLimits::default()
            .cpu_seconds(7)
            .memory_mib(512)
            .file_size_mib(2)
            .open_files(64),
    )
    .fail_fast(false)
    .working_dir(project.path().display().to_string());
    let report = run(settings, project.path()).await;
    let results = outcome(&report)["results"].clone();
    assert_eq!(results[0]["stdout"], "7\n524288\n4096\n64\n");
    assert_eq!(results[1]["success"], false);
    assert_eq!(
        std::fs::metadata(project.path().join("big")).unwrap().len(),
        2 * 1024 * 1024
    );
}

/// Whether a process executes.
#[cfg(target_os = "linux")]
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_a_command_leaves_running_is_ended_so_that_its_output_ends() {
    let project = tempfile::tempdir().unwrap();
    let settings = CommandNodeSettings::new([
        "(trap '' TERM; sleep 300) & echo $!; sleep 300 > /dev/null 2>&1 & echo $!",
        "echo next",
    ]);
    let began = Instant::now();
    let report = run(settings, project.path()).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let results = outcome(&report)["results"].clone();
    assert_eq!(results[1]["stdout"], "next\n");
    for pid in results[0]["stdout"].as_str().unwrap().lines() {
        assert!(!is_alive(pid), "{pid}");
    }
    assert_eq!(results[0].get("abandoned"), None);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_that_leaves_the_group_is_neither_ended_nor_waited_for() {
    let project = tempfile::tempdir().unwrap();
    if std::process::Command::new("setsid").arg("true").status().is_err() {
        println!("skipped: setsid not found");
        return;
    }
    for (script, timed_out) in [
        (
            "setsid sh -c 'echo $$; exec sleep 20' & sleep 0.3; echo done",
            false,
        ),
        ("setsid sh -c 'echo $$; exec sleep 20' & sleep 60", true),
    ] {
        let settings = CommandNodeSettings::new([script]).timeout(if timed_out { 1.0 } else { 60.0 });
        let began = Instant::now();
        let report = run(settings, project.path()).await;
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        assert_eq!(report.error.is_some(), timed_out);
        let result = outcome(&report)["results"][0].clone();
        let pid = result["stdout"]
            .as_str()
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_owned();
        assert!(is_alive(&pid), "it still runs: {result}");
        assert_eq!(result["abandoned"], true);
        std::process::Command::new("kill")
            .args(["-9", &pid])
            .status()
            .unwrap();
    }
}
