//! Reads a log from front to back, and proves on the way that nothing is missing, changed or out of order.
//!
//! A segment is read whole into one reused buffer; records are borrowed from it.

use std::ops::Range;
use std::path::PathBuf;

use crate::config::SEGMENT_BYTES_MAX;
use crate::directory::Directory;
use crate::error::{Damage, Error, Operation};
use crate::frame::{self, BatchHeader, RECORD_HEADER_BYTES};
use crate::layout::{SECTOR_BYTES, disk_length, is_zero, length_without_trailing_zeros, memory_length};
use crate::lsn::{Epoch, Lsn};
use crate::segment::{self, SEGMENT_HEADER_BYTES, SegmentInfo};
use crate::storage::Storage;

/// Where a log stands between two batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// The last record.
    pub lsn: Lsn,
    /// Index of the last batch; 0 before the first.
    pub batch_index: u64,
    /// Chain value after it: equal chains mean equal logs up to here. 0 before the first batch.
    pub chain: u64,
}

/// Bytes at the end of the log that are no batch, and never were acknowledged as durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The last segment.
    pub file: PathBuf,
    /// Where they begin.
    pub offset: u64,
    /// How many they are, up to the last that is not zero.
    pub bytes: u64,
}

/// One batch, borrowed from the reader.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Its header.
    pub header: BatchHeader,
    body: &'a [u8],
}

impl<'a> Batch<'a> {
    pub(crate) fn of(header: BatchHeader, body: &'a [u8]) -> Batch<'a> {
        Batch { header, body }
    }

    /// Its records in order.
    pub fn records(&self) -> Records<'a> {
        Records { rest: self.body, next: self.header.first_lsn }
    }
}

/// One record, borrowed from the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its position.
    pub lsn: Lsn,
    /// Epoch of its writer.
    pub epoch: Epoch,
    /// What was appended.
    pub bytes: &'a [u8],
}

/// Where a record is in the reader's buffer.
#[derive(Clone, Debug)]
pub(crate) struct FoundRecord {
    lsn: Lsn,
    epoch: Epoch,
    place: Range<usize>,
}

/// The records of a [`Batch`] with their positions.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    next: Lsn,
}

impl<'a> Iterator for Records<'a> {
    type Item = (Lsn, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(Lsn, &'a [u8])> {
        let (record, rest) = frame::split_record(self.rest)?;
        self.rest = rest;
        let lsn = self.next;
        self.next = lsn.next();
        Some((lsn, record))
    }
}

/// Streams a log. Needs no claim on the directory and changes nothing in it.
///
/// Beside a running writer it sees a consistent prefix; a segment that the writer trims meanwhile shows as
/// [`Error::Gap`].
#[derive(Debug)]
pub struct LogReader<S: Storage> {
    directory: Directory<S>,
    segments: Vec<SegmentInfo>,
    /// The segment in `buffer`, as an index into `segments`; nothing in an empty log.
    current: Option<usize>,
    buffer: Vec<u8>,
    /// Where the next batch begins in `buffer`.
    offset: usize,
    position: LogPosition,
    synced_lsn: Lsn,
    until: Option<Lsn>,
    torn_tail: Option<TornTail>,
    /// Index in the name of a last segment that is too short to hold a header.
    headless: Option<u64>,
    finished: bool,
    batches: u64,
    bytes: u64,
    /// The batch being walked by `next_record`: its epoch, what is left of its body as a range of `buffer`.
    walking: Walk,
    from: Lsn,
}

#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    epoch: Epoch,
    next_lsn: Lsn,
    start: usize,
    end: usize,
}

impl<S: Storage> LogReader<S> {
    /// Opens the log for reading from the batch that holds `from`; [`Lsn::ZERO`] stands for whatever comes first.
    /// Reads the header of every segment, and no more of those that lie wholly before `from`.
    ///
    /// # Errors
    /// [`Error::Gap`] when the log begins after `from`, and every fault of a segment header.
    pub fn open(storage: S, from: Lsn) -> Result<LogReader<S>, Error> {
        LogReader::open_until(Directory::new(storage), from, None)
    }

