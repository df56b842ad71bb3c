//! Cells and rows: what outside truth does to them.

use std::collections::BTreeMap;

use ahash::RandomState;
use hashbrown::HashMap;
use quartermaster_journal::Lsn;

use super::{Check, Fault, Findings, History};
use crate::{
    catalog::hasher,
    event::{CellChange, CellFacts, Facts, StockChangeKind, StockChanged},
    id::{LocationId, SHARDS, ShardId, SkuId},
    time::Timestamp,
};

/// A cell as plain figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) on_hand: u32,
    pub(super) reserved: u32,
    pub(super) committed: u32,
    pub(super) safety: u32,
    pub(super) quality_control: u32,
    pub(super) damaged: u32,
    pub(super) in_repair: u32,
    pub(super) incoming: u32,
    pub(super) kept: u32,
}

impl Cell {
    /// On hand, less promised, less what is not for sale; below 0 when more is promised than there is.
    pub(super) fn available(&self) -> i64 {
        let back = self.safety.max(self.kept);
        let taken = [self.reserved, self.committed, back, self.quality_control, self.damaged, self.in_repair];
        i64::from(self.on_hand) - taken.into_iter().map(i64::from).sum::<i64>()
    }

    pub(super) fn shortfall(&self) -> u64 {
        let unsellable = i64::from(self.quality_control) + i64::from(self.damaged) + i64::from(self.in_repair);
        let sellable = (i64::from(self.on_hand) - unsellable).max(0);
        let missing = i64::from(self.reserved) + i64::from(self.committed) - sellable;
        u64::try_from(missing).unwrap_or(0)
    }

    /// Name and figure of every bucket.
    pub(super) fn figures(&self) -> [(&'static str, u32); 9] {
        [
            ("on hand", self.on_hand),
            ("reserved", self.reserved),
            ("committed", self.committed),
            ("safety", self.safety),
            ("quality control", self.quality_control),
            ("damaged", self.damaged),
            ("in repair", self.in_repair),
            ("incoming", self.incoming),
            ("kept by rules", self.kept),
        ]
    }

    fn figure_mut(&mut self, bucket: &str) -> &mut u32 {
        match bucket {
            "on hand" => &mut self.on_hand,
            "reserved" => &mut self.reserved,
            "committed" => &mut self.committed,
            "safety" => &mut self.safety,
            "quality control" => &mut self.quality_control,
            "damaged" => &mut self.damaged,
            "in repair" => &mut self.in_repair,
            "kept by rules" => &mut self.kept,
            _ => &mut self.incoming,
        }
    }
}

/// What stands in the row of a SKU besides its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowFold {
    pub(super) sellable: bool,
    pub(super) retired: bool,
    pub(super) revision: Lsn,
}

pub(super) type Cells = HashMap<(SkuId, LocationId), Cell, RandomState>;

/// What planning knows, by cell.
pub(super) type CellFactsMap = BTreeMap<(SkuId, LocationId), Facts>;

/// Open units by cell: reserved, committed.
pub(super) type Promises = HashMap<(SkuId, LocationId), (u64, u64), RandomState>;

/// One lock shard.
pub(super) struct ShardFold {
    /// Everything up to here came with the first snapshot.
    pub(super) complete_to: Lsn,
    pub(super) rows: Vec<RowFold>,
    pub(super) cells: Cells,
    /// Until when sourcing leaves cells out.
    pub(super) refusals: BTreeMap<(SkuId, LocationId), Timestamp>,
    pub(super) facts: CellFactsMap,
}

/// All lock shards.
pub(super) struct Shards(Vec<ShardFold>);

impl Default for Shards {
    fn default() -> Self {
        let shard = || ShardFold {
            refusals: BTreeMap::new(),
            complete_to: Lsn::ZERO,
            rows: Vec::new(),
            cells: HashMap::with_hasher(hasher()),
            facts: CellFactsMap::new(),
        };
        Self((0..SHARDS).map(|_| shard()).collect())
    }
}

