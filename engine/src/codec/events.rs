//! Events to messages of the journal and back, as prost has them: encode next to decode. What nearly every record holds has a way of its own, `hot`.

use quartermaster_proto::journal::v1 as wire;

use super::{
    DecodeError, allotment, campaign,
    catalogue::{channel_from_wire, channel_to_wire, location_from_wire, location_to_wire, sku_from_wire, sku_to_wire},
    documents::{self, region_from_wire, region_to_wire},
    returns, rules, sourced, supply, terms, unknown, upkeep,
};
use crate::{
    allotment::LimitedBy,
    command::StockReason,
    event::{
        CellChange, CellFacts, Claim, EndState, Event, Facts, Held, HoldEndReason, Line, Lines, Promise, ShardSet,
        Shortage, StockChangeKind, StockChanged, Summary,
    },
    id::{ChannelId, LocationId, ReservationId, ShardId, SkuId},
    quantity::Quantity,
    time::Timestamp,
};

pub(super) fn event_to_wire(event: &Event) -> wire::record::Event {
    match event {
        Event::Held(held) => wire::record::Event::Held(wire::Held {
            reservation: held.reservation.0,
            order_id: held.order_id.to_string(),
            buyer_id: held.buyer_id.to_string(),
            channel: held.channel.map_or(0, |channel| channel.0 + 1),
            expire_time_us: held.expires_at.0,
            lines: lines_to_wire(&held.lines),
            replaced: held.replaced.as_deref().and_then(claim_to_wire),
            shortages: held
                .shortages
                .iter()
                .map(|short| wire::Shortage {
                    sku: short.sku.0,
                    location: short.location.map_or(0, |location| location.0 + 1),
                    requested: short.requested,
                    available: short.available,
                    limited_by: short.limited_by.number(),
                    component: short.component.map_or(0, |sku| sku.0 + 1),
                })
                .collect(),
            sourced: held.sourced.as_deref().map(sourced::sourced_to_wire),
            replaced_bookings: sourced::bookings_to_wire(&held.replaced_bookings),
            terms: held.terms.as_deref().map(terms::terms_to_wire),
        }),
        Event::Confirmed { claim } => wire::record::Event::Confirmed(wire::Confirmed { claim: claim_to_wire(claim) }),
        Event::HoldEnded { claim, reason, bookings } => wire::record::Event::HoldEnded(wire::HoldEnded {
            claim: claim_to_wire(claim),
            reason: match reason {
                HoldEndReason::Released => wire::HoldEndReason::Released,
                HoldEndReason::Expired => wire::HoldEndReason::Expired,
            }
            .into(),
            bookings: sourced::bookings_to_wire(bookings),
        }),
        Event::Cancelled { claim, promise, end, bookings } => wire::record::Event::Cancelled(wire::Cancelled {
            claim: claim_to_wire(claim),
            promise: promise_to_wire(*promise),
            end_state: end_to_wire(*end),
            bookings: sourced::bookings_to_wire(bookings),
        }),
        Event::Extended { reservation, expires_at } => {
            wire::record::Event::Extended(wire::Extended { reservation: reservation.0, expire_time_us: expires_at.0 })
        }
        Event::Shipped { claim, end } => {
            wire::record::Event::Shipped(wire::Shipped { claim: claim_to_wire(claim), end_state: end_to_wire(*end) })
        }
        Event::Reassigned { reservation, promise, line, from } => wire::record::Event::Reassigned(wire::Reassigned {
            reservation: reservation.0,
            promise: promise_to_wire(*promise),
            sku: line.sku.0,
            from_location: from.0,
            to_location: line.location.0,
            quantity: line.quantity.0,
        }),
        Event::StockChanged(change) => wire::record::Event::StockChanged(wire::StockChanged {
            kind: match change.kind {
                StockChangeKind::Set => wire::StockChangeKind::Set,
                StockChangeKind::Adjusted => wire::StockChangeKind::Adjusted,
                StockChangeKind::Received => wire::StockChangeKind::Received,
                StockChangeKind::Moved => wire::StockChangeKind::Moved,
                StockChangeKind::Imported => wire::StockChangeKind::Imported,
            }
            .into(),
            reason: change.reason.0,
            reference: change.reference.to_string(),
            changes: change.changes.iter().map(change_to_wire).collect(),
        }),
        Event::SkusUpserted { skus, created } => wire::record::Event::SkusUpserted(wire::SkusUpserted {
            skus: skus.iter().map(sku_to_wire).collect(),
            created: *created,
        }),
        Event::SkusRetired { skus } => {
            wire::record::Event::SkusRetired(wire::SkusRetired { skus: skus.iter().map(|sku| sku.0).collect() })
        }
        Event::LocationsUpserted { locations, created } => {
            wire::record::Event::LocationsUpserted(wire::LocationsUpserted {
                locations: locations.iter().map(location_to_wire).collect(),
                created: *created,
            })
        }
        Event::ChannelsUpserted { channels, created } => {
            wire::record::Event::ChannelsUpserted(wire::ChannelsUpserted {
                channels: channels.iter().map(channel_to_wire).collect(),
                created: *created,
            })
        }
        Event::Rerouted(rerouted) => wire::record::Event::Rerouted(sourced::rerouted_to_wire(rerouted)),
        Event::Merged(merged) => wire::record::Event::Merged(sourced::merged_to_wire(merged)),
        Event::RegionsUpserted { regions, created } => wire::record::Event::RegionsUpserted(wire::RegionsUpserted {
            regions: regions.iter().map(region_to_wire).collect(),
            created: *created,
        }),
        Event::DocumentDrafted { document, json } => {
            wire::record::Event::DocumentDrafted(documents::drafted_to_wire(document, json))
        }
        Event::DocumentActivated { document, effective_at } => {
            wire::record::Event::DocumentActivated(documents::activated_to_wire(document, *effective_at))
        }
        Event::DocumentRetired { document } => {
            wire::record::Event::DocumentRetired(documents::retired_to_wire(document))
        }
        Event::CellFactsSet { facts } => {
            wire::record::Event::CellFactsSet(wire::CellFactsSet { facts: facts.iter().map(facts_to_wire).collect() })
        }
        Event::Allotment(event) => wire::record::Event::Allotment(allotment::to_wire(event)),
        Event::Campaign(event) => wire::record::Event::Campaign(campaign::to_wire(event)),
        Event::Supply(event) => wire::record::Event::Supply(supply::to_wire(event)),
        Event::Returns(event) => wire::record::Event::Returns(returns::to_wire(event)),
        Event::Upkeep(event) => wire::record::Event::Upkeep(upkeep::to_wire(event)),
        Event::Rules(event) => wire::record::Event::Rules(rules::to_wire(event)),
        Event::Summary(summary) => wire::record::Event::Summary(wire::Summary {
            event: summary.event.to_string(),
            entries: summary.entries,
            created: summary.created,
            shortfalls: summary.shortfalls,
        }),
    }
}

