//! Addresses with values in them. A value behind the host is percent-encoded: it is one segment of the path or one value of
//! the query, and never another path, another query or another host.

use dad_runner::NodeError;
use dad_template::{Part, Template};
use serde_json::{Value, json};

use crate::secret_text;

/// An address as a definition writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Address(Vec<Written>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Written {
    Text(String),
    /// A placeholder, as it is written, and where it stands.
    Value {
        source: String,
        place: Place,
    },
    /// The name of a secret.
    Secret(String),
}

/// The place of a value in an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// First: it may be a whole address, or the beginning of one.
    Beginning,
    /// In the name of the host, or in its port.
    Host,
    Path,
    Query,
}

/// A piece of an address, with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Value {
        source: String,
        place: Place,
        value: String,
    },
    Secret(String),
}

impl Address {
    /// Reads an address of a definition. What is no template is reported elsewhere.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let Ok(template) = Template::parse(text) else {
            return Ok(Self::default());
        };
        let mut written = Vec::new();
        // What stands before a part, with a digit for each value.
        let mut before = String::new();
        for part in template.parts() {
            match part {
                Part::Placeholder(placeholder) => {
                    let place = place_behind(&before);
                    let source = placeholder.source().to_owned();
                    written.push(Written::Value { source, place });
                    before.push('1');
                }
                Part::Text { text, .. } => read_text(text, &mut before, &mut written)?,
            }
        }
        let begins_with_value = matches!(
            written.first(),
            Some(Written::Value {
                place: Place::Beginning,
                ..
            })
        );
        if before.contains('#') {
            return Err("what stands behind `#` is not sent to the server".to_owned());
        }
        if before.contains(|c: char| c.is_ascii_control()) {
            return Err("a control character stands in the address".to_owned());
        }
        if let Some(wrong) = wrong_beginning(&before) {
            return Err(wrong);
        }
        if !begins_with_value {
            dad_models::check_address(&before)?;
        }
        Ok(Self(written))
    }

    /// Whether the definition says which host is asked.
    pub(super) fn names_its_host(&self) -> bool {
        let is_before_path = |part: &Written| {
            matches!(
                part,
                Written::Value {
                    place: Place::Beginning | Place::Host,
                    ..
                }
            )
        };
        !self.0.is_empty() && !self.0.iter().any(is_before_path)
    }

    /// The values, as templates.
    pub(super) fn templates(&self) -> Value {
        let values = self.0.iter().filter_map(|part| match part {
            Written::Value { source, .. } => Some(json!(source)),
            _ => None,
        });
        values.collect()
    }

    /// The pieces with the rendered values.
    pub(super) fn pieces(&self, values: &Value) -> Result<Vec<Piece>, serde_json::Error> {
        let mut values = values.as_array().into_iter().flatten();
        let piece = |part: &Written| match part {
            Written::Text(text) => Piece::Text(text.clone()),
            Written::Secret(name) => Piece::Secret(name.clone()),
            Written::Value { source, place } => Piece::Value {
                source: source.clone(),
                place: *place,
                value: values
                    .next()
                    .map(|value| dad_template::Value::from(value).to_text())
                    .unwrap_or_default(),
            },
        };
        Ok(self.0.iter().map(piece).collect())
    }
}

/// Takes the secrets out of a text.
fn read_text(text: &str, before: &mut String, written: &mut Vec<Written>) -> Result<(), String> {
    let pieces = match secret_text::pieces(&dad_template::escape(text)) {
        None => {
            before.push_str(text);
            written.push(Written::Text(text.to_owned()));
            return Ok(());
        }
        Some(pieces) => pieces?,
    };
    for piece in pieces.as_array().into_iter().flatten() {
        if let Some(name) = piece["secret"].as_str() {
            if !matches!(place_behind(before), Place::Path | Place::Query) {
                return Err("a secret stands in the name of a host, which others would see".to_owned());
            }
            written.push(Written::Secret(name.to_owned()));
            before.push('1');
        } else if let Some(text) = piece["text"].as_str() {
            let text = Template::parse(text)
                .ok()
                .and_then(|text| Some(text.as_literal()?.into_owned()));
            let text = text.unwrap_or_default();
            before.push_str(&text);
            written.push(Written::Text(text));
        }
    }
    Ok(())
}

/// Why a beginning is none of an address: readers of addresses pass over slashes that are too many or too few, and so take
/// what follows for the host.
fn wrong_beginning(before: &str) -> Option<String> {
    let (scheme, rest) = before.split_once(':')?;
    let is_scheme = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let has_host = rest
        .strip_prefix("//")
        .is_some_and(|rest| !rest.starts_with(['/', '\\']));
    (is_scheme && !has_host)
        .then(|| format!("`{before}` is followed by no host: `{scheme}://HOST` was expected"))
}

fn place_behind(before: &str) -> Place {
    let authority = before.split_once("://").map(|(_, rest)| rest);
    match authority {
        _ if before.is_empty() => Place::Beginning,
        _ if before.contains('?') => Place::Query,
        Some(rest) if !rest.contains(['/', '\\']) => Place::Host,
        // Also where a value begins the address, of which no more is known.
        _ => Place::Path,
    }
}

/// The address as a template renders it, which tells whether another one was given since.
pub(super) fn rendered(pieces: &[Piece]) -> String {
    let shown = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Value { value, .. } => value.clone(),
        Piece::Secret(name) => format!("$secret{{{name}}}"),
    });
    shown.collect()
}

