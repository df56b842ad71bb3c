//! Random commands over a small universe, so that they get in each other's way.

use std::fmt;

use proptest::{collection::vec, prelude::*};
use quartermaster_engine::{
    catalog::{
        Capabilities, ChannelSpec, Fulfilment, LocationSpec, LocationState, SkuSpec,
        documents::{Content, DocumentId, DocumentKind},
    },
    command::{
        AdjustStock, Bucket, CatalogueCommand, CellCode, Command, Condition, FactRow, ImportRow, ImportStock,
        LineSelection, LineSourcing, Merge, MoveStock, Reassign, ReceiveStock, Reserve, ReserveLine, SetStock,
        SourcingRequest, Step, StockCommand, StockReason,
    },
    event::Facts,
    id::ReservationId,
    quantity::Quantity,
    time::Micros,
};
use quartermaster_sourcing::{
    fulfilment::{CapacityLimits, Mode},
    policy::Document,
    region::RegionSpec,
};

pub(crate) const SKUS: [&str; 5] = ["A", "B", "C", "D", "E"];
pub(crate) const LOCATIONS: [&str; 4] = ["L0", "L1", "L2", "L3"];
const CHANNELS: [&str; 2] = ["web", "app"];
const BUYERS: [&str; 3] = ["", "ann", "bob"];
const BUCKETS: [Bucket; 6] =
    [Bucket::OnHand, Bucket::Safety, Bucket::QualityControl, Bucket::Damaged, Bucket::InRepair, Bucket::Incoming];
const CONDITIONS: [Condition; 4] =
    [Condition::Sellable, Condition::QualityControl, Condition::Damaged, Condition::InRepair];

/// Time moves and holds last in halves of this.
pub(crate) const SECOND: u64 = 1_000_000;

/// Kinds of steps, for the weights of a case.
const KINDS: usize = 24;

/// One random step: which kind, and the numbers it is made from.
pub(crate) type Raw = (u16, [u16; 24]);

/// A case: how often each kind comes (a kind may not come at all), and its steps.
#[derive(Clone)]
pub(crate) struct Case {
    weights: Vec<u16>,
    pub(crate) steps: Vec<Raw>,
}

pub(crate) fn case(steps: std::ops::Range<usize>) -> impl Strategy<Value = Case> {
    let weights = vec(prop_oneof![1 => Just(0_u16), 2 => 1..4_u16, 1 => 8..20_u16], KINDS);
    (weights, vec((any::<u16>(), prop::array::uniform24(any::<u16>())), steps))
        .prop_map(|(weights, steps)| Case { weights, steps })
}

impl fmt::Debug for Case {
    /// On one line: a case is read by a machine first.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&format!("Case {{ weights: {:?}, steps: {:?} }}", self.weights, self.steps))
    }
}

/// What to do next.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made at a time, and nearly all are requests")]
pub(crate) enum Op {
    Submit(String, Command),
    ExpireDue { limit: usize },
}

/// What earlier steps made, for later ones to refer to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) reservations: Vec<ReservationId>,
    pub(crate) requests: Vec<(String, Command)>,
    pub(crate) lsn: u64,
    serial: usize,
}

struct Dice<'a>(std::slice::Iter<'a, u16>);

