//! Formatting as CPython does it: the specification language of f-strings and `format`, and `%`.

use crate::error::EvalError;
use crate::int::Int;
use crate::limits::Meter;
use crate::text::{self, Out, float_repr};
use crate::value::Value;

/// The most digits that a finite float has behind its point; beyond them there are only zeros.
const FLOAT_DIGITS: usize = 1100;
/// Widths and precisions above this are refused before anything is allocated.
const MAX_WIDTH: usize = i32::MAX as usize;

#[derive(Debug, Clone)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    no_negative_zero: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Spec {
    const PLAIN: Spec = Spec {
        fill: None,
        align: None,
        sign: None,
        no_negative_zero: false,
        alternate: false,
        zero: false,
        width: 0,
        grouping: None,
        precision: None,
        kind: None,
    };
}

impl Spec {
    /// A zero before the width fills, unless another character is given.
    fn filler(&self) -> char {
        self.fill.unwrap_or(if self.zero { '0' } else { ' ' })
    }
}

fn invalid(spec: &str) -> EvalError {
    EvalError::value(format!("`{}` is not a format specification", spec.escape_debug()))
}

fn parse_spec(text: &str) -> Result<Spec, EvalError> {
    let mut spec = Spec::PLAIN;
    let chars: Vec<char> = text.chars().take(64).collect();
    let mut pos = 0;
    let is_align = |c: Option<&char>| c.is_some_and(|c| matches!(c, '<' | '>' | '=' | '^'));
    if is_align(chars.get(1)) {
        spec.fill = chars.first().copied();
        spec.align = chars.get(1).copied();
        pos = 2;
    } else if is_align(chars.first()) {
        spec.align = chars.first().copied();
        pos = 1;
    }
    if let Some(&sign @ ('+' | '-' | ' ')) = chars.get(pos) {
        spec.sign = Some(sign);
        pos += 1;
    }
    if chars.get(pos) == Some(&'z') {
        spec.no_negative_zero = true;
        pos += 1;
    }
    if chars.get(pos) == Some(&'#') {
        spec.alternate = true;
        pos += 1;
    }
    if chars.get(pos) == Some(&'0') {
        spec.zero = true;
        pos += 1;
    }
    spec.width = number(&chars, &mut pos)?.unwrap_or(0);
    if let Some(&grouping @ (',' | '_')) = chars.get(pos) {
        spec.grouping = Some(grouping);
        pos += 1;
    }
    if chars.get(pos) == Some(&'.') {
        pos += 1;
        spec.precision =
            Some(number(&chars, &mut pos)?.ok_or_else(|| EvalError::value("a precision is missing"))?);
    }
    if let Some(&kind) = chars.get(pos) {
        spec.kind = Some(kind);
        pos += 1;
    }
    if pos != text.chars().count() {
        return Err(invalid(text));
    }
    Ok(spec)
}

fn number(chars: &[char], pos: &mut usize) -> Result<Option<usize>, EvalError> {
    let mut value: Option<usize> = None;
    while let Some(digit) = chars.get(*pos).and_then(|c| c.to_digit(10)) {
        let next = value
            .unwrap_or(0)
            .saturating_mul(10)
            .saturating_add(digit as usize);
        if next > MAX_WIDTH {
            return Err(EvalError::value(
                "a number in the format specification is too large",
            ));
        }
        value = Some(next);
        *pos += 1;
    }
    Ok(value)
}

/// `format(value, spec)`.
pub(crate) fn format_value(meter: &mut Meter, value: &Value, text: &str) -> Result<String, EvalError> {
    if text.is_empty() {
        let mut out = Out::new(meter);
        text::write_str(&mut out, value)?;
        return Ok(out.text);
    }
    let spec = match value {
        Value::Str(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) => parse_spec(text)?,
        other => {
            return Err(EvalError::type_(format!(
                "{} takes no format specification",
                other.type_name()
            )));
        }
    };
    match value {
        Value::Str(string) => format_str(meter, string, &spec),
        Value::Bool(b) => format_number(meter, &Int::from(i64::from(*b)), &spec),
        Value::Int(int) => format_number(meter, int, &spec),
        Value::Float(float) => format_float(meter, *float, &spec),
        _ => Err(invalid(text)),
    }
}

