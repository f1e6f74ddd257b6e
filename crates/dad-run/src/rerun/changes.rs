//! The differences between a step and its predecessor in the previous run, kept in case that run is removed.

use std::collections::BTreeMap;

use dad_events::Origin;
use derive_setters::Setters;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::format;
use crate::rerun::diff_excerpt::shorten_diff;

/// Texts above this length, or of several lines, are shown as a diff.
const SHORT: usize = 120;
/// Longer lines of a diff are kept around what differs, in characters: a whole one may leave no place for what it became.
const LONGEST_LINE: usize = 4096;
/// No diff is longer, in bytes: it is an explanation, the values themselves stand in the results.
const LONGEST_DIFF: usize = 64 * 1024;

/// The content of `changes.json` of a step that executed because something changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Changes {
    /// Version of the format.
    pub schema_version: u32,
    /// The step of the previous run.
    pub compared_with: Origin,
    /// The differences; run ids and directories stand as the names of their variables.
    pub changes: Vec<Change>,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// Its kind.
    pub kind: ChangeKind,
    /// Which one: a field such as `prompt[0].text`, or the name of something read; empty for a value that has no fields.
    pub name: String,
    /// The earlier value, as JSON or, of texts, as it is; left out if there was none or the difference shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The kind it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Of long texts: a unified diff; of very long lines what differs and some text around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// The type of the node.
    NodeType,
    /// The version of the node's type: the same settings do something else.
    Version,
    /// A rendered setting.
    Setting,
    /// A field of the input.
    Input,
    /// Something that is read, such as a file.
    Read,
    /// A field of the outcome, where two runs are compared.
    Outcome,
    /// A field of the run's output, where two runs are compared.
    Output,
    /// A file that the node made besides its result, where two runs are compared.
    MadeFile,
    /// A setting of the run, where two runs are compared.
    RunSetting,
    /// A variable that the run was given, where two runs are compared.
    Variable,
    /// A kind this version does not know.
    #[serde(other)]
    Unknown,
}

impl ChangeKind {
    /// The word that people read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NodeType => "node type",
            Self::Version => "version",
            Self::Setting => "setting",
            Self::Input => "input",
            Self::Read => "file",
            Self::Outcome => "outcome",
            Self::Output => "output",
            Self::MadeFile => "made file",
            Self::RunSetting => "run setting",
            Self::Variable => "variable",
            Self::Unknown => "something",
        }
    }
}

/// The parts of a step that are compared.
#[derive(Clone, Debug, Default, Setters)]
#[non_exhaustive]
pub struct Compared {
    /// The type of its node.
    pub node_type: String,
    /// Its settings, rendered.
    pub settings: Value,
    /// Its input.
    pub input: Value,
    /// Its reads, by name.
    pub reads: BTreeMap<String, String>,
}

impl Changes {
    /// Compares a step with what it was. Secrets are to be masked in both: long lines are cut, and what is left of a
    /// secret behind a cut is not recognised.
    #[must_use]
    pub fn between(compared_with: Origin, before: &Compared, after: &Compared) -> Self {
        let mut changes = Change::all_between(before, after);
        if changes.is_empty() {
            // All else that a fingerprint is made of is equal.
            changes.push(Change::of(ChangeKind::Version, &after.node_type, None, None));
        }
        Self {
            schema_version: format::CHANGES,
            compared_with,
            changes,
        }
    }
}

fn differences(
    kind: ChangeKind,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    changes: &mut Vec<Change>,
) {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    for name in after.keys().chain(gone) {
        let (before, after) = (before.get(name), after.get(name));
        if before != after {
            changes.push(Change::of(
                kind,
                name,
                before.map(String::as_str),
                after.map(String::as_str),
            ));
        }
    }
}

impl Change {
    /// The differences of type, settings, input and reads.
    pub(crate) fn all_between(before: &Compared, after: &Compared) -> Vec<Self> {
        let mut changes = Vec::new();
        // The original system did not write it down.
        if before.node_type != after.node_type && !before.node_type.is_empty() {
            let (before, after) = (before.node_type.as_str(), after.node_type.as_str());
            changes.push(Self::of(ChangeKind::NodeType, "type", Some(before), Some(after)));
        }
        for (kind, before, after) in [
            (ChangeKind::Setting, &before.settings, &after.settings),
            (ChangeKind::Input, &before.input, &after.input),
        ] {
            changes.extend(Self::of_values(kind, before, after));
        }
        differences(ChangeKind::Read, &before.reads, &after.reads, &mut changes);
        changes
    }

    /// The parts of two JSON values that differ.
    pub(crate) fn of_values(kind: ChangeKind, before: &Value, after: &Value) -> Vec<Self> {
        Self::of_names(kind, &leaves(before), &leaves(after))
    }

    /// The names whose values differ.
    pub(crate) fn of_names(
        kind: ChangeKind,
        before: &BTreeMap<String, String>,
        after: &BTreeMap<String, String>,
    ) -> Vec<Self> {
        let mut changes = Vec::new();
        differences(kind, before, after, &mut changes);
        changes
    }

    fn of(kind: ChangeKind, name: &str, before: Option<&str>, after: Option<&str>) -> Self {
        let is_long = |text: Option<&str>| text.is_some_and(|text| text.len() > SHORT || text.contains('\n'));
        let name = name.to_owned();
        if is_long(before) || is_long(after) {
            return Self {
                kind,
                name,
                before: None,
                after: None,
                diff: Some(unified(before.unwrap_or_default(), after.unwrap_or_default())),
            };
        }
        Self {
            kind,
            name,
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            diff: None,
        }
    }
}

fn unified(before: &str, after: &str) -> String {
    let diff = similar::TextDiff::from_lines(before, after);
    let whole = diff
        .unified_diff()
        .context_radius(2)
        .missing_newline_hint(false)
        .to_string();
    let mut text = shorten_diff(&whole, LONGEST_LINE);
    if text.len() > LONGEST_DIFF {
        let end = (0..=LONGEST_DIFF).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push_str("\n… more differs\n");
    }
    text
}

/// The parts of a JSON value that have no parts, by their place.
fn leaves(value: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    collect(value, String::new(), &mut found);
    found
}

fn collect(value: &Value, place: String, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let place = match place.as_str() {
                    "" => key.clone(),
                    around => format!("{around}.{key}"),
                };
                collect(value, place, found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                collect(value, format!("{place}[{index}]"), found);
            }
        }
        Value::String(text) => {
            found.insert(place, text.clone());
        }
        Value::Null if place.is_empty() => {}
        other => {
            found.insert(place, other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ChangeKind, Changes, Compared, Origin};

    fn kinds(before: &str, after: &str) -> Vec<ChangeKind> {
        let compared = |node_type: &str, prompt: &str| Compared {
            node_type: node_type.to_owned(),
            settings: json!({ "prompt": prompt }),
            ..Compared::default()
        };
        let origin = Origin::new("run_1".parse().unwrap(), "root.step".parse().unwrap());
        let found = Changes::between(origin, &compared(before, "a"), &compared(after, "b"));
        found.changes.iter().map(|change| change.kind).collect()
    }

    #[test]
    fn a_node_type_that_was_not_recorded_is_no_other_one() {
        assert_eq!(
            kinds("command", "callback"),
            [ChangeKind::NodeType, ChangeKind::Setting]
        );
        assert_eq!(kinds("", "command"), [ChangeKind::Setting]);
    }
}
