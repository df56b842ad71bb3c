//! A part of a whole, exact to a millionth: a float could not be compared.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 0 to 1, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ratio(u32);

const WHOLE: u32 = 1_000_000;

impl Ratio {
    /// So many millionths, at most all.
    #[must_use]
    pub const fn from_millionths(millionths: u32) -> Ratio {
        Ratio(if millionths > WHOLE { WHOLE } else { millionths })
    }

    /// In millionths.
    #[must_use]
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// "0.01", "1", ".5"; at most six digits behind the point.
    fn parse(text: &str) -> Option<Ratio> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + part.len() == 0 || whole.len() > 1 || part.len() > 6 || !digits(whole) || !digits(part) {
            return None;
        }
        let part: u32 = format!("{part:0<6}").parse().ok()?;
        let millionths = whole.parse::<u32>().unwrap_or(0).checked_mul(WHOLE)?.checked_add(part)?;
        (millionths <= WHOLE).then_some(Ratio(millionths))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / WHOLE, self.0 % WHOLE);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ratio, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl Visitor<'_> for Written {
    type Value = Ratio;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a ratio from 0 to 1 with at most six digits behind the point, as 0.01")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Ratio, E> {
        Ratio::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Ratio, E> {
        Ratio::parse(&number.to_string()).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Ratio, E> {
        Ratio::parse(&number.to_string()).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Ratio, E> {
        Ratio::parse(&number.to_string()).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write_and_nothing_else() {
        for (text, millionths) in
            [("0", 0), ("1", WHOLE), ("1.0", WHOLE), ("0.01", 10_000), (".5", 500_000), ("0.000001", 1)]
        {
            assert_eq!(Ratio::parse(text), Some(Ratio(millionths)), "{text}");
        }
        for wrong in ["", ".", "1.1", "2", "-0.1", "1e-2", "0.0000001", "1%", "0,01", "00.1"] {
            assert_eq!(Ratio::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Ratio(10_000).to_string(), "0.01");
        assert_eq!(Ratio(WHOLE).to_string(), "1");
    }
}
