//! Decisions of the router as they are told. Functions of the decision alone, so that a repeated request is told the same.

use quartermaster_engine::{
    catalog::Catalogue,
    codec::sourced::reason_to_wire,
    id::{LocationId, SkuId},
    sourced::{DecidedParcel, Decision},
};
use quartermaster_proto::v1;
use quartermaster_sourcing::{
    Proof,
    plan::{Parcel, Plan, Terms, UnservedReason, Value},
};

use super::{answers::units, time};

/// The plan of a decision.
pub(crate) fn decided(catalogue: &Catalogue, decision: &Decision) -> v1::Plan {
    let unserved =
        decision.unserved.iter().map(|(sku, left, reason)| unserved(catalogue.sku_code(*sku), *left, *reason));
    let substitutions = decision.substitutions.iter().map(|(sku, other, served)| v1::Substitution {
        sku: catalogue.sku_code(*sku).to_owned(),
        substitute: catalogue.sku_code(*other).to_owned(),
        quantity: i64::from(*served),
    });
    v1::Plan {
        parcels: decision.parcels.iter().map(|parcel| decided_parcel(catalogue, parcel)).collect(),
        unserved: unserved.collect(),
        total_cost: Some(money(&decision.currency, decision.cost())),
        value: Some(value(&decision.value)),
        lower_bound: Some(value(&decision.lower_bound)),
        gap_ppm: gap_ppm(&decision.value, &decision.lower_bound),
        proof: i32::from(proof(decision.proof)),
        nodes: units(decision.nodes),
        step: step(decision),
        substitutions: substitutions.collect(),
    }
}

/// Which policy decided.
pub(crate) fn policy(decision: &Decision) -> v1::PolicyRef {
    v1::PolicyRef { name: decision.policy.to_string(), version: decision.policy_version }
}

/// Another plan than the one that was decided, in the same currency and of the same step. `services` are the codes that its parcels
/// count.
pub(crate) fn other(catalogue: &Catalogue, plan: &Plan, decision: &Decision, services: &[String]) -> v1::Plan {
    let unserved =
        plan.unserved.iter().map(|one| unserved(catalogue.sku_code(SkuId(one.sku.0)), one.units, one.reason));
    let substitutions = plan.substitutions.iter().map(|one| v1::Substitution {
        sku: catalogue.sku_code(SkuId(one.sku.0)).to_owned(),
        substitute: catalogue.sku_code(SkuId(one.substitute.0)).to_owned(),
        quantity: i64::from(one.units),
    });
    v1::Plan {
        parcels: plan.parcels.iter().map(|parcel| decided_parcel(catalogue, &coded(parcel, services))).collect(),
        unserved: unserved.collect(),
        total_cost: Some(money(&decision.currency, plan.cost().0)),
        value: Some(value(&plan.value)),
        lower_bound: Some(value(&plan.lower_bound)),
        gap_ppm: gap_ppm(&plan.value, &plan.lower_bound),
        proof: i32::from(proof(plan.proof)),
        nodes: units(plan.nodes),
        step: step(decision),
        substitutions: substitutions.collect(),
    }
}

/// Name of the policy's step that answered. The policy itself is its first.
fn step(decision: &Decision) -> String {
    if decision.step == 0 { "first".to_owned() } else { decision.step_name.to_string() }
}

/// What is not served.
pub(crate) fn unserved(sku: &str, left: u32, reason: UnservedReason) -> v1::Unserved {
    v1::Unserved {
        sku: sku.to_owned(),
        quantity: i64::from(left),
        reason: i32::try_from(reason_to_wire(reason)).unwrap_or_default(),
    }
}

/// Cost terms.
pub(crate) fn terms(terms: &Terms) -> v1::CostTerms {
    v1::CostTerms {
        handling: terms.handling.0,
        carriage: terms.carriage.0,
        picking: terms.picking.0,
        lateness: terms.lateness.0,
        preference: terms.preference.0,
        opportunity: terms.opportunity.0,
        pressure: terms.pressure.0,
        total: terms.total().0,
    }
}

