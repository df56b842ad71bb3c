//! A row: the cells of one SKU, packed.
//!
//! A cell is 16 bytes in an array sorted by location. The rarer buckets stand in a side table, and a bit of the location says that
//! they do. The sum of what is available is kept, so that "sold out" is one comparison. A wide row also keeps a bitmap of the
//! locations that have availability.

use quartermaster_journal::Lsn;
use roaring::RoaringBitmap;

use super::cell::{Buckets, Extra};
use crate::{id::LocationId, quantity::Quantity};

/// From this many cells on a row keeps a bitmap; below, looking at each cell is as fast and costs nothing to keep.
const WIDE: usize = 64;

const HAS_EXTRA: u32 = 1 << 31;

/// Sixteen bytes a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedCell {
    /// Location, and `HAS_EXTRA`.
    pub(crate) tag: u32,
    pub(crate) on_hand: u32,
    pub(crate) reserved: u32,
    pub(crate) committed: u32,
}

impl PackedCell {
    pub(crate) fn location(&self) -> LocationId {
        LocationId(self.tag & !HAS_EXTRA)
    }

    fn has_extra(&self) -> bool {
        self.tag & HAS_EXTRA != 0
    }
}

#[derive(Clone, Debug, Default)]
struct Side {
    extras: Vec<(LocationId, Extra)>,
    stocked: Option<RoaringBitmap>,
}

/// The stock of one SKU.
#[derive(Clone, Debug)]
pub struct Row {
    cells: Vec<PackedCell>,
    side: Option<Box<Side>>,
    available: u64,
    revision: Lsn,
    sellable: bool,
    retired: bool,
    frozen: bool,
    kit: bool,
}

impl Row {
    /// A row without stock.
    #[must_use]
    pub fn new(sellable: bool) -> Self {
        Self {
            cells: Vec::new(),
            side: None,
            available: 0,
            revision: Lsn::ZERO,
            sellable,
            retired: false,
            frozen: false,
            kit: false,
        }
    }

