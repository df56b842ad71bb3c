//! Allotments: what channels can reach of the one pool, what counts to whom, and what may be ring-fenced.

mod support;

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use quartermaster_engine::{
    EngineConfig, Error, Rejection, Verdict,
    allotment::{Allotment, LimitedBy},
    catalog::{ChannelSpec, LocationSpec, LocationState, SkuSpec},
    command::{
        Bucket, CatalogueCommand, CellCode, Command, LineSelection, Reassign, Reserve, ReserveLine, SetStock, Step,
        StockCommand, StockReason,
        allotment::{
            AllotmentCommand, Amount, Goods, MoveAllotments, MoveRow, NodeCode, ReturnAllotments, SetAllotments,
            SetRow, ShiftAllotments, ShiftRow,
        },
    },
    event::{
        Event, Held,
        allotment::{AllotmentEvent, AllotmentsSet},
    },
    history::{History, Rules},
    id::{LocationId, NodeId, ReservationId, SkuId},
    quantity::Quantity,
    query::allotment::Asker,
    time::Micros,
};
use support::{Rig, cases, regressions};

const LOCATIONS: [&str; 3] = ["L0", "L1", "L2"];
/// A and B are of style S and of category K.
const SKUS: [&str; 2] = ["A", "B"];

struct World {
    rig: Rig,
    requests: usize,
}

fn channel(code: &str, parent: &str, priority: u32) -> ChannelSpec {
    ChannelSpec { code: code.into(), active: true, parent: parent.into(), priority, ..ChannelSpec::default() }
}

fn places(states: [LocationState; 3]) -> Command {
    let spec =
        |(code, state): (&&str, LocationState)| LocationSpec { code: (*code).into(), state, ..LocationSpec::default() };
    Command::Catalogue(CatalogueCommand::UpsertLocations(LOCATIONS.iter().zip(states).map(spec).collect()))
}

impl World {
    /// SKUs and open locations without stock, and these channels.
    fn new(channels: Vec<ChannelSpec>) -> Self {
        let mut world = Self { rig: Rig::new(EngineConfig::default()), requests: 0 };
        let sku = |code: &str| {
            let mut spec = SkuSpec { code: code.into(), style: "S".into(), sellable: true, ..SkuSpec::default() };
            spec.goods.category = "K".into();
            spec
        };
        world.done(&Command::Catalogue(CatalogueCommand::UpsertSkus(SKUS.map(sku).into())));
        world.done(&places([LocationState::Open; 3]));
        world.done(&Command::Catalogue(CatalogueCommand::UpsertChannels(channels)));
        world
    }

    /// A group with two channels in it, and one outside.
    fn shops() -> Self {
        Self::new(vec![
            channel("group", "", 0),
            channel("app", "group", 0),
            channel("web", "group", 0),
            channel("store", "", 0),
        ])
    }

    fn try_submit(&mut self, command: &Command) -> Result<Verdict, Error> {
        self.requests += 1;
        self.rig.submit(&format!("r{}", self.requests), command).map(|answer| answer.verdict)
    }

    fn submit(&mut self, command: &Command) -> Verdict {
        self.try_submit(command).expect("the request can stand")
    }

    fn done(&mut self, command: &Command) -> Event {
        match self.submit(command) {
            Verdict::Done(event) => event,
            other => panic!("not done: {other:?}"),
        }
    }

    fn stock(&mut self, sku: &str, location: &str, units: u32) {
        self.done(&Command::Stock(StockCommand::Set(SetStock {
            cell: CellCode { sku: sku.into(), location: location.into() },
            bucket: Bucket::OnHand,
            quantity: Quantity(units),
            expected_revision: None,
            reason: StockReason(1),
            reference: String::new(),
        })));
    }

    fn set(&mut self, rows: Vec<SetRow>) -> AllotmentsSet {
        allotments(self.done(&set(rows, false)))
    }

    fn hold(&mut self, order: &Reserve) -> Held {
        match self.done(&Command::Reserve(order.clone())) {
            Event::Held(held) => held,
            other => panic!("not held: {other:?}"),
        }
    }

    fn short(&mut self, order: &Reserve) -> (u64, LimitedBy) {
        match self.submit(&Command::Reserve(order.clone())) {
            Verdict::Rejected(Rejection::InsufficientStock { shortages }) => {
                (shortages[0].available, shortages[0].limited_by)
            }
            other => panic!("not short: {other:?}"),
        }
    }

    fn step(&mut self, id: ReservationId, step: Step) -> Event {
        self.done(&Command::Reservation(id, step))
    }

    fn available(&self, channel: &str, sku: &str) -> u64 {
        let id = self.sku(sku);
        let asker = Asker { channel: channel.into(), campaign: String::new() };
        self.rig.engine.availability_to(&asker, &[id], &[]).expect("a channel that is").1[0].available
    }

    fn sku(&self, code: &str) -> SkuId {
        self.rig.engine.catalogue().sku(code).expect("a SKU that is")
    }

    /// What a channel has of a SKU: quota, reserved, committed, shipped, granted.
    fn of(&self, channel: &str, sku: &str) -> Option<Allotment> {
        let node = self.rig.engine.selling_node(&node(channel)).expect("a channel that is");
        let (_, found, _) = self.rig.engine.allotments(Some(node), Some(self.sku(sku)), None, 10);
        found.first().map(|found| found.allotment)
    }

