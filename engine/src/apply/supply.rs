//! Units that are expected, the promises on them, and transfers: how state follows events.

use super::{Applied, Change, Misfit, minus, plus, require};
use crate::{
    event::{
        Claim, Held, Line, Promise,
        supply::{InboundLine, InboundStep, PresoldMove, PresoldTarget, SupplyEvent},
    },
    id::{ReservationId, SkuId, SupplyId},
    quantity::Quantity,
    reservation::{Part, PartLine},
    shard::Shard,
    supply::{InboundHeader, Supply},
    terms::PresoldLine,
};

const NO_SUPPLY: Misfit = Misfit("units are promised ahead of a supply that was announced");
const NOT_PRESOLD: Misfit = Misfit("a reservation has promised ahead what its events name");

impl Change {
    pub(super) fn supply(&self, shard: &mut Shard, event: &SupplyEvent) -> Applied {
        for line in event.lines.iter().filter(|line| line.sku.shard() == self.here) {
            self.inbound_line(shard, event, line)?;
        }
        for moved in event.moves.iter().filter(|moved| moved.sku.shard() == self.here) {
            self.moved(shard, moved)?;
            shard.supply.moved = self.lsn;
        }
        if event.home() == self.here {
            self.inbound_header(shard, event)?;
            let horizon = self.now.minus(shard.retention.age);
            shard.supply.forget_closed(horizon, shard.retention.entries);
        }
        Ok(())
    }

    fn inbound_line(&self, shard: &mut Shard, event: &SupplyEvent, line: &InboundLine) -> Applied {
        require(line.supply.shard() == self.here, "a supply lies in the shard of its SKU")?;
        let known = shard.supply.supply(line.supply).map(|supply| (supply.line.sku, supply.location));
        match event.step {
            InboundStep::Announced | InboundStep::TransferShipped => {
                require(line.supply.sequence() >= shard.supply.next_sequence(), "a supply id is given out once")?;
            }
            InboundStep::Changed | InboundStep::Received | InboundStep::Cancelled => {
                require(known == Some((line.sku, event.location)), "an event names supplies that were announced")?;
            }
        }
        if event.step == InboundStep::TransferShipped {
            let from = event.from.ok_or(Misfit("a transfer leaves a location"))?;
            self.cell(shard, line.sku, from, |cell| minus(&mut cell.on_hand, line.expected))?;
        }
        let supply = Supply {
            line: InboundLine { rest_before: Quantity::ZERO, arrived: Quantity::ZERO, ..*line },
            code: event.code.clone(),
            location: event.location,
            eta: event.eta,
            in_transit: event.from.is_some(),
            promised: 0,
        };
        let delta = shard.supply.put(supply);
        self.cell(shard, line.sku, event.location, |cell| {
            plus(&mut cell.on_hand, line.arrived)?;
            cell.incoming =
                cell.incoming.checked_add_signed(delta).ok_or(Misfit("incoming covers what is announced"))?;
            Ok(())
        })
    }

    fn inbound_header(&self, shard: &mut Shard, event: &SupplyEvent) -> Applied {
        let plain = |line: &InboundLine| InboundLine { rest_before: Quantity::ZERO, arrived: Quantity::ZERO, ..*line };
        let closed_at = (!event.state.is_open()).then_some(self.now);
        let mut header = match (event.step, shard.supply.header(&event.code)) {
            (InboundStep::Announced | InboundStep::TransferShipped, known) => {
                require(known.is_none_or(|known| !known.state.is_open()), "a code has one open document")?;
                InboundHeader {
                    kind: event.kind,
                    location: event.location,
                    from: event.from,
                    eta: event.eta,
                    state: event.state,
                    reference: event.reference.clone(),
                    lines: Vec::with_capacity(event.lines.len()),
                    created_at: self.now,
                    closed_at,
                    revision: self.lsn,
                }
            }
            (_, Some(known)) if known.state.is_open() => known.clone(),
            _ => return Err(Misfit("an event names an open document")),
        };
        (header.eta, header.state, header.closed_at, header.revision) = (event.eta, event.state, closed_at, self.lsn);
        for line in &event.lines {
            match header.lines.iter_mut().find(|kept| kept.supply == line.supply) {
                Some(kept) => *kept = plain(line),
                None => header.lines.push(plain(line)),
            }
        }
        shard.supply.put_header(&event.code, header);
        Ok(())
    }

