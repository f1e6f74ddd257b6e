//! Methods of text, with the results of Python.

use std::sync::Arc;

use crate::call::Args;
use crate::call::expect_str;
use crate::error::{EvalError, Result};
use crate::machine::{GO_ON, Machine};
use crate::number;
use crate::text::{is_printable, is_space};
use crate::value::Value;

pub(super) const NAMES: [&str; 43] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];

/// The first characters of the scripts' decimal digits; nine more follow each.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// Digits that are no decimal digits, such as superscripts.
const OTHER_DIGITS: [(u32, u32); 20] = [
    (0xb2, 0xb3),
    (0xb9, 0xb9),
    (0x1369, 0x1371),
    (0x19da, 0x19da),
    (0x2070, 0x2070),
    (0x2074, 0x2079),
    (0x2080, 0x2089),
    (0x2460, 0x2468),
    (0x2474, 0x247c),
    (0x2488, 0x2490),
    (0x24ea, 0x24ea),
    (0x24f5, 0x24fd),
    (0x24ff, 0x24ff),
    (0x2776, 0x277e),
    (0x2780, 0x2788),
    (0x278a, 0x2792),
    (0x10a40, 0x10a43),
    (0x10e60, 0x10e68),
    (0x11052, 0x1105a),
    (0x1f100, 0x1f10a),
];

/// The value of a decimal digit of any script.
pub(crate) fn decimal(c: char) -> Option<u32> {
    let code = u32::from(c);
    if c.is_ascii() {
        return c.to_digit(10);
    }
    let script = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?;
    ZEROS
        .get(script)
        .map(|zero| code - zero)
        .filter(|digit| *digit < 10)
}

fn is_digit(c: char) -> bool {
    decimal(c).is_some()
        || OTHER_DIGITS
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&u32::from(c)))
}

pub(super) fn call(ev: &mut dyn Machine, text: &Arc<str>, name: &str, args: Args) -> Result<Value> {
    ev.meter().scan(text.len())?;
    match name {
        "join" => join(ev, text, args),
        "split" | "rsplit" => split(ev, text, name, args),
        "splitlines" => splitlines(ev, text, args),
        "strip" | "lstrip" | "rstrip" => strip(ev, text, name, args),
        "replace" => replace(ev, text, args),
        "startswith" | "endswith" => starts(ev, text, name, args),
        "find" | "rfind" | "index" | "rindex" | "count" => find(ev, text, name, args),
        "partition" | "rpartition" => partition(ev, text, name, args),
        "removeprefix" | "removesuffix" => {
            let part = args.single(name)?;
            let part = expect_str(&part, "a part")?;
            let cut = if name == "removeprefix" {
                text.strip_prefix(&**part)
            } else {
                text.strip_suffix(&**part)
            };
            ev.meter().text(text.len())?;
            Ok(cut.map_or_else(|| Value::Str(Arc::clone(text)), Value::from))
        }
        "center" | "ljust" | "rjust" => justify(ev, text, name, args),
        "zfill" => zfill(ev, text, args),
        "expandtabs" => expand_tabs(ev, text, args),
        "format" => super::str_format::format(ev, text, &args),
        "upper" | "lower" | "casefold" | "title" | "capitalize" | "swapcase" => {
            args.none(name)?;
            // A character may become three.
            ev.meter().text(text.len() * 3)?;
            Ok(Value::from(change_case(text, name)))
        }
        _ => {
            args.none(name)?;
            ev.meter().walk(text.len())?;
            Ok(Value::Bool(is(text, name)))
        }
    }
}

fn change_case(text: &str, name: &str) -> String {
    match name {
        "upper" => text.to_uppercase(),
        "lower" => text.to_lowercase(),
        "casefold" => text.to_lowercase().replace('ß', "ss").replace('ς', "σ"),
        "capitalize" => {
            let mut chars = text.chars();
            match chars.next() {
                Some(first) => title_case(first) + &chars.as_str().to_lowercase(),
                None => String::new(),
            }
        }
        "title" => {
            let mut out = String::with_capacity(text.len());
            let mut inside = false;
            for c in text.chars() {
                if inside {
                    out.extend(c.to_lowercase());
                } else {
                    out.push_str(&title_case(c));
                }
                inside = is_cased(c);
            }
            out
        }
        _ => text
            .chars()
            .flat_map(|c| {
                let swapped: String = if c.is_uppercase() {
                    c.to_lowercase().collect()
                } else {
                    c.to_uppercase().collect()
                };
                swapped.chars().collect::<Vec<_>>()
            })
            .collect(),
    }
}

