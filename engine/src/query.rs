//! Reads. Each takes the shared locks of the shards it needs, all at once, so that its figures are of one moment; the LSN it returns
//! is that moment's, and the answer may be told once it is durable.

pub mod allotment;
mod campaign;
pub mod returns;
pub mod rules;
pub mod supply;
pub mod upkeep;

pub use campaign::{CampaignStatus, ItemStatus};
use quartermaster_journal::Lsn;

use crate::{
    capacity::Booking,
    codec,
    dedup::SlotHasher,
    engine::Engine,
    error::Error,
    event::{CellFacts, Event, ShardSet},
    id::{LocationId, ReservationId, ShardId, SkuId},
    quantity::Quantity,
    reservation::{Reservation, State},
    shard::{Counts, SharedLocked},
    stock::Buckets,
    time::Timestamp,
};

/// Availability of one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkuAvailability {
    /// Which.
    pub sku: SkuId,
    /// Units a Reserve that names no location could take: the sum over open locations; 0 when the SKU is not for sale.
    pub available: u64,
    /// Per location asked for: units a Reserve that names it could take.
    pub by_location: Vec<Quantity>,
    /// LSN of the last event that changed its stock.
    pub revision: Lsn,
}

/// A cell with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// SKU.
    pub sku: SkuId,
    /// Location.
    pub location: LocationId,
    /// Its buckets.
    pub buckets: Buckets,
    /// LSN of the last event that changed the SKU's stock.
    pub revision: Lsn,
}

/// Which reservations are listed. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct ReservationFilter {
    /// Of this buyer, unless empty.
    pub buyer_id: String,
    /// In this state.
    pub state: Option<State>,
    /// That expire before this.
    pub expires_before: Option<Timestamp>,
}

/// A cell that promises more than it can sell, and whom this hurts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// The cell.
    pub cell: Cell,
    /// Open reservations on it, newest first, until their units cover the shortfall.
    pub hurt: Vec<ReservationId>,
}

impl Engine {
    /// What planning knows of the cells of a SKU, by location.
    #[must_use]
    pub fn facts(&self, sku: SkuId) -> Vec<CellFacts> {
        let shard = self.shards.read(sku.shard());
        shard.facts().filter(|cell| cell.sku == sku).collect()
    }

    /// Availability of SKUs to an order of no channel, in total and at given locations, all at one LSN. SKUs and locations come in the order asked for.
    #[must_use]
    pub fn availability(&self, skus: &[SkuId], locations: &[LocationId]) -> (Lsn, Vec<SkuAvailability>) {
        let nobody = allotment::Asker::default();
        self.availability_to(&nobody, skus, locations).unwrap_or_else(|_| (self.as_of(Lsn::ZERO), Vec::new()))
    }

    /// The cells of a SKU past `after`, by location, at most `limit`; and whether there are more.
    #[must_use]
    pub fn cells(&self, sku: SkuId, after: Option<LocationId>, limit: usize) -> (Lsn, Vec<Cell>, bool) {
        let shard = self.shards.read(sku.shard());
        let row = shard.row(sku);
        let revision = row.revision();
        let mut rest = row.cells().filter(|(location, _)| after.is_none_or(|after| *location > after));
        let cells = rest.by_ref().take(limit).map(|(location, buckets)| Cell { sku, location, buckets, revision });
        let cells = cells.collect();
        (self.as_of(revision), cells, rest.next().is_some())
    }

    /// One cell.
    #[must_use]
    pub fn cell(&self, sku: SkuId, location: LocationId) -> Cell {
        let shard = self.shards.read(sku.shard());
        let row = shard.row(sku);
        Cell { sku, location, buckets: row.get(location), revision: row.revision() }
    }

    /// A reservation as it stands.
    ///
    /// # Errors
    /// `UnknownReservation` when it was never made or is no longer kept.
    pub fn reservation(&self, id: ReservationId) -> Result<(Lsn, Reservation), Error> {
        let shards = self.shards_of(id)?;
        let locked = self.shards.lock_shared(&shards);
        let reservation = reservation(&locked, id, &shards).ok_or(Error::UnknownReservation { id })?;
        // What is promised ahead may have become stock by an event that left the header alone.
        let moved = shards.iter().map(|shard| locked.shard(shard).supply.moved).max().unwrap_or(Lsn::ZERO);
        Ok((self.as_of(reservation.revision.max(moved)), reservation))
    }

