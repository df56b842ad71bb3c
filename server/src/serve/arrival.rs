//! What is known of a request when its headers have been read, before any thread has turned to its call.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Request;
use tokio::time::Instant;

use crate::admission::Caller;
use crate::tls::Peer;

/// When a request came, and from whom. Among its extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// When its headers had been read.
    pub(crate) at: Instant,
    /// Whose call it is.
    pub(crate) caller: Caller,
    /// Where it comes from.
    pub(crate) address: SocketAddr,
}

impl Arrival {
    /// That of `request`.
    ///
    /// # Panics
    /// When the request did not come through the accept loop.
    pub(crate) fn of<B>(request: &Request<B>) -> Arrival {
        *request.extensions().get().expect("Invariant: the accept loop notes the arrival of every request")
    }
}

/// Where a connection comes from. Among the extensions of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Its address, of IPv6 the half that tells subscribers apart.
    pub(crate) network: IpAddr,
    /// Who showed a client certificate.
    pub(crate) certificate: Option<Arc<Peer>>,
}
