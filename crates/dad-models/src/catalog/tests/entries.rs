//! Entries of projects.

use std::path::PathBuf;

use super::project;
use crate::catalog::{Auth, Effort, Protocol, Thinking, provider};
use crate::price::Price;

#[test]
fn a_project_overrides_facts_one_by_one() {
    let catalog = project(
        "- name: openai/gpt-5.5
  price: { input: 1.0, output: 2.0 }
  window: 100000
  capabilities: { vision: false, efforts: [low, max] }
- { name: big, provider: anthropic, model: claude-opus-4-8, retires: 2027-01-31, max_output_tokens: 9000 }
- { name: anthropic/claude-haiku-4-5, base_url: 'http://127.0.0.1:4000' }
- { name: openai/gpt-5.1, base_url: 'https://api.openai.com/v1' }
",
    )
    .unwrap();
    let facts = |name: &str| catalog.find(name).unwrap().facts;
    let gpt = facts("openai/gpt-5.5");
    assert_eq!(
        (gpt.price, gpt.window),
        (Some(Price::new(1.0, 2.0)), Some(100_000))
    );
    assert_eq!(gpt.capabilities.efforts, Some(vec![Effort::Low, Effort::Max]));
    assert_eq!(
        (gpt.capabilities.vision, gpt.capabilities.pdf),
        (Some(false), Some(true))
    );
    assert_eq!(gpt.max_output, Some(128_000));
    let big = facts("big");
    assert_eq!((big.max_output, big.window), (Some(9000), Some(1_000_000)));
    assert_eq!(big.retires.unwrap().to_string(), "2027-01-31");
    assert_eq!(catalog.price("big").unwrap().unwrap().rates.input, 5.0);
    // Elsewhere, another price may hold; the model is the same.
    let proxied = facts("anthropic/claude-haiku-4-5");
    assert_eq!(
        (proxied.price, proxied.capabilities.thinking),
        (None, Some(Thinking::Budget))
    );
    assert!(facts("openai/gpt-5.1").price.is_some());
    for wrong in [
        "capabilities: { sight: true }",
        "retires: soon",
        "efforts: [low]",
        "capabilities: { efforts: [huge] }",
    ] {
        let error = project(&format!("- {{ name: a/b, {wrong} }}")).unwrap_err();
        assert!(error.to_string().contains("models.yaml"), "{error}");
    }
}

#[test]
fn openai_answers_responses_at_its_own_address_and_others_chat_completions() {
    let catalog = project(
        "- { name: openai/a, base_url: 'https://proxy.example/v1' }
- { name: openai/b, base_url: 'https://API.openai.com/v1/' }
- { name: openai/c, protocol: openai }
- { name: work/d, base_url: 'https://proxy.example/v1', protocol: openai_responses }
- { name: work/e, base_url: 'https://api.openai.com/v1' }
",
    )
    .unwrap();
    for (name, protocol) in [
        ("openai/gpt-5.5", Protocol::OpenAiResponses),
        ("openai/a", Protocol::OpenAi),
        ("openai/b", Protocol::OpenAiResponses),
        ("openai/c", Protocol::OpenAi),
        ("work/d", Protocol::OpenAiResponses),
        ("work/e", Protocol::OpenAi),
        ("groq/openai/gpt-oss-120b", Protocol::OpenAi),
        ("gemini/gemini-2.5-pro", Protocol::Google),
        ("anthropic/claude-opus-4-8", Protocol::Anthropic),
    ] {
        assert_eq!(catalog.find(name).unwrap().provider.protocol, protocol, "{name}");
    }
}

