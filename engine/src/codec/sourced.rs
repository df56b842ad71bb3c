//! Sourcing to and from its messages: decisions, bookings, what was asked, and what a decision met.

use prost::Message as _;
use quartermaster_journal::Lsn;
use quartermaster_routing::Objective;
use quartermaster_sourcing::{
    Grams, LocationId as PlaceId, Money, Proof, SkuId as GoodsId,
    candidate::{Aim, Candidate, Candidates, Offer, Wanted, Way},
    fulfilment::{Coordinates, Mode, Moment, Slot},
    plan::{Terms, UnservedReason, Value},
    policy::Removed,
    removal::Removal,
    router::Met,
};
use smallvec::SmallVec;

use super::{DecodeError, lines_from_wire, lines_to_wire, promise_from_wire, promise_to_wire, unknown, wire};
use crate::{
    capacity::Booking,
    id::{LocationId, ReservationId, SkuId},
    sourced::{Ask, AskLine, DecidedParcel, Decision, Merged, Rerouted, Sourced, Sourcing},
    time::Timestamp,
};

pub(crate) fn sourced_to_wire(sourced: &Sourced) -> wire::Sourced {
    let mut ask = ask_to_wire(&sourced.ask);
    ask.lines = sourced.wanted.iter().map(ask_line_to_wire).collect();
    wire::Sourced {
        ask: Some(ask),
        decision: Some(decision_to_wire(&sourced.decision)),
        bookings: bookings_to_wire(&sourced.bookings),
        traces: sourced.traces.iter().map(|trace| trace.to_vec()).collect(),
    }
}

pub(crate) fn sourced_from_wire(sourced: wire::Sourced) -> Result<Sourced, DecodeError> {
    let ask = sourced.ask.ok_or(DecodeError::Missing { field: "sourced.ask" })?;
    let decision = sourced.decision.ok_or(DecodeError::Missing { field: "sourced.decision" })?;
    Ok(Sourced {
        wanted: ask.lines.iter().map(ask_line_from_wire).collect(),
        ask: ask_from_wire(ask)?,
        decision: decision_from_wire(decision)?,
        bookings: bookings_from_wire(&sourced.bookings)?,
        traces: sourced.traces.into_iter().map(Vec::into_boxed_slice).collect(),
    })
}

pub(crate) fn bookings_to_wire(bookings: &[Booking]) -> Vec<wire::Booking> {
    bookings
        .iter()
        .map(|booking| wire::Booking {
            location: booking.location.0,
            slot: match booking.slot {
                Slot::Day(day) => day << 1,
                Slot::Hour(hour) => hour << 1 | 1,
            },
            orders: booking.orders,
            units: booking.units,
        })
        .collect()
}

pub(crate) fn bookings_from_wire(bookings: &[wire::Booking]) -> Result<Box<[Booking]>, DecodeError> {
    let read = bookings.iter().map(|booking| {
        let slot = if booking.slot & 1 == 0 { Slot::Day(booking.slot >> 1) } else { Slot::Hour(booking.slot >> 1) };
        Ok(Booking { location: LocationId(booking.location), slot, orders: booking.orders, units: booking.units })
    });
    read.collect()
}

fn mode_to_wire(mode: Mode) -> u32 {
    match mode {
        Mode::Ship => 1,
        Mode::Pickup => 2,
        Mode::SameHour => 3,
    }
}

fn mode_from_wire(mode: u32) -> Result<Mode, DecodeError> {
    match mode {
        1 => Ok(Mode::Ship),
        2 => Ok(Mode::Pickup),
        3 => Ok(Mode::SameHour),
        other => Err(unknown("ask.mode", other)),
    }
}

