//! A process that dies, or whose disk refuses, at every change of the file system: in a run, in a resume, in a re-run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dad_tests::{check_run_dir, find_run_dirs};
use dhenara::run::{Repair, RetentionPolicy, RunView, plan_prune};
use dhenara::types::Timestamp;
use serde_json::Value;

use crate::harness::{TestEnvironment, records, tell};

/// The result of a call of the scenario.
pub(crate) struct Call {
    pub(crate) code: Option<i32>,
    pub(crate) operations: u64,
    /// Those that write bytes, if nothing disturbed it.
    writes: Vec<u64>,
    pub(crate) stderr: String,
}

impl Call {
    /// The operations that write bytes.
    pub(crate) fn writes(&self) -> &[u64] {
        &self.writes
    }
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
        // its record: no reader takes either for more than it is, and the process that resumes the run puts them away.
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
fn every_operation(phase: &'static str, prepare: fn(&TestEnvironment), at_least: u64) {
    let undisturbed = TestEnvironment::new();
    prepare(&undisturbed);
    let before = exchanges(&undisturbed);
    let whole = call(&undisturbed, phase, u64::MAX, "none");
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let wanted = outcomes(&check(&undisturbed, "undisturbed", true).pop().unwrap());
    let paid = exchanges(&undisturbed);
    tell(&format!(
        "crashes: {phase} has {} operations, {} of them write",
        whole.operations,
        whole.writes.len()
    ));
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

/// The beginning and the result of a phase.
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
        if how == "die" && self.has_begun(&runs) {
            self.start_from(&env, &at);
        }
        // A process that dies behind the seal leaves a run that is completed, at most without its projections.
        let went_on = self.finish(&env, &runs, &at);
        let runs = check(&env, &at, went_on);
        assert_eq!(outcomes(runs.last().unwrap()), self.wanted, "{at}");
        // At most the exchange that was going on is made twice; one that failed with its memo is made again too.
        let made = exchanges(&env) - self.paid_before;
        assert!(
            (self.paid..=self.paid + 1).contains(&made),
            "{at}: {made} exchanges"
        );
        check_swept(&env, &runs, &at);
        env.is_checked();
    }

    /// Whether the run of the phase has a first record.
    fn has_begun(&self, runs: &[PathBuf]) -> bool {
        runs.len() > usize::from(self.name == "rerun")
    }

    /// Starts a re-run from what there is, in a copy of it: what was committed is taken over and not done again.
    fn start_from(&self, env: &TestEnvironment, at: &str) {
        let copy = TestEnvironment::new();
        copy_all(&env.project(), &copy.project());
        let again = call(&copy, "again", u64::MAX, "none");
        assert_eq!(again.code, Some(0), "{at}, then again: {}", again.stderr);
        let runs = check(&copy, at, false);
        let [.., parent, rerun] = runs.as_slice() else {
            panic!("{at}: there is no re-run");
        };
        let rerun_view = RunView::open(rerun).unwrap();
        for step in RunView::open(parent).unwrap().steps() {
            let again = rerun_view.step(&step.path).unwrap();
            assert!(again.is_taken(), "{at}: {} was done again", step.path);
        }
        assert_eq!(outcomes(rerun), self.wanted, "{at}, then again");
        // The run it started from is left as it was found, with what its process did not put away.
        copy.is_checked();
    }

    /// Acts as a user would: resumes the run if there is one, else begins again. Says whether there was anything to do.
    fn finish(&self, env: &TestEnvironment, runs: &[PathBuf], at: &str) -> bool {
        let sealed = runs.last().map(|run| RunView::open(run).unwrap().sealed_status());
        let is_new = self.has_begun(runs);
        if is_new && sealed.flatten() == Some(dhenara::RunStatus::Completed) {
            return false;
        }
        let next = match (is_new, self.name) {
            (true, _) => "resume",
            (false, "rerun") => "rerun",
            (false, _) => "run",
        };
        let finished = call(env, next, u64::MAX, "none");
        assert_eq!(finished.code, Some(0), "{at}, then {next}: {}", finished.stderr);
        true
    }
}

