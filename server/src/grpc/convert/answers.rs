//! What is told of a change: functions of its event, so that a repeated request is told the same, and of a rejection.

use quartermaster_engine::{
    Answer, CodedShortage, Rejection, Verdict,
    allotment::LimitedBy,
    catalog::Catalogue,
    error::{AllotmentExcess, CodedUnserved},
    event::{Event, Held, HoldEndReason, Line, Promise, campaign::CampaignEvent},
    reservation::State,
    terms::PresoldLine,
};
use quartermaster_proto::v1;

use super::{
    allotment, campaign,
    reservations::{self, state},
    sourced, supply, time, upkeep,
};
use crate::{grpc::status::ApiError, node::Node};

/// An event that its request cannot lead to.
const FOREIGN_EVENT: ApiError = ApiError::Internal { what: "a request was answered with an event of another kind" };

/// A change that was decided, as all answers tell it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told<T> {
    pub(crate) position: v1::Position,
    pub(crate) replayed: bool,
    pub(crate) outcome: Result<T, v1::Rejection>,
}

impl<T> Told<T> {
    /// Tells an answer; `say` tells its event, or gives nothing when the event is not of its kind.
    pub(crate) fn of(
        node: &Node,
        answer: Answer,
        say: impl FnOnce(&Catalogue, &Event) -> Option<T>,
    ) -> Result<Self, ApiError> {
        let outcome = match answer.verdict {
            Verdict::Done(event) => Ok(say(&node.engine().catalogue(), &event).ok_or(FOREIGN_EVENT)?),
            Verdict::Rejected(refused) => Err(rejection(refused)),
            Verdict::Nothing => return Err(FOREIGN_EVENT),
        };
        Ok(Self { position: node.position(answer.lsn), replayed: answer.replayed, outcome })
    }

    /// The same for what cannot be rejected.
    pub(crate) fn done(self) -> Result<(v1::Position, bool, T), ApiError> {
        let done = self.outcome.map_err(|_| ApiError::Internal { what: "stock or catalogue was rejected" })?;
        Ok((self.position, self.replayed, done))
    }
}

/// The answer to a Reserve.
pub(crate) fn reserve(node: &Node, answer: Answer) -> Result<v1::ReserveResponse, ApiError> {
    use v1::reserve_response::Outcome;
    let told = Told::of(node, answer, |catalogue, event| match event {
        Event::Held(held) => Some(hold(catalogue, held)),
        _ => None,
    })?;
    Ok(v1::ReserveResponse {
        position: Some(told.position),
        replayed: told.replayed,
        outcome: Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Hold)),
    })
}

/// Answers to what changes a reservation: messages of the same fields, each with a type of its own.
macro_rules! updates {
    ($($name:ident -> $module:ident::$message:ident;)*) => {$(
        #[doc = concat!("The answer that is a `", stringify!($message), "`.")]
        pub(crate) fn $name(node: &Node, answer: Answer) -> Result<v1::$message, ApiError> {
            use v1::$module::Outcome;
            let told = Told::of(node, answer, update)?;
            Ok(v1::$message {
                position: Some(told.position),
                replayed: told.replayed,
                outcome: Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Update)),
            })
        }
    )*};
}

updates! {
    confirm -> confirm_response::ConfirmResponse;
    release -> release_response::ReleaseResponse;
    cancel -> cancel_response::CancelResponse;
    extend -> extend_response::ExtendResponse;
    ship -> ship_response::ShipResponse;
    reassign -> reassign_response::ReassignResponse;
}

/// A hold that was granted.
pub(crate) fn hold(catalogue: &Catalogue, held: &Held) -> v1::Hold {
    let shortages = held.shortages.iter().map(|short| {
        let location = short.location.map_or("", |at| catalogue.directory().location_code(at));
        let component = short.component.map_or("", |sku| catalogue.sku_code(sku));
        let units = (short.requested, short.available);
        shortage(catalogue.sku_code(short.sku), location, units, short.limited_by, component)
    });
    v1::Hold {
        reservation_id: held.reservation.to_string(),
        expire_time: reservations::expire_time(held.expires_at),
        allocations: allocations(catalogue, &held.lines),
        shortages: shortages.collect(),
        state: i32::from(state(held.terms.as_ref().map_or(State::Held, |terms| terms.stage.state()))),
        place_in_line: held.terms.as_ref().map_or(0, |terms| terms.place.into()),
        plan: held.sourced.as_ref().map(|sourced| sourced::decided(catalogue, &sourced.decision)),
        policy: held.sourced.as_ref().map(|sourced| sourced::policy(&sourced.decision)),
        kits: held.terms.iter().flat_map(|terms| upkeep::kits(catalogue, &terms.kits)).collect(),
        presold: held.presold().iter().map(|one| supply::presold(catalogue, one)).collect(),
    }
}

