//! The one write path: remember, resolve, lock, decide, append, apply.

mod ahead;
mod allotment;
pub(crate) mod campaign;
mod plain;
mod returns;
pub mod rules;
mod supply;
mod upkeep;

use std::{cell::RefCell, sync::Arc};

use crossbeam_utils::CachePadded;
use quartermaster_journal::{Journal, Lsn};
use quartermaster_sync::{
    Mutex, MutexGuard, Spread, SpreadReadGuard,
    atomic::{AtomicU64, Ordering},
    thread_local,
};
use smallvec::SmallVec;

use self::plain::Tried;
pub use self::{
    ahead::{Ahead, ORDERS_AHEAD, Seen},
    plain::{Granted, Ordered},
};
use crate::{
    allotment::LimitedBy,
    apply::apply,
    capacity::Capacity,
    catalog::{Catalogue, Directory},
    codec::{self, Peek},
    command::{CatalogueCommand, Command, FEW_LINES, PlainOrder, Request, Reserve, Step, StockCommand},
    decide::{
        Decision,
        allotment::{self as allotments, Cap},
        catalogue, directory,
        kits::{self, Kits},
        lifecycle, reserve,
        selection::SkuCodes,
        stock,
    },
    dedup::{Entry, Retention, SLOTS, Slot, SlotHasher},
    error::{Error, Rejection},
    event::{Event, ShardSet, placed::Placed},
    id::{ReservationId, SHARDS, ShardId, SkuId},
    near,
    owners::Owners,
    reservation::{HeaderRef, State},
    route,
    shard::{EndedRetention, LockObserver, Locked, Shard, Shards},
    table::Tag,
    time::{Micros, Timestamp},
};

/// What is fixed for the life of an engine.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// How long request ids are remembered, at least while fewer than `dedup_entries_max` came after.
    pub dedup_retention: Micros,
    /// Request ids remembered at most. About 150 bytes each.
    pub dedup_entries_max: usize,
    /// How long ended reservations are kept, at least while fewer than `ended_entries_max` came after.
    pub ended_retention: Micros,
    /// Ended reservations kept at most, by their parts in each shard. About 150 bytes each.
    pub ended_entries_max: usize,
    /// How long reservations that ended shipped are kept, in place of `ended_retention`: their units may come back. Begins anew when a
    /// return of theirs ends, and does not end while one is open.
    pub shipped_retention: Micros,
    /// Reservations that ended shipped kept at most, by their parts in each shard, those with open returns apart. About 200 bytes each.
    pub shipped_entries_max: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            dedup_retention: Micros::from_secs(24 * 3600),
            dedup_entries_max: 10_000_000,
            ended_retention: Micros::from_secs(24 * 3600),
            ended_entries_max: 2_000_000,
            shipped_retention: Micros::from_secs(90 * 24 * 3600),
            shipped_entries_max: 5_000_000,
        }
    }
}

/// The answer to a command. It may be told once everything up to `lsn` is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// LSN of the event; for a rejection, of the newest event it rests on.
    pub lsn: Lsn,
    /// The request had been answered before; this is that answer.
    pub replayed: bool,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It happened: the answer is a function of this event alone.
    Done(Event),
    /// A business "no".
    Rejected(Rejection),
    /// Nothing was to be done: an expiry that was not due.
    Nothing,
}

/// What an expiry pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpiryReport {
    /// Holds that were ended.
    pub expired: usize,
    /// How late the latest of them was.
    pub lag_max: Micros,
    /// LSN of the last event, for whoever wants to wait.
    pub lsn: Lsn,
}

