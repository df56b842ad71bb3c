//! The gRPC services: one thin handler file each. Messages are checked and converted in `convert`, failures are told in `status`.

mod admin;
mod allocation;
mod allotment;
mod batch;
mod caller;
mod campaign;
mod catalog;
mod convert;
mod grid;
mod import;
mod inventory;
mod legible;
pub mod limits;
pub mod operations;
mod policy;
mod replay;
mod returns;
mod routing;
mod rows;
mod rules;
mod services;
mod size;
pub mod status;
mod straight;
mod stream;
mod supply;
#[cfg(test)]
mod tests;
mod upkeep;

use std::sync::Arc;

use quartermaster_proto::v1::{
    admin_service_server::AdminServiceServer, allocation_service_server::AllocationServiceServer,
    allotment_service_server::AllotmentServiceServer, campaign_service_server::CampaignServiceServer,
    catalog_service_server::CatalogServiceServer, inventory_service_server::InventoryServiceServer,
    policy_service_server::PolicyServiceServer, return_service_server::ReturnServiceServer,
    routing_service_server::RoutingServiceServer, rules_service_server::RulesServiceServer,
    supply_service_server::SupplyServiceServer, upkeep_service_server::UpkeepServiceServer,
};
use tonic::service::Routes;

pub(crate) use self::convert::sourced::gap_ppm;
pub use self::{
    admin::Admin, allocation::Allocation, allotment::Allotment, campaign::Campaign, catalog::Catalog,
    inventory::Inventory, policy::Policy, returns::Returns, routing::Routing, rules::Rules, services::Services,
    supply::Supply, upkeep::Upkeep,
};
use self::{legible::Legible, straight::Straight};
use crate::node::Node;

/// All services of a node behind tonic's router, as [`services`] has them.
///
/// # Panics
/// As [`services`].
#[must_use]
pub fn routes(node: &Arc<Node>, message_bytes_max: usize) -> Routes {
    services(node, message_bytes_max).into_routes()
}

/// All services of a node. Messages of more than `message_bytes_max` are refused before they are read.
///
/// # Panics
/// Outside of a runtime: what wakes the calls that wait for the disk is spawned in the one that they wait in.
#[must_use]
pub fn services(node: &Arc<Node>, message_bytes_max: usize) -> Services {
    tokio::spawn(node.herald());
    let allocation = AllocationServiceServer::new(Allocation::new(Arc::clone(node)));
    let inventory = InventoryServiceServer::new(Inventory::new(Arc::clone(node)));
    let catalog = CatalogServiceServer::new(Catalog::new(Arc::clone(node)));
    let campaign = CampaignServiceServer::new(Campaign::new(Arc::clone(node)));
    let policy = PolicyServiceServer::new(Policy::new(Arc::clone(node)));
    let routing = RoutingServiceServer::new(Routing::new(Arc::clone(node)));
    let rules = RulesServiceServer::new(Rules::new(Arc::clone(node)));
    let returns = ReturnServiceServer::new(Returns::new(Arc::clone(node)));
    let allotment = AllotmentServiceServer::new(Allotment::new(Arc::clone(node)));
    let supply = SupplyServiceServer::new(Supply::new(Arc::clone(node)));
    let admin = AdminServiceServer::new(Admin::new(Arc::clone(node)));
    let upkeep = UpkeepServiceServer::new(Upkeep::new(Arc::clone(node)));
    let allocation = Legible(allocation.max_decoding_message_size(message_bytes_max));
    let others = Routes::new(Legible(inventory.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(catalog.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(campaign.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(policy.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(routing.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(rules.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(returns.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(allotment.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(supply.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(admin.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(upkeep.max_decoding_message_size(message_bytes_max)));
    Services::new(Straight::new(node, message_bytes_max, allocation), others)
}
