//! The reservation that nearly all are: one line, all of it in its home shard, nothing carried beyond the hold. In 96 bytes.

use quartermaster_journal::Lsn;

use super::{Header, Part, PartLine, State, text::Texts, view::UnitsMut};
use crate::{
    event::{PlainHeld, Promise, ShardSet},
    id::{ChannelId, LocationId, ReservationId, SkuId},
    quantity::Quantity,
    stamp::Stamp,
    time::Timestamp,
};

/// In the stamp's bits, above the state: open units are committed.
const COMMITTED: u8 = 1 << 7;
const STATE: u8 = COMMITTED - 1;

/// Channels are numbered densely, so none ever has this number.
const NO_CHANNEL: u32 = u32::MAX;

/// A plain reservation, its header and its line in one.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    pub(super) id: ReservationId,
    /// Revision; state and promise in its bits.
    stamp: Stamp,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Timestamp,
    /// Means something once it has ended.
    ended_at: Timestamp,
    sku: SkuId,
    location: LocationId,
    open: Quantity,
    shipped: Quantity,
    returned: Quantity,
    channel: u32,
    pub(super) texts: Texts,
}

impl Plain {
    /// A hold that begins.
    pub(crate) fn begin(held: &PlainHeld<'_>, now: Timestamp, revision: Lsn) -> Self {
        let line = held.line;
        Self {
            id: held.reservation,
            stamp: Stamp::new(revision, bits(State::Held, Promise::Reserved)),
            created_at: now,
            expires_at: held.expires_at,
            ended_at: Timestamp(0),
            sku: line.sku,
            location: line.location,
            open: line.quantity,
            shipped: Quantity::ZERO,
            returned: Quantity::ZERO,
            channel: held.channel.map_or(NO_CHANNEL, |channel| channel.0),
            texts: Texts::new(held.order_id, held.buyer_id),
        }
    }

    /// A part as a plain reservation, if it is one.
    pub(super) fn of(id: ReservationId, part: &Part) -> Option<Self> {
        let header = part.header.as_deref()?;
        let [line] = part.lines[..] else { return None };
        let fits = part.path.is_empty()
            && part.presold.is_empty()
            && line.announced.is_zero()
            && !line.charged
            && header.shards == ShardSet::of(id.home())
            && header.sourcing.is_none()
            && header.kept.is_none()
            && Stamp::fits(header.revision)
            && header.state.is_open() == part.ended_at.is_none();
        let channel = channel_number(header.channel).filter(|_| fits)?;
        Some(Self {
            id,
            stamp: Stamp::new(header.revision, bits(header.state, part.promise)),
            created_at: header.created_at,
            expires_at: header.expires_at,
            ended_at: part.ended_at.unwrap_or_default(),
            sku: line.sku,
            location: line.location,
            open: line.open,
            shipped: line.shipped,
            returned: line.returned,
            channel,
            texts: Texts::new(&header.order_id, &header.buyer_id),
        })
    }

    /// The part that it stands for.
    pub(super) fn to_part(&self) -> Part {
        Part {
            promise: self.promise(),
            lines: [self.line()].into_iter().collect(),
            path: Box::default(),
            presold: Vec::new(),
            ended_at: self.ended_at(),
            header: Some(Box::new(self.to_header())),
        }
    }

    pub(super) fn to_header(&self) -> Header {
        Header {
            state: self.state(),
            order_id: self.texts.order_id().into(),
            buyer_id: self.texts.buyer_id().into(),
            channel: self.channel(),
            created_at: self.created_at,
            expires_at: self.expires_at,
            revision: self.revision(),
            shards: self.shards(),
            sourcing: None,
            kept: None,
        }
    }

    #[inline]
    pub(super) fn state(&self) -> State {
        let place = usize::from(self.stamp.bits() & STATE);
        State::ALL.get(place).copied().expect("Invariant: the bits of a stamp are those of a state")
    }

    #[inline]
    pub(super) fn promise(&self) -> Promise {
        if self.stamp.has(COMMITTED) { Promise::Committed } else { Promise::Reserved }
    }

    #[inline]
    pub(super) fn revision(&self) -> Lsn {
        self.stamp.lsn()
    }

    pub(super) fn channel(&self) -> Option<ChannelId> {
        (self.channel != NO_CHANNEL).then_some(ChannelId(self.channel))
    }

    #[inline]
    pub(super) fn shards(&self) -> ShardSet {
        ShardSet::of(self.id.home())
    }

    #[inline]
    pub(super) fn ended_at(&self) -> Option<Timestamp> {
        (!self.state().is_open()).then_some(self.ended_at)
    }

    #[inline]
    pub(super) fn line(&self) -> PartLine {
        PartLine {
            shipped: self.shipped,
            returned: self.returned,
            ..PartLine::open(self.sku, self.location, self.open)
        }
    }

    #[inline]
    pub(super) fn set_promise(&mut self, promise: Promise) {
        self.stamp.set(COMMITTED, promise == Promise::Committed);
    }

    #[inline]
    pub(super) fn set_state(&mut self, state: State, revision: Lsn) {
        self.stamp = Stamp::new(revision, bits(state, self.promise()));
    }

    #[inline]
    pub(super) fn set_revision(&mut self, revision: Lsn) {
        self.stamp.set_lsn(revision);
    }

    pub(super) fn set_ended_at(&mut self, at: Timestamp) {
        self.ended_at = at;
    }

    #[inline]
    pub(super) fn units(&mut self, sku: SkuId, location: LocationId) -> Option<UnitsMut<'_>> {
        let own = (self.sku, self.location) == (sku, location);
        own.then_some(UnitsMut { open: &mut self.open, shipped: &mut self.shipped, returned: &mut self.returned })
    }
}

fn bits(state: State, promise: Promise) -> u8 {
    state.number() | if promise == Promise::Committed { COMMITTED } else { 0 }
}

/// `None` for the one number that says that there is no channel.
fn channel_number(channel: Option<ChannelId>) -> Option<u32> {
    channel.map_or(Some(NO_CHANNEL), |channel| Some(channel.0).filter(|number| *number != NO_CHANNEL))
}
