//! Explanations in plain English, for people. Made from what is told as data, so that both say the same.

use std::collections::BTreeMap;

use quartermaster_proto::v1;

use super::checks::grouped;

/// Parcels that are told apart; of more, only how many they are.
const PARCELS_TOLD: usize = 5;

/// Currencies without minor units, and those with three digits of them: ISO 4217.
const WHOLE: [&str; 16] =
    ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"];
const THOUSANDTHS: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

/// Why these parcels.
pub(crate) fn why(plan: &v1::Plan, explanation: &v1::Explanation) -> Vec<String> {
    let currency = plan.total_cost.as_ref().map_or("", |cost| cost.currency_code.as_str());
    let mut sentences = vec![parcels(plan, explanation, currency)];
    sentences.extend(plan.parcels.iter().take(PARCELS_TOLD).map(|parcel| costs(parcel, currency)));
    if plan.parcels.len() > PARCELS_TOLD {
        let total = plan.total_cost.as_ref().map_or(0, |cost| cost.minor_units);
        sentences.push(format!("All {} parcels together cost {}.", plan.parcels.len(), money(total, currency)));
    }
    sentences.extend(runner_up(plan, explanation, currency));
    sentences.extend(plan.substitutions.iter().map(|one| {
        let units = units(one.quantity);
        format!("In place of {} the buyer gets {units} of {}, as agreed.", one.sku, one.substitute)
    }));
    sentences.extend(
        plan.unserved
            .iter()
            .map(|one| format!("Not served: {} of {}; {}.", units(one.quantity), one.sku, reason(one.reason()))),
    );
    sentences.extend(removals(explanation));
    sentences.push(proof(plan));
    sentences
}

/// What would have brought a location into the plan.
pub(crate) fn counterfactual(location: &str, currency: &str, fall: Option<i64>, more: Option<(&str, u32)>) -> String {
    let fall = fall.map(|fall| match fall {
        0 => "its parcel cost falls at all".to_owned(),
        fall => format!("its parcel cost falls by more than {}", money(fall, currency)),
    });
    let more = more.map(|(sku, count)| {
        let unit = if count == 1 { "unit" } else { "units" };
        format!("it had {} more {unit} of {sku}", grouped(count.into()))
    });
    match (fall, more) {
        (Some(fall), Some(more)) => format!("{location} wins if {fall}, or if {more}."),
        (Some(only), None) | (None, Some(only)) => format!("{location} wins if {only}."),
        (None, None) => format!("Nothing small would bring {location} into the plan."),
    }
}

/// How many parcels, and why so many.
fn parcels(plan: &v1::Plan, explanation: &v1::Explanation, currency: &str) -> String {
    match plan.parcels.as_slice() {
        [] => "No plan serves the order.".to_owned(),
        [only] if plan.unserved.is_empty() => format!("Ships in 1 parcel: {} has all of it.", only.location),
        [only] => format!("Ships in 1 parcel from {}, and not in full.", only.location),
        several => {
            let number = several.len();
            let mut places: Vec<&str> = several.iter().map(|parcel| parcel.location.as_str()).collect();
            places.sort_unstable();
            places.dedup();
            if places.len() < number {
                return format!(
                    "Ships in {number} parcels from {} because goods of different temperature or danger never share one.",
                    listed(&places)
                );
            }
            match whole(plan, explanation) {
                None => format!("Ships in {number} parcels because no location has all of it."),
                Some((place, Some(cost))) => format!(
                    "Ships in {number} parcels although {place} has all of it: one parcel from there would cost {}.",
                    money(cost, currency)
                ),
                Some((place, None)) => {
                    format!("Ships in {number} parcels although {place} has all of it: no one parcel can carry it.")
                }
            }
        }
    }
}

