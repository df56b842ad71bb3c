//! A row: the cells of one SKU, packed.
//!
//! A cell is 16 bytes in an array sorted by location. The rarer buckets stand in a side table, and a bit of the location says that
//! they do. The sum of what is available is kept, so that "sold out" is one comparison. A wide row also keeps a bitmap of the
//! locations that have availability. The row itself is 32 bytes: its cells alone are reached directly, and what few rows have lies with
//! their cells elsewhere.

use quartermaster_journal::Lsn;
use roaring::RoaringBitmap;

use super::cell::{Buckets, Extra};
use crate::{id::LocationId, near, quantity::Quantity, stamp::Stamp};

/// From this many cells on a row keeps a bitmap; below, looking at each cell is as fast and costs nothing to keep.
const WIDE: usize = 64;

/// Cells that are asked for ahead at most: four cache lines.
const NEAR: usize = 16;

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

/// The cells of a row.
#[derive(Clone, Debug)]
enum Cells {
    /// Cells and nothing else. Such rows have fewer than `WIDE`, so the array is as long as they are many.
    Alone(Box<[PackedCell]>),
    /// Cells with rarer buckets, or many.
    Beside(Box<Side>),
}

/// Cells and what not every row has.
#[derive(Clone, Debug, Default)]
struct Side {
    cells: Vec<PackedCell>,
    extras: Vec<(LocationId, Extra)>,
    stocked: Option<RoaringBitmap>,
}

/// Bits beside the revision.
const SELLABLE: u8 = 1;
const RETIRED: u8 = 1 << 1;
const FROZEN: u8 = 1 << 2;
const KIT: u8 = 1 << 3;

/// The stock of one SKU.
#[derive(Clone, Debug)]
pub struct Row {
    cells: Cells,
    available: u64,
    /// Revision, and the flags.
    stamp: Stamp,
}

// Ten million SKUs make this 320 MB: what a row takes is no accident.
const _: () = assert!(size_of::<Row>() == 32);

impl Row {
    /// A row without stock.
    #[must_use]
    pub fn new(sellable: bool) -> Self {
        let bits = if sellable { SELLABLE } else { 0 };
        Self { cells: Cells::Alone(Box::default()), available: 0, stamp: Stamp::new(Lsn::ZERO, bits) }
    }

