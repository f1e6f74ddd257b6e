//! A sound request of each protocol, and for each rule one that breaks it alone.

mod anthropic;
mod google;
mod openai;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::{Issued, Protocol, Request, refusal};

/// A rule, and a change of the sound request that breaks it.
struct Violation(&'static str, fn(&mut Request));

/// A picture of one dot, in base64.
const DOT: &str = "iVBORw0KGgo=";

fn request(path: &str, body: Value) -> Request {
    let headers = [
        ("content-type", "application/json"),
        ("authorization", "Bearer sk-1"),
        ("x-goog-api-key", "sk-1"),
        ("anthropic-version", "2023-06-01"),
    ];
    let headers: BTreeMap<String, String> = headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Request::new(path, headers, body, Arc::new(Issued::default())).unwrap()
}

/// Puts a value at a pointer, whose parent is there.
fn set(request: &mut Request, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match request.body.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.insert(name.to_owned(), value)),
        Value::Array(items) => match name.parse::<usize>() {
            Ok(at) => items[at] = value,
            Err(_) => items.push(value),
        },
        other => panic!("{pointer}: {other}"),
    }
}

/// Takes a field out of the body.
fn remove(request: &mut Request, name: &str) {
    request.body.as_object_mut().unwrap().remove(name);
}

#[track_caller]
fn check(sound: fn() -> Request, violations: &[Violation]) {
    let request = sound();
    let protocol = request.protocol;
    assert!(refusal(&request).is_none(), "{:?}", refusal(&request));
    for Violation(rule, change) in violations {
        let mut request = sound();
        change(&mut request);
        let refused =
            refusal(&request).unwrap_or_else(|| panic!("{rule} refuses nothing: {:#}", request.body));
        assert_eq!(refused.rule.id, *rule, "{}", refused.message);
        assert!(refused.body(protocol).to_string().contains(rule));
    }
    let broken: BTreeSet<&str> = violations.iter().map(|Violation(rule, _)| *rule).collect();
    for rule in protocol.rules() {
        assert!(broken.contains(rule.id), "no example breaks {}", rule.id);
        assert!(!rule.source.is_empty());
    }
}

#[test]
fn each_rule_of_openai_refuses_what_breaks_it() {
    check(openai::sound_chat, openai::CHAT);
    check(openai::sound_responses, openai::RESPONSES);
}

#[test]
fn each_rule_of_anthropic_refuses_what_breaks_it() {
    check(anthropic::sound, anthropic::VIOLATIONS);
}

#[test]
fn each_rule_of_google_refuses_what_breaks_it() {
    check(google::sound, google::VIOLATIONS);
}

#[test]
fn the_names_of_rules_are_unique_and_there_are_many() {
    let protocols = [
        Protocol::OpenAi,
        Protocol::OpenAiResponses,
        Protocol::Anthropic,
        Protocol::Google,
    ];
    for protocol in protocols {
        let rules = protocol.rules();
        let names: BTreeSet<&str> = rules.iter().map(|rule| rule.id).collect();
        assert_eq!(names.len(), rules.len());
        assert!(rules.len() >= 20, "{protocol:?}: {}", rules.len());
    }
}
