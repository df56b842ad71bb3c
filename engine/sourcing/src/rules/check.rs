//! What a set of stock rules says that cannot be, or that was hardly meant, whatever SKUs there are.

use std::collections::BTreeSet;

use super::{Percent, Rule, RuleScope, RuleSet};
use crate::{
    bits::LocationSet,
    policy::{Finding, Places, Severity, amount},
};

const NAME_BYTES_MAX: usize = 64;
const DESCRIPTION_BYTES_MAX: usize = 4096;
const RULES_MAX: usize = 500;
const WINDOWS_MAX: usize = 500;
const ENTRIES_MAX: usize = 1000;
/// Kinds of location, as `location.kind` says them.
const KINDS: [&str; 5] = ["distribution_centre", "forward_warehouse", "store", "third_party", "supplier"];

struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Error, path: path.into(), message: message.into() });
    }

    fn warn(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Warning, path: path.into(), message: message.into() });
    }

    fn length(&mut self, path: &str, text: &str, most: usize) {
        if text.is_empty() || text.len() > most {
            self.error(path, format!("has {} bytes: 1 to {most} are allowed", text.len()));
        }
    }

    fn count(&mut self, path: &str, count: usize, most: usize) {
        if count > most {
            self.error(path, format!("has {count} entries, the most is {most}"));
        }
    }
}

/// Looks a set over against the places there are. Errors must be put right before it can be put.
#[must_use]
pub fn check(set: &RuleSet, places: &dyn Places) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    if set.description.len() > DESCRIPTION_BYTES_MAX {
        findings.length("description", &set.description, DESCRIPTION_BYTES_MAX);
    }
    findings.count("windows", set.windows.len(), WINDOWS_MAX);
    for (at, window) in set.windows.iter().enumerate() {
        findings.length(&format!("windows[{at}].name"), &window.name, NAME_BYTES_MAX);
        if window.from >= window.until {
            findings.error(format!("windows[{at}].until"), "must be later than from");
        }
        if !set.rules.iter().any(|rule| rule.windows.contains(&window.name)) {
            findings.warn(format!("windows[{at}]"), "no rule names it");
        }
    }
    findings.count("rules", set.rules.len(), RULES_MAX);
    let mut names = BTreeSet::new();
    for (at, rule) in set.rules.iter().enumerate() {
        let path = format!("rules[{at}]");
        findings.length(&format!("{path}.name"), &rule.name, NAME_BYTES_MAX);
        if !names.insert(rule.name.as_str()) {
            findings.error(format!("{path}.name"), format!("the name \"{}\" is taken", rule.name));
        }
        times(set, rule, &path, &mut findings);
        scope(&rule.scope, &path, places, &mut findings);
        effect(rule, &path, places, &mut findings);
    }
    findings.0
}

fn times(set: &RuleSet, rule: &Rule, path: &str, findings: &mut Findings) {
    if let (Some(from), Some(until)) = (rule.from, rule.until)
        && from >= until
    {
        findings.error(format!("{path}.until"), "must be later than from");
    }
    findings.count(&format!("{path}.windows"), rule.windows.len(), ENTRIES_MAX);
    for (at, name) in rule.windows.iter().enumerate() {
        if !set.windows.iter().any(|window| window.name == *name) {
            findings.error(format!("{path}.windows[{at}]"), format!("there is no window \"{name}\""));
        }
    }
}

fn scope(scope: &RuleScope, path: &str, places: &dyn Places, findings: &mut Findings) {
    let lists = [
        ("kinds", &scope.kinds),
        ("locations", &scope.locations),
        ("regions", &scope.regions),
        ("skus", &scope.skus),
        ("styles", &scope.styles),
        ("categories", &scope.categories),
        ("sizes", &scope.sizes),
    ];
    for (list, entries) in lists {
        findings.count(&format!("{path}.scope.{list}"), entries.len(), ENTRIES_MAX);
        for (at, entry) in entries.iter().enumerate() {
            let path = format!("{path}.scope.{list}[{at}]");
            findings.length(&path, entry, NAME_BYTES_MAX);
            match list {
                "kinds" if !KINDS.contains(&entry.as_str()) => {
                    findings.error(path, format!("there is no kind \"{entry}\"; known are {}", KINDS.join(", ")));
                }
                "locations" if places.location(entry).is_none() => {
                    findings.error(path, format!("there is no location \"{entry}\""));
                }
                _ => {}
            }
        }
    }
    findings.count(&format!("{path}.scope.attributes"), scope.attributes.len(), ENTRIES_MAX);
    for (key, values) in &scope.attributes {
        let path = format!("{path}.scope.attributes.{key}");
        findings.count(&path, values.len(), ENTRIES_MAX);
        if values.is_empty() {
            findings.error(path, "names no value");
        }
    }
    if places.count() > 0 && scope.places(places) == LocationSet::default() {
        findings.warn(format!("{path}.scope"), "no location fits it");
    }
}

fn effect(rule: &Rule, path: &str, places: &dyn Places, findings: &mut Findings) {
    let given =
        usize::from(rule.keep.is_some()) + usize::from(rule.allot.is_some()) + usize::from(rule.leave.is_some());
    if given != 1 {
        findings.error(path, format!("must have exactly one of keep, allot and leave; it has {given}"));
    }
    if let Some(keep) = &rule.keep {
        figure(&format!("{path}.keep"), keep.units, keep.percent, keep.formula.as_deref(), true, findings);
    }
    if let Some(allot) = &rule.allot {
        let path = format!("{path}.allot");
        channel(&path, &allot.channel, places, findings);
        figure(&path, allot.units, allot.percent, allot.formula.as_deref(), false, findings);
        percent(&format!("{path}.ceiling_percent"), allot.ceiling_percent, findings);
        if let (Some(share), Some(ceiling)) = (allot.percent, allot.ceiling_percent)
            && ceiling < share
        {
            findings.error(format!("{path}.ceiling_percent"), format!("is {ceiling}, less than the {share} allotted"));
        }
    }
    if let Some(leave) = &rule.leave {
        let path = format!("{path}.leave");
        channel(&path, &leave.channel, places, findings);
        figure(&path, leave.units, leave.percent, leave.formula.as_deref(), false, findings);
    }
}

fn channel(path: &str, code: &str, places: &dyn Places, findings: &mut Findings) {
    if !places.has_channel(code) {
        findings.error(format!("{path}.channel"), format!("there is no channel \"{code}\""));
    }
}

fn percent(path: &str, percent: Option<Percent>, findings: &mut Findings) {
    if let Some(percent) = percent.filter(|percent| *percent > Percent::WHOLE) {
        findings.error(path, format!("is {percent}: 0 to 100 is allowed"));
    }
}

fn figure(
    path: &str,
    units: Option<u32>,
    share: Option<Percent>,
    formula: Option<&str>,
    of_cell: bool,
    findings: &mut Findings,
) {
    let given = usize::from(units.is_some()) + usize::from(share.is_some()) + usize::from(formula.is_some());
    if given != 1 {
        findings.error(path, format!("must have exactly one of units, percent and formula; it has {given}"));
    }
    percent(&format!("{path}.percent"), share, findings);
    if let Some(Err(error)) = formula.map(|text| amount::read(text, of_cell)) {
        findings.error(format!("{path}.formula"), error.to_string());
    }
}
