//! Figures of what the server runs on: tokio's threads and jemalloc's memory.

use std::time::Duration;

use tikv_jemalloc_ctl::{epoch, stats};
use tokio::runtime::{Handle, RuntimeMetrics};

use super::families;
use super::page::Page;

/// Memory as the allocator has it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// In use.
    pub allocated: usize,
    /// In RAM.
    pub resident: usize,
    /// Given back to the system, with the addresses kept.
    pub retained: usize,
}

impl Memory {
    /// Now. All zero where jemalloc does not allocate, as in tests.
    #[must_use]
    pub fn read() -> Memory {
        // Its figures stand still until they are told to move on.
        let _moved = epoch::advance();
        Memory {
            allocated: stats::allocated::read().unwrap_or(0),
            resident: stats::resident::read().unwrap_or(0),
            retained: stats::retained::read().unwrap_or(0),
        }
    }
}

pub(super) fn publish(page: &mut Page) {
    let runtime = Handle::try_current().map(|handle| handle.metrics()).ok();
    let figure = |of: fn(&RuntimeMetrics) -> usize| runtime.as_ref().map_or(0, of);
    page.one(&families::RUNTIME_WORKERS, figure(RuntimeMetrics::num_workers));
    page.one(&families::RUNTIME_TASKS, figure(RuntimeMetrics::num_alive_tasks));
    page.one(&families::RUNTIME_QUEUE, figure(RuntimeMetrics::global_queue_depth));
    let workers = || runtime.iter().flat_map(|runtime| (0..runtime.num_workers()).map(move |worker| (runtime, worker)));
    let busy: Duration = workers().map(|(runtime, worker)| runtime.worker_total_busy_duration(worker)).sum();
    page.one(&families::RUNTIME_BUSY, busy.as_secs_f64());
    let parks: u64 = workers().map(|(runtime, worker)| runtime.worker_park_count(worker)).sum();
    page.one(&families::RUNTIME_PARKS, parks);
    let memory = Memory::read();
    page.open(&families::MEMORY);
    for (kind, bytes) in [("allocated", memory.allocated), ("resident", memory.resident), ("retained", memory.retained)]
    {
        page.sample(&[("kind", kind)], bytes);
    }
}
