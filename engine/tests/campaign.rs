//! Flash sales, their limits, tranches and waiting lists, and when a channel's orders take their units.

mod support;

use std::{collections::BTreeMap, thread};

use proptest::{collection::vec, prelude::*};
use quartermaster_engine::{
    Answer, EngineConfig, Error, Verdict,
    campaign::Deduction,
    catalog::{ChannelSpec, LocationSpec, LocationState, SkuSpec},
    command::{
        Asked, Bucket, CatalogueCommand, CellCode, Command, LineSelection, Presale, Reserve, ReserveLine, SetStock,
        SourcingRequest, Step, StockCommand, StockReason,
        campaign::{CampaignCommand, CampaignSpec, ItemSpec, TrancheSpec},
    },
    event::Event,
    history::{Check, History, Rules},
    id::ReservationId,
    quantity::Quantity,
    query::ReservationFilter,
    reservation::State,
    snapshot::kind,
    time::{Micros, Timestamp},
};
use quartermaster_journal::Lsn;
use support::{Rig, T0, cases, dump, render, snapshot};

const SECOND: u64 = 1_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp(T0 + seconds * SECOND)
}

/// A shop with 100 A and 50 B at one location, and a channel of each deduction.
struct World {
    rig: Rig,
    requests: usize,
}

impl World {
    fn new() -> Self {
        let mut world = Self { rig: Rig::new(EngineConfig::default()), requests: 0 };
        let sku = |code: &str| SkuSpec { code: code.into(), sellable: true, ..SkuSpec::default() };
        world.done(&Command::Catalogue(CatalogueCommand::UpsertSkus(vec![sku("A"), sku("B"), sku("C")])));
        let place = LocationSpec { code: "L".into(), state: LocationState::Open, ..LocationSpec::default() };
        world.done(&Command::Catalogue(CatalogueCommand::UpsertLocations(vec![place])));
        let channel = |code: &str, deduction, ttl: u64| ChannelSpec {
            code: code.into(),
            active: true,
            deduction,
            hold_ttl: (ttl > 0).then_some(Micros(ttl * SECOND)),
            ..ChannelSpec::default()
        };
        world.done(&Command::Catalogue(CatalogueCommand::UpsertChannels(vec![
            channel("web", Deduction::Hold, 60),
            channel("order", Deduction::OnOrder, 0),
            channel("pay", Deduction::OnPayment, 120),
        ])));
        world.stock("A", 100);
        world.stock("B", 50);
        world
    }

    fn submit(&mut self, command: &Command) -> Result<Answer, Error> {
        self.requests += 1;
        self.rig.submit(&format!("r{}", self.requests), command)
    }

    fn done(&mut self, command: &Command) -> Event {
        match self.submit(command).expect("it can stand").verdict {
            Verdict::Done(event) => event,
            other => panic!("{other:?}"),
        }
    }

    fn stock(&mut self, sku: &str, units: u32) {
        self.done(&Command::Stock(StockCommand::Set(SetStock {
            cell: CellCode { sku: sku.into(), location: "L".into() },
            bucket: Bucket::OnHand,
            quantity: Quantity(units),
            expected_revision: None,
            reason: StockReason(1),
            reference: String::new(),
        })));
    }

    fn tell(&self, result: &Result<Answer, Error>) -> String {
        render::answer(&self.rig.engine, result, &|id| id.sequence().to_string())
    }

    fn ask(&mut self, command: &Command) -> String {
        let result = self.submit(command);
        self.tell(&result)
    }

    /// Takes a hold; its id, or the answer.
    fn take(&mut self, order: &Reserve) -> Result<ReservationId, String> {
        let result = self.submit(&Command::Reserve(order.clone()));
        match &result {
            Ok(Answer { verdict: Verdict::Done(Event::Held(held)), .. }) => Ok(held.reservation),
            _ => Err(self.tell(&result)),
        }
    }

    fn hold(&mut self, order: &Reserve) -> ReservationId {
        self.take(order).expect("there is stock")
    }

    fn refused(&mut self, order: &Reserve) -> String {
        self.take(order).expect_err("it is refused")
    }

    fn step(&mut self, id: ReservationId, step: Step) -> String {
        self.ask(&Command::Reservation(id, step))
    }

    fn state(&self, id: ReservationId) -> State {
        self.rig.engine.reservation(id).expect("it is kept").1.state
    }

    /// On hand, reserved, committed.
    fn cell(&self, sku: &str) -> [u32; 3] {
        let (sku, location) = {
            let catalogue = self.rig.engine.catalogue();
            (catalogue.sku(sku).expect("a SKU"), catalogue.directory().location("L").expect("a location"))
        };
        let cell = self.rig.engine.cell(sku, location).buckets;
        [cell.on_hand.0, cell.reserved.0, cell.committed.0]
    }

    fn pass(&mut self, seconds: u64) {
        self.rig.now = Timestamp(self.rig.now.0 + seconds * SECOND);
    }

    /// What the timer does: holds expire, campaigns are settled. Granted, dropped, closed.
    fn tick(&mut self) -> [usize; 3] {
        self.rig.engine.expire_due(self.rig.now, 1_000).expect("memory is never full");
        let report = self.rig.engine.settle_campaigns(self.rig.now, 1_000).expect("memory is never full");
        [report.granted, report.dropped, report.closed]
    }

