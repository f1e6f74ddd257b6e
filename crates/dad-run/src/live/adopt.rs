//! The definition that a run executes, made from the one that a caller gives.

use std::borrow::Cow;

use dad_core::{Definition, SecretRegistry};
use dad_definition::load_str;

use crate::error::RunError;

/// The definition as a run executes and records it: it asks the models that were chosen for the run, and holds none of the
/// known secrets, by `$file` or as they are, because it is a file of the run.
///
/// # Errors
/// If it cannot be read without the secrets in it.
pub fn adopted<'d>(
    definition: &'d Definition,
    models: &[String],
    secrets: &SecretRegistry,
) -> Result<Cow<'d, Definition>, RunError> {
    let mut adopted = Cow::Borrowed(definition);
    if !models.is_empty() {
        adopted.to_mut().ask_models(models);
    }
    let redactor = secrets.redactor();
    if redactor.is_empty() {
        return Ok(adopted);
    }
    let unreadable = |error: serde_json::Error| RunError::unreadable("definition", error);
    let original = serde_json::to_value(&*adopted).map_err(unreadable)?;
    let mut masked = original.clone();
    redactor.redact_json(&mut masked);
    if masked == original {
        return Ok(adopted);
    }
    let loaded = load_str(&masked.to_string(), "definition", None, None)?;
    Ok(Cow::Owned(loaded.definition))
}
