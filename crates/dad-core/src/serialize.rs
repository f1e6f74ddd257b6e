//! Elements as files have them: the key that says what an element is first, defaults left out.

use std::time::Duration;

use indexmap::IndexMap;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::control::{Conditional, ForEach, Repeat};
use crate::definition::{ComponentBody, Element, ElementKind, ElementOptions, OnError, RetryPolicy, Reuse};

impl Serialize for Element {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.kind.key(), &self.id)?;
        match &self.kind {
            ElementKind::Node(node) => map.serialize_entry("type", &node.node_type)?,
            ElementKind::Callback(callback) => map.serialize_entry("function", &callback.function)?,
            _ => {}
        }
        serialize_options(&self.options, &mut map)?;
        match &self.kind {
            ElementKind::Node(node) => map.serialize_entry("settings", &node.settings)?,
            ElementKind::Callback(callback) => map.serialize_entry("args", &callback.args)?,
            ElementKind::Flow(body) | ElementKind::Subflow(body) | ElementKind::Subagent(body) => {
                serialize_body(body, &mut map)?;
            }
            ElementKind::Conditional(conditional) => serialize_conditional(conditional, &mut map)?,
            ElementKind::ForEach(for_each) => serialize_for_each(for_each, &mut map)?,
            ElementKind::Repeat(repeat) => serialize_repeat(repeat, &mut map)?,
            ElementKind::Parallel(parallel) => {
                some("description", parallel.description.as_ref(), &mut map)?;
                map.serialize_entry("elements", &parallel.elements)?;
            }
        }
        map.end()
    }
}

fn serialize_conditional<M: SerializeMap>(conditional: &Conditional, map: &mut M) -> Result<(), M::Error> {
    some("description", conditional.description.as_ref(), map)?;
    serialize_variables(&conditional.variables, map)?;
    map.serialize_entry("statement", &conditional.statement)?;
    map.serialize_entry("true_branch", &conditional.true_branch)?;
    let otherwise = &conditional.false_branch;
    some(
        "false_branch",
        Some(otherwise).filter(|list| !list.is_empty()),
        map,
    )
}

fn serialize_for_each<M: SerializeMap>(for_each: &ForEach, map: &mut M) -> Result<(), M::Error> {
    let default = ForEach::default();
    some("description", for_each.description.as_ref(), map)?;
    serialize_variables(&for_each.variables, map)?;
    map.serialize_entry("statement", &for_each.statement)?;
    unless_default("item_var", &for_each.item_var, &default.item_var, map)?;
    unless_default("index_var", &for_each.index_var, &default.index_var, map)?;
    unless_default("start_index", &for_each.start_index, &default.start_index, map)?;
    some("max_iterations", for_each.max_iterations.as_ref(), map)?;
    unless_default("on_limit", &for_each.on_limit, &default.on_limit, map)?;
    unless_default("max_concurrency", &for_each.max_concurrency, &1, map)?;
    some("until", for_each.until.as_ref(), map)?;
    map.serialize_entry("body", &for_each.body)
}

fn serialize_repeat<M: SerializeMap>(repeat: &Repeat, map: &mut M) -> Result<(), M::Error> {
    let default = Repeat::default();
    some("description", repeat.description.as_ref(), map)?;
    serialize_variables(&repeat.variables, map)?;
    map.serialize_entry("until", &repeat.until)?;
    map.serialize_entry("max_iterations", &repeat.max_iterations)?;
    unless_default("on_exhausted", &repeat.on_exhausted, &default.on_exhausted, map)?;
    unless_default("index_var", &repeat.index_var, &default.index_var, map)?;
    map.serialize_entry("body", &repeat.body)
}

fn some<M: SerializeMap>(key: &str, value: Option<&impl Serialize>, map: &mut M) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, value))
}

fn unless_default<M: SerializeMap, T: Serialize + PartialEq>(
    key: &str,
    value: &T,
    default: &T,
    map: &mut M,
) -> Result<(), M::Error> {
    some(key, Some(value).filter(|value| *value != default), map)
}

fn serialize_variables<M: SerializeMap>(
    variables: &IndexMap<String, Value>,
    map: &mut M,
) -> Result<(), M::Error> {
    some(
        "variables",
        Some(variables).filter(|variables| !variables.is_empty()),
        map,
    )
}

fn serialize_body<M: SerializeMap>(body: &ComponentBody, map: &mut M) -> Result<(), M::Error> {
    some("description", body.description.as_ref(), map)?;
    some("io_description", body.io_description.as_ref(), map)?;
    serialize_variables(&body.variables, map)?;
    map.serialize_entry("elements", &body.elements)?;
    some(
        "finally",
        Some(&body.finally).filter(|list| !list.is_empty()),
        map,
    )
}

/// For the root, whose options stand beside its other keys.
impl Serialize for ElementOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        serialize_options(self, &mut map)?;
        map.end()
    }
}

fn serialize_options<M: SerializeMap>(options: &ElementOptions, map: &mut M) -> Result<(), M::Error> {
    if !options.pre_events.is_empty() {
        map.serialize_entry("pre_events", &options.pre_events)?;
    }
    if !options.post_events.is_empty() {
        map.serialize_entry("post_events", &options.post_events)?;
    }
    if let Some(timeout) = options.timeout {
        map.serialize_entry("timeout", &seconds(timeout))?;
    }
    if let Some(retry) = &options.retry {
        map.serialize_entry("retry", &retry_value(retry))?;
    }
    if options.on_error != OnError::default() {
        map.serialize_entry("on_error", options.on_error.as_str())?;
    }
    if options.reuse != Reuse::default() {
        map.serialize_entry("reuse", options.reuse.as_str())?;
    }
    if options.requires_approval {
        map.serialize_entry("requires_approval", &true)?;
    }
    if let Some(budget) = &options.budget {
        map.serialize_entry("budget", budget)?;
    }
    Ok(())
}

/// Seconds as a number, whole where they are whole.
fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 {
        duration.as_secs().into()
    } else {
        duration.as_secs_f64().into()
    }
}

fn retry_value(retry: &RetryPolicy) -> Value {
    let mut value = serde_json::json!({
        "max_attempts": retry.max_attempts,
        "initial_delay": seconds(retry.initial_delay),
        "max_delay": seconds(retry.max_delay),
    });
    if !retry.when.is_empty() {
        value["when"] = retry.when.clone().into();
    }
    if retry.repeat_effects {
        value["repeat_effects"] = true.into();
    }
    value
}
