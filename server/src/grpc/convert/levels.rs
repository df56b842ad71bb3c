//! Stock as it is shown: cells, shortfalls, and the levels after a change.

use quartermaster_engine::{
    Answer, Verdict,
    catalog::Catalogue,
    event::{CellChange, Event},
    query::{Cell, Shortfall},
};
use quartermaster_proto::v1;

use super::answers::{Told, units};
use crate::{
    grpc::{limits, status::ApiError},
    node::Node,
};

/// What a change of stock made of its cells.
#[derive(Debug)]
pub(crate) struct Levels {
    pub(crate) position: v1::Position,
    pub(crate) replayed: bool,
    pub(crate) levels: Vec<v1::StockLevel>,
}

impl Levels {
    /// The figures of the answer's event, with the reservations that its shortfalls hurt now.
    pub(crate) fn of(node: &Node, answer: Answer) -> Result<Self, ApiError> {
        // Asked before the catalogue is locked, which no other call of the engine may follow.
        let hurt: Vec<Vec<String>> = match &answer.verdict {
            Verdict::Done(Event::StockChanged(change)) => {
                change.changes.iter().map(|change| hurt(node, change)).collect()
            }
            Verdict::Done(_) | Verdict::Rejected(_) | Verdict::Nothing => Vec::new(),
        };
        let told = Told::of(node, answer, |catalogue, event| match event {
            Event::StockChanged(change) => {
                let levels = change.changes.iter().zip(hurt);
                Some(levels.map(|(change, hurt)| level(catalogue, change, hurt)).collect())
            }
            _ => None,
        })?;
        let (position, replayed, levels) = told.done()?;
        Ok(Self { position, replayed, levels })
    }
}

/// Reservations that a cell's shortfall hurts now.
pub(crate) fn hurt(node: &Node, change: &CellChange) -> Vec<String> {
    if change.shortfall_after == 0 {
        return Vec::new();
    }
    let hurt = node.engine().hurt(change.sku, change.location, limits::HURT_MAX.size());
    hurt.iter().map(ToString::to_string).collect()
}

/// A cell after a change.
pub(crate) fn level(catalogue: &Catalogue, change: &CellChange, hurt_reservation_ids: Vec<String>) -> v1::StockLevel {
    v1::StockLevel {
        sku: catalogue.sku_code(change.sku).to_owned(),
        location: catalogue.directory().location_code(change.location).to_owned(),
        on_hand: change.on_hand_after.signed(),
        available: change.available_after.signed(),
        shortfall: units(change.shortfall_after),
        hurt_reservation_ids,
    }
}

/// Rows and shortfalls of a part of an import; `None` for any other event.
pub(crate) fn imported(event: &Event) -> Option<i64> {
    match event {
        Event::StockChanged(change) => {
            let short = change.changes.iter().filter(|cell| cell.shortfall_after > 0).count();
            Some(i64::try_from(short).unwrap_or(i64::MAX))
        }
        Event::Summary(summary) => Some(i64::from(summary.shortfalls)),
        _ => None,
    }
}

/// A cell with its codes.
pub(crate) fn cell(catalogue: &Catalogue, cell: &Cell) -> v1::Cell {
    let buckets = &cell.buckets;
    v1::Cell {
        sku: catalogue.sku_code(cell.sku).to_owned(),
        location: catalogue.directory().location_code(cell.location).to_owned(),
        on_hand: buckets.on_hand.signed(),
        reserved: buckets.reserved.signed(),
        committed: buckets.committed.signed(),
        safety: buckets.safety.signed(),
        quality_control: buckets.quality_control.signed(),
        damaged: buckets.damaged.signed(),
        in_repair: buckets.in_repair.signed(),
        incoming: buckets.incoming.signed(),
        available: buckets.available().signed(),
        shortfall: units(buckets.shortfall()),
        revision: cell.revision.get(),
        kept: buckets.kept.signed(),
    }
}

/// A cell in shortfall with whom it hurts.
pub(crate) fn shortfall(catalogue: &Catalogue, shortfall: &Shortfall) -> v1::Shortfall {
    v1::Shortfall {
        cell: Some(cell(catalogue, &shortfall.cell)),
        hurt_reservation_ids: shortfall.hurt.iter().map(ToString::to_string).collect(),
    }
}
