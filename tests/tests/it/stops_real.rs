//! Real signals and messages to real processes: what the table of dad-runner says of fake nodes holds for commands, and whatever
//! was started is ended.

use std::path::Path;
use std::process::Child;

use dhenara::StepStatus;
use serde_json::Value;

use crate::harness::{CommandOutput, TestEnvironment, records};
use crate::stops::{has_record, status};
use crate::waiting::wait_until;

/// A program that executes for ten minutes, also if it is asked to end.
const STUBBORN: &str = "trap '' TERM INT HUP; i=0; while test $i -lt 6000; do sleep 0.1; i=$((i + 1)); done";

/// The cause of a stop.
enum Cause {
    Signal(&'static str),
    Cancel(&'static [&'static str]),
    /// A limit that the definition sets.
    Limit,
}

/// A cause that meets a command.
struct Cell {
    name: &'static str,
    elements: String,
    cause: Cause,
    /// The record of the step behind which the cause comes.
    behind: (&'static str, &'static str),
    code: i32,
    statuses: &'static [(&'static str, Option<StepStatus>)],
}

fn command(id: &str, script: &str, options: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!("{{ node: {id}, type: command, {options} settings: {{ commands: [{script}] }} }}")
}

fn sleeps(id: &str, options: &str) -> String {
    command(id, "sleep 600", options)
}

fn part(options: &str, elements: &[String]) -> String {
    let (elements, sweep) = (elements.join(", "), command("sweep", "sleep 0.2", ""));
    format!("{{ subflow: part, {options} elements: [ {elements} ], finally: [ {sweep} ] }}")
}

const BEGUN: (&str, &str) = ("process_started", "it");
const CANCELLED: Option<StepStatus> = Some(StepStatus::Cancelled);
const COMPLETED: Option<StepStatus> = Some(StepStatus::Completed);
const TIMED_OUT: Option<StepStatus> = Some(StepStatus::TimedOut);
const WAITING: Option<StepStatus> = Some(StepStatus::Waiting);

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn cells() -> Vec<Cell> {
    let behind = || command("behind", "true", "");
    vec![
        Cell {
            name: "Ctrl-C, a command",
            elements: part("", &[sleeps("it", ""), behind()]),
            cause: Cause::Signal("INT"),
            behind: BEGUN,
            code: 130,
            statuses: &[
                ("part.it", CANCELLED),
                ("part.behind", None),
                ("part.sweep", COMPLETED),
            ],
        },
        Cell {
            name: "SIGTERM, a command that ignores it",
            elements: part("", &[command("it", STUBBORN, ""), behind()]),
            cause: Cause::Signal("TERM"),
            behind: BEGUN,
            code: 130,
            statuses: &[
                ("part.it", CANCELLED),
                ("part.behind", None),
                ("part.sweep", COMPLETED),
            ],
        },
        Cell {
            name: "SIGHUP, in a loop",
            elements: format!(
                "{{ for_each: loop, statement: [1, 2], body: [ {} ] }}",
                sleeps("it", "")
            ),
            cause: Cause::Signal("HUP"),
            behind: BEGUN,
            code: 130,
            statuses: &[("loop.iter_0.it", CANCELLED), ("loop.iter_1.it", None)],
        },
        Cell {
            name: "Ctrl-C, a pause between attempts",
            elements: part(
                "",
                &[
                    command(
                        "it",
                        "exit 7",
                        "retry: { max_attempts: 3, initial_delay: 10m, max_delay: 10m, repeat_effects: true },",
                    ),
                    behind(),
                ],
            ),
            cause: Cause::Signal("INT"),
            behind: ("attempt_failed", "it"),
            code: 130,
            statuses: &[
                ("part.it", CANCELLED),
                ("part.behind", None),
                ("part.sweep", COMPLETED),
            ],
        },
        Cell {
            name: "SIGTERM, an approval that is waited for",
            elements: format!(
                "{{ parallel: group, elements: [ {}, {} ] }}",
                command("it", "true", "requires_approval: true,"),
                sleeps("beside", "")
            ),
            cause: Cause::Signal("TERM"),
            behind: ("question", "it"),
            code: 130,
            statuses: &[("group.it", WAITING), ("group.beside", CANCELLED)],
        },
        Cell {
            name: "cancel RUN, in parallel",
            elements: format!(
                "{{ parallel: group, elements: [ {}, {} ] }}",
                sleeps("it", ""),
                command("beside", STUBBORN, "")
            ),
            cause: Cause::Cancel(&[]),
            behind: ("process_started", "beside"),
            code: 130,
            statuses: &[("group.it", CANCELLED), ("group.beside", CANCELLED)],
        },
        Cell {
            name: "cancel COMPONENT, absorbed",
            elements: part("on_error: continue,", &[sleeps("it", ""), behind()]),
            cause: Cause::Cancel(&["part"]),
            behind: BEGUN,
            code: 0,
            statuses: &[
                ("part.it", CANCELLED),
                ("part.behind", None),
                ("part.sweep", COMPLETED),
            ],
        },
        Cell {
            name: "cancel STEP, absorbed by the component around it",
            elements: part("on_error: continue,", &[sleeps("it", ""), behind()]),
            cause: Cause::Cancel(&["it"]),
            behind: BEGUN,
            code: 0,
            statuses: &[
                ("part.it", CANCELLED),
                ("part.behind", None),
                ("part.sweep", COMPLETED),
            ],
        },
        Cell {
            name: "timeout of the step",
            elements: part("", &[sleeps("it", "timeout: 1,"), behind()]),
            cause: Cause::Limit,
            behind: BEGUN,
            code: 1,
            statuses: &[
                ("part.it", TIMED_OUT),
                ("part.behind", None),
                ("part.sweep", COMPLETED),
            ],
        },
        Cell {
            name: "timeout of the component",
            elements: part("timeout: 1,", &[sleeps("it", ""), behind()]),
            cause: Cause::Limit,
            behind: BEGUN,
            code: 1,
            statuses: &[
                ("part", TIMED_OUT),
                ("part.it", CANCELLED),
                ("part.sweep", COMPLETED),
            ],
        },
        Cell {
            name: "Ctrl-C, in finally",
            elements: format!(
                "{{ subflow: part, elements: [ {} ], finally: [ {}, {} ] }}",
                behind(),
                command("it", "sleep 1", ""),
                command("sweep", "true", "")
            ),
            cause: Cause::Signal("INT"),
            behind: BEGUN,
            code: 130,
            statuses: &[("part.it", COMPLETED), ("part.sweep", COMPLETED), ("after", None)],
        },
        Cell {
            name: "cancel STEP, a grandchild whose parent has ended",
            elements: part(
                "",
                &[
                    command("it", "(sleep 600 & sleep 600 &); sleep 600", ""),
                    behind(),
                ],
            ),
            cause: Cause::Cancel(&["it"]),
            behind: BEGUN,
            code: 130,
            statuses: &[
                ("part.it", CANCELLED),
                ("part.behind", None),
                ("part.sweep", COMPLETED),
            ],
        },
    ]
}

