//! A server with some stock, and clients that speak to it.

use std::sync::Arc;

use quartermaster_proto::v1::{
    self, admin_service_client::AdminServiceClient, allocation_service_client::AllocationServiceClient,
    allotment_service_client::AllotmentServiceClient, campaign_service_client::CampaignServiceClient,
    catalog_service_client::CatalogServiceClient, inventory_service_client::InventoryServiceClient,
    routing_service_client::RoutingServiceClient, upkeep_service_client::UpkeepServiceClient,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Status,
    service::InterceptorLayer,
    transport::{Channel, Endpoint, Server},
};
use tonic_types::StatusExt;

use crate::{
    auth::{Identity, Principal},
    config::Config,
    grpc,
    health::{Health, Phase},
    methods::Methods,
    node::Node,
};

pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// A running server.
pub(in crate::grpc) struct World {
    pub(in crate::grpc) node: Arc<Node>,
    pub(super) channel: Channel,
    pub(super) dir: TempDir,
}

/// A node without stock, and the directory it keeps.
pub(in crate::grpc) async fn node() -> (Arc<Node>, TempDir) {
    node_with(|_| ()).await
}

/// The same with some settings changed.
async fn node_with(change: impl FnOnce(&mut Config)) -> (Arc<Node>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config {
        data_dir: Some(dir.path().to_owned()),
        segment_bytes: 1 << 20,
        batch_bytes_max: 1 << 18,
        ..Config::default()
    };
    change(&mut config);
    let health = Health::new(&Methods::new()).await;
    health.set(Phase::Serving).await;
    let opening = tokio::task::spawn_blocking(move || Node::open(&config, health, || ()));
    (opening.await.unwrap().unwrap(), dir)
}

impl World {
    /// A server without stock.
    pub(super) async fn empty() -> Self {
        Self::started(|_| ()).await
    }

