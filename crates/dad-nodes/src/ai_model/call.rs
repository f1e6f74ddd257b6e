//! A conversation with one model, up to an answer that can be used.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use dad_core::Usage;
use dad_models::{
    CallContext, FinishReason, Message, ModelClient, ModelError, ModelRequest, ModelResponse, Role,
    ToolChoice,
    internal::{MODEL_CALL, MODEL_FAILED},
};
use dad_run::Reservation;
use dad_runner::{ExchangeId, NodeContext, NodeError, NodeOutput, RunningActivity};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ai_model::AIModelNodeOutcome;
use crate::ai_model::answer::{mask_files, save_files};
use crate::ai_model::attachments::read_all;
use crate::ai_model::defaults::{MAX_RETRY_DELAY, RETRIES, RETRY_DELAY, TOOL_ROUNDS};
use crate::ai_model::spending::{CallBound, reported_usage, unknown_price};
use crate::ai_model::stream::Pieces;
use crate::ai_model::tools::{Called, Tools};
use crate::ai_model::traced;
use crate::ai_model::{AIModelCallConfig, ModelCall};
use crate::model_error::node_error;

/// That a model gave no answer to a request, so that the next one was asked.
#[derive(Debug, Serialize, Deserialize)]
struct FailedModel {
    code: String,
    message: String,
}

/// The times of calls. That the settings hold numbers of seconds has been checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    /// Before a call is made again for the first time.
    first: Duration,
    longest: Duration,
    /// The longest time of one call.
    timeout: Option<Duration>,
}

impl Pauses {
    pub(super) fn of(config: &AIModelCallConfig) -> Self {
        let seconds = |seconds: Option<f64>| Duration::try_from_secs_f64(seconds?).ok();
        Self {
            first: seconds(config.retry_delay).unwrap_or(RETRY_DELAY),
            longest: seconds(config.max_retry_delay).unwrap_or(MAX_RETRY_DELAY),
            timeout: seconds(config.timeout),
        }
    }
}

/// The conversation with one model.
pub(super) struct Conversation<'a> {
    step: &'a ModelCall,
    client: &'a dyn ModelClient,
    cx: &'a NodeContext,
    request: ModelRequest,
    tools: Tools,
    /// The consumption of the step up to now, with that of conversations with other models.
    usage: Usage,
    /// The consumption of calls that were given up before they were answered.
    lost: Mutex<Usage>,
    repairs: u32,
    rounds: u32,
    /// Whether another model takes the conversation over if this one does not answer.
    has_next: bool,
}

impl<'a> Conversation<'a> {
    pub(super) fn begin(
        step: &'a ModelCall,
        client: &'a dyn ModelClient,
        model: &str,
        cx: &'a NodeContext,
    ) -> Result<Self, NodeError> {
        let tools = step.tools(cx)?;
        let mut request = step.request(model, read_all(&step.settings, cx)?)?;
        request.options.tools = tools.specs();
        Ok(Self {
            step,
            client,
            cx,
            request,
            tools,
            usage: Usage::default(),
            lost: Mutex::default(),
            repairs: 0,
            rounds: 0,
            has_next: false,
        })
    }

    /// Continues with a model, which is given all that was said: the effects of tools that were called have happened.
    pub(super) fn ask(&mut self, model: &str, has_next: bool) {
        model.clone_into(&mut self.request.model);
        self.has_next = has_next;
        self.repairs = 0;
    }

    /// Asks, lets tools be called and answers be repaired, until there is an answer. What was paid for was paid for also if
    /// there is none.
    pub(super) async fn run(&mut self) -> Result<NodeOutput, NodeError> {
        let mut ended = self.run_turns().await;
        if let Err(error) = &mut ended {
            error.partial.usage = self.usage;
            error.partial.usage += *self.lost.lock();
        }
        ended
    }

