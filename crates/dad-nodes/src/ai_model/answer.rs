//! Answers in a shape, and files in answers.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dad_core::json::{JsonError, parse_external};
use dad_core::{Digest, Redactor};
use dad_fs::Durability;
use dad_models::{ModelResponse, ResponseFile, internal::restore_answer};
use dad_run::layout::CUSTOM_ARTIFACTS;
use dad_runner::{NodeContext, NodeError};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::ai_model::AIModelNodeSettings;
use crate::ai_model::GeneratedFile;
use crate::ai_model::tools::rounded;
use crate::file_operation::FileOperation;
use crate::json_text::is_part;

/// The number of problems of an answer that are reported to the model.
const MAX_REPORTED_ERRORS: usize = 5;

/// The number of places in an answer that are tried for the beginning of JSON.
const MAX_JSON_CANDIDATES: usize = 1000;

/// The name of the schema of operations that a `file_operation` node makes.
const FILE_OPERATIONS: &str = "builtin:file_operations";

/// The shape that an answer must have.
pub(super) struct StructuredSchema {
    schema: Value,
    validator: jsonschema::Validator,
    /// The number of times that the model is asked again for an answer that does not obey it.
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

    /// Reads an answer as JSON, also out of a code fence or from between words: the first value that obeys the schema. The
    /// error is for the model.
    pub(super) fn read(&self, text: &str) -> Result<Value, String> {
        let found = found(text);
        let mut misfit = None;
        for value in found.values {
            if self.validator.is_valid(&value) {
                return Ok(value);
            }
            // The provider was sent a copy of the schema in the form that it takes.
            let value = restore_answer(value, &self.schema);
            match misfits(&self.validator, &value, MAX_REPORTED_ERRORS) {
                None => return Ok(value),
                Some(reported) => misfit = misfit.or(Some(reported)),
            }
        }
        Err(match (misfit, found.error) {
            (Some(misfits), _) => format!("the answer does not obey its schema: {misfits}"),
            (None, error) => format!("the answer is not the JSON that was asked for{error}"),
        })
    }
}

