//! How a server behind TLS and tokens is reached.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

/// What is shown to the server, and what it must show. Without any of it: nothing, in the clear.
#[derive(Clone, Debug, Default, Args)]
pub struct Access {
    /// PEM file with the CA that signed the server's certificate; the target begins with https:// then.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// File with the token that is sent with every call.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Why a server cannot be reached as asked.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is in the token's file cannot be sent.
    #[error("{} holds no token: one line of visible ASCII is needed", path.display())]
    Token {
        /// The file.
        path: PathBuf,
    },
    /// The CA cannot be used.
    #[error("the CA of {} cannot be used", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: tonic::transport::Error,
    },
}

impl Access {
    /// `endpoint` with the CA.
    pub(crate) fn secure(&self, endpoint: Endpoint) -> Result<Endpoint, AccessError> {
        let Some(path) = &self.ca else { return Ok(endpoint) };
        let pem = fs::read(path).map_err(|source| AccessError::Read { path: path.clone(), source })?;
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
        endpoint.tls_config(tls).map_err(|source| AccessError::Ca { path: path.clone(), source })
    }

    /// The header that proves who calls.
    pub(crate) fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>, AccessError> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let text = fs::read_to_string(path).map_err(|source| AccessError::Read { path: path.clone(), source })?;
        let token = text.trim();
        let header = format!("Bearer {token}").parse::<MetadataValue<Ascii>>().ok().filter(|_| !token.is_empty());
        let mut header = header.ok_or_else(|| AccessError::Token { path: path.clone() })?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_line_and_nobody_sees_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let access = Access { token_file: Some(path.clone()), ..Access::default() };
        assert!(access.authorization().unwrap_err().to_string().contains("cannot read"));
        for wrong in ["", " \n", "one\ntwo"] {
            fs::write(&path, wrong).unwrap();
            assert!(access.authorization().unwrap_err().to_string().contains("holds no token"), "{wrong:?}");
        }
        fs::write(&path, "qm_secret\n").unwrap();
        let header = access.authorization().unwrap().unwrap();
        assert_eq!(header.to_str().unwrap(), "Bearer qm_secret");
        assert!(!format!("{header:?}").contains("secret"));
    }
}
