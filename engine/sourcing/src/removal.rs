//! What keeps a place from serving an order or a line.

use crate::policy::Removed;

/// The first of these that holds is the one that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Removal {
    /// Closed, paused, or not of this network.
    NotOpen,
    /// Another place was named for pickup.
    NotThePickupLocation,
    /// It does not serve orders of this mode.
    Capability,
    /// It does not serve the channel.
    Channel,
    /// Too far to deliver within the hour, or not known how far.
    SameHourRadius,
    /// It may not send dangerous goods.
    DangerousGoods,
    /// The order's lines leave it out.
    Line,
    /// It turned the lines down not long ago.
    Refused,
    /// What it has is what it keeps back from sourcing.
    KeptBack,
    /// The policy.
    Policy(Removed),
    /// No carrier brings it there.
    NoCarrier,
    /// It takes no more orders for now.
    OrderCapacity,
    /// It takes no more units for now.
    UnitCapacity,
}

impl Removal {
    /// Its name in answers; a rule of the policy goes by "rule:" and its own name, as `rule` tells it.
    #[must_use]
    pub fn name<'a>(self, rule: impl FnOnce(usize) -> &'a str) -> String {
        match self {
            Self::NotOpen => "location_not_open".into(),
            Self::NotThePickupLocation => "not_the_pickup_location".into(),
            Self::Capability => "capability".into(),
            Self::Channel => "channel".into(),
            Self::SameHourRadius => "same_hour_radius".into(),
            Self::DangerousGoods => "dangerous_goods".into(),
            Self::Line => "forbidden_by_line".into(),
            Self::Refused => "refused".into(),
            Self::KeptBack => "kept_back".into(),
            Self::Policy(Removed::Rule(index)) => format!("rule:{}", rule(index)),
            Self::Policy(Removed::Where) => "step".into(),
            Self::NoCarrier => "no_carrier".into(),
            Self::OrderCapacity => "capacity_orders".into(),
            Self::UnitCapacity => "capacity_units".into(),
        }
    }
}
