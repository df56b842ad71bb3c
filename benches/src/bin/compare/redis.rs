//! Redis with the script that people write for this: stock check, decrement, and the reservation with expiry and request id, in one go.
//!
//! The client speaks RESP2 by itself: a general client would cost more than Redis does, on the core that it shares with nobody.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quartermaster_benches::matrix::{location_code, sku_code};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Failure;
use crate::contender::{Kind, Lane as AnyLane, Server, Taken, Wire};
use crate::demand::{HOT, LOCATIONS, Order, SKUS, SOLD_OUT, UNITS};
use crate::process::{Cores, Process, free_port, program};

const SCRIPT: &str = include_str!("reserve.lua");

/// Commands of one write while stock is loaded.
const LOADED_AT_ONCE: usize = 1_000;

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
    let server = Server { kind, process, address: format!("127.0.0.1:{port}") };
    let mut connection = connect(&server.address).await?;
    connection.load_stock().await?;
    Ok(Some(server))
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
    pub(crate) async fn step(&mut self, orders: &[Order]) -> Result<Taken, Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        orders.iter().for_each(|order| self.reserve(order, now + 900));
        self.flush().await?;
        let mut taken = 0;
        for _ in orders {
            match self.text().await?.as_str() {
                "1" => taken += 1,
                "0" => {}
                other => return Err(format!("Redis answered {other}").into()),
            }
        }
        Ok(Taken(taken))
    }

    fn reserve(&mut self, order: &Order, expires: u64) {
        let keys = (order.lines.len() + 2).to_string();
        let reservation = format!("r:{}", order.request_id());
        let cells: Vec<String> = order.lines.iter().map(|line| cell(line.sku, line.location)).collect();
        let content = format!("O{:015} B{:09} {}", order.id, order.buyer(), cells.join(" "));
        let sha = std::mem::take(&mut self.sha);
        let expires = expires.to_string();
        let mut words = vec!["EVALSHA", &sha, &keys, &reservation, "expiries"];
        words.extend(cells.iter().map(String::as_str));
        words.extend([expires.as_str(), content.as_str()]);
        self.command(&words);
        self.sha = sha;
    }

    async fn load_stock(&mut self) -> Result<(), Failure> {
        let units = UNITS.to_string();
        let spread = (0..SKUS).flat_map(|sku| (0..LOCATIONS).map(move |location| (sku, location)));
        let cells: Vec<_> = spread.chain([(HOT, 0)]).collect();
        for part in cells.chunks(LOADED_AT_ONCE) {
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

/// Key of a cell.
fn cell(sku: u32, location: u32) -> String {
    format!("s:{}:{}", sku_code(sku), location_code(location))
}
