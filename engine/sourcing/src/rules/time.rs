//! Moments as documents write them: RFC 3339, with an offset.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// Reads RFC 3339.
    ///
    /// # Errors
    /// What is wrong, in words for its author.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(40).collect();
        let read: jiff::Timestamp =
            text.parse().map_err(|_| format!("\"{shown}\" is no time: write it as in 2026-11-11T00:00:00+08:00"))?;
        let micros = u64::try_from(read.as_microsecond());
        micros.map(Self).map_err(|_| format!("\"{shown}\" is before 1970"))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = i64::try_from(self.0).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
        match at {
            Some(at) => at.fmt(f),
            None => write!(f, "{} us after the epoch", self.0),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}
