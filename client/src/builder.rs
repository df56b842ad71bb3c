//! How a client is made.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::call::Client;
use crate::credentials::{Credentials, Token};
use crate::error::BuildError;
use crate::pool::{Pool, Transport};
use crate::retry::{Budget, Retry};

/// Time for a connection to come up, of which a call that waits for it uses up its deadline.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// A quiet connection is pinged after so long; below the five minutes after which many balancers forget one.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Time for the answer to such a ping.
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);

/// With what a server is trusted, and what it is shown.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// PEM file of the authorities that are trusted; without it those of the system.
    pub ca: Option<PathBuf>,
    /// PEM file of the client's certificate and those that lead to its authority, for servers that ask for one.
    pub certificate: Option<PathBuf>,
    /// PEM file of its key.
    pub key: Option<PathBuf>,
    /// Name that the server's certificate must have, where that is not the name in the address.
    pub server_name: Option<String>,
}

/// Says how a client calls. Made by [`Client::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing before `connect`"]
pub struct Builder {
    targets: Vec<String>,
    tls: Tls,
    token: Option<Token>,
    token_in_the_clear: bool,
    deadline: Duration,
    retry: Retry,
    connections: usize,
    connect_time: Duration,
    stub_time: Option<Duration>,
}

impl Builder {
    pub(crate) fn new(target: &str) -> Builder {
        Builder {
            targets: vec![target.to_owned()],
            tls: Tls::default(),
            token: None,
            token_in_the_clear: false,
            deadline: Duration::from_secs(1),
            retry: Retry::default(),
            connections: 1,
            connect_time: CONNECT_TIME,
            stub_time: None,
        }
    }

    /// Another server that answers for the same stock. Calls take turns; a retry goes to another one where there is one.
    pub fn target(mut self, target: &str) -> Builder {
        self.targets.push(target.to_owned());
        self
    }

    /// With what servers at `https://` addresses are trusted, and the certificate they are shown.
    pub fn tls(mut self, tls: Tls) -> Builder {
        self.tls = tls;
        self
    }

    /// The token that is sent with every call.
    pub fn token(mut self, token: Token) -> Builder {
        self.token = Some(token);
        self
    }

    /// Sends the token also to other machines without TLS. For a network that encrypts by itself, as a service mesh does.
    pub fn allow_token_in_the_clear(mut self) -> Builder {
        self.token_in_the_clear = true;
        self
    }

    /// Time for a call with all its tries. Default 1 s, as the server's own.
    pub fn deadline(mut self, deadline: Duration) -> Builder {
        self.deadline = deadline;
        self
    }

    /// When calls are sent again.
    pub fn retry(mut self, retry: Retry) -> Builder {
        self.retry = retry;
        self
    }

    /// Connections to each server, at least 1. Default 1: our servers take 1,024 calls at once on a connection. More where a proxy on
    /// the way allows 100, or where one core is not enough for what goes over one connection.
    pub fn connections(mut self, connections: usize) -> Builder {
        self.connections = connections.max(1);
        self
    }

    /// Time for a connection to come up. Default 5 s.
    pub fn connect_time(mut self, time: Duration) -> Builder {
        self.connect_time = time;
        self
    }

    /// Time for a call of a generated stub over [`Client::transport`] that sets none itself. Default: none.
    pub fn stub_time(mut self, time: Duration) -> Builder {
        self.stub_time = Some(time);
        self
    }

    /// The client. Connections come up when they are first used, and again after they broke. Needs a running tokio runtime.
    ///
    /// # Errors
    /// As [`BuildError`] lists them: an address, certificate or token that cannot be used.
    pub fn connect(self) -> Result<Client, BuildError> {
        let transports = self.transports()?;
        let budget = Arc::new(Budget::new(&self.retry));
        Ok(Client::new(Arc::new(Pool::new(transports)), budget, self.retry, self.deadline))
    }

    fn transports(&self) -> Result<Vec<Transport>, BuildError> {
        let credentials = match &self.token {
            Some(token) => Credentials::new(token)?,
            None => Credentials::none(),
        };
        let mut endpoints = Vec::new();
        for target in &self.targets {
            if target.is_empty() {
                return Err(BuildError::NoTarget);
            }
            endpoints.push(self.endpoint(target)?);
        }
        let mut transports = Vec::with_capacity(endpoints.len() * self.connections);
        // Server by server and not connection by connection, so that the next in turn is another server.
        for _ in 0..self.connections {
            for endpoint in &endpoints {
                transports.push(InterceptedService::new(endpoint.connect_lazy(), credentials.clone()));
            }
        }
        Ok(transports)
    }

    fn endpoint(&self, target: &str) -> Result<Endpoint, BuildError> {
        let url = if target.contains("://") { target.to_owned() } else { format!("http://{target}") };
        let wrong = |source| BuildError::Address { target: target.to_owned(), source };
        let endpoint = Endpoint::from_shared(url).map_err(wrong)?;
        let secure = endpoint.uri().scheme_str() == Some("https");
        if self.token.is_some() && !secure && !self.token_in_the_clear && !is_this_machine(endpoint.uri().host()) {
            return Err(BuildError::TokenInTheClear { target: target.to_owned() });
        }
        let endpoint = match self.stub_time {
            Some(time) => endpoint.timeout(time),
            None => endpoint,
        };
        let endpoint = endpoint
            .connect_timeout(self.connect_time)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_ANSWER)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20);
        if !secure {
            return Ok(endpoint);
        }
        endpoint.tls_config(self.tls.config()?).map_err(|source| BuildError::Certificates { source })
    }
}

impl Tls {
    fn config(&self) -> Result<ClientTlsConfig, BuildError> {
        let mut config = match &self.ca {
            Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("the authorities", ca)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let identity = Identity::from_pem(read("the certificate", certificate)?, read("the key", key)?);
                config = config.identity(identity);
            }
            (None, None) => {}
            _ => return Err(BuildError::HalfIdentity),
        }
        if let Some(name) = &self.server_name {
            config = config.domain_name(name);
        }
        Ok(config)
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(|source| BuildError::File { what, path: path.to_owned(), source })
}

fn is_this_machine(host: Option<&str>) -> bool {
    let host = host.unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_wrong_is_told_before_the_first_call() {
        let token = || Token::Value("t".into());
        let missing = Some(PathBuf::from("no-such-file.pem"));
        let cases = [
            (Builder::new(""), "no target"),
            (Builder::new("http://a b"), "is no address"),
            (Builder::new("http://10.1.2.3:7070").token(token()), "in the clear"),
            (Builder::new("https://h:1").tls(Tls { ca: missing.clone(), ..Tls::default() }), "no-such-file.pem"),
            (Builder::new("https://h:1").tls(Tls { key: missing, ..Tls::default() }), "give both or neither"),
            (Builder::new("http://127.0.0.1:1").token(Token::Value(String::new())), "cannot be sent"),
        ];
        for (builder, expected) in cases {
            let error = builder.connect().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        for near in ["http://127.0.0.1:1", "http://[::1]:1", "localhost:1"] {
            assert!(Builder::new(near).token(token()).connect().is_ok(), "{near}");
        }
        assert!(Builder::new("http://10.1.2.3:7070").token(token()).allow_token_in_the_clear().connect().is_ok());
    }
}
