//! Freezes, repairs and kits: events and snapshot sections as messages.

use std::collections::BTreeMap;

use prost::Message as _;
use quartermaster_proto::journal::v1 as wire;

use super::{
    DecodeError, claim_to_wire, end_from_wire, end_to_wire, promise_from_wire, promise_to_wire, required, sourced,
    unknown,
};
use crate::{
    catalog::{Component, Directory, Sku},
    event::upkeep::{Remedy, Repaired, ShortCell, UpkeepEvent},
    id::{LocationId, SkuId},
    shard::Shard,
    time::Timestamp,
    upkeep::{Freeze, FreezeReason, Frozen},
};

pub(super) fn to_wire(event: &UpkeepEvent) -> wire::UpkeepEvent {
    let event = match event {
        UpkeepEvent::Frozen { target, reason, reference } => wire::upkeep_event::Event::Frozen(wire::Frozen {
            target: target_to_wire(*target),
            reason: reason.number(),
            reference: reference.to_string(),
        }),
        UpkeepEvent::Thawed { target, freezes } => wire::upkeep_event::Event::Thawed(wire::Thawed {
            target: target_to_wire(*target),
            freezes: freezes.clone(),
        }),
        UpkeepEvent::Repaired(repaired) => wire::upkeep_event::Event::Repaired(wire::ShortfallsRepaired {
            remedies: repaired.remedies.iter().map(remedy_to_wire).collect(),
            remaining: repaired
                .remaining
                .iter()
                .map(|cell| wire::ShortCell { sku: cell.sku.0, location: cell.location.0, units: cell.units })
                .collect(),
            more: repaired.more,
        }),
    };
    wire::UpkeepEvent { event: Some(event) }
}

pub(super) fn from_wire(event: wire::UpkeepEvent) -> Result<UpkeepEvent, DecodeError> {
    match event.event {
        None | Some(wire::upkeep_event::Event::None(_)) => Err(DecodeError::NoEvent),
        Some(wire::upkeep_event::Event::Frozen(frozen)) => Ok(UpkeepEvent::Frozen {
            target: target_from_wire(frozen.target)?,
            reason: reason_from_wire(frozen.reason)?,
            reference: frozen.reference.into(),
        }),
        Some(wire::upkeep_event::Event::Thawed(thawed)) => {
            Ok(UpkeepEvent::Thawed { target: target_from_wire(thawed.target)?, freezes: thawed.freezes })
        }
        Some(wire::upkeep_event::Event::Repaired(repaired)) => Ok(UpkeepEvent::Repaired(Repaired {
            remedies: repaired.remedies.into_iter().map(remedy_from_wire).collect::<Result<_, _>>()?,
            remaining: repaired
                .remaining
                .iter()
                .map(|cell| ShortCell { sku: SkuId(cell.sku), location: LocationId(cell.location), units: cell.units })
                .collect(),
            more: repaired.more,
        })),
    }
}

fn remedy_to_wire(remedy: &Remedy) -> wire::Remedy {
    let remedy = match remedy {
        Remedy::Moved(moved) => wire::remedy::Remedy::Moved(sourced::rerouted_to_wire(moved).encode_to_vec()),
        Remedy::Cancelled { claim, promise, end, bookings } => {
            let cancelled = wire::Cancelled {
                claim: claim_to_wire(claim),
                promise: promise_to_wire(*promise),
                end_state: end_to_wire(*end),
                bookings: sourced::bookings_to_wire(bookings),
            };
            wire::remedy::Remedy::Cancelled(cancelled.encode_to_vec())
        }
    };
    wire::Remedy { remedy: Some(remedy) }
}

fn remedy_from_wire(remedy: wire::Remedy) -> Result<Remedy, DecodeError> {
    match remedy.remedy.ok_or(DecodeError::Missing { field: "repaired.remedy" })? {
        wire::remedy::Remedy::Moved(bytes) => {
            let moved = wire::Rerouted::decode(&bytes[..])?;
            Ok(Remedy::Moved(Box::new(sourced::rerouted_from_wire(moved)?)))
        }
        wire::remedy::Remedy::Cancelled(bytes) => {
            let cancelled = wire::Cancelled::decode(&bytes[..])?;
            Ok(Remedy::Cancelled {
                claim: required(cancelled.claim.as_ref())?,
                promise: promise_from_wire(cancelled.promise)?,
                end: end_from_wire(cancelled.end_state)?,
                bookings: sourced::bookings_from_wire(&cancelled.bookings)?,
            })
        }
    }
}

fn target_to_wire(target: Frozen) -> Option<wire::FreezeTarget> {
    Some(wire::FreezeTarget {
        sku: target.sku().map_or(0, |sku| sku.0.saturating_add(1)),
        location: target.location().map_or(0, |location| location.0 + 1),
    })
}

