//! Units ring-fenced for channels and campaigns: what an order may take, and what allotments may be made.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use quartermaster_journal::Lsn;

use super::Decision;
use crate::{
    allotment::{Allotment, LimitedBy, SkuAllotments, Tree, kept_within, quota_max, reach, reach_without_ceilings},
    catalog::{Channel, Directory, Path, Sku},
    command::allotment::{
        AllotmentCommand, Amount, MoveAllotments, NodeCode, ReturnAllotments, SetAllotments, SetRow, ShiftAllotments,
    },
    error::{AllotmentExcess, Error, Rejection, TreeFault},
    event::{
        Claim, Event, Line,
        allotment::{AllotmentChange, AllotmentEvent, AllotmentRow, AllotmentsSet},
    },
    id::{ChannelId, LocationId, NodeId, ShardId, SkuId},
    rules::left_for_others,
    shard::{Locked, Look, Shard},
    stock::Row,
    terms::Terms,
};

/// Channels lie within each other this deep at most.
pub(crate) const DEPTH_MAX: usize = 8;
/// Allotments that one request may change.
pub(crate) const ROWS_MAX: usize = 20_000;
/// Excesses that a rejection names.
const EXCESSES_MAX: usize = 100;

/// Units of a SKU available at open locations.
pub(crate) fn pool(row: &Row, directory: &Directory) -> u64 {
    if directory.all_open() {
        return row.available();
    }
    row.stocked().filter(|(at, _)| directory.takes(*at)).map(|(_, units)| units.units()).sum()
}

/// How much of one SKU an order may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cap {
    /// Units, over all its lines.
    pub(crate) units: u64,
    /// What there is no more by.
    pub(crate) by: LimitedBy,
}

/// What an order of this path may take of a SKU; `None` where nobody has an allotment of it and nothing is left to others: whatever there is. `replaced` is a hold
/// given up in the same step: its units are free, and count to nobody.
pub(crate) fn cap(look: &impl Look, sku: SkuId, path: &[NodeId], replaced: Option<&Claim>) -> Option<Cap> {
    let shard = look.shard(sku.shard());
    let (row, directory) = (shard.row(sku), look.directory());
    let left = left_for_others(directory, shard, sku, path);
    let mut pool = pool(row, directory);
    let Some(entries) = shard.allotments.get(&sku) else {
        pool += replaced.map_or(0, |claim| freed(row, directory, sku, claim));
        return (left > 0).then(|| Cap { units: pool, by: LimitedBy::Stock }.leaving(pool, left));
    };
    if let Some(claim) = replaced {
        pool += freed(row, directory, sku, claim);
    }
    let entries = without(shard, sku, entries, replaced);
    Some(cap_of(directory, &entries, path, pool).leaving(pool, left))
}

/// Entries of a SKU without what counts of a hold that is given up.
fn without<'a>(
    shard: &Shard,
    sku: SkuId,
    entries: &'a SkuAllotments,
    replaced: Option<&Claim>,
) -> Cow<'a, SkuAllotments> {
    let mut entries = Cow::Borrowed(entries);
    let Some(claim) = replaced else { return entries };
    let Some(part) = shard.parts.get(&claim.reservation) else { return entries };
    let charged = |at: LocationId| part.line(sku, at).is_some_and(|own| own.charged);
    let lines = claim.lines.iter().filter(|line| line.sku == sku && charged(line.location));
    let ahead = claim.presold().iter().filter(|one| one.charged && one.line.sku == sku).map(|one| &one.line);
    let units: u32 = lines.chain(ahead).map(|line| line.quantity.0).fold(0, u32::saturating_add);
    for node in part.path() {
        if units > 0
            && let Some(own) = entries.to_mut().get_mut(node)
        {
            own.reserved = own.reserved.saturating_sub(units);
        }
    }
    entries
}

/// What an order of this path may be promised of a SKU in all, from stock or from what is expected: ceilings, and quotas that do not
/// spill over. What is expected is no part of the pool, so nobody's share stands against it.
pub(crate) fn promisable(look: &impl Look, sku: SkuId, path: &[NodeId], replaced: Option<&Claim>) -> u64 {
    let shard = look.shard(sku.shard());
    let Some(entries) = shard.allotments.get(&sku) else { return u64::MAX };
    let entries = without(shard, sku, entries, replaced);
    let bounds = path.iter().filter_map(|node| entries.get(node)).map(|own| {
        let ceiling = own.ceiling.map_or(u64::MAX, |ceiling| u64::from(ceiling).saturating_sub(own.used()));
        if own.quota.is_some() && !own.spill_over { ceiling.min(own.rest()) } else { ceiling }
    });
    bounds.min().unwrap_or(u64::MAX)
}

