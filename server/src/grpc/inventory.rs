//! The inventory service: convert, submit, wait, convert.

use std::sync::Arc;

use quartermaster_engine::{
    self as engine,
    catalog::{Catalogue, Directory},
    event::Event,
    id::{LocationId, SkuId},
    query::allotment::Asker,
};
use quartermaster_journal::Lsn;
use quartermaster_proto::v1::{self, inventory_service_server::InventoryService};
use tonic::{Request, Response, Status, Streaming};

use super::{
    caller::{self, Caller},
    convert::{
        answers::{Told, entry_count, units},
        checks::grouped,
        facts, inventory,
        levels::{self, Levels},
        returns,
    },
    grid::{self, Member},
    import, legible, limits,
    rows::Rows,
    status::ApiError,
};
use crate::node::Node;

type Reply<T> = Result<Response<T>, Status>;

/// Changes stock and tells availability.
#[derive(Clone)]
pub struct Inventory {
    node: Arc<Node>,
}

impl Inventory {
    /// The service of a node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

#[tonic::async_trait]
impl InventoryService for Inventory {
    async fn set_stock(&self, request: Request<v1::SetStockRequest>) -> Reply<v1::SetStockResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = inventory::set(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let Levels { position, replayed, levels } = Levels::of(&self.node, answer)?;
        let level = levels.into_iter().next();
        Ok(Response::new(v1::SetStockResponse { position: Some(position), replayed, level }))
    }

    async fn adjust_stock(&self, request: Request<v1::AdjustStockRequest>) -> Reply<v1::AdjustStockResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = inventory::adjust(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let Levels { position, replayed, levels } = Levels::of(&self.node, answer)?;
        let level = levels.into_iter().next();
        Ok(Response::new(v1::AdjustStockResponse { position: Some(position), replayed, level }))
    }

    async fn receive_stock(&self, request: Request<v1::ReceiveStockRequest>) -> Reply<v1::ReceiveStockResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = inventory::receive(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let Levels { position, replayed, levels } = Levels::of(&self.node, answer)?;
        Ok(Response::new(v1::ReceiveStockResponse { position: Some(position), replayed, levels }))
    }

    async fn move_stock(&self, request: Request<v1::MoveStockRequest>) -> Reply<v1::MoveStockResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = inventory::step(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let Levels { position, replayed, levels } = Levels::of(&self.node, answer)?;
        let level = levels.into_iter().next();
        Ok(Response::new(v1::MoveStockResponse { position: Some(position), replayed, level }))
    }

    async fn import_stock(
        &self,
        request: Request<Streaming<v1::ImportStockRequest>>,
    ) -> Reply<v1::ImportStockResponse> {
        let caller = Caller::of(&request);
        let mut messages = request.into_inner();
        let mut rows = Rows::default();
        let mut is_first = true;
        while let Some(mut message) = messages.message().await.map_err(legible::status)? {
            caller.check(&self.node, &mut message)?;
            rows.add(message, is_first)?;
            is_first = false;
            // Messages come faster than they are read: calls that wait for this thread have their turn.
            tokio::task::yield_now().await;
        }
        Ok(Response::new(import::run(&self.node, &caller, rows).await?))
    }

