//! What the benchmarks share: a matrix to fill, requests to send, figures to gather. Each program says its own command line and what
//! it shows.
#![forbid(unsafe_code)]

pub mod callgrind;
pub mod figures;
pub mod files;
pub mod matrix;
pub mod measure;
pub mod paths;
pub mod pin;
pub mod plot;
pub mod traffic;
