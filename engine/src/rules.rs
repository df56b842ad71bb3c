//! Safety stock of many levels, and rules that set it and allotments.
//!
//! The set of rules stands in the directory; what it comes to for a SKU is put in its place by an event of its own, after whatever
//! changed it: the set, time, stock from outside, units shipped, or what SKUs, locations and channels are. A rule's figure follows from
//! stock alone and never from what is promised, so a reservation never moves it, and an evaluation that comes twice changes nothing.
//!
//! SKUs that wait for an evaluation carry marks. Marks are no state: after a restart every SKU is marked, and an evaluation that finds no
//! difference makes no event.

use std::{collections::BTreeMap, sync::Arc};

use quartermaster_journal::Lsn;
use quartermaster_sourcing::{
    LocationId as PlaceId,
    order::Goods,
    policy::Places,
    rules::{Compiled, CompiledRule, Effect, RuleSet, StockFacts},
};

use crate::{
    allotment::SkuAllotments,
    catalog::{Directory, Sku},
    event::rules::{Applied, KeptCell, RuledAllotment, RuledLeave, RuledTerms, RulesEvent},
    id::{LocationId, NodeId, SkuId},
    quantity::Quantity,
    shard::Shard,
    stock::{Buckets, Row},
    time::Timestamp,
};

/// The set of stock rules in force.
#[derive(Clone, Debug)]
pub struct RulesInForce {
    /// From 1.
    pub version: u32,
    /// Canonical text.
    pub json: Arc<str>,
    /// When it was put.
    pub put_at: Timestamp,
    /// LSN of the event that put it.
    pub revision: Lsn,
    /// What it says.
    pub set: Arc<RuleSet>,
    /// Names of rules that this version of the program cannot use.
    pub left_out: Arc<[String]>,
    compiled: Arc<Compiled>,
}

impl RulesInForce {
    /// A set as it was logged. Not compiled: until then no rule holds.
    #[must_use]
    pub fn new(version: u32, json: Arc<str>, put_at: Timestamp, revision: Lsn) -> Self {
        // A set that cannot be read any more was written by a newer version of this program, which the journal's format would have told.
        let set = Arc::new(RuleSet::read(&json).unwrap_or_default());
        Self { version, json, put_at, revision, set, left_out: Arc::default(), compiled: Arc::default() }
    }

    pub(crate) fn after(event: &RulesEvent, lsn: Lsn, now: Timestamp) -> Option<Self> {
        match event {
            RulesEvent::Put { version, json } => Some(Self::new(*version, Arc::clone(json), now, lsn)),
            RulesEvent::Applied(_) => None,
        }
    }

    pub(crate) fn compiled(&self, places: &dyn Places) -> Self {
        let (compiled, left_out) = Compiled::new(&self.set, places);
        Self { compiled: Arc::new(compiled), left_out: left_out.into(), ..self.clone() }
    }

    /// Takes what was compiled of the same set over the same places.
    pub(crate) fn compiled_as(&self, other: &Self) -> Self {
        Self { compiled: Arc::clone(&other.compiled), left_out: Arc::clone(&other.left_out), ..self.clone() }
    }

    /// Its rules, ready for use.
    #[must_use]
    pub fn rules(&self) -> &Compiled {
        &self.compiled
    }
}

/// What rules say of a SKU besides what they keep at cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ruled {
    /// Allotments that rules made.
    pub(crate) allotments: BTreeMap<NodeId, RuledTerms>,
    /// Units left to others.
    pub(crate) leaves: BTreeMap<NodeId, Quantity>,
}

impl Ruled {
    pub(crate) fn is_empty(&self) -> bool {
        self.allotments.is_empty() && self.leaves.is_empty()
    }
}

/// State behind a shard's lock.
#[derive(Debug, Default)]
pub(crate) struct RulesState {
    pub(crate) skus: BTreeMap<SkuId, Ruled>,
    /// A set was put: changes of stock leave marks.
    pub(crate) watching: bool,
    marks: BTreeMap<SkuId, Timestamp>,
    sweep: Option<Sweep>,
    /// Up to here the times at which rules begin and end to hold have been seen to.
    turned_to: Timestamp,
}

/// All rows wait, from this one on.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    next_row: usize,
    since: Timestamp,
}

impl RulesState {
    /// A SKU waits for an evaluation. The oldest mark counts.
    pub(crate) fn mark(&mut self, sku: SkuId, now: Timestamp) {
        if self.watching {
            self.marks.entry(sku).or_insert(now);
        }
    }

