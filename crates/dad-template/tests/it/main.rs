//! Tests of the template language through its public face.

#![expect(clippy::too_many_lines, reason = "a test of many cases is one table")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and says what it counted"
)]

mod attacks;
mod cases;
mod cpython;
mod language;
mod properties;
mod scope;

/// Counts what is allocated, and refuses what is above a limit when a test sets one.
#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);
