//! The proof from outside: what the server holds now against what it acknowledged, reservation by reservation and cell by cell.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quartermaster_proto::v1::{Cell, GetReservationRequest, Reservation, ReservationState};
use tonic::{Code, Status};

use super::Catalogue;
use super::catalogue::HOT_SKU;
use super::ledger::{Acked, Entry};
use crate::ask::{at_once, cells_of, list_reservations};
use crate::check::{Check, Proof, own_audit};
use crate::client::Client;
use crate::load::LoadError;

/// How long after its time a hold may still be there before that counts as a failure.
const EXPIRY_LATE_MAX: Duration = Duration::from_secs(5);

/// Compares the server with `ledger`, the last word the buyers have, and with the stock that was loaded. Call it when nobody sends
/// any more and no outcome is unknown. `conflicts` are the ledger's.
///
/// # Errors
/// When the server does not answer; a difference is a failed check, not an error.
pub async fn prove(
    client: &Client,
    catalogue: &Arc<Catalogue>,
    ledger: &[(String, Entry)],
    conflicts: &[String],
) -> Result<Proof, LoadError> {
    let failed = |call| move |status| LoadError { call, status };
    let found = get_all(client, ledger).await.map_err(failed("GetReservation"))?;
    let mut checks = vec![nothing_lost(ledger, &found)];
    // Cells are compared when every unpaid hold has run out, so that nothing moves while they are read.
    let late = wait_for_expiry(client).await.map_err(failed("ListReservations"))?;
    let listed = list_reservations(client, ReservationState::Unspecified).await.map_err(failed("ListReservations"))?;
    checks.push(nothing_twice(ledger, &listed, conflicts));
    checks.push(expiry_exact(&listed, &late));
    let cells = list_cells(client, catalogue).await.map_err(failed("ListCells"))?;
    checks.push(hot_not_oversold(catalogue, &listed));
    checks.push(no_cell_oversold(&cells));
    checks.push(units_conserved(catalogue, ledger, &listed, &cells));
    checks.push(own_audit(client).await.map_err(failed("RunAudit"))?);
    Ok(Proof { checks })
}

fn nothing_lost(ledger: &[(String, Entry)], found: &HashMap<String, Option<Reservation>>) -> Check {
    let mut check = Check::new("no acknowledged reservation is missing or has gone back");
    check.examined = crate::table::counted(count(ledger.len()), "reservation");
    for (id, entry) in ledger {
        match found.get(id).and_then(Option::as_ref) {
            None => check.fail(format!("{id} was acknowledged as {:?} and is not there", entry.acked)),
            Some(reservation) => {
                if let Some(why) = inconsistency(entry, reservation) {
                    check.fail(format!("{id}: {why}"));
                }
            }
        }
    }
    check
}

/// Why `reservation` cannot follow from what was acknowledged, if so.
fn inconsistency(entry: &Entry, reservation: &Reservation) -> Option<String> {
    let state = reservation.state();
    let legal = match entry.acked {
        Acked::Held => matches!(state, ReservationState::Held | ReservationState::Expired),
        Acked::Confirmed => state == ReservationState::Confirmed,
        Acked::Shipped => state == ReservationState::Shipped,
    };
    if !legal {
        return Some(format!("acknowledged as {:?}, found as {}", entry.acked, state_name(state)));
    }
    let mut lines: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for line in &entry.lines {
        *lines.entry((&line.sku, &line.location)).or_default() += line.quantity;
    }
    for line in &reservation.lines {
        let (open, shipped, back) = match state {
            ReservationState::Shipped => (0, line.shipped, 0),
            ReservationState::Expired => (0, 0, line.returned_to_stock),
            _ => (line.open, 0, 0),
        };
        if (line.open, line.shipped, line.returned_to_stock) != (open, shipped, back) {
            return Some(format!("{} at {} has units in two states", line.sku, line.location));
        }
        *lines.entry((&line.sku, &line.location)).or_default() -= open + shipped + back;
    }
    lines.into_iter().find(|&(_, left)| left != 0).map(|((sku, location), left)| {
        format!("granted and found units of {sku} at {location} differ by {}", left.abs())
    })
}