/// What a change did to a reservation; `None` when it did not change one that was there.
pub(crate) fn update(catalogue: &Catalogue, event: &Event) -> Option<v1::ReservationUpdate> {
    let (reservation, after, lines, expires_at) = match event {
        Event::Confirmed { claim } => (claim.reservation, State::Confirmed, &claim.lines[..], None),
        Event::HoldEnded { claim, reason, bookings: _ } => {
            let after = match reason {
                HoldEndReason::Released => State::Released,
                HoldEndReason::Expired => State::Expired,
            };
            (claim.reservation, after, &claim.lines[..], None)
        }
        Event::Cancelled { claim, promise, end, bookings: _ } => {
            let after = end.map_or_else(|| open(*promise), |end| end.state());
            (claim.reservation, after, &claim.lines[..], None)
        }
        Event::Extended { reservation, expires_at } => (*reservation, State::Held, &[][..], Some(*expires_at)),
        Event::Shipped { claim, end } => {
            let after = end.map_or(State::Confirmed, |end| end.state());
            (claim.reservation, after, &claim.lines[..], None)
        }
        Event::Reassigned { reservation, promise, line, from: _ } => {
            (*reservation, open(*promise), std::slice::from_ref(line), None)
        }
        Event::Rerouted(rerouted) => (rerouted.reservation, open(rerouted.promise), &rerouted.to[..], None),
        Event::Campaign(change) => match &**change {
            CampaignEvent::Granted(granted) => (granted.reservation, open(granted.promise), &granted.lines[..], None),
            CampaignEvent::Upserted { .. } | CampaignEvent::Closed { .. } | CampaignEvent::Dropped { .. } => {
                return None;
            }
        },
        Event::Held(_)
        | Event::Merged(_)
        | Event::StockChanged(_)
        | Event::SkusUpserted { .. }
        | Event::SkusRetired { .. }
        | Event::LocationsUpserted { .. }
        | Event::ChannelsUpserted { .. }
        | Event::RegionsUpserted { .. }
        | Event::DocumentDrafted { .. }
        | Event::DocumentActivated { .. }
        | Event::DocumentRetired { .. }
        | Event::CellFactsSet { .. }
        | Event::Allotment(_)
        | Event::Supply(_)
        | Event::Returns(_)
        | Event::Upkeep(_)
        | Event::Rules(_)
        | Event::Summary(_) => return None,
    };
    Some(v1::ReservationUpdate {
        reservation_id: reservation.to_string(),
        state: i32::from(state(after)),
        allocations: allocations(catalogue, lines),
        expire_time: expires_at.map(time::to_wire),
        presold: presold(event).iter().map(|one| supply::presold(catalogue, one)).collect(),
    })
}

/// What a change moved of what is promised from what is expected.
fn presold(event: &Event) -> &[PresoldLine] {
    match event {
        Event::Confirmed { claim } | Event::HoldEnded { claim, .. } | Event::Cancelled { claim, .. } => claim.presold(),
        _ => &[],
    }
}

/// The state of a reservation whose open units are in this bucket.
fn open(promise: Promise) -> State {
    match promise {
        Promise::Reserved => State::Held,
        Promise::Committed => State::Confirmed,
    }
}

pub(crate) fn allocations(catalogue: &Catalogue, lines: &[Line]) -> Vec<v1::Allocation> {
    let allocation = |line: &Line| v1::Allocation {
        sku: catalogue.sku_code(line.sku).to_owned(),
        location: catalogue.directory().location_code(line.location).to_owned(),
        quantity: line.quantity.signed(),
    };
    lines.iter().map(allocation).collect()
}

