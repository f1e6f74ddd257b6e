//! The text of values: the form in which they enter a template, JSON, and the `str` and `repr` of Python.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::error::EvalError;
use crate::limits::Meter;
use crate::sort;
use crate::value::{Key, Object, ToJsonError, Value};

impl Object {
    /// The entries; keys that are not text have the text that JSON gives them.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &Value)> {
        self.0.iter().map(|(key, value)| (json_key(&key.0), value))
    }
}

impl Value {
    /// The text form where a value enters text: text as it is, null as nothing, floats with their `.0`,
    /// everything else as compact JSON.
    ///
    /// What JSON cannot hold is written as Python would (`NaN`, all digits of a large integer). Rendering is
    /// stricter and refuses a float that is not finite inside a list or object.
    pub fn to_text(&self) -> String {
        display(self)
    }

    /// The value as JSON. Tuples, sets and ranges become lists; keys become text as `json.dumps` does it.
    ///
    /// # Errors
    ///
    /// When JSON (as `serde_json` holds it) has no such value; nothing is rounded in silence.
    pub fn to_json(&self) -> Result<serde_json::Value, ToJsonError> {
        use serde_json::Value as Json;
        Ok(match self {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(int) => match (int.as_i64(), int.as_u64()) {
                (Some(n), _) => n.into(),
                (None, Some(n)) => n.into(),
                (None, None) => return Err(ToJsonError::new("an integer of more than 64 bits")),
            },
            Value::Float(float) => match serde_json::Number::from_f64(*float) {
                Some(number) => Json::Number(number),
                None => return Err(ToJsonError::new(format!("the float {float}"))),
            },
            Value::Str(text) => Json::String(text.to_string()),
            Value::Object(object) => {
                let mut map = serde_json::Map::with_capacity(object.len());
                for (key, value) in &object.0 {
                    if matches!(key.0, Value::Tuple(_)) {
                        return Err(ToJsonError::new("a tuple as a key"));
                    }
                    map.insert(json_key(&key.0).into_owned(), value.to_json()?);
                }
                Json::Object(map)
            }
            Value::Function(function) => return Err(ToJsonError::new(function.type_name())),
            Value::List(items) | Value::Tuple(items) => {
                Json::Array(items.iter().map(Value::to_json).collect::<Result<_, _>>()?)
            }
            Value::Set(set) => Json::Array(set.iter().map(Value::to_json).collect::<Result<_, _>>()?),
            Value::Range(range) => Json::Array(range.iter().map(Json::from).collect()),
        })
    }
}

/// A destination of text, paid for before it grows.
pub(crate) struct Out<'a> {
    pub(crate) text: String,
    meter: Option<&'a mut Meter>,
    /// Whether what JSON cannot hold is written as Python would, instead of being an error.
    lenient: bool,
}

type Written = Result<(), EvalError>;

impl<'a> Out<'a> {
    pub(crate) fn new(meter: &'a mut Meter) -> Self {
        Out {
            text: String::new(),
            meter: Some(meter),
            lenient: false,
        }
    }

    /// Writes behind a text that is paid for already.
    pub(crate) fn append(meter: &'a mut Meter, text: String) -> Self {
        Out {
            text,
            meter: Some(meter),
            lenient: false,
        }
    }

    pub(crate) fn push(&mut self, text: &str) -> Written {
        if let Some(meter) = &mut self.meter {
            meter.alloc(text.len() as u64)?;
        }
        self.text.push_str(text);
        Ok(())
    }

    fn step(&mut self) -> Written {
        self.meter.as_mut().map_or(Ok(()), |meter| meter.steps(1))
    }
}

/// Never fails: for messages, and for callers outside an evaluation.
pub(crate) fn display(value: &Value) -> String {
    let mut out = Out {
        text: String::new(),
        meter: None,
        lenient: true,
    };
    // Without a meter and with leniency there is nothing that fails.
    let _ = write_text(&mut out, value);
    out.text
}

/// The text form where a value enters text.
pub(crate) fn write_text(out: &mut Out<'_>, value: &Value) -> Written {
    match value {
        Value::Null => Ok(()),
        Value::Str(text) => out.push(text),
        Value::Float(float) => out.push(&float_repr(*float)),
        Value::Function(_) if !out.lenient => Err(no_text(value)),
        other => write_json(out, other, &JsonStyle::COMPACT, 0),
    }
}