    /// Units available at all locations together, closed ones included: no request can take more.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.available
    }

    /// LSN of the last event that changed a cell.
    #[must_use]
    pub fn revision(&self) -> Lsn {
        self.revision
    }

    /// Whether the SKU is for sale: its owner says so and it is not frozen.
    #[must_use]
    pub fn sellable(&self) -> bool {
        self.sellable && !self.frozen
    }

    /// Whether its owner says that the SKU is for sale.
    #[must_use]
    pub fn flagged_sellable(&self) -> bool {
        self.sellable
    }

    /// Whether the SKU is frozen, wherever it is.
    #[must_use]
    pub fn frozen(&self) -> bool {
        self.frozen
    }

    /// Whether the SKU is a kit, which has no stock of its own.
    #[must_use]
    pub fn kit(&self) -> bool {
        self.kit
    }

    /// Whether the SKU is retired.
    #[must_use]
    pub fn retired(&self) -> bool {
        self.retired
    }

    /// Number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether it has no cell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    pub(crate) fn set_revision(&mut self, lsn: Lsn) {
        self.revision = lsn;
    }

    pub(crate) fn set_sellable(&mut self, sellable: bool) {
        self.sellable = sellable;
    }

    pub(crate) fn set_frozen(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    pub(crate) fn set_kit(&mut self, kit: bool) {
        self.kit = kit;
    }

    pub(crate) fn set_retired(&mut self) {
        self.retired = true;
    }

    /// The cell at a location; all zero where there is none.
    #[must_use]
    pub fn get(&self, location: LocationId) -> Buckets {
        self.find(location).map_or_else(|_| Buckets::default(), |place| self.unpack(&self.cells[place]))
    }

    /// Units available at a location.
    #[must_use]
    pub fn available_at(&self, location: LocationId) -> Quantity {
        self.find(location).map_or(Quantity::ZERO, |place| self.available_of(&self.cells[place]))
    }

    /// All cells by location.
    pub fn cells(&self) -> impl Iterator<Item = (LocationId, Buckets)> + '_ {
        self.cells.iter().map(|cell| (cell.location(), self.unpack(cell)))
    }

    /// Locations with something available, ascending, with how much.
    pub fn stocked(&self) -> impl Iterator<Item = (LocationId, Quantity)> + '_ {
        let bitmap = self.bitmap();
        let narrow = if bitmap.is_some() { &[][..] } else { &self.cells };
        let wide = bitmap.into_iter().flatten().map(|id| (LocationId(id), self.available_at(LocationId(id))));
        narrow
            .iter()
            .map(|cell| (cell.location(), self.available_of(cell)))
            .filter(|(_, available)| !available.is_zero())
            .chain(wide)
    }

    /// The locations with something available, as a set. Wide rows keep it, others make it.
    #[must_use]
    pub fn stocked_bitmap(&self) -> RoaringBitmap {
        self.bitmap().cloned().unwrap_or_else(|| self.stocked().map(|(location, _)| location.0).collect())
    }

    /// Puts a cell in its place. Keeps the sum and the bitmap right.
    pub(crate) fn put(&mut self, location: LocationId, buckets: &Buckets) {
        self.put_at(self.find(location), location, buckets);
    }

    /// Reserves units of a cell. `None`, and nothing changes, where fewer are available.
    pub(crate) fn reserve(&mut self, location: LocationId, units: Quantity) -> Option<()> {
        let place = self.find(location).ok()?;
        let cell = &mut self.cells[place];
        if cell.has_extra() {
            let take = |cell: &mut Buckets| {
                let suffices = units <= cell.available();
                cell.reserved = cell.reserved.checked_add(units).filter(|_| suffices).ok_or(())?;
                Ok::<(), ()>(())
            };
            return self.change(location, take).is_ok().then_some(());
        }
        let promised = u64::from(cell.reserved) + u64::from(cell.committed);
        let left = u64::from(cell.on_hand).checked_sub(promised)?.checked_sub(units.units())?;
        cell.reserved = cell.reserved.checked_add(units.0)?;
        self.available =
            self.available.checked_sub(units.units()).expect("Invariant: a row's sum counts each of its cells");
        if left == 0 {
            self.note_stocked(location, false);
        }
        Some(())
    }

    /// The place of the best rank that has so many units; ranks come from `rank`, which gives `None` where nothing may be taken.
    pub(crate) fn best(&self, units: Quantity, rank: impl Fn(LocationId) -> Option<u32>) -> Option<LocationId> {
        let ranked = |location| rank(location).map(|rank| (rank, location));
        let best = match self.bitmap() {
            None => {
                let whole = self.cells.iter().filter(|cell| self.available_of(cell) >= units);
                whole.filter_map(|cell| ranked(cell.location())).min()
            }
            Some(bitmap) => {
                let whole = bitmap.iter().map(LocationId).filter(|location| self.available_at(*location) >= units);
                whole.filter_map(ranked).min()
            }
        };
        best.map(|(_, location)| location)
    }

    /// Changes a cell, which is all zero where there was none, and gives what it came to. Where `change` fails nothing changes.
    pub(crate) fn change<E>(
        &mut self,
        location: LocationId,
        change: impl FnOnce(&mut Buckets) -> Result<(), E>,
    ) -> Result<Buckets, E> {
        let place = self.find(location);
        let mut buckets = place.map_or_else(|_| Buckets::default(), |place| self.unpack(&self.cells[place]));
        change(&mut buckets)?;
        self.put_at(place, location, &buckets);
        Ok(buckets)
    }

    /// Puts a cell where `find` says that it is or belongs.
    fn put_at(&mut self, place: Result<usize, usize>, location: LocationId, buckets: &Buckets) {
        assert!(location.0 & HAS_EXTRA == 0, "Invariant: a location's number leaves the top bit free");
        let available = buckets.available();
        let extra = buckets.extra();
        let tag = location.0 | if extra == Extra::default() { 0 } else { HAS_EXTRA };
        let packed = PackedCell {
            tag,
            on_hand: buckets.on_hand.0,
            reserved: buckets.reserved.0,
            committed: buckets.committed.0,
        };
        match place {
            Ok(place) => {
                let old = self.cells[place];
                assert_eq!(old.location(), location, "Invariant: a cell is changed where it stands");
                let before = self.available_of(&old).units();
                self.available =
                    self.available.checked_sub(before).expect("Invariant: a row's sum counts each of its cells");
                if old.has_extra() || tag & HAS_EXTRA != 0 {
                    self.put_extra(location, extra);
                }
                self.cells[place] = packed;
            }
            Err(place) => {
                if tag & HAS_EXTRA != 0 {
                    self.put_extra(location, extra);
                }
                if self.cells.len() == self.cells.capacity() {
                    // A tenth more instead of twice as much: rows grow rarely and stay for ever.
                    self.cells.reserve_exact(1 + self.cells.len() / 10);
                }
                self.cells.insert(place, packed);
            }
        }
        self.available =
            self.available.checked_add(available.units()).expect("Invariant: a row's sum stays within 64 bits");
        self.note_stocked(location, !available.is_zero());
    }

    /// Bytes on the heap, for the memory figure.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let side = self.side.as_ref().map_or(0, |side| {
            size_of::<Side>()
                + side.extras.capacity() * size_of::<(LocationId, Extra)>()
                + side.stocked.as_ref().map_or(0, RoaringBitmap::serialized_size)
        });
        self.cells.capacity() * size_of::<PackedCell>() + side
    }

    pub(crate) fn packed(&self) -> &[PackedCell] {
        &self.cells
    }

    pub(crate) fn extras(&self) -> impl Iterator<Item = (LocationId, Extra)> + '_ {
        self.side.iter().flat_map(|side| side.extras.iter().copied())
    }

    /// Builds a row from a snapshot. `extras` are put afterwards.
    pub(crate) fn restore(cells: Vec<PackedCell>, revision: Lsn, sellable: bool, retired: bool) -> Self {
        let mut row = Self { cells, side: None, available: 0, revision, sellable, retired, frozen: false, kit: false };
        for cell in &mut row.cells {
            cell.tag &= !HAS_EXTRA;
        }
        row.available = row.cells.iter().map(|cell| row.available_of(cell).units()).sum();
        if row.cells.len() >= WIDE {
            row.build_bitmap();
        }
        row
    }

    fn find(&self, location: LocationId) -> Result<usize, usize> {
        self.cells.binary_search_by_key(&location, PackedCell::location)
    }

    fn unpack(&self, cell: &PackedCell) -> Buckets {
        let extra = if cell.has_extra() { self.extra(cell.location()) } else { Extra::default() };
        Buckets {
            on_hand: Quantity(cell.on_hand),
            reserved: Quantity(cell.reserved),
            committed: Quantity(cell.committed),
            safety: extra.safety,
            quality_control: extra.quality_control,
            damaged: extra.damaged,
            in_repair: extra.in_repair,
            incoming: extra.incoming,
            frozen: extra.frozen,
            kept: extra.kept,
        }
    }

    fn available_of(&self, cell: &PackedCell) -> Quantity {
        if cell.has_extra() {
            return self.unpack(cell).available();
        }
        // `Buckets::available` without what is zero here.
        let promised = u64::from(cell.reserved) + u64::from(cell.committed);
        Quantity::clamp(u64::from(cell.on_hand).saturating_sub(promised))
    }

    fn extra(&self, location: LocationId) -> Extra {
        let extras = self.side.as_ref().map_or(&[][..], |side| &side.extras);
        extras.binary_search_by_key(&location, |(at, _)| *at).map_or_else(|_| Extra::default(), |place| extras[place].1)
    }

    fn put_extra(&mut self, location: LocationId, extra: Extra) {
        let extras = &mut self.side.get_or_insert_default().extras;
        match (extras.binary_search_by_key(&location, |(at, _)| *at), extra == Extra::default()) {
            (Ok(place), true) => drop(extras.remove(place)),
            (Ok(place), false) => extras[place].1 = extra,
            (Err(_), true) => {}
            (Err(place), false) => extras.insert(place, (location, extra)),
        }
    }

    fn bitmap(&self) -> Option<&RoaringBitmap> {
        self.side.as_ref().and_then(|side| side.stocked.as_ref())
    }

    fn note_stocked(&mut self, location: LocationId, stocked: bool) {
        if self.cells.len() < WIDE {
            return;
        }
        match self.side.as_mut().and_then(|side| side.stocked.as_mut()) {
            Some(bitmap) if stocked => _ = bitmap.insert(location.0),
            Some(bitmap) => _ = bitmap.remove(location.0),
            None => self.build_bitmap(),
        }
    }

    fn build_bitmap(&mut self) {
        let bitmap = self.stocked().map(|(location, _)| location.0).collect();
        self.side.get_or_insert_default().stocked = Some(bitmap);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn buckets(on_hand: u32, reserved: u32, safety: u32, incoming: u32) -> Buckets {
        Buckets {
            on_hand: Quantity(on_hand),
            reserved: Quantity(reserved),
            safety: Quantity(safety),
            incoming: Quantity(incoming),
            ..Buckets::default()
        }
    }

    proptest! {
        /// A row says what a plain map of cells says, whatever the order of changes, narrow or wide.
        #[test]
        fn a_row_equals_a_map(puts in prop::collection::vec((0_u32..90, 0_u32..6, 0_u32..4, 0_u32..3, 0_u32..2), 0..300)) {
            let mut row = Row::new(true);
            let mut model = BTreeMap::new();
            for (location, on_hand, reserved, safety, incoming) in puts {
                let cell = buckets(on_hand, reserved, safety, incoming);
                row.put(LocationId(location), &cell);
                model.insert(location, cell);
                let sum: u64 = model.values().map(|cell| cell.available().units()).sum();
                prop_assert_eq!(row.available(), sum);
            }
            let all: Vec<_> = row.cells().map(|(location, cell)| (location.0, cell)).collect();
            prop_assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
            let stocked: Vec<_> = row.stocked().collect();
            let expected: Vec<_> = model
                .iter()
                .map(|(location, cell)| (LocationId(*location), cell.available()))
                .filter(|(_, available)| !available.is_zero())
                .collect();
            prop_assert_eq!(&stocked, &expected);
            prop_assert_eq!(row.stocked_bitmap().len(), u64::try_from(expected.len()).unwrap());
            let mut copy = Row::restore(row.packed().to_vec(), row.revision(), true, false);
            for (location, _) in row.extras() {
                copy.put(location, &row.get(location));
            }
            prop_assert_eq!(copy.available(), row.available());
            prop_assert_eq!(copy.stocked().collect::<Vec<_>>(), stocked);
        }
    }

    #[test]
    fn what_is_said_of_a_row_is_kept() {
        let mut row = Row::new(true);
        assert!(row.is_empty() && row.sellable() && row.flagged_sellable());
        assert!(!row.frozen() && !row.kit() && !row.retired());
        row.set_frozen(true);
        assert!(row.frozen() && !row.sellable() && row.flagged_sellable(), "frozen is not for sale");
        row.set_frozen(false);
        row.set_sellable(false);
        assert!(!row.sellable() && !row.flagged_sellable());
        row.set_kit(true);
        row.set_retired();
        row.set_revision(Lsn::new(7));
        assert!(row.kit() && row.retired());
        assert_eq!(row.revision(), Lsn::new(7));
        row.put(LocationId(3), &buckets(5, 1, 0, 0));
        assert_eq!((row.len(), row.is_empty()), (1, false));
        let restored = Row::restore(row.packed().to_vec(), Lsn::new(9), false, true);
        assert_eq!((restored.revision(), restored.flagged_sellable(), restored.retired()), (Lsn::new(9), false, true));
        assert_eq!((restored.available(), restored.get(LocationId(3))), (4, buckets(5, 1, 0, 0)));
    }

    #[test]
    fn a_change_that_fails_changes_nothing() {
        let mut row = Row::new(true);
        row.put(LocationId(3), &buckets(5, 1, 2, 0));
        let grown = row.change(LocationId(3), |cell| {
            cell.on_hand = Quantity(9);
            Ok::<(), ()>(())
        });
        assert_eq!(grown, Ok(buckets(9, 1, 2, 0)));
        assert_eq!((row.available(), row.available_at(LocationId(3))), (6, Quantity(6)));
        let refused = row.change(LocationId(3), |cell| {
            cell.on_hand = Quantity::ZERO;
            Err("refused")
        });
        assert_eq!(refused, Err("refused"));
        assert_eq!((row.available(), row.get(LocationId(3))), (6, buckets(9, 1, 2, 0)));
        assert_eq!((row.available_at(LocationId(4)), row.get(LocationId(4))), (Quantity::ZERO, Buckets::default()));
        let made = row.change(LocationId(1), |cell| {
            cell.on_hand = Quantity(2);
            Ok::<(), ()>(())
        });
        assert_eq!((made, row.len(), row.available()), (Ok(buckets(2, 0, 0, 0)), 2, 8));
    }

    #[test]
    fn the_rarer_buckets_come_and_go_with_their_figures() {
        let mut row = Row::new(true);
        let full = Buckets {
            on_hand: Quantity(100),
            reserved: Quantity(1),
            committed: Quantity(2),
            safety: Quantity(3),
            quality_control: Quantity(4),
            damaged: Quantity(5),
            in_repair: Quantity(6),
            incoming: Quantity(7),
            frozen: false,
            kept: Quantity(8),
        };
        for location in [5, 2, 9] {
            row.put(LocationId(location), &full);
        }
        assert_eq!(row.get(LocationId(2)), full);
        assert_eq!(row.available(), 3 * (100 - 3 - 8 - 15));
        row.put(LocationId(5), &Buckets { safety: Quantity(9), ..full });
        assert_eq!(row.get(LocationId(5)).safety, Quantity(9), "it is replaced where it stands");
        row.put(LocationId(2), &Buckets { frozen: true, ..full });
        assert_eq!((row.available_at(LocationId(2)), row.get(LocationId(2)).frozen), (Quantity::ZERO, true));
        let places: Vec<_> = row.extras().map(|(location, _)| location.0).collect();
        assert_eq!(places, [2, 5, 9]);
        row.put(LocationId(5), &buckets(10, 0, 0, 0));
        let places: Vec<_> = row.extras().map(|(location, _)| location.0).collect();
        assert_eq!(places, [2, 9], "a plain cell keeps no entry");
        assert_eq!((row.get(LocationId(5)), row.available_at(LocationId(5))), (buckets(10, 0, 0, 0), Quantity(10)));
        row.put(LocationId(5), &buckets(10, 0, 0, 0));
        assert_eq!(row.extras().count(), 2, "and makes none");
    }

    #[test]
    fn the_bitmap_begins_with_the_sixty_fourth_cell_and_follows_every_change() {
        let mut row = Row::new(true);
        for location in 0..64 {
            assert!(row.bitmap().is_none(), "{location} cells need none");
            row.put(LocationId(location), &buckets(location % 2, 0, 0, 0));
        }
        assert_eq!(row.bitmap().map(RoaringBitmap::len), Some(32));
        let restored = |cells: &[PackedCell]| Row::restore(cells.to_vec(), Lsn::ZERO, true, false);
        assert_eq!(restored(row.packed()).bitmap(), row.bitmap());
        assert!(restored(&row.packed()[..63]).bitmap().is_none());
        row.put(LocationId(0), &buckets(1, 0, 0, 0));
        row.put(LocationId(1), &buckets(1, 1, 0, 0));
        assert!(row.bitmap().is_some_and(|bitmap| bitmap.contains(0) && !bitmap.contains(1)));
        assert_eq!(row.stocked_bitmap(), row.stocked().map(|(location, _)| location.0).collect());
    }

    #[test]
    fn rows_grow_by_a_tenth_and_know_what_they_take() {
        let mut row = Row::new(true);
        assert_eq!(row.heap_bytes(), 0);
        for location in 0..20 {
            row.put(LocationId(location), &buckets(1, 0, 0, 0));
        }
        let (cells, bytes) = (row.cells.capacity(), row.heap_bytes());
        assert!((20..=22).contains(&cells), "{cells} cells have room");
        assert_eq!(bytes, cells * 16);
        row.put(LocationId(0), &buckets(1, 0, 1, 0));
        let side = row.side.as_ref().map_or(0, |side| side.extras.capacity());
        assert_eq!(row.heap_bytes(), bytes + size_of::<Side>() + side * size_of::<(LocationId, Extra)>());
        for location in 20..64 {
            row.put(LocationId(location), &buckets(1, 0, 0, 0));
        }
        let bitmap = row.bitmap().map_or(0, RoaringBitmap::serialized_size);
        let (cells, side) = (row.cells.capacity(), row.side.as_ref().map_or(0, |side| side.extras.capacity()));
        let expected = cells * 16 + size_of::<Side>() + side * size_of::<(LocationId, Extra)>() + bitmap;
        assert!(bitmap > 0);
        assert_eq!(row.heap_bytes(), expected);
    }

    #[test]
    fn a_full_row_gets_room_for_one_cell_and_a_tenth() {
        let mut row = Row::new(true);
        let room = |cells: u32, row: &mut Row| {
            (0..cells).for_each(|location| row.put(LocationId(location), &buckets(1, 0, 0, 0)));
            row.cells.capacity()
        };
        assert_eq!([5, 12, 21].map(|cells| room(cells, &mut row)), [5, 12, 23]);
    }

    #[test]
    fn a_plain_cell_counts_both_kinds_of_promises_and_makes_no_side_table() {
        let mut row = Row::new(true);
        for committed in [3, 7] {
            row.put(LocationId(1), &Buckets { committed: Quantity(committed), ..buckets(10, 2, 0, 0) });
            assert_eq!(row.available(), 10 - 2 - u64::from(committed).min(8));
            assert_eq!(row.available_at(LocationId(1)).units(), row.available());
        }
        assert!(row.side.is_none());
    }

    #[test]
    fn a_cell_is_sixteen_bytes() {
        assert_eq!(size_of::<PackedCell>(), 16);
    }
}
