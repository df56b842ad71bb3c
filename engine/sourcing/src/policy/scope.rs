//! Which orders a policy is for, and which of several policies an order gets.

use serde::{Deserialize, Serialize};

use super::compile::Policy;

/// The orders a policy is for. An empty list asks for nothing; a full one for one of its codes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// Channel codes.
    pub channels: Vec<String>,
    /// Kinds of order.
    pub order_types: Vec<String>,
    /// Tiers of buyers.
    pub buyer_tiers: Vec<String>,
}

/// How closely a scope names an order: one that names the channel beats any that does not, then the kind of order, then the tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity {
    channel: bool,
    order_type: bool,
    buyer_tier: bool,
}

impl Scope {
    /// How closely it names such an order; `None`: the policy is not for it.
    #[must_use]
    pub fn rank(&self, channel: &str, order_type: &str, buyer_tier: &str) -> Option<Specificity> {
        Some(Specificity {
            channel: names(&self.channels, channel)?,
            order_type: names(&self.order_types, order_type)?,
            buyer_tier: names(&self.buyer_tiers, buyer_tier)?,
        })
    }
}

/// `None`: the list is there and does not name it.
fn names(list: &[String], code: &str) -> Option<bool> {
    match list {
        [] => Some(false),
        list => list.iter().any(|named| named == code).then_some(true),
    }
}

/// The policy for an order, of those that are active: the one that names it most closely; of those the first by name, then the
/// newest version. `None`: none is for it, and [`Policy::built_in`] decides.
pub fn choose<'a>(
    policies: impl IntoIterator<Item = &'a Policy>,
    channel: &str,
    order_type: &str,
    buyer_tier: &str,
) -> Option<&'a Policy> {
    let ranked = policies
        .into_iter()
        .filter_map(|policy| Some((policy.document().scope.rank(channel, order_type, buyer_tier)?, policy)));
    ranked
        .reduce(|best, next| {
            let order = best.0.cmp(&next.0);
            let order = order.then_with(|| next.1.name().cmp(best.1.name()));
            if order.then_with(|| best.1.version().cmp(&next.1.version())).is_lt() { next } else { best }
        })
        .map(|(_, policy)| policy)
}
