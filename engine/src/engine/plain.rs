//! The write path of plain holds, see `decide::plain`: the steps of the general one, in its order, without what they have no use for.

use crate::{
    apply::apply_plain,
    codec::{self, Peek},
    command::Reserve,
    decide::{plain, reserve},
    engine::{BUFFER, Draft, Engine, Seen, Slotted, Verdict},
    error::Error,
    event::{Event, PlainHeld},
};
use quartermaster_journal::Lsn;

impl Engine {
    /// Grants a plain hold; `None` when the request is none, or gets none.
    pub(super) fn reserve_plain(
        &self,
        draft: &Draft<'_>,
        request: &Reserve,
        slot: Slotted<'_, '_>,
        seen: Seen,
    ) -> Result<Option<(Lsn, Verdict)>, Error> {
        let Some(wanted) = plain::line(request) else { return Ok(None) };
        // A code that has come to stand for another SKU left one that is retired, which is for the general way.
        let Some(sku) = seen.sku.or_else(|| self.catalogue.read().sku(&wanted.sku)) else { return Ok(None) };
        if !seen.suffices {
            // Who hears "sold out" waits for no exclusive lock. A kit has no stock of its own, and is for the general way.
            let (may_have, is_kit) = plain::may_have(&self.shards.read(sku.shard()), sku, wanted);
            if !may_have {
                return Ok(self.sold_out(request, &[reserve::Demand::of(wanted, sku)]).filter(|_| !is_kit));
            }
        }
        let mut shard = self.shards.write(sku.shard());
        let Some(grant) = plain::grant(&shard, request, wanted, sku, draft.now) else { return Ok(None) };
        let held = PlainHeld {
            reservation: self.next_id(sku.shard()),
            order_id: &request.order_id,
            buyer_id: &request.buyer_id,
            channel: grant.channel,
            expires_at: grant.expires_at,
            line: grant.line,
        };
        let head = Peek {
            time: draft.now,
            request_id: &draft.request.id,
            fingerprint: draft.fingerprint,
            actor: &draft.request.actor,
        };
        let lsn = BUFFER.with(|buffer| {
            let bytes = &mut *buffer.borrow_mut();
            bytes.clear();
            codec::encode_plain(&head, &held, bytes);
            let lsn = self.journal.append(bytes)?;
            apply_plain(&mut shard, lsn, draft.now, &held)
                .expect("Invariant: an event fits the state it was decided on");
            self.owners.forget(&mut shard);
            self.owners.add(held.buyer_id, held.reservation);
            self.remember(slot, lsn, bytes);
            Ok::<_, Error>(lsn)
        })?;
        Ok(Some((lsn, Verdict::Done(Event::Held(held.to_held())))))
    }
}
