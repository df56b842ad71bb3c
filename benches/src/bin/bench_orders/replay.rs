//! Plays a history to every decision maker, each in a world of its own, and each sale to all of them in the first one's world.

use std::io::Write;

use quartermaster_routing::{Allocation, LocationId};

use crate::Fault;
use crate::checks::Checks;
use crate::exact::{Exact, Solved};
use crate::history::{Event, History, Sale};
use crate::instances;
use crate::network::Site;
use crate::report::Measured;
use crate::tally::{Bill, Tally};
use crate::walks::Walk;
use crate::world::{Stock, World};

/// How sales are decided.
#[derive(Debug)]
pub(crate) enum Maker {
    Exact(Box<Exact>),
    Walk(Walk),
}

impl Maker {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Exact(exact) => exact.name(),
            Self::Walk(walk) => walk.name(),
        }
    }

    fn decide(&mut self, sale: &Sale, stock: &Stock, sites: &[Site]) -> Result<Decision, Fault> {
        let (allocations, solved) = match self {
            Self::Exact(exact) => {
                let mut solved = exact.solve(&sale.lines, stock, sites)?;
                (std::mem::take(&mut solved.plan.allocations), Some(solved))
            }
            Self::Walk(walk) => (walk.plan(&sale.lines, stock, sites), None),
        };
        let bill = Bill::of(&allocations, sites);
        Ok(Decision { allocations, bill, solved })
    }
}

struct Decision {
    allocations: Vec<Allocation>,
    bill: Bill,
    /// Of the exact solver; its plan's allocations have moved to those above.
    solved: Option<Solved>,
}

/// A decision maker, its world, and what it did.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) maker: Maker,
    world: World,
    /// In its own world.
    pub(crate) own: Tally,
    /// In the first seat's world, order by order.
    pub(crate) same_stock: Tally,
    /// Answers in its own world, if it is exact.
    pub(crate) answers: Vec<Measured>,
}

/// The seats, and what was found comparing them.
pub(crate) struct Replay<'a> {
    history: &'a History,
    /// Where counts apply and returns arrive.
    first: LocationId,
    pub(crate) seats: Vec<Seat>,
    pub(crate) checks: Checks,
    /// Takes the orders that the first seat found hard.
    hard: Option<&'a mut dyn Write>,
}

impl<'a> Replay<'a> {
    /// Seats the makers; the first one's world is the common one.
    pub(crate) fn new(
        history: &'a History,
        makers: Vec<Maker>,
        hard: Option<&'a mut dyn Write>,
    ) -> Result<Self, Fault> {
        let world = World::new(history);
        let seat = |maker| Seat {
            maker,
            world: world.clone(),
            own: Tally::default(),
            same_stock: Tally::default(),
            answers: Vec::new(),
        };
        let seats = makers.into_iter().map(seat).collect();
        let first = history.network.first().ok_or("no locations")?;
        Ok(Self { history, first, seats, checks: Checks::default(), hard })
    }

    /// Plays the events up to and with so many sales.
    pub(crate) fn run(&mut self, sales_max: u64) -> Result<(), Fault> {
        let mut sales = 0;
        for (_, event) in &self.history.events {
            match event {
                Event::Receipt { location, sku, units } => {
                    self.seats.iter_mut().for_each(|seat| seat.world.receive(*location, *sku, *units));
                }
                Event::Adjustment { sku, delta } => {
                    self.seats.iter_mut().for_each(|seat| seat.world.adjust(self.first, *sku, *delta));
                }
                Event::Return(lines) => {
                    for line in lines {
                        self.seats.iter_mut().for_each(|seat| seat.world.take_back(self.first, *line));
                    }
                }
                Event::Sale(_) if sales == sales_max => break,
                Event::Sale(sale) => {
                    self.sale(sale)?;
                    sales += 1;
                }
            }
        }
        Ok(())
    }

