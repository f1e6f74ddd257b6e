//! The references of a schema.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// The targets of references, each with whether it belongs to a circle: those that remain when schemas that lead to no
/// other, and then schemas that no other leads to, are taken away again and again.
pub(super) fn circles(root: &Value) -> HashMap<String, bool> {
    let mut edges: HashMap<String, HashSet<String>> = HashMap::new();
    let mut next = vec![String::new()];
    while let Some(pointer) = next.pop() {
        if edges.contains_key(&pointer) {
            continue;
        }
        let found = root
            .pointer(&pointer)
            .map(|schema| references(schema, pointer.is_empty()));
        let found: HashSet<String> = found
            .unwrap_or_default()
            .into_iter()
            .filter(|to| root.pointer(to).is_some())
            .collect();
        next.extend(found.iter().cloned());
        edges.insert(pointer, found);
    }
    let mut backwards: HashMap<String, HashSet<String>> = HashMap::new();
    for (from, to) in &edges {
        for to in to {
            backwards.entry(to.clone()).or_default().insert(from.clone());
        }
    }
    let mut alive: HashSet<&String> = edges.keys().collect();
    trim(&mut alive, &edges, &backwards);
    trim(&mut alive, &backwards, &edges);
    let alive: HashSet<String> = alive.into_iter().cloned().collect();
    edges
        .into_keys()
        .map(|pointer| {
            let is_alive = alive.contains(&pointer);
            (pointer, is_alive)
        })
        .collect()
}

/// Takes away the schemas without a living successor.
fn trim<'m>(
    alive: &mut HashSet<&'m String>,
    forward: &'m HashMap<String, HashSet<String>>,
    backward: &'m HashMap<String, HashSet<String>>,
) {
    let mut degrees: HashMap<&String, usize> = HashMap::new();
    let mut ends = Vec::new();
    for node in alive.iter().copied() {
        let degree = forward
            .get(node)
            .map_or(0, |to| to.iter().filter(|to| alive.contains(to)).count());
        degrees.insert(node, degree);
        if degree == 0 {
            ends.push(node);
        }
    }
    while let Some(end) = ends.pop() {
        alive.remove(end);
        for before in backward.get(end).into_iter().flatten() {
            if let Some(degree) = degrees.get_mut(before) {
                *degree = degree.saturating_sub(1);
                if *degree == 0 && alive.contains(before) {
                    ends.push(before);
                }
            }
        }
    }
}

/// The pointers of the references in a schema; of the root without its definitions.
pub(super) fn references(schema: &Value, is_root: bool) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut next = Vec::new();
    match schema {
        Value::Object(map) if is_root => {
            let own = map
                .iter()
                .filter(|(key, _)| *key != "$defs" && *key != "definitions");
            next.extend(own.map(|(_, value)| value));
            found.extend(map.get("$ref").and_then(|reference| resolved(reference).ok()));
        }
        other => next.push(other),
    }
    while let Some(value) = next.pop() {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(|reference| resolved(reference).ok()));
                next.extend(map.values());
            }
            Value::Array(values) => next.extend(values),
            _ => {}
        }
    }
    found
}

/// The pointer of a reference within the schema.
///
/// # Errors
/// If it leads elsewhere.
pub(super) fn resolved(reference: &Value) -> Result<String, String> {
    let text = reference
        .as_str()
        .ok_or_else(|| format!("`$ref` is a text, not `{reference}`"))?;
    match text.strip_prefix('#') {
        Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => Ok(unescaped(pointer)),
        _ => Err(format!(
            "`$ref` leads to `{text}`, and only places of the same schema are known: put it below `$defs`"
        )),
    }
}

/// A URI fragment without its percent escapes.
fn unescaped(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