/// Like `cap`, of a single shard.
pub(crate) fn cap_in(shard: &Shard, sku: SkuId, path: &[NodeId]) -> Option<Cap> {
    let directory = &shard.directory;
    let left = left_for_others(directory, shard, sku, path);
    let entries = shard.allotments.get(&sku);
    if entries.is_none() && left == 0 {
        return None;
    }
    let pool = pool(shard.row(sku), directory);
    let free = Cap { units: pool, by: LimitedBy::Stock };
    Some(entries.map_or(free, |entries| cap_of(directory, entries, path, pool)).leaving(pool, left))
}

impl Cap {
    /// With so many units of the pool left to others.
    fn leaving(self, pool: u64, left: u64) -> Self {
        let rest = pool.saturating_sub(left);
        if rest < self.units { Self { units: rest, by: LimitedBy::Allotment } } else { self }
    }
}

/// Whether what an order may take of a SKU may be less than there is: one cheap look, for the most orders it is no.
pub(crate) fn is_bounded(shard: &Shard, sku: SkuId) -> bool {
    shard.directory.leaves_units()
        || !shard.rules.skus.is_empty() && shard.rules.skus.contains_key(&sku)
        || !shard.allotments.is_empty() && shard.allotments.contains_key(&sku)
}

fn cap_of(directory: &Directory, entries: &SkuAllotments, path: &[NodeId], pool: u64) -> Cap {
    let units = reach(directory, entries, path, pool);
    let capped = || path.iter().any(|node| entries.get(node).is_some_and(|own| own.ceiling.is_some()));
    let by = if units == pool {
        LimitedBy::Stock
    } else if capped() && reach_without_ceilings(directory, entries, path, pool) > units {
        LimitedBy::Ceiling
    } else {
        LimitedBy::Allotment
    };
    Cap { units, by }
}

/// Units that come to open locations when a hold is given up: those that are short keep them.
fn freed(row: &Row, directory: &Directory, sku: SkuId, claim: &Claim) -> u64 {
    let lines = claim.lines.iter().filter(|line| line.sku == sku && directory.takes(line.location));
    lines
        .map(|line| {
            let mut cell = row.get(line.location);
            let before = cell.available().units();
            cell.reserved = cell.reserved.checked_sub(line.quantity).unwrap_or_default();
            cell.available().units().saturating_sub(before)
        })
        .sum()
}

/// Units that may leave a location for others, where that takes from what is for sale: units at a location that is not open, or that are
/// promised and not there, free nothing where they leave. They may be taken where nobody keeps them. `None` for no limit.
pub(crate) fn movable(look: &impl Look, sku: SkuId, from: LocationId) -> Option<u64> {
    let shard = look.shard(sku.shard());
    if shard.allotments.is_empty() {
        return None;
    }
    let entries = shard.allotments.get(&sku)?;
    let (row, directory) = (shard.row(sku), look.directory());
    let lost = if directory.takes(from) { missing(row, from) } else { u64::MAX };
    let free = reach(directory, entries, &[], pool(row, directory));
    (lost > free).then_some(free)
}

/// Whether units that leave a location free as many there, or nobody has an allotment of them.
pub(crate) fn moves_freely(look: &impl Look, line: &Line) -> bool {
    !counts(look, line.sku)
        || look.directory().takes(line.location)
            && missing(look.shard(line.sku.shard()).row(line.sku), line.location) == 0
}

/// Units by which a cell falls short of what is promised and kept back there.
fn missing(row: &Row, at: LocationId) -> u64 {
    let cell = row.get(at);
    let taken = [cell.reserved, cell.committed, cell.safety, cell.quality_control, cell.damaged, cell.in_repair];
    taken.iter().map(|units| units.units()).sum::<u64>().saturating_sub(cell.on_hand.units())
}

/// Whether anybody has an allotment of a SKU, or units that count to one.
pub(crate) fn counts(look: &impl Look, sku: SkuId) -> bool {
    let shard = look.shard(sku.shard());
    !shard.allotments.is_empty() && shard.allotments.contains_key(&sku)
}

