//! Records of each type, as one run could write them, for tests.

use crate::journal::loops::LoopItems;
use crate::journal::loops::RangeBounds;
use crate::journal::reason::Reason;
use crate::journal::record::ControlKind;
use crate::journal::record::Driver;
use crate::journal::record::RecordBody;
use crate::journal::record::SessionStart;
use crate::journal::settings::RunSettings;
use crate::journal::step_committed::StepCommitted;
use crate::journal::step_committed::Totals;
use crate::journal::stored::ArtifactList;
use crate::journal::stored::StoredValue;
use crate::journal::subject::AnsweredBy;
use crate::origin_key::OriginKey;
use dad_core::ComponentKind;
use dad_core::Digest;
use dad_core::ErrorInfo;
use dad_core::Fingerprint;
use dad_core::HierarchyPath;
use dad_core::RunStatus;
use dad_core::StepStatus;
use dad_core::Timestamp;
use dad_core::Usage;
use dad_events::QuestionKind;
use serde_json::json;
use std::collections::BTreeMap;

pub(super) fn path(text: &str) -> HierarchyPath {
    format!("all.{text}").parse().unwrap()
}

pub(super) fn key() -> OriginKey {
    OriginKey::from_bytes([7; 32])
}

pub(super) fn session(epoch: u32) -> SessionStart {
    SessionStart {
        driver: Driver {
            epoch,
            pid: 1,
            host: "here".to_owned(),
            boot_id: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run_dir: "/runs/run_1".into(),
            run_root: "/runs".into(),
            project_root: "/".into(),
            git_commit: None,
        },
        schema_version: None,
        prev: None,
        definition: Some(Digest::of(b"definition")),
        token: Some("token".to_owned()),
        settings: RunSettings::default(),
        overrides: Vec::new(),
    }
}

fn entered(at: &str, kind: ComponentKind) -> RecordBody {
    RecordBody::ComponentStarted {
        path: if at.is_empty() {
            "all".parse().unwrap()
        } else {
            path(at)
        },
        kind,
        variables: StoredValue::Value(json!({ "a": 1 })),
    }
}

fn left(at: &str, status: StepStatus) -> RecordBody {
    RecordBody::ComponentCompleted {
        path: if at.is_empty() {
            "all".parse().unwrap()
        } else {
            path(at)
        },
        status,
        totals: Totals::default(),
        iterations: None,
        error: None,
        absorbed: false,
    }
}

fn begun(at: &str, attempt: u32, session: u32) -> RecordBody {
    RecordBody::StepStarted {
        path: path(at),
        attempt,
        reason: Reason::FirstExecution,
        after: None,
        effect: true,
        session: Some(session),
    }
}

fn ended(at: &str, attempt: u32, status: StepStatus) -> RecordBody {
    let artifact = dad_core::ArtifactRef::new("result.json".to_owned(), 2, Digest::of(b"{}"));
    RecordBody::StepCommitted(Box::new(StepCommitted {
        path: path(at),
        attempt,
        status,
        fingerprint: Some(Fingerprint::new(Digest::of(at.as_bytes()))),
        artifacts: ArtifactList::Inline(vec![artifact]),
        reused_from: None,
        edited_from: None,
        reason: None,
        reads: vec!["all.first".to_owned()],
        usage: Usage::default(),
        cost: Some(0.5),
        duration_ms: 3,
        summary: Some("it did something".into()),
        error: status
            .is_failure()
            .then(|| (&ErrorInfo::new("failed", "it failed")).into()),
        absorbed: false,
        session: 0,
    }))
}

/// Forty records, of each type at least one, as a run that fails, waits, is trusted and is repaired writes them.
pub(super) fn bodies() -> Vec<RecordBody> {
    let mut bodies = first_session();
    bodies.extend(later_sessions());
    bodies
}