    fn upsert(&mut self, spec: &CampaignSpec) -> String {
        let command = CampaignCommand::Upsert { campaigns: vec![spec.clone()], clip: false };
        let result = self.submit(&Command::Campaign(command));
        match result.as_ref().map(|answer| &answer.verdict) {
            Ok(Verdict::Done(_)) => "done".into(),
            _ => self.tell(&result),
        }
    }

    /// Granted, held, confirmed, shipped, given back, waiting of an item; and the buyers of the campaign.
    fn status(&self, campaign: &str, item: usize) -> ([u64; 6], u64) {
        let status = self.rig.engine.campaign_status(campaign).expect("a campaign").1;
        let one = status.items[item];
        let tally = one.tally;
        let figures = [tally.granted, tally.held, tally.confirmed, tally.shipped, tally.given_back, one.waiting];
        (figures, status.buyers)
    }

    /// The auditor and the naive fold are content, and the log and a snapshot lead to the same state, to the byte.
    fn check(&mut self) {
        assert_eq!(self.rig.engine.audit().violations, vec![]);
        assert_eq!(self.rig.engine.audit_campaigns(), vec![]);
        let before = self.dump();
        self.rig.restart();
        assert_eq!(self.dump(), before, "from the log");
        self.rig.restart_from_snapshot();
        assert_eq!(self.dump(), before, "from a snapshot");
        let mut history = History::new(Rules { overtaking_max: Micros(u64::MAX), ..Rules::default() });
        for (lsn, record) in (1..).zip(self.rig.journal.records()) {
            history.fold(Lsn::new(lsn), &record);
        }
        let (_, sections) = snapshot(&self.rig.engine, self.rig.now);
        for section in &sections {
            history.check_section(section.kind, section.unit, section.lsn, &section.payload);
        }
        history.balance();
        history.compare(&self.rig.engine);
        let found: Vec<String> = history.findings().iter().map(ToString::to_string).collect();
        assert_eq!(found, Vec::<String>::new());
        assert!(Check::ALL.iter().all(|check| history.count(*check) == 0));
    }

    fn dump(&self) -> (String, Vec<(u16, u32, Vec<u8>)>) {
        let (_, sections) = snapshot(&self.rig.engine, Timestamp(0));
        // Ids that refusals used up are not brought back.
        let kept = sections.into_iter().filter(|section| section.kind != kind::META);
        let bytes = kept.map(|section| (section.kind, section.unit, section.payload)).collect();
        (dump::dump(&self.rig.engine, []), bytes)
    }
}

fn order(channel: &str, buyer: &str, lines: &[(&str, u32)]) -> Reserve {
    let line = |(sku, units): &(&str, u32)| ReserveLine {
        sku: (*sku).into(),
        quantity: Quantity(*units),
        location: "".into(),
        sourcing: None,
    };
    Reserve {
        order_id: "".into(),
        buyer_id: buyer.into(),
        channel: channel.into(),
        lines: lines.iter().map(line).collect(),
        ttl: Micros(0),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: None,
    }
}

/// An order in the campaign "sale".
fn sale(buyer: &str, lines: &[(&str, u32)]) -> Reserve {
    let asked = Asked { campaign: "sale".into(), ..Asked::default() };
    Reserve { asked: Some(Box::new(asked)), ..order("", buyer, lines) }
}

fn waiting(buyer: &str, sku: &str, units: u32) -> Reserve {
    let asked = Asked { campaign: "sale".into(), wait: true, ..Asked::default() };
    Reserve { asked: Some(Box::new(asked)), ..order("", buyer, &[(sku, units)]) }
}

fn item(sku: &str, tranches: &[(Option<u64>, u32)]) -> ItemSpec {
    let tranche =
        |(seconds, units): &(Option<u64>, u32)| TrancheSpec { at: seconds.map(at), quantity: Quantity(*units) };
    ItemSpec { sku: sku.into(), tranches: tranches.iter().map(tranche).collect() }
}

/// The campaign "sale" in the channel "web", from second 10 to second 100.
fn spec(items: Vec<ItemSpec>) -> CampaignSpec {
    CampaignSpec {
        code: "sale".into(),
        name: "Sale".into(),
        channel: "web".into(),
        starts_at: at(10),
        ends_at: at(100),
        buyer_limit: 0,
        order_limit: 0,
        items,
    }
}

#[test]
fn a_channel_says_how_long_its_holds_last() {
    let mut world = World::new();
    for (channel, ttl, lasts) in [("", 0, 900), ("web", 0, 60), ("web", 5, 5), ("", 7, 7)] {
        let id = world.hold(&Reserve { ttl: Micros(ttl * SECOND), ..order(channel, "ann", &[("A", 1)]) });
        assert_eq!(world.rig.engine.reservation(id).expect("it is kept").1.expires_at, at(lasts), "{channel} {ttl}");
    }
    world.check();
}

