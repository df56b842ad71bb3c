//! Orders: held, paid or not, shipped, cancelled; in the flash sale while it runs, ahead of stock where stock is short.

use std::collections::BTreeMap;

use quartermaster_benches::files::Fault;
use quartermaster_engine::{
    Rejection,
    command::{
        Asked, Command, LineSelection, Presale, Reserve, ReserveLine, Step,
        campaign::{CampaignCommand, CampaignSpec, ItemSpec, TrancheSpec},
    },
    event::{Event, Held, campaign::CampaignEvent},
    id::ReservationId,
    time::{Micros, Timestamp},
};

use super::{Player, Task, setup::KIT, units};
use crate::{
    calendar::{DAY, HOUR, MINUTE, times},
    desk::Outcome,
    ledger::Stand,
    tally::variant,
    world::{Good, Sale},
};

/// How long a hold lasts.
const TTL: Micros = Micros::from_secs(15 * 60);

/// Code of the flash sale.
const SALE: &str = "SALE";

fn wide(units: u32) -> u64 {
    u64::from(units)
}

/// A hold that was asked for.
pub(super) struct Ask {
    pub(super) order: usize,
    pub(super) code: String,
    pub(super) buyer: String,
    pub(super) trade: bool,
    pub(super) lines: Vec<(String, u32)>,
    /// In the flash sale.
    pub(super) sale: bool,
}

