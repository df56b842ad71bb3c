//! The events of every order, straight from memory to protobuf bytes and back, without prost's structs between.
//!
//! What is written is byte for byte what prost writes. What is read is what is written here: of anything else `decode` makes nothing,
//! and prost decides what it is.

use quartermaster_proto::fields::{self, put_bytes, put_fixed64, put_message, put_number, put_varint};
use smallvec::SmallVec;

use super::{
    Peek, end_from_wire, end_to_wire, promise_from_wire, promise_to_wire, shards_from_wire, shards_to_wire,
    terms::{stage_from_wire, stage_to_wire},
    wire,
};
use crate::{
    allotment::LimitedBy,
    event::{Claim, Event, Held, HoldEndReason, Line, Lines, PlainEvent, PlainHeld, PlainStep, Shortage, Stepped},
    id::{CampaignId, ChannelId, LocationId, NodeId, ReservationId, SkuId},
    quantity::Quantity,
    terms::{Bought, ClaimExtra, Terms, Wanted},
    time::Timestamp,
};

/// Appends the fields of a record that stand before its event.
pub(super) fn put_head(bytes: &mut Vec<u8>, head: &Peek<'_>) {
    put_fixed64(bytes, 1, head.time.0);
    put_bytes(bytes, 2, head.request_id.as_bytes());
    put_fixed64(bytes, 3, head.fingerprint);
    put_bytes(bytes, 4, head.actor.as_bytes());
}

/// Reads them.
pub(super) fn head<'a>(fields: &mut Fields<'a>) -> Peek<'a> {
    Peek {
        time: Timestamp(fields.fixed64(1)),
        request_id: fields.text(2),
        fingerprint: fields.fixed64(3),
        actor: fields.text(4),
    }
}

/// Reads the first of them.
pub(super) fn time(fields: &mut Fields<'_>) -> Timestamp {
    Timestamp(fields.fixed64(1))
}

/// Reads the second of them, unchecked.
pub(super) fn request_id<'a>(fields: &mut Fields<'a>) -> &'a [u8] {
    time(fields);
    fields.bytes(2)
}

/// Appends the event of a record. Gives false, and appends nothing, if it is none of those that are written here.
pub(super) fn put_event(bytes: &mut Vec<u8>, event: &Event) -> bool {
    match event {
        // What a router decided or books is left to prost.
        Event::Held(held) if held.sourced.is_some() || !held.replaced_bookings.is_empty() => return false,
        Event::Held(Held { terms: Some(terms), .. }) if !terms.presold.is_empty() || !terms.kits.is_empty() => {
            return false;
        }
        Event::Held(held) if held.shortages.iter().any(|short| short.component.is_some()) => return false,
        Event::HoldEnded { bookings, .. } | Event::Cancelled { bookings, .. } if !bookings.is_empty() => return false,
        Event::Held(Held { replaced: Some(claim), .. }) if is_prosts(claim) => return false,
        event if event.claim().is_some_and(is_prosts) => return false,
        Event::Held(held) => put_message(bytes, 5, |bytes| put_held(bytes, held)),
        Event::Confirmed { claim } => put_message(bytes, 6, |bytes| put_claim(bytes, 1, claim)),
        Event::HoldEnded { claim, reason, bookings: _ } => put_message(bytes, 7, |bytes| {
            put_claim(bytes, 1, claim);
            put_enum(bytes, 2, reason_to_wire(*reason).into());
        }),
        Event::Cancelled { claim, promise, end, bookings: _ } => put_message(bytes, 8, |bytes| {
            put_claim(bytes, 1, claim);
            put_enum(bytes, 2, promise_to_wire(*promise));
            put_enum(bytes, 3, end_to_wire(*end));
        }),
        Event::Extended { reservation, expires_at } => put_message(bytes, 9, |bytes| {
            put_fixed64(bytes, 1, reservation.0);
            put_fixed64(bytes, 2, expires_at.0);
        }),
        Event::Shipped { claim, end } => put_message(bytes, 10, |bytes| {
            put_claim(bytes, 1, claim);
            put_enum(bytes, 2, end_to_wire(*end));
        }),
        Event::Reassigned { .. }
        | Event::Rerouted(_)
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
        | Event::Campaign(_)
        | Event::Supply(_)
        | Event::Returns(_)
        | Event::Upkeep(_)
        | Event::Rules(_)
        | Event::Summary(_) => return false,
    }
    true
}

