//! The program as its command line made it: its name, as hints write it, and whether it is quiet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// The name of the program without additions.
pub(crate) const DEFAULT: &str = "dhenara";

/// The name of the program whose command line is executed. Hints are made in many places, and one process is one program.
static NAME: RwLock<Option<String>> = RwLock::new(None);

/// Whether progress and summaries are left out.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Sets whether progress and summaries are left out.
pub(crate) fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Whether progress and summaries are left out.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Sets the name under which hints write commands.
pub(crate) fn set_name(name: &str) {
    *NAME.write().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
    // It breaks the lines of standard error.
    dad_terminal::internal::set_program(name);
}

/// The name of the program.
pub(crate) fn name() -> String {
    let name = NAME.read().unwrap_or_else(PoisonError::into_inner);
    name.clone().unwrap_or_else(|| DEFAULT.to_owned())
}

/// A command of the program, by the words behind its name.
pub(crate) fn command(words: &str) -> String {
    format!("{} {words}", name())
}
