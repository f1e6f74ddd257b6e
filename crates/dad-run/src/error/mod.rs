//! The errors of this crate, divided by who decides: [`SetupError`] names a choice of the caller, [`RunError`] an event.
//!
//! Each has a stable code, and where one is known a [`NextStep`], which a command or a program puts into its own words.

mod kind;
mod next_step;
mod run;
mod setup;
pub(crate) mod words;

pub use self::kind::RunErrorKind;
pub use self::next_step::NextStep;
pub use self::run::RunError;
pub use self::setup::SetupError;
