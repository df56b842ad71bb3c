//! Load on one contender: as fast as it answers, and then at half of that with latency from when each order was due.
//!
//! The client is one thread. In the closed loop each lane sends its next orders when the last are answered. In the open loop orders are due
//! at even distances whatever the server does; a lane that is late counts the lateness (no coordinated omission).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use quartermaster_benches::measure::{Round, per_second};
use tokio::sync::Semaphore;
use tokio::task::{LocalSet, yield_now};

use crate::Failure;
use crate::contender::{Lane, Server, Taken};
use crate::demand::Demand;

/// How long each part of a round lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Before the clock runs.
    pub(crate) warm_up: Duration,
    /// Measured.
    pub(crate) measured: Duration,
}

/// What one round of a contender came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Orders answered a second, flat out.
    pub(crate) rate: u64,
    /// The server's CPU time for an order then, nanoseconds.
    pub(crate) cpu_nanos: u64,
    /// At half of that rate, nanoseconds from when an order was due to its answer.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
}

/// What the lanes share.
struct Shared {
    demand: Demand,
    per_step: usize,
    running: Cell<bool>,
    answered: Cell<u64>,
    taken: Cell<u64>,
    latencies: RefCell<Option<Round>>,
    failure: RefCell<Option<Failure>>,
}

impl Shared {
    fn new(demand: &Demand, per_step: usize) -> Rc<Shared> {
        Rc::new(Shared {
            demand: demand.clone(),
            per_step,
            running: Cell::new(true),
            answered: Cell::new(0),
            taken: Cell::new(0),
            latencies: RefCell::new(None),
            failure: RefCell::new(None),
        })
    }

    /// One round trip; false ends the lane.
    async fn step(&self, lane: &mut Lane) -> bool {
        let orders = self.demand.draw(self.per_step);
        match lane.step(&orders).await {
            Ok(Taken(taken)) => {
                let count = u64::try_from(orders.len()).unwrap_or(0);
                self.answered.set(self.answered.get() + count);
                self.taken.set(self.taken.get() + taken);
                true
            }
            Err(failure) => {
                self.failure.borrow_mut().get_or_insert(failure);
                self.running.set(false);
                false
            }
        }
    }

    fn verdict(&self) -> Result<(), Failure> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

/// Both loops on `lanes`.
pub(crate) async fn round(
    server: &Server,
    lanes: Vec<Lane>,
    demand: &Demand,
    per_step: usize,
    times: Times,
) -> Result<Figures, Failure> {
    let (lanes, rate, cpu_nanos) = closed(server, lanes, demand, per_step, times).await?;
    let latencies = open(lanes, demand, per_step, rate / 2, times).await?;
    Ok(Figures {
        rate,
        cpu_nanos,
        p50: latencies.percentile(50.0),
        p99: latencies.percentile(99.0),
        p999: latencies.percentile(99.9),
    })
}

async fn closed(
    server: &Server,
    lanes: Vec<Lane>,
    demand: &Demand,
    per_step: usize,
    times: Times,
) -> Result<(Vec<Lane>, u64, u64), Failure> {
    let shared = Shared::new(demand, per_step);
    let local = LocalSet::new();
    let tasks: Vec<_> = lanes
        .into_iter()
        .map(|mut lane| {
            let shared = Rc::clone(&shared);
            local.spawn_local(async move {
                while shared.running.get() && shared.step(&mut lane).await {}
                lane
            })
        })
        .collect();
    let measuring = async {
        tokio::time::sleep(times.warm_up).await;
        let (start, cpu, count) = (Instant::now(), server.cpu_nanos(), shared.answered.get());
        tokio::time::sleep(times.measured).await;
        let count = shared.answered.get() - count;
        let (took, cpu) = (start.elapsed(), server.cpu_nanos().saturating_sub(cpu));
        shared.running.set(false);
        (per_second(count, took), cpu.checked_div(count).unwrap_or(0))
    };
    let (rate, cpu) = local.run_until(measuring).await;
    let mut lanes = Vec::new();
    for task in tasks {
        lanes.push(local.run_until(task).await?);
    }
    shared.verdict()?;
    Ok((lanes, rate, cpu))
}

async fn open(lanes: Vec<Lane>, demand: &Demand, per_step: usize, rate: u64, times: Times) -> Result<Round, Failure> {
    let shared = Shared::new(demand, per_step);
    let wide = u64::try_from(per_step).unwrap_or(1);
    let interval = Duration::from_nanos(1_000_000_000 * wide / rate.max(1));
    let due = Rc::new(Semaphore::new(0));
    let next = Rc::new(Cell::new(0_u32));
    let local = LocalSet::new();
    let start = Instant::now();
    for mut lane in lanes {
        let (shared, due, next) = (Rc::clone(&shared), Rc::clone(&due), Rc::clone(&next));
        local.spawn_local(async move {
            while let Ok(permit) = due.acquire().await {
                permit.forget();
                let at = start + interval * next.replace(next.get() + 1);
                if !shared.step(&mut lane).await {
                    break;
                }
                if let Some(latencies) = &mut *shared.latencies.borrow_mut() {
                    latencies.record(at.elapsed());
                }
            }
        });
    }
    local
        .run_until(async {
            // A timer wakes to the millisecond; the client's core has nothing else to do than to look at the clock.
            let mut given = 0_u32;
            let end = start + times.warm_up + times.measured;
            while Instant::now() < end && shared.running.get() {
                if shared.latencies.borrow().is_none() && start.elapsed() >= times.warm_up {
                    *shared.latencies.borrow_mut() = Some(Round::default());
                }
                while start + interval * given <= Instant::now() {
                    due.add_permits(1);
                    given += 1;
                }
                yield_now().await;
            }
        })
        .await;
    shared.verdict()?;
    let latencies = shared.latencies.take();
    Ok(latencies.unwrap_or_default())
}
