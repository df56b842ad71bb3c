//! Units ring-fenced for channels and campaigns.

use quartermaster_engine::command::allotment::{
    AllotmentCommand, Amount, Goods, MoveAllotments, MoveRow, NodeCode, ReturnAllotments, SetAllotments, SetRow,
    ShiftAllotments, ShiftRow,
};

use super::{CHANNELS, Dice, Kind, SKUS, STYLE};

fn goods(dice: &mut Dice) -> Goods {
    match dice.below(8) {
        6 => Goods::Style(STYLE.into()),
        7 => Goods::Category("outer".into()),
        _ => Goods::Sku(dice.pick(&SKUS).into()),
    }
}

fn node(dice: &mut Dice) -> NodeCode {
    NodeCode { channel: dice.pick(&CHANNELS).into(), campaign: String::new() }
}

pub(super) fn change(kind: Kind, dice: &mut Dice) -> AllotmentCommand {
    let (count, clip) = ([1, 1, 2][dice.below(3)], dice.below(2) == 0);
    match kind {
        Kind::Allot => {
            let rows = (0..count).map(|_| {
                let quota = match dice.below(6) {
                    0 => None,
                    1 => Some(Amount::MilliPercent(u32::try_from(dice.below(100_001)).expect("small"))),
                    _ => Some(Amount::Units(dice.figure())),
                };
                let ceiling = (quota.is_none() || dice.one_in(3)).then(|| dice.units());
                SetRow { goods: goods(dice), node: node(dice), quota, ceiling, spill_over: dice.below(2) == 0 }
            });
            AllotmentCommand::Set(SetAllotments { rows: rows.collect(), clip })
        }
        Kind::ShiftAllotment => {
            let raise = dice.below(2) == 0;
            let rows = (0..count).map(|_| ShiftRow { goods: goods(dice), node: node(dice), units: dice.units() });
            AllotmentCommand::Shift(ShiftAllotments { raise, rows: rows.collect(), clip })
        }
        Kind::MoveAllotment => {
            let rows = (0..count).map(|_| MoveRow {
                goods: goods(dice),
                from: node(dice),
                to: node(dice),
                units: dice.units(),
            });
            AllotmentCommand::Move(MoveAllotments { rows: rows.collect(), clip })
        }
        _ => {
            let goods = (0..dice.below(2)).map(|_| goods(dice)).collect();
            AllotmentCommand::Return(ReturnAllotments { node: node(dice), goods })
        }
    }
}
