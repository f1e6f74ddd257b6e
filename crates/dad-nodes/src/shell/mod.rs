//! Command strings with placeholders: the compiler makes a [`ShellScript`] of one, and no value is ever read as shell code.
//!
//! The promise: a value reaches the program that the shell starts as one word, with its bytes; what that program does with
//! it is its own. Values travel as arguments of the shell, and a prologue moves them into variables of reserved names before
//! the author's text begins. Those are the script's own as little as possible: they are not exported, and `shift`, `set --`,
//! functions and subshells leave them alone. The shell only ever sees `${dad_1}` in the place of a value, which it expands
//! without reading the value again.
//!
//! Where a placeholder stands decides the grammar of bash ([`place`]), and what a command does with an argument a list of
//! programs ([`programs`]): outside of quotes the variable is put into double quotes, within double quotes and in a
//! here-document it stands as it is, and anywhere else the placeholder is refused with the right form. Which shell reads the
//! script is not known, so that a placeholder is also refused within what only bash understands.

#[cfg(test)]
mod arrival;
mod place;
mod programs;
pub(crate) mod quoting;
mod script;
#[cfg(test)]
#[expect(clippy::too_many_lines, reason = "a test of many cases is one table")]
mod tests;

pub(crate) use programs::code_among;
pub(crate) use quoting::Refusal;
pub(crate) use script::{CommandText, ShellScript, read};
