//! Tests that cannot hold together: two values for one field, an empty range of numbers, a test and its opposite.

use crate::policy::expression::{Compare, Number, NumberField, Text, TextField, Texts, Truth, path_of};

/// Why the tests can never all hold, if that is seen.
pub(super) fn find(tests: &[Truth]) -> Option<String> {
    if tests.contains(&Truth::Constant(false)) {
        return Some("it says false".to_owned());
    }
    let opposite = |test: &Truth| tests.iter().any(|other| matches!(other, Truth::Not(inner) if **inner == *test));
    if tests.iter().any(opposite) {
        return Some("it asks for something and for its opposite".to_owned());
    }
    texts(tests).or_else(|| numbers(tests))
}

/// What tests leave possible of a text.
struct Possible<'t> {
    field: TextField,
    allowed: Option<Vec<&'t str>>,
    denied: Vec<&'t str>,
}

fn texts(tests: &[Truth]) -> Option<String> {
    let mut fields: Vec<Possible<'_>> = Vec::new();
    for test in tests {
        let Some((field, values, wanted)) = text_test(test) else { continue };
        let at = fields.iter().position(|known| known.field == field).unwrap_or_else(|| {
            fields.push(Possible { field, allowed: None, denied: Vec::new() });
            fields.len() - 1
        });
        let known = &mut fields[at];
        if wanted {
            match &mut known.allowed {
                Some(allowed) => allowed.retain(|value| values.contains(value)),
                none => *none = Some(values),
            }
        } else {
            known.denied.extend(values);
        }
    }
    let empty = fields.iter().find(|known| {
        known.allowed.as_ref().is_some_and(|allowed| allowed.iter().all(|value| known.denied.contains(value)))
    });
    empty.map(|known| format!("its conditions on {} leave no value", path_of(known.field)))
}

/// A field, the values named, and whether it must be one of them or must not.
fn text_test(test: &Truth) -> Option<(TextField, Vec<&str>, bool)> {
    match test {
        Truth::Texts(compare @ (Compare::Equal | Compare::NotEqual), Text::Field(field), Text::Literal(value))
        | Truth::Texts(compare @ (Compare::Equal | Compare::NotEqual), Text::Literal(value), Text::Field(field)) => {
            Some((*field, vec![value], *compare == Compare::Equal))
        }
        Truth::Among(Text::Field(field), Texts::Literal(list)) => {
            let values = list.iter().map(|entry| if let Text::Literal(value) = entry { Some(&**value) } else { None });
            Some((*field, values.collect::<Option<_>>()?, true))
        }
        Truth::Not(inner) => text_test(inner).map(|(field, values, wanted)| (field, values, !wanted)),
        _ => None,
    }
}

fn numbers(tests: &[Truth]) -> Option<String> {
    let mut fields: Vec<(NumberField, i64, i64)> = Vec::new();
    for test in tests {
        let (field, compare, value) = match test {
            Truth::Numbers(compare, Number::Field(field), Number::Literal(value)) => (*field, *compare, *value),
            Truth::Numbers(compare, Number::Literal(value), Number::Field(field)) => (*field, turned(*compare), *value),
            _ => continue,
        };
        let (low, high) = match compare {
            Compare::Equal => (value, value),
            Compare::NotEqual => (i64::MIN, i64::MAX),
            Compare::Less => (i64::MIN, value.saturating_sub(1)),
            Compare::AtMost => (i64::MIN, value),
            Compare::Greater => (value.saturating_add(1), i64::MAX),
            Compare::AtLeast => (value, i64::MAX),
        };
        match fields.iter_mut().find(|(known, _, _)| *known == field) {
            Some((_, least, most)) => (*least, *most) = ((*least).max(low), (*most).min(high)),
            None => fields.push((field, low, high)),
        }
    }
    let empty = fields.iter().any(|(_, low, high)| low > high);
    empty.then(|| "its conditions on a number leave no value".to_owned())
}

/// The same with its sides exchanged.
fn turned(compare: Compare) -> Compare {
    match compare {
        Compare::Less => Compare::Greater,
        Compare::AtMost => Compare::AtLeast,
        Compare::Greater => Compare::Less,
        Compare::AtLeast => Compare::AtMost,
        same @ (Compare::Equal | Compare::NotEqual) => same,
    }
}
