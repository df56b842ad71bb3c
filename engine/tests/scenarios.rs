//! The documented semantics, as tables: one step a line, and after `->` the answer it must get. Without an arrow it must be done.
//!
//! ```text
//! sku A B [unsellable]              location L1 L2 [priority=1] [paused|closed]        channel web [inactive]       retire A
//! stock A@L1 on_hand=5 safety=1     set A@L1 damaged=2 [rev=MARK]     adjust A@L1 on_hand=-2     receive A@L1=3 A@L2=1 [from_incoming]
//! move A@L1 sellable>damaged 2      reserve r1 A x3, B@L1 x2 [buyer=ann] [order=o] [channel=web] [ttl=60] [partial] [replaces=r0] [since=MARK]
//! confirm r1   release r1   expire r1   extend r1 30   cancel r1 [A@L1 x2, B]   ship r1 [..]   reassign r1 A@L1>L2 [x2]
//! now 60.000001 (seconds since the beginning)   tick [limit] (ends what is due)   mark NAME (the LSN now)   restart (twice: log, snapshot)
//! row A@L1 -> buckets that are not 0     free A -> total, each location     show r1 -> state and lines open/shipped/returned
//! rests -> whether the answer before rests on the last event or an earlier one
//! parts -> how many parts of reservations are kept, one per reservation and lock shard
//! shortfalls -> cells and whom they hurt    list [buyer=] [state=] [before=] -> reservations     outcome ID -> what it led to
//! ```
//! `#id` at the end of a step gives its request id; steps that give none get one of their own.

mod support;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use quartermaster_engine::{
    Answer, Engine, EngineConfig, Error, Verdict,
    catalog::{ChannelSpec, LocationSpec, LocationState, SkuSpec},
    command::{
        AdjustStock, Bucket, CatalogueCommand, CellCode, Command, Condition, ImportRow, ImportStock, LineSelection,
        MoveStock, Reassign, ReceiveStock, Reserve, ReserveLine, SetStock, Step, StockCommand, StockReason,
    },
    event::Event,
    id::{LocationId, ReservationId, SkuId},
    quantity::Quantity,
    query::ReservationFilter,
    reservation::State,
    stock::Buckets,
    time::{Micros, Timestamp},
};
use quartermaster_journal::{AppendError, Epoch, Journal, Lsn, MemoryJournal};
use support::{Rig, T0, dump, render};

/// Plays a table.
fn check(table: &str) {
    check_with(EngineConfig::default(), table);
}

fn check_with(config: EngineConfig, table: &str) {
    let mut player = Player {
        rig: Rig::new(config),
        rests_on: 0,
        names: BTreeMap::new(),
        marks: BTreeMap::new(),
        requests: Vec::new(),
    };
    for (number, line) in (1..).zip(table.lines()) {
        let line = line.split(" //").next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (step, expected) = line.split_once(" ->").map_or((line, None), |(step, text)| (step, Some(text.trim())));
        let (answer, done) = player.play(step.trim());
        match expected {
            Some(expected) => assert_eq!(answer, expected, "line {number}: {step}"),
            None => assert!(done, "line {number}: {step}: {answer}"),
        }
        assert_eq!(player.rig.engine.audit().violations, vec![], "line {number}: {step}");
    }
    player.restart();
}

struct Player {
    rig: Rig,
    /// LSN that the last answer rests on.
    rests_on: u64,
    names: BTreeMap<String, ReservationId>,
    marks: BTreeMap<String, u64>,
    requests: Vec<String>,
}