    /// Units available at all locations together, closed ones included: no request can take more.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.available
    }

    /// LSN of the last event that changed a cell.
    #[must_use]
    pub fn revision(&self) -> Lsn {
        self.stamp.lsn()
    }

    /// Whether the SKU is for sale: its owner says so and it is not frozen.
    #[must_use]
    pub fn sellable(&self) -> bool {
        self.stamp.bits() & (SELLABLE | FROZEN) == SELLABLE
    }

    /// Whether its owner says that the SKU is for sale.
    #[must_use]
    pub fn flagged_sellable(&self) -> bool {
        self.stamp.has(SELLABLE)
    }

    /// Whether the SKU is frozen, wherever it is.
    #[must_use]
    pub fn frozen(&self) -> bool {
        self.stamp.has(FROZEN)
    }

    /// Whether the SKU is a kit, which has no stock of its own.
    #[must_use]
    pub fn kit(&self) -> bool {
        self.stamp.has(KIT)
    }

    /// Whether the SKU is retired.
    #[must_use]
    pub fn retired(&self) -> bool {
        self.stamp.has(RETIRED)
    }

    /// Number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packed().len()
    }

    /// Whether it has no cell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packed().is_empty()
    }

    pub(crate) fn set_revision(&mut self, lsn: Lsn) {
        self.stamp.set_lsn(lsn);
    }

    pub(crate) fn set_sellable(&mut self, sellable: bool) {
        self.stamp.set(SELLABLE, sellable);
    }

    pub(crate) fn set_frozen(&mut self, frozen: bool) {
        self.stamp.set(FROZEN, frozen);
    }

    pub(crate) fn set_kit(&mut self, kit: bool) {
        self.stamp.set(KIT, kit);
    }

    pub(crate) fn set_retired(&mut self) {
        self.stamp.set(RETIRED, true);
    }

    /// The cell at a location; all zero where there is none.
    #[must_use]
    pub fn get(&self, location: LocationId) -> Buckets {
        self.find(location).map_or_else(|_| Buckets::default(), |place| self.unpack(&self.packed()[place]))
    }

    /// Units available at a location.
    #[must_use]
    pub fn available_at(&self, location: LocationId) -> Quantity {
        self.find(location).map_or(Quantity::ZERO, |place| self.available_of(&self.packed()[place]))
    }

    /// Asks for the memory of the cells, the first lines of it; of rows that have more than cells, for where those are told.
    pub(crate) fn ask_for_cells(&self) {
        match &self.cells {
            Cells::Alone(cells) => near::ask_for_whole(&cells[..cells.len().min(NEAR)]),
            Cells::Beside(side) => near::ask_for(&**side),
        }
    }

    /// All cells by location.
    pub fn cells(&self) -> impl Iterator<Item = (LocationId, Buckets)> + '_ {
        self.packed().iter().map(|cell| (cell.location(), self.unpack(cell)))
    }

    /// Locations with something available, ascending, with how much.
    pub fn stocked(&self) -> impl Iterator<Item = (LocationId, Quantity)> + '_ {
        let bitmap = self.bitmap();
        let narrow = if bitmap.is_some() { &[][..] } else { self.packed() };
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
        let cell = &mut self.packed_mut()[place];
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
    pub(crate) fn best(&self, units: u64, rank: impl Fn(LocationId) -> Option<u32>) -> Option<LocationId> {
        match self.bitmap() {
            None => {
                let whole = self.packed().iter().filter(|cell| self.available_of(cell).units() >= units);
                first(whole.map(PackedCell::location), rank)
            }
            Some(bitmap) => {
                let whole = bitmap.iter().map(LocationId);
                first(whole.filter(|location| self.available_at(*location).units() >= units), rank)
            }
        }
    }

    /// Changes a cell, which is all zero where there was none, and gives what it came to. Where `change` fails nothing changes.
    pub(crate) fn change<E>(
        &mut self,
        location: LocationId,
        change: impl FnOnce(&mut Buckets) -> Result<(), E>,
    ) -> Result<Buckets, E> {
        let place = self.find(location);
        let mut buckets = place.map_or_else(|_| Buckets::default(), |place| self.unpack(&self.packed()[place]));
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
                let old = std::mem::replace(&mut self.packed_mut()[place], packed);
                assert_eq!(old.location(), location, "Invariant: a cell is changed where it stands");
                let before = self.available_of(&old).units();
                self.available =
                    self.available.checked_sub(before).expect("Invariant: a row's sum counts each of its cells");
                if old.has_extra() || tag & HAS_EXTRA != 0 {
                    self.put_extra(location, extra);
                }
            }
            Err(place) => {
                if tag & HAS_EXTRA != 0 {
                    self.put_extra(location, extra);
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
        match &self.cells {
            Cells::Alone(cells) => size_of_val(&**cells),
            Cells::Beside(side) => {
                size_of::<Side>()
                    + side.cells.capacity() * size_of::<PackedCell>()
                    + side.extras.capacity() * size_of::<(LocationId, Extra)>()
                    + side.stocked.as_ref().map_or(0, RoaringBitmap::serialized_size)
            }
        }
    }

    pub(crate) fn packed(&self) -> &[PackedCell] {
        match &self.cells {
            Cells::Alone(cells) => cells,
            Cells::Beside(side) => &side.cells,
        }
    }

    fn packed_mut(&mut self) -> &mut [PackedCell] {
        match &mut self.cells {
            Cells::Alone(cells) => cells,
            Cells::Beside(side) => &mut side.cells,
        }
    }

    fn side(&self) -> Option<&Side> {
        match &self.cells {
            Cells::Alone(_) => None,
            Cells::Beside(side) => Some(side),
        }
    }

    pub(crate) fn extras(&self) -> impl Iterator<Item = (LocationId, Extra)> + '_ {
        self.side().into_iter().flat_map(|side| side.extras.iter().copied())
    }

    /// Builds a row from a snapshot, of a revision that a stamp can tell. `extras` are put afterwards.
    pub(crate) fn restore(mut cells: Box<[PackedCell]>, revision: Lsn, sellable: bool, retired: bool) -> Self {
        for cell in &mut cells {
            cell.tag &= !HAS_EXTRA;
        }
        let mut row = Self { cells: Cells::Alone(cells), ..Self::new(sellable) };
        row.stamp.set_lsn(revision);
        row.stamp.set(RETIRED, retired);
        row.available = row.packed().iter().map(|cell| row.available_of(cell).units()).sum();
        if row.len() >= WIDE {
            row.build_bitmap();
        }
        row
    }

    fn find(&self, location: LocationId) -> Result<usize, usize> {
        self.packed().binary_search_by_key(&location, PackedCell::location)
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
        // `Buckets::available` without what is zero here; one after the other, because together they may pass 32 bits.
        Quantity(cell.on_hand.saturating_sub(cell.reserved).saturating_sub(cell.committed))
    }

    fn extra(&self, location: LocationId) -> Extra {
        let extras = self.side().map_or(&[][..], |side| &side.extras);
        extras.binary_search_by_key(&location, |(at, _)| *at).map_or_else(|_| Extra::default(), |place| extras[place].1)
    }

    fn put_extra(&mut self, location: LocationId, extra: Extra) {
        let extras = &mut self.cells.side().extras;
        match (extras.binary_search_by_key(&location, |(at, _)| *at), extra == Extra::default()) {
            (Ok(place), true) => drop(extras.remove(place)),
            (Ok(place), false) => extras[place].1 = extra,
            (Err(_), true) => {}
            (Err(place), false) => extras.insert(place, (location, extra)),
        }
    }

    fn bitmap(&self) -> Option<&RoaringBitmap> {
        self.side().and_then(|side| side.stocked.as_ref())
    }

    fn note_stocked(&mut self, location: LocationId, stocked: bool) {
        let Cells::Beside(side) = &mut self.cells else {
            // The array alone is for narrow rows: one that has become wide gets its bitmap, and its cells room to grow.
            if self.len() >= WIDE {
                self.build_bitmap();
            }
            return;
        };
        match side.stocked.as_mut() {
            Some(bitmap) if stocked => _ = bitmap.insert(location.0),
            Some(bitmap) => _ = bitmap.remove(location.0),
            None if side.cells.len() >= WIDE => self.build_bitmap(),
            None => {}
        }
    }

    fn build_bitmap(&mut self) {
        let bitmap = self.stocked().map(|(location, _)| location.0).collect();
        self.cells.side().stocked = Some(bitmap);
    }
}

