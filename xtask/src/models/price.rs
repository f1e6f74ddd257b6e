//! Prices of the table as prices of the catalogue.

use serde_json::{Map, Value, json};

/// The rates of the catalogue, and the columns that hold them, the first of which counts. The place of a number of tokens and of
/// a service tier in a column's name is after the word that is given here.
const RATES: &[(&str, &[&str])] = &[
    ("input", &["input_cost_per_token"]),
    ("output", &["output_cost_per_token"]),
    (
        "cached_input",
        &["cache_read_input_token_cost", "input_cost_per_token_cache_hit"],
    ),
    ("cache_write", &["cache_creation_input_token_cost"]),
    (
        "cache_write_long",
        &[
            "cache_creation_input_token_cost_above_1hr",
            "cache_creation_input_token_cost_above_12hr",
        ],
    ),
    ("reasoning", &["output_cost_per_reasoning_token"]),
    ("audio_input", &["input_cost_per_audio_token"]),
    ("audio_output", &["output_cost_per_audio_token"]),
    ("image_output", &["output_cost_per_image_token"]),
];

/// The service tiers of the catalogue, by their words in the table.
const TIERS: &[(&str, &str)] = &[("priority", "priority"), ("flex", "flex"), ("batch", "batches")];

/// The price of a model, if the table has one for what is sent and what is received. A model that costs nothing may be one whose
/// price the table does not know, and a price of a call cannot be said in tokens: both have none.
pub(super) fn price(model: &Value) -> Option<Value> {
    let usual = rates(model, "", None)?;
    let is_free = ["input", "output"]
        .iter()
        .all(|name| usual.get(*name).and_then(Value::as_f64) == Some(0.0));
    if is_free || model.get("input_cost_per_request").is_some() {
        return None;
    }
    let mut price = usual.clone();
    put(&mut price, "tiers", tiers(model, "", &usual));
    if let Some(above) = threshold(model) {
        let part = format!("_above_{above}k_tokens");
        if let Some(long) = rates(model, &part, Some(&usual)) {
            let mut context = Map::new();
            context.insert("above".to_owned(), json!(above * 1000));
            context.insert("rates".to_owned(), without_defaults(&long));
            put(&mut context, "tiers", tiers(model, &part, &long));
            price.insert("long_context".to_owned(), context.into());
        }
    }
    let nested = ["tiers", "long_context"].map(|field| (field, price.remove(field)));
    let mut price = without_defaults(&price);
    for (field, value) in nested {
        if let Some(value) = value {
            price[field] = value;
        }
    }
    Some(price)
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Map<String, Value>) {
    if !value.is_empty() {
        fields.insert(name.to_owned(), value.into());
    }
}

fn tiers(model: &Value, part: &str, usual: &Map<String, Value>) -> Map<String, Value> {
    let tiers = TIERS.iter().filter_map(|(name, word)| {
        let rates = rates(model, &format!("{part}_{word}"), Some(usual))?;
        Some(((*name).to_owned(), without_defaults(&rates)))
    });
    tiers.collect()
}

/// The smallest number of thousands of tokens above which a price of its own holds for what is sent.
fn threshold(model: &Value) -> Option<u64> {
    let columns = model.as_object()?.keys();
    let thousands = columns.filter_map(|column| {
        let rest = column.strip_prefix("input_cost_per_token_above_")?;
        rest.strip_suffix("k_tokens")?.parse::<u64>().ok()
    });
    thousands.min()
}

/// The rates with something added to the columns' names. Those that the table does not have for it are as they usually are.
fn rates(model: &Value, part: &str, usual: Option<&Map<String, Value>>) -> Option<Map<String, Value>> {
    let mut rates = Map::new();
    let mut is_priced = false;
    for (name, columns) in RATES {
        let own = columns
            .iter()
            .find_map(|column| per_million(model.get(format!("{column}{part}"))?));
        is_priced |= own.is_some() && matches!(*name, "input" | "output");
        let rate = own.map(Value::from).or_else(|| inherited(usual?, name));
        if let Some(rate) = rate {
            rates.insert((*name).to_owned(), rate);
        }
    }
    let is_whole = rates.contains_key("input") && rates.contains_key("output");
    (is_whole && is_priced).then_some(rates)
}

/// A rate that other prices share. One that is only the general rate by another name follows that.
fn inherited(usual: &Map<String, Value>, name: &str) -> Option<Value> {
    let rate = usual.get(name)?;
    (default_of(name).is_none_or(|general| usual.get(general) != Some(rate))).then(|| rate.clone())
}

/// The rate that counts for tokens without one of their own.
fn default_of(name: &str) -> Option<&'static str> {
    match name {
        "reasoning" | "audio_output" | "image_output" => Some("output"),
        "audio_input" => Some("input"),
        _ => None,
    }
}

/// Rates without those that hold anyway.
fn without_defaults(rates: &Map<String, Value>) -> Value {
    let kept = rates
        .iter()
        .filter(|(name, rate)| default_of(name).is_none_or(|general| rates.get(general) != Some(rate)));
    kept.map(|(name, rate)| (name.clone(), rate.clone()))
        .collect::<Map<_, _>>()
        .into()
}

/// A price of a token as one of a million, with the digits that the provider publishes and none that come from the
/// multiplication.
fn per_million(price: &Value) -> Option<f64> {
    let price = price
        .as_f64()
        .filter(|price| price.is_finite() && *price >= 0.0)?;
    format!("{:.9e}", price * 1e6).parse().ok()
}
