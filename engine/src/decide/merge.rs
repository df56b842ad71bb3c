//! Orders to one receiver, planned together (合单): fewer parcels, if that costs less and nobody waits longer than promised.

use std::{collections::BTreeMap, sync::Arc};

use quartermaster_journal::Lsn;
use quartermaster_sourcing::{
    LocationId as PlaceId,
    fulfilment::{Bookings, Moment, NoBookings},
    plan::Plan,
};

use super::{
    Decision, allotment,
    lifecycle::{header, part_lines},
    reroute::sum,
    sourcing::{self, Brief, BriefLine, Freed, Planned, Remaining},
};
use crate::{
    capacity::{Booking, Capacity},
    catalog::Sku,
    command::Merge,
    error::{Error, Rejection},
    event::{Event, Line, Lines, Promise},
    id::{LocationId, ReservationId, SkuId},
    quantity::Quantity,
    reservation::{HeaderRef, Reservation, State},
    shard::Look,
    sourced::{Ask, AskLine, DecidedParcel, Merged, Rerouted, Sourcing},
    time::{Micros, Timestamp},
};

/// Reservations that are planned together at most.
pub(crate) const RESERVATIONS_MAX: usize = 20;

/// Whether a reservation is one that the request means and that can still be planned anew.
pub(crate) fn may_merge(reservation: &Reservation, request: &Merge) -> bool {
    let sourcing = reservation.sourcing.as_deref();
    reservation.state.is_open()
        && *reservation.buyer_id == *request.buyer_id
        && sourcing.is_some_and(|sourcing| *sourcing.ask.receiver_key == *request.receiver_key)
        && reservation.lines.iter().all(|line| line.shipped.is_zero())
        && reservation.lines.iter().any(|line| !line.open.is_zero())
}

/// One of the reservations, as it is under the locks.
struct Member<'a> {
    id: ReservationId,
    sourcing: &'a Sourcing,
    promise: Promise,
    open: Vec<Line>,
}

/// Decides whether and how these reservations are planned together.
pub(crate) fn merge(
    look: &impl Look,
    request: &Merge,
    ids: &[ReservationId],
    skus: &[Arc<Sku>],
    capacity: Option<&Capacity>,
    now: Timestamp,
) -> Result<Decision, Error> {
    let mut members = members(look, request, ids, now);
    keep_to_policy(look, &mut members, skus, now)?;
    let newest = ids.iter().map(|id| look.shard(id.home()).lsn).fold(look.directory().revision(), Lsn::max);
    if members.len() < 2 {
        return Ok(Decision::Rejected(Rejection::NothingToMerge { found: members.len() }, newest));
    }
    let brief = brief(look, &members, skus);
    let mut freed = Freed { moves: Some(None), ..Freed::default() };
    for member in &members {
        match member.promise {
            Promise::Reserved => freed.reserved.extend(&member.open),
            Promise::Committed => freed.committed.extend(&member.open),
        }
    }
    let given_back: Vec<Booking> =
        members.iter().flat_map(|member| member.sourcing.bookings.iter().map(|booking| booking.given_back())).collect();
    let nothing = NoBookings;
    let booked: &dyn Bookings = capacity.map_or(&nothing, |capacity| capacity);
    let bookings = Remaining { booked, freed: &given_back };
    let rests_on = sourcing::rests_on(look, &brief, capacity.map_or(newest, |capacity| capacity.lsn.max(newest)));
    let apart = members.iter().map(cost).fold(0, i64::saturating_add);
    sourcing::plan(look, &brief, &freed, &bookings, now, |answered| {
        let Planned { plan, decision, lines, bookings: _ } = answered.planned;
        if !plan.unserved.is_empty() {
            return Decision::Rejected(sourcing::not_routable(&plan, &brief), rests_on);
        }
        let shares = share(&members, &lines);
        let later = members.iter().zip(&shares).any(|(member, share)| {
            let arrives = arrival(share, &decision.parcels).map(date);
            member.sourcing.promised.is_some_and(|promised| arrives > Some(date(promised)))
        });
        let together = decision.cost();
        if together >= apart || later {
            return Decision::Rejected(Rejection::MergeNotBetter { apart, together, later }, rests_on);
        }
        let moves = members.iter().zip(&shares).enumerate().map(|(number, (member, share))| {
            let given_back: Vec<Booking> = member.sourcing.bookings.iter().map(|own| own.given_back()).collect();
            let bookings = sum(&given_back, &work(&plan, &decision.parcels, &shares, number));
            moved(member, share, &decision.parcels, &shares, number, bookings)
        });
        Decision::Event(Event::Merged(Box::new(Merged { moves: moves.collect(), decision, cost_before: apart })))
    })
}

