//! The limit of words, an option of the renderer.

/// The first `max` words of a text, joined by single blanks.
pub fn limit_words(text: &str, max: usize) -> String {
    let mut out = String::new();
    for word in text.split_whitespace().take(max) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}
