//! The network: places, regions, tariffs and calendars as one immutable snapshot, ready to be asked by orders.

use std::collections::BTreeMap;

use quartermaster_routing::{Grams, LocationId, Money};
use smallvec::SmallVec;

pub use crate::calendar::check_fulfilment;
use crate::calendar::{Calendar, FulfilmentError, check_costs};
use crate::codes::{Codes, index, number};
use crate::fulfilment::{Mode, Moment, PlaceSpec, Slot};
use crate::geo::{Chord, Point};
use crate::order::{Destination, Goods};
use crate::region::{RegionError, RegionId, RegionSpec, Regions};
use crate::tariff::{
    NO_COLUMN, NO_ROW, ServiceSpec, Table, TariffDocument, TariffFault, TariffWarning, check as check_tariffs,
};

/// Why there is no network of these parts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The regions make no tree.
    #[error(transparent)]
    Regions(#[from] RegionError),
    /// A place's costs or hours are wrong.
    #[error("location {code}: fulfilment: {error}")]
    Place {
        /// Which.
        location: LocationId,
        /// Its code.
        code: String,
        /// What is wrong.
        error: FulfilmentError,
    },
    /// A place is off the globe.
    #[error("location {code}: coordinates are out of range")]
    Coordinates {
        /// Which.
        location: LocationId,
        /// Its code.
        code: String,
    },
    /// Two places share a code.
    #[error("location {code} is given twice")]
    DuplicatePlace {
        /// The code.
        code: String,
    },
    /// The tariffs are wrong; everything that is.
    #[error("{} faults in the tariffs; the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Tariffs(Vec<TariffFault>),
    /// The rates of a service, with so many kinds of places, fill more than 2^24 cells.
    #[error("service {code} has too many rates for so many places")]
    TooLarge {
        /// The service.
        code: String,
    },
}

/// Why a destination cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No region of that code.
    #[error("region {code:?} is unknown")]
    UnknownRegion {
        /// What was given.
        code: String,
    },
    /// Off the globe.
    #[error("coordinates are out of range")]
    Coordinates,
}

/// A place of the network.
#[derive(Clone, Debug)]
pub struct Place {
    /// As its owner describes it.
    pub spec: PlaceSpec,
    /// Where it is, when known.
    pub point: Option<Point>,
    /// The region of its code; without a code the leaf nearest to its point. `None` when the tree has no such region.
    pub region: Option<RegionId>,
    /// Number of its calendar; places that work alike share one.
    pub calendar: u32,
}

/// A service of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Position of its document.
    pub document: usize,
    /// As the document describes it.
    pub spec: ServiceSpec,
}

/// Why a service does not carry a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncarried {
    /// Its billed weight alone is above the limit.
    TooHeavy,
    /// Its longest side is above the limit.
    TooLong,
    /// It is dangerous.
    DangerousGoods,
    /// Not in this temperature class.
    Temperature,
}

impl Service {
    /// Why it does not carry a unit of these goods; `None`: it does. What is unknown of them (zeros) does not hinder.
    #[must_use]
    pub fn uncarried(&self, goods: &Goods<'_>) -> Option<Uncarried> {
        let spec = &self.spec;
        let class = if goods.temperature.is_empty() { "ambient" } else { goods.temperature };
        let carried = if spec.temperatures.is_empty() {
            class == "ambient"
        } else {
            spec.temperatures.iter().any(|carried| carried == class)
        };
        let weight = billed_unit_weight(goods, spec.volumetric_divisor);
        if !goods.dangerous_goods.is_empty() && !spec.dangerous_goods {
            Some(Uncarried::DangerousGoods)
        } else if !carried {
            Some(Uncarried::Temperature)
        } else if spec.side_max_mm.is_some_and(|limit| goods.dimensions_mm.iter().any(|side| *side > limit)) {
            Some(Uncarried::TooLong)
        } else if spec.weight_max_grams.is_some_and(|limit| weight.0 > limit) {
            Some(Uncarried::TooHeavy)
        } else {
            None
        }
    }
}