    fn all(&self) -> Vec<(SkuId, NodeId, Allotment, u64)> {
        let (_, found, more) = self.rig.engine.allotments(None, None, None, 1_000);
        assert!(!more);
        found.iter().map(|own| (own.sku, own.node, own.allotment, own.reach)).collect()
    }

    /// Comes back the same from the log and from a snapshot; the log is sound and the books balance.
    fn restarts(&mut self) {
        let before = self.all();
        for from_snapshot in [false, true] {
            if from_snapshot {
                self.rig.restart_from_snapshot();
            } else {
                self.rig.restart();
            }
            assert_eq!(self.all(), before);
            assert_eq!(self.rig.engine.audit().violations, []);
        }
        let mut history = History::new(Rules::default());
        for record in self.rig.journal.records() {
            history.fold(history.next_lsn(), &record);
        }
        history.balance();
        history.compare(&self.rig.engine);
        assert!(history.findings().is_empty(), "{:#?}", history.findings());
    }
}

fn allotments(event: Event) -> AllotmentsSet {
    match event {
        Event::Allotment(event) => match *event {
            AllotmentEvent::Set(set) => set,
        },
        other => panic!("no allotments: {other:?}"),
    }
}

fn node(channel: &str) -> NodeCode {
    NodeCode { channel: channel.into(), campaign: String::new() }
}

fn quota(sku: &str, channel: &str, units: u32) -> SetRow {
    SetRow {
        goods: Goods::Sku(sku.into()),
        node: node(channel),
        quota: Some(Amount::Units(Quantity(units))),
        ceiling: None,
        spill_over: false,
    }
}

fn open(row: SetRow) -> SetRow {
    SetRow { spill_over: true, ..row }
}

fn ceiling(sku: &str, channel: &str, units: u32) -> SetRow {
    SetRow { quota: None, ceiling: Some(Quantity(units)), spill_over: true, ..quota(sku, channel, 0) }
}

fn set(rows: Vec<SetRow>, clip: bool) -> Command {
    Command::Allotment(AllotmentCommand::Set(SetAllotments { rows, clip }))
}

fn shift(goods: Goods, channel: &str, units: u32, raise: bool, clip: bool) -> Command {
    let rows = vec![ShiftRow { goods, node: node(channel), units: Quantity(units) }];
    Command::Allotment(AllotmentCommand::Shift(ShiftAllotments { raise, rows, clip }))
}

fn transfer(goods: Goods, from: &str, to: &str, units: u32, clip: bool) -> Command {
    let rows = vec![MoveRow { goods, from: node(from), to: node(to), units: Quantity(units) }];
    Command::Allotment(AllotmentCommand::Move(MoveAllotments { rows, clip }))
}

fn give_back(channel: &str, goods: Vec<Goods>) -> Command {
    Command::Allotment(AllotmentCommand::Return(ReturnAllotments { node: node(channel), goods }))
}

fn sku(code: &str) -> Goods {
    Goods::Sku(code.into())
}

/// An order of one SKU: "A" or "A@L1".
fn order(channel: &str, what: &str, units: u32) -> Reserve {
    let (sku, location) = what.split_once('@').unwrap_or((what, ""));
    Reserve {
        order_id: "o".into(),
        buyer_id: "ann".into(),
        channel: channel.into(),
        lines: vec![ReserveLine {
            sku: sku.into(),
            quantity: Quantity(units),
            location: location.into(),
            sourcing: None,
        }]
        .into(),
        ttl: Micros::from_secs(600),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: None,
    }
}

fn partial(order: Reserve) -> Reserve {
    Reserve { allow_partial: true, ..order }
}

fn units(held: &Held) -> u64 {
    held.lines.iter().map(|line| line.quantity.units()).sum()
}

#[test]
fn a_quota_is_kept_for_its_channel_and_its_use_is_counted() {
    let mut world = World::shops();
    world.stock("A", "L0", 10);
    world.set(vec![quota("A", "app", 4)]);
    let seen = ["app", "web", "group", "store", ""].map(|channel| world.available(channel, "A"));
    assert_eq!(seen, [4, 6, 6, 6, 6]);
    assert_eq!(world.short(&order("store", "A", 7)), (6, LimitedBy::Allotment));
    assert_eq!(world.short(&order("app", "A", 5)), (4, LimitedBy::Allotment));
    let app = world.hold(&order("app", "A", 3));
    assert_eq!(app.terms.as_ref().map(|terms| terms.path.to_vec()), Some(vec![NodeId(2), NodeId(0)]));
    let own = world.of("app", "A").unwrap();
    assert_eq!((own.reserved, own.granted, own.rest()), (3, 3, 1));
    assert_eq!(world.of("group", "A").unwrap().reserved, 3, "the group counts with it");
    let nobody = world.hold(&order("", "A", 6));
    assert_eq!(nobody.terms, None);
    assert_eq!(world.available("", "A"), 0);
    assert_eq!(world.available("app", "A"), 1);
    world.restarts();
    world.step(app.reservation, Step::Confirm);
    world.step(
        app.reservation,
        Step::Ship(vec![LineSelection { sku: "A".into(), location: String::new(), quantity: Some(Quantity(2)) }]),
    );
    let own = world.of("app", "A").unwrap();
    assert_eq!((own.reserved, own.committed, own.shipped, own.used()), (0, 1, 2, 3));
    world.step(nobody.reservation, Step::Release);
    assert_eq!(world.of("app", "A").unwrap().used(), 3, "what counts to nobody changes nothing");
    world.restarts();
}

