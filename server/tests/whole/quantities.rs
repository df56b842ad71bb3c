//! Every figure of units in every request that changes something, at its edges and far beyond them, over gRPC and as JSON: what is out of
//! range is refused by the field's name, what is in range is not.
//!
//! The fields come from the API's descriptors. One that is new must be given its range here, or the test fails.

use std::fmt::Write as _;

use bytes::{Buf, BufMut, Bytes};
use http::Request as HttpRequest;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, Value};
use quartermaster_proto::v1::inventory_service_client::InventoryServiceClient;
use quartermaster_proto::v1::supply_service_client::SupplyServiceClient;
use quartermaster_proto::v1::{
    AdjustStockRequest, AnnounceInboundRequest, Bucket, ExpectedLine, InboundKind, ListCellsRequest, MoveStockRequest,
    Receipt, ReceiveStockRequest, ReserveLine, SetStockRequest,
};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::support::{Server, allocation, order, stock};

const MOST: i64 = 4_294_967_295;

/// The range of each field of units: by its name, or by the request and its place within. The last that fits holds.
const RANGES: &[(&str, i64, i64)] = &[
    ("quantity", 1, MOST),
    ("CancelRequest lines[0].quantity", 0, MOST),
    ("ShipRequest lines[0].quantity", 0, MOST),
    ("ReassignRequest quantity", 0, MOST),
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

#[tokio::test]
async fn what_is_out_of_range_is_refused_by_name_in_every_request_by_grpc_and_json() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let channel = server.channel().await;
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let pool = DescriptorPool::decode(quartermaster_proto::FILE_DESCRIPTOR_SET).unwrap();
    let (mut methods, mut fields, mut wrong) = (0, 0, String::new());
    for method in changing(&pool) {
        let own = fields_of(&method);
        methods += usize::from(!own.is_empty());
        for field in own {
            fields += 1;
            for value in VALUES {
                if !field.is_wide && i32::try_from(value).is_err() {
                    continue;
                }
                let delta_of_nothing = value == 0 && field.name.ends_with("delta");
                let in_range = (field.range.0..=field.range.1).contains(&value) && !delta_of_nothing;
                let message = with(&method.input(), &field.way, value);
                for (api, named) in [
                    ("gRPC", refused_by_grpc(&channel, &method, &message, &field.name).await),
                    ("JSON", refused_by_json(&http, &server.address, &method, &message, &field.name).await),
                ] {
                    if named == in_range {
                        let done = if named { "refused" } else { "not refused" };
                        writeln!(wrong, "{} {} = {value}: {done} by {api}", method.name(), field.name).unwrap();
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(methods >= 25 && fields >= 45, "{fields} fields of {methods} methods");
    assert_eq!(server.stop(), Some(0));
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
        let name = format!("{name}{dot}{}{entry}", field.name());
        match field.kind() {
            Kind::Message(inner) if inner.package_name() == "quartermaster.v1" && way.len() < 8 => {
                look(request, &inner, way, &name, fields);
            }
            kind @ (Kind::Int32 | Kind::Int64) if !NOT_UNITS.contains(&field.name()) => {
                let fits = |(of, ..): &&(&str, i64, i64)| *of == field.name() || *of == format!("{request} {name}");
                let range = RANGES.iter().rev().find(fits);
                let (_, least, most) = range.unwrap_or_else(|| panic!("{request} {name}: which values may it have?"));
                let (way, is_wide) = (way.clone(), kind == Kind::Int64);
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
    let (first, rest) = way.split_first().unwrap();
    let field = message.get_field_by_name(first).unwrap();
    let inner = match field.kind() {
        Kind::Message(inner) => Value::Message(with(&inner, rest, value)),
        Kind::Int32 => Value::I32(i32::try_from(value).unwrap()),
        _ => Value::I64(value),
    };
    let inner = if field.is_list() { Value::List(vec![inner]) } else { inner };
    built.set_field(&field, inner);
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

/// Messages as bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}

/// Any method can be called as a stream of one message.
async fn call(channel: &Channel, method: &MethodDescriptor, message: &DynamicMessage) -> Result<Vec<u8>, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let request = Request::new(tokio_stream::once(message.encode_to_vec()));
    let mut answers = client.streaming(request, PathAndQuery::try_from(path).unwrap(), Raw).await?.into_inner();
    answers.message().await.map(Option::unwrap_or_default)
}

async fn refused_by_grpc(channel: &Channel, method: &MethodDescriptor, message: &DynamicMessage, name: &str) -> bool {
    match call(channel, method, message).await {
        Ok(answer) => {
            let answer = DynamicMessage::decode(method.output(), answer.as_slice()).unwrap();
            item_refused(&serde_json::to_value(&answer).unwrap(), name)
        }
        Err(status) => {
            let details = status.get_details_bad_request().unwrap_or_default();
            let named = details.field_violations.iter().any(|violation| violation.field == name);
            assert!(!named || status.code() == Code::InvalidArgument, "{status:?}");
            assert_ne!(status.code(), Code::Internal, "{} {name}: {status:?}", method.name());
            named
        }
    }
}

async fn refused_by_json(
    http: &Client<HttpConnector, Full<Bytes>>,
    address: &str,
    method: &MethodDescriptor,
    message: &DynamicMessage,
    name: &str,
) -> bool {
    let uri = format!("http://{address}/{}/{}", method.parent_service().full_name(), method.name());
    let body = serde_json::to_vec(message).unwrap();
    let request = HttpRequest::post(uri).header("content-type", "application/json").body(Full::from(body)).unwrap();
    let body = http.request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    // A stream's answers are a line each.
    let first = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let answer: serde_json::Value = serde_json::from_slice(first).unwrap_or_else(|error| {
        panic!("{} {name}: {error}: {}", method.name(), String::from_utf8_lossy(&body));
    });
    let details = answer["details"].as_array().cloned().unwrap_or_default();
    let violations = details.iter().filter_map(|detail| detail["debug"]["fieldViolations"].as_array());
    item_refused(&answer, name) || violations.flatten().any(|violation| violation["field"] == name)
}

fn reason(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().unwrap_or_default().reason)
}

#[tokio::test]
async fn sums_that_pass_32_bits_are_refused_by_name_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let channel = server.channel().await;
    stock(&channel, 1, MOST - 5).await;
    let mut inventory = InventoryServiceClient::new(channel.clone());
    let overflow = (Code::OutOfRange, "QUANTITY_OVERFLOW".to_owned());
    let (sku, location) = ("S0".to_owned(), "L".to_owned());

    // Lines of one SKU, summed before they are checked.
    let mut message = order("lines", 0, MOST);
    message.lines.push(ReserveLine { sku: sku.clone(), quantity: MOST, ..ReserveLine::default() });
    assert_eq!(reason(&allocation(&channel).reserve(message).await.unwrap_err()), overflow);

    // On hand: by a difference, by an arrival, and by an arrival that alone is too much.
    let adjust = AdjustStockRequest {
        request_id: "adjust".into(),
        sku: sku.clone(),
        location: location.clone(),
        delta: 6,
        ..AdjustStockRequest::default()
    };
    assert_eq!(reason(&inventory.adjust_stock(adjust).await.unwrap_err()), overflow);
    for (request_id, receipts) in [("receive", vec![6]), ("receive-twice", vec![MOST, MOST])] {
        let receipt = |quantity| Receipt { sku: sku.clone(), location: location.clone(), quantity };
        let receipts = receipts.into_iter().map(receipt).collect();
        let message = ReceiveStockRequest { request_id: request_id.into(), receipts, ..ReceiveStockRequest::default() };
        assert_eq!(reason(&inventory.receive_stock(message).await.unwrap_err()), overflow, "{request_id}");
    }

    // Another bucket, by a move out of what is sellable.
    let damaged = SetStockRequest {
        request_id: "damaged".into(),
        sku: sku.clone(),
        location: location.clone(),
        bucket: i32::from(Bucket::Damaged),
        quantity: MOST,
        ..SetStockRequest::default()
    };
    inventory.set_stock(damaged.clone()).await.unwrap();
    let (from, to) = (i32::from(Bucket::Sellable), i32::from(Bucket::Damaged));
    let (request_id, quantity) = ("move".to_owned(), 1);
    let message = MoveStockRequest {
        request_id,
        sku: sku.clone(),
        location: location.clone(),
        from,
        to,
        quantity,
        ..Default::default()
    };
    let refused = inventory.move_stock(message).await.unwrap_err();
    let exceeds = (Code::FailedPrecondition, "EXCEEDS_BUCKET".to_owned());
    assert!([&overflow, &exceeds].contains(&&reason(&refused)), "{refused:?}");
    inventory.set_stock(SetStockRequest { request_id: "whole".into(), quantity: 0, ..damaged }).await.unwrap();

    // What is expected, over several documents.
    let mut supply = SupplyServiceClient::new(channel.clone());
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
    supply.announce_inbound(announce("PO1", MOST)).await.unwrap();
    assert_eq!(reason(&supply.announce_inbound(announce("PO2", 1)).await.unwrap_err()), overflow);

    let message = ListCellsRequest { sku, ..ListCellsRequest::default() };
    let cells = inventory.list_cells(message).await.unwrap().into_inner().cells;
    let figures: Vec<_> = cells.iter().map(|cell| (cell.on_hand, cell.reserved, cell.damaged, cell.incoming)).collect();
    assert_eq!(figures, [(MOST - 5, 0, 0, MOST)]);
    assert_eq!(server.stop(), Some(0));
}
