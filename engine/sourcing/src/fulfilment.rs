//! What a place can do, when it works, how much it can take, and what its work costs: as its owner describes it.

use quartermaster_routing::{LocationId, Money};
use serde::{Deserialize, Serialize};

/// Seconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Moment(pub i64);

impl Moment {
    /// This many minutes later.
    #[must_use]
    pub fn plus_minutes(self, minutes: u32) -> Self {
        Self(self.0.saturating_add(i64::from(minutes) * 60))
    }
}

/// Degrees in units of 1e-7, WGS 84.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Coordinates {
    /// North, -900,000,000 to 900,000,000.
    pub latitude_e7: i32,
    /// East, -1,800,000,000 to 1,800,000,000.
    pub longitude_e7: i32,
}

/// How an order reaches its buyer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mode {
    /// A carrier brings it.
    #[default]
    Ship,
    /// The buyer fetches it from one named place.
    Pickup,
    /// A place nearby brings it within the hour.
    SameHour,
}

/// What a place can do: bit n stands for `quartermaster.v1.LocationCapability` number n. None at all means that it ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// Sends parcels.
    pub const SHIP: u32 = 1 << 1;
    /// Hands over to the buyer.
    pub const PICKUP: u32 = 1 << 2;
    /// Delivers within the hour nearby.
    pub const SAME_HOUR: u32 = 1 << 3;
    /// May hold and send dangerous goods.
    pub const DANGEROUS_GOODS: u32 = 1 << 4;

    /// Whether it serves orders of this mode.
    #[must_use]
    pub fn serves(self, mode: Mode) -> bool {
        match mode {
            Mode::Ship => self.0 & Self::SHIP != 0 || self.0 & (Self::SHIP | Self::PICKUP | Self::SAME_HOUR) == 0,
            Mode::Pickup => self.0 & Self::PICKUP != 0,
            Mode::SameHour => self.0 & Self::SAME_HOUR != 0,
        }
    }

    /// Whether it may send dangerous goods.
    #[must_use]
    pub fn dangerous_goods(self) -> bool {
        self.0 & Self::DANGEROUS_GOODS != 0
    }
}

/// Costs, hours and limits of a place. The default costs nothing, works always and takes everything.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fulfilment {
    /// Minor units for each parcel.
    pub handling_cost: i64,
    /// Minor units for each unit picked.
    pub pick_unit_cost: i64,
    /// Minutes from the start of work to the carrier.
    pub processing_minutes: u32,
    /// IANA name, for example Asia/Shanghai; empty means UTC.
    pub time_zone: String,
    /// Monday to Sunday; none at all means round the clock, every day.
    pub week: Vec<Option<Shift>>,
    /// Days without work, as year × 10,000 + month × 100 + day, for example 20270101. Ascending.
    pub holidays: Vec<u32>,
    /// How much work it takes.
    pub capacity: CapacityLimits,
    /// How far it delivers within the hour; 0: no limit but the capability.
    pub same_hour_radius_metres: u32,
    /// Codes of the channels it serves; none: all.
    pub channels: Vec<String>,
    /// Units of each SKU that sourcing leaves behind.
    pub keep_units: u32,
}

/// Working hours of one day, in minutes after local midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// Work starts.
    pub opens: u16,
    /// Orders from this minute on are the next working day's.
    pub cutoff: u16,
}

/// How much work a place takes; `None`: any amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapacityLimits {
    /// Orders a working day.
    pub orders_per_day: Option<u32>,
    /// Units a working day.
    pub units_per_day: Option<u32>,
    /// Orders an hour of the clock.
    pub orders_per_hour: Option<u32>,
    /// Units an hour of the clock.
    pub units_per_hour: Option<u32>,
}

impl CapacityLimits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// A stretch of time in which a place's work is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Local days since 1970-01-01.
    Day(u32),
    /// Hours since the Unix epoch.
    Hour(u32),
}

/// Work booked in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Booked {
    /// Orders.
    pub orders: u32,
    /// Units.
    pub units: u32,
}

/// What is booked at places, as a decision reads it.
pub trait Bookings {
    /// Work booked at a place in a slot; zero when none is.
    fn booked(&self, location: LocationId, slot: Slot) -> Booked;
}

/// Nothing is booked anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBookings;

impl Bookings for NoBookings {
    fn booked(&self, _: LocationId, _: Slot) -> Booked {
        Booked::default()
    }
}

/// A place as the network sees it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PlaceSpec {
    /// Code.
    pub code: String,
    /// Kind in lower case, as policies name it: "distribution_centre", "forward_warehouse", "store", "third_party", "supplier" or "".
    pub kind: &'static str,
    /// Where it is, when known.
    pub coordinates: Option<Coordinates>,
    /// Region code, or empty.
    pub region: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Takes new orders: neither paused nor closed.
    pub open: bool,
    /// Lower goes first among equals of the same cost.
    pub priority: u32,
    /// Costs, hours and limits.
    pub fulfilment: Fulfilment,
}

impl Fulfilment {
    /// Paid once for each parcel.
    #[must_use]
    pub fn handling(&self) -> Money {
        Money(self.handling_cost)
    }

    /// Paid for each unit.
    #[must_use]
    pub fn picking(&self) -> Money {
        Money(self.pick_unit_cost)
    }
}
