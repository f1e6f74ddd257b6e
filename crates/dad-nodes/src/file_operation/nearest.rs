//! Why a text to replace is not in a file: in what it differs from a place that is almost it, else the nearest place.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use similar::TextDiff;

use super::result::Refused;

/// The lines that are looked through for the place that was perhaps meant.
const LINES_LOOKED_AT: usize = 5_000;

/// The longest text, in bytes, that is compared in other forms.
const LONGEST_COMPARED: usize = 2 * 1024 * 1024;

/// The number of characters of a line that are shown, and the number of those before the first difference.
const SHOWN: usize = 100;
const SHOWN_BEFORE: usize = 40;

/// A way in which two texts may differ: its name, a form in which they do not, and what to do.
struct Difference {
    name: &'static str,
    form: fn(&str) -> String,
    hint: &'static str,
}

const DIFFERENCES: [Difference; 9] = [
    Difference {
        name: "line ends",
        form: with_line_feeds,
        hint: "; give `old_text` with those of the file, or set `preserve_indentation: true`",
    },
    Difference {
        name: "blanks at the end of lines",
        form: |text| by_line(text, |line| line.trim_end().to_owned()),
        hint: "",
    },
    Difference {
        name: "the line feed at the end, which the file does not have",
        form: |text| format!("{}\n", text.trim_end_matches('\n')),
        hint: "",
    },
    Difference {
        name: "indentation",
        form: |text| by_line(text, |line| line.trim_start().to_owned()),
        hint: "; `preserve_indentation: true` finds it",
    },
    Difference {
        name: "blanks and tabs",
        form: |text| by_line(text, with_single_blanks),
        hint: "",
    },
    Difference {
        name: "the Unicode form of letters (composed or decomposed)",
        form: composed,
        hint: "",
    },
    Difference {
        name: "quotes, dashes, blanks or invisible characters that look alike",
        form: plain_characters,
        hint: "",
    },
    Difference {
        name: "line numbers, which stand before its lines and are not in the file",
        form: |text| by_line(text, |line| without_number(line).to_owned()),
        hint: "",
    },
    Difference {
        name: "upper and lower case",
        form: str::to_lowercase,
        hint: "",
    },
];

pub(super) fn not_found(text: &str, old: &str) -> Refused {
    let first = old
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let near = only_difference(text, old).or_else(|| nearest(text, old));
    let near = near.map_or_else(String::new, |near| format!("; {near}"));
    let message = format!(
        "the text that begins with `{}` is not in the file{near}",
        short(first.trim_start())
    );
    ("edit_not_found", message)
}

/// The place of the text but for one kind of difference, or for several.
fn only_difference(text: &str, old: &str) -> Option<String> {
    if text.len() > LONGEST_COMPARED || old.trim().is_empty() {
        return None;
    }
    let found = DIFFERENCES.iter().find_map(|difference| {
        let at = line_in_form(text, old, difference.form)?;
        Some((at, difference.name, difference.hint))
    });
    let in_all = |text: &str| {
        let each = DIFFERENCES.iter();
        each.fold(text.to_owned(), |text, difference| (difference.form)(&text))
    };
    let (at, name, hint) = found.or_else(|| {
        let at = line_in_form(text, old, in_all)?;
        Some((at, "blanks, line ends, case or characters that look alike", ""))
    })?;
    let shown = first_differing(text, at, old).map_or_else(String::new, |shown| format!(": {shown}"));
    Some(format!(
        "what stands at line {} differs from it only in {name}{hint}{shown}",
        at + 1
    ))
}

/// The line, from 0, at which a text stands in a form.
fn line_in_form(text: &str, old: &str, form: impl Fn(&str) -> String) -> Option<usize> {
    let (text, old) = (form(text), form(old));
    // Of which nothing is left, it stands everywhere.
    if old.trim().is_empty() {
        return None;
    }
    let at = text.find(&old)?;
    Some(text[..at].matches('\n').count())
}

