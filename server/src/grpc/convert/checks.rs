//! The checks of single fields: each names the field, what is wrong with it and what would be right.
//!
//! A check hands back a value in any case, a harmless one where the field is wrong, so that all wrong fields of a message are found
//! in one go. `finish` lets the result out only if there were none.

use std::fmt::Display;

use prost_types::Duration;
use quartermaster_engine::{command::Request, id::ReservationId, quantity::Quantity, time::Micros};

use crate::grpc::{
    limits::{self, Limit},
    status::{ApiError, FieldViolation},
};

/// Checks fields and collects what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    violations: Vec<FieldViolation>,
}

impl Checks {
    /// Notes a wrong field. Past the limit nothing is noted: the caller has enough to look at.
    pub(crate) fn refuse(&mut self, field: impl Display, problem: impl Display) {
        if self.violations.len() < limits::VIOLATIONS_MAX.size() {
            self.violations.push(FieldViolation { field: field.to_string(), problem: problem.to_string() });
        }
    }

    /// Whether nothing was wrong so far.
    pub(crate) fn passed(&self) -> bool {
        self.violations.is_empty()
    }

    /// Notes what other checks found, up to the limit.
    pub(crate) fn take(&mut self, other: Self) {
        let room = limits::VIOLATIONS_MAX.size().saturating_sub(self.violations.len());
        self.violations.extend(other.violations.into_iter().take(room));
    }

    /// The value, if nothing was wrong.
    ///
    /// # Errors
    /// `ApiError::Invalid` with all that was.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, ApiError> {
        if self.passed() { Ok(value) } else { Err(ApiError::Invalid(self.violations)) }
    }

    /// The idempotency key of a change.
    pub(crate) fn request(&mut self, id: String) -> Request {
        let id = self.required("request_id", id, &limits::REQUEST_ID_BYTES_MAX);
        Request { id: id.into(), actor: String::new() }
    }

    /// A text that must be there.
    pub(crate) fn required(&mut self, field: impl Display, text: String, bytes_max: &Limit) -> String {
        if text.is_empty() {
            self.refuse(field, format_args!("is missing; 1 to {} bytes are needed", grouped(bytes_max.get())));
            return text;
        }
        self.text(field, text, bytes_max)
    }

    /// A text that may be empty.
    pub(crate) fn text(&mut self, field: impl Display, text: String, bytes_max: &Limit) -> String {
        if text.len() > bytes_max.size() {
            let most = grouped(bytes_max.get());
            self.refuse(field, format_args!("has {} bytes; at most {most} are allowed", text.len()));
        }
        text
    }

    /// The code of a SKU, location or channel.
    pub(crate) fn code(&mut self, field: impl Display, code: String) -> String {
        if code.is_empty() {
            self.refuse(field, "is missing; a code of 1 to 64 bytes is needed");
            return code;
        }
        self.optional_code(field, code)
    }

    /// A code, or nothing.
    pub(crate) fn optional_code(&mut self, field: impl Display, code: String) -> String {
        if let Some(place) = code.chars().position(char::is_control) {
            self.refuse(field, format_args!("has a control character at position {place}; codes have none"));
            return code;
        }
        self.text(field, code, &limits::CODE_BYTES_MAX)
    }

    /// Units, at least 1.
    pub(crate) fn quantity(&mut self, field: impl Display, units: i64) -> Quantity {
        match u32::try_from(units) {
            Ok(units) if units > 0 => Quantity(units),
            Ok(_) | Err(_) => {
                self.refuse(
                    field,
                    format_args!("is {units}; 1 to {} are allowed", grouped(limits::QUANTITY_MAX.get())),
                );
                Quantity::ZERO
            }
        }
    }

    /// Units of a bucket, 0 or more.
    pub(crate) fn count(&mut self, field: impl Display, units: i64) -> Quantity {
        u32::try_from(units).map(Quantity).unwrap_or_else(|_| {
            self.refuse(field, format_args!("is {units}; 0 to {} are allowed", grouped(limits::QUANTITY_MAX.get())));
            Quantity::ZERO
        })
    }

    /// A number from `least` to a limit.
    pub(crate) fn range(&mut self, field: impl Display, number: i64, least: u32, most: &Limit) -> u32 {
        u32::try_from(number).ok().filter(|number| *number >= least && u64::from(*number) <= most.get()).unwrap_or_else(
            || {
                let most = grouped(most.get());
                self.refuse(field, format_args!("is {number}; {least} to {most} are allowed"));
                least
            },
        )
    }

    /// Units, or 0 for all there are.
    pub(crate) fn quantity_or_all(&mut self, field: impl Display, units: i64) -> Option<Quantity> {
        Some(self.count(field, units)).filter(|units| !units.is_zero())
    }

    /// A signed difference.
    pub(crate) fn delta(&mut self, field: impl Display, units: i64) -> i64 {
        let most = limits::QUANTITY_MAX.get();
        if units == 0 {
            self.refuse(field, "is 0; a difference is needed, negative to take away");
        } else if units.unsigned_abs() > most {
            let most = grouped(most);
            self.refuse(field, format_args!("is {units}; -{most} to {most} are allowed"));
        }
        units
    }

    /// Whether a list has from `least` to `most` entries. Where it has not, its entries are not worth a look.
    pub(crate) fn length(&mut self, field: impl Display, length: usize, least: usize, most: &Limit) -> bool {
        let right = (least..=most.size()).contains(&length);
        if !right {
            let (most, unit) = (grouped(most.get()), most.unit());
            self.refuse(field, format_args!("has {length} entries; {least} to {most} {unit} are allowed"));
        }
        right
    }

    /// Whether the entries of a list are there once each. Empty ones are another check's business.
    pub(crate) fn each_once<'a>(&mut self, field: impl Display, codes: impl Iterator<Item = &'a str>) {
        let mut sorted: Vec<(&str, usize)> = codes.zip(0..).filter(|(code, _)| !code.is_empty()).collect();
        sorted.sort_unstable();
        for pair in sorted.windows(2) {
            if let [(code, first), (same, again)] = pair
                && code == same
            {
                self.refuse(format_args!("{field}[{again}]"), format_args!("repeats {code:?} of {field}[{first}]"));
            }
        }
    }

    /// The id of a reservation.
    pub(crate) fn reservation_id(&mut self, field: impl Display, id: &str) -> ReservationId {
        ReservationId::parse(id).unwrap_or_else(|| {
            self.refuse(field, "is no reservation id; the 13 characters that Reserve gave are needed");
            ReservationId(0)
        })
    }

    /// The life of a hold; `None` when it is not given. Parts of a microsecond are cut off.
    pub(crate) fn ttl(&mut self, field: impl Display, ttl: Option<&Duration>) -> Option<Micros> {
        let ttl = ttl?;
        let allowed = || format!("1 s to {} s (30 days) are allowed", grouped(limits::TTL_SECONDS_MAX.get()));
        let (Ok(seconds), Ok(nanos @ 0..1_000_000_000)) = (u64::try_from(ttl.seconds), u32::try_from(ttl.nanos)) else {
            self.refuse(field, format_args!("is {} s and {} ns; {}", ttl.seconds, ttl.nanos, allowed()));
            return None;
        };
        let micros = seconds.checked_mul(1_000_000).and_then(|micros| micros.checked_add(u64::from(nanos / 1_000)));
        let range = Micros::from_secs(limits::TTL_SECONDS_MIN.get())..=Micros::from_secs(limits::TTL_SECONDS_MAX.get());
        let beyond = seconds == limits::TTL_SECONDS_MAX.get() && nanos > 0;
        match micros.map(Micros) {
            Some(micros) if range.contains(&micros) && !beyond => Some(micros),
            Some(_) | None => {
                self.refuse(field, format_args!("is {seconds}.{nanos:09} s; {}", allowed()));
                None
            }
        }
    }

    /// Entries of a page; 0 stands for the default.
    pub(crate) fn page_size(&mut self, size: i32, default: usize, most: &Limit) -> usize {
        match usize::try_from(size) {
            Ok(0) => default,
            Ok(size) if size <= most.size() => size,
            Ok(_) | Err(_) => {
                let most = grouped(most.get());
                self.refuse("page_size", format_args!("is {size}; 1 to {most} are allowed, 0 for {default}"));
                default
            }
        }
    }
}

