//! A lock shard: the stock of its SKUs, the reservation lines on them, and the headers and expiries of the reservations at home here.
//!
//! Lock order, everywhere: dedup slot, catalogue, shards ascending, capacity, journal.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    sync::{Arc, OnceLock},
};

use crossbeam_utils::CachePadded;
use quartermaster_journal::Lsn;
use quartermaster_sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use smallvec::SmallVec;

use crate::{
    allotment::Allotments,
    campaign::CampaignState,
    catalog::Directory,
    command::FEW_LINES,
    event::{CellFacts, Facts, ShardSet},
    expiries::Expiries,
    id::{LocationId, ReservationId, ShardId, SkuId},
    near,
    reservation::{Packed, Parts},
    returns::ReturnsState,
    rules::RulesState,
    stock::{Row, Rows},
    supply::SupplyState,
    time::{Micros, Timestamp},
    upkeep::UpkeepState,
};

/// How long ended reservations are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedRetention {
    pub(crate) age: Micros,
    /// Parts a shard keeps at most.
    pub(crate) entries: usize,
}

/// State behind one lock. What every hold looks at stands first and together, so that it is few lines of memory and can be asked for.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Shard {
    /// Last event that was applied.
    pub(crate) lsn: Lsn,
    pub(crate) id: ShardId,
    /// Locations and channels; the same for all shards, here so that a decision needs no further lock.
    pub(crate) directory: Arc<Directory>,
    pub(crate) rows: Rows,
    /// Parts of reservations.
    pub(crate) parts: Parts,
    /// When holds at home here expire. Entries of holds that ended or moved are dropped when their time comes.
    pub(crate) expiries: Expiries,
    pub(crate) counts: Counts,
    /// Reservations forgotten by the last event, for the index of owners to follow.
    pub(crate) forgotten: Vec<Packed>,
    /// Ended reservations' parts, oldest first.
    pub(crate) ended: VecDeque<(Timestamp, ReservationId)>,
    pub(crate) retention: EndedRetention,
    /// Of reservations that ended shipped.
    pub(crate) shipped_retention: EndedRetention,
    pub(crate) allotments: Allotments,
    pub(crate) rules: RulesState,
    pub(crate) returns: ReturnsState,
    pub(crate) campaigns: CampaignState,
    pub(crate) supply: SupplyState,
    pub(crate) upkeep: UpkeepState,
    /// Cells that promise more than they have.
    pub(crate) shortfalls: BTreeSet<(SkuId, LocationId)>,
    /// Cells that sourcing leaves out until then: their location refused the SKU.
    pub(crate) refusals: BTreeMap<(SkuId, LocationId), Timestamp>,
    /// What planning knows of cells; of others nothing.
    pub(crate) facts: BTreeMap<(SkuId, LocationId), Facts>,
}

/// Bytes from the lock of a shard, which has a line of its own or less, to behind what every hold looks at.
const LOOKED_AT_BYTES: usize = near::LINE_BYTES + mem::offset_of!(Shard, rules);

/// Running figures of a shard; the engine adds them up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Populated cells.
    pub cells: u64,
    /// Reservations held.
    pub held: u64,
    /// Reservations confirmed and not shipped in full.
    pub confirmed: u64,
    /// Reservations that have taken nothing yet: placed or waiting.
    pub pending: u64,
    /// Ended reservations still kept.
    pub ended: u64,
    /// Cells in shortfall.
    pub shortfalls: u64,
    /// Request ids remembered.
    pub dedup_entries: u64,
}

impl Shard {
    fn new(id: ShardId, retention: EndedRetention, shipped_retention: EndedRetention) -> Self {
        Self {
            id,
            rows: Rows::default(),
            parts: Parts::default(),
            directory: Arc::default(),
            expiries: Expiries::default(),
            ended: VecDeque::new(),
            shortfalls: BTreeSet::new(),
            refusals: BTreeMap::new(),
            facts: BTreeMap::new(),
            forgotten: Vec::new(),
            allotments: Allotments::default(),
            campaigns: CampaignState::default(),
            supply: SupplyState::default(),
            returns: ReturnsState::default(),
            upkeep: UpkeepState::default(),
            rules: RulesState::default(),
            counts: Counts::default(),
            lsn: Lsn::ZERO,
            retention,
            shipped_retention,
        }
    }

