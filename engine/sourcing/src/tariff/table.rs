//! The rates of one service as a table: a row for each kind of destination, a column for each kind of origin.
//!
//! Which rates contain a region follows from the deepest region above it that the rates name. So destinations with the same deepest named
//! region share a row, places with the same share a column, and which rate is the most specific is settled for each cell when the table
//! is built. An order finds its row once; each place then costs one look at a cell.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use quartermaster_routing::{Grams, Money};
use smallvec::SmallVec;

use super::check::{Ends, groups};
use super::{RateSpec, ServiceSpec};
use crate::codes::{hasher, index, number};
use crate::geo::{Chord, Reach};
use crate::network::Lane;
use crate::region::{RegionId, Regions};

/// No rate applies to any place.
pub(crate) const NO_ROW: u32 = u32::MAX;

/// The service does not fetch from the place, or no rate names its region.
pub(crate) const NO_COLUMN: u32 = u32::MAX;

/// No rate applies.
const NO_RATE: u32 = u32::MAX;

/// The most cells of one table: 64 MiB.
const CELLS_MAX: usize = 1 << 24;

type Map<K, V> = HashMap<K, V, ahash::RandomState>;

/// The rates of one service, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Of each named destination, its row's first cell; `None` for all others.
    rows: Map<Option<RegionId>, u32>,
    /// Row by row, the position of the first band in `bands`.
    cells: Vec<u32>,
    /// The bands of a cell stand together, by distance.
    bands: Vec<Band>,
}

/// A rate ready to be priced.
#[derive(Clone, Copy, Debug)]
struct Band {
    lane: Lane,
    needs_distance: bool,
    /// `None`: holds every distance that the bands before do not.
    reach: Option<Reach>,
    /// Another band of the same cell follows.
    more: bool,
    /// 0: none.
    distance_step_metres: u32,
    distance_step_price: i64,
}

impl Table {
    /// Compiles a service that passed the check. `origins` are the regions of the places it fetches from; of each the column comes back.
    /// `None` when the table would be too large.
    pub(crate) fn new(
        service: u32,
        spec: &ServiceSpec,
        regions: &Regions,
        origins: &[Option<RegionId>],
    ) -> Option<(Self, Vec<u32>)> {
        let groups = groups(spec, regions)?;
        let mut table = Self { rows: HashMap::with_hasher(hasher()), cells: Vec::new(), bands: Vec::new() };
        let firsts = table.intern(service, spec, &groups);
        let named: BTreeSet<_> = groups.iter().filter_map(|((origin, _), _)| *origin).collect();
        let (keys, columns) = columns(&named, regions, origins);
        // By tree, so that the table is the same in every process.
        let mut destinations: Vec<_> = groups.iter().map(|((_, destination), _)| *destination).collect();
        destinations.push(None);
        destinations.sort_unstable();
        destinations.dedup();
        let chains: Vec<_> = keys.iter().map(|key| chain(*key, regions)).collect();
        let mut known: Map<Vec<u32>, u32> = HashMap::with_hasher(hasher());
        for destination in destinations {
            let to = chain(destination, regions);
            let best = |from: &Vec<_>| to.iter().find_map(|to| from.iter().find_map(|from| firsts.get(&(*from, *to))));
            let row: Vec<u32> = chains.iter().map(|from| best(from).copied().unwrap_or(NO_RATE)).collect();
            let first = if row.iter().all(|cell| *cell == NO_RATE) {
                NO_ROW
            } else if let Some(first) = known.get(&row) {
                *first
            } else {
                let first = number(table.cells.len());
                table.cells.extend_from_slice(&row);
                known.insert(row, first);
                first
            };
            if table.cells.len() > CELLS_MAX {
                return None;
            }
            table.rows.insert(destination, first);
        }
        Some((table, columns))
    }

    /// Puts the bands of every group into the table, equal ones once; where those of each group start.
    fn intern(&mut self, service: u32, spec: &ServiceSpec, groups: &[(Ends, Vec<usize>)]) -> Map<Ends, u32> {
        let mut known: Map<&[usize], u32> = HashMap::with_hasher(hasher());
        let mut firsts = HashMap::with_hasher(hasher());
        for (ends, rates) in groups {
            let first = *known.entry(rates).or_insert_with(|| {
                let first = number(self.bands.len());
                let last = rates.len().saturating_sub(1);
                let bands = rates.iter().enumerate().map(|(i, rate)| band(service, spec, &spec.rates[*rate], i < last));
                self.bands.extend(bands);
                first
            });
            firsts.insert(*ends, first);
        }
        firsts
    }