/// In what a value does not obey a schema, for the model that made it; `None` if it does.
pub(super) fn misfits(validator: &jsonschema::Validator, value: &Value, most: usize) -> Option<String> {
    let errors = validator.iter_errors(value).take(most);
    let reported: Vec<String> = errors
        .map(|error| format!("at `{}`: {error}", error.instance_path()))
        .collect();
    (!reported.is_empty()).then(|| reported.join("; "))
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

/// The JSON values found in an answer.
struct Found {
    /// The answer itself, else what stands in it: in a fence that says so, in any other fence, between words.
    values: Vec<Value>,
    /// Why nothing can be read, with a colon before it.
    error: String,
}

/// The tags in which models think aloud. What they draft there is not their answer.
const THINKING: [&str; 3] = ["think", "thinking", "reasoning"];

fn found(text: &str) -> Found {
    let Some(answer) = behind_thinking(text) else {
        return found_in(text);
    };
    let mut found = found_in(answer);
    // Only a value that the answer itself does not have is looked for in what was thought.
    found.values.extend(found_in(text).values);
    found
}

/// The text behind a block of thinking at its beginning, also if the tag that opens it was in the prompt.
fn behind_thinking(text: &str) -> Option<&str> {
    THINKING.iter().find_map(|tag| {
        let end = format!("</{tag}>");
        let (thought, answer) = text.split_once(&end)?;
        let thought = thought.trim_start();
        let is_opened = thought.starts_with(&format!("<{tag}>"));
        // A text that begins with JSON may have the tag in it.
        (is_opened || !thought.starts_with(['{', '[', '`'])).then_some(answer)
    })
}

fn found_in(text: &str) -> Found {
    let trimmed = text.trim();
    let whole = match parse_external(trimmed) {
        Ok(value) => return Found::one(value),
        Err(error) => error,
    };
    if let (JsonError::Syntax(_), Some(value)) = (&whole, repaired(trimmed)) {
        return Found::one(value);
    }
    let (named, other): (Vec<_>, Vec<_>) = fences(text)
        .into_iter()
        .partition(|(word, _)| word.eq_ignore_ascii_case("json"));
    // A model that corrects itself does it below.
    let fenced = named.iter().rev().chain(other.iter().rev());
    let fenced: Vec<_> = fenced
        .map(|(_, inside)| (*inside, fenced_value(inside)))
        .collect();
    let error = match (fenced.first(), named.is_empty()) {
        (Some((inside, Err(error))), false) => format!("{error}{}", place_note(inside)),
        _ => format!("{whole}{}", place_note(trimmed)),
    };
    let fenced = fenced.into_iter().filter_map(|(_, read)| read.ok());
    let between = between_words(text).into_iter().rev();
    Found {
        values: fenced.chain(between).collect(),
        error: format!(": {error}"),
    }
}

impl Found {
    fn one(value: Value) -> Self {
        Self {
            values: vec![value],
            error: String::new(),
        }
    }
}

/// A JSON value with comments and trailing commas, which mean nothing else.
fn repaired(text: &str) -> Option<Value> {
    let options = jsonc_parser::ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let value: Value = jsonc_parser::parse_to_serde_value(text, &options).ok()?;
    // What cannot be recorded without loss is refused as it would be without comments.
    let value = parse_external(&value.to_string()).ok()?;
    rounded(&value).is_none().then_some(value)
}

/// The value at the beginning of a fence, else all of it without comments and trailing commas.
fn fenced_value(inside: &str) -> Result<Value, First> {
    first_value(inside)
        .map(|(value, _)| value)
        .or_else(|error| match error {
            First::Refused(..) => Err(error),
            _ => repaired(inside[..end_of_fence(inside).unwrap_or(inside.len())].trim()).ok_or(error),
        })
}

/// The place at which a text ceases to be JSON, for the model that is asked again.
fn place_note(text: &str) -> String {
    const AROUND: usize = 30;
    let Some(error) = serde_json::from_str::<IgnoredAny>(text).err() else {
        return String::new();
    };
    let line = text
        .split('\n')
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let mut at = error.column().saturating_sub(1).min(line.len());
    while !line.is_char_boundary(at) {
        at -= 1;
    }
    let before = line[..at]
        .char_indices()
        .rev()
        .nth(AROUND)
        .map_or(0, |(from, _)| from);
    let after = line[at..]
        .char_indices()
        .nth(AROUND)
        .map_or(line.len(), |(to, _)| at + to);
    let shown = line[before..after].trim();
    if shown.is_empty() {
        String::new()
    } else {
        format!(", near `{shown}`")
    }
}

/// The mark that opens and closes a fence.
const FENCE: &str = "```";

/// The text behind each fence that opens, with the word that says its language. The end of its JSON is found by reading, because
/// there may be fences in its texts.
fn fences(text: &str) -> Vec<(&str, &str)> {
    let mut fences = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once(FENCE) {
        let word = behind
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(behind.len());
        let (word, inside) = behind.split_at(word);
        fences.push((word, inside));
        let end = match first_value(inside) {
            Ok((_, len)) | Err(First::Refused(_, len)) => inside[len..].find(FENCE).map(|at| len + at),
            Err(First::None(_) | First::Cut(_)) => end_of_fence(inside),
        };
        let Some(end) = end else { break };
        rest = &inside[end + FENCE.len()..];
    }
    fences
}

/// The place of the fence that closes another, whose text is no JSON: on the same line, else at the beginning of a line.
fn end_of_fence(inside: &str) -> Option<usize> {
    let first = inside.split('\n').next().unwrap_or_default();
    first.find(FENCE).or_else(|| {
        let mut lines = inside.match_indices('\n').map(|(at, _)| at + 1);
        lines.find_map(|at| {
            let line = inside[at..].trim_start_matches([' ', '\t']);
            line.starts_with(FENCE).then(|| inside.len() - line.len())
        })
    })
}

/// The JSON that a text begins with, and how long it is.
fn first_value(text: &str) -> Result<(Value, usize), First> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => {
            let len = values.byte_offset();
            let value = parse_external(&text[..len]).map_err(|error| First::Refused(error, len))?;
            Ok((value, len))
        }
        Some(Err(error)) if error.is_eof() => Err(First::Cut(error.to_string())),
        Some(Err(error)) => Err(First::None(error.to_string())),
        None => Err(First::None("it is empty".to_owned())),
    }
}

/// Why a text begins with no JSON that can be taken.
enum First {
    None(String),
    /// It ends before the value does.
    Cut(String),
    /// It is JSON, of some length, that cannot be recorded as it is.
    Refused(JsonError, usize),
}

