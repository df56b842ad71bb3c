//! The locations, and what each costs to send a parcel from to one receiver.

use std::f64::consts::PI;

use quartermaster_routing::{LocationId, Money};
use serde::Deserialize;

/// Mean radius of the earth.
const EARTH_KM: f64 = 6371.0088;

/// A place on the globe, in degrees.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Point {
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
}

impl Point {
    /// Great-circle distance by the haversine formula, which keeps its digits for near points.
    fn kilometres(self, other: Self) -> f64 {
        let radians = |degrees: f64| degrees * PI / 180.0;
        let (from, to) = (radians(self.latitude), radians(other.latitude));
        let across = (radians(other.longitude - self.longitude) / 2.0).sin().powi(2);
        let half = ((to - from) / 2.0).sin().powi(2) + from.cos() * to.cos() * across;
        2.0 * EARTH_KM * half.sqrt().asin()
    }
}

/// What a location is; the earlier a kind stands here, the sooner the priority walk asks it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Dc,
    Hub,
    Rdc,
    Node,
    Store,
}

/// A location as its file has it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) code: String,
    pub(crate) kind: Kind,
    pub(crate) country: String,
    pub(crate) point: Point,
    /// Paid for each parcel, before distance.
    pub(crate) ship_fixed_cost: Money,
    pub(crate) pick_unit_cost: Money,
}

/// A location as one receiver sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) id: LocationId,
    pub(crate) kind: Kind,
    pub(crate) metres: i64,
    pub(crate) parcel_cost: Money,
    pub(crate) pick_unit_cost: Money,
}

/// All locations; a location's id is its position in the file.
#[derive(Debug)]
pub(crate) struct Network {
    places: Vec<Place>,
}

impl Network {
    pub(crate) fn new(places: Vec<Place>) -> Self {
        Self { places }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = (LocationId, &Place)> {
        (0..).map(LocationId).zip(&self.places)
    }

    pub(crate) fn code(&self, location: LocationId) -> &str {
        self.places().find(|(id, _)| *id == location).map_or("", |(_, place)| place.code.as_str())
    }

    /// The first location by kind, then id: where stock counts apply and returns arrive. `None` when there is none at all.
    pub(crate) fn first(&self) -> Option<LocationId> {
        self.places().min_by_key(|(id, place)| (place.kind, *id)).map(|(id, _)| id)
    }

    /// Stands in for a receiver without coordinates: the first location of the country, or of all when it has none.
    pub(crate) fn stand_in(&self, country: &str) -> Option<Point> {
        let first = self.places().min_by_key(|(id, place)| (place.country != country, place.kind, *id));
        first.map(|(_, place)| place.point)
    }

    /// Every location as seen from `to`, by ascending id. A parcel costs `ship_fixed_cost` and one minor unit for each two
    /// kilometres begun.
    pub(crate) fn sites(&self, to: Point) -> Vec<Site> {
        let site = |(id, place): (LocationId, &Place)| {
            let kilometres = place.point.kilometres(to);
            Site {
                id,
                kind: place.kind,
                metres: rounded_up(kilometres * 1000.0),
                parcel_cost: Money(place.ship_fixed_cost.0 + rounded_up(kilometres / 2.0)),
                pick_unit_cost: place.pick_unit_cost,
            }
        };
        self.places().map(site).collect()
    }
}

/// Distances are at most half the earth's girth: far inside both types.
#[expect(clippy::cast_possible_truncation, reason = "a distance on earth in metres has eight digits")]
fn rounded_up(distance: f64) -> i64 {
    distance.ceil() as i64
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn point(latitude: f64, longitude: f64) -> Point {
        Point { latitude, longitude }
    }

    pub(crate) fn place(code: &str, kind: Kind, country: &str, at: (f64, f64)) -> Place {
        let (code, country) = (code.to_owned(), country.to_owned());
        Place { code, kind, country, point: point(at.0, at.1), ship_fixed_cost: Money(310), pick_unit_cost: Money(6) }
    }

    #[test]
    fn a_degree_of_latitude_is_its_share_of_the_girth() {
        let degree = point(10.0, 7.0).kilometres(point(11.0, 7.0));
        assert!((degree - EARTH_KM * PI / 180.0).abs() < 1e-9, "{degree}");
        let half_round = point(0.0, 0.0).kilometres(point(0.0, 180.0));
        assert!((half_round - EARTH_KM * PI).abs() < 1e-9, "{half_round}");
        assert!(point(51.5, 0.0).kilometres(point(51.5, 0.0)).abs() < 1e-9);
    }

    /// London to Bexley is 20.1 km: eleven times two kilometres begun, as the published split instance `s-550292` has it.
    #[test]
    fn a_parcel_costs_its_fixed_part_and_each_two_kilometres_begun() {
        let network = Network::new(vec![place("DC-01", Kind::Dc, "GB", (51.4975, -0.1357))]);
        let site = network.sites(point(51.4491, 0.1439))[0];
        assert_eq!(site.parcel_cost, Money(321));
        assert!((20_000..21_000).contains(&site.metres), "{}", site.metres);
    }

    #[test]
    fn the_first_location_of_a_country_stands_in_for_its_receivers() {
        let network = Network::new(vec![
            place("S", Kind::Store, "NL", (1.0, 1.0)),
            place("R", Kind::Rdc, "NL", (2.0, 2.0)),
            place("D", Kind::Dc, "GB", (3.0, 3.0)),
        ]);
        assert_eq!(network.first(), Some(LocationId(2)));
        assert_eq!(network.stand_in("NL"), Some(point(2.0, 2.0)));
        assert_eq!(network.stand_in(""), Some(point(3.0, 3.0)));
    }
}
