//! The service of expected units: convert, submit, wait, convert.

use std::sync::Arc;

use quartermaster_engine::{Answer, event::Event, query::supply::InboundFilter};
use quartermaster_proto::v1::{self, supply_service_server::SupplyService};
use tonic::{Request, Response, Status};

use super::{
    caller,
    convert::{answers::Told, checks::Checks, supply, time},
    limits,
    status::ApiError,
};
use crate::node::Node;

type Reply<T> = Result<Response<T>, Status>;

/// Announces, receives and sends units, and tells what can be promised when.
#[derive(Clone)]
pub struct Supply {
    node: Arc<Node>,
}

impl Supply {
    /// The service of a node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    fn told(&self, answer: Answer) -> Result<Told<v1::InboundUpdate>, ApiError> {
        Told::of(&self.node, answer, |catalogue, event| match event {
            Event::Supply(event) => Some(supply::update(catalogue, event)),
            _ => None,
        })
    }
}

#[tonic::async_trait]
impl SupplyService for Supply {
    async fn announce_inbound(
        &self,
        request: Request<v1::AnnounceInboundRequest>,
    ) -> Reply<v1::AnnounceInboundResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = supply::announce(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let (position, replayed, update) = self.told(answer)?.done()?;
        let (position, update) = (Some(position), Some(update));
        Ok(Response::new(v1::AnnounceInboundResponse { position, replayed, update }))
    }

    async fn change_inbound(&self, request: Request<v1::ChangeInboundRequest>) -> Reply<v1::ChangeInboundResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = supply::change(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let (position, replayed, update) = self.told(answer)?.done()?;
        let (position, update) = (Some(position), Some(update));
        Ok(Response::new(v1::ChangeInboundResponse { position, replayed, update }))
    }

    async fn receive_inbound(&self, request: Request<v1::ReceiveInboundRequest>) -> Reply<v1::ReceiveInboundResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = supply::receive(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let (position, replayed, update) = self.told(answer)?.done()?;
        let (position, update) = (Some(position), Some(update));
        Ok(Response::new(v1::ReceiveInboundResponse { position, replayed, update }))
    }

    async fn cancel_inbound(&self, request: Request<v1::CancelInboundRequest>) -> Reply<v1::CancelInboundResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = supply::cancel(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let (position, replayed, update) = self.told(answer)?.done()?;
        let (position, update) = (Some(position), Some(update));
        Ok(Response::new(v1::CancelInboundResponse { position, replayed, update }))
    }

