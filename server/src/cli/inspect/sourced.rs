//! What the router decided, as JSON: the plan with codes beside ids. What a decision met is told as its size; the server explains it.

use quartermaster_engine::capacity::Booking;
use quartermaster_engine::sourced::{Ask, AskLine, DecidedParcel, Decision, Merged, Rerouted, Sourced};
use quartermaster_engine::time::Timestamp;
use quartermaster_sourcing::Proof;
use quartermaster_sourcing::fulfilment::{Mode, Moment, Slot};
use quartermaster_sourcing::plan::{Terms, UnservedReason, Value as Worth};
use serde_json::{Map, Value, json};

use super::event::{bucket, lines, location, object, sku};
use super::names::Names;
use crate::cli::show;

/// How a hold was sourced.
pub(super) fn sourced(sourced: &Sourced, names: &Names) -> Value {
    json!({
        "asked": ask(&sourced.ask, names),
        "wanted": sourced.wanted.iter().map(|line| wanted(line, names)).collect::<Vec<_>>(),
        "decision": decision(&sourced.decision, names),
        "bookings": bookings(&sourced.bookings, names),
        "trace_bytes": sourced.traces.iter().map(|trace| trace.len()).sum::<usize>(),
    })
}

/// Units that were routed anew.
pub(super) fn rerouted(rerouted: &Rerouted, names: &Names) -> Value {
    let mut body = object(json!({
        "reservation": rerouted.reservation.to_string(),
        "bucket": bucket(rerouted.promise),
        "from": lines(&rerouted.from, names),
        "to": lines(&rerouted.to, names),
        "bookings": bookings(&rerouted.bookings, names),
    }));
    if let Some(until) = rerouted.refused_until {
        body.insert("refused_until".into(), show::time(until).into());
    }
    if let Some(promised) = rerouted.promised {
        body.insert("promise_time".into(), moment(promised).into());
    }
    if let Some(how) = &rerouted.decision {
        body.insert("decision".into(), decision(how, names));
    }
    Value::Object(body)
}

/// Reservations that were planned together.
pub(super) fn merged(merged: &Merged, names: &Names) -> Value {
    json!({
        "group": merged.group().map(|id| id.to_string()),
        "moves": merged.moves.iter().map(|part| rerouted(part, names)).collect::<Vec<_>>(),
        "decision": decision(&merged.decision, names),
        "cost_before": merged.cost_before,
    })
}

/// Work booked; negative where it is given back.
pub(super) fn bookings(bookings: &[Booking], names: &Names) -> Vec<Value> {
    let one = |booking: &Booking| {
        let mut body = location("location", booking.location, names);
        match booking.slot {
            Slot::Day(day) => body.insert("day".into(), day.into()),
            Slot::Hour(hour) => body.insert("hour".into(), hour.into()),
        };
        body.extend(object(json!({ "orders": booking.orders, "units": booking.units })));
        Value::Object(body)
    };
    bookings.iter().map(one).collect()
}

/// What is empty or not set is left out.
fn ask(ask: &Ask, names: &Names) -> Value {
    let mut body = Map::new();
    let texts = [
        ("region", &ask.region),
        ("service_level", &ask.service_level),
        ("order_type", &ask.order_type),
        ("buyer_tier", &ask.buyer_tier),
        ("policy", &ask.policy),
        ("receiver_key", &ask.receiver_key),
    ];
    body.extend(
        texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| (key.into(), (**text).into())),
    );
    if let Some(point) = ask.point {
        body.insert("latitude".into(), (f64::from(point.latitude_e7) / 1e7).into());
        body.insert("longitude".into(), (f64::from(point.longitude_e7) / 1e7).into());
    }
    let mode = match ask.mode {
        Mode::Ship => "ship",
        Mode::Pickup => "pickup",
        Mode::SameHour => "same_hour",
    };
    body.insert("mode".into(), mode.into());
    if let Some(at) = ask.pickup_at {
        body.extend(location("pickup_location", at, names));
    }
    if let Some(at) = ask.wanted_by {
        body.insert("wanted_time".into(), moment(at).into());
    }
    if let Some(most) = ask.parcels_max {
        body.insert("parcels_max".into(), most.into());
    }
    for (key, set) in [("join_open_parcels", ask.join_open_parcels), ("allow_partial", ask.allow_partial)] {
        if set {
            body.insert(key.into(), true.into());
        }
    }
    Value::Object(body)
}

