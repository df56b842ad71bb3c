//! `quartermaster route` and `split`: by which parcels an order would be served, and how it is cut into packages. Nothing is changed.

use std::process::ExitCode;

use quartermaster_client::Called;
use quartermaster_proto::v1::route_response::Outcome;
use quartermaster_proto::v1::{
    Plan, Quote, RouteRequest, RouteResponse, SplitKey, SplitLine, SplitRequest, SplitResponse, SplitRule,
};

use super::ask::{Asked, Stop};
use super::exit;
use super::lines::{Units, named, units};
use super::output::{label, table, time};
use super::sourcing::SourcingArgs;
use super::why::{candidates, cost, goods};

/// The plan by which an order would be served now.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quartermaster route TEE-RED-M=2 --region 330106
  quartermaster route TEE-RED-M=2 CAP=1 --region 330106 --parcels-max 1 --explain --alternatives 2
Ends with 3 when units are left unserved.")]
pub struct RouteArgs {
    /// SKU=UNITS or SKU@LOCATION=UNITS.
    #[arg(required = true, value_name = "SKU=UNITS", value_parser = units)]
    lines: Vec<Units>,
    /// Channel code.
    #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true)]
    channel: String,
    /// The buyer, for open parcels to the same receiver.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    buyer: String,
    /// Allow a plan that leaves units unserved.
    #[arg(long)]
    partial: bool,
    /// Say why: every candidate, and what would have changed the plan.
    #[arg(long)]
    explain: bool,
    /// Other plans wanted, 0 to 5.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    alternatives: i32,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    sourcing: SourcingArgs,
}

/// How an order is cut into packages.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quartermaster split --reservation 0000000000080 --by location --by weight=20000
  quartermaster split TEE-RED-M@HZ-DC1=3 CAP@SH-01=1 --by location --by units=2")]
pub struct SplitArgs {
    /// SKU=UNITS or SKU@LOCATION=UNITS.
    #[arg(value_name = "SKU=UNITS", value_parser = units, required_unless_present = "reservation", conflicts_with = "reservation")]
    lines: Vec<Units>,
    /// The open units of this reservation.
    #[arg(long, value_name = "ID")]
    reservation: Option<String>,
    /// location, category, temperature, dangerous-goods; weight=GRAMS, volume=MM3, value=MINOR-UNITS, units=COUNT; carrier=SERVICE. In
    /// their order.
    #[arg(long, value_name = "RULE", required = true, value_parser = rule)]
    by: Vec<SplitRule>,
    #[command(flatten)]
    asked: Asked,
}

fn rule(text: &str) -> Result<SplitRule, String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let key = named(key, "SPLIT_KEY_", SplitKey::from_str_name, "rule")?;
    let mut rule = SplitRule { key: key.into(), ..SplitRule::default() };
    match key {
        SplitKey::Weight | SplitKey::Volume | SplitKey::Value | SplitKey::Units => {
            rule.limit = value.parse().map_err(|_| format!("{text:?} needs a limit, as weight=20000"))?;
        }
        SplitKey::Carrier if value.is_empty() => return Err("carrier needs a service, as carrier=SF".to_owned()),
        SplitKey::Carrier => value.clone_into(&mut rule.service),
        SplitKey::Unspecified
        | SplitKey::Location
        | SplitKey::Category
        | SplitKey::Temperature
        | SplitKey::DangerousGoods => {
            if !value.is_empty() {
                return Err(format!("{text:?} takes no value"));
            }
        }
    }
    Ok(rule)
}

/// Asks for a plan.
pub async fn route(args: &RouteArgs) -> ExitCode {
    args.asked.end("route", routed(args).await)
}

async fn routed(args: &RouteArgs) -> Result<(), Stop> {
    let request = RouteRequest {
        channel: args.channel.clone(),
        lines: args.lines.iter().map(|units| args.sourcing.line(units)).collect(),
        sourcing: args.sourcing.message(),
        allow_partial: args.partial,
        explain: args.explain,
        alternatives: args.alternatives,
        buyer_id: args.buyer.clone(),
    };
    let mut unserved = false;
    let page = |called: &Called<RouteResponse>| match &called.answer.outcome {
        Some(Outcome::Rejection(rejection)) => Err(Box::new(rejection.clone())),
        Some(Outcome::Quote(quote)) => {
            unserved = quote.plan.as_ref().is_some_and(|plan| !plan.unserved.is_empty());
            Ok(quote_page(quote))
        }
        None => Ok(String::new()),
    };
    args.asked.open()?.tell(request, page).await?;
    if unserved { Err(Stop::Ended(exit::NO)) } else { Ok(()) }
}

