//! Events to journal bytes and back: encode next to decode.

pub(crate) mod allotment;
pub(crate) mod campaign;
mod documents;
mod fulfilment;
mod hot;
pub(crate) mod returns;
pub(crate) mod rules;
pub mod sourced;
#[cfg(test)]
mod strategies;
pub(crate) mod supply;
pub(crate) mod terms;
pub(crate) mod upkeep;

pub(crate) use documents::{document_from_wire, document_to_wire, region_from_wire, region_to_wire};

use std::borrow::Cow;

use prost::Message as _;
use quartermaster_journal::Lsn;
use quartermaster_proto::journal::v1 as wire;
use thiserror::Error;

use crate::{
    allotment::LimitedBy,
    catalog::{
        Capabilities, Channel, ChannelSpec, Coordinates, GoodsSpec, Location, LocationKind, LocationSpec,
        LocationState, Sku, SkuSpec,
    },
    command::StockReason,
    event::{
        CellChange, CellFacts, Claim, EndState, Event, Facts, Held, HoldEndReason, Line, Lines, PlainEvent, PlainHeld,
        Promise, Record, ShardSet, Shortage, StockChangeKind, StockChanged, Summary,
    },
    id::{ChannelId, LocationId, ReservationId, ShardId, SkuId},
    quantity::Quantity,
    sourced::Sourced,
    time::{Micros, Timestamp},
};

/// Bytes that are no record of this version.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Not protobuf, or cut short.
    #[error("record is no protobuf message of journal.v1.Record: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// A field has a value that this version does not know.
    #[error("record has {field} = {value}, which this version does not know")]
    Unknown {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// A field that every record of its kind has is missing.
    #[error("record has no {field}")]
    Missing {
        /// Name of the field.
        field: &'static str,
    },
    /// The record has no event, or one of a newer version.
    #[error("record has no event that this version knows")]
    NoEvent,
}

/// Appends the bytes of a record.
pub fn encode(record: &Record, bytes: &mut Vec<u8>) {
    let head = Peek {
        time: record.time,
        request_id: &record.request_id,
        fingerprint: record.fingerprint,
        actor: &record.actor,
    };
    encode_parts(&head, &record.event, bytes);
}

/// Appends the bytes of a record that is not put together.
pub(crate) fn encode_parts(head: &Peek<'_>, event: &Event, bytes: &mut Vec<u8>) {
    hot::put_head(bytes, head);
    if !hot::put_event(bytes, event) {
        event_to_wire(event).encode(bytes);
    }
}

/// Appends the bytes of a record of a plain hold.
pub(crate) fn encode_plain(head: &Peek<'_>, held: &PlainHeld<'_>, bytes: &mut Vec<u8>) {
    hot::put_head(bytes, head);
    hot::put_plain(bytes, held);
}

/// Reads a record.
///
/// # Errors
/// When the bytes are no record that this version knows.
pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
    if let Some((head, event)) = hot::decode(bytes) {
        return Ok(Record {
            time: head.time,
            request_id: head.request_id.into(),
            fingerprint: head.fingerprint,
            actor: head.actor.into(),
            event,
        });
    }
    decode_any(bytes)
}

/// Reads when a record was decided and what happened.
///
/// # Errors
/// As `decode`.
pub(crate) fn decode_event(bytes: &[u8]) -> Result<(Timestamp, Event), DecodeError> {
    match hot::decode(bytes) {
        Some((head, event)) => Ok((head.time, event)),
        None => decode_any(bytes).map(|record| (record.time, record.event)),
    }
}

/// Reads the head of a record and what happened. Of the head, texts are those that `peek` finds.
///
/// # Errors
/// As `decode`.
#[inline]
pub(crate) fn decode_parts(bytes: &[u8]) -> Result<(Peek<'_>, Event), DecodeError> {
    match hot::decode(bytes) {
        Some(parts) => Ok(parts),
        None => decode_any(bytes).map(|record| (Peek { time: record.time, ..peek(bytes) }, record.event)),
    }
}

/// Reads the head of a record of a plain event, and that. None when its event is none, or its bytes are not as `encode` puts them: then
/// [`decode_parts`] tells.
#[inline]
pub(crate) fn decode_plain(bytes: &[u8]) -> Option<(Peek<'_>, PlainEvent<'_>)> {
    hot::decode_plain(bytes)
}

/// Reads a record of any kind, as any writer of protobuf may have put it.
fn decode_any(bytes: &[u8]) -> Result<Record, DecodeError> {
    let message = wire::Record::decode(bytes)?;
    Ok(Record {
        time: Timestamp(message.time_us),
        request_id: message.request_id,
        fingerprint: message.fingerprint,
        actor: message.actor,
        event: event_from_wire(message.event.ok_or(DecodeError::NoEvent)?)?,
    })
}

/// The head of a record, read without decoding the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek<'a> {
    /// When it was decided.
    pub time: Timestamp,
    /// Idempotency key.
    pub request_id: &'a str,
    /// Hash of the request's content.
    pub fingerprint: u64,
    /// Who asked.
    pub actor: &'a str,
}

/// Reads the head of a record that `encode` wrote: fields 1 to 4, in order, each absent when it has its default.
#[must_use]
pub fn peek(record: &[u8]) -> Peek<'_> {
    hot::head(&mut hot::Fields(record))
}

