//! The origin key of tests, and journals that are signed with it.

// By path: the unit tests of `dad-run` need it too, and a package holds no file of another one.
#[path = "../../crates/dad-run/src/journal/forged.rs"]
mod forged;

use dhenara::run::OriginKey;

pub use forged::{Draw, seal, seal_with, with_sums};

/// The origin key of tests.
const KEY: [u8; 32] = [7; 32];

/// The origin key of tests.
#[must_use]
pub fn origin_key() -> OriginKey {
    OriginKey::from_bytes(KEY)
}

/// The origin key of tests, as `DHENARA_ORIGIN_KEY` has it.
#[must_use]
pub fn hex_key() -> String {
    KEY.map(|byte| format!("{byte:02x}")).concat()
}