fn no_text(value: &Value) -> EvalError {
    EvalError::type_(format!("{} has no text form", value.type_name()))
}

/// The style of JSON.
pub(crate) struct JsonStyle {
    pub(crate) indent: Option<String>,
    pub(crate) item_separator: Cow<'static, str>,
    pub(crate) key_separator: Cow<'static, str>,
    pub(crate) ascii: bool,
    pub(crate) sort_keys: bool,
    /// `json.dumps`: sets and ranges are refused, floats that are not finite are not.
    pub(crate) python: bool,
}

impl JsonStyle {
    pub(crate) const COMPACT: JsonStyle = JsonStyle {
        indent: None,
        item_separator: Cow::Borrowed(","),
        key_separator: Cow::Borrowed(":"),
        ascii: false,
        sort_keys: false,
        python: false,
    };
}

pub(crate) fn write_json(out: &mut Out<'_>, value: &Value, style: &JsonStyle, depth: usize) -> Written {
    out.step()?;
    match value {
        Value::Null => out.push("null"),
        Value::Bool(b) => out.push(if *b { "true" } else { "false" }),
        Value::Int(int) if out.lenient => out.push(&int.to_string()),
        Value::Int(int) => {
            let text = int.to_decimal()?;
            out.push(&text)
        }
        Value::Float(float) => write_json_float(out, *float, style),
        Value::Str(text) => write_json_str(out, text, style.ascii),
        Value::List(items) | Value::Tuple(items) => {
            write_json_list(out, &mut items.iter().cloned(), style, depth)
        }
        Value::Set(set) if !style.python => write_json_list(out, &mut set.iter().cloned(), style, depth),
        Value::Range(range) if !style.python => {
            write_json_list(out, &mut range.iter().map(Value::int), style, depth)
        }
        Value::Object(object) => write_json_object(out, object.0.iter(), style, depth),
        Value::Function(_) if out.lenient => out.push("null"),
        Value::Set(_) | Value::Range(_) | Value::Function(_) => Err(EvalError::type_(format!(
            "{} cannot be written as JSON",
            value.type_name()
        ))),
    }
}

fn write_json_float(out: &mut Out<'_>, float: f64, style: &JsonStyle) -> Written {
    if float.is_finite() {
        return out.push(&float_repr(float));
    }
    if !style.python && !out.lenient {
        return Err(EvalError::value(format!(
            "the float {} cannot be written as JSON",
            float_repr(float)
        )));
    }
    out.push(match (float.is_nan(), float > 0.0) {
        (true, _) => "NaN",
        (false, true) => "Infinity",
        (false, false) => "-Infinity",
    })
}

fn line(out: &mut Out<'_>, style: &JsonStyle, depth: usize) -> Written {
    let Some(indent) = &style.indent else {
        return Ok(());
    };
    out.push("\n")?;
    (0..depth).try_for_each(|_| out.push(indent))
}

fn write_json_list(
    out: &mut Out<'_>,
    items: &mut dyn Iterator<Item = Value>,
    style: &JsonStyle,
    depth: usize,
) -> Written {
    out.push("[")?;
    let mut first = true;
    for item in items {
        if !first {
            out.push(&style.item_separator)?;
        }
        first = false;
        line(out, style, depth + 1)?;
        write_json(out, &item, style, depth + 1)?;
    }
    if !first {
        line(out, style, depth)?;
    }
    out.push("]")
}

fn write_json_object<'v>(
    out: &mut Out<'_>,
    entries: impl Iterator<Item = (&'v Key, &'v Value)>,
    style: &JsonStyle,
    depth: usize,
) -> Written {
    let mut entries: Vec<_> = entries.map(|(key, value)| (&key.0, value)).collect();
    if style.sort_keys {
        let keys: Vec<Value> = entries.iter().map(|(key, _)| (*key).clone()).collect();
        if let Some(meter) = &mut out.meter {
            let order = sort::order_of(meter, &keys, false)?;
            entries = order
                .into_iter()
                .filter_map(|index| entries.get(index).copied())
                .collect();
        }
    }
    out.push("{")?;
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(&style.item_separator)?;
        }
        line(out, style, depth + 1)?;
        if matches!(key, Value::Tuple(_)) && !out.lenient {
            return Err(EvalError::type_(
                "a key that is a tuple cannot be written as JSON",
            ));
        }
        write_json_str(out, &json_key(key), style.ascii)?;
        out.push(&style.key_separator)?;
        write_json(out, value, style, depth + 1)?;
    }
    if !entries.is_empty() {
        line(out, style, depth)?;
    }
    out.push("}")
}