/// Reads when a record that `encode` wrote was decided.
pub(crate) fn peek_time(record: &[u8]) -> Timestamp {
    hot::time(&mut hot::Fields(record))
}

/// Reads the idempotency key of a record that `encode` wrote, as it stands.
pub(crate) fn peek_request_id(record: &[u8]) -> &[u8] {
    hot::request_id(&mut hot::Fields(record))
}

/// The record to remember for repeats of its request: itself, or its answer alone where the event is large and the answer is not.
#[must_use]
pub(crate) fn answer<'b>(head: &Peek<'_>, event: &Event, bytes: &'b [u8]) -> Cow<'b, [u8]> {
    let summary = match event {
        Event::SkusUpserted { skus, created } => (skus.len(), *created, 0),
        Event::SkusRetired { skus } => (skus.len(), 0, 0),
        Event::LocationsUpserted { locations, created } => (locations.len(), *created, 0),
        Event::ChannelsUpserted { channels, created } => (channels.len(), *created, 0),
        Event::RegionsUpserted { regions, created } => (regions.len(), *created, 0),
        Event::CellFactsSet { facts } => (facts.len(), 0, 0),
        Event::StockChanged(change) if change.kind == StockChangeKind::Imported => {
            (change.changes.len(), 0, change.changes.iter().filter(|cell| cell.shortfall_after > 0).count())
        }
        Event::Held(held) if held.sourced.as_ref().is_some_and(|sourced| !sourced.traces.is_empty()) => {
            return without_traces(head, held).into();
        }
        Event::DocumentDrafted { document, .. } => {
            let answer = Event::DocumentDrafted { document: document.clone(), json: "".into() };
            return record_of(head, &answer).into();
        }
        Event::Returns(returned) => {
            return returns::without_traces(returned)
                .map_or_else(|| bytes.into(), |event| record_of(head, &event).into());
        }
        Event::Rules(event) => {
            return rules::brief(event)
                .map_or_else(|| bytes.into(), |event| record_of(head, &Event::Rules(Box::new(event))).into());
        }
        _ => return bytes.into(),
    };
    let clamp = |count| u32::try_from(count).unwrap_or(u32::MAX);
    let summary = Event::Summary(Summary {
        event: event.name().into(),
        entries: clamp(summary.0),
        created: summary.1,
        shortfalls: clamp(summary.2),
    });
    record_of(head, &summary).into()
}

fn record_of(head: &Peek<'_>, event: &Event) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_parts(head, event, &mut bytes);
    bytes
}

/// A hold as its repeat tells it: what the decision met stays in the log.
fn without_traces(head: &Peek<'_>, held: &Held) -> Vec<u8> {
    let sourced = held.sourced.as_deref().map(|sourced| {
        Box::new(Sourced {
            ask: sourced.ask.clone(),
            wanted: sourced.wanted.clone(),
            decision: sourced.decision.clone(),
            bookings: sourced.bookings.clone(),
            traces: Vec::new(),
        })
    });
    let held = Held {
        reservation: held.reservation,
        order_id: held.order_id.clone(),
        buyer_id: held.buyer_id.clone(),
        channel: held.channel,
        expires_at: held.expires_at,
        lines: held.lines.clone(),
        replaced: held.replaced.clone(),
        replaced_bookings: held.replaced_bookings.clone(),
        shortages: held.shortages.clone(),
        sourced,
        terms: held.terms.clone(),
    };
    let mut bytes = Vec::new();
    encode_parts(head, &Event::Held(held), &mut bytes);
    bytes
}

