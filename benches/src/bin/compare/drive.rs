//! Load on one contender: as fast as it answers, and then at a share of that with latency from when each order was due.
//!
//! The client is one thread. In the closed loop each lane sends its next orders when the last are answered. In the open loop orders are due
//! at even distances whatever the server does; one that is sent late counts the lateness, and those due before the end are all answered
//! (no coordinated omission). Every order granted, in the warm-up too, is counted for the check of the server's books.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quartermaster_benches::measure::{Round, per_second};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, LocalSet, yield_now};

use crate::Failure;
use crate::contender::{Granted, Lane, Server};
use crate::demand::{Demand, Order};
use crate::process::own_cpu_nanos;

/// How a round goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Orders of one round trip of a lane.
    pub(crate) per_step: usize,
    /// Before the clock runs, in either loop.
    pub(crate) warm_up: Duration,
    /// Measured, in either loop.
    pub(crate) measured: Duration,
    /// Load of the open loop, in percent of what the closed one reached.
    pub(crate) share_percent: u64,
}

/// What one round of a contender came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Orders answered a second, flat out.
    pub(crate) rate: u64,
    /// The server's CPU time for an order then, nanoseconds.
    pub(crate) cpu_nanos: u64,
    /// How busy the client's core was then. Near 100 the client is the limit, not the server.
    pub(crate) client_percent: u64,
    /// At the share of that rate, nanoseconds from when an order was due to its answer.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
}

/// What the lanes of one loop share.
struct Shared {
    demand: Demand,
    per_step: usize,
    running: Cell<bool>,
    answered: Cell<u64>,
    granted: Cell<Granted>,
    failure: RefCell<Option<Failure>>,
}

impl Shared {
    fn new(demand: &Demand, per_step: usize) -> Rc<Shared> {
        Rc::new(Shared {
            demand: demand.clone(),
            per_step,
            running: Cell::new(true),
            answered: Cell::new(0),
            granted: Cell::default(),
            failure: RefCell::new(None),
        })
    }

    /// One round trip; false ends the lane.
    async fn step(&self, lane: &mut Lane) -> bool {
        let orders: Arc<[Order]> = self.demand.draw(self.per_step).into();
        match lane.step(&orders).await {
            Ok(granted) => {
                self.answered.set(self.answered.get() + u64::try_from(orders.len()).unwrap_or(0));
                self.granted.set(self.granted.get() + granted);
                true
            }
            Err(failure) => {
                self.failure.borrow_mut().get_or_insert(failure);
                self.running.set(false);
                false
            }
        }
    }

    /// Waits for the lanes, and gives what they were granted.
    async fn end(&self, local: &LocalSet, lanes: Vec<JoinHandle<Lane>>) -> Result<(Vec<Lane>, Granted), Failure> {
        let mut ended = Vec::with_capacity(lanes.len());
        for lane in lanes {
            ended.push(local.run_until(lane).await?);
        }
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok((ended, self.granted.get())),
        }
    }
}

/// Both loops on `lanes`. The server notes what it granted.
pub(crate) async fn round(
    server: &mut Server,
    lanes: Vec<Lane>,
    demand: &Demand,
    plan: Plan,
) -> Result<Figures, Failure> {
    let (lanes, figures) = closed(server, lanes, demand, plan).await?;
    let rate = (figures.rate * plan.share_percent / 100).max(1);
    let latencies = open(server, lanes, demand, plan, rate).await?;
    Ok(Figures {
        p50: latencies.percentile(50.0),
        p99: latencies.percentile(99.0),
        p999: latencies.percentile(99.9),
        ..figures
    })
}

async fn closed(
    server: &mut Server,
    lanes: Vec<Lane>,
    demand: &Demand,
    plan: Plan,
) -> Result<(Vec<Lane>, Figures), Failure> {
    let shared = Shared::new(demand, plan.per_step);
    let local = LocalSet::new();
    let lane = |mut lane: Lane| {
        let shared = Rc::clone(&shared);
        local.spawn_local(async move {
            while shared.running.get() && shared.step(&mut lane).await {}
            lane
        })
    };
    let lanes = lanes.into_iter().map(lane).collect();
    let measuring = async {
        tokio::time::sleep(plan.warm_up).await;
        let (start, answered) = (Instant::now(), shared.answered.get());
        let (cpu, client) = (server.cpu_nanos(), own_cpu_nanos());
        tokio::time::sleep(plan.measured).await;
        let count = shared.answered.get() - answered;
        let took = start.elapsed();
        let (cpu, client) = (server.cpu_nanos().saturating_sub(cpu), own_cpu_nanos().saturating_sub(client));
        shared.running.set(false);
        Figures {
            rate: per_second(count, took),
            cpu_nanos: cpu.checked_div(count).unwrap_or(0),
            client_percent: u64::try_from(u128::from(client) * 100 / took.as_nanos().max(1)).unwrap_or(100),
            ..Figures::default()
        }
    };
    let figures = local.run_until(measuring).await;
    let (lanes, granted) = shared.end(&local, lanes).await?;
    server.granted = server.granted + granted;
    Ok((lanes, figures))
}

async fn open(server: &mut Server, lanes: Vec<Lane>, demand: &Demand, plan: Plan, rate: u64) -> Result<Round, Failure> {
    let shared = Shared::new(demand, plan.per_step);
    let interval = Duration::from_nanos(1_000_000_000 * u64::try_from(plan.per_step).unwrap_or(1) / rate);
    // Steps that are due, the number of the next one, and the number at which the loop ends.
    let due = Rc::new(Semaphore::new(0));
    let next = Rc::new(Cell::new(0_u32));
    let end = Rc::new(Cell::new(u32::MAX));
    let latencies = Rc::new(RefCell::new(Round::default()));
    let local = LocalSet::new();
    let start = Instant::now();
    let lanes_count = lanes.len();
    let lane = |mut lane: Lane| {
        let (shared, latencies) = (Rc::clone(&shared), Rc::clone(&latencies));
        let (due, next, end) = (Rc::clone(&due), Rc::clone(&next), Rc::clone(&end));
        local.spawn_local(async move {
            while let Ok(permit) = due.acquire().await {
                permit.forget();
                let number = next.replace(next.get() + 1);
                let at = start + interval * number;
                if number >= end.get() || !shared.step(&mut lane).await {
                    break;
                }
                if at >= start + plan.warm_up {
                    latencies.borrow_mut().record(at.elapsed());
                }
            }
            lane
        })
    };
    let lanes = lanes.into_iter().map(lane).collect();
    let clock = async {
        let mut given = 0_u32;
        let last = start + plan.warm_up + plan.measured;
        while Instant::now() < last && shared.running.get() {
            while start + interval * given <= Instant::now() {
                due.add_permits(1);
                given += 1;
            }
            // A timer wakes to the millisecond; the client's core has nothing else to do than to look at the clock.
            yield_now().await;
        }
        // Whoever comes now finds that it is over, after those who were due before.
        end.set(given);
        due.add_permits(lanes_count);
    };
    local.run_until(clock).await;
    let (_, granted) = shared.end(&local, lanes).await?;
    server.granted = server.granted + granted;
    Ok(latencies.take())
}
