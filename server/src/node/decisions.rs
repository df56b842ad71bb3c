//! What was decided, by kind of command, outcome and reason: counted in a fixed table, so that the hot path adds to one atomic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quartermaster_engine::command::{CatalogueCommand, Command, Step, StockCommand};
use quartermaster_engine::{Answer, Error, Rejection, Verdict};

use crate::metrics::{Decisions, Histogram, Labelled};

const KINDS: [&str; 23] = [
    "reserve",
    "confirm",
    "release",
    "cancel",
    "extend",
    "ship",
    "reassign",
    "expire",
    "set_stock",
    "adjust_stock",
    "receive_stock",
    "move_stock",
    "import_stock",
    "upsert_skus",
    "retire_skus",
    "upsert_locations",
    "upsert_channels",
    "set_cell_facts",
    "upsert_regions",
    "draft_document",
    "activate_document",
    "retire_document",
    "merge",
];

/// Outcome and reason.
const ENDS: [(&str, &str); 36] = [
    ("accepted", ""),
    ("accepted", "replayed"),
    ("accepted", "nothing_to_do"),
    ("rejected", "insufficient_stock"),
    ("rejected", "location_not_open"),
    ("rejected", "reservation_expired"),
    ("rejected", "sku_not_sellable"),
    ("rejected", "channel_not_active"),
    ("error", "unknown_sku"),
    ("error", "unknown_location"),
    ("error", "unknown_channel"),
    ("error", "unknown_reservation"),
    ("error", "request_id_reused"),
    ("error", "stale_revision"),
    ("error", "reservation_state"),
    ("error", "other_buyer"),
    ("error", "no_such_line"),
    ("error", "exceeds_open"),
    ("error", "exceeds_bucket"),
    ("error", "overflow"),
    ("error", "sum_overflow"),
    ("error", "same_location"),
    ("error", "table_full"),
    ("error", "journal"),
    ("error", "unknown_region"),
    ("error", "region"),
    ("error", "unknown_document"),
    ("error", "document_state"),
    ("error", "invalid_document"),
    ("error", "unusable"),
    ("rejected", "not_routable"),
    ("rejected", "nothing_to_merge"),
    ("rejected", "merge_not_better"),
    ("error", "unknown_policy"),
    ("error", "mixed_conditions"),
    ("error", "not_plannable"),
];

const REPLAYED: usize = 1;
const SOLD_OUT: usize = 3;

/// The table.
pub(super) struct DecisionCounts {
    counts: [[AtomicU64; ENDS.len()]; KINDS.len()],
    times: [Histogram; KINDS.len()],
}

impl Default for DecisionCounts {
    fn default() -> DecisionCounts {
        DecisionCounts {
            counts: [const { [const { AtomicU64::new(0) }; ENDS.len()] }; KINDS.len()],
            times: std::array::from_fn(|_| Histogram::new()),
        }
    }
}

impl DecisionCounts {
    /// Counts one decision that took `time`. Relaxed: the numbers order nothing.
    pub(super) fn count(&self, command: &Command, answer: &Result<Answer, Error>, time: Duration) {
        let kind = kind(command);
        self.counts[kind][end(answer)].fetch_add(1, Ordering::Relaxed);
        self.times[kind].observe(time);
    }

    /// Everything that was counted at least once.
    pub(super) fn read(&self) -> Vec<Decisions> {
        let mut all = Vec::new();
        for (kind, row) in KINDS.iter().zip(&self.counts) {
            for ((outcome, reason), count) in ENDS.iter().zip(row) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    all.push(Decisions { kind, outcome, reason, count });
                }
            }
        }
        all
    }

    /// Time of decide, append and apply by kind.
    pub(super) fn times(&self) -> Vec<Labelled> {
        let used = KINDS.iter().zip(&self.times).map(|(label, time)| Labelled { label, buckets: time.read() });
        used.filter(|labelled| labelled.buckets.counts.iter().any(|count| *count > 0)).collect()
    }

    /// Answers "sold out".
    pub(super) fn sold_out(&self) -> u64 {
        self.sum(SOLD_OUT)
    }

    /// Requests answered with the answer of before.
    pub(super) fn replayed(&self) -> u64 {
        self.sum(REPLAYED)
    }

    fn sum(&self, end: usize) -> u64 {
        self.counts.iter().map(|row| row[end].load(Ordering::Relaxed)).sum()
    }
}

