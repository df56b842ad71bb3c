//! Units ring-fenced for channels and campaigns: reads.

use std::collections::BTreeMap;

use quartermaster_journal::Lsn;

use super::SkuAvailability;
use crate::{
    allotment::Allotment,
    catalog::{Directory, Path},
    command::allotment::NodeCode,
    decide::allotment::{self, cap_in},
    engine::Engine,
    error::Error,
    event::ShardSet,
    id::{LocationId, NodeId, ShardId, SkuId},
    quantity::Quantity,
    shard::{Shard, SharedLocked},
};

/// What a node has of a SKU, and what an order of it can get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeAllotment {
    /// SKU.
    pub sku: SkuId,
    /// Node.
    pub node: NodeId,
    /// What it has.
    pub allotment: Allotment,
    /// Units that an order of this node could get, at all open locations together; 0 when the SKU is not for sale or the channel is
    /// not active.
    pub reach: u64,
}

/// Sums over the SKUs of which a node has an allotment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeTotals {
    /// Allotments.
    pub allotments: u64,
    /// Units ring-fenced.
    pub quota: u64,
    /// Units of these used: promised or shipped.
    pub used: u64,
    /// Units of these not used.
    pub rest: u64,
}

/// Who asks for availability.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// Channel code, or empty.
    pub channel: String,
    /// Campaign code, or empty.
    pub campaign: String,
}

/// Availability of a SKU that is no kit to orders of a path; none while its channel is not active.
pub(super) fn within_reach(
    locked: &SharedLocked<'_>,
    sku: SkuId,
    locations: &[LocationId],
    path: &[NodeId],
    active: bool,
) -> SkuAvailability {
    let mut found = super::availability(locked, sku, locations);
    let cap = cap_in(locked.shard(sku.shard()), sku, path).map(|cap| cap.units);
    if let Some(most) = if active { cap } else { Some(0) } {
        found.available = found.available.min(most);
        found.by_location.iter_mut().for_each(|units| *units = (*units).min(Quantity::clamp(most)));
    }
    found
}

impl Engine {
    /// Availability of SKUs to an order of a channel or campaign: exactly what a Reserve of it could take, in total and where it names a
    /// location. SKUs and locations come in the order asked for, all at one LSN. An empty asker is an order of no channel.
    ///
    /// # Errors
    /// An unknown channel or campaign.
    pub fn availability_to(
        &self,
        asker: &Asker,
        skus: &[SkuId],
        locations: &[LocationId],
    ) -> Result<(Lsn, Vec<SkuAvailability>), Error> {
        let shards: ShardSet = skus.iter().map(|sku| sku.shard()).collect();
        let locked = self.shards.lock_shared(&shards);
        let Some(first) = skus.first() else { return Ok((self.as_of(Lsn::ZERO), Vec::new())) };
        let directory = &locked.shard(first.shard()).directory;
        let (path, open) = path_of(directory, asker)?;
        if skus.iter().any(|sku| locked.shard(sku.shard()).row(*sku).kit()) {
            drop(locked);
            return self.availability_with_kits(asker, skus, locations);
        }
        let rows: Vec<SkuAvailability> =
            skus.iter().map(|sku| within_reach(&locked, *sku, locations, &path, open)).collect();
        let rests_on = skus.iter().zip(&rows).map(|(sku, row)| {
            let shard = locked.shard(sku.shard());
            // A row does not tell when it went off sale; its shard cannot have heard of it later than this.
            let for_sale = shard.row(*sku).sellable() && !shard.row(*sku).retired();
            row.revision.max(shard.directory.revision()).max(if for_sale { Lsn::ZERO } else { shard.lsn })
        });
        let newest = rests_on.max().unwrap_or(Lsn::ZERO);
        Ok((self.as_of(newest), rows))
    }

    /// The node that codes name.
    ///
    /// # Errors
    /// An unknown channel or campaign.
    pub fn selling_node(&self, code: &NodeCode) -> Result<NodeId, Error> {
        allotment::node(self.catalogue.read().directory(), code)
    }

