//! The id of a call in logs and answers: the caller's `x-request-id`, else the trace it belongs to, else one that the server makes.
//!
//! It has nothing to do with the `request_id` of a message, which makes a change happen once; this one only finds a call again.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use compact_str::CompactString;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header, of requests and answers.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Longest id that is taken from a caller, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 64;

/// An id of 1 to 64 characters that are safe in any log and header. Those that the server makes stand in place, without an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(CompactString);

/// The place of a call in the trace of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace; not zero.
    pub trace_id: [u8; 16],
    /// The caller's span; not zero.
    pub span_id: [u8; 8],
    /// Whether the caller records it.
    pub sampled: bool,
}

/// Makes ids that no other start of the server makes: its start in microseconds, then a count.
#[derive(Debug)]
pub struct Ids {
    start: u64,
    next: AtomicU64,
}

impl Default for Ids {
    fn default() -> Ids {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ids { start: u64::try_from(start.as_micros()).unwrap_or(u64::MAX), next: AtomicU64::new(1) }
    }
}

impl Ids {
    /// The id of a call with `headers`, which belongs to `parent`. What the caller sent and cannot be used is passed over: an id is a
    /// help, and no reason to refuse a call.
    pub fn of(&self, headers: &HeaderMap, parent: Option<&TraceParent>) -> RequestId {
        match (headers.get(&X_REQUEST_ID).and_then(|value| safe(value.as_bytes())), parent) {
            (Some(text), _) => RequestId::made(text),
            (None, Some(parent)) => RequestId::made(&hex(&parent.trace_id)),
            (None, None) => {
                // Relaxed: it counts, and orders nothing.
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let mut text = [0; IDS_BYTES_MAX];
                let mut length = put_hex(&mut text, 0, self.start);
                text[length] = b'-';
                length = put_hex(&mut text, length + 1, number);
                RequestId::made(str::from_utf8(&text[..length]).unwrap_or("-"))
            }
        }
    }
}

impl RequestId {
    /// One of safe characters.
    pub(crate) fn made(text: &str) -> RequestId {
        RequestId(text.into())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a header of one answer. No other has it, so that HTTP/2's tables of headers, on both sides, are better off without it: that is
    /// what marking it sensitive says.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&self.0).unwrap_or_else(|_| HeaderValue::from_static("-"));
        value.set_sensitive(true);
        value
    }
}

impl TraceParent {
    /// From `traceparent`, when it is there and well formed; of later versions of the header what this one knows.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<TraceParent> {
        let value = headers.get(&TRACEPARENT)?.to_str().ok()?;
        let mut parts = value.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = unhex::<1>(version)?;
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace_id, span_id, [flags]) = (unhex::<16>(trace)?, unhex::<8>(span)?, unhex::<1>(flags)?);
        let is_valid = trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then_some(TraceParent { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

/// Bytes of an id of two numbers and what parts them, at most.
const IDS_BYTES_MAX: usize = 16 + 1 + 16;

/// Writes a number in hexadecimal from `place` on, without zeros before it. Gives the place behind it.
fn put_hex(text: &mut [u8; IDS_BYTES_MAX], place: usize, number: u64) -> usize {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = usize::try_from((u64::BITS - number.leading_zeros()).div_ceil(4)).unwrap_or(16).max(1);
    for at in 0..digits {
        let digit = number >> (4 * (digits - 1 - at)) & 15;
        text[place + at] = DIGITS[usize::from(digit.to_le_bytes()[0])];
    }
    place + digits
}

/// A caller's id, if it can be used.
fn safe(id: &[u8]) -> Option<&str> {
    let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@#".contains(byte);
    let fits = (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(is_safe);
    str::from_utf8(id).ok().filter(|_| fits)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// Exactly `N` bytes of lower-case hexadecimal, as the header demands.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn the_callers_id_is_taken_when_it_is_safe() {
        let ids = Ids::default();
        let of = |value: &str| ids.of(&headers("x-request-id", value), None);
        assert_eq!(of("gw-7/2026:11@a").as_str(), "gw-7/2026:11@a");
        for unsafe_one in ["a b", "\"quoted\"", "a\tb", &"x".repeat(65), ""] {
            let made = of(unsafe_one);
            assert!(made.as_str().contains('-') && made.as_str() != unsafe_one, "{unsafe_one:?} gave {made:?}");
        }
        assert_eq!(of(&"x".repeat(64)).as_str().len(), 64);
    }

    #[test]
    fn without_one_it_is_the_trace_or_a_new_one_each_time() {
        let ids = Ids::default();
        let parent = TraceParent::of(&headers("traceparent", PARENT)).unwrap();
        assert_eq!(ids.of(&HeaderMap::new(), Some(&parent)).as_str(), "0af7651916cd43dd8448eb211c80319c");
        assert_ne!(ids.of(&HeaderMap::new(), None), ids.of(&HeaderMap::new(), None));
    }

    #[test]
    fn ids_are_two_numbers_in_hexadecimal() {
        for (start, next) in [(0, 0), (1, 15), (0x0640_1000_c0ff_ee00, 16), (u64::MAX, u64::MAX)] {
            let ids = Ids { start, next: AtomicU64::new(next) };
            assert_eq!(ids.of(&HeaderMap::new(), None).as_str(), format!("{start:x}-{next:x}"));
        }
    }

    #[test]
    fn reads_traceparent_as_the_standard_has_it() {
        let of = |value: &str| TraceParent::of(&headers("traceparent", value));
        let parent = of(PARENT).unwrap();
        assert_eq!((hex(&parent.span_id).as_str(), parent.sampled), ("b7ad6b7169203331", true));
        assert!(!of(&PARENT.replace("-01", "-00")).unwrap().sampled);
        assert!(of(&PARENT.replace("00-0a", "01-0a").replace("31-01", "31-01-more")).is_some(), "a later version");
        for wrong in [
            "",
            "00",
            &PARENT.replace("00-0a", "ff-0a"),
            &format!("{PARENT}-more"),
            &PARENT.to_uppercase(),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }
}
