//! Distances over the ground, in whole metres.
//!
//! Floats are harmless here. Rust compiles `+ - * /` on `f64` to the IEEE 754 operations without contraction, and every other function
//! is `libm`'s, which is built from those operations in a fixed order (its square root is exactly rounded): the same bits come out on
//! every 64-bit platform. The result is rounded to an integer before anything is decided by it, and an event carries the outcome of a
//! decision, never the distance: a replay does not compute it again.

use crate::fulfilment::Coordinates;

/// Mean radius of the Earth in metres (IUGG).
const RADIUS: f64 = 6_371_008.8;

/// Half the way round: no distance is longer, in metres.
pub const FARTHEST_METRES: u32 = 20_015_114;

impl Coordinates {
    /// Whether both are on the globe.
    #[must_use]
    pub fn in_range(self) -> bool {
        self.latitude_e7.unsigned_abs() <= 900_000_000 && self.longitude_e7.unsigned_abs() <= 1_800_000_000
    }
}

/// Great-circle distance on a sphere of 6,371.0088 km, to the nearest metre; at most [`FARTHEST_METRES`].
#[must_use]
pub fn distance_metres(from: Coordinates, to: Coordinates) -> u32 {
    Point::new(from).metres(Point::new(to))
}

/// A place on the globe as a unit vector, so that a distance costs no sine and no cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point([f64; 3]);

impl Point {
    /// Where the coordinates are; out of range they wrap round.
    #[must_use]
    pub fn new(coordinates: Coordinates) -> Self {
        let radians = |e7: i32| f64::from(e7) / 1e7 * (core::f64::consts::PI / 180.0);
        let (latitude, longitude) = (radians(coordinates.latitude_e7), radians(coordinates.longitude_e7));
        let ring = libm::cos(latitude);
        Self([ring * libm::cos(longitude), ring * libm::sin(longitude), libm::sin(latitude)])
    }

    /// Great-circle distance to the nearest metre.
    #[must_use]
    pub fn metres(self, other: Self) -> u32 {
        self.chord(other).metres()
    }

    /// The way through the globe: grows with the distance, and costs eight multiplications and additions.
    #[must_use]
    pub fn chord(self, other: Self) -> Chord {
        // From the differences: 1 - dot product would lose half the digits of a short way.
        let [x, y, z] = [0, 1, 2].map(|axis| self.0[axis] - other.0[axis]);
        Chord(x * x + y * y + z * z)
    }

    /// Height over the plane of the equator, -1 to 1: grows with the latitude.
    pub(crate) fn height(self) -> f64 {
        self.0[2]
    }
}

/// The square of the straight way between two points of the unit sphere, 0 to 4.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Chord(f64);

impl Chord {
    /// Longer than any.
    pub(crate) const INFINITE: Self = Self(f64::INFINITY);

    /// The way over the ground to the nearest metre.
    #[must_use]
    pub fn metres(self) -> u32 {
        let half = libm::sqrt(self.0) / 2.0;
        // Rounding may put the chord of antipodes a little over the diameter.
        let half = if half > 1.0 { 1.0 } else { half };
        whole(2.0 * RADIUS * libm::asin(half))
    }

    /// The chord of a way over the ground in metres; infinite when no way is that long.
    fn of_metres(metres: f64) -> Self {
        let angle = metres / RADIUS;
        if angle >= core::f64::consts::PI {
            return Self::INFINITE;
        }
        let half = libm::sin(angle / 2.0);
        Self(4.0 * half * half)
    }

    /// The shortest that two points whose heights differ so much can have. Never above their computed chord: a sum with terms that are
    /// not negative is not rounded below one of them.
    pub(crate) fn at_least(height_difference: f64) -> Self {
        Self(height_difference * height_difference)
    }
}

/// A largest distance, compared without an arcsine: exactly as if the whole metres were compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    metres: u32,
    /// Every chord below is within.
    surely_within: Chord,
    /// Every chord above is beyond.
    surely_beyond: Chord,
}

