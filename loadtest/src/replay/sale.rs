//! One order on its way: reserved with what there is, then paid and shipped, or released, abandoned, cancelled in part.

use std::collections::BTreeMap;

use quartermaster_proto::v1::{
    Allocation, CancelRequest, ConfirmRequest, Hold, LineQuantity, RejectionReason, ReleaseRequest, ReserveLine,
    ReserveRequest, ShipRequest, cancel_response, confirm_response, release_response, reserve_response, ship_response,
};
use tokio::time::Instant;

use super::data_set::{CellNo, Document, SkuNo};
use super::player::{PlayError, Player, failed, is_expired_state};
use crate::pace::Slot;
use crate::random::digest;

/// What a customer does with an order; a digest of its number decides, so that it is the same in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Shipped,
    Released,
    Abandoned,
    CancelledInPart,
}

impl Player {
    /// Plays one order and enters it into the books.
    pub(super) async fn sale(&self, sale: &Document, slot: Slot) -> Result<(), PlayError> {
        let fate = self.fate(&sale.id);
        let demanded: u64 = sale.lines.iter().map(|line| u64::from(line.units)).sum();
        let request = self.reserve_request(sale, fate);
        let answered = self.client.call(&request, |request| {
            let mut allocation = self.client.allocation();
            async move { allocation.reserve(request).await }
        });
        let result = answered.await.result;
        self.latencies.reserve.record(slot.intended.elapsed());
        let response = result.map_err(failed("Reserve", &request.request_id))?;
        let no_outcome = || PlayError::NoOutcome { call: "Reserve", request_id: request.request_id.clone() };
        let hold = match response.outcome.ok_or_else(no_outcome)? {
            reserve_response::Outcome::Hold(hold) => Some(hold),
            reserve_response::Outcome::Rejection(rejection) => match rejection.reason() {
                RejectionReason::InsufficientStock => None,
                reason => {
                    return Err(PlayError::Rejected { call: "Reserve", request_id: request.request_id, reason });
                }
            },
        };
        let granted = match &hold {
            Some(hold) => self.granted(sale, hold),
            None => BTreeMap::new(),
        };
        let units: u64 = granted.values().sum();
        {
            let mut books = self.books();
            let totals = &mut books.totals;
            totals.orders += 1;
            totals.lines += u64::try_from(sale.lines.len()).unwrap_or(0);
            totals.demanded += demanded;
            totals.unfilled += demanded.saturating_sub(units);
            totals.orders_whole += u64::from(units == demanded);
            totals.orders_served += u64::from(units > 0);
            let mut places: Vec<_> = granted.keys().map(|(_, place)| place).collect();
            places.sort_unstable();
            places.dedup();
            totals.orders_split += u64::from(places.len() > 1);
        }
        if let Some(hold) = hold {
            self.follow(sale, fate, &hold, &granted).await?;
        }
        self.books().finished(&sale.id);
        Ok(())
    }

    fn fate(&self, order: &str) -> Fate {
        let drawn = digest(order) % 100;
        let released = self.plan.released_percent;
        let abandoned = released + self.plan.abandoned_percent;
        if drawn < released {
            Fate::Released
        } else if drawn < abandoned {
            Fate::Abandoned
        } else if drawn < abandoned + self.plan.cancelled_percent {
            Fate::CancelledInPart
        } else {
            Fate::Shipped
        }
    }

    fn reserve_request(&self, sale: &Document, fate: Fate) -> ReserveRequest {
        let ttl = if fate == Fate::Abandoned { self.plan.abandoned_ttl } else { self.plan.ttl };
        let line = |sku: SkuNo, units: u32| ReserveLine {
            sku: self.set.sku_code(sku).to_owned(),
            quantity: units.into(),
            location: String::new(),
            sourcing: None,
        };
        ReserveRequest {
            request_id: self.request_id(&sale.id, "reserve"),
            order_id: sale.id.clone(),
            buyer_id: sale.customer.clone(),
            lines: sale.lines.iter().map(|asked| line(asked.sku, asked.units)).collect(),
            ttl: prost_types::Duration::try_from(ttl).ok(),
            allow_partial: true,
            ..ReserveRequest::default()
        }
    }

