//! A disk in memory behind a mount point, and what only such a disk can do to a server: lose its power, and stop answering.

pub mod disk;
pub mod mount;
pub mod power;
pub mod stall;