#[test]
fn a_ceiling_holds_over_holds_and_shipments() {
    let mut world = World::shops();
    world.stock("A", "L0", 10);
    world.set(vec![ceiling("A", "group", 5)]);
    let one = world.hold(&order("app", "A", 3));
    assert_eq!(world.short(&order("web", "A", 3)), (2, LimitedBy::Ceiling));
    assert_eq!(units(&world.hold(&partial(order("web", "A", 9)))), 2);
    assert_eq!(world.available("store", "A"), 5);
    world.step(one.reservation, Step::Confirm);
    world.step(one.reservation, Step::Ship(Vec::new()));
    assert_eq!(world.short(&order("app", "A", 1)), (0, LimitedBy::Ceiling));
    world.restarts();
}

#[test]
fn what_is_replaced_is_free_and_counts_to_nobody_first() {
    let mut world = World::shops();
    world.stock("A", "L0", 4);
    world.stock("A", "L1", 4);
    world.set(vec![SetRow { ceiling: Some(Quantity(6)), ..quota("A", "app", 6) }]);
    let first = world.hold(&order("app", "A", 6));
    assert_eq!(world.short(&order("app", "A", 1)).0, 0);
    let again = Reserve { replaces: Some(first.reservation), ..order("app", "A", 6) };
    let held = world.hold(&again);
    assert_eq!(world.of("app", "A").unwrap().reserved, 6);
    let store = Reserve { replaces: Some(held.reservation), ..order("store", "A", 3) };
    let rejection = world.submit(&Command::Reserve(store));
    assert!(matches!(rejection, Verdict::Rejected(_)), "what app gives back is kept for app: {rejection:?}");
    world.restarts();
}

#[test]
fn a_partial_hold_tells_what_kept_it_short() {
    let mut world = World::shops();
    world.stock("A", "L0", 10);
    world.set(vec![quota("A", "app", 4)]);
    let held = world.hold(&partial(order("store", "A", 9)));
    assert_eq!((units(&held), held.shortages[0].limited_by), (6, LimitedBy::Allotment));
    let two_lines = Reserve {
        lines: vec![order("", "A@L0", 3).lines[0].clone(), order("", "A", 3).lines[0].clone()].into(),
        ..partial(order("app", "A", 1))
    };
    assert_eq!(units(&world.hold(&two_lines)), 4, "lines of one SKU share what may be taken");
    world.restarts();
}

#[test]
fn units_keep_their_charge_when_they_move() {
    let mut world = World::shops();
    world.stock("A", "L0", 5);
    world.stock("A", "L1", 5);
    world.set(vec![quota("A", "app", 4), quota("A", "web", 4)]);
    let held = world.hold(&order("app", "A@L0", 3));
    world.step(held.reservation, Step::Confirm);
    let to = |from: &str, to: &str| Reassign {
        sku: "A".into(),
        from: from.into(),
        to: to.into(),
        quantity: Some(Quantity(2)),
        refused: false,
    };
    world.step(held.reservation, Step::Reassign(to("L0", "L1")));
    assert_eq!(world.of("app", "A").unwrap().committed, 3);
    world.restarts();
    // What lies at a place that closed may not come at the cost of what others keep: 3 are open, and web keeps 4.
    world.done(&places([LocationState::Open, LocationState::Closed, LocationState::Open]));
    world.stock("A", "L0", 4);
    let rejection = world.submit(&Command::Reservation(held.reservation, Step::Reassign(to("L1", "L0"))));
    let Verdict::Rejected(Rejection::InsufficientStock { shortages }) = rejection else { panic!("{rejection:?}") };
    assert_eq!((shortages[0].available, shortages[0].limited_by), (0, LimitedBy::Allotment));
    world.stock("A", "L0", 8);
    world.step(held.reservation, Step::Reassign(to("L1", "L0")));
    assert_eq!(world.of("app", "A").unwrap().committed, 3);
    world.restarts();
}

#[test]
fn what_was_returned_counts_on_while_units_are_open() {
    let mut world = World::shops();
    world.stock("A", "L0", 10);
    world.set(vec![quota("A", "app", 6)]);
    let held = world.hold(&order("app", "A", 2));
    let set = allotments(world.done(&give_back("app", Vec::new())));
    assert_eq!((set.rows.len(), set.rows[0].quota), (1, None));
    assert_eq!(world.available("store", "A"), 8);
    assert_eq!(world.of("app", "A").map(|own| (own.quota, own.reserved)), Some((None, 2)));
    world.restarts();
    world.set(vec![quota("A", "app", 5)]);
    assert_eq!(world.available("store", "A"), 5, "2 of 5 are used, 3 are kept");
    world.done(&give_back("app", vec![sku("A")]));
    world.step(held.reservation, Step::Release);
    assert_eq!(world.all(), []);
    let none = world.try_submit(&give_back("app", Vec::new()));
    assert!(matches!(none, Err(Error::NoAllotment { .. })), "{none:?}");
    world.restarts();
}

