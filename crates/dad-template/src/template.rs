//! Templates: parsed once, evaluated any number of times.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::ast::Dialect;
use crate::error::Result;
use crate::error::{EvalError, ParseError, Span};
use crate::eval::Evaluator;
use crate::limits::{Counters, Limits};
use crate::printer;
use crate::references::{self, Reference, ReferenceKind};
use crate::scan::{self, Language, Node, Piece};
use crate::scope::Scope;
use crate::text::{self, Out};
use crate::value::Value;
use crate::words::limit_words;

/// A parsed template. Cheap to clone; equal to another when both have the same tree, however they are written.
///
/// ```
/// use std::collections::HashMap;
/// use dad_template::{Limits, Template, Value};
///
/// let scope = HashMap::from([
///     ("name".to_owned(), Value::from("Ann")),
///     ("scores".to_owned(), Value::from(serde_json::json!([3, 4]))),
/// ]);
/// let limits = Limits::default();
///
/// let greeting = Template::parse("Dear $var{name}, best: $expr{max(scores)}")?;
/// assert_eq!(greeting.render(&scope, &limits)?, "Dear Ann, best: 4");
///
/// // Exactly one placeholder keeps the type of its value.
/// let doubled = Template::parse("$expr{py: [2 * s for s in scores]}")?;
/// assert_eq!(doubled.evaluate(&scope, &limits)?.to_json()?, serde_json::json!([6, 8]));
///
/// // An undefined name is an error, unless `||` or a default catches it.
/// assert_eq!(Template::parse("$var{missing}")?.render(&scope, &limits).unwrap_err().code(), "template_undefined");
/// assert_eq!(Template::parse("$expr{missing || 'you'}")?.render(&scope, &limits)?, "you");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Template(Arc<Inner>);

struct Inner {
    source: Arc<str>,
    language: Language,
    pieces: Vec<Piece>,
    references: Vec<Reference>,
}

/// The treatment of a template's text after its placeholders are filled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenderOptions {
    /// Keep only so many words, joined by single blanks. `None` and 0: the text stays as it is.
    pub max_words: Option<usize>,
}

impl RenderOptions {
    /// Limits the text to a number of words.
    #[must_use]
    pub fn max_words(mut self, words: usize) -> Self {
        self.max_words = Some(words);
        self
    }
}

impl Template {
    /// Parses a template with all placeholders, within the default limits of its size.
    ///
    /// # Errors
    ///
    /// Wrong syntax, and a source that is too long or nests too deep.
    pub fn parse(text: &str) -> std::result::Result<Template, ParseError> {
        Self::parse_within(text, &Limits::DEFAULT)
    }

    /// Parses a template of which only `$var{…}` is replaced: the option `standard` of the renderer. `$expr{` and
    /// `$hier{` are text.
    ///
    /// # Errors
    ///
    /// As [`Template::parse`].
    pub fn parse_var_only(text: &str) -> std::result::Result<Template, ParseError> {
        Self::new(text, Language::VariablesOnly, &Limits::DEFAULT)
    }

    /// Parses a template with all placeholders within given limits of its size.
    ///
    /// # Errors
    ///
    /// As [`Template::parse`].
    pub fn parse_within(text: &str, limits: &Limits) -> std::result::Result<Template, ParseError> {
        Self::new(text, Language::All, limits)
    }

    fn new(text: &str, language: Language, limits: &Limits) -> std::result::Result<Template, ParseError> {
        let pieces = scan::scan(text, language, limits)?;
        let mut references = Vec::new();
        for piece in &pieces {
            if let Piece::Placeholder(_, node) = piece {
                collect(node, &mut references);
            }
        }
        Ok(Template(Arc::new(Inner {
            source: text.into(),
            language,
            pieces,
            references,
        })))
    }