    /// The row of a destination: ask once for each order.
    pub(crate) fn row(&self, regions: &Regions, destination: Option<RegionId>) -> u32 {
        let named = destination.and_then(|region| regions.ancestors(region).find_map(|at| self.rows.get(&Some(at))));
        named.or_else(|| self.rows.get(&None)).copied().unwrap_or(NO_ROW)
    }

    /// Whether rows differ by destination.
    pub(crate) fn names_destinations(&self) -> bool {
        self.rows.len() > 1
    }

    /// Adds the lane of a row and column, if a rate applies. `chord` is asked only when the distance matters; `None` when it is not known.
    #[inline]
    pub(crate) fn lane(
        &self,
        row: u32,
        column: u32,
        chord: impl FnOnce() -> Option<Chord>,
        out: &mut SmallVec<[Lane; 2]>,
    ) {
        let Some(cell) = row.checked_add(column).and_then(|cell| self.cells.get(index(cell))) else { return };
        let Some(first) = self.bands.get(index(*cell)) else { return };
        if first.needs_distance {
            self.distant(*cell, chord, out);
        } else {
            out.push(first.lane);
        }
    }

    /// Apart from the rest, which stays short enough to be one with the loop over the services.
    #[inline(never)]
    fn distant(&self, cell: u32, chord: impl FnOnce() -> Option<Chord>, out: &mut SmallVec<[Lane; 2]>) {
        out.extend(chord().and_then(|chord| self.band(cell, chord)));
    }

    /// The lane of the band that holds a distance, among those of a cell.
    fn band(&self, cell: u32, chord: Chord) -> Option<Lane> {
        let bands = self.bands.get(index(cell)..)?;
        let last = bands.iter().position(|band| !band.more)?;
        let holds = |band: &&Band| band.reach.is_none_or(|reach| reach.holds(chord));
        bands[..=last].iter().find(holds).map(|band| band.priced(chord))
    }
}

impl Band {
    fn priced(&self, chord: Chord) -> Lane {
        let mut lane = self.lane;
        if self.distance_step_price > 0 {
            let steps = i64::from(chord.metres().div_ceil(self.distance_step_metres.max(1)));
            // Within bounds: the check has priced the longest way.
            lane.first_price.0 += steps * self.distance_step_price;
        }
        lane
    }
}

fn band(service: u32, spec: &ServiceSpec, rate: &RateSpec, more: bool) -> Band {
    let weight_max = spec.weight_max_grams.map(Grams);
    let first_weight = Grams(rate.first_weight_grams);
    let lane = Lane {
        service,
        // What is heavier than the limit is not carried anyway, and the solver wants the limit not below the first weight.
        first_weight: weight_max.map_or(first_weight, |limit| limit.min(first_weight)),
        first_price: Money(rate.first_price),
        step_weight: Grams(rate.step_weight_grams.max(1)),
        step_price: Money(rate.step_price),
        weight_max,
        transit_minutes: rate.transit_minutes,
    };
    Band {
        lane,
        needs_distance: rate.needs_distance(),
        reach: rate.distance_to_metres.map(|to| Reach::up_to(to.saturating_sub(1))),
        more,
        distance_step_metres: rate.distance_step_metres,
        distance_step_price: rate.distance_step_price,
    }
}

/// What the columns stand for, the deepest named origin of some place each, and the column of each place.
fn columns(
    named: &BTreeSet<RegionId>,
    regions: &Regions,
    origins: &[Option<RegionId>],
) -> (Vec<Option<RegionId>>, Vec<u32>) {
    let mut keys = Vec::new();
    let mut numbers = BTreeMap::new();
    let mut column = |origin: &Option<RegionId>| {
        let key = origin.and_then(|region| regions.ancestors(region).find(|region| named.contains(region)));
        *numbers.entry(key).or_insert_with(|| {
            keys.push(key);
            number(keys.len() - 1)
        })
    };
    let columns = origins.iter().map(&mut column).collect();
    (keys, columns)
}

/// A region with those above it, then anywhere: from the most specific on.
fn chain(region: Option<RegionId>, regions: &Regions) -> Vec<Option<RegionId>> {
    region.into_iter().flat_map(|region| regions.ancestors(region)).map(Some).chain([None]).collect()
}
