//! The catalogue: what SKUs, locations and channels are, and which dense id stands for which code.

use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashMap;
use quartermaster_journal::Lsn;

use crate::{
    fingerprint::Fingerprinter,
    id::{ChannelId, LocationId, SkuId},
};

/// Fixed seeds: no decision may depend on the order of a hash table, but a replay should cost the same each time, too.
pub(crate) fn hasher() -> RandomState {
    RandomState::with_seeds(0x51AB, 0x1DEA, 0x0B0E, 0x5EED)
}

/// A SKU as its owner describes it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SkuSpec {
    /// Code.
    pub code: String,
    /// Style code (款), may be empty.
    pub style: String,
    /// Colour, may be empty.
    pub colour: String,
    /// Size, may be empty.
    pub size: String,
    /// Free attributes, sorted by key.
    pub attributes: Vec<(String, String)>,
    /// Grams; 0 when unknown.
    pub weight_grams: u64,
    /// ISO 4217 code of `unit_value`, or empty.
    pub currency: String,
    /// Value of one unit in minor units.
    pub unit_value: i64,
    /// For sale.
    pub sellable: bool,
}

impl SkuSpec {
    pub(crate) fn fingerprint(&self, hash: &mut Fingerprinter) {
        hash.text(&self.code).text(&self.style).text(&self.colour).text(&self.size).number(self.weight_grams);
        hash.text(&self.currency).number(self.unit_value.cast_unsigned()).number(u64::from(self.sellable));
        for (key, value) in &self.attributes {
            hash.text(key).text(value);
        }
    }
}

/// A SKU as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sku {
    /// Its number.
    pub id: SkuId,
    /// What it is.
    pub spec: SkuSpec,
    /// LSN at which it was retired.
    pub retired: Option<Lsn>,
}

/// Kind of a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LocationKind {
    /// Not given.
    #[default]
    Unspecified,
    /// Distribution centre.
    DistributionCentre,
    /// Forward warehouse (前置仓).
    ForwardWarehouse,
    /// Store.
    Store,
    /// Run by a third party.
    ThirdParty,
    /// A supplier's own stock.
    Supplier,
}

/// Whether a location takes new reservations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LocationState {
    /// It does.
    #[default]
    Open,
    /// Not for a while.
    Paused,
    /// Not any more.
    Closed,
}

impl LocationState {
    /// Name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }
}

/// What a location can do: bit n stands for `quartermaster.v1.LocationCapability` number n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Capabilities(pub u32);

/// Degrees in units of 1e-7, WGS 84.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coordinates {
    /// North, -900,000,000 to 900,000,000.
    pub latitude_e7: i32,
    /// East, -1,800,000,000 to 1,800,000,000.
    pub longitude_e7: i32,
}

/// A location as its owner describes it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LocationSpec {
    /// Code.
    pub code: String,
    /// Name for people.
    pub name: String,
    /// Kind.
    pub kind: LocationKind,
    /// Where it is, when known.
    pub coordinates: Option<Coordinates>,
    /// Region code.
    pub region: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Whether it takes reservations.
    pub state: LocationState,
    /// Lower goes first.
    pub priority: u32,
}

impl LocationSpec {
    pub(crate) fn fingerprint(&self, hash: &mut Fingerprinter) {
        let kind = match self.kind {
            LocationKind::Unspecified => 0,
            LocationKind::DistributionCentre => 1,
            LocationKind::ForwardWarehouse => 2,
            LocationKind::Store => 3,
            LocationKind::ThirdParty => 4,
            LocationKind::Supplier => 5,
        };
        let state = match self.state {
            LocationState::Open => 1,
            LocationState::Paused => 2,
            LocationState::Closed => 3,
        };
        hash.text(&self.code).text(&self.name).text(&self.region).number(kind).number(state);
        hash.number(u64::from(self.capabilities.0)).number(u64::from(self.priority));
        if let Some(at) = self.coordinates {
            hash.number(u64::from(at.latitude_e7.cast_unsigned())).number(u64::from(at.longitude_e7.cast_unsigned()));
        }
    }
}

