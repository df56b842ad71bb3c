//! Where settings come from, which one wins, and what every mistake is answered with.
#![allow(missing_docs)]

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use quartermaster_journal::{Log, Lsn, SimStorage};
use quartermaster_server::config::{Config, ConfigError, Durability, Flags, KEYS, Loaded, Origin};
use tempfile::NamedTempFile;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load(toml: &str, environment: &[(&str, &str)], flags: Flags) -> Result<Loaded, ConfigError> {
    let file = file(toml);
    let variables = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::load(&Flags { config: Some(file.path().to_owned()), ..flags }, variables)
}

fn flag(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn origin<'a>(loaded: &'a Loaded, key: &str) -> &'a Origin {
    loaded.rows().into_iter().find(|row| row.0 == key).unwrap().2
}

#[test]
fn later_sources_win() {
    let toml = "expiry_tick = '20ms'\nin_flight_max = 10\nsegment_bytes = '128MiB'\nconnections_max = 5";
    let environment = [
        ("QUARTERMASTER_IN_FLIGHT_MAX", "20"),
        ("QUARTERMASTER_CONNECTIONS_MAX", "6"),
        ("HOME", "/root"),
        ("QUARTERMASTER_PORT_7070_TCP", "tcp://10.0.0.1:7070"),
        ("QUARTERMASTER_SERVICE_HOST", "10.0.0.1"),
        ("QUARTERMASTER_TARGET", "http://10.0.0.1:7070"),
        ("QUARTERMASTER_TOKEN_FILE", "/run/secrets/token"),
    ];
    let flags = Flags { connections_max: flag("7"), data_dir: flag("2026"), ..Flags::default() };
    let loaded = load(toml, &environment, flags).unwrap();
    let config = &loaded.config;
    assert_eq!(config.expiry_tick, Duration::from_millis(20));
    assert_eq!(config.segment_bytes, 128 << 20);
    assert_eq!((config.in_flight_max, config.connections_max), (20, 7));
    assert_eq!(config.data_dir().unwrap().to_str(), Some("2026"));
    assert_eq!(config.drain_grace, Config::default().drain_grace);

    assert!(matches!(origin(&loaded, "expiry_tick"), Origin::File(_)));
    assert_eq!(origin(&loaded, "in_flight_max"), &Origin::Environment("QUARTERMASTER_IN_FLIGHT_MAX".to_owned()));
    assert_eq!(origin(&loaded, "connections_max"), &Origin::Flag("--connections-max".to_owned()));
    assert_eq!(origin(&loaded, "drain_grace"), &Origin::Default);
    assert_eq!(loaded.rows().len(), KEYS.len());
    let shown = |key: &str| loaded.rows().into_iter().find(|row| row.0 == key).unwrap().1;
    assert_eq!(shown("segment_bytes"), "128MiB");
    assert_eq!(shown("default_deadline"), "1s");
}

#[test]
fn the_defaults_are_in_range() {
    let loaded = Config::load(&Flags::default(), []).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(matches!(loaded.config.data_dir(), Err(ConfigError::Missing { key: "data_dir", .. })));
    let message = loaded.config.data_dir().unwrap_err().to_string();
    for way in ["--data-dir", "QUARTERMASTER_DATA_DIR", "\"data_dir\" in the configuration file"] {
        assert!(message.contains(way), "{message}");
    }
}

#[test]
fn what_is_accepted_here_the_journal_accepts() {
    let opens =
        |config: &Config| Log::open(SimStorage::new(), config.log(), Lsn::new(1), &mut |_, _, _| Ok(())).map(drop);
    opens(&Config::default()).unwrap();
    for batch in ["4KiB", "32KiB"] {
        let toml = format!("segment_bytes = '64KiB'\nbacklog_bytes_max = '64KiB'\nbatch_bytes_max = '{batch}'");
        opens(&load(&toml, &[], Flags::default()).unwrap().config).unwrap();
    }
    let uneven = load("segment_bytes = 65537\nbatch_bytes_max = 4096", &[], Flags::default()).unwrap_err().to_string();
    assert!(uneven.contains("a multiple of 512"), "{uneven}");
    let large = load("segment_bytes = '1MiB'", &[], Flags::default()).unwrap_err().to_string();
    assert!(large.contains("\"batch_bytes_max\" is 4194304 in the defaults"), "{large}");
    assert!(large.contains("half of segment_bytes"), "{large}");
}