fn event_to_wire(event: &Event) -> wire::record::Event {
    match event {
        Event::Held(held) => wire::record::Event::Held(wire::Held {
            reservation: held.reservation.0,
            order_id: held.order_id.to_string(),
            buyer_id: held.buyer_id.to_string(),
            channel: held.channel.map_or(0, |channel| channel.0 + 1),
            expire_time_us: held.expires_at.0,
            lines: lines_to_wire(&held.lines),
            replaced: held.replaced.as_deref().and_then(claim_to_wire),
            shortages: held
                .shortages
                .iter()
                .map(|short| wire::Shortage {
                    sku: short.sku.0,
                    location: short.location.map_or(0, |location| location.0 + 1),
                    requested: short.requested,
                    available: short.available,
                    limited_by: short.limited_by.number(),
                    component: short.component.map_or(0, |sku| sku.0 + 1),
                })
                .collect(),
            sourced: held.sourced.as_deref().map(sourced::sourced_to_wire),
            replaced_bookings: sourced::bookings_to_wire(&held.replaced_bookings),
            terms: held.terms.as_deref().map(terms::terms_to_wire),
        }),
        Event::Confirmed { claim } => wire::record::Event::Confirmed(wire::Confirmed { claim: claim_to_wire(claim) }),
        Event::HoldEnded { claim, reason, bookings } => wire::record::Event::HoldEnded(wire::HoldEnded {
            claim: claim_to_wire(claim),
            reason: match reason {
                HoldEndReason::Released => wire::HoldEndReason::Released,
                HoldEndReason::Expired => wire::HoldEndReason::Expired,
            }
            .into(),
            bookings: sourced::bookings_to_wire(bookings),
        }),
        Event::Cancelled { claim, promise, end, bookings } => wire::record::Event::Cancelled(wire::Cancelled {
            claim: claim_to_wire(claim),
            promise: promise_to_wire(*promise),
            end_state: end_to_wire(*end),
            bookings: sourced::bookings_to_wire(bookings),
        }),
        Event::Extended { reservation, expires_at } => {
            wire::record::Event::Extended(wire::Extended { reservation: reservation.0, expire_time_us: expires_at.0 })
        }
        Event::Shipped { claim, end } => {
            wire::record::Event::Shipped(wire::Shipped { claim: claim_to_wire(claim), end_state: end_to_wire(*end) })
        }
        Event::Reassigned { reservation, promise, line, from } => wire::record::Event::Reassigned(wire::Reassigned {
            reservation: reservation.0,
            promise: promise_to_wire(*promise),
            sku: line.sku.0,
            from_location: from.0,
            to_location: line.location.0,
            quantity: line.quantity.0,
        }),
        Event::StockChanged(change) => wire::record::Event::StockChanged(wire::StockChanged {
            kind: match change.kind {
                StockChangeKind::Set => wire::StockChangeKind::Set,
                StockChangeKind::Adjusted => wire::StockChangeKind::Adjusted,
                StockChangeKind::Received => wire::StockChangeKind::Received,
                StockChangeKind::Moved => wire::StockChangeKind::Moved,
                StockChangeKind::Imported => wire::StockChangeKind::Imported,
            }
            .into(),
            reason: change.reason.0,
            reference: change.reference.to_string(),
            changes: change.changes.iter().map(change_to_wire).collect(),
        }),
        Event::SkusUpserted { skus, created } => wire::record::Event::SkusUpserted(wire::SkusUpserted {
            skus: skus.iter().map(sku_to_wire).collect(),
            created: *created,
        }),
        Event::SkusRetired { skus } => {
            wire::record::Event::SkusRetired(wire::SkusRetired { skus: skus.iter().map(|sku| sku.0).collect() })
        }
        Event::LocationsUpserted { locations, created } => {
            wire::record::Event::LocationsUpserted(wire::LocationsUpserted {
                locations: locations.iter().map(location_to_wire).collect(),
                created: *created,
            })
        }
        Event::ChannelsUpserted { channels, created } => {
            wire::record::Event::ChannelsUpserted(wire::ChannelsUpserted {
                channels: channels.iter().map(channel_to_wire).collect(),
                created: *created,
            })
        }
        Event::Rerouted(rerouted) => wire::record::Event::Rerouted(sourced::rerouted_to_wire(rerouted)),
        Event::Merged(merged) => wire::record::Event::Merged(sourced::merged_to_wire(merged)),
        Event::RegionsUpserted { regions, created } => wire::record::Event::RegionsUpserted(wire::RegionsUpserted {
            regions: regions.iter().map(region_to_wire).collect(),
            created: *created,
        }),
        Event::DocumentDrafted { document, json } => {
            wire::record::Event::DocumentDrafted(documents::drafted_to_wire(document, json))
        }
        Event::DocumentActivated { document, effective_at } => {
            wire::record::Event::DocumentActivated(documents::activated_to_wire(document, *effective_at))
        }
        Event::DocumentRetired { document } => {
            wire::record::Event::DocumentRetired(documents::retired_to_wire(document))
        }
        Event::CellFactsSet { facts } => {
            wire::record::Event::CellFactsSet(wire::CellFactsSet { facts: facts.iter().map(facts_to_wire).collect() })
        }
        Event::Allotment(event) => wire::record::Event::Allotment(allotment::to_wire(event)),
        Event::Campaign(event) => wire::record::Event::Campaign(campaign::to_wire(event)),
        Event::Supply(event) => wire::record::Event::Supply(supply::to_wire(event)),
        Event::Returns(event) => wire::record::Event::Returns(returns::to_wire(event)),
        Event::Upkeep(event) => wire::record::Event::Upkeep(upkeep::to_wire(event)),
        Event::Rules(event) => wire::record::Event::Rules(rules::to_wire(event)),
        Event::Summary(summary) => wire::record::Event::Summary(wire::Summary {
            event: summary.event.to_string(),
            entries: summary.entries,
            created: summary.created,
            shortfalls: summary.shortfalls,
        }),
    }
}

