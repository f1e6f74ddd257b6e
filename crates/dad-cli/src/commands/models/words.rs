//! Facts about models in words.

use dad_models::{Capabilities, Price, Rates};

/// A price in dollars, with cents, and what is less where there is such.
pub(super) fn dollars(price: f64) -> String {
    let text = format!("{price:.4}");
    let cut = text.trim_end_matches('0');
    let cents = text.find('.').map_or(text.len(), |dot| dot + 3);
    text.get(..cents.max(cut.len())).unwrap_or(&text).to_owned()
}

/// A number of tokens in a column, rounded: `200k`, `1.05M`.
pub(super) fn rounded(tokens: u64) -> String {
    let short = |value: f64, unit: &str| {
        let text = format!("{value:.2}");
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match tokens {
        0..1000 => tokens.to_string(),
        // What would be rounded to 1000k belongs to the next unit.
        1000..999_995 => short(tokens as f64 / 1e3, "k"),
        _ => short(tokens as f64 / 1e6, "M"),
    }
}

/// A number with a comma after each three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The abilities that the model has, or that it is known not to have.
pub(super) fn abilities(capabilities: &Capabilities, there: bool) -> Vec<&'static str> {
    let flags = capabilities.flags().into_iter();
    flags
        .filter(|(_, value)| *value == Some(there))
        .map(|(name, _)| name)
        .collect()
}

/// The lines of a price: the usual rates, those of service tiers, and those of long calls.
pub(super) fn price_lines(price: &Price) -> Vec<String> {
    let mut lines = vec![rates(&price.rates)];
    let tiers = |tiers: &dad_models::Tiers| {
        [
            ("priority", tiers.priority),
            ("flex", tiers.flex),
            ("batch", tiers.batch),
        ]
        .into_iter()
        .filter_map(|(name, tier)| Some((name, tier?)))
    };
    lines.extend(tiers(&price.tiers).map(|(name, tier)| format!("{name}: {}", rates(&tier))));
    if let Some(long) = &price.long_context {
        let above = format!("above {} tokens", grouped(long.above));
        lines.push(format!("{above}: {}", rates(&long.rates)));
        lines.extend(tiers(&long.tiers).map(|(name, tier)| format!("{above}, {name}: {}", rates(&tier))));
    }
    lines
}

fn rates(rates: &Rates) -> String {
    let named = [
        ("input", Some(rates.input)),
        ("output", Some(rates.output)),
        ("cached input", rates.cached_input),
        ("cache write", rates.cache_write),
        ("long cache write", rates.cache_write_long),
        ("reasoning", rates.reasoning),
        ("audio input", rates.audio_input),
        ("audio output", rates.audio_output),
        ("image output", rates.image_output),
    ];
    let named = named
        .into_iter()
        .filter_map(|(name, rate)| Some(format!("${} {name}", dollars(rate?))));
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_exact_enough() {
        let prices = [5.0, 0.5, 12.25, 0.044, 0.0035, 0.1 + 0.2, 0.0].map(dollars);
        assert_eq!(
            prices,
            ["5.00", "0.50", "12.25", "0.044", "0.0035", "0.30", "0.00"]
        );
        let tokens = [7, 4096, 200_000, 999_999, 1_048_576, 2_000_000].map(rounded);
        assert_eq!(tokens, ["7", "4.1k", "200k", "1M", "1.05M", "2M"]);
        let numbers = [7, 999, 1000, 1_050_000].map(grouped);
        assert_eq!(numbers, ["7", "999", "1,000", "1,050,000"]);
    }
}