fn format_number(meter: &mut Meter, int: &Int, spec: &Spec) -> Result<String, EvalError> {
    match spec.kind {
        Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') => {
            let float = int.to_f64();
            if float.is_infinite() {
                return Err(EvalError::value("the integer is too large for a float"));
            }
            format_float(meter, float, spec)
        }
        _ => format_int(meter, int, spec),
    }
}

fn bad_kind(kind: char, what: &str) -> EvalError {
    EvalError::value(format!(
        "the format `{}` is not one of {what}",
        kind.escape_debug()
    ))
}

fn format_str(meter: &mut Meter, string: &str, spec: &Spec) -> Result<String, EvalError> {
    if let Some(kind) = spec.kind.filter(|&kind| kind != 's') {
        return Err(bad_kind(kind, "text"));
    }
    if spec.sign.is_some()
        || spec.alternate
        || spec.grouping.is_some()
        || spec.no_negative_zero
        || spec.align == Some('=')
    {
        return Err(EvalError::value("signs, grouping, `#` and `=` are for numbers"));
    }
    meter.text(string.len())?;
    let cut: String = match spec.precision {
        Some(precision) => string.chars().take(precision).collect(),
        None => string.to_owned(),
    };
    pad(meter, "", &cut, spec, '<')
}

/// Puts a sign and a body into the width.
fn pad(meter: &mut Meter, sign: &str, body: &str, spec: &Spec, default: char) -> Result<String, EvalError> {
    let len = sign.chars().count() + body.chars().count();
    let missing = spec.width.saturating_sub(len);
    let fill = spec.filler();
    meter.text((missing.saturating_mul(fill.len_utf8())).saturating_add(sign.len() + body.len()))?;
    let (before, between, after) = match spec.align.unwrap_or(default) {
        '<' => (0, 0, missing),
        '^' => (missing / 2, 0, missing - missing / 2),
        '=' => (0, missing, 0),
        _ => (missing, 0, 0),
    };
    let mut out = String::new();
    out.extend(std::iter::repeat_n(fill, before));
    out.push_str(sign);
    out.extend(std::iter::repeat_n(fill, between));
    out.push_str(body);
    out.extend(std::iter::repeat_n(fill, after));
    Ok(out)
}

fn sign_of(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        _ => "",
    }
}

/// Zero padding goes between sign and digits and takes part in the grouping.
fn pad_number(
    meter: &mut Meter,
    sign: &str,
    prefix: &str,
    digits: &str,
    rest: &str,
    spec: &Spec,
    group: usize,
) -> Result<String, EvalError> {
    let zero = spec.zero && spec.align.is_none();
    let fill = spec.filler();
    let sign = format!("{sign}{prefix}");
    let mut body = match spec.grouping {
        Some(separator) => {
            meter.text(digits.len() * 2)?;
            grouped(digits, separator, group)
        }
        None => digits.to_owned(),
    };
    let missing = spec
        .width
        .saturating_sub(sign.chars().count() + body.chars().count() + rest.chars().count());
    if missing > 0 && fill == '0' && (zero || spec.align == Some('=')) {
        meter.text(missing.saturating_mul(2))?;
        let padded = match spec.grouping {
            None => format!("{}{digits}", zeros(missing)),
            Some(separator) => {
                let room = spec
                    .width
                    .saturating_sub(sign.chars().count() + rest.chars().count());
                let count = zero_padded(digits.len(), room, group);
                grouped(
                    &format!("{}{digits}", zeros(count - digits.len())),
                    separator,
                    group,
                )
            }
        };
        body = padded;
    }
    body.push_str(rest);
    pad(meter, &sign, &body, spec, if zero { '=' } else { '>' })
}

/// The number of digits that fill the room when they are grouped; one more where the first place would be a separator.
fn zero_padded(digits: usize, room: usize, group: usize) -> usize {
    let mut count = digits.max(room - room / (group + 1));
    while count > digits && count + (count - 1) / group > room.max(1) {
        count -= 1;
    }
    if count + (count.max(1) - 1) / group < room {
        count + 1
    } else {
        count
    }
}

