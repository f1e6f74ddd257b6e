//! Marks of what a provider keeps in its cache of prompts, in the forms of the protocols that have them.
//!
//! A mark keeps all that stands up to its place. Where a provider takes none, as on reasoning, it stands on the last part before
//! that takes one: a shorter beginning is as stable as a longer one.

use serde_json::{Value, json};

use super::asked::Asked;
use super::capabilities::Capabilities;
use super::json::{list, set, text};
use super::parts::is_blank;
use crate::error::ModelError;
use crate::request::{Message, PromptCache, Role};

/// The most marks of the cache in a request: Anthropic refuses more, and of more OpenAI keeps only the last.
pub const MAX_CACHE_MARKS: usize = 4;

/// The marks of a protocol. They stand on parts of `content` of its items: of messages, and of what the protocol makes into such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    Anthropic,
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's Responses API.
    Responses,
}

impl Marks {
    /// Those of one of OpenAI's protocols, for a request that wants some to be set and a model that takes them.
    pub(super) fn wanted(self, asked: &Asked<'_>, known: &Capabilities) -> Option<Self> {
        let is_wanted = asked.is_marked() || asked.request.options.cache == Some(PromptCache::Instructions);
        Some(self).filter(|_| known.cache_breakpoints && is_wanted)
    }

    const fn field(self) -> &'static str {
        match self {
            Self::Anthropic => "cache_control",
            Self::Chat | Self::Responses => "prompt_cache_breakpoint",
        }
    }

    /// The mark itself: behind it the provider keeps a prompt for its usual time.
    pub(super) fn mark(self) -> Value {
        match self {
            Self::Anthropic => json!({ "type": "ephemeral" }),
            Self::Chat | Self::Responses => json!({ "mode": "explicit" }),
        }
    }

    const fn text_type(self) -> &'static str {
        match self {
            Self::Anthropic | Self::Chat => "text",
            Self::Responses => "input_text",
        }
    }

    /// Whether parts of an item take marks. OpenAI takes none on what its model said and its tools gave.
    fn holds(self, item: &Value) -> bool {
        self == Self::Anthropic || matches!(text(item, "/role"), Some("user" | "system"))
    }

    /// Whether a part takes a mark.
    fn takes(part: &Value) -> bool {
        match text(part, "/type") {
            Some("thinking" | "redacted_thinking") => false,
            Some("text") => !is_blank(text(part, "/text").unwrap_or_default()),
            _ => true,
        }
    }

    pub(super) fn set(self, part: &mut Value) {
        set(part, self.field(), self.mark());
    }

    /// The parts of an item that may take marks. A text that stands alone becomes one.
    fn parts(self, item: &mut Value) -> Option<&mut Vec<Value>> {
        if !self.holds(item) {
            return None;
        }
        let content = item.get_mut("content")?;
        if let Value::String(text) = content {
            *content = json!([{ "type": self.text_type(), "text": text }]);
        }
        content.as_array_mut()
    }

    /// Marks the end of the items.
    pub(super) fn set_at_end(self, items: &mut [Value]) {
        let mut parts = items
            .iter_mut()
            .rev()
            .filter_map(|item| self.parts(item)?.iter_mut().rfind(|part| Self::takes(part)));
        if let Some(part) = parts.next() {
            self.set(part);
        }
    }

    /// Sets the marks of messages, the last of which the items end with.
    pub(super) fn set_those_of(self, items: &mut [Value], messages: &[&Message]) {
        for message in messages {
            self.set_those_of_files(items, message);
            if message.cache {
                self.set_at_end(items);
            }
        }
    }

    fn set_those_of_files(self, items: &mut [Value], message: &Message) {
        // Only a user's message is sent with its files, which are its last parts.
        let files = message.files.iter().filter(|_| message.role == Role::User);
        let marked = files.rev().map(|file| file.cache).enumerate();
        for (from_end, _) in marked.filter(|(_, is_marked)| *is_marked) {
            let parts = items.last_mut().and_then(|item| self.parts(item));
            if let Some(part) = parts.and_then(|parts| parts.iter_mut().nth_back(from_end)) {
                self.set(part);
            }
        }
    }

    /// Sets instructions behind the parts of the last item: one text, cut behind each mark.
    pub(super) fn instruct<'a>(
        self,
        items: &mut [Value],
        instructions: impl Iterator<Item = (&'a str, bool)>,
    ) {
        let Some(parts) = items.last_mut().and_then(|item| self.parts(item)) else {
            return;
        };
        for (instruction, is_marked) in instructions.filter(|(text, _)| !is_blank(text)) {
            let open = parts.last_mut().filter(|part| part.get(self.field()).is_none());
            match open.and_then(|part| part.get_mut("text")) {
                Some(Value::String(text)) => {
                    text.push_str("\n\n");
                    text.push_str(instruction);
                }
                _ => {
                    let between = if parts.is_empty() { "" } else { "\n\n" };
                    parts
                        .push(json!({ "type": self.text_type(), "text": format!("{between}{instruction}") }));
                }
            }
            if let Some(part) = parts.last_mut().filter(|_| is_marked) {
                self.set(part);
            }
        }
    }

    /// The instructions before the conversation as a message, for OpenAI, whose field for them takes no marks.
    pub(super) fn system(self, asked: &Asked<'_>) -> Option<Value> {
        let mut items = [json!({ "role": "system", "content": [] })];
        self.instruct(&mut items, asked.system_parts());
        let [item] = items;
        Some(item).filter(|item| !list(item, "/content").is_empty())
    }

    /// Marks the end of the instructions, with which the items begin, where the request wants that and the marks of its own places
    /// leave room. Gives the number of all marks.
    ///
    /// # Errors
    /// [`ModelError::Request`] if there are more than a provider takes.
    pub(super) fn finish(
        self,
        asked: &Asked<'_>,
        items: &mut [Value],
        instructions: usize,
    ) -> Result<usize, ModelError> {
        let count = self.count(items);
        if count > MAX_CACHE_MARKS {
            return Err(asked.unfit(format!(
                "{count} places are marked with `cache: true`, and a request has at most {MAX_CACHE_MARKS}: mark fewer"
            )));
        }
        let keeps_instructions = asked.request.options.cache == Some(PromptCache::Instructions);
        let (instructions, _) = items.split_at_mut(instructions.min(items.len()));
        if keeps_instructions && has_room(count) {
            self.set_at_end(instructions);
        }
        Ok(self.count(items))
    }

    fn count(self, items: &[Value]) -> usize {
        let parts = items.iter().flat_map(|item| list(item, "/content"));
        parts.filter(|part| part.get(self.field()).is_some()).count()
    }
}

