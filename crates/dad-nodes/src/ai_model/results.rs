//! Results of tools in the form in which the model gets them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dad_models::MessageFile;
use serde::Deserialize;
use serde_json::Value;

/// A result with images or sound, in the form of the Model Context Protocol (modelcontextprotocol.io, "Tool Result").
#[derive(Deserialize)]
struct ToolResult {
    content: Vec<Content>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content {
    Text {
        text: String,
    },
    Image {
        #[serde(rename = "mimeType")]
        media_type: String,
        data: String,
    },
    Audio {
        #[serde(rename = "mimeType")]
        media_type: String,
        data: String,
    },
}

/// The text and the files of a result. One that has no files, or is of another form, is given as its JSON; a text as it is.
pub(super) fn for_model(tool: &str, result: Value) -> (String, Vec<MessageFile>) {
    match (with_files(tool, &result), result) {
        (Some(parts), _) => parts,
        (None, Value::String(text)) => (text, Vec::new()),
        (None, other) => (other.to_string(), Vec::new()),
    }
}

fn with_files(tool: &str, result: &Value) -> Option<(String, Vec<MessageFile>)> {
    result.get("content").filter(|content| content.is_array())?;
    let ToolResult { content } = ToolResult::deserialize(result).ok()?;
    let (mut texts, mut files) = (Vec::new(), Vec::new());
    for part in content {
        match part {
            Content::Text { text } => texts.push(text),
            Content::Image { media_type, data } | Content::Audio { media_type, data } => {
                let bytes = BASE64_STANDARD.decode(data).ok()?;
                let name = format!("{tool}_{}", files.len() + 1);
                files.push(MessageFile::new(name, media_type, bytes));
            }
        }
    }
    (!files.is_empty()).then(|| (texts.join("\n"), files))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_has_files_if_it_has_the_form_of_one() {
        let image = json!({ "type": "image", "mimeType": "image/png", "data": "iVBORw0=" });
        let text = |text: &str| json!({ "type": "text", "text": text });
        let (said, files) = for_model(
            "plot",
            json!({ "content": [text("a"), image, text("b")], "isError": false }),
        );
        assert_eq!((said.as_str(), files.len()), ("a\nb", 1));
        assert_eq!(
            (files[0].name.as_str(), files[0].media_type.as_str()),
            ("plot_1", "image/png")
        );
        for plain in [
            json!({ "content": [text("a")] }),
            json!({ "content": [{ "type": "image", "mimeType": "image/png", "data": "no base64!" }] }),
            json!({ "content": [{ "type": "link", "uri": "x" }] }),
            json!({ "content": "a" }),
            json!([image]),
        ] {
            assert_eq!(for_model("plot", plain.clone()), (plain.to_string(), Vec::new()));
        }
        assert_eq!(for_model("plot", json!("as it is")).0, "as it is");
    }
}
