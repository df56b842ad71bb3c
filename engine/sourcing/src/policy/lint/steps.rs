//! Steps that cannot help, fallbacks that are never reached, and places that no step lets through.

use super::{Findings, condition};
use crate::policy::compile::{Policy, ids};
use crate::policy::document::Document;
use crate::policy::expression::Truth;
use crate::policy::facts::Places;
use crate::policy::step::Step;

/// Codes that a message lists, at most.
const LISTED_MAX: usize = 10;

pub(super) fn look(
    document: &Document,
    policy: &Policy,
    scope: &[Truth],
    places: &dyn Places,
    findings: &mut Findings,
) {
    let steps = policy.steps();
    for (at, step) in steps.iter().enumerate() {
        let owner = step.fallback().map_or_else(String::new, |index| format!("fallbacks[{index}]"));
        let path = if owner.is_empty() { "where".to_owned() } else { format!("{owner}.where") };
        if let Some(only) = &step.only {
            condition(only, &path, scope, places, findings);
        }
        if step.eligible.is_empty() && places.count() > 0 {
            let path = if step.only.is_some() { &path } else { "rules" };
            findings.warn(path, format!("no place is left in the step \"{}\"", step.name()));
        }
        if let Some(before) = steps[..at].iter().find(|before| is_no_wider(step, before)) {
            let message = format!("can never help: it allows nothing that \"{}\" did not allow before", before.name());
            findings.warn(&owner, message);
        }
    }
    for (index, fallback) in document.fallbacks.iter().enumerate() {
        if !steps.iter().any(|step| step.fallback() == Some(index)) {
            findings.warn(&format!("fallbacks[{index}]"), format!("\"{}\" is never reached", fallback.name));
        }
    }
    losers(policy, places, findings);
}

/// Whether a plan that serves every unit under `step` would have been one under `before`.
fn is_no_wider(step: &Step, before: &Step) -> bool {
    let places = match (&step.only, &before.only) {
        (_, None) => true,
        (Some(only), Some(wider)) => only.truth == wider.truth,
        (None, Some(_)) => false,
    };
    let parcels = before.parcels_max().is_none_or(|most| step.parcels_max().is_some_and(|own| own <= most));
    let rules = before.rules.iter().all(|rule| step.rules.contains(rule));
    places && parcels && rules && (before.partial() || !step.partial()) && step.objective() == before.objective()
}

fn losers(policy: &Policy, places: &dyn Places, findings: &mut Findings) {
    let open = |place| places.facts(place).open;
    let closed = ids(places.count()).filter(|place| !open(*place)).count();
    if closed > 0 {
        findings.add(super::Severity::Note, "", format!("{closed} places are not open and serve no order"));
    }
    let won_nowhere = |place: &_| policy.steps().iter().all(|step| !step.eligible.contains(*place));
    let losers: Vec<_> = ids(places.count()).filter(|place| open(*place)).filter(won_nowhere).collect();
    if !losers.is_empty() {
        let codes: Vec<_> = losers.iter().take(LISTED_MAX).map(|place| places.facts(*place).code).collect();
        let more = if losers.len() > LISTED_MAX { ", …" } else { "" };
        let message =
            format!("{} places are removed in every step, for every order: {}{more}", losers.len(), codes.join(", "));
        findings.warn("rules", message);
    }
}
