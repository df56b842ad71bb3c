//! What was decided, by kind of command, outcome and reason: counted in a fixed table, so that the hot path adds to one atomic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quartermaster_engine::command::{CatalogueCommand, Command, Step, StockCommand};
use quartermaster_engine::engine::Ordered;
use quartermaster_engine::event::{
    Event,
    upkeep::{Remedy, UpkeepEvent},
};
use quartermaster_engine::{Answer, Error, Rejection, Verdict};

use crate::metrics::{Decisions, Histogram, Labelled};

pub(super) const KINDS: [&str; 29] = [
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
    "allotment",
    "campaign",
    "supply",
    "returns",
    "upkeep",
    "rules",
];

/// Outcome and reason.
pub(super) const ENDS: &[(&str, &str)] = &[
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
    ("error", "invalid_stock_rules"),
    ("error", "stock_rules_version"),
    ("rejected", "exceeds_shipped"),
    ("rejected", "exceeds_announced"),
    ("rejected", "exceeds_received"),
    ("error", "unknown_return"),
    ("error", "return_state"),
    ("error", "ambiguous_line"),
    ("rejected", "frozen"),
    ("rejected", "not_frozen"),
    ("rejected", "nothing_to_repair"),
    ("error", "kit_has_no_stock"),
    ("error", "invalid_kit"),
    ("error", "in_use"),
    ("error", "too_many_freezes"),
    ("rejected", "allotment_exceeds_pool"),
    ("rejected", "allotment_too_small"),
    ("rejected", "allotment_below_nodes_within"),
    ("error", "channel_tree"),
    ("error", "unknown_goods"),
    ("error", "no_allotment"),
    ("error", "ceiling_below_quota"),
    ("error", "nodes_nested"),
    ("error", "too_many_allotments"),
    ("rejected", "campaign_not_started"),
    ("rejected", "campaign_ended"),
    ("rejected", "not_in_campaign"),
    ("rejected", "buyer_limit_reached"),
    ("rejected", "order_limit_reached"),
    ("rejected", "campaign_sold_out"),
    ("rejected", "already_waiting"),
    ("rejected", "waiting_list_full"),
    ("rejected", "campaign_not_stocked"),
    ("rejected", "campaign_below_used"),
    ("error", "unknown_campaign"),
    ("error", "campaign_times"),
    ("error", "campaign_over"),
    ("error", "campaign_channel"),
    ("error", "buyer_needed"),
    ("error", "not_combinable"),
    ("error", "unknown_inbound"),
    ("error", "inbound_exists"),
    ("error", "inbound_closed"),
    ("error", "no_such_inbound_line"),
    ("error", "eta_past"),
    ("error", "below_received"),
    ("error", "transfer_under_way"),
    ("error", "not_arrived"),
    ("error", "presale_with_sourcing"),
];

const RESERVE: usize = 0;

const GRANTED: usize = 0;
const REPLAYED: usize = 1;
const SOLD_OUT: usize = 3;

/// The table.
pub(super) struct DecisionCounts {
    counts: [[AtomicU64; ENDS.len()]; KINDS.len()],
    times: [Histogram; KINDS.len()],
    /// Units that repairs moved and cancelled.
    repaired: [AtomicU64; 2],
}

impl Default for DecisionCounts {
    fn default() -> DecisionCounts {
        DecisionCounts {
            counts: [const { [const { AtomicU64::new(0) }; ENDS.len()] }; KINDS.len()],
            times: std::array::from_fn(|_| Histogram::new()),
            repaired: Default::default(),
        }
    }
}

impl DecisionCounts {
    /// Counts one decision that took `time`. Relaxed: the numbers order nothing.
    pub(super) fn count(&self, command: &Command, answer: &Result<Answer, Error>, time: Duration) {
        self.count_end(command, answer);
        self.times[kind(command)].observe(time);
    }

    /// Counts the time of `orders` orders that were decided one after the other: of each what it took on average.
    pub(super) fn count_orders(&self, orders: u32, time: Duration) {
        self.times[RESERVE].observe_many(time, orders);
    }

    /// Counts one decision.
    pub(super) fn count_end(&self, command: &Command, answer: &Result<Answer, Error>) {
        self.counts[kind(command)][end(answer.as_ref())].fetch_add(1, Ordering::Relaxed);
        if let (Command::Upkeep(_), Ok(answer)) = (command, answer) {
            let [moved, cancelled] = repaired(answer);
            self.repaired[0].fetch_add(moved, Ordering::Relaxed);
            self.repaired[1].fetch_add(cancelled, Ordering::Relaxed);
        }
    }

    /// Counts one plain order.
    pub(super) fn count_order(&self, ordered: &Result<Ordered, Error>) {
        let end = match ordered {
            Ok(Ordered::Granted(_)) => GRANTED,
            Ok(Ordered::Answered(answer)) => end(Ok(answer)),
            Err(error) => end(Err(error)),
        };
        self.counts[RESERVE][end].fetch_add(1, Ordering::Relaxed);
    }

