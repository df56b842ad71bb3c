//! Who is known: the tokens and certificates of the file, the issuer whose keys check JSON web tokens, and where all of it is read again.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::fetch::{self, From, Pace};
use super::jwt::Jwt;
use super::keys::Keys;
use super::principal::Principal;
use super::rates::Rates;
use super::tokens::Tokens;
use super::{AuthError, Denial, digest_of};
use crate::causes::with_causes;
use crate::config::Config;
use crate::security::{Figures, Files};
use crate::shutdown::Stop;
use crate::tls::Peer;

/// Everybody who is known.
pub(super) struct Known {
    tokens: ArcSwap<Tokens>,
    jwt: Option<Arc<Jwt>>,
    keys_from: Option<From>,
    /// The files, and how they looked when they were read. Held while they are read, never on the way of a call.
    sources: Mutex<Sources>,
}

struct Sources {
    tokens: Option<PathBuf>,
    keys: Option<PathBuf>,
    tokens_look: Files,
    keys_look: Files,
}

impl Known {
    /// As `config` says.
    ///
    /// # Errors
    /// When a file of tokens or keys cannot be used.
    pub(super) fn open(config: &Config, figures: &Figures) -> Result<Known, AuthError> {
        let jwt = Jwt::of(config).map(Arc::new);
        let keys_from = From::of(config).filter(|_| jwt.is_some());
        let sources = Sources::of(config);
        let tokens = sources.read_tokens()?;
        tracing::info!(principals = tokens.len(), jwt = jwt.is_some(), "calls must prove who makes them");
        let keys = sources.keys.clone();
        let tokens = ArcSwap::from_pointee(tokens);
        let known = Known { tokens, jwt, keys_from, sources: Mutex::new(sources) };
        known.read_keys(keys.as_ref(), figures)?;
        Ok(known)
    }

    /// Whose token this is, which came `from` a network whose failures are booked.
    pub(super) fn by_token(&self, token: &str, from: (&Rates, IpAddr)) -> Result<Arc<Principal>, Denial> {
        let digest = digest_of(token.as_bytes());
        if let Some(principal) = self.tokens.load().by_token(&digest) {
            return Ok(Arc::clone(principal));
        }
        match &self.jwt {
            Some(jwt) if token.bytes().filter(|byte| *byte == b'.').count() == 2 => {
                jwt.verify(token, &digest, super::now(), from)
            }
            Some(_) | None => Err(Denial::TokenUnknown),
        }
    }

    /// Whose certificate was shown.
    pub(super) fn by_certificate(&self, peer: &Peer) -> Option<Arc<Principal>> {
        self.tokens.load().by_certificate(peer).cloned()
    }

    /// Fetches keys in the background until `stop`, where they have an address.
    pub(super) fn fetch_keys(&self, figures: &Arc<Figures>, stop: &Stop) {
        if let (Some(From::Address(url)), Some(jwt)) = (&self.keys_from, &self.jwt) {
            let keeping = fetch::keep(url.clone(), Arc::clone(jwt), Arc::clone(figures), Pace::default(), stop.clone());
            tokio::spawn(keeping);
        }
    }

    /// Reads the files again that changed; tells of it.
    pub(super) fn look(&self, figures: &Figures) {
        let mut sources = self.sources.lock();
        if sources.tokens_look.changed() {
            let read = sources.read_tokens();
            figures.tokens_read(read.is_ok());
            match read {
                Ok(tokens) => {
                    tracing::info!(principals = tokens.len(), "the changed tokens are in force");
                    self.tokens.store(Arc::new(tokens));
                }
                Err(error) => tracing::error!(
                    error = %with_causes(&error),
                    "the changed tokens cannot be used; those from before stay in force"
                ),
            }
        }
        if sources.keys_look.changed() {
            match self.read_keys(sources.keys.as_ref(), figures) {
                Ok(()) => tracing::info!("the changed keys of the issuer are in force"),
                Err(error) => tracing::error!(
                    error = %with_causes(&error),
                    "the changed keys of the issuer cannot be used; those from before stay in force"
                ),
            }
        }
    }

    /// Whether the files that `config` names could be used.
    pub(super) fn check(&self, config: &Config) -> Result<(), AuthError> {
        Sources::of(config).read_tokens()?;
        let keys = config.jwks_file.as_ref().filter(|_| self.jwt.is_some());
        keys.map(fetch::read).transpose().map(drop)
    }

    /// From now on the files are those that `config` names.
    pub(super) fn take(&self, config: &Config, figures: &Figures) -> Result<(), AuthError> {
        let new = Sources::of(config);
        let tokens = new.read_tokens()?;
        let mut sources = self.sources.lock();
        self.read_keys(new.keys.as_ref(), figures)?;
        self.tokens.store(Arc::new(tokens));
        figures.tokens_read(true);
        *sources = new;
        Ok(())
    }

    fn read_keys(&self, path: Option<&PathBuf>, figures: &Figures) -> Result<(), AuthError> {
        let (Some(path), Some(jwt)) = (path, &self.jwt) else { return Ok(()) };
        let keys = fetch::read(path);
        figures.keys_read(keys.as_ref().ok().map(Keys::len), super::now());
        jwt.take_keys(keys?);
        Ok(())
    }
}

impl Sources {
    /// The files, as they look before they are read.
    fn of(config: &Config) -> Sources {
        let (tokens, keys) = (config.tokens_file.clone(), config.jwks_file.clone());
        let (tokens_look, keys_look) = (Files::of(tokens.iter()), Files::of(keys.iter()));
        Sources { tokens, keys, tokens_look, keys_look }
    }

    fn read_tokens(&self) -> Result<Tokens, AuthError> {
        self.tokens.as_deref().map(Tokens::read).transpose().map(Option::unwrap_or_default)
    }
}