fn ask_to_wire(ask: &Ask) -> wire::Ask {
    wire::Ask {
        region: ask.region.to_string(),
        located: ask.point.is_some(),
        latitude_e7: ask.point.map_or(0, |point| point.latitude_e7),
        longitude_e7: ask.point.map_or(0, |point| point.longitude_e7),
        service_level: ask.service_level.to_string(),
        order_type: ask.order_type.to_string(),
        buyer_tier: ask.buyer_tier.to_string(),
        mode: mode_to_wire(ask.mode),
        pickup_location: ask.pickup_at.map_or(0, |location| location.0 + 1),
        wanted_time_s: ask.wanted_by.map_or(0, |moment| moment.0),
        parcels_max: ask.parcels_max.map_or(0, u32::from),
        policy: ask.policy.to_string(),
        receiver_key: ask.receiver_key.to_string(),
        join_open_parcels: ask.join_open_parcels,
        allow_partial: ask.allow_partial,
        lines: Vec::new(),
    }
}

fn ask_from_wire(ask: wire::Ask) -> Result<Ask, DecodeError> {
    let point = Coordinates { latitude_e7: ask.latitude_e7, longitude_e7: ask.longitude_e7 };
    Ok(Ask {
        region: ask.region.into(),
        point: ask.located.then_some(point),
        service_level: ask.service_level.into(),
        order_type: ask.order_type.into(),
        buyer_tier: ask.buyer_tier.into(),
        mode: mode_from_wire(ask.mode)?,
        pickup_at: ask.pickup_location.checked_sub(1).map(LocationId),
        wanted_by: (ask.wanted_time_s != 0).then_some(Moment(ask.wanted_time_s)),
        parcels_max: u16::try_from(ask.parcels_max).ok().filter(|most| *most > 0),
        policy: ask.policy.into(),
        receiver_key: ask.receiver_key.into(),
        join_open_parcels: ask.join_open_parcels,
        allow_partial: ask.allow_partial,
    })
}

fn ask_line_to_wire(line: &AskLine) -> wire::AskLine {
    let numbers = |locations: &[LocationId]| locations.iter().map(|location| location.0).collect();
    wire::AskLine {
        sku: line.sku.0,
        quantity: line.quantity,
        whole: line.whole,
        only: numbers(&line.only),
        never: numbers(&line.never),
        rather: numbers(&line.rather),
        substitutes: line.substitutes.iter().map(|sku| sku.0).collect(),
    }
}

fn ask_line_from_wire(line: &wire::AskLine) -> AskLine {
    let locations = |numbers: &[u32]| numbers.iter().copied().map(LocationId).collect();
    AskLine {
        sku: SkuId(line.sku),
        quantity: line.quantity,
        whole: line.whole,
        only: locations(&line.only),
        never: locations(&line.never),
        rather: locations(&line.rather),
        substitutes: line.substitutes.iter().copied().map(SkuId).collect(),
    }
}

fn value_to_wire(value: &Value) -> wire::PlanValue {
    wire::PlanValue { shortfall: value.shortfall, parcels: value.parcels, cost: value.cost.0 }
}

fn value_from_wire(value: Option<wire::PlanValue>) -> Value {
    let value = value.unwrap_or_default();
    Value { shortfall: value.shortfall, parcels: value.parcels, cost: Money(value.cost) }
}

fn decision_to_wire(decision: &Decision) -> wire::Decision {
    wire::Decision {
        policy: decision.policy.to_string(),
        policy_version: decision.policy_version,
        step: decision.step,
        step_name: decision.step_name.to_string(),
        value: Some(value_to_wire(&decision.value)),
        lower_bound: Some(value_to_wire(&decision.lower_bound)),
        proof: match decision.proof {
            Proof::Proved => 1,
            Proof::Bounded => 2,
        },
        nodes: decision.nodes,
        parcels: decision.parcels.iter().map(parcel_to_wire).collect(),
        unserved: decision
            .unserved
            .iter()
            .map(|(sku, quantity, reason)| wire::DecidedUnserved {
                sku: sku.0,
                quantity: *quantity,
                reason: reason_to_wire(*reason),
            })
            .collect(),
        substitutions: decision
            .substitutions
            .iter()
            .map(|(sku, substitute, quantity)| wire::DecidedSubstitution {
                sku: sku.0,
                substitute: substitute.0,
                quantity: *quantity,
            })
            .collect(),
        currency: decision.currency.to_string(),
    }
}

