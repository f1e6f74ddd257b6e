//! Lines that fit the width of a screen, in which commands of this program stay whole.

use dad_terminal::internal::Fold;

use crate::output::program;

/// A text that begins at a column, with further lines that begin at `hanging`. Without a width only its own lines are kept.
pub(crate) fn fold(text: &str, column: usize, hanging: usize, width: Option<usize>) -> String {
    let program = &program::name();
    Fold { width, program }.text(text, column, hanging)
}

/// Lines of any origin: those that are too wide go on below their own beginning.
pub(crate) fn fold_lines(text: &str, width: Option<usize>) -> String {
    let program = &program::name();
    Fold { width, program }.lines(text)
}
