//! Codes in expressions that name nothing there is.

use super::{Findings, Severity};
use crate::policy::expression::{ListField, Text, TextField, Texts, Truth};
use crate::policy::facts::Places;

const KINDS: [&str; 5] = ["distribution_centre", "forward_warehouse", "store", "third_party", "supplier"];
const MODES: [&str; 3] = ["ship", "pickup", "same_hour"];
const CAPABILITIES: [&str; 4] = ["ship", "pickup", "same_hour", "dangerous_goods"];

/// What a field's values name.
#[derive(Clone, Copy)]
enum Meaning {
    Kind,
    Mode,
    Capability,
    Place,
    Region,
    Channel,
}

pub(super) fn look(truth: &Truth, path: &str, places: &dyn Places, findings: &mut Findings) {
    truth.visit(&mut |part| match part {
        Truth::Texts(_, Text::Field(field), Text::Literal(code))
        | Truth::Texts(_, Text::Literal(code), Text::Field(field)) => {
            check(of_text(*field), code, path, places, findings);
        }
        Truth::Among(Text::Field(field), Texts::Literal(list)) => {
            for entry in list {
                if let Text::Literal(code) = entry {
                    check(of_text(*field), code, path, places, findings);
                }
            }
        }
        Truth::Among(Text::Literal(code), Texts::Field(field)) => {
            let meaning = match field {
                ListField::OrderRegions | ListField::LocationRegions => Meaning::Region,
                ListField::LocationCapabilities => Meaning::Capability,
                ListField::LocationChannels => Meaning::Channel,
            };
            check(Some(meaning), code, path, places, findings);
        }
        _ => {}
    });
}

fn of_text(field: TextField) -> Option<Meaning> {
    match field {
        TextField::OrderChannel => Some(Meaning::Channel),
        TextField::OrderMode => Some(Meaning::Mode),
        TextField::OrderRegion | TextField::LocationRegion => Some(Meaning::Region),
        TextField::LocationCode => Some(Meaning::Place),
        TextField::LocationKind => Some(Meaning::Kind),
        _ => None,
    }
}

fn check(meaning: Option<Meaning>, code: &str, path: &str, places: &dyn Places, findings: &mut Findings) {
    let Some(meaning) = meaning.filter(|_| !code.is_empty()) else { return };
    let (noun, known) = match meaning {
        Meaning::Kind => ("kind of place", KINDS.contains(&code)),
        Meaning::Mode => ("mode", MODES.contains(&code)),
        Meaning::Capability => ("capability", CAPABILITIES.contains(&code)),
        Meaning::Place => ("place", places.location(code).is_some()),
        Meaning::Region => ("region", places.has_region(code)),
        Meaning::Channel => ("channel", places.has_channel(code)),
    };
    if !known {
        findings.add(Severity::Error, path, format!("there is no {noun} \"{code}\""));
    }
}
