//! A location refused a line: its units are planned anew without it, in one step.
//!
//! The parcels that the reservation has elsewhere are going to the same door, so they count as open: what goes into them pays no second
//! parcel. The refusal is kept with the cell, and sourcing leaves the location out for that SKU until it has cooled down.

use std::sync::Arc;

use quartermaster_journal::Lsn;
use quartermaster_sourcing::{
    LocationId as PlaceId,
    fulfilment::{Bookings, NoBookings},
    plan::Terms,
    policy::Policy,
};

use super::{
    Decision,
    lifecycle::{promise, subject},
    selection::{SkuCodes, Subject},
    sourcing::{self, Brief, BriefLine, Freed, Planned, Remaining},
    upkeep,
};
use crate::{
    capacity::{Booking, Capacity},
    catalog::Sku,
    command::{LineSelection, Reassign},
    error::Error,
    event::{Event, Line, Lines, Promise},
    id::{LocationId, ReservationId},
    reservation::{HeaderRef, PartLine},
    shard::Locked,
    sourced::{DecidedParcel, Rerouted, Sourcing},
    time::{Micros, Timestamp},
};

/// How long a refusal holds for reservations that no policy decided about.
const COOLDOWN: Micros = Micros::from_secs(4 * 3600);

/// Decides where the units of a refused line go.
pub(crate) fn reroute(
    locked: &Locked<'_>,
    codes: &SkuCodes,
    skus: &[Arc<Sku>],
    id: ReservationId,
    request: &Reassign,
    capacity: Option<&Capacity>,
    now: Timestamp,
) -> Result<Decision, Error> {
    let subject = subject(locked, codes, id)?;
    let promise = match promise(id, subject.header, now)? {
        Ok(promise) => promise,
        Err(decision) => return Ok(decision),
    };
    let selection =
        LineSelection { sku: request.sku.clone(), location: request.from.clone(), quantity: request.quantity };
    let line = subject.select_one(&selection)?;
    let unknown = || Error::UnknownSku { code: request.sku.clone() };
    let sku = skus.iter().find(|sku| sku.id == line.sku).ok_or_else(unknown)?;
    let shard = locked.shard(line.sku.shard());
    if let Some(rejection) = upkeep::frozen_sku(shard, line.sku, &request.sku) {
        return Ok(Decision::Rejected(rejection, shard.lsn));
    }
    let sourcing = subject.header.sourcing();
    let channel = subject.header.channel().map_or("", |channel| locked.directory().channel_code(channel));
    let conditions = sourcing.and_then(|sourcing| sourcing.conditions_of(line.sku));
    let mut never = conditions.map_or_else(Vec::new, |asked| sourcing::places(&asked.never));
    never.push(PlaceId(line.location.0));
    let brief = Brief {
        ask: sourcing.map_or_else(Default::default, |sourcing| crate::sourced::Ask {
            allow_partial: false,
            parcels_max: None,
            ..sourcing.ask.clone()
        }),
        channel: channel.to_owned(),
        lines: vec![BriefLine {
            sku: Arc::clone(sku),
            quantity: line.quantity.0,
            whole: conditions.is_some_and(|asked| asked.whole),
            only: conditions.map_or_else(Vec::new, |asked| sourcing::places(&asked.only)),
            never,
            rather: Vec::new(),
            siblings: None,
        }],
        substitutes: Vec::new(),
        open_parcels: sourcing.map_or_else(Vec::new, |sourcing| open(sourcing, &subject.lines, line.location)),
    };
    let freed_bookings = freed(subject.header, &subject.lines, &[line]);
    let nothing = NoBookings;
    let booked: &dyn Bookings = capacity.map_or(&nothing, |capacity| capacity);
    let bookings = Remaining { booked, freed: &freed_bookings };
    let rests_on = sourcing::rests_on(locked, &brief, capacity.map_or(Lsn::ZERO, |capacity| capacity.lsn));
    let is_sourced = sourcing.is_some();
    let movable = super::allotment::movable(locked, line.sku, line.location);
    let freed = Freed { moves: Some(movable), ..Freed::default() };
    sourcing::plan(locked, &brief, &freed, &bookings, now, |answered| {
        let Planned { plan, decision, lines, bookings } = answered.planned;
        if lines.is_empty() || !plan.unserved.is_empty() {
            return Decision::Rejected(sourcing::not_routable(&plan, &brief), rests_on);
        }
        let from: Lines = Lines::from_iter([line]);
        let parcels =
            sourcing.map_or_else(Vec::new, |sourcing| after(sourcing, &subject.lines, line, &decision.parcels));
        let promised = parcels.iter().map(|parcel| parcel.arrives_at).max().filter(|_| is_sourced);
        let bookings = if is_sourced { sum(&freed_bookings, &bookings) } else { Box::default() };
        Decision::Event(Event::Rerouted(Box::new(Rerouted {
            reservation: id,
            promise,
            from,
            to: lines,
            bookings,
            refused_until: Some(now.plus(cooldown(is_sourced.then_some(answered.policy)))),
            promised,
            parcels,
            decision: Some(Box::new(decision)),
        })))
    })
}

