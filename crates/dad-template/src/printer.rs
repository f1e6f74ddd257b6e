//! From a tree back to source, so that parsing gives the same tree.

use std::fmt::{self, Write as _};

use crate::ast::{
    Arguments, BinaryOp, Comprehension, ComprehensionKind, Dialect, DictItem, Expr, FPart, Kind, Lambda,
    PostfixOp, Target, UnaryOp,
};
use crate::lexer::{is_name_part, is_name_start};
use crate::parser::is_reserved;
use crate::text;

const LAMBDA: u8 = 0;
const CONDITIONAL: u8 = 1;
const OR: u8 = 2;
const AND: u8 = 3;
const NOT: u8 = 4;
const COMPARE: u8 = 5;
const BIT_OR: u8 = 6;
const UNARY: u8 = 12;
const POWER: u8 = 13;
const POSTFIX: u8 = 14;
const ATOM: u8 = 15;

fn level(kind: &Kind, dialect: Dialect) -> u8 {
    match kind {
        Kind::Lambda(_) => LAMBDA,
        Kind::Conditional(_) => CONDITIONAL,
        Kind::Or(_) | Kind::Coalesce(_) => OR,
        Kind::And(_) => AND,
        Kind::Unary(UnaryOp::Not, _) if dialect == Dialect::Python => NOT,
        Kind::Compare(..) => COMPARE,
        Kind::Binary(_, rest) => rest.first().map_or(BIT_OR, |(op, _)| binary_level(*op)),
        Kind::Unary(..) => UNARY,
        Kind::Power(_) => POWER,
        Kind::Postfix(..) => POSTFIX,
        _ => ATOM,
    }
}

fn binary_level(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::BitOr => BIT_OR,
        BinaryOp::BitXor => 7,
        BinaryOp::BitAnd => 8,
        BinaryOp::Shl | BinaryOp::Shr => 9,
        BinaryOp::Add | BinaryOp::Sub => 10,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::FloorDiv | BinaryOp::Mod => 11,
    }
}

/// Writes a whole placeholder's expression.
pub(crate) fn print(out: &mut String, expr: &Expr, dialect: Dialect) -> fmt::Result {
    Printer { out, dialect }.expr(expr, LAMBDA)
}

struct Printer<'a> {
    out: &'a mut String,
    dialect: Dialect,
}

