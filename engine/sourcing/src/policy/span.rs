//! Lengths of time as documents write them: one number and one unit, "30m", "4h" or "2d".

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time in whole seconds, at most [`Span::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u32);

/// Units with their seconds, the longest first.
const UNITS: [(&str, u32); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

impl Span {
    /// Four hundred days: no policy remembers longer.
    pub const MAX: Self = Self(400 * 86_400);

    /// Its length in seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// Reads a number directly followed by its unit: s, m, h or d.
    ///
    /// # Errors
    /// What is wrong with the text, in words for its author.
    pub fn parse(text: &str) -> Result<Self, String> {
        let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let Some((_, seconds)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("\"{}\" is no duration: write a whole number and s, m, h or d, as in 4h", clip(text)));
        };
        let Ok(number) = number.parse::<u32>() else {
            return Err(format!("\"{}\" is no duration: a whole number must come before the unit", clip(text)));
        };
        match number.checked_mul(*seconds).map(Self) {
            Some(span) if span <= Self::MAX => Ok(span),
            Some(_) | None => Err(format!("{number}{unit} is longer than the longest duration, {}", Self::MAX)),
        }
    }
}

fn clip(text: &str) -> String {
    text.chars().take(32).collect()
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, seconds)| self.0 != 0 && self.0.is_multiple_of(*seconds));
        let (unit, seconds) = whole.unwrap_or(&("s", 1));
        write!(f, "{}{unit}", self.0 / seconds)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_and_written() {
        let cases = [
            ("30m", 1800, "30m"),
            ("4h", 14_400, "4h"),
            ("2d", 172_800, "2d"),
            ("90s", 90, "90s"),
            ("48h", 172_800, "2d"),
        ];
        for (text, seconds, canonical) in cases {
            let span = Span::parse(text).unwrap();
            assert_eq!((span.seconds(), span.to_string().as_str()), (seconds, canonical));
        }
        assert_eq!(Span::parse("0h").unwrap().to_string(), "0s");
    }

    #[test]
    fn what_is_no_span_is_refused_in_words() {
        for text in ["", "4", "h", "4 h", "-4h", "4w", "1h30m", "401d", "99999999999d", "４h"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
        assert_eq!(Span::parse("500d").unwrap_err(), "500d is longer than the longest duration, 400d");
    }
}
