//! Looking ahead: what the next records will change is asked for before the first of them is applied.
//!
//! A record touches memory that nobody touched lately: a row and its cell, a reservation, a table of request ids. Applied one after the other,
//! each waits for each of these. They are asked for together, and come together.

use super::{read::Read, together::Mine};
use crate::{event::Line, owners::Owners};

/// Asks for what `records` will change of what is the hand's. Changes nothing.
pub(super) fn look(records: &[&Read<'_>], mine: &Mine<'_>, owners: &Owners) {
    for (index, hash) in records.iter().filter_map(|read| read.slot()) {
        mine.slot(index).into_iter().for_each(|slot| slot.ask_for(hash));
    }
    // Rows before their cells, which are found through them.
    let shard = |line: &Line| mine.shard(line.sku.shard().index()).filter(|shard| line.sku.row() < shard.rows.len());
    let lines = || records.iter().flat_map(|read| read.told.lines());
    lines().for_each(|line| shard(line).into_iter().for_each(|shard| shard.ask_for(line.sku)));
    lines().for_each(|line| shard(line).into_iter().for_each(|shard| shard.ask_for_more(line.sku)));
    for read in records {
        if let Some((id, _)) = read.told.begun()
            && mine.shard(id.home().index()).is_some()
        {
            read.buyer.into_iter().for_each(|buyer| owners.ask_for(buyer));
        } else if let Some(id) = read.told.continued()
            && let Some(shard) = mine.shard(id.home().index())
        {
            // Where it lies is found in a list, in which no look depends on another.
            shard.parts.place(&id).into_iter().for_each(|place| shard.parts.ask_for(place));
        }
    }
}
