//! The tree that both dialects share.
//!
//! Chains of operators of one level are flat lists, so the depth of a tree is the depth of its brackets and not
//! its length: evaluating, printing and dropping may recurse.

use std::sync::Arc;

use crate::error::Span;
use crate::int::Int;

/// The two surface grammars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `$expr{…}`
    Expr,
    /// `$expr{py: …}`
    Python,
}

/// A span that does not count when trees are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(u32, u32);

impl At {
    pub(crate) fn new(span: Span) -> Self {
        let short = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        At(short(span.start), short(span.end))
    }

    pub(crate) fn span(self) -> Span {
        let long = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Span::new(long(self.0), long(self.1))
    }
}

impl PartialEq for At {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    pub(crate) at: At,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Int(Int),
    Float(f64),
    Str(Arc<str>),
    FString(Vec<FPart>),
    Name(Arc<str>),
    Hier(Arc<str>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Set(Vec<Expr>),
    Dict(Vec<DictItem>),
    /// `*items` in a list, tuple, set or call.
    Star(Box<Expr>),
    Unary(UnaryOp, Box<Expr>),
    Power(Box<[Expr; 2]>),
    /// Operators of one level, from left to right.
    Binary(Box<Expr>, Vec<(BinaryOp, Expr)>),
    /// `a < b <= c` holds when both hold.
    Compare(Box<Expr>, Vec<(CompareOp, Expr)>),
    /// The first falsy operand, else the last.
    And(Vec<Expr>),
    /// The first truthy operand, else the last: `or`.
    Or(Vec<Expr>),
    /// The first operand that is neither null nor undefined: `||`.
    Coalesce(Vec<Expr>),
    /// Condition, value if true, value if false.
    Conditional(Box<[Expr; 3]>),
    Postfix(Box<Expr>, Vec<Postfix>),
    Lambda(Arc<Lambda>),
    Comprehension(Arc<Comprehension>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FPart {
    Text(Arc<str>),
    Field {
        value: Expr,
        conversion: Option<char>,
        spec: Vec<FPart>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DictItem {
    Entry(Expr, Expr),
    /// `**other`
    Spread(Expr),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Postfix {
    pub(crate) op: PostfixOp,
    pub(crate) at: At,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PostfixOp {
    Attribute(Arc<str>),
    Method(Arc<str>, Arguments),
    Call(Arguments),
    Index(Expr),
    Slice(Box<[Option<Expr>; 3]>),
}

#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Arguments {
    /// May contain [`Kind::Star`].
    pub(crate) positional: Vec<Expr>,
    /// No name: `**other`.
    pub(crate) keywords: Vec<(Option<Arc<str>>, Expr)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lambda {
    pub(crate) parameters: Vec<(Arc<str>, Option<Expr>)>,
    pub(crate) body: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ComprehensionKind {
    List,
    Set,
    Dict,
    Generator,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comprehension {
    pub(crate) kind: ComprehensionKind,
    /// The element, or the key of a dictionary.
    pub(crate) element: Expr,
    /// The value of a dictionary.
    pub(crate) value: Option<Expr>,
    /// At least one.
    pub(crate) clauses: Vec<Clause>,
}

/// `for target in iterable if condition …`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clause {
    pub(crate) target: Target,
    pub(crate) iterable: Expr,
    pub(crate) conditions: Vec<Expr>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    Name(Arc<str>),
    Tuple(Vec<Target>),
    /// `*rest` inside a tuple; at most one.
    Star(Arc<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    /// `!` and `not`; they differ only in how tightly they bind.
    Not,
    Neg,
    Pos,
    Invert,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    BitAnd,
    BitOr,
    BitXor,
    Shl,
    Shr,
}

impl BinaryOp {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::FloorDiv => "//",
            BinaryOp::Mod => "%",
            BinaryOp::BitAnd => "&",
            BinaryOp::BitOr => "|",
            BinaryOp::BitXor => "^",
            BinaryOp::Shl => "<<",
            BinaryOp::Shr => ">>",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
    Is,
    IsNot,
}

impl CompareOp {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            CompareOp::Eq => "==",
            CompareOp::Ne => "!=",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
            CompareOp::In => "in",
            CompareOp::NotIn => "not in",
            CompareOp::Is => "is",
            CompareOp::IsNot => "is not",
        }
    }
}
