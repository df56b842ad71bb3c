//! The short way of nearly every order: units of one SKU, and nothing besides.
//!
//! It grants what the general way grants, event for event: a test holds them against each other. Wherever something else may be to say
//! it steps aside for that way; only "sold out" is said as that way says it.

use super::{allotment, campaign};
use crate::{
    campaign::Deduction,
    catalog::Directory,
    command::{Reserve, ReserveLine},
    event::Line,
    id::{ChannelId, SkuId},
    shard::Shard,
    time::Timestamp,
};

/// The line of a request that asks for units of one SKU and nothing besides.
pub(crate) fn line(request: &Reserve) -> Option<&ReserveLine> {
    let [line] = &*request.lines else { return None };
    let asks_more = request.allow_partial
        || request.replaces.is_some()
        || request.unchanged_since_lsn > 0
        || request.sourcing.is_some()
        || request.asked.is_some()
        || line.sourcing.is_some();
    (!asks_more).then_some(line)
}

/// What a plain hold takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    pub(crate) line: Line,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) expires_at: Timestamp,
}

/// Whether a row may have what is wanted, and whether it is a kit's.
pub(crate) fn may_have(shard: &Shard, sku: SkuId, wanted: &ReserveLine) -> (bool, bool) {
    let row = shard.row(sku);
    (row.available() >= wanted.quantity.units(), row.kit())
}

/// Decides a plain hold; `None` where the general way has to.
pub(crate) fn grant(
    shard: &Shard,
    request: &Reserve,
    wanted: &ReserveLine,
    sku: SkuId,
    now: Timestamp,
) -> Option<Grant> {
    let directory = &*shard.directory;
    let channel = match &*request.channel {
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
    let location = if wanted.location.is_empty() {
        row.best(wanted.quantity, |at| Some(directory.rank(at)).filter(|rank| *rank != Directory::NOT_OPEN))?
    } else {
        let named = directory.location(&wanted.location).filter(|at| directory.takes(*at))?;
        (row.available_at(named) >= wanted.quantity).then_some(named)?
    };
    let line = Line { sku, location, quantity: wanted.quantity };
    Some(Grant { line, channel, expires_at: now.plus(campaign::hold_ttl(directory, channel, request.ttl)) })
}