/// All state, and the only way to change it.
///
/// Locks are taken in one order: dedup slot, catalogue, shards ascending, capacity, journal. None is held while anything waits for a disk.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) slots: Box<[CachePadded<Mutex<Slot>>]>,
    /// Read by every request.
    pub(crate) catalogue: Spread<Catalogue>,
    pub(crate) shards: Shards,
    pub(crate) owners: Owners,
    /// Work booked at locations. Taken after the shards, before the journal.
    pub(crate) capacity: CachePadded<Mutex<Capacity>>,
    /// Alone on its lines: every hold changes it.
    pub(crate) next_reservation: CachePadded<AtomicU64>,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Engine {
    /// An engine without stock.
    #[must_use]
    pub fn new(config: EngineConfig, journal: Arc<dyn Journal>) -> Self {
        let ended = EndedRetention { age: config.ended_retention, entries: (config.ended_entries_max / SHARDS).max(1) };
        let shipped =
            EndedRetention { age: config.shipped_retention, entries: (config.shipped_entries_max / SHARDS).max(1) };
        Self {
            config,
            journal,
            slots: (0..SLOTS).map(|_| CachePadded::new(Mutex::new(Slot::default()))).collect(),
            catalogue: Spread::new(Catalogue::default()),
            shards: Shards::new(ended, shipped),
            owners: Owners::default(),
            capacity: CachePadded::new(Mutex::new(Capacity::default())),
            next_reservation: CachePadded::new(AtomicU64::new(1)),
        }
    }

    /// Tells `observer` of every wait for a shard's lock. The first observer stays.
    pub fn observe_locks(&self, observer: Arc<dyn LockObserver>) {
        self.shards.observe(observer);
    }

    /// The journal that events go to.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// The catalogue, to turn ids into codes. Let it go before calling the engine again: a writer may wait for it.
    pub fn catalogue(&self) -> SpreadReadGuard<'_, Catalogue> {
        self.catalogue.read()
    }

    /// Decides a command and, if it is to happen, makes it happen.
    ///
    /// The answer must not leave the process before everything up to its LSN is durable.
    ///
    /// # Errors
    /// When the request cannot stand, see `Error`. Nothing changed.
    pub fn submit(&self, request: &Request, command: &Command, now: Timestamp) -> Result<Answer, Error> {
        self.submit_seen(request, command, now, Seen::default())
    }

    /// Like [`submit`](Self::submit), of an order that a look ahead has `seen`.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_seen(
        &self,
        request: &Request,
        command: &Command,
        now: Timestamp,
        seen: Seen,
    ) -> Result<Answer, Error> {
        let (plain, seen) = match command {
            Command::Reserve(reserve) => match PlainOrder::of(request, reserve) {
                None if seen.is_nothing() => (None, self.look_at_ids(&request.id, &reserve.buyer_id)),
                plain => (plain, seen),
            },
            _ => (None, seen),
        };
        let (fingerprint, mut slot, seen) = match &plain {
            Some(order) => self.begin(order, seen),
            None => (command.fingerprint(), self.slot(&request.id, seen.hash), seen),
        };
        if let Some(entry) = remembered(&slot, &request.id) {
            return repeat(entry, &request.id, fingerprint);
        }
        let draft = Draft { request, fingerprint, now };
        let slot = &mut slot;
        let (lsn, verdict) = match command {
            Command::Reserve(reserve) => match &reserve.sourcing {
                None => self.reserve_seen(&draft, reserve, plain.map(|order| (order, seen)), slot),
                Some(sourcing) => self.reserve_sourced(&draft, reserve, sourcing, slot),
            },
            Command::Merge(merge) => self.merge(&draft, merge, slot),
            Command::Reservation(id, step) => self.step(&draft, *id, step, slot),
            Command::Stock(stock) => self.change_stock(&draft, stock, slot),
            Command::Catalogue(catalogue) => self.change_catalogue(&draft, catalogue, slot),
            Command::Allotment(command) => self.allotment(&draft, command, slot),
            Command::Campaign(command) => self.campaign(&draft, command, slot),
            Command::Supply(command) => self.supply(&draft, command, slot),
            Command::Returns(command) => self.returns(&draft, command, slot),
            Command::Upkeep(command) => self.upkeep(&draft, command, slot),
            Command::Rules(command) => self.rules(&draft, command, slot),
        }?;
        Ok(Answer { lsn, replayed: false, verdict })
    }

    /// Ends holds whose time is up, at most `limit`. Sent by the server's timer every few milliseconds.
    ///
    /// # Errors
    /// When the journal takes no record. The holds that were due stay due.
    pub fn expire_due(&self, now: Timestamp, limit: usize) -> Result<ExpiryReport, Error> {
        let mut report = ExpiryReport::default();
        for shard in ShardId::all() {
            let mut due = self.due(shard, now, limit - report.expired).into_iter();
            while let Some((expires_at, id)) = due.next() {
                match self.submit(&Request::unnamed(), &Command::Reservation(id, Step::Expire), now) {
                    Ok(answer) if matches!(answer.verdict, Verdict::Done(_)) => {
                        report.expired += 1;
                        report.lag_max = report.lag_max.max(Micros(now.0 - expires_at.0));
                        report.lsn = answer.lsn;
                    }
                    Ok(_) | Err(Error::UnknownReservation { .. }) => {}
                    Err(error) => {
                        let shard = &mut *self.shards.write(shard);
                        for (at, id) in [(expires_at, id)].into_iter().chain(due) {
                            shard.parts.place(&id).into_iter().for_each(|place| shard.expiries.push(at, place));
                        }
                        return Err(error);
                    }
                }
            }
            if report.expired >= limit {
                break;
            }
        }
        Ok(report)
    }

    /// Takes due holds off a shard's expiries. Entries of holds that have ended or moved are dropped on the way.
    fn due(&self, shard: ShardId, now: Timestamp, limit: usize) -> Vec<(Timestamp, ReservationId)> {
        let overgrown = |shard: &Shard| {
            let held = usize::try_from(shard.counts.held + shard.counts.pending).unwrap_or(usize::MAX);
            shard.expiries.len() > held.saturating_mul(2).saturating_add(4096)
        };
        let idle = |shard: &Shard| shard.expiries.first().is_none_or(|(at, _)| at > now) && !overgrown(shard);
        if idle(&self.shards.read(shard)) {
            return Vec::new();
        }
        let Shard { parts, expiries, counts, .. } = &mut *self.shards.write(shard);
        let standing = |at: Timestamp, place: u32| {
            let (id, part) = parts.at(place)?;
            let header = part.header()?;
            let runs = matches!(header.state(), State::Held | State::Placed) && header.expires_at() == at;
            runs.then_some((at, id))
        };
        let mut due = Vec::new();
        while due.len() < limit
            && let Some((at, place)) = expiries.pop_due(now)
        {
            due.extend(standing(at, place));
        }
        if expiries.len() > 4096 + due.len() {
            let before = expiries.len();
            if before / 2 > usize::try_from(counts.held + counts.pending).unwrap_or(usize::MAX) {
                expiries.retain(|at, place| standing(at, place).is_some());
            }
        }
        due
    }

    /// The slot of a request id, locked; `hash` where that is known.
    fn slot(&self, request_id: &str, hash: Option<u64>) -> Option<SlotGuard<'_>> {
        if request_id.is_empty() {
            return None;
        }
        let hash = hash.unwrap_or_else(|| SlotHasher.hash(request_id));
        debug_assert_eq!(hash, SlotHasher.hash(request_id), "Invariant: what was seen is of this request");
        Some((self.slots[SlotHasher::slot(hash)].lock(), hash))
    }

    /// Tries the short way first, where there is one.
    fn reserve_seen(
        &self,
        draft: &Draft<'_>,
        request: &Reserve,
        plain: Option<(PlainOrder<'_>, Seen)>,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let Some((order, seen)) = plain else { return self.reserve(draft, request, slot) };
        match self.grant(&draft.head(), &order, slot, seen)? {
            Tried::Granted(granted) => Ok((granted.lsn, Verdict::Done(Event::Held(granted.to_held(&order))))),
            Tried::Aside(why) => self.reserve_aside(draft, request, why, slot),
        }
    }

    fn reserve(&self, draft: &Draft<'_>, request: &Reserve, slot: Slotted<'_, '_>) -> Result<(Lsn, Verdict), Error> {
        let catalogue = self.catalogue.read();
        let skus = resolve(&catalogue, request.lines.iter().map(|line| line.sku.as_str()))?;
        self.ask_for_rows(&skus);
        let kits = if catalogue.kits().is_empty() { None } else { Kits::of(&catalogue, request, &skus)? };
        drop(catalogue);
        if let Some(kits) = kits {
            return self.reserve_kits(draft, request, &kits, slot);
        }
        let demands = reserve::demands(request, &skus)?;
        let counter = self.campaign_shard(request)?;
        let home = skus.first().map_or(ShardId(0), |sku| sku.shard());
        let mut shards: ShardSet = skus.iter().map(|sku| sku.shard()).chain([home]).chain(counter).collect();
        let refused = match counter {
            None => self.sold_out(request, &demands),
            Some(_) => self.refused_by_campaign(draft, request, &demands, &shards)?,
        };
        if let Some(refused) = refused {
            return Ok(refused);
        }
        if let Some(earlier) = request.replaces {
            self.shards_of(earlier)?.iter().for_each(|shard| shards.insert(shard));
        }
        let mut locked = self.shards.lock(&shards);
        // Under the locks, so that those who wait in one line have ids in the order of their requests.
        let id = self.next_id(home);
        let decision = reserve::reserve(&locked, request, &demands, id, draft.now)?;
        self.commit(draft, decision, &mut locked, slot, None)
    }

    /// Says "sold out" from shared locks alone where a single row shows it: no exclusive lock, no id, no record.
    fn sold_out(&self, request: &Reserve, demands: &[reserve::Demand<'_>]) -> Option<(Lsn, Verdict)> {
        if request.allow_partial
            || request.replaces.is_some()
            || request.unchanged_since_lsn > 0
            || request.asked.is_some()
        {
            return None;
        }
        let mut short = SmallVec::<[reserve::Short<'_>; 4]>::new();
        let mut rests_on = Lsn::ZERO;
        for demand in demands {
            let shard = self.shards.read(demand.sku.shard());
            let (row, directory) = (shard.row(demand.sku), &shard.directory);
            let named = directory.location(demand.location);
            let place_is_open = named.map_or(demand.location.is_empty(), |at| directory.takes(at));
            let channel_is_open = request.channel.is_empty()
                || directory.channel(&request.channel).is_some_and(|channel| channel.spec.active);
            if row.retired() || !row.sellable() || !place_is_open || !channel_is_open {
                // There is another answer to give first.
                return None;
            }
            let available = named.map_or(row.available(), |at| row.available_at(at).units());
            let cap = cap(&shard, request, demand);
            if available.min(cap.map_or(u64::MAX, |cap| cap.units)) < demand.quantity {
                if named.is_some_and(|at| row.get(at).frozen) {
                    return None;
                }
                short.push(shortage(&shard, demand, cap));
                rests_on = rests_on.max(row.revision()).max(directory.revision());
            }
        }
        if short.is_empty() || demands.windows(2).any(|pair| pair[0].sku == pair[1].sku) {
            // Lines of one SKU take from each other: that is for the full decision to tell.
            return None;
        }
        // Closed locations may leave more lines short than the sums show, and all that are short are told.
        let mut known = short.clone().into_iter().peekable();
        for demand in demands {
            if known.next_if(|(known, ..)| std::ptr::eq(*known, demand)).is_some() {
                continue;
            }
            let shard = self.shards.read(demand.sku.shard());
            let one = shortage(&shard, demand, cap(&shard, request, demand));
            if one.1 < demand.quantity {
                short.push(one);
                rests_on = rests_on.max(shard.row(demand.sku).revision()).max(shard.directory.revision());
            }
        }
        Some((rests_on, Verdict::Rejected(reserve::insufficient(&mut short))))
    }

    fn step(
        &self,
        draft: &Draft<'_>,
        id: ReservationId,
        step: &Step,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let codes = match step {
            Step::Cancel(_) | Step::Ship(_) | Step::Reassign(_) => self.codes_of(id)?,
            Step::Confirm | Step::Release | Step::Extend(_) | Step::Expire => SkuCodes::default(),
        };
        if let Step::Reassign(reassign) = step
            && route::is_refusal(step)
        {
            return self.reroute(draft, id, reassign, &codes, slot);
        }
        let mut locked = self.lock_reservation(id)?;
        if matches!(step, Step::Confirm) && Self::is_placed(&locked, id) {
            drop(locked);
            return self.confirm_placed(draft, id, slot);
        }
        let decision = match step {
            Step::Confirm => lifecycle::confirm(&locked, id, draft.now),
            Step::Release => lifecycle::release(&locked, id, draft.now),
            Step::Cancel(lines) => lifecycle::cancel(&locked, &codes, id, lines, draft.now),
            Step::Extend(ttl) => lifecycle::extend(&locked, id, *ttl, draft.now),
            Step::Ship(lines) => lifecycle::ship(&locked, &codes, id, lines),
            Step::Reassign(reassign) => lifecycle::reassign(&locked, &codes, id, reassign, draft.now),
            Step::Expire => lifecycle::expire(&locked, id, draft.now),
        }?;
        self.commit(draft, decision, &mut locked, slot, None)
    }

    fn change_stock(
        &self,
        draft: &Draft<'_>,
        command: &StockCommand,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let skus = self.resolve(command.cells().into_iter().map(|cell| cell.sku.as_str()))?;
        let mut locked = self.shards.lock(&skus.iter().map(|sku| sku.shard()).collect());
        let decision = stock::change(&locked, command, &skus)?;
        self.commit(draft, decision, &mut locked, slot, None)
    }

    fn change_catalogue(
        &self,
        draft: &Draft<'_>,
        command: &CatalogueCommand,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let mut catalogue = self.catalogue.write();
        let event = match command {
            CatalogueCommand::UpsertSkus(specs) => catalogue::upsert_skus(&catalogue, specs),
            CatalogueCommand::RetireSkus(codes) => catalogue::retire_skus(&catalogue, codes),
            CatalogueCommand::UpsertLocations(_)
            | CatalogueCommand::UpsertChannels(_)
            | CatalogueCommand::UpsertRegions(_)
            | CatalogueCommand::Draft(_)
            | CatalogueCommand::Activate { .. }
            | CatalogueCommand::Retire(_) => {
                drop(catalogue);
                return self.change_directory(draft, command, slot);
            }
        }?;
        let mut locked = self.shards.lock(&event.shards());
        kits::without_stock(&locked, &event)?;
        let (lsn, verdict) = self.commit(draft, Decision::Event(event), &mut locked, slot, None)?;
        if let Verdict::Done(event) = &verdict {
            apply_catalogue(&mut catalogue, lsn, draft.now, event);
        }
        Ok((lsn, verdict))
    }

    /// Changes locations, channels, regions or documents. What decisions read of them is compiled before any lock is taken: that takes
    /// milliseconds. If another change came between, it is done again.
    fn change_directory(
        &self,
        draft: &Draft<'_>,
        command: &CatalogueCommand,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        loop {
            // Held to the end, so that the old directory is not taken apart under the locks.
            let base = Arc::clone(self.catalogue.read().directory());
            let Some((event, stages)) = directory::change(&base, command, draft.now)? else {
                return Ok((Lsn::ZERO, Verdict::Nothing));
            };
            let mut catalogue = self.catalogue.write();
            if !Arc::ptr_eq(&base, catalogue.directory()) {
                continue;
            }
            let mut locked = self.shards.lock(&ShardSet::ALL);
            allotments::check_in_use(&locked, &base, &event)?;
            let (lsn, verdict) = self.commit(draft, Decision::Event(event), &mut locked, slot, None)?;
            if let Verdict::Done(event) = &verdict
                && let Some(next) = base.after(event, lsn, draft.now)
            {
                let next = Arc::new(next.staged(stages));
                catalogue.set_revision(lsn);
                catalogue.set_directory(Arc::clone(&next));
                locked.each().for_each(|shard| {
                    shard.directory = Arc::clone(&next);
                    shard.rules.directory_changed(&next, draft.now);
                });
            }
            return Ok((lsn, verdict));
        }
    }

    /// Appends and applies what was decided; `capacity` is given when the decision rests on it. Until the append nothing has changed; after it nothing can fail.
    pub(crate) fn commit(
        &self,
        draft: &Draft<'_>,
        decision: Decision,
        locked: &mut Locked<'_>,
        slot: Slotted<'_, '_>,
        mut capacity: Option<MutexGuard<'_, Capacity>>,
    ) -> Result<(Lsn, Verdict), Error> {
        let event = match decision {
            Decision::Event(event) => event,
            Decision::Rejected(rejection, rests_on) => return Ok((rests_on, Verdict::Rejected(rejection))),
            Decision::Nothing => return Ok((Lsn::ZERO, Verdict::Nothing)),
        };
        countable(locked, &event)?;
        let head = draft.head();
        BUFFER
            .with(|buffer| {
                let bytes = &mut *buffer.borrow_mut();
                bytes.clear();
                codec::encode_parts(&head, &event, bytes);
                let bookings = event.bookings();
                let mut booked =
                    (!bookings.is_empty()).then(|| capacity.take().unwrap_or_else(|| self.capacity.lock()));
                let shards = event.shards();
                assert!(locked.cover(&shards), "Invariant: every shard that an event changes is locked");
                let placed = Placed::of(&event);
                let lsn = self.journal.append(bytes)?;
                if let Some(booked) = &mut booked {
                    booked.apply(lsn, draft.now, &bookings);
                }
                for shard in locked.each().filter(|shard| shards.contains(shard.id)) {
                    apply(shard, lsn, draft.now, &event, &placed)
                        .expect("Invariant: an event fits the state it was decided on");
                    self.owners.forget(shard);
                }
                if let Some(held) = event.held() {
                    self.owners.add(self.owners.buyer(&held.buyer_id), held.reservation);
                }
                self.remember(slot, lsn, &codec::answer(&head, &event, bytes));
                Ok(lsn)
            })
            .map(|lsn| (lsn, Verdict::Done(event)))
    }

    /// Keeps the record of a request's event for repeats of the request.
    fn remember(&self, slot: Slotted<'_, '_>, lsn: Lsn, record: &[u8]) {
        if let Some((slot, hash)) = slot {
            slot.insert(*hash, Entry { lsn, record }, self.dedup_retention());
        }
    }

    /// An id that was never given out, for a reservation at home in this shard.
    pub(crate) fn next_id(&self, home: ShardId) -> ReservationId {
        ReservationId::new(self.next_reservation.fetch_add(1, Ordering::Relaxed), home)
    }

    pub(crate) fn dedup_retention(&self) -> Retention {
        Retention { age: self.config.dedup_retention, entries: (self.config.dedup_entries_max / SLOTS).max(1) }
    }

    fn resolve<'a>(&self, codes: impl Iterator<Item = &'a str>) -> Result<SmallVec<[SkuId; FEW_LINES]>, Error> {
        resolve(&self.catalogue.read(), codes)
    }

    /// The shards a reservation lies in.
    pub(crate) fn shards_of(&self, id: ReservationId) -> Result<ShardSet, Error> {
        let home = self.shards.read(id.home());
        let header = home.parts.header(&id);
        header.map(HeaderRef::shards).ok_or(Error::UnknownReservation { id })
    }

    /// Locks a reservation's shards. Most lie in their home alone, so that one is tried first; which shards a reservation lies in
    /// never changes, so the second look needs no third.
    pub(crate) fn lock_reservation(&self, id: ReservationId) -> Result<Locked<'_>, Error> {
        let home = self.shards.write(id.home());
        let header = home.parts.header(&id);
        let shards = header.map(HeaderRef::shards).ok_or(Error::UnknownReservation { id })?;
        if shards == ShardSet::of(id.home()) {
            return Ok(Locked::one(home));
        }
        drop(home);
        Ok(self.shards.lock(&shards))
    }

    fn codes_of(&self, id: ReservationId) -> Result<SkuCodes, Error> {
        let shards = self.shards_of(id)?;
        let locked = self.shards.lock_shared(&shards);
        let parts = shards.iter().filter_map(|shard| locked.shard(shard).parts.get(&id));
        let skus: Vec<SkuId> = parts
            .flat_map(|part| {
                let presold = part.presold().iter().map(|one| one.line.sku);
                part.lines().map(|line| line.sku).chain(presold)
            })
            .collect();
        let kept = locked.shard(id.home()).parts.header(&id).and_then(HeaderRef::kept);
        let kits = kept.map_or_else(Box::default, |kept| kept.kits.clone());
        drop(locked);
        Ok(SkuCodes::of(&self.catalogue.read(), skus, &kits))
    }
}