/// The terms of an order whose units count to this path.
pub(crate) fn terms(path: &Path) -> Option<Box<Terms>> {
    (!path.is_empty()).then(|| Box::new(Terms { path: path.to_vec().into(), ..Terms::default() }))
}

/// Whether channels make a tree with these in their places.
pub(crate) fn check_tree(directory: &Directory, channels: &[Channel]) -> Result<(), Error> {
    if channels.iter().all(|channel| channel.spec.parent.is_empty()) {
        return Ok(());
    }
    let next = directory.with_channels(channels);
    for (position, channel) in channels.iter().enumerate() {
        let fault = |fault| Err(Error::ChannelTree { position, channel: channel.spec.code.clone(), fault });
        if !channel.spec.parent.is_empty() && next.channel(&channel.spec.parent).is_none() {
            return fault(TreeFault::UnknownParent { parent: channel.spec.parent.clone() });
        }
        let mut above = std::iter::successors(next.parent(channel.id), |around| next.parent(*around));
        if above.by_ref().take(next.channels().len()).any(|around| around == channel.id) || above.next().is_some() {
            return fault(TreeFault::Cycle);
        }
    }
    // A channel that moves takes those within it along.
    let deep = next.channels().iter().find(|channel| next.path(Some(channel.id), None).len() > DEPTH_MAX);
    let Some(deep) = deep else { return Ok(()) };
    let above = next.path(Some(deep.id), None);
    let moved = |channel: &Channel| above.contains(&NodeId::from(channel.id));
    let position = channels.iter().position(moved).unwrap_or(0);
    let channel = channels.get(position).map_or_else(String::new, |channel| channel.spec.code.clone());
    Err(Error::ChannelTree { position, channel, fault: TreeFault::TooDeep { limit: DEPTH_MAX } })
}

/// Whether channels that change their parent, or what is within them, have allotments or units that count. With all shards locked.
pub(crate) fn check_in_use(locked: &Locked<'_>, base: &Directory, event: &Event) -> Result<(), Error> {
    let Event::ChannelsUpserted { channels, .. } = event else { return Ok(()) };
    let next = base.with_channels(channels);
    let moved: Vec<(usize, ChannelId)> = channels
        .iter()
        .enumerate()
        .filter(|(_, channel)| channel.id.index() < base.channels().len())
        .filter(|(_, channel)| base.parent(channel.id) != next.parent(channel.id))
        .map(|(position, channel)| (position, channel.id))
        .collect();
    if moved.is_empty() {
        return Ok(());
    }
    let nodes = ShardId::all().flat_map(|shard| locked.shard(shard).allotments.values().flat_map(BTreeMap::keys));
    let mut used: Vec<NodeId> = nodes.copied().collect();
    used.sort_unstable();
    used.dedup();
    for node in used {
        let above: Path = std::iter::successors(Some(node), |node| Tree::parent(base, *node)).collect();
        if let Some((position, id)) = moved.iter().find(|(_, id)| above.contains(&NodeId::from(*id))) {
            let channel = base.channel_code(*id).to_owned();
            return Err(Error::ChannelInUse { position: *position, channel });
        }
    }
    Ok(())
}

/// The node that codes name.
pub(crate) fn node(directory: &Directory, code: &NodeCode) -> Result<NodeId, Error> {
    if code.campaign.is_empty() {
        let channel = directory.channel(&code.channel);
        let channel = channel.ok_or_else(|| Error::UnknownChannel { code: code.channel.clone() })?;
        return Ok(channel.id.into());
    }
    let unknown = || Error::UnknownCampaign { code: code.campaign.clone() };
    directory.campaign_node(&code.campaign).ok_or_else(unknown)
}

/// Decides a change of allotments. `goods` are the SKUs that each of its rows stands for, in the order of their ids.
pub(crate) fn change(
    locked: &Locked<'_>,
    command: &AllotmentCommand,
    goods: &[Vec<Arc<Sku>>],
) -> Result<Decision, Error> {
    let mut desk = Desk::new(locked, goods)?;
    let kind = match command {
        AllotmentCommand::Set(set) => desk.set(set, goods)?,
        AllotmentCommand::Shift(shift) => desk.shift(shift, goods)?,
        AllotmentCommand::Move(step) => desk.step(step, goods)?,
        AllotmentCommand::Return(back) => desk.give_back(back, goods)?,
    };
    Ok(desk.finish(kind))
}