fn decision_from_wire(decision: wire::Decision) -> Result<Decision, DecodeError> {
    Ok(Decision {
        policy: decision.policy.into(),
        policy_version: decision.policy_version,
        currency: decision.currency.into(),
        step: decision.step,
        step_name: decision.step_name.into(),
        value: value_from_wire(decision.value),
        lower_bound: value_from_wire(decision.lower_bound),
        proof: match decision.proof {
            1 => Proof::Proved,
            2 => Proof::Bounded,
            other => return Err(unknown("decision.proof", other)),
        },
        nodes: decision.nodes,
        parcels: decision.parcels.into_iter().map(parcel_from_wire).collect::<Result<_, _>>()?,
        unserved: decision
            .unserved
            .iter()
            .map(|one| Ok((SkuId(one.sku), one.quantity, reason_from_wire(one.reason)?)))
            .collect::<Result<_, DecodeError>>()?,
        substitutions: decision
            .substitutions
            .iter()
            .map(|one| (SkuId(one.sku), SkuId(one.substitute), one.quantity))
            .collect(),
    })
}

fn terms_to_wire(terms: &Terms) -> Vec<i64> {
    let terms = [
        terms.handling,
        terms.carriage,
        terms.picking,
        terms.lateness,
        terms.preference,
        terms.opportunity,
        terms.pressure,
    ];
    terms.iter().map(|term| term.0).collect()
}

fn terms_from_wire(terms: &[i64]) -> Result<Terms, DecodeError> {
    let [handling, carriage, picking, lateness, preference, opportunity, pressure] = terms else {
        return Err(DecodeError::Missing { field: "parcel.terms" });
    };
    Ok(Terms {
        handling: Money(*handling),
        carriage: Money(*carriage),
        picking: Money(*picking),
        lateness: Money(*lateness),
        preference: Money(*preference),
        opportunity: Money(*opportunity),
        pressure: Money(*pressure),
    })
}

fn parcel_to_wire(parcel: &DecidedParcel) -> wire::DecidedParcel {
    wire::DecidedParcel {
        location: parcel.location.0,
        service: parcel.service.to_string(),
        weight_grams: parcel.weight_grams,
        ship_time_s: parcel.ships_at.0,
        delivery_time_s: parcel.arrives_at.0,
        terms: terms_to_wire(&parcel.terms),
        lines: parcel.lines.iter().flat_map(|(sku, units)| [sku.0, *units]).collect(),
    }
}

fn parcel_from_wire(parcel: wire::DecidedParcel) -> Result<DecidedParcel, DecodeError> {
    let (lines, rest) = parcel.lines.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(DecodeError::Missing { field: "parcel.lines" });
    }
    Ok(DecidedParcel {
        location: LocationId(parcel.location),
        lines: lines.iter().map(|[sku, units]| (SkuId(*sku), *units)).collect(),
        terms: terms_from_wire(&parcel.terms)?,
        service: parcel.service.into(),
        weight_grams: parcel.weight_grams,
        ships_at: Moment(parcel.ship_time_s),
        arrives_at: Moment(parcel.delivery_time_s),
    })
}

/// Numbers of `quartermaster.v1.UnservedReason`.
#[must_use]
pub fn reason_to_wire(reason: UnservedReason) -> u32 {
    match reason {
        UnservedReason::NoStock => 1,
        UnservedReason::NoPlace => 2,
        UnservedReason::NoCarrier => 3,
        UnservedReason::NoCapacity => 4,
        UnservedReason::NotWorthIt => 5,
    }
}

fn reason_from_wire(reason: u32) -> Result<UnservedReason, DecodeError> {
    Ok(match reason {
        1 => UnservedReason::NoStock,
        2 => UnservedReason::NoPlace,
        3 => UnservedReason::NoCarrier,
        4 => UnservedReason::NoCapacity,
        5 => UnservedReason::NotWorthIt,
        other => return Err(unknown("unserved.reason", other)),
    })
}

