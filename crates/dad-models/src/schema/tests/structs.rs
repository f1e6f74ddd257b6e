//! Cases of structs and of constraints.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::cases::{ALL, Case, MAPS, NONE, case, inner};
use super::types::*;

pub(super) fn structs() -> Vec<Case> {
    let text = || "t".to_owned();
    vec![
        case("inner", ALL, vec![inner(None), inner(Some("x"))]),
        case(
            "optionals",
            ALL,
            vec![
                Optionals {
                    text: None,
                    number: None,
                    colour: None,
                    inner: None,
                    list: None,
                    always: true,
                },
                Optionals {
                    text: Some(text()),
                    number: Some(1),
                    colour: Some(Colour::Green),
                    inner: Some(inner(None)),
                    list: Some(vec![text()]),
                    always: false,
                },
            ],
        ),
        case(
            "defaults",
            ALL,
            vec![Defaults {
                count: 3,
                name: text(),
                colour: ColourOrNone::Red,
                tags: vec![text()],
            }],
        ),
        case(
            "flattened",
            ALL,
            vec![Flattened {
                id: 1,
                inner: inner(Some("y")),
            }],
        ),
        case(
            "flattened_enum",
            ALL,
            vec![
                FlattenedEnum {
                    id: 1,
                    kind: Internal::Point { x: 1, y: 2 },
                },
                FlattenedEnum {
                    id: 2,
                    kind: Internal::Nothing,
                },
            ],
        ),
        case(
            "closed",
            ALL,
            vec![
                Closed { a: text(), b: None },
                Closed {
                    a: text(),
                    b: Some(1),
                },
            ],
        ),
        // `{"type": "object"}`: schemars writes the same for a struct without fields and a user for any object.
        case("empty", NONE, vec![Empty {}]),
    ]
}

pub(super) fn named() -> Vec<Case> {
    let text = || "t".to_owned();
    vec![
        case(
            "described",
            ALL,
            vec![Described {
                first: Colour::Red,
                second: Colour::Green,
                inner: inner(None),
                maybe: None,
            }],
        ),
        case(
            "unit",
            ALL,
            vec![Unit {
                nothing: (),
                letter: 'x',
                yes: true,
            }],
        ),
        case(
            "names",
            ALL,
            vec![Names {
                slashed: text(),
                reference: Some(text()),
                value: 1,
                spaced: false,
            }],
        ),
        case(
            "generic",
            ALL,
            vec![Page {
                items: vec![Wrapped {
                    inner: inner(None),
                    label: text(),
                }],
                next: None,
            }],
        ),
        case(
            "generic_twice",
            ALL,
            vec![Wrapped {
                inner: Page {
                    items: vec![Wrapped {
                        inner: Colour::Red,
                        label: text(),
                    }],
                    next: Some(text()),
                },
                label: text(),
            }],
        ),
    ]
}

pub(super) fn collections() -> Vec<Case> {
    let text = || "t".to_owned();
    vec![
        case(
            "mapped",
            MAPS,
            vec![Mapped {
                counts: [("a".to_owned(), 1)].into(),
                name: text(),
            }],
        ),
        case(
            "map_of_structs",
            MAPS,
            vec![MapOfStructs {
                by_name: BTreeMap::from([(text(), inner(None))]),
            }],
        ),
        case(
            "tupled",
            ALL,
            vec![Tupled {
                pair: (1, text()),
                point: (0.5, 1.5),
            }],
        ),
        case(
            "arrayed",
            ALL,
            vec![Arrayed {
                matrix: [[1.0, 2.0], [3.0, 4.0]],
                flags: [true, false, true],
            }],
        ),
        case(
            "flattened_map",
            MAPS,
            vec![FlattenedMap {
                id: 1,
                others: BTreeMap::from([("k".to_owned(), text())]),
            }],
        ),
        case(
            "anything",
            NONE,
            vec![Anything {
                value: json!([1, { "a": null }]),
                name: text(),
            }],
        ),
        case(
            "free_form",
            NONE,
            vec![FreeForm {
                data: serde_json::Map::new(),
            }],
        ),
    ]
}

pub(super) fn constrained() -> Vec<Case> {
    let text = || "t".to_owned();
    vec![
        case(
            "integers",
            ALL,
            vec![Integers {
                a: 1,
                b: 2,
                c: -3,
                d: 4,
                e: 5,
                f: -6,
            }],
        ),
        case(
            "numbers",
            ALL,
            vec![Numbers {
                float: 0.5,
                double: 1e100,
                non_zero: std::num::NonZeroU32::MIN,
            }],
        ),
        case(
            "bounded",
            ALL,
            vec![Bounded {
                stars: 5,
                weight: 0.25,
            }],
        ),
        case(
            "lengths",
            ALL,
            vec![Lengths {
                name: text(),
                few: vec![text()],
                many: vec![1, 2],
                most: vec![],
            }],
        ),
        case(
            "patterned",
            ALL,
            vec![Patterned {
                word: "abc".to_owned(),
                not_x: text(),
                bounded: "a word".to_owned(),
            }],
        ),
        case(
            "sets",
            ALL,
            vec![Sets {
                names: BTreeSet::from([text()]),
                numbers: BTreeSet::from([1, 2]),
            }],
        ),
        case(
            "dates",
            ALL,
            vec![Dates {
                at: "2026-11-30T10:00:00Z".to_owned(),
                day: "2026-11-30".to_owned(),
                link: "https://example.com/".to_owned(),
                local: "2026-11-30T10:00:00".to_owned(),
                mail: "a@example.com".to_owned(),
            }],
        ),
    ]
}
