//! The bounds of the frame that can change while it serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Response;
use tonic::Status;
use tonic::body::Body;

use super::refusals::Refusals;
use crate::admission::{Admission, Refused};
use crate::config::Config;
use crate::reload::Reload;

/// Read by every call; relaxed atomics, since each stands for itself.
#[derive(Debug)]
pub(crate) struct Tunables {
    default_deadline_nanos: AtomicU64,
    drain_grace_nanos: AtomicU64,
    admission: Arc<Admission>,
    refusals: ArcSwap<Refusals>,
}

impl Tunables {
    pub(super) fn new(config: &Config, admission: Arc<Admission>) -> Tunables {
        Tunables {
            default_deadline_nanos: AtomicU64::new(nanos(config.default_deadline)),
            drain_grace_nanos: AtomicU64::new(nanos(config.drain_grace)),
            admission,
            refusals: ArcSwap::from_pointee(Refusals::new(config)),
        }
    }

    /// Time of a unary call without a deadline of its own.
    pub(super) fn default_deadline(&self) -> Duration {
        Duration::from_nanos(self.default_deadline_nanos.load(Ordering::Relaxed))
    }

    /// Time calls have to finish at a stop.
    pub(super) fn drain_grace(&self) -> Duration {
        Duration::from_nanos(self.drain_grace_nanos.load(Ordering::Relaxed))
    }

    /// What a call that was not let in is told.
    pub(super) fn refusal(&self, refused: Refused) -> Status {
        self.refusals.load().status(refused)
    }

    /// The same as a gRPC answer.
    pub(super) fn refusal_response(&self, refused: Refused) -> Response<Body> {
        self.refusals.load().response(refused)
    }
}

impl Reload for Tunables {
    fn keys(&self) -> &'static [&'static str] {
        &["default_deadline", "drain_grace", "in_flight_max", "queue_wait_target", "queue_wait_interval"]
    }

    /// Ranges are all there is to check, and they were.
    fn check(&self, _: &Config) -> Result<(), String> {
        Ok(())
    }

    fn take(&self, config: &Config) -> Result<(), String> {
        self.default_deadline_nanos.store(nanos(config.default_deadline), Ordering::Relaxed);
        self.drain_grace_nanos.store(nanos(config.drain_grace), Ordering::Relaxed);
        self.admission.set(config.in_flight_max, config.queue_wait_target, config.queue_wait_interval);
        self.refusals.store(Arc::new(Refusals::new(config)));
        Ok(())
    }
}

/// Saturating: 584 years, and the longest setting is an hour.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_bounds_hold_at_once_and_refusals_name_them() {
        let config = Config::default();
        let admission = Admission::new(config.in_flight_max, config.queue_wait_target, config.queue_wait_interval);
        let tunables = Tunables::new(&config, Arc::clone(&admission));
        let other = Config { in_flight_max: 16, default_deadline: Duration::from_secs(3), ..config };
        tunables.take(&other).unwrap();
        assert_eq!((admission.max(), admission.limit()), (16, 14));
        assert_eq!(tunables.default_deadline(), Duration::from_secs(3));
        assert!(format!("{:?}", tunables.refusal(Refused::InFlight)).contains("16"));
    }
}
