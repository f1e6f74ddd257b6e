//! The fields of a mapping, each taken once, so that the rest are unknown keys.

use crate::decode::Cx;
use crate::place::Place;
use crate::problem::{Problem, quoted};
use crate::value::{Data, Member, Tree};

/// The members of a mapping, taken one by one; what is left in the end is unknown.
pub(crate) struct Fields<'t> {
    members: Vec<(&'t Member, bool)>,
    pub(crate) place: Place,
}

impl<'t> Fields<'t> {
    /// The fields of a mapping; anything else is reported.
    pub(crate) fn new(tree: &'t Tree, place: &Place, what: &str, cx: &mut Cx) -> Option<Self> {
        match &tree.data {
            Data::Map(members) => {
                let members = members.iter().map(|member| (member, false)).collect();
                Some(Self {
                    members,
                    place: place.clone(),
                })
            }
            _ => {
                cx.wrong_type(place, what, tree);
                None
            }
        }
    }

    /// The value under a key, once.
    pub(crate) fn take(&mut self, key: &str) -> Option<(&'t Tree, Place)> {
        let (member, taken) = self.members.iter_mut().find(|(member, _)| member.key == key)?;
        *taken = true;
        Some((&member.value, self.place.key(key)))
    }

    /// The keys in the order of the file.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'t str> {
        self.members.iter().map(|(member, _)| member.key.as_str())
    }

    /// The values that are texts.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &'t str> {
        self.members
            .iter()
            .filter_map(|(member, _)| match &member.value.data {
                Data::Text(text) => Some(text.as_str()),
                _ => None,
            })
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys().any(|found| found == key)
    }

    /// Reports a required key that is not there, at the key that says best which value is meant.
    pub(crate) fn missing(&self, key: &str, hint: &str, cx: &mut Cx) {
        let problem = Problem::new("missing_key", format!("the key `{key}` is missing")).hint(hint);
        match self.members.first() {
            Some((first, _)) => {
                let problem = problem
                    .at_key(&cx.spans, &self.place.key(&first.key))
                    .place(&self.place);
                cx.report.add(problem);
            }
            None => cx.at(&self.place, problem),
        }
    }

    /// Reports every key that was not taken. `refused` says why a key that exists elsewhere is not allowed here.
    pub(crate) fn finish(self, known: &[&str], refused: impl Fn(&str) -> Option<Problem>, cx: &mut Cx) {
        for (member, taken) in &self.members {
            if *taken {
                continue;
            }
            if cx.report.is_full() {
                cx.report.add(Problem::new("unknown_key", String::new()));
                continue;
            }
            let problem = refused(&member.key).unwrap_or_else(|| {
                let problem = Problem::new("unknown_key", format!("unknown key {}", quoted(&member.key)));
                match dad_core::nearest(&member.key, known.iter().copied()) {
                    Some(name) => problem.hint(format!("did you mean `{name}`?")),
                    None => problem.hint(format!("the keys here are {}", known.join(", "))),
                }
            });
            cx.at_key(&self.place.key(&member.key), problem);
        }
    }
}

/// The elements of a list; anything else is reported.
pub(crate) fn items<'t>(tree: &'t Tree, place: &Place, wanted: &str, cx: &mut Cx) -> &'t [Tree] {
    match &tree.data {
        Data::List(items) => items,
        _ => {
            cx.wrong_type(place, wanted, tree);
            &[]
        }
    }
}

/// A text; anything else is reported.
pub(crate) fn text<'t>(tree: &'t Tree, place: &Place, wanted: &str, cx: &mut Cx) -> Option<&'t str> {
    match &tree.data {
        Data::Text(text) => Some(text),
        _ => {
            cx.wrong_type(place, wanted, tree);
            None
        }
    }
}

/// `true` or `false`; anything else is reported.
pub(crate) fn boolean(tree: &Tree, place: &Place, cx: &mut Cx) -> Option<bool> {
    match &tree.data {
        Data::Bool(value) => Some(*value),
        _ => {
            cx.wrong_type(place, "`true` or `false`", tree);
            None
        }
    }
}

/// A whole number that fits; anything else is reported.
pub(crate) fn whole<T: TryFrom<u64>>(tree: &Tree, place: &Place, cx: &mut Cx) -> Option<T> {
    let number = match &tree.data {
        Data::Number(number) => number.as_u64().and_then(|number| T::try_from(number).ok()),
        _ => None,
    };
    if number.is_none() {
        cx.wrong_type(place, "a whole number", tree);
    }
    number
}

/// A list of texts; everything else in it is reported.
pub(crate) fn texts(tree: &Tree, place: &Place, wanted: &str, cx: &mut Cx) -> Vec<String> {
    let items = items(tree, place, wanted, cx);
    let texts = items.iter().enumerate();
    texts
        .filter_map(|(index, item)| Some(text(item, &place.index(index), "a text", cx)?.to_owned()))
        .collect()
}

/// One of some words; anything else is reported.
pub(crate) fn word<T: Copy>(tree: &Tree, place: &Place, words: &[(&str, T)], cx: &mut Cx) -> Option<T> {
    let names: Vec<String> = words.iter().map(|(name, _)| format!("`{name}`")).collect();
    let wanted = format!("one of {}", names.join(", "));
    let found = text(tree, place, &wanted, cx)?;
    let value = words
        .iter()
        .find(|(name, _)| *name == found)
        .map(|(_, value)| *value);
    if value.is_none() {
        let problem = Problem::new(
            "wrong_value",
            format!("expected {wanted}, found {}", quoted(found)),
        );
        cx.at(place, problem.nearest(found, words.iter().map(|(name, _)| *name)));
    }
    value
}
