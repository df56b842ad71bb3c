//! All state that callers can see, as canonical text: two engines are equal when their dumps are.

use std::fmt::Write as _;

use quartermaster_engine::{
    Engine,
    capacity::Booking,
    id::{LocationId, ReservationId, SkuId},
    query::{ReservationFilter, Shortfall, upkeep::FreezeFilter},
    reservation::Reservation,
    sourced::{DecidedParcel, Sourcing},
    stock::Buckets,
    time::Timestamp,
};
use quartermaster_sourcing::fulfilment::Moment;

use super::render;

/// Whose reservations are listed by owner.
pub(crate) const BUYERS: [&str; 2] = ["ann", "bob"];

/// Everything: catalogue, cells, availability, reservations, shortfalls, figures, and what the request ids led to.
pub(crate) fn dump<'a>(engine: &Engine, requests: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    catalogue(engine, &mut text);
    state(engine, &mut text);
    for id in requests {
        let outcome = engine.outcome(id).1;
        let outcome =
            outcome.map(|(lsn, event)| (lsn, render::event(&engine.catalogue(), &event, &|id| id.to_string())));
        _ = writeln!(text, "outcome {id} {outcome:?}");
    }
    text
}

fn catalogue(engine: &Engine, text: &mut String) {
    let catalogue = engine.catalogue();
    for sku in catalogue.skus() {
        _ = writeln!(
            text,
            "{sku:?} active={:?} style={:?}",
            catalogue.sku(&sku.spec.code),
            catalogue.style(&sku.spec.style)
        );
    }
    let directory = catalogue.directory();
    for location in directory.locations() {
        _ = writeln!(
            text,
            "{location:?} rank={:?} {:?}",
            directory.rank(location.id),
            directory.location(&location.spec.code)
        );
    }
    for channel in directory.channels() {
        _ = writeln!(text, "{channel:?} {:?}", directory.channel(&channel.spec.code).map(|channel| channel.id));
    }
    for region in directory.regions() {
        _ = writeln!(text, "{region:?}");
    }
    for document in directory.documents().iter() {
        _ = writeln!(text, "{document:?}");
    }
    let stage = directory.stage(Timestamp::MAX);
    let policies: Vec<_> = stage.policies.iter().map(|policy| (policy.name(), policy.version())).collect();
    let services: Vec<_> = stage.network.services().iter().map(|service| &service.spec.code).collect();
    let places = stage.network.places().len();
    _ = writeln!(text, "{policies:?} {services:?} {places} {:?}", directory.stages().excluded());
    for sku in catalogue.skus() {
        _ = writeln!(text, "{:?}", engine.facts(sku.id));
    }
}

/// Regions, documents with their states, facts of cells: as the model has them.
pub(crate) fn sourcing(engine: &Engine, text: &mut String) {
    let catalogue = engine.catalogue();
    let directory = catalogue.directory();
    for region in directory.regions() {
        _ = writeln!(text, "region {} in {:?}", region.code, region.parent);
    }
    for document in directory.documents().iter() {
        let (id, state) = (&document.id, document.state.name());
        _ = writeln!(text, "{} {}/{} {state}", id.kind.name(), id.name, id.version);
    }
    for sku in catalogue.skus() {
        for cell in engine.facts(sku.id) {
            _ = writeln!(text, "facts {}@{} {:?}", cell.sku.0, cell.location.0, cell.facts);
        }
    }
}

/// What the model keeps, too: cells, availability, reservations, shortfalls and figures.
pub(crate) fn state(engine: &Engine, text: &mut String) {
    let (skus, locations) = {
        let catalogue = engine.catalogue();
        let skus: Vec<SkuId> = catalogue.skus().iter().map(|sku| sku.id).collect();
        let locations: Vec<LocationId> = catalogue.directory().locations().iter().map(|place| place.id).collect();
        (skus, locations)
    };
    for sku in &skus {
        let mut after = None;
        loop {
            let (_, cells, more) = engine.cells(*sku, after, 2);
            for cell in &cells {
                let (figures, derived) = figures(&cell.buckets);
                _ = writeln!(text, "{}", cell_line(sku.0, cell.location.0, figures, derived, cell.revision.get()));
                assert_eq!(engine.cell(*sku, cell.location), *cell, "one cell is what the list says");
            }
            after = cells.last().map(|cell| cell.location);
            if !more {
                break;
            }
        }
    }
    for row in engine.availability(&skus, &locations).1 {
        let by_location: Vec<u64> = row.by_location.iter().map(|units| units.units()).collect();
        _ = writeln!(text, "{}", available_line(row.sku.0, row.available, &by_location, row.revision.get()));
    }
    for reservation in reservations(engine, &ReservationFilter::default()) {
        _ = writeln!(text, "{}", reservation_line(&reservation));
    }
    for buyer in BUYERS {
        let filter = ReservationFilter { buyer_id: buyer.into(), ..ReservationFilter::default() };
        let ids: Vec<ReservationId> = reservations(engine, &filter).iter().map(|one| one.id).collect();
        _ = writeln!(text, "{}", buyer_line(buyer, &ids));
    }
    for shortfall in shortfalls(engine) {
        let cell = &shortfall.cell;
        _ = writeln!(
            text,
            "{}",
            shortfall_line(cell.sku.0, cell.location.0, cell.buckets.shortfall(), &shortfall.hurt)
        );
    }
    for booked in engine.booked().1 {
        _ = writeln!(text, "{}", booked_line(&booked));
    }
    for (sku, location, until) in engine.refusals() {
        _ = writeln!(text, "{}", refusal_line(sku.0, location.0, until.0));
    }
    for (target, freeze) in engine.freezes(&FreezeFilter::default(), None, usize::MAX).1 {
        _ = writeln!(text, "frozen {target:?} {freeze:?}");
    }
    let counts = engine.counts();
    let counts = [counts.cells, counts.held, counts.confirmed, counts.ended, counts.shortfalls, counts.dedup_entries];
    _ = writeln!(text, "counts {counts:?}");
}