    /// The text that was parsed.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The text itself, if there is no placeholder in the template; escapes are resolved.
    pub fn as_literal(&self) -> Option<Cow<'_, str>> {
        match self.0.pieces.as_slice() {
            [] => Some(Cow::Borrowed("")),
            [Piece::Text(span)] => Some(Cow::Borrowed(self.slice(*span))),
            pieces => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(span) => Some(self.slice(*span)),
                    Piece::Placeholder(..) => None,
                })
                .collect::<Option<String>>()
                .map(Cow::Owned),
        }
    }

    /// Whether the template is exactly one placeholder, without even a blank around it: only then
    /// [`Template::evaluate`] keeps the type of the value.
    pub fn is_single_placeholder(&self) -> bool {
        matches!(self.0.pieces.as_slice(), [Piece::Placeholder(..)])
    }

    /// Every step and every variable that the template names, in the order of the source.
    ///
    /// Parameters of lambdas and variables of comprehensions are not listed, nor are functions that are called.
    pub fn references(&self) -> &[Reference] {
        &self.0.references
    }

    /// The text and the placeholders in order. Pieces of text may follow one another where something is escaped.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.0.pieces.iter().map(|piece| match piece {
            Piece::Text(span) => Part::Text {
                text: self.slice(*span),
                span: *span,
            },
            Piece::Placeholder(span, node) => Part::Placeholder(Placeholder {
                source: self.slice(*span),
                span: *span,
                node,
            }),
        })
    }

    /// The placeholders in order.
    pub fn placeholders(&self) -> impl Iterator<Item = Placeholder<'_>> {
        self.parts().filter_map(|part| match part {
            Part::Placeholder(placeholder) => Some(placeholder),
            Part::Text { .. } => None,
        })
    }

    fn slice(&self, span: Span) -> &str {
        self.0.source.get(span.range()).unwrap_or_default()
    }

    /// Renders to text. Values are put in and never scanned again.
    ///
    /// # Errors
    ///
    /// The first expression that cannot be evaluated, with its place in the source.
    pub fn render(&self, scope: &dyn Scope, limits: &Limits) -> Result<String> {
        self.text(&mut Evaluator::new(scope, limits))
    }

    /// Renders to text and applies options to the result.
    ///
    /// # Errors
    ///
    /// As [`Template::render`].
    pub fn render_with(&self, scope: &dyn Scope, limits: &Limits, options: &RenderOptions) -> Result<String> {
        let text = self.render(scope, limits)?;
        Ok(match options.max_words {
            Some(words) if words > 0 => limit_words(&text, words),
            _ => text,
        })
    }

    /// Renders to text, and says what it cost, also when it failed.
    pub fn render_counted(&self, scope: &dyn Scope, limits: &Limits) -> (Result<String>, Counters) {
        let mut evaluator = Evaluator::new(scope, limits);
        let result = self.text(&mut evaluator);
        (result, evaluator.meter.counters)
    }

    /// Evaluates to a value: that of the placeholder if the template is exactly one, else the rendered text.
    ///
    /// # Errors
    ///
    /// As [`Template::render`].
    pub fn evaluate(&self, scope: &dyn Scope, limits: &Limits) -> Result<Value> {
        self.value(&mut Evaluator::new(scope, limits))
    }

    /// Evaluates to a value, and says what it cost, also when it failed.
    pub fn evaluate_counted(&self, scope: &dyn Scope, limits: &Limits) -> (Result<Value>, Counters) {
        let mut evaluator = Evaluator::new(scope, limits);
        let result = self.value(&mut evaluator);
        (result, evaluator.meter.counters)
    }

    fn value(&self, evaluator: &mut Evaluator<'_>) -> Result<Value> {
        match self.0.pieces.as_slice() {
            [Piece::Placeholder(_, node)] => evaluate(node, evaluator),
            _ => self.text(evaluator).map(Value::from),
        }
    }

    fn text(&self, evaluator: &mut Evaluator<'_>) -> Result<String> {
        let mut text = String::new();
        for piece in &self.0.pieces {
            match piece {
                Piece::Text(span) => {
                    let slice = self.slice(*span);
                    evaluator
                        .meter
                        .text(slice.len())
                        .map_err(|error| error.at(*span))?;
                    text.push_str(slice);
                }
                Piece::Placeholder(span, node) => {
                    let value = evaluate(node, evaluator)?;
                    let mut out = Out::append(&mut evaluator.meter, std::mem::take(&mut text));
                    text::write_text(&mut out, &value).map_err(|error| error.at(*span))?;
                    text = out.text;
                }
            }
        }
        Ok(text)
    }

    /// The pieces with neighbouring text joined, for comparing and printing.
    fn joined(&self) -> Vec<Joined<'_>> {
        let mut joined: Vec<Joined<'_>> = Vec::new();
        for piece in &self.0.pieces {
            match (piece, joined.last_mut()) {
                (Piece::Text(span), Some(Joined::Text(text))) => text.push_str(self.slice(*span)),
                (Piece::Text(span), _) => joined.push(Joined::Text(self.slice(*span).to_owned())),
                (Piece::Placeholder(_, node), _) => joined.push(Joined::Node(node)),
            }
        }
        joined
    }
}

#[derive(PartialEq)]
enum Joined<'a> {
    Text(String),
    Node(&'a Node),
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.0.language == other.0.language && self.joined() == other.joined()
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source()).finish()
    }
}

/// Prints the template in a uniform way; parsing the result gives an equal template.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = self.joined();
        for (index, piece) in joined.iter().enumerate() {
            match piece {
                Joined::Text(text) => {
                    f.write_str(&scan::escape_text(
                        text,
                        self.0.language,
                        index + 1 < joined.len(),
                    ))?;
                }
                Joined::Node(node) => print(f, node, self.0.language)?,
            }
        }
        Ok(())
    }
}

