//! `'{0.name!r:>10}'.format(…)`

use crate::access;
use crate::call::Args;
use crate::error::{EvalError, Result};
use crate::format;
use crate::machine::Machine;
use crate::value::Value;

/// The numbering of fields without a name or number; mixing both ways is an error, as in Python.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbering {
    Unknown,
    Automatic(usize),
    Manual,
}

pub(super) fn format(ev: &mut dyn Machine, template: &str, args: &Args) -> Result<Value> {
    ev.meter().scan(template.len())?;
    let mut numbering = Numbering::Unknown;
    fill(ev, template, args, &mut numbering, true).map(Value::from)
}

fn fill(
    ev: &mut dyn Machine,
    template: &str,
    args: &Args,
    numbering: &mut Numbering,
    nested_allowed: bool,
) -> Result<String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        ev.meter().text(at)?;
        out.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let doubled = rest.starts_with("{{") || rest.starts_with("}}");
        if doubled {
            out.push_str(rest.get(..1).unwrap_or_default());
            rest = rest.get(2..).unwrap_or_default();
            continue;
        }
        if rest.starts_with('}') {
            return Err(EvalError::value("a single `}` in a format text"));
        }
        let (field, after) = split_field(rest.get(1..).unwrap_or_default())?;
        rest = after;
        let text = self::field(ev, field, args, numbering, nested_allowed)?;
        ev.meter().text(text.len())?;
        out.push_str(&text);
    }
    ev.meter().text(rest.len())?;
    out.push_str(rest);
    Ok(out)
}

/// The inside of a field and what follows its closing brace.
fn split_field(text: &str) -> Result<(&str, &str)> {
    let mut depth = 1;
    let mut bracket = false;
    for (at, c) in text.char_indices() {
        match c {
            '[' => bracket = true,
            ']' => bracket = false,
            '{' if !bracket => depth += 1,
            '}' if !bracket => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok((
                text.get(..at).unwrap_or_default(),
                text.get(at + 1..).unwrap_or_default(),
            ));
        }
    }
    Err(EvalError::value("a `{` of a format text is never closed"))
}

fn field(
    ev: &mut dyn Machine,
    field: &str,
    args: &Args,
    numbering: &mut Numbering,
    nested_allowed: bool,
) -> Result<String> {
    // The name ends at `!` or `:` outside brackets.
    let mut bracket = false;
    let end = field.find(|c| {
        match c {
            '[' => bracket = true,
            ']' => bracket = false,
            _ => {}
        }
        !bracket && (c == '!' || c == ':')
    });
    let (name, mut rest) = field.split_at(end.unwrap_or(field.len()));
    let mut value = lookup(ev, name, args, numbering)?;
    if let Some(after) = rest.strip_prefix('!') {
        let conversion = after.chars().next().filter(|c| "rsa".contains(*c));
        let conversion =
            conversion.ok_or_else(|| EvalError::value("the conversion is none of `r`, `s`, `a`"))?;
        value = Value::from(format::converted(ev.meter(), &value, Some(conversion))?);
        rest = after.get(1..).unwrap_or_default();
        if !rest.is_empty() && !rest.starts_with(':') {
            return Err(EvalError::value("`:` is missing after the conversion"));
        }
    }
    let spec = rest.strip_prefix(':').unwrap_or_default();
    let spec = if spec.contains(['{', '}']) {
        if !nested_allowed {
            return Err(EvalError::value("the fields of a format text nest too deep"));
        }
        fill(ev, spec, args, numbering, false)?
    } else {
        spec.to_owned()
    };
    format::format_value(ev.meter(), &value, &spec)
}

/// `0`, `name`, `name.key[0][key]`: only keys and elements, never anything inside the interpreter.
fn lookup(ev: &mut dyn Machine, name: &str, args: &Args, numbering: &mut Numbering) -> Result<Value> {
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut path) = name.split_at(end);
    if first.contains(['{', '}']) {
        return Err(EvalError::value("a brace in the name of a field"));
    }
    let mut value = first_value(first, args, numbering)?;
    while !path.is_empty() {
        ev.meter().steps(1)?;
        if let Some(after) = path.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, rest) = after.split_at(end);
            if key.is_empty() {
                return Err(EvalError::value("an empty name in a format text"));
            }
            value = access::attribute(&value, key)?;
            path = rest;
        } else if let Some(after) = path.strip_prefix('[') {
            let (key, rest) = after
                .split_once(']')
                .ok_or_else(|| EvalError::value("`[` is never closed"))?;
            if key.is_empty() {
                return Err(EvalError::value("an empty name in a format text"));
            }
            let index = match key.parse::<i64>() {
                Ok(index) if key.bytes().all(|byte| byte.is_ascii_digit()) => Value::int(index),
                _ => Value::from(key),
            };
            value = access::subscript(ev.meter(), &value, &index)?;
            path = rest;
        } else {
            return Err(EvalError::value(
                "only `.` or `[` may follow `]` in a format text",
            ));
        }
    }
    Ok(value)
}

fn first_value(first: &str, args: &Args, numbering: &mut Numbering) -> Result<Value> {
    let mixed = || EvalError::value("fields with and without numbers in one format text");
    let index = if first.is_empty() {
        let next = match *numbering {
            Numbering::Unknown => 0,
            Numbering::Automatic(next) => next,
            Numbering::Manual => return Err(mixed()),
        };
        *numbering = Numbering::Automatic(next + 1);
        next
    } else if first.bytes().all(|byte| byte.is_ascii_digit()) {
        if matches!(numbering, Numbering::Automatic(_)) {
            return Err(mixed());
        }
        *numbering = Numbering::Manual;
        first
            .parse()
            .map_err(|_| EvalError::value("the number of a field is too large"))?
    } else {
        let found = args.keywords.iter().find(|(name, _)| **name == *first);
        let found = found.map(|(_, value)| value.clone());
        return found.ok_or_else(|| EvalError::missing(format!("`format` got no `{first}`")));
    };
    let found = args.positional.get(index).cloned();
    found.ok_or_else(|| EvalError::value(format!("`format` got no value number {index}")))
}
