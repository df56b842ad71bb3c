//! What may become of a reservation once it is held.

use super::{
    Decision, allotment, campaign, kits, location,
    reroute::{self, freed},
    selection::{SkuCodes, Subject},
    supply,
    upkeep::{frozen_cell, frozen_sku, not_taking, not_to_ship},
};
use crate::{
    allotment::LimitedBy,
    capacity::Booking,
    command::{CellCode, LineSelection, Reassign},
    error::{CodedShortage, Error, Rejection},
    event::{Claim, Event, HoldEndReason, Line, Lines, Promise, ShardSet},
    id::ReservationId,
    quantity::Quantity,
    reservation::{HeaderRef, PartLine, PartRef, State},
    shard::{Locked, Look},
    terms::PresoldLine,
    time::{Micros, Timestamp},
};

/// All that a reservation has open.
pub(crate) fn open_claim(locked: &Locked<'_>, id: ReservationId, header: HeaderRef<'_>) -> Claim {
    if let Some(line) = header.only_line() {
        let open = Line { sku: line.sku, location: line.location, quantity: line.open };
        let lines = [open].into_iter().filter(|open| !open.quantity.is_zero()).collect();
        return Claim { reservation: id, lines, others: ShardSet::default(), extra: None };
    }
    let shards = &header.shards();
    let (mut lines, mut presold) = (Lines::new(), Vec::new());
    for part in shards.iter().filter_map(|shard| locked.shard(shard).parts.get(&id)) {
        let open = part.lines().filter(|line| !line.open.is_zero());
        lines.extend(open.map(|line| Line { sku: line.sku, location: line.location, quantity: line.open }));
        presold.extend_from_slice(part.presold());
    }
    lines.sort_unstable();
    with_presold(Claim::new(id, lines, shards), presold)
}

/// A claim that moves what is promised from what is expected, too.
fn with_presold(mut claim: Claim, mut presold: Vec<PresoldLine>) -> Claim {
    if !presold.is_empty() {
        presold.sort_unstable();
        claim.extra.get_or_insert_default().presold = presold.into();
    }
    claim
}

pub(crate) fn part_lines<'a>(
    locked: &'a impl Look,
    id: ReservationId,
    shards: &'a ShardSet,
) -> impl Iterator<Item = PartLine> {
    shards.iter().flat_map(move |shard| locked.shard(shard).parts.get(&id)).flat_map(PartRef::lines)
}

pub(crate) fn header(locked: &impl Look, id: ReservationId) -> Result<HeaderRef<'_>, Error> {
    locked.shard(id.home()).parts.header(&id).ok_or(Error::UnknownReservation { id })
}

pub(crate) fn subject<'a, 'locks>(
    locked: &'a Locked<'locks>,
    codes: &'a SkuCodes,
    id: ReservationId,
) -> Result<Subject<'a, 'locks>, Error> {
    let header = header(locked, id)?;
    let (mut lines, mut presold) = (Vec::new(), Vec::new());
    for part in header.shards().iter().filter_map(|shard| locked.shard(shard).parts.get(&id)) {
        lines.extend(part.lines());
        presold.extend_from_slice(part.presold());
    }
    Ok(Subject { id, header, codes, locked, lines, presold })
}

/// The bucket that holds the units of a reservation that must be open; the answer if it is not.
pub(crate) fn promise(
    id: ReservationId,
    header: HeaderRef<'_>,
    now: Timestamp,
) -> Result<Result<Promise, Decision>, Error> {
    match header.state() {
        State::Held if now < header.expires_at() => Ok(Ok(Promise::Reserved)),
        State::Confirmed => Ok(Ok(Promise::Committed)),
        State::Held | State::Expired => Ok(Err(expired(id, header))),
        state @ (State::Placed
        | State::Waiting
        | State::Shipped
        | State::Released
        | State::Cancelled
        | State::Replaced) => {
            Err(Error::ReservationState { id, state, wanted: "only a held or confirmed one has open units" })
        }
    }
}

/// Like `promise`, for what only a hold can do.
fn held(
    id: ReservationId,
    header: HeaderRef<'_>,
    now: Timestamp,
    wanted: &'static str,
) -> Result<Option<Decision>, Error> {
    match header.state() {
        State::Held if now < header.expires_at() => Ok(None),
        State::Held | State::Expired => Ok(Some(expired(id, header))),
        state => Err(Error::ReservationState { id, state, wanted }),
    }
}

