//! `quartermaster allotment`: units ring-fenced for channels on a running server.

use std::process::ExitCode;

use clap::Subcommand;
use quartermaster_proto::v1;
use serde_json::json;

use super::ask::{Changing, Stop};
use super::output::{message_json, table};
use super::{Output, print};

/// Allotments on a running server.
#[derive(Clone, Debug, clap::Args)]
pub struct AllotmentArgs {
    #[command(subcommand)]
    step: Step,
    #[command(flatten)]
    asked: Changing,
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
    /// Adds units to quotas.
    Raise(QuotaArgs),
    /// Takes unused units out of quotas.
    Lower(QuotaArgs),
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
        #[arg(long, default_value = "", hide_default_value = true)]
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

/// Units by which a quota changes.
#[derive(Clone, Debug, clap::Args)]
struct QuotaArgs {
    #[command(flatten)]
    goods: GoodsArgs,
    #[command(flatten)]
    node: NodeArgs,
    /// Units; those of a style or category are spread over its SKUs.
    units: i64,
    /// Change by what is possible.
    #[arg(long)]
    clip: bool,
}

impl QuotaArgs {
    fn message(&self) -> v1::AllotmentStep {
        let node = node(self.node.channel.as_ref(), self.node.campaign.as_ref());
        v1::AllotmentStep { goods: self.goods.message(), node, quantity: self.units }
    }
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

/// Does one step.
pub async fn run(args: &AllotmentArgs) -> ExitCode {
    args.asked.end("allotment", step(args).await.map(|page| print(&page)))
}

async fn step(args: &AllotmentArgs) -> Result<String, Stop> {
    let client = args.asked.open()?;
    let output = client.output;
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
            let request = v1::SetAllotmentsRequest { request_id: String::new(), settings, clip: *clip };
            match client.call(request).await?.answer.outcome {
                Some(Outcome::Set(outcomes)) => Ok(outcomes_page(&outcomes, output)),
                Some(Outcome::Rejection(rejection)) => Err(Stop::Rejected(Box::new(rejection))),
                None => Ok(String::new()),
            }
        }
        Step::Move { goods, from, to, units, clip } => {
            use v1::move_allotments_response::Outcome;
            let (from, to) = (node(Some(from), None), node(Some(to), None));
            let moves = vec![v1::AllotmentMove { goods: goods.message(), from, to, quantity: *units }];
            let request = v1::MoveAllotmentsRequest { request_id: String::new(), moves, clip: *clip };
            match client.call(request).await?.answer.outcome {
                Some(Outcome::Moved(outcomes)) => Ok(outcomes_page(&outcomes, output)),
                Some(Outcome::Rejection(rejection)) => Err(Stop::Rejected(Box::new(rejection))),
                None => Ok(String::new()),
            }
        }
        Step::Raise(change) => {
            use v1::raise_allotments_response::Outcome;
            let request = v1::RaiseAllotmentsRequest {
                request_id: String::new(),
                steps: vec![change.message()],
                clip: change.clip,
            };
            match client.call(request).await?.answer.outcome {
                Some(Outcome::Raised(outcomes)) => Ok(outcomes_page(&outcomes, output)),
                Some(Outcome::Rejection(rejection)) => Err(Stop::Rejected(Box::new(rejection))),
                None => Ok(String::new()),
            }
        }
        Step::Lower(change) => {
            use v1::lower_allotments_response::Outcome;
            let request = v1::LowerAllotmentsRequest {
                request_id: String::new(),
                steps: vec![change.message()],
                clip: change.clip,
            };
            match client.call(request).await?.answer.outcome {
                Some(Outcome::Lowered(outcomes)) => Ok(outcomes_page(&outcomes, output)),
                Some(Outcome::Rejection(rejection)) => Err(Stop::Rejected(Box::new(rejection))),
                None => Ok(String::new()),
            }
        }
        Step::Return { goods, node: own } => {
            let request = v1::ReturnAllotmentsRequest {
                request_id: String::new(),
                node: node(own.channel.as_ref(), own.campaign.as_ref()),
                goods: goods.message().into_iter().collect(),
            };
            let answer = client.call(request).await?.answer;
            Ok(outcomes_page(&answer.returned.unwrap_or_default(), output))
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
                let page = client.call(request.clone()).await?.answer;
                all.extend(page.allotments);
                if page.next_page_token.is_empty() {
                    return Ok(list_page(&all, output));
                }
                request.page_token = page.next_page_token;
            }
        }
    }
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
    if output == Output::Json {
        return format!("{:#}\n", message_json("AllotmentOutcomes", outcomes));
    }
    let row = |one: &v1::AllotmentOutcome| {
        [one.sku.clone(), code(one.node.as_ref()), figure(one.quota), figure(one.ceiling), one.clipped.to_string()]
    };
    table(["SKU", "NODE", "QUOTA", "CEILING", "CLIPPED"], outcomes.allotments.iter().map(row))
}

fn list_page(all: &[v1::Allotment], output: Output) -> String {
    if output == Output::Json {
        let all: Vec<_> = all.iter().map(|one| message_json("Allotment", one)).collect();
        return format!("{:#}\n", json!({ "allotments": all }));
    }
    let row = |one: &v1::Allotment| {
        let (used, rest, reach) = (one.used.to_string(), one.rest.to_string(), one.reach.to_string());
        [one.sku.clone(), code(one.node.as_ref()), figure(one.quota), figure(one.ceiling), used, rest, reach]
    };
    table(["SKU", "NODE", "QUOTA", "CEILING", "USED", "REST", "REACH"], all.iter().map(row))
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
        let expected = "SKU  NODE  QUOTA  CEILING  USED  REST  REACH\nA    app      12        -     3     9      9\n";
        assert_eq!(list_page(std::slice::from_ref(&own), Output::Text), expected);
        assert!(list_page(&[own], Output::Json).contains("\"quota\": \"12\""));
    }
}
