//! Freezes, repairs and kits: requests to commands, and events to answers.

use std::fmt::Display;

use quartermaster_engine::{
    Answer, Error,
    catalog::{Catalogue, SkuSpec},
    command::{
        Command, Request,
        upkeep::{Freeze, Repair, RepairMode, RepairPriority, Target, Thaw, UpkeepCommand, Which},
    },
    event::{
        Event,
        upkeep::{Remedy, Repaired, UpkeepEvent},
    },
    id::{LocationId, SkuId},
    terms::KitLine,
    upkeep::{self as engine, FreezeReason, Frozen},
};
use quartermaster_proto::v1;

use super::{
    answers::{Told, allocations, units},
    checks::Checks,
    page::Pages,
    time,
};
use crate::{
    grpc::{limits, status::ApiError},
    node::Node,
};

/// A FreezeStock.
pub(crate) fn freeze(message: v1::FreezeStockRequest) -> Result<(Request, Command), ApiError> {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let target = target(&mut checks, message.sku, message.location);
    let reason = reason(&mut checks, message.reason);
    if reason.is_none() && message.reason == 0 {
        checks.refuse("reason", "is missing; a freeze needs a FreezeReason");
    }
    let reason = reason.unwrap_or(FreezeReason::Other);
    let reference = checks.text("reference", message.reference, &limits::REFERENCE_BYTES_MAX);
    let freeze = Freeze { target, reason, reference };
    checks.finish((request, Command::Upkeep(UpkeepCommand::Freeze(freeze))))
}

/// A ThawStock.
pub(crate) fn thaw(message: v1::ThawStockRequest) -> Result<(Request, Command), ApiError> {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let target = target(&mut checks, message.sku, message.location);
    let reason = reason(&mut checks, message.reason);
    let named = [message.all, message.reason != 0, message.freeze_id != 0];
    if named.iter().filter(|named| **named).count() != 1 {
        checks.refuse("all", "stands beside reason and freeze_id: exactly one of the three says which freezes");
    }
    let which = match reason {
        Some(reason) => Which::Reason(reason),
        None if message.freeze_id != 0 => Which::Id(message.freeze_id),
        None => Which::All,
    };
    checks.finish((request, Command::Upkeep(UpkeepCommand::Thaw(Thaw { target, which }))))
}

fn target(checks: &mut Checks, sku: String, location: String) -> Target {
    if sku.is_empty() && location.is_empty() {
        checks.refuse("sku", "is missing, and so is location; at least one of both is needed");
    }
    Target { sku: checks.optional_code("sku", sku), location: checks.optional_code("location", location) }
}

fn reason(checks: &mut Checks, number: i32) -> Option<FreezeReason> {
    let known = u32::try_from(number).ok().and_then(FreezeReason::from_number);
    if known.is_none() && number != 0 {
        checks.refuse("reason", format_args!("is {number}; no FreezeReason has this number"));
    }
    known
}

/// A page of freezes that is asked for.
#[derive(Debug)]
pub(crate) struct FreezePage {
    pub(crate) sku: String,
    pub(crate) location: String,
    pub(crate) reason: Option<FreezeReason>,
    pub(crate) after: Option<u64>,
    pub(crate) size: usize,
    pub(crate) pages: Pages,
}

/// A ListFreezes.
pub(crate) fn list(message: v1::ListFreezesRequest) -> Result<FreezePage, ApiError> {
    let mut checks = Checks::default();
    let (sku, location) =
        (checks.optional_code("sku", message.sku), checks.optional_code("location", message.location));
    let reason = reason(&mut checks, message.reason);
    let size = checks.page_size(message.page_size, 100, &limits::FREEZES_PAGE_MAX);
    let pages = Pages::of("freezes", &[sku.as_bytes(), location.as_bytes(), &message.reason.to_le_bytes()]);
    let after = pages.after(&mut checks, &message.page_token);
    checks.finish(FreezePage { sku, location, reason, after, size, pages })
}

/// A repair that is asked for; a preview has no request.
#[derive(Debug)]
pub(crate) struct AskedRepair {
    pub(crate) request: Option<Request>,
    pub(crate) repair: Repair,
}

impl AskedRepair {
    pub(crate) fn command(&self) -> Command {
        Command::Upkeep(UpkeepCommand::Repair(self.repair.clone()))
    }
}

