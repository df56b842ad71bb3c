//! Cutting an order into packages (拆单): apart by what must not mix, together by what must, within what a package may hold.
//!
//! Groups are set apart by every key rule at once; within a group, units are packed under all limits at once, so that a package satisfies
//! each rule whatever their order; the order decides how packages are listed. What must stay in one piece is one bundle: a unit, a kit in
//! its ratio, or all lines that travel together. Packing is first fit decreasing, tried by every measure (Johnson, "Near-optimal bin
//! packing algorithms", MIT 1973); the lower bound tells how far from the fewest packages it can be.

use std::collections::BTreeMap;

use quartermaster_routing::{LocationId, SkuId};
use thiserror::Error;

use crate::{
    network::{Service, Uncarried, billed_unit_weight},
    order::Goods,
};

/// A line to be cut up.
#[derive(Clone, Debug)]
pub struct SplitLine<'a> {
    /// Which.
    pub sku: SkuId,
    /// What it is.
    pub goods: Goods<'a>,
    /// Units, at least 1.
    pub units: u32,
    /// Where they are, when known.
    pub location: Option<LocationId>,
    /// Lines with the same key form kits; empty: none.
    pub kit: &'a str,
    /// Lines with the same key travel in one package; empty: none.
    pub together: &'a str,
    /// Shares a package with nothing else.
    pub alone: bool,
}

/// A property that sets units apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Where they are.
    Location,
    /// Category of the SKU.
    Category,
    /// Temperature class.
    Temperature,
    /// Dangerous-goods class.
    DangerousGoods,
}

/// A measure that a package may hold so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Grams.
    Weight,
    /// Cubic millimetres.
    Volume,
    /// Minor units.
    Value,
    /// Pieces.
    Units,
    /// Grams as a carrier bills them.
    BilledWeight,
}

impl Measure {
    fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Volume => "volume",
            Self::Value => "value",
            Self::Units => "units",
            Self::BilledWeight => "billed weight",
        }
    }
}

/// A rule of a split.
#[derive(Clone, Copy, Debug)]
pub enum Rule<'a> {
    /// Apart by a property.
    By(Key),
    /// At most so much in a package, at least 1.
    Limit(Measure, u64),
    /// What a carrier service takes.
    Carrier(&'a Service),
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Where it is made up, when known.
    pub location: Option<LocationId>,
    /// What is in it: index of the line, units.
    pub lines: Vec<(usize, u32)>,
    /// Grams.
    pub weight: u64,
    /// Cubic millimetres.
    pub volume: u64,
    /// Minor units.
    pub value: u64,
    /// What set it apart.
    pub path: Vec<String>,
}

/// A split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// By the groups' keys, then as packed.
    pub packages: Vec<Package>,
    /// No split under the rules has fewer.
    pub lower_bound: usize,
}

/// Why an order cannot be cut as asked. Indices count the lines.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SplitError {
    /// One piece is more than a package may hold.
    #[error("lines[{line}]: one piece has {have} of {measure}, a package may hold {limit}", measure = measure.name())]
    TooLarge {
        /// A line of the piece.
        line: usize,
        /// Of what.
        measure: Measure,
        /// So much.
        have: u64,
        /// The limit.
        limit: u64,
    },
    /// The carrier does not take a unit of it.
    #[error("lines[{line}]: service {service} does not carry it: {}", cause(*reason))]
    Uncarried {
        /// Which line.
        line: usize,
        /// Code of the service.
        service: String,
        /// Why.
        reason: Uncarried,
    },
    /// Lines that must be in one package are set apart by a rule.
    #[error("lines[{line}] and lines[{other}] must be in one package, and {key:?} sets them apart")]
    Apart {
        /// One.
        line: usize,
        /// Another.
        other: usize,
        /// By what.
        key: Key,
    },
    /// A line that shares a package with nothing must travel with another.
    #[error("lines[{line}] must travel alone and together with lines[{other}]")]
    NotAlone {
        /// One.
        line: usize,
        /// Another.
        other: usize,
    },
    /// More packages than can be told.
    #[error("the order needs more than {limit} packages")]
    TooMany {
        /// The most.
        limit: usize,
    },
}

fn cause(reason: Uncarried) -> &'static str {
    match reason {
        Uncarried::TooHeavy => "too heavy",
        Uncarried::TooLong => "too long",
        Uncarried::DangerousGoods => "dangerous goods",
        Uncarried::Temperature => "its temperature class",
    }
}

