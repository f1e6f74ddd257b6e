//! The command, seen from outside.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod app;
mod schema;
mod shells;