/// A business "no".
pub(crate) fn rejection(rejection: Rejection) -> v1::Rejection {
    use v1::RejectionReason as Reason;
    let message = rejection.to_string();
    let mut shortages: Vec<CodedShortage> = Vec::new();
    let mut unserved: Vec<CodedUnserved> = Vec::new();
    let mut frozen = None;
    let mut excesses: Vec<AllotmentExcess> = Vec::new();
    let facts = campaign::rejection(&rejection);
    let reason = match rejection {
        Rejection::InsufficientStock { shortages: short } => {
            shortages = short;
            Reason::InsufficientStock
        }
        Rejection::NotRoutable { unserved: left } => {
            unserved = left;
            Reason::NotRoutable
        }
        Rejection::LocationNotOpen { .. } => Reason::LocationNotOpen,
        Rejection::ReservationExpired { .. } => Reason::ReservationExpired,
        Rejection::SkuNotSellable { .. } => Reason::SkuNotSellable,
        Rejection::ChannelNotActive { .. } => Reason::ChannelNotActive,
        Rejection::NothingToMerge { .. } => Reason::NothingToMerge,
        Rejection::MergeNotBetter { .. } => Reason::MergeNotBetter,
        Rejection::ExceedsShipped { shortages: short, .. } => {
            shortages = short;
            Reason::ExceedsShipped
        }
        Rejection::ExceedsAnnounced { shortages: short, .. } => {
            shortages = short;
            Reason::ExceedsAnnounced
        }
        Rejection::ExceedsReceived { shortages: short, .. } => {
            shortages = short;
            Reason::ExceedsReceived
        }

        Rejection::Frozen { sku, location, reasons } => {
            let reasons = reasons.iter().map(|reason| reason.name().to_uppercase()).collect();
            frozen = Some(v1::FrozenStock { sku, location, reasons });
            Reason::Frozen
        }
        Rejection::NotFrozen { .. } => Reason::NotFrozen,
        Rejection::NothingToRepair { .. } => Reason::NothingToRepair,
        Rejection::AllotmentExceedsPool { excesses: found } => {
            excesses = found;
            Reason::AllotmentExceedsPool
        }
        Rejection::AllotmentTooSmall { excesses: found } => {
            excesses = found;
            Reason::AllotmentTooSmall
        }
        Rejection::AllotmentBelowNodesWithin { excesses: found } => {
            excesses = found;
            Reason::AllotmentBelowNodesWithin
        }
        Rejection::CampaignNotStarted { .. } => Reason::CampaignNotStarted,
        Rejection::CampaignEnded { .. } => Reason::CampaignEnded,
        Rejection::NotInCampaign { .. } => Reason::NotInCampaign,
        Rejection::BuyerLimitReached { .. } => Reason::BuyerLimitReached,
        Rejection::OrderLimitReached { .. } => Reason::OrderLimitReached,
        Rejection::CampaignSoldOut { .. } => Reason::CampaignSoldOut,
        Rejection::AlreadyWaiting { .. } => Reason::AlreadyWaiting,
        Rejection::WaitingListFull { .. } => Reason::WaitingListFull,
        Rejection::CampaignNotStocked { .. } => Reason::CampaignNotStocked,
        Rejection::CampaignBelowUsed { .. } => Reason::CampaignBelowUsed,
    };
    let told = |short: CodedShortage| {
        let units = (short.requested, short.available);
        shortage(&short.sku, &short.location, units, short.limited_by, &short.component)
    };
    let left = |one: CodedUnserved| sourced::unserved(&one.sku, one.units, one.reason);
    v1::Rejection {
        reason: i32::from(reason),
        message,
        shortages: shortages.into_iter().map(told).collect(),
        unserved: unserved.into_iter().map(left).collect(),
        frozen,
        allotments: excesses.into_iter().map(excess).collect(),
        campaign: facts,
    }
}

fn shortage(
    sku: &str,
    location: &str,
    (requested, available): (u64, u64),
    by: LimitedBy,
    component: &str,
) -> v1::LineShortage {
    v1::LineShortage {
        sku: sku.into(),
        location: location.into(),
        requested: units(requested),
        available: units(available),
        component: component.into(),
        limited_by: i32::from(limited_by(by)),
    }
}

/// What kept an order from more, as it is told.
pub(crate) fn limited_by(by: LimitedBy) -> v1::LimitedBy {
    match by {
        LimitedBy::Stock => v1::LimitedBy::Stock,
        LimitedBy::Allotment => v1::LimitedBy::Allotment,
        LimitedBy::Ceiling => v1::LimitedBy::Ceiling,
    }
}

