//! What a year came to, and whether both sets of books agree.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use quartermaster_benches::{
    files::Fault,
    measure::{grouped, per_second},
};
use quartermaster_engine::{
    Engine,
    history::{History, Rules},
    recovery::Recovery,
    snapshot::kind,
    time::{Micros, Timestamp},
};
use quartermaster_journal::{Journal, Lsn, MemoryJournal};

use crate::{calendar::date, desk::config, ledger::Ledger, player::Player, tally::Tally, world::World};

/// Differences shown; all are counted.
const SHOWN: usize = 20;

/// A comparison of both sets of books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) date: String,
    pub(crate) events: u64,
    pub(crate) cells: u64,
    pub(crate) open: usize,
    pub(crate) violations: usize,
    pub(crate) differences: Vec<String>,
}

/// Runs of sizes of a style and colour, over all places together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SizeRuns {
    pub(crate) whole: u64,
    pub(crate) broken: u64,
    pub(crate) sold_out: u64,
    /// Broken at a single place that has some of it.
    pub(crate) broken_at_places: u64,
    pub(crate) at_places: u64,
}

impl SizeRuns {
    pub(crate) fn of(world: &World, ledger: &Ledger) -> Self {
        let mut runs: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for article in world.goods.iter().filter(|article| !article.size.is_empty()) {
            runs.entry((&article.style, &article.colour)).or_default().push(&article.code);
        }
        let mut found = Self::default();
        for sizes in runs.values().filter(|sizes| sizes.len() > 1) {
            let mut pool = 0;
            let mut places: BTreeMap<&str, usize> = BTreeMap::new();
            for code in sizes {
                let sku = ledger.codes.skus[*code];
                let stocked =
                    world.sites.iter().filter(|site| ledger.cell((sku, ledger.codes.locations[&site.code])).free() > 0);
                let before = places.values().sum::<usize>();
                stocked.for_each(|site| *places.entry(&site.code).or_default() += 1);
                pool += usize::from(places.values().sum::<usize>() > before);
            }
            match pool {
                0 => found.sold_out += 1,
                sizes_left if sizes_left == sizes.len() => found.whole += 1,
                _ => found.broken += 1,
            }
            for sizes_there in places.values() {
                found.at_places += 1;
                found.broken_at_places += u64::from(*sizes_there < sizes.len());
            }
        }
        found
    }
}

/// All that is told of a year.
pub(crate) struct Report {
    span: (String, String),
    goods: usize,
    sites: usize,
    pub(crate) tally: Tally,
    pub(crate) checks: Vec<Check>,
    /// Answers that should not have been.
    pub(crate) faults: Vec<String>,
    /// What `verify` found in the records.
    pub(crate) findings: Vec<String>,
    /// What a restart brought back otherwise.
    pub(crate) restart: Vec<String>,
    runs: Option<(SizeRuns, SizeRuns)>,
    records: usize,
    bytes: usize,
    commands: u64,
    spent: Duration,
    replay: Duration,
    still_presold: u64,
}

impl Report {
    pub(crate) fn of(
        world: &World,
        mut player: Player<'_>,
        runs_before: SizeRuns,
        directory: Option<&Path>,
    ) -> Result<Self, Fault> {
        let desk = &mut player.desk;
        let records = desk.book.read_back(directory)?;
        // The engine audits itself in the comparison, too.
        let mut history = History::new(Rules { overtaking_max: Micros(0), ..Rules::default() });
        for (lsn, record) in (1..).zip(&records) {
            history.fold(Lsn::new(lsn), record);
        }
        history.balance();
        history.compare(&desk.engine);
        let started = Instant::now();
        let back = replay(&records)?;
        let replay = started.elapsed();
        let (_, mut restart) = desk.ledger.compare(&back);
        restart.extend(unlike(&desk.engine, &back, desk.now));
        let runs_after = SizeRuns::of(world, &desk.ledger);
        let runs = (runs_before != SizeRuns::default()).then_some((runs_before, runs_after));
        if world.unknown > 0 {
            desk.tally.add("orders: lines the catalogue does not have", world.unknown);
        }
        Ok(Self {
            span: (date(world.start()), date(desk.now)),
            goods: world.goods.len(),
            sites: world.sites.len(),
            still_presold: desk.ledger.presold(),
            tally: desk.tally.clone(),
            faults: desk.faults.iter().chain(&desk.ledger.faults).cloned().collect(),
            findings: history.findings().iter().map(|finding| format!("{finding:?}")).collect(),
            restart,
            runs,
            bytes: records.iter().map(Vec::len).sum(),
            records: records.len(),
            commands: desk.commands,
            spent: desk.spent,
            replay,
            checks: player.checks,
        })
    }