/// The upper case of a character at the start of a word: of several letters only the first is large.
fn title_case(c: char) -> String {
    let mut upper = c.to_uppercase();
    let mut out: String = upper.next().into_iter().collect();
    out.extend(upper.flat_map(char::to_lowercase));
    out
}

fn is_cased(c: char) -> bool {
    c.is_uppercase() || c.is_lowercase()
}

fn is(text: &str, name: &str) -> bool {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    match name {
        "isalnum" => all(|c| c.is_alphabetic() || c.is_numeric()),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" => all(|c| decimal(c).is_some()),
        "isdigit" => all(is_digit),
        "isnumeric" => all(char::is_numeric),
        "isspace" => all(is_space),
        "isprintable" => text.chars().all(is_printable),
        "isidentifier" => {
            text.starts_with(crate::lexer::is_name_start) && text.chars().all(crate::lexer::is_name_part)
        }
        "islower" => text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
        "isupper" => text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        _ => is_title(text),
    }
}

fn is_title(text: &str) -> bool {
    let (mut inside, mut found) = (false, false);
    for c in text.chars() {
        if c.is_uppercase() {
            if inside {
                return false;
            }
            (inside, found) = (true, true);
        } else if c.is_lowercase() {
            if !inside {
                return false;
            }
            found = true;
        } else {
            inside = false;
        }
    }
    found
}

fn join(ev: &mut dyn Machine, separator: &str, args: Args) -> Result<Value> {
    let iterable = args.single("join")?;
    let mut out = String::new();
    let mut first = true;
    ev.iterate(&iterable, &mut |ev, item| {
        let Value::Str(item) = &item else {
            return Err(
                EvalError::type_(format!("`join` joins texts, not {}", item.type_name()))
                    .hint("make text of each with `str(…)`"),
            );
        };
        ev.meter().alloc((item.len() + separator.len()) as u64)?;
        if !first {
            out.push_str(separator);
        }
        first = false;
        out.push_str(item);
        GO_ON
    })?;
    ev.meter().text(out.len())?;
    Ok(Value::from(out))
}

/// Pays for a piece of a text and puts it on the list.
fn push(ev: &mut dyn Machine, pieces: &mut Vec<Value>, piece: &str) -> Result<()> {
    ev.meter().elements(1)?;
    ev.meter().text(piece.len())?;
    pieces.push(Value::from(piece));
    Ok(())
}

fn split(ev: &mut dyn Machine, text: &str, name: &str, args: Args) -> Result<Value> {
    let [separator, limit] = args.bind(name, ["sep", "maxsplit"], 0)?;
    let limit = limit.map_or(Ok(-1), |limit| number::small(&limit, "`maxsplit`"))?;
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let from_right = name == "rsplit";
    let mut pieces = Vec::new();
    let mut rest = text;
    match separator.unwrap_or_default() {
        Value::Null => {
            rest = trim(rest, from_right);
            while !rest.is_empty() {
                let at = if left == 0 {
                    None
                } else if from_right {
                    rest.char_indices()
                        .rev()
                        .find(|(_, c)| is_space(*c))
                        .map(|(at, c)| (at, at + c.len_utf8()))
                } else {
                    rest.char_indices()
                        .find(|(_, c)| is_space(*c))
                        .map(|(at, c)| (at, at + c.len_utf8()))
                };
                let (piece, after) = cut(rest, at, from_right);
                let last = at.is_none();
                push(ev, &mut pieces, piece)?;
                if last {
                    break;
                }
                rest = trim(after, from_right);
                left -= 1;
            }
        }
        Value::Str(separator) if separator.is_empty() => {
            return Err(EvalError::value("the separator is empty"));
        }
        Value::Str(separator) => loop {
            let at = if left == 0 {
                None
            } else if from_right {
                rest.rfind(&*separator)
            } else {
                rest.find(&*separator)
            };
            let (piece, after) = cut(rest, at.map(|at| (at, at + separator.len())), from_right);
            push(ev, &mut pieces, piece)?;
            if at.is_none() {
                break;
            }
            rest = after;
            left -= 1;
        },
        other => {
            return Err(EvalError::type_(format!(
                "the separator must be text, not {}",
                other.type_name()
            )));
        }
    }
    if from_right {
        pieces.reverse();
    }
    Ok(Value::from(pieces))
}

fn trim(text: &str, from_right: bool) -> &str {
    if from_right {
        text.trim_end_matches(is_space)
    } else {
        text.trim_start_matches(is_space)
    }
}