/// The ids of codes. Where some of them are found is asked for together.
fn resolve<'a>(
    catalogue: &Catalogue,
    mut codes: impl Iterator<Item = &'a str>,
) -> Result<SmallVec<[SkuId; FEW_LINES]>, Error> {
    let mut skus = SmallVec::with_capacity(codes.size_hint().0);
    let mut some = SmallVec::<[(Tag, &str); near::TOGETHER]>::new();
    loop {
        some.clear();
        some.extend(codes.by_ref().take(near::TOGETHER).map(|code| (catalogue.tag_of(code), code)));
        if some.is_empty() {
            return Ok(skus);
        }
        some.iter().for_each(|(tag, _)| catalogue.ask_for_place(*tag));
        some.iter().for_each(|(tag, _)| _ = catalogue.ask_for_code(*tag));
        for (tag, code) in &some {
            skus.push(catalogue.sku_of(*tag, code).ok_or_else(|| Error::UnknownSku { code: (*code).into() })?);
        }
    }
}

pub(crate) type SlotGuard<'a> = (MutexGuard<'a, Slot>, u64);
pub(crate) type Slotted<'a, 'lock> = &'a mut Option<SlotGuard<'lock>>;

/// Refuses a hold whose units would count past 32 bits to a node of its path: from stock and ahead of it together they may.
fn countable(locked: &Locked<'_>, event: &Event) -> Result<(), Error> {
    let Event::Held(held) = event else { return Ok(()) };
    let Some(terms) = held.terms.as_ref().filter(|terms| !terms.path.is_empty()) else { return Ok(()) };
    let lines = || held.lines.iter().chain(held.presold().iter().map(|ahead| &ahead.line));
    for line in lines() {
        let Some(entries) = locked.shard(line.sku.shard()).allotments.get(&line.sku) else { continue };
        let asked: u64 = lines().filter(|other| other.sku == line.sku).map(|other| other.quantity.units()).sum();
        let nodes = terms.path.iter().filter_map(|node| entries.get(node));
        let counted = nodes.map(|own| u64::from(own.reserved) + u64::from(own.committed)).max().unwrap_or(0);
        if counted + asked > u64::from(u32::MAX) {
            // By its number: the catalogue is not to be read under the locks of shards.
            return Err(Error::SumOverflow { sku: format!("#{}", line.sku.0), requested: counted + asked });
        }
    }
    Ok(())
}

