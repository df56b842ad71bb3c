//! `proof quantities`: every figure of units in every request that changes something, at its edges and far beyond them, over gRPC and as
//! JSON. What is out of range is refused by the field's name, what is in range is not; sums that pass 32 bits are refused and change nothing.
//!
//! The fields come from the API's descriptors. One that is new must be given its range here, or the campaign fails.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, Value};
use quartermaster_loadtest::client::{Client, reason_of, sentence};
use quartermaster_proto::v1::supply_service_client::SupplyServiceClient;
use quartermaster_proto::v1::{
    AdjustStockRequest, AnnounceInboundRequest, ExpectedLine, InboundKind, ListCellsRequest, Receipt,
    ReceiveStockRequest, ReserveLine, ReserveRequest,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::Error;
use crate::process::ServerArgs;
use crate::raw::Raw;
use crate::stage::{self, PATIENT, Stage, patient};
use crate::verdict::Verdict;

/// Arguments of `proof quantities`.
#[derive(Clone, Debug, clap::Args)]
pub struct QuantitiesArgs {
    #[command(flatten)]
    server: ServerArgs,
}

const MOST: i64 = 4_294_967_295;

/// The range of each field of units: by its name, or by the request and its place within. The last that fits holds.
const RANGES: &[(&str, i64, i64)] = &[
    ("quantity", 1, MOST),
    ("CancelRequest lines[0].quantity", 0, MOST),
    ("ShipRequest lines[0].quantity", 0, MOST),
    ("ReassignRequest quantity", 0, MOST),
    ("ReceiveInboundRequest lines[0].quantity", 0, MOST),
    ("SetStockRequest quantity", 0, MOST),
    ("SetAllotmentsRequest settings[0].quantity", 0, MOST),
    ("delta", -MOST, MOST),
    ("presale_cap", 0, MOST),
    ("ceiling", 0, MOST),
    ("milli_percent", 0, 100_000),
    ("confidence_percent", 0, 100),
    ("on_hand", 0, MOST),
    ("safety", 0, MOST),
    ("quality_control", 0, MOST),
    ("damaged", 0, MOST),
    ("in_repair", 0, MOST),
    ("incoming", 0, MOST),
    ("counted", 0, MOST),
    ("weekly_demand_milli", 0, MOST - 1),
    ("buyer_limit", 0, MOST),
    ("order_limit", 0, MOST),
    ("safety_units", 0, MOST),
    ("keep_units", 0, 1_000_000),
    ("units", 1, 10_000),
    ("orders_per_day", 0, MOST),
    ("units_per_day", 0, MOST),
    ("orders_per_hour", 0, MOST),
    ("units_per_hour", 0, MOST),
];

/// Whole numbers that are no units.
const NOT_UNITS: &[&str] = &[
    "weight_grams",
    "minor_units",
    "length_mm",
    "width_mm",
    "height_mm",
    "priority",
    "handling_cost",
    "pick_unit_cost",
    "processing_minutes",
    "opens_minute",
    "cutoff_minute",
    "same_hour_radius_metres",
    "parcels_max",
];

const VALUES: [i64; 9] = [0, 1, 1 << 31, MOST, MOST + 1, i64::MAX, -1, -MOST - 1, i64::MIN];

/// A field of units: the way to it from the request, and how violations name it.
#[derive(Clone, Debug)]
struct Field {
    way: Vec<String>,
    name: String,
    is_wide: bool,
    range: (i64, i64),
}

/// Carries the campaign out.
///
/// # Errors
/// When a server cannot be started or does not do what it is set up with.
///
/// # Panics
/// Never: the descriptors are part of the program.
pub async fn run(args: &QuantitiesArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("quantities");
    let mut stage = Stage::start(&args.server, &[])?;
    let channel = Endpoint::from_shared(stage.server().url())?.connect().await?;
    let pool = DescriptorPool::decode(quartermaster_proto::FILE_DESCRIPTOR_SET)?;
    let (mut methods, mut fields, mut calls, mut refused) = (0_u64, 0_u64, 0_u64, 0_u64);
    for method in changing(&pool) {
        let own = fields_of(&method);
        methods += u64::from(!own.is_empty());
        for field in own {
            fields += 1;
            let (least, most) = field.range;
            verdict.must(least <= most, || format!("{} {}: which values may it have?", method.name(), field.name));
            for value in VALUES {
                if !field.is_wide && i32::try_from(value).is_err() {
                    continue;
                }
                let no_difference = value == 0 && field.name == "delta";
                let in_range = (least..=most).contains(&value) && !no_difference;
                let message = with(&method.input(), &field.way, value);
                let by_grpc = refused_by_grpc(&channel, &method, &message, &field.name).await?;
                let by_json = refused_by_json(stage.server().grpc, &method, &message, &field.name).await?;
                for (api, named) in [("gRPC", by_grpc), ("JSON", by_json)] {
                    calls += 1;
                    refused += u64::from(named);
                    verdict.must(named != in_range, || {
                        let done = if named { "refused" } else { "not refused" };
                        format!("{} {} = {value}: {done} by {api}", method.name(), field.name)
                    });
                }
            }
        }
    }
    let client = stage.server().client(1, PATIENT).await?;
    let sums = sums(&client, channel, &mut verdict).await.map_err(|status| sentence(&status))?;
    drop(client);
    stage.verify(&mut verdict)?;
    verdict.figure("methods", methods);
    verdict.figure("fields", fields);
    verdict.figure("calls", calls);
    verdict.figure("refused_by_name", refused);
    verdict.figure("sums_refused", sums);
    Ok(verdict)
}

/// Methods that change something.
fn changing(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    let services = pool.services().filter(|service| service.package_name() == "quartermaster.v1");
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let has_id = |message: &MessageDescriptor| message.get_field_by_name("request_id").is_some();
    methods
        .filter(|method| {
            let many = method.input().get_field_by_name("requests").and_then(|many| many.kind().as_message().cloned());
            has_id(&method.input()) || many.is_some_and(|one| has_id(&one))
        })
        .collect()
}

fn fields_of(method: &MethodDescriptor) -> Vec<Field> {
    let mut fields = Vec::new();
    look(method.input().name(), &method.input(), &mut Vec::new(), "", &mut fields);
    fields
}

fn look(request: &str, message: &MessageDescriptor, way: &mut Vec<String>, name: &str, fields: &mut Vec<Field>) {
    for field in message.fields() {
        way.push(field.name().to_owned());
        let entry = if field.is_list() { "[0]" } else { "" };
        let dot = if name.is_empty() { "" } else { "." };
        let in_request = format!("{name}{dot}{}{entry}", field.name());
        let name = in_request.as_str();
        match field.kind() {
            Kind::Message(inner) if inner.package_name() == "quartermaster.v1" && way.len() < 8 => {
                look(request, &inner, way, name, fields);
            }
            kind @ (Kind::Int32 | Kind::Int64) if !NOT_UNITS.contains(&field.name()) => {
                let fits = |(of, ..): &&(&str, i64, i64)| *of == field.name() || *of == format!("{request} {name}");
                let range = RANGES.iter().rev().find(fits);
                let (_, least, most) = range.unwrap_or(&("", 0, -1));
                let (way, is_wide) = (way.clone(), kind == Kind::Int64);
                // An import numbers its rows through all its messages.
                let name = name.strip_prefix("rows[0].").filter(|_| request == "ImportStockRequest");
                let name = name.map_or_else(|| in_request.clone(), |row| format!("row 1: {row}"));
                fields.push(Field { way, name, is_wide, range: (*least, *most) });
            }
            _ => {}
        }
        way.pop();
    }
}

/// A request with nothing but this one figure.
fn with(message: &MessageDescriptor, way: &[String], value: i64) -> DynamicMessage {
    let mut built = DynamicMessage::new(message.clone());
    let (first, rest) = way.split_first().expect("Invariant: a way has a step");
    let field = message.get_field_by_name(first).expect("Invariant: the way is made of fields");
    let inner = match field.kind() {
        Kind::Message(inner) => Value::Message(with(&inner, rest, value)),
        Kind::Int32 => Value::I32(i32::try_from(value).unwrap_or(i32::MAX)),
        _ => Value::I64(value),
    };
    let inner = if field.is_list() { Value::List(vec![inner]) } else { inner };
    built.set_field(&field, inner);
    // An item of a batch tells its first wrong field only.
    for (name, text) in [("ReserveRequest", "request_id"), ("ReserveLine", "sku")] {
        if message.name() == name {
            built.set_field_by_name(text, Value::String("any".to_owned()));
        }
    }
    built
}

/// How the item of a batch or stream names its field.
fn of_item(name: &str) -> &str {
    name.strip_prefix("requests[0].").unwrap_or(name)
}

/// Whether an answer's items are refused by this name.
fn item_refused(answer: &serde_json::Value, name: &str) -> bool {
    let message = answer["results"][0]["error"]["message"].as_str().unwrap_or_default();
    message.contains(&format!("{}: ", of_item(name))) || message.contains(&format!("{} is", of_item(name)))
}

/// Any method can be called as a stream of one message.
async fn call(channel: &Channel, method: &MethodDescriptor, message: &DynamicMessage) -> Result<Vec<u8>, Status> {
    let path = PathAndQuery::try_from(path_of(method)).map_err(|error| Status::internal(error.to_string()))?;
    let mut client = Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let request = Request::new(tokio_stream::once(message.encode_to_vec()));
    let mut answers = client.streaming(request, path, Raw).await?.into_inner();
    answers.message().await.map(Option::unwrap_or_default)
}

fn path_of(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

async fn refused_by_grpc(
    channel: &Channel,
    method: &MethodDescriptor,
    message: &DynamicMessage,
    name: &str,
) -> Result<bool, Error> {
    match call(channel, method, message).await {
        Ok(answer) => {
            let answer = DynamicMessage::decode(method.output(), answer.as_slice())?;
            Ok(item_refused(&serde_json::to_value(&answer)?, name))
        }
        Err(status) if status.code() == Code::InvalidArgument => {
            let details = status.get_details_bad_request();
            Ok(details.is_some_and(|details| details.field_violations.iter().any(|violation| violation.field == name)))
        }
        Err(status) if status.code() == Code::Internal => {
            Err(format!("{} {name}: {}", method.name(), sentence(&status)).into())
        }
        Err(_other_field) => Ok(false),
    }
}

async fn refused_by_json(
    server: std::net::SocketAddr,
    method: &MethodDescriptor,
    message: &DynamicMessage,
    name: &str,
) -> Result<bool, Error> {
    let body = serde_json::to_string(message)?;
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: {server}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        path_of(method),
        body.len()
    );
    let mut connection = TcpStream::connect(server).await?;
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    // Of a stream's answers the first line, of a body in chunks the first chunk: whatever is one object.
    let object = answer.split("\r\n").flat_map(|line| line.split('\n')).find(|line| line.starts_with('{'));
    let object = object.ok_or_else(|| format!("{} {name}: no object in {answer}", method.name()))?;
    let answer: serde_json::Value = serde_json::from_str(object)?;
    let details = answer["details"].as_array().cloned().unwrap_or_default();
    let violations = details.iter().filter_map(|detail| detail["debug"]["fieldViolations"].as_array());
    Ok(item_refused(&answer, name) || violations.flatten().any(|violation| violation["field"] == name))
}

/// Sums that pass 32 bits: how many were refused as they must be.
async fn sums(client: &Client, channel: Channel, verdict: &mut Verdict) -> Result<u64, Status> {
    let near = u64::try_from(MOST - 5).unwrap_or(u64::MAX);
    stage::catalogue(client, 1, 1).await?;
    stage::receive(client, &[(0, 0, near)]).await?;
    let (sku, location) = (stage::sku(0), stage::place(0));
    let mut refused = 0;
    let mut must_overflow = |what: &str, answer: Result<(), Status>| match answer {
        Err(status) if status.code() == Code::OutOfRange && reason_of(&status) == "QUANTITY_OVERFLOW" => refused += 1,
        other => verdict.violation(format!("{what}: {other:?}")),
    };
    let line = ReserveLine { sku: sku.clone(), quantity: MOST, ..ReserveLine::default() };
    let lines = vec![line.clone(), line];
    let message = ReserveRequest { request_id: "lines".into(), lines, ..ReserveRequest::default() };
    must_overflow("two lines of a SKU", client.allocation().reserve(patient(message)).await.map(drop));
    let (request_id, delta) = ("adjust".into(), 6);
    let adjust =
        AdjustStockRequest { request_id, sku: sku.clone(), location: location.clone(), delta, ..Default::default() };
    must_overflow("a difference", client.inventory().adjust_stock(patient(adjust)).await.map(drop));
    for (request_id, receipts) in [("receive", vec![6]), ("receive-twice", vec![MOST, MOST])] {
        let receipt = |quantity| Receipt { sku: sku.clone(), location: location.clone(), quantity };
        let receipts = receipts.into_iter().map(receipt).collect();
        let message = ReceiveStockRequest { request_id: request_id.into(), receipts, ..ReceiveStockRequest::default() };
        must_overflow(request_id, client.inventory().receive_stock(patient(message)).await.map(drop));
    }
    let mut supply = SupplyServiceClient::new(channel);
    let eta = Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 });
    let announce = |code: &str, quantity| AnnounceInboundRequest {
        request_id: format!("announce-{code}"),
        code: code.into(),
        kind: i32::from(InboundKind::Purchase),
        location: location.clone(),
        eta,
        lines: vec![ExpectedLine { sku: sku.clone(), quantity, ..ExpectedLine::default() }],
        ..AnnounceInboundRequest::default()
    };
    supply.announce_inbound(patient(announce("PO1", MOST))).await?;
    let more = supply.announce_inbound(patient(announce("PO2", 1))).await;
    must_overflow("units expected by two documents", more.map(drop));
    let message = ListCellsRequest { sku: sku.clone(), ..ListCellsRequest::default() };
    let cells = client.inventory().list_cells(patient(message)).await?.into_inner().cells;
    let found: Vec<_> = cells.iter().map(|cell| (cell.on_hand, cell.reserved, cell.incoming)).collect();
    verdict.must(found == [(MOST - 5, 0, MOST)], || format!("sums that were refused changed the cell: {found:?}"));
    Ok(refused)
}
