//! The accept loop: how many connections there are, in all and from one address, and how they end together.
//!
//! A loop of our own because the usual one never closes a connection that sends nothing. At a bound, new connections are closed at once:
//! those that are there go on as if nothing had happened.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Status;

use super::addresses::Addresses;
use super::arrival::Arrival;
use super::connection::Connection;
use crate::config::Config;
use crate::metrics::{Metrics, ShedCause};
use crate::shutdown::Stop;
use crate::tls::PortTls;

/// Pause after the system refused to accept, usually because all file descriptors are in use: no busy loop, no exit.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers the requests of all connections.
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    /// What answers are made of.
    type Body: Body<Data = Bytes, Error = Status> + Send + Unpin + 'static;

    /// Answers one.
    fn answer(&self, request: Request<Incoming>, arrival: Arrival)
    -> impl Future<Output = Response<Self::Body>> + Send;
}

/// What holds for every connection of a listener.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    /// Open at once.
    max: usize,
    /// Open at once from one address.
    per_address_max: usize,
    each: Connection,
    /// Rises with each drain, which all present connections are to leave by.
    drains: watch::Receiver<u64>,
}

impl Connections {
    pub(super) fn of(config: &Config) -> Connections {
        Connections {
            max: usize::try_from(config.connections_max).unwrap_or(usize::MAX),
            per_address_max: usize::try_from(config.connections_per_address_max).unwrap_or(usize::MAX),
            each: Connection::of(config),
            // Nobody drains it: the sender is gone.
            drains: watch::channel(0).1,
        }
    }

    /// Open at once.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Through TLS, where there is any.
    pub(super) fn with_tls(self, tls: Option<PortTls>) -> Connections {
        Connections { each: self.each.with_tls(tls), ..self }
    }

    /// With answers over HTTP/2 that tell no date by themselves.
    pub(super) fn undated(self) -> Connections {
        Connections { each: self.each.undated(), ..self }
    }

    /// No more than `max`, whatever the configuration says.
    pub(super) fn at_most(self, max: usize) -> Connections {
        Connections { max: self.max.min(max), ..self }
    }

    /// Asked to leave when `drains` rises.
    pub(super) fn drained_by(self, drains: watch::Receiver<u64>) -> Connections {
        Connections { drains, ..self }
    }

    /// Accepts and serves until `stop`, then lets the connections finish for at most `grace`. Gives how many were cut off.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        service: impl Answer,
        metrics: Option<Arc<Metrics>>,
        mut stop: Stop,
        grace: impl Fn() -> Duration + Send,
    ) -> usize {
        let mut open = JoinSet::new();
        let addresses = Addresses::at_most(self.per_address_max);
        loop {
            if let Some(metrics) = &metrics {
                metrics.set_connections(open.len());
            }
            let accepted = tokio::select! {
                // Once the stop is ordered nobody else is let in, though he may be waiting already.
                biased;
                () = stop.ordered() => break,
                Some(_ended) = open.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let shed = |cause| metrics.iter().for_each(|metrics| metrics.shed(cause));
            match accepted {
                Ok(_refused) if open.len() >= self.max => shed(ShedCause::Connections),
                Ok((stream, peer)) => match addresses.enter(peer.ip()) {
                    Some(place) => {
                        let (each, drains) = (self.each.clone(), self.drains.clone());
                        let serving = each.serve(stream, service.clone(), metrics.clone(), stop.clone(), drains);
                        open.spawn(async move {
                            let _place = place;
                            serving.await;
                        });
                    }
                    None => shed(ShedCause::Address),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let finished = timeout(grace(), async { while open.join_next().await.is_some() {} }).await;
        let cut_off = if finished.is_ok() { 0 } else { open.len() };
        if let Some(metrics) = &metrics {
            metrics.set_connections(0);
        }
        cut_off
    }
}
