//! Which runs a prune removes: as a rule over what there is, and as what happens to directories.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use dad_core::{ElementId, RunId, RunStatus, Timestamp};
use dad_run::{Catalog, Inventory, KeepReason, RetentionPolicy, RunEntry, StoredRun, Totals, plan_prune};
use proptest::prelude::*;
use serde_json::json;

const DAY: i64 = 24 * 60 * 60;

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// The facts that decide over a run.
#[derive(Clone, Debug)]
struct Case {
    status: RunStatus,
    held: bool,
    is_original: bool,
    /// Before now; negative is after it.
    made_ago: i64,
    used_ago: i64,
    bytes: u64,
    /// The number of the run that it may still take results from.
    needs: Option<usize>,
}

fn case() -> impl Strategy<Value = Case> {
    let status = prop_oneof![
        3 => Just(RunStatus::Completed),
        2 => Just(RunStatus::Failed),
        1 => Just(RunStatus::Interrupted),
        1 => Just(RunStatus::Running),
        1 => Just(RunStatus::Waiting),
        1 => Just(RunStatus::Initialized),
    ];
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    let ago = || -2 * DAY..20 * DAY;
    let needs = prop::option::weighted(0.2, 0_usize..12);
    (status, flags, ago(), ago(), 0_u64..1000, needs).prop_map(
        |(status, (held, is_original), made_ago, used_ago, bytes, needs)| Case {
            status,
            held,
            is_original,
            made_ago,
            used_ago,
            bytes,
            needs,
        },
    )
}

fn policy() -> impl Strategy<Value = RetentionPolicy> {
    let keep_last = prop::option::of(0_usize..6);
    let keep_days = prop::option::of(0_u64..20);
    let max_size = prop::option::of(0_u64..3000);
    (keep_last, keep_days, max_size).prop_map(|(keep_last, days, max_size)| {
        RetentionPolicy::default()
            .keep_last(keep_last)
            .keep_age(days.map(|days| Duration::from_hours(24 * days)))
            .max_size(max_size)
    })
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() - seconds).unwrap()
}

/// The inventory of a catalogue for cases, the oldest first.
fn inventory(cases: &[Case]) -> Inventory {
    let mut runs: Vec<StoredRun> = cases
        .iter()
        .enumerate()
        .map(|(number, case)| {
            let name = format!("run_{number}");
            let dir = Path::new("runs").join(&name);
            let entry = RunEntry::new(name.parse().unwrap(), dir, case.status)
                .root_id("flow".parse::<ElementId>().unwrap())
                .is_original(case.is_original)
                .created_at(ago(case.made_ago))
                .last_record_at(ago(case.used_ago))
                .totals(Totals::default());
            let needs: Option<RunId> = case.needs.map(|other| format!("run_{other}").parse().unwrap());
            StoredRun::new(entry, case.bytes).held(case.held).needs(needs)
        })
        .collect();
    runs.sort_by_key(|run| (run.entry.created_at, run.entry.run_id.clone()));
    let mut inventory = Inventory::default();
    inventory.runs = runs;
    inventory
}

/// The rules as one would say them, each over the whole list.
fn is_kept(run: &StoredRun, all: &[StoredRun], policy: &RetentionPolicy) -> bool {
    let mut kept: Vec<bool> = all
        .iter()
        .map(|run| is_kept_for_itself(run, all, policy))
        .collect();
    // What a run needs may need others.
    for _ in all {
        for (needed, run) in all.iter().enumerate() {
            let id = Some(&run.entry.run_id);
            kept[needed] |= (0..all.len()).any(|other| kept[other] && all[other].needs.as_ref() == id);
        }
    }
    all.iter()
        .position(|other| other.entry.run_id == run.entry.run_id)
        .is_some_and(|place| kept[place])
}

fn is_kept_for_itself(run: &StoredRun, all: &[StoredRun], policy: &RetentionPolicy) -> bool {
    let ours: Vec<&StoredRun> = all.iter().filter(|run| !run.entry.is_original).collect();
    let Some(place) = ours
        .iter()
        .position(|other| other.entry.run_id == run.entry.run_id)
    else {
        return true;
    };
    let from_here = &ours[place..];
    let last = policy.keep_last.is_some_and(|last| from_here.len() <= last);
    let used_at = run.entry.last_record_at.max(run.entry.created_at);
    let used_ago = now().as_second() - used_at.unwrap().as_second();
    let young = policy
        .keep_age
        .is_some_and(|age| used_ago < 0 || used_ago.unsigned_abs() < age.as_secs());
    let small = policy
        .max_size
        .is_some_and(|most| from_here.iter().map(|run| run.bytes).sum::<u64>() <= most);
    let in_use = run.held || matches!(run.entry.status, RunStatus::Running | RunStatus::Waiting);
    in_use || last || young || small
}

