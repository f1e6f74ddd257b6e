//! Previews for approvals: a text that can be read at once, and a file with the full text.

use dad_core::Clean;

use crate::error::RunError;
use crate::journal::values::store_text;
use crate::layout::{DOT_RUN, VALUES};
use crate::live::driver::RunDriver;
use crate::store::question_file::FactsFile;

/// No more lines are shown at once: a person reads a few screens, and scrolls back no further.
const MOST_LINES: usize = 200;

/// No more bytes are shown at once.
const MOST_BYTES: usize = 16 * 1024;

/// A preview for a person.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Shown {
    /// All of it, or its beginning and where the rest is.
    pub text: Clean<String>,
    /// The file with all of it, if `text` is cut.
    pub file: Option<FactsFile>,
}

impl RunDriver {
    /// Writes what is too long to be shown at once to a file of its own.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn shown(&self, text: Clean<String>) -> Result<Shown, RunError> {
        let Some(beginning) = beginning(text.get()) else {
            return Ok(Shown { text, file: None });
        };
        let inner = self.inner();
        let stored = store_text(&inner.dot_run, text.get(), inner.durability)?;
        let path = format!("{DOT_RUN}/{VALUES}/{}", stored.text_file_name());
        let end = end_of(text.get(), beginning, &path);
        // Parts of what is masked are masked.
        let text = Clean::from_store(format!("{beginning}\n{end}"));
        let file = Some(FactsFile { path, stored });
        Ok(Shown { text, file })
    }
}

/// As much of a text as is shown at once; `None` if that is all of it.
fn beginning(text: &str) -> Option<&str> {
    let lines = text
        .match_indices('\n')
        .nth(MOST_LINES - 1)
        .map_or(text.len(), |(at, _)| at);
    if text[lines..].trim_end().is_empty() && text.len() <= MOST_BYTES {
        return None;
    }
    if lines <= MOST_BYTES {
        return Some(&text[..lines]);
    }
    let bytes = text.floor_char_boundary(MOST_BYTES);
    Some(
        text[..bytes]
            .rsplit_once('\n')
            .map_or(&text[..bytes], |(whole, _)| whole),
    )
}

/// The line that says that a text is cut.
fn end_of(text: &str, beginning: &str, path: &str) -> String {
    let rest = &text[beginning.len()..];
    let lines = rest.trim_start_matches('\n').lines().count();
    let more = match (rest.starts_with('\n'), lines) {
        (true, 1) => "1 more line".to_owned(),
        (true, lines) => format!("{lines} more lines"),
        (false, _) => "the line is longer".to_owned(),
    };
    format!(
        "[cut here: {more}, {} more bytes; all of it is in {path} of the run]",
        rest.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_the_end_of_a_line() {
        let numbered = |lines: usize| {
            (1..=lines)
                .map(|n| format!("line {n}"))
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_eq!(beginning(&numbered(MOST_LINES)), None);
        assert_eq!(beginning(&(numbered(MOST_LINES) + "\n")), None);
        let long = numbered(MOST_LINES + 5);
        let shown = beginning(&long).unwrap();
        assert_eq!(shown, numbered(MOST_LINES));
        assert_eq!(
            end_of(&long, shown, "x.txt"),
            "[cut here: 5 more lines, 45 more bytes; all of it is in x.txt of the run]"
        );

        let wide = format!("first\n{}\nlast", "é".repeat(MOST_BYTES));
        assert_eq!(beginning(&wide), Some("first"));
        let one = "é".repeat(MOST_BYTES);
        let shown = beginning(&one).unwrap();
        assert!(shown.len() <= MOST_BYTES && one.starts_with(shown));
        assert!(end_of(&one, shown, "x.txt").starts_with("[cut here: the line is longer, 16384 more bytes"));
    }
}
