//! Changes of the catalogue, asked for again. Ids come in the order of the changes, so both worlds have the same.
//!
//! Policies and tariffs of the log are left out where others are tried instead.

use quartermaster_engine::{
    Verdict,
    catalog::{
        Channel, Location, Sku,
        documents::{Content, DocumentId},
    },
    command::{CatalogueCommand, CellCode, Command, FactRow, StockCommand},
    event::{CellFacts, Event},
    id::SkuId,
    time::Timestamp,
};
use quartermaster_journal::Lsn;

use crate::{fault::Fault, instead::Instead, world::World};

/// The command that an event of the catalogue came from; `None` for other events.
fn command(world: &World, event: &Event) -> Option<Command> {
    Some(Command::Catalogue(match event {
        Event::SkusUpserted { skus, .. } => {
            CatalogueCommand::UpsertSkus(skus.iter().map(|sku| sku.spec.clone()).collect())
        }
        Event::SkusRetired { skus } => CatalogueCommand::RetireSkus(skus.iter().map(|sku| world.sku(*sku)).collect()),
        Event::LocationsUpserted { locations, .. } => {
            CatalogueCommand::UpsertLocations(locations.iter().map(|place| place.spec.clone()).collect())
        }
        Event::ChannelsUpserted { channels, .. } => {
            CatalogueCommand::UpsertChannels(channels.iter().map(|channel| channel.spec.clone()).collect())
        }
        Event::RegionsUpserted { regions, .. } => CatalogueCommand::UpsertRegions(regions.clone()),
        Event::DocumentDrafted { document, json } => {
            CatalogueCommand::Draft(Box::new(Content::read(document.kind, json).ok()?))
        }
        Event::DocumentActivated { document, effective_at } => {
            CatalogueCommand::Activate { document: document.clone(), effective_at: Some(*effective_at) }
        }
        Event::DocumentRetired { document } => CatalogueCommand::Retire(document.clone()),
        Event::CellFactsSet { facts } => {
            let rows = facts.iter().map(|cell| fact(world, cell)).collect();
            return Some(Command::Stock(StockCommand::SetFacts(rows)));
        }
        _ => return None,
    }))
}

/// What planning knows of a cell.
fn fact(world: &World, cell: &CellFacts) -> FactRow {
    let code = CellCode { sku: world.sku(cell.sku), location: world.location(cell.location) };
    FactRow { cell: code, facts: cell.facts }
}

/// The document that an event is about.
fn document(event: &Event) -> Option<&DocumentId> {
    match event {
        Event::DocumentDrafted { document, .. }
        | Event::DocumentActivated { document, .. }
        | Event::DocumentRetired { document } => Some(document),
        _ => None,
    }
}

/// Takes a change of the catalogue over. Whether the event was one.
///
/// # Errors
/// When it is refused or gives other ids.
pub(crate) fn follow(world: &World, instead: &Instead, lsn: Lsn, now: Timestamp, event: &Event) -> Result<bool, Fault> {
    if document(event).is_some_and(|document| instead.replaces(document.kind)) {
        return Ok(true);
    }
    if let Event::SkusRetired { skus } = event
        && skus.iter().any(|sku| !known(world, *sku))
    {
        return Err(Fault::Diverged { lsn });
    }
    let Some(command) = command(world, event) else { return Ok(false) };
    let refused = |source| Fault::Catalogue { lsn, source };
    match world.submit(&command, now).map_err(refused)?.verdict {
        Verdict::Done(done) if alike(event, &done) => Ok(true),
        _ => Err(Fault::Diverged { lsn }),
    }
}

fn known(world: &World, sku: SkuId) -> bool {
    sku.index() < world.engine.catalogue().skus().len()
}

/// Whether two changes gave the same ids.
fn alike(one: &Event, other: &Event) -> bool {
    let skus = |skus: &[Sku]| skus.iter().map(|sku| sku.id).collect::<Vec<_>>();
    let locations = |places: &[Location]| places.iter().map(|place| place.id).collect::<Vec<_>>();
    let channels = |channels: &[Channel]| channels.iter().map(|channel| channel.id).collect::<Vec<_>>();
    match (one, other) {
        (Event::SkusUpserted { skus: one, .. }, Event::SkusUpserted { skus: other, .. }) => skus(one) == skus(other),
        (Event::LocationsUpserted { locations: one, .. }, Event::LocationsUpserted { locations: other, .. }) => {
            locations(one) == locations(other)
        }
        (Event::ChannelsUpserted { channels: one, .. }, Event::ChannelsUpserted { channels: other, .. }) => {
            channels(one) == channels(other)
        }
        (one, other) => one == other,
    }
}
