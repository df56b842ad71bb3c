//! One order and the stock, costs and rules it met: the checked input of the solver.
//!
//! Whatever the caller's order of calls, a [`Problem`] holds lines by ascending SKU and locations by ascending id, so the
//! same facts always give the same plan.

use crate::error::ProblemError;
use crate::tariff::Service;
use crate::units::{Grams, LocationId, Money, SkuId, Units};

/// What the best plan is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Objective {
    /// Least money: parcels, picking, carriage, extras, and the lines' penalties for units not served.
    Money,
    /// Most units served; of those plans the ones with fewest parcels; of those the cheapest. Penalties play no part.
    UnitsParcelsCost,
    /// Most units served; of those plans the cheapest. Penalties play no part.
    UnitsCost,
    /// Every line whole: most lines served, each in full from one location; of those plans the cheapest.
    WholeLinesCost,
}

/// One SKU of the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// The SKU; no two lines share one.
    pub sku: SkuId,
    /// Units wanted, at least one.
    pub demand: Units,
    /// Weight of one unit; zero when no tariff or limit asks for it.
    pub unit_weight: Grams,
    /// What one unserved unit costs. Used by [`Objective::Money`] alone.
    pub unserved_penalty: Money,
    /// No-split: the line comes from one location in full, or not at all.
    pub whole: bool,
}

/// A candidate location and what it costs to use it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Location {
    /// Its id.
    pub id: LocationId,
    /// Paid once if the location sends anything; zero when a parcel to this receiver is already open there.
    pub parcel_cost: Money,
    /// Paid for each unit picked here.
    pub pick_unit_cost: Money,
}

/// What limits and prices the parcel of one location, beyond its fixed cost.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Shipping {
    /// Units the location can still send today.
    pub unit_capacity: Option<Units>,
    /// The heaviest parcel it may send.
    pub weight_max: Option<Grams>,
    /// The carrier services to choose from; empty: carriage is free, or already in `parcel_cost`.
    pub services: Vec<Service>,
}

/// Position of a line, as [`ProblemBuilder::line`] returned it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LineIndex(u16);

/// Position of a location, as [`ProblemBuilder::location`] returned it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LocationIndex(u16);

/// What one location has for one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Offer {
    pub(crate) location: u16,
    /// At least one, at most the line's demand.
    pub(crate) available: u32,
    /// Added to the pick cost of each unit; may be negative (a bonus).
    pub(crate) extra: i64,
}

/// A problem that has been checked and put in order; see [`Problem::builder`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub(crate) objective: Objective,
    pub(crate) lines: Vec<Line>,
    pub(crate) locations: Vec<Location>,
    /// Empty when no location has any; else one for each location.
    pub(crate) shipping: Vec<Shipping>,
    /// Grouped by line, ascending by location.
    pub(crate) offers: Vec<Offer>,
    /// `offers[line_start[j]..line_start[j + 1]]` are those of line `j`.
    pub(crate) line_start: Vec<usize>,
    pub(crate) parcels_max: Option<u16>,
    pub(crate) ship_complete: bool,
}

impl Problem {
    /// Starts stating a problem.
    pub fn builder(objective: Objective) -> ProblemBuilder {
        ProblemBuilder {
            objective,
            lines: Vec::new(),
            locations: Vec::new(),
            shipping: Vec::new(),
            offers: Vec::new(),
            parcels_max: None,
            ship_complete: false,
        }
    }

