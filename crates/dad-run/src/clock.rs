//! The clock of a run, and random names.

use std::hash::{BuildHasher, Hasher};

use dad_core::Timestamp;

use crate::error::RunError;

/// The source of time of a run.
pub trait Clock: Send + Sync {
    /// The present time.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// 16 random bytes as hexadecimal digits, which cannot be guessed.
pub(crate) fn random_hex() -> Result<String, RunError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| RunError::Random(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A number that differs between runs of one second; it guards against collisions, not against guessing.
pub(crate) fn random_suffix() -> u32 {
    // Each `RandomState` is seeded by the operating system.
    let hash = std::hash::RandomState::new().build_hasher().finish();
    (hash >> 32) as u32 ^ hash as u32
}