    /// The row of a SKU of this shard.
    ///
    /// # Panics
    /// If the SKU was never created: ids come from the catalogue, which creates the row with the id.
    pub(crate) fn row(&self, sku: SkuId) -> &Row {
        &self.rows[sku.row()]
    }

    /// Asks for the memory that a plain hold of this SKU needs and that is known at once: its row, and the ends of the shard's lists.
    pub(crate) fn ask_for(&self, sku: SkuId) {
        near::ask_for(self.row(sku));
        self.parts.ask_for_next();
        self.expiries.ask_for_next();
    }

    /// Asks for what is found through that: the cells.
    pub(crate) fn ask_for_more(&self, sku: SkuId) {
        self.row(sku).ask_for_cells();
    }

    /// What planning knows of a cell.
    pub(crate) fn facts_of(&self, cell: (SkuId, LocationId)) -> quartermaster_sourcing::order::CellFacts {
        let facts = self.facts.get(&cell).copied().unwrap_or_default();
        quartermaster_sourcing::order::CellFacts {
            weekly_demand_milli: facts.weekly_demand_milli,
            oldest_receipt_day: facts.oldest_receipt_day,
            ..quartermaster_sourcing::order::CellFacts::default()
        }
    }

    /// What planning knows of its cells, by SKU and location.
    pub(crate) fn facts(&self) -> impl Iterator<Item = CellFacts> {
        self.facts.iter().map(|((sku, location), facts)| CellFacts { sku: *sku, location: *location, facts: *facts })
    }

    /// The same, to change.
    pub(crate) fn row_mut(&mut self, sku: SkuId) -> &mut Row {
        self.rows.get_mut(sku.row()).expect("Invariant: the catalogue creates the row with the id")
    }
}

/// Locked shards, for whoever only looks.
pub(crate) trait Look {
    /// One of the locked shards.
    fn shard(&self, id: ShardId) -> &Shard;

    /// Locations and channels, as all locked shards see them.
    fn directory(&self) -> &Directory;
}

impl Look for Locked<'_> {
    fn shard(&self, id: ShardId) -> &Shard {
        self.shard(id)
    }

    fn directory(&self) -> &Directory {
        self.directory()
    }
}

impl Look for SharedLocked<'_> {
    fn shard(&self, id: ShardId) -> &Shard {
        self.shard(id)
    }

    fn directory(&self) -> &Directory {
        &self.0.first().expect("Invariant: a read locks at least one shard").directory
    }
}

/// Learns of waits for a shard's lock. The engine has no clock, so whoever watches brings its own.
pub trait LockObserver: Send + Sync {
    /// A thread is about to wait. Gives what `ended` shall be told, usually the time.
    fn began(&self) -> u64;
    /// The wait that `began` with this is over.
    fn ended(&self, began: u64);
}

/// All shards.
pub(crate) struct Shards {
    locks: Box<[CachePadded<RwLock<Shard>>]>,
    observer: OnceLock<Arc<dyn LockObserver>>,
    /// Held by whoever copies a shard some rows at a time; taken before the shard's lock.
    copying: Mutex<()>,
}

impl Shards {
    pub(crate) fn new(retention: EndedRetention, shipped: EndedRetention) -> Self {
        let locks =
            ShardId::all().map(|id| CachePadded::new(RwLock::new(Shard::new(id, retention, shipped)))).collect();
        Self { locks, observer: OnceLock::new(), copying: Mutex::new(()) }
    }

    pub(crate) fn observe(&self, observer: Arc<dyn LockObserver>) {
        // The first observer stays.
        _ = self.observer.set(observer);
    }

