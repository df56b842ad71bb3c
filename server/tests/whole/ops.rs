//! What is watched: the page of a server that has done some work, and every rule, alert, runbook and dashboard held to it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use promql_parser::parser::{Expr, parse};
use promql_parser::util::{ExprVisitor, walk_expr};
use quartermaster_proto::v1::catalog_service_client::CatalogServiceClient;
use quartermaster_proto::v1::inventory_service_client::InventoryServiceClient;
use quartermaster_proto::v1::{
    ImportRow, ImportStockRequest, Location, ReserveBatchRequest, ReserveLine, ReserveRequest, Sku, Sourcing,
    UpsertLocationsRequest, UpsertSkusRequest,
};
use quartermaster_server::metrics::families::{FAMILIES, Family, Kind};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Channel;

use super::support::{Server, allocation, order, stock};

async fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

async fn scrape(server: &Server) -> String {
    ask(&server.metrics, "GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await
}

async fn post(server: &Server, method: &str, body: &str) -> String {
    let head = "host: test\r\ncontent-type: application/json\r\nconnection: close";
    let length = body.len();
    let request =
        format!("POST /quartermaster.v1.{method} HTTP/1.1\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}");
    ask(&server.address, &request).await
}

/// A server that has held, refused, confirmed, routed and allotted.
async fn worked(dir: &std::path::Path) -> Server {
    let server = Server::start(dir);
    let channel = server.channel().await;
    stock(&channel, 2, 5).await;
    let mut client = allocation(&channel);
    client.reserve(order("held", 0, 2)).await.unwrap();
    client.reserve(order("sold-out", 0, 100)).await.unwrap();
    client.reserve(order("unknown", 7, 1)).await.unwrap_err();
    client.reserve(ReserveRequest { sourcing: Some(Sourcing::default()), ..order("routed", 1, 1) }).await.unwrap();
    post(&server, "CatalogService/UpsertChannels", r#"{"requestId":"c","channels":[{"code":"app"}]}"#).await;
    let setting = r#"{"goods":{"sku":"S0"},"node":{"channel":"app"},"quantity":"1"}"#;
    post(&server, "AllotmentService/SetAllotments", &format!(r#"{{"requestId":"a","settings":[{setting}]}}"#)).await;
    // A code may hold what the format of the page gives a meaning.
    let odd = r#"{"requestId":"odd","channels":[{"code":"a\\\"b\""}]}"#;
    post(&server, "CatalogService/UpsertChannels", odd).await;
    let setting = r#"{"goods":{"sku":"S1"},"node":{"channel":"a\\\"b\""},"quantity":"1"}"#;
    post(&server, "AllotmentService/SetAllotments", &format!(r#"{{"requestId":"b","settings":[{setting}]}}"#)).await;
    server
}

/// A sample line: name, labels with their values, value.
fn sample(line: &str) -> (&str, BTreeMap<&str, &str>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').unwrap();
    let labels = labels.strip_suffix('"').unwrap_or(labels);
    let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once("=\"").unwrap());
    (name, pairs.collect(), value.parse().unwrap())
}

/// The metric that a series is of, and whether it is a bucket.
fn family(name: &str) -> Option<(&'static Family, bool)> {
    let find = |name: &str, histogram: bool| {
        FAMILIES.iter().find(|family| family.name == name && matches!(family.kind, Kind::Histogram(_)) == histogram)
    };
    let parts = ["_bucket", "_sum", "_count"].into_iter();
    let of_histogram = parts.filter_map(|part| Some((find(name.strip_suffix(part)?, true)?, part == "_bucket"))).next();
    of_histogram.or_else(|| find(name, false).map(|family| (family, false))).map(|(family, bucket)| (*family, bucket))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_keeps_the_rules_of_the_format_and_shows_what_the_list_says() {
    let dir = tempfile::tempdir().unwrap();
    let server = worked(dir.path()).await;
    let page = scrape(&server).await;
    let (mut series, mut shown) = (BTreeSet::new(), BTreeSet::new());
    let mut open: Option<&str> = None;
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(shown.insert(name.to_owned()), "{name} has two HELP lines");
            let family = FAMILIES.iter().find(|family| family.name == name);
            let family = family.unwrap_or_else(|| panic!("{name} is not in the list"));
            assert!(name.starts_with("process_") || help == family.help, "{name}: {help}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(shown.contains(name), "TYPE before HELP of {name}");
            let family = FAMILIES.iter().find(|family| family.name == name).unwrap();
            assert_eq!(kind, format!("{:?}", family.kind).to_lowercase().split('(').next().unwrap(), "{name}");
            open = Some(family.name);
        } else {
            let (name, labels, value) = sample(line);
            assert!(series.insert(line.rsplit_once(' ').unwrap().0), "{line} stands twice");
            let (family, is_bucket) = family(name).unwrap_or_else(|| panic!("{line} belongs to nothing"));
            assert_eq!(open, Some(family.name), "{line} does not stand under its TYPE");
            let mut expected: BTreeSet<&str> = family.labels.iter().map(|label| label.name).collect();
            if is_bucket {
                expected.insert("le");
            }
            assert_eq!(labels.keys().copied().collect::<BTreeSet<_>>(), expected, "{line}");
            assert!(value.is_finite() && value >= 0.0, "{line}");
        }
    }
    // The system tells what it has; all that is ours is there from the first scrape on.
    let missing = FAMILIES.iter().filter(|family| !shown.contains(family.name) && !family.name.starts_with("process_"));
    assert_eq!(missing.map(|family| family.name).collect::<Vec<_>>(), Vec::<&str>::new());
    let methods = quartermaster_server::methods::Methods::new();
    for family in FAMILIES {
        let of = |line: &&&str| {
            let name = line.split('{').next().unwrap();
            self::family(name).is_some_and(|(found, _)| found.name == family.name)
        };
        let count = series.iter().filter(of).count();
        assert!(count <= family.series_max(&methods), "{}: {count} series", family.name);
    }
    for (name, least) in [
        ("quartermaster_request_phase_duration_seconds_count{phase=\"fsync\"}", 5.0),
        ("quartermaster_request_phase_duration_seconds_count{phase=\"decide\"}", 7.0),
        ("quartermaster_request_phase_duration_seconds_sum{phase=\"append\"}", 1e-7),
        ("quartermaster_data_dir_available_bytes", 1.0),
        ("quartermaster_memory_bytes{kind=\"allocated\"}", 1e6),
        ("quartermaster_runtime_workers", 1.0),
        ("quartermaster_allotment_units{node=\"app\",kind=\"allotted\"}", 1.0),
        (r#"quartermaster_allotment_units{node="a\\\"b\"",kind="allotted"}"#, 1.0),
        ("quartermaster_route_parcels_count", 1.0),
        ("quartermaster_ready", 1.0),
    ] {
        let line = page.lines().find(|line| line.rsplit_once(' ').is_some_and(|(series, _)| series == name));
        let (.., value) = sample(line.unwrap_or_else(|| panic!("{name} is missing in\n{page}")));
        assert!(value >= least, "{name} is {value}");
    }
}

/// `promtool check metrics` has nothing to say of the page; skipped where there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_finds_nothing_wrong_with_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let page = scrape(&worked(dir.path()).await).await;
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = command.spawn() else {
        eprintln!("skipped: promtool is not installed");
        return;
    };
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let text = [said.stdout, said.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(said.status.success() && text.is_empty(), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_told_the_same_by_page_and_by_command() {
    let dir = tempfile::tempdir().unwrap();
    let server = worked(dir.path()).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    let status: Value = serde_json::from_str(&ask(&server.metrics, &get("/status.json")).await).unwrap();
    assert_eq!((&status["state"], &status["node"]["skus"]), (&"serving".into(), &2.into()));
    let settings = status["settings"].as_array().unwrap();
    let data_dir = settings.iter().find(|setting| setting["key"] == "data_dir").unwrap();
    assert_eq!(data_dir["origin"], "flag --data-dir");
    let text = ask(&server.metrics, &get("/status")).await;
    for part in ["2 SKUs", "slow_call_threshold", "the defaults", "slow and failed calls"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let told = super::support::command(&["slow", "-o", "json", "--target", &server.address]).output().unwrap();
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let failed = told["calls"].as_array().unwrap().iter().find(|call| call["code"] == "NotFound").unwrap();
    assert_eq!(failed["method"], "quartermaster.v1.AllocationService/Reserve");
    assert!(failed["phase_seconds"]["decide"].as_f64().unwrap() > 0.0, "{failed}");
    let page: Value = serde_json::from_str(&ask(&server.metrics, &get("/slow.json")).await).unwrap();
    assert!(page["calls"].as_array().unwrap().contains(failed), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_call_is_logged_as_json_with_its_id_and_its_steps() {
    let dir = tempfile::tempdir().unwrap();
    let free = "127.0.0.1:0";
    let mut command = super::support::command(&["serve", "--listen", free, "--metrics-listen", free]);
    command.args(["--log-format", "json", "--slow-call-threshold", "1ms", "--data-dir"]).arg(dir.path());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("ready grpc=").unwrap().split(' ').next().unwrap();
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    // Five thousand SKUs are read, made, written and synced: more than a millisecond on any machine.
    let skus = (0..5_000).map(|number| Sku { code: format!("S{number}"), ..Sku::default() }).collect();
    let mut request = tonic::Request::new(UpsertSkusRequest { request_id: "skus".into(), skus });
    request.metadata_mut().insert("x-request-id", "slow-one".parse().unwrap());
    CatalogServiceClient::new(channel).upsert_skus(request).await.unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let slow = lines.find(|line| line.contains("slow call")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let slow: Value = serde_json::from_str(&slow).unwrap();
    assert_eq!((&slow["request_id"], &slow["level"]), (&"slow-one".into(), &"WARN".into()));
    assert_eq!(slow["method"], "quartermaster.v1.CatalogService/UpsertSkus");
    let micros = |key: &str| slow[key].as_u64().unwrap_or_else(|| panic!("no {key} in {slow}"));
    let mut sum: u64 =
        ["wait", "convert", "lock", "decide", "append", "reply"].map(|step| micros(&format!("{step}_us"))).iter().sum();
    // The disk may have been faster than the end of so large a decision.
    sum += slow["fsync_us"].as_u64().unwrap_or(0);
    assert!(micros("total_us") >= 1_000 && sum.abs_diff(micros("total_us")) <= 7, "{slow}");
    assert_eq!(slow["left_out"], 0);
}

fn ops() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../ops"))
}

/// Values of the lines that begin with `key`, at any depth.
fn values(text: &str, key: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix(key));
    lines.map(|rest| rest.trim().to_owned()).collect()
}

/// Every "expr" of a dashboard.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("expr").and_then(|expr| expr.as_str()).map(str::to_owned));
            object.values().for_each(|value| queries(value, found));
        }
        Value::Array(array) => array.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

/// Collects what a query asks for and the labels it sorts by.
#[derive(Default)]
struct Names {
    selected: Vec<(String, Vec<String>)>,
    labels: Vec<String>,
}

impl ExprVisitor for Names {
    type Error = Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
        let selector = match expr {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(matrix) => Some(&matrix.vs),
            _ => None,
        };
        if let Some(selector) = selector {
            let matched = selector.matchers.matchers.iter().map(|matcher| matcher.name.clone()).collect();
            self.selected.push((selector.name.clone().unwrap_or_default(), matched));
        }
        let modifier = match expr {
            Expr::Aggregate(aggregate) => aggregate.modifier.as_ref(),
            Expr::Binary(binary) => binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref()),
            _ => None,
        };
        self.labels.extend(modifier.iter().flat_map(|modifier| modifier.labels().labels.iter().cloned()));
        Ok(true)
    }
}

/// What is wrong with a query; nothing when all it names is there.
fn faults(query: &str, page: &str, recorded: &BTreeSet<String>) -> Vec<String> {
    // As Grafana fills it in.
    let filled = query.replace("$__rate_interval", "1m").replace("$instance", ".*");
    let parsed = match parse(&filled) {
        Ok(parsed) => parsed,
        Err(error) => return vec![format!("{query}: {error}")],
    };
    let mut names = Names::default();
    let Ok(_) = walk_expr(&mut names, &parsed);
    let scraped = ["job", "instance"].map(str::to_owned);
    let mut known: BTreeSet<String> = BTreeSet::from(scraped.clone());
    let mut faults = Vec::new();
    for (name, matched) in &names.selected {
        let mut own = BTreeSet::from(scraped.clone());
        if recorded.contains(name) {
            own.extend(["kind", "grpc_service", "grpc_method"].map(str::to_owned));
        } else if name != "up" {
            let Some((family, is_bucket)) = family(name) else {
                faults.push(format!("{query}: there is no {name}"));
                continue;
            };
            if !page.contains(&format!("# TYPE {} ", family.name)) {
                faults.push(format!("{query}: the server does not show {name}"));
            }
            own.extend(family.labels.iter().map(|label| label.name.to_owned()));
            own.extend(is_bucket.then(|| "le".to_owned()));
        }
        let strange = matched.iter().filter(|label| !own.contains(*label));
        faults.extend(strange.map(|label| format!("{query}: {name} has no label {label}")));
        known.extend(own);
    }
    let strange = names.labels.iter().filter(|label| !known.contains(*label));
    faults.extend(strange.map(|label| format!("{query}: nothing in it has a label {label}")));
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_rules_alerts_and_dashboards_names_what_the_server_shows() {
    let dir = tempfile::tempdir().unwrap();
    let page = scrape(&worked(dir.path()).await).await;
    let rules = fs::read_to_string(ops().join("prometheus/rules.yml")).unwrap();
    let alerts = fs::read_to_string(ops().join("prometheus/alerts.yml")).unwrap();
    let recorded: BTreeSet<String> = values(&rules, "record:").into_iter().collect();
    let mut asked = values(&rules, "expr:");
    assert_eq!(asked.len(), recorded.len());
    asked.extend(values(&alerts, "expr:"));
    let mut dashboards = 0;
    for file in fs::read_dir(ops().join("grafana")).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "json") {
            let before = asked.len();
            queries(&serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap(), &mut asked);
            assert!(asked.len() >= before + 10, "{}", file.display());
            dashboards += 1;
        }
    }
    assert_eq!(dashboards, 5);
    let faults: Vec<String> = asked.iter().flat_map(|query| faults(query, &page, &recorded)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));

    // The judge itself: what is not there is found.
    for wrong in [
        "quartermaster_no_such_total",
        "rate(quartermaster_shed_total{reason=\"queue\"}[5m])",
        "sum by (kind) (quartermaster_wal_backlog_bytes)",
        "rate(quartermaster_wal_backlog_bytes[5m]",
        "quartermaster_queue_wait_seconds",
    ] {
        assert_eq!(self::faults(wrong, &page, &recorded).len(), 1, "{wrong}");
    }
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let alerts = fs::read_to_string(ops().join("prometheus/alerts.yml")).unwrap();
    let tests = fs::read_to_string(ops().join("prometheus/tests.yml")).unwrap();
    let names = values(&alerts, "alert:");
    let urls = values(&alerts, "runbook_url:");
    assert_eq!(names.len(), urls.len());
    assert_eq!(names.len(), values(&alerts, "severity:").len());
    let root = ops().join("..");
    let mut sections = BTreeSet::new();
    for (name, url) in names.iter().zip(&urls) {
        let (page, anchor) = url.split_once('#').unwrap();
        assert_eq!(anchor, name.to_lowercase());
        let text = fs::read_to_string(root.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        let section = text.split("\n## ").find(|section| section.lines().next() == Some(name));
        let section = section.unwrap_or_else(|| panic!("{page} has no section {name}"));
        for part in ["**Means.**", "**Callers see.**", "**First look.**", "**Do.**", "**Do not.**"] {
            assert!(section.contains(part), "{name} has no {part}");
        }
        sections.extend(text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned));
        for kind in ["fires", "stays quiet"] {
            assert!(tests.contains(&format!("- name: {name} {kind}\n")), "no test in which {name} {kind}");
        }
    }
    assert_eq!(sections, names.into_iter().collect());
}

/// What the scrape of a large server costs. In release alone: `cargo test --release -p quartermaster-server --test whole -- --ignored million`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "loads a million SKUs"]
async fn a_page_of_a_million_skus_takes_less_than_50_ms() {
    const SKUS: usize = 1_000_000;
    let dir = tempfile::tempdir().unwrap();
    // A debug build takes longer than a second for some of the requests.
    let server =
        Server::try_start(dir.path(), &["--default-deadline", "1h"]).unwrap_or_else(|(said, _)| panic!("{said}"));
    let channel = server.channel().await;
    million(&channel, SKUS).await;
    let mut times = Vec::new();
    let mut page = String::new();
    for _ in 0..30 {
        let began = Instant::now();
        page = scrape(&server).await;
        times.push(began.elapsed());
    }
    assert!(page.contains(&format!("quartermaster_skus {SKUS}\n")), "{page}");
    times.sort_unstable();
    eprintln!(
        "scrape at {SKUS} SKUs: half {:?}, longest of 30 {:?}, {} bytes, {} lines",
        times[15],
        times[29],
        page.len(),
        page.lines().count()
    );
    assert!(times[29] < Duration::from_millis(50), "{times:?}");
}

/// SKUs with ten units each, and a hold on one in ten.
async fn million(channel: &Channel, skus: usize) {
    let mut catalog = CatalogServiceClient::new(channel.clone());
    let locations = vec![Location { code: "L".into(), ..Location::default() }];
    catalog.upsert_locations(UpsertLocationsRequest { request_id: "l".into(), locations }).await.unwrap();
    let code = |number: usize| format!("S{number:07}");
    for first in (0..skus).step_by(5_000) {
        let skus = (first..first + 5_000).map(|number| Sku { code: code(number), ..Sku::default() }).collect();
        catalog.upsert_skus(UpsertSkusRequest { request_id: format!("s{first}"), skus }).await.unwrap();
    }
    let row = move |number| ImportRow { sku: code(number), location: "L".into(), on_hand: 10, ..ImportRow::default() };
    let messages = (0..skus).step_by(10_000).map(move |first| ImportStockRequest {
        request_id: "import".into(),
        rows: (first..first + 10_000).map(row).collect(),
        ..ImportStockRequest::default()
    });
    InventoryServiceClient::new(channel.clone()).import_stock(tokio_stream::iter(messages)).await.unwrap();
    let mut allocation = allocation(channel);
    for first in (0..skus / 10).step_by(5_000) {
        let hold = |number: usize| ReserveRequest {
            request_id: format!("h{number}"),
            lines: vec![ReserveLine { sku: code(number * 10), quantity: 1, ..ReserveLine::default() }],
            ..ReserveRequest::default()
        };
        let requests = (first..first + 5_000).map(hold).collect();
        allocation.reserve_batch(ReserveBatchRequest { requests }).await.unwrap();
    }
}
