//! Names that are nearly right, warnings, and the list of models.

use super::project;
use crate::catalog::{ModelCatalog, ModelEntry, data};

#[test]
fn a_bare_unknown_name_lists_a_near_one() {
    let catalog = ModelCatalog::new(vec![ModelEntry {
        name: "local/coder".to_owned(),
        base_url: Some("http://127.0.0.1:1/v1".to_owned()),
        aliases: vec!["coder".to_owned()],
        ..ModelEntry::default()
    }]);
    let target = catalog.find("coder").unwrap();
    assert_eq!(
        (target.provider.base_url.as_str(), target.model.as_str()),
        ("http://127.0.0.1:1/v1/", "coder")
    );
    assert!(!target.provider.wants_key);
    let error = catalog.find("codr").unwrap_err().to_string();
    assert_eq!(
        error,
        "`codr` is not a known model; write `provider/model`, did you mean `coder`?"
    );
    let error = catalog.find("locl/coder").unwrap_err().to_string();
    assert!(
        error.starts_with("the provider `locl` of `locl/coder` is not known, did you mean `local/coder`?"),
        "{error}"
    );
    assert!(
        catalog
            .find("missing/x")
            .unwrap_err()
            .to_string()
            .contains("anthropic, cerebras, deepseek, fireworks_ai, gemini, google, groq, mistral, moonshot")
    );
}

#[test]
fn a_model_that_is_better_not_asked_is_warned_of() {
    let catalog = project(
        "- { name: openai/tomorrow }
- { name: openai/tried, window: 1000 }
- { name: openai/proxied, base_url: 'https://proxy.example/v1' }
- { name: anthropic/claude-sonnet-4-5, base_url: 'https://proxy.example/v1', aliases: [old] }
- { name: mine, provider: openai, model: gpt-5.5, retires: 2026-01-01, successor: openai/gpt-6-sol }
",
    )
    .unwrap();
    let warning = |name: &str, day: &str| {
        let warning = catalog.warning(name, format!("{day}T00:00:00Z").parse().unwrap());
        warning.map(|warning| warning.to_string())
    };
    let day = "2026-12-01";
    assert_eq!(
        warning("google/gemini-2.5-pro", day).unwrap(),
        "the provider of `google/gemini-2.5-pro` retired it on 2026-12-01 and recommends `google/gemini-3.8-flash`"
    );
    assert_eq!(warning("google/gemini-2.5-pro", "2026-11-30"), None);
    assert_eq!(
        warning("mine", day).unwrap(),
        "the provider of `mine` retired it on 2026-01-01 and recommends `openai/gpt-6-sol`"
    );
    let date = data::date().unwrap();
    assert_eq!(
        warning("anthropic/claude-opus-48", day).unwrap(),
        format!(
            "`anthropic/claude-opus-48` is none of its provider's models that were known on {date}; did you mean \
             `anthropic/claude-opus-4-8`?"
        )
    );
    assert!(
        warning("openai/tomorrow", day).is_some(),
        "the project knows no more than its name"
    );
    for name in [
        "openai/gpt-5.5",
        "openai/tried",
        "openai/proxied",
        "openai/ft:gpt-4.1:acme::x",
        "openai/ft:unheard-of:acme::x",
        "old",
        "groq/any/thing",
        "ollama/anything",
        "openrouter/any/thing",
        "unheard/of",
    ] {
        assert_eq!(warning(name, day), None, "{name}");
    }
}

#[test]
fn models_are_listed_with_those_of_the_project() {
    let catalog = project("- { name: local/coder, base_url: 'http://127.0.0.1:1', aliases: [coder] }\n- { name: openai/gpt-5.5, window: 7 }").unwrap();
    let models = catalog.models(None);
    assert!(models.windows(2).all(|pair| pair[0].name < pair[1].name));
    let find = |name: &str| models.iter().find(|model| model.name == name).unwrap();
    assert!(find("local/coder").is_configured && !find("openai/gpt-5.1").is_configured);
    assert_eq!(find("openai/gpt-5.5").facts.window, Some(7));
    assert_eq!(catalog.describe("coder").unwrap().name, "local/coder");
    assert!(
        catalog.knows("coder") && catalog.knows("google/gemini-2.5-pro") && !catalog.knows("openai/gpt-55")
    );
    assert_eq!(
        catalog.nearest_known("openai/gpt-55").as_deref(),
        Some("openai/gpt-5.5")
    );
    assert_eq!(
        catalog.nearest_known("claude-opus-4-8").as_deref(),
        Some("anthropic/claude-opus-4-8")
    );
    assert_eq!(catalog.nearest_known("codr").as_deref(), Some("coder"));
    // Several providers have it, and one of them has made it.
    assert_eq!(
        catalog.nearest_known("kimi-k3").as_deref(),
        Some("moonshot/kimi-k3")
    );
    let of = |provider: &str| {
        catalog
            .models(Some(provider))
            .into_iter()
            .map(|model| model.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("local"), ["local/coder"]);
    assert!(
        of("google").contains(&"google/gemini-2.5-pro".to_owned()),
        "{:?}",
        of("google")
    );
    assert!(of("nothing").is_empty());
    assert!(catalog.providers().contains("local") && catalog.providers().contains("groq"));
}
