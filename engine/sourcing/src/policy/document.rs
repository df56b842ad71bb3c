//! The document of a policy: what its author writes in TOML or JSON, and the one way it is written back.

use serde::{Deserialize, Serialize};

use super::error::{DocumentError, Format};
use super::goal::Goal;
use super::prices::Prices;
use super::scope::Scope;
use super::span::Span;

/// A sourcing policy as written. It is well formed; [`Policy::compile`](super::Policy::compile) says whether it makes sense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// 1 to 64 bytes.
    pub name: String,
    /// For its readers, at most 4,096 bytes.
    #[serde(default)]
    pub description: String,
    /// ISO 4217, three capital letters: what every price is in.
    pub currency: String,
    /// Which orders it is for.
    #[serde(default)]
    pub scope: Scope,
    /// What it aims at.
    #[serde(default)]
    pub objective: Goal,
    /// Keeps only candidates for which this CEL expression is true, while no fallback is tried.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// At most so many parcels, while no fallback is tried; at least 1. `None`: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parcels_max: Option<u16>,
    /// May leave units unserved when the request allows it.
    #[serde(default = "yes")]
    pub partial: bool,
    /// Search budget of a step, in nodes; at least 1.
    #[serde(default = "nodes_max")]
    pub nodes_max: u32,
    /// How much of a decision is kept to explain it later.
    #[serde(default)]
    pub record: Record,
    /// A place that turned an order down is not asked again for so long.
    #[serde(default)]
    pub refusal_cooldown: Span,
    /// When orders to one receiver travel together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<Merge>,
    /// The fallback tried when the document's own limits do not serve every unit; `None`: the first of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What things are worth.
    #[serde(default)]
    pub prices: Prices,
    /// What removes candidates.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What makes candidates dearer or cheaper.
    #[serde(default)]
    pub preferences: Vec<Preference>,
    /// What is tried when not every unit is served.
    #[serde(default)]
    pub fallbacks: Vec<Fallback>,
}

/// Removes the candidates for which its expression is true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// 1 to 64 bytes, no two alike.
    pub name: String,
    /// CEL.
    pub exclude: String,
}

/// Prices for the candidates for which its expression is true; below zero they are bonuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preference {
    /// 1 to 64 bytes, no two alike.
    pub name: String,
    /// CEL.
    pub when: String,
    /// Minor units for each parcel. Not with an expression that looks at the SKU.
    #[serde(default)]
    pub parcel_price: i64,
    /// Minor units for each unit.
    #[serde(default)]
    pub unit_price: i64,
}

/// What is tried when the step before cannot serve every unit. The last one tried answers as it is.
///
/// It states its own `where` and `parcels_max`: left out, there are none. `partial` and `objective` are the document's when
/// left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// 1 to 64 bytes, no two alike.
    pub name: String,
    /// Keeps only candidates for which this CEL expression is true.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// At most so many parcels, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parcels_max: Option<u16>,
    /// May leave units unserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<bool>,
    /// What it aims at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Goal>,
    /// Names of rules that do not hold in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_rules: Vec<String>,
    /// The fallback tried after it; `None`: the next of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// When orders to one receiver travel together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// Only with orders of the same channel.
    #[serde(default)]
    pub same_channel: bool,
    /// How long a parcel stays open for others after it was planned.
    pub window: Span,
}

/// How much of a decision is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The whole problem: the decision can be taken again.
    #[default]
    Problem,
    /// What was chosen and what it cost.
    Summary,
}

impl Document {
    /// The longest text that is read, in bytes.
    pub const TEXT_MAX: usize = 256 * 1024;

    /// A document that takes any place and weighs money alone.
    #[must_use]
    pub fn plain(name: &str, currency: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: String::new(),
            currency: currency.to_owned(),
            scope: Scope::default(),
            objective: Goal::default(),
            only: None,
            parcels_max: None,
            partial: yes(),
            nodes_max: nodes_max(),
            record: Record::default(),
            refusal_cooldown: Span::default(),
            merge: None,
            next: None,
            prices: Prices::default(),
            rules: Vec::new(),
            preferences: Vec::new(),
            fallbacks: Vec::new(),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// The text is too long or not such a document; line and column say where.
    pub fn read(text: &str, format: Format) -> Result<Self, DocumentError> {
        if text.len() > Self::TEXT_MAX {
            return Err(DocumentError::TooLong { bytes: text.len() });
        }
        match format {
            Format::Toml => toml::from_str(text).map_err(|error| DocumentError::of_toml(&error, text)),
            Format::Json => serde_json::from_str(text).map_err(|error| DocumentError::of_json(&error)),
        }
    }

    /// Reads JSON when the first letter is a brace, else TOML.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn read_any(text: &str) -> Result<Self, DocumentError> {
        let format = if text.trim_start().starts_with('{') { Format::Json } else { Format::Toml };
        Self::read(text, format)
    }

    /// The canonical text: JSON, every field in the order of this type, what is left out by choice left out.
    ///
    /// # Panics
    /// Never: nothing in a document can fail to be written.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings, numbers and lists are always JSON")
    }
}

fn yes() -> bool {
    true
}

fn nodes_max() -> u32 {
    2000
}
