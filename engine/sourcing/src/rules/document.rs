//! The document of a set of stock rules: what its author writes in TOML or JSON, and the one way it is written back.

use serde::{Deserialize, Serialize};

use super::{Moment, Percent};
use crate::policy::{DocumentError, Format};

/// All stock rules there are. It is well formed; [`check`](super::check()) says whether it makes sense.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// For its readers, at most 4,096 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Spans of time that rules may name, such as the weeks of a campaign.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// The rules. Their order says nothing about safety: the strictest holds. Of several that allot to one channel the first does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// A span of time with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// 1 to 64 bytes. Several spans may share a name: a rule holds in all of them.
    pub name: String,
    /// From then on.
    pub from: Moment,
    /// Until then, not included.
    pub until: Moment,
}

/// A rule: when it holds, for what, and exactly one of `keep`, `allot` and `leave`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// 1 to 64 bytes, no two alike.
    pub name: String,
    /// From then on; left out: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// Until then, not included; left out: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// Names of windows. Given any, the rule holds in these alone, and within `from` and `until`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
    /// What it is for. Left out: all SKUs at all locations.
    #[serde(default, skip_serializing_if = "RuleScope::is_everything")]
    pub scope: RuleScope,
    /// Safety stock at each cell of the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// Units ring-fenced for a channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allot: Option<Allot>,
    /// Units that a channel leaves to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave: Option<Leave>,
}

/// What a rule is for. An empty list asks for nothing; a full one for one of its entries. All that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleScope {
    /// Kinds of location, as policies name them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Location codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<String>,
    /// Regions: a location fits when its region, or one round it, has a code that begins so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// SKU codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skus: Vec<String>,
    /// Style codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub styles: Vec<String>,
    /// Categories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Sizes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<String>,
    /// Attributes that the SKU must have, each with one of the values.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub attributes: std::collections::BTreeMap<String, Vec<String>>,
}

/// Safety stock at each cell: exactly one of the figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Units at each cell: a SKU is one size, so this is per size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u32>,
    /// Of what is on hand at the cell; a started unit counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// CEL, an int; less than 0 is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formula: Option<String>,
}

/// Units ring-fenced for a channel: exactly one of units, percent and formula.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allot {
    /// Channel code.
    pub channel: String,
    /// Units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u32>,
    /// Of what may be sold at the scope's cells, promised or not; a started unit is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// CEL, an int; less than 0 is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formula: Option<String>,
    /// What the channel may be promised at most, of what may be sold at the scope's cells; not less than what is allotted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling_percent: Option<Percent>,
    /// It may take from the shared pool when its own is used up.
    #[serde(default)]
    pub spill_over: bool,
}

/// Units that a channel, and what sells through it, leaves to others: exactly one of units, percent and formula.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// Channel code.
    pub channel: String,
    /// Units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u32>,
    /// Of what may be sold at the scope's cells, promised or not; a started unit counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// CEL, an int; less than 0 is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formula: Option<String>,
}

impl RuleScope {
    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it asks for something of the SKU.
    #[must_use]
    pub fn asks_of_sku(&self) -> bool {
        let lists = [&self.skus, &self.styles, &self.categories, &self.sizes];
        !self.attributes.is_empty() || lists.iter().any(|list| !list.is_empty())
    }
}

impl RuleSet {
    /// The longest text that is read, in bytes.
    pub const TEXT_MAX: usize = 256 * 1024;

    /// Reads JSON when the first letter is a brace, else TOML.
    ///
    /// # Errors
    /// The text is too long or no set of stock rules; line and column say where.
    pub fn read(text: &str) -> Result<Self, DocumentError> {
        let format = if text.trim_start().starts_with('{') { Format::Json } else { Format::Toml };
        if text.len() > Self::TEXT_MAX {
            return Err(DocumentError::TooLong { bytes: text.len() });
        }
        match format {
            Format::Toml => toml::from_str(text).map_err(|error| DocumentError::of_toml(&error, text)),
            Format::Json => serde_json::from_str(text).map_err(|error| DocumentError::of_json(&error)),
        }
    }

    /// The canonical text: JSON, every field in the order of this type, what is left out left out.
    ///
    /// # Panics
    /// Never: nothing in a set can fail to be written.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings, numbers and lists are always JSON")
    }
}
