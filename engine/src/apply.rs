//! The only code that changes state. Live traffic, recovery and a standby all come through here.
//!
//! Live it cannot fail: the event was decided against this very state, so whatever does not fit is a broken invariant, and stops the
//! process before it can be acknowledged. In recovery a record may come from another history, and what does not fit is an error.

mod allotment;
mod bulk;
mod campaign;
mod returns;
mod rules;
mod supply;
mod upkeep;

use quartermaster_journal::Lsn;

use self::campaign::Turn;
use crate::{
    capacity::Booking,
    event::{
        Claim, EndState, Event, Held, HoldEndReason, Line, Lines, PlainHeld, PlainStep, Promise, Stepped,
        placed::Placed,
    },
    id::{CampaignId, LocationId, ReservationId, ShardId, SkuId},
    quantity::Quantity,
    reservation::{Header, Part, PartLine, PartMut, Plain, State, UnitsMut},
    returns::put,
    shard::{Counts, Shard},
    sourced::{Rerouted, Sourced, Sourcing},
    stock::Buckets,
    terms::{Kept, Stage},
    time::Timestamp,
};

/// The invariant that an event would break: it does not follow from the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misfit(pub(crate) &'static str);

type Applied = Result<(), Misfit>;

/// Brings one shard forward by one event of time `now`, whose entries are `placed`: its own cells, its own reservation parts.
///
/// # Errors
/// If the event does not fit the state. The shard is half changed then and good for nothing.
pub(crate) fn apply(shard: &mut Shard, lsn: Lsn, now: Timestamp, event: &Event, placed: &Placed) -> Applied {
    forward(shard, lsn, now, |change, shard| change.event(shard, event, placed))
}

/// As `apply`, for the event of a plain hold: brings its home shard forward.
///
/// # Errors
/// As `apply`.
pub(crate) fn apply_plain(shard: &mut Shard, lsn: Lsn, now: Timestamp, held: &PlainHeld<'_>) -> Applied {
    forward(shard, lsn, now, |change, shard| change.held_plain(shard, held))
}

/// As `apply`, for what happens to a plain reservation: brings its home shard forward.
///
/// # Errors
/// As `apply`.
pub(crate) fn apply_step(shard: &mut Shard, lsn: Lsn, now: Timestamp, step: &PlainStep) -> Applied {
    let claim = step.claim();
    forward(shard, lsn, now, |change, shard| match step.what {
        Stepped::Confirmed => change.confirmed(shard, &claim),
        Stepped::HoldEnded(reason) => change.hold_ended(shard, &claim, reason),
        Stepped::Shipped(end) => change.shipped(shard, &claim, end.map(EndState::state)),
    })
}

/// Brings a shard forward by one event, its part of which is `change`.
#[inline]
fn forward(
    shard: &mut Shard,
    lsn: Lsn,
    now: Timestamp,
    change: impl FnOnce(&Change, &mut Shard) -> Applied,
) -> Applied {
    require(lsn > shard.lsn, "events are applied once, in order")?;
    let common = Change { lsn, now, here: shard.id };
    change(&common, shard)?;
    shard.lsn = lsn;
    common.forget_ended(shard);
    Ok(())
}

const MADE: &str = "an event names a reservation that was made";
const GIVEN_OUT: Misfit = Misfit("a reservation id is given out once");
const GIVEN_BACK: Misfit = Misfit("work that is given back was booked");
const KNOWN_SKU: &str = "an event names SKUs that were created";

fn require(holds: bool, invariant: &'static str) -> Applied {
    if holds { Ok(()) } else { Err(Misfit(invariant)) }
}

struct Change {
    lsn: Lsn,
    now: Timestamp,
    here: ShardId,
}