/// A location as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its number.
    pub id: LocationId,
    /// What it is.
    pub spec: LocationSpec,
}

/// A channel as its owner describes it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ChannelSpec {
    /// Code.
    pub code: String,
    /// Name for people.
    pub name: String,
    /// Takes reservations.
    pub active: bool,
}

impl ChannelSpec {
    pub(crate) fn fingerprint(&self, hash: &mut Fingerprinter) {
        hash.text(&self.code).text(&self.name).number(u64::from(self.active));
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

/// Locations and channels: read by every decision, seldom changed, so an immutable snapshot that is swapped whole.
#[derive(Clone, Debug)]
pub struct Directory {
    locations: Vec<Arc<Location>>,
    location_by_code: HashMap<Box<str>, LocationId, RandomState>,
    channels: Vec<Arc<Channel>>,
    channel_by_code: HashMap<Box<str>, ChannelId, RandomState>,
    ranks: Vec<u32>,
    revision: Lsn,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            locations: Vec::new(),
            location_by_code: HashMap::with_hasher(hasher()),
            channels: Vec::new(),
            channel_by_code: HashMap::with_hasher(hasher()),
            ranks: Vec::new(),
            revision: Lsn::ZERO,
        }
    }
}

impl Directory {
    /// Rank of a location that takes no reservations.
    pub const NOT_OPEN: u32 = u32::MAX;

    /// All locations in the order of their ids.
    #[must_use]
    pub fn locations(&self) -> &[Arc<Location>] {
        &self.locations
    }

    /// All channels in the order of their ids.
    #[must_use]
    pub fn channels(&self) -> &[Arc<Channel>] {
        &self.channels
    }

    /// The location with this code.
    #[must_use]
    pub fn location(&self, code: &str) -> Option<LocationId> {
        self.location_by_code.get(code).copied()
    }

    /// The channel with this code.
    #[must_use]
    pub fn channel(&self, code: &str) -> Option<&Channel> {
        self.channel_by_code.get(code).map(|id| &*self.channels[id.index()])
    }

    /// Code of a location of this directory.
    ///
    /// # Panics
    /// If the id was never given out: ids come from this directory or from the journal.
    #[must_use]
    pub fn location_code(&self, id: LocationId) -> &str {
        &self.locations[id.index()].spec.code
    }

    /// Place in the order of sourcing, 0 first: by priority, then by id. `NOT_OPEN` when the location takes no reservations.
    #[must_use]
    pub fn rank(&self, id: LocationId) -> u32 {
        self.ranks[id.index()]
    }

    /// LSN of the last event that changed it: what every decision about places and channels rests on.
    #[must_use]
    pub fn revision(&self) -> Lsn {
        self.revision
    }

    /// This directory as an event left it.
    pub(crate) fn at(self, revision: Lsn) -> Self {
        Self { revision, ..self }
    }

    /// State of a location.
    #[must_use]
    pub fn state(&self, id: LocationId) -> LocationState {
        self.locations[id.index()].spec.state
    }

    /// This directory with locations put in their places. New ones must come in the order of their ids.
    #[must_use]
    pub fn with_locations(&self, changed: &[Location]) -> Self {
        let mut next = self.clone();
        for location in changed {
            let entry = Arc::new(location.clone());
            if location.id.index() < next.locations.len() {
                next.locations[location.id.index()] = entry;
            } else {
                assert_eq!(location.id.index(), next.locations.len(), "location ids are dense");
                next.location_by_code.insert(location.spec.code.as_str().into(), location.id);
                next.locations.push(entry);
            }
        }
        let mut order: Vec<LocationId> = next.locations.iter().map(|location| location.id).collect();
        order.sort_by_key(|id| (next.locations[id.index()].spec.priority, *id));
        next.ranks = vec![Self::NOT_OPEN; order.len()];
        let open = order.iter().filter(|id| next.locations[id.index()].spec.state == LocationState::Open);
        for (rank, id) in (0..).zip(open) {
            next.ranks[id.index()] = rank;
        }
        next
    }