/// Like `held`, for what an order that is placed can do, too.
fn held_or_placed(
    id: ReservationId,
    header: HeaderRef<'_>,
    now: Timestamp,
    wanted: &'static str,
) -> Result<Option<Decision>, Error> {
    match header.state() {
        State::Placed if now < header.expires_at() => Ok(None),
        State::Placed => Ok(Some(expired(id, header))),
        _ => held(id, header, now, wanted),
    }
}

pub(crate) fn expired(id: ReservationId, header: HeaderRef<'_>) -> Decision {
    let rejection = Rejection::ReservationExpired { reservation: id, expired_at: header.expires_at() };
    Decision::Rejected(rejection, header.revision())
}

/// The order is paid.
pub(crate) fn confirm(locked: &Locked<'_>, id: ReservationId, now: Timestamp) -> Result<Decision, Error> {
    let header = header(locked, id)?;
    if let Some(decision) = held(id, header, now, "only a held reservation can be confirmed")? {
        return Ok(decision);
    }
    Ok(Decision::Event(Event::Confirmed { claim: open_claim(locked, id, header) }))
}

/// The hold is given back.
pub(crate) fn release(locked: &Locked<'_>, id: ReservationId, now: Timestamp) -> Result<Decision, Error> {
    let header = header(locked, id)?;
    if header.state() != State::Waiting
        && let Some(decision) =
            held_or_placed(id, header, now, "only a held one can be released; cancel a confirmed one")?
    {
        return Ok(decision);
    }
    let claim = campaign::giving_back(locked, header, open_claim(locked, id, header));
    let bookings = all_bookings(header);
    Ok(Decision::Event(Event::HoldEnded { claim, reason: HoldEndReason::Released, bookings }))
}

/// The hold's time is up, if it is.
pub(crate) fn expire(locked: &Locked<'_>, id: ReservationId, now: Timestamp) -> Result<Decision, Error> {
    let header = header(locked, id)?;
    if !matches!(header.state(), State::Held | State::Placed) || now < header.expires_at() {
        return Ok(Decision::Nothing);
    }
    let claim = campaign::giving_back(locked, header, open_claim(locked, id, header));
    let bookings = all_bookings(header);
    Ok(Decision::Event(Event::HoldEnded { claim, reason: HoldEndReason::Expired, bookings }))
}

/// Everything that a reservation has booked, given back.
pub(crate) fn all_bookings(header: HeaderRef<'_>) -> Box<[Booking]> {
    header
        .sourcing()
        .map_or_else(Box::default, |sourcing| sourcing.bookings.iter().map(|booking| booking.given_back()).collect())
}

/// The hold gets a new expiry.
pub(crate) fn extend(locked: &Locked<'_>, id: ReservationId, ttl: Micros, now: Timestamp) -> Result<Decision, Error> {
    let header = header(locked, id)?;
    if let Some(decision) = held_or_placed(id, header, now, "only a held reservation has an expiry to move")? {
        return Ok(decision);
    }
    Ok(Decision::Event(Event::Extended { reservation: id, expires_at: now.plus(ttl) }))
}

/// Units are given back, of a hold or of a commitment.
pub(crate) fn cancel(
    locked: &Locked<'_>,
    codes: &SkuCodes,
    id: ReservationId,
    selections: &[LineSelection],
    now: Timestamp,
) -> Result<Decision, Error> {
    let subject = subject(locked, codes, id)?;
    if matches!(subject.header.state(), State::Placed | State::Waiting) {
        return campaign::cancel_pending(id, subject.header, selections, now);
    }
    let promise = match promise(id, subject.header, now)? {
        Ok(promise) => promise,
        Err(decision) => return Ok(decision),
    };
    let has_kits = subject.header.kept().is_some_and(|kept| !kept.kits.is_empty());
    // A reservation has kits or units promised ahead, never both.
    let (lines, kits, presold) = if has_kits {
        let (lines, kits) = kits::select(&subject, selections)?;
        (lines, kits, Vec::new())
    } else if subject.presold.is_empty() {
        (subject.select(selections)?, Box::default(), Vec::new())
    } else {
        let (lines, presold) = supply::select(&subject, selections)?;
        (lines, Box::default(), presold)
    };
    let end = subject.end_after(&lines, &presold, false);
    let bookings = freed(subject.header, &subject.lines, &lines);
    let claim = campaign::giving_back(locked, subject.header, Claim::new(id, lines, &subject.header.shards()));
    let mut claim = with_presold(claim, presold);
    if !kits.is_empty() {
        claim.extra.get_or_insert_default().kits = kits;
    }
    Ok(Decision::Event(Event::Cancelled { claim, promise, end, bookings }))
}