    /// All SKUs wait.
    pub(crate) fn mark_all(&mut self, now: Timestamp) {
        self.watching = true;
        let oldest = self.marks.values().copied().chain(self.sweep.map(|sweep| sweep.since)).min();
        let since = oldest.map_or(now, |oldest| oldest.min(now));
        self.marks.clear();
        self.sweep = Some(Sweep { next_row: 0, since });
    }

    /// The directory changed: to another set of rules, or in what the set speaks of.
    pub(crate) fn directory_changed(&mut self, directory: &Directory, now: Timestamp) {
        if directory.stock_rules().is_some() {
            self.mark_all(now);
        }
    }

    /// Whether nothing waits at this moment.
    pub(crate) fn is_settled(&self, rules: &Compiled, now: Timestamp) -> bool {
        self.marks.is_empty() && self.sweep.is_none() && !rules.turns_within(self.turned_to.0, now.0)
    }

    /// Whether a SKU waits.
    pub(crate) fn waits(&self, sku: SkuId) -> bool {
        self.marks.contains_key(&sku) || self.sweep.is_some_and(|sweep| sku.row() >= sweep.next_row)
    }

    /// SKUs that wait, and since when the first does.
    pub(crate) fn waiting(&self, rows: usize) -> (usize, Option<Timestamp>) {
        let swept = self.sweep.map_or(0, |sweep| rows.saturating_sub(sweep.next_row));
        let since = self.marks.values().copied().chain(self.sweep.map(|sweep| sweep.since)).min();
        ((self.marks.len() + swept).min(rows), since)
    }

    /// Takes up to `limit` marks off, of SKUs whose rows these many are.
    pub(crate) fn take(
        &mut self,
        shard: crate::id::ShardId,
        rows: usize,
        rules: &Compiled,
        now: Timestamp,
        limit: usize,
    ) -> Vec<(SkuId, Timestamp)> {
        if rules.turns_within(self.turned_to.0, now.0) {
            self.mark_all(now);
        }
        self.turned_to = self.turned_to.max(now);
        let mut taken = Vec::new();
        while taken.len() < limit
            && let Some(mark) = self.marks.pop_first()
        {
            taken.push(mark);
        }
        if let Some(sweep) = &mut self.sweep {
            while taken.len() < limit && sweep.next_row < rows {
                taken.extend(SkuId::from_row(shard, sweep.next_row).map(|sku| (sku, sweep.since)));
                sweep.next_row += 1;
            }
            if sweep.next_row >= rows {
                self.sweep = None;
            }
        }
        taken
    }

    /// Puts marks back that could not be seen to.
    pub(crate) fn put_back(&mut self, marks: impl Iterator<Item = (SkuId, Timestamp)>) {
        for (sku, since) in marks {
            let mark = self.marks.entry(sku).or_insert(since);
            *mark = (*mark).min(since);
        }
    }
}

/// Units of a SKU that whoever sells at the innermost node of `path` leaves to others, over all locations together: what the node or any
/// around it must leave by its channel's own setting or by rule, the strictest. What it can reach of a SKU is what there is, less these.
#[must_use]
pub(crate) fn left_for_others(directory: &Directory, shard: &Shard, sku: SkuId, path: &[NodeId]) -> u64 {
    if !directory.leaves_units() && shard.rules.skus.is_empty() {
        return 0;
    }
    let own = path.iter().filter_map(|node| node.channel()).filter_map(|id| directory.channels().get(id.index()));
    let set = own.map(|channel| u64::from(channel.spec.safety_units)).max().unwrap_or(0);
    if shard.rules.skus.is_empty() {
        return set;
    }
    let ruled = shard.rules.skus.get(&sku).into_iter();
    let ruled = ruled.flat_map(|ruled| path.iter().filter_map(|node| ruled.leaves.get(node)));
    ruled.map(|units| units.units()).max().unwrap_or(0).max(set)
}

/// What the rules that hold at a moment say of a SKU, each with the position of the rule that says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Every cell, by location; no rule where none is for it.
    pub(crate) cells: Vec<(LocationId, Quantity, Option<usize>)>,
    pub(crate) allotments: BTreeMap<NodeId, (RuledTerms, usize)>,
    pub(crate) leaves: BTreeMap<NodeId, (Quantity, usize)>,
    /// Figures that had no answer: their rules say nothing there.
    pub(crate) unanswered: u64,
}

