//! Requests about reservations, to commands.

use quartermaster_engine::{
    command::{Command, LineSelection, Presale, Reassign, Request, Reserve, Step},
    id::ReservationId,
    quantity::Quantity,
    query::ReservationFilter,
    reservation::State,
    time::Micros,
};
use quartermaster_proto::v1;

use super::{campaign, checks::Checks, page::Pages, sourcing, supply, time};
use crate::grpc::{limits, status::ApiError};

type Change = Result<(Request, Command), ApiError>;

/// A Reserve.
pub(crate) fn reserve(message: v1::ReserveRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let order_id = checks.text("order_id", message.order_id, &limits::REFERENCE_BYTES_MAX);
    let buyer_id = checks.text("buyer_id", message.buyer_id, &limits::REFERENCE_BYTES_MAX);
    let channel = checks.optional_code("channel", message.channel);
    let lines = if checks.length("lines", message.lines.len(), 1, &limits::LINES_MAX) {
        sourcing::lines(&mut checks, message.lines, message.sourcing.is_some())
    } else {
        Vec::new()
    };
    let skus = lines.iter().filter(|line| lines.first().is_none_or(|first| first.sku != line.sku)).count();
    let ttl = checks.ttl("ttl", message.ttl.as_ref());
    let replaces = (!message.replaces_reservation_id.is_empty())
        .then(|| checks.reservation_id("replaces_reservation_id", &message.replaces_reservation_id));
    if replaces.is_some() && buyer_id.is_empty() {
        checks.refuse("buyer_id", "is missing; the buyer of the hold that is replaced is needed");
    }
    let presale = supply::presale(&mut checks, message.presale, message.sourcing.is_some());
    let sourcing = message.sourcing.map(|ask| Box::new(sourcing::sourcing(&mut checks, ask)));
    let reserve = Reserve {
        order_id: order_id.into(),
        buyer_id: buyer_id.into(),
        channel: channel.into(),
        lines: lines.into(),
        // 0: as its channel says, else the default.
        ttl: ttl.unwrap_or(Micros(0)),
        allow_partial: message.allow_partial,
        replaces,
        unchanged_since_lsn: message.unchanged_since_lsn,
        sourcing,
        asked: {
            let mut asked = campaign::asked(&mut checks, message.campaign, message.wait, skus);
            if presale != Presale::No {
                asked.get_or_insert_default().presale = presale;
            }
            asked
        },
    };
    checks.finish((request, Command::Reserve(reserve)))
}

/// A Confirm.
pub(crate) fn confirm(message: v1::ConfirmRequest) -> Change {
    step(message.request_id, &message.reservation_id, |_| Step::Confirm)
}

/// A Release.
pub(crate) fn release(message: v1::ReleaseRequest) -> Change {
    step(message.request_id, &message.reservation_id, |_| Step::Release)
}

/// A Cancel.
pub(crate) fn cancel(message: v1::CancelRequest) -> Change {
    step(message.request_id, &message.reservation_id, |checks| Step::Cancel(selections(checks, message.lines)))
}

/// An Extend.
pub(crate) fn extend(message: v1::ExtendRequest) -> Change {
    step(message.request_id, &message.reservation_id, |checks| {
        if message.ttl.is_none() {
            checks.refuse("ttl", "is missing; a new time to live is needed, counted from now");
        }
        Step::Extend(checks.ttl("ttl", message.ttl.as_ref()).unwrap_or_default())
    })
}

/// A Ship.
pub(crate) fn ship(message: v1::ShipRequest) -> Change {
    step(message.request_id, &message.reservation_id, |checks| Step::Ship(selections(checks, message.lines)))
}

/// A Reassign.
pub(crate) fn reassign(message: v1::ReassignRequest) -> Change {
    step(message.request_id, &message.reservation_id, |checks| {
        Step::Reassign(Reassign {
            sku: checks.code("sku", message.sku),
            from: checks.code("from_location", message.from_location),
            to: checks.optional_code("to_location", message.to_location),
            quantity: checks.quantity_or_all("quantity", message.quantity),
            refused: message.refused,
        })
    })
}

fn step(request_id: String, reservation_id: &str, step: impl FnOnce(&mut Checks) -> Step) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(request_id);
    let id = checks.reservation_id("reservation_id", reservation_id);
    let step = step(&mut checks);
    checks.finish((request, Command::Reservation(id, step)))
}

fn selections(checks: &mut Checks, lines: Vec<v1::LineQuantity>) -> Vec<LineSelection> {
    if !checks.length("lines", lines.len(), 0, &limits::LINES_MAX) {
        return Vec::new();
    }
    let lines = lines.into_iter().enumerate().map(|(place, line)| LineSelection {
        sku: checks.code(format_args!("lines[{place}].sku"), line.sku),
        location: checks.optional_code(format_args!("lines[{place}].location"), line.location),
        quantity: quantity_or_all(checks, place, line.quantity),
    });
    lines.collect()
}

fn quantity_or_all(checks: &mut Checks, place: usize, units: i64) -> Option<Quantity> {
    checks.quantity_or_all(format_args!("lines[{place}].quantity"), units)
}

