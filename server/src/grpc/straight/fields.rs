//! What a message is made of, one field after the other, to be read.
//!
//! It is strict: what is not written the short way (a key of one byte, a varint of nine at most, a length within the message) is
//! nothing here, so that whoever reads can leave it to prost, which knows all ways.

use std::{mem, ops::Range};

/// A message that is being read. One within another is read where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    /// Everything up to the end of the message.
    bytes: &'a [u8],
    /// What is read next.
    at: usize,
    /// The bytes from their beginning on, as far as they are a text: mostly to behind its last text, and one look at all of that costs less than
    /// one at each field.
    text: &'a str,
}

impl<'a> Fields<'a> {
    /// All of `message`.
    #[inline]
    pub(super) fn of(message: &'a [u8]) -> Self {
        let text = std::str::from_utf8(&message[..message.len() - beyond_ascii(message)]);
        let text = text.or_else(|end| std::str::from_utf8(&message[..end.valid_up_to()])).unwrap_or_default();
        Self { bytes: message, at: 0, text }
    }

    /// All of `message`, which has no texts.
    #[inline]
    pub(super) fn without_texts(message: &'a [u8]) -> Self {
        Self { bytes: message, at: 0, text: "" }
    }

    /// Key of the next field; none at the end. One that is longer than a byte has its top bit set, as no key of ours has.
    #[inline]
    pub(super) fn key(&mut self) -> Option<u8> {
        let key = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(key)
    }

    /// A number of 63 bits at most.
    #[inline]
    pub(super) fn varint(&mut self) -> Option<u64> {
        let first = *self.bytes.get(self.at)?;
        if first < 0x80 {
            self.at += 1;
            return Some(first.into());
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for (place, byte) in self.bytes[self.at..].iter().enumerate().take(9) {
            value |= u64::from(byte & 0x7F) << (7 * place);
            if *byte < 0x80 {
                self.at += place + 1;
                return Some(value);
            }
        }
        None
    }

    /// Goes past what has its length before it, and gives from where to where that stands.
    #[inline]
    fn delimited(&mut self) -> Option<Range<usize>> {
        let length = usize::try_from(self.varint()?).ok()?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        Some(mem::replace(&mut self.at, end)..end)
    }

    /// Bytes with their length before them.
    #[inline]
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        self.delimited().map(|place| &self.bytes[place])
    }

    /// The same as a text.
    #[inline]
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let place = self.delimited()?;
        // Cut out between characters, or not a part of what is known as a text.
        self.text.get(place.clone()).or_else(|| std::str::from_utf8(&self.bytes[place]).ok())
    }

    /// The same as a message.
    #[inline]
    pub(super) fn message(&mut self) -> Option<Fields<'a>> {
        let place = self.delimited()?;
        Some(Fields { bytes: &self.bytes[..place.end], at: place.start, text: self.text })
    }
}

/// How much of a message's end is left when it is cut before what is not ASCII in its last bytes: long numbers, which mostly stand behind all
/// texts. So the text before them is found at first look.
#[inline]
fn beyond_ascii(message: &[u8]) -> usize {
    let Some((_, last)) = message.split_last_chunk() else { return 0 };
    let marks = u64::from_be_bytes(*last) & 0x8080_8080_8080_8080;
    usize::try_from(u64::BITS - marks.leading_zeros()).unwrap_or_default().div_ceil(8)
}