    /// A server without stock and with some settings changed.
    pub(super) async fn started(change: impl FnOnce(&mut Config)) -> Self {
        let (node, dir) = node_with(change).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = grpc::routes(&node, MESSAGE_BYTES_MAX);
        let serve = Server::builder().add_routes(routes).serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serve);
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { node, channel, dir }
    }

    /// The same node as this caller sees it.
    pub(super) async fn seen_by(&self, principal: Principal) -> Channel {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let identity = Identity::of_principal(principal);
        let signed = InterceptorLayer::new(move |mut request: Request<()>| {
            request.extensions_mut().insert(identity.clone());
            Ok(request)
        });
        let server = Server::builder().layer(signed).add_routes(grpc::routes(&self.node, MESSAGE_BYTES_MAX));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
    }

    /// Locations L1, L2 (priorities 1 and 2) and P (paused); channels app (active) and old; and these cells of SKUs that stand in the
    /// order of their codes.
    pub(in crate::grpc) async fn with(cells: &[(&str, &str, i64)]) -> Self {
        let world = Self::empty().await;
        world.stock(cells).await;
        world
    }

    /// As `with` has it.
    pub(super) async fn stock(&self, cells: &[(&str, &str, i64)]) {
        let world = self;
        let location = |code: &str, priority, state: v1::LocationState| v1::Location {
            code: code.into(),
            priority,
            state: i32::from(state),
            ..Default::default()
        };
        let locations = vec![
            location("L1", 1, v1::LocationState::Open),
            location("L2", 2, v1::LocationState::Open),
            location("P", 3, v1::LocationState::Paused),
        ];
        let message = v1::UpsertLocationsRequest { request_id: "locations".into(), locations };
        world.catalog().upsert_locations(message).await.unwrap();
        let channel =
            |code: &str, active| v1::Channel { code: code.into(), active: Some(active), ..Default::default() };
        let channels = vec![channel("app", true), channel("old", false)];
        let message = v1::UpsertChannelsRequest { request_id: "channels".into(), channels };
        world.catalog().upsert_channels(message).await.unwrap();
        let mut codes: Vec<&str> = cells.iter().map(|(sku, ..)| *sku).collect();
        codes.sort_unstable();
        codes.dedup();
        if !codes.is_empty() {
            world.skus(&codes).await;
        }
        for (sku, location, quantity) in cells {
            world.count(sku, location, *quantity).await;
        }
    }

    pub(super) async fn skus(&self, codes: &[&str]) {
        let skus = codes.iter().map(|code| v1::Sku { code: (*code).into(), ..Default::default() }).collect();
        let message = v1::UpsertSkusRequest { request_id: format!("skus {codes:?}").chars().take(60).collect(), skus };
        self.catalog().upsert_skus(message).await.unwrap();
    }

    pub(super) async fn count(&self, sku: &str, location: &str, quantity: i64) -> v1::SetStockResponse {
        let message = v1::SetStockRequest {
            request_id: format!("count {sku} {location} {quantity}"),
            sku: sku.into(),
            location: location.into(),
            quantity,
            ..Default::default()
        };
        self.inventory().set_stock(message).await.unwrap().into_inner()
    }

    pub(super) fn allocation(&self) -> AllocationServiceClient<Channel> {
        AllocationServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub(super) fn inventory(&self) -> InventoryServiceClient<Channel> {
        InventoryServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub(super) fn catalog(&self) -> CatalogServiceClient<Channel> {
        CatalogServiceClient::new(self.channel.clone())
    }

    pub(super) fn campaigns(&self) -> CampaignServiceClient<Channel> {
        CampaignServiceClient::new(self.channel.clone())
    }

    pub(super) fn routing(&self) -> RoutingServiceClient<Channel> {
        RoutingServiceClient::new(self.channel.clone())
    }

    pub(super) fn upkeep(&self) -> UpkeepServiceClient<Channel> {
        UpkeepServiceClient::new(self.channel.clone())
    }

    pub(super) fn allotment(&self) -> AllotmentServiceClient<Channel> {
        AllotmentServiceClient::new(self.channel.clone())
    }

    pub(super) fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    /// Reserves and expects an answer.
    pub(super) async fn reserve(&self, message: v1::ReserveRequest) -> v1::ReserveResponse {
        self.allocation().reserve(message).await.unwrap().into_inner()
    }

    /// Reserves and expects a hold.
    pub(super) async fn hold(&self, message: v1::ReserveRequest) -> v1::Hold {
        held(&self.reserve(message).await)
    }

    /// Units of a SKU over open locations.
    pub(super) async fn available(&self, sku: &str) -> i64 {
        let message = v1::GetAvailabilityRequest { skus: vec![sku.into()], ..Default::default() };
        self.inventory().get_availability(message).await.unwrap().into_inner().skus[0].available
    }
}

/// A request for some units of each SKU, anywhere.
pub(super) fn order(request_id: &str, lines: &[(&str, i64)]) -> v1::ReserveRequest {
    let line = |(sku, quantity): &(&str, i64)| v1::ReserveLine {
        sku: (*sku).into(),
        quantity: *quantity,
        location: String::new(),
        sourcing: None,
    };
    v1::ReserveRequest {
        request_id: request_id.into(),
        buyer_id: "buyer".into(),
        lines: lines.iter().map(line).collect(),
        ..Default::default()
    }
}

pub(super) fn held(response: &v1::ReserveResponse) -> v1::Hold {
    match &response.outcome {
        Some(v1::reserve_response::Outcome::Hold(hold)) => hold.clone(),
        other => panic!("no hold: {other:?}"),
    }
}

pub(super) fn refused(response: &v1::ReserveResponse) -> v1::Rejection {
    match &response.outcome {
        Some(v1::reserve_response::Outcome::Rejection(rejection)) => rejection.clone(),
        other => panic!("no rejection: {other:?}"),
    }
}

pub(super) fn allocation(sku: &str, location: &str, quantity: i64) -> v1::Allocation {
    v1::Allocation { sku: sku.into(), location: location.into(), quantity }
}

/// Code and typed reason of a status; it must carry our domain.
pub(super) fn class(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "quartermaster");
    (status.code(), info.reason.clone())
}

/// A fact of a status.
pub(super) fn fact(status: &Status, name: &str) -> String {
    let details = status.get_error_details();
    details.error_info().and_then(|info| info.metadata.get(name).cloned()).unwrap_or_default()
}