/// A RepairShortfalls.
pub(crate) fn repair(message: v1::RepairShortfallsRequest) -> Result<AskedRepair, ApiError> {
    let mut checks = Checks::default();
    let request = (!message.preview).then(|| checks.request(message.request_id));
    let sku = checks.optional_code("sku", message.sku);
    let location = checks.optional_code("location", message.location);
    let mut priority: Vec<RepairPriority> = Vec::new();
    if checks.length("priority", message.priority.len(), 0, &limits::REPAIR_PRIORITIES_MAX) {
        for (place, number) in message.priority.into_iter().enumerate() {
            let one = match v1::RepairPriority::try_from(number) {
                Ok(v1::RepairPriority::UnpaidFirst) => RepairPriority::UnpaidFirst,
                Ok(v1::RepairPriority::NewestFirst) => RepairPriority::NewestFirst,
                Ok(v1::RepairPriority::OldestFirst) => RepairPriority::OldestFirst,
                Ok(v1::RepairPriority::Unspecified) | Err(_) => {
                    checks.refuse(
                        format_args!("priority[{place}]"),
                        format_args!("is {number}; UNPAID_FIRST, NEWEST_FIRST and OLDEST_FIRST are allowed"),
                    );
                    continue;
                }
            };
            let by_age = |one: &RepairPriority| *one != RepairPriority::UnpaidFirst;
            if priority.contains(&one) || by_age(&one) && priority.iter().any(by_age) {
                let problem = "says again, or the other way about, what stands before it";
                checks.refuse(format_args!("priority[{place}]"), problem);
            }
            priority.push(one);
        }
    }
    let mode = match v1::RepairMode::try_from(message.mode) {
        Ok(v1::RepairMode::Unspecified | v1::RepairMode::RerouteThenCancel) => RepairMode::RerouteThenCancel,
        Ok(v1::RepairMode::RerouteOnly) => RepairMode::RerouteOnly,
        Ok(v1::RepairMode::CancelOnly) => RepairMode::CancelOnly,
        Err(_) => {
            checks.refuse("mode", format_args!("is {}; no RepairMode has this number", message.mode));
            RepairMode::RerouteOnly
        }
    };
    checks.finish(AskedRepair { request, repair: Repair { sku, location, priority, mode } })
}

/// Components of a kit.
pub(crate) fn parts(checks: &mut Checks, field: impl Display, components: Vec<v1::KitComponent>) -> Vec<(String, u32)> {
    let field = field.to_string();
    if !checks.length(&field, components.len(), 0, &limits::KIT_COMPONENTS_MAX) {
        return Vec::new();
    }
    checks.each_once(&field, components.iter().map(|part| part.sku.as_str()));
    let part = |(place, part): (usize, v1::KitComponent)| {
        let code = checks.code(format_args!("{field}[{place}].sku"), part.sku);
        (code, checks.range(format_args!("{field}[{place}].units"), part.units, 1, &limits::KIT_UNITS_MAX))
    };
    components.into_iter().enumerate().map(part).collect()
}

/// Components of a kit as they are shown.
pub(crate) fn components(spec: &SkuSpec) -> Vec<v1::KitComponent> {
    let part = |(sku, units): &(String, u32)| v1::KitComponent { sku: sku.clone(), units: i64::from(*units) };
    spec.components.iter().map(part).collect()
}

/// Kits of an order.
pub(crate) fn kits(catalogue: &Catalogue, kits: &[KitLine]) -> Vec<v1::Kit> {
    let kit = |kit: &KitLine| v1::Kit { sku: catalogue.sku_code(kit.sku).into(), quantity: kit.quantity.signed() };
    kits.iter().map(kit).collect()
}

/// The SKU of a filter; none for an empty code.
pub(crate) fn sku(catalogue: &Catalogue, code: &str) -> Result<Option<SkuId>, ApiError> {
    let found = || catalogue.sku(code).ok_or_else(|| Error::UnknownSku { code: code.into() }.into());
    if code.is_empty() { Ok(None) } else { found().map(Some) }
}

/// The location of a filter; none for an empty code.
pub(crate) fn location(catalogue: &Catalogue, code: &str) -> Result<Option<LocationId>, ApiError> {
    let directory = catalogue.directory();
    let found = || directory.location(code).ok_or_else(|| Error::UnknownLocation { code: code.into() }.into());
    if code.is_empty() { Ok(None) } else { found().map(Some) }
}

