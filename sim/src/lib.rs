//! Deterministic simulation: the server's own code (engine, journal, recovery, snapshots, timers, as `quartermaster-node` joins them) over
//! a disk in memory, a clock that is told the time, and a schedule drawn from a seed, on one thread.
//!
//! One seed decides everything: which commands come how often, who repeats what, when batches are committed and snapshots taken, what
//! fails, what a crash leaves on the disk, how clocks jump. What comes of it is judged by a naive model of every feature ([`model`]), by a
//! fold of the log that shares no code with the engine, and by what was promised to callers. A seed that fails, fails the same way again.
#![forbid(unsafe_code)]

mod checks;
mod clock;
pub mod compare;
mod counts;
mod faults;
mod life;
pub mod model;
mod plan;
mod simulation;
mod story;
mod tap;
mod watchdog;
pub mod workload;

pub use checks::{folded_hash, state_hash};
pub use clock::SimClock;
pub use counts::Counts;
pub use plan::Plan;
pub use simulation::{Failure, Outcome, doing, run, run_planned};
pub use tap::Tap;
