//! Goods that arrive: announced, late, short, and promised before they are there.

use quartermaster_benches::files::Fault;
use quartermaster_engine::{
    command::{
        Command, StockReason,
        supply::{AnnounceInbound, ArrivedLine, ChangeInbound, ExpectedLine, ReceiveInbound, SupplyCommand},
    },
    event::{
        Event,
        supply::{InboundKind, PresoldTarget, SupplyEvent},
    },
};

use super::{Player, Task, units};
use crate::{
    calendar::{DAY, times},
    ledger::Stand,
};

fn code(number: usize) -> String {
    format!("PO{number:05}")
}

impl Player<'_> {
    pub(super) fn announce(&mut self, number: usize) -> Result<(), Fault> {
        let purchase = &self.world.purchases[number];
        // Of every third one the buyers are promised a little less than is announced.
        let confidence = (number % 3 == 2).then_some(95);
        let line = |line: &crate::world::Receipt| ExpectedLine {
            sku: self.code(line.good),
            quantity: units(line.units),
            cap: None,
            confidence,
        };
        let command = SupplyCommand::Announce(AnnounceInbound {
            code: code(number),
            kind: InboundKind::Purchase,
            location: self.site(purchase.place),
            eta: purchase.at.max(self.desk.now),
            lines: purchase.lines.iter().map(line).collect(),
            reference: String::new(),
        });
        if self.desk.must(&Command::Supply(command))?.is_some() {
            self.desk.tally.add("receipts: announced", 1);
            let count = purchase.lines.iter().map(|line| u64::from(line.units)).sum();
            self.desk.tally.add("receipts: units announced", count);
        }
        Ok(())
    }

    pub(super) fn postpone(&mut self, number: usize) -> Result<(), Fault> {
        let eta = self.world.purchases[number].at.plus(times(DAY, 7));
        let command = SupplyCommand::Change(ChangeInbound { code: code(number), eta: Some(eta), lines: Vec::new() });
        if let Some(Event::Supply(event)) = self.desk.must(&Command::Supply(command))? {
            self.desk.tally.add("receipts: a week late", 1);
            self.promises(&event);
        }
        Ok(())
    }

    pub(super) fn arrive(&mut self, number: usize) -> Result<(), Fault> {
        let purchase = &self.world.purchases[number];
        let short = (number + 1).is_multiple_of(10);
        let arrives =
            |units: u32| if short { u32::try_from(u64::from(units) * 95 / 100).unwrap_or(units) } else { units };
        let lines: Vec<ArrivedLine> = purchase
            .lines
            .iter()
            .map(|line| ArrivedLine {
                sku: self.code(line.good),
                quantity: units(arrives(line.units)),
                reason: StockReason::default(),
            })
            .collect();
        let count = lines.iter().map(|line| line.quantity.units()).sum();
        let command = Command::Supply(SupplyCommand::Receive(ReceiveInbound {
            code: code(number),
            lines,
            is_final: true,
            reason: StockReason::default(),
            reference: String::new(),
        }));
        if let Some(Event::Supply(event)) = self.desk.must(&command)? {
            self.desk.tally.add("receipts: arrived", 1);
            self.desk.tally.add("receipts: units arrived", count);
            self.desk.tally.add("receipts: short", u64::from(short));
            self.promises(&event);
        }
        if number.is_multiple_of(4) {
            self.sell_kit(number)?;
        }
        if number % 40 == 39 && !self.desk.submit(&command)?.is_no() {
            self.desk.faults.push(format!("{} arrived twice", code(number)));
        }
        Ok(())
    }

    /// What an arrival, or a later one, makes of promises.
    pub(super) fn promises(&mut self, event: &SupplyEvent) {
        for moved in &event.moves {
            let name = match moved.to {
                PresoldTarget::Stock(_) => "presale: units that became stock",
                PresoldTarget::Supply { .. } => "presale: units promised of another supply",
            };
            self.desk.tally.add(name, moved.quantity.units());
            let confirmed = self.desk.ledger.claims.get(&moved.reservation);
            if confirmed.is_some_and(|claim| claim.stand == Stand::Confirmed && !claim.open.is_empty()) {
                self.plan(self.desk.now.plus(DAY), Task::Ship(moved.reservation));
            }
        }
        let late = event.late.iter().map(|late| late.quantity.units()).sum();
        self.desk.tally.add("presale: units promised later", late);
        let uncovered = event.uncovered.iter().map(|one| one.quantity.units()).sum();
        self.desk.tally.add("presale: units that no supply covers", uncovered);
        for one in &event.uncovered {
            self.plan(self.desk.now.plus(times(DAY, 3)), Task::GiveUp(one.reservation));
        }
    }
}