impl Printer<'_> {
    /// Writes an expression, in brackets if it binds less tightly than `min`.
    fn expr(&mut self, expr: &Expr, min: u8) -> fmt::Result {
        if level(&expr.kind, self.dialect) < min {
            self.out.write_char('(')?;
            self.kind(&expr.kind)?;
            return self.out.write_char(')');
        }
        self.kind(&expr.kind)
    }

    fn kind(&mut self, kind: &Kind) -> fmt::Result {
        let python = self.dialect == Dialect::Python;
        match kind {
            Kind::Null => self.out.write_str(if python { "None" } else { "null" }),
            Kind::Bool(b) => self.out.write_str(match (b, python) {
                (true, true) => "True",
                (false, true) => "False",
                (true, false) => "true",
                (false, false) => "false",
            }),
            Kind::Int(int) => write!(self.out, "{int}"),
            Kind::Float(float) => self.out.write_str(&text::float_repr(*float)),
            Kind::Str(string) => {
                self.out.push_str(&text::repr_str(string));
                Ok(())
            }
            Kind::FString(parts) => {
                self.out.write_str("f'")?;
                self.fparts(parts, false)?;
                self.out.write_char('\'')
            }
            Kind::Name(name) => self.name(name),
            Kind::Hier(reference) => write!(self.out, "$hier{{{reference}}}"),
            Kind::List(items) => {
                self.out.write_char('[')?;
                self.list(items, false)?;
                self.out.write_char(']')
            }
            Kind::Tuple(items) => {
                self.out.write_char('(')?;
                self.list(items, items.len() == 1)?;
                self.out.write_char(')')
            }
            Kind::Set(items) => {
                self.out.write_char('{')?;
                self.list(items, false)?;
                self.out.write_char('}')
            }
            Kind::Dict(items) => self.dict(items),
            Kind::Star(inner) => {
                self.out.write_char('*')?;
                self.expr(inner, BIT_OR)
            }
            Kind::Unary(op, operand) => self.unary(*op, operand),
            Kind::Power(operands) => {
                let [base, exponent] = &**operands;
                self.expr(base, POSTFIX)?;
                self.out.write_str(" ** ")?;
                self.expr(exponent, UNARY)
            }
            Kind::Binary(first, rest) => {
                let level = level(kind, self.dialect);
                self.expr(first, level + 1)?;
                for (op, operand) in rest {
                    write!(self.out, " {} ", op.symbol())?;
                    self.expr(operand, level + 1)?;
                }
                Ok(())
            }
            Kind::Compare(first, rest) => {
                self.expr(first, COMPARE + 1)?;
                for (op, operand) in rest {
                    write!(self.out, " {} ", op.symbol())?;
                    self.expr(operand, COMPARE + 1)?;
                }
                Ok(())
            }
            Kind::And(operands) => self.joined(operands, if python { " and " } else { " && " }, AND + 1),
            Kind::Or(operands) => self.joined(operands, " or ", OR + 1),
            Kind::Coalesce(operands) => self.joined(operands, " || ", OR + 1),
            Kind::Conditional(parts) => self.conditional(parts),
            Kind::Postfix(base, ops) => {
                // `5.real` would be read as a number.
                let number = matches!(base.kind, Kind::Int(_) | Kind::Float(_));
                self.expr(base, if number { ATOM + 1 } else { ATOM })?;
                ops.iter().try_for_each(|op| self.postfix(&op.op))
            }
            Kind::Lambda(lambda) => self.lambda(lambda),
            Kind::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn name(&mut self, name: &str) -> fmt::Result {
        let word = name.starts_with(is_name_start) && name.chars().all(is_name_part);
        let literal =
            is_reserved(name) || (self.dialect == Dialect::Expr && matches!(name, "null" | "true" | "false"));
        if word && !literal {
            self.out.write_str(name)
        } else {
            write!(self.out, "$var{{{name}}}")
        }
    }

    fn joined(&mut self, items: &[Expr], separator: &str, min: u8) -> fmt::Result {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.write_str(separator)?;
            }
            self.expr(item, min)?;
        }
        Ok(())
    }

    fn list(&mut self, items: &[Expr], trailing_comma: bool) -> fmt::Result {
        self.joined(items, ", ", LAMBDA)?;
        self.out.write_str(if trailing_comma { "," } else { "" })
    }

    fn dict(&mut self, items: &[DictItem]) -> fmt::Result {
        self.out.write_char('{')?;
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.write_str(", ")?;
            }
            match item {
                DictItem::Entry(key, value) => {
                    self.expr(key, LAMBDA)?;
                    self.out.write_str(": ")?;
                    self.expr(value, LAMBDA)?;
                }
                DictItem::Spread(other) => {
                    self.out.write_str("**")?;
                    self.expr(other, BIT_OR)?;
                }
            }
        }
        self.out.write_char('}')
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr) -> fmt::Result {
        let (symbol, min) = match op {
            UnaryOp::Not if self.dialect == Dialect::Python => ("not ", NOT),
            UnaryOp::Not => ("!", UNARY),
            UnaryOp::Neg => ("-", UNARY),
            UnaryOp::Pos => ("+", UNARY),
            UnaryOp::Invert => ("~", UNARY),
        };
        self.out.write_str(symbol)?;
        self.expr(operand, min)
    }

    fn conditional(&mut self, parts: &[Expr; 3]) -> fmt::Result {
        let [condition, then, otherwise] = parts;
        if self.dialect == Dialect::Python {
            self.expr(then, OR)?;
            self.out.write_str(" if ")?;
            self.expr(condition, OR)?;
            self.out.write_str(" else ")?;
        } else {
            self.expr(condition, OR)?;
            self.out.write_str(" ? ")?;
            self.expr(then, LAMBDA)?;
            self.out.write_str(" : ")?;
        }
        self.expr(otherwise, LAMBDA)
    }

    fn postfix(&mut self, op: &PostfixOp) -> fmt::Result {
        match op {
            PostfixOp::Attribute(name) => write!(self.out, ".{name}"),
            PostfixOp::Method(name, arguments) => {
                write!(self.out, ".{name}")?;
                self.arguments(arguments)
            }
            PostfixOp::Call(arguments) => self.arguments(arguments),
            PostfixOp::Index(index) => {
                self.out.write_char('[')?;
                self.expr(index, LAMBDA)?;
                self.out.write_char(']')
            }
            PostfixOp::Slice(parts) => {
                self.out.write_char('[')?;
                for (index, part) in parts.iter().enumerate() {
                    // The second colon only where a step follows.
                    if index == 1 || (index == 2 && part.is_some()) {
                        self.out.write_char(':')?;
                    }
                    if let Some(part) = part {
                        self.expr(part, LAMBDA)?;
                    }
                }
                self.out.write_char(']')
            }
        }
    }

    fn arguments(&mut self, arguments: &Arguments) -> fmt::Result {
        self.out.write_char('(')?;
        self.list(&arguments.positional, false)?;
        for (index, (name, value)) in arguments.keywords.iter().enumerate() {
            if index > 0 || !arguments.positional.is_empty() {
                self.out.write_str(", ")?;
            }
            match name {
                Some(name) => write!(self.out, "{name}=")?,
                None => self.out.write_str("**")?,
            }
            self.expr(value, LAMBDA)?;
        }
        self.out.write_char(')')
    }

    fn lambda(&mut self, lambda: &Lambda) -> fmt::Result {
        self.out.write_str("lambda")?;
        for (index, (name, default)) in lambda.parameters.iter().enumerate() {
            self.out.write_str(if index == 0 { " " } else { ", " })?;
            self.out.write_str(name)?;
            if let Some(default) = default {
                self.out.write_char('=')?;
                self.expr(default, LAMBDA)?;
            }
        }
        self.out.write_str(": ")?;
        self.expr(&lambda.body, LAMBDA)
    }

    fn comprehension(&mut self, comprehension: &Comprehension) -> fmt::Result {
        let (open, close) = match comprehension.kind {
            ComprehensionKind::List => ('[', ']'),
            ComprehensionKind::Set | ComprehensionKind::Dict => ('{', '}'),
            ComprehensionKind::Generator => ('(', ')'),
        };
        self.out.write_char(open)?;
        self.expr(&comprehension.element, LAMBDA)?;
        if let Some(value) = &comprehension.value {
            self.out.write_str(": ")?;
            self.expr(value, LAMBDA)?;
        }
        for clause in &comprehension.clauses {
            self.out.write_str(" for ")?;
            self.target(&clause.target, true)?;
            self.out.write_str(" in ")?;
            self.expr(&clause.iterable, OR)?;
            for condition in &clause.conditions {
                self.out.write_str(" if ")?;
                self.expr(condition, OR)?;
            }
        }
        self.out.write_char(close)
    }

    fn target(&mut self, target: &Target, top: bool) -> fmt::Result {
        match target {
            Target::Name(name) => self.out.write_str(name),
            Target::Star(name) => write!(self.out, "*{name}"),
            Target::Tuple(targets) => {
                self.out.write_str(if top { "" } else { "(" })?;
                for (index, target) in targets.iter().enumerate() {
                    if index > 0 {
                        self.out.write_str(", ")?;
                    }
                    self.target(target, false)?;
                }
                self.out.write_str(if targets.len() == 1 { "," } else { "" })?;
                self.out.write_str(if top { "" } else { ")" })
            }
        }
    }

    fn fparts(&mut self, parts: &[FPart], spec: bool) -> fmt::Result {
        for part in parts {
            match part {
                FPart::Text(string) => {
                    let quoted = text::escape_in_quotes(string, '\'');
                    if spec {
                        // Braces cannot be doubled in a specification.
                        self.out
                            .push_str(&quoted.replace('{', "\\x7b").replace('}', "\\x7d"));
                    } else {
                        self.out.push_str(&quoted.replace('{', "{{").replace('}', "}}"));
                    }
                }
                FPart::Field {
                    value,
                    conversion,
                    spec,
                } => self.field(value, *conversion, spec)?,
            }
        }
        Ok(())
    }

    fn field(&mut self, value: &Expr, conversion: Option<char>, spec: &[FPart]) -> fmt::Result {
        self.out.write_char('{')?;
        let start = self.out.len();
        self.expr(value, CONDITIONAL)?;
        // A brace right after the opening one would be text.
        if self.out.get(start..).is_some_and(|text| text.starts_with('{')) {
            self.out.insert(start, ' ');
        }
        if let Some(conversion) = conversion {
            write!(self.out, "!{conversion}")?;
        }
        if !spec.is_empty() {
            self.out.write_char(':')?;
            self.fparts(spec, true)?;
        }
        self.out.write_char('}')
    }
}
