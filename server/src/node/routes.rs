//! What the router decided, by kind of question: counted in fixed tables, as decisions are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quartermaster_engine::command::{Command, Step};
use quartermaster_engine::event::Event;
use quartermaster_engine::route::Quote;
use quartermaster_engine::sourced::Decision;
use quartermaster_engine::{Answer, Error, Rejection, Verdict};
use quartermaster_sourcing::Proof;

use crate::grpc::gap_ppm;
use crate::metrics::{Counted, Histogram, Labelled, Routes, Unit};

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Quote,
    Reserve,
    Merge,
    Reroute,
}

const KINDS: [&str; 4] = ["quote", "reserve", "merge", "reroute"];
const PROOFS: [&str; 3] = ["proved", "bounded", ""];
const OUTCOMES: [&str; 5] = ["complete", "partial", "none", "rejected", "error"];

/// Place of the proof of a question that has no plan.
const NO_PLAN: usize = 2;

/// Parcels of a plan.
pub(super) const PARCELS: [u64; 10] = [1, 2, 3, 4, 5, 6, 8, 10, 20, 50];
/// Millionths that a plan may lie above the best.
pub(super) const GAPS: [u64; 9] = [0, 100, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000];

/// The tables.
pub(super) struct RouteCounts {
    counts: [[[AtomicU64; OUTCOMES.len()]; PROOFS.len()]; KINDS.len()],
    times: [Histogram; KINDS.len()],
    pub(super) parcels: Counted,
    pub(super) gaps: Counted,
}

impl Default for RouteCounts {
    fn default() -> RouteCounts {
        RouteCounts {
            counts: Default::default(),
            times: std::array::from_fn(|_| Histogram::new()),
            parcels: Counted::new(&PARCELS, Unit::Count),
            gaps: Counted::new(&GAPS, Unit::Millionths),
        }
    }
}

impl RouteCounts {
    /// Counts a quote.
    pub(super) fn quote(&self, answer: &Result<Result<Quote, Rejection>, Error>, time: Duration) {
        match answer {
            Ok(Ok(quote)) => self.decided(Kind::Quote, &quote.decision, time),
            Ok(Err(rejection)) => self.refused(Kind::Quote, rejection, time),
            Err(_) => self.add(Kind::Quote, NO_PLAN, 4, time),
        }
    }

    /// Counts a command, if the router had to decide about it. A repeat is told what was decided before.
    pub(super) fn command(&self, command: &Command, answer: &Result<Answer, Error>, time: Duration) {
        let Some(kind) = kind(command) else { return };
        match answer {
            Ok(answer) if answer.replayed => {}
            Ok(answer) => match &answer.verdict {
                Verdict::Done(event) => {
                    if let Some(decision) = decision(event) {
                        self.decided(kind, decision, time);
                    }
                }
                Verdict::Rejected(rejection) => self.refused(kind, rejection, time),
                Verdict::Nothing => {}
            },
            Err(_) => self.add(kind, NO_PLAN, 4, time),
        }
    }

    /// Everything that was counted at least once.
    pub(super) fn read(&self) -> Vec<Routes> {
        let mut all = Vec::new();
        for (kind, table) in KINDS.iter().zip(&self.counts) {
            for (proof, row) in PROOFS.iter().zip(table) {
                for (outcome, count) in OUTCOMES.iter().zip(row) {
                    let count = count.load(Ordering::Relaxed);
                    if count > 0 {
                        all.push(Routes { kind, proof, outcome, count });
                    }
                }
            }
        }
        all
    }

    /// Time to decide, by kind.
    pub(super) fn times(&self) -> Vec<Labelled> {
        let used = KINDS.iter().zip(&self.times).map(|(label, time)| Labelled { label, buckets: time.read() });
        used.filter(|labelled| labelled.buckets.counts.iter().any(|count| *count > 0)).collect()
    }

    fn decided(&self, kind: Kind, decision: &Decision, time: Duration) {
        let proof = match decision.proof {
            Proof::Proved => 0,
            Proof::Bounded => 1,
        };
        let outcome = match (decision.parcels.is_empty(), decision.unserved.is_empty()) {
            (true, _) => 2,
            (false, true) => 0,
            (false, false) => 1,
        };
        self.add(kind, proof, outcome, time);
        self.parcels.observe(u64::try_from(decision.parcels.len()).unwrap_or(u64::MAX));
        if let Ok(gap) = u64::try_from(gap_ppm(&decision.value, &decision.lower_bound)) {
            self.gaps.observe(gap);
        }
    }

    fn refused(&self, kind: Kind, rejection: &Rejection, time: Duration) {
        let outcome = match rejection {
            Rejection::NotRoutable { .. } => 2,
            Rejection::InsufficientStock { .. }
            | Rejection::LocationNotOpen { .. }
            | Rejection::ReservationExpired { .. }
            | Rejection::SkuNotSellable { .. }
            | Rejection::ChannelNotActive { .. }
            | Rejection::NothingToMerge { .. }
            | Rejection::MergeNotBetter { .. }
            | Rejection::Frozen { .. }
            | Rejection::NotFrozen { .. }
            | Rejection::NothingToRepair { .. }
            | Rejection::ExceedsShipped { .. }
            | Rejection::ExceedsAnnounced { .. }
            | Rejection::ExceedsReceived { .. }
            | Rejection::AllotmentExceedsPool { .. }
            | Rejection::AllotmentTooSmall { .. }
            | Rejection::AllotmentBelowNodesWithin { .. }
            | Rejection::CampaignNotStarted { .. }
            | Rejection::CampaignEnded { .. }
            | Rejection::NotInCampaign { .. }
            | Rejection::BuyerLimitReached { .. }
            | Rejection::OrderLimitReached { .. }
            | Rejection::CampaignSoldOut { .. }
            | Rejection::AlreadyWaiting { .. }
            | Rejection::WaitingListFull { .. }
            | Rejection::CampaignNotStocked { .. }
            | Rejection::CampaignBelowUsed { .. } => 3,
        };
        self.add(kind, NO_PLAN, outcome, time);
    }

    /// Relaxed: the numbers order nothing.
    fn add(&self, kind: Kind, proof: usize, outcome: usize, time: Duration) {
        let kind = match kind {
            Kind::Quote => 0,
            Kind::Reserve => 1,
            Kind::Merge => 2,
            Kind::Reroute => 3,
        };
        self.counts[kind][proof][outcome].fetch_add(1, Ordering::Relaxed);
        self.times[kind].observe(time);
    }
}

fn kind(command: &Command) -> Option<Kind> {
    match command {
        Command::Reserve(reserve) => reserve.sourcing.is_some().then_some(Kind::Reserve),
        Command::Merge(_) => Some(Kind::Merge),
        Command::Reservation(_, Step::Reassign(reassign)) => {
            (reassign.refused && reassign.to.is_empty()).then_some(Kind::Reroute)
        }
        Command::Reservation(..)
        | Command::Stock(_)
        | Command::Catalogue(_)
        | Command::Allotment(_)
        | Command::Campaign(_)
        | Command::Supply(_)
        | Command::Returns(_)
        | Command::Upkeep(_)
        | Command::Rules(_) => None,
    }
}

fn decision(event: &Event) -> Option<&Decision> {
    match event {
        Event::Held(held) => held.sourced.as_ref().map(|sourced| &sourced.decision),
        Event::Rerouted(rerouted) => rerouted.decision.as_deref(),
        Event::Merged(merged) => Some(&merged.decision),
        Event::Returns(event) => event.held()?.sourced.as_ref().map(|sourced| &sourced.decision),
        _ => None,
    }
}