/// A location that could serve everything the plan serves, and what one parcel from there would cost: the cheapest of them.
fn whole<'a>(plan: &v1::Plan, explanation: &'a v1::Explanation) -> Option<(&'a str, Option<i64>)> {
    let mut wanted: BTreeMap<&str, i64> = BTreeMap::new();
    for line in plan.parcels.iter().flat_map(|parcel| &parcel.lines) {
        *wanted.entry(&line.sku).or_default() += line.quantity;
    }
    let has_all = |place: &&v1::CandidateExplanation| {
        let has = |sku: &str, units: i64| place.stock.iter().any(|line| line.sku == sku && line.quantity >= units);
        place.removed_by.is_empty() && wanted.iter().all(|(sku, units)| has(sku, *units))
    };
    let cost = |place: &v1::CandidateExplanation| place.terms.as_ref().map(|terms| terms.total);
    let cheapest =
        explanation.candidates.iter().filter(has_all).min_by_key(|place| (cost(place).is_none(), cost(place)));
    cheapest.map(|place| (place.location.as_str(), cost(place)))
}

/// What a parcel costs, term by term.
fn costs(parcel: &v1::Parcel, currency: &str) -> String {
    let terms = parcel.terms.unwrap_or_default();
    let named = [
        ("handling", terms.handling),
        ("carriage", terms.carriage),
        ("picking", terms.picking),
        ("lateness", terms.lateness),
        ("preference", terms.preference),
        ("opportunity", terms.opportunity),
        ("pressure", terms.pressure),
    ];
    let mut sum = String::new();
    for (name, amount) in named.into_iter().filter(|(_, amount)| *amount != 0) {
        let sign = match (sum.is_empty(), amount < 0) {
            (true, false) => "",
            (true, true) => "-",
            (false, false) => " + ",
            (false, true) => " - ",
        };
        sum.push_str(&format!("{sign}{name} {}", plain(amount.unsigned_abs(), currency)));
    }
    let by = if parcel.service.is_empty() { String::new() } else { format!(" by {}", parcel.service) };
    if sum.is_empty() {
        return format!("{}{by} costs nothing.", parcel.location);
    }
    format!("{}{by} costs {}: {sum}.", parcel.location, money(terms.total, currency))
}

/// The plan that comes next, and by how much it is worse.
fn runner_up(plan: &v1::Plan, explanation: &v1::Explanation, currency: &str) -> Option<String> {
    let next = explanation.runner_up.as_ref()?;
    let mut places: Vec<&str> = next.parcels.iter().map(|parcel| parcel.location.as_str()).collect();
    places.dedup();
    let (own, other) = (plan.value.unwrap_or_default(), next.value.unwrap_or_default());
    let cost = |plan: &v1::Plan| plan.total_cost.as_ref().map_or(0, |cost| cost.minor_units);
    let place = listed(&places);
    let total = money(cost(next), currency);
    Some(if other.shortfall > own.shortfall {
        format!("The runner-up, {place}, serves less.")
    } else if other.parcels > own.parcels {
        format!("The runner-up is {place} with {} parcels at {total}.", next.parcels.len())
    } else if cost(next) == cost(plan) {
        format!("The runner-up is {place} at {total}, too: among equals the location's priority decides.")
    } else {
        format!("The runner-up is {place} at {total}.")
    })
}

/// How many locations were left out, by what.
fn removals(explanation: &v1::Explanation) -> Option<String> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let removed = explanation.candidates.iter().filter(|place| !place.removed_by.is_empty());
    removed.for_each(|place| *counts.entry(&place.removed_by).or_default() += 1);
    let number = counts.values().sum::<u64>();
    let told: Vec<String> = counts.iter().map(|(by, count)| format!("{} by {by}", grouped(*count))).collect();
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    match number {
        0 => None,
        1 => Some(format!("1 location was left out: {}.", listed(&told))),
        number => Some(format!("{} locations were left out: {}.", grouped(number), listed(&told))),
    }
}