pub(super) fn event_from_wire(event: wire::record::Event) -> Result<Event, DecodeError> {
    Ok(match event {
        wire::record::Event::Held(held) => Event::Held(Held {
            reservation: ReservationId(held.reservation),
            order_id: held.order_id.into(),
            buyer_id: held.buyer_id.into(),
            channel: held.channel.checked_sub(1).map(ChannelId),
            expires_at: Timestamp(held.expire_time_us),
            lines: lines_from_wire(&held.lines),
            replaced: held.replaced.map(|claim| Box::new(claim_from_wire(&claim))),
            shortages: held
                .shortages
                .iter()
                .map(|short| Shortage {
                    sku: SkuId(short.sku),
                    location: short.location.checked_sub(1).map(LocationId),
                    requested: short.requested,
                    available: short.available,
                    limited_by: LimitedBy::of(short.limited_by),
                    component: short.component.checked_sub(1).map(SkuId),
                })
                .collect(),
            sourced: held.sourced.map(sourced::sourced_from_wire).transpose()?.map(Box::new),
            terms: held.terms.as_ref().map(terms::terms_from_wire).transpose()?.map(Box::new),
            replaced_bookings: sourced::bookings_from_wire(&held.replaced_bookings)?,
        }),
        wire::record::Event::Confirmed(confirmed) => Event::Confirmed { claim: required(confirmed.claim.as_ref())? },
        wire::record::Event::HoldEnded(ended) => Event::HoldEnded {
            claim: required(ended.claim.as_ref())?,
            reason: match wire::HoldEndReason::try_from(ended.reason) {
                Ok(wire::HoldEndReason::Released) => HoldEndReason::Released,
                Ok(wire::HoldEndReason::Expired) => HoldEndReason::Expired,
                Ok(wire::HoldEndReason::Unspecified) | Err(_) => {
                    return Err(unknown("hold_ended.reason", ended.reason));
                }
            },
            bookings: sourced::bookings_from_wire(&ended.bookings)?,
        },
        wire::record::Event::Cancelled(cancelled) => Event::Cancelled {
            claim: required(cancelled.claim.as_ref())?,
            promise: promise_from_wire(cancelled.promise)?,
            end: end_from_wire(cancelled.end_state)?,
            bookings: sourced::bookings_from_wire(&cancelled.bookings)?,
        },
        wire::record::Event::Extended(extended) => Event::Extended {
            reservation: ReservationId(extended.reservation),
            expires_at: Timestamp(extended.expire_time_us),
        },
        wire::record::Event::Shipped(shipped) => {
            Event::Shipped { claim: required(shipped.claim.as_ref())?, end: end_from_wire(shipped.end_state)? }
        }
        wire::record::Event::Reassigned(step) => Event::Reassigned {
            reservation: ReservationId(step.reservation),
            promise: promise_from_wire(step.promise)?,
            line: Line {
                sku: SkuId(step.sku),
                location: LocationId(step.to_location),
                quantity: Quantity(step.quantity),
            },
            from: LocationId(step.from_location),
        },
        wire::record::Event::StockChanged(change) => Event::StockChanged(StockChanged {
            kind: match wire::StockChangeKind::try_from(change.kind) {
                Ok(wire::StockChangeKind::Set) => StockChangeKind::Set,
                Ok(wire::StockChangeKind::Adjusted) => StockChangeKind::Adjusted,
                Ok(wire::StockChangeKind::Received) => StockChangeKind::Received,
                Ok(wire::StockChangeKind::Moved) => StockChangeKind::Moved,
                Ok(wire::StockChangeKind::Imported) => StockChangeKind::Imported,
                Ok(wire::StockChangeKind::Unspecified) | Err(_) => {
                    return Err(unknown("stock_changed.kind", change.kind));
                }
            },
            reason: StockReason(change.reason),
            reference: change.reference.into(),
            changes: change.changes.iter().map(change_from_wire).collect(),
        }),
        wire::record::Event::SkusUpserted(upserted) => Event::SkusUpserted {
            skus: upserted.skus.into_iter().map(sku_from_wire).collect(),
            created: upserted.created,
        },
        wire::record::Event::SkusRetired(retired) => {
            Event::SkusRetired { skus: retired.skus.into_iter().map(SkuId).collect() }
        }
        wire::record::Event::LocationsUpserted(upserted) => Event::LocationsUpserted {
            locations: upserted.locations.into_iter().map(location_from_wire).collect::<Result<_, _>>()?,
            created: upserted.created,
        },
        wire::record::Event::ChannelsUpserted(upserted) => Event::ChannelsUpserted {
            channels: upserted.channels.into_iter().map(channel_from_wire).collect(),
            created: upserted.created,
        },
        wire::record::Event::Summary(summary) => Event::Summary(Summary {
            event: summary.event.into(),
            entries: summary.entries,
            created: summary.created,
            shortfalls: summary.shortfalls,
        }),
        wire::record::Event::Rerouted(rerouted) => Event::Rerouted(Box::new(sourced::rerouted_from_wire(rerouted)?)),
        wire::record::Event::Merged(merged) => Event::Merged(Box::new(sourced::merged_from_wire(merged)?)),
        wire::record::Event::Allotment(event) => Event::Allotment(Box::new(allotment::from_wire(event)?)),
        wire::record::Event::Campaign(event) => Event::Campaign(Box::new(campaign::from_wire(event)?)),
        wire::record::Event::Supply(event) => Event::Supply(Box::new(supply::from_wire(event)?)),
        wire::record::Event::Returns(event) => Event::Returns(Box::new(returns::from_wire(event)?)),
        wire::record::Event::Upkeep(event) => Event::Upkeep(Box::new(upkeep::from_wire(event)?)),
        wire::record::Event::Rules(event) => Event::Rules(Box::new(rules::from_wire(event)?)),
        wire::record::Event::CellFactsSet(set) => {
            Event::CellFactsSet { facts: set.facts.iter().map(facts_from_wire).collect::<Result<_, _>>()? }
        }
        wire::record::Event::RegionsUpserted(upserted) => Event::RegionsUpserted {
            regions: upserted.regions.into_iter().map(region_from_wire).collect(),
            created: upserted.created,
        },
        wire::record::Event::DocumentDrafted(drafted) => documents::drafted_from_wire(drafted)?,
        wire::record::Event::DocumentActivated(activated) => documents::activated_from_wire(activated)?,
        wire::record::Event::DocumentRetired(retired) => documents::retired_from_wire(retired)?,
    })
}