#[test]
fn more_than_nobody_keeps_is_refused_or_cut_down() {
    let mut world = World::shops();
    world.stock("A", "L0", 10);
    world.set(vec![quota("A", "store", 7)]);
    let Verdict::Rejected(Rejection::AllotmentExceedsPool { excesses }) =
        world.submit(&set(vec![quota("A", "app", 4)], false))
    else {
        panic!("not refused")
    };
    assert_eq!((&*excesses[0].sku, &*excesses[0].node, excesses[0].asked, excesses[0].possible), ("A", "app", 4, 3));
    let clipped = allotments(world.done(&set(vec![quota("A", "app", 4)], true)));
    assert_eq!((clipped.rows[0].quota, clipped.rows[0].clipped), (Some(3), 1));
    // Within a group that has a share, that is the limit.
    world.done(&give_back("app", Vec::new()));
    world.set(vec![open(quota("A", "group", 3)), quota("A", "app", 2)]);
    let Verdict::Rejected(Rejection::AllotmentExceedsPool { excesses }) =
        world.submit(&shift(sku("A"), "app", 2, true, false))
    else {
        panic!("not refused")
    };
    assert_eq!((excesses[0].asked, excesses[0].possible), (4, 3));
    let Verdict::Rejected(Rejection::AllotmentBelowNodesWithin { excesses }) =
        world.submit(&shift(sku("A"), "group", 2, false, false))
    else {
        panic!("not refused")
    };
    assert_eq!((excesses[0].asked, excesses[0].possible), (1, 2));
    let none = world.submit(&set(vec![quota("A", "web", 1), quota("A", "web", 9)], false));
    assert!(matches!(none, Verdict::Rejected(_)), "all rows or none");
    assert_eq!(world.of("web", "A"), None);
    world.restarts();
}

#[test]
fn quota_moves_between_nodes_beside_each_other() {
    let mut world = World::shops();
    world.stock("A", "L0", 10);
    world.set(vec![quota("A", "app", 6)]);
    world.hold(&order("app", "A", 2));
    world.done(&transfer(sku("A"), "app", "store", 3, false));
    assert_eq!((world.of("app", "A").unwrap().quota, world.of("store", "A").unwrap().quota), (Some(3), Some(3)));
    let Verdict::Rejected(Rejection::AllotmentTooSmall { excesses }) =
        world.submit(&transfer(sku("A"), "app", "store", 2, false))
    else {
        panic!("not refused")
    };
    assert_eq!((excesses[0].asked, excesses[0].possible), (2, 1));
    let clipped = allotments(world.done(&transfer(sku("A"), "app", "store", 2, true)));
    assert_eq!(
        clipped.rows.iter().map(|row| (row.quota, row.clipped)).collect::<Vec<_>>(),
        [(Some(2), 0), (Some(4), 1)]
    );
    for (from, to) in [("app", "group"), ("group", "app"), ("app", "app")] {
        let nested = world.try_submit(&transfer(sku("A"), from, to, 1, false));
        assert!(matches!(nested, Err(Error::NodesNested { .. })), "{nested:?}");
    }
    // Where stock fell short, moving takes nothing from anybody.
    world.stock("A", "L0", 3);
    world.done(&transfer(sku("A"), "store", "web", 2, false));
    assert_eq!((world.of("store", "A").unwrap().quota, world.of("web", "A").unwrap().quota), (Some(2), Some(2)));
    world.restarts();
}

#[test]
fn a_style_is_spread_over_its_skus_and_a_percentage_becomes_units() {
    let mut world = World::shops();
    world.stock("A", "L0", 30);
    world.stock("B", "L1", 10);
    let style = |amount| SetRow { goods: Goods::Style("S".into()), quota: Some(amount), ..quota("A", "app", 0) };
    let set = world.set(vec![style(Amount::MilliPercent(12_500))]);
    assert_eq!(set.rows.iter().map(|row| row.quota).collect::<Vec<_>>(), [Some(4), Some(1)], "12.5 % of 40 is 5");
    let category =
        SetRow { goods: Goods::Category("K".into()), ceiling: Some(Quantity(8)), ..style(Amount::Units(Quantity(6))) };
    let set = world.set(vec![category]);
    let rows: Vec<_> = set.rows.iter().map(|row| (row.quota, row.ceiling)).collect();
    assert_eq!(rows, [(Some(5), Some(7)), (Some(1), Some(1))]);
    let below = SetRow { ceiling: Some(Quantity(4)), ..style(Amount::MilliPercent(50_000)) };
    let below = world.try_submit(&super_set(below));
    assert!(matches!(below, Err(Error::CeilingBelowQuota { ceiling: 4, quota: 20, .. })), "{below:?}");
    let unknown = SetRow { goods: Goods::Style("T".into()), ..style(Amount::MilliPercent(1)) };
    assert!(matches!(world.try_submit(&super_set(unknown)), Err(Error::UnknownGoods { kind: "style", .. })));
    let nobody = quota("A", "nobody", 1);
    assert!(matches!(world.try_submit(&super_set(nobody)), Err(Error::UnknownChannel { .. })));
    let campaign = NodeCode { channel: String::new(), campaign: "11.11".into() };
    let campaign = SetRow { node: campaign, ..quota("A", "app", 1) };
    assert!(matches!(world.try_submit(&super_set(campaign)), Err(Error::UnknownCampaign { .. })));
    world.restarts();
}