/// A line that somebody moved, of a sourced reservation or because its location refused it. Its work goes with it, whatever the limits say.
pub(crate) fn by_hand(
    subject: &Subject<'_, '_>,
    promise: Promise,
    (from, to): (Line, Line),
    refused: bool,
    now: Timestamp,
) -> Event {
    let directory = subject.locked.directory();
    let sourcing = subject.header.sourcing();
    let refused_until = refused.then(|| {
        let channel = subject.header.channel().map_or("", |channel| directory.channel_code(channel));
        let policy = sourcing.and_then(|sourcing| {
            let ask = &sourcing.ask;
            directory.stage(now).choose(&ask.policy, channel, &ask.order_type, &ask.buyer_tier)
        });
        now.plus(cooldown(policy))
    });
    let (parcels, bookings) = sourcing.map_or_else(Default::default, |sourcing| {
        let there = |location: LocationId| move |parcel: &&DecidedParcel| parcel.location == location;
        // Nobody asked a carrier: what was promised stands.
        let arrives_at = sourcing.parcels.iter().find(there(from.location)).map(|parcel| parcel.arrives_at);
        let moved = DecidedParcel {
            location: to.location,
            lines: vec![(to.sku, to.quantity.0)],
            service: Box::default(),
            weight_grams: 0,
            ships_at: sourcing::moment(now),
            arrives_at: arrives_at.unwrap_or_else(|| sourcing::moment(now)),
            terms: Terms::default(),
        };
        let filled = |line: &PartLine| line.location == to.location && !line.open.is_zero();
        let orders = i32::from(!subject.lines.iter().any(filled));
        let slots = directory.stage(now).network.slots(PlaceId(to.location.0), sourcing::moment(now));
        let booked = slots.into_iter();
        let booked: Vec<Booking> =
            booked.map(|slot| Booking { location: to.location, slot, orders, units: to.quantity.signed() }).collect();
        let freed = freed(subject.header, &subject.lines, &[from]);
        (after(sourcing, &subject.lines, from, &[moved]), sum(&freed, &booked))
    });
    Event::Rerouted(Box::new(Rerouted {
        reservation: subject.id,
        promise,
        from: Lines::from_iter([from]),
        to: Lines::from_iter([to]),
        bookings,
        refused_until,
        promised: None,
        parcels,
        decision: None,
    }))
}

/// How long a refusal holds.
fn cooldown(policy: Option<&Policy>) -> Micros {
    let seconds = policy.map_or(0, |policy| policy.document().refusal_cooldown.seconds());
    if seconds > 0 { Micros::from_secs(u64::from(seconds)) } else { COOLDOWN }
}

/// Work that giving up these lines frees.
pub(crate) fn freed(header: HeaderRef<'_>, lines: &[PartLine], given_up: &[Line]) -> Box<[Booking]> {
    header.sourcing().map_or_else(Box::default, |sourcing| sourcing.freed(lines, given_up))
}

/// Differences added up by place and slot.
pub(crate) fn sum(one: &[Booking], other: &[Booking]) -> Box<[Booking]> {
    let mut sums: Vec<Booking> = Vec::with_capacity(one.len() + other.len());
    for booking in one.iter().chain(other) {
        match sums.iter_mut().find(|sum| (sum.location, sum.slot) == (booking.location, booking.slot)) {
            Some(sum) => {
                sum.orders = sum.orders.saturating_add(booking.orders);
                sum.units = sum.units.saturating_add(booking.units);
            }
            None => sums.push(*booking),
        }
    }
    sums.retain(|sum| sum.orders != 0 || sum.units != 0);
    sums.sort_unstable();
    sums.into()
}

/// The reservation's own parcels at other places that still have something to send.
fn open(sourcing: &Sourcing, lines: &[PartLine], without: LocationId) -> Vec<(LocationId, Box<str>, u64)> {
    let has = |location: LocationId| lines.iter().any(|line| line.location == location && !line.open.is_zero());
    let mut open: Vec<(LocationId, Box<str>, u64)> = sourcing
        .parcels
        .iter()
        .filter(|parcel| parcel.location != without && has(parcel.location))
        .map(|parcel| (parcel.location, parcel.service.clone(), parcel.weight_grams))
        .collect();
    open.sort_unstable();
    open.dedup_by_key(|(location, ..)| *location);
    open
}

/// The reservation's parcels once the line has moved: what it leaves, what it joins, what is new.
pub(crate) fn after(
    sourcing: &Sourcing,
    lines: &[PartLine],
    line: Line,
    taken: &[DecidedParcel],
) -> Vec<DecidedParcel> {
    let mut parcels = sourcing.parcels.clone();
    let mut left = line.quantity.0;
    for parcel in parcels.iter_mut().filter(|parcel| parcel.location == line.location) {
        for (_, units) in parcel.lines.iter_mut().filter(|(sku, _)| *sku == line.sku) {
            let gone = left.min(*units);
            *units -= gone;
            left -= gone;
        }
        parcel.lines.retain(|(_, units)| *units > 0);
    }
    let stays = |location: LocationId| {
        let open = lines.iter().filter(|own| own.location == location).map(|own| own.open.units());
        let gone = if location == line.location { line.quantity.units() } else { 0 };
        open.sum::<u64>() > gone
    };
    parcels.retain(|parcel| stays(parcel.location) && !parcel.lines.is_empty());
    for new in taken {
        match parcels.iter_mut().find(|parcel| parcel.location == new.location) {
            Some(parcel) => join(parcel, new),
            None => parcels.push(new.clone()),
        }
    }
    parcels.sort_by_key(|parcel| parcel.location);
    parcels
}

/// Puts what was planned on top of a parcel into it.
fn join(parcel: &mut DecidedParcel, more: &DecidedParcel) {
    for (sku, units) in &more.lines {
        match parcel.lines.iter_mut().find(|(own, _)| own == sku) {
            Some((_, own)) => *own += units,
            None => parcel.lines.push((*sku, *units)),
        }
    }
    parcel.lines.sort_unstable();
    parcel.weight_grams = parcel.weight_grams.saturating_add(more.weight_grams);
    parcel.arrives_at = parcel.arrives_at.max(more.arrives_at);
    parcel.terms = parcel.terms.plus(&more.terms);
}
