//! A log in pieces, for copies of it elsewhere: runs of whole batches cut out of segment files, and what is needed to put them together
//! again into files that open as a log.
//!
//! A piece is bytes of one segment, from a boundary between batches to another; the first of a segment begins with its header. Laid one
//! behind the other, the pieces of a segment are the segment without the zeros at its end. Every byte of a piece is under a checksum, and
//! the chain says that nothing is missing between two pieces.

use crate::directory::Directory;
use crate::error::{Damage, Error};
use crate::frame::{self, BatchHeader};
use crate::journal::Journal as _;
use crate::layout::{disk_length, memory_length, put_u32, sector_aligned};
use crate::log::Log;
use crate::lsn::Lsn;
use crate::reader::{Batch, LogPosition};
use crate::segment::{self, SEGMENT_HEADER_BYTES, SegmentInfo};
use crate::storage::Storage;

/// File that marks a directory whose restore has not ended. No log is opened for writing beside it.
pub const UNFINISHED_RESTORE: &str = "RESTORE-UNFINISHED";

/// Where a piece begins, which is where the one before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceStart {
    /// Index of the first batch of the segment, which names its file.
    pub segment: u64,
    /// Place in the file in bytes; 0 for a piece that begins with the header.
    pub offset: u64,
    /// Where the log stood before its first batch.
    pub position: LogPosition,
}

/// A run of whole batches of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub start: PieceStart,
    /// Where the log stands after its last batch.
    pub end: LogPosition,
    /// The bytes of the file.
    pub bytes: Vec<u8>,
}

impl Piece {
    /// Where the next piece begins, unless the log goes on in another segment.
    pub fn next(&self) -> PieceStart {
        PieceStart {
            segment: self.start.segment,
            offset: self.start.offset + disk_length(self.bytes.len()),
            position: self.end,
        }
    }
}

/// Whether a log goes on from a place that a copy of it has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// It does: what the copy holds is the past of this log.
    Yes,
    /// The log no longer holds what came next. Whether it is the same one, only its name can tell.
    TrimmedBeyond,
    /// It does not: another log, or one that was taken back to an earlier point and went on differently.
    No,
}

/// Why bytes are no piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged at byte {offset}: {damage}")]
pub struct PieceFault {
    /// Where in the piece.
    pub offset: u64,
    /// What is wrong there.
    pub damage: Damage,
}

impl<S: Storage> Log<S> {
    /// Where the first piece begins that a copy needs in order to hold everything from `needed_from` on: the start of the segment that
    /// holds it, or of the oldest there is.
    pub fn piece_start(&self, needed_from: Lsn) -> PieceStart {
        let segments = self.segments();
        let holds = segments.iter().rfind(|segment| segment.first_lsn <= needed_from);
        let segment = holds.or(segments.first()).expect("Invariant: an open log has a current segment");
        start_of(segment)
    }

    /// The piece that begins at `from`, of `bytes_max` bytes at most (a batch that is longer comes alone), ending with records at or
    /// before `synced`, which the caller has seen [`Log::sync`] to. Nothing when no batch follows. Reads the file as it is asked: whoever
    /// wants pieces must keep the log from being trimmed meanwhile.
    ///
    /// # Errors
    /// [`Error::Gap`] when it was trimmed all the same; [`Error::Damaged`]; what the disk reports.
    pub fn piece(&self, from: &PieceStart, bytes_max: usize, synced: Lsn) -> Result<Option<Piece>, Error> {
        let mut from = *from;
        while from.position.lsn < synced.min(self.durable_lsn()) {
            let segments = self.segments();
            let next = segments.iter().find(|segment| segment.first_index == from.position.batch_index + 1);
            match self.read_piece(&from, bytes_max, synced)? {
                Some(piece) => return Ok(Some(piece)),
                // A segment of this place that holds nothing ends here.
                None => match next {
                    Some(next) if next.first_index != from.segment && start_of(next).position == from.position => {
                        from = start_of(next);
                    }
                    _ => return Err(self.no_piece(&from, &segments)),
                },
            }
        }
        Ok(None)
    }

