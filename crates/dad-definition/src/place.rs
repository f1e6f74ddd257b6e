//! Places in a definition: steps of keys and indices.

use std::fmt;

/// A place in a definition as a person reads it: `elements[0].settings.prompt`, `variables["odd key"]`.
///
/// Keys that are not plain words are quoted, so different places never have the same text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place(String);

/// One step from a value to a value inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl Place {
    pub(crate) const fn root() -> Self {
        Self(String::new())
    }

    /// A place that was written by [`Place`] before.
    pub(crate) const fn from_text(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        let mut text = self.0.clone();
        if is_word(key) {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(key);
        } else {
            text.push('[');
            text.push_str(&serde_json::Value::from(key).to_string());
            text.push(']');
        }
        Self(text)
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// A place that is named within this one, by steps with dots.
    pub(crate) fn within(&self, named: &str) -> Self {
        self.join(&Self::from_text(named.to_owned()))
    }

    /// The place `other`, which is relative to this one, seen from the root.
    pub(crate) fn join(&self, other: &Self) -> Self {
        if self.0.is_empty() || other.0.is_empty() || other.0.starts_with('[') {
            Self(format!("{}{}", self.0, other.0))
        } else {
            Self(format!("{}.{}", self.0, other.0))
        }
    }

    /// The steps of a place written by hand, `None` if it is not one.
    pub(crate) fn parse(text: &str) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (step, after) = match rest.strip_prefix('[') {
                Some(inside) => parse_bracket(inside)?,
                None => parse_word(rest, steps.is_empty())?,
            };
            steps.push(step);
            rest = after;
        }
        Some(steps)
    }
}

fn parse_bracket(inside: &str) -> Option<(Step, &str)> {
    if inside.starts_with('"') {
        let mut values = serde_json::Deserializer::from_str(inside).into_iter::<String>();
        let key = values.next()?.ok()?;
        let after = inside.get(values.byte_offset()..)?.strip_prefix(']')?;
        return Some((Step::Key(key), after));
    }
    let (digits, after) = inside.split_once(']')?;
    let index = digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())??;
    Some((Step::Index(index), after))
}

fn parse_word(text: &str, first: bool) -> Option<(Step, &str)> {
    let text = if first { text } else { text.strip_prefix('.')? };
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    (!word.is_empty()).then(|| (Step::Key(word.to_owned()), after))
}

fn is_word(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'$'))
}

/// The place around a place, `None` for the root.
pub(crate) fn parent(place: &str) -> Option<&str> {
    if place.is_empty() {
        return None;
    }
    // A quoted key may contain `[` and `.`, but never `["` without a backslash before the quote.
    let cut = match place.strip_suffix("\"]") {
        Some(quoted) => quoted.rfind("[\"")?,
        None => place.rfind(['.', '[']).unwrap_or(0),
    };
    place.get(..cut)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_and_read_back() {
        let place = Place::root()
            .key("elements")
            .index(0)
            .key("a.b \"c\" [\"d")
            .key("x");
        assert_eq!(place.as_str(), r#"elements[0]["a.b \"c\" [\"d"].x"#);
        let steps = Place::parse(place.as_str()).unwrap();
        assert_eq!(steps[2], Step::Key("a.b \"c\" [\"d".to_owned()));
        assert_eq!(steps.len(), 4);
        for bad in ["a..b", "a[", "a[x]", "a[-1]", ".a", "a.", "a[\"x]", "[0]b"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn parents_lead_to_the_root() {
        let place = Place::root().key("elements").index(0).key("a.b[").key("x");
        let all: Vec<&str> = std::iter::successors(Some(place.as_str()), |place| parent(place)).collect();
        assert_eq!(
            all,
            [
                r#"elements[0]["a.b["].x"#,
                r#"elements[0]["a.b["]"#,
                "elements[0]",
                "elements",
                ""
            ]
        );
    }
}