/// What one service asks from one place to one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Number of the service.
    pub service: u32,
    /// Covered by the first price; at least 1, not above the limit.
    pub first_weight: Grams,
    /// Up to the first weight, distance included.
    pub first_price: Money,
    /// Each started step above the first weight; at least 1.
    pub step_weight: Grams,
    /// Added for each started step.
    pub step_price: Money,
    /// The heaviest parcel; `None`: any.
    pub weight_max: Option<Grams>,
    /// From departure to arrival.
    pub transit_minutes: u32,
}

impl Lane {
    /// The price of a parcel of this billed weight; `None` when it is too heavy.
    #[must_use]
    pub fn price(&self, weight: Grams) -> Option<Money> {
        if self.weight_max.is_some_and(|limit| weight > limit) {
            return None;
        }
        let steps = weight.0.saturating_sub(self.first_weight.0).div_ceil(self.step_weight.0.max(1));
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        // Saturating: above Money::MAX the solver refuses the parcel anyway.
        Some(Money(self.first_price.0.saturating_add(self.step_price.0.saturating_mul(steps))))
    }
}

/// A destination that a network has understood: its region, its point and its rows in that network's rates.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    region: Option<RegionId>,
    point: Option<Point>,
    /// By service.
    rows: SmallVec<[u32; 8]>,
}

impl Target {
    /// The point; of a destination known by its region only, the region's, or that of the nearest region above that has one.
    #[must_use]
    pub fn point(&self) -> Option<Point> {
        self.point
    }
}

/// Places, regions, tariffs and calendars, compiled.
#[derive(Clone, Debug)]
pub struct Network {
    places: Vec<Place>,
    /// Of each place, close together for distances.
    points: Vec<Option<Point>>,
    regions: Regions,
    services: Vec<Service>,
    /// By service.
    tables: Vec<Table>,
    /// Place by place, of each service the column of the place in its table.
    columns: Vec<u32>,
    calendars: Vec<Calendar>,
    currency: String,
    warnings: Vec<TariffWarning>,
}

impl Network {
    /// Compiles the network. The index of a place is its [`LocationId`].
    ///
    /// A place whose region is not in the tree lies outside every region: places may be loaded before regions.
    ///
    /// # Errors
    /// Regions that make no tree, places with wrong hours, costs or coordinates, everything that is wrong with the tariffs.
    pub fn new(places: &[PlaceSpec], regions: &[RegionSpec], tariffs: &[TariffDocument]) -> Result<Self, NetworkError> {
        let regions = Regions::new(regions)?;
        let warnings = check_tariffs(tariffs, &regions, places).map_err(NetworkError::Tariffs)?;
        let (places, calendars) = compile_places(places, &regions)?;
        let services = tariffs
            .iter()
            .enumerate()
            .flat_map(|(document, tariff)| tariff.services.iter().map(move |spec| (document, spec.clone())))
            .map(|(document, spec)| Service { document, spec })
            .collect();
        let mut network = Self {
            points: places.iter().map(|place| place.point).collect(),
            places,
            regions,
            services,
            tables: Vec::new(),
            columns: Vec::new(),
            calendars,
            currency: tariffs.first().map(|document| document.currency.clone()).unwrap_or_default(),
            warnings,
        };
        network.compile_services()?;
        Ok(network)
    }

    /// By [`LocationId`].
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// One place.
    #[must_use]
    pub fn place(&self, location: LocationId) -> Option<&Place> {
        self.places.get(index(location.0))
    }

    /// The region of a code.
    #[must_use]
    pub fn region(&self, code: &str) -> Option<RegionId> {
        self.regions.by_code(code)
    }

    /// The tree.
    #[must_use]
    pub fn regions(&self) -> &Regions {
        &self.regions
    }