    /// This directory with channels put in their places. New ones must come in the order of their ids.
    #[must_use]
    pub fn with_channels(&self, changed: &[Channel]) -> Self {
        let mut next = self.clone();
        for channel in changed {
            let entry = Arc::new(channel.clone());
            if channel.id.index() < next.channels.len() {
                next.channels[channel.id.index()] = entry;
            } else {
                assert_eq!(channel.id.index(), next.channels.len(), "channel ids are dense");
                next.channel_by_code.insert(channel.spec.code.as_str().into(), channel.id);
                next.channels.push(entry);
            }
        }
        next
    }
}

/// All of the catalogue.
#[derive(Debug)]
pub struct Catalogue {
    skus: Vec<Arc<Sku>>,
    sku_by_code: HashMap<Box<str>, SkuId, RandomState>,
    styles: HashMap<Box<str>, Vec<SkuId>, RandomState>,
    directory: Arc<Directory>,
    revision: Lsn,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            skus: Vec::new(),
            sku_by_code: HashMap::with_hasher(hasher()),
            styles: HashMap::with_hasher(hasher()),
            directory: Arc::default(),
            revision: Lsn::ZERO,
        }
    }
}

impl Catalogue {
    /// All SKUs in the order of their ids, retired ones included.
    #[must_use]
    pub fn skus(&self) -> &[Arc<Sku>] {
        &self.skus
    }

    /// The active SKU with this code.
    #[must_use]
    pub fn sku(&self, code: &str) -> Option<SkuId> {
        self.sku_by_code.get(code).copied()
    }

    /// Code of a SKU of this catalogue.
    ///
    /// # Panics
    /// If the id was never given out: ids come from this catalogue or from the journal.
    #[must_use]
    pub fn sku_code(&self, id: SkuId) -> &str {
        &self.skus[id.index()].spec.code
    }

    /// Active SKUs of a style, by id.
    #[must_use]
    pub fn style(&self, style: &str) -> &[SkuId] {
        self.styles.get(style).map_or(&[], Vec::as_slice)
    }

    /// Locations and channels.
    #[must_use]
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// LSN of the last event that changed it.
    #[must_use]
    pub fn revision(&self) -> Lsn {
        self.revision
    }

    pub(crate) fn set_revision(&mut self, lsn: Lsn) {
        self.revision = lsn;
    }

    pub(crate) fn set_directory(&mut self, directory: Arc<Directory>) {
        self.directory = directory;
    }

    /// Puts a SKU in its place. New ones must come in the order of their ids.
    pub(crate) fn put_sku(&mut self, sku: Sku) {
        let (id, retired) = (sku.id, sku.retired.is_some());
        if let Some(old) = self.skus.get(id.index()).map(Arc::clone) {
            if old.spec.style != sku.spec.style || retired {
                self.leave_style(&old.spec.style, id);
            }
            if retired && self.sku(&old.spec.code) == Some(id) {
                self.sku_by_code.remove(old.spec.code.as_str());
            }
        }
        if !retired {
            self.sku_by_code.insert(sku.spec.code.as_str().into(), id);
            if !sku.spec.style.is_empty() {
                let members = self.styles.entry_ref(sku.spec.style.as_str()).or_default();
                if let Err(place) = members.binary_search(&id) {
                    members.insert(place, id);
                }
            }
        }
        let entry = Arc::new(sku);
        if id.index() < self.skus.len() {
            self.skus[id.index()] = entry;
        } else {
            assert_eq!(id.index(), self.skus.len(), "SKU ids are dense");
            self.skus.push(entry);
        }
    }

    fn leave_style(&mut self, style: &str, id: SkuId) {
        if let Some(members) = self.styles.get_mut(style) {
            members.retain(|member| *member != id);
            if members.is_empty() {
                self.styles.remove(style);
            }
        }
    }
}