/// Packages of one split at most.
pub const PACKAGES_MAX: usize = 10_000;

/// What is packed in one piece, and how often.
#[derive(Clone, Debug)]
struct Bundle {
    lines: Vec<(usize, u32)>,
    count: u32,
    sizes: Vec<u64>,
}

/// Cuts lines into packages.
///
/// # Errors
/// What cannot be done, and which line stands against it.
pub fn split(lines: &[SplitLine<'_>], rules: &[Rule<'_>]) -> Result<Split, SplitError> {
    let keys: Vec<Key> =
        rules.iter().filter_map(|rule| if let Rule::By(key) = rule { Some(*key) } else { None }).collect();
    let limits = limits(lines, rules)?;
    let mut groups: BTreeMap<Vec<String>, Vec<Bundle>> = BTreeMap::new();
    for bundle in bundles(lines, &keys, &limits)? {
        groups.entry(group(lines, &keys, &bundle)).or_default().push(bundle);
    }
    let mut split = Split { packages: Vec::new(), lower_bound: 0 };
    for (path, bundles) in groups {
        split.lower_bound += lower_bound(&bundles, &limits);
        let packed = pack(&bundles, &limits)?;
        let count = packed.len();
        for (number, contents) in packed.into_iter().enumerate() {
            let mut path = path.iter().filter(|step| !step.starts_with("alone ")).cloned().collect::<Vec<_>>();
            if count > 1 {
                path.push(format!("package {} of {count}", number + 1));
            }
            split.packages.push(package(lines, contents, path));
        }
        if split.packages.len() > PACKAGES_MAX {
            return Err(SplitError::TooMany { limit: PACKAGES_MAX });
        }
    }
    Ok(split)
}

/// A limit with what a unit of each line takes of it.
struct Limit {
    measure: Measure,
    most: u64,
    each: Vec<u64>,
}

fn limits(lines: &[SplitLine<'_>], rules: &[Rule<'_>]) -> Result<Vec<Limit>, SplitError> {
    let mut limits = Vec::new();
    for rule in rules {
        match rule {
            Rule::By(_) => {}
            Rule::Limit(measure, most) => {
                let each = lines.iter().map(|line| of_unit(&line.goods, *measure)).collect();
                limits.push(Limit { measure: *measure, most: *most, each });
            }
            Rule::Carrier(service) => {
                for (number, line) in lines.iter().enumerate() {
                    if let Some(reason) = service.uncarried(&line.goods) {
                        let service = service.spec.code.clone();
                        return Err(SplitError::Uncarried { line: number, service, reason });
                    }
                }
                if let Some(most) = service.spec.weight_max_grams {
                    let billed =
                        |line: &SplitLine<'_>| billed_unit_weight(&line.goods, service.spec.volumetric_divisor).0;
                    limits.push(Limit {
                        measure: Measure::BilledWeight,
                        most,
                        each: lines.iter().map(billed).collect(),
                    });
                }
            }
        }
    }
    Ok(limits)
}

fn of_unit(goods: &Goods<'_>, measure: Measure) -> u64 {
    match measure {
        Measure::Weight | Measure::BilledWeight => goods.weight.0,
        Measure::Volume => goods.volume_mm3(),
        Measure::Value => u64::try_from(goods.value).unwrap_or(0),
        Measure::Units => 1,
    }
}

/// What has to stay in one piece. Lines that are tied to each other, by a kit or by travelling together, end in one bundle.
fn bundles(lines: &[SplitLine<'_>], keys: &[Key], limits: &[Limit]) -> Result<Vec<Bundle>, SplitError> {
    let mut leader: Vec<usize> = (0..lines.len()).collect();
    let mut together = vec![false; lines.len()];
    for (number, line) in lines.iter().enumerate() {
        let tied = |other: &SplitLine<'_>| {
            (!line.kit.is_empty() && line.kit == other.kit)
                || (!line.together.is_empty() && line.together == other.together)
        };
        together[number] |= !line.together.is_empty();
        for (other, _) in lines[..number].iter().enumerate().filter(|(_, other)| tied(other)) {
            join(&mut leader, other, number);
        }
    }
    let mut tied: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, leader) in leader.iter().enumerate() {
        tied.entry(*leader).or_default().push(number);
    }
    let mut bundles = Vec::with_capacity(tied.len());
    for members in tied.into_values() {
        check_tied(lines, keys, &members)?;
        let whole = members.iter().any(|member| together[*member]);
        let count = if whole { 1 } else { members.iter().map(|member| lines[*member].units).fold(0, divisor).max(1) };
        let each: Vec<(usize, u32)> = members.iter().map(|member| (*member, lines[*member].units / count)).collect();
        let mut sizes = Vec::with_capacity(limits.len());
        for limit in limits {
            let have = each.iter().map(|(line, units)| limit.each[*line].saturating_mul(u64::from(*units)));
            let have = have.fold(0, u64::saturating_add);
            if have > limit.most {
                let line = each[0].0;
                return Err(SplitError::TooLarge { line, measure: limit.measure, have, limit: limit.most });
            }
            sizes.push(have);
        }
        bundles.push(Bundle { lines: each, count, sizes });
    }
    Ok(bundles)
}

