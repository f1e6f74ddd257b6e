//! Hints that are followed to the word lead on.

use super::{FLOW, LOOP};
use crate::harness::TestEnvironment;

/// The text in the last pair of back ticks of the hint or tip.
fn hinted(errors: &str) -> String {
    let line = errors
        .lines()
        .rfind(|line| line.contains("hint: ") || line.trim_start().starts_with("tip: "));
    let parts = line.unwrap_or_default().split('`').skip(1).step_by(2);
    parts.last().unwrap_or_default().to_owned()
}

/// The words of a command in a hint, without the name of the program.
fn words(command: &str) -> Vec<&str> {
    command.split(' ').skip(1).collect()
}

#[test]
fn names_and_variables() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    let near = hinted(&env.run(&["run", "flow", "flow.yml"]).expect(2).stderr);
    drop(env.run(&["run", "flow", &near]).expect(0));
    let command = hinted(&env.run(&["run", "agent", "flow.yaml"]).expect(2).stderr);
    drop(env.run(&words(&command)).expect(0));
    let option = hinted(
        &env.run(&["run", "flow", "flow.yaml", "tone=loud"])
            .expect(2)
            .stderr,
    );
    let given = [
        &["run", "flow", "flow.yaml"],
        &*option.split(' ').collect::<Vec<_>>(),
    ]
    .concat();
    drop(env.run(&given).expect(0));
    let command = hinted(
        &env.run(&["runs", "list", "--project-root", "new"])
            .expect(2)
            .stderr,
    );
    drop(env.run(&words(&command)).expect(0));
    drop(env.run(&["runs", "list", "--project-root", "new"]).expect(0));
}

#[test]
fn spellings_in_definitions() {
    let env = TestEnvironment::new();
    for (wrong, right) in [
        ("node: a b", "node: a_b"),
        ("node: 1", "node: \"1\""),
        (
            "settings: { commands: [[echo, '$expr{ list.0 }']]",
            "settings: { commands: [[echo, '$expr{ list[0] }']]",
        ),
        (
            "settings: { commands: [[echo, '$expr{ if 1 }']]",
            "settings: { commands: [[echo, '$expr{ true ? 1 : 2 }']]",
        ),
        (
            "settings: { commands: [[echo, '$expr{ tone | upper }']]",
            "settings: { commands: [[echo, '$expr{ tone.upper() }']]",
        ),
        (
            "settings: { commands: [[echo, 'py: x']], cwd: x",
            "settings: { commands: [[echo, '$expr{ py: 1 if tone else 2 }']]",
        ),
    ] {
        let with = |part: &str| {
            let (at, _) = part.split_once(' ').unwrap();
            let flow = match at {
                "node:" => FLOW.replace("node: a", part),
                _ => FLOW.replace("settings: { commands: [[\"true\"]]", part),
            };
            env.write("flow.yaml", &flow);
            env.run(&["validate", "flow.yaml"])
        };
        drop(with(wrong).expect(2));
        drop(with(right).expect(0));
    }
}

#[test]
fn settings_of_an_environment() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    env.write(".dhenara/config.yaml", "run_root: elsewhere\n");
    let right = hinted(&env.run(&["run", "flow", "flow.yaml"]).expect(2).stderr);
    env.write(".dhenara/config.yaml", &right.replace('…', "elsewhere"));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    assert!(
        env.last_run().starts_with(env.project().join("elsewhere")),
        "{right}"
    );
}

#[test]
fn runs_and_archives() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &LOOP.replace("[[echo, b]]", "[['false']]"));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    // A run that asks nothing can be resumed, with the same end.
    let refused = env.run(&["answer", "last", "--input", "{}"]).expect(2);
    let command = refused
        .stderr
        .split('`')
        .rfind(|part| part.starts_with("dhenara "))
        .unwrap()
        .to_owned();
    drop(env.run(&words(&command)).expect(1));
    drop(env.run(&["runs", "export", "last", "--tar", "run.tar"]).expect(0));
    let refused = env.run(&["runs", "import", "run.tar"]).expect(2);
    assert!(refused.stderr.contains("`--run-root DIR`"), "{refused}");
    drop(
        env.run(&["runs", "import", "run.tar", "--run-root", "elsewhere"])
            .expect(0),
    );
}