    async fn run_turns(&mut self) -> Result<NodeOutput, NodeError> {
        loop {
            let response = self.call().await?;
            let is_held_back = response.finish_reason == FinishReason::ContentFilter;
            if is_held_back && !response.tool_calls.is_empty() {
                return Err(self.held_back(&response));
            }
            if !response.tool_calls.is_empty() {
                self.call_tools(response).await?;
                continue;
            }
            let Some(schema) = &self.step.schema else {
                let is_empty = response.text.is_empty() && response.files.is_empty();
                if is_held_back && (is_empty || self.has_next) {
                    return Err(self.held_back(&response));
                }
                return self.output(&response, AIModelNodeOutcome::of_text(&response.text));
            };
            match schema
                .read(&response.text)
                .map_err(|problem| cut(&response, problem))
            {
                Ok(structured) => {
                    return self.output(&response, AIModelNodeOutcome::of_structure(structured));
                }
                Err(_) if is_held_back => return Err(self.held_back(&response)),
                Err(problem) if self.repairs < schema.repairs => self.ask_for_repair(response, &problem),
                Err(problem) => {
                    let partial = self.output(
                        &response,
                        AIModelNodeOutcome {
                            structured: Some(Value::Null),
                            ..AIModelNodeOutcome::of_text(&response.text)
                        },
                    )?;
                    return Err(NodeError::new("invalid_structured_output", problem)
                        .with_partial(partial)
                        .with_fall_back());
                }
            }
        }
    }

    /// That the answer is of no use because a filter held it back. Asking the same again would not help.
    fn held_back(&self, response: &ModelResponse) -> NodeError {
        let model = &self.request.model;
        let message = match &response.refusal {
            Some(words) => format!("`{model}` refused to answer: {words}"),
            None => format!("`{model}` held its answer back by a content filter"),
        };
        let partial = NodeOutput::new(json!(AIModelNodeOutcome::of_text(&response.text)));
        NodeError::new("content_filter", message)
            .with_hint("change what is asked, or name another model in `models`")
            .with_partial(partial)
            .with_fall_back()
            .permanent()
    }

    fn ask_for_repair(&mut self, response: ModelResponse, problem: &str) {
        self.repairs += 1;
        let again = format!("{problem}\n\nAnswer again with JSON that obeys the schema, and nothing else.");
        self.request
            .messages
            .push(Message::new(Role::Assistant, response.text));
        self.request.messages.push(Message::new(Role::User, again));
    }

    async fn call_tools(&mut self, response: ModelResponse) -> Result<(), NodeError> {
        let most = self.step.config.max_tool_rounds.unwrap_or(TOOL_ROUNDS);
        self.rounds += 1;
        if self.rounds > most {
            let message = format!("the model still wants tools to be called after {most} rounds");
            let hint = "raise `max_tool_rounds`, or say in the prompt when it is done";
            return Err(NodeError::new("tool_rounds", message).with_hint(hint).permanent());
        }
        let is_cut = response.finish_reason == FinishReason::Length;
        self.request.messages.push(
            Message::new(Role::Assistant, response.text)
                .tool_calls(response.tool_calls.clone())
                .native(response.native),
        );
        let mut is_made = false;
        for call in response.tool_calls {
            let called = if is_cut {
                Ok(Called::cut(&call))
            } else {
                self.tools.call(&call, self.cx).await
            };
            self.usage += match &called {
                Ok(called) => called.usage(),
                Err(error) => error.partial.usage,
            };
            let called = called?;
            is_made |= !called.is_unfit();
            let is_error = called.is_error();
            let (text, files) = called.for_model(&call.name);
            self.request.messages.push(
                Message::new(Role::Tool, text)
                    .files(files)
                    .is_error(is_error)
                    .tool_call_id(call.id.clone())
                    .tool_calls(vec![call]),
            );
        }
        if is_made {
            self.leave_choice();
        }
        Ok(())
    }

    /// Lets the model choose once it has called the tool that it had to: if it had to call it each time, it could never answer. A
    /// call that could not be made does not count.
    fn leave_choice(&mut self) {
        if let Some(choice @ (ToolChoice::Required | ToolChoice::Tool { .. })) =
            &mut self.request.options.tool_choice
        {
            *choice = ToolChoice::Auto;
        }
    }

