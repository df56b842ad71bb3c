//! `quartermaster campaign`: campaigns on a running server.

use std::process::ExitCode;

use clap::Subcommand;
use quartermaster_engine::time::Timestamp;
use quartermaster_proto::v1::upsert_campaigns_response::Outcome;
use quartermaster_proto::v1::{
    Campaign, CampaignItem, CampaignState, CampaignStatus, CampaignTranche, EndCampaignRequest, GetCampaignRequest,
    ListCampaignsRequest, UpsertCampaignsRequest,
};

use super::ask::{Changing, Stop};
use super::lines::wire_time;
use super::output::message_json;
use super::{Output, print, show};

/// Campaigns on a running server: made, changed, shown, ended.
#[derive(Clone, Debug, clap::Args)]
pub struct CampaignArgs {
    #[command(subcommand)]
    step: Step,
    #[command(flatten)]
    asked: Changing,
}

#[derive(Clone, Debug, Subcommand)]
enum Step {
    /// Makes a campaign, or changes it: what is not named of one that is there is no longer its.
    Put {
        /// Its code.
        code: String,
        /// Name for people.
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// Code of the channel it runs in; without it none.
        #[arg(long, default_value = "", hide_default_value = true)]
        channel: String,
        /// Orders are taken from then on, as 2026-11-11T00:00:00+08:00.
        #[arg(long, value_name = "TIME", value_parser = show::parse_time)]
        start: Timestamp,
        /// Orders are taken until then.
        #[arg(long, value_name = "TIME", value_parser = show::parse_time)]
        end: Timestamp,
        /// Units a buyer may have; 0 for no limit.
        #[arg(long, default_value_t = 0)]
        buyer_limit: u32,
        /// Units an order may have; 0 for no limit.
        #[arg(long, default_value_t = 0)]
        order_limit: u32,
        /// What is sold: SKU=UNITS, or SKU=UNITS@TIME for units that come later. May be given again, for a SKU, too.
        #[arg(long = "item", value_name = "SKU=UNITS[@TIME]", value_parser = parse_item, required = true)]
        items: Vec<Tranche>,
        /// Cut units down to what the pool has.
        #[arg(long)]
        clip: bool,
    },
    /// Shows a campaign and what became of its units.
    Show {
        /// Its code.
        code: String,
    },
    /// Lists campaigns.
    List {
        /// Only those that are not closed.
        #[arg(long)]
        open: bool,
    },
    /// Ends a campaign now.
    End {
        /// Its code.
        code: String,
    },
}

/// Units of a SKU from a time on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tranche {
    sku: String,
    units: u32,
    at: Option<Timestamp>,
}

fn parse_item(text: &str) -> Result<Tranche, String> {
    let (sku, rest) = text.rsplit_once('=').ok_or_else(|| format!("{text:?} has no `=`; write it as SKU=UNITS"))?;
    let (units, at) = match rest.split_once('@') {
        None => (rest, None),
        Some((units, at)) => (units, Some(show::parse_time(at)?)),
    };
    let units = units.parse().map_err(|_| format!("{units:?} is no number of units"))?;
    Ok(Tranche { sku: sku.to_owned(), units, at })
}

/// Tranches by SKU, in the order the SKUs came.
fn items(tranches: &[Tranche]) -> Vec<CampaignItem> {
    let mut items: Vec<CampaignItem> = Vec::new();
    for tranche in tranches {
        let own = CampaignTranche { release_time: tranche.at.map(wire_time), quantity: tranche.units.into() };
        match items.iter_mut().find(|item| item.sku == tranche.sku) {
            Some(item) => item.tranches.push(own),
            None => items.push(CampaignItem { sku: tranche.sku.clone(), tranches: vec![own] }),
        }
    }
    items
}

/// Does one step.
pub async fn run(args: &CampaignArgs) -> ExitCode {
    args.asked.end("campaign", step(args).await)
}

