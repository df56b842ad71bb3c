//! The time a call has: the caller's `grpc-timeout`, else the server's default for unary calls.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tokio::time::Instant;
use tonic::Status;

use crate::refusal;

/// The header of a gRPC call that carries its caller's patience.
pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Until when the caller waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When it is over.
    pub at: Instant,
    /// How long it was from the arrival.
    pub time: Duration,
}

impl Deadline {
    /// The deadline of a call that arrived at `arrived`: what it has waited for a thread since is part of its time.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when the header is not a gRPC timeout.
    pub fn of(headers: &HeaderMap, default: Option<Duration>, arrived: Instant) -> Result<Option<Deadline>, Status> {
        let asked = headers.get(&GRPC_TIMEOUT).map(|value| parse(value.as_bytes()));
        let time = match asked {
            Some(None) => {
                let problem = "must be 1 to 8 digits and one of H, M, S, m, u, n, for example 250m";
                return Err(refusal::invalid_field(GRPC_TIMEOUT.as_str(), problem));
            }
            Some(time) => time,
            None => default,
        };
        // A deadline beyond what the clock can tell is none.
        Ok(time.and_then(|time| Some(Deadline { at: arrived.checked_add(time)?, time })))
    }
}

/// "250m" and the like, as the gRPC protocol over HTTP/2 defines `TimeoutValue TimeoutUnit`.
fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3_600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tonic::Code;

    use super::*;

    #[test]
    fn reads_every_unit_and_refuses_the_rest() {
        assert_eq!(parse(b"250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        assert_eq!(parse(b"7n"), Some(Duration::from_nanos(7)));
        for wrong in ["", "m", "12", "123456789S", "-1S", "1.5S", "1x"] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_callers_deadline_wins_over_the_default() {
        let mut headers = HeaderMap::new();
        let default = Some(Duration::from_secs(1));
        let now = Instant::now();
        assert_eq!(Deadline::of(&headers, default, now).unwrap().unwrap().time, Duration::from_secs(1));
        assert_eq!(Deadline::of(&headers, None, now).unwrap(), None);
        headers.insert(GRPC_TIMEOUT, HeaderValue::from_static("5S"));
        let asked = Deadline::of(&headers, default, now).unwrap().unwrap();
        assert_eq!((asked.time, asked.at), (Duration::from_secs(5), now + Duration::from_secs(5)));
        headers.insert(GRPC_TIMEOUT, HeaderValue::from_static("soon"));
        assert_eq!(Deadline::of(&headers, default, now).unwrap_err().code(), Code::InvalidArgument);
    }
}
