//! Operators on values, with the meaning they have in Python.

use std::sync::Arc;

use indexmap::IndexSet;

use crate::ast::{BinaryOp, UnaryOp};
use crate::compare::unsupported;
use crate::error::{EvalError, Result};
use crate::format;
use crate::int::{Int, MAX_BITS};
use crate::limits::Meter;
use crate::number::{Number, integer, number};
use crate::value::{Key, Value};

pub(crate) fn unary(op: UnaryOp, value: &Value) -> Result<Value> {
    let symbol = match op {
        UnaryOp::Not => return Ok(Value::Bool(!value.is_true())),
        UnaryOp::Neg => "-",
        UnaryOp::Pos => "+",
        UnaryOp::Invert => "~",
    };
    match (op, number(value)) {
        (UnaryOp::Neg, Some(Number::Int(int))) => Ok(Value::Int(int.neg())),
        (UnaryOp::Neg, Some(Number::Float(float))) => Ok(Value::Float(-float)),
        (UnaryOp::Pos, Some(Number::Int(int))) => Ok(Value::Int(int)),
        (UnaryOp::Pos, Some(Number::Float(float))) => Ok(Value::Float(float)),
        (UnaryOp::Invert, Some(Number::Int(int))) => Ok(Value::Int(int.neg().sub(&Int::from(1)))),
        _ => Err(EvalError::type_(format!(
            "`{symbol}` does not work for {}",
            value.type_name()
        ))),
    }
}

pub(crate) fn binary(meter: &mut Meter, op: BinaryOp, a: &Value, b: &Value) -> Result<Value> {
    if let (Some(x), Some(y)) = (number(a), number(b)) {
        return arithmetic(meter, op, &x, &y, a, b);
    }
    match (op, a, b) {
        (BinaryOp::Add, Value::Str(x), Value::Str(y)) => {
            meter.text(x.len() + y.len())?;
            let mut text = String::with_capacity(x.len() + y.len());
            text.push_str(x);
            text.push_str(y);
            // Turning the string into a shared one copies it once more.
            meter.text(text.len())?;
            Ok(Value::str(text))
        }
        (BinaryOp::Add, Value::List(x), Value::List(y)) => Ok(Value::List(joined(meter, x, y)?)),
        (BinaryOp::Add, Value::Tuple(x), Value::Tuple(y)) => Ok(Value::Tuple(joined(meter, x, y)?)),
        (BinaryOp::Mul, sequence, count) | (BinaryOp::Mul, count, sequence)
            if integer(count).is_some()
                && matches!(sequence, Value::Str(_) | Value::List(_) | Value::Tuple(_)) =>
        {
            let count = integer(count).unwrap_or(Int::from(0));
            repeat(meter, sequence, &count)
        }
        (BinaryOp::Mod, Value::Str(template), arguments) => {
            format::percent(meter, template, arguments).map(Value::from)
        }
        (BinaryOp::BitOr, Value::Object(x), Value::Object(y)) => {
            meter.entries((x.len() + y.len()) as u64)?;
            let mut map = x.0.clone();
            map.extend(y.0.iter().map(|(key, value)| (key.clone(), value.clone())));
            Ok(Value::map(map))
        }
        (_, Value::Set(x), Value::Set(y)) => match set_operation(op) {
            Some(operation) => sets(meter, operation, &x.0, &y.0),
            None => Err(unsupported(op.symbol(), a, b)),
        },
        _ => Err(unsupported(op.symbol(), a, b)),
    }
}

fn joined(meter: &mut Meter, x: &[Value], y: &[Value]) -> Result<Arc<Vec<Value>>> {
    meter.elements((x.len() + y.len()) as u64)?;
    meter.steps((x.len() + y.len()) as u64 / 16)?;
    Ok(Arc::new([x, y].concat()))
}

