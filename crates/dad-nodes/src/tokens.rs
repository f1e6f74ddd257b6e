//! The number of tokens that a text is counted with, where no provider has counted it.

/// Bytes of a token: it has about four letters of English, and hardly ever fewer than three bytes of any language. What
/// this reckons is more than most texts have.
pub(crate) const BYTES_OF_A_TOKEN: usize = 3;

/// An estimate of the tokens of a text of so many bytes, for budgets and limits: more than providers count for most texts.
pub(crate) const fn estimated(bytes: usize) -> usize {
    bytes.div_ceil(BYTES_OF_A_TOKEN)
}