impl Player {
    /// The answer to a step, and whether it was done.
    fn play(&mut self, step: &str) -> (String, bool) {
        let (step, request) = step.split_once(" #").map_or((step, None), |(step, id)| (step, Some(id.to_owned())));
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        let (options, words): (Vec<&str>, Vec<&str>) = rest.split_whitespace().partition(is_option);
        let option = |name: &str| value(&options, name);
        let flag = |name: &str| options.contains(&name);
        let told = |text: String| (text, true);
        let command = match verb {
            "now" => {
                self.rig.now = Timestamp(T0 + micros(words[0]));
                return told(String::new());
            }
            "tick" => {
                let limit = words.first().map_or(usize::MAX, |limit| limit.parse().expect("a limit"));
                let report = self.rig.engine.expire_due(self.rig.now, limit).expect("memory is never full");
                return told(report.expired.to_string());
            }
            "mark" => {
                self.marks.insert(words[0].into(), self.rig.engine.journal().appended_lsn().get());
                return told(String::new());
            }
            "rests" => {
                let last = self.rig.engine.journal().appended_lsn().get() == self.rests_on;
                return told(if last { "on the last event" } else { "on an earlier event" }.into());
            }
            "parts" => return told(self.rig.engine.audit().parts.to_string()),
            "restart" => {
                self.restart();
                return told(String::new());
            }
            "row" => return told(self.row(words[0])),
            "free" => return told(self.free(words[0])),
            "show" => return told(self.show(self.id(words[0]))),
            "shortfalls" => return told(self.shortfalls()),
            "list" => {
                let state = option("state").map(state);
                let expires_before = option("before").map(|at| Timestamp(T0 + micros(at)));
                let buyer_id = option("buyer").unwrap_or_default().into();
                let found =
                    dump::reservations(&self.rig.engine, &ReservationFilter { buyer_id, state, expires_before });
                let names: Vec<String> = found.iter().map(|one| self.name(one.id)).collect();
                return told(names.join(" "));
            }
            "outcome" => {
                let found = self.rig.engine.outcome(words[0]).1;
                let name = |id| self.name(id);
                return told(found.map_or_else(
                    || "unknown".into(),
                    |(_, event)| render::event(&self.rig.engine.catalogue(), &event, &name),
                ));
            }
            "sku" => {
                let (style, sellable) = (option("style").unwrap_or_default(), !flag("unsellable"));
                let spec =
                    |code: &&str| SkuSpec { code: (*code).into(), style: style.into(), sellable, ..SkuSpec::default() };
                Command::Catalogue(CatalogueCommand::UpsertSkus(words.iter().map(spec).collect()))
            }
            "retire" => {
                Command::Catalogue(CatalogueCommand::RetireSkus(words.iter().map(|code| (*code).into()).collect()))
            }
            "location" => {
                let state = match (flag("paused"), flag("closed")) {
                    (true, _) => LocationState::Paused,
                    (_, true) => LocationState::Closed,
                    _ => LocationState::Open,
                };
                let priority = option("priority").map_or(0, |text| text.parse().expect("a priority"));
                let spec =
                    |code: &&str| LocationSpec { code: (*code).into(), state, priority, ..LocationSpec::default() };
                Command::Catalogue(CatalogueCommand::UpsertLocations(words.iter().map(spec).collect()))
            }
            "channel" => {
                let active = !flag("inactive");
                let spec = |code: &&str| ChannelSpec { code: (*code).into(), active, ..ChannelSpec::default() };
                Command::Catalogue(CatalogueCommand::UpsertChannels(words.iter().map(spec).collect()))
            }
            "stock" => {
                let figure = |name| Quantity(option(name).map_or(0, |text| text.parse().expect("a figure")));
                let row = |code: &&str| ImportRow {
                    cell: cell(code),
                    on_hand: figure("on_hand"),
                    safety: figure("safety"),
                    quality_control: figure("quality_control"),
                    damaged: figure("damaged"),
                    in_repair: figure("in_repair"),
                    incoming: figure("incoming"),
                };
                let rows = words.iter().map(row).collect();
                Command::Stock(StockCommand::Import(ImportStock { rows, reference: String::new() }))
            }
            "set" => {
                let (bucket, figure) = bucket(&options);
                Command::Stock(StockCommand::Set(SetStock {
                    cell: cell(words[0]),
                    bucket,
                    quantity: Quantity(figure.parse().expect("a figure")),
                    expected_revision: option("rev").map(|mark| self.lsn(mark)),
                    reason: StockReason(1),
                    reference: String::new(),
                }))
            }
            "adjust" => {
                let (bucket, delta) = bucket(&options);
                Command::Stock(StockCommand::Adjust(AdjustStock {
                    cell: cell(words[0]),
                    bucket,
                    delta: delta.parse().expect("a difference"),
                    reason: StockReason(1),
                    reference: String::new(),
                }))
            }
            "receive" => {
                let receipts = options.iter().filter_map(|option| option.split_once('='));
                let receipts = receipts.map(|(code, units)| (cell(code), Quantity(units.parse().expect("units"))));
                Command::Stock(StockCommand::Receive(ReceiveStock {
                    receipts: receipts.collect(),
                    from_incoming: flag("from_incoming"),
                    reason: StockReason(5),
                    reference: String::new(),
                }))
            }
            "move" => {
                let (from, to) = words[1].split_once('>').expect("from>to");
                Command::Stock(StockCommand::Move(MoveStock {
                    cell: cell(words[0]),
                    from: condition(from),
                    to: condition(to),
                    quantity: Quantity(words[2].parse().expect("units")),
                    reason: StockReason(2),
                    reference: String::new(),
                }))
            }
            "reserve" => {
                let lines = selections(&words[1..]).into_iter().map(|line| ReserveLine {
                    sku: line.sku.into(),
                    quantity: line.quantity.expect("a quantity"),
                    location: line.location.into(),
                    sourcing: None,
                });
                Command::Reserve(Reserve {
                    order_id: option("order").unwrap_or_default().into(),
                    buyer_id: option("buyer").unwrap_or_default().into(),
                    channel: option("channel").unwrap_or_default().into(),
                    lines: lines.collect(),
                    ttl: Micros(micros(option("ttl").unwrap_or("60"))),
                    allow_partial: flag("partial"),
                    replaces: option("replaces").map(|name| self.id(name)),
                    unchanged_since_lsn: option("since").map_or(0, |mark| self.lsn(mark)),
                    sourcing: None,
                    asked: None,
                })
            }
            step => {
                let made = match step {
                    "confirm" => Step::Confirm,
                    "release" => Step::Release,
                    "expire" => Step::Expire,
                    "extend" => Step::Extend(Micros(micros(words[1]))),
                    "cancel" => Step::Cancel(selections(&words[1..])),
                    "ship" => Step::Ship(selections(&words[1..])),
                    "reassign" => {
                        let (from, to) = words[1].split_once('>').expect("from>to");
                        let CellCode { sku, location: from } = cell(from);
                        let quantity = words.get(2).map(|units| Quantity(units[1..].parse().expect("units")));
                        Step::Reassign(Reassign { sku, from, to: to.into(), quantity, refused: flag("refused") })
                    }
                    other => panic!("no such step: {other}"),
                };
                Command::Reservation(self.id(words[0]), made)
            }
        };
        let request = request.unwrap_or_else(|| format!("request{}", self.requests.len()));
        let result = self.rig.submit(&request, &command);
        self.requests.push(request);
        self.rests_on = result.as_ref().map_or(0, |answer| answer.lsn.get());
        let done = matches!(&result, Ok(answer) if matches!(answer.verdict, Verdict::Done(_)));
        if let Ok(answer) = &result
            && let Verdict::Done(Event::Held(held)) = &answer.verdict
        {
            let before = self.names.insert(words[0].into(), held.reservation);
            assert!(before.is_none() || answer.replayed && before == Some(held.reservation), "{} is taken", words[0]);
        }
        (render::answer(&self.rig.engine, &result, &|id| self.name(id)), done)
    }

    /// Restarts from the log alone and from a snapshot: nothing that can be seen changes.
    fn restart(&mut self) {
        let dump = |player: &Self| dump::dump(&player.rig.engine, player.requests.iter().map(String::as_str));
        let before = dump(self);
        self.rig.restart();
        assert_eq!(before, dump(self), "the log brings everything back");
        self.rig.restart_from_snapshot();
        assert_eq!(before, dump(self), "the snapshot brings everything back");
        assert_eq!(self.rig.engine.audit().violations, vec![]);
    }

    fn id(&self, name: &str) -> ReservationId {
        self.names.get(name).copied().unwrap_or(ReservationId(77 << 8))
    }

    fn name(&self, id: ReservationId) -> String {
        self.names.iter().find(|(_, known)| **known == id).map_or("?".into(), |(name, _)| name.clone())
    }

    fn lsn(&self, mark: &str) -> u64 {
        if mark == "0" { 0 } else { self.marks[mark] }
    }

    fn place(&self, code: &str) -> (SkuId, LocationId) {
        let (catalogue, cell) = (self.rig.engine.catalogue(), cell(code));
        (catalogue.sku(&cell.sku).expect("a SKU"), catalogue.directory().location(&cell.location).expect("a location"))
    }

    fn row(&self, code: &str) -> String {
        let (sku, location) = self.place(code);
        let Buckets {
            on_hand,
            reserved,
            committed,
            safety,
            quality_control,
            damaged,
            in_repair,
            incoming,
            frozen: _,
            kept: _,
        } = self.rig.engine.cell(sku, location).buckets;
        let figures = [
            ("on_hand", on_hand),
            ("reserved", reserved),
            ("committed", committed),
            ("safety", safety),
            ("quality_control", quality_control),
            ("damaged", damaged),
            ("in_repair", in_repair),
            ("incoming", incoming),
        ];
        let figures = figures.iter().filter(|(_, units)| !units.is_zero());
        figures.map(|(name, units)| format!("{name}={units}")).collect::<Vec<_>>().join(" ")
    }

    fn free(&self, code: &str) -> String {
        let (sku, locations) = {
            let catalogue = self.rig.engine.catalogue();
            let locations: Vec<_> = catalogue.directory().locations().iter().map(|place| place.id).collect();
            (catalogue.sku(code).expect("a SKU"), locations)
        };
        let (_, rows) = self.rig.engine.availability(&[sku], &locations);
        format!("{} {:?}", rows[0].available, rows[0].by_location)
    }

