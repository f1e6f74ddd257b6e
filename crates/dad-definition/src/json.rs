//! JSON with the place of every value.

use std::collections::HashSet;
use std::ops::Range;

use crate::problem::{Problem, Report, quoted};
use crate::spans::SpanMap;
use crate::spot::Style;
use crate::value::{Data, MAX_DEPTH, MAX_KEY, MAX_VALUES, Member, Tree, parse_number};

/// The hint for a key that occurs twice.
pub(crate) const KEEP_ONE: &str = "keep one of the two";

/// Parses a JSON document into the same tree that YAML gives, with the places of all values.
///
/// `None` after a syntax error, which is reported.
pub(crate) fn parse(text: &str, file: usize, spans: &SpanMap, report: &mut Report) -> Option<Tree> {
    let mut reader = Reader {
        text,
        at: 0,
        values: 0,
        duplicates: Vec::new(),
    };
    let result = reader.document();
    for span in reader.duplicates {
        if !report.is_full() {
            let key = text.get(span.clone()).unwrap_or_default();
            let message = format!("the key {} occurs twice", quoted(key.trim_matches('"')));
            let problem = Problem::new("duplicate_key", message).hint(KEEP_ONE);
            report.add(problem.located(spans.spot(file, span)));
        }
    }
    match result {
        Ok(tree) => Some(tree),
        Err(Stop { code, message, at }) => {
            report.add(Problem::new(code, message).located(spans.spot(file, at..at)));
            None
        }
    }
}

/// Why reading ended early.
struct Stop {
    code: &'static str,
    message: String,
    at: usize,
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    values: usize,
    duplicates: Vec<Range<usize>>,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Tree, Stop> {
        let tree = self.value(0)?;
        self.skip_space();
        if self.at < self.text.len() {
            self.fail("something follows the end of the document")
        } else {
            Ok(tree)
        }
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, Stop> {
        Err(Stop {
            code: "json_syntax",
            message: format!("this is not JSON: {}", message.into()),
            at: self.at,
        })
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Tree, Stop> {
        self.skip_space();
        self.values += 1;
        if self.values > MAX_VALUES {
            let message = format!("a definition has at most {MAX_VALUES} values");
            return Err(Stop {
                code: "too_large",
                message,
                at: self.at,
            });
        }
        if depth > MAX_DEPTH {
            let message = format!("values are nested more than {MAX_DEPTH} levels deep");
            return Err(Stop {
                code: "too_deep",
                message,
                at: self.at,
            });
        }
        let start = self.at;
        let mut style = Style::Other;
        let data = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => {
                style = Style::Double;
                Data::Text(self.text()?)
            }
            _ => self.word()?,
        };
        Ok(Tree {
            span: start..self.at,
            style,
            data,
        })
    }

    fn object(&mut self, depth: usize) -> Result<Data, Stop> {
        self.at += 1;
        let mut members = Vec::new();
        let mut seen = HashSet::new();
        if self.take(b'}') {
            return Ok(Data::Map(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return self.fail("expected a key in double quotes");
            }
            let start = self.at;
            let key = self.text()?;
            let key_span = start..self.at;
            if key.len() > MAX_KEY {
                let message = format!("a key has at most {MAX_KEY} bytes, this one has {}", key.len());
                return Err(Stop {
                    code: "key_too_long",
                    message,
                    at: start,
                });
            }
            if !self.take(b':') {
                return self.fail("expected `:` after the key");
            }
            let value = self.value(depth + 1)?;
            if seen.insert(key.clone()) {
                members.push(Member { key, key_span, value });
            } else {
                self.duplicates.push(key_span);
            }
            if self.take(b'}') {
                return Ok(Data::Map(members));
            }
            if !self.take(b',') {
                return self.fail("expected `,` or `}`");
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Data, Stop> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Data::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(Data::List(items));
            }
            if !self.take(b',') {
                return self.fail("expected `,` or `]`");
            }
        }
    }

    /// A text in quotes; escapes are left to a parser that knows them all.
    fn text(&mut self) -> Result<String, Stop> {
        let start = self.at;
        let mut escaped = false;
        let inside = self.rest().bytes().skip(1);
        let closing = inside.enumerate().find(|(_, byte)| {
            let closes = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            closes
        });
        let Some((length, _)) = closing else {
            return self.fail("this text has no closing quote");
        };
        let end = start + length + 2;
        match self.text.get(start..end).map(serde_json::from_str::<String>) {
            Some(Ok(text)) => {
                self.at = end;
                Ok(text)
            }
            Some(Err(error)) => {
                let reason = error.to_string();
                let reason = reason.split(" at line").next().unwrap_or_default();
                self.fail(format!("{reason} in this text"))
            }
            None => self.fail("this text has no closing quote"),
        }
    }

    fn word(&mut self) -> Result<Data, Stop> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_')));
        let word = &rest[..end.unwrap_or(rest.len())];
        let length = word.len();
        let data = match word {
            "null" => Data::Null,
            "true" => Data::Bool(true),
            "false" => Data::Bool(false),
            word => match parse_number(word) {
                Some(Ok(number)) => Data::Number(number),
                Some(Err(reason)) => {
                    let message = format!("the number {} {reason}", quoted(word));
                    return Err(Stop {
                        code: "number_range",
                        message,
                        at: self.at,
                    });
                }
                None => return self.fail("expected a value"),
            },
        };
        self.at += length;
        Ok(data)
    }
}
