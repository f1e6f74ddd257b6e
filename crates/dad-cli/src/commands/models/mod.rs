//! `dhenara models`: the commands that look at models and try them.

pub(crate) mod check;
pub(crate) mod list;
pub(crate) mod show;
mod words;

use dad_models::KnownModel;
use serde_json::{Value, json};

/// A model as `--json` prints it.
fn document(model: &KnownModel) -> Value {
    let facts = &model.facts;
    json!({
        "name": model.name,
        "provider": model.provider.name,
        "model": model.model,
        "base_url": model.provider.base_url,
        "protocol": model.provider.protocol,
        "aliases": model.aliases,
        "configured": model.is_configured,
        "window": facts.window,
        "max_output_tokens": facts.max_output,
        "price": facts.price,
        "capabilities": facts.capabilities,
        "retires": facts.retires,
        "successor": facts.successor,
    })
}
