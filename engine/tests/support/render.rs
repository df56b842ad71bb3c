//! Answers as one line of text: what scenarios write, and what the model says.

use quartermaster_engine::{
    Answer, CodedShortage, Engine, Error, Rejection, Verdict,
    catalog::{Catalogue, documents::DocumentId},
    event::{
        Claim, EndState, Event, HoldEndReason, Line, StockChangeKind,
        upkeep::{Remedy, UpkeepEvent},
    },
    id::ReservationId,
    sourced::Rerouted,
    time::Timestamp,
};

use super::T0;

/// How a test calls reservations.
pub(crate) type Names<'a> = &'a dyn Fn(ReservationId) -> String;

/// Seconds since the test began.
pub(crate) fn time(at: Timestamp) -> String {
    let micros = i128::from(at.0) - i128::from(T0);
    let sign = if micros < 0 { "-" } else { "" };
    let (seconds, rest) = (micros.abs() / 1_000_000, micros.abs() % 1_000_000);
    if rest == 0 { format!("{sign}{seconds}s") } else { format!("{sign}{seconds}.{rest:06}s") }
}

/// The answer or the error.
pub(crate) fn answer(engine: &Engine, result: &Result<Answer, Error>, names: Names<'_>) -> String {
    match result {
        Ok(answer) => {
            let text = match &answer.verdict {
                Verdict::Done(done) => event(&engine.catalogue(), done, names),
                Verdict::Rejected(no) => rejection(no, names),
                Verdict::Nothing => "nothing".into(),
            };
            if answer.replayed { format!("replayed {text}") } else { text }
        }
        Err(no) => error(no, names),
    }
}

