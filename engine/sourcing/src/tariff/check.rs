//! What is wrong with tariff documents: everything, with its path.

use std::collections::BTreeMap;
use std::fmt;

use hashbrown::HashMap;
use quartermaster_routing::{Grams, Money};

use super::{RATE_PAIRS_MAX, RateSpec, ServiceSpec, TRANSIT_MINUTES_MAX, TariffDocument};
use crate::codes::{Codes, hasher, index, number};
use crate::fulfilment::PlaceSpec;
use crate::geo::FARTHEST_METRES;
use crate::region::{RegionId, Regions};

/// Something wrong in a document; with it no network is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TariffFault {
    /// Position of the document in the list.
    pub document: usize,
    /// Where in it, for example `services[2].rates[0].first_price`.
    pub path: String,
    /// What.
    pub reason: TariffReason,
}

impl fmt::Display for TariffFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tariff document {}: {}: {}", self.document, self.path, self.reason)
    }
}

impl std::error::Error for TariffFault {}

/// What may be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TariffReason {
    /// Not three capital letters.
    #[error("{currency:?} is no currency")]
    Currency {
        /// What was given.
        currency: String,
    },
    /// Another than that of the first document.
    #[error("{currency} is not {first}, the currency of the first document")]
    OtherCurrency {
        /// What was given.
        currency: String,
        /// The first document's.
        first: String,
    },
    /// A code is empty.
    #[error("the code is empty")]
    NoCode,
    /// Another service has the code, in this document or in one before.
    #[error("service {code} is given twice")]
    DuplicateService {
        /// The code.
        code: String,
    },
    /// A service without rates.
    #[error("there is no rate")]
    NoRates,
    /// A price below zero or above 2^40.
    #[error("price {price} is not between 0 and {}", Money::MAX)]
    Price {
        /// What was given.
        price: i64,
    },
    /// The first price with all distance steps of the longest way is above 2^40.
    #[error("the price of the longest way is above {}", Money::MAX)]
    DistancePrice,
    /// A weight or size that has to be at least 1.
    #[error("zero is not allowed here")]
    Zero,
    /// A step of zero that costs something.
    #[error("a step of zero cannot cost {price}")]
    ZeroStep {
        /// What a step costs.
        price: i64,
    },
    /// Above 2^40 grams.
    #[error("weight {grams} is above {}", Grams::MAX)]
    Weight {
        /// What was given.
        grams: u64,
    },
    /// Over 60 days.
    #[error("{minutes} minutes are more than {TRANSIT_MINUTES_MAX}")]
    Transit {
        /// What was given.
        minutes: u32,
    },
    /// No region of that code.
    #[error("region {code:?} is unknown")]
    UnknownRegion {
        /// What was given.
        code: String,
    },
    /// No place of that code.
    #[error("location {code:?} is unknown")]
    UnknownLocation {
        /// What was given.
        code: String,
    },
    /// One list names a code twice.
    #[error("{code} is given twice")]
    Repeated {
        /// The code.
        code: String,
    },
    /// A band that ends where it starts or before.
    #[error("the band ends at {to}, not after its start, {from}")]
    EmptyBand {
        /// Metres.
        from: u32,
        /// Metres.
        to: u32,
    },
    /// The bands of one origin and destination do not start at 0.
    #[error("from {origin} to {destination} the bands start at {from} metres, not at 0")]
    BandStart {
        /// Region code, or "anywhere".
        origin: String,
        /// Region code, or "anywhere".
        destination: String,
        /// Metres.
        from: u32,
    },
    /// Two bands of one origin and destination hold the same distances.
    #[error("from {origin} to {destination} the band overlaps that of rates[{other}]")]
    BandOverlap {
        /// Region code, or "anywhere".
        origin: String,
        /// Region code, or "anywhere".
        destination: String,
        /// Position of the other rate.
        other: usize,
    },
    /// No band of one origin and destination holds distances between two bands.
    #[error("from {origin} to {destination} no band holds {from} to {to} metres")]
    BandGap {
        /// Region code, or "anywhere".
        origin: String,
        /// Region code, or "anywhere".
        destination: String,
        /// Where the band before ends, in metres.
        from: u32,
        /// Where this one starts, in metres.
        to: u32,
    },
    /// The origins and destinations of all rates pair up to more than [`RATE_PAIRS_MAX`].
    #[error("the rates name more than {RATE_PAIRS_MAX} pairs of origin and destination")]
    TooManyPairs,
}

