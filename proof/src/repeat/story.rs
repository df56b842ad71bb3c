//! What one worker does with its own stock, one change after the other: an order from the arrival of its units to their return, and in
//! between everything else that can be changed.

use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;
use quartermaster_loadtest::client::Client;
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_proto::v1::{self, allotment_setting::Quota, allotted_goods::Goods, selling_node::Node};
use tonic::Status;

use crate::stage::{self, patient};
use crate::verdict::Verdict;

/// Units of each SKU at each place at first: far more than is ever taken.
const STOCK: u64 = 1_000_000_000;
/// Longer than any run.
const TTL_SECONDS: i64 = 24 * 3_600;
/// Changes to what is not the order, told one after the other.
const ASIDES: u64 = 27;

/// A change, and the same under the same id with other content.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) body: Vec<u8>,
    pub(super) other: Vec<u8>,
}

/// What the next answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Adjust(i64),
    Reserve(i64),
    Extend,
    Confirm,
    Release,
    Cancel,
    Reassign,
    Ship,
    AnnounceReturn,
    CancelReturn,
    ReceiveReturn,
    InspectReturn,
    Aside,
}

/// An order under way.
#[derive(Clone, Debug, Default)]
struct Order {
    id: String,
    units: i64,
    /// Index of the place.
    place: usize,
    return_id: String,
}

/// A worker's stock and what it has done with it.
#[derive(Debug)]
pub(super) struct Story {
    worker: usize,
    number: u64,
    aside: u64,
    step: Step,
    order: Order,
    /// On hand, reserved, committed at each place, as they must be.
    cells: [[i64; 3]; 2],
}

/// Makes the catalogue and stock of all workers: of each a SKU for orders and one for everything else.
///
/// # Errors
/// What the server says to it.
pub(super) async fn set_up(client: &Client, workers: usize) -> Result<(), Status> {
    stage::catalogue(client, 2, 2 * workers).await?;
    let cells: Vec<_> = (0..2 * workers).flat_map(|sku| (0..2).map(move |place| (sku, place, STOCK))).collect();
    stage::receive(client, &cells).await?;
    // Two channels of each worker, for its allotments.
    let channel = |code: String| v1::Channel { code, active: Some(true), ..v1::Channel::default() };
    let channels = (0..workers).flat_map(|worker| [format!("C{worker}"), format!("D{worker}")]).map(channel).collect();
    let message = v1::UpsertChannelsRequest { request_id: "own-channels".into(), channels };
    client.catalog().upsert_channels(patient(message)).await?;
    Ok(())
}

/// A request and its twin with other content.
fn ask<T: Message + Clone>(method: &'static str, message: &T, change: impl FnOnce(&mut T)) -> Ask {
    let mut other = message.clone();
    change(&mut other);
    Ask { method, body: message.encode_to_vec(), other: other.encode_to_vec() }
}

fn read<T: Message + Default>(bytes: &[u8]) -> Result<T, String> {
    T::decode(bytes).map_err(|error| format!("an unreadable answer: {error}"))
}

impl Story {
    pub(super) fn new(worker: usize) -> Story {
        let stock = i64::try_from(STOCK).unwrap_or(i64::MAX);
        Story { worker, number: 0, aside: 0, step: Step::Aside, order: Order::default(), cells: [[stock, 0, 0]; 2] }
    }