/// The piece that a separator cuts off, and the rest.
fn cut(text: &str, at: Option<(usize, usize)>, from_right: bool) -> (&str, &str) {
    let Some((start, end)) = at else { return (text, "") };
    let (before, after) = (
        text.get(..start).unwrap_or_default(),
        text.get(end..).unwrap_or_default(),
    );
    if from_right {
        (after, before)
    } else {
        (before, after)
    }
}

fn splitlines(ev: &mut dyn Machine, text: &str, args: Args) -> Result<Value> {
    let [keep] = args.bind("splitlines", ["keepends"], 0)?;
    let keep = keep.is_some_and(|keep| keep.is_true());
    let is_end = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, end) = match rest.char_indices().find(|(_, c)| is_end(*c)) {
            Some((at, '\r')) if rest.get(at + 1..).is_some_and(|after| after.starts_with('\n')) => {
                (at, at + 2)
            }
            Some((at, c)) => (at, at + c.len_utf8()),
            None => (rest.len(), rest.len()),
        };
        push(
            ev,
            &mut pieces,
            rest.get(..if keep { end } else { line }).unwrap_or_default(),
        )?;
        rest = rest.get(end..).unwrap_or_default();
    }
    Ok(Value::from(pieces))
}

fn strip(ev: &mut dyn Machine, text: &Arc<str>, name: &str, args: Args) -> Result<Value> {
    let [chars] = args.bind(name, [""], 0)?;
    let chars: Option<Vec<char>> = match chars.unwrap_or_default() {
        Value::Null => None,
        Value::Str(chars) => {
            ev.meter().alloc(chars.len() as u64 * 4)?;
            // Each character of the text may be compared with each of these.
            ev.meter()
                .steps((chars.len() as u64).saturating_mul(text.len() as u64) / 64)?;
            Some(chars.chars().collect())
        }
        other => {
            return Err(EvalError::type_(format!(
                "`{name}` needs text, not {}",
                other.type_name()
            )));
        }
    };
    let matches = |c: char| {
        chars
            .as_ref()
            .map_or_else(|| is_space(c), |chars| chars.contains(&c))
    };
    let stripped = match name {
        "strip" => text.trim_matches(matches),
        "lstrip" => text.trim_start_matches(matches),
        _ => text.trim_end_matches(matches),
    };
    if stripped.len() == text.len() {
        return Ok(Value::Str(Arc::clone(text)));
    }
    ev.meter().text(stripped.len())?;
    Ok(Value::from(stripped))
}

fn replace(ev: &mut dyn Machine, text: &str, args: Args) -> Result<Value> {
    let [old, new, count] = args.bind("replace", ["", "", ""], 2)?;
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let (old, new) = (
        expect_str(&old, "what is replaced")?,
        expect_str(&new, "the replacement")?,
    );
    let count = count.map_or(Ok(-1), |count| number::small(&count, "the count"))?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = text.matches(&**old).count().min(count);
    ev.meter().steps(found as u64)?;
    let len = text.len() - found * old.len();
    ev.meter().text(
        (found.saturating_mul(new.len()))
            .saturating_add(len)
            .saturating_mul(2),
    )?;
    Ok(Value::from(text.replacen(&**old, new, found)))
}