fn print(f: &mut fmt::Formatter<'_>, node: &Node, language: Language) -> fmt::Result {
    let mut out = String::new();
    match node {
        Node::Variable(name, _, None) => write!(f, "$var{{{name}}}"),
        Node::Variable(name, _, Some(default)) => {
            write!(
                f,
                "$var{{{name}:{}}}",
                scan::escape_text(default, language, false)
            )
        }
        Node::Step(expr) => {
            printer::print(&mut out, expr, Dialect::Expr)?;
            f.write_str(&out)
        }
        Node::Expression(expr, dialect) => {
            printer::print(&mut out, expr, *dialect)?;
            match dialect {
                Dialect::Python => write!(f, "$expr{{py: {out}}}"),
                Dialect::Expr => write!(f, "$expr{{{out}}}"),
            }
        }
    }
}

fn collect(node: &Node, references: &mut Vec<Reference>) {
    match node {
        Node::Variable(name, at, default) => references.push(Reference {
            kind: ReferenceKind::Variable,
            name: name.to_string(),
            span: at.span(),
            guarded: default.is_some(),
            path: Vec::new(),
            called: false,
        }),
        Node::Step(expr) => references::collect(expr, Dialect::Expr, references),
        Node::Expression(expr, dialect) => references::collect(expr, *dialect, references),
    }
}

fn evaluate(node: &Node, evaluator: &mut Evaluator<'_>) -> Result<Value> {
    match node {
        Node::Variable(name, at, default) => {
            let value = evaluator.variable(name).map_err(|error| error.at(at.span()))?;
            match (value, default) {
                (Some(value), _) => Ok(value),
                (None, Some(default)) => Ok(Value::Str(Arc::clone(default))),
                (None, None) => Err(EvalError::undefined(format!("`{name}` is undefined")).at(at.span())),
            }
        }
        Node::Step(expr) => evaluator.placeholder(expr, Dialect::Expr),
        Node::Expression(expr, dialect) => evaluator.placeholder(expr, *dialect),
    }
}

/// A piece of a template. A closed set.
#[derive(Clone, Debug)]
pub enum Part<'a> {
    /// Text that is rendered unchanged.
    Text {
        /// The text, with escapes resolved.
        text: &'a str,
        /// The place in the source.
        span: Span,
    },
    /// A placeholder, to be evaluated.
    Placeholder(Placeholder<'a>),
}

/// One `$var{…}`, `$expr{…}` or `$hier{…}` of a template.
#[derive(Clone, Copy, Debug)]
pub struct Placeholder<'a> {
    source: &'a str,
    span: Span,
    node: &'a Node,
}

/// The kind of a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PlaceholderKind {
    /// `$var{…}`
    Variable,
    /// `$hier{…}`
    Step,
    /// `$expr{…}`, with `py:` or without.
    Expression,
}

impl<'a> Placeholder<'a> {
    /// The placeholder as it is written, with its dollar and braces.
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// The place in the source of the template.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The kind of the placeholder.
    pub fn kind(&self) -> PlaceholderKind {
        match self.node {
            Node::Variable(..) => PlaceholderKind::Variable,
            Node::Step(_) => PlaceholderKind::Step,
            Node::Expression(..) => PlaceholderKind::Expression,
        }
    }

    /// Evaluates this placeholder alone, within limits of its own.
    ///
    /// # Errors
    ///
    /// As [`Template::render`].
    pub fn evaluate(&self, scope: &dyn Scope, limits: &Limits) -> Result<Value> {
        evaluate(self.node, &mut Evaluator::new(scope, limits))
    }

    /// Evaluates this placeholder alone, to the text that rendering would put in its place.
    ///
    /// # Errors
    ///
    /// As [`Template::render`].
    pub fn render(&self, scope: &dyn Scope, limits: &Limits) -> Result<String> {
        let mut evaluator = Evaluator::new(scope, limits);
        let value = evaluate(self.node, &mut evaluator)?;
        let mut out = Out::new(&mut evaluator.meter);
        text::write_text(&mut out, &value).map_err(|error| error.at(self.span))?;
        Ok(out.text)
    }
}

/// Writes text so that parsing it as a template gives that text and no placeholder.
///
/// ```
/// use dad_template::{Template, escape};
///
/// let template = Template::parse(&escape("costs $var{price}"))?;
/// assert_eq!(template.as_literal().as_deref(), Some("costs $var{price}"));
/// # Ok::<(), dad_template::ParseError>(())
/// ```
pub fn escape(text: &str) -> Cow<'_, str> {
    scan::escape_text(text, Language::All, false)
}
