//! A shop that trades with its router for a while, and the log it leaves.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{convert::Infallible, sync::Arc};

use quartermaster_backtest::{Backtest, Opening, Options, Outcome, change::Changed};
use quartermaster_engine::{
    Engine, EngineConfig, Verdict,
    catalog::{
        Capabilities, ChannelSpec, Fulfilment, LocationKind, LocationSpec, SkuSpec,
        documents::{Content, DocumentKind},
    },
    command::{
        AdjustStock, Bucket, CatalogueCommand, CellCode, Command, FactRow, ImportRow, ImportStock, LineSelection,
        LineSourcing, Merge, Reassign, ReceiveStock, Request, Reserve, ReserveLine, SourcingRequest, Step,
        StockCommand, StockReason,
    },
    event::{Event, Facts, Held},
    id::ReservationId,
    quantity::Quantity,
    reservation::State,
    time::{Micros, Timestamp},
};
use quartermaster_journal::{Journal, Lsn, MemoryJournal};
use quartermaster_sourcing::{
    fulfilment::{CapacityLimits, Coordinates, Moment},
    policy::Document,
    tariff::TariffDocument,
};

pub(crate) const MINUTE: u64 = 60_000_000;
/// 2026-11-11T00:00:00Z
pub(crate) const T0: u64 = 1_794_355_200_000_000;