#[test]
fn an_order_that_is_deducted_at_once_is_confirmed_and_does_not_expire() {
    let mut world = World::new();
    let id = world.hold(&order("order", "ann", &[("A", 3)]));
    assert_eq!((world.state(id), world.cell("A")), (State::Confirmed, [100, 0, 3]));
    world.pass(10_000_000);
    assert_eq!(world.tick(), [0; 3]);
    assert_eq!(world.state(id), State::Confirmed);
    let sequence = id.sequence();
    assert_eq!(world.step(id, Step::Confirm), format!("RESERVATION_STATE {sequence} confirmed"));
    assert_eq!(world.step(id, Step::Release), format!("RESERVATION_STATE {sequence} confirmed"));
    assert_eq!(world.step(id, Step::Extend(Micros(SECOND))), format!("RESERVATION_STATE {sequence} confirmed"));
    world.check();
    let one = LineSelection { sku: "A".into(), location: String::new(), quantity: Some(Quantity(1)) };
    assert_eq!(world.step(id, Step::Cancel(vec![one])), "cancelled A@L:1");
    assert_eq!(world.step(id, Step::Ship(Vec::new())), "shipped A@L:2 end=shipped");
    assert_eq!(world.cell("A"), [98, 0, 0]);
    world.check();
}

#[test]
fn an_order_that_is_deducted_at_the_payment_takes_its_units_then_or_not_at_all() {
    let mut world = World::new();
    let (one, other) =
        (world.hold(&order("pay", "ann", &[("A", 60), ("B", 1)])), world.hold(&order("pay", "bob", &[("A", 60)])));
    assert_eq!((world.state(one), world.cell("A"), world.cell("B")), (State::Placed, [100, 0, 0], [50, 0, 0]));
    assert_eq!(world.rig.engine.counts().pending, 2);
    world.check();
    let taken = world.step(one, Step::Confirm);
    assert!(taken.starts_with("Granted"), "{taken}");
    assert_eq!((world.state(one), world.cell("A"), world.cell("B")), (State::Confirmed, [100, 0, 60], [50, 0, 1]));
    assert_eq!(world.step(other, Step::Confirm), "INSUFFICIENT_STOCK A:60/40");
    assert_eq!(world.state(other), State::Placed);
    world.stock("A", 120);
    world.check();
    assert!(world.step(other, Step::Confirm).starts_with("Granted"));
    assert_eq!(world.cell("A"), [120, 0, 120]);
    assert_eq!(world.step(one, Step::Ship(Vec::new())), "shipped A@L:60 B@L:1 end=shipped");
    // A Reserve is decided as always, though nothing is taken.
    assert_eq!(world.refused(&order("pay", "eve", &[("A", 1)])), "INSUFFICIENT_STOCK A:1/0");
    world.check();
}

#[test]
fn what_is_placed_can_end_in_every_way_and_be_put_off() {
    let mut world = World::new();
    let place = |world: &mut World| world.hold(&order("pay", "ann", &[("A", 5)]));
    let (released, cancelled) = (place(&mut world), place(&mut world));
    let (expired, extended, replaced) = (place(&mut world), place(&mut world), place(&mut world));
    assert_eq!(world.step(released, Step::Release), "released ");
    assert_eq!(world.step(cancelled, Step::Cancel(Vec::new())), "cancelled  end=cancelled");
    assert_eq!(world.step(extended, Step::Extend(Micros(500 * SECOND))), "until=500s");
    let next = world.hold(&Reserve { replaces: Some(replaced), ..order("", "ann", &[("A", 100)]) });
    let sequence = expired.sequence();
    assert_eq!(world.step(expired, Step::Ship(Vec::new())), format!("RESERVATION_STATE {sequence} placed"));
    let named = LineSelection { sku: "A".into(), location: String::new(), quantity: None };
    assert_eq!(world.step(expired, Step::Cancel(vec![named])), format!("RESERVATION_STATE {sequence} placed"));
    world.pass(120);
    assert_eq!(world.step(expired, Step::Confirm), format!("RESERVATION_EXPIRED {sequence} 120s"));
    assert_eq!(world.step(expired, Step::Release), format!("RESERVATION_EXPIRED {sequence} 120s"));
    world.tick();
    let states = [released, cancelled, expired, extended, replaced, next].map(|id| world.state(id));
    let expected = [State::Released, State::Cancelled, State::Expired, State::Placed, State::Replaced, State::Held];
    assert_eq!((states, world.cell("A")), (expected, [100, 100, 0]));
    world.check();
}

#[test]
fn what_does_not_go_together_is_refused() {
    let mut world = World::new();
    world.upsert(&spec(vec![item("A", &[(None, 5)])]));
    world.pass(20);
    let sourcing = Some(Box::new(SourcingRequest::default()));
    assert_eq!(
        world.refused(&Reserve { sourcing: sourcing.clone(), ..order("pay", "ann", &[("A", 1)]) }),
        "NOT_COMBINABLE"
    );
    assert_eq!(world.refused(&Reserve { sourcing, ..sale("ann", &[("A", 1)]) }), "NOT_COMBINABLE");
    let presale = |campaign: &str| {
        let presale = Presale::StockFirst { by: None };
        Some(Box::new(Asked { campaign: campaign.into(), presale, ..Asked::default() }))
    };
    assert_eq!(world.refused(&Reserve { asked: presale("sale"), ..order("", "ann", &[("A", 1)]) }), "NOT_COMBINABLE");
    assert_eq!(world.refused(&Reserve { asked: presale(""), ..order("pay", "ann", &[("A", 1)]) }), "NOT_COMBINABLE");
    let two = Reserve { lines: order("", "", &[("A", 1), ("B", 1)]).lines, ..waiting("ann", "A", 1) };
    assert_eq!(world.refused(&two), "NOT_COMBINABLE");
    assert_eq!(
        world.refused(&Reserve { channel: "pay".into(), ..sale("ann", &[("A", 1)]) }),
        "CAMPAIGN_CHANNEL sale web/pay"
    );
    assert_eq!(world.refused(&waiting("", "A", 1)), "BUYER_NEEDED sale");
    world.check();
}

