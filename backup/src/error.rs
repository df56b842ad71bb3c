//! What can go wrong, each fault with what to do about it.

use std::fmt;

use quartermaster_journal::PieceFault;

use crate::history::HistoryId;
use crate::target::TargetError;

/// Why a backup, a check or a restore could not be done. Nothing that was there before has changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target refused or did not answer.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The data directory cannot be read or written.
    #[error("the data directory cannot be used")]
    Journal(#[from] quartermaster_journal::Error),
    /// A file beside the journal cannot be read or written.
    #[error("cannot use {file}")]
    File {
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The target belongs to another data directory.
    #[error(
        "{target} holds backups of history {theirs}, and this data directory is of history {ours}: another cluster, or restored from a \
         backup since; give it a directory or prefix of its own"
    )]
    OtherHistory {
        /// The target.
        target: String,
        /// Whose backups it holds.
        theirs: HistoryId,
        /// Who asks.
        ours: HistoryId,
    },
    /// The target belongs to another shard.
    #[error(
        "{target} holds backups of shard {theirs}, not of shard {ours}; give each shard a directory or prefix of its own"
    )]
    OtherShard {
        /// The target.
        target: String,
        /// Its shard.
        theirs: u32,
        /// The shard that asks.
        ours: u32,
    },
    /// The log went back behind what was backed up, or on another way.
    #[error(
        "{target} reaches to LSN {lsn}, and this log does not go on from there: it is a copy or an older state of what was backed up; give \
         it a directory or prefix of its own"
    )]
    Diverged {
        /// The target.
        target: String,
        /// Where the copy ends.
        lsn: u64,
    },
    /// The target holds something, but no backups.
    #[error("{target} holds other things and no backups ({first} for one); name an empty directory or prefix")]
    NotEmpty {
        /// The target.
        target: String,
        /// One of them.
        first: String,
    },
    /// The target holds nothing.
    #[error("{target} holds no backup; name the directory or prefix that `backup create --to` was given")]
    NoBackup {
        /// The target.
        target: String,
    },
    /// Nothing was ever written to the log, or nothing since all of it was trimmed.
    #[error("there is nothing to back up yet: the log holds no event")]
    Nothing,
    /// The newest whole snapshot lies before what the target holds.
    #[error(
        "the newest whole snapshot needs LSN {needed} and {target} begins at {first}; take one first: `quartermaster snapshot`"
    )]
    SnapshotTooOld {
        /// The target.
        target: String,
        /// What the snapshot needs.
        needed: u64,
        /// What the target has.
        first: u64,
    },
    /// A newer program wrote it.
    #[error(
        "{file} has format {found}; this program reads up to {supported}: use the program that wrote it, or a newer one"
    )]
    Newer {
        /// The manifest.
        file: String,
        /// Its format.
        found: u32,
        /// What this program knows.
        supported: u32,
    },
    /// An object is not what was written.
    #[error("{file} is damaged: {problem}")]
    Damaged {
        /// The object.
        file: String,
        /// What is wrong.
        problem: Damage,
    },
    /// The point asked for cannot be had.
    #[error(transparent)]
    WrongPoint(#[from] WrongPoint),
    /// The directory to restore into has something in it.
    #[error(
        "{directory} is not empty ({first} is in it); a restore needs an empty directory, so that nothing is overwritten"
    )]
    DirectoryInUse {
        /// The directory.
        directory: String,
        /// A file in it.
        first: String,
    },
    /// An earlier restore into the directory did not end.
    #[error("{directory} holds the beginning of a restore that did not end; empty it and restore again")]
    Unfinished {
        /// The directory.
        directory: String,
    },
    /// What was restored is not what the manifest says.
    #[error(
        "the restored log does not lead to a state: {problem}; the directory is left unfinished, and no server will open it"
    )]
    NotWhole {
        /// What is wrong.
        problem: String,
    },
    /// The caller ended it.
    #[error("it was cancelled")]
    Cancelled,
}

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Its content does not have the checksum its name says.
    #[error("its {bytes} bytes do not have the checksum in its name: changed or cut short")]
    Checksum {
        /// Its length now.
        bytes: u64,
    },
    /// A batch in it is not whole, or does not follow.
    #[error(transparent)]
    Piece(#[from] PieceFault),
    /// It cannot be read as what it should be.
    #[error("it does not read as {what}")]
    Unreadable {
        /// What it should be.
        what: &'static str,
    },
    /// It is not there.
    #[error("it is missing")]
    Missing,
}

/// The points one backup or several can be restored to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The oldest.
    pub from: u64,
    /// The newest.
    pub to: u64,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LSN {} to {}", self.from, self.to)
    }
}

/// A point that cannot be restored, and those that can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} cannot be restored; possible is {}", ranges(possible))]
pub struct WrongPoint {
    /// What was asked for, in words.
    pub asked: String,
    /// What can be had, oldest first, with the times of both ends in microseconds since the Unix epoch.
    pub possible: Vec<(Range, u64, u64)>,
}

fn ranges(possible: &[(Range, u64, u64)]) -> String {
    let texts: Vec<String> = possible
        .iter()
        .map(|(range, from, to)| format!("{range} ({} to {})", crate::times::utc(*from), crate::times::utc(*to)))
        .collect();
    texts.join(", ")
}
