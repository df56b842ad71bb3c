//! Request ids: each is carried out once, for as long as ids are remembered.

use ahash::RandomState;
use hashbrown::HashMap;
use quartermaster_journal::Lsn;

use super::{Check, Fault, History};
use crate::{event::Record, time::Timestamp};

/// A use of a request id.
#[derive(Clone, Copy)]
pub(super) struct Use {
    pub(super) lsn: Lsn,
    pub(super) time: Timestamp,
}

/// The last use of every request id, by two hashes of it: 128 bits do not collide by accident, and the ids of millions of records
/// would not fit.
pub(super) struct Requests {
    hashers: [RandomState; 2],
    last: HashMap<(u64, u64), Use, RandomState>,
}

impl Default for Requests {
    fn default() -> Self {
        let hasher = |seed| RandomState::with_seeds(seed, 0x0DD5, 0xC0DE, 0x1D5);
        Self { hashers: [hasher(1), hasher(2)], last: HashMap::with_hasher(hasher(3)) }
    }
}

impl Requests {
    fn key(&self, request_id: &str) -> (u64, u64) {
        (self.hashers[0].hash_one(request_id), self.hashers[1].hash_one(request_id))
    }

    pub(super) fn last(&self, request_id: &str) -> Option<Use> {
        self.last.get(&self.key(request_id)).copied()
    }

    /// Notes a use; gives the one before.
    pub(super) fn put(&mut self, request_id: &str, this: Use) -> Option<Use> {
        self.last.insert(self.key(request_id), this)
    }
}

impl History {
    pub(super) fn check_request(&mut self, lsn: Lsn, record: &Record) {
        if record.request_id.is_empty() {
            return;
        }
        let Some(first) = self.requests.put(&record.request_id, Use { lsn, time: record.time }) else { return };
        // What a snapshot remembers of the record itself is no other use.
        let again = first.lsn != lsn;
        let young = record.time.0.saturating_sub(first.time.0) < self.rules.dedup_retention.0;
        // Ids are forgotten by slot: one slot may be full when all of them hold half of what they can.
        let recent = lsn.get().saturating_sub(first.lsn.get()) < self.rules.dedup_entries_max / 2;
        if again && young && recent {
            let request_id = record.request_id.clone();
            self.findings.add(Check::RequestIds, Fault::RequestIdTwice { request_id, first: first.lsn });
        }
    }
}
