//! Orders, and what becomes of them.

use quartermaster_engine::{
    command::{Command, LineSelection, LineSourcing, Merge, Reassign, Reserve, ReserveLine, SourcingRequest, Step},
    id::ReservationId,
    quantity::Quantity,
    reservation::State,
    time::Micros,
};
use quartermaster_sourcing::fulfilment::Mode;

use super::{BUYERS, CHANNELS, Dice, Kind};
use crate::model::Model;

const HELD: [State; 3] = [State::Held, State::Placed, State::Waiting];
const OPEN: [State; 2] = [State::Held, State::Confirmed];

pub(super) fn order(kind: Kind, dice: &mut Dice, model: &Model) -> Command {
    match kind {
        Kind::Replace => {
            let id = dice.reservation(model, &HELD);
            let buyer = model.reservations.get(&id).map(|earlier| earlier.buyer.clone());
            let mut order = reserve(dice, model);
            order.replaces = Some(id);
            if let Some(buyer) = buyer.filter(|_| !dice.one_in(8)) {
                order.buyer_id = buyer.into();
            }
            Command::Reserve(order)
        }
        Kind::Routed => routed(dice, model),
        Kind::Merge => {
            let receiver_key = dice.pick(&["", "home", "home"]).into();
            let count = if dice.one_in(3) { 1 + dice.below(3) } else { 0 };
            let reservations = (0..count).map(|_| dice.reservation(model, &OPEN)).collect();
            Command::Merge(Merge { buyer_id: dice.pick(&BUYERS).into(), receiver_key, reservations })
        }
        _ => Command::Reserve(reserve(dice, model)),
    }
}

pub(super) fn reserve(dice: &mut Dice, model: &Model) -> Reserve {
    let buyer_id = dice.buyer();
    let channel = match dice.below(24) {
        0..=3 => "",
        4..=22 => dice.pick(&CHANNELS),
        _ => "?",
    };
    let ttl = match dice.below(6) {
        0 => Micros(0),
        1 => dice.span(),
        _ => Micros(8 * dice.span().0),
    };
    let allow_partial = dice.below(3) == 0;
    let since = if dice.one_in(12) { model.lsn.saturating_sub(u64::try_from(dice.below(4)).unwrap_or(0)) } else { 0 };
    let count = [1, 1, 1, 2, 3][dice.below(5)];
    let lines = (0..count)
        .map(|_| ReserveLine {
            sku: dice.sku().into(),
            quantity: dice.units(),
            location: dice.place().into(),
            sourcing: None,
        })
        .collect();
    Reserve {
        order_id: format!("order{}", dice.below(3)).into(),
        buyer_id: buyer_id.into(),
        channel: channel.into(),
        lines,
        ttl,
        allow_partial,
        replaces: None,
        unchanged_since_lsn: since,
        sourcing: None,
        asked: None,
    }
}

/// An order for the router to decide.
fn routed(dice: &mut Dice, model: &Model) -> Command {
    let mut order = reserve(dice, model);
    order.unchanged_since_lsn = 0;
    if dice.one_in(6) {
        order.replaces = Some(dice.reservation(model, &HELD));
    }
    for line in &mut order.lines {
        line.location = "".into();
        let mut places = |chance| if dice.one_in(chance) { vec![dice.location()] } else { Vec::new() };
        let (only, never, rather) = (places(6), places(5), places(4));
        let substitutes = if dice.one_in(4) { vec![dice.sku()] } else { Vec::new() };
        let conditions = LineSourcing { whole: dice.one_in(5), only, never, rather, substitutes };
        line.sourcing = (dice.below(3) == 0).then(|| Box::new(conditions));
    }
    let pickup = dice.one_in(8);
    order.sourcing = Some(Box::new(SourcingRequest {
        mode: if pickup { Mode::Pickup } else { Mode::Ship },
        pickup_location: if pickup { dice.location() } else { String::new() },
        parcels_max: dice.one_in(6).then_some(1),
        receiver_key: dice.pick(&["", "home", "home"]).into(),
        join_open_parcels: dice.below(2) == 0,
        ..SourcingRequest::default()
    }));
    Command::Reserve(order)
}

pub(super) fn step(kind: Kind, dice: &mut Dice, model: &Model) -> Command {
    let states: &[State] = match kind {
        Kind::Confirm => &[State::Held, State::Placed],
        Kind::Extend | Kind::Expire => &[State::Held, State::Placed],
        Kind::Release => &[State::Held, State::Placed, State::Waiting],
        Kind::Cancel => &[State::Held, State::Confirmed, State::Placed, State::Waiting],
        Kind::Ship => &[State::Confirmed],
        _ => &OPEN,
    };
    let id = dice.reservation(model, states);
    let step = match kind {
        Kind::Confirm => Step::Confirm,
        Kind::Release => Step::Release,
        Kind::Extend => Step::Extend(dice.span()),
        Kind::Expire => Step::Expire,
        Kind::Cancel => Step::Cancel(selections(dice, model, id)),
        Kind::Ship => Step::Ship(selections(dice, model, id)),
        _ => {
            let LineSelection { sku, location, quantity } = selection(dice, model, id);
            let refused = kind == Kind::Refuse;
            let to = if refused && dice.below(4) > 0 { String::new() } else { dice.place() };
            Step::Reassign(Reassign { sku, from: location, to, quantity, refused })
        }
    };
    Command::Reservation(id, step)
}

fn selections(dice: &mut Dice, model: &Model, id: ReservationId) -> Vec<LineSelection> {
    let count = dice.below(3);
    (0..count).map(|_| selection(dice, model, id)).collect()
}

/// Mostly of a line that the reservation has.
fn selection(dice: &mut Dice, model: &Model, id: ReservationId) -> LineSelection {
    let open: Vec<_> = model.reservations.get(&id).map(|one| one.open().into_keys().collect()).unwrap_or_default();
    let quantity = (dice.below(2) == 0).then(|| dice.few(3));
    if open.is_empty() || dice.one_in(6) {
        return LineSelection { sku: dice.sku(), location: dice.place(), quantity };
    }
    let (sku, location) = dice.pick(&open);
    let location = if dice.below(2) == 0 { String::new() } else { model.location_code(location).to_owned() };
    LineSelection {
        sku: model.sku_code(sku).to_owned(),
        location,
        quantity: quantity.filter(|one| *one > Quantity::ZERO),
    }
}
