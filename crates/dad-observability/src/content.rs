//! The content of calls in traces: prompts, answers, arguments and results, by opt-in.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use serde_json::Value;

use crate::genai;
use crate::otlp::attribute;
use crate::settings::CaptureContent;

/// The choice of content, and the longest text in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capture {
    content: CaptureContent,
    longest_text: usize,
}

/// The number of longest texts that fit into one attribute.
const TEXTS_OF_ATTRIBUTE: usize = 4;

impl Capture {
    pub(crate) fn new(content: CaptureContent, longest_text: usize) -> Self {
        Self {
            content,
            longest_text,
        }
    }

    /// Adds content as JSON, the form that the conventions have for it where attributes are flat. An empty list is left out.
    pub(crate) fn add(self, attributes: &mut Vec<KeyValue>, name: &'static str, content: &Value) {
        if content.is_null() || content.as_array().is_some_and(Vec::is_empty) {
            return;
        }
        match self.content {
            CaptureContent::None => {}
            CaptureContent::Full => attributes.push(attribute(name, content.to_string())),
            CaptureContent::Truncated => {
                let shortened = self.shortened(content);
                attributes.push(attribute(name, shortened.to_string()));
            }
        }
    }

    pub(crate) fn add_text(self, attributes: &mut Vec<KeyValue>, name: &'static str, text: &str) {
        match self.content {
            CaptureContent::None => {}
            CaptureContent::Full => attributes.push(attribute(name, text.to_owned())),
            CaptureContent::Truncated => attributes.push(attribute(name, self.cut(text))),
        }
    }

    /// Of a list the last items that fit, since the newest message is the one that is answered.
    fn shortened(self, content: &Value) -> Value {
        let Value::Array(items) = content else {
            return self.with_short_texts(content);
        };
        let mut room = self.longest_text.saturating_mul(TEXTS_OF_ATTRIBUTE);
        let mut kept = Vec::new();
        for item in items.iter().rev() {
            let item = self.with_short_texts(item);
            let len = item.to_string().len();
            if len > room && !kept.is_empty() {
                break;
            }
            room = room.saturating_sub(len);
            kept.push(item);
        }
        kept.reverse();
        Value::Array(kept)
    }

    fn with_short_texts(self, content: &Value) -> Value {
        match content {
            Value::String(text) => Value::String(self.cut(text)),
            Value::Array(items) => items.iter().map(|item| self.with_short_texts(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.iter();
                Value::Object(
                    fields
                        .map(|(name, field)| (name.clone(), self.with_short_texts(field)))
                        .collect(),
                )
            }
            other => other.clone(),
        }
    }

    fn cut(self, text: &str) -> String {
        if text.len() <= self.longest_text {
            return text.to_owned();
        }
        let kept = &text[..text.floor_char_boundary(self.longest_text)];
        format!("{kept}… ({} bytes in all)", text.len())
    }
}

/// Whether an attribute is content of a call.
pub(crate) fn is_content(name: &str) -> bool {
    [
        genai::SYSTEM_INSTRUCTIONS,
        genai::INPUT_MESSAGES,
        genai::OUTPUT_MESSAGES,
        genai::TOOL_DEFINITIONS,
        genai::TOOL_CALL_ARGUMENTS,
        genai::TOOL_CALL_RESULT,
        genai::COMMAND_LINE,
    ]
    .contains(&name)
}