/// Whether a claim is left to prost.
fn is_prosts(claim: &Claim) -> bool {
    claim.extra.as_ref().is_some_and(|extra| !extra.presold.is_empty() || !extra.kits.is_empty())
}

/// Reads a record with an event that is written here.
#[inline]
pub(super) fn decode(record: &[u8]) -> Option<(Peek<'_>, Event)> {
    let mut fields = Fields(record);
    let head = head(&mut fields);
    let number = *fields.0.first()? >> 3;
    let mut event = fields.message(number)?;
    let read = match number {
        5 => Event::Held(held(&mut event)?),
        6 => Event::Confirmed { claim: claim(event.message(1)?)? },
        7 => Event::HoldEnded {
            claim: claim(event.message(1)?)?,
            reason: reason_from_wire(event.uint(2))?,
            bookings: Box::default(),
        },
        8 => Event::Cancelled {
            claim: claim(event.message(1)?)?,
            promise: promise_from_wire(event.enumeration(2)).ok()?,
            end: end_from_wire(event.enumeration(3)).ok()?,
            bookings: Box::default(),
        },
        9 => Event::Extended { reservation: ReservationId(event.fixed64(1)), expires_at: Timestamp(event.fixed64(2)) },
        10 => Event::Shipped { claim: claim(event.message(1)?)?, end: end_from_wire(event.enumeration(2)).ok()? },
        _ => return None,
    };
    (event.is_read() && fields.is_read()).then_some((head, read))
}

/// Reads a record of a plain event.
#[inline]
pub(super) fn decode_plain(record: &[u8]) -> Option<(Peek<'_>, PlainEvent<'_>)> {
    let mut fields = Fields(record);
    let head = head(&mut fields);
    let number = *fields.0.first()? >> 3;
    let mut event = fields.message(number)?;
    let read = match number {
        5 => PlainEvent::Held(plain_held(&mut event)?),
        6 => plain_step(&mut event, |_| Some(Stepped::Confirmed))?,
        7 => plain_step(&mut event, |event| reason_from_wire(event.uint(2)).map(Stepped::HoldEnded))?,
        10 => plain_step(&mut event, |event| end_from_wire(event.enumeration(2)).ok().map(Stepped::Shipped))?,
        _ => return None,
    };
    let lies_at_home = read.line().sku.shard() == read.home();
    (lies_at_home && event.is_read() && fields.is_read()).then_some((head, read))
}

fn plain_held<'a>(fields: &mut Fields<'a>) -> Option<PlainHeld<'a>> {
    Some(PlainHeld {
        reservation: ReservationId(fields.fixed64(1)),
        order_id: fields.text(2),
        buyer_id: fields.text(3),
        channel: fields.uint(4).checked_sub(1).map(ChannelId),
        expires_at: Timestamp(fields.fixed64(5)),
        line: line(fields.message(6)?)?,
    })
}

/// A step, whose claim comes first in its event; `what` reads the rest.
fn plain_step<'a>(
    event: &mut Fields<'a>,
    what: impl FnOnce(&mut Fields<'a>) -> Option<Stepped>,
) -> Option<PlainEvent<'a>> {
    let mut claim = event.message(1)?;
    let (reservation, line) = (ReservationId(claim.fixed64(1)), line(claim.message(2)?)?);
    let what = what(event).filter(|_| claim.is_read())?;
    Some(PlainEvent::Stepped(PlainStep { reservation, line, what }))
}

fn reason_from_wire(reason: u32) -> Option<HoldEndReason> {
    match reason {
        1 => Some(HoldEndReason::Released),
        2 => Some(HoldEndReason::Expired),
        _ => None,
    }
}

fn reason_to_wire(reason: HoldEndReason) -> wire::HoldEndReason {
    match reason {
        HoldEndReason::Released => wire::HoldEndReason::Released,
        HoldEndReason::Expired => wire::HoldEndReason::Expired,
    }
}

/// Appends the event of a plain hold: the bytes that `put_event` appends for the same.
pub(super) fn put_plain(bytes: &mut Vec<u8>, held: &PlainHeld<'_>) {
    put_message(bytes, 5, |bytes| {
        put_hold(bytes, held.reservation, (held.order_id, held.buyer_id), held.channel, held.expires_at);
        put_lines(bytes, 6, &[held.line]);
    });
}

/// Appends the fields that every hold begins with.
fn put_hold(
    bytes: &mut Vec<u8>,
    id: ReservationId,
    (order_id, buyer_id): (&str, &str),
    channel: Option<ChannelId>,
    expires_at: Timestamp,
) {
    put_fixed64(bytes, 1, id.0);
    put_bytes(bytes, 2, order_id.as_bytes());
    put_bytes(bytes, 3, buyer_id.as_bytes());
    put_uint(bytes, 4, channel.map_or(0, |channel| channel.0 + 1));
    put_fixed64(bytes, 5, expires_at.0);
}

