//! The runs that `runs list` chooses.

use serde_json::Value;

use crate::harness::TestEnvironment;

fn environment() -> TestEnvironment {
    let env = TestEnvironment::new();
    let flow = |command: &str| {
        format!(
            "schema_version: 1\nkind: flow\nelements:\n  - {{ node: a, type: command, settings: {{ commands: [\"{command}\"] }} }}\n"
        )
    };
    env.write("good.yaml", &flow("true"));
    env.write("bad.yaml", &flow("false"));
    for (name, code) in [("good", 0), ("bad", 1), ("good", 0), ("bad", 1)] {
        drop(env.run(&["run", "flow", &format!("{name}.yaml")]).expect(code));
    }
    env
}

/// The numbers of the runs that are listed.
fn listed(env: &TestEnvironment, options: &[&str]) -> Vec<usize> {
    let output = env
        .unchanged(&[&["runs", "list", "--json"], options].concat())
        .expect(0);
    let document = output.json("cli_runs_list");
    let all = env.runs();
    let number = |run: &Value| {
        let dir = run["run_dir"].as_str().unwrap();
        1 + all.iter().position(|known| known.to_str() == Some(dir)).unwrap()
    };
    document["runs"].as_array().unwrap().iter().map(number).collect()
}

#[test]
fn by_status_agent_time_and_number() {
    let env = environment();
    assert_eq!(listed(&env, &[]), [1, 2, 3, 4]);
    assert_eq!(listed(&env, &["--status", "failed"]), [2, 4]);
    let both = ["--status", "failed", "--status", "completed"];
    assert_eq!(listed(&env, &both), [1, 2, 3, 4]);
    assert_eq!(listed(&env, &["--agent", "good"]), [1, 3]);
    assert_eq!(listed(&env, &["--agent", "bad_root", "-n", "1"]), [4]);
    assert_eq!(listed(&env, &["--since", "1h", "-n", "3"]), [2, 3, 4]);
    assert_eq!(listed(&env, &["--since", "2999-01-01T00:00:00Z"]), [0; 0]);
    assert_eq!(listed(&env, &["--size", "--agent", "good"]), [1, 3]);
}

#[test]
fn what_fits_nothing_is_said() {
    let env = environment();
    insta::assert_snapshot!(env.unchanged(&["runs", "list", "--agent", "nowhere"]).expect(0), @"
    ---- stderr
    no run fits
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "list", "--since", "soon"]).expect(2), @"
    ---- stderr
    error[since]: `--since soon` is neither a duration nor a time
      hint: write a duration before now, such as `7d` or `12h`, or a time such as `[timestamp]`
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "list", "--status", "fine"]).expect(2), @"
    ---- stderr
    error: invalid value 'fine' for '--status <STATUS>': `fine` is no status of a run; there are initialized, running, interrupted, waiting, completed, failed, cancelled

    For more information, try '--help'.
    ---- exit code 2
    ");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_is_apart_from_what_was_replayed() {
    use crate::models::{Scripted, says};

    let scripted = Scripted::new(vec![says("hello")]).await;
    scripted.flow("  - { node: ask, type: ai_model_call, settings: { models: [local/tiny], prompt: Hi } }\n");
    drop(scripted.run(&[]).expect(0));
    drop(scripted.run(&["--replay", "last"]).expect(0));
    insta::assert_snapshot!(scripted.env.unchanged(&["runs", "list"]).expect(0), @"
    STATUS     RUN                         AGENT      MADE                     TOOK     STEPS   COST
    completed  run_00000000_000000_000001  flow_root  0000-00-00 00:00:00 UTC  [time]  1 step  $0.0005
    completed  run_00000000_000000_000002  flow_root  0000-00-00 00:00:00 UTC  [time]  1 step  1 replayed
    ---- exit code 0
    ");
    let shown = scripted.env.unchanged(&["runs", "show", "last"]).expect(0);
    assert!(shown.stdout.contains("model     1 call replayed"), "{shown}");
}
