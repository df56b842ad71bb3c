//! Safety stock of many levels, and rules that set it and allotments: the naive fold.

use std::collections::BTreeMap;

use quartermaster_proto::journal::v1 as wire;

use super::{Check, Fault, History, Moment};
use crate::{
    engine::Engine,
    event::rules::{Applied, RuledTerms, RulesEvent},
    id::{NodeId, ShardId, SkuId},
};

/// What the events left.
#[derive(Default)]
pub(super) struct RulesFold {
    /// Version and text in force.
    in_force: (u32, String),
    allotments: BTreeMap<(SkuId, NodeId), RuledTerms>,
    leaves: BTreeMap<(SkuId, NodeId), u32>,
}

impl History {
    pub(super) fn fold_rules(&mut self, at: Moment, event: &RulesEvent) {
        match event {
            RulesEvent::Put { version, json } => {
                if at.lsn <= self.names.complete_to {
                    return;
                }
                let expected = self.rules_fold.in_force.0 + 1;
                if *version != expected {
                    let fault = Fault::IdNotDense { what: "a set of stock rules", id: *version, expected };
                    self.findings.add(Check::Catalogue, fault);
                }
                self.rules_fold.in_force = (*version, json.to_string());
            }
            RulesEvent::Applied(applied) => self.rules_applied(at, applied),
        }
    }

    fn rules_applied(&mut self, at: Moment, applied: &Applied) {
        let sku = applied.sku;
        if !self.fresh(at.lsn, sku.shard()) {
            return;
        }
        if applied.version > self.rules_fold.in_force.0 || applied.version == 0 {
            let fault = Fault::Unknown { what: "a set of stock rules", id: applied.version };
            self.findings.add(Check::Catalogue, fault);
        }
        for cell in &applied.cells {
            if !self.exists(sku, cell.location) {
                return;
            }
            let before = self.shards.cell(sku, cell.location);
            if before.kept == cell.kept.0 {
                let rule = "rules tell only what they change";
                let fault = Fault::IllegalChange { cell: self.cell_code(sku, cell.location), rule };
                self.findings.add(Check::Conservation, fault);
            }
            let delta = i64::from(cell.kept.0) - i64::from(before.kept);
            self.change(at.lsn, sku, cell.location, &[("kept by rules", delta)]);
        }
        for allotment in &applied.allotments {
            match allotment.terms {
                Some(terms) => _ = self.rules_fold.allotments.insert((sku, allotment.node), terms),
                None => _ = self.rules_fold.allotments.remove(&(sku, allotment.node)),
            }
            self.allot_by_rule(sku, allotment.node, allotment.terms);
        }
        let fold = &mut self.rules_fold;
        for leave in &applied.leaves {
            match leave.units.0 {
                0 => _ = fold.leaves.remove(&(sku, leave.node)),
                units => _ = fold.leaves.insert((sku, leave.node), units),
            }
        }
        if let Some(row) = self.shards.row_mut(sku) {
            row.revision = at.lsn;
        }
    }

    /// Counts again from the other end: there is none, what rules keep follows from their events alone.
    pub(super) fn balance_rules(&mut self) {}

    /// Takes the set that a first snapshot says was in force.
    pub(super) fn begin_stock_rules(&mut self, rules: Option<wire::StockRules>) {
        if let Some(rules) = rules {
            self.rules_fold.in_force = (rules.version, rules.json);
        }
    }

    /// Takes what a first snapshot's shard says as the beginning.
    pub(super) fn begin_rules(&mut self, _shard: ShardId, section: &wire::RulesSection) {
        let (allotments, leaves) = read(section);
        self.rules_fold.allotments.extend(allotments);
        self.rules_fold.leaves.extend(leaves);
    }

    /// Compares with a shard: of an engine, or of a snapshot.
    pub(super) fn compare_rules(&mut self, check: Check, shard: ShardId, found: &wire::RulesSection) {
        let (allotments, leaves) = read(found);
        let here = |sku: &SkuId| sku.shard() == shard;
        let folded = self.rules_fold.allotments.iter().filter(|((sku, _), _)| here(sku));
        let allotment = differs(&allotments, &folded.map(|(key, terms)| (*key, *terms)).collect());
        let folded = self.rules_fold.leaves.iter().filter(|((sku, _), _)| here(sku));
        let leave = differs(&leaves, &folded.map(|(key, units)| (*key, *units)).collect());
        for (sku, figure) in [(allotment, "what rules allot"), (leave, "what channels leave to others")] {
            if let Some(sku) = sku {
                self.findings.add(check, Fault::EntryDiffers { what: "SKU", id: sku.0, figure });
            }
        }
    }

    /// Compares the set in force of a snapshot, or of an engine.
    pub(super) fn compare_stock_rules(&mut self, check: Check, version: u32, json: &str) {
        let (folded, text) = &self.rules_fold.in_force;
        if version != *folded || json != text {
            let figure = if version == *folded { "text" } else { "version" };
            self.findings.add(check, Fault::EntryDiffers { what: "set of stock rules", id: version, figure });
        }
    }

    /// Compares with an engine what lies in no shard.
    pub(super) fn compare_rules_whole(&mut self, engine: &Engine) {
        let found = {
            let catalogue = engine.catalogue();
            let rules = catalogue.directory().stock_rules();
            rules.map_or_else(Default::default, |rules| (rules.version, rules.json.to_string()))
        };
        self.compare_stock_rules(Check::Recovery, found.0, &found.1);
    }
}

type Table<T> = BTreeMap<(SkuId, NodeId), T>;

fn read(section: &wire::RulesSection) -> (Table<RuledTerms>, Table<u32>) {
    let (mut allotments, mut leaves) = (Table::new(), Table::new());
    let figure = |value: u64| value.checked_sub(1).map(|value| u32::try_from(value).unwrap_or(u32::MAX));
    for kept in &section.skus {
        for allotment in &kept.allotments {
            let terms = RuledTerms {
                quota: figure(allotment.quota).unwrap_or(0),
                ceiling: figure(allotment.ceiling),
                spill_over: allotment.spill_over,
            };
            allotments.insert((SkuId(kept.sku), NodeId(allotment.node)), terms);
        }
        leaves.extend(kept.leaves.iter().map(|leave| ((SkuId(kept.sku), NodeId(leave.node)), leave.units)));
    }
    (allotments, leaves)
}

/// The first SKU of which one table says other than the other.
fn differs<T: PartialEq>(found: &Table<T>, folded: &Table<T>) -> Option<SkuId> {
    let one = found.iter().find(|(key, value)| folded.get(*key) != Some(*value));
    let one = one.or_else(|| folded.iter().find(|(key, _)| !found.contains_key(*key)));
    one.map(|((sku, _), _)| *sku)
}