    async fn ship_transfer(&self, request: Request<v1::ShipTransferRequest>) -> Reply<v1::ShipTransferResponse> {
        use v1::ship_transfer_response::Outcome;
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = supply::ship(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let told = self.told(answer)?;
        Ok(Response::new(v1::ShipTransferResponse {
            position: Some(told.position),
            replayed: told.replayed,
            outcome: Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Update)),
        }))
    }

    async fn get_inbound(&self, request: Request<v1::GetInboundRequest>) -> Reply<v1::GetInboundResponse> {
        let mut checks = Checks::default();
        let code = checks.code("code", request.into_inner().code);
        let code = checks.finish(code)?;
        let (lsn, found) = self.node.engine().inbound(&code).map_err(ApiError::from)?;
        self.node.settle(lsn).await?;
        let inbound = supply::inbound(&self.node.engine().catalogue(), &found);
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::GetInboundResponse { position, inbound: Some(inbound) }))
    }

    async fn list_inbounds(&self, request: Request<v1::ListInboundsRequest>) -> Reply<v1::ListInboundsResponse> {
        let message = request.into_inner();
        let mut checks = Checks::default();
        let size = checks.page_size(message.page_size, 100, &limits::INBOUNDS_PAGE_MAX);
        let location = checks.optional_code("location", message.location);
        let sku = checks.optional_code("sku", message.sku);
        // The token is the code of the last document before.
        let after = checks.optional_code("page_token", message.page_token);
        let eta_from = message.eta_from.as_ref().map(|from| time::not_before(&mut checks, "eta_from", from));
        let eta_before = message.eta_before.as_ref().map(|until| time::not_before(&mut checks, "eta_before", until));
        checks.finish(())?;
        let filter = {
            let catalogue = self.node.engine().catalogue();
            let unknown_sku = || ApiError::from(quartermaster_engine::Error::UnknownSku { code: sku.clone() });
            let unknown_place =
                || ApiError::from(quartermaster_engine::Error::UnknownLocation { code: location.clone() });
            let of_sku = (!sku.is_empty()).then(|| catalogue.sku(&sku).ok_or_else(unknown_sku)).transpose()?;
            let place = (!location.is_empty())
                .then(|| catalogue.directory().location(&location).ok_or_else(unknown_place))
                .transpose()?;
            InboundFilter { location: place, sku: of_sku, eta_from, eta_before, closed: message.include_closed }
        };
        let node = Arc::clone(&self.node);
        // Every document is looked at: off the threads that answer calls.
        let list = move || node.engine().inbounds(&filter, &after, size);
        let (lsn, found, more) = tokio::task::spawn_blocking(list)
            .await
            .map_err(|_| ApiError::Internal { what: "a list of inbounds broke off" })?;
        self.node.settle(lsn).await?;
        let next_page_token = found.last().filter(|_| more).map(|last| last.code.to_string()).unwrap_or_default();
        let catalogue = self.node.engine().catalogue();
        let inbounds = found.iter().map(|found| supply::inbound(&catalogue, found)).collect();
        drop(catalogue);
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListInboundsResponse { position, inbounds, next_page_token }))
    }

    async fn list_presale_shortfalls(
        &self,
        request: Request<v1::ListPresaleShortfallsRequest>,
    ) -> Reply<v1::ListPresaleShortfallsResponse> {
        let (after, size) = supply::shortfalls(request.get_ref())?;
        let (lsn, found, more) = self.node.engine().presale_shortfalls(after, size);
        self.node.settle(lsn).await?;
        let last = found.last().filter(|_| more);
        let next_page_token =
            last.map(|last| supply::shortfall_pages().token(last.supply.line.supply.0)).unwrap_or_default();
        let catalogue = self.node.engine().catalogue();
        let shortfalls = found.iter().map(|short| supply::shortfall(&catalogue, short)).collect();
        drop(catalogue);
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListPresaleShortfallsResponse { position, shortfalls, next_page_token }))
    }

    async fn get_atp(&self, request: Request<v1::GetAtpRequest>) -> Reply<v1::GetAtpResponse> {
        let message = request.into_inner();
        let (from, before) = supply::atp(&message)?;
        let (skus, locations) = {
            let catalogue = self.node.engine().catalogue();
            let unknown =
                |code: &String| ApiError::from(quartermaster_engine::Error::UnknownSku { code: code.clone() });
            let skus = message.skus.iter().map(|code| catalogue.sku(code).ok_or_else(|| unknown(code)));
            let skus = skus.collect::<Result<Vec<_>, _>>()?;
            let unknown =
                |code: &String| ApiError::from(quartermaster_engine::Error::UnknownLocation { code: code.clone() });
            let places =
                message.locations.iter().map(|code| catalogue.directory().location(code).ok_or_else(|| unknown(code)));
            (skus, places.collect::<Result<Vec<_>, _>>()?)
        };
        let (lsn, found) = self.node.engine().atp(&skus, &locations, before);
        self.node.settle(lsn).await?;
        let now = quartermaster_engine::time::Timestamp(0);
        let rows = message.skus.into_iter().zip(&found);
        let skus = rows.map(|(sku, atp)| supply::sku_atp(sku, atp, from, message.quantity, now)).collect();
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::GetAtpResponse { position, skus }))
    }
}
