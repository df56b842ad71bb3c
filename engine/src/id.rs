//! Names of things: dense ids for what is looked up on every request, and the ids that callers see.

use std::fmt;

/// Number of lock shards the SKU space is cut into. A power of two; part of every reservation id, so it never changes.
pub const SHARDS: usize = 256;

/// A SKU, numbered from 0 in the order of creation. Consecutive SKUs lie in different shards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SkuId(pub u32);

impl SkuId {
    /// The lock shard that keeps this SKU's stock.
    ///
    /// Ids are dense, so their low bits spread SKUs over shards evenly without hashing.
    #[must_use]
    pub fn shard(self) -> ShardId {
        ShardId(self.0.to_le_bytes()[0])
    }

    /// Position of its row within the shard.
    #[must_use]
    pub fn row(self) -> usize {
        usize_from(self.0 >> 8)
    }

    /// The SKU whose row stands at `row` of `shard`. `None` past the range of ids.
    #[must_use]
    pub fn from_row(shard: ShardId, row: usize) -> Option<Self> {
        let row = u32::try_from(row).ok().filter(|row| *row < 1 << 24)?;
        Some(Self(row << 8 | u32::from(shard.0)))
    }

    /// Position in tables of all SKUs.
    #[must_use]
    pub fn index(self) -> usize {
        usize_from(self.0)
    }
}

/// A location, numbered from 0 in the order of creation. At most `LocationId::MAX`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LocationId(pub u32);

impl LocationId {
    /// The highest id: the top bit of the number is the cell's flag for rarer buckets.
    pub const MAX: u32 = (1 << 31) - 1;

    /// Position in tables of all locations.
    #[must_use]
    pub fn index(self) -> usize {
        usize_from(self.0)
    }
}

/// A channel, numbered from 0 in the order of creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChannelId(pub u32);

impl ChannelId {
    /// Position in tables of all channels.
    #[must_use]
    pub fn index(self) -> usize {
        usize_from(self.0)
    }
}

/// A campaign, numbered from 0 in the order of creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CampaignId(pub u32);

impl CampaignId {
    /// Position in tables of all campaigns.
    #[must_use]
    pub fn index(self) -> usize {
        usize_from(self.0)
    }
}

/// A node that sells: twice a channel's number, or twice a campaign's plus 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

impl From<ChannelId> for NodeId {
    fn from(channel: ChannelId) -> Self {
        Self(channel.0 << 1)
    }
}

impl From<CampaignId> for NodeId {
    fn from(campaign: CampaignId) -> Self {
        Self(campaign.0 << 1 | 1)
    }
}

impl NodeId {
    /// The channel it is, if it is one.
    #[must_use]
    pub fn channel(self) -> Option<ChannelId> {
        (self.0 & 1 == 0).then_some(ChannelId(self.0 >> 1))
    }

    /// The campaign it is, if it is one.
    #[must_use]
    pub fn campaign(self) -> Option<CampaignId> {
        (self.0 & 1 == 1).then_some(CampaignId(self.0 >> 1))
    }
}

/// Something expected: a purchase order's, a transfer's or a return's units of one SKU at one location. A creation sequence above the 8
/// bits of the shard of its SKU.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SupplyId(pub u64);

/// A lock shard, 0 to `SHARDS - 1`. Locks are taken in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShardId(pub u8);

impl ShardId {
    /// Every shard, ascending.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + Clone {
        (0..=u8::MAX).map(Self)
    }

    /// Position in tables of all shards.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A reservation: its creation sequence above the 8 bits of its home shard, so that ids sort by age and lead to their lock.
///
/// Callers see 13 characters of Crockford's base 32, which sort as the numbers do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(pub u64);

const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl ReservationId {
    /// The reservation created as number `sequence`, kept in `home`. Sequences stay below 2^56: a million a second for 2,000 years.
    #[must_use]
    pub fn new(sequence: u64, home: ShardId) -> Self {
        Self(sequence << 8 | u64::from(home.0))
    }

    /// The shard that keeps its header and expiry.
    #[must_use]
    pub fn home(self) -> ShardId {
        ShardId(self.0.to_le_bytes()[0])
    }

    /// Its creation sequence.
    #[must_use]
    pub fn sequence(self) -> u64 {
        self.0 >> 8
    }

    /// What callers see, as ASCII.
    #[must_use]
    pub fn digits(self) -> [u8; 13] {
        let mut text = [0_u8; 13];
        let mut rest = self.0;
        for place in text.iter_mut().rev() {
            *place = BASE32[usize::from(rest.to_le_bytes()[0] & 31)];
            rest >>= 5;
        }
        text
    }

    /// Reads what `Display` wrote; letters in either case. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 13 {
            return None;
        }
        let mut value = 0_u128;
        for byte in text.bytes() {
            let digit = BASE32.iter().position(|known| *known == byte.to_ascii_uppercase())?;
            value = value << 5 | u128::try_from(digit).ok()?;
        }
        u64::try_from(value).ok().map(Self)
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for ReservationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ReservationId({self})")
    }
}

/// A return: its creation sequence above the 8 bits of its home shard, as a reservation's; out of the same sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReturnId(pub u64);

impl ReturnId {
    /// The return created as number `sequence`, kept in `home`.
    #[must_use]
    pub fn new(sequence: u64, home: ShardId) -> Self {
        Self(ReservationId::new(sequence, home).0)
    }

    /// The shard that keeps its record.
    #[must_use]
    pub fn home(self) -> ShardId {
        ReservationId(self.0).home()
    }

    /// Its creation sequence.
    #[must_use]
    pub fn sequence(self) -> u64 {
        self.0 >> 8
    }

    /// Reads what `Display` wrote; letters in either case. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        ReservationId::parse(text).map(|id| Self(id.0))
    }
}

impl fmt::Display for ReturnId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        ReservationId(self.0).fmt(formatter)
    }
}

impl fmt::Debug for ReturnId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ReturnId({self})")
    }
}

/// A 32-bit number as an index. This project runs on 64-bit machines, where it always fits.
pub(crate) fn usize_from(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservation_ids_are_thirteen_sortable_characters() {
        for value in [0, 1, 31, 32, 255, 256, u64::MAX >> 1, u64::MAX] {
            let id = ReservationId(value);
            assert_eq!(id.to_string().len(), 13);
            assert_eq!(ReservationId::parse(&id.to_string()), Some(id));
            assert_eq!(ReservationId::parse(&id.to_string().to_lowercase()), Some(id));
        }
        assert!(ReservationId(255).to_string() < ReservationId(256).to_string());
        for bad in ["", "0", "000000000000U", "ZZZZZZZZZZZZZ", "00000000000000", "0000000000é"] {
            assert_eq!(ReservationId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_sku_knows_its_shard_and_row_and_back() {
        for id in [0, 1, 255, 256, 70_000, u32::MAX] {
            let sku = SkuId(id);
            assert_eq!(SkuId::from_row(sku.shard(), sku.row()), Some(sku));
        }
        assert_eq!(SkuId::from_row(ShardId(0), 1 << 24), None);
    }
}
