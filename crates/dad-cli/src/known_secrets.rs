use dad_core::{Definition, SecretRegistry};
use dad_terminal::print_line;

use crate::error::CommandError;

/// A definition without the keys that stand in it, by `$file` or as they are, `None` if there are none: it is a file of the
/// run, and the run sees what stands there.
pub(crate) fn without_keys(
    definition: &Definition,
    secrets: &SecretRegistry,
) -> Result<Option<Definition>, CommandError> {
    let unreadable = |reason: String| CommandError::usage("definition", reason);
    let original = serde_json::to_value(definition).map_err(|error| unreadable(error.to_string()))?;
    let mut masked = original.clone();
    secrets.redactor().redact_json(&mut masked);
    if masked == original {
        return Ok(None);
    }
    print_line(
        "warning: a key stands in the definition; the run sees `[redacted]` in its place: leave keys to the credentials \
         file or the environment",
    );
    let loaded = dad_definition::load_str(&masked.to_string(), "definition", None, None);
    let masked = loaded.map_err(|problems| unreadable(problems.to_string()))?;
    Ok(Some(masked.definition))
}