/// Whether marks leave room for one that the provider sets by itself.
pub(super) const fn has_room(count: usize) -> bool {
    count < MAX_CACHE_MARKS
}

/// Finishes the marks of one of OpenAI's protocols. A model that takes marks also keeps what is not marked, unless it may not, or
/// marks leave no room for its own.
///
/// # Errors
/// As for [`Marks::finish`].
pub(super) fn finish_openai(
    asked: &Asked<'_>,
    known: &Capabilities,
    marks: Option<Marks>,
    body: &mut Value,
    items: &str,
) -> Result<(), ModelError> {
    let instructions = usize::from(asked.system().is_some());
    let items = body.pointer_mut(items).and_then(Value::as_array_mut);
    let count = match (marks, items) {
        (Some(marks), Some(items)) => marks.finish(asked, items, instructions)?,
        _ => 0,
    };
    let keeps_no_more = match asked.request.options.cache {
        Some(PromptCache::Off) => true,
        Some(PromptCache::Instructions) => count > 0,
        None | Some(PromptCache::Auto) => !has_room(count),
    };
    if known.cache_breakpoints && keeps_no_more {
        set(body, "prompt_cache_options", json!({ "mode": "explicit" }));
    }
    Ok(())
}

impl Asked<'_> {
    /// Whether a place of the request is marked.
    fn is_marked(&self) -> bool {
        let messages = &self.request.messages;
        self.request.system.iter().any(|instruction| instruction.cache)
            || messages
                .iter()
                .any(|message| message.cache || message.files.iter().any(|file| file.cache))
    }
}
