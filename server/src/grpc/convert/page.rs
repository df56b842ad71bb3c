//! Page tokens: where the next page begins, bound to the list and the filter they were made for.
//!
//! A token is 24 hexadecimal digits, 16 of the position and 8 of a hash over list, filter and position. It says nothing to callers,
//! and one that was mistyped or belongs to another list is refused instead of giving a wrong page.

use super::checks::Checks;

/// The list and the filter that tokens are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pages(u64);

impl Pages {
    /// Tokens of `list` under a filter.
    pub(crate) fn of(list: &str, filter: &[&[u8]]) -> Self {
        let seed = mix(0xCBF2_9CE4_8422_2325, list.as_bytes());
        // The lengths keep ("ab", "c") and ("a", "bc") apart.
        Self(filter.iter().fold(seed, |hash, part| mix(mix(hash, &part.len().to_le_bytes()), part)))
    }

    /// The token of the page after `position`.
    pub(crate) fn token(self, position: u64) -> String {
        format!("{position:016x}{:08x}", self.check(position))
    }

    /// The position a token stands for; `None` for the first page.
    pub(crate) fn after(self, checks: &mut Checks, token: &str) -> Option<u64> {
        if token.is_empty() {
            return None;
        }
        let position = token.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let position = position.filter(|position| self.token(*position) == token);
        if position.is_none() {
            checks.refuse(
                "page_token",
                "is not from the page before; send the same filters and the token as it was given",
            );
        }
        position
    }

    fn check(self, position: u64) -> u64 {
        let hash = mix(self.0, &position.to_le_bytes());
        (hash ^ hash >> 32) & 0xFFFF_FFFF
    }
}

/// FNV-1a, 64 bits: enough against mistakes, and nothing here guards against malice.
fn mix(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pages: Pages, token: &str) -> Result<Option<u64>, String> {
        let mut checks = Checks::default();
        let position = pages.after(&mut checks, token);
        checks.finish(position).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_leads_back_to_its_position() {
        let pages = Pages::of("cells", &[b"A"]);
        for position in [0, 1, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(after(pages, &pages.token(position)), Ok(Some(position)));
        }
        assert_eq!(after(pages, ""), Ok(None));
    }

    #[test]
    fn a_token_of_another_list_or_filter_is_refused() {
        let pages = Pages::of("reservations", &[b"ab", b"c"]);
        let token = pages.token(7);
        let upper = Pages::of("reservations", &[b"ab", b"c"]).token(0xABCD).to_uppercase();
        let others = [
            Pages::of("cells", &[b"ab", b"c"]).token(7),
            Pages::of("reservations", &[b"a", b"bc"]).token(7),
            Pages::of("reservations", &[]).token(7),
            token.replacen('7', "8", 1),
            token[..23].into(),
            format!("{token}0"),
            "大衣".into(),
            upper,
        ];
        for other in others {
            let refused = after(pages, &other).unwrap_err();
            assert_eq!(
                refused, "page_token: is not from the page before; send the same filters and the token as it was given",
                "{other}"
            );
        }
    }
}
