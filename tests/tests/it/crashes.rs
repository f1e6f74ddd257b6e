//! A process that dies, or whose disk refuses, at every change of the file system: in a run, in a resume, in a re-run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dad_tests::{check_run_dir, find_run_dirs};
use dhenara::run::RunView;

use crate::harness::TestEnvironment;

/// What a call of the scenario came to.
pub(crate) struct Call {
    pub(crate) code: Option<i32>,
    pub(crate) operations: u64,
    /// Those that write bytes, if nothing disturbed it.
    writes: Vec<u64>,
    pub(crate) stderr: String,
}

pub(crate) fn call(env: &TestEnvironment, what: &str, operation: u64, how: &str) -> Call {
    let project = env.project();
    let program = env!("CARGO_BIN_EXE_crashing");
    let mut command = env.command(program, &project);
    let output = command
        .arg(&project)
        .args([what, &operation.to_string(), how])
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let writes = stdout.lines().filter_map(|line| line.strip_prefix("writes "));
    Call {
        code: output.status.code(),
        operations: stdout
            .lines()
            .last()
            .and_then(|last| last.parse().ok())
            .unwrap_or(0),
        writes: writes.map(|number| number.parse().unwrap()).collect(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The outcomes of a run by step.
pub(crate) fn outcomes(run: &Path) -> BTreeMap<String, String> {
    let view = RunView::open(run).unwrap();
    let steps = view.steps().map(|step| {
        let file = view.dir_of(&step.path).join("outcome.json");
        (step.path.to_string(), std::fs::read_to_string(file).unwrap())
    });
    steps.collect()
}

fn exchanges(env: &TestEnvironment) -> usize {
    let text = std::fs::read_to_string(env.project().join("exchanges")).unwrap_or_default();
    text.lines().count()
}

/// Every run that can be seen can be read, and what it says is committed is there byte for byte.
fn check(env: &TestEnvironment, at: &str, is_finished: bool) -> Vec<PathBuf> {
    let mut runs = find_run_dirs(&env.project());
    runs.sort_by_key(|run| RunView::open(run).unwrap().created_at);
    for run in &runs {
        let (_, problems) = check_run_dir(run);
        // A process that dies leaves a new file beside the one it replaces, or a step under its final name without
        // its record: nobody takes either for more than it is, and who goes on with the run puts them away.
        let left = ["/.tmp-", "`.tmp-", "no committed step has it"];
        let is_left = |problem: &&String| !is_finished && left.iter().any(|left| problem.contains(left));
        let problems: Vec<&String> = problems.iter().filter(|problem| !is_left(problem)).collect();
        assert!(problems.is_empty(), "{at}: {problems:?}");
        let view = RunView::open(run).unwrap();
        for step in view.steps() {
            assert!(
                view.dir_of(&step.path).is_dir(),
                "{at}: {} is committed and has no files",
                step.path
            );
        }
    }
    runs
}

/// Goes through all operations of a phase. `prepare` makes what the phase begins with.
#[expect(
    clippy::print_stdout,
    reason = "how many operations there were is for people to see"
)]
fn every_operation(phase: &'static str, prepare: fn(&TestEnvironment), at_least: u64) {
    let undisturbed = TestEnvironment::new();
    prepare(&undisturbed);
    let before = exchanges(&undisturbed);
    let whole = call(&undisturbed, phase, u64::MAX, "none");
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let wanted = outcomes(&check(&undisturbed, "undisturbed", true).pop().unwrap());
    let paid = exchanges(&undisturbed);
    println!(
        "{phase}: {} operations, {} of them write",
        whole.operations,
        whole.writes.len()
    );
    assert!(
        whole.operations >= at_least,
        "{phase} has only {} operations left",
        whole.operations
    );
    let all: Vec<u64> = (0..whole.operations).collect();
    let (writes, others): (Vec<u64>, Vec<u64>) = all.iter().partition(|number| whole.writes.contains(number));
    // A full disk takes a part of the bytes where there are any.
    let ways = [
        ("die", &all),
        ("io", &all),
        ("full", &others),
        ("torn", &writes),
        ("short", &writes),
    ];
    let before_phase = TestEnvironment::new();
    prepare(&before_phase);
    before_phase.is_checked();
    let disturbances: Vec<(&str, u64)> = ways
        .iter()
        .flat_map(|(how, operations)| operations.iter().map(|operation| (*how, *operation)))
        .collect();
    let phase = Phase {
        name: phase,
        before: before_phase.project(),
        wanted,
        paid: paid - before,
        paid_before: before,
    };
    std::thread::scope(|scope| {
        // Most of the time goes into starting processes: two at a time keep two processors busy to the end.
        let (left, right) = disturbances.split_at(disturbances.len() / 2);
        for part in [left, right] {
            let phase = &phase;
            scope.spawn(move || {
                for (how, operation) in part {
                    phase.disturb(how, *operation);
                }
            });
        }
    });
}

/// What a phase begins with and comes to.
struct Phase {
    name: &'static str,
    /// A project to begin it in.
    before: PathBuf,
    wanted: BTreeMap<String, String>,
    /// Exchanges that it makes, and that were made before it.
    paid: usize,
    paid_before: usize,
}

impl Phase {
    /// Goes through the phase with a disturbance, and then to its end.
    fn disturb(&self, how: &str, operation: u64) {
        let at = format!("{}, {how} at {operation}", self.name);
        let env = TestEnvironment::new();
        copy_all(&self.before, &env.project());
        let disturbed = call(&env, self.name, operation, how);
        match how {
            "die" | "torn" => assert_eq!(disturbed.code, Some(86), "{at}: {}", disturbed.stderr),
            // What fails says where, unless nothing was lost by it.
            _ if disturbed.code != Some(0) => assert!(
                disturbed.stderr.contains("os error"),
                "{at}: {}",
                disturbed.stderr
            ),
            _ => {}
        }
        let runs = check(&env, &at, false);
        // Whoever dies behind the seal leaves a run that is completed, at most without its projections.
        let went_on = finish(&env, self.name, &runs, &at);
        let runs = check(&env, &at, went_on);
        assert_eq!(outcomes(runs.last().unwrap()), self.wanted, "{at}");
        // At most the exchange that was going on is made twice; one that failed with its memo is made again too.
        let made = exchanges(&env) - self.paid_before;
        assert!(
            (self.paid..=self.paid + 1).contains(&made),
            "{at}: {made} exchanges"
        );
        env.is_checked();
    }
}

/// Copies a directory with everything in it.
#[expect(
    clippy::disallowed_methods,
    reason = "what a test begins with, not a part of a run"
)]
pub(crate) fn copy_all(source: &Path, target: &Path) {
    std::fs::create_dir_all(target).unwrap();
    for entry in std::fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let to = target.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_all(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Does what a user would: goes on with what there is, else begins again. Whether there was anything to do.
fn finish(env: &TestEnvironment, phase: &str, runs: &[PathBuf], at: &str) -> bool {
    let last = runs.last();
    let is_new = runs.len() > usize::from(phase == "rerun");
    let completed = last.is_some_and(|run| {
        RunView::open(run).unwrap().sealed_status() == Some(dhenara::RunStatus::Completed)
    });
    if is_new && completed {
        return false;
    }
    let next = match (is_new, phase) {
        (true, _) => "resume",
        (false, "rerun") => "rerun",
        (false, _) => "run",
    };
    let finished = call(env, next, u64::MAX, "none");
    assert_eq!(finished.code, Some(0), "{at}, then {next}: {}", finished.stderr);
    true
}

/// Every run that is listed is whole, and the newest is there.
fn check_pruned(env: &TestEnvironment, newest: &Path, at: &str) -> usize {
    let dirs = dhenara::run::Dirs::new(&env.project(), None, None).unwrap();
    let listed = dirs.catalog().list().unwrap();
    assert_eq!(listed.last().map(|run| run.dir.as_path()), Some(newest), "{at}");
    for run in &listed {
        let found = RunView::open(&run.dir).unwrap().verify().unwrap();
        assert!(found.steps > 0 && found.damage.is_empty(), "{at}: {found:?}");
    }
    listed.len()
}

#[test]
fn a_prune_survives_every_operation() {
    let prepare = || {
        let env = TestEnvironment::new();
        for _ in 0..2 {
            assert_eq!(call(&env, "run", u64::MAX, "none").code, Some(0));
        }
        let mut runs = find_run_dirs(&env.project());
        runs.sort_by_key(|run| RunView::open(run).unwrap().created_at);
        (env, runs.pop().unwrap())
    };
    let (env, newest) = prepare();
    let whole = call(&env, "prune", u64::MAX, "none");
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    assert_eq!(check_pruned(&env, &newest, "undisturbed"), 1);
    println!("prune: {} operations", whole.operations);
    assert!(whole.operations >= 5, "only {} operations", whole.operations);
    for how in ["die", "full", "io"] {
        for operation in 0..whole.operations {
            let at = format!("prune, {how} at {operation}");
            let (env, newest) = prepare();
            let disturbed = call(&env, "prune", operation, how);
            match how {
                "die" => assert_eq!(disturbed.code, Some(86), "{at}: {}", disturbed.stderr),
                _ => {
                    assert_eq!(disturbed.code, Some(1), "{at}");
                    assert!(
                        disturbed.stderr.contains("os error"),
                        "{at}: {}",
                        disturbed.stderr
                    );
                }
            }
            check_pruned(&env, &newest, &at);
            let again = call(&env, "prune", u64::MAX, "none");
            assert_eq!(again.code, Some(0), "{at}: {}", again.stderr);
            assert_eq!(check_pruned(&env, &newest, &at), 1, "{at}");
            let trash = env.project().join("runs/.trash");
            assert_eq!(std::fs::read_dir(trash).unwrap().count(), 0, "{at}");
        }
    }
}

#[test]
fn a_run_survives_every_operation() {
    every_operation("run", |_| {}, 128);
}

#[test]
fn a_rerun_survives_every_operation() {
    every_operation(
        "rerun",
        |env| assert_eq!(call(env, "run", u64::MAX, "none").code, Some(0)),
        125,
    );
}

#[test]
fn a_resume_survives_every_operation() {
    // In the middle of the second iteration.
    every_operation(
        "resume",
        |env| assert_eq!(call(env, "run", 45, "die").code, Some(86)),
        100,
    );
}
