//! Room for many steps in few descriptors.

use std::process::Stdio;

use dhenara::StepStatus;

use crate::harness::{CommandOutput, TestEnvironment, read_json};

/// Runs `flow.yaml` with so many descriptors as the most.
fn with_descriptors(env: &TestEnvironment, most: u32) -> CommandOutput {
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let script = format!("ulimit -n {most} && exec {program} run flow flow.yaml");
    let mut command = env.command("sh", &env.project());
    let running = command
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    env.finish(running)
}

fn flow(elements: &str) -> String {
    format!("schema_version: 1\nkind: flow\nroot_id: r\nelements:\n  - {elements}\n")
}

fn completed(env: &TestEnvironment) -> u64 {
    let summary = read_json(&env.last_run().join("run_summary.json"));
    summary["counts"]["completed"].as_u64().unwrap()
}

#[test]
fn three_hundred_branches_complete_with_sixty_four_descriptors() {
    let env = TestEnvironment::new();
    let branches: Vec<String> = (0..300)
        .map(|number| {
            format!("{{ node: n{number}, type: command, settings: {{ commands: [[echo, hello]] }} }}")
        })
        .collect();
    env.write(
        "flow.yaml",
        &flow(&format!(
            "{{ parallel: group, elements: [ {} ] }}",
            branches.join(", ")
        )),
    );
    drop(with_descriptors(&env, 64).expect(0));
    assert_eq!(completed(&env), 300);
}

#[test]
fn components_that_execute_at_the_same_time_keep_no_descriptors() {
    let env = TestEnvironment::new();
    let step = "{ node: step, type: command, settings: { commands: [[echo, hello]] } }";
    let inner = format!(
        "{{ for_each: items, statement: [1, 2, 3], max_concurrency: 3, body: [ {{ subflow: deep, elements: [ {step} ] }} ] }}"
    );
    let branches: Vec<String> = (0..64)
        .map(|number| format!("{{ subflow: s{number}, elements: [ {inner} ] }}"))
        .collect();
    env.write(
        "flow.yaml",
        &flow(&format!(
            "{{ parallel: group, elements: [ {} ] }}",
            branches.join(", ")
        )),
    );
    drop(with_descriptors(&env, 80).expect(0));
    assert_eq!(completed(&env), 64 * 3);
}

#[test]
fn many_pauses_between_attempts_keep_no_descriptors() {
    let env = TestEnvironment::new();
    // The first attempt of each fails, and all of them wait at the same time.
    let step = "{ node: step, type: command, retry: { max_attempts: 2, initial_delay: 2, max_delay: 2, repeat_effects: true }, settings: \
                { commands: [\"test -e $var{project_root}/tried_$expr{item} || { touch $var{project_root}/tried_$expr{item}; exit 7; }\"] } }";
    let each = format!(
        "{{ for_each: items, statement: \"$expr{{ range(150) }}\", max_concurrency: 150, body: [ {step} ] }}"
    );
    env.write("flow.yaml", &flow(&each));
    drop(with_descriptors(&env, 96).expect(0));
    assert_eq!(completed(&env), 150);
}

#[test]
fn the_soft_limit_is_raised() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &flow("{ node: step, type: command, settings: { commands: [\"ulimit -n\"] } }"),
    );
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let script = format!("ulimit -Sn 64 && ulimit -Hn 512 && exec {program} run flow flow.yaml");
    let mut command = env.command("sh", &env.project());
    assert!(command.args(["-c", &script]).output().unwrap().status.success());
    let log = std::fs::read_to_string(env.last_run().join("r/step/stdout.log")).unwrap();
    assert_eq!(log, "512\n");
    let view = dhenara::run::RunView::open(env.last_run()).unwrap();
    assert_eq!(view.steps().next().unwrap().status, StepStatus::Completed);
}