fn put_held(bytes: &mut Vec<u8>, held: &Held) {
    put_hold(bytes, held.reservation, (&held.order_id, &held.buyer_id), held.channel, held.expires_at);
    put_lines(bytes, 6, &held.lines);
    if let Some(replaced) = &held.replaced {
        put_claim(bytes, 7, replaced);
    }
    for short in &held.shortages {
        put_message(bytes, 8, |bytes| {
            put_uint(bytes, 1, short.sku.0);
            put_uint(bytes, 2, short.location.map_or(0, |location| location.0 + 1));
            put_fixed64(bytes, 3, short.requested);
            put_fixed64(bytes, 4, short.available);
            put_uint(bytes, 5, short.limited_by.number());
        });
    }
    if let Some(terms) = &held.terms {
        put_message(bytes, 11, |bytes| put_terms(bytes, terms));
    }
}

/// Appends terms that promise nothing of the future and have no kits.
fn put_terms(bytes: &mut Vec<u8>, terms: &Terms) {
    if !terms.path.is_empty() {
        put_message(bytes, 1, |bytes| terms.path.iter().for_each(|node| put_varint(bytes, node.0.into())));
    }
    put_uint(bytes, 2, terms.campaign.map_or(0, |campaign| campaign.0 + 1));
    put_enum(bytes, 3, stage_to_wire(terms.stage).into());
    for wanted in &terms.wanted {
        put_message(bytes, 4, |bytes| {
            put_uint(bytes, 1, wanted.sku.0);
            put_uint(bytes, 2, wanted.location.map_or(0, |location| location.0 + 1));
            put_uint(bytes, 3, wanted.quantity.0);
        });
    }
    put_uint(bytes, 7, terms.place);
}

fn terms(mut fields: Fields<'_>) -> Option<Box<Terms>> {
    let wanted = |mut fields: Fields<'_>| {
        let wanted = Wanted {
            sku: SkuId(fields.uint(1)),
            location: fields.uint(2).checked_sub(1).map(LocationId),
            quantity: Quantity(fields.uint(3)),
        };
        fields.is_read().then_some(wanted)
    };
    let terms = Terms {
        path: path(fields.bytes(1))?,
        campaign: fields.uint(2).checked_sub(1).map(CampaignId),
        stage: stage_from_wire(fields.enumeration(3)).ok()?,
        wanted: fields.messages(4).map(wanted).collect::<Option<_>>()?,
        place: fields.uint(7),
        ..Terms::default()
    };
    fields.is_read().then(|| Box::new(terms))
}

fn path(mut numbers: &[u8]) -> Option<Box<[NodeId]>> {
    let mut path = SmallVec::<[NodeId; 4]>::new();
    while !numbers.is_empty() {
        let (node, rest) = varint(numbers)?;
        path.push(NodeId(u32::try_from(node).ok()?));
        numbers = rest;
    }
    Some(path.into_vec().into_boxed_slice())
}

fn held(fields: &mut Fields<'_>) -> Option<Held> {
    Some(Held {
        reservation: ReservationId(fields.fixed64(1)),
        order_id: fields.text(2).into(),
        buyer_id: fields.text(3).into(),
        channel: fields.uint(4).checked_sub(1).map(ChannelId),
        expires_at: Timestamp(fields.fixed64(5)),
        lines: lines(fields, 6)?,
        replaced: match fields.message(7) {
            Some(replaced) => Some(Box::new(claim(replaced)?)),
            None => None,
        },
        shortages: fields.messages(8).map(shortage).collect::<Option<_>>()?,
        sourced: None,
        terms: match fields.message(11) {
            Some(own) => Some(terms(own)?),
            None => None,
        },
        replaced_bookings: Box::default(),
    })
}

fn shortage(mut fields: Fields<'_>) -> Option<Shortage> {
    let short = Shortage {
        sku: SkuId(fields.uint(1)),
        location: fields.uint(2).checked_sub(1).map(LocationId),
        requested: fields.fixed64(3),
        available: fields.fixed64(4),
        limited_by: LimitedBy::of(fields.uint(5)),
        component: None,
    };
    fields.is_read().then_some(short)
}