/// A key as JSON has it: the text of Python's `json.dumps`.
pub(crate) fn json_key(key: &Value) -> Cow<'_, str> {
    match key {
        Value::Str(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed("null"),
        Value::Bool(b) => Cow::Borrowed(if *b { "true" } else { "false" }),
        Value::Float(float) => Cow::Owned(float_repr(*float)),
        Value::Int(int) => Cow::Owned(int.to_string()),
        other => Cow::Owned(display(other)),
    }
}

fn write_json_str(out: &mut Out<'_>, text: &str, ascii: bool) -> Written {
    out.push("\"")?;
    let mut start = 0;
    let mut escaped = String::new();
    for (index, c) in text.char_indices() {
        escaped.clear();
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '\x08' => escaped.push_str("\\b"),
            '\x0c' => escaped.push_str("\\f"),
            c if c < ' ' || (ascii && c >= '\x7f') => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string never fails.
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
            _ => continue,
        }
        out.push(text.get(start..index).unwrap_or_default())?;
        out.push(&escaped)?;
        start = index + c.len_utf8();
    }
    out.push(text.get(start..).unwrap_or_default())?;
    out.push("\"")
}

/// `str(value)` of Python.
pub(crate) fn write_str(out: &mut Out<'_>, value: &Value) -> Written {
    match value {
        Value::Str(text) => out.push(text),
        other => write_repr(out, other),
    }
}

/// `repr(value)` of Python.
pub(crate) fn write_repr(out: &mut Out<'_>, value: &Value) -> Written {
    out.step()?;
    match value {
        Value::Null => out.push("None"),
        Value::Bool(b) => out.push(if *b { "True" } else { "False" }),
        Value::Int(int) => {
            let text = int.to_decimal()?;
            out.push(&text)
        }
        Value::Float(float) => out.push(&float_repr(*float)),
        Value::Str(text) => write_repr_str(out, text),
        Value::List(items) => write_items(out, "[", items.iter(), "]"),
        Value::Tuple(items) => write_items(out, "(", items.iter(), if items.len() == 1 { ",)" } else { ")" }),
        Value::Set(set) if set.is_empty() => out.push("set()"),
        Value::Set(set) => write_items(out, "{", set.iter(), "}"),
        Value::Object(object) => {
            out.push("{")?;
            for (index, (key, value)) in object.0.iter().enumerate() {
                if index > 0 {
                    out.push(", ")?;
                }
                write_repr(out, &key.0)?;
                out.push(": ")?;
                write_repr(out, value)?;
            }
            out.push("}")
        }
        Value::Range(range) => {
            let step = if range.step == 1 {
                String::new()
            } else {
                format!(", {}", range.step)
            };
            out.push(&format!("range({}, {}{step})", range.start, range.stop))
        }
        Value::Function(_) => Err(no_text(value)),
    }
}

fn write_items<'v>(
    out: &mut Out<'_>,
    open: &str,
    items: impl Iterator<Item = &'v Value>,
    close: &str,
) -> Written {
    out.push(open)?;
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(", ")?;
        }
        write_repr(out, item)?;
    }
    out.push(close)
}

/// A string literal, with the quotes that Python would choose.
pub(crate) fn repr_str(text: &str) -> String {
    let quote = quote_of(text);
    format!("{quote}{}{quote}", escape_in_quotes(text, quote))
}

fn quote_of(text: &str) -> char {
    if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    }
}

fn write_repr_str(out: &mut Out<'_>, text: &str) -> Written {
    let quote = quote_of(text);
    out.push(quote.encode_utf8(&mut [0; 4]))?;
    for (plain, escape) in escapes(text, quote) {
        out.push(plain)?;
        out.push(&escape)?;
    }
    out.push(quote.encode_utf8(&mut [0; 4]))
}

