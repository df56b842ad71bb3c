//! `quartermaster allotment`: units ring-fenced for channels on a running server.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use quartermaster_proto::v1;
use quartermaster_proto::v1::allotment_service_client::AllotmentServiceClient;
use serde_json::{Value, json};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::remote::Target;
use super::{Output, exit, print};

/// Allotments on a running server.
#[derive(Clone, Debug, clap::Args)]
pub struct AllotmentArgs {
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
    /// Makes or replaces an allotment.
    Set {
        #[command(flatten)]
        goods: GoodsArgs,
        #[command(flatten)]
        node: NodeArgs,
        /// Units ring-fenced.
        #[arg(long, value_name = "UNITS", conflicts_with = "percent")]
        quota: Option<i64>,
        /// Percent of what is available now, up to 3 decimals.
        #[arg(long, value_parser = milli_percent)]
        percent: Option<i32>,
        /// Units the node may be promised at most.
        #[arg(long, value_name = "UNITS")]
        ceiling: Option<i64>,
        /// May take from what the node around it can reach.
        #[arg(long)]
        spill_over: bool,
        /// Take what can be had.
        #[arg(long)]
        clip: bool,
    },
    /// Moves unused quota to another node.
    Move {
        #[command(flatten)]
        goods: GoodsArgs,
        /// Channel it leaves.
        #[arg(long)]
        from: String,
        /// Channel it comes to.
        #[arg(long)]
        to: String,
        /// Units.
        units: i64,
        /// Move what can be moved.
        #[arg(long)]
        clip: bool,
    },
    /// Ends allotments of a node: of the goods named, else of all it has.
    Return {
        #[command(flatten)]
        goods: GoodsArgs,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Lists allotments.
    List {
        /// Of this channel only.
        #[arg(long)]
        channel: Option<String>,
        /// Of this campaign only.
        #[arg(long, conflicts_with = "channel")]
        campaign: Option<String>,
        /// Of this SKU only.
        #[arg(long, default_value = "")]
        sku: String,
    },
}

#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
struct GoodsArgs {
    /// SKU code.
    #[arg(long)]
    sku: Option<String>,
    /// Style code: all its SKUs.
    #[arg(long)]
    style: Option<String>,
    /// Category: all its SKUs.
    #[arg(long)]
    category: Option<String>,
}

#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct NodeArgs {
    /// Channel code.
    #[arg(long)]
    channel: Option<String>,
    /// Campaign code.
    #[arg(long)]
    campaign: Option<String>,
}

impl GoodsArgs {
    fn message(&self) -> Option<v1::AllottedGoods> {
        use v1::allotted_goods::Goods;
        let sku = self.sku.clone().map(Goods::Sku);
        let goods = sku.or_else(|| self.style.clone().map(Goods::Style));
        let goods = goods.or_else(|| self.category.clone().map(Goods::Category))?;
        Some(v1::AllottedGoods { goods: Some(goods) })
    }
}

fn node(channel: Option<&String>, campaign: Option<&String>) -> Option<v1::SellingNode> {
    use v1::selling_node::Node;
    let node = channel.cloned().map(Node::Channel).or_else(|| campaign.cloned().map(Node::Campaign))?;
    Some(v1::SellingNode { node: Some(node) })
}

/// Reads a percentage of up to three decimals into thousandths.
fn milli_percent(text: &str) -> Result<i32, String> {
    let wrong = || format!("{text:?} is no percentage from 0 to 100 with up to 3 decimals");
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 3 || !digits(whole) || !digits(decimals) {
        return Err(wrong());
    }
    let milli: i32 = format!("{whole}{decimals:0<3}").parse().map_err(|_| wrong())?;
    if milli <= 100_000 { Ok(milli) } else { Err(wrong()) }
}

