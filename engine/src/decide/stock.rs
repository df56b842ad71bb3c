//! Truth from outside: counts, differences, arrivals, moves and imports.
//!
//! A count below what is promised is a fact and accepted; it shows as a shortfall. What cannot be a fact is refused: taking more from
//! a bucket than it holds, or a figure past 32 bits.

use super::{Decision, location};
use crate::{
    command::{
        AdjustStock, Bucket, CellCode, FactRow, ImportRow, ImportStock, MoveStock, ReceiveStock, SetStock,
        StockCommand, StockReason,
    },
    error::Error,
    event::{CellChange, CellFacts, Event, StockChangeKind, StockChanged},
    id::{LocationId, SkuId},
    near,
    quantity::Quantity,
    shard::Locked,
    stock::{Buckets, Row},
};

/// A cell that is to change: the figures before and after.
pub(super) struct Change<'a> {
    code: &'a CellCode,
    sku: SkuId,
    location: LocationId,
    before: Buckets,
    after: Buckets,
    /// Units of incoming that open supplies still expect. They change with their documents alone.
    announced: Quantity,
}

impl<'a> Change<'a> {
    pub(super) fn begin(locked: &Locked<'_>, code: &'a CellCode, sku: SkuId) -> Result<Self, Error> {
        active(locked, sku, &code.sku)?;
        let location = location(locked.directory(), &code.location)?;
        Ok(Self::at(locked, code, sku, location))
    }

    /// Begins a change of a cell whose SKU may be retired.
    pub(super) fn at(locked: &Locked<'_>, code: &'a CellCode, sku: SkuId, location: LocationId) -> Self {
        let shard = locked.shard(sku.shard());
        let before = shard.row(sku).get(location);
        let announced = Quantity::clamp(shard.supply.announced(sku, location));
        Self { code, sku, location, before, after: before, announced }
    }

    pub(super) fn before(&self) -> Buckets {
        self.before
    }

    /// Sets a bucket. Of incoming a figure from outside is what nobody announced.
    pub(super) fn set(&mut self, bucket: Bucket, quantity: Quantity) -> Result<(), Error> {
        let announced = if bucket == Bucket::Incoming { self.announced } else { Quantity::ZERO };
        let figure = quantity.checked_add(announced);
        *self.after.get_mut(bucket) = figure.ok_or_else(|| Error::Overflow { cell: self.code.clone(), bucket })?;
        Ok(())
    }

    pub(super) fn add(&mut self, bucket: Bucket, delta: i64) -> Result<(), Error> {
        let announced = if bucket == Bucket::Incoming { self.announced } else { Quantity::ZERO };
        let figure = self.after.get_mut(bucket);
        match figure.checked_add_signed(delta) {
            Some(sum) if delta > 0 || sum >= announced => *figure = sum,
            _ if delta > 0 => return Err(Error::Overflow { cell: self.code.clone(), bucket }),
            _ => {
                return Err(Error::ExceedsBucket {
                    cell: self.code.clone(),
                    bucket: bucket.name(),
                    requested: delta.unsigned_abs(),
                    held: figure.units().saturating_sub(announced.units()),
                });
            }
        }
        Ok(())
    }

    pub(super) fn finish(&self) -> CellChange {
        let delta = |bucket| self.after.get(bucket).signed() - self.before.get(bucket).signed();
        CellChange {
            sku: self.sku,
            location: self.location,
            on_hand: delta(Bucket::OnHand),
            safety: delta(Bucket::Safety),
            quality_control: delta(Bucket::QualityControl),
            damaged: delta(Bucket::Damaged),
            in_repair: delta(Bucket::InRepair),
            incoming: delta(Bucket::Incoming),
            on_hand_after: self.after.on_hand,
            available_after: self.after.available(),
            shortfall_after: self.after.shortfall(),
        }
    }
}

fn active<'a>(locked: &'a Locked<'_>, sku: SkuId, code: &str) -> Result<&'a Row, Error> {
    let row = locked.shard(sku.shard()).row(sku);
    if row.retired() {
        return Err(Error::UnknownSku { code: code.into() });
    }
    if row.kit() { Err(Error::KitHasNoStock { sku: code.into() }) } else { Ok(row) }
}

fn event(kind: StockChangeKind, reason: StockReason, reference: &str, changes: Vec<CellChange>) -> Decision {
    Decision::Event(Event::StockChanged(StockChanged { kind, reason, reference: reference.into(), changes }))
}

/// Decides a change of stock. `skus` are those of its cells, in the same order.
pub(crate) fn change(locked: &Locked<'_>, command: &StockCommand, skus: &[SkuId]) -> Result<Decision, Error> {
    match command {
        StockCommand::Set(request) => set(locked, request, skus),
        StockCommand::Adjust(request) => adjust(locked, request, skus),
        StockCommand::Receive(request) => receive(locked, request, skus),
        StockCommand::Move(request) => step(locked, request, skus),
        StockCommand::Import(request) => import(locked, request, skus),
        StockCommand::SetFacts(rows) => set_facts(locked, rows, skus),
    }
}