/// The text between the quotes of a string literal.
pub(crate) fn escape_in_quotes(text: &str, quote: char) -> String {
    escapes(text, quote)
        .flat_map(|(plain, escape)| [plain.to_owned(), escape])
        .collect()
}

/// Splits a text into what a literal holds as it is, each followed by an escape; the last escape is empty.
fn escapes(text: &str, quote: char) -> impl Iterator<Item = (&str, String)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let found = text
            .char_indices()
            .find_map(|(at, c)| escape_of(c, quote).map(|escape| (at, c, escape)));
        let Some((at, c, escape)) = found else {
            return Some((text, String::new()));
        };
        rest = text.get(at + c.len_utf8()..);
        Some((text.get(..at).unwrap_or_default(), escape))
    })
}

fn escape_of(c: char, quote: char) -> Option<String> {
    match c {
        '\n' => Some("\\n".to_owned()),
        '\r' => Some("\\r".to_owned()),
        '\t' => Some("\\t".to_owned()),
        '\\' => Some("\\\\".to_owned()),
        c if c == quote => Some(format!("\\{c}")),
        c if is_printable(c) => None,
        c => {
            let mut escape = String::new();
            push_escape(&mut escape, c);
            Some(escape)
        }
    }
}

/// `\x41`, `\u0041` or `\U00000041`, the shortest that fits.
pub(crate) fn push_escape(out: &mut String, c: char) {
    let code = u32::from(c);
    // Writing to a string never fails.
    let _ = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// Whether Python's `repr` leaves the character as it is.
pub(crate) fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // The standard library escapes what is not printable, and combining marks only at the start.
    let mut buffer = [b'a'; 5];
    let len = c.encode_utf8(buffer.get_mut(1..).unwrap_or_default()).len();
    let text = std::str::from_utf8(buffer.get(..=len).unwrap_or_default()).unwrap_or_default();
    text.escape_debug().nth(1) != Some('\\')
}

/// The shortest decimal that reads back as the same float, laid out as Python does: `3.0`, `1e-07`, `1e+16`.
pub(crate) fn float_repr(float: f64) -> String {
    if float.is_nan() {
        return "nan".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let mut scientific = format!("{float:e}");
    // Where two decimals of the same length are equally near, Python takes the even one.
    let places = scientific
        .bytes()
        .take_while(|byte| *byte != b'e')
        .filter(u8::is_ascii_digit)
        .count();
    if places > 14 {
        let even = format!("{float:.*e}", places - 1);
        if even.parse() == Ok(float) {
            scientific = even;
        }
    }
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        return plain(digits, exponent);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// Digits with a point among them, from `-1.25` and the exponent of ten.
fn plain(digits: &str, exponent: i32) -> String {
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits), |digits| ("-", digits));
    let digits = digits.replace('.', "");
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", zeros(-exponent - 1));
    }
    let point = usize::try_from(exponent).unwrap_or(0) + 1;
    match digits.split_at_checked(point) {
        Some((whole, fraction)) if !fraction.is_empty() => format!("{sign}{whole}.{fraction}"),
        _ => format!(
            "{sign}{digits}{}.0",
            "0".repeat(point.saturating_sub(digits.len()))
        ),
    }
}

/// White space as `str.split` and `str.strip` of Python see it.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_laid_out_as_in_python() {
        for (float, text) in [
            (3.0, "3.0"),
            (1e-7, "1e-07"),
            (1e16, "1e+16"),
            (123456789012345.0, "123456789012345.0"),
            (0.0001, "0.0001"),
            (-0.0, "-0.0"),
            (1.5e300, "1.5e+300"),
            (0.1 + 0.2, "0.30000000000000004"),
            (9007199254740992.0 * 0.1, "900719925474099.2"),
            (120.0, "120.0"),
            (-1234.5, "-1234.5"),
            (0.001, "0.001"),
            (0.0, "0.0"),
        ] {
            assert_eq!(float_repr(float), text);
        }
    }

    #[test]
    fn quotes_and_escapes_are_those_of_python() {
        assert_eq!(repr_str("it's"), "\"it's\"");
        assert_eq!(
            repr_str("a\"'\n\u{7f}\u{200b}é\u{301}"),
            "'a\"\\'\\n\\x7f\\u200bé\u{301}'"
        );
    }
}