    /// Whether this log goes on where a copy ends.
    ///
    /// # Errors
    /// What the disk reports.
    pub fn follows(&self, end: &PieceStart) -> Result<Follows, Error> {
        let own = self.position();
        let answer = |same: bool| if same { Follows::Yes } else { Follows::No };
        if end.position.batch_index >= own.batch_index {
            return Ok(answer(end.position == own));
        }
        let next = end.position.batch_index + 1;
        let segments = self.segments();
        let Some(holder) = segments.iter().rfind(|segment| segment.first_index <= next) else {
            return Ok(Follows::TrimmedBeyond);
        };
        if holder.first_index == next {
            return Ok(answer(start_of(holder).position == end.position));
        }
        if holder.first_index != end.segment {
            return Ok(Follows::No);
        }
        match self.read_header(end)? {
            None => Ok(Follows::TrimmedBeyond),
            Some(header) => Ok(answer(is_next(&header, &end.position))),
        }
    }

    fn read_header(&self, at: &PieceStart) -> Result<Option<BatchHeader>, Error> {
        let directory = &self.shared.directory;
        let file = match directory.open_read_only(&segment::file_name(at.segment)) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = [0; frame::BATCH_HEADER_BYTES];
        if file.length()? < at.offset + disk_length(bytes.len()) {
            return Ok(None);
        }
        file.read_at(&mut bytes, at.offset)?;
        Ok(Some(frame::read_header(&bytes)))
    }

    fn read_piece(&self, from: &PieceStart, bytes_max: usize, synced: Lsn) -> Result<Option<Piece>, Error> {
        let directory: &Directory<S> = &self.shared.directory;
        let file = match directory.open_read_only(&segment::file_name(from.segment)) {
            // Trimmed: what was wanted of it, the caller finds out by what follows.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let rest = memory_length(file.length()?.saturating_sub(from.offset));
        let begins = if from.offset == 0 { SEGMENT_HEADER_BYTES } else { 0 };
        let mut wanted = sector_aligned(bytes_max.max(begins + frame::BATCH_HEADER_BYTES)).min(rest);
        loop {
            let mut bytes = vec![0; wanted];
            file.read_at(&mut bytes, from.offset)?;
            let (length, end) = whole_batches(&bytes, begins, from.position, synced);
            if length > begins {
                bytes.truncate(length);
                return Ok(Some(Piece { start: *from, end, bytes }));
            }
            // The first batch may be longer than a piece is meant to be.
            let Some(head) = bytes.get(begins..).filter(|head| frame::has_magic(head)) else { return Ok(None) };
            let needed = begins + frame::read_header(head).padded_bytes();
            if needed <= wanted || needed > rest {
                return Ok(None);
            }
            wanted = needed;
        }
    }

    fn no_piece(&self, from: &PieceStart, segments: &[SegmentInfo]) -> Error {
        let (wanted, first) = (from.position.lsn.next(), segments.first().map_or(Lsn::ZERO, |first| first.first_lsn));
        let directory = &self.shared.directory;
        if first > wanted {
            return Error::Gap { directory: directory.path(), wanted, first };
        }
        let file = directory.path_of(&segment::file_name(from.segment));
        Error::Damaged { file, offset: from.offset, expected_lsn: wanted, damage: Damage::Index }
    }
}

/// Checks that `bytes` are a whole piece of `shard` that begins at `start`, and hands every batch to `visit`; gives where the log stands
/// after it.
///
/// # Errors
/// The first fault found.
pub fn walk_piece(
    bytes: &[u8],
    start: &PieceStart,
    shard: u32,
    visit: &mut dyn FnMut(&Batch<'_>),
) -> Result<LogPosition, PieceFault> {
    let fault = |offset: usize, damage| PieceFault { offset: disk_length(offset), damage };
    let mut epoch = None;
    let mut offset = 0;
    if start.offset == 0 {
        let info = piece_header(bytes, start.segment).map_err(|damage| fault(0, damage))?;
        if info.shard != shard {
            return Err(fault(0, Damage::Shard));
        }
        if start_of(&info).position != start.position {
            return Err(fault(0, Damage::Chain));
        }
        epoch = Some(info.epoch);
        offset = SEGMENT_HEADER_BYTES;
    }
    let mut position = start.position;
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        let header = frame::decode(rest).map_err(|damage| fault(offset, damage))?;
        if header.shard != shard {
            return Err(fault(offset, Damage::Shard));
        }
        if *epoch.get_or_insert(header.epoch) != header.epoch {
            return Err(fault(offset, Damage::Epoch));
        }
        if !is_next(&header, &position) {
            return Err(fault(offset, Damage::Chain));
        }
        visit(&Batch::of(header, frame::body(&header, rest)));
        position = after(&header, rest);
        offset += header.padded_bytes();
    }
    Ok(position)
}

/// What the header at the start of a segment's first piece says; `segment` is the index in its name.
///
/// # Errors
/// What is wrong with it.
pub fn piece_header(bytes: &[u8], segment: u64) -> Result<SegmentInfo, Damage> {
    let sector = bytes.first_chunk::<SEGMENT_HEADER_BYTES>().ok_or(Damage::Truncated)?;
    segment::decode(sector, std::path::Path::new(""), segment, Lsn::ZERO).map_err(|error| match error {
        Error::Damaged { damage, .. } => damage,
        _ => Damage::Version,
    })
}

/// The front of a piece that was found whole, up to and with the record `last`: a batch that goes on beyond it is made to end there.
pub fn cut_piece(bytes: &[u8], start: &PieceStart, last: Lsn) -> (Vec<u8>, LogPosition) {
    let mut offset = if start.offset == 0 { SEGMENT_HEADER_BYTES } else { 0 };
    let mut position = start.position;
    while offset < bytes.len() && position.lsn < last {
        let rest = &bytes[offset..];
        let header = frame::read_header(rest);
        if header.last_lsn > last {
            let mut front = bytes[..offset].to_vec();
            let (image, end) = cut_batch(&header, rest, last);
            front.extend_from_slice(&image);
            return (front, end);
        }
        position = after(&header, rest);
        offset += header.padded_bytes();
    }
    (bytes[..offset].to_vec(), position)
}

impl SegmentInfo {
    /// An empty segment that begins where a log ends, under an epoch of its own.
    pub fn after(position: LogPosition, shard: u32, epoch: crate::Epoch) -> SegmentInfo {
        SegmentInfo {
            shard,
            epoch,
            first_index: position.batch_index + 1,
            first_lsn: position.lsn.next(),
            chain: position.chain,
        }
    }

