//! The statuses the frame itself gives, before a handler is entered or in its place: each with its typed reason as data.

use std::collections::HashMap;
use std::time::Duration;

use quartermaster_proto::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Domain of every `ErrorInfo` of ours.
pub const DOMAIN: &str = "quartermaster";

/// Delay told to callers who were shed: a few group commits.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// Delay told to callers who met a standing queue: time for it to drain, and enough that coming back is no new flood.
const SHED_DELAY: Duration = Duration::from_millis(250);

/// `ErrorInfo.reason` of `reason`: its name without the prefix, for example "OVERLOADED".
pub fn short_name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

/// UNAVAILABLE: the limit with this name and value is reached. Nothing was done.
pub fn overloaded(limit: &'static str, max: u64) -> Status {
    let mut details = info(ErrorReason::Overloaded, [(limit, max.to_string())]);
    details.set_retry_info(Some(RETRY_DELAY));
    let message = format!("the server is full: {limit} is {max}; retry with the same request id");
    Status::with_error_details(Code::Unavailable, message, details)
}

/// UNAVAILABLE: more is asked than can be done, and `bound` is where this call met that. Nothing was done.
///
/// UNAVAILABLE and not RESOURCE_EXHAUSTED, because it is the one code that gateways' stock retry policies send again, here or to another
/// server, and because RESOURCE_EXHAUSTED says of a caller's quota or a full disk that asking again soon is no use.
pub fn shed(bound: &'static str, sentence: &str) -> Status {
    let mut details = info(ErrorReason::Overloaded, [("bound", bound.to_owned())]);
    details.set_retry_info(Some(SHED_DELAY));
    let message = format!("the server is overloaded: {sentence}; retry with the same request id");
    Status::with_error_details(Code::Unavailable, message, details)
}

/// UNAVAILABLE: the server is stopping and ends a stream that has gone quiet. What was asked and not answered has an unknown outcome.
pub fn shutting_down() -> Status {
    let mut details = info(ErrorReason::ShuttingDown, []);
    details.set_retry_info(Some(RETRY_DELAY));
    let message = "the server is stopping; go on elsewhere with the same request ids";
    Status::with_error_details(Code::Unavailable, message, details)
}

/// DEADLINE_EXCEEDED: `time` was not enough.
pub fn deadline(time: Duration) -> Status {
    let details = info(ErrorReason::Deadline, [("deadline_ms", time.as_millis().to_string())]);
    let message = format!(
        "the call took longer than its {} ms; the outcome is unknown: retry with the same request id, or ask GetOutcome",
        time.as_millis()
    );
    Status::with_error_details(Code::DeadlineExceeded, message, details)
}

/// INVALID_ARGUMENT: `field` (of the message, or a header) is not as it must be.
pub fn invalid_field(field: &str, problem: &str) -> Status {
    let mut details = info(ErrorReason::InvalidField, []);
    details.add_bad_request_violation(field, problem);
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {problem}"), details)
}

/// Details that begin with `reason` and its facts.
pub(crate) fn info<const N: usize>(reason: ErrorReason, facts: [(&str, String); N]) -> ErrorDetails {
    let metadata: HashMap<String, String> = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    ErrorDetails::with_error_info(short_name(reason), DOMAIN, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overload_says_when_to_come_back_and_why() {
        let status = overloaded("in_flight_max", 7);
        assert_eq!(status.code(), Code::Unavailable);
        let details = status.get_error_details();
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(RETRY_DELAY));
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("OVERLOADED", DOMAIN));
        assert_eq!(info.metadata["in_flight_max"], "7");
    }
}
