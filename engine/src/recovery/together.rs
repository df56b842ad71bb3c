//! A stretch of the log applied by several hands at once.
//!
//! First each hand decodes and checks a part of the stretch. Then each goes through all of it and applies what lies in its own shards,
//! remembers what falls into its own dedup slots, and leaves the rest alone: a shard can be brought forward without its neighbours, and
//! so can a slot, so the outcome is that of one hand. Records that change the catalogue, which all share, are applied between two such
//! passes, by the caller.

use quartermaster_journal::Lsn;
use quartermaster_sync::{Mutex, MutexGuard, RwLockWriteGuard, crew::Crew};

use super::{
    Recovery, RecoveryError, ahead, check,
    read::{Read, Told},
};
use crate::{
    dedup::{SLOTS, Slot},
    engine::Engine,
    event::ShardSet,
    id::{SHARDS, ShardId},
    near,
    shard::Shard,
    time::Timestamp,
};

/// A stretch is full at so many records: enough that starting a hand's thread costs little beside its part.
const RECORDS: usize = 65_536;

/// And at so many bytes, which bounds what decoding them takes.
const BYTES: usize = 16 << 20;

/// Records of the log, in order, copied out of it.
#[derive(Clone, Debug)]
pub struct Stretch {
    bytes: Vec<u8>,
    /// LSN of each record, and where it ends.
    ends: Vec<(Lsn, usize)>,
    records_max: usize,
}

impl Default for Stretch {
    fn default() -> Self {
        Self::of(RECORDS)
    }
}

impl Stretch {
    /// An empty one that is full at so many records, and not before it has one.
    #[must_use]
    pub fn of(records_max: usize) -> Self {
        Self { bytes: Vec::new(), ends: Vec::new(), records_max: records_max.max(1) }
    }

    /// Appends the next record.
    pub fn push(&mut self, lsn: Lsn, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push((lsn, self.bytes.len()));
    }

    /// Whether it is long enough to be worth applying.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.ends.len() >= self.records_max || self.bytes.len() >= BYTES
    }

    /// LSN of the newest record, `Lsn::ZERO` for none.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        self.ends.last().map_or(Lsn::ZERO, |(lsn, _)| *lsn)
    }

    /// Forgets the records, and keeps their room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn record(&self, place: usize) -> (Lsn, &[u8]) {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before].1);
        let (lsn, end) = self.ends[place];
        (lsn, &self.bytes[start..end])
    }
}

/// What one hand has read.
#[derive(Default)]
struct Share<'a> {
    read: Vec<Read<'a>>,
    /// What is wrong with the record after the last of them.
    fault: Option<RecoveryError>,
}

impl Recovery {
    /// Applies a stretch of the log, wherever it is new, with as many hands as there are. Stretches come in order. The outcome is that of
    /// [`replay`](Recovery::replay) for each of its records.
    ///
    /// # Errors
    /// As [`replay`](Recovery::replay), for the first record that is not as it should be.
    pub fn replay_together(&mut self, stretch: &Stretch, crew: &dyn Crew) -> Result<(), RecoveryError> {
        let mut shares = self.read_together(stretch, crew);
        let whole = shares.iter().position(|share| share.fault.is_some()).map_or(shares.len(), |faulty| faulty + 1);
        shares.truncate(whole);
        let read: Vec<&Read<'_>> = shares.iter().flat_map(|share| &share.read).collect();
        for run in read.chunk_by(|one, next| one.is_checked && next.is_checked) {
            if run[0].is_checked && crew.pays(run.len()) {
                self.put_together(run, crew)?;
            } else {
                run.iter().try_for_each(|read| self.put(read))?;
            }
        }
        shares.pop().and_then(|last| last.fault).map_or(Ok(()), Err)
    }

