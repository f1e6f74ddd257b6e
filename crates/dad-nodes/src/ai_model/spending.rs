//! The consumption of calls, reserved and charged.

use dad_core::Usage;
use dad_models::{
    Message, MessageFile, ModelClient, ModelError, ModelOptions, ModelRequest, ModelResponse, Models, Price,
    Role, ToolSpec,
};
use dad_run::{Available, Estimate};
use dad_runner::{NodeError, RunSetup};
use serde_json::{Value, json};

use super::{AIModelNodeSettings, Tool};
use crate::ai_model::answer::StructuredSchema;
use crate::ai_model::checks::is_fixed;
use crate::model_error::node_error;
use crate::tokens::estimated;

/// The longest answer that is reckoned with, in tokens, where nothing says how long it may be.
const DEFAULT_ANSWER_TOKENS: u64 = 4096;

/// The part of what a budget leaves that one answer may take beyond the default length: other calls may be made beside it.
const SHARE: u64 = 4;

/// The shortest answer that is worth a call, in tokens.
const MIN_ANSWER_TOKENS: u64 = 64;

/// The tokens of an image: Anthropic scales one down until it has 4784 of them at most, and most providers count fewer.
const IMAGE_TOKENS: u64 = 5000;

/// The bytes of a file for one token, where its kind is compressed as closely as is usual.
///
/// PDF: Anthropic counts about 3200 tokens for a page full of text, its picture included, and such a page has hardly fewer bytes.
/// Sound and video: Google counts 32 tokens for a second of sound, and 263 for one of video. Speech has 600 bytes a second at least
/// (AMR), uncompressed sound 4000 (ADPCM), video 2500 (a film of slides).
const PDF_BYTES: u64 = 1;
const SOUND_BYTES: u64 = 16;
const WAVE_BYTES: u64 = 100;
const VIDEO_BYTES: u64 = 8;

/// The upper bound for the consumption of a call: the longest answer that it may give.
pub(super) struct CallBound {
    prompt: u64,
    /// The longest answer by the settings.
    answer: Option<u64>,
    /// The longest answer that the model can give.
    possible: Option<u64>,
    rates: Option<HighestRates>,
}

/// The highest prices of a million tokens that may hold for a call.
#[derive(Clone, Copy)]
struct HighestRates {
    input: f64,
    output: f64,
}

impl HighestRates {
    fn new(price: &Price, prompt: u64, request: &ModelRequest) -> Self {
        let options = &request.options.other;
        // Such a field may ask for what the client does not know: a longer time in the cache, sound, another service tier.
        let is_open = options.contains_key("extra_body");
        let tier = options.get("service_tier").and_then(Value::as_str);
        let rates = price.highest(prompt, tier.filter(|_| !is_open));
        let files = request.messages.iter().flat_map(|message| &message.files);
        let has_sound = files
            .into_iter()
            .any(|file| matches!(kind(file), Kind::Sound(_) | Kind::Video));
        let priced = |price: Option<f64>, may_apply: bool| price.filter(|_| may_apply).unwrap_or_default();
        let highest = |usual: f64, others: &[f64]| others.iter().copied().fold(usual, f64::max);
        Self {
            input: highest(
                rates.input,
                &[
                    // The provider may write all of it into its cache.
                    priced(rates.cache_write, true),
                    priced(rates.cache_write_long, is_open),
                    priced(rates.audio_input, is_open || has_sound),
                ],
            ),
            output: highest(
                rates.output,
                &[
                    priced(rates.reasoning, true),
                    priced(rates.image_output, true),
                    priced(rates.audio_output, is_open),
                ],
            ),
        }
    }
}

impl CallBound {
    /// The bound of a request to a model with a price, a window and a longest answer, as far as they are known.
    pub(super) fn new(
        request: &ModelRequest,
        price: Option<Price>,
        window: Option<u64>,
        possible: Option<u32>,
    ) -> Self {
        // No provider takes more than the window of its model.
        let prompt = prompt_tokens(request).min(window.unwrap_or(u64::MAX));
        Self {
            prompt,
            answer: request.options.max_output_tokens.map(u64::from),
            possible: possible.map(u64::from),
            rates: price.map(|price| HighestRates::new(&price, prompt, request)),
        }
    }

