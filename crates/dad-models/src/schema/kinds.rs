//! The types that the transformation of schemas begins and ends with.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// The copy of a schema that is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fitted {
    /// The copy. [`restore`](super::restore) brings an answer to it back to the form of the original.
    pub(crate) schema: Value,
    /// Whether the provider can enforce it. If not, the copy is for a request that does not ask for that: with
    /// `strict: false`, as the parameters of a tool that is not strict, or in the text of the prompt.
    pub(crate) strict: bool,
}

/// A place of a schema that a provider cannot enforce.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema at `{pointer}` cannot be enforced by the provider: {reason}")]
pub(crate) struct Unfit {
    /// JSON Pointer of the place in the original schema; empty for its root.
    pub(crate) pointer: String,
    /// The cause, and the way round.
    pub(crate) reason: String,
}

/// The rules of a provider for the schemas of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Structured outputs and strict tools of OpenAI.
    OpenAi,
    /// Structured outputs and strict tools of Anthropic.
    Anthropic,
    /// `responseJsonSchema` and `parametersJsonSchema` of Gemini.
    Gemini,
}

/// Whether a provider shall enforce a schema while it generates. Answers are validated either way.
///
/// Written as `auto`, `true` or `false`.
///
/// ```
/// use dad_models::Strictness;
///
/// assert_eq!(serde_json::from_str::<Strictness>("\"auto\"")?, Strictness::default());
/// assert_eq!(serde_json::from_str::<Strictness>("true")?, Strictness::Always);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strictness {
    /// Enforcement if the schema allows it.
    #[default]
    Auto,
    /// Enforcement in any case: a schema that cannot be enforced is an error.
    Always,
    /// No enforcement.
    Never,
}

impl fmt::Display for Strictness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "true",
            Self::Never => "false",
        })
    }
}

impl Serialize for Strictness {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Always => serializer.serialize_bool(true),
            Self::Never => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for Strictness {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Strictness;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`auto`, `true` or `false`")
            }

            fn visit_bool<E>(self, always: bool) -> Result<Strictness, E> {
                Ok(if always {
                    Strictness::Always
                } else {
                    Strictness::Never
                })
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Strictness, E> {
                // A template yields text.
                match text {
                    "auto" => Ok(Strictness::Auto),
                    "true" => Ok(Strictness::Always),
                    "false" => Ok(Strictness::Never),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Strictness {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Strictness".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "description": "Whether the provider enforces the schema while it generates.",
            "enum": json!(["auto", true, false]),
            "default": "auto",
        })
    }
}