/// Something that is probably not meant; a network is built all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TariffWarning {
    /// Position of the document in the list.
    pub document: usize,
    /// Where in it.
    pub path: String,
    /// What.
    pub reason: TariffWarningReason,
}

impl fmt::Display for TariffWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tariff document {}: {}: {}", self.document, self.path, self.reason)
    }
}

/// What is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TariffWarningReason {
    /// Prices depend on the distance, and a place that the service fetches from has no coordinates: it is not served there.
    #[error("the price depends on the distance, and {places} places, {first} among them, have no coordinates")]
    NoCoordinates {
        /// Code of the first of them.
        first: String,
        /// How many.
        places: usize,
    },
}

/// Origin and destination of a rate; `None`: anywhere.
pub(super) type Ends = (Option<RegionId>, Option<RegionId>);

/// Finds everything that is wrong with documents, and what looks wrong.
///
/// # Errors
/// All faults, by document and path.
pub fn check(
    documents: &[TariffDocument],
    regions: &Regions,
    places: &[PlaceSpec],
) -> Result<Vec<TariffWarning>, Vec<TariffFault>> {
    let mut locations = Codes::new();
    for (position, place) in places.iter().enumerate() {
        locations.enter(&place.code, number(position));
    }
    let mut checker =
        Checker { regions, places, locations, services: Codes::new(), document: 0, faults: vec![], warnings: vec![] };
    for (position, document) in documents.iter().enumerate() {
        checker.document = position;
        checker.document(document, documents.first().map_or("", |first| first.currency.as_str()));
    }
    if checker.faults.is_empty() { Ok(checker.warnings) } else { Err(checker.faults) }
}

struct Checker<'a> {
    regions: &'a Regions,
    places: &'a [PlaceSpec],
    locations: Codes,
    services: Codes,
    document: usize,
    faults: Vec<TariffFault>,
    warnings: Vec<TariffWarning>,
}

