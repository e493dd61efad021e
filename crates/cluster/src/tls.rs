//! TLS as servers here speak it: which versions, suites and curves, and with which certificate.
//!
//! The options are those of MetalLB's flags (`spec/metallb.md` §7.1); what rustls speaks is a part of
//! what Go speaks, and always the stronger one.

mod files;
mod own;

pub use files::Files;
pub use own::Own;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use thiserror::Error;

/// Why TLS can't be as asked for.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Suites are for TLS 1.2 only.
    #[error("cipher suites can't be chosen where TLS 1.3 is the least version: {0:?}")]
    SuitesOfTls13(String),
    /// There is no such suite.
    #[error("{0:?} is no cipher suite")]
    UnknownSuite(String),
    /// There is no such curve.
    #[error("{0:?} is no curve: numbers as IANA gives them, such as 29 for X25519")]
    UnknownCurve(String),
    /// A curve is named twice.
    #[error("curve {0} is named twice")]
    DoubleCurve(u16),
    /// No curve is left.
    #[error("none of the curves {0:?} is spoken here: 29 (X25519), 23 (P-256) and 24 (P-384) are")]
    NoCurve(String),
    /// A file can't be read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Certificate and key can't be used.
    #[error("{what}: {cause}")]
    Pair {
        /// Where they are.
        what: String,
        /// Cause.
        cause: String,
    },
    /// What is chosen can't be put together.
    #[error(transparent)]
    Config(#[from] rustls::Error),
    /// A certificate can't be made.
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// Oldest TLS version spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldestTls {
    /// 1.2
    V12,
    /// 1.3
    V13,
}

/// Versions, cipher suites and curves.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    versions: Vec<&'static SupportedProtocolVersion>,
    provider: Arc<CryptoProvider>,
}

/// What a connection is accepted with.
#[derive(Clone, Debug)]
pub struct TlsServer(pub(crate) Arc<ServerConfig>);

/// Suites Go knows by name and rustls doesn't speak: without forward secrecy, or with CBC.
const UNSPOKEN_SUITES: [&str; 17] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_FALLBACK_SCSV",
];
/// The suites of TLS 1.3, all spoken always: Go doesn't let them be chosen either.
const TLS13_SUITES: [&str; 3] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];
/// Curves Go knows and rustls with ring doesn't speak: P-521, and hybrids with ML-KEM.
const UNSPOKEN_CURVES: [u16; 4] = [25, 4587, 4588, 4589];

impl TlsOptions {
    /// `suites` are names and `curves` IANA's numbers, both separated by commas; an empty text is
    /// all there are.
    ///
    /// # Errors
    /// What is unknown, named twice, or left with nothing; suites beside TLS 1.3.
    pub fn new(oldest: OldestTls, suites: &str, curves: &str) -> Result<Self, TlsError> {
        let mut provider = ring::default_provider();
        if !suites.is_empty() {
            if oldest == OldestTls::V13 {
                return Err(TlsError::SuitesOfTls13(suites.to_owned()));
            }
            let wanted = wanted_suites(suites)?;
            let stays = |suite: &SupportedCipherSuite| {
                let tls13 = suite.tls13().is_some();
                tls13 || suite.suite().as_str().is_some_and(|n| wanted.contains(n))
            };
            provider.cipher_suites.retain(stays);
        }
        if !curves.is_empty() {
            provider.kx_groups = wanted_curves(curves, &provider.kx_groups)?;
        }
        let versions = match oldest {
            OldestTls::V12 => vec![&version::TLS13, &version::TLS12],
            OldestTls::V13 => vec![&version::TLS13],
        };
        Ok(Self {
            versions,
            provider: Arc::new(provider),
        })
    }

    /// A server that shows this certificate, and asks clients for none.
    ///
    /// # Errors
    /// If the options don't go together.
    pub fn server(&self, shown: Arc<Shown>) -> Result<TlsServer, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions)?;
        let shown = shown as Arc<dyn ResolvesServerCert>;
        let mut config = builder.with_no_client_auth().with_cert_resolver(shown);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsServer(Arc::new(config)))
    }
}

/// The texts between commas.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// The suites of TLS 1.2 that are named.
fn wanted_suites(text: &str) -> Result<BTreeSet<String>, TlsError> {
    let spoken = ring::default_provider().cipher_suites;
    let mut wanted = BTreeSet::new();
    for name in items(text) {
        // The names Go had for these two before they were standardised.
        let name = match name {
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => {
                format!("{name}_SHA256")
            }
            name => name.to_owned(),
        };
        if spoken.iter().any(|s| s.suite().as_str() == Some(&name)) {
            wanted.insert(name);
        } else if UNSPOKEN_SUITES.contains(&name.as_str()) {
            // DEVIATION: Go would speak it.
            tracing::warn!(name, "this cipher suite isn't spoken here, and left out");
        } else if !TLS13_SUITES.contains(&name.as_str()) {
            return Err(TlsError::UnknownSuite(name));
        }
    }
    Ok(wanted)
}

fn wanted_curves(
    text: &str,
    spoken: &[&'static dyn SupportedKxGroup],
) -> Result<Vec<&'static dyn SupportedKxGroup>, TlsError> {
    let mut seen = BTreeSet::new();
    let mut wanted = Vec::new();
    for item in items(text) {
        let unknown = || TlsError::UnknownCurve(item.to_owned());
        let number: u16 = item.parse().map_err(|_| unknown())?;
        if !seen.insert(number) {
            return Err(TlsError::DoubleCurve(number));
        }
        match spoken.iter().find(|g| u16::from(g.name()) == number) {
            Some(group) => wanted.push(*group),
            None if UNSPOKEN_CURVES.contains(&number) => {
                tracing::warn!(number, "this curve isn't spoken here, and left out");
            }
            None => return Err(unknown()),
        }
    }
    if wanted.is_empty() {
        return Err(TlsError::NoCurve(text.to_owned()));
    }
    Ok(wanted)
}

/// The certificate shown to whoever connects; none until there is one.
#[derive(Debug, Default)]
pub struct Shown(RwLock<Option<Arc<CertifiedKey>>>);

impl Shown {
    /// Whether there is one.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Shows this one from the next connection on.
    pub(crate) fn show(&self, key: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        shown.clone()
    }
}

/// A certificate, with those that signed it behind it, and its key, both PEM.
///
/// # Errors
/// In words: what can't be read, or that they don't belong together.
pub(crate) fn pair(chain: &[u8], key: &[u8]) -> Result<Arc<CertifiedKey>, String> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the certificate: {error}"))?;
    if chain.is_empty() {
        return Err("the certificate: there is none in it".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the key: {error}"))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map(Arc::new)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