    /// The first sector of its file.
    pub fn header(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        segment::encode(self)
    }

    /// Where its first piece begins.
    pub fn piece_start(&self) -> PieceStart {
        start_of(self)
    }
}

fn cut_batch(header: &BatchHeader, bytes: &[u8], last: Lsn) -> (Vec<u8>, LogPosition) {
    let records = memory_length(last.get() - header.first_lsn.get() + 1);
    let mut rest = frame::body(header, bytes);
    let whole = rest.len();
    for _ in 0..records {
        let (_, after) = frame::split_record(rest).expect("Invariant: the batch was found whole");
        rest = after;
    }
    let body_bytes = whole - rest.len();
    let cut = BatchHeader {
        last_lsn: last,
        body_bytes: u32::try_from(body_bytes).expect("Invariant: shorter than before"),
        record_count: u32::try_from(records).expect("Invariant: fewer than before"),
        ..*header
    };
    let mut image = bytes[..frame::BATCH_HEADER_BYTES + body_bytes].to_vec();
    image.resize(cut.padded_bytes(), 0);
    put_u32(&mut image, 4, 0);
    let chain = frame::encode(&cut, &mut image);
    (image, LogPosition { lsn: last, batch_index: header.index, chain })
}

fn start_of(segment: &SegmentInfo) -> PieceStart {
    let position =
        LogPosition { lsn: segment.first_lsn.previous(), batch_index: segment.first_index - 1, chain: segment.chain };
    PieceStart { segment: segment.first_index, offset: 0, position }
}

fn is_next(header: &BatchHeader, before: &LogPosition) -> bool {
    header.index == before.batch_index + 1
        && header.first_lsn == before.lsn.next()
        && header.previous_chain == before.chain
}

fn after(header: &BatchHeader, bytes: &[u8]) -> LogPosition {
    LogPosition { lsn: header.last_lsn, batch_index: header.index, chain: frame::chain(bytes) }
}

/// How far `bytes` hold whole batches at or before `synced`, from `offset` on, and where the log stands there.
fn whole_batches(bytes: &[u8], mut offset: usize, mut position: LogPosition, synced: Lsn) -> (usize, LogPosition) {
    while let Some(rest) = bytes.get(offset..) {
        let Ok(header) = frame::decode(rest) else { break };
        if !is_next(&header, &position) || header.last_lsn > synced {
            break;
        }
        position = after(&header, rest);
        offset += header.padded_bytes();
    }
    (offset, position)
}