fn grouped(digits: &str, separator: char, group: usize) -> String {
    let len = digits.len();
    let mut out = String::with_capacity(len + len / group);
    for (index, c) in digits.chars().enumerate() {
        if index > 0 && (len - index).is_multiple_of(group) {
            out.push(separator);
        }
        out.push(c);
    }
    out
}

fn format_int(meter: &mut Meter, int: &Int, spec: &Spec) -> Result<String, EvalError> {
    let kind = spec.kind.unwrap_or('d');
    if spec.precision.is_some() {
        return Err(EvalError::value("a precision is not for integers"));
    }
    if spec.no_negative_zero {
        return Err(EvalError::value("`z` is not for integers"));
    }
    if kind == 'c' {
        return format_char(meter, int, spec);
    }
    meter.text(usize::try_from(int.bits()).unwrap_or(usize::MAX))?;
    let (digits, prefix, group) = match kind {
        'd' | 'n' => (int.abs().to_decimal()?, "", 3),
        'b' => (int.to_radix(2), "0b", 4),
        'o' => (int.to_radix(8), "0o", 4),
        'x' => (int.to_radix(16), "0x", 4),
        'X' => (int.to_radix(16).to_uppercase(), "0X", 4),
        other => return Err(bad_kind(other, "an integer's")),
    };
    if spec.grouping == Some(',') && group == 4 || (kind == 'n' && spec.grouping.is_some()) {
        return Err(EvalError::value("this grouping is not for this format"));
    }
    let prefix = if spec.alternate { prefix } else { "" };
    pad_number(
        meter,
        sign_of(int.is_negative(), spec),
        prefix,
        &digits,
        "",
        spec,
        group,
    )
}

fn format_char(meter: &mut Meter, int: &Int, spec: &Spec) -> Result<String, EvalError> {
    if spec.sign.is_some() || spec.grouping.is_some() || spec.alternate {
        return Err(EvalError::value("a character takes no sign, grouping or `#`"));
    }
    let c = int
        .as_u64()
        .and_then(|n| u32::try_from(n).ok())
        .and_then(char::from_u32);
    let Some(c) = c else {
        return Err(EvalError::value("the integer is not the number of a character"));
    };
    let zero = spec.zero && spec.align.is_none();
    pad(meter, "", &c.to_string(), spec, if zero { '=' } else { '<' })
}

fn format_float(meter: &mut Meter, float: f64, spec: &Spec) -> Result<String, EvalError> {
    let kind = spec.kind;
    if let Some(other) = kind.filter(|kind| !"eEfFgGn%".contains(*kind)) {
        return Err(bad_kind(other, "a float's"));
    }
    if kind == Some('n') && spec.grouping.is_some() {
        return Err(EvalError::value("this grouping is not for this format"));
    }
    let precision = spec.precision.unwrap_or(6);
    // The digits are copied on their way into the width.
    meter.text(precision.saturating_mul(3).saturating_add(400))?;
    let value = if kind == Some('%') { float * 100.0 } else { float };
    let magnitude = value.abs();
    let mut text = match kind {
        _ if !value.is_finite() => if value.is_nan() { "nan" } else { "inf" }.to_owned(),
        Some('e' | 'E') => scientific(magnitude, precision, spec.alternate),
        Some('f' | 'F' | '%') => fixed(magnitude, precision, spec.alternate),
        Some(_) => general(magnitude, precision, spec.alternate, false),
        None => match spec.precision {
            Some(precision) => general(magnitude, precision, spec.alternate, true),
            None if spec.alternate => with_point(&float_repr(magnitude)),
            None => float_repr(magnitude),
        },
    };
    if matches!(kind, Some('E' | 'F' | 'G')) {
        text = text.to_uppercase();
    }
    if kind == Some('%') {
        text.push('%');
    }
    let zero = !text.chars().any(|c| c.is_ascii_digit() && c != '0') && value.is_finite();
    let negative = value.is_sign_negative() && !value.is_nan() && !(spec.no_negative_zero && zero);
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        // `inf` and `nan` are not grouped, but they are padded with zeros.
        return pad_number(
            meter,
            sign_of(negative, spec),
            "",
            "",
            rest,
            &Spec {
                grouping: None,
                ..spec.clone()
            },
            3,
        );
    }
    pad_number(meter, sign_of(negative, spec), "", digits, rest, spec, 3)
}

