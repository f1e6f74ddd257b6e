//! Text of models and commands without the characters that a terminal would obey.

/// A text as a terminal may show it: characters that would act on the terminal, have no width or turn the direction of a
/// line stand there as escapes. Line feeds and tabs stay.
///
/// ```
/// assert_eq!(dad_core::printable("a\u{1b}[31m\u{202e}b\n"), "a\\u{1b}[31m\\u{202e}b\n");
/// ```
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\n' | '\t') || is_printable(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    shown
}

/// Whether a terminal shows a character as what it is: it is no control character, has a width of its own or belongs to
/// the character before it, and leaves the direction of its line alone.
#[must_use]
pub fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' // soft hyphen
            | '\u{34f}' // joins graphemes
            | '\u{61c}' // Arabic letter mark
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // empty letters of Hangul
            | '\u{17b4}' | '\u{17b5}' // vowels without a form
            | '\u{180b}'..='\u{180f}' // Mongolian selectors and separator
            | '\u{200b}'..='\u{200f}' // zero width, direction marks
            | '\u{2028}'..='\u{202e}' // separators of lines and paragraphs, direction
            | '\u{2060}'..='\u{206f}' // zero width, direction
            | '\u{feff}' // byte order mark
            | '\u{fff0}'..='\u{fffb}' // annotations
            | '\u{1bca0}'..='\u{1bca3}' // shorthand controls
            | '\u{1d173}'..='\u{1d17a}' // musical controls
            | '\u{e0000}'..='\u{e0fff}' // tags and selectors that no font shows
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_cannot_see_is_shown_as_an_escape() {
        for hidden in "\0\r\u{7}\u{8}\u{1b}\u{7f}\u{9b}\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{2028}\u{202e}\u{2066}\u{feff}\u{e0041}"
            .chars()
        {
            let shown = printable(&format!("a{hidden}b"));
            assert_eq!(shown, format!("a{}b", hidden.escape_default()));
            assert_eq!(printable(&shown), shown, "an escape is not escaped again");
        }
        for plain in ["\ttab\nline", "ä漢ñ é", "❤\u{fe0f}", "…–→✓", "\u{fffd}"] {
            assert_eq!(printable(plain), plain);
        }
    }
}
