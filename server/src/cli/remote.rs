//! A running server, from outside: which, with what it is trusted, and who asks.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use humantime_serde::re::humantime;
use quartermaster_client::{BuildError, CallError, Client, Refusal, Retry, Tls, Token, Transport};
use tonic::{Code, Status};

use super::ask::code_of;
use super::profile::Profile;

/// Where a server listens by default.
pub(super) const DEFAULT_TARGET: &str = "http://127.0.0.1:7070";

/// The variable that holds the token itself. There is no flag for it: arguments are seen by everybody on the machine.
const TOKEN_VARIABLE: &str = "QUARTERMASTER_TOKEN";

/// Time for a call with all its tries, when nobody says another: a person waits.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which server to ask, and how. What is not given here is looked for in the profile file.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Target {
    /// URL of the server. Default: http://127.0.0.1:7070.
    #[arg(long, value_name = "URL", env = "QUARTERMASTER_TARGET", global = true)]
    pub(super) target: Option<String>,
    /// File with the bearer token; without it the token is taken from QUARTERMASTER_TOKEN.
    #[arg(long, value_name = "FILE", env = "QUARTERMASTER_TOKEN_FILE", global = true)]
    token_file: Option<PathBuf>,
    /// PEM file of the authorities that a https:// server is trusted by. Default: those of the system.
    #[arg(long, value_name = "FILE", env = "QUARTERMASTER_CA", global = true)]
    ca: Option<PathBuf>,
    /// PEM file of the client certificate, for servers that ask for one.
    #[arg(long, value_name = "FILE", env = "QUARTERMASTER_CERT", global = true)]
    cert: Option<PathBuf>,
    /// PEM file of its key.
    #[arg(long, value_name = "FILE", env = "QUARTERMASTER_KEY", global = true)]
    key: Option<PathBuf>,
    /// Time for a call with all its tries, as 500ms or 10s. Default: 10s.
    #[arg(long, value_name = "TIME", env = "QUARTERMASTER_TIMEOUT", global = true, value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// Profile of the file ~/.config/quartermaster/config.toml.
    #[arg(long, value_name = "NAME", env = "QUARTERMASTER_PROFILE", global = true)]
    profile: Option<String>,
}

impl Target {
    /// A client for it, which connects when it is used. `host:port` alone will do.
    ///
    /// # Errors
    /// What is wrong with an argument, a file that it names, or the profile.
    pub(super) fn client(&self) -> Result<Client, String> {
        let all = self.completed()?;
        let target = all.target.as_deref().unwrap_or(DEFAULT_TARGET);
        let mut builder = Client::builder(target)
            .deadline(all.timeout.unwrap_or(TIMEOUT))
            .retry(Retry { backoff_max: Duration::from_secs(1), tries_max: 8, ..Retry::default() })
            .tls(Tls { ca: all.ca.clone(), certificate: all.cert.clone(), key: all.key.clone(), server_name: None });
        if let Some(time) = all.timeout {
            builder = builder.stub_time(time);
        }
        if let Some(token) = all.token() {
            builder = builder.token(token);
        }
        builder.connect().map_err(|error| match &error {
            BuildError::Address { source, .. } => format!("{error} ({source})"),
            _ => error.to_string(),
        })
    }

    /// A channel to it, for a generated stub.
    ///
    /// # Errors
    /// As for a client.
    pub(super) fn channel(&self) -> Result<Transport, String> {
        self.client().map(|client| client.transport())
    }

    fn token(&self) -> Option<Token> {
        match &self.token_file {
            Some(path) => Some(Token::File(path.clone())),
            None => std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()).map(Token::Value),
        }
    }

    /// With what the profile says where nothing else does.
    fn completed(&self) -> Result<Target, String> {
        let profile = match Profile::path() {
            Some(path) => Profile::read(&path, self.profile.as_deref(), |path| fs::read_to_string(path))?,
            None if self.profile.is_some() => return Err("there is no home directory to look for a profile in".into()),
            None => Profile::default(),
        };
        Ok(Target {
            target: self.target.clone().or(profile.target),
            token_file: self.token_file.clone().or(profile.token_file),
            ca: self.ca.clone().or(profile.ca),
            cert: self.cert.clone().or(profile.cert),
            key: self.key.clone().or(profile.key),
            timeout: self.timeout.or(profile.timeout),
            profile: None,
        })
    }

    /// Its URL as it was given, for people.
    pub(super) fn name(&self) -> &str {
        self.target.as_deref().unwrap_or(DEFAULT_TARGET)
    }

    /// What a failed call means, and what to do.
    pub(super) fn explain(&self, status: &Status) -> String {
        self.advise(&Refusal::of(status))
    }

    /// Tells on stderr what a failed call of a generated stub means, and gives the code to end with.
    pub(super) fn refused(&self, command: &str, status: &Status) -> u8 {
        eprintln!("quartermaster {command}: {}", self.explain(status));
        code_of(&CallError::of_status(status))
    }

    /// The same of a call that the client made.
    pub(super) fn advise(&self, refusal: &Refusal) -> String {
        let advice = match refusal.code {
            Code::Unavailable => format!("\n  is a server running at {}? Name another with --target", self.name()),
            Code::Unimplemented => format!("\n  {} is no Quartermaster, or an older one", self.name()),
            Code::Unauthenticated => {
                format!("\n  {} wants to know who asks: give --token-file, or --cert and --key", self.name())
            }
            _ => String::new(),
        };
        format!("{refusal}{advice}")
    }
}

/// Whether asking again with the same request id may help: the server was not there, is too busy, or the connection broke.
pub(super) fn may_retry(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => true,
        // What our servers never send, but a broken connection looks like.
        Code::Unknown | Code::Cancelled | Code::Internal => std::error::Error::source(status).is_some(),
        _ => false,
    }
}