/// How units of several SKUs fall to each: in proportion to weights, by largest remainders, ties to the first. Where nothing weighs
/// anything all weigh the same.
pub(crate) fn spread(units: u64, weights: &[u64]) -> Vec<u64> {
    let even = vec![1; weights.len()];
    let weights = if weights.iter().all(|weight| *weight == 0) { &even } else { weights };
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let part = |weight: &u64| u128::from(units) * u128::from(*weight);
    let whole = |weight: &u64| u64::try_from(part(weight) / total.max(1)).unwrap_or(u64::MAX);
    let mut shares: Vec<u64> = weights.iter().map(whole).collect();
    let mut rests: Vec<(std::cmp::Reverse<u128>, usize)> = weights
        .iter()
        .enumerate()
        .map(|(place, weight)| (std::cmp::Reverse(part(weight) % total.max(1)), place))
        .collect();
    rests.sort_unstable();
    let left = units.saturating_sub(shares.iter().sum());
    for (_, place) in rests.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        shares[place] += 1;
    }
    shares
}

/// Why a quota cannot be as asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Exceeds,
    TooSmall,
    BelowWithin,
}

/// Allotments as the rows of a request leave them, one after another.
struct Desk<'a> {
    directory: &'a Directory,
    skus: BTreeMap<SkuId, Drawer>,
    clip: bool,
    refused: Vec<(Refusal, AllotmentExcess)>,
    rests_on: Lsn,
}

/// One SKU on the desk.
struct Drawer {
    pool: u64,
    entries: SkuAllotments,
    /// Nodes that changed, with the units that were cut off.
    changed: BTreeMap<NodeId, u32>,
}

impl<'a> Desk<'a> {
    fn new(locked: &'a Locked<'_>, goods: &[Vec<Arc<Sku>>]) -> Result<Self, Error> {
        let directory = locked.directory();
        let mut desk =
            Self { directory, skus: BTreeMap::new(), clip: false, refused: Vec::new(), rests_on: directory.revision() };
        for sku in goods.iter().flatten() {
            let shard = locked.shard(sku.id.shard());
            let row = shard.row(sku.id);
            desk.rests_on = desk.rests_on.max(row.revision());
            desk.skus.entry(sku.id).or_insert_with(|| Drawer {
                pool: pool(row, directory),
                entries: shard.allotments.get(&sku.id).cloned().unwrap_or_default(),
                changed: BTreeMap::new(),
            });
        }
        Ok(desk)
    }

    fn drawer(&mut self, sku: &Sku) -> &mut Drawer {
        self.skus.get_mut(&sku.id).expect("every SKU of a request is on the desk")
    }

    fn pools(&self, skus: &[Arc<Sku>]) -> Vec<u64> {
        skus.iter().map(|sku| self.skus.get(&sku.id).map_or(0, |drawer| drawer.pool)).collect()
    }

    fn set(&mut self, set: &SetAllotments, goods: &[Vec<Arc<Sku>>]) -> Result<AllotmentChange, Error> {
        self.clip = set.clip;
        for (position, (row, skus)) in set.rows.iter().zip(goods).enumerate() {
            let node = node(self.directory, &row.node)?;
            self.set_row(position, row, node, skus)?;
        }
        Ok(AllotmentChange::Set)
    }

    fn set_row(&mut self, position: usize, row: &SetRow, node: NodeId, skus: &[Arc<Sku>]) -> Result<(), Error> {
        let pools = self.pools(skus);
        let quota = row.quota.map(|amount| match amount {
            Amount::Units(units) => units.units(),
            Amount::MilliPercent(part) => {
                let all: u128 = pools.iter().map(|units| u128::from(*units)).sum();
                u64::try_from(all * u128::from(part) / 100_000).unwrap_or(u64::MAX)
            }
        });
        if let (Some(quota), Some(ceiling)) = (quota, row.ceiling)
            && ceiling.units() < quota
        {
            let node = self.directory.node_code(node).to_owned();
            return Err(Error::CeilingBelowQuota { position, node, ceiling: ceiling.units(), quota });
        }
        let quotas = quota.map(|quota| spread(quota, &pools));
        let over = row.ceiling.map(|ceiling| spread(ceiling.units() - quota.unwrap_or(0), &pools));
        for (place, sku) in skus.iter().enumerate() {
            let quota = quotas.as_ref().map(|quotas| quotas[place]);
            let ceiling = over.as_ref().map(|over| over[place].saturating_add(quota.unwrap_or(0)));
            self.open(sku, node, |own| {
                own.ceiling = ceiling.map(clamp);
                own.spill_over = row.spill_over;
                if quota.is_none() {
                    own.quota = None;
                }
            });
            if let Some(quota) = quota {
                let before = self.drawer(sku).entries.clone();
                self.put_quota(sku, node, quota, &before);
            }
        }
        Ok(())
    }

