//! The catalogue: what SKUs, locations and channels are, and which dense id stands for which code.

mod channel;
mod directory;
pub mod documents;
mod fulfilment;
mod lint;
mod location;
pub mod network;
pub mod places;
mod sku;

use std::{collections::BTreeSet, sync::Arc};

use ahash::RandomState;
use compact_str::CompactString;
use hashbrown::HashMap;
use quartermaster_journal::Lsn;
pub use quartermaster_sourcing::fulfilment::{Capabilities, Coordinates, Fulfilment};

pub use self::{
    channel::{Channel, ChannelSpec},
    directory::{Directory, Path},
    location::{Location, LocationKind, LocationSpec, LocationState},
    sku::{Component, GoodsSpec, Sku, SkuSpec},
};
use crate::{
    id::SkuId,
    near,
    table::{Table, Tag},
};

/// Fixed seeds: no decision may depend on the order of a hash table, but a replay should cost the same each time, too.
pub(crate) fn hasher() -> RandomState {
    RandomState::with_seeds(0x51AB, 0x1DEA, 0x0B0E, 0x5EED)
}

/// All of the catalogue.
#[derive(Debug)]
pub struct Catalogue {
    skus: Vec<Arc<Sku>>,
    /// Codes of all SKUs by id, those of up to 24 bytes inline: every order reads one, and waits for memory once, not for what else is known
    /// of the SKU.
    codes: Vec<CompactString>,
    /// Active SKUs, found by their codes.
    by_code: Table,
    hasher: RandomState,
    styles: HashMap<Box<str>, Vec<SkuId>, RandomState>,
    /// Active kits.
    kits: BTreeSet<SkuId>,
    directory: Arc<Directory>,
    revision: Lsn,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            skus: Vec::new(),
            codes: Vec::new(),
            by_code: Table::default(),
            hasher: hasher(),
            styles: HashMap::with_hasher(hasher()),
            kits: BTreeSet::new(),
            directory: Arc::default(),
            revision: Lsn::ZERO,
        }
    }
}

impl Catalogue {
    /// All SKUs in the order of their ids, retired ones included.
    #[must_use]
    pub fn skus(&self) -> &[Arc<Sku>] {
        &self.skus
    }

    /// The active SKU with this code.
    #[must_use]
    pub fn sku(&self, code: &str) -> Option<SkuId> {
        self.sku_of(self.tag_of(code), code)
    }

    /// What a code is found by.
    pub(crate) fn tag_of(&self, code: &str) -> Tag {
        Tag::of(self.hasher.hash_one(code))
    }

    /// Active SKU by code, whose tag is known.
    pub(crate) fn sku_of(&self, tag: Tag, code: &str) -> Option<SkuId> {
        self.by_code.find(tag, |id| self.codes[SkuId(id).index()] == code).map(SkuId)
    }

    /// Asks for the memory where a code of this tag is looked for.
    pub(crate) fn ask_for_place(&self, tag: Tag) {
        self.by_code.ask_for(tag);
    }

    /// Asks for the memory of the code that is found there, and gives the SKU that it most likely stands for.
    pub(crate) fn ask_for_code(&self, tag: Tag) -> Option<SkuId> {
        let likely = self.by_code.find(tag, |_| true).map(SkuId)?;
        self.codes.get(likely.index()).into_iter().for_each(near::ask_for);
        Some(likely)
    }

    /// Code of a SKU of this catalogue.
    ///
    /// # Panics
    /// If the id was never given out: ids come from this catalogue or from the journal.
    #[must_use]
    pub fn sku_code(&self, id: SkuId) -> &str {
        &self.codes[id.index()]
    }

    /// Active SKUs of a style, by id.
    #[must_use]
    pub fn style(&self, style: &str) -> &[SkuId] {
        self.styles.get(style).map_or(&[], Vec::as_slice)
    }

    /// Active kits, by id.
    #[must_use]
    pub fn kits(&self) -> &BTreeSet<SkuId> {
        &self.kits
    }

    /// What a SKU consists of; nothing unless it is a kit.
    #[must_use]
    pub fn components(&self, id: SkuId) -> &[Component] {
        self.skus.get(id.index()).map_or(&[], |sku| &sku.components)
    }

    /// Locations and channels.
    #[must_use]
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// LSN of the last event that changed it.
    #[must_use]
    pub fn revision(&self) -> Lsn {
        self.revision
    }

    pub(crate) fn set_revision(&mut self, lsn: Lsn) {
        self.revision = lsn;
    }

    pub(crate) fn set_directory(&mut self, directory: Arc<Directory>) {
        self.directory = directory;
    }

    /// Makes room for so many SKUs more.
    pub(crate) fn reserve(&mut self, skus: usize) {
        self.by_code.reserve(skus);
        self.codes.reserve(skus);
        self.skus.reserve(skus);
    }

    /// Puts a SKU in its place. New ones must come in the order of their ids.
    pub(crate) fn put_sku(&mut self, sku: Sku) {
        let (id, retired) = (sku.id, sku.retired.is_some());
        if sku.components.is_empty() || retired {
            self.kits.remove(&id);
        } else {
            self.kits.insert(id);
        }
        if id.index() == self.codes.len() {
            // Nothing ever changes it: whoever names another means another SKU.
            self.codes.push(sku.spec.code.as_str().into());
        }
        if let Some(old) = self.skus.get(id.index()).map(Arc::clone) {
            if old.spec.style != sku.spec.style || retired {
                self.leave_style(&old.spec.style, id);
            }
            if retired && self.sku(&old.spec.code) == Some(id) {
                self.forget_code(&old.spec.code);
            }
        }
        if !retired {
            self.put_code(&sku.spec.code, id);
            if !sku.spec.style.is_empty() {
                let members = self.styles.entry_ref(sku.spec.style.as_str()).or_default();
                if let Err(place) = members.binary_search(&id) {
                    members.insert(place, id);
                }
            }
        }
        let entry = Arc::new(sku);
        if id.index() < self.skus.len() {
            self.skus[id.index()] = entry;
        } else {
            assert_eq!(id.index(), self.skus.len(), "SKU ids are dense");
            self.skus.push(entry);
        }
    }

    /// Has an active SKU found by its code, in place of the one that had it.
    fn put_code(&mut self, code: &str, id: SkuId) {
        self.forget_code(code);
        self.by_code.insert(self.tag_of(code), id.0);
    }

    fn forget_code(&mut self, code: &str) {
        let tag = self.tag_of(code);
        if let Some(id) = self.sku_of(tag, code) {
            self.by_code.remove(tag, id.0);
        }
    }

    fn leave_style(&mut self, style: &str, id: SkuId) {
        if let Some(members) = self.styles.get_mut(style) {
            members.retain(|member| *member != id);
            if members.is_empty() {
                self.styles.remove(style);
            }
        }
    }
}
