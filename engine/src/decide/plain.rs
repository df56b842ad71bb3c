//! The short way of nearly every order: units of one SKU, and nothing besides.
//!
//! It grants what the general way grants, event for event: a test holds them against each other. Wherever something else may be to say
//! it steps aside for that way; only "sold out" is said as that way says it.

use super::{allotment, campaign};
use crate::{
    campaign::Deduction,
    command::PlainOrder,
    event::Line,
    id::{ChannelId, SkuId},
    quantity::Quantity,
    shard::Shard,
    time::Timestamp,
};

/// What a plain hold takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    pub(crate) line: Line,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) expires_at: Timestamp,
}

/// Whether a row may have what is wanted, and whether it is a kit's.
pub(crate) fn may_have(shard: &Shard, sku: SkuId, wanted: Quantity) -> (bool, bool) {
    let row = shard.row(sku);
    (row.available() >= wanted.units(), row.kit())
}

/// Decides a plain hold; `None` where the general way has to.
pub(crate) fn grant(shard: &Shard, order: &PlainOrder<'_>, sku: SkuId, now: Timestamp) -> Option<Grant> {
    let directory = &*shard.directory;
    let channel = match order.channel {
        "" => None,
        code => {
            let channel = directory.channel(code).filter(|channel| channel.spec.active)?;
            (channel.spec.deduction == Deduction::Hold).then_some(Some(channel.id))?
        }
    };
    let row = shard.row(sku);
    if row.retired() || !row.sellable() || row.kit() || allotment::is_bounded(shard, sku) {
        return None;
    }
    let location = if order.location.is_empty() {
        row.best(order.quantity.units(), |at| directory.rank(at))?
    } else {
        let named = directory.location(order.location).filter(|at| directory.takes(*at))?;
        (row.available_at(named) >= order.quantity).then_some(named)?
    };
    let line = Line { sku, location, quantity: order.quantity };
    Some(Grant { line, channel, expires_at: now.plus(campaign::hold_ttl(directory, channel, order.ttl)) })
}
