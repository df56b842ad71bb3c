//! Records of the journal to bytes and back. What events are in them has its own files, encode next to decode: `hot` for what nearly every record
//! holds, `events` for all, and one for each area.

pub(crate) mod allotment;
pub(crate) mod campaign;
mod catalogue;
mod documents;
mod events;
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

use self::events::{
    claim_to_wire, end_from_wire, end_to_wire, event_from_wire, event_to_wire, lines_from_wire, lines_to_wire, required,
};
pub(crate) use self::{
    catalogue::{channel_from_wire, channel_to_wire, location_from_wire, location_to_wire, sku_from_wire, sku_to_wire},
    documents::{document_from_wire, document_to_wire, region_from_wire, region_to_wire},
    events::{facts_from_wire, facts_to_wire, promise_from_wire, promise_to_wire, shards_from_wire, shards_to_wire},
};

use std::borrow::Cow;

use prost::Message as _;
use quartermaster_proto::journal::v1 as wire;
use thiserror::Error;

use crate::{
    event::{Event, Held, PlainEvent, PlainHeld, Record, StockChangeKind, Summary},
    sourced::Sourced,
    time::Timestamp,
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
    record_of(head, &Event::Held(held))
}

fn unknown(field: &'static str, value: impl Into<i64>) -> DecodeError {
    DecodeError::Unknown { field, value: value.into() }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::{
        strategies::{bookings, events, sourced},
        *,
    };
    use crate::{
        allotment::LimitedBy,
        event::{Claim, EndState, HoldEndReason, Line, Lines, PlainStep, Promise, ShardSet, Shortage, Stepped},
        id::{ChannelId, LocationId, ReservationId, ShardId, SkuId},
        quantity::Quantity,
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
