//! What a channel is: as its owner describes it, and as it is kept.

use crate::{campaign::Deduction, fingerprint::Fingerprinter, id::ChannelId, time::Micros};

/// Sets a channel's place in the selling tree apart from the channel after it.
const SELLING: u64 = u64::MAX - 1;
/// Sets a channel's deduction apart from the channel after it.
const DEDUCTION: u64 = u64::MAX - 2;

/// A channel as its owner describes it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ChannelSpec {
    /// Code.
    pub code: String,
    /// Name for people.
    pub name: String,
    /// Takes reservations.
    pub active: bool,
    /// Code of the channel around it, or empty.
    pub parent: String,
    /// Lower is served first when there is not enough for all shares.
    pub priority: u32,
    /// Units of each SKU, over all locations, that it leaves to others.
    pub safety_units: u32,
    /// When its orders take their units.
    pub deduction: Deduction,
    /// How long its holds last when a request does not say.
    pub hold_ttl: Option<Micros>,
}

impl ChannelSpec {
    pub(crate) fn fingerprint(&self, hash: &mut Fingerprinter) {
        hash.text(&self.code).text(&self.name).number(u64::from(self.active));
        // A channel without them has the fingerprint that it had before there were any.
        if !self.parent.is_empty() || self.priority > 0 {
            hash.tag(SELLING).text(&self.parent).number(u64::from(self.priority));
        }
        if self.safety_units > 0 {
            hash.tag(202).number(u64::from(self.safety_units));
        }
        if self.deduction != Deduction::Hold || self.hold_ttl.is_some() {
            let deduction = match self.deduction {
                Deduction::Hold => 0,
                Deduction::OnOrder => 1,
                Deduction::OnPayment => 2,
            };
            hash.tag(DEDUCTION).number(deduction).number(self.hold_ttl.map_or(0, |ttl| ttl.0));
        }
    }
}

/// A channel as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its number.
    pub id: ChannelId,
    /// What it is.
    pub spec: ChannelSpec,
}
