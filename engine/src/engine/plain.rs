//! The write path of plain holds, see `decide::plain`: the steps of the general one, in its order, without what they have no use for.

use crate::{
    apply::apply_plain,
    codec::{self, Peek},
    command::PlainOrder,
    decide::plain,
    engine::{BUFFER, Engine, Seen, Slotted},
    error::Error,
    event::PlainHeld,
    id::SkuId,
    time::Timestamp,
};
use quartermaster_journal::Lsn;

/// A plain order that was granted. It may be told once everything up to `lsn` is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted<'a> {
    /// LSN of the event.
    pub lsn: Lsn,
    /// What the event tells.
    pub held: PlainHeld<'a>,
}

/// What came of trying the short way.
pub(super) enum Tried<'a> {
    Granted(Granted<'a>),
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
    pub fn submit_plain<'a>(
        &self,
        order: &PlainOrder<'a>,
        actor: &str,
        now: Timestamp,
        seen: Seen,
    ) -> Result<Option<Granted<'a>>, Error> {
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
    pub(super) fn grant<'a>(
        &self,
        head: &Peek<'_>,
        order: &PlainOrder<'a>,
        slot: Slotted<'_, '_>,
        seen: Seen,
    ) -> Result<Tried<'a>, Error> {
        // A code that has come to stand for another SKU left one that is retired, which is for the general way.
        let Some(sku) = seen.sku.or_else(|| self.catalogue.read().sku(order.sku)) else { return Ok(Tried::Aside) };
        if seen.suffices != Some(true) {
            // Who hears "sold out" waits for no exclusive lock. A kit has no stock of its own, and is for the general way.
            match plain::may_have(&self.shards.read(sku.shard()), sku, order.quantity) {
                (true, _) => {}
                (false, false) => return Ok(Tried::Short(sku)),
                (false, true) => return Ok(Tried::Aside),
            }
        }
        let mut shard = self.shards.write(sku.shard());
        let Some(grant) = plain::grant(&shard, order, sku, head.time) else { return Ok(Tried::Aside) };
        let held = PlainHeld {
            reservation: self.next_id(sku.shard()),
            order_id: order.order_id,
            buyer_id: order.buyer_id,
            channel: grant.channel,
            expires_at: grant.expires_at,
            line: grant.line,
        };
        let lsn = BUFFER.with(|buffer| {
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
        Ok(Tried::Granted(Granted { lsn, held }))
    }
}