    async fn get_availability(
        &self,
        request: Request<v1::GetAvailabilityRequest>,
    ) -> Reply<v1::GetAvailabilityResponse> {
        let message = request.into_inner();
        inventory::availability(&message)?;
        let (skus, locations) = self.resolve(&message.skus, &message.locations)?;
        let asker = Asker { channel: message.channel, campaign: message.campaign };
        let (lsn, found) = self.node.engine().availability_to(&asker, &skus, &locations).map_err(ApiError::from)?;
        if lsn.get() < message.min_lsn {
            return Err(ApiError::NotReached { min_lsn: message.min_lsn, lsn }.into());
        }
        self.node.settle(lsn).await?;
        let skus = message.skus.into_iter().zip(found).map(|(sku, found)| v1::SkuAvailability {
            sku,
            available: units(found.available),
            by_location: found.by_location.iter().map(|units| units.signed()).collect(),
            revision: found.revision.get(),
        });
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::GetAvailabilityResponse { position, skus: skus.collect() }))
    }

    async fn get_style_grid(&self, request: Request<v1::GetStyleGridRequest>) -> Reply<v1::GetStyleGridResponse> {
        let message = request.into_inner();
        inventory::style_grid(&message)?;
        let (revision, skus, members, locations) = self.style(&message)?;
        let asker = Asker { channel: message.channel, campaign: message.campaign };
        let (lsn, found) = self.node.engine().availability_to(&asker, &skus, &locations).map_err(ApiError::from)?;
        let lsn = lsn.max(revision);
        self.node.settle(lsn).await?;
        Ok(Response::new(grid::table(self.node.position(lsn), &members, &found)))
    }

    async fn list_cells(&self, request: Request<v1::ListCellsRequest>) -> Reply<v1::ListCellsResponse> {
        let page = inventory::list_cells(request.into_inner())?;
        let sku = sku(&self.node.engine().catalogue(), &page.sku)?;
        let (lsn, found, more) = self.node.engine().cells(sku, page.after, page.size);
        self.node.settle(lsn).await?;
        let last = found.last().filter(|_| more);
        let next_page_token = last.map(|last| page.pages.token(last.location.0.into())).unwrap_or_default();
        let catalogue = self.node.engine().catalogue();
        let cells = found.iter().map(|cell| levels::cell(&catalogue, cell)).collect();
        drop(catalogue);
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListCellsResponse { position, cells, next_page_token }))
    }

    async fn list_shortfalls(&self, request: Request<v1::ListShortfallsRequest>) -> Reply<v1::ListShortfallsResponse> {
        let page = inventory::list_shortfalls(request.get_ref())?;
        let (after, size) = (page.after, page.size);
        let node = Arc::clone(&self.node);
        // Each shortfall looks at every reservation of its shard: off the threads that answer calls.
        let list = move || node.engine().shortfalls(after, size, limits::HURT_MAX.size());
        let (lsn, found, more) = tokio::task::spawn_blocking(list)
            .await
            .map_err(|_| ApiError::Internal { what: "a list of shortfalls broke off" })?;
        self.node.settle(lsn).await?;
        let last = found.last().filter(|_| more);
        let next_page_token = last.map(|last| page.token(last.cell.sku, last.cell.location)).unwrap_or_default();
        let catalogue = self.node.engine().catalogue();
        let shortfalls = found.iter().map(|shortfall| levels::shortfall(&catalogue, shortfall)).collect();
        drop(catalogue);
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListShortfallsResponse { position, shortfalls, next_page_token }))
    }

    async fn set_cell_facts(&self, request: Request<v1::SetCellFactsRequest>) -> Reply<v1::SetCellFactsResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = facts::set(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let told = Told::of(&self.node, answer, |_, event| match event {
            Event::CellFactsSet { .. } | Event::Summary(_) => Some(entry_count(event)),
            _ => None,
        })?;
        let (position, replayed, cells) = told.done()?;
        Ok(Response::new(v1::SetCellFactsResponse { position: Some(position), replayed, cells }))
    }

    async fn count_stock(&self, request: Request<v1::CountStockRequest>) -> Reply<v1::CountStockResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = returns::count(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        Ok(Response::new(returns::counted(&self.node, answer)?))
    }
}

type Style = (Lsn, Vec<SkuId>, Vec<Member>, Vec<LocationId>);

impl Inventory {
    fn resolve(&self, skus: &[String], locations: &[String]) -> Result<(Vec<SkuId>, Vec<LocationId>), ApiError> {
        let catalogue = self.node.engine().catalogue();
        let skus = skus.iter().map(|code| sku(&catalogue, code)).collect::<Result<_, _>>()?;
        Ok((skus, locations_of(catalogue.directory(), locations)?))
    }

    /// The SKUs of a style and the locations to count: those that are named, else the open ones.
    fn style(&self, message: &v1::GetStyleGridRequest) -> Result<Style, ApiError> {
        let catalogue = self.node.engine().catalogue();
        let directory = catalogue.directory();
        let locations = if message.locations.is_empty() {
            let all = directory.locations().iter().map(|location| location.id);
            all.filter(|id| directory.takes(*id)).collect()
        } else {
            locations_of(directory, &message.locations)?
        };
        let skus = catalogue.style(&message.style);
        let (pairs, most) = (skus.len().saturating_mul(locations.len()), limits::GRID_PAIRS_MAX);
        if pairs > most.size() {
            let problem =
                format!("its SKUs times locations are {pairs} pairs; at most {} are allowed", grouped(most.get()));
            return Err(ApiError::field("style", problem));
        }
        let member = |id: &SkuId| {
            let spec = &catalogue.skus()[id.index()].spec;
            Member { code: spec.code.clone(), colour: spec.colour.clone(), size: spec.size.clone() }
        };
        Ok((catalogue.revision(), skus.to_vec(), skus.iter().map(member).collect(), locations))
    }
}

fn sku(catalogue: &Catalogue, code: &str) -> Result<SkuId, ApiError> {
    catalogue.sku(code).ok_or_else(|| engine::Error::UnknownSku { code: code.to_owned() }.into())
}

fn locations_of(directory: &Directory, codes: &[String]) -> Result<Vec<LocationId>, ApiError> {
    let unknown = |code: &String| engine::Error::UnknownLocation { code: code.clone() };
    codes.iter().map(|code| directory.location(code).ok_or_else(|| unknown(code).into())).collect()
}