/// The answer to a FreezeStock.
pub(crate) fn frozen(node: &Node, answer: Answer) -> Result<v1::FreezeStockResponse, ApiError> {
    let freeze_id = answer.lsn.get();
    let told = Told::of(node, answer, |_, event| {
        upkeep_event(event).filter(|event| matches!(event, UpkeepEvent::Frozen { .. })).map(|_| ())
    })?;
    let (position, replayed, ()) = told.done()?;
    Ok(v1::FreezeStockResponse { position: Some(position), replayed, freeze_id })
}

/// The answer to a ThawStock.
pub(crate) fn thawed(node: &Node, answer: Answer) -> Result<v1::ThawStockResponse, ApiError> {
    use v1::thaw_stock_response::Outcome;
    let told = Told::of(node, answer, |_, event| match upkeep_event(event)? {
        UpkeepEvent::Thawed { freezes, .. } => Some(v1::Thaw { freeze_ids: freezes.clone() }),
        _ => None,
    })?;
    Ok(v1::ThawStockResponse {
        position: Some(told.position),
        replayed: told.replayed,
        outcome: Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Thaw)),
    })
}

/// The answer to a RepairShortfalls.
pub(crate) fn repaired(node: &Node, answer: Answer) -> Result<v1::RepairShortfallsResponse, ApiError> {
    use v1::repair_shortfalls_response::Outcome;
    let told = Told::of(node, answer, |catalogue, event| match upkeep_event(event)? {
        UpkeepEvent::Repaired(repaired) => Some(repair_of(catalogue, repaired)),
        _ => None,
    })?;
    Ok(v1::RepairShortfallsResponse {
        position: Some(told.position),
        replayed: told.replayed,
        outcome: Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Repair)),
    })
}

fn upkeep_event(event: &Event) -> Option<&UpkeepEvent> {
    match event {
        Event::Upkeep(event) => Some(event),
        _ => None,
    }
}

fn repair_of(catalogue: &Catalogue, repaired: &Repaired) -> v1::Repair {
    let directory = catalogue.directory();
    let remedies = repaired.remedies.iter().map(|remedy| {
        let (from, to, ended) = match remedy {
            Remedy::Moved(moved) => (&moved.from, &moved.to[..], false),
            Remedy::Cancelled { claim, end, .. } => (&claim.lines, &[][..], end.is_some()),
        };
        let line = from.first();
        v1::Remedy {
            reservation_id: remedy.reservation().to_string(),
            sku: line.map_or("", |line| catalogue.sku_code(line.sku)).into(),
            location: line.map_or("", |line| directory.location_code(line.location)).into(),
            quantity: units(remedy.units()),
            moved_to: allocations(catalogue, to),
            cancelled: matches!(remedy, Remedy::Cancelled { .. }),
            ended,
        }
    });
    let remaining = repaired.remaining.iter().map(|cell| v1::ShortCell {
        sku: catalogue.sku_code(cell.sku).into(),
        location: directory.location_code(cell.location).into(),
        shortfall: units(cell.units),
    });
    v1::Repair { remedies: remedies.collect(), remaining: remaining.collect(), more: repaired.more }
}

