//! `quartermaster campaign`: campaigns on a running server.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use quartermaster_engine::time::Timestamp;
use quartermaster_proto::v1::campaign_service_client::CampaignServiceClient;
use quartermaster_proto::v1::upsert_campaigns_response::Outcome;
use quartermaster_proto::v1::{
    Campaign, CampaignItem, CampaignState, CampaignStatus, CampaignTranche, EndCampaignRequest, GetCampaignRequest,
    ListCampaignsRequest, UpsertCampaignsRequest,
};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::remote::Target;
use super::{Output, exit, print, show};

/// Campaigns on a running server: made, changed, shown, ended.
#[derive(Clone, Debug, clap::Args)]
pub struct CampaignArgs {
    #[command(subcommand)]
    step: Step,
    /// Form of what is printed.
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Debug, Subcommand)]
enum Step {
    /// Makes a campaign, or changes it: what is not named of one that is there is no longer its.
    Put {
        /// Its code.
        code: String,
        /// Name for people.
        #[arg(long, default_value = "")]
        name: String,
        /// Code of the channel it runs in; without it none.
        #[arg(long, default_value = "")]
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

/// Why a command ended early.
enum Stop {
    BadTarget(String),
    Rejected(String),
    Refused(Box<Status>),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// Does one step. Ends with 0 when it is done, with 1 when the server refused it, with 2 when it cannot be asked.
pub async fn run(args: &CampaignArgs) -> ExitCode {
    match step(args).await {
        Ok(()) => exit::OK.into(),
        Err(Stop::BadTarget(error)) => {
            eprintln!("quartermaster campaign: {error}");
            exit::UNUSABLE.into()
        }
        Err(Stop::Rejected(message)) => {
            eprintln!("quartermaster campaign: refused: {message}");
            exit::FAILED.into()
        }
        Err(Stop::Refused(status)) => {
            eprintln!("quartermaster campaign: {}", args.target.explain(&status));
            for wrong in status.get_error_details().bad_request().iter().flat_map(|bad| &bad.field_violations) {
                eprintln!("  {}: {}", wrong.field, wrong.description);
            }
            exit::FAILED.into()
        }
    }
}

async fn step(args: &CampaignArgs) -> Result<(), Stop> {
    let channel = args.target.channel().map_err(Stop::BadTarget)?;
    let mut client = CampaignServiceClient::new(channel).max_decoding_message_size(64 << 20);
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
            let request =
                UpsertCampaignsRequest { request_id: request_id("put"), campaigns: vec![campaign], clip: *clip };
            match client.upsert_campaigns(request).await?.into_inner().outcome {
                Some(Outcome::Rejection(rejection)) => return Err(Stop::Rejected(rejection.message)),
                Some(Outcome::Done(done)) if done.created > 0 => print(&format!("made {code}\n")),
                Some(Outcome::Done(_)) | None => print(&format!("changed {code}\n")),
            }
        }
        Step::Show { code } => {
            let request = GetCampaignRequest { code: code.clone() };
            if let Some(status) = client.get_campaign(request).await?.into_inner().campaign {
                print(&match args.output {
                    Output::Text => page(&status),
                    Output::Json => json(&status),
                });
            }
        }
        Step::List { open } => {
            let (mut all, mut page_token) = (Vec::new(), String::new());
            loop {
                let request = ListCampaignsRequest { open_only: *open, page_size: 100, page_token };
                let answer = client.list_campaigns(request).await?.into_inner();
                all.extend(answer.campaigns);
                page_token = answer.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            match args.output {
                Output::Text => print(&table(&all)),
                Output::Json => all.iter().for_each(|status| print(&json(status))),
            }
        }
        Step::End { code } => {
            let request = EndCampaignRequest { request_id: request_id("end"), code: code.clone() };
            let answer = client.end_campaign(request).await?.into_inner();
            print(&format!("ended {code}: {} units are the pool's again\n", answer.returned));
        }
    }
    Ok(())
}

/// Ids of requests that nobody repeats: by time.
fn request_id(step: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("cli-campaign-{step}-{}", now.as_nanos())
}

fn wire_time(at: Timestamp) -> prost_types::Timestamp {
    let seconds = i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX);
    prost_types::Timestamp { seconds, nanos: i32::try_from(at.0 % 1_000_000 * 1_000).unwrap_or(0) }
}

fn json(status: &CampaignStatus) -> String {
    let descriptor = DescriptorPool::decode(quartermaster_proto::FILE_DESCRIPTOR_SET)
        .ok()
        .and_then(|pool| pool.get_message_by_name("quartermaster.v1.CampaignStatus"));
    let message =
        descriptor.and_then(|descriptor| DynamicMessage::decode(descriptor, &status.encode_to_vec()[..]).ok());
    let text = message.and_then(|message| serde_json::to_string(&message).ok()).unwrap_or_default();
    format!("{text}\n")
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