    /// The longest answer that is sent to the provider as a limit, if a budget sets one.
    pub(super) fn limit(&self, available: &Available) -> Option<u32> {
        self.affordable(available)?;
        Some(u32::try_from(self.answer(available)).unwrap_or(u32::MAX))
    }

    /// The longest answer that is reserved, given what is still there. If the settings do not say, a model whose answers are
    /// known to be long gets a share of it: with its reasoning it would exceed the default length.
    fn answer(&self, available: &Available) -> u64 {
        if let Some(answer) = self.answer {
            return answer;
        }
        let affordable = self.affordable(available);
        let usual = DEFAULT_ANSWER_TOKENS.min(affordable.unwrap_or(u64::MAX).max(MIN_ANSWER_TOKENS));
        match (affordable, self.possible) {
            (Some(affordable), Some(possible)) => usual.max(affordable / SHARE).min(possible),
            _ => usual,
        }
    }

    /// The tokens of an answer that the budgets can still pay for, if they limit tokens or money.
    fn affordable(&self, available: &Available) -> Option<u64> {
        let fitting = available.tokens.map(|tokens| tokens.saturating_sub(self.prompt));
        let payable = match (available.cost, self.rates) {
            (Some(cost), Some(rates)) if rates.output > 0.0 => {
                let left = cost - self.cost_of_prompt(rates);
                // More than fits into the type is as good as no limit.
                Some((left.max(0.0) * 1e6 / rates.output) as u64)
            }
            _ => None,
        };
        fitting.into_iter().chain(payable).min()
    }

    pub(super) fn estimate(&self, available: &Available) -> Estimate {
        let answer = self.answer(available);
        let cost = self.rates.map_or(0.0, |rates| {
            self.cost_of_prompt(rates) + rates.output * answer as f64 / 1e6
        });
        Estimate::new(self.prompt + answer, cost)
    }

    /// The consumption of a call: as the provider reports it, or as it was reserved where it reports nothing, so that a
    /// budget holds also then.
    pub(super) fn charged(&self, reported: Option<Usage>, reserved: Estimate) -> Usage {
        reported.unwrap_or_else(|| {
            Usage::default()
                .calls(1)
                .prompt_tokens(self.prompt.min(reserved.tokens))
                .completion_tokens(reserved.tokens.saturating_sub(self.prompt))
                .total_tokens(reserved.tokens)
                .cost(self.rates.map(|_| reserved.cost))
        })
    }

    fn cost_of_prompt(&self, rates: HighestRates) -> f64 {
        rates.input * self.prompt as f64 / 1e6
    }
}

/// The consumption of a call, if the provider reports it.
pub(super) fn reported_usage(answered: &Result<ModelResponse, ModelError>) -> Option<Usage> {
    match answered {
        // A client that does not count a call asks no provider.
        Ok(response) => Some(response.usage).filter(|usage| usage.calls == 0 || usage.total_tokens > 0),
        Err(error) => error.usage(),
    }
}

/// An upper bound of what a provider will count for a request.
fn prompt_tokens(request: &ModelRequest) -> u64 {
    const MESSAGE: u64 = 8;
    let texts = request.system.iter().map(|instruction| instruction.text.len());
    let messages = request.messages.iter();
    let texts_of_messages = messages.clone().map(|message| message.text.len());
    let turns = messages.clone().filter(|message| message.role == Role::Assistant);
    let turns = turns.map(turn_bytes);
    let tools = request.options.tools.iter().map(|tool| {
        let description = tool.description.as_ref().map_or(0, String::len);
        tool.schema.to_string().len() + tool.name.len() + description
    });
    let schema = request
        .options
        .schema
        .as_ref()
        .map_or(0, |schema| schema.to_string().len());
    let bytes: usize = texts
        .chain(texts_of_messages)
        .chain(turns)
        .chain(tools)
        .sum::<usize>()
        + schema;
    let files = messages.flat_map(|message| &message.files);
    let files: u64 = files.map(file_tokens).sum();
    estimated(bytes) as u64 + MESSAGE * request.messages.len() as u64 + files
}

