//! Units that come back from buyers: the write path.

use quartermaster_journal::Lsn;

use super::{Draft, Engine, Locked, Slotted, Verdict};
use crate::{
    command::returns::{ExchangeReturn, ReturnsCommand},
    decide::{
        kits::{self, Kits},
        reserve, returns,
        selection::SkuCodes,
    },
    error::Error,
    event::ShardSet,
    id::{ReturnId, ShardId, SkuId},
    route,
};

impl Engine {
    pub(super) fn returns(
        &self,
        draft: &Draft<'_>,
        command: &ReturnsCommand,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let (decision, mut locked) = match command {
            ReturnsCommand::Announce(request) => {
                let codes = self.codes_of(request.reservation)?;
                let locked = self.lock_reservation(request.reservation)?;
                let id = self.next_return(request.reservation.home());
                (returns::announce(&locked, &codes, request, id)?, locked)
            }
            ReturnsCommand::Exchange(exchange) => return self.exchange(draft, exchange, slot),
            ReturnsCommand::Receive(request) => {
                let (codes, locked) = self.lock_return(request.id)?;
                (returns::receive(&locked, &codes, request)?, locked)
            }
            ReturnsCommand::ReceiveUnmatched(request) => {
                let skus = self.resolve(request.lines.iter().map(|(sku, _)| sku.as_str()))?;
                let locked = self.shards.lock(&skus.iter().map(|sku| sku.shard()).collect());
                let id = self.next_return(skus.first().map_or(ShardId(0), |sku| sku.shard()));
                (returns::receive_unmatched(&locked, request, &skus, id)?, locked)
            }
            ReturnsCommand::Inspect(request) => {
                let (codes, locked) = self.lock_return(request.id)?;
                (returns::inspect(&locked, &codes, request)?, locked)
            }
            ReturnsCommand::Cancel(id) => {
                let (_, locked) = self.lock_return(*id)?;
                (returns::cancel(&locked, *id)?, locked)
            }
            ReturnsCommand::Count(request) => {
                let skus = self.resolve(request.rows.iter().map(|row| row.cell.sku.as_str()))?;
                let locked = self.shards.lock(&skus.iter().map(|sku| sku.shard()).collect());
                (returns::count(&locked, request, &skus)?, locked)
            }
        };
        self.commit(draft, decision, &mut locked, slot, None)
    }

    /// A return and a hold in one step. The hold is decided as any other; only when it is granted the return is.
    fn exchange(
        &self,
        draft: &Draft<'_>,
        request: &ExchangeReturn,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let (announce, order) = (&request.announce, &request.reserve);
        let codes = self.codes_of(announce.reservation)?;
        let mut shards = self.shards_of(announce.reservation)?;
        if let Some(earlier) = order.replaces {
            self.shards_of(earlier)?.iter().for_each(|shard| shards.insert(shard));
        }
        let returned = self.next_return(announce.reservation.home());
        match &order.sourcing {
            None => {
                let skus = self.resolve(order.lines.iter().map(|line| line.sku.as_str()))?;
                let kits = self.kits_of(order)?;
                let skus = match &kits {
                    None => skus.to_vec(),
                    Some(kits) => kits.order(order, &kits.wanted())?.1,
                };
                let home = skus.first().map_or(ShardId(0), |sku| sku.shard());
                skus.iter().for_each(|sku| shards.insert(sku.shard()));
                kits.iter()
                    .flat_map(Kits::shards)
                    .chain(self.campaign_shard(order)?)
                    .for_each(|one| shards.insert(one));
                let mut locked = self.shards.lock(&shards);
                let id = self.next_id(home);
                let held = match &kits {
                    None => reserve::reserve(&locked, order, &reserve::demands(order, &skus)?, id, draft.now)?,
                    Some(kits) => kits::reserve(&locked, order, kits, id, draft.now)?,
                };
                let decision = returns::exchange(&locked, &codes, announce, returned, held)?;
                self.commit(draft, decision, &mut locked, slot, None)
            }
            Some(sourcing) => {
                let (kits, brief) = self.brief_of(order, sourcing, draft.now)?;
                let home = brief.lines.first().map_or(ShardId(0), |line| line.sku.id.shard());
                route::shards_of(&brief).iter().for_each(|shard| shards.insert(shard));
                kits.iter().flat_map(Kits::shards).for_each(|shard| shards.insert(shard));
                let id = self.next_id(home);
                let mut locked = self.shards.lock(&shards);
                let capacity = self.capacity_for(&locked);
                let order = (order, kits.as_ref(), &brief);
                let held = route::hold_as_deducted(&locked, order, capacity.as_deref(), id, draft.now)?;
                let decision = returns::exchange(&locked, &codes, announce, returned, held)?;
                self.commit(draft, decision, &mut locked, slot, capacity)
            }
        }
    }

    /// An id that was never given out, for a return at home in this shard.
    fn next_return(&self, home: ShardId) -> ReturnId {
        ReturnId(self.next_id(home).0)
    }

    /// Locks a return's shards, which never change: those of its reservation, or of its SKUs when it has none.
    fn lock_return(&self, id: ReturnId) -> Result<(SkuCodes, Locked<'_>), Error> {
        let home = self.shards.read(id.home());
        let record = home.returns.records.get(&id).ok_or(Error::UnknownReturn { id })?;
        let skus: Vec<SkuId> = record.lines.iter().map(|line| line.sku).collect();
        let header = record.reservation.and_then(|id| home.parts.header(&id));
        let own = header.map_or_else(ShardSet::default, |header| header.shards());
        drop(home);
        let codes = SkuCodes::of(&self.catalogue.read(), skus.iter().copied(), &[]);
        let shards = skus.iter().map(|sku| sku.shard()).chain(own.iter()).chain([id.home()]).collect();
        Ok((codes, self.shards.lock(&shards)))
    }
}
