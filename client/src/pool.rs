//! Connections, used in turn; one that fails is passed over for a while.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::credentials::Credentials;

/// What generated stubs are made over: a connection that sends the caller's token. Cheap to clone.
pub type Transport = InterceptedService<Channel, Credentials>;

/// How long a connection that failed is passed over while there are others.
const PASSED_OVER: Duration = Duration::from_secs(1);

/// All connections of a client.
#[derive(Debug)]
pub(crate) struct Pool {
    ways: Vec<Way>,
    next: AtomicUsize,
    began: Instant,
}

#[derive(Debug)]
struct Way {
    transport: Transport,
    /// Milliseconds since the pool began until which it is passed over.
    passed_over_until: AtomicU64,
}

impl Pool {
    /// # Panics
    /// Without any connection.
    pub(crate) fn new(transports: Vec<Transport>) -> Pool {
        assert!(!transports.is_empty(), "a pool has connections");
        let way = |transport| Way { transport, passed_over_until: AtomicU64::new(0) };
        Pool { ways: transports.into_iter().map(way).collect(), next: AtomicUsize::new(0), began: Instant::now() }
    }

    pub(crate) fn len(&self) -> usize {
        self.ways.len()
    }

    /// The next connection that has not failed just now; if all have, the next.
    pub(crate) fn take(&self) -> (usize, Transport) {
        // Relaxed throughout: the figures order nothing.
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        let mut turn = (0..self.ways.len()).map(|step| first.wrapping_add(step) % self.ways.len());
        let sound = |at: &usize| self.ways[*at].passed_over_until.load(Ordering::Relaxed) <= now;
        let at = turn.find(sound).unwrap_or(first % self.ways.len());
        (at, self.ways[at].transport.clone())
    }

    /// The connection failed.
    pub(crate) fn failed(&self, at: usize) {
        let until = self.now() + u64::try_from(PASSED_OVER.as_millis()).unwrap_or(0);
        self.ways[at].passed_over_until.store(until, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - (1 << 32)).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use tonic::transport::Endpoint;

    use super::*;

    #[tokio::test]
    async fn a_failed_connection_is_passed_over_while_there_are_others() {
        let transport = || {
            let channel = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
            InterceptedService::new(channel, Credentials::none())
        };
        let pool = Pool::new(vec![transport(), transport(), transport()]);
        let turns = |count: usize| (0..count).map(|_| pool.take().0).collect::<Vec<_>>();
        assert_eq!(turns(4), [0, 1, 2, 0]);
        pool.failed(1);
        assert!(!turns(6).contains(&1));
        pool.failed(0);
        pool.failed(2);
        assert_eq!(turns(6).len(), 6, "all have failed: any is better than none");
    }
}
