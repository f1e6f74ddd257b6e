//! Answers in a shape, and files in answers.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dad_core::{Digest, Redactor};
use dad_fs::Durability;
use dad_models::{ModelResponse, ResponseFile};
use dad_run::layout::CUSTOM_ARTIFACTS;
use dad_runner::{NodeContext, NodeError};
use serde_json::{Value, json};

use crate::ai_model::AIModelNodeSettings;
use crate::file_operation::FileOperation;

/// How often an answer that does not obey its schema is asked for again.
pub(super) const REPAIRS: u32 = 2;

/// How many problems of an answer are told.
const TOLD: usize = 5;

/// The name of the schema of operations that a `file_operation` node makes.
const FILE_OPERATIONS: &str = "builtin:file_operations";

/// The shape that an answer must have.
pub(super) struct StructuredSchema {
    schema: Value,
    validator: jsonschema::Validator,
    /// How often an answer that does not obey it is asked for again.
    pub(super) repairs: u32,
}

impl StructuredSchema {
    pub(super) fn new(written: &Value, repairs: u32) -> Result<Self, NodeError> {
        let schema = match written.as_str() {
            None => written.clone(),
            Some(FILE_OPERATIONS) => file_operations(),
            Some(other) => {
                return Err(wrong(&format!(
                    "`{other}` is not known; there is `{FILE_OPERATIONS}`"
                )));
            }
        };
        let validator = jsonschema::validator_for(&schema).map_err(|error| wrong(&error.to_string()))?;
        Ok(Self {
            schema,
            validator,
            repairs,
        })
    }

    /// The schema as the model is given it.
    pub(super) fn for_model(&self) -> &Value {
        &self.schema
    }

    /// Reads an answer as JSON, also out of a code fence, and checks it. The error is for the model.
    pub(super) fn read(&self, text: &str) -> Result<Value, String> {
        let value: Value =
            parse(text).map_err(|error| format!("the answer is not the JSON that was asked for: {error}"))?;
        match misfits(&self.validator, &value, TOLD) {
            None => Ok(value),
            Some(misfits) => Err(format!("the answer does not obey its schema: {misfits}")),
        }
    }
}