fn with_line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn by_line(text: &str, form: impl Fn(&str) -> String) -> String {
    let lines = text.split('\n').map(form);
    lines.collect::<Vec<_>>().join("\n")
}

fn with_single_blanks(line: &str) -> String {
    let words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// A line without the number that a tool put before it: `12|`, `12:`, `12→` or `12` and a tab.
fn without_number(line: &str) -> &str {
    let rest = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
    let has_number = rest.len() < line.trim_start().len();
    let mark = rest
        .chars()
        .next()
        .filter(|c| matches!(c, '|' | ':' | '→' | '\t'));
    match (has_number, mark) {
        (true, Some(mark)) => rest[mark.len_utf8()..]
            .strip_prefix(' ')
            .unwrap_or(&rest[mark.len_utf8()..]),
        _ => line,
    }
}

fn composed(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc()
        .normalize(text)
        .into_owned()
}

/// Quotes, dashes and blanks as they are on a keyboard, without characters that are not seen.
fn plain_characters(text: &str) -> String {
    let plain = |c: char| match c {
        '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{00b4}' => Some('\''),
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{00ab}' | '\u{00bb}' => Some('"'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        '\u{00ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => None,
        c if c.is_whitespace() && !matches!(c, '\n' | '\r' | '\t') => Some(' '),
        c => Some(c),
    };
    text.chars().filter_map(plain).collect()
}

/// The place that was perhaps meant: where most lines agree but for their indentation, else the line most like the first.
fn nearest(text: &str, old: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().take(LINES_LOOKED_AT).collect();
    let wanted: Vec<&str> = old.lines().collect();
    let agreeing = |at: usize| {
        let pairs = lines[at..].iter().zip(&wanted);
        pairs
            .filter(|(line, wanted)| !wanted.trim().is_empty() && line.trim() == wanted.trim())
            .count()
    };
    // Of equally good places the first.
    let (most, at) = (0..lines.len())
        .map(|at| (agreeing(at), at))
        .rev()
        .max_by_key(|(count, _)| *count)?;
    if most > 0 {
        let difference = first_differing(text, at, old).unwrap_or_else(|| "the file ends sooner".to_owned());
        return Some(format!(
            "the nearest place is line {}, where {difference}",
            at + 1
        ));
    }
    let first = wanted.iter().find(|line| !line.trim().is_empty())?;
    let first = short(first.trim_start());
    let likeness =
        |line: &str| TextDiff::from_chars(first.as_str(), short(line.trim_start()).as_str()).ratio();
    let (line, ratio) = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| (index, likeness(line)))
        .max_by(|(a_at, a), (b_at, b)| a.total_cmp(b).then(b_at.cmp(a_at)))?;
    (ratio > 0.3).then(|| {
        let (there, _) = contrasted(lines[line].trim_start(), &first);
        format!("the nearest place is line {}: `{there}`", line + 1)
    })
}

/// The first line of a text that differs in more than its indentation, else the first that differs at all, from the line of
/// the file that stands in its place.
fn first_differing(text: &str, at: usize, old: &str) -> Option<String> {
    let there: Vec<&str> = text.split('\n').skip(at).collect();
    let wanted: Vec<&str> = old.strip_suffix('\n').unwrap_or(old).split('\n').collect();
    let find = |differ: fn(&str, &str) -> bool| {
        let mut pairs = there.iter().zip(&wanted).enumerate();
        pairs.find(|(_, (there, wanted))| differ(there, wanted))
    };
    let found = find(|there, wanted| there.trim_start() != wanted.trim_start());
    let (index, (there, wanted)) = found.or_else(|| find(|there, wanted| there != wanted))?;
    let (there, wanted) = contrasted(there, wanted);
    Some(format!(
        "line {} of the file is `{there}` and line {} of the text is `{wanted}`",
        at + index + 1,
        index + 1
    ))
}

