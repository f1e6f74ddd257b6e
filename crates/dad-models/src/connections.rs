//! Pools of connections to providers.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::{BuilderVerifierExt, Verifier};

use crate::address::is_local;
use crate::catalog::Target;
use crate::error::ModelError;

/// The pools of a client, each made when the first request needs it.
#[derive(Debug)]
pub(crate) struct Connections {
    /// The time that a server has to be connected.
    connect_timeout: Duration,
    /// The time for which a server may send nothing.
    idle_timeout: Duration,
    pools: Mutex<HashMap<Pool, reqwest::Client>>,
}

/// The servers that may share connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Pool {
    /// Servers on this machine, which no proxy reaches.
    is_local: bool,
    /// Certificates beside those that the system trusts.
    ca_file: Option<PathBuf>,
}

impl Connections {
    pub(crate) fn new(connect_timeout: Duration, idle_timeout: Duration) -> Self {
        Self {
            connect_timeout,
            idle_timeout,
            pools: Mutex::default(),
        }
    }

    /// The connections to a model's provider.
    ///
    /// # Errors
    /// If certificates cannot be read.
    pub(crate) fn to(&self, model: &str, target: &Target) -> Result<reqwest::Client, ModelError> {
        let pool = Pool {
            is_local: is_local(&target.provider.base_url),
            ca_file: target.provider.ca_file.clone(),
        };
        let mut pools = self.pools.lock();
        if let Some(made) = pools.get(&pool) {
            return Ok(made.clone());
        }
        let made = self.make(&pool).map_err(|error| ModelError::Request {
            model: model.to_owned(),
            reason: dad_core::ErrorInfo::from_error("", &*error).message,
        })?;
        Ok(pools.entry(pool).or_insert(made).clone())
    }

    /// A client that follows no redirect: the key, which some providers take in a header of their own, and the prompt go to no
    /// other address than the one that was configured.
    fn make(&self, pool: &Pool) -> Result<reqwest::Client, Box<dyn Error>> {
        let tls = match &pool.ca_file {
            None => tls()?,
            Some(file) => tls_with(file)?,
        };
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            // A few bytes that are compressed may stand for more than there is memory.
            .no_gzip()
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.idle_timeout)
            .user_agent(concat!("dhenara/", env!("CARGO_PKG_VERSION")));
        let builder = if pool.is_local {
            builder.no_proxy()
        } else {
            builder
        };
        Ok(builder.build()?)
    }
}

/// The certificates that this system trusts, and a cryptography that is given to clients one by one: nothing is installed for
/// the whole process.
pub(crate) fn tls() -> Result<rustls::ClientConfig, Box<dyn Error>> {
    Ok(rustls::ClientConfig::builder_with_provider(cryptography())
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth())
}

/// The same with the certificates of a file.
fn tls_with(file: &Path) -> Result<rustls::ClientConfig, Box<dyn Error>> {
    let unreadable = |reason: String| {
        format!(
            "the certificates in `{}` cannot be read: {reason}",
            file.display()
        )
    };
    let roots = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(error.to_string()))?;
    if roots.is_empty() {
        return Err(unreadable("there are none in PEM".to_owned()).into());
    }
    let verifier = Verifier::new_with_extra_roots(roots, cryptography())?;
    Ok(rustls::ClientConfig::builder_with_provider(cryptography())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn cryptography() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
