//! What a message is made of, one field after the other, to be read.
//!
//! It is strict: what is not written the short way (a key of one byte, a varint of nine at most, a length within the message) is
//! nothing here, so that whoever reads can leave it to prost, which knows all ways.

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    /// Bytes of the whole message.
    length: usize,
    /// The message from its beginning on, as far as it is a text: mostly to behind its last text, and one look at all of that costs less than
    /// one at each field.
    text: &'a str,
}

impl<'a> Fields<'a> {
    /// All of `message`.
    #[inline]
    pub(super) fn of(message: &'a [u8]) -> Self {
        let text = std::str::from_utf8(&message[..message.len() - beyond_ascii(message)]);
        let text = text.or_else(|end| std::str::from_utf8(&message[..end.valid_up_to()])).unwrap_or_default();
        Self { bytes: message, length: message.len(), text }
    }

    /// All of `message`, which has no texts.
    #[inline]
    pub(super) fn without_texts(message: &'a [u8]) -> Self {
        Self { bytes: message, length: message.len(), text: "" }
    }

    /// Key of the next field; none at the end. One that is longer than a byte has its top bit set, as no key of ours has.
    #[inline]
    pub(super) fn key(&mut self) -> Option<u8> {
        let (key, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*key)
    }

    /// A number of 63 bits at most.
    #[inline]
    pub(super) fn varint(&mut self) -> Option<u64> {
        let (first, rest) = self.bytes.split_first()?;
        if *first < 0x80 {
            self.bytes = rest;
            return Some(u64::from(*first));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for (place, byte) in self.bytes.iter().enumerate().take(9) {
            value |= u64::from(byte & 0x7F) << (7 * place);
            if *byte < 0x80 {
                self.bytes = &self.bytes[place + 1..];
                return Some(value);
            }
        }
        None
    }

    /// Bytes with their length before them.
    #[inline]
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let (bytes, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(bytes)
    }

    /// The same as a text.
    #[inline]
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let text = self.bytes()?;
        match self.part(text) {
            Some(text) => Some(text),
            None => std::str::from_utf8(text).ok(),
        }
    }

    /// The same as a message.
    #[inline]
    pub(super) fn message(&mut self) -> Option<Fields<'a>> {
        let message = self.bytes()?;
        Some(Fields { bytes: message, length: message.len(), text: self.part(message).unwrap_or_default() })
    }

    /// The bytes that were read last, where they are a part of the text and cut out between its characters.
    #[inline]
    fn part(&self, read: &[u8]) -> Option<&'a str> {
        let end = self.length - self.bytes.len();
        self.text.get(end - read.len()..end)
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
