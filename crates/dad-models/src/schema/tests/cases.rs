//! The types of users with values and the providers that can enforce them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::Dialect;
use super::super::Dialect::{Anthropic, Gemini, OpenAi};
use super::structs::{collections, constrained, named, structs};
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

pub(super) const ALL: &[Dialect] = &[OpenAi, Anthropic, Gemini];
pub(super) const NO_RECURSION: &[Dialect] = &[OpenAi];
pub(super) const OPTIONAL_RECURSION: &[Dialect] = &[OpenAi, Gemini];
pub(super) const MAPS: &[Dialect] = &[Gemini];
pub(super) const NONE: &[Dialect] = &[];

pub(super) fn case<T>(name: &'static str, enforced: &'static [Dialect], values: Vec<T>) -> Case
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

pub(super) fn inner(note: Option<&str>) -> Inner {
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
    cases.extend(nested());
    cases.extend(structs());
    cases.extend(named());
    cases.extend(collections());
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
    ]
}

fn nested() -> Vec<Case> {
    let text = || "t".to_owned();
    vec![
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