    /// What a hold took, by cell. More than was asked for is a contradiction.
    fn granted(&self, sale: &Document, hold: &Hold) -> BTreeMap<CellNo, u64> {
        let granted = self.by_cell(&sale.id, &hold.allocations);
        let mut asked: BTreeMap<SkuNo, u64> = BTreeMap::new();
        for line in &sale.lines {
            *asked.entry(line.sku).or_default() += u64::from(line.units);
        }
        let mut taken: BTreeMap<SkuNo, u64> = BTreeMap::new();
        for (&(sku, _), units) in &granted {
            *taken.entry(sku).or_default() += units;
        }
        for (sku, units) in taken {
            let asked = asked.get(&sku).copied().unwrap_or(0);
            if units > asked {
                let code = self.set.sku_code(sku);
                self.books().contradiction(format!("order {}: {asked} of {code} asked, {units} granted", sale.id));
            }
        }
        granted
    }

    fn by_cell(&self, order: &str, allocations: &[Allocation]) -> BTreeMap<CellNo, u64> {
        let mut cells = BTreeMap::new();
        for Allocation { sku, location, quantity } in allocations {
            match (self.index.cell(sku, location), u64::try_from(*quantity)) {
                (Some(cell), Ok(units)) => *cells.entry(cell).or_default() += units,
                _ => {
                    let what = format!("order {order}: the server moved {quantity} of {sku} at {location}");
                    self.books().contradiction(what);
                }
            }
        }
        cells
    }

    async fn follow(
        &self,
        sale: &Document,
        fate: Fate,
        hold: &Hold,
        granted: &BTreeMap<CellNo, u64>,
    ) -> Result<(), PlayError> {
        let units: u64 = granted.values().sum();
        match fate {
            Fate::Abandoned => {
                self.books().totals.expired += units;
                return Ok(());
            }
            Fate::Released => return self.release(sale, hold, units).await,
            Fate::Shipped | Fate::CancelledInPart => {}
        }
        if !self.confirm(sale, hold).await? {
            self.books().totals.expired += units;
            return Ok(());
        }
        let mut open = granted.clone();
        if fate == Fate::CancelledInPart
            && let Some((&cell, &units)) = granted.first_key_value()
        {
            self.cancel(sale, hold, cell, units.div_ceil(2)).await?;
            if let Some(left) = open.get_mut(&cell) {
                *left -= units.div_ceil(2);
            }
            open.retain(|_, left| *left > 0);
        }
        if open.is_empty() { Ok(()) } else { self.ship(sale, hold, &open).await }
    }

    /// Confirms; false when the hold's time was up, which happens when a run goes on after an interruption.
    async fn confirm(&self, sale: &Document, hold: &Hold) -> Result<bool, PlayError> {
        let request = ConfirmRequest {
            request_id: self.request_id(&sale.id, "confirm"),
            reservation_id: hold.reservation_id.clone(),
        };
        let began = Instant::now();
        let answered = self.client.call(&request, |request| {
            let mut allocation = self.client.allocation();
            async move { allocation.confirm(request).await }
        });
        let result = answered.await.result;
        self.latencies.confirm.record(began.elapsed());
        let response = match result {
            Err(status) if is_expired_state(&status) => return Ok(false),
            result => result.map_err(failed("Confirm", &request.request_id))?,
        };
        match response.outcome {
            Some(confirm_response::Outcome::Update(_)) => Ok(true),
            Some(confirm_response::Outcome::Rejection(rejection)) => match rejection.reason() {
                RejectionReason::ReservationExpired => Ok(false),
                reason => Err(PlayError::Rejected { call: "Confirm", request_id: request.request_id, reason }),
            },
            None => Err(PlayError::NoOutcome { call: "Confirm", request_id: request.request_id }),
        }
    }