pub(crate) fn rerouted_to_wire(rerouted: &Rerouted) -> wire::Rerouted {
    wire::Rerouted {
        reservation: rerouted.reservation.0,
        promise: promise_to_wire(rerouted.promise),
        from: lines_to_wire(&rerouted.from),
        to: lines_to_wire(&rerouted.to),
        bookings: bookings_to_wire(&rerouted.bookings),
        refused: rerouted.refused_until.is_some(),
        refused_until_us: rerouted.refused_until.map_or(0, |until| until.0),
        promise_time_s: rerouted.promised.map_or(0, |moment| moment.0),
        decision: rerouted.decision.as_deref().map(decision_to_wire),
        parcels: rerouted.parcels.iter().map(parcel_to_wire).collect(),
    }
}

pub(crate) fn rerouted_from_wire(rerouted: wire::Rerouted) -> Result<Rerouted, DecodeError> {
    Ok(Rerouted {
        reservation: ReservationId(rerouted.reservation),
        promise: promise_from_wire(rerouted.promise)?,
        from: lines_from_wire(&rerouted.from),
        to: lines_from_wire(&rerouted.to),
        bookings: bookings_from_wire(&rerouted.bookings)?,
        refused_until: rerouted.refused.then_some(Timestamp(rerouted.refused_until_us)),
        promised: (rerouted.promise_time_s != 0).then_some(Moment(rerouted.promise_time_s)),
        decision: rerouted.decision.map(decision_from_wire).transpose()?.map(Box::new),
        parcels: rerouted.parcels.into_iter().map(parcel_from_wire).collect::<Result<_, _>>()?,
    })
}

pub(crate) fn merged_to_wire(merged: &Merged) -> wire::Merged {
    wire::Merged {
        moves: merged.moves.iter().map(rerouted_to_wire).collect(),
        decision: Some(decision_to_wire(&merged.decision)),
        cost_before: merged.cost_before,
    }
}

pub(crate) fn merged_from_wire(merged: wire::Merged) -> Result<Merged, DecodeError> {
    let decision = merged.decision.ok_or(DecodeError::Missing { field: "merged.decision" })?;
    Ok(Merged {
        moves: merged.moves.into_iter().map(rerouted_from_wire).collect::<Result<_, _>>()?,
        decision: decision_from_wire(decision)?,
        cost_before: merged.cost_before,
    })
}

pub(crate) fn sourcing_to_wire(sourcing: &Sourcing) -> wire::ReservationSourcing {
    let mut ask = ask_to_wire(&sourcing.ask);
    ask.lines = sourcing.conditions.iter().map(ask_line_to_wire).collect();
    wire::ReservationSourcing {
        decided_lsn: sourcing.decided.get(),
        promise_time_s: sourcing.promised.map_or(0, |moment| moment.0),
        bookings: bookings_to_wire(&sourcing.bookings),
        merged_with: sourcing.merged_with.map_or(0, |id| id.0),
        ask: Some(ask),
        parcels: sourcing.parcels.iter().map(parcel_to_wire).collect(),
    }
}

pub(crate) fn sourcing_from_wire(sourcing: wire::ReservationSourcing) -> Result<Sourcing, DecodeError> {
    let ask = sourcing.ask.ok_or(DecodeError::Missing { field: "sourcing.ask" })?;
    Ok(Sourcing {
        decided: Lsn::new(sourcing.decided_lsn),
        promised: (sourcing.promise_time_s != 0).then_some(Moment(sourcing.promise_time_s)),
        bookings: bookings_from_wire(&sourcing.bookings)?.into_vec(),
        merged_with: (sourcing.merged_with != 0).then_some(ReservationId(sourcing.merged_with)),
        parcels: sourcing.parcels.into_iter().map(parcel_from_wire).collect::<Result<_, _>>()?,
        conditions: ask.lines.iter().map(ask_line_from_wire).collect(),
        ask: ask_from_wire(ask)?,
    })
}