/// What an order may take of a demand's SKU, where anybody has an allotment of it.
fn cap(shard: &Shard, request: &Reserve, demand: &reserve::Demand<'_>) -> Option<Cap> {
    if !allotments::is_bounded(shard, demand.sku) {
        return None;
    }
    let channel = shard.directory.channel(&request.channel).map(|channel| channel.id);
    allotments::cap_in(shard, demand.sku, &shard.directory.path(channel, None))
}

/// What a demand gets, and why no more.
fn shortage<'a>(shard: &Shard, demand: &'a reserve::Demand<'a>, cap: Option<Cap>) -> reserve::Short<'a> {
    let there = takeable(shard, demand);
    match cap {
        Some(cap) if cap.units <= there => (demand, cap.units, cap.by),
        _ => (demand, there, LimitedBy::Stock),
    }
}

/// Units that a demand could take where it may: at the location it names, or at all open ones.
fn takeable(shard: &Shard, demand: &reserve::Demand<'_>) -> u64 {
    let (row, directory) = (shard.row(demand.sku), &shard.directory);
    match directory.location(demand.location) {
        Some(at) => row.available_at(at).units(),
        None => allotments::pool(row, directory),
    }
}

/// What every event of a request carries.
pub(crate) struct Draft<'a> {
    pub(crate) request: &'a Request,
    pub(crate) fingerprint: u64,
    pub(crate) now: Timestamp,
}

