//! Runs of format 1 as the first version made them: whatever comes later reads them and goes on from them.

use std::path::{Path, PathBuf};
use std::process::Command;

use dhenara::RunStatus;
use dhenara::run::RunView;
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::crashes::{copy_all, outcomes};
use crate::harness::TestEnvironment;

const WHOLE: &str = "run_20261125_215014_f0c45b";
const FAILED: &str = "run_20261125_215014_ca2648";
const RERUN: &str = "rerun_20261125_215015_64624f";
const INTERRUPTED: &str = "run_20261125_215015_7ee177";

/// A project that holds them, in another place than that where they were made.
fn environment() -> TestEnvironment {
    let env = TestEnvironment::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/format_1");
    copy_all(&data, &env.project());
    env
}

fn run_dir(env: &TestEnvironment, id: &str) -> PathBuf {
    env.project().join("runs").join(id)
}

fn executed(run: &Path) -> Vec<String> {
    let view = RunView::open(run).unwrap();
    let steps = view.steps().filter(|step| !step.is_taken());
    steps.map(|step| step.path.to_string()).collect()
}

#[test]
fn they_are_listed_shown_and_whole() {
    let env = environment();
    let list = env.unchanged(&["runs", "list", "--json"]).expect(0);
    let list = list.json("cli_runs_list");
    let found: Vec<(&str, &str)> = list["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| (run["run_id"].as_str().unwrap(), run["status"].as_str().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            (WHOLE, "completed"),
            (FAILED, "failed"),
            (RERUN, "completed"),
            (INTERRUPTED, "interrupted")
        ]
    );
    for (run, steps) in [(WHOLE, 7), (FAILED, 2), (RERUN, 7), (INTERRUPTED, 0)] {
        let shown = env.unchanged(&["runs", "show", run, "--json"]).expect(0);
        assert_eq!(shown.json("cli_runs_show")["run_id"], run, "{shown}");
        drop(env.unchanged(&["runs", "show", run]).expect(0));
        drop(env.unchanged(&["runs", "verify", run]).expect(0));
        let found = RunView::open(run_dir(&env, run)).unwrap().verify().unwrap();
        assert!(
            found.steps == steps && found.damage.is_empty(),
            "{run}: {found:?}"
        );
    }
    let why = env
        .unchanged(&["runs", "why", RERUN, "last_one", "--json"])
        .expect(0);
    assert_eq!(why.json("cli_runs_why")["run_id"], RERUN, "{why}");
    insta::assert_snapshot!(env.unchanged(&["runs", "show", RERUN]).expect(0), @"
    rerun_00000000_000000_000003  completed
      from      run_00000000_000000_000001
      made      0000-00-00 00:00:00 UTC, took [time]
      steps     7 completed (6 reused)
      size      34 files, [size]
      artifacts [root]/project/runs/rerun_00000000_000000_000003
      flow_root
        ↺ ask                           from run_00000000_000000_000001  tiny, 2 tokens
        rounds
          ↺ iter_0.mark                   from run_00000000_000000_000001  1 command
          iter_0.chosen
          ↺ iter_1.mark                   from run_00000000_000000_000001  1 command
          iter_1.chosen
            ↺ is_true.extra                 from run_00000000_000000_000001  1 command
        both
          ↺ left                          from run_00000000_000000_000001  1 command
          ↺ right                         from run_00000000_000000_000001  1 command
        ✓ last_one                      [time]  1 command
    ---- exit code 0
    ");
}

#[test]
fn what_did_not_change_is_taken_from_them() {
    for parent in [WHOLE, RERUN] {
        let env = environment();
        let wanted = outcomes(&run_dir(&env, parent));
        let rerun = ["run", "flow", "flow.yaml", "--previous-run-id", parent];
        // There is no server: a run that asked the model again would fail.
        drop(env.run(&rerun).expect(0));
        assert!(executed(&env.last_run()).is_empty(), "{parent}");
        assert_eq!(outcomes(&env.last_run()), wanted, "{parent}");

        drop(
            env.run(&[&rerun[..], &["--entry-point", "both"]].concat())
                .expect(0),
        );
        let steps = [
            "flow_root.both.left",
            "flow_root.both.right",
            "flow_root.last_one",
        ];
        assert_eq!(executed(&env.last_run()), steps, "{parent}");
        assert_eq!(outcomes(&env.last_run()), wanted, "{parent}");
    }
}

#[test]
fn the_failed_one_can_be_gone_on_with() {
    let env = environment();
    env.write("mended", "");
    let rerun = ["run", "flow", "broken.yaml", "--previous-run-id", FAILED];
    drop(env.run(&rerun).expect(0));
    assert_eq!(
        executed(&env.last_run()),
        ["broken_root.bad", "broken_root.behind"]
    );
    // It is not signed: the first format knew no signatures.
    drop(env.run(&["resume", FAILED]).expect(4));
    drop(env.run(&["resume", FAILED, "--trust"]).expect(0));
    let view = RunView::open(run_dir(&env, FAILED)).unwrap();
    assert_eq!(view.sealed_status(), Some(RunStatus::Completed));
    assert_eq!(view.steps().count(), 3);
}

#[test]
fn one_that_is_trusted_once_continues_in_the_second_format() {
    let env = environment();
    // Nothing is mended: it fails again.
    drop(env.run(&["resume", FAILED, "--trust"]).expect(1));
    let run = run_dir(&env, FAILED);
    let text = std::fs::read_to_string(run.join(".run/journal.jsonl")).unwrap();
    let (old, new) = text.split_at(text.find("\"type\":\"run_resumed\"").unwrap());
    assert!(!old.contains("\"sum\""), "the first format stays as it was");
    assert!(
        new.lines()
            .all(|line| line.ends_with("\"}") && line.contains("\"mac\""))
    );
    assert!(new.starts_with("\"type\":\"run_resumed\"") && new.contains("\"schema_version\":2"));

    // From then on it is the user's own, and what was written before cannot be changed.
    env.write("mended", "");
    let changed = text.replacen("\"attempt\":1", "\"attempt\":2", 1);
    std::fs::write(run.join(".run/journal.jsonl"), changed).unwrap();
    let damaged = env.unchanged(&["resume", FAILED]).expect(5);
    assert!(
        damaged.stderr.contains("the lines before it were changed"),
        "{damaged}"
    );
    std::fs::write(run.join(".run/journal.jsonl"), &text).unwrap();
    drop(env.run(&["resume", FAILED]).expect(0));
    drop(env.run(&["runs", "verify", FAILED]).expect(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interrupted_one_goes_on_behind_its_second_exchange() {
    let server = MockServer::start().await;
    let answer = json!({
        "id": "1", "object": "chat.completion", "model": "tiny",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "the third"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    });
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .mount(&server)
        .await;
    let env = environment();
    let models = format!("- {{ name: local/tiny, base_url: \"{}/v1\" }}\n", server.uri());
    env.write(".dhenara/models.yaml", &models);
    let project = env.project();
    let mut command: Command = env.command(env!("CARGO_BIN_EXE_announcing"), &project);
    let output = command
        .arg(&project)
        .args(["exchange", "resume", INTERRUPTED])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(server.received_requests().await.unwrap_or_default().len(), 1);
    let run = run_dir(&env, INTERRUPTED);
    let outcome: Value = serde_json::from_str(&outcomes(&run)["scenario.mending"]).unwrap();
    let texts: Vec<&Value> = outcome["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["role"] == "assistant")
        .map(|message| &message["text"])
        .collect();
    assert_eq!(texts, ["answer 1", "answer 2", "the third"]);
    assert_eq!(env.runs().len(), 4, "it is the same run");
}
