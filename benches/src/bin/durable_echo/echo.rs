//! A server that has no stock: it answers every Reserve with the same hold.

use std::{net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc};

use clap::Args;
use prost_types::Timestamp;
use quartermaster_proto::v1::{
    self as api,
    allocation_service_server::{AllocationService, AllocationServiceServer},
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming, transport::server::TcpIncoming};

use crate::commit::Committer;

/// The tikv allocator, as the server has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Answers of a stream that may wait for the disk.
const STREAM_DEPTH: usize = 4_096;

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Answer at once, without the disk.
    #[arg(long)]
    no_sync: bool,
    /// Where the file goes; a temporary directory by default.
    #[arg(long)]
    directory: Option<PathBuf>,
}

pub(crate) fn serve(arguments: &Serve) -> Result<(), Box<dyn std::error::Error>> {
    let temporary = match &arguments.directory {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    }?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let committer = if arguments.no_sync { None } else { Some(Committer::start(&temporary.path().join("committed"))?) };
    runtime.block_on(async {
        let listener = TcpListener::bind(arguments.listen).await?;
        println!("ready grpc={}", listener.local_addr()?);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = tonic::transport::Server::builder()
            .add_service(AllocationServiceServer::new(Echo { committer }))
            .serve_with_incoming(incoming);
        tokio::select! {
            served = server => Ok::<(), Box<dyn std::error::Error>>(served?),
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    })
}

struct Echo {
    committer: Option<Arc<Committer>>,
}

/// An answer as long as that to a real one-line Reserve.
fn answer(request: api::ReserveRequest) -> api::ReserveResponse {
    let line = request.lines.into_iter().next().unwrap_or_default();
    let hold = api::Hold {
        reservation_id: "0000000ABCDEF".into(),
        expire_time: Some(Timestamp { seconds: 1_780_000_900, nanos: 123_456_000 }),
        allocations: vec![api::Allocation { sku: line.sku, location: "DC-0000".into(), quantity: line.quantity }],
        shortages: Vec::new(),
        plan: None,
        policy: None,
        ..api::Hold::default()
    };
    api::ReserveResponse {
        position: Some(api::Position { shard: 0, epoch: 1, lsn: 1_234_567 }),
        replayed: false,
        outcome: Some(api::reserve_response::Outcome::Hold(hold)),
    }
}

fn result(request: api::ReserveRequest) -> api::ReserveResult {
    api::ReserveResult { result: Some(api::reserve_result::Result::Response(answer(request))) }
}

fn none<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("this is an echo of Reserve and its batches and streams, and nothing else"))
}

#[tonic::async_trait]
impl AllocationService for Echo {
    async fn reserve(&self, request: Request<api::ReserveRequest>) -> Result<Response<api::ReserveResponse>, Status> {
        if let Some(committer) = &self.committer {
            committer.committed().await;
        }
        Ok(Response::new(answer(request.into_inner())))
    }

    /// One commit for the whole batch.
    async fn reserve_batch(
        &self,
        request: Request<api::ReserveBatchRequest>,
    ) -> Result<Response<api::ReserveBatchResponse>, Status> {
        if let Some(committer) = &self.committer {
            committer.committed().await;
        }
        let results: Vec<_> = request.into_inner().requests.into_iter().map(result).collect();
        Ok(Response::new(api::ReserveBatchResponse { position: None, results }))
    }

    type ReserveStreamStream = Pin<Box<dyn Stream<Item = Result<api::ReserveStreamResponse, Status>> + Send>>;

    /// One commit for each message, many of them under way, answered in order.
    async fn reserve_stream(
        &self,
        request: Request<Streaming<api::ReserveStreamRequest>>,
    ) -> Result<Response<Self::ReserveStreamStream>, Status> {
        let mut messages = request.into_inner();
        let committer = self.committer.clone();
        let (answers, ready) = mpsc::channel(STREAM_DEPTH);
        tokio::spawn(async move {
            while let Ok(Some(message)) = messages.message().await {
                let durable = committer.as_ref().map(|committer| committer.enlist());
                let results = message.requests.into_iter().map(result).collect();
                if answers.send((durable, api::ReserveStreamResponse { results })).await.is_err() {
                    break;
                }
            }
        });
        let answers = ReceiverStream::new(ready).then(|(durable, answer)| async move {
            if let Some(durable) = durable {
                durable.await.map_err(|_gone| Status::unavailable("the committer is gone"))?;
            }
            Ok(answer)
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn confirm(&self, _: Request<api::ConfirmRequest>) -> Result<Response<api::ConfirmResponse>, Status> {
        none()
    }

    async fn release(&self, _: Request<api::ReleaseRequest>) -> Result<Response<api::ReleaseResponse>, Status> {
        none()
    }

    async fn cancel(&self, _: Request<api::CancelRequest>) -> Result<Response<api::CancelResponse>, Status> {
        none()
    }

    async fn extend(&self, _: Request<api::ExtendRequest>) -> Result<Response<api::ExtendResponse>, Status> {
        none()
    }

    async fn ship(&self, _: Request<api::ShipRequest>) -> Result<Response<api::ShipResponse>, Status> {
        none()
    }

    async fn reassign(&self, _: Request<api::ReassignRequest>) -> Result<Response<api::ReassignResponse>, Status> {
        none()
    }

    async fn get_reservation(
        &self,
        _: Request<api::GetReservationRequest>,
    ) -> Result<Response<api::GetReservationResponse>, Status> {
        none()
    }

    async fn list_reservations(
        &self,
        _: Request<api::ListReservationsRequest>,
    ) -> Result<Response<api::ListReservationsResponse>, Status> {
        none()
    }

    async fn get_outcome(
        &self,
        _: Request<api::GetOutcomeRequest>,
    ) -> Result<Response<api::GetOutcomeResponse>, Status> {
        none()
    }
}
