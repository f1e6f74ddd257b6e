//! The table of `docs/rerun.md` is compared with every decision.

use std::collections::BTreeSet;

use dad_core::Reuse;
use dad_run::{Asked, Facts, Fit, Kind, Known, Side, Verdict, decide};

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
fn words(facts: &Facts) -> [&'static str; 7] {
    [
        match facts.side {
            Side::Undecided => "by itself",
            Side::Before => "before the entry point",
            Side::Around => "around the entry point",
            Side::After => "from the entry point on",
            Side::Alone => "alone",
            Side::Outside => "beside a step alone",
        },
        match facts.known {
            Known::Nothing => "nothing",
            Known::Failed => "failed",
            Known::Result => "result",
        },
        match facts.asked {
            Asked::Nothing => "nothing",
            Asked::Execute => "--execute",
            Asked::Fresh => "--fresh",
        },
        facts.reuse.as_str(),
        match facts.fit {
            Fit::Same => "same",
            Fit::OtherIteration => "other iteration",
            Fit::Differs => "differs",
        },
        match facts.kind {
            Kind::Pure => "pure",
            Kind::Reads => "reads",
            Kind::Effect => "effect",
        },
        if facts.after_effect { "yes" } else { "no" },
    ]
}

fn every_case() -> Vec<Facts> {
    let mut cases = Vec::new();
    let sides = [
        Side::Undecided,
        Side::Before,
        Side::Around,
        Side::After,
        Side::Alone,
        Side::Outside,
    ];
    for side in sides {
        for known in [Known::Nothing, Known::Failed, Known::Result] {
            for asked in [Asked::Nothing, Asked::Execute, Asked::Fresh] {
                for reuse in [Reuse::Auto, Reuse::Always, Reuse::Never] {
                    for fit in [Fit::Same, Fit::OtherIteration, Fit::Differs] {
                        for kind in [Kind::Pure, Kind::Reads, Kind::Effect] {
                            cases.extend([false, true].map(|after_effect| Facts {
                                side,
                                known,
                                asked,
                                reuse,
                                fit,
                                kind,
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
    for facts in every_case() {
        let words = words(&facts);
        let fits = |row: &Row| {
            row.iter()
                .zip(words)
                .all(|(cell, word)| cell == "–" || cell == word)
        };
        let number = rows
            .iter()
            .position(fits)
            .unwrap_or_else(|| panic!("no row for {facts:?}"));
        used.insert(number);
        let (verdict, reason) = decide(&facts);
        let verdict = match verdict {
            Verdict::Reuse => "reuse",
            Verdict::Execute => "execute",
            Verdict::Refuse => "refuse",
            Verdict::Leave => "leave",
        };
        let reason = serde_json::to_value(reason).unwrap();
        assert_eq!(
            (verdict, reason.as_str().unwrap()),
            (rows[number][7].as_str(), rows[number][8].as_str()),
            "row {} for {facts:?}",
            number + 1
        );
    }
    assert_eq!(used.len(), rows.len(), "a row decides nothing");
}
