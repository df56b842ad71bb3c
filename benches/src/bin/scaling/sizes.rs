//! The sizes that are gone through, on each axis one figure grows and the others stay.

use crate::Arguments;

/// One size of one axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// What the axis shows.
    pub(crate) size: u32,
    pub(crate) skus: u32,
    pub(crate) locations: u32,
    /// Lines of an order.
    pub(crate) lines: usize,
    /// The location that orders name; none: the engine chooses by priority.
    pub(crate) named: Option<u32>,
}

impl Point {
    /// Orders that ask for about so many lines together, at least some.
    pub(crate) fn requests(&self, lines: usize) -> usize {
        (lines / self.lines).max(20)
    }

    /// Memory of the matrix, generously.
    pub(crate) fn bytes(&self) -> u64 {
        const SKU: u64 = 600;
        const CELL: u64 = 26;
        u64::from(self.skus) * (SKU + CELL * u64::from(self.locations)) + (512 << 20)
    }
}

/// What grows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    /// In names of files and figures.
    pub(crate) key: &'static str,
    /// Above a picture.
    pub(crate) title: &'static str,
    /// Below the axis.
    pub(crate) name: &'static str,
    sizes: &'static [u32],
    /// A size, where something else than the matrix grows in one of so many cells.
    point: fn(u32, u32) -> Point,
    /// Sizes up to this one are counted by callgrind, which is some fifty times slower.
    counted_max: u32,
    /// Sizes up to this one are gone through with `--quick`.
    quick_max: u32,
}

const TENFOLD: [u32; 5] = [10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Cells of the axes on which something else grows, where time is taken, and where instructions are counted.
const CELLS: u32 = 1_000_000;
const CELLS_COUNTED: u32 = 100_000;

pub(crate) const AXES: [Axis; 4] = [
    Axis {
        key: "cells",
        title: "Cells of the matrix",
        name: "cells",
        sizes: &TENFOLD,
        point: |cells, _| Point { size: cells, skus: cells / 10, locations: 10, lines: 1, named: Some(3) },
        counted_max: 1_000_000,
        quick_max: 100_000,
    },
    Axis {
        key: "locations",
        title: "Locations of a SKU, one of them named,",
        name: "locations",
        sizes: &[1, 10, 100, 1_000, 10_000],
        point: |locations, cells| Point {
            size: locations,
            skus: cells / locations,
            locations,
            lines: 1,
            named: Some(locations / 2),
        },
        counted_max: 10_000,
        quick_max: 100,
    },
    Axis {
        key: "priority",
        title: "Locations of a SKU, the first with stock taken,",
        name: "locations",
        sizes: &[1, 10, 100, 1_000, 10_000],
        point: |locations, cells| Point { size: locations, skus: cells / locations, locations, lines: 1, named: None },
        counted_max: 10_000,
        quick_max: 100,
    },
    Axis {
        key: "lines",
        title: "Lines of an order",
        name: "lines",
        sizes: &[1, 2, 5, 10, 20, 50, 100, 200, 500],
        point: |lines, cells| Point {
            size: lines,
            skus: cells / 10,
            locations: 10,
            lines: usize::try_from(lines).unwrap_or(usize::MAX),
            named: Some(3),
        },
        counted_max: 10_000,
        quick_max: 10,
    },
];

impl Axis {
    /// The sizes to go through.
    pub(crate) fn points(&self, arguments: &Arguments) -> Vec<Point> {
        self.made(CELLS, arguments)
    }

    /// Those that callgrind counts.
    pub(crate) fn counted(&self, arguments: &Arguments) -> Vec<Point> {
        self.made(CELLS_COUNTED, arguments).into_iter().filter(|point| point.size <= self.counted_max).collect()
    }

    fn made(&self, cells: u32, arguments: &Arguments) -> Vec<Point> {
        let made = self.sizes.iter().map(|&size| (self.point)(size, cells));
        made.filter(|point| !arguments.quick || point.size <= self.quick_max)
            .filter(|point| point.skus.saturating_mul(point.locations) <= arguments.cells_max)
            .collect()
    }
}
