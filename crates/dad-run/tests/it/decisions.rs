//! The table of `docs/rerun.md` is compared with every decision.

use std::collections::BTreeSet;

use dad_core::Reuse;
use dad_run::reuse::{
    EntryRelation, FingerprintMatch, PreviousResult, Purity, Requested, ReuseInputs, Verdict, decide,
};

/// A row of the table: the seven conditions, what is done, and the reason.
type Row = [String; 9];

fn rows() -> Vec<Row> {
    let page = include_str!("../../../../docs/rerun.md");
    let table = page.split("## The decision").nth(1).unwrap();
    let lines = table.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let cells = line.trim_matches('|').split('|');
        let cells: Vec<String> = cells.map(|cell| cell.trim().replace('`', "")).collect();
        Row::try_from(cells).unwrap()
    });
    rows.collect()
}

/// A case in the words of the table.
fn words(inputs: &ReuseInputs) -> [&'static str; 7] {
    [
        match inputs.relation {
            EntryRelation::NoEntryPoint => "by itself",
            EntryRelation::Before => "before the entry point",
            EntryRelation::Contains => "around the entry point",
            EntryRelation::After => "from the entry point on",
            EntryRelation::Alone => "alone",
            EntryRelation::OutOfScope => "beside a step alone",
        },
        match inputs.previous {
            PreviousResult::Nothing => "nothing",
            PreviousResult::Failed => "failed",
            PreviousResult::Result => "result",
        },
        match inputs.requested {
            Requested::Nothing => "nothing",
            Requested::Execute => "--execute",
            Requested::Fresh => "--fresh",
        },
        inputs.reuse.as_str(),
        match inputs.fingerprint {
            FingerprintMatch::Same => "same",
            FingerprintMatch::OtherIteration => "other iteration",
            FingerprintMatch::Differs => "differs",
        },
        match inputs.purity {
            Purity::Pure => "pure",
            Purity::Reads => "reads",
            Purity::Effect => "effect",
        },
        if inputs.after_effect { "yes" } else { "no" },
    ]
}

fn every_case() -> Vec<ReuseInputs> {
    let mut cases = Vec::new();
    let relations = [
        EntryRelation::NoEntryPoint,
        EntryRelation::Before,
        EntryRelation::Contains,
        EntryRelation::After,
        EntryRelation::Alone,
        EntryRelation::OutOfScope,
    ];
    for relation in relations {
        for previous in [
            PreviousResult::Nothing,
            PreviousResult::Failed,
            PreviousResult::Result,
        ] {
            for requested in [Requested::Nothing, Requested::Execute, Requested::Fresh] {
                for reuse in [Reuse::Auto, Reuse::Always, Reuse::Never] {
                    for fingerprint in [
                        FingerprintMatch::Same,
                        FingerprintMatch::OtherIteration,
                        FingerprintMatch::Differs,
                    ] {
                        for purity in [Purity::Pure, Purity::Reads, Purity::Effect] {
                            cases.extend([false, true].map(|after_effect| ReuseInputs {
                                relation,
                                previous,
                                requested,
                                reuse,
                                fingerprint,
                                purity,
                                after_effect,
                            }));
                        }
                    }
                }
            }
        }
    }
    cases
}

#[test]
fn the_table_of_the_page_decides_every_case() {
    let rows = rows();
    let mut used = BTreeSet::new();
    for inputs in every_case() {
        let words = words(&inputs);
        let fits = |row: &Row| {
            row.iter()
                .zip(words)
                .all(|(cell, word)| cell == "–" || cell == word)
        };
        let number = rows
            .iter()
            .position(fits)
            .unwrap_or_else(|| panic!("no row for {inputs:?}"));
        used.insert(number);
        let (verdict, reason) = decide(&inputs);
        let verdict = match verdict {
            Verdict::Reuse => "reuse",
            Verdict::Execute => "execute",
            Verdict::Refuse => "refuse",
            Verdict::OutOfScope => "leave",
        };
        let reason = serde_json::to_value(reason).unwrap();
        assert_eq!(
            (verdict, reason.as_str().unwrap()),
            (rows[number][7].as_str(), rows[number][8].as_str()),
            "row {} for {inputs:?}",
            number + 1
        );
    }
    assert_eq!(used.len(), rows.len(), "a row decides nothing");
}
