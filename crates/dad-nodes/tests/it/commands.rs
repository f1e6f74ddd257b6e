use std::time::{Duration, Instant};

use dad_core::{NodeType, StepStatus};
use dad_definition::NodeBuilder;
use dad_nodes::{CommandNode, CommandNodeSettings, CommandOutput};

use serde_json::json;

use crate::{error, file, outcome, run};

fn command(settings: CommandNodeSettings) -> CommandNode {
    CommandNode { settings }
}

#[tokio::test]
async fn the_outcome_has_the_shape_of_the_original() {
    let project = tempfile::tempdir().unwrap();
    let commands = vec![
        ["echo", "$HOME; `x`"].into(),
        "echo $MYVAR; echo careful >&2".into(),
    ];
    let env_vars = [("MYVAR".to_owned(), "given".to_owned())].into();
    let report = run(
        command(CommandNodeSettings {
            commands,
            env_vars,
            ..Default::default()
        }),
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
                {"command": "echo $HOME; `x`", "returncode": 0, "stdout": "$HOME; `x`\n", "stderr": "", "success": true},
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
    let commands = vec!["echo 'no such thing' >&2; exit 3".into(), "echo never".into()];
    let report = run(
        command(CommandNodeSettings {
            commands,
            ..Default::default()
        }),
        project.path(),
    )
    .await;
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
    let settings = CommandNodeSettings {
        commands: vec!["exit 1".into(), "exit 2".into(), "echo on".into()],
        allow_exit_codes: vec![1],
        fail_fast: Some(false),
        ..Default::default()
    };
    let report = run(command(settings), project.path()).await;
    let ended = outcome(&report);
    assert_eq!(
        (&ended["commands_executed"], &ended["failed_commands"]),
        (&json!(3), &json!(1))
    );
}

#[tokio::test]
async fn output_is_read_as_json() {
    let project = tempfile::tempdir().unwrap();
    let settings = |text: &str, output| CommandNodeSettings {
        commands: vec![["printf", "%s", text].into()],
        output: Some(output),
        ..Default::default()
    };
    let report = run(
        command(settings("{\"a\": 1}", CommandOutput::Json)),
        project.path(),
    )
    .await;
    assert_eq!(outcome(&report)["structured"], json!({"a": 1}));
    let report = run(command(settings("1\n2\n", CommandOutput::Jsonl)), project.path()).await;
    assert_eq!(outcome(&report)["structured"], json!([1, 2]));
    let report = run(command(settings("{", CommandOutput::Json)), project.path()).await;
    assert_eq!(error(&report).code, "command_output");
}

#[tokio::test]
async fn a_time_limit_ends_the_whole_process_group() {
    let project = tempfile::tempdir().unwrap();
    let marker = project.path().join("grandchild");
    // The grandchild ignores the first request to end and holds the pipe open.
    let script = "trap '' TERM; (trap '' TERM; sleep 4; touch \"$0\") & sleep 60";
    let settings = CommandNodeSettings {
        commands: vec![["sh", "-c", script, marker.to_str().unwrap()].into()],
        timeout: Some(0.2),
        ..Default::default()
    };
    let began = Instant::now();
    let report = run(command(settings), project.path()).await;
    assert_eq!(error(&report).code, "command_timed_out");
    assert!(began.elapsed() < Duration::from_secs(30));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!marker.exists(), "the grandchild was ended too");
}

#[tokio::test]
async fn the_environment_is_passed_by_name_only() {
    let project = tempfile::tempdir().unwrap();
    let settings = CommandNodeSettings {
        commands: vec!["env".into()],
        ..Default::default()
    };
    let report = run(command(settings), project.path()).await;
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
    let settings = |name: &str, dir: Option<&str>| CommandNodeSettings {
        commands: vec![[name].into()],
        working_dir: dir.map(str::to_owned),
        ..Default::default()
    };
    let report = run(command(settings("no_such_program_here", None)), project.path()).await;
    assert!(
        error(&report)
            .message
            .starts_with("`no_such_program_here` cannot be started")
    );
    let report = run(command(settings("ls", Some("nowhere"))), project.path()).await;
    assert!(
        error(&report).message.ends_with("nowhere` does not exist"),
        "{}",
        error(&report).message
    );
    assert_eq!(report.totals.counts.failed, 1);
    assert_eq!(StepStatus::Failed.as_str(), "failed");
}

#[tokio::test]
async fn no_value_is_read_by_the_shell_in_any_quoting_position() {
    let project = tempfile::tempdir().unwrap();
    let marker = project.path().join("marker");
    let hostile = format!("'; touch {0}; '\"$(touch {0})`touch {0}`\n* \\", marker.display());
    let commands = vec![
        "printf '%s|' $expr{hostile} \"a $expr{hostile} b\" x$expr{hostile}".into(),
        "printf '%s|' \"$(printf '%s' \"$expr{hostile}\")\" ${HOME:+$expr{number}}".into(),
    ];
    let step = command(CommandNodeSettings {
        commands,
        ..Default::default()
    });
    let flow = dad_definition::FlowBuilder::new()
        .variable("hostile", dad_template::escape(&hostile))
        .variable("number", 1.5)
        .node("step", step)
        .build()
        .unwrap();
    let context = dad_run::RunContext::builder("flow", project.path()).nodes(dad_nodes::builtin_nodes());
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
    let settings = json!({ "commands": [["echo", "$expr{[1]}"]] });
    let report = run(NodeBuilder::new(NodeType::COMMAND, settings), project.path()).await;
    let error = report.error.unwrap().message;
    assert_eq!(
        error,
        "in settings, `commands[0]`: argument 1 must be a text, it is `[1]`"
    );
}
