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
        (
            "slow_call_threshold = '1us'",
            ("A", ""),
            Flags::default(),
            ["\"slow_call_threshold\" is 1us", "file ", "0s for none, or 1ms to 1h"],
        ),
        ("trace_ratio = 1.5", ("A", ""), Flags::default(), ["\"trace_ratio\"", "file ", "a ratio from 0 to 1"]),
        (
            "",
            ("QUARTERMASTER_TRACE_RATIO", "1%"),
            Flags::default(),
            ["\"trace_ratio\"", "environment QUARTERMASTER_TRACE_RATIO", "as 0.01"],
        ),
        (
            "",
            ("A", ""),
            Flags { debug_listen: flag("0.0.0.0:7072"), ..Flags::default() },
            ["\"debug_listen\" is 0.0.0.0:7072", "flag --debug-listen", "debug_public = true"],
        ),
        ("debug_public = 'yes'", ("A", ""), Flags::default(), ["\"debug_public\"", "file ", "bool"]),
        ("log_level = 'loud'", ("A", ""), Flags::default(), ["\"log_level\"", "\"loud\" is no level", "give a level"]),
        (
            "disk_budget_bytes = '1MiB'",
            ("A", ""),
            Flags::default(),
            ["\"disk_budget_bytes\"", "eight segments", "0 for all"],
        ),
        (
            "backup_target = 'backups'",
            ("A", ""),
            Flags::default(),
            ["\"backup_target\"", "absolute path", "s3://bucket/"],
        ),
        (
            "backup_target = 's3://B/x'",
            ("A", ""),
            Flags::default(),
            ["\"backup_target\"", "no name of a bucket", "file "],
        ),
        (
            "data_dir = '/data'\nbackup_target = '/data/backups'",
            ("A", ""),
            Flags::default(),
            ["\"backup_target\"", "lies within data_dir", "file "],
        ),
        (
            "backup_interval = '1day'",
            ("A", ""),
            Flags::default(),
            ["\"backup_interval\" is 1day", "no backup_target", ""],
        ),
        (
            "backup_target = '/b'\nbackup_interval = '1s'",
            ("A", ""),
            Flags::default(),
            ["\"backup_interval\" is 1s", "0s for never, or 1m to 30days", "file "],
        ),
        ("backup_keep = 10001", ("A", ""), Flags::default(), ["\"backup_keep\" is 10001", "0 to 10000", "file "]),
        (
            "backup_bytes_per_second = 1",
            ("A", ""),
            Flags::default(),
            ["\"backup_bytes_per_second\"", "65536 to", "file "],
        ),
        ("archive = true", ("A", ""), Flags::default(), ["\"archive\" is true", "no backup_target", "file "]),
        (
            "archive_interval = '1ms'",
            ("A", ""),
            Flags::default(),
            ["\"archive_interval\" is 1ms", "1s to 1day", "file "],
        ),
        ("", ("QUARTERMASTER_ARCHIVE", "yes"), Flags::default(), ["\"archive\"", "QUARTERMASTER_ARCHIVE", "a boolean"]),
        ("listen = ", ("A", ""), Flags::default(), ["not valid TOML", "line 1", ""]),
    ] {
        let error = load(toml, &[variable], flags).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }
    let traced = load("otlp_endpoint = 'http://127.0.0.1:4317'", &[], Flags::default());
    if cfg!(feature = "otel") {
        assert_eq!(traced.unwrap().config.otlp_endpoint.as_deref(), Some("http://127.0.0.1:4317"));
    } else {
        let error = traced.unwrap_err().to_string();
        assert!(error.contains("\"otlp_endpoint\" in file ") && error.contains("--features otel"), "{error}");
    }
    let text = OsString::from_vec(vec![b'/', 0xff]);
    let error = Config::load(&Flags::default(), [("QUARTERMASTER_DATA_DIR".into(), text)]).unwrap_err().to_string();
    assert!(error.contains("environment QUARTERMASTER_DATA_DIR: not valid UTF-8"), "{error}");
    let missing = Config::load(&Flags { config: Some("/nowhere/q.toml".into()), ..Flags::default() }, []).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/q.toml"));
}

