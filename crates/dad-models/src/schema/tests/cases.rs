//! The types of users with values and the providers that can enforce them.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::Dialect;
use super::super::Dialect::{Anthropic, Gemini, OpenAi};
use super::types::*;

/// A type and what is expected of it.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) schema: Value,
    pub(super) values: Vec<Value>,
    /// The providers that can enforce the schema.
    pub(super) enforced: &'static [Dialect],
    /// Whether two values mean the same for the type.
    pub(super) same: fn(&Value, &Value) -> bool,
}

const ALL: &[Dialect] = &[OpenAi, Anthropic, Gemini];
const NO_RECURSION: &[Dialect] = &[OpenAi];
const OPTIONAL_RECURSION: &[Dialect] = &[OpenAi, Gemini];
const MAPS: &[Dialect] = &[Gemini];
const NONE: &[Dialect] = &[];

fn case<T>(name: &'static str, enforced: &'static [Dialect], values: Vec<T>) -> Case
where
    T: JsonSchema + Serialize + DeserializeOwned + PartialEq,
{
    Case {
        name,
        schema: schemars::schema_for!(T).into(),
        values: values
            .into_iter()
            .map(|value| serde_json::to_value(value).unwrap())
            .collect(),
        enforced,
        same: |one, other| {
            let one = serde_json::from_value::<T>(one.clone());
            let other = serde_json::from_value::<T>(other.clone());
            matches!((one, other), (Ok(one), Ok(other)) if one == other)
        },
    }
}

fn inner(note: Option<&str>) -> Inner {
    Inner {
        name: "n".to_owned(),
        note: note.map(str::to_owned),
    }
}

fn tree(name: &str, children: Vec<Tree>) -> Tree {
    Tree {
        name: name.to_owned(),
        children,
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = enums();
    cases.extend(structs());
    cases.extend(recursive());
    cases.extend(constrained());
    cases.extend(roots());
    cases
}

fn enums() -> Vec<Case> {
    let text = || "t".to_owned();
    vec![
        case("colour", ALL, vec![Colour::Red, Colour::Blue]),
        case("documented", ALL, vec![Documented::Framed, Documented::Other]),
        case(
            "internal",
            ALL,
            vec![
                Internal::Point { x: 1, y: 2 },
                Internal::Text { text: text() },
                Internal::Inner(inner(None)),
                Internal::Inner(inner(Some("x"))),
                Internal::Nothing,
            ],
        ),
        case(
            "adjacent",
            ALL,
            vec![
                Adjacent::Number(1),
                Adjacent::Pair(text(), text()),
                Adjacent::Words { words: vec![text()] },
                Adjacent::Empty,
            ],
        ),
        case(
            "external",
            ALL,
            vec![
                External::Unit,
                External::Newtype(3),
                External::Tuple(4, text()),
                External::Struct {
                    name: text(),
                    size: None,
                },
                External::Struct {
                    name: text(),
                    size: Some(1),
                },
            ],
        ),
        case(
            "untagged",
            ALL,
            vec![
                Untagged::Text(text()),
                Untagged::Number(1.5),
                Untagged::Struct { path: text() },
            ],
        ),
        // Both begin with `name`.
        case(
            "untagged_alike",
            &[Anthropic, Gemini],
            vec![UntaggedAlike::Short { name: text() }],
        ),
        case(
            "file_operations",
            ALL,
            vec![FileOperations {
                file_operations: vec![
                    FileOperation::CreateFile {
                        path: text(),
                        content: text(),
                    },
                    FileOperation::EditFile {
                        path: text(),
                        edits: vec![Edit {
                            old: text(),
                            new: text(),
                        }],
                    },
                    FileOperation::DeleteFile { path: text() },
                    FileOperation::ListDirectory {
                        path: None,
                        recursive: true,
                    },
                ],
            }],
        ),
        case(
            "two_unions",
            ALL,
            vec![TwoUnions {
                a: Untagged::Number(2.5),
                b: External::Unit,
                c: None,
            }],
        ),
        case(
            "results",
            ALL,
            vec![
                Results {
                    outcome: Ok(1),
                    within: None,
                },
                Results {
                    outcome: Err(text()),
                    within: Some(Some(2)),
                },
            ],
        ),
    ]
}

fn structs() -> Vec<Case> {
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
            "flattened_map",
            MAPS,
            vec![FlattenedMap {
                id: 1,
                others: BTreeMap::from([("k".to_owned(), text())]),
            }],
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
        // `{"type": "object"}`: schemars writes the same for a struct without fields and a user for any object.
        case("empty", NONE, vec![Empty {}]),
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

fn recursive() -> Vec<Case> {
    vec![
        case(
            "tree",
            NO_RECURSION,
            vec![tree(
                "a",
                vec![tree("b", vec![]), tree("c", vec![tree("d", vec![])])],
            )],
        ),
        case(
            "linked",
            OPTIONAL_RECURSION,
            vec![Linked {
                value: 1,
                next: Some(Box::new(Linked { value: 2, next: None })),
            }],
        ),
        case(
            "mutual",
            OPTIONAL_RECURSION,
            vec![Even {
                name: "e".to_owned(),
                odd: Some(Box::new(Odd {
                    size: 1,
                    even: Some(Box::new(Even {
                        odd: None,
                        name: "f".to_owned(),
                    })),
                })),
            }],
        ),
        case(
            "forest",
            NO_RECURSION,
            vec![Forest {
                trees: vec![tree("a", vec![])],
                favourite: None,
            }],
        ),
        case(
            "expression",
            NO_RECURSION,
            vec![Expression::Sum(vec![
                Expression::Number(1.5),
                Expression::Negated(Box::new(Expression::Number(2.5))),
            ])],
        ),
        case(
            "versioned",
            OPTIONAL_RECURSION,
            vec![Versioned::V2 {
                new_name: "n".to_owned(),
                extra: Some(Box::new(Versioned::V1 {
                    old_name: "o".to_owned(),
                })),
            }],
        ),
    ]
}

fn constrained() -> Vec<Case> {
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

/// Schemas whose root is no object.
fn roots() -> Vec<Case> {
    vec![
        case("root_list", ALL, vec![vec![inner(None), inner(Some("z"))]]),
        case(
            "root_newtype",
            ALL,
            vec![Newtype {
                inner: vec![inner(None)],
            }],
        ),
        case("root_text", ALL, vec!["t".to_owned()]),
        case("root_number", ALL, vec![7_u32]),
        case("root_option", ALL, vec![None, Some(inner(None))]),
        case("root_tuple", ALL, vec![(1_u8, "t".to_owned())]),
        case("root_map", MAPS, vec![BTreeMap::from([("a".to_owned(), 1)])]),
    ]
}
