//! Changes of the directory: which codes get which ids, whether regions make a tree, what state a document is in. The network and the
//! policies that follow are compiled here, before anything is logged: what cannot be compiled is refused.

use std::sync::Arc;

use quartermaster_journal::Lsn;
use quartermaster_sourcing::{
    policy::Severity,
    region::{RegionError, RegionSpec, Regions},
};

use super::{allotment, catalogue::place};
use crate::{
    catalog::{
        Channel, ChannelSpec, Directory, Location, LocationSpec,
        documents::{Content, DocumentFault, DocumentId, DocumentState},
        network::{Excluded, Stages, Subject},
    },
    command::CatalogueCommand,
    error::Error,
    event::Event,
    id::{ChannelId, LocationId},
    time::Timestamp,
};

/// Regions there may be.
const REGIONS_MAX: usize = 100_000;
/// Versions of documents there may be.
const VERSIONS_MAX: usize = 10_000;
/// Bytes that their texts may have together.
const TEXTS_BYTES_MAX: usize = 256 << 20;

/// Moments to come at which documents may take effect: for each the network is held ready.
const MOMENTS_MAX: usize = 16;

/// Decides a change of the directory; gives what decisions will read of it, too.
pub(crate) fn change(
    directory: &Directory,
    command: &CatalogueCommand,
    now: Timestamp,
) -> Result<Option<(Event, Stages)>, Error> {
    let event = match command {
        CatalogueCommand::UpsertLocations(specs) => upsert_locations(directory, specs),
        CatalogueCommand::UpsertChannels(specs) => upsert_channels(directory, specs),
        CatalogueCommand::UpsertRegions(specs) => upsert_regions(directory, specs),
        CatalogueCommand::Draft(content) => draft(directory, content, now),
        CatalogueCommand::Activate { document, effective_at } => activate(directory, document, *effective_at, now),
        CatalogueCommand::Retire(document) => retire(directory, document, now),
        CatalogueCommand::UpsertSkus(_) | CatalogueCommand::RetireSkus(_) => return Ok(None),
    }?;
    let Some(next) = directory.after(&event, Lsn::ZERO, now) else { return Ok(None) };
    let stages = Stages::compile(&next, now);
    let known = directory.stages().excluded();
    let newly: Vec<&Excluded> = stages.excluded().iter().filter(|excluded| !known.contains(excluded)).collect();
    refuse(&newly, command)?;
    Ok(Some((event, stages)))
}

/// Nothing may fall out of use by a change.
fn refuse(newly: &[&Excluded], command: &CatalogueCommand) -> Result<(), Error> {
    let Some(first) = newly.first() else { return Ok(()) };
    let own = match command {
        CatalogueCommand::Activate { document, .. } => Some(document),
        _ => None,
    };
    let fault = |excluded: &&Excluded| match &excluded.what {
        Subject::Document(id) if Some(id) == own => Some(excluded.fault.clone()),
        Subject::Document(_) => Some(DocumentFault { path: String::new(), message: excluded.to_string() }),
        Subject::Location(_) | Subject::Regions | Subject::Locations => None,
    };
    let faults: Vec<_> = newly.iter().filter_map(fault).collect();
    if faults.is_empty() {
        return Err(Error::Unusable { what: first.what.to_string(), why: first.fault.to_string() });
    }
    Err(Error::InvalidDocument { faults })
}

/// Locations get the next ids, or keep theirs. They serve channels that there are.
fn upsert_locations(directory: &Directory, specs: &[LocationSpec]) -> Result<Event, Error> {
    for code in specs.iter().flat_map(|spec| &spec.fulfilment.channels) {
        directory.channel(code).ok_or_else(|| Error::UnknownChannel { code: code.clone() })?;
    }
    let (locations, created) =
        place(specs, "locations", directory.locations().len(), LocationId::MAX, |spec, fresh| {
            let id = directory.location(&spec.code).unwrap_or(LocationId(fresh));
            (Location { id, spec: spec.clone() }, id.0 == fresh)
        })?;
    Ok(Event::LocationsUpserted { locations, created })
}

/// Channels get the next ids, or keep theirs.
fn upsert_channels(directory: &Directory, specs: &[ChannelSpec]) -> Result<Event, Error> {
    let (channels, created) = place(specs, "channels", directory.channels().len(), u32::MAX - 1, |spec, fresh| {
        let id = directory.channel(&spec.code).map_or(ChannelId(fresh), |channel| channel.id);
        (Channel { id, spec: spec.clone() }, id.0 == fresh)
    })?;
    allotment::check_tree(directory, &channels)?;
    Ok(Event::ChannelsUpserted { channels, created })
}