fn super_set(row: SetRow) -> Command {
    set(vec![row], false)
}

#[test]
fn channels_make_a_tree_and_stay_while_units_count() {
    let mut world = World::shops();
    world.stock("A", "L0", 10);
    let upsert = |specs: Vec<ChannelSpec>| Command::Catalogue(CatalogueCommand::UpsertChannels(specs));
    let cycle = world.try_submit(&upsert(vec![channel("group", "app", 0)]));
    assert!(matches!(cycle, Err(Error::ChannelTree { position: 0, .. })), "{cycle:?}");
    let own = world.try_submit(&upsert(vec![channel("store", "store", 0)]));
    assert!(matches!(own, Err(Error::ChannelTree { .. })), "{own:?}");
    let unknown = world.try_submit(&upsert(vec![channel("x", "", 0), channel("y", "nobody", 0)]));
    assert!(matches!(unknown, Err(Error::ChannelTree { position: 1, .. })), "{unknown:?}");
    let chain = |length: usize| -> Vec<ChannelSpec> {
        let parent = |place: usize| if place == 0 { String::new() } else { format!("d{}", place - 1) };
        (0..length).map(|place| channel(&format!("d{place}"), &parent(place), 0)).collect()
    };
    let deep = world.try_submit(&upsert(chain(9)));
    assert!(matches!(deep, Err(Error::ChannelTree { .. })), "{deep:?}");
    world.done(&upsert(chain(8)));
    let push = world.try_submit(&upsert(vec![channel("d0", "store", 0)]));
    assert!(matches!(push, Err(Error::ChannelTree { position: 0, .. })), "what is within moves along: {push:?}");

    world.set(vec![quota("A", "app", 4)]);
    let held = world.hold(&order("app", "A", 1));
    for spec in [channel("app", "", 0), channel("group", "store", 0), channel("app", "store", 0)] {
        let moved = world.try_submit(&upsert(vec![spec]));
        assert!(matches!(moved, Err(Error::ChannelInUse { position: 0, .. })), "{moved:?}");
    }
    world.done(&upsert(vec![channel("web", "", 0), channel("app", "group", 7)]));
    world.done(&give_back("app", Vec::new()));
    let moved = world.try_submit(&upsert(vec![channel("app", "", 0)]));
    assert!(matches!(moved, Err(Error::ChannelInUse { .. })), "a hold counts yet: {moved:?}");
    world.step(held.reservation, Step::Release);
    world.done(&upsert(vec![channel("app", "", 0)]));
    world.restarts();
}

#[test]
fn an_inactive_channel_can_have_nothing_and_others_are_served_by_priority() {
    let mut world = World::new(vec![channel("a", "", 5), channel("b", "", 1)]);
    world.stock("A", "L0", 10);
    world.set(vec![open(quota("A", "a", 4)), open(quota("A", "b", 6))]);
    world.stock("A", "L0", 7);
    assert_eq!(["a", "b", ""].map(|code| world.available(code, "A")), [1, 6, 0]);
    let off = ChannelSpec { active: false, ..channel("b", "", 1) };
    world.done(&Command::Catalogue(CatalogueCommand::UpsertChannels(vec![off])));
    assert_eq!(world.available("b", "A"), 0);
    world.restarts();
}

// ---- random sequences against a naive model ----

/// The tree and the entries, worked out in the plainest way there is.
struct Model {
    parents: Vec<Option<usize>>,
    priorities: Vec<u32>,
    entries: BTreeMap<(SkuId, usize), Allotment>,
    holds: Vec<Order>,
}

/// A reservation with what counts of each SKU.
struct Order {
    id: ReservationId,
    path: Vec<usize>,
    /// Open units that count, by SKU.
    charged: BTreeMap<SkuId, u32>,
    committed: bool,
    open: bool,
}

impl Model {
    fn path(&self, channel: Option<usize>) -> Vec<usize> {
        std::iter::successors(channel, |node| self.parents[*node]).collect()
    }

