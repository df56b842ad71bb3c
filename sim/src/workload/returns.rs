//! What comes back from buyers, exchanges, and counts.

use quartermaster_engine::{
    command::{
        CellCode, StockReason,
        returns::{
            AnnounceReturn, CountRow, CountStock, ExchangeReturn, InspectLine, InspectReturn, ReceiveReturn,
            ReceiveUnmatched, ReturnedLine, ReturnsCommand,
        },
    },
    event::returns::{Disposition, ReturnKind, ReturnReason},
    id::{LocationId, ReservationId, ReturnId, SkuId},
    quantity::Quantity,
    reservation::State,
};

use super::{Dice, Kind, orders};
use crate::model::Model;

fn kind_of(dice: &mut Dice) -> ReturnKind {
    if dice.one_in(3) { ReturnKind::Undeliverable } else { ReturnKind::Customer }
}

/// Of units that were shipped, mostly those of a reservation that has some.
fn announce(dice: &mut Dice, model: &Model) -> AnnounceReturn {
    let shipped = |id: &ReservationId| model.reservations[id].lines.values().any(|own| own.shipped > own.announced);
    let known: Vec<ReservationId> = model.reservations.keys().copied().filter(shipped).collect();
    let reservation = if known.is_empty() || dice.one_in(8) {
        dice.reservation(model, &[State::Shipped, State::Confirmed])
    } else {
        dice.pick(&known)
    };
    let own: Vec<(SkuId, LocationId)> = model.reservations.get(&reservation).map_or(Vec::new(), |one| {
        one.lines.iter().filter(|(_, own)| own.shipped > 0).map(|(place, _)| *place).collect()
    });
    let (kind, reason) = (kind_of(dice), ReturnReason(u32::try_from(dice.below(3)).unwrap_or(0)));
    let (expected_at, count) = (dice.place(), 1 + dice.below(2));
    let lines = (0..count).map(|_| {
        let quantity = dice.few(3);
        if own.is_empty() || dice.one_in(12) {
            return ReturnedLine { sku: dice.sku(), shipped_from: dice.place(), quantity };
        }
        let (sku, from) = dice.pick(&own);
        let shipped_from = if dice.below(2) == 0 { String::new() } else { model.location_code(from).to_owned() };
        ReturnedLine { sku: model.sku_code(sku).to_owned(), shipped_from, quantity }
    });
    let lines = lines.collect();
    AnnounceReturn { reservation, kind, reason, lines, expected_at, reference: String::new() }
}

/// Mostly one that is open, if there is one.
fn return_id(dice: &mut Dice, model: &Model) -> ReturnId {
    let any = dice.one_in(6);
    let known = model.came_back.iter().filter(|(_, record)| any || record.is_open()).map(|(id, _)| *id);
    let known: Vec<ReturnId> = known.collect();
    if known.is_empty() || dice.one_in(30) { ReturnId(u64::MAX) } else { dice.pick(&known) }
}

fn arrived(dice: &mut Dice, model: &Model, id: Option<ReturnId>) -> Vec<(String, Quantity)> {
    let record = id.and_then(|id| model.came_back.get(&id));
    let known: Vec<SkuId> = record.map_or(Vec::new(), |record| record.lines.keys().map(|(sku, _)| *sku).collect());
    let count = 1 + dice.below(2);
    let one = |dice: &mut Dice| {
        let sku =
            if known.is_empty() || dice.one_in(12) { dice.sku() } else { model.sku_code(dice.pick(&known)).into() };
        (sku, dice.few(3))
    };
    (0..count).map(|_| one(dice)).collect()
}

pub(super) fn change(kind: Kind, dice: &mut Dice, model: &Model) -> ReturnsCommand {
    match kind {
        Kind::AnnounceReturn => ReturnsCommand::Announce(announce(dice, model)),
        Kind::Exchange => {
            let announce = announce(dice, model);
            let mut reserve = orders::reserve(dice, model);
            if let Some(own) = model.reservations.get(&announce.reservation).filter(|_| !dice.one_in(6)) {
                reserve.buyer_id = own.buyer.as_str().into();
            }
            ReturnsCommand::Exchange(Box::new(ExchangeReturn { announce, reserve }))
        }
        Kind::ReceiveReturn => {
            let id = return_id(dice, model);
            let (location, lines) = (dice.location(), arrived(dice, model, Some(id)));
            ReturnsCommand::Receive(ReceiveReturn { id, location, lines, last: dice.one_in(3) })
        }
        Kind::ReceiveUnmatched => ReturnsCommand::ReceiveUnmatched(ReceiveUnmatched {
            kind: kind_of(dice),
            reason: ReturnReason::default(),
            location: dice.location(),
            lines: arrived(dice, model, None),
            reference: String::new(),
        }),
        Kind::Inspect => {
            let id = return_id(dice, model);
            let there = model.came_back.get(&id).map_or(Vec::new(), |record| record.arrivals.keys().copied().collect());
            let count = 1 + dice.below(3);
            let lines = (0..count).map(|_| {
                let (quantity, disposition) = (dice.few(2), dice.pick(&Disposition::ALL));
                if there.is_empty() || dice.one_in(12) {
                    return InspectLine { sku: dice.sku(), location: dice.place(), quantity, disposition };
                }
                let (sku, at) = dice.pick(&there);
                let location = if dice.below(2) == 0 { String::new() } else { model.location_code(at).to_owned() };
                InspectLine { sku: model.sku_code(sku).to_owned(), location, quantity, disposition }
            });
            ReturnsCommand::Inspect(InspectReturn { id, lines: lines.collect() })
        }
        Kind::CancelReturn => ReturnsCommand::Cancel(return_id(dice, model)),
        _ => {
            let location = dice.location();
            let mut rows: Vec<CountRow> = Vec::new();
            for _ in 0..=dice.below(3) {
                let cell = CellCode { sku: dice.sku(), location: location.clone() };
                let reason = StockReason(u32::try_from(dice.below(3)).unwrap_or(0));
                if rows.iter().all(|row| row.cell != cell) {
                    rows.push(CountRow { cell, counted: dice.figure(), reason });
                }
            }
            ReturnsCommand::Count(CountStock { rows, reference: String::new() })
        }
    }
}
