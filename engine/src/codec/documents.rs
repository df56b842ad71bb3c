//! Regions and documents to journal bytes and back.

use quartermaster_journal::Lsn;
use quartermaster_sourcing::{fulfilment::Coordinates, region::RegionSpec};

use super::{DecodeError, unknown, wire};
use crate::{
    catalog::documents::{Document, DocumentId, DocumentKind, DocumentState},
    event::Event,
    time::Timestamp,
};

pub(crate) fn region_to_wire(region: &RegionSpec) -> wire::Region {
    wire::Region {
        code: region.code.clone(),
        parent: region.parent.clone(),
        name: region.name.clone(),
        located: region.coordinates.is_some(),
        latitude_e7: region.coordinates.map_or(0, |at| at.latitude_e7),
        longitude_e7: region.coordinates.map_or(0, |at| at.longitude_e7),
    }
}

pub(crate) fn region_from_wire(region: wire::Region) -> RegionSpec {
    let at = Coordinates { latitude_e7: region.latitude_e7, longitude_e7: region.longitude_e7 };
    RegionSpec {
        code: region.code,
        parent: region.parent,
        name: region.name,
        coordinates: region.located.then_some(at),
    }
}

/// As the section of a snapshot has it.
pub(crate) fn document_to_wire(document: &Document) -> wire::Document {
    let state = match document.state {
        DocumentState::Draft => 1,
        DocumentState::Active => 2,
        DocumentState::Retired => 3,
    };
    wire::Document {
        kind: kind_to_wire(document.id.kind),
        name: document.id.name.clone(),
        version: document.id.version,
        state,
        json: document.json.to_string(),
        effective_time_us: document.effective_at.0,
        revision: document.revision.get(),
    }
}

pub(crate) fn document_from_wire(document: wire::Document) -> Result<Document, DecodeError> {
    Ok(Document {
        id: id_from_wire(document.kind, document.name, document.version)?,
        state: match document.state {
            1 => DocumentState::Draft,
            2 => DocumentState::Active,
            3 => DocumentState::Retired,
            state => return Err(unknown("document.state", state)),
        },
        json: document.json.into(),
        effective_at: Timestamp(document.effective_time_us),
        revision: Lsn::new(document.revision),
    })
}

pub(super) fn drafted_to_wire(id: &DocumentId, json: &str) -> wire::DocumentDrafted {
    let document = wire::Document {
        kind: kind_to_wire(id.kind),
        name: id.name.clone(),
        version: id.version,
        state: 1,
        json: json.to_owned(),
        effective_time_us: 0,
        revision: 0,
    };
    wire::DocumentDrafted { document: Some(document) }
}

pub(super) fn drafted_from_wire(drafted: wire::DocumentDrafted) -> Result<Event, DecodeError> {
    let document = drafted.document.ok_or(DecodeError::Missing { field: "document" })?;
    let id = id_from_wire(document.kind, document.name, document.version)?;
    Ok(Event::DocumentDrafted { document: id, json: document.json.into() })
}

pub(super) fn activated_to_wire(id: &DocumentId, effective_at: Timestamp) -> wire::DocumentActivated {
    wire::DocumentActivated {
        kind: kind_to_wire(id.kind),
        name: id.name.clone(),
        version: id.version,
        effective_time_us: effective_at.0,
    }
}

pub(super) fn activated_from_wire(activated: wire::DocumentActivated) -> Result<Event, DecodeError> {
    Ok(Event::DocumentActivated {
        document: id_from_wire(activated.kind, activated.name, activated.version)?,
        effective_at: Timestamp(activated.effective_time_us),
    })
}

pub(super) fn retired_to_wire(id: &DocumentId) -> wire::DocumentRetired {
    wire::DocumentRetired { kind: kind_to_wire(id.kind), name: id.name.clone(), version: id.version }
}

pub(super) fn retired_from_wire(retired: wire::DocumentRetired) -> Result<Event, DecodeError> {
    Ok(Event::DocumentRetired { document: id_from_wire(retired.kind, retired.name, retired.version)? })
}

fn kind_to_wire(kind: DocumentKind) -> u32 {
    match kind {
        DocumentKind::Policy => 1,
        DocumentKind::Tariff => 2,
    }
}

fn id_from_wire(kind: u32, name: String, version: u32) -> Result<DocumentId, DecodeError> {
    let kind = match kind {
        1 => DocumentKind::Policy,
        2 => DocumentKind::Tariff,
        kind => return Err(unknown("document.kind", kind)),
    };
    Ok(DocumentId { kind, name, version })
}
