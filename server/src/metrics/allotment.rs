//! Units ring-fenced, by node.

use std::cmp::Reverse;

use quartermaster_engine::Engine;

use super::{families, page::Page};

/// Nodes that are told of: those with the largest quotas, so that the page stays bounded.
pub const NODES_MAX: usize = 50;

/// Sums over the allotments of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allotted {
    /// Code of the channel or campaign.
    pub node: String,
    /// Units ring-fenced.
    pub quota: u64,
    /// Units used: promised or shipped.
    pub used: u64,
    /// Units ring-fenced and not used.
    pub rest: u64,
}

impl Allotted {
    /// The nodes with the largest quotas.
    #[must_use]
    pub fn largest(engine: &Engine) -> Vec<Allotted> {
        let totals = engine.allotment_totals();
        let mut nodes: Vec<_> = totals.into_iter().map(|(node, sums)| (Reverse(sums.quota), node, sums)).collect();
        nodes.sort_unstable_by_key(|(quota, node, _)| (*quota, *node));
        nodes.truncate(NODES_MAX);
        let catalogue = engine.catalogue();
        let told = nodes.into_iter().map(|(_, node, sums)| Allotted {
            node: catalogue.directory().node_code(node).to_owned(),
            quota: sums.quota,
            used: sums.used,
            rest: sums.rest,
        });
        told.collect()
    }
}

pub(super) fn publish(nodes: &[Allotted], page: &mut Page) {
    page.open(&families::ALLOTMENT_UNITS);
    for own in nodes {
        for (kind, units) in [("allotted", own.quota), ("used", own.used), ("rest", own.rest)] {
            page.sample(&[("node", own.node.as_str()), ("kind", kind)], units);
        }
    }
}
