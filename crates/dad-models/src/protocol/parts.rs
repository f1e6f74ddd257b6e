//! The parts of messages that all protocols send, each in its own form.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::asked::Asked;
use crate::catalog::Protocol;
use crate::error::ModelError;
use crate::request::{Message, MessageFile, NativeTurn, Role, is_media};

/// A part of a message.
pub(super) enum Part<'a> {
    /// Text that is not blank: providers refuse one that is.
    Text(Cow<'a, str>),
    Media(Media<'a>),
}

/// Bytes that are no text.
pub(super) struct Media<'a> {
    pub(super) name: &'a str,
    pub(super) media_type: String,
    pub(super) base64: String,
}

impl Media<'_> {
    pub(super) fn kind(&self) -> MediaKind {
        kind_of(&self.media_type)
    }

    pub(super) fn data_url(&self) -> String {
        format!("data:{};base64,{}", self.media_type, self.base64)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaKind {
    Image,
    Audio,
    Video,
    Document,
}

/// A run of messages that belong together: providers want the results of all calls of one turn in one place.
pub(super) enum Turn<'a> {
    User(&'a Message),
    Assistant(&'a Message),
    Tools(Vec<&'a Message>),
    /// Instructions within the conversation.
    System(&'a Message),
}

impl<'a> Turn<'a> {
    /// Its messages.
    pub(super) fn messages(&self) -> &[&'a Message] {
        match self {
            Self::User(message) | Self::Assistant(message) | Self::System(message) => {
                std::slice::from_ref(message)
            }
            Self::Tools(results) => results,
        }
    }
}

impl<'a> Asked<'a> {
    /// The instructions before the conversation, each with whether it is marked for the cache.
    pub(super) fn system_parts(&self) -> impl Iterator<Item = (&'a str, bool)> {
        let system = self.request.system.iter();
        system.map(|instruction| (instruction.text.as_str(), instruction.cache))
    }

    /// The instructions before the conversation, and those within it.
    pub(super) fn instruction_parts(&self) -> impl Iterator<Item = (&'a str, bool)> {
        let within = self.request.messages.iter();
        let within = within.filter(|message| message.role == Role::System);
        self.system_parts()
            .chain(within.map(|message| (message.text.as_str(), message.cache)))
    }

    /// The instructions before the conversation as one text, if there are any.
    pub(super) fn system(&self) -> Option<String> {
        joined(self.system_parts())
    }

    /// The instructions before the conversation and within it as one text, if there are any.
    pub(super) fn instructions(&self) -> Option<String> {
        joined(self.instruction_parts())
    }

    /// The turns of the conversation, without messages in which there is nothing.
    pub(super) fn turns(&self) -> Vec<Turn<'a>> {
        let mut turns: Vec<Turn<'a>> = Vec::new();
        for message in &self.request.messages {
            let is_empty =
                message.text.trim().is_empty() && message.files.is_empty() && message.tool_calls.is_empty();
            match (message.role, turns.last_mut()) {
                (Role::Tool, Some(Turn::Tools(results))) => results.push(message),
                (Role::Tool, _) => turns.push(Turn::Tools(vec![message])),
                _ if is_empty => {}
                (Role::System, _) => turns.push(Turn::System(message)),
                (Role::User, _) => turns.push(Turn::User(message)),
                (Role::Assistant, _) => turns.push(Turn::Assistant(message)),
            }
        }
        turns
    }

    /// The parts of a message.
    ///
    /// # Errors
    /// [`ModelError::Request`] for a file without content.
    pub(super) fn parts(&self, message: &'a Message) -> Result<Vec<Part<'a>>, ModelError> {
        let text = Some(message.text.as_str()).filter(|text| !text.trim().is_empty());
        let text = text.map(|text| Ok(Part::Text(text.into())));
        let files = message.files.iter().map(|file| self.file(file));
        text.into_iter().chain(files).collect()
    }

    fn file(&self, file: &'a MessageFile) -> Result<Part<'a>, ModelError> {
        if file.bytes.is_empty() && file.len == 0 {
            return Err(self.unfit(format!("the file `{}` is empty", file.name)));
        }
        let media_type = file.content_type();
        match std::str::from_utf8(&file.bytes) {
            Ok(text) if !is_media(media_type) => Ok(Part::Text(format!("{}:\n{text}", file.name).into())),
            _ => Ok(Part::Media(Media {
                name: &file.name,
                media_type: media_type.to_owned(),
                base64: BASE64_STANDARD.encode(&file.bytes),
            })),
        }
    }

    /// A turn as its provider wrote it, if this provider, and this model, did.
    pub(super) fn native(&self, message: &'a Message) -> Option<&'a NativeTurn> {
        let provider = &self.target.provider;
        let native = message.native.as_ref()?;
        let is_of_provider = native.provider.as_ref().is_none_or(|name| *name == provider.name);
        let is_own =
            is_of_provider && native.protocol == provider.protocol && native.model == self.target.model;
        is_own.then_some(native)
    }

    /// The name of the tool that a result belongs to.
    pub(super) fn tool_name(message: &'a Message) -> &'a str {
        message.tool_calls.first().map_or("", |call| call.name.as_str())
    }
}

/// Whether there is nothing in a text. Providers refuse one.
pub(super) fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn joined<'a>(texts: impl Iterator<Item = (&'a str, bool)>) -> Option<String> {
    let texts = texts.map(|(text, _)| text).filter(|text| !is_blank(text));
    let texts: Vec<&str> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

/// The kind of a file that is sent as it is; `None` of a text.
pub(super) fn kind_of_file(file: &MessageFile) -> Option<MediaKind> {
    let media_type = file.content_type();
    is_media(media_type).then(|| kind_of(media_type))
}

fn kind_of(media_type: &str) -> MediaKind {
    match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Document,
    }
}

/// The name of a protocol in messages.
pub(super) const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::OpenAi => "OpenAI's chat completions",
        Protocol::OpenAiResponses => "OpenAI's Responses API",
        Protocol::Anthropic => "Anthropic's Messages API",
        Protocol::Google => "Google's generateContent",
    }
}
