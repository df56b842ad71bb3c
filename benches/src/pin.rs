//! Pins threads to cores, so that client and server do not take each other's time.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Runs this thread, and those it starts from now on, on one core only. Gives false where the core is not ours to use.
#[must_use]
pub fn to_core(core: usize) -> bool {
    to_cores(&[core])
}

/// Runs this thread, and those it starts from now on, on these cores only. Gives false where none of them is ours to use.
#[must_use]
pub fn to_cores(cores: &[usize]) -> bool {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    sched_setaffinity(None, &set).is_ok()
}

/// Cores this thread may use.
#[must_use]
pub fn cores() -> Vec<usize> {
    let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect()
}