/// An amount in a policy's currency.
pub(crate) fn money(currency: &str, minor_units: i64) -> v1::Money {
    v1::Money { currency_code: currency.to_owned(), minor_units }
}

/// Code of a service, or nothing.
pub(crate) fn service(services: &[String], number: Option<u32>) -> &str {
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.and_then(|number| services.get(number)).map_or("", String::as_str)
}

/// Millionths by which the cost may lie above the best: 0 when nothing is better, -1 when parts that count for more are not settled or
/// nothing is known.
pub(crate) fn gap_ppm(value: &Value, bound: &Value) -> i64 {
    if value == bound {
        return 0;
    }
    if (value.shortfall, value.parcels) != (bound.shortfall, bound.parcels) || *bound == Value::UNKNOWN {
        return -1;
    }
    let (cost, bound) = (i128::from(value.cost.0), i128::from(bound.cost.0));
    let ppm = (cost - bound).max(0) * 1_000_000 / bound.abs().max(1);
    i64::try_from(ppm).unwrap_or(i64::MAX)
}

fn decided_parcel(catalogue: &Catalogue, parcel: &DecidedParcel) -> v1::Parcel {
    let lines = parcel.lines.iter().map(|(sku, quantity)| v1::ParcelLine {
        sku: catalogue.sku_code(*sku).to_owned(),
        quantity: i64::from(*quantity),
    });
    v1::Parcel {
        location: catalogue.directory().location_code(parcel.location).to_owned(),
        service: parcel.service.to_string(),
        lines: lines.collect(),
        weight_grams: units(parcel.weight_grams),
        ship_time: Some(time::moment(parcel.ships_at)),
        delivery_time: Some(time::moment(parcel.arrives_at)),
        terms: Some(terms(&parcel.terms)),
    }
}

fn coded(parcel: &Parcel, services: &[String]) -> DecidedParcel {
    DecidedParcel {
        location: LocationId(parcel.location.0),
        lines: parcel.lines.iter().map(|(sku, quantity)| (SkuId(sku.0), *quantity)).collect(),
        service: service(services, parcel.service).into(),
        weight_grams: parcel.weight.0,
        ships_at: parcel.ships_at,
        arrives_at: parcel.arrives_at,
        terms: parcel.terms,
    }
}

fn value(value: &Value) -> v1::PlanValue {
    v1::PlanValue { shortfall: units(value.shortfall), parcels: units(value.parcels), cost: value.cost.0 }
}

fn proof(proof: Proof) -> v1::ProofState {
    match proof {
        Proof::Proved => v1::ProofState::Proved,
        // The only limit that cuts a search is its budget of nodes.
        Proof::Bounded => v1::ProofState::OutOfBudget,
    }
}

#[cfg(test)]
mod tests {
    use quartermaster_sourcing::Money;

    use super::*;

    #[test]
    fn a_gap_is_told_in_millionths_of_the_bound() {
        let value = |shortfall, parcels, cost| Value { shortfall, parcels, cost: Money(cost) };
        for (found, bound, ppm) in [
            (value(0, 0, 1_230), value(0, 0, 1_230), 0),
            (value(0, 0, 1_050), value(0, 0, 1_000), 50_000),
            (value(0, 2, 1_000), value(0, 1, 1_000), -1),
            (value(1, 1, 1_000), value(0, 1, 1_000), -1),
            (value(0, 0, 5), Value::UNKNOWN, -1),
            (value(0, 0, 5), value(0, 0, 0), 5_000_000),
            (value(0, 0, -5), value(0, 0, -10), 500_000),
            (value(0, 0, i64::MAX), value(0, 0, 0), i64::MAX),
        ] {
            assert_eq!(gap_ppm(&found, &bound), ppm, "{found:?} {bound:?}");
        }
    }
}