proptest! {
    #[test]
    fn a_run_is_kept_if_any_rule_keeps_it(cases in prop::collection::vec(case(), 0..12), policy in policy()) {
        let found = inventory(&cases);
        let plan = plan_prune(found.clone(), &policy, now());
        let order = |runs: &[&StoredRun]| runs.iter().map(|run| run.entry.run_id.clone()).collect::<Vec<_>>();
        prop_assert_eq!(
            order(&plan.runs.iter().map(|planned| &planned.run).collect::<Vec<_>>()),
            order(&found.runs.iter().collect::<Vec<_>>())
        );
        for planned in &plan.runs {
            prop_assert_eq!(!planned.kept.is_empty(), is_kept(&planned.run, &found.runs, &policy), "{:?}", planned);
        }
        for removed in plan.removed() {
            prop_assert!(!removed.held && !removed.entry.is_original);
            prop_assert!(!matches!(removed.entry.status, RunStatus::Running | RunStatus::Waiting));
        }
    }

    #[test]
    fn another_rule_never_removes_more(cases in prop::collection::vec(case(), 0..12), policy in policy()) {
        let removed = |policy: &RetentionPolicy| -> BTreeSet<_> {
            let plan = plan_prune(inventory(&cases), policy, now());
            plan.removed().map(|run| run.entry.run_id.clone()).collect()
        };
        let all = removed(&policy);
        for less in [
            policy,
            policy,
            policy,
        ] {
            prop_assert!(all.is_subset(&removed(&less)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The removals that a plan shows are those it does, with real directories: all others are untouched.
    #[test]
    fn what_was_planned_is_done(cases in prop::collection::vec(case(), 0..8), policy in policy()) {
        let root = dad_tests::TestProject::new();
        let mut leases = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            leases.extend(make_run(root.path(), number, case));
        }
        let catalog = Catalog::new(root.path(), root.path());
        let plan = plan_prune(catalog.inventory().unwrap(), &policy, now());
        let again = plan_prune(catalog.inventory().unwrap(), &policy, now());
        let ids = |runs: Vec<&StoredRun>| runs.iter().map(|run| run.entry.run_id.clone()).collect::<BTreeSet<_>>();
        let planned = ids(plan.removed().collect());
        prop_assert_eq!(&planned, &ids(again.removed().collect()));
        let before = ids(plan.runs.iter().map(|planned| &planned.run).collect());
        prop_assert_eq!(before.len(), cases.len());

        let report = catalog.prune(&plan).unwrap();
        prop_assert!(report.failures.is_empty() && report.in_use.is_empty(), "{:?}", report);
        prop_assert_eq!(&planned, &ids(report.removed.iter().collect()));
        let left: BTreeSet<_> = catalog.list().unwrap().into_iter().map(|run| run.run_id).collect();
        prop_assert_eq!(&left, &before.difference(&planned).cloned().collect());
        for run in left {
            prop_assert!(root.path().join(run.as_str()).join(".run/stuff").is_file());
        }
        // The directories are no complete runs, and their check is not what this is about.
        for run in catalog.list().unwrap() {
            std::fs::remove_dir_all(run.dir).unwrap();
        }
    }
}

/// A directory with as much of a run as a prune reads; of one that is driven its lease, which is held.
fn make_run(root: &Path, number: usize, case: &Case) -> Option<std::fs::File> {
    let id = format!("run_{number}");
    let dot_run = root.join(&id).join(".run");
    std::fs::create_dir_all(&dot_run).unwrap();
    std::fs::write(
        dot_run.join("stuff"),
        vec![0; usize::try_from(case.bytes).unwrap()],
    )
    .unwrap();
    let created = json!({
        "seq": 1, "at": ago(case.made_ago), "type": "run_created", "schema_version": 1, "run_id": id,
        "root_id": "flow", "definition_digest": "0".repeat(64),
    });
    let last = match case.status {
        RunStatus::Running | RunStatus::Interrupted | RunStatus::Initialized => {
            json!({ "type": "custom", "name": "x", "payload": { "value": 1 } })
        }
        status => json!({ "type": "run_sealed", "status": status, "totals": Totals::default() }),
    };
    let mut last = last;
    last["seq"] = 2.into();
    last["at"] = json!(ago(case.used_ago));
    std::fs::write(dot_run.join("journal.jsonl"), format!("{created}\n{last}\n")).unwrap();
    let lease = std::fs::File::create(dot_run.join("lease")).unwrap();
    let is_held = case.held || case.status == RunStatus::Running;
    is_held.then(|| {
        lease.lock().unwrap();
        lease
    })
}

#[test]
fn a_run_that_is_used_is_kept_for_that_reason_too() {
    let used = Case {
        status: RunStatus::Waiting,
        held: true,
        is_original: false,
        made_ago: DAY,
        used_ago: -DAY,
        bytes: 10,
        needs: None,
    };
    let all = RetentionPolicy::default()
        .keep_last(1)
        .keep_age(Duration::ZERO)
        .max_size(10);
    let plan = plan_prune(inventory(std::slice::from_ref(&used)), &all, now());
    let every = [
        KeepReason::Running,
        KeepReason::Waiting,
        KeepReason::Last,
        KeepReason::Age,
        KeepReason::Size,
    ];
    assert_eq!(plan.runs[0].kept, every);
    let original = Case {
        is_original: true,
        ..used
    };
    let plan = plan_prune(inventory(&[original]), &all, now());
    assert_eq!(plan.runs[0].kept, [KeepReason::Original]);
}
