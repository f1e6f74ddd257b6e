//! The parts of a definition that no step has a digest of: variables, conditions, loops and options of components.

use std::collections::BTreeMap;

use dad_core::{Definition, Element, ElementKind};
use serde_json::{Map, Value};

/// The keys whose values are elements, and `id`, which stands in the path.
const STRUCTURE: [&str; 9] = [
    "elements",
    "finally",
    "true_branch",
    "false_branch",
    "body",
    "variables",
    "root_id",
    "schema_version",
    "kind",
];

/// The names of the parts that differ, in words: "variable `tone`", "`statement` of `main_flow.choose`". Parts of components that only
/// one of the definitions has are left out: their steps are named.
pub(super) fn other_parts(before: &Definition, after: &Definition) -> Vec<String> {
    let (before, after) = (parts(before), parts(after));
    let mut differ = Vec::new();
    for (path, before) in &before {
        let Some(after) = after.get(path) else {
            continue;
        };
        let names = before
            .keys()
            .chain(after.keys().filter(|name| !before.contains_key(*name)));
        for name in names.filter(|name| before.get(*name) != after.get(*name)) {
            differ.push(match path.as_str() {
                "" => name.clone(),
                path => format!("{name} of `{path}`"),
            });
        }
    }
    differ
}

type Parts = BTreeMap<String, BTreeMap<String, Value>>;

/// The parts of each component, by its path below the root.
fn parts(definition: &Definition) -> Parts {
    let mut found = Parts::new();
    add(
        &mut found,
        "",
        serde_json::to_value(definition).unwrap_or_default(),
    );
    add_elements(&mut found, "", &definition.body.elements);
    add_elements(&mut found, "", &definition.body.finally);
    found
}

fn add_elements(found: &mut Parts, around: &str, elements: &[Element]) {
    for element in elements {
        if matches!(element.kind, ElementKind::Node(_) | ElementKind::Callback(_)) {
            continue;
        }
        let path = match around {
            "" => element.id.to_string(),
            around => format!("{around}.{}", element.id),
        };
        add(found, &path, serde_json::to_value(element).unwrap_or_default());
        for (_, elements) in element.kind.lists() {
            add_elements(found, &path, elements);
        }
    }
}

fn add(found: &mut Parts, path: &str, mut written: Value) {
    let mut fields = written.as_object_mut().map(std::mem::take).unwrap_or_default();
    let variables = fields.get_mut("variables").and_then(Value::as_object_mut);
    let variables: Map<String, Value> = variables.map(std::mem::take).unwrap_or_default();
    let mut parts: BTreeMap<String, Value> = fields
        .into_iter()
        .filter(|(name, _)| !STRUCTURE.contains(&name.as_str()))
        .map(|(name, value)| (format!("`{name}`"), value))
        .collect();
    parts.extend(
        variables
            .into_iter()
            .map(|(name, value)| (format!("variable `{name}`"), value)),
    );
    found.insert(path.to_owned(), parts);
}
