//! `quartermaster sku`, `location` and `channel`: the catalogue, entry by entry. Whole files go through `quartermaster import`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use humantime_serde::re::humantime;
use quartermaster_proto::v1::{
    Channel, Deduction, ListChannelsRequest, ListLocationsRequest, ListSkusRequest, Location, LocationKind,
    LocationState, RetireSkusRequest, Sku, UpsertChannelsRequest, UpsertLocationsRequest, UpsertSkusRequest,
};
use serde_json::json;

use super::ask::{Asked, Asking, Change, Stop};
use super::lines::named;
use super::output::{label, message_json, table};
use super::reserve::wire_span;
use super::{Output, print};

/// Entries of a page.
const PAGE: i32 = 1_000;

/// SKUs on a running server. An upsert replaces the whole entry.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quartermaster sku upsert TEE-RED-M --style TEE --colour red --size M
  quartermaster sku list --style TEE
All fields: quartermaster call CatalogService/UpsertSkus @skus.json; whole files: quartermaster import.")]
pub struct SkuArgs {
    #[command(subcommand)]
    step: SkuStep,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Clone, Debug, Subcommand)]
enum SkuStep {
    /// Makes or replaces one.
    Upsert {
        /// SKU code.
        code: String,
        /// Style code.
        #[arg(long, default_value = "", hide_default_value = true)]
        style: String,
        /// Colour.
        #[arg(long, default_value = "", hide_default_value = true)]
        colour: String,
        /// Size.
        #[arg(long, default_value = "", hide_default_value = true)]
        size: String,
        /// Category.
        #[arg(long, default_value = "", hide_default_value = true)]
        category: String,
        /// Weight of a unit in grams.
        #[arg(long, value_name = "GRAMS", default_value_t = 0)]
        weight: i64,
        /// It exists, but is not for sale.
        #[arg(long)]
        not_for_sale: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Shows those with these codes.
    Get {
        /// SKU codes.
        #[arg(required = true)]
        codes: Vec<String>,
    },
    /// Lists them.
    List {
        /// Only of this style.
        #[arg(long, default_value = "", hide_default_value = true)]
        style: String,
        /// Retired ones too.
        #[arg(long)]
        retired: bool,
    },
    /// Retires them: nothing of them is reserved any more.
    Retire {
        /// SKU codes.
        #[arg(required = true)]
        codes: Vec<String>,
        #[command(flatten)]
        change: Change,
    },
}

/// Locations on a running server. An upsert replaces the whole entry.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quartermaster location upsert HZ-DC1 --name 杭州一号仓 --kind distribution-centre --region 330106
  quartermaster location get HZ-DC1 -o json
All fields (costs, hours, limits): quartermaster call CatalogService/UpsertLocations @locations.json, or quartermaster import.")]
pub struct LocationArgs {
    #[command(subcommand)]
    step: LocationStep,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Clone, Debug, Subcommand)]
enum LocationStep {
    /// Makes or replaces one.
    Upsert {
        /// Location code.
        code: String,
        /// Name for people.
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// distribution-centre, forward-warehouse, store, third-party or supplier.
        #[arg(long, value_parser = kind)]
        kind: Option<LocationKind>,
        /// Region code.
        #[arg(long, default_value = "", hide_default_value = true)]
        region: String,
        /// open, paused or closed.
        #[arg(long, value_parser = state, default_value = "open")]
        state: LocationState,
        /// Order of sourcing where a line names no location: lower goes first.
        #[arg(long, default_value_t = 0)]
        priority: i32,
        #[command(flatten)]
        change: Change,
    },
    /// Shows those with these codes.
    Get {
        /// Location codes.
        #[arg(required = true)]
        codes: Vec<String>,
    },
    /// Lists them.
    List,
}

/// Channels on a running server. An upsert replaces the whole entry.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quartermaster channel upsert tmall --parent online --deduction hold --hold-ttl 30m
  quartermaster channel list")]
pub struct ChannelArgs {
    #[command(subcommand)]
    step: ChannelStep,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Clone, Debug, Subcommand)]
