//! Tokens of expressions, one at a time: the parser decides where an expression ends, so nothing is scanned
//! twice and no list of tokens is kept.

use std::sync::Arc;

use crate::error::{ParseError, Span};
use crate::int::{Int, MAX_DIGITS};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Int(Int),
    Float(f64),
    Str(Arc<str>),
    /// The start of an f-string, whose contents the parser reads itself.
    FString(Quote),
    Name(Arc<str>),
    /// `$hier{…}`
    Hier(Arc<str>),
    /// `$var{…}`
    Var(Arc<str>),
    Op(&'static str),
    End,
}

/// The end of a string literal, and whether backslashes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) char: char,
    pub(crate) triple: bool,
    pub(crate) raw: bool,
}

impl Quote {
    pub(crate) fn closes(self, rest: &str) -> bool {
        if self.triple {
            rest.chars().take(3).filter(|&c| c == self.char).count() == 3
        } else {
            rest.starts_with(self.char)
        }
    }

    pub(crate) fn len(self) -> usize {
        if self.triple { 3 } else { 1 }
    }
}

/// Longer operators first.
const OPERATORS: [&str; 38] = [
    "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", ":=", "->", "+", "-", "*", "/", "%", "<",
    ">", "!", "?", ":", "=", "&", "|", "^", "~", "(", ")", "[", "]", "{", "}", ",", ".", ";", "@", "\\",
];

