//! What comes back: announced, received, looked at, each unit each step once; and counts of cells.

use std::collections::BTreeMap;

use quartermaster_engine::{
    Rejection,
    command::returns::{AnnounceReturn, ReturnsCommand},
    event::{
        CellChange,
        returns::{
            Announced, Counted, Disposition, Inspected, Received, ReturnKind, ReturnUnits, ReturnsEvent, Unmatched,
            Withdrawn,
        },
    },
    id::{LocationId, ReservationId, ReturnId, SkuId},
};

use super::{Judged, Model, Place, must, stock::minus};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) announced: u64,
    pub(crate) received: u64,
    pub(crate) withdrawn: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct There {
    pub(crate) received: u64,
    pub(crate) inspected: [u64; 5],
}

/// Units of a SKU that left to buyers and came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) shipped: u64,
    pub(crate) returned: u64,
    pub(crate) undelivered: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Return {
    pub(crate) reservation: Option<ReservationId>,
    pub(crate) exchanged_for: Option<ReservationId>,
    pub(crate) lines: BTreeMap<(SkuId, Option<LocationId>), Due>,
    pub(crate) arrivals: BTreeMap<Place, There>,
    pub(crate) is_customer: bool,
    pub(crate) ended: bool,
}

impl Due {
    pub(crate) fn expected(&self) -> u64 {
        self.announced - self.received
    }
}

impl There {
    pub(crate) fn waiting(&self) -> u64 {
        self.received - self.inspected.iter().sum::<u64>()
    }
}

impl Return {
    pub(crate) fn is_open(&self) -> bool {
        self.expects() || self.waits()
    }

    /// More of it may arrive.
    pub(crate) fn expects(&self) -> bool {
        self.lines.values().any(|due| due.expected() > 0)
    }

    /// Something of it is to be looked at.
    pub(crate) fn waits(&self) -> bool {
        self.arrivals.values().any(|there| there.waiting() > 0)
    }
}

impl Model {
    pub(super) fn returns(&mut self, event: &ReturnsEvent) -> Judged {
        match event {
            ReturnsEvent::Announced(announced) => self.return_announced(announced, None),
            ReturnsEvent::Exchanged { announced, .. } => {
                let Some(held) = event.held() else { return Err("an exchange without a hold".into()) };
                self.return_announced(announced, Some(held.reservation))?;
                self.held(held)
            }
            ReturnsEvent::Received(received) => self.return_received(received),
            ReturnsEvent::Unmatched(unmatched) => self.return_unmatched(unmatched),
            ReturnsEvent::Inspected(inspected) => self.return_inspected(inspected),
            ReturnsEvent::Withdrawn(withdrawn) => self.return_withdrawn(withdrawn),
            ReturnsEvent::Counted(counted) => self.counted_cells(counted),
        }
    }

    fn return_announced(&mut self, announced: &Announced, exchanged_for: Option<ReservationId>) -> Judged {
        must!(!self.came_back.contains_key(&announced.id), "a return's id is given out twice");
        must!(!announced.lines.is_empty(), "nothing comes back");
        self.known(announced.reservation)?;
        let is_customer = announced.kind == ReturnKind::Customer;
        let mut record =
            Return { reservation: Some(announced.reservation), exchanged_for, is_customer, ..Return::default() };
        for ReturnUnits { sku, shipped_from, quantity } in &announced.lines {
            let Some(from) = *shipped_from else { return Err("a reservation's units left a location".into()) };
            let reservation = self.reservations.get_mut(&announced.reservation).expect("asked before");
            let Some(own) = reservation.lines.get_mut(&(*sku, from)) else {
                return Err(format!("nothing of {sku:?} left {from:?}"));
            };
            own.announced += quantity.units();
            must!(own.announced <= own.shipped, "more comes back than was shipped: {own:?}");
            let due = Due { announced: quantity.units(), ..Due::default() };
            must!(record.lines.insert((*sku, *shipped_from), due).is_none(), "a line stands twice");
        }
        self.came_back.insert(announced.id, record);
        Ok(())
    }

    fn record_mut(&mut self, id: ReturnId) -> Judged<&mut Return> {
        self.came_back.get_mut(&id).ok_or_else(|| format!("return {id} was never made"))
    }

