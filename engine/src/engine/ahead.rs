//! Looking ahead: what some plain orders will touch is asked for before the first of them is decided.
//!
//! An order touches memory that nobody touched lately: a place in a table of request ids, a row, its cells. Decided one after the other, orders
//! wait for each of these. They are asked for together, and come together. Nothing is read that is not there yet, since the atomics of the next
//! lock would wait for it; and where a lock is held by another, the look is left out.

use smallvec::SmallVec;

use super::{Engine, SlotGuard};
use crate::{
    command::{Command, PlainOrder, Request},
    decide::plain,
    dedup::SlotHasher,
    id::SkuId,
    near,
    owners::Buyer,
    quantity::Quantity,
    table::Tag,
};

/// Orders that are looked at together.
pub const ORDERS_AHEAD: usize = near::TOGETHER;

/// What a look ahead looks at of an order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ahead<'a> {
    /// Its request id; empty for none.
    request_id: &'a str,
    buyer_id: &'a str,
    /// SKU code and units of a plain order.
    line: Option<(&'a str, Quantity)>,
}

impl<'a> Ahead<'a> {
    /// Of an order that any command may be.
    #[must_use]
    pub fn of(request: &'a Request, command: &'a Command) -> Self {
        let Command::Reserve(reserve) = command else { return Self { request_id: &request.id, ..Self::default() } };
        match PlainOrder::of(request, reserve) {
            Some(order) => Self::of_plain(&order),
            None => Self { request_id: &request.id, buyer_id: &reserve.buyer_id, line: None },
        }
    }

    /// Of a plain order.
    #[must_use]
    pub fn of_plain(order: &PlainOrder<'a>) -> Self {
        Self { request_id: order.request_id, buyer_id: order.buyer_id, line: Some((order.sku, order.quantity)) }
    }
}

/// What a look ahead found of an order, to be given to [`Engine::submit_seen`] or [`Engine::submit_plain`] with that order. By default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Hash of the request id.
    pub(super) hash: Option<u64>,
    /// Where the buyer's reservations are noted.
    pub(super) buyer: Option<Buyer>,
    /// What a plain order's code stands for.
    pub(super) sku: Option<SkuId>,
    /// Whether there was as much as it wants.
    pub(super) suffices: Option<bool>,
}

impl Seen {
    /// Whether nobody has looked.
    pub(super) fn is_nothing(&self) -> bool {
        self.hash.is_none() && self.sku.is_none()
    }
}

impl Engine {
    /// Asks for what these orders will touch, up to [`ORDERS_AHEAD`] of them; of each it gives what it saw. Nothing changes.
    pub fn look_ahead<'a>(&self, orders: impl Iterator<Item = Ahead<'a>>) -> SmallVec<[Seen; ORDERS_AHEAD]> {
        let mut wanted = SmallVec::<[Option<(Tag, &str, Quantity)>; ORDERS_AHEAD]>::new();
        let mut all = SmallVec::<[Seen; ORDERS_AHEAD]>::new();
        let catalogue = self.catalogue.read();
        for Ahead { request_id, buyer_id, line } in orders.take(ORDERS_AHEAD) {
            let seen = self.look_at_ids(request_id, buyer_id);
            let line = line.map(|(code, quantity)| (catalogue.tag_of(code), code, quantity));
            line.into_iter().for_each(|(tag, ..)| catalogue.ask_for_place(tag));
            wanted.push(line);
            all.push(seen);
        }
        wanted.iter().flatten().for_each(|(tag, ..)| _ = catalogue.ask_for_code(*tag));
        for (seen, line) in all.iter_mut().zip(&wanted) {
            seen.sku = line.and_then(|(tag, code, _)| catalogue.sku_of(tag, code));
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
            if let Some((sku, (_, _, quantity))) = seen.sku.zip(*line)
                && let Some(shard) = self.shards.try_read(sku.shard())
            {
                shard.ask_for_more(sku);
                seen.suffices = Some(plain::may_have(&shard, sku, quantity).0);
            }
        }
        all
    }

    /// Asks for what an order that is decided at once will touch, as far as it is known. Gives what was seen, and what the code is found by.
    pub(super) fn look_at(&self, order: &PlainOrder<'_>) -> (Seen, Tag) {
        let seen = self.look_at_ids(order.request_id, order.buyer_id);
        let catalogue = self.catalogue.read();
        let tag = catalogue.tag_of(order.sku);
        // Most likely it is that one, and its row is on its way while the code is.
        if let Some(sku) = catalogue.ask_for_code(tag) {
            self.shards.ask_for(sku.shard());
            self.shards.try_read(sku.shard()).into_iter().for_each(|shard| shard.ask_for(sku));
        }
        (seen, tag)
    }

    /// Asks for the rows of an order's lines, and for their cells.
    pub(super) fn ask_for_rows(&self, skus: &[SkuId]) {
        let skus = &skus[..skus.len().min(near::TOGETHER)];
        let shard = |sku: &SkuId| self.shards.try_read(sku.shard()).into_iter();
        skus.iter().for_each(|sku| self.shards.ask_for(sku.shard()));
        skus.iter().for_each(|sku| shard(sku).for_each(|shard| shard.ask_for(*sku)));
        skus.iter().for_each(|sku| shard(sku).for_each(|shard| shard.ask_for_more(*sku)));
    }

    /// Asks for what is found by the hashes of two ids alone.
    pub(super) fn look_at_ids(&self, request_id: &str, buyer_id: &str) -> Seen {
        let hash = (!request_id.is_empty()).then(|| SlotHasher.hash(request_id));
        hash.into_iter().for_each(|hash| near::ask_for_whole(&self.slots[SlotHasher::slot(hash)]));
        let buyer = self.owners.buyer(buyer_id);
        buyer.into_iter().for_each(|buyer| self.owners.ask_for(buyer));
        Seen { hash, buyer, ..Seen::default() }
    }

    /// Asks for the rest, which is found through that: `slot` is the request id's.
    pub(super) fn look_on(&self, slot: Option<&SlotGuard<'_>>, seen: Seen) {
        slot.into_iter().for_each(|(slot, hash)| slot.ask_for(*hash));
        if let Some(sku) = seen.sku
            && let Some(shard) = self.shards.try_read(sku.shard())
        {
            shard.ask_for_more(sku);
        }
    }
}
