//! Freezes, thaws and repairs.

use quartermaster_engine::{
    command::upkeep::{Freeze, Repair, RepairMode, RepairPriority, Target, Thaw, UpkeepCommand, Which},
    upkeep::{FreezeReason, Frozen},
};

use super::{Dice, Kind};
use crate::model::Model;

fn target(dice: &mut Dice) -> Target {
    match dice.below(4) {
        0 => Target { sku: dice.sku(), location: String::new() },
        1 => Target { sku: String::new(), location: dice.location() },
        _ => Target { sku: dice.sku(), location: dice.location() },
    }
}

pub(super) fn change(kind: Kind, dice: &mut Dice, model: &Model) -> UpkeepCommand {
    match kind {
        Kind::Freeze => {
            let reason = dice.pick(&FreezeReason::ALL);
            UpkeepCommand::Freeze(Freeze { target: target(dice), reason, reference: String::new() })
        }
        Kind::Thaw => {
            let standing: Vec<Frozen> = model.freezes.keys().copied().collect();
            if standing.is_empty() || dice.one_in(8) {
                return UpkeepCommand::Thaw(Thaw { target: target(dice), which: Which::All });
            }
            let frozen = dice.pick(&standing);
            let sku = frozen.sku().map_or_else(String::new, |sku| model.sku_code(sku).to_owned());
            let location = frozen.location().map_or_else(String::new, |at| model.location_code(at).to_owned());
            let (first, reason) = model.freezes[&frozen].first_key_value().map(|(id, why)| (*id, *why)).expect("one");
            let which = dice.pick(&[Which::All, Which::All, Which::Id(first), Which::Reason(reason)]);
            UpkeepCommand::Thaw(Thaw { target: Target { sku, location }, which })
        }
        _ => {
            let any = |dice: &mut Dice, code: fn(&mut Dice) -> String| {
                if dice.one_in(3) { code(dice) } else { String::new() }
            };
            let (sku, location) = (any(dice, Dice::sku), any(dice, Dice::location));
            let all = [RepairPriority::UnpaidFirst, RepairPriority::NewestFirst, RepairPriority::OldestFirst];
            let priority = (0..dice.below(3)).map(|_| dice.pick(&all)).collect();
            let mode = dice.pick(&[RepairMode::RerouteThenCancel, RepairMode::RerouteOnly, RepairMode::CancelOnly]);
            UpkeepCommand::Repair(Repair { sku, location, priority, mode })
        }
    }
}