    /// Reservations past `after` in the order of their ids, at most `limit`; and whether there may be more. By owner this is quick;
    /// otherwise every reservation that is kept is looked at. Each reservation is of one moment, the page is not: its LSN is that of
    /// the newest event it can rest on, by what is in it and by what is missing from it.
    #[must_use]
    pub fn reservations(
        &self,
        filter: &ReservationFilter,
        after: Option<ReservationId>,
        limit: usize,
    ) -> (Lsn, Vec<Reservation>, bool) {
        let wanted = |reservation: &Reservation| {
            filter.state.is_none_or(|state| state == reservation.state)
                && filter.expires_before.is_none_or(|before| reservation.expires_at < before)
                && (filter.buyer_id.is_empty() || filter.buyer_id == *reservation.buyer_id)
        };
        let mut page: Vec<Reservation> = Vec::new();
        let mut after = after;
        loop {
            let missing = limit + 1 - page.len();
            let ids = if filter.buyer_id.is_empty() {
                self.scan(filter, after, missing)
            } else {
                self.owners.page(&filter.buyer_id, after, usize::MAX)
            };
            let found = ids.iter().filter_map(|id| self.reservation(*id).ok());
            page.extend(found.map(|(_, reservation)| reservation).filter(&wanted).take(missing));
            // Some may have moved on since, or lost a part to another shard's retention: then there are more to look at.
            if page.len() > limit || ids.len() < missing {
                break;
            }
            after = ids.last().copied();
        }
        let more = page.len() > limit;
        page.truncate(limit);
        (self.journal.appended_lsn(), page, more)
    }

    /// Work booked at locations, by location and slot; a slot is told until two days after its end.
    #[must_use]
    pub fn booked(&self) -> (Lsn, Vec<Booking>) {
        let capacity = self.capacity.lock();
        (self.as_of(capacity.lsn), capacity.all())
    }

    /// Cells that sourcing leaves out, and until when: their locations refused the SKUs. Each shard at its own moment.
    #[must_use]
    pub fn refusals(&self) -> Vec<(SkuId, LocationId, Timestamp)> {
        let mut refusals: Vec<_> = ShardId::all()
            .flat_map(|shard| self.shards.read(shard).refusals.clone())
            .map(|((sku, location), until)| (sku, location, until))
            .collect();
        refusals.sort_unstable();
        refusals
    }

    /// Cells in shortfall past `after`, by SKU and location, at most `limit`; and whether there are more. Each is of one moment, the
    /// page is not.
    #[must_use]
    pub fn shortfalls(
        &self,
        after: Option<(SkuId, LocationId)>,
        limit: usize,
        hurt_max: usize,
    ) -> (Lsn, Vec<Shortfall>, bool) {
        let mut places: Vec<_> = ShardId::all()
            .flat_map(|shard| self.shards.read(shard).shortfalls.iter().copied().collect::<Vec<_>>())
            .filter(|place| after.is_none_or(|after| *place > after))
            .collect();
        places.sort_unstable();
        let more = places.len() > limit;
        places.truncate(limit);
        let shortfalls: Vec<Shortfall> = places
            .into_iter()
            .map(|(sku, location)| Shortfall {
                cell: self.cell(sku, location),
                hurt: self.hurt(sku, location, hurt_max),
            })
            .collect();
        (self.journal.appended_lsn(), shortfalls, more)
    }

    /// Open reservations on a cell, newest first, until their units cover its shortfall, at most `limit`.
    #[must_use]
    pub fn hurt(&self, sku: SkuId, location: LocationId, limit: usize) -> Vec<ReservationId> {
        let shard = self.shards.read(sku.shard());
        let mut missing = shard.row(sku).get(location).shortfall();
        if missing == 0 {
            return Vec::new();
        }
        let lines = shard.parts.iter().flat_map(|(id, part)| part.lines().map(move |line| (id, line)));
        let mut open: Vec<(ReservationId, u64)> = lines
            .filter(|(_, line)| line.sku == sku && line.location == location && !line.open.is_zero())
            .map(|(id, line)| (id, line.open.units()))
            .collect();
        open.sort_unstable_by_key(|(id, _)| std::cmp::Reverse(id.sequence()));
        let covering = open.into_iter().take_while(|(_, units)| {
            let hurts = missing > 0;
            missing = missing.saturating_sub(*units);
            hurts
        });
        covering.take(limit).map(|(id, _)| id).collect()
    }

    /// What a request id led to: the LSN of its event and the event, or a summary of a large one.
    #[must_use]
    pub fn outcome(&self, request_id: &str) -> (Lsn, Option<(Lsn, Event)>) {
        let hash = SlotHasher.hash(request_id);
        let slot = self.slots[SlotHasher::slot(hash)].lock();
        let found = slot.find(hash, request_id).map(|entry| {
            let (_, event) =
                codec::decode_event(entry.record).expect("Invariant: a remembered record was written by this codec");
            (entry.lsn, event)
        });
        let lsn = found.as_ref().map_or(Lsn::ZERO, |(lsn, _)| *lsn);
        (self.as_of(lsn), found)
    }

