//! The fake server's state and its naive rules.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use quartermaster_proto::v1::{
    AdjustStockRequest, Allocation, Cell, Hold, ImportRow, LineQuantity, LineShortage, Location, Position,
    ReceiveStockRequest, Rejection, RejectionReason, Reservation, ReservationLine, ReservationState, ReservationUpdate,
    ReserveRequest, Sku,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

type CellKey = (String, String);

/// All state.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) skus: Vec<Sku>,
    pub(crate) locations: Vec<Location>,
    pub(crate) cells: BTreeMap<CellKey, Cell>,
    pub(crate) reservations: BTreeMap<String, Reservation>,
    outcomes: HashMap<String, (String, Box<dyn Any + Send>)>,
    pub(crate) events: u64,
    pub(crate) replayed: u64,
}

/// Either a change or a business "no".
pub(crate) type Decision<T> = Result<T, Rejection>;

impl Book {
    /// Runs `change` once for each request id; the answer and whether it was given before. What is refused is not remembered.
    pub(crate) fn once<T: Clone + Send + 'static>(
        &mut self,
        request_id: &str,
        content: &impl std::fmt::Debug,
        change: impl FnOnce(&mut Book) -> Result<Decision<T>, Status>,
    ) -> Result<(Decision<T>, bool), Status> {
        self.expire();
        let content = format!("{content:?}");
        if let Some((before, answer)) = self.outcomes.get(request_id) {
            let answer = answer.downcast_ref::<T>().filter(|_| *before == content).cloned();
            let answer = answer.ok_or_else(|| error(Code::AlreadyExists, "REQUEST_ID_REUSED", request_id))?;
            self.replayed += 1;
            return Ok((Ok(answer), true));
        }
        let decision = change(self)?;
        if let Ok(answer) = &decision {
            self.events += 1;
            self.outcomes.insert(request_id.to_owned(), (content, Box::new(answer.clone())));
        }
        Ok((decision, false))
    }

    pub(crate) fn knows(&self, request_id: &str) -> bool {
        self.outcomes.contains_key(request_id)
    }

    pub(crate) fn position(&self) -> Position {
        Position { shard: 0, epoch: 1, lsn: self.events }
    }

    pub(crate) fn import(&mut self, rows: &[ImportRow]) -> Result<(), Status> {
        for row in rows {
            self.cell(&row.sku, &row.location)?.on_hand = row.on_hand;
        }
        Ok(())
    }

    pub(crate) fn receive(&mut self, request: &ReceiveStockRequest) -> Result<(), Status> {
        for receipt in &request.receipts {
            self.cell(&receipt.sku, &receipt.location)?.on_hand += receipt.quantity;
        }
        Ok(())
    }

    pub(crate) fn adjust(&mut self, request: &AdjustStockRequest) -> Result<(), Status> {
        let cell = self.cell(&request.sku, &request.location)?;
        if cell.on_hand + request.delta < 0 {
            return Err(error(Code::FailedPrecondition, "EXCEEDS_BUCKET", &request.sku));
        }
        cell.on_hand += request.delta;
        Ok(())
    }

    pub(crate) fn reserve(&mut self, request: &ReserveRequest, oversell: bool) -> Result<Decision<Hold>, Status> {
        let mut wanted: BTreeMap<&str, i64> = BTreeMap::new();
        for line in &request.lines {
            self.known_sku(&line.sku)?;
            *wanted.entry(&line.sku).or_default() += line.quantity;
        }
        let mut places: Vec<(i32, String)> =
            self.locations.iter().map(|location| (location.priority, location.code.clone())).collect();
        places.sort();
        let mut taken = Vec::new();
        let mut shortages = Vec::new();
        for (sku, requested) in wanted {
            let available = |place: &String| {
                let cell = self.cells.get(&(sku.to_owned(), place.clone()));
                cell.map_or(0, |cell| cell.on_hand - cell.reserved - cell.committed).max(0)
            };
            let whole = places.iter().find(|(_, place)| available(place) >= requested);
            let order: Vec<&(i32, String)> = whole.map_or(places.iter().collect(), |place| vec![place]);
            let mut left = requested;
            for (_, location) in order {
                let quantity = if oversell { left } else { left.min(available(location)) };
                if quantity > 0 {
                    taken.push(Allocation { sku: sku.to_owned(), location: location.clone(), quantity });
                    left -= quantity;
                }
            }
            if left > 0 {
                let available = requested - left;
                shortages.push(LineShortage { sku: sku.to_owned(), requested, available, ..LineShortage::default() });
            }
        }
        if taken.is_empty() || (!shortages.is_empty() && !request.allow_partial) {
            return Ok(Err(rejection(RejectionReason::InsufficientStock, shortages)));
        }
        let reservation_id = format!("R{:012}", self.reservations.len() + 1);
        let ttl = request.ttl.and_then(|ttl| Duration::try_from(ttl).ok()).unwrap_or(Duration::from_secs(900));
        let expire_time = Some((SystemTime::now() + ttl).into());
        for Allocation { sku, location, quantity } in &taken {
            self.cell(sku, location)?.reserved += quantity;
        }
        let line = |taken: &Allocation| ReservationLine {
            sku: taken.sku.clone(),
            location: taken.location.clone(),
            open: taken.quantity,
            ..ReservationLine::default()
        };
        let reservation = Reservation {
            reservation_id: reservation_id.clone(),
            state: ReservationState::Held.into(),
            order_id: request.order_id.clone(),
            expire_time,
            lines: taken.iter().map(line).collect(),
            ..Reservation::default()
        };
        self.reservations.insert(reservation_id.clone(), reservation);
        Ok(Ok(Hold { reservation_id, expire_time, allocations: taken, shortages, ..Hold::default() }))
    }

    pub(crate) fn confirm(&mut self, id: &str) -> Result<Decision<ReservationUpdate>, Status> {
        match self.found(id)?.state() {
            ReservationState::Held => {}
            ReservationState::Expired => return Ok(Err(rejection(RejectionReason::ReservationExpired, Vec::new()))),
            state => return Err(error(Code::FailedPrecondition, "RESERVATION_STATE", state.as_str_name())),
        }
        let lines = self.found(id)?.lines.clone();
        for line in &lines {
            let cell = self.cell(&line.sku, &line.location)?;
            cell.reserved -= line.open;
            cell.committed += line.open;
        }
        let moved = lines.iter().map(|line| allocation(line, line.open)).collect();
        Ok(Ok(self.update(id, Some(ReservationState::Confirmed), moved)))
    }

    pub(crate) fn release(&mut self, id: &str) -> Result<Decision<ReservationUpdate>, Status> {
        match self.found(id)?.state() {
            ReservationState::Held => Ok(Ok(self.end(id, ReservationState::Released))),
            ReservationState::Expired => Ok(Err(rejection(RejectionReason::ReservationExpired, Vec::new()))),
            state => Err(error(Code::FailedPrecondition, "RESERVATION_STATE", state.as_str_name())),
        }
    }

    pub(crate) fn cancel(&mut self, id: &str, what: &[LineQuantity]) -> Result<Decision<ReservationUpdate>, Status> {
        self.take_open(id, what, |cell, line, units| {
            cell.committed -= units;
            line.returned_to_stock += units;
        })
    }

    pub(crate) fn ship(&mut self, id: &str, what: &[LineQuantity]) -> Result<Decision<ReservationUpdate>, Status> {
        self.take_open(id, what, |cell, line, units| {
            cell.committed -= units;
            cell.on_hand -= units;
            line.shipped += units;
        })
    }

    fn take_open(
        &mut self,
        id: &str,
        what: &[LineQuantity],
        change: impl Fn(&mut Cell, &mut ReservationLine, i64),
    ) -> Result<Decision<ReservationUpdate>, Status> {
        let mut reservation = self.found(id)?.clone();
        if reservation.state() != ReservationState::Confirmed {
            return Err(error(Code::FailedPrecondition, "RESERVATION_STATE", reservation.state().as_str_name()));
        }
        let mut moved = Vec::new();
        for line in &mut reservation.lines {
            let named = what.iter().find(|named| named.sku == line.sku && named.location == line.location);
            let units = match named {
                Some(named) if named.quantity > 0 => named.quantity,
                Some(_) => line.open,
                None if what.is_empty() => line.open,
                None => 0,
            };
            if units > line.open {
                return Err(error(Code::FailedPrecondition, "EXCEEDS_OPEN_QUANTITY", &line.sku));
            }
            if units > 0 {
                line.open -= units;
                change(self.cell(&line.sku, &line.location)?, line, units);
                moved.push(allocation(line, units));
            }
        }
        let open: i64 = reservation.lines.iter().map(|line| line.open).sum();
        let shipped: i64 = reservation.lines.iter().map(|line| line.shipped).sum();
        let ended =
            (open == 0).then_some(if shipped > 0 { ReservationState::Shipped } else { ReservationState::Cancelled });
        self.reservations.insert(id.to_owned(), reservation);
        Ok(Ok(self.update(id, ended, moved)))
    }

    /// Ends what is due.
    pub(crate) fn expire(&mut self) {
        let now = SystemTime::now();
        let due = |reservation: &Reservation| {
            let time = reservation.expire_time.and_then(|time| SystemTime::try_from(time).ok());
            reservation.state() == ReservationState::Held && time.is_some_and(|time| time <= now)
        };
        let ids: Vec<String> =
            self.reservations.values().filter(|one| due(one)).map(|one| one.reservation_id.clone()).collect();
        for id in ids {
            self.end(&id, ReservationState::Expired);
        }
    }

    fn end(&mut self, id: &str, state: ReservationState) -> ReservationUpdate {
        let mut lines = std::mem::take(&mut self.reservations.get_mut(id).unwrap().lines);
        let moved = lines.iter().map(|line| allocation(line, line.open)).collect();
        for line in &mut lines {
            self.cell(&line.sku, &line.location).unwrap().reserved -= line.open;
            line.returned_to_stock += std::mem::take(&mut line.open);
        }
        let reservation = self.reservations.get_mut(id).unwrap();
        reservation.lines = lines;
        reservation.end_time = Some(SystemTime::now().into());
        self.update(id, Some(state), moved)
    }

    fn update(&mut self, id: &str, state: Option<ReservationState>, allocations: Vec<Allocation>) -> ReservationUpdate {
        let reservation = self.reservations.get_mut(id).unwrap();
        if let Some(state) = state {
            reservation.set_state(state);
        }
        ReservationUpdate {
            reservation_id: id.to_owned(),
            state: reservation.state,
            allocations,
            ..ReservationUpdate::default()
        }
    }

    fn found(&self, id: &str) -> Result<&Reservation, Status> {
        self.reservations.get(id).ok_or_else(|| error(Code::NotFound, "UNKNOWN_RESERVATION", id))
    }

    fn known_sku(&self, code: &str) -> Result<(), Status> {
        let known = self.skus.iter().any(|sku| sku.code == code);
        if known { Ok(()) } else { Err(error(Code::NotFound, "UNKNOWN_SKU", code)) }
    }

    fn cell(&mut self, sku: &str, location: &str) -> Result<&mut Cell, Status> {
        let empty = Cell { sku: sku.to_owned(), location: location.to_owned(), ..Cell::default() };
        Ok(self.cells.entry((sku.to_owned(), location.to_owned())).or_insert(empty))
    }
}

fn allocation(line: &ReservationLine, quantity: i64) -> Allocation {
    Allocation { sku: line.sku.clone(), location: line.location.clone(), quantity }
}

fn rejection(reason: RejectionReason, shortages: Vec<LineShortage>) -> Rejection {
    Rejection { reason: reason.into(), shortages, ..Rejection::default() }
}

fn error(code: Code, reason: &str, what: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "quartermaster", HashMap::<String, String>::new());
    Status::with_error_details(code, what.to_owned(), details)
}
