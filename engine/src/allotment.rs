//! Allotments: units of a SKU ring-fenced for selling nodes. A constraint on the pool and never a copy of stock.
//!
//! Selling nodes make a tree: groups of channels, channels in them, campaigns in those. A node's allotment of a SKU has a quota, of which
//! others may not touch what it has not been promised yet, and a ceiling. What a node can reach of the pool follows from the tree alone:
//! every node beside its way to the root protects its share, nodes of a higher priority first when there is not enough for all, and a
//! node that may not spill over has its own share only.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::{
    event::Promise,
    id::{NodeId, SkuId},
};

/// What a node has of one SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Allotment {
    /// Units ring-fenced; `None` when the node has no allotment and only counts for a node around it.
    pub quota: Option<u32>,
    /// Units it may be promised at most, `None` for no limit. Not below the quota.
    pub ceiling: Option<u32>,
    /// It may take from what its parent can reach when its own share is used up.
    pub spill_over: bool,
    /// Units promised to holds.
    pub reserved: u32,
    /// Units promised to confirmed orders.
    pub committed: u32,
    /// Units shipped since the allotment was made.
    pub shipped: u64,
    /// Units ever granted since the allotment was made.
    pub granted: u64,
}

impl Allotment {
    /// Units of the quota that count as used: promised or shipped.
    #[must_use]
    pub fn used(&self) -> u64 {
        u64::from(self.reserved) + u64::from(self.committed) + self.shipped
    }

    /// Units ring-fenced and not used yet.
    #[must_use]
    pub fn rest(&self) -> u64 {
        u64::from(self.quota.unwrap_or(0)).saturating_sub(self.used())
    }

    /// The figure that counts units in a bucket.
    pub(crate) fn promised_mut(&mut self, promise: Promise) -> &mut u32 {
        match promise {
            Promise::Reserved => &mut self.reserved,
            Promise::Committed => &mut self.committed,
        }
    }

    /// Makes it a campaign's: so many units and no more, or none any longer. `shipped` is what left in the campaign before.
    pub(crate) fn fence(&mut self, units: Option<u32>, shipped: u64) {
        if !self.is_set() {
            self.shipped = shipped;
            self.granted = u64::from(self.reserved) + u64::from(self.committed) + shipped;
        }
        (self.quota, self.ceiling, self.spill_over) = (units, None, false);
    }

    /// Gives it these terms. What begins to be an allotment counts from now on what it was promised before, and nothing that was shipped.
    pub(crate) fn set(&mut self, quota: Option<u32>, ceiling: Option<u32>, spill_over: bool) {
        if !self.is_set() {
            self.shipped = 0;
            self.granted = u64::from(self.reserved) + u64::from(self.committed);
        }
        (self.quota, self.ceiling, self.spill_over) = (quota, ceiling, spill_over);
    }

    /// Whether somebody allotted something: otherwise it only counts.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.quota.is_some() || self.ceiling.is_some()
    }
}

/// What kept an order from getting more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LimitedBy {
    /// There is no more.
    #[default]
    Stock,
    /// What there is more is kept for others, or lies outside the node's own share.
    Allotment,
    /// A node of its channel has been promised what it may have at most.
    Ceiling,
}

impl LimitedBy {
    /// Number in the journal.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Stock => 0,
            Self::Allotment => 1,
            Self::Ceiling => 2,
        }
    }

    /// What a number in the journal says.
    pub(crate) fn of(number: u32) -> Self {
        match number {
            1 => Self::Allotment,
            2 => Self::Ceiling,
            _ => Self::Stock,
        }
    }
}

/// The allotments of one SKU, by node. A node stands here when it has one, or when units count to it.
pub type SkuAllotments = BTreeMap<NodeId, Allotment>;

/// The allotments of a shard's SKUs. A SKU stands here while any node has an allotment of it or units that count.
pub(crate) type Allotments = BTreeMap<SkuId, SkuAllotments>;

/// The tree of selling nodes, as a decision sees it.
pub trait Tree {
    /// The node around this one.
    fn parent(&self, node: NodeId) -> Option<NodeId>;

    /// Lower is served first when there is not enough for all shares. Ties go by id.
    fn priority(&self, node: NodeId) -> u32;
}

/// Units of a pool that the innermost node of `path` can reach; an empty path is an order of no channel. `pool` is what is available of
/// the SKU at open locations.
#[must_use]
pub fn reach(tree: &impl Tree, allotments: &SkuAllotments, path: &[NodeId], pool: u64) -> u64 {
    walk(tree, allotments, path, pool, true)
}