fn event_from_wire(event: wire::record::Event) -> Result<Event, DecodeError> {
    Ok(match event {
        wire::record::Event::Held(held) => Event::Held(Held {
            reservation: ReservationId(held.reservation),
            order_id: held.order_id.into(),
            buyer_id: held.buyer_id.into(),
            channel: held.channel.checked_sub(1).map(ChannelId),
            expires_at: Timestamp(held.expire_time_us),
            lines: lines_from_wire(&held.lines),
            replaced: held.replaced.map(|claim| Box::new(claim_from_wire(&claim))),
            shortages: held
                .shortages
                .iter()
                .map(|short| Shortage {
                    sku: SkuId(short.sku),
                    location: short.location.checked_sub(1).map(LocationId),
                    requested: short.requested,
                    available: short.available,
                    limited_by: LimitedBy::of(short.limited_by),
                    component: short.component.checked_sub(1).map(SkuId),
                })
                .collect(),
            sourced: held.sourced.map(sourced::sourced_from_wire).transpose()?.map(Box::new),
            terms: held.terms.as_ref().map(terms::terms_from_wire).transpose()?.map(Box::new),
            replaced_bookings: sourced::bookings_from_wire(&held.replaced_bookings)?,
        }),
        wire::record::Event::Confirmed(confirmed) => Event::Confirmed { claim: required(confirmed.claim.as_ref())? },
        wire::record::Event::HoldEnded(ended) => Event::HoldEnded {
            claim: required(ended.claim.as_ref())?,
            reason: match wire::HoldEndReason::try_from(ended.reason) {
                Ok(wire::HoldEndReason::Released) => HoldEndReason::Released,
                Ok(wire::HoldEndReason::Expired) => HoldEndReason::Expired,
                Ok(wire::HoldEndReason::Unspecified) | Err(_) => {
                    return Err(unknown("hold_ended.reason", ended.reason));
                }
            },
            bookings: sourced::bookings_from_wire(&ended.bookings)?,
        },
        wire::record::Event::Cancelled(cancelled) => Event::Cancelled {
            claim: required(cancelled.claim.as_ref())?,
            promise: promise_from_wire(cancelled.promise)?,
            end: end_from_wire(cancelled.end_state)?,
            bookings: sourced::bookings_from_wire(&cancelled.bookings)?,
        },
        wire::record::Event::Extended(extended) => Event::Extended {
            reservation: ReservationId(extended.reservation),
            expires_at: Timestamp(extended.expire_time_us),
        },
        wire::record::Event::Shipped(shipped) => {
            Event::Shipped { claim: required(shipped.claim.as_ref())?, end: end_from_wire(shipped.end_state)? }
        }
        wire::record::Event::Reassigned(step) => Event::Reassigned {
            reservation: ReservationId(step.reservation),
            promise: promise_from_wire(step.promise)?,
            line: Line {
                sku: SkuId(step.sku),
                location: LocationId(step.to_location),
                quantity: Quantity(step.quantity),
            },
            from: LocationId(step.from_location),
        },
        wire::record::Event::StockChanged(change) => Event::StockChanged(StockChanged {
            kind: match wire::StockChangeKind::try_from(change.kind) {
                Ok(wire::StockChangeKind::Set) => StockChangeKind::Set,
                Ok(wire::StockChangeKind::Adjusted) => StockChangeKind::Adjusted,
                Ok(wire::StockChangeKind::Received) => StockChangeKind::Received,
                Ok(wire::StockChangeKind::Moved) => StockChangeKind::Moved,
                Ok(wire::StockChangeKind::Imported) => StockChangeKind::Imported,
                Ok(wire::StockChangeKind::Unspecified) | Err(_) => {
                    return Err(unknown("stock_changed.kind", change.kind));
                }
            },
            reason: StockReason(change.reason),
            reference: change.reference.into(),
            changes: change.changes.iter().map(change_from_wire).collect(),
        }),
        wire::record::Event::SkusUpserted(upserted) => Event::SkusUpserted {
            skus: upserted.skus.into_iter().map(sku_from_wire).collect(),
            created: upserted.created,
        },
        wire::record::Event::SkusRetired(retired) => {
            Event::SkusRetired { skus: retired.skus.into_iter().map(SkuId).collect() }
        }
        wire::record::Event::LocationsUpserted(upserted) => Event::LocationsUpserted {
            locations: upserted.locations.into_iter().map(location_from_wire).collect::<Result<_, _>>()?,
            created: upserted.created,
        },
        wire::record::Event::ChannelsUpserted(upserted) => Event::ChannelsUpserted {
            channels: upserted.channels.into_iter().map(channel_from_wire).collect(),
            created: upserted.created,
        },
        wire::record::Event::Summary(summary) => Event::Summary(Summary {
            event: summary.event.into(),
            entries: summary.entries,
            created: summary.created,
            shortfalls: summary.shortfalls,
        }),
        wire::record::Event::Rerouted(rerouted) => Event::Rerouted(Box::new(sourced::rerouted_from_wire(rerouted)?)),
        wire::record::Event::Merged(merged) => Event::Merged(Box::new(sourced::merged_from_wire(merged)?)),
        wire::record::Event::Allotment(event) => Event::Allotment(Box::new(allotment::from_wire(event)?)),
        wire::record::Event::Campaign(event) => Event::Campaign(Box::new(campaign::from_wire(event)?)),
        wire::record::Event::Supply(event) => Event::Supply(Box::new(supply::from_wire(event)?)),
        wire::record::Event::Returns(event) => Event::Returns(Box::new(returns::from_wire(event)?)),
        wire::record::Event::Upkeep(event) => Event::Upkeep(Box::new(upkeep::from_wire(event)?)),
        wire::record::Event::Rules(event) => Event::Rules(Box::new(rules::from_wire(event)?)),
        wire::record::Event::CellFactsSet(set) => {
            Event::CellFactsSet { facts: set.facts.iter().map(facts_from_wire).collect::<Result<_, _>>()? }
        }
        wire::record::Event::RegionsUpserted(upserted) => Event::RegionsUpserted {
            regions: upserted.regions.into_iter().map(region_from_wire).collect(),
            created: upserted.created,
        },
        wire::record::Event::DocumentDrafted(drafted) => documents::drafted_from_wire(drafted)?,
        wire::record::Event::DocumentActivated(activated) => documents::activated_from_wire(activated)?,
        wire::record::Event::DocumentRetired(retired) => documents::retired_from_wire(retired)?,
    })
}

