//! A server that decides as ours does, each id once, and then fails as it was told. In front of it a proxy that cuts connections.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quartermaster_client::v1::allocation_service_server::{AllocationService, AllocationServiceServer};
use quartermaster_client::v1::*;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

/// How one try ends.
#[derive(Clone, Debug)]
pub(crate) enum Fail {
    /// Decided; then the connection breaks.
    DecideAndCut,
    /// Decided; then no answer ever.
    DecideAndHang,
    /// Decided; then this status.
    DecideAnd(Code),
    /// Not decided: UNAVAILABLE with this reason and, perhaps, a time to come back.
    Unavailable(&'static str, Option<Duration>),
    /// Not decided: this status with this reason.
    Refuse(Code, &'static str),
    /// Not decided: RESOURCE_EXHAUSTED with a time to come back.
    Full(Duration),
}

/// What the server was asked and has decided.
#[derive(Default)]
pub(crate) struct Book {
    /// How the next tries end; after that all is well.
    pub(crate) fails: VecDeque<Fail>,
    /// Every try: its request id and its `grpc-timeout`.
    pub(crate) tries: Vec<(String, Option<String>)>,
    /// Ids that took effect, in their order.
    pub(crate) decided: Vec<String>,
    /// Tokens seen.
    pub(crate) tokens: Vec<String>,
    /// Streams opened.
    pub(crate) streams: usize,
    first_answers: HashMap<String, String>,
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) book: Arc<Mutex<Book>>,
    pub(crate) address: SocketAddr,
    cut: watch::Sender<u64>,
}

impl Fake {
    /// A server on a free port, its proxy in front of it.
    pub(crate) async fn start(fails: impl IntoIterator<Item = Fail>) -> Fake {
        Fake::start_with(fails, None).await
    }

    pub(crate) async fn start_with(fails: impl IntoIterator<Item = Fail>, tls: Option<ServerTlsConfig>) -> Fake {
        let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, inner) = (front.local_addr().unwrap(), behind.local_addr().unwrap());
        let book = Book { fails: fails.into_iter().collect(), ..Book::default() };
        let cut = watch::Sender::new(0);
        let fake = Fake { book: Arc::new(Mutex::new(book)), address, cut };
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let serving = server
            .add_service(AllocationServiceServer::new(fake.clone()))
            .serve_with_incoming(TcpListenerStream::new(behind));
        tokio::spawn(serving);
        let cuts = fake.cut.clone();
        tokio::spawn(async move {
            while let Ok((mut outer, _)) = front.accept().await {
                let mut cuts = cuts.subscribe();
                tokio::spawn(async move {
                    let mut inner = TcpStream::connect(inner).await.unwrap();
                    tokio::select! {
                        _ended = tokio::io::copy_bidirectional(&mut outer, &mut inner) => {}
                        _cut = cuts.changed() => {}
                    }
                });
            }
        });
        fake
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often each id was sent, the ids in the order of their first try.
    pub(crate) fn tries(&self) -> Vec<(String, usize)> {
        let mut counted: Vec<(String, usize)> = Vec::new();
        for (id, _) in &self.book.lock().unwrap().tries {
            match counted.iter_mut().find(|(known, _)| known == id) {
                Some((_, count)) => *count += 1,
                None => counted.push((id.clone(), 1)),
            }
        }
        counted
    }

    pub(crate) fn decided(&self) -> Vec<String> {
        self.book.lock().unwrap().decided.clone()
    }

    /// Breaks every connection.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    fn decide(&self, id: &str) -> (String, bool) {
        let mut book = self.book.lock().unwrap();
        if let Some(first) = book.first_answers.get(id) {
            return (first.clone(), true);
        }
        book.decided.push(id.to_owned());
        let reservation = format!("R{}", book.decided.len());
        book.first_answers.insert(id.to_owned(), reservation.clone());
        (reservation, false)
    }

    /// Notes the try and lets it end as it was told to: the reservation and whether it was known, or the failure.
    async fn attempt<T>(&self, request: &Request<T>, id: &str) -> Result<(String, bool), Status> {
        let fail = {
            let mut book = self.book.lock().unwrap();
            let text = |name: &str| request.metadata().get(name).map(|value| value.to_str().unwrap().to_owned());
            book.tries.push((id.to_owned(), text("grpc-timeout")));
            let token = text("authorization");
            book.tokens.extend(token);
            book.fails.pop_front()
        };
        match fail {
            None => Ok(self.decide(id)),
            Some(Fail::DecideAndCut) => {
                self.decide(id);
                self.cut();
                std::future::pending().await
            }
            Some(Fail::DecideAndHang) => {
                self.decide(id);
                std::future::pending().await
            }
            Some(Fail::DecideAnd(code)) => {
                self.decide(id);
                Err(Status::new(code, "after the decision"))
            }
            Some(Fail::Unavailable(reason, delay)) => {
                let mut details = ErrorDetails::with_error_info(reason, "quartermaster", []);
                if let Some(delay) = delay {
                    details.set_retry_info(Some(delay));
                }
                Err(Status::with_error_details(Code::Unavailable, "come back", details))
            }
            Some(Fail::Refuse(code, reason)) => {
                let mut details = ErrorDetails::with_error_info(reason, "quartermaster", []);
                details.add_bad_request_violation("lines[0].quantity", "must be at least 1");
                Err(Status::with_error_details(code, "no", details))
            }
            Some(Fail::Full(delay)) => {
                let mut details = ErrorDetails::with_error_info("DISK_FULL", "quartermaster", []);
                details.set_retry_info(Some(delay));
                Err(Status::with_error_details(Code::ResourceExhausted, "the disk is full", details))
            }
        }
    }

