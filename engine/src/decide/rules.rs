//! Safety stock of many levels, and rules that set it and allotments: decisions.

use quartermaster_sourcing::{
    policy::Severity,
    rules::{RuleSet, check},
};

use super::Decision;
use crate::{
    catalog::{Directory, Sku, documents::DocumentFault},
    error::Error,
    event::{Event, rules::RulesEvent},
    rules,
    shard::Shard,
    time::Timestamp,
};

/// A set replaces the one before it, if nothing in it is wrong.
pub(crate) fn put(directory: &Directory, set: &RuleSet, expected: Option<u32>) -> Result<RulesEvent, Error> {
    let version = directory.stock_rules().map_or(0, |rules| rules.version);
    if let Some(expected) = expected.filter(|expected| *expected != version) {
        return Err(Error::StockRulesVersion { version, expected });
    }
    faults(directory, set)?;
    let next =
        version.checked_add(1).ok_or(Error::TableFull { what: "sets of stock rules", limit: u64::from(version) })?;
    Ok(RulesEvent::Put { version: next, json: set.to_json().into() })
}

/// Whether nothing in a set is wrong.
pub(crate) fn faults(directory: &Directory, set: &RuleSet) -> Result<(), Error> {
    let places = directory.places(&directory.stage(Timestamp(0)).network);
    let errors = check(set, &places).into_iter().filter(|finding| finding.severity == Severity::Error);
    let faults: Vec<_> = errors.map(|finding| DocumentFault { path: finding.path, message: finding.message }).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::InvalidStockRules { faults }) }
}

/// What the rules say of a SKU is put in its place, where it differs.
pub(crate) fn settle(shard: &Shard, sku: &Sku, now: Timestamp) -> Decision {
    let directory = &shard.directory;
    let Some(in_force) = directory.stock_rules() else { return Decision::Nothing };
    let outcome = rules::evaluate(directory, in_force.rules(), shard, sku, now);
    match rules::difference(shard, sku.id, in_force.version, &outcome) {
        Some(applied) => Decision::Event(Event::Rules(Box::new(RulesEvent::Applied(applied)))),
        None => Decision::Nothing,
    }
}
