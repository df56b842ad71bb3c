//! What expressions may look at: the order, and the places through the one trait by which policies see the network.

use quartermaster_routing::LocationId;
use smallvec::SmallVec;

use crate::fulfilment::{Capabilities, Mode};

/// A few codes, from the nearest to the widest.
pub type Codes<'a> = SmallVec<[&'a str; 6]>;

/// An order as expressions see it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct OrderFacts<'a> {
    /// `order.channel`: code, or empty.
    pub channel: &'a str,
    /// `order.order_type`: kind of order, or empty.
    pub order_type: &'a str,
    /// `order.buyer_tier`: tier of the buyer, or empty.
    pub buyer_tier: &'a str,
    /// `order.service_level`: service level asked for, or empty.
    pub service_level: &'a str,
    /// `order.mode`: "ship", "pickup" or "same_hour".
    pub mode: Mode,
    /// `order.regions`: the destination's region and those round it, up to the root. `order.region` is the first, or empty.
    pub regions: &'a [&'a str],
    /// `order.units`: units of all lines.
    pub units: u64,
    /// `order.lines`: how many.
    pub lines: u32,
    /// `order.weight_grams`: of all units; what is unknown counts nothing.
    pub weight_grams: u64,
    /// `order.value`: of all units, minor units.
    pub value: i64,
}

/// A place as expressions see it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PlaceFacts<'a> {
    /// `location.code`.
    pub code: &'a str,
    /// `location.kind`: "distribution_centre", "forward_warehouse", "store", "third_party", "supplier" or "".
    pub kind: &'a str,
    /// `location.priority`.
    pub priority: u32,
    /// `location.capabilities`: a list of "ship", "pickup", "same_hour" and "dangerous_goods".
    pub capabilities: Capabilities,
    /// `location.channels`: codes of the channels it serves; empty: all.
    pub channels: &'a [String],
    /// `location.regions`: its region and those round it, up to the root. `location.region` is the first, or empty.
    pub regions: Codes<'a>,
    /// Takes new orders. No expression sees it; lint does.
    pub open: bool,
}

/// The places there are, as policies see them.
pub trait Places {
    /// How many; ids are below it.
    fn count(&self) -> usize;
    /// What is known of one. The id is below [`Places::count`].
    fn facts(&self, location: LocationId) -> PlaceFacts<'_>;
    /// Whether a region has this code.
    fn has_region(&self, code: &str) -> bool;
    /// The place with this code.
    fn location(&self, code: &str) -> Option<LocationId>;
    /// Whether a channel has this code.
    fn has_channel(&self, code: &str) -> bool;
}

/// As `order.mode` says it.
pub(super) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Ship => "ship",
        Mode::Pickup => "pickup",
        Mode::SameHour => "same_hour",
    }
}

/// As `location.capabilities` lists them.
pub(super) fn capability_names<'a>(capabilities: Capabilities) -> Codes<'a> {
    let named = [Mode::Ship, Mode::Pickup, Mode::SameHour].into_iter();
    let mut names: Codes<'a> =
        named.filter(|mode| capabilities.serves(*mode)).map(|mode| -> &'a str { mode_name(mode) }).collect();
    if capabilities.dangerous_goods() {
        names.push("dangerous_goods");
    }
    names
}
