//! The only code that changes state. Live traffic, recovery and a standby all come through here.
//!
//! It cannot fail: the event was decided against this very state, so whatever does not fit is a broken invariant, and stops the
//! process before it can be acknowledged.

use std::cmp::Reverse;

use quartermaster_journal::Lsn;

use crate::{
    event::{CellChange, Claim, EndState, Event, Held, HoldEndReason, Line, Promise, Record},
    id::{LocationId, ReservationId, ShardId, SkuId},
    quantity::Quantity,
    reservation::{Header, Part, PartLine, State},
    shard::Shard,
    stock::{Buckets, Row},
    time::Timestamp,
};

/// Brings one shard forward by one event: its own cells, its own reservation parts.
///
/// # Panics
/// If the event does not fit the state, naming the invariant.
pub(crate) fn apply(shard: &mut Shard, lsn: Lsn, record: &Record) {
    debug_assert!(lsn > shard.lsn, "events are applied once, in order");
    let change = Change { lsn, now: record.time, here: shard.id };
    match &record.event {
        Event::Held(held) => change.held(shard, held),
        Event::Confirmed { claim } => change.confirmed(shard, claim),
        Event::HoldEnded { claim, reason } => {
            let state = match reason {
                HoldEndReason::Released => State::Released,
                HoldEndReason::Expired => State::Expired,
            };
            change.give_back(shard, claim, Promise::Reserved, Some(state));
        }
        Event::Cancelled { claim, promise, end } => {
            change.give_back(shard, claim, *promise, end.map(EndState::state));
        }
        Event::Extended { reservation, expires_at } => change.extended(shard, *reservation, *expires_at),
        Event::Shipped { claim, end } => change.shipped(shard, claim, end.map(EndState::state)),
        Event::Reassigned { reservation, promise, line, from } => {
            change.reassigned(shard, *reservation, *promise, *line, *from);
        }
        Event::StockChanged(stock) => {
            stock
                .changes
                .iter()
                .filter(|cell| cell.sku.shard() == change.here)
                .for_each(|cell| change.stock(shard, cell));
        }
        Event::SkusUpserted { skus, .. } => {
            for sku in skus.iter().filter(|sku| sku.id.shard() == change.here) {
                if sku.id.row() < shard.rows.len() {
                    shard.row_mut(sku.id).set_sellable(sku.spec.sellable);
                } else {
                    assert_eq!(sku.id.row(), shard.rows.len(), "SKU ids are dense");
                    shard.rows.push(Row::new(sku.spec.sellable));
                }
            }
        }
        Event::SkusRetired { skus } => {
            skus.iter().filter(|sku| sku.shard() == change.here).for_each(|sku| shard.row_mut(*sku).set_retired());
        }
        // Every shard gets the new directory from whoever holds all the locks.
        Event::LocationsUpserted { .. } | Event::ChannelsUpserted { .. } => {}
        Event::Summary(_) => unreachable!("a summary stands for an answer and is never in the journal"),
    }
    shard.lsn = lsn;
    change.forget_ended(shard);
}

struct Change {
    lsn: Lsn,
    now: Timestamp,
    here: ShardId,
}

impl Change {
    fn held(&self, shard: &mut Shard, held: &Held) {
        if let Some(replaced) = &held.replaced {
            self.give_back(shard, replaced, Promise::Reserved, Some(State::Replaced));
        }
        let mut part =
            Part { promise: Promise::Reserved, lines: smallvec::SmallVec::new(), ended_at: None, header: None };
        for line in held.lines.iter().filter(|line| line.sku.shard() == self.here) {
            self.cell(shard, line.sku, line.location, |cell| {
                cell.reserved = plus(cell.reserved, line.quantity);
            });
            part.lines.push(PartLine {
                sku: line.sku,
                location: line.location,
                open: line.quantity,
                shipped: Quantity::ZERO,
                returned: Quantity::ZERO,
            });
        }
        if held.reservation.home() == self.here {
            shard.expiries.push(Reverse((held.expires_at, held.reservation)));
            shard.counts.held += 1;
            part.header = Some(Box::new(Header {
                state: State::Held,
                order_id: held.order_id.clone(),
                buyer_id: held.buyer_id.clone(),
                channel: held.channel,
                created_at: self.now,
                expires_at: held.expires_at,
                revision: self.lsn,
                shards: held.lines.iter().map(|line| line.sku.shard()).chain([shard.id]).collect(),
            }));
        }
        if part.header.is_some() || !part.lines.is_empty() {
            let before = shard.parts.insert(held.reservation, part);
            assert!(before.is_none(), "a reservation id is given out once");
        }
    }