impl Checker<'_> {
    fn fault(&mut self, path: String, reason: TariffReason) {
        self.faults.push(TariffFault { document: self.document, path, reason });
    }

    fn document(&mut self, document: &TariffDocument, first: &str) {
        let currency = document.currency.clone();
        if currency.len() != 3 || !currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
            self.fault("currency".into(), TariffReason::Currency { currency });
        } else if currency != first {
            self.fault("currency".into(), TariffReason::OtherCurrency { currency, first: first.into() });
        }
        for (position, service) in document.services.iter().enumerate() {
            self.service(service, &format!("services[{position}]"));
        }
    }

    fn service(&mut self, service: &ServiceSpec, path: &str) {
        if service.code.is_empty() {
            self.fault(format!("{path}.code"), TariffReason::NoCode);
        } else if !self.services.enter(&service.code, 0) {
            self.fault(format!("{path}.code"), TariffReason::DuplicateService { code: service.code.clone() });
        }
        for (position, code) in service.locations.iter().enumerate() {
            if self.locations.number(code).is_none() {
                let reason = TariffReason::UnknownLocation { code: code.clone() };
                self.fault(format!("{path}.locations[{position}]"), reason);
            }
        }
        self.repeated(&service.locations, &format!("{path}.locations"));
        self.repeated(&service.temperatures, &format!("{path}.temperatures"));
        if let Some(grams) = service.weight_max_grams {
            self.weight(grams, format!("{path}.weight_max_grams"));
        }
        if service.side_max_mm == Some(0) {
            self.fault(format!("{path}.side_max_mm"), TariffReason::Zero);
        }
        if service.rates.is_empty() {
            self.fault(format!("{path}.rates"), TariffReason::NoRates);
        }
        let before = self.faults.len();
        for (position, rate) in service.rates.iter().enumerate() {
            self.rate(rate, &format!("{path}.rates[{position}]"));
        }
        // Bands make sense only once each is whole and its regions are known.
        if self.faults.len() == before {
            self.bands(service, path);
        }
        if service.rates.iter().any(RateSpec::needs_distance) {
            self.coordinates(service, path);
        }
    }

    fn rate(&mut self, rate: &RateSpec, path: &str) {
        for (name, codes) in [("origins", &rate.origins), ("destinations", &rate.destinations)] {
            for (position, code) in codes.iter().enumerate() {
                if self.regions.by_code(code).is_none() {
                    let reason = TariffReason::UnknownRegion { code: code.clone() };
                    self.fault(format!("{path}.{name}[{position}]"), reason);
                }
            }
            self.repeated(codes, &format!("{path}.{name}"));
        }
        if let Some(to) = rate.distance_to_metres.filter(|to| *to <= rate.distance_from_metres) {
            let reason = TariffReason::EmptyBand { from: rate.distance_from_metres, to };
            self.fault(format!("{path}.distance_to_metres"), reason);
        }
        self.weight(rate.first_weight_grams, format!("{path}.first_weight_grams"));
        let prices = [
            ("first_price", rate.first_price),
            ("step_price", rate.step_price),
            ("distance_step_price", rate.distance_step_price),
        ];
        let before = self.faults.len();
        for (name, price) in prices {
            if !(0..=Money::MAX.0).contains(&price) {
                self.fault(format!("{path}.{name}"), TariffReason::Price { price });
            }
        }
        let prices_hold = self.faults.len() == before;
        if rate.step_weight_grams > 0 {
            self.weight(rate.step_weight_grams, format!("{path}.step_weight_grams"));
        } else if rate.step_price > 0 {
            self.fault(format!("{path}.step_weight_grams"), TariffReason::ZeroStep { price: rate.step_price });
        }
        if rate.distance_step_metres == 0 && rate.distance_step_price > 0 {
            let reason = TariffReason::ZeroStep { price: rate.distance_step_price };
            self.fault(format!("{path}.distance_step_metres"), reason);
        }
        if prices_hold && farthest_price(rate) > Money::MAX.0 {
            self.fault(format!("{path}.distance_step_price"), TariffReason::DistancePrice);
        }
        if rate.transit_minutes > TRANSIT_MINUTES_MAX {
            let reason = TariffReason::Transit { minutes: rate.transit_minutes };
            self.fault(format!("{path}.transit_minutes"), reason);
        }
    }

    fn weight(&mut self, grams: u64, path: String) {
        if grams == 0 {
            self.fault(path, TariffReason::Zero);
        } else if grams > Grams::MAX.0 {
            self.fault(path, TariffReason::Weight { grams });
        }
    }

    fn repeated(&mut self, codes: &[String], path: &str) {
        let mut seen = Codes::new();
        for (position, code) in codes.iter().enumerate() {
            if !seen.enter(code, 0) {
                self.fault(format!("{path}[{position}]"), TariffReason::Repeated { code: code.clone() });
            }
        }
    }

    fn bands(&mut self, service: &ServiceSpec, path: &str) {
        let Some(groups) = groups(service, self.regions) else {
            return self.fault(format!("{path}.rates"), TariffReason::TooManyPairs);
        };
        // One mistake in rates of many pairs is reported once.
        let mut told = BTreeMap::new();
        for (ends, rates) in groups {
            if let Some((rate, reason)) = self.band_fault(service, ends, &rates) {
                told.entry(rate).or_insert(reason);
            }
        }
        for (rate, reason) in told {
            self.fault(format!("{path}.rates[{rate}].distance_from_metres"), reason);
        }
    }

    /// The first break in the bands of one pair, and the rate that starts at it.
    fn band_fault(&self, service: &ServiceSpec, ends: Ends, rates: &[usize]) -> Option<(usize, TariffReason)> {
        let name = |end: Option<RegionId>| {
            end.and_then(|region| self.regions.get(region)).map_or("anywhere", |region| &region.code).to_owned()
        };
        let (origin, destination) = (name(ends.0), name(ends.1));
        let mut before: Option<(usize, Option<u32>)> = None;
        for &position in rates {
            let rate = &service.rates[position];
            let from = rate.distance_from_metres;
            let reason = match before {
                None if from == 0 => None,
                None => {
                    Some(TariffReason::BandStart { origin: origin.clone(), destination: destination.clone(), from })
                }
                Some((_, Some(end))) if from == end => None,
                Some((_, Some(end))) if from > end => {
                    let (origin, destination) = (origin.clone(), destination.clone());
                    Some(TariffReason::BandGap { origin, destination, from: end, to: from })
                }
                Some((other, _)) => {
                    let (origin, destination) = (origin.clone(), destination.clone());
                    Some(TariffReason::BandOverlap { origin, destination, other })
                }
            };
            if let Some(reason) = reason {
                return Some((position, reason));
            }
            before = Some((position, rate.distance_to_metres));
        }
        None
    }

    fn coordinates(&mut self, service: &ServiceSpec, path: &str) {
        let blind = |place: &&PlaceSpec| place.coordinates.is_none();
        let named = || service.locations.iter().filter_map(|code| self.locations.number(code));
        let places: Vec<&PlaceSpec> = if service.locations.is_empty() {
            let ships = |place: &&PlaceSpec| place.capabilities.serves(crate::fulfilment::Mode::Ship);
            self.places.iter().filter(ships).filter(blind).collect()
        } else {
            named().map(|place| &self.places[index(place)]).filter(blind).collect()
        };
        if let Some(first) = places.first() {
            let reason = TariffWarningReason::NoCoordinates { first: first.code.clone(), places: places.len() };
            self.warnings.push(TariffWarning { document: self.document, path: format!("{path}.rates"), reason });
        }
    }
}

