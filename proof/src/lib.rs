//! Campaigns against a real server process. Each starts its own servers on loopback, bounds itself in time and count, knows only what a
//! client can know, and ends with a [`Verdict`]: figures, and what must not have happened and did.
#![forbid(unsafe_code)]

pub mod crash;
pub mod flash;
pub mod full;
#[cfg(feature = "fuse")]
pub mod fuse;
pub mod history;
pub mod hostile;
pub mod inject;
pub mod judged;
pub mod oom;
pub mod overload;
pub mod process;
pub mod quantities;
pub mod race;
pub mod raw;
pub mod record;
pub mod repeat;
pub mod shop;
pub mod sigterm;
pub mod site;
pub mod soak;
pub mod stage;
pub mod stream;
pub mod usage;
pub mod verdict;
pub mod wire;

/// Why a campaign could not be carried out. What it found wrong is in its [`verdict::Verdict`] instead.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