impl Change {
    /// One shard's part of an event.
    fn event(&self, shard: &mut Shard, event: &Event, placed: &Placed) -> Applied {
        match event {
            Event::Held(held) => self.held(shard, held)?,
            Event::Confirmed { claim } => self.confirmed(shard, claim)?,
            Event::HoldEnded { claim, reason, bookings } => {
                self.hold_ended(shard, claim, *reason)?;
                self.booked(shard, claim.reservation, bookings)?;
            }
            Event::Cancelled { claim, promise, end, bookings } => {
                self.give_back(shard, claim, *promise, end.map(EndState::state))?;
                self.booked(shard, claim.reservation, bookings)?;
                self.kits_given_up(shard, claim)?;
            }
            Event::Extended { reservation, expires_at } => self.extended(shard, *reservation, *expires_at)?,
            Event::Shipped { claim, end } => self.shipped(shard, claim, end.map(EndState::state))?,
            Event::Reassigned { reservation, promise, line, from } => {
                self.reassigned(shard, *reservation, *promise, *line, *from)?;
            }
            Event::Rerouted(rerouted) => self.rerouted(shard, rerouted, None)?,
            Event::Merged(merged) => {
                for part in &merged.moves {
                    self.rerouted(shard, part, merged.group())?;
                }
            }
            Event::StockChanged(stock) => self.stock_changed(shard, stock, placed)?,
            Event::SkusUpserted { skus, .. } => self.skus_upserted(shard, skus, placed)?,
            Event::SkusRetired { skus } => self.skus_retired(shard, skus, placed)?,
            Event::CellFactsSet { facts } => self.facts_set(shard, facts, placed)?,
            Event::Allotment(event) => self.allotment(shard, event)?,
            Event::Campaign(event) => self.campaign(shard, event)?,
            Event::Supply(event) => self.supply(shard, event)?,
            Event::Returns(event) => self.returns(shard, event)?,
            Event::Upkeep(event) => self.upkeep(shard, event)?,
            Event::Rules(event) => self.rules(shard, event)?,
            // Every shard gets the new directory from whoever holds all the locks.
            Event::LocationsUpserted { .. }
            | Event::ChannelsUpserted { .. }
            | Event::RegionsUpserted { .. }
            | Event::DocumentDrafted { .. }
            | Event::DocumentActivated { .. }
            | Event::DocumentRetired { .. } => {}
            Event::Summary(_) => return Err(Misfit("a summary stands for an answer and is never in the journal")),
        }
        Ok(())
    }

    fn held(&self, shard: &mut Shard, held: &Held) -> Applied {
        if let Some(plain) = held.plain() {
            // An exchange brings its hold to the shards of the return as well.
            return if plain.reservation.home() == self.here { self.held_plain(shard, &plain) } else { Ok(()) };
        }
        if let Some(replaced) = &held.replaced {
            self.give_back(shard, replaced, Promise::Reserved, Some(State::Replaced))?;
            self.booked(shard, replaced.reservation, &held.replaced_bookings)?;
        }
        let terms = held.terms.as_deref();
        let stage = terms.map_or(Stage::Held, |terms| terms.stage);
        let promise = stage.promise();
        let mut part = Part { promise, ..Part::default() };
        if let Some(terms) = terms {
            part.path.clone_from(&terms.path);
        }
        for line in held.lines.iter().filter(|line| line.sku.shard() == self.here) {
            self.taken(shard, *line, promise)?;
            let units = (line.sku, line.quantity);
            let charged = self.charge(&mut shard.allotments, &part.path, units, promise)?;
            part.lines.push(PartLine { charged, ..PartLine::open(line.sku, line.location, line.quantity) });
        }
        if let Some(terms) = terms {
            self.begun(shard, held, terms)?;
        }
        self.presold_held(shard, held, &mut part)?;
        if held.reservation.home() == self.here {
            *count(&mut shard.counts, stage.state()) += 1;
            part.header = Some(Box::new(Header {
                state: stage.state(),
                order_id: held.order_id.as_str().into(),
                buyer_id: held.buyer_id.as_str().into(),
                channel: held.channel,
                created_at: self.now,
                expires_at: held.expires_at,
                revision: self.lsn,
                shards: held.own_shards(),
                sourcing: match held.sourced.as_deref() {
                    None => None,
                    Some(sourced) => Some(Box::new(self.sourcing(sourced)?)),
                },
                kept: held.terms.as_deref().and_then(Kept::of),
            }));
        }
        if part.header.is_some() || !part.lines.is_empty() || !part.presold.is_empty() {
            let place = shard.parts.insert(held.reservation, part).ok_or(GIVEN_OUT)?;
            if held.reservation.home() == self.here && matches!(stage, Stage::Held | Stage::Placed) {
                shard.expiries.push(held.expires_at, place);
            }
        }
        Ok(())
    }

