//! Imports against a server that is not one: it keeps what it is sent and fails when it is told to.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::Parser;
use flate2::Compression;
use flate2::write::GzEncoder;
use quartermaster_proto::v1::catalog_service_server::{CatalogService, CatalogServiceServer};
use quartermaster_proto::v1::inventory_service_server::{InventoryService, InventoryServiceServer};
use quartermaster_proto::v1::*;
use tempfile::{TempDir, tempdir};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

use super::problem::Problems;
use super::progress::Progress;
use super::send::Sent;
use super::{ImportArgs, Stop, import};

/// What the server that is not one has seen.
#[derive(Debug, Default)]
struct Kept {
    request_ids: Vec<String>,
    skus: Vec<Sku>,
    locations: Vec<Location>,
    channels: Vec<Channel>,
    regions: Vec<Region>,
    rows: Vec<ImportRow>,
    /// Calls that fail before one succeeds.
    failures: u32,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Kept>>);

impl Fake {
    /// Notes a request; says whether it came before.
    fn enter(&self, request_id: &str) -> Result<bool, Status> {
        let mut kept = self.0.lock().unwrap();
        if kept.failures > 0 {
            kept.failures -= 1;
            return Err(Status::unavailable("a queue is full"));
        }
        let replayed = kept.request_ids.iter().any(|id| id == request_id);
        kept.request_ids.push(request_id.to_owned());
        Ok(replayed)
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap()
}

#[tonic::async_trait]
impl CatalogService for Fake {
    async fn upsert_skus(&self, request: Request<UpsertSkusRequest>) -> Result<Response<UpsertSkusResponse>, Status> {
        let request = request.into_inner();
        let replayed = self.enter(&request.request_id)?;
        let created = count(request.skus.len());
        if !replayed {
            self.0.lock().unwrap().skus.extend(request.skus);
        }
        Ok(Response::new(UpsertSkusResponse { replayed, created, ..Default::default() }))
    }

    async fn upsert_locations(
        &self,
        request: Request<UpsertLocationsRequest>,
    ) -> Result<Response<UpsertLocationsResponse>, Status> {
        let request = request.into_inner();
        let replayed = self.enter(&request.request_id)?;
        let created = count(request.locations.len());
        if !replayed {
            self.0.lock().unwrap().locations.extend(request.locations);
        }
        Ok(Response::new(UpsertLocationsResponse { replayed, created, ..Default::default() }))
    }

    async fn upsert_channels(
        &self,
        request: Request<UpsertChannelsRequest>,
    ) -> Result<Response<UpsertChannelsResponse>, Status> {
        let request = request.into_inner();
        let replayed = self.enter(&request.request_id)?;
        let created = count(request.channels.len());
        self.0.lock().unwrap().channels.extend(request.channels);
        Ok(Response::new(UpsertChannelsResponse { replayed, created, ..Default::default() }))
    }

    /// Two to a page.
    async fn list_skus(&self, request: Request<ListSkusRequest>) -> Result<Response<ListSkusResponse>, Status> {
        let from: usize = request.into_inner().page_token.parse().unwrap_or(0);
        let skus = self.0.lock().unwrap().skus.clone();
        let next_page_token = if from + 2 < skus.len() { (from + 2).to_string() } else { String::new() };
        let skus = skus.into_iter().skip(from).take(2).collect();
        Ok(Response::new(ListSkusResponse { skus, next_page_token, ..Default::default() }))
    }

    async fn list_locations(
        &self,
        _: Request<ListLocationsRequest>,
    ) -> Result<Response<ListLocationsResponse>, Status> {
        let locations = self.0.lock().unwrap().locations.clone();
        Ok(Response::new(ListLocationsResponse { locations, ..Default::default() }))
    }

    async fn retire_skus(&self, _: Request<RetireSkusRequest>) -> Result<Response<RetireSkusResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_channels(&self, _: Request<ListChannelsRequest>) -> Result<Response<ListChannelsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn upsert_regions(
        &self,
        request: Request<UpsertRegionsRequest>,
    ) -> Result<Response<UpsertRegionsResponse>, Status> {
        let request = request.into_inner();
        let replayed = self.enter(&request.request_id)?;
        let created = count(request.regions.len());
        self.0.lock().unwrap().regions.extend(request.regions);
        Ok(Response::new(UpsertRegionsResponse { replayed, created, ..Default::default() }))
    }

