//! Safety stock of many levels, and rules that set it and allotments: reads.

use std::{collections::BTreeMap, sync::Arc};

use quartermaster_journal::Lsn;
use quartermaster_sourcing::{
    policy::Finding,
    rules::{RuleSet, check},
};

use crate::{
    catalog::Sku,
    decide::rules::faults,
    engine::Engine,
    error::Error,
    event::rules::{Applied, RuledTerms},
    id::{ChannelId, LocationId, ShardId, SkuId},
    quantity::Quantity,
    rules::{Outcome, RulesInForce, difference, evaluate, left_for_others},
    shard::Shard,
    time::{Micros, Timestamp},
};

/// What the rules do to one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleEffects {
    /// Which.
    pub sku: SkuId,
    /// What is in force is what the rules say now.
    pub settled: bool,
    /// Cells at which rules keep units back, or would.
    pub cells: Vec<KeptEffect>,
    /// Allotments that rules made, or would.
    pub allotments: Vec<AllotmentEffect>,
    /// Units that channels leave to others by rule, or would.
    pub leaves: Vec<LeaveEffect>,
    /// Figures that had no answer, because an attribute is missing or arithmetic has no result.
    pub unanswered: u64,
    /// LSN of the last event that changed the SKU's stock or what rules say of it.
    pub revision: Lsn,
}

/// Units kept back at a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEffect {
    /// Where.
    pub location: LocationId,
    /// Units in force.
    pub kept: Quantity,
    /// Safety stock set by hand: of the two the greater holds.
    pub safety: Quantity,
    /// Name of the strictest rule that holds now.
    pub rule: Option<String>,
}

/// An allotment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllotmentEffect {
    /// Whose.
    pub channel: ChannelId,
    /// In force.
    pub terms: Option<RuledTerms>,
    /// Name of the rule that holds now.
    pub rule: Option<String>,
}

/// Units left to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveEffect {
    /// By whom.
    pub channel: ChannelId,
    /// Units in force.
    pub units: Quantity,
    /// Name of the strictest rule that holds now.
    pub rule: Option<String>,
}

/// What a set of rules would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesPreview {
    /// What looks wrong, though it could be put.
    pub findings: Vec<Finding>,
    /// SKUs of which something would change.
    pub skus: u64,
    /// Cells of which the units kept back would change.
    pub cells: u64,
    /// Units that rules keep back now.
    pub kept_before: u64,
    /// Units that they would keep back.
    pub kept_after: u64,
    /// Allotments that would be made, changed or returned.
    pub allotments: u64,
    /// Changes of what channels leave to others.
    pub leaves: u64,
    /// The first changes, by SKU.
    pub examples: Vec<Applied>,
    /// Rules whose scope has no SKU that there is, by name.
    pub without_skus: Vec<String>,
}

/// How far the rules are behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RulesLag {
    /// Rules in the set.
    pub rules: u64,
    /// Rules that hold now.
    pub holding: u64,
    /// SKUs that wait for an evaluation.
    pub waiting: u64,
    /// How long the one that waits longest has waited.
    pub lag: Micros,
}

impl Engine {
    /// How far the rules are behind. Each shard at its own moment.
    #[must_use]
    pub fn rules_lag(&self, now: Timestamp) -> RulesLag {
        let mut lag = RulesLag::default();
        {
            let catalogue = self.catalogue.read();
            let Some(rules) = catalogue.directory().stock_rules() else { return lag };
            let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
            lag.rules = count(rules.rules().rules().len());
            lag.holding = count(rules.rules().holding(now.0).count());
        }
        for id in ShardId::all() {
            let shard = self.shards.read(id);
            let (waiting, since) = shard.rules.waiting(shard.rows.len());
            lag.waiting += u64::try_from(waiting).unwrap_or(u64::MAX);
            if let Some(since) = since.filter(|_| waiting > 0) {
                lag.lag = lag.lag.max(Micros(now.0.saturating_sub(since.0)));
            }
        }
        lag
    }

    /// Units of a SKU that a channel leaves to others, over all locations together.
    #[must_use]
    pub fn left_for_others(&self, sku: SkuId, channel: ChannelId) -> u64 {
        let shard = self.shards.read(sku.shard());
        left_for_others(&shard.directory, &shard, sku, &[channel.into()])
    }

