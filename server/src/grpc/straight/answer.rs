//! What is told of a Reserve, from its event or rejection straight to bytes: byte for byte what prost writes of what `convert` makes.

use std::slice;

use quartermaster_engine::{
    Answer, CodedShortage, Rejection, Verdict,
    catalog::Catalogue,
    engine::Granted,
    event::{Event, Held, Line},
    id::ReservationId,
    reservation::State,
    terms::Terms,
    time::Timestamp,
};
use quartermaster_proto::{
    fields::{put_bytes, put_message, put_number, put_text},
    v1,
};

use crate::grpc::convert::{answers, reservations};

/// An answer that is written here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told<'a> {
    /// A plain hold.
    Plain(&'a Granted),
    /// A hold that is neither sourced nor partial, without kits, and with nothing promised of the future.
    Hold(&'a Held),
    /// Units that are not there.
    SoldOut(&'a [CodedShortage]),
}

impl Told<'_> {
    /// What `answer` tells; none when it is none of those that are written here.
    pub(super) fn of(answer: &Answer) -> Option<Told<'_>> {
        match &answer.verdict {
            Verdict::Done(Event::Held(held)) if is_plain(held) => Some(Told::Hold(held)),
            Verdict::Rejected(Rejection::InsufficientStock { shortages }) if !shortages.is_empty() => {
                Some(Told::SoldOut(shortages))
            }
            Verdict::Done(_) | Verdict::Rejected(_) | Verdict::Nothing => None,
        }
    }
}

/// Appends the fields of a `ReserveResponse`.
pub(super) fn put_response(
    bytes: &mut Vec<u8>,
    catalogue: &Catalogue,
    position: &v1::Position,
    replayed: bool,
    told: Told<'_>,
) {
    put_position(bytes, position);
    put_number(bytes, 2, replayed.into());
    match told {
        Told::Plain(held) => put_message(bytes, 3, |bytes| {
            put_hold(bytes, catalogue, held.reservation, held.expires_at, slice::from_ref(&held.line), None);
        }),
        Told::Hold(held) => put_message(bytes, 3, |bytes| {
            put_hold(bytes, catalogue, held.reservation, held.expires_at, &held.lines, held.terms.as_deref());
        }),
        Told::SoldOut(shortages) => put_message(bytes, 4, |bytes| put_sold_out(bytes, shortages)),
    }
}

/// Appends a position as field 1.
pub(super) fn put_position(bytes: &mut Vec<u8>, position: &v1::Position) {
    put_message(bytes, 1, |bytes| {
        put_number(bytes, 1, position.shard.into());
        put_number(bytes, 2, position.epoch);
        put_number(bytes, 3, position.lsn);
    });
}

fn is_plain(held: &Held) -> bool {
    let terms = held.terms.as_deref();
    held.sourced.is_none()
        && held.shortages.is_empty()
        && terms.is_none_or(|terms| terms.kits.is_empty() && terms.presold.is_empty())
}

fn put_hold(
    bytes: &mut Vec<u8>,
    catalogue: &Catalogue,
    id: ReservationId,
    expires_at: Timestamp,
    lines: &[Line],
    terms: Option<&Terms>,
) {
    put_bytes(bytes, 1, &id.digits());
    if expires_at != Timestamp::MAX {
        put_message(bytes, 2, |bytes| put_time(bytes, expires_at));
    }
    for line in lines {
        put_message(bytes, 3, |bytes| {
            put_text(bytes, 1, catalogue.sku_code(line.sku));
            put_text(bytes, 2, catalogue.directory().location_code(line.location));
            put_number(bytes, 3, line.quantity.units());
        });
    }
    let state = reservations::state(terms.map_or(State::Held, |terms| terms.stage.state()));
    put_enum(bytes, 7, state.into());
    put_number(bytes, 10, terms.map_or(0, |terms| terms.place.into()));
}

fn put_time(bytes: &mut Vec<u8>, time: Timestamp) {
    put_number(bytes, 1, time.0 / 1_000_000);
    put_number(bytes, 2, time.0 % 1_000_000 * 1_000);
}

fn put_sold_out(bytes: &mut Vec<u8>, shortages: &[CodedShortage]) {
    put_enum(bytes, 1, v1::RejectionReason::InsufficientStock.into());
    put_message(bytes, 2, |bytes| put_sentence(bytes, shortages));
    for short in shortages {
        put_message(bytes, 3, |bytes| {
            put_text(bytes, 1, &short.sku);
            put_text(bytes, 2, &short.location);
            put_number(bytes, 3, answers::units(short.requested).unsigned_abs());
            put_number(bytes, 4, answers::units(short.available).unsigned_abs());
            put_text(bytes, 5, &short.component);
            put_enum(bytes, 6, answers::limited_by(short.limited_by).into());
        });
    }
}

/// As `Rejection` displays itself, without its formatting, which costs as much as deciding.
fn put_sentence(bytes: &mut Vec<u8>, shortages: &[CodedShortage]) {
    let Some(first) = shortages.first() else { return };
    bytes.extend_from_slice(b"insufficient stock for ");
    put_digits(bytes, u64::try_from(shortages.len()).unwrap_or(u64::MAX));
    bytes.extend_from_slice(b" of the lines, first ");
    bytes.extend_from_slice(first.sku.as_bytes());
    if !first.location.is_empty() {
        bytes.extend_from_slice(b" at ");
        bytes.extend_from_slice(first.location.as_bytes());
    }
    bytes.extend_from_slice(b": ");
    put_digits(bytes, first.requested);
    bytes.extend_from_slice(b" asked for, ");
    put_digits(bytes, first.available);
    bytes.extend_from_slice(b" available");
}

fn put_digits(bytes: &mut Vec<u8>, mut number: u64) {
    let start = bytes.len();
    while number >= 10 {
        bytes.push(b'0' + (number % 10).to_le_bytes()[0]);
        number /= 10;
    }
    bytes.push(b'0' + number.to_le_bytes()[0]);
    bytes[start..].reverse();
}

/// Puts a value of an enumeration. Those of the API have no negative values.
fn put_enum(bytes: &mut Vec<u8>, field: u8, value: i32) {
    put_number(bytes, field, value.unsigned_abs().into());
}