    async fn release(&self, sale: &Document, hold: &Hold, units: u64) -> Result<(), PlayError> {
        let request = ReleaseRequest {
            request_id: self.request_id(&sale.id, "release"),
            reservation_id: hold.reservation_id.clone(),
        };
        let began = Instant::now();
        let answered = self.client.call(&request, |request| {
            let mut allocation = self.client.allocation();
            async move { allocation.release(request).await }
        });
        let result = answered.await.result;
        self.latencies.release.record(began.elapsed());
        let response = match result {
            Err(status) if is_expired_state(&status) => {
                self.books().totals.expired += units;
                return Ok(());
            }
            result => result.map_err(failed("Release", &request.request_id))?,
        };
        match response.outcome {
            Some(release_response::Outcome::Update(_)) => self.books().totals.released += units,
            Some(release_response::Outcome::Rejection(rejection)) => match rejection.reason() {
                RejectionReason::ReservationExpired => self.books().totals.expired += units,
                reason => return Err(PlayError::Rejected { call: "Release", request_id: request.request_id, reason }),
            },
            None => return Err(PlayError::NoOutcome { call: "Release", request_id: request.request_id }),
        }
        Ok(())
    }

    async fn cancel(&self, sale: &Document, hold: &Hold, cell: CellNo, units: u64) -> Result<(), PlayError> {
        let (sku, location) = self.codes(cell);
        let request = CancelRequest {
            request_id: self.request_id(&sale.id, "cancel"),
            reservation_id: hold.reservation_id.clone(),
            lines: vec![LineQuantity { sku, location, quantity: i64::try_from(units).unwrap_or(i64::MAX) }],
        };
        let began = Instant::now();
        let answered = self.client.call(&request, |request| {
            let mut allocation = self.client.allocation();
            async move { allocation.cancel(request).await }
        });
        let result = answered.await.result;
        self.latencies.cancel.record(began.elapsed());
        let response = result.map_err(failed("Cancel", &request.request_id))?;
        match response.outcome {
            Some(cancel_response::Outcome::Update(update)) => {
                let cancelled: u64 = self.by_cell(&sale.id, &update.allocations).values().sum();
                let mut books = self.books();
                books.totals.cancelled += cancelled;
                if cancelled != units {
                    let what = format!("order {}: {units} units to cancel, {cancelled} cancelled", sale.id);
                    books.contradiction(what);
                }
                Ok(())
            }
            Some(cancel_response::Outcome::Rejection(rejection)) => {
                let reason = rejection.reason();
                Err(PlayError::Rejected { call: "Cancel", request_id: request.request_id, reason })
            }
            None => Err(PlayError::NoOutcome { call: "Cancel", request_id: request.request_id }),
        }
    }

    async fn ship(&self, sale: &Document, hold: &Hold, open: &BTreeMap<CellNo, u64>) -> Result<(), PlayError> {
        let request = ShipRequest {
            request_id: self.request_id(&sale.id, "ship"),
            reservation_id: hold.reservation_id.clone(),
            lines: Vec::new(),
        };
        let began = Instant::now();
        let answered = self.client.call(&request, |request| {
            let mut allocation = self.client.allocation();
            async move { allocation.ship(request).await }
        });
        let result = answered.await.result;
        self.latencies.ship.record(began.elapsed());
        let response = result.map_err(failed("Ship", &request.request_id))?;
        match response.outcome {
            Some(ship_response::Outcome::Update(update)) => {
                let shipped = self.by_cell(&sale.id, &update.allocations);
                let mut books = self.books();
                if shipped != *open {
                    let (open, shipped): (u64, u64) = (open.values().sum(), shipped.values().sum());
                    books.contradiction(format!("order {}: {open} units open, {shipped} shipped", sale.id));
                }
                shipped.into_iter().for_each(|(cell, units)| books.shipped(&sale.id, cell, units));
                Ok(())
            }
            Some(ship_response::Outcome::Rejection(rejection)) => {
                let reason = rejection.reason();
                Err(PlayError::Rejected { call: "Ship", request_id: request.request_id, reason })
            }
            None => Err(PlayError::NoOutcome { call: "Ship", request_id: request.request_id }),
        }
    }
}
