//! Freezes and kits: reads.

use std::collections::BTreeMap;

use quartermaster_journal::Lsn;

use super::{
    SkuAvailability,
    allotment::{Asker, path_of, within_reach},
};
use crate::{
    catalog::Component,
    engine::Engine,
    error::Error,
    event::ShardSet,
    id::{LocationId, ShardId, SkuId},
    quantity::Quantity,
    upkeep::{Freeze, FreezeReason, Frozen},
};

/// Which freezes are listed. All that is given must hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct FreezeFilter {
    /// Of this SKU, everywhere or at a location.
    pub sku: Option<SkuId>,
    /// Of this location, or of a SKU at it.
    pub location: Option<LocationId>,
    /// With this reason.
    pub reason: Option<FreezeReason>,
}

impl FreezeFilter {
    fn passes(&self, target: Frozen, freeze: &Freeze) -> bool {
        self.sku.is_none_or(|sku| target.sku() == Some(sku))
            && self.location.is_none_or(|at| target.location() == Some(at))
            && self.reason.is_none_or(|reason| freeze.reason == reason)
    }
}

impl Engine {
    /// Freezes past the id `after`, the oldest first, at most `limit`; and whether there are more. Each shard is at its own moment.
    #[must_use]
    pub fn freezes(
        &self,
        filter: &FreezeFilter,
        after: Option<u64>,
        limit: usize,
    ) -> (Lsn, Vec<(Frozen, Freeze)>, bool) {
        let mut page: Vec<(Frozen, Freeze)> = Vec::new();
        let mut add = |target: Frozen, standing: &[Freeze]| {
            let meant = standing
                .iter()
                .filter(|freeze| filter.passes(target, freeze) && after.is_none_or(|after| freeze.id > after));
            page.extend(meant.map(|freeze| (target, freeze.clone())));
        };
        for shard in ShardId::all().filter(|shard| filter.sku.is_none_or(|sku| sku.shard() == *shard)) {
            let shard = self.shards.read(shard);
            shard.upkeep.freezes.iter().for_each(|(target, standing)| add(*target, standing));
        }
        let directory = std::sync::Arc::clone(self.catalogue().directory());
        directory.freezes().iter().for_each(|(at, standing)| add(Frozen::Location(*at), standing));
        page.sort_unstable_by_key(|(_, freeze)| freeze.id);
        let more = page.len() > limit;
        page.truncate(limit);
        (self.journal.appended_lsn(), page, more)
    }

    /// Freezes that stand, by kind ("sku", "cell", "location") and reason.
    #[must_use]
    pub fn freeze_counts(&self) -> BTreeMap<(&'static str, FreezeReason), u64> {
        let mut counts = BTreeMap::new();
        let (_, freezes, _) = self.freezes(&FreezeFilter::default(), None, usize::MAX);
        for (target, freeze) in freezes {
            let kind = match target {
                Frozen::Sku(_) => "sku",
                Frozen::Cell(..) => "cell",
                Frozen::Location(_) => "location",
            };
            *counts.entry((kind, freeze.reason)).or_default() += 1;
        }
        counts
    }

    /// What a SKU consists of, with units of each; nothing unless it is a kit.
    #[must_use]
    pub fn components(&self, sku: SkuId) -> Vec<(SkuId, u32)> {
        self.catalogue().components(sku).iter().map(|part| (part.sku, part.units)).collect()
    }

    /// Availability where kits are among the SKUs: of a kit as many as the scarcest of its components allows, in total and by location.
    #[cold]
    pub(super) fn availability_with_kits(
        &self,
        asker: &Asker,
        skus: &[SkuId],
        locations: &[LocationId],
    ) -> Result<(Lsn, Vec<SkuAvailability>), Error> {
        let components: Vec<Box<[Component]>> = {
            let catalogue = self.catalogue();
            skus.iter().map(|sku| catalogue.components(*sku).into()).collect()
        };
        let parts = components.iter().flat_map(|parts| parts.iter().map(|part| part.sku));
        let shards: ShardSet = skus.iter().copied().chain(parts).map(SkuId::shard).collect();
        let locked = self.shards.lock_shared(&shards);
        let mut newest = Lsn::ZERO;
        let Some(first) = skus.first() else { return Ok((self.as_of(newest), Vec::new())) };
        let (path, active) = path_of(&locked.shard(first.shard()).directory, asker)?;
        let rows = skus.iter().zip(&components).map(|(sku, components)| {
            let own = within_reach(&locked, *sku, locations, &path, active);
            if components.is_empty() {
                return own;
            }
            let shard = locked.shard(sku.shard());
            let for_sale = shard.row(*sku).sellable() && !shard.row(*sku).retired();
            let mut kit = SkuAvailability {
                available: if for_sale { u64::MAX } else { 0 },
                by_location: vec![if for_sale { Quantity(u32::MAX) } else { Quantity::ZERO }; locations.len()],
                ..own
            };
            for part in components {
                let found = within_reach(&locked, part.sku, locations, &path, active);
                let units = u64::from(part.units.max(1));
                kit.available = kit.available.min(found.available / units);
                for (kits, at) in kit.by_location.iter_mut().zip(&found.by_location) {
                    *kits = (*kits).min(Quantity::clamp(at.units() / units));
                }
                kit.revision = kit.revision.max(found.revision);
            }
            kit
        });
        let rows: Vec<SkuAvailability> = rows.collect();
        // A row does not tell when it went off sale; its shard cannot have heard of it later than this.
        for shard in shards.iter() {
            newest = newest.max(locked.shard(shard).lsn).max(locked.shard(shard).directory.revision());
        }
        Ok((self.as_of(newest), rows))
    }
}