/// The id of a GetReservation.
pub(crate) fn get(message: &v1::GetReservationRequest) -> Result<ReservationId, ApiError> {
    let mut checks = Checks::default();
    let id = checks.reservation_id("reservation_id", &message.reservation_id);
    checks.finish(id)
}

/// The id of a GetOutcome.
pub(crate) fn outcome(message: v1::GetOutcomeRequest) -> Result<String, ApiError> {
    let mut checks = Checks::default();
    let id = checks.request(message.request_id).id.into();
    checks.finish(id)
}

/// A page of reservations that is asked for.
#[derive(Debug)]
pub(crate) struct ReservationPage {
    pub(crate) filter: ReservationFilter,
    pub(crate) after: Option<ReservationId>,
    pub(crate) size: usize,
    pub(crate) pages: Pages,
}

/// A ListReservations.
pub(crate) fn list(message: v1::ListReservationsRequest) -> Result<ReservationPage, ApiError> {
    let mut checks = Checks::default();
    let buyer_id = checks.text("buyer_id", message.buyer_id, &limits::REFERENCE_BYTES_MAX);
    let state = state(&mut checks, message.state);
    let before = message.expire_before.map(|before| time::not_before(&mut checks, "expire_before", &before));
    let size = checks.page_size(message.page_size, 100, &limits::RESERVATIONS_PAGE_MAX);
    let horizon = before.map_or([0; 9], |before| {
        let mut bytes = [1; 9];
        bytes[1..].copy_from_slice(&before.0.to_le_bytes());
        bytes
    });
    let pages = Pages::of("reservations", &[buyer_id.as_bytes(), &message.state.to_le_bytes(), &horizon]);
    let after = pages.after(&mut checks, &message.page_token).map(ReservationId);
    let filter = ReservationFilter { buyer_id, state, expires_before: before };
    checks.finish(ReservationPage { filter, after, size, pages })
}

