//! Decisions: pure functions of the locked state, the command and `now`. They change nothing.

pub(crate) mod allotment;
pub(crate) mod brief;
pub(crate) mod campaign;
pub(crate) mod catalogue;
pub(crate) mod directory;
pub(crate) mod kits;
pub(crate) mod lifecycle;
pub(crate) mod merge;
pub(crate) mod plain;
pub(crate) mod reroute;
pub(crate) mod reserve;
pub(crate) mod returns;
pub(crate) mod rules;
pub(crate) mod selection;
pub(crate) mod sourcing;
pub(crate) mod stock;
pub(crate) mod supply;
pub(crate) mod upkeep;

use quartermaster_journal::Lsn;

use crate::{
    catalog::Directory,
    error::{Error, Rejection},
    event::Event,
    id::LocationId,
};

/// What a decision comes to.
#[derive(Debug)]
pub(crate) enum Decision {
    /// This shall happen.
    Event(Event),
    /// A business "no", and the newest event it rests on.
    Rejected(Rejection, Lsn),
    /// Nothing to do: an expiry that is not due.
    Nothing,
}

/// The location with this code.
pub(crate) fn location(directory: &Directory, code: &str) -> Result<LocationId, Error> {
    directory.location(code).ok_or_else(|| Error::UnknownLocation { code: code.into() })
}