    fn hold(&self, id: &str) -> ReserveResponse {
        let (reservation_id, replayed) = self.decide(id);
        answer(reservation_id, replayed)
    }
}

fn answer(reservation_id: String, replayed: bool) -> ReserveResponse {
    let hold = Hold { reservation_id, ..Hold::default() };
    let position = Some(Position { shard: 0, epoch: 1, lsn: 7 });
    ReserveResponse { position, replayed, outcome: Some(reserve_response::Outcome::Hold(hold)) }
}

fn not_faked<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not faked"))
}

#[tonic::async_trait]
impl AllocationService for Fake {
    type ReserveStreamStream = Pin<Box<dyn Stream<Item = Result<ReserveStreamResponse, Status>> + Send>>;

    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<ReserveResponse>, Status> {
        let id = request.get_ref().request_id.clone();
        if request.get_ref().order_id == "sold-out" {
            self.attempt(&request, &id).await?;
            let rejection = Rejection { reason: RejectionReason::InsufficientStock.into(), ..Rejection::default() };
            let outcome = Some(reserve_response::Outcome::Rejection(rejection));
            return Ok(Response::new(ReserveResponse { outcome, ..ReserveResponse::default() }));
        }
        let (reservation, replayed) = self.attempt(&request, &id).await?;
        Ok(Response::new(answer(reservation, replayed)))
    }

    async fn reserve_batch(
        &self,
        request: Request<ReserveBatchRequest>,
    ) -> Result<Response<ReserveBatchResponse>, Status> {
        let ids: Vec<String> = request.get_ref().requests.iter().map(|one| one.request_id.clone()).collect();
        self.attempt(&request, &ids.join(" ")).await?;
        let results =
            ids.iter().map(|id| ReserveResult { result: Some(reserve_result::Result::Response(self.hold(id))) });
        Ok(Response::new(ReserveBatchResponse { position: None, results: results.collect() }))
    }

    async fn reserve_stream(
        &self,
        request: Request<Streaming<ReserveStreamRequest>>,
    ) -> Result<Response<Self::ReserveStreamStream>, Status> {
        self.book.lock().unwrap().streams += 1;
        let own = self.clone();
        let answers = request.into_inner().then(move |message| {
            let own = own.clone();
            async move {
                let message = message?;
                let mut results = Vec::new();
                for request in message.requests {
                    let id = request.request_id;
                    own.attempt(&Request::new(()), &id).await?;
                    let result = if request.order_id == "unknown-sku" {
                        let reason = ErrorReason::UnknownSku.into();
                        reserve_result::Result::Error(ItemError { code: 5, reason, message: "no such SKU".into() })
                    } else {
                        reserve_result::Result::Response(own.hold(&id))
                    };
                    results.push(ReserveResult { result: Some(result) });
                }
                Ok(ReserveStreamResponse { results })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn confirm(&self, request: Request<ConfirmRequest>) -> Result<Response<ConfirmResponse>, Status> {
        let id = request.get_ref().request_id.clone();
        let (_, replayed) = self.attempt(&request, &id).await?;
        let update = ReservationUpdate {
            reservation_id: request.get_ref().reservation_id.clone(),
            state: ReservationState::Confirmed.into(),
            ..ReservationUpdate::default()
        };
        let outcome = Some(confirm_response::Outcome::Update(update));
        Ok(Response::new(ConfirmResponse { position: None, replayed, outcome }))
    }

    async fn get_reservation(
        &self,
        request: Request<GetReservationRequest>,
    ) -> Result<Response<GetReservationResponse>, Status> {
        let id = request.get_ref().reservation_id.clone();
        self.attempt(&request, &id).await?;
        let reservation = Some(Reservation { reservation_id: id, ..Reservation::default() });
        Ok(Response::new(GetReservationResponse { position: None, reservation }))
    }

    async fn get_outcome(&self, request: Request<GetOutcomeRequest>) -> Result<Response<GetOutcomeResponse>, Status> {
        let known = self.decided().contains(&request.get_ref().request_id);
        Ok(Response::new(GetOutcomeResponse { known, ..GetOutcomeResponse::default() }))
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

    async fn list_reservations(
        &self,
        _: Request<ListReservationsRequest>,
    ) -> Result<Response<ListReservationsResponse>, Status> {
        not_faked()
    }
}
