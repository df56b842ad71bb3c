//! `proof repeat`: every change is sent one to five times under one request id, over a wire that breaks in the middle of requests and
//! answers, with deadlines that pass and kill -9 in between. It must happen once, and be answered the same each time.
//!
//! Each worker has stock of its own and enough of it, so that what every answer must be is known, and so is every figure of its cells. What
//! happened twice in spite of one id would also be seen by `verify`, which ends the campaign.

mod proxy;
mod story;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quartermaster_loadtest::client::{outcome_unknown, reason_of, sentence};
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_loadtest::table::per_second;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::Error;
use crate::process::ServerArgs;
use crate::stage::{PATIENT, Stage};
use crate::verdict::Verdict;
use proxy::Proxy;
use story::{Ask, Story};
use wire::{Heard, Wire};

/// Times a request is sent at most while it has its turn.
const SENDS_MAX: u64 = 5;
/// Times it is sent after that until it is answered once.
const MORE_MAX: u32 = 2_000;
/// A deadline that a healthy server meets.
const DEADLINE: Duration = Duration::from_secs(5);

/// Arguments of `proof repeat`.
#[derive(Clone, Debug, clap::Args)]
pub struct RepeatArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Changes, each sent one to five times.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    operations: u64,
    /// Workers, each with its own connection and stock.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// kill -9 and restart, so many times.
    #[arg(long, default_value_t = 10)]
    kills: u64,
    /// A connection carries at most so many bytes in a direction before it is cut.
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    bytes_max: u64,
    /// Decides all that is random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the workers share.
struct Course {
    wire: Wire,
    proxy: String,
    operations: u64,
    next: AtomicU64,
}

/// What a worker did.
#[derive(Debug, Default)]
struct Done {
    sent: u64,
    answered: u64,
    replayed: u64,
    unknown: u64,
    reused: u64,
    by_method: BTreeMap<&'static str, u64>,
    wrong: Vec<String>,
}

/// Carries the campaign out.
///
/// # Errors
/// When a server cannot be started or does not do what it is set up with.
pub async fn run(args: &RepeatArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("repeat");
    let mut stage = Stage::start(&args.server, &[])?;
    let proxy = Proxy::start(stage.server().grpc, args.seed, args.bytes_max).await?;
    let client = stage.server().client(1, PATIENT).await?;
    story::set_up(&client, usize::from(args.workers)).await.map_err(|status| sentence(&status))?;
    drop(client);
    let course = Arc::new(Course {
        wire: Wire::new(),
        proxy: format!("http://{}", proxy.address),
        operations: args.operations,
        next: AtomicU64::new(0),
    });
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..usize::from(args.workers) {
        let random = SplitMix64::for_item(args.seed, u64::try_from(worker)?);
        workers.spawn(work(Arc::clone(&course), worker, random));
    }
    let (mut done, mut stories, mut kills) = (Done::default(), Vec::new(), 0);
    let mut look = tokio::time::interval(Duration::from_millis(5));
    loop {
        tokio::select! {
            ended = workers.join_next() => match ended {
                None => break,
                Some(ended) => {
                    let (own, story) = ended?;
                    done.add(own);
                    stories.push(story);
                }
            },
            _ = look.tick() => {
                let due = (kills + 1) * args.operations / (args.kills + 1);
                if kills < args.kills && course.next.load(Ordering::Relaxed) >= due {
                    kills += 1;
                    tokio::task::block_in_place(|| stage.again())?;
                    proxy.lead_to(stage.server().grpc);
                }
            }
        }
    }
    let time = began.elapsed();
    let client = stage.server().client(1, PATIENT).await?;
    for story in &stories {
        story.judge(&client, &mut verdict).await.map_err(|status| sentence(&status))?;
    }
    stage.verify(&mut verdict)?;

    done.wrong.iter().for_each(|wrong| verdict.violation(format!("seed {}: {wrong}", args.seed)));
    let operations = done.by_method.values().sum::<u64>();
    verdict.figure("seed", args.seed);
    verdict.figure("operations", operations);
    verdict.figure("sent", done.sent);
    verdict.figure("answered", done.answered);
    verdict.figure("answered_as_replayed", done.replayed);
    verdict.figure("without_an_answer", done.unknown);
    verdict.figure("ids_refused_with_other_content", done.reused);
    verdict.figure("connections_cut", proxy.cuts());
    verdict.figure("kills", kills);
    verdict.figure("operations_per_second", per_second(operations, time));
    let asked: BTreeSet<&str> = done.by_method.keys().copied().collect();
    let missing: Vec<String> =
        course.wire.changing().into_iter().filter(|method| !asked.contains(method.as_str())).collect();
    verdict.figure("methods", asked.len());
    verdict.figure("methods_left_out", missing.join(" "));
    Ok(verdict)
}

