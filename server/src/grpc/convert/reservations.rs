//! Reservations as they are shown.

use quartermaster_engine::{
    catalog::Catalogue,
    reservation::{Reservation, State},
};
use quartermaster_proto::v1;

use super::time;

/// A reservation with its codes. The lines keep the SKU codes under which they were made.
pub(crate) fn reservation(catalogue: &Catalogue, reservation: &Reservation) -> v1::Reservation {
    let directory = catalogue.directory();
    let lines = reservation.lines.iter().map(|line| v1::ReservationLine {
        sku: catalogue.sku_code(line.sku).to_owned(),
        location: directory.location_code(line.location).to_owned(),
        open: line.open.signed(),
        shipped: line.shipped.signed(),
        returned_to_stock: line.returned.signed(),
    });
    let channel = reservation.channel.map_or("", |id| directory.channels()[id.index()].spec.code.as_str());
    let sourcing = reservation.sourcing.as_deref();
    v1::Reservation {
        reservation_id: reservation.id.to_string(),
        state: i32::from(state(reservation.state)),
        order_id: reservation.order_id.to_string(),
        buyer_id: reservation.buyer_id.to_string(),
        channel: channel.to_owned(),
        create_time: Some(time::to_wire(reservation.created_at)),
        expire_time: Some(time::to_wire(reservation.expires_at)),
        end_time: reservation.ended_at.map(time::to_wire),
        lines: lines.collect(),
        revision: reservation.revision.get(),
        receiver_key: sourcing.map_or_else(String::new, |sourcing| sourcing.ask.receiver_key.to_string()),
        promise_time: sourcing.and_then(|sourcing| sourcing.promised).map(time::moment),
        merged_with: sourcing.and_then(|sourcing| sourcing.merged_with).map_or_else(String::new, |id| id.to_string()),
    }
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
    }
}