impl std::fmt::Display for First {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None(reason) | Self::Cut(reason) => f.write_str(reason),
            Self::Refused(error, _) => write!(f, "{error}"),
        }
    }
}

/// Objects and lists that stand in a text. Parts of one that is broken or cut are none: they are not the whole answer.
fn between_words(text: &str) -> Vec<Value> {
    let mut values = Vec::new();
    let mut next = 0;
    for (at, _) in text.match_indices(['{', '[']).take(MAX_JSON_CANDIDATES) {
        if at < next || is_part(&text[..at]) {
            continue;
        }
        match first_value(&text[at..]) {
            Ok((value, len)) => {
                values.push(value);
                next = at + len;
            }
            Err(First::Cut(_)) => break,
            // Parts of it are not the whole answer.
            Err(First::Refused(_, len)) => next = at + len,
            // It is JSON but for a mistake: parts of it are not the whole answer either.
            Err(First::None(_)) if is_object_begun(&text[at..]) => {
                next = at + object_len(&text[at..]).unwrap_or(1);
            }
            Err(First::None(_)) => {}
        }
    }
    values
}

/// Whether a text begins as an object with a name in it does.
fn is_object_begun(text: &str) -> bool {
    text.strip_prefix('{')
        .is_some_and(|rest| rest.trim_start().starts_with('"'))
}

