//! Commands that do what they can to stay: grandchildren, ignored signals, endless output, the death of who drives them.
#![cfg(target_os = "linux")]

use std::path::Path;

use serde_json::Value;

use crate::crashes::call;
use crate::harness::{TestEnvironment, records, tell};
use crate::waiting::wait_for;

/// Whether a process executes.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The most memory a process had, in bytes.
fn most_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn read_pid(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.ends_with('\n').then(|| text.trim().to_owned())
}

#[test]
fn a_command_that_wants_to_stay_and_prints_without_end_is_ended() {
    const TIMEOUT: f64 = 20.0;
    let env = TestEnvironment::new();
    // A gigabyte is printed, in whatever time that takes; the grandchildren ignore the signal and hold the pipes.
    env.write(
        "print.sh",
        "trap '' TERM\n(trap '' TERM; echo $(exec sh -c 'echo $PPID') > grandchild; sleep 300) &\n\
         (trap '' TERM; sleep 300; echo late) &\nhead -c 1073741824 /dev/zero | tr '\\0' x\necho printed >&2\nwait\nsleep 300\n",
    );
    let flow = format!(
        "schema_version: 1\nkind: flow\nelements:\n  - node: print\n    type: command\n    settings: {{ commands: [[sh, \
         print.sh]], working_dir: \"$var{{project_root}}\", timeout: {TIMEOUT}, limits: {{ output_mib: 2048 }} }}\n"
    );
    env.write("flow.yaml", &flow);
    let mut child = env.start(&["run", "flow", "flow.yaml"]);
    let mut most = 0;
    let ended = wait_for("the end of the run", || {
        most = most.max(most_memory(child.id()).unwrap_or(0));
        child.try_wait().unwrap()
    });
    let output = env.finish(child);
    assert_eq!(ended.code(), Some(1), "{output}");
    assert!(
        output.stderr.contains("did not end within its time limit"),
        "{output}"
    );
    let run = env.last_run();
    let took = records(&run, "step_committed")[0]["duration_ms"]
        .as_f64()
        .unwrap()
        / 1000.0;
    // One that is not ended takes five minutes.
    assert!(took < TIMEOUT + 60.0, "{took} s");
    let log = run.join("flow_root/print/stdout.log");
    let printed = std::fs::metadata(&log).unwrap().len();
    let outcome: Value =
        serde_json::from_slice(&std::fs::read(run.join("flow_root/print/outcome.json")).unwrap()).unwrap();
    let stdout = outcome["results"][0]["stdout"].as_str().unwrap();
    assert!(stdout.len() < 300 * 1024, "{}", stdout.len());
    assert!(
        stdout.contains(&format!("of {printed} bytes left out")),
        "the true length is reported"
    );
    assert_eq!(
        outcome["results"][0].get("abandoned"),
        None,
        "the pipes reached their end"
    );
    let grandchild = read_pid(&env.project().join("grandchild")).unwrap();
    assert!(!is_alive(&grandchild), "{grandchild}");
    tell(&format!(
        "commands: {} MB printed, ended after {took:.1} s of {TIMEOUT} s, {} MB of memory",
        printed / 1_000_000,
        most / 1_000_000
    ));
    assert!(most < 100_000_000, "{most} bytes of memory");
    assert!(most > 0);
    std::fs::remove_file(log).unwrap();
    // The log is gone, which the check of the directory would miss.
    env.is_checked();
}