    /// Units wanted over all lines.
    pub fn demand(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.demand.0)).sum()
    }

    /// How many offers (line, location) there are.
    pub fn offers(&self) -> usize {
        self.offers.len()
    }

    pub(crate) fn offers_of(&self, line: usize) -> &[Offer] {
        &self.offers[self.line_start[line]..self.line_start[line + 1]]
    }

    /// What `units` of the line served together add to the count that the objective puts first.
    pub(crate) fn worth(&self, line: usize, units: i64) -> i64 {
        let whole_lines = self.objective == Objective::WholeLinesCost;
        if whole_lines { units / i64::from(self.lines[line].demand.0) } else { units }
    }

    /// The unit cost of an offer.
    pub(crate) fn unit_cost(&self, offer: &Offer) -> i64 {
        self.locations[usize::from(offer.location)].pick_unit_cost.0 + offer.extra
    }

    /// Units of the line that all locations together could serve.
    pub(crate) fn servable(&self, line: usize) -> i64 {
        let demand = i64::from(self.lines[line].demand.0);
        let stock = self.offers_of(line).iter().map(|offer| i64::from(offer.available));
        if self.is_whole(line) {
            stock.max().filter(|&most| most >= demand).unwrap_or(0)
        } else {
            stock.sum::<i64>().min(demand)
        }
    }

    /// More than all carriage of any plan together; saturates.
    pub(crate) fn carriage_max(&self) -> i64 {
        let weights = self.lines.iter().map(|line| line.unit_weight.0.saturating_mul(u64::from(line.demand.0)));
        let total = Grams(weights.fold(0, u64::saturating_add));
        let services = self.shipping.iter().flat_map(|shipping| &shipping.services);
        let dearest = |service: &Service| service.price(service.weight_max().map_or(total, |limit| limit.min(total)));
        services.map(|service| dearest(service).map_or(0, |price| price.0)).fold(0, i64::saturating_add)
    }

    /// The penalty of serving nothing.
    pub(crate) fn all_unserved(&self) -> Option<i64> {
        let penalties = self.lines.iter().map(|line| line.unserved_penalty.0.checked_mul(i64::from(line.demand.0)));
        penalties.sum()
    }

    /// Whether the line may only be served whole, by its own rule or by the objective.
    pub(crate) fn is_whole(&self, line: usize) -> bool {
        self.lines[line].whole || self.objective == Objective::WholeLinesCost
    }
}

/// Collects a [`Problem`]; nothing is checked against the rest before [`ProblemBuilder::build`].
#[derive(Clone, Debug)]
pub struct ProblemBuilder {
    objective: Objective,
    lines: Vec<Line>,
    locations: Vec<Location>,
    shipping: Vec<(u16, Shipping)>,
    offers: Vec<(u16, Offer)>,
    parcels_max: Option<u16>,
    ship_complete: bool,
}

impl ProblemBuilder {
    /// Makes room for `offers` more offers.
    pub fn reserve(&mut self, offers: usize) {
        self.offers.reserve(offers);
    }

    /// Adds a line.
    ///
    /// # Errors
    /// No demand, a penalty or weight out of range, more than 65,535 lines.
    pub fn line(&mut self, line: Line) -> Result<LineIndex, ProblemError> {
        if line.demand.0 == 0 {
            return Err(ProblemError::Demand { sku: line.sku, demand: line.demand });
        }
        if line.unserved_penalty.0 < 0 || line.unserved_penalty > Money::MAX {
            return Err(ProblemError::Penalty { sku: line.sku, penalty: line.unserved_penalty });
        }
        if line.unit_weight > Grams::MAX {
            return Err(ProblemError::UnitWeight { sku: line.sku, weight: line.unit_weight });
        }
        let index = next_index(self.lines.len()).ok_or(ProblemError::TooManyLines { max: u16::MAX })?;
        self.lines.push(line);
        Ok(LineIndex(index))
    }

    /// Adds a candidate location.
    ///
    /// # Errors
    /// A cost out of range, more than 65,535 locations.
    pub fn location(&mut self, location: Location) -> Result<LocationIndex, ProblemError> {
        for cost in [location.parcel_cost, location.pick_unit_cost] {
            if cost.0 < 0 || cost > Money::MAX {
                return Err(ProblemError::LocationCost { location: location.id, cost });
            }
        }
        let index = next_index(self.locations.len()).ok_or(ProblemError::TooManyLocations { max: u16::MAX })?;
        self.locations.push(location);
        Ok(LocationIndex(index))
    }

    /// Says what limits and prices the parcel of `location`; the last word counts.
    pub fn shipping(&mut self, location: LocationIndex, shipping: Shipping) {
        self.shipping.push((location.0, shipping));
    }

    /// `location` has `available` units for `line`, at `extra_unit_cost` above its pick cost (below zero: a bonus).
    ///
    /// More than the line wants counts as what it wants; nothing available is no offer. A forbidden location is one that
    /// makes no offer; a preferred one has a bonus.
    pub fn offer(&mut self, line: LineIndex, location: LocationIndex, available: Units, extra_unit_cost: Money) {
        if available.0 > 0 {
            let offer = Offer { location: location.0, available: available.0, extra: extra_unit_cost.0 };
            self.offers.push((line.0, offer));
        }
    }

