//! What the server has already: asked page by page, and only as far as needed.

use quartermaster_client::Transport;
use quartermaster_proto::v1::catalog_service_client::CatalogServiceClient;
use quartermaster_proto::v1::{ListLocationsRequest, ListRegionsRequest, ListSkusRequest};
use tonic::Status;

use super::plan::Plan;
use super::send::MESSAGE_BYTES_MAX;

const PAGE: i32 = 5_000;

/// Marks the codes of the plan that the server has.
///
/// # Errors
/// What the server answers.
pub(super) async fn resolve(channel: Transport, plan: &mut Plan) -> Result<(), Status> {
    let mut catalog = CatalogServiceClient::new(channel).max_decoding_message_size(16 * MESSAGE_BYTES_MAX);
    let mut page_token = String::new();
    while plan.location_codes.unknown().next().is_some() {
        let request = ListLocationsRequest { page_size: PAGE, page_token };
        let page = catalog.list_locations(request).await?.into_inner();
        page.locations.iter().for_each(|location| plan.location_codes.found(&location.code));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let mut page_token = String::new();
    while plan.region_codes.unknown().next().is_some() {
        let page = catalog.list_regions(ListRegionsRequest { page_size: PAGE, page_token }).await?.into_inner();
        page.regions.iter().for_each(|region| plan.region_codes.found(&region.code));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let mut page_token = String::new();
    while plan.sku_codes.unknown().next().is_some() {
        let request = ListSkusRequest { page_size: PAGE, page_token, ..ListSkusRequest::default() };
        let page = catalog.list_skus(request).await?.into_inner();
        page.skus.iter().for_each(|sku| plan.sku_codes.found(&sku.code));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(())
}