fn unknown(field: &'static str, value: impl Into<i64>) -> DecodeError {
    DecodeError::Unknown { field, value: value.into() }
}

fn claim_to_wire(claim: &Claim) -> Option<wire::Claim> {
    Some(wire::Claim {
        reservation: claim.reservation.0,
        lines: lines_to_wire(&claim.lines),
        other_shards: shards_to_wire(&claim.others),
        presold: claim.extra.iter().flat_map(|extra| terms::presold_to_wire(&extra.presold)).collect(),
        bought: claim.extra.as_ref().and_then(|extra| extra.bought.as_ref()).map(terms::bought_to_wire),
        kits: claim.extra.iter().flat_map(|extra| extra.kits.iter().map(terms::kit_to_wire)).collect(),
    })
}

fn claim_from_wire(claim: &wire::Claim) -> Claim {
    Claim {
        reservation: ReservationId(claim.reservation),
        lines: lines_from_wire(&claim.lines),
        others: shards_from_wire(&claim.other_shards),
        extra: terms::extra_from_wire(claim),
    }
}

fn required(claim: Option<&wire::Claim>) -> Result<Claim, DecodeError> {
    claim.map(claim_from_wire).ok_or(DecodeError::Missing { field: "claim" })
}

pub(crate) fn shards_to_wire(shards: &ShardSet) -> Vec<u8> {
    shards.iter().map(|shard| shard.0).collect()
}

pub(crate) fn shards_from_wire(shards: &[u8]) -> ShardSet {
    shards.iter().copied().map(ShardId).collect()
}

fn lines_to_wire(lines: &[Line]) -> Vec<wire::Line> {
    lines
        .iter()
        .map(|line| wire::Line { sku: line.sku.0, location: line.location.0, quantity: line.quantity.0 })
        .collect()
}

fn lines_from_wire(lines: &[wire::Line]) -> Lines {
    lines
        .iter()
        .map(|line| Line {
            sku: SkuId(line.sku),
            location: LocationId(line.location),
            quantity: Quantity(line.quantity),
        })
        .collect()
}

pub(crate) fn promise_to_wire(promise: Promise) -> i32 {
    match promise {
        Promise::Reserved => wire::Promise::Reserved,
        Promise::Committed => wire::Promise::Committed,
    }
    .into()
}

pub(crate) fn promise_from_wire(promise: i32) -> Result<Promise, DecodeError> {
    match wire::Promise::try_from(promise) {
        Ok(wire::Promise::Reserved) => Ok(Promise::Reserved),
        Ok(wire::Promise::Committed) => Ok(Promise::Committed),
        Ok(wire::Promise::Unspecified) | Err(_) => Err(unknown("promise", promise)),
    }
}

fn end_to_wire(end: Option<EndState>) -> i32 {
    match end {
        None => wire::EndState::Unspecified,
        Some(EndState::Shipped) => wire::EndState::Shipped,
        Some(EndState::Cancelled) => wire::EndState::Cancelled,
    }
    .into()
}

fn end_from_wire(end: i32) -> Result<Option<EndState>, DecodeError> {
    match wire::EndState::try_from(end) {
        Ok(wire::EndState::Unspecified) => Ok(None),
        Ok(wire::EndState::Shipped) => Ok(Some(EndState::Shipped)),
        Ok(wire::EndState::Cancelled) => Ok(Some(EndState::Cancelled)),
        Err(_) => Err(unknown("end_state", end)),
    }
}

fn change_to_wire(change: &CellChange) -> wire::CellChange {
    wire::CellChange {
        sku: change.sku.0,
        location: change.location.0,
        on_hand: change.on_hand,
        safety: change.safety,
        quality_control: change.quality_control,
        damaged: change.damaged,
        in_repair: change.in_repair,
        incoming: change.incoming,
        on_hand_after: change.on_hand_after.0,
        available_after: change.available_after.0,
        shortfall_after: change.shortfall_after,
    }
}

fn change_from_wire(change: &wire::CellChange) -> CellChange {
    CellChange {
        sku: SkuId(change.sku),
        location: LocationId(change.location),
        on_hand: change.on_hand,
        safety: change.safety,
        quality_control: change.quality_control,
        damaged: change.damaged,
        in_repair: change.in_repair,
        incoming: change.incoming,
        on_hand_after: Quantity(change.on_hand_after),
        available_after: Quantity(change.available_after),
        shortfall_after: change.shortfall_after,
    }
}

pub(crate) fn facts_to_wire(cell: &CellFacts) -> wire::CellFacts {
    wire::CellFacts {
        sku: cell.sku.0,
        location: cell.location.0,
        weekly_demand_milli: cell.facts.weekly_demand_milli.map_or(0, |demand| u64::from(demand) + 1),
        oldest_receipt_day: cell.facts.oldest_receipt_day.map_or(0, |day| day.saturating_add(1)),
    }
}

pub(crate) fn facts_from_wire(cell: &wire::CellFacts) -> Result<CellFacts, DecodeError> {
    let demand = cell.weekly_demand_milli.checked_sub(1).map(u32::try_from).transpose();
    let too_much = i64::try_from(cell.weekly_demand_milli).unwrap_or(i64::MAX);
    Ok(CellFacts {
        sku: SkuId(cell.sku),
        location: LocationId(cell.location),
        facts: Facts {
            weekly_demand_milli: demand.map_err(|_| unknown("cell_facts.weekly_demand_milli", too_much))?,
            oldest_receipt_day: cell.oldest_receipt_day.checked_sub(1),
        },
    })
}

