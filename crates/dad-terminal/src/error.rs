//! The error of a question at the terminal.

use std::path::PathBuf;

use dad_events::AskError;

/// Why nothing could be asked, or no answer came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TerminalError {
    /// No person can be asked: standard input or standard error is no terminal, or prompts are forbidden.
    #[error("there is no terminal to ask at: standard input and standard error must be one")]
    NoTerminal,
    /// The person ended the input (Ctrl-D), or the terminal is gone.
    #[error("the input ended before the answer")]
    Ended,
    /// The person pressed Ctrl-C, which the process has received as the usual signal.
    #[error("the prompt was interrupted")]
    Interrupted,
    /// Standard input or the screen.
    #[error("the terminal cannot be used")]
    Io(#[from] std::io::Error),
    /// The editor named by `VISUAL` or `EDITOR`.
    #[error("the editor `{editor}` {reason}")]
    Editor {
        /// The command.
        editor: String,
        /// The failure, in words.
        reason: String,
    },
    /// The browser named by `BROWSER`, or that of the system.
    #[error("the browser `{browser}` cannot be started: {reason}")]
    Browser {
        /// The command.
        browser: String,
        /// The reason, in words.
        reason: String,
    },
    /// A file that an option of a ready-made handler names.
    #[error("`{}` {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The problem, in words.
        reason: String,
    },
    /// The question no longer takes an answer.
    #[error(transparent)]
    Refused(#[from] AskError),
}