fn put_claim(bytes: &mut Vec<u8>, field: u8, claim: &Claim) {
    put_message(bytes, field, |bytes| {
        put_fixed64(bytes, 1, claim.reservation.0);
        put_lines(bytes, 2, &claim.lines);
        put_bytes(bytes, 3, &shards_to_wire(&claim.others));
        if let Some(bought) = claim.extra.as_ref().and_then(|extra| extra.bought.as_ref()) {
            put_message(bytes, 5, |bytes| {
                put_uint(bytes, 1, bought.campaign.0);
                put_bytes(bytes, 2, bought.buyer_id.as_bytes());
                put_uint(bytes, 3, bought.quantity.0);
            });
        }
    });
}

fn bought(mut fields: Fields<'_>) -> Option<Box<ClaimExtra>> {
    let bought = Bought {
        campaign: CampaignId(fields.uint(1)),
        buyer_id: fields.text(2).into(),
        quantity: Quantity(fields.uint(3)),
    };
    fields.is_read().then(|| Box::new(ClaimExtra { bought: Some(bought), ..ClaimExtra::default() }))
}

fn claim(mut fields: Fields<'_>) -> Option<Claim> {
    let claim = Claim {
        reservation: ReservationId(fields.fixed64(1)),
        lines: lines(&mut fields, 2)?,
        others: shards_from_wire(fields.bytes(3)),
        extra: match fields.message(5) {
            Some(own) => Some(bought(own)?),
            None => None,
        },
    };
    fields.is_read().then_some(claim)
}

fn put_lines(bytes: &mut Vec<u8>, field: u8, lines: &[Line]) {
    for line in lines {
        put_message(bytes, field, |bytes| {
            put_uint(bytes, 1, line.sku.0);
            put_uint(bytes, 2, line.location.0);
            put_uint(bytes, 3, line.quantity.0);
        });
    }
}

fn line(mut fields: Fields<'_>) -> Option<Line> {
    let line =
        Line { sku: SkuId(fields.uint(1)), location: LocationId(fields.uint(2)), quantity: Quantity(fields.uint(3)) };
    fields.is_read().then_some(line)
}

fn lines(fields: &mut Fields<'_>, field: u8) -> Option<Lines> {
    fields.messages(field).map(line).collect()
}

fn put_uint(bytes: &mut Vec<u8>, field: u8, value: u32) {
    put_number(bytes, field, value.into());
}

/// Puts a value of an enumeration. Those of this project have no negative values.
fn put_enum(bytes: &mut Vec<u8>, field: u8, value: i32) {
    put_uint(bytes, field, value.cast_unsigned());
}

/// The fields of a message, read in the order of their numbers. One that is absent has its default. One that is malformed or out of
/// its place has so, too, and stays unread: so `is_read` at the end tells whether everything was as expected.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn is_read(&self) -> bool {
        self.0.is_empty()
    }

    fn fixed64(&mut self, field: u8) -> u64 {
        let value = self.take(fields::fixed64(field), <[u8]>::split_first_chunk);
        value.map_or(0, |value| u64::from_le_bytes(*value))
    }

    fn uint(&mut self, field: u8) -> u32 {
        let read = |rest| varint(rest).and_then(|(value, rest)| Some((u32::try_from(value).ok()?, rest)));
        self.take(fields::number(field), read).unwrap_or(0)
    }

    fn enumeration(&mut self, field: u8) -> i32 {
        self.uint(field).cast_signed()
    }

    fn bytes(&mut self, field: u8) -> &'a [u8] {
        self.take(fields::delimited(field), delimited).unwrap_or_default()
    }

    fn text(&mut self, field: u8) -> &'a str {
        let read = |rest| delimited(rest).and_then(|(text, rest)| Some((std::str::from_utf8(text).ok()?, rest)));
        self.take(fields::delimited(field), read).unwrap_or_default()
    }

    fn message(&mut self, field: u8) -> Option<Fields<'a>> {
        self.take(fields::delimited(field), delimited).map(Fields)
    }

    fn messages(&mut self, field: u8) -> impl Iterator<Item = Fields<'a>> {
        std::iter::from_fn(move || self.message(field))
    }

    fn take<T>(&mut self, key: u8, read: impl FnOnce(&'a [u8]) -> Option<(T, &'a [u8])>) -> Option<T> {
        let (found, rest) = self.0.split_first()?;
        let (value, rest) = if *found == key { read(rest)? } else { return None };
        self.0 = rest;
        Some(value)
    }
}

fn delimited(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = varint(bytes)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    // Nine bytes hold 63 bits; nothing that is written here needs more.
    for (place, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}
