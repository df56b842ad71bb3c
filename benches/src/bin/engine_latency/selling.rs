//! What a channel's allotment and a campaign cost a reserve: the same order plain, in a channel that has an allotment of the SKU, and in a
//! campaign with a limit per buyer within that channel. A third of the SKUs is for each, in one engine.

use std::{sync::Arc, time::Instant};

use quartermaster_benches::{
    matrix::{self, START, Shape, sku_code},
    measure::{Rounds, grouped, median, per_second},
    traffic::{self, Random, Sent, Skus},
};
use quartermaster_engine::{
    Engine, EngineConfig, Verdict,
    catalog::ChannelSpec,
    command::{
        Asked, CatalogueCommand, Command, Request, Step,
        allotment::{AllotmentCommand, Amount, Goods, NodeCode, SetAllotments, SetRow},
        campaign::{CampaignCommand, CampaignSpec, ItemSpec, TrancheSpec},
    },
    quantity::Quantity,
    time::{Micros, Timestamp},
};
use quartermaster_journal::MemoryJournal;

use crate::{Arguments, run, together};

/// SKUs of each kind at most: a campaign of more is none.
const SKUS_MAX: u32 = 5_000;
const CHANNEL: &str = "web";
const CAMPAIGN: &str = "sale";

/// How an order is sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sold {
    Plain,
    Allotted,
    Campaign,
}

/// An order of one line.
fn order(random: &mut Random, sold: Sold, skus: Skus) -> Sent {
    let mut sent = traffic::reserve(random, skus, 1, None);
    if let Command::Reserve(reserve) = &mut sent.command {
        if sold != Sold::Plain {
            reserve.channel = CHANNEL.into();
        }
        if sold == Sold::Campaign {
            reserve.asked = Some(Box::new(Asked { campaign: CAMPAIGN.to_owned(), ..Asked::default() }));
        }
    }
    sent
}

