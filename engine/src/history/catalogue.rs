//! The catalogue: ids and codes are given once.

use ahash::RandomState;
use hashbrown::HashMap;
use quartermaster_journal::Lsn;
use quartermaster_sourcing::region::RegionSpec;

use super::{Check, Fault, History, stock::RowFold};
use crate::{
    catalog::{Channel, Location, LocationState, Sku, documents::Document, hasher},
    command::CellCode,
    id::{LocationId, SkuId},
};

type Codes = HashMap<Box<str>, u32, RandomState>;

/// What there is to name, by id and by code.
pub(super) struct Names {
    /// Everything up to here came with the first snapshot.
    pub(super) complete_to: Lsn,
    pub(super) skus: Vec<Sku>,
    pub(super) locations: Vec<Location>,
    pub(super) channels: Vec<Channel>,
    pub(super) regions: Vec<RegionSpec>,
    /// By id.
    pub(super) documents: Vec<Document>,
    /// Ids of active SKUs.
    sku_codes: Codes,
    location_codes: Codes,
    channel_codes: Codes,
}

impl Default for Names {
    fn default() -> Self {
        let codes = || HashMap::with_hasher(hasher());
        Self {
            complete_to: Lsn::ZERO,
            skus: Vec::new(),
            locations: Vec::new(),
            channels: Vec::new(),
            regions: Vec::new(),
            documents: Vec::new(),
            sku_codes: codes(),
            location_codes: codes(),
            channel_codes: codes(),
        }
    }
}

impl Names {
    pub(super) fn sku(&self, id: SkuId) -> String {
        self.skus.get(id.index()).map_or_else(|| format!("#{}", id.0), |sku| sku.spec.code.clone())
    }

    pub(super) fn location(&self, id: LocationId) -> String {
        self.locations.get(id.index()).map_or_else(|| format!("#{}", id.0), |location| location.spec.code.clone())
    }

    pub(super) fn cell(&self, sku: SkuId, location: LocationId) -> CellCode {
        CellCode { sku: self.sku(sku), location: self.location(location) }
    }

    pub(super) fn has_location(&self, id: LocationId) -> bool {
        id.index() < self.locations.len()
    }

    pub(super) fn is_open(&self, id: LocationId) -> bool {
        self.locations.get(id.index()).is_some_and(|location| location.spec.state == LocationState::Open)
    }

    /// SKUs, locations, channels.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        (count(self.skus.len()), count(self.locations.len()), count(self.channels.len()))
    }

    /// Takes what a snapshot says, without judging it.
    pub(super) fn restore(&mut self, skus: Vec<Sku>, locations: Vec<Location>, channels: Vec<Channel>) {
        for sku in skus {
            if sku.retired.is_none() {
                self.sku_codes.insert(sku.spec.code.as_str().into(), sku.id.0);
            }
            self.skus.push(sku);
        }
        for location in locations {
            self.location_codes.insert(location.spec.code.as_str().into(), location.id.0);
            self.locations.push(location);
        }
        for channel in channels {
            self.channel_codes.insert(channel.spec.code.as_str().into(), channel.id.0);
            self.channels.push(channel);
        }
    }
}

/// Puts an entry in its place and its code among the codes. Gives whether it is new, and what is wrong.
fn place<T>(
    what: &'static str,
    entries: &mut Vec<T>,
    codes: &mut Codes,
    (id, code): (u32, &str),
    entry: T,
    old_code: impl Fn(&T) -> &str,
) -> (bool, Option<Fault>) {
    let expected = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let owner = codes.get(code).copied().filter(|owner| *owner != id);
    let mut fault = owner.map(|owner| Fault::CodeTaken { what, id, code: code.to_owned(), owner });
    let index = crate::id::usize_from(id);
    if id < expected {
        if old_code(&entries[index]) != code {
            fault = Some(Fault::CodeChanged { what, id, code: code.to_owned() });
        }
        entries[index] = entry;
    } else if id == expected {
        codes.insert(code.into(), id);
        entries.push(entry);
    } else {
        fault = Some(Fault::IdNotDense { what, id, expected });
    }
    (id >= expected, fault)
}

impl History {
    fn created(&mut self, said: u32, counted: u32) {
        if said != counted {
            self.findings.add(Check::Catalogue, Fault::CreatedCount { said, counted });
        }
    }

    pub(super) fn skus_upserted(&mut self, lsn: Lsn, skus: &[Sku], said: u32) {
        let known = lsn > self.names.complete_to;
        let mut created = 0;
        for sku in skus {
            if self.fresh(lsn, sku.id.shard()) {
                let rows = &mut self.shards.get_mut(sku.id.shard()).rows;
                match rows.get_mut(sku.id.row()) {
                    Some(row) => row.sellable = sku.spec.sellable,
                    None => {
                        rows.push(RowFold { sellable: sku.spec.sellable, retired: false, revision: Lsn::ZERO });
                    }
                }
            }
            if known {
                if self.names.skus.get(sku.id.index()).is_some_and(|old| old.retired.is_some()) {
                    self.findings.add(Check::Catalogue, Fault::Retired { sku: sku.spec.code.clone() });
                }
                let Names { skus, sku_codes, .. } = &mut self.names;
                let named = (sku.id.0, sku.spec.code.as_str());
                let (new, fault) = place("SKU", skus, sku_codes, named, sku.clone(), |old| &old.spec.code);
                created += u32::from(new);
                fault.into_iter().for_each(|fault| self.findings.add(Check::Catalogue, fault));
            }
        }
        if known {
            self.created(said, created);
            self.check_kits(skus);
        }
    }

    pub(super) fn skus_retired(&mut self, lsn: Lsn, skus: &[SkuId]) {
        for id in skus {
            if self.fresh(lsn, id.shard())
                && let Some(row) = self.shards.row_mut(*id)
            {
                row.retired = true;
            }
            if lsn <= self.names.complete_to {
                continue;
            }
            let Some(sku) = self.names.skus.get_mut(id.index()) else {
                self.findings.add(Check::Catalogue, Fault::Unknown { what: "SKU", id: id.0 });
                continue;
            };
            if sku.retired.is_some() {
                self.findings.add(Check::Catalogue, Fault::Retired { sku: sku.spec.code.clone() });
            }
            sku.retired = Some(lsn);
            self.names.sku_codes.remove(sku.spec.code.as_str());
        }
    }

    pub(super) fn locations_upserted(&mut self, lsn: Lsn, locations: &[Location], said: u32) {
        if lsn <= self.names.complete_to {
            return;
        }
        let mut created = 0;
        for location in locations {
            let Names { locations, location_codes, .. } = &mut self.names;
            let named = (location.id.0, location.spec.code.as_str());
            let (new, fault) =
                place("location", locations, location_codes, named, location.clone(), |old| &old.spec.code);
            created += u32::from(new);
            fault.into_iter().for_each(|fault| self.findings.add(Check::Catalogue, fault));
        }
        self.created(said, created);
    }

    pub(super) fn channels_upserted(&mut self, lsn: Lsn, channels: &[Channel], said: u32) {
        if lsn <= self.names.complete_to {
            return;
        }
        let mut created = 0;
        for channel in channels {
            let Names { channels, channel_codes, .. } = &mut self.names;
            let named = (channel.id.0, channel.spec.code.as_str());
            let (new, fault) = place("channel", channels, channel_codes, named, channel.clone(), |old| &old.spec.code);
            created += u32::from(new);
            fault.into_iter().for_each(|fault| self.findings.add(Check::Catalogue, fault));
        }
        self.created(said, created);
    }
}
