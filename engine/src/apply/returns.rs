//! Units that come back from buyers: how state follows events.

use super::{Applied, Change, Misfit, minus, plus, require, whole_line};
use crate::{
    event::{
        CellChange, Event,
        returns::{Announced, Inspected, Received, ReturnKind, ReturnUnits, ReturnsEvent, Unmatched, Withdrawn},
    },
    id::{ReservationId, ReturnId},
    quantity::Quantity,
    returns::{Return, ReturnLine, put},
    shard::Shard,
};

const NAMED_LINES: Misfit = Misfit("a return's events name lines that it has");

impl Change {
    pub(super) fn returns(&self, shard: &mut Shard, event: &ReturnsEvent) -> Applied {
        match event {
            ReturnsEvent::Announced(announced) => self.announced(shard, announced, None),
            ReturnsEvent::Exchanged { announced, held } => {
                let Event::Held(held) = &**held else { return Err(Misfit("an exchange grants a hold")) };
                self.announced(shard, announced, Some(held.reservation))?;
                if held.reservation.home() == self.here {
                    shard.returns.exchanges.insert(held.reservation, announced.id);
                }
                self.held(shard, held)
            }
            ReturnsEvent::Received(received) => self.received(shard, received),
            ReturnsEvent::Unmatched(unmatched) => self.unmatched(shard, unmatched),
            ReturnsEvent::Inspected(inspected) => self.inspected(shard, inspected),
            ReturnsEvent::Withdrawn(withdrawn) => self.withdrawn(shard, withdrawn),
            ReturnsEvent::Counted(counted) => self.stock_here(shard, counted.rows.iter().map(|row| &row.change)),
        }
    }

    fn announced(&self, shard: &mut Shard, announced: &Announced, exchanged_for: Option<ReservationId>) -> Applied {
        let id = announced.reservation;
        for line in self.units_here(&announced.lines) {
            let from = line.shipped_from.ok_or(NAMED_LINES)?;
            let part = whole_line(shard, id, line.sku, from)?;
            plus(&mut part.announced, line.quantity)?;
            require(part.announced <= part.shipped, "no more is announced than was shipped")?;
        }
        // An exchange touches shards of the hold, too, in which the reservation need not lie.
        if let Some(part) = shard.parts.get(&id) {
            shard.returns.pin(id, part.ended_at());
        }
        self.touch_or_end_if_here(shard, Some(id))?;
        if announced.id.home() == self.here {
            let lines = announced.lines.iter().map(|line| ReturnLine {
                sku: line.sku,
                shipped_from: line.shipped_from,
                announced: line.quantity,
                received: Quantity::ZERO,
                withdrawn: Quantity::ZERO,
            });
            let record = Return {
                id: announced.id,
                reservation: Some(id),
                kind: announced.kind,
                reason: announced.reason,
                reference: announced.reference.clone(),
                expected_at: announced.expected_at,
                exchanged_for,
                created_at: self.now,
                ended_at: None,
                revision: self.lsn,
                lines: lines.collect(),
                arrivals: Vec::new(),
            };
            shard.returns.of.entry(id).or_default().push(record.id);
            self.new_return(shard, record)?;
        }
        Ok(())
    }

    fn received(&self, shard: &mut Shard, received: &Received) -> Applied {
        self.stock_here(shard, received.changes.iter())?;
        self.count_back(shard, received.kind, &received.changes);
        if let Some(id) = received.reservation {
            self.withdraw(shard, id, &received.withdrawn)?;
        }
        self.touch_or_end_if_here(shard, received.reservation)?;
        self.change_return(shard, received.id, received.ended, |record| {
            for line in &received.lines {
                let kept = record.line_mut(line.sku, line.shipped_from).ok_or(NAMED_LINES)?;
                plus(&mut kept.received, line.quantity)?;
                require(kept.received <= kept.announced, "no more arrives than was announced")?;
                plus(&mut record.arrival_mut(line.sku, received.location).received, line.quantity)?;
            }
            withdraw_lines(record, &received.withdrawn)
        })?;
        self.unpin(shard, received.reservation, received.ended)
    }

    fn unmatched(&self, shard: &mut Shard, unmatched: &Unmatched) -> Applied {
        self.stock_here(shard, unmatched.changes.iter())?;
        self.count_back(shard, unmatched.kind, &unmatched.changes);
        if unmatched.id.home() != self.here {
            return Ok(());
        }
        let mut record = Return {
            id: unmatched.id,
            reservation: None,
            kind: unmatched.kind,
            reason: unmatched.reason,
            reference: unmatched.reference.clone(),
            expected_at: Some(unmatched.location),
            exchanged_for: None,
            created_at: self.now,
            ended_at: None,
            revision: self.lsn,
            lines: Vec::new(),
            arrivals: Vec::new(),
        };
        for change in &unmatched.changes {
            let units = Quantity::ZERO.checked_add_signed(change.on_hand).ok_or(NAMED_LINES)?;
            record.lines.push(ReturnLine {
                sku: change.sku,
                shipped_from: None,
                announced: units,
                received: units,
                withdrawn: Quantity::ZERO,
            });
            record.arrival_mut(change.sku, change.location).received = units;
        }
        self.new_return(shard, record)
    }

