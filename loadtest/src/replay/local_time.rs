//! Wall-clock times without a zone, `2010-12-01T08:26:00`, as seconds that can be ordered and subtracted.

use std::str::FromStr;

/// Seconds since 1970-01-01T00:00:00 of the same wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LocalTime(i64);

/// A text that is not a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotATime;

impl LocalTime {
    /// Seconds from `earlier` to this time; 0 when it is not earlier.
    pub(super) fn seconds_since(self, earlier: LocalTime) -> u64 {
        u64::try_from(self.0 - earlier.0).unwrap_or(0)
    }

    /// The midnight `days` days after the one before this time.
    pub(super) fn midnight_after(self, days: u32) -> LocalTime {
        LocalTime((self.0.div_euclid(86_400) + i64::from(days)) * 86_400)
    }
}

impl FromStr for LocalTime {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
        let numbers = |text: &str, separator: char| -> Result<[i64; 3], NotATime> {
            let mut parts = text.split(separator).map(|part| part.parse::<u16>().map(i64::from));
            let mut next = || parts.next().ok_or(NotATime)?.map_err(|_| NotATime);
            let found = [next()?, next()?, next()?];
            if parts.next().is_some() { Err(NotATime) } else { Ok(found) }
        };
        let [year, month, day] = numbers(date, '-')?;
        let [hour, minute, second] = numbers(time, ':')?;
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            _ => 31,
        };
        let valid = (1..=12).contains(&month) && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
        if !valid {
            return Err(NotATime);
        }
        Ok(LocalTime(days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second))
    }
}

/// Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant, `days_from_civil`).
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_of_the_wall_clock() {
        let table = [
            ("1970-01-01T00:00:00", Ok(LocalTime(0))),
            ("1970-01-02", Ok(LocalTime(86_400))),
            ("2010-12-01T08:26:00", Ok(LocalTime(1_291_191_960))),
            ("2012-02-29 23:59:59", Ok(LocalTime(1_330_559_999))),
            ("2011-02-29T00:00:00", Err(NotATime)),
            ("2011-13-01T00:00:00", Err(NotATime)),
            ("2011-01-01T24:00:00", Err(NotATime)),
            ("yesterday", Err(NotATime)),
        ];
        for (text, time) in table {
            assert_eq!(text.parse(), time, "{text}");
        }
    }

    #[test]
    fn midnights_bound_days() {
        let time: LocalTime = "2010-12-01T08:26:00".parse().unwrap();
        assert_eq!(time.midnight_after(1), "2010-12-02".parse().unwrap());
    }
}