fn repeat(meter: &mut Meter, sequence: &Value, count: &Int) -> Result<Value> {
    let Some(count) = count.as_i64() else {
        return Err(EvalError::limit(format!(
            "{} repeated too often",
            sequence.type_name()
        )));
    };
    let count = u64::try_from(count).unwrap_or(0);
    match sequence {
        Value::Str(text) => {
            let len = (text.len() as u64).saturating_mul(count);
            meter.alloc(len.saturating_mul(2))?;
            Ok(Value::str(text.repeat(
                usize::try_from(if len == 0 { 0 } else { count }).unwrap_or(0),
            )))
        }
        Value::List(items) | Value::Tuple(items) => {
            let len = (items.len() as u64).saturating_mul(count);
            meter.elements(len)?;
            meter.steps(len / 16)?;
            let count = usize::try_from(if len == 0 { 0 } else { count }).unwrap_or(0);
            let mut repeated = Vec::with_capacity(items.len() * count);
            (0..count).for_each(|_| repeated.extend_from_slice(items));
            let repeated = Arc::new(repeated);
            Ok(if matches!(sequence, Value::List(_)) {
                Value::List(repeated)
            } else {
                Value::Tuple(repeated)
            })
        }
        other => Err(EvalError::type_(format!(
            "{} cannot be repeated",
            other.type_name()
        ))),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetOperation {
    Union,
    Intersection,
    Difference,
    SymmetricDifference,
}

fn set_operation(op: BinaryOp) -> Option<SetOperation> {
    match op {
        BinaryOp::BitOr => Some(SetOperation::Union),
        BinaryOp::BitAnd => Some(SetOperation::Intersection),
        BinaryOp::Sub => Some(SetOperation::Difference),
        BinaryOp::BitXor => Some(SetOperation::SymmetricDifference),
        _ => None,
    }
}

pub(crate) fn sets(
    meter: &mut Meter,
    operation: SetOperation,
    x: &IndexSet<Key>,
    y: &IndexSet<Key>,
) -> Result<Value> {
    meter.entries((x.len() + y.len()) as u64)?;
    meter.steps((x.len() + y.len()) as u64)?;
    Ok(Value::set(match operation {
        SetOperation::Union => x.union(y).cloned().collect(),
        // Of equal members that are written differently, such as 1 and 1.0, CPython keeps those of the smaller set.
        SetOperation::Intersection if y.len() > x.len() => x.intersection(y).cloned().collect(),
        SetOperation::Intersection => y.intersection(x).cloned().collect(),
        SetOperation::Difference => x.difference(y).cloned().collect(),
        SetOperation::SymmetricDifference => x.symmetric_difference(y).cloned().collect(),
    }))
}

fn arithmetic(
    meter: &mut Meter,
    op: BinaryOp,
    x: &Number,
    y: &Number,
    a: &Value,
    b: &Value,
) -> Result<Value> {
    let (x, y) = match (x, y) {
        (Number::Int(x), Number::Int(y)) => return integers(meter, op, x, y, a, b),
        (x, y) => (x.float()?, y.float()?),
    };
    let float = match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        BinaryOp::Div | BinaryOp::FloorDiv | BinaryOp::Mod if y == 0.0 => {
            return Err(EvalError::zero("division by zero"));
        }
        BinaryOp::Div => x / y,
        BinaryOp::FloorDiv => float_divmod(x, y).0,
        BinaryOp::Mod => float_divmod(x, y).1,
        _ => return Err(unsupported(op.symbol(), a, b)),
    };
    Ok(Value::Float(float))
}

/// Quotient and rest as CPython computes them; the divisor must not be zero.
pub(crate) fn float_divmod(x: f64, y: f64) -> (f64, f64) {
    let mut rest = x % y;
    let mut quotient = (x - rest) / y;
    if rest == 0.0 {
        rest = 0f64.copysign(y);
    } else if (y < 0.0) != (rest < 0.0) {
        rest += y;
        quotient -= 1.0;
    }
    let floor = if quotient == 0.0 {
        0f64.copysign(x / y)
    } else {
        let floor = quotient.floor();
        if quotient - floor > 0.5 {
            floor + 1.0
        } else {
            floor
        }
    };
    (floor, rest)
}

/// Work and memory of an operation on large integers, before it is done.
fn pay(meter: &mut Meter, x: &Int, y: &Int) -> Result<()> {
    let (x, y) = (x.bits() / 64, y.bits() / 64);
    if x + y > 0 {
        meter.alloc((x + y + 2) * 16)?;
        meter.steps((x + 1) * (y + 1) / 8)?;
    }
    Ok(())
}

fn too_large() -> EvalError {
    EvalError::limit(format!("an integer of more than {MAX_BITS} bits"))
}

fn integers(meter: &mut Meter, op: BinaryOp, x: &Int, y: &Int, a: &Value, b: &Value) -> Result<Value> {
    pay(meter, x, y)?;
    Ok(Value::Int(match op {
        BinaryOp::Add => x.add(y),
        BinaryOp::Sub => x.sub(y),
        BinaryOp::Mul if x.bits() + y.bits() > MAX_BITS => return Err(too_large()),
        BinaryOp::Mul => x.mul(y),
        BinaryOp::Div | BinaryOp::FloorDiv | BinaryOp::Mod if y.is_zero() => {
            return Err(EvalError::zero("division by zero"));
        }
        BinaryOp::Div => {
            let quotient = x.true_div(y);
            return quotient
                .map(Value::Float)
                .ok_or_else(|| EvalError::value("the quotient is too large for a float"));
        }
        BinaryOp::FloorDiv => x.floor_div(y),
        BinaryOp::Mod => x.modulo(y),
        BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor => {
            let result = match op {
                BinaryOp::BitAnd => x.bit_and(y),
                BinaryOp::BitOr => x.bit_or(y),
                _ => x.bit_xor(y),
            };
            if let (Value::Bool(_), Value::Bool(_)) = (a, b) {
                return Ok(Value::Bool(!result.is_zero()));
            }
            result
        }
        BinaryOp::Shl | BinaryOp::Shr if y.is_negative() => return Err(EvalError::value("a negative shift")),
        BinaryOp::Shl => {
            let by = y.as_u64().unwrap_or(u64::MAX);
            if x.is_zero() {
                return Ok(Value::int(0));
            }
            if x.bits().saturating_add(by) > MAX_BITS {
                return Err(too_large());
            }
            meter.alloc(by / 8)?;
            x.shl(by)
        }
        BinaryOp::Shr => x.shr(y.as_u64().unwrap_or(u64::MAX)),
    }))
}

pub(crate) fn power(meter: &mut Meter, a: &Value, b: &Value) -> Result<Value> {
    let (Some(x), Some(y)) = (number(a), number(b)) else {
        return Err(unsupported("**", a, b));
    };
    if let (Number::Int(x), Number::Int(y)) = (&x, &y)
        && !y.is_negative()
    {
        let result_bits = x.bits().saturating_mul(y.as_u64().unwrap_or(u64::MAX));
        if x.bits() > 1 && result_bits > MAX_BITS + x.bits() {
            return Err(too_large());
        }
        // One is a power of large exponents too, and costs nothing.
        if x.bits() > 1 {
            meter.alloc(result_bits / 4)?;
            meter.steps((result_bits / 64) * (result_bits / 64) / 8)?;
        }
        let exponent = y
            .as_u64()
            .unwrap_or_else(|| if y.modulo(&Int::from(2)).is_zero() { 2 } else { 1 });
        return x.pow(exponent).map(Value::Int).ok_or_else(too_large);
    }
    let (x, y) = (x.float()?, y.float()?);
    if x == 0.0 && y < 0.0 {
        return Err(EvalError::zero("zero to a negative power"));
    }
    if x < 0.0 && x.is_finite() && y.is_finite() && y.fract() != 0.0 {
        return Err(EvalError::value(
            "a negative number to a fractional power is not a real number",
        ));
    }
    let result = x.powf(y);
    if result.is_infinite() && x.is_finite() && y.is_finite() {
        return Err(EvalError::value("the power is too large for a float"));
    }
    Ok(Value::Float(result))
}
