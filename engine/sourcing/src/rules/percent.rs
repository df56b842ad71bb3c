//! Percentages as documents write them: whole numbers, or text where a fraction is meant.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A percentage in thousandths of a percent. What was read may pass 100 %; [`check`](super::check) refuses that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub u32);

impl Percent {
    /// Everything.
    pub const WHOLE: Self = Self(100_000);

    /// Its part of some units, a started unit left out.
    #[must_use]
    pub fn of(self, units: u64) -> u64 {
        // Below 2^64: a product of 64 and 32 bits is divided by more than it can pass by for shares up to 100 %.
        u64::try_from(u128::from(units) * u128::from(self.0) / u128::from(Self::WHOLE.0)).unwrap_or(u64::MAX)
    }

    /// Its part of some units, a started unit counted.
    #[must_use]
    pub fn of_started(self, units: u64) -> u64 {
        let part = (u128::from(units) * u128::from(self.0)).div_ceil(u128::from(Self::WHOLE.0));
        u64::try_from(part).unwrap_or(u64::MAX)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{}\" is no percentage: write 80 or \"12.5\", at most three decimals", clip(text));
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 3 {
            return Err(wrong());
        }
        let whole: u32 = whole.parse().map_err(|_| wrong())?;
        let milli: u32 = format!("{part:0<3}").parse().map_err(|_| wrong())?;
        whole.checked_mul(1000).and_then(|whole| whole.checked_add(milli)).map(Self).ok_or_else(wrong)
    }
}

fn clip(text: &str) -> String {
    text.chars().take(32).collect()
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1000, self.0 % 1000);
        if part == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{part:03}").trim_end_matches('0'))
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1000) { to.serialize_u32(self.0 / 1000) } else { to.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Percent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a percentage: a whole number, or text where it has a fraction, as in \"12.5\"")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Percent, E> {
        let milli = u32::try_from(value).ok().and_then(|value| value.checked_mul(1000));
        milli.map(Percent).ok_or_else(|| E::custom(format!("{value} is no percentage")))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Percent, E> {
        let value = u64::try_from(value).map_err(|_| E::custom(format!("{value} is no percentage: it is negative")))?;
        self.visit_u64(value)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Percent, E> {
        Percent::parse(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_read_and_written() {
        for (json, milli, canonical) in [
            ("80", 80_000, "80"),
            ("\"12.5\"", 12_500, "\"12.5\""),
            ("\"7.005\"", 7_005, "\"7.005\""),
            ("\"80\"", 80_000, "80"),
        ] {
            let percent: Percent = serde_json::from_str(json).unwrap();
            assert_eq!((percent.0, serde_json::to_string(&percent).unwrap().as_str()), (milli, canonical));
        }
        for json in ["12.5", "-1", "\"12.5000\"", "\"\"", "\".5\"", "\"5.\"", "\"+5\"", "99999999999", "true"] {
            assert!(serde_json::from_str::<Percent>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn parts_round_as_they_say() {
        assert_eq!((Percent(80_000).of(9), Percent(80_000).of_started(9)), (7, 8));
        assert_eq!((Percent(33_333).of(3), Percent(33_333).of_started(3)), (0, 1));
        assert_eq!((Percent::WHOLE.of(u64::MAX), Percent(0).of_started(7)), (u64::MAX, 0));
    }
}