    fn return_received(&mut self, received: &Received) -> Judged {
        let record = self.record_mut(received.id)?;
        must!(!record.ended && record.is_open(), "units of a return that has ended arrive");
        must!(record.reservation == received.reservation, "a return of another reservation");
        must!(!received.lines.is_empty(), "nothing arrives");
        let is_customer = record.is_customer;
        let mut arrived = BTreeMap::<SkuId, u64>::new();
        for ReturnUnits { sku, shipped_from, quantity } in &received.lines {
            let Some(due) = record.lines.get_mut(&(*sku, *shipped_from)) else {
                return Err(format!("{sku:?} was not announced"));
            };
            due.received += quantity.units();
            must!(due.received <= due.announced, "more arrives than was announced: {due:?}");
            record.arrivals.entry((*sku, received.location)).or_default().received += quantity.units();
            *arrived.entry(*sku).or_default() += quantity.units();
        }
        self.withdraw(received.id, &received.withdrawn)?;
        self.arrive(received.location, &arrived, &received.changes, is_customer)?;
        self.close(received.id, received.ended)
    }

    /// What arrives is on hand and in quality control, and nothing else changes.
    fn arrive(
        &mut self,
        location: LocationId,
        arrived: &BTreeMap<SkuId, u64>,
        changes: &[CellChange],
        is_customer: bool,
    ) -> Judged {
        let told: Vec<_> = changes.iter().map(|change| (change.sku, change.location, deltas(change))).collect();
        let signed = |units: &u64| i64::try_from(*units).unwrap_or(i64::MAX);
        let own = arrived.iter().map(|(sku, units)| (*sku, location, [signed(units), signed(units), 0, 0, 0, 0]));
        let own: Vec<_> = own.collect();
        must!(told == own, "cells change by {told:?}, not by {own:?}");
        for (sku, units) in arrived {
            let back = self.rates.entry(*sku).or_default();
            *(if is_customer { &mut back.returned } else { &mut back.undelivered }) += units;
        }
        changes.iter().try_for_each(|change| self.cell_changed(change))
    }

    /// Announced units will not come: they may be announced again.
    fn withdraw(&mut self, id: ReturnId, lines: &[ReturnUnits]) -> Judged {
        for ReturnUnits { sku, shipped_from, quantity } in lines {
            let record = self.record_mut(id)?;
            let reservation = record.reservation;
            let Some(due) = record.lines.get_mut(&(*sku, *shipped_from)) else {
                return Err(format!("{sku:?} was not announced"));
            };
            must!(quantity.units() <= due.expected(), "more is withdrawn than is expected: {due:?}");
            due.announced -= quantity.units();
            due.withdrawn += quantity.units();
            let Some((id, from)) = reservation.zip(*shipped_from) else { return Err("nobody's units".into()) };
            let lines = &mut self.reservations.get_mut(&id).expect("it was announced").lines;
            let Some(own) = lines.get_mut(&(*sku, from)) else { return Err(format!("{id} has no {sku:?}")) };
            minus(&mut own.announced, quantity.units(), "announced to come back")?;
        }
        Ok(())
    }

    /// A return ends when nothing of it is open, and once.
    fn close(&mut self, id: ReturnId, ended: bool) -> Judged {
        let record = self.record_mut(id)?;
        must!(!record.ended && ended != record.is_open(), "it ends: {ended}, {record:?}");
        record.ended = ended;
        Ok(())
    }

    fn return_unmatched(&mut self, unmatched: &Unmatched) -> Judged {
        must!(!self.came_back.contains_key(&unmatched.id), "a return's id is given out twice");
        let is_customer = unmatched.kind == ReturnKind::Customer;
        let mut record = Return { is_customer, ..Return::default() };
        let mut arrived = BTreeMap::<SkuId, u64>::new();
        for change in &unmatched.changes {
            let units = u64::try_from(change.on_hand).unwrap_or(0);
            must!(units > 0 && !self.skus[change.sku.index()].retired, "nothing arrives: {change:?}");
            record.lines.insert((change.sku, None), Due { announced: units, received: units, withdrawn: 0 });
            record.arrivals.insert((change.sku, unmatched.location), There { received: units, inspected: [0; 5] });
            arrived.insert(change.sku, units);
        }
        self.came_back.insert(unmatched.id, record);
        self.arrive(unmatched.location, &arrived, &unmatched.changes, is_customer)
    }

