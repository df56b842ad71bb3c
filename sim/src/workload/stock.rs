//! Truth from outside about stock.

use quartermaster_engine::{
    command::{
        AdjustStock, Bucket, CellCode, Condition, ImportRow, ImportStock, MoveStock, ReceiveStock, SetStock,
        StockCommand, StockReason,
    },
    quantity::Quantity,
};

use super::{Dice, Kind};
use crate::model::Model;

const BUCKETS: [Bucket; 6] =
    [Bucket::OnHand, Bucket::Safety, Bucket::QualityControl, Bucket::Damaged, Bucket::InRepair, Bucket::Incoming];
const CONDITIONS: [Condition; 4] =
    [Condition::Sellable, Condition::QualityControl, Condition::Damaged, Condition::InRepair];

pub(super) fn cell(dice: &mut Dice) -> CellCode {
    CellCode { sku: dice.sku(), location: dice.location() }
}

pub(super) fn change(kind: Kind, dice: &mut Dice, model: &Model) -> StockCommand {
    let reason = StockReason(u32::try_from(dice.below(3)).unwrap_or(0));
    let reference = String::new();
    match kind {
        Kind::SetStock => {
            let back = u64::try_from(dice.below(3)).unwrap_or(0);
            let expected_revision = dice.one_in(6).then(|| model.lsn.saturating_sub(back));
            let bucket = if dice.below(2) == 0 { Bucket::OnHand } else { dice.pick(&BUCKETS) };
            let (cell, quantity) = (cell(dice), dice.figure());
            StockCommand::Set(SetStock { cell, bucket, quantity, expected_revision, reason, reference })
        }
        Kind::AdjustStock => {
            let units = dice.units().signed();
            let delta = match dice.below(24) {
                23 => i64::MAX,
                22 => i64::MIN,
                0..=8 => -units,
                _ => units,
            };
            let bucket = if dice.below(2) == 0 { Bucket::OnHand } else { dice.pick(&BUCKETS) };
            StockCommand::Adjust(AdjustStock { cell: cell(dice), bucket, delta, reason, reference })
        }
        Kind::ReceiveStock => {
            let from_incoming = dice.below(3) == 0;
            let count = 1 + dice.below(3);
            let receipts = (0..count).map(|_| (cell(dice), dice.units())).collect();
            StockCommand::Receive(ReceiveStock { receipts, from_incoming, reason, reference })
        }
        Kind::MoveStock => {
            let from = dice.below(4);
            let to = (from + 1 + dice.below(3)) % 4;
            let (cell, quantity) = (cell(dice), dice.units());
            let (from, to) = (CONDITIONS[from], CONDITIONS[to]);
            StockCommand::Move(MoveStock { cell, from, to, quantity, reason, reference })
        }
        _ => {
            let mut rows: Vec<ImportRow> = Vec::new();
            for _ in 0..=dice.below(3) {
                let cell = cell(dice);
                if rows.iter().all(|row| row.cell != cell) {
                    rows.push(ImportRow {
                        cell,
                        on_hand: dice.figure(),
                        safety: Quantity(u32::try_from(dice.below(2)).unwrap_or(0)),
                        quality_control: Quantity(u32::try_from(dice.below(2)).unwrap_or(0)),
                        damaged: Quantity(0),
                        in_repair: Quantity(0),
                        incoming: dice.figure(),
                    });
                }
            }
            StockCommand::Import(ImportStock { rows, reference })
        }
    }
}