    fn sale(&mut self, sale: &Sale) -> Result<(), Fault> {
        let sites = self.history.network.sites(sale.to);
        let order = self.history.documents.name(sale.id.0);
        let wanted = sale.lines.iter().map(|line| u64::from(line.units.0)).sum();
        let mut decisions = Vec::with_capacity(self.seats.len());
        for at in 0..self.seats.len() {
            // Seats are split so that one decides on the stock of another.
            let (before, rest) = self.seats.split_at_mut(at);
            let Some((seat, _)) = rest.split_first_mut() else { break };
            let common = before.first().map_or(&seat.world.stock, |first| &first.world.stock);
            let decision = seat.maker.decide(sale, common, &sites)?;
            seat.same_stock.add(wanted, &decision.bill, &decision.allocations);
            decisions.push(decision);
        }
        self.compare(order, &decisions);
        for (at, common) in decisions.into_iter().enumerate() {
            let seat = &mut self.seats[at];
            // The first seat has just decided in its own world.
            let own = if at == 0 { common } else { seat.maker.decide(sale, &seat.world.stock, &sites)? };
            seat.own.add(wanted, &own.bill, &own.allocations);
            if let Some(solved) = &own.solved {
                Checks::answer(order, solved, &own.bill);
                let measured = Measured::new(sale.id, sale.lines.len(), solved);
                seat.answers.push(measured);
                if at == 0
                    && measured.is_hard()
                    && let Some(out) = &mut self.hard
                {
                    instances::write(out, self.history, sale, &seat.world.stock, &sites)?;
                }
            }
            seat.world.ship(sale.id, &own.allocations);
        }
        Ok(())
    }

    /// Every exact answer against every other decision of the same order and stock.
    fn compare(&mut self, order: &str, decisions: &[Decision]) {
        for (at, decision) in decisions.iter().enumerate() {
            let Some(solved) = &decision.solved else { continue };
            Checks::answer(order, solved, &decision.bill);
            for (_, other) in decisions.iter().enumerate().filter(|(their, _)| *their != at) {
                self.checks.against(order, solved, &other.bill);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quartermaster_routing::{Budget, Objective, SkuId, Units};

    use super::*;
    use crate::history::{DocumentId, Names, Returned, Stamp, Wanted};
    use crate::network::Kind;
    use crate::network::Network;
    use crate::network::tests::place;

    /// Two sales and a return between them: the second sale needs the units that came back.
    #[test]
    fn a_return_serves_the_next_sale() {
        let network =
            Network::new(vec![place("D", Kind::Dc, "GB", (51.0, 0.0)), place("S", Kind::Store, "GB", (55.0, 0.0))]);
        let (mut skus, mut documents) = (Names::default(), Names::default());
        let sku = SkuId(skus.number("A"));
        let to = network.stand_in("GB").unwrap();
        let mut sale = |name, units| {
            let id = DocumentId(documents.number(name));
            Event::Sale(Sale { id, to, lines: vec![Wanted { sku, units: Units(units) }] })
        };
        let (one, two) = (sale("1", 9), sale("2", 3));
        let back = Event::Return(vec![Returned { sku, units: Units(9), sale: Some(DocumentId(0)) }]);
        let events = [one, back, two].into_iter().map(|event| (Stamp(0), event)).collect();
        let opening = vec![(LocationId(1), sku, Units(2)), (LocationId(0), sku, Units(3))];
        let history = History { network, skus, documents, opening, events, placeless: 0 };
        let exact = Exact::new(Objective::Money, Budget::default(), 1);
        let makers = vec![Maker::Exact(Box::new(exact)), Maker::Walk(Walk::Nearest)];
        let mut replay = Replay::new(&history, makers, None).unwrap();
        replay.run(u64::MAX).unwrap();
        for seat in &replay.seats {
            // Five of nine are there; all five come back to D, which then serves three.
            assert_eq!((seat.own.orders, seat.own.wanted, seat.own.units, seat.own.parcels), (2, 12, 8, 3));
            assert_eq!(seat.own.fingerprint, seat.same_stock.fingerprint);
            assert_eq!(seat.world.stock.row(sku), [Units(2), Units(0)]);
        }
        assert_eq!((replay.checks.compared, replay.checks.beaten), (2, 0));
        assert_eq!(replay.seats[0].answers.len(), 2);
    }
}
