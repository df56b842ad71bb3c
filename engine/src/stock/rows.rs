//! The rows of a shard; and, while a snapshot copies them, as they were when it began.
//!
//! All of them copied under one hold of the lock would keep every writer waiting for milliseconds. So they are copied some at a time, and whoever
//! changes a row that has not had its turn leaves a copy of how it was (copy on write).

use std::{collections::BTreeMap, ops::Deref};

use super::Row;

/// Rows by their numbers. They are read as a slice; whoever changes one goes through `get_mut`.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: Vec<Row>,
    copying: Option<Box<Copying>>,
}

/// What is to be copied yet: rows from `next` to `end`, of these the ones in `before` as they stand there.
#[derive(Debug)]
struct Copying {
    next: usize,
    end: usize,
    before: BTreeMap<usize, Row>,
}

impl Deref for Rows {
    type Target = [Row];

    fn deref(&self) -> &[Row] {
        &self.rows
    }
}

impl Rows {
    /// A row, to change.
    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Row> {
        if self.copying.is_some() {
            self.keep(place);
        }
        self.rows.get_mut(place)
    }

    #[cold]
    fn keep(&mut self, place: usize) {
        if let Some(copying) = &mut self.copying
            && (copying.next..copying.end).contains(&place)
        {
            copying.before.entry(place).or_insert_with(|| self.rows[place].clone());
        }
    }

    /// Makes room for so many rows more, and none to spare.
    pub(crate) fn reserve_exact(&mut self, more: usize) {
        self.rows.reserve_exact(more);
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: Row) {
        if self.rows.len() == self.rows.capacity() {
            // An eighth more instead of twice as much: SKUs come rarely and stay for ever.
            self.rows.reserve_exact(32 + self.rows.len() / 8);
        }
        self.rows.push(row);
    }

    /// From here on `copy` gives the rows as they are now.
    ///
    /// # Panics
    /// If those of another moment have not been copied to the end.
    pub(crate) fn begin_copy(&mut self) {
        assert!(self.copying.is_none(), "Invariant: rows are copied as of one moment at a time");
        self.copying = Some(Box::new(Copying { next: 0, end: self.rows.len(), before: BTreeMap::new() }));
    }

    /// Visits the next rows in order, with some `cells` altogether, as they were when the copy began; gives whether there are more.
    pub(crate) fn copy(&mut self, cells: usize, mut visit: impl FnMut(usize, &Row)) -> bool {
        let Some(copying) = &mut self.copying else { return false };
        let mut seen = 0;
        while copying.next < copying.end && seen < cells {
            let place = copying.next;
            let before = copying.before.remove(&place);
            let row = before.as_ref().unwrap_or(&self.rows[place]);
            visit(place, row);
            seen += row.len().max(1);
            copying.next += 1;
        }
        let more = copying.next < copying.end;
        if !more {
            self.copying = None;
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{id::LocationId, quantity::Quantity, stock::Buckets};

    fn put(row: &mut Row, location: u32, units: u32) {
        // Safety stock in some, so that side tables are copied, too.
        let safety = Quantity(u32::from(units.is_multiple_of(5)));
        row.put(LocationId(location), &Buckets { on_hand: Quantity(units), safety, ..Buckets::default() });
    }

    fn state(row: &Row) -> (Vec<(LocationId, Buckets)>, u64, bool) {
        (row.cells().collect(), row.available(), row.sellable())
    }

    proptest! {
        /// Between any two pieces rows change and come.
        #[test]
        fn the_copy_is_of_the_moment_it_began(
            first in proptest::collection::vec(0..4_u32, 0..12),
            steps in proptest::collection::vec((0..16_usize, 0..3_u32, 0..50_u32), 0..60),
            rest in (1..6_usize, 0..30_usize),
        ) {
            let (cells, begin) = rest;
            let mut rows = Rows::default();
            for width in first {
                rows.push(Row::new(true));
                let place = rows.len() - 1;
                (0..width).for_each(|location| put(rows.get_mut(place).unwrap(), location, 10 + location));
            }
            let mut expected = None;
            let mut copied = Vec::new();
            for (number, (place, location, units)) in steps.into_iter().enumerate() {
                if number == begin {
                    rows.begin_copy();
                    expected = Some(rows.iter().map(state).collect::<Vec<_>>());
                } else if number > begin && number.is_multiple_of(2) {
                    rows.copy(cells, |place, row| copied.push((place, state(row))));
                }
                match rows.get_mut(place) {
                    None => rows.push(Row::new(units.is_multiple_of(2))),
                    Some(row) if units.is_multiple_of(7) => row.set_sellable(units.is_multiple_of(2)),
                    Some(row) => put(row, location, units),
                }
            }
            while rows.copy(cells, |place, row| copied.push((place, state(row)))) {}
            if let Some(expected) = expected {
                let expected: Vec<_> = expected.into_iter().enumerate().collect();
                prop_assert_eq!(copied, expected);
            } else {
                prop_assert_eq!(copied, vec![]);
            }
        }
    }

    #[test]
    fn a_row_that_has_been_copied_is_not_kept_again() {
        let mut rows = Rows::default();
        (0..3).for_each(|_| rows.push(Row::new(true)));
        rows.begin_copy();
        assert!(rows.copy(1, |_, _| ()));
        for place in [0, 1, 1] {
            put(rows.get_mut(place).unwrap(), 0, 1);
        }
        let kept =
            |rows: &Rows| rows.copying.as_ref().map(|copying| copying.before.keys().copied().collect::<Vec<_>>());
        assert_eq!(kept(&rows), Some(vec![1]));
        assert!(!rows.copy(10, |_, _| ()));
        assert_eq!(kept(&rows), None, "and nothing once the copy is whole");
        put(rows.get_mut(2).unwrap(), 0, 1);
        assert_eq!(kept(&rows), None);
    }
}
