//! Functions of numbers: conversion, rounding, digits.

use std::cmp::Ordering;

use super::Builtin;
use crate::call::Args;
use crate::error::{EvalError, Result};
use crate::int::{Int, MAX_DIGITS};
use crate::lexer::clean_underscores;
use crate::machine::Machine;
use crate::number::{self, Number};
use crate::value::Value;

pub(super) fn abs(value: &Value) -> Result<Value> {
    match number::number(value) {
        Some(Number::Int(int)) => Ok(Value::Int(int.abs())),
        Some(Number::Float(float)) => Ok(Value::Float(float.abs())),
        None => Err(EvalError::type_(format!(
            "`abs` does not work for {}",
            value.type_name()
        ))),
    }
}

pub(super) fn round(ev: &mut dyn Machine, args: Args) -> Result<Value> {
    let [number, digits] = args.bind("round", ["number", "ndigits"], 1)?;
    let (number, digits) = (
        number.unwrap_or_default(),
        digits.filter(|digits| !digits.is_null()),
    );
    let places = match &digits {
        Some(digits) => Some(
            number::integer(digits)
                .ok_or_else(|| EvalError::type_("`ndigits` must be an integer"))?
                .as_i64()
                .ok_or_else(|| EvalError::value("`ndigits` is too large"))?,
        ),
        None => None,
    };
    match (number::number(&number), places) {
        (Some(Number::Int(int)), None) => Ok(Value::Int(int)),
        (Some(Number::Int(int)), Some(places)) if places >= 0 => Ok(Value::Int(int)),
        (Some(Number::Int(int)), Some(places)) => round_int(ev, &int, places.unsigned_abs()).map(Value::Int),
        (Some(Number::Float(float)), None) => {
            let rounded = float.round_ties_even();
            let int = Int::from_f64(rounded);
            int.map(Value::Int)
                .ok_or_else(|| EvalError::value("a float that is not finite is not an integer"))
        }
        (Some(Number::Float(float)), Some(places)) => round_float(ev, float, places).map(Value::Float),
        (None, _) => Err(EvalError::type_(format!(
            "`round` does not work for {}",
            number.type_name()
        ))),
    }
}

/// Rounds to a multiple of a power of ten, ties to the even one.
fn round_int(ev: &mut dyn Machine, int: &Int, places: u64) -> Result<Int> {
    if places > int.bits() {
        return Ok(Int::from(0));
    }
    ev.meter().steps(places)?;
    let Some(unit) = Int::from(10).pow(places) else {
        return Ok(Int::from(0));
    };
    let low = int.floor_div(&unit);
    let rest = int.modulo(&unit);
    let up = match rest.add(&rest).cmp(&unit) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => !low.modulo(&Int::from(2)).is_zero(),
    };
    let rounded = if up { low.add(&Int::from(1)) } else { low };
    Ok(rounded.mul(&unit))
}

fn round_float(ev: &mut dyn Machine, float: f64, places: i64) -> Result<f64> {
    if !float.is_finite() || places > 330 {
        return Ok(float);
    }
    if places < -310 {
        return Ok(0f64.copysign(float));
    }
    let text = if places >= 0 {
        // Writing decimals rounds the exact value, ties to even.
        let places = usize::try_from(places).unwrap_or(0);
        format!("{float:.places$}")
    } else {
        let half = float.trunc();
        let whole = Int::from_f64(half).unwrap_or(Int::from(0));
        // What is cut off decides only a tie, and there it rounds away.
        let doubled = whole.mul(&Int::from(10)).add(&Int::from(if float == half {
            0
        } else if float > 0.0 {
            1
        } else {
            -1
        }));
        let rounded = round_int(ev, &doubled, places.unsigned_abs() + 1)?;
        return Ok(rounded
            .true_div(&Int::from(10))
            .unwrap_or(f64::INFINITY)
            .copysign(float));
    };
    Ok(text.parse().unwrap_or(float))
}