/// An engine, its journal, and what time it is.
pub(crate) struct Shop {
    pub(crate) engine: Engine,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) now: Timestamp,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let journal = Arc::new(MemoryJournal::keeping_records());
        let engine = Engine::new(EngineConfig::default(), Arc::clone(&journal) as Arc<dyn Journal>);
        Self { engine, journal, now: Timestamp(T0) }
    }

    /// Submits a command a minute later, after the timer.
    pub(crate) fn tell(&mut self, command: &Command) -> Option<Event> {
        self.now = self.now.plus(Micros(MINUTE));
        self.engine.expire_due(self.now, 100).unwrap();
        let nobody = Request::unnamed();
        match self.engine.submit(&nobody, command, self.now) {
            Ok(answer) => match answer.verdict {
                Verdict::Done(event) => Some(event),
                Verdict::Rejected(_) | Verdict::Nothing => None,
            },
            Err(_) => None,
        }
    }

    pub(crate) fn step(&mut self, id: ReservationId, step: Step) -> Option<Event> {
        self.tell(&Command::Reservation(id, step))
    }

    pub(crate) fn catalogue(&mut self, command: CatalogueCommand) {
        assert!(self.tell(&Command::Catalogue(command)).is_some());
    }

    pub(crate) fn skus(&mut self, codes: &[&str]) {
        let sku =
            |code: &&str| SkuSpec { code: (*code).into(), sellable: true, weight_grams: 400, ..SkuSpec::default() };
        self.catalogue(CatalogueCommand::UpsertSkus(codes.iter().map(sku).collect()));
    }

    /// Places by code, in the order of their priority.
    pub(crate) fn places(&mut self, codes: &[&str]) {
        let place = |(priority, code): (u32, &&str)| LocationSpec {
            code: (*code).into(),
            priority,
            kind: if code.starts_with("ST") { LocationKind::Store } else { LocationKind::DistributionCentre },
            capabilities: Capabilities(Capabilities::SHIP),
            coordinates: Some(Coordinates {
                latitude_e7: 310_000_000 + i32::try_from(priority).unwrap() * 10_000_000,
                longitude_e7: 1_210_000_000,
            }),
            fulfilment: Fulfilment {
                handling_cost: 100 + i64::from(priority) * 25,
                pick_unit_cost: 10 + i64::from(priority) * 5,
                processing_minutes: 120,
                capacity: CapacityLimits { orders_per_day: (priority == 0).then_some(90), ..CapacityLimits::default() },
                ..Fulfilment::default()
            },
            ..LocationSpec::default()
        };
        self.catalogue(CatalogueCommand::UpsertLocations((0..).zip(codes).map(place).collect()));
    }

    /// Puts a policy or a tariff in force.
    pub(crate) fn document(&mut self, kind: DocumentKind, text: &str) {
        let content = Content::read(kind, text).unwrap();
        let drafted = self.tell(&Command::Catalogue(CatalogueCommand::Draft(Box::new(content))));
        let Some(Event::DocumentDrafted { document, .. }) = drafted else { panic!("no draft of {text}") };
        self.catalogue(CatalogueCommand::Activate { document, effective_at: None });
    }

    pub(crate) fn import(&mut self, cells: &[(&str, &str, u32)]) {
        let row = |(sku, place, on_hand): &(&str, &str, u32)| ImportRow {
            cell: cell(sku, place),
            on_hand: Quantity(*on_hand),
            safety: Quantity(0),
            quality_control: Quantity(0),
            damaged: Quantity(0),
            in_repair: Quantity(0),
            incoming: Quantity(0),
        };
        let rows = cells.iter().map(row).collect();
        self.tell(&Command::Stock(StockCommand::Import(ImportStock { rows, reference: "first".into() })));
    }

    /// What planning knows of a cell.
    pub(crate) fn know(&mut self, sku: &str, place: &str, weekly_demand_milli: u32) {
        let facts = Facts { weekly_demand_milli: Some(weekly_demand_milli), oldest_receipt_day: Some(20_600) };
        let rows = vec![FactRow { cell: cell(sku, place), facts }];
        assert!(self.tell(&Command::Stock(StockCommand::SetFacts(rows))).is_some());
    }

    /// Asks for an order; gives what was held.
    pub(crate) fn order(&mut self, reserve: Reserve) -> Option<Held> {
        match self.tell(&Command::Reserve(reserve)) {
            Some(Event::Held(held)) => Some(held),
            _ => None,
        }
    }

    /// A customer brings units back.
    pub(crate) fn take_back(&mut self, sku: &str, place: &str, units: u32) {
        self.tell(&Command::Stock(StockCommand::Receive(ReceiveStock {
            receipts: vec![(cell(sku, place), Quantity(units))],
            from_incoming: false,
            reason: StockReason(3),
            reference: "return".into(),
        })));
    }

    pub(crate) fn adjust(&mut self, sku: &str, place: &str, delta: i64) {
        self.tell(&Command::Stock(StockCommand::Adjust(AdjustStock {
            cell: cell(sku, place),
            bucket: Bucket::OnHand,
            delta,
            reason: StockReason(1),
            reference: String::new(),
        })));
    }

    /// Runs the whole log again.
    pub(crate) fn backtest(&self, options: Options) -> (Outcome, Vec<Changed>) {
        run(Opening::default(), options, &self.journal.records(), Lsn::ZERO)
    }

    /// The state now, as the beginning of another run.
    pub(crate) fn opening(&self) -> (Opening, Lsn) {
        let mut opening = Opening::default();
        let span = self.engine.snapshot(self.now, |section| {
            opening.load(section.kind, section.unit, section.lsn, &section.payload).unwrap();
            Ok::<(), Infallible>(())
        });
        let Ok(span) = span;
        (opening, span.complete_to)
    }
}

/// Runs the records past `after` again.
pub(crate) fn run(opening: Opening, options: Options, records: &[Vec<u8>], after: Lsn) -> (Outcome, Vec<Changed>) {
    let mut backtest = Backtest::new(opening, options);
    let mut changed = Vec::new();
    for (lsn, record) in (1..).zip(records).filter(|(lsn, _)| *lsn > after.get()) {
        changed.extend(backtest.replay(Lsn::new(lsn), record).unwrap());
    }
    (backtest.finish(), changed)
}

pub(crate) fn cell(sku: &str, place: &str) -> CellCode {
    CellCode { sku: sku.into(), location: place.into() }
}