fn nothing_twice(ledger: &[(String, Entry)], listed: &[Reservation], conflicts: &[String]) -> Check {
    let mut check = Check::new("no request was answered with two reservations, none came unasked");
    check.examined = crate::table::counted(count(listed.len()), "reservation");
    conflicts.iter().for_each(|conflict| check.fail(conflict.clone()));
    let known: BTreeSet<&str> = ledger.iter().map(|(id, _)| id.as_str()).collect();
    let mut requests: HashMap<&str, &str> = HashMap::with_capacity(ledger.len());
    for (id, entry) in ledger {
        if let Some(other) = requests.insert(&entry.request_id, id) {
            check.fail(format!("request {} was given {other} and {id}", entry.request_id));
        }
    }
    for reservation in listed {
        if !known.contains(reservation.reservation_id.as_str()) {
            check.fail(format!("{} was acknowledged to nobody", reservation.reservation_id));
        }
    }
    check
}

fn expiry_exact(listed: &[Reservation], late: &[String]) -> Check {
    let mut check = Check::new("unpaid holds expired, none of them early");
    let expired = || listed.iter().filter(|reservation| reservation.state() == ReservationState::Expired);
    check.examined = crate::table::counted(count(expired().count()), "expired hold");
    late.iter().for_each(|id| check.fail(format!("{id} is still held {} s after its time", EXPIRY_LATE_MAX.as_secs())));
    for reservation in expired() {
        let end = reservation.end_time.and_then(since_epoch);
        let due = reservation.expire_time.and_then(since_epoch);
        match (end, due) {
            (Some(end), Some(due)) if end >= due => {}
            (Some(end), Some(due)) => {
                check.fail(format!("{} expired {} µs early", reservation.reservation_id, (due - end).as_micros()));
            }
            _ => check.fail(format!("{} expired without a time", reservation.reservation_id)),
        }
    }
    check
}

fn hot_not_oversold(catalogue: &Catalogue, listed: &[Reservation]) -> Check {
    let stock = catalogue.hot_units();
    let mut check = Check::new(format!("of {} {HOT_SKU} not one more was sold", crate::table::grouped(stock)));
    let promised: i64 = lines(listed).filter(|line| line.sku == HOT_SKU).map(|line| line.open + line.shipped).sum();
    let promised = u64::try_from(promised).unwrap_or(0);
    check.examined = format!("{} sold", crate::table::counted(promised, "unit"));
    if promised > stock {
        check.fail(format!("{promised} units were sold, {stock} were there"));
    }
    check
}

fn no_cell_oversold(cells: &[Cell]) -> Check {
    let mut check = Check::new("no cell promises more than it has");
    check.examined = crate::table::counted(count(cells.len()), "cell");
    for cell in cells {
        if cell.reserved + cell.committed > cell.on_hand || cell.shortfall != 0 {
            let Cell { sku, location, on_hand, reserved, committed, .. } = cell;
            check.fail(format!("{sku} at {location}: on hand {on_hand}, reserved {reserved}, committed {committed}"));
        }
    }
    check
}

fn units_conserved(catalogue: &Catalogue, ledger: &[(String, Entry)], listed: &[Reservation], cells: &[Cell]) -> Check {
    let mut check = Check::new("every unit is on the shelf, promised or shipped");
    // By cell: on hand, reserved, committed, as they must be.
    let mut expected: HashMap<(&str, &str), [i64; 3]> = HashMap::with_capacity(cells.len());
    for (sku, locations) in catalogue.opening() {
        for (location, units) in locations {
            expected.insert((sku, location), [units, 0, 0]);
        }
    }
    for (_, entry) in ledger.iter().filter(|(_, entry)| entry.acked == Acked::Shipped) {
        for line in &entry.lines {
            expected.entry((&line.sku, &line.location)).or_default()[0] -= line.quantity;
        }
    }
    for reservation in listed {
        let bucket = match reservation.state() {
            ReservationState::Held => 1,
            ReservationState::Confirmed => 2,
            _ => continue,
        };
        for line in &reservation.lines {
            expected.entry((&line.sku, &line.location)).or_default()[bucket] += line.open;
        }
    }
    let mut units = 0;
    for cell in cells {
        units += u64::try_from(cell.on_hand).unwrap_or(0);
        let found = [cell.on_hand, cell.reserved, cell.committed];
        let should = expected.remove(&(cell.sku.as_str(), cell.location.as_str())).unwrap_or_default();
        for (bucket, (found, should)) in ["on hand", "reserved", "committed"].iter().zip(found.into_iter().zip(should))
        {
            if found != should {
                check.fail(format!("{} at {}: {bucket} is {found}, must be {should}", cell.sku, cell.location));
            }
        }
    }
    let mut missing: Vec<_> = expected.into_iter().filter(|(_, should)| *should != [0; 3]).collect();
    missing.sort_unstable();
    for ((sku, location), should) in missing {
        check.fail(format!("{sku} at {location} is gone; on hand, reserved, committed must be {should:?}"));
    }
    check.examined =
        format!("{}, {}", crate::table::counted(count(cells.len()), "cell"), crate::table::counted(units, "unit"));
    check
}

