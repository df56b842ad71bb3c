//! The order in which fallbacks are tried: each names the next, or the list does.

use super::check::Errors;
use super::document::Document;
use super::error::Fault;

/// Indexes of the fallbacks in the order in which they are tried. Unknown names and circles are errors, and end the chain.
pub(super) fn resolve(document: &Document, errors: &mut Errors) -> Vec<usize> {
    let count = document.fallbacks.len();
    let first = follow(document, document.next.as_deref(), 0, "next", errors);
    let links = document.fallbacks.iter().enumerate();
    let links = links.map(|(at, fallback)| {
        follow(document, fallback.next.as_deref(), at + 1, &format!("fallbacks[{at}].next"), errors)
    });
    let mut links: Vec<Option<usize>> = links.collect();
    for start in 0..count {
        let mut circle = vec![start];
        while let Some(next) = links[circle[circle.len() - 1]] {
            circle.push(next);
            if next == start || circle.len() > count {
                break;
            }
        }
        if circle.len() > 1 && circle[circle.len() - 1] == start {
            let last = circle[circle.len() - 2];
            let names = circle.iter().map(|at| document.fallbacks[*at].name.clone()).collect();
            errors.add(format!("fallbacks[{last}].next"), Fault::FallbackCycle { names });
            links[last] = None;
        }
    }
    std::iter::successors(first, |at| links[*at]).collect()
}

/// Which fallback `next` names; without a name the one at `following`, if there is one.
fn follow(document: &Document, next: Option<&str>, following: usize, path: &str, errors: &mut Errors) -> Option<usize> {
    let Some(name) = next else { return (following < document.fallbacks.len()).then_some(following) };
    let at = document.fallbacks.iter().position(|fallback| fallback.name == name);
    if at.is_none() {
        errors.add(path, Fault::UnknownFallback { name: name.to_owned() });
    }
    at
}