    fn confirmed(&self, shard: &mut Shard, claim: &Claim) {
        let id = claim.reservation;
        for line in claim.lines.iter().filter(|line| line.sku.shard() == self.here) {
            self.cell(shard, line.sku, line.location, |cell| {
                cell.reserved = minus(cell.reserved, line.quantity);
                cell.committed = plus(cell.committed, line.quantity);
            });
        }
        if let Some(part) = shard.parts.get_mut(&id) {
            part.promise = Promise::Committed;
        }
        self.state(shard, id, State::Confirmed);
    }

    /// Units go back from a promise to the pool.
    fn give_back(&self, shard: &mut Shard, claim: &Claim, promise: Promise, end: Option<State>) {
        let id = claim.reservation;
        for line in claim.lines.iter().filter(|line| line.sku.shard() == self.here) {
            self.cell(shard, line.sku, line.location, |cell| {
                let bucket = cell.promise_mut(promise);
                *bucket = minus(*bucket, line.quantity);
            });
            let part = part_line(shard, id, line.sku, line.location);
            part.open = minus(part.open, line.quantity);
            part.returned = plus(part.returned, line.quantity);
        }
        self.touch_or_end(shard, id, end);
    }

    fn shipped(&self, shard: &mut Shard, claim: &Claim, end: Option<State>) {
        let id = claim.reservation;
        for line in claim.lines.iter().filter(|line| line.sku.shard() == self.here) {
            self.cell(shard, line.sku, line.location, |cell| {
                cell.on_hand = minus(cell.on_hand, line.quantity);
                cell.committed = minus(cell.committed, line.quantity);
            });
            let part = part_line(shard, id, line.sku, line.location);
            part.open = minus(part.open, line.quantity);
            part.shipped = plus(part.shipped, line.quantity);
        }
        self.touch_or_end(shard, id, end);
    }

    fn extended(&self, shard: &mut Shard, id: ReservationId, expires_at: Timestamp) {
        if let Some(header) = shard.parts.get_mut(&id).and_then(|part| part.header.as_mut()) {
            header.expires_at = expires_at;
            header.revision = self.lsn;
            shard.expiries.push(Reverse((expires_at, id)));
        }
    }

    fn reassigned(&self, shard: &mut Shard, id: ReservationId, promise: Promise, line: Line, from: LocationId) {
        if line.sku.shard() == self.here {
            self.cell(shard, line.sku, line.location, |cell| {
                let bucket = cell.promise_mut(promise);
                *bucket = plus(*bucket, line.quantity);
            });
            self.cell(shard, line.sku, from, |cell| {
                let bucket = cell.promise_mut(promise);
                *bucket = minus(*bucket, line.quantity);
            });
            let old = part_line(shard, id, line.sku, from);
            old.open = minus(old.open, line.quantity);
            let emptied = old.open.is_zero() && old.shipped.is_zero() && old.returned.is_zero();
            if let Some(part) = shard.parts.get_mut(&id) {
                if emptied {
                    part.lines.retain(|kept| (kept.sku, kept.location) != (line.sku, from));
                }
                match part.line_mut(line.sku, line.location) {
                    Some(target) => target.open = plus(target.open, line.quantity),
                    None => part.lines.push(PartLine {
                        sku: line.sku,
                        location: line.location,
                        open: line.quantity,
                        shipped: Quantity::ZERO,
                        returned: Quantity::ZERO,
                    }),
                }
            }
        }
        self.touch_or_end(shard, id, None);
    }