    /// By number of the service: over all documents in order.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Whether any carrier's service exists. Without one, carriage costs nothing, takes no time and reaches everywhere.
    #[must_use]
    pub fn has_carriers(&self) -> bool {
        !self.services.is_empty()
    }

    /// Of all tariffs; empty without any.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// What looked wrong with the tariffs.
    #[must_use]
    pub fn warnings(&self) -> &[TariffWarning] {
        &self.warnings
    }

    /// The calendar of a number, as [`Place::calendar`] gives it.
    #[must_use]
    pub fn calendar(&self, calendar: u32) -> Option<&Calendar> {
        self.calendars.get(index(calendar))
    }

    /// How many calendars there are: their numbers are below.
    #[must_use]
    pub fn calendar_count(&self) -> usize {
        self.calendars.len()
    }

    /// Understands a destination. With a point only, its region is the leaf nearest to it; with a region only, its point is the region's
    /// or that of the nearest region above that has one; with neither, it is nowhere known, and only rates to anywhere apply.
    ///
    /// # Errors
    /// A region that is not in the tree, a point off the globe.
    pub fn target(&self, destination: &Destination) -> Result<Target, TargetError> {
        let mut region = None;
        if !destination.region.is_empty() {
            let unknown = || TargetError::UnknownRegion { code: destination.region.clone() };
            region = Some(self.region(&destination.region).ok_or_else(unknown)?);
        }
        if destination.point.is_some_and(|point| !point.in_range()) {
            return Err(TargetError::Coordinates);
        }
        let own = destination.point.map(Point::new);
        if region.is_none() && self.tables.iter().any(Table::names_destinations) {
            region = own.and_then(|point| self.regions.nearest(point));
        }
        let point = own.or_else(|| self.regions.point(region?));
        let rows = self.tables.iter().map(|table| table.row(&self.regions, region)).collect();
        Ok(Target { region, point, rows })
    }

    /// The region of a target: as given, or the leaf nearest to its point, which is looked for now if no rate needed it.
    #[must_use]
    pub fn target_region(&self, target: &Target) -> Option<RegionId> {
        target.region.or_else(|| self.regions.nearest(target.point?))
    }

    /// Metres over the ground from a place to a target; `None` when either is not known.
    #[must_use]
    pub fn distance(&self, target: &Target, location: LocationId) -> Option<u32> {
        self.chord(target, location).map(Chord::metres)
    }

    /// As [`Network::distance`], to be compared with a [`crate::geo::Reach`] without an arcsine.
    #[must_use]
    pub fn chord(&self, target: &Target, location: LocationId) -> Option<Chord> {
        let point = (*self.points.get(index(location.0))?)?;
        Some(point.chord(target.point?))
    }

    /// The slots in which a place counts work that it is given now; none where it takes any amount.
    #[must_use]
    pub fn slots(&self, location: LocationId, now: Moment) -> SmallVec<[Slot; 2]> {
        let Some(place) = self.place(location) else { return SmallVec::new() };
        let Some(departure) = self.calendar(place.calendar).map(|calendar| calendar.departure(now)) else {
            return SmallVec::new();
        };
        let limits = &place.spec.fulfilment.capacity;
        let day = limits.orders_per_day.or(limits.units_per_day).map(|_| Slot::Day(departure.day));
        let hour = limits.orders_per_hour.or(limits.units_per_hour).map(|_| Slot::Hour(departure.hour));
        day.into_iter().chain(hour).collect()
    }

    /// What each service that fetches from a place and reaches the target asks, by number of the service; `out` is emptied first.
    /// The target must be of this network.
    #[inline]
    pub fn rates(&self, target: &Target, location: LocationId, out: &mut SmallVec<[Lane; 2]>) {
        out.clear();
        let count = self.tables.len();
        let first = index(location.0).saturating_mul(count);
        let Some(columns) = self.columns.get(first..first.saturating_add(count)) else { return };
        for ((table, row), column) in self.tables.iter().zip(&target.rows).zip(columns) {
            if *row == NO_ROW || *column == NO_COLUMN {
                continue;
            }
            table.lane(*row, *column, || self.chord(target, location), out);
        }
    }