    fn children(&self, parent: Option<usize>) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.parents.len()).filter(|node| self.parents[*node] == parent).collect();
        all.sort_by_key(|node| (self.priorities[*node], *node));
        all
    }

    fn keeps(&self, sku: SkuId, node: usize) -> u64 {
        let own = self.entries.get(&(sku, node)).map_or(0, Allotment::rest);
        own.max(self.children(Some(node)).iter().map(|child| self.keeps(sku, *child)).sum())
    }

    fn kept(&self, sku: SkuId) -> u64 {
        self.children(None).iter().map(|root| self.keeps(sku, *root)).sum()
    }

    /// Deals a pool to the nodes of one level in their order; whoever asks also gets what is left over.
    fn reach(&self, sku: SkuId, path: &[usize], pool: u64) -> u64 {
        let mut pool = pool;
        let mut level = None;
        for node in path.iter().rev() {
            let mut left = pool;
            let mut own = 0;
            for child in self.children(level) {
                let dealt = self.keeps(sku, child).min(left);
                left -= dealt;
                if child == *node {
                    own = dealt;
                }
            }
            pool = own + left;
            if let Some(entry) = self.entries.get(&(sku, *node)) {
                if entry.quota.is_some() && !entry.spill_over {
                    pool = pool.min(entry.rest());
                }
                if let Some(ceiling) = entry.ceiling {
                    pool = pool.min(u64::from(ceiling).saturating_sub(entry.used()));
                }
            }
            level = Some(*node);
        }
        pool.saturating_sub(self.children(level).iter().map(|child| self.keeps(sku, *child)).sum())
    }

    fn sweep(&mut self) {
        self.entries.retain(|_, own| own.is_set() || own.reserved > 0 || own.committed > 0);
    }

    /// Counts what a hold took.
    fn held(&mut self, held: &Held, path: Vec<usize>) {
        let mut charged: BTreeMap<SkuId, u32> = BTreeMap::new();
        for line in &held.lines {
            if !path.is_empty() && self.entries.keys().any(|(sku, _)| *sku == line.sku) {
                *charged.entry(line.sku).or_default() += line.quantity.0;
            }
        }
        for (sku, units) in &charged {
            for node in &path {
                let own = self.entries.entry((*sku, *node)).or_default();
                own.reserved += units;
                own.granted += u64::from(*units);
                let most = own.ceiling.map_or(u64::MAX, u64::from);
                assert!(own.used() <= most, "{} units count to a ceiling of {most}", own.used());
            }
        }
        self.holds.push(Order { id: held.reservation, path, charged, committed: false, open: true });
    }

    /// Changes what one order counts, node by node; with `units` part of one SKU, else all it has.
    fn change(&mut self, place: usize, part: Option<(SkuId, u32)>, change: impl Fn(&mut Allotment, u32, bool)) {
        let order = &mut self.holds[place];
        let all: Vec<(SkuId, u32)> = match part {
            None => order.charged.iter().map(|(sku, units)| (*sku, *units)).collect(),
            Some((sku, units)) => vec![(sku, units.min(order.charged.get(&sku).copied().unwrap_or(0)))],
        };
        for (sku, units) in all {
            for node in order.path.iter().filter(|_| units > 0) {
                change(self.entries.get_mut(&(sku, *node)).expect("what counts has an entry"), units, order.committed);
            }
        }
    }

    fn give_back(&mut self, place: usize) {
        self.change(place, None, |own, units, committed| {
            *(if committed { &mut own.committed } else { &mut own.reserved }) -= units;
        });
        self.holds[place].open = false;
        self.sweep();
    }

    fn set(&mut self, set: &AllotmentsSet) {
        for row in &set.rows {
            let node = usize::try_from(row.node.0 / 2).unwrap();
            let own = self.entries.entry((row.sku, node)).or_default();
            if !own.is_set() {
                (own.shipped, own.granted) = (0, u64::from(own.reserved) + u64::from(own.committed));
            }
            (own.quota, own.ceiling, own.spill_over) = (row.quota, row.ceiling, row.spill_over);
        }
        self.sweep();
    }
}

type Raw = (u8, [u16; 6]);

const NODES: usize = 6;

fn code(node: usize) -> String {
    format!("c{node}")
}

struct Run {
    world: World,
    model: Model,
    states: [LocationState; 3],
}

impl Run {
    fn new(tree: &[(u8, u8)]) -> Self {
        let mut specs = Vec::new();
        let mut parents: Vec<Option<usize>> = Vec::new();
        for (place, (parent, priority)) in tree.iter().enumerate() {
            let parent = usize::from(*parent) % (place + 2);
            let parent = (parent < place).then_some(parent);
            let around = parent.map_or_else(String::new, code);
            specs.push(channel(&code(place), &around, u32::from(*priority % 3)));
            parents.push(parent);
        }
        let priorities = specs.iter().map(|spec| spec.priority).collect();
        let mut world = World::new(specs);
        for (place, location) in LOCATIONS.iter().enumerate() {
            world.stock("A", location, 6 + u32::try_from(place).unwrap());
            world.stock("B", location, 4);
        }
        let model = Model { parents, priorities, entries: BTreeMap::new(), holds: Vec::new() };
        Self { world, model, states: [LocationState::Open; 3] }
    }

    fn pool(&self, sku: SkuId) -> u64 {
        let places = (0..3_u32).zip(self.states).filter(|(_, state)| *state == LocationState::Open);
        let cell = |location| self.world.rig.engine.cell(sku, LocationId(location)).buckets.available().units();
        places.map(|(location, _)| cell(location)).sum()
    }

    fn expected(&self, sku: SkuId, channel: Option<usize>) -> u64 {
        let pool = self.pool(sku);
        self.model.reach(sku, &self.model.path(channel), pool).min(pool)
    }

    fn skus(&self) -> [SkuId; 2] {
        SKUS.map(|code| self.world.sku(code))
    }

    /// How much more is kept than there is, by SKU.
    fn missing(&self) -> [u64; 2] {
        self.skus().map(|sku| self.model.kept(sku).saturating_sub(self.pool(sku)))
    }

    fn amount(numbers: &[u16; 6]) -> Amount {
        if numbers[4].is_multiple_of(4) {
            Amount::MilliPercent(u32::from(numbers[3]) % 100_001)
        } else {
            Amount::Units(Quantity(u32::from(numbers[3] % 9)))
        }
    }