fn proof(plan: &v1::Plan) -> String {
    match plan.proof() {
        v1::ProofState::Proved => "No plan is better: that is proved.".to_owned(),
        v1::ProofState::Bounded | v1::ProofState::OutOfBudget if plan.gap_ppm >= 0 => {
            let gap = plan.gap_ppm.unsigned_abs();
            let (percent, rest) = (grouped(gap / 10_000), gap % 10_000 / 100);
            format!("The search ended at its limit; the best plan is at most {percent}.{rest:02} % cheaper.")
        }
        v1::ProofState::Bounded | v1::ProofState::OutOfBudget | v1::ProofState::Unspecified => {
            "The search ended at its limit; a better plan may exist.".to_owned()
        }
    }
}

/// Why units are not served.
pub(crate) fn reason(reason: v1::UnservedReason) -> &'static str {
    match reason {
        v1::UnservedReason::Unspecified => "no reason is known",
        v1::UnservedReason::NoStock => "no location has them",
        v1::UnservedReason::NoLocation => "rules leave out every location that has them",
        v1::UnservedReason::NoCarrier => "no carrier brings them there",
        v1::UnservedReason::NoCapacity => "the locations that have them are full",
        v1::UnservedReason::NotWorthIt => "a limit or a price stands against it",
    }
}

