//! What an order asks of the router: its own conditions, and those of its lines.

use std::fmt::Display;

use quartermaster_engine::command::{LineSourcing, ReserveLine, SourcingRequest};
use quartermaster_proto::v1;
use quartermaster_sourcing::fulfilment::{Coordinates, Mode, Moment};

use super::{catalog, checks::Checks, checks::grouped};
use crate::grpc::limits;

/// The latest moment an order may be wanted at: 9999-12-31T23:59:59Z, the end of what a `Timestamp` may say.
const LATEST: i64 = 253_402_300_799;

/// The conditions of an order.
pub(super) fn sourcing(checks: &mut Checks, sourcing: v1::Sourcing) -> SourcingRequest {
    let to = sourcing.destination.unwrap_or_default();
    let mode = mode(checks, sourcing.mode);
    let pickup_location = checks.optional_code("sourcing.pickup_location", sourcing.pickup_location);
    match mode {
        Mode::Pickup if pickup_location.is_empty() => {
            checks.refuse("sourcing.pickup_location", "is missing; the location where the buyer fetches it is needed");
        }
        Mode::Ship | Mode::SameHour if !pickup_location.is_empty() => {
            checks.refuse("sourcing.pickup_location", "is set; only DELIVERY_MODE_PICKUP has one");
        }
        Mode::Ship | Mode::SameHour | Mode::Pickup => {}
    }
    if sourcing.join_open_parcels && sourcing.receiver_key.is_empty() {
        checks.refuse("sourcing.receiver_key", "is missing; join_open_parcels needs to know the receiver");
    }
    SourcingRequest {
        region: checks.optional_code("sourcing.destination.region", to.region),
        point: to.point.and_then(|at| point(checks, "sourcing.destination.point", &at)),
        service_level: checks.optional_code("sourcing.service_level", sourcing.service_level),
        order_type: checks.optional_code("sourcing.order_type", sourcing.order_type),
        buyer_tier: checks.optional_code("sourcing.buyer_tier", sourcing.buyer_tier),
        mode,
        pickup_location,
        wanted_by: sourcing.wanted_time.and_then(|at| wanted(checks, &at)),
        parcels_max: parcels_max(checks, sourcing.parcels_max),
        policy: checks.optional_code("sourcing.policy", sourcing.policy),
        receiver_key: checks.text("sourcing.receiver_key", sourcing.receiver_key, &limits::REFERENCE_BYTES_MAX),
        join_open_parcels: sourcing.join_open_parcels,
    }
}

/// The lines of an order. With `sourced` the router decides where they come from, so they name no location; without, they have no
/// conditions for it.
pub(super) fn lines(checks: &mut Checks, lines: Vec<v1::ReserveLine>, sourced: bool) -> Vec<ReserveLine> {
    let mut converted = Vec::with_capacity(lines.len());
    for (place, line) in lines.into_iter().enumerate() {
        let path = format_args!("lines[{place}]");
        let sku = checks.code(format_args!("{path}.sku"), line.sku);
        if sourced && !line.location.is_empty() {
            let problem = "is set; with sourcing the router decides, and only_locations narrows its choice";
            checks.refuse(format_args!("{path}.location"), problem);
        }
        if !sourced && line.sourcing.is_some() {
            checks.refuse(format_args!("{path}.sourcing"), "is set, and the order has no sourcing");
        }
        let conditions = line.sourcing.map(|conditions| Box::new(line_sourcing(checks, path, &sku, conditions)));
        converted.push(ReserveLine {
            sku: sku.into(),
            quantity: checks.quantity(format_args!("{path}.quantity"), line.quantity),
            location: checks.optional_code(format_args!("{path}.location"), line.location).into(),
            sourcing: conditions,
        });
    }
    converted
}