#[test]
fn a_campaign_ring_fences_its_units_all_or_none() {
    let mut world = World::new();
    let both = |a, b| spec(vec![item("A", &[(None, a)]), item("B", &[(None, b)])]);
    assert_eq!(world.upsert(&both(40, 51)), "CAMPAIGN_NOT_STOCKED B:51/50");
    assert!(world.rig.engine.campaign_status("sale").is_none(), "nothing changed");
    world.hold(&order("", "ann", &[("B", 30)]));
    assert_eq!(world.upsert(&both(40, 21)), "CAMPAIGN_NOT_STOCKED B:21/20");
    let clip = CampaignCommand::Upsert { campaigns: vec![both(40, 21)], clip: true };
    world.done(&Command::Campaign(clip));
    // Others reach what is not fenced, and the campaign's own channel is one of them.
    assert_eq!(world.refused(&order("web", "ann", &[("A", 61)])), "INSUFFICIENT_STOCK A:61/60");
    assert_eq!(world.refused(&order("", "ann", &[("B", 1)])), "INSUFFICIENT_STOCK B:1/0");
    world.hold(&order("web", "ann", &[("A", 60)]));
    world.check();
    world.pass(10);
    let id = world.hold(&sale("bob", &[("A", 40), ("B", 20)]));
    assert_eq!(world.refused(&sale("eve", &[("A", 1)])), "CAMPAIGN_SOLD_OUT A:1/0");
    assert_eq!(world.step(id, Step::Release), "released A@L:40 B@L:20");
    // They are the campaign's again, not everybody's.
    assert_eq!(world.refused(&order("", "ann", &[("A", 1)])), "INSUFFICIENT_STOCK A:1/0");
    world.hold(&sale("bob", &[("A", 40)]));
    world.check();
}

#[test]
fn a_running_campaign_is_changed_down_to_what_is_used() {
    let mut world = World::new();
    assert_eq!(world.upsert(&spec(vec![item("A", &[(None, 30)]), item("B", &[(None, 10)])])), "done");
    world.pass(20);
    let id = world.hold(&sale("ann", &[("A", 12)]));
    let change = |a, b: Option<u32>| {
        let b = b.map(|units| item("B", &[(None, units)]));
        spec([item("A", &[(None, a)])].into_iter().chain(b).collect())
    };
    assert_eq!(world.upsert(&change(11, Some(10))), "CAMPAIGN_BELOW_USED A:11/12");
    assert_eq!(world.upsert(&change(101, Some(10))), "CAMPAIGN_NOT_STOCKED A:101/100");
    assert_eq!(world.upsert(&change(100, None)), "done");
    assert_eq!(world.refused(&sale("bob", &[("B", 1)])), "NOT_IN_CAMPAIGN B");
    world.hold(&order("", "bob", &[("B", 50)]));
    assert_eq!(world.upsert(&spec(vec![item("B", &[(None, 1)])])), "CAMPAIGN_BELOW_USED A:0/12");
    assert_eq!(world.upsert(&change(12, None)), "done");
    assert_eq!(world.refused(&sale("bob", &[("A", 1)])), "CAMPAIGN_SOLD_OUT A:1/0");
    world.step(id, Step::Confirm);
    world.step(id, Step::Ship(Vec::new()));
    assert_eq!(world.upsert(&change(11, None)), "CAMPAIGN_BELOW_USED A:11/12");
    assert_eq!(world.status("sale", 0), ([12, 0, 0, 12, 0, 0], 1));
    let later = CampaignSpec { ends_at: at(200), ..change(12, None) };
    assert_eq!(world.upsert(&later), "done");
    world.pass(100);
    assert_eq!(world.refused(&sale("bob", &[("A", 1)])), "CAMPAIGN_SOLD_OUT A:1/0", "it still runs");
    let elsewhere = CampaignSpec { channel: "pay".into(), ..later };
    assert_eq!(world.upsert(&elsewhere), "CAMPAIGN_CHANNEL sale web/pay");
    world.check();
}

