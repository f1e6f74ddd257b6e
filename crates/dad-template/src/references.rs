//! Which variables and steps a tree names.

use std::sync::Arc;

use crate::ast::{
    Arguments, Clause, Comprehension, Dialect, DictItem, Expr, FPart, Kind, Postfix, PostfixOp, Target,
};
use crate::builtins::{self, Builtin};
use crate::error::Span;

/// The kind of a [`Reference`]. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReferenceKind {
    /// A variable, in `$var{…}` or by its name in an expression.
    Variable,
    /// A step, in `$hier{…}`.
    Hier,
}

/// One step of the path that an expression reads of a variable or step result, as far as it is written out. A closed set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathSegment {
    /// `.name` or `["name"]`
    Key(String),
    /// `[3]`, negative from the end
    Index(i64),
}

/// One place where a template names a variable or a step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reference {
    /// Whether a variable or a step is named.
    pub kind: ReferenceKind,
    /// The name of the variable, or the reference as written in `$hier{…}`.
    pub name: String,
    /// The place of the name: for a step and `$var{…}` the whole of `$hier{…}`, else the name.
    pub span: Span,
    /// Whether an undefined name is caught here, by `||` or a default.
    pub guarded: bool,
    /// The parts that are read of it: `outcome`, `results`, `0` for `$hier{build}.outcome.results[0]`.
    pub path: Vec<PathSegment>,
    /// Whether it is called, as a function is: `name(…)`.
    pub called: bool,
}

/// Collects the references of an expression in the order of the source.
pub(crate) fn collect(expr: &Expr, dialect: Dialect, references: &mut Vec<Reference>) {
    let mut collector = Collector {
        references,
        bound: Vec::new(),
        guards: 0,
        dialect,
    };
    collector.expr(expr);
}

struct Collector<'a> {
    references: &'a mut Vec<Reference>,
    bound: Vec<Arc<str>>,
    guards: u32,
    dialect: Dialect,
}