fn members<'a>(look: &'a impl Look, request: &Merge, ids: &[ReservationId], now: Timestamp) -> Vec<Member<'a>> {
    let mut members: Vec<Member<'a>> = Vec::new();
    for id in ids {
        let Ok(header) = header(look, *id) else { continue };
        let Some(sourcing) = header.sourcing() else { continue };
        let lines: Vec<_> = part_lines(look, *id, &header.shards()).collect();
        let Some(promise) = promise(header, now) else { continue };
        let unshipped = lines.iter().all(|line| line.shipped.is_zero());
        let open: Vec<Line> = lines
            .iter()
            .filter(|line| !line.open.is_zero())
            .map(|line| Line { sku: line.sku, location: line.location, quantity: line.open })
            .collect();
        let meant = *header.buyer_id() == *request.buyer_id && *sourcing.ask.receiver_key == *request.receiver_key;
        // Same door, same way: what differs in these is not one parcel.
        let alike = members.first().is_none_or(|first| {
            let (one, other) = (&first.sourcing.ask, &sourcing.ask);
            (&one.region, one.point, one.mode, one.pickup_at, &one.service_level)
                == (&other.region, other.point, other.mode, other.pickup_at, &other.service_level)
        });
        // What frees nothing where it leaves is taken from what is for sale, which allotments have a say in.
        let free = open.iter().all(|line| allotment::moves_freely(look, line));
        if meant && alike && unshipped && !open.is_empty() && free {
            members.push(Member { id: *id, sourcing, promise, open });
        }
    }
    members
}

/// Drops the members that the policy of the first does not merge with it: of another channel, or made too long ago.
fn keep_to_policy(
    look: &impl Look,
    members: &mut Vec<Member<'_>>,
    skus: &[Arc<Sku>],
    now: Timestamp,
) -> Result<(), Error> {
    let Some(first) = members.first() else { return Ok(()) };
    let policy = sourcing::policy(look.directory(), &brief(look, std::slice::from_ref(first), skus), now)?;
    let Some(rule) = &policy.document().merge else { return Ok(()) };
    let made_after = now.minus(Micros::from_secs(u64::from(rule.window.seconds())));
    let channel = header(look, first.id)?.channel();
    members.retain(|member| {
        header(look, member.id).is_ok_and(|header| {
            header.created_at() >= made_after && (!rule.same_channel || header.channel() == channel)
        })
    });
    Ok(())
}

/// The day of a moment, UTC. What is planned anew leaves now and not when it first might have, so a promise is kept by its date.
fn date(moment: Moment) -> i64 {
    moment.0.div_euclid(86_400)
}

fn promise(header: HeaderRef<'_>, now: Timestamp) -> Option<Promise> {
    match header.state() {
        State::Held if now < header.expires_at() => Some(Promise::Reserved),
        State::Confirmed => Some(Promise::Committed),
        _ => None,
    }
}

