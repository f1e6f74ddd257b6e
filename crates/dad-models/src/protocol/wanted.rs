//! The wishes of a request that protocols express in their own ways: reasoning, schema, tools.

use serde_json::{Value, json};

use super::asked::Asked;
use super::capabilities::{Capabilities, Thinking};
use super::parts::protocol_name;
use crate::catalog::Protocol;
use crate::error::ModelError;
use crate::options::CallOptions;
use crate::request::{ToolChoice, ToolSpec};
use crate::schema::{self, Dialect, Fitted, Strictness};

/// The reasoning that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasoning<'a> {
    /// The settings say nothing.
    Unsaid,
    Off,
    Effort(&'a str),
    Budget(u32),
}

/// A tool through which a model gives its answer, where the provider cannot enforce a schema of the answer itself.
pub const ANSWER_TOOL: &str = "final_answer";

/// The field in which an answer that is no object stands among the arguments of a call.
const WRAPPED: &str = "answer";

/// Whether a schema is that of an object, as the arguments of a call are.
fn is_of_object(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "object")
}

/// A schema as that of the arguments of a call.
pub(super) fn wrapped(mut schema: Value) -> Value {
    if is_of_object(&schema) {
        return schema;
    }
    let definitions = schema.as_object_mut().and_then(|fields| fields.remove("$defs"));
    let mut wrapper = json!({ "type": "object", "properties": { WRAPPED: schema }, "required": [WRAPPED] });
    if let Some(definitions) = definitions {
        wrapper["$defs"] = definitions;
    }
    wrapper
}

/// The answer among the arguments of a call whose schema may have been wrapped.
pub(super) fn unwrapped(arguments: Value, schema: &Value) -> Value {
    match arguments {
        Value::Object(mut fields) if fields.len() == 1 && !is_of_object(schema) => {
            fields.remove(WRAPPED).unwrap_or(Value::Object(fields))
        }
        arguments => arguments,
    }
}

/// The dialect of schemas of a protocol.
pub(super) const fn dialect(protocol: Protocol) -> Dialect {
    match protocol {
        Protocol::OpenAi | Protocol::OpenAiResponses => Dialect::OpenAi,
        Protocol::Anthropic => Dialect::Anthropic,
        Protocol::Google => Dialect::Gemini,
    }
}

impl<'a> Asked<'a> {
    /// The options, checked against those that the protocol does not have.
    ///
    /// # Errors
    /// [`ModelError::Request`] with the option.
    pub(super) fn options(&self, missing: &[&'static str]) -> Result<CallOptions, ModelError> {
        let options = CallOptions::read(&self.request.options.other).map_err(|reason| self.unfit(reason))?;
        match options.first_set(missing) {
            None => Ok(options),
            Some(name) => {
                let protocol = protocol_name(self.target.provider.protocol);
                Err(self.unfit(format!("{protocol} has no option `{name}`")))
            }
        }
    }

    /// Refuses what this model does not take.
    ///
    /// # Errors
    /// [`ModelError::Request`] with the option.
    pub(super) fn check_sampling(
        &self,
        options: &CallOptions,
        known: &Capabilities,
    ) -> Result<(), ModelError> {
        match options.first_set(&["temperature", "top_p", "top_k"]) {
            Some(name) if !known.sampling => {
                Err(self.unfit(format!("`{}` takes no `{name}`", self.target.model)))
            }
            _ => Ok(()),
        }
    }

    /// The reasoning that is asked for.
    ///
    /// # Errors
    /// [`ModelError::Request`] if this model does not know the effort, or cannot be kept from reasoning.
    pub(super) fn reasoning(&self, known: &Capabilities) -> Result<Reasoning<'a>, ModelError> {
        let options = &self.request.options;
        let effort = options.reasoning_effort.as_deref();
        Ok(match (effort, options.max_reasoning_tokens) {
            (Some("none"), _) => {
                let knows_none = known.efforts.iter().any(|known| known == "none");
                if known.thinking == Thinking::Effort && !known.efforts.is_empty() && !knows_none {
                    let efforts = known.efforts.join("`, `");
                    let model = &self.target.model;
                    return Err(self.unfit(format!(
                        "`{model}` always reasons; its `reasoning_effort` is one of `{efforts}`"
                    )));
                }
                Reasoning::Off
            }
            (_, Some(tokens)) => Reasoning::Budget(tokens),
            (Some(effort), None) => {
                let is_known = known.efforts.is_empty() || known.efforts.iter().any(|known| known == effort);
                if !is_known {
                    let efforts = known.efforts.join("`, `");
                    let reason = format!(
                        "`{}` knows no `reasoning_effort: {effort}`; it knows `{efforts}`",
                        self.target.model
                    );
                    return Err(self.unfit(reason));
                }
                Reasoning::Effort(effort)
            }
            (None, None) => Reasoning::Unsaid,
        })
    }

