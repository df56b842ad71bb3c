//! The catalogue service: convert, submit, wait, convert.

use std::sync::Arc;

use quartermaster_engine::{
    Answer,
    catalog::{Catalogue, Sku},
    event::Event,
};
use quartermaster_journal::Lsn;
use quartermaster_proto::v1::{self, catalog_service_server::CatalogService};
use tonic::{Request, Response, Status};

use super::{
    caller,
    convert::{
        answers::{Told, entry_count, upserted},
        catalog::{self, Page},
        entries, regions,
    },
    limits,
    status::ApiError,
};
use crate::node::Node;

type Reply<T> = Result<Response<T>, Status>;

/// Keeps the catalogue.
#[derive(Clone)]
pub struct Catalog {
    node: Arc<Node>,
}

impl Catalog {
    /// The service of a node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    fn upserted(&self, answer: Answer) -> Result<(v1::Position, bool, (i64, i64)), ApiError> {
        Told::of(&self.node, answer, |_, event| upserted(event))?.done()
    }

    /// Reads the catalogue under its lock; gives the position that this rests on.
    fn read<T>(&self, read: impl FnOnce(&Catalogue) -> T) -> (Lsn, T) {
        let catalogue = self.node.engine().catalogue();
        // A change of the catalogue is applied before its lock is free, so no durable one is missing.
        let lsn = catalogue.revision().max(self.node.engine().journal().durable_lsn());
        (lsn, read(&catalogue))
    }
}

#[tonic::async_trait]
impl CatalogService for Catalog {
    async fn upsert_skus(&self, request: Request<v1::UpsertSkusRequest>) -> Reply<v1::UpsertSkusResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = catalog::upsert_skus(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let (position, replayed, (created, updated)) = self.upserted(answer)?;
        Ok(Response::new(v1::UpsertSkusResponse { position: Some(position), replayed, created, updated }))
    }

    async fn retire_skus(&self, request: Request<v1::RetireSkusRequest>) -> Reply<v1::RetireSkusResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = catalog::retire_skus(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let told = Told::of(&self.node, answer, |_, event| match event {
            Event::SkusRetired { .. } | Event::Summary(_) => Some(entry_count(event)),
            _ => None,
        })?;
        let (position, replayed, retired) = told.done()?;
        Ok(Response::new(v1::RetireSkusResponse { position: Some(position), replayed, retired }))
    }

    async fn list_skus(&self, request: Request<v1::ListSkusRequest>) -> Reply<v1::ListSkusResponse> {
        let message = request.into_inner();
        let page = catalog::list_skus(&message)?;
        let (lsn, (found, next_page_token)) = self.read(|catalogue| skus(catalogue, &message, &page));
        self.node.settle(lsn).await?;
        let skus = found.iter().map(|sku| entries::sku(sku)).collect();
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListSkusResponse { position, skus, next_page_token }))
    }

    async fn upsert_locations(
        &self,
        request: Request<v1::UpsertLocationsRequest>,
    ) -> Reply<v1::UpsertLocationsResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = catalog::upsert_locations(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let (position, replayed, (created, updated)) = self.upserted(answer)?;
        Ok(Response::new(v1::UpsertLocationsResponse { position: Some(position), replayed, created, updated }))
    }

    async fn list_locations(&self, request: Request<v1::ListLocationsRequest>) -> Reply<v1::ListLocationsResponse> {
        let page = catalog::list_locations(request.get_ref())?;
        let (lsn, directory) = self.read(|catalogue| Arc::clone(catalogue.directory()));
        self.node.settle(lsn).await?;
        let all = directory.locations();
        let locations =
            all.iter().skip(page.first).take(page.size).map(|location| entries::location(location)).collect();
        let next_page_token = page.token(page.first.saturating_add(page.size), all.len());
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListLocationsResponse { position, locations, next_page_token }))
    }

    async fn upsert_channels(&self, request: Request<v1::UpsertChannelsRequest>) -> Reply<v1::UpsertChannelsResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = catalog::upsert_channels(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let (position, replayed, (created, updated)) = self.upserted(answer)?;
        Ok(Response::new(v1::UpsertChannelsResponse { position: Some(position), replayed, created, updated }))
    }

    async fn list_channels(&self, request: Request<v1::ListChannelsRequest>) -> Reply<v1::ListChannelsResponse> {
        let page = catalog::list_channels(request.get_ref())?;
        let (lsn, directory) = self.read(|catalogue| Arc::clone(catalogue.directory()));
        self.node.settle(lsn).await?;
        let all = directory.channels();
        let channels = all.iter().skip(page.first).take(page.size).map(|channel| entries::channel(channel)).collect();
        let next_page_token = page.token(page.first.saturating_add(page.size), all.len());
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListChannelsResponse { position, channels, next_page_token }))
    }

    async fn upsert_regions(&self, request: Request<v1::UpsertRegionsRequest>) -> Reply<v1::UpsertRegionsResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = regions::upsert(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let (position, replayed, (created, updated)) = self.upserted(answer)?;
        Ok(Response::new(v1::UpsertRegionsResponse { position: Some(position), replayed, created, updated }))
    }

    async fn list_regions(&self, request: Request<v1::ListRegionsRequest>) -> Reply<v1::ListRegionsResponse> {
        let page = regions::list(request.get_ref())?;
        let (lsn, directory) = self.read(|catalogue| Arc::clone(catalogue.directory()));
        self.node.settle(lsn).await?;
        let all = directory.regions();
        let regions = all.iter().skip(page.first).take(page.size).map(regions::shown).collect();
        let next_page_token = page.token(page.first.saturating_add(page.size), all.len());
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListRegionsResponse { position, regions, next_page_token }))
    }
}

/// A page of SKUs and the token of the next. Positions are ids, so that a page stays in place while SKUs are added and retired.
fn skus(catalogue: &Catalogue, message: &v1::ListSkusRequest, page: &Page) -> (Vec<Arc<Sku>>, String) {
    let all = catalogue.skus();
    if !message.style.is_empty() && !message.include_retired {
        let members = catalogue.style(&message.style);
        let first = members.partition_point(|id| id.index() < page.first);
        let found = members[first..].iter().take(page.size).map(|id| Arc::clone(&all[id.index()])).collect();
        let next = members.get(first.saturating_add(page.size)).map_or(all.len(), |id| id.index());
        return (found, page.token(next, all.len()));
    }
    let wanted = |sku: &Sku| {
        (message.include_retired || sku.retired.is_none())
            && (message.style.is_empty() || sku.spec.style == message.style)
    };
    let mut found = Vec::new();
    let mut next = page.first;
    for sku in all.iter().skip(page.first).take(limits::SKUS_SCAN_MAX.size()) {
        if found.len() == page.size {
            break;
        }
        if wanted(sku) {
            found.push(Arc::clone(sku));
        }
        next += 1;
    }
    // Nothing wanted in what is left of the scan means one page more, which may be empty.
    (found, page.token(next, all.len()))
}
