//! Request ids and the answers they got: exactly once, for as long as is stated.
//!
//! Ids are spread over slots by hash, each behind its own lock. A slot keeps its entries oldest first and forgets from the front, by
//! age and by number. Both follow from the events alone, so that a replay remembers the same.

mod records;

use quartermaster_journal::Lsn;

use self::records::{At, Records};
use crate::{
    codec,
    fingerprint::Fingerprinter,
    id::usize_from,
    queue::Queue,
    table::{Table, Tag},
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

/// Ids are found through this hash in every slot. A snapshot keeps its entries by slot, so this may never change.
#[derive(Debug, Default)]
pub(crate) struct SlotHasher;

impl SlotHasher {
    pub(crate) fn hash(&self, request_id: &str) -> u64 {
        self.hash_bytes(request_id.as_bytes())
    }

    fn hash_bytes(&self, request_id: &[u8]) -> u64 {
        Fingerprinter::default().bytes(request_id).finish()
    }

    /// The slot of a hash. Takes other bits than the table inside does.
    pub(crate) fn slot(hash: u64) -> usize {
        usize::from(hash.to_le_bytes()[4])
    }
}

/// A remembered request: the record of its event, which is its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) lsn: Lsn,
    pub(crate) record: &'a [u8],
}

/// What is kept of one.
#[derive(Clone, Copy, Debug)]
struct Kept {
    lsn: Lsn,
    at: At,
}

/// A part of the remembered requests.
#[derive(Debug)]
pub(crate) struct Slot {
    entries: Queue<Kept>,
    records: Records,
    /// Time of the entry at the front, which every new entry asks for.
    oldest: Timestamp,
    /// Sequence number of the entry at the front.
    first: u32,
    by_id: Table,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            entries: Queue::default(),
            records: Records::default(),
            oldest: Timestamp::MAX,
            first: 0,
            by_id: Table::default(),
        }
    }
}