pub(crate) fn event(catalogue: &Catalogue, event: &Event, names: Names<'_>) -> String {
    let place =
        |sku, location| format!("{}@{}", catalogue.sku_code(sku), catalogue.directory().location_code(location));
    let lines = |lines: &[Line]| {
        let lines: Vec<_> =
            lines.iter().map(|line| format!("{}:{}", place(line.sku, line.location), line.quantity)).collect();
        lines.join(" ")
    };
    let ended = |what: &str, claim: &Claim, end: &Option<EndState>| {
        let end = end.map_or_else(String::new, |end| format!(" end={}", end.state().name()));
        format!("{what} {}{end}", lines(&claim.lines))
    };
    let rerouted = |moved: &Rerouted| {
        let until = moved.refused_until.map_or_else(String::new, |until| format!(" refused until {}", time(until)));
        match (lines(&moved.from), lines(&moved.to)) {
            (from, to) if from == to => format!("stays{until}"),
            (from, to) => format!("{from} to {to}{until}"),
        }
    };
    let summary = |entries: usize, created: u32, shortfalls: usize| {
        format!("{} entries={entries} created={created} shortfalls={shortfalls}", event.name())
    };
    match event {
        Event::Held(held) => {
            let mut text = lines(&held.lines);
            for short in &held.shortages {
                let code = match short.location {
                    Some(location) => place(short.sku, location),
                    None => catalogue.sku_code(short.sku).into(),
                };
                text += &format!(" short {code}:{}/{}", short.requested, short.available);
                if let Some(component) = short.component {
                    text += &format!("({})", catalogue.sku_code(component));
                }
            }
            if let Some(replaced) = &held.replaced {
                text += &format!(" replaced {} {}", names(replaced.reservation), lines(&replaced.lines));
            }
            text
        }
        Event::Confirmed { claim } => ended("confirmed", claim, &None),
        Event::HoldEnded { claim, reason: HoldEndReason::Released, .. } => ended("released", claim, &None),
        Event::HoldEnded { claim, reason: HoldEndReason::Expired, .. } => ended("expired", claim, &None),
        Event::Cancelled { claim, end, .. } => ended("cancelled", claim, end),
        Event::Extended { expires_at, .. } => format!("until={}", time(*expires_at)),
        Event::Shipped { claim, end } => ended("shipped", claim, end),
        Event::Reassigned { line, from, .. } => {
            format!("{} from={}", lines(&[*line]), catalogue.directory().location_code(*from))
        }
        Event::Rerouted(moved) => rerouted(moved),
        Event::Merged(merged) => {
            let moves = merged.moves.iter().map(|part| format!("{} {}", names(part.reservation), rerouted(part)));
            let (before, now) = (merged.cost_before, merged.decision.cost());
            format!("merged {before}>{now}: {}", moves.collect::<Vec<_>>().join("; "))
        }
        Event::CellFactsSet { facts } => summary(facts.len(), 0, 0),
        Event::Allotment(event) => format!("{event:?}"),
        Event::Campaign(event) => format!("{event:?}"),
        Event::Supply(event) => format!("{event:?}"),
        Event::Returns(event) => format!("{event:?}"),
        Event::Upkeep(event) => match &**event {
            UpkeepEvent::Frozen { .. } => "frozen".into(),
            UpkeepEvent::Thawed { freezes, .. } => format!("thawed {}", freezes.len()),
            UpkeepEvent::Repaired(repaired) => {
                let remedies = repaired.remedies.iter().map(|remedy| match remedy {
                    Remedy::Moved(moved) => format!("{} {}", names(moved.reservation), rerouted(moved)),
                    Remedy::Cancelled { claim, end, .. } => {
                        format!("{} {}", names(claim.reservation), ended("cancelled", claim, end))
                    }
                });
                let remaining = repaired
                    .remaining
                    .iter()
                    .map(|cell| format!("; {} short {}", place(cell.sku, cell.location), cell.units));
                let more = if repaired.more { "; more" } else { "" };
                let (remedies, remaining) = (remedies.collect::<Vec<_>>().join("; "), remaining.collect::<String>());
                format!("{remedies}{remaining}{more}")
            }
        },
        Event::Rules(event) => format!("{event:?}"),
        Event::StockChanged(change) if change.kind == StockChangeKind::Imported => {
            let shortfalls = change.changes.iter().filter(|cell| cell.shortfall_after > 0).count();
            summary(change.changes.len(), 0, shortfalls)
        }
        Event::StockChanged(change) => {
            let levels = change.changes.iter().map(|cell| {
                let shortfall = if cell.shortfall_after > 0 {
                    format!(" shortfall={}", cell.shortfall_after)
                } else {
                    String::new()
                };
                let place = place(cell.sku, cell.location);
                format!("{place} on_hand={} available={}{shortfall}", cell.on_hand_after, cell.available_after)
            });
            levels.collect::<Vec<_>>().join(", ")
        }
        Event::SkusUpserted { skus, created } => summary(skus.len(), *created, 0),
        Event::SkusRetired { skus } => summary(skus.len(), 0, 0),
        Event::LocationsUpserted { locations, created } => summary(locations.len(), *created, 0),
        Event::ChannelsUpserted { channels, created } => summary(channels.len(), *created, 0),
        Event::RegionsUpserted { regions, created } => summary(regions.len(), *created, 0),
        Event::DocumentDrafted { document, .. } => format!("drafted {}", self::document(document)),
        Event::DocumentActivated { document, .. } => format!("activated {}", self::document(document)),
        Event::DocumentRetired { document } => format!("retired {}", self::document(document)),
        Event::Summary(short) => format!(
            "{} entries={} created={} shortfalls={}",
            short.event, short.entries, short.created, short.shortfalls
        ),
    }
}

fn document(id: &DocumentId) -> String {
    format!("{} {}/{}", id.kind.name(), id.name, id.version)
}

fn shortages(shortages: &[CodedShortage]) -> String {
    let each = shortages.iter().map(|short| {
        let at = if short.location.is_empty() { String::new() } else { format!("@{}", short.location) };
        let limit = if short.component.is_empty() { String::new() } else { format!("({})", short.component) };
        format!(" {}{at}:{}/{}{limit}", short.sku, short.requested, short.available)
    });
    each.collect()
}