    fn return_inspected(&mut self, inspected: &Inspected) -> Judged {
        let record = self.record_mut(inspected.id)?;
        must!(record.reservation == inspected.reservation, "a return of another reservation");
        let mut own: BTreeMap<Place, [i64; 6]> = BTreeMap::new();
        for line in &inspected.lines {
            let Some(there) = record.arrivals.get_mut(&(line.sku, line.location)) else {
                return Err(format!("nothing arrived: {line:?}"));
            };
            must!(line.quantity.units() <= there.waiting(), "more is looked at than waits: {there:?}");
            let place = Disposition::ALL.iter().position(|one| *one == line.disposition).unwrap_or(0);
            there.inspected[place] += line.quantity.units();
            let units = line.quantity.signed();
            let [on_hand, quality_control, in_repair] = match line.disposition {
                Disposition::Restock => [0, -units, 0],
                Disposition::QualityControl => [0, 0, 0],
                Disposition::Repair => [0, -units, units],
                Disposition::Scrap | Disposition::ReturnToVendor => [-units, -units, 0],
            };
            let sum = own.entry((line.sku, line.location)).or_default();
            (sum[0], sum[1], sum[3]) = (sum[0] + on_hand, sum[1] + quality_control, sum[3] + in_repair);
        }
        let told: BTreeMap<Place, [i64; 6]> =
            inspected.changes.iter().map(|change| ((change.sku, change.location), deltas(change))).collect();
        must!(told == own, "cells change by {told:?}, not by {own:?}");
        inspected.changes.iter().try_for_each(|change| self.cell_changed(change))?;
        self.close(inspected.id, inspected.ended)
    }

    fn return_withdrawn(&mut self, withdrawn: &Withdrawn) -> Judged {
        must!(!withdrawn.lines.is_empty(), "nothing is withdrawn");
        self.withdraw(withdrawn.id, &withdrawn.lines)?;
        let expected = self.came_back[&withdrawn.id].lines.values().any(|due| due.expected() > 0);
        must!(!expected, "something is still expected");
        self.close(withdrawn.id, withdrawn.ended)
    }

    fn counted_cells(&mut self, counted: &Counted) -> Judged {
        must!(!counted.rows.is_empty(), "nothing was counted");
        for row in &counted.rows {
            let change = &row.change;
            must!(change.location == counted.location, "a cell elsewhere was counted");
            let [_, rest @ ..] = deltas(change);
            must!(rest == [0; 5], "a count changes more than what is on hand: {change:?}");
            self.cell_changed(change)?;
        }
        Ok(())
    }
}

impl Model {
    /// An event of a return is what was asked for.
    pub(super) fn returned_as_asked(&self, command: &ReturnsCommand, event: &ReturnsEvent) -> Judged {
        match (command, event) {
            (ReturnsCommand::Announce(asked), ReturnsEvent::Announced(told)) => self.announced_as_asked(asked, told),
            (ReturnsCommand::Exchange(asked), ReturnsEvent::Exchanged { announced, .. }) => {
                let Some(held) = event.held() else { return Err("an exchange without a hold".into()) };
                self.announced_as_asked(&asked.announce, announced)?;
                self.held_as_asked(&asked.reserve, held)
            }
            (ReturnsCommand::Receive(asked), ReturnsEvent::Received(told)) => {
                let units: u64 = asked.lines.iter().map(|(_, units)| units.units()).sum();
                let arrived: u64 = told.lines.iter().map(|line| line.quantity.units()).sum();
                must!(told.id == asked.id && arrived == units, "{arrived} of {units} arrive");
                let record = &self.came_back[&asked.id];
                let rest = record.lines.values().map(Due::expected).sum::<u64>() - arrived;
                let withdrawn: u64 = told.withdrawn.iter().map(|line| line.quantity.units()).sum();
                must!(withdrawn == if asked.last { rest } else { 0 }, "{withdrawn} of {rest} are withdrawn");
                Ok(())
            }
            (ReturnsCommand::Inspect(asked), ReturnsEvent::Inspected(told)) => {
                let units: u64 = asked.lines.iter().map(|line| line.quantity.units()).sum();
                let seen: u64 = told.lines.iter().map(|line| line.quantity.units()).sum();
                must!(told.id == asked.id && seen == units, "{seen} of {units} are looked at");
                Ok(())
            }
            (ReturnsCommand::Count(asked), ReturnsEvent::Counted(told)) => {
                must!(told.rows.len() == asked.rows.len(), "other cells were counted");
                for row in &told.rows {
                    let code = self.sku_code(row.change.sku);
                    let counted = asked.rows.iter().find(|asked| asked.cell.sku == code).map(|asked| asked.counted);
                    must!(counted == Some(row.change.on_hand_after), "{row:?} is not what was counted");
                }
                Ok(())
            }
            (ReturnsCommand::Cancel(id), ReturnsEvent::Withdrawn(told)) if told.id == *id => Ok(()),
            (ReturnsCommand::ReceiveUnmatched(_), ReturnsEvent::Unmatched(_)) => Ok(()),
            _ => Err(format!("{command:?} led to {event:?}")),
        }
    }

