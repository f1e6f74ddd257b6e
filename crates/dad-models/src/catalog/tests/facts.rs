//! Facts as the table of litellm 1.110.2 has them, read there by hand.

use super::known;
use crate::catalog::{ModelFacts, Thinking};
use crate::price::{Rates, Tokens};

fn rates(input: f64, output: f64, cached_input: f64) -> Rates {
    Rates {
        input,
        output,
        cached_input: Some(cached_input),
        ..Rates::default()
    }
}

#[test]
fn facts_are_those_of_the_table() {
    let efforts = |facts: &ModelFacts| {
        let efforts = facts.capabilities.efforts.as_deref().unwrap_or_default();
        efforts
            .iter()
            .map(|effort| effort.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (name, window, max_output, thinking, words) in [
        (
            "anthropic/claude-opus-5-5",
            1_000_000,
            128_000,
            Some(Thinking::AlwaysAdaptive),
            "low medium high xhigh max",
        ),
        (
            "anthropic/claude-opus-4-8",
            1_000_000,
            128_000,
            Some(Thinking::Adaptive),
            "low medium high xhigh max",
        ),
        (
            "anthropic/claude-haiku-4-5",
            200_000,
            64_000,
            Some(Thinking::Budget),
            "low medium high",
        ),
        (
            "openai/gpt-5.5",
            1_050_000,
            128_000,
            Some(Thinking::Effort),
            "none low medium high xhigh",
        ),
        (
            "openai/gpt-5-mini",
            272_000,
            128_000,
            Some(Thinking::Effort),
            "minimal low medium high",
        ),
        ("openai/gpt-4o", 128_000, 16_384, Some(Thinking::None), ""),
        (
            "gemini/gemini-2.5-pro",
            1_048_576,
            65_536,
            Some(Thinking::Budget),
            "low medium high",
        ),
        (
            "google/gemini-3.1-pro-preview",
            1_048_576,
            65_536,
            Some(Thinking::Effort),
            "low medium high",
        ),
        (
            "mistral/mistral-large-4",
            1_048_576,
            1_048_576,
            Some(Thinking::Effort),
            "none high",
        ),
        ("xai/grok-4.7", 500_000, 500_000, None, ""),
    ] {
        let facts = known(name);
        assert_eq!(
            (
                facts.window,
                facts.max_output,
                facts.capabilities.thinking,
                efforts(&facts).as_str()
            ),
            (Some(window), Some(max_output), thinking, words),
            "{name}"
        );
    }
}

#[test]
fn abilities_are_known_to_be_there_or_missing_or_not_known() {
    let opus = known("anthropic/claude-opus-5-5").capabilities;
    assert_eq!(
        (opus.sampling, opus.forced_tools, opus.tools),
        (Some(false), Some(false), Some(true))
    );
    assert_eq!(
        (opus.vision, opus.pdf, opus.audio_input),
        (Some(true), Some(true), None)
    );
    assert_eq!((opus.prompt_caching, opus.cache_breakpoints), (Some(true), None));
    for (name, takes_marks) in [
        ("openai/gpt-5.5", None),
        ("openai/gpt-5.6-luna", Some(true)),
        ("openai/gpt-6.1-sol", Some(true)),
    ] {
        assert_eq!(known(name).capabilities.cache_breakpoints, takes_marks, "{name}");
    }
    let gemini = known("google/gemini-2.5-flash").capabilities;
    assert_eq!(
        (gemini.audio_input, gemini.parallel_tools, gemini.sampling),
        (Some(true), Some(true), None)
    );
    let audio = known("openai/gpt-audio-1.5").capabilities;
    assert_eq!(
        (audio.structured_output, audio.vision),
        (Some(false), Some(false))
    );
    assert_eq!(known("openai/gpt-5-pro").capabilities.responses_only, Some(true));
    assert_eq!(known("openai/gpt-5.5").capabilities.responses_only, None);
    assert_eq!(known("openai/none-of-them"), ModelFacts::default());
    assert_eq!(known("ollama/gpt-5.5"), ModelFacts::default());
}

#[test]
fn models_have_days_of_retirement_and_successors() {
    let sonnet = known("anthropic/claude-sonnet-4-5");
    assert_eq!(sonnet.retires.unwrap().to_string(), "2026-11-30");
    assert_eq!(sonnet.successor.as_deref(), Some("anthropic/claude-sonnet-5-5"));
    let gemini = known("google/gemini-2.5-pro");
    assert_eq!(gemini.successor.as_deref(), Some("gemini/gemini-3.8-flash"));
    assert_eq!(known("openai/gpt-5.5").retires, None);
}

#[test]
fn prices_have_tiers_and_long_contexts() {
    let price = known("openai/gpt-5.5").price.unwrap();
    assert_eq!(price.rates, rates(5.0, 30.0, 0.5));
    assert_eq!(price.tiers.priority, Some(rates(12.5, 75.0, 1.25)));
    assert_eq!(price.tiers.flex, Some(rates(2.5, 15.0, 0.25)));
    let long = price.long_context.unwrap();
    assert_eq!((long.above, long.rates), (272_000, rates(10.0, 45.0, 1.0)));
    assert_eq!(long.tiers.flex, Some(rates(5.0, 22.5, 0.5)));
    assert_eq!(long.tiers.priority, None);
    let haiku = known("anthropic/claude-haiku-5-5").price.unwrap();
    assert_eq!(
        (haiku.rates.cache_write, haiku.rates.cache_write_long),
        (Some(0.125), Some(0.2))
    );
    let long = haiku.long_context.unwrap().rates;
    assert_eq!(
        (long.cache_write, long.cache_write_long),
        (Some(0.625), Some(1.0))
    );
    let flash = known("google/gemini-2.5-flash").price.unwrap();
    assert_eq!(
        (flash.rates.audio_input, flash.rates.reasoning),
        (Some(1.0), None)
    );
    assert_eq!(flash.tiers.flex.unwrap().audio_input, Some(0.5));
    // It has a price of its own for each request, which no price of tokens can say.
    assert_eq!(known("perplexity/preset/pro-search").price, None);
}

#[test]
fn a_call_costs_what_the_provider_publishes() {
    let cost = |name: &str, tokens: Tokens, tier: Option<&str>| {
        let cost = known(name).price.unwrap().cost_of(&tokens, tier);
        (cost * 1e9).round() / 1e9
    };
    let short = Tokens {
        input: 272_000,
        cached: 200_000,
        output: 10_000,
        reasoning: 8_000,
        ..Tokens::default()
    };
    // 72k × $5 + 200k × $0.5 + 10k × $30
    assert_eq!(cost("openai/gpt-5.5", short, None), 0.76);
    // 72k × $12.5 + 200k × $1.25 + 10k × $75
    assert_eq!(cost("openai/gpt-5.5", short, Some("priority")), 1.9);
    assert_eq!(cost("openai/gpt-5.5", short, Some("default")), 0.76);
    let long = Tokens {
        input: 272_001,
        ..short
    };
    // 72001 × $10 + 200k × $1 + 10k × $45
    assert_eq!(cost("openai/gpt-5.5", long, None), 1.37001);
    // 72001 × $5 + 200k × $0.5 + 10k × $22.5
    assert_eq!(cost("openai/gpt-5.5", long, Some("flex")), 0.685_005);
    // A tier that is not offered there costs as the usual one.
    assert_eq!(cost("openai/gpt-5.5", long, Some("priority")), 1.37001);
    let written = Tokens {
        input: 100_000,
        cached: 50_000,
        cache_write: 20_000,
        cache_write_long: 10_000,
        output: 1_000,
        ..Tokens::default()
    };
    // 20k × $4 + 50k × $0.2 + 20k × $5 + 10k × $8 + 1k × $20
    assert_eq!(cost("anthropic/claude-opus-5-5", written, None), 0.29);
    let heard = Tokens {
        input: 10_000,
        audio_input: 8_000,
        output: 1_000,
        ..Tokens::default()
    };
    // 2k × $0.3 + 8k × $1 + 1k × $2.5
    assert_eq!(cost("google/gemini-2.5-flash", heard, None), 0.0111);
}

#[test]
fn a_name_with_a_date_has_the_facts_of_the_name_without() {
    for name in [
        "anthropic/claude-opus-4-8-20260301",
        "anthropic/claude-opus-4-8-latest",
    ] {
        assert_eq!(known(name), known("anthropic/claude-opus-4-8"), "{name}");
        assert_eq!(known(name).price.unwrap().rates.input, 5.0);
    }
    // A date that has facts of its own keeps them.
    assert_eq!(known("openai/gpt-4o-2024-05-13").price.unwrap().rates.input, 5.0);
    assert_eq!(known("openai/gpt-4o").price.unwrap().rates.input, 2.5);
    // What a user has tuned costs as all models of its base that are tuned.
    let tuned = known("openai/ft:gpt-4o-2024-08-06:acme:reviews:AbC123");
    assert_eq!(
        tuned.price.unwrap().rates,
        known("openai/ft:gpt-4o-2024-08-06").price.unwrap().rates
    );
    assert_eq!(tuned.price.unwrap().rates.input, 3.75);
}
