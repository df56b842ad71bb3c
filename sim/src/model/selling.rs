//! Who sells: the tree of channels and campaigns, what each may have, and what it has been promised.

use std::collections::{BTreeMap, BTreeSet};

use quartermaster_engine::{
    event::{Held, Promise, allotment::AllotmentEvent},
    id::{CampaignId, ChannelId, NodeId, SkuId},
};

use super::{Judged, Model, must, stock::minus};

/// What a node has of a SKU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) quota: Option<u64>,
    pub(crate) ceiling: Option<u64>,
    pub(crate) spill_over: bool,
    pub(crate) reserved: u64,
    pub(crate) committed: u64,
    pub(crate) shipped: u64,
    pub(crate) granted: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Selling {
    /// A SKU stands here while any node has an allotment of it or units that count.
    pub(crate) shares: BTreeMap<SkuId, BTreeMap<NodeId, Share>>,
}

impl Share {
    pub(crate) fn used(&self) -> u64 {
        self.reserved + self.committed + self.shipped
    }

    /// What it keeps for itself.
    pub(crate) fn rest(&self) -> u64 {
        self.quota.unwrap_or(0).saturating_sub(self.used())
    }

    pub(crate) fn is_set(&self) -> bool {
        self.quota.is_some() || self.ceiling.is_some()
    }

    fn promised(&mut self, promise: Promise) -> &mut u64 {
        match promise {
            Promise::Reserved => &mut self.reserved,
            Promise::Committed => &mut self.committed,
        }
    }
}

impl Selling {
    /// Ring-fences units for a campaign, of which so many had been shipped, or none any longer.
    pub(super) fn fence(&mut self, sku: SkuId, node: NodeId, units: Option<u64>, shipped: u64) {
        let share = self.shares.entry(sku).or_default().entry(node).or_default();
        if !share.is_set() {
            share.shipped = shipped;
            share.granted = share.reserved + share.committed + shipped;
        }
        (share.quota, share.ceiling, share.spill_over) = (units, None, false);
        self.forget();
    }

    pub(crate) fn speaks_of(&self, sku: SkuId) -> bool {
        self.shares.contains_key(&sku)
    }

    /// Counts units to a path; whether anybody counts them.
    pub(super) fn charge(&mut self, path: &[NodeId], sku: SkuId, units: u64, promise: Promise) -> bool {
        let Some(nodes) = self.shares.get_mut(&sku).filter(|_| !path.is_empty()) else { return false };
        for node in path {
            let share = nodes.entry(*node).or_default();
            *share.promised(promise) += units;
            share.granted += units;
        }
        true
    }

    /// Changes what counts to every node of a path, and forgets who has nothing left.
    fn each(&mut self, path: &[NodeId], sku: SkuId, change: impl Fn(&mut Share) -> Judged) -> Judged {
        let Some(nodes) = self.shares.get_mut(&sku) else { return Err(format!("nothing counts of {sku:?}")) };
        for node in path {
            let Some(share) = nodes.get_mut(node) else { return Err(format!("{node:?} counts nothing of {sku:?}")) };
            change(share)?;
        }
        self.forget();
        Ok(())
    }

    pub(super) fn forget(&mut self) {
        for nodes in self.shares.values_mut() {
            nodes.retain(|_, share| share.is_set() || share.reserved + share.committed > 0);
        }
        self.shares.retain(|_, nodes| !nodes.is_empty());
    }

    pub(super) fn discharge(&mut self, path: &[NodeId], sku: SkuId, units: u64, promise: Promise) -> Judged {
        self.each(path, sku, |share| minus(share.promised(promise), units, "what counts to a node"))
    }

    pub(super) fn commit(&mut self, path: &[NodeId], sku: SkuId, units: u64) -> Judged {
        self.each(path, sku, |share| {
            share.committed += units;
            minus(&mut share.reserved, units, "what counts to a node")
        })
    }

    pub(super) fn ship(&mut self, path: &[NodeId], sku: SkuId, units: u64) -> Judged {
        self.each(path, sku, |share| {
            share.shipped += units;
            minus(&mut share.committed, units, "what counts to a node")
        })
    }

