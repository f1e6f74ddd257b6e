//! From the source of a template to its parts: where text ends and placeholders begin.

use std::borrow::Cow;
use std::sync::Arc;

use crate::ast::{At, Dialect, Expr, Kind};
use crate::error::{ParseError, Span};
use crate::lexer::{self, is_space};
use crate::limits::Limits;
use crate::parser;

/// A piece of a template.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// A slice of the source that is plain text.
    Text(Span),
    Placeholder(Span, Node),
}

/// The content of a placeholder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// `$var{name}` and `$var{name:default}`
    Variable(Arc<str>, At, Option<Arc<str>>),
    /// `$hier{step}` outside an expression.
    Step(Expr),
    Expression(Expr, Dialect),
}

/// Which placeholders a template has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    All,
    VariablesOnly,
}

impl Language {
    fn keywords(self) -> &'static [&'static str] {
        match self {
            Language::All => &["var{", "expr{", "hier{"],
            Language::VariablesOnly => &["var{"],
        }
    }

    fn keyword(self, text: &str) -> Option<&'static str> {
        self.keywords()
            .iter()
            .copied()
            .find(|keyword| text.starts_with(keyword))
    }
}

pub(crate) fn scan(source: &str, language: Language, limits: &Limits) -> Result<Vec<Piece>, ParseError> {
    if source.len() > limits.source_bytes {
        let message = format!("the template is longer than {} bytes", limits.source_bytes);
        return Err(ParseError::limit(message, Span::new(0, 0)));
    }
    let mut scanner = Scanner {
        source,
        pos: 0,
        text_start: 0,
        pieces: Vec::new(),
        nodes: limits.nodes,
    };
    scanner.run(language)?;
    Ok(scanner.pieces)
}

struct Scanner<'a> {
    source: &'a str,
    pos: usize,
    text_start: usize,
    pieces: Vec<Piece>,
    nodes: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.pos..).unwrap_or_default()
    }

    /// Each `$$` before a keyword is one dollar of text; a dollar left over makes the placeholder.
    fn run(&mut self, language: Language) -> Result<(), ParseError> {
        while let Some(at) = self.rest().find('$') {
            self.pos += at;
            let start = self.pos;
            let dollars = self.rest().len() - self.rest().trim_start_matches('$').len();
            self.pos += dollars;
            let Some(keyword) = language.keyword(self.rest()) else {
                continue;
            };
            self.end_text(start + dollars / 2)?;
            if dollars.is_multiple_of(2) {
                self.text_start = self.pos;
                continue;
            }
            let span_start = self.pos - 1;
            let keyword_start = self.pos;
            self.pos += keyword.len();
            let node = match keyword {
                "var{" => self.variable(span_start, language)?,
                "hier{" => self.step(span_start)?,
                _ => self.expression(span_start)?,
            };
            debug_assert!(self.pos > keyword_start);
            self.push(Piece::Placeholder(Span::new(span_start, self.pos), node))?;
            self.text_start = self.pos;
        }
        self.end_text(self.source.len())
    }

    fn push(&mut self, piece: Piece) -> Result<(), ParseError> {
        let Some(nodes) = self.nodes.checked_sub(1) else {
            return Err(ParseError::limit(
                "the template has too many parts",
                Span::new(self.pos, self.pos),
            ));
        };
        self.nodes = nodes;
        self.pieces.push(piece);
        Ok(())
    }

    fn end_text(&mut self, end: usize) -> Result<(), ParseError> {
        if end > self.text_start {
            self.push(Piece::Text(Span::new(self.text_start, end)))?;
        }
        Ok(())
    }

    fn unclosed(&self, start: usize, keyword: &str) -> ParseError {
        ParseError::new(
            format!("`${keyword}` is never closed"),
            Span::new(start, start + 1 + keyword.len()),
        )
        .hint(format!("for this text itself write `$${keyword}`"))
    }

    /// The position is behind the brace. Braces in a default balance.
    fn variable(&mut self, start: usize, language: Language) -> Result<Node, ParseError> {
        let inner_start = self.pos;
        let mut depth = 1;
        let length = self.rest().find(|c| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0
        });
        let length = length.ok_or_else(|| self.unclosed(start, "var{"))?;
        let inner = self.rest().get(..length).unwrap_or_default();
        self.pos += length + 1;
        let (name, default) = match inner.split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        let name_span = Span::new(inner_start, inner_start + name.len());
        let name = lexer::variable(name, name_span)?;
        let default = match default {
            Some(default) => Some(self.default(default, name, name_span.end + 1, language)?),
            None => None,
        };
        Ok(Node::Variable(
            name.into(),
            At::new(Span::new(start, self.pos)),
            default,
        ))
    }

    /// A default is text: a placeholder in it would be put in unread, which no author can want.
    fn default(
        &mut self,
        default: &str,
        name: &str,
        start: usize,
        language: Language,
    ) -> Result<Arc<str>, ParseError> {
        let unescaped = unescape(default, language).map_err(|at| {
            ParseError::new(
                "a default is plain text",
                Span::new(start + at, start + default.len()),
            )
            .hint(format!("with a computed default write `$expr{{{name} || …}}`"))
        })?;
        Ok(unescaped.into())
    }

    fn step(&mut self, start: usize) -> Result<Node, ParseError> {
        let inner_start = self.pos;
        let length = self
            .rest()
            .find(['}', '\n'])
            .filter(|at| self.rest().get(*at..).is_some_and(|rest| rest.starts_with('}')));
        let length = length.ok_or_else(|| self.unclosed(start, "hier{"))?;
        let inner = self.rest().get(..length).unwrap_or_default();
        let reference = lexer::reference(inner, Span::new(inner_start, inner_start + length))?;
        self.pos += length + 1;
        let span = Span::new(start, self.pos);
        let mut after = self.rest().chars();
        let member = match after.next() {
            Some('.') => after.next().is_some_and(lexer::is_name_start),
            Some('[') => true,
            _ => false,
        };
        if member {
            return Err(ParseError::new("the path behind `$hier{…}` would be text", span)
                .hint(format!("write `$expr{{ $hier{{{reference}}}… }}`")));
        }
        Ok(Node::Step(Expr {
            kind: Kind::Hier(reference.into()),
            at: At::new(span),
        }))
    }

    fn expression(&mut self, start: usize) -> Result<Node, ParseError> {
        let blanks = self.rest().len() - self.rest().trim_start_matches(is_space).len();
        let mut begin = self.pos + blanks;
        let mut dialect = Dialect::Expr;
        if self
            .source
            .get(begin..)
            .is_some_and(|rest| rest.starts_with("py:"))
        {
            begin += 3;
            dialect = Dialect::Python;
        }
        let (expr, end) = parser::parse(self.source, begin, dialect, &mut self.nodes).map_err(|error| {
            if error.span.start >= self.source.len() && error.code() == "template_syntax" {
                self.unclosed(start, "expr{")
            } else {
                error
            }
        })?;
        self.pos = end;
        Ok(Node::Expression(expr, dialect))
    }
}