impl Slot {
    pub(crate) fn find(&self, hash: u64, request_id: &str) -> Option<Entry<'_>> {
        let same = |sequence| codec::peek_request_id(self.entry(sequence).record) == request_id.as_bytes();
        self.by_id.find(Tag::of(hash), same).map(|sequence| self.entry(sequence))
    }

    /// Asks for the memory that `find` and `insert` need for a request of this hash.
    pub(crate) fn ask_for(&self, hash: u64) {
        self.by_id.ask_for(Tag::of(hash));
        self.entries.ask_for_next();
        self.records.ask_for_next();
    }

    /// Remembers a request, whose id has this hash, and forgets what is too old or too much.
    pub(crate) fn insert(&mut self, hash: u64, entry: Entry<'_>, retention: Retention) {
        let time = codec::peek_time(entry.record);
        let horizon = time.minus(retention.age);
        let length = u32::try_from(self.entries.len()).expect("Invariant: a slot remembers fewer than 2^32 requests");
        let sequence = self.first.wrapping_add(length);
        if self.entries.is_empty() {
            self.oldest = time;
        }
        self.entries.push(Kept { lsn: entry.lsn, at: self.records.push(entry.record) });
        self.by_id.insert(Tag::of(hash), sequence);
        while self.entries.len() > retention.entries || self.oldest < horizon {
            self.forget_front();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter_from(0).map(|kept| self.shown(kept))
    }

    /// LSN of the newest entry; zero when there is none.
    pub(crate) fn newest(&self) -> Lsn {
        self.entries.last().map_or(Lsn::ZERO, |kept| kept.lsn)
    }

    /// Those of later events than this, oldest first.
    pub(crate) fn entries_past(&self, lsn: Lsn) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter_from(self.entries.partition_point(|kept| kept.lsn <= lsn)).map(|kept| self.shown(kept))
    }

    fn shown(&self, kept: &Kept) -> Entry<'_> {
        Entry { lsn: kept.lsn, record: self.records.get(kept.at) }
    }

    fn entry(&self, sequence: u32) -> Entry<'_> {
        let kept = self.entries.get(usize_from(sequence.wrapping_sub(self.first)));
        self.shown(kept.expect("Invariant: an entry stands until it is forgotten"))
    }

    fn front_time(&self) -> Timestamp {
        self.entries.first().map_or(Timestamp::MAX, |kept| codec::peek_time(self.shown(kept).record))
    }

    fn forget_front(&mut self) {
        if let Some(old) = self.entries.first() {
            let tag = Tag::of(SlotHasher.hash_bytes(codec::peek_request_id(self.shown(old).record)));
            let found = self.by_id.remove(tag, self.first);
            assert!(found, "Invariant: an entry is found by its id until it is forgotten");
            self.entries.pop();
            self.records.forget_before(self.entries.first().map(|kept| kept.at));
            self.first = self.first.wrapping_add(1);
            self.oldest = self.front_time();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Event, Record},
        id::ReservationId,
    };

    fn insert(slot: &mut Slot, id: &str, (seconds, lsn): (u64, u64), retention: Retention) {
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
        slot.insert(SlotHasher.hash(id), Entry { lsn: Lsn::new(lsn), record: &bytes }, retention);
    }

    #[test]
    fn a_slot_forgets_by_age_and_by_number() {
        let (mut slot, hasher) = (Slot::default(), SlotHasher);
        let retention = Retention { age: Micros::from_secs(60), entries: 3 };
        let find = |slot: &Slot, id: &str| slot.find(hasher.hash(id), id).map(|entry| entry.lsn.get());
        for (lsn, id) in [(1, "a"), (2, "b"), (3, "c")] {
            insert(&mut slot, id, (lsn, lsn), retention);
        }
        assert_eq!((find(&slot, "a"), find(&slot, "c"), find(&slot, "d")), (Some(1), Some(3), None));
        insert(&mut slot, "d", (4, 4), retention);
        assert_eq!((find(&slot, "a"), find(&slot, "b")), (None, Some(2)), "three entries are kept");
        insert(&mut slot, "e", (63, 5), retention);
        assert_eq!((find(&slot, "b"), find(&slot, "c"), slot.len()), (None, Some(3), 3), "sixty seconds are kept");
        insert(&mut slot, "f", (200, 6), retention);
        assert_eq!((find(&slot, "e"), find(&slot, "f"), slot.len()), (None, Some(6), 1));
    }

    /// Snapshots keep entries by slot: these figures are part of the format.
    #[test]
    fn the_hash_of_a_request_id_never_changes() {
        for (id, hash, slot) in [("a", 0x7287_3025_149c_83ce, 37), ("order-1", 0xb284_f054_9d98_894e, 84)] {
            assert_eq!((SlotHasher.hash(id), SlotHasher::slot(SlotHasher.hash(id))), (hash, slot), "{id}");
        }
    }

    /// The two ids have the same low half of their hash, which is all that the table keeps of it.
    #[test]
    fn ids_whose_hashes_collide_are_told_apart() {
        let (mut slot, hasher) = (Slot::default(), SlotHasher);
        let (one, other) = ("id21137", "id43230");
        assert_eq!(Tag::of(hasher.hash(one)), Tag::of(hasher.hash(other)));
        let retention = Retention { age: Micros::from_secs(60), entries: 2 };
        let find = |slot: &Slot, id: &str| slot.find(hasher.hash(id), id).map(|entry| entry.lsn.get());
        insert(&mut slot, one, (1, 1), retention);
        assert_eq!((find(&slot, one), find(&slot, other)), (Some(1), None));
        insert(&mut slot, other, (1, 2), retention);
        assert_eq!((find(&slot, one), find(&slot, other)), (Some(1), Some(2)));
        insert(&mut slot, "z", (1, 3), retention);
        assert_eq!((find(&slot, one), find(&slot, other)), (None, Some(2)), "the older of them went");
        let kept: Vec<u64> = slot.entries().map(|entry| entry.lsn.get()).collect();
        assert_eq!(kept, [2, 3]);
    }
}
