//! TLS on the server's own accept loop: what a handshake offers and asks for, and new certificates without a restart.
//!
//! The library's usual server speaks HTTP/2 alone and keeps its certificate for life. Here a handshake uses what is in force when it
//! begins; connections that are open keep what they began with. A file that cannot be used changes nothing.
mod certificate;
mod error;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use certificate::Peer;
pub use error::TlsError;

use crate::config::{ClientAuth, Config};
use crate::reload::Reload;
use crate::security::{Figures, Files, Handshake};
use certificate::Certificate;

/// Keys that it takes at run time.
const KEYS: &[&str] = &["tls_cert_file", "tls_key_file", "tls_client_ca_file", "tls_client_auth"];

/// The protocols that are spoken within, the better first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What handshakes are made with.
pub struct Tls {
    in_force: ArcSwap<InForce>,
    /// The settings it was read by, and how their files looked. Held while files are read, never on the way of a connection.
    source: Mutex<Source>,
    figures: Arc<Figures>,
}

struct InForce {
    callers: TlsAcceptor,
    /// Takes a client certificate and never demands one: probes of an orchestrator have none.
    metrics: TlsAcceptor,
    /// When the first certificate of the chain ends, in seconds since 1970.
    expires_at: i64,
}

/// TLS as one port speaks it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PortTls {
    tls: Arc<Tls>,
    choose: fn(&InForce) -> &TlsAcceptor,
}

#[derive(Clone)]
struct Settings {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    client_auth: ClientAuth,
}

struct Source {
    settings: Settings,
    files: Files,
}

impl Tls {
    /// What `config` says; none when it has no certificate.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn open(config: &Config, figures: &Arc<Figures>) -> Result<Option<Arc<Tls>>, TlsError> {
        let Some(settings) = Settings::of(config) else { return Ok(None) };
        let files = settings.files();
        let in_force = settings.read()?;
        figures.certificate_expires(in_force.expires_at);
        Ok(Some(Arc::new(Tls {
            in_force: ArcSwap::from_pointee(in_force),
            source: Mutex::new(Source { settings, files }),
            figures: Arc::clone(figures),
        })))
    }

    /// For the port of gRPC and JSON: asks for client certificates as the configuration says.
    pub fn for_callers(self: &Arc<Self>) -> PortTls {
        PortTls { tls: Arc::clone(self), choose: |in_force| &in_force.callers }
    }

    /// For the metrics port, where /healthz and /readyz are free: demands no client certificate.
    pub fn for_metrics(self: &Arc<Self>) -> PortTls {
        PortTls { tls: Arc::clone(self), choose: |in_force| &in_force.metrics }
    }

    /// Reads the files again if one of them changed; tells of it.
    pub fn look(&self) {
        let mut source = self.source.lock();
        if source.files.changed() {
            let settings = source.settings.clone();
            match self.replace(&settings) {
                Ok(()) => {}
                Err(error) => tracing::error!(
                    error = %crate::causes::with_causes(&error),
                    "the changed certificate cannot be used; the one before stays in force"
                ),
            }
        }
    }

    fn replace(&self, settings: &Settings) -> Result<(), TlsError> {
        let read = settings.read();
        self.figures.certificate_read(read.is_ok());
        let in_force = read?;
        self.figures.certificate_expires(in_force.expires_at);
        let until = certificate::date(in_force.expires_at);
        self.in_force.store(Arc::new(in_force));
        tracing::info!(%until, "a new certificate is in force");
        Ok(())
    }
}

impl PortTls {
    /// Shakes hands on a new connection, within `time`. None when that came to nothing: the peer does not speak TLS, shows no certificate
    /// although it must, shows a bad one, or takes too long.
    pub async fn accept(&self, stream: TcpStream, time: Duration) -> Option<TlsStream<TcpStream>> {
        let acceptor = (self.choose)(&self.tls.in_force.load()).clone();
        let shaken = timeout(time, acceptor.accept(stream)).await;
        let result = match &shaken {
            Ok(Ok(_)) => Handshake::Done,
            Ok(Err(_)) => Handshake::Failed,
            Err(_) => Handshake::Slow,
        };
        self.tls.figures.handshake(result);
        if let Ok(Err(error)) = &shaken {
            // Debug and not more: anybody may cause it, as often as connections may be opened.
            tracing::debug!(%error, "a TLS handshake failed");
        }
        shaken.ok()?.ok()
    }
}