/// The place of the best rank. Nothing comes before rank 0, which ends the search.
#[inline]
fn first(locations: impl Iterator<Item = LocationId>, rank: impl Fn(LocationId) -> Option<u32>) -> Option<LocationId> {
    let mut best: Option<(u32, LocationId)> = None;
    for location in locations {
        if let Some(rank) = rank(location)
            && best.is_none_or(|(least, _)| rank < least)
        {
            best = Some((rank, location));
            if rank == 0 {
                break;
            }
        }
    }
    best.map(|(_, location)| location)
}

impl Cells {
    /// Puts a new cell before the one at `place`.
    fn insert(&mut self, place: usize, cell: PackedCell) {
        match self {
            Self::Alone(cells) => {
                let mut grown = std::mem::take(cells).into_vec();
                grown.reserve_exact(1);
                grown.insert(place, cell);
                *cells = grown.into();
            }
            Self::Beside(side) => {
                let cells = &mut side.cells;
                if cells.len() == cells.capacity() {
                    // A tenth more instead of twice as much: rows grow rarely and stay for ever.
                    cells.reserve_exact(1 + cells.len() / 10);
                }
                cells.insert(place, cell);
            }
        }
    }

    /// The side table, made if there is none.
    fn side(&mut self) -> &mut Side {
        if let Self::Alone(cells) = self {
            let cells = std::mem::take(cells).into_vec();
            *self = Self::Beside(Box::new(Side { cells, ..Side::default() }));
        }
        match self {
            Self::Beside(side) => side,
            Self::Alone(_) => panic!("Invariant: it was just made so"),
        }
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
            // Ranks that neither ascend nor descend with the places; one place in seven takes nothing.
            let rank = |at: LocationId| (at.0 % 7 != 6).then_some((at.0 * 37 + 11) % 90);
            for units in 1..6 {
                let whole = expected.iter().filter(|(_, available)| available.units() >= units);
                let best = whole.filter_map(|(at, _)| Some((rank(*at)?, *at))).min().map(|(_, at)| at);
                prop_assert_eq!(row.best(units, rank), best);
            }
            let mut copy = Row::restore(row.packed().into(), row.revision(), true, false);
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
        let restored = Row::restore(row.packed().into(), Lsn::new(9), false, true);
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
        let restored = |cells: &[PackedCell]| Row::restore(cells.into(), Lsn::ZERO, true, false);
        assert_eq!(restored(row.packed()).bitmap(), row.bitmap());
        assert!(restored(&row.packed()[..63]).bitmap().is_none());
        row.put(LocationId(0), &buckets(1, 0, 0, 0));
        row.put(LocationId(1), &buckets(1, 1, 0, 0));
        assert!(row.bitmap().is_some_and(|bitmap| bitmap.contains(0) && !bitmap.contains(1)));
        assert_eq!(row.stocked_bitmap(), row.stocked().map(|(location, _)| location.0).collect());
    }