    /// Running figures, each shard at its own moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut total = Counts::default();
        for shard in ShardId::all() {
            let shard = self.shards.read(shard);
            total.cells += shard.counts.cells;
            total.held += shard.counts.held;
            total.confirmed += shard.counts.confirmed;
            total.pending += shard.counts.pending;
            total.ended += shard.counts.ended;
            total.shortfalls += u64::try_from(shard.shortfalls.len()).unwrap_or(u64::MAX);
        }
        let remembered = self.slots.iter().map(|slot| u64::try_from(slot.lock().len()).unwrap_or(u64::MAX));
        total.dedup_entries = remembered.sum();
        total
    }

    /// Running figures of each shard, in their order, each at its own moment. Request ids are not counted by shard.
    #[must_use]
    pub fn counts_by_shard(&self) -> Vec<Counts> {
        let of = |shard| {
            let shard = self.shards.read(shard);
            let shortfalls = u64::try_from(shard.shortfalls.len()).unwrap_or(u64::MAX);
            Counts { shortfalls, dedup_entries: 0, ..shard.counts }
        };
        ShardId::all().map(of).collect()
    }

    /// When the first hold is due that has not expired yet, or ended by itself and was not looked at since.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        ShardId::all().filter_map(|shard| self.shards.read(shard).expiries.first().map(|(at, _)| at)).min()
    }

    /// The LSN an answer is of: no event up to it is missing from what was read, and none that was read lies past it. Called with the
    /// locks of what was read held: every durable event has been applied wherever a lock is free.
    pub(crate) fn as_of(&self, newest: Lsn) -> Lsn {
        newest.max(self.journal.durable_lsn())
    }

    /// Ids of reservations that pass the filter, in their order.
    fn scan(&self, filter: &ReservationFilter, after: Option<ReservationId>, limit: usize) -> Vec<ReservationId> {
        let mut ids: Vec<ReservationId> = Vec::new();
        for shard in ShardId::all() {
            let shard = self.shards.read(shard);
            ids.extend(shard.parts.iter().filter_map(|(id, part)| {
                let header = part.header()?;
                let wanted = after.is_none_or(|after| id > after)
                    && filter.state.is_none_or(|state| state == header.state())
                    && filter.expires_before.is_none_or(|before| header.expires_at() < before);
                wanted.then_some(id)
            }));
            // Keeps the list short without sorting it for every shard.
            if ids.len() > limit.saturating_mul(4).saturating_add(1024) {
                ids.select_nth_unstable(limit);
                ids.truncate(limit);
            }
        }
        ids.sort_unstable();
        ids.truncate(limit);
        ids
    }
}

pub(crate) fn availability(locked: &SharedLocked<'_>, sku: SkuId, locations: &[LocationId]) -> SkuAvailability {
    let shard = locked.shard(sku.shard());
    let (row, directory) = (shard.row(sku), &shard.directory);
    let for_sale = row.sellable() && !row.retired();
    let open = row.stocked().filter(|(location, _)| for_sale && directory.takes(*location));
    let by_location = locations
        .iter()
        .map(|location| {
            let open = for_sale && directory.takes(*location);
            if open { row.available_at(*location) } else { Quantity::ZERO }
        })
        .collect();
    SkuAvailability {
        sku,
        available: open.map(|(_, available)| available.units()).sum(),
        by_location,
        revision: row.revision(),
    }
}

fn reservation(locked: &SharedLocked<'_>, id: ReservationId, shards: &ShardSet) -> Option<Reservation> {
    let home = locked.shard(id.home()).parts.get(&id)?;
    let header = home.header()?;
    let (mut lines, mut presold) = (Vec::new(), Vec::new());
    for shard in shards.iter() {
        // A part that its shard has already forgotten means that the reservation's time is over.
        let Some(part) = locked.shard(shard).parts.get(&id) else {
            if header.lies_without_part(shard) {
                continue;
            }
            return None;
        };
        lines.extend(part.lines());
        presold.extend_from_slice(part.presold());
    }
    presold.sort_unstable();
    lines.sort_unstable_by_key(|line| (line.sku, line.location));
    Some(Reservation {
        presold,
        kept: header.kept().cloned().map(Box::new),
        id,
        state: header.state(),
        order_id: header.order_id().into(),
        buyer_id: header.buyer_id().into(),
        channel: header.channel(),
        created_at: header.created_at(),
        expires_at: header.expires_at(),
        ended_at: home.ended_at(),
        revision: header.revision(),
        lines,
        sourcing: header.sourcing().cloned().map(Box::new),
    })
}