/// All regions together must make trees.
fn upsert_regions(directory: &Directory, specs: &[RegionSpec]) -> Result<Event, Error> {
    let next = directory.with_regions(specs);
    if next.regions().len() > REGIONS_MAX {
        return Err(full("regions", REGIONS_MAX));
    }
    Regions::new(next.regions()).map_err(|error| match error {
        RegionError::UnknownParent { parent, .. } => Error::UnknownRegion { code: parent },
        error => Error::Region { position: position(specs, &error), error: Box::new(error) },
    })?;
    let created = u32::try_from(next.regions().len() - directory.regions().len()).unwrap_or(u32::MAX);
    Ok(Event::RegionsUpserted { regions: specs.to_vec(), created })
}

/// Of the region that an error names, if it came with the request.
fn position(specs: &[RegionSpec], error: &RegionError) -> Option<usize> {
    let code = match error {
        RegionError::NoCode { .. } => "",
        RegionError::Duplicate { code }
        | RegionError::UnknownParent { code, .. }
        | RegionError::Cycle { code }
        | RegionError::TooDeep { code }
        | RegionError::Coordinates { code } => code,
    };
    specs.iter().position(|spec| spec.code == code)
}

/// A document becomes the next version of its name, if nothing in it is wrong.
fn draft(directory: &Directory, content: &Content, now: Timestamp) -> Result<Event, Error> {
    let json = content.to_json();
    let documents = directory.documents();
    if documents.len() >= VERSIONS_MAX {
        return Err(full("versions of documents", VERSIONS_MAX));
    }
    if documents.bytes().saturating_add(json.len()) > TEXTS_BYTES_MAX {
        return Err(full("bytes of documents", TEXTS_BYTES_MAX));
    }
    check(directory, content, now)?;
    let newest = documents.versions(content.kind(), content.name()).next_back();
    let version = newest.map_or(0, |newest| newest.id.version) + 1;
    let document = DocumentId { kind: content.kind(), name: content.name().to_owned(), version };
    Ok(Event::DocumentDrafted { document, json: json.into() })
}

/// A draft comes into force, if it still fits what there is.
fn activate(
    directory: &Directory,
    document: &DocumentId,
    effective_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Event, Error> {
    let kept = in_state(directory, document, DocumentState::Draft, now)?;
    let content =
        Content::read(document.kind, &kept).map_err(|fault| Error::InvalidDocument { faults: vec![fault] })?;
    check(directory, &content, now)?;
    let effective_at = effective_at.map_or(now, |at| at.max(now));
    let waiting = directory.documents().changes_after(now);
    if effective_at > now && waiting.len() >= MOMENTS_MAX && !waiting.contains(&effective_at) {
        return Err(full("moments at which documents take effect", MOMENTS_MAX));
    }
    Ok(Event::DocumentActivated { document: document.clone(), effective_at })
}

/// An active version goes out of force.
fn retire(directory: &Directory, document: &DocumentId, now: Timestamp) -> Result<Event, Error> {
    in_state(directory, document, DocumentState::Active, now)?;
    Ok(Event::DocumentRetired { document: document.clone() })
}

/// The text of a version that is in the state that is needed.
fn in_state(directory: &Directory, id: &DocumentId, wanted: DocumentState, now: Timestamp) -> Result<Arc<str>, Error> {
    let documents = directory.documents();
    let document = documents.get(id).ok_or_else(|| Error::UnknownDocument { document: id.clone() })?;
    let state = documents.state(document, now);
    if state == wanted {
        Ok(Arc::clone(&document.json))
    } else {
        Err(Error::DocumentState { document: id.clone(), state, wanted })
    }
}

/// Whether lint finds no error.
fn check(directory: &Directory, content: &Content, now: Timestamp) -> Result<(), Error> {
    let errors = directory.lint(content, now).into_iter().filter(|finding| finding.severity == Severity::Error);
    let faults: Vec<_> = errors.map(|finding| DocumentFault { path: finding.path, message: finding.message }).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::InvalidDocument { faults }) }
}

fn full(what: &'static str, limit: usize) -> Error {
    Error::TableFull { what, limit: u64::try_from(limit).unwrap_or(u64::MAX) }
}
