//! Errors of templates, and their places.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// A range of bytes in the source of a template, `start..end`.
///
/// Always on character boundaries of the text that was parsed, so slicing the source with it never fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Makes a span; `end` below `start` is read as an empty span at `start`.
    pub fn new(start: usize, end: usize) -> Self {
        Span {
            start,
            end: end.max(start),
        }
    }

    /// The same as a standard range, for slicing.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// The smallest span that covers both.
    pub fn to(self, other: Span) -> Span {
        Span {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// A template that cannot be parsed, and the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ParseError {
    /// The problem: a lowercase fragment without a full stop.
    pub message: String,
    /// Where, in bytes of the template.
    pub span: Span,
    /// The right form, when it is known.
    pub hint: Option<String>,
    /// Whether a limit was met, as opposed to bad syntax.
    limit: bool,
}

impl ParseError {
    pub(crate) fn new(message: impl Into<String>, span: Span) -> Self {
        ParseError {
            message: message.into(),
            span,
            hint: None,
            limit: false,
        }
    }

    pub(crate) fn limit(message: impl Into<String>, span: Span) -> Self {
        ParseError {
            message: message.into(),
            span,
            hint: None,
            limit: true,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The stable code: `template_syntax`, or `template_limit` for a template that is too large or too deep.
    pub fn code(&self) -> &'static str {
        if self.limit {
            "template_limit"
        } else {
            "template_syntax"
        }
    }
}

/// The kind of an evaluation error; what a caller may decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvalErrorKind {
    /// A name or a step that nothing defines. Caught by `||`.
    Undefined,
    /// A key, member or index that the value does not have. Caught by `||`.
    Missing,
    /// An operation on a type of value that does not have it.
    Type,
    /// The right type, but a value that the operation refuses.
    Value,
    /// Division by zero, and zero to a negative power.
    DivisionByZero,
    /// A limit of [`Limits`](crate::Limits) was met.
    Limit,
    /// The [`Scope`](crate::Scope) failed to look something up.
    Scope,
}

impl EvalErrorKind {
    /// The stable code of the kind.
    pub fn code(self) -> &'static str {
        match self {
            EvalErrorKind::Undefined => "template_undefined",
            EvalErrorKind::Missing => "template_missing_key",
            EvalErrorKind::Type => "template_type",
            EvalErrorKind::Value => "template_value",
            EvalErrorKind::DivisionByZero => "template_division_by_zero",
            EvalErrorKind::Limit => "template_limit",
            EvalErrorKind::Scope => "template_scope",
        }
    }
}

/// A template that parsed but cannot be evaluated in the given scope.
#[derive(Debug)]
pub struct EvalError(Box<Inner>);

/// A hint that is made when it is read.
pub(crate) trait LateHint: fmt::Debug + Send + Sync {
    /// The hint, if there is one.
    fn text(&self) -> Option<String>;
}

#[derive(Debug)]
struct Inner {
    kind: EvalErrorKind,
    message: String,
    hint: Option<String>,
    /// A hint that is worth its making only when a person is to read it.
    late_hint: Option<Box<dyn LateHint>>,
    span: Option<Span>,
    source: Option<ScopeError>,
}

/// The result of an evaluation.
pub(crate) type Result<T> = std::result::Result<T, EvalError>;

impl EvalError {
    pub(crate) fn new(kind: EvalErrorKind, message: impl Into<String>) -> Self {
        EvalError(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            late_hint: None,
            span: None,
            source: None,
        }))
    }

    pub(crate) fn undefined(message: impl Into<String>) -> Self {
        Self::new(EvalErrorKind::Undefined, message)
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::new(EvalErrorKind::Missing, message)
    }

    pub(crate) fn type_(message: impl Into<String>) -> Self {
        Self::new(EvalErrorKind::Type, message)
    }

    pub(crate) fn value(message: impl Into<String>) -> Self {
        Self::new(EvalErrorKind::Value, message)
    }

    pub(crate) fn zero(message: impl Into<String>) -> Self {
        Self::new(EvalErrorKind::DivisionByZero, message)
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(EvalErrorKind::Limit, message)
    }

    /// An error whose hint is made when a person is to read it: `||` catches most of these errors.
    pub(crate) fn late_hint(mut self, hint: impl LateHint + 'static) -> Self {
        self.0.late_hint = Some(Box::new(hint));
        self
    }

    pub(crate) fn scope(what: &str, source: ScopeError) -> Self {
        let mut error = Self::new(EvalErrorKind::Scope, format!("cannot look up {what}"));
        error.0.source = Some(source);
        error
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert(hint.into());
        self
    }

    /// Gives the error its place unless a more exact one is known already.
    pub(crate) fn at(mut self, span: Span) -> Self {
        self.0.span.get_or_insert(span);
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> EvalErrorKind {
        self.0.kind
    }

    /// The stable code of the error, such as `template_undefined`.
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// The problem: a lowercase fragment without a full stop.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The right form, when it is known.
    pub fn hint_text(&self) -> Option<Cow<'_, str>> {
        if let Some(hint) = &self.0.hint {
            return Some(hint.into());
        }
        Some(self.0.late_hint.as_ref()?.text()?.into())
    }

    /// The expression that failed, in bytes of the template.
    pub fn span(&self) -> Span {
        self.0.span.unwrap_or_default()
    }

    /// Whether `||` catches the error: an undefined name or a missing key, nothing else.
    pub fn is_undefined(&self) -> bool {
        matches!(self.0.kind, EvalErrorKind::Undefined | EvalErrorKind::Missing)
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for EvalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Why a [`Scope`](crate::Scope) could not answer, for example because a step's result cannot be read.
///
/// Not for undefined names: those are `Ok(None)`.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ScopeError {
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ScopeError {
    /// Makes an error from a message: a lowercase fragment without a full stop.
    pub fn new(message: impl Into<String>) -> Self {
        ScopeError {
            message: message.into(),
            source: None,
        }
    }

    /// Makes an error from a message and the error beneath it.
    pub fn with_source(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        ScopeError {
            message: message.into(),
            source: Some(source.into()),
        }
    }
}

impl From<String> for ScopeError {
    fn from(message: String) -> Self {
        ScopeError::new(message)
    }
}
