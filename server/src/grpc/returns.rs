//! The return service: convert, submit, wait, convert.

use std::sync::Arc;

use quartermaster_proto::v1::{self, return_service_server::ReturnService};
use tonic::{Request, Response, Status};

use super::{caller, convert::returns, status::ApiError};
use crate::node::Node;

type Reply<T> = Result<Response<T>, Status>;

/// Follows units back: announced, received, inspected.
#[derive(Clone)]
pub struct Returns {
    node: Arc<Node>,
}

impl Returns {
    /// The service of a node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

#[tonic::async_trait]
impl ReturnService for Returns {
    async fn announce_return(&self, request: Request<v1::AnnounceReturnRequest>) -> Reply<v1::AnnounceReturnResponse> {
        use v1::announce_return_response::Outcome;
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = returns::announce(message)?;
        let told = returns::told(&self.node, self.node.submit(&caller.signed(request), &command).await?)?;
        Ok(Response::new(v1::AnnounceReturnResponse {
            position: Some(told.position),
            replayed: told.replayed,
            outcome: Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Update)),
        }))
    }

    async fn exchange_return(&self, request: Request<v1::ExchangeReturnRequest>) -> Reply<v1::ExchangeReturnResponse> {
        use v1::exchange_return_response::Outcome;
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = returns::exchange(message)?;
        let told = returns::exchanged(&self.node, self.node.submit(&caller.signed(request), &command).await?)?;
        Ok(Response::new(v1::ExchangeReturnResponse {
            position: Some(told.position),
            replayed: told.replayed,
            outcome: Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Exchange)),
        }))
    }

    async fn receive_return(&self, request: Request<v1::ReceiveReturnRequest>) -> Reply<v1::ReceiveReturnResponse> {
        use v1::receive_return_response::Outcome;
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = returns::receive(message)?;
        let told = returns::told(&self.node, self.node.submit(&caller.signed(request), &command).await?)?;
        Ok(Response::new(v1::ReceiveReturnResponse {
            position: Some(told.position),
            replayed: told.replayed,
            outcome: Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Update)),
        }))
    }

    async fn receive_unmatched_return(
        &self,
        request: Request<v1::ReceiveUnmatchedReturnRequest>,
    ) -> Reply<v1::ReceiveUnmatchedReturnResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = returns::receive_unmatched(message)?;
        let told = returns::told(&self.node, self.node.submit(&caller.signed(request), &command).await?)?;
        let (position, replayed, update) = told.done()?;
        Ok(Response::new(v1::ReceiveUnmatchedReturnResponse {
            position: Some(position),
            replayed,
            update: Some(update),
        }))
    }

    async fn inspect_return(&self, request: Request<v1::InspectReturnRequest>) -> Reply<v1::InspectReturnResponse> {
        use v1::inspect_return_response::Outcome;
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = returns::inspect(message)?;
        let told = returns::told(&self.node, self.node.submit(&caller.signed(request), &command).await?)?;
        Ok(Response::new(v1::InspectReturnResponse {
            position: Some(told.position),
            replayed: told.replayed,
            outcome: Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Update)),
        }))
    }

    async fn cancel_return(&self, request: Request<v1::CancelReturnRequest>) -> Reply<v1::CancelReturnResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = returns::cancel(message)?;
        let told = returns::told(&self.node, self.node.submit(&caller.signed(request), &command).await?)?;
        let (position, replayed, update) = told.done()?;
        Ok(Response::new(v1::CancelReturnResponse { position: Some(position), replayed, update: Some(update) }))
    }

    async fn get_return(&self, request: Request<v1::GetReturnRequest>) -> Reply<v1::GetReturnResponse> {
        let id = returns::get(request.get_ref())?;
        let (lsn, found) = self.node.engine().return_record(id).map_err(ApiError::from)?;
        self.node.settle(lsn).await?;
        let found = Some(returns::record(&self.node.engine().catalogue(), &found));
        Ok(Response::new(v1::GetReturnResponse { position: Some(self.node.position(lsn)), found }))
    }

    async fn list_returns(&self, request: Request<v1::ListReturnsRequest>) -> Reply<v1::ListReturnsResponse> {
        let page = returns::list(request.into_inner())?;
        let (node, filter) = (Arc::clone(&self.node), page.filter.clone());
        let (after, size) = (page.after, page.size);
        // Without a reservation or buyer every return is looked at: off the threads that answer calls.
        let list = move || node.engine().returns_page(&filter, after, size);
        let (lsn, found, more) = tokio::task::spawn_blocking(list)
            .await
            .map_err(|_| ApiError::Internal { what: "a list of returns broke off" })?;
        self.node.settle(lsn).await?;
        let next_page_token = found.last().filter(|_| more).map(|last| page.pages.token(last.id.0)).unwrap_or_default();
        let catalogue = self.node.engine().catalogue();
        let returns = found.iter().map(|found| returns::record(&catalogue, found)).collect();
        drop(catalogue);
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListReturnsResponse { position, returns, next_page_token }))
    }

    async fn list_return_rates(
        &self,
        request: Request<v1::ListReturnRatesRequest>,
    ) -> Reply<v1::ListReturnRatesResponse> {
        let page = returns::rates(request.get_ref(), self.node.return_alert())?;
        let node = Arc::clone(&self.node);
        let (per_mille, shipped_min, after, size) = (page.per_mille, page.shipped_min, page.after, page.size);
        let list = move || node.engine().return_rates(per_mille, shipped_min, after, size);
        let (lsn, found, more) = tokio::task::spawn_blocking(list)
            .await
            .map_err(|_| ApiError::Internal { what: "a list of return rates broke off" })?;
        self.node.settle(lsn).await?;
        let next_page_token = found.last().filter(|_| more).map(|last| page.token(last)).unwrap_or_default();
        let catalogue = self.node.engine().catalogue();
        let rates = found.iter().map(|found| returns::rate(&catalogue, found)).collect();
        drop(catalogue);
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListReturnRatesResponse { position, rates, next_page_token }))
    }
}
