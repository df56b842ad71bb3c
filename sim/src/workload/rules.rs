//! Sets of stock rules.

use quartermaster_engine::command::rules::RulesCommand;
use quartermaster_sourcing::rules::{Allot, Keep, Leave, Moment, Percent, Rule, RuleScope, RuleSet};

use super::{CHANNELS, Dice, LOCATIONS, SECOND, SKUS};
use crate::model::Model;

fn percent(dice: &mut Dice) -> Percent {
    Percent(u32::try_from(dice.below(101)).unwrap_or(0) * 1_000)
}

fn rule(dice: &mut Dice, model: &Model, place: usize) -> Rule {
    let moment = |dice: &mut Dice| Moment(model.now.0 + SECOND / 2 * u64::try_from(dice.below(8)).unwrap_or(0));
    let mut rule = Rule { name: format!("rule{place}"), ..Rule::default() };
    if dice.one_in(3) {
        let from = moment(dice);
        rule.from = Some(from);
        rule.until = (dice.below(2) == 0).then(|| Moment(from.0 + SECOND));
    }
    rule.scope = RuleScope {
        skus: if dice.below(2) == 0 { vec![dice.pick(&SKUS[..4]).into()] } else { Vec::new() },
        locations: if dice.below(2) == 0 { vec![dice.pick(&LOCATIONS).into()] } else { Vec::new() },
        ..RuleScope::default()
    };
    let units = (dice.below(2) == 0).then(|| dice.few(4).0);
    let share = units.is_none().then(|| percent(dice));
    let channel = dice.pick(&CHANNELS).to_owned();
    match dice.below(4) {
        0 => {
            let ceiling_percent = dice.one_in(3).then(|| percent(dice));
            let spill_over = dice.below(2) == 0;
            rule.allot = Some(Allot { channel, units, percent: share, formula: None, ceiling_percent, spill_over });
        }
        1 => rule.leave = Some(Leave { channel, units, percent: share, formula: None }),
        _ => rule.keep = Some(Keep { units, percent: share, formula: None }),
    }
    rule
}

pub(super) fn put(dice: &mut Dice, model: &Model) -> RulesCommand {
    let count = dice.below(4);
    let rules = (0..count).map(|place| rule(dice, model, place)).collect();
    let version = model.ruled.version + u32::from(dice.one_in(8));
    let expected_version = (dice.below(2) == 0).then_some(version);
    RulesCommand::Put { set: Box::new(RuleSet { rules, ..RuleSet::default() }), expected_version }
}
