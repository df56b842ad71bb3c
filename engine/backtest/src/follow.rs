//! What became of a reservation, done to the one that stands for it.
//!
//! Units are matched by SKU, wherever the other world has them. When the log's reservation ends, so does the other: whatever it still has
//! open is shipped or cancelled with it.

use quartermaster_engine::{
    Engine, Verdict,
    command::{Command, Merge, Reassign, Step},
    event::{Claim, EndState, Event, HoldEndReason, Line},
    id::{LocationId, ReservationId},
    quantity::Quantity,
    reservation::{PartLine, Reservation},
    sourced::{Merged, Rerouted},
    time::{Micros, Timestamp},
};

use crate::{
    followed::Followed,
    pairs::Pairs,
    select::{by_sku, selections},
    world::World,
};

/// Does again what happened to a reservation.
pub(crate) struct Follower<'a> {
    pub(crate) world: &'a World,
    pub(crate) pairs: &'a mut Pairs,
    pub(crate) followed: &'a mut Followed,
    pub(crate) now: Timestamp,
}

impl Follower<'_> {
    /// Events other than holds and changes of stock and catalogue.
    pub(crate) fn follow(&mut self, event: &Event) {
        match event {
            Event::Confirmed { claim } => self.simple("confirmed", claim.reservation, Step::Confirm),
            Event::Extended { reservation, expires_at } => {
                let ttl = Micros(expires_at.0.saturating_sub(self.now.0));
                self.simple("extended", *reservation, Step::Extend(ttl));
            }
            Event::HoldEnded { claim, reason, .. } => {
                let (name, step) = match reason {
                    HoldEndReason::Released => ("released", Step::Release),
                    HoldEndReason::Expired => ("expired", Step::Expire),
                };
                self.simple(name, claim.reservation, step);
                self.end(claim.reservation);
            }
            Event::Cancelled { claim, end, .. } => self.cancelled(claim, *end),
            Event::Shipped { claim, end } => self.shipped(claim, *end),
            Event::Reassigned { reservation, line, from, .. } => self.reassigned(*reservation, *line, *from),
            Event::Rerouted(rerouted) => self.rerouted(rerouted),
            Event::Merged(merged) => self.merged(merged),
            _ => {}
        }
    }

    /// What stands for a reservation, with something open. Counts what concerns none.
    fn subject(&mut self, name: &'static str, log: ReservationId) -> Option<Reservation> {
        let Some(id) = self.pairs.get(log) else {
            self.followed.of_refused += 1;
            return None;
        };
        let open = self.world.open(id);
        if open.is_none() {
            self.followed.count(name, false);
        }
        open
    }

    fn simple(&mut self, name: &'static str, log: ReservationId, step: Step) {
        if let Some(reservation) = self.subject(name, log) {
            let done = self.step(reservation.id, step);
            self.followed.count(name, done);
        }
    }

    fn step(&self, id: ReservationId, step: Step) -> bool {
        matches!(self.world.step(id, step, self.now), Ok(answer) if matches!(answer.verdict, Verdict::Done(_)))
    }

    /// The log's reservation has ended: the other must not keep stock, and nothing more will be heard of either.
    fn end(&mut self, log: ReservationId) {
        if let Some(reservation) = self.pairs.get(log).and_then(|id| self.world.open(id)) {
            let cancelled = self.step(reservation.id, Step::Cancel(Vec::new()));
            if !cancelled {
                self.step(reservation.id, Step::Expire);
            }
        }
        self.pairs.forget(log);
    }

    fn cancelled(&mut self, claim: &Claim, end: Option<EndState>) {
        if let Some(reservation) = self.subject("cancelled", claim.reservation) {
            let lines = match end {
                Some(_) => Vec::new(),
                None => self.matching(&reservation, &claim.lines, |line| line.open.units()),
            };
            let done = (end.is_some() || !lines.is_empty())
                && self.step(reservation.id, Step::Cancel(selections(self.world, &lines)));
            self.followed.count("cancelled", done);
        }
        if end.is_some() {
            self.end(claim.reservation);
        }
    }

    fn shipped(&mut self, claim: &Claim, end: Option<EndState>) {
        if let Some(reservation) = self.subject("shipped", claim.reservation) {
            let engine = &self.world.engine;
            let there = |line: &PartLine| there(engine, line);
            let lines = match end {
                Some(_) => everything(&reservation, there),
                None => self.matching(&reservation, &claim.lines, there),
            };
            let done = !lines.is_empty() && self.step(reservation.id, Step::Ship(selections(self.world, &lines)));
            self.followed.count("shipped", done);
            if end.is_some() {
                let open: u64 = reservation.lines.iter().map(|line| line.open.units()).sum();
                let gone: u64 = lines.iter().map(|line| line.quantity.units()).sum();
                self.followed.units_not_there += open.saturating_sub(if done { gone } else { 0 });
            }
        }
        if end.is_some() {
            self.end(claim.reservation);
        }
    }

    fn matching(
        &mut self,
        reservation: &Reservation,
        wanted: &[Line],
        takeable: impl Fn(&PartLine) -> u64,
    ) -> Vec<Line> {
        let (lines, missing) = by_sku(reservation, wanted, takeable);
        self.followed.units_missing += missing;
        lines
    }

    /// Somebody moved units to a place of their choice: done again where the other plan has them at the place they left.
    fn reassigned(&mut self, log: ReservationId, line: Line, from: LocationId) {
        let Some(reservation) = self.subject("reassigned", log) else { return };
        let to = self.world.location(line.location);
        let done = self.moved(&reservation, Line { location: from, ..line }, to, false);
        self.followed.count("reassigned", done);
    }

    /// A place refused units, or somebody moved them to a place of their choice: it concerns the other plan only where that has them there.
    fn rerouted(&mut self, rerouted: &Rerouted) {
        // Where the router chose, it chooses again; where somebody did, the place is the same.
        let chosen = if rerouted.decision.is_some() { None } else { rerouted.to.first() };
        let name = if chosen.is_some() { "reassigned" } else { "rerouted" };
        let to = chosen.map_or_else(String::new, |line| self.world.location(line.location));
        for line in &rerouted.from {
            let Some(reservation) = self.subject(name, rerouted.reservation) else { continue };
            let done = self.moved(&reservation, *line, to.clone(), rerouted.refused_until.is_some());
            self.followed.count(name, done);
        }
    }

    fn moved(&self, reservation: &Reservation, line: Line, to: String, refused: bool) -> bool {
        let there = |own: &&PartLine| own.sku == line.sku && own.location == line.location && !own.open.is_zero();
        let Some(own) = reservation.lines.iter().find(there) else { return false };
        let step = Step::Reassign(Reassign {
            sku: self.world.sku(line.sku),
            from: self.world.location(line.location),
            to,
            quantity: Some(Quantity::clamp(own.open.units().min(line.quantity.units()))),
            refused,
        });
        self.step(reservation.id, step)
    }

    fn merged(&mut self, merged: &Merged) {
        self.followed.merges.count += 1;
        self.followed.merges.saved += i128::from(merged.cost_before) - i128::from(merged.decision.cost());
        let members: Vec<Reservation> = merged
            .moves
            .iter()
            .filter_map(|part| self.pairs.get(part.reservation).and_then(|id| self.world.open(id)))
            .collect();
        let again = self.merge(&members);
        if let Some(again) = &again {
            self.followed.merges_again.count += 1;
            self.followed.merges_again.saved += i128::from(again.cost_before) - i128::from(again.decision.cost());
        }
        self.followed.count("merged", again.is_some());
    }

    fn merge(&self, members: &[Reservation]) -> Option<Box<Merged>> {
        let first = members.first()?;
        let merge = Merge {
            buyer_id: first.buyer_id.to_string(),
            receiver_key: first.sourcing.as_ref()?.ask.receiver_key.to_string(),
            reservations: members.iter().map(|reservation| reservation.id).collect(),
        };
        match self.world.submit(&Command::Merge(merge), self.now).ok()?.verdict {
            Verdict::Done(Event::Merged(merged)) => Some(merged),
            _ => None,
        }
    }
}

/// How many of an open line's units are physically there.
fn there(engine: &Engine, line: &PartLine) -> u64 {
    let on_hand = engine.cell(line.sku, line.location).buckets.on_hand;
    line.open.units().min(on_hand.units())
}

/// All that is open, as far as it may be taken.
fn everything(reservation: &Reservation, takeable: impl Fn(&PartLine) -> u64) -> Vec<Line> {
    let lines = reservation.lines.iter().map(|line| Line {
        sku: line.sku,
        location: line.location,
        quantity: Quantity::clamp(takeable(line)),
    });
    lines.filter(|line| !line.quantity.is_zero()).collect()
}
