//! `json.loads` and `json.dumps`, as Python has them: no limit of 64 bits, everything paid for as it is read.

use std::borrow::Cow;

use crate::call::Args;
use crate::error::EvalError;
use crate::int::{Int, MAX_DIGITS};
use crate::limits::Meter;
use crate::text::{self, JsonStyle, Out};
use crate::value::{Key, Map, Value};

type Result<T> = std::result::Result<T, EvalError>;

/// As deep as `serde_json` reads.
const MAX_DEPTH: u32 = 127;

pub(crate) fn loads(meter: &mut Meter, source: &str) -> Result<Value> {
    meter.scan(source.len())?;
    let mut reader = Reader {
        source,
        pos: 0,
        meter,
        depth: 0,
    };
    let value = reader.value()?;
    reader.blanks();
    if reader.pos < source.len() {
        return Err(reader.error("the end was expected"));
    }
    Ok(value)
}

struct Reader<'a> {
    source: &'a str,
    pos: usize,
    meter: &'a mut Meter,
    depth: u32,
}

impl Reader<'_> {
    fn error(&self, message: &str) -> EvalError {
        EvalError::value(format!("the text is not JSON: {message} at byte {}", self.pos))
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.pos).copied()
    }

    fn rest(&self) -> &str {
        self.source.get(self.pos..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.pos += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.blanks();
        let found = self.peek() == Some(byte);
        self.pos += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<Value> {
        self.blanks();
        self.meter.steps(1)?;
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(b'"') => self.string().map(Value::from),
            Some(b'0'..=b'9') => self.number(),
            Some(_) => self.word(),
            None => Err(self.error("a value is missing")),
        }
    }

    fn word(&mut self) -> Result<Value> {
        for (word, value) in [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ] {
            if self.rest().starts_with(word) {
                self.pos += word.len();
                return Ok(value);
            }
        }
        if self.peek() == Some(b'-') {
            self.number()
        } else {
            Err(self.error("a value was expected"))
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value>) -> Result<Value> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(EvalError::limit(format!(
                "the JSON nests deeper than {MAX_DEPTH} levels"
            )));
        }
        self.pos += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn list(&mut self) -> Result<Value> {
        let mut items = Vec::new();
        self.meter.elements(1)?;
        if self.eat(b']') {
            return Ok(Value::from(items));
        }
        loop {
            self.meter.elements(1)?;
            items.push(self.value()?);
            if self.eat(b']') {
                return Ok(Value::from(items));
            }
            if !self.eat(b',') {
                return Err(self.error("`,` or `]` was expected"));
            }
        }
    }

    fn object(&mut self) -> Result<Value> {
        let mut map = Map::new();
        self.meter.entries(1)?;
        if self.eat(b'}') {
            return Ok(Value::map(map));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.error("a key was expected"));
            }
            let key = self.string()?;
            if !self.eat(b':') {
                return Err(self.error("`:` was expected"));
            }
            self.meter.entries(1)?;
            let value = self.value()?;
            map.insert(Key(Value::from(key)), value);
            if self.eat(b'}') {
                return Ok(Value::map(map));
            }
            if !self.eat(b',') {
                return Err(self.error("`,` or `}` was expected"));
            }
        }
    }

    fn number(&mut self) -> Result<Value> {
        let rest = self.rest().as_bytes();
        let digits = |from: usize| {
            rest.iter()
                .skip(from)
                .take_while(|byte| byte.is_ascii_digit())
                .count()
        };
        let sign = usize::from(rest.first() == Some(&b'-'));
        let whole = digits(sign);
        let mut end = sign + whole;
        if whole == 0 || (whole > 1 && rest.get(sign) == Some(&b'0')) {
            return Err(self.error("a number was expected"));
        }
        let mut float = false;
        if rest.get(end) == Some(&b'.') && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
            float = true;
        }
        if matches!(rest.get(end), Some(b'e' | b'E')) {
            let signed = usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + signed);
            if exponent > 0 {
                end += 1 + signed + exponent;
                float = true;
            }
        }
        let text = self.rest().get(..end).unwrap_or_default();
        let value = if float {
            text.parse().ok().map(Value::Float)
        } else if whole > MAX_DIGITS {
            return Err(EvalError::value(format!(
                "an integer of more than {MAX_DIGITS} digits"
            )));
        } else {
            let int = Int::parse(text.trim_start_matches('-'), 10);
            int.map(|int| Value::Int(if sign == 1 { int.neg() } else { int }))
        };
        self.pos += end;
        value.ok_or_else(|| self.error("a number was expected"))
    }

    fn string(&mut self) -> Result<String> {
        self.pos += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let len = rest
                .find(|c: char| c == '"' || c == '\\' || c < ' ')
                .unwrap_or(rest.len());
            self.meter.text(len)?;
            text.push_str(self.source.get(self.pos..self.pos + len).unwrap_or_default());
            self.pos += len;
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    self.meter.text(text.len())?;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.pos += 1;
                    let c = self.escape()?;
                    self.meter.alloc(4)?;
                    text.push(c);
                }
                Some(_) => return Err(self.error("a control character")),
                None => return Err(self.error("a string is never closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.error("a bad escape")),
        };
        self.pos += 1;
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char> {
        let first = self.unit()?;
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
            self.pos += 1;
            let second = self.unit()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return char::from_u32(code).ok_or_else(|| self.error("a bad escape"));
            }
        }
        Err(self.error("half of a surrogate pair"))
    }

    /// Four hexadecimal digits; the position is at the `u`.
    fn unit(&mut self) -> Result<u32> {
        let digits = self.source.get(self.pos + 1..self.pos + 5);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.pos += 5;
        unit.ok_or_else(|| self.error("a bad escape"))
    }
}

pub(crate) fn dumps(meter: &mut Meter, args: Args) -> Result<Value> {
    let [value, indent, sort_keys, ascii, separators] = args.bind(
        "json.dumps",
        ["", "*indent", "*sort_keys", "*ensure_ascii", "*separators"],
        1,
    )?;
    let value = value.unwrap_or_default();
    let indent = match indent.unwrap_or_default() {
        Value::Null => None,
        Value::Str(text) => Some(text.to_string()),
        other => {
            let width = crate::number::small(&other, "`indent`")?;
            let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
            meter.text(width)?;
            Some(" ".repeat(width))
        }
    };
    let (item, key) = match separators.unwrap_or_default() {
        Value::Null if indent.is_some() => (Cow::Borrowed(","), Cow::Borrowed(": ")),
        Value::Null => (Cow::Borrowed(", "), Cow::Borrowed(": ")),
        Value::Tuple(pair) | Value::List(pair) => match pair.as_slice() {
            [Value::Str(item), Value::Str(key)] => {
                (Cow::Owned(item.to_string()), Cow::Owned(key.to_string()))
            }
            _ => return Err(EvalError::type_("`separators` must be two texts")),
        },
        _ => return Err(EvalError::type_("`separators` must be two texts")),
    };
    let style = JsonStyle {
        indent,
        item_separator: item,
        key_separator: key,
        ascii: ascii.is_none_or(|ascii| ascii.is_true()),
        sort_keys: sort_keys.is_some_and(|sort_keys| sort_keys.is_true()),
        python: true,
    };
    let mut out = Out::new(meter);
    text::write_json(&mut out, &value, &style, 0)?;
    Ok(Value::from(out.text))
}
