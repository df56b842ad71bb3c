//! What commands take as arguments and from stdin: units of SKUs, names of enumerations, requests line by line.

use std::io::{self, BufRead};

use prost::Message;
use prost_reflect::DynamicMessage;
use quartermaster_client::Unary;
use quartermaster_engine::time::Timestamp;
use serde::de::DeserializeSeed;

use super::ask::Stop;
use super::output::METHODS;

/// The argument that stands for stdin.
pub(super) const STDIN: &str = "-";

/// Units of a SKU, perhaps at a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Units {
    pub(super) sku: String,
    pub(super) location: String,
    pub(super) quantity: i64,
}

/// Reads SKU=UNITS or SKU@LOCATION=UNITS, from the right: codes may have any character.
pub(super) fn units(text: &str) -> Result<Units, String> {
    let wrong = || format!("{text:?} is not SKU=UNITS or SKU@LOCATION=UNITS");
    let (place, quantity) = text.rsplit_once('=').ok_or_else(wrong)?;
    let (sku, location) = place.rsplit_once('@').unwrap_or((place, ""));
    let quantity = quantity.parse().map_err(|_| wrong())?;
    Ok(Units { sku: sku.to_owned(), location: location.to_owned(), quantity })
}

/// A value of an enumeration by its name without the prefix, whatever its case.
pub(super) fn named<T>(text: &str, prefix: &str, read: impl Fn(&str) -> Option<T>, what: &str) -> Result<T, String> {
    let name = text.to_uppercase().replace('-', "_");
    read(&format!("{prefix}{name}")).filter(|_| name != "UNSPECIFIED").ok_or_else(|| format!("{text:?} is no {what}"))
}

/// A time as messages carry it.
pub(super) fn wire_time(at: Timestamp) -> prost_types::Timestamp {
    let seconds = i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(at.0 % 1_000_000 * 1_000).unwrap_or(0);
    prost_types::Timestamp { seconds, nanos }
}

/// Requests of one method from lines: a JSON object each, or, when `plain` takes it, a word that stands for one. Empty lines are passed over.
pub(super) fn requests<Q: Unary>(
    input: impl BufRead,
    plain: impl Fn(&str) -> Option<Q>,
) -> impl Iterator<Item = Result<Q, Stop>> {
    let descriptor = METHODS.find(Q::PATH).map(|id| METHODS.get(id).descriptor.input());
    input.lines().enumerate().filter_map(move |(at, line)| {
        let wrong = |what: &str| Stop::Unusable(format!("line {} of stdin: {what}", at + 1));
        let line = match line {
            Ok(line) => line,
            Err(error) => return Some(Err(wrong(&error.to_string()))),
        };
        let text = line.trim();
        if text.is_empty() {
            return None;
        }
        if !text.starts_with('{') {
            return Some(plain(text).ok_or_else(|| wrong("neither a JSON object nor an id")));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let message = descriptor.clone()?.deserialize(&mut json).and_then(|message| json.end().map(|()| message));
        Some(
            message
                .map_err(|error| wrong(&error.to_string()))
                .and_then(|message| typed(&message).map_err(|()| wrong("no such message"))),
        )
    })
}

fn typed<Q: Unary>(message: &DynamicMessage) -> Result<Q, ()> {
    Q::decode(message.encode_to_vec().as_slice()).map_err(|_| ())
}

/// Stdin, read line by line.
pub(super) fn stdin() -> impl BufRead {
    io::stdin().lock()
}

#[cfg(test)]
mod tests {
    use quartermaster_proto::v1::{Bucket, ConfirmRequest, ReserveRequest};

    use super::*;

    #[test]
    fn units_are_read_from_the_right() {
        let line = Units { sku: "a@b=c".into(), location: "L1".into(), quantity: 2 };
        assert_eq!(units("a@b=c@L1=2"), Ok(line));
        assert!(units("A").is_err() && units("A=x").is_err());
    }

    #[test]
    fn names_are_read_without_prefix_and_case() {
        let bucket = |text: &str| named(text, "BUCKET_", Bucket::from_str_name, "bucket");
        assert_eq!(bucket("quality-control"), Ok(Bucket::QualityControl));
        assert!(bucket("unspecified").is_err() && bucket("shelf").is_err());
    }

    #[test]
    fn lines_are_requests_and_a_wrong_one_is_named() {
        let id = |text: &str| Some(ConfirmRequest { reservation_id: text.into(), ..ConfirmRequest::default() });
        let text = "R1\n\n{\"requestId\":\"c2\",\"reservationId\":\"R2\"}\n";
        let read: Vec<ConfirmRequest> = requests(text.as_bytes(), id).map(|one| one.unwrap()).collect();
        assert_eq!((read[0].reservation_id.as_str(), read[1].request_id.as_str(), read.len()), ("R1", "c2", 2));

        let wrong = |text: &'static str| match requests::<ReserveRequest>(text.as_bytes(), |_| None).last().unwrap() {
            Err(Stop::Unusable(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(wrong("{}\n{\"lins\":[]}").contains("line 2 of stdin: unrecognized field name 'lins'"));
        assert!(wrong("R1").contains("neither a JSON object nor an id"));
    }
}