    fn show(&self, id: ReservationId) -> String {
        let Ok((_, found)) = self.rig.engine.reservation(id) else { return "unknown".into() };
        let catalogue = self.rig.engine.catalogue();
        let lines = found.lines.iter().map(|line| {
            let location = catalogue.directory().location_code(line.location);
            let (open, shipped, returned) = (line.open, line.shipped, line.returned);
            format!(" {}@{location}:{open}/{shipped}/{returned}", catalogue.sku_code(line.sku))
        });
        let ended = found.ended_at.map_or_else(String::new, |at| format!(" ended={}", render::time(at)));
        format!("{} until={}{ended}{}", found.state.name(), render::time(found.expires_at), lines.collect::<String>())
    }

    fn shortfalls(&self) -> String {
        let all = dump::shortfalls(&self.rig.engine);
        let catalogue = self.rig.engine.catalogue();
        let each = all.iter().map(|short| {
            let hurt: Vec<_> = short.hurt.iter().map(|id| self.name(*id)).collect();
            let (sku, location) = (catalogue.sku_code(short.cell.sku), short.cell.location);
            let location = catalogue.directory().location_code(location);
            format!("{sku}@{location}:{} hurts {}", short.cell.buckets.shortfall(), hurt.join(","))
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

fn value<'a>(options: &[&'a str], name: &str) -> Option<&'a str> {
    options.iter().filter_map(|option| option.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn is_option(word: &&str) -> bool {
    word.contains('=') || ["partial", "paused", "closed", "inactive", "unsellable", "from_incoming"].contains(word)
}

fn micros(seconds: &str) -> u64 {
    let (whole, rest) = seconds.split_once('.').unwrap_or((seconds, ""));
    let rest: u64 = format!("{rest:0<6}").parse().expect("a fraction");
    whole.parse::<u64>().expect("seconds") * 1_000_000 + rest
}

fn cell(code: &str) -> CellCode {
    let (sku, location) = code.split_once('@').unwrap_or((code, ""));
    CellCode { sku: sku.into(), location: location.into() }
}

/// `A@L1 x2, B x3`: everywhere the same.
fn selections(words: &[&str]) -> Vec<LineSelection> {
    let text = words.join(" ");
    let lines = text.split(',').map(str::trim).filter(|line| !line.is_empty());
    let line = |line: &str| {
        let (code, units) = line.split_once(" x").map_or((line, None), |(code, units)| (code, Some(units)));
        let CellCode { sku, location } = cell(code);
        LineSelection { sku, location, quantity: units.map(|units| Quantity(units.parse().expect("units"))) }
    };
    lines.map(line).collect()
}

fn bucket<'a>(options: &[&'a str]) -> (Bucket, &'a str) {
    let named = |option: &&'a str| {
        let (name, figure) = option.split_once('=')?;
        let bucket = match name {
            "on_hand" => Bucket::OnHand,
            "safety" => Bucket::Safety,
            "quality_control" => Bucket::QualityControl,
            "damaged" => Bucket::Damaged,
            "in_repair" => Bucket::InRepair,
            "incoming" => Bucket::Incoming,
            _ => return None,
        };
        Some((bucket, figure))
    };
    options.iter().find_map(named).expect("a bucket")
}

fn condition(name: &str) -> Condition {
    match name {
        "sellable" => Condition::Sellable,
        "quality_control" => Condition::QualityControl,
        "damaged" => Condition::Damaged,
        "in_repair" => Condition::InRepair,
        other => panic!("no such condition: {other}"),
    }
}

fn state(name: &str) -> State {
    let states = [
        State::Held,
        State::Confirmed,
        State::Shipped,
        State::Released,
        State::Expired,
        State::Cancelled,
        State::Replaced,
    ];
    states.into_iter().find(|state| state.name() == name).expect("a state")
}

#[test]
fn a_hold_takes_what_is_available_and_no_more() {
    check(
        "
        sku A          -> SkusUpserted entries=1 created=1 shortfalls=0
        location L1    -> LocationsUpserted entries=1 created=1 shortfalls=0
        stock A@L1 on_hand=5 safety=1   -> StockChanged entries=1 created=0 shortfalls=0
        reserve r1 A x3                 -> A@L1:3
        reserve r2 A x2                 -> INSUFFICIENT_STOCK A:2/1
        reserve r2 A@L1 x2              -> INSUFFICIENT_STOCK A@L1:2/1
        row A@L1                        -> on_hand=5 reserved=3 safety=1
        free A                          -> 1 [1]
        show r1                         -> held until=60s A@L1:3/0/0
        reserve r2 A x1                 -> A@L1:1
        reserve r3 A x1                 -> INSUFFICIENT_STOCK A:1/0
        list                            -> r1 r2
        ",
    );
}

#[test]
fn lines_of_the_same_sku_are_summed() {
    check(
        "
        sku A B
        location L1 L2
        stock A@L1 A@L2 on_hand=4
        reserve r1 A x3, A x2           -> A@L1:4 A@L2:1        // five in all: no place has the whole of it
        release r1                      -> released A@L1:4 A@L2:1
        reserve r2 A@L1 x3, A@L1 x2     -> INSUFFICIENT_STOCK A@L1:5/4
        reserve r3 A x5, A@L1 x3        -> A@L1:4 A@L2:4        // the line that names its place is served first
        release r3
        // One is certainly short; the other is short because of it. Both are told, in the order of the request.
        reserve r4 A x5, A@L1 x5        -> INSUFFICIENT_STOCK A:5/4 A@L1:5/4
        ",
    );
}

#[test]
fn a_refusal_tells_every_line_that_was_short_in_the_order_of_the_request() {
    check(
        "
        sku A B C D
        location L1
        location L2 paused
        stock A@L1 on_hand=1
        stock B@L2 on_hand=9
        stock C@L1 on_hand=9
        reserve r1 D x1, C x1, B x2, A x2               -> INSUFFICIENT_STOCK D:1/0 B:2/0 A:2/1
        reserve r1 D x1, C x1, B x2, A x2 since=0       -> INSUFFICIENT_STOCK D:1/0 B:2/0 A:2/1
        reserve r1 D x1, B x2 partial                   -> INSUFFICIENT_STOCK D:1/0 B:2/0
        reserve r1 A x1, A@L1 x3                        -> INSUFFICIENT_STOCK A:1/0 A@L1:3/1
        ",
    );
}

#[test]
fn open_lines_go_by_priority_then_by_age_of_the_location() {
    check(
        "
        sku A B
        location late priority=5
        location one two priority=1
        location early
        stock A@late A@one A@two A@early on_hand=4
        reserve r1 A x4     -> A@early:4
        reserve r2 A x3     -> A@one:3          // a tie goes to the older location
        reserve r3 A x4     -> A@two:4          // the whole line from one place, though another comes first
        reserve r4 A x5     -> A@late:4 A@one:1 // nobody has five: in the order of priority, shown by location
        stock B@early on_hand=1
        stock B@one on_hand=2
        stock B@two on_hand=3
        stock B@late on_hand=3
        reserve r5 B x5     -> B@one:2 B@two:2 B@early:1
        location late priority=0
        reserve r6 B x2     -> B@late:2         // a changed priority counts at once; at 0 the older location leads
        ",
    );
}