impl Reach {
    /// Distances up to so many metres, itself included.
    #[must_use]
    pub fn up_to(metres: u32) -> Self {
        // A metre and more round the limit is left to the exact comparison; rounding errors are a million times smaller.
        let limit = f64::from(metres);
        let surely_within = Chord::of_metres(if limit < 1.0 { 0.0 } else { limit - 1.0 });
        Self { metres, surely_within, surely_beyond: Chord::of_metres(limit + 2.0) }
    }

    /// Whether `chord.metres()` is at most the limit.
    #[must_use]
    pub fn holds(self, chord: Chord) -> bool {
        chord < self.surely_within || (chord <= self.surely_beyond && chord.metres() <= self.metres)
    }
}

/// The nearest whole number, ties to even, of 0 to 2^32 - 1.
fn whole(value: f64) -> u32 {
    // From 2^52 on, neighbouring floats are 1 apart, so the addition rounds and the low bits are the number: no cast, one IEEE operation.
    let two_52 = 4_503_599_627_370_496.0;
    u32::try_from((value + two_52).to_bits() & ((1 << 52) - 1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(latitude: i32, longitude: i32) -> Coordinates {
        Coordinates { latitude_e7: latitude * 1000, longitude_e7: longitude * 1000 }
    }

    #[test]
    fn known_distances() {
        let (beijing, shanghai, guangzhou) = (at(399_042, 1_164_074), at(312_304, 1_214_737), at(231_291, 1_132_644));
        let (london, new_york) = (at(515_074, -1278), at(407_128, -740_060));
        assert_eq!(distance_metres(beijing, shanghai), 1_067_312);
        assert_eq!(distance_metres(beijing, guangzhou), 1_888_592);
        assert_eq!(distance_metres(london, new_york), 5_570_230);
        assert_eq!(distance_metres(beijing, beijing), 0);
        assert_eq!(distance_metres(at(900_000, 0), at(-900_000, 0)), FARTHEST_METRES);
        assert_eq!(distance_metres(at(0, 1_800_000), at(0, -1_800_000)), 0);
        // A ten-millionth of a degree is a centimetre; a minute of arc is a nautical mile less a metre.
        assert_eq!(distance_metres(at(0, 0), Coordinates { latitude_e7: 100, longitude_e7: 0 }), 1);
        assert_eq!(distance_metres(at(0, 0), Coordinates { latitude_e7: 166_667, longitude_e7: 0 }), 1853);
    }

    #[test]
    fn whole_numbers_are_the_nearest() {
        assert_eq!([0.0, 0.49, 0.5, 0.51, 1.5, 2.5, 20_015_113.6].map(whole), [0, 0, 0, 1, 2, 2, 20_015_114]);
    }

    #[test]
    fn what_is_off_the_globe_is_seen() {
        assert!(at(900_000, -1_800_000).in_range());
        assert!(!Coordinates { latitude_e7: 900_000_001, longitude_e7: 0 }.in_range());
        assert!(!Coordinates { latitude_e7: 0, longitude_e7: i32::MIN }.in_range());
    }

    proptest! {
        #[test]
        fn a_reach_agrees_with_the_metres(
            from in (-900_000_000..=900_000_000_i32, -1_800_000_000..=1_800_000_000_i32),
            step in (-2_000_000..=2_000_000_i32, -2_000_000..=2_000_000_i32),
            off in -3..=3_i64,
            antipode: bool,
        ) {
            let from = Coordinates { latitude_e7: from.0, longitude_e7: from.1 };
            let to = Coordinates {
                latitude_e7: if antipode { -from.latitude_e7 } else { from.latitude_e7 } + step.0,
                longitude_e7: if antipode { from.longitude_e7.saturating_sub(1_800_000_000) } else { from.longitude_e7 }.saturating_add(step.1),
            };
            let chord = Point::new(from).chord(Point::new(to));
            let limit = u32::try_from((i64::from(chord.metres()) + off).max(0)).unwrap();
            prop_assert!(chord.metres() <= FARTHEST_METRES);
            prop_assert_eq!(Reach::up_to(limit).holds(chord), chord.metres() <= limit);
        }
    }
}