/// All that the members have open, as one order.
fn brief(look: &impl Look, members: &[Member<'_>], skus: &[Arc<Sku>]) -> Brief {
    let mut wanted: BTreeMap<SkuId, u64> = BTreeMap::new();
    for line in members.iter().flat_map(|member| &member.open) {
        *wanted.entry(line.sku).or_default() += line.quantity.units();
    }
    let lines = wanted.iter().filter_map(|(id, units)| {
        let sku = skus.iter().find(|sku| sku.id == *id)?;
        let mut line = BriefLine {
            sku: Arc::clone(sku),
            quantity: u32::try_from(*units).unwrap_or(u32::MAX),
            whole: false,
            only: Vec::new(),
            never: Vec::new(),
            rather: Vec::new(),
            siblings: None,
        };
        let own = members.iter().filter(|member| member.open.iter().any(|line| line.sku == *id));
        own.filter_map(|member| member.sourcing.conditions_of(*id)).for_each(|asked| hold_to(&mut line, asked));
        Some(line)
    });
    let first = members.first().map(|member| &member.sourcing.ask);
    let channel = members.first().and_then(|member| header(look, member.id).ok()).and_then(HeaderRef::channel);
    Brief {
        ask: Ask {
            wanted_by: members.iter().filter_map(|member| member.sourcing.ask.wanted_by).min(),
            parcels_max: None,
            allow_partial: false,
            join_open_parcels: false,
            ..first.cloned().unwrap_or_default()
        },
        channel: channel.map_or("", |channel| look.directory().channel_code(channel)).to_owned(),
        lines: lines.collect(),
        substitutes: Vec::new(),
        open_parcels: Vec::new(),
    }
}

/// Units planned together are held to what each of their orders asked for.
fn hold_to(line: &mut BriefLine, asked: &AskLine) {
    line.whole |= asked.whole;
    line.never.extend(sourcing::places(&asked.never));
    let only = sourcing::places(&asked.only);
    if line.only.is_empty() {
        line.only = only;
    } else if !only.is_empty() {
        // Places that only one of them names serve neither. Left out by name: none at all would mean all.
        let shared = |place: &PlaceId| line.only.contains(place) && only.contains(place);
        let stray: Vec<PlaceId> = line.only.iter().chain(&only).filter(|place| !shared(place)).copied().collect();
        line.never.extend(stray);
    }
}

/// What a member's parcels that still have something to send were decided to cost.
fn cost(member: &Member<'_>) -> i64 {
    let open = |location: LocationId| member.open.iter().any(|line| line.location == location);
    let parcels = member.sourcing.parcels.iter().filter(|parcel| open(parcel.location));
    parcels.map(|parcel| parcel.terms.total().0).fold(0, i64::saturating_add)
}

/// Deals the units of a joint plan to the members: each keeps what it has where the plan has it too, then takes what is left, in the order
/// of the members.
fn share(members: &[Member<'_>], planned: &[Line]) -> Vec<Lines> {
    let mut left: BTreeMap<(SkuId, LocationId), u32> =
        planned.iter().map(|line| ((line.sku, line.location), line.quantity.0)).collect();
    let mut shares: Vec<BTreeMap<(SkuId, LocationId), u32>> = vec![BTreeMap::new(); members.len()];
    let mut missing: Vec<Vec<(SkuId, u32)>> = Vec::with_capacity(members.len());
    for (member, share) in members.iter().zip(&mut shares) {
        let mut still = Vec::new();
        for line in &member.open {
            let there = left.entry((line.sku, line.location)).or_default();
            let kept = line.quantity.0.min(*there);
            *there -= kept;
            if kept > 0 {
                *share.entry((line.sku, line.location)).or_default() += kept;
            }
            if kept < line.quantity.0 {
                still.push((line.sku, line.quantity.0 - kept));
            }
        }
        missing.push(still);
    }
    for (share, still) in shares.iter_mut().zip(missing) {
        for (sku, mut units) in still {
            for ((_, location), there) in left.range_mut((sku, LocationId(0))..=(sku, LocationId(u32::MAX))) {
                let taken = units.min(*there);
                if taken > 0 {
                    *there -= taken;
                    units -= taken;
                    *share.entry((sku, *location)).or_default() += taken;
                }
            }
        }
    }
    let lines = |share: BTreeMap<(SkuId, LocationId), u32>| {
        let lines = share.into_iter().map(|((sku, location), units)| Line { sku, location, quantity: Quantity(units) });
        lines.collect::<Lines>()
    };
    shares.into_iter().map(lines).collect()
}

/// When the last of a member's units arrives.
fn arrival(share: &[Line], parcels: &[DecidedParcel]) -> Option<Moment> {
    let own = |parcel: &&DecidedParcel| share.iter().any(|line| is_in(parcel, line));
    parcels.iter().filter(own).map(|parcel| parcel.arrives_at).max()
}

/// Whether a parcel carries a line. A location may send several: goods that do not go together.
fn is_in(parcel: &DecidedParcel, line: &Line) -> bool {
    line.location == parcel.location && parcel.lines.iter().any(|(sku, _)| *sku == line.sku)
}

/// Work that a member books: its units, and the order with the first that is in a parcel.
fn work(plan: &Plan, parcels: &[DecidedParcel], shares: &[Lines], number: usize) -> Vec<Booking> {
    let mut booked = Vec::new();
    for (parcel, decided) in plan.parcels.iter().zip(parcels) {
        let own = shares[number].iter().filter(|line| is_in(decided, line));
        let units: i64 = own.map(|line| line.quantity.signed()).sum();
        let orders = i32::from(first_in(shares, decided) == Some(number));
        let slots = parcel.slots.iter().filter(|_| units > 0);
        booked.extend(slots.map(|slot| Booking { location: decided.location, slot: *slot, orders, units }));
    }
    booked
}

/// The first member that has something in a parcel.
fn first_in(shares: &[Lines], parcel: &DecidedParcel) -> Option<usize> {
    shares.iter().position(|share| share.iter().any(|line| is_in(parcel, line)))
}

/// What a member gives up and takes.
fn moved(
    member: &Member<'_>,
    share: &Lines,
    parcels: &[DecidedParcel],
    shares: &[Lines],
    number: usize,
    bookings: Box<[Booking]>,
) -> Rerouted {
    let difference = |from: &[Line], to: &[Line]| -> Lines {
        let lines = from.iter().filter_map(|line| {
            let kept = to.iter().filter(|other| (other.sku, other.location) == (line.sku, line.location));
            let kept: u32 = kept.map(|other| other.quantity.0).sum();
            let moved = line.quantity.0.saturating_sub(kept);
            (moved > 0).then_some(Line { quantity: Quantity(moved), ..*line })
        });
        lines.collect()
    };
    let own_parcels = parcels.iter().filter_map(|parcel| {
        let own = share.iter().filter(|line| is_in(parcel, line));
        let lines: Vec<(SkuId, u32)> = own.map(|line| (line.sku, line.quantity.0)).collect();
        // The parcel is paid once: its costs and weight stand with the first that is in it.
        let first = first_in(shares, parcel) == Some(number);
        let (terms, weight_grams) = if first {
            (parcel.terms, parcel.weight_grams)
        } else {
            (quartermaster_sourcing::plan::Terms::default(), 0)
        };
        (!lines.is_empty()).then(|| DecidedParcel { lines, terms, weight_grams, ..parcel.clone() })
    });
    Rerouted {
        reservation: member.id,
        promise: member.promise,
        from: difference(&member.open, share),
        to: difference(share, &member.open),
        bookings,
        refused_until: None,
        // What was promised before stands.
        promised: [member.sourcing.promised, arrival(share, parcels)].into_iter().flatten().min(),
        parcels: own_parcels.collect(),
        decision: None,
    }
}
