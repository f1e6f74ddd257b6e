//! Settings against what is known of their node type.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::compile::schema::{Checker, Finding};
use crate::compile::view::View;
use crate::node_types::{NodeTypeInfo, SettingsProblem};
use crate::place::Place;
use crate::tree::TemplateTree;

/// Reports the problems of a node's settings, without those of places that are settled.
pub(super) fn settings(
    info: &NodeTypeInfo,
    settings: &TemplateTree,
    place: &Place,
    settled: &mut HashSet<String>,
) -> Vec<Finding> {
    let view = View::of(settings);
    let mut findings = Vec::new();
    for (key, schema) in common_settings() {
        let declared = info
            .settings_schema
            .get("properties")
            .is_some_and(|properties| properties.get(key).is_some());
        let Some(field) = view.field(key).filter(|_| !declared) else {
            continue;
        };
        let place = place.key(key);
        let mut found = Checker::new(&schema, settled).check(field, &place);
        if key == "record_settings" && !found.is_empty() {
            let message = "`record_settings` may only be `{ outcome: { file_format: text } }`: \
                           all runs have one layout, so that every tool can read them";
            found = vec![Finding::at_key("unsupported_setting", message.to_owned(), &place)];
        }
        findings.extend(found);
        settled.insert(place.to_string());
    }
    findings.extend(Checker::new(&info.settings_schema, settled).check(view, place));
    findings
}

/// The problems of a value by a JSON Schema, as `schemars` makes it; none where it says nothing about the value. A type that
/// refuses a value says it in the words of its program, this in those of definitions.
#[must_use]
pub fn misfits(schema: &Value, value: &Value) -> Vec<SettingsProblem> {
    let nothing = HashSet::new();
    let findings = Checker::new(schema, &nothing).check(View::Json(value), &Place::root());
    findings.into_iter().map(Finding::into_settings_problem).collect()
}

/// Reports the problems of a callback's arguments.
pub(super) fn args(
    schema: &Value,
    args: &TemplateTree,
    place: &Place,
    broken: &HashSet<String>,
) -> Vec<Finding> {
    Checker::new(schema, broken).check(View::of(args), place)
}

/// Whether an object of this schema must have something in it.
pub(crate) fn is_refused_when_empty(schema: &Value) -> bool {
    let (empty, nothing) = (json!({}), HashSet::new());
    !Checker::new(schema, &nothing)
        .check(View::Json(&empty), &Place::root())
        .is_empty()
}

/// The settings that every node may have, whatever its type.
pub(crate) fn common_settings() -> [(&'static str, Value); 3] {
    let seconds = |description| json!({ "description": description, "type": "number", "minimum": 0 });
    let record = json!({
        "description": "Only the layout that all runs have.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "outcome": {
                "type": "object",
                "additionalProperties": false,
                "properties": { "file_format": { "const": "text" } },
            },
        },
    });
    [
        ("sleep_before", seconds("Seconds to wait before it executes.")),
        ("sleep_after", seconds("Seconds to wait after it executed.")),
        ("record_settings", record),
    ]
}
