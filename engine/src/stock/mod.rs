//! The stock matrix: cells in sparse rows.

pub mod cell;
pub mod row;
pub(crate) mod rows;

pub use cell::Buckets;
pub use row::Row;
pub(crate) use rows::Rows;
