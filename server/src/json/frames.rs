//! Messages as gRPC frames them: a flag, a length, the bytes.

use bytes::{Buf, Bytes, BytesMut};
use tonic::Status;

/// One byte "compressed", four bytes of length, big endian.
pub(super) const HEADER_BYTES: usize = 5;

/// Appends one message to `framed`, as `encode` writes it.
///
/// # Errors
/// When it is longer than a frame can say.
pub(super) fn write(framed: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), Status> {
    let start = framed.len();
    framed.extend_from_slice(&[0; HEADER_BYTES]);
    encode(framed);
    let length = u32::try_from(framed.len() - start - HEADER_BYTES)
        .map_err(|_| Status::resource_exhausted("a message of 4 GiB or more"))?;
    framed[start + 1..start + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Cuts a stream of bytes into messages.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: BytesMut,
}

impl Frames {
    /// More bytes have arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, if it has arrived.
    ///
    /// # Errors
    /// When it is compressed: that was not asked for.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let Some((header, rest)) = self.buffer.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let [compressed, length @ ..] = *header;
        if compressed != 0 {
            return Err(Status::internal("the answer is compressed"));
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(HEADER_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_any_cut_of_the_bytes() {
        let mut framed = Vec::new();
        for message in ["", "a", "hello"] {
            write(&mut framed, |bytes| bytes.extend_from_slice(message.as_bytes())).unwrap();
        }
        for cut in 0..=framed.len() {
            let mut frames = Frames::default();
            let mut got = Vec::new();
            for part in [&framed[..cut], &framed[cut..]] {
                frames.push(part);
                while let Some(message) = frames.next().unwrap() {
                    got.push(message);
                }
            }
            assert_eq!(got, ["", "a", "hello"], "cut at {cut}");
        }
    }
}