impl Player<'_> {
    pub(super) fn order(&mut self, number: usize) -> Result<(), Fault> {
        let order = &self.world.orders[number];
        let channel = self.world.channels[usize::from(order.trade)];
        self.desk.tally.add(&format!("orders: {channel}"), 1);
        let asked: u64 = order.lines.iter().map(|(_, units)| wide(*units)).sum();
        self.desk.tally.add(&format!("units asked: {channel}"), asked);
        let on_sale = |good: Good| {
            let sale = self.world.sale.as_ref();
            sale.is_some_and(|sale| {
                !order.trade
                    && sale.starts_at <= self.desk.now
                    && self.desk.now < sale.ends_at
                    && self.offered.contains(&good)
            })
        };
        let (mut selling, mut plain): (Vec<_>, Vec<_>) =
            order.lines.iter().copied().partition(|(good, _)| on_sale(*good));
        if !selling.is_empty() {
            self.desk.tally.add("campaign: orders asked", 1);
            let ask = self.ask(number, &selling, true);
            if self.reserve(&ask)? {
                selling.clear();
            }
        }
        plain.append(&mut selling);
        plain.sort_unstable();
        if !plain.is_empty() {
            let ask = self.ask(number, &plain, false);
            self.reserve(&ask)?;
        }
        Ok(())
    }

    fn ask(&self, number: usize, lines: &[(Good, u32)], sale: bool) -> Ask {
        let order = &self.world.orders[number];
        let lines = lines.iter().map(|(good, units)| (self.code(*good), *units)).collect();
        let (code, buyer) = (order.code.clone(), order.buyer.clone());
        Ask { order: number, code, buyer, trade: order.trade, lines, sale }
    }

    /// The command of a hold that is asked for.
    pub(super) fn reserve_command(&self, ask: &Ask) -> Reserve {
        let line = |(sku, quantity): &(String, u32)| ReserveLine {
            sku: sku.clone().into(),
            quantity: units(*quantity),
            location: "".into(),
            sourcing: None,
        };
        let by = Some(self.desk.now.plus(times(DAY, 21)));
        let asked = if ask.sale {
            // Who wants one SKU alone waits for it by turns.
            let wait = ask.lines.len() == 1 && self.desk.commands.is_multiple_of(3);
            Asked { campaign: SALE.to_owned(), wait, ..Asked::default() }
        } else {
            Asked { presale: Presale::StockFirst { by }, ..Asked::default() }
        };
        Reserve {
            order_id: ask.code.clone().into(),
            buyer_id: ask.buyer.clone().into(),
            channel: self.world.channels[usize::from(ask.trade)].into(),
            lines: ask.lines.iter().map(line).collect(),
            ttl: TTL,
            allow_partial: !ask.sale,
            replaces: None,
            unchanged_since_lsn: 0,
            sourcing: None,
            asked: Some(Box::new(asked)),
        }
    }

    /// Asks for a hold; whether it was granted.
    fn reserve(&mut self, ask: &Ask) -> Result<bool, Fault> {
        let command = Command::Reserve(self.reserve_command(ask));
        let kind = if ask.sale { "campaign rejected" } else { "orders rejected" };
        match self.desk.submit(&command)? {
            Outcome::Done(Event::Held(held)) => {
                self.granted(ask, &held);
                Ok(true)
            }
            Outcome::Rejected(rejection) => {
                self.desk.tally.add(&format!("{kind}: {}", variant(&rejection)), 1);
                Ok(false)
            }
            other => {
                self.desk.unexpected(&ask.code, &other);
                Ok(false)
            }
        }
    }

    /// Counts what a hold got, and decides what becomes of it.
    pub(super) fn granted(&mut self, ask: &Ask, held: &Held) {
        let id = held.reservation;
        let stand = self.desk.ledger.claims.get(&id).map(|claim| (claim.stand, claim.expires_at));
        if let Some(own) = self.reservations.get_mut(ask.order) {
            own.push(id);
        }
        if stand.is_some_and(|(stand, _)| stand == Stand::Waiting) {
            self.desk.tally.add("campaign: buyers who wait", 1);
            return;
        }
        let stock: u64 = held.lines.iter().map(|line| line.quantity.units()).sum();
        let presold =
            held.terms.as_ref().map_or(0, |terms| terms.presold.iter().map(|one| one.line.quantity.units()).sum());
        let asked: u64 = ask.lines.iter().map(|(sku, units)| wide(*units) * if sku == KIT { 2 } else { 1 }).sum();
        let from = if ask.sale { "campaign: units served" } else { "units served: from stock" };
        self.desk.tally.add(from, stock);
        self.desk.tally.add("units served: ahead of stock", presold);
        self.desk.tally.add("units not served: in orders held in part", asked.saturating_sub(stock + presold));
        match stand {
            Some((Stand::Held, expires_at)) => {
                self.holds += 1;
                // Three in a hundred are never paid.
                if self.holds % 100 % 33 == 1 {
                    self.desk.tally.add("orders: left to expire", 1);
                    self.plan(expires_at, Task::Tick);
                } else {
                    self.plan(self.desk.now.plus(times(MINUTE, 5)), Task::Confirm(id));
                }
            }
            Some((Stand::Confirmed, _)) => self.dispatch(id),
            _ => {}
        }
    }

    pub(super) fn confirm(&mut self, id: ReservationId) -> Result<(), Fault> {
        if self.desk.ledger.claims.get(&id).is_some_and(|claim| claim.stand == Stand::Held) {
            self.desk.must(&Command::Reservation(id, Step::Confirm))?;
            self.dispatch(id);
        }
        Ok(())
    }

    /// A paid order leaves the next day, unless it is among the two in a hundred that are called off.
    fn dispatch(&mut self, id: ReservationId) {
        self.confirmed += 1;
        if self.confirmed.is_multiple_of(50) {
            self.plan(self.desk.now.plus(times(HOUR, 2)), Task::Cancel(id));
        } else {
            self.plan(self.desk.now.plus(DAY), Task::Ship(id));
        }
    }

    /// Every other one is called off in one line only.
    pub(super) fn cancel(&mut self, id: ReservationId) -> Result<(), Fault> {
        let Some(claim) = self.desk.ledger.claims.get(&id).filter(|claim| claim.stand == Stand::Confirmed) else {
            return Ok(());
        };
        let one = claim.open.iter().next().filter(|_| self.confirmed.is_multiple_of(2) && claim.open.len() > 1);
        let codes = &self.desk.ledger.codes;
        let lines: Vec<LineSelection> = one
            .map(|((sku, location), open)| LineSelection {
                sku: codes.sku_codes[sku.index()].clone(),
                location: codes.location_codes[location.index()].clone(),
                quantity: Some(units(open.div_ceil(2))),
            })
            .into_iter()
            .collect();
        let (kind, count) = match lines.first() {
            Some(line) => ("orders cancelled: one line", line.quantity.map_or(0, |units| units.units())),
            None => ("orders cancelled: whole", claim.units()),
        };
        if !lines.is_empty() {
            self.plan(self.desk.now.plus(DAY), Task::Ship(id));
        }
        if self.desk.must(&Command::Reservation(id, Step::Cancel(lines)))?.is_some() {
            self.desk.tally.add(kind, 1);
            self.desk.tally.add("units: cancelled", count);
        }
        Ok(())
    }

    /// Sends what lies ready. What is promised of the future follows when it has arrived.
    pub(super) fn ship(&mut self, id: ReservationId) -> Result<(), Fault> {
        let Some(claim) = self.desk.ledger.claims.get(&id) else { return Ok(()) };
        if claim.stand != Stand::Confirmed || claim.open.is_empty() {
            return Ok(());
        }
        let count = claim.open.values().map(|units| wide(*units)).sum();
        if self.desk.must(&Command::Reservation(id, Step::Ship(Vec::new())))?.is_some() {
            self.desk.tally.add("units: shipped", count);
        }
        Ok(())
    }

    /// What no supply covers any more is called off.
    pub(super) fn give_up(&mut self, id: ReservationId) -> Result<(), Fault> {
        let Some(claim) = self.desk.ledger.claims.get(&id) else { return Ok(()) };
        if claim.stand != Stand::Confirmed || !self.desk.ledger.uncovered(claim) {
            return Ok(());
        }
        let count = claim.units();
        if self.desk.must(&Command::Reservation(id, Step::Cancel(Vec::new())))?.is_some() {
            self.desk.tally.add("orders cancelled: what was promised never came", 1);
            self.desk.tally.add("units: cancelled", count);
        }
        Ok(())
    }

    /// The flash sale: three tranches, a third of the time apart, of what there is something of.
    pub(super) fn open_sale(&mut self) -> Result<(), Fault> {
        let Some(sale) = &self.world.sale else { return Ok(()) };
        let mut offered: Vec<(Good, u32)> = sale.goods.iter().copied().zip(sale.tranche.iter().copied()).collect();
        let event = loop {
            let command = Command::Campaign(self.sale_command(sale, &offered));
            match self.desk.submit(&command)? {
                Outcome::Done(Event::Campaign(event)) => break event,
                Outcome::Rejected(Rejection::CampaignNotStocked { sku, .. }) => {
                    self.desk.tally.add("campaign: SKUs with nothing to offer", 1);
                    offered.retain(|(good, _)| self.world.goods[*good].code != sku);
                }
                other => {
                    self.desk.unexpected("the flash sale", &other);
                    return Ok(());
                }
            }
        };
        if let CampaignEvent::Upserted { campaigns, .. } = &*event {
            let mut released: BTreeMap<_, Vec<(Timestamp, u64)>> = BTreeMap::new();
            for item in campaigns.iter().flat_map(|campaign| &campaign.items) {
                let tranches = item.tranches.iter().map(|tranche| (tranche.at, tranche.quantity.units()));
                released.insert(item.sku, tranches.collect());
            }
            let all = released.values().flatten().map(|(_, units)| units).sum();
            self.desk.tally.add("campaign: units offered", all);
            self.desk.ledger.sale(SALE, sale.buyer_limit, released);
        }
        self.offered = offered.into_iter().map(|(good, _)| good).collect();
        // Its tranches and its end need nobody to ask.
        for number in 0..=3 {
            self.plan(sale.starts_at.plus(times(sale.third(), number)), Task::Tick);
        }
        self.plan(sale.ends_at, Task::Tick);
        Ok(())
    }

    fn sale_command(&self, sale: &Sale, offered: &[(Good, u32)]) -> CampaignCommand {
        let item = |(good, tranche): &(Good, u32)| {
            let tranche = |number: u64| TrancheSpec {
                at: (number > 0).then(|| sale.starts_at.plus(times(sale.third(), number))),
                quantity: units(*tranche),
            };
            ItemSpec { sku: self.code(*good), tranches: (0..3).map(tranche).collect() }
        };
        let spec = CampaignSpec {
            code: SALE.to_owned(),
            name: "two weeks of sale".to_owned(),
            channel: self.world.channels[0].to_owned(),
            starts_at: sale.starts_at,
            ends_at: sale.ends_at,
            buyer_limit: sale.buyer_limit,
            order_limit: 0,
            items: offered.iter().map(item).collect(),
        };
        CampaignCommand::Upsert { campaigns: vec![spec], clip: true }
    }

    /// A set of two is sold now and then, when goods have come in.
    pub(super) fn sell_kit(&mut self, number: usize) -> Result<(), Fault> {
        let ask = Ask {
            order: usize::MAX,
            code: format!("K{number:05}"),
            buyer: "kit-buyer".to_owned(),
            trade: false,
            lines: vec![(KIT.to_owned(), 2)],
            sale: false,
        };
        let mut command = self.reserve_command(&ask);
        (command.asked, command.allow_partial) = (None, false);
        match self.desk.submit(&Command::Reserve(command))? {
            Outcome::Done(Event::Held(held)) => {
                self.desk.tally.add("kits: sold", 2);
                self.granted(&ask, &held);
            }
            other => self.desk.tally.add(&format!("kits: {}", other.name()), 1),
        }
        Ok(())
    }
}