    /// Units that repairs moved and cancelled.
    pub(super) fn repaired(&self) -> [u64; 2] {
        self.repaired.each_ref().map(|units| units.load(Ordering::Relaxed))
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

/// Units that an answer's repair moved and cancelled.
fn repaired(answer: &Answer) -> [u64; 2] {
    let mut units = [0; 2];
    if let (Verdict::Done(Event::Upkeep(event)), false) = (&answer.verdict, answer.replayed)
        && let UpkeepEvent::Repaired(repaired) = &**event
    {
        for remedy in &repaired.remedies {
            units[usize::from(matches!(remedy, Remedy::Cancelled { .. }))] += remedy.units();
        }
    }
    units
}

fn kind(command: &Command) -> usize {
    match command {
        Command::Reserve(_) => RESERVE,
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
        Command::Allotment(_) => 23,
        Command::Campaign(_) => 24,
        Command::Supply(_) => 25,
        Command::Returns(_) => 26,
        Command::Upkeep(_) => 27,
        Command::Rules(_) => 28,
    }
}

/// Where an end stands in the table. A name that does not stand there fails the build.
const fn place(outcome: &str, reason: &str) -> usize {
    let mut place = 0;
    while place < ENDS.len() {
        if same(ENDS[place].0, outcome) && same(ENDS[place].1, reason) {
            return place;
        }
        place += 1;
    }
    panic!("no such end")
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut place = 0;
    while place < one.len() {
        if one[place] != other[place] {
            return false;
        }
        place += 1;
    }
    true
}

fn end(answer: Result<&Answer, &Error>) -> usize {
    match answer {
        Ok(answer) => match &answer.verdict {
            Verdict::Done(_) if answer.replayed => REPLAYED,
            Verdict::Done(_) => GRANTED,
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
                Rejection::ExceedsShipped { .. } => const { place("rejected", "exceeds_shipped") },
                Rejection::ExceedsAnnounced { .. } => const { place("rejected", "exceeds_announced") },
                Rejection::ExceedsReceived { .. } => const { place("rejected", "exceeds_received") },
                Rejection::Frozen { .. } => const { place("rejected", "frozen") },
                Rejection::NotFrozen { .. } => const { place("rejected", "not_frozen") },
                Rejection::NothingToRepair { .. } => const { place("rejected", "nothing_to_repair") },
                Rejection::AllotmentExceedsPool { .. } => const { place("rejected", "allotment_exceeds_pool") },
                Rejection::AllotmentTooSmall { .. } => const { place("rejected", "allotment_too_small") },
                Rejection::AllotmentBelowNodesWithin { .. } => {
                    const { place("rejected", "allotment_below_nodes_within") }
                }
                Rejection::CampaignNotStarted { .. } => const { place("rejected", "campaign_not_started") },
                Rejection::CampaignEnded { .. } => const { place("rejected", "campaign_ended") },
                Rejection::NotInCampaign { .. } => const { place("rejected", "not_in_campaign") },
                Rejection::BuyerLimitReached { .. } => const { place("rejected", "buyer_limit_reached") },
                Rejection::OrderLimitReached { .. } => const { place("rejected", "order_limit_reached") },
                Rejection::CampaignSoldOut { .. } => const { place("rejected", "campaign_sold_out") },
                Rejection::AlreadyWaiting { .. } => const { place("rejected", "already_waiting") },
                Rejection::WaitingListFull { .. } => const { place("rejected", "waiting_list_full") },
                Rejection::CampaignNotStocked { .. } => const { place("rejected", "campaign_not_stocked") },
                Rejection::CampaignBelowUsed { .. } => const { place("rejected", "campaign_below_used") },
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
            Error::ChannelTree { .. } => const { place("error", "channel_tree") },
            Error::ChannelInUse { .. } => const { place("error", "in_use") },
            Error::UnknownGoods { .. } => const { place("error", "unknown_goods") },
            Error::NoAllotment { .. } => const { place("error", "no_allotment") },
            Error::CeilingBelowQuota { .. } => const { place("error", "ceiling_below_quota") },
            Error::NodesNested { .. } => const { place("error", "nodes_nested") },
            Error::TooManyAllotments { .. } => const { place("error", "too_many_allotments") },
            Error::NotPlannable { .. } => 35,
            Error::InvalidStockRules { .. } => const { place("error", "invalid_stock_rules") },
            Error::StockRulesVersion { .. } => const { place("error", "stock_rules_version") },
            Error::UnknownReturn { .. } => const { place("error", "unknown_return") },
            Error::ReturnState { .. } => const { place("error", "return_state") },
            Error::AmbiguousLine { .. } => const { place("error", "ambiguous_line") },
            Error::KitHasNoStock { .. } => const { place("error", "kit_has_no_stock") },
            Error::InvalidKit { .. } => const { place("error", "invalid_kit") },
            Error::InUse { .. } => const { place("error", "in_use") },
            Error::TooManyFreezes { .. } => const { place("error", "too_many_freezes") },
            Error::UnknownCampaign { .. } => const { place("error", "unknown_campaign") },
            Error::CampaignTimes { .. } => const { place("error", "campaign_times") },
            Error::CampaignOver { .. } => const { place("error", "campaign_over") },
            Error::CampaignChannel { .. } => const { place("error", "campaign_channel") },
            Error::BuyerNeeded { .. } => const { place("error", "buyer_needed") },
            Error::NotCombinable { .. } => const { place("error", "not_combinable") },
            Error::UnknownInbound { .. } => const { place("error", "unknown_inbound") },
            Error::InboundExists { .. } => const { place("error", "inbound_exists") },
            Error::InboundClosed { .. } => const { place("error", "inbound_closed") },
            Error::NoSuchInboundLine { .. } => const { place("error", "no_such_inbound_line") },
            Error::EtaPast { .. } => const { place("error", "eta_past") },
            Error::BelowReceived { .. } => const { place("error", "below_received") },
            Error::TransferUnderWay { .. } => const { place("error", "transfer_under_way") },
            Error::NotArrived { .. } => const { place("error", "not_arrived") },
            Error::PresaleWithSourcing => const { place("error", "presale_with_sourcing") },
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
