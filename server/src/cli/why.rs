//! `quartermaster why`: why a reservation ships from where it does, asked of a running server and told as text.

use std::process::ExitCode;

use quartermaster_proto::v1::routing_service_client::RoutingServiceClient;
use quartermaster_proto::v1::{
    CandidateExplanation, CostTerms, ExplainReservationRequest, ExplainReservationResponse, Explanation, Parcel,
    ParcelLine, Plan,
};

use super::remote::Target;
use super::{exit, print, show};

/// Tells why a reservation made with sourcing ships from where it does.
#[derive(Clone, Debug, clap::Args)]
pub struct WhyArgs {
    /// Id of the reservation.
    reservation: String,
    #[command(flatten)]
    target: Target,
}

/// Asks and prints.
pub async fn run(args: &WhyArgs) -> ExitCode {
    let channel = match args.target.channel() {
        Ok(channel) => channel,
        Err(error) => {
            eprintln!("quartermaster why: {error}");
            return exit::UNUSABLE.into();
        }
    };
    let request = ExplainReservationRequest { reservation_id: args.reservation.clone() };
    match RoutingServiceClient::new(channel).explain_reservation(request).await {
        Ok(answer) => {
            print(&page(&args.reservation, &answer.into_inner()));
            exit::OK.into()
        }
        Err(status) => args.target.refused("why", &status).into(),
    }
}

fn page(reservation: &str, answer: &ExplainReservationResponse) -> String {
    let quote = answer.quote.clone().unwrap_or_default();
    let (plan, policy) = (quote.plan.unwrap_or_default(), quote.policy.unwrap_or_default());
    let decided = answer.decide_time.map_or_else(|| "unknown".to_owned(), |at| at.to_string());
    let lsn = show::number(answer.position.unwrap_or_default().lsn);
    let by = if answer.actor.is_empty() { String::new() } else { format!(", asked for by {}", answer.actor) };
    let mut text = format!(
        "reservation {reservation}{by}, decided {decided} at LSN {lsn} by policy {} version {}, step {}\n",
        policy.name, policy.version, plan.step
    );
    let Some(explanation) = quote.explanation else {
        text.push_str(
            "The policy keeps only a summary of its decisions: this is the plan, the candidates are not known.\n\n",
        );
        text.push_str(&parcels(&plan));
        return text;
    };
    text.push('\n');
    explanation.sentences.iter().for_each(|sentence| text.push_str(&format!("{sentence}\n")));
    text.push('\n');
    text.push_str(&candidates(&plan, &explanation));
    if let Some(next) = &explanation.runner_up {
        text.push_str("\nthe runner-up\n");
        text.push_str(&parcels(next));
    }
    if !explanation.counterfactuals.is_empty() {
        text.push_str("\nwhat would have changed it\n");
        explanation.counterfactuals.iter().for_each(|one| text.push_str(&format!("  {}\n", one.sentence)));
    }
    text
}

/// Every location: what it has, and what removed it or what a parcel from there would cost, in minor units.
pub(super) fn candidates(plan: &Plan, explanation: &Explanation) -> String {
    let currency = plan.total_cost.as_ref().map_or("", |cost| cost.currency_code.as_str());
    let mut rows = vec![vec![
        String::new(),
        "location".to_owned(),
        "has".to_owned(),
        format!("cost in minor units ({currency})"),
        "by".to_owned(),
        "arrives".to_owned(),
    ]];
    rows.extend(explanation.candidates.iter().map(candidate));
    table(&rows)
}

fn candidate(place: &CandidateExplanation) -> Vec<String> {
    let cost = match (&place.terms, place.removed_by.as_str()) {
        (Some(terms), "") => cost(terms),
        (None, "") => "no service carries all of it".to_owned(),
        (_, removed_by) => format!("left out: {removed_by}"),
    };
    let arrives = place.delivery_time.map_or_else(String::new, |at| at.to_string());
    let chosen = if place.chosen { "*" } else { "" };
    vec![chosen.to_owned(), place.location.clone(), goods(&place.stock), cost, place.service.clone(), arrives]
}