impl Dice<'_> {
    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % bound
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == chance - 1
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Mostly few units; seldom so many that sums pass 32 bits.
    fn units(&mut self) -> Quantity {
        let few = u32::try_from(1 + self.below(64)).unwrap_or(1);
        match few {
            64 => Quantity(u32::MAX),
            63 => Quantity(u32::MAX - 3),
            60..63 => Quantity(1_000),
            few => Quantity(1 + few % 7),
        }
    }

    fn figure(&mut self) -> Quantity {
        let units = self.units();
        if self.one_in(4) { Quantity::ZERO } else { units }
    }

    fn sku(&mut self) -> String {
        if self.one_in(40) { "?".into() } else { self.pick(&SKUS).into() }
    }

    fn location(&mut self) -> String {
        if self.one_in(40) { "?".into() } else { self.pick(&LOCATIONS).into() }
    }

    fn place(&mut self) -> String {
        if self.below(2) == 0 { String::new() } else { self.location() }
    }

    fn cell(&mut self) -> CellCode {
        CellCode { sku: self.sku(), location: self.location() }
    }

    fn span(&mut self) -> Micros {
        Micros(SECOND / 2 * u64::try_from(1 + self.below(8)).unwrap_or(1))
    }

    fn reservation(&mut self, known: &Known) -> ReservationId {
        // Mostly a young one: those are open.
        let back = self.below(8).min(self.below(8));
        let place = if self.one_in(6) {
            self.below(known.reservations.len().max(1))
        } else {
            known.reservations.len().saturating_sub(1 + back)
        };
        let unknown = self.one_in(40);
        known.reservations.get(place).copied().filter(|_| !unknown).unwrap_or(ReservationId(u64::MAX))
    }

    fn selections(&mut self) -> Vec<LineSelection> {
        let count = self.below(3);
        let mut one = || LineSelection {
            sku: self.sku(),
            location: self.place(),
            quantity: (self.below(2) == 0).then(|| Quantity(1 + u32::try_from(self.below(3)).unwrap_or(0))),
        };
        (0..count).map(|_| one()).collect()
    }
}

impl Case {
    fn kind(&self, selector: u16) -> usize {
        let total: u16 = self.weights.iter().sum::<u16>().max(1);
        let mut rest = selector % total;
        for (kind, weight) in self.weights.iter().enumerate() {
            if rest < *weight {
                return kind;
            }
            rest -= weight;
        }
        0
    }

    /// Makes a step. Gives how far time moves before it, too, in microseconds; backwards now and then, as clocks do.
    pub(crate) fn step(&self, (selector, numbers): &Raw, known: &mut Known) -> (i64, Op) {
        let mut dice = Dice(numbers.iter());
        let half = i64::try_from(SECOND / 2).unwrap_or(0);
        let pause = match dice.below(16) {
            15 => -half,
            14 => 2 * half,
            12..14 => half,
            11 => half - 1,
            10 => 1,
            _ => 0,
        };
        let kind = self.kind(*selector);
        known.serial += 1;
        let id = format!("q{}", known.serial);
        let command = match kind {
            0..=2 => reserve(&mut dice, known),
            3 => Command::Reservation(dice.reservation(known), Step::Confirm),
            4 => Command::Reservation(dice.reservation(known), Step::Release),
            5 => Command::Reservation(dice.reservation(known), Step::Cancel(dice.selections())),
            6 => Command::Reservation(dice.reservation(known), Step::Extend(dice.span())),
            7 => Command::Reservation(dice.reservation(known), Step::Ship(dice.selections())),
            8 => {
                let id = dice.reservation(known);
                let quantity = (dice.below(2) == 0).then(|| Quantity(1 + u32::try_from(dice.below(3)).unwrap_or(0)));
                let reassign =
                    Reassign { sku: dice.sku(), from: dice.place(), to: dice.place(), quantity, refused: false };
                let refused = !reassign.to.is_empty() && dice.one_in(3);
                let reassign = Reassign { refused, ..reassign };
                Command::Reservation(id, Step::Reassign(reassign))
            }
            9 => Command::Reservation(dice.reservation(known), Step::Expire),
            10..=14 => Command::Stock(stock(kind, &mut dice, known)),
            15..=17 => Command::Catalogue(catalogue(kind, &mut dice)),
            18 => return (pause, Op::ExpireDue { limit: if dice.below(3) == 0 { 1 } else { 100 } }),
            20..=21 => routed(&mut dice, known),
            22 => merge(&mut dice, known),
            23 => refuse(&mut dice, known),
            _ => {
                // An id once more: with its own content, or with another's.
                let place = dice.below(known.requests.len().max(1));
                let other = if dice.one_in(3) { dice.below(known.requests.len().max(1)) } else { place };
                match (known.requests.get(place), known.requests.get(other)) {
                    (Some((id, _)), Some((_, command))) => return (pause, Op::Submit(id.clone(), command.clone())),
                    _ => reserve(&mut dice, known),
                }
            }
        };
        known.requests.push((id.clone(), command.clone()));
        (pause, Op::Submit(id, command))
    }
}