pub(super) fn claim_to_wire(claim: &Claim) -> Option<wire::Claim> {
    Some(wire::Claim {
        reservation: claim.reservation.0,
        lines: lines_to_wire(&claim.lines),
        other_shards: shards_to_wire(&claim.others),
        presold: claim.extra.iter().flat_map(|extra| terms::presold_to_wire(&extra.presold)).collect(),
        bought: claim.extra.as_ref().and_then(|extra| extra.bought.as_ref()).map(terms::bought_to_wire),
        kits: claim.extra.iter().flat_map(|extra| extra.kits.iter().map(terms::kit_to_wire)).collect(),
    })
}

fn claim_from_wire(claim: &wire::Claim) -> Claim {
    Claim {
        reservation: ReservationId(claim.reservation),
        lines: lines_from_wire(&claim.lines),
        others: shards_from_wire(&claim.other_shards),
        extra: terms::extra_from_wire(claim),
    }
}

pub(super) fn required(claim: Option<&wire::Claim>) -> Result<Claim, DecodeError> {
    claim.map(claim_from_wire).ok_or(DecodeError::Missing { field: "claim" })
}

pub(crate) fn shards_to_wire(shards: &ShardSet) -> Vec<u8> {
    shards.iter().map(|shard| shard.0).collect()
}

