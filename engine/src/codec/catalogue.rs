//! SKUs, locations and channels to messages of the journal and back.

use quartermaster_journal::Lsn;
use quartermaster_proto::journal::v1 as wire;

use super::{DecodeError, campaign, fulfilment, unknown, upkeep};
use crate::{
    catalog::{
        Capabilities, Channel, ChannelSpec, Coordinates, GoodsSpec, Location, LocationKind, LocationSpec,
        LocationState, Sku, SkuSpec,
    },
    id::{ChannelId, LocationId, SkuId},
    time::Micros,
};

pub(crate) fn sku_to_wire(sku: &Sku) -> wire::Sku {
    let spec = &sku.spec;
    wire::Sku {
        id: sku.id.0,
        code: spec.code.clone(),
        style: spec.style.clone(),
        colour: spec.colour.clone(),
        size: spec.size.clone(),
        attributes: spec
            .attributes
            .iter()
            .map(|(key, value)| wire::Attribute { key: key.clone(), value: value.clone() })
            .collect(),
        weight_grams: spec.weight_grams,
        currency: spec.currency.clone(),
        unit_value: spec.unit_value,
        sellable: spec.sellable,
        retired_lsn: sku.retired.map_or(0, Lsn::get),
        category: spec.goods.category.clone(),
        dimensions_mm: if spec.goods.dimensions_mm == [0; 3] { Vec::new() } else { spec.goods.dimensions_mm.into() },
        dangerous_goods: spec.goods.dangerous_goods.clone(),
        temperature: spec.goods.temperature.clone(),
        components: upkeep::components_to_wire(sku),
    }
}

pub(crate) fn sku_from_wire(sku: wire::Sku) -> Sku {
    Sku {
        id: SkuId(sku.id),
        spec: SkuSpec {
            code: sku.code,
            style: sku.style,
            colour: sku.colour,
            size: sku.size,
            attributes: sku.attributes.into_iter().map(|attribute| (attribute.key, attribute.value)).collect(),
            weight_grams: sku.weight_grams,
            currency: sku.currency,
            unit_value: sku.unit_value,
            sellable: sku.sellable,
            goods: GoodsSpec {
                category: sku.category,
                dimensions_mm: std::array::from_fn(|side| sku.dimensions_mm.get(side).copied().unwrap_or(0)),
                dangerous_goods: sku.dangerous_goods,
                temperature: sku.temperature,
            },
            components: sku.components.iter().map(|part| (part.code.clone(), part.units)).collect(),
        },
        components: sku.components.iter().map(upkeep::component_from_wire).collect(),
        retired: (sku.retired_lsn > 0).then(|| Lsn::new(sku.retired_lsn)),
    }
}

pub(crate) fn location_to_wire(location: &Location) -> wire::Location {
    let spec = &location.spec;
    wire::Location {
        id: location.id.0,
        code: spec.code.clone(),
        name: spec.name.clone(),
        kind: match spec.kind {
            LocationKind::Unspecified => 0,
            LocationKind::DistributionCentre => 1,
            LocationKind::ForwardWarehouse => 2,
            LocationKind::Store => 3,
            LocationKind::ThirdParty => 4,
            LocationKind::Supplier => 5,
        },
        located: spec.coordinates.is_some(),
        latitude_e7: spec.coordinates.map_or(0, |at| at.latitude_e7),
        longitude_e7: spec.coordinates.map_or(0, |at| at.longitude_e7),
        region: spec.region.clone(),
        capabilities: spec.capabilities.0,
        state: match spec.state {
            LocationState::Open => 1,
            LocationState::Paused => 2,
            LocationState::Closed => 3,
        },
        priority: spec.priority,
        fulfilment: fulfilment::to_wire(&spec.fulfilment),
    }
}

pub(crate) fn location_from_wire(location: wire::Location) -> Result<Location, DecodeError> {
    Ok(Location {
        id: LocationId(location.id),
        spec: LocationSpec {
            code: location.code,
            name: location.name,
            kind: match location.kind {
                0 => LocationKind::Unspecified,
                1 => LocationKind::DistributionCentre,
                2 => LocationKind::ForwardWarehouse,
                3 => LocationKind::Store,
                4 => LocationKind::ThirdParty,
                5 => LocationKind::Supplier,
                kind => return Err(unknown("location.kind", kind)),
            },
            coordinates: location
                .located
                .then_some(Coordinates { latitude_e7: location.latitude_e7, longitude_e7: location.longitude_e7 }),
            region: location.region,
            capabilities: Capabilities(location.capabilities),
            state: match location.state {
                1 => LocationState::Open,
                2 => LocationState::Paused,
                3 => LocationState::Closed,
                state => return Err(unknown("location.state", state)),
            },
            priority: location.priority,
            fulfilment: fulfilment::from_wire(location.fulfilment)?,
        },
    })
}

pub(crate) fn channel_to_wire(channel: &Channel) -> wire::Channel {
    wire::Channel {
        id: channel.id.0,
        code: channel.spec.code.clone(),
        name: channel.spec.name.clone(),
        active: channel.spec.active,
        parent: channel.spec.parent.clone(),
        priority: channel.spec.priority,
        safety_units: channel.spec.safety_units,
        deduction: campaign::deduction_to_wire(channel.spec.deduction),
        hold_ttl_us: channel.spec.hold_ttl.map_or(0, |ttl| ttl.0),
    }
}

pub(crate) fn channel_from_wire(channel: wire::Channel) -> Channel {
    Channel {
        id: ChannelId(channel.id),
        spec: ChannelSpec {
            code: channel.code,
            name: channel.name,
            active: channel.active,
            parent: channel.parent,
            priority: channel.priority,
            safety_units: channel.safety_units,
            deduction: campaign::deduction_from_wire(channel.deduction),
            hold_ttl: (channel.hold_ttl_us > 0).then_some(Micros(channel.hold_ttl_us)),
        },
    }
}
