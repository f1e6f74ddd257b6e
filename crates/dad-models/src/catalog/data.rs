//! The facts about models that are built in. Each is read when it is asked for, so that a run pays for no others.

use std::sync::OnceLock;

use jiff::civil::Date;
use serde::Deserialize;

use super::entry::ModelEntry;
use super::facts::ModelFacts;

/// One model a line, sorted by name; `cargo xtask models` writes it.
const DATA: &str = include_str!("../../data/models.json");

/// A line of the data.
struct Line {
    /// The name, with the provider's.
    name: &'static str,
    text: &'static str,
    facts: OnceLock<Option<ModelFacts>>,
}

/// The part of the data before the models.
#[derive(Deserialize)]
struct Head {
    date: Date,
}

/// The lines, by name.
fn lines() -> &'static [Line] {
    static LINES: OnceLock<Vec<Line>> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = DATA.lines().filter_map(|text| {
            let text = text.trim_end_matches(',');
            let (name, _) = text.strip_prefix("{\"name\":\"")?.split_once('"')?;
            Some(Line {
                name,
                text,
                facts: OnceLock::new(),
            })
        });
        lines.collect()
    })
}

impl Line {
    fn facts(&self) -> Option<&ModelFacts> {
        let read = || Some(serde_json::from_str::<ModelEntry>(self.text).ok()?.facts());
        self.facts.get_or_init(read).as_ref()
    }
}

fn exact(name: &str) -> Option<&'static ModelFacts> {
    let lines = lines();
    let at = lines.binary_search_by_key(&name, |line| line.name).ok()?;
    lines.get(at)?.facts()
}

/// The facts about a model. One that has no facts under the name with its date, or as the latest, has those of the name without.
pub(super) fn facts(provider: &str, model: &str) -> Option<&'static ModelFacts> {
    let model = base_of_tuned(model);
    let named = |model: &str| exact(&format!("{provider}/{model}"));
    named(model).or_else(|| named(undated(model)?))
}

/// A model that a user has tuned is named `ft:BASE:ORGANISATION:NAME:ID`, and its facts are those of all models of the base.
fn base_of_tuned(model: &str) -> &str {
    let end = model
        .strip_prefix("ft:")
        .and_then(|rest| Some("ft:".len() + rest.find(':')?));
    end.and_then(|end| model.get(..end)).unwrap_or(model)
}

/// Whether a model is one that a user has tuned, which no list has.
pub(super) fn is_tuned(model: &str) -> bool {
    model.starts_with("ft:")
}

/// The name of a model without `-20250929`, `-2025-09-29` or `-latest` at its end.
fn undated(model: &str) -> Option<&str> {
    if let Some(name) = model.strip_suffix("-latest") {
        return Some(name);
    }
    let is_date = |end: &str| {
        let digits = end.bytes().filter(u8::is_ascii_digit).count();
        let dashes = end.bytes().filter(|byte| *byte == b'-').count();
        digits == 8 && digits + dashes == end.len() && matches!(dashes, 0 | 2)
    };
    let end = [9, 11].into_iter().find_map(|len| {
        let at = model.len().checked_sub(len)?;
        let (name, end) = model.split_at_checked(at)?;
        end.strip_prefix('-').filter(|end| is_date(end)).map(|_| name)
    });
    end.filter(|name| !name.is_empty())
}

/// The names of all models, without their facts, each with its provider's.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    lines().iter().map(|line| line.name)
}

/// The names of a provider's models, without its own.
pub(super) fn models_of(provider: &str) -> impl Iterator<Item = &'static str> {
    names().filter_map(move |name| name.strip_prefix(provider)?.strip_prefix('/'))
}

/// The day on which the facts were collected.
pub(super) fn date() -> Option<Date> {
    let (head, _) = DATA.split_once("\"models\"")?;
    let head = format!("{head}\"models\":[]}}");
    Some(serde_json::from_str::<Head>(&head).ok()?.date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_an_entry_and_the_lines_are_sorted() {
        for line in lines() {
            let entry: Result<ModelEntry, _> = serde_json::from_str(line.text);
            let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", line.name));
            assert_eq!(entry.problem(), None);
            assert_eq!(entry.name, line.name);
            assert!(
                entry.price.is_none_or(|price| price.rates.input < 1000.0),
                "{}",
                line.name
            );
        }
        assert!(lines().windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(lines().len() > 500, "{}", lines().len());
        let document: serde_json::Value = serde_json::from_str(DATA).unwrap();
        assert_eq!(document["models"].as_array().map(Vec::len), Some(lines().len()));
        assert!(date().is_some());
    }

    #[test]
    fn a_date_at_the_end_of_a_name_is_one() {
        assert_eq!(undated("claude-opus-4-8-20260101"), Some("claude-opus-4-8"));
        assert_eq!(undated("gpt-5.5-2026-04-23"), Some("gpt-5.5"));
        assert_eq!(undated("grok-4.5-latest"), Some("grok-4.5"));
        for name in [
            "gpt-4-0613",
            "codestral-2508",
            "-20250929",
            "x-2025-0929",
            "é-20250929é",
            "20250929",
            "",
        ] {
            assert_eq!(undated(name), None, "{name}");
        }
        assert_eq!(
            base_of_tuned("ft:gpt-4o-2024-08-06:org::id"),
            "ft:gpt-4o-2024-08-06"
        );
        assert_eq!(base_of_tuned("ft:gpt-4o"), "ft:gpt-4o");
    }
}