/// Evaluates the rules for a SKU.
pub(crate) fn evaluate(directory: &Directory, rules: &Compiled, shard: &Shard, sku: &Sku, now: Timestamp) -> Outcome {
    let row = shard.row(sku.id);
    let goods = sku.spec.goods();
    let rules = rules.rules().iter().enumerate();
    let held: Vec<(usize, &CompiledRule)> =
        rules.filter(|(_, rule)| !row.retired() && rule.holds(now.0) && rule.is_for(&goods)).collect();
    let mut outcome = Outcome::default();
    keep(directory, row, &held, &goods, &mut outcome);
    // Of a SKU without cells there is nothing to share: no entries for goods that are merely listed.
    if !row.is_empty() && held.iter().any(|(_, rule)| *rule.effect() != Effect::Keep) {
        share(directory, shard, row, &held, sku, &mut outcome);
    }
    outcome
}

/// Safety stock: at each cell the strictest rule holds, of equals the first.
fn keep(directory: &Directory, row: &Row, held: &[(usize, &CompiledRule)], goods: &Goods<'_>, outcome: &mut Outcome) {
    let places = directory.places(&directory.stage(Timestamp(0)).network);
    let keeps: Vec<_> = held.iter().filter(|(_, rule)| *rule.effect() == Effect::Keep).collect();
    for (location, cell) in row.cells() {
        let place = PlaceId(location.0);
        let mut strictest = (Quantity::ZERO, None);
        for (at, rule) in keeps.iter().filter(|(_, rule)| rule.is_at(place)) {
            let facts = rule.asks_of_place().then(|| places.facts(place));
            match rule.units(goods, facts.as_ref(), &of_cell(&cell)).map(Quantity::clamp) {
                Some(units) if strictest.1.is_none() || units > strictest.0 => strictest = (units, Some(*at)),
                Some(_) => {}
                None => outcome.unanswered += 1,
            }
        }
        outcome.cells.push((location, strictest.0, strictest.1));
    }
}

/// Allotments and what channels leave to others: figures over the cells of a scope.
fn share(
    directory: &Directory,
    shard: &Shard,
    row: &Row,
    held: &[(usize, &CompiledRule)],
    sku: &Sku,
    outcome: &mut Outcome,
) {
    let goods = sku.spec.goods();
    let none = SkuAllotments::new();
    let entries = shard.allotments.get(&sku.id).unwrap_or(&none);
    // Set by hand, an allotment keeps its place before those of rules; on the very node that a rule speaks of it gives way.
    let ruled = shard.rules.skus.get(&sku.id);
    let by_hand = entries.iter().filter(|(node, _)| ruled.is_none_or(|ruled| !ruled.allotments.contains_key(node)));
    let mut claims: Vec<(NodeId, u64)> = by_hand
        .map(|(node, entry)| (*node, u64::from(entry.quota.unwrap_or(0)).saturating_sub(entry.shipped)))
        .collect();
    let all = sum(directory, row, &outcome.cells, |_| true).sellable;
    for (at, rule) in held {
        let (channel, terms) = match rule.effect() {
            Effect::Keep => continue,
            Effect::Allot { channel, ceiling, spill_over } => (channel, Some((ceiling, *spill_over))),
            Effect::Leave { channel } => (channel, None),
        };
        let Some(node) = directory.channel(channel).map(|channel| NodeId::from(channel.id)) else { continue };
        if terms.is_some() && outcome.allotments.contains_key(&node) {
            continue;
        }
        let stock = sum(directory, row, &outcome.cells, |location| rule.is_at(PlaceId(location.0)));
        let Some(units) = rule.units(&goods, None, &stock) else {
            outcome.unanswered += 1;
            continue;
        };
        let Some((ceiling, spill_over)) = terms else {
            let leave = outcome.leaves.entry(node).or_insert((Quantity::ZERO, *at));
            if Quantity::clamp(units) > leave.0 {
                *leave = (Quantity::clamp(units), *at);
            }
            continue;
        };
        // Not more than nobody else keeps apart.
        let others: u64 = claims.iter().filter(|(other, _)| !is_nested(node, *other)).map(|(_, units)| units).sum();
        let units = units.min(all.saturating_sub(others));
        claims.retain(|(other, _)| *other != node);
        claims.push((node, units));
        let shipped = entries.get(&node).map_or(0, |entry| entry.shipped);
        let figure = |units: u64| Quantity::clamp(shipped.saturating_add(units)).0;
        let ceiling = ceiling.map(|percent| figure(percent.of(stock.sellable).max(units)));
        outcome.allotments.insert(node, (RuledTerms { quota: figure(units), ceiling, spill_over }, *at));
    }
    outcome.leaves.retain(|_, (units, _)| !units.is_zero());
}