    /// Nothing was found anywhere.
    pub(crate) fn balanced(&self) -> bool {
        let lists = [&self.faults, &self.findings, &self.restart];
        let checks = self.checks.iter().all(|check| check.violations == 0 && check.differences.is_empty());
        checks && lists.iter().all(|list| list.is_empty())
    }
}

/// The engine that a restart makes of the records.
fn replay(records: &[Vec<u8>]) -> Result<Engine, Fault> {
    let mut recovery = Recovery::new(config());
    for (lsn, record) in (1..).zip(records) {
        recovery.replay(Lsn::new(lsn), record)?;
    }
    Ok(recovery.finish(Arc::new(MemoryJournal::new()) as Arc<dyn Journal>))
}

/// Sections of a snapshot that two engines write otherwise. The first is left out: it counts ids that refusals used up.
fn unlike(live: &Engine, back: &Engine, now: Timestamp) -> Vec<String> {
    let sections = |engine: &Engine| {
        let mut sections = Vec::new();
        let Ok(_) = engine.snapshot(now, |section| {
            sections.push(section);
            Ok::<(), Infallible>(())
        });
        sections.retain(|section| section.kind != kind::META);
        sections
    };
    let (live, back) = (sections(live), sections(back));
    let mut unlike: Vec<String> = live
        .iter()
        .zip(&back)
        .filter(|(live, back)| (live.kind, live.unit, &live.payload) != (back.kind, back.unit, &back.payload))
        .map(|(live, _)| format!("section {} of kind {} is another after a restart", live.unit, live.kind))
        .collect();
    if live.len() != back.len() {
        unlike.push(format!("{} sections, {} after a restart", live.len(), back.len()));
    }
    unlike
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} to {}: {} SKUs, {} locations", self.span.0, self.span.1, self.goods, self.sites)?;
        write!(out, "{}", self.tally)?;
        writeln!(out, "  {:<58}{:>14}", "presale: units still promised at the end", grouped(self.still_presold))?;
        let sum = |names: &[&str]| -> u64 { names.iter().map(|name| self.tally.get(name)).sum() };
        let asked = self.tally.sum("units asked: ");
        let served = sum(&["units served: from stock", "units served: ahead of stock", "campaign: units served"]);
        writeln!(out, "  {} of {} units asked for were promised", grouped(served), grouped(asked))?;
        if let Some((before, after)) = &self.runs {
            for (when, runs) in [("before", before), ("after", after)] {
                writeln!(
                    out,
                    "  size runs {when}: {} whole, {} broken, {} sold out; at single places {} of {} broken",
                    runs.whole, runs.broken, runs.sold_out, runs.broken_at_places, runs.at_places
                )?;
            }
        }
        writeln!(
            out,
            "{} commands in {:.2} s: {} a second; {} records of {} bytes, replayed in {:.2} s",
            grouped(self.commands),
            self.spent.as_secs_f64(),
            grouped(per_second(self.commands, self.spent)),
            grouped(u64::try_from(self.records).unwrap_or(u64::MAX)),
            grouped(u64::try_from(self.bytes).unwrap_or(u64::MAX)),
            self.replay.as_secs_f64(),
        )?;
        writeln!(
            out,
            "  {:<12}{:>12}{:>12}{:>16}{:>12}{:>13}",
            "date", "events", "cells", "open orders", "audit", "differences"
        )?;
        for check in &self.checks {
            writeln!(
                out,
                "  {:<12}{:>12}{:>12}{:>16}{:>12}{:>13}",
                check.date,
                grouped(check.events),
                grouped(check.cells),
                check.open,
                check.violations,
                check.differences.len()
            )?;
        }
        let differences: Vec<String> = self.checks.iter().flat_map(|check| &check.differences).cloned().collect();
        for (name, list) in [
            ("differences", &differences),
            ("answers that should not have been", &self.faults),
            ("findings of verify", &self.findings),
            ("differences after a restart", &self.restart),
        ] {
            writeln!(out, "{name}: {}", list.len())?;
            list.iter().take(SHOWN).try_for_each(|text| writeln!(out, "  {text}"))?;
        }
        let cells = self.checks.last().map_or(0, |check| check.cells);
        if self.balanced() {
            writeln!(out, "books balance: {} cells, 0 differences", grouped(cells))
        } else {
            writeln!(out, "BOOKS DO NOT BALANCE")
        }
    }
}
