//! What is known of a request when its headers have been read, before any thread has turned to its call.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::time::Instant;

use crate::admission::{Caller, network};
use crate::tls::Peer;

/// When a request came, and from where. It goes beside the request: among its extensions it would be a table and two boxes for each call.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// When its headers had been read.
    pub(crate) at: Instant,
    /// The connection it came by.
    pub(crate) source: Arc<Source>,
}

/// Where a connection comes from.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// What counts as one address: of IPv6 the half that tells subscribers apart.
    pub(crate) network: IpAddr,
    /// Whose calls come by it.
    pub(crate) caller: Caller,
    /// Who showed a client certificate.
    pub(crate) certificate: Option<Peer>,
}

impl Arrival {
    /// Of a request that has come now.
    pub(super) fn now(source: &Arc<Source>) -> Arrival {
        Arrival { at: Instant::now(), source: Arc::clone(source) }
    }
}

impl Source {
    /// That of a connection from `address`.
    pub(super) fn new(address: SocketAddr, certificate: Option<Peer>) -> Source {
        Source { address, network: network(address.ip()), caller: Caller::at(address.ip()), certificate }
    }
}