    /// Like [`open`](LogReader::open), ending with the batch that holds `until` without a look at what follows.
    pub(crate) fn open_until(directory: Directory<S>, from: Lsn, until: Option<Lsn>) -> Result<LogReader<S>, Error> {
        let mut reader = LogReader {
            segments: Vec::new(),
            current: None,
            buffer: Vec::new(),
            offset: 0,
            position: LogPosition { lsn: Lsn::ZERO, batch_index: 0, chain: 0 },
            synced_lsn: Lsn::ZERO,
            until,
            torn_tail: None,
            headless: None,
            finished: false,
            batches: 0,
            bytes: 0,
            walking: Walk::default(),
            from,
            directory,
        };
        reader.list_segments()?;
        if let Some(first) = reader.segments.first()
            && from > Lsn::ZERO
            && first.first_lsn > from
        {
            return Err(Error::Gap { directory: reader.directory.path(), wanted: from, first: first.first_lsn });
        }
        if !reader.segments.is_empty() {
            let start = reader.segments.iter().rposition(|segment| segment.first_lsn <= from).unwrap_or(0);
            reader.position = start_of(&reader.segments[start]);
            reader.load(start)?;
        }
        Ok(reader)
    }

    /// The first record that was asked for.
    pub(crate) fn from(&self) -> Lsn {
        self.from
    }

    /// The next batch; nothing at the end of the log.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::MissingSegment`] when the log cannot be trusted from here on; the reader then
    /// has to be dropped.
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>, Error> {
        let Some(start) = self.advance()? else { return Ok(None) };
        let bytes = &self.buffer[start..];
        let header = frame::read_header(bytes);
        Ok(Some(Batch { header, body: frame::body(&header, bytes) }))
    }

    /// The next record at or after `from`; nothing at the end of the log.
    ///
    /// # Errors
    /// As [`next_batch`](LogReader::next_batch).
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, Error> {
        Ok(self.find_record()?.map(|found| self.record(&found)))
    }

    /// Where the next record is, for who has to look at the reader once more before the record is taken from it.
    #[inline]
    pub(crate) fn find_record(&mut self) -> Result<Option<FoundRecord>, Error> {
        loop {
            while self.walking.start == self.walking.end {
                let Some(start) = self.advance()? else { return Ok(None) };
                let header = frame::read_header(&self.buffer[start..]);
                let start = start + frame::BATCH_HEADER_BYTES;
                let end = start + memory_length(u64::from(header.body_bytes));
                self.walking = Walk { epoch: header.epoch, next_lsn: header.first_lsn, start, end };
            }
            let lsn = self.walking.next_lsn;
            let start = self.walking.start + RECORD_HEADER_BYTES;
            let length = crate::layout::get_u32(&self.buffer, self.walking.start);
            let end = start + memory_length(u64::from(length));
            self.walking.start = end;
            self.walking.next_lsn = lsn.next();
            if lsn >= self.from {
                return Ok(Some(FoundRecord { lsn, epoch: self.walking.epoch, place: start..end }));
            }
        }
    }

