//! Secrets in the texts of settings. The compiler takes the texts apart, as the definition has them; what a template or an
//! input puts there is never read as the name of a secret.

use std::collections::BTreeMap;

use dad_definition::SettingsProblem;
use dad_runner::{NodeContext, NodeError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::settings::problem;
use crate::http::HttpNodeSettings;
use crate::secret_text::{self, SecretPiece};

/// The texts with secrets below some settings, taken apart, by their JSON pointers. The address is taken apart by itself.
pub(super) fn pieces(unrendered: &Value, within: &[&str]) -> Value {
    let mut found = Map::new();
    for (pointer, text) in texts_below(unrendered) {
        if is_within(&pointer, within)
            && pointer != "/url"
            && let Some(Ok(pieces)) = secret_text::pieces(text)
        {
            found.insert(pointer, pieces);
        }
    }
    found.into()
}

/// Secrets that are misnamed, or that stand where no secret may.
pub(super) fn problems(unrendered: &Value, within: &[&str]) -> Vec<SettingsProblem> {
    let found = texts_below(unrendered).into_iter().filter_map(|(pointer, text)| {
        let named = secret_text::pieces(text)?;
        let place = pointer.trim_start_matches('/').replace('/', ".");
        match named {
            // The address has a problem of its own for it.
            Err(_) if pointer == "/url" => None,
            Err(message) => Some(problem(place, "secret", message)),
            Ok(_) if is_within(&pointer, within) => None,
            Ok(_) => Some(problem(
                place,
                "secret",
                format!("`$secret{{}}` is only for `{}`", within.join("`, `")),
            )),
        }
    });
    found.collect()
}

/// The secrets that are named below some settings, each as it is written there.
pub(super) fn named(settings: &Value, within: &[&str]) -> Vec<String> {
    let texts = texts_below(settings).into_iter();
    let texts = texts.filter(|(pointer, _)| is_within(pointer, within));
    texts.flat_map(|(_, text)| secret_text::named(text)).collect()
}

/// The texts of settings in which a secret may be named.
pub(super) fn texts(settings: &HttpNodeSettings) -> Vec<String> {
    let settings = json!(settings);
    texts_below(&settings)
        .into_iter()
        .map(|(_, text)| text.to_owned())
        .collect()
}

/// Refuses names of secrets in settings that no compiler has read: whose they are is not known.
pub(super) fn refuse(settings: &HttpNodeSettings) -> Result<(), NodeError> {
    let is_named = |text: &String| matches!(secret_text::pieces(&dad_template::escape(text)), Some(Ok(_)));
    match texts(settings).iter().any(is_named) {
        true => {
            let message =
                "`$secret{}` counts only in the settings of an `http` node itself, not in those of a tool";
            Err(NodeError::new("secret", message).permanent())
        }
        false => Ok(()),
    }
}

/// The rendered pieces.
pub(super) fn read(pieces: &Value) -> Result<BTreeMap<String, Vec<SecretPiece>>, serde_json::Error> {
    BTreeMap::deserialize(pieces)
}

/// The settings with the values of their secrets, which from now on are masked. A text that is another one by now is data.
pub(super) fn with_secrets(
    settings: &HttpNodeSettings,
    secrets: &BTreeMap<String, Vec<SecretPiece>>,
    cx: &NodeContext,
) -> Result<HttpNodeSettings, NodeError> {
    if secrets.is_empty() {
        return Ok(settings.clone());
    }
    let mut resolved = json!(settings);
    for (pointer, pieces) in secrets {
        let shown = secret_text::shown(pieces);
        if let Some(text) = resolved.pointer_mut(pointer)
            && text.as_str() == Some(&shown)
        {
            *text = secret_text::resolve(pieces, cx)?.into();
        }
    }
    serde_json::from_value(resolved).map_err(|error| NodeError::from_error("settings", &error).permanent())
}

fn is_within(pointer: &str, within: &[&str]) -> bool {
    let setting = pointer.split('/').nth(1).unwrap_or_default();
    within.contains(&setting)
}

/// All texts in a value, with their JSON pointers.
fn texts_below(value: &Value) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((at, value)) = open.pop() {
        match value {
            Value::String(text) => found.push((at, text.as_str())),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                open.extend(items.map(|(index, item)| (format!("{at}/{index}"), item)));
            }
            Value::Object(fields) => {
                let name = |name: &String| name.replace('~', "~0").replace('/', "~1");
                open.extend(
                    fields
                        .iter()
                        .map(|(key, field)| (format!("{at}/{}", name(key)), field)),
                );
            }
            _ => {}
        }
    }
    found.sort();
    found
}