#[test]
fn times_that_cannot_be_are_refused() {
    let mut world = World::new();
    let good = spec(vec![item("A", &[(None, 5)])]);
    world.pass(20);
    let times = |starts_at, ends_at| CampaignSpec { starts_at, ends_at, ..good.clone() };
    let told = world.upsert(&times(at(50), at(50)));
    assert_eq!(told, "CAMPAIGN_TIMES sale it must end after its start");
    assert_eq!(world.upsert(&times(at(10), at(20))), "CAMPAIGN_TIMES sale its end must lie in the future");
    for second in [9, 100] {
        let wrong = spec(vec![item("A", &[(Some(second), 5)])]);
        assert_eq!(world.upsert(&wrong), "CAMPAIGN_TIMES sale its tranches must lie between its start and its end");
    }
    assert_eq!(world.upsert(&spec(vec![item("X", &[(None, 5)])])), "UNKNOWN_SKU X");
    assert_eq!(world.upsert(&CampaignSpec { channel: "x".into(), ..good.clone() }), "UNKNOWN_CHANNEL x");
    let end = Command::Campaign(CampaignCommand::End { code: "sale".into() });
    assert_eq!(world.ask(&end), "UNKNOWN_CAMPAIGN sale");
    assert_eq!(world.refused(&sale("ann", &[("A", 1)])), "UNKNOWN_CAMPAIGN sale");
    assert_eq!(world.upsert(&good), "done");
    world.done(&end);
    assert_eq!(world.ask(&end), "CAMPAIGN_OVER sale");
    assert_eq!(world.upsert(&good), "CAMPAIGN_OVER sale");
    world.check();
}

#[test]
fn tranches_come_at_their_times_and_what_is_left_of_one_stays() {
    let mut world = World::new();
    world.upsert(&spec(vec![item("A", &[(Some(50), 7), (None, 5), (Some(30), 3)])]));
    assert_eq!(world.refused(&sale("ann", &[("A", 1)])), "CAMPAIGN_NOT_STARTED 10s");
    world.pass(10);
    assert_eq!(world.refused(&sale("ann", &[("A", 6)])), "CAMPAIGN_SOLD_OUT A:6/5 next=30s");
    world.hold(&sale("ann", &[("A", 4)]));
    assert_eq!(world.refused(&sale("ann", &[("A", 2)])), "CAMPAIGN_SOLD_OUT A:2/1 next=30s");
    world.pass(20);
    world.hold(&sale("bob", &[("A", 4)]));
    assert_eq!(world.refused(&sale("bob", &[("A", 1)])), "CAMPAIGN_SOLD_OUT A:1/0 next=50s");
    world.pass(20);
    assert_eq!(world.refused(&sale("bob", &[("A", 8)])), "CAMPAIGN_SOLD_OUT A:8/7");
    let partial = Reserve { allow_partial: true, ..sale("bob", &[("A", 8)]) };
    world.hold(&partial);
    assert_eq!(world.cell("A"), [100, 15, 0]);
    world.check();
}

#[test]
fn limits_count_what_a_buyer_has_and_not_what_came_back() {
    let mut world = World::new();
    let limited = CampaignSpec {
        buyer_limit: 5,
        order_limit: 4,
        ..spec(vec![item("A", &[(None, 40)]), item("B", &[(None, 40)])])
    };
    world.upsert(&limited);
    world.pass(20);
    assert_eq!(world.refused(&sale("", &[("A", 1)])), "BUYER_NEEDED sale");
    assert_eq!(world.refused(&sale("ann", &[("A", 3), ("B", 2)])), "ORDER_LIMIT_REACHED 5/4");
    assert_eq!(world.refused(&sale("ann", &[("C", 1)])), "NOT_IN_CAMPAIGN C");
    let first = world.hold(&sale("ann", &[("A", 2), ("B", 2)]));
    assert_eq!(world.refused(&sale("ann", &[("A", 2)])), "BUYER_LIMIT_REACHED 4+2/5");
    let second = world.hold(&sale("ann", &[("A", 1)]));
    world.hold(&sale("bob", &[("A", 4)]));
    world.check();
    // A hold that takes another's place counts once.
    let third = world.hold(&Reserve { replaces: Some(second), ..sale("ann", &[("B", 1)]) });
    assert_eq!(world.refused(&sale("ann", &[("A", 1)])), "BUYER_LIMIT_REACHED 5+1/5");
    world.step(first, Step::Confirm);
    let one = LineSelection { sku: "A".into(), location: String::new(), quantity: Some(Quantity(1)) };
    world.step(first, Step::Ship(vec![one.clone()]));
    world.step(first, Step::Cancel(vec![one]));
    world.hold(&sale("ann", &[("A", 1)]));
    assert_eq!(world.refused(&sale("ann", &[("A", 1)])), "BUYER_LIMIT_REACHED 5+1/5");
    world.step(third, Step::Release);
    world.pass(60);
    world.tick();
    // What was confirmed and shipped stays: 1 shipped, 2 confirmed.
    assert_eq!(world.refused(&sale("ann", &[("A", 3)])), "BUYER_LIMIT_REACHED 3+3/5");
    assert_eq!(world.status("sale", 0), ([8, 0, 0, 1, 7, 0], 1));
    assert_eq!(world.status("sale", 1), ([3, 0, 2, 0, 1, 0], 1));
    world.check();
}