    /// What `held` comes to where there is one line and nothing else.
    fn held_plain(&self, shard: &mut Shard, held: &PlainHeld<'_>) -> Applied {
        let line = held.line;
        require(line.sku.shard() == self.here, "a plain hold lies in the shard of its line")?;
        self.taken(shard, line, Promise::Reserved)?;
        let place = shard.parts.insert_plain(Plain::begin(held, self.now, self.lsn)).ok_or(GIVEN_OUT)?;
        shard.expiries.push(held.expires_at, place);
        shard.counts.held += 1;
        Ok(())
    }

    /// A hold takes the units of one of its lines.
    #[inline]
    fn taken(&self, shard: &mut Shard, line: Line, promise: Promise) -> Applied {
        const AVAILABLE: &str = "a hold takes no more than is available";
        if promise == Promise::Reserved && !shard.rules.watching {
            // Where something is available nothing is short, before and after: the list of shortfalls is right as it is.
            let row = shard.rows.get_mut(line.sku.row()).ok_or(Misfit(KNOWN_SKU))?;
            row.reserve(line.location, line.quantity).ok_or(Misfit(AVAILABLE))?;
            row.set_revision(self.lsn);
            return Ok(());
        }
        self.cell(shard, line.sku, line.location, |cell| {
            require(line.quantity <= cell.available(), AVAILABLE)?;
            plus(cell.promise_mut(promise), line.quantity)
        })
    }

    fn confirmed(&self, shard: &mut Shard, claim: &Claim) -> Applied {
        let id = claim.reservation;
        self.turned(shard, claim, Turn::Confirmed)?;
        for line in claim.lines.iter().filter(|line| line.sku.shard() == self.here) {
            self.cell(shard, line.sku, line.location, |cell| {
                minus(&mut cell.reserved, line.quantity)?;
                plus(&mut cell.committed, line.quantity)
            })?;
            self.charge_confirmed(shard, id, *line)?;
        }
        self.presold_confirmed(shard, claim)?;
        let Some(mut part) = shard.parts.get_mut(&id) else {
            return require(self.here != id.home(), MADE);
        };
        require(part.view().promise() == Promise::Reserved, "a reservation is confirmed once")?;
        part.set_promise(Promise::Committed);
        let waited = self.enter(&mut part, &mut shard.counts, id, State::Confirmed)?;
        waited.map_or(Ok(()), |(campaign, sku)| campaign::leave(shard, id, campaign, sku))
    }

    fn hold_ended(&self, shard: &mut Shard, claim: &Claim, reason: HoldEndReason) -> Applied {
        let state = match reason {
            HoldEndReason::Released => State::Released,
            HoldEndReason::Expired => State::Expired,
        };
        self.give_back(shard, claim, Promise::Reserved, Some(state))
    }

    /// Units go back from a promise to the pool.
    fn give_back(&self, shard: &mut Shard, claim: &Claim, promise: Promise, end: Option<State>) -> Applied {
        let id = claim.reservation;
        self.turned(shard, claim, Turn::GivenBack(promise))?;
        for line in claim.lines.iter().filter(|line| line.sku.shard() == self.here) {
            self.cell(shard, line.sku, line.location, |cell| minus(cell.promise_mut(promise), line.quantity))?;
            self.charge_given_back(shard, id, *line, promise)?;
            let units = units(shard, id, line.sku, line.location)?;
            minus(units.open, line.quantity)?;
            plus(units.returned, line.quantity)?;
        }
        self.presold_given_back(shard, claim, promise)?;
        self.touch_or_end(shard, id, end)
    }

