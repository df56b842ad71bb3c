//! Several tagged byte strings as one: how an input holds a sequence of calls, records or sections.
//!
//! A piece is its tag (a byte), its length (two bytes, little endian) and that many bytes; the last one may be cut short. Every input
//! can be read, so that a mutation of bytes anywhere is a mutation of pieces too.

/// Longest piece: what its length can say.
const PIECE_BYTES_MAX: usize = 0xFFFF;

/// A tagged byte string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it is, as its target understands it.
    pub tag: u8,
    /// The bytes, 65,535 at most.
    pub bytes: Vec<u8>,
}

/// Reads all pieces of an input; what is left over at its end is the last one.
pub fn read(mut input: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while let [tag, low, high, rest @ ..] = input {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (bytes, after) = rest.split_at(length);
        pieces.push(Piece { tag: *tag, bytes: bytes.to_vec() });
        input = after;
    }
    pieces
}

/// Writes pieces as an input. Bytes past the longest piece are left out.
pub fn write(pieces: &[Piece]) -> Vec<u8> {
    let mut input = Vec::new();
    for piece in pieces {
        let bytes = &piece.bytes[..piece.bytes.len().min(PIECE_BYTES_MAX)];
        input.push(piece.tag);
        input.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
        input.extend_from_slice(bytes);
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_read_back_and_every_cut_reads_as_something() {
        let piece = |tag, bytes: &[u8]| Piece { tag, bytes: bytes.to_vec() };
        let pieces = [piece(1, b"one"), piece(0, b""), piece(255, &[7; 300])];
        let input = write(&pieces);
        assert_eq!(read(&input), pieces);
        for cut in 0..input.len() {
            assert!(read(&input[..cut]).len() <= pieces.len());
        }
    }
}
