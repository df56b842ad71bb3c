//! Entries of the catalogue as they are shown.

use quartermaster_engine::catalog::{Capabilities, Channel, Location, LocationKind, LocationState, Sku};
use quartermaster_journal::Lsn;
use quartermaster_proto::v1;

use super::{campaign, fulfilment, upkeep};

/// A SKU.
pub(crate) fn sku(sku: &Sku) -> v1::Sku {
    let spec = &sku.spec;
    let unit_value = (!spec.currency.is_empty())
        .then(|| v1::Money { currency_code: spec.currency.clone(), minor_units: spec.unit_value });
    let [length, width, height] = spec.goods.dimensions_mm;
    v1::Sku {
        code: spec.code.clone(),
        style: spec.style.clone(),
        colour: spec.colour.clone(),
        size: spec.size.clone(),
        attributes: spec.attributes.iter().cloned().collect(),
        weight_grams: i64::try_from(spec.weight_grams).unwrap_or(i64::MAX),
        unit_value,
        sellable: Some(spec.sellable),
        retired_lsn: sku.retired.map_or(0, Lsn::get),
        category: spec.goods.category.clone(),
        length_mm: millimetres(length),
        width_mm: millimetres(width),
        height_mm: millimetres(height),
        dangerous_goods: spec.goods.dangerous_goods.clone(),
        temperature: spec.goods.temperature.clone(),
        components: upkeep::components(spec),
    }
}

fn millimetres(side: u32) -> i32 {
    i32::try_from(side).unwrap_or(i32::MAX)
}

/// A location.
pub(crate) fn location(location: &Location) -> v1::Location {
    let spec = &location.spec;
    let kind = match spec.kind {
        LocationKind::Unspecified => v1::LocationKind::Unspecified,
        LocationKind::DistributionCentre => v1::LocationKind::DistributionCentre,
        LocationKind::ForwardWarehouse => v1::LocationKind::ForwardWarehouse,
        LocationKind::Store => v1::LocationKind::Store,
        LocationKind::ThirdParty => v1::LocationKind::ThirdParty,
        LocationKind::Supplier => v1::LocationKind::Supplier,
    };
    let state = match spec.state {
        LocationState::Open => v1::LocationState::Open,
        LocationState::Paused => v1::LocationState::Paused,
        LocationState::Closed => v1::LocationState::Closed,
    };
    v1::Location {
        code: spec.code.clone(),
        name: spec.name.clone(),
        kind: i32::from(kind),
        coordinates: spec.coordinates.map(|at| v1::LatLng {
            latitude: f64::from(at.latitude_e7) / 1e7,
            longitude: f64::from(at.longitude_e7) / 1e7,
        }),
        region: spec.region.clone(),
        capabilities: capabilities(spec.capabilities),
        state: i32::from(state),
        priority: i32::try_from(spec.priority).unwrap_or(i32::MAX),
        fulfilment: fulfilment::to_wire(&spec.fulfilment),
    }
}

/// Bit n stands for capability number n.
fn capabilities(bits: Capabilities) -> Vec<i32> {
    (0..31).filter(|number| bits.0 >> number & 1 == 1).collect()
}

/// A channel.
pub(crate) fn channel(channel: &Channel) -> v1::Channel {
    let spec = &channel.spec;
    v1::Channel {
        code: spec.code.clone(),
        name: spec.name.clone(),
        active: Some(spec.active),
        deduction: campaign::deduction_to_wire(spec.deduction),
        hold_ttl: spec.hold_ttl.map(campaign::duration),
        parent: spec.parent.clone(),
        priority: i32::try_from(spec.priority).unwrap_or(i32::MAX),
        safety_units: i64::from(spec.safety_units),
    }
}