    fn shipped(&self, shard: &mut Shard, claim: &Claim, end: Option<State>) -> Applied {
        let id = claim.reservation;
        self.turned(shard, claim, Turn::Shipped)?;
        for line in claim.lines.iter().filter(|line| line.sku.shard() == self.here) {
            self.cell(shard, line.sku, line.location, |cell| {
                minus(&mut cell.on_hand, line.quantity)?;
                minus(&mut cell.committed, line.quantity)
            })?;
            self.charge_shipped(shard, id, *line)?;
            let units = units(shard, id, line.sku, line.location)?;
            minus(units.open, line.quantity)?;
            plus(units.shipped, line.quantity)?;
            shard.returns.count_shipped(line.sku, line.quantity);
        }
        self.touch_or_end(shard, id, end)
    }

    fn extended(&self, shard: &mut Shard, id: ReservationId, expires_at: Timestamp) -> Applied {
        let header = shard.parts.header(&id);
        let runs = header.is_some_and(|header| matches!(header.state(), State::Held | State::Placed));
        let mut part = shard.parts.get_mut(&id).filter(|_| runs);
        let part = part.as_mut().ok_or(Misfit("only a held or placed reservation is extended"))?;
        part.set_expires_at(expires_at);
        part.set_revision(self.lsn);
        shard.parts.place(&id).into_iter().for_each(|place| shard.expiries.push(expires_at, place));
        Ok(())
    }

    fn reassigned(
        &self,
        shard: &mut Shard,
        id: ReservationId,
        promise: Promise,
        line: Line,
        from: LocationId,
    ) -> Applied {
        if line.sku.shard() == self.here {
            self.cell(shard, line.sku, line.location, |cell| plus(cell.promise_mut(promise), line.quantity))?;
            self.cell(shard, line.sku, from, |cell| minus(cell.promise_mut(promise), line.quantity))?;
            self.moved_in(shard, id, line, promise)?;
            self.charge_given_back(shard, id, Line { location: from, ..line }, promise)?;
            let old = units(shard, id, line.sku, from)?;
            minus(old.open, line.quantity)?;
            let emptied = old.open.is_zero() && old.shipped.is_zero() && old.returned.is_zero();
            if let Some(part) = shard.parts.whole_mut(&id)
                && emptied
            {
                part.lines.retain(|kept| (kept.sku, kept.location) != (line.sku, from));
            }
        }
        self.touch_or_end(shard, id, None)
    }

    /// Units change places: taken before they are given up.
    fn rerouted(&self, shard: &mut Shard, rerouted: &Rerouted, group: Option<ReservationId>) -> Applied {
        let (id, promise) = (rerouted.reservation, rerouted.promise);
        let here =
            |lines: &Lines| lines.iter().filter(|line| line.sku.shard() == self.here).copied().collect::<Lines>();
        for line in here(&rerouted.to) {
            self.cell(shard, line.sku, line.location, |cell| plus(cell.promise_mut(promise), line.quantity))?;
            self.moved_in(shard, id, line, promise)?;
        }
        for line in here(&rerouted.from) {
            self.cell(shard, line.sku, line.location, |cell| minus(cell.promise_mut(promise), line.quantity))?;
            self.charge_given_back(shard, id, line, promise)?;
            minus(units(shard, id, line.sku, line.location)?.open, line.quantity)?;
            if let Some(until) = rerouted.refused_until {
                shard.refusals.insert((line.sku, line.location), until);
            }
        }
        if rerouted.refused_until.is_some() {
            shard.refusals.retain(|_, until| *until > self.now);
        }
        if let Some(part) = shard.parts.whole_mut(&id) {
            part.lines.retain(|line| !line.open.is_zero() || !line.shipped.is_zero() || !line.returned.is_zero());
            if let Some(sourcing) = part.header.as_mut().and_then(|header| header.sourcing.as_mut()) {
                sourcing.book(&rerouted.bookings).ok_or(GIVEN_BACK)?;
                sourcing.promised = rerouted.promised.or(sourcing.promised);
                sourcing.parcels.clone_from(&rerouted.parcels);
                sourcing.merged_with = group.or(sourcing.merged_with);
            }
        }
        self.touch_or_end(shard, id, None)
    }