async fn step(args: &CampaignArgs) -> Result<(), Stop> {
    let client = args.asked.open()?;
    let output = client.output;
    match &args.step {
        Step::Put { code, name, channel, start, end, buyer_limit, order_limit, items: tranches, clip } => {
            let campaign = Campaign {
                code: code.clone(),
                name: name.clone(),
                channel: channel.clone(),
                start_time: Some(wire_time(*start)),
                end_time: Some(wire_time(*end)),
                buyer_limit: (*buyer_limit).into(),
                order_limit: (*order_limit).into(),
                items: items(tranches),
            };
            let request = UpsertCampaignsRequest { request_id: String::new(), campaigns: vec![campaign], clip: *clip };
            match client.call(request).await?.answer.outcome {
                Some(Outcome::Rejection(rejection)) => return Err(Stop::Rejected(Box::new(rejection))),
                Some(Outcome::Done(done)) if done.created > 0 => print(&format!("made {code}\n")),
                Some(Outcome::Done(_)) | None => print(&format!("changed {code}\n")),
            }
        }
        Step::Show { code } => {
            let request = GetCampaignRequest { code: code.clone() };
            if let Some(status) = client.call(request).await?.answer.campaign {
                print(&match output {
                    Output::Text => page(&status),
                    Output::Json => json(&status),
                });
            }
        }
        Step::List { open } => {
            let (mut all, mut page_token) = (Vec::new(), String::new());
            loop {
                let request = ListCampaignsRequest { open_only: *open, page_size: 100, page_token };
                let answer = client.call(request).await?.answer;
                all.extend(answer.campaigns);
                page_token = answer.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            match output {
                Output::Text => print(&table(&all)),
                Output::Json => all.iter().for_each(|status| print(&json(status))),
            }
        }
        Step::End { code } => {
            let request = EndCampaignRequest { request_id: String::new(), code: code.clone() };
            let answer = client.call(request).await?.answer;
            print(&format!("ended {code}: {} units are the pool's again\n", answer.returned));
        }
    }
    Ok(())
}

fn json(status: &CampaignStatus) -> String {
    format!("{}\n", message_json("CampaignStatus", status))
}

fn state(status: &CampaignStatus) -> &'static str {
    match status.state() {
        CampaignState::Scheduled => "scheduled",
        CampaignState::Running => "running",
        CampaignState::Ended => "ended",
        CampaignState::Unspecified => "",
    }
}

fn times(campaign: &Campaign) -> (String, String) {
    let text = |at: Option<prost_types::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    (text(campaign.start_time), text(campaign.end_time))
}

fn table(all: &[CampaignStatus]) -> String {
    let mut page = format!(
        "{:<20}  {:<9}  {:<20}  {:<20}  {:>9}  {:>9}  {:>7}\n",
        "code", "state", "start", "end", "allotted", "granted", "buyers"
    );
    for status in all {
        let campaign = status.campaign.clone().unwrap_or_default();
        let (start, end) = times(&campaign);
        let sum =
            |of: fn(&quartermaster_proto::v1::CampaignItemStatus) -> i64| status.items.iter().map(of).sum::<i64>();
        let (allotted, granted) = (sum(|item| item.allotted), sum(|item| item.granted));
        let state = state(status);
        page += &format!(
            "{:<20}  {state:<9}  {start:<20}  {end:<20}  {allotted:>9}  {granted:>9}  {:>7}\n",
            campaign.code, status.buyers
        );
    }
    page
}

fn page(status: &CampaignStatus) -> String {
    let campaign = status.campaign.clone().unwrap_or_default();
    let (start, end) = times(&campaign);
    let ppm = status.conversion_ppm;
    let mut page = format!("{} ({}), {start} to {end}\n", campaign.code, state(status));
    page += &format!("buyers {}, conversion {}.{} %\n", status.buyers, ppm / 10_000, ppm / 1_000 % 10);
    page += &format!(
        "{:<20}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>7}\n",
        "sku", "allotted", "released", "held", "confirmed", "shipped", "remaining", "back", "waiting"
    );
    for item in &status.items {
        page += &format!(
            "{:<20}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>7}\n",
            item.sku,
            item.allotted,
            item.released,
            item.held,
            item.confirmed,
            item.shipped,
            item.remaining,
            item.given_back,
            item.waiting
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tranches_of_a_sku_come_together() {
        let tranches = ["A=5", "B=3", "A=2@2026-11-11T00:00:00Z"].map(|text| parse_item(text).unwrap());
        let items = items(&tranches);
        let units: Vec<(&str, Vec<i64>)> = items
            .iter()
            .map(|item| (item.sku.as_str(), item.tranches.iter().map(|tranche| tranche.quantity).collect()))
            .collect();
        assert_eq!(units, [("A", vec![5, 2]), ("B", vec![3])]);
        assert_eq!(items[0].tranches[1].release_time.map(|at| at.seconds), Some(1_794_355_200));
        for wrong in ["A", "A=x", "A=5@never"] {
            assert!(parse_item(wrong).is_err(), "{wrong}");
        }
    }
}
