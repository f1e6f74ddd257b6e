//! String literals and f-strings.

use super::{Parsed, Parser};
use crate::ast::{Expr, FPart, Kind};
use crate::error::{ParseError, Span};
use crate::lexer::{Quote, Token};

impl Parser<'_> {
    /// String literals side by side are one.
    pub(super) fn strings(&mut self, start: usize) -> Parsed<Expr> {
        let mut parts = Pieces::default();
        let mut formatted = false;
        loop {
            match std::mem::replace(&mut self.token, Token::End) {
                Token::Str(text) => {
                    parts.text.push_str(&text);
                    self.bump()?;
                }
                Token::FString(quote) => {
                    if !self.python() {
                        return Err(
                            ParseError::new("an f-string outside a `py:` expression", self.span)
                                .hint("start the expression with `py:`, or join texts with `+`"),
                        );
                    }
                    formatted = true;
                    self.enter()?;
                    self.fstring(quote, &mut parts)?;
                    self.leave();
                }
                other => {
                    self.token = other;
                    break;
                }
            }
        }
        let kind = if formatted {
            Kind::FString(parts.finish())
        } else {
            Kind::Str(std::mem::take(&mut parts.text).into())
        };
        self.node(kind, start)
    }

    /// The contents of an f-string; the lexer stands right after its opening quote.
    fn fstring(&mut self, quote: Quote, parts: &mut Pieces) -> Parsed<()> {
        let start = self.span.start;
        loop {
            let rest = self.lexer.rest();
            if quote.closes(rest) {
                self.lexer.pos += quote.len();
                break;
            }
            let Some(c) = self.lexer.peek() else {
                return Err(ParseError::new(
                    "a string is never closed",
                    Span::new(start, self.lexer.pos),
                ));
            };
            if c == '\n' && !quote.triple {
                let span = Span::new(start, self.lexer.pos);
                return Err(ParseError::new("a string is never closed on its line", span));
            }
            if rest.starts_with("{{") || rest.starts_with("}}") {
                self.lexer.pos += 2;
                parts.text.push(c);
            } else if c == '{' {
                self.field(quote, parts)?;
            } else if c == '}' {
                let span = Span::new(self.lexer.pos, self.lexer.pos + 1);
                return Err(ParseError::new("a single `}` in an f-string", span).hint("write `}}`"));
            } else if c == '\\' {
                self.lexer.escape(&mut parts.text, quote.raw)?;
            } else {
                self.lexer.pos += c.len_utf8();
                parts.text.push(c);
            }
        }
        self.span.end = self.lexer.pos;
        self.bump()
    }

    /// `{expression = !conversion : spec}`; the lexer stands at the brace, and afterwards behind the other.
    fn field(&mut self, quote: Quote, parts: &mut Pieces) -> Parsed<()> {
        self.enter()?;
        let open = self.lexer.pos;
        self.lexer.pos += 1;
        let text_start = self.lexer.pos;
        self.bump()?;
        let value = self.maybe_tuple()?;
        let mut conversion = None;
        let explained = self.is_op("=");
        if explained {
            self.bump()?;
            parts.text.push_str(
                self.lexer
                    .source
                    .get(text_start..self.span.start)
                    .unwrap_or_default(),
            );
        }
        if self.eat("!")? {
            conversion = match &self.token {
                Token::Name(name) => match &**name {
                    "r" | "s" | "a" => name.chars().next(),
                    _ => return Err(self.unexpected("`r`, `s` or `a`")),
                },
                _ => return Err(self.unexpected("`r`, `s` or `a`")),
            };
            self.bump()?;
        }
        let mut spec = Pieces::default();
        let has_spec = self.is_op(":") || self.is_op(":=");
        if has_spec {
            // The colon of `:=` begins a spec; its `=` is part of the spec.
            self.lexer.pos = self.span.start + 1;
            self.spec(quote, &mut spec)?;
        } else if !self.is_op("}") {
            return Err(self.unexpected("`}`"));
        }
        if explained && conversion.is_none() && !has_spec {
            conversion = Some('r');
        }
        self.count(Span::new(open, self.lexer.pos))?;
        parts.push(FPart::Field {
            value,
            conversion,
            spec: spec.finish(),
        });
        self.leave();
        Ok(())
    }

    /// A format specification up to and with its closing brace.
    fn spec(&mut self, quote: Quote, parts: &mut Pieces) -> Parsed<()> {
        let start = self.lexer.pos;
        loop {
            match self.lexer.peek() {
                Some('}') => break,
                Some('{') => {
                    self.field(quote, parts)?;
                }
                Some('\\') => self.lexer.escape(&mut parts.text, quote.raw)?,
                Some(c) if !quote.closes(self.lexer.rest()) && c != '\n' => {
                    self.lexer.pos += c.len_utf8();
                    parts.text.push(c);
                }
                _ => {
                    let span = Span::new(start, self.lexer.pos);
                    return Err(ParseError::new("a format specification is never closed", span));
                }
            }
        }
        self.lexer.pos += 1;
        Ok(())
    }
}

/// The parts of a string literal while it is read: text is collected until a field ends it.
#[derive(Default)]
struct Pieces {
    parts: Vec<FPart>,
    text: String,
}

impl Pieces {
    fn push(&mut self, field: FPart) {
        self.flush();
        self.parts.push(field);
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.parts
                .push(FPart::Text(std::mem::take(&mut self.text).into()));
        }
    }

    fn finish(mut self) -> Vec<FPart> {
        self.flush();
        self.parts
    }
}
