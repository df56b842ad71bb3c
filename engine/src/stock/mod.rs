//! The stock matrix: cells in sparse rows.

pub mod cell;
pub mod row;

pub use cell::Buckets;
pub use row::Row;
