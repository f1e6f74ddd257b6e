//! Damage of a journal that holds a record of each type, at every bit and in every order.

use crate::journal::chain::Link;
use crate::journal::codec::encode;
use crate::journal::loops::LoopItems;
use crate::journal::loops::RangeBounds;
use crate::journal::reader::Checker;
use crate::journal::reader::JournalEnd;
use crate::journal::reader::LineError;
use crate::journal::reader::Lines;
use crate::journal::reader::Tail;
use crate::journal::reader::read_lines;
use crate::journal::reason::Reason;
use crate::journal::record::ControlKind;
use crate::journal::record::Driver;
use crate::journal::record::Record;
use crate::journal::record::RecordBody;
use crate::journal::record::SessionStart;
use crate::journal::settings::RunSettings;
use crate::journal::state::RunState;
use crate::journal::step_committed::StepCommitted;
use crate::journal::step_committed::Totals;
use crate::journal::stored::ArtifactList;
use crate::journal::stored::StoredValue;
use crate::journal::subject::AnsweredBy;
use crate::journal::writer::JournalWriter;
use crate::layout::JOURNAL;
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
use dad_fs::Dir;
use dad_tests::Draw;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;

fn path(text: &str) -> HierarchyPath {
    format!("all.{text}").parse().unwrap()
}

fn key() -> OriginKey {
    OriginKey::from_bytes([7; 32])
}

fn session(epoch: u32) -> SessionStart {
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
    let artifact = dad_core::ArtifactRef {
        name: "result.json".to_owned(),
        len: 2,
        blake3: Digest::of(b"{}"),
    };
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
    }))
}

