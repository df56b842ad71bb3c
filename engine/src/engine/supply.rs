//! Units that are expected, the promises on them, and transfers: the write path.

use quartermaster_journal::Lsn;

use super::{Draft, Engine, Slotted, Verdict};
use crate::{
    command::supply::SupplyCommand,
    decide::{selection::SkuCodes, supply},
    error::Error,
    event::ShardSet,
    id::SkuId,
    supply::home_of,
};

impl Engine {
    /// A document's header lies in the shard of its code, its lines in those of their SKUs: all are locked at once. The lines of an open
    /// document stay the same, but between the look and the lock it may have been closed and its code used again: then it is looked
    /// at once more.
    pub(super) fn supply(
        &self,
        draft: &Draft<'_>,
        command: &SupplyCommand,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let home = home_of(command.code());
        let asked = match command {
            SupplyCommand::Announce(announce) => self.resolve(announce.lines.iter().map(|line| line.sku.as_str()))?,
            SupplyCommand::Ship(ship) => self.resolve(ship.lines.iter().map(|line| line.sku.as_str()))?,
            SupplyCommand::Change(_) | SupplyCommand::Receive(_) | SupplyCommand::Cancel(_) => {
                return self.supply_step(draft, command, slot);
            }
        };
        let mut locked = self.shards.lock(&asked.iter().map(|sku| sku.shard()).chain([home]).collect());
        let decision = supply::decide(&locked, command, &asked, &SkuCodes::default(), draft.now)?;
        self.commit(draft, decision, &mut locked, slot, None)
    }

    fn supply_step(
        &self,
        draft: &Draft<'_>,
        command: &SupplyCommand,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let (code, home) = (command.code(), home_of(command.code()));
        loop {
            let seen = self.shards.read(home).supply.header(code).map(skus_of).unwrap_or_default();
            let codes = SkuCodes::of(&self.catalogue.read(), seen.iter().copied(), &[]);
            let shards: ShardSet = seen.iter().map(|sku| sku.shard()).chain([home]).collect();
            let mut locked = self.shards.lock(&shards);
            if locked.shard(home).supply.header(code).map(skus_of).unwrap_or_default() != seen {
                continue;
            }
            let decision = supply::decide(&locked, command, &[], &codes, draft.now)?;
            return self.commit(draft, decision, &mut locked, slot, None);
        }
    }
}

fn skus_of(header: &crate::supply::InboundHeader) -> Vec<SkuId> {
    header.lines.iter().map(|line| line.sku).collect()
}