/// Two lines as messages show them, around their first difference and with what is not seen of it.
fn contrasted(a: &str, b: &str) -> (String, String) {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let differing = [a.chars().nth(same), b.chars().nth(same)];
    let all = differing.into_iter().flatten().any(|c| !c.is_ascii());
    let from = if same > SHOWN / 2 { same - SHOWN_BEFORE } else { 0 };
    let shown = |line: &str| {
        let cut = line.chars().skip(from).take(SHOWN).collect::<String>();
        let before = if from > 0 { "…" } else { "" };
        let behind = if line.chars().count() > from + SHOWN {
            "…"
        } else {
            ""
        };
        format!("{before}{}{behind}", visible(&cut, all))
    };
    (shown(a), shown(b))
}

/// A line in which tabs, control characters and blanks at the end are seen, and, on demand, all that is not ASCII.
fn visible(line: &str, all: bool) -> String {
    let kept = line.trim_end_matches(' ').len();
    let shown = line.char_indices().map(|(at, c)| -> Cow<'static, str> {
        match c {
            ' ' if at >= kept => "\\u{20}".into(),
            '\t' if at < line.len() - line.trim_start().len() || at >= line.trim_end().len() => "\\t".into(),
            c if c.is_control() || (!c.is_ascii() && (all || c.is_whitespace())) => {
                c.escape_default().to_string().into()
            }
            c => c.to_string().into(),
        }
    });
    shown.collect()
}

/// A line as messages show it alone.
fn short(line: &str) -> String {
    let line = line.trim_end();
    let mut shown: String = line.chars().take(SHOWN).collect();
    if line.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_difference_is_named() {
        let cases = [
            ("foo()\r\nbar()\r\n", "foo()\nbar()", "line ends"),
            (
                "def f():   \n    return 1\n",
                "def f():\n    return 1\n",
                "blanks at the end",
            ),
            ("a\nb", "b\n", "the line feed at the end"),
            ("if a:\n    b()\n", "if a:\nb()\n", "indentation"),
            ("x  =\t1\n", "x = 1", "blanks and tabs"),
            ("cafe\u{301} = 1\nx\n", "café = 1\nx", "Unicode form"),
            ("a\u{a0}= 1\n", "a = 1\n", "look alike"),
            ("say \u{201c}hi\u{201d}\n", "say \"hi\"", "look alike"),
            ("Let X = 1\n", "let x = 1", "upper and lower case"),
            ("fn a() {\n}\n", "  12| fn a() {\n  13| }\n", "line numbers"),
            ("fn a() {\n}\n", "12\tfn a() {\n13\t}", "line numbers"),
            (
                "Let  X = \u{2019}a\u{2019}\r\n",
                "let x = 'a'\n",
                "blanks, line ends, case",
            ),
        ];
        for (text, old, name) in cases {
            let (code, message) = not_found(text, old);
            assert_eq!(code, "edit_not_found");
            assert!(
                message.contains(&format!("only in {name}")) || message.contains(name),
                "{message}"
            );
        }
    }

    #[test]
    fn two_lines_that_look_alike_are_not_shown_alike() {
        for (text, old, shown) in [
            (
                "def f():   \n    return 1\n",
                "def f():\n    return 2\n",
                r"`def f():\u{20}\u{20}\u{20}`",
            ),
            ("a\u{a0}= 1\nx\n", "a = 1\ny\n", r"`a\u{a0}= 1`"),
            ("cafe\u{301} = 1\nx\n", "café = 1\nx", r"`cafe\u{301} = 1`"),
            ("а = 1\nx\n", "a = 1\nx", r"`\u{430} = 1`"),
            ("\tx = 1\n\ty\n", "x = 1\n    z", r"`\ty`"),
        ] {
            let (_, message) = not_found(text, old);
            assert!(message.contains(shown), "{message}");
        }
        let long = format!("{}x{}\nz\n", "-".repeat(300), "-".repeat(300));
        let (_, message) = not_found(&long, &format!("{}y{}\nz\n", "-".repeat(300), "-".repeat(300)));
        assert!(message.contains("-x-") && message.contains("-y-"), "{message}");
        assert!(message.len() < 600, "{message}");
    }
}