pub(crate) fn shards_from_wire(shards: &[u8]) -> ShardSet {
    shards.iter().copied().map(ShardId).collect()
}

pub(super) fn lines_to_wire(lines: &[Line]) -> Vec<wire::Line> {
    lines
        .iter()
        .map(|line| wire::Line { sku: line.sku.0, location: line.location.0, quantity: line.quantity.0 })
        .collect()
}

pub(super) fn lines_from_wire(lines: &[wire::Line]) -> Lines {
    lines
        .iter()
        .map(|line| Line {
            sku: SkuId(line.sku),
            location: LocationId(line.location),
            quantity: Quantity(line.quantity),
        })
        .collect()
}

pub(crate) fn promise_to_wire(promise: Promise) -> i32 {
    match promise {
        Promise::Reserved => wire::Promise::Reserved,
        Promise::Committed => wire::Promise::Committed,
    }
    .into()
}

pub(crate) fn promise_from_wire(promise: i32) -> Result<Promise, DecodeError> {
    match wire::Promise::try_from(promise) {
        Ok(wire::Promise::Reserved) => Ok(Promise::Reserved),
        Ok(wire::Promise::Committed) => Ok(Promise::Committed),
        Ok(wire::Promise::Unspecified) | Err(_) => Err(unknown("promise", promise)),
    }
}

pub(super) fn end_to_wire(end: Option<EndState>) -> i32 {
    match end {
        None => wire::EndState::Unspecified,
        Some(EndState::Shipped) => wire::EndState::Shipped,
        Some(EndState::Cancelled) => wire::EndState::Cancelled,
    }
    .into()
}

pub(super) fn end_from_wire(end: i32) -> Result<Option<EndState>, DecodeError> {
    match wire::EndState::try_from(end) {
        Ok(wire::EndState::Unspecified) => Ok(None),
        Ok(wire::EndState::Shipped) => Ok(Some(EndState::Shipped)),
        Ok(wire::EndState::Cancelled) => Ok(Some(EndState::Cancelled)),
        Err(_) => Err(unknown("end_state", end)),
    }
}

fn change_to_wire(change: &CellChange) -> wire::CellChange {
    wire::CellChange {
        sku: change.sku.0,
        location: change.location.0,
        on_hand: change.on_hand,
        safety: change.safety,
        quality_control: change.quality_control,
        damaged: change.damaged,
        in_repair: change.in_repair,
        incoming: change.incoming,
        on_hand_after: change.on_hand_after.0,
        available_after: change.available_after.0,
        shortfall_after: change.shortfall_after,
    }
}

fn change_from_wire(change: &wire::CellChange) -> CellChange {
    CellChange {
        sku: SkuId(change.sku),
        location: LocationId(change.location),
        on_hand: change.on_hand,
        safety: change.safety,
        quality_control: change.quality_control,
        damaged: change.damaged,
        in_repair: change.in_repair,
        incoming: change.incoming,
        on_hand_after: Quantity(change.on_hand_after),
        available_after: Quantity(change.available_after),
        shortfall_after: change.shortfall_after,
    }
}

pub(crate) fn facts_to_wire(cell: &CellFacts) -> wire::CellFacts {
    wire::CellFacts {
        sku: cell.sku.0,
        location: cell.location.0,
        weekly_demand_milli: cell.facts.weekly_demand_milli.map_or(0, |demand| u64::from(demand) + 1),
        oldest_receipt_day: cell.facts.oldest_receipt_day.map_or(0, |day| day.saturating_add(1)),
    }
}

pub(crate) fn facts_from_wire(cell: &wire::CellFacts) -> Result<CellFacts, DecodeError> {
    let demand = cell.weekly_demand_milli.checked_sub(1).map(u32::try_from).transpose();
    let too_much = i64::try_from(cell.weekly_demand_milli).unwrap_or(i64::MAX);
    Ok(CellFacts {
        sku: SkuId(cell.sku),
        location: LocationId(cell.location),
        facts: Facts {
            weekly_demand_milli: demand.map_err(|_| unknown("cell_facts.weekly_demand_milli", too_much))?,
            oldest_receipt_day: cell.oldest_receipt_day.checked_sub(1),
        },
    })
}
