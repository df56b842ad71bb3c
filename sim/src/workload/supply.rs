//! What is expected, transfers, and orders that take it ahead.

use quartermaster_engine::{
    command::{
        Asked, Presale, Reserve, StockReason,
        supply::{
            AnnounceInbound, ArrivedLine, ChangeInbound, ExpectedLine, LineChange, ReceiveInbound, ShipTransfer,
            SupplyCommand,
        },
    },
    event::supply::InboundKind,
    quantity::Quantity,
    time::{Micros, Timestamp},
};

use super::{Dice, Kind, LOCATIONS, SECOND, SKUS, orders};
use crate::model::Model;

const CODES: [&str; 5] = ["PO1", "PO2", "TR1", "TR2", "RT1"];

fn eta(dice: &mut Dice, now: Timestamp) -> Timestamp {
    if dice.one_in(16) {
        return now.minus(Micros(1));
    }
    now.plus(Micros(SECOND / 2 * u64::try_from(dice.below(10)).unwrap_or(0)))
}

fn expected(dice: &mut Dice) -> Vec<ExpectedLine> {
    let mut lines: Vec<ExpectedLine> = Vec::new();
    for _ in 0..=dice.below(2) {
        let sku = if dice.one_in(16) { dice.sku() } else { dice.pick(&SKUS[..4]).to_owned() };
        if lines.iter().all(|line| line.sku != sku) {
            lines.push(ExpectedLine {
                sku,
                quantity: dice.units(),
                cap: dice.one_in(3).then(|| dice.figure()),
                confidence: [None, Some(100), Some(50), Some(0)][dice.below(4)],
            });
        }
    }
    lines
}

/// Mostly one that is open, if there is one.
fn code(dice: &mut Dice, model: &Model) -> String {
    let open = model.expected.documents.iter().filter(|(_, one)| one.state.is_open()).map(|(code, _)| code.clone());
    let open: Vec<String> = open.collect();
    if open.is_empty() || dice.one_in(8) { dice.pick(&CODES).into() } else { dice.pick(&open) }
}

fn fresh(dice: &mut Dice, model: &Model) -> String {
    let closed =
        CODES.iter().filter(|code| model.expected.documents.get(**code).is_none_or(|one| !one.state.is_open()));
    let closed: Vec<&str> = closed.copied().collect();
    if closed.is_empty() || dice.one_in(12) { dice.pick(&CODES).into() } else { dice.pick(&closed).into() }
}

/// A SKU of a document, mostly.
fn line(dice: &mut Dice, model: &Model, code: &str) -> String {
    let known = model.expected.documents.get(code).map_or(&[][..], |one| &one.lines);
    if known.is_empty() || dice.one_in(12) {
        return dice.sku();
    }
    model.sku_code(model.expected.supplies[&dice.pick(known)].sku).to_owned()
}

pub(super) fn change(kind: Kind, dice: &mut Dice, model: &Model) -> SupplyCommand {
    match kind {
        Kind::Announce => SupplyCommand::Announce(AnnounceInbound {
            code: fresh(dice, model),
            kind: dice.pick(&[InboundKind::Purchase, InboundKind::Purchase, InboundKind::Return]),
            location: dice.location(),
            eta: eta(dice, model.now),
            lines: expected(dice),
            reference: String::new(),
        }),
        Kind::Transfer => {
            let (from, to) = (dice.pick(&LOCATIONS).into(), dice.location());
            let mut lines = expected(dice);
            lines.iter_mut().for_each(|line| line.quantity = dice.few(3));
            let (code, eta) = (fresh(dice, model), eta(dice, model.now));
            SupplyCommand::Ship(ShipTransfer { code, from, to, eta, lines, reference: String::new() })
        }
        Kind::ChangeInbound => {
            let code = code(dice, model);
            let mut lines: Vec<LineChange> = Vec::new();
            for _ in 0..dice.below(3) {
                let sku = line(dice, model, &code);
                if lines.iter().all(|line| line.sku != sku) {
                    lines.push(LineChange {
                        sku,
                        quantity: (dice.below(2) == 0).then(|| dice.units()),
                        cap: dice.one_in(4).then(|| (dice.below(2) == 0).then(|| dice.figure())),
                        confidence: [None, None, Some(100), Some(50), Some(0)][dice.below(5)],
                        cancel: dice.one_in(6),
                    });
                }
            }
            let eta = (lines.is_empty() || dice.one_in(3)).then(|| eta(dice, model.now));
            SupplyCommand::Change(ChangeInbound { code, eta, lines })
        }
        Kind::ReceiveInbound => {
            let code = code(dice, model);
            let mut lines: Vec<ArrivedLine> = Vec::new();
            for _ in 0..=dice.below(2) {
                let sku = line(dice, model, &code);
                if lines.iter().all(|line| line.sku != sku) {
                    let reason = StockReason(u32::try_from(dice.below(2)).unwrap_or(0));
                    let quantity = match dice.below(6) {
                        0 => Quantity::ZERO,
                        1..3 => dice.units(),
                        _ => dice.few(2),
                    };
                    lines.push(ArrivedLine { sku, quantity, reason });
                }
            }
            let (is_final, reason) = (dice.one_in(4), StockReason::default());
            SupplyCommand::Receive(ReceiveInbound { code, lines, is_final, reason, reference: String::new() })
        }
        _ => SupplyCommand::Cancel(code(dice, model)),
    }
}

/// An order that may take what is expected.
pub(super) fn order(dice: &mut Dice, model: &Model) -> Reserve {
    let mut order = orders::reserve(dice, model);
    let by = dice.one_in(3).then(|| eta(dice, model.now));
    let presale = if dice.below(2) == 0 { Presale::Only { by } } else { Presale::StockFirst { by } };
    order.asked = Some(Box::new(Asked { presale, ..Asked::default() }));
    order.unchanged_since_lsn = 0;
    for line in &mut order.lines {
        let expected: Vec<_> = model.expected.supplies.values().filter(|one| one.open).map(|one| one.sku).collect();
        if !expected.is_empty() && !dice.one_in(6) {
            line.sku = model.sku_code(dice.pick(&expected)).into();
        }
    }
    order
}
