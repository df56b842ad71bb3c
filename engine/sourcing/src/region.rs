//! The tree of regions: provinces, prefectures, counties, or whatever the owner's tariffs speak of.

use crate::codes::{Codes, index, number};
use crate::fulfilment::Coordinates;
use crate::geo::{Chord, Point};

/// Levels of a tree, the root's included.
pub const REGION_DEPTH_MAX: usize = 8;

/// A region as its owner describes it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RegionSpec {
    /// Code, unique.
    pub code: String,
    /// Code of the region it lies in; empty: a root.
    pub parent: String,
    /// Name, for people.
    pub name: String,
    /// A point that stands for it, when known.
    pub coordinates: Option<Coordinates>,
}

/// A region of one [`Regions`]: its position in the list that the tree was built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionId(pub u32);

/// Why regions do not make a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// A region has no code.
    #[error("region {position} has no code")]
    NoCode {
        /// Position in the list.
        position: usize,
    },
    /// Two regions share a code.
    #[error("region {code} is given twice")]
    Duplicate {
        /// The code.
        code: String,
    },
    /// A region lies in one that is not there.
    #[error("region {code} lies in {parent}, which is unknown")]
    UnknownParent {
        /// The region.
        code: String,
        /// What it names.
        parent: String,
    },
    /// A region lies in itself, through others or directly.
    #[error("region {code} lies in a round without a root")]
    Cycle {
        /// A region of the round, or one that lies in it.
        code: String,
    },
    /// More than [`REGION_DEPTH_MAX`] levels.
    #[error("region {code} is more than {REGION_DEPTH_MAX} levels deep")]
    TooDeep {
        /// The region.
        code: String,
    },
    /// Its point is off the globe.
    #[error("region {code}: coordinates are out of range")]
    Coordinates {
        /// The region.
        code: String,
    },
}

/// The tree, or trees.
#[derive(Clone, Debug)]
pub struct Regions {
    specs: Vec<RegionSpec>,
    parents: Vec<Option<RegionId>>,
    /// Levels above and including each.
    depths: Vec<u8>,
    codes: Codes,
    /// Leaves with a point, by height over the equator, then id.
    leaves: Vec<(Point, RegionId)>,
}

impl Regions {
    /// The tree of these regions, in any order.
    ///
    /// # Errors
    /// Codes that are empty or given twice, unknown parents, cycles, more than [`REGION_DEPTH_MAX`] levels, points off the globe.
    pub fn new(specs: &[RegionSpec]) -> Result<Self, RegionError> {
        let mut codes = Codes::new();
        for (position, spec) in specs.iter().enumerate() {
            if spec.code.is_empty() {
                return Err(RegionError::NoCode { position });
            }
            if !codes.enter(&spec.code, number(position)) {
                return Err(RegionError::Duplicate { code: spec.code.clone() });
            }
            if spec.coordinates.is_some_and(|coordinates| !coordinates.in_range()) {
                return Err(RegionError::Coordinates { code: spec.code.clone() });
            }
        }
        let parents = specs.iter().map(|spec| parent(spec, &codes)).collect::<Result<Vec<_>, _>>()?;
        let depths = depths(specs, &parents)?;
        let mut inner = vec![false; specs.len()];
        parents.iter().flatten().for_each(|parent| inner[index(parent.0)] = true);
        let mut leaves: Vec<_> = (0..)
            .zip(specs)
            .filter(|(id, _)| !inner[index(*id)])
            .filter_map(|(id, spec)| Some((Point::new(spec.coordinates?), RegionId(id))))
            .collect();
        leaves.sort_by(|(left, a), (right, b)| left.height().total_cmp(&right.height()).then(a.cmp(b)));
        Ok(Self { specs: specs.to_vec(), parents, depths, codes, leaves })
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.specs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// The region of a code.
    #[must_use]
    pub fn by_code(&self, code: &str) -> Option<RegionId> {
        self.codes.number(code).map(RegionId)
    }

    /// What its owner says of it; `None` for an id of another tree.
    #[must_use]
    pub fn get(&self, region: RegionId) -> Option<&RegionSpec> {
        self.specs.get(index(region.0))
    }

    /// Levels above it and its own: 1 for a root, 0 for an id of another tree.
    #[must_use]
    pub fn depth(&self, region: RegionId) -> u8 {
        self.depths.get(index(region.0)).copied().unwrap_or(0)
    }

    /// From itself to its root; at most [`REGION_DEPTH_MAX`].
    pub fn ancestors(&self, region: RegionId) -> impl Iterator<Item = RegionId> + '_ {
        let first = self.get(region).map(|_| region);
        std::iter::successors(first, |region| self.parents[index(region.0)])
    }

