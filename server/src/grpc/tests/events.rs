//! Every kind of event as the answer it makes: of the event itself, and of the record that is remembered of it.

use std::sync::Arc;

use quartermaster_engine::{
    Answer, Engine, EngineConfig, Verdict,
    catalog::{ChannelSpec, LocationSpec, SkuSpec},
    command::{
        AdjustStock, Bucket, CatalogueCommand, CellCode, Command, Condition, ImportRow, ImportStock, LineSelection,
        MoveStock, Reassign, ReceiveStock, Request, Reserve, ReserveLine, SetStock, Step, StockCommand, StockReason,
    },
    event::Event,
    id::ReservationId,
    quantity::Quantity,
    time::{Micros, Timestamp},
};
use quartermaster_journal::MemoryJournal;
use quartermaster_proto::v1::{ReservationState as State, get_outcome_response::Outcome};

use crate::grpc::convert::{answers, time};

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

/// An engine with SKUs A and B, locations L and M, channel app, and 10 of A at L.
struct World {
    engine: Engine,
    requests: u32,
}

impl World {
    fn new() -> Self {
        let engine = Engine::new(EngineConfig::default(), Arc::new(MemoryJournal::new()));
        let mut world = Self { engine, requests: 0 };
        let sku = |code: &str| SkuSpec { code: code.into(), sellable: true, ..SkuSpec::default() };
        world.catalogue(CatalogueCommand::UpsertSkus(vec![sku("A"), sku("B")]));
        let location = |code: &str| LocationSpec { code: code.into(), ..LocationSpec::default() };
        world.catalogue(CatalogueCommand::UpsertLocations(vec![location("L"), location("M")]));
        let channel = ChannelSpec { code: "app".into(), active: true, ..ChannelSpec::default() };
        world.catalogue(CatalogueCommand::UpsertChannels(vec![channel]));
        world.change(&Command::Stock(StockCommand::Set(SetStock {
            cell: cell("A", "L"),
            bucket: Bucket::OnHand,
            quantity: Quantity(10),
            expected_revision: None,
            reason: StockReason(1),
            reference: String::new(),
        })));
        world
    }

    /// Makes it happen, twice: both must be told the same.
    fn change(&mut self, command: &Command) -> (Event, Outcome) {
        self.requests += 1;
        let request = Request { id: format!("r{}", self.requests).into(), actor: String::new() };
        let submit = || -> Answer { self.engine.submit(&request, command, NOW).unwrap() };
        let (first, again) = (submit(), submit());
        assert!(!first.replayed && again.replayed && first.lsn == again.lsn);
        let (Verdict::Done(event), Verdict::Done(remembered)) = (first.verdict, again.verdict) else {
            panic!("not done: {command:?}")
        };
        let catalogue = self.engine.catalogue();
        let told = answers::outcome(&catalogue, &event);
        assert_eq!(told, answers::outcome(&catalogue, &remembered), "{command:?}");
        if let Some(counts) = answers::upserted(&event) {
            assert_eq!(answers::upserted(&remembered), Some(counts), "{command:?}");
        }
        (event, told)
    }

    fn catalogue(&mut self, command: CatalogueCommand) -> Outcome {
        self.change(&Command::Catalogue(command)).1
    }

    fn hold(&mut self, quantity: u32) -> ReservationId {
        let line = ReserveLine { sku: "A".into(), quantity: Quantity(quantity), location: "L".into(), sourcing: None };
        let reserve = Reserve {
            order_id: "o".into(),
            buyer_id: "b".into(),
            channel: "app".into(),
            lines: [line].into(),
            ttl: Micros::from_secs(60),
            allow_partial: false,
            replaces: None,
            unchanged_since_lsn: 0,
            sourcing: None,
            asked: None,
        };
        let (event, told) = self.change(&Command::Reserve(reserve));
        let Outcome::Hold(hold) = told else { panic!("no hold") };
        assert_eq!(hold.expire_time, Some(time::to_wire(NOW.plus(Micros::from_secs(60)))));
        assert_eq!(allocations(&hold.allocations), [("A", "L", i64::from(quantity))]);
        event.reservation().unwrap()
    }

    /// What a step made of the reservation: its state and the units it moved.
    fn step(&mut self, id: ReservationId, step: Step) -> (State, Vec<(String, String, i64)>) {
        let (_, told) = self.change(&Command::Reservation(id, step));
        let Outcome::Update(update) = told else { panic!("no update") };
        assert_eq!(update.reservation_id, id.to_string());
        let units = update.allocations.iter();
        let units = units.map(|units| (units.sku.clone(), units.location.clone(), units.quantity));
        (update.state(), units.collect())
    }
}

fn cell(sku: &str, location: &str) -> CellCode {
    CellCode { sku: sku.into(), location: location.into() }
}

fn allocations(allocations: &[quartermaster_proto::v1::Allocation]) -> Vec<(&str, &str, i64)> {
    allocations.iter().map(|units| (units.sku.as_str(), units.location.as_str(), units.quantity)).collect()
}