/// What a decision met, with the names that its numbers stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The problem.
    pub met: Met,
    /// Names of the policy's rules, as far as they removed something; `Removed::Rule` counts in here.
    pub rules: Vec<String>,
    /// Codes of the services; a way's service counts in here.
    pub services: Vec<String>,
}

/// Writes what a decision met. `rule` and `service` name the numbers in it.
pub(crate) fn trace<'a>(met: &Met, rule: impl Fn(usize) -> &'a str, service: impl Fn(u32) -> &'a str) -> Box<[u8]> {
    let mut removals: Vec<String> = Vec::new();
    let mut services: Vec<String> = Vec::new();
    let number = |names: &mut Vec<String>, name: &str| -> u32 {
        let found = names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        u32::try_from(found).unwrap_or(u32::MAX)
    };
    let candidates = &met.candidates;
    let mut places: Vec<wire::TraceCandidate> = Vec::with_capacity(candidates.places.len());
    for place in &candidates.places {
        let mut lanes = Vec::with_capacity(place.lanes.len() * LANE);
        for way in &place.lanes {
            let service = way.service.map_or(0, |index| i64::from(number(&mut services, service(index))) + 1);
            lanes.extend([
                service,
                signed(way.first_weight.0),
                way.first_price.0,
                signed(way.step_weight.0),
                way.step_price.0,
                way.weight_max.map_or(-1, |most| signed(most.0)),
                way.lateness.0,
                way.ships_at.0,
                way.arrives_at.0,
            ]);
        }
        places.push(wire::TraceCandidate {
            location: place.location.0,
            removed_by: place.removed.map_or(0, |removal| number(&mut removals, &removal.name(&rule)) + 1),
            parcel: vec![place.handling.0, place.preference.0, place.pressure.0],
            pick: place.pick.0,
            units_max: place.units_max.unwrap_or(0),
            limited: place.units_max.is_some(),
            lanes,
            offers: Vec::new(),
        });
    }
    for offer in &candidates.offers {
        let removed = offer.removed.map_or(0, |removal| i64::from(number(&mut removals, &removal.name(&rule))) + 1);
        if let Some(place) = usize::try_from(offer.place).ok().and_then(|place| places.get_mut(place)) {
            let (preference, opportunity) = (offer.preference.0, offer.opportunity.0);
            place.offers.extend([i64::from(offer.line), i64::from(offer.units), preference, opportunity, removed]);
        }
    }
    let trace = wire::Trace {
        candidates: places,
        removals,
        services,
        objective: match met.aim.objective {
            Objective::Money => 0,
            Objective::UnitsParcelsCost => 1,
            Objective::UnitsCost => 2,
            Objective::WholeLinesCost => 3,
        },
        parcels_max: met.aim.parcels_max.map_or(0, u32::from),
        complete: met.aim.complete,
        unserved_unit: met.aim.unserved_unit.0,
        nodes_max: met.aim.nodes_max,
        lines: candidates
            .lines
            .iter()
            .map(|line| wire::TraceLine {
                sku: line.sku.0,
                quantity: line.quantity,
                unit_weight: line.unit_weight.0,
                whole: line.whole,
            })
            .collect(),
    };
    trace.encode_to_vec().into()
}

/// Numbers of a lane and of an offer in a trace.
const LANE: usize = 9;
const OFFER: usize = 5;