/// Units left their locations.
pub(crate) fn ship(
    locked: &Locked<'_>,
    codes: &SkuCodes,
    id: ReservationId,
    selections: &[LineSelection],
) -> Result<Decision, Error> {
    let subject = subject(locked, codes, id)?;
    if subject.header.state() != State::Confirmed {
        let wanted = "only a confirmed reservation can be shipped";
        return Err(Error::ReservationState { id, state: subject.header.state(), wanted });
    }
    if !subject.presold.is_empty() {
        supply::arrived(&subject, selections)?;
    }
    let lines = subject.select(selections)?;
    for line in &lines {
        let shard = locked.shard(line.sku.shard());
        if let Some(rejection) = not_to_ship(shard, line, codes.code(line.sku)) {
            let rests_on = shard.row(line.sku).revision().max(shard.directory.revision());
            return Ok(Decision::Rejected(rejection, rests_on));
        }
        let on_hand = locked.shard(line.sku.shard()).row(line.sku).get(line.location).on_hand;
        if on_hand < line.quantity {
            let location = locked.directory().location_code(line.location).to_owned();
            return Err(Error::ExceedsBucket {
                cell: CellCode { sku: codes.code(line.sku).to_owned(), location },
                bucket: "on hand",
                requested: line.quantity.units(),
                held: on_hand.units(),
            });
        }
    }
    let end = subject.end_after(&lines, &[], true);
    Ok(Decision::Event(Event::Shipped { claim: Claim::new(id, lines, &subject.header.shards()), end }))
}

/// Units move to another location: taken there before they are given back here.
pub(crate) fn reassign(
    locked: &Locked<'_>,
    codes: &SkuCodes,
    id: ReservationId,
    request: &Reassign,
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
    let shard = locked.shard(line.sku.shard());
    let row = shard.row(line.sku);
    let directory = locked.directory();
    if let Some(rejection) = frozen_sku(shard, line.sku, &request.sku) {
        return Ok(Decision::Rejected(rejection, row.revision().max(directory.revision())));
    }
    let (target, available) = if request.to.is_empty() {
        // The first by priority that can take them; where none can, the most that any could.
        let rank = |location| directory.rank(location).filter(|_| location != line.location);
        match row.best(line.quantity.units(), rank) {
            Some(best) => (best, row.available_at(best)),
            None => {
                let others = row.stocked().filter(|(location, _)| rank(*location).is_some());
                let most = others.map(|(_, available)| available).max();
                (line.location, most.unwrap_or(Quantity::ZERO))
            }
        }
    } else {
        let target = location(directory, &request.to)?;
        if target == line.location {
            return Err(Error::SameLocation { sku: request.sku.clone(), location: request.to.clone() });
        }
        if !directory.takes(target) {
            return Ok(Decision::Rejected(not_taking(directory, target, &request.to), directory.revision()));
        }
        if let Some(rejection) = frozen_cell(shard, (line.sku, target), (&request.sku, &request.to)) {
            return Ok(Decision::Rejected(rejection, row.revision().max(directory.revision())));
        }
        (target, row.available_at(target))
    };
    let movable = allotment::movable(locked, line.sku, line.location);
    let kept = movable.is_some_and(|movable| movable < available.units());
    let available = if kept { Quantity::clamp(movable.unwrap_or(0)) } else { available };
    if available < line.quantity {
        let shortage = CodedShortage {
            sku: request.sku.clone(),
            location: request.to.clone(),
            requested: line.quantity.units(),
            available: available.units(),
            limited_by: if kept { LimitedBy::Allotment } else { LimitedBy::Stock },
            component: String::new(),
        };
        let rejection = Rejection::InsufficientStock { shortages: vec![shortage] };
        return Ok(Decision::Rejected(rejection, row.revision().max(directory.revision())));
    }
    let moved = Line { location: target, ..line };
    if request.refused || subject.header.sourcing().is_some() {
        let event = reroute::by_hand(&subject, promise, (line, moved), request.refused, now);
        return Ok(Decision::Event(event));
    }
    Ok(Decision::Event(Event::Reassigned { reservation: id, promise, line: moved, from: line.location }))
}