    /// What the rules do to a SKU; `None` when they do nothing to it.
    #[must_use]
    pub fn rule_effects(&self, sku: SkuId, now: Timestamp) -> Option<RuleEffects> {
        let spec = Arc::clone(self.catalogue.read().skus().get(sku.index())?);
        let shard = self.shards.read(sku.shard());
        let rules = shard.directory.stock_rules()?;
        let outcome = evaluate(&shard.directory, rules.rules(), &shard, &spec, now);
        let settled = difference(&shard, sku, rules.version, &outcome).is_none();
        let effects = effects(&shard, rules, &spec, &outcome, settled);
        let nothing = effects.cells.is_empty() && effects.allotments.is_empty() && effects.leaves.is_empty();
        (!nothing || effects.unanswered > 0).then_some(effects)
    }

    /// What putting a set would do now, without doing it. Looks at every SKU, one shard at a time.
    ///
    /// # Errors
    /// `InvalidStockRules` when the set could not be put.
    pub fn preview_rules(&self, set: &RuleSet, now: Timestamp, examples_max: usize) -> Result<RulesPreview, Error> {
        let (directory, skus) = {
            let catalogue = self.catalogue.read();
            (Arc::clone(catalogue.directory()), catalogue.skus().to_vec())
        };
        faults(&directory, set)?;
        let places = directory.places(&directory.stage(Timestamp(0)).network);
        let version = directory.stock_rules().map_or(0, |rules| rules.version) + 1;
        let json = set.to_json().into();
        let candidate = RulesInForce::new(version, json, now, Lsn::ZERO).compiled(&places);
        let mut preview = RulesPreview { findings: check(set, &places), ..RulesPreview::default() };
        for rule in candidate.rules().rules() {
            if !skus.iter().any(|sku| sku.retired.is_none() && rule.is_for(&sku.spec.goods())) {
                preview.without_skus.push(rule.rule().name.clone());
            }
        }
        let mut examples = BTreeMap::new();
        for id in ShardId::all() {
            let shard = self.shards.read(id);
            let rows = (0..shard.rows.len()).filter_map(|row| SkuId::from_row(id, row));
            for sku in rows {
                // A SKU that is new since waits for the next look.
                let Some(spec) = skus.get(sku.index()) else { continue };
                let outcome = evaluate(&directory, candidate.rules(), &shard, spec, now);
                preview.kept_before += shard.row(sku).cells().map(|(_, cell)| cell.kept.units()).sum::<u64>();
                preview.kept_after += outcome.cells.iter().map(|(_, kept, _)| kept.units()).sum::<u64>();
                let Some(applied) = difference(&shard, sku, version, &outcome) else { continue };
                preview.skus += 1;
                let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
                preview.cells += count(applied.cells.len());
                preview.allotments += count(applied.allotments.len());
                preview.leaves += count(applied.leaves.len());
                examples.insert(sku, applied);
                if examples.len() > examples_max {
                    examples.pop_last();
                }
            }
        }
        preview.examples = examples.into_values().collect();
        Ok(preview)
    }
}

fn effects(shard: &Shard, rules: &RulesInForce, sku: &Sku, outcome: &Outcome, settled: bool) -> RuleEffects {
    let row = shard.row(sku.id);
    let name = |at: &usize| rules.rules().rules().get(*at).map(|rule| rule.rule().name.clone());
    let kept = shard.rules.skus.get(&sku.id).cloned().unwrap_or_default();
    let cells = row.cells().zip(&outcome.cells).map(|((location, cell), (_, _, rule))| KeptEffect {
        location,
        kept: cell.kept,
        safety: cell.safety,
        rule: rule.as_ref().and_then(name),
    });
    let mut allotments: BTreeMap<ChannelId, AllotmentEffect> = BTreeMap::new();
    let channels = kept.allotments.keys().chain(outcome.allotments.keys()).filter_map(|node| node.channel());
    for channel in channels {
        let node = channel.into();
        let terms = kept.allotments.get(&node).copied();
        let rule = outcome.allotments.get(&node).and_then(|(_, rule)| name(rule));
        allotments.insert(channel, AllotmentEffect { channel, terms, rule });
    }
    let mut leaves: BTreeMap<ChannelId, LeaveEffect> = BTreeMap::new();
    for channel in kept.leaves.keys().chain(outcome.leaves.keys()).filter_map(|node| node.channel()) {
        let node = channel.into();
        let units = kept.leaves.get(&node).copied().unwrap_or_default();
        let rule = outcome.leaves.get(&node).and_then(|(_, rule)| name(rule));
        leaves.insert(channel, LeaveEffect { channel, units, rule });
    }
    RuleEffects {
        sku: sku.id,
        settled: settled && !shard.rules.waits(sku.id),
        cells: cells.filter(|cell| cell.rule.is_some() || !cell.kept.is_zero()).collect(),
        allotments: allotments.into_values().collect(),
        leaves: leaves.into_values().collect(),
        unanswered: outcome.unanswered,
        revision: row.revision(),
    }
}