/// Reads what a decision met.
///
/// # Errors
/// When the bytes are no trace that this version knows.
pub fn read_trace(bytes: &[u8]) -> Result<Trace, DecodeError> {
    let trace = wire::Trace::decode(bytes)?;
    let bad = |field| DecodeError::Missing { field };
    let mut rules: Vec<String> = Vec::new();
    let removals: Vec<Removal> = trace.removals.iter().map(|name| removal(name, &mut rules)).collect();
    let removed = |index: u32| -> Result<Option<Removal>, DecodeError> {
        let Some(index) = index.checked_sub(1) else { return Ok(None) };
        let found = usize::try_from(index).ok().and_then(|index| removals.get(index));
        found.copied().map(Some).ok_or(bad("trace.removals"))
    };
    let mut places = Vec::new();
    let mut offers = Vec::new();
    for (number, place) in (0..).zip(&trace.candidates) {
        let [handling, preference, pressure] = place.parcel[..] else { return Err(bad("trace.parcel")) };
        let (lanes, rest) = place.lanes.as_chunks::<LANE>();
        let (own, more) = place.offers.as_chunks::<OFFER>();
        if !rest.is_empty() || !more.is_empty() {
            return Err(bad("trace.lanes"));
        }
        places.push(Candidate {
            location: PlaceId(place.location),
            removed: removed(place.removed_by)?,
            handling: Money(handling),
            preference: Money(preference),
            pressure: Money(pressure),
            pick: Money(place.pick),
            units_max: place.limited.then_some(place.units_max),
            lanes: lanes.iter().map(way).collect::<Result<_, _>>()?,
            slots: SmallVec::new(),
        });
        for [line, units, preference, opportunity, removal] in own {
            let small = |number: &i64| u32::try_from(*number).map_err(|_| bad("trace.offers"));
            offers.push(Offer {
                line: small(line)?,
                place: number,
                units: small(units)?,
                preference: Money(*preference),
                opportunity: Money(*opportunity),
                removed: removed(small(removal)?)?,
            });
        }
    }
    offers.sort_by_key(|offer| (offer.line, offer.place));
    let lines: Vec<Wanted> = trace
        .lines
        .iter()
        .map(|line| Wanted {
            sku: GoodsId(line.sku),
            quantity: line.quantity,
            unit_weight: Grams(line.unit_weight),
            whole: line.whole,
        })
        .collect();
    if offers.iter().any(|offer| usize::try_from(offer.line).map_or(true, |line| line >= lines.len())) {
        return Err(bad("trace.offers"));
    }
    let aim = Aim {
        objective: match trace.objective {
            0 => Objective::Money,
            1 => Objective::UnitsParcelsCost,
            2 => Objective::UnitsCost,
            3 => Objective::WholeLinesCost,
            other => return Err(unknown("trace.objective", other)),
        },
        parcels_max: u16::try_from(trace.parcels_max).ok().filter(|most| *most > 0),
        complete: trace.complete,
        unserved_unit: Money(trace.unserved_unit),
        nodes_max: trace.nodes_max,
    };
    Ok(Trace { met: Met { candidates: Candidates { lines, places, offers }, aim }, rules, services: trace.services })
}

fn way(lane: &[i64; LANE]) -> Result<Way, DecodeError> {
    let [service, first_weight, first_price, step_weight, step_price, weight_max, lateness, ships_at, arrives_at] =
        *lane;
    let grams =
        |number: i64| u64::try_from(number).map(Grams).map_err(|_| DecodeError::Missing { field: "trace.lanes" });
    Ok(Way {
        service: service.checked_sub(1).and_then(|index| u32::try_from(index).ok()),
        first_weight: grams(first_weight)?,
        first_price: Money(first_price),
        step_weight: grams(step_weight)?,
        step_price: Money(step_price),
        weight_max: if weight_max < 0 { None } else { Some(grams(weight_max)?) },
        lateness: Money(lateness),
        ships_at: Moment(ships_at),
        arrives_at: Moment(arrives_at),
    })
}

/// What a removal's name stands for; rules are numbered as they come.
fn removal(name: &str, rules: &mut Vec<String>) -> Removal {
    let built_in = [
        Removal::NotOpen,
        Removal::NotThePickupLocation,
        Removal::Capability,
        Removal::Channel,
        Removal::SameHourRadius,
        Removal::DangerousGoods,
        Removal::Line,
        Removal::Refused,
        Removal::KeptBack,
        Removal::Policy(Removed::Where),
        Removal::NoCarrier,
        Removal::OrderCapacity,
        Removal::UnitCapacity,
    ];
    built_in.into_iter().find(|removal| removal.name(|_| "") == name).unwrap_or_else(|| {
        rules.push(name.strip_prefix("rule:").unwrap_or(name).to_owned());
        Removal::Policy(Removed::Rule(rules.len() - 1))
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