/// Whether what one keeps apart is the other's, too: the same node, or one within the other.
fn is_nested(one: NodeId, other: NodeId) -> bool {
    one == other
}

/// Whether a change of a cell is one that rules look at: anything but promises and what they keep themselves.
pub(crate) fn sees(before: &Buckets, after: &Buckets) -> bool {
    let stock =
        |cell: &Buckets| Buckets { reserved: Quantity::ZERO, committed: Quantity::ZERO, kept: Quantity::ZERO, ..*cell };
    stock(before) != stock(after)
}

fn of_cell(cell: &Buckets) -> StockFacts {
    StockFacts {
        on_hand: cell.on_hand.units(),
        sellable: cell.sellable(),
        safety: cell.safety.units(),
        incoming: cell.incoming.units(),
        cells: 1,
    }
}

/// The stock at open locations of a scope; what may be sold is without safety stock, that of the rules included.
fn sum(
    directory: &Directory,
    row: &Row,
    kept: &[(LocationId, Quantity, Option<usize>)],
    within: impl Fn(LocationId) -> bool,
) -> StockFacts {
    let mut sum = StockFacts::default();
    for ((location, cell), (_, kept, _)) in row.cells().zip(kept) {
        if !directory.takes(location) || !within(location) {
            continue;
        }
        let cell = Buckets { kept: *kept, ..cell };
        sum.on_hand += cell.on_hand.units();
        sum.sellable += cell.sellable().saturating_sub(cell.kept_back().units());
        sum.safety += cell.safety.units();
        sum.incoming += cell.incoming.units();
        sum.cells += 1;
    }
    sum
}

/// What an evaluation would change; `None`: nothing.
pub(crate) fn difference(shard: &Shard, sku: SkuId, version: u32, outcome: &Outcome) -> Option<Applied> {
    let row = shard.row(sku);
    let none = Ruled::default();
    let ruled = shard.rules.skus.get(&sku).unwrap_or(&none);
    let cells = row.cells().zip(&outcome.cells);
    let cells = cells.filter(|((_, cell), (_, kept, _))| cell.kept != *kept);
    let cells = cells.map(|(_, (location, kept, _))| KeptCell { location: *location, kept: *kept }).collect();
    let entries = shard.allotments.get(&sku);
    let stands = |node: &NodeId, terms: &RuledTerms| {
        let entry = entries.and_then(|entries| entries.get(node));
        ruled.allotments.get(node) == Some(terms)
            && entry.is_some_and(|entry| {
                let now = (entry.quota, entry.ceiling, entry.spill_over);
                now == (Some(terms.quota), terms.ceiling, terms.spill_over)
            })
    };
    let mut allotments: BTreeMap<NodeId, Option<RuledTerms>> = ruled
        .allotments
        .keys()
        .filter(|node| !outcome.allotments.contains_key(node))
        .map(|node| (*node, None))
        .collect();
    let new = outcome.allotments.iter().filter(|(node, (terms, _))| !stands(node, terms));
    allotments.extend(new.map(|(node, (terms, _))| (*node, Some(*terms))));
    let mut leaves: BTreeMap<NodeId, Quantity> = ruled
        .leaves
        .keys()
        .filter(|node| !outcome.leaves.contains_key(node))
        .map(|node| (*node, Quantity::ZERO))
        .collect();
    let new = outcome.leaves.iter().filter(|(node, (units, _))| ruled.leaves.get(node) != Some(units));
    leaves.extend(new.map(|(node, (units, _))| (*node, *units)));
    let applied = Applied {
        sku,
        version,
        cells,
        allotments: allotments.into_iter().map(|(node, terms)| RuledAllotment { node, terms }).collect(),
        leaves: leaves.into_iter().map(|(node, units)| RuledLeave { node, units }).collect(),
    };
    let nothing = applied.cells.is_empty() && applied.allotments.is_empty() && applied.leaves.is_empty();
    (!nothing).then_some(applied)
}
