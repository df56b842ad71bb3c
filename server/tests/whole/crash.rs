//! SIGKILL in mid-traffic, again and again: every acknowledged reservation is there, none twice, and units are conserved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quartermaster_proto::v1::inventory_service_client::InventoryServiceClient;
use quartermaster_proto::v1::{
    ConfirmRequest, GetReservationRequest, ListCellsRequest, ReservationState, ReserveResponse, reserve_response,
};
use tonic::transport::Channel;

use super::support::{Server, allocation, order, stock};

const CLIENTS: usize = 8;
const SKUS: usize = 4;
const UNITS: i64 = 100_000;

/// Kills in one run; `CRASH_CYCLES` asks for more.
fn cycles() -> usize {
    std::env::var("CRASH_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

/// What a client knows of its requests.
#[derive(Default)]
struct Ledger {
    /// Request id to reservation id.
    held: BTreeMap<String, String>,
    confirmed: Vec<String>,
    /// Asked, never answered.
    unknown: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_reservation_is_lost_by_sigkill() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    stock(&server.channel().await, SKUS, UNITS).await;
    let mut running = Some(server);
    let mut all = Ledger::default();
    for cycle in 0..cycles() {
        let server = running.take().unwrap_or_else(|| Server::start(dir.path()));
        let acked = Arc::new(AtomicUsize::new(0));
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let (channel, acked) = (server.channel().await, Arc::clone(&acked));
            clients.push(tokio::spawn(buy(channel, format!("c{cycle}-{client}"), acked)));
        }
        while acked.load(Ordering::SeqCst) < 400 {
            tokio::task::yield_now().await;
        }
        server.kill();
        for client in clients {
            let ledger = client.await.unwrap();
            all.held.extend(ledger.held);
            all.confirmed.extend(ledger.confirmed);
            all.unknown.extend(ledger.unknown);
        }

        let server = Server::start(dir.path());
        check(&server.channel().await, &mut all).await;
        running = Some(server);
    }
    assert_eq!(running.map(Server::stop), Some(Some(0)));
}

/// Reserves and confirms until the connection breaks.
async fn buy(channel: Channel, name: String, acked: Arc<AtomicUsize>) -> Ledger {
    let (mut client, mut ledger) = (allocation(&channel), Ledger::default());
    for number in 0.. {
        let id = format!("{name}-{number}");
        let Ok(answer) = client.reserve(order(&id, number % SKUS, 1)).await else {
            ledger.unknown.push(id);
            return ledger;
        };
        let reservation = hold(answer.into_inner());
        ledger.held.insert(id.clone(), reservation.clone());
        acked.fetch_add(1, Ordering::SeqCst);
        if number % 2 == 0 {
            let confirm = ConfirmRequest { request_id: format!("{id}-pay"), reservation_id: reservation.clone() };
            if client.confirm(confirm).await.is_err() {
                return ledger;
            }
            ledger.confirmed.push(reservation);
        }
    }
    ledger
}

fn hold(answer: ReserveResponse) -> String {
    match answer.outcome {
        Some(reserve_response::Outcome::Hold(hold)) => hold.reservation_id,
        other => panic!("no hold but {other:?}"),
    }
}

async fn check(channel: &Channel, all: &mut Ledger) {
    let mut client = allocation(channel);
    // A request whose answer was lost is sent again with its id: it has happened once, before or now.
    for id in std::mem::take(&mut all.unknown) {
        let sku = id.rsplit('-').next().unwrap().parse::<usize>().unwrap() % SKUS;
        let reservation = hold(client.reserve(order(&id, sku, 1)).await.unwrap().into_inner());
        all.held.insert(id, reservation);
    }
    for (id, reservation) in &all.held {
        let sku = id.rsplit('-').next().unwrap().parse::<usize>().unwrap() % SKUS;
        let again = client.reserve(order(id, sku, 1)).await.unwrap().into_inner();
        assert!(again.replayed, "{id} was acknowledged and forgotten");
        assert_eq!(hold(again), *reservation, "{id} has another answer than before");
    }
    for reservation in &all.confirmed {
        let get = GetReservationRequest { reservation_id: reservation.clone() };
        let found = client.get_reservation(get).await.unwrap().into_inner().reservation.unwrap();
        assert_eq!(found.state(), ReservationState::Confirmed, "{reservation}");
    }
    let mut promised = 0;
    for sku in 0..SKUS {
        let cells = ListCellsRequest { sku: format!("S{sku}"), ..ListCellsRequest::default() };
        let cells = InventoryServiceClient::new(channel.clone()).list_cells(cells).await.unwrap().into_inner().cells;
        assert_eq!(cells[0].on_hand, UNITS);
        assert_eq!(cells[0].available, UNITS - cells[0].reserved - cells[0].committed);
        promised += cells[0].reserved + cells[0].committed;
    }
    assert_eq!(
        promised,
        i64::try_from(all.held.len()).unwrap(),
        "units promised are those of the reservations, each once"
    );
}