/// Forty records, of each type at least one, as a run that fails, waits, is trusted and is repaired writes them.
fn bodies() -> Vec<RecordBody> {
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

#[test]
fn settings_that_were_recorded_with_the_inputs_alone_count() {
    let mut started = RunState::default();
    let options = json!({ "environment": "ci", "interactive": true, "budget": { "calls": 2 } });
    let inputs = RecordBody::Inputs {
        variables: StoredValue::Value(json!({})),
        options: options.as_object().unwrap().clone(),
        static_inputs_digest: None,
    };
    let bodies = [bodies()[0].clone(), inputs, RecordBody::RunStarted(session(1))];
    for (body, seq) in bodies.into_iter().zip(1..) {
        started.apply(Record {
            seq,
            at: Timestamp::UNIX_EPOCH,
            body,
        });
    }
    let tally = &started.progress.tally;
    assert_eq!(tally.settings.environment(), "ci");
    assert_eq!(tally.budget.calls, Some(2));
}

/// The journal of records, signed, and where each line begins.
fn journal_of(bodies: &[RecordBody]) -> Vec<Vec<u8>> {
    let mut link = Link::default();
    let mut lines = Vec::new();
    for (body, seq) in bodies.iter().zip(1..) {
        let mut body = body.clone();
        if let RecordBody::Trusted { trusts } = &mut body {
            *trusts = String::from_utf8(link.sum.to_vec()).unwrap();
        }
        let mut line = Vec::new();
        encode(&mut line, seq, Timestamp::UNIX_EPOCH, &body).unwrap();
        link = link.seal(&mut line, Some(&key()));
        line.push(b'\n');
        lines.push(line);
    }
    lines
}

/// Reads the journal that lies in a directory.
fn read_in(
    dir: &Dir,
    key: Option<&OriginKey>,
    each: impl FnMut(Record) -> Result<(), String>,
) -> Result<JournalEnd, crate::RunError> {
    let lines = Lines::of(dir.open_file(JOURNAL)?);
    read_lines(lines, &dir.path().join(JOURNAL), key, each)
}

/// Reads a journal as readers do.
fn read(bytes: &[u8]) -> Result<(RunState, JournalEnd), crate::RunError> {
    let place = tempfile_dir();
    let dir = Dir::open(place.path()).unwrap();
    dir.write_new(JOURNAL, bytes, dad_fs::Durability::Process)
        .unwrap();
    let mut state = RunState::default();
    let end = read_in(&dir, Some(&key()), |record| state.apply_read(record))?;
    Ok((state, end))
}

fn tempfile_dir() -> dad_tests::TestProject {
    dad_tests::TestProject::new()
}

#[test]
fn every_flipped_bit_is_told_as_damage() {
    let bodies = bodies();
    let lines = journal_of(&bodies);
    assert!(lines.len() >= 40, "{}", lines.len());
    let (_, end) = read(&lines.concat()).unwrap();
    assert_eq!((end.origin, end.tail), (crate::Origin::Mine, Tail::Whole));

    // A reader comes to a line only behind whole ones: it is enough to read each damaged line behind those.
    let key = key();
    let mut checker = Checker::new(Some(&key));
    for (number, line) in lines.iter().enumerate() {
        for bit in 0..line.len() * 8 {
            let mut flipped = line.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let text = match flipped.strip_suffix(b"\n") {
                Some(text) if !text.contains(&b'\n') => text,
                Some(text) => text.split(|byte| *byte == b'\n').next().unwrap(),
                // Without its line feed it runs into the next one, or is a torn last line.
                None if number + 1 == lines.len() => {
                    assert!(!checker.continues(&flipped), "bit {bit} of the last line");
                    continue;
                }
                None => {
                    flipped.extend_from_slice(lines[number + 1].strip_suffix(b"\n").unwrap());
                    &flipped[..]
                }
            };
            let checked = checker.clone().check(text);
            assert!(
                matches!(checked, Err(LineError::Damage(_))),
                "bit {bit} of line {}: {checked:?}",
                number + 1
            );
        }
        let text = line.strip_suffix(b"\n").unwrap();
        checker.check(text).unwrap();
        checker.accept(text, line.len());
    }
}

#[test]
fn a_last_line_without_its_line_feed_is_whole_or_torn() {
    let lines = journal_of(&bodies());
    let whole = lines.concat();
    let before = whole.len() - lines.last().unwrap().len();
    for cut in before..whole.len() {
        let (state, end) = read(&whole[..cut]).unwrap();
        let wanted = match cut {
            cut if cut == before => Tail::Whole,
            cut if cut + 1 == whole.len() => Tail::Unterminated,
            _ => Tail::Torn,
        };
        assert_eq!(end.tail, wanted, "{cut}");
        assert_eq!(
            state.progress.tally.sealed.is_some(),
            wanted == Tail::Unterminated,
            "{cut}"
        );
    }
}

/// Records in another order, with sums that are right, contradict each other or are not signed by the user any more.
#[test]
fn records_in_another_order_are_told() {
    let bodies = bodies();
    let signed = journal_of(&bodies);
    let mac_of = |number: usize| {
        let record: Value = serde_json::from_slice(&signed[number]).unwrap();
        record["mac"].clone()
    };
    let mut told = 0;
    for first in 0..bodies.len() {
        for second in first + 1..bodies.len() {
            if bodies[first] == bodies[second] {
                continue;
            }
            let mut swapped = bodies.clone();
            swapped.swap(first, second);
            let records = journal_of(&swapped)
                .into_iter()
                .enumerate()
                .map(|(number, line)| {
                    let mut record: Value = serde_json::from_slice(&line).unwrap();
                    record["mac"] = mac_of(number);
                    format!("{record}\n")
                });
            let text = dad_tests::with_sums(&records.collect::<String>());
            match read(text.as_bytes()) {
                Err(crate::RunError::Journal { .. }) => told += 1,
                Err(other) => panic!("{first} and {second}: {other}"),
                Ok((_, end)) => assert_eq!(end.origin, crate::Origin::Foreign, "{first} and {second}"),
            }
        }
    }
    assert!(told > bodies.len() * bodies.len() / 3, "{told}");

    let records: Vec<Value> = journal_of(&bodies)
        .iter()
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    for number in 0..records.len() {
        for seq in [0, number as u64, number as u64 + 2, u64::MAX] {
            let mut misnumbered = records.clone();
            misnumbered[number]["seq"] = seq.into();
            let read = read(dad_tests::seal(&misnumbered).as_bytes());
            assert!(
                matches!(read, Err(crate::RunError::Journal { .. })),
                "{number} as {seq}"
            );
        }
    }
}

/// A driver refuses what a reader would take for damage, so that each prefix of what it writes is read as it knows it.
#[test]
fn a_driver_writes_only_what_a_reader_accepts() {
    let place = tempfile_dir();
    let dir = Dir::open(place.path()).unwrap();
    let bodies = bodies();
    let mut journal = JournalWriter::create(&dir, Some(key())).unwrap();
    let mut seen = RunState::default();
    for (number, body) in bodies.iter().enumerate() {
        for other in &bodies {
            let is_refused = journal.progress().check(other).is_err();
            let mut reader = RunState::default();
            read_in(&dir, None, |record| reader.apply_read(record)).ok();
            if reader.progress.tally.format >= 2 {
                let record = Record {
                    seq: number as u64 + 1,
                    at: Timestamp::UNIX_EPOCH,
                    body: other.clone(),
                };
                let read = reader.apply_read(record);
                // Only a reader knows every step that has ended.
                assert!(!is_refused || read.is_err(), "{number}: {other:?}");
            }
        }
        let before = super::state::voided_by(body, &journal.progress().open)
            .and_then(|path| seen.entries.step(path))
            .cloned();
        journal
            .append(Timestamp::UNIX_EPOCH, body, before.as_ref())
            .unwrap();
        let mut reader = RunState::default();
        read_in(&dir, None, |record| reader.apply_read(record)).unwrap();
        assert_eq!(reader.progress, *journal.progress(), "{number}");
        seen = reader;
    }
}

/// Damaged records with right sums, signed with the key of the reader.
#[test]
fn damaged_records_with_right_sums_panic_no_reader() {
    let lines = journal_of(&bodies());
    let records: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let mut draw = Draw::new(1);
    let (mut told, mut accepted) = (0, 0);
    for round in 0..600 {
        let mut damaged = records.clone();
        for _ in 0..=draw.below(3) {
            let number = draw.below(damaged.len());
            draw.damage(&mut damaged[number]);
        }
        let text = match round % 6 {
            0 => damaged.iter().map(|record| format!("{record}\n")).collect(),
            _ => dad_tests::seal(&damaged),
        };
        match read(text.as_bytes()) {
            Ok(_) => accepted += 1,
            Err(_) => told += 1,
        }
    }
    assert!(told > 300 && accepted > 10, "{told} told, {accepted} accepted");
}
