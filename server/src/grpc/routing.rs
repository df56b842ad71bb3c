//! The routing service: convert, ask, wait, convert.

use std::sync::Arc;

use quartermaster_engine::id::ReservationId;
use quartermaster_journal::Lsn;
use quartermaster_proto::v1::{self, route_result::Result as Outcome, routing_service_server::RoutingService};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::{
    caller::{self, Caller},
    convert::{checks::Checks, explained, routing, sourced, split, time},
    limits, replay,
    status::ApiError,
};
use crate::node::Node;

type Reply<T> = Result<Response<T>, Status>;

/// Lines that are planned in one go, some milliseconds; then other calls have their turn.
const LINES_PER_TURN: usize = 256;

/// Decides where orders are served from.
#[derive(Clone)]
pub struct Routing {
    node: Arc<Node>,
    /// Places for questions that take many solves or read the log.
    long: Arc<Semaphore>,
}

impl Routing {
    /// The service of a node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node, long: Arc::new(Semaphore::new(limits::EXPLANATIONS_AT_ONCE_MAX.size())) }
    }

    /// Quotes one order. The answer must not be told before it is settled.
    async fn quote(&self, message: v1::RouteRequest) -> Result<(Lsn, v1::RouteResponse), ApiError> {
        let ask = routing::route(message)?;
        let (lsn, quote) = if ask.is_long() {
            self.off_the_threads(move |node| node.route(&ask.order, &ask.sourcing, ask.wants)).await?
        } else {
            self.node.route(&ask.order, &ask.sourcing, ask.wants)?
        };
        Ok((lsn, routing::routed(&self.node, lsn, quote)))
    }

    /// Long work, off the threads that answer calls, and not too much of it at once.
    async fn off_the_threads<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Node) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = Arc::clone(&self.long).acquire_owned().await.map_err(|_| ApiError::ShuttingDown)?;
        let node = Arc::clone(&self.node);
        let done = tokio::task::spawn_blocking(move || {
            let _until_done = place;
            work(&node)
        });
        done.await.map_err(|_| ApiError::Internal { what: "a question to the router broke off" })?
    }
}

#[tonic::async_trait]
impl RoutingService for Routing {
    async fn route(&self, request: Request<v1::RouteRequest>) -> Reply<v1::RouteResponse> {
        let (_, message) = caller::opened(&self.node, request)?;
        let answer = self.quote(message).await;
        self.node.settle(answer.as_ref().map_or_else(|error| self.node.rests_on(error), |(lsn, _)| *lsn)).await?;
        Ok(Response::new(answer?.1))
    }

    async fn route_batch(&self, request: Request<v1::RouteBatchRequest>) -> Reply<v1::RouteBatchResponse> {
        let caller = Caller::of(&request);
        let requests = request.into_inner().requests;
        let mut checks = Checks::default();
        checks.length("requests", requests.len(), 1, &limits::ROUTE_BATCH_REQUESTS_MAX);
        checks.finish(())?;
        caller.charge(requests.len())?;
        let (mut newest, mut lines) = (Lsn::ZERO, 0);
        let mut results = Vec::with_capacity(requests.len());
        for mut request in requests {
            lines += request.lines.len().max(1);
            if lines > LINES_PER_TURN {
                tokio::task::yield_now().await;
                lines = 0;
            }
            let quoted = match caller.check(&self.node, &mut request) {
                Ok(()) => self.quote(request).await,
                Err(denied) => Err(denied),
            };
            let (lsn, outcome) = match quoted {
                Ok((lsn, response)) => (lsn, Outcome::Response(response)),
                Err(error) => (self.node.rests_on(&error), Outcome::Error(error.into())),
            };
            newest = newest.max(lsn);
            results.push(v1::RouteResult { result: Some(outcome) });
        }
        self.node.settle(newest).await?;
        Ok(Response::new(v1::RouteBatchResponse { position: Some(self.node.position(newest)), results }))
    }

    async fn merge(&self, request: Request<v1::MergeRequest>) -> Reply<v1::MergeResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, merge, preview) = routing::merge(message)?;
        let answer = if preview {
            self.node.preview_merge(&merge).await?
        } else {
            self.node.submit(&caller.signed(request), &quartermaster_engine::command::Command::Merge(merge)).await?
        };
        Ok(Response::new(routing::merge_answer(&self.node, answer)?))
    }

    async fn explain_reservation(
        &self,
        request: Request<v1::ExplainReservationRequest>,
    ) -> Reply<v1::ExplainReservationResponse> {
        let (_, message) = caller::opened(&self.node, request)?;
        let id = routing::explain(&message)?;
        let found = self.node.engine().reservation(id).map_err(ApiError::from);
        self.node.settle(found.as_ref().map_or_else(|error| self.node.rests_on(error), |(lsn, _)| *lsn)).await?;
        let sourcing = found?.1.sourcing.ok_or(ApiError::NotSourced { id })?;
        let decided = sourcing.decided;
        Ok(Response::new(self.off_the_threads(move |node| explain(node, id, decided)).await?))
    }

    async fn split(&self, request: Request<v1::SplitRequest>) -> Reply<v1::SplitResponse> {
        let (_, message) = caller::opened(&self.node, request)?;
        let ask = split::ask(message)?;
        let answer = self.off_the_threads(move |node| split::answer(node, &ask)).await;
        self.node.settle(answer.as_ref().map_or_else(|error| self.node.rests_on(error), |(lsn, _)| *lsn)).await?;
        Ok(Response::new(answer?.1))
    }
}

/// Reads a decision back and explains it.
fn explain(node: &Node, id: ReservationId, decided: Lsn) -> Result<v1::ExplainReservationResponse, ApiError> {
    let (epoch, record) = node.record_at(decided)?;
    let Some(held) = record.event.held() else {
        return Err(ApiError::Internal { what: "a reservation names another event as its decision" });
    };
    let Some(sourced) = held.sourced.as_deref().filter(|_| held.reservation == id) else {
        return Err(ApiError::Internal { what: "a reservation names another reservation's decision" });
    };
    let explanation = replay::explanation(sourced)?;
    let catalogue = node.engine().catalogue();
    let decision = &sourced.decision;
    let plan = sourced::decided(&catalogue, decision);
    let told = explanation.as_ref().map(|why| explained::explanation(&catalogue, decision, &plan, why));
    Ok(v1::ExplainReservationResponse {
        position: Some(v1::Position { epoch: epoch.get(), ..node.position(decided) }),
        decide_time: Some(time::to_wire(record.time)),
        summary_only: told.is_none(),
        actor: record.actor.clone(),
        quote: Some(v1::Quote {
            policy: Some(sourced::policy(decision)),
            plan: Some(plan),
            alternatives: Vec::new(),
            explanation: told,
        }),
    })
}