    /// Allows at most `parcels` parcels.
    pub fn parcels_max(&mut self, parcels: u16) {
        self.parcels_max = Some(parcels);
    }

    /// Asks for every unit or nothing at all.
    pub fn ship_complete(&mut self) {
        self.ship_complete = true;
    }

    /// Checks the parts against each other and puts them in order.
    ///
    /// # Errors
    /// The first thing found wrong, by [`ProblemError`]'s names.
    pub fn build(mut self) -> Result<Problem, ProblemError> {
        let line_rank = rank(&self.lines, |line| line.sku);
        let location_rank = rank(&self.locations, |location| location.id);
        if let Some(to) = &line_rank {
            self.lines.sort_by_key(|line| line.sku);
            self.offers.iter_mut().for_each(|(line, _)| *line = renumbered(to, *line));
        }
        if let Some(to) = &location_rank {
            self.locations.sort_by_key(|location| location.id);
            self.offers.iter_mut().for_each(|(_, offer)| offer.location = renumbered(to, offer.location));
            self.shipping.iter_mut().for_each(|(location, _)| *location = renumbered(to, *location));
        }
        if let Some(pair) = self.lines.windows(2).find(|pair| pair[0].sku == pair[1].sku) {
            return Err(ProblemError::DuplicateSku { sku: pair[0].sku });
        }
        if let Some(pair) = self.locations.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(ProblemError::DuplicateLocation { location: pair[0].id });
        }
        let (offers, line_start) = self.grouped_offers()?;
        let mut shipping = Vec::new();
        if !self.shipping.is_empty() {
            shipping.resize(self.locations.len(), Shipping::default());
            for (location, given) in self.shipping {
                let slot = shipping.get_mut(usize::from(location));
                *slot.ok_or(ProblemError::UnknownOffer { line: 0, location })? = given;
            }
        }
        Ok(Problem {
            objective: self.objective,
            lines: self.lines,
            locations: self.locations,
            shipping,
            offers,
            line_start,
            parcels_max: self.parcels_max,
            ship_complete: self.ship_complete,
        })
    }

    fn grouped_offers(&mut self) -> Result<(Vec<Offer>, Vec<usize>), ProblemError> {
        let key = |&(line, ref offer): &(u16, Offer)| (line, offer.location);
        if !self.offers.is_sorted_by_key(key) {
            self.offers.sort_by_key(key);
        }
        let mut offers = Vec::with_capacity(self.offers.len());
        let mut line_start = vec![0; self.lines.len() + 1];
        let mut before = None;
        for (line, offer) in &self.offers {
            let unknown = ProblemError::UnknownOffer { line: *line, location: offer.location };
            let asked = self.lines.get(usize::from(*line)).ok_or(unknown)?;
            let location = self.locations.get(usize::from(offer.location)).ok_or(unknown)?.id;
            if offer.extra.unsigned_abs() > Money::MAX.0.unsigned_abs() {
                return Err(ProblemError::OfferCost { sku: asked.sku, location, cost: Money(offer.extra) });
            }
            if before.replace((*line, offer.location)) == Some((*line, offer.location)) {
                return Err(ProblemError::DuplicateOffer { sku: asked.sku, location });
            }
            offers.push(Offer { available: offer.available.min(asked.demand.0), ..*offer });
            line_start[usize::from(*line) + 1] = offers.len();
        }
        for j in 1..line_start.len() {
            line_start[j] = line_start[j].max(line_start[j - 1]);
        }
        Ok((offers, line_start))
    }
}

/// `None` when `items` already ascend by `key`; else the new position of each.
fn rank<T, K: Ord + Copy>(items: &[T], key: impl Fn(&T) -> K) -> Option<Vec<u16>> {
    if items.is_sorted_by_key(&key) {
        return None;
    }
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&i| key(&items[i]));
    let mut to = vec![0; items.len()];
    for (position, &i) in order.iter().enumerate() {
        to[i] = u16::try_from(position).unwrap_or(u16::MAX);
    }
    Some(to)
}

/// An index out of range stays so, for the checks that follow to find it.
fn renumbered(to: &[u16], index: u16) -> u16 {
    to.get(usize::from(index)).copied().unwrap_or(u16::MAX)
}

fn next_index(len: usize) -> Option<u16> {
    u16::try_from(len).ok().filter(|&index| index < u16::MAX)
}
