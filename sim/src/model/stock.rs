//! Cells: what is there, what can be promised of it, and how truth from outside changes it.

use quartermaster_engine::{
    event::{CellChange, Line, Promise, StockChanged},
    id::{LocationId, SkuId},
    upkeep::Frozen,
};

use super::{Judged, Model, Place, must};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) on_hand: u64,
    pub(crate) reserved: u64,
    pub(crate) committed: u64,
    pub(crate) safety: u64,
    pub(crate) quality_control: u64,
    pub(crate) damaged: u64,
    pub(crate) in_repair: u64,
    pub(crate) incoming: u64,
    /// By rules; of this and safety stock the greater counts.
    pub(crate) kept: u64,
}

impl Cell {
    pub(crate) fn sellable(&self) -> u64 {
        self.on_hand.saturating_sub(self.quality_control + self.damaged + self.in_repair)
    }

    /// What can still be promised.
    pub(crate) fn available(&self) -> u64 {
        self.sellable().saturating_sub(self.reserved + self.committed + self.safety.max(self.kept))
    }

    pub(crate) fn shortfall(&self) -> u64 {
        (self.reserved + self.committed).saturating_sub(self.sellable())
    }

    pub(crate) fn promised(&mut self, promise: Promise) -> &mut u64 {
        match promise {
            Promise::Reserved => &mut self.reserved,
            Promise::Committed => &mut self.committed,
        }
    }
}

/// Adds, within 32 bits.
pub(crate) fn plus(figure: &mut u64, units: u64, what: &str) -> Judged {
    *figure += units;
    must!(*figure <= u64::from(u32::MAX), "{what} passes 32 bits");
    Ok(())
}

/// Takes away, never below 0.
pub(crate) fn minus(figure: &mut u64, units: u64, what: &str) -> Judged {
    let Some(rest) = figure.checked_sub(units) else { return Err(format!("{what}: {units} taken of {figure}")) };
    *figure = rest;
    Ok(())
}

fn add(figure: &mut u64, delta: i64, what: &str) -> Judged {
    if delta < 0 { minus(figure, delta.unsigned_abs(), what) } else { plus(figure, delta.unsigned_abs(), what) }
}

impl Model {
    pub(crate) fn cell(&self, place: Place) -> Cell {
        self.cells.get(&place).copied().unwrap_or_default()
    }

    /// The cell, to change: its SKU has a new revision.
    pub(super) fn cell_mut(&mut self, place: Place) -> &mut Cell {
        self.skus[place.0.index()].revision = self.lsn;
        self.cells.entry(place).or_default()
    }

    /// Whether a location takes promises.
    pub(crate) fn place_is_open(&self, location: LocationId) -> bool {
        self.location_is_open(location) && !self.is_frozen(Frozen::Location(location))
    }

    /// What is free of a cell, wherever it is: nothing of a frozen one.
    pub(crate) fn free(&self, place: Place) -> u64 {
        if self.is_frozen(Frozen::Cell(place.0, place.1)) { 0 } else { self.cell(place).available() }
    }

    /// What can be taken at a cell now: nothing where the place or the SKU is out of sale.
    pub(crate) fn takeable(&self, place: Place) -> u64 {
        let for_sale = self.place_is_open(place.1) && self.is_for_sale(place.0);
        if for_sale { self.free(place) } else { 0 }
    }

    /// What can be taken of a SKU anywhere, before allotments.
    pub(crate) fn pool(&self, sku: SkuId) -> u64 {
        self.all_locations().map(|location| self.takeable((sku, location))).sum()
    }

    /// What is free of a SKU at open locations, for sale or not: what fences stand on.
    pub(crate) fn pool_with_unsold(&self, sku: SkuId) -> u64 {
        let open = self.all_locations().filter(|location| self.place_is_open(*location));
        open.map(|location| self.free((sku, location))).sum()
    }

    /// Units are promised at a cell, if they are there. What is promised already moves whether its SKU is for sale or not.
    pub(super) fn take(&mut self, line: Line, promise: Promise, moves: bool) -> Judged {
        let place = (line.sku, line.location);
        let open = moves && self.place_is_open(line.location) && !self.is_frozen(Frozen::Sku(line.sku));
        let left = if open { self.free(place) } else { self.takeable(place) };
        let units = line.quantity.units();
        must!(units > 0, "nothing is taken at {place:?}");
        must!(units <= left, "oversold: {units} taken at {place:?}, where {left} can be");
        plus(self.cell_mut(place).promised(promise), units, "promised")
    }

    pub(super) fn put_back(&mut self, place: Place, units: u64, promise: Promise) -> Judged {
        minus(self.cell_mut(place).promised(promise), units, "promised units given back")
    }

    pub(super) fn stock_changed(&mut self, changed: &StockChanged) -> Judged {
        must!(!changed.changes.is_empty(), "no cell changed");
        changed.changes.iter().try_for_each(|change| self.cell_changed(change))
    }

    pub(super) fn cell_changed(&mut self, change: &CellChange) -> Judged {
        let place = (change.sku, change.location);
        let cell = self.cell_mut(place);
        add(&mut cell.on_hand, change.on_hand, "on hand")?;
        add(&mut cell.safety, change.safety, "safety")?;
        add(&mut cell.quality_control, change.quality_control, "quality control")?;
        add(&mut cell.damaged, change.damaged, "damaged")?;
        add(&mut cell.in_repair, change.in_repair, "in repair")?;
        add(&mut cell.incoming, change.incoming, "incoming")?;
        let cell = *cell;
        let after = (change.on_hand_after.units(), change.available_after.units(), change.shortfall_after);
        must!(
            after == (cell.on_hand, self.free(place), cell.shortfall()),
            "an event tells {after:?} of {place:?}, which is {cell:?}"
        );
        Ok(())
    }
}