fn target_from_wire(target: Option<wire::FreezeTarget>) -> Result<Frozen, DecodeError> {
    let target = target.unwrap_or_default();
    match (target.sku.checked_sub(1).map(SkuId), target.location.checked_sub(1).map(LocationId)) {
        (Some(sku), None) => Ok(Frozen::Sku(sku)),
        (Some(sku), Some(location)) => Ok(Frozen::Cell(sku, location)),
        (None, Some(location)) => Ok(Frozen::Location(location)),
        (None, None) => Err(DecodeError::Missing { field: "freeze.target" }),
    }
}

fn reason_from_wire(number: u32) -> Result<FreezeReason, DecodeError> {
    FreezeReason::from_number(number).ok_or_else(|| unknown("freeze.reason", number))
}

pub(crate) fn freeze_to_wire(target: Frozen, freeze: &Freeze) -> wire::Freeze {
    wire::Freeze {
        id: freeze.id,
        target: target_to_wire(target),
        reason: freeze.reason.number(),
        reference: freeze.reference.to_string(),
        time_us: freeze.frozen_at.0,
    }
}

pub(crate) fn freeze_from_wire(freeze: &wire::Freeze) -> Result<(Frozen, Freeze), DecodeError> {
    let target = target_from_wire(freeze.target)?;
    let reason = reason_from_wire(freeze.reason)?;
    let reference = freeze.reference.as_str().into();
    Ok((target, Freeze { id: freeze.id, reason, reference, frozen_at: Timestamp(freeze.time_us) }))
}

/// What a snapshot keeps of a shard; `None` when there is nothing.
pub(crate) fn section(shard: &Shard) -> Option<wire::UpkeepSection> {
    let standing = shard.upkeep.freezes.iter();
    let freezes: Vec<_> =
        standing.flat_map(|(target, freezes)| freezes.iter().map(|freeze| freeze_to_wire(*target, freeze))).collect();
    (!freezes.is_empty()).then_some(wire::UpkeepSection { freezes })
}

/// Puts back what a snapshot kept. Rows and parts are there already.
pub(crate) fn restore(shard: &mut Shard, section: wire::UpkeepSection) -> Result<(), &'static str> {
    for freeze in section.freezes {
        let (target, freeze) = freeze_from_wire(&freeze).map_err(|_| "a freeze cannot be read")?;
        let known = |sku: &SkuId| sku.shard() == shard.id && sku.row() < shard.rows.len();
        let sku = target.sku().filter(known).ok_or("it freezes a SKU that it does not have")?;
        let row = shard.row_mut(sku);
        match target.location() {
            None => row.set_frozen(true),
            Some(at) => {
                let cells = row.len();
                row.put(at, &crate::stock::Buckets { frozen: true, ..row.get(at) });
                if row.len() > cells {
                    return Err("it freezes a cell that it does not have");
                }
            }
        }
        shard.upkeep.freezes.entry(target).or_default().push(freeze);
    }
    Ok(())
}

/// Freezes of locations, which lie in the directory.
pub(crate) fn locations_to_wire(directory: &Directory) -> Vec<wire::Freeze> {
    let standing = directory.freezes().iter();
    standing
        .flat_map(|(at, freezes)| freezes.iter().map(|freeze| freeze_to_wire(Frozen::Location(*at), freeze)))
        .collect()
}

/// The directory with the freezes that a snapshot kept.
pub(crate) fn restore_locations(directory: Directory, freezes: &[wire::Freeze]) -> Result<Directory, &'static str> {
    if freezes.is_empty() {
        return Ok(directory);
    }
    let mut kept: BTreeMap<LocationId, Vec<Freeze>> = BTreeMap::new();
    for freeze in freezes {
        let (target, freeze) = freeze_from_wire(freeze).map_err(|_| "a freeze cannot be read")?;
        let Frozen::Location(at) = target else { return Err("a freeze of the directory is of no location") };
        if at.index() >= directory.locations().len() {
            return Err("it freezes a location that it does not have");
        }
        kept.entry(at).or_default().push(freeze);
    }
    Ok(directory.with_freezes(|freezes| *freezes = kept))
}

/// What a kit consists of.
pub(super) fn components_to_wire(sku: &Sku) -> Vec<wire::KitComponent> {
    let parts = sku.components.iter().zip(&sku.spec.components);
    parts
        .map(|(part, (code, units))| wire::KitComponent { sku: part.sku.0, code: code.clone(), units: *units })
        .collect()
}

pub(super) fn component_from_wire(component: &wire::KitComponent) -> Component {
    Component { sku: SkuId(component.sku), units: component.units }
}