/// Waits until nothing is held any more; the ids of holds that are there long after their time.
async fn wait_for_expiry(client: &Client) -> Result<Vec<String>, Status> {
    loop {
        let held = list_reservations(client, ReservationState::Held).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let due = |reservation: &Reservation| reservation.expire_time.and_then(since_epoch).unwrap_or_default();
        let waiting = held.iter().any(|reservation| due(reservation) + EXPIRY_LATE_MAX > now);
        if !waiting {
            return Ok(held.into_iter().map(|reservation| reservation.reservation_id).collect());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn get_all(client: &Client, ledger: &[(String, Entry)]) -> Result<HashMap<String, Option<Reservation>>, Status> {
    let ids = ledger.iter().map(|(id, _)| id.clone()).collect();
    let get = |id: String| {
        let client = client.clone();
        async move {
            let request = GetReservationRequest { reservation_id: id.clone() };
            let answered = client.call(&request, |request| {
                let mut allocation = client.allocation();
                async move { allocation.get_reservation(request).await }
            });
            match answered.await.result {
                Ok(response) => Ok((id, response.reservation)),
                Err(status) if status.code() == Code::NotFound => Ok((id, None)),
                Err(status) => Err(status),
            }
        }
    };
    Ok(at_once(ids, get).await?.into_iter().collect())
}

async fn list_cells(client: &Client, catalogue: &Arc<Catalogue>) -> Result<Vec<Cell>, Status> {
    let skus = catalogue.skus.iter().map(|sku| sku.code.clone()).collect();
    let cells = at_once(skus, |sku| cells_of(client.clone(), sku)).await?;
    Ok(cells.into_iter().flatten().collect())
}

fn lines(listed: &[Reservation]) -> impl Iterator<Item = &quartermaster_proto::v1::ReservationLine> {
    listed.iter().flat_map(|reservation| &reservation.lines)
}

fn since_epoch(time: prost_types::Timestamp) -> Option<Duration> {
    SystemTime::try_from(time).ok()?.duration_since(UNIX_EPOCH).ok()
}

fn state_name(state: ReservationState) -> &'static str {
    state.as_str_name().trim_start_matches("RESERVATION_STATE_")
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use quartermaster_proto::v1::{Allocation, ReservationLine};

    use super::*;

    fn entry(acked: Acked) -> Entry {
        let lines = vec![Allocation { sku: "A".to_owned(), location: "L".to_owned(), quantity: 2 }];
        Entry { request_id: "r".to_owned(), lines, acked, expires: Duration::ZERO }
    }

    fn reservation(state: ReservationState, [open, shipped, returned_to_stock]: [i64; 3]) -> Reservation {
        let line = ReservationLine {
            sku: "A".to_owned(),
            location: "L".to_owned(),
            open,
            shipped,
            returned_to_stock,
            announced: 0,
        };
        Reservation { state: state.into(), lines: vec![line], ..Reservation::default() }
    }

    #[test]
    fn what_may_follow_from_what_was_acknowledged() {
        use ReservationState::{Confirmed, Expired, Held, Released, Shipped};
        let table = [
            (Acked::Held, Held, [2, 0, 0], true),
            (Acked::Held, Expired, [0, 0, 2], true),
            (Acked::Held, Released, [0, 0, 2], false),
            (Acked::Held, Held, [1, 0, 0], false),
            (Acked::Confirmed, Confirmed, [2, 0, 0], true),
            (Acked::Confirmed, Held, [2, 0, 0], false),
            (Acked::Confirmed, Expired, [0, 0, 2], false),
            (Acked::Confirmed, Confirmed, [1, 1, 0], false),
            (Acked::Shipped, Shipped, [0, 2, 0], true),
            (Acked::Shipped, Confirmed, [2, 0, 0], false),
            (Acked::Shipped, Shipped, [0, 1, 1], false),
        ];
        for (acked, state, units, legal) in table {
            let why = inconsistency(&entry(acked), &reservation(state, units));
            assert_eq!(why.is_none(), legal, "{acked:?} then {state:?} {units:?}: {why:?}");
        }
    }
}