fn excess(one: AllotmentExcess) -> v1::AllotmentExcess {
    v1::AllotmentExcess { sku: one.sku, node: one.node, asked: units(one.asked), possible: units(one.possible) }
}

/// A sum of units as it is told. Every sum of quantities over the cells of one machine fits.
pub(crate) fn units(sum: u64) -> i64 {
    i64::try_from(sum).unwrap_or(i64::MAX)
}

/// How many entries of the catalogue an event added and replaced; `None` when it did neither.
pub(crate) fn upserted(event: &Event) -> Option<(i64, i64)> {
    let (entries, created) = match event {
        Event::SkusUpserted { skus, created } => (skus.len(), *created),
        Event::LocationsUpserted { locations, created } => (locations.len(), *created),
        Event::ChannelsUpserted { channels, created } => (channels.len(), *created),
        Event::RegionsUpserted { regions, created } => (regions.len(), *created),
        Event::Summary(summary) => return Some((summary.created.into(), (summary.entries - summary.created).into())),
        Event::Held(_)
        | Event::Confirmed { .. }
        | Event::HoldEnded { .. }
        | Event::Cancelled { .. }
        | Event::Extended { .. }
        | Event::Shipped { .. }
        | Event::Reassigned { .. }
        | Event::Rerouted(_)
        | Event::Merged(_)
        | Event::StockChanged(_)
        | Event::CellFactsSet { .. }
        | Event::DocumentDrafted { .. }
        | Event::DocumentActivated { .. }
        | Event::DocumentRetired { .. }
        | Event::SkusRetired { .. }
        | Event::Allotment(_)
        | Event::Campaign(_)
        | Event::Supply(_)
        | Event::Returns(_)
        | Event::Upkeep(_)
        | Event::Rules(_) => return None,
    };
    Some((i64::from(created), length(entries) - i64::from(created)))
}

/// What a request id led to.
pub(crate) fn outcome(catalogue: &Catalogue, event: &Event) -> v1::get_outcome_response::Outcome {
    use v1::get_outcome_response::Outcome;
    if let Some(held) = event.held() {
        return Outcome::Hold(hold(catalogue, held));
    }
    match update(catalogue, event) {
        Some(update) => Outcome::Update(update),
        None => Outcome::Change(v1::ChangeSummary { event: event.name().to_owned(), entries: entry_count(event) }),
    }
}

/// Cells or entries of the catalogue that an event changed.
pub(crate) fn entry_count(event: &Event) -> i64 {
    match event {
        Event::StockChanged(change) => length(change.changes.len()),
        Event::SkusUpserted { skus, .. } => length(skus.len()),
        Event::SkusRetired { skus } => length(skus.len()),
        Event::LocationsUpserted { locations, .. } => length(locations.len()),
        Event::ChannelsUpserted { channels, .. } => length(channels.len()),
        Event::CellFactsSet { facts } => length(facts.len()),
        Event::RegionsUpserted { regions, .. } => length(regions.len()),
        Event::DocumentDrafted { .. } | Event::DocumentActivated { .. } | Event::DocumentRetired { .. } => 1,
        Event::Summary(summary) => i64::from(summary.entries),
        Event::Merged(merged) => length(merged.moves.len()),
        Event::Held(_)
        | Event::Confirmed { .. }
        | Event::HoldEnded { .. }
        | Event::Cancelled { .. }
        | Event::Extended { .. }
        | Event::Shipped { .. }
        | Event::Reassigned { .. }
        | Event::Rerouted(_) => 0,
        Event::Allotment(event) => allotment::entry_count(event),
        Event::Campaign(change) => match &**change {
            CampaignEvent::Upserted { campaigns, .. } => length(campaigns.len()),
            CampaignEvent::Closed { .. } | CampaignEvent::Granted(_) | CampaignEvent::Dropped { .. } => 1,
        },
        Event::Supply(_) => 1,
        Event::Returns(_) => 1,
        Event::Upkeep(_) => 1,
        Event::Rules(_) => 1,
    }
}

fn length(entries: usize) -> i64 {
    i64::try_from(entries).unwrap_or(i64::MAX)
}
