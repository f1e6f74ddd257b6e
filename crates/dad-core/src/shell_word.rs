//! Words for a POSIX shell.

/// A word as a shell reads it back: unquoted if it is plain, or else in single quotes.
///
/// ```
/// use dad_core::shell_word;
///
/// assert_eq!(shell_word("src/lib.rs"), "src/lib.rs");
/// assert_eq!(shell_word("it's here"), r"'it'\''s here'");
/// assert_eq!(shell_word(""), "''");
/// ```
#[must_use]
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