    /// A node's allotment is now so. One that is made anew counts what is open and nothing that was shipped before.
    pub(super) fn set(&mut self, sku: SkuId, node: NodeId, quota: Option<u64>, ceiling: Option<u64>, spill_over: bool) {
        let share = self.shares.entry(sku).or_default().entry(node).or_default();
        if !share.is_set() {
            share.shipped = 0;
            share.granted = share.reserved + share.committed;
        }
        (share.quota, share.ceiling, share.spill_over) = (quota, ceiling, spill_over);
        self.forget();
    }
}

impl Model {
    pub(super) fn parent(&self, node: NodeId) -> Option<NodeId> {
        if let Some(campaign) = node.campaign() {
            return self.sales.of(campaign).channel.map(NodeId::from);
        }
        let channel = node.channel()?;
        self.channel(&self.channels[channel.index()].parent).map(NodeId::from)
    }

    fn priority(&self, node: NodeId) -> u32 {
        node.channel().map_or(0, |channel| self.channels[channel.index()].priority)
    }

    /// Every node that sells.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        let campaigns = self.sales.campaigns.iter().map(|campaign| NodeId::from(campaign.id));
        self.all_channels().map(NodeId::from).chain(campaigns).collect()
    }

    /// Nodes from the innermost outward.
    pub(crate) fn path(&self, innermost: Option<NodeId>) -> Vec<NodeId> {
        std::iter::successors(innermost, |node| self.parent(*node)).collect()
    }

    /// What a node keeps from all others: its rest, or what those within it keep when that is more.
    fn keeps(&self, selling: &Selling, sku: SkuId, node: NodeId) -> u64 {
        let own = selling.shares.get(&sku).and_then(|nodes| nodes.get(&node)).map_or(0, Share::rest);
        let within = self.nodes().into_iter().filter(|one| self.parent(*one) == Some(node));
        own.max(within.map(|one| self.keeps(selling, sku, one)).sum())
    }

    /// Units of a SKU that whoever sells at the end of `path` can have of a pool: at each level all who stand beside each other are
    /// served what they keep, in their order, and what is left goes to whoever may spill over.
    pub(crate) fn reach(&self, sku: SkuId, path: &[NodeId], pool: u64) -> u64 {
        self.reach_in(&self.selling, sku, path, pool)
    }

    pub(super) fn reach_in(&self, selling: &Selling, sku: SkuId, path: &[NodeId], pool: u64) -> u64 {
        let served = if selling.speaks_of(sku) { self.serve(selling, sku, (None, path), pool) } else { pool };
        served.min(pool.saturating_sub(self.left_to_others(sku, path)))
    }

    fn serve(&self, selling: &Selling, sku: SkuId, (around, path): (Option<NodeId>, &[NodeId]), pool: u64) -> u64 {
        let mut beside: Vec<NodeId> = self.nodes().into_iter().filter(|node| self.parent(*node) == around).collect();
        beside.sort_by_key(|node| (self.priority(*node), *node));
        let (mut left, mut served) = (pool, BTreeMap::new());
        for node in beside {
            let share = self.keeps(selling, sku, node).min(left);
            left -= share;
            served.insert(node, share);
        }
        let Some((node, within)) = path.split_last() else { return left };
        let mut own = served[node] + left;
        if let Some(share) = selling.shares[&sku].get(node) {
            if share.quota.is_some() && !share.spill_over {
                own = own.min(share.rest());
            }
            if let Some(ceiling) = share.ceiling {
                own = own.min(ceiling.saturating_sub(share.used()));
            }
            own = own.min(u64::from(u32::MAX).saturating_sub(share.reserved + share.committed));
        }
        self.serve(selling, sku, (Some(*node), within), own)
    }

    /// Where units of an order count to: its campaign, its channel, and what is round them.
    pub(crate) fn path_of(&self, channel: Option<ChannelId>, campaign: Option<CampaignId>) -> Vec<NodeId> {
        self.path(campaign.map(NodeId::from).or(channel.map(NodeId::from)))
    }

    /// What whoever sells along a path may be promised of a SKU in all, from stock or from what is expected.
    pub(super) fn promisable(&self, selling: &Selling, sku: SkuId, path: &[NodeId]) -> u64 {
        let shares = path.iter().filter_map(|node| selling.shares.get(&sku).and_then(|nodes| nodes.get(node)));
        let most = |share: &Share| {
            let ceiling = share.ceiling.map_or(u64::MAX, |ceiling| ceiling.saturating_sub(share.used()));
            if share.quota.is_some() && !share.spill_over { ceiling.min(share.rest()) } else { ceiling }
        };
        shares.map(most).min().unwrap_or(u64::MAX)
    }

    /// Units count to the path of the hold's channel, and of its campaign, where anything is allotted.
    pub(super) fn judge_path(&self, held: &Held) -> Judged<Vec<NodeId>> {
        let told = held.terms.as_ref().map_or(&[][..], |terms| &terms.path);
        let ahead = held.presold().iter().map(|one| one.line.sku);
        let counts = held.lines.iter().map(|line| line.sku).chain(ahead).any(|sku| self.selling.speaks_of(sku));
        let path = self.path_of(held.channel, held.terms.as_ref().and_then(|terms| terms.campaign));
        // It may speak of a SKU of the order of which nothing was taken in the end.
        let right = told == path || !counts && told.is_empty();
        must!(right, "units count to {told:?}, not to {path:?}");
        Ok(told.to_vec())
    }

    /// What a hold takes of each SKU is what its path can reach, or less. What it replaces was given back before.
    pub(super) fn judge_reach(&self, held: &Held) -> Judged {
        let path = self.path_of(held.channel, held.terms.as_ref().and_then(|terms| terms.campaign));
        let mut taken = BTreeMap::<SkuId, (u64, u64)>::new();
        held.lines.iter().for_each(|line| taken.entry(line.sku).or_default().0 += line.quantity.units());
        held.presold().iter().for_each(|one| taken.entry(one.line.sku).or_default().1 += one.line.quantity.units());
        for (sku, (units, ahead)) in taken {
            let most = self.reach(sku, &path, self.pool(sku));
            must!(units <= most, "{units} of {sku:?} are taken, {most} can be reached");
            let most = if ahead > 0 { self.promisable(&self.selling, sku, &path) } else { u64::MAX };
            must!(units + ahead <= most, "{units} and {ahead} ahead of {sku:?}, {most} may be promised");
        }
        Ok(())
    }

    pub(super) fn allotted(&mut self, event: &AllotmentEvent) -> Judged {
        let AllotmentEvent::Set(set) = event;
        let skus: BTreeSet<SkuId> = set.rows.iter().map(|row| row.sku).collect();
        let before: BTreeMap<SkuId, u64> = skus.iter().map(|sku| (*sku, self.kept_by_all(*sku))).collect();
        for row in &set.rows {
            let (quota, ceiling) = (row.quota.map(u64::from), row.ceiling.map(u64::from));
            if let (Some(quota), Some(ceiling)) = (quota, ceiling) {
                must!(quota <= ceiling, "a ceiling below its quota: {row:?}");
            }
            self.skus[row.sku.index()].revision = self.lsn;
            self.selling.set(row.sku, row.node, quota, ceiling, row.spill_over);
        }
        before.into_iter().try_for_each(|(sku, before)| self.judge_fences(sku, before))
    }

    /// What all keep together of a SKU.
    pub(super) fn kept_by_all(&self, sku: SkuId) -> u64 {
        let outer = self.nodes().into_iter().filter(|one| self.parent(*one).is_none());
        outer.map(|one| self.keeps(&self.selling, sku, one)).sum()
    }

    /// Nobody's fence grows past the pool: what all keep together is there, or was kept before.
    pub(super) fn judge_fences(&self, sku: SkuId, before: u64) -> Judged {
        let (kept, pool) = (self.kept_by_all(sku), self.pool_with_unsold(sku));
        must!(kept <= pool.max(before), "{kept} of {sku:?} are kept, {before} before, there are {pool}");
        Ok(())
    }
}