    fn shift(&mut self, shift: &ShiftAllotments, goods: &[Vec<Arc<Sku>>]) -> Result<AllotmentChange, Error> {
        self.clip = shift.clip;
        for (row, skus) in shift.rows.iter().zip(goods) {
            let node = node(self.directory, &row.node)?;
            let own = self.with_quota(node, skus);
            if own.is_empty() {
                return Err(self.no_allotment(node, row.goods.code()));
            }
            let weights: Vec<u64> = if shift.raise {
                own.iter().map(|(sku, _)| self.skus.get(&sku.id).map_or(0, |drawer| drawer.pool)).collect()
            } else {
                own.iter().map(|(_, own)| u64::from(own.quota.unwrap_or(0))).collect()
            };
            let shares = spread(row.units.units(), &weights);
            for ((sku, own), units) in own.iter().zip(shares) {
                let quota = u64::from(own.quota.unwrap_or(0));
                let before = self.drawer(sku).entries.clone();
                if shift.raise {
                    self.put_quota(sku, node, quota.saturating_add(units), &before);
                } else if units > quota && !self.clip {
                    self.refuse(Refusal::TooSmall, sku, node, units, quota);
                } else {
                    self.note(sku, node, units.saturating_sub(quota));
                    self.put_quota(sku, node, quota.saturating_sub(units), &before);
                }
            }
        }
        Ok(if shift.raise { AllotmentChange::Raised } else { AllotmentChange::Lowered })
    }

    fn step(&mut self, step: &MoveAllotments, goods: &[Vec<Arc<Sku>>]) -> Result<AllotmentChange, Error> {
        self.clip = step.clip;
        for (position, (row, skus)) in step.rows.iter().zip(goods).enumerate() {
            let (from, to) = (node(self.directory, &row.from)?, node(self.directory, &row.to)?);
            let above = |node| std::iter::successors(Some(node), |node| Tree::parent(self.directory, *node));
            if above(from).any(|node| node == to) || above(to).any(|node| node == from) {
                let code = |node| self.directory.node_code(node).to_owned();
                return Err(Error::NodesNested { position, from: code(from), to: code(to) });
            }
            let own = self.with_quota(from, skus);
            if own.is_empty() {
                return Err(self.no_allotment(from, row.goods.code()));
            }
            let rests: Vec<u64> = own.iter().map(|(_, own)| own.rest()).collect();
            let shares = spread(row.units.units(), &rests);
            for ((sku, own), units) in own.iter().zip(shares) {
                self.move_units(sku, (from, own), to, units);
            }
        }
        Ok(AllotmentChange::Moved)
    }

    /// Moves units of quota; with `clip` as many as can be.
    fn move_units(&mut self, sku: &Sku, (from, own): (NodeId, &Allotment), to: NodeId, asked: u64) {
        if asked > own.rest() && !self.clip {
            self.refuse(Refusal::TooSmall, sku, from, asked, own.rest());
            return;
        }
        let before = self.drawer(sku).entries.clone();
        let mut units = asked.min(own.rest());
        if let Err((refusal, node, wanted, possible)) = self.try_move(sku, (from, to), units, &before) {
            if !self.clip {
                self.refuse(refusal, sku, node, wanted, possible);
                return;
            }
            // What can be moved grows with nothing but the units themselves: the most is found by halving.
            let (mut good, mut bad) = (0, units);
            while bad - good > 1 {
                let middle = good + (bad - good) / 2;
                match self.try_move(sku, (from, to), middle, &before) {
                    Ok(()) => good = middle,
                    Err(_) => bad = middle,
                }
            }
            units = good;
        }
        if units == 0 {
            self.note(sku, from, asked);
            return;
        }
        self.drawer(sku).shift(from, to, units);
        self.note(sku, from, 0);
        self.note(sku, to, asked - units);
    }

