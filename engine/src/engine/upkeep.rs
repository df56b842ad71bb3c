//! Freezes, repairs and kits: the write path.

use std::{collections::BTreeMap, sync::Arc};

use quartermaster_journal::Lsn;

use super::{Draft, Engine, Slotted, Verdict};
use crate::{
    catalog::Directory,
    command::{
        Reserve,
        upkeep::{Freeze, Repair, Thaw, UpkeepCommand},
    },
    decide::{
        Decision,
        kits::{self, Kits},
        upkeep::{self, CELLS_MAX, REPAIRED_MAX, Wound},
    },
    error::{Error, Rejection},
    event::ShardSet,
    id::{LocationId, ReservationId, ShardId, SkuId},
    time::Timestamp,
};

/// Cells in shortfall with whom they hurt, the shards that all of these lie in, and whether there are more.
type Wounds = (Vec<Wound>, ShardSet, bool);

impl Engine {
    pub(super) fn upkeep(
        &self,
        draft: &Draft<'_>,
        command: &UpkeepCommand,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        match command {
            UpkeepCommand::Freeze(request) => self.freeze(draft, request, slot),
            UpkeepCommand::Thaw(request) => self.thaw(draft, request, slot),
            UpkeepCommand::Repair(request) => self.repair(draft, request, slot),
        }
    }

    fn freeze(&self, draft: &Draft<'_>, request: &Freeze, slot: Slotted<'_, '_>) -> Result<(Lsn, Verdict), Error> {
        if request.target.sku.is_empty() {
            return self.change_freezes(draft, slot, |directory| upkeep::freeze_location(directory, request));
        }
        let skus = self.resolve(std::iter::once(request.target.sku.as_str()))?;
        let mut locked = self.shards.lock(&ShardSet::from_iter([skus[0].shard()]));
        let decision = upkeep::freeze(&locked, request, skus[0])?;
        self.commit(draft, decision, &mut locked, slot, None)
    }

    fn thaw(&self, draft: &Draft<'_>, request: &Thaw, slot: Slotted<'_, '_>) -> Result<(Lsn, Verdict), Error> {
        if request.target.sku.is_empty() {
            return self.change_freezes(draft, slot, |directory| upkeep::thaw_location(directory, request));
        }
        let skus = self.resolve(std::iter::once(request.target.sku.as_str()))?;
        let mut locked = self.shards.lock(&ShardSet::from_iter([skus[0].shard()]));
        let decision = upkeep::thaw(&locked, request, skus[0])?;
        self.commit(draft, decision, &mut locked, slot, None)
    }

    /// Freezes or thaws a location. What was compiled of the directory stays as it is: decisions leave the location out by its freezes.
    fn change_freezes(
        &self,
        draft: &Draft<'_>,
        slot: Slotted<'_, '_>,
        decide: impl FnOnce(&Directory) -> Result<Decision, Error>,
    ) -> Result<(Lsn, Verdict), Error> {
        let mut catalogue = self.catalogue.write();
        let base = Arc::clone(catalogue.directory());
        let decision = decide(&base)?;
        let mut locked = self.shards.lock(&ShardSet::ALL);
        let (lsn, verdict) = self.commit(draft, decision, &mut locked, slot, None)?;
        if let Verdict::Done(event) = &verdict
            && let Some(next) = base.after(event, lsn, draft.now)
        {
            let next = Arc::new(next);
            catalogue.set_revision(lsn);
            catalogue.set_directory(Arc::clone(&next));
            locked.each().for_each(|shard| shard.directory = Arc::clone(&next));
        }
        Ok((lsn, verdict))
    }

    fn repair(&self, draft: &Draft<'_>, request: &Repair, slot: Slotted<'_, '_>) -> Result<(Lsn, Verdict), Error> {
        let (wounds, shards, more) = self.wounds(request)?;
        if wounds.is_empty() {
            let rejection = Rejection::NothingToRepair { cells: 0 };
            return Ok((self.journal.appended_lsn(), Verdict::Rejected(rejection)));
        }
        let mut locked = self.shards.lock(&shards);
        let decision = upkeep::repair(&locked, request.mode, &wounds, more, draft.now);
        self.commit(draft, decision, &mut locked, slot, None)
    }

    /// What a repair would do now, without doing it.
    ///
    /// # Errors
    /// As the repair itself.
    pub fn preview_repair(&self, request: &Repair, now: Timestamp) -> Result<(Lsn, Verdict), Error> {
        let (wounds, shards, more) = self.wounds(request)?;
        if wounds.is_empty() {
            let rejection = Rejection::NothingToRepair { cells: 0 };
            return Ok((self.journal.appended_lsn(), Verdict::Rejected(rejection)));
        }
        let locked = self.shards.lock_shared(&shards);
        let decision = upkeep::repair(&locked, request.mode, &wounds, more, now);
        let newest = shards.iter().map(|shard| locked.shard(shard).lsn).max().unwrap_or(Lsn::ZERO);
        Ok(match decision {
            Decision::Event(event) => (self.as_of(newest), Verdict::Done(event)),
            Decision::Rejected(rejection, lsn) => (lsn, Verdict::Rejected(rejection)),
            Decision::Nothing => (newest, Verdict::Nothing),
        })
    }

