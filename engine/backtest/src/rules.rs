//! Stock rules: the same sets, evaluated on the stock of the other world when the log evaluated them.

use quartermaster_engine::{
    Error,
    command::{Command, rules::RulesCommand},
    event::rules::RulesEvent,
    time::Timestamp,
};
use quartermaster_sourcing::rules::RuleSet;

use crate::world::World;

/// Puts the set, or has it evaluated for the SKU.
pub(crate) fn follow(world: &World, now: Timestamp, event: &RulesEvent) -> Result<(), Error> {
    let command = match event {
        RulesEvent::Put { json, .. } => {
            // What was put was read once; what this version cannot read it could not have recovered either.
            let set = Box::new(RuleSet::read(json).unwrap_or_default());
            RulesCommand::Put { set, expected_version: None }
        }
        RulesEvent::Applied(applied) => RulesCommand::Settle(applied.sku),
    };
    world.submit(&Command::Rules(command), now).map(drop)
}