    async fn list_regions(&self, _: Request<ListRegionsRequest>) -> Result<Response<ListRegionsResponse>, Status> {
        let regions = self.0.lock().unwrap().regions.clone();
        Ok(Response::new(ListRegionsResponse { regions, ..Default::default() }))
    }
}

/// Methods that an import does not call.
macro_rules! uncalled {
    ($($method:ident($request:ty) -> $response:ty;)*) => {
        #[tonic::async_trait]
        impl InventoryService for Fake {
            async fn import_stock(
                &self,
                request: Request<Streaming<ImportStockRequest>>,
            ) -> Result<Response<ImportStockResponse>, Status> {
                let mut stream = request.into_inner();
                let (mut rows, mut request_id) = (Vec::new(), String::new());
                while let Some(message) = stream.message().await? {
                    if !message.request_id.is_empty() {
                        request_id = message.request_id;
                    }
                    rows.extend(message.rows);
                }
                let replayed = self.enter(&request_id)?;
                let taken = count(rows.len());
                if !replayed {
                    self.0.lock().unwrap().rows.extend(rows);
                }
                Ok(Response::new(ImportStockResponse { replayed, rows: taken, ..Default::default() }))
            }
            $(async fn $method(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                Err(Status::unimplemented(""))
            })*
        }
    };
}

uncalled! {
    set_stock(SetStockRequest) -> SetStockResponse;
    adjust_stock(AdjustStockRequest) -> AdjustStockResponse;
    receive_stock(ReceiveStockRequest) -> ReceiveStockResponse;
    move_stock(MoveStockRequest) -> MoveStockResponse;
    get_availability(GetAvailabilityRequest) -> GetAvailabilityResponse;
    get_style_grid(GetStyleGridRequest) -> GetStyleGridResponse;
    list_cells(ListCellsRequest) -> ListCellsResponse;
    list_shortfalls(ListShortfallsRequest) -> ListShortfallsResponse;
    set_cell_facts(SetCellFactsRequest) -> SetCellFactsResponse;
    count_stock(CountStockRequest) -> CountStockResponse;
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: ImportArgs,
}

/// Files and a server that is not one.
struct World {
    directory: TempDir,
    fake: Fake,
    target: String,
}

impl World {
    async fn new() -> World {
        let fake = Fake::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let server = tonic::transport::Server::builder()
            .add_service(CatalogServiceServer::new(fake.clone()))
            .add_service(InventoryServiceServer::new(fake.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        World { directory: tempdir().unwrap(), fake, target }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    async fn import(&self, line: &str) -> Result<Sent, Stop> {
        let base = self.directory.path().display().to_string();
        let words = line.split_whitespace().map(|word| word.replace("@", &format!("{base}/")));
        let args = ["import", "--target", &self.target].map(str::to_owned).into_iter().chain(words);
        import(&Line::parse_from(args).args, &Progress::new()).await
    }

    /// The problems of files that have some, without the directory; nothing must have been sent.
    async fn problems(&self, line: &str) -> Vec<String> {
        let Err(Stop::Problems(problems)) = self.import(line).await else { panic!("no problems") };
        assert!(self.fake.0.lock().unwrap().request_ids.is_empty(), "nothing half imported");
        lines(&problems, self.directory.path())
    }
}

fn lines(problems: &Problems, directory: &Path) -> Vec<String> {
    let base = format!("{}/", directory.display());
    problems.to_string().lines().map(|line| line.replace(&base, "")).collect()
}

#[tokio::test]
async fn files_with_other_names_of_columns_are_taken_as_they_are() {
    let world = World::new().await;
    world.file("products.csv", "sku,name,median_price,abc\nA,inflatable globe,0.85,B\nB,\"cactus, groovy\",,C\n");
    world.file(
        "locations.csv",
        "location_id,kind,country,city,lat,lng,cutoff_local\nDC-01,dc,GB,London,51.4975,-0.1357,20:00\nR,rdc,GB,,,,\nS,store,GB,Leeds,53,-1,\n",
    );
    world.file("channels.csv", "code,name,active\ntmall,Tmall,yes\nold,Old,no\n");
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all("\u{feff}on_hand,location_id,sku\n107,DC-01,A\n4,S,B\n".as_bytes()).unwrap();
    fs::write(world.directory.path().join("stock.csv.gz"), packed.finish().unwrap()).unwrap();
    let sent = world
        .import("--skus @products.csv --locations @locations.csv --channels @channels.csv --stock @stock.csv.gz")
        .await
        .unwrap();
    let kept = world.fake.0.lock().unwrap();
    let globe = &kept.skus[0];
    assert_eq!((globe.code.as_str(), globe.attributes["name"].as_str()), ("A", "inflatable globe"));
    assert_eq!(kept.skus[1].attributes.len(), 2, "an empty field is no attribute");
    let london = &kept.locations[0];
    assert_eq!((london.name.as_str(), london.region.as_str(), london.priority), ("London", "GB", 10));
    assert_eq!((london.kind(), london.coordinates.unwrap().longitude), (LocationKind::DistributionCentre, -0.1357));
    let priorities: Vec<i32> = kept.locations.iter().map(|location| location.priority).collect();
    assert_eq!((priorities, kept.locations[1].coordinates), (vec![10, 20, 50], None));
    assert_eq!(kept.locations[2].capabilities, [1, 2]);
    let hours = london.fulfilment.clone().unwrap().shifts;
    assert_eq!((hours.len(), hours[6]), (7, Shift { weekday: 7, opens_minute: 0, cutoff_minute: 1_200 }));
    assert_eq!(kept.locations[2].fulfilment, None);
    assert_eq!((kept.channels[0].active, kept.channels[1].active), (Some(true), Some(false)));
    assert_eq!((kept.rows[0].sku.as_str(), kept.rows[0].location.as_str(), kept.rows[0].on_hand), ("A", "DC-01", 107));
    let page = sent.page();
    assert!(page.contains("skus                  2  2 new, 0 replaced"), "{page}");
}

#[tokio::test]
async fn attributes_of_apparel_have_their_places() {
    let world = World::new().await;
    world.file("catalogue.csv", "sku,style,colour,size,category,stock,weight_g,currency,unit_value,sellable\nA,AN201,red,L,leggings,5,120,CNY,9900,no\n");
    world.import("--skus @catalogue.csv").await.unwrap();
    let kept = world.fake.0.lock().unwrap();
    let sku = &kept.skus[0];
    assert_eq!((sku.style.as_str(), sku.colour.as_str(), sku.size.as_str()), ("AN201", "red", "L"));
    assert_eq!(
        (sku.weight_grams, sku.unit_value.clone().unwrap().minor_units, sku.sellable),
        (120, 9_900, Some(false))
    );
    let attributes: Vec<_> = sku.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!((sku.category.as_str(), &attributes[..]), ("leggings", &[("stock", "5")][..]));
}

#[tokio::test]
async fn what_carriers_must_know_of_a_sku_has_columns() {
    let world = World::new().await;
    world.file(
        "skus.csv",
        "sku,category,length_mm,width_mm,height_mm,dangerous_goods,temperature\nA,ice,300,200,,9,frozen\n",
    );
    world.import("--skus @skus.csv").await.unwrap();
    let sku = world.fake.0.lock().unwrap().skus.remove(0);
    assert_eq!((sku.length_mm, sku.width_mm, sku.height_mm), (300, 200, 0));
    assert_eq!((sku.category, sku.dangerous_goods, sku.temperature), ("ice".into(), "9".into(), "frozen".into()));
    world.fake.0.lock().unwrap().request_ids.clear();
    world.file("skus.csv", "sku,length_mm\nA,100001\nB,1.5\n");
    let expected = [
        "skus.csv:2:length_mm: \"100001\" is no whole number from 0 to 100000",
        "skus.csv:3:length_mm: \"1.5\" is no whole number from 0 to 100000",
    ];
    assert_eq!(world.problems("--skus @skus.csv").await, expected);
}

#[tokio::test]
async fn costs_hours_and_limits_of_a_location_have_columns() {
    let world = World::new().await;
    let names = "location,ship_fixed_cost,pick_unit_cost,processing_minutes,time_zone,opens,cutoff,working_days,orders_per_day,daily_capacity_units,same_hour_radius_metres,keep_units,channels";
    world.file(
        "l.csv",
        &format!("{names}\nL1,310,6,90,Asia/Shanghai,08:30,24:00,1-3;6,100,0,5000,2,web; app;web\nL2,,,,,,,,,,,,\n"),
    );
    world.import("--locations @l.csv").await.unwrap();
    let kept = std::mem::take(&mut world.fake.0.lock().unwrap().locations);
    let shift = |weekday| Shift { weekday, opens_minute: 510, cutoff_minute: 1_440 };
    let expected = Fulfilment {
        handling_cost: 310,
        pick_unit_cost: 6,
        processing_minutes: 90,
        time_zone: "Asia/Shanghai".into(),
        shifts: vec![shift(1), shift(2), shift(3), shift(6)],
        holidays: Vec::new(),
        capacity: Some(CapacityLimits { orders_per_day: Some(100), units_per_day: Some(0), ..Default::default() }),
        same_hour_radius_metres: 5_000,
        channels: vec!["app".into(), "web".into()],
        keep_units: 2,
    };
    assert_eq!((kept[0].fulfilment.as_ref(), kept[1].fulfilment.as_ref()), (Some(&expected), None));
    world.fake.0.lock().unwrap().request_ids.clear();
    world.file("l.csv", "location,handling_cost,time_zone,opens,cutoff,working_days\nA,-1,Mars/Olympus,,,\nB,,,20:00,08:00,\nC,,,25:00,8h,0-3\n");
    let expected = [
        "l.csv:2:handling_cost: \"-1\" is no whole number from 0 to 1000000000",
        "l.csv:2:time_zone: \"Mars/Olympus\" is no time zone of the IANA database; write it as Asia/Shanghai",
        "l.csv:3:cutoff: work ends before it starts, or at once; the cut-off must come after the opening",
        "l.csv:4:opens: \"25:00\" is no time of day; write it as 20:00, the end of a day as 24:00",
        "l.csv:4:cutoff: \"8h\" is no time of day; write it as 20:00, the end of a day as 24:00",
        "l.csv:4:working_days: \"0-3\" names no days of the week; write 1-5 or 1;3;5, 1 being Monday",
    ];
    assert_eq!(world.problems("--locations @l.csv").await, expected);
}

#[tokio::test]
async fn regions_are_sent_parents_first() {
    let world = World::new().await;
    let file = "code,parent,name,lat,lng,level\n330106,330100,西湖区,30.27,120.13,county\n330100,330000,杭州市,,,\n330000,,浙江省,30.26,120.15,\n";
    world.file("regions.csv", file);
    let sent = world.import("--regions @regions.csv").await.unwrap();
    assert!(sent.page().contains("regions               3  3 new, 0 replaced"), "{}", sent.page());
    let kept = std::mem::take(&mut world.fake.0.lock().unwrap().regions);
    let codes: Vec<_> = kept.iter().map(|region| (region.code.as_str(), region.parent.as_str())).collect();
    assert_eq!(codes, [("330000", ""), ("330100", "330000"), ("330106", "330100")]);
    assert_eq!((kept[1].coordinates, kept[2].name.as_str()), (None, "西湖区"));
    // The server has the parent.
    world.fake.0.lock().unwrap().regions = kept;
    world.file("regions.csv", "region,parent\nX,330106\n");
    world.import("--regions @regions.csv").await.unwrap();
    world.fake.0.lock().unwrap().request_ids.clear();
    world.file("regions.csv", "code,parent,lat\nA,B,\nC,,91\n");
    let expected = [
        "regions.csv:3:lat: \"91\" is no number of degrees from -90 to 90",
        "regions.csv:2:parent: \"B\" is neither in the file of regions nor on the server; add it there",
    ];
    assert_eq!(world.problems("--regions @regions.csv").await, expected);
    world.file("regions.csv", "code,parent\nA,B\nB,A\n");
    let expected = ["regions.csv:2:parent: \"A\" lies in itself, through the regions it lies in"];
    assert_eq!(world.problems("--regions @regions.csv").await, expected);
    world.file("regions.csv", "adcode,parent\n419001,419000\n410000,\n");
    world.import("--regions @regions.csv").await.unwrap();
    assert_eq!(world.fake.0.lock().unwrap().regions.last().unwrap().parent, "410000");
}

#[tokio::test]
async fn every_error_has_its_file_row_and_column_and_nothing_is_sent() {
    let world = World::new().await;
    world.file("skus.csv", "SKU,weight_g,unit_value,sellable\nA,12,,\n,1,,\nA,x,5,maybe\nB\u{1},1.0,,\n");
    world.file("locations.csv", "location,kind,lat,lng,status\nL1,castle,95,1,open\nL2,dc,5,,shut\n");
    world.file("stock.csv", "sku,location_id,on_hand\nA,L1,5\nA,L1,6\nA,L2,-1\nZ,L9,\nA,L2\nQ,L1,4294967296\nQ,L2,7\n");
    let found = world.problems("--skus @skus.csv --locations @locations.csv --stock @stock.csv").await;
    let expected = [
        "locations.csv:2:kind: \"castle\" is none of dc, rdc, forward, store, 3pl, supplier, node",
        "locations.csv:2:lat: \"95\" is no number of degrees from -90 to 90",
        "locations.csv:3:lat: given without its other half; give both latitude and longitude or neither",
        "locations.csv:3:status: \"shut\" is none of open, paused, closed",
        "skus.csv:3:SKU: empty; it must be given",
        "skus.csv:4:SKU: \"A\" stands in row 2 already; keep one",
        "skus.csv:5:SKU: \"B\\u{1}\" holds a control character; remove it",
        "stock.csv:3:sku: SKU \"A\" at \"L1\" stands in row 2 already; keep one",
        "stock.csv:4:on_hand: \"-1\" is no whole number from 0 to 4294967295",
        "stock.csv:5:on_hand: empty; it must be given",
        "stock.csv:6: the row has 2 fields, the header names 3",
        "stock.csv:7:on_hand: \"4294967296\" is no whole number from 0 to 4294967295",
        "stock.csv:5:sku: \"Z\" is neither in the file of SKUs nor on the server; add it there",
        "stock.csv:7:sku: \"Q\" is neither in the file of SKUs nor on the server; add it there",
        "stock.csv:5:location_id: \"L9\" is neither in the file of locations nor on the server; add it there",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn files_that_are_no_tables_are_told() {
    let world = World::new().await;
    world.file("empty.csv", "");
    world.file("header.csv", "sku,location,on_hand\n");
    world.file("other.csv", "article,place\n1,2\n");
    world.file("twice.csv", "sku,sku\n1,2\n");
    fs::write(world.directory.path().join("latin.csv"), b"sku,colour\nA,vert p\xe2le\n").unwrap();
    let first = async |line: &str| world.problems(line).await.remove(0);
    assert_eq!(first("--skus @empty.csv").await, "empty.csv:1: the file is empty; the first row names the columns");
    assert!(first("--stock @header.csv").await.starts_with("header.csv:1: the file has no rows"));
    let missing = world.problems("--stock @other.csv").await;
    assert_eq!(missing.len(), 3);
    assert_eq!(missing[1], "other.csv:1:location: the column is missing; name it location, location_id, location_code");
    assert_eq!(first("--skus @twice.csv").await, "twice.csv:1:sku: the column stands twice; keep one");
    assert_eq!(first("--skus @latin.csv").await, "latin.csv:2:colour: not UTF-8; save the file as UTF-8");
    assert!(matches!(world.import("--skus @nowhere.csv").await, Err(Stop::File(..))));
    assert!(matches!(world.import("").await, Err(Stop::NoFiles)));
}

#[tokio::test]
async fn only_twenty_errors_are_shown_and_all_are_counted() {
    let world = World::new().await;
    let rows: String = (0..30).map(|row| format!("A{row},none\n")).collect();
    world.file("skus.csv", &format!("sku,weight_g\n{rows}"));
    let found = world.problems("--skus @skus.csv").await;
    assert_eq!((found.len(), found[20].as_str()), (21, "... and 10 more"));
}

#[tokio::test]
async fn stock_may_refer_to_what_the_server_has() {
    let world = World::new().await;
    let sku = |code: &str| Sku { code: code.into(), ..Sku::default() };
    let place = Location { code: "L1".into(), ..Location::default() };
    {
        let mut kept = world.fake.0.lock().unwrap();
        kept.skus = ["A", "B", "C"].map(sku).into();
        kept.locations = vec![place];
    }
    world.file("stock.csv", "sku,location,on_hand\nC,L1,5\n");
    world.import("--stock @stock.csv").await.unwrap();
    assert_eq!(world.fake.0.lock().unwrap().rows.len(), 1);
    world.fake.0.lock().unwrap().request_ids.clear();
    world.file("stock.csv", "sku,location,on_hand\nC,L1,5\nD,L2,1\n");
    let found = world.problems("--stock @stock.csv").await;
    assert_eq!(found[0], "stock.csv:3:sku: \"D\" is neither in the file of SKUs nor on the server; add it there");
    assert_eq!(
        found[1],
        "stock.csv:3:location: \"L2\" is neither in the file of locations nor on the server; add it there"
    );
}

#[tokio::test]
async fn an_interrupted_import_goes_on_and_a_second_run_does_nothing_twice() {
    let world = World::new().await;
    let rows: String = (0..12_000).map(|row| format!("S{row}\n")).collect();
    world.file("skus.csv", &format!("sku\n{rows}"));
    let rows: String = (0..12_000).map(|row| format!("S{row},L,{row}\n")).collect();
    world.file("stock.csv", &format!("sku,location,on_hand\n{rows}"));
    world.file("locations.csv", "location\nL\n");
    let line = "--skus @skus.csv --locations @locations.csv --stock @stock.csv";
    world.fake.0.lock().unwrap().failures = 2;
    let first = world.import(line).await.unwrap();
    let second = world.import(line).await.unwrap();
    assert_eq!(first.request_id, second.request_id);
    assert!(second.parts.iter().all(|part| part.replayed == part.requests), "{second:?}");
    assert!(second.page().contains("in already, nothing changed"));
    {
        let kept = world.fake.0.lock().unwrap();
        assert_eq!((kept.skus.len(), kept.rows.len(), kept.rows[11_999].on_hand), (12_000, 12_000, 11_999));
        let ids: Vec<&str> = kept.request_ids[1..4].iter().map(|id| id.split_at(first.request_id.len()).1).collect();
        assert_eq!(ids, ["-skus-1", "-skus-2", "-skus-3"], "5,000 to a request");
        assert!(kept.request_ids.iter().all(|id| id.len() <= 64));
    }
    let renamed = world.import(&format!("{line} --request-id again")).await.unwrap();
    assert_eq!(renamed.parts[0].replayed, 0);
    world.file("locations.csv", "location\nL\nM\n");
    let changed = world.import(&format!("{line} --dry-run")).await.unwrap();
    assert_ne!(changed.request_id, first.request_id, "other content, other id");
}

#[tokio::test]
async fn patience_ends() {
    let world = World::new().await;
    world.file("locations.csv", "location\nL\n");
    world.fake.0.lock().unwrap().failures = u32::MAX;
    let refused = world.import("--locations @locations.csv --retry-seconds 0").await;
    let Err(Stop::Refused("locations", _, status)) = refused else { panic!("{refused:?}") };
    assert_eq!(status.code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_needs_no_server_for_files_that_are_whole() {
    let world = World::new().await;
    world.file("skus.csv", "sku\nA\n");
    let args = ["import", "--target", "127.0.0.1:1", "--dry-run", "--skus"].map(str::to_owned);
    let file = world.directory.path().join("skus.csv").display().to_string();
    let line = Line::parse_from(args.into_iter().chain([file]));
    let sent = import(&line.args, &Progress::new()).await.unwrap();
    assert!(sent.dry_run && sent.page().contains("sound, not sent"));
    world.file("stock.csv", "sku,location,on_hand\nA,L,1\n");
    let args = ["import", "--target", "127.0.0.1:1", "--dry-run", "--stock"].map(str::to_owned);
    let file = world.directory.path().join("stock.csv").display().to_string();
    let line = Line::parse_from(args.into_iter().chain([file]));
    assert!(matches!(import(&line.args, &Progress::new()).await, Err(Stop::Lookup(_))));
}

/// The sets that lie beside the workspace are taken as they are; without them there is nothing to test.
#[tokio::test]
async fn the_shared_sets_are_sound() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !data.join("products.csv.gz").exists() {
        eprintln!("skipped: {} is not there", data.display());
        return;
    }
    let regions = data.join("geo/cn-adcodes.csv").display().to_string();
    let args = ["import", "--dry-run", "--target", "127.0.0.1:1", "--regions", &regions].map(str::to_owned);
    let sent = import(&Line::parse_from(args).args, &Progress::new()).await.unwrap();
    assert_eq!((sent.parts[0].what, sent.parts[0].rows), ("regions", 3_218));
    for [skus, locations, stock] in [
        ["products.csv.gz", "locations.csv", "stock.csv.gz"],
        ["apparel/catalogue.csv.gz", "apparel/locations.csv", "apparel/stock.csv.gz"],
        ["olist/products.csv.gz", "olist/locations.csv", "olist/stock.csv.gz"],
    ] {
        let path = |name: &str| data.join(name).display().to_string();
        let args = ["import".to_owned(), "--dry-run".into(), "--target".into(), "127.0.0.1:1".into()];
        let files = ["--skus".into(), path(skus), "--locations".into(), path(locations), "--stock".into(), path(stock)];
        let line = Line::parse_from(args.into_iter().chain(files));
        let sent = import(&line.args, &Progress::new()).await.unwrap();
        assert!(sent.parts.iter().all(|part| part.rows > 0), "{sent:?}");
    }
}