    /// Cells in shortfall by SKU and location, each with the reservations that come first by the priority, until their units cover what
    /// is missing. Looked at again under the locks.
    fn wounds(&self, request: &Repair) -> Result<Wounds, Error> {
        let (only_sku, only_at) = {
            let catalogue = self.catalogue.read();
            let sku = match request.sku.as_str() {
                "" => None,
                code => Some(catalogue.sku(code).ok_or_else(|| Error::UnknownSku { code: code.into() })?),
            };
            let at = match request.location.as_str() {
                "" => None,
                code => Some(crate::decide::location(catalogue.directory(), code)?),
            };
            (sku, at)
        };
        let meant = |(sku, at): &(SkuId, LocationId)| {
            only_sku.is_none_or(|only| only == *sku) && only_at.is_none_or(|only| only == *at)
        };
        let mut cells: Vec<(SkuId, LocationId)> = Vec::new();
        for shard in ShardId::all().filter(|shard| only_sku.is_none_or(|sku| sku.shard() == *shard)) {
            cells.extend(self.shards.read(shard).shortfalls.iter().filter(|cell| meant(cell)));
        }
        cells.sort_unstable();
        let mut more = cells.len() > CELLS_MAX;
        cells.truncate(CELLS_MAX);
        let mut hurt = self.hurt_first(request, &cells);
        let (mut wounds, mut shards, mut looked_at) = (Vec::new(), ShardSet::default(), 0);
        for (sku, location) in cells {
            let mut own = hurt.remove(&(sku, location)).unwrap_or_default();
            if looked_at + own.len() > REPAIRED_MAX {
                own.truncate(REPAIRED_MAX - looked_at);
                more = true;
            }
            looked_at += own.len();
            shards.insert(sku.shard());
            for id in &own {
                shards.insert(id.home());
                if let Ok(lies_in) = self.shards_of(*id) {
                    lies_in.iter().for_each(|shard| shards.insert(shard));
                }
            }
            wounds.push(Wound { sku, location, hurt: own });
            if looked_at == REPAIRED_MAX {
                more |= !hurt.is_empty();
                break;
            }
        }
        Ok((wounds, shards, more))
    }

    /// Open reservations on cells, in the order of the priority, until their units cover what is missing.
    fn hurt_first(
        &self,
        request: &Repair,
        cells: &[(SkuId, LocationId)],
    ) -> BTreeMap<(SkuId, LocationId), Vec<ReservationId>> {
        let mut by_cell: BTreeMap<(SkuId, LocationId), Vec<ReservationId>> = BTreeMap::new();
        let in_them: ShardSet = cells.iter().map(|(sku, _)| sku.shard()).collect();
        for shard in in_them.iter() {
            let shard = self.shards.read(shard);
            let mut open: BTreeMap<(SkuId, LocationId), Vec<_>> = BTreeMap::new();
            let own = cells.iter().filter(|(sku, _)| sku.shard() == shard.id);
            open.extend(own.map(|cell| (*cell, Vec::new())));
            for (id, part) in shard.parts.iter() {
                for line in part.lines().filter(|line| !line.open.is_zero()) {
                    if let Some(there) = open.get_mut(&(line.sku, line.location)) {
                        there.push((upkeep::place(&request.priority, part.promise(), id), id, line.open.units()));
                    }
                }
            }
            for ((sku, at), mut there) in open {
                there.sort_unstable();
                let mut missing = shard.row(sku).get(at).shortfall();
                let covering = there.into_iter().take_while(|(.., units)| {
                    let hurts = missing > 0;
                    missing = missing.saturating_sub(*units);
                    hurts
                });
                by_cell.insert((sku, at), covering.map(|(_, id, _)| id).collect());
            }
        }
        by_cell
    }

    /// A hold on an order that has kits.
    #[cold]
    pub(super) fn reserve_kits(
        &self,
        draft: &Draft<'_>,
        request: &Reserve,
        kits: &Kits,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let (_, skus) = kits.order(request, &kits.wanted())?;
        let home = skus.first().map_or(ShardId(0), |sku| sku.shard());
        let counter = self.campaign_shard(request)?;
        let own = skus.iter().map(|sku| sku.shard()).chain(kits.shards());
        let mut shards: ShardSet = own.chain(counter).collect();
        if let Some(earlier) = request.replaces {
            self.shards_of(earlier)?.iter().for_each(|shard| shards.insert(shard));
        }
        let mut locked = self.shards.lock(&shards);
        // Under the locks, so that those who wait in one line have ids in the order of their requests.
        let id = self.next_id(home);
        let decision = kits::reserve(&locked, request, kits, id, draft.now)?;
        self.commit(draft, decision, &mut locked, slot, None)
    }
}