#[test]
fn partial_takes_what_there_is() {
    check(
        "
        sku A B
        location L1 L2
        location L3 closed
        stock A@L1 on_hand=2
        stock A@L2 on_hand=1
        stock A@L3 on_hand=9
        reserve r1 A x5, B x2 partial       -> A@L1:2 A@L2:1 short A:5/3 short B:2/0
        reserve r2 A x1 partial             -> INSUFFICIENT_STOCK A:1/0
        release r1
        reserve r3 A@L1 x3, A@L3 x1 partial -> A@L1:2 short A@L1:3/2 short A@L3:1/0
        reserve r4 A x1 partial             -> A@L2:1
        ",
    );
}

#[test]
fn closed_and_paused_locations_take_no_reservations() {
    check(
        "
        sku A
        location L1 paused
        location L2 closed
        location L3
        stock A@L1 A@L2 A@L3 on_hand=2
        free A                  -> 2 [0, 0, 2]
        reserve r1 A@L1 x1      -> LOCATION_NOT_OPEN L1 paused
        reserve r1 A@L2 x9      -> LOCATION_NOT_OPEN L2 closed
        reserve r1 A x3         -> INSUFFICIENT_STOCK A:3/2
        reserve r1 A x2         -> A@L3:2
        location L3 paused      -> LocationsUpserted entries=1 created=0 shortfalls=0
        confirm r1              -> confirmed A@L3:2     // what is promised goes on
        ship r1                 -> shipped A@L3:2 end=shipped
        location L1             -> LocationsUpserted entries=1 created=0 shortfalls=0
        reserve r2 A@L1 x1      -> A@L1:1
        reserve r3 A@L9 x1      -> UNKNOWN_LOCATION L9
        ",
    );
}

#[test]
fn channels_and_skus_can_be_taken_off_sale() {
    check(
        "
        sku A
        sku B unsellable
        location L1
        channel web
        channel app inactive
        stock A@L1 B@L1 on_hand=5
        free B                          -> 0 [0]
        reserve r1 A x1 channel=web     -> A@L1:1
        reserve r2 A x1 channel=app     -> CHANNEL_NOT_ACTIVE app
        reserve r2 A x9 channel=app     -> CHANNEL_NOT_ACTIVE app
        reserve r2 A x1 channel=fax     -> UNKNOWN_CHANNEL fax
        reserve r2 A x9 channel=fax     -> UNKNOWN_CHANNEL fax
        reserve r2 B x1                 -> SKU_NOT_SELLABLE B
        reserve r2 B x9                 -> SKU_NOT_SELLABLE B
        reserve r2 C x1                 -> UNKNOWN_SKU C
        channel web inactive            -> ChannelsUpserted entries=1 created=0 shortfalls=0
        confirm r1                      -> confirmed A@L1:1
        sku A unsellable                -> SkusUpserted entries=1 created=0 shortfalls=0
        reassign r1 A@L1>L1             -> SAME_LOCATION A@L1
        ship r1                         -> shipped A@L1:1 end=shipped
        sku B
        reserve r2 B x1                 -> B@L1:1
        ",
    );
}

#[test]
fn a_retired_code_starts_anew_and_old_reservations_live_on() {
    check(
        "
        sku A style=coat
        location L1 L2
        stock A@L1 A@L2 on_hand=5
        reserve r1 A x5 #first      -> A@L1:5
        reserve r2 A@L2 x2          -> A@L2:2
        retire A                    -> SkusRetired entries=1 created=0 shortfalls=0
        retire A                    -> UNKNOWN_SKU A
        reserve r3 A x1             -> UNKNOWN_SKU A
        set A@L1 on_hand=9          -> UNKNOWN_SKU A
        receive A@L1=1              -> UNKNOWN_SKU A
        sku A style=hat             -> SkusUpserted entries=1 created=1 shortfalls=0
        free A                      -> 0 [0, 0]
        row A@L1                    ->
        reserve r3 A x1             -> INSUFFICIENT_STOCK A:1/0
        stock A@L1 on_hand=1
        reserve r3 A x1             -> A@L1:1
        confirm r1                  -> confirmed A@L1:5
        cancel r1 A@L1 x1           -> cancelled A@L1:1
        reassign r1 A@L1>L2 x3      -> A@L2:3 from=L1
        ship r1 A@L2                -> shipped A@L2:3
        ship r1                     -> shipped A@L1:1 end=shipped
        row A@L1                    -> on_hand=1 reserved=1      // the new SKU's cell, untouched
        reserve r1 A x5 #first      -> replayed A@L1:5
        now 60
        tick                        -> 2
        show r2                     -> expired until=60s ended=60s A@L2:0/0/2
        ",
    );
}

#[test]
fn an_earlier_hold_can_be_replaced_in_the_same_step() {
    check(
        "
        sku A B
        location L1 L2
        stock A@L1 on_hand=5
        reserve r1 A x4 buyer=ann                           -> A@L1:4
        reserve r2 A x5 buyer=ann                           -> INSUFFICIENT_STOCK A:5/1
        reserve r2 A x6 buyer=ann replaces=r1               -> INSUFFICIENT_STOCK A:6/5
        show r1                                             -> held until=60s A@L1:4/0/0
        reserve r2 A x5 buyer=bob replaces=r1               -> OTHER_BUYER r1
        reserve r2 A x5 replaces=r1                         -> OTHER_BUYER r1
        reserve r2 A x5 buyer=ann replaces=r1               -> A@L1:5 replaced r1 A@L1:4
        show r1                                             -> replaced until=60s ended=0s A@L1:0/0/4
        row A@L1                                            -> on_hand=5 reserved=5
        reserve r3 A x1 buyer=ann replaces=r9               -> UNKNOWN_RESERVATION ?
        reserve r3 B x1 buyer=ann replaces=r2               -> INSUFFICIENT_STOCK B:1/0
        // One that ended by itself is no obstacle and frees nothing.
        reserve r3 A x1 buyer=ann replaces=r1               -> INSUFFICIENT_STOCK A:1/0
        release r2
        reserve r3 A x1 buyer=ann replaces=r2               -> A@L1:1
        reserve r4 A x5 buyer=ann replaces=r3 partial       -> A@L1:5 replaced r3 A@L1:1
        confirm r4
        reserve r5 A x1 buyer=ann replaces=r4               -> RESERVATION_STATE r4 confirmed
        ship r4
        reserve r5 A x1 buyer=ann replaces=r4               -> RESERVATION_STATE r4 shipped
        // A hold whose time is up and that nobody has ended yet.
        stock A@L2 on_hand=2
        reserve r5 A x2 buyer=ann ttl=10                    -> A@L2:2
        now 20
        reserve r6 A@L2 x2 buyer=ann replaces=r5            -> A@L2:2 replaced r5 A@L2:2
        tick                                                -> 0
        // Its units count as much as the cell has left: a count took one.
        set A@L2 on_hand=1                                  -> A@L2 on_hand=1 available=0 shortfall=1
        reserve r7 A x2 buyer=ann replaces=r6               -> INSUFFICIENT_STOCK A:2/1
        reserve r7 A x1 buyer=ann replaces=r6               -> A@L2:1 replaced r6 A@L2:2
        shortfalls                                          ->
        ",
    );
}

