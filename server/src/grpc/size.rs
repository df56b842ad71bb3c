//! The order of sizes: XXS to 6XL as they are worn, then numbers by value, then all others by name.

use std::cmp::Ordering;

/// Letter sizes from small to large.
const LETTERS: [&str; 16] =
    ["XXXS", "3XS", "XXS", "2XS", "XS", "S", "M", "L", "XL", "XXL", "2XL", "XXXL", "3XL", "4XL", "5XL", "6XL"];

/// Compares two sizes. Equal only when they are the same text.
pub(crate) fn order(one: &str, other: &str) -> Ordering {
    key(one).cmp(&key(other)).then_with(|| one.cmp(other))
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Letters(usize),
    Number { whole: u64, fraction: &'a str },
    Name,
}

fn key(size: &str) -> Key<'_> {
    if let Some(place) = LETTERS.iter().position(|letters| letters.eq_ignore_ascii_case(size)) {
        return Key::Letters(place);
    }
    let (whole, fraction) = size.split_once('.').unwrap_or((size, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Key::Name;
    }
    // Fractions compare as texts once the zeros behind them are gone.
    let number = |whole| Key::Number { whole, fraction: fraction.trim_end_matches('0') };
    whole.parse().map_or(Key::Name, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_as_they_are_worn() {
        let sorted = [
            "3XS", "XXS", "xs", "S", "M", "l", "XL", "XXL", "2XL", "XXXL", "3XL", "4XL", "5XL", "6XL", "0", "8", "36",
            "36.5", "37", "100", "", "+5", "7XL", "One Size", "均码",
        ];
        let mut sizes = sorted;
        sizes.reverse();
        sizes.sort_by(|one, other| order(one, other));
        assert_eq!(sizes, sorted);
    }

    #[test]
    fn fractions_compare_by_value() {
        assert_eq!(order("36.5", "36.45"), Ordering::Greater);
        assert_eq!(order("36.50", "36.6"), Ordering::Less);
        assert_ne!(order("36.5", "36.50"), Ordering::Equal);
        assert_eq!(key("99999999999999999999"), Key::Name, "more than 64 bits is a name");
    }
}