impl Draft<'_> {
    fn head(&self) -> Peek<'_> {
        Peek { time: self.now, request_id: &self.request.id, fingerprint: self.fingerprint, actor: &self.request.actor }
    }
}

/// Puts a catalogue event of the time `now` in its place; gives the new directory if it changed. What decisions read of that is not compiled.
pub(crate) fn apply_catalogue(
    catalogue: &mut Catalogue,
    lsn: Lsn,
    now: Timestamp,
    event: &Event,
) -> Option<Arc<Directory>> {
    let directory = match event {
        Event::SkusUpserted { skus, .. } => {
            skus.iter().for_each(|sku| catalogue.put_sku(sku.clone()));
            None
        }
        Event::SkusRetired { skus } => {
            for id in skus {
                let mut sku = (*catalogue.skus()[id.index()]).clone();
                sku.retired = Some(lsn);
                catalogue.put_sku(sku);
            }
            None
        }
        event => Some(catalogue.directory().after(event, lsn, now)?),
    };
    catalogue.set_revision(lsn);
    directory.map(|directory| {
        let directory = Arc::new(directory);
        catalogue.set_directory(Arc::clone(&directory));
        directory
    })
}

/// What a request got before, if its id is remembered in its slot.
#[inline]
fn remembered<'a>(slot: &'a Option<SlotGuard<'_>>, request_id: &str) -> Option<Entry<'a>> {
    slot.as_ref().and_then(|(slot, hash)| slot.find(*hash, request_id))
}

fn repeat(entry: Entry<'_>, request_id: &str, fingerprint: u64) -> Result<Answer, Error> {
    if codec::peek(entry.record).fingerprint != fingerprint {
        return Err(Error::RequestIdReused { request_id: request_id.into(), lsn: entry.lsn });
    }
    let (_, event) =
        codec::decode_event(entry.record).expect("Invariant: a remembered record was written by this codec");
    Ok(Answer { lsn: entry.lsn, replayed: true, verdict: Verdict::Done(event) })
}