/// Like `reach`, as if nobody on the path had a ceiling.
pub(crate) fn reach_without_ceilings(tree: &impl Tree, allotments: &SkuAllotments, path: &[NodeId], pool: u64) -> u64 {
    walk(tree, allotments, path, pool, false)
}

fn walk(tree: &impl Tree, allotments: &SkuAllotments, path: &[NodeId], pool: u64, ceilings: bool) -> u64 {
    let kept = Kept::of(tree, allotments);
    let mut pool = pool;
    let mut parent = None;
    for node in path.iter().rev() {
        let (before, all) = kept.beside(tree, parent, Some(*node));
        let share = kept.by(*node).min(pool.saturating_sub(before));
        pool = share + pool.saturating_sub(all);
        if let Some(allotment) = allotments.get(node) {
            if allotment.quota.is_some() && !allotment.spill_over {
                pool = pool.min(allotment.rest());
            }
            if ceilings && let Some(ceiling) = allotment.ceiling {
                pool = pool.min(u64::from(ceiling).saturating_sub(allotment.used()));
            }
            // Its figures have 32 bits.
            let open = u64::from(allotment.reserved) + u64::from(allotment.committed);
            pool = pool.min(u64::from(u32::MAX).saturating_sub(open));
        }
        parent = Some(*node);
    }
    // What the nodes within the innermost one keep is not its own to take.
    let (_, all) = kept.beside(tree, parent, None);
    pool.saturating_sub(all)
}

/// The quota that a node may have at most: what is used of it, and what its parents and the pool have room for. `before` says what nodes
/// kept before the change that this is a part of: where there was less room than that, what was kept may stay.
pub(crate) fn quota_max(tree: &impl Tree, now: &SkuAllotments, before: &SkuAllotments, node: NodeId, pool: u64) -> u64 {
    let (now_kept, before_kept) = (Kept::of(tree, now), Kept::of(tree, before));
    let (mut inner, mut others, mut room) = (node, 0_u64, u64::MAX);
    loop {
        let parent = tree.parent(inner);
        let (_, all) = now_kept.beside(tree, parent, None);
        others += all - now_kept.by(inner);
        let (_, was) = before_kept.beside(tree, parent, None);
        let around = parent.and_then(|parent| now.get(&parent));
        let share = around.filter(|around| around.quota.is_some());
        let limit = match (parent, share) {
            (None, _) => pool,
            (_, Some(share)) => share.rest(),
            (Some(_), None) => u64::MAX,
        };
        let ceiling =
            around.and_then(|around| around.ceiling.map(|most| u64::from(most).saturating_sub(around.used())));
        room = room.min(limit.min(ceiling.unwrap_or(u64::MAX)).max(was).saturating_sub(others));
        match parent {
            Some(parent) if share.is_none() => inner = parent,
            _ => break,
        }
    }
    now.get(&node).map_or(0, Allotment::used).saturating_add(room)
}

/// What the nodes within a node keep together.
pub(crate) fn kept_within(tree: &impl Tree, allotments: &SkuAllotments, node: NodeId) -> u64 {
    Kept::of(tree, allotments).beside(tree, Some(node), None).1
}

/// What each node keeps from others: its own rest or what the nodes within keep together, whichever is more.
struct Kept(SmallVec<[Keeps; 8]>);

struct Keeps {
    node: NodeId,
    parent: Option<NodeId>,
    depth: usize,
    units: u64,
}

