//! SKUs, locations and channels as they stand.

use quartermaster_engine::{
    catalog::{self, LocationState, SkuSpec},
    id::{ChannelId, LocationId, SkuId},
    upkeep::Frozen,
};

use super::{Judged, Model, must};

pub(crate) struct Sku {
    pub(crate) spec: SkuSpec,
    pub(crate) retired: bool,
    /// What one of it consists of, when it is a kit.
    pub(crate) components: Vec<(SkuId, u64)>,
    /// LSN of the last change of its stock.
    pub(crate) revision: u64,
}

impl Model {
    pub(super) fn skus_upserted(&mut self, skus: &[catalog::Sku]) -> Judged {
        for sku in skus {
            must!(sku.id.index() <= self.skus.len(), "SKU ids are dense");
            if sku.id.index() == self.skus.len() {
                self.skus.push(Sku { spec: sku.spec.clone(), retired: false, components: Vec::new(), revision: 0 });
            }
            let known = &mut self.skus[sku.id.index()];
            must!(!known.retired, "a retired SKU changes");
            known.spec = sku.spec.clone();
            let components = sku.components.iter().map(|part| (part.sku, u64::from(part.units))).collect();
            must!(known.components.is_empty() || known.components == components, "a kit consists of something else");
            known.components = components;
            must!(known.components.len() == known.spec.components.len(), "a kit of what is not known");
        }
        Ok(())
    }

    pub(super) fn skus_retired(&mut self, skus: &[SkuId]) -> Judged {
        for sku in skus {
            let known = &mut self.skus[sku.index()];
            must!(!known.retired, "a SKU retires twice");
            known.retired = true;
        }
        for kit in self.skus.iter().filter(|sku| !sku.retired) {
            let gone = kit.components.iter().find(|(part, _)| self.skus[part.index()].retired);
            must!(gone.is_none(), "a component of {} is retired", kit.spec.code);
        }
        Ok(())
    }

    pub(super) fn locations_upserted(&mut self, locations: &[catalog::Location]) -> Judged {
        for location in locations {
            must!(location.id.index() <= self.locations.len(), "location ids are dense");
            match self.locations.get_mut(location.id.index()) {
                Some(known) => *known = location.spec.clone(),
                None => self.locations.push(location.spec.clone()),
            }
        }
        Ok(())
    }

    pub(super) fn channels_upserted(&mut self, channels: &[catalog::Channel]) -> Judged {
        for channel in channels {
            must!(channel.id.index() <= self.channels.len(), "channel ids are dense");
            match self.channels.get_mut(channel.id.index()) {
                Some(known) => *known = channel.spec.clone(),
                None => self.channels.push(channel.spec.clone()),
            }
        }
        Ok(())
    }

    pub(crate) fn sku_code(&self, sku: SkuId) -> &str {
        &self.skus[sku.index()].spec.code
    }

    pub(crate) fn location_code(&self, location: LocationId) -> &str {
        &self.locations[location.index()].code
    }

    /// The active SKU of a code.
    pub(crate) fn sku(&self, code: &str) -> Option<SkuId> {
        let place = self.skus.iter().position(|sku| sku.spec.code == code && !sku.retired);
        place.and_then(|place| u32::try_from(place).ok()).map(SkuId)
    }

    pub(crate) fn location(&self, code: &str) -> Option<LocationId> {
        let place = self.locations.iter().position(|location| location.code == code);
        place.and_then(|place| u32::try_from(place).ok()).map(LocationId)
    }

    pub(crate) fn channel(&self, code: &str) -> Option<ChannelId> {
        let place = self.channels.iter().position(|channel| channel.code == code);
        place.and_then(|place| u32::try_from(place).ok()).map(ChannelId)
    }

    pub(crate) fn all_skus(&self) -> impl Iterator<Item = SkuId> + use<> {
        (0..u32::try_from(self.skus.len()).unwrap_or(0)).map(SkuId)
    }

    pub(crate) fn all_locations(&self) -> impl Iterator<Item = LocationId> + use<> {
        (0..u32::try_from(self.locations.len()).unwrap_or(0)).map(LocationId)
    }

    pub(crate) fn all_channels(&self) -> impl Iterator<Item = ChannelId> + use<> {
        (0..u32::try_from(self.channels.len()).unwrap_or(0)).map(ChannelId)
    }

    pub(crate) fn is_for_sale(&self, sku: SkuId) -> bool {
        let known = &self.skus[sku.index()];
        known.spec.sellable && !known.retired && !self.is_frozen(Frozen::Sku(sku))
    }

    pub(crate) fn location_is_open(&self, location: LocationId) -> bool {
        self.locations[location.index()].state == LocationState::Open
    }
}