fn reserve(dice: &mut Dice<'_>, known: &Known) -> Command {
    let buyer_id = dice.pick(&BUYERS);
    let replaces = dice.one_in(5);
    let replaces = replaces.then(|| dice.reservation(known));
    let channel = match dice.below(24) {
        0..=15 => "",
        16..=22 => dice.pick(&CHANNELS),
        _ => "?",
    };
    let (ttl, allow_partial) = (dice.span(), dice.below(3) == 0);
    let since = if dice.one_in(8) { known.lsn.saturating_sub(u64::try_from(dice.below(4)).unwrap_or(0)) } else { 0 };
    let count = [1, 1, 2, 4][dice.below(4)];
    let lines = (0..count)
        .map(|_| ReserveLine {
            sku: dice.sku().into(),
            quantity: dice.units(),
            location: dice.place().into(),
            sourcing: None,
        })
        .collect();
    Command::Reserve(Reserve {
        order_id: format!("order{}", dice.below(3)).into(),
        buyer_id: buyer_id.into(),
        channel: channel.into(),
        lines,
        ttl,
        allow_partial,
        replaces,
        unchanged_since_lsn: since,
        sourcing: None,
        asked: None,
    })
}

/// An order for the router to decide.
fn routed(dice: &mut Dice<'_>, known: &Known) -> Command {
    let Command::Reserve(mut reserve) = reserve(dice, known) else { unreachable!("a reserve") };
    reserve.unchanged_since_lsn = 0;
    for line in &mut reserve.lines {
        line.location = "".into();
        let mut places = |chance| if dice.one_in(chance) { vec![dice.location()] } else { Vec::new() };
        let (only, never, rather) = (places(6), places(5), places(4));
        let substitutes = if dice.one_in(4) { vec![dice.sku()] } else { Vec::new() };
        let conditions = LineSourcing { whole: dice.one_in(5), only, never, rather, substitutes };
        line.sourcing = (dice.below(2) == 0).then(|| Box::new(conditions));
    }
    let pickup = dice.one_in(8);
    reserve.sourcing = Some(Box::new(SourcingRequest {
        mode: if pickup { Mode::Pickup } else { Mode::Ship },
        pickup_location: if pickup { dice.location() } else { String::new() },
        parcels_max: dice.one_in(6).then_some(1),
        receiver_key: dice.pick(&["", "home", "home"]).into(),
        join_open_parcels: dice.below(2) == 0,
        ..SourcingRequest::default()
    }));
    Command::Reserve(reserve)
}

fn merge(dice: &mut Dice<'_>, known: &Known) -> Command {
    let (buyer_id, receiver_key) = (dice.pick(&BUYERS[1..]).into(), dice.pick(&["", "home", "home"]).into());
    let count = if dice.one_in(3) { 1 + dice.below(3) } else { 0 };
    let reservations = (0..count).map(|_| dice.reservation(known)).collect();
    Command::Merge(Merge { buyer_id, receiver_key, reservations })
}

/// A location turns a line down: the router finds another.
fn refuse(dice: &mut Dice<'_>, known: &Known) -> Command {
    let id = dice.reservation(known);
    let quantity = (dice.below(2) == 0).then(|| Quantity(1 + u32::try_from(dice.below(3)).unwrap_or(0)));
    let reassign = Reassign { sku: dice.sku(), from: dice.place(), to: String::new(), quantity, refused: true };
    Command::Reservation(id, Step::Reassign(reassign))
}

