//! Expressions in brackets: tuples, lists, sets, dictionaries, and comprehensions.

use std::sync::Arc;

use super::{LEVEL_BIT_OR, LEVEL_OR, Parsed, Parser};
use crate::ast::{Clause, Comprehension, ComprehensionKind, DictItem, Expr, Kind, Target};
use crate::error::ParseError;

impl Parser<'_> {
    pub(super) fn parentheses(&mut self, start: usize) -> Parsed<Expr> {
        self.enter()?;
        self.bump()?;
        if self.python() && self.is_op(")") {
            self.leave();
            self.bump()?;
            return self.node(Kind::Tuple(Vec::new()), start);
        }
        let first_start = self.span.start;
        let first = self.element()?;
        let expr = if self.is_keyword("for") && !matches!(first.kind, Kind::Star(_)) {
            self.comprehension(ComprehensionKind::Generator, first, None, first_start)?
        } else if self.python() {
            self.tuple_after(first, first_start)?
        } else {
            first
        };
        self.leave();
        self.expect(")")?;
        Ok(expr)
    }

    pub(super) fn brackets(&mut self, start: usize) -> Parsed<Expr> {
        self.enter()?;
        self.bump()?;
        let mut items = Vec::new();
        while !self.is_op("]") {
            let item = self.element()?;
            if items.is_empty() && self.is_keyword("for") && !matches!(item.kind, Kind::Star(_)) {
                let expr = self.comprehension(ComprehensionKind::List, item, None, start)?;
                self.leave();
                self.expect("]")?;
                return Ok(expr);
            }
            items.push(item);
            if !self.eat(",")? {
                break;
            }
        }
        self.leave();
        self.expect("]")?;
        self.node(Kind::List(items), start)
    }

    pub(super) fn braces(&mut self, start: usize) -> Parsed<Expr> {
        self.enter()?;
        self.bump()?;
        let expr = self.braces_content(start)?;
        self.leave();
        self.expect("}")?;
        Ok(expr)
    }

    fn braces_content(&mut self, start: usize) -> Parsed<Expr> {
        if self.is_op("}") {
            return self.node(Kind::Dict(Vec::new()), start);
        }
        if self.python() && self.is_op("**") {
            return self.dictionary(Vec::new(), start);
        }
        let first = self.element()?;
        if self.is_op(":") && !matches!(first.kind, Kind::Star(_)) {
            self.bump()?;
            let value = self.expression()?;
            if self.is_keyword("for") {
                return self.comprehension(ComprehensionKind::Dict, first, Some(value), start);
            }
            let items = vec![DictItem::Entry(first, value)];
            return if self.eat(",")? {
                self.dictionary(items, start)
            } else {
                self.node(Kind::Dict(items), start)
            };
        }
        if !self.python() {
            return Err(self.unexpected("`:`"));
        }
        if self.is_keyword("for") && !matches!(first.kind, Kind::Star(_)) {
            return self.comprehension(ComprehensionKind::Set, first, None, start);
        }
        let mut items = vec![first];
        while self.eat(",")? && !self.is_op("}") {
            items.push(self.element()?);
        }
        self.node(Kind::Set(items), start)
    }

    fn dictionary(&mut self, mut items: Vec<DictItem>, start: usize) -> Parsed<Expr> {
        while !self.is_op("}") {
            if self.python() && self.eat("**")? {
                items.push(DictItem::Spread(self.operators(LEVEL_BIT_OR)?));
            } else {
                let key = self.expression()?;
                self.expect(":")?;
                items.push(DictItem::Entry(key, self.expression()?));
            }
            if !self.eat(",")? {
                break;
            }
        }
        self.node(Kind::Dict(items), start)
    }

    pub(super) fn comprehension(
        &mut self,
        kind: ComprehensionKind,
        element: Expr,
        value: Option<Expr>,
        start: usize,
    ) -> Parsed<Expr> {
        let mut clauses = Vec::new();
        while self.is_keyword("for") {
            self.bump()?;
            let target = self.targets()?;
            if !self.is_keyword("in") {
                return Err(self.unexpected("`in`"));
            }
            self.bump()?;
            let iterable = self.operators(LEVEL_OR)?;
            let mut conditions = Vec::new();
            while self.is_keyword("if") {
                self.bump()?;
                conditions.push(self.operators(LEVEL_OR)?);
            }
            self.count(self.span)?;
            clauses.push(Clause {
                target,
                iterable,
                conditions,
            });
        }
        self.node(
            Kind::Comprehension(Arc::new(Comprehension {
                kind,
                element,
                value,
                clauses,
            })),
            start,
        )
    }

    fn targets(&mut self) -> Parsed<Target> {
        let first = self.target()?;
        if !self.is_op(",") && !matches!(first, Target::Star(_)) {
            return Ok(first);
        }
        let mut targets = vec![first];
        while self.eat(",")? {
            if self.is_keyword("in") || self.is_op(")") || self.is_op("]") {
                break;
            }
            targets.push(self.target()?);
        }
        if targets
            .iter()
            .filter(|target| matches!(target, Target::Star(_)))
            .count()
            > 1
        {
            return Err(ParseError::new("two starred names in one target", self.span));
        }
        Ok(Target::Tuple(targets))
    }

    fn target(&mut self) -> Parsed<Target> {
        self.count(self.span)?;
        if self.eat("*")? {
            return Ok(Target::Star(self.name("a name")?));
        }
        for (open, close) in [("(", ")"), ("[", "]")] {
            if self.is_op(open) {
                self.enter()?;
                self.bump()?;
                let target = self.targets()?;
                self.leave();
                self.expect(close)?;
                // `[a]` unpacks one element, `(a)` is only a name in brackets.
                return Ok(match target {
                    Target::Tuple(_) => target,
                    single if open == "[" => Target::Tuple(vec![single]),
                    single => single,
                });
            }
        }
        Ok(Target::Name(self.name("a name")?))
    }
}
