//! The session of a server: the code that begins it, and the key that each request has.

use std::net::SocketAddr;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use crate::error::ViewError;

/// The session of a server that stands by itself: the names by which it is asked, and the key of its page.
pub(super) struct Session {
    pub(super) hosts: Vec<String>,
    pub(super) key: String,
    /// The code that gives the key, once.
    code: Mutex<Option<String>>,
    pub(super) used: Notify,
}

impl Session {
    pub(super) fn new(address: SocketAddr) -> Result<Self, ViewError> {
        let port = address.port();
        Ok(Self {
            hosts: vec![address.to_string(), format!("localhost:{port}")],
            key: random()?,
            code: Mutex::new(None),
            used: Notify::new(),
        })
    }

    /// A code that gives the key once. One that was given before holds no longer.
    pub(super) fn new_code(&self) -> Result<String, ViewError> {
        let code = random()?;
        *self.code.lock() = Some(code.clone());
        Ok(code)
    }

    /// The key for a code, which holds no longer then.
    pub(super) fn redeem(&self, given: &str) -> Option<&str> {
        let mut code = self.code.lock();
        let is_it = code.as_deref().is_some_and(|code| is_same(code, given));
        is_it.then(|| {
            *code = None;
            self.used.notify_one();
            self.key.as_str()
        })
    }
}

/// 256 random bits in hexadecimal digits.
fn random() -> Result<String, ViewError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| ViewError::Random(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether two texts are the same; the time that it takes tells nothing of where they differ.
pub(super) fn is_same(known: &str, given: &str) -> bool {
    Sha256::digest(known) == Sha256::digest(given)
}