fn write_flow(env: &TestEnvironment, options: &str, elements: &str) {
    let (after, ends) = (command("after", "true", ""), command("ends", "true", ""));
    let text = format!(
        "schema_version: 1\nkind: flow\nroot_id: r\n{options}elements:\n  - {elements}\n  - {after}\nfinally:\n  - {ends}\n"
    );
    env.write("flow.yaml", &text);
}

/// The processes that have the token of a run in their environment.
#[cfg(target_os = "linux")]
fn processes_of(run: &Path) -> Vec<String> {
    let token = records(run, "run_started")[0]["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let wanted = format!("DHENARA_SESSION={token}");
    let has_it = |environment: Vec<u8>| {
        environment
            .split(|b| *b == 0)
            .any(|entry| entry == wanted.as_bytes())
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let of_run = processes.filter(|process| std::fs::read(process.path().join("environ")).is_ok_and(has_it));
    of_run
        .map(|process| std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default())
        // One that has ended and waits for its parent has no command line.
        .filter(|command| !command.is_empty())
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn processes_of(_: &Path) -> Vec<String> {
    Vec::new()
}

fn nothing_is_left(env: &TestEnvironment, what: &str) {
    assert_eq!(processes_of(&env.last_run()), Vec::<String>::new(), "{what}");
}

#[test]
fn twelve_cells_of_the_table_hold_for_processes() {
    for cell in cells() {
        let env = TestEnvironment::new();
        write_flow(&env, "", &cell.elements);
        let running = env.start(&["run", "flow", "flow.yaml", "--no-input"]);
        let (kind, step) = cell.behind;
        wait_until(cell.name, || has_record(&env, kind, step));
        match cell.cause {
            Cause::Signal(signal) => env.signal(&running, signal),
            Cause::Cancel(what) => {
                let words: Vec<&str> = ["cancel", "last"]
                    .into_iter()
                    .chain(what.iter().copied())
                    .collect();
                drop(env.run(&words).expect(0));
            }
            Cause::Limit => {}
        }
        let output = env.finish(running);
        assert_eq!(output.code, Some(cell.code), "{}: {output}", cell.name);
        for (step, expected) in cell.statuses {
            assert_eq!(
                status(&env, &format!("r.{step}")),
                *expected,
                "{}: {step}",
                cell.name
            );
        }
        let after = (cell.code == 0).then_some(StepStatus::Completed);
        assert_eq!(status(&env, "r.after"), after, "{}", cell.name);
        assert_eq!(status(&env, "r.ends"), COMPLETED, "{}", cell.name);
        nothing_is_left(&env, cell.name);
    }
}

/// A run that was stopped, and whose `finally` executes a script.
fn in_finally(env: &TestEnvironment, script: &str) -> Child {
    let (it, cleans) = (sleeps("it", ""), command("cleans", script, ""));
    let text = format!(
        "schema_version: 1\nkind: flow\nroot_id: r\nelements:\n  - {it}\nfinally:\n  - {cleans}\n  - {}\n",
        command("behind", "true", "")
    );
    env.write("flow.yaml", &text);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || has_record(env, "process_started", "it"));
    env.signal(&running, "INT");
    wait_until("the finally", || has_record(env, "process_started", "cleans"));
    running
}

fn stops(env: &TestEnvironment) -> Vec<Value> {
    let recorded = records(&env.last_run(), "control");
    recorded
        .into_iter()
        .map(|record| record["source"].clone())
        .collect()
}

fn tells(output: &CommandOutput, what: &[&str]) {
    for line in what {
        assert!(output.stderr.contains(line), "{line}\n{output}");
    }
}

#[test]
fn a_second_signal_ends_what_ignores_it() {
    for second in ["INT", "TERM"] {
        let env = TestEnvironment::new();
        let running = in_finally(&env, STUBBORN);
        env.signal(&running, second);
        let output = env.finish(running).expect(130);
        tells(
            &output,
            &[
                "the `finally` of `r` did not finish: `r.cleans` was stopped",
                "next      dhenara resume ",
            ],
        );
        assert_eq!(status(&env, "r.cleans"), CANCELLED);
        assert_eq!(status(&env, "r.behind"), None);
        assert_eq!(stops(&env), ["SIGINT", &format!("SIG{second}")]);
        nothing_is_left(&env, second);
    }
}

#[test]
fn a_second_signal_ends_a_child_that_was_stopped() {
    let env = TestEnvironment::new();
    let running = in_finally(&env, "kill -STOP $$; true");
    env.signal(&running, "TERM");
    drop(env.finish(running).expect(130));
    assert_eq!(status(&env, "r.cleans"), CANCELLED);
    nothing_is_left(&env, "stopped");
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_in_the_background_of_a_shell_goes_on_behind_ctrl_c() {
    let env = TestEnvironment::new();
    let open = "for i in $(seq 2000); do test -e $var{project_root}/open && break; sleep 0.05; done";
    write_flow(&env, "", &command("it", open, ""));
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let mut command = env.command("sh", &env.project());
    let script = format!("trap '' INT; exec {program} run flow flow.yaml");
    let running = command
        .args(["-c", &script])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the step", || has_record(&env, "process_started", "it"));
    env.signal(&running, "INT");
    env.write("open", "");
    drop(env.finish(running).expect(0));
    assert_eq!(stops(&env), Vec::<Value>::new());
}

#[test]
fn attempts_that_failed_before_a_crash_count() {
    let env = TestEnvironment::new();
    // The first attempt fails at once, the second executes until it is killed, all later ones fail.
    let script =
        "echo x >> $var{project_root}/log; test $(wc -l < $var{project_root}/log) -ne 2 || sleep 600; exit 7";
    let retry = "retry: { max_attempts: 3, initial_delay: 0.05, max_delay: 0.1, repeat_effects: true },";
    write_flow(&env, "", &command("it", script, retry));
    let mut running = env.start(&["run", "flow", "flow.yaml"]);
    // The record of a process stands before it executes: only its own trace says that it does.
    let log = env.project().join("log");
    wait_until("the second attempt", || {
        has_record(&env, "attempt_failed", "it")
            && std::fs::read_to_string(&log).is_ok_and(|log| log.lines().count() == 2)
    });
    running.kill().unwrap();
    drop(env.finish(running));
    let attempts = |kind: &str| -> Vec<u64> {
        let of_step = records(&env.last_run(), kind).into_iter();
        of_step
            .filter(|record| record["path"] == "r.it")
            .map(|record| record["attempt"].as_u64().unwrap())
            .collect()
    };
    drop(env.run(&["resume", "last"]).expect(1));
    // The one that was interrupted keeps its number, and there are three in all.
    assert_eq!(attempts("step_started"), [1, 2, 2, 3]);
    assert_eq!(attempts("attempt_failed"), [1, 2]);
    // It ended in failure: a person who resumes it wants it attempted as often as the first time.
    drop(env.run(&["resume", "last"]).expect(1));
    assert_eq!(attempts("step_started"), [1, 2, 2, 3, 4, 5, 6]);
    assert_eq!(attempts("attempt_failed"), [1, 2, 4, 5]);
}

#[test]
fn a_pause_behind_a_failed_attempt_that_a_crash_ends_is_no_new_beginning() {
    let env = TestEnvironment::new();
    let retry = "retry: { max_attempts: 2, initial_delay: 60, max_delay: 60, repeat_effects: true },";
    write_flow(&env, "", &command("it", "exit 7", retry));
    for stop in ["KILL", "INT"] {
        let running = env.start(&["run", "flow", "flow.yaml"]);
        wait_until("the pause", || has_record(&env, "attempt_failed", "it"));
        env.signal(&running, stop);
        drop(env.finish(running));
        // The last attempt is made at once, and none follows.
        drop(env.run(&["resume", "last"]).expect(1));
        let attempts = records(&env.last_run(), "step_started");
        let of_step: Vec<&Value> = attempts
            .iter()
            .filter(|record| record["path"] == "r.it")
            .collect();
        let numbers: Vec<&Value> = of_step.iter().map(|record| &record["attempt"]).collect();
        assert_eq!(numbers, [1, 2], "{stop}");
        std::fs::remove_dir_all(env.last_run()).unwrap();
    }
}

/// Starts a run of a node that never stops by itself.
fn stubborn(env: &TestEnvironment, does: &str) -> Child {
    let elements = format!("{{ node: it, type: stubborn, settings: {{ does: {does} }} }}");
    write_flow(env, "", &elements);
    let mut command = env.command(env!("CARGO_BIN_EXE_stubborn"), &env.project());
    let piped = command.args(["run", "flow", "flow.yaml"]);
    piped
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_look_that_never_returns_holds_up_neither_the_run_nor_the_process() {
    let env = TestEnvironment::new();
    let running = stubborn(&env, "looks");
    wait_until("the run", || has_record(&env, "component_started", "r"));
    env.signal(&running, "TERM");
    drop(env.finish(running).expect(130));
    assert_eq!(status(&env, "r.it"), None);
    assert_eq!(status(&env, "r.ends"), COMPLETED);
}

/// A run whose step never ends, stopped twice.
fn stopped_twice(env: &TestEnvironment, does: &str, behind: &str) -> Child {
    let running = stubborn(env, does);
    wait_until("the step", || has_record(env, behind, "it"));
    for stops in 1..=2 {
        env.signal(&running, "TERM");
        wait_until("the stop", || records(&env.last_run(), "control").len() == stops);
    }
    running
}

#[test]
fn work_that_never_returns_is_left_and_named_behind_a_second_signal() {
    let env = TestEnvironment::new();
    let running = stopped_twice(&env, "works", "step_started");
    let output = env.finish(running).expect(130);
    tells(
        &output,
        &[
            "`r.it` did not end: it had no process of its own",
            "ended at once; resume the run with ",
        ],
    );
    // The process ends in the midst of the run, as in a crash.
    env.is_checked();
}

#[test]
fn a_process_that_its_step_does_not_end_is_ended_by_force_and_named() {
    let env = TestEnvironment::new();
    let running = stopped_twice(&env, "starts", "process_started");
    let output = env.finish(running).expect(130);
    tells(&output, &["`r.it` did not end: its process group "]);
    nothing_is_left(&env, "by force");
    env.is_checked();
}

#[test]
fn a_third_signal_ends_the_process_at_once() {
    let env = TestEnvironment::new();
    let running = stopped_twice(&env, "starts", "process_started");
    env.signal(&running, "INT");
    let output = env.finish(running).expect(130);
    tells(
        &output,
        &[
            "`r.it` did not end: its process group ",
            "ended at once; resume the run with `stubborn resume ",
        ],
    );
    nothing_is_left(&env, "third");
    let shown = env.run(&["runs", "show", "last", "--json"]).expect(0);
    assert_eq!(shown.json("cli_runs_show")["status"], "interrupted");
    env.is_checked();
}
