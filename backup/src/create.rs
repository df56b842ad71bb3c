//! One backup: the newest snapshot, the log from what it needs to now, and a manifest last.

use quartermaster_engine::time::Timestamp;
use quartermaster_journal::{Error as JournalError, Lsn, SnapshotReader, SnapshotStore, Storage, StorageFile as _};

use crate::OBJECT_BYTES_MAX;
use crate::archive::{Archive, needed, time_of};
use crate::error::Error;
use crate::live::Live;
use crate::manifest::{FORMAT, Manifest, ManifestFile, ManifestSnapshot};
use crate::names::{checksum, named_checksum, snapshot_folder, snapshot_part};
use crate::prune::{Pruned, prune};
use crate::target::Target;

/// How a backup is to be made.
pub struct Order<'a> {
    /// Version of the program.
    pub software: &'a str,
    /// Backups to keep at the target, this one included; 0 for all.
    pub keep: usize,
    /// The wall clock, in microseconds since the Unix epoch.
    pub clock: &'a dyn Fn() -> u64,
}

/// A backup that is at its target.
#[derive(Debug)]
pub struct Created {
    /// Its manifest.
    pub manifest: Manifest,
    /// Objects that were sent for it, the manifest included; the others were there.
    pub sent_objects: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// What was given up, or why that could not be.
    pub pruned: Result<Pruned, Error>,
}

/// Makes a backup of `live` at the target that `archive` was opened on.
///
/// # Errors
/// When the target or the data directory fails, or the caller cancels. Then there is no such backup; what was sent serves the next one.
pub fn create<S: Storage>(
    live: &Live<'_, S>,
    target: &dyn Target,
    archive: &mut Archive,
    order: &Order<'_>,
) -> Result<Created, Error> {
    // Everything is held on to, until it is known what is needed.
    live.pin.hold(Some(Lsn::new(1)));
    let created = make(live, target, archive, order);
    archive.rest(live);
    created
}

fn make<S: Storage>(
    live: &Live<'_, S>,
    target: &dyn Target,
    archive: &mut Archive,
    order: &Order<'_>,
) -> Result<Created, Error> {
    let begun_us = (order.clock)();
    let snapshot = Chosen::newest(live)?;
    let needed_from = snapshot.as_ref().map_or(Lsn::new(1), |chosen| chosen.reader.end().needed_from);
    let next = archive.end().position.lsn.next();
    live.pin.hold(Some(next));
    let mut sent = archive.ship(live, target)?;
    live.pin.hold(Some(archive.end().position.lsn.next()));
    let mut files = Vec::new();
    let described = match &snapshot {
        None => None,
        Some(chosen) => {
            let (objects, bytes) = chosen.send(live, target, &mut files)?;
            sent.objects += objects;
            sent.bytes += bytes;
            Some(chosen.describe())
        }
    };
    // What came while the snapshot was sent; the snapshot's own end at the least, which is durable since it was finished.
    let more = archive.ship(live, target)?;
    let (objects, bytes) = (sent.objects + more.objects, sent.bytes + more.bytes);

    let end = archive.end().position;
    let run = archive.shelf.newest_run();
    if end.lsn == Lsn::ZERO || run.is_empty() {
        return Err(Error::Nothing);
    }
    let log = needed(run, needed_from.get()).ok_or_else(|| Error::SnapshotTooOld {
        target: target.describe(),
        needed: needed_from.get(),
        first: run[0].first_lsn.get(),
    })?;
    files.extend(log.iter().map(|piece| ManifestFile {
        name: piece.name.clone(),
        bytes: piece.bytes,
        crc64: format!("{:016x}", named_checksum(&piece.name).unwrap_or_default()),
    }));
    let first_lsn = described.as_ref().map_or(1, |snapshot| snapshot.reaches_to.max(1));
    let ended_us = (order.clock)();
    let manifest = Manifest {
        format: FORMAT,
        name: Manifest::name_of(Timestamp(ended_us), end.lsn.get()),
        history: archive.history.to_string(),
        shard: archive.shard,
        epoch: quartermaster_journal::Journal::epoch(live.log).get(),
        software: order.software.to_owned(),
        begun_us,
        ended_us,
        first_lsn,
        first_time_us: time_of(target, log, first_lsn, archive.shard)?,
        last_lsn: end.lsn.get(),
        last_time_us: time_of(target, log, end.lsn.get(), archive.shard)?,
        last_batch: end.batch_index,
        chain: format!("{:016x}", end.chain),
        snapshot: described,
        files,
    };
    let (name, encoded) = manifest.encode();
    live.pace.spend(0)?;
    target.put(&name, &encoded)?;
    let pruned = prune(target, order.keep);
    if pruned.is_ok() {
        archive.shelf = crate::archive::Shelf::read(target)?;
    }
    let sent_bytes = bytes + u64::try_from(encoded.len()).unwrap_or(u64::MAX);
    Ok(Created { manifest, sent_objects: objects + 1, sent_bytes, pruned })
}