fn rejection(rejection: &Rejection, names: Names<'_>) -> String {
    match rejection {
        Rejection::InsufficientStock { shortages: short } => format!("INSUFFICIENT_STOCK{}", shortages(short)),
        Rejection::LocationNotOpen { location, state } => format!("LOCATION_NOT_OPEN {location} {state}"),
        Rejection::ReservationExpired { reservation, expired_at } => {
            format!("RESERVATION_EXPIRED {} {}", names(*reservation), time(*expired_at))
        }
        Rejection::SkuNotSellable { sku } => format!("SKU_NOT_SELLABLE {sku}"),
        Rejection::NotRoutable { unserved } => {
            let each = unserved.iter().map(|one| format!(" {}:{} {:?}", one.sku, one.units, one.reason));
            format!("NOT_ROUTABLE{}", each.collect::<String>())
        }
        Rejection::NothingToMerge { found } => format!("NOTHING_TO_MERGE {found}"),
        Rejection::MergeNotBetter { apart, together, later } => {
            format!("MERGE_NOT_BETTER {apart}>{together}{}", if *later { " later" } else { "" })
        }
        Rejection::ChannelNotActive { channel } => format!("CHANNEL_NOT_ACTIVE {channel}"),
        Rejection::CampaignNotStarted { starts_at, .. } => format!("CAMPAIGN_NOT_STARTED {}", time(*starts_at)),
        Rejection::CampaignEnded { ended_at, .. } => format!("CAMPAIGN_ENDED {}", time(*ended_at)),
        Rejection::NotInCampaign { sku, .. } => format!("NOT_IN_CAMPAIGN {sku}"),
        Rejection::BuyerLimitReached { limit, bought, requested, .. } => {
            format!("BUYER_LIMIT_REACHED {bought}+{requested}/{limit}")
        }
        Rejection::OrderLimitReached { limit, requested, .. } => format!("ORDER_LIMIT_REACHED {requested}/{limit}"),
        Rejection::CampaignSoldOut { sku, requested, available, next_tranche, .. } => {
            let next = next_tranche.map_or_else(String::new, |at| format!(" next={}", time(at)));
            format!("CAMPAIGN_SOLD_OUT {sku}:{requested}/{available}{next}")
        }
        Rejection::AlreadyWaiting { sku, reservation, .. } => {
            format!("ALREADY_WAITING {sku} {}", names(*reservation))
        }
        Rejection::WaitingListFull { sku, limit, .. } => format!("WAITING_LIST_FULL {sku} {limit}"),
        Rejection::CampaignNotStocked { sku, requested, possible, .. } => {
            format!("CAMPAIGN_NOT_STOCKED {sku}:{requested}/{possible}")
        }
        Rejection::CampaignBelowUsed { sku, requested, used, .. } => {
            format!("CAMPAIGN_BELOW_USED {sku}:{requested}/{used}")
        }
        Rejection::Frozen { sku, location, reasons } => {
            let reasons: Vec<&str> = reasons.iter().map(|reason| reason.name()).collect();
            format!("FROZEN {sku}@{location} {}", reasons.join(","))
        }
        Rejection::NotFrozen { sku, location } => format!("NOT_FROZEN {sku}@{location}"),
        Rejection::NothingToRepair { cells } => format!("NOTHING_TO_REPAIR {cells}"),
        Rejection::ExceedsShipped { .. } | Rejection::ExceedsAnnounced { .. } | Rejection::ExceedsReceived { .. } => {
            rejection.to_string()
        }
        other => format!("{other:?}"),
    }
}

