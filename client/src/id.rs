//! Request ids.

/// A request id that no other call has: 128 bits from the system's randomness as 32 hexadecimal digits.
///
/// # Panics
/// When the system gives no randomness, which Linux does not do once it has started.
#[must_use]
pub fn request_id() -> String {
    format!("{:016x}{:016x}", random(), random())
}

/// 64 bits from the system's randomness.
pub(crate) fn random() -> u64 {
    getrandom::u64().expect("the system gives randomness")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_fit_and_differ() {
        let ids: HashSet<String> = (0..10_000).map(|_| request_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
}
