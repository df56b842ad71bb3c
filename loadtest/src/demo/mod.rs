//! The flash-sale demo as a client sees it: a catalogue to load, a sale to run, a ledger of what was acknowledged, a proof from
//! outside that nothing of it was lost or sold twice. Starting and killing the server is the business of whoever calls this.

pub mod catalogue;
pub mod ledger;
pub mod places;
pub mod proof;
pub mod report;
pub mod sale;

pub use self::catalogue::Catalogue;
pub use self::ledger::Ledger;
pub use self::proof::prove;
pub use self::report::SaleReport;
pub use self::sale::{Resolved, Sale, SaleOutcome, SalePlan, Unknown, resolve};