    fn step(&mut self, (kind, numbers): &Raw) {
        let picked = |number: u16, of: usize| usize::from(number) % of;
        let sku_code = SKUS[picked(numbers[0], 2)];
        let goods = match numbers[0] % 7 {
            0 => Goods::Style("S".into()),
            _ => Goods::Sku(sku_code.into()),
        };
        let node_place = picked(numbers[1], NODES);
        let clip = numbers[5] % 2 == 0;
        let missing = self.missing();
        match kind % 16 {
            0..=4 => return self.reserve(numbers),
            5 => self.with_order(numbers[2], |run, place, id| {
                if let Ok(Verdict::Done(_)) = run.world.try_submit(&Command::Reservation(id, Step::Confirm)) {
                    run.model.change(place, None, |own, units, _| {
                        own.reserved -= units;
                        own.committed += units;
                    });
                    run.model.holds[place].committed = true;
                }
            }),
            6 => self.with_order(numbers[2], |run, place, id| {
                let step = if run.model.holds[place].committed { Step::Cancel(Vec::new()) } else { Step::Release };
                if let Ok(Verdict::Done(_)) = run.world.try_submit(&Command::Reservation(id, step)) {
                    run.model.give_back(place);
                }
            }),
            7 => self.with_order(numbers[2], |run, place, id| {
                if let Ok(Verdict::Done(Event::Shipped { claim, end })) =
                    run.world.try_submit(&Command::Reservation(id, Step::Ship(Vec::new())))
                {
                    for line in &claim.lines {
                        run.model.change(place, Some((line.sku, line.quantity.0)), |own, units, _| {
                            own.committed -= units;
                            own.shipped += u64::from(units);
                        });
                    }
                    run.model.holds[place].open = end.is_none();
                    run.model.sweep();
                }
            }),
            8 => {
                self.world.rig.now.0 += u64::from(numbers[2] % 400) * 1_000_000;
                self.world.rig.engine.expire_due(self.world.rig.now, 1_000).expect("room");
                for place in 0..self.model.holds.len() {
                    let order = &self.model.holds[place];
                    let (_, found) = self.world.rig.engine.reservation(order.id).expect("kept");
                    if order.open && !found.state.is_open() {
                        self.model.give_back(place);
                    }
                }
            }
            9 => {
                let place = picked(numbers[2], 3);
                self.states[place] = match self.states[place] {
                    LocationState::Open => LocationState::Paused,
                    _ => LocationState::Open,
                };
                self.world.done(&places(self.states));
            }
            10 => self.world.stock(sku_code, LOCATIONS[picked(numbers[2], 3)], u32::from(numbers[3] % 12)),
            11 => self.with_order(numbers[2], |run, _, id| {
                let (_, found) = run.world.rig.engine.reservation(id).expect("kept");
                let Some(line) = found.lines.iter().find(|line| !line.open.is_zero()) else { return };
                let place = usize::try_from(line.location.0).unwrap();
                let reassign = Reassign {
                    sku: SKUS[usize::try_from(line.sku.0).unwrap()].into(),
                    from: LOCATIONS[place].into(),
                    to: if numbers[3] % 2 == 0 { String::new() } else { LOCATIONS[(place + 1) % 3].into() },
                    quantity: None,
                    refused: false,
                };
                let kept = run.missing();
                let _ = run.world.try_submit(&Command::Reservation(id, Step::Reassign(reassign)));
                assert!(run.missing().iter().zip(kept).all(|(now, was)| *now <= was), "a move takes what others keep");
            }),
            12 | 13 => {
                let ceiling = match numbers[5] % 5 {
                    0 => Some(Quantity(u32::from(numbers[3] % 14))),
                    1 => Some(Quantity(9 + u32::from(numbers[4] % 5))),
                    _ => None,
                };
                let amount = if numbers[5] % 5 == 0 { None } else { Some(Self::amount(numbers)) };
                let row = SetRow {
                    goods,
                    node: node(&code(node_place)),
                    quota: amount,
                    ceiling,
                    spill_over: numbers[2] % 2 == 0,
                };
                self.allot(&set(vec![row], clip), true);
            }
            14 => {
                let raise = numbers[4] % 2 == 0;
                self.allot(&shift(goods, &code(node_place), 1 + u32::from(numbers[3] % 5), raise, clip), true);
            }
            _ => {
                let other = picked(numbers[4], NODES);
                let command = if numbers[2] % 3 == 0 {
                    give_back(&code(node_place), if clip { Vec::new() } else { vec![goods] })
                } else {
                    transfer(goods, &code(node_place), &code(other), 1 + u32::from(numbers[3] % 5), clip)
                };
                self.allot(&command, true);
            }
        }
        if kind % 16 >= 12 {
            assert!(
                self.missing().iter().zip(missing).all(|(now, was)| *now <= was),
                "more is ring-fenced than there is"
            );
        }
    }

