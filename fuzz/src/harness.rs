//! Runs a target on one input and holds it to what every target promises: no panic on any thread, little time, little memory.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::Once,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

use crate::Target;

/// Most that an input below a mebibyte may have allocated at one time, on the thread that reads it.
pub const ALLOCATED_MAX: u64 = 64 << 20;

/// Most processor time for one input. Builds without optimisation are given ten times as much.
pub const TIME_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });

/// What panicked since the last run, on any thread: a panic that a runtime caught counts like any other.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

static RUNNING: Mutex<()> = Mutex::new(());

/// What a run broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Something panicked. With `panic = "abort"` the server would have ended there.
    #[error("panicked: {0}")]
    Panic(String),
    /// It took too long.
    #[error("took {0:?} of processor time; the most is {TIME_MAX:?}")]
    Time(Duration),
    /// It held too much memory.
    #[error("held {0} bytes at once; the most is {ALLOCATED_MAX}")]
    Memory(u64),
}

/// What a run needed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Processor time of the thread.
    pub time: Duration,
    /// Most bytes held at one time.
    pub bytes: u64,
}

/// Runs `target` on `input`.
///
/// # Errors
/// The first promise that was broken.
pub fn run(target: &Target, input: &[u8]) -> Result<Cost, Broken> {
    // One at a time: whose a panic is, nothing tells when two run beside each other.
    let _alone = RUNNING.lock();
    listen();
    PANICS.lock().clear();
    let began = processor_time();
    let mut outcome = Ok(());
    let counted = allocation_counter::measure(|| {
        outcome = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    });
    let cost = Cost { time: processor_time().saturating_sub(began), bytes: counted.bytes_max };
    let panics = std::mem::take(&mut *PANICS.lock());
    if outcome.is_err() || !panics.is_empty() {
        return Err(Broken::Panic(panics.join("; also: ")));
    }
    if cost.bytes > ALLOCATED_MAX {
        return Err(Broken::Memory(cost.bytes));
    }
    if cost.time > TIME_MAX {
        return Err(Broken::Time(cost.time));
    }
    Ok(cost)
}

/// Keeps what panics say, once for the process.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|panicked| {
            let what = panicked.payload_as_str().unwrap_or("something that is no text");
            let at = panicked.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
            PANICS.lock().push(format!("{what}{at}"));
        }));
    });
}

fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}