    /// What nodes have of SKUs past `after`, by SKU and node, at most `limit`; and whether there are more. Each SKU is of one moment, the
    /// page is not.
    #[must_use]
    pub fn allotments(
        &self,
        node: Option<NodeId>,
        sku: Option<SkuId>,
        after: Option<(SkuId, NodeId)>,
        limit: usize,
    ) -> (Lsn, Vec<NodeAllotment>, bool) {
        let wanted = |own: &NodeAllotment| {
            node.is_none_or(|node| node == own.node) && after.is_none_or(|after| (own.sku, own.node) > after)
        };
        let mut page: Vec<NodeAllotment> = Vec::new();
        match sku {
            Some(sku) => page.extend(of_sku(&self.shards.read(sku.shard()), sku).into_iter().filter(wanted)),
            None => {
                let mut skus: Vec<SkuId> = Vec::new();
                for shard in ShardId::all() {
                    let shard = self.shards.read(shard);
                    let own = shard.allotments.iter();
                    let own = own.filter(|(_, nodes)| node.is_none_or(|node| nodes.contains_key(&node)));
                    skus.extend(own.map(|(sku, _)| *sku).filter(|sku| after.is_none_or(|(last, _)| *sku >= last)));
                }
                skus.sort_unstable();
                for sku in skus {
                    page.extend(of_sku(&self.shards.read(sku.shard()), sku).into_iter().filter(wanted));
                    if page.len() > limit {
                        break;
                    }
                }
            }
        }
        let more = page.len() > limit;
        page.truncate(limit);
        (self.journal.appended_lsn(), page, more)
    }

    /// Sums by node over all SKUs of which it has an allotment, each shard at its own moment.
    #[must_use]
    pub fn allotment_totals(&self) -> BTreeMap<NodeId, NodeTotals> {
        let mut totals: BTreeMap<NodeId, NodeTotals> = BTreeMap::new();
        for shard in ShardId::all() {
            let shard = self.shards.read(shard);
            for (node, own) in shard.allotments.values().flatten().filter(|(_, own)| own.is_set()) {
                let sum = totals.entry(*node).or_default();
                sum.allotments += 1;
                sum.quota += u64::from(own.quota.unwrap_or(0));
                sum.used += own.used();
                sum.rest += own.rest();
            }
        }
        totals
    }
}

/// The path of whoever asks, and whether its channel takes orders.
pub(super) fn path_of(directory: &Directory, asker: &Asker) -> Result<(Path, bool), Error> {
    let channel = match asker.channel.as_str() {
        "" => None,
        code => Some(directory.channel(code).ok_or_else(|| Error::UnknownChannel { code: code.into() })?),
    };
    let campaign = match asker.campaign.as_str() {
        "" => None,
        code => {
            let code = NodeCode { channel: String::new(), campaign: code.into() };
            allotment::node(directory, &code)?.campaign()
        }
    };
    let open = channel.is_none_or(|channel| channel.spec.active);
    Ok((directory.path(channel.map(|channel| channel.id), campaign), open))
}

/// What nodes have of one SKU, by node.
fn of_sku(shard: &Shard, sku: SkuId) -> Vec<NodeAllotment> {
    let Some(entries) = shard.allotments.get(&sku) else { return Vec::new() };
    let (row, directory) = (shard.row(sku), &shard.directory);
    let for_sale = row.sellable() && !row.retired();
    let own = entries.iter().map(|(node, allotment)| {
        let path = directory.path(node.channel(), node.campaign());
        let channel = node.channel().and_then(|channel| directory.channels().get(channel.index()));
        let open = channel.is_none_or(|channel| channel.spec.active);
        let most = || cap_in(shard, sku, &path).map_or(0, |cap| cap.units);
        let reach = if open && for_sale { most() } else { 0 };
        NodeAllotment { sku, node: *node, allotment: *allotment, reach }
    });
    own.collect()
}