/// `1.e-05`: the alternate form has a point always.
fn with_point(text: &str) -> String {
    match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.e{exponent}"),
        _ => text.to_owned(),
    }
}

fn zeros(count: usize) -> String {
    "0".repeat(count)
}

/// Digits beyond what a float can have are zeros; the standard library would refuse so many.
fn fixed(magnitude: f64, precision: usize, alternate: bool) -> String {
    let shown = precision.min(FLOAT_DIGITS);
    let mut text = format!("{magnitude:.shown$}");
    text.push_str(&zeros(precision - shown));
    if precision == 0 && alternate {
        text.push('.');
    }
    text
}

fn scientific(magnitude: f64, precision: usize, alternate: bool) -> String {
    let shown = precision.min(FLOAT_DIGITS);
    let text = format!("{magnitude:.shown$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let point = if precision == 0 && alternate { "." } else { "" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!(
        "{digits}{point}{}e{sign}{:02}",
        zeros(precision - shown),
        exponent.unsigned_abs()
    )
}

/// The shorter of the two notations. `python`: the form without a type, which keeps a digit behind the point.
fn general(magnitude: f64, precision: usize, alternate: bool, python: bool) -> String {
    let precision = precision.max(1);
    let text = scientific(magnitude, precision - 1, false);
    let exponent: i64 = text
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or_default();
    let limit = i64::try_from(precision).unwrap_or(i64::MAX);
    if exponent < -4 || exponent >= limit - i64::from(python) {
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
        let digits = if alternate {
            digits.to_owned()
        } else {
            trim_zeros(digits)
        };
        let point = if alternate && !digits.contains('.') {
            "."
        } else {
            ""
        };
        return format!("{digits}{point}e{exponent}");
    }
    let places = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    let text = fixed(magnitude, places, alternate);
    let text = if alternate { text } else { trim_zeros(&text) };
    if python && !text.contains('.') {
        format!("{text}.0")
    } else {
        text
    }
}

fn trim_zeros(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

/// `template % arguments`.
pub(crate) fn percent(meter: &mut Meter, template: &str, arguments: &Value) -> Result<String, EvalError> {
    let mut arguments = Arguments {
        value: arguments,
        next: 0,
    };
    let mut out = String::new();
    let mut rest = template;
    meter.text(template.len())?;
    let mut mapped = false;
    while let Some(at) = rest.find('%') {
        out.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (conversion, after, by_key) = conversion(rest, &mut arguments)?;
        mapped |= by_key;
        rest = after;
        let text = conversion.apply(meter)?;
        meter.text(text.len())?;
        out.push_str(&text);
    }
    out.push_str(rest);
    arguments.finish(mapped)?;
    Ok(out)
}

/// The right side of `%`: a tuple is several arguments, everything else is one.
struct Arguments<'v> {
    value: &'v Value,
    next: usize,
}

impl Arguments<'_> {
    fn take(&mut self) -> Result<Value, EvalError> {
        let value = match self.value {
            Value::Tuple(items) => items.get(self.next).cloned(),
            other => (self.next == 0).then(|| other.clone()),
        };
        self.next += 1;
        value.ok_or_else(|| EvalError::type_("there are fewer values than `%` formats"))
    }

    fn finish(&self, mapped: bool) -> Result<(), EvalError> {
        let left = match self.value {
            Value::Tuple(items) => self.next < items.len(),
            Value::Object(_) | Value::List(_) | Value::Range(_) => false,
            _ => self.next == 0 && !mapped,
        };
        if left {
            Err(EvalError::type_("there are more values than `%` formats"))
        } else {
            Ok(())
        }
    }
}

