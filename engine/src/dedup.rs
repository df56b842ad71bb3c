//! Request ids and the answers they got: exactly once, for as long as is stated.
//!
//! Ids are spread over slots by hash, each behind its own lock. A slot keeps its entries oldest first and forgets from the front, by
//! age and by number. Both follow from the events alone, so that a replay remembers the same.

use std::collections::VecDeque;

use ahash::RandomState;
use hashbrown::HashTable;
use quartermaster_journal::Lsn;

use crate::{
    catalog::hasher,
    codec,
    time::{Micros, Timestamp},
};

/// Number of slots. A power of two.
pub(crate) const SLOTS: usize = 256;

/// How long request ids are remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// Age at which an entry may go.
    pub(crate) age: Micros,
    /// Entries a slot keeps at most.
    pub(crate) entries: usize,
}

/// Ids are found through this hash in every slot.
#[derive(Debug)]
pub(crate) struct SlotHasher(RandomState);

impl Default for SlotHasher {
    fn default() -> Self {
        Self(hasher())
    }
}

impl SlotHasher {
    pub(crate) fn hash(&self, request_id: &str) -> u64 {
        self.0.hash_one(request_id)
    }

    /// The slot of a hash. Takes other bits than the table inside does.
    pub(crate) fn slot(hash: u64) -> usize {
        usize::from(hash.to_le_bytes()[4])
    }
}

/// A remembered request: the record of its event, which is its answer.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) lsn: Lsn,
    pub(crate) record: Box<[u8]>,
}

impl Entry {
    fn request_id(&self) -> &str {
        codec::peek(&self.record).request_id
    }
}

/// A part of the remembered requests.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    entries: VecDeque<Entry>,
    /// Sequence number of the entry at the front.
    first: u64,
    by_id: HashTable<u64>,
}

impl Slot {
    pub(crate) fn find(&self, hash: u64, request_id: &str) -> Option<&Entry> {
        let sequence = self.by_id.find(hash, |sequence| self.entry(*sequence).request_id() == request_id)?;
        Some(self.entry(*sequence))
    }

    /// Remembers a request and forgets what is too old or too much.
    pub(crate) fn insert(&mut self, hasher: &SlotHasher, entry: Entry, retention: Retention) {
        let peek = codec::peek(&entry.record);
        let (hash, horizon) = (hasher.hash(peek.request_id), peek.time.minus(retention.age));
        let sequence = self.first + u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        self.entries.push_back(entry);
        let (entries, first) = (&self.entries, self.first);
        self.by_id.insert_unique(hash, sequence, |sequence| hasher.hash(entries[place(*sequence, first)].request_id()));
        while self.entries.len() > retention.entries || self.front_time() < horizon {
            self.forget_front(hasher);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    fn entry(&self, sequence: u64) -> &Entry {
        &self.entries[place(sequence, self.first)]
    }

    fn front_time(&self) -> Timestamp {
        self.entries.front().map_or(Timestamp::MAX, |entry| codec::peek(&entry.record).time)
    }

    fn forget_front(&mut self, hasher: &SlotHasher) {
        if let Some(old) = self.entries.front() {
            let hash = hasher.hash(old.request_id());
            if let Ok(found) = self.by_id.find_entry(hash, |sequence| *sequence == self.first) {
                found.remove();
            }
            self.entries.pop_front();
            self.first += 1;
        }
    }
}

fn place(sequence: u64, first: u64) -> usize {
    usize::try_from(sequence - first).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Event, Record},
        id::ReservationId,
    };

    fn entry(id: &str, seconds: u64, lsn: u64) -> Entry {
        let event = Event::Extended { reservation: ReservationId(9), expires_at: Timestamp(1) };
        let record = Record {
            time: Timestamp(seconds * 1_000_000),
            request_id: id.into(),
            fingerprint: 7,
            actor: String::new(),
            event,
        };
        let mut bytes = Vec::new();
        codec::encode(&record, &mut bytes);
        Entry { lsn: Lsn::new(lsn), record: bytes.into() }
    }

    #[test]
    fn a_slot_forgets_by_age_and_by_number() {
        let (mut slot, hasher) = (Slot::default(), SlotHasher::default());
        let retention = Retention { age: Micros::from_secs(60), entries: 3 };
        let find = |slot: &Slot, id: &str| slot.find(hasher.hash(id), id).map(|entry| entry.lsn.get());
        for (lsn, id) in [(1, "a"), (2, "b"), (3, "c")] {
            slot.insert(&hasher, entry(id, lsn, lsn), retention);
        }
        assert_eq!((find(&slot, "a"), find(&slot, "c"), find(&slot, "d")), (Some(1), Some(3), None));
        slot.insert(&hasher, entry("d", 4, 4), retention);
        assert_eq!((find(&slot, "a"), find(&slot, "b")), (None, Some(2)), "three entries are kept");
        slot.insert(&hasher, entry("e", 63, 5), retention);
        assert_eq!((find(&slot, "b"), find(&slot, "c"), slot.len()), (None, Some(3), 3), "sixty seconds are kept");
        slot.insert(&hasher, entry("f", 200, 6), retention);
        assert_eq!((find(&slot, "e"), find(&slot, "f"), slot.len()), (None, Some(6), 1));
    }
}