enum ChannelStep {
    /// Makes or replaces one.
    Upsert {
        /// Channel code.
        code: String,
        /// Name for people.
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// Code of the channel around it.
        #[arg(long, default_value = "", hide_default_value = true)]
        parent: String,
        /// Whose allotments are served first: lower goes first.
        #[arg(long, default_value_t = 0)]
        priority: i32,
        /// When its orders take their units: hold, on-order or on-payment.
        #[arg(long, value_parser = deduction)]
        deduction: Option<Deduction>,
        /// How long its holds last, as 15m.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        hold_ttl: Option<Duration>,
        /// Units of each SKU that it leaves to others.
        #[arg(long, value_name = "UNITS", default_value_t = 0)]
        safety: i64,
        /// Its reservations are refused.
        #[arg(long)]
        inactive: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Shows those with these codes.
    Get {
        /// Channel codes.
        #[arg(required = true)]
        codes: Vec<String>,
    },
    /// Lists them.
    List,
}

fn kind(text: &str) -> Result<LocationKind, String> {
    named(text, "LOCATION_KIND_", LocationKind::from_str_name, "kind")
}

fn state(text: &str) -> Result<LocationState, String> {
    named(text, "LOCATION_STATE_", LocationState::from_str_name, "state")
}

fn deduction(text: &str) -> Result<Deduction, String> {
    named(text, "DEDUCTION_", Deduction::from_str_name, "deduction: hold, on-order and on-payment are")
}

fn id(change: &Change) -> String {
    change.request_id.clone().unwrap_or_default()
}

fn upserted(code: &str, created: i64) -> String {
    format!("{} {code}\n", if created > 0 { "made" } else { "replaced" })
}

/// Keeps SKUs.
pub async fn sku(args: &SkuArgs) -> ExitCode {
    args.asked.end("sku", sku_step(args).await)
}

async fn sku_step(args: &SkuArgs) -> Result<(), Stop> {
    let asking = args.asked.open()?;
    match &args.step {
        SkuStep::Upsert { code, style, colour, size, category, weight, not_for_sale, change } => {
            let sku = Sku {
                code: code.clone(),
                style: style.clone(),
                colour: colour.clone(),
                size: size.clone(),
                category: category.clone(),
                weight_grams: *weight,
                sellable: Some(!not_for_sale),
                ..Sku::default()
            };
            let request = UpsertSkusRequest { request_id: id(change), skus: vec![sku] };
            asking.tell(request, |called| Ok(upserted(code, called.answer.created))).await
        }
        SkuStep::Get { codes } => {
            let all = skus(&asking, "", true).await?;
            asking.entries("skus", "Sku", &found(all, codes, |sku| &sku.code)?, sku_table)
        }
        SkuStep::List { style, retired } => {
            asking.entries("skus", "Sku", &skus(&asking, style, *retired).await?, sku_table)
        }
        SkuStep::Retire { codes, change } => {
            let request = RetireSkusRequest { request_id: id(change), skus: codes.clone() };
            asking.tell(request, |called| Ok(format!("retired {}\n", called.answer.retired))).await
        }
    }
}

async fn skus(asking: &Asking, style: &str, include_retired: bool) -> Result<Vec<Sku>, Stop> {
    let ask = |page_token| ListSkusRequest { style: style.to_owned(), include_retired, page_size: PAGE, page_token };
    asking.pages(ask, |answer| (answer.skus, answer.next_page_token)).await
}

fn sku_table(all: &[Sku]) -> String {
    let rows = all.iter().map(|sku| {
        let state = match (sku.retired_lsn, sku.sellable) {
            (0, Some(false)) => "not for sale",
            (0, _) => "active",
            _ => "retired",
        };
        let (style, colour, size) = (sku.style.clone(), sku.colour.clone(), sku.size.clone());
        [sku.code.clone(), style, colour, size, sku.category.clone(), sku.weight_grams.to_string(), state.to_owned()]
    });
    table(["SKU", "STYLE", "COLOUR", "SIZE", "CATEGORY", "GRAMS", "STATE"], rows)
}

/// Keeps locations.
pub async fn location(args: &LocationArgs) -> ExitCode {
    args.asked.end("location", location_step(args).await)
}

async fn location_step(args: &LocationArgs) -> Result<(), Stop> {
    let asking = args.asked.open()?;
    match &args.step {
        LocationStep::Upsert { code, name, kind, region, state, priority, change } => {
            let location = Location {
                code: code.clone(),
                name: name.clone(),
                kind: kind.unwrap_or_default().into(),
                region: region.clone(),
                state: (*state).into(),
                priority: *priority,
                ..Location::default()
            };
            let request = UpsertLocationsRequest { request_id: id(change), locations: vec![location] };
            asking.tell(request, |called| Ok(upserted(code, called.answer.created))).await
        }
        LocationStep::Get { codes } => {
            let all = found(locations(&asking).await?, codes, |location| &location.code)?;
            asking.entries("locations", "Location", &all, location_table)
        }
        LocationStep::List => asking.entries("locations", "Location", &locations(&asking).await?, location_table),
    }
}

async fn locations(asking: &Asking) -> Result<Vec<Location>, Stop> {
    let ask = |page_token| ListLocationsRequest { page_size: PAGE, page_token };
    asking.pages(ask, |answer| (answer.locations, answer.next_page_token)).await
}

fn location_table(all: &[Location]) -> String {
    let rows = all.iter().map(|one| {
        let kind = label(one.kind().as_str_name(), "LOCATION_KIND_").replace("unspecified", "-");
        let state = label(one.state().as_str_name(), "LOCATION_STATE_");
        [one.code.clone(), one.name.clone(), kind, one.region.clone(), state, one.priority.to_string()]
    });
    table(["LOCATION", "NAME", "KIND", "REGION", "STATE", "PRIORITY"], rows)
}

/// Keeps channels.
pub async fn channel(args: &ChannelArgs) -> ExitCode {
    args.asked.end("channel", channel_step(args).await)
}

async fn channel_step(args: &ChannelArgs) -> Result<(), Stop> {
    let asking = args.asked.open()?;
    match &args.step {
        ChannelStep::Upsert { code, name, parent, priority, deduction, hold_ttl, safety, inactive, change } => {
            let channel = Channel {
                code: code.clone(),
                name: name.clone(),
                active: Some(!inactive),
                parent: parent.clone(),
                priority: *priority,
                safety_units: *safety,
                deduction: deduction.unwrap_or_default().into(),
                hold_ttl: wire_span(*hold_ttl)?,
            };
            let request = UpsertChannelsRequest { request_id: id(change), channels: vec![channel] };
            asking.tell(request, |called| Ok(upserted(code, called.answer.created))).await
        }
        ChannelStep::Get { codes } => {
            let all = found(channels(&asking).await?, codes, |channel| &channel.code)?;
            asking.entries("channels", "Channel", &all, channel_table)
        }
        ChannelStep::List => asking.entries("channels", "Channel", &channels(&asking).await?, channel_table),
    }
}

async fn channels(asking: &Asking) -> Result<Vec<Channel>, Stop> {
    let ask = |page_token| ListChannelsRequest { page_size: PAGE, page_token };
    asking.pages(ask, |answer| (answer.channels, answer.next_page_token)).await
}

fn channel_table(all: &[Channel]) -> String {
    let rows = all.iter().map(|one| {
        let deduction = match one.deduction() {
            Deduction::Unspecified => "hold".to_owned(),
            other => label(other.as_str_name(), "DEDUCTION_"),
        };
        let active = if one.active == Some(false) { "inactive" } else { "active" };
        let (priority, safety) = (one.priority.to_string(), one.safety_units.to_string());
        [one.code.clone(), one.name.clone(), one.parent.clone(), priority, safety, deduction, active.to_owned()]
    });
    table(["CHANNEL", "NAME", "PARENT", "PRIORITY", "SAFETY", "DEDUCTION", "STATE"], rows)
}

/// Those of `all` that were asked for; all must be there.
fn found<T>(mut all: Vec<T>, codes: &[String], code: impl Fn(&T) -> &String) -> Result<Vec<T>, Stop> {
    all.retain(|one| codes.contains(code(one)));
    match codes.iter().find(|wanted| !all.iter().any(|one| code(one) == *wanted)) {
        None => Ok(all),
        Some(missing) => {
            eprintln!("quartermaster: there is no {missing}");
            Err(Stop::Ended(super::exit::FAILED))
        }
    }
}

impl Asking {
    /// Prints entries: as the messages they are, under `key`, or as a table.
    fn entries<T: prost::Message>(
        &self,
        key: &str,
        message: &str,
        all: &[T],
        table: impl Fn(&[T]) -> String,
    ) -> Result<(), Stop> {
        print(&match self.output {
            Output::Text => table(all),
            Output::Json => {
                let entries: Vec<_> = all.iter().map(|one| message_json(message, one)).collect();
                format!("{:#}\n", json!({ key: entries }))
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_as_tables() {
        let location = Location {
            code: "HZ".into(),
            name: "杭州".into(),
            kind: LocationKind::Store.into(),
            state: LocationState::Open.into(),
            priority: 10,
            ..Location::default()
        };
        let expected =
            "LOCATION  NAME  KIND   REGION  STATE  PRIORITY\nHZ        杭州  store          open         10\n";
        assert_eq!(location_table(&[location]), expected);
        let channel = Channel { code: "app".into(), parent: "online".into(), ..Channel::default() };
        let expected = "CHANNEL  NAME  PARENT  PRIORITY  SAFETY  DEDUCTION  STATE\napp            online         0       0  hold       active\n";
        assert_eq!(channel_table(&[channel]), expected);
    }

    #[test]
    fn what_is_asked_for_must_be_there() {
        let all = vec!["A".to_owned(), "B".to_owned()];
        assert_eq!(found(all.clone(), &["B".to_owned()], |one| one).unwrap(), ["B"]);
        assert!(found(all, &["C".to_owned()], |one| one).is_err());
    }
}
