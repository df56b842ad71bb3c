//! A reservation's part in a shard as it is read and changed, however it is kept.

use quartermaster_journal::Lsn;

use super::{Header, Part, PartLine, State};
use crate::{
    event::{Promise, ShardSet},
    id::{ChannelId, LocationId, NodeId, ShardId, SkuId},
    quantity::Quantity,
    sourced::Sourcing,
    terms::{Kept, PresoldLine},
    time::Timestamp,
};

/// A part, to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartRef<'a>(pub(super) &'a Part);

impl<'a> PartRef<'a> {
    /// The bucket that open units are in.
    pub(crate) fn promise(self) -> Promise {
        self.0.promise
    }

    /// Its lines, one per SKU and location.
    pub(crate) fn lines(self) -> impl Iterator<Item = PartLine> + 'a {
        self.0.lines.iter().copied()
    }

    /// The line of a SKU at a location.
    pub(crate) fn line(self, sku: SkuId, location: LocationId) -> Option<PartLine> {
        self.lines().find(|line| (line.sku, line.location) == (sku, location))
    }

    /// Selling nodes that charged lines count to, the innermost first.
    pub(crate) fn path(self) -> &'a [NodeId] {
        &self.0.path
    }

    /// Units promised from what is expected, by supply.
    pub(crate) fn presold(self) -> &'a [PresoldLine] {
        &self.0.presold
    }

    /// When the reservation ended.
    pub(crate) fn ended_at(self) -> Option<Timestamp> {
        self.0.ended_at
    }

    /// What concerns the whole reservation; in its home shard only.
    pub(crate) fn header(self) -> Option<HeaderRef<'a>> {
        self.0.header.as_deref().map(HeaderRef)
    }

    /// A copy that stands alone.
    pub(crate) fn to_part(self) -> Part {
        self.0.clone()
    }
}

/// A header, to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderRef<'a>(pub(super) &'a Header);

impl<'a> HeaderRef<'a> {
    pub(crate) fn state(self) -> State {
        self.0.state
    }

    pub(crate) fn order_id(self) -> &'a str {
        &self.0.order_id
    }

    pub(crate) fn buyer_id(self) -> &'a str {
        &self.0.buyer_id
    }

    pub(crate) fn channel(self) -> Option<ChannelId> {
        self.0.channel
    }

    pub(crate) fn created_at(self) -> Timestamp {
        self.0.created_at
    }

    pub(crate) fn expires_at(self) -> Timestamp {
        self.0.expires_at
    }

    /// LSN of the last event that changed the reservation.
    pub(crate) fn revision(self) -> Lsn {
        self.0.revision
    }

    /// Where its lines are, its home included.
    pub(crate) fn shards(self) -> ShardSet {
        self.0.shards
    }

    /// How it was sourced, when the router decided.
    pub(crate) fn sourcing(self) -> Option<&'a Sourcing> {
        self.0.sourcing.as_deref()
    }

    /// What it carries beyond a plain hold.
    pub(crate) fn kept(self) -> Option<&'a Kept> {
        self.0.kept.as_deref()
    }

    /// Whether it lies in a shard without having a part there: where it is only counted, or wants what it has not taken.
    pub(crate) fn lies_without_part(self, shard: ShardId) -> bool {
        self.kept().is_some_and(|kept| {
            let counted = kept.campaign.map(|campaign| crate::campaign::counter_shard(campaign, self.buyer_id()));
            counted == Some(shard) || kept.wanted.iter().any(|wanted| wanted.sku.shard() == shard)
        })
    }

    /// A copy that stands alone.
    pub(crate) fn to_header(self) -> Header {
        self.0.clone()
    }
}

/// A part, to change in what every part has. For the rest there is `Parts::whole_mut`.
#[derive(Debug)]
pub(crate) struct PartMut<'a>(pub(super) &'a mut Part);

/// Units of a line, to change.
#[derive(Debug)]
pub(crate) struct UnitsMut<'a> {
    /// Still promised.
    pub(crate) open: &'a mut Quantity,
    /// Left the location.
    pub(crate) shipped: &'a mut Quantity,
    /// Given back.
    pub(crate) returned: &'a mut Quantity,
}

impl<'a> PartMut<'a> {
    pub(crate) fn view(&self) -> PartRef<'_> {
        PartRef(self.0)
    }

    pub(crate) fn set_promise(&mut self, promise: Promise) {
        self.0.promise = promise;
    }

    pub(crate) fn set_ended_at(&mut self, at: Timestamp) {
        self.0.ended_at = Some(at);
    }

    /// The units of a line.
    pub(crate) fn units(self, sku: SkuId, location: LocationId) -> Option<UnitsMut<'a>> {
        let line = self.0.line_mut(sku, location)?;
        Some(UnitsMut { open: &mut line.open, shipped: &mut line.shipped, returned: &mut line.returned })
    }

    /// Sets state and revision where the header is.
    pub(crate) fn set_state(&mut self, state: State, revision: Lsn) {
        if let Some(header) = &mut self.0.header {
            (header.state, header.revision) = (state, revision);
        }
    }

    /// Sets the expiry where the header is.
    pub(crate) fn set_expires_at(&mut self, at: Timestamp) {
        if let Some(header) = &mut self.0.header {
            header.expires_at = at;
        }
    }

    /// Sets the revision where the header is.
    pub(crate) fn set_revision(&mut self, revision: Lsn) {
        if let Some(header) = &mut self.0.header {
            header.revision = revision;
        }
    }
}
