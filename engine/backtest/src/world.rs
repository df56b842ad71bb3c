//! The other world: an engine that nobody waits for.

use std::sync::Arc;

use quartermaster_engine::{
    Answer, Engine, EngineConfig, Error,
    command::{Command, Request, Step},
    id::{LocationId, ReservationId, SkuId},
    recovery::Recovery,
    reservation::Reservation,
    time::{Micros, Timestamp},
};
use quartermaster_journal::Lsn;

use crate::journal::Numbers;

/// An engine and how it is spoken to.
pub(crate) struct World {
    pub(crate) engine: Engine,
    nobody: Request,
}

impl World {
    /// What a restart makes of a recovery, with the log of this world beginning after `lsn`.
    pub(crate) fn begin(recovery: Recovery, lsn: Lsn) -> Self {
        let engine = recovery.finish(Arc::new(Numbers::after(lsn)));
        Self { engine, nobody: Request::unnamed() }
    }

    /// Ended reservations are of no use here, and requests are never repeated.
    pub(crate) fn config() -> EngineConfig {
        EngineConfig {
            dedup_entries_max: 0,
            ended_retention: Micros::from_secs(3600),
            ended_entries_max: 25_600,
            shipped_retention: Micros::from_secs(3600),
            shipped_entries_max: 25_600,
            ..EngineConfig::default()
        }
    }

    pub(crate) fn submit(&self, command: &Command, now: Timestamp) -> Result<Answer, Error> {
        self.engine.submit(&self.nobody, command, now)
    }

    pub(crate) fn step(&self, id: ReservationId, step: Step, now: Timestamp) -> Result<Answer, Error> {
        self.submit(&Command::Reservation(id, step), now)
    }

    /// A reservation that still has something open.
    pub(crate) fn open(&self, id: ReservationId) -> Option<Reservation> {
        let (_, reservation) = self.engine.reservation(id).ok()?;
        reservation.state.is_open().then_some(reservation)
    }

    pub(crate) fn sku(&self, id: SkuId) -> String {
        self.engine.catalogue().sku_code(id).to_owned()
    }

    pub(crate) fn location(&self, id: LocationId) -> String {
        self.engine.catalogue().directory().location_code(id).to_owned()
    }
}
