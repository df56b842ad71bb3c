//! How the server is, said in one place: gRPC health (per service), readiness and the state that GetStatus tells.

use std::sync::Arc;

use parking_lot::Mutex;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::methods::Methods;

/// What the server is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Recovering; nothing is answered yet.
    #[default]
    Starting,
    /// Taking calls.
    Serving,
    /// Stopping: finishing what is in work.
    Draining,
    /// The journal failed; the process is about to end. Stays so.
    Failed,
}

impl Phase {
    /// As GetStatus tells it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Serving => "serving",
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
}

impl Health {
    /// A server that starts, with every service of ours and the whole ("") not serving.
    pub async fn new(methods: &Methods) -> Health {
        let services: Arc<[String]> = methods.own_services().chain([String::new()]).collect();
        let health = Health { reporter: HealthReporter::new(), services, phase: Arc::default() };
        health.set(Phase::Starting).await;
        health
    }

    /// What the server is doing.
    pub fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    /// Enters `phase` and tells those who watch. A failed server stays failed.
    pub async fn set(&self, phase: Phase) {
        let phase = {
            let mut current = self.phase.lock();
            if *current != Phase::Failed {
                *current = phase;
            }
            *current
        };
        let status = if phase == Phase::Serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in self.services.iter() {
            self.reporter.set_service_status(service, status).await;
        }
    }

    pub(crate) fn reporter(&self) -> HealthReporter {
        self.reporter.clone()
    }
}
