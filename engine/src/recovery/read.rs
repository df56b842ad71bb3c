//! A record of the log, read: what it tells, and where that belongs.
//!
//! All hands go through all that was read, so it is small: what nearly every record tells is a few words beside the record's own bytes.

use std::slice;

use quartermaster_journal::Lsn;

use super::RecoveryError;
use crate::{
    codec::{self, Peek},
    dedup::SlotHasher,
    event::{Event, Line, PlainEvent, ShardSet, placed::Placed},
    id::ReservationId,
    owners::{Buyer, Owners},
    time::Timestamp,
};

/// A record.
pub(super) struct Read<'a> {
    pub(super) lsn: Lsn,
    pub(super) time: Timestamp,
    pub(super) bytes: &'a [u8],
    /// Hash of its request id.
    pub(super) hash: Option<u64>,
    /// Where the reservation that it begins is noted by its buyer.
    pub(super) buyer: Option<Buyer>,
    pub(super) told: Told<'a>,
    /// It speaks only of what is known.
    pub(super) is_checked: bool,
}

/// What a record tells.
pub(super) enum Told<'a> {
    Plain(PlainEvent<'a>),
    Other(Box<Other<'a>>),
}

/// What is not plain.
pub(super) struct Other<'a> {
    pub(super) head: Peek<'a>,
    pub(super) event: Event,
    pub(super) placed: Placed,
    pub(super) shards: ShardSet,
    /// It books work or gives some back.
    pub(super) books: bool,
    /// It may change SKUs or the directory.
    pub(super) changes_catalogue: bool,
}

impl<'a> Read<'a> {
    #[inline]
    pub(super) fn of(owners: &Owners, lsn: Lsn, bytes: &'a [u8]) -> Result<Self, RecoveryError> {
        let (head, told) = match codec::decode_plain(bytes) {
            Some((head, plain)) => (head, Told::Plain(plain)),
            None => {
                let (head, event) =
                    codec::decode_parts(bytes).map_err(|source| RecoveryError::Record { lsn, source })?;
                let (shards, books) = (event.shards(), !event.bookings().is_empty());
                let (placed, changes_catalogue) = (Placed::of(&event), changes_catalogue(&event));
                (head, Told::Other(Box::new(Other { head, event, placed, shards, books, changes_catalogue })))
            }
        };
        Ok(Self {
            lsn,
            time: head.time,
            bytes,
            hash: (!head.request_id.is_empty()).then(|| SlotHasher.hash(head.request_id)),
            buyer: told.begun().and_then(|(_, buyer)| owners.buyer(buyer)),
            told,
            is_checked: false,
        })
    }

    /// Dedup slot of its request id, and the hash of that.
    pub(super) fn slot(&self) -> Option<(usize, u64)> {
        self.hash.map(|hash| (SlotHasher::slot(hash), hash))
    }

    /// Whether it may change SKUs or the directory.
    pub(super) fn changes_catalogue(&self) -> bool {
        match &self.told {
            Told::Plain(_) => false,
            Told::Other(other) => other.changes_catalogue,
        }
    }

    /// Sequence of the id that it gave out; 0 for none.
    pub(super) fn sequence(&self) -> u64 {
        let held = self.told.begun().map_or(0, |(id, _)| id.sequence());
        let returned = match &self.told {
            Told::Other(other) => match &other.event {
                Event::Returns(event) => event.id().map_or(0, |id| id.sequence()),
                _ => 0,
            },
            Told::Plain(_) => 0,
        };
        held.max(returned)
    }
}

impl Told<'_> {
    /// The reservation that it begins, and whose that is.
    pub(super) fn begun(&self) -> Option<(ReservationId, &str)> {
        match self {
            Self::Plain(PlainEvent::Held(held)) => Some((held.reservation, held.buyer_id)),
            Self::Plain(PlainEvent::Stepped(_)) => None,
            Self::Other(other) => other.event.held().map(|held| (held.reservation, &*held.buyer_id)),
        }
    }

    /// The reservation that goes on. Of rare events none.
    pub(super) fn continued(&self) -> Option<ReservationId> {
        match self {
            Self::Plain(PlainEvent::Held(_)) => None,
            Self::Plain(PlainEvent::Stepped(step)) => Some(step.reservation),
            Self::Other(other) => other.event.claim().map(|claim| claim.reservation),
        }
    }

    /// The units that it takes or moves. Of rare events none.
    pub(super) fn lines(&self) -> &[Line] {
        match self {
            Self::Plain(plain) => slice::from_ref(plain.line()),
            Self::Other(other) => match &other.event {
                Event::Held(held) => &held.lines,
                event => event.claim().map_or(&[], |claim| &claim.lines),
            },
        }
    }
}

/// Whether an event may change SKUs or the directory.
fn changes_catalogue(event: &Event) -> bool {
    match event {
        Event::Held(_)
        | Event::Confirmed { .. }
        | Event::HoldEnded { .. }
        | Event::Cancelled { .. }
        | Event::Extended { .. }
        | Event::Shipped { .. }
        | Event::Reassigned { .. }
        | Event::Rerouted(_)
        | Event::Merged(_)
        | Event::StockChanged(_)
        | Event::CellFactsSet { .. }
        | Event::Allotment(_)
        | Event::Supply(_)
        | Event::Returns(_)
        | Event::Summary(_) => false,
        Event::Campaign(event) => event.shows_in_directory(),
        Event::SkusUpserted { .. }
        | Event::SkusRetired { .. }
        | Event::LocationsUpserted { .. }
        | Event::ChannelsUpserted { .. }
        | Event::RegionsUpserted { .. }
        | Event::DocumentDrafted { .. }
        | Event::DocumentActivated { .. }
        | Event::DocumentRetired { .. }
        | Event::Upkeep(_)
        | Event::Rules(_) => true,
    }
}