    fn output(
        &self,
        response: &ModelResponse,
        mut outcome: AIModelNodeOutcome,
    ) -> Result<NodeOutput, NodeError> {
        outcome.files = save_files(&self.step.settings, response, self.cx)?;
        let mut shown = json!(response);
        if let Some(fields) = shown.as_object_mut() {
            // Their bytes are artifacts.
            fields.remove("files");
        }
        let tokens = self.usage.tokens_in_words();
        let took = match (self.usage.calls, self.usage.replayed) {
            (0, 1..) => "replayed".to_owned(),
            (0 | 1, _) => tokens,
            (calls, _) => format!("{calls} calls, {tokens}"),
        };
        let note = match response.finish_reason {
            FinishReason::Length => ", cut at its longest length",
            FinishReason::ContentFilter => ", cut by a content filter",
            _ => "",
        };
        let summary = format!("{}, {took}{note}", response.model);
        Ok(NodeOutput::new(json!(outcome))
            .with_output(json!({ "data": { "response": shown } }))
            .with_usage(self.usage)
            .with_summary(summary))
    }

    /// Makes a call. Where another model takes over, that this one failed is recorded: a resumed step goes the same way, and calls
    /// no tool again that the next model has called.
    async fn call(&mut self) -> Result<ModelResponse, NodeError> {
        if !self.has_next {
            return self.call_repeatedly().await;
        }
        if let Some(FailedModel { code, message }) = self.cx.recorded(MODEL_FAILED, &self.request)? {
            return Err(NodeError::new(code, message).with_fall_back().permanent());
        }
        let answered = self.call_repeatedly().await;
        if let Err(error) = answered.as_ref()
            && error.may_fall_back
        {
            let failed = FailedModel {
                code: error.info.code.clone(),
                message: error.info.message.clone(),
            };
            let make = |_| std::future::ready(Ok(failed));
            self.cx
                .exchange(MODEL_FAILED, &self.request, make, |_| Usage::default())
                .await?;
        }
        answered
    }