    /// Room for cells and for entries of the side table.
    fn room(row: &Row) -> (usize, usize) {
        match &row.cells {
            Cells::Alone(cells) => (cells.len(), 0),
            Cells::Beside(side) => (side.cells.capacity(), side.extras.capacity()),
        }
    }

    #[test]
    fn rows_know_what_they_take() {
        let mut row = Row::new(true);
        assert_eq!(row.heap_bytes(), 0);
        for location in 0..20 {
            row.put(LocationId(location), &buckets(1, 0, 0, 0));
        }
        assert_eq!((room(&row), row.heap_bytes()), ((20, 0), 20 * 16), "a narrow row has no room to spare");
        let beside = |row: &Row| {
            let (cells, extras) = room(row);
            cells * 16 + size_of::<Side>() + extras * size_of::<(LocationId, Extra)>()
        };
        row.put(LocationId(0), &buckets(1, 0, 1, 0));
        assert!(room(&row).0 == 20 && room(&row).1 > 0);
        assert_eq!(row.heap_bytes(), beside(&row));
        for location in 20..64 {
            row.put(LocationId(location), &buckets(1, 0, 0, 0));
        }
        let bitmap = row.bitmap().map_or(0, RoaringBitmap::serialized_size);
        assert!(bitmap > 0);
        assert_eq!(row.heap_bytes(), beside(&row) + bitmap);
    }

    #[test]
    fn a_row_gets_room_for_one_cell_and_with_a_side_table_for_a_tenth_more() {
        let grow = |cells: u32, row: &mut Row| {
            (0..cells).for_each(|location| row.put(LocationId(location), &buckets(1, 0, 0, 0)));
            room(row).0
        };
        let mut row = Row::new(true);
        assert_eq!([5, 12, 21, 64].map(|cells| grow(cells, &mut row)), [5, 12, 21, 64]);
        assert_eq!([65, 71, 72].map(|cells| grow(cells, &mut row)), [71, 71, 79]);
        let mut row = Row::new(true);
        row.put(LocationId(0), &buckets(1, 0, 1, 0));
        row.put(LocationId(0), &buckets(1, 0, 0, 0));
        assert_eq!([5, 12, 21].map(|cells| grow(cells, &mut row)), [5, 12, 23]);
    }

    #[test]
    fn a_plain_cell_counts_both_kinds_of_promises_and_makes_no_side_table() {
        let mut row = Row::new(true);
        for committed in [3, 7] {
            row.put(LocationId(1), &Buckets { committed: Quantity(committed), ..buckets(10, 2, 0, 0) });
            assert_eq!(row.available(), 10 - 2 - u64::from(committed).min(8));
            assert_eq!(row.available_at(LocationId(1)).units(), row.available());
        }
        assert!(row.side().is_none());
    }

    #[test]
    fn a_cell_is_sixteen_bytes_and_a_row_thirty_two() {
        assert_eq!((size_of::<PackedCell>(), size_of::<Row>()), (16, 32));
    }
}