    fn allot(&mut self, command: &Command, _checked: bool) {
        let within = |run: &Self| -> Vec<u64> {
            let places = run.skus().into_iter().flat_map(|sku| (0..NODES).map(move |node| (sku, node)));
            let over = places.map(|(sku, node)| {
                let own = run.model.entries.get(&(sku, node)).copied().unwrap_or_default();
                let within: u64 = run.model.children(Some(node)).iter().map(|child| run.model.keeps(sku, *child)).sum();
                if own.quota.is_some() { within.saturating_sub(own.rest()) } else { 0 }
            });
            over.collect()
        };
        let before = within(self);
        if let Ok(Verdict::Done(event)) = self.world.try_submit(command) {
            let set = allotments(event);
            for row in &set.rows {
                assert!(row.ceiling.is_none_or(|most| row.quota.is_none_or(|quota| quota <= most)));
            }
            self.model.set(&set);
            assert!(
                within(self).iter().zip(before).all(|(now, was)| *now <= was),
                "nodes keep more than the share around them"
            );
        }
    }

    fn with_order(&mut self, number: u16, then: impl FnOnce(&mut Self, usize, ReservationId)) {
        let open: Vec<usize> = (0..self.model.holds.len()).filter(|place| self.model.holds[*place].open).collect();
        if let Some(place) = open.get(usize::from(number) % open.len().max(1)) {
            then(self, *place, self.model.holds[*place].id);
        }
    }

    fn reserve(&mut self, numbers: &[u16; 6]) {
        let channel = usize::from(numbers[1]) % (NODES + 1);
        let channel = (channel < NODES).then_some(channel);
        let sku_code = SKUS[usize::from(numbers[0]) % 2];
        let sku = self.world.sku(sku_code);
        let at = usize::from(numbers[2]) % 5;
        let what = if at < 3 { format!("{sku_code}@{}", LOCATIONS[at]) } else { sku_code.to_owned() };
        let wanted = 1 + u32::from(numbers[3] % 12);
        let channel_code = channel.map_or_else(String::new, code);
        let mut order = order(&channel_code, &what, wanted);
        order.allow_partial = numbers[4].is_multiple_of(2);
        order.ttl = Micros::from_secs(60 + u64::from(numbers[4]) % 600);
        let replaces = self.model.holds.iter().position(|order| order.open && !order.committed);
        let replaces = replaces.filter(|_| numbers[5].is_multiple_of(4));
        order.replaces = replaces.map(|place| self.model.holds[place].id);

        let asker = Asker { channel: channel_code, campaign: String::new() };
        let locations = [LocationId(0), LocationId(1), LocationId(2)];
        let (_, found) = self.world.rig.engine.availability_to(&asker, &[sku], &locations).expect("a channel that is");
        let told = if at < 3 { found[0].by_location[at].units() } else { found[0].available };
        let missing = self.missing();
        let path = self.model.path(channel);
        match self.world.try_submit(&Command::Reserve(order.clone())) {
            Ok(Verdict::Done(Event::Held(held))) => {
                let took = units(&held);
                if held.replaced.is_some() {
                    self.model.give_back(replaces.expect("what was replaced was named"));
                } else {
                    let expected = if order.allow_partial { told.min(wanted.into()) } else { wanted.into() };
                    assert_eq!(took, expected, "availability is what a Reserve gets");
                    assert!(told >= took);
                }
                self.model.held(&held, path);
                if held.replaced.is_none() {
                    assert!(
                        self.missing().iter().zip(missing).all(|(now, was)| *now <= was),
                        "others lose what they keep"
                    );
                }
            }
            Ok(Verdict::Rejected(Rejection::InsufficientStock { shortages })) => {
                if order.replaces.is_none() {
                    assert_eq!(shortages[0].available, told, "availability is what a Reserve is told");
                    assert!(told < u64::from(wanted));
                }
            }
            Ok(Verdict::Rejected(Rejection::LocationNotOpen { .. })) => assert_eq!(told, 0),
            other => panic!("{other:?}"),
        }
    }

    fn check(&self) {
        let found: BTreeMap<(SkuId, usize), Allotment> = self
            .world
            .all()
            .into_iter()
            .map(|(sku, node, own, _)| ((sku, usize::try_from(node.0 / 2).unwrap()), own))
            .collect();
        assert_eq!(found, self.model.entries);
        for channel in (0..NODES).map(Some).chain([None]) {
            let asker = Asker { channel: channel.map_or_else(String::new, code), campaign: String::new() };
            let skus = self.skus();
            let (_, told) = self.world.rig.engine.availability_to(&asker, &skus, &[]).expect("a channel that is");
            for (sku, told) in skus.into_iter().zip(told) {
                assert_eq!(told.available, self.expected(sku, channel), "{sku:?} for {channel:?}");
            }
        }
        assert_eq!(self.world.rig.engine.audit().violations, []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases("ALLOTMENT_CASES", 96),
        failure_persistence: regressions("tests/allotment.seeds"),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_channel_gets_what_the_model_says(
        tree in vec((any::<u8>(), any::<u8>()), NODES),
        steps in vec((any::<u8>(), prop::array::uniform6(any::<u16>())), 1..80),
        restart in 0_usize..80,
    ) {
        let mut run = Run::new(&tree);
        for (place, step) in steps.iter().enumerate() {
            run.step(step);
            run.check();
            if place == restart {
                run.world.restarts();
                run.check();
            }
        }
        run.world.restarts();
        run.check();
    }
}
