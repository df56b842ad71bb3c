//! What is known of a request when its headers have been read, before any thread has turned to its call.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Request;
use tokio::time::Instant;

use crate::admission::Caller;
use crate::tls::Peer;

/// When a request came, and from whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// When its headers had been read.
    pub(crate) at: Instant,
    /// Whose call it is.
    pub(crate) caller: Caller,
    /// Where it comes from.
    pub(crate) address: SocketAddr,
}

/// Where a connection comes from.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its address, of IPv6 the half that tells subscribers apart.
    pub(crate) network: IpAddr,
    /// Who showed a client certificate.
    pub(crate) certificate: Option<Peer>,
}

/// What the accept loop notes of a request, as one of its extensions.
#[derive(Clone)]
struct Noted {
    arrival: Arrival,
    source: Arc<Source>,
}

/// Notes that `request` has come now.
pub(super) fn note<B>(request: &mut Request<B>, caller: Caller, address: SocketAddr, source: &Arc<Source>) {
    let arrival = Arrival { at: Instant::now(), caller, address };
    request.extensions_mut().insert(Noted { arrival, source: Arc::clone(source) });
}

fn noted<B>(request: &Request<B>) -> &Noted {
    request.extensions().get().expect("Invariant: the accept loop notes the arrival of every request")
}

impl Arrival {
    /// That of `request`.
    ///
    /// # Panics
    /// When the request did not come through the accept loop.
    pub(crate) fn of<B>(request: &Request<B>) -> Arrival {
        noted(request).arrival
    }
}

impl Source {
    /// That of `request`.
    ///
    /// # Panics
    /// As [`Arrival::of`].
    pub(crate) fn of<B>(request: &Request<B>) -> &Source {
        &noted(request).source
    }
}
