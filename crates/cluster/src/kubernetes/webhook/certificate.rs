//! The webhooks' certificate: an authority of our own and what it signed (`spec/metallb.md` §2.1).

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::sign::CertifiedKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use x509_parser::pem::parse_x509_pem;

const DAY: i64 = 24 * 60 * 60;
/// How long an authority is good.
const AUTHORITY: i64 = 3650 * DAY;
/// How long a certificate is good.
const CERTIFICATE: i64 = 365 * DAY;
/// How long before its end either is made anew.
const AHEAD: i64 = 90 * DAY;

/// Why there is no certificate.
#[derive(Debug, Error)]
pub(super) enum CertificateError {
    /// It can't be made.
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// It can't be used.
    #[error("using the certificate: {0}")]
    Use(String),
}

/// Authority, certificate and their keys, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) authority: String,
    authority_key: String,
    certificate: String,
    key: String,
}

const KEYS: [&str; 4] = ["ca.crt", "ca.key", "tls.crt", "tls.key"];

impl Certificate {
    /// Makes an authority and a certificate for `name`, good from `now` on (seconds since 1970).
    pub(super) fn make(name: &str, now: i64) -> Result<Self, CertificateError> {
        let authority_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "cert");
        params
            .distinguished_name
            .push(DnType::OrganizationName, "metallb");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        limit(&mut params, now, AUTHORITY);
        let authority = params.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(params, &authority_key);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        limit(&mut params, now, CERTIFICATE);
        Ok(Self {
            authority,
            certificate: params.signed_by(&key, &issuer)?.pem(),
            authority_key: authority_key.serialize_pem(),
            key: key.serialize_pem(),
        })
    }

    /// The one in a Secret's data, if it is complete.
    pub(super) fn from_data(data: &BTreeMap<String, Vec<u8>>) -> Option<Self> {
        let text = |key: &str| String::from_utf8(data.get(key)?.clone()).ok();
        let [authority, authority_key, certificate, key] = KEYS.map(text);
        Some(Self {
            authority: authority?,
            authority_key: authority_key?,
            certificate: certificate?,
            key: key?,
        })
    }

    /// As a Secret's data.
    pub(super) fn to_data(&self) -> BTreeMap<String, Vec<u8>> {
        let Self {
            authority,
            authority_key,
            certificate,
            key,
        } = self;
        let texts = [authority, authority_key, certificate, key];
        let pairs = KEYS.into_iter().zip(texts);
        pairs
            .map(|(key, text)| (key.to_owned(), text.clone().into_bytes()))
            .collect()
    }

    /// Whether it is for `name`, signed by its authority, and neither ends soon.
    pub(super) fn is_good(&self, name: &str, now: i64) -> bool {
        let good = || {
            let (_, authority) = parse_x509_pem(self.authority.as_bytes()).ok()?;
            let authority = authority.parse_x509().ok()?;
            let (_, certificate) = parse_x509_pem(self.certificate.as_bytes()).ok()?;
            let certificate = certificate.parse_x509().ok()?;
            let soon = now.saturating_add(AHEAD);
            let lasts = [&authority, &certificate]
                .iter()
                .all(|c| c.validity().not_after.timestamp() > soon);
            let names = certificate.subject_alternative_name().ok()??;
            let named = names.value.general_names.iter().any(|found| {
                matches!(found, x509_parser::extensions::GeneralName::DNSName(n) if *n == name)
            });
            let signed = certificate.issuer() == authority.subject();
            Some(lasts && named && signed && self.to_key().is_ok())
        };
        good().unwrap_or(false)
    }

    /// What a TLS server shows.
    pub(super) fn to_key(&self) -> Result<Arc<CertifiedKey>, CertificateError> {
        crate::tls::pair(self.certificate.as_bytes(), self.key.as_bytes())
            .map_err(CertificateError::Use)
    }
}

/// Sets the time in which a certificate is good; from an hour ago, since clocks differ.
fn limit(params: &mut CertificateParams, now: i64, length: i64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |seconds: i64| epoch + Duration::from_secs(seconds.unsigned_abs());
    params.not_before = at(now.saturating_sub(3600));
    params.not_after = at(now.saturating_add(length));
}

#[cfg(test)]
mod tests;
