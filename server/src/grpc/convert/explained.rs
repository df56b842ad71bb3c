//! Explanations as they are told: candidates by code, the plan that comes next, what would have changed the decision, and sentences.

use quartermaster_engine::{
    catalog::Catalogue,
    id::{LocationId, SkuId},
    route::Explanation,
    sourced::Decision,
};
use quartermaster_proto::v1;
use quartermaster_sourcing::explain::{Counterfactual, Note};

use super::{sentences, sourced, time};

/// Why `plan`, as which `decision` is told, is what it is.
pub(crate) fn explanation(
    catalogue: &Catalogue,
    decision: &Decision,
    plan: &v1::Plan,
    explanation: &Explanation,
) -> v1::Explanation {
    let candidates = explanation.notes.iter().map(|note| candidate(catalogue, explanation, note));
    let runner_up = explanation.runner_up.as_ref();
    let counterfactuals = explanation.counterfactuals.iter();
    let mut told = v1::Explanation {
        candidates: candidates.collect(),
        runner_up: runner_up.map(|plan| sourced::other(catalogue, plan, decision, &explanation.services)),
        counterfactuals: counterfactuals.map(|one| counterfactual(catalogue, &decision.currency, one)).collect(),
        sentences: Vec::new(),
    };
    told.sentences = sentences::why(plan, &told);
    told
}

fn candidate(catalogue: &Catalogue, explanation: &Explanation, note: &Note) -> v1::CandidateExplanation {
    let rule = |index: usize| explanation.rules.get(index).map_or("", String::as_str);
    let stock = note.stock.iter().map(|(sku, units)| v1::ParcelLine {
        sku: catalogue.sku_code(SkuId(sku.0)).to_owned(),
        quantity: i64::from(*units),
    });
    let (terms, service, arrives_at) = match &note.parcel {
        Some((terms, service, arrives_at)) => (Some(terms), *service, Some(*arrives_at)),
        None => (None, None, None),
    };
    v1::CandidateExplanation {
        location: catalogue.directory().location_code(LocationId(note.location.0)).to_owned(),
        removed_by: note.removed.map(|removal| removal.name(rule)).unwrap_or_default(),
        stock: stock.collect(),
        terms: terms.map(sourced::terms),
        service: sourced::service(&explanation.services, service).to_owned(),
        delivery_time: arrives_at.map(time::moment),
        chosen: note.chosen,
    }
}

fn counterfactual(catalogue: &Catalogue, currency: &str, one: &Counterfactual) -> v1::Counterfactual {
    let location = catalogue.directory().location_code(LocationId(one.location.0));
    let more = one.more_units.map(|(sku, units)| (catalogue.sku_code(SkuId(sku.0)), units));
    let fall = one.parcel_cost_fall.map(|fall| fall.0);
    v1::Counterfactual {
        location: location.to_owned(),
        parcel_cost_fall: fall.unwrap_or_default(),
        more_of_sku: more.map_or_else(String::new, |(sku, _)| sku.to_owned()),
        more_units: more.map_or(0, |(_, units)| i64::from(units)),
        sentence: sentences::counterfactual(location, currency, fall, more),
    }
}
