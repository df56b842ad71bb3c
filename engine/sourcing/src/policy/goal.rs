//! What a policy aims at, as documents write it: "money", or a list with what counts most first.

use std::fmt;

use quartermaster_routing::Objective;
use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The objective of a policy or a fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal(pub Objective);

const FOUR: &str = r#""money", ["units", "parcels", "cost"], ["units", "cost"] or ["whole_lines", "cost"]"#;

const LISTS: [(&[&str], Objective); 3] = [
    (&["units", "parcels", "cost"], Objective::UnitsParcelsCost),
    (&["units", "cost"], Objective::UnitsCost),
    (&["whole_lines", "cost"], Objective::WholeLinesCost),
];

impl Default for Goal {
    fn default() -> Self {
        Self(Objective::Money)
    }
}

impl Serialize for Goal {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Some((words, _)) = LISTS.iter().find(|(_, objective)| *objective == self.0) else {
            return to.serialize_str("money");
        };
        let mut list = to.serialize_seq(Some(words.len()))?;
        words.iter().try_for_each(|word| list.serialize_element(word))?;
        list.end()
    }
}

impl<'de> Deserialize<'de> for Goal {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(GoalVisitor)
    }
}

struct GoalVisitor;

impl<'de> Visitor<'de> for GoalVisitor {
    type Value = Goal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an objective: {FOUR}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Goal, E> {
        if text == "money" {
            Ok(Goal(Objective::Money))
        } else {
            Err(E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Goal, A::Error> {
        let mut words = Vec::<String>::new();
        while let Some(word) = list.next_element()? {
            if words.len() < LISTS[0].0.len() + 1 {
                words.push(word);
            }
        }
        let known = LISTS.iter().find(|(known, _)| words.iter().map(String::as_str).eq(known.iter().copied()));
        known
            .map(|(_, objective)| Goal(*objective))
            .ok_or_else(|| de::Error::custom(format_args!("the list {words:?} is no objective: expected {FOUR}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_objectives_are_read_and_written_and_no_other() {
        for text in [r#""money""#, r#"["units","parcels","cost"]"#, r#"["units","cost"]"#, r#"["whole_lines","cost"]"#]
        {
            let goal: Goal = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&goal).unwrap(), text);
        }
        for text in
            [r#""units""#, r#"["cost"]"#, r#"["units","parcels"]"#, r#"["units","cost","parcels","x","y"]"#, "3"]
        {
            let error = serde_json::from_str::<Goal>(text).unwrap_err().to_string();
            assert!(error.contains(FOUR), "{error}");
        }
    }
}
