//! From the source of an expression to its tree.
//!
//! One parser for both dialects; where they differ it asks which one it reads. Operators are parsed by
//! precedence climbing, so that a bracket costs few stack frames.

mod brackets;
mod strings;

use std::sync::Arc;

use crate::ast::{
    Arguments, At, BinaryOp, CompareOp, ComprehensionKind, Dialect, Expr, Kind, Lambda, Postfix, PostfixOp,
    UnaryOp,
};
use crate::error::{ParseError, Span};
use crate::lexer::{Lexer, Token, is_space};

/// The largest depth of brackets and operators; a bracket counts twice. The tree, and with it all recursion over it, is
/// bounded by a small multiple of this.
pub(crate) const MAX_DEPTH: u32 = 64;

/// Parses the expression that starts at `start` and ends at an unmatched `}`; returns where that brace ends.
pub(crate) fn parse(
    source: &str,
    start: usize,
    dialect: Dialect,
    nodes: &mut usize,
) -> Result<(Expr, usize), ParseError> {
    let mut parser = Parser {
        lexer: Lexer::new(source, start),
        token: Token::End,
        span: Span::new(start, start),
        previous_end: start,
        dialect,
        depth: 0,
        nodes,
    };
    parser.bump()?;
    if parser.is_op("}") {
        return Err(ParseError::new(
            "the expression is empty",
            Span::new(start, parser.span.end),
        ));
    }
    let expr = if dialect == Dialect::Python {
        parser.maybe_tuple()?
    } else {
        parser.expression()?
    };
    if !parser.is_op("}") {
        return Err(parser.unexpected("the closing `}`"));
    }
    Ok((expr, parser.span.end))
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    span: Span,
    previous_end: usize,
    dialect: Dialect,
    depth: u32,
    nodes: &'a mut usize,
}

/// The node that an operator token builds, and its precedence.
#[derive(Clone, Copy)]
enum Operator {
    Or,
    Coalesce,
    And,
    Compare(CompareOp),
    Binary(BinaryOp),
}

const LEVEL_OR: u8 = 1;
const LEVEL_AND: u8 = 2;
const LEVEL_NOT: u8 = 3;
const LEVEL_COMPARE: u8 = 4;
const LEVEL_BIT_OR: u8 = 5;

type Parsed<T> = Result<T, ParseError>;