/// Turns `$$var{` into `$var{`; the error is the place of a placeholder.
fn unescape(text: &str, language: Language) -> Result<String, usize> {
    let mut out = String::with_capacity(text.len());
    let mut pos = 0;
    while let Some(at) = text.get(pos..).unwrap_or_default().find('$') {
        let start = pos + at;
        out.push_str(text.get(pos..start).unwrap_or_default());
        let rest = text.get(start..).unwrap_or_default();
        let dollars = rest.len() - rest.trim_start_matches('$').len();
        pos = start + dollars;
        let special = language.keyword(text.get(pos..).unwrap_or_default()).is_some();
        if special && dollars % 2 == 1 {
            return Err(pos - 1);
        }
        out.push_str(
            rest.get(..if special { dollars / 2 } else { dollars })
                .unwrap_or_default(),
        );
    }
    out.push_str(text.get(pos..).unwrap_or_default());
    Ok(out)
}

/// Writes text so that it is read as text: dollars before a keyword, and at the end if a placeholder follows, are
/// doubled.
pub(crate) fn escape_text(text: &str, language: Language, before_placeholder: bool) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    let mut copied = 0;
    let mut pos = 0;
    while let Some(at) = text.get(pos..).unwrap_or_default().find('$') {
        let start = pos + at;
        let rest = text.get(start..).unwrap_or_default();
        let dollars = rest.len() - rest.trim_start_matches('$').len();
        pos = start + dollars;
        let after = text.get(pos..).unwrap_or_default();
        if language.keyword(after).is_some() || (before_placeholder && after.is_empty()) {
            let out = out.get_or_insert_with(String::new);
            out.push_str(text.get(copied..pos).unwrap_or_default());
            out.push_str(&"$".repeat(dollars));
            copied = pos;
        }
    }
    match out {
        None => Cow::Borrowed(text),
        Some(mut out) => {
            out.push_str(text.get(copied..).unwrap_or_default());
            Cow::Owned(out)
        }
    }
}
