//! Naive bookkeeping in plain maps. It takes the engine's events for the places that were chosen, and judges each by what it knows
//! itself before it follows it. Shares the events, as facts, with the engine, and no code.

mod answers;
mod campaigns;
mod catalogue;
mod orders;
mod returns;
mod rules;
mod selling;
mod stock;
mod supply;
mod upkeep;

pub(crate) use campaigns::Tally;
pub(crate) use orders::{Own, Reservation};
pub(crate) use returns::{Due, Rate, Return, There};
pub(crate) use selling::Share;
pub(crate) use stock::Cell;
pub(crate) use supply::Ahead;

use std::collections::BTreeMap;

use quartermaster_engine::{
    catalog::{ChannelSpec, LocationSpec},
    command::Command,
    event::{Event, Record},
    id::{LocationId, ReservationId, ReturnId, SkuId},
    time::Timestamp,
};

/// `Err` says what must not be.
pub type Judged<T = ()> = Result<T, String>;

/// What must hold, or what is wrong.
macro_rules! must {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}
pub(crate) use must;

/// SKU and location of a cell.
pub(crate) type Place = (SkuId, LocationId);

/// Units by cell.
pub(crate) type Units = BTreeMap<Place, u64>;

/// What should be, by the naive bookkeeping.
#[derive(Default)]
pub struct Model {
    /// The time of what comes next.
    pub now: Timestamp,
    pub(crate) lsn: u64,
    pub(crate) skus: Vec<catalogue::Sku>,
    pub(crate) locations: Vec<LocationSpec>,
    pub(crate) channels: Vec<ChannelSpec>,
    pub(crate) cells: BTreeMap<Place, Cell>,
    pub(crate) reservations: BTreeMap<ReservationId, Reservation>,
    /// Who refused what until when.
    pub(crate) refusals: BTreeMap<Place, Timestamp>,
    pub(crate) selling: selling::Selling,
    /// What comes back, by the return's id.
    pub(crate) came_back: BTreeMap<ReturnId, Return>,
    pub(crate) rates: BTreeMap<SkuId, Rate>,
    pub(crate) freezes: upkeep::Freezes,
    pub(crate) sales: campaigns::Sales,
    pub(crate) expected: supply::Expected,
    pub(crate) ruled: rules::Ruled,
    /// Requests that led to an event: what was asked, and where the event lies.
    remembered: BTreeMap<String, (Command, u64)>,
}

impl Model {
    /// What becomes of this model when only the first `records` of the log are left: the bookkeeping of those, and the answers in them.
    ///
    /// # Errors
    /// When they do not follow from each other.
    pub fn rebuilt(&mut self, records: &[Record]) -> Judged<Self> {
        let mut model = Self::default();
        for record in records {
            model.now = record.time;
            model.record(record)?;
        }
        model.remembered = std::mem::take(&mut self.remembered);
        let last = model.lsn;
        model.remembered.retain(|_, (_, lsn)| *lsn <= last);
        Ok(model)
    }

    /// Judges a record by what was before it, and follows it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn record(&mut self, record: &Record) -> Judged {
        must!(record.time == self.now, "an event of another time: {:?}", record.time);
        self.lsn += 1;
        match &record.event {
            Event::Held(held) => self.held(held),
            Event::Confirmed { claim } => self.confirmed(claim),
            Event::HoldEnded { claim, reason, .. } => self.hold_ended(claim, *reason),
            Event::Cancelled { claim, promise, end, .. } => self.cancelled(claim, *promise, *end),
            Event::Extended { reservation, expires_at } => self.extended(*reservation, *expires_at),
            Event::Shipped { claim, end } => self.shipped(claim, *end),
            Event::Reassigned { reservation, promise, line, from } => {
                self.reassigned(*reservation, *promise, *line, *from)
            }
            Event::Rerouted(moved) => self.rerouted(moved),
            Event::Merged(merged) => merged.moves.iter().try_for_each(|moved| self.rerouted(moved)),
            Event::StockChanged(changed) => self.stock_changed(changed),
            Event::SkusUpserted { skus, .. } => self.skus_upserted(skus),
            Event::SkusRetired { skus } => self.skus_retired(skus),
            Event::LocationsUpserted { locations, .. } => self.locations_upserted(locations),
            Event::ChannelsUpserted { channels, .. } => self.channels_upserted(channels),
            Event::Allotment(event) => self.allotted(event),
            Event::Returns(event) => self.returns(event),
            Event::Upkeep(event) => self.upkeep(event),
            Event::Campaign(event) => self.campaign(event),
            Event::Supply(event) => self.inbound(event),
            Event::Rules(event) => self.rules(event),
            other => Err(format!("nothing here leads to {other:?}")),
        }
    }
}