fn error(error: &Error, names: Names<'_>) -> String {
    match error {
        Error::UnknownSku { code } => format!("UNKNOWN_SKU {code}"),
        Error::UnknownLocation { code } => format!("UNKNOWN_LOCATION {code}"),
        Error::UnknownChannel { code } => format!("UNKNOWN_CHANNEL {code}"),
        Error::UnknownReservation { id } => format!("UNKNOWN_RESERVATION {}", names(*id)),
        Error::RequestIdReused { request_id, .. } => format!("REQUEST_ID_REUSED {request_id}"),
        Error::StaleRevision { sku, .. } => format!("STALE_REVISION {sku}"),
        Error::ReservationState { id, state, .. } => format!("RESERVATION_STATE {} {}", names(*id), state.name()),
        Error::OtherBuyer { id } => format!("OTHER_BUYER {}", names(*id)),
        Error::NoSuchLine { sku, location, lines, .. } => format!("NO_SUCH_LINE {sku}@{location} lines={lines}"),
        Error::ExceedsOpen { sku, location, requested, open } => {
            format!("EXCEEDS_OPEN {sku}@{location} {requested}/{open}")
        }
        Error::ExceedsBucket { cell, bucket, requested, held } => {
            format!("EXCEEDS_BUCKET {}@{} {bucket} {requested}/{held}", cell.sku, cell.location)
        }
        Error::Overflow { cell, bucket } => format!("OVERFLOW {}@{} {}", cell.sku, cell.location, bucket.name()),
        Error::SumOverflow { sku, requested } => format!("SUM_OVERFLOW {sku} {requested}"),
        Error::SameLocation { sku, location } => format!("SAME_LOCATION {sku}@{location}"),
        Error::UnknownRegion { code } => format!("UNKNOWN_REGION {code}"),
        Error::UnknownPolicy { name } => format!("UNKNOWN_POLICY {name}"),
        Error::MixedConditions { sku } => format!("MIXED_CONDITIONS {sku}"),
        Error::NotPlannable { reason } => format!("NOT_PLANNABLE {reason}"),
        Error::TableFull { what, limit } => format!("TABLE_FULL {what} {limit}"),
        Error::Region { position, error } => format!("REGION {position:?} {error}"),
        Error::UnknownDocument { document } => format!("UNKNOWN_DOCUMENT {}", self::document(document)),
        Error::DocumentState { document, state, wanted } => {
            format!("DOCUMENT_STATE {} {} not {}", self::document(document), state.name(), wanted.name())
        }
        Error::InvalidDocument { faults } => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            format!("INVALID_DOCUMENT {}", faults.join("; "))
        }
        Error::Unusable { what, why } => format!("UNUSABLE {what} {why}"),
        Error::Journal(refused) => format!("JOURNAL {refused}"),
        Error::UnknownCampaign { code } => format!("UNKNOWN_CAMPAIGN {code}"),
        Error::CampaignTimes { code, why } => format!("CAMPAIGN_TIMES {code} {why}"),
        Error::CampaignOver { code } => format!("CAMPAIGN_OVER {code}"),
        Error::CampaignChannel { code, own, channel } => format!("CAMPAIGN_CHANNEL {code} {own}/{channel}"),
        Error::BuyerNeeded { code } => format!("BUYER_NEEDED {code}"),
        Error::NotCombinable { .. } => "NOT_COMBINABLE".into(),
        Error::InvalidStockRules { faults } => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            format!("INVALID_STOCK_RULES {}", faults.join("; "))
        }
        Error::StockRulesVersion { version, expected } => format!("STOCK_RULES_VERSION {version} not {expected}"),
        Error::KitHasNoStock { sku } => format!("KIT_HAS_NO_STOCK {sku}"),
        Error::InvalidKit { sku, component, fault } => format!("INVALID_KIT {sku}/{component} {fault:?}"),
        Error::InUse { sku, kit } => format!("IN_USE {sku} by {kit}"),
        Error::TooManyFreezes { sku, location, limit } => format!("TOO_MANY_FREEZES {sku}@{location} {limit}"),
        Error::UnknownReturn { .. } | Error::ReturnState { .. } | Error::AmbiguousLine { .. } => error.to_string(),
        Error::UnknownInbound { .. }
        | Error::InboundExists { .. }
        | Error::InboundClosed { .. }
        | Error::NoSuchInboundLine { .. }
        | Error::EtaPast { .. }
        | Error::BelowReceived { .. }
        | Error::TransferUnderWay { .. }
        | Error::NotArrived { .. }
        | Error::PresaleWithSourcing => format!("SUPPLY {error}"),
        other => format!("{other:?}"),
    }
}
