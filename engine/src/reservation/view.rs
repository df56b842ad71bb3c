//! A reservation's part in a shard as it is read and changed, whichever form it is kept in.

use std::slice;

use quartermaster_journal::Lsn;

use super::{Header, Part, PartLine, State, packed::Bare, plain::Plain};
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
pub(crate) enum PartRef<'a> {
    Plain(&'a Plain),
    Bare(&'a Bare),
    Whole(&'a Part),
}

impl<'a> PartRef<'a> {
    /// The bucket that open units are in.
    #[inline]
    pub(crate) fn promise(self) -> Promise {
        match self {
            Self::Plain(plain) => plain.promise(),
            Self::Bare(bare) => bare.promise,
            Self::Whole(part) => part.promise,
        }
    }

    /// Its lines, one per SKU and location.
    pub(crate) fn lines(self) -> impl Iterator<Item = PartLine> + 'a {
        let (one, many): (Option<PartLine>, slice::Iter<'a, PartLine>) = match self {
            Self::Plain(plain) => (Some(plain.line()), [].iter()),
            Self::Bare(bare) => (Some(bare.line), [].iter()),
            Self::Whole(part) => (None, part.lines.iter()),
        };
        one.into_iter().chain(many.copied())
    }

    /// The line of a SKU at a location.
    pub(crate) fn line(self, sku: SkuId, location: LocationId) -> Option<PartLine> {
        self.lines().find(|line| (line.sku, line.location) == (sku, location))
    }

    /// Selling nodes that charged lines count to, the innermost first.
    #[inline]
    pub(crate) fn path(self) -> &'a [NodeId] {
        match self {
            Self::Plain(_) | Self::Bare(_) => &[],
            Self::Whole(part) => &part.path,
        }
    }

    /// Units promised from what is expected, by supply.
    #[inline]
    pub(crate) fn presold(self) -> &'a [PresoldLine] {
        match self {
            Self::Plain(_) | Self::Bare(_) => &[],
            Self::Whole(part) => &part.presold,
        }
    }

    /// When the reservation ended.
    #[inline]
    pub(crate) fn ended_at(self) -> Option<Timestamp> {
        match self {
            Self::Plain(plain) => plain.ended_at(),
            Self::Bare(bare) => bare.ended_at,
            Self::Whole(part) => part.ended_at,
        }
    }

    /// What concerns the whole reservation; in its home shard only.
    #[inline]
    pub(crate) fn header(self) -> Option<HeaderRef<'a>> {
        match self {
            Self::Plain(plain) => Some(HeaderRef::Plain(plain)),
            Self::Bare(_) => None,
            Self::Whole(part) => part.header.as_deref().map(HeaderRef::Whole),
        }
    }

    /// A copy that stands alone.
    pub(crate) fn to_part(self) -> Part {
        match self {
            Self::Plain(plain) => plain.to_part(),
            Self::Bare(bare) => bare.to_part(),
            Self::Whole(part) => part.clone(),
        }
    }
}

