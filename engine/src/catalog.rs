//! The catalogue: what SKUs, locations and channels are, and which dense id stands for which code.

pub mod documents;
mod fulfilment;
mod lint;
pub mod network;
pub mod places;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ahash::RandomState;
use compact_str::CompactString;
use hashbrown::HashMap;
use quartermaster_journal::Lsn;
pub use quartermaster_sourcing::fulfilment::{Capabilities, Coordinates, Fulfilment};

use quartermaster_sourcing::region::RegionSpec;
use smallvec::SmallVec;

use self::{
    documents::{Document, DocumentState, Documents},
    network::{Stage, Stages},
};
use crate::{
    allotment::Tree,
    campaign::{Campaign, Campaigns, Deduction},
    event::{Event, upkeep::UpkeepEvent},
    fingerprint::Fingerprinter,
    id::{CampaignId, ChannelId, LocationId, NodeId, SkuId},
    near,
    rules::RulesInForce,
    table::{Table, Tag},
    time::{Micros, Timestamp},
    upkeep::{Freeze, Frozen},
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
    /// What carriers, and policies that tell goods apart, must know of it.
    pub goods: GoodsSpec,
    /// What a unit consists of: codes of other SKUs, each once, and units of each, at least 1. None unless it is a kit.
    pub components: Vec<(String, u32)>,
}

/// What a unit of a SKU is as goods. The default is unknown dimensions, no category, harmless and at ambient temperature.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct GoodsSpec {
    /// Category, or empty.
    pub category: String,
    /// Length, width and height in millimetres; 0 when unknown.
    pub dimensions_mm: [u32; 3],
    /// Dangerous-goods class, or empty for none.
    pub dangerous_goods: String,
    /// Temperature class, or empty for ambient.
    pub temperature: String,
}

impl GoodsSpec {
    /// A SKU without them has the fingerprint that it had before there were any.
    fn fingerprint(&self, hash: &mut Fingerprinter) {
        if *self != Self::default() {
            hash.tag(GOODS).text(&self.category).text(&self.dangerous_goods).text(&self.temperature);
            self.dimensions_mm.iter().for_each(|side| _ = hash.number(u64::from(*side)));
        }
    }
}

/// Sets goods apart from attributes before them: no text is so long.
const GOODS: u64 = u64::MAX;
/// Sets a channel's place in the selling tree apart from the channel after it.
const SELLING: u64 = u64::MAX - 1;
/// Sets a channel's deduction apart from the channel after it.
const DEDUCTION: u64 = u64::MAX - 2;

/// Likewise for the components of a kit.
const COMPONENTS: u64 = u64::MAX - 1;

impl SkuSpec {
    /// What the router must know of it.
    #[must_use]
    pub fn goods(&self) -> quartermaster_sourcing::order::Goods<'_> {
        quartermaster_sourcing::order::Goods {
            code: &self.code,
            style: &self.style,
            colour: &self.colour,
            size: &self.size,
            category: &self.goods.category,
            weight: quartermaster_sourcing::Grams(self.weight_grams),
            dimensions_mm: self.goods.dimensions_mm,
            value: self.unit_value,
            dangerous_goods: &self.goods.dangerous_goods,
            temperature: &self.goods.temperature,
            attributes: &self.attributes,
        }
    }

    pub(crate) fn fingerprint(&self, hash: &mut Fingerprinter) {
        hash.text(&self.code).text(&self.style).text(&self.colour).text(&self.size).number(self.weight_grams);
        hash.text(&self.currency).number(self.unit_value.cast_unsigned()).number(u64::from(self.sellable));
        for (key, value) in &self.attributes {
            hash.text(key).text(value);
        }
        self.goods.fingerprint(hash);
        if !self.components.is_empty() {
            hash.tag(COMPONENTS);
            for (code, units) in &self.components {
                hash.text(code).number(u64::from(*units));
            }
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
    /// What a unit consists of, as it was resolved when it became a kit. None unless it is one.
    pub components: Box<[Component]>,
}

/// A component of a kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// SKU.
    pub sku: SkuId,
    /// Units in one kit, at least 1.
    pub units: u32,
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

impl LocationKind {
    /// Name in policies; empty when not given.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::DistributionCentre => "distribution_centre",
            Self::ForwardWarehouse => "forward_warehouse",
            Self::Store => "store",
            Self::ThirdParty => "third_party",
            Self::Supplier => "supplier",
        }
    }
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
    /// Costs, hours and limits.
    pub fulfilment: Fulfilment,
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
        fulfilment::fingerprint(&self.fulfilment, hash);
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