impl Shards {
    pub(super) fn get(&self, shard: ShardId) -> &ShardFold {
        &self.0[shard.index()]
    }

    pub(super) fn get_mut(&mut self, shard: ShardId) -> &mut ShardFold {
        &mut self.0[shard.index()]
    }

    pub(super) fn complete_to(&self, shard: ShardId) -> Lsn {
        self.0[shard.index()].complete_to
    }

    /// From here on every shard is folded.
    pub(super) fn all_complete_to(&self) -> Lsn {
        self.0.iter().map(|shard| shard.complete_to).max().unwrap_or(Lsn::ZERO)
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = (&(SkuId, LocationId), &Cell)> {
        self.0.iter().flat_map(|shard| &shard.cells)
    }

    pub(super) fn cell(&self, sku: SkuId, location: LocationId) -> Cell {
        self.get(sku.shard()).cells.get(&(sku, location)).copied().unwrap_or_default()
    }

    pub(super) fn row(&self, sku: SkuId) -> Option<&RowFold> {
        self.get(sku.shard()).rows.get(sku.row())
    }

    pub(super) fn row_mut(&mut self, sku: SkuId) -> Option<&mut RowFold> {
        self.get_mut(sku.shard()).rows.get_mut(sku.row())
    }
}

/// Sums over all cells.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) cells: u64,
    pub(super) shortfalls: u64,
    pub(super) on_hand: u64,
    pub(super) reserved: u64,
    pub(super) committed: u64,
}

impl Totals {
    pub(super) fn add(&mut self, cell: &Cell) {
        self.cells += 1;
        self.shortfalls += u64::from(cell.shortfall() > 0);
        self.on_hand += u64::from(cell.on_hand);
        self.reserved += u64::from(cell.reserved);
        self.committed += u64::from(cell.committed);
    }
}

impl History {
    /// Whether a cell's SKU and location were made before. Notes it when not: the cell is then left alone.
    pub(super) fn exists(&mut self, sku: SkuId, location: LocationId) -> bool {
        let known = self.shards.row(sku).is_some();
        if !known {
            self.findings.add(Check::Catalogue, Fault::Unknown { what: "SKU", id: sku.0 });
        }
        let placed = self.names.has_location(location);
        if !placed {
            self.findings.add(Check::Catalogue, Fault::Unknown { what: "location", id: location.0 });
        }
        known && placed
    }