pub(crate) fn booked_line(booked: &Booking) -> String {
    format!("booked {} {:?} {} orders {} units", booked.location.0, booked.slot, booked.orders, booked.units)
}

pub(crate) fn refusal_line(sku: u32, location: u32, until: u64) -> String {
    format!("refused {sku}@{location} until {until}")
}

/// All reservations that pass a filter, read in short pages.
pub(crate) fn reservations(engine: &Engine, filter: &ReservationFilter) -> Vec<Reservation> {
    let (mut all, mut after) = (Vec::new(), None);
    let counts = engine.counts();
    let size = usize::try_from((counts.held + counts.confirmed + counts.ended) / 8).unwrap_or(0).max(3);
    loop {
        let (_, page, more) = engine.reservations(filter, after, size);
        assert!(page.len() == size || !more, "a page is full unless it is the last");
        after = page.last().map(|reservation| reservation.id);
        all.extend(page);
        if !more {
            return all;
        }
    }
}

/// All shortfalls, read in short pages.
pub(crate) fn shortfalls(engine: &Engine) -> Vec<Shortfall> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (_, page, more) = engine.shortfalls(after, 2, 100);
        after = page.last().map(|shortfall| (shortfall.cell.sku, shortfall.cell.location));
        all.extend(page);
        if !more {
            return all;
        }
    }
}

/// Figures: on hand, reserved, committed, safety, quality control, damaged, in repair, incoming; then available and shortfall.
pub(crate) fn cell_line(sku: u32, location: u32, figures: [u64; 8], derived: [u64; 2], revision: u64) -> String {
    format!("cell {sku}@{location} {figures:?} {derived:?} revision={revision}")
}

fn figures(buckets: &Buckets) -> ([u64; 8], [u64; 2]) {
    let Buckets {
        on_hand,
        reserved,
        committed,
        safety,
        quality_control,
        damaged,
        in_repair,
        incoming,
        frozen: _,
        kept: _,
    } = buckets;
    let figures = [on_hand, reserved, committed, safety, quality_control, damaged, in_repair, incoming];
    (figures.map(|figure| figure.units()), [buckets.available().units(), buckets.shortfall()])
}

pub(crate) fn available_line(sku: u32, total: u64, by_location: &[u64], revision: u64) -> String {
    format!("available {sku} {total} {by_location:?} revision={revision}")
}

pub(crate) fn reservation_line(reservation: &Reservation) -> String {
    let lines = reservation
        .lines
        .iter()
        .map(|line| format!(" {}@{}:{}/{}/{}", line.sku.0, line.location.0, line.open, line.shipped, line.returned));
    let lines: String = lines.collect();
    let sourcing = reservation.sourcing.as_deref().map_or_else(String::new, |sourcing| {
        let Sourcing { decided, promised, bookings, merged_with, parcels, ask: _, conditions: _ } = sourcing;
        sourcing_text(decided.get(), *promised, *merged_with, bookings, parcels)
    });
    let Reservation { id, state, order_id, buyer_id, channel, created_at, expires_at, ended_at, revision, .. } =
        reservation;
    let (channel, ended) = (channel.map(|channel| channel.0), ended_at.map(|at| at.0));
    format!(
        "reservation {id} {} order={order_id} buyer={buyer_id} channel={channel:?} {} {} {ended:?} revision={revision}{lines}{sourcing}",
        state.name(),
        created_at.0,
        expires_at.0,
    )
}

/// What a model can know of it: the rest is compared as it is, in snapshots.
pub(crate) fn sourcing_text(
    decided: u64,
    promised: Option<Moment>,
    group: Option<ReservationId>,
    booked: &[Booking],
    parcels: &[DecidedParcel],
) -> String {
    let booked = booked.iter().map(booked_line).collect::<Vec<_>>();
    format!(" sourced {decided} promised={promised:?} group={group:?} {booked:?} {parcels:?}")
}

pub(crate) fn buyer_line(buyer: &str, ids: &[ReservationId]) -> String {
    format!("buyer {buyer} has {ids:?}")
}

pub(crate) fn shortfall_line(sku: u32, location: u32, units: u64, hurt: &[ReservationId]) -> String {
    format!("shortfall {sku}@{location} {units} hurts {hurt:?}")
}
