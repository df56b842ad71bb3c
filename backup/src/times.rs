//! Times as people read them, and when a record was decided.

use quartermaster_engine::codec;

/// `micros` since the Unix epoch as RFC 3339 in UTC with microseconds.
pub(crate) fn utc(micros: u64) -> String {
    let (year, month, day, seconds) = parts(micros);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", micros % 1_000_000)
}

/// The same to the second and without punctuation, for names.
pub(crate) fn compact(micros: u64) -> String {
    let (year, month, day, seconds) = parts(micros);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// When a record was decided, in microseconds since the Unix epoch.
pub(crate) fn of_record(record: &[u8]) -> u64 {
    codec::peek(record).time.0
}

/// Year, month, day and second of the day. After Howard Hinnant's `civil_from_days`, for days after the epoch only.
fn parts(micros: u64) -> (u64, u64, u64, u64) {
    let seconds = micros / 1_000_000;
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day, seconds % 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000000Z"),
            (1_796_083_199, "2026-11-30T23:59:59.000000Z"),
            (4_102_444_800, "2100-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(utc(seconds * 1_000_000), text);
        }
        assert_eq!(compact(1_709_164_801_000_000), "20240229T000001Z");
        assert_eq!(utc(1_000_007), "1970-01-01T00:00:01.000007Z");
    }
}