/// The records of the first session up to the end of a loop.
fn first_session() -> Vec<RecordBody> {
    let iteration = |at: &str, number: u64| format!("each.iter_{number}.{at}");
    let mut bodies = vec![
        RecordBody::RunCreated {
            schema_version: 2,
            run_id: "run_1".parse().unwrap(),
            root_id: "all".parse().unwrap(),
            definition_digest: Digest::of(b"definition"),
            parent: Some("run_0".parse().unwrap()),
            plan_digest: Some(Digest::of(b"plan")),
            key_id: Some(key().id()),
            salt: Some("0".repeat(32)),
        },
        RecordBody::Inputs {
            variables: StoredValue::Value(json!({ "task": "text" })),
            options: serde_json::Map::new(),
            static_inputs_digest: None,
        },
        RecordBody::RunStarted(session(1)),
        entered("", ComponentKind::Flow),
        begun("first", 1, 1),
        RecordBody::ProcessStarted {
            path: path("first"),
            pgid: 77,
            start_time: Some(5),
            host: Some("here".to_owned()),
            boot_id: None,
            token: Some("token".to_owned()),
        },
        RecordBody::AttemptFailed {
            path: path("first"),
            attempt: 1,
            error: (&ErrorInfo::new("failed", "it failed")).into(),
            retry_at: Timestamp::UNIX_EPOCH,
            usage: Usage::default(),
        },
        begun("first", 2, 1),
        ended("first", 2, StepStatus::Completed),
        RecordBody::Custom {
            name: "told".into(),
            path: Some(path("first")),
            payload: StoredValue::Value(json!(null)),
        },
        entered("pick", ComponentKind::Conditional),
        RecordBody::BranchTaken {
            path: path("pick"),
            branch: true,
        },
        begun("pick.is_true.yes", 1, 1),
        ended("pick.is_true.yes", 1, StepStatus::Completed),
        left("pick", StepStatus::Completed),
        entered("each", ComponentKind::ForEach),
        RecordBody::LoopStarted {
            path: path("each"),
            items: LoopItems::Range(RangeBounds {
                start: 0,
                stop: 2,
                step: 1,
            }),
            count: 2,
            start_index: 0,
        },
    ];
    for number in 0..2 {
        bodies.push(begun(&iteration("one", number), 1, 1));
        bodies.push(ended(&iteration("one", number), 1, StepStatus::Completed));
        bodies.push(RecordBody::LoopDecided {
            path: path("each"),
            iteration: number,
            stop: number == 1,
        });
    }
    bodies.push(left("each", StepStatus::Completed));
    bodies
}

/// The records of a question, a repair, and the end.
fn later_sessions() -> Vec<RecordBody> {
    let question = |id: &str| RecordBody::Question {
        id: id.to_owned(),
        path: path("asks"),
        kind: QuestionKind::Approval,
        schema: StoredValue::Value(json!({})),
        file: None,
        asked: None,
        about: BTreeMap::new(),
        asked_again: None,
        facts_file: None,
    };
    let sealed = |status| RecordBody::RunSealed {
        status,
        error: None,
        totals: Totals::default(),
        open_questions: 0,
        output: None,
    };
    vec![
        question("approval_1"),
        left("", StepStatus::Waiting),
        sealed(RunStatus::Waiting),
        RecordBody::Trusted {
            trusts: String::new(),
        },
        RecordBody::RunResumed(session(2)),
        entered("", ComponentKind::Flow),
        RecordBody::Answered {
            path: path("asks"),
            kind: QuestionKind::Approval,
            facts: Some(Digest::of(b"asks")),
            id: Some("approval_1".to_owned()),
            source: "a person".into(),
            rule: None,
            by: Some(AnsweredBy::Handler),
            from: None,
            asked: None,
            about: BTreeMap::new(),
            asked_again: None,
            input: StoredValue::Value(json!({ "approve": true })),
        },
        begun("asks", 1, 2),
        ended("asks", 1, StepStatus::Failed),
        RecordBody::Repaired {
            cut_at: 10,
            kept_sum: "0".repeat(16),
            aside: "journal.jsonl".to_owned(),
            uncertain: StoredValue::Value(json!([])),
            schema_version: None,
            prev: None,
        },
        RecordBody::Control {
            kind: ControlKind::Skip,
            path: Some(path("asks")),
            source: "repair".into(),
            value: Some("it is not needed".into()),
        },
        RecordBody::RunResumed(session(3)),
        entered("", ComponentKind::Flow),
        RecordBody::Control {
            kind: ControlKind::Budget,
            path: None,
            source: "resume".into(),
            value: Some(json!({ "calls": 3 })),
        },
        left("", StepStatus::Failed),
        sealed(RunStatus::Failed),
    ]
}