    /// Units come to a line of a reservation, which is made if it is not there. It counts to the path if the others of its SKU do.
    fn moved_in(&self, shard: &mut Shard, id: ReservationId, line: Line, promise: Promise) -> Applied {
        let part = shard.parts.whole_mut(&id).ok_or(Misfit("a reservation lies in the shards of its lines"))?;
        match part.line_mut(line.sku, line.location) {
            Some(target) => plus(&mut target.open, line.quantity)?,
            None => {
                let charged = part.lines.iter().any(|own| own.sku == line.sku && own.charged);
                part.lines.push(PartLine { charged, ..PartLine::open(line.sku, line.location, line.quantity) });
            }
        }
        self.charge_moved_in(shard, id, line, promise)
    }

    /// What an order's header keeps of its sourcing.
    fn sourcing(&self, sourced: &Sourced) -> Result<Sourcing, Misfit> {
        let mut sourcing = Sourcing {
            decided: self.lsn,
            promised: sourced.decision.arrives_at(),
            bookings: Vec::new(),
            merged_with: None,
            ask: sourced.ask.clone(),
            conditions: sourced.wanted.iter().filter(|line| line.is_conditioned()).cloned().collect(),
            parcels: sourced.decision.parcels.clone(),
        };
        sourcing.book(&sourced.bookings).ok_or(GIVEN_BACK)?;
        Ok(sourcing)
    }

    /// Notes in the header what is no longer booked.
    fn booked(&self, shard: &mut Shard, id: ReservationId, bookings: &[Booking]) -> Applied {
        if bookings.is_empty() || shard.id != id.home() {
            return Ok(());
        }
        let header = shard.parts.whole_mut(&id).and_then(|part| part.header.as_mut());
        let sourcing = header.and_then(|header| header.sourcing.as_mut()).ok_or(GIVEN_BACK)?;
        sourcing.book(bookings).ok_or(GIVEN_BACK)
    }

    fn cell(
        &self,
        shard: &mut Shard,
        sku: SkuId,
        location: LocationId,
        change: impl FnOnce(&mut Buckets) -> Applied,
    ) -> Applied {
        let row = shard.rows.get_mut(sku.row()).ok_or(Misfit(KNOWN_SKU))?;
        let before = row.len();
        let mut stock_before = None;
        let watching = shard.rules.watching;
        let buckets = row.change(location, |cell| {
            stock_before = watching.then_some(*cell);
            change(cell)
        })?;
        row.set_revision(self.lsn);
        let is_new = row.len() > before;
        if is_new {
            shard.counts.cells += 1;
        }
        if stock_before.is_some_and(|before| is_new || crate::rules::sees(&before, &buckets)) {
            shard.rules.mark(sku, self.now);
        }
        if buckets.shortfall() > 0 {
            shard.shortfalls.insert((sku, location));
        } else if !shard.shortfalls.is_empty() {
            shard.shortfalls.remove(&(sku, location));
        }
        Ok(())
    }

    fn touch_or_end(&self, shard: &mut Shard, id: ReservationId, end: Option<State>) -> Applied {
        let Some(mut part) = shard.parts.get_mut(&id) else {
            return require(self.here != id.home(), MADE);
        };
        let Some(state) = end else {
            part.set_revision(self.lsn);
            return Ok(());
        };
        require(part.view().ended_at().is_none(), "a reservation ends once")?;
        part.set_ended_at(self.now);
        let waited = self.enter(&mut part, &mut shard.counts, id, state)?;
        // In the order of time and id, as a snapshot brings it back; clocks of two threads may come in the wrong order.
        if state == State::Shipped {
            shard.returns.ended_shipped(id, self.now);
        } else {
            put(&mut shard.ended, (self.now, id));
        }
        waited.map_or(Ok(()), |(campaign, sku)| campaign::leave(shard, id, campaign, sku))
    }