/// In what a value does not obey a schema, for the model that made it; `None` if it does.
pub(super) fn misfits(validator: &jsonschema::Validator, value: &Value, most: usize) -> Option<String> {
    let errors = validator.iter_errors(value).take(most);
    let told: Vec<String> = errors
        .map(|error| format!("at `{}`: {error}", error.instance_path()))
        .collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn wrong(reason: &str) -> NodeError {
    NodeError::new(
        "settings",
        format!("the schema of `structured_output` is wrong: {reason}"),
    )
    .permanent()
}

fn file_operations() -> Value {
    let operation: Value = schemars::schema_for!(Vec<FileOperation>).into();
    let mut schema = json!({
        "type": "object",
        "required": ["file_operations"],
        "additionalProperties": false,
        "properties": { "file_operations": { "type": "array", "items": operation["items"] } },
    });
    if let Some(definitions) = operation.get("$defs") {
        schema["$defs"] = definitions.clone();
    }
    schema
}

/// JSON as it is, else in the first code fence.
fn parse(text: &str) -> Result<Value, serde_json::Error> {
    let whole = serde_json::from_str(text.trim());
    match (whole, fenced(text)) {
        (Err(_), Some(inside)) => serde_json::from_str(inside),
        (whole, _) => whole,
    }
}

/// What stands in the first code fence.
fn fenced(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("```")?;
    // The word behind the fence says what is in it.
    let (_, inside) = rest.split_once('\n')?;
    let (inside, _) = inside.split_once("```")?;
    Some(inside.trim())
}

/// Masks secrets in the files of an answer. As base64, as they would be masked otherwise, nothing could be read of them.
pub(super) fn mask_files(response: &mut ModelResponse, redactor: &Redactor) {
    for file in &mut response.files {
        // What is no base64 is told when it is to be kept.
        if let Ok(bytes) = BASE64_STANDARD.decode(&file.base64)
            && let Cow::Owned(masked) = redactor.redact_bytes(&bytes)
        {
            file.base64 = BASE64_STANDARD.encode(masked);
        }
    }
}

/// Keeps the files of an answer among the artifacts of the step, and says what they are.
pub(super) fn save_files(
    settings: &AIModelNodeSettings,
    response: &ModelResponse,
    cx: &NodeContext,
) -> Result<Vec<Value>, NodeError> {
    let keep = settings.save_generated_bytes.unwrap_or(true);
    let files = response.files.iter().enumerate();
    files
        .map(|(index, file)| {
            let bytes = BASE64_STANDARD
                .decode(&file.base64)
                .map_err(|error| NodeError::from_error("model_answer", &error))?;
            let mut told = json!({
                "media_type": file.media_type,
                "len": bytes.len(),
                "blake3": Digest::of(&bytes),
            });
            if keep {
                told["path"] = save(settings, index, file, &bytes, cx)?.into();
            }
            Ok(told)
        })
        .collect()
}

/// Writes a file, and says where it lies in the step.
fn save(
    settings: &AIModelNodeSettings,
    index: usize,
    file: &ResponseFile,
    bytes: &[u8],
    cx: &NodeContext,
) -> Result<String, NodeError> {
    let prefix = settings
        .bytes_save_filename_prefix
        .as_deref()
        .unwrap_or("generated_");
    let name = format!("{prefix}{}.{}", index + 1, extension(&file.media_type));
    let mut place = cx.artifacts()?;
    let mut shown = CUSTOM_ARTIFACTS.to_owned();
    if let Some(directory) = settings
        .bytes_save_path
        .as_deref()
        .filter(|path| !path.is_empty())
    {
        // A path that leads out is refused by the directory.
        place = place.create_dir_all(directory)?;
        shown = format!("{shown}/{directory}");
    }
    if name.contains(['/', '\\']) {
        let message = format!("`bytes_save_filename_prefix` makes the name `{name}`, which is a path");
        return Err(NodeError::new("settings", message).permanent());
    }
    place.write_new(&name, bytes, Durability::Process)?;
    Ok(format!("{shown}/{name}"))
}

fn extension(media_type: &str) -> &str {
    match media_type {
        "image/jpeg" => "jpg",
        "image/svg+xml" => "svg",
        "text/plain" => "txt",
        "audio/mpeg" => "mp3",
        other => {
            let subtype = other.rsplit_once('/').map_or("bin", |(_, subtype)| subtype);
            match subtype.chars().all(|c| c.is_ascii_alphanumeric()) && !subtype.is_empty() {
                true => subtype,
                false => "bin",
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_out_of_a_fence_and_checked() {
        let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        let schema = StructuredSchema::new(&schema, 0).unwrap_or_else(|error| panic!("{error}"));
        for text in [
            "{\"n\": 1}",
            "```json\n{\"n\": 1}\n```",
            "Here it is:\n```\n{\"n\": 1}\n```\nDone.",
        ] {
            assert_eq!(schema.read(text), Ok(json!({"n": 1})), "{text}");
        }
        assert!(schema.read("{\"n\": \"x\"}").unwrap_err().contains("`/n`"));
        assert!(
            schema
                .read("no")
                .unwrap_err()
                .starts_with("the answer is not the JSON")
        );
    }

    #[test]
    fn file_operations_have_a_schema_of_their_own() {
        let schema =
            StructuredSchema::new(&json!(FILE_OPERATIONS), 0).unwrap_or_else(|error| panic!("{error}"));
        let fits = json!({ "file_operations": [{ "type": "create_file", "path": "a", "content": "b" }] });
        assert_eq!(schema.read(&fits.to_string()), Ok(fits));
        assert!(
            schema
                .read("{\"file_operations\": [{ \"type\": \"burn\" }]}")
                .is_err()
        );
        assert!(StructuredSchema::new(&json!("builtin:poems"), 0).is_err());
    }

    #[test]
    fn names_of_files_follow_from_their_types() {
        assert_eq!(
            ["image/png", "image/jpeg", "application/x-../../etc", ""].map(extension),
            ["png", "jpg", "etc", "bin"]
        );
    }
}
