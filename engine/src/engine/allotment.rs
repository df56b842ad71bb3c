//! Units ring-fenced for channels and campaigns: the write path.

use std::sync::Arc;

use quartermaster_journal::Lsn;

use super::{Draft, Engine, Slotted, Verdict};
use crate::{
    allotment::Allotment,
    catalog::{Catalogue, Sku},
    command::allotment::{AllotmentCommand, Goods},
    decide::allotment::{self, ROWS_MAX},
    error::Error,
    event::ShardSet,
    id::{NodeId, ShardId, SkuId},
};

impl Engine {
    pub(super) fn allotment(
        &self,
        draft: &Draft<'_>,
        command: &AllotmentCommand,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let goods = self.allotted(command)?;
        // The directory alone is read where no SKU is: any shard has it.
        let skus = goods.iter().flatten().map(|sku| sku.id.shard());
        let shards: ShardSet = skus.chain(goods.iter().all(Vec::is_empty).then_some(ShardId(0))).collect();
        let mut locked = self.shards.lock(&shards);
        let decision = allotment::change(&locked, command, &goods)?;
        self.commit(draft, decision, &mut locked, slot, None)
    }

    /// The SKUs that each row of a command stands for.
    fn allotted(&self, command: &AllotmentCommand) -> Result<Vec<Vec<Arc<Sku>>>, Error> {
        if let AllotmentCommand::Return(back) = command
            && back.goods.is_empty()
        {
            let node = allotment::node(self.catalogue.read().directory(), &back.node)?;
            let skus = self.skus_allotted_to(node);
            within_limit(skus.len())?;
            let catalogue = self.catalogue.read();
            return Ok(vec![skus.into_iter().map(|sku| Arc::clone(&catalogue.skus()[sku.index()])).collect()]);
        }
        let catalogue = self.catalogue.read();
        let mut found = 0;
        let mut rows = Vec::new();
        for goods in command.goods() {
            let skus = members(&catalogue, goods)?;
            found += skus.len();
            within_limit(found)?;
            rows.push(skus);
        }
        Ok(rows)
    }

    /// The SKUs of which a node has an allotment, by id. Each shard at its own moment.
    fn skus_allotted_to(&self, node: NodeId) -> Vec<SkuId> {
        let mut skus: Vec<SkuId> = Vec::new();
        for shard in ShardId::all() {
            let shard = self.shards.read(shard);
            let own = shard.allotments.iter().filter(|(_, nodes)| nodes.get(&node).is_some_and(Allotment::is_set));
            skus.extend(own.map(|(sku, _)| *sku));
        }
        skus.sort_unstable();
        skus
    }
}

fn within_limit(found: usize) -> Result<(), Error> {
    let wide = |number| u64::try_from(number).unwrap_or(u64::MAX);
    if found > ROWS_MAX { Err(Error::TooManyAllotments { found: wide(found), limit: wide(ROWS_MAX) }) } else { Ok(()) }
}

/// The active SKUs that goods stand for, by id.
fn members(catalogue: &Catalogue, goods: &Goods) -> Result<Vec<Arc<Sku>>, Error> {
    let (kind, code, skus): (_, _, Vec<Arc<Sku>>) = match goods {
        Goods::Sku(code) => {
            let id = catalogue.sku(code).ok_or_else(|| Error::UnknownSku { code: code.clone() })?;
            return Ok(vec![Arc::clone(&catalogue.skus()[id.index()])]);
        }
        Goods::Style(code) => {
            let ids = catalogue.style(code).iter();
            ("style", code, ids.map(|id| Arc::clone(&catalogue.skus()[id.index()])).collect())
        }
        Goods::Category(code) => {
            let own = |sku: &&Arc<Sku>| sku.retired.is_none() && sku.spec.goods.category == *code && !code.is_empty();
            ("category", code, catalogue.skus().iter().filter(own).map(Arc::clone).collect())
        }
    };
    if skus.is_empty() { Err(Error::UnknownGoods { kind, code: code.clone() }) } else { Ok(skus) }
}