#[test]
fn a_reservation_over_several_skus_is_replaced_whole() {
    check(
        "
        sku A B C
        location L1
        stock A@L1 B@L1 C@L1 on_hand=2
        reserve r1 A x2, B x2 buyer=ann             -> A@L1:2 B@L1:2
        cancel r1 A                                 -> cancelled A@L1:2
        reserve r2 C x1 buyer=ann replaces=r1       -> C@L1:1 replaced r1 B@L1:2
        show r1                                     -> replaced until=60s ended=0s A@L1:0/0/2 B@L1:0/0/2
        row B@L1                                    -> on_hand=2
        list buyer=ann                              -> r1 r2
        list buyer=ann state=held                   -> r2
        ",
    );
}

#[test]
fn unchanged_since_guards_a_reserve() {
    check(
        "
        sku A B
        location L1
        stock A@L1 B@L1 on_hand=5
        mark seen
        reserve r1 B x1                     -> B@L1:1
        reserve r2 A x1 since=seen          -> A@L1:1       // only the request's own SKUs count
        reserve r3 A x1 since=seen          -> STALE_REVISION A
        reserve r3 A x9 since=seen          -> STALE_REVISION A
        mark now
        reserve r3 A x1, B x1 since=now     -> A@L1:1 B@L1:1
        ",
    );
}

#[test]
fn set_counts_a_bucket() {
    check(
        "
        sku A
        location L1
        set A@L1 on_hand=5 rev=0            -> A@L1 on_hand=5 available=5
        set A@L1 on_hand=6 rev=0            -> STALE_REVISION A
        mark counted
        set A@L1 safety=2 rev=counted       -> A@L1 on_hand=5 available=3
        set A@L1 on_hand=6 rev=counted      -> STALE_REVISION A
        set A@L1 quality_control=1          -> A@L1 on_hand=5 available=2
        set A@L1 damaged=1                  -> A@L1 on_hand=5 available=1
        set A@L1 in_repair=1                -> A@L1 on_hand=5 available=0
        set A@L1 incoming=4294967295        -> A@L1 on_hand=5 available=0
        set A@L1 on_hand=0                  -> A@L1 on_hand=0 available=0
        row A@L1                            -> safety=2 quality_control=1 damaged=1 in_repair=1 incoming=4294967295
        set A@L2 on_hand=1                  -> UNKNOWN_LOCATION L2
        set B@L1 on_hand=1                  -> UNKNOWN_SKU B
        ",
    );
}

#[test]
fn adjust_adds_a_difference() {
    check(
        "
        sku A
        location L1
        adjust A@L1 on_hand=5               -> A@L1 on_hand=5 available=5
        adjust A@L1 on_hand=-6              -> EXCEEDS_BUCKET A@L1 on hand 6/5
        adjust A@L1 on_hand=-5              -> A@L1 on_hand=0 available=0
        adjust A@L1 damaged=-1              -> EXCEEDS_BUCKET A@L1 damaged 1/0
        adjust A@L1 on_hand=4294967295      -> A@L1 on_hand=4294967295 available=4294967295
        adjust A@L1 on_hand=1               -> OVERFLOW A@L1 on hand
        adjust A@L1 on_hand=9223372036854775807     -> OVERFLOW A@L1 on hand
        adjust A@L1 on_hand=-9223372036854775808    -> EXCEEDS_BUCKET A@L1 on hand 9223372036854775808/4294967295
        reserve r1 A x4294967295            -> A@L1:4294967295
        reserve r2 A x4294967295, A x1      -> SUM_OVERFLOW A 4294967296
        reserve r2 A x4294967295, A@L1 x1   -> SUM_OVERFLOW A 4294967296
        confirm r1
        ship r1                             -> shipped A@L1:4294967295 end=shipped
        row A@L1                            ->
        ",
    );
}

#[test]
fn receive_sums_and_is_all_or_nothing() {
    check(
        "
        sku A B
        location L2 L1
        receive B@L1=1 A@L1=2 A@L2=3 A@L1=4     -> A@L2 on_hand=3 available=3, A@L1 on_hand=6 available=6, B@L1 on_hand=1 available=1
        adjust A@L1 incoming=5
        receive A@L1=3 A@L1=3 from_incoming     -> EXCEEDS_BUCKET A@L1 incoming 3/2
        receive B@L2=1 A@L1=6 from_incoming     -> EXCEEDS_BUCKET A@L1 incoming 6/5
        row B@L2                                ->
        receive A@L1=3 A@L1=2 from_incoming     -> A@L1 on_hand=11 available=11
        row A@L1                                -> on_hand=11
        receive A@L1=4294967295                 -> OVERFLOW A@L1 on hand
        receive A@L2=1 A@L9=1                   -> UNKNOWN_LOCATION L9
        row A@L2                                -> on_hand=3
        ",
    );
}

#[test]
fn move_changes_the_condition_of_units() {
    check(
        "
        sku A
        location L1
        stock A@L1 on_hand=5
        move A@L1 sellable>damaged 6                -> EXCEEDS_BUCKET A@L1 sellable 6/5
        move A@L1 sellable>quality_control 3        -> A@L1 on_hand=5 available=2
        move A@L1 quality_control>in_repair 4       -> EXCEEDS_BUCKET A@L1 quality control 4/3
        move A@L1 quality_control>in_repair 1       -> A@L1 on_hand=5 available=2
        move A@L1 quality_control>sellable 2        -> A@L1 on_hand=5 available=4
        row A@L1                                    -> on_hand=5 in_repair=1
        reserve r1 A x4
        move A@L1 sellable>damaged 3                -> A@L1 on_hand=5 available=0 shortfall=3
        move A@L1 sellable>damaged 2                -> EXCEEDS_BUCKET A@L1 sellable 2/1
        shortfalls                                  -> A@L1:3 hurts r1
        set A@L1 quality_control=4294967295
        move A@L1 damaged>quality_control 1         -> OVERFLOW A@L1 quality control
        ",
    );
}

#[test]
fn an_import_sets_cells_and_leaves_promises_alone() {
    check(
        "
        sku A B
        location L1
        stock A@L1 on_hand=9 damaged=2 incoming=4
        reserve r1 A x4
        stock A@L1 B@L1 on_hand=3 quality_control=1 in_repair=1     -> StockChanged entries=2 created=0 shortfalls=1
        row A@L1        -> on_hand=3 reserved=4 quality_control=1 in_repair=1
        row B@L1        -> on_hand=3 quality_control=1 in_repair=1
        shortfalls      -> A@L1:3 hurts r1
        stock A@L1 C@L1 on_hand=9       -> UNKNOWN_SKU C
        stock A@L1 A@L9 on_hand=9       -> UNKNOWN_LOCATION L9
        row A@L1        -> on_hand=3 reserved=4 quality_control=1 in_repair=1
        ",
    );
}

