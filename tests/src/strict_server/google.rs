//! The scripted model behind Google's generateContent.
//!
//! The form of answers: PyPI google-genai 3.6.1, types.py, GenerateContentResponse.

use serde_json::{Value, json};

use super::openai_chat::words;
use super::script::{Asked, Choice, INPUT, OUTPUT, Turn, tool};
use super::{Answer, event, pieces};
use crate::provider_rules::{Issued, Request};

pub(super) fn asked(request: &Request) -> Asked {
    let contents = request.list("/contents");
    let is_prompt = |content: &Value| content["role"] == "user" && !words(&content["parts"]).is_empty();
    let prompt = contents.iter().rposition(is_prompt);
    let since = prompt.map_or(contents, |at| &contents[at..]);
    let config = request
        .get("/toolConfig/functionCallingConfig")
        .unwrap_or(&Value::Null);
    let only = config["allowedFunctionNames"][0].as_str();
    Asked {
        prompt: prompt.map(|at| words(&contents[at]["parts"])).unwrap_or_default(),
        tools: request
            .list("/tools/0/functionDeclarations")
            .iter()
            .map(|spec| {
                let schema = spec.get("parametersJsonSchema").or(spec.get("parameters"));
                tool(spec.get("name"), schema)
            })
            .collect(),
        choice: match (config["mode"].as_str(), only) {
            (Some("NONE"), _) => Choice::Never,
            (Some("ANY"), Some(only)) => Choice::Only(only.to_owned()),
            (Some("ANY"), None) => Choice::Any,
            _ => Choice::Auto,
        },
        schema: request.get("/generationConfig/responseJsonSchema").cloned(),
        rounds: since.iter().filter(|content| content["role"] == "model").count(),
        thinks: request.get("/generationConfig/thinkingConfig/includeThoughts") == Some(&Value::Bool(true)),
        begins: !contents.iter().any(|content| content["role"] == "model"),
    }
}

fn parts(request: &Request, asked: &Asked, turn: &Turn, issued: &Issued) -> Vec<Value> {
    let is_third = request.model.starts_with("gemini-3");
    let signs = is_third || asked.thinks;
    let signature = format!("CiQBwb-{}", turn.number);
    let mut parts = Vec::new();
    if let Some(thoughts) = &turn.thoughts {
        parts.extend(split(request, thoughts).map(|piece| json!({ "text": piece, "thought": true })));
    }
    parts.extend(split(request, &turn.text).map(|piece| json!({ "text": piece })));
    if let Some(last) = parts.last_mut().filter(|_| signs && !turn.text.is_empty()) {
        issued.add(signature.clone().into());
        last["thoughtSignature"] = signature.clone().into();
    }
    for (at, call) in turn.calls.iter().enumerate() {
        let mut function = json!({ "name": call.name, "args": call.arguments });
        if is_third {
            function["id"] = call.id.clone().into();
        }
        let mut part = json!({ "functionCall": function });
        // Of parallel calls only the first is signed.
        if signs && at == 0 {
            part["thoughtSignature"] = signature.clone().into();
            issued.add(part.clone());
        }
        parts.push(part);
    }
    parts
}

/// A text as one part, or for a stream in pieces.
fn split(request: &Request, text: &str) -> impl Iterator<Item = String> {
    let whole = Some(text.to_owned()).filter(|text| !text.is_empty() && !request.streams);
    let pieces = if request.streams { pieces(text) } else { Vec::new() };
    whole.into_iter().chain(pieces)
}

pub(super) fn answer(request: &Request, asked: &Asked, turn: &Turn, issued: &Issued) -> Answer {
    let parts = parts(request, asked, turn, issued);
    let usage = json!({
        "promptTokenCount": INPUT, "candidatesTokenCount": OUTPUT, "totalTokenCount": INPUT + OUTPUT,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": INPUT }],
    });
    let piece = |parts: &[Value], end: Option<&str>| {
        let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
        if let Some(end) = end {
            candidate["finishReason"] = end.into();
        }
        json!({
            "candidates": [candidate], "usageMetadata": usage, "modelVersion": request.model,
            "responseId": format!("resp-{}", turn.number),
        })
    };
    let end = if turn.refuses { "SAFETY" } else { "STOP" };
    if !request.streams {
        return Answer::Whole(piece(&parts, Some(end)));
    }
    let events = parts
        .iter()
        .map(|part| event(&piece(std::slice::from_ref(part), None)));
    let events: String = events.collect();
    Answer::Stream(events + &event(&piece(&[json!({ "text": "" })], Some(end))))
}