/// The first price with all the distance steps there can be.
fn farthest_price(rate: &RateSpec) -> i64 {
    if rate.distance_step_metres == 0 {
        return rate.first_price;
    }
    let metres = rate.distance_to_metres.unwrap_or(u32::MAX).min(FARTHEST_METRES);
    let steps = i64::from(metres.div_ceil(rate.distance_step_metres));
    rate.first_price.saturating_add(steps.saturating_mul(rate.distance_step_price))
}

/// The rates of each pair of origin and destination that a service names, by the start of their bands; pairs in the order in which they
/// are first named. `None` when there are more than [`RATE_PAIRS_MAX`]. Unknown codes are left out.
pub(super) fn groups(service: &ServiceSpec, regions: &Regions) -> Option<Vec<(Ends, Vec<usize>)>> {
    let mut places = HashMap::with_hasher(hasher());
    let mut groups: Vec<(Ends, Vec<usize>)> = Vec::new();
    let mut pairs = 0_usize;
    for (position, rate) in service.rates.iter().enumerate() {
        let (origins, destinations) = (ends(&rate.origins, regions), ends(&rate.destinations, regions));
        pairs = origins.len().saturating_mul(destinations.len()).saturating_add(pairs);
        if pairs > RATE_PAIRS_MAX {
            return None;
        }
        for &origin in &origins {
            for &destination in &destinations {
                let place = *places.entry((origin, destination)).or_insert(groups.len());
                if place == groups.len() {
                    groups.push(((origin, destination), Vec::new()));
                }
                groups[place].1.push(position);
            }
        }
    }
    for (_, rates) in &mut groups {
        rates.sort_by_key(|position| (service.rates[*position].distance_from_metres, *position));
    }
    Some(groups)
}

