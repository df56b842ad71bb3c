//! The write path of plain holds, see `decide::plain`: the steps of the general one, in its order, without what they have no use for.

use crate::{
    apply::apply_plain,
    codec::{self, Peek},
    command::PlainOrder,
    decide::plain,
    engine::{BUFFER, Engine, Seen, Slotted},
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

/// What came of trying the short way.
pub(super) enum Tried {
    Granted(Granted),
    /// There is less of this SKU than is wanted, and it is no kit.
    Short(SkuId),
    /// It is for the general way to decide.
    Aside,
}

impl Engine {
    /// Grants a plain order that a look ahead has `seen`, in the name of `actor`. `None`, and nothing changed, when it gets another answer than
    /// "granted" or gets it in the general way only: then it is for [`submit_seen`](Engine::submit_seen), as the command that it is.
    ///
    /// # Errors
    /// When the journal takes no record. Nothing changed.
    pub fn submit_plain(
        &self,
        order: &PlainOrder<'_>,
        actor: &str,
        now: Timestamp,
        seen: Seen,
    ) -> Result<Option<Granted>, Error> {
        let mut slot = self.slot(order.request_id, seen.hash);
        if let Some((slot, hash)) = &slot
            && slot.find(*hash, order.request_id).is_some()
        {
            return Ok(None);
        }
        let head = Peek { time: now, request_id: order.request_id, fingerprint: order.fingerprint(), actor };
        match self.grant(&head, order, &mut slot, seen)? {
            Tried::Granted(granted) => Ok(Some(granted)),
            Tried::Short(_) | Tried::Aside => Ok(None),
        }
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
        let Some(sku) = seen.sku.or_else(|| self.catalogue.read().sku(order.sku)) else { return Ok(Tried::Aside) };
        if seen.suffices != Some(true) {
            // Who hears "sold out" waits for no exclusive lock. A kit has no stock of its own, and is for the general way.
            let shard = self.shards.read(sku.shard());
            shard.ask_for_more(sku);
            match plain::may_have(&shard, sku, order.quantity) {
                (true, _) => {}
                (false, false) => return Ok(Tried::Short(sku)),
                (false, true) => return Ok(Tried::Aside),
            }
        }
        let mut shard = self.shards.write(sku.shard());
        let Some(grant) = plain::grant(&shard, order, sku, head.time) else { return Ok(Tried::Aside) };
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
