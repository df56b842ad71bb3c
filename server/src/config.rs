//! Every setting of the server, once: its unit, its default and the reason for it.
//!
//! Precedence, lowest first: default, TOML file (`--config`), environment (`QUARTERMASTER_KEY`), flag (`--key`). An unknown key or
//! a bad value stops the start with a message that names the key and where it stands; nothing is quietly corrected.
mod check;
mod error;
mod limits;
mod load;
mod parts;
mod reference;
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
    /// Address of gRPC and JSON. Default 127.0.0.1:7070: loopback, because there is no authentication yet; below the ephemeral ports.
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
    /// Form of the log on stderr: "text" (default) or "json".
    log_format: LogFormat = LogFormat::Text;
    /// What is logged: a level, or directives such as "info,quartermaster_server=debug". Default "info".
    log_level: String = "info".to_owned();
}

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