fn quote_page(quote: &Quote) -> String {
    let plan = quote.plan.clone().unwrap_or_default();
    let policy = quote.policy.clone().unwrap_or_default();
    let mut page = format!("by policy {} version {}, step {}\n", policy.name, policy.version, plan.step);
    page += &plan_page(&plan);
    for (at, other) in quote.alternatives.iter().enumerate() {
        page += &format!("\nalternative {}\n{}", at + 1, plan_page(other));
    }
    if let Some(explanation) = &quote.explanation {
        page += "\n";
        explanation.sentences.iter().for_each(|sentence| page += &format!("{sentence}\n"));
        page += &format!("\n{}", candidates(&plan, explanation));
        explanation.counterfactuals.iter().for_each(|one| page += &format!("{}\n", one.sentence));
    }
    page
}

fn plan_page(plan: &Plan) -> String {
    let rows = plan.parcels.iter().map(|parcel| {
        let (ships, arrives) = (time(parcel.ship_time), time(parcel.delivery_time));
        let cost = cost(&parcel.terms.unwrap_or_default());
        [parcel.location.clone(), goods(&parcel.lines), parcel.service.clone(), ships, arrives, cost]
    });
    let mut page = String::new();
    if !plan.parcels.is_empty() {
        page += &table(["LOCATION", "GOODS", "BY", "SHIPS", "ARRIVES", "COST"], rows);
    }
    for one in &plan.substitutions {
        page += &format!("{} of {} instead of {}\n", one.quantity, one.substitute, one.sku);
    }
    for one in &plan.unserved {
        let why = label(one.reason().as_str_name(), "UNSERVED_REASON_").replace('_', " ");
        page += &format!("not served: {} of {}, {why}\n", one.quantity, one.sku);
    }
    let total = plan.total_cost.clone().unwrap_or_default();
    let proof = label(plan.proof().as_str_name(), "PROOF_STATE_").replace('_', " ");
    page + &format!(
        "{} parcels, {} minor units {}, {proof}\n",
        plan.parcels.len(),
        total.minor_units,
        total.currency_code
    )
}

/// Asks how an order is cut.
pub async fn split(args: &SplitArgs) -> ExitCode {
    let done = async {
        let line = |units: &Units| SplitLine {
            sku: units.sku.clone(),
            quantity: units.quantity,
            location: units.location.clone(),
            ..SplitLine::default()
        };
        let request = SplitRequest {
            reservation_id: args.reservation.clone().unwrap_or_default(),
            lines: args.lines.iter().map(line).collect(),
            rules: args.by.clone(),
        };
        args.asked.open()?.tell(request, |called| Ok(packages(&called.answer))).await
    };
    args.asked.end("split", done.await)
}

fn packages(answer: &SplitResponse) -> String {
    let rows = answer.packages.iter().enumerate().map(|(at, package)| {
        let [weight, volume, value] =
            [package.weight_grams, package.volume_mm3, package.value].map(|one| one.to_string());
        let (at, place) = ((at + 1).to_string(), package.location.clone());
        [at, place, goods(&package.lines), weight, volume, value, package.path.join(", ")]
    });
    let page = table(["PACKAGE", "LOCATION", "GOODS", "GRAMS", "MM3", "VALUE", "APART BY"], rows);
    page + &format!("{} packages, at least {} are needed\n", answer.packages.len(), answer.packages_lower_bound)
}

#[cfg(test)]
mod tests {
    use quartermaster_proto::v1::{CostTerms, Money, Parcel, ParcelLine, ProofState, Unserved, UnservedReason};

    use super::*;

    #[test]
    fn rules_are_read_with_their_limits() {
        assert_eq!(rule("weight=20000").map(|rule| (rule.key, rule.limit)), Ok((SplitKey::Weight.into(), 20_000)));
        assert_eq!(rule("carrier=SF").map(|rule| rule.service), Ok("SF".to_owned()));
        for wrong in ["weight", "weight=x", "carrier", "location=HZ", "colour"] {
            assert!(rule(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_plan_reads_as_its_parcels() {
        let line = ParcelLine { sku: "A".into(), quantity: 2 };
        let terms = CostTerms { handling: 200, total: 200, ..CostTerms::default() };
        let parcel = Parcel { location: "L1".into(), lines: vec![line], terms: Some(terms), ..Parcel::default() };
        let unserved = Unserved { sku: "B".into(), quantity: 1, reason: UnservedReason::NoStock.into() };
        let plan = Plan {
            parcels: vec![parcel],
            unserved: vec![unserved],
            total_cost: Some(Money { currency_code: "CNY".into(), minor_units: 200 }),
            proof: ProofState::OutOfBudget.into(),
            ..Plan::default()
        };
        let expected = "LOCATION  GOODS  BY  SHIPS  ARRIVES  COST\nL1        2 A            -        -  200 = handling 200\n\
                        not served: 1 of B, no stock\n1 parcels, 200 minor units CNY, out of budget\n";
        assert_eq!(plan_page(&plan), expected);
    }
}
