//! Trees of values with places, as parsers make them.

use std::ops::Range;

use serde_json::{Number, Value};

use crate::place::Place;
use crate::problem::Problem;
use crate::spans::SpanMap;
use crate::spot::Style;

/// Deepest nesting of a definition, files it includes counted in. Everything that walks a definition recurses, and
/// readers of its JSON form commonly stop at 128.
pub(crate) const MAX_DEPTH: usize = 100;

/// Most values of a definition, files it includes counted in.
pub(crate) const MAX_VALUES: usize = 250_000;

/// Longest key in bytes; YAML itself stops at 1024 characters.
pub(crate) const MAX_KEY: usize = 1000;

/// Most bytes of the places of all values together. Deep values below long keys would otherwise need far more memory
/// than their file.
const MAX_PLACES: usize = 32 << 20;

/// Counts what a definition costs in memory beyond its text.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    values: usize,
    places: usize,
}

impl Costs {
    /// Counts a value whose place has some length. `false` if there are too many.
    pub(crate) fn add(&mut self, place: usize) -> bool {
        self.values += 1;
        self.places += place;
        self.values <= MAX_VALUES && self.places <= MAX_PLACES
    }

    /// The problem of a definition with too many values.
    pub(crate) fn problem() -> Problem {
        let message = format!(
            "the definition is too large: it may have {MAX_VALUES} values, those of included files counted in, \
             and fewer below long keys"
        );
        Problem::new("too_large", message).hint("let a node read large files")
    }
}

/// A value as a file has it.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) span: Range<usize>,
    pub(crate) style: Style,
    pub(crate) data: Data,
}

#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// Something that is reported already, about which nothing more is said.
    Refused,
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<Member>),
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Tree,
}

impl Tree {
    /// The value without its places.
    pub(crate) fn into_json(self) -> Value {
        match self.data {
            Data::Null | Data::Refused => Value::Null,
            Data::Bool(value) => Value::Bool(value),
            Data::Number(number) => Value::Number(number),
            Data::Text(text) => Value::String(text),
            Data::List(items) => items.into_iter().map(Self::into_json).collect(),
            Data::Map(members) => {
                let fields = members
                    .into_iter()
                    .map(|member| (member.key, member.value.into_json()));
                Value::Object(fields.collect())
            }
        }
    }

    pub(crate) fn new(span: Range<usize>, data: Data) -> Self {
        Self {
            span,
            style: Style::Other,
            data,
        }
    }

    /// The kind in words of messages.
    pub(crate) fn describe(&self) -> String {
        match &self.data {
            Data::Null | Data::Refused => "nothing".to_owned(),
            Data::Bool(value) => format!("`{value}`"),
            Data::Number(number) => format!("the number `{number}`"),
            Data::Text(text) => format!("the text {}", crate::problem::quoted(text)),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a mapping".to_owned(),
        }
    }

    /// Enters the places of this value and all values in it. `false` if there are too many.
    pub(crate) fn record(&self, into: &mut Recording<'_>) -> bool {
        self.record_at(into, &Place::root(), None)
    }

    /// Enters the places of all values in this one, which itself stands at a place that is known.
    pub(crate) fn record_members(&self, into: &mut Recording<'_>, place: &Place) -> bool {
        match &self.data {
            Data::Map(members) => members.iter().all(|Member { key, key_span, value }| {
                value.record_at(into, &place.key(key), Some(key_span))
            }),
            _ => true,
        }
    }

    fn record_at(&self, into: &mut Recording<'_>, place: &Place, key: Option<&Range<usize>>) -> bool {
        if !into.costs.add(place.as_str().len()) {
            return false;
        }
        into.spans
            .insert(place.as_str(), into.file, &self.span, key, self.style);
        match &self.data {
            Data::List(items) => items
                .iter()
                .enumerate()
                .all(|(index, item)| item.record_at(into, &place.index(index), None)),
            Data::Map(_) => self.record_members(into, place),
            Data::Refused | Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_) => true,
        }
    }
}

/// The record that places are entered into.
pub(crate) struct Recording<'a> {
    pub(crate) spans: &'a mut SpanMap,
    pub(crate) costs: &'a mut Costs,
    pub(crate) file: usize,
}

/// The number that a text means, `None` if it is not a JSON number.
pub(crate) fn parse_number(text: &str) -> Option<Result<Number, &'static str>> {
    if !is_json_number(text) {
        return None;
    }
    if !text.contains(['.', 'e', 'E']) && text != "-0" {
        let unsigned = text.parse::<u64>().map(Number::from);
        let whole = unsigned.or_else(|_| text.parse::<i64>().map(Number::from));
        return Some(whole.map_err(|_| "has more than 64 bits"));
    }
    // Not by the parser of JSON, which trades the last bit for speed: what is written must come back the same.
    let float = text.parse::<f64>().ok().and_then(Number::from_f64);
    Some(float.ok_or("is out of range"))
}

fn is_json_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let whole = digits(unsigned);
    if whole == 0 || (whole > 1 && unsigned.starts_with('0')) {
        return false;
    }
    let mut rest = &unsigned[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let length = digits(exponent);
        return length > 0 && length == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_numbers_are_numbers() {
        for good in ["0", "-1", "1.5", "1e5", "1E-5", "-0.0", "18446744073709551615"] {
            assert!(matches!(parse_number(good), Some(Ok(_))), "{good}");
        }
        for bad in [
            "", "-", "01", "1.", ".5", "+1", "1_000", "0x1F", "1e", "1e+", "nan", ".inf", "1 ",
        ] {
            assert!(parse_number(bad).is_none(), "{bad}");
        }
        for refused in ["18446744073709551616", "1e400"] {
            assert!(matches!(parse_number(refused), Some(Err(_))), "{refused}");
        }
    }
}
