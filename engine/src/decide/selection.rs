//! Which units of a reservation a request means.

use super::location;
use crate::{
    catalog::{Catalogue, Component},
    command::LineSelection,
    error::Error,
    event::{EndState, Line, Lines},
    id::{LocationId, ReservationId, SkuId},
    quantity::Quantity,
    reservation::{HeaderRef, PartLine},
    shard::Locked,
    terms::{KitLine, PresoldLine},
};

/// SKU codes of a reservation's lines, as they were when it was made: a code may have passed to another SKU since. Resolved before
/// the shards are locked; the SKUs of a reservation never change.
#[derive(Debug, Default)]
pub(crate) struct SkuCodes {
    skus: Vec<(SkuId, String)>,
    /// Kits that lines are components of, with what each consists of.
    pub(crate) kits: Vec<(KitLine, String, Box<[Component]>)>,
}

impl SkuCodes {
    /// The codes of these SKUs.
    pub(crate) fn of(catalogue: &Catalogue, skus: impl IntoIterator<Item = SkuId>, kits: &[KitLine]) -> Self {
        let kit = |kit: &KitLine| (*kit, catalogue.sku_code(kit.sku).to_owned(), catalogue.components(kit.sku).into());
        Self {
            skus: skus.into_iter().map(|sku| (sku, catalogue.sku_code(sku).to_owned())).collect(),
            kits: kits.iter().map(kit).collect(),
        }
    }

    pub(crate) fn code(&self, sku: SkuId) -> &str {
        self.skus.iter().find(|(id, _)| *id == sku).map_or("", |(_, code)| code)
    }
}

/// A reservation with everything about it locked.
pub(crate) struct Subject<'a, 'locks> {
    pub(crate) id: ReservationId,
    pub(crate) header: HeaderRef<'a>,
    pub(crate) codes: &'a SkuCodes,
    pub(crate) locked: &'a Locked<'locks>,
    pub(crate) lines: Vec<PartLine>,
    /// What it is promised from what is expected.
    pub(crate) presold: Vec<PresoldLine>,
}

impl Subject<'_, '_> {
    /// All that is open.
    pub(crate) fn open(&self) -> Lines {
        let open = self.lines.iter().filter(|line| !line.open.is_zero());
        let mut lines: Lines =
            open.map(|line| Line { sku: line.sku, location: line.location, quantity: line.open }).collect();
        lines.sort_unstable();
        lines
    }

    /// The lines that selections name; all that is open when there are none. Two selections of one line are summed.
    pub(crate) fn select(&self, selections: &[LineSelection]) -> Result<Lines, Error> {
        if selections.is_empty() {
            return Ok(self.open());
        }
        let mut lines = Lines::new();
        for selection in selections {
            let line = self.select_one(selection)?;
            match lines.iter_mut().find(|kept| (kept.sku, kept.location) == (line.sku, line.location)) {
                None => lines.push(line),
                Some(kept) => {
                    let requested = kept.quantity.units() + line.quantity.units();
                    kept.quantity = self.within_open(kept.sku, kept.location, requested)?;
                }
            }
        }
        lines.sort_unstable();
        Ok(lines)
    }

    /// The line that one selection names.
    pub(crate) fn select_one(&self, selection: &LineSelection) -> Result<Line, Error> {
        let at = match selection.location.as_str() {
            "" => None,
            code => Some(location(self.locked.directory(), code)?),
        };
        let matching: Vec<&PartLine> = self
            .lines
            .iter()
            .filter(|line| !line.open.is_zero() && at.is_none_or(|at| at == line.location))
            .filter(|line| self.codes.code(line.sku) == selection.sku)
            .collect();
        let [found] = matching[..] else {
            return Err(Error::NoSuchLine {
                id: self.id,
                sku: selection.sku.clone(),
                location: selection.location.clone(),
                lines: matching.len(),
            });
        };
        let quantity = match selection.quantity {
            None => found.open,
            Some(quantity) => self.within_open(found.sku, found.location, quantity.units())?,
        };
        Ok(Line { sku: found.sku, location: found.location, quantity })
    }

    /// What becomes of the reservation when these units are no longer open, shipped or not.
    pub(crate) fn end_after(&self, gone: &[Line], presold: &[PresoldLine], shipped_now: bool) -> Option<EndState> {
        let ahead = |lines: &[PresoldLine]| -> u64 { lines.iter().map(|one| one.line.quantity.units()).sum() };
        let open = self.lines.iter().map(|line| line.open.units()).sum::<u64>() + ahead(&self.presold);
        let gone = gone.iter().map(|line| line.quantity.units()).sum::<u64>() + ahead(presold);
        let shipped = shipped_now || self.lines.iter().any(|line| !line.shipped.is_zero());
        (open == gone).then_some(if shipped { EndState::Shipped } else { EndState::Cancelled })
    }

    fn within_open(&self, sku: SkuId, at: LocationId, requested: u64) -> Result<Quantity, Error> {
        let line = self.lines.iter().find(|line| (line.sku, line.location) == (sku, at));
        let open = line.map_or(Quantity::ZERO, |line| line.open);
        if requested > open.units() {
            return Err(Error::ExceedsOpen {
                sku: self.codes.code(sku).to_owned(),
                location: self.locked.directory().location_code(at).to_owned(),
                requested,
                open,
            });
        }
        Ok(Quantity::clamp(requested))
    }
}