fn join(leader: &mut [usize], one: usize, other: usize) {
    let (keep, drop) = (leader[one].min(leader[other]), leader[one].max(leader[other]));
    for entry in leader.iter_mut().filter(|entry| **entry == drop) {
        *entry = keep;
    }
}

fn check_tied(lines: &[SplitLine<'_>], keys: &[Key], members: &[usize]) -> Result<(), SplitError> {
    let Some((first, others)) = members.split_first() else { return Ok(()) };
    for other in others {
        if let Some(key) = keys.iter().find(|key| value(&lines[*first], **key) != value(&lines[*other], **key)) {
            return Err(SplitError::Apart { line: *first, other: *other, key: *key });
        }
        if lines[*first].location != lines[*other].location {
            return Err(SplitError::Apart { line: *first, other: *other, key: Key::Location });
        }
        for (line, other) in [(first, other), (other, first)] {
            if lines[*line].alone {
                return Err(SplitError::NotAlone { line: *line, other: *other });
            }
        }
    }
    Ok(())
}

fn value(line: &SplitLine<'_>, key: Key) -> String {
    match key {
        Key::Location => line.location.map_or_else(String::new, |location| format!("{:010}", location.0)),
        Key::Category => line.goods.category.to_string(),
        Key::Temperature => line.goods.temperature.to_string(),
        Key::DangerousGoods => line.goods.dangerous_goods.to_string(),
    }
}

/// What sets a bundle apart from others. A package is made up at one place, so places are always apart.
fn group(lines: &[SplitLine<'_>], keys: &[Key], bundle: &Bundle) -> Vec<String> {
    let number = bundle.lines[0].0;
    let line = &lines[number];
    let mut path = Vec::with_capacity(keys.len() + 2);
    if !keys.contains(&Key::Location) && line.location.is_some() {
        path.push(format!("location={}", value(line, Key::Location)));
    }
    for key in keys {
        let name = match key {
            Key::Location => "location",
            Key::Category => "category",
            Key::Temperature => "temperature",
            Key::DangerousGoods => "dangerous_goods",
        };
        path.push(format!("{name}={}", value(line, *key)));
    }
    if line.alone {
        path.push(format!("alone {number:06}"));
    }
    path
}

/// First fit decreasing by each measure in turn and by the largest share of any; the fewest packages win, the earlier try among equals.
fn pack(bundles: &[Bundle], limits: &[Limit]) -> Result<Vec<BTreeMap<usize, u32>>, SplitError> {
    let mut best: Option<Vec<BTreeMap<usize, u32>>> = None;
    for by in 0..=limits.len() {
        let mut order: Vec<usize> = (0..bundles.len()).collect();
        order.sort_by_key(|place| {
            let bundle = &bundles[*place];
            let share =
                |limit: usize| u128::from(bundle.sizes[limit]) * 1_000_000 / u128::from(limits[limit].most.max(1));
            let size = if by < limits.len() { share(by) } else { (0..limits.len()).map(share).max().unwrap_or(0) };
            (std::cmp::Reverse(size), *place)
        });
        let packed = first_fit(bundles, limits, &order)?;
        if best.as_ref().is_none_or(|best| packed.len() < best.len()) {
            best = Some(packed);
        }
    }
    Ok(best.unwrap_or_default())
}

fn first_fit(bundles: &[Bundle], limits: &[Limit], order: &[usize]) -> Result<Vec<BTreeMap<usize, u32>>, SplitError> {
    let mut packages: Vec<(Vec<u64>, BTreeMap<usize, u32>)> = Vec::new();
    for bundle in order.iter().map(|place| &bundles[*place]) {
        let mut left = bundle.count;
        let mut at = 0;
        while left > 0 {
            if at == packages.len() {
                if packages.len() == PACKAGES_MAX {
                    return Err(SplitError::TooMany { limit: PACKAGES_MAX });
                }
                packages.push((limits.iter().map(|limit| limit.most).collect(), BTreeMap::new()));
            }
            let (room, contents) = &mut packages[at];
            let fits = room.iter().zip(&bundle.sizes).filter(|(_, size)| **size > 0).map(|(room, size)| room / size);
            let fits = u32::try_from(fits.min().unwrap_or(u64::MAX)).unwrap_or(u32::MAX).min(left);
            if fits > 0 {
                for (line, units) in &bundle.lines {
                    *contents.entry(*line).or_default() += units * fits;
                }
                for (room, size) in room.iter_mut().zip(&bundle.sizes) {
                    *room -= size * u64::from(fits);
                }
                left -= fits;
            }
            at += 1;
        }
    }
    Ok(packages.into_iter().map(|(_, contents)| contents).collect())
}

/// No packing has fewer: what there is over what fits, and what is too large to stand beside its like.
fn lower_bound(bundles: &[Bundle], limits: &[Limit]) -> usize {
    let by_limit = (0..limits.len()).map(|limit| {
        let most = u128::from(limits[limit].most.max(1));
        let size = |bundle: &Bundle| u128::from(bundle.sizes[limit]);
        let all: u128 = bundles.iter().map(|bundle| size(bundle) * u128::from(bundle.count)).sum();
        let large =
            bundles.iter().filter(|bundle| size(bundle) * 2 > most).map(|bundle| u128::from(bundle.count)).sum();
        all.div_ceil(most).max(large)
    });
    by_limit.max().and_then(|most| usize::try_from(most).ok()).unwrap_or(1).max(1)
}

fn package(lines: &[SplitLine<'_>], contents: BTreeMap<usize, u32>, path: Vec<String>) -> Package {
    let total = |measure: Measure| {
        let each = contents
            .iter()
            .map(|(line, units)| of_unit(&lines[*line].goods, measure).saturating_mul(u64::from(*units)));
        each.fold(0, u64::saturating_add)
    };
    Package {
        location: contents.keys().next().and_then(|line| lines[*line].location),
        weight: total(Measure::Weight),
        volume: total(Measure::Volume),
        value: total(Measure::Value),
        lines: contents.into_iter().collect(),
        path,
    }
}

fn divisor(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { divisor(other, one % other) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quartermaster_routing::Grams;

    use super::*;

    fn goods(weight: u64, value: i64, category: &str) -> Goods<'_> {
        Goods { weight: Grams(weight), value, category, ..Goods::default() }
    }

    fn line<'a>(sku: u32, goods: &Goods<'a>, units: u32) -> SplitLine<'a> {
        SplitLine { sku: SkuId(sku), goods: *goods, units, location: None, kit: "", together: "", alone: false }
    }

    fn contents(split: &Split) -> Vec<Vec<(usize, u32)>> {
        split.packages.iter().map(|package| package.lines.clone()).collect()
    }

    #[test]
    fn location_then_weight_then_value() {
        let (heavy, dear) = (goods(600, 10, ""), goods(100, 900, ""));
        let at =
            |location, sku, goods, units| SplitLine { location: Some(LocationId(location)), ..line(sku, goods, units) };
        let lines = [at(2, 1, &heavy, 3), at(1, 2, &dear, 2), at(2, 2, &dear, 1)];
        let rules = [Rule::By(Key::Location), Rule::Limit(Measure::Weight, 1000), Rule::Limit(Measure::Value, 1000)];
        let split = split(&lines, &rules).unwrap();
        assert_eq!(split.packages.iter().map(|one| one.location.unwrap().0).collect::<Vec<_>>(), [1, 1, 2, 2, 2]);
        assert_eq!(split.lower_bound, 5);
        assert!(split.packages.iter().all(|one| one.weight <= 1000 && one.value <= 1000));
    }

    #[test]
    fn kits_keep_their_ratio() {
        let (shirt, trousers) = (goods(300, 0, ""), goods(500, 0, ""));
        let kit = |line| SplitLine { kit: "suit", ..line };
        let lines = [kit(line(1, &shirt, 6)), kit(line(2, &trousers, 3))];
        let split = split(&lines, &[Rule::Limit(Measure::Weight, 2500)]).unwrap();
        assert_eq!(contents(&split), [[(0, 4), (1, 2)], [(0, 2), (1, 1)]]);
    }

    #[test]
    fn together_and_alone() {
        let thing = goods(400, 0, "");
        let lines = [
            SplitLine { together: "gift", ..line(1, &thing, 1) },
            line(2, &thing, 2),
            SplitLine { together: "gift", ..line(3, &thing, 1) },
            SplitLine { alone: true, ..line(4, &thing, 1) },
        ];
        let split_up = split(&lines, &[Rule::Limit(Measure::Weight, 1200)]).unwrap();
        assert_eq!(contents(&split_up), [vec![(0, 1), (1, 1), (2, 1)], vec![(1, 1)], vec![(3, 1)]]);
        let lines = [
            SplitLine { together: "gift", alone: true, ..line(1, &thing, 1) },
            SplitLine { together: "gift", ..line(3, &thing, 1) },
        ];
        assert_eq!(split(&lines, &[]), Err(SplitError::NotAlone { line: 0, other: 1 }));
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let (food, tool) = (goods(400, 0, "food"), goods(2400, 0, "tool"));
        let lines = [SplitLine { kit: "set", ..line(1, &food, 1) }, SplitLine { kit: "set", ..line(2, &tool, 1) }];
        let apart = split(&lines, &[Rule::By(Key::Category)]);
        assert_eq!(apart, Err(SplitError::Apart { line: 0, other: 1, key: Key::Category }));
        let heavy = split(&[line(1, &food, 1), line(2, &tool, 1)], &[Rule::Limit(Measure::Weight, 2000)]);
        let expected = SplitError::TooLarge { line: 1, measure: Measure::Weight, have: 2400, limit: 2000 };
        assert_eq!(heavy, Err(expected.clone()));
        assert_eq!(expected.to_string(), "lines[1]: one piece has 2400 of weight, a package may hold 2000");
        let many = split(&[line(1, &food, 100_000)], &[Rule::Limit(Measure::Units, 1)]);
        assert_eq!(many, Err(SplitError::TooMany { limit: PACKAGES_MAX }));
    }

    proptest! {
        /// Every unit is in a package, every package holds what it may, and no bound is above what was found.
        #[test]
        fn a_split_keeps_its_rules(
            parts in prop::collection::vec((1_u32..9, 1_u64..900, 0_usize..3, 0_u32..3, 0_usize..3, 0_usize..12), 1..12),
            most in 900_u64..2500,
        ) {
            let categories = ["", "food", "tool"];
            let all: Vec<Goods<'_>> =
                parts.iter().map(|(_, weight, category, ..)| goods(*weight, 5, categories[*category])).collect();
            let lines: Vec<SplitLine<'_>> = (0..).zip(parts.iter().zip(&all)).map(|(number, (part, goods))| {
                let location = (part.3 > 0).then_some(LocationId(part.3));
                SplitLine { location, alone: part.5 == 0, ..line(number, goods, part.0) }
            }).collect();
            let rules = [Rule::By(Key::Category), Rule::Limit(Measure::Weight, most), Rule::Limit(Measure::Units, 5)];
            let split = split(&lines, &rules).unwrap();
            prop_assert!(split.lower_bound <= split.packages.len());
            let mut left: Vec<u32> = lines.iter().map(|line| line.units).collect();
            for package in &split.packages {
                let inside: Vec<&SplitLine<'_>> = package.lines.iter().map(|(line, _)| &lines[*line]).collect();
                prop_assert!(package.weight <= most);
                prop_assert!(package.lines.iter().map(|(_, units)| units).sum::<u32>() <= 5);
                prop_assert!(inside.windows(2).all(|pair| pair[0].goods.category == pair[1].goods.category));
                prop_assert!(inside.windows(2).all(|pair| pair[0].location == pair[1].location));
                prop_assert!(inside.len() == 1 || inside.iter().all(|line| !line.alone));
                for (line, units) in &package.lines {
                    left[*line] -= units;
                }
            }
            prop_assert!(left.iter().all(|units| *units == 0));
        }
    }
}
