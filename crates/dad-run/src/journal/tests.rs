//! Damage of a journal that holds a record of each type, at every bit and in every order.

use crate::journal::chain::Link;
use crate::journal::codec::encode;
use crate::journal::forged::{Draw, seal, with_sums};
use crate::journal::reader::Checker;
use crate::journal::reader::JournalEnd;
use crate::journal::reader::LineError;
use crate::journal::reader::Lines;
use crate::journal::reader::Tail;
use crate::journal::reader::read_lines;
use crate::journal::record::Record;
use crate::journal::record::RecordBody;
use crate::journal::samples::{bodies, key, session};
use crate::journal::state::RunState;
use crate::journal::stored::StoredValue;
use crate::journal::writer::JournalWriter;
use crate::layout::JOURNAL;
use crate::origin_key::OriginKey;
use dad_core::Timestamp;
use dad_fs::{Dir, ScratchDir};
use serde_json::Value;
use serde_json::json;

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
    let place = ScratchDir::new().unwrap();
    let dir = Dir::open(place.path()).unwrap();
    dir.write_new(JOURNAL, bytes, dad_fs::Durability::Process)
        .unwrap();
    let mut state = RunState::default();
    let end = read_in(&dir, Some(&key()), |record| state.apply_read(record))?;
    Ok((state, end))
}

#[test]
fn every_flipped_bit_is_reported_as_damage() {
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
fn records_in_another_order_are_reported() {
    let bodies = bodies();
    let signed = journal_of(&bodies);
    let mac_of = |number: usize| {
        let record: Value = serde_json::from_slice(&signed[number]).unwrap();
        record["mac"].clone()
    };
    let mut reported = 0;
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
            let text = with_sums(&records.collect::<String>());
            match read(text.as_bytes()) {
                Err(crate::RunError::Journal { .. }) => reported += 1,
                Err(other) => panic!("{first} and {second}: {other}"),
                Ok((_, end)) => assert_eq!(end.origin, crate::Origin::Foreign, "{first} and {second}"),
            }
        }
    }
    assert!(reported > bodies.len() * bodies.len() / 3, "{reported}");

    let records: Vec<Value> = journal_of(&bodies)
        .iter()
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    for number in 0..records.len() {
        for seq in [0, number as u64, number as u64 + 2, u64::MAX] {
            let mut misnumbered = records.clone();
            misnumbered[number]["seq"] = seq.into();
            let read = read(seal(&misnumbered).as_bytes());
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
    let place = ScratchDir::new().unwrap();
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
    let (mut reported, mut accepted) = (0, 0);
    for round in 0..600 {
        let mut damaged = records.clone();
        for _ in 0..=draw.below(3) {
            let number = draw.below(damaged.len());
            draw.damage(&mut damaged[number]);
        }
        let text = match round % 6 {
            0 => damaged.iter().map(|record| format!("{record}\n")).collect(),
            _ => seal(&damaged),
        };
        match read(text.as_bytes()) {
            Ok(_) => accepted += 1,
            Err(_) => reported += 1,
        }
    }
    assert!(
        reported > 300 && accepted > 10,
        "{reported} reported, {accepted} accepted"
    );
}