impl Reload for Tls {
    fn keys(&self) -> &'static [&'static str] {
        KEYS
    }

    fn check(&self, config: &Config) -> Result<(), String> {
        let settings = Settings::of(config).ok_or("TLS cannot be switched off while the server runs; restart it")?;
        settings.read().map(drop).map_err(|error| crate::causes::with_causes(&error))
    }

    fn take(&self, config: &Config) -> Result<(), String> {
        let settings = Settings::of(config).ok_or("TLS cannot be switched off while the server runs; restart it")?;
        let mut source = self.source.lock();
        let files = settings.files();
        self.replace(&settings).map_err(|error| crate::causes::with_causes(&error))?;
        *source = Source { settings, files };
        Ok(())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("expires_at", &self.in_force.load().expires_at).finish_non_exhaustive()
    }
}

impl Settings {
    fn of(config: &Config) -> Option<Settings> {
        Some(Settings {
            certificate: config.tls_cert_file.clone()?,
            key: config.tls_key_file.clone()?,
            client_ca: config.tls_client_ca_file.clone(),
            client_auth: config.tls_client_auth,
        })
    }

    fn files(&self) -> Files {
        Files::of([Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten())
    }

    fn read(&self) -> Result<InForce, TlsError> {
        let chain = certificates("tls_cert_file", &self.certificate)?;
        let expires_at = self.expiry(&chain)?;
        let key = self.private_key()?;
        let callers = self.acceptor(&chain, &key, self.client_auth)?;
        let metrics = match self.client_auth {
            ClientAuth::Required => self.acceptor(&chain, &key, ClientAuth::Optional)?,
            ClientAuth::Off | ClientAuth::Optional => callers.clone(),
        };
        Ok(InForce { callers, metrics, expires_at })
    }

    fn acceptor(
        &self,
        chain: &[CertificateDer<'static>],
        key: &PrivateKeyDer<'static>,
        client_auth: ClientAuth,
    ) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|source| TlsError::Library { source })?;
        let builder = match self.verifier(provider, client_auth)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain.to_vec(), key.clone_key()).map_err(|source| match source {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone() }
            }
            source => TlsError::Unusable { certificate: self.certificate.clone(), key: self.key.clone(), source },
        })?;
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// When the server's own certificate ends.
    fn expiry(&self, chain: &[CertificateDer<'_>]) -> Result<i64, TlsError> {
        let own = Certificate::read("tls_cert_file", &self.certificate, chain.first())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        own.check_time(&self.certificate, i64::try_from(now).unwrap_or(i64::MAX))?;
        Ok(own.not_after)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let text = read("tls_key_file", &self.key)?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::NoKey { path: self.key.clone() })
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
        client_auth: ClientAuth,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let Some(path) = self.client_ca.as_ref().filter(|_| client_auth != ClientAuth::Off) else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for ca in certificates("tls_client_ca_file", path)? {
            Certificate::read("tls_client_ca_file", path, Some(&ca))?.check_ca(path)?;
            roots.add(ca).map_err(|source| TlsError::Ca { path: path.clone(), source })?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match client_auth {
            ClientAuth::Optional => builder.allow_unauthenticated(),
            ClientAuth::Off | ClientAuth::Required => builder,
        };
        builder.build().map(Some).map_err(|source| TlsError::Verifier { path: path.clone(), source })
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { key, path: path.to_owned(), source })
}

/// The certificates of a PEM file, at least one.
fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(key, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(|| TlsError::NoCertificate { key, path: path.to_owned() })
}

#[cfg(test)]
mod tests;
