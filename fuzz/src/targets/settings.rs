//! The configuration: a TOML file and variables of the environment.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use quartermaster_server::config::{Config, Flags, KEYS};

use crate::{
    Target,
    mutate::Form,
    pieces::{self, Piece},
};

/// Piece 0 is the file; every other a variable: its tag the key, its bytes the value.
pub(super) const SETTINGS: Target = Target {
    name: "settings",
    story: "Config::load of any file and any values of variables; what is shown of it loads to the same",
    run: settings,
    form: Form::Messages(KEYS_MAX, |_| None),
    seeds,
    together: 1,
};

const KEYS_MAX: u8 = 40;

fn settings(input: &[u8]) {
    let pieces = pieces::read(input);
    let mut variables = Vec::new();
    let mut flags = Flags { unsafe_no_fsync: true, ..Flags::default() };
    let directory = super::node::scratch();
    for piece in pieces {
        match piece.tag.checked_sub(1).map(usize::from) {
            None => {
                let file = directory.path().join("settings.toml");
                std::fs::write(&file, &piece.bytes).expect("a scratch file is written");
                flags.config = Some(file);
            }
            Some(key) => {
                let name = KEYS.get(key).map_or_else(|| "NOBODY".to_owned(), |key| key.to_uppercase());
                variables.push((format!("QUARTERMASTER_{name}").into(), OsString::from_vec(piece.bytes)));
            }
        }
    }
    let Ok(loaded) = Config::load(&flags, variables) else { return };
    _ = loaded.config.loss_window();
    let shown: Vec<(OsString, OsString)> = loaded
        .rows()
        .into_iter()
        .filter(|(key, value, _)| !(*key == "data_dir" && value == "-"))
        .map(|(key, value, _)| (format!("QUARTERMASTER_{}", key.to_uppercase()).into(), value.into()))
        .collect();
    let flags = Flags { unsafe_no_fsync: true, ..Flags::default() };
    if let Ok(again) = Config::load(&flags, shown) {
        assert_eq!(again.config, loaded.config, "what is shown loads to the same");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let file = "data_dir = '/data'\nlisten = '127.0.0.1:0'\ndurability = 'interval'\nsync_interval = '100ms'\nsegment_bytes = '64MiB'\n\
                batch_bytes_max = 4194304\nlog_level = 'info,quartermaster=debug'\nlog_format = 'json'\nsnapshot_interval = '0s'\n\
                return_window = '90days'\nin_flight_max = 10\n";
    let file = Piece { tag: 0, bytes: file.into() };
    let values = ["/data", "[::1]:80", "none", "64KiB", "1h 2m", "10", "info", "text", "0", "-1", "1e3", "true"];
    let variables = (1..KEYS_MAX).zip(values.iter().cycle()).map(|(tag, value)| Piece { tag, bytes: (*value).into() });
    let mut seeds: Vec<Vec<u8>> = variables.map(|variable| pieces::write(&[file.clone(), variable])).collect();
    seeds.push(pieces::write(&[file]));
    seeds
}
