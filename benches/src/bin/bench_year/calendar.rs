//! Wall-clock times of the files, `2010-12-01T08:26:00`, as time stamps: the files name no zone, so UTC stands for it.

use quartermaster_benches::files::Fault;
use quartermaster_engine::time::{Micros, Timestamp};

/// One minute.
pub(crate) const MINUTE: Micros = Micros::from_secs(60);
/// One hour.
pub(crate) const HOUR: Micros = Micros::from_secs(3_600);
/// One day.
pub(crate) const DAY: Micros = Micros::from_secs(86_400);

/// So many of a span.
pub(crate) fn times(span: Micros, count: u64) -> Micros {
    Micros(span.0.saturating_mul(count))
}

/// The whole days from the epoch to a time.
pub(crate) fn day_of(at: Timestamp) -> u64 {
    at.0 / DAY.0
}

/// Reads a time.
pub(crate) fn stamp(text: &str) -> Result<Timestamp, Fault> {
    let bad = || format!("{text} is no date and time");
    let (date, time) = text.split_once('T').ok_or_else(bad)?;
    let numbers = |text: &str, separator: char| -> Result<[i64; 3], Fault> {
        let found: Result<Vec<i64>, _> = text.split(separator).map(|part| part.parse::<u16>().map(i64::from)).collect();
        found.map_err(|_| bad())?.try_into().map_err(|_| bad().into())
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(time, ':')?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return Err(bad().into());
    }
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let seconds = u64::try_from(seconds).map_err(|_| bad())?;
    Ok(Timestamp(Micros::from_secs(seconds).0))
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

/// A day since the epoch as a date.
pub(crate) fn date(at: Timestamp) -> String {
    // Howard Hinnant, `civil_from_days`.
    let shifted = day_of(at) + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_its_date_written() {
        let at = stamp("2010-12-01T08:26:00").unwrap();
        assert_eq!(at, Timestamp(1_291_191_960_000_000));
        assert_eq!(date(at), "2010-12-01");
        assert_eq!(date(stamp("2012-02-29T23:59:59").unwrap()), "2012-02-29");
        for bad in
            ["2010-12-01", "2010-13-01T00:00:00", "2010-12-01T24:00:00", "2010-12T00:00:00", "1969-01-01T00:00:00"]
        {
            assert!(stamp(bad).is_err(), "{bad}");
        }
    }
}