pub(crate) fn sku_to_wire(sku: &Sku) -> wire::Sku {
    let spec = &sku.spec;
    wire::Sku {
        id: sku.id.0,
        code: spec.code.clone(),
        style: spec.style.clone(),
        colour: spec.colour.clone(),
        size: spec.size.clone(),
        attributes: spec
            .attributes
            .iter()
            .map(|(key, value)| wire::Attribute { key: key.clone(), value: value.clone() })
            .collect(),
        weight_grams: spec.weight_grams,
        currency: spec.currency.clone(),
        unit_value: spec.unit_value,
        sellable: spec.sellable,
        retired_lsn: sku.retired.map_or(0, Lsn::get),
        category: spec.goods.category.clone(),
        dimensions_mm: if spec.goods.dimensions_mm == [0; 3] { Vec::new() } else { spec.goods.dimensions_mm.into() },
        dangerous_goods: spec.goods.dangerous_goods.clone(),
        temperature: spec.goods.temperature.clone(),
        components: upkeep::components_to_wire(sku),
    }
}

pub(crate) fn sku_from_wire(sku: wire::Sku) -> Sku {
    Sku {
        id: SkuId(sku.id),
        spec: SkuSpec {
            code: sku.code,
            style: sku.style,
            colour: sku.colour,
            size: sku.size,
            attributes: sku.attributes.into_iter().map(|attribute| (attribute.key, attribute.value)).collect(),
            weight_grams: sku.weight_grams,
            currency: sku.currency,
            unit_value: sku.unit_value,
            sellable: sku.sellable,
            goods: GoodsSpec {
                category: sku.category,
                dimensions_mm: std::array::from_fn(|side| sku.dimensions_mm.get(side).copied().unwrap_or(0)),
                dangerous_goods: sku.dangerous_goods,
                temperature: sku.temperature,
            },
            components: sku.components.iter().map(|part| (part.code.clone(), part.units)).collect(),
        },
        components: sku.components.iter().map(upkeep::component_from_wire).collect(),
        retired: (sku.retired_lsn > 0).then(|| Lsn::new(sku.retired_lsn)),
    }
}

pub(crate) fn location_to_wire(location: &Location) -> wire::Location {
    let spec = &location.spec;
    wire::Location {
        id: location.id.0,
        code: spec.code.clone(),
        name: spec.name.clone(),
        kind: match spec.kind {
            LocationKind::Unspecified => 0,
            LocationKind::DistributionCentre => 1,
            LocationKind::ForwardWarehouse => 2,
            LocationKind::Store => 3,
            LocationKind::ThirdParty => 4,
            LocationKind::Supplier => 5,
        },
        located: spec.coordinates.is_some(),
        latitude_e7: spec.coordinates.map_or(0, |at| at.latitude_e7),
        longitude_e7: spec.coordinates.map_or(0, |at| at.longitude_e7),
        region: spec.region.clone(),
        capabilities: spec.capabilities.0,
        state: match spec.state {
            LocationState::Open => 1,
            LocationState::Paused => 2,
            LocationState::Closed => 3,
        },
        priority: spec.priority,
        fulfilment: fulfilment::to_wire(&spec.fulfilment),
    }
}

pub(crate) fn location_from_wire(location: wire::Location) -> Result<Location, DecodeError> {
    Ok(Location {
        id: LocationId(location.id),
        spec: LocationSpec {
            code: location.code,
            name: location.name,
            kind: match location.kind {
                0 => LocationKind::Unspecified,
                1 => LocationKind::DistributionCentre,
                2 => LocationKind::ForwardWarehouse,
                3 => LocationKind::Store,
                4 => LocationKind::ThirdParty,
                5 => LocationKind::Supplier,
                kind => return Err(unknown("location.kind", kind)),
            },
            coordinates: location
                .located
                .then_some(Coordinates { latitude_e7: location.latitude_e7, longitude_e7: location.longitude_e7 }),
            region: location.region,
            capabilities: Capabilities(location.capabilities),
            state: match location.state {
                1 => LocationState::Open,
                2 => LocationState::Paused,
                3 => LocationState::Closed,
                state => return Err(unknown("location.state", state)),
            },
            priority: location.priority,
            fulfilment: fulfilment::from_wire(location.fulfilment)?,
        },
    })
}

pub(crate) fn channel_to_wire(channel: &Channel) -> wire::Channel {
    wire::Channel {
        id: channel.id.0,
        code: channel.spec.code.clone(),
        name: channel.spec.name.clone(),
        active: channel.spec.active,
        parent: channel.spec.parent.clone(),
        priority: channel.spec.priority,
        safety_units: channel.spec.safety_units,
        deduction: campaign::deduction_to_wire(channel.spec.deduction),
        hold_ttl_us: channel.spec.hold_ttl.map_or(0, |ttl| ttl.0),
    }
}

