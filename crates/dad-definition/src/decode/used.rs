//! Components that stand in a file of their own.

use indexmap::IndexMap;
use serde_json::Value;

use crate::decode::Cx;
use crate::decode::fields::{Fields, text};
use crate::decode::options::OPTION_KEYS;
use crate::decode::root::BODY_KEYS;
use crate::decode::values::variables;
use crate::parse::parse;
use crate::place::Place;
use crate::problem::{Problem, quoted};
use crate::value::{Costs, Recording, Tree};

/// The key that names the file.
pub(super) const USE: &str = "use";

/// The keys that may stand beside the file of a component.
const KEYS: &[&str] = &[USE, "variables"];

/// A component in a file of its own.
pub(super) struct Part {
    /// The file, as an index of the sources.
    pub(super) file: usize,
    /// The content of the file.
    pub(super) tree: Tree,
    /// The place of the element that names the file.
    pub(super) place: Place,
    /// The variables that stand beside `use`.
    given: IndexMap<String, Value>,
}

/// Opens the file that `use` names; what is wrong with it is reported.
pub(super) fn open_part(mut fields: Fields<'_>, cx: &mut Cx) -> Option<Part> {
    let place = fields.place.clone();
    let file = fields.take(USE).and_then(|(tree, place)| {
        let name = text(tree, &place, "the path of a file", cx)?;
        open(name, &place, cx)
    });
    let given = fields.take("variables");
    let known: Vec<&str> = KEYS.iter().chain(OPTION_KEYS).copied().collect();
    fields.finish(&known, refused_beside_use, cx);
    let file = file?;
    let tree = file_tree(file, &place, cx);
    // After the places of the file, some of which are those of what stands beside `use`.
    let given = given.map_or_else(IndexMap::new, |(tree, place)| {
        record_again(tree, &place, cx);
        variables(tree, &place, cx)
    });
    Some(Part {
        file,
        tree: tree?,
        place,
        given,
    })
}

impl Part {
    /// The variables of the component, those beside `use` before its `own`.
    pub(super) fn variables(
        self,
        own: IndexMap<String, Value>,
        required: &[String],
        cx: &mut Cx,
    ) -> IndexMap<String, Value> {
        merged(own, self.given, required, &self.place, cx)
    }
}

fn refused_beside_use(key: &str) -> Option<Problem> {
    BODY_KEYS.contains(&key).then(|| {
        let message = format!("`{key}` stands in the file that `{USE}` names, not beside it");
        Problem::new("unknown_key", message)
    })
}

fn open(name: &str, place: &Place, cx: &mut Cx) -> Option<usize> {
    match cx.includes.open(name, &mut cx.spans) {
        Ok(file) => Some(file),
        Err(problem) => {
            cx.at(place, *problem);
            None
        }
    }
}

/// The content of a file; the places in it continue those of the element.
fn file_tree(file: usize, place: &Place, cx: &mut Cx) -> Option<Tree> {
    let source = cx.spans.sources().get(file)?.clone();
    let tree = parse(&source.text, &source.path, file, &cx.spans, &mut cx.report)?;
    let mut recording = Recording {
        spans: &mut cx.spans,
        costs: &mut cx.costs,
        file,
    };
    if tree.record_members(&mut recording, place) {
        return Some(tree);
    }
    cx.report.add(Costs::problem().in_file(&source.path));
    None
}

fn record_again(tree: &Tree, place: &Place, cx: &mut Cx) {
    let file = cx.includes.current();
    let mut recording = Recording {
        spans: &mut cx.spans,
        costs: &mut cx.costs,
        file,
    };
    tree.record_members(&mut recording, place);
}

/// Variables of a file with those given beside `use` in their place. What is given comes first, because it sees what
/// is around the component and not what the file defines.
fn merged(
    mut own: IndexMap<String, Value>,
    given: IndexMap<String, Value>,
    required: &[String],
    place: &Place,
    cx: &mut Cx,
) -> IndexMap<String, Value> {
    let variables = place.key("variables");
    for name in given.keys() {
        if own.shift_remove(name).is_none() && !required.contains(name) {
            let message = format!("the file has no variable {}", quoted(name));
            let names = own.keys().chain(required).map(String::as_str);
            let problem = Problem::new("unknown_variable", message).nearest(name, names);
            cx.at_key(&variables.key(name), problem);
        }
    }
    for name in required.iter().filter(|name| !given.contains_key(*name)) {
        let message = format!("the file requires the variable {}", quoted(name));
        let hint = format!("give it beside `{USE}`: `variables: {{ {name}: … }}`");
        cx.at(
            &place.key(USE),
            Problem::new("missing_variable", message).hint(hint),
        );
    }
    let mut all = given;
    for name in required {
        // Of one that is missing nothing more is said where it is used.
        all.entry(name.clone()).or_default();
    }
    all.extend(own);
    all
}
