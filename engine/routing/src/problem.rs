//! One order and the stock, costs and rules it met: the checked input of the solver.
//!
//! Whatever the caller's order of calls, a [`Problem`] holds lines by ascending SKU and locations by ascending id, so the
//! same facts always give the same plan.

use crate::error::ProblemError;
use crate::tariff::{Service, cheapest};
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

/// Carrier services that a problem knows, as [`ProblemBuilder::tariff`] returned them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TariffIndex {
    start: u32,
    end: u32,
}

/// The limits of the parcel of one location, and where its services are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    pub(crate) unit_capacity: Option<Units>,
    pub(crate) weight_max: Option<Grams>,
    pub(crate) tariff: TariffIndex,
}

impl Rules {
    const NONE: Self = Self { unit_capacity: None, weight_max: None, tariff: TariffIndex { start: 0, end: 0 } };
}

/// What one location has for one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Offer {
    pub(crate) location: u16,
    pub(crate) line: u16,
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
    pub(crate) rules: Vec<Rules>,
    services: Vec<Service>,
    /// No parcel's carriage costs less.
    carriage_least: i64,
    /// What the builder was told, kept for its memory alone.
    given_rules: Vec<(u16, Rules)>,
    /// Grouped by line, ascending by location.
    pub(crate) offers: Vec<Offer>,
    /// `offers[line_start[j]..line_start[j + 1]]` are those of line `j`.
    pub(crate) line_start: Vec<usize>,
    /// Units of each line that all locations together could serve.
    servable: Vec<i64>,
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
            rules: Vec::new(),
            services: Vec::new(),
            offers: Vec::new(),
            parcels_max: None,
            ship_complete: false,
            spare_rules: Vec::new(),
            spare_starts: Vec::new(),
            spare_servable: Vec::new(),
        }
    }

    /// Starts stating the next problem in the memory of this one.
    pub fn recycle(mut self, objective: Objective) -> ProblemBuilder {
        self.lines.clear();
        self.locations.clear();
        self.offers.clear();
        self.services.clear();
        self.given_rules.clear();
        ProblemBuilder {
            objective,
            lines: self.lines,
            locations: self.locations,
            rules: self.given_rules,
            services: self.services,
            offers: self.offers,
            parcels_max: None,
            ship_complete: false,
            spare_rules: self.rules,
            spare_starts: self.line_start,
            spare_servable: self.servable,
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
        self.servable[line]
    }

    /// The services that location `place` may choose from.
    pub(crate) fn services_of(&self, place: usize) -> &[Service] {
        let Some(rules) = self.rules.get(place) else { return &[] };
        let at = |index: u32| usize::try_from(index).unwrap_or(usize::MAX);
        &self.services[at(rules.tariff.start)..at(rules.tariff.end)]
    }

    /// No parcel's carriage costs less, wherever it comes from.
    pub(crate) fn carriage_least(&self) -> i64 {
        self.carriage_least
    }

    /// The carrier's price of a parcel from location `place`; `None` when no service carries it.
    pub(crate) fn carriage(&self, place: usize, weight: Grams) -> Option<i64> {
        let services = self.services_of(place);
        if services.is_empty() { Some(0) } else { cheapest(services, weight).map(|(_, price)| price.0) }
    }

    /// The limits of the parcel of location `place`.
    pub(crate) fn rules_of(&self, place: usize) -> Rules {
        self.rules.get(place).copied().unwrap_or(Rules::NONE)
    }

    /// More than all carriage of any plan together; saturates.
    pub(crate) fn carriage_max(&self) -> i64 {
        let weights = self.lines.iter().map(|line| line.unit_weight.0.saturating_mul(u64::from(line.demand.0)));
        let total = Grams(weights.fold(0, u64::saturating_add));
        let services = (0..self.rules.len()).flat_map(|i| self.services_of(i));
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
    rules: Vec<(u16, Rules)>,
    services: Vec<Service>,
    offers: Vec<Offer>,
    parcels_max: Option<u16>,
    ship_complete: bool,
    // Memory of a problem before.
    spare_rules: Vec<Rules>,
    spare_starts: Vec<usize>,
    spare_servable: Vec<i64>,
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
    ///
    /// Locations that share their carriers say so more cheaply with [`ProblemBuilder::tariff`] and
    /// [`ProblemBuilder::parcel_rules`].
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over what they have built")]
    pub fn shipping(&mut self, location: LocationIndex, shipping: Shipping) {
        let tariff = self.tariff(&shipping.services);
        self.parcel_rules(location, shipping.unit_capacity, shipping.weight_max, Some(tariff));
    }

    /// Makes carrier services known, for any number of locations to choose from.
    pub fn tariff(&mut self, services: &[Service]) -> TariffIndex {
        let at = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let start = at(self.services.len());
        self.services.extend_from_slice(services);
        TariffIndex { start, end: at(self.services.len()) }
    }

    /// As [`ProblemBuilder::shipping`], with services made known before; `None`: carriage is free, or already in the
    /// parcel cost.
    pub fn parcel_rules(
        &mut self,
        location: LocationIndex,
        unit_capacity: Option<Units>,
        weight_max: Option<Grams>,
        tariff: Option<TariffIndex>,
    ) {
        let tariff = tariff.unwrap_or(Rules::NONE.tariff);
        self.rules.push((location.0, Rules { unit_capacity, weight_max, tariff }));
    }

    /// `location` has `available` units for `line`, at `extra_unit_cost` above its pick cost (below zero: a bonus).
    ///
    /// More than the line wants counts as what it wants; nothing available is no offer. A forbidden location is one that
    /// makes no offer; a preferred one has a bonus.
    pub fn offer(&mut self, line: LineIndex, location: LocationIndex, available: Units, extra_unit_cost: Money) {
        if available.0 > 0 {
            let (line, location) = (line.0, location.0);
            self.offers.push(Offer { location, line, available: available.0, extra: extra_unit_cost.0 });
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
            self.offers.iter_mut().for_each(|offer| offer.line = renumbered(to, offer.line));
        }
        if let Some(to) = &location_rank {
            self.locations.sort_by_key(|location| location.id);
            self.offers.iter_mut().for_each(|offer| offer.location = renumbered(to, offer.location));
            self.rules.iter_mut().for_each(|(location, _)| *location = renumbered(to, *location));
        }
        if let Some(pair) = self.lines.windows(2).find(|pair| pair[0].sku == pair[1].sku) {
            return Err(ProblemError::DuplicateSku { sku: pair[0].sku });
        }
        if let Some(pair) = self.locations.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(ProblemError::DuplicateLocation { location: pair[0].id });
        }
        self.group_offers()?;
        let rules = self.placed_rules()?;
        let free = rules.iter().any(|rules| rules.tariff.start == rules.tariff.end);
        let least = self.services.iter().map(|service| service.first_price().0).min();
        let carriage_least = least.filter(|_| !free && !rules.is_empty()).unwrap_or(0);
        self.rules.clear();
        Ok(Problem {
            objective: self.objective,
            lines: self.lines,
            locations: self.locations,
            rules,
            services: self.services,
            carriage_least,
            given_rules: self.rules,
            offers: self.offers,
            line_start: self.spare_starts,
            servable: self.spare_servable,
            parcels_max: self.parcels_max,
            ship_complete: self.ship_complete,
        })
    }

    fn placed_rules(&mut self) -> Result<Vec<Rules>, ProblemError> {
        let mut placed = std::mem::take(&mut self.spare_rules);
        placed.clear();
        if !self.rules.is_empty() {
            placed.resize(self.locations.len(), Rules::NONE);
            for &(location, given) in &self.rules {
                let known = usize::try_from(given.tariff.end).is_ok_and(|end| end <= self.services.len());
                let slot = placed.get_mut(usize::from(location)).filter(|_| known);
                *slot.ok_or(ProblemError::UnknownOffer { line: 0, location })? = given;
            }
        }
        Ok(placed)
    }

    /// Puts the offers in order and checks them; leaves where each line's begin, and what they come to, in the spares.
    fn group_offers(&mut self) -> Result<(), ProblemError> {
        let key = |offer: &Offer| (offer.line, offer.location);
        if !self.offers.is_sorted_by_key(key) {
            self.offers.sort_by_key(key);
        }
        self.spare_starts.clear();
        self.spare_starts.push(0);
        self.spare_servable.clear();
        let all = self.offers.len();
        let mut at = 0;
        for (j, line) in (0..).zip(&self.lines) {
            let (mut before, mut stock, mut most) = (None, 0, 0);
            while at < all && self.offers[at].line == j {
                let offer = &mut self.offers[at];
                let unknown = ProblemError::UnknownOffer { line: j, location: offer.location };
                let location = self.locations.get(usize::from(offer.location)).ok_or(unknown)?.id;
                if offer.extra.unsigned_abs() > Money::MAX.0.unsigned_abs() {
                    return Err(ProblemError::OfferCost { sku: line.sku, location, cost: Money(offer.extra) });
                }
                if before.replace(offer.location) == Some(offer.location) {
                    return Err(ProblemError::DuplicateOffer { sku: line.sku, location });
                }
                offer.available = offer.available.min(line.demand.0);
                stock += i64::from(offer.available);
                most = most.max(offer.available);
                at += 1;
            }
            let demand = i64::from(line.demand.0);
            let whole = line.whole || self.objective == Objective::WholeLinesCost;
            let servable = if !whole {
                stock.min(demand)
            } else if most == line.demand.0 {
                demand
            } else {
                0
            };
            self.spare_servable.push(servable);
            self.spare_starts.push(at);
        }
        match self.offers.get(at) {
            None => Ok(()),
            Some(stray) => Err(ProblemError::UnknownOffer { line: stray.line, location: stray.location }),
        }
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
