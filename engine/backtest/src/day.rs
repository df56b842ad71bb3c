//! Days of Universal Time.

use std::fmt;

use quartermaster_engine::time::Timestamp;
use quartermaster_sourcing::fulfilment::Moment;

/// Days since 1970-01-01, UTC. Shown as 2026-11-11.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

const SECONDS: u64 = 86_400;

impl Day {
    /// The day of a time of the engine.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(u32::try_from(at.0 / 1_000_000 / SECONDS).unwrap_or(u32::MAX))
    }

    /// The day of a moment of a plan; the first one for what is before it.
    #[must_use]
    pub fn of_moment(at: Moment) -> Self {
        let seconds = u64::try_from(at.0).unwrap_or(0);
        Self(u32::try_from(seconds / SECONDS).unwrap_or(u32::MAX))
    }

    /// Year, month and day. Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`: years begin in March, so
    /// that the leap day comes last.
    #[must_use]
    pub fn civil(self) -> (u32, u32, u32) {
        let days = u64::from(self.0) + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        (small(year), small(month), small(day))
    }

    /// As in 2026-11.
    #[must_use]
    pub fn month(self) -> String {
        let (year, month, _) = self.civil();
        format!("{year:04}-{month:02}")
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(formatter, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        let dates = [(0, "1970-01-01"), (11_016, "2000-02-29"), (11_017, "2000-03-01"), (20_768, "2026-11-11")];
        for (day, date) in dates {
            assert_eq!(Day(day).to_string(), date);
        }
        assert_eq!(Day::of(Timestamp(1_794_355_200_000_000)), Day(20_768));
        assert_eq!(Day::of_moment(Moment(1_794_355_199)), Day(20_767));
        assert_eq!(Day::of_moment(Moment(-1)), Day(0));
        assert_eq!(Day(20_768).month(), "2026-11");
    }
}