    /// Whether a region is another or lies in it.
    #[must_use]
    pub fn is_within(&self, region: RegionId, ancestor: RegionId) -> bool {
        self.ancestors(region).any(|region| region == ancestor)
    }

    /// Its own point, or that of the nearest region above that has one.
    #[must_use]
    pub fn point(&self, region: RegionId) -> Option<Point> {
        self.ancestors(region).find_map(|region| self.get(region)?.coordinates).map(Point::new)
    }

    /// The leaf whose point is nearest, the lower id among equals; `None` when no leaf has a point.
    ///
    /// Leaves are looked at from the latitude of the point outwards, until the latitude alone is farther than the best: a few dozen of
    /// three thousand.
    #[must_use]
    pub fn nearest(&self, point: Point) -> Option<RegionId> {
        let middle = self.leaves.partition_point(|(leaf, _)| leaf.height() < point.height());
        let (south, north) = self.leaves.split_at(middle);
        let mut best = (Chord::INFINITE, RegionId(u32::MAX));
        let mut better = |&(leaf, region): &(Point, RegionId)| {
            let possible = Chord::at_least(leaf.height() - point.height()) <= best.0;
            let chord = leaf.chord(point);
            if chord < best.0 || (chord == best.0 && region < best.1) {
                best = (chord, region);
            }
            possible
        };
        // Both ways by turns, so that either soon bounds the other.
        let (mut south, mut north) = (south.iter().rev(), north.iter());
        let (mut southward, mut northward) = (true, true);
        while southward || northward {
            southward = southward && south.next().is_some_and(&mut better);
            northward = northward && north.next().is_some_and(&mut better);
        }
        (best.0 < Chord::INFINITE).then_some(best.1)
    }
}

fn parent(spec: &RegionSpec, codes: &Codes) -> Result<Option<RegionId>, RegionError> {
    if spec.parent.is_empty() {
        return Ok(None);
    }
    match codes.number(&spec.parent) {
        Some(parent) => Ok(Some(RegionId(parent))),
        None => Err(RegionError::UnknownParent { code: spec.code.clone(), parent: spec.parent.clone() }),
    }
}

