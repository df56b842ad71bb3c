//! Changes of stock, taken over as differences.
//!
//! The other world shipped other units, so its cells hold other figures: a difference that would take more than is there takes what is
//! there, and the rest is counted.

use quartermaster_engine::{
    command::{Bucket, CellCode, Command, ImportRow, ImportStock, StockCommand},
    event::CellChange,
    quantity::Quantity,
    time::Timestamp,
};

use crate::world::World;

/// What could not be taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clamped {
    /// Cells whose figure would have passed below zero.
    pub cells: u64,
    /// Units that were not there to take away.
    pub units: u64,
    /// Changes of stock that were refused as a whole.
    pub refused: u64,
}

/// Adds the differences of an event to the cells of the other world.
pub(crate) fn follow(world: &World, now: Timestamp, changes: &[CellChange], reference: &str, clamped: &mut Clamped) {
    let rows: Vec<ImportRow> = changes.iter().map(|change| row(world, change, clamped)).collect();
    let import = ImportStock { rows, reference: reference.to_owned() };
    if world.submit(&Command::Stock(StockCommand::Import(import)), now).is_err() {
        clamped.refused += 1;
    }
}

/// A cell with its differences added.
fn row(world: &World, change: &CellChange, clamped: &mut Clamped) -> ImportRow {
    let buckets = world.engine.cell(change.sku, change.location).buckets;
    let mut missing = 0;
    let mut sum = |bucket: Bucket, delta: i64| {
        let figure = buckets.get(bucket).signed().saturating_add(delta);
        missing += u64::try_from(-figure).unwrap_or(0);
        Quantity::clamp(u64::try_from(figure).unwrap_or(0))
    };
    let row = ImportRow {
        cell: CellCode { sku: world.sku(change.sku), location: world.location(change.location) },
        on_hand: sum(Bucket::OnHand, change.on_hand),
        safety: sum(Bucket::Safety, change.safety),
        quality_control: sum(Bucket::QualityControl, change.quality_control),
        damaged: sum(Bucket::Damaged, change.damaged),
        in_repair: sum(Bucket::InRepair, change.in_repair),
        incoming: sum(Bucket::Incoming, change.incoming),
    };
    clamped.units += missing;
    clamped.cells += u64::from(missing > 0);
    row
}