/// Why a command ended early.
enum Stop {
    BadTarget(String),
    Refused(Box<Status>),
    Rejected(String),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// Does one step. Ends with 0 when it is done, with 1 when the server refused it, with 2 when it cannot be asked.
pub async fn run(args: &AllotmentArgs) -> ExitCode {
    match step(args).await {
        Ok(text) => {
            print(&text);
            exit::OK.into()
        }
        Err(Stop::BadTarget(error)) => {
            eprintln!("quartermaster allotment: {error}");
            exit::UNUSABLE.into()
        }
        Err(Stop::Rejected(why)) => {
            eprintln!("quartermaster allotment: {why}");
            exit::FAILED.into()
        }
        Err(Stop::Refused(status)) => {
            eprintln!("quartermaster allotment: {}", args.target.explain(&status));
            let details = status.get_error_details();
            for violation in details.bad_request().into_iter().flat_map(|bad| &bad.field_violations) {
                eprintln!("  {}: {}", violation.field, violation.description);
            }
            exit::FAILED.into()
        }
    }
}

async fn step(args: &AllotmentArgs) -> Result<String, Stop> {
    let channel = args.target.channel().map_err(Stop::BadTarget)?;
    let mut client = AllotmentServiceClient::new(channel).max_decoding_message_size(64 << 20);
    match &args.step {
        Step::Set { goods, node: own, quota, percent, ceiling, spill_over, clip } => {
            use v1::allotment_setting::Quota;
            use v1::set_allotments_response::Outcome;
            let setting = v1::AllotmentSetting {
                goods: goods.message(),
                node: node(own.channel.as_ref(), own.campaign.as_ref()),
                quota: quota.map(Quota::Quantity).or(percent.map(Quota::MilliPercent)),
                ceiling: *ceiling,
                spill_over: *spill_over,
            };
            let settings = vec![setting];
            let request = v1::SetAllotmentsRequest { request_id: request_id("set"), settings, clip: *clip };
            match client.set_allotments(request).await?.into_inner().outcome {
                Some(Outcome::Set(outcomes)) => Ok(outcomes_page(&outcomes, args.output)),
                Some(Outcome::Rejection(rejection)) => Err(rejected(&rejection)),
                None => Ok(String::new()),
            }
        }
        Step::Move { goods, from, to, units, clip } => {
            use v1::move_allotments_response::Outcome;
            let (from, to) = (node(Some(from), None), node(Some(to), None));
            let moves = vec![v1::AllotmentMove { goods: goods.message(), from, to, quantity: *units }];
            let request = v1::MoveAllotmentsRequest { request_id: request_id("move"), moves, clip: *clip };
            match client.move_allotments(request).await?.into_inner().outcome {
                Some(Outcome::Moved(outcomes)) => Ok(outcomes_page(&outcomes, args.output)),
                Some(Outcome::Rejection(rejection)) => Err(rejected(&rejection)),
                None => Ok(String::new()),
            }
        }
        Step::Return { goods, node: own } => {
            let request = v1::ReturnAllotmentsRequest {
                request_id: request_id("return"),
                node: node(own.channel.as_ref(), own.campaign.as_ref()),
                goods: goods.message().into_iter().collect(),
            };
            let answer = client.return_allotments(request).await?.into_inner();
            Ok(outcomes_page(&answer.returned.unwrap_or_default(), args.output))
        }
        Step::List { channel, campaign, sku } => {
            let mut request = v1::ListAllotmentsRequest {
                node: node(channel.as_ref(), campaign.as_ref()),
                sku: sku.clone(),
                page_size: 1_000,
                ..Default::default()
            };
            let mut all = Vec::new();
            loop {
                let page = client.list_allotments(request.clone()).await?.into_inner();
                all.extend(page.allotments);
                if page.next_page_token.is_empty() {
                    return Ok(list_page(&all, args.output));
                }
                request.page_token = page.next_page_token;
            }
        }
    }
}

/// Each run is a request of its own: whoever runs it again means it again.
fn request_id(step: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("cli-{step}-{}-{}", std::process::id(), since.as_nanos())
}

fn rejected(rejection: &v1::Rejection) -> Stop {
    let each = rejection.allotments.iter();
    let each =
        each.map(|one| format!("\n  {} of {}: {} asked for, {} possible", one.sku, one.node, one.asked, one.possible));
    Stop::Rejected(format!("{}{}", rejection.message, each.collect::<String>()))
}

fn code(node: Option<&v1::SellingNode>) -> String {
    match node.and_then(|node| node.node.as_ref()) {
        Some(v1::selling_node::Node::Channel(code) | v1::selling_node::Node::Campaign(code)) => code.clone(),
        None => String::new(),
    }
}

fn figure(units: Option<i64>) -> String {
    units.map_or_else(|| "-".to_owned(), |units| units.to_string())
}

fn outcomes_page(outcomes: &v1::AllotmentOutcomes, output: Output) -> String {
    let rows = &outcomes.allotments;
    if output == Output::Json {
        let row = |one: &v1::AllotmentOutcome| {
            json!({
                "sku": one.sku, "node": code(one.node.as_ref()), "quota": one.quota, "ceiling": one.ceiling,
                "spill_over": one.spill_over, "clipped": one.clipped,
            })
        };
        return page(&rows.iter().map(row).collect::<Vec<_>>());
    }
    let head = ["SKU", "NODE", "QUOTA", "CEILING", "CLIPPED"].map(str::to_owned);
    let row = |one: &v1::AllotmentOutcome| {
        [one.sku.clone(), code(one.node.as_ref()), figure(one.quota), figure(one.ceiling), one.clipped.to_string()]
    };
    table(head, rows.iter().map(row))
}

fn list_page(all: &[v1::Allotment], output: Output) -> String {
    if output == Output::Json {
        let row = |one: &v1::Allotment| {
            json!({
                "sku": one.sku, "node": code(one.node.as_ref()), "quota": one.quota, "ceiling": one.ceiling,
                "spill_over": one.spill_over, "reserved": one.reserved, "committed": one.committed,
                "shipped": one.shipped, "granted": one.granted, "used": one.used, "rest": one.rest, "reach": one.reach,
            })
        };
        return page(&all.iter().map(row).collect::<Vec<_>>());
    }
    let head = ["SKU", "NODE", "QUOTA", "CEILING", "USED", "REST", "REACH"].map(str::to_owned);
    let row = |one: &v1::Allotment| {
        let (used, rest, reach) = (one.used.to_string(), one.rest.to_string(), one.reach.to_string());
        [one.sku.clone(), code(one.node.as_ref()), figure(one.quota), figure(one.ceiling), used, rest, reach]
    };
    table(head, all.iter().map(row))
}

fn page(rows: &[Value]) -> String {
    format!("{}\n", json!({ "allotments": rows }))
}

/// Columns as wide as their widest entry.
fn table<const N: usize>(head: [String; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_have_three_decimals() {
        let read = ["0", "12.5", "100", "33.333", "0.001"].map(|text| milli_percent(text).unwrap());
        assert_eq!(read, [0, 12_500, 100_000, 33_333, 1]);
        for wrong in ["", "100.001", "1.2345", "-1", "1e2", ".5", "x"] {
            assert!(milli_percent(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn allotments_are_a_table_for_people() {
        let node = node(Some(&"app".to_owned()), None);
        let own =
            v1::Allotment { sku: "A".into(), node, quota: Some(12), used: 3, rest: 9, reach: 9, ..Default::default() };
        let expected = "SKU  NODE  QUOTA  CEILING  USED  REST  REACH\nA    app   12     -        3     9     9\n";
        assert_eq!(list_page(std::slice::from_ref(&own), Output::Text), expected);
        assert!(list_page(&[own], Output::Json).contains("\"quota\":12"));
    }
}
