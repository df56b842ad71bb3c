//! The ids of an order and of its buyer in 32 bytes, on the heap only when both together are longer than 29.

use crate::id::usize_from;

/// Bytes that both may have together to stand inline: what 32 leave beside the two lengths and what tells that it is so.
const INLINE: usize = 29;

/// Two texts.
#[derive(Clone, Debug)]
pub(super) enum Texts {
    Inline {
        order: u8,
        buyer: u8,
        bytes: [u8; INLINE],
    },
    /// One after the other; the first ends there.
    Heap {
        order: u32,
        both: Box<str>,
    },
}

impl Texts {
    pub(super) fn new(order: &str, buyer: &str) -> Self {
        let (order_bytes, buyer_bytes) = (order.as_bytes(), buyer.as_bytes());
        let mut bytes = [0; INLINE];
        let ends = (u8::try_from(order_bytes.len()), u8::try_from(buyer_bytes.len()));
        if let (Ok(order), Ok(buyer)) = ends
            && let Some((own, rest)) = bytes.split_at_mut_checked(usize::from(order))
            && let Some(other) = rest.get_mut(..usize::from(buyer))
        {
            own.copy_from_slice(order_bytes);
            other.copy_from_slice(buyer_bytes);
            return Self::Inline { order, buyer, bytes };
        }
        let end = u32::try_from(order.len()).expect("Invariant: an id is far below 4 GiB");
        let mut both = String::with_capacity(order.len() + buyer.len());
        both.push_str(order);
        both.push_str(buyer);
        Self::Heap { order: end, both: both.into() }
    }

    pub(super) fn order_id(&self) -> &str {
        match self {
            Self::Inline { order, bytes, .. } => text(&bytes[..usize::from(*order)]),
            Self::Heap { order, both } => &both[..usize_from(*order)],
        }
    }

    pub(super) fn buyer_id(&self) -> &str {
        match self {
            Self::Inline { order, buyer, bytes } => text(&bytes[usize::from(*order)..][..usize::from(*buyer)]),
            Self::Heap { order, both } => &both[usize_from(*order)..],
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("Invariant: these bytes were a text")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn they_take_32_bytes() {
        assert_eq!(size_of::<Texts>(), 32);
    }

    #[test]
    fn texts_of_29_bytes_stand_inline() {
        for (order, buyer, inline) in [
            (0, 0, true),
            (16, 10, true),
            (29, 0, true),
            (0, 29, true),
            (15, 15, false),
            (36, 0, false),
            (0, 300, false),
        ] {
            let texts = Texts::new(&"o".repeat(order), &"b".repeat(buyer));
            assert_eq!(matches!(texts, Texts::Inline { .. }), inline, "{order} {buyer}");
        }
    }

    proptest! {
        /// What was put in comes out, in whatever script.
        #[test]
        fn both_come_out_as_they_were(order in ".{0,24}", buyer in ".{0,24}") {
            let texts = Texts::new(&order, &buyer);
            prop_assert_eq!((texts.order_id(), texts.buyer_id()), (&*order, &*buyer));
        }
    }
}