/// A kind of order: its name, and what follows it.
struct Kind {
    name: &'static str,
    sold: Sold,
    skus: Skus,
    then: [(&'static str, Step); 2],
}

/// Times the kinds in turns, and prints what each costs beside the plain one; then what two threads do with them.
pub(crate) fn measure(arguments: &Arguments, cores: &[usize], clock: u64) {
    let count = (arguments.skus / 3).clamp(1, SKUS_MAX);
    let engine = fill(count, arguments.locations);
    let hot = |from: u32| Skus::Only(from + 7 % count);
    let confirm = |confirm, release| [(confirm, Step::Confirm), (release, Step::Cancel(Vec::new()))];
    let release = |release| [(release, Step::Release), ("", Step::Release)];
    let kind = |name, sold, skus, then| Kind { name, sold, skus, then };
    let kinds = [
        kind("plain, spread", Sold::Plain, Skus::Below(count), confirm("  confirm", "  cancel")),
        kind(
            "allotment, spread",
            Sold::Allotted,
            Skus::From(count, count),
            confirm("  confirm, allotment", "  cancel, allotment"),
        ),
        kind(
            "campaign, spread",
            Sold::Campaign,
            Skus::From(2 * count, count),
            confirm("  confirm, campaign", "  cancel, campaign"),
        ),
        kind("plain, hot SKU", Sold::Plain, hot(0), release("  release, hot")),
        kind("allotment, hot SKU", Sold::Allotted, hot(count), release("  release, allotment, hot")),
        kind("campaign, hot SKU", Sold::Campaign, hot(2 * count), release("  release, campaign, hot")),
    ];
    let mut now = START.plus(Micros::from_secs(60));
    let mut figures: Vec<(&'static str, Rounds)> = Vec::new();
    for seed in 0..arguments.rounds {
        for kind in &kinds {
            let mut random = Random::new(u64::from(seed));
            let requests: Vec<Sent> =
                (0..arguments.requests).map(|_| order(&mut random, kind.sold, kind.skus)).collect();
            let (round, held) = run(&engine, &requests, &mut now);
            assert_eq!(held.len(), requests.len(), "{} is granted", kind.name);
            super::add(&mut figures, kind.name, round);
            for (name, step) in kind.then.iter().filter(|(name, _)| !name.is_empty()) {
                let steps: Vec<Sent> = held.iter().map(|id| traffic::step(*id, step.clone())).collect();
                let (round, _) = run(&engine, &steps, &mut now);
                super::add(&mut figures, name, round);
            }
        }
    }
    println!("\n{:<34}{:>9}{:>9}{:>9}{:>11}", "reserve, 1 line, as it is sold; ns", "p50", "p99", "p99.9", "least p50");
    let of = |rounds: &Rounds, percent| rounds.of(percent, clock);
    for (name, rounds) in &figures {
        let ((p50, least), (p99, _), (p999, _)) = (of(rounds, 50.0), of(rounds, 99.0), of(rounds, 99.9));
        println!("{name:<34}{p50:>9}{p99:>9}{p999:>9}{least:>11}");
    }
    let p50 = |name: &str| {
        let rounds = figures.iter().find(|(known, _)| *known == name);
        rounds.map_or((0, 0), |(_, rounds)| of(rounds, 50.0))
    };
    for place in ["spread", "hot SKU"] {
        let plain = p50(&format!("plain, {place}"));
        for sold in ["allotment", "campaign"] {
            let found = p50(&format!("{sold}, {place}"));
            let name = format!("{sold} against plain, {place}");
            println!("{name:<34}{:>9}{:>36}", ratio(found.0, plain.0), ratio(found.1, plain.1));
        }
    }
    if !arguments.one_thread {
        throughput(&engine, &kinds, arguments, cores, now);
    }
}

/// One number as a multiple of another, to two decimals.
fn ratio(number: u64, of: u64) -> String {
    let percent = number * 100 / of.max(1);
    format!("{}.{:02} x", percent / 100, percent % 100)
}

/// Requests per second of one thread and of two, spread and on one hot SKU.
fn throughput(engine: &Engine, kinds: &[Kind], arguments: &Arguments, cores: &[usize], now: Timestamp) {
    let threads_max = cores.len().min(2);
    let mut rates = vec![vec![Vec::new(); threads_max]; kinds.len()];
    for seed in 0..arguments.rounds {
        for (kind, rates) in kinds.iter().zip(&mut rates) {
            for (threads, rates) in (1_usize..).zip(rates.iter_mut()) {
                let make = |random: &mut Random| order(random, kind.sold, kind.skus);
                let cores = &cores[cores.len() - threads..];
                let took = together(engine, arguments.requests, &make, cores, seed, now);
                rates.push(per_second(u64::try_from(arguments.requests * threads).unwrap_or(u64::MAX), took));
            }
        }
    }
    println!("{:<34}{:>14}{:>14}", "one-line reserves per second", "1 thread", "2 threads");
    let rates: Vec<Vec<u64>> =
        rates.iter_mut().map(|rates| rates.iter_mut().map(|rates| median(rates)).collect()).collect();
    let line = |name: &str, values: Vec<String>| {
        println!("{name:<34}{}", values.iter().map(|value| format!("{value:>14}")).collect::<String>());
    };
    for (kind, rates) in kinds.iter().zip(&rates) {
        line(kind.name, rates.iter().map(|rate| grouped(*rate)).collect());
    }
    for (spread, name) in ["plain", "allotment", "campaign"].iter().enumerate() {
        let pairs = rates[spread + 3].iter().zip(&rates[spread]);
        line(&format!("{name}: hot against spread"), pairs.map(|(hot, spread)| ratio(*hot, *spread)).collect());
    }
}

/// An engine with stock, a channel with allotments of two thirds of it, and a campaign in it of one third.
fn fill(count: u32, locations: u32) -> Engine {
    let engine = Engine::new(EngineConfig::default(), Arc::new(MemoryJournal::new()));
    let started = Instant::now();
    matrix::fill(&engine, Shape { skus: 3 * count, sold_out_skus: 0, locations }, 10_000_000);
    let channel = ChannelSpec { code: CHANNEL.to_owned(), active: true, ..ChannelSpec::default() };
    done(&engine, &Command::Catalogue(CatalogueCommand::UpsertChannels(vec![channel])));
    let row = |sku| SetRow {
        goods: Goods::Sku(sku_code(sku)),
        node: NodeCode { channel: CHANNEL.to_owned(), campaign: String::new() },
        quota: Some(Amount::Units(Quantity(50_000_000))),
        ceiling: None,
        spill_over: true,
    };
    let rows: Vec<SetRow> = (count..3 * count).map(row).collect();
    for rows in rows.chunks(500) {
        let set = SetAllotments { rows: rows.to_vec(), clip: true };
        done(&engine, &Command::Allotment(AllotmentCommand::Set(set)));
    }
    let tranche = TrancheSpec { at: None, quantity: Quantity(20_000_000) };
    let items = (2 * count..3 * count).map(|sku| ItemSpec { sku: sku_code(sku), tranches: vec![tranche] });
    let campaign = CampaignSpec {
        code: CAMPAIGN.to_owned(),
        name: CAMPAIGN.to_owned(),
        channel: CHANNEL.to_owned(),
        starts_at: START,
        ends_at: START.plus(Micros::from_secs(30 * 86_400)),
        buyer_limit: 1_000,
        order_limit: 100,
        items: items.collect(),
    };
    done(&engine, &Command::Campaign(CampaignCommand::Upsert { campaigns: vec![campaign], clip: true }));
    println!("\n{} SKUs for selling filled in {:.1} s", grouped(u64::from(3 * count)), started.elapsed().as_secs_f64());
    engine
}

fn done(engine: &Engine, command: &Command) {
    let request = Request::unnamed();
    let answer = engine.submit(&request, command, START).expect("the channel and its campaign are made");
    assert!(matches!(answer.verdict, Verdict::Done(_)), "the channel and its campaign are made: {:?}", answer.verdict);
}
