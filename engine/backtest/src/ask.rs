//! A hold of the log as it was asked for, to be asked again.

use quartermaster_engine::{
    command::{LineSourcing, Reserve, ReserveLine, SourcingRequest},
    event::Held,
    id::{LocationId, ReservationId},
    quantity::Quantity,
    sourced::{AskLine, Sourced},
    time::{Micros, Timestamp},
};

use crate::world::World;

/// The request that a hold answers; `policy` tells the policy to name for the one that was named.
pub(crate) fn reserve(
    world: &World,
    held: &Held,
    now: Timestamp,
    replaces: Option<ReservationId>,
    policy: impl FnOnce(&str) -> String,
) -> Reserve {
    let catalogue = world.engine.catalogue();
    let channel = held.channel.map_or("", |channel| catalogue.directory().channel_code(channel)).to_owned();
    drop(catalogue);
    let (lines, sourcing) = match &held.sourced {
        Some(sourced) => {
            (sourced.wanted.iter().map(|line| wanted(world, line)).collect(), Some(request(world, sourced, policy)))
        }
        None => (held.lines.iter().map(|line| taken(world, line)).collect(), None),
    };
    Reserve {
        order_id: held.order_id.clone(),
        buyer_id: held.buyer_id.clone(),
        channel: channel.into(),
        lines,
        ttl: Micros(held.expires_at.0.saturating_sub(now.0)),
        allow_partial: held.sourced.as_ref().is_some_and(|sourced| sourced.ask.allow_partial),
        replaces,
        unchanged_since_lsn: 0,
        sourcing: sourcing.map(Box::new),
        asked: None,
    }
}

fn request(world: &World, sourced: &Sourced, policy: impl FnOnce(&str) -> String) -> SourcingRequest {
    let ask = &sourced.ask;
    SourcingRequest {
        region: ask.region.to_string(),
        point: ask.point,
        service_level: ask.service_level.to_string(),
        order_type: ask.order_type.to_string(),
        buyer_tier: ask.buyer_tier.to_string(),
        mode: ask.mode,
        pickup_location: ask.pickup_at.map_or_else(String::new, |location| world.location(location)),
        wanted_by: ask.wanted_by,
        parcels_max: ask.parcels_max,
        policy: policy(&ask.policy),
        receiver_key: ask.receiver_key.to_string(),
        join_open_parcels: ask.join_open_parcels,
    }
}

/// A line that the router decided about.
fn wanted(world: &World, line: &AskLine) -> ReserveLine {
    let codes = |places: &[LocationId]| places.iter().map(|place| world.location(*place)).collect();
    ReserveLine {
        sku: world.sku(line.sku).into(),
        quantity: Quantity(line.quantity),
        location: "".into(),
        sourcing: Some(Box::new(LineSourcing {
            whole: line.whole,
            only: codes(&line.only),
            never: codes(&line.never),
            rather: codes(&line.rather),
            substitutes: line.substitutes.iter().map(|sku| world.sku(*sku)).collect(),
        })),
    }
}

/// A line that no router decided about: the same units at the same place.
fn taken(world: &World, line: &quartermaster_engine::event::Line) -> ReserveLine {
    ReserveLine {
        sku: world.sku(line.sku).into(),
        quantity: line.quantity,
        location: world.location(line.location).into(),
        sourcing: None,
    }
}