/// The bytes of a turn's calls and reasoning, which each round of tools sends again. Where the provider wants its own form of the
/// turn back, that may be beside the calls (chat completions) or hold them.
fn turn_bytes(turn: &Message) -> usize {
    let native = turn.native.iter().flat_map(|native| &native.content);
    let calls = turn.tool_calls.iter();
    let calls = calls.map(|call| call.id.len() + call.name.len() + call.arguments.to_string().len());
    native.map(|part| part.to_string().len()).chain(calls).sum()
}

/// The kinds of files that providers count in different ways.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Image,
    /// With the bytes of a token.
    Sound(u64),
    Video,
    Document,
}

/// The kind of a file by its content, as it is sent; the name says it of contents that are not recognised.
fn kind(file: &MessageFile) -> Kind {
    let media_type = file.content_type();
    match media_type.split('/').next() {
        Some("image") if media_type != "image/svg+xml" => Kind::Image,
        Some("audio") if media_type.ends_with("wav") => Kind::Sound(WAVE_BYTES),
        Some("audio") => Kind::Sound(SOUND_BYTES),
        Some("video") => Kind::Video,
        _ if media_type == "application/pdf" || std::str::from_utf8(&file.bytes).is_err() => Kind::Document,
        _ => Kind::Text,
    }
}

/// The tokens of a file, as a bound. An image has so many whatever its length.
fn file_tokens(file: &MessageFile) -> u64 {
    let bytes = file.bytes.len();
    let by_length = |bytes_of_token: u64| (bytes as u64).div_ceil(bytes_of_token);
    match kind(file) {
        Kind::Text => estimated(bytes + file.name.len()) as u64,
        Kind::Image => IMAGE_TOKENS,
        Kind::Sound(bytes_of_token) => by_length(bytes_of_token),
        Kind::Video => by_length(VIDEO_BYTES),
        Kind::Document => by_length(PDF_BYTES),
    }
}

/// Refuses models that must not be asked, and a budget of money for models whose price is not known.
pub(super) fn check_models(settings: &AIModelNodeSettings, setup: &RunSetup<'_>) -> Result<(), NodeError> {
    let config = settings.model_call_config.as_ref();
    let is_made_up = config.is_some_and(|config| config.test_mode == Some(true));
    if settings.models.is_empty() && !is_made_up && !setup.has_input {
        return Err(super::no_models());
    }
    let Some(models) = setup.resources.get::<Models>().filter(|_| !is_made_up) else {
        return Ok(());
    };
    let client = models.client(setup.is_offline).map_err(|error| refused(&error))?;
    let mut unusable = Vec::new();
    for name in settings.models.iter().filter(|name| !name.contains('$')) {
        // Without a key, too: it may be there where the definition runs.
        check_options(client, name, settings)?;
        match client.check(name) {
            Ok(()) => {}
            Err(error @ ModelError::KeyNotAllowed { .. }) => return Err(node_error(&error)),
            // Another model may be asked instead.
            Err(error) => unusable.push(node_error(&error)),
        }
        if setup.budget.cost.is_some() && matches!(client.price(name), Ok(None)) {
            return Err(unknown_price(name));
        }
    }
    let is_usable = setup.has_input || unusable.len() < settings.models.len();
    let mut unusable = unusable.into_iter().filter(|_| !is_usable);
    match unusable.next() {
        None => Ok(()),
        Some(mut first) => {
            for other in unusable {
                first.info.message = format!("{}; {}", first.info.message, other.info.message);
            }
            Err(first)
        }
    }
}