#[test]
fn what_keeps_strangers_out_belongs_together_and_says_what_is_missing() {
    let tls = "tls_cert_file = 'c'\ntls_key_file = 'k'\n";
    let jwt = "jwt_issuer = 'i'\njwt_audience = 'a'\n";
    let cases = [
        ("tls_cert_file = 'c'", "its private key: set tls_key_file"),
        ("tls_key_file = 'k'", "its certificate: set tls_cert_file"),
        ("tls_client_auth = 'required'", "TLS: set tls_cert_file and tls_key_file"),
        (&format!("{tls}tls_client_auth = 'optional'"), "set tls_client_ca_file"),
        (&format!("{tls}tls_client_ca_file = 'ca'"), "tls_client_auth to be \"optional\" or \"required\""),
        ("tls_client_auth = 'maybe'", "bad value of \"tls_client_auth\""),
        ("metrics_tls = true", "TLS: set tls_cert_file"),
        ("metrics_tls = 'yes'", "bad value of \"metrics_tls\""),
        ("metrics_auth = true", "set tokens_file or jwt_issuer"),
        ("jwt_issuer = 'i'", "jwt_audience: tokens of the issuer for others must not pass here"),
        ("jwt_audience = 'a'", "needs jwt_issuer"),
        (jwt, "its public keys: set jwks_url or jwks_file"),
        ("jwks_file = 'f'", "needs jwt_issuer and jwt_audience"),
        ("jwks_url = 'https://i/k'", "needs jwt_issuer and jwt_audience"),
        (&format!("{jwt}jwks_file = 'f'\njwks_url = 'https://i/k'"), "keys come from one place"),
        (&format!("{jwt}jwks_url = 'http://id.example/keys'"), "an https address, or http on loopback"),
        ("rate_limit_per_caller = 1000001", "it must be 0 to 1000000"),
        ("rate_burst_per_caller = 0", "it must be 1 to 10000000"),
        ("tls_reload_interval = '10ms'", "it must be 1s to 1day"),
    ];
    for (toml, expected) in cases {
        let said = load(toml, &[], Flags::default()).unwrap_err().to_string();
        assert!(said.contains(expected), "{toml:?}: {said:?} does not say {expected:?}");
        assert!(said.contains("file /"), "where it stands: {said}");
    }
    let all = format!("{tls}{jwt}jwks_url = 'http://127.0.0.1:1/k'\nmetrics_tls = true\nmetrics_auth = true");
    let loaded = load(&all, &[("QUARTERMASTER_METRICS_AUTH", "false")], Flags::default()).unwrap();
    assert!(loaded.config.metrics_tls && !loaded.config.metrics_auth && loaded.config.reflection_auth);
}

#[test]
fn an_address_that_others_can_reach_wants_tls_and_authentication() {
    let tls = "tls_cert_file = 'c'\ntls_key_file = 'k'\n";
    let tokens = "tokens_file = 't'\n";
    let cases = [
        (
            "listen = '0.0.0.0:7070'\n".to_owned(),
            "TLS and authentication are not set: set tls_cert_file and tls_key_file, and tokens_file",
        ),
        (format!("listen = '[::]:7070'\n{tls}"), "authentication is not set: set tokens_file or jwt_issuer"),
        (format!("listen = '10.0.0.1:7070'\n{tokens}"), "TLS is not set: set tls_cert_file and tls_key_file"),
        (format!("metrics_listen = '0.0.0.0:7071'\n{tls}{tokens}"), "set metrics_tls = true and metrics_auth = true"),
        (format!("metrics_listen = '0.0.0.0:7071'\n{tls}{tokens}metrics_tls = true"), "set metrics_auth = true"),
        (format!("metrics_listen = '0.0.0.0:7071'\n{tls}{tokens}metrics_auth = true"), "set metrics_tls = true"),
    ];
    for (toml, expected) in cases {
        let said = load(&toml, &[], Flags::default()).unwrap_err().to_string();
        assert!(said.contains(expected), "{toml:?}: {said:?} does not say {expected:?}");
        assert!(said.contains("--insecure-public") && said.contains("listen on 127.0.0.1"), "{said}");
        load(&toml, &[], Flags { insecure_public: true, ..Flags::default() }).unwrap();
    }
    let safe = format!(
        "listen = '0.0.0.0:7070'\nmetrics_listen = '0.0.0.0:7071'\n{tls}{tokens}metrics_tls = true\nmetrics_auth = true"
    );
    load(&safe, &[], Flags::default()).unwrap();
    load("listen = '127.0.0.2:7070'\nmetrics_listen = '[::1]:7071'", &[], Flags::default()).unwrap();
}
