//! A clock that goes backwards: what is written is never wrong for it, only its times are.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use dad_core::{RunStatus, Timestamp};
use dad_run::{Clock, KeepReason, RetentionPolicy, RunEnd, RunView, plan_prune};
use dad_tests::TestProject;

use crate::{catalog, commit_one, context, flow};

/// Each time it is asked it is an hour earlier.
struct Backwards(AtomicI64);

impl Clock for Backwards {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.fetch_sub(3600, Ordering::SeqCst)).unwrap()
    }
}

#[tokio::test]
async fn a_clock_that_goes_backwards_harms_nothing() {
    let project = TestProject::new();
    let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let clock = Arc::new(Backwards(AtomicI64::new(begin.as_second())));
    let with_clock = || {
        let clock: Arc<dyn Clock> = clock.clone();
        context(project.path()).clock(clock).build().unwrap()
    };
    let first = with_clock().setup_run(&flow()).unwrap();
    let dir = first.identity().run_dir.clone();
    commit_one(&first);
    first.complete_run(RunEnd::Failed, None).await.unwrap();
    let view = RunView::open(&dir).unwrap();
    assert_eq!(view.created_at, begin);
    assert!(view.last_record_at < view.created_at);
    assert_eq!(view.steps().count(), 1);
    let summary = std::fs::read(dir.join(".trace/dad_metadata.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    assert!(summary["duration_seconds"].as_f64().unwrap() >= 0.0);

    // What was resumed keeps what it did, and its journal stays one.
    let resumed = with_clock().resume_run(&dir, &flow()).unwrap();
    resumed.complete_run(RunEnd::Completed, None).await.unwrap();
    let view = RunView::open(&dir).unwrap();
    assert_eq!((view.status, view.steps().count()), (RunStatus::Completed, 1));
    assert!(view.verify().unwrap().damage.is_empty());

    // A run that was made later stands before one that was made earlier, as their times say.
    let second = with_clock().setup_run(&flow()).unwrap();
    let second_id = second.identity().run_id.clone();
    second.complete_run(RunEnd::Completed, None).await.unwrap();
    let listed = catalog(project.path()).list().unwrap();
    assert_eq!(listed[0].run_id, second_id);
    assert_eq!(listed[1].dir, dir);

    // Seen from before all of it, both were just used.
    let policy = RetentionPolicy::default().keep_age(Duration::ZERO);
    let at = |now: Timestamp| plan_prune(catalog(project.path()).inventory().unwrap(), &policy, now);
    let before = at(Timestamp::from_second(clock.0.load(Ordering::SeqCst)).unwrap());
    assert!(
        before.runs.iter().all(|run| run.kept == [KeepReason::Age]),
        "{before:?}"
    );
    assert_eq!(at(begin).removed().count(), 2);
}
