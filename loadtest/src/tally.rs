//! What came back: counts of answers by kind, of errors by code and reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use quartermaster_proto::v1::{RejectionReason, ReserveResponse, reserve_response};
use serde::Serialize;
use tonic::Status;

use crate::client::{Answered, code_name, reason_of};

/// Counts of answers. Each worker has its own; they are merged at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Reservations granted.
    pub holds: u64,
    /// Units granted with them.
    pub units: u64,
    /// Rejections for want of stock.
    pub sold_out: u64,
    /// Payments that came after the hold's time was up.
    pub expired: u64,
    /// Other rejections, by reason.
    pub rejections: BTreeMap<String, u64>,
    /// Error statuses by code and reason: `UNAVAILABLE OVERLOADED`.
    pub errors: BTreeMap<String, u64>,
    /// Attempts after the first.
    pub retries: u64,
    /// Answers that said the request id had been answered before.
    pub replayed: u64,
    /// Reservations confirmed.
    pub confirmed: u64,
    /// Reservations shipped.
    pub shipped: u64,
}

impl Tally {
    /// Counts the answer to a Reserve.
    pub fn reserve(&mut self, response: &ReserveResponse) {
        self.replayed += u64::from(response.replayed);
        match &response.outcome {
            Some(reserve_response::Outcome::Hold(hold)) => {
                self.holds += 1;
                self.units +=
                    hold.allocations.iter().filter_map(|taken| u64::try_from(taken.quantity).ok()).sum::<u64>();
            }
            Some(reserve_response::Outcome::Rejection(rejection)) => self.rejection(rejection.reason()),
            None => self.error("INTERNAL", "an answer without an outcome"),
        }
    }

    /// Counts a rejection.
    pub fn rejection(&mut self, reason: RejectionReason) {
        match reason {
            RejectionReason::InsufficientStock => self.sold_out += 1,
            RejectionReason::ReservationExpired => self.expired += 1,
            reason => {
                let name = reason.as_str_name().trim_start_matches("REJECTION_REASON_");
                *self.rejections.entry(name.to_owned()).or_default() += 1;
            }
        }
    }

    /// Counts the retries of a call, and its error if it ended in one.
    pub fn call<T>(&mut self, answered: &Answered<T>) {
        self.retries += u64::from(answered.retries);
        if let Err(status) = &answered.result {
            self.status(status);
        }
    }

    /// Counts an error status.
    pub fn status(&mut self, status: &Status) {
        self.error(code_name(status.code()), &reason_of(status));
    }

    /// Counts an error.
    pub fn error(&mut self, code: &str, reason: &str) {
        let key = if reason.is_empty() { code.to_owned() } else { format!("{code} {reason}") };
        *self.errors.entry(key).or_default() += 1;
    }

    /// Errors of all kinds.
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Answers to reservations: granted, sold out, otherwise refused.
    pub fn decided(&self) -> u64 {
        self.holds + self.sold_out + self.rejections.values().sum::<u64>()
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Tally) {
        self.holds += other.holds;
        self.units += other.units;
        self.sold_out += other.sold_out;
        self.expired += other.expired;
        self.retries += other.retries;
        self.replayed += other.replayed;
        self.confirmed += other.confirmed;
        self.shipped += other.shipped;
        for (into, from) in [(&mut self.rejections, &other.rejections), (&mut self.errors, &other.errors)] {
            for (key, count) in from {
                *into.entry(key.clone()).or_default() += count;
            }
        }
    }
}

/// Running counts that all workers share, for the progress display alone.
#[derive(Debug, Default)]
pub struct Live {
    /// Answers of any kind.
    pub answered: AtomicU64,
    /// Reservations granted.
    pub holds: AtomicU64,
    /// Rejections for want of stock.
    pub sold_out: AtomicU64,
    /// Reservations confirmed.
    pub confirmed: AtomicU64,
    /// Reservations shipped.
    pub shipped: AtomicU64,
    /// Error statuses.
    pub errors: AtomicU64,
}

impl Live {
    /// Adds one.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a Reserve.
    pub fn reserve(&self, result: Result<&ReserveResponse, &Status>) {
        Live::count(&self.answered);
        match result.map(|response| &response.outcome) {
            Ok(Some(reserve_response::Outcome::Hold(_))) => Live::count(&self.holds),
            Ok(Some(reserve_response::Outcome::Rejection(rejection))) => {
                if rejection.reason() == RejectionReason::InsufficientStock {
                    Live::count(&self.sold_out);
                }
            }
            Ok(None) | Err(_) => Live::count(&self.errors),
        }
    }

    /// Where they stand.
    pub fn snapshot(&self) -> LiveCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LiveCounts {
            answered: read(&self.answered),
            holds: read(&self.holds),
            sold_out: read(&self.sold_out),
            confirmed: read(&self.confirmed),
            shipped: read(&self.shipped),
            errors: read(&self.errors),
        }
    }
}

/// [`Live`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveCounts {
    /// Answers of any kind.
    pub answered: u64,
    /// Reservations granted.
    pub holds: u64,
    /// Rejections for want of stock.
    pub sold_out: u64,
    /// Reservations confirmed.
    pub confirmed: u64,
    /// Reservations shipped.
    pub shipped: u64,
    /// Error statuses.
    pub errors: u64,
}