fn starts(ev: &mut dyn Machine, text: &str, name: &str, args: Args) -> Result<Value> {
    let [parts, start, stop] = args.bind(name, ["", "", ""], 1)?;
    let parts = match parts.unwrap_or_default() {
        Value::Tuple(parts) => parts.to_vec(),
        single => vec![single],
    };
    let window = window(ev, text, start.as_ref(), stop.as_ref())?;
    for part in &parts {
        let part = expect_str(part, "a part")?;
        let found = window.is_some_and(|(window, _)| {
            if name == "startswith" {
                window.starts_with(&**part)
            } else {
                window.ends_with(&**part)
            }
        });
        if found {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// The part of a text between two indices, and where it starts, in characters. `None` when it starts behind the
/// end: not even the empty text is there.
fn window<'t>(
    ev: &mut dyn Machine,
    text: &'t str,
    start: Option<&Value>,
    stop: Option<&Value>,
) -> Result<Option<(&'t str, usize)>> {
    let null = |value: Option<&Value>| value.is_none_or(Value::is_null);
    if null(start) && null(stop) {
        return Ok(Some((text, 0)));
    }
    ev.meter().walk(text.len())?;
    let len = text.chars().count();
    let index = |value: Option<&Value>, default: usize| -> Result<usize> {
        match value {
            Some(value) if !value.is_null() => {
                let n = number::small(value, "an index")?;
                let distance = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
                Ok(if n < 0 {
                    len.saturating_sub(distance)
                } else {
                    distance
                })
            }
            _ => Ok(default),
        }
    };
    let (start, stop) = (index(start, 0)?, index(stop, len)?.min(len));
    if start > len || start > stop {
        return Ok(None);
    }
    let byte = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    Ok(text.get(byte(start)..byte(stop)).map(|window| (window, start)))
}

fn find(ev: &mut dyn Machine, text: &str, name: &str, args: Args) -> Result<Value> {
    let [part, start, stop] = args.bind(name, ["", "", ""], 1)?;
    let part = part.unwrap_or_default();
    let part = expect_str(&part, "what is looked for")?;
    ev.meter().scan(text.len() + part.len())?;
    let window = window(ev, text, start.as_ref(), stop.as_ref())?;
    if name == "count" {
        let count = window.map_or(0, |(window, _)| {
            // The empty text is found before each character and at the end.
            if part.is_empty() {
                window.chars().count() + 1
            } else {
                window.matches(&**part).count()
            }
        });
        return Ok(Value::size(count));
    }
    let found = window.and_then(|(window, start)| {
        let at = if name.starts_with('r') {
            window.rfind(&**part)
        } else {
            window.find(&**part)
        };
        at.and_then(|at| window.get(..at))
            .map(|before| start + before.chars().count())
    });
    match found {
        Some(at) => Ok(Value::size(at)),
        None if name.ends_with("find") => Ok(Value::int(-1)),
        None => Err(EvalError::value("the text is not found")),
    }
}

fn partition(ev: &mut dyn Machine, text: &str, name: &str, args: Args) -> Result<Value> {
    let separator = args.single(name)?;
    let separator = expect_str(&separator, "the separator")?;
    if separator.is_empty() {
        return Err(EvalError::value("the separator is empty"));
    }
    ev.meter().text(text.len())?;
    ev.meter().elements(3)?;
    let right = name == "rpartition";
    let parts = if right {
        text.rsplit_once(&**separator)
    } else {
        text.split_once(&**separator)
    };
    let (before, middle, after) = match parts {
        Some((before, after)) => (before, &**separator, after),
        None if right => ("", "", text),
        None => (text, "", ""),
    };
    Ok(Value::tuple([before, middle, after].map(Value::from).to_vec()))
}

fn justify(ev: &mut dyn Machine, text: &Arc<str>, name: &str, args: Args) -> Result<Value> {
    let [width, fill] = args.bind(name, ["", ""], 1)?;
    let width = number::small(&width.unwrap_or_default(), "the width")?;
    let fill = fill.unwrap_or_else(|| Value::from(" "));
    let mut fills = expect_str(&fill, "the fill character")?.chars();
    let (Some(fill), None) = (fills.next(), fills.next()) else {
        return Err(EvalError::type_("the fill must be one character"));
    };
    let width = usize::try_from(width).unwrap_or(0);
    let missing = width.saturating_sub(text.chars().count());
    if missing == 0 {
        return Ok(Value::Str(Arc::clone(text)));
    }
    ev.meter().text(
        missing
            .saturating_mul(fill.len_utf8())
            .saturating_add(text.len())
            .saturating_mul(2),
    )?;
    let left = match name {
        "ljust" => 0,
        "rjust" => missing,
        // CPython puts the odd one to the left when the width is odd.
        _ => missing / 2 + (missing & width & 1),
    };
    let mut out = String::new();
    out.extend(std::iter::repeat_n(fill, left));
    out.push_str(text);
    out.extend(std::iter::repeat_n(fill, missing - left));
    Ok(Value::from(out))
}

fn zfill(ev: &mut dyn Machine, text: &Arc<str>, args: Args) -> Result<Value> {
    let width = usize::try_from(number::small(&args.single("zfill")?, "the width")?).unwrap_or(0);
    let missing = width.saturating_sub(text.chars().count());
    ev.meter()
        .text(missing.saturating_add(text.len()).saturating_mul(2))?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = text.get(..text.len() - digits.len()).unwrap_or_default();
    Ok(Value::from(format!("{sign}{}{digits}", "0".repeat(missing))))
}

fn expand_tabs(ev: &mut dyn Machine, text: &str, args: Args) -> Result<Value> {
    let [size] = args.bind("expandtabs", ["tabsize"], 0)?;
    let size = size.map_or(Ok(8), |size| number::small(&size, "the size of a tab"))?;
    let size = usize::try_from(size).unwrap_or(0);
    let tabs = text.matches('\t').count();
    ev.meter().text(
        tabs.saturating_mul(size)
            .saturating_add(text.len())
            .saturating_mul(2),
    )?;
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if size > 0 => {
                let blanks = size - column % size;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            '\t' => {}
            _ => {
                column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
                out.push(c);
            }
        }
    }
    Ok(Value::from(out))
}
