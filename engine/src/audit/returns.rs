//! Units that come back from buyers: what must add up.

use std::collections::BTreeMap;

use super::{AuditReport, Violation};
use crate::{
    engine::Engine,
    event::ShardSet,
    id::{LocationId, ReservationId, ShardId, SkuId},
    reservation::PartRef,
    returns::{Return, ReturnCounts},
    shard::Shard,
};

/// Announced units by reservation, SKU and location of shipping.
type Announced = BTreeMap<(ReservationId, SkuId, LocationId), u64>;

pub(super) fn audit(shard: &Shard, report: &mut AuditReport) {
    let state = &shard.returns;
    let mut counts = ReturnCounts { disposed: state.counts.disposed, ..ReturnCounts::default() };
    let mut open: BTreeMap<ReservationId, u32> = BTreeMap::new();
    let mut indexed = 0;
    for record in state.records.values() {
        counts.states[record.state().index()] += 1;
        let rule = broken(record).or_else(|| {
            let id = record.reservation?;
            indexed += 1;
            *open.entry(id).or_default() += u32::from(record.state().is_open());
            let known = shard.parts.header(&id).is_some();
            let listed = state.of.get(&id).is_some_and(|ids| ids.binary_search(&record.id).is_ok());
            (!known || !listed).then_some("its reservation is kept and knows of it")
        });
        if let Some(rule) = rule {
            report.violations.push(Violation::Return { id: record.id, rule });
        }
    }
    if counts != state.counts || indexed != state.of.values().map(Vec::len).sum::<usize>() {
        report.violations.push(Violation::Counts { shard: shard.id });
    }
    for (id, count) in open {
        if state.pins.get(&id).map_or(0, |pin| pin.returns) != count {
            report.violations.push(Violation::OpenReturns { reservation: id });
        }
    }
    for (id, pin) in &state.pins {
        let part = shard.parts.get(id);
        let since = state.kept_since.get(id).copied().or_else(|| part.and_then(PartRef::ended_at));
        let queued = since.is_some_and(|since| state.shipped_ended.binary_search(&(since, *id)).is_ok());
        if part.is_none_or(|part| pin.shipped != part.ended_at().is_some()) || pin.returns == 0 || queued {
            report.violations.push(Violation::OpenReturns { reservation: *id });
        }
    }
    let own = announced(state.records.values());
    for (id, part) in shard.parts.iter() {
        for line in part.lines() {
            let sum = own.get(&(id, line.sku, line.location)).copied().unwrap_or(0);
            let at_home = id.home() == shard.id;
            if line.announced > line.shipped || (at_home && sum != line.announced.units()) {
                report.violations.push(Violation::Announced {
                    reservation: id,
                    sku: line.sku,
                    location: line.location,
                });
            }
        }
    }
}

/// What does not hold of a return.
fn broken(record: &Return) -> Option<&'static str> {
    let mut arrived: BTreeMap<SkuId, (u64, u64)> = BTreeMap::new();
    for line in &record.lines {
        if line.received > line.announced {
            return Some("no more arrives than was announced");
        }
        arrived.entry(line.sku).or_default().0 += line.received.units();
    }
    for arrival in &record.arrivals {
        if arrival.inspected_units() > arrival.received.units() {
            return Some("no more is inspected than arrived");
        }
        arrived.entry(arrival.sku).or_default().1 += arrival.received.units();
    }
    if arrived.values().any(|(lines, arrivals)| lines != arrivals) {
        return Some("what arrived of its lines arrived somewhere");
    }
    (record.state().is_open() != record.ended_at.is_none()).then_some("it has an end when nothing of it is open")
}

fn announced<'a>(records: impl Iterator<Item = &'a Return>) -> Announced {
    let mut sums = Announced::new();
    for record in records {
        let Some(id) = record.reservation else { continue };
        for line in &record.lines {
            if let Some(from) = line.shipped_from {
                *sums.entry((id, line.sku, from)).or_default() += line.announced.units();
            }
        }
    }
    sums
}

impl Engine {
    /// Adds up what returns have announced and compares it with the lines of their reservations, and the open returns that every
    /// shard of a reservation knows of. Looks at every shard at once, so it is for quiet points.
    #[must_use]
    pub fn audit_returns(&self) -> Vec<Violation> {
        let locked = self.shards.lock_shared(&ShardSet::ALL);
        let mut sums = announced(ShardId::all().flat_map(|shard| locked.shard(shard).returns.records.values()));
        let mut violations = Vec::new();
        for shard in ShardId::all() {
            let shard = locked.shard(shard);
            for (id, part) in shard.parts.iter() {
                let home = locked.shard(id.home());
                // A home that has forgotten the reservation has forgotten its returns.
                if !home.parts.contains_key(&id) {
                    continue;
                }
                let pins = |shard: &Shard| shard.returns.pins.get(&id).map_or(0, |pin| pin.returns);
                if pins(shard) != pins(home) {
                    violations.push(Violation::OpenReturns { reservation: id });
                }
                for line in part.lines() {
                    let sum = sums.remove(&(id, line.sku, line.location)).unwrap_or(0);
                    if sum != line.announced.units() {
                        let (sku, location) = (line.sku, line.location);
                        violations.push(Violation::Announced { reservation: id, sku, location });
                    }
                }
            }
        }
        for ((reservation, sku, location), _) in sums {
            // A part that its shard has forgotten, of a reservation whose home has not.
            let forgotten = !locked.shard(sku.shard()).parts.contains_key(&reservation);
            if !forgotten {
                violations.push(Violation::Announced { reservation, sku, location });
            }
        }
        violations
    }
}