#[test]
fn a_hundred_requests_at_once_never_pass_a_buyer_s_limit() {
    let mut world = World::new();
    world.upsert(&CampaignSpec { buyer_limit: 7, ..spec(vec![item("A", &[(None, 60)]), item("B", &[(None, 40)])]) });
    world.pass(20);
    let rig = &world.rig;
    let orders: Vec<u32> = thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|place| {
                scope.spawn(move || {
                    let sku = if place % 2 == 0 { "A" } else { "B" };
                    let buyer = if place < 90 { "ann" } else { "bob" };
                    let order = Command::Reserve(sale(buyer, &[(sku, 1 + place % 3)]));
                    match rig.submit(&format!("p{place}"), &order).expect("it can stand").verdict {
                        Verdict::Done(_) if buyer == "ann" => 1 + place % 3,
                        _ => 0,
                    }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread breaks")).collect()
    });
    let campaign = world.rig.engine.campaign_by_code("sale").expect("a campaign").1.id;
    assert_eq!(u64::from(orders.iter().sum::<u32>()), world.rig.engine.bought(campaign, "ann"));
    assert_eq!(world.rig.engine.bought(campaign, "ann"), 7, "and it is used up: some asked for one");
    world.check();
}

#[test]
fn who_waits_is_served_in_order_before_everybody_else() {
    let mut world = World::new();
    world.upsert(&CampaignSpec { buyer_limit: 3, ..spec(vec![item("A", &[(None, 4), (Some(50), 2)])]) });
    world.pass(20);
    let first = world.hold(&sale("ann", &[("A", 3)]));
    let second = world.hold(&sale("bob", &[("A", 1)]));
    let places: Vec<_> =
        [("cat", 2), ("dan", 1), ("eve", 1)].map(|(buyer, units)| world.hold(&waiting(buyer, "A", units))).into();
    let place = |world: &World, id| world.rig.engine.place_in_line(id);
    assert_eq!(places.iter().map(|id| place(&world, *id)).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
    assert_eq!(world.state(places[0]), State::Waiting);
    let twice = world.refused(&waiting("dan", "A", 1));
    assert_eq!(twice, format!("ALREADY_WAITING A {}", places[1].sequence()));
    assert_eq!(world.refused(&waiting("gus", "A", 4)), "BUYER_LIMIT_REACHED 0+4/3");
    let sequence = places[0].sequence();
    assert_eq!(world.step(places[0], Step::Confirm), format!("RESERVATION_STATE {sequence} waiting"));
    assert_eq!(world.step(places[0], Step::Extend(Micros(1))), format!("RESERVATION_STATE {sequence} waiting"));
    world.check();
    // One unit is back: not enough for the first, and nobody else passes.
    world.step(second, Step::Release);
    assert_eq!(world.tick(), [0, 0, 0]);
    assert_eq!(world.refused(&sale("hal", &[("A", 1)])), "CAMPAIGN_SOLD_OUT A:1/0 next=50s");
    world.step(first, Step::Confirm);
    let one = LineSelection { sku: "A".into(), location: String::new(), quantity: Some(Quantity(1)) };
    world.step(first, Step::Cancel(vec![one]));
    assert_eq!(world.tick(), [1, 0, 0]);
    assert_eq!((world.state(places[0]), place(&world, places[1])), (State::Held, Some(1)));
    let expires_at = world.rig.engine.reservation(places[0]).expect("it is kept").1.expires_at;
    assert_eq!(expires_at, at(80), "as long as the channel says");
    world.check();
    // Who leaves makes room; the next tranche is theirs first.
    assert_eq!(world.step(places[1], Step::Release), "released ");
    assert_eq!(place(&world, places[2]), Some(1));
    world.pass(30);
    assert_eq!(world.refused(&sale("hal", &[("A", 2)])), "CAMPAIGN_SOLD_OUT A:2/0");
    assert_eq!(world.tick(), [1, 0, 0]);
    assert_eq!(world.state(places[2]), State::Held);
    world.hold(&sale("hal", &[("A", 1)]));
    assert_eq!(world.status("sale", 0), ([8, 4, 2, 0, 2, 0], 4));
    world.check();
}

#[test]
fn who_has_had_enough_waits_no_longer() {
    let mut world = World::new();
    world.upsert(&CampaignSpec { buyer_limit: 2, ..spec(vec![item("A", &[(None, 2)]), item("B", &[(None, 5)])]) });
    world.pass(20);
    let both = world.hold(&sale("ann", &[("A", 2)]));
    let (cat, dan) = (world.hold(&waiting("cat", "A", 1)), world.hold(&waiting("dan", "A", 1)));
    world.hold(&sale("cat", &[("B", 2)]));
    world.step(both, Step::Release);
    assert_eq!(world.tick(), [1, 1, 0]);
    assert_eq!((world.state(cat), world.state(dan)), (State::Cancelled, State::Held));
    world.check();
}

#[test]
fn a_campaign_s_end_gives_the_rest_back_and_ends_the_waiting() {
    let mut world = World::new();
    world.upsert(&CampaignSpec { buyer_limit: 3, ..spec(vec![item("A", &[(None, 3)]), item("B", &[(None, 9)])]) });
    world.pass(20);
    let id = world.hold(&sale("ann", &[("A", 3)]));
    world.step(id, Step::Confirm);
    let waits = world.hold(&waiting("bob", "A", 2));
    world.pass(80);
    // Before the timer comes round its time says no already.
    assert_eq!(world.refused(&sale("eve", &[("B", 1)])), "CAMPAIGN_ENDED 100s");
    assert_eq!(world.refused(&order("", "eve", &[("B", 42)])), "INSUFFICIENT_STOCK B:42/41");
    assert_eq!(world.tick(), [0, 1, 1]);
    assert_eq!(world.state(waits), State::Expired);
    world.hold(&order("", "eve", &[("B", 42)]));
    assert_eq!(world.refused(&sale("eve", &[("B", 1)])), "CAMPAIGN_ENDED 100s");
    world.check();
    // What comes back later is everybody's, and is not counted to the buyer any more.
    world.step(id, Step::Cancel(Vec::new()));
    world.hold(&order("", "eve", &[("A", 100)]));
    assert_eq!(world.status("sale", 0), ([3, 0, 0, 0, 3, 0], 1));
    world.check();
}

/// Whatever else stands against serving them: nobody waits for what is over.
#[test]
fn the_waiting_ends_with_the_campaign_while_the_sku_is_not_for_sale() {
    for by_hand in [false, true] {
        let mut world = World::new();
        world.upsert(&spec(vec![item("A", &[(None, 3)])]));
        world.pass(20);
        world.hold(&sale("ann", &[("A", 3)]));
        let waits = world.hold(&waiting("bob", "A", 2));
        let withdrawn = SkuSpec { code: "A".into(), sellable: false, ..SkuSpec::default() };
        world.done(&Command::Catalogue(CatalogueCommand::UpsertSkus(vec![withdrawn])));
        assert_eq!((world.tick(), world.state(waits)), ([0, 0, 0], State::Waiting), "it may be for sale again");
        if by_hand {
            world.done(&Command::Campaign(CampaignCommand::End { code: "sale".into() }));
        } else {
            world.pass(80);
        }
        let [granted, dropped, _] = world.tick();
        assert_eq!((granted, dropped, world.state(waits)), (0, 1, State::Expired), "by hand: {by_hand}");
        assert_eq!(world.tick(), [0, 0, 0]);
        assert_eq!(world.status("sale", 0).0[5], 0, "nobody waits");
        world.check();
    }
}

#[test]
fn orders_at_payment_and_at_order_go_with_campaigns() {
    let mut world = World::new();
    let limited = CampaignSpec { buyer_limit: 2, channel: String::new(), ..spec(vec![item("A", &[(None, 3)])]) };
    world.upsert(&limited);
    world.pass(20);
    let through = |channel: &str, order: Reserve| Reserve { channel: channel.into(), ..order };
    let placed = world.hold(&through("pay", sale("ann", &[("A", 2)])));
    let other = world.hold(&through("pay", sale("ann", &[("A", 2)])));
    let at_once = world.hold(&through("order", sale("bob", &[("A", 1)])));
    assert_eq!(world.status("sale", 0), ([1, 0, 1, 0, 0, 0], 1));
    world.check();
    assert!(world.step(placed, Step::Confirm).starts_with("Granted"));
    assert_eq!(world.step(other, Step::Confirm), "BUYER_LIMIT_REACHED 2+2/2");
    let third = world.hold(&through("order", waiting("eve", "A", 1)));
    world.step(at_once, Step::Cancel(Vec::new()));
    assert_eq!(world.tick(), [1, 0, 0]);
    assert_eq!(world.state(third), State::Confirmed);
    assert_eq!(world.cell("A"), [100, 0, 3]);
    world.pass(100);
    world.tick();
    assert_eq!(world.step(other, Step::Confirm), "CAMPAIGN_ENDED 100s");
    world.pass(20);
    world.tick();
    let expired = format!("RESERVATION_EXPIRED {} 140s", other.sequence());
    assert_eq!(world.step(other, Step::Confirm), expired);
    world.check();
}

#[test]
fn a_request_that_comes_again_gets_the_answer_it_got() {
    let mut world = World::new();
    world.upsert(&CampaignSpec { buyer_limit: 2, ..spec(vec![item("A", &[(None, 1)])]) });
    world.pass(20);
    let orders = [sale("ann", &[("A", 1)]), waiting("bob", "A", 1)];
    let answer = |world: &World, place: usize| {
        world.rig.submit(&format!("again{place}"), &Command::Reserve(orders[place].clone())).expect("it can stand")
    };
    let first = [answer(&world, 0), answer(&world, 1)];
    world.rig.restart_from_snapshot();
    for (place, before) in first.into_iter().enumerate() {
        let again = answer(&world, place);
        assert_eq!((again.replayed, again.verdict, again.lsn), (true, before.verdict, before.lsn));
    }
    let listed = world.rig.engine.reservations(&ReservationFilter::default(), None, 10).1;
    assert_eq!(listed.len(), 2);
    world.check();
}

#[test]
fn a_pass_is_bounded_and_ends_what_it_began_in_the_next() {
    let mut world = World::new();
    world.upsert(&spec(vec![item("A", &[(None, 1)])]));
    world.pass(20);
    world.hold(&sale("ann", &[("A", 1)]));
    let waiters: Vec<_> = (0..5).map(|place| world.hold(&waiting(&format!("w{place}"), "A", 1))).collect();
    world.pass(80);
    let mut events = Vec::new();
    for _ in 0..4 {
        let report = world.rig.engine.settle_campaigns(world.rig.now, 2).expect("memory is never full");
        events.push(report.events());
    }
    assert_eq!(events, [2, 2, 2, 0]);
    assert!(waiters.iter().all(|id| world.state(*id) == State::Expired));
    world.check();
}

/// What a naive shop knows of a campaign of one SKU: units by buyer, who holds what, who waits.
#[derive(Default)]
struct Naive {
    /// Buyer, units and whether it is confirmed, by id.
    taken: BTreeMap<ReservationId, (usize, u32, bool)>,
    /// Left for good.
    shipped: [u32; 4],
    line: Vec<(ReservationId, usize, u32)>,
}

const QUOTA: [u32; 2] = [5, 4];
const LIMIT: u32 = 4;

impl Naive {
    fn bought(&self, buyer: usize) -> u32 {
        let taken: u32 = self.taken.values().filter(|one| one.0 == buyer).map(|one| one.1).sum();
        taken + self.shipped[buyer]
    }

    fn left(&self, now: Timestamp) -> u32 {
        let released = if now < at(50) { QUOTA[0] } else { QUOTA[0] + QUOTA[1] };
        released - self.taken.values().map(|one| one.1).sum::<u32>() - self.shipped.iter().sum::<u32>()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases("CAMPAIGN_CASES", 40), ..ProptestConfig::default() })]

    /// Random orders, payments, returns, expiries and passes of the timer, each answered as the naive shop answers it.
    #[test]
    fn a_campaign_is_what_a_naive_shop_makes_of_it(steps in vec((0..8_u8, 0..4_usize, 1..4_u32, any::<prop::sample::Index>()), 1..60)) {
        let buyers = ["ann", "bob", "cat", "dan"];
        let mut world = World::new();
        world.upsert(&CampaignSpec { buyer_limit: LIMIT, ends_at: at(100_000), ..spec(vec![item("A", &[(None, QUOTA[0]), (Some(50), QUOTA[1])])]) });
        world.pass(10);
        let mut naive = Naive::default();
        for (kind, buyer, units, which) in steps {
            let now = world.rig.now;
            let ids: Vec<ReservationId> = naive.taken.keys().copied().collect();
            let one = (!ids.is_empty()).then(|| ids[which.index(ids.len())]);
            match (kind, one) {
                (0..=2, _) => {
                    let over = naive.bought(buyer) + units > LIMIT;
                    let served = !over && naive.line.is_empty() && units <= naive.left(now);
                    let stands = naive.line.iter().any(|one| one.1 == buyer);
                    let wait = kind == 2;
                    let order = if wait { waiting(buyers[buyer], "A", units) } else { sale(buyers[buyer], &[("A", units)]) };
                    match world.take(&order) {
                        Ok(id) if served => _ = naive.taken.insert(id, (buyer, units, false)),
                        Ok(id) => {
                            prop_assert!(wait && !over && !stands);
                            naive.line.push((id, buyer, units));
                        }
                        Err(told) => {
                            let expected = match () {
                                () if over => "BUYER_LIMIT_REACHED",
                                () if wait => "ALREADY_WAITING",
                                () => "CAMPAIGN_SOLD_OUT",
                            };
                            prop_assert!(!served && told.starts_with(expected), "{told}");
                        }
                    }
                }
                (3, Some(id)) => {
                    world.step(id, Step::Confirm);
                    if let Some(one) = naive.taken.get_mut(&id) {
                        one.2 = true;
                    }
                }
                (4, Some(id)) => {
                    world.step(id, Step::Cancel(Vec::new()));
                    naive.taken.remove(&id);
                }
                (5, Some(id)) if naive.taken[&id].2 => {
                    world.step(id, Step::Ship(Vec::new()));
                    let (buyer, units, _) = naive.taken.remove(&id).expect("it is there");
                    naive.shipped[buyer] += units;
                }
                (6, _) => {
                    // Holds last a minute: all that are not confirmed run out.
                    world.pass(60);
                    naive.taken.retain(|_, one| one.2);
                    world.rig.engine.expire_due(world.rig.now, 1_000).expect("memory is never full");
                }
                _ => {
                    world.tick();
                    let now = world.rig.now;
                    while let Some((id, buyer, units)) = naive.line.first().copied() {
                        if units > naive.left(now) {
                            break;
                        }
                        naive.line.remove(0);
                        if naive.bought(buyer) + units <= LIMIT {
                            naive.taken.insert(id, (buyer, units, false));
                        }
                    }
                }
            }
            let campaign = world.rig.engine.campaign_by_code("sale").expect("a campaign").1.id;
            for (number, buyer) in buyers.iter().enumerate() {
                prop_assert_eq!(world.rig.engine.bought(campaign, buyer), u64::from(naive.bought(number)));
            }
            let (figures, _) = world.status("sale", 0);
            let held: u32 = naive.taken.values().filter(|one| !one.2).map(|one| one.1).sum();
            let confirmed: u32 = naive.taken.values().filter(|one| one.2).map(|one| one.1).sum();
            let shipped: u32 = naive.shipped.iter().sum();
            prop_assert_eq!(&figures[1..4], &[u64::from(held), u64::from(confirmed), u64::from(shipped)]);
            let line = u64::try_from(naive.line.len()).expect("few");
            prop_assert_eq!(figures[5], line);
        }
        world.check();
    }
}
