//! Looking ahead: what the next records will change is asked for before the first of them is applied.
//!
//! A record touches memory that nobody touched lately: a row and its cell, a reservation, a table of request ids. Applied one after the other,
//! each waits for each of these. They are asked for together, and come together.

use std::hint::black_box;

use super::together::{Mine, Read};
use crate::{
    event::{Event, Line},
    id::ReservationId,
};

/// Records looked at together: enough to keep a processor's loads busy, few enough that what they brought is still in its first caches.
pub(super) const RECORDS_AHEAD: usize = 32;

/// Asks for what `records` will change of what is the hand's. Changes nothing.
pub(super) fn look(records: &[&Read<'_>], mine: &Mine<'_>) {
    for (index, hash) in records.iter().filter_map(|read| read.slot) {
        mine.slot(index).into_iter().for_each(|slot| slot.ask_for(hash));
    }
    // Rows before their cells, which are found through them.
    let shard = |line: &Line| mine.shard(line.sku.shard().index()).filter(|shard| line.sku.row() < shard.rows.len());
    let lines = || records.iter().flat_map(|read| touched(&read.event).1);
    lines().for_each(|line| shard(line).into_iter().for_each(|shard| shard.ask_for(line.sku)));
    lines().for_each(|line| shard(line).into_iter().for_each(|shard| shard.ask_for_more(line.sku)));
    // Where a reservation stands is found by looking, and no look depends on another.
    let mut seen = 0_u64;
    for id in records.iter().filter_map(|read| touched(&read.event).0) {
        let header = mine.shard(id.home().index()).and_then(|shard| shard.parts.header(&id));
        seen = seen.wrapping_add(header.map_or(0, |header| header.revision().get()));
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
