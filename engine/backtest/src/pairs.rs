//! Which reservation of the other world stands for which of the log.

use std::collections::BTreeMap;

use quartermaster_engine::id::ReservationId;

/// Reservations of the log that are still open, and what they are in the other world.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    pairs: BTreeMap<ReservationId, Option<ReservationId>>,
    /// Reservations of a snapshot are the same in both worlds.
    from_snapshot: bool,
}

impl Pairs {
    pub(crate) fn new(from_snapshot: bool) -> Self {
        Self { pairs: BTreeMap::new(), from_snapshot }
    }

    /// Pairs a reservation with what it became; `None` when it was refused there.
    pub(crate) fn put(&mut self, log: ReservationId, other: Option<ReservationId>) {
        self.pairs.insert(log, other);
    }

    /// What stands for a reservation of the log.
    pub(crate) fn get(&self, log: ReservationId) -> Option<ReservationId> {
        match self.pairs.get(&log) {
            Some(other) => *other,
            None if self.from_snapshot => Some(log),
            None => None,
        }
    }

    /// The log's reservation has ended: nothing more will be heard of it.
    pub(crate) fn forget(&mut self, log: ReservationId) {
        self.pairs.remove(&log);
    }
}