    fn stock(&self, shard: &mut Shard, change: &CellChange) {
        self.cell(shard, change.sku, change.location, |cell| {
            for (bucket, delta) in [
                (&mut cell.on_hand, change.on_hand),
                (&mut cell.safety, change.safety),
                (&mut cell.quality_control, change.quality_control),
                (&mut cell.damaged, change.damaged),
                (&mut cell.in_repair, change.in_repair),
                (&mut cell.incoming, change.incoming),
            ] {
                *bucket = bucket.checked_add_signed(delta).expect("Invariant: a stock change stays within its bucket");
            }
        });
        let after = shard.row(change.sku).get(change.location);
        assert_eq!(after.on_hand, change.on_hand_after, "Invariant: an event tells the figure it leaves");
    }

    fn cell(&self, shard: &mut Shard, sku: SkuId, location: LocationId, change: impl FnOnce(&mut Buckets)) {
        let row = shard.row_mut(sku);
        let before = row.len();
        let mut buckets = row.get(location);
        change(&mut buckets);
        row.put(location, &buckets);
        row.set_revision(self.lsn);
        if row.len() > before {
            shard.counts.cells += 1;
        }
        if buckets.shortfall() > 0 {
            shard.shortfalls.insert((sku, location));
        } else if !shard.shortfalls.is_empty() {
            shard.shortfalls.remove(&(sku, location));
        }
    }

    fn touch_or_end(&self, shard: &mut Shard, id: ReservationId, end: Option<State>) {
        let Some(part) = shard.parts.get_mut(&id) else { return };
        if let Some(header) = &mut part.header {
            header.revision = self.lsn;
        }
        if let Some(state) = end {
            part.ended_at = Some(self.now);
            shard.ended.push_back((self.now, id));
            self.state(shard, id, state);
        }
    }

    fn state(&self, shard: &mut Shard, id: ReservationId, state: State) {
        let Some(header) = shard.parts.get_mut(&id).and_then(|part| part.header.as_mut()) else { return };
        *count(&mut shard.counts, header.state) -= 1;
        *count(&mut shard.counts, state) += 1;
        header.state = state;
        header.revision = self.lsn;
    }

    /// Ended reservations go by age and by number; both follow from the events of this shard alone.
    fn forget_ended(&self, shard: &mut Shard) {
        let horizon = self.now.minus(shard.retention.age);
        while let Some((ended_at, id)) = shard.ended.front().copied() {
            if ended_at >= horizon && shard.ended.len() <= shard.retention.entries {
                break;
            }
            shard.ended.pop_front();
            if let Some(header) = shard.parts.remove(&id).and_then(|part| part.header) {
                shard.counts.ended -= 1;
                if !header.buyer_id.is_empty() {
                    shard.forgotten.push((header.buyer_id, id));
                }
            }
        }
    }
}

pub(crate) fn count(counts: &mut crate::shard::Counts, state: State) -> &mut u64 {
    match state {
        State::Held => &mut counts.held,
        State::Confirmed => &mut counts.confirmed,
        State::Shipped | State::Released | State::Expired | State::Cancelled | State::Replaced => &mut counts.ended,
    }
}

fn part_line(shard: &mut Shard, id: ReservationId, sku: SkuId, location: LocationId) -> &mut PartLine {
    shard
        .parts
        .get_mut(&id)
        .and_then(|part| part.line_mut(sku, location))
        .expect("Invariant: an open reservation has the lines its events name")
}

fn plus(bucket: Quantity, units: Quantity) -> Quantity {
    bucket.checked_add(units).expect("Invariant: a bucket stays within 32 bits")
}

fn minus(bucket: Quantity, units: Quantity) -> Quantity {
    bucket.checked_sub(units).expect("Invariant: a bucket never falls below 0")
}