#[test]
fn unsafe_durability_needs_its_flag_and_interval_tells_its_window() {
    let none = || Flags { durability: flag("none"), ..Flags::default() };
    let refused = load("", &[], none()).unwrap_err().to_string();
    assert!(refused.contains("flag --durability") && refused.contains("--unsafe-no-fsync"), "{refused}");
    let loaded = load("", &[], Flags { unsafe_no_fsync: true, ..none() }).unwrap();
    assert_eq!(loaded.config.durability, Durability::None);
    assert!(loaded.config.loss_window().starts_with("UNSAFE"));
    // Not even the file can say it.
    assert!(load("unsafe_no_fsync = true", &[], none()).unwrap_err().to_string().contains("unknown key"));

    let loaded = load("durability = 'interval'\nsync_interval = '50ms'", &[], Flags::default()).unwrap();
    assert!(loaded.config.loss_window().contains("the last 50ms"));
}

#[test]
fn every_mistake_names_key_place_and_remedy() {
    for (toml, variable, flags, parts) in [
        (
            "segment_byte = 1",
            ("A", ""),
            Flags::default(),
            ["unknown key \"segment_byte\"", "file ", "\"segment_bytes\"?"],
        ),
        (
            "",
            ("QUARTERMASTER_LISTENS", "x"),
            Flags::default(),
            ["unknown key \"listens\"", "environment QUARTERMASTER_LISTENS", "\"listen\"?"],
        ),
        (
            "",
            ("QUARTERMASTER_SHARE_PRICE", "x"),
            Flags::default(),
            ["unknown key", "QUARTERMASTER_SHARE_PRICE", "--help"],
        ),
        ("in_flight_max = 'many'", ("A", ""), Flags::default(), ["\"in_flight_max\"", "file ", "expected u32"]),
        (
            "",
            ("QUARTERMASTER_IN_FLIGHT_MAX", "-1"),
            Flags::default(),
            ["\"in_flight_max\"", "environment QUARTERMASTER_IN_FLIGHT_MAX", "-1"],
        ),
        (
            "",
            ("A", ""),
            Flags { listen: flag("here"), ..Flags::default() },
            ["\"listen\"", "flag --listen", "socket address"],
        ),
        (
            "",
            ("A", ""),
            Flags { drain_grace: flag("10"), ..Flags::default() },
            ["\"drain_grace\"", "flag --drain-grace", "a duration"],
        ),
        (
            "",
            ("A", ""),
            Flags { durability: flag("maybe"), ..Flags::default() },
            ["\"durability\"", "flag --durability", "fsync"],
        ),
        (
            "",
            ("A", ""),
            Flags { segment_bytes: flag("64 MB"), ..Flags::default() },
            ["\"segment_bytes\"", "flag --segment-bytes", "KiB, MiB"],
        ),
        (
            "",
            ("A", ""),
            Flags { segment_bytes: flag("1KiB"), ..Flags::default() },
            ["\"segment_bytes\" is 1024 bytes", "flag --segment-bytes", "65536 to 1073741824 bytes"],
        ),
        ("expiry_tick = '2s'", ("A", ""), Flags::default(), ["\"expiry_tick\" is 2s", "file ", "1ms to 1s"]),
        ("snapshot_interval = '1ms'", ("A", ""), Flags::default(), ["\"snapshot_interval\"", "file ", "0s for never"]),
        ("worker_threads = 0", ("A", ""), Flags::default(), ["\"worker_threads\" is 0", "file ", "1 to 1024"]),
        ("log_level = 'info,x=loud'", ("A", ""), Flags::default(), ["\"log_level\"", "file ", "expected one of"]),
        ("listen = ", ("A", ""), Flags::default(), ["not valid TOML", "line 1", ""]),
    ] {
        let error = load(toml, &[variable], flags).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }
    let text = OsString::from_vec(vec![b'/', 0xff]);
    let error = Config::load(&Flags::default(), [("QUARTERMASTER_DATA_DIR".into(), text)]).unwrap_err().to_string();
    assert!(error.contains("environment QUARTERMASTER_DATA_DIR: not valid UTF-8"), "{error}");
    let missing = Config::load(&Flags { config: Some("/nowhere/q.toml".into()), ..Flags::default() }, []).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/q.toml"));
}