    /// Whether units of quota can change hands: what stands against it, of which node, and the figures asked for and possible.
    fn try_move(
        &mut self,
        sku: &Sku,
        (from, to): (NodeId, NodeId),
        units: u64,
        before: &SkuAllotments,
    ) -> Result<(), (Refusal, NodeId, u64, u64)> {
        let directory = self.directory;
        let drawer = self.drawer(sku);
        drawer.entries.clone_from(before);
        drawer.shift(from, to, units);
        let wrong = drawer.fits(directory, from, before).and_then(|()| drawer.fits(directory, to, before));
        drawer.entries.clone_from(before);
        wrong
    }

    fn give_back(&mut self, back: &ReturnAllotments, goods: &[Vec<Arc<Sku>>]) -> Result<AllotmentChange, Error> {
        let node = node(self.directory, &back.node)?;
        let mut found = false;
        for sku in goods.iter().flatten() {
            if self.drawer(sku).entries.get(&node).is_some_and(Allotment::is_set) {
                found = true;
                self.open(sku, node, |own| (own.quota, own.ceiling, own.spill_over) = (None, None, false));
            }
        }
        let goods = match &back.goods[..] {
            [one] => one.code(),
            _ => "",
        };
        if found { Ok(AllotmentChange::Returned) } else { Err(self.no_allotment(node, goods)) }
    }

    /// The SKUs of which a node has a quota.
    fn with_quota<'g>(&self, node: NodeId, skus: &'g [Arc<Sku>]) -> Vec<(&'g Arc<Sku>, Allotment)> {
        let own = |sku: &Arc<Sku>| self.skus.get(&sku.id).and_then(|drawer| drawer.entries.get(&node)).copied();
        let found = skus.iter().filter_map(|sku| own(sku).map(|own| (sku, own)));
        found.filter(|(_, own)| own.quota.is_some()).collect()
    }

    fn no_allotment(&self, node: NodeId, goods: &str) -> Error {
        Error::NoAllotment { node: self.directory.node_code(node).to_owned(), goods: goods.to_owned() }
    }

    /// Changes what a node has of a SKU; a new allotment counts from now on.
    fn open(&mut self, sku: &Sku, node: NodeId, change: impl FnOnce(&mut Allotment)) {
        let drawer = self.drawer(sku);
        drawer.changed.entry(node).or_default();
        change(drawer.own(node));
    }

    fn note(&mut self, sku: &Sku, node: NodeId, clipped: u64) {
        let cut = self.drawer(sku).changed.entry(node).or_default();
        *cut = cut.saturating_add(clamp(clipped));
    }

    fn refuse(&mut self, refusal: Refusal, sku: &Sku, node: NodeId, asked: u64, possible: u64) {
        if self.refused.first().is_none_or(|(first, _)| *first == refusal) && self.refused.len() < EXCESSES_MAX {
            let (sku, node) = (sku.spec.code.clone(), self.directory.node_code(node).to_owned());
            self.refused.push((refusal, AllotmentExcess { sku, node, asked, possible }));
        }
    }

    /// Gives a node a quota; with `clip` one that can be.
    fn put_quota(&mut self, sku: &Sku, node: NodeId, asked: u64, before: &SkuAllotments) {
        let (directory, clip) = (self.directory, self.clip);
        let drawer = self.drawer(sku);
        drawer.own(node).quota = Some(clamp(asked));
        drawer.changed.entry(node).or_default();
        match drawer.fits(directory, node, before) {
            Ok(()) if asked <= u64::from(u32::MAX) => {}
            Ok(()) => self.refuse(Refusal::Exceeds, sku, node, asked, u64::from(u32::MAX)),
            Err((_, _, _, possible)) if clip => {
                drawer.own(node).quota = Some(clamp(possible));
                match drawer.fits(directory, node, before) {
                    Ok(()) => self.note(sku, node, asked.abs_diff(possible)),
                    // A ceiling may leave no quota that keeps what is within.
                    Err((refusal, _, _, possible)) => self.refuse(refusal, sku, node, asked, possible),
                }
            }
            Err((refusal, _, _, possible)) => self.refuse(refusal, sku, node, asked, possible),
        }
        let own = *self.drawer(sku).own(node);
        match (own.quota, own.ceiling) {
            (Some(quota), Some(ceiling)) if quota > ceiling => {
                // Raised past its ceiling, or it would need more than that to keep what is within.
                let past = u64::from(ceiling) < asked;
                let refusal = if past { Refusal::Exceeds } else { Refusal::BelowWithin };
                self.refuse(refusal, sku, node, asked, if past { ceiling.into() } else { quota.into() });
            }
            _ => {}
        }
    }

    fn finish(self, kind: AllotmentChange) -> Decision {
        let mut excesses: Vec<AllotmentExcess> = Vec::with_capacity(self.refused.len());
        let reason = self.refused.first().map(|(reason, _)| *reason);
        excesses.extend(self.refused.into_iter().map(|(_, excess)| excess));
        let rejection = match reason {
            Some(Refusal::Exceeds) => Some(Rejection::AllotmentExceedsPool { excesses }),
            Some(Refusal::TooSmall) => Some(Rejection::AllotmentTooSmall { excesses }),
            Some(Refusal::BelowWithin) => Some(Rejection::AllotmentBelowNodesWithin { excesses }),
            None => None,
        };
        if let Some(rejection) = rejection {
            return Decision::Rejected(rejection, self.rests_on);
        }
        let rows = self.skus.iter().flat_map(|(sku, drawer)| {
            drawer.changed.iter().map(|(node, clipped)| {
                let own = drawer.entries.get(node).copied().unwrap_or_default();
                let (quota, ceiling, spill_over) = (own.quota, own.ceiling, own.spill_over);
                AllotmentRow { sku: *sku, node: *node, quota, ceiling, spill_over, clipped: *clipped }
            })
        });
        let rows = rows.collect();
        Decision::Event(Event::Allotment(Box::new(AllotmentEvent::Set(AllotmentsSet { kind, rows }))))
    }
}