/// Locations, channels, regions, policies and tariffs: read by every decision, seldom changed, so an immutable snapshot that is swapped
/// whole.
#[derive(Clone, Debug)]
pub struct Directory {
    locations: Vec<Arc<Location>>,
    location_by_code: HashMap<Box<str>, LocationId, RandomState>,
    channels: Vec<Arc<Channel>>,
    channel_by_code: HashMap<Box<str>, ChannelId, RandomState>,
    /// The channel around each channel.
    parents: Vec<Option<ChannelId>>,
    ranks: Vec<Option<u32>>,
    all_open: bool,
    /// Some channel leaves units to others.
    leaves_units: bool,
    regions: Arc<Vec<RegionSpec>>,
    documents: Arc<Documents>,
    stock_rules: Option<Arc<RulesInForce>>,
    campaigns: Arc<Campaigns>,
    stages: Arc<Stages>,
    /// Freezes of locations, by id. No location stands here that is not frozen.
    freezes: Arc<BTreeMap<LocationId, Vec<Freeze>>>,
    revision: Lsn,
}

impl Default for Directory {
    fn default() -> Self {
        Self::bare(Stages::empty())
    }
}

impl Directory {
    fn bare(stages: Arc<Stages>) -> Self {
        Self {
            locations: Vec::new(),
            location_by_code: HashMap::with_hasher(hasher()),
            channels: Vec::new(),
            channel_by_code: HashMap::with_hasher(hasher()),
            parents: Vec::new(),
            ranks: Vec::new(),
            all_open: true,
            leaves_units: false,
            regions: Arc::default(),
            documents: Arc::default(),
            stock_rules: None,
            campaigns: Arc::default(),
            stages,
            freezes: Arc::default(),
            revision: Lsn::ZERO,
        }
    }

    /// All locations in the order of their ids.
    #[must_use]
    pub fn locations(&self) -> &[Arc<Location>] {
        &self.locations
    }

    /// All regions in the order they were made.
    #[must_use]
    pub fn regions(&self) -> &[RegionSpec] {
        &self.regions
    }

    /// All policies and tariffs.
    #[must_use]
    pub fn documents(&self) -> &Documents {
        &self.documents
    }

    /// All campaigns.
    #[must_use]
    pub fn campaigns(&self) -> &Campaigns {
        &self.campaigns
    }

    /// What decisions about sourcing read, compiled.
    #[must_use]
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// What a decision about sourcing at this moment reads.
    #[must_use]
    pub fn stage(&self, now: Timestamp) -> &Arc<Stage> {
        self.stages.at(now)
    }

    /// Whether any location limits how much work it takes.
    #[must_use]
    pub fn limits_work(&self) -> bool {
        // Documents change from stage to stage, places do not.
        self.stages.at(Timestamp(0)).limits_work
    }

    /// This directory with what decisions read of it compiled anew.
    pub(crate) fn staged(self, stages: Stages) -> Self {
        Self { stages: Arc::new(stages), ..self }.with_rules_compiled()
    }

    /// This directory with its stock rules compiled anew, over the places of its network.
    pub(crate) fn with_rules_compiled(self) -> Self {
        // Stock rules speak of locations, which are the same in every stage.
        let places = self.places(&self.stages.at(Timestamp(0)).network);
        let stock_rules = self.stock_rules.as_ref().map(|rules| Arc::new(rules.compiled(&places)));
        Self { stock_rules, ..self }
    }

    /// This directory with its stock rules as another compiled them.
    pub(crate) fn with_rules_of(self, other: &Self) -> Self {
        let stock_rules = self.stock_rules.as_ref().map(|rules| match &other.stock_rules {
            Some(compiled) => Arc::new(rules.compiled_as(compiled)),
            None => Arc::clone(rules),
        });
        Self { stock_rules, ..self }
    }

    /// The stock rules, once a set was put.
    #[must_use]
    pub fn stock_rules(&self) -> Option<&RulesInForce> {
        self.stock_rules.as_deref()
    }

    /// This directory with another set of stock rules. Not compiled.
    #[must_use]
    pub(crate) fn with_stock_rules(&self, rules: Option<RulesInForce>) -> Self {
        Self { stock_rules: rules.map(Arc::new), ..self.clone() }
    }

    /// All channels in the order of their ids.
    #[must_use]
    pub fn channels(&self) -> &[Arc<Channel>] {
        &self.channels
    }

    /// Code of a channel of this directory; empty for an id that was never given out.
    #[must_use]
    pub fn channel_code(&self, id: ChannelId) -> &str {
        self.channels.get(id.index()).map_or("", |channel| &channel.spec.code)
    }

