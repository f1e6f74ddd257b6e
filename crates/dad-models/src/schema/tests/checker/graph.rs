//! Circles of references.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Node, Whole};

/// The references of each definition, and of the root under the empty name, that `counts` lets count.
pub(super) fn edges<'a>(
    whole: &'a Whole<'a>,
    counts: fn(&Whole<'_>, &Node<'_>) -> bool,
) -> HashMap<String, HashSet<String>> {
    let mut edges: HashMap<String, HashSet<String>> = HashMap::new();
    for node in &whole.nodes {
        let Some(reference) = node.map.get("$ref").and_then(Value::as_str) else {
            continue;
        };
        if !counts(whole, node) {
            continue;
        }
        let own = match node.path.as_slice() {
            [defs, name, ..] if defs == "$defs" => {
                format!("#/$defs/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            _ => String::new(),
        };
        edges.entry(own).or_default().insert(reference.to_owned());
    }
    edges
}

/// Whether a circle remains when the definitions without references to others are taken away again and again.
pub(super) fn has_circle(mut edges: HashMap<String, HashSet<String>>) -> bool {
    loop {
        let names: HashSet<String> = edges.keys().cloned().collect();
        let before = edges.len();
        edges.retain(|_, to| to.iter().any(|to| names.contains(to)));
        if edges.is_empty() {
            return false;
        }
        if edges.len() == before {
            return true;
        }
    }
}