    /// Makes a call, again if it failed for a while.
    async fn call_repeatedly(&mut self) -> Result<ModelResponse, NodeError> {
        let Pauses { longest, .. } = self.step.pauses;
        let mut pauses = self.pauses();
        loop {
            let failed = match self.call_once().await {
                Ok(response) => {
                    self.usage += response.usage;
                    return Ok(response);
                }
                Err(error) => error,
            };
            self.usage += failed.partial.usage;
            if !(failed.retryable && failed.may_fall_back) {
                return Err(failed);
            }
            if failed.retry_after.is_some_and(|pause| pause > longest) {
                return Err(not_waited_for(failed, longest));
            }
            let Some(pause) = pauses.next() else {
                return Err(failed);
            };
            // The pause of a rate limit is no time of the step.
            let _waiting = failed.retry_after.map(|_| dad_events::pause_time_limit());
            let pause = pause.max(failed.retry_after.unwrap_or_default());
            tracing::info!(model = %self.request.model, error = %failed, ?pause, "the model is asked again");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.cx.cancelled() => return Err(cancelled()),
            }
        }
    }

    fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        let Pauses { first, longest, .. } = self.step.pauses;
        ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(first.min(longest))
            .with_max_delay(longest)
            .with_max_times(self.step.config.retries.unwrap_or(RETRIES) as usize)
            .build()
    }

    /// Makes one call, or takes its answer from the memo of an interrupted attempt.
    async fn call_once(&self) -> Result<ModelResponse, NodeError> {
        let exchange = self.cx.exchange(
            MODEL_CALL,
            &self.request,
            |exchange| self.call_provider(exchange),
            |response: &ModelResponse| response.usage,
        );
        tokio::select! {
            answered = exchange => answered,
            () = self.cx.cancelled() => Err(cancelled()),
        }
    }

    async fn call_provider(&self, exchange: ExchangeId) -> Result<ModelResponse, NodeError> {
        let number = exchange.number;
        let model = &self.request.model;
        let price = self.client.price(model).ok().flatten();
        let (window, longest) = (self.client.window(model), self.client.max_output(model));
        let bound = CallBound::new(&self.request, price, window, longest);
        // What the budgets allow is known when it is reserved.
        let (longest, unpayable) = (AtomicU32::new(u32::MAX), AtomicBool::new(false));
        let reservation = self
            .cx
            .reserve(|available| {
                unpayable.store(available.cost.is_some() && price.is_none(), Ordering::Relaxed);
                longest.store(bound.limit(available).unwrap_or(u32::MAX), Ordering::Relaxed);
                bound.estimate(available)
            })
            .await?;
        if unpayable.into_inner() {
            return Err(unknown_price(model));
        }
        let call = CallContext::new(self.cx.path().clone())
            .number(number)
            .idempotency_key(self.cx.idempotency_key(&format!("{MODEL_CALL}.{number}")))
            .max_output_tokens(Some(longest.into_inner()).filter(|longest| *longest < u32::MAX))
            .timeout(self.step.pauses.timeout)
            .places(self.cx.run().places().into())
            .secrets(self.cx.run().secrets().clone());
        let pieces = self.pieces()?;
        let unanswered = Unanswered {
            reservation: Some(reservation),
            bound: &bound,
            lost: &self.lost,
        };
        let running = traced::begin_call(self.cx, self.client, &self.request, exchange, pieces.is_some());
        let (answered, kept, first_chunk) = self.answer(&call, pieces, &running).await;
        let usage = unanswered.answered(reported_usage(&answered));
        let paid_for = |error: NodeError| error.with_partial(NodeOutput::default().with_usage(usage));
        let answered = match answered {
            Ok(mut response) => {
                response.usage = usage;
                mask_files(&mut response, &self.cx.redactor());
                kept.map_err(paid_for).map(|()| response)
            }
            Err(error) => Err(paid_for(node_error(&error))),
        };
        traced::end_call(running, &answered, first_chunk, self.cx);
        answered
    }

    /// The destination of an answer as it arrives, if it is streamed.
    fn pieces(&self) -> Result<Option<Pieces<'_>>, NodeError> {
        let streams = self.step.config.streaming.unwrap_or(false);
        streams.then(|| Pieces::new(self.cx)).transpose()
    }

    /// Makes the call. Of an answer that arrives in pieces, also says whether they could be kept, and when the first one came.
    async fn answer(
        &self,
        call: &CallContext,
        pieces: Option<Pieces<'_>>,
        running: &RunningActivity,
    ) -> (
        Result<ModelResponse, ModelError>,
        Result<(), NodeError>,
        Option<Duration>,
    ) {
        let client = self.client;
        let Some(pieces) = pieces else {
            return (client.complete(&self.request, call).await, Ok(()), None);
        };
        let first_chunk = OnceLock::new();
        let on_text = |piece: &str| {
            first_chunk.get_or_init(|| running.elapsed());
            pieces.push(piece);
        };
        let answered = client.stream(&self.request, call, &on_text).await;
        let kept = pieces.finish(answered.is_ok());
        (answered, kept, first_chunk.into_inner())
    }
}

/// A call that is being made. If it is dropped before it is answered, it counts as paid for: the provider may have done any
/// part of it.
struct Unanswered<'a> {
    reservation: Option<Reservation>,
    bound: &'a CallBound,
    lost: &'a Mutex<Usage>,
}

impl Unanswered<'_> {
    /// Settles the call with the usage that the provider reported, and gives what it took.
    fn answered(mut self, reported: Option<Usage>) -> Usage {
        self.settle(reported).unwrap_or_default()
    }

    fn settle(&mut self, reported: Option<Usage>) -> Option<Usage> {
        let reservation = self.reservation.take()?;
        let usage = self.bound.charged(reported, reservation.estimate());
        reservation.spend(usage);
        Some(usage)
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(usage) = self.settle(None) {
            *self.lost.lock() += usage;
        }
    }
}

/// A problem of an answer, with that it was cut, if it was.
fn cut(response: &ModelResponse, problem: String) -> String {
    match response.finish_reason {
        FinishReason::Length => {
            format!("the answer was cut at its longest length, which `max_output_tokens` says; {problem}")
        }
        _ => problem,
    }
}

/// A failure whose rate limit is longer than a step waits. No other call is to wait for it either.
fn not_waited_for(mut failed: NodeError, longest: Duration) -> NodeError {
    failed.retry_after = None;
    let longest = dad_core::format_duration(longest);
    let hint =
        format!("name another model in `models`, or wait for it by a longer `max_retry_delay` ({longest})");
    failed.with_hint(hint).permanent()
}

fn cancelled() -> NodeError {
    NodeError::new("cancelled", "the call was given up")
}
