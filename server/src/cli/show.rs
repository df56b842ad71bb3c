//! Numbers, times and sizes as people read them.

use std::time::Duration;

use prost_types::Timestamp as WireTimestamp;
use quartermaster_engine::time::Timestamp;

/// With a comma at every thousand.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In the largest unit that keeps three digits.
pub(super) fn bytes(value: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(size, _)| value >= *size) {
        Some((size, unit)) => format!("{}.{} {unit}", value / size, value % size * 10 / size),
        None => format!("{value} B"),
    }
}

/// RFC 3339 in UTC, to the microsecond.
pub(super) fn time(at: Timestamp) -> String {
    let seconds = i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(at.0 % 1_000_000 * 1_000).unwrap_or(0);
    WireTimestamp { seconds, nanos }.to_string()
}

/// Reads RFC 3339.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    let wrong = |_| format!("{text:?} is no time; write it as 2026-11-11T00:00:00Z or 2026-11-11T08:00:00+08:00");
    let at: WireTimestamp = text.parse().map_err(wrong)?;
    let seconds = u64::try_from(at.seconds).map_err(|_| format!("{text:?} is before 1970"))?;
    let micros = u64::try_from(at.nanos).unwrap_or(0) / 1_000;
    Ok(Timestamp(seconds.saturating_mul(1_000_000).saturating_add(micros)))
}

/// Seconds with as many places as matter.
pub(super) fn duration(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        format!("{}.{} ms", span.as_millis(), span.subsec_micros() % 1_000 / 100)
    } else if span < Duration::from_secs(120) {
        format!("{}.{:02} s", span.as_secs(), span.subsec_millis() / 10)
    } else {
        let minutes = span.as_secs() / 60;
        format!("{} h {:02} min", minutes / 60, minutes % 60)
    }
}

/// How many a second.
pub(super) fn rate(count: u64, span: Duration) -> u64 {
    let micros = span.as_micros().max(1);
    u64::try_from(u128::from(count) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([900, 1_536, 64 << 20].map(bytes), ["900 B", "1.5 KiB", "64.0 MiB"]);
        let spans = [Duration::from_micros(1_500), Duration::from_millis(2_345), Duration::from_secs(7_260)];
        assert_eq!(spans.map(duration), ["1.5 ms", "2.34 s", "2 h 01 min"]);
        assert_eq!(rate(500, Duration::from_millis(250)), 2_000);
    }

    #[test]
    fn times_are_read_with_their_zone_and_shown_in_utc() {
        let at = parse_time("2026-11-11T08:00:00.25+08:00").unwrap();
        assert_eq!(time(at), "2026-11-11T00:00:00.250Z");
        assert_eq!(parse_time("2026-11-11T00:00:00.25Z"), Ok(at));
        assert!(parse_time("yesterday").unwrap_err().contains("2026-11-11T00:00:00Z"));
        assert!(parse_time("1969-12-31T00:00:00Z").is_err());
    }
}
