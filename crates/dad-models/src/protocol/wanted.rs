//! The wishes of a request that protocols express in their own ways: reasoning, schema, tools.

use serde_json::Value;

use super::asked::Asked;
use super::capabilities::{Capabilities, Thinking};
use super::parts::protocol_name;
use crate::catalog::Protocol;
use crate::error::ModelError;
use crate::options::CallOptions;
use crate::request::{ToolChoice, ToolSpec};
use crate::schema::{self, Dialect, Fitted, Strictness, Unfit};

/// The reasoning that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasoning<'a> {
    /// The settings say nothing.
    Unsaid,
    Off,
    Effort(&'a str),
    Budget(u32),
}

/// The form in which the schema of an answer is asked for.
pub(super) enum AnswerForm<'a> {
    /// There is no schema.
    Free,
    /// By a format, which the provider enforces.
    Format(Fitted),
    /// Through the tool [`ANSWER_TOOL`], whose arguments obey this schema.
    Tool(&'a Value),
}

impl<'a> AnswerForm<'a> {
    pub(super) const fn tool(&self) -> Option<&'a Value> {
        match self {
            Self::Tool(schema) => Some(schema),
            _ => None,
        }
    }

    pub(super) const fn enforced(&self) -> Option<&Fitted> {
        match self {
            Self::Format(fitted) => Some(fitted),
            _ => None,
        }
    }
}

/// A tool through which a model gives its answer, where the provider cannot enforce a schema of the answer itself.
pub const ANSWER_TOOL: &str = "final_answer";

/// The dialect of schemas of a protocol.
pub(super) const fn dialect(protocol: Protocol) -> Dialect {
    match protocol {
        Protocol::OpenAi | Protocol::OpenAiResponses => Dialect::OpenAi,
        Protocol::Anthropic => Dialect::Anthropic,
        Protocol::Google => Dialect::Gemini,
    }
}

impl<'a> Asked<'a> {
    /// The options, checked against those that the protocol or the model does not have.
    ///
    /// # Errors
    /// [`ModelError::Request`] with the option.
    pub(super) fn options(&self, missing: &[&'static str]) -> Result<CallOptions, ModelError> {
        let options = CallOptions::read(&self.request.options.other).map_err(|reason| self.unfit(reason))?;
        if let Some(name) = options.first_set(missing) {
            let protocol = protocol_name(self.target.provider.protocol);
            return Err(self.unfit(format!("{protocol} has no option `{name}`")));
        }
        let known = &self.target.facts.capabilities;
        if known.parallel_tools == Some(false) && options.parallel_tool_calls == Some(true) {
            return Err(self.unfit(format!("`{}` calls one tool at a time", self.target.model)));
        }
        Ok(options)
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
        let Some(name) = options.first_set(&["temperature", "top_p", "top_k"]) else {
            return Ok(());
        };
        let model = &self.target.model;
        let effort = self.request.options.reasoning_effort.as_deref();
        let reasons = effort.is_some_and(|effort| effort != "none");
        if !known.sampling {
            Err(self.unfit(format!("`{model}` takes no `{name}`")))
        } else if reasons && known.thinking == Thinking::Effort && self.target.provider.name == "openai" {
            // zenn.dev/headwaters/articles/a5468c45ec2e52
            Err(self.unfit(format!(
                "`{model}` takes no `{name}` while it reasons: leave it out, or write `reasoning: false`"
            )))
        } else {
            Ok(())
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

    /// The form in which the schema of the answer is asked for. `can_enforce` says whether the provider has a format for it here.
    ///
    /// # Errors
    /// [`ModelError::Request`] if the settings want the schema enforced and that cannot be.
    pub(super) fn answer_form(
        &self,
        options: &CallOptions,
        can_enforce: bool,
    ) -> Result<AnswerForm<'a>, ModelError> {
        let Some(schema) = &self.request.options.schema else {
            return Ok(AnswerForm::Free);
        };
        let fitted = schema::fit(schema, self.dialect(), options.strict.unwrap_or_default())
            .map_err(|unfit| self.cannot_be_sent("the schema of the answer", &unfit))?;
        // OpenAI takes a schema also as a mere hint.
        let takes_hints = self.dialect() == Dialect::OpenAi;
        Ok(if can_enforce && (fitted.strict || takes_hints) {
            AnswerForm::Format(fitted)
        } else {
            AnswerForm::Tool(schema)
        })
    }

    /// The schema of a tool's arguments. Providers do not enforce it unless the settings say so: what their rules leave out, the
    /// check of the arguments does not.
    ///
    /// # Errors
    /// As for [`answer_form`](Self::answer_form).
    pub(super) fn tool_schema(&self, tool: &ToolSpec, options: &CallOptions) -> Result<Fitted, ModelError> {
        let strictness = match options.strict {
            Some(Strictness::Always) => Strictness::Always,
            _ => Strictness::Never,
        };
        schema::fit_arguments(&tool.schema, self.dialect(), strictness)
            .map_err(|unfit| self.cannot_be_sent(&format!("the schema of the tool `{}`", tool.name), &unfit))
    }

    fn dialect(&self) -> Dialect {
        dialect(self.target.provider.protocol)
    }

    fn cannot_be_sent(&self, name: &str, unfit: &Unfit) -> ModelError {
        let place = match unfit.pointer.as_str() {
            "" => "its root",
            pointer => pointer,
        };
        self.unfit(format!("{name} cannot be sent: at {place}, {}", unfit.reason))
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
        let forces = matches!(wanted, Some(ToolChoice::Required | ToolChoice::Tool { .. }));
        if self.request.options.tools.is_empty() && !answers_by_tool {
            return if forces {
                Err(self.unfit("`tool_choice` asks for a tool, and there is none"))
            } else {
                Ok(None)
            };
        }
        if forces && !known.forced_tools {
            return Err(self.unfit(format!("`{}` cannot be made to call a tool", self.target.model)));
        }
        // An answer is a call, too.
        let must = answers_by_tool && known.forced_tools && !forces;
        Ok(if must { Some(ToolChoice::Required) } else { wanted })
    }
}
