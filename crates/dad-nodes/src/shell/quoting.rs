//! Quoting as a shell reads it, and refusals of values that no quoting makes harmless.

/// Why a placeholder cannot stand where it does, or a value not in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// The beginning of the names of variables for values; a number follows.
pub(super) const PREFIX: &str = "dad_";

pub(super) fn variable(number: usize) -> String {
    format!("{PREFIX}{number}")
}

/// The expansion in the place of a value.
pub(super) fn expansion(number: usize, quoting: Quoting) -> String {
    match quoting {
        Quoting::Word => format!("\"${{{}}}\"", variable(number)),
        Quoting::Double | Quoting::HereDocument => format!("${{{}}}", variable(number)),
    }
}

/// The quotes around the place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// Outside of quotes.
    Word,
    /// Within double quotes.
    Double,
    /// In the body of a here-document.
    HereDocument,
}
