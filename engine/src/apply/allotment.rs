//! Units ring-fenced for channels and campaigns: how state follows events.
//!
//! What counts follows from the lines of reservations: a line is charged when its SKU has an entry at the moment it is held, and from then
//! on every event that moves its units moves them at every node of the reservation's path.

use super::{Applied, Change, KNOWN_SKU, Misfit, require};
use crate::{
    allotment::{Allotment, Allotments},
    event::{Line, Promise, allotment::AllotmentEvent},
    id::{NodeId, ReservationId, SkuId},
    quantity::Quantity,
    shard::Shard,
};

const COUNTED: Misfit = Misfit("what counts to an allotment is what charged lines have open");

impl Change {
    pub(super) fn allotment(&self, shard: &mut Shard, event: &AllotmentEvent) -> Applied {
        match event {
            AllotmentEvent::Set(set) => {
                for row in set.rows.iter().filter(|row| row.sku.shard() == self.here) {
                    require(row.sku.row() < shard.rows.len(), KNOWN_SKU)?;
                    // What can be had of the SKU changes, and whoever read it before must see that.
                    shard.row_mut(row.sku).set_revision(self.lsn);
                    let own = shard.allotments.entry(row.sku).or_default().entry(row.node).or_default();
                    own.set(row.quota, row.ceiling, row.spill_over);
                    prune(&mut shard.allotments, row.sku);
                    // What was set by hand keeps its place before rules, and gives way on a node that a rule speaks of.
                    shard.rules.mark(row.sku, self.now);
                }
                Ok(())
            }
        }
    }

    /// Counts new units to a path; gives whether there is anybody to count for.
    pub(super) fn charge(
        &self,
        allotments: &mut Allotments,
        path: &[NodeId],
        (sku, units): (SkuId, Quantity),
        promise: Promise,
    ) -> Result<bool, Misfit> {
        if path.is_empty() || allotments.is_empty() {
            return Ok(false);
        }
        let Some(entries) = allotments.get_mut(&sku) else { return Ok(false) };
        for node in path {
            let own = entries.entry(*node).or_default();
            add(own.promised_mut(promise), units)?;
            own.granted += units.units();
        }
        Ok(true)
    }

    /// Units of a line become committed.
    pub(super) fn charge_confirmed(&self, shard: &mut Shard, id: ReservationId, line: Line) -> Applied {
        self.recount(shard, id, line, |own, units| {
            take(&mut own.reserved, units)?;
            add(&mut own.committed, units)
        })
    }

    /// Units of a line go back to the pool.
    pub(super) fn charge_given_back(
        &self,
        shard: &mut Shard,
        id: ReservationId,
        line: Line,
        promise: Promise,
    ) -> Applied {
        self.recount(shard, id, line, |own, units| take(own.promised_mut(promise), units))
    }

    /// Units of a line left.
    pub(super) fn charge_shipped(&self, shard: &mut Shard, id: ReservationId, line: Line) -> Applied {
        self.recount(shard, id, line, |own, units| {
            take(&mut own.committed, units)?;
            own.shipped += units.units();
            Ok(())
        })
    }

    /// Units come to a line from another of the same reservation.
    pub(super) fn charge_moved_in(
        &self,
        shard: &mut Shard,
        id: ReservationId,
        line: Line,
        promise: Promise,
    ) -> Applied {
        self.recount(shard, id, line, |own, units| add(own.promised_mut(promise), units))
    }

    /// Units promised ahead that count become committed.
    pub(super) fn charge_confirmed_ahead(&self, shard: &mut Shard, id: ReservationId, line: Line) -> Applied {
        self.count(shard, id, line, |own, units| {
            take(&mut own.reserved, units)?;
            add(&mut own.committed, units)
        })
    }

    /// Units promised ahead that count are given back.
    pub(super) fn charge_given_back_ahead(
        &self,
        shard: &mut Shard,
        id: ReservationId,
        line: Line,
        promise: Promise,
    ) -> Applied {
        self.count(shard, id, line, |own, units| take(own.promised_mut(promise), units))
    }

    /// Changes what counts to each node of a reservation's path, if the line is charged.
    fn recount(
        &self,
        shard: &mut Shard,
        id: ReservationId,
        line: Line,
        change: impl Fn(&mut Allotment, Quantity) -> Applied,
    ) -> Applied {
        if shard.allotments.is_empty() {
            return Ok(());
        }
        if !shard.parts.get(&id).and_then(|part| part.line(line.sku, line.location)).is_some_and(|own| own.charged) {
            return Ok(());
        }
        self.count(shard, id, line, change)
    }

    /// Changes what counts to each node of a reservation's path.
    fn count(
        &self,
        shard: &mut Shard,
        id: ReservationId,
        line: Line,
        change: impl Fn(&mut Allotment, Quantity) -> Applied,
    ) -> Applied {
        let part = shard.parts.get(&id).ok_or(COUNTED)?;
        let entries = shard.allotments.get_mut(&line.sku).ok_or(COUNTED)?;
        for node in part.path() {
            change(entries.get_mut(node).ok_or(COUNTED)?, line.quantity)?;
        }
        prune(&mut shard.allotments, line.sku);
        Ok(())
    }
}

/// Forgets who has no allotment and nothing that counts, and SKUs of which nobody has.
pub(super) fn prune(allotments: &mut Allotments, sku: SkuId) {
    if let Some(entries) = allotments.get_mut(&sku) {
        entries.retain(|_, own| own.is_set() || own.reserved > 0 || own.committed > 0);
        if entries.is_empty() {
            allotments.remove(&sku);
        }
    }
}

fn add(figure: &mut u32, units: Quantity) -> Applied {
    *figure = figure.checked_add(units.0).ok_or(Misfit("what counts to an allotment stays within 32 bits"))?;
    Ok(())
}

fn take(figure: &mut u32, units: Quantity) -> Applied {
    *figure = figure.checked_sub(units.0).ok_or(COUNTED)?;
    Ok(())
}