impl Drawer {
    /// What a node has. An allotment that is made anew counts what is open, and nothing that was shipped before.
    fn own(&mut self, node: NodeId) -> &mut Allotment {
        let own = self.entries.entry(node).or_default();
        if !own.is_set() {
            own.shipped = 0;
        }
        own
    }

    /// Takes units of quota from one node to another, which gets the first one's spill-over if it had no quota.
    fn shift(&mut self, from: NodeId, to: NodeId, units: u64) {
        let source = self.own(from);
        source.quota = Some(clamp(u64::from(source.quota.unwrap_or(0)).saturating_sub(units)));
        let spill_over = source.spill_over;
        let target = self.own(to);
        if target.quota.is_none() {
            target.spill_over = spill_over;
        }
        target.quota = Some(clamp(u64::from(target.quota.unwrap_or(0)).saturating_add(units)));
    }

    /// Whether a node's quota can be what it is: what stands against it, of which node, and the figures asked for and possible.
    fn fits(
        &self,
        directory: &Directory,
        node: NodeId,
        before: &SkuAllotments,
    ) -> Result<(), (Refusal, NodeId, u64, u64)> {
        let own = self.entries.get(&node).copied().unwrap_or_default();
        let quota = u64::from(own.quota.unwrap_or(0));
        let most = quota_max(directory, &self.entries, before, node, self.pool);
        let most = most.min(own.ceiling.map_or(u64::MAX, u64::from)).min(u64::from(u32::MAX));
        // A quota that is not more than it was needs nothing from anybody.
        let was = before.get(&node).and_then(|was| was.quota).map(u64::from);
        let most = most.max(was.unwrap_or(0));
        if quota > most {
            return Err((Refusal::Exceeds, node, quota, most));
        }
        let within = kept_within(directory, &self.entries, node);
        let least = own.used().saturating_add(within).min(was.unwrap_or(u64::MAX));
        if within > 0 && quota < least {
            return Err((Refusal::BelowWithin, node, quota, least));
        }
        Ok(())
    }
}

fn clamp(units: u64) -> u32 {
    u32::try_from(units).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn units_are_spread_by_largest_remainders() {
        assert_eq!(spread(10, &[50, 30, 20]), [5, 3, 2]);
        assert_eq!(spread(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(spread(7, &[3, 0, 4]), [3, 0, 4]);
        assert_eq!(spread(5, &[0, 0]), [3, 2]);
        assert_eq!(spread(1, &[2, 5, 5]), [0, 1, 0]);
        assert_eq!(
            spread(u64::from(u32::MAX), &[u64::MAX >> 1, u64::MAX >> 1]).iter().sum::<u64>(),
            u64::from(u32::MAX)
        );
        assert!(spread(5, &[]).is_empty());
    }
}