/// An order of one unit each, or more.
pub(crate) fn order(id: &str, lines: &[(&str, u32)]) -> Reserve {
    let line = |(sku, units): &(&str, u32)| ReserveLine {
        sku: (*sku).into(),
        quantity: Quantity(*units),
        location: "".into(),
        sourcing: None,
    };
    Reserve {
        order_id: id.into(),
        buyer_id: "buyer".into(),
        channel: "".into(),
        lines: lines.iter().map(line).collect(),
        ttl: Micros(30 * MINUTE),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: Some(Box::default()),
        asked: None,
    }
}

/// Numbers that look random and are always the same. Marsaglia, "Xorshift RNGs", 2003.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(crate) fn small(&mut self, bound: u64) -> u32 {
        u32::try_from(self.below(bound)).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(u64::try_from(of.len()).unwrap())).unwrap()]
    }
}

pub(crate) const SKUS: [&str; 12] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L"];
pub(crate) const PLACES: [&str; 5] = ["DC", "FW", "ST1", "ST2", "ST3"];

/// Two services: one near and quick, one everywhere.
pub(crate) const TARIFF: &str = r#"
name = "Post"
currency = "CNY"

[[services]]
code = "near"
service_level = "express"

[[services.rates]]
distance_to_metres = 120_000
first_weight_grams = 1_000
first_price = 500
step_weight_grams = 500
step_price = 90
transit_minutes = 600

[[services]]
code = "far"

[[services.rates]]
first_weight_grams = 1_000
first_price = 800
step_weight_grams = 1_000
step_price = 150
transit_minutes = 2_880
distance_step_metres = 100_000
distance_step_price = 60
"#;

/// Money counts, and what is late, what is a store's last, and what lies long.
pub(crate) const POLICY: &str = r#"
name = "money"
currency = "CNY"
refusal_cooldown = "4h"

[prices]
unserved_unit = 3_000
late_hour = 40
last_pieces = { at = 2, price = 150 }
ageing = [{ days = 60, bonus = 30 }]
cover = [{ weeks_under = 1, price = 45 }]
capacity_pressure = [{ used_percent = 50, price = 80 }]

[[rules]]
name = "little from stores"
exclude = "location.kind == 'store' && order.units > 9"

[[fallbacks]]
name = "anything"
ignore_rules = ["little from stores"]
"#;

/// A policy as a document.
pub(crate) fn policy(text: &str) -> Document {
    Document::read_any(text).unwrap()
}

/// A tariff as a document.
pub(crate) fn tariff(text: &str) -> TariffDocument {
    TariffDocument::from_toml(text).unwrap()
}

/// A shop that has traded: so many orders, and all that may become of them.
pub(crate) fn traded(seed: u64, orders: usize) -> Shop {
    let mut shop = Shop::new();
    opened(&mut shop);
    trade(&mut shop, &mut Dice(seed), orders);
    shop
}

/// Goods, places and first stock.
pub(crate) fn opened(shop: &mut Shop) {
    shop.skus(&SKUS);
    shop.places(&PLACES);
    let channel = ChannelSpec { code: "app".into(), active: true, ..ChannelSpec::default() };
    shop.catalogue(CatalogueCommand::UpsertChannels(vec![channel]));
    shop.document(DocumentKind::Tariff, TARIFF);
    shop.document(DocumentKind::Policy, POLICY);
    let mut dice = Dice(7);
    let mut cells = Vec::new();
    for sku in SKUS {
        for place in PLACES {
            cells.push((sku, place, 1 + dice.small(6)));
        }
    }
    shop.import(&cells);
    shop.know("A", "DC", 900);
    shop.know("B", "ST1", 12_000);
}

