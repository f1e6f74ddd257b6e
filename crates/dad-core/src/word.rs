//! Words of fixed sets, read from text.

use std::fmt;

/// A text that is none of the words of a set, such as the statuses of a run.
///
/// ```
/// use dad_core::RunStatus;
///
/// assert_eq!("completed".parse(), Ok(RunStatus::Completed));
/// let error = "done".parse::<RunStatus>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`done` is no status of a run; there are initialized, running, interrupted, waiting, completed, failed, cancelled"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no {set}; there are {known}")]
pub struct UnknownWord {
    word: String,
    set: &'static str,
    known: String,
}

impl UnknownWord {
    /// Finds the value that a word stands for. `set` names the set in messages: `status of a run`.
    ///
    /// # Errors
    /// If it stands for none of `values`. The error lists their words.
    pub fn find<T: Copy + fmt::Display>(word: &str, set: &'static str, values: &[T]) -> Result<T, Self> {
        let words = || values.iter().map(ToString::to_string);
        let found = values.iter().zip(words()).find(|(_, known)| known == word);
        found.map(|(value, _)| *value).ok_or_else(|| Self {
            word: word.to_owned(),
            set,
            known: words().collect::<Vec<_>>().join(", "),
        })
    }
}