/// What a location costs and takes: always the same, so that a model can know it.
pub(crate) fn fulfilment(location: &str) -> Fulfilment {
    let free = Fulfilment::default();
    let limits = CapacityLimits::default();
    match location {
        "L0" => {
            Fulfilment { handling_cost: 300, capacity: CapacityLimits { orders_per_day: Some(4), ..limits }, ..free }
        }
        "L1" => Fulfilment {
            handling_cost: 200,
            capacity: CapacityLimits { units_per_day: Some(15), orders_per_hour: Some(5), ..limits },
            ..free
        },
        "L2" => Fulfilment { handling_cost: 100, pick_unit_cost: 10, keep_units: 1, ..free },
        _ => Fulfilment { handling_cost: 50, pick_unit_cost: 30, ..free },
    }
}

fn location_spec(code: &str, state: LocationState, priority: u32) -> LocationSpec {
    let hands_over = code == "L3";
    let capabilities = if hands_over { Capabilities::SHIP | Capabilities::PICKUP } else { 0 };
    LocationSpec {
        code: code.into(),
        state,
        priority,
        capabilities: Capabilities(capabilities),
        fulfilment: fulfilment(code),
        ..LocationSpec::default()
    }
}

fn stock(kind: usize, dice: &mut Dice<'_>, known: &Known) -> StockCommand {
    let reason = StockReason(u32::try_from(dice.below(3)).unwrap_or(0));
    let reference = String::new();
    match kind {
        10 => {
            let expected = dice.one_in(4).then(|| known.lsn.saturating_sub(u64::try_from(dice.below(3)).unwrap_or(0)));
            let bucket = if dice.below(2) == 0 { Bucket::OnHand } else { dice.pick(&BUCKETS) };
            let (cell, quantity) = (dice.cell(), dice.figure());
            StockCommand::Set(SetStock { cell, bucket, quantity, expected_revision: expected, reason, reference })
        }
        11 => {
            let units = dice.units().signed();
            let delta = match dice.below(20) {
                19 => i64::MAX,
                18 => i64::MIN,
                0..=8 => -units,
                _ => units,
            };
            let bucket = if dice.below(2) == 0 { Bucket::OnHand } else { dice.pick(&BUCKETS) };
            StockCommand::Adjust(AdjustStock { cell: dice.cell(), bucket, delta, reason, reference })
        }
        12 => {
            let from_incoming = dice.below(3) == 0;
            let count = 1 + dice.below(4);
            let receipts = (0..count).map(|_| (dice.cell(), dice.units())).collect();
            StockCommand::Receive(ReceiveStock { receipts, from_incoming, reason, reference })
        }
        13 => {
            let from = dice.below(4);
            let to = (from + 1 + dice.below(3)) % 4;
            let (cell, quantity) = (dice.cell(), dice.units());
            let (from, to) = (CONDITIONS[from], CONDITIONS[to]);
            StockCommand::Move(MoveStock { cell, from, to, quantity, reason, reference })
        }
        _ if dice.one_in(4) => {
            let facts = Facts {
                weekly_demand_milli: (dice.below(2) == 0).then_some(7),
                oldest_receipt_day: (dice.below(2) == 0).then_some(20_000),
            };
            StockCommand::SetFacts(vec![FactRow { cell: dice.cell(), facts }])
        }
        _ => {
            let mut rows: Vec<ImportRow> = Vec::new();
            for _ in 0..=dice.below(3) {
                let cell = dice.cell();
                if rows.iter().all(|row| row.cell != cell) {
                    rows.push(ImportRow {
                        cell,
                        on_hand: dice.figure(),
                        safety: if dice.below(2) == 0 { Quantity::ZERO } else { Quantity(1) },
                        quality_control: Quantity(u32::try_from(dice.below(2)).unwrap_or(0)),
                        damaged: Quantity(0),
                        in_repair: Quantity(0),
                        incoming: dice.figure(),
                    });
                }
            }
            StockCommand::Import(ImportStock { rows, reference })
        }
    }
}