fn kind(command: &Command) -> usize {
    match command {
        Command::Reserve(_) => 0,
        Command::Reservation(_, step) => match step {
            Step::Confirm => 1,
            Step::Release => 2,
            Step::Cancel(_) => 3,
            Step::Extend(_) => 4,
            Step::Ship(_) => 5,
            Step::Reassign(_) => 6,
            Step::Expire => 7,
        },
        Command::Stock(stock) => match stock {
            StockCommand::Set(_) => 8,
            StockCommand::Adjust(_) => 9,
            StockCommand::Receive(_) => 10,
            StockCommand::Move(_) => 11,
            StockCommand::Import(_) => 12,
            StockCommand::SetFacts(_) => 17,
        },
        Command::Catalogue(catalogue) => match catalogue {
            CatalogueCommand::UpsertSkus(_) => 13,
            CatalogueCommand::RetireSkus(_) => 14,
            CatalogueCommand::UpsertLocations(_) => 15,
            CatalogueCommand::UpsertChannels(_) => 16,
            CatalogueCommand::UpsertRegions(_) => 18,
            CatalogueCommand::Draft(_) => 19,
            CatalogueCommand::Activate { .. } => 20,
            CatalogueCommand::Retire(_) => 21,
        },
        Command::Merge(_) => 22,
    }
}

fn end(answer: &Result<Answer, Error>) -> usize {
    match answer {
        Ok(answer) => match &answer.verdict {
            Verdict::Done(_) if answer.replayed => REPLAYED,
            Verdict::Done(_) => 0,
            Verdict::Nothing => 2,
            Verdict::Rejected(rejection) => match rejection {
                Rejection::InsufficientStock { .. } => SOLD_OUT,
                Rejection::LocationNotOpen { .. } => 4,
                Rejection::ReservationExpired { .. } => 5,
                Rejection::SkuNotSellable { .. } => 6,
                Rejection::ChannelNotActive { .. } => 7,
                Rejection::NotRoutable { .. } => 30,
                Rejection::NothingToMerge { .. } => 31,
                Rejection::MergeNotBetter { .. } => 32,
            },
        },
        Err(error) => match error {
            Error::UnknownSku { .. } => 8,
            Error::UnknownLocation { .. } => 9,
            Error::UnknownChannel { .. } => 10,
            Error::UnknownReservation { .. } => 11,
            Error::RequestIdReused { .. } => 12,
            Error::StaleRevision { .. } => 13,
            Error::ReservationState { .. } => 14,
            Error::OtherBuyer { .. } => 15,
            Error::NoSuchLine { .. } => 16,
            Error::ExceedsOpen { .. } => 17,
            Error::ExceedsBucket { .. } => 18,
            Error::Overflow { .. } => 19,
            Error::SumOverflow { .. } => 20,
            Error::SameLocation { .. } => 21,
            Error::TableFull { .. } => 22,
            Error::Journal(_) => 23,
            Error::UnknownRegion { .. } => 24,
            Error::Region { .. } => 25,
            Error::UnknownDocument { .. } => 26,
            Error::DocumentState { .. } => 27,
            Error::InvalidDocument { .. } => 28,
            Error::Unusable { .. } => 29,
            Error::UnknownPolicy { .. } => 33,
            Error::MixedConditions { .. } => 34,
            Error::NotPlannable { .. } => 35,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_where_the_numbers_say() {
        let counts = DecisionCounts::default();
        let expire = Command::Reservation(quartermaster_engine::id::ReservationId(1), Step::Expire);
        let sold_out = Ok(Answer {
            lsn: quartermaster_journal::Lsn::ZERO,
            replayed: false,
            verdict: Verdict::Rejected(Rejection::InsufficientStock { shortages: Vec::new() }),
        });
        counts.count(&expire, &sold_out, Duration::ZERO);
        let upsert = Command::Catalogue(CatalogueCommand::UpsertChannels(Vec::new()));
        counts.count(&upsert, &Err(Error::UnknownSku { code: String::new() }), Duration::ZERO);
        let read: Vec<_> = counts.read().iter().map(|row| (row.kind, row.outcome, row.reason, row.count)).collect();
        assert_eq!(
            read,
            [("expire", "rejected", "insufficient_stock", 1), ("upsert_channels", "error", "unknown_sku", 1)]
        );
        assert_eq!((counts.sold_out(), counts.replayed(), counts.times().len()), (1, 0, 2));
    }
}