    /// The schema of the answer in the form of a dialect.
    ///
    /// # Errors
    /// [`ModelError::Request`] if the settings want it enforced and that cannot be.
    pub(super) fn schema(&self, options: &CallOptions) -> Result<Option<Fitted>, ModelError> {
        let schema = self.request.options.schema.as_ref();
        schema
            .map(|schema| {
                self.fitted(
                    schema,
                    options.strict.unwrap_or_default(),
                    "the schema of the answer",
                )
            })
            .transpose()
    }

    /// The schema of a tool's arguments. Providers do not enforce it unless the settings say so: what their rules leave out, the
    /// check of the arguments does not.
    ///
    /// # Errors
    /// As for [`schema`](Self::schema).
    pub(super) fn tool_schema(&self, tool: &ToolSpec, options: &CallOptions) -> Result<Fitted, ModelError> {
        let strictness = match options.strict {
            Some(Strictness::Always) => Strictness::Always,
            _ => Strictness::Never,
        };
        self.fitted(
            &tool.schema,
            strictness,
            &format!("the schema of the tool `{}`", tool.name),
        )
    }

    fn fitted(&self, schema: &Value, strictness: Strictness, name: &str) -> Result<Fitted, ModelError> {
        let dialect = dialect(self.target.provider.protocol);
        schema::fit(schema, dialect, strictness).map_err(|unfit| {
            let place = match unfit.pointer.as_str() {
                "" => "its root",
                pointer => pointer,
            };
            self.unfit(format!("{name} cannot be sent: at {place}, {}", unfit.reason))
        })
    }

    /// The tools, and that through which the answer is given, if it is.
    pub(super) fn tools(&self, answer: Option<&Value>) -> Vec<ToolSpec> {
        let mut tools = self.request.options.tools.clone();
        tools.extend(answer.map(|schema| ToolSpec {
            name: ANSWER_TOOL.to_owned(),
            description: Some(
                "Gives the final answer. Call it once, when the answer is complete.".to_owned(),
            ),
            schema: schema.clone(),
            cache: false,
        }));
        tools
    }

    /// The choice of tools, checked against the tools that there are.
    ///
    /// # Errors
    /// [`ModelError::Request`] if the model cannot be made to call a tool.
    pub(super) fn tool_choice(
        &self,
        known: &Capabilities,
        answers_by_tool: bool,
    ) -> Result<Option<ToolChoice>, ModelError> {
        let wanted = self.request.options.tool_choice.clone();
        if self.request.options.tools.is_empty() && !answers_by_tool {
            return Ok(None);
        }
        let forces = matches!(wanted, Some(ToolChoice::Required | ToolChoice::Tool { .. }));
        if forces && !known.forced_tools {
            return Err(self.unfit(format!("`{}` cannot be made to call a tool", self.target.model)));
        }
        // An answer is a call, too.
        let must = answers_by_tool && known.forced_tools && !forces;
        Ok(if must { Some(ToolChoice::Required) } else { wanted })
    }
}
