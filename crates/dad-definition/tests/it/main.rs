//! Loading, building and compiling, seen from outside.

#![expect(clippy::too_many_lines, reason = "a test of many cases is one table")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod any_text;
mod building;
mod compiling;
mod executable;
mod hostile;
mod includes;
mod json_schema;
mod loading;
mod problems;
mod registry;
mod round_trip;