#[test]
fn a_shortfall_is_told_with_whom_it_hurts_and_can_be_repaired() {
    check(
        "
        sku A B
        location L1 L2
        stock A@L1 on_hand=9
        reserve r1 A x3
        reserve r2 A x3
        reserve r3 A x3
        confirm r1
        set A@L1 on_hand=5 #count   -> A@L1 on_hand=5 available=0 shortfall=4
        shortfalls                  -> A@L1:4 hurts r3,r2
        free A                      -> 0 [0, 0]
        set A@L1 safety=9           -> A@L1 on_hand=5 available=0 shortfall=4    // safety stock is a wish
        reserve r4 A x1             -> INSUFFICIENT_STOCK A:1/0
        release r3                  -> released A@L1:3
        shortfalls                  -> A@L1:1 hurts r2
        confirm r2                  -> confirmed A@L1:3
        ship r1                     -> shipped A@L1:3 end=shipped
        ship r2                     -> EXCEEDS_BUCKET A@L1 on hand 3/2
        ship r2 A x2                -> shipped A@L1:2
        shortfalls                  -> A@L1:1 hurts r2
        stock A@L2 on_hand=1
        reassign r2 A@L1>L2         -> A@L2:1 from=L1
        shortfalls                  ->
        ship r2                     -> shipped A@L2:1 end=shipped
        show r2                     -> shipped until=60s ended=0s A@L1:0/2/0 A@L2:0/1/0
        set A@L1 on_hand=5 #count   -> replayed A@L1 on_hand=5 available=0 shortfall=4
        set A@L1 on_hand=6 #count   -> REQUEST_ID_REUSED count
        ",
    );
}

#[test]
fn confirm_ship_and_cancel_in_parts() {
    check(
        "
        sku A B
        location L1 L2
        stock A@L1 A@L2 on_hand=3
        stock B@L1 on_hand=4
        reserve r1 A x5, B x4       -> A@L1:3 A@L2:2 B@L1:4
        ship r1                     -> RESERVATION_STATE r1 held
        cancel r1 B x1              -> cancelled B@L1:1
        cancel r1 A x1              -> NO_SUCH_LINE A@ lines=2
        cancel r1 B@L2              -> NO_SUCH_LINE B@L2 lines=0
        cancel r1 C                 -> NO_SUCH_LINE C@ lines=0
        cancel r1 B@L9              -> UNKNOWN_LOCATION L9
        cancel r1 B x2, B x2        -> EXCEEDS_OPEN B@L1 4/3
        confirm r1                  -> confirmed A@L1:3 A@L2:2 B@L1:3
        confirm r1                  -> RESERVATION_STATE r1 confirmed
        release r1                  -> RESERVATION_STATE r1 confirmed
        extend r1 60                -> RESERVATION_STATE r1 confirmed
        ship r1 A@L1 x1, B          -> shipped A@L1:1 B@L1:3
        ship r1 B                   -> NO_SUCH_LINE B@ lines=0
        ship r1 A@L1 x3             -> EXCEEDS_OPEN A@L1 3/2
        cancel r1 A@L2              -> cancelled A@L2:2
        show r1                     -> confirmed until=60s A@L1:2/1/0 A@L2:0/0/2 B@L1:0/3/1
        row A@L1                    -> on_hand=2 committed=2
        now 90
        tick                        -> 0                     // a confirmed one does not expire
        cancel r1                   -> cancelled A@L1:2 end=shipped     // something was shipped
        show r1                     -> shipped until=60s ended=90s A@L1:0/1/2 A@L2:0/0/2 B@L1:0/3/1
        cancel r1                   -> RESERVATION_STATE r1 shipped
        ship r1                     -> RESERVATION_STATE r1 shipped
        reserve r2 A x1
        confirm r2
        cancel r2 A@L1 x1           -> cancelled A@L1:1 end=cancelled
        cancel r2                   -> RESERVATION_STATE r2 cancelled
        confirm r2                  -> RESERVATION_STATE r2 cancelled
        reserve r3 A x1
        cancel r3                   -> cancelled A@L1:1 end=cancelled
        release r3                  -> RESERVATION_STATE r3 cancelled
        reserve r4 A x1
        release r4                  -> released A@L1:1
        release r4                  -> RESERVATION_STATE r4 released
        confirm r9                  -> UNKNOWN_RESERVATION ?
        row A@L1                    -> on_hand=2
        ",
    );
}

#[test]
fn reassign_takes_there_before_it_gives_back_here() {
    check(
        "
        sku A B
        location L1 L2 L3
        location L4 priority=9
        location L5 paused
        stock A@L1 on_hand=4
        stock A@L2 on_hand=2
        stock A@L4 A@L5 on_hand=4
        reserve r1 A@L1 x4              -> A@L1:4
        reassign r1 A@L1>L1             -> SAME_LOCATION A@L1
        reassign r1 A@L1>L9             -> UNKNOWN_LOCATION L9
        reassign r1 A@L9>L2             -> UNKNOWN_LOCATION L9
        reassign r1 A@L2>L3             -> NO_SUCH_LINE A@L2 lines=0
        reassign r1 A@L1>L5             -> LOCATION_NOT_OPEN L5 paused
        reassign r1 A@L1>L2             -> INSUFFICIENT_STOCK A@L2:4/2
        reassign r1 A@L1>L2 x5          -> EXCEEDS_OPEN A@L1 5/4
        reassign r1 A@L1>L2 x1          -> A@L2:1 from=L1
        reassign r1 A@L1> x1            -> A@L2:1 from=L1          // the first by priority
        show r1                         -> held until=60s A@L1:2/0/0 A@L2:2/0/0
        confirm r1
        reassign r1 A@L1>               -> A@L4:2 from=L1
        show r1                         -> confirmed until=60s A@L2:2/0/0 A@L4:2/0/0
        row A@L1                        -> on_hand=4
        row A@L4                        -> on_hand=4 committed=2
        reassign r1 A@L2>L4 x1          -> A@L4:1 from=L2
        ship r1 A@L4 x1
        reassign r1 A@L4>L1             -> A@L1:2 from=L4
        show r1                         -> confirmed until=60s A@L1:2/0/0 A@L2:1/0/0 A@L4:0/1/0
        adjust A@L1 on_hand=-2          -> A@L1 on_hand=2 available=0
        reserve r2 A@L2 x1
        reassign r1 A@L1> x2            -> A@L4:2 from=L1
        adjust A@L4 on_hand=-1
        reassign r1 A@L4>               -> A@L1:2 from=L4
        reserve r3 A x1
        reassign r1 A@L1> x2            -> INSUFFICIENT_STOCK A:2/1
        release r2
        reassign r2 A@L2>L1             -> RESERVATION_STATE r2 released
        ",
    );
}