    /// The location with this code.
    #[must_use]
    pub fn location(&self, code: &str) -> Option<LocationId> {
        // Most orders name none, and nothing has that code.
        if code.is_empty() { None } else { self.location_by_code.get(code).copied() }
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

    /// Place in the order of sourcing, 0 first: by priority, then by id. None when the location takes no reservations.
    #[must_use]
    pub fn rank(&self, id: LocationId) -> Option<u32> {
        self.ranks[id.index()]
    }

    /// Whether every location takes reservations.
    #[must_use]
    pub fn all_open(&self) -> bool {
        self.all_open
    }

    /// Whether any channel leaves units of every SKU to others.
    #[must_use]
    pub fn leaves_units(&self) -> bool {
        self.leaves_units
    }

    /// The channel around a channel.
    #[must_use]
    pub fn parent(&self, id: ChannelId) -> Option<ChannelId> {
        self.parents.get(id.index()).copied().flatten()
    }

    /// Selling nodes that an order's units count to, the innermost first: its campaign, its channel, and the groups around them. Empty
    /// for an order of neither.
    #[must_use]
    pub fn path(&self, channel: Option<ChannelId>, campaign: Option<CampaignId>) -> Path {
        let innermost = campaign.map(NodeId::from).or(channel.map(NodeId::from));
        std::iter::successors(innermost, |node| Tree::parent(self, *node)).collect()
    }

    /// The node of a campaign's code.
    #[must_use]
    pub fn campaign_node(&self, code: &str) -> Option<NodeId> {
        let campaign = self.campaigns.get(code).filter(|campaign| campaign.closed.is_none());
        campaign.map(|campaign| campaign.id.into())
    }

    /// The channel that a campaign is of.
    fn campaign_channel(&self, campaign: CampaignId) -> Option<ChannelId> {
        self.campaigns.by_id(campaign)?.channel
    }

    /// Code of a selling node; empty for one that was never given out.
    #[must_use]
    pub fn node_code(&self, node: NodeId) -> &str {
        match (node.channel(), node.campaign().and_then(|campaign| self.campaigns.by_id(campaign))) {
            (Some(channel), _) => self.channel_code(channel),
            (None, campaign) => campaign.map_or("", |campaign| &campaign.code),
        }
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
        next.rank_all();
        next
    }

    /// Locations that are open and not frozen get a rank.
    fn rank_all(&mut self) {
        let mut order: Vec<LocationId> = self.locations.iter().map(|location| location.id).collect();
        order.sort_by_key(|id| (self.locations[id.index()].spec.priority, *id));
        self.ranks = vec![None; order.len()];
        let open = order.iter().filter(|id| {
            self.locations[id.index()].spec.state == LocationState::Open && !self.freezes.contains_key(*id)
        });
        for (rank, id) in (0..).zip(open) {
            self.ranks[id.index()] = Some(rank);
        }
        self.all_open = !self.ranks.contains(&None);
    }

    /// Freezes of locations, by location and id.
    #[must_use]
    pub fn freezes(&self) -> &BTreeMap<LocationId, Vec<Freeze>> {
        &self.freezes
    }

    /// Freezes of a location.
    #[must_use]
    pub fn freezes_of(&self, id: LocationId) -> &[Freeze] {
        self.freezes.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Whether new reservations are taken at a location: it is open and not frozen.
    #[must_use]
    pub fn takes(&self, id: LocationId) -> bool {
        self.rank(id).is_some()
    }

    /// This directory with the freezes of its locations changed.
    pub(crate) fn with_freezes(&self, change: impl FnOnce(&mut BTreeMap<LocationId, Vec<Freeze>>)) -> Self {
        let mut next = self.clone();
        change(Arc::make_mut(&mut next.freezes));
        next.rank_all();
        next
    }

    /// This directory as an event of the time `now` makes it; `None` when the event is not about it. What decisions read is not compiled.
    pub(crate) fn after(&self, event: &Event, lsn: Lsn, now: Timestamp) -> Option<Self> {
        let mut next = match event {
            Event::LocationsUpserted { locations, .. } => self.with_locations(locations),
            Event::ChannelsUpserted { channels, .. } => self.with_channels(channels),
            Event::RegionsUpserted { regions, .. } => self.with_regions(regions),
            Event::DocumentDrafted { document, json } => {
                let mut next = self.clone();
                Arc::make_mut(&mut next.documents).put(Document {
                    id: document.clone(),
                    state: DocumentState::Draft,
                    json: Arc::clone(json),
                    effective_at: Timestamp(0),
                    revision: lsn,
                });
                next
            }
            Event::DocumentActivated { document, effective_at } => {
                let mut next = self.clone();
                Arc::make_mut(&mut next.documents).activate(document, *effective_at, now, lsn);
                next
            }
            Event::DocumentRetired { document } => {
                let mut next = self.clone();
                Arc::make_mut(&mut next.documents).retire(document, now, lsn);
                next
            }
            Event::Upkeep(event) => self.after_upkeep(event, lsn, now)?,
            Event::Rules(event) => self.with_stock_rules(Some(RulesInForce::after(event, lsn, now)?)),
            Event::Campaign(event) => self.with_campaigns(event.campaigns(&self.campaigns)?),
            _ => return None,
        };
        next.revision = lsn;
        Some(next)
    }

    /// This directory with the freezes of its locations as an event leaves them; `None` when the event is not about a location.
    fn after_upkeep(&self, event: &UpkeepEvent, lsn: Lsn, now: Timestamp) -> Option<Self> {
        match event {
            UpkeepEvent::Frozen { target: Frozen::Location(at), reason, reference } => {
                let freeze = Freeze { id: lsn.get(), reason: *reason, reference: reference.clone(), frozen_at: now };
                Some(self.with_freezes(|freezes| freezes.entry(*at).or_default().push(freeze)))
            }
            UpkeepEvent::Thawed { target: Frozen::Location(at), freezes: gone } => {
                Some(self.with_freezes(|freezes| crate::upkeep::thaw(freezes, at, gone)))
            }
            _ => None,
        }
    }

    /// This directory with regions put in their places, new ones behind the others.
    #[must_use]
    pub fn with_regions(&self, changed: &[RegionSpec]) -> Self {
        let mut next = self.clone();
        let regions = Arc::make_mut(&mut next.regions);
        let mut places: HashMap<String, usize, RandomState> = HashMap::with_hasher(hasher());
        places.extend(regions.iter().map(|region| region.code.clone()).zip(0..));
        for region in changed {
            match places.get(&region.code) {
                Some(place) => regions[*place] = region.clone(),
                None => {
                    places.insert(region.code.clone(), regions.len());
                    regions.push(region.clone());
                }
            }
        }
        next
    }

    /// This directory with these versions.
    #[must_use]
    pub fn with_documents(&self, documents: Vec<Document>) -> Self {
        let mut next = self.clone();
        let kept = Arc::make_mut(&mut next.documents);
        documents.into_iter().for_each(|document| kept.put(document));
        next
    }

    /// This directory with campaigns put in their places. New ones must come in the order of their ids.
    #[must_use]
    pub fn with_campaigns(&self, changed: Vec<Campaign>) -> Self {
        self.clone().put_campaigns(changed)
    }

    /// The same without a copy.
    pub(crate) fn put_campaigns(mut self, changed: Vec<Campaign>) -> Self {
        let campaigns = Arc::make_mut(&mut self.campaigns);
        changed.into_iter().for_each(|campaign| campaigns.put(campaign));
        self
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
        next.leaves_units = next.channels.iter().any(|channel| channel.spec.safety_units > 0);
        next.parents = next.channels.iter().map(|own| next.channel(&own.spec.parent).map(|around| around.id)).collect();
        next
    }
}

/// Selling nodes from the innermost outward.
pub type Path = SmallVec<[NodeId; 4]>;

impl Tree for Directory {
    fn parent(&self, node: NodeId) -> Option<NodeId> {
        let around = match (node.channel(), node.campaign()) {
            (Some(channel), _) => Directory::parent(self, channel),
            (None, campaign) => campaign.and_then(|campaign| self.campaign_channel(campaign)),
        };
        around.map(NodeId::from)
    }

    fn priority(&self, node: NodeId) -> u32 {
        let channel = node.channel().and_then(|channel| self.channels.get(channel.index()));
        channel.map_or(0, |channel| channel.spec.priority)
    }
}

/// All of the catalogue.
#[derive(Debug)]
pub struct Catalogue {
    skus: Vec<Arc<Sku>>,
    /// Codes of all SKUs by id, those of up to 24 bytes inline: every order reads one, and waits for memory once, not for what else is known
    /// of the SKU.
    codes: Vec<CompactString>,
    /// Active SKUs, found by their codes.
    by_code: Table,
    hasher: RandomState,
    styles: HashMap<Box<str>, Vec<SkuId>, RandomState>,
    /// Active kits.
    kits: BTreeSet<SkuId>,
    directory: Arc<Directory>,
    revision: Lsn,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            skus: Vec::new(),
            codes: Vec::new(),
            by_code: Table::default(),
            hasher: hasher(),
            styles: HashMap::with_hasher(hasher()),
            kits: BTreeSet::new(),
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
        self.sku_of(self.tag_of(code), code)
    }

    /// What a code is found by.
    pub(crate) fn tag_of(&self, code: &str) -> Tag {
        Tag::of(self.hasher.hash_one(code))
    }

    /// Active SKU by code, whose tag is known.
    pub(crate) fn sku_of(&self, tag: Tag, code: &str) -> Option<SkuId> {
        self.by_code.find(tag, |id| self.codes[SkuId(id).index()] == code).map(SkuId)
    }

    /// Asks for the memory where a code of this tag is looked for.
    pub(crate) fn ask_for_place(&self, tag: Tag) {
        self.by_code.ask_for(tag);
    }

    /// Asks for the memory of the code that is found there, and gives the SKU that it most likely stands for.
    pub(crate) fn ask_for_code(&self, tag: Tag) -> Option<SkuId> {
        let likely = self.by_code.find(tag, |_| true).map(SkuId)?;
        self.codes.get(likely.index()).into_iter().for_each(near::ask_for);
        Some(likely)
    }

    /// Code of a SKU of this catalogue.
    ///
    /// # Panics
    /// If the id was never given out: ids come from this catalogue or from the journal.
    #[must_use]
    pub fn sku_code(&self, id: SkuId) -> &str {
        &self.codes[id.index()]
    }

    /// Active SKUs of a style, by id.
    #[must_use]
    pub fn style(&self, style: &str) -> &[SkuId] {
        self.styles.get(style).map_or(&[], Vec::as_slice)
    }

    /// Active kits, by id.
    #[must_use]
    pub fn kits(&self) -> &BTreeSet<SkuId> {
        &self.kits
    }

    /// What a SKU consists of; nothing unless it is a kit.
    #[must_use]
    pub fn components(&self, id: SkuId) -> &[Component] {
        self.skus.get(id.index()).map_or(&[], |sku| &sku.components)
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

    /// Makes room for so many SKUs more.
    pub(crate) fn reserve(&mut self, skus: usize) {
        self.by_code.reserve(skus);
        self.codes.reserve(skus);
        self.skus.reserve(skus);
    }

    /// Puts a SKU in its place. New ones must come in the order of their ids.
    pub(crate) fn put_sku(&mut self, sku: Sku) {
        let (id, retired) = (sku.id, sku.retired.is_some());
        if sku.components.is_empty() || retired {
            self.kits.remove(&id);
        } else {
            self.kits.insert(id);
        }
        if id.index() == self.codes.len() {
            // Nothing ever changes it: whoever names another means another SKU.
            self.codes.push(sku.spec.code.as_str().into());
        }
        if let Some(old) = self.skus.get(id.index()).map(Arc::clone) {
            if old.spec.style != sku.spec.style || retired {
                self.leave_style(&old.spec.style, id);
            }
            if retired && self.sku(&old.spec.code) == Some(id) {
                self.forget_code(&old.spec.code);
            }
        }
        if !retired {
            self.put_code(&sku.spec.code, id);
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

    /// Has an active SKU found by its code, in place of the one that had it.
    fn put_code(&mut self, code: &str, id: SkuId) {
        self.forget_code(code);
        self.by_code.insert(self.tag_of(code), id.0);
    }

    fn forget_code(&mut self, code: &str) {
        let tag = self.tag_of(code);
        if let Some(id) = self.sku_of(tag, code) {
            self.by_code.remove(tag, id.0);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(spec: &SkuSpec) -> u64 {
        let mut hash = Fingerprinter::default();
        spec.fingerprint(&mut hash);
        hash.finish()
    }

    #[test]
    fn a_sku_without_goods_keeps_the_fingerprint_it_had() {
        let plain = SkuSpec { code: "A".into(), attributes: vec![("k".into(), "v".into())], ..SkuSpec::default() };
        let mut old = Fingerprinter::default();
        old.text("A").text("").text("").text("").number(0).text("").number(0).number(0).text("k").text("v");
        assert_eq!(fingerprint(&plain), old.finish());
        for goods in [
            GoodsSpec { category: "x".into(), ..GoodsSpec::default() },
            GoodsSpec { dangerous_goods: "x".into(), ..GoodsSpec::default() },
            GoodsSpec { temperature: "x".into(), ..GoodsSpec::default() },
            GoodsSpec { dimensions_mm: [1, 0, 0], ..GoodsSpec::default() },
            GoodsSpec { dimensions_mm: [0, 1, 0], ..GoodsSpec::default() },
        ] {
            assert_ne!(fingerprint(&SkuSpec { goods, ..plain.clone() }), old.finish());
        }
    }
}
