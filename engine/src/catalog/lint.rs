//! What is wrong with a document, and what looks wrong, against the network of now.

use quartermaster_sourcing::{
    policy::{self, Finding, Policy, Severity},
    tariff,
};

use super::{Directory, documents::Content, network};
use crate::time::Timestamp;

/// Longest name of a document.
const NAME_BYTES_MAX: usize = 64;

impl Directory {
    /// Looks a document over: what is an error keeps it from being kept or put in force. Errors come first.
    #[must_use]
    pub fn lint(&self, content: &Content, now: Timestamp) -> Vec<Finding> {
        let stage = self.stages().at(now);
        let mut findings = name(content).into_iter().collect::<Vec<_>>();
        match content {
            Content::Policy(document) => findings.extend(policy::lint(document, &self.places(&stage.network), None)),
            Content::Tariff(document) => {
                let checked =
                    tariff::check(std::slice::from_ref(document), stage.network.regions(), &network::places(self));
                let finding = |severity, path, message| Finding { severity, path, message };
                match checked {
                    Ok(warnings) => findings.extend(
                        warnings
                            .into_iter()
                            .map(|found| finding(Severity::Warning, found.path, found.reason.to_string())),
                    ),
                    Err(faults) => findings.extend(
                        faults.into_iter().map(|fault| finding(Severity::Error, fault.path, fault.reason.to_string())),
                    ),
                }
            }
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings
    }
}

fn name(content: &Content) -> Option<Finding> {
    let name = content.name();
    let message = if name.is_empty() || name.len() > NAME_BYTES_MAX {
        format!("has {} bytes: 1 to {NAME_BYTES_MAX} are allowed", name.len())
    } else if name.chars().any(char::is_control) {
        "has a control character; names have none".to_owned()
    } else if matches!(content, Content::Policy(_)) && name == Policy::BUILT_IN_NAME {
        format!("is {name:?}, the name of the policy of orders that no other is for")
    } else {
        return None;
    };
    Some(Finding { severity: Severity::Error, path: "name".into(), message })
}
