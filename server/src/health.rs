//! How the server is, said in one place: gRPC health (per service), readiness and the state that GetStatus tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::methods::Methods;

/// A change that waits for the disk so long makes the server not ready: its callers' deadlines pass, and others may serve them.
pub const DISK_LAG_MAX: Duration = Duration::from_secs(2);

/// What the server is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Recovering; nothing is answered yet.
    #[default]
    Starting,
    /// Taking calls.
    Serving,
    /// Taking calls, but the disk has not answered for [`DISK_LAG_MAX`]: no answer leaves before it does. Ends by itself.
    Stalled,
    /// Stopping, or drained by hand: finishing what is in work, and asking callers to go elsewhere.
    Draining,
    /// The journal failed; the process is about to end. Stays so.
    Failed,
}

impl Phase {
    /// All of them.
    pub const ALL: [Phase; 5] = [Phase::Starting, Phase::Serving, Phase::Stalled, Phase::Draining, Phase::Failed];

    /// As GetStatus tells it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Serving => "serving",
            Phase::Stalled => "stalled",
            Phase::Draining => "draining",
            Phase::Failed => "failed",
        }
    }
}

/// The state of the server. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
    services: Arc<[String]>,
    phase: Arc<Mutex<Phase>>,
    /// How often callers were asked to leave.
    drains: Arc<watch::Sender<u64>>,
    /// The order to stop was given: no drain is undone any more.
    stopping: Arc<AtomicBool>,
}

impl Health {
    /// A server that starts, with every service of ours and the whole ("") not serving.
    pub async fn new(methods: &Methods) -> Health {
        let services: Arc<[String]> = methods.own_services().chain([String::new()]).collect();
        let health = Health {
            reporter: HealthReporter::new(),
            services,
            phase: Arc::default(),
            drains: Arc::default(),
            stopping: Arc::default(),
        };
        health.set(Phase::Starting).await;
        health
    }

    /// What the server is doing.
    pub fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    /// Enters `phase` and tells those who watch. A failed server stays failed.
    pub async fn set(&self, phase: Phase) {
        {
            let mut current = self.phase.lock();
            if *current != Phase::Failed {
                *current = phase;
            }
        }
        self.tell().await;
    }

    /// Takes the server out of rotation without ending it: not serving, and present connections are asked to leave. Gives the phase now,
    /// which is another than draining where there was nothing to drain: a server that starts or has failed.
    pub async fn drain(&self) -> Phase {
        let entered = {
            let mut current = self.phase.lock();
            let serves = matches!(*current, Phase::Serving | Phase::Stalled);
            if serves {
                *current = Phase::Draining;
            }
            serves
        };
        if entered {
            self.drains.send_modify(|drains| *drains += 1);
            self.tell().await;
        }
        self.phase()
    }

    /// Undoes [`drain`](Health::drain), unless the server is stopping. Gives the phase now.
    pub async fn undrain(&self) -> Phase {
        {
            let mut current = self.phase.lock();
            if *current == Phase::Draining && !self.stopping.load(Ordering::SeqCst) {
                *current = Phase::Serving;
            }
        }
        self.tell().await;
        self.phase()
    }

    /// The order to stop was given: draining for good.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.set(Phase::Draining).await;
    }

    /// Rises with each drain.
    pub(crate) fn drains(&self) -> watch::Receiver<u64> {
        self.drains.subscribe()
    }

    /// Learns how long the oldest change waits for the disk: a serving server stalls and serves again by that, any other stays.
    pub async fn disk_lags(&self, lag: Duration) {
        {
            let mut current = self.phase.lock();
            *current = match (*current, lag >= DISK_LAG_MAX) {
                (Phase::Serving, true) => Phase::Stalled,
                (Phase::Stalled, false) => Phase::Serving,
                _ => return,
            };
        }
        let phase = self.phase();
        tracing::warn!(phase = phase.name(), ?lag, "the disk decides whether the server is ready");
        self.tell().await;
    }

    /// Tells those who watch, until what was told last is how it is: two changes may be told at once.
    async fn tell(&self) {
        loop {
            let phase = self.phase();
            let status = if phase == Phase::Serving { ServingStatus::Serving } else { ServingStatus::NotServing };
            for service in self.services.iter() {
                self.reporter.set_service_status(service, status).await;
            }
            if self.phase() == phase {
                return;
            }
        }
    }

    pub(crate) fn reporter(&self) -> HealthReporter {
        self.reporter.clone()
    }
}
