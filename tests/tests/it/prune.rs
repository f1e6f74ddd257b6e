//! `dhenara runs rm` and `dhenara runs prune`: which runs go, and what happens to the others.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::harness::{TestEnvironment, edit_journal, journal};

const FLOW: &str = r#"schema_version: 1
kind: flow
variables: { code: "0" }
elements:
  - { node: say, type: command, settings: { commands: [[echo, something]] } }
  - { node: ends, type: command, settings: { commands: [["sh", "-c", "exit $1", "sh", "$expr{code}"]] } }
  - { node: after, type: command, settings: { commands: [["sh", "-c", "test ! -e $1/closed", "sh", "$var{project_root}"]] } }
"#;

/// A project with so many completed runs.
fn environment(runs: usize) -> (TestEnvironment, Vec<String>) {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    for _ in 0..runs {
        let _ = env.run(&["run", "flow", "flow.yaml"]).expect(0);
    }
    let ids = ids(&env);
    (env, ids)
}

fn id(run: &Path) -> String {
    run.file_name().unwrap().to_str().unwrap().to_owned()
}

fn ids(env: &TestEnvironment) -> Vec<String> {
    env.runs().iter().map(|run| id(run)).collect()
}

/// The runs that are listed, oldest first.
fn listed(env: &TestEnvironment) -> Vec<String> {
    let list = env
        .run(&["runs", "list", "--json"])
        .expect(0)
        .json("cli_runs_list");
    let runs = list["runs"].as_array().unwrap().iter();
    runs.map(|run| run["run_id"].as_str().unwrap().to_owned())
        .collect()
}

fn runs_root(env: &TestEnvironment) -> PathBuf {
    env.project().join("runs")
}