fn line_sourcing(checks: &mut Checks, line: impl Display, sku: &str, conditions: v1::LineSourcing) -> LineSourcing {
    let path = format_args!("{line}.sourcing");
    let only = codes(checks, format_args!("{path}.only_locations"), conditions.only_locations);
    let never = codes(checks, format_args!("{path}.never_locations"), conditions.never_locations);
    let rather = codes(checks, format_args!("{path}.rather_locations"), conditions.rather_locations);
    if !only.is_empty() && only.iter().all(|code| never.contains(code)) {
        checks.refuse(format_args!("{path}.never_locations"), "leaves out all of only_locations");
    }
    let substitutes = conditions.substitutes;
    let field = format_args!("{path}.substitutes");
    let known = checks.length(field, substitutes.len(), 0, &limits::SUBSTITUTES_MAX);
    if known {
        checks.each_once(field, substitutes.iter().map(String::as_str));
    }
    if let Some(own) = substitutes.iter().position(|code| code == sku) {
        checks.refuse(format_args!("{field}[{own}]"), "is the line's own SKU");
    }
    let substitutes = if known { entries(checks, field, substitutes) } else { Vec::new() };
    LineSourcing { whole: conditions.whole, only, never, rather, substitutes }
}

/// A list of location codes, each once.
fn codes(checks: &mut Checks, field: impl Display, codes: Vec<String>) -> Vec<String> {
    if !checks.length(&field, codes.len(), 0, &limits::LINE_LOCATIONS_MAX) {
        return Vec::new();
    }
    checks.each_once(&field, codes.iter().map(String::as_str));
    entries(checks, field, codes)
}

fn entries(checks: &mut Checks, field: impl Display, codes: Vec<String>) -> Vec<String> {
    let codes = codes.into_iter().enumerate();
    codes.map(|(place, code)| checks.code(format_args!("{field}[{place}]"), code)).collect()
}

fn mode(checks: &mut Checks, number: i32) -> Mode {
    use v1::DeliveryMode as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Unspecified | Wire::Ship) => Mode::Ship,
        Ok(Wire::Pickup) => Mode::Pickup,
        Ok(Wire::SameHour) => Mode::SameHour,
        Err(_) => {
            checks.refuse("sourcing.mode", format_args!("is {number}; no DeliveryMode has this number"));
            Mode::Ship
        }
    }
}

fn point(checks: &mut Checks, field: impl Display, at: &v1::LatLng) -> Option<Coordinates> {
    let at = catalog::coordinates(checks, &field.to_string(), at)?;
    Some(Coordinates { latitude_e7: at.latitude_e7, longitude_e7: at.longitude_e7 })
}

/// Whole seconds; parts of one are cut off, so that nothing arrives later than wanted.
fn wanted(checks: &mut Checks, at: &prost_types::Timestamp) -> Option<Moment> {
    if !(0..1_000_000_000).contains(&at.nanos) {
        checks.refuse("sourcing.wanted_time", format_args!("has {} nanos; 0 to 999,999,999 are allowed", at.nanos));
        return None;
    }
    if !(1..=LATEST).contains(&at.seconds) {
        let problem = "s since 1970; from 1970-01-01T00:00:01Z to 9999-12-31T23:59:59Z are allowed";
        checks.refuse("sourcing.wanted_time", format_args!("is {} {problem}", at.seconds));
        return None;
    }
    Some(Moment(at.seconds))
}

