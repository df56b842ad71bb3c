//! What a certificate says: whose it is, until when it is good, and whether it may sign others.

use std::path::Path;

use prost_types::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::TlsError;

/// The few facts of a certificate that are looked at here; all else is the library's.
pub(super) struct Certificate {
    subject: String,
    not_before: i64,
    pub(super) not_after: i64,
    is_ca: bool,
}

/// Who showed a client certificate that a known CA signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The common names of its subject and its alternative names that are URIs, in their order.
    pub names: Vec<String>,
}

impl Certificate {
    /// That of the file `path`, which the setting `key` names.
    pub(super) fn read(
        key: &'static str,
        path: &Path,
        certificate: Option<&CertificateDer<'_>>,
    ) -> Result<Certificate, TlsError> {
        let der = certificate.ok_or_else(|| TlsError::NoCertificate { key, path: path.to_owned() })?;
        let garbage = |problem: String| TlsError::Garbage { key, path: path.to_owned(), problem };
        let (_, read) = X509Certificate::from_der(der).map_err(|error| garbage(error.to_string()))?;
        Ok(Certificate {
            subject: read.subject().to_string(),
            not_before: read.validity().not_before.timestamp(),
            not_after: read.validity().not_after.timestamp(),
            is_ca: read.is_ca(),
        })
    }

    /// Whether it is good at `now`, in seconds since 1970.
    pub(super) fn check_time(&self, path: &Path, now: i64) -> Result<(), TlsError> {
        if now > self.not_after {
            return Err(TlsError::Expired { path: path.to_owned(), at: date(self.not_after) });
        }
        if now < self.not_before {
            return Err(TlsError::Early { path: path.to_owned(), at: date(self.not_before) });
        }
        Ok(())
    }

    pub(super) fn check_ca(&self, path: &Path) -> Result<(), TlsError> {
        let no_ca = || TlsError::NoCa { path: path.to_owned(), subject: self.subject.clone() };
        if self.is_ca { Ok(()) } else { Err(no_ca()) }
    }
}

impl Peer {
    /// Whose certificate `der` is. One that says nothing we can read is nobody's.
    #[must_use]
    pub fn of(der: &CertificateDer<'_>) -> Peer {
        let Ok((_, read)) = X509Certificate::from_der(der) else { return Peer { names: Vec::new() } };
        let common = read.subject().iter_common_name().filter_map(|name| name.as_str().ok().map(str::to_owned));
        let alternative = read.subject_alternative_name().ok().flatten();
        let uris = alternative.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        });
        Peer { names: common.chain(uris).collect() }
    }
}

/// Seconds since 1970 as RFC 3339.
pub(super) fn date(seconds: i64) -> String {
    Timestamp { seconds, nanos: 0 }.to_string()
}
