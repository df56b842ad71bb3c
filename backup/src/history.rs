//! Whose backups: every data directory that is backed up gets an id of its own, once, and a target takes one id for good.
//!
//! A restored directory has no id until its first backup and gets a new one then, so it can never write among the backups that it came
//! from. A directory that was copied keeps its id; that its log went another way shows by the chain of its batches.

use std::fmt;
use std::str::FromStr;

use quartermaster_journal::{Storage, StorageFile as _};
use serde::{Deserialize, Serialize};

use crate::error::{Damage, Error};
use crate::names::{HISTORY, checksum, get};
use crate::target::Target;

/// File of the id in a data directory.
pub const IDENTITY_FILE: &str = "HISTORY";

/// Identity of a history: 128 bits from the caller, as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HistoryId(pub u128);

impl fmt::Display for HistoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for HistoryId {
    type Err = ();

    fn from_str(text: &str) -> Result<HistoryId, ()> {
        let right = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if right { u128::from_str_radix(text, 16).map(HistoryId).map_err(|_| ()) } else { Err(()) }
    }
}

/// What the file at the root of a target says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) format: u32,
    pub(crate) history: String,
    pub(crate) shard: u32,
}

/// The id of the data directory; `fresh` becomes it, durable, when it has none.
pub(crate) fn of_directory<S: Storage>(storage: &S, fresh: HistoryId) -> Result<HistoryId, Error> {
    let named = |source| Error::File { file: storage.path_of(IDENTITY_FILE).display().to_string(), source };
    match storage.open_read_only(IDENTITY_FILE) {
        Ok(file) => {
            let length = usize::try_from(file.length().map_err(named)?).unwrap_or(usize::MAX).min(64);
            let mut text = vec![0; length];
            file.read_at(&mut text, 0).map_err(named)?;
            let text = String::from_utf8_lossy(&text);
            text.trim().parse().map_err(|()| Error::Damaged {
                file: storage.path_of(IDENTITY_FILE).display().to_string(),
                problem: Damage::Unreadable { what: "32 hexadecimal digits" },
            })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let temporary = format!("{IDENTITY_FILE}.tmp");
            let written = || {
                let file = storage.create(&temporary)?;
                file.write_at(format!("{fresh}\n").as_bytes(), 0)?;
                file.sync_data()?;
                storage.rename(&temporary, IDENTITY_FILE)?;
                storage.sync_directory()
            };
            written().map_err(named).map(|()| fresh)
        }
        Err(error) => Err(named(error)),
    }
}

/// Who owns the target; nobody when it is empty.
pub(crate) fn of_target(target: &dyn Target) -> Result<Option<(HistoryId, u32)>, Error> {
    let claims = target.list(HISTORY)?;
    let Some(object) = claims.first() else {
        let others = target.list("")?;
        return match others.first() {
            None => Ok(None),
            Some(first) => Err(Error::NotEmpty { target: target.describe(), first: first.name.clone() }),
        };
    };
    let damaged = |file: &str, what| Error::Damaged { file: file.to_owned(), problem: Damage::Unreadable { what } };
    let bytes = get(target, &object.name)?;
    let claim: Claim = serde_json::from_slice(&bytes).map_err(|_| damaged(&object.name, "the owner of a target"))?;
    if claim.format > crate::FORMAT {
        return Err(Error::Newer { file: object.name.clone(), found: claim.format, supported: crate::FORMAT });
    }
    let id: HistoryId = claim.history.parse().map_err(|()| damaged(&object.name, "32 hexadecimal digits"))?;
    if let Some(second) = claims.get(1) {
        let theirs = get(target, &second.name).ok().and_then(|bytes| serde_json::from_slice::<Claim>(&bytes).ok());
        let theirs = theirs.and_then(|claim| claim.history.parse().ok()).unwrap_or(id);
        return Err(Error::OtherHistory { target: target.describe(), theirs, ours: id });
    }
    Ok(Some((id, claim.shard)))
}

/// Makes the target that of `id`, or finds that it is.
pub(crate) fn claim(target: &dyn Target, id: HistoryId, shard: u32) -> Result<(), Error> {
    match of_target(target)? {
        Some((theirs, _)) if theirs != id => Err(Error::OtherHistory { target: target.describe(), theirs, ours: id }),
        Some((_, theirs)) if theirs != shard => {
            Err(Error::OtherShard { target: target.describe(), theirs, ours: shard })
        }
        Some(_) => Ok(()),
        None => {
            let claim = Claim { format: crate::FORMAT, history: id.to_string(), shard };
            let bytes = serde_json::to_vec_pretty(&claim).expect("Invariant: a claim is plain JSON");
            let name = format!("{HISTORY}{id}-{:016x}.json", checksum(&bytes));
            Ok(target.put(&name, &bytes)?)
        }
    }
}