impl Parser<'_> {
    fn python(&self) -> bool {
        self.dialect == Dialect::Python
    }

    fn bump(&mut self) -> Parsed<()> {
        self.previous_end = self.span.end;
        (self.token, self.span) = self.lexer.next()?;
        Ok(())
    }

    fn is_op(&self, op: &str) -> bool {
        matches!(self.token, Token::Op(found) if found == op)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Name(found) if **found == *word)
    }

    /// A keyword of `py:` expressions; elsewhere an ordinary name.
    fn is_keyword(&self, word: &str) -> bool {
        self.python() && self.is_word(word)
    }

    fn eat(&mut self, op: &str) -> Parsed<bool> {
        let found = self.is_op(op);
        if found {
            self.bump()?;
        }
        Ok(found)
    }

    fn expect(&mut self, op: &'static str) -> Parsed<()> {
        if self.eat(op)? {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{op}`")))
        }
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        if self.token == Token::End {
            let message = format!("the template ends inside an expression: {wanted} is missing");
            return ParseError::new(message, self.span);
        }
        let found = self.lexer.source.get(self.span.range()).unwrap_or_default();
        let found: String = found.chars().take(40).collect();
        let error = ParseError::new(format!("unexpected `{found}`, {wanted} was expected"), self.span);
        match self.suggestion(&found) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    fn suggestion(&self, found: &str) -> Option<String> {
        if let Some(index) = found
            .strip_prefix('.')
            .filter(|rest| rest.chars().all(|c| c.is_ascii_digit()))
        {
            return Some(format!(
                "write `[{index}]` for an element of a list, `[\"{index}\"]` for a key"
            ));
        }
        let before = self.lexer.source.get(..self.span.start)?.trim_end();
        let hint = match (self.dialect, found) {
            (Dialect::Python, "&&") => "in `py:` expressions write `and`",
            (Dialect::Python, "||") => {
                "in `py:` expressions write `or`, or `.get(key, default)` for a key that may be missing"
            }
            (Dialect::Python, "!") => "in `py:` expressions write `not`",
            (Dialect::Python, "?") => "in `py:` expressions write `a if condition else b`",
            (Dialect::Python, "=" | ":=") => "an expression assigns nothing; equality is `==`",
            (Dialect::Expr, "=") => "equality is `==`",
            (Dialect::Expr, "and") => "write `&&`, or start the expression with `py:`",
            (Dialect::Expr, "or") => "write `||`, or start the expression with `py:`",
            (Dialect::Expr, "&") => "write `&&`",
            (Dialect::Expr, "|") => {
                "write `||` for a default; there are no filters, but functions and methods, such as `name.upper()`"
            }
            (Dialect::Expr, "if") => "write `condition ? a : b`, or `py: a if condition else b`",
            (Dialect::Expr, "not" | "is" | "for" | "lambda") => {
                "start the expression with `py:` for Python syntax"
            }
            (Dialect::Expr, ":") if before.to_ascii_lowercase().ends_with("py") => {
                "`py:` is written in lower case"
            }
            (_, _) if matches!(self.token, Token::Name(_)) && before.ends_with(char::is_alphanumeric) => {
                "a key with a blank is written `[\"…\"]`"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::limit(
                format!("the expression nests deeper than {MAX_DEPTH} levels"),
                self.span,
            ));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn node(&mut self, kind: Kind, start: usize) -> Parsed<Expr> {
        let span = Span::new(start, self.previous_end);
        self.count(span)?;
        Ok(Expr {
            kind,
            at: At::new(span),
        })
    }

    fn count(&mut self, span: Span) -> Parsed<()> {
        match self.nodes.checked_sub(1) {
            Some(left) => {
                *self.nodes = left;
                Ok(())
            }
            None => Err(ParseError::limit("the template has too many parts", span)),
        }
    }

    /// An expression without a comma at its top.
    fn expression(&mut self) -> Parsed<Expr> {
        self.enter()?;
        let start = self.span.start;
        let expr = if self.is_keyword("lambda") {
            self.lambda(start)?
        } else {
            self.conditional(start)?
        };
        self.leave();
        Ok(expr)
    }

    fn conditional(&mut self, start: usize) -> Parsed<Expr> {
        let first = self.operators(LEVEL_OR)?;
        let (condition, then) = if self.is_keyword("if") {
            self.bump()?;
            let condition = self.operators(LEVEL_OR)?;
            if !self.is_keyword("else") {
                return Err(self.unexpected("`else`"));
            }
            self.bump()?;
            (condition, first)
        } else if !self.python() && self.eat("?")? {
            let then = self.expression()?;
            self.expect(":")?;
            (first, then)
        } else {
            return Ok(first);
        };
        let otherwise = self.expression()?;
        self.node(Kind::Conditional(Box::new([condition, then, otherwise])), start)
    }

    /// One expression, or a tuple without brackets: `a, b`.
    fn maybe_tuple(&mut self) -> Parsed<Expr> {
        let start = self.span.start;
        let first = self.element()?;
        self.tuple_after(first, start)
    }

    /// The rest of a list of elements that may be a tuple.
    fn tuple_after(&mut self, first: Expr, start: usize) -> Parsed<Expr> {
        if !self.is_op(",") {
            if matches!(first.kind, Kind::Star(_)) {
                return Err(self.unexpected("`,`"));
            }
            return Ok(first);
        }
        let mut items = vec![first];
        while self.eat(",")? {
            if matches!(self.token, Token::Op(")" | "]" | "}" | "=" | ":" | "!")) || self.token == Token::End
            {
                break;
            }
            items.push(self.element()?);
        }
        self.node(Kind::Tuple(items), start)
    }

    /// An expression or `*expression`.
    fn element(&mut self) -> Parsed<Expr> {
        let start = self.span.start;
        if self.python() && self.eat("*")? {
            let inner = self.operators(LEVEL_BIT_OR)?;
            return self.node(Kind::Star(Box::new(inner)), start);
        }
        self.expression()
    }

    fn lambda(&mut self, start: usize) -> Parsed<Expr> {
        self.bump()?;
        let mut parameters: Vec<(Arc<str>, Option<Expr>)> = Vec::new();
        while !self.is_op(":") {
            let span = self.span;
            let name = self.name("a parameter")?;
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(ParseError::new(format!("`{name}` is a parameter twice"), span));
            }
            let default = if self.eat("=")? {
                Some(self.expression()?)
            } else {
                None
            };
            if default.is_none() && parameters.last().is_some_and(|(_, default)| default.is_some()) {
                return Err(ParseError::new(
                    "a parameter without a default follows one with a default",
                    span,
                ));
            }
            parameters.push((name, default));
            if !self.eat(",")? {
                break;
            }
        }
        self.expect(":")?;
        let body = self.expression()?;
        self.node(Kind::Lambda(Arc::new(Lambda { parameters, body })), start)
    }

    fn name(&mut self, wanted: &str) -> Parsed<Arc<str>> {
        let Token::Name(name) = &self.token else {
            return Err(self.unexpected(wanted));
        };
        let name = Arc::clone(name);
        if self.python() && is_reserved(&name) {
            return Err(self.unexpected(wanted));
        }
        self.bump()?;
        Ok(name)
    }

    /// Operators that bind at least as tightly as `min`.
    fn operators(&mut self, min: u8) -> Parsed<Expr> {
        let start = self.span.start;
        let mut left = if min <= LEVEL_NOT && self.is_keyword("not") {
            self.enter()?;
            self.bump()?;
            let operand = self.operators(LEVEL_NOT)?;
            self.leave();
            self.node(Kind::Unary(UnaryOp::Not, Box::new(operand)), start)?
        } else {
            self.unary()?
        };
        while let Some((operator, level)) = self.operator() {
            if level < min {
                break;
            }
            left = self.chain(left, operator, level, start)?;
        }
        Ok(left)
    }

    /// All operators of one level after `first`.
    fn chain(&mut self, first: Expr, operator: Operator, level: u8, start: usize) -> Parsed<Expr> {
        // Operators of many levels inside one another need as much stack as brackets.
        self.enter()?;
        let expr = self.chain_of(first, operator, level, start);
        self.leave();
        expr
    }

    fn chain_of(&mut self, first: Expr, operator: Operator, level: u8, start: usize) -> Parsed<Expr> {
        match operator {
            Operator::Or | Operator::Coalesce | Operator::And => {
                let mut operands = vec![first];
                while self.operator().is_some_and(|(_, found)| found == level) {
                    self.bump()?;
                    operands.push(self.operators(level + 1)?);
                }
                let kind = match operator {
                    Operator::And => Kind::And(operands),
                    Operator::Coalesce => Kind::Coalesce(operands),
                    _ => Kind::Or(operands),
                };
                self.node(kind, start)
            }
            Operator::Compare(_) => {
                let mut rest = Vec::new();
                while let Some((Operator::Compare(op), _)) = self.operator() {
                    self.bump()?;
                    if matches!(op, CompareOp::NotIn) || (op == CompareOp::Is && self.is_word("not")) {
                        self.bump()?;
                        let op = if op == CompareOp::Is { CompareOp::IsNot } else { op };
                        rest.push((op, self.operators(level + 1)?));
                    } else {
                        rest.push((op, self.operators(level + 1)?));
                    }
                }
                self.node(Kind::Compare(Box::new(first), rest), start)
            }
            Operator::Binary(_) => {
                let mut rest = Vec::new();
                while let Some((Operator::Binary(op), found)) = self.operator() {
                    if found != level {
                        break;
                    }
                    self.bump()?;
                    rest.push((op, self.operators(level + 1)?));
                }
                self.node(Kind::Binary(Box::new(first), rest), start)
            }
        }
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        let python = self.python();
        Some(match &self.token {
            Token::Op(op) => match *op {
                "||" if !python => (Operator::Coalesce, LEVEL_OR),
                "&&" if !python => (Operator::And, LEVEL_AND),
                "==" => (Operator::Compare(CompareOp::Eq), LEVEL_COMPARE),
                "!=" => (Operator::Compare(CompareOp::Ne), LEVEL_COMPARE),
                "<" => (Operator::Compare(CompareOp::Lt), LEVEL_COMPARE),
                "<=" => (Operator::Compare(CompareOp::Le), LEVEL_COMPARE),
                ">" => (Operator::Compare(CompareOp::Gt), LEVEL_COMPARE),
                ">=" => (Operator::Compare(CompareOp::Ge), LEVEL_COMPARE),
                "|" if python => (Operator::Binary(BinaryOp::BitOr), LEVEL_BIT_OR),
                "^" if python => (Operator::Binary(BinaryOp::BitXor), 6),
                "&" if python => (Operator::Binary(BinaryOp::BitAnd), 7),
                "<<" if python => (Operator::Binary(BinaryOp::Shl), 8),
                ">>" if python => (Operator::Binary(BinaryOp::Shr), 8),
                "+" => (Operator::Binary(BinaryOp::Add), 9),
                "-" => (Operator::Binary(BinaryOp::Sub), 9),
                "*" => (Operator::Binary(BinaryOp::Mul), 10),
                "/" => (Operator::Binary(BinaryOp::Div), 10),
                "//" => (Operator::Binary(BinaryOp::FloorDiv), 10),
                "%" => (Operator::Binary(BinaryOp::Mod), 10),
                _ => return None,
            },
            Token::Name(name) => match &**name {
                "in" => (Operator::Compare(CompareOp::In), LEVEL_COMPARE),
                "or" if python => (Operator::Or, LEVEL_OR),
                "and" if python => (Operator::And, LEVEL_AND),
                "is" if python => (Operator::Compare(CompareOp::Is), LEVEL_COMPARE),
                "not" if python && self.next_word_is("in") => {
                    (Operator::Compare(CompareOp::NotIn), LEVEL_COMPARE)
                }
                _ => return None,
            },
            _ => return None,
        })
    }

    fn next_word_is(&self, word: &str) -> bool {
        let rest = self.lexer.rest().trim_start_matches(is_space);
        rest.strip_prefix(word)
            .is_some_and(|rest| !rest.starts_with(crate::lexer::is_name_part))
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let op = match &self.token {
            Token::Op("-") => UnaryOp::Neg,
            Token::Op("+") => UnaryOp::Pos,
            Token::Op("~") if self.python() => UnaryOp::Invert,
            Token::Op("!") if !self.python() => UnaryOp::Not,
            _ => return self.power(),
        };
        let start = self.span.start;
        self.enter()?;
        self.bump()?;
        let operand = self.unary()?;
        self.leave();
        self.node(Kind::Unary(op, Box::new(operand)), start)
    }

    fn power(&mut self) -> Parsed<Expr> {
        let start = self.span.start;
        let base = self.postfix()?;
        if !self.is_op("**") {
            return Ok(base);
        }
        self.enter()?;
        self.bump()?;
        let exponent = self.unary()?;
        self.leave();
        self.node(Kind::Power(Box::new([base, exponent])), start)
    }

    fn postfix(&mut self) -> Parsed<Expr> {
        let start = self.span.start;
        let base = self.atom()?;
        let mut ops = Vec::new();
        loop {
            let start = self.span.start;
            let op = match &self.token {
                Token::Op(".") => self.attribute()?,
                Token::Op("(") => PostfixOp::Call(self.arguments()?),
                Token::Op("[") => self.index()?,
                _ => break,
            };
            let span = Span::new(start, self.previous_end);
            self.count(span)?;
            ops.push(Postfix {
                op,
                at: At::new(span),
            });
        }
        if ops.is_empty() {
            Ok(base)
        } else {
            self.node(Kind::Postfix(Box::new(base), ops), start)
        }
    }

    fn attribute(&mut self) -> Parsed<PostfixOp> {
        self.bump()?;
        let Token::Name(name) = &self.token else {
            return Err(self.unexpected("a name"));
        };
        let name = Arc::clone(name);
        self.bump()?;
        Ok(if self.is_op("(") {
            PostfixOp::Method(name, self.arguments()?)
        } else {
            PostfixOp::Attribute(name)
        })
    }

    fn index(&mut self) -> Parsed<PostfixOp> {
        self.enter()?;
        self.bump()?;
        let first = if self.is_op(":") {
            None
        } else {
            Some(if self.python() {
                self.maybe_tuple()?
            } else {
                self.expression()?
            })
        };
        let op = if self.is_op(":") {
            self.slice(first)?
        } else {
            first.map(PostfixOp::Index)
        };
        self.leave();
        self.expect("]")?;
        op.ok_or_else(|| self.unexpected("an index"))
    }

    fn slice(&mut self, first: Option<Expr>) -> Parsed<Option<PostfixOp>> {
        let mut parts = [first, None, None];
        for part in parts.iter_mut().skip(1) {
            if !self.eat(":")? {
                break;
            }
            if !self.is_op(":") && !self.is_op("]") {
                *part = Some(self.expression()?);
            }
        }
        Ok(Some(PostfixOp::Slice(Box::new(parts))))
    }

    fn arguments(&mut self) -> Parsed<Arguments> {
        self.enter()?;
        self.bump()?;
        let mut arguments = Arguments::default();
        while !self.is_op(")") {
            self.argument(&mut arguments)?;
            if !self.eat(",")? {
                break;
            }
        }
        self.leave();
        self.expect(")")?;
        Ok(arguments)
    }

    fn argument(&mut self, arguments: &mut Arguments) -> Parsed<()> {
        if self.python() && self.eat("**")? {
            let other = self.expression()?;
            arguments.keywords.push((None, other));
            return Ok(());
        }
        let rest = self.lexer.rest().trim_start_matches(is_space);
        if matches!(self.token, Token::Name(_)) && rest.starts_with('=') && !rest.starts_with("==") {
            let span = self.span;
            let name = self.name("the name of an argument")?;
            if arguments
                .keywords
                .iter()
                .any(|(other, _)| other.as_ref() == Some(&name))
            {
                return Err(ParseError::new(
                    format!("the argument `{name}` is given twice"),
                    span,
                ));
            }
            self.bump()?;
            let value = self.expression()?;
            arguments.keywords.push((Some(name), value));
            return Ok(());
        }
        let (start, span) = (self.span.start, self.span);
        let mut value = self.element()?;
        if self.is_keyword("for") && !matches!(value.kind, Kind::Star(_)) {
            value = self.comprehension(ComprehensionKind::Generator, value, None, start)?;
            if !(arguments.positional.is_empty() && arguments.keywords.is_empty() && self.is_op(")")) {
                let message = "a generator beside other arguments needs brackets";
                return Err(ParseError::new(message, Span::new(start, self.previous_end)));
            }
        }
        let after_spread = arguments.keywords.iter().any(|(name, _)| name.is_none());
        if !arguments.keywords.is_empty() && (after_spread || !matches!(value.kind, Kind::Star(_))) {
            return Err(ParseError::new(
                "an argument without a name follows one with a name",
                span,
            ));
        }
        arguments.positional.push(value);
        Ok(())
    }

    fn atom(&mut self) -> Parsed<Expr> {
        let start = self.span.start;
        let kind = match std::mem::replace(&mut self.token, Token::End) {
            Token::Int(int) => Kind::Int(int),
            Token::Float(float) => Kind::Float(float),
            Token::Name(name) if self.is_operator_word(&name) => {
                self.token = Token::Name(name);
                return Err(self.unexpected("a value"));
            }
            Token::Name(name) => self.word(name),
            Token::Var(name) => Kind::Name(name),
            Token::Hier(reference) => Kind::Hier(reference),
            token @ (Token::Str(_) | Token::FString(_)) => {
                self.token = token;
                return self.strings(start);
            }
            token => {
                self.token = token;
                return match &self.token {
                    Token::Op("(") => self.parentheses(start),
                    Token::Op("[") => self.brackets(start),
                    Token::Op("{") => self.braces(start),
                    _ => Err(self.unexpected("a value")),
                };
            }
        };
        self.bump()?;
        self.node(kind, start)
    }

    fn word(&self, name: Arc<str>) -> Kind {
        match &*name {
            "None" => Kind::Null,
            "True" => Kind::Bool(true),
            "False" => Kind::Bool(false),
            "null" if !self.python() => Kind::Null,
            "true" if !self.python() => Kind::Bool(true),
            "false" if !self.python() => Kind::Bool(false),
            _ => Kind::Name(name),
        }
    }

    /// Words that cannot be a name. Without `py:` the words of Python are refused too: they would only be
    /// undefined variables, and the message can say what to write.
    fn is_operator_word(&self, name: &str) -> bool {
        matches!(
            name,
            "and" | "or" | "not" | "in" | "is" | "if" | "else" | "for" | "lambda"
        )
    }
}

/// Words of Python that cannot name a parameter or a variable of a comprehension.
pub(crate) fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "and" | "or" | "not" | "in" | "is" | "if" | "else" | "for" | "lambda" | "None" | "True" | "False"
    )
}
