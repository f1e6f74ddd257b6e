//! Long lines of a difference, shown around what differs in them.

use std::ops::Range;

/// The lines of a unified diff with those above `longest` characters shortened: of a line that became another one stays
/// what differs first and last and some text around it, of any other line its beginning and end. `…` stands where text
/// is left out.
///
/// Secrets are to be masked before: the rest of one behind a `…` is not recognised.
#[must_use]
pub fn shorten_diff(diff: &str, longest: usize) -> String {
    // Before what differs, its beginning, its end, and behind it; the rest is for the sign and the gaps.
    let piece = longest.saturating_sub(4) / 4;
    let is_long = |line: &str| line.chars().nth(longest).is_some();
    let lines: Vec<&str> = diff.split('\n').collect();
    let mut shown = Vec::with_capacity(lines.len());
    let mut at = 0;
    while at < lines.len() {
        let removed = run_of('-', &lines[at..]);
        let added = run_of('+', &lines[at + removed.len()..]);
        let others = run_of_others(&lines[at + removed.len() + added.len()..]);
        for (signed, partners) in [(removed, added), (added, removed)] {
            for (index, line) in signed.iter().enumerate() {
                shown.push(match partners.get(index) {
                    _ if !is_long(line) => (*line).to_owned(),
                    Some(partner) => around_difference(line, partner, piece),
                    None => both_ends(line, 2 * piece),
                });
            }
        }
        for line in others {
            shown.push(if is_long(line) {
                both_ends(line, 2 * piece)
            } else {
                (*line).to_owned()
            });
        }
        at += removed.len() + added.len() + others.len();
    }
    shown.join("\n")
}

/// The lines with a sign that others begin with.
fn run_of<'a, 'l>(sign: char, lines: &'a [&'l str]) -> &'a [&'l str] {
    let end = lines.iter().position(|line| !line.starts_with(sign));
    &lines[..end.unwrap_or(lines.len())]
}

/// The lines before the next that was removed or added.
fn run_of_others<'a, 'l>(lines: &'a [&'l str]) -> &'a [&'l str] {
    let end = lines.iter().position(|line| line.starts_with(['-', '+']));
    &lines[..end.unwrap_or(lines.len())]
}

/// A signed line, shortened around what differs from its partner, which has the other sign.
fn around_difference(line: &str, partner: &str, piece: usize) -> String {
    let (sign, line) = line.split_at(1);
    let partner = &partner[1..];
    let differs = difference(line, partner);
    let before = last_chars(&line[..differs.start], piece);
    let behind = first_chars(&line[differs.end..], piece);
    let between = both_ends(&line[differs.clone()], piece);
    let gap = |is_left_out: bool| if is_left_out { "…" } else { "" };
    format!(
        "{sign}{}{before}{between}{behind}{}",
        gap(before.len() < differs.start),
        gap(behind.len() < line.len() - differs.end)
    )
}

/// The part of a line without what it begins and ends with as another one does.
fn difference(line: &str, other: &str) -> Range<usize> {
    let same = |pairs: &mut dyn Iterator<Item = (char, char)>| -> usize {
        pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
    };
    let start = same(&mut line.chars().zip(other.chars()));
    let (rest, others) = (&line[start..], &other[start..]);
    let end = same(&mut rest.chars().rev().zip(others.chars().rev()));
    start..line.len() - end
}

/// A text with at most so many characters of its beginning and of its end.
fn both_ends(text: &str, each: usize) -> String {
    let (head, tail) = (first_chars(text, each), last_chars(text, each));
    if head.len() + tail.len() < text.len() {
        format!("{head}…{tail}")
    } else {
        text.to_owned()
    }
}

fn first_chars(text: &str, count: usize) -> &str {
    let end = text.char_indices().nth(count);
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

fn last_chars(text: &str, count: usize) -> &str {
    let start = count
        .checked_sub(1)
        .and_then(|last| text.char_indices().rev().nth(last));
    &text[start.map_or(if count == 0 { text.len() } else { 0 }, |(at, _)| at)..]
}

#[cfg(test)]
mod tests {
    use super::shorten_diff;

    fn check(diff: &str, shown: &str) {
        assert_eq!(shorten_diff(diff, 24), shown);
    }

    #[test]
    fn a_long_line_is_shown_around_what_differs() {
        let long = "0123456789".repeat(4);
        check(&format!("-{long}A\n+{long}B\n"), "-…56789A\n+…56789B\n");
        check(&format!("-A{long}\n+B{long}"), "-A01234…\n+B01234…");
        check(
            &format!("-{long}A{long}B{long}\n+{long}C{long}D{long}"),
            "-…56789A0123…6789B01234…\n+…56789C0123…6789D01234…",
        );
        // One more of the same.
        check(
            &format!("-{}\n+{}", "x".repeat(30), "x".repeat(31)),
            "-…xxxxx\n+…xxxxxx",
        );
        check(
            &format!("-{long}é{long}\n+{long}è{long}"),
            "-…56789é01234…\n+…56789è01234…",
        );
    }

    #[test]
    fn a_line_without_partner_is_shown_from_its_ends() {
        let long = "0123456789".repeat(4);
        check(
            &format!("@@ -1,2 +1,1 @@\n {long}\n-{long}"),
            "@@ -1,2 +1,1 @@\n 012345678…0123456789\n-012345678…0123456789",
        );
    }

    #[test]
    fn short_lines_stay() {
        for text in [
            "",
            "\n",
            "@@ -1 +1 @@\n-a\n+b\n",
            "-a\r\n+a\n c",
            "-0123456789012345678901\n+é",
        ] {
            check(text, text);
        }
    }
}
