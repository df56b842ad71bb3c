//! The write path of plain holds, see `decide::plain`: the steps of the general one, in its order, without what they have no use for.

use crate::{
    apply::apply_plain,
    codec::{self, Peek},
    command::{PlainOrder, Request, Reserve},
    decide::{plain, reserve},
    engine::{Answer, BUFFER, Draft, Engine, Seen, SlotGuard, Slotted, Verdict, remembered, repeat},
    error::Error,
    event::{Held, Line, PlainHeld},
    id::{ChannelId, ReservationId, SkuId},
    time::Timestamp,
};
use quartermaster_journal::Lsn;

/// What a plain order was granted. It may be told once everything up to `lsn` is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// LSN of the event.
    pub lsn: Lsn,
    /// Id of the reservation.
    pub reservation: ReservationId,
    /// What was taken.
    pub line: Line,
    /// The channel.
    pub channel: Option<ChannelId>,
    /// When it expires.
    pub expires_at: Timestamp,
}

impl Granted {
    /// What the event tells.
    #[must_use]
    pub fn to_held(&self, order: &PlainOrder<'_>) -> Held {
        self.held(order).to_held()
    }

    fn held<'a>(&self, order: &PlainOrder<'a>) -> PlainHeld<'a> {
        PlainHeld {
            reservation: self.reservation,
            order_id: order.order_id,
            buyer_id: order.buyer_id,
            channel: self.channel,
            expires_at: self.expires_at,
            line: self.line,
        }
    }
}

/// What a plain order is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// It is granted.
    Granted(Granted),
    /// All else, and what was granted in the general way.
    Answered(Box<Answer>),
}

/// What came of trying the short way.
pub(super) enum Tried {
    Granted(Granted),
    Aside(Aside),
}

/// Why an order is for the general way to decide.
#[derive(Clone, Copy)]
pub(super) enum Aside {
    /// There is less of this SKU than is wanted, and it is no kit.
    Short(SkuId),
    /// Something else.
    Other,
}

impl Engine {
    /// Decides a plain order, of which a look ahead may have `seen` something, in the name of `actor`: what [`submit`](Engine::submit) makes of the
    /// command that it is. No command is made of one that is granted.
    ///
    /// # Errors
    /// As [`submit`](Engine::submit).
    pub fn submit_plain(
        &self,
        order: &PlainOrder<'_>,
        actor: &str,
        now: Timestamp,
        seen: Seen,
    ) -> Result<Ordered, Error> {
        let (fingerprint, mut slot, seen) = self.begin(order, seen);
        if let Some(entry) = remembered(&slot, order.request_id) {
            return repeat(entry, order.request_id, fingerprint).map(Box::new).map(Ordered::Answered);
        }
        let head = Peek { time: now, request_id: order.request_id, fingerprint, actor };
        let slot = &mut slot;
        let why = match self.grant(&head, order, slot, seen)? {
            Tried::Granted(granted) => return Ok(Ordered::Granted(granted)),
            Tried::Aside(why) => why,
        };
        let request = Request { id: order.request_id.into(), actor: actor.to_owned() };
        let draft = Draft { request: &request, fingerprint, now };
        let (lsn, verdict) = self.reserve_aside(&draft, &order.to_reserve(), why, slot)?;
        Ok(Ordered::Answered(Box::new(Answer { lsn, replayed: false, verdict })))
    }

    /// What deciding a plain order begins with: the fingerprint of its content, the slot of its request id locked, and what is seen of it.
    #[inline]
    pub(super) fn begin(&self, order: &PlainOrder<'_>, seen: Seen) -> (u64, Option<SlotGuard<'_>>, Seen) {
        if seen.is_nothing() {
            return self.begin_alone(order);
        }
        (order.fingerprint(), self.slot(order.request_id, seen.hash), seen)
    }

    /// The same of an order that nobody looked at: what it will touch is on its way while its content is gone through.
    fn begin_alone(&self, order: &PlainOrder<'_>) -> (u64, Option<SlotGuard<'_>>, Seen) {
        let (seen, tag) = self.look_at(order);
        let fingerprint = order.fingerprint();
        let seen = Seen { sku: self.catalogue.read().sku_of(tag, order.sku), ..seen };
        let slot = self.slot(order.request_id, seen.hash);
        self.look_on(slot.as_ref(), seen);
        (fingerprint, slot, seen)
    }

    /// Decides an order that the short way left aside.
    pub(super) fn reserve_aside(
        &self,
        draft: &Draft<'_>,
        request: &Reserve,
        why: Aside,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        if let Aside::Short(sku) = why
            && let Some(refused) = self.sold_out(request, &[reserve::Demand::of(&request.lines[0], sku)])
        {
            return Ok(refused);
        }
        self.reserve(draft, request, slot)
    }

    /// Grants a plain order, if it can be. Its event begins with `head`.
    pub(super) fn grant(
        &self,
        head: &Peek<'_>,
        order: &PlainOrder<'_>,
        slot: Slotted<'_, '_>,
        seen: Seen,
    ) -> Result<Tried, Error> {
        // A code that has come to stand for another SKU left one that is retired, which is for the general way.
        let Some(sku) = seen.sku.or_else(|| self.catalogue.read().sku(order.sku)) else {
            return Ok(Tried::Aside(Aside::Other));
        };
        if seen.suffices != Some(true) {
            // Who hears "sold out" waits for no exclusive lock. A kit has no stock of its own, and is for the general way.
            let shard = self.shards.read(sku.shard());
            shard.ask_for_more(sku);
            match plain::may_have(&shard, sku, order.quantity) {
                (true, _) => {}
                (false, false) => return Ok(Tried::Aside(Aside::Short(sku))),
                (false, true) => return Ok(Tried::Aside(Aside::Other)),
            }
        }
        let mut shard = self.shards.write(sku.shard());
        let Some(grant) = plain::grant(&shard, order, sku, head.time) else { return Ok(Tried::Aside(Aside::Other)) };
        let mut granted = Granted {
            lsn: Lsn::ZERO,
            reservation: self.next_id(sku.shard()),
            line: grant.line,
            channel: grant.channel,
            expires_at: grant.expires_at,
        };
        let held = granted.held(order);
        granted.lsn = BUFFER.with(|buffer| {
            let bytes = &mut *buffer.borrow_mut();
            bytes.clear();
            codec::encode_plain(head, &held, bytes);
            let lsn = self.journal.append(bytes)?;
            apply_plain(&mut shard, lsn, head.time, &held)
                .expect("Invariant: an event fits the state it was decided on");
            self.owners.forget(&mut shard);
            self.owners.add(seen.buyer.or_else(|| self.owners.buyer(held.buyer_id)), held.reservation);
            self.remember(slot, lsn, bytes);
            Ok::<_, Error>(lsn)
        })?;
        Ok(Tried::Granted(granted))
    }
}