impl Done {
    fn add(&mut self, other: Done) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.replayed += other.replayed;
        self.unknown += other.unknown;
        self.reused += other.reused;
        other.by_method.into_iter().for_each(|(method, count)| *self.by_method.entry(method).or_default() += count);
        self.wrong.extend(other.wrong);
    }
}

async fn work(course: Arc<Course>, worker: usize, mut random: SplitMix64) -> (Done, Story) {
    let (mut done, mut story) = (Done::default(), Story::new(worker));
    let endpoint = Endpoint::from_shared(course.proxy.clone()).expect("Invariant: a proxy has an address");
    let channel = endpoint.tcp_nodelay(true).connect_timeout(DEADLINE).connect_lazy();
    while course.next.fetch_add(1, Ordering::Relaxed) < course.operations && done.wrong.is_empty() {
        let ask = story.next(&mut random);
        *done.by_method.entry(ask.method).or_default() += 1;
        let repeated = repeat(&course.wire, &channel, &ask, &mut random, &mut done).await;
        if let Err(wrong) = repeated.and_then(|heard| story.heard(&heard.rest)) {
            done.wrong.push(format!("worker {worker}, {}: {wrong}", ask.method));
        }
    }
    (done, story)
}

/// Sends a request one to five times, some at once, and then until it was answered; gives the one answer.
async fn repeat(
    wire: &Wire,
    channel: &Channel,
    ask: &Ask,
    random: &mut SplitMix64,
    done: &mut Done,
) -> Result<Heard, String> {
    let mut told: Option<Heard> = None;
    let (mut left, mut more) = (1 + random.below(SENDS_MAX), 0);
    while left > 0 || told.is_none() {
        if left == 0 {
            more += 1;
            if more > MORE_MAX {
                return Err("no answer".to_owned());
            }
        }
        // Those that go out together cannot know of each other's answer.
        let together = if random.chance(0.3) { left.clamp(1, 3) } else { 1 };
        let known = told.is_some();
        let mut calls = JoinSet::new();
        for _ in 0..together {
            let hurry = random.chance(0.15);
            let deadline = if hurry { Duration::from_micros(500 + random.below(4_000)) } else { DEADLINE };
            let (wire, channel, method, body) = (wire.clone(), channel.clone(), ask.method, ask.body.clone());
            calls.spawn(async move { wire.send(&channel, method, &body, deadline).await });
        }
        let answers = calls.join_all().await;
        done.sent += together;
        left = left.saturating_sub(together);
        let mut first = u32::from(known);
        for answer in answers {
            let heard = match answer {
                Ok(heard) => heard,
                Err(status) if is_open(&status) => {
                    done.unknown += 1;
                    continue;
                }
                Err(status) => return Err(sentence(&status)),
            };
            done.answered += 1;
            done.replayed += u64::from(heard.replayed);
            if heard.rejected {
                return Err(format!("refused, where nothing stands against it: {heard:?}"));
            }
            first += u32::from(!heard.replayed);
            if first > 1 {
                return Err(format!("carried out a second time: {told:?}, then {heard:?}"));
            }
            match &told {
                Some(told) if (told.lsn, &told.rest) != (heard.lsn, &heard.rest) => {
                    return Err(format!("another answer to the same request: {told:?}, then {heard:?}"));
                }
                Some(_) => {}
                None => told = Some(heard),
            }
        }
    }
    if random.chance(0.2) {
        other_content(wire, channel, ask, done).await?;
    }
    told.ok_or_else(|| "no answer".to_owned())
}

/// The same id with other content must be refused, and change nothing.
async fn other_content(wire: &Wire, channel: &Channel, ask: &Ask, done: &mut Done) -> Result<(), String> {
    for _ in 0..MORE_MAX {
        match wire.send(channel, ask.method, &ask.other, DEADLINE).await {
            Err(status) if is_open(&status) => done.unknown += 1,
            Err(status) if status.code() == Code::AlreadyExists && reason_of(&status) == "REQUEST_ID_REUSED" => {
                done.reused += 1;
                return Ok(());
            }
            other => return Err(format!("the same id with other content: {other:?}")),
        }
    }
    Err("no answer to the same id with other content".to_owned())
}

/// Whether the call may have happened or not: also a connection cut in the middle of an answer, which looks like a broken message.
fn is_open(status: &Status) -> bool {
    outcome_unknown(status.code()) || (status.code() == Code::Internal && reason_of(status).is_empty())
}