    /// The next change.
    pub(super) fn next(&mut self, random: &mut SplitMix64) -> Ask {
        self.number += 1;
        self.step = self.after(random);
        let request_id = format!("w{}-{}", self.worker, self.number);
        let (sku, reservation_id) = (stage::sku(2 * self.worker), self.order.id.clone());
        match self.step {
            Step::Adjust(delta) => {
                let location = stage::place(0);
                let message = v1::AdjustStockRequest { request_id, sku, location, delta, ..Default::default() };
                ask("InventoryService/AdjustStock", &message, |message| message.delta += 1)
            }
            Step::Reserve(quantity) => {
                let line = v1::ReserveLine { sku, quantity, location: stage::place(0), sourcing: None };
                let ttl = Some(prost_types::Duration { seconds: TTL_SECONDS, nanos: 0 });
                let message = v1::ReserveRequest { request_id, lines: vec![line], ttl, ..Default::default() };
                if self.number.is_multiple_of(3) {
                    let batch = v1::ReserveBatchRequest { requests: vec![message] };
                    return ask("AllocationService/ReserveBatch", &batch, |batch| {
                        batch.requests[0].lines[0].quantity += 1;
                    });
                }
                ask("AllocationService/Reserve", &message, |message| message.lines[0].quantity += 1)
            }
            Step::Extend => {
                let ttl = Some(prost_types::Duration { seconds: TTL_SECONDS + 1, nanos: 0 });
                let message = v1::ExtendRequest { request_id, reservation_id, ttl };
                ask("AllocationService/Extend", &message, |message| message.ttl = Some(seconds(TTL_SECONDS)))
            }
            Step::Confirm => {
                let message = v1::ConfirmRequest { request_id, reservation_id };
                ask("AllocationService/Confirm", &message, |message| another(&mut message.reservation_id))
            }
            Step::Release => {
                let message = v1::ReleaseRequest { request_id, reservation_id };
                ask("AllocationService/Release", &message, |message| another(&mut message.reservation_id))
            }
            Step::Cancel => {
                let message = v1::CancelRequest { request_id, reservation_id, lines: Vec::new() };
                ask("AllocationService/Cancel", &message, |message| {
                    message.lines.push(v1::LineQuantity { sku: sku.clone(), ..Default::default() })
                })
            }
            Step::Ship => {
                let message = v1::ShipRequest { request_id, reservation_id, lines: Vec::new() };
                ask("AllocationService/Ship", &message, |message| {
                    message.lines.push(v1::LineQuantity { sku: sku.clone(), ..Default::default() })
                })
            }
            Step::Reassign => {
                let message = v1::ReassignRequest {
                    request_id,
                    reservation_id,
                    sku,
                    from_location: stage::place(0),
                    to_location: stage::place(1),
                    ..Default::default()
                };
                ask("AllocationService/Reassign", &message, |message| message.quantity = 1)
            }
            Step::AnnounceReturn => {
                let line =
                    v1::AnnouncedLine { sku, shipped_from: stage::place(self.order.place), quantity: self.order.units };
                let message = v1::AnnounceReturnRequest {
                    request_id,
                    reservation_id,
                    kind: i32::from(v1::ReturnKind::Customer),
                    reason: i32::from(v1::ReturnReason::Size),
                    lines: vec![line],
                    ..Default::default()
                };
                ask("ReturnService/AnnounceReturn", &message, |message| message.reference = "other".into())
            }
            Step::CancelReturn => {
                let message = v1::CancelReturnRequest { request_id, return_id: self.order.return_id.clone() };
                ask("ReturnService/CancelReturn", &message, |message| another(&mut message.return_id))
            }
            Step::ReceiveReturn => {
                let message = v1::ReceiveReturnRequest {
                    request_id,
                    return_id: self.order.return_id.clone(),
                    location: stage::place(0),
                    lines: vec![v1::ReceivedLine { sku, quantity: self.order.units }],
                    r#final: true,
                };
                ask("ReturnService/ReceiveReturn", &message, |message| message.r#final = false)
            }
            Step::InspectReturn => {
                let line = v1::InspectedLine {
                    sku,
                    location: stage::place(0),
                    quantity: self.order.units,
                    disposition: i32::from(v1::Disposition::Restock),
                };
                let return_id = self.order.return_id.clone();
                let message = v1::InspectReturnRequest { request_id, return_id, lines: vec![line] };
                ask("ReturnService/InspectReturn", &message, |message| {
                    message.lines[0].disposition = i32::from(v1::Disposition::Scrap);
                })
            }
            Step::Aside => self.aside(request_id),
        }
    }

    /// What comes after the last step.
    fn after(&mut self, random: &mut SplitMix64) -> Step {
        let few = 1 + i64::try_from(random.below(9)).unwrap_or(0);
        match self.step {
            Step::Aside => Step::Adjust(few),
            Step::Adjust(_) => Step::Reserve(few),
            Step::Reserve(_) => match random.below(4) {
                0 => Step::Extend,
                1 => Step::Release,
                2 => Step::Reassign,
                _ => Step::Confirm,
            },
            Step::Extend => {
                if random.chance(0.5) {
                    Step::Confirm
                } else {
                    Step::Cancel
                }
            }
            Step::Reassign => Step::Confirm,
            Step::Confirm => {
                if random.chance(0.7) {
                    Step::Ship
                } else {
                    Step::Cancel
                }
            }
            Step::Ship => Step::AnnounceReturn,
            Step::AnnounceReturn if random.chance(0.3) => Step::CancelReturn,
            Step::AnnounceReturn => Step::ReceiveReturn,
            Step::ReceiveReturn => Step::InspectReturn,
            Step::Release | Step::Cancel | Step::CancelReturn | Step::InspectReturn => Step::Aside,
        }
    }

    /// Takes in the one answer to the last change.
    ///
    /// # Errors
    /// When it is not the answer that it must be.
    pub(super) fn heard(&mut self, rest: &[u8]) -> Result<(), String> {
        let place = self.order.place;
        let units = self.order.units;
        match self.step {
            Step::Adjust(delta) => {
                self.cells[0][0] += delta;
                let answer: v1::AdjustStockResponse = read(rest)?;
                let [on_hand, reserved, committed] = self.cells[0];
                let level = answer.level.clone().unwrap_or_default();
                let right = (level.on_hand, level.available) == (on_hand, on_hand - reserved - committed);
                return if right { Ok(()) } else { Err(format!("{answer:?}, not {:?}", self.cells[0])) };
            }
            Step::Reserve(quantity) => {
                let answer: v1::ReserveResponse = read(rest)?;
                let Some(v1::reserve_response::Outcome::Hold(hold)) = answer.outcome else {
                    return Err(format!("{answer:?}"));
                };
                self.order = Order { id: hold.reservation_id, units: quantity, ..Order::default() };
                self.cells[0][1] += quantity;
            }
            Step::Reassign => {
                self.cells[0][1] -= units;
                self.cells[1][1] += units;
                self.order.place = 1;
            }
            Step::Confirm => {
                self.cells[place][1] -= units;
                self.cells[place][2] += units;
            }
            Step::Release => self.cells[place][1] -= units,
            Step::Cancel => {
                let answer: v1::CancelResponse = read(rest)?;
                let Some(v1::cancel_response::Outcome::Update(update)) = answer.outcome else {
                    return Err(format!("{answer:?}"));
                };
                if update.state() != v1::ReservationState::Cancelled || update.allocations.len() != 1 {
                    return Err(format!("{update:?}"));
                }
                // Held orders are cancelled after an extension, paid ones after a confirmation.
                let bucket = if self.cells[place][2] > 0 { 2 } else { 1 };
                self.cells[place][bucket] -= units;
            }
            Step::Ship => {
                self.cells[place][2] -= units;
                self.cells[place][0] -= units;
            }
            Step::AnnounceReturn => {
                let answer: v1::AnnounceReturnResponse = read(rest)?;
                let Some(v1::announce_return_response::Outcome::Update(update)) = answer.outcome else {
                    return Err(format!("{answer:?}"));
                };
                self.order.return_id = update.return_id;
            }
            Step::ReceiveReturn => self.cells[0][0] += units,
            Step::Extend | Step::CancelReturn | Step::InspectReturn | Step::Aside => {}
        }
        Ok(())
    }

    /// Compares the cells of the orders with what they must be.
    ///
    /// # Errors
    /// What the server says to the read.
    pub(super) async fn judge(&self, client: &Client, verdict: &mut Verdict) -> Result<(), Status> {
        let message = v1::ListCellsRequest { sku: stage::sku(2 * self.worker), ..Default::default() };
        let mut found = client.inventory().list_cells(patient(message)).await?.into_inner().cells;
        found.sort_by(|one, other| one.location.cmp(&other.location));
        let found: Vec<_> = found.iter().map(|cell| [cell.on_hand, cell.reserved, cell.committed]).collect();
        verdict.must(found == self.cells, || {
            format!("worker {}: on hand, reserved, committed are {found:?}, not {:?}", self.worker, self.cells)
        });
        Ok(())
    }

    /// Something that has nothing to do with the order.
    fn aside(&mut self, request_id: String) -> Ask {
        let worker = self.worker;
        let (sku, location) = (stage::sku(2 * worker + 1), stage::place(1));
        let round = self.aside / ASIDES;
        let turn = self.aside % ASIDES;
        self.aside += 1;
        let (inbound, campaign) = (format!("PO{worker}-{round}"), format!("K{worker}-{round}"));
        let figure = i64::try_from(round % 1_000).unwrap_or(0) + 1;
        let node = |code: String| Some(v1::SellingNode { node: Some(Node::Channel(code)) });
        let (own, twin) = (format!("C{worker}"), format!("D{worker}"));
        let goods = Some(v1::AllottedGoods { goods: Some(Goods::Sku(sku.clone())) });
        let expected = v1::ExpectedLine { sku: sku.clone(), quantity: 10, ..Default::default() };
        match turn {
            0 => {
                let receipts = vec![v1::Receipt { sku, location, quantity: figure }];
                let message = v1::ReceiveStockRequest { request_id, receipts, ..Default::default() };
                ask("InventoryService/ReceiveStock", &message, |message| message.receipts[0].quantity += 1)
            }
            1 => {
                let (from, to) = (i32::from(v1::Bucket::Sellable), i32::from(v1::Bucket::Damaged));
                let message =
                    v1::MoveStockRequest { request_id, sku, location, from, to, quantity: 1, ..Default::default() };
                ask("InventoryService/MoveStock", &message, |message| message.quantity += 1)
            }
            2 => {
                let bucket = i32::from(v1::Bucket::Safety);
                let message =
                    v1::SetStockRequest { request_id, sku, location, bucket, quantity: figure, ..Default::default() };
                ask("InventoryService/SetStock", &message, |message| message.quantity += 1)
            }
            3 => {
                let facts = v1::CellFacts { sku, location, weekly_demand_milli: Some(figure), ..Default::default() };
                let message = v1::SetCellFactsRequest { request_id, facts: vec![facts] };
                ask("InventoryService/SetCellFacts", &message, |message| message.facts[0].weekly_demand_milli = None)
            }
            4 => {
                let rows = vec![v1::CountRow { sku, counted: 1_000_000_000 + figure, reason: 0 }];
                let message = v1::CountStockRequest { request_id, location, rows, ..Default::default() };
                ask("InventoryService/CountStock", &message, |message| message.rows[0].counted += 1)
            }
            5 => {
                let code = format!("Z{worker}-{round}");
                let skus = vec![v1::Sku { code, weight_grams: figure, ..Default::default() }];
                let message = v1::UpsertSkusRequest { request_id, skus };
                ask("CatalogService/UpsertSkus", &message, |message| message.skus[0].weight_grams += 1)
            }
            6 => {
                let message = v1::RetireSkusRequest { request_id, skus: vec![format!("Z{worker}-{round}")] };
                ask("CatalogService/RetireSkus", &message, |message| message.skus.push(sku.clone()))
            }
            7 => {
                let region = v1::Region { code: format!("R{worker}"), name: figure.to_string(), ..Default::default() };
                let message = v1::UpsertRegionsRequest { request_id, regions: vec![region] };
                ask("CatalogService/UpsertRegions", &message, |message| message.regions[0].name.push('x'))
            }
            8 => {
                let place = v1::Location { code: format!("P{worker}"), name: figure.to_string(), ..Default::default() };
                let message = v1::UpsertLocationsRequest { request_id, locations: vec![place] };
                ask("CatalogService/UpsertLocations", &message, |message| message.locations[0].name.push('x'))
            }
            9 => {
                let channel =
                    v1::Channel { code: own, name: figure.to_string(), active: Some(true), ..Default::default() };
                let message = v1::UpsertChannelsRequest { request_id, channels: vec![channel] };
                ask("CatalogService/UpsertChannels", &message, |message| message.channels[0].name.push('x'))
            }
            10 => {
                let kind = i32::from(v1::InboundKind::Purchase);
                let (eta, lines) = (Some(in_a_day()), vec![expected]);
                let message = v1::AnnounceInboundRequest {
                    request_id,
                    code: inbound,
                    kind,
                    location,
                    eta,
                    lines,
                    ..Default::default()
                };
                ask("SupplyService/AnnounceInbound", &message, |message| message.lines[0].quantity += 1)
            }
            11 => {
                let line = v1::InboundLineChange { sku, quantity: Some(12), ..Default::default() };
                let message = v1::ChangeInboundRequest { request_id, code: inbound, eta: None, lines: vec![line] };
                ask("SupplyService/ChangeInbound", &message, |message| message.lines[0].quantity = Some(13))
            }
            12 => {
                let lines = vec![v1::ArrivedLine { sku, quantity: 5, reason: 0 }];
                let message = v1::ReceiveInboundRequest { request_id, code: inbound, lines, ..Default::default() };
                ask("SupplyService/ReceiveInbound", &message, |message| message.lines[0].quantity += 1)
            }
            13 => {
                let message = v1::CancelInboundRequest { request_id, code: inbound };
                ask("SupplyService/CancelInbound", &message, |message| message.code.push('x'))
            }
            14 => {
                let message = v1::ShipTransferRequest {
                    request_id,
                    code: format!("T{worker}-{round}"),
                    from_location: stage::place(0),
                    to_location: location,
                    eta: Some(in_a_day()),
                    lines: vec![v1::ExpectedLine { quantity: 3, ..expected }],
                    ..Default::default()
                };
                ask("SupplyService/ShipTransfer", &message, |message| message.lines[0].quantity += 1)
            }
            15 => {
                let code = format!("T{worker}-{round}");
                let lines = vec![v1::ArrivedLine { sku, quantity: 3, reason: 0 }];
                let message =
                    v1::ReceiveInboundRequest { request_id, code, lines, r#final: true, ..Default::default() };
                ask("SupplyService/ReceiveInbound", &message, |message| message.r#final = false)
            }
            16 => {
                let reason = i32::from(v1::FreezeReason::Legal);
                let message = v1::FreezeStockRequest { request_id, sku, location, reason, ..Default::default() };
                ask("UpkeepService/FreezeStock", &message, |message| message.reference.push('x'))
            }
            17 => {
                let message = v1::ThawStockRequest { request_id, sku, location, all: true, ..Default::default() };
                ask("UpkeepService/ThawStock", &message, |message| {
                    (message.all, message.reason) = (false, i32::from(v1::FreezeReason::Legal));
                })
            }
            18 => {
                let setting = |code, units| v1::AllotmentSetting {
                    goods: goods.clone(),
                    node: node(code),
                    quota: Some(Quota::Quantity(units)),
                    ..Default::default()
                };
                let settings = vec![setting(own, 1_000), setting(twin, 1_000)];
                let message = v1::SetAllotmentsRequest { request_id, settings, clip: false };
                ask("AllotmentService/SetAllotments", &message, |message| message.clip = true)
            }
            19 => {
                let steps = vec![v1::AllotmentStep { goods, node: node(own), quantity: 10 }];
                let message = v1::RaiseAllotmentsRequest { request_id, steps, clip: false };
                ask("AllotmentService/RaiseAllotments", &message, |message| message.steps[0].quantity += 1)
            }
            20 => {
                let steps = vec![v1::AllotmentStep { goods, node: node(own), quantity: 5 }];
                let message = v1::LowerAllotmentsRequest { request_id, steps, clip: false };
                ask("AllotmentService/LowerAllotments", &message, |message| message.steps[0].quantity += 1)
            }
            21 => {
                let moves = vec![v1::AllotmentMove { goods, from: node(own), to: node(twin), quantity: 7 }];
                let message = v1::MoveAllotmentsRequest { request_id, moves, clip: false };
                ask("AllotmentService/MoveAllotments", &message, |message| message.moves[0].quantity += 1)
            }
            22 => {
                let message =
                    v1::ReturnAllotmentsRequest { request_id, node: node(own), goods: goods.into_iter().collect() };
                ask("AllotmentService/ReturnAllotments", &message, |message| message.node = node(twin))
            }
            23 => {
                let tranche = v1::CampaignTranche { release_time: None, quantity: 100 };
                let campaign = v1::Campaign {
                    code: campaign,
                    start_time: Some(in_a_day()),
                    end_time: Some(later(2 * 24 * 3_600)),
                    items: vec![v1::CampaignItem { sku, tranches: vec![tranche] }],
                    ..Default::default()
                };
                let message = v1::UpsertCampaignsRequest { request_id, campaigns: vec![campaign], clip: false };
                ask("CampaignService/UpsertCampaigns", &message, |message| message.campaigns[0].order_limit = 1)
            }
            24 => {
                let message = v1::EndCampaignRequest { request_id, code: campaign };
                ask("CampaignService/EndCampaign", &message, |message| message.code.push('x'))
            }
            25 => {
                let lines = vec![v1::ReceivedLine { sku, quantity: 2 }];
                let message = v1::ReceiveUnmatchedReturnRequest {
                    request_id,
                    kind: i32::from(v1::ReturnKind::Customer),
                    reason: i32::from(v1::ReturnReason::Other),
                    location,
                    lines,
                    ..Default::default()
                };
                ask("ReturnService/ReceiveUnmatchedReturn", &message, |message| message.lines[0].quantity += 1)
            }
            _ => {
                let bucket = i32::from(v1::Bucket::OnHand);
                let message = v1::SetStockRequest {
                    request_id,
                    sku,
                    location,
                    bucket,
                    quantity: 1_000_000_000,
                    ..Default::default()
                };
                ask("InventoryService/SetStock", &message, |message| message.quantity += 1)
            }
        }
    }
}

/// Makes an id another one that is well formed.
fn another(id: &mut String) {
    let last = if id.pop() == Some('0') { '1' } else { '0' };
    id.push(last);
}

fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

fn in_a_day() -> prost_types::Timestamp {
    later(24 * 3_600)
}

fn later(seconds: u64) -> prost_types::Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    prost_types::Timestamp { seconds: i64::try_from(now + seconds).unwrap_or(i64::MAX), nanos: 0 }
}