/// The snapshot of a backup. Both handles stay readable when the file is removed meanwhile.
struct Chosen<S: Storage> {
    name: String,
    reader: SnapshotReader<S>,
    file: S::File,
    bytes: u64,
}

impl<S: Storage> Chosen<S> {
    /// The newest of which every byte is as it was written.
    fn newest(live: &Live<'_, S>) -> Result<Option<Chosen<S>>, Error> {
        let store = SnapshotStore::new(live.storage.clone());
        for name in store.names()? {
            match Chosen::open(live, &store, name) {
                Ok(chosen) => return Ok(Some(chosen)),
                Err(Error::Journal(JournalError::SnapshotDamaged { .. })) => {}
                Err(Error::Journal(JournalError::Io { source, .. }) | Error::File { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn open(live: &Live<'_, S>, store: &SnapshotStore<S>, name: String) -> Result<Chosen<S>, Error> {
        let named = |source| Error::File { file: live.storage.path_of(&name).display().to_string(), source };
        let file = live.storage.open_read_only(&name).map_err(named)?;
        let bytes = file.length().map_err(named)?;
        let reader = store.open(&name)?;
        let mut payload = Vec::new();
        for section in reader.sections() {
            live.pace.spend(usize::try_from(section.payload_bytes).unwrap_or(usize::MAX))?;
            reader.read(section, &mut payload)?;
        }
        Ok(Chosen { name, reader, file, bytes })
    }

    fn describe(&self) -> ManifestSnapshot {
        let (start, end) = (self.reader.start(), self.reader.end());
        let reaches_to = self.reader.sections().iter().map(|section| section.lsn).max().unwrap_or(start.lsn);
        ManifestSnapshot {
            file: self.name.clone(),
            lsn: start.lsn.get(),
            needed_from: end.needed_from.get(),
            reaches_to: reaches_to.get(),
            bytes: self.bytes,
            state_hash: format!("{:016x}", end.state_hash),
            file_hash: format!("{:016x}", end.file_hash),
        }
    }

    /// Sends the parts that are not there yet; tells how many and how long they were.
    fn send(
        &self,
        live: &Live<'_, S>,
        target: &dyn Target,
        files: &mut Vec<ManifestFile>,
    ) -> Result<(u64, u64), Error> {
        let folder = snapshot_folder(self.reader.start().lsn.get(), self.reader.end().file_hash);
        let there = target.list(&folder)?;
        let (mut objects, mut sent, mut offset) = (0, 0, 0);
        for number in 0.. {
            let left = self.bytes - offset;
            if left == 0 {
                break;
            }
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(OBJECT_BYTES_MAX);
            let bytes = u64::try_from(length).unwrap_or(u64::MAX);
            let mut part = vec![0; length];
            self.file.read_at(&mut part, offset).map_err(|source| Error::File {
                file: live.storage.path_of(&self.name).display().to_string(),
                source,
            })?;
            let name = snapshot_part(&folder, number, &part);
            if !there.iter().any(|object| object.name == name && object.bytes == bytes) {
                target.put_paced(&name, &part, live.pace)?;
                objects += 1;
                sent += bytes;
            } else {
                // It was read all the same.
                live.pace.spend(length)?;
            }
            files.push(ManifestFile { name, bytes, crc64: format!("{:016x}", checksum(&part)) });
            offset += bytes;
        }
        Ok((objects, sent))
    }
}
