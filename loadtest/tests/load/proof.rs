//! The demo's sale and its proof: it holds on an honest server and fails on one that loses or oversells.

use std::sync::Arc;
use std::time::Duration;

use quartermaster_loadtest::check::Proof;
use quartermaster_loadtest::client::Client;
use quartermaster_loadtest::demo::catalogue::{HOT_SKU, OpeningStock};
use quartermaster_loadtest::demo::{Catalogue, Ledger, Sale, SaleOutcome, SalePlan, prove, resolve};
use quartermaster_loadtest::load::load;
use quartermaster_proto::v1::{Channel, Location, ReservationState, Sku};

use super::support::{Fake, Faults};

/// Four SKUs at two locations, the wanted one among them.
fn small() -> Arc<Catalogue> {
    let sku = |code: &str| Sku { code: code.to_owned(), ..Sku::default() };
    let location = |code: &str| Location { code: code.to_owned(), ..Location::default() };
    let cell = |(sku, location, units)| OpeningStock { sku, location, units };
    Arc::new(Catalogue {
        locations: vec![location("DC-1"), location("DC-2")],
        channels: vec![Channel { code: "app".to_owned(), ..Channel::default() }],
        skus: vec![sku(HOT_SKU), sku("A"), sku("B"), sku("C")],
        stock: [(0, 0, 12), (0, 1, 8), (1, 0, 500), (1, 1, 9), (2, 1, 300), (3, 0, 7)].map(cell).into(),
    })
}

struct Sold {
    fake: Fake,
    client: Client,
    catalogue: Arc<Catalogue>,
    ledger: Arc<Ledger>,
    outcome: SaleOutcome,
}

async fn sell(faults: Faults, attempts_max: u32) -> Sold {
    let fake = Fake::start().await;
    let client = fake.client(attempts_max).await;
    let (catalogue, ledger) = (small(), Arc::new(Ledger::default()));
    load(&client, catalogue.to_load(), "test").await.unwrap();
    fake.set_faults(faults);
    let plan = SalePlan { ttl: Duration::from_secs(1), ..SalePlan::new("sale", 5, 400, Duration::from_secs(1)) };
    let outcome = Sale::new(client.clone(), Arc::clone(&catalogue), Arc::clone(&ledger), plan).run().await;
    fake.set_faults(Faults::default());
    Sold { fake, client, catalogue, ledger, outcome }
}

impl Sold {
    async fn prove(&self) -> Proof {
        prove(&self.client, &self.catalogue, &self.ledger.snapshot(), &self.ledger.conflicts()).await.unwrap()
    }
}

/// The claims that do not hold.
fn broken(proof: &Proof) -> Vec<&str> {
    proof.checks.iter().filter(|check| check.failures_total > 0).map(|check| check.claim.as_str()).collect()
}

#[tokio::test]
async fn an_honest_server_is_proved() {
    let sold = sell(Faults::default(), 1).await;
    let tally = &sold.outcome.tally;
    assert_eq!(sold.outcome.reserve.count, 400);
    assert!(tally.holds > 100 && tally.sold_out > 0 && tally.confirmed > 50 && tally.shipped > 10, "{tally:?}");
    let proof = sold.prove().await;
    assert!(proof.holds(), "{proof}");
    let expired = |one: &quartermaster_proto::v1::Reservation| one.state() == ReservationState::Expired;
    assert!(sold.fake.book().reservations.values().any(expired));
}

#[tokio::test]
async fn unknown_outcomes_are_resolved_exactly_once() {
    let mut sold = sell(Faults { lose_every: Some(7), ..Faults::default() }, 1).await;
    let unknown = std::mem::take(&mut sold.outcome.unknown);
    assert!(unknown.len() > 20);
    // Until they are resolved the server knows of reservations that nobody was told of.
    assert!(!sold.prove().await.holds());
    let resolved = resolve(&sold.client, &sold.ledger, unknown).await;
    assert!(resolved.done_before > 0 && resolved.failed.is_empty(), "{resolved:?}");
    let proof = sold.prove().await;
    assert!(proof.holds(), "{proof}");
}

#[tokio::test]
async fn a_lost_reservation_is_found() {
    let sold = sell(Faults::default(), 1).await;
    {
        let mut book = sold.fake.book();
        let shipped =
            book.reservations.values().find(|one| one.state() == ReservationState::Confirmed).cloned().unwrap();
        book.reservations.remove(&shipped.reservation_id);
        for line in &shipped.lines {
            book.cells.get_mut(&(line.sku.clone(), line.location.clone())).unwrap().committed -= line.open;
        }
    }
    assert_eq!(broken(&sold.prove().await), ["no acknowledged reservation is missing or has gone back"]);
}

#[tokio::test]
async fn a_payment_that_went_back_is_found() {
    let sold = sell(Faults::default(), 1).await;
    {
        let mut book = sold.fake.book();
        let paid = book.reservations.values_mut().find(|one| one.state() == ReservationState::Confirmed).unwrap();
        paid.set_state(ReservationState::Held);
    }
    let proof = sold.prove().await;
    assert!(broken(&proof).contains(&"no acknowledged reservation is missing or has gone back"), "{proof}");
}

#[tokio::test]
async fn an_oversold_sku_is_found() {
    let sold = sell(Faults { oversell: true, ..Faults::default() }, 1).await;
    let proof = sold.prove().await;
    let broken = broken(&proof);
    assert!(broken.contains(&"of 20 DROP-01-BLACK-M not one more was sold"), "{proof}");
    assert!(broken.contains(&"no cell promises more than it has"), "{proof}");
}

#[tokio::test]
async fn a_unit_too_few_is_found() {
    let sold = sell(Faults::default(), 1).await;
    sold.fake.book().cells.get_mut(&("A".to_owned(), "DC-1".to_owned())).unwrap().on_hand -= 1;
    assert_eq!(broken(&sold.prove().await), ["every unit is on the shelf, promised or shipped"]);
}
