//! The services over the book.

use std::pin::Pin;

use quartermaster_proto::v1::admin_service_server::AdminService;
use quartermaster_proto::v1::allocation_service_server::AllocationService;
use quartermaster_proto::v1::catalog_service_server::CatalogService;
use quartermaster_proto::v1::inventory_service_server::InventoryService;
use quartermaster_proto::v1::*;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::Fake;
use super::book::Decision;

type Answer<T> = Result<Response<T>, Status>;

fn absent<T>(name: &str) -> Answer<T> {
    Err(Status::unimplemented(format!("the fake server has no {name}")))
}

impl Fake {
    async fn decide(&self, request: &ReserveRequest) -> Result<ReserveResponse, Status> {
        {
            let mut turn = self.turn.lock().await;
            *turn += 1;
            if let Some((at, stall)) = self.faults().stall
                && *turn == at
            {
                // The fault itself, not a way to wait for something.
                tokio::time::sleep(stall).await;
            }
        }
        let oversell = self.faults().oversell;
        let mut book = self.book();
        let (decision, replayed) = book.once(&request.request_id, request, |book| book.reserve(request, oversell))?;
        let outcome = match decision {
            Ok(hold) => reserve_response::Outcome::Hold(hold),
            Err(rejection) => reserve_response::Outcome::Rejection(rejection),
        };
        let response = ReserveResponse { position: Some(book.position()), replayed, outcome: Some(outcome) };
        drop(book);
        self.answer(replayed, response)
    }

    /// The answer, unless it is one to be lost.
    fn answer<T>(&self, replayed: bool, response: T) -> Result<T, Status> {
        let events = self.book().events;
        match self.faults().lose_every {
            Some(every) if !replayed && events.is_multiple_of(every) => Err(Status::unavailable("the answer was lost")),
            _ => Ok(response),
        }
    }

    fn change<T: Clone + Send + 'static, R>(
        &self,
        request_id: &str,
        content: &impl std::fmt::Debug,
        change: impl FnOnce(&mut super::Book) -> Result<Decision<T>, Status>,
        respond: impl FnOnce(Position, bool, Decision<T>) -> R,
    ) -> Answer<R> {
        let mut book = self.book();
        let (decision, replayed) = book.once(request_id, content, change)?;
        let response = respond(book.position(), replayed, decision);
        drop(book);
        self.answer(replayed, Response::new(response))
    }
}

macro_rules! updates {
    ($outcome:ident, $response:ident) => {
        |position, replayed, decision: Decision<ReservationUpdate>| $response {
            position: Some(position),
            replayed,
            outcome: Some(match decision {
                Ok(update) => $outcome::Outcome::Update(update),
                Err(rejection) => $outcome::Outcome::Rejection(rejection),
            }),
        }
    };
}

#[async_trait]
impl AllocationService for Fake {
    async fn reserve(&self, request: Request<ReserveRequest>) -> Answer<ReserveResponse> {
        self.decide(request.get_ref()).await.map(Response::new)
    }

    async fn reserve_batch(&self, request: Request<ReserveBatchRequest>) -> Answer<ReserveBatchResponse> {
        let mut results = Vec::new();
        for request in &request.get_ref().requests {
            results.push(result(self.decide(request).await));
        }
        Ok(Response::new(ReserveBatchResponse { position: None, results }))
    }

    type ReserveStreamStream = Pin<Box<dyn Stream<Item = Result<ReserveStreamResponse, Status>> + Send>>;