    fn inspected(&self, shard: &mut Shard, inspected: &Inspected) -> Applied {
        self.stock_here(shard, inspected.changes.iter())?;
        self.touch_or_end_if_here(shard, inspected.reservation)?;
        self.change_return(shard, inspected.id, inspected.ended, |record| {
            for line in &inspected.lines {
                let arrival = record.arrival_mut(line.sku, line.location);
                require(arrival.waiting() >= line.quantity.units(), "no more is inspected than arrived")?;
                plus(&mut arrival.inspected[line.disposition.index()], line.quantity)?;
            }
            Ok(())
        })?;
        if inspected.id.home() == self.here {
            for line in &inspected.lines {
                shard.returns.counts.disposed[line.disposition.index()] += line.quantity.units();
            }
        }
        self.unpin(shard, inspected.reservation, inspected.ended)
    }

    fn withdrawn(&self, shard: &mut Shard, withdrawn: &Withdrawn) -> Applied {
        self.withdraw(shard, withdrawn.reservation, &withdrawn.lines)?;
        self.touch_or_end_if_here(shard, Some(withdrawn.reservation))?;
        self.change_return(shard, withdrawn.id, withdrawn.ended, |record| withdraw_lines(record, &withdrawn.lines))?;
        self.unpin(shard, Some(withdrawn.reservation), withdrawn.ended)
    }

    /// Takes units off what a reservation's lines here have announced.
    fn withdraw(&self, shard: &mut Shard, id: ReservationId, lines: &[ReturnUnits]) -> Applied {
        for line in self.units_here(lines) {
            let from = line.shipped_from.ok_or(NAMED_LINES)?;
            minus(&mut whole_line(shard, id, line.sku, from)?.announced, line.quantity)?;
        }
        Ok(())
    }

    fn units_here<'a>(&self, lines: &'a [ReturnUnits]) -> impl Iterator<Item = &'a ReturnUnits> + use<'a> {
        let here = self.here;
        lines.iter().filter(move |line| line.sku.shard() == here)
    }

    fn stock_here<'a>(&self, shard: &mut Shard, changes: impl Iterator<Item = &'a CellChange>) -> Applied {
        for change in changes.filter(|change| change.sku.shard() == self.here) {
            self.stock(shard, change)?;
        }
        Ok(())
    }

    fn count_back(&self, shard: &mut Shard, kind: ReturnKind, changes: &[CellChange]) {
        for change in changes.iter().filter(|change| change.sku.shard() == self.here) {
            let back = shard.returns.came_back.entry(change.sku).or_default();
            match kind {
                ReturnKind::Customer => back.returned += change.on_hand.unsigned_abs(),
                ReturnKind::Undeliverable => back.undelivered += change.on_hand.unsigned_abs(),
            }
        }
    }

    fn touch_or_end_if_here(&self, shard: &mut Shard, id: Option<ReservationId>) -> Applied {
        match id {
            Some(id) if id.home() == self.here => self.touch_or_end(shard, id, None),
            _ => Ok(()),
        }
    }

    fn new_return(&self, shard: &mut Shard, record: Return) -> Applied {
        shard.returns.counts.states[record.state().index()] += 1;
        let before = shard.returns.records.insert(record.id, record);
        require(before.is_none(), "a return's id is given out once")
    }

    /// Changes a return that is at home here.
    fn change_return(
        &self,
        shard: &mut Shard,
        id: ReturnId,
        ended: bool,
        change: impl FnOnce(&mut Return) -> Applied,
    ) -> Applied {
        if id.home() != self.here {
            return Ok(());
        }
        let record = shard.returns.records.get_mut(&id).ok_or(Misfit("an event names a return that was made"))?;
        require(record.ended_at.is_none(), "a return ends once")?;
        let before = record.state();
        change(record)?;
        let after = record.state();
        require(after.is_open() != ended, "an event tells whether its return ended")?;
        record.revision = self.lsn;
        record.ended_at = ended.then_some(self.now);
        let unmatched = record.reservation.is_none();
        shard.returns.counts.states[before.index()] -= 1;
        shard.returns.counts.states[after.index()] += 1;
        if ended && unmatched {
            put(&mut shard.returns.unmatched_ended, (self.now, id));
        }
        Ok(())
    }

    fn unpin(&self, shard: &mut Shard, id: Option<ReservationId>, ended: bool) -> Applied {
        match id {
            Some(id) if ended && shard.parts.contains_key(&id) => {
                shard.returns.unpin(id, self.now).ok_or(Misfit("a reservation with an open return is kept"))
            }
            _ => Ok(()),
        }
    }
}

fn withdraw_lines(record: &mut Return, lines: &[ReturnUnits]) -> Applied {
    for line in lines {
        let kept = record.line_mut(line.sku, line.shipped_from).ok_or(NAMED_LINES)?;
        minus(&mut kept.announced, line.quantity)?;
        plus(&mut kept.withdrawn, line.quantity)?;
        require(kept.received <= kept.announced, "no more arrives than was announced")?;
    }
    Ok(())
}
