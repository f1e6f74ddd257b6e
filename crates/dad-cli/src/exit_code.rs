//! The exit codes of the command.

/// Everything was done.
pub const DONE: u8 = 0;
/// The run failed.
pub const FAILED: u8 = 1;
/// The command line, the project or the definition is wrong; nothing was made.
pub const USAGE: u8 = 2;
/// The run waits for input.
pub const WAITING: u8 = 3;
/// Refused: a person has to decide, for example because another process drives the run.
pub const REFUSED: u8 = 4;
/// A run is damaged, or of a newer version than this program reads.
pub const DAMAGE: u8 = 5;
/// A bug of this program.
pub const BUG: u8 = 70;
/// The run was cancelled.
pub const CANCELLED: u8 = 130;
