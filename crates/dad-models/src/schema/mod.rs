//! Placeholder.
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub(crate) struct Fitted {
    pub(crate) schema: Value,
    pub(crate) strict: bool,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strictness {
    #[default]
    Auto,
    Always,
    Never,
}
pub(crate) struct Unfit {
    pub(crate) pointer: String,
    pub(crate) reason: String,
}
pub(crate) fn fit(schema: &Value, _: Dialect, _: Strictness) -> Result<Fitted, Unfit> {
    Ok(Fitted {
        schema: schema.clone(),
        strict: true,
    })
}
