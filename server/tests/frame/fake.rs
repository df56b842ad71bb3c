//! Services with canned answers, to see what the frame makes of them.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quartermaster_proto::v1::admin_service_server::AdminService;
use quartermaster_proto::v1::allocation_service_server::AllocationService;
use quartermaster_proto::v1::inventory_service_server::InventoryService;
use quartermaster_proto::v1::*;
use tokio::sync::{Notify, Semaphore};
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

/// More than a JSON number can carry exactly.
pub const LSN: u64 = 9_007_199_254_740_993;

/// Answers by the request id.
#[derive(Clone, Default)]
pub struct Fake {
    /// Rung when a call with the id "wait" has arrived.
    pub arrived: Arc<Notify>,
    /// Gives such a call its answer.
    pub gate: Arc<Gate>,
    /// Ids of the reservations that were carried out, in their order.
    pub done: Arc<Mutex<Vec<String>>>,
}

pub struct Gate(pub Semaphore);

impl Default for Gate {
    fn default() -> Gate {
        Gate(Semaphore::new(0))
    }
}

fn not_faked<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not faked"))
}

fn position() -> Option<Position> {
    Some(Position { shard: 0, epoch: 3, lsn: LSN })
}

#[tonic::async_trait]
impl AllocationService for Fake {
    type ReserveStreamStream = Pin<Box<dyn Stream<Item = Result<ReserveStreamResponse, Status>> + Send>>;

    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<ReserveResponse>, Status> {
        let request = request.into_inner();
        self.done.lock().unwrap().push(request.request_id.clone());
        match request.request_id.as_str() {
            "unknown-sku" => {
                let facts = [("sku".to_owned(), "TEE-RED-XL".to_owned())];
                let details = ErrorDetails::with_error_info("UNKNOWN_SKU", "quartermaster", facts);
                return Err(Status::with_error_details(Code::NotFound, "no active SKU TEE-RED-XL", details));
            }
            "" => {
                let mut details = ErrorDetails::with_bad_request_violation("request_id", "must not be empty");
                details.set_error_info("INVALID_FIELD", "quartermaster", []);
                return Err(Status::with_error_details(Code::InvalidArgument, "request_id must not be empty", details));
            }
            "wait" => {
                self.arrived.notify_one();
                self.gate.0.acquire().await.unwrap().forget();
            }
            // Keeps its thread: what is ready waits.
            "block" => std::thread::sleep(Duration::from_millis(5)),
            _ => {}
        }
        let allocations = request.lines.into_iter().map(|line| Allocation {
            sku: line.sku,
            location: line.location,
            quantity: line.quantity,
        });
        let hold = Hold {
            reservation_id: request.request_id,
            expire_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 250_000_000 }),
            allocations: allocations.collect(),
            ..Hold::default()
        };
        let outcome = Some(reserve_response::Outcome::Hold(hold));
        Ok(Response::new(ReserveResponse { position: position(), replayed: false, outcome }))
    }

    async fn reserve_stream(
        &self,
        request: Request<Streaming<ReserveStreamRequest>>,
    ) -> Result<Response<Self::ReserveStreamStream>, Status> {
        let answers = request.into_inner().map(|message| {
            let message = message?;
            if message.requests.is_empty() {
                return Err(Status::invalid_argument("requests must not be empty"));
            }
            let answer = |request: ReserveRequest| ReserveResult {
                result: Some(reserve_result::Result::Error(ItemError {
                    code: 5,
                    reason: ErrorReason::UnknownSku.into(),
                    message: request.request_id,
                })),
            };
            Ok(ReserveStreamResponse { results: message.requests.into_iter().map(answer).collect() })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn reserve_batch(&self, _: Request<ReserveBatchRequest>) -> Result<Response<ReserveBatchResponse>, Status> {
        not_faked()
    }

    async fn confirm(&self, _: Request<ConfirmRequest>) -> Result<Response<ConfirmResponse>, Status> {
        not_faked()
    }

    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        not_faked()
    }

    async fn cancel(&self, _: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        not_faked()
    }

    async fn extend(&self, _: Request<ExtendRequest>) -> Result<Response<ExtendResponse>, Status> {
        not_faked()
    }

    async fn ship(&self, _: Request<ShipRequest>) -> Result<Response<ShipResponse>, Status> {
        not_faked()
    }

    async fn reassign(&self, _: Request<ReassignRequest>) -> Result<Response<ReassignResponse>, Status> {
        not_faked()
    }

    async fn get_reservation(
        &self,
        _: Request<GetReservationRequest>,
    ) -> Result<Response<GetReservationResponse>, Status> {
        not_faked()
    }

    async fn list_reservations(
        &self,
        _: Request<ListReservationsRequest>,
    ) -> Result<Response<ListReservationsResponse>, Status> {
        not_faked()
    }

    async fn get_outcome(&self, _: Request<GetOutcomeRequest>) -> Result<Response<GetOutcomeResponse>, Status> {
        not_faked()
    }
}

#[tonic::async_trait]
impl InventoryService for Fake {
    async fn import_stock(
        &self,
        request: Request<Streaming<ImportStockRequest>>,
    ) -> Result<Response<ImportStockResponse>, Status> {
        let mut messages = request.into_inner();
        let mut rows = 0;
        while let Some(message) = messages.message().await? {
            rows += i64::try_from(message.rows.len()).unwrap();
        }
        Ok(Response::new(ImportStockResponse { position: position(), rows, ..Default::default() }))
    }

    async fn set_stock(&self, _: Request<SetStockRequest>) -> Result<Response<SetStockResponse>, Status> {
        not_faked()
    }

    async fn adjust_stock(&self, _: Request<AdjustStockRequest>) -> Result<Response<AdjustStockResponse>, Status> {
        not_faked()
    }

    async fn receive_stock(&self, _: Request<ReceiveStockRequest>) -> Result<Response<ReceiveStockResponse>, Status> {
        not_faked()
    }

    async fn move_stock(&self, _: Request<MoveStockRequest>) -> Result<Response<MoveStockResponse>, Status> {
        not_faked()
    }

    async fn get_availability(
        &self,
        _: Request<GetAvailabilityRequest>,
    ) -> Result<Response<GetAvailabilityResponse>, Status> {
        not_faked()
    }

    async fn get_style_grid(&self, _: Request<GetStyleGridRequest>) -> Result<Response<GetStyleGridResponse>, Status> {
        not_faked()
    }

    async fn list_cells(&self, _: Request<ListCellsRequest>) -> Result<Response<ListCellsResponse>, Status> {
        not_faked()
    }

    async fn list_shortfalls(
        &self,
        _: Request<ListShortfallsRequest>,
    ) -> Result<Response<ListShortfallsResponse>, Status> {
        not_faked()
    }

    async fn set_cell_facts(&self, _: Request<SetCellFactsRequest>) -> Result<Response<SetCellFactsResponse>, Status> {
        not_faked()
    }

    async fn count_stock(&self, _: Request<CountStockRequest>) -> Result<Response<CountStockResponse>, Status> {
        not_faked()
    }
}

#[tonic::async_trait]
impl AdminService for Fake {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        Ok(Response::new(GetStatusResponse { position: position(), cells: 100_000, ..Default::default() }))
    }

    async fn get_limits(&self, _: Request<GetLimitsRequest>) -> Result<Response<GetLimitsResponse>, Status> {
        not_faked()
    }

    async fn take_snapshot(&self, _: Request<TakeSnapshotRequest>) -> Result<Response<TakeSnapshotResponse>, Status> {
        not_faked()
    }

    async fn run_audit(&self, _: Request<RunAuditRequest>) -> Result<Response<RunAuditResponse>, Status> {
        not_faked()
    }

    async fn list_slow_calls(
        &self,
        _: Request<ListSlowCallsRequest>,
    ) -> Result<Response<ListSlowCallsResponse>, Status> {
        not_faked()
    }
}