fn parcels(plan: &Plan) -> String {
    let row = |parcel: &Parcel| {
        let cost = cost(&parcel.terms.unwrap_or_default());
        let arrives = parcel.delivery_time.map_or_else(String::new, |at| at.to_string());
        vec![String::new(), parcel.location.clone(), goods(&parcel.lines), cost, parcel.service.clone(), arrives]
    };
    table(&plan.parcels.iter().map(row).collect::<Vec<_>>())
}

/// The total and the terms it is made of; those of 0 are left out.
pub(super) fn cost(terms: &CostTerms) -> String {
    let named = [
        ("handling", terms.handling),
        ("carriage", terms.carriage),
        ("picking", terms.picking),
        ("lateness", terms.lateness),
        ("preference", terms.preference),
        ("opportunity", terms.opportunity),
        ("pressure", terms.pressure),
    ];
    let parts = named.into_iter().filter(|(_, amount)| *amount != 0).map(|(name, amount)| format!("{name} {amount}"));
    let parts = parts.collect::<Vec<_>>().join(", ");
    if parts.is_empty() { terms.total.to_string() } else { format!("{} = {parts}", terms.total) }
}

pub(super) fn goods(lines: &[ParcelLine]) -> String {
    lines.iter().map(|line| format!("{} {}", line.quantity, line.sku)).collect::<Vec<_>>().join(", ")
}

/// Columns as wide as their widest entry.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use quartermaster_proto::v1::{Counterfactual, Money, PolicyRef, Position, Quote};

    use super::*;

    #[test]
    fn the_page_has_every_location_and_what_would_have_changed_it() {
        let line = ParcelLine { sku: "TEE".into(), quantity: 2 };
        let terms = CostTerms { handling: 200, carriage: 800, total: 1_000, ..CostTerms::default() };
        let chosen = CandidateExplanation {
            location: "HZ-DC1".into(),
            stock: vec![line.clone()],
            terms: Some(terms),
            service: "SF".into(),
            chosen: true,
            ..CandidateExplanation::default()
        };
        let removed = CandidateExplanation {
            location: "SH".into(),
            removed_by: "no_carrier".into(),
            ..CandidateExplanation::default()
        };
        let parcel = Parcel { location: "NB".into(), lines: vec![line], terms: Some(terms), ..Parcel::default() };
        let explanation = Explanation {
            candidates: vec![chosen, removed],
            runner_up: Some(Plan { parcels: vec![parcel], ..Plan::default() }),
            counterfactuals: vec![Counterfactual {
                sentence: "NB wins if it pays.".into(),
                ..Counterfactual::default()
            }],
            sentences: vec!["Ships in 1 parcel: HZ-DC1 has all of it.".into()],
        };
        let plan = Plan {
            total_cost: Some(Money { currency_code: "CNY".into(), minor_units: 1_000 }),
            step: "first".into(),
            ..Plan::default()
        };
        let mut answer = ExplainReservationResponse {
            position: Some(Position { lsn: 1_234, ..Position::default() }),
            decide_time: Some(prost_types::Timestamp { seconds: 1_794_355_200, nanos: 0 }),
            quote: Some(Quote {
                plan: Some(plan),
                policy: Some(PolicyRef { name: "default".into(), version: 0 }),
                explanation: Some(explanation),
                alternatives: Vec::new(),
            }),
            summary_only: false,
            actor: "web-gateway".into(),
        };
        let expected = "\
reservation 0000000000100, asked for by web-gateway, decided 2026-11-11T00:00:00Z at LSN 1,234 by policy default version 0, step first

Ships in 1 parcel: HZ-DC1 has all of it.

   location  has    cost in minor units (CNY)          by  arrives
*  HZ-DC1    2 TEE  1000 = handling 200, carriage 800  SF
   SH               left out: no_carrier

the runner-up
  NB  2 TEE  1000 = handling 200, carriage 800

what would have changed it
  NB wins if it pays.
";
        assert_eq!(page("0000000000100", &answer), expected);
        answer.summary_only = true;
        answer.quote.as_mut().unwrap().explanation = None;
        assert!(page("0000000000100", &answer).contains("only a summary"));
    }
}