pub(crate) fn channel_from_wire(channel: wire::Channel) -> Channel {
    Channel {
        id: ChannelId(channel.id),
        spec: ChannelSpec {
            code: channel.code,
            name: channel.name,
            active: channel.active,
            parent: channel.parent,
            priority: channel.priority,
            safety_units: channel.safety_units,
            deduction: campaign::deduction_from_wire(channel.deduction),
            hold_ttl: (channel.hold_ttl_us > 0).then_some(Micros(channel.hold_ttl_us)),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::{
        strategies::{bookings, events, sourced},
        *,
    };
    use crate::{
        event::{PlainStep, Stepped},
        terms::ClaimExtra,
    };

    fn lines() -> impl Strategy<Value = Lines> + Clone {
        let line = (any::<u32>(), 0_u32..300, any::<u32>()).prop_map(|(sku, location, quantity)| Line {
            sku: SkuId(sku),
            location: LocationId(location),
            quantity: Quantity(quantity),
        });
        vec(line, 0..40).prop_map(Lines::from_vec)
    }

    fn claim() -> impl Strategy<Value = Claim> {
        let extra = option::weighted(0.3, campaign::strategies::extra(lines()));
        (any::<u64>(), lines(), vec(any::<u8>(), 0..4), extra).prop_map(|(id, lines, others, extra)| Claim {
            reservation: ReservationId(id),
            lines,
            others: others.into_iter().map(ShardId).collect(),
            extra: extra.filter(|extra| *extra != ClaimExtra::default()).map(Box::new),
        })
    }

    fn is_hot(claim: &Claim) -> bool {
        claim.extra.as_ref().is_none_or(|extra| extra.presold.is_empty() && extra.kits.is_empty())
    }

    fn held() -> impl Strategy<Value = Event> {
        let shortage = (any::<u32>(), option::of(0_u32..300), any::<u64>(), 0_u64..2);
        let shortage = shortage.prop_map(|(sku, location, requested, available)| Shortage {
            sku: SkuId(sku),
            location: location.map(LocationId),
            requested,
            available,
            limited_by: LimitedBy::of(u32::try_from(requested % 3).unwrap_or(0)),
            component: (available == 1 && sku % 8 == 0).then_some(SkuId(sku / 2)),
        });
        let texts = (".{0,40}", "[a-z]{0,200}");
        let rest = (option::of(0_u32..9), any::<u64>(), lines(), option::of(claim()), vec(shortage, 0..3));
        // Most holds come without a router.
        let routed = prop_oneof![2 => Just((None, Box::default())), 1 => (option::of(sourced()), bookings())];
        let terms = option::of(campaign::strategies::terms(lines()));
        (any::<u64>(), texts, rest, routed, terms).prop_map(
            |(id, (order_id, buyer_id), rest, (sourced, replaced_bookings), terms)| {
                let (channel, at, lines, replaced, shortages) = rest;
                Event::Held(Held {
                    reservation: ReservationId(id),
                    order_id: order_id.into(),
                    buyer_id: buyer_id.into(),
                    channel: channel.map(ChannelId),
                    expires_at: Timestamp(at),
                    lines,
                    replaced: replaced.map(Box::new),
                    replaced_bookings,
                    shortages,
                    sourced: sourced.map(Box::new),
                    terms: terms.map(Box::new),
                })
            },
        )
    }

    /// Holds and steps of one line, in the home shard of their reservation.
    fn plain() -> impl Strategy<Value = Event> {
        let line = (any::<u32>(), 0_u32..300, any::<u32>()).prop_map(|(sku, location, quantity)| Line {
            sku: SkuId(sku),
            location: LocationId(location),
            quantity: Quantity(quantity),
        });
        let step = prop_oneof![
            Just(Stepped::Confirmed),
            Just(Stepped::HoldEnded(HoldEndReason::Released)),
            Just(Stepped::HoldEnded(HoldEndReason::Expired)),
            Just(Stepped::Shipped(None)),
            Just(Stepped::Shipped(Some(EndState::Shipped))),
            Just(Stepped::Shipped(Some(EndState::Cancelled))),
        ];
        let texts = (".{0,40}", "[a-z]{0,200}", option::of(0_u32..9), any::<u64>());
        (0_u64..1 << 56, line, option::of(step), texts).prop_map(
            |(sequence, line, step, (order, buyer, channel, at))| {
                let reservation = ReservationId::new(sequence, line.sku.shard());
                if let Some(what) = step {
                    return event_of(PlainEvent::Stepped(PlainStep { reservation, line, what }));
                }
                event_of(PlainEvent::Held(PlainHeld {
                    reservation,
                    order_id: &order,
                    buyer_id: &buyer,
                    channel: channel.map(ChannelId),
                    expires_at: Timestamp(at),
                    line,
                }))
            },
        )
    }

    /// The event that a plain one is.
    fn event_of(plain: PlainEvent<'_>) -> Event {
        match plain {
            PlainEvent::Held(held) => Event::Held(held.to_held()),
            PlainEvent::Stepped(step) => match step.what {
                Stepped::Confirmed => Event::Confirmed { claim: step.claim() },
                Stepped::HoldEnded(reason) => {
                    Event::HoldEnded { claim: step.claim(), reason, bookings: Box::default() }
                }
                Stepped::Shipped(end) => Event::Shipped { claim: step.claim(), end },
            },
        }
    }

    /// Whether it is among those that `decode_plain` reads.
    fn is_plain(event: &Event) -> bool {
        let is_one = |claim: &Claim| {
            let home = claim.reservation.home();
            let is_there = matches!(&claim.lines[..], [line] if line.sku.shard() == home);
            is_there && claim.others == ShardSet::default() && claim.extra.is_none()
        };
        match event {
            Event::Held(held) => held.plain().is_some() && held.replaced_bookings.is_empty(),
            Event::Confirmed { claim } | Event::Shipped { claim, .. } => is_one(claim),
            Event::HoldEnded { claim, bookings, .. } => is_one(claim) && bookings.is_empty(),
            _ => false,
        }
    }

    fn event() -> impl Strategy<Value = Event> {
        let promise = prop_oneof![Just(Promise::Reserved), Just(Promise::Committed)];
        let end = || prop_oneof![Just(None), Just(Some(EndState::Shipped)), Just(Some(EndState::Cancelled))];
        let reason = prop_oneof![Just(HoldEndReason::Released), Just(HoldEndReason::Expired)];
        let freed = || prop_oneof![Just(Box::default()), bookings()];
        prop_oneof![
            2 => plain(),
            1 => held(),
            1 => claim().prop_map(|claim| Event::Confirmed { claim }),
            1 => (claim(), reason, freed()).prop_map(|(claim, reason, bookings)| Event::HoldEnded {
                claim,
                reason,
                bookings
            }),
            1 => (claim(), promise, end(), freed()).prop_map(|(claim, promise, end, bookings)| Event::Cancelled {
                claim,
                promise,
                end,
                bookings
            }),
            1 => events(lines()),
            1 => campaign::strategies::events(lines()),
            1 => (claim(), end()).prop_map(|(claim, end)| Event::Shipped { claim, end }),
            1 => (any::<u64>(), 0_u64..3)
                .prop_map(|(id, at)| Event::Extended { reservation: ReservationId(id), expires_at: Timestamp(at) }),
            1 => vec(any::<u32>(), 0..3).prop_map(|skus| Event::SkusRetired { skus: skus.into_iter().map(SkuId).collect() }),
        ]
    }

    fn record() -> impl Strategy<Value = Record> {
        let head = (prop_oneof![Just(0), any::<u64>()], ".{0,64}", any::<u64>(), "[a-z]{0,3}");
        (head, event()).prop_map(|((time, request_id, fingerprint, actor), event)| Record {
            time: Timestamp(time),
            request_id,
            fingerprint,
            actor,
            event,
        })
    }

    fn by_prost(record: &Record) -> Vec<u8> {
        let message = wire::Record {
            time_us: record.time.0,
            request_id: record.request_id.clone(),
            fingerprint: record.fingerprint,
            actor: record.actor.clone(),
            event: Some(event_to_wire(&record.event)),
        };
        message.encode_to_vec()
    }

    proptest! {
        #[test]
        fn a_record_is_written_as_prost_writes_it_and_read_as_it_was(record in record()) {
            let mut bytes = Vec::new();
            encode(&record, &mut bytes);
            prop_assert_eq!(&bytes, &by_prost(&record));
            prop_assert_eq!(&decode(&bytes).unwrap(), &record);
            prop_assert_eq!(&decode_any(&bytes).unwrap(), &record);
            let hot = match &record.event {
                Event::Held(held) => {
                    let terms = held.terms.as_ref();
                    held.sourced.is_none()
                        && held.replaced_bookings.is_empty()
                        && held.replaced.as_deref().is_none_or(is_hot)
                        && terms.is_none_or(|terms| terms.presold.is_empty() && terms.kits.is_empty())
                        && held.shortages.iter().all(|short| short.component.is_none())
                }
                Event::HoldEnded { claim, bookings, .. } | Event::Cancelled { claim, bookings, .. } => {
                    bookings.is_empty() && is_hot(claim)
                }
                Event::Confirmed { claim } | Event::Shipped { claim, .. } => is_hot(claim),
                Event::Campaign(_) => false,
                Event::SkusRetired { .. } | Event::Rerouted(_) | Event::Merged(_) => false,
                _ => true,
            };
            prop_assert_eq!(hot::decode(&bytes).is_some(), hot);
            let plain = decode_plain(&bytes).map(|(head, plain)| (head, event_of(plain)));
            prop_assert_eq!(plain.is_some(), is_plain(&record.event));
            prop_assert!(plain.is_none_or(|(head, event)| head == peek(&bytes) && event == record.event));
            let head = peek(&bytes);
            prop_assert_eq!(head.time, record.time);
            prop_assert_eq!(head.request_id, &record.request_id);
            prop_assert_eq!((head.fingerprint, head.actor), (record.fingerprint, &*record.actor));
        }

        /// Of bytes that are not what was written, either nothing is made, or the same as prost makes of them.
        #[test]
        fn damaged_bytes_are_never_read_otherwise_than_by_prost(
            record in record(),
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = by_prost(&record);
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
            if let Some((head, plain)) = decode_plain(&bytes) {
                prop_assert_eq!(hot::decode(&bytes), Some((head, event_of(plain))));
            }
            if let Some((head, event)) = hot::decode(&bytes) {
                let read = decode_any(&bytes).unwrap();
                prop_assert_eq!((head.time, head.request_id), (read.time, &*read.request_id));
                prop_assert_eq!((head.fingerprint, head.actor), (read.fingerprint, &*read.actor));
                prop_assert_eq!(event, read.event);
            }
        }
    }
}