    async fn reserve_stream(
        &self,
        request: Request<Streaming<ReserveStreamRequest>>,
    ) -> Answer<Self::ReserveStreamStream> {
        let fake = self.clone();
        let answers = request.into_inner().then(move |message| {
            let fake = fake.clone();
            async move {
                let mut results = Vec::new();
                for request in &message?.requests {
                    results.push(result(fake.decide(request).await));
                }
                Ok(ReserveStreamResponse { results })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn confirm(&self, request: Request<ConfirmRequest>) -> Answer<ConfirmResponse> {
        let request = request.into_inner();
        let id = &request.reservation_id;
        self.change(&request.request_id, &request, |book| book.confirm(id), updates!(confirm_response, ConfirmResponse))
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Answer<ReleaseResponse> {
        let request = request.into_inner();
        let id = &request.reservation_id;
        self.change(&request.request_id, &request, |book| book.release(id), updates!(release_response, ReleaseResponse))
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Answer<CancelResponse> {
        let request = request.into_inner();
        let cancel = |book: &mut super::Book| book.cancel(&request.reservation_id, &request.lines);
        self.change(&request.request_id, &request, cancel, updates!(cancel_response, CancelResponse))
    }

    async fn ship(&self, request: Request<ShipRequest>) -> Answer<ShipResponse> {
        let request = request.into_inner();
        let ship = |book: &mut super::Book| book.ship(&request.reservation_id, &request.lines);
        self.change(&request.request_id, &request, ship, updates!(ship_response, ShipResponse))
    }

    async fn extend(&self, _: Request<ExtendRequest>) -> Answer<ExtendResponse> {
        absent("Extend")
    }

    async fn reassign(&self, _: Request<ReassignRequest>) -> Answer<ReassignResponse> {
        absent("Reassign")
    }

    async fn get_reservation(&self, request: Request<GetReservationRequest>) -> Answer<GetReservationResponse> {
        let mut book = self.book();
        book.expire();
        let reservation = book.reservations.get(&request.get_ref().reservation_id).cloned();
        let reservation = reservation.ok_or_else(|| Status::not_found("no such reservation"))?;
        let position = Some(book.position());
        Ok(Response::new(GetReservationResponse { position, reservation: Some(reservation) }))
    }

    async fn list_reservations(&self, request: Request<ListReservationsRequest>) -> Answer<ListReservationsResponse> {
        let request = request.into_inner();
        let mut book = self.book();
        book.expire();
        let size = usize::try_from(request.page_size).unwrap();
        let wanted = |one: &&Reservation| {
            let any = request.state() == ReservationState::Unspecified;
            one.reservation_id > request.page_token && (any || one.state() == request.state())
        };
        let page: Vec<Reservation> = book.reservations.values().filter(wanted).take(size).cloned().collect();
        let full = page.len() == size;
        let next = page.last().filter(|_| full).map(|last| last.reservation_id.clone());
        Ok(Response::new(ListReservationsResponse {
            position: Some(book.position()),
            reservations: page,
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn get_outcome(&self, request: Request<GetOutcomeRequest>) -> Answer<GetOutcomeResponse> {
        let known = self.book().knows(&request.get_ref().request_id);
        Ok(Response::new(GetOutcomeResponse { known, ..GetOutcomeResponse::default() }))
    }
}

fn result(decided: Result<ReserveResponse, Status>) -> ReserveResult {
    let result = match decided {
        Ok(response) => reserve_result::Result::Response(response),
        Err(status) => reserve_result::Result::Error(ItemError {
            code: status.code().into(),
            reason: ErrorReason::UnknownSku.into(),
            message: status.message().to_owned(),
        }),
    };
    ReserveResult { result: Some(result) }
}

#[async_trait]
impl InventoryService for Fake {
    async fn set_stock(&self, _: Request<SetStockRequest>) -> Answer<SetStockResponse> {
        absent("SetStock")
    }

    async fn adjust_stock(&self, request: Request<AdjustStockRequest>) -> Answer<AdjustStockResponse> {
        let request = request.into_inner();
        self.change(
            &request.request_id,
            &request,
            |book| book.adjust(&request).map(Ok),
            |position, replayed, _: Decision<()>| AdjustStockResponse {
                position: Some(position),
                replayed,
                level: None,
            },
        )
    }

    async fn receive_stock(&self, request: Request<ReceiveStockRequest>) -> Answer<ReceiveStockResponse> {
        let request = request.into_inner();
        self.change(
            &request.request_id,
            &request,
            |book| book.receive(&request).map(Ok),
            |position, replayed, _: Decision<()>| ReceiveStockResponse {
                position: Some(position),
                replayed,
                levels: Vec::new(),
            },
        )
    }

    async fn move_stock(&self, _: Request<MoveStockRequest>) -> Answer<MoveStockResponse> {
        absent("MoveStock")
    }

    async fn import_stock(&self, request: Request<Streaming<ImportStockRequest>>) -> Answer<ImportStockResponse> {
        let mut messages = request.into_inner();
        let (mut request_id, mut rows) = (String::new(), Vec::new());
        while let Some(message) = messages.message().await? {
            request_id.push_str(&message.request_id);
            rows.extend(message.rows);
        }
        let count = i64::try_from(rows.len()).unwrap();
        self.change(
            &request_id,
            &rows,
            |book| book.import(&rows).map(Ok),
            |position, replayed, _: Decision<()>| ImportStockResponse {
                position: Some(position),
                replayed,
                rows: count,
                shortfalls: 0,
            },
        )
    }

    async fn get_availability(&self, _: Request<GetAvailabilityRequest>) -> Answer<GetAvailabilityResponse> {
        absent("GetAvailability")
    }

    async fn get_style_grid(&self, _: Request<GetStyleGridRequest>) -> Answer<GetStyleGridResponse> {
        absent("GetStyleGrid")
    }

    async fn list_cells(&self, request: Request<ListCellsRequest>) -> Answer<ListCellsResponse> {
        let mut book = self.book();
        book.expire();
        let cells = book.cells.values().filter(|cell| cell.sku == request.get_ref().sku).cloned().collect();
        let position = Some(book.position());
        Ok(Response::new(ListCellsResponse { position, cells, next_page_token: String::new() }))
    }

    async fn list_shortfalls(&self, _: Request<ListShortfallsRequest>) -> Answer<ListShortfallsResponse> {
        absent("ListShortfalls")
    }

    async fn set_cell_facts(&self, _: Request<SetCellFactsRequest>) -> Answer<SetCellFactsResponse> {
        absent("SetCellFacts")
    }

    async fn count_stock(&self, _: Request<CountStockRequest>) -> Answer<CountStockResponse> {
        absent("CountStock")
    }
}

#[async_trait]
impl CatalogService for Fake {
    async fn upsert_skus(&self, request: Request<UpsertSkusRequest>) -> Answer<UpsertSkusResponse> {
        let request = request.into_inner();
        let upsert = |book: &mut super::Book| {
            book.skus.extend(request.skus.clone());
            Ok(Ok(()))
        };
        self.change(&request.request_id, &request, upsert, |position, replayed, _| UpsertSkusResponse {
            position: Some(position),
            replayed,
            ..UpsertSkusResponse::default()
        })
    }

    async fn retire_skus(&self, _: Request<RetireSkusRequest>) -> Answer<RetireSkusResponse> {
        absent("RetireSkus")
    }

    async fn list_skus(&self, request: Request<ListSkusRequest>) -> Answer<ListSkusResponse> {
        let request = request.into_inner();
        let book = self.book();
        let from: usize = request.page_token.parse().unwrap_or(0);
        let size = usize::try_from(request.page_size).unwrap();
        let skus: Vec<Sku> = book.skus.iter().skip(from).take(size).cloned().collect();
        let next = from + skus.len();
        let next_page_token = if next < book.skus.len() { next.to_string() } else { String::new() };
        Ok(Response::new(ListSkusResponse { position: Some(book.position()), skus, next_page_token }))
    }

    async fn upsert_locations(&self, request: Request<UpsertLocationsRequest>) -> Answer<UpsertLocationsResponse> {
        let request = request.into_inner();
        let upsert = |book: &mut super::Book| {
            book.locations.extend(request.locations.clone());
            Ok(Ok(()))
        };
        self.change(&request.request_id, &request, upsert, |position, replayed, _| UpsertLocationsResponse {
            position: Some(position),
            replayed,
            ..UpsertLocationsResponse::default()
        })
    }

    async fn list_locations(&self, _: Request<ListLocationsRequest>) -> Answer<ListLocationsResponse> {
        absent("ListLocations")
    }

    async fn upsert_channels(&self, request: Request<UpsertChannelsRequest>) -> Answer<UpsertChannelsResponse> {
        let request = request.into_inner();
        self.change(
            &request.request_id,
            &request,
            |_| Ok(Ok(())),
            |position, replayed, _| UpsertChannelsResponse {
                position: Some(position),
                replayed,
                ..UpsertChannelsResponse::default()
            },
        )
    }

    async fn list_channels(&self, _: Request<ListChannelsRequest>) -> Answer<ListChannelsResponse> {
        absent("ListChannels")
    }

    async fn upsert_regions(&self, _: Request<UpsertRegionsRequest>) -> Answer<UpsertRegionsResponse> {
        absent("UpsertRegions")
    }

    async fn list_regions(&self, _: Request<ListRegionsRequest>) -> Answer<ListRegionsResponse> {
        absent("ListRegions")
    }
}

#[async_trait]
impl AdminService for Fake {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Answer<GetStatusResponse> {
        let events = self.book().events;
        let journal = JournalStatus { appended_events: events, fsyncs: events, ..JournalStatus::default() };
        Ok(Response::new(GetStatusResponse {
            version: "fake".to_owned(),
            durability: "none".to_owned(),
            journal: Some(journal),
            ..GetStatusResponse::default()
        }))
    }

    async fn get_limits(&self, _: Request<GetLimitsRequest>) -> Answer<GetLimitsResponse> {
        absent("GetLimits")
    }

    async fn take_snapshot(&self, _: Request<TakeSnapshotRequest>) -> Answer<TakeSnapshotResponse> {
        absent("TakeSnapshot")
    }

    async fn run_audit(&self, _: Request<RunAuditRequest>) -> Answer<RunAuditResponse> {
        Ok(Response::new(RunAuditResponse::default()))
    }

    async fn list_slow_calls(&self, _: Request<ListSlowCallsRequest>) -> Answer<ListSlowCallsResponse> {
        absent("ListSlowCalls")
    }
}
