//! Every setting of the server, once: its unit, its default and the reason for it.
//!
//! Precedence, lowest first: default, TOML file (`--config`), environment (`QUARTERMASTER_KEY`), flag (`--key`). An unknown key or
//! a bad value stops the start with a message that names the key and where it stands; nothing is quietly corrected.
mod check;
mod error;
mod limits;
mod load;
mod parts;
mod ratio;
mod reference;
mod secure;
mod show;
mod value;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use error::ConfigError;
pub use limits::Limit;
pub use load::{Loaded, Origin};
pub use ratio::Ratio;
pub use reference::reference;

/// Declares the keys: for each its documentation, type, default and how its text form is read. Makes [`Config`] and [`Flags`] from
/// the same lines, so that a key cannot be known to the file and not to the command line.
macro_rules! keys {
    ($( $(#[doc = $doc:literal])+ $key:ident : $type:ty = $default:expr $(, as $form:literal)? ; )+) => {
        /// The settings the server runs with.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Config {
            $( $(#[doc = $doc])+ $(#[serde(with = $form)])? pub $key: $type, )+
        }

        impl Default for Config {
            fn default() -> Config {
                Config { $( $key: $default, )+ }
            }
        }

        /// The same keys as flags, each as the text that was given.
        #[derive(Clone, Debug, Default, clap::Args)]
        pub struct Flags {
            /// TOML file with any of the keys below, in snake case.
            #[arg(long, env = "QUARTERMASTER_CONFIG", value_name = "FILE")]
            pub config: Option<PathBuf>,
            /// Allows `--durability none`: a crash of the machine may lose everything since the start.
            #[arg(long)]
            pub unsafe_no_fsync: bool,
            /// Allows addresses beyond loopback without TLS or authentication: whoever reaches them may do everything.
            #[arg(long)]
            pub insecure_public: bool,
            $( $(#[doc = $doc])+ #[arg(long, value_name = "VALUE")] pub $key: Option<String>, )+
        }

        impl Flags {
            /// Key and text of each flag that was given.
            fn given(&self) -> Vec<(&'static str, &str)> {
                let all = [ $( (stringify!($key), self.$key.as_deref()) ),+ ];
                all.into_iter().filter_map(|(key, text)| text.map(|text| (key, text))).collect()
            }
        }

        /// Names of the keys, in the order of the documentation.
        pub const KEYS: &[&str] = &[ $( stringify!($key) ),+ ];

        /// Type of each of [`KEYS`] as the code has it, and how its text is read where that is not by its type, in the same order.
        const TYPES: &[(&str, &str)] = &[ $( (stringify!($type), concat!("", $($form)?)) ),+ ];

        /// What each of [`KEYS`] means, in the same order.
        const DESCRIPTIONS: &[&str] = &[ $( concat!($($doc),+) ),+ ];
    };
}

keys! {
    /// Directory of journal and snapshots; made when it is missing. No default: where stock is kept is a decision.
    data_dir: Option<PathBuf> = None;
    /// Address of gRPC and JSON. Default 127.0.0.1:7070: loopback, because any other needs TLS and authentication; below the ephemeral ports.
    listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 7070));
    /// Address of /metrics, /healthz and /readyz. Default 127.0.0.1:7071: apart from the traffic, so that it answers in overload.
    metrics_listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 7071));
    /// When a change is acknowledged: "fsync" (default) after its batch is on disk; "interval" before, with an fsync every
    /// `sync_interval`; "none" without any, only with --unsafe-no-fsync.
    durability: Durability = Durability::Fsync;
    /// With durability "interval": time between fsyncs, which is what a power cut may lose. 1 ms to 10 s. Default 100 ms.
    sync_interval: Duration = Duration::from_millis(100), as "humantime_serde";
    /// Size of a journal segment file in bytes, 64 KiB to 1 GiB, a multiple of 512. Default 64 MiB: few files, and recovery holds one in memory.
    segment_bytes: u64 = 64 << 20, as "value::bytes";
    /// Largest batch of one write and fsync, in bytes, 4 KiB to 64 MiB and at most half a segment. Default 4 MiB: more is no cheaper per byte.
    batch_bytes_max: u64 = 4 << 20, as "value::bytes";
    /// Bytes that may wait for the disk before writes are refused, 64 KiB to 1 GiB. Default 64 MiB: a second of a slow disk.
    backlog_bytes_max: u64 = 64 << 20, as "value::bytes";
    /// Time between snapshots, 0 for never, else 1 s to 7 days. Default 10 min: bounds the replay after a crash.
    snapshot_interval: Duration = Duration::from_secs(600), as "humantime_serde";
    /// Journal bytes after which a snapshot is taken early, 0 for never. Default 1 GiB: a few seconds of replay.
    snapshot_after_bytes: u64 = 1 << 30, as "value::bytes";
    /// How long the journal is kept beyond what snapshots need, so that past decisions can be explained and policies tried on them; 0 for
    /// not at all, else 1 s to 365 days. Default 7 days. It costs the disk what was written in that time (`wal_bytes_total` tells; an
    /// order with sourcing is 1 to 5 KB) in whole segments, one more at each start; when the disk is full it is given up first.
    journal_keep: Duration = Duration::from_secs(7 * 24 * 3_600), as "humantime_serde";
    /// Bytes that journal and snapshots may take together, 0 for all there are, else 8 segments to 1 PiB. Default 0. Near its end what is
    /// kept beyond a restart's needs is given up; past it new promises are refused as on a full disk. Leave room for three snapshots.
    disk_budget_bytes: u64 = 0, as "value::bytes";
    /// Where scheduled backups and the archive go, and others that name no target: an absolute directory that is there, or
    /// "s3://bucket/prefix" in a build with the feature `s3`. Default none. Never within `data_dir`.
    backup_target: Option<String> = None;
    /// Time between scheduled backups, 0 for none, else 1 min to 30 days. Default 0. Needs `backup_target`.
    backup_interval: Duration = Duration::ZERO, as "humantime_serde";
    /// Backups kept at a target, 0 for all, at most 10,000; older ones are given up after each new one. Default 7: a week of daily ones.
    backup_keep: u32 = 7;
    /// Bytes a second that a backup or the archive reads and sends at most, 64 KiB to 10 GiB. Default 4 MiB: a gigabyte in four
    /// minutes, and so little that callers do not notice it where the target is on the journal's own disk.
    backup_bytes_per_second: u64 = 4 << 20, as "value::bytes";
    /// Whether the journal is sent to `backup_target` as it is written, so that a restore reaches to within `archive_interval` of now. The
    /// journal is then kept until it is sent, as long as the disk or its budget has room. Default false.
    archive: bool = false;
    /// Time between two passes of the archive, 1 s to 1 day. Default 30 s: what a lost machine may take with it, in objects of some size.
    archive_interval: Duration = Duration::from_secs(30), as "humantime_serde";
    /// How often holds are looked at for expiry, 1 ms to 1 s. Default 10 ms: well within the promised 50 ms.
    expiry_tick: Duration = Duration::from_millis(10), as "humantime_serde";
    /// How long a request id is remembered, 1 min to 30 days. Default 24 h: longer than any retry of a gateway.
    dedup_retention: Duration = Duration::from_secs(24 * 3_600), as "humantime_serde";
    /// Request ids remembered at most, 1,000 to 1,000,000,000; the oldest go first. Default 10,000,000: about 1.5 GB.
    dedup_entries_max: u64 = 10_000_000;
    /// How long an ended reservation can be read, 1 min to 365 days. Default 24 h: a day of questions.
    ended_retention: Duration = Duration::from_secs(24 * 3_600), as "humantime_serde";
    /// Ended reservations kept at most, 1,000 to 1,000,000,000; the oldest go first. Each of 256 shards keeps a 256th of them, by the SKU of a
    /// reservation's first line: orders of one hot SKU are forgotten when 7,812 came after. Default 2,000,000: about 400 MB.
    ended_entries_max: u64 = 2_000_000;
    /// How long a shipped reservation is kept, so that its units can be returned; begins anew when a return of it ends, and one with an
    /// open return is always kept. 1 min to 3,650 days. Default 90 days: longer than buyers have to send things back.
    return_window: Duration = Duration::from_secs(90 * 24 * 3_600), as "humantime_serde";
    /// Shipped reservations kept at most, 1,000 to 1,000,000,000; the oldest go first, and those with open returns do not count. Each of 256
    /// shards keeps a 256th of them, as above: 19,531 of one hot SKU. Default 5,000,000: about 1 GB, and 55,000 orders a day for 90 days.
    return_entries_max: u64 = 5_000_000;
    /// Of a thousand shipped units of a SKU, so many that come back are told of as a return rate to look at, 1 to 1,000,000. Default 300.
    return_rate_alert: u32 = 300;
    /// Units of a SKU shipped before its return rate is looked at, 1 to 1,000,000,000. Default 20: fewer say little.
    return_rate_min_units: u64 = 20;
    /// Time between recounts of every promise, 0 for never, else 1 s to 7 days. Default 1 min: an alert the same minute.
    audit_interval: Duration = Duration::from_secs(60), as "humantime_serde";
    /// Calls in work at once on all connections, 1 to 1,000,000; more are refused with a retry delay. An eighth is kept for calls that
    /// finish what was begun, a quarter from any one address for all others. Default 4,096: at a 10 ms fsync
    /// that is 400,000 answers a second, so a longer queue would only be delay.
    in_flight_max: u32 = 4_096;
    /// Longest wait of calls for a thread that may last, 0 for any, else 1 ms to 10 s. When three of four calls of a `queue_wait_interval`
    /// waited longer, fewer are let in until it is so again. Default 50 ms: a twentieth of the default deadline, and more than a thousand
    /// callers who wait for one answer each make one core wait. A lower one makes refusals quicker and comes sooner to them.
    queue_wait_target: Duration = Duration::from_millis(50), as "humantime_serde";
    /// How long calls may wait longer than `queue_wait_target` before some are refused, 10 ms to 10 s. Default 100 ms: longer than a burst
    /// or a hiccup of the machine, shorter than anybody's patience.
    queue_wait_interval: Duration = Duration::from_millis(100), as "humantime_serde";
    /// Connections open at once, 1 to 1,000,000; more are closed at once. Default 10,000: at 25 KB each, and half of the usual limit on
    /// files. Fewer where the limit on files is lower: 256 stay free for the journal, which ends the server when it cannot open one.
    connections_max: u32 = 10_000;
    /// Connections open at once from one address (IPv6: from one /64), 1 to 1,000,000. Default 2,000: a fleet of gateways behind one
    /// address fits, and no single one can take all places.
    connections_per_address_max: u32 = 2_000;
    /// Calls in work at once on one connection, told to clients as the HTTP/2 maximum of concurrent streams, 1 to 65,536. Default
    /// 1,024: at a 10 ms fsync 128 would hold one gateway's connection to 12,800 answers a second, and `in_flight_max` bounds the sum.
    concurrency_per_connection: u32 = 1_024;
    /// Time a new connection has to say what it speaks, 100 ms to 1 min. Default 5 s.
    handshake_timeout: Duration = Duration::from_secs(5), as "humantime_serde";
    /// Age at which a connection is told to go and reconnect, 0 for never, else 10 s to 7 days. Default 1 h: balances new servers in.
    connection_age_max: Duration = Duration::from_secs(3_600), as "humantime_serde";
    /// Time from then in which its calls must end before it is closed, 1 s to 1 day. Default 5 min: longer than any call but an endless
    /// stream, whose caller goes on elsewhere with the same request ids.
    connection_age_grace: Duration = Duration::from_secs(300), as "humantime_serde";
    /// Time after which a quiet HTTP/2 connection is pinged, 1 s to 1 h. Default 15 s.
    keepalive_interval: Duration = Duration::from_secs(15), as "humantime_serde";
    /// Time for the answer to such a ping, 100 ms to 1 min; then the connection is closed. Default 10 s: a peer that is gone, or that
    /// holds a request back byte by byte, is closed 25 s after its last whole frame.
    keepalive_timeout: Duration = Duration::from_secs(10), as "humantime_serde";
    /// Time in which a peer must take some of the answers it asked for, 1 s to 1 h; then its connection is closed. Default 20 s.
    unread_timeout: Duration = Duration::from_secs(20), as "humantime_serde";
    /// Largest message of a request in bytes, 4 KiB to 64 MiB. Default 4 MiB: a batch of 10,000 reservations fits.
    message_bytes_max: u64 = 4 << 20, as "value::bytes";
    /// Largest JSON body of a streaming call in bytes, 4 KiB to 1 GiB: it is read whole before the first message is sent, so that a
    /// mistake in the last line changes nothing. Default 16 MiB; four such bodies are held at once.
    json_stream_bytes_max: u64 = 16 << 20, as "value::bytes";
    /// Time a unary call has when its caller sets no deadline, 10 ms to 1 h. Default 1 s. Not for AdminService and streams.
    default_deadline: Duration = Duration::from_secs(1), as "humantime_serde";
    /// Threads that serve calls, 1 to 1,024. Default: the cores of the machine.
    worker_threads: u32 = cores();
    /// Time calls in work have to finish at shutdown, 0 s to 10 min. Default 10 s: less than the 30 s of an orchestrator.
    drain_grace: Duration = Duration::from_secs(10), as "humantime_serde";
    /// PEM file with the server's certificate and what leads from it to a CA; with it the port of gRPC and JSON speaks TLS 1.2 and 1.3 only.
    /// Default none: loopback needs no TLS.
    tls_cert_file: Option<PathBuf> = None;
    /// PEM file with the private key that belongs to `tls_cert_file`.
    tls_key_file: Option<PathBuf> = None;
    /// PEM file with the CAs whose client certificates are taken; needed by `tls_client_auth` "optional" and "required".
    tls_client_ca_file: Option<PathBuf> = None;
    /// Client certificates: "off" (default), "optional" to take and "required" to demand one that a CA of `tls_client_ca_file` signed.
    tls_client_auth: ClientAuth = ClientAuth::Off;
    /// Time between looks at certificate, key, CA, tokens and key set files, which are read again when they changed, 1 s to 1 day. Default
    /// 1 min: soon enough for a renewal, and a file that is wrong leaves what is in force.
    tls_reload_interval: Duration = Duration::from_secs(60), as "humantime_serde";
    /// Whether the metrics port speaks TLS too, with the same certificate; it never demands a client's. Default false.
    metrics_tls: bool = false;
    /// Whether /metrics needs a token or certificate with the role operator, analyst or admin. Default false; /healthz and /readyz never do.
    metrics_auth: bool = false;
    /// TOML file with who may call: names, SHA-256 of tokens, subjects of client certificates, roles, scopes. Default none; with it, or with
    /// `jwt_issuer`, every call but a health check must prove who makes it.
    tokens_file: Option<PathBuf> = None;
    /// Issuer (`iss`) of JSON web tokens that are taken, exactly as it stands in them. Default none: no JWT is taken.
    jwt_issuer: Option<String> = None;
    /// Audience (`aud`) that they must be meant for.
    jwt_audience: Option<String> = None;
    /// Where the issuer's public keys are fetched: https, or http on loopback. Read at the start, every 10 min, and within 30 s of a token
    /// that names a key which is not among them.
    jwks_url: Option<String> = None;
    /// The same keys from a file instead.
    jwks_file: Option<PathBuf> = None;
    /// Claim that names the caller, who becomes "jwt:NAME" in the journal. Default "sub".
    jwt_name_claim: String = "sub".to_owned();
    /// Claim with the caller's roles, a list or words in a text; "a.b" is b within a. Others than ours are passed over. Default "roles".
    jwt_roles_claim: String = "roles".to_owned();
    /// Claim with the channels the caller is bound to; a token without it is bound to none in particular. Default "channels".
    jwt_channels_claim: String = "channels".to_owned();
    /// Claim with the locations the caller is bound to, likewise. Default "locations".
    jwt_locations_claim: String = "locations".to_owned();
    /// Whether reflection, the index page and /openapi.json need a token (of any role) when calls do. Default true.
    reflection_auth: bool = true;
    /// Calls a second of one caller, items of batches and streams each counted; 0 for no bound, else 1 to 1,000,000. A caller is who its
    /// token or certificate says, else its address (IPv6: the /64). What finishes or frees a hold has four times as many of its own.
    /// Default 0: how much one caller may want is the operator's to say.
    rate_limit_per_caller: u32 = 0;
    /// Calls that a caller may save up for a burst, 1 to 10,000,000. Default 1,000: a gateway's queue after a second of silence.
    rate_burst_per_caller: u32 = 1_000;
    /// Form of the log on stderr: "text" (default) or "json".
    log_format: LogFormat = LogFormat::Text;
    /// Calls that take at least so long are logged with where their time went, and kept for `quartermaster slow`; 0 for none, else 1 ms to
    /// 1 h. Default 100 ms: a tenth of the default deadline.
    slow_call_threshold: Duration = Duration::from_millis(100), as "humantime_serde";
    /// Where traces are sent, the URL of an OTLP collector that speaks gRPC, as http://127.0.0.1:4317. No default: nothing is traced.
    /// Only in builds with the feature `otel`.
    otlp_endpoint: Option<String> = None;
    /// Of the calls that belong to no trace so many begin one, 0 to 1; in a trace its caller's decision stands. Default 0.01.
    trace_ratio: Ratio = Ratio::from_millionths(10_000);
    /// Address of the debug port: threads, memory, shards. No default: it is off. Loopback only, unless `debug_public`.
    debug_listen: Option<SocketAddr> = None;
    /// Lets `debug_listen` be an address that others reach. What it shows is not for them: behind a firewall only. Default false.
    debug_public: bool = false;
    /// What is logged: a level, or directives such as "info,quartermaster_server=debug". Default "info".
    log_level: String = "info".to_owned();
}

/// What is said of `otlp_endpoint` by a build that cannot trace.
pub const NO_TRACES: &str =
    "this build has no traces; build it with `cargo build --release --features otel`, or leave otlp_endpoint away";

/// When a change is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// After the fsync of its batch.
    Fsync,
    /// After the write of its batch; an fsync follows within `sync_interval`.
    Interval,
    /// After the write of its batch. Tests only.
    None,
}

/// What is asked of clients in the TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// No certificate.
    Off,
    /// A certificate may be shown, and must be good then.
    Optional,
    /// A good certificate, or no connection.
    Required,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One line an event, for people.
    Text,
    /// One JSON object a line.
    Json,
}

fn cores() -> u32 {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u32::try_from(cores).unwrap_or(1)
}