    /// The record that was found last.
    #[inline]
    pub(crate) fn record(&self, found: &FoundRecord) -> Record<'_> {
        Record { lsn: found.lsn, epoch: found.epoch, bytes: &self.buffer[found.place.clone()] }
    }

    /// Where the reader stands: after the batch given last.
    pub fn position(&self) -> LogPosition {
        self.position
    }

    /// The segments there were when the reader was opened, oldest first.
    pub fn segments(&self) -> &[SegmentInfo] {
        &self.segments
    }

    /// What lies behind the last batch; known once the end has been reached.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn_tail.as_ref()
    }

    /// Batches read and checked so far.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// Their bytes, padding included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn directory(&self) -> &Directory<S> {
        &self.directory
    }

    /// Whether the last segment is too short to hold a header.
    pub(crate) fn is_headless(&self) -> bool {
        self.headless.is_some()
    }

    /// At the end: everything up to here is known to have been fsynced by its writer.
    pub(crate) fn synced_lsn(&self) -> Lsn {
        self.synced_lsn
    }

    /// At the end: the last segment, its bytes, and how many of them are header and whole batches.
    pub(crate) fn tail(&self) -> Option<(SegmentInfo, &[u8], usize)> {
        self.current.map(|current| (self.segments[current], &self.buffer[..], self.offset))
    }

    /// Moves past the next batch, across segments; gives where it begins in the buffer.
    fn advance(&mut self) -> Result<Option<usize>, Error> {
        loop {
            let Some(current) = self.current else { return Ok(None) };
            if self.finished || self.until.is_some_and(|until| self.position.lsn >= until) {
                return Ok(None);
            }
            let damage = match self.check_next() {
                Ok(header) => return Ok(Some(self.take(&header))),
                Err(damage) => damage,
            };
            if let Unreadable::Foreign(reason) = damage {
                return Err(self.foreign(reason));
            }
            if current + 1 == self.segments.len() {
                self.end_in_tail(damage.reason())?;
                return Ok(None);
            }
            self.cross(current + 1, damage.reason())?;
        }
    }

    fn take(&mut self, header: &BatchHeader) -> usize {
        let start = self.offset;
        let length = header.padded_bytes();
        self.position = LogPosition {
            lsn: header.last_lsn,
            batch_index: header.index,
            chain: frame::chain(&self.buffer[start..start + length]),
        };
        self.synced_lsn = header.synced_lsn;
        self.offset += length;
        self.batches += 1;
        self.bytes += disk_length(length);
        start
    }

    /// The batch at `offset`, if it is whole and the next one.
    fn check_next(&self) -> Result<BatchHeader, Unreadable> {
        let header = frame::decode(&self.buffer[self.offset..]).map_err(|damage| match damage {
            Damage::Version | Damage::Records => Unreadable::Foreign(damage),
            _ => Unreadable::Broken(damage),
        })?;
        let segment = &self.segments[self.current.unwrap_or(0)];
        let next = next_lsn(self.position);
        let foreign = |damage| Err(Unreadable::Foreign(damage));
        if header.shard != segment.shard {
            foreign(Damage::Shard)
        } else if header.epoch != segment.epoch {
            foreign(Damage::Epoch)
        } else if header.index != self.position.batch_index + 1 {
            foreign(Damage::Index)
        } else if header.first_lsn != next || header.synced_lsn >= next {
            foreign(Damage::Lsn)
        } else if header.previous_chain != self.position.chain {
            foreign(Damage::Chain)
        } else {
            Ok(header)
        }
    }

    /// Goes on with the next segment, which must begin exactly where this one ended.
    fn cross(&mut self, next: usize, damage: Damage) -> Result<(), Error> {
        let follower = self.segments[next];
        if start_of(&follower) == self.position {
            return self.load(next);
        }
        // The file may have been trimmed under a reader that runs beside the writer.
        let name = self.segments[next - 1].file_name();
        if !self.directory.list()?.contains(&name) {
            let wanted = next_lsn(self.position);
            return Err(Error::Gap { directory: self.directory.path(), wanted, first: follower.first_lsn });
        }
        let expected_index = self.position.batch_index + 1;
        if is_zero(&self.buffer[self.offset..]) && follower.first_index > expected_index {
            let file = self.directory.path_of(&follower.file_name());
            return Err(Error::MissingSegment { file, expected_index, found_index: follower.first_index });
        }
        Err(self.damaged(if follower.first_index == expected_index { Damage::Chain } else { damage }))
    }

    /// Nothing readable is at `offset` of the last segment: the end, a torn tail, or damage.
    fn end_in_tail(&mut self, damage: Damage) -> Result<(), Error> {
        self.finished = true;
        let rest = &self.buffer[self.offset..];
        if is_zero(rest) {
            return self.check_headless();
        }
        if self.headless.is_some() || self.has_later_witness(rest) {
            return Err(self.damaged(damage));
        }
        let bytes = disk_length(length_without_trailing_zeros(rest));
        let current = self.current.expect("Invariant: a tail belongs to a segment");
        let file = self.directory.path_of(&self.segments[current].file_name());
        self.torn_tail = Some(TornTail { file, offset: disk_length(self.offset), bytes });
        Ok(())
    }

    /// A segment cut short to less than its header must at least be the next one.
    fn check_headless(&self) -> Result<(), Error> {
        let expected_index = self.position.batch_index + 1;
        match self.headless {
            Some(found_index) if found_index != expected_index => {
                let file = self.directory.path_of(&segment::file_name(found_index));
                Err(Error::MissingSegment { file, expected_index, found_index })
            }
            _ => Ok(()),
        }
    }

    /// Whether a whole batch further on says that the one missing here had been synced before it was written.
    fn has_later_witness(&self, rest: &[u8]) -> bool {
        let missing = next_lsn(self.position);
        let shard = self.segments[self.current.unwrap_or(0)].shard;
        (SECTOR_BYTES..rest.len()).step_by(SECTOR_BYTES).map(|offset| &rest[offset..]).any(|bytes| {
            frame::has_magic(bytes)
                && frame::decode(bytes).is_ok_and(|header| header.shard == shard && header.synced_lsn >= missing)
        })
    }

    /// What is whole and does not belong: of a newer program, or out of place.
    fn foreign(&self, reason: Damage) -> Error {
        let found = frame::read_header(&self.buffer[self.offset..]).version;
        if reason == Damage::Version && found > frame::FORMAT_VERSION {
            let current = self.current.unwrap_or(0);
            let file = self.directory.path_of(&self.segments[current].file_name());
            return Error::NewerFormat { file, found, supported: frame::FORMAT_VERSION };
        }
        self.damaged(reason)
    }

    fn damaged(&self, damage: Damage) -> Error {
        let current = self.current.unwrap_or(0);
        Error::Damaged {
            file: self.directory.path_of(&self.segments[current].file_name()),
            offset: disk_length(self.offset),
            expected_lsn: next_lsn(self.position),
            damage,
        }
    }

    fn list_segments(&mut self) -> Result<(), Error> {
        let mut indexes: Vec<u64> =
            self.directory.list()?.iter().filter_map(|name| segment::parse_file_name(name)).collect();
        indexes.sort_unstable();
        for (place, index) in indexes.iter().enumerate() {
            let is_last = place + 1 == indexes.len();
            if let Some(info) = self.read_header(*index, is_last)? {
                self.check_order(&info)?;
                self.segments.push(info);
            }
        }
        Ok(())
    }

    /// The header of one segment. The last one may be shorter than a header and is then nothing but a torn tail:
    /// its header became durable before its name did, so it can only have been cut short from outside.
    fn read_header(&mut self, index: u64, is_last: bool) -> Result<Option<SegmentInfo>, Error> {
        let name = segment::file_name(index);
        let expected_lsn = self.segments.last().map_or(Lsn::new(1), |segment| segment.first_lsn);
        let file = match self.directory.open_read_only(&name) {
            // Trimmed since it was listed, by a writer this reader runs beside.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let length = file.length()?;
        if length < disk_length(SEGMENT_HEADER_BYTES) {
            if is_last && (index == 1 || !self.segments.is_empty()) {
                self.torn_tail = Some(TornTail { file: file.path().clone(), offset: 0, bytes: length });
                self.headless = Some(index);
                return Ok(None);
            }
            let file = file.path().clone();
            return Err(Error::Damaged { file, offset: 0, expected_lsn, damage: Damage::Truncated });
        }
        let mut sector = [0; SEGMENT_HEADER_BYTES];
        file.read_at(&mut sector, 0)?;
        segment::decode(&sector, file.path(), index, expected_lsn).map(Some)
    }

    /// A segment must be of the same shard as the one before, and later in every respect.
    fn check_order(&self, info: &SegmentInfo) -> Result<(), Error> {
        let Some(before) = self.segments.last() else { return Ok(()) };
        let file = self.directory.path_of(&info.file_name());
        if info.shard != before.shard {
            return Err(Error::WrongShard { file, found: info.shard, expected: before.shard });
        }
        let damaged = |damage| Err(Error::Damaged { file, offset: 0, expected_lsn: info.first_lsn, damage });
        if info.epoch < before.epoch {
            damaged(Damage::Epoch)
        } else if info.first_lsn <= before.first_lsn {
            damaged(Damage::Lsn)
        } else {
            Ok(())
        }
    }

    fn load(&mut self, place: usize) -> Result<(), Error> {
        let file = self.directory.open_read_only(&self.segments[place].file_name())?;
        let length = file.length()?;
        if length > SEGMENT_BYTES_MAX {
            let source = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
            return Err(Error::from_io(Operation::Read, file.path().clone(), source));
        }
        if self.buffer.len() != memory_length(length) {
            // Fresh zeros are the system's to make; growing a buffer writes them one by one.
            self.buffer = vec![0; memory_length(length)];
        }
        file.read_at(&mut self.buffer, 0)?;
        self.current = Some(place);
        self.offset = SEGMENT_HEADER_BYTES.min(self.buffer.len());
        Ok(())
    }
}

/// Why there is no next batch at a place.
enum Unreadable {
    /// Nothing whole is there: the end, a tear, or damage.
    Broken(Damage),
    /// Something whole is there that does not belong there. No crash leaves that behind.
    Foreign(Damage),
}

impl Unreadable {
    fn reason(&self) -> Damage {
        match self {
            Unreadable::Broken(damage) | Unreadable::Foreign(damage) => *damage,
        }
    }
}

fn next_lsn(position: LogPosition) -> Lsn {
    position.lsn.next()
}

fn start_of(segment: &SegmentInfo) -> LogPosition {
    LogPosition { lsn: segment.first_lsn.previous(), batch_index: segment.first_index - 1, chain: segment.chain }
}
