//! A certificate of one's own, signed by itself: it keeps readers out, and proves nothing.

use super::{Shown, TlsError, pair};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;
/// How long one is good.
const LENGTH: Duration = Duration::from_secs(365 * DAY);
/// When another is made.
const RENEWAL: Duration = Duration::from_secs(180 * DAY);
/// When it is tried again, if that failed.
const RETRY: Duration = Duration::from_secs(60);

/// Makes certificates and keeps them in memory.
#[derive(Debug)]
pub struct Own {
    shown: Arc<Shown>,
}

impl Own {
    /// The first one is made.
    ///
    /// # Errors
    /// If it can't be.
    pub fn new() -> Result<Self, TlsError> {
        let own = Self {
            shown: Arc::default(),
        };
        own.renew()?;
        Ok(own)
    }

    /// What shows it.
    #[must_use]
    pub fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// Makes another in time, for as long as it is polled.
    pub async fn keep(self) -> Infallible {
        let mut wait = RENEWAL;
        loop {
            tokio::time::sleep(wait).await;
            wait = match self.renew() {
                Ok(()) => RENEWAL,
                Err(error) => {
                    tracing::warn!(%error, "the metrics' certificate isn't renewed yet");
                    RETRY
                }
            };
        }
    }

    fn renew(&self) -> Result<(), TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "corten");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        // From an hour ago, since clocks differ.
        params.not_before = epoch + Duration::from_secs(now.saturating_sub(3600));
        params.not_after = epoch + Duration::from_secs(now) + LENGTH;
        let certificate = params.self_signed(&key)?.pem();
        let made = pair(certificate.as_bytes(), key.serialize_pem().as_bytes());
        let made = made.map_err(|cause| TlsError::Pair {
            what: "the own certificate".to_owned(),
            cause,
        })?;
        self.shown.show(made);
        Ok(())
    }
}
