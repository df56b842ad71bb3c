//! Which events are shown.

use quartermaster_engine::event::{Event, Record};
use quartermaster_engine::id::{LocationId, ReservationId, SkuId};
use quartermaster_engine::time::Timestamp;
use quartermaster_journal::Lsn;

use super::names::Names;
use crate::cli::show;

/// Filters; all that are given must hold.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct FilterArgs {
    /// Events about this SKU code.
    #[arg(long, value_name = "CODE")]
    pub(super) sku: Option<String>,
    /// Events at this location code; with --sku, about that cell.
    #[arg(long, value_name = "CODE")]
    pub(super) location: Option<String>,
    /// Events of this reservation.
    #[arg(long, value_name = "ID", value_parser = parse_reservation)]
    pub(super) reservation: Option<ReservationId>,
    /// The event of this request.
    #[arg(long, value_name = "ID")]
    pub(super) request_id: Option<String>,
    /// First LSN.
    #[arg(long, value_name = "LSN")]
    pub(super) from_lsn: Option<u64>,
    /// Last LSN.
    #[arg(long, value_name = "LSN")]
    pub(super) to_lsn: Option<u64>,
    /// Not before this time, as 2026-11-11T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = show::parse_time)]
    pub(super) since: Option<Timestamp>,
    /// Before this time.
    #[arg(long, value_name = "TIME", value_parser = show::parse_time)]
    pub(super) until: Option<Timestamp>,
    /// Kinds of events, as Held or stock-changed. May be given more than once.
    #[arg(long, value_name = "KIND", value_parser = parse_kind)]
    pub(super) kind: Vec<&'static str>,
}

/// Names of events as they are printed.
const KINDS: [&str; 22] = [
    "Held",
    "Confirmed",
    "HoldEnded",
    "Cancelled",
    "Extended",
    "Shipped",
    "Reassigned",
    "Rerouted",
    "Merged",
    "StockChanged",
    "SkusUpserted",
    "SkusRetired",
    "LocationsUpserted",
    "ChannelsUpserted",
    "RegionsUpserted",
    "DocumentDrafted",
    "DocumentActivated",
    "DocumentRetired",
    "CellFactsSet",
    "Frozen",
    "Thawed",
    "ShortfallsRepaired",
];

fn parse_reservation(text: &str) -> Result<ReservationId, String> {
    ReservationId::parse(text).ok_or_else(|| format!("{text:?} is no reservation id: those are 13 digits and letters"))
}

fn parse_kind(text: &str) -> Result<&'static str, String> {
    let plain: String = text.chars().filter(|letter| !matches!(letter, '_' | '-')).collect();
    let known = KINDS.into_iter().find(|kind| kind.eq_ignore_ascii_case(&plain));
    known.ok_or_else(|| format!("{text:?} is no kind of event; there are {}", KINDS.join(", ")))
}

impl FilterArgs {
    /// First LSN that can be shown.
    pub(super) fn first(&self) -> Lsn {
        Lsn::new(self.from_lsn.unwrap_or(0))
    }

    /// Whether nothing from `lsn` on can be shown.
    pub(super) fn is_past(&self, lsn: Lsn) -> bool {
        self.to_lsn.is_some_and(|last| lsn.get() > last)
    }

    /// Whether a record is shown. The LSN has been looked at.
    pub(super) fn shows(&self, record: &Record, names: &Names) -> bool {
        self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time < until)
            && self.request_id.as_ref().is_none_or(|id| *id == record.request_id)
            && (self.kind.is_empty() || self.kind.contains(&record.event.name()))
            && self.reservation.is_none_or(|id| concerns(&record.event, id))
            && (self.sku.is_none() && self.location.is_none() || self.names_place(&record.event, names))
    }

    fn names_place(&self, event: &Event, names: &Names) -> bool {
        let mut found = false;
        each_place(event, &mut |sku, location| {
            let sku_fits = self.sku.as_ref().is_none_or(|code| sku.is_some_and(|sku| names.sku(sku) == code));
            let location_fits =
                self.location.as_ref().is_none_or(|code| location.is_some_and(|at| names.location(at) == code));
            found |= sku_fits && location_fits;
        });
        found
    }
}

fn concerns(event: &Event, id: ReservationId) -> bool {
    let besides = match event {
        Event::Held(held) => held.replaced.as_ref().is_some_and(|replaced| replaced.reservation == id),
        Event::Merged(merged) => merged.moves.iter().any(|part| part.reservation == id),
        Event::Returns(event) => event.held().is_some_and(|held| {
            held.reservation == id || held.replaced.as_ref().is_some_and(|replaced| replaced.reservation == id)
        }),
        Event::Upkeep(event) => super::upkeep::concerns(event, id),
        _ => false,
    };
    event.reservation() == Some(id) || besides
}

/// Every SKU and location that an event speaks of, together where they stand together.
fn each_place(event: &Event, visit: &mut impl FnMut(Option<SkuId>, Option<LocationId>)) {
    match event {
        Event::Held(held) => {
            let replaced = held.replaced.iter().flat_map(|replaced| &replaced.lines);
            held.lines.iter().chain(replaced).for_each(|line| visit(Some(line.sku), Some(line.location)));
            held.shortages.iter().for_each(|short| visit(Some(short.sku), short.location));
        }
        Event::Confirmed { claim }
        | Event::HoldEnded { claim, .. }
        | Event::Cancelled { claim, .. }
        | Event::Shipped { claim, .. } => {
            claim.lines.iter().for_each(|line| visit(Some(line.sku), Some(line.location)));
        }
        Event::Reassigned { line, from, .. } => {
            visit(Some(line.sku), Some(line.location));
            visit(Some(line.sku), Some(*from));
        }
        Event::Rerouted(rerouted) => {
            rerouted.lines().for_each(|line| visit(Some(line.sku), Some(line.location)));
        }
        Event::Merged(merged) => {
            let lines = merged.moves.iter().flat_map(|part| part.lines());
            lines.for_each(|line| visit(Some(line.sku), Some(line.location)));
        }
        Event::StockChanged(change) => {
            change.changes.iter().for_each(|cell| visit(Some(cell.sku), Some(cell.location)));
        }
        Event::Allotment(event) => super::allotment::visit(event, visit),
        Event::Campaign(event) => super::campaign::visit(event, visit),
        Event::Supply(event) => super::supply::visit(event, visit),
        Event::Returns(event) => super::returns::visit(event, visit),
        Event::Upkeep(event) => super::upkeep::visit(event, visit),
        Event::Rules(event) => super::rules::visit(event, visit),
        Event::CellFactsSet { facts } => facts.iter().for_each(|cell| visit(Some(cell.sku), Some(cell.location))),
        Event::SkusUpserted { skus, .. } => skus.iter().for_each(|sku| visit(Some(sku.id), None)),
        Event::SkusRetired { skus } => skus.iter().for_each(|sku| visit(Some(*sku), None)),
        Event::LocationsUpserted { locations, .. } => {
            locations.iter().for_each(|location| visit(None, Some(location.id)));
        }
        Event::Extended { .. }
        | Event::ChannelsUpserted { .. }
        | Event::RegionsUpserted { .. }
        | Event::DocumentDrafted { .. }
        | Event::DocumentActivated { .. }
        | Event::DocumentRetired { .. }
        | Event::Summary(_) => {}
    }
}
