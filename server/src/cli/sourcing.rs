//! How an order is to be sourced, as flags: the same for `reserve`, `route` and an exchange.

use quartermaster_engine::time::Timestamp;
use quartermaster_proto::v1::{DeliveryMode, Destination, LatLng, LineSourcing, ReserveLine, Sourcing};

use super::lines::{Units, named, wire_time};
use super::show;

/// Where an order goes, and what its plan must keep to.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Sourcing")]
pub(super) struct SourcingArgs {
    /// Have the router decide where the units come from; any of the flags below says the same.
    #[arg(long)]
    sourced: bool,
    /// Region code of the destination.
    #[arg(long, value_name = "CODE")]
    region: Option<String>,
    /// Point of the destination: degrees north and east.
    #[arg(long, value_name = "LAT,LNG", value_parser = point)]
    point: Option<LatLng>,
    /// Service level of the tariffs, for example express.
    #[arg(long, value_name = "NAME")]
    service_level: Option<String>,
    /// Kind of order that policies tell apart.
    #[arg(long, value_name = "NAME")]
    order_type: Option<String>,
    /// Tier of the buyer.
    #[arg(long, value_name = "NAME")]
    tier: Option<String>,
    /// How it reaches the buyer: ship, pickup or same-hour.
    #[arg(long, value_name = "MODE", value_parser = mode)]
    mode: Option<DeliveryMode>,
    /// Location code where it is picked up.
    #[arg(long, value_name = "CODE")]
    pickup: Option<String>,
    /// When it should be there, as 2026-11-11T00:00:00+08:00.
    #[arg(long, value_name = "TIME", value_parser = show::parse_time)]
    wanted: Option<Timestamp>,
    /// At most so many parcels.
    #[arg(long, value_name = "COUNT")]
    parcels_max: Option<i32>,
    /// Name of the policy that decides.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Who receives it: same buyer and same key means same door.
    #[arg(long, value_name = "KEY")]
    receiver: Option<String>,
    /// Open parcels to the same receiver count as paid.
    #[arg(long)]
    join: bool,
    /// Never from this location; may be repeated.
    #[arg(long, value_name = "CODE")]
    never: Vec<String>,
    /// Only from this location; may be repeated.
    #[arg(long, value_name = "CODE")]
    only: Vec<String>,
}

impl SourcingArgs {
    /// The message; none when nothing was asked of the router.
    pub(super) fn message(&self) -> Option<Sourcing> {
        let destination = match (&self.region, self.point) {
            (None, None) => None,
            (region, point) => Some(Destination { region: region.clone().unwrap_or_default(), point }),
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let sourcing = Sourcing {
            destination,
            service_level: text(&self.service_level),
            order_type: text(&self.order_type),
            buyer_tier: text(&self.tier),
            mode: self.mode.unwrap_or_default().into(),
            pickup_location: text(&self.pickup),
            wanted_time: self.wanted.map(wire_time),
            parcels_max: self.parcels_max.unwrap_or(0),
            policy: text(&self.policy),
            receiver_key: text(&self.receiver),
            join_open_parcels: self.join,
        };
        (self.sourced || !self.never.is_empty() || !self.only.is_empty() || sourcing != Sourcing::default())
            .then_some(sourcing)
    }

    /// The line of an order.
    pub(super) fn line(&self, units: &Units) -> ReserveLine {
        let (never_locations, only_locations) = (self.never.clone(), self.only.clone());
        let conditions = LineSourcing { never_locations, only_locations, ..LineSourcing::default() };
        ReserveLine {
            sku: units.sku.clone(),
            quantity: units.quantity,
            location: units.location.clone(),
            sourcing: (conditions != LineSourcing::default()).then_some(conditions),
        }
    }
}

fn mode(text: &str) -> Result<DeliveryMode, String> {
    named(text, "DELIVERY_MODE_", DeliveryMode::from_str_name, "mode: ship, pickup and same-hour are")
}

fn point(text: &str) -> Result<LatLng, String> {
    let read = |text: &str| text.trim().parse().ok();
    let both = text.split_once(',').and_then(|(north, east)| Some((read(north)?, read(east)?)));
    let (latitude, longitude) = both.ok_or_else(|| format!("{text:?} is not LAT,LNG, for example 30.27,120.15"))?;
    Ok(LatLng { latitude, longitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_asked_is_no_sourcing() {
        assert_eq!(SourcingArgs::default().message(), None);
        let asked = SourcingArgs { sourced: true, ..SourcingArgs::default() };
        assert_eq!(asked.message(), Some(Sourcing::default()));
        let asked = SourcingArgs { parcels_max: Some(1), ..SourcingArgs::default() };
        assert_eq!(asked.message().map(|sourcing| sourcing.parcels_max), Some(1));
    }

    #[test]
    fn points_and_modes_are_read() {
        assert_eq!(point("30.25, -120").unwrap(), LatLng { latitude: 30.25, longitude: -120.0 });
        assert!(point("30.25").is_err() && point("north,east").is_err());
        assert_eq!(mode("same-hour"), Ok(DeliveryMode::SameHour));
        assert!(mode("drone").unwrap_err().contains("pickup"));
    }
}
