//! What the buyers were told: every reservation that the server acknowledged, with the last state it acknowledged.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quartermaster_proto::v1::{Allocation, Hold};

/// The last state that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acked {
    /// A hold: it may have expired since.
    Held,
    /// Paid.
    Confirmed,
    /// Gone.
    Shipped,
}

/// An acknowledged reservation.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The request that made it.
    pub request_id: String,
    /// Units by SKU and location, as granted.
    pub lines: Vec<Allocation>,
    /// Last acknowledged state.
    pub acked: Acked,
    /// When the hold expires, since the Unix epoch.
    pub expires: Duration,
}

/// Acknowledged reservations by id, shared by all buyers.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<HashMap<String, Entry>>,
    conflicts: Mutex<Vec<String>>,
}

impl Ledger {
    /// Enters a granted hold.
    pub fn held(&self, request_id: &str, hold: &Hold) {
        let expires = hold.expire_time.and_then(|time| SystemTime::try_from(time).ok());
        let entry = Entry {
            request_id: request_id.to_owned(),
            lines: hold.allocations.clone(),
            acked: Acked::Held,
            expires: expires.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default(),
        };
        let mut entries = self.entries();
        match entries.get(&hold.reservation_id) {
            Some(known) if known.request_id != request_id => {
                let conflict = format!(
                    "reservation {} was given to request {} and to request {request_id}",
                    hold.reservation_id, known.request_id
                );
                self.conflicts.lock().unwrap_or_else(PoisonError::into_inner).push(conflict);
            }
            Some(_) => {}
            None => {
                entries.insert(hold.reservation_id.clone(), entry);
            }
        }
    }

    /// Enters an acknowledged step of a known reservation.
    pub fn advanced(&self, reservation_id: &str, to: Acked) {
        if let Some(entry) = self.entries().get_mut(reservation_id) {
            entry.acked = to;
        }
    }

    /// All entries, by id.
    pub fn snapshot(&self) -> Vec<(String, Entry)> {
        let mut all: Vec<_> = self.entries().iter().map(|(id, entry)| (id.clone(), entry.clone())).collect();
        all.sort_by(|one, two| one.0.cmp(&two.0));
        all
    }

    /// Reservations that two requests were given. Must be empty.
    pub fn conflicts(&self) -> Vec<String> {
        self.conflicts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many reservations are acknowledged.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether nothing is acknowledged.
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(id: &str) -> Hold {
        Hold { reservation_id: id.to_owned(), ..Hold::default() }
    }

    #[test]
    fn a_replayed_hold_changes_nothing() {
        let ledger = Ledger::default();
        ledger.held("r1", &hold("A"));
        ledger.advanced("A", Acked::Confirmed);
        ledger.held("r1", &hold("A"));
        assert_eq!(ledger.snapshot()[0].1.acked, Acked::Confirmed);
        assert!(ledger.conflicts().is_empty());
    }

    #[test]
    fn one_reservation_for_two_requests_is_a_conflict() {
        let ledger = Ledger::default();
        ledger.held("r1", &hold("A"));
        ledger.held("r2", &hold("A"));
        assert_eq!(ledger.conflicts(), ["reservation A was given to request r1 and to request r2"]);
    }
}
