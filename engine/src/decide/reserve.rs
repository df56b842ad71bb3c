//! Whether and where an order's units can be taken.
//!
//! A line that names a location takes there. Lines that name none are served after those, by the locations' priority: from the first
//! location that has the whole line, else from as many as it needs in that order.

use smallvec::SmallVec;

use quartermaster_journal::Lsn;

use super::{
    Decision, allotment, campaign,
    lifecycle::{all_bookings, header, open_claim},
    location, supply,
    upkeep::{frozen_cell, not_for_sale, not_taking},
};
use crate::{
    allotment::LimitedBy,
    capacity::Booking,
    catalog::{Directory, Path, Sku},
    command::{FEW_LINES, Presale, Reserve, ReserveLine},
    error::{CodedShortage, Error, Rejection},
    event::{Claim, Event, Held, Line, Lines, Shortage},
    id::{ChannelId, LocationId, ReservationId, SkuId},
    quantity::Quantity,
    reservation::State,
    shard::{Locked, Look},
    stock::Row,
    time::Timestamp,
};

/// What is wanted of one SKU, duplicate lines summed.
#[derive(Debug)]
pub(crate) struct Demand<'a> {
    pub(crate) sku: SkuId,
    /// SKU code, for messages.
    pub(crate) code: &'a str,
    /// Location code, or empty for any.
    pub(crate) location: &'a str,
    pub(crate) quantity: u64,
    /// First line of the request that asks for it: the order of shortages.
    pub(super) first_line: usize,
}

impl<'a> Demand<'a> {
    /// What the only line of a request wants.
    pub(crate) fn of(line: &'a ReserveLine, sku: SkuId) -> Self {
        Self { sku, code: &line.sku, location: &line.location, quantity: line.quantity.units(), first_line: 0 }
    }
}

/// The demands of a request by SKU; within a SKU those that name a location first.
pub(crate) type Demands<'a> = SmallVec<[Demand<'a>; FEW_LINES]>;

/// A demand that is not served in full: what it gets, and why no more.
pub(crate) type Short<'a> = (&'a Demand<'a>, u64, LimitedBy);

/// Sums duplicate lines.
///
/// # Errors
/// `SumOverflow` when the lines of a SKU pass 32 bits together.
pub(crate) fn demands<'a>(reserve: &'a Reserve, skus: &[SkuId]) -> Result<Demands<'a>, Error> {
    let mut demands: Demands<'a> = (0..)
        .zip(reserve.lines.iter().zip(skus))
        .map(|(first_line, (line, sku))| Demand { first_line, ..Demand::of(line, *sku) })
        .collect();
    let apart = |demands: &Demands<'_>| demands.is_sorted_by(|one, next| one.sku < next.sku);
    if apart(&demands) {
        return Ok(demands);
    }
    demands.sort_unstable_by_key(|demand| (demand.sku, demand.location.is_empty(), demand.location, demand.first_line));
    if !apart(&demands) {
        demands.dedup_by(|next, kept| {
            let same = next.sku == kept.sku && next.location == kept.location;
            if same {
                kept.quantity += next.quantity;
            }
            same
        });
        for group in demands.chunk_by(|one, other| one.sku == other.sku) {
            let requested: u64 = group.iter().map(|demand| demand.quantity).sum();
            if requested > u64::from(u32::MAX) {
                return Err(Error::SumOverflow { sku: group[0].code.into(), requested });
            }
        }
    }
    Ok(demands)
}

