//! The gRPC services: one thin handler file each. Messages are checked and converted in `convert`, failures are told in `status`.

mod admin;
mod allocation;
mod batch;
mod catalog;
mod convert;
mod grid;
mod import;
mod inventory;
mod legible;
pub mod limits;
mod policy;
mod replay;
mod routing;
mod rows;
mod size;
pub mod status;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use quartermaster_proto::v1::{
    admin_service_server::AdminServiceServer, allocation_service_server::AllocationServiceServer,
    catalog_service_server::CatalogServiceServer, inventory_service_server::InventoryServiceServer,
    policy_service_server::PolicyServiceServer, routing_service_server::RoutingServiceServer,
};
use tonic::service::Routes;

pub(crate) use self::convert::sourced::gap_ppm;
use self::legible::Legible;
pub use self::{
    admin::Admin, allocation::Allocation, catalog::Catalog, inventory::Inventory, policy::Policy, routing::Routing,
};
use crate::node::Node;

/// All services of a node. Messages of more than `message_bytes_max` are refused before they are read.
#[must_use]
pub fn routes(node: &Arc<Node>, message_bytes_max: usize) -> Routes {
    let allocation = AllocationServiceServer::new(Allocation::new(Arc::clone(node)));
    let inventory = InventoryServiceServer::new(Inventory::new(Arc::clone(node)));
    let catalog = CatalogServiceServer::new(Catalog::new(Arc::clone(node)));
    let policy = PolicyServiceServer::new(Policy::new(Arc::clone(node)));
    let routing = RoutingServiceServer::new(Routing::new(Arc::clone(node)));
    let admin = AdminServiceServer::new(Admin::new(Arc::clone(node)));
    Routes::new(Legible(allocation.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(inventory.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(catalog.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(policy.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(routing.max_decoding_message_size(message_bytes_max)))
        .add_service(Legible(admin.max_decoding_message_size(message_bytes_max)))
}
