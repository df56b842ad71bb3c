//! Looking ahead: what the next records will change is read before the first of them is applied.
//!
//! A record touches memory that nobody touched lately: a row and its cell, a reservation, a table of request ids. Applied one after the other,
//! each waits for each of these. Looked at together they are waited for at once: the looks do not depend on each other, so that the
//! processor has many on their way. It pays only where no lock is taken in between, which would end the overlap.

use std::hint::black_box;

use super::together::{Mine, Read};
use crate::{
    event::{Event, Line},
    id::ReservationId,
};

/// Records looked at together: enough to keep a processor's loads busy, few enough that what they brought is still in its first caches.
pub(super) const RECORDS_AHEAD: usize = 32;

/// Looks at what `records` will change of what is the hand's. Changes nothing.
pub(super) fn look(records: &[&Read<'_>], mine: &Mine<'_>) {
    let mut seen = 0_u64;
    let mut note = |figure: u64| seen = seen.wrapping_add(figure);
    for (index, hash) in records.iter().filter_map(|read| read.slot) {
        note(mine.slot(index).map_or(0, |slot| slot.look(hash)));
    }
    // Rows before their cells, which are found through them.
    let lines = || records.iter().flat_map(|read| touched(&read.event).1);
    let row = |line: &Line| mine.shard(line.sku.shard().index()).and_then(|shard| shard.rows.get(line.sku.row()));
    lines().for_each(|line| note(row(line).map_or(0, |row| row.revision().get())));
    lines().for_each(|line| note(row(line).map_or(0, |row| row.available_at(line.location).units())));
    for id in records.iter().filter_map(|read| touched(&read.event).0) {
        let header = mine.shard(id.home().index()).and_then(|shard| shard.parts.header(&id));
        note(header.map_or(0, |header| header.revision().get()));
    }
    black_box(seen);
}

/// The reservation that an event finds, and the lines it is about. Of rare events nothing: looking ahead is not owed.
fn touched(event: &Event) -> (Option<ReservationId>, &[Line]) {
    match event {
        Event::Held(held) => (None, &held.lines),
        Event::Confirmed { claim }
        | Event::HoldEnded { claim, .. }
        | Event::Cancelled { claim, .. }
        | Event::Shipped { claim, .. } => (Some(claim.reservation), &claim.lines),
        _ => (None, &[]),
    }
}
