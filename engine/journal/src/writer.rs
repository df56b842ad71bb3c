//! Puts batches one behind the other into segment files.

use std::sync::Arc;

use crate::backlog::Waiting;
use crate::directory::{Directory, NamedFile};
use crate::error::Error;
use crate::frame::{self, BatchHeader, FORMAT_VERSION};
use crate::layout::disk_length;
use crate::lsn::{Epoch, Lsn};
use crate::reader::LogPosition;
use crate::segment::{self, SEGMENT_HEADER_BYTES, SegmentInfo};
use crate::spare::Spares;
use crate::storage::Storage;

/// The end of the log, open for writing.
pub(crate) struct Writer<S: Storage> {
    directory: Directory<S>,
    spares: Arc<Spares<S>>,
    shard: u32,
    epoch: Epoch,
    segment_bytes: u64,
    file: NamedFile<S::File>,
    offset: u64,
    /// After the last batch written.
    position: LogPosition,
    synced_lsn: Lsn,
}

impl<S: Storage> Writer<S> {
    /// Starts a new segment under a new epoch, durable before this returns. An empty segment at the same position,
    /// left by a writer that never wrote, is replaced.
    pub(crate) fn start(
        directory: Directory<S>,
        spares: Arc<Spares<S>>,
        shard: u32,
        epoch: Epoch,
        segment_bytes: u64,
        position: LogPosition,
    ) -> Result<(Writer<S>, SegmentInfo), Error> {
        let info = SegmentInfo {
            shard,
            epoch,
            first_index: position.batch_index + 1,
            first_lsn: position.lsn.next(),
            chain: position.chain,
        };
        let file = begin_segment(&directory, &spares, &info)?;
        let offset = disk_length(SEGMENT_HEADER_BYTES);
        let synced_lsn = position.lsn;
        let writer = Writer { directory, spares, shard, epoch, segment_bytes, file, offset, position, synced_lsn };
        Ok((writer, info))
    }

    /// Writes one batch, in a new segment when it does not fit in this one; gives that segment then.
    pub(crate) fn write(&mut self, batch: &Waiting, image: &mut [u8]) -> Result<Option<SegmentInfo>, Error> {
        assert_eq!(
            batch.first_lsn,
            self.position.lsn.next(),
            "Invariant: records are written in the order they were appended"
        );
        let length = disk_length(image.len());
        let rotated = if self.offset + length > self.segment_bytes { Some(self.rotate()?) } else { None };
        let header = BatchHeader {
            version: FORMAT_VERSION,
            shard: self.shard,
            epoch: self.epoch,
            index: self.position.batch_index + 1,
            first_lsn: batch.first_lsn,
            last_lsn: batch.last_lsn,
            synced_lsn: self.synced_lsn,
            previous_chain: self.position.chain,
            body_bytes: batch.body_bytes(),
            record_count: batch.record_count,
        };
        assert!(batch.last_lsn >= batch.first_lsn, "Invariant: a batch holds a record");
        assert!(self.offset + length <= self.segment_bytes, "Invariant: a batch fits in an empty segment");
        let chain = frame::encode(&header, image);
        self.file.write_at(image, self.offset)?;
        self.offset += length;
        self.position = LogPosition { lsn: batch.last_lsn, batch_index: header.index, chain };
        Ok(rotated)
    }

    /// Makes everything written durable.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        self.file.sync()?;
        self.synced_lsn = self.position.lsn;
        Ok(())
    }

    /// Whether something was written since the last sync.
    pub(crate) fn is_dirty(&self) -> bool {
        self.synced_lsn < self.position.lsn
    }

    pub(crate) fn synced_lsn(&self) -> Lsn {
        self.synced_lsn
    }

    pub(crate) fn position(&self) -> LogPosition {
        self.position
    }

    /// Bytes left in the current segment.
    pub(crate) fn room_bytes(&self) -> u64 {
        self.segment_bytes - self.offset
    }

    /// A segment is synced before the next one exists: whoever finds a later segment knows this one was whole.
    fn rotate(&mut self) -> Result<SegmentInfo, Error> {
        if self.is_dirty() {
            self.sync()?;
        }
        let info = SegmentInfo {
            shard: self.shard,
            epoch: self.epoch,
            first_index: self.position.batch_index + 1,
            first_lsn: self.position.lsn.next(),
            chain: self.position.chain,
        };
        self.file = begin_segment(&self.directory, &self.spares, &info)?;
        self.offset = disk_length(SEGMENT_HEADER_BYTES);
        Ok(info)
    }
}

/// Turns a spare into a segment: header, sync, rename, directory sync, in this order.
fn begin_segment<S: Storage>(
    directory: &Directory<S>,
    spares: &Spares<S>,
    info: &SegmentInfo,
) -> Result<NamedFile<S::File>, Error> {
    let spare = spares.take()?;
    spare.file.write_at(&segment::encode(info), 0)?;
    spare.file.sync()?;
    let name = info.file_name();
    directory.rename(&spare.name, &name)?;
    directory.sync()?;
    Ok(spare.file.renamed(directory.path_of(&name)))
}