/// Refuses options that a model does not take. A template among them is judged when it is rendered.
fn check_options(
    client: &dyn ModelClient,
    model: &str,
    settings: &AIModelNodeSettings,
) -> Result<(), NodeError> {
    let config = settings.model_call_config.clone().unwrap_or_default();
    let schema = config.structured_output.as_ref().map(|output| &output.schema);
    let schema = schema.filter(|schema| is_fixed(schema));
    let schema = schema.and_then(|schema| StructuredSchema::new(schema, 0).ok());
    let written = json!([config.options, config.metadata, config.reasoning_effort]);
    let is_written = is_fixed(&written);
    let options = ModelOptions::default()
        .max_output_tokens(config.max_output_tokens)
        .schema(schema.map(|schema| schema.for_model().clone()))
        .reasoning_effort(config.effort())
        .max_reasoning_tokens(config.reasoning_tokens())
        .tools(config.tools.iter().map(fixed_spec).collect())
        .tool_choice(config.tool_choice.map(Into::into))
        .cache(config.cache.map(Into::into))
        .metadata(config.metadata)
        .other(config.options);
    match client.check_options(model, &options) {
        Err(error @ ModelError::Request { .. }) if is_written => Err(node_error(&error)),
        _ => Ok(()),
    }
}

/// A tool as far as the definition says it. In the place of a schema that it does not say stands one that every provider takes.
fn fixed_spec(tool: &Tool) -> ToolSpec {
    let (name, description, parameters) = match tool {
        Tool::Name(name) => (name, None, None),
        Tool::Settings(tool) => (&tool.name, tool.description.clone(), tool.parameters.clone()),
    };
    let nothing =
        || json!({ "type": "object", "properties": {}, "required": [], "additionalProperties": false });
    ToolSpec::new(name.clone(), parameters.filter(is_fixed).unwrap_or_else(nothing))
        .description(description)
        .cache(false)
}

/// That a client is not to be asked in this run.
pub(super) fn refused(error: &ModelError) -> NodeError {
    node_error(error).permanent()
}

pub(super) fn unknown_price(model: &str) -> NodeError {
    let message = format!("there is a budget of money, and what `{model}` charges is not known");
    let hint = format!(
        "write its price in US dollars for a million tokens into .dhenara/models.yaml:\n- name: {model}\n  price: {{ input: …, output: … }}"
    );
    NodeError::new("unknown_price", message)
        .with_hint(hint)
        .permanent()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(max_output_tokens: Option<u32>, price: Option<Price>) -> CallBound {
        let request = ModelRequest::new("a/b".to_owned(), vec![Message::new(Role::User, "x".repeat(276))])
            .options(ModelOptions::default().max_output_tokens(max_output_tokens));
        CallBound::new(&request, price, None, None)
    }

    #[test]
    fn a_model_with_long_answers_gets_a_share_of_what_is_left() {
        let answer = |possible, tokens: Option<u64>| {
            let bound = CallBound {
                possible,
                ..bound(None, None)
            };
            let mut available = Available::default();
            available.tokens = tokens;
            available.calls = Some(10);
            bound.limit(&available)
        };
        assert_eq!(answer(Some(64_000), Some(200_100)), Some(50_000));
        assert_eq!(answer(Some(16_000), Some(200_100)), Some(16_000));
        assert_eq!(answer(Some(64_000), Some(8_100)), Some(4_096));
        assert_eq!(answer(Some(64_000), Some(1_100)), Some(1_000));
        assert_eq!(answer(Some(2_000), Some(200_100)), Some(2_000));
        assert_eq!(answer(None, Some(200_100)), Some(4_096));
        // A limit of calls alone does not shorten answers.
        assert_eq!(answer(Some(64_000), None), None);
    }

    #[test]
    fn an_answer_is_as_long_as_fits() {
        let available = |tokens| {
            let mut available = Available::default();
            available.tokens = tokens;
            available
        };
        let price = Price::new(0.0, 10.0);
        assert_eq!(bound(None, None).estimate(&available(None)).tokens, 100 + 4096);
        assert_eq!(bound(None, None).estimate(&available(Some(1000))).tokens, 1000);
        // One that would be too short is not worth a call: it does not fit.
        assert_eq!(bound(None, None).estimate(&available(Some(120))).tokens, 164);
        assert_eq!(bound(Some(300), None).estimate(&available(Some(120))).tokens, 400);
        let mut money = Available::default();
        money.cost = Some(0.01);
        let estimate = bound(None, Some(price)).estimate(&money);
        assert_eq!(estimate.tokens, 1100);
        assert!((estimate.cost - 0.01).abs() < 1e-9);
    }
}
