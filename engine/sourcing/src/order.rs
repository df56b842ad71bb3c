//! The order to be sourced: what is wanted, where, when and under which conditions.

use quartermaster_routing::{Grams, LocationId, Money, SkuId};

use crate::fulfilment::{Coordinates, Mode, Moment};

/// What the router must know of a SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Goods<'a> {
    /// Its code.
    pub code: &'a str,
    /// Style code, or empty.
    pub style: &'a str,
    /// Colour, or empty.
    pub colour: &'a str,
    /// Size, or empty.
    pub size: &'a str,
    /// Category, or empty.
    pub category: &'a str,
    /// Weight of a unit; zero when unknown.
    pub weight: Grams,
    /// Length, width and height of a unit in millimetres; zeros when unknown.
    pub dimensions_mm: [u32; 3],
    /// Value of a unit in minor units; zero when unknown.
    pub value: i64,
    /// Dangerous-goods class (UN number class, for example "9"), or empty for none.
    pub dangerous_goods: &'a str,
    /// Temperature class (for example "frozen"), or empty for ambient.
    pub temperature: &'a str,
    /// Free attributes, by key.
    pub attributes: &'a [(String, String)],
}

impl Goods<'_> {
    /// Volume of a unit in cubic millimetres.
    #[must_use]
    pub fn volume_mm3(&self) -> u64 {
        self.dimensions_mm.iter().fold(1, |volume, side| volume.saturating_mul(u64::from(*side)))
    }
}

/// Where an order goes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Destination {
    /// Region code, or empty when only the point is known.
    pub region: String,
    /// The point, when known.
    pub point: Option<Coordinates>,
}

/// What is wanted of one SKU; no two lines of an order share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderLine<'a> {
    /// Which.
    pub sku: SkuId,
    /// What it is.
    pub goods: Goods<'a>,
    /// Units wanted, at least 1.
    pub quantity: u32,
    /// From one place in full, or not at all.
    pub whole: bool,
    /// Only these places, when any are named.
    pub only: &'a [LocationId],
    /// Not these places.
    pub never: &'a [LocationId],
    /// Rather these places: the policy says what that is worth.
    pub rather: &'a [LocationId],
    /// Who has it, ascending by location.
    pub stock: &'a [Stock],
    /// Added to the price of each unit: what the policy asks for a substitute; zero for what was ordered.
    pub surcharge: Money,
}

/// A SKU that the buyer agrees to for what a line cannot get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Substitute<'a> {
    /// For which line of the order, by SKU.
    pub instead_of: SkuId,
    /// The SKU as a line; its quantity is set by what is missing.
    pub line: OrderLine<'a>,
}

/// What one place has of one SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Where.
    pub location: LocationId,
    /// Units that could be promised there.
    pub available: u32,
    /// The place turned this SKU down not long ago.
    pub refused: bool,
    /// What else is known of the cell.
    pub facts: CellFacts,
}

/// What planning and the neighbours of a cell say of it; all unknown by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CellFacts {
    /// Units sold a week, in thousandths; `None` when unknown.
    pub weekly_demand_milli: Option<u32>,
    /// Local days since 1970-01-01 when the oldest unit arrived; `None` when unknown.
    pub oldest_receipt_day: Option<u32>,
    /// The run of sizes of its style and colour at this place.
    pub size_run: SizeRun,
}

/// Whether a place has every size of a style and colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SizeRun {
    /// Not known, or the SKU has no siblings.
    #[default]
    Unknown,
    /// Every size is available (齐码).
    Whole,
    /// Some size is missing (断码).
    Broken,
}

/// A parcel that goes to the same receiver anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenParcel {
    /// From where.
    pub location: LocationId,
    /// By which service of the tariffs; `None` when none was chosen.
    pub service: Option<u32>,
    /// What it weighs already.
    pub weight: Grams,
}

/// An order as the router sees it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Order<'a> {
    /// By ascending SKU.
    pub lines: Vec<OrderLine<'a>>,
    /// For what the lines cannot get, the better first for each line. None is a line of the order itself.
    pub substitutes: Vec<Substitute<'a>>,
    /// Where to.
    pub destination: Destination,
    /// Channel code, or empty.
    pub channel: &'a str,
    /// Kind of order, or empty.
    pub order_type: &'a str,
    /// Tier of the buyer, or empty.
    pub buyer_tier: &'a str,
    /// Service level asked for; empty: any.
    pub service_level: &'a str,
    /// How it reaches the buyer.
    pub mode: Mode,
    /// For `Mode::Pickup`: the place.
    pub pickup_at: Option<LocationId>,
    /// When it should be there; later costs what the policy says.
    pub wanted_by: Option<Moment>,
    /// At most so many parcels, besides what the policy allows.
    pub parcels_max: Option<u16>,
    /// Every unit or nothing.
    pub complete: bool,
    /// Parcels to the same receiver that are still open: there the parcel is already paid. Ascending by location.
    pub open_parcels: &'a [OpenParcel],
}