    /// Each hand decodes and checks its part.
    fn read_together<'a>(&self, stretch: &'a Stretch, crew: &dyn Crew) -> Vec<Share<'a>> {
        let hands = crew.hands();
        let shares: Vec<Mutex<Share<'a>>> = (0..hands).map(|_| Mutex::new(Share::default())).collect();
        let part = stretch.ends.len().div_ceil(hands);
        crew.work(&|hand| {
            let places = (hand * part).min(stretch.ends.len())..((hand + 1) * part).min(stretch.ends.len());
            let mut share = Share { read: Vec::with_capacity(places.len()), fault: None };
            let catalogue = self.engine.catalogue.read();
            for place in places {
                let (lsn, bytes) = stretch.record(place);
                match Read::of(&self.engine.owners, lsn, bytes) {
                    Ok(mut read) => {
                        // Ids are given out in order and never again: what is known stays known.
                        read.is_checked = !read.changes_catalogue() && check(&catalogue, &read).is_ok();
                        share.read.push(read);
                    }
                    Err(fault) => {
                        share.fault = Some(fault);
                        break;
                    }
                }
            }
            *shares[hand].lock() = share;
        });
        shares.into_iter().map(|share| std::mem::take(&mut *share.lock())).collect()
    }

    /// Each hand applies what is its own of records that change no catalogue.
    fn put_together(&mut self, run: &[&Read<'_>], crew: &dyn Crew) -> Result<(), RecoveryError> {
        let failed: Mutex<Option<(Lsn, RecoveryError)>> = Mutex::new(None);
        crew.work(&|hand| {
            if let Err((lsn, error)) = self.put_mine(run, hand, crew.hands()) {
                let mut failed = failed.lock();
                if failed.as_ref().is_none_or(|(first, _)| lsn < *first) {
                    *failed = Some((lsn, error));
                }
            }
        });
        if let Some((_, error)) = failed.lock().take() {
            return Err(error);
        }
        let sequence = run.iter().map(|read| read.sequence()).max().unwrap_or(0);
        let time = run.iter().map(|read| read.time).max().unwrap_or(Timestamp(0));
        self.note(sequence, time, u64::try_from(run.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Applies what lies in the shards and slots of a hand. Booked work, which is of no shard, is the first hand's.
    fn put_mine(&self, run: &[&Read<'_>], hand: usize, hands: usize) -> Result<(), (Lsn, RecoveryError)> {
        let engine = &self.engine;
        let mut mine = Mine::lock(engine, hand, hands);
        let mut capacity = (hand == 0).then(|| engine.capacity.lock());
        for next in run.chunks(near::TOGETHER) {
            ahead::look(next, &mine, &engine.owners);
            for read in next {
                let at_lsn = |error| (read.lsn, error);
                match &read.told {
                    Told::Plain(plain) => {
                        mine.shard_mut(plain.home().index())
                            .map_or(Ok(()), |shard| self.put_in(shard, read))
                            .map_err(at_lsn)?;
                    }
                    Told::Other(other) => {
                        for id in other.shards.both(&mine.all).iter() {
                            self.put_in(&mut mine.shards[id.index() / hands], read).map_err(at_lsn)?;
                        }
                        if let Some(capacity) = capacity.as_deref_mut().filter(|_| other.books) {
                            self.book(capacity, read.lsn, other);
                        }
                    }
                }
                if let Some((slot, hash)) = read.slot()
                    && slot % hands == hand
                {
                    self.remember((slot, hash), &mut mine.slots[slot / hands], read);
                }
            }
        }
        Ok(())
    }
}

/// What is one hand's, locked: every `hands`th slot and shard from `hand` on.
pub(super) struct Mine<'a> {
    hand: usize,
    hands: usize,
    slots: Vec<MutexGuard<'a, Slot>>,
    shards: Vec<RwLockWriteGuard<'a, Shard>>,
    /// The shards by their ids.
    all: ShardSet,
}

impl<'a> Mine<'a> {
    fn lock(engine: &'a Engine, hand: usize, hands: usize) -> Self {
        let all: ShardSet = ShardId::all().skip(hand).step_by(hands).collect();
        let slots = (hand..SLOTS).step_by(hands).map(|slot| engine.slots[slot].lock()).collect();
        let shards = all.iter().map(|shard| engine.shards.write(shard)).collect();
        Self { hand, hands, slots, shards, all }
    }

    /// A slot, if it is the hand's.
    pub(super) fn slot(&self, index: usize) -> Option<&Slot> {
        (index % self.hands == self.hand).then(|| &*self.slots[index / self.hands])
    }

    /// Likewise a shard.
    pub(super) fn shard(&self, index: usize) -> Option<&Shard> {
        (index % self.hands == self.hand).then(|| &*self.shards[index / self.hands])
    }

    /// Likewise, to be changed.
    fn shard_mut(&mut self, index: usize) -> Option<&mut Shard> {
        (index % self.hands == self.hand).then(|| &mut *self.shards[index / self.hands])
    }
}

// A hand's locks are found by dividing.
const _: () = assert!(SHARDS == 256 && SLOTS == 256, "hands share out shards and slots by their numbers");
