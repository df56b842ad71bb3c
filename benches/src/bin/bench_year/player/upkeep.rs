//! What keeps a warehouse in order: corrections and the repair of what they hurt, transfers, releases, a freeze.

use quartermaster_benches::files::Fault;
use quartermaster_engine::{
    command::{
        AdjustStock, Bucket, CellCode, Command, Condition, MoveStock, StockCommand, StockReason,
        returns::{CountRow, CountStock, ReturnsCommand},
        supply::{ArrivedLine, ExpectedLine, ReceiveInbound, ShipTransfer, SupplyCommand},
        upkeep::{Freeze, Repair, RepairMode, Target, Thaw, UpkeepCommand, Which},
    },
    event::{
        Event,
        upkeep::{Remedy, UpkeepEvent},
    },
    upkeep::FreezeReason,
};

use super::{Player, Task, units};
use crate::{
    calendar::{DAY, times},
    world::{Good, Kind, Place},
};

impl Player<'_> {
    /// Corrections apply to the first place: differences and counts by turns. A count cannot go below nothing.
    pub(super) fn correct(&mut self, number: usize) -> Result<(), Fault> {
        let correction = self.world.corrections[number];
        let place = self.world.first_dc();
        let before = self.cell(correction.good, place);
        let delta = correction.delta.max(-before.on_hand);
        let cell = CellCode { sku: self.code(correction.good), location: self.site(place) };
        let reason = StockReason::default();
        if delta == 0 {
            self.desk.tally.add("corrections: of nothing", 1);
            return Ok(());
        }
        let command = if number.is_multiple_of(2) {
            let counted = units(u32::try_from(before.on_hand + delta).unwrap_or(0));
            let rows = vec![CountRow { cell, counted, reason }];
            Command::Returns(ReturnsCommand::Count(CountStock { rows, reference: String::new() }))
        } else {
            let (bucket, reference) = (Bucket::OnHand, String::new());
            Command::Stock(StockCommand::Adjust(AdjustStock { cell, bucket, delta, reason, reference }))
        };
        if self.desk.must(&command)?.is_none() {
            return Ok(());
        }
        let name = if delta > 0 { "corrections: units found" } else { "corrections: units lost" };
        self.desk.tally.add(name, delta.unsigned_abs());
        let after = self.cell(correction.good, place);
        if after.free() < 0 && after.reserved + after.committed > 0 {
            self.repair(correction.good, place)?;
        }
        Ok(())
    }

    /// Moves what a shortfall hurts to other places, and calls off what cannot be moved.
    fn repair(&mut self, good: Good, place: Place) -> Result<(), Fault> {
        self.desk.tally.add("shortfalls: cells", 1);
        loop {
            let command = UpkeepCommand::Repair(Repair {
                sku: self.code(good),
                location: self.site(place),
                priority: Vec::new(),
                mode: RepairMode::RerouteThenCancel,
            });
            let Some(Event::Upkeep(event)) = self.desk.must(&Command::Upkeep(command))? else { return Ok(()) };
            let UpkeepEvent::Repaired(repaired) = &*event else { return Ok(()) };
            for remedy in &repaired.remedies {
                let name = match remedy {
                    Remedy::Moved(_) => "shortfalls: units moved to another place",
                    Remedy::Cancelled { .. } => "shortfalls: units cancelled",
                };
                self.desk.tally.add(name, remedy.units());
                self.plan(self.desk.now.plus(DAY), Task::Ship(remedy.reservation()));
            }
            if !repaired.more {
                break;
            }
        }
        let after = self.cell(good, place);
        if after.free() < 0 && after.reserved + after.committed > 0 {
            self.desk.faults.push(format!("{} is short after its repair", self.code(good)));
        }
        Ok(())
    }

    pub(super) fn week(&mut self, week: u64) -> Result<(), Fault> {
        if week > 0 && week.is_multiple_of(4) {
            self.allot()?;
        }
        self.transfer(week)?;
        self.release()
    }

    /// The twenty best sellers go from the first distribution centre to a store, another one each week.
    fn transfer(&mut self, week: u64) -> Result<(), Fault> {
        let stores: Vec<Place> =
            (0..self.world.sites.len()).filter(|place| self.world.sites[*place].kind == Kind::Store).collect();
        let from = self.world.first_dc();
        let turn = usize::try_from(week).unwrap_or(0);
        let Some(to) = stores.get(turn % stores.len().max(1)).copied().filter(|to| *to != from) else { return Ok(()) };
        let best = self.world.best_sellers(self.world.start(), self.world.end());
        let lines: Vec<(Good, u32)> = best
            .into_iter()
            .take(20)
            .map(|(good, _)| (good, u32::try_from(self.cell(good, from).free() / 4).unwrap_or(0).min(12)))
            .filter(|(_, units)| *units > 0)
            .collect();
        if lines.is_empty() {
            return Ok(());
        }
        let code = format!("TR{week:04}");
        let expected = |(good, count): &(Good, u32)| ExpectedLine {
            sku: self.code(*good),
            quantity: units(*count),
            cap: None,
            confidence: None,
        };
        let command = SupplyCommand::Ship(ShipTransfer {
            code: code.clone(),
            from: self.site(from),
            to: self.site(to),
            eta: self.desk.now.plus(times(DAY, 2)),
            lines: lines.iter().map(expected).collect(),
            reference: String::new(),
        });
        if self.desk.must(&Command::Supply(command))?.is_some() {
            self.desk.tally.add("transfers: sent", 1);
            self.desk.tally.add("transfers: units sent", lines.iter().map(|(_, units)| u64::from(*units)).sum());
            let short = week % 5 == 4;
            self.plan(self.desk.now.plus(times(DAY, 2)), Task::TransferArrives { code, lines, short });
        }
        Ok(())
    }

    /// Of every fifth transfer a unit is missing.
    pub(super) fn transfer_arrives(&mut self, code: &str, lines: &[(Good, u32)], short: bool) -> Result<(), Fault> {
        let mut arrived: Vec<ArrivedLine> = lines
            .iter()
            .map(|(good, count)| ArrivedLine {
                sku: self.code(*good),
                quantity: units(*count),
                reason: StockReason::default(),
            })
            .collect();
        if short && let Some(first) = arrived.first_mut() {
            first.quantity = units(first.quantity.0 - 1);
        }
        let count = arrived.iter().map(|line| line.quantity.units()).sum();
        let command = SupplyCommand::Receive(ReceiveInbound {
            code: code.to_owned(),
            lines: arrived,
            is_final: true,
            reason: StockReason::default(),
            reference: String::new(),
        });
        if let Some(Event::Supply(event)) = self.desk.must(&Command::Supply(command))? {
            self.desk.tally.add("transfers: received", 1);
            self.desk.tally.add("transfers: units received", count);
            self.promises(&event);
        }
        Ok(())
    }

    /// Half of what was left in quality control or in repair is for sale again.
    fn release(&mut self) -> Result<(), Fault> {
        for from in [Condition::QualityControl, Condition::InRepair] {
            let kept = match from {
                Condition::QualityControl => std::mem::take(&mut self.quality_control),
                _ => std::mem::take(&mut self.in_repair),
            };
            for ((place, good), count) in kept {
                let released = count.div_ceil(2);
                let command = StockCommand::Move(MoveStock {
                    cell: CellCode { sku: self.code(good), location: self.site(place) },
                    from,
                    to: Condition::Sellable,
                    quantity: units(released),
                    reason: StockReason::default(),
                    reference: String::new(),
                });
                if self.desk.must(&Command::Stock(command))?.is_some() {
                    self.desk.tally.add("returns: units released later", u64::from(released));
                }
                let rest = count - released;
                let kept = if from == Condition::InRepair { &mut self.in_repair } else { &mut self.quality_control };
                if rest > 0 {
                    kept.insert((place, good), rest);
                }
            }
        }
        Ok(())
    }

    /// Promises nothing more from a regional centre, or a store where there is none.
    pub(super) fn freeze(&mut self) -> Result<(), Fault> {
        let sites = &self.world.sites;
        let place = (0..sites.len()).find(|place| sites[*place].kind == Kind::Rdc).unwrap_or(self.world.first_store());
        let command = UpkeepCommand::Freeze(Freeze {
            target: Target { sku: String::new(), location: self.site(place) },
            reason: FreezeReason::Count,
            reference: "stocktaking".to_owned(),
        });
        self.desk.must(&Command::Upkeep(command))?;
        self.desk.tally.add("freezes: weeks", 1);
        self.frozen = Some(place);
        Ok(())
    }

    pub(super) fn thaw(&mut self) -> Result<(), Fault> {
        let Some(place) = self.frozen.take() else { return Ok(()) };
        let target = Target { sku: String::new(), location: self.site(place) };
        self.desk.must(&Command::Upkeep(UpkeepCommand::Thaw(Thaw { target, which: Which::All }))).map(|_| ())
    }
}