/// Trades for so many orders.
pub(crate) fn trade(shop: &mut Shop, dice: &mut Dice, orders: usize) {
    let mut open: Vec<ReservationId> = Vec::new();
    for number in 0..orders {
        let mut lines: Vec<(&str, u32)> = (0..=dice.below(3)).map(|_| (*dice.pick(&SKUS), 1 + dice.small(4))).collect();
        lines.sort_unstable();
        lines.dedup_by_key(|line| line.0);
        let mut reserve = order(&format!("order-{number}"), &lines);
        reserve.buyer_id = format!("buyer-{}", dice.below(8)).into();
        if dice.below(2) == 0 {
            reserve.channel = "app".into();
        }
        reserve.allow_partial = dice.below(3) == 0;
        if dice.below(12) == 0 {
            reserve.sourcing = None;
        } else {
            reserve.sourcing = Some(Box::new(asked(dice, shop.now)));
            if dice.below(5) == 0 {
                reserve.lines[0].sourcing = Some(Box::new(LineSourcing {
                    whole: dice.below(2) == 0,
                    never: vec![(*dice.pick(&PLACES)).into()],
                    substitutes: vec![(*dice.pick(&SKUS)).into()],
                    ..LineSourcing::default()
                }));
            }
        }
        if dice.below(10) == 0 {
            reserve.replaces = open.last().copied();
        }
        open.extend(shop.order(reserve).map(|held| held.reservation));
        for _ in 0..dice.below(4) {
            let Some(id) = (!open.is_empty()).then(|| *dice.pick(&open)) else { break };
            aftermath(shop, dice, id);
        }
        open.retain(|id| shop.engine.reservation(*id).is_ok_and(|(_, reservation)| reservation.state.is_open()));
        if dice.below(4) == 0 {
            let (sku, place) = (*dice.pick(&SKUS), *dice.pick(&PLACES));
            match dice.below(5) {
                0 => shop.adjust(sku, place, -1),
                1 => shop.take_back(sku, place, 1),
                _ => shop.take_back(sku, place, 5),
            }
        }
    }
}

fn asked(dice: &mut Dice, now: Timestamp) -> SourcingRequest {
    let seconds = i64::try_from(now.0 / 1_000_000).unwrap();
    SourcingRequest {
        point: Some(Coordinates {
            latitude_e7: 300_000_000 + i32::try_from(dice.below(50_000_000)).unwrap(),
            longitude_e7: 1_200_000_000,
        }),
        wanted_by: (dice.below(2) == 0).then(|| Moment(seconds + i64::from(dice.small(72)) * 3_600)),
        parcels_max: (dice.below(6) == 0).then_some(2),
        receiver_key: format!("door-{}", dice.below(3)),
        join_open_parcels: dice.below(4) == 0,
        ..SourcingRequest::default()
    }
}

/// One thing that happens to a reservation.
fn aftermath(shop: &mut Shop, dice: &mut Dice, id: ReservationId) {
    let Ok((_, reservation)) = shop.engine.reservation(id) else { return };
    let open: Vec<_> = reservation.lines.iter().filter(|line| !line.open.is_zero()).copied().collect();
    let Some(line) = (!open.is_empty()).then(|| *dice.pick(&open)) else { return };
    let (sku, place) = {
        let catalogue = shop.engine.catalogue();
        (catalogue.sku_code(line.sku).to_owned(), catalogue.directory().location_code(line.location).to_owned())
    };
    let one = LineSelection { sku: sku.clone(), location: place.clone(), quantity: Some(Quantity(1)) };
    let step = match dice.below(13) {
        0..=3 if reservation.state == State::Held => Step::Confirm,
        0..=2 => Step::Ship(Vec::new()),
        3 => Step::Ship(vec![one]),
        4 => Step::Release,
        5 => Step::Cancel(Vec::new()),
        6 => Step::Cancel(vec![one]),
        7 => Step::Extend(Micros(20 * MINUTE)),
        8 | 9 => {
            let refused = dice.below(2) == 0;
            let to = if refused { String::new() } else { (*dice.pick(&PLACES)).to_owned() };
            Step::Reassign(Reassign { sku, from: place, to, quantity: None, refused })
        }
        10 | 11 => {
            let receiver_key = reservation.sourcing.map_or_else(String::new, |own| own.ask.receiver_key.to_string());
            let buyer_id = reservation.buyer_id.to_string();
            shop.tell(&Command::Merge(Merge { buyer_id, receiver_key, reservations: Vec::new() }));
            return;
        }
        _ => {
            // Long enough for holds to expire.
            shop.now = shop.now.plus(Micros(25 * MINUTE));
            return;
        }
    };
    shop.step(id, step);
}
