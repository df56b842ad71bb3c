//! Reservations as they are shown.

use quartermaster_engine::{
    catalog::Catalogue,
    reservation::{Reservation, State},
    time::Timestamp,
};
use quartermaster_proto::v1;

use super::{supply, time, upkeep};

/// A reservation with its codes. The lines keep the SKU codes under which they were made.
pub(crate) fn reservation(catalogue: &Catalogue, reservation: &Reservation) -> v1::Reservation {
    let directory = catalogue.directory();
    let lines = reservation.lines.iter().map(|line| v1::ReservationLine {
        sku: catalogue.sku_code(line.sku).to_owned(),
        location: directory.location_code(line.location).to_owned(),
        open: line.open.signed(),
        shipped: line.shipped.signed(),
        returned_to_stock: line.returned.signed(),
        announced: line.announced.signed(),
    });
    let channel = reservation.channel.map_or("", |id| directory.channels()[id.index()].spec.code.as_str());
    let sourcing = reservation.sourcing.as_deref();
    let kept = reservation.kept.as_deref();
    let campaign = kept.and_then(|kept| kept.campaign).and_then(|id| directory.campaigns().by_id(id));
    let wanted = kept.into_iter().flat_map(|kept| &kept.wanted);
    let wanted_line = |wanted: &quartermaster_engine::terms::Wanted| v1::ReserveLine {
        sku: catalogue.sku_code(wanted.sku).to_owned(),
        quantity: wanted.quantity.signed(),
        location: wanted.location.map_or_else(String::new, |at| directory.location_code(at).to_owned()),
        sourcing: None,
    };
    v1::Reservation {
        reservation_id: reservation.id.to_string(),
        state: i32::from(state(reservation.state)),
        order_id: reservation.order_id.to_string(),
        buyer_id: reservation.buyer_id.to_string(),
        channel: channel.to_owned(),
        create_time: Some(time::to_wire(reservation.created_at)),
        expire_time: expire_time(reservation.expires_at),
        end_time: reservation.ended_at.map(time::to_wire),
        lines: lines.collect(),
        revision: reservation.revision.get(),
        receiver_key: sourcing.map_or_else(String::new, |sourcing| sourcing.ask.receiver_key.to_string()),
        promise_time: sourcing.and_then(|sourcing| sourcing.promised).map(time::moment),
        campaign: campaign.map_or_else(String::new, |campaign| campaign.code.to_string()),
        wanted: wanted.map(wanted_line).collect(),
        place_in_line: 0,
        merged_with: sourcing.and_then(|sourcing| sourcing.merged_with).map_or_else(String::new, |id| id.to_string()),
        kits: reservation.kept.iter().flat_map(|kept| upkeep::kits(catalogue, &kept.kits)).collect(),
        // As they were promised; whoever can ask the engine adds what is expected now.
        presold: reservation.presold.iter().map(|one| supply::presold(catalogue, one)).collect(),
    }
}

/// When a reservation expires; `None` for one that was committed at once and never does.
pub(crate) fn expire_time(at: Timestamp) -> Option<prost_types::Timestamp> {
    (at != Timestamp::MAX).then(|| time::to_wire(at))
}

/// A state as it is told.
pub(crate) fn state(state: State) -> v1::ReservationState {
    match state {
        State::Held => v1::ReservationState::Held,
        State::Confirmed => v1::ReservationState::Confirmed,
        State::Shipped => v1::ReservationState::Shipped,
        State::Released => v1::ReservationState::Released,
        State::Expired => v1::ReservationState::Expired,
        State::Cancelled => v1::ReservationState::Cancelled,
        State::Replaced => v1::ReservationState::Replaced,
        State::Placed => v1::ReservationState::Placed,
        State::Waiting => v1::ReservationState::Waiting,
    }
}