fn units(quantity: i64) -> String {
    match quantity {
        1 => "1 unit".to_owned(),
        more => format!("{} units", grouped(more.unsigned_abs())),
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "nowhere".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// An amount with its currency, as "12.30 CNY".
fn money(minor_units: i64, currency: &str) -> String {
    let sign = if minor_units < 0 { "-" } else { "" };
    let amount = plain(minor_units.unsigned_abs(), currency);
    // No currency at all is what the built-in policy counts in.
    if currency.is_empty() || currency == "XXX" {
        format!("{sign}{amount}")
    } else {
        format!("{sign}{amount} {currency}")
    }
}

fn plain(minor_units: u64, currency: &str) -> String {
    let digits = if WHOLE.contains(&currency) {
        return grouped(minor_units);
    } else if THOUSANDTHS.contains(&currency) {
        3
    } else {
        2
    };
    let unit = 10_u64.pow(digits);
    let width = usize::try_from(digits).unwrap_or_default();
    format!("{}.{:0width$}", grouped(minor_units / unit), minor_units % unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sku: &str, quantity: i64) -> v1::ParcelLine {
        v1::ParcelLine { sku: sku.into(), quantity }
    }

    fn terms(handling: i64, carriage: i64, picking: i64, preference: i64) -> v1::CostTerms {
        let total = handling + carriage + picking + preference;
        v1::CostTerms { handling, carriage, picking, preference, total, ..Default::default() }
    }

    fn parcel(location: &str, service: &str, lines: Vec<v1::ParcelLine>, terms: v1::CostTerms) -> v1::Parcel {
        v1::Parcel {
            location: location.into(),
            service: service.into(),
            lines,
            terms: Some(terms),
            ..Default::default()
        }
    }

    fn plan(parcels: Vec<v1::Parcel>) -> v1::Plan {
        let cost = parcels.iter().map(|parcel| parcel.terms.unwrap().total).sum();
        v1::Plan {
            parcels,
            total_cost: Some(v1::Money { currency_code: "CNY".into(), minor_units: cost }),
            value: Some(v1::PlanValue { cost, ..Default::default() }),
            proof: i32::from(v1::ProofState::Proved),
            ..Default::default()
        }
    }

    fn candidate(location: &str, removed_by: &str, stock: Vec<v1::ParcelLine>, total: i64) -> v1::CandidateExplanation {
        v1::CandidateExplanation {
            location: location.into(),
            removed_by: removed_by.into(),
            stock,
            terms: removed_by.is_empty().then_some(terms(total, 0, 0, 0)),
            ..Default::default()
        }
    }

    #[test]
    fn one_parcel_and_the_runner_up() {
        let decided = plan(vec![parcel("HZ-DC1", "SF", vec![line("TEE", 2)], terms(200, 800, 330, -100))]);
        let explanation = v1::Explanation {
            candidates: vec![
                candidate("HZ-DC1", "", vec![line("TEE", 2)], 1_230),
                candidate("SH", "rule:no-stores", vec![line("TEE", 1)], 0),
                candidate("BJ", "no_carrier", vec![line("TEE", 1)], 0),
            ],
            runner_up: Some(plan(vec![parcel("NB", "SF", vec![line("TEE", 2)], terms(0, 1_350, 0, 0))])),
            ..Default::default()
        };
        let expected = [
            "Ships in 1 parcel: HZ-DC1 has all of it.",
            "HZ-DC1 by SF costs 12.30 CNY: handling 2.00 + carriage 8.00 + picking 3.30 - preference 1.00.",
            "The runner-up is NB at 13.50 CNY.",
            "2 locations were left out: 1 by no_carrier and 1 by rule:no-stores.",
            "No plan is better: that is proved.",
        ];
        assert_eq!(why(&decided, &explanation), expected);
    }

    #[test]
    fn several_parcels_and_what_is_left() {
        let parcels = vec![
            parcel("A", "", vec![line("X", 1)], terms(0, 0, 0, 0)),
            parcel("B", "", vec![line("Y", 1)], terms(100, 0, 0, 0)),
        ];
        let mut decided = plan(parcels);
        let mut explanation = v1::Explanation {
            candidates: vec![candidate("A", "", vec![line("X", 1)], 0), candidate("B", "", vec![line("Y", 1)], 100)],
            ..Default::default()
        };
        assert_eq!(why(&decided, &explanation)[0], "Ships in 2 parcels because no location has all of it.");
        explanation.candidates.push(candidate("C", "", vec![line("X", 1), line("Y", 1)], 250));
        let told = why(&decided, &explanation);
        assert_eq!(told[0], "Ships in 2 parcels although C has all of it: one parcel from there would cost 2.50 CNY.");
        assert_eq!(told[1], "A costs nothing.");
        decided.unserved = vec![v1::Unserved { sku: "Z".into(), quantity: 3, reason: 3 }];
        decided.substitutions = vec![v1::Substitution { sku: "W".into(), substitute: "Y".into(), quantity: 1 }];
        decided.proof = i32::from(v1::ProofState::OutOfBudget);
        decided.gap_ppm = 12_345;
        let told = why(&decided, &explanation);
        let expected = [
            "In place of W the buyer gets 1 unit of Y, as agreed.",
            "Not served: 3 units of Z; no carrier brings them there.",
            "The search ended at its limit; the best plan is at most 1.23 % cheaper.",
        ];
        assert_eq!(told[3..], expected);
        assert_eq!(why(&plan(Vec::new()), &v1::Explanation::default())[0], "No plan serves the order.");
        let same = vec![
            parcel("A", "", vec![line("X", 1)], terms(0, 0, 0, 0)),
            parcel("A", "", vec![line("Y", 1)], terms(0, 0, 0, 0)),
        ];
        let told = why(&plan(same), &v1::Explanation::default());
        assert_eq!(
            told[0],
            "Ships in 2 parcels from A because goods of different temperature or danger never share one."
        );
    }

    #[test]
    fn changes_that_would_have_won() {
        let told = [
            counterfactual("HZ", "CNY", Some(120), Some(("TEE-RED-M", 1))),
            counterfactual("HZ", "JPY", Some(1_200), None),
            counterfactual("HZ", "KWD", None, Some(("TEE", 1_500))),
            counterfactual("HZ", "XXX", Some(0), None),
            counterfactual("HZ", "XXX", Some(5), None),
        ];
        let expected = [
            "HZ wins if its parcel cost falls by more than 1.20 CNY, or if it had 1 more unit of TEE-RED-M.",
            "HZ wins if its parcel cost falls by more than 1,200 JPY.",
            "HZ wins if it had 1,500 more units of TEE.",
            "HZ wins if its parcel cost falls at all.",
            "HZ wins if its parcel cost falls by more than 0.05.",
        ];
        assert_eq!(told, expected);
        assert_eq!((money(-1_234_567, "KWD"), money(5, "CNY")), ("-1,234.567 KWD".into(), "0.05 CNY".into()));
    }
}
