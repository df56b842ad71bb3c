//! What a backup consists of. Written last: a backup without a manifest is none.

use quartermaster_engine::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Damage, Error};
use crate::names::{BACKUPS, checksum, get};
use crate::target::Target;
use crate::times;

/// Newest format of manifests and targets that this program writes and reads.
pub const FORMAT: u32 = 1;

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of the target, [`FORMAT`].
    pub format: u32,
    /// Name: when it ended (UTC) and its last LSN.
    pub name: String,
    /// Identity of the history it is of.
    pub history: String,
    /// Shard.
    pub shard: u32,
    /// Epoch of the process that made it.
    pub epoch: u64,
    /// Version of that program.
    pub software: String,
    /// When it was begun, in microseconds since the Unix epoch.
    pub begun_us: u64,
    /// When it ended.
    pub ended_us: u64,
    /// The oldest point it can be restored to.
    pub first_lsn: u64,
    /// Time of that event.
    pub first_time_us: u64,
    /// The newest point it holds by itself; pieces archived later reach further.
    pub last_lsn: u64,
    /// Time of that event.
    pub last_time_us: u64,
    /// Index of the last batch.
    pub last_batch: u64,
    /// Chain value after it, in hexadecimal: equal chains mean equal logs up to there.
    pub chain: String,
    /// The snapshot it begins from; none when the log is there from its first event.
    pub snapshot: Option<ManifestSnapshot>,
    /// Every object it needs.
    pub files: Vec<ManifestFile>,
}

/// A snapshot within a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestSnapshot {
    /// Name of the file in a data directory.
    pub file: String,
    /// LSN it began at.
    pub lsn: u64,
    /// The first record that must be replayed after it.
    pub needed_from: u64,
    /// The last record that a part of it holds: no earlier point can be restored from it.
    pub reaches_to: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Hash of the state in it, in hexadecimal.
    pub state_hash: String,
    /// Identity of the file, in hexadecimal.
    pub file_hash: String,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its name at the target.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// CRC-64/NVME of its content, in hexadecimal.
    pub crc64: String,
}

impl Manifest {
    /// Name of its object, and its bytes.
    pub(crate) fn encode(&self) -> (String, Vec<u8>) {
        let bytes = serde_json::to_vec_pretty(self).expect("Invariant: a manifest is plain JSON");
        (format!("{BACKUPS}{}-{:016x}.json", self.name, checksum(&bytes)), bytes)
    }

    pub(crate) fn name_of(ended: Timestamp, last_lsn: u64) -> String {
        format!("{}-{last_lsn}", times::compact(ended.0))
    }

    /// The first record that must be replayed.
    pub(crate) fn needed_from(&self) -> u64 {
        self.snapshot.as_ref().map_or(1, |snapshot| snapshot.needed_from)
    }

    pub(crate) fn read(target: &dyn Target, object: &str) -> Result<Manifest, Error> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let bytes = get(target, object)?;
        let unreadable =
            |_| Error::Damaged { file: object.to_owned(), problem: Damage::Unreadable { what: "a manifest" } };
        // The format first: a newer manifest may hold anything else.
        let Format { format: found } = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if found > FORMAT {
            return Err(Error::Newer { file: object.to_owned(), found, supported: FORMAT });
        }
        serde_json::from_slice(&bytes).map_err(unreadable)
    }

    /// Names of all manifests, oldest first.
    pub(crate) fn objects(target: &dyn Target) -> Result<Vec<String>, Error> {
        Ok(target.list(BACKUPS)?.into_iter().map(|object| object.name).filter(|name| name.ends_with(".json")).collect())
    }
}