/// A freeze as it is listed.
pub(crate) fn standing(catalogue: &Catalogue, target: Frozen, freeze: &engine::Freeze) -> v1::Freeze {
    v1::Freeze {
        freeze_id: freeze.id,
        sku: target.sku().map_or("", |sku| catalogue.sku_code(sku)).into(),
        location: target.location().map_or("", |at| catalogue.directory().location_code(at)).into(),
        reason: i32::try_from(freeze.reason.number()).unwrap_or(0),
        reference: freeze.reference.to_string(),
        freeze_time: Some(time::to_wire(freeze.frozen_at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>) -> Vec<String> {
        let violations = result.unwrap_err().violations();
        violations.into_iter().map(|wrong| format!("{}: {}", wrong.field, wrong.problem)).collect()
    }

    #[test]
    fn every_wrong_field_of_a_freeze_is_named() {
        let wrong = freeze(v1::FreezeStockRequest { reference: "r".repeat(65), ..Default::default() });
        let expected = [
            "request_id: is missing; 1 to 64 bytes are needed",
            "sku: is missing, and so is location; at least one of both is needed",
            "reason: is missing; a freeze needs a FreezeReason",
            "reference: has 65 bytes; at most 64 are allowed",
        ];
        assert_eq!(refused(wrong), expected);
        let message = v1::FreezeStockRequest {
            request_id: "f".into(),
            sku: "A\n".into(),
            location: "L".repeat(65),
            reason: 9,
            ..Default::default()
        };
        let expected = [
            "sku: has a control character at position 1; codes have none",
            "location: has 65 bytes; at most 64 are allowed",
            "reason: is 9; no FreezeReason has this number",
        ];
        assert_eq!(refused(freeze(message)), expected);
    }

    #[test]
    fn a_thaw_says_which_in_one_way() {
        let message = |all, reason, freeze_id| v1::ThawStockRequest {
            request_id: "t".into(),
            sku: "A".into(),
            location: String::new(),
            all,
            reason,
            freeze_id,
        };
        let expected = ["all: stands beside reason and freeze_id: exactly one of the three says which freezes"];
        assert_eq!(refused(thaw(message(false, 0, 0))), expected);
        assert_eq!(refused(thaw(message(true, 2, 0))), expected);
        assert_eq!(refused(thaw(message(false, 2, 7))), expected);
        assert_eq!(refused(thaw(message(false, -1, 0))), ["reason: is -1; no FreezeReason has this number"]);
        let which = |message| match thaw(message).unwrap().1 {
            Command::Upkeep(UpkeepCommand::Thaw(thaw)) => thaw.which,
            other => panic!("{other:?}"),
        };
        assert_eq!(which(message(true, 0, 0)), Which::All);
        assert_eq!(which(message(false, 2, 0)), Which::Reason(FreezeReason::Recall));
        assert_eq!(which(message(false, 0, 7)), Which::Id(7));
    }

    #[test]
    fn a_list_of_freezes_has_pages_of_its_own() {
        let wrong =
            list(v1::ListFreezesRequest { page_size: 1_001, reason: 9, page_token: "x".into(), ..Default::default() });
        let expected = [
            "reason: is 9; no FreezeReason has this number",
            "page_size: is 1001; 1 to 1,000 are allowed, 0 for 100",
            "page_token: is not from the page before; send the same filters and the token as it was given",
        ];
        assert_eq!(refused(wrong), expected);
    }

    #[test]
    fn every_wrong_field_of_a_repair_is_named() {
        let message =
            |priority: &[i32]| v1::RepairShortfallsRequest { priority: priority.to_vec(), ..Default::default() };
        let wrong = repair(v1::RepairShortfallsRequest { sku: "A\n".into(), mode: 4, ..message(&[0, 9]) });
        let expected = [
            "request_id: is missing; 1 to 64 bytes are needed",
            "sku: has a control character at position 1; codes have none",
            "priority[0]: is 0; UNPAID_FIRST, NEWEST_FIRST and OLDEST_FIRST are allowed",
            "priority[1]: is 9; UNPAID_FIRST, NEWEST_FIRST and OLDEST_FIRST are allowed",
            "mode: is 4; no RepairMode has this number",
        ];
        assert_eq!(refused(wrong), expected);
        let preview = |priority: &[i32]| repair(v1::RepairShortfallsRequest { preview: true, ..message(priority) });
        let again = ["priority[1]: says again, or the other way about, what stands before it"];
        assert_eq!(refused(preview(&[1, 1])), again);
        assert_eq!(refused(preview(&[2, 3])), again);
        assert_eq!(refused(preview(&[1, 2, 3])), ["priority: has 3 entries; 0 to 2 entries are allowed"]);
        let asked = preview(&[3, 1]).unwrap();
        assert_eq!(asked.repair.priority, [RepairPriority::OldestFirst, RepairPriority::UnpaidFirst]);
        assert_eq!((asked.repair.mode, asked.request), (RepairMode::RerouteThenCancel, None));
    }

    #[test]
    fn every_wrong_component_of_a_kit_is_named() {
        let part = |sku: &str, units| v1::KitComponent { sku: sku.into(), units };
        let wrong = |components| {
            let mut checks = Checks::default();
            let parts = parts(&mut checks, "components", components);
            refused(checks.finish(parts))
        };
        let found = wrong(vec![part("", 1), part("A", 0), part("B", 10_001)]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("components[0].sku: is missing"), "{found:?}");
        assert_eq!(found[1], "components[1].units: is 0; 1 to 10,000 are allowed");
        assert_eq!(found[2], "components[2].units: is 10001; 1 to 10,000 are allowed");
        let many = (0..51).map(|number| part(&format!("S{number}"), 1)).collect();
        assert_eq!(wrong(many), ["components: has 51 entries; 0 to 50 components are allowed"]);
        assert_eq!(wrong(vec![part("A", 1), part("A", 2)]).len(), 1);
    }
}