    fn announced_as_asked(&self, asked: &AnnounceReturn, told: &Announced) -> Judged {
        let units: u64 = asked.lines.iter().map(|line| line.quantity.units()).sum();
        let announced: u64 = told.lines.iter().map(|line| line.quantity.units()).sum();
        must!(told.reservation == asked.reservation && announced == units, "{announced} of {units} are announced");
        Ok(())
    }

    /// A "no" to a return: some line asks for more than there is of it.
    pub(super) fn is_a_right_no_to_a_return(&self, command: &ReturnsCommand, no: &Rejection) -> Judged {
        let (asked, most): (BTreeMap<String, u64>, BTreeMap<String, u64>) = match (command, no) {
            (ReturnsCommand::Announce(asked), Rejection::ExceedsShipped { .. }) => self.exceeds_shipped(asked)?,
            (ReturnsCommand::Exchange(asked), Rejection::ExceedsShipped { .. }) => {
                self.exceeds_shipped(&asked.announce)?
            }
            (ReturnsCommand::Receive(asked), Rejection::ExceedsAnnounced { .. }) => {
                let record = &self.came_back[&asked.id];
                let lines = record.lines.iter().map(|((sku, _), due)| (self.sku_code(*sku).to_owned(), due.expected()));
                let asked = asked.lines.iter().map(|(sku, units)| (sku.clone(), units.units()));
                (sums(asked), sums(lines))
            }
            (ReturnsCommand::Inspect(asked), Rejection::ExceedsReceived { .. }) => {
                let record = &self.came_back[&asked.id];
                let at = |sku: &str, location: &str| format!("{sku}@{location}");
                let there = record.arrivals.iter().flat_map(|((sku, location), there)| {
                    let (sku, location) = (self.sku_code(*sku), self.location_code(*location));
                    [(at(sku, location), there.waiting()), (at(sku, ""), there.waiting())]
                });
                let asked = asked.lines.iter().map(|line| (at(&line.sku, &line.location), line.quantity.units()));
                return Self::some_exceed(&sums(asked), &sums(there), true);
            }
            // The hold of an exchange is refused like any other.
            (ReturnsCommand::Exchange(_), _) => return Ok(()),
            _ => return Err(format!("no such no to a return: {no:?}")),
        };
        Self::some_exceed(&asked, &most, false)
    }

    /// By SKU and where it was shipped from: asked for, and shipped and not announced.
    fn exceeds_shipped(&self, asked: &AnnounceReturn) -> Judged<(BTreeMap<String, u64>, BTreeMap<String, u64>)> {
        let own = self.known(asked.reservation)?;
        let left =
            own.lines.iter().map(|((sku, _), own)| (self.sku_code(*sku).to_owned(), own.shipped - own.announced));
        let lines = asked.lines.iter().map(|line| (line.sku.clone(), line.quantity.units()));
        let placed = asked.lines.iter().any(|line| {
            let own = own
                .lines
                .iter()
                .find(|((sku, at), _)| self.sku_code(*sku) == line.sku && self.location_code(*at) == line.shipped_from);
            let left = own.map_or(0, |(_, own)| own.shipped - own.announced);
            let asked = asked.lines.iter().filter(|one| one.sku == line.sku);
            let units: u64 = asked
                .filter(|one| one.shipped_from == line.shipped_from || one.shipped_from.is_empty())
                .map(|one| one.quantity.units())
                .sum();
            !line.shipped_from.is_empty() && left < units
        });
        if placed { Ok((BTreeMap::from([("".into(), 1)]), BTreeMap::new())) } else { Ok((sums(lines), sums(left))) }
    }

    fn some_exceed(asked: &BTreeMap<String, u64>, most: &BTreeMap<String, u64>, mixed: bool) -> Judged {
        let exceeds = asked.iter().any(|(of, units)| units > most.get(of).unwrap_or(&0));
        // One line that names its place and one that does not may exceed together.
        must!(exceeds || mixed && asked.len() > 1, "refused, though of {asked:?} there are {most:?}");
        Ok(())
    }
}

fn sums(units: impl IntoIterator<Item = (String, u64)>) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    units.into_iter().for_each(|(of, units)| *sums.entry(of).or_default() += units);
    sums
}

/// On hand, quality control, damaged, in repair, safety, incoming.
fn deltas(change: &CellChange) -> [i64; 6] {
    [change.on_hand, change.quality_control, change.damaged, change.in_repair, change.safety, change.incoming]
}