fn parcels_max(checks: &mut Checks, parcels: i32) -> Option<u16> {
    match u16::try_from(parcels) {
        Ok(0) => None,
        Ok(parcels) if u64::from(parcels) <= limits::PARCELS_MAX.get() => Some(parcels),
        Ok(_) | Err(_) => {
            let most = grouped(limits::PARCELS_MAX.get());
            let problem = format_args!("is {parcels}; 1 to {most} are allowed, 0 for as the policy says");
            checks.refuse("sourcing.parcels_max", problem);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    /// What is said of an order's conditions, as "field: problem".
    fn said(ask: v1::Sourcing) -> Vec<String> {
        let mut checks = Checks::default();
        sourcing(&mut checks, ask);
        told(checks)
    }

    fn told(checks: Checks) -> Vec<String> {
        let violations = checks.finish(()).map_or_else(|error| error.violations(), |()| Vec::new());
        violations.into_iter().map(|wrong| format!("{}: {}", wrong.field, wrong.problem)).collect()
    }

    fn at(latitude: f64, longitude: f64) -> v1::Sourcing {
        let point = Some(v1::LatLng { latitude, longitude });
        v1::Sourcing { destination: Some(v1::Destination { region: String::new(), point }), ..Default::default() }
    }

    #[test]
    fn conditions_are_carried_over() {
        let ask = v1::Sourcing {
            service_level: "express".into(),
            order_type: "gift".into(),
            buyer_tier: "gold".into(),
            mode: i32::from(v1::DeliveryMode::Pickup),
            pickup_location: "HZ-01".into(),
            wanted_time: Some(Timestamp { seconds: 1_794_355_200, nanos: 999_999_999 }),
            parcels_max: 1_000,
            policy: "vip".into(),
            receiver_key: "door".into(),
            join_open_parcels: true,
            destination: Some(v1::Destination {
                region: "330106".into(),
                point: Some(v1::LatLng { latitude: 30.25, longitude: -180.0 }),
            }),
        };
        let expected = SourcingRequest {
            region: "330106".into(),
            point: Some(Coordinates { latitude_e7: 302_500_000, longitude_e7: -1_800_000_000 }),
            service_level: "express".into(),
            order_type: "gift".into(),
            buyer_tier: "gold".into(),
            mode: Mode::Pickup,
            pickup_location: "HZ-01".into(),
            wanted_by: Some(Moment(1_794_355_200)),
            parcels_max: Some(1_000),
            policy: "vip".into(),
            receiver_key: "door".into(),
            join_open_parcels: true,
        };
        let mut checks = Checks::default();
        assert_eq!(sourcing(&mut checks, ask), expected);
        assert_eq!(told(checks), [""; 0]);
        assert_eq!(sourcing(&mut Checks::default(), v1::Sourcing::default()), SourcingRequest::default());
    }

    #[test]
    fn every_wrong_condition_of_an_order_is_named() {
        let wanted = |seconds, nanos| {
            said(v1::Sourcing { wanted_time: Some(Timestamp { seconds, nanos }), ..Default::default() })
        };
        let parcels = |parcels_max| said(v1::Sourcing { parcels_max, ..Default::default() });
        let mode = |mode, pickup_location: &str| {
            said(v1::Sourcing { mode, pickup_location: pickup_location.into(), ..Default::default() })
        };
        let latitude = "sourcing.destination.point.latitude";
        let longitude = "sourcing.destination.point.longitude";
        let range = "s since 1970; from 1970-01-01T00:00:01Z to 9999-12-31T23:59:59Z are allowed";
        let cases = [
            (said(at(90.1, 0.0)), format!("{latitude}: is 90.1; -90 to 90 are allowed")),
            (said(at(f64::NAN, 0.0)), format!("{latitude}: is NaN; -90 to 90 are allowed")),
            (said(at(0.0, -180.5)), format!("{longitude}: is -180.5; -180 to 180 are allowed")),
            (said(at(0.0, f64::INFINITY)), format!("{longitude}: is inf; -180 to 180 are allowed")),
            (wanted(0, 0), format!("sourcing.wanted_time: is 0 {range}")),
            (wanted(LATEST + 1, 0), format!("sourcing.wanted_time: is 253402300800 {range}")),
            (wanted(1, -1), "sourcing.wanted_time: has -1 nanos; 0 to 999,999,999 are allowed".into()),
            (parcels(-1), "sourcing.parcels_max: is -1; 1 to 1,000 are allowed, 0 for as the policy says".into()),
            (parcels(1_001), "sourcing.parcels_max: is 1001; 1 to 1,000 are allowed, 0 for as the policy says".into()),
            (mode(9, ""), "sourcing.mode: is 9; no DeliveryMode has this number".into()),
            (
                mode(2, ""),
                "sourcing.pickup_location: is missing; the location where the buyer fetches it is needed".into(),
            ),
            (mode(0, "L1"), "sourcing.pickup_location: is set; only DELIVERY_MODE_PICKUP has one".into()),
            (mode(3, "L1"), "sourcing.pickup_location: is set; only DELIVERY_MODE_PICKUP has one".into()),
            (
                said(v1::Sourcing { join_open_parcels: true, ..Default::default() }),
                "sourcing.receiver_key: is missing; join_open_parcels needs to know the receiver".into(),
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said, [expected]);
        }
        let long = || "x".repeat(65);
        let ask = v1::Sourcing {
            destination: Some(v1::Destination { region: long(), point: None }),
            service_level: long(),
            order_type: long(),
            buyer_tier: long(),
            policy: long(),
            receiver_key: long(),
            ..Default::default()
        };
        assert_eq!(said(ask).len(), 6);
        assert_eq!(mode(2, "L1"), [""; 0]);
    }

    /// What is said of one line for A.
    fn of_line(location: &str, conditions: Option<v1::LineSourcing>, sourced: bool) -> Vec<String> {
        let mut checks = Checks::default();
        let line = v1::ReserveLine { sku: "A".into(), quantity: 1, location: location.into(), sourcing: conditions };
        lines(&mut checks, vec![line], sourced);
        told(checks)
    }

    #[test]
    fn every_wrong_condition_of_a_line_is_named() {
        let conditions = v1::LineSourcing::default;
        let codes = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>();
        let many = |count: usize| (0..count).map(|number| format!("L{number}")).collect::<Vec<_>>();
        let cases = [
            (
                of_line("L1", None, true),
                "lines[0].location: is set; with sourcing the router decides, and only_locations narrows its choice",
            ),
            (of_line("", Some(conditions()), false), "lines[0].sourcing: is set, and the order has no sourcing"),
            (
                of_line("", Some(v1::LineSourcing { only_locations: many(101), ..conditions() }), true),
                "lines[0].sourcing.only_locations: has 101 entries; 0 to 100 locations are allowed",
            ),
            (
                of_line("", Some(v1::LineSourcing { never_locations: codes(&["L1", "L1"]), ..conditions() }), true),
                "lines[0].sourcing.never_locations[1]: repeats \"L1\" of lines[0].sourcing.never_locations[0]",
            ),
            (
                of_line("", Some(v1::LineSourcing { rather_locations: codes(&["L1", ""]), ..conditions() }), true),
                "lines[0].sourcing.rather_locations[1]: is missing; a code of 1 to 64 bytes is needed",
            ),
            (
                of_line("", Some(v1::LineSourcing { substitutes: many(11), ..conditions() }), true),
                "lines[0].sourcing.substitutes: has 11 entries; 0 to 10 SKUs are allowed",
            ),
            (
                of_line("", Some(v1::LineSourcing { substitutes: codes(&["B", "B"]), ..conditions() }), true),
                "lines[0].sourcing.substitutes[1]: repeats \"B\" of lines[0].sourcing.substitutes[0]",
            ),
            (
                of_line("", Some(v1::LineSourcing { substitutes: codes(&["B", "A"]), ..conditions() }), true),
                "lines[0].sourcing.substitutes[1]: is the line's own SKU",
            ),
            (
                of_line(
                    "",
                    Some(v1::LineSourcing {
                        only_locations: codes(&["L1"]),
                        never_locations: codes(&["L2", "L1"]),
                        ..conditions()
                    }),
                    true,
                ),
                "lines[0].sourcing.never_locations: leaves out all of only_locations",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said, [expected]);
        }
        let full = v1::LineSourcing { only_locations: many(100), substitutes: many(10), ..conditions() };
        assert_eq!(of_line("", Some(full), true), [""; 0]);
        assert_eq!(of_line("L1", None, false), [""; 0]);
    }
}
