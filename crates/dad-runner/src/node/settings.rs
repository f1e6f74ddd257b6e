//! Reading settings and inputs as the types of a node.

use dad_core::{
    internal::{in_words, is_about_a_type},
    nearest,
};
use dad_definition::{SettingsProblem, TemplateTree};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::node::common_settings::without_common;
use crate::node::traits::Node;

/// The field of every input that changes settings.
const OVERRIDE: &str = "settings_override";

/// The schema of a type; that of `()` allows an object without fields, because a definition cannot write null there.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    let schema: Value = SchemaGenerator::new(SchemaSettings::draft2020_12())
        .into_root_schema_for::<T>()
        .into();
    if schema["type"] == "null" {
        json!({ "type": "object", "properties": {}, "additionalProperties": false })
    } else {
        schema
    }
}

/// Reads JSON as a type; the error says which field does not fit, as its schema says it. An object without fields may also
/// stand for `()`.
pub(crate) fn read<T: DeserializeOwned + JsonSchema>(value: &Value) -> Result<T, String> {
    let reported = |error: serde_path_to_error::Error<serde_json::Error>| {
        let path = error.path().to_string();
        let by_schema =
            is_about_a_type(error.inner()).then(|| dad_definition::misfits(&schema::<T>(), value));
        let (path, message) = match by_schema.into_iter().flatten().next() {
            Some(misfit) => (misfit.place, misfit.message),
            None if path == "." => (String::new(), in_words(error.inner())),
            None => (path, in_words(error.inner())),
        };
        match path.as_str() {
            "" => message,
            path => format!("`{path}`: {message}"),
        }
    };
    match serde_path_to_error::deserialize(value) {
        Ok(read) => Ok(read),
        Err(error) => match value.as_object() {
            Some(fields) if fields.is_empty() => T::deserialize(Value::Null).map_err(|_| reported(error)),
            _ => Err(reported(error)),
        },
    }
}

/// Reads rendered settings; those that every node may have are taken off before.
pub(crate) fn settings_of<N: Node>(settings: &Value) -> Result<N::Settings, String> {
    let own = without_common(settings);
    read(own.as_ref().unwrap_or(settings))
}

/// Reads an input; `settings_override` belongs to every input and is taken off before.
pub(crate) fn input_of<N: Node>(input: &Value) -> Result<N::Input, String> {
    let fields = input.as_object().ok_or("an input must be an object")?;
    if let Some(patch) = fields.get(OVERRIDE) {
        let patch = patch
            .as_object()
            .ok_or_else(|| format!("`{OVERRIDE}` must be an object"))?;
        check_names(&schema::<N::Settings>(), patch, "settings_override.")?;
        check_given::<N>(patch.keys(), "settings_override.")?;
    }
    let mut rest = fields.clone();
    rest.remove(OVERRIDE);
    read(&Value::Object(rest))
}

/// Refuses settings that only a definition can give.
pub(crate) fn check_given<'a, N: Node>(
    mut given: impl Iterator<Item = &'a String>,
    within: &str,
) -> Result<(), String> {
    match given.find(|name| N::DEFINITION_ONLY.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(format!("`{within}{name}`: only the definition can give it")),
    }
}

/// Refuses settings that a schema does not have.
pub(crate) fn check_names(schema: &Value, given: &Map<String, Value>, within: &str) -> Result<(), String> {
    let Some(known) = schema["properties"].as_object() else {
        return Ok(());
    };
    if schema["additionalProperties"] != false {
        return Ok(());
    }
    let names = || known.keys().map(String::as_str);
    match given.keys().find(|name| !known.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(match nearest(name, names()) {
            Some(near) => format!("`{within}{name}`: there is no such setting; did you mean `{near}`?"),
            None => format!(
                "`{within}{name}`: there is no such setting; there are: {}",
                names().collect::<Vec<_>>().join(", ")
            ),
        }),
    }
}

/// Reads settings whose templates are not rendered: a template stays as its text where the type has a text; where it has
/// none, it counts as left out. `None` if that is no way to read them.
pub(crate) fn unrendered<N: Node>(settings: &TemplateTree) -> Option<N::Settings> {
    let whole = settings.unrendered();
    let mut fields = without_common(&whole).unwrap_or(whole);
    let templates = settings.templates();
    loop {
        let error = match serde_path_to_error::deserialize::<_, N::Settings>(&fields) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let holds_template = |place: &str| templates.iter().any(|(template, _)| is_within(template, place));
        let place = error.path().to_string();
        if !holds_template(&place) || !leave_out(&mut fields, &place, &holds_template) {
            return None;
        }
    }
}

/// Leaves out the fields of an object that hold templates, or what else stands at a place, with the list around it if it is
/// an item. Says whether there was one.
fn leave_out(settings: &mut Value, place: &str, holds_template: &dyn Fn(&str) -> bool) -> bool {
    let pointer = |place: &str| format!("/{}", place.replace(['.', '['], "/").replace(']', ""));
    if let Some(Value::Object(fields)) = settings.pointer_mut(&pointer(place)) {
        let before = fields.len();
        fields.retain(|name, _| !holds_template(&format!("{place}.{name}")));
        return fields.len() < before;
    }
    let field = place.trim_end_matches(|c: char| c == ']' || c == '[' || c.is_ascii_digit());
    let field = if place.ends_with(']') { field } else { place };
    let pointer = pointer(field);
    let around = pointer.rsplit_once('/');
    let removed = around.and_then(|(around, name)| {
        let fields = settings.pointer_mut(around)?.as_object_mut()?;
        fields.shift_remove(name)
    });
    removed.is_some()
}

/// Whether a place is another one, or stands in it.
fn is_within(place: &str, other: &str) -> bool {
    let rest = place.strip_prefix(other);
    rest.is_some_and(|rest| other.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Problems of settings whose templates are not rendered, except of places that hold one.
pub(crate) fn problems<N: Node>(settings: &TemplateTree) -> Vec<SettingsProblem> {
    let Some(read) = unrendered::<N>(settings) else {
        return Vec::new();
    };
    let mut problems = N::check(&read);
    let templates = settings.templates();
    problems.retain(|problem| {
        let holds = |(template, _): &(String, _)| is_within(template, &problem.place);
        !templates.iter().any(holds)
    });
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_a_template_is_left_out() {
        let left = |place: &str| {
            let mut value = json!({ "a": [{ "b": 1, "c": "$" }, "$"], "d1": "$" });
            let templates = ["a[0].c", "a[1]", "d1"];
            let is_left = leave_out(&mut value, place, &|place| {
                templates.iter().any(|template| is_within(template, place))
            });
            (is_left, value)
        };
        assert_eq!(left("d1"), (true, json!({ "a": [{ "b": 1, "c": "$" }, "$"] })));
        assert_eq!(left("a[1]"), (true, json!({ "d1": "$" })));
        assert_eq!(left("a[0]"), (true, json!({ "a": [{ "b": 1 }, "$"], "d1": "$" })));
        assert!(!left("e.f").0);
        assert!(is_within("a[0].b", "a[0]") && is_within("a", "a") && !is_within("ab", "a"));
    }
}
