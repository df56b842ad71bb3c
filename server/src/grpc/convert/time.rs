//! Points in time between protobuf's seconds and nanoseconds and the engine's microseconds.

use prost_types::Timestamp as Wire;
use quartermaster_engine::time::Timestamp;
use quartermaster_sourcing::fulfilment::Moment;

use super::checks::Checks;

/// A point in time as it is told. Every microsecond count fits.
pub(crate) fn to_wire(time: Timestamp) -> Wire {
    let (seconds, micros) = (time.0 / 1_000_000, time.0 % 1_000_000);
    Wire {
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        nanos: i32::try_from(micros * 1_000).unwrap_or_default(),
    }
}

/// A moment of a plan as it is told.
pub(crate) fn moment(moment: Moment) -> Wire {
    Wire { seconds: moment.0, nanos: 0 }
}

/// The first microsecond that is not before `time`; the epoch for what lies before it, the end of time for what lies past that.
pub(crate) fn not_before(checks: &mut Checks, field: &str, time: &Wire) -> Timestamp {
    let Some(nanos) = u64::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000) else {
        checks.refuse(field, format_args!("has {} nanos; 0 to 999,999,999 are allowed", time.nanos));
        return Timestamp(0);
    };
    let Ok(seconds) = u64::try_from(time.seconds) else { return Timestamp(0) };
    let micros = seconds.checked_mul(1_000_000).and_then(|micros| micros.checked_add(nanos.div_ceil(1_000)));
    micros.map_or(Timestamp::MAX, Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_and_odd_ones_are_clamped() {
        for micros in [0, 1, 999_999, 1_000_000, 1_790_000_000_123_456, u64::MAX] {
            let wire = to_wire(Timestamp(micros));
            assert_eq!(not_before(&mut Checks::default(), "", &wire), Timestamp(micros));
        }
        let not_before = |seconds, nanos| not_before(&mut Checks::default(), "", &Wire { seconds, nanos });
        assert_eq!(not_before(1, 1), Timestamp(1_000_001));
        assert_eq!(not_before(-5, 0), Timestamp(0));
        assert_eq!(not_before(i64::MAX, 0), Timestamp::MAX);
    }

    #[test]
    fn malformed_nanos_are_refused() {
        for nanos in [-1, 1_000_000_000] {
            let mut checks = Checks::default();
            not_before(&mut checks, "expire_before", &Wire { seconds: 0, nanos });
            let error = checks.finish(()).unwrap_err().to_string();
            assert_eq!(error, format!("expire_before: has {nanos} nanos; 0 to 999,999,999 are allowed"));
        }
    }
}
