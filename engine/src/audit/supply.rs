//! Units that are expected, the promises on them, and transfers: what must add up.

use std::collections::BTreeMap;

use super::{AuditReport, Violation};
use crate::{
    id::{LocationId, ReservationId, SkuId, SupplyId},
    shard::Shard,
};

pub(super) fn audit(shard: &Shard, report: &mut AuditReport) {
    let state = &shard.supply;
    let mut presold: BTreeMap<(SupplyId, ReservationId), u64> = BTreeMap::new();
    for (id, part) in shard.parts.iter() {
        for one in part.presold() {
            *presold.entry((one.supply, id)).or_default() += one.line.quantity.units();
            if part.ended_at().is_some() {
                report.violations.push(Violation::OpenAfterEnd { reservation: id });
            }
        }
    }
    if state.is_unused() && presold.is_empty() {
        return;
    }
    let mut wrong = |supply: SupplyId, what, figure, counted| {
        if figure != counted {
            report.violations.push(Violation::Supply { supply: supply.0, what, figure, counted });
        }
    };
    let mut promised: BTreeMap<SupplyId, u64> = BTreeMap::new();
    for ((supply, id), units) in state.all_promises() {
        let counted = presold.remove(&(*supply, *id)).unwrap_or(0);
        wrong(*supply, "units promised to a reservation", units.units(), counted);
        *promised.entry(*supply).or_default() += units.units();
    }
    presold.into_iter().for_each(|((supply, _), units)| wrong(supply, "units promised to a reservation", 0, units));
    let mut listed: BTreeMap<SupplyId, SkuId> = state.uncovered().map(|(sku, supply)| (supply, sku)).collect();
    let mut announced: BTreeMap<(SkuId, LocationId), u64> = BTreeMap::new();
    for supply in state.supplies() {
        let id = supply.line.supply;
        wrong(id, "units promised", supply.promised, promised.remove(&id).unwrap_or(0));
        let is_listed = listed.remove(&id).is_some();
        wrong(id, "being listed as uncovered", u64::from(is_listed), u64::from(supply.promised > supply.may()));
        wrong(id, "being kept", 1, u64::from(supply.line.open || supply.promised > 0));
        *announced.entry((supply.line.sku, supply.location)).or_default() += supply.line.rest().units();
        let ordered = state.expected(supply.line.sku).any(|one| one.line.supply == id);
        wrong(id, "standing in the order of arrival", u64::from(ordered), u64::from(supply.line.open));
    }
    promised.into_iter().for_each(|(supply, units)| wrong(supply, "units promised", 0, units));
    listed.into_keys().for_each(|supply| wrong(supply, "being listed as uncovered", 1, 0));
    announced.retain(|_, units| *units > 0);
    let figures: BTreeMap<(SkuId, LocationId), u64> = state.all_announced().map(|(cell, sum)| (*cell, *sum)).collect();
    for (sku, location) in figures.keys().chain(announced.keys()).copied().collect::<Vec<_>>() {
        let figure = figures.get(&(sku, location)).copied().unwrap_or(0);
        let counted = announced.get(&(sku, location)).copied().unwrap_or(0);
        let incoming = shard.rows.get(sku.row()).map_or(0, |row| row.get(location).incoming.units());
        if figure != counted || incoming < counted {
            report.violations.push(Violation::Incoming { sku, location, incoming, figure, counted });
        }
    }
}
