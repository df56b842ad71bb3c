//! The allocation service: convert, submit, wait, convert.

use std::{pin::Pin, sync::Arc};

use quartermaster_engine::{command::Command, query::ReservationFilter};
use quartermaster_proto::v1::{self, allocation_service_server::AllocationService};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    caller::{self, Caller},
    convert::{allocation, answers, reservations, supply},
    import,
    status::ApiError,
};
use crate::node::Node;

/// Batches and streams are answered by `super::straight` alone. It lets by what is compressed, which tonic refuses.
const PAST_ITS_LANE: ApiError = ApiError::Internal { what: "many reservations came past the straight lane" };

type Reply<T> = Result<Response<T>, Status>;

/// Takes stock for orders and follows it to the parcel.
#[derive(Clone)]
pub struct Allocation {
    node: Arc<Node>,
}

impl Allocation {
    /// The service of a node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

#[tonic::async_trait]
impl AllocationService for Allocation {
    type ReserveStreamStream = Pin<Box<dyn Stream<Item = Result<v1::ReserveStreamResponse, Status>> + Send>>;

    async fn reserve(&self, request: Request<v1::ReserveRequest>) -> Reply<v1::ReserveResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = allocation::reserve(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        Ok(Response::new(answers::reserve(&self.node, answer)?))
    }

    async fn reserve_batch(&self, _: Request<v1::ReserveBatchRequest>) -> Reply<v1::ReserveBatchResponse> {
        Err(PAST_ITS_LANE.into())
    }

    async fn reserve_stream(
        &self,
        _: Request<Streaming<v1::ReserveStreamRequest>>,
    ) -> Reply<Self::ReserveStreamStream> {
        Err(PAST_ITS_LANE.into())
    }

    async fn confirm(&self, request: Request<v1::ConfirmRequest>) -> Reply<v1::ConfirmResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = allocation::confirm(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        Ok(Response::new(answers::confirm(&self.node, answer)?))
    }

    async fn release(&self, request: Request<v1::ReleaseRequest>) -> Reply<v1::ReleaseResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = allocation::release(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        Ok(Response::new(answers::release(&self.node, answer)?))
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Reply<v1::CancelResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = allocation::cancel(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        Ok(Response::new(answers::cancel(&self.node, answer)?))
    }

    async fn extend(&self, request: Request<v1::ExtendRequest>) -> Reply<v1::ExtendResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = allocation::extend(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let mut told = answers::extend(&self.node, answer)?;
        // The event tells the new expiry alone. An order that is placed is extended as a hold is, and stays placed.
        if let (Some(v1::extend_response::Outcome::Update(update)), Command::Reservation(id, _)) =
            (&mut told.outcome, &command)
            && let Ok((_, found)) = self.node.engine().reservation(*id)
            && found.kept.is_some_and(|kept| !kept.wanted.is_empty())
        {
            update.state = i32::from(v1::ReservationState::Placed);
        }
        Ok(Response::new(told))
    }

    async fn ship(&self, request: Request<v1::ShipRequest>) -> Reply<v1::ShipResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = allocation::ship(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        Ok(Response::new(answers::ship(&self.node, answer)?))
    }

    async fn reassign(&self, request: Request<v1::ReassignRequest>) -> Reply<v1::ReassignResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = allocation::reassign(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        Ok(Response::new(answers::reassign(&self.node, answer)?))
    }

    async fn get_reservation(&self, request: Request<v1::GetReservationRequest>) -> Reply<v1::GetReservationResponse> {
        let (_, message) = caller::opened(&self.node, request)?;
        let id = allocation::get(&message)?;
        let (lsn, found) = self.node.engine().reservation(id).map_err(ApiError::from)?;
        self.node.settle(lsn).await?;
        let place = self.node.engine().place_in_line(id).and_then(|place| i64::try_from(place).ok());
        let mut reservation = reservations::reservation(&self.node.engine().catalogue(), &found);
        reservation.place_in_line = place.unwrap_or(0);
        supply::tell_expected(self.node.engine(), &found.presold, &mut reservation);
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::GetReservationResponse { position, reservation: Some(reservation) }))
    }

    async fn list_reservations(
        &self,
        request: Request<v1::ListReservationsRequest>,
    ) -> Reply<v1::ListReservationsResponse> {
        let caller = Caller::of(&request);
        let page = allocation::list(request.into_inner())?;
        let (lsn, mut found, more) = if page.filter.buyer_id.is_empty() {
            self.scan(page.filter, page.after, page.size).await?
        } else {
            self.node.engine().reservations(&page.filter, page.after, page.size)
        };
        self.node.settle(lsn).await?;
        let next_page_token = found.last().filter(|_| more).map(|last| page.pages.token(last.id.0)).unwrap_or_default();
        // A page is cut where it is cut for everybody; what is not for the caller is left out of it.
        found.retain(|found| caller.sees(&self.node, found));
        let catalogue = self.node.engine().catalogue();
        let mut reservations: Vec<v1::Reservation> =
            found.iter().map(|found| reservations::reservation(&catalogue, found)).collect();
        drop(catalogue);
        for (found, told) in found.iter().zip(&mut reservations) {
            supply::tell_expected(self.node.engine(), &found.presold, told);
        }
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListReservationsResponse { position, reservations, next_page_token }))
    }

    async fn get_outcome(&self, request: Request<v1::GetOutcomeRequest>) -> Reply<v1::GetOutcomeResponse> {
        let id = allocation::outcome(request.into_inner())?;
        let (lsn, found) = self.node.engine().outcome(&id);
        self.node.settle(lsn).await?;
        let position = Some(self.node.position(lsn));
        let Some((decided, event)) = found else {
            return Ok(Response::new(v1::GetOutcomeResponse { position, ..Default::default() }));
        };
        let mut outcome = answers::outcome(&self.node.engine().catalogue(), &event);
        if let v1::get_outcome_response::Outcome::Change(change) = &mut outcome {
            change.entries = change.entries.saturating_add(import::entries_before(self.node.engine(), &id));
        }
        let decided = Some(self.node.position(decided));
        Ok(Response::new(v1::GetOutcomeResponse { position, known: true, decided, outcome: Some(outcome) }))
    }
}

type Page = (quartermaster_journal::Lsn, Vec<quartermaster_engine::reservation::Reservation>, bool);

impl Allocation {
    /// A page that every reservation is looked at for: long work, off the threads that answer calls.
    async fn scan(
        &self,
        filter: ReservationFilter,
        after: Option<quartermaster_engine::id::ReservationId>,
        size: usize,
    ) -> Result<Page, ApiError> {
        let node = Arc::clone(&self.node);
        let scan = move || node.engine().reservations(&filter, after, size);
        tokio::task::spawn_blocking(scan)
            .await
            .map_err(|_| ApiError::Internal { what: "a scan of reservations broke off" })
    }
}