/// A header, to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HeaderRef<'a> {
    Plain(&'a Plain),
    Whole(&'a Header),
}

impl<'a> HeaderRef<'a> {
    #[inline]
    pub(crate) fn state(self) -> State {
        match self {
            Self::Plain(plain) => plain.state(),
            Self::Whole(header) => header.state,
        }
    }

    pub(crate) fn order_id(self) -> &'a str {
        match self {
            Self::Plain(plain) => plain.texts.order_id(),
            Self::Whole(header) => &header.order_id,
        }
    }

    pub(crate) fn buyer_id(self) -> &'a str {
        match self {
            Self::Plain(plain) => plain.texts.buyer_id(),
            Self::Whole(header) => &header.buyer_id,
        }
    }

    pub(crate) fn channel(self) -> Option<ChannelId> {
        match self {
            Self::Plain(plain) => plain.channel(),
            Self::Whole(header) => header.channel,
        }
    }

    pub(crate) fn created_at(self) -> Timestamp {
        match self {
            Self::Plain(plain) => plain.created_at,
            Self::Whole(header) => header.created_at,
        }
    }

    #[inline]
    pub(crate) fn expires_at(self) -> Timestamp {
        match self {
            Self::Plain(plain) => plain.expires_at,
            Self::Whole(header) => header.expires_at,
        }
    }

    /// LSN of the last event that changed the reservation.
    #[inline]
    pub(crate) fn revision(self) -> Lsn {
        match self {
            Self::Plain(plain) => plain.revision(),
            Self::Whole(header) => header.revision,
        }
    }

    /// Where its lines are, its home included.
    #[inline]
    pub(crate) fn shards(self) -> ShardSet {
        match self {
            Self::Plain(plain) => plain.shards(),
            Self::Whole(header) => header.shards,
        }
    }

    /// How it was sourced, when the router decided.
    pub(crate) fn sourcing(self) -> Option<&'a Sourcing> {
        match self {
            Self::Plain(_) => None,
            Self::Whole(header) => header.sourcing.as_deref(),
        }
    }

    /// What it carries beyond a plain hold.
    #[inline]
    pub(crate) fn kept(self) -> Option<&'a Kept> {
        match self {
            Self::Plain(_) => None,
            Self::Whole(header) => header.kept.as_deref(),
        }
    }

    /// Whether it lies in a shard without having a part there: where it is only counted, or wants what it has not taken.
    pub(crate) fn lies_without_part(self, shard: ShardId) -> bool {
        self.kept().is_some_and(|kept| {
            let counted = kept.campaign.map(|campaign| crate::campaign::counter_shard(campaign, self.buyer_id()));
            counted == Some(shard) || kept.wanted.iter().any(|wanted| wanted.sku.shard() == shard)
        })
    }

    /// The one line that there is, of a plain reservation. `None` says nothing.
    #[inline]
    pub(crate) fn only_line(self) -> Option<PartLine> {
        match self {
            Self::Plain(plain) => Some(plain.line()),
            Self::Whole(_) => None,
        }
    }

    /// A copy that stands alone.
    pub(crate) fn to_header(self) -> Header {
        match self {
            Self::Plain(plain) => plain.to_header(),
            Self::Whole(header) => header.clone(),
        }
    }
}

/// A part, to change in what every part has. For the rest there is `Parts::whole_mut`.
#[derive(Debug)]
pub(crate) enum PartMut<'a> {
    Plain(&'a mut Plain),
    Bare(&'a mut Bare),
    Whole(&'a mut Part),
}

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
    #[inline]
    pub(crate) fn view(&self) -> PartRef<'_> {
        match self {
            Self::Plain(plain) => PartRef::Plain(plain),
            Self::Bare(bare) => PartRef::Bare(bare),
            Self::Whole(part) => PartRef::Whole(part),
        }
    }

    pub(crate) fn set_promise(&mut self, promise: Promise) {
        match self {
            Self::Plain(plain) => plain.set_promise(promise),
            Self::Bare(bare) => bare.promise = promise,
            Self::Whole(part) => part.promise = promise,
        }
    }

    /// Sets the end. Where the header is, its state says so as well, before anybody looks.
    pub(crate) fn set_ended_at(&mut self, at: Timestamp) {
        match self {
            Self::Plain(plain) => plain.set_ended_at(at),
            Self::Bare(bare) => bare.ended_at = Some(at),
            Self::Whole(part) => part.ended_at = Some(at),
        }
    }

    /// The units of a line.
    pub(crate) fn units(self, sku: SkuId, location: LocationId) -> Option<UnitsMut<'a>> {
        let line = match self {
            Self::Plain(plain) => return plain.units(sku, location),
            Self::Bare(bare) => Some(&mut bare.line).filter(|line| (line.sku, line.location) == (sku, location)),
            Self::Whole(part) => part.line_mut(sku, location),
        }?;
        Some(UnitsMut { open: &mut line.open, shipped: &mut line.shipped, returned: &mut line.returned })
    }

    /// Sets state and revision where the header is.
    pub(crate) fn set_state(&mut self, state: State, revision: Lsn) {
        match self {
            Self::Plain(plain) => plain.set_state(state, revision),
            Self::Bare(_) => {}
            Self::Whole(part) => {
                if let Some(header) = &mut part.header {
                    (header.state, header.revision) = (state, revision);
                }
            }
        }
    }

    /// Sets the expiry where the header is.
    pub(crate) fn set_expires_at(&mut self, at: Timestamp) {
        match self {
            Self::Plain(plain) => plain.expires_at = at,
            Self::Bare(_) => {}
            Self::Whole(part) => {
                if let Some(header) = &mut part.header {
                    header.expires_at = at;
                }
            }
        }
    }

    /// Sets the revision where the header is.
    pub(crate) fn set_revision(&mut self, revision: Lsn) {
        match self {
            Self::Plain(plain) => plain.set_revision(revision),
            Self::Bare(_) => {}
            Self::Whole(part) => {
                if let Some(header) = &mut part.header {
                    header.revision = revision;
                }
            }
        }
    }
}
