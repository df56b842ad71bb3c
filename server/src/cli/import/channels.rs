//! The file of channels.

use std::io;
use std::path::Path;

use quartermaster_proto::v1::Channel;

use super::codes::Codes;
use super::digest::Digest;
use super::problem::{Problems, Wrong};
use super::table;

const NAME_BYTES_MAX: usize = 256;
const CODE_BYTES_MAX: usize = 64;

/// Reads channels; gives them with the names of the columns that mean nothing here.
pub(super) fn read(
    path: &Path,
    digest: &mut Digest,
    problems: &mut Problems,
) -> io::Result<(Vec<Channel>, Vec<String>)> {
    let mut codes = Codes::default();
    let mut channels = Vec::new();
    let mut ignored = Vec::new();
    table::read(
        path,
        ("channels", digest),
        problems,
        |columns| {
            let code = columns.require(&["channel", "channel_id", "channel_code", "code"]);
            let parent = columns.find(&["parent", "parent_id", "group"]);
            let found = (code?, columns.find(&["name"]), columns.find(&["active"]), parent);
            ignored = columns.rest().into_iter().map(|(_, name)| name).collect();
            Some(found)
        },
        |(column, name, active, parent), row| {
            let Some(code) = row.code(*column) else { return };
            if let Some(first) = codes.make(&code, row.line) {
                row.wrong(*column, Wrong::Twice { text: code, first });
                return;
            }
            channels.push(Channel {
                code,
                name: row.text(*name, NAME_BYTES_MAX),
                active: row.flag(*active),
                parent: row.text(*parent, CODE_BYTES_MAX),
                ..Channel::default()
            });
        },
    )?;
    Ok((channels, ignored))
}
