//! Names of objects. They say what is in them and end with its checksum, so that a listing is a catalogue.

use quartermaster_journal::{LogPosition, Lsn, Piece, PieceStart};

use crate::error::{Damage, Error};
use crate::target::{Object, Target};

pub(crate) const LOG: &str = "log/";
pub(crate) const SNAPSHOTS: &str = "snapshots/";
pub(crate) const BACKUPS: &str = "backups/";
pub(crate) const HISTORY: &str = "history-";

/// CRC-64/NVME of an object's content.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    crc_fast::crc64_nvme(bytes)
}

/// The checksum at the end of a name, before its extension.
pub(crate) fn named_checksum(name: &str) -> Option<u64> {
    let stem = name.rsplit_once('.')?.0;
    hex(stem.rsplit_once('-')?.1)
}

/// The content of an object, which is what its name says.
pub(crate) fn get(target: &dyn Target, name: &str) -> Result<Vec<u8>, Error> {
    let damaged = |problem| Error::Damaged { file: name.to_owned(), problem };
    let bytes = match target.get(name) {
        Err(error) if error.missing => return Err(damaged(Damage::Missing)),
        got => got?,
    };
    if named_checksum(name) == Some(checksum(&bytes)) {
        return Ok(bytes);
    }
    Err(damaged(Damage::Checksum { bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX) }))
}

/// A piece of the log as its name tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PieceName {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) first_lsn: Lsn,
    pub(crate) end: LogPosition,
    pub(crate) bytes: u64,
    pub(crate) name: String,
}

impl PieceName {
    pub(crate) fn of(piece: &Piece) -> PieceName {
        let first_lsn = piece.start.position.lsn.next();
        let (segment, offset) = (piece.start.segment, piece.start.offset);
        let end = piece.end;
        let crc = checksum(&piece.bytes);
        let name = format!(
            "{LOG}{segment:020}-{offset:010}-{:020}-{:020}-{:020}-{:016x}-{crc:016x}.piece",
            first_lsn.get(),
            end.lsn.get(),
            end.batch_index,
            end.chain
        );
        let bytes = u64::try_from(piece.bytes.len()).unwrap_or(u64::MAX);
        PieceName { segment, offset, first_lsn, end, bytes, name }
    }

    pub(crate) fn parse(object: &Object) -> Option<PieceName> {
        let stem = object.name.strip_prefix(LOG)?.strip_suffix(".piece")?;
        let fields: Vec<&str> = stem.split('-').collect();
        let [segment, offset, first, last, batch, chain, crc] = fields[..] else { return None };
        hex(crc)?;
        let end =
            LogPosition { lsn: Lsn::new(last.parse().ok()?), batch_index: batch.parse().ok()?, chain: hex(chain)? };
        let first_lsn = Lsn::new(first.parse().ok()?);
        let (segment, offset): (u64, u64) = (segment.parse().ok()?, offset.parse().ok()?);
        let sane = first_lsn > Lsn::ZERO && first_lsn <= end.lsn && segment > 0 && segment <= end.batch_index;
        sane.then(|| PieceName { segment, offset, first_lsn, end, bytes: object.bytes, name: object.name.clone() })
    }

    /// Where the piece after it begins, in the same segment.
    pub(crate) fn next(&self) -> PieceStart {
        PieceStart { segment: self.segment, offset: self.offset.saturating_add(self.bytes), position: self.end }
    }

    /// Whether `next` goes on where this one ends.
    pub(crate) fn is_followed_by(&self, next: &PieceName) -> bool {
        let same = next.segment == self.segment && next.offset == self.offset.saturating_add(self.bytes);
        let new = next.offset == 0 && self.end.batch_index.checked_add(1) == Some(next.segment);
        (same || new) && self.end.lsn.get().checked_add(1) == Some(next.first_lsn.get())
    }
}

/// Folder of a snapshot: its LSN and the hash that is its identity.
pub(crate) fn snapshot_folder(lsn: u64, identity: u64) -> String {
    format!("{SNAPSHOTS}{lsn:020}-{identity:016x}/")
}

/// Part `number` of a snapshot in `folder`.
pub(crate) fn snapshot_part(folder: &str, number: usize, bytes: &[u8]) -> String {
    format!("{folder}{number:06}-{:016x}.part", checksum(bytes))
}

pub(crate) fn hex(digits: &str) -> Option<u64> {
    let right = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    right.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_and_others_are_not_taken_for_one() {
        let start = PieceStart {
            segment: 4,
            offset: 512,
            position: LogPosition { lsn: Lsn::new(9), batch_index: 5, chain: 7 },
        };
        let end = LogPosition { lsn: Lsn::new(12), batch_index: 6, chain: u64::MAX };
        let name = PieceName::of(&Piece { start, end, bytes: vec![1; 100] });
        let object = Object { name: name.name.clone(), bytes: 100 };
        assert_eq!(PieceName::parse(&object), Some(name.clone()));
        assert_eq!(name.next().offset, 612);
        for wrong in ["log/x.piece", "log/1-2-3-4-5-6-7.piece", "log/.piece", &object.name.replace(".piece", ".tmp")] {
            assert_eq!(PieceName::parse(&Object { name: wrong.to_owned(), bytes: 1 }), None, "{wrong}");
        }
    }
}