pub(crate) struct Lexer<'a> {
    pub(crate) source: &'a str,
    pub(crate) pos: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(source: &'a str, pos: usize) -> Self {
        Lexer { source, pos }
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.source.get(self.pos..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn error(&self, start: usize, message: impl Into<String>) -> ParseError {
        ParseError::new(message, Span::new(start, self.pos))
    }

    pub(crate) fn next(&mut self) -> Result<(Token, Span), ParseError> {
        self.pos += self.rest().len() - self.rest().trim_start_matches(is_space).len();
        let start = self.pos;
        let token = self.token()?;
        Ok((token, Span::new(start, self.pos)))
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        let start = self.pos;
        let Some(first) = self.peek() else {
            return Ok(Token::End);
        };
        let second = self.rest().chars().nth(1);
        if first.is_ascii_digit() || (first == '.' && second.is_some_and(|c| c.is_ascii_digit())) {
            return self.number();
        }
        if first == '\'' || first == '"' {
            return self.string(false);
        }
        if is_name_start(first) {
            let name = self.take_while(is_name_part);
            if let Some(quote) = self.peek().filter(|&c| c == '\'' || c == '"') {
                return self.prefixed_string(start, name, quote);
            }
            return Ok(Token::Name(name.into()));
        }
        if first == '$' {
            return self.placeholder();
        }
        for operator in OPERATORS {
            if self.rest().starts_with(operator) {
                self.pos += operator.len();
                return Ok(Token::Op(operator));
            }
        }
        self.pos += first.len_utf8();
        Err(self.error(start, format!("unexpected character `{}`", first.escape_debug())))
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.pos += len;
        rest.get(..len).unwrap_or_default()
    }

    fn placeholder(&mut self) -> Result<Token, ParseError> {
        let start = self.pos;
        for (keyword, is_hier) in [("$hier{", true), ("$var{", false)] {
            if self.rest().starts_with(keyword) {
                self.pos += keyword.len();
                let inner = self.take_while(|c| c != '}' && c != '\n');
                if !self.rest().starts_with('}') {
                    return Err(self.error(start, format!("`{keyword}` is never closed")));
                }
                let span = Span::new(start + keyword.len(), self.pos);
                self.pos += 1;
                return if is_hier {
                    Ok(Token::Hier(reference(inner, span)?.into()))
                } else {
                    Ok(Token::Var(variable(inner, span)?.into()))
                };
            }
        }
        self.pos += 1;
        Err(self
            .error(start, "unexpected character `$`")
            .hint("inside an expression write `name`, `$var{name}` or `$hier{step}`"))
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        let start = self.pos;
        let rest = self.rest();
        let bytes = rest.as_bytes();
        if bytes.first() == Some(&b'0')
            && let Some(base) = match bytes.get(1) {
                Some(b'x' | b'X') => Some(16),
                Some(b'o' | b'O') => Some(8),
                Some(b'b' | b'B') => Some(2),
                _ => None,
            }
        {
            self.pos += 2;
            let digits = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
            return self.integer(start, digits.strip_prefix('_').unwrap_or(digits), base);
        }
        let whole = self.take_while(|c| c.is_ascii_digit() || c == '_');
        let mut float = false;
        // `1..` and `1.name` are not numbers with a fraction, but nothing else could follow either.
        if self.rest().starts_with('.') {
            self.pos += 1;
            float = true;
            self.take_while(|c| c.is_ascii_digit() || c == '_');
        }
        let exponent = self.rest().as_bytes();
        if matches!(exponent.first(), Some(b'e' | b'E')) {
            let signed = matches!(exponent.get(1), Some(b'+' | b'-'));
            if exponent
                .get(1 + usize::from(signed))
                .is_some_and(u8::is_ascii_digit)
            {
                self.pos += 1 + usize::from(signed);
                float = true;
                self.take_while(|c| c.is_ascii_digit() || c == '_');
            }
        }
        if self.peek().is_some_and(is_name_start) {
            self.take_while(is_name_part);
            return Err(self.error(start, "a number runs into a name"));
        }
        if !float {
            if whole.len() > 1 && whole.starts_with('0') && whole.chars().any(|c| c != '0' && c != '_') {
                return Err(self.error(start, "an integer does not start with 0"));
            }
            return self.integer(start, whole, 10);
        }
        let text = self.source.get(start..self.pos).unwrap_or_default();
        match clean_underscores(text, 10).and_then(|text| text.parse::<f64>().ok()) {
            Some(float) if float.is_finite() => Ok(Token::Float(float)),
            Some(_) => Err(self.error(start, "the number is too large for a float")),
            None => Err(self.error(start, "malformed number")),
        }
    }

    fn integer(&self, start: usize, digits: &str, base: u32) -> Result<Token, ParseError> {
        if digits.len() > MAX_DIGITS {
            return Err(ParseError::limit(
                format!("an integer has at most {MAX_DIGITS} digits"),
                Span::new(start, self.pos),
            ));
        }
        match clean_underscores(digits, base).and_then(|digits| Int::parse(&digits, base)) {
            Some(int) => Ok(Token::Int(int)),
            None => Err(self.error(start, "malformed number")),
        }
    }

    fn prefixed_string(&mut self, start: usize, prefix: &str, quote: char) -> Result<Token, ParseError> {
        match prefix.to_ascii_lowercase().as_str() {
            "r" => self.string(true),
            "u" => self.string(false),
            "f" | "fr" | "rf" => {
                let raw = prefix.len() == 2;
                let triple = Quote {
                    char: quote,
                    triple: true,
                    raw,
                };
                let quote = if triple.closes(self.rest()) {
                    triple
                } else {
                    Quote {
                        triple: false,
                        ..triple
                    }
                };
                self.pos += quote.len();
                Ok(Token::FString(quote))
            }
            "b" | "br" | "rb" => Err(self
                .error(start, "bytes do not exist in templates")
                .hint("use text")),
            _ => Err(self.error(start, format!("`{prefix}` before a string means nothing"))),
        }
    }

    fn string(&mut self, raw: bool) -> Result<Token, ParseError> {
        let start = self.pos;
        let char = self.peek().unwrap_or('"');
        let triple = Quote {
            char,
            triple: true,
            raw,
        };
        let quote = if triple.closes(self.rest()) {
            triple
        } else {
            Quote {
                triple: false,
                ..triple
            }
        };
        self.pos += quote.len();
        let mut text = String::new();
        loop {
            let rest = self.rest();
            if quote.closes(rest) {
                self.pos += quote.len();
                return Ok(Token::Str(text.into()));
            }
            match self.peek() {
                None => return Err(self.error(start, "a string is never closed")),
                Some('\n') if !quote.triple => {
                    return Err(self.error(start, "a string is never closed on its line"));
                }
                Some('\\') => self.escape(&mut text, quote.raw)?,
                Some(c) => {
                    // Up to the next character that needs a decision.
                    let len = rest
                        .find([quote.char, '\\', '\n'])
                        .filter(|&len| len > 0)
                        .unwrap_or(if rest.starts_with(['\n', quote.char]) {
                            c.len_utf8()
                        } else {
                            rest.len()
                        });
                    text.push_str(rest.get(..len).unwrap_or_default());
                    self.pos += len;
                }
            }
        }
    }

    /// Reads an escape sequence; the position is at its backslash.
    pub(crate) fn escape(&mut self, text: &mut String, raw: bool) -> Result<(), ParseError> {
        let start = self.pos;
        self.pos += 1;
        let Some(c) = self.peek() else {
            return Err(self.error(start, "a string is never closed"));
        };
        self.pos += c.len_utf8();
        if raw {
            text.push('\\');
            text.push(c);
            return Ok(());
        }
        match c {
            '\n' => {}
            '\\' | '\'' | '"' => text.push(c),
            'a' => text.push('\x07'),
            'b' => text.push('\x08'),
            'f' => text.push('\x0c'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'v' => text.push('\x0b'),
            'x' => text.push(self.code_point(start, 2)?),
            'u' => text.push(self.code_point(start, 4)?),
            'U' => text.push(self.code_point(start, 8)?),
            'N' => {
                return Err(self
                    .error(start, "characters cannot be named here")
                    .hint("write `\\u` and its number"));
            }
            '0'..='7' => {
                let mut code = c.to_digit(8).unwrap_or_default();
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    code = code * 8 + digit;
                    self.pos += 1;
                }
                text.push(char::from_u32(code).unwrap_or_default());
            }
            other => {
                text.push('\\');
                text.push(other);
            }
        }
        Ok(())
    }

    fn code_point(&mut self, start: usize, digits: usize) -> Result<char, ParseError> {
        let text = self
            .rest()
            .get(..digits)
            .filter(|text| text.chars().all(|c| c.is_ascii_hexdigit()));
        let Some(text) = text else {
            return Err(self.error(start, format!("the escape needs {digits} hexadecimal digits")));
        };
        self.pos += digits;
        match u32::from_str_radix(text, 16).ok().and_then(char::from_u32) {
            Some(c) => Ok(c),
            None => Err(self.error(start, "the escape names no character")),
        }
    }
}

/// Removes the underscores of a number; `None` where one is not between two digits.
pub(crate) fn clean_underscores(text: &str, base: u32) -> Option<String> {
    let bytes = text.as_bytes();
    for (index, &byte) in bytes.iter().enumerate() {
        let digit = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at))
                .is_some_and(|&byte| char::from(byte).is_digit(base))
        };
        if byte == b'_' && !(digit(index.checked_sub(1)) && digit(Some(index + 1))) {
            return None;
        }
    }
    Some(text.replace('_', ""))
}