#[test]
fn a_hold_expires_at_its_microsecond_and_not_before() {
    check(
        "
        sku A B
        location L1
        stock A@L1 B@L1 on_hand=5
        now 10
        reserve r1 A x1 ttl=60      -> A@L1:1
        reserve r2 A x1 ttl=60      -> A@L1:1
        reserve r3 A x1, B x1 ttl=60
        reserve r4 A x1 ttl=61
        now 69.999999
        tick                        -> 0
        expire r1                   -> nothing
        confirm r2                  -> confirmed A@L1:1
        list before=70              ->
        list before=70.000001       -> r1 r2 r3
        now 70
        confirm r1                  -> RESERVATION_EXPIRED r1 70s       // whether the timer has come by or not
        release r1                  -> RESERVATION_EXPIRED r1 70s
        extend r1 60                -> RESERVATION_EXPIRED r1 70s
        cancel r1                   -> RESERVATION_EXPIRED r1 70s
        reassign r1 A@L1>L1         -> RESERVATION_EXPIRED r1 70s
        show r1                     -> held until=70s A@L1:1/0/0
        tick 1                      -> 1
        tick                        -> 1
        show r1                     -> expired until=70s ended=70s A@L1:0/0/1
        show r3                     -> expired until=70s ended=70s A@L1:0/0/1 B@L1:0/0/1
        confirm r1                  -> RESERVATION_EXPIRED r1 70s
        reserve r5 A x9 partial     -> A@L1:3 short A:9/3
        expire r4                   -> nothing
        now 71
        expire r4                   -> expired A@L1:1
        expire r4                   -> nothing
        list state=expired          -> r1 r3 r4
        ",
    );
}

#[test]
fn extend_moves_the_expiry_either_way() {
    check(
        "
        sku A
        location L1
        stock A@L1 on_hand=5
        reserve r1 A x1 ttl=60
        reserve r2 A x1 ttl=60
        now 50
        extend r1 60                -> until=110s
        extend r2 5                 -> until=55s
        now 55
        tick                        -> 1
        show r2                     -> expired until=55s ended=55s A@L1:0/0/1
        restart
        now 109.999999
        tick                        -> 0
        extend r1 0.000001          -> until=110s
        now 110
        tick                        -> 1
        tick                        -> 0
        ",
    );
}

#[test]
fn a_request_is_done_once_and_answered_alike() {
    check(
        "
        sku A #a
        location L1 #b
        channel web #c
        stock A@L1 on_hand=5 #d
        reserve r1 A x2 buyer=ann #e            -> A@L1:2
        reserve r1 A x2 buyer=ann #e            -> replayed A@L1:2
        reserve r9 A x3 buyer=ann #e            -> REQUEST_ID_REUSED e
        reserve r9 A x2 buyer=bob #e            -> REQUEST_ID_REUSED e
        reserve r9 A x2 buyer=ann partial #e    -> REQUEST_ID_REUSED e
        reserve r9 A x2 buyer=ann ttl=61 #e     -> REQUEST_ID_REUSED e
        confirm r1 #e                           -> REQUEST_ID_REUSED e
        confirm r1 #f                           -> confirmed A@L1:2
        release r1 #f                           -> REQUEST_ID_REUSED f
        cancel r1 A x1 #g                       -> cancelled A@L1:1
        ship r1 A x1 #h                         -> shipped A@L1:1 end=shipped
        restart
        row A@L1                                -> on_hand=4
        retire A #i
        retire A #i                             -> replayed SkusRetired entries=1 created=0 shortfalls=0
        sku A #a                                -> replayed SkusUpserted entries=1 created=1 shortfalls=0
        sku A unsellable #a                     -> REQUEST_ID_REUSED a
        location L1 #b                          -> replayed LocationsUpserted entries=1 created=1 shortfalls=0
        channel web #c                          -> replayed ChannelsUpserted entries=1 created=1 shortfalls=0
        stock A@L1 on_hand=5 #d                 -> replayed StockChanged entries=1 created=0 shortfalls=0
        reserve r1 A x2 buyer=ann #e            -> replayed A@L1:2
        confirm r1 #f                           -> replayed confirmed A@L1:2
        cancel r1 A x1 #g                       -> replayed cancelled A@L1:1
        ship r1 A x1 #h                         -> replayed shipped A@L1:1 end=shipped
        ship r1 A x2 #h                         -> REQUEST_ID_REUSED h
        outcome e                               -> A@L1:2
        outcome zz                              -> unknown
        // A refusal is not remembered: asked again, it may be granted.
        sku B
        reserve r2 B x1 #j                      -> INSUFFICIENT_STOCK B:1/0
        outcome j                               -> unknown
        stock B@L1 on_hand=1
        reserve r2 B x1 #j                      -> B@L1:1
        reserve r2 B x1 #j                      -> replayed B@L1:1
        ",
    );
}

#[test]
fn ended_reservations_and_request_ids_are_kept_for_a_while() {
    let config = EngineConfig {
        dedup_retention: Micros::from_secs(100),
        ended_retention: Micros::from_secs(100),
        ..EngineConfig::default()
    };
    check_with(
        config,
        "
        sku A
        location L1
        stock A@L1 on_hand=5
        reserve r1 A x1 buyer=ann #e
        release r1
        now 100
        reserve r2 A x1 buyer=ann #f
        show r1                         -> released until=60s ended=0s A@L1:0/0/1
        outcome e                       -> A@L1:1
        restart
        now 100.000001
        reserve r3 A x1 buyer=ann       -> A@L1:1
        show r1                         -> unknown
        confirm r1                      -> UNKNOWN_RESERVATION r1
        list buyer=ann                  -> r2 r3
        reserve r4 A x1 buyer=ann replaces=r1       -> UNKNOWN_RESERVATION r1
        ",
    );
}

#[test]
fn a_refusal_rests_on_what_caused_it() {
    check(
        "
        sku A B C
        location L1 L2
        channel web
        stock A@L1 on_hand=5
        stock A@L2 on_hand=1
        stock B@L1 on_hand=5
        reserve r1 A@L1 x3
        rests                           -> on the last event
        reserve r2 A@L1 x3              -> INSUFFICIENT_STOCK A@L1:3/2
        rests                           -> on the last event
        sku C
        reserve r2 A@L1 x3              -> INSUFFICIENT_STOCK A@L1:3/2
        rests                           -> on an earlier event
        channel web inactive
        reserve r2 A x1 channel=web     -> CHANNEL_NOT_ACTIVE web
        rests                           -> on the last event
        sku B unsellable
        reserve r2 B x1                 -> SKU_NOT_SELLABLE B
        rests                           -> on the last event
        location L2 paused
        reserve r2 A@L2 x1              -> LOCATION_NOT_OPEN L2 paused
        rests                           -> on the last event
        reassign r1 A@L1>L2             -> LOCATION_NOT_OPEN L2 paused
        rests                           -> on the last event
        reassign r1 A@L1>               -> INSUFFICIENT_STOCK A:3/0
        rests                           -> on the last event
        reserve r2 A x3                 -> INSUFFICIENT_STOCK A:3/2     // its sum alone would do, but for the pause
        rests                           -> on the last event
        extend r1 5
        now 5
        confirm r1                      -> RESERVATION_EXPIRED r1 5s
        rests                           -> on the last event
        ",
    );
}