    fn state(&self, shard: &mut Shard, id: ReservationId, state: State) -> Applied {
        let Some(mut part) = shard.parts.get_mut(&id) else {
            return require(self.here != id.home(), MADE);
        };
        let waited = self.enter(&mut part, &mut shard.counts, id, state)?;
        waited.map_or(Ok(()), |(campaign, sku)| campaign::leave(shard, id, campaign, sku))
    }

    /// An open reservation enters a state, where its header is. Gives the line that it waited in and is to leave.
    fn enter(
        &self,
        part: &mut PartMut<'_>,
        counts: &mut Counts,
        id: ReservationId,
        state: State,
    ) -> Result<Option<(CampaignId, SkuId)>, Misfit> {
        let Some(header) = part.view().header() else {
            return require(self.here != id.home(), MADE).map(|()| None);
        };
        let before = header.state();
        require(before.is_open(), "a reservation ends once")?;
        let kept = header.kept().filter(|_| before == State::Waiting);
        let waited = kept.and_then(|kept| match &*kept.wanted {
            [wanted] => Some((kept.campaign?, wanted.sku)),
            _ => None,
        });
        *count(counts, before) -= 1;
        *count(counts, state) += 1;
        part.set_state(state, self.lsn);
        Ok(waited)
    }

    /// Ended reservations go by age and by number; both follow from the events of this shard alone.
    fn forget_ended(&self, shard: &mut Shard) {
        let horizon = self.now.minus(shard.retention.age);
        while let Some((ended_at, id)) = shard.ended.front().copied() {
            if ended_at >= horizon && shard.ended.len() <= shard.retention.entries {
                break;
            }
            shard.ended.pop_front();
            forget(shard, id);
        }
        while let Some(id) = shard.returns.pop_shipped(self.now, shard.shipped_retention) {
            forget(shard, id);
        }
        shard.returns.forget_unmatched(self.now, shard.shipped_retention);
    }
}

/// Drops a part of an ended reservation.
fn forget(shard: &mut Shard, id: ReservationId) {
    shard.returns.forget(id);
    if let Some(part) = shard.parts.remove(&id)
        && part.header().is_some()
    {
        shard.counts.ended -= 1;
        shard.forgotten.push(part);
    }
}

pub(crate) fn count(counts: &mut Counts, state: State) -> &mut u64 {
    match state {
        State::Held => &mut counts.held,
        State::Confirmed => &mut counts.confirmed,
        State::Placed | State::Waiting => &mut counts.pending,
        State::Shipped | State::Released | State::Expired | State::Cancelled | State::Replaced => &mut counts.ended,
    }
}

const NAMED_LINE: Misfit = Misfit("an open reservation has the lines its events name");

/// The units of a reservation's line.
fn units(shard: &mut Shard, id: ReservationId, sku: SkuId, location: LocationId) -> Result<UnitsMut<'_>, Misfit> {
    shard.parts.get_mut(&id).and_then(|part| part.units(sku, location)).ok_or(NAMED_LINE)
}

/// A reservation's line, to change in any way.
fn whole_line(shard: &mut Shard, id: ReservationId, sku: SkuId, location: LocationId) -> Result<&mut PartLine, Misfit> {
    shard.parts.whole_mut(&id).and_then(|part| part.line_mut(sku, location)).ok_or(NAMED_LINE)
}

fn plus(bucket: &mut Quantity, units: Quantity) -> Applied {
    *bucket = bucket.checked_add(units).ok_or(Misfit("a bucket stays within 32 bits"))?;
    Ok(())
}

fn minus(bucket: &mut Quantity, units: Quantity) -> Applied {
    *bucket = bucket.checked_sub(units).ok_or(Misfit("a bucket never falls below 0"))?;
    Ok(())
}