/// Sets a bucket to a figure.
fn set(locked: &Locked<'_>, request: &SetStock, skus: &[SkuId]) -> Result<Decision, Error> {
    let mut change = Change::begin(locked, &request.cell, skus[0])?;
    let revision = locked.shard(change.sku.shard()).row(change.sku).revision();
    if let Some(expected) = request.expected_revision.filter(|expected| *expected != revision.get()) {
        return Err(Error::StaleRevision { sku: request.cell.sku.clone(), revision, expected });
    }
    change.set(request.bucket, request.quantity)?;
    Ok(event(StockChangeKind::Set, request.reason, &request.reference, vec![change.finish()]))
}

/// Adds a difference to a bucket.
fn adjust(locked: &Locked<'_>, request: &AdjustStock, skus: &[SkuId]) -> Result<Decision, Error> {
    let mut change = Change::begin(locked, &request.cell, skus[0])?;
    change.add(request.bucket, request.delta)?;
    Ok(event(StockChangeKind::Adjusted, request.reason, &request.reference, vec![change.finish()]))
}

/// Adds goods that arrived, duplicates summed, all or nothing.
fn receive(locked: &Locked<'_>, request: &ReceiveStock, skus: &[SkuId]) -> Result<Decision, Error> {
    let mut receipts: Vec<_> =
        request.receipts.iter().zip(skus).map(|((cell, units), sku)| (cell, *sku, units)).collect();
    receipts.sort_by_key(|(cell, sku, _)| (*sku, &cell.location));
    let mut changes: Vec<Change<'_>> = Vec::with_capacity(receipts.len());
    for (cell, sku, units) in receipts {
        if changes.last().is_none_or(|last| last.sku != sku || last.code.location != cell.location) {
            changes.push(Change::begin(locked, cell, sku)?);
        }
        if let Some(change) = changes.last_mut() {
            change.add(Bucket::OnHand, units.signed())?;
            if request.from_incoming {
                change.add(Bucket::Incoming, -units.signed())?;
            }
        }
    }
    changes.sort_unstable_by_key(|change| (change.sku, change.location));
    let changes = changes.iter().map(Change::finish).collect();
    Ok(event(StockChangeKind::Received, request.reason, &request.reference, changes))
}

/// Moves units between conditions of one cell.
fn step(locked: &Locked<'_>, request: &MoveStock, skus: &[SkuId]) -> Result<Decision, Error> {
    let mut change = Change::begin(locked, &request.cell, skus[0])?;
    match request.from.bucket() {
        Some(bucket) => change.add(bucket, -request.quantity.signed())?,
        None if change.before.sellable() < request.quantity.units() => {
            return Err(Error::ExceedsBucket {
                cell: request.cell.clone(),
                bucket: "sellable",
                requested: request.quantity.units(),
                held: change.before.sellable(),
            });
        }
        None => {}
    }
    if let Some(bucket) = request.to.bucket() {
        change.add(bucket, request.quantity.signed())?;
    }
    Ok(event(StockChangeKind::Moved, request.reason, &request.reference, vec![change.finish()]))
}

/// Sets cells to what an import says; what is promised stays.
fn import(locked: &Locked<'_>, request: &ImportStock, skus: &[SkuId]) -> Result<Decision, Error> {
    let mut changes = Vec::with_capacity(skus.len());
    for (rows, skus) in request.rows.chunks(near::TOGETHER).zip(skus.chunks(near::TOGETHER)) {
        locked.ask_for(skus);
        for (row, sku) in rows.iter().zip(skus) {
            changes.push(imported(locked, row, *sku)?);
        }
    }
    changes.sort_unstable_by_key(|change| (change.sku, change.location));
    let reason = StockReason::IMPORT;
    Ok(event(StockChangeKind::Imported, reason, &request.reference, changes))
}

/// A cell as a row of an import has it.
fn imported(locked: &Locked<'_>, row: &ImportRow, sku: SkuId) -> Result<CellChange, Error> {
    let mut change = Change::begin(locked, &row.cell, sku)?;
    change.after = Buckets {
        on_hand: row.on_hand,
        safety: row.safety,
        quality_control: row.quality_control,
        damaged: row.damaged,
        in_repair: row.in_repair,
        ..change.before
    };
    change.set(Bucket::Incoming, row.incoming)?;
    Ok(change.finish())
}

/// Sets what planning knows of cells. A cell need not hold anything yet.
fn set_facts(locked: &Locked<'_>, rows: &[FactRow], skus: &[SkuId]) -> Result<Decision, Error> {
    let mut facts = Vec::with_capacity(rows.len());
    for (row, sku) in rows.iter().zip(skus) {
        active(locked, *sku, &row.cell.sku)?;
        let location = location(locked.directory(), &row.cell.location)?;
        facts.push(CellFacts { sku: *sku, location, facts: row.facts });
    }
    facts.sort_unstable_by_key(|cell| (cell.sku, cell.location));
    Ok(Decision::Event(Event::CellFactsSet { facts }))
}
