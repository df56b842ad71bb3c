//! Which codes the ids of a log stand for.

use quartermaster_engine::event::{Event, Record};
use quartermaster_engine::id::{ChannelId, LocationId, SkuId};
use quartermaster_engine::snapshot::kind;
use quartermaster_journal::{Error, FileStorage, Lsn, SnapshotReader};
use quartermaster_proto::journal::v1::CatalogueSection;

use crate::cli::directory::{DataDir, Unusable};

/// Codes by id. An id never changes its code, so those of a snapshot hold for all of the log.
#[derive(Debug, Default)]
pub(super) struct Names {
    skus: Vec<String>,
    locations: Vec<String>,
    channels: Vec<String>,
    /// Catalogue events past this are needed for what came later.
    pub(super) complete_to: Lsn,
}

impl Names {
    /// The codes of the newest snapshot that is whole as far as its catalogue goes; none when there is no snapshot.
    pub(super) fn of(directory: &DataDir) -> Result<Names, Unusable> {
        let store = directory.snapshots();
        for name in store.names()? {
            match store.open(&name).map_err(Unusable::from).and_then(|snapshot| Names::from_snapshot(&snapshot)) {
                Err(Unusable::Journal(Error::SnapshotDamaged { .. })) => {}
                // Removed by the server since the directory was listed.
                Err(Unusable::Journal(Error::Io { source, .. })) if source.kind() == std::io::ErrorKind::NotFound => {}
                names => return names,
            }
        }
        Ok(Names::default())
    }

    fn from_snapshot(snapshot: &SnapshotReader<FileStorage>) -> Result<Names, Unusable> {
        let mut names = Names::default();
        let mut payload = Vec::new();
        for section in snapshot.sections().iter().filter(|section| section.kind == kind::CATALOGUE) {
            snapshot.read(section, &mut payload)?;
            let catalogue: CatalogueSection = prost::Message::decode(&payload[..])
                .map_err(|error| Unusable::Catalogue { file: snapshot.path().clone(), source: Box::new(error) })?;
            names.skus.extend(catalogue.skus.into_iter().map(|sku| sku.code));
            names.locations.extend(catalogue.locations.into_iter().map(|location| location.code));
            names.channels.extend(catalogue.channels.into_iter().map(|channel| channel.code));
            names.complete_to = section.lsn;
        }
        Ok(names)
    }

    /// Learns the codes that a record gives.
    pub(super) fn learn(&mut self, record: &Record) {
        match &record.event {
            Event::SkusUpserted { skus, .. } => {
                skus.iter().for_each(|sku| put(&mut self.skus, sku.id.index(), &sku.spec.code));
            }
            Event::LocationsUpserted { locations, .. } => {
                locations.iter().for_each(|place| put(&mut self.locations, place.id.index(), &place.spec.code));
            }
            Event::ChannelsUpserted { channels, .. } => {
                channels.iter().for_each(|channel| put(&mut self.channels, channel.id.index(), &channel.spec.code));
            }
            _ => {}
        }
    }

    pub(super) fn sku(&self, id: SkuId) -> &str {
        self.skus.get(id.index()).map_or("", String::as_str)
    }

    pub(super) fn location(&self, id: LocationId) -> &str {
        self.locations.get(id.index()).map_or("", String::as_str)
    }

    pub(super) fn channel(&self, id: ChannelId) -> &str {
        self.channels.get(id.index()).map_or("", String::as_str)
    }
}

fn put(codes: &mut Vec<String>, index: usize, code: &str) {
    if index >= codes.len() {
        // Ids are dense; a damaged record must not make room for four thousand million.
        if index > codes.len() + 5_000 {
            return;
        }
        codes.resize(index + 1, String::new());
    }
    code.clone_into(&mut codes[index]);
}
