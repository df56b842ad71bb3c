//! Locations, channels, regions, policies and tariffs as every decision reads them.

use std::{collections::BTreeMap, sync::Arc};

use ahash::RandomState;
use hashbrown::HashMap;
use quartermaster_journal::Lsn;
use quartermaster_sourcing::region::RegionSpec;
use smallvec::SmallVec;

use super::{
    channel::Channel,
    documents::{Document, DocumentState, Documents},
    hasher,
    location::{Location, LocationState},
    network::{Stage, Stages},
};
use crate::{
    allotment::Tree,
    campaign::{Campaign, Campaigns},
    event::{Event, upkeep::UpkeepEvent},
    id::{CampaignId, ChannelId, LocationId, NodeId},
    rules::RulesInForce,
    time::Timestamp,
    upkeep::{Freeze, Frozen},
};

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
    pub(super) fn bare(stages: Arc<Stages>) -> Self {
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
            if put(&mut next.locations, location.id.index(), location) {
                next.location_by_code.insert(location.spec.code.as_str().into(), location.id);
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
            if put(&mut next.channels, channel.id.index(), channel) {
                next.channel_by_code.insert(channel.spec.code.as_str().into(), channel.id);
            }
        }
        next.leaves_units = next.channels.iter().any(|channel| channel.spec.safety_units > 0);
        next.parents = next.channels.iter().map(|own| next.channel(&own.spec.parent).map(|around| around.id)).collect();
        next
    }
}

/// Puts an entry in its place, or behind the last one. Says whether it is new.
fn put<T: Clone>(entries: &mut Vec<Arc<T>>, place: usize, entry: &T) -> bool {
    let entry = Arc::new(entry.clone());
    let Some(old) = entries.get_mut(place) else {
        assert_eq!(place, entries.len(), "ids are dense");
        entries.push(entry);
        return true;
    };
    *old = entry;
    false
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