fn state(checks: &mut Checks, number: i32) -> Option<State> {
    use v1::ReservationState as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Unspecified) => None,
        Ok(Wire::Held) => Some(State::Held),
        Ok(Wire::Confirmed) => Some(State::Confirmed),
        Ok(Wire::Shipped) => Some(State::Shipped),
        Ok(Wire::Released) => Some(State::Released),
        Ok(Wire::Expired) => Some(State::Expired),
        Ok(Wire::Cancelled) => Some(State::Cancelled),
        Ok(Wire::Replaced) => Some(State::Replaced),
        Ok(Wire::Placed) => Some(State::Placed),
        Ok(Wire::Waiting) => Some(State::Waiting),
        Err(_) => {
            checks.refuse("state", format_args!("is {number}; no ReservationState has this number"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Duration;
    use quartermaster_engine::{command::ReserveLine, time::Timestamp};

    use super::*;
    use quartermaster_engine::command::HOLD_TTL_DEFAULT;

    fn line(sku: &str, quantity: i64, location: &str) -> v1::ReserveLine {
        v1::ReserveLine { sku: sku.into(), quantity, location: location.into(), sourcing: None }
    }

    fn message() -> v1::ReserveRequest {
        v1::ReserveRequest { request_id: "r1".into(), lines: vec![line("A", 2, "L1")], ..Default::default() }
    }

    fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>) -> Vec<String> {
        let violations = result.unwrap_err().violations();
        violations.into_iter().map(|wrong| format!("{}: {}", wrong.field, wrong.problem)).collect()
    }

    #[test]
    fn a_reserve_is_carried_over() {
        let message = v1::ReserveRequest {
            order_id: "o1".into(),
            buyer_id: "b1".into(),
            channel: "app".into(),
            ttl: Some(Duration { seconds: 60, nanos: 0 }),
            allow_partial: true,
            replaces_reservation_id: "0000000000100".into(),
            unchanged_since_lsn: 9,
            ..message()
        };
        let (request, command) = reserve(message).unwrap();
        assert_eq!(request, Request { id: "r1".into(), actor: String::new() });
        let expected = Reserve {
            order_id: "o1".into(),
            buyer_id: "b1".into(),
            channel: "app".into(),
            lines: vec![ReserveLine { sku: "A".into(), quantity: Quantity(2), location: "L1".into(), sourcing: None }]
                .into(),
            ttl: Micros::from_secs(60),
            allow_partial: true,
            replaces: Some(ReservationId(1_024)),
            unchanged_since_lsn: 9,
            sourcing: None,
            asked: None,
        };
        assert_eq!(command, Command::Reserve(expected));
    }

    #[test]
    fn a_hold_lasts_as_its_channel_says_unless_told_otherwise() {
        let (_, Command::Reserve(reserve)) = reserve(message()).unwrap() else { panic!("not a reserve") };
        assert_eq!((reserve.ttl, reserve.replaces), (Micros(0), None));
        assert_eq!(limits::TTL_SECONDS_DEFAULT.get() * 1_000_000, HOLD_TTL_DEFAULT.0);
    }

    #[test]
    fn every_wrong_field_of_a_reserve_is_named() {
        let message = v1::ReserveRequest {
            request_id: String::new(),
            order_id: "o".repeat(65),
            channel: "\n".into(),
            lines: vec![line("A", 1, ""), line("", 0, "L\u{0}")],
            ttl: Some(Duration { seconds: 0, nanos: 0 }),
            replaces_reservation_id: "earlier".into(),
            ..Default::default()
        };
        let expected = [
            "request_id: is missing; 1 to 64 bytes are needed",
            "order_id: has 65 bytes; at most 64 are allowed",
            "channel: has a control character at position 0; codes have none",
            "lines[1].sku: is missing; a code of 1 to 64 bytes is needed",
            "lines[1].quantity: is 0; 1 to 4,294,967,295 are allowed",
            "lines[1].location: has a control character at position 1; codes have none",
            "ttl: is 0.000000000 s; 1 s to 2,592,000 s (30 days) are allowed",
            "replaces_reservation_id: is no reservation id; the 13 characters that Reserve gave are needed",
            "buyer_id: is missing; the buyer of the hold that is replaced is needed",
        ];
        assert_eq!(refused(reserve(message)), expected);
    }

    #[test]
    fn orders_have_from_one_to_two_thousand_lines() {
        let with = |count| reserve(v1::ReserveRequest { lines: vec![line("A", 1, ""); count], ..message() });
        assert!(with(2_000).is_ok());
        assert_eq!(refused(with(0)), ["lines: has 0 entries; 1 to 2,000 lines are allowed"]);
        assert_eq!(refused(with(2_001)), ["lines: has 2001 entries; 1 to 2,000 lines are allowed"]);
    }

    #[test]
    fn steps_name_their_reservation() {
        let id = "0000000000100".to_owned();
        let message = v1::ConfirmRequest { request_id: "c".into(), reservation_id: id.clone() };
        let (_, command) = confirm(message).unwrap();
        assert_eq!(command, Command::Reservation(ReservationId(1_024), Step::Confirm));
        let message = v1::ReleaseRequest { request_id: "c".into(), reservation_id: "x".into() };
        assert_eq!(refused(release(message)).len(), 1);
        let message = v1::ExtendRequest { request_id: "e".into(), reservation_id: id.clone(), ttl: None };
        assert_eq!(refused(extend(message)), ["ttl: is missing; a new time to live is needed, counted from now"]);

        let lines = vec![
            v1::LineQuantity { sku: "A".into(), location: String::new(), quantity: 0 },
            v1::LineQuantity { sku: "B".into(), location: "L".into(), quantity: 3 },
        ];
        let message = v1::ShipRequest { request_id: "s".into(), reservation_id: id.clone(), lines: lines.clone() };
        let (_, command) = ship(message).unwrap();
        let selection = |sku: &str, location: &str, quantity| LineSelection {
            sku: sku.into(),
            location: location.into(),
            quantity,
        };
        let expected = vec![selection("A", "", None), selection("B", "L", Some(Quantity(3)))];
        assert_eq!(command, Command::Reservation(ReservationId(1_024), Step::Ship(expected)));

        let wrong = v1::LineQuantity { sku: String::new(), location: "L".repeat(65), quantity: -1 };
        let message = v1::CancelRequest { request_id: "c".into(), reservation_id: id.clone(), lines: vec![wrong] };
        let expected = [
            "lines[0].sku: is missing; a code of 1 to 64 bytes is needed",
            "lines[0].location: has 65 bytes; at most 64 are allowed",
            "lines[0].quantity: is -1; 0 to 4,294,967,295 are allowed",
        ];
        assert_eq!(refused(cancel(message)), expected);

        let message = v1::ReassignRequest { request_id: "m".into(), reservation_id: id, ..Default::default() };
        let expected = [
            "sku: is missing; a code of 1 to 64 bytes is needed",
            "from_location: is missing; a code of 1 to 64 bytes is needed",
        ];
        assert_eq!(refused(reassign(message)), expected);
    }

    #[test]
    fn pages_of_reservations_are_bound_to_their_filter() {
        let message = v1::ListReservationsRequest {
            buyer_id: "b".into(),
            state: i32::from(v1::ReservationState::Held),
            expire_before: Some(prost_types::Timestamp { seconds: 5, nanos: 0 }),
            ..Default::default()
        };
        let page = list(message.clone()).unwrap();
        assert_eq!((page.filter.state, page.size, page.after), (Some(State::Held), 100, None));
        assert_eq!(page.filter.expires_before, Some(Timestamp(5_000_000)));
        let page_token = page.pages.token(77);
        let next = list(v1::ListReservationsRequest { page_token: page_token.clone(), ..message.clone() }).unwrap();
        assert_eq!(next.after, Some(ReservationId(77)));
        assert_eq!(refused(list(v1::ListReservationsRequest { page_token, ..Default::default() })).len(), 1);
        let wrong = list(v1::ListReservationsRequest { state: 77, ..message });
        assert_eq!(refused(wrong), ["state: is 77; no ReservationState has this number"]);
    }
}
