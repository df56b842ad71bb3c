//! Why certificates cannot be used: always which file, by which key, and what would be right. Never what is in a key.

use std::io;
use std::path::PathBuf;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read.
    #[error("{key}: cannot read {}", path.display())]
    Read {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no certificate in it.
    #[error("{key}: {} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----), or a broken one", path.display())]
    NoCertificate {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// What is called a certificate in it is none.
    #[error("{key}: a certificate in {} cannot be read: {problem}", path.display())]
    Garbage {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the parser said.
        problem: String,
    },
    /// There is no private key in it.
    #[error(
        "tls_key_file: {} holds no private key in PEM form; PKCS #8, PKCS #1 and SEC 1 are taken, without a passphrase",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is that of another certificate.
    #[error(
        "the private key of tls_key_file, {}, does not belong to the first certificate of tls_cert_file, {}",
        key.display(), certificate.display()
    )]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// Certificate and key are of a kind that cannot be used.
    #[error("the certificate of {} with the key of {} cannot be used", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What the library said.
        source: rustls::Error,
    },
    /// The certificate is over.
    #[error("tls_cert_file: the certificate of {} expired at {at}; no client would take it", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// RFC 3339.
        at: String,
    },
    /// The certificate has not begun.
    #[error("tls_cert_file: the certificate of {} is good from {at} on; no client takes it now", path.display())]
    Early {
        /// The file.
        path: PathBuf,
        /// RFC 3339.
        at: String,
    },
    /// A certificate that signs no others is to be a CA.
    #[error("tls_client_ca_file: {subject:?} in {} is no CA; it holds the certificates that sign those of clients", path.display())]
    NoCa {
        /// The file.
        path: PathBuf,
        /// Whose certificate it is.
        subject: String,
    },
    /// A CA cannot be used.
    #[error("tls_client_ca_file: a CA of {} cannot be used", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: rustls::Error,
    },
    /// The CAs together cannot be used.
    #[error("tls_client_ca_file: the CAs of {} cannot be used", path.display())]
    Verifier {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: rustls::server::VerifierBuilderError,
    },
    /// The library lacks what is needed.
    #[error("TLS 1.2 and 1.3 are not to be had")]
    Library {
        /// What it said.
        source: rustls::Error,
    },
}