fn some(quantity: u32) -> Vec<LineSelection> {
    vec![LineSelection { sku: "A".into(), location: String::new(), quantity: Some(Quantity(quantity)) }]
}

fn units(location: &str, quantity: i64) -> Vec<(String, String, i64)> {
    vec![("A".into(), location.into(), quantity)]
}

#[test]
fn a_reservations_life_is_told_step_by_step() {
    let mut world = World::new();
    let id = world.hold(6);
    let (_, told) = world.change(&Command::Reservation(id, Step::Extend(Micros::from_secs(90))));
    let Outcome::Update(extended) = told else { panic!("no update") };
    assert_eq!(extended.expire_time, Some(time::to_wire(NOW.plus(Micros::from_secs(90)))));
    assert_eq!((extended.state(), extended.allocations.len()), (State::Held, 0));
    assert_eq!(world.step(id, Step::Cancel(some(1))), (State::Held, units("L", 1)));
    assert_eq!(world.step(id, Step::Confirm), (State::Confirmed, units("L", 5)));
    assert_eq!(world.step(id, Step::Cancel(some(1))), (State::Confirmed, units("L", 1)));
    assert_eq!(world.step(id, Step::Ship(some(3))), (State::Confirmed, units("L", 3)));
    assert_eq!(world.step(id, Step::Ship(Vec::new())), (State::Shipped, units("L", 1)));
}

#[test]
fn the_ends_of_reservations_are_told() {
    let mut world = World::new();
    let id = world.hold(2);
    assert_eq!(world.step(id, Step::Release), (State::Released, units("L", 2)));
    let id = world.hold(2);
    assert_eq!(world.step(id, Step::Cancel(Vec::new())), (State::Cancelled, units("L", 2)));
    let id = world.hold(3);
    world.step(id, Step::Confirm);
    world.step(id, Step::Ship(some(1)));
    assert_eq!(world.step(id, Step::Cancel(Vec::new())), (State::Shipped, units("L", 2)), "something was shipped");
}

#[test]
fn units_that_move_are_told_where_they_are() {
    let mut world = World::new();
    let receive = ReceiveStock {
        receipts: vec![(cell("A", "M"), Quantity(5)), (cell("A", "M"), Quantity(1))],
        from_incoming: false,
        reason: StockReason(5),
        reference: String::new(),
    };
    let (_, told) = world.change(&Command::Stock(StockCommand::Receive(receive)));
    assert_eq!(change(&told), ("StockChanged", 1), "duplicates are summed");
    let id = world.hold(2);
    let reassign = Reassign { sku: "A".into(), from: "L".into(), to: "M".into(), quantity: None, refused: false };
    assert_eq!(world.step(id, Step::Reassign(reassign)), (State::Held, units("M", 2)));
    world.step(id, Step::Confirm);
    let reassign =
        Reassign { sku: "A".into(), from: "M".into(), to: String::new(), quantity: Some(Quantity(1)), refused: false };
    assert_eq!(world.step(id, Step::Reassign(reassign)), (State::Confirmed, units("L", 1)));
}

fn change(told: &Outcome) -> (&str, i64) {
    match told {
        Outcome::Change(change) => (&change.event, change.entries),
        other => panic!("no change: {other:?}"),
    }
}

#[test]
fn changes_of_stock_and_catalogue_are_told_in_short() {
    let mut world = World::new();
    let adjust = AdjustStock {
        cell: cell("A", "L"),
        bucket: Bucket::Safety,
        delta: 2,
        reason: StockReason(10),
        reference: String::new(),
    };
    let step = MoveStock {
        cell: cell("A", "L"),
        from: Condition::Sellable,
        to: Condition::Damaged,
        quantity: Quantity(1),
        reason: StockReason(2),
        reference: String::new(),
    };
    let row = |sku: &str| ImportRow {
        cell: cell(sku, "M"),
        on_hand: Quantity(1),
        safety: Quantity::ZERO,
        quality_control: Quantity::ZERO,
        damaged: Quantity::ZERO,
        in_repair: Quantity::ZERO,
        incoming: Quantity::ZERO,
    };
    let import = ImportStock { rows: vec![row("A"), row("B")], reference: String::new() };
    for (command, entries) in
        [(StockCommand::Adjust(adjust), 1), (StockCommand::Move(step), 1), (StockCommand::Import(import), 2)]
    {
        let (_, told) = world.change(&Command::Stock(command));
        assert_eq!(change(&told), ("StockChanged", entries));
    }
    let told = world.catalogue(CatalogueCommand::RetireSkus(vec!["B".into()]));
    assert_eq!(change(&told), ("SkusRetired", 1));
}

#[test]
fn new_and_replaced_entries_are_counted() {
    let mut world = World::new();
    let sku = |code: &str| SkuSpec { code: code.into(), ..SkuSpec::default() };
    let (event, told) =
        world.change(&Command::Catalogue(CatalogueCommand::UpsertSkus(vec![sku("A"), sku("C"), sku("D")])));
    assert_eq!((answers::upserted(&event), change(&told)), (Some((2, 1)), ("SkusUpserted", 3)));
}
