//! Prices that make leaving units unserved the better choice.

use quartermaster_routing::{Money, Objective};

use super::Findings;
use crate::policy::compile::Policy;
use crate::policy::document::Document;

pub(super) fn look(document: &Document, policy: &Policy, cheapest_parcel: Option<Money>, findings: &mut Findings) {
    let prices = &document.prices;
    if document.merge.as_ref().is_some_and(|merge| merge.window.seconds() == 0) {
        findings.warn("merge.window", "is no time at all: nothing is merged");
    }
    if policy.steps().iter().all(|step| step.objective() != Objective::Money) {
        return;
    }
    let unserved = prices.unserved_unit;
    if let Some(parcel) = cheapest_parcel.filter(|parcel| unserved < parcel.0) {
        let message =
            format!("the cheapest parcel costs {parcel}: an order of one unit would rather go unserved at {unserved}");
        findings.warn("prices.unserved_unit", message);
    }
    let cover =
        prices.cover.iter().enumerate().filter_map(|(at, step)| Some((format!("prices.cover[{at}]"), step.price?)));
    let wishes = document.preferences.iter().enumerate();
    let wishes = wishes.map(|(at, wish)| (format!("preferences[{at}].unit_price"), wish.unit_price));
    let last = prices.last_pieces.map(|last| ("prices.last_pieces.price".to_owned(), last.price));
    let run = prices.size_run.map(|run| ("prices.size_run.break_price".to_owned(), run.break_price));
    let substitute = ("prices.substitution_unit".to_owned(), prices.substitution_unit);
    for (path, price) in last.into_iter().chain(run).chain([substitute]).chain(cover).chain(wishes) {
        if price > unserved {
            let message = format!(
                "{price} is more than an unserved unit costs ({unserved}): it refuses what it should discourage"
            );
            findings.warn(&path, message);
        }
    }
}