fn wanted(line: &AskLine, names: &Names) -> Value {
    let mut body = sku(line.sku, names);
    body.insert("quantity".into(), line.quantity.into());
    if line.whole {
        body.insert("whole".into(), true.into());
    }
    for (key, places) in [("only", &line.only), ("never", &line.never), ("rather", &line.rather)] {
        if !places.is_empty() {
            body.insert(key.into(), places.iter().map(|place| names.location(*place)).collect());
        }
    }
    if !line.substitutes.is_empty() {
        body.insert("substitutes".into(), line.substitutes.iter().map(|other| names.sku(*other)).collect());
    }
    Value::Object(body)
}

fn decision(decision: &Decision, names: &Names) -> Value {
    let unserved = decision.unserved.iter().map(|(id, units, reason)| {
        let mut body = sku(*id, names);
        body.extend(object(json!({ "units": units, "reason": unserved_reason(*reason) })));
        Value::Object(body)
    });
    let substitutions = decision.substitutions.iter().map(
        |(asked, served, units)| json!({ "sku": names.sku(*asked), "substitute": names.sku(*served), "units": units }),
    );
    json!({
        "policy": decision.policy,
        "policy_version": decision.policy_version,
        "currency": decision.currency,
        "step": decision.step_name,
        "value": worth(&decision.value),
        "lower_bound": worth(&decision.lower_bound),
        "proof": match decision.proof {
            Proof::Proved => "proved",
            Proof::Bounded => "bounded",
        },
        "nodes": decision.nodes,
        "cost": decision.cost(),
        "parcels": decision.parcels.iter().map(|one| parcel(one, names)).collect::<Vec<_>>(),
        "unserved": unserved.collect::<Vec<_>>(),
        "substitutions": substitutions.collect::<Vec<_>>(),
    })
}

fn parcel(parcel: &DecidedParcel, names: &Names) -> Value {
    let lines = parcel.lines.iter().map(|(id, units)| {
        let mut line = sku(*id, names);
        line.insert("quantity".into(), (*units).into());
        Value::Object(line)
    });
    let mut body = location("location", parcel.location, names);
    body.extend(object(json!({
        "service": parcel.service,
        "lines": lines.collect::<Vec<_>>(),
        "weight_grams": parcel.weight_grams,
        "ship_time": moment(parcel.ships_at),
        "delivery_time": moment(parcel.arrives_at),
        "terms": terms(&parcel.terms),
    })));
    Value::Object(body)
}

/// Terms of 0 are left out, the total is not.
fn terms(terms: &Terms) -> Value {
    let named = [
        ("handling", terms.handling),
        ("carriage", terms.carriage),
        ("picking", terms.picking),
        ("lateness", terms.lateness),
        ("preference", terms.preference),
        ("opportunity", terms.opportunity),
        ("pressure", terms.pressure),
    ];
    let mut body: Map<String, Value> =
        named.into_iter().filter(|(_, term)| term.0 != 0).map(|(name, term)| (name.into(), term.0.into())).collect();
    body.insert("total".into(), terms.total().0.into());
    Value::Object(body)
}

fn worth(value: &Worth) -> Value {
    json!({ "shortfall": value.shortfall, "parcels": value.parcels, "cost": value.cost.0 })
}

fn unserved_reason(reason: UnservedReason) -> &'static str {
    match reason {
        UnservedReason::NoStock => "no_stock",
        UnservedReason::NoPlace => "no_location",
        UnservedReason::NoCarrier => "no_carrier",
        UnservedReason::NoCapacity => "no_capacity",
        UnservedReason::NotWorthIt => "not_worth_it",
    }
}

/// A moment of a plan; those before 1970 do not occur.
fn moment(moment: Moment) -> String {
    let seconds = u64::try_from(moment.0).unwrap_or_default();
    show::time(Timestamp(seconds.saturating_mul(1_000_000)))
}
