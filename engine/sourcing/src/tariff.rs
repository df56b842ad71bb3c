//! Tariffs as carriers publish them: the document, in TOML or JSON.
//!
//! `tariff/check.rs` says what is wrong with documents, `tariff/table.rs` makes them quick to ask.

use serde::{Deserialize, Serialize};

mod check;
mod table;

pub use check::{TariffFault, TariffReason, TariffWarning, TariffWarningReason, check};
pub(crate) use table::{NO_COLUMN, NO_ROW, Table};

/// The longest transit, in minutes: 60 days.
pub const TRANSIT_MINUTES_MAX: u32 = 60 * 24 * 60;

/// Pairs of an origin and a destination that the rates of one service may name.
pub const RATE_PAIRS_MAX: usize = 1 << 20;

/// The tariffs of one or more services. All prices are minor units of its currency.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TariffDocument {
    /// For people, for example "SF 2027".
    pub name: String,
    /// ISO 4217, three capital letters; one for all documents of a network.
    pub currency: String,
    /// What the carriers offer.
    #[serde(default)]
    pub services: Vec<ServiceSpec>,
}

/// One service of a carrier.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// Unique over all documents.
    pub code: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Carrier code, or empty.
    #[serde(default)]
    pub carrier: String,
    /// What orders ask for, for example "express"; or empty.
    #[serde(default)]
    pub service_level: String,
    /// Codes of the places it fetches from; none: every place that ships.
    #[serde(default)]
    pub locations: Vec<String>,
    /// Cubic centimetres that are billed as a kilogram, for example 6000; 0: the actual weight only.
    #[serde(default)]
    pub volumetric_divisor: u32,
    /// The heaviest parcel by billed weight, 1 to 2^40; none: any.
    #[serde(default)]
    pub weight_max_grams: Option<u64>,
    /// The longest side of any unit, at least 1; none: any.
    #[serde(default)]
    pub side_max_mm: Option<u32>,
    /// Whether it carries dangerous goods.
    #[serde(default)]
    pub dangerous_goods: bool,
    /// Temperature classes carried, "ambient" for goods without a class; none: goods without a class only.
    #[serde(default)]
    pub temperatures: Vec<String>,
    /// Prices, at least one.
    #[serde(default)]
    pub rates: Vec<RateSpec>,
}

/// What a service asks from some regions to others over some distance.
///
/// Of the rates whose origins and destinations contain the two ends, those with the most specific destination apply, of these those with
/// the most specific origin (the deeper region is the more specific, anywhere the least), of these the one whose band holds the distance.
/// There is no way back to a less specific one: where the bands of the most specific end, the service ends.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSpec {
    /// Region codes; none: from anywhere, also from places outside every region.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Region codes; none: to anywhere, also to destinations outside every region.
    #[serde(default)]
    pub destinations: Vec<String>,
    /// The band holds distances from here, itself included.
    #[serde(default)]
    pub distance_from_metres: u32,
    /// The band ends before this distance; none: it does not end.
    #[serde(default)]
    pub distance_to_metres: Option<u32>,
    /// Covered by the first price (首重), 1 to 2^40.
    pub first_weight_grams: u64,
    /// Up to the first weight, 0 to 2^40.
    pub first_price: i64,
    /// Each started step above the first weight (续重), up to 2^40; 0 with a step price of 0: the first price covers any weight.
    #[serde(default)]
    pub step_weight_grams: u64,
    /// Added for each started step, 0 to 2^40.
    #[serde(default)]
    pub step_price: i64,
    /// From departure to arrival, up to 60 days.
    #[serde(default)]
    pub transit_minutes: u32,
    /// Started steps of the whole distance, from zero, cost [`RateSpec::distance_step_price`] each; 0: the distance adds nothing.
    #[serde(default)]
    pub distance_step_metres: u32,
    /// Added to the first price for each started step of distance, 0 to 2^40.
    #[serde(default)]
    pub distance_step_price: i64,
}

impl RateSpec {
    /// Whether one must know the distance to apply it.
    #[must_use]
    pub fn needs_distance(&self) -> bool {
        self.distance_from_metres > 0 || self.distance_to_metres.is_some() || self.distance_step_price > 0
    }
}

/// A text that is no tariff document.
#[derive(Debug, thiserror::Error)]
pub enum TariffTextError {
    /// As TOML.
    #[error("no tariff document in TOML: {0}")]
    Toml(Box<toml::de::Error>),
    /// As JSON.
    #[error("no tariff document in JSON: {0}")]
    Json(serde_json::Error),
}

impl TariffDocument {
    /// Reads TOML.
    ///
    /// # Errors
    /// No TOML, a field that is unknown, missing or of another type. What the fields say is for [`check()`].
    pub fn from_toml(text: &str) -> Result<Self, TariffTextError> {
        toml::from_str(text).map_err(|error| TariffTextError::Toml(Box::new(error)))
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// As [`TariffDocument::from_toml`].
    pub fn from_json(text: &str) -> Result<Self, TariffTextError> {
        serde_json::from_str(text).map_err(TariffTextError::Json)
    }

    /// The canonical text: JSON without spaces, every field, in the order of the types here. Equal documents give equal texts.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, integers and lists always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        name = "City"
        currency = "CNY"
        [[services]]
        code = "std"
        temperatures = ["ambient", "frozen"]
        [[services.rates]]
        destinations = ["31"]
        first_weight_grams = 1000
        first_price = 800
        step_weight_grams = 500
        step_price = 150
        distance_to_metres = 50000
    "#;

    #[test]
    fn toml_and_json_say_the_same() {
        let document = TariffDocument::from_toml(TEXT).unwrap();
        let rate = &document.services[0].rates[0];
        assert_eq!((rate.first_price, rate.step_weight_grams, rate.distance_to_metres), (800, 500, Some(50_000)));
        assert_eq!((rate.transit_minutes, document.services[0].weight_max_grams), (0, None));
        let json = document.to_json();
        assert!(
            json.starts_with(r#"{"name":"City","currency":"CNY","services":[{"code":"std","name":"","carrier":"","#),
            "{json}"
        );
        assert_eq!(TariffDocument::from_json(&json).unwrap(), document);
    }

    #[test]
    fn what_is_unknown_or_missing_is_refused() {
        let unknown = TEXT.replace("first_price", "frist_price");
        assert!(TariffDocument::from_toml(&unknown).unwrap_err().to_string().contains("frist_price"));
        assert!(TariffDocument::from_toml("name = 1").is_err());
        assert!(TariffDocument::from_json(r#"{"name":"n"}"#).unwrap_err().to_string().contains("currency"));
        let negative = r#"{"name":"","currency":"CNY","services":[{"code":"s","volumetric_divisor":-1}]}"#;
        assert!(matches!(TariffDocument::from_json(negative), Err(TariffTextError::Json(_))));
    }
}