/// The name inside `$var{…}`, without the blanks around it.
pub(crate) fn variable(inner: &str, span: Span) -> Result<&str, ParseError> {
    let name = inner.trim_matches(is_space);
    if name.is_empty() {
        return Err(ParseError::new("`$var{}` names no variable", span));
    }
    if name.chars().all(|c| is_name_part(c) || c == '-') {
        return Ok(name);
    }
    let error = ParseError::new(
        format!("`{}` is not the name of a variable", name.escape_debug()),
        span,
    );
    Err(
        if name.chars().next().is_some_and(is_name_start) && name.contains(['.', '[', '(', ' ']) {
            error.hint(format!("for more than a name write `$expr{{{name}}}`"))
        } else {
            error
        },
    )
}

/// The reference inside `$hier{…}`, without the blanks around it.
pub(crate) fn reference(inner: &str, span: Span) -> Result<&str, ParseError> {
    let reference = inner.trim_matches(is_space);
    if reference.is_empty() {
        return Err(ParseError::new("`$hier{}` names no step", span));
    }
    let good = |segment: &str| {
        segment == "*" || (!segment.is_empty() && segment.chars().all(|c| is_name_part(c) || c == '-'))
    };
    if reference.split('.').all(good) {
        return Ok(reference);
    }
    Err(ParseError::new(format!("`{}` is not the name of a step", reference.escape_debug()), span)
        .hint("names of components joined by dots, such as `main_flow.build`; what is read of the result comes after the brace"))
}

pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

pub(crate) fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

pub(crate) fn is_name_part(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
