//! Goods that come back: announced against what was shipped, received, looked at; exchanged now and then.

use std::collections::BTreeMap;

use quartermaster_benches::files::Fault;
use quartermaster_engine::{
    command::{
        Command,
        returns::{
            AnnounceReturn, ExchangeReturn, InspectLine, InspectReturn, ReceiveReturn, ReceiveUnmatched, ReturnedLine,
            ReturnsCommand,
        },
    },
    event::{
        Event,
        returns::{Disposition, ReturnKind, ReturnReason},
    },
    id::{ReservationId, ReturnId},
};

use super::{Player, Task, selling::Ask, units};
use crate::{
    calendar::{DAY, times},
    desk::Outcome,
    world::{Good, Place},
};

/// What becomes of a unit, by a running number.
fn disposition(number: usize) -> Disposition {
    match number % 100 {
        0..80 => Disposition::Restock,
        80..88 => Disposition::QualityControl,
        88..93 => Disposition::Repair,
        93..97 => Disposition::Scrap,
        _ => Disposition::ReturnToVendor,
    }
}

impl Player<'_> {
    pub(super) fn take_back(&mut self, number: usize) -> Result<(), Fault> {
        let back = &self.world.returns[number];
        self.desk.tally.add("returns: documents", 1);
        let mut unmatched: BTreeMap<Good, u32> = BTreeMap::new();
        // By reservation: what, where from, how many.
        let mut matched: BTreeMap<(ReservationId, usize), BTreeMap<(Good, crate::ledger::Place), u32>> =
            BTreeMap::new();
        for line in &back.lines {
            let Some(order) = line.order else {
                *unmatched.entry(line.good).or_default() += line.units;
                continue;
            };
            let sku = self.desk.ledger.codes.skus[&self.world.goods[line.good].code];
            let mut missing = line.units;
            for id in &self.reservations[order] {
                let Some(claim) = self.desk.ledger.claims.get(id) else { continue };
                for (at, out) in claim.out.range((sku, quartermaster_engine::id::LocationId(0))..) {
                    if at.0 != sku || missing == 0 {
                        break;
                    }
                    let taken = matched.entry((*id, order)).or_default().entry((line.good, *at)).or_default();
                    let more = missing.min(out - *taken);
                    *taken += more;
                    missing -= more;
                }
            }
            self.desk.tally.add("returns: units that were never shipped", u64::from(missing));
        }
        for ((id, order), lines) in matched {
            let lines: BTreeMap<_, u32> = lines.into_iter().filter(|(_, units)| *units > 0).collect();
            if !lines.is_empty() {
                self.announce_return(id, order, &lines, &back.code)?;
            }
        }
        if !unmatched.is_empty() {
            self.unmatched(&back.code, unmatched.into_iter().collect())?;
        }
        Ok(())
    }

    fn announce_return(
        &mut self,
        id: ReservationId,
        order: usize,
        lines: &BTreeMap<(Good, crate::ledger::Place), u32>,
        code: &str,
    ) -> Result<(), Fault> {
        self.matched += 1;
        let mut by_good: BTreeMap<Good, u32> = BTreeMap::new();
        for ((good, _), count) in lines {
            *by_good.entry(*good).or_default() += count;
        }
        let codes = &self.desk.ledger.codes;
        let line = |((good, at), count): (&(Good, crate::ledger::Place), &u32)| ReturnedLine {
            sku: self.code(*good),
            shipped_from: codes.location_codes[at.1.index()].clone(),
            quantity: units(*count),
        };
        let kind = if self.matched.is_multiple_of(25) { ReturnKind::Undeliverable } else { ReturnKind::Customer };
        let announce = AnnounceReturn {
            reservation: id,
            kind,
            reason: ReturnReason(1),
            lines: lines.iter().map(line).collect(),
            expected_at: String::new(),
            reference: code.to_owned(),
        };
        let mut done = None;
        if self.matched.is_multiple_of(20) {
            let ask = Ask {
                order,
                code: format!("X{code}"),
                buyer: self.world.orders[order].buyer.clone(),
                trade: false,
                lines: by_good.iter().map(|(good, units)| (self.code(*good), *units)).collect(),
                sale: false,
            };
            let mut reserve = self.reserve_command(&ask);
            reserve.asked = None;
            let exchange = ExchangeReturn { announce: announce.clone(), reserve };
            match self.desk.submit(&Command::Returns(ReturnsCommand::Exchange(Box::new(exchange))))? {
                Outcome::Done(Event::Returns(event)) => {
                    self.desk.tally.add("returns: exchanged", 1);
                    if let Some(held) = event.held() {
                        self.granted(&ask, held);
                    }
                    done = event.id();
                }
                other => self.desk.tally.add(&format!("returns: exchange {}", other.name()), 1),
            }
        }
        if done.is_none()
            && let Some(Event::Returns(event)) =
                self.desk.must(&Command::Returns(ReturnsCommand::Announce(announce.clone())))?
        {
            done = event.id();
        }
        let Some(back) = done else { return Ok(()) };
        self.desk.tally.add("returns: announced", 1);
        self.desk.tally.add("returns: units announced", by_good.values().map(|units| u64::from(*units)).sum());
        self.plan(self.desk.now.plus(DAY), Task::Received { id: back, lines: by_good.into_iter().collect() });
        // Nobody sends back more than was shipped.
        if self.matched.is_multiple_of(30) {
            let mut more = announce;
            more.lines.iter_mut().for_each(|line| line.quantity = units(1_000_000));
            let again = self.desk.submit(&Command::Returns(ReturnsCommand::Announce(more)))?;
            if !again.is_no() {
                self.desk.faults.push(format!("{id} sends back more than was shipped"));
            }
        }
        Ok(())
    }

    /// The first store or the first distribution centre, by turns.
    fn next_place(&mut self) -> Place {
        self.returned_to += 1;
        if self.returned_to.is_multiple_of(2) { self.world.first_store() } else { self.world.first_dc() }
    }

    fn unmatched(&mut self, code: &str, lines: Vec<(Good, u32)>) -> Result<(), Fault> {
        let place = self.next_place();
        let command = ReturnsCommand::ReceiveUnmatched(ReceiveUnmatched {
            kind: ReturnKind::Customer,
            reason: ReturnReason(1),
            location: self.site(place),
            lines: lines.iter().map(|(good, count)| (self.code(*good), units(*count))).collect(),
            reference: code.to_owned(),
        });
        if let Some(Event::Returns(event)) = self.desk.must(&Command::Returns(command))?
            && let Some(id) = event.id()
        {
            let count = lines.iter().map(|(_, units)| u64::from(*units)).sum();
            self.desk.tally.add("returns: units unmatched", count);
            self.plan(self.desk.now.plus(times(DAY, 2)), Task::Inspect { id, place, lines });
        }
        Ok(())
    }

    pub(super) fn returned(&mut self, id: ReturnId, lines: Vec<(Good, u32)>) -> Result<(), Fault> {
        let place = self.next_place();
        let command = Command::Returns(ReturnsCommand::Receive(ReceiveReturn {
            id,
            location: self.site(place),
            lines: lines.iter().map(|(good, count)| (self.code(*good), units(*count))).collect(),
            last: true,
        }));
        if self.desk.must(&command)?.is_some() {
            self.desk.tally.add("returns: received", 1);
            if self.returned_to.is_multiple_of(50) && !self.desk.submit(&command)?.is_no() {
                self.desk.faults.push(format!("{id} arrived twice"));
            }
            self.plan(self.desk.now.plus(DAY), Task::Inspect { id, place, lines });
        }
        Ok(())
    }

    pub(super) fn inspect(&mut self, id: ReturnId, place: Place, lines: &[(Good, u32)]) -> Result<(), Fault> {
        let mut found: BTreeMap<(Good, Disposition), u32> = BTreeMap::new();
        for (good, count) in lines {
            for _ in 0..*count {
                *found.entry((*good, disposition(self.inspected))).or_default() += 1;
                self.inspected += 1;
            }
        }
        let line = |((good, disposition), count): (&(Good, Disposition), &u32)| InspectLine {
            sku: self.code(*good),
            location: self.site(place),
            quantity: units(*count),
            disposition: *disposition,
        };
        let lines = found.iter().map(line).collect();
        let command = ReturnsCommand::Inspect(InspectReturn { id, lines });
        if self.desk.must(&Command::Returns(command))?.is_none() {
            return Ok(());
        }
        for ((good, disposition), count) in found {
            self.desk.tally.add(&format!("returns: units to {}", disposition.name()), u64::from(count));
            match disposition {
                Disposition::QualityControl => *self.quality_control.entry((place, good)).or_default() += count,
                Disposition::Repair => *self.in_repair.entry((place, good)).or_default() += count,
                _ => {}
            }
        }
        Ok(())
    }
}
