//! The allotment service: convert, submit, wait, convert.

use std::sync::Arc;

use quartermaster_engine as engine;
use quartermaster_proto::v1::{self, allotment_service_server::AllotmentService};
use tonic::{Request, Response, Status};

use super::{caller, convert::allotment, status::ApiError};
use crate::node::Node;

type Reply<T> = Result<Response<T>, Status>;

/// Keeps allotments.
#[derive(Clone)]
pub struct Allotment {
    node: Arc<Node>,
}

impl Allotment {
    /// The service of a node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

#[tonic::async_trait]
impl AllotmentService for Allotment {
    async fn set_allotments(&self, request: Request<v1::SetAllotmentsRequest>) -> Reply<v1::SetAllotmentsResponse> {
        use v1::set_allotments_response::Outcome;
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = allotment::set(message)?;
        let told = allotment::told(&self.node, self.node.submit(&caller.signed(request), &command).await?)?;
        let outcome = Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Set));
        let (position, replayed) = (Some(told.position), told.replayed);
        Ok(Response::new(v1::SetAllotmentsResponse { position, replayed, outcome }))
    }

    async fn raise_allotments(
        &self,
        request: Request<v1::RaiseAllotmentsRequest>,
    ) -> Reply<v1::RaiseAllotmentsResponse> {
        use v1::raise_allotments_response::Outcome;
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = allotment::raise(message)?;
        let told = allotment::told(&self.node, self.node.submit(&caller.signed(request), &command).await?)?;
        let outcome = Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Raised));
        let (position, replayed) = (Some(told.position), told.replayed);
        Ok(Response::new(v1::RaiseAllotmentsResponse { position, replayed, outcome }))
    }

    async fn lower_allotments(
        &self,
        request: Request<v1::LowerAllotmentsRequest>,
    ) -> Reply<v1::LowerAllotmentsResponse> {
        use v1::lower_allotments_response::Outcome;
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = allotment::lower(message)?;
        let told = allotment::told(&self.node, self.node.submit(&caller.signed(request), &command).await?)?;
        let outcome = Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Lowered));
        let (position, replayed) = (Some(told.position), told.replayed);
        Ok(Response::new(v1::LowerAllotmentsResponse { position, replayed, outcome }))
    }

    async fn move_allotments(&self, request: Request<v1::MoveAllotmentsRequest>) -> Reply<v1::MoveAllotmentsResponse> {
        use v1::move_allotments_response::Outcome;
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = allotment::step(message)?;
        let told = allotment::told(&self.node, self.node.submit(&caller.signed(request), &command).await?)?;
        let outcome = Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Moved));
        let (position, replayed) = (Some(told.position), told.replayed);
        Ok(Response::new(v1::MoveAllotmentsResponse { position, replayed, outcome }))
    }

    async fn return_allotments(
        &self,
        request: Request<v1::ReturnAllotmentsRequest>,
    ) -> Reply<v1::ReturnAllotmentsResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = allotment::give_back(message)?;
        let told = allotment::told(&self.node, self.node.submit(&caller.signed(request), &command).await?)?;
        let (position, replayed, returned) = told.done()?;
        let (position, returned) = (Some(position), Some(returned));
        Ok(Response::new(v1::ReturnAllotmentsResponse { position, replayed, returned }))
    }

    async fn list_allotments(&self, request: Request<v1::ListAllotmentsRequest>) -> Reply<v1::ListAllotmentsResponse> {
        let page = allotment::list(request.into_inner())?;
        let engine = self.node.engine();
        let node = page.node.as_ref().map(|code| engine.selling_node(code)).transpose().map_err(ApiError::from)?;
        let sku = match page.sku.as_str() {
            "" => None,
            code => {
                let unknown = || ApiError::from(engine::Error::UnknownSku { code: code.to_owned() });
                Some(engine.catalogue().sku(code).ok_or_else(unknown)?)
            }
        };
        let (lsn, found, more) = engine.allotments(node, sku, page.after, page.size);
        self.node.settle(lsn).await?;
        let last = found.last().filter(|_| more);
        let next_page_token = last.map(|last| page.token(last.sku, last.node)).unwrap_or_default();
        let catalogue = self.node.engine().catalogue();
        let allotments = found.iter().map(|found| allotment::entry(&catalogue, found)).collect();
        drop(catalogue);
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListAllotmentsResponse { position, allotments, next_page_token }))
    }
}
