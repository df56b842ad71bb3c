//! The upkeep service: convert, submit, wait, convert.

use std::sync::Arc;

use quartermaster_engine::query::upkeep::FreezeFilter;
use quartermaster_proto::v1::{self, upkeep_service_server::UpkeepService};
use tonic::{Request, Response, Status};

use super::{caller, convert::upkeep, status::ApiError};
use crate::node::Node;

type Reply<T> = Result<Response<T>, Status>;

/// Freezes stock and repairs shortfalls.
#[derive(Clone)]
pub struct Upkeep {
    node: Arc<Node>,
}

impl Upkeep {
    /// The service of a node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

#[tonic::async_trait]
impl UpkeepService for Upkeep {
    async fn freeze_stock(&self, request: Request<v1::FreezeStockRequest>) -> Reply<v1::FreezeStockResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = upkeep::freeze(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        Ok(Response::new(upkeep::frozen(&self.node, answer)?))
    }

    async fn thaw_stock(&self, request: Request<v1::ThawStockRequest>) -> Reply<v1::ThawStockResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = upkeep::thaw(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        Ok(Response::new(upkeep::thawed(&self.node, answer)?))
    }

    async fn list_freezes(&self, request: Request<v1::ListFreezesRequest>) -> Reply<v1::ListFreezesResponse> {
        let page = upkeep::list(request.into_inner())?;
        let (sku, location) = {
            let catalogue = self.node.engine().catalogue();
            (upkeep::sku(&catalogue, &page.sku)?, upkeep::location(&catalogue, &page.location)?)
        };
        let filter = FreezeFilter { sku, location, reason: page.reason };
        let (lsn, found, more) = self.node.engine().freezes(&filter, page.after, page.size);
        self.node.settle(lsn).await?;
        let last = found.last().filter(|_| more);
        let next_page_token = last.map(|(_, last)| page.pages.token(last.id)).unwrap_or_default();
        let catalogue = self.node.engine().catalogue();
        let freezes = found.iter().map(|(target, one)| upkeep::standing(&catalogue, *target, one)).collect();
        drop(catalogue);
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListFreezesResponse { position, freezes, next_page_token }))
    }

    async fn repair_shortfalls(
        &self,
        request: Request<v1::RepairShortfallsRequest>,
    ) -> Reply<v1::RepairShortfallsResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let asked = upkeep::repair(message)?;
        let node = Arc::clone(&self.node);
        // It looks at every reservation of the shards in shortfall: off the threads that answer calls.
        let decide = move || match &asked.request {
            Some(request) => node.submit_now(&caller.signed(request.clone()), &asked.command()),
            None => node.preview_repair(&asked.repair),
        };
        let answer =
            tokio::task::spawn_blocking(decide).await.map_err(|_| ApiError::Internal { what: "a repair broke off" })?;
        self.node.settle(answer.as_ref().map_or_else(|error| self.node.rests_on(error), |answer| answer.lsn)).await?;
        Ok(Response::new(upkeep::repaired(&self.node, answer?)?))
    }
}