    /// Adds differences to buckets of a cell that exists.
    pub(super) fn change(
        &mut self,
        lsn: Lsn,
        sku: SkuId,
        location: LocationId,
        deltas: &[(&'static str, i64)],
    ) -> Cell {
        let shard = self.shards.get_mut(sku.shard());
        if let Some(row) = shard.rows.get_mut(sku.row()) {
            row.revision = lsn;
        }
        let cell = shard.cells.entry((sku, location)).or_default();
        for (bucket, delta) in deltas {
            let figure = cell.figure_mut(bucket);
            let sum = i64::from(*figure).saturating_add(*delta);
            match u32::try_from(sum) {
                Ok(sum) => *figure = sum,
                Err(_) => {
                    let fault = Fault::OutOfRange {
                        cell: self.names.cell(sku, location),
                        bucket,
                        figure: *figure,
                        delta: *delta,
                    };
                    *figure = if sum < 0 { 0 } else { u32::MAX };
                    self.findings.add(Check::Conservation, fault);
                }
            }
        }
        *cell
    }

    pub(super) fn stock_changed(&mut self, lsn: Lsn, event: &StockChanged) {
        for pair in event.changes.windows(2) {
            if (pair[0].sku, pair[0].location) >= (pair[1].sku, pair[1].location) {
                let cell = self.cell_code(pair[1].sku, pair[1].location);
                self.findings.add(Check::Conservation, Fault::CellTwice { cell });
            }
        }
        for change in &event.changes {
            if !self.fresh(lsn, change.sku.shard()) || !self.exists(change.sku, change.location) {
                continue;
            }
            if self.shards.row(change.sku).is_some_and(|row| row.retired) {
                let sku = self.names.sku(change.sku);
                self.findings.add(Check::Catalogue, Fault::Retired { sku });
            }
            if let Some(rule) = broken_rule(event.kind, change) {
                let cell = self.cell_code(change.sku, change.location);
                self.findings.add(Check::Conservation, Fault::IllegalChange { cell, rule });
            }
            let deltas = [
                ("on hand", change.on_hand),
                ("safety", change.safety),
                ("quality control", change.quality_control),
                ("damaged", change.damaged),
                ("in repair", change.in_repair),
                ("incoming", change.incoming),
            ];
            let cell = self.change(lsn, change.sku, change.location, &deltas);
            let units = change.on_hand.unsigned_abs();
            match (event.kind, change.on_hand > 0) {
                (StockChangeKind::Received, _) => self.units.received += units,
                (_, true) => self.units.added += units,
                (_, false) => self.units.removed += units,
            }
            self.check_after(change, &cell);
        }
    }

    pub(super) fn facts_set(&mut self, lsn: Lsn, facts: &[CellFacts]) {
        for pair in facts.windows(2) {
            if (pair[0].sku, pair[0].location) >= (pair[1].sku, pair[1].location) {
                let cell = self.cell_code(pair[1].sku, pair[1].location);
                self.findings.add(Check::Catalogue, Fault::CellTwice { cell });
            }
        }
        for cell in facts {
            if !self.fresh(lsn, cell.sku.shard()) || !self.exists(cell.sku, cell.location) {
                continue;
            }
            let known = &mut self.shards.get_mut(cell.sku.shard()).facts;
            known.remove(&(cell.sku, cell.location));
            if cell.facts != Facts::default() {
                known.insert((cell.sku, cell.location), cell.facts);
            }
        }
    }

    pub(super) fn check_after(&mut self, change: &CellChange, cell: &Cell) {
        let frozen = self.upkeep_fold.is_frozen_cell(change.sku, change.location);
        let Self { findings, names, .. } = self;
        let findings: &mut Findings = findings;
        let available = if frozen { 0 } else { u64::try_from(cell.available()).unwrap_or(0) };
        for (figure, said, folded) in [
            ("on hand", change.on_hand_after.units(), u64::from(cell.on_hand)),
            ("available", change.available_after.units(), available),
            ("the shortfall", change.shortfall_after, cell.shortfall()),
        ] {
            if said != folded {
                let cell = names.cell(change.sku, change.location);
                findings.add(Check::Conservation, Fault::After { cell, figure, said, folded });
            }
        }
    }
}

/// What holds for a kind of change and does not for this one.
fn broken_rule(kind: StockChangeKind, change: &CellChange) -> Option<&'static str> {
    let CellChange { on_hand, safety, quality_control, damaged, in_repair, incoming, .. } = *change;
    let buckets = [on_hand, safety, quality_control, damaged, in_repair, incoming];
    let (holds, rule) = match kind {
        StockChangeKind::Received => (
            on_hand > 0 && (incoming == 0 || incoming == -on_hand) && buckets[1..5] == [0; 4],
            "what is received adds to on hand, and takes as much from incoming or nothing",
        ),
        StockChangeKind::Moved => (
            [on_hand, safety, incoming] == [0; 3],
            "what is moved stays on hand: only quality control, damaged and in repair change",
        ),
        StockChangeKind::Set | StockChangeKind::Adjusted => {
            (buckets.iter().filter(|delta| **delta != 0).count() <= 1, "a count or an adjustment changes one bucket")
        }
        StockChangeKind::Imported => (true, ""),
    };
    (!holds).then_some(rule)
}