/// A number with commas between the thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a check says, as "field: problem", or nothing.
    fn said<T>(check: impl FnOnce(&mut Checks) -> T) -> String {
        let mut checks = Checks::default();
        check(&mut checks);
        let said = checks.violations.iter().map(|wrong| format!("{}: {}", wrong.field, wrong.problem));
        said.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn texts_and_codes() {
        let long = "x".repeat(65);
        let cases = [
            (said(|checks| checks.request("a".repeat(64))), ""),
            (said(|checks| checks.request(String::new())), "request_id: is missing; 1 to 64 bytes are needed"),
            (said(|checks| checks.request(long.clone())), "request_id: has 65 bytes; at most 64 are allowed"),
            (said(|checks| checks.code("sku", "大衣/红 M".into())), ""),
            (said(|checks| checks.code("sku", String::new())), "sku: is missing; a code of 1 to 64 bytes is needed"),
            (said(|checks| checks.code("sku", long.clone())), "sku: has 65 bytes; at most 64 are allowed"),
            (said(|checks| checks.code("sku", "é".repeat(33))), "sku: has 66 bytes; at most 64 are allowed"),
            (
                said(|checks| checks.code("sku", "a\u{7}".into())),
                "sku: has a control character at position 1; codes have none",
            ),
            (said(|checks| checks.optional_code("location", String::new())), ""),
            (said(|checks| checks.text("order_id", String::new(), &limits::REFERENCE_BYTES_MAX)), ""),
            (
                said(|checks| checks.text("order_id", long.clone(), &limits::REFERENCE_BYTES_MAX)),
                "order_id: has 65 bytes; at most 64 are allowed",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn quantities() {
        let (most, beyond) = (i64::from(u32::MAX), i64::from(u32::MAX) + 1);
        let cases = [
            (said(|checks| checks.quantity("quantity", 1)), ""),
            (said(|checks| checks.quantity("quantity", most)), ""),
            (said(|checks| checks.quantity("quantity", 0)), "quantity: is 0; 1 to 4,294,967,295 are allowed"),
            (said(|checks| checks.quantity("quantity", -3)), "quantity: is -3; 1 to 4,294,967,295 are allowed"),
            (
                said(|checks| checks.quantity("quantity", beyond)),
                "quantity: is 4294967296; 1 to 4,294,967,295 are allowed",
            ),
            (said(|checks| checks.count("on_hand", 0)), ""),
            (said(|checks| checks.count("on_hand", -1)), "on_hand: is -1; 0 to 4,294,967,295 are allowed"),
            (
                said(|checks| checks.quantity_or_all("lines[0].quantity", i64::MIN)),
                "lines[0].quantity: is -9223372036854775808; 0 to 4,294,967,295 are allowed",
            ),
            (said(|checks| checks.delta("delta", -most)), ""),
            (said(|checks| checks.delta("delta", 0)), "delta: is 0; a difference is needed, negative to take away"),
            (
                said(|checks| checks.delta("delta", i64::MIN)),
                "delta: is -9223372036854775808; -4,294,967,295 to 4,294,967,295 are allowed",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said, expected);
        }
        assert_eq!(Checks::default().quantity_or_all("", 0), None);
        assert_eq!(Checks::default().quantity_or_all("", 7), Some(Quantity(7)));
    }

    #[test]
    fn lives_of_holds() {
        let ttl = |seconds, nanos| said(|checks| checks.ttl("ttl", Some(&Duration { seconds, nanos })));
        let allowed = "1 s to 2,592,000 s (30 days) are allowed";
        assert_eq!((ttl(1, 0), ttl(2_592_000, 0)), (String::new(), String::new()));
        assert_eq!(ttl(0, 999_999_999), format!("ttl: is 0.999999999 s; {allowed}"));
        assert_eq!(ttl(2_592_000, 1), format!("ttl: is 2592000.000000001 s; {allowed}"));
        assert_eq!(ttl(-1, 0), format!("ttl: is -1 s and 0 ns; {allowed}"));
        assert_eq!(ttl(1, -1), format!("ttl: is 1 s and -1 ns; {allowed}"));
        assert_eq!(ttl(1, 1_000_000_000), format!("ttl: is 1 s and 1000000000 ns; {allowed}"));
        assert_eq!(ttl(i64::MAX, 0), format!("ttl: is {}.000000000 s; {allowed}", i64::MAX));
        let exact = Checks::default().ttl("ttl", Some(&Duration { seconds: 1, nanos: 2_999 }));
        assert_eq!((exact, Checks::default().ttl("ttl", None)), (Some(Micros(1_000_002)), None));
    }

    #[test]
    fn lists_pages_and_ids() {
        let cases = [
            (said(|checks| checks.length("lines", 2_000, 1, &limits::LINES_MAX)), ""),
            (
                said(|checks| checks.length("lines", 0, 1, &limits::LINES_MAX)),
                "lines: has 0 entries; 1 to 2,000 lines are allowed",
            ),
            (
                said(|checks| checks.length("lines", 2_001, 1, &limits::LINES_MAX)),
                "lines: has 2001 entries; 1 to 2,000 lines are allowed",
            ),
            (said(|checks| checks.each_once("skus", ["a", "b"].into_iter())), ""),
            (
                said(|checks| checks.each_once("skus", ["a", "b", "a", "a"].into_iter())),
                "skus[2]: repeats \"a\" of skus[0]; skus[3]: repeats \"a\" of skus[2]",
            ),
            (said(|checks| checks.page_size(0, 100, &limits::SKUS_PAGE_MAX)), ""),
            (
                said(|checks| checks.page_size(-1, 100, &limits::SKUS_PAGE_MAX)),
                "page_size: is -1; 1 to 5,000 are allowed, 0 for 100",
            ),
            (
                said(|checks| checks.page_size(5_001, 100, &limits::SKUS_PAGE_MAX)),
                "page_size: is 5001; 1 to 5,000 are allowed, 0 for 100",
            ),
            (said(|checks| checks.reservation_id("reservation_id", "0000000000100")), ""),
            (
                said(|checks| checks.reservation_id("reservation_id", "r1")),
                "reservation_id: is no reservation id; the 13 characters that Reserve gave are needed",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn only_the_first_violations_are_noted() {
        let mut checks = Checks::default();
        (0..50).for_each(|line| checks.refuse(format_args!("lines[{line}]"), "is wrong"));
        let Err(ApiError::Invalid(violations)) = checks.finish(()) else { panic!("nothing was wrong") };
        assert_eq!((violations.len(), violations[19].field.as_str()), (20, "lines[19]"));
        assert_eq!(ApiError::Invalid(violations).to_string(), "lines[0]: is wrong; and 19 more fields",);
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (4_294_967_295, "4,294,967,295")] {
            assert_eq!(grouped(number), text);
        }
    }
}