pub(super) fn radix(ev: &mut dyn Machine, builtin: Builtin, value: &Value) -> Result<Value> {
    let int = number::integer(value).ok_or_else(|| {
        EvalError::type_(format!(
            "`{}` needs an integer, not {}",
            builtin.name(),
            value.type_name()
        ))
    })?;
    ev.meter().alloc(int.bits() * 2)?;
    let (prefix, base) = match builtin {
        Builtin::Bin => ("0b", 2),
        Builtin::Oct => ("0o", 8),
        _ => ("0x", 16),
    };
    Ok(Value::from(format!(
        "{}{prefix}{}",
        if int.is_negative() { "-" } else { "" },
        int.to_radix(base)
    )))
}

pub(super) fn int(ev: &mut dyn Machine, args: Args) -> Result<Value> {
    let [value, base] = args.bind("int", ["", "base"], 0)?;
    let Some(value) = value else {
        return Ok(Value::int(0));
    };
    match (&value, base) {
        (Value::Str(text), base) => {
            let base = base.map_or(Ok(10), |base| number::small(&base, "the base"))?;
            ev.meter().scan(text.len())?;
            let int = parse_int(text, base);
            int.map(Value::Int).ok_or_else(|| {
                EvalError::value(format!(
                    "`{}` is not an integer",
                    text.chars().take(60).collect::<String>()
                ))
            })
        }
        (_, Some(_)) => Err(EvalError::type_("a base is for text")),
        (Value::Float(float), None) => {
            let int = Int::from_f64(*float);
            int.map(Value::Int)
                .ok_or_else(|| EvalError::value("a float that is not finite is not an integer"))
        }
        (other, None) => number::integer(other)
            .map(Value::Int)
            .ok_or_else(|| EvalError::type_(format!("`int` does not work for {}", other.type_name()))),
    }
}

fn parse_int(text: &str, base: i64) -> Option<Int> {
    if base != 0 && !(2..=36).contains(&base) {
        return None;
    }
    let text = ascii_digits(text.trim_matches(crate::text::is_space));
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let prefixed = match lower.as_deref() {
        Some("0x") => Some(16),
        Some("0o") => Some(8),
        Some("0b") => Some(2),
        _ => None,
    };
    let (digits, base) = match prefixed {
        Some(found) if base == 0 || base == found => {
            let rest = digits.get(2..).unwrap_or_default();
            (rest.strip_prefix('_').unwrap_or(rest), found)
        }
        // Without a base, zeros in front are allowed only of zero.
        _ if base == 0 && digits.starts_with('0') && digits.chars().any(|c| c != '0' && c != '_') => {
            return None;
        }
        _ => (digits, if base == 0 { 10 } else { base }),
    };
    if digits.len() > MAX_DIGITS {
        return None;
    }
    let base = u32::try_from(base).ok()?;
    let int = Int::parse(&clean_underscores(digits, base)?, base)?;
    Some(if negative { int.neg() } else { int })
}

/// Decimal digits of all scripts count, as in Python.
fn ascii_digits(text: &str) -> String {
    text.chars()
        .map(|c| {
            crate::methods::decimal(c)
                .and_then(|digit| char::from_digit(digit, 10))
                .unwrap_or(c)
        })
        .collect()
}

pub(super) fn float(ev: &mut dyn Machine, args: Args) -> Result<Value> {
    let [value] = args.bind("float", [""], 0)?;
    let Some(value) = value else {
        return Ok(Value::Float(0.0));
    };
    if let Value::Str(text) = &value {
        ev.meter().alloc(text.len() as u64 * 2)?;
        let trimmed = ascii_digits(text.trim_matches(crate::text::is_space));
        let parsed = clean_underscores(&trimmed, 10).and_then(|digits| digits.parse::<f64>().ok());
        return parsed.map(Value::Float).ok_or_else(|| {
            EvalError::value(format!(
                "`{}` is not a number",
                text.chars().take(60).collect::<String>()
            ))
        });
    }
    match number::number(&value) {
        Some(number) => number.float().map(Value::Float),
        None => Err(EvalError::type_(format!(
            "`float` does not work for {}",
            value.type_name()
        ))),
    }
}
