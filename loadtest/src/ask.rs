//! Reads of many things, a few at once.

use std::future::Future;

use quartermaster_proto::v1::{Cell, ListCellsRequest, ListReservationsRequest, Reservation, ReservationState};
use tokio::task::JoinSet;
use tonic::Status;

use crate::client::Client;

/// Calls at the same time.
const AT_ONCE: usize = 32;

/// Runs `ask` for every item, a few at once; the answers in no order, or the first error.
///
/// # Errors
/// The first error of an item; UNKNOWN when a task panicked.
pub async fn at_once<I, T, F>(items: Vec<I>, ask: impl Fn(I) -> F) -> Result<Vec<T>, Status>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Status>> + Send + 'static,
{
    let mut answers = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < AT_ONCE
            && let Some(item) = items.next()
        {
            asked.spawn(ask(item));
        }
        match asked.join_next().await {
            None => return Ok(answers),
            Some(Ok(answer)) => answers.push(answer?),
            Some(Err(_)) => return Err(Status::unknown("a task ended early")),
        }
    }
}

/// Every cell of a SKU.
///
/// # Errors
/// When the server does not answer.
pub async fn cells_of(client: Client, sku: String) -> Result<Vec<Cell>, Status> {
    let mut cells = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListCellsRequest { sku: sku.clone(), page_size: 10_000, page_token };
        let answered = client.call(&request, |request| {
            let mut inventory = client.inventory();
            async move { inventory.list_cells(request).await }
        });
        let response = answered.await.result?;
        cells.extend(response.cells);
        if response.next_page_token.is_empty() {
            return Ok(cells);
        }
        page_token = response.next_page_token;
    }
}

/// Every reservation in `state`; all that are kept when it is unspecified.
///
/// # Errors
/// When the server does not answer.
pub async fn list_reservations(client: &Client, state: ReservationState) -> Result<Vec<Reservation>, Status> {
    let mut reservations = Vec::new();
    let mut page_token = String::new();
    loop {
        let request =
            ListReservationsRequest { state: state.into(), page_size: 1_000, page_token, ..Default::default() };
        let answered = client.call(&request, |request| {
            let mut allocation = client.allocation();
            async move { allocation.list_reservations(request).await }
        });
        let response = answered.await.result?;
        reservations.extend(response.reservations);
        if response.next_page_token.is_empty() {
            return Ok(reservations);
        }
        page_token = response.next_page_token;
    }
}
