//! Redis with the script that people write for this: stock check, decrement, and the reservation with expiry and request id, in one go.
//!
//! Set up as its own documentation would for this: the script called by its hash, the log as asked and not rewritten meanwhile, no dumps,
//! `TCP_NODELAY`; one thread, as there is one core. Plain is one caller a connection; piped is what a client that multiplexes few connections
//! gets. The client speaks RESP2 by itself: a general client would cost more than Redis does.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quartermaster_benches::matrix::{location_code, sku_code};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Failure;
use crate::contender::{Granted, Kind, Lane as AnyLane, Server, Wire};
use crate::demand::{HELD_FOR, HOT, LOCATIONS, Order, SKUS, SOLD_OUT, UNITS, units_in_all};
use crate::process::{Cores, Process, free_port, program};

/// Key of the index of expiries.
const EXPIRIES: &str = "expiries";

const SCRIPT: &str = include_str!("reserve.lua");

/// Commands, or keys, of one write while stock is loaded and counted.
const AT_ONCE: usize = 1_000;

/// Starts it and loads the stock; none where it is not installed.
pub(crate) async fn start(kind: Kind, directory: &Path, cores: Cores) -> Result<Option<Server>, Failure> {
    let Some(binary) = program("redis-server", &[]) else { return Ok(None) };
    let (name, log): (_, &[&str]) = match kind {
        Kind::RedisAlways => ("redis-always", &["--appendonly", "yes", "--appendfsync", "always"]),
        Kind::RedisEverysec => ("redis-everysec", &["--appendonly", "yes", "--appendfsync", "everysec"]),
        _ => ("redis-off", &["--appendonly", "no"]),
    };
    let place = directory.join(name);
    std::fs::create_dir(&place)?;
    let port = free_port()?;
    let mut command = Command::new(binary);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]).arg(&place);
    command.args(["--save", "", "--auto-aof-rewrite-percentage", "0", "--tcp-backlog", "2048"]).args(log);
    let process = Process::start(command, cores, &directory.join(format!("{name}.log")))?;
    let server = Server { kind, process, address: format!("127.0.0.1:{port}"), granted: Granted::default() };
    let mut connection = connect(&server.address).await?;
    connection.load_stock().await?;
    Ok(Some(server))
}

/// What its books say was granted: reservations, and stock that is no longer there.
pub(crate) async fn granted(address: &str) -> Result<Granted, Failure> {
    let mut connection = connect(address).await?;
    connection.command(&["ZCARD", EXPIRIES]);
    connection.flush().await?;
    let orders = connection.text().await?.parse()?;
    let mut left = 0;
    for part in cells().chunks(AT_ONCE) {
        let keys: Vec<String> = part.iter().map(|(sku, location)| cell(*sku, *location)).collect();
        let words: Vec<&str> = ["MGET"].into_iter().chain(keys.iter().map(String::as_str)).collect();
        connection.command(&words);
        connection.flush().await?;
        // The head of the list, and what is in it.
        connection.line().await?;
        for _ in part {
            left += connection.text().await?.parse::<u64>()?;
        }
    }
    Ok(Granted { orders, units: units_in_all() - left })
}

/// Connects: each lane has a connection of its own, as Redis answers in order.
pub(crate) async fn lanes(address: &str, wire: Wire) -> Result<Vec<AnyLane>, Failure> {
    let mut lanes = Vec::new();
    for _ in 0..wire.lanes().0 {
        let mut lane = connect(address).await?;
        lane.command(&["SCRIPT", "LOAD", SCRIPT]);
        lane.flush().await?;
        lane.sha = lane.text().await?;
        lanes.push(AnyLane::Redis(lane));
    }
    Ok(lanes)
}

async fn connect(address: &str) -> Result<Lane, Failure> {
    for _ in 0..500 {
        if let Ok(stream) = TcpStream::connect(address).await {
            stream.set_nodelay(true)?;
            return Ok(Lane { stream, sha: String::new(), out: Vec::new(), read: Vec::new(), parsed: 0 });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(format!("Redis does not answer at {address}").into())
}

/// One connection.
pub(crate) struct Lane {
    stream: TcpStream,
    /// Name of the script.
    sha: String,
    out: Vec<u8>,
    read: Vec<u8>,
    /// Bytes of `read` that are done with.
    parsed: usize,
}

impl Lane {
    pub(crate) async fn step(&mut self, orders: &[Order]) -> Result<Granted, Failure> {
        let expires = SystemTime::now().duration_since(UNIX_EPOCH)? + HELD_FOR;
        orders.iter().for_each(|order| self.reserve(order, expires.as_secs()));
        self.flush().await?;
        let mut granted = Granted::default();
        for order in orders {
            match self.text().await?.as_str() {
                "1" => granted = granted + Granted::order(order),
                "0" => {}
                other => return Err(format!("Redis answered {other}").into()),
            }
        }
        Ok(granted)
    }

    fn reserve(&mut self, order: &Order, expires: u64) {
        let keys = (order.lines().len() + 2).to_string();
        let reservation = format!("r:{}", order.request_id_text());
        let cells: Vec<String> = order.lines().iter().map(|line| cell(line.sku, line.location)).collect();
        let content = format!("O{:015} B{:09} {}", order.id, order.buyer(), cells.join(" "));
        let sha = std::mem::take(&mut self.sha);
        let expires = expires.to_string();
        let mut words = vec!["EVALSHA", &sha, &keys, &reservation, EXPIRIES];
        words.extend(cells.iter().map(String::as_str));
        words.extend([expires.as_str(), content.as_str()]);
        self.command(&words);
        self.sha = sha;
    }

    async fn load_stock(&mut self) -> Result<(), Failure> {
        let units = UNITS.to_string();
        for part in cells().chunks(AT_ONCE) {
            part.iter().for_each(|(sku, location)| self.command(&["SET", &cell(*sku, *location), &units]));
            self.flush().await?;
            for _ in part {
                self.text().await?;
            }
        }
        self.command(&["SET", &cell(SOLD_OUT, 0), "0"]);
        self.flush().await?;
        self.text().await.map(drop)
    }

    /// Puts a command into the buffer.
    fn command(&mut self, words: &[&str]) {
        // Writing to memory does not fail.
        let _ = write!(self.out, "*{}\r\n", words.len());
        for word in words {
            let _ = write!(self.out, "${}\r\n{word}\r\n", word.len());
        }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    /// The next answer, which is a word, a number or a text.
    async fn text(&mut self) -> Result<String, Failure> {
        let line = self.line().await?;
        match line.split_at_checked(1) {
            Some(("+" | ":", text)) => Ok(text.to_owned()),
            Some(("$", _length)) => self.line().await,
            _ => Err(format!("Redis answered {line}").into()),
        }
    }

    async fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(length) = self.read[self.parsed..].windows(2).position(|end| end == b"\r\n") {
                let line = str::from_utf8(&self.read[self.parsed..self.parsed + length])?.to_owned();
                self.parsed += length + 2;
                return Ok(line);
            }
            self.read.drain(..self.parsed);
            self.parsed = 0;
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("Redis hung up".into());
            }
        }
    }
}

/// The stocked cells.
fn cells() -> Vec<(u32, u32)> {
    let spread = (0..SKUS).flat_map(|sku| (0..LOCATIONS).map(move |location| (sku, location)));
    spread.chain([(HOT, 0)]).collect()
}

/// Key of a cell.
fn cell(sku: u32, location: u32) -> String {
    format!("s:{}:{}", sku_code(sku), location_code(location))
}
