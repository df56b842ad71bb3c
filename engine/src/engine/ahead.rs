//! Looking ahead: what some plain orders will touch is asked for before the first of them is decided.
//!
//! An order touches memory that nobody touched lately: a place in a table of request ids, a row, its cells. Decided one after the other, orders
//! wait for each of these. They are asked for together, and come together. Nothing is read that is not there yet, since the atomics of the next
//! lock would wait for it; and where a lock is held by another, the look is left out.

use std::slice;

use smallvec::SmallVec;

use super::Engine;
use crate::{
    command::{Command, Request, ReserveLine},
    decide::plain,
    dedup::SlotHasher,
    id::SkuId,
    near,
    table::Tag,
};

/// Orders that are looked at together: enough to keep a processor's loads busy, few enough that what they brought is still in its first caches.
pub const ORDERS_AHEAD: usize = 32;

/// What a look ahead found of an order, to be given to [`Engine::submit_seen`] with that order. By default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Hash of the request id.
    pub(super) hash: Option<u64>,
    /// What a plain order's code stands for.
    pub(super) sku: Option<SkuId>,
    /// There was as much as it wants.
    pub(super) suffices: bool,
}

impl Engine {
    /// Asks for what these orders will touch, up to [`ORDERS_AHEAD`] of them; of each it gives what it saw. Nothing changes.
    pub fn look_ahead<'a>(
        &self,
        orders: impl Iterator<Item = Option<(&'a Request, &'a Command)>>,
    ) -> SmallVec<[Seen; ORDERS_AHEAD]> {
        let mut wanted = SmallVec::<[Option<&ReserveLine>; ORDERS_AHEAD]>::new();
        let mut all = SmallVec::<[Seen; ORDERS_AHEAD]>::new();
        let catalogue = self.catalogue.read();
        let mut tags = SmallVec::<[Option<Tag>; ORDERS_AHEAD]>::new();
        for order in orders.take(ORDERS_AHEAD) {
            let request_id = order.map_or("", |(request, _)| &request.id);
            let hash = (!request_id.is_empty()).then(|| SlotHasher.hash(request_id));
            hash.into_iter().for_each(|hash| near::ask_for_all(slice::from_ref(&self.slots[SlotHasher::slot(hash)])));
            let reserve = order.and_then(|(_, command)| match command {
                Command::Reserve(reserve) => Some(reserve),
                _ => None,
            });
            reserve.into_iter().for_each(|reserve| self.owners.ask_for(&reserve.buyer_id));
            let line = reserve.and_then(plain::line);
            let tag = line.map(|line| catalogue.tag_of(&line.sku));
            tag.into_iter().for_each(|tag| catalogue.ask_for_place(tag));
            tags.push(tag);
            wanted.push(line);
            all.push(Seen { hash, ..Seen::default() });
        }
        tags.iter().flatten().for_each(|tag| catalogue.ask_for_code(*tag));
        for (seen, (line, tag)) in all.iter_mut().zip(wanted.iter().zip(tags)) {
            seen.sku = line.zip(tag).and_then(|(line, tag)| catalogue.sku_of(tag, &line.sku));
            seen.sku.into_iter().for_each(|sku| self.shards.ask_for(sku.shard()));
        }
        drop(catalogue);
        for hash in all.iter().filter_map(|seen| seen.hash) {
            if let Some(slot) = self.slots[SlotHasher::slot(hash)].try_lock() {
                slot.ask_for(hash);
            }
        }
        for sku in all.iter().filter_map(|seen| seen.sku) {
            if let Some(shard) = self.shards.try_read(sku.shard()) {
                shard.ask_for(sku);
            }
        }
        for (seen, line) in all.iter_mut().zip(&wanted) {
            if let Some((sku, line)) = seen.sku.zip(*line)
                && let Some(shard) = self.shards.try_read(sku.shard())
            {
                shard.ask_for_more(sku);
                seen.suffices = plain::may_have(&shard, sku, line).0;
            }
        }
        all
    }
}