/// A prune leaves the runs and nothing else, once what a crash left is old enough to have no owner.
fn check_swept(env: &TestEnvironment, runs: &[PathBuf], at: &str) {
    let catalog = dhenara::run::Dirs::new(&env.project(), None, None)
        .unwrap()
        .catalog();
    let keep_all = RetentionPolicy::default().keep_last(usize::MAX);
    let later = Timestamp::now() + std::time::Duration::from_hours(2);
    let plan = plan_prune(catalog.inventory().unwrap(), &keep_all, later);
    assert_eq!(plan.removed().count(), 0, "{at}");
    let done = catalog.prune(&plan).unwrap();
    assert!(done.failures.is_empty(), "{at}: {:?}", done.failures);
    let root = env.project().join("runs");
    let trash = root.join(dhenara::run::layout::TRASH);
    let mut left: Vec<PathBuf> = entries(&root).collect();
    let kept = [
        trash.clone(),
        root.join(dhenara::run::layout::CATALOG_LOCK),
        root.join(".gitignore"),
    ];
    left.retain(|path| !kept.contains(path));
    left.sort();
    let mut wanted = runs.to_vec();
    wanted.sort();
    assert_eq!(left, wanted, "{at}: something is left beside the runs");
    assert_eq!(entries(&trash).count(), 0, "{at}");
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let found = std::fs::read_dir(dir).into_iter().flatten();
    found.map(|entry| entry.unwrap().path())
}

/// A copy of a project with its runs, as if they had been made there: otherwise they are those of another directory.
pub(crate) fn copy_all(source: &Path, target: &Path) {
    copy_tree(source, target);
    record_as_driven_in(source, target);
}

/// Has the runs of a project that was copied from `source` say that they were driven where they are now.
#[expect(
    clippy::disallowed_methods,
    reason = "what a test begins with, not a part of a run"
)]
pub(crate) fn record_as_driven_in(source: &Path, target: &Path) {
    let (from, to) = (source.to_str().unwrap(), target.to_str().unwrap());
    for run in std::fs::read_dir(target.join("runs")).into_iter().flatten() {
        let journal = run.unwrap().path().join(".run/journal.jsonl");
        if let Ok(text) = std::fs::read_to_string(&journal) {
            std::fs::write(&journal, resealed(&text.replace(from, to))).unwrap();
        }
    }
}

/// A journal with new sums, if its format has any. What a crash left of its last line stays.
fn resealed(text: &str) -> String {
    if !text.starts_with("{") || !text.contains(r#""schema_version":2"#) {
        return text.to_owned();
    }
    let (whole, tail) = text.rsplit_once('\n').unwrap_or(("", text));
    let records: Vec<Value> = whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    dad_tests::seal(&records) + tail
}

