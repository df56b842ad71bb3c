//! A running server, from outside.

use std::error::Error;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Where a server listens by default.
pub(super) const DEFAULT_TARGET: &str = "http://127.0.0.1:7070";

/// Which server to ask.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Target {
    /// URL of the server.
    #[arg(long, value_name = "URL", default_value = DEFAULT_TARGET, env = "QUARTERMASTER_TARGET", global = true)]
    pub(super) target: String,
}

impl Target {
    /// A channel to it, which connects when it is used. `host:port` alone will do.
    pub(super) fn channel(&self) -> Result<Channel, String> {
        let url = if self.target.contains("://") { self.target.clone() } else { format!("http://{}", self.target) };
        let endpoint = Endpoint::from_shared(url)
            .map_err(|error| format!("{:?} is no URL ({error}); write it as {DEFAULT_TARGET}", self.target))?;
        Ok(endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true).connect_lazy())
    }

    /// What a failed call means, and what to do.
    pub(super) fn explain(&self, status: &Status) -> String {
        let causes = causes(status);
        let advice = match status.code() {
            Code::Unavailable => format!("\n  is a server running at {}? Name another with --target", self.target),
            Code::Unimplemented => format!("\n  {} is no Quartermaster, or an older one", self.target),
            _ => String::new(),
        };
        format!("{:?}: {}{causes}{advice}", status.code(), status.message())
    }
}

fn causes(status: &Status) -> String {
    let mut text = String::new();
    let mut cause = status.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Every layer likes to say what the one below it said.
        if !status.message().contains(&words) && !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

/// Whether asking again with the same request id may help: the server was not there, is too busy, or the connection broke.
pub(super) fn may_retry(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => true,
        // What our servers never send, but a broken connection looks like.
        Code::Unknown | Code::Cancelled | Code::Internal => status.source().is_some(),
        _ => false,
    }
}
