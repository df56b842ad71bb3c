//! A decision taken again from what its record says it met: the past explained by the code that explains the present.

use quartermaster_engine::{codec::sourced::read_trace, route::Explanation, sourced::Sourced};
use quartermaster_sourcing::{Met, Router, SkuId, plan::Substitution, policy::Removed, removal::Removal};

use super::status::ApiError;

/// Why the decision was what it was; `None` when its policy kept a summary only.
///
/// # Errors
/// `Internal` when the record cannot be read, or when what it met does not lead to what it decided: both are bugs.
pub(crate) fn explanation(sourced: &Sourced) -> Result<Option<Explanation>, ApiError> {
    if sourced.traces.is_empty() {
        return Ok(None);
    }
    let broken = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a decision of the log cannot be explained");
        ApiError::Internal { what: "a decision of the log cannot be explained" }
    };
    let (mut rules, mut services, mut met): (Vec<String>, Vec<String>, Vec<Met>) = Default::default();
    for bytes in &sourced.traces {
        let trace = read_trace(bytes).map_err(|error| broken(&error))?;
        met.push(renumbered(trace.met, rules.len(), services.len()));
        rules.extend(trace.rules);
        services.extend(trace.services);
    }
    let decision = &sourced.decision;
    let mut router = Router::default();
    let step = usize::try_from(decision.step).map_err(|error| broken(&error))?;
    let mut plan = router.replan(step, &met).map_err(|error| broken(&error))?;
    if plan.value != decision.value {
        return Err(broken(&format_args!("it was worth {:?} and is {:?} now", decision.value, plan.value)));
    }
    let substitutions = decision.substitutions.iter();
    let substitution = |(sku, other, units): &(quartermaster_engine::id::SkuId, _, u32)| {
        let other: &quartermaster_engine::id::SkuId = other;
        Substitution { sku: SkuId(sku.0), substitute: SkuId(other.0), units: *units }
    };
    plan.substitutions = substitutions.map(substitution).collect();
    Explanation::of(&mut router, &plan, &met, rules, services).map(Some).map_err(|error| broken(&error))
}

/// The problem of one class, its rules and services counted in lists that begin with those of the classes before it.
fn renumbered(mut met: Met, rules: usize, services: usize) -> Met {
    let rule = |removal: &mut Option<Removal>| {
        if let Some(Removal::Policy(Removed::Rule(index))) = removal {
            *index += rules;
        }
    };
    let services = u32::try_from(services).unwrap_or(u32::MAX);
    for place in &mut met.candidates.places {
        rule(&mut place.removed);
        for way in &mut place.lanes {
            way.service = way.service.map(|service| service.saturating_add(services));
        }
    }
    met.candidates.offers.iter_mut().for_each(|offer| rule(&mut offer.removed));
    met
}
