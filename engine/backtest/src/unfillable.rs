//! Orders that no location could serve: the policy, the carriers or the places' limits remove every one that has the goods.

use std::collections::BTreeMap;

use quartermaster_engine::{
    Rejection,
    command::Reserve,
    id::ReservationId,
    route::{Explanation, Wants},
    time::Timestamp,
};
use quartermaster_sourcing::{SkuId as GoodsId, plan::UnservedReason};

use crate::world::World;

/// An order of the log for which nothing is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfillable {
    /// The reservation in the log.
    pub reservation: ReservationId,
    /// The caller's order number.
    pub order_id: Box<str>,
    /// When it came.
    pub at: Timestamp,
    /// SKU of the first line that no place can serve.
    pub sku: String,
    /// What removed the places that have it, and how many each; a rule goes by "rule:" and its name.
    pub removed_by: Vec<(String, u32)>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfillables {
    /// How many.
    pub orders: u64,
    /// The first of them, in the order of the log.
    pub first: Vec<Unfillable>,
    /// Orders that each reason stood against. An order may have several.
    pub by_reason: BTreeMap<String, u64>,
    most: usize,
}

impl Unfillables {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    pub(crate) fn add(&mut self, unfillable: Unfillable) {
        self.orders += 1;
        for (reason, _) in &unfillable.removed_by {
            *self.by_reason.entry(reason.clone()).or_default() += 1;
        }
        if self.first.len() < self.most {
            self.first.push(unfillable);
        }
    }
}

/// What removed every place for the first line of a refused order that has none left: the line's SKU, the reasons and the places of each.
/// `None` when no line is so badly off: then it lacks stock, or a price or a limit of parcels stands against it.
pub(crate) fn removals(
    world: &World,
    request: &Reserve,
    rejection: &Rejection,
    now: Timestamp,
) -> Option<(String, Vec<(String, u32)>)> {
    let Rejection::NotRoutable { unserved } = rejection else { return None };
    let by_rule = |reason: UnservedReason| match reason {
        UnservedReason::NoPlace | UnservedReason::NoCarrier | UnservedReason::NoCapacity => true,
        UnservedReason::NoStock | UnservedReason::NotWorthIt => false,
    };
    if !unserved.iter().any(|one| by_rule(one.reason)) {
        return None;
    }
    let wants = Wants { explanation: true, alternatives: 0 };
    let quote = world.engine.route(request, request.sourcing.as_deref()?, wants, now).ok()?.1.ok()?;
    let explanation = quote.explanation?;
    unserved.iter().filter(|one| by_rule(one.reason)).find_map(|one| {
        let sku = world.engine.catalogue().sku(&one.sku)?;
        Some((one.sku.clone(), reasons(&explanation, GoodsId(sku.0))?))
    })
}

/// Why each place that has the SKU is out; `None` when one is not, or none has it.
fn reasons(explanation: &Explanation, sku: GoodsId) -> Option<Vec<(String, u32)>> {
    let rule = |index: usize| explanation.rules.get(index).map_or("", String::as_str);
    let mut places: BTreeMap<String, u32> = BTreeMap::new();
    for note in explanation.notes.iter().filter(|note| note.stock.iter().any(|(own, _)| *own == sku)) {
        *places.entry(note.removed?.name(rule)).or_default() += 1;
    }
    if places.is_empty() { None } else { Some(places.into_iter().collect()) }
}