#[test]
fn an_address_may_leave_out_the_version_where_all_servers_have_the_same() {
    for (protocol, given, asked) in [
        ("openai", "http://127.0.0.1:8000", "http://127.0.0.1:8000/v1/"),
        ("openai", "http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1/"),
        ("openai", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1/"),
        ("openai", "http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1/"),
        (
            "openai",
            "https://proxy.example/openai",
            "https://proxy.example/openai/",
        ),
        ("anthropic", "https://proxy.example", "https://proxy.example/v1/"),
        ("google", "https://proxy.example", "https://proxy.example/"),
        (
            "openai_responses",
            "https://api.openai.com",
            "https://api.openai.com/v1/",
        ),
        (
            "openai",
            "https://api.groq.com",
            "https://api.groq.com/openai/v1/",
        ),
        (
            "openai",
            "https://api.perplexity.ai/",
            "https://api.perplexity.ai/",
        ),
        ("openai", "no address", "no address/"),
    ] {
        let entry = format!("- {{ name: x/y, base_url: '{given}', protocol: {protocol} }}");
        let provider = project(&entry).unwrap().find("x/y").unwrap().provider;
        assert_eq!(provider.base_url, asked, "{protocol} {given}");
    }
}

#[test]
fn headers_parameters_and_keys_go_to_the_address_they_are_written_with() {
    let catalog = project(
        "- name: azure/gpt
  provider: azure
  base_url: https://acme.example/openai/deployments/gpt
  headers: { X-Team: research }
  query: { api-version: 2024-10-21 }
  auth: { header: api-key }
  ca_file: certs/acme.pem
- { name: azure/mini, provider: azure }
- { name: azure/other, provider: azure, base_url: 'https://other.example/v1' }
- { name: local/coder, base_url: 'https://models.example/v1', auth: none }
- { name: map/coder, base_url: 'https://models.example/v1', auth: { query: key } }
",
    )
    .unwrap();
    let provider = |name: &str| catalog.find(name).unwrap().provider;
    for name in ["azure/gpt", "azure/mini"] {
        let azure = provider(name);
        assert_eq!(azure.headers.get("X-Team").map(String::as_str), Some("research"));
        assert_eq!(
            azure.query.get("api-version").map(String::as_str),
            Some("2024-10-21")
        );
        assert_eq!(azure.auth, Auth::Header("api-key".to_owned()));
        assert!(
            azure
                .ca_file
                .as_ref()
                .is_some_and(|file| file.is_absolute() && file.ends_with("certs/acme.pem"))
        );
        assert!(azure.wants_key);
    }
    let other = provider("azure/other");
    assert_eq!(
        (other.headers.len(), other.query.len(), other.ca_file),
        (0, 0, None::<PathBuf>)
    );
    assert_eq!(other.auth, Auth::Bearer);
    assert!(!provider("local/coder").wants_key);
    assert_eq!(provider("map/coder").auth, Auth::Query("key".to_owned()));
    assert_eq!(
        provider("google/x").auth,
        Auth::Header("x-goog-api-key".to_owned())
    );
    for (entry, reason) in [
        ("headers: { Authorization: Bearer x }", "credentials.yaml"),
        ("headers: { X-API-Key: x }", "credentials.yaml"),
        ("headers: { Host: evil.example }", "the connection decides"),
        ("headers: { 'X Team': x }", "letters"),
        ("headers: { X-Team: '$secret{TEAM}' }", "sent as it is"),
        ("auth: { header: 'a b' }", "letters"),
        ("auth: { cookie: x }", "cookie"),
    ] {
        let error = project(&format!("- {{ name: a/b, {entry} }}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{entry}: {error}");
    }
}

#[test]
fn certificates_of_a_project_do_not_vouch_for_a_server_that_gets_a_key_of_the_user() {
    let catalog = project("- { name: openai/gpt-5.5, ca_file: ca.pem }\n- { name: openai/gpt-5.1 }").unwrap();
    assert!(!catalog.find("openai/gpt-5.5").unwrap().takes_keys_of_user);
    assert!(catalog.find("openai/gpt-5.1").unwrap().takes_keys_of_user);
    let allowed = catalog.allow_keys(["OPENAI_API_KEY"]);
    assert!(allowed.find("openai/gpt-5.5").unwrap().takes_keys_of_user);
}

#[test]
fn models_of_the_user_stand_behind_those_of_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("models.yaml");
    let entries = "- { name: corp/a, provider: corp, model: a, base_url: 'http://corp.test/v1', ca_file: corp.pem }\n- { name: openai/gpt-5.5, window: 7 }\n\
                   - { name: here/b, window: 9 }\n";
    super::write(&file, entries);
    let of_project = |entries: &str| project(entries).unwrap().with_user_file(&file).unwrap();

    let catalog = of_project("[{ name: here/b, base_url: 'http://here.test', window: 5 }]");
    let corp = catalog.find("corp/a").unwrap();
    assert!(corp.takes_keys_of_user, "the user says where it is asked");
    assert_eq!(corp.provider.ca_file, Some(dir.path().join("corp.pem")));
    let window = |name: &str| catalog.find(name).unwrap().facts.window;
    assert_eq!((window("openai/gpt-5.5"), window("here/b")), (Some(7), Some(5)));
    assert!(!catalog.find("here/b").unwrap().takes_keys_of_user);
    let names: Vec<&str> = catalog.configured().collect();
    assert_eq!(names, ["here/b", "corp/a", "openai/gpt-5.5"]);

    // A project that leads the user's provider elsewhere, or vouches for its server, gets no key for it.
    for entries in [
        "[{ name: corp/a, base_url: 'http://evil.test/v1' }]",
        "[{ name: corp/a, base_url: 'http://corp.test/v1', ca_file: evil.pem }]",
        "[{ name: corp/a, provider: corp, model: a, ca_file: evil.pem }]",
    ] {
        let found = of_project(entries).find("corp/a").unwrap();
        assert!(!found.takes_keys_of_user, "{entries}");
    }
}

#[test]
fn providers_can_be_found_by_name() {
    let names: Vec<&str> = provider::names().collect();
    assert!(names.is_sorted());
    for name in names {
        let known = provider::built_in(name).unwrap();
        assert_eq!(known.name, name);
        assert!(
            known.base_url.ends_with('/') && known.is_at(known.base_url),
            "{name}"
        );
    }
    assert!(provider::built_in("").is_none());
}