/// Decides a hold. `id` is the id it shall have.
pub(crate) fn reserve(
    locked: &Locked<'_>,
    request: &Reserve,
    demands: &[Demand<'_>],
    id: ReservationId,
    now: Timestamp,
) -> Result<Decision, Error> {
    let decision = take(locked, request, demands, id, now)?;
    if request.channel.is_empty() && request.asked.is_none() {
        return Ok(decision);
    }
    campaign::begin(locked, request, demands, id, decision)
}

/// Decides what a hold takes, whenever its channel deducts.
pub(crate) fn take(
    locked: &Locked<'_>,
    request: &Reserve,
    demands: &[Demand<'_>],
    id: ReservationId,
    now: Timestamp,
) -> Result<Decision, Error> {
    let directory = locked.directory();
    let channel = match channel(directory, campaign::channel_code(directory, request))? {
        Ok(channel) => channel,
        Err(rejection) => return Ok(Decision::Rejected(rejection, directory.revision())),
    };
    let replaced = match request.replaces {
        Some(earlier) => replaced(locked, earlier, &request.buyer_id)?,
        None => None,
    };
    let freed = replaced.as_ref().map_or(&[][..], |replaced| &replaced.lines);
    let admitted = match campaign::admit(locked, request, demands, replaced.as_ref(), now)? {
        Ok(admitted) => admitted,
        Err((rejection, rests_on)) => return Ok(Decision::Rejected(rejection, rests_on)),
    };
    // Units of the SKU that is being served which the campaign has left for this request.
    let mut left = u64::MAX;
    let freed_ahead = replaced.as_ref().map_or(&[][..], Claim::presold);
    let presale = request.asked.as_deref().map_or(Presale::No, |asked| asked.presale);

    let mut lines = Lines::with_capacity(demands.len());
    let mut presold = Vec::new();
    // Where the lines of the SKU begin that is being served: demands come by SKU.
    let mut own = (0, None);
    // What the order may take of that SKU, and where its units count to.
    let mut cap = None;
    // What it may be promised of it in all, from what is expected, too.
    let mut promisable = u64::MAX;
    let mut path = Path::new();
    let mut short = SmallVec::<[Short<'_>; 4]>::new();
    let mut rests_on = directory.revision();
    for demand in demands {
        let shard = locked.shard(demand.sku.shard());
        let row = shard.row(demand.sku);
        if row.retired() {
            return Err(Error::UnknownSku { code: demand.code.into() });
        }
        rests_on = rests_on.max(row.revision());
        if !row.sellable() {
            let rejection = not_for_sale(shard, demand.sku, demand.code);
            // A row does not tell when it went off sale; its shard cannot have heard of it later than this.
            return Ok(Decision::Rejected(rejection, shard.lsn));
        }
        if request.unchanged_since_lsn > 0 && row.revision().get() > request.unchanged_since_lsn {
            return Err(Error::StaleRevision {
                sku: demand.code.into(),
                revision: row.revision(),
                expected: request.unchanged_since_lsn,
            });
        }
        if own.1 != Some(demand.sku) {
            own = (lines.len(), Some(demand.sku));
            (cap, promisable) = (None, u64::MAX);
            if allotment::is_bounded(shard, demand.sku) {
                let campaign = admitted.as_ref().map(campaign::Admitted::id);
                let way = directory.path(channel, campaign);
                cap = allotment::cap(locked, demand.sku, &way, replaced.as_ref());
                if allotment::counts(locked, demand.sku) {
                    if presale != Presale::No {
                        promisable = allotment::promisable(locked, demand.sku, &way, replaced.as_ref());
                    }
                    path = way;
                }
            }
            if let Some(admitted) = &admitted {
                left = admitted.takeable(shard, demand.sku, id, now);
            }
        }
        let wanted = cap.as_ref().map_or(demand.quantity, |cap| demand.quantity.min(cap.units)).min(left);
        let mut take = Take { row, sku: demand.sku, freed, lines: &mut lines, own: own.0 };
        // What may come from stock at all.
        let wanted = if matches!(presale, Presale::Only { .. }) { 0 } else { wanted };
        let mut taken = if demand.location.is_empty() {
            take.anywhere(directory, wanted)
        } else {
            let at = location(directory, demand.location)?;
            if directory.takes(at) {
                take.at(at, wanted)
            } else if request.allow_partial {
                0
            } else {
                return Ok(Decision::Rejected(not_taking(directory, at, demand.location), rests_on));
            }
        };
        left = left.saturating_sub(taken);
        if let Some(cap) = &mut cap {
            cap.units -= taken;
        }
        if taken < demand.quantity && presale != Presale::No {
            let (at, missing) = (directory.location(demand.location), demand.quantity - taken);
            let most = missing.min(promisable.saturating_sub(taken));
            taken += supply::presell(shard, presale, demand.sku, at, most, freed_ahead, &mut presold);
        }
        promisable = promisable.saturating_sub(taken);
        if let Some(cap) = &mut cap {
            cap.units = cap.units.min(promisable);
        }
        if taken < demand.quantity {
            if !request.allow_partial
                && let Some(at) = directory.location(demand.location)
                && let Some(rejection) = frozen_cell(shard, (demand.sku, at), (demand.code, demand.location))
            {
                return Ok(Decision::Rejected(rejection, rests_on));
            }
            let limited_by = cap.as_ref().filter(|_| taken == wanted).map_or(LimitedBy::Stock, |cap| cap.by);
            short.push((demand, taken, limited_by));
        }
    }

    if !short.is_empty() && (!request.allow_partial || lines.is_empty() && presold.is_empty()) {
        if let Some(admitted) = &admitted
            && let Some(rejection) = admitted.sold_out(locked, &mut short, id, now)
        {
            return Ok(Decision::Rejected(rejection, rests_on));
        }
        return Ok(Decision::Rejected(insufficient(&mut short), rests_on));
    }
    lines.sort_unstable();
    let shortages = short
        .iter()
        .map(|(demand, taken, limited_by)| {
            let location = directory.location(demand.location);
            let (limited_by, component) = (*limited_by, None);
            Shortage { sku: demand.sku, location, requested: demand.quantity, available: *taken, limited_by, component }
        })
        .collect();
    Ok(Decision::Event(Event::Held(Held {
        reservation: id,
        order_id: request.order_id.as_str().into(),
        buyer_id: request.buyer_id.as_str().into(),
        channel,
        expires_at: now.plus(campaign::hold_ttl(directory, channel, request.ttl)),
        lines,
        replaced_bookings: replaced.as_ref().map_or_else(Box::default, |claim| bookings_of(locked, claim.reservation)),
        replaced: replaced.map(Box::new),
        shortages,
        sourced: None,
        terms: supply::terms(presold, campaign::terms(admitted.as_ref(), allotment::terms(&path))),
    })))
}

/// Work that giving up a reservation frees.
pub(crate) fn bookings_of(locked: &Locked<'_>, id: ReservationId) -> Box<[Booking]> {
    header(locked, id).map_or_else(|_| Box::default(), all_bookings)
}

/// What stands against any hold on these SKUs by this channel, whatever their stock.
///
/// # Errors
/// An unknown channel, a SKU retired since its code was looked up.
pub(crate) fn refusal<'s>(
    look: &impl Look,
    channel_code: &str,
    skus: impl Iterator<Item = &'s Sku>,
) -> Result<Option<(Rejection, Lsn)>, Error> {
    let directory = look.directory();
    if let Err(rejection) = channel(directory, channel_code)? {
        return Ok(Some((rejection, directory.revision())));
    }
    for sku in skus {
        let shard = look.shard(sku.id.shard());
        let row = shard.row(sku.id);
        if row.retired() {
            return Err(Error::UnknownSku { code: sku.spec.code.clone() });
        }
        if !row.sellable() {
            return Ok(Some((not_for_sale(shard, sku.id, &sku.spec.code), shard.lsn)));
        }
    }
    Ok(None)
}

/// Whether the stock of the SKUs is still what the request rests on.
///
/// # Errors
/// `StaleRevision` for the first that has changed.
pub(crate) fn unchanged<'s>(
    look: &impl Look,
    request: &Reserve,
    skus: impl Iterator<Item = &'s Sku>,
) -> Result<(), Error> {
    let expected = request.unchanged_since_lsn;
    for sku in skus {
        let revision = look.shard(sku.id.shard()).row(sku.id).revision();
        if expected > 0 && revision.get() > expected {
            return Err(Error::StaleRevision { sku: sku.spec.code.clone(), revision, expected });
        }
    }
    Ok(())
}

/// The rejection for lines that cannot be served, in the order of the request.
pub(crate) fn insufficient(short: &mut [Short<'_>]) -> Rejection {
    short.sort_by_key(|(demand, ..)| demand.first_line);
    let shortages = short
        .iter()
        .map(|(demand, available, limited_by)| CodedShortage {
            sku: demand.code.into(),
            location: demand.location.into(),
            requested: demand.quantity,
            available: *available,
            limited_by: *limited_by,
            component: String::new(),
        })
        .collect();
    Rejection::InsufficientStock { shortages }
}

fn channel(directory: &Directory, code: &str) -> Result<Result<Option<ChannelId>, Rejection>, Error> {
    if code.is_empty() {
        return Ok(Ok(None));
    }
    let channel = directory.channel(code).ok_or_else(|| Error::UnknownChannel { code: code.into() })?;
    Ok(if channel.spec.active {
        Ok(Some(channel.id))
    } else {
        Err(Rejection::ChannelNotActive { channel: code.into() })
    })
}

/// What giving up an earlier hold frees. A hold that ended by itself frees nothing and is no obstacle.
pub(crate) fn replaced(locked: &Locked<'_>, id: ReservationId, buyer_id: &str) -> Result<Option<Claim>, Error> {
    let header = header(locked, id)?;
    if header.buyer_id() != buyer_id || buyer_id.is_empty() {
        return Err(Error::OtherBuyer { id });
    }
    match header.state() {
        State::Held | State::Placed | State::Waiting => {
            Ok(Some(campaign::giving_back(locked, header, open_claim(locked, id, header))))
        }
        State::Released | State::Expired | State::Replaced | State::Cancelled => Ok(None),
        state @ (State::Confirmed | State::Shipped) => {
            Err(Error::ReservationState { id, state, wanted: "only a held reservation can be replaced" })
        }
    }
}

/// Takes units of one SKU for the lines of one hold.
struct Take<'a> {
    row: &'a Row,
    sku: SkuId,
    /// Lines of the hold that is given up: their units count as available.
    freed: &'a [Line],
    lines: &'a mut Lines,
    /// From here on they are of this SKU: an order of many is not looked through for each.
    own: usize,
}

impl Take<'_> {
    /// Takes up to `wanted` units at one location; gives how many.
    fn at(&mut self, location: LocationId, wanted: u64) -> u64 {
        let taken = wanted.min(self.available(location, self.row.available_at(location)));
        self.push(location, taken);
        taken
    }

    /// Takes up to `wanted` units by priority; gives how many.
    fn anywhere(&mut self, directory: &Directory, wanted: u64) -> u64 {
        let whole = if self.freed.is_empty() && self.lines.len() == self.own {
            // What the row says is what can be taken.
            self.row.best(wanted, |at| directory.rank(at))
        } else {
            let whole = self.candidates(directory).filter(|(_, _, available)| *available >= wanted);
            whole.min_by_key(|(rank, ..)| *rank).map(|(_, location, _)| location)
        };
        if let Some(location) = whole {
            self.push(location, wanted);
            return wanted;
        }
        let mut candidates: Vec<_> = self.candidates(directory).filter(|(_, _, available)| *available > 0).collect();
        candidates.sort_unstable();
        let mut missing = wanted;
        for (_, location, available) in candidates {
            let taken = missing.min(available);
            self.push(location, taken);
            missing -= taken;
            if missing == 0 {
                break;
            }
        }
        wanted - missing
    }

    /// Open locations with their rank and what can be taken there.
    fn candidates<'s>(&'s self, directory: &'s Directory) -> impl Iterator<Item = (u32, LocationId, u64)> + 's {
        // Places that have nothing but what this request itself gives back are not among the stocked ones.
        let freed = self
            .freed
            .iter()
            .filter(|line| line.sku == self.sku && self.row.available_at(line.location).is_zero())
            .map(|line| (line.location, Quantity::ZERO));
        self.row.stocked().chain(freed).filter_map(|(location, available)| {
            Some((directory.rank(location)?, location, self.available(location, available)))
        })
    }

    /// What can be taken at a location: what the row says, with what is given back and without what was taken already.
    fn available(&self, location: LocationId, plain: Quantity) -> u64 {
        let freed = units_at(self.freed, self.sku, location);
        let available = if freed == 0 {
            plain.units()
        } else {
            let mut cell = self.row.get(location);
            cell.reserved = Quantity::clamp(cell.reserved.units().saturating_sub(freed));
            cell.available().units()
        };
        available - units_at(&self.lines[self.own..], self.sku, location)
    }

    fn push(&mut self, location: LocationId, units: u64) {
        if units == 0 {
            return;
        }
        match self.lines[self.own..].iter_mut().find(|line| line.location == location) {
            Some(line) => line.quantity = Quantity::clamp(line.quantity.units() + units),
            None => self.lines.push(Line { sku: self.sku, location, quantity: Quantity::clamp(units) }),
        }
    }
}

/// Units of lines at one cell.
fn units_at(lines: &[Line], sku: SkuId, location: LocationId) -> u64 {
    lines.iter().filter(|line| line.sku == sku && line.location == location).map(|line| line.quantity.units()).sum()
}