fn trash(env: &TestEnvironment) -> Vec<String> {
    let entries = std::fs::read_dir(runs_root(env).join(".trash")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Makes a run one that waits, as a question without an answer leaves it.
fn let_it_wait(run: &Path) {
    edit_journal(run, |record| {
        if record["type"] == "run_sealed" {
            record["status"] = "waiting".into();
        }
    });
}

fn ids_in(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|run| run["run_id"].as_str().unwrap())
        .collect()
}

#[test]
fn the_newest_are_kept() {
    let (env, ids) = environment(3);
    let dry = env
        .unchanged(&["runs", "prune", "--keep-last", "2", "--dry-run", "--json"])
        .expect(0)
        .json("cli_runs_prune");
    let done = env
        .run(&["runs", "prune", "--keep-last", "2", "--json"])
        .expect(0)
        .json("cli_runs_prune");
    for key in ["removed", "kept", "leftovers", "bytes_freed", "unreadable"] {
        assert_eq!(dry[key], done[key], "{key}");
    }
    assert_eq!((&dry["dry_run"], &done["dry_run"]), (&json!(true), &json!(false)));
    assert_eq!(ids_in(&done["removed"]), ids[..1]);
    assert_eq!(done["kept"][0]["reasons"], json!(["last"]));
    assert!(done["bytes_freed"].as_u64().unwrap() > 1000);
    assert_eq!(listed(&env), ids[1..]);
    assert_eq!(trash(&env), [""; 0]);
    for run in &ids[1..] {
        let _ = env.run(&["runs", "verify", run]).expect(0);
    }
}

#[test]
fn what_is_kept_is_shown_with_its_reasons() {
    let (env, _) = environment(2);
    let _ = env
        .run(&["run", "flow", "flow.yaml", "--var", "code=3"])
        .expect(1);
    let shown = |args: &[&str]| {
        let output = env
            .run(&[&["runs", "prune"], args].concat())
            .expect(0)
            .to_string();
        // Sizes differ with the lengths of paths and times.
        let words = output.lines().map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let is_size = |index: usize| matches!(words.get(index + 1), Some(&("KB" | "KB,")));
            let shown = words
                .iter()
                .enumerate()
                .map(|(i, word)| if is_size(i) { "[size]" } else { word });
            shown.collect::<Vec<_>>().join(" ")
        });
        words.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(shown(&["--keep-last", "1", "--max-size", "1B", "--dry-run"]), @"
    remove run_00000000_000000_000001 completed [size] KB
    remove run_00000000_000000_000002 completed [size] KB
    keep run_00000000_000000_000003 failed [size] KB the newest
    2 runs would be removed, [size] KB freed, 1 run kept
    ---- exit code 0
    ");
    insta::assert_snapshot!(shown(&["--keep-last", "1", "--keep-days", "7", "--max-size", "1GB", "--dry-run"]), @"
    keep run_00000000_000000_000001 completed [size] KB used in the last 7 days; within the newest 1.0 GB
    keep run_00000000_000000_000002 completed [size] KB used in the last 7 days; within the newest 1.0 GB
    keep run_00000000_000000_000003 failed [size] KB the newest; used in the last 7 days; within the newest 1.0 GB
    nothing to remove, 3 runs kept
    ---- exit code 0
    ");
    insta::assert_snapshot!(shown(&["--keep-last", "2"]), @"
    removed run_00000000_000000_000001 completed [size] KB
    1 run removed, [size] KB freed, 2 runs kept
    ---- exit code 0
    ");
    insta::assert_snapshot!(shown(&["--keep-last", "2"]), @"
    nothing to remove, 2 runs kept
    ---- exit code 0
    ");
}

#[test]
fn without_a_rule_or_with_a_wrong_one_nothing_happens() {
    let (env, _) = environment(1);
    insta::assert_snapshot!(env.refused(&["runs", "prune"]), @"
    ---- stderr
    error[no_rule]: no rule says which runs to keep
      hint: give `--keep-last N`, `--keep-days D` or `--max-size SIZE`
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.refused(&["runs", "prune", "--max-size", "500"]), @"
    ---- stderr
    error: invalid value '500' for '--max-size <SIZE>': `500` is not a size; write a number with a unit: 500MB, 1.5GB, 200KiB

    For more information, try '--help'.
    ---- exit code 2
    ");
    let output = env.unchanged(&["runs", "prune", "--json"]).expect(2);
    assert_eq!(output.json("cli_error")["error"]["code"], "no_rule");
}

#[test]
fn age_and_size_keep_runs() {
    let (env, ids) = environment(3);
    // The oldest was used ten days ago, the next will be used tomorrow.
    let runs = env.runs();
    let day = 24 * 60 * 60;
    for (run, seconds) in [(&runs[0], -10 * day), (&runs[1], day), (&runs[2], -10 * day)] {
        let at = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap() + seconds;
        let at = dhenara::types::Timestamp::from_second(at).unwrap().to_string();
        edit_journal(run, |record| {
            // A clock that was put back dated the end of the third before its beginning: the later date counts.
            if run == &runs[0] || record["type"] != "run_created" {
                record["at"] = at.clone().into();
            }
        });
    }
    let plan = |args: &[&str]| {
        let args = [&["runs", "prune", "--dry-run", "--json"], args].concat();
        env.run(&args).expect(0).json("cli_runs_prune")
    };
    let removed = |args: &[&str]| {
        ids_in(&plan(args)["removed"])
            .iter()
            .map(|id| (*id).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(removed(&["--keep-days", "9"]), ids[..1]);
    assert_eq!(removed(&["--keep-days", "11"]), [""; 0]);
    // A clock that was set back is no reason to lose a run.
    assert_eq!(removed(&["--keep-days", "0"]), [ids[0].clone(), ids[2].clone()]);
    let sizes: Vec<u64> = plan(&["--keep-last", "3"])["kept"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["bytes"].as_u64().unwrap())
        .collect();
    let two = format!("{}B", sizes[1] + sizes[2]);
    assert_eq!(removed(&["--max-size", &two]), ids[..1]);
    let less = format!("{}B", sizes[1] + sizes[2] - 1);
    assert_eq!(removed(&["--max-size", &less]), ids[..2]);
    // Any rule keeps.
    assert_eq!(removed(&["--max-size", &less, "--keep-days", "11"]), [""; 0]);
}

#[test]
fn runs_that_wait_and_runs_of_others_are_kept() {
    let (env, ids) = environment(2);
    let_it_wait(&env.runs()[0]);
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/original/a_autocoder");
    env.copy_dir(&original, &runs_root(&env));
    std::fs::create_dir_all(runs_root(&env).join("global_data/project")).unwrap();
    std::fs::create_dir_all(runs_root(&env).join("agent_autocoder")).unwrap();
    let plan = env
        .run(&["runs", "prune", "--keep-last", "0", "--json"])
        .expect(0)
        .json("cli_runs_prune");
    assert_eq!(ids_in(&plan["removed"]), ids[1..]);
    let reasons: Vec<&Value> = plan["kept"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["reasons"])
        .collect();
    assert!(reasons.contains(&&json!(["waiting"])), "{plan}");
    let originals: Vec<&str> = ids_in(&plan["kept"])
        .into_iter()
        .filter(|id| *id != ids[0])
        .collect();
    assert!(!originals.is_empty());
    assert!(runs_root(&env).join("global_data/project").is_dir());
    assert!(runs_root(&env).join("agent_autocoder").is_dir());

    insta::assert_snapshot!(env.refused_removal(&["runs", "rm", &ids[0]]), @"
    ---- stderr
    error[run_waiting]: `run_00000000_000000_000001` is not removed: it waits for an answer
      hint: `--force` removes it anyway
    ---- exit code 4
    ");
    let _ = env.run(&["runs", "rm", &ids[0], "--force"]).expect(0);
    for original in originals {
        let _ = env.run(&["runs", "rm", original]).expect(0);
    }
    assert_eq!(listed(&env), [""; 0]);
}

#[test]
fn a_run_that_is_driven_is_not_pruned() {
    let (env, ids) = environment(1);
    let wait = FLOW.replace("exit $1", "while test ! -e open; do sleep 0.02; done");
    env.write(
        "wait.yaml",
        &wait.replace(
            "command, settings: { commands: [[\"sh\"",
            "command, settings: { working_dir: \"$var{project_root}\", commands: [[\"sh\"",
        ),
    );
    let child = env.start(&["run", "flow", "wait.yaml"]);
    while env.runs().len() < 2 || journal(&env.last_run()).len() < 6 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let running = id(&env.last_run());
    let plan = env
        .run(&["runs", "prune", "--keep-last", "0", "--json"])
        .expect(0)
        .json("cli_runs_prune");
    assert_eq!(ids_in(&plan["removed"]), ids);
    assert_eq!(plan["kept"][0]["reasons"], json!(["running"]));
    let refused = env.refused_removal(&["runs", "rm", "last", "--force"]);
    assert!(
        refused.stderr.contains(&format!("by process {}", child.id())),
        "{refused}"
    );
    assert!(refused.stderr.contains(&running), "{refused}");
    env.write("open", "");
    let _ = env.finish(child).expect(0);
    let _ = env.run(&["runs", "verify", &running]).expect(0);
}

/// A run whose lease is taken after the decision, as by a process that resumes it at that moment.
#[test]
fn a_run_that_is_resumed_meanwhile_is_kept() {
    let (env, ids) = environment(2);
    let catalog = dhenara::run::Dirs::new(&env.project(), None, None)
        .unwrap()
        .catalog();
    let policy = dhenara::run::RetentionPolicy::default().keep_last(0);
    let plan = dhenara::run::plan_prune(
        catalog.inventory().unwrap(),
        &policy,
        dhenara::types::Timestamp::now(),
    );
    assert_eq!(plan.removed().count(), 2);
    let lease = std::fs::File::open(env.runs()[0].join(".run/lease")).unwrap();
    lease.lock().unwrap();
    let report = catalog.prune(&plan).unwrap();
    let in_use: Vec<String> = report.in_use.iter().map(ToString::to_string).collect();
    assert_eq!(in_use, ids[..1]);
    drop(lease);
    // And one that was used and let go since. Where another test begins a process just now, that holds the lease until it
    // executes its program.
    let deadline = Instant::now() + Duration::from_secs(60);
    let plan = loop {
        let plan = dhenara::run::plan_prune(
            catalog.inventory().unwrap(),
            &policy,
            dhenara::types::Timestamp::now(),
        );
        if plan.removed().count() == 1 || Instant::now() > deadline {
            break plan;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    edit_journal(&env.runs()[0], |record| {
        record["at"] = "2030-01-01T00:00:00Z".into();
    });
    let report = catalog.prune(&plan).unwrap();
    assert_eq!((report.in_use.len(), report.removed.len()), (1, 0));
    assert_eq!(listed(&env), ids[..1]);
}

#[test]
fn what_crashes_left_is_removed() {
    let (env, ids) = environment(1);
    let root = runs_root(&env);
    let old = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
    let make = |name: &str, is_old: bool| {
        let dot_run = root.join(name).join(".run");
        std::fs::create_dir_all(&dot_run).unwrap();
        std::fs::write(dot_run.join("journal.jsonl"), "{\"seq\":1").unwrap();
        for dir in [dot_run, root.join(name)].iter().filter(|_| is_old) {
            std::fs::File::open(dir).unwrap().set_modified(old).unwrap();
        }
    };
    make("run_20251123_141516_000001", true);
    make("run_20251123_141516_000002", false);
    make("mine", true);
    // Not a run that never came to be, but a directory of the user.
    std::fs::write(root.join("mine/notes.txt"), "mine").unwrap();
    std::fs::create_dir(root.join("run_20251123_141516_000003")).unwrap();
    std::fs::File::open(root.join("run_20251123_141516_000003"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    std::fs::create_dir_all(root.join(".trash/run_20251123_141516_000004/.run/stage")).unwrap();
    std::fs::write(
        root.join(".trash/run_20251123_141516_000004/.run/journal.jsonl"),
        "{}\n",
    )
    .unwrap();
    assert_eq!(listed(&env), ids, "no reader looks into the trash");
    let _ = env.run(&["runs", "show", "run_20251123_141516_000004"]).expect(2);

    let prune = ["runs", "prune", "--keep-last", "9", "--json"];
    let dry = env
        .unchanged(&[&prune[..], &["--dry-run"]].concat())
        .expect(0)
        .json("cli_runs_prune");
    let done = env.run(&prune).expect(0).json("cli_runs_prune");
    assert_eq!(dry["leftovers"], done["leftovers"]);
    let names: Vec<String> = done["leftovers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| id(Path::new(it["path"].as_str().unwrap())))
        .collect();
    assert_eq!(
        names,
        [1, 3, 4].map(|number| format!("run_20251123_141516_{number:06}"))
    );
    assert!(
        root.join("run_20251123_141516_000002/.run").is_dir(),
        "a process may be making it"
    );
    assert!(root.join("mine/notes.txt").is_file());
    assert_eq!(trash(&env), [""; 0]);
    assert_eq!(
        env.run(&prune).expect(0).json("cli_runs_prune")["leftovers"],
        json!([])
    );
    std::fs::remove_dir_all(root.join("mine")).unwrap();
    env.is_checked();
}

#[test]
fn a_damaged_run_is_removed_only_by_name() {
    let (env, ids) = environment(2);
    let journal = env.runs()[0].join(".run/journal.jsonl");
    std::fs::write(&journal, "no record\n").unwrap();
    let output = env.run(&["runs", "prune", "--keep-last", "0"]).expect(0);
    insta::assert_snapshot!(env.shown(&output.stderr), @"
    not removed: `[root]/project/runs/run_00000000_000000_000001/.run/journal.jsonl` is damaged at line 1: `true`, `false` or `null` is expected at line 1 column 2
      hint: `dhenara runs rm run_00000000_000000_000001` removes it anyway
    ");
    assert!(journal.is_file());
    let removed = env
        .run(&["runs", "rm", &ids[0], "--json"])
        .expect(0)
        .json("cli_runs_rm");
    assert_eq!(removed["removed"][0]["status"], "unknown");
    assert!(!journal.exists());
    assert_eq!(env.runs().iter().filter(|run| run.exists()).count(), 0);
}

#[test]
fn several_runs_are_removed_or_none() {
    let (env, ids) = environment(3);
    insta::assert_snapshot!(env.refused_removal(&["runs", "rm", "last", "xyz"]), @"
    ---- stderr
    error[unknown_run]: there is no run `xyz`
      hint: `dhenara runs list` shows the runs there are
    ---- exit code 2
    ");
    let dry = env
        .unchanged(&["runs", "rm", "last", &ids[0], "--dry-run", "--json"])
        .expect(0);
    // The same run by two names is one.
    let done = env
        .run(&["runs", "rm", "last", &ids[0], "last~0", "--json"])
        .expect(0);
    let (dry, done) = (dry.json("cli_runs_rm"), done.json("cli_runs_rm"));
    assert_eq!(dry["removed"], done["removed"]);
    assert_eq!(ids_in(&done["removed"]), [ids[2].as_str(), ids[0].as_str()]);
    assert_eq!(listed(&env), ids[1..2]);
}

#[test]
fn a_rerun_lives_on_without_its_parent() {
    let (env, ids) = environment(1);
    let rerun = [
        "run",
        "flow",
        "flow.yaml",
        "--previous-run-id",
        "last",
        "--entry-point",
    ];
    env.write("closed", "");
    let _ = env.run(&[&rerun[..], &["after"]].concat()).expect(1);
    let child = id(&env.last_run());
    let _ = env.run(&["runs", "rm", &ids[0]]).expect(0);
    let _ = env.run(&["runs", "verify", &child]).expect(0);
    // It took everything it wanted.
    std::fs::remove_file(env.project().join("closed")).unwrap();
    let _ = env.run(&["resume", &child]).expect(0);
    let _ = env.run(&["runs", "verify", &child]).expect(0);
}

/// A re-run that died before it took everything it wanted, and its directory.
fn unfinished_rerun(env: &TestEnvironment) -> PathBuf {
    let rerun = ["--previous-run-id", "last", "--entry-point", "after"];
    let _ = env
        .run(&[&["run", "flow", "flow.yaml"][..], &rerun].concat())
        .expect(0);
    let child = env.last_run();
    let records = journal(&child);
    let until = records
        .iter()
        .position(|record| record["path"] == "flow_root.ends")
        .unwrap();
    let text: String = records[..until]
        .iter()
        .map(|record| format!("{record}\n"))
        .collect();
    std::fs::write(child.join(".run/journal.jsonl"), text).unwrap();
    for step in ["ends", "after"] {
        std::fs::remove_dir_all(child.join("flow_root").join(step)).unwrap();
    }
    child
}

#[test]
fn what_an_unfinished_rerun_needs_is_kept() {
    let (env, ids) = environment(2);
    let child = id(&unfinished_rerun(&env));
    insta::assert_snapshot!(env.unchanged(&["runs", "rm", "last~1"]).expect(4), @"
    ---- stderr
    error[run_needed]: `run_00000000_000000_000002` is not removed: `rerun_00000000_000000_000003` did not complete and may still take results from it
      hint: resume that one by `dhenara resume rerun_00000000_000000_000003`, or remove it as well; `--force` removes this one anyway
    ---- exit code 4
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "prune", "--keep-last", "1", "--dry-run"]).expect(0), @"
    remove  run_00000000_000000_000001    completed    [size]
    keep    run_00000000_000000_000002    completed    [size]  a re-run that is kept may still take results from it
    keep    rerun_00000000_000000_000003  interrupted  [size]  the newest
    1 run would be removed, [size] freed, 2 runs kept
    ---- exit code 0
    ");
    let pruned = env
        .run(&["runs", "prune", "--keep-last", "1", "--json"])
        .expect(0)
        .json("cli_runs_prune");
    assert_eq!(ids_in(&pruned["removed"]), [&*ids[0]]);
    assert_eq!(pruned["kept"][0]["reasons"], json!(["needed"]));
    let _ = env.run(&["resume", "last"]).expect(0);
    // What is needed no longer, or goes with what needs it, is removed.
    let _ = env.run(&["runs", "rm", &ids[1]]).expect(0);
    let other = id(&unfinished_rerun(&env));
    let _ = env.run(&["runs", "rm", &child, &other]).expect(0);
    assert!(listed(&env).is_empty());
}

#[test]
fn what_a_rerun_needs_is_removed_by_force() {
    let (env, ids) = environment(1);
    drop(unfinished_rerun(&env));
    let _ = env.run(&["runs", "rm", &ids[0], "--force"]).expect(0);
    let _ = env.run(&["resume", "last"]).expect(2);
}

#[test]
fn prunes_at_once_do_not_disturb_each_other() {
    let (env, _) = environment(9);
    let rounds: Vec<_> = (0..4)
        .map(|_| env.start(&["runs", "prune", "--keep-last", "1", "--json"]))
        .collect();
    let reports = rounds
        .into_iter()
        .map(|child| env.finish(child).expect(0).json("cli_runs_prune"));
    let (mut removed, mut leftovers) = (0, 0);
    for report in reports {
        removed += report["removed"].as_array().unwrap().len();
        leftovers += report["leftovers"].as_array().unwrap().len();
        assert_eq!(report["failures"], json!([]));
    }
    assert_eq!((removed, leftovers), (8, 0));
    assert_eq!(listed(&env).len(), 1);
}

#[test]
fn a_rerun_that_still_needs_its_parent_says_so() {
    let (env, ids) = environment(1);
    drop(unfinished_rerun(&env));
    let parent = env.project().join("runs").join(&ids[0]);
    let aside = env.path("tmp/aside");
    std::fs::rename(&parent, &aside).unwrap();
    insta::assert_snapshot!(env.unchanged(&["resume", "last"]).expect(2), @"
    ---- stderr
    error[parent_gone]: `rerun_00000000_000000_000002` still takes results from `run_00000000_000000_000001`, which is not there any more
      hint: bring the run back to where it was, or start from the beginning
    ---- exit code 2
    ");
    std::fs::rename(&aside, &parent).unwrap();
    let _ = env.run(&["resume", "last"]).expect(0);
}