/// A journal that refuses after so many records, and says nothing is durable.
struct Refusing {
    inner: MemoryJournal,
    room: AtomicU64,
}

impl Journal for Refusing {
    fn append(&self, record: &[u8]) -> Result<Lsn, AppendError> {
        let room = self.room.load(Ordering::SeqCst);
        if room == 0 {
            return Err(AppendError::Full { backlog_bytes: 9, limit_bytes: 9 });
        }
        self.room.store(room - 1, Ordering::SeqCst);
        self.inner.append(record)
    }

    fn appended_lsn(&self) -> Lsn {
        self.inner.appended_lsn()
    }

    fn durable_lsn(&self) -> Lsn {
        Lsn::ZERO
    }

    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }
}

fn refusing() -> (Arc<Refusing>, Engine) {
    let inner = MemoryJournal::keeping_records();
    let journal = Arc::new(Refusing { inner, room: AtomicU64::new(u64::MAX) });
    let engine = Engine::new(EngineConfig::default(), Arc::clone(&journal) as Arc<dyn Journal>);
    for (place, command) in (0..).zip(support::generate::setup(0)) {
        engine.submit(&support::request(&format!("setup{place}")), &command, Timestamp(T0)).expect("room enough");
    }
    (journal, engine)
}

fn hold(sku: &str) -> Command {
    Command::Reserve(Reserve {
        order_id: "".into(),
        buyer_id: "ann".into(),
        channel: "".into(),
        lines: vec![ReserveLine { sku: sku.into(), quantity: Quantity(1), location: "".into(), sourcing: None }].into(),
        ttl: Micros::from_secs(60),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: None,
    })
}

#[test]
fn a_journal_that_refuses_leaves_everything_as_it_was() {
    let (journal, engine) = refusing();
    let submit = |id: &str, sku| engine.submit(&support::request(id), &hold(sku), Timestamp(T0));
    let state = || dump::dump(&engine, ["h0", "h1"]);
    submit("h0", "C").expect("room enough");
    let before = state();
    journal.room.store(0, Ordering::SeqCst);
    let full = Error::Journal(AppendError::Full { backlog_bytes: 9, limit_bytes: 9 });
    assert_eq!(submit("h1", "C"), Err(full));
    assert_eq!(state(), before);
    journal.room.store(1, Ordering::SeqCst);
    assert!(matches!(submit("h1", "C"), Ok(Answer { replayed: false, verdict: Verdict::Done(_), .. })));
    assert!(matches!(submit("h1", "C"), Ok(Answer { replayed: true, .. })), "a repeat needs no room");
}

#[test]
fn holds_that_were_due_when_the_journal_refused_stay_due() {
    let (journal, engine) = refusing();
    for (place, sku) in ["C", "C", "C", "D", "C", "C"].into_iter().enumerate() {
        engine.submit(&support::request(&format!("h{place}")), &hold(sku), Timestamp(T0)).expect("room enough");
    }
    let due = Timestamp(T0 + 60_000_000);
    journal.room.store(2, Ordering::SeqCst);
    assert!(matches!(engine.expire_due(due, 100), Err(Error::Journal(_))));
    assert_eq!(engine.counts().held, 4, "two were ended before the journal was full");
    journal.room.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(engine.expire_due(due, 100).map(|report| report.expired), Ok(4));
    assert_eq!((engine.counts().held, engine.audit().violations), (0, vec![]));
}

#[test]
fn a_read_rests_on_the_directory_too() {
    let (journal, engine) = refusing();
    let skus = [SkuId(0)];
    let stocked = journal.appended_lsn();
    assert_eq!(engine.availability(&skus, &[]).0, stocked);
    let submit =
        |id: &str, command| engine.submit(&support::request(id), &command, Timestamp(T0)).expect("room enough");
    let state = LocationState::Paused;
    let pause = LocationSpec { code: "L1".into(), state, ..LocationSpec::default() };
    let paused = submit("pause", Command::Catalogue(CatalogueCommand::UpsertLocations(vec![pause]))).lsn;
    assert_eq!(engine.availability(&skus, &[]).0, paused);
    let spec = SkuSpec { code: "A".into(), sellable: false, ..SkuSpec::default() };
    let off_sale = submit("off", Command::Catalogue(CatalogueCommand::UpsertSkus(vec![spec]))).lsn;
    assert_eq!(engine.availability(&skus, &[]).0, off_sale);
    // That a hold is missing from a list rests on the event that ended it.
    submit("hold", hold("C"));
    let held = ReservationFilter { state: Some(State::Held), ..ReservationFilter::default() };
    let id = engine.reservations(&held, None, 9).1[0].id;
    let released = submit("release", Command::Reservation(id, Step::Release)).lsn;
    assert_eq!(engine.reservations(&held, None, 9), (released, vec![], false));
}

#[test]
fn a_page_is_not_the_last_because_some_reservation_on_it_is_half_forgotten() {
    // One ended part a shard is kept: a reservation over two SKUs loses one of its parts before the other.
    let config = EngineConfig { ended_entries_max: 1, ..EngineConfig::default() };
    check_with(
        config,
        "
        sku A B C
        location L1
        stock A@L1 B@L1 C@L1 on_hand=9
        reserve r1 A x1, B x1
        release r1
        reserve r2 B x1
        release r2
        show r1             -> unknown
        show r2             -> released until=60s ended=0s B@L1:0/0/1
        reserve r3 C x1
        reserve r4 C x1
        reserve r5 C x1
        reserve r6 C x1
        list                -> r2 r3 r4 r5 r6
        ",
    );
}

#[test]
fn clocks_that_disagree_do_not_change_what_a_restart_forgets() {
    // Two ended parts a shard are kept. The second to end has the earlier time, as from a thread whose clock is behind.
    let config = EngineConfig { ended_entries_max: 512, ..EngineConfig::default() };
    check_with(
        config,
        "
        sku A
        location L1
        stock A@L1 on_hand=9
        reserve r1 A x1
        reserve r2 A x1
        reserve r3 A x1
        now 10
        release r1
        now 5
        release r2
        restart
        now 11
        release r3
        restart
        ",
    );
}

#[test]
fn a_reservation_is_forgotten_in_every_shard_it_lay_in() {
    let config = EngineConfig {
        ended_retention: Micros::from_secs(100),
        shipped_retention: Micros::from_secs(100),
        ..EngineConfig::default()
    };
    check_with(
        config,
        "
        sku A B C
        location L1
        stock A@L1 B@L1 C@L1 on_hand=9
        reserve r1 A x1, B x1 buyer=ann
        reserve r2 A x1, B x1
        reserve r3 A x1, B x1
        reserve r4 A x1, B x1
        cancel r1 B     // nothing is open there when the end comes
        cancel r2 B
        cancel r3 B
        cancel r4 B
        reserve r5 C x1 buyer=ann replaces=r1
        release r2
        confirm r3
        cancel r3
        confirm r4
        ship r4
        parts               -> 9
        restart
        now 200
        set A@L1 safety=1
        set B@L1 safety=1
        parts               -> 1
        ",
    );
}