    pub(crate) fn read(&self, shard: ShardId) -> RwLockReadGuard<'_, Shard> {
        let lock = &self.locks[shard.index()];
        lock.try_read().unwrap_or_else(|| self.waiting(|| lock.read()))
    }

    pub(crate) fn write(&self, shard: ShardId) -> RwLockWriteGuard<'_, Shard> {
        let lock = &self.locks[shard.index()];
        lock.try_write().unwrap_or_else(|| self.waiting(|| lock.write()))
    }

    /// Shared access unless it would have to be waited for.
    pub(crate) fn try_read(&self, shard: ShardId) -> Option<RwLockReadGuard<'_, Shard>> {
        self.locks[shard.index()].try_read()
    }

    /// Asks for the memory of a shard that every hold looks at.
    pub(crate) fn ask_for(&self, shard: ShardId) {
        near::ask_for_bytes(&self.locks[shard.index()], LOOKED_AT_BYTES);
    }

    #[cold]
    fn waiting<T>(&self, lock: impl FnOnce() -> T) -> T {
        let Some(observer) = self.observer.get() else { return lock() };
        let began = observer.began();
        let guard = lock();
        observer.ended(began);
        guard
    }

    /// Keeps others from copying a shard some rows at a time.
    pub(crate) fn copying(&self) -> MutexGuard<'_, ()> {
        self.copying.lock()
    }

    /// Locks shards for a change, ascending.
    pub(crate) fn lock(&self, shards: &ShardSet) -> Locked<'_> {
        Locked(shards.iter().map(|shard| self.write(shard)).collect())
    }

    /// Locks shards for a consistent read, ascending.
    pub(crate) fn lock_shared(&self, shards: &ShardSet) -> SharedLocked<'_> {
        SharedLocked(shards.iter().map(|shard| self.read(shard)).collect())
    }
}

/// Shards locked for a change.
pub(crate) struct Locked<'a>(SmallVec<[RwLockWriteGuard<'a, Shard>; FEW_LINES]>);

impl<'a> Locked<'a> {
    pub(crate) fn one(guard: RwLockWriteGuard<'a, Shard>) -> Self {
        Self(SmallVec::from_iter([guard]))
    }

    /// One of the locked shards.
    ///
    /// # Panics
    /// If it was not locked: whoever decides must have locked what it decides on.
    pub(crate) fn shard(&self, id: ShardId) -> &Shard {
        if let [only] = &*self.0 {
            assert_eq!(only.id, id, "Invariant: a shard is locked by whoever looks into it");
            return only;
        }
        let place = self
            .0
            .binary_search_by_key(&id, |shard| shard.id)
            .expect("Invariant: a shard is locked by whoever looks into it");
        &self.0[place]
    }

    /// Asks for the rows of SKUs of these shards, then for their cells.
    pub(crate) fn ask_for(&self, skus: &[SkuId]) {
        skus.iter().for_each(|sku| near::ask_for(self.shard(sku.shard()).row(*sku)));
        skus.iter().for_each(|sku| self.shard(sku.shard()).ask_for_more(*sku));
    }

    /// Whether all of these are locked.
    pub(crate) fn cover(&self, shards: &ShardSet) -> bool {
        let mut rest = *shards;
        self.0.iter().for_each(|shard| rest.remove(shard.id));
        rest == ShardSet::default()
    }

    pub(crate) fn each(&mut self) -> impl Iterator<Item = &mut Shard> {
        self.0.iter_mut().map(|guard| &mut **guard)
    }

    /// Locations and channels, as all locked shards see them.
    pub(crate) fn directory(&self) -> &Directory {
        &self.0.first().expect("Invariant: a decision locks at least one shard").directory
    }
}

/// Shards locked for a read.
pub(crate) struct SharedLocked<'a>(SmallVec<[RwLockReadGuard<'a, Shard>; 4]>);

impl SharedLocked<'_> {
    /// One of the locked shards.
    ///
    /// # Panics
    /// If it was not locked.
    pub(crate) fn shard(&self, id: ShardId) -> &Shard {
        let place = self
            .0
            .binary_search_by_key(&id, |shard| shard.id)
            .expect("Invariant: a shard is locked by whoever looks into it");
        &self.0[place]
    }
}