    /// Units promised ahead become stock, or are promised of another supply.
    fn moved(&self, shard: &mut Shard, moved: &PresoldMove) -> Applied {
        let (id, sku, units) = (moved.reservation, moved.sku, moved.quantity);
        let (line, charged) = self.take_presold(shard, id, moved.from, sku, units)?;
        match moved.to {
            PresoldTarget::Stock(location) => {
                self.cell(shard, sku, location, |cell| plus(cell.promise_mut(moved.promise), units))?;
                let part = shard.parts.whole_mut(&id).ok_or(NOT_PRESOLD)?;
                require(part.promise == moved.promise, "what becomes stock is in the bucket of its reservation")?;
                match part.line_mut(sku, location) {
                    Some(kept) => {
                        require(kept.charged == charged, "all units of a SKU of a reservation count, or none")?;
                        plus(&mut kept.open, units)
                    }
                    None => {
                        part.lines.push(PartLine { charged, ..PartLine::open(sku, location, units) });
                        Ok(())
                    }
                }
            }
            PresoldTarget::Supply { supply, location, expected_at } => {
                let line = Line { location, ..line };
                self.put_presold(shard, id, &PresoldLine { supply, line, promised: expected_at, charged })
            }
        }
    }

    /// A hold's units that are promised from what is expected. The part is not among the shard's yet.
    pub(super) fn presold_held(&self, shard: &mut Shard, held: &Held, part: &mut Part) -> Applied {
        for one in held.presold().iter().filter(|one| one.line.sku.shard() == self.here) {
            let promised = shard.supply.promise(one.supply, held.reservation, one.line.sku, one.line.quantity);
            promised.ok_or(NO_SUPPLY)?;
            self.noted(shard, one.line.sku)?;
            let units = (one.line.sku, one.line.quantity);
            let charged = self.charge(&mut shard.allotments, &part.path, units, part.promise)?;
            part.presold.push(PresoldLine { charged, ..*one });
        }
        Ok(())
    }

    /// They stay promised from what is expected, of a confirmed order.
    pub(super) fn presold_confirmed(&self, shard: &mut Shard, claim: &Claim) -> Applied {
        for one in claim.presold().iter().filter(|one| one.line.sku.shard() == self.here) {
            let part = shard.parts.get(&claim.reservation).ok_or(NOT_PRESOLD)?;
            let promised = part.presold().iter().find(|kept| kept.supply == one.supply);
            require(promised.is_some_and(|kept| kept.line == one.line), NOT_PRESOLD.0)?;
            if promised.is_some_and(|kept| kept.charged) {
                self.charge_confirmed_ahead(shard, claim.reservation, one.line)?;
            }
        }
        Ok(())
    }

    /// They go back to their supplies.
    pub(super) fn presold_given_back(&self, shard: &mut Shard, claim: &Claim, promise: Promise) -> Applied {
        for one in claim.presold().iter().filter(|one| one.line.sku.shard() == self.here) {
            let (id, line) = (claim.reservation, &one.line);
            let (_, charged) = self.take_presold(shard, id, one.supply, line.sku, line.quantity)?;
            if charged {
                self.charge_given_back_ahead(shard, id, *line, promise)?;
            }
        }
        Ok(())
    }

    fn put_presold(&self, shard: &mut Shard, id: ReservationId, one: &PresoldLine) -> Applied {
        let line = &one.line;
        shard.supply.promise(one.supply, id, line.sku, line.quantity).ok_or(NO_SUPPLY)?;
        self.noted(shard, line.sku)?;
        let part = shard.parts.whole_mut(&id).ok_or(NOT_PRESOLD)?;
        match part.presold.iter_mut().find(|kept| kept.supply == one.supply) {
            Some(kept) => {
                kept.promised = kept.promised.min(one.promised);
                plus(&mut kept.line.quantity, line.quantity)
            }
            None => {
                part.presold.push(*one);
                Ok(())
            }
        }
    }

    /// Takes units off what a reservation is promised of a supply. Gives them as a line, and whether they count to its path.
    fn take_presold(
        &self,
        shard: &mut Shard,
        id: ReservationId,
        supply: SupplyId,
        sku: SkuId,
        units: Quantity,
    ) -> Result<(Line, bool), Misfit> {
        let part = shard.parts.whole_mut(&id).ok_or(NOT_PRESOLD)?;
        let place = part.presold.iter().position(|kept| kept.supply == supply && kept.line.sku == sku);
        let place = place.ok_or(NOT_PRESOLD)?;
        let charged = part.presold[place].charged;
        let kept = &mut part.presold[place].line;
        minus(&mut kept.quantity, units)?;
        let line = Line { quantity: units, ..*kept };
        if kept.quantity.is_zero() {
            part.presold.remove(place);
        }
        shard.supply.give_back(supply, id, units).ok_or(NOT_PRESOLD)?;
        self.noted(shard, sku)?;
        Ok((line, charged))
    }

    /// What is promised ahead of a SKU is part of its revision.
    fn noted(&self, shard: &mut Shard, sku: SkuId) -> Applied {
        let row = shard.rows.get_mut(sku.row()).ok_or(Misfit(super::KNOWN_SKU))?;
        row.set_revision(self.lsn);
        Ok(())
    }
}
