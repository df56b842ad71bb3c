//! The order that nearly all are, as it came: units of one SKU and nothing besides, in texts that are another's.

use super::{HOLD_TTL_DEFAULT, Request, Reserve, ReserveLine};
use crate::{fingerprint::Fingerprinter, quantity::Quantity, time::Micros};

/// Asks for a hold of units of one SKU, and for nothing besides: a [`Request`] with its [`Reserve`], as far as such an order fills them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainOrder<'a> {
    /// Idempotency key, 1 to 64 bytes.
    pub request_id: &'a str,
    /// The caller's order number, up to 64 bytes.
    pub order_id: &'a str,
    /// The buyer, up to 64 bytes.
    pub buyer_id: &'a str,
    /// Channel code, or empty.
    pub channel: &'a str,
    /// SKU code.
    pub sku: &'a str,
    /// Location code, or empty for any.
    pub location: &'a str,
    /// Units, at least 1.
    pub quantity: Quantity,
    /// How long the hold lasts; 0: as long as its channel says, else `HOLD_TTL_DEFAULT`.
    pub ttl: Micros,
}

impl<'a> PlainOrder<'a> {
    /// A request as a plain order, if it is one.
    #[must_use]
    pub fn of(request: &'a Request, reserve: &'a Reserve) -> Option<Self> {
        let [line] = &*reserve.lines else { return None };
        let asks_more = reserve.allow_partial
            || reserve.replaces.is_some()
            || reserve.unchanged_since_lsn > 0
            || reserve.sourcing.is_some()
            || reserve.asked.is_some()
            || line.sourcing.is_some();
        (!asks_more).then_some(Self {
            request_id: &request.id,
            order_id: &reserve.order_id,
            buyer_id: &reserve.buyer_id,
            channel: &reserve.channel,
            sku: &line.sku,
            location: &line.location,
            quantity: line.quantity,
            ttl: reserve.ttl,
        })
    }

    /// The same as the command that any order is.
    #[must_use]
    pub fn to_reserve(&self) -> Reserve {
        let line = ReserveLine {
            sku: self.sku.into(),
            quantity: self.quantity,
            location: self.location.into(),
            sourcing: None,
        };
        Reserve {
            order_id: self.order_id.into(),
            buyer_id: self.buyer_id.into(),
            channel: self.channel.into(),
            lines: [line].into(),
            ttl: self.ttl,
            allow_partial: false,
            replaces: None,
            unchanged_since_lsn: 0,
            sourcing: None,
            asked: None,
        }
    }

    /// Fingerprint of the content: that of the command.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Fingerprinter::default();
        begun(&mut hash, self.order_id, self.buyer_id, self.channel, self.ttl);
        hash.number(0).number(0).number(0);
        hash.text(self.sku).text(self.location).quantity(self.quantity);
        hash.finish()
    }
}

/// Folds what the fingerprint of every order begins with.
#[inline]
pub(super) fn begun(hash: &mut Fingerprinter, order_id: &str, buyer_id: &str, channel: &str, ttl: Micros) {
    // A request that names no length has the fingerprint it had when the default stood in the command.
    let ttl = if ttl.0 == 0 { HOLD_TTL_DEFAULT } else { ttl };
    hash.tag(1).text(order_id).text(buyer_id).text(channel).number(ttl.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    const ORDER: PlainOrder<'_> = PlainOrder {
        request_id: "r1",
        order_id: "order 1",
        buyer_id: "buyer",
        channel: "web",
        sku: "A",
        location: "",
        quantity: Quantity(3),
        ttl: Micros(0),
    };

    #[test]
    fn an_order_is_its_command() {
        for order in [ORDER, PlainOrder { location: "L1", ttl: Micros(5), channel: "", ..ORDER }] {
            let (request, reserve) =
                (Request { id: order.request_id.into(), ..Request::unnamed() }, order.to_reserve());
            assert_eq!(PlainOrder::of(&request, &reserve), Some(order));
            assert_eq!(order.fingerprint(), Command::Reserve(reserve).fingerprint());
        }
    }

    #[test]
    fn who_asks_for_more_asks_for_no_plain_order() {
        let request = Request { id: "r1".into(), ..Request::unnamed() };
        let plain = ORDER.to_reserve();
        let more: [fn(&mut Reserve); 7] = [
            |order| order.allow_partial = true,
            |order| order.replaces = Some(crate::id::ReservationId(1)),
            |order| order.unchanged_since_lsn = 1,
            |order| order.sourcing = Some(Box::default()),
            |order| order.asked = Some(Box::default()),
            |order| order.lines[0].sourcing = Some(Box::default()),
            |order| order.lines.push(order.lines[0].clone()),
        ];
        for asks in more {
            let mut reserve = plain.clone();
            asks(&mut reserve);
            assert_eq!(PlainOrder::of(&request, &reserve), None, "{reserve:?}");
        }
    }
}
