//! The classes of errors, by the party that has to act.

/// The party that has to act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunErrorKind {
    /// The caller asked for something impossible; nothing was changed.
    Usage,
    /// The caller has to decide something first.
    Refused,
    /// Files of a run are damaged, or of a newer version.
    Damage,
    /// Something failed on the way.
    Failure,
    /// This program contradicts itself.
    Bug,
}