    fn compile_services(&mut self) -> Result<(), NetworkError> {
        let mut codes = Codes::new();
        for (position, place) in self.places.iter().enumerate() {
            codes.enter(&place.spec.code, number(position));
        }
        let count = self.services.len();
        self.columns = vec![NO_COLUMN; self.places.len().saturating_mul(count)];
        for (position, service) in self.services.iter().enumerate() {
            let spec = &service.spec;
            let offered: Vec<usize> = if spec.locations.is_empty() {
                let ships = |place: &usize| self.places[*place].spec.capabilities.serves(Mode::Ship);
                (0..self.places.len()).filter(ships).collect()
            } else {
                spec.locations.iter().filter_map(|code| codes.number(code)).map(index).collect()
            };
            let origins: Vec<_> = offered.iter().map(|place| self.places[*place].region).collect();
            let (table, columns) = Table::new(number(position), spec, &self.regions, &origins)
                .ok_or_else(|| NetworkError::TooLarge { code: spec.code.clone() })?;
            for (place, column) in offered.iter().zip(columns) {
                self.columns[place * count + position] = column;
            }
            self.tables.push(table);
        }
        Ok(())
    }
}

fn compile_places(specs: &[PlaceSpec], regions: &Regions) -> Result<(Vec<Place>, Vec<Calendar>), NetworkError> {
    let mut codes = Codes::new();
    let mut calendars = Vec::new();
    let mut known = BTreeMap::new();
    let mut places = Vec::with_capacity(specs.len());
    for (location, spec) in (0..).map(LocationId).zip(specs) {
        let code = || spec.code.clone();
        if !codes.enter(&spec.code, location.0) {
            return Err(NetworkError::DuplicatePlace { code: code() });
        }
        if spec.coordinates.is_some_and(|coordinates| !coordinates.in_range()) {
            return Err(NetworkError::Coordinates { location, code: code() });
        }
        let fulfilment = &spec.fulfilment;
        let wrong = |error| NetworkError::Place { location, code: code(), error };
        let days: Vec<_> = fulfilment.week.iter().map(|day| day.map(|shift| (shift.opens, shift.cutoff))).collect();
        let key = (&fulfilment.time_zone, days, &fulfilment.holidays, fulfilment.processing_minutes);
        let calendar = match known.get(&key) {
            Some(calendar) => *calendar,
            None => {
                calendars.push(Calendar::new(fulfilment).map_err(wrong)?);
                let calendar = number(calendars.len() - 1);
                known.insert(key, calendar);
                calendar
            }
        };
        check_costs(fulfilment).map_err(wrong)?;
        let point = spec.coordinates.map(Point::new);
        let region = if spec.region.is_empty() {
            point.and_then(|point| regions.nearest(point))
        } else {
            regions.by_code(&spec.region)
        };
        places.push(Place { spec: spec.clone(), point, region, calendar });
    }
    Ok((places, calendars))
}

/// The weight by which a carrier bills a unit: what it weighs, or what its volume would weigh at `divisor` cubic centimetres to the
/// kilogram, whichever is more, in started grams. Divisor 0: what it weighs. A unit without dimensions has no volume. At most
/// [`Grams::MAX`], the most that the solver takes.
///
/// Billing each unit, not the packed parcel, makes the weight of a parcel the sum over its units whatever they are packed in.
#[must_use]
pub fn billed_unit_weight(goods: &Goods<'_>, divisor: u32) -> Grams {
    // Cubic millimetres by cubic centimetres per kilogram are grams: the thousands cancel out.
    let volumetric = if divisor == 0 { 0 } else { goods.volume_mm3().div_ceil(u64::from(divisor)) };
    goods.weight.max(Grams(volumetric)).min(Grams::MAX)
}