impl Collector<'_> {
    fn push(&mut self, kind: ReferenceKind, name: &str, span: Span, path: Vec<PathSegment>) {
        if kind == ReferenceKind::Variable && self.bound.iter().any(|bound| **bound == *name) {
            return;
        }
        // The name of a function is the function where no variable has that name.
        let function = kind == ReferenceKind::Variable
            && self.dialect == Dialect::Python
            && Builtin::by_name(name).is_some();
        let guarded = self.guards > 0 || function;
        self.references.push(Reference {
            kind,
            name: name.to_owned(),
            span,
            guarded,
            path,
            called: false,
        });
    }

    fn all<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) {
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {}
            Kind::FString(parts) => self.fparts(parts),
            Kind::Name(name) => self.push(ReferenceKind::Variable, name, expr.at.span(), Vec::new()),
            Kind::Hier(name) => self.push(ReferenceKind::Hier, name, expr.at.span(), Vec::new()),
            Kind::List(items)
            | Kind::Tuple(items)
            | Kind::Set(items)
            | Kind::And(items)
            | Kind::Or(items) => {
                self.all(items);
            }
            Kind::Dict(items) => {
                for item in items {
                    match item {
                        DictItem::Entry(key, value) => self.all([key, value]),
                        DictItem::Spread(other) => self.expr(other),
                    }
                }
            }
            Kind::Star(inner) | Kind::Unary(_, inner) => self.expr(inner),
            Kind::Power(operands) => self.all(operands.iter()),
            Kind::Conditional(operands) => self.all(operands.iter()),
            Kind::Binary(first, rest) => {
                self.expr(first);
                self.all(rest.iter().map(|(_, operand)| operand));
            }
            Kind::Compare(first, rest) => {
                self.expr(first);
                self.all(rest.iter().map(|(_, operand)| operand));
            }
            Kind::Coalesce(operands) => self.coalesce(operands),
            Kind::Postfix(base, ops) => self.postfix(base, ops),
            Kind::Lambda(lambda) => {
                self.all(
                    lambda
                        .parameters
                        .iter()
                        .filter_map(|(_, default)| default.as_ref()),
                );
                let outer = self.bound.len();
                self.bound
                    .extend(lambda.parameters.iter().map(|(name, _)| Arc::clone(name)));
                self.expr(&lambda.body);
                self.bound.truncate(outer);
            }
            Kind::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    /// All operands but the last are caught when they are undefined.
    fn coalesce(&mut self, operands: &[Expr]) {
        let Some((last, caught)) = operands.split_last() else {
            return;
        };
        self.guards += 1;
        self.all(caught);
        self.guards -= 1;
        self.expr(last);
    }

    fn fparts(&mut self, parts: &[FPart]) {
        for part in parts {
            if let FPart::Field { value, spec, .. } = part {
                self.expr(value);
                self.fparts(spec);
            }
        }
    }

    fn postfix(&mut self, base: &Expr, ops: &[Postfix]) {
        match &base.kind {
            Kind::Name(name) if self.is_function_call(name, ops) => {}
            Kind::Name(name) => {
                let before = self.references.len();
                self.push(ReferenceKind::Variable, name, base.at.span(), static_path(ops));
                let called = matches!(
                    ops.first(),
                    Some(Postfix {
                        op: PostfixOp::Call(_),
                        ..
                    })
                );
                for reference in &mut self.references[before..] {
                    reference.called = called;
                }
            }
            Kind::Hier(name) => self.push(ReferenceKind::Hier, name, base.at.span(), static_path(ops)),
            _ => self.expr(base),
        }
        for op in ops {
            match &op.op {
                PostfixOp::Attribute(_) => {}
                PostfixOp::Method(_, arguments) | PostfixOp::Call(arguments) => self.arguments(arguments),
                PostfixOp::Index(index) => self.expr(index),
                PostfixOp::Slice(parts) => self.all(parts.iter().flatten()),
            }
        }
    }

    fn is_function_call(&self, name: &str, ops: &[Postfix]) -> bool {
        !self.bound.iter().any(|bound| **bound == *name)
            && match ops.first().map(|op| &op.op) {
                Some(PostfixOp::Call(_)) => Builtin::by_name(name).is_some(),
                Some(PostfixOp::Method(method, _)) => builtins::in_module(name, method).is_some(),
                _ => false,
            }
    }

    fn arguments(&mut self, arguments: &Arguments) {
        self.all(&arguments.positional);
        self.all(arguments.keywords.iter().map(|(_, value)| value));
    }

    fn comprehension(&mut self, comprehension: &Comprehension) {
        let outer = self.bound.len();
        let mut order = Vec::new();
        std::mem::swap(&mut order, self.references);
        for Clause {
            target,
            iterable,
            conditions,
        } in &comprehension.clauses
        {
            self.expr(iterable);
            self.bind(target);
            self.all(conditions);
        }
        // The element is evaluated last but written first.
        std::mem::swap(&mut order, self.references);
        self.expr(&comprehension.element);
        self.all(&comprehension.value);
        self.references.append(&mut order);
        self.bound.truncate(outer);
    }

    fn bind(&mut self, target: &Target) {
        match target {
            Target::Name(name) | Target::Star(name) => self.bound.push(Arc::clone(name)),
            Target::Tuple(targets) => targets.iter().for_each(|target| self.bind(target)),
        }
    }
}

fn static_path(ops: &[Postfix]) -> Vec<PathSegment> {
    ops.iter()
        .map_while(|op| match &op.op {
            PostfixOp::Attribute(name) => Some(PathSegment::Key(name.to_string())),
            PostfixOp::Index(index) => match &index.kind {
                Kind::Str(key) => Some(PathSegment::Key(key.to_string())),
                Kind::Int(index) => index.as_i64().map(PathSegment::Index),
                Kind::Unary(crate::ast::UnaryOp::Neg, inner) => match &inner.kind {
                    Kind::Int(index) => index.neg().as_i64().map(PathSegment::Index),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        })
        .collect()
}