/// Copies a directory with everything in it.
#[expect(
    clippy::disallowed_methods,
    reason = "what a test begins with, not a part of a run"
)]
pub(crate) fn copy_tree(source: &Path, target: &Path) {
    std::fs::create_dir_all(target).unwrap();
    for entry in std::fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let to = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
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
    tell(&format!("crashes: prune has {} operations", whole.operations));
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

/// Flips a bit in the end of a step of the only run.
fn damage(env: &TestEnvironment, step: &str) {
    let run = find_run_dirs(&env.project()).pop().unwrap();
    let journal = run.join(".run/journal.jsonl");
    let mut bytes = std::fs::read(&journal).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let end = format!("\"type\":\"step_committed\",\"path\":\"scenario.{step}\"");
    let at = text.find(&end).unwrap_or_else(|| panic!("{step} has not ended"));
    bytes[at + 3] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
}

/// At every moment of a repair the run is either damaged as before, or repaired as a whole.
#[test]
fn a_repair_survives_every_operation() {
    let prepared = TestEnvironment::new();
    // Behind the loops.
    assert_eq!(call(&prepared, "run", 90, "die").code, Some(86));
    damage(&prepared, "rounds.iter_0.ask");
    prepared.is_checked();
    let paid_before = exchanges(&prepared);
    let copy = || {
        let env = TestEnvironment::new();
        copy_tree(&prepared.project(), &env.project());
        env.is_checked();
        let run = find_run_dirs(&env.project()).pop().unwrap();
        (env, run)
    };
    let finish = |env: &TestEnvironment, at: &str| {
        let resumed = call(env, "resume", u64::MAX, "none");
        assert_eq!(resumed.code, Some(0), "{at}: {}", resumed.stderr);
        (outcomes(&check(env, at, true).pop().unwrap()), exchanges(env))
    };
    let (env, _) = copy();
    let whole = call(&env, "repair", u64::MAX, "none");
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let (wanted, paid) = finish(&env, "undisturbed");
    // The step whose end is damaged is paid for again, and those that had not ended.
    assert!(paid > paid_before);
    tell(&format!("crashes: repair has {} operations", whole.operations));
    assert!(whole.operations >= 20, "only {} operations", whole.operations);
    for how in ["die", "io", "full"] {
        for operation in 0..whole.operations {
            let at = format!("repair, {how} at {operation}");
            let (env, run) = copy();
            let damaged = Repair::find(&run).unwrap().unwrap();
            let disturbed = call(&env, "repair", operation, how);
            if how == "die" {
                assert_eq!(disturbed.code, Some(86), "{at}: {}", disturbed.stderr);
            }
            match Repair::find(&run).unwrap() {
                Some(still) => {
                    assert_ne!(disturbed.code, Some(0), "{at}");
                    assert_eq!((still.line, still.kept), (damaged.line, damaged.kept), "{at}");
                    let again = call(&env, "repair", u64::MAX, "none");
                    assert_eq!(again.code, Some(0), "{at}: {}", again.stderr);
                }
                None => assert_eq!(records(&run, "repaired").len(), 1, "{at}"),
            }
            assert_eq!(finish(&env, &at), (wanted.clone(), paid), "{at}");
        }
    }
}

/// The memo of the only attempt that was interrupted.
fn interrupted_memo(env: &TestEnvironment) -> Option<PathBuf> {
    let run = find_run_dirs(&env.project()).pop()?;
    let mut memos = entries(&run.join(".run/stage")).map(|stage| stage.join("memo.jsonl"));
    memos.find(|memo| memo.is_file())
}

#[test]
fn a_resume_answers_from_no_memo_that_was_changed() {
    let interrupted = || {
        let env = TestEnvironment::new();
        // Where the first of two exchanges of a step is written down, and the second is not.
        let operation = (0..60).find(|operation| {
            let env = TestEnvironment::new();
            env.is_checked();
            call(&env, "run", *operation, "die");
            let memo = interrupted_memo(&env).map(|memo| std::fs::read_to_string(memo).unwrap());
            memo.is_some_and(|memo| memo.lines().count() == 1 && exchanges(&env) == 2)
        });
        assert_eq!(call(&env, "run", operation.unwrap(), "die").code, Some(86));
        env
    };
    let finish = |env: &TestEnvironment| {
        let resumed = call(env, "resume", u64::MAX, "none");
        assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
        let run = check(env, "resumed", true).pop().unwrap();
        (outcomes(&run), exchanges(env))
    };
    let (wanted, paid) = finish(&interrupted());

    let env = interrupted();
    let memo = interrupted_memo(&env).unwrap();
    let text = std::fs::read_to_string(&memo).unwrap();
    let changed = text.replacen("\"response\":1", "\"response\":7", 1);
    assert_ne!(changed, text);
    std::fs::write(&memo, changed).unwrap();
    assert_eq!(
        finish(&env),
        (wanted.clone(), paid + 1),
        "the exchange is made again"
    );

    // Nor from one without a code.
    let env = interrupted();
    let memo = interrupted_memo(&env).unwrap();
    let text = std::fs::read_to_string(&memo).unwrap();
    let mut line: Value = serde_json::from_str(&text).unwrap();
    line.as_object_mut().unwrap().shift_remove("mac").unwrap();
    line["response"] = 7.into();
    std::fs::write(&memo, format!("{line}\n")).unwrap();
    assert_eq!(finish(&env), (wanted, paid + 1));
}