fn catalogue(kind: usize, dice: &mut Dice<'_>) -> CatalogueCommand {
    match (kind, dice.below(4)) {
        (15, 0) => CatalogueCommand::RetireSkus(vec![dice.sku()]),
        (15, _) => {
            let style = dice.pick(&["", "coat", "shirt"]).into();
            let spec =
                SkuSpec { code: dice.pick(&SKUS).into(), style, sellable: !dice.one_in(4), ..SkuSpec::default() };
            CatalogueCommand::UpsertSkus(vec![spec])
        }
        (16, _) => {
            let state =
                dice.pick(&[LocationState::Open, LocationState::Open, LocationState::Paused, LocationState::Closed]);
            let (code, priority) = (dice.pick(&LOCATIONS), u32::try_from(dice.below(3)).unwrap_or(0));
            CatalogueCommand::UpsertLocations(vec![location_spec(code, state, priority)])
        }
        (_, 0) => {
            let (name, version) = (dice.pick(&["p", "q"]).to_owned(), u32::try_from(1 + dice.below(3)).unwrap_or(1));
            let document = DocumentId { kind: DocumentKind::Policy, name: name.clone(), version };
            match dice.below(3) {
                0 => CatalogueCommand::Draft(Box::new(Content::Policy(Box::new(Document::plain(&name, "CNY"))))),
                1 => CatalogueCommand::Activate { document, effective_at: None },
                _ => CatalogueCommand::Retire(document),
            }
        }
        (_, 1) => {
            let place = dice.below(3);
            let parent = dice.pick(&["", ["R9", "R0", "R1"][place]]).into();
            CatalogueCommand::UpsertRegions(vec![RegionSpec {
                code: format!("R{place}"),
                parent,
                ..RegionSpec::default()
            }])
        }
        _ => {
            let (code, active) = (dice.pick(&CHANNELS).into(), !dice.one_in(3));
            CatalogueCommand::UpsertChannels(vec![ChannelSpec { code, active, ..ChannelSpec::default() }])
        }
    }
}

/// A catalogue and stock to begin with. `fillers` SKUs stand between the first two, so that some share a lock shard.
pub(crate) fn setup(fillers: usize) -> Vec<Command> {
    let sku = |code: String| SkuSpec { code, sellable: true, ..SkuSpec::default() };
    let mut skus = vec![sku("A".into())];
    skus.extend((0..fillers).map(|filler| sku(format!("filler{filler}"))));
    skus.extend(SKUS[1..].iter().map(|code| sku((*code).into())));
    let locations = LOCATIONS
        .iter()
        .enumerate()
        .map(|(place, code)| location_spec(code, LocationState::Open, u32::try_from(place / 2).unwrap_or(0)));
    let channels =
        CHANNELS.iter().map(|code| ChannelSpec { code: (*code).into(), active: true, ..ChannelSpec::default() });
    let mut rows = Vec::new();
    for (place, sku) in SKUS.iter().enumerate() {
        for (other, location) in LOCATIONS.iter().enumerate().filter(|(other, _)| (place + other) % 3 != 0) {
            rows.push(ImportRow {
                cell: CellCode { sku: (*sku).into(), location: (*location).into() },
                on_hand: Quantity(u32::try_from(2 + 3 * place + other).unwrap_or(0)),
                safety: Quantity(u32::try_from(place % 2).unwrap_or(0)),
                quality_control: Quantity(0),
                damaged: Quantity(0),
                in_repair: Quantity(0),
                incoming: Quantity(5),
            });
        }
    }
    vec![
        Command::Catalogue(CatalogueCommand::UpsertSkus(skus)),
        Command::Catalogue(CatalogueCommand::UpsertLocations(locations.collect())),
        Command::Catalogue(CatalogueCommand::UpsertChannels(channels.collect())),
        Command::Stock(StockCommand::Import(ImportStock { rows, reference: String::new() })),
    ]
}