/// The address with its values, each in its place.
pub(super) fn filled(
    pieces: &[Piece],
    secret: impl Fn(&str) -> Result<String, NodeError>,
) -> Result<String, NodeError> {
    let mut url = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => url.push_str(text),
            Piece::Secret(name) => url.push_str(&secret(name)?),
            Piece::Value { source, place, value } => url.push_str(&in_place(source, *place, value)?),
        }
    }
    let has_values = pieces.iter().any(|piece| matches!(piece, Piece::Value { .. }));
    let begins_with_value = matches!(
        pieces.first(),
        Some(Piece::Value {
            place: Place::Beginning,
            ..
        })
    );
    if has_values && !(begins_with_value && pieces.len() == 1) {
        check_segments(&url)?;
    }
    Ok(url)
}

fn in_place(source: &str, place: Place, value: &str) -> Result<String, NodeError> {
    match place {
        Place::Beginning => Ok(value.to_owned()),
        Place::Host => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
            if !value.is_empty() && value.chars().all(is_plain) {
                Ok(value.to_owned())
            } else {
                Err(refused(&format!(
                    "the value of `{source}` is no name of a host: `{value}`"
                )))
            }
        }
        // Often another address than the one that is meant, such as that of a whole list.
        Place::Path if value.is_empty() => Err(refused(&format!(
            "the value of `{source}` is empty, and the address without it is another one"
        ))),
        Place::Path | Place::Query => Ok(encoded(value)),
    }
}

/// Refuses `..` in a path that values stand in: servers and clients go up there.
fn check_segments(url: &str) -> Result<(), NodeError> {
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = path.split('?').next().unwrap_or_default();
    match path
        .split('/')
        .skip(1)
        .find(|segment| [".", ".."].contains(segment))
    {
        Some(segment) => Err(refused(&format!(
            "a value makes `{segment}` of a part of the path, which leads elsewhere"
        ))),
        None => Ok(()),
    }
}

fn refused(message: &str) -> NodeError {
    NodeError::new("http_address", format!("in `url`, {message}")).permanent()
}

/// A text as one segment of a path or one value of a query.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address with values, or why there is none.
    fn fill(text: &str, values: &[&str]) -> Result<String, String> {
        let address = Address::read(text)?;
        let pieces = address
            .pieces(&json!(values))
            .map_err(|error| error.to_string())?;
        filled(&pieces, |name| Ok(format!("<{name}>"))).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_is_one_segment_or_one_value() {
        for (text, value, expected) in [
            ("https://h/a/$var{v}", "x y", "https://h/a/x%20y"),
            (
                "https://h/a/$var{v}/b",
                "../../etc",
                "https://h/a/..%2F..%2Fetc/b",
            ),
            ("https://h/a/$var{v}", "?x=1#y", "https://h/a/%3Fx%3D1%23y"),
            ("https://h/a?q=$var{v}", "a&b=c+d", "https://h/a?q=a%26b%3Dc%2Bd"),
            ("https://h/a?q=$var{v}", "", "https://h/a?q="),
            ("https://h/a?q=$var{v}", "..", "https://h/a?q=.."),
            (
                "https://h/$var{v}.json",
                "größe",
                "https://h/gr%C3%B6%C3%9Fe.json",
            ),
            ("https://h/a/%2f$var{v}", "%2e%2e", "https://h/a/%2f%252e%252e"),
            ("https://$var{v}.example.com/a", "eu", "https://eu.example.com/a"),
            ("$var{v}/items", "https://h/base", "https://h/base/items"),
            ("$var{v}", "https://h/a/../b?x", "https://h/a/../b?x"),
            (
                "https://h/a?key=$secret{K}&v=$var{v}",
                "1",
                "https://h/a?key=<K>&v=1",
            ),
        ] {
            assert_eq!(
                fill(text, &[value]).as_deref(),
                Ok(expected),
                "{text} with {value}"
            );
        }
    }

    #[test]
    fn a_value_leads_nowhere_else() {
        for (text, value) in [
            ("https://h/a/$var{v}/b", ".."),
            ("https://h/a/$var{v}", "."),
            ("https://h/a/.$var{v}", "."),
            ("https://h/items/$var{v}", ""),
            ("https://$var{v}.example.com/", "evil.org/"),
            ("https://$var{v}.example.com/", "evil.org#"),
            ("https://$var{v}.example.com/", "u@evil.org?"),
            ("https://$var{v}.example.com/", ""),
        ] {
            assert!(fill(text, &[value]).is_err(), "{text} with {value}");
        }
        assert!(fill("https://h/$var{v}$var{w}/x", &[".", "."]).is_err());
        assert_eq!(
            fill("$var{v}$var{w}", &["https://h", ".evil.org"]).as_deref(),
            Ok("https://h.evil.org")
        );
    }

    #[test]
    fn what_is_no_address_is_reported_before_anything_is_asked() {
        for wrong in [
            // Readers of addresses pass over slashes that are too many or too few.
            "https:/$var{host}/x",
            "https:///$var{host}/x",
            "https://\\$var{host}/x",
            "https:$var{host}/x",
            "https://\t/$var{host}/x",
            "https:/$secret{HOST}/x",
            "",
            "example.com/a",
            "ftp://h/a",
            "https://u:p@h/a",
            "https://h/a#part",
            "https://$secret{S}.example.com/",
            "https://h/$secret{}",
        ] {
            assert!(Address::read(wrong).is_err(), "{wrong}");
        }
        for named in ["https://h/a", "http://h?$var{v}", "https://h/$var{v}"] {
            assert!(
                Address::read(named).is_ok_and(|address| address.names_its_host()),
                "{named}"
            );
        }
        for open in [
            "$var{v}",
            "https://$var{v}/a",
            "https://h$var{v}/a",
            "https://h:$var{v}/a",
        ] {
            assert!(
                Address::read(open).is_ok_and(|address| !address.names_its_host()),
                "{open}"
            );
        }
    }
}