fn depths(specs: &[RegionSpec], parents: &[Option<RegionId>]) -> Result<Vec<u8>, RegionError> {
    let parent = |region: &RegionId| parents[index(region.0)];
    let mut depths = Vec::with_capacity(specs.len());
    for (id, spec) in (0..).map(RegionId).zip(specs) {
        let chain = || std::iter::successors(Some(id), parent);
        let levels = chain().take(REGION_DEPTH_MAX + 1).count();
        if levels > REGION_DEPTH_MAX {
            // A way up that is longer than there are regions goes round.
            let round = chain().nth(specs.len()).is_some();
            let code = spec.code.clone();
            return Err(if round { RegionError::Cycle { code } } else { RegionError::TooDeep { code } });
        }
        depths.push(u8::try_from(levels).unwrap_or(u8::MAX));
    }
    Ok(depths)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(code: &str, parent: &str, point: Option<(i32, i32)>) -> RegionSpec {
        let coordinates = point.map(|(latitude_e7, longitude_e7)| Coordinates { latitude_e7, longitude_e7 });
        RegionSpec { code: code.into(), parent: parent.into(), name: String::new(), coordinates }
    }

    /// Code, parent, point.
    type Row<'a> = (&'a str, &'a str, Option<(i32, i32)>);

    fn tree(rows: &[Row<'_>]) -> Result<Regions, RegionError> {
        Regions::new(&rows.iter().map(|(code, parent, point)| spec(code, parent, *point)).collect::<Vec<_>>())
    }

    #[test]
    fn a_tree_knows_its_ways_up() {
        let regions = tree(&[
            ("district", "city", None),
            ("city", "province", Some((310_000_000, 1_210_000_000))),
            ("province", "", Some((300_000_000, 1_200_000_000))),
            ("island", "", None),
        ]);
        let regions = regions.unwrap();
        let id = |code| regions.by_code(code).unwrap();
        let up: Vec<_> =
            regions.ancestors(id("district")).map(|region| regions.get(region).unwrap().code.as_str()).collect();
        assert_eq!(up, ["district", "city", "province"]);
        assert_eq!(["district", "city", "province", "island"].map(|code| regions.depth(id(code))), [3, 2, 1, 1]);
        assert!(regions.is_within(id("district"), id("province")) && regions.is_within(id("city"), id("city")));
        assert!(!regions.is_within(id("province"), id("city")) && !regions.is_within(id("island"), id("province")));
        let city = Point::new(Coordinates { latitude_e7: 310_000_000, longitude_e7: 1_210_000_000 });
        assert_eq!(regions.point(id("district")), Some(city));
        assert_eq!(regions.point(id("island")), None);
        assert_eq!(regions.by_code("nowhere"), None);
        // No leaf has a point: the city's is not a leaf's.
        assert_eq!(regions.nearest(city), None);
        let stranger = RegionId(99);
        assert_eq!((regions.ancestors(stranger).count(), regions.depth(stranger), regions.get(stranger)), (0, 0, None));
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let code = || "a".to_owned();
        let fault = |rows: &[_]| tree(rows).unwrap_err();
        assert_eq!(fault(&[("a", "", None), ("", "", None)]), RegionError::NoCode { position: 1 });
        assert_eq!(fault(&[("a", "", None), ("a", "", None)]), RegionError::Duplicate { code: code() });
        assert_eq!(fault(&[("a", "b", None)]), RegionError::UnknownParent { code: code(), parent: "b".into() });
        assert_eq!(fault(&[("a", "a", None)]), RegionError::Cycle { code: code() });
        assert_eq!(fault(&[("a", "b", None), ("b", "c", None), ("c", "b", None)]), RegionError::Cycle { code: code() });
        assert_eq!(fault(&[("a", "", Some((900_000_001, 0)))]), RegionError::Coordinates { code: code() });
        let chain = ["", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let levels =
            |count: usize| (1..=count).map(|level| spec(chain[level], chain[level - 1], None)).collect::<Vec<_>>();
        assert_eq!(Regions::new(&levels(8)).unwrap().depth(RegionId(7)), 8);
        assert_eq!(Regions::new(&levels(9)).unwrap_err(), RegionError::TooDeep { code: "9".into() });
    }

    #[test]
    fn the_lower_id_is_the_nearest_among_equals() {
        let at = Some((100_000_000, 200_000_000));
        let regions = tree(&[("far", "", Some((0, 0))), ("a", "", at), ("b", "", at)]).unwrap();
        let point = Point::new(Coordinates { latitude_e7: 110_000_000, longitude_e7: 200_000_000 });
        assert_eq!(regions.nearest(point), Some(RegionId(1)));
    }

    proptest! {
        #[test]
        fn the_nearest_is_the_one_that_a_walk_over_all_finds(
            points in prop::collection::vec((-90..=90_i32, -180..=180_i32), 1..60),
            (latitude, longitude) in (-90..=90_i32, -180..=180_i32),
        ) {
            let place = |latitude, longitude| Coordinates { latitude_e7: latitude * 10_000_000, longitude_e7: longitude * 10_000_000 };
            let specs: Vec<_> = points.iter().enumerate().map(|(i, (latitude, longitude))| RegionSpec {
                code: i.to_string(),
                coordinates: Some(place(*latitude, *longitude)),
                ..RegionSpec::default()
            }).collect();
            let point = Point::new(place(latitude, longitude));
            let naive = (0..).zip(&specs).min_by(|(_, a), (_, b)| {
                let chord = |spec: &RegionSpec| Point::new(spec.coordinates.unwrap()).chord(point);
                chord(a).partial_cmp(&chord(b)).unwrap()
            });
            prop_assert_eq!(Regions::new(&specs).unwrap().nearest(point), naive.map(|(id, _)| RegionId(id)));
        }
    }
}
