//! Whatever sourcing can say, for the tests of the codec.

use proptest::{collection::vec, option, prelude::*};
use quartermaster_sourcing::{
    Money, Proof,
    fulfilment::{Coordinates, Mode, Moment, Slot},
    plan::{Terms, UnservedReason, Value},
};

use crate::{
    capacity::Booking,
    event::{Event, Lines, Promise},
    id::{LocationId, ReservationId, SkuId},
    sourced::{Ask, AskLine, DecidedParcel, Decision, Merged, Rerouted, Sourced},
    time::Timestamp,
};

fn skus() -> impl Strategy<Value = Vec<SkuId>> {
    vec(any::<u32>().prop_map(SkuId), 0..3)
}

fn locations() -> impl Strategy<Value = Vec<LocationId>> {
    vec(any::<u32>().prop_map(LocationId), 0..3)
}

fn text() -> impl Strategy<Value = Box<str>> {
    "[a-z]{0,5}".prop_map(String::into_boxed_str)
}

pub(super) fn bookings() -> impl Strategy<Value = Box<[Booking]>> {
    let booking = (any::<u32>(), any::<bool>(), 0..1_u32 << 31, any::<i32>(), any::<i64>());
    let booking = booking.prop_map(|(location, day, slot, orders, units)| Booking {
        location: LocationId(location),
        slot: if day { Slot::Day(slot) } else { Slot::Hour(slot) },
        orders,
        units,
    });
    vec(booking, 0..4).prop_map(Vec::into_boxed_slice)
}

fn parcels() -> impl Strategy<Value = Vec<DecidedParcel>> {
    let lines = vec((any::<u32>().prop_map(SkuId), any::<u32>()), 0..3);
    let parcel = (any::<u32>(), lines, text(), any::<u64>(), any::<(i64, i64)>(), any::<[i64; 7]>());
    let parcel = parcel.prop_map(|(location, lines, service, weight_grams, (ships, arrives), terms)| {
        let [handling, carriage, picking, lateness, preference, opportunity, pressure] = terms.map(Money);
        DecidedParcel {
            location: LocationId(location),
            lines,
            service,
            weight_grams,
            ships_at: Moment(ships),
            arrives_at: Moment(arrives),
            terms: Terms { handling, carriage, picking, lateness, preference, opportunity, pressure },
        }
    });
    vec(parcel, 0..3)
}

fn value() -> impl Strategy<Value = Value> {
    any::<(u64, u64, i64)>().prop_map(|(shortfall, parcels, cost)| Value { shortfall, parcels, cost: Money(cost) })
}

fn decision() -> impl Strategy<Value = Decision> {
    let names = (text(), any::<u32>(), text(), any::<u32>(), text());
    let reason = prop::sample::select(vec![
        UnservedReason::NoStock,
        UnservedReason::NoPlace,
        UnservedReason::NoCarrier,
        UnservedReason::NoCapacity,
        UnservedReason::NotWorthIt,
    ]);
    let unserved = vec((any::<u32>().prop_map(SkuId), any::<u32>(), reason), 0..3);
    let substitutions = vec((any::<u32>().prop_map(SkuId), any::<u32>().prop_map(SkuId), any::<u32>()), 0..3);
    let proof = prop::sample::select(vec![Proof::Proved, Proof::Bounded]);
    let figures = (value(), value(), proof, any::<u64>());
    (names, figures, parcels(), unserved, substitutions).prop_map(
        |(names, figures, parcels, unserved, substitutions)| {
            let (policy, policy_version, currency, step, step_name) = names;
            let (value, lower_bound, proof, nodes) = figures;
            Decision {
                policy,
                policy_version,
                currency,
                step,
                step_name,
                value,
                lower_bound,
                proof,
                nodes,
                parcels,
                unserved,
                substitutions,
            }
        },
    )
}

fn ask() -> impl Strategy<Value = Ask> {
    let texts = (text(), text(), text(), text(), text(), text());
    let point = option::of(any::<(i32, i32)>());
    let mode = prop::sample::select(vec![Mode::Ship, Mode::Pickup, Mode::SameHour]);
    let wanted_by = option::of(1..i64::MAX);
    let rest = (point, mode, option::of(0..u32::MAX), wanted_by, option::of(1..u16::MAX), any::<(bool, bool)>());
    (texts, rest).prop_map(|(texts, (point, mode, pickup_at, wanted_by, parcels_max, flags))| {
        let (region, service_level, order_type, buyer_tier, policy, receiver_key) = texts;
        Ask {
            region,
            point: point.map(|(latitude_e7, longitude_e7)| Coordinates { latitude_e7, longitude_e7 }),
            service_level,
            order_type,
            buyer_tier,
            mode,
            pickup_at: pickup_at.map(LocationId),
            wanted_by: wanted_by.map(Moment),
            parcels_max,
            policy,
            receiver_key,
            join_open_parcels: flags.0,
            allow_partial: flags.1,
        }
    })
}

pub(super) fn sourced() -> impl Strategy<Value = Sourced> {
    let line = (any::<u32>(), any::<u32>(), any::<bool>(), locations(), locations(), locations(), skus());
    let line = line.prop_map(|(sku, quantity, whole, only, never, rather, substitutes)| AskLine {
        sku: SkuId(sku),
        quantity,
        whole,
        only,
        never,
        rather,
        substitutes,
    });
    let traces = vec(vec(any::<u8>(), 0..9).prop_map(Vec::into_boxed_slice), 0..3);
    (ask(), vec(line, 0..3), decision(), bookings(), traces)
        .prop_map(|(ask, wanted, decision, bookings, traces)| Sourced { ask, wanted, decision, bookings, traces })
}

fn rerouted(lines: impl Strategy<Value = Lines> + Clone) -> impl Strategy<Value = Rerouted> {
    let promise = prop::sample::select(vec![Promise::Reserved, Promise::Committed]);
    let times = (option::of(any::<u64>()), option::of(1..i64::MAX));
    let decided = (parcels(), option::of(decision()));
    (any::<u64>(), promise, lines.clone(), lines, bookings(), times, decided).prop_map(
        |(id, promise, from, to, bookings, (refused_until, promised), (parcels, decision))| Rerouted {
            reservation: ReservationId(id),
            promise,
            from,
            to,
            bookings,
            refused_until: refused_until.map(Timestamp),
            promised: promised.map(Moment),
            parcels,
            decision: decision.map(Box::new),
        },
    )
}

/// Events that a router decided.
pub(super) fn events(lines: impl Strategy<Value = Lines> + Clone) -> impl Strategy<Value = Event> {
    let merged = (vec(rerouted(lines.clone()), 0..3), decision(), any::<i64>());
    prop_oneof![
        rerouted(lines).prop_map(|moved| Event::Rerouted(Box::new(moved))),
        merged.prop_map(|(moves, decision, cost_before)| Event::Merged(Box::new(Merged {
            moves,
            decision,
            cost_before
        }))),
    ]
}