/// The length of the object at the beginning of a text, by its brackets outside of texts.
fn object_len(text: &str) -> Option<usize> {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Masks secrets in the files of an answer. As base64, as they would be masked otherwise, nothing could be read of them.
pub(super) fn mask_files(response: &mut ModelResponse, redactor: &Redactor) {
    for file in &mut response.files {
        // Data that is no base64 is reported when it is to be kept.
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
) -> Result<Vec<GeneratedFile>, NodeError> {
    let keep = settings.save_generated_bytes.unwrap_or(true);
    let files = response.files.iter().enumerate();
    files
        .map(|(index, file)| {
            let bytes = BASE64_STANDARD
                .decode(&file.base64)
                .map_err(|error| NodeError::from_error("model_answer", &error).with_fall_back())?;
            let path = keep
                .then(|| save(settings, index, file, &bytes, cx))
                .transpose()?;
            Ok(GeneratedFile {
                media_type: file.media_type.clone(),
                len: bytes.len() as u64,
                blake3: Digest::of(&bytes),
                path,
            })
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
            if subtype.chars().all(|c| c.is_ascii_alphanumeric()) && !subtype.is_empty() {
                subtype
            } else {
                "bin"
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
            "```json {\"n\": 1} ```",
            "Here it is: {\"n\": 1} as asked.",
            "Not {this}, [that] or {\"m\": 2}, but {\"n\": 1}",
            "```python\nprint([1])\n```\n```json\n{\"n\": 1}\n```",
            "```JSON\n{\"n\": 1, \"text\": \"```sh\\nls\\n```\"}\n```",
        ] {
            assert_eq!(
                schema.read(text).map(|value| value["n"].clone()),
                Ok(json!(1)),
                "{text}"
            );
        }
        assert!(schema.read("{\"n\": \"x\"}").unwrap_err().contains("`/n`"));
        for part in [
            "[{\"n\": 1}, {\"n\": 2",
            "{\"a\": oops, \"b\": {\"n\": 1}}",
            "[oops, 3, {\"n\": 1}, {\"n\": 1}]",
            "{\"all\": {\"n\": 1}}",
        ] {
            assert!(schema.read(part).is_err(), "{part}");
        }
        assert!(
            schema
                .read("no")
                .unwrap_err()
                .starts_with("the answer is not the JSON")
        );
    }

    #[test]
    fn the_last_value_that_obeys_counts_and_comments_do_not() {
        let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        let schema = StructuredSchema::new(&schema, 0).unwrap_or_else(|error| panic!("{error}"));
        for (text, n) in [
            ("First {\"n\": 1}. No, better {\"n\": 2}.", 2),
            (
                "```json\n{\"n\": 1}\n```\nCorrected:\n```json\n{\"n\": 2}\n```",
                2,
            ),
            ("```json\n{\"n\": 1}\n```\nas in {\"n\": 2}", 1),
            ("```\n{\"n\": 1}\n```\n{\"n\": 2}", 1),
            ("Not ```{x}```, nor\n```\n{x}\n```\n{\"n\": 1}", 1),
            (
                "- first:\n  ```sh\n  echo '```'\n  ```\n  ```json\n  {\"n\": 1}\n  ```\n{\"n\": 2}",
                1,
            ),
            ("```json\n{\"n\": 1, \"text\": \"```\"}\n```\n{\"n\": 2}", 1),
            ("```json\n{\n  \"n\": 1, // ```\n}\n```\n{\"n\": 2}", 1),
            ("{\"n\": 1, // one\n}", 1),
            ("```json\n{\n  /* the number */\n  \"n\": 1,\n}\n```", 1),
            ("{\"n\": 1, \"text\": \"// ``` }\",}", 1),
        ] {
            let read = schema.read(text).map(|value| value["n"].clone());
            assert_eq!(read, Ok(json!(n)), "{text}");
        }
        for broken in ["{'n': 1}", "{n: 1}", "{\"n\": 0x1}", "{\"n\": 1 \"m\": 2}"] {
            assert!(schema.read(broken).is_err(), "{broken}");
        }
        let quoted = schema.read("{\"name\": \"x\", \"n\" 1}").unwrap_err();
        assert!(quoted.contains("near `{\"name\": \"x\", \"n\" 1}`"), "{quoted}");
    }

    #[test]
    fn an_answer_in_the_form_of_the_copy_is_brought_back() {
        let schema = json!({ "type": "object", "required": ["a"], "additionalProperties": false,
            "properties": { "a": { "type": "integer" }, "b": { "type": "string" }, "c": { "type": ["string", "null"] } } });
        let read = |schema: &Value, text: &str| {
            let schema = StructuredSchema::new(schema, 0).unwrap_or_else(|error| panic!("{error}"));
            schema.read(text)
        };
        for text in [
            "{\"a\": 1, \"b\": null}",
            "```json\n{\"a\": 1, \"b\": null}\n```",
            "So {\"a\": 1, \"b\": null}.",
        ] {
            assert_eq!(read(&schema, text), Ok(json!({ "a": 1 })), "{text}");
        }
        assert_eq!(
            read(&schema, "```\n{\"a\": 1, \"b\": null, \"c\": null}\n```"),
            Ok(json!({ "a": 1, "c": null }))
        );
        let misfits = read(&schema, "{\"a\": \"x\", \"b\": null}").unwrap_err();
        assert!(misfits.contains("`/a`") && !misfits.contains("`/b`"), "{misfits}");
        let list = json!({ "type": "array", "items": { "type": "integer" } });
        assert_eq!(
            read(&list, "```json\n{\"value\": [1, 2]}\n```"),
            Ok(json!([1, 2]))
        );
        // What conforms as it is stays so.
        let own = json!({ "anyOf": [{ "type": "integer" }, { "type": "object", "required": ["value"] }] });
        assert_eq!(
            read(&own, "```json\n{\"value\": 3}\n```"),
            Ok(json!({ "value": 3 }))
        );
    }

    #[test]
    fn what_a_model_drafts_while_it_thinks_is_not_its_answer() {
        let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        let schema = StructuredSchema::new(&schema, 0).unwrap_or_else(|error| panic!("{error}"));
        for (text, n) in [
            ("<think>First {\"n\": 7}? No.</think>{\"n\": 1}", 1),
            (
                "\n<thinking>\n```json\n{\"n\": 7}\n```\n</thinking>\n\n```json\n{\"n\": 1}\n```",
                1,
            ),
            ("So {\"n\": 7} or so.\n</think>\nThe answer is {\"n\": 1}.", 1),
            // There is no other.
            ("<think>It is {\"n\": 7}</think>Done.", 7),
            ("<think>It is {\"n\": 7}", 7),
            ("{\"n\": 1, \"text\": \"<think>{}</think>{\\\"n\\\": 7}\"}", 1),
            (
                "```json\n{\"n\": 1, \"text\": \"</think>\"}\n``` and {\"n\": 7}",
                1,
            ),
        ] {
            let read = schema.read(text).map(|value| value["n"].clone());
            assert_eq!(read, Ok(json!(n)), "{text}");
        }
        let commented = schema
            .read("{\"ops\": [ /* what to do */ {\"n\": 7} ]}")
            .unwrap_err();
        assert!(commented.contains("\"n\" is a required property"), "{commented}");
        let last = schema
            .read("{\"ops\": [ /* no */ ]} but {\"n\": 1}")
            .map(|value| value["n"].clone());
        assert_eq!(last, Ok(json!(1)));
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