impl Kept {
    fn of(tree: &impl Tree, allotments: &SkuAllotments) -> Self {
        let mut nodes: SmallVec<[NodeId; 16]> = SmallVec::new();
        for (node, allotment) in allotments {
            // A node that keeps nothing is nothing to others, and neither are those around it for its sake.
            if allotment.rest() > 0 {
                nodes.extend(std::iter::successors(Some(*node), |node| tree.parent(*node)));
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        let mut kept: SmallVec<[Keeps; 8]> = SmallVec::with_capacity(nodes.len());
        kept.extend(nodes.into_iter().map(|node| Keeps {
            node,
            parent: tree.parent(node),
            depth: std::iter::successors(tree.parent(node), |node| tree.parent(*node)).count(),
            units: allotments.get(&node).map_or(0, Allotment::rest),
        }));
        // From the deepest up: what is within is summed before it counts.
        let deepest = kept.iter().map(|own| own.depth).max().unwrap_or(0);
        for depth in (0..deepest).rev() {
            for place in 0..kept.len() {
                if kept[place].depth == depth {
                    let node = kept[place].node;
                    let within: u64 = kept.iter().filter(|own| own.parent == Some(node)).map(|own| own.units).sum();
                    kept[place].units = kept[place].units.max(within);
                }
            }
        }
        Self(kept)
    }

    /// What one node keeps.
    fn by(&self, node: NodeId) -> u64 {
        self.0.binary_search_by_key(&node, |own| own.node).map_or(0, |place| self.0[place].units)
    }

    /// What the nodes within `parent` keep: those served before `node`, and all of them.
    fn beside(&self, tree: &impl Tree, parent: Option<NodeId>, node: Option<NodeId>) -> (u64, u64) {
        let own = node.map(|node| (tree.priority(node), node));
        let (mut before, mut all) = (0, 0);
        for other in self.0.iter().filter(|other| other.parent == parent) {
            all += other.units;
            if own.is_some_and(|own| (tree.priority(other.node), other.node) < own) {
                before += other.units;
            }
        }
        (before, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Group 0 with channels 2 and 4; channel 6 outside. Node 3 is a campaign of channel 2.
    struct Shops;

    impl Tree for Shops {
        fn parent(&self, node: NodeId) -> Option<NodeId> {
            match node.0 {
                2 | 4 => Some(NodeId(0)),
                3 => Some(NodeId(2)),
                _ => None,
            }
        }

        fn priority(&self, _: NodeId) -> u32 {
            0
        }
    }

    fn quota(quota: u32) -> Allotment {
        Allotment { quota: Some(quota), ..Allotment::default() }
    }

    fn open(units: u32) -> Allotment {
        Allotment { spill_over: true, ..quota(units) }
    }

    fn nodes<const N: usize>(nodes: [(u32, Allotment); N]) -> SkuAllotments {
        nodes.into_iter().map(|(node, allotment)| (NodeId(node), allotment)).collect()
    }

    fn path<const N: usize>(path: [u32; N]) -> [NodeId; N] {
        path.map(NodeId)
    }

    #[test]
    fn others_may_not_touch_a_quota_and_its_node_may() {
        let set = nodes([(2, quota(10))]);
        assert_eq!(reach(&Shops, &set, &path([2, 0]), 30), 10);
        assert_eq!(reach(&Shops, &set, &path([4, 0]), 30), 20);
        assert_eq!(reach(&Shops, &set, &[], 30), 20);
        let set = nodes([(2, open(10))]);
        assert_eq!(reach(&Shops, &set, &path([2, 0]), 30), 30);
        assert_eq!(reach(&Shops, &set, &path([6]), 30), 20);
    }

    #[test]
    fn what_was_promised_is_no_longer_kept_apart() {
        let set = nodes([(2, Allotment { reserved: 3, committed: 2, shipped: 4, ..quota(10) })]);
        assert_eq!(reach(&Shops, &set, &path([2, 0]), 30), 1);
        assert_eq!(reach(&Shops, &set, &path([6]), 30), 29);
    }

    #[test]
    fn a_share_of_a_group_is_for_its_channels_and_theirs_lie_within() {
        let set = nodes([(0, open(20)), (2, open(5))]);
        assert_eq!(reach(&Shops, &set, &path([6]), 30), 10);
        assert_eq!(reach(&Shops, &set, &path([2, 0]), 30), 30);
        assert_eq!(reach(&Shops, &set, &path([4, 0]), 30), 25);
        let set = nodes([(0, quota(20)), (2, open(5))]);
        assert_eq!(reach(&Shops, &set, &path([2, 0]), 30), 20);
        assert_eq!(reach(&Shops, &set, &path([4, 0]), 30), 15);
    }

    #[test]
    fn a_campaign_is_kept_from_its_own_channel() {
        let set = nodes([(3, quota(8))]);
        assert_eq!(reach(&Shops, &set, &path([2, 0]), 10), 2);
        assert_eq!(reach(&Shops, &set, &path([3, 2, 0]), 10), 8);
        assert_eq!(reach(&Shops, &set, &path([3, 2, 0]), 5), 5);
    }

    #[test]
    fn a_ceiling_counts_what_was_promised() {
        let set = nodes([(2, Allotment { ceiling: Some(7), reserved: 4, ..Allotment::default() })]);
        assert_eq!(reach(&Shops, &set, &path([2, 0]), 30), 3);
        assert_eq!(reach(&Shops, &set, &path([4, 0]), 30), 30);
    }

    #[test]
    fn shares_are_served_in_their_order_when_stock_is_short() {
        let set = nodes([(2, open(5)), (4, open(5))]);
        assert_eq!(reach(&Shops, &set, &path([2, 0]), 7), 5);
        assert_eq!(reach(&Shops, &set, &path([4, 0]), 7), 2);
        assert_eq!(reach(&Shops, &set, &path([6]), 7), 0);
    }
}
