//! Safety stock of many levels, and rules that set it and allotments: what can be asked.

use quartermaster_sourcing::rules::RuleSet;

use crate::{fingerprint::Fingerprinter, id::SkuId};

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulesCommand {
    /// Replace the set of stock rules whole. An empty set ends all.
    Put {
        /// The new set.
        set: Box<RuleSet>,
        /// Refuse unless the set in force has this version; 0: there is none yet.
        expected_version: Option<u32>,
    },
    /// Put what the rules say of a SKU in its place. Sent by the timer.
    Settle(SkuId),
}

impl RulesCommand {
    /// Tags 200 to 219 are this file's.
    pub(super) fn fingerprint(&self, hash: &mut Fingerprinter) {
        match self {
            Self::Put { set, expected_version } => {
                hash.tag(200).text(&set.to_json()).number(expected_version.map_or(0, |version| u64::from(version) + 1));
            }
            Self::Settle(sku) => _ = hash.tag(201).number(u64::from(sku.0)),
        }
    }
}