/// Kills the driver of a command, and goes on: what is left of the command is ended first.
fn resume_after_kill(script: &str) {
    let env = TestEnvironment::new();
    env.write("work.sh", &format!("{SECOND}{script}"));
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - node: work\n    type: command\n    settings: { commands: [[sh, \
         work.sh]], working_dir: \"$var{project_root}\" }\n",
    );
    let mut driver = env.start(&["run", "flow", "flow.yaml"]);
    let orphan = wait_for("the child", || read_pid(&env.project().join("orphan")));
    driver.kill().unwrap();
    driver.wait().unwrap();
    assert!(is_alive(&orphan), "the orphan goes on");
    if let Some(leader) = read_pid(&env.project().join("leader")) {
        wait_for("the end of the first process", || {
            (!is_alive(&leader)).then_some(())
        });
    }
    // The second attempt ends at once, and says whether it found the first.
    env.write("second", "");
    let resumed = env.run(&["resume", "last"]).expect(0);
    assert!(!is_alive(&orphan), "{resumed}");
    let found = std::fs::read_to_string(env.project().join("found")).unwrap();
    assert_eq!(found, "gone\n", "it was ended before the step began again");
}

/// The script of a second attempt: it reports whether the first one still executes, and ends.
const SECOND: &str = "if test -f second; then
  state=$(cut -d' ' -f3 /proc/$(cat orphan)/stat 2>/dev/null)
  if test -z \"$state\" || test \"$state\" = Z; then echo gone > found; else echo there > found; fi
  exit 0
fi
";

#[test]
fn a_resume_ends_the_orphan_before_it_begins_again() {
    resume_after_kill("trap '' TERM\necho $$ > orphan\nsleep 300\nsleep 300\n");
}

#[test]
fn a_resume_ends_a_grandchild_whose_parent_is_gone() {
    resume_after_kill(
        "(trap '' TERM; sh -c 'echo $PPID > orphan'; sleep 300; sleep 300) &\n\
         driver=$PPID\necho $$ > leader\nwhile kill -0 $driver 2>/dev/null; do sleep 0.1; done\n",
    );
}

/// The operations that a run of two commands has at least.
const AT_LEAST: u64 = 40;

#[test]
fn no_command_runs_whose_process_is_not_recorded() {
    let whole = call(&TestEnvironment::new(), "command", u64::MAX, "none");
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let mut after_a_death = 0;
    for operation in 0..whole.operations {
        for how in ["die", "full"] {
            after_a_death += run_commands_until(operation, how);
        }
    }
    tell(&format!(
        "commands: {} operations, {after_a_death} commands ran before a death or a full disk",
        whole.operations
    ));
    assert!(
        whole.operations >= AT_LEAST,
        "only {} operations",
        whole.operations
    );
    assert!(after_a_death > 0);
}

/// Dies or fails at an operation, and goes on; how many commands ran before.
fn run_commands_until(operation: u64, how: &str) -> usize {
    let at = format!("{how} at {operation}");
    let env = TestEnvironment::new();
    let died = call(&env, "command", operation, how);
    assert_ne!(died.code, Some(2), "{at}: {}", died.stderr);
    wait_for("the end of all commands", || {
        is_idle(&env.project()).then_some(())
    });
    let ran = read_lines_of(&env.project().join("ran"));
    let run = dad_tests::find_run_dirs(&env.project()).pop();
    let recorded: Vec<String> = run.iter().flat_map(|run| recorded_processes(run)).collect();
    for pid in &ran {
        assert!(
            recorded.contains(pid),
            "{at}: {pid} ran, recorded are {recorded:?}"
        );
    }
    let next = if run.is_some() {
        "command-resume"
    } else {
        "command"
    };
    let ended = call(&env, next, u64::MAX, "none");
    // A process that died behind the seal has nothing left to do.
    let is_over = ended.stderr.contains("there is no unfinished run");
    assert!(ended.code == Some(0) || is_over, "{at}: {}", ended.stderr);
    assert!(read_lines_of(&env.project().join("ran")).len() >= 2, "{at}");
    env.is_checked();
    ran.len()
}

/// Whether no process works in a directory.
fn is_idle(dir: &Path) -> bool {
    let mut processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.all(|process| std::fs::read_link(process.path().join("cwd")).map_or(true, |cwd| cwd != dir))
}

fn read_lines_of(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn recorded_processes(run: &Path) -> Vec<String> {
    let started = records(run, "process_started");
    started.iter().map(|record| record["pgid"].to_string()).collect()
}