fn ends(codes: &[String], regions: &Regions) -> Vec<Option<RegionId>> {
    if codes.is_empty() {
        return vec![None];
    }
    codes.iter().filter_map(|code| regions.by_code(code)).map(Some).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfilment::Coordinates;
    use crate::region::RegionSpec;

    fn regions() -> Regions {
        let spec = |(code, parent): (&str, &str)| RegionSpec {
            code: code.into(),
            parent: parent.into(),
            ..RegionSpec::default()
        };
        Regions::new(&[("31", ""), ("3101", "31"), ("32", "")].map(spec)).unwrap()
    }

    fn places() -> [PlaceSpec; 2] {
        let somewhere = Some(Coordinates { latitude_e7: 0, longitude_e7: 0 });
        let place = |code: &str, coordinates| PlaceSpec { code: code.into(), coordinates, ..PlaceSpec::default() };
        [place("A", somewhere), place("B", None)]
    }

    fn rate() -> RateSpec {
        RateSpec { first_weight_grams: 1000, first_price: 800, ..RateSpec::default() }
    }

    fn band(from: u32, to: Option<u32>) -> RateSpec {
        RateSpec { distance_from_metres: from, distance_to_metres: to, ..rate() }
    }

    fn document(services: Vec<ServiceSpec>) -> TariffDocument {
        TariffDocument { name: "T".into(), currency: "CNY".into(), services }
    }

    fn service(rates: Vec<RateSpec>) -> ServiceSpec {
        ServiceSpec { code: "std".into(), rates, ..ServiceSpec::default() }
    }

    fn faults(documents: &[TariffDocument]) -> Vec<(usize, String, TariffReason)> {
        let faults = check(documents, &regions(), &places()).unwrap_err();
        faults.into_iter().map(|fault| (fault.document, fault.path, fault.reason)).collect()
    }

    /// The one thing that is wrong with a service, its path after `services[0].`.
    #[track_caller]
    fn service_fault(service: ServiceSpec, path: &str, reason: TariffReason) {
        assert_eq!(faults(&[document(vec![service])]), [(0, format!("services[0].{path}"), reason)]);
    }

    /// The one thing that is wrong with a rate.
    #[track_caller]
    fn rate_fault(wrong: impl FnOnce(&mut RateSpec), field: &str, reason: TariffReason) {
        let mut rate = rate();
        wrong(&mut rate);
        service_fault(service(vec![rate]), &format!("rates[0].{field}"), reason);
    }

    #[test]
    fn rates_are_checked_field_by_field() {
        use TariffReason::{DistancePrice, EmptyBand, Price, Transit, UnknownRegion, Weight, Zero, ZeroStep};
        let above = Grams::MAX.0 + 1;
        let costly = Money::MAX.0 + 1;
        rate_fault(|rate| rate.first_price = -1, "first_price", Price { price: -1 });
        rate_fault(|rate| rate.first_price = costly, "first_price", Price { price: costly });
        rate_fault(|rate| rate.first_weight_grams = 0, "first_weight_grams", Zero);
        rate_fault(|rate| rate.first_weight_grams = above, "first_weight_grams", Weight { grams: above });
        rate_fault(|rate| rate.step_price = 5, "step_weight_grams", ZeroStep { price: 5 });
        rate_fault(|rate| (rate.step_weight_grams, rate.step_price) = (1, -5), "step_price", Price { price: -5 });
        rate_fault(|rate| rate.step_weight_grams = above, "step_weight_grams", Weight { grams: above });
        rate_fault(|rate| rate.distance_step_price = 5, "distance_step_metres", ZeroStep { price: 5 });
        let steep = |rate: &mut RateSpec| (rate.distance_step_metres, rate.distance_step_price) = (1000, 60_000_000);
        rate_fault(steep, "distance_step_price", DistancePrice);
        rate_fault(|rate| rate.transit_minutes = 86_401, "transit_minutes", Transit { minutes: 86_401 });
        rate_fault(
            |rate| rate.origins = vec!["31".into(), "33".into()],
            "origins[1]",
            UnknownRegion { code: "33".into() },
        );
        rate_fault(
            |rate| rate.destinations = vec![String::new()],
            "destinations[0]",
            UnknownRegion { code: String::new() },
        );
        let twice = |rate: &mut RateSpec| rate.origins = vec!["31".into(), "31".into()];
        rate_fault(twice, "origins[1]", TariffReason::Repeated { code: "31".into() });
        let empty = |rate: &mut RateSpec| (rate.distance_from_metres, rate.distance_to_metres) = (5, Some(5));
        rate_fault(empty, "distance_to_metres", EmptyBand { from: 5, to: 5 });
    }

    #[test]
    fn services_are_checked_field_by_field() {
        use TariffReason::{NoCode, NoRates, Repeated, UnknownLocation, Weight, Zero};
        let good = || service(vec![rate()]);
        service_fault(ServiceSpec { code: String::new(), ..good() }, "code", NoCode);
        service_fault(service(vec![]), "rates", NoRates);
        let named = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>();
        let unknown = UnknownLocation { code: "C".into() };
        service_fault(ServiceSpec { locations: named(&["A", "C"]), ..good() }, "locations[1]", unknown);
        let repeated = |code: &str| Repeated { code: code.into() };
        service_fault(ServiceSpec { locations: named(&["A", "A"]), ..good() }, "locations[1]", repeated("A"));
        service_fault(ServiceSpec { temperatures: named(&["x", "x"]), ..good() }, "temperatures[1]", repeated("x"));
        service_fault(ServiceSpec { weight_max_grams: Some(0), ..good() }, "weight_max_grams", Zero);
        let grams = u64::MAX;
        service_fault(ServiceSpec { weight_max_grams: Some(grams), ..good() }, "weight_max_grams", Weight { grams });
        service_fault(ServiceSpec { side_max_mm: Some(0), ..good() }, "side_max_mm", Zero);
    }

    #[test]
    fn documents_are_checked_together_and_everything_is_told() {
        let other = TariffDocument { currency: "USD".into(), ..document(vec![service(vec![rate()])]) };
        let third = TariffDocument { currency: "usd".into(), ..document(vec![service(vec![])]) };
        let duplicate = || TariffReason::DuplicateService { code: "std".into() };
        let found = faults(&[document(vec![service(vec![rate()])]), other, third]);
        let expected = [
            (1, "currency", TariffReason::OtherCurrency { currency: "USD".into(), first: "CNY".into() }),
            (1, "services[0].code", duplicate()),
            (2, "currency", TariffReason::Currency { currency: "usd".into() }),
            (2, "services[0].code", duplicate()),
            (2, "services[0].rates", TariffReason::NoRates),
        ];
        assert_eq!(found, expected.map(|(document, path, reason)| (document, path.to_owned(), reason)));
        let fault = TariffFault { document: 1, path: "currency".into(), reason: TariffReason::NoCode };
        assert_eq!(fault.to_string(), "tariff document 1: currency: the code is empty");
    }

    #[test]
    fn bands_of_a_pair_join() {
        use TariffReason::{BandGap, BandOverlap, BandStart};
        let anywhere = || "anywhere".to_owned();
        let to = |code: &str, rate: RateSpec| RateSpec { destinations: vec![code.into()], ..rate };
        let fault = |rates, path: &str, reason| service_fault(service(rates), path, reason);
        let (origin, destination) = (anywhere(), anywhere());
        let gap = BandGap { origin, destination, from: 10, to: 11 };
        fault(vec![band(11, None), band(0, Some(10))], "rates[0].distance_from_metres", gap);
        let overlap = |other| BandOverlap { origin: anywhere(), destination: anywhere(), other };
        fault(vec![band(0, Some(10)), band(9, None)], "rates[1].distance_from_metres", overlap(0));
        fault(vec![band(0, None), band(9, None)], "rates[1].distance_from_metres", overlap(0));
        fault(vec![band(0, Some(10)), band(0, Some(10))], "rates[1].distance_from_metres", overlap(0));
        let start = BandStart { origin: anywhere(), destination: "31".into(), from: 5 };
        fault(vec![rate(), to("31", band(5, None))], "rates[1].distance_from_metres", start);
        // Lists that differ meet in the pairs they share.
        let lists =
            |codes: &[&str]| RateSpec { destinations: codes.iter().map(|code| (*code).into()).collect(), ..rate() };
        let overlap = BandOverlap { origin: anywhere(), destination: "32".into(), other: 0 };
        fault(vec![lists(&["31", "32"]), lists(&["32", "3101"])], "rates[1].distance_from_metres", overlap);
        // A last band may be closed, other pairs are their own, and a child may differ from its parent.
        let rates = vec![band(0, Some(10)), band(10, Some(20)), to("31", rate()), to("3101", band(0, Some(5)))];
        assert_eq!(check(&[document(vec![service(rates)])], &regions(), &places()).map(|found| found.len()), Ok(1));
    }

    #[test]
    fn places_without_coordinates_are_told_where_distance_counts() {
        let warnings = |spec: ServiceSpec| check(&[document(vec![spec])], &regions(), &places()).unwrap();
        let reason = TariffWarningReason::NoCoordinates { first: "B".into(), places: 1 };
        let far = || service(vec![band(0, Some(10))]);
        assert_eq!(warnings(far()), [TariffWarning { document: 0, path: "services[0].rates".into(), reason }]);
        assert_eq!(warnings(ServiceSpec { locations: vec!["A".into()], ..far() }), []);
        assert_eq!(warnings(service(vec![rate()])), []);
    }

    #[test]
    fn pairs_are_bounded() {
        let specs = (0..1100).map(|code| RegionSpec { code: code.to_string(), ..RegionSpec::default() });
        let specs: Vec<_> = specs.collect();
        let codes: Vec<_> = specs.iter().map(|spec| spec.code.clone()).collect();
        let wide = RateSpec { origins: codes.clone(), destinations: codes, ..rate() };
        let documents = [document(vec![service(vec![wide])])];
        let faults = check(&documents, &Regions::new(&specs).unwrap(), &[]).unwrap_err();
        assert_eq!(faults[0].reason, TariffReason::TooManyPairs);
    }
}