struct Conversion {
    spec: Spec,
    left: bool,
    kind: char,
    value: Value,
}

fn conversion<'t>(
    text: &'t str,
    arguments: &mut Arguments<'_>,
) -> Result<(Conversion, &'t str, bool), EvalError> {
    let mut rest = text;
    let mut value = None;
    if let Some(inner) = rest.strip_prefix('(') {
        let mut depth = 1;
        let end = inner.find(|c| {
            depth += match c {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            depth == 0
        });
        let end = end.ok_or_else(|| EvalError::value("`%(` is never closed"))?;
        let (key, after) = inner.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        let Value::Object(object) = arguments.value else {
            return Err(EvalError::type_("`%(name)` needs an object"));
        };
        let found = object
            .get(key)
            .ok_or_else(|| EvalError::missing(format!("no key `{key}`")))?;
        value = Some(found.clone());
    }
    let by_key = value.is_some();
    let mut spec = Spec::PLAIN;
    let mut left = false;
    while let Some(flag) = rest.chars().next().filter(|c| "-+ #0".contains(*c)) {
        match flag {
            '-' => left = true,
            '+' => spec.sign = Some('+'),
            ' ' if spec.sign.is_none() => spec.sign = Some(' '),
            '#' => spec.alternate = true,
            '0' => spec.zero = true,
            _ => {}
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    let (width, after) = star_or_number(rest, arguments)?;
    left |= width.is_some_and(|width| width < 0);
    spec.width = usize::try_from(width.unwrap_or(0).unsigned_abs()).unwrap_or(usize::MAX);
    rest = after;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = star_or_number(after, arguments)?;
        spec.precision = Some(usize::try_from(precision.unwrap_or(0)).unwrap_or(0));
        rest = after;
    }
    if spec.width > MAX_WIDTH || spec.precision.is_some_and(|precision| precision > MAX_WIDTH) {
        return Err(EvalError::value("a number in the `%` format is too large"));
    }
    rest = rest.strip_prefix(['l', 'L', 'h']).unwrap_or(rest);
    let kind = rest
        .chars()
        .next()
        .ok_or_else(|| EvalError::value("the `%` format is incomplete"))?;
    if !"diouxXeEfFgGcrsa".contains(kind) {
        return Err(EvalError::value(format!(
            "`%{}` is not a format",
            kind.escape_debug()
        )));
    }
    let after = rest.get(kind.len_utf8()..).unwrap_or_default();
    let value = match value {
        Some(value) => value,
        None => arguments.take()?,
    };
    Ok((
        Conversion {
            spec,
            left,
            kind,
            value,
        },
        after,
        by_key,
    ))
}

fn star_or_number<'t>(
    text: &'t str,
    arguments: &mut Arguments<'_>,
) -> Result<(Option<i64>, &'t str), EvalError> {
    if let Some(after) = text.strip_prefix('*') {
        let value = arguments.take()?;
        let number = value
            .as_i64()
            .ok_or_else(|| EvalError::type_("`*` needs an integer"))?;
        return Ok((Some(number), after));
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, after) = text.split_at(end);
    if digits.is_empty() {
        return Ok((None, after));
    }
    match digits.parse::<i64>() {
        Ok(number) => Ok((Some(number), after)),
        Err(_) => Err(EvalError::value("a number in the `%` format is too large")),
    }
}

impl Conversion {
    fn apply(mut self, meter: &mut Meter) -> Result<String, EvalError> {
        match self.kind {
            's' | 'r' | 'a' => {
                let text = converted(meter, &self.value, Some(self.kind))?;
                let cut: String = match self.spec.precision {
                    Some(precision) => text.chars().take(precision).collect(),
                    None => text,
                };
                self.place(meter, "", &cut)
            }
            'c' => {
                let c = match &self.value {
                    Value::Str(text) if text.chars().count() == 1 => text.to_string(),
                    Value::Int(_) | Value::Bool(_) => {
                        let int = crate::number::integer(&self.value);
                        let c = int
                            .and_then(|int| int.as_u64())
                            .and_then(|n| u32::try_from(n).ok())
                            .and_then(char::from_u32);
                        c.ok_or_else(|| EvalError::value("the integer is not the number of a character"))?
                            .to_string()
                    }
                    _ => return Err(EvalError::type_("`%c` needs an integer or one character")),
                };
                self.place(meter, "", &c)
            }
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => self.integer(meter),
            _ => self.float(meter),
        }
    }

    /// Texts are never padded with zeros.
    fn place(&self, meter: &mut Meter, sign: &str, body: &str) -> Result<String, EvalError> {
        let fill = Some(self.spec.fill.unwrap_or(' '));
        pad(
            meter,
            sign,
            body,
            &Spec {
                fill,
                ..self.spec.clone()
            },
            if self.left { '<' } else { '>' },
        )
    }

    fn integer(&mut self, meter: &mut Meter) -> Result<String, EvalError> {
        let decimal = matches!(self.kind, 'd' | 'i' | 'u');
        let int = match &self.value {
            Value::Int(int) => int.clone(),
            Value::Bool(b) => Int::from(i64::from(*b)),
            Value::Float(float) if decimal => Int::from_f64(*float)
                .ok_or_else(|| EvalError::value("a float that is not finite is not an integer"))?,
            other => {
                return Err(EvalError::type_(format!(
                    "`%{}` needs a number, not {}",
                    self.kind,
                    other.type_name()
                )));
            }
        };
        meter.text(usize::try_from(int.bits()).unwrap_or(usize::MAX))?;
        let (mut digits, prefix) = match self.kind {
            'x' => (int.to_radix(16), "0x"),
            'X' => (int.to_radix(16).to_uppercase(), "0X"),
            'o' => (int.to_radix(8), "0o"),
            _ => (int.abs().to_decimal()?, ""),
        };
        if let Some(precision) = self.spec.precision {
            let missing = precision.saturating_sub(digits.len());
            meter.text(missing.saturating_mul(2))?;
            digits = format!("{}{digits}", zeros(missing));
        }
        let prefix = if self.spec.alternate { prefix } else { "" };
        let sign = format!("{}{prefix}", sign_of(int.is_negative(), &self.spec));
        self.number(meter, &sign, &digits)
    }

    fn number(&mut self, meter: &mut Meter, sign: &str, body: &str) -> Result<String, EvalError> {
        if self.spec.zero && !self.left {
            self.spec.fill = Some('0');
            self.spec.align = Some('=');
        }
        self.place(meter, sign, body)
    }

    fn float(&mut self, meter: &mut Meter) -> Result<String, EvalError> {
        let float = match &self.value {
            Value::Float(float) => *float,
            Value::Int(int) => int.to_f64(),
            Value::Bool(b) => f64::from(u8::from(*b)),
            other => {
                return Err(EvalError::type_(format!(
                    "`%{}` needs a number, not {}",
                    self.kind,
                    other.type_name()
                )));
            }
        };
        let bare = Spec {
            precision: Some(self.spec.precision.unwrap_or(6)),
            alternate: self.spec.alternate,
            kind: Some(self.kind),
            ..Spec::PLAIN
        };
        let negative = float.is_sign_negative() && !float.is_nan();
        let body = format_float(meter, float.abs(), &bare)?;
        let sign = sign_of(negative, &self.spec);
        self.number(meter, sign, &body)
    }
}

/// The text of a value after `!s`, `!r`, `!a`.
pub(crate) fn converted(
    meter: &mut Meter,
    value: &Value,
    conversion: Option<char>,
) -> Result<String, EvalError> {
    let mut out = Out::new(meter);
    match conversion {
        Some('r' | 'a') => text::write_repr(&mut out, value)?,
        _ => text::write_str(&mut out, value)?,
    }
    let text = out.text;
    if conversion == Some('a') && !text.is_ascii() {
        meter.text(text.len() * 5)?;
        let mut ascii = String::new();
        for c in text.chars() {
            if c.is_ascii() {
                ascii.push(c);
            } else {
                text::push_escape(&mut ascii, c);
            }
        }
        return Ok(ascii);
    }
    Ok(text)
}
