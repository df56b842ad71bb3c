//! How values read as text: sizes as `67108864` or `64MiB`, and the text of flags and environment as values.

use figment::value::Value;

/// Sizes in bytes: an integer, or text with a unit.
pub(super) mod bytes {
    use std::fmt;

    use serde::de::{Error, Unexpected, Visitor};
    use serde::{Deserializer, Serializer};

    const UNITS: [(&str, u64); 5] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("B", 1)];

    /// Shortest exact form: whole units as "64MiB", anything else as bytes.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(in crate::config) fn serialize<S: Serializer>(size: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        let unit = UNITS[..4].iter().rev().find(|(_, unit)| *size >= *unit && size.is_multiple_of(*unit));
        match unit {
            Some((name, unit)) => serializer.collect_str(&format_args!("{}{name}", size / unit)),
            None => serializer.serialize_u64(*size),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(Size)
    }

    struct Size;

    impl Visitor<'_> for Size {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes as a whole number with or without KiB, MiB, GiB or TiB")
        }

        fn visit_u64<E: Error>(self, size: u64) -> Result<u64, E> {
            Ok(size)
        }

        fn visit_i64<E: Error>(self, size: i64) -> Result<u64, E> {
            u64::try_from(size).map_err(|_| E::invalid_value(Unexpected::Signed(size), &self))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            let (digits, unit) = match UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))) {
                Some(found) => found,
                None => (text, 1),
            };
            let number: Option<u64> = digits.trim_end().parse().ok();
            number
                .and_then(|number| number.checked_mul(unit))
                .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
        }
    }
}

/// The value of a flag or of an environment variable: a whole number, true or false where it is one, else text. Keys that are text by nature stay
/// text, so that a directory may be called 2026.
pub(super) fn from_text(key: &str, text: &str) -> Value {
    match text.parse::<u64>() {
        Ok(number) if !is_text(key) => Value::from(number),
        Ok(_) | Err(_) => match text.parse::<bool>() {
            Ok(switch) if !is_text(key) => Value::from(switch),
            Ok(_) | Err(_) => Value::from(text),
        },
    }
}

fn is_text(key: &str) -> bool {
    let ends = ["_dir", "_file", "_url", "_claim", "_issuer", "_audience"];
    matches!(key, "log_level" | "backup_target") || ends.iter().any(|end| key.ends_with(end))
}
