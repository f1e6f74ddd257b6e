//! Checks of requests that hold for all protocols: what contradicts the facts about the model, or the request itself.

use super::asked::Asked;
use super::parts::{MediaKind, Turn, kind_of_file};
use crate::catalog::Protocol;
use crate::error::ModelError;
use crate::request::MessageFile;

/// Checks a request before it is written in the form of a protocol.
///
/// # Errors
/// [`ModelError::Request`] with what the model does not take.
pub(super) fn check(asked: &Asked<'_>) -> Result<(), ModelError> {
    let model = &asked.target.model;
    let known = &asked.target.facts.capabilities;
    let options = &asked.request.options;
    if let Some(wrong) = wrong_limit(asked) {
        return Err(asked.unfit(wrong));
    }
    if known.tools == Some(false) && !options.tools.is_empty() {
        return Err(asked.unfit(format!("`{model}` calls no tools")));
    }
    let by_chat = asked.target.provider.protocol == Protocol::OpenAi;
    if known.responses_only == Some(true) && by_chat && asked.target.provider.is_at_own_address() {
        return Err(asked.unfit(format!(
            "`{model}` answers under the Responses API alone: leave out `protocol: openai`"
        )));
    }
    let files = asked.request.messages.iter().flat_map(|message| &message.files);
    match files.into_iter().find_map(|file| unseen(asked, file)) {
        Some(reason) => Err(asked.unfit(reason)),
        None => Ok(()),
    }
}

/// Checks that there is something to answer.
///
/// # Errors
/// [`ModelError::Request`] if there are instructions alone.
pub(crate) fn check_conversation(asked: &Asked<'_>) -> Result<(), ModelError> {
    let mut turns = asked.turns().into_iter();
    if turns.any(|turn| !matches!(turn, Turn::System(_))) {
        Ok(())
    } else {
        Err(asked.unfit("its conversation is empty: there are instructions alone, or a blank prompt"))
    }
}

/// The problem of the longest answer that the settings ask for.
fn wrong_limit(asked: &Asked<'_>) -> Option<String> {
    let wanted = asked.request.options.max_output_tokens?;
    if wanted == 0 {
        return Some("`max_output_tokens` is 0; leave it out, or allow at least one".to_owned());
    }
    let most = asked.target.facts.max_output.filter(|most| wanted > *most)?;
    Some(format!(
        "`max_output_tokens` is {wanted}, and `{}` answers with {most} at most",
        asked.target.model
    ))
}

/// The problem of a file that the model cannot read.
fn unseen(asked: &Asked<'_>, file: &MessageFile) -> Option<String> {
    let known = &asked.target.facts.capabilities;
    let (can, what) = match kind_of_file(file)? {
        MediaKind::Image => (known.vision, "sees no images"),
        MediaKind::Audio => (known.audio_input, "hears no audio"),
        MediaKind::Document => (known.pdf, "reads no PDF files"),
        MediaKind::Video => return None,
    };
    (can == Some(false)).then(|| format!("`{}` {what}, such as `{}`", asked.target.model, file.name))
}
