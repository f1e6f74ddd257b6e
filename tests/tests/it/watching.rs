//! Watching a run that another process drives.

use dhenara::RunStatus;
use dhenara::events::EventBody;
use dhenara::project::WaitFor;

use crate::harness::TestEnvironment;
use crate::pty::CTRL_C;
use crate::stops::has_record;
use crate::waiting::wait_until;

/// Its second step executes until a file `go` is there.
const HELD: &str = "\
schema_version: 1
kind: flow
output: $expr{ $hier{held}.outcome.results[0].stdout }
elements:
  - { node: first, type: command, settings: { commands: ['echo first'] } }
  - node: held
    type: command
    settings: { working_dir: \"$var{project_root}\", commands: ['until [ -e go ]; do sleep 0.05; done; echo gone'] }
  - node: made
    type: file_operation
    settings: { base_directory: \"$var{project_root}\", operations: [{ type: create_file, path: made.txt, content: made }] }
";

#[test]
fn a_watcher_sees_what_happened_before_and_the_end() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HELD);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || has_record(&env, "step_started", "held"));
    let watching = env.start(&["runs", "watch", "last"]);
    env.write("go", "");
    let ran = env.finish(running).expect(0);
    let watched = env.finish(watching).expect(0);
    // The driver shows the same, but for the time that it takes to end.
    assert_eq!(watched.stdout, ran.stdout);
    insta::assert_snapshot!(watched, @"
    gone
    ---- stderr
    run_00000000_000000_000001
    flow_root
      ✓ first                         [time]  1 command
      ✓ held                          [time]  1 command
      ✓ made                          [time]  1 operation

    completed run_00000000_000000_000001 in [time]
      steps     3 completed
      changed   in [root]/project
                created made.txt
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 flow_root.made
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "watch", "last", "--json"]).expect(0).json("cli_run")["status"], @r#""completed""#);
    insta::assert_snapshot!(env.unchanged(&["-q", "runs", "watch", "last"]).expect(0), @"
    gone
    ---- exit code 0
    ");
}

#[test]
fn a_watched_run_waits_with_its_question() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nvariables: { tone: calm }\npre_events: [component_input_required]\nelements:\n  \
         - { node: say, type: command, settings: { commands: ['echo $var{tone}'] } }\n",
    );
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    insta::assert_snapshot!(env.unchanged(&["runs", "watch", "last"]).expect(3), @r#"
    ---- stderr
    run_00000000_000000_000001
    ? flow_root                     waits for an answer

    waiting run_00000000_000000_000001 in [time]
      steps     0 completed
      asks      flow_root
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara answer run_00000000_000000_000001 --input '{"variables":{"tone":"calm"}}'
    ---- exit code 3
    "#);
}

#[test]
fn the_end_of_watching_is_not_the_end_of_the_run() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HELD);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || has_record(&env, "step_started", "held"));
    let watching = env.dhenara_at_terminal(&["runs", "watch", "last"]);
    watching.shows("first").shows("held");
    watching.press(CTRL_C);
    let ended = watching.ends();
    assert_eq!(ended.status, "exit status: 130");
    insta::assert_snapshot!(ended.screen, @"
    run_00000000_000000_000001
    flow_root
      ✓ first                         [time]  1 command
    run_00000000_000000_000001 continues; `dhenara runs watch run_00000000_000000_000001` shows it again
    ");
    env.write("go", "");
    drop(env.finish(running).expect(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_waits_on_any_thread() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HELD);
    env.write("go", "");
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let run = env.opened().run("last").unwrap();
    let waited = tokio::spawn(run.wait(WaitFor::Pause)).await.unwrap().unwrap();
    let mut seen = 0;
    let watched = waited
        .watch(WaitFor::End, async |events| seen += events.len())
        .await;
    assert_eq!(watched.unwrap().view().status, RunStatus::Completed);
    assert!(seen > 5, "{seen}");
}

#[tokio::test]
async fn a_program_follows_the_events_of_another_process() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HELD);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || has_record(&env, "step_started", "held"));
    let run = env.opened().run("last").unwrap();
    let mut seen = Vec::new();
    let watched = run.watch(WaitFor::Pause, async |events| {
        for event in events {
            match &event.body {
                EventBody::StepStarted(started) => {
                    seen.push(format!("{} {} starts", started.path.leaf(), started.node_type));
                    if started.path.leaf() == "held" {
                        env.write("go", "");
                    }
                }
                EventBody::StepEnded(ended) => seen.push(format!("{} {}", ended.path.leaf(), ended.status)),
                EventBody::RunEnded(ended) => seen.push(format!("run {}", ended.status)),
                _ => {}
            }
        }
    });
    let status = watched.await.unwrap().view().status;
    insta::assert_snapshot!(seen.join("\n"), @"
    first command starts
    first completed
    held command starts
    held completed
    made file_operation starts
    made completed
    run completed
    ");
    assert_eq!(status, RunStatus::Completed);
    drop(env.finish(running).expect(0));
}
