//! A node in a directory of its own, called in process through the services that a server has.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method as HttpMethod, Request, Version};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost_reflect::{DynamicMessage, Value};
use quartermaster_engine::{
    Engine, EngineConfig,
    history::{History, Rules},
    recovery::Recovery,
    snapshot::{Section, kind},
};
use quartermaster_journal::{FileStorage, LogReader, Lsn, MemoryJournal, SnapshotStore};
use quartermaster_server::{
    config::{Config, Durability},
    grpc,
    health::{Health, Phase},
    methods::Method,
    node::Node,
};
use tempfile::TempDir;
use tonic::{Code, Status, body::Body, service::Routes};
use tower::Service as _;

use super::{methods, world};
use crate::pieces::Piece;

/// As the server's default.
pub(super) const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Longest wait for an answer. Nothing here waits for anyone else.
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// Inputs tried on one node. A node is made, filled, closed and replayed three ways, which costs as much as some hundred calls; but one
/// that lives for long is full of what was frozen, retired and sold out, and answers ever fewer calls with OK.
pub(super) const TOGETHER: usize = 32;

/// A directory in memory where there is one: nothing here is about disks.
pub(super) fn scratch() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a scratch directory is made")
}

/// A running node that holds the world, and what it gave out.
pub(super) struct Subject {
    node: Arc<Node>,
    routes: Routes,
    directory: TempDir,
    ids: Vec<String>,
    tokens: Vec<String>,
}

/// An answer: its code and messages.
pub(super) struct Answer {
    pub(super) code: Code,
    pub(super) text: String,
    pub(super) messages: Vec<Bytes>,
}

/// Runs `story` on a node that holds the world, then checks that the node is whole and equals the replay of its journal.
pub(super) fn on_a_node(story: impl AsyncFnOnce(&mut Subject)) -> TempDir {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
    let mut subject = runtime.block_on(Subject::open());
    runtime.block_on(async {
        subject.fill().await;
        story(&mut subject).await;
    });
    drop(runtime);
    subject.end()
}

impl Subject {
    async fn open() -> Subject {
        let directory = scratch();
        let config = Config {
            data_dir: Some(directory.path().to_owned()),
            durability: Durability::None,
            segment_bytes: 1 << 20,
            batch_bytes_max: 1 << 18,
            backlog_bytes_max: 1 << 22,
            // The timers would make a run depend on how fast it is.
            expiry_tick: Duration::from_secs(1),
            audit_interval: Duration::ZERO,
            snapshot_interval: Duration::ZERO,
            ..Config::default()
        };
        let health = Health::new(methods()).await;
        health.set(Phase::Serving).await;
        let node = Node::open(&config, health, || panic!("the journal failed")).expect("an empty directory opens");
        let routes = grpc::routes(&node, MESSAGE_BYTES_MAX);
        Subject { node, routes, directory, ids: Vec::new(), tokens: Vec::new() }
    }

    async fn fill(&mut self) {
        for Piece { tag, bytes } in world::calls() {
            let method = super::method(*tag).expect("Invariant: the world calls our methods");
            let bytes = self.filled(method, bytes);
            let answer = self.call(method, &[&bytes]).await;
            assert_eq!(answer.code, Code::Ok, "world: {} says {}", method.path, answer.text);
        }
    }

    /// Calls a method with these messages, and checks that the answer is one that a caller may get.
    pub(super) async fn call(&mut self, method: &Method, messages: &[&[u8]]) -> Answer {
        let mut framed = Vec::new();
        for message in messages {
            framed.push(0);
            framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
            framed.extend_from_slice(message);
        }
        self.call_framed(method, framed).await
    }

    /// The same with a body that is framed already.
    pub(super) async fn call_framed(&mut self, method: &Method, framed: Vec<u8>) -> Answer {
        let request = Request::builder()
            .method(HttpMethod::POST)
            .version(Version::HTTP_2)
            .uri(&method.path)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::new(Full::from(framed)))
            .expect("the head of a call is right");
        let answered = tokio::time::timeout(ANSWER_TIME, async {
            let Ok(response) = self.routes.call(request).await;
            let (head, body) = response.into_parts();
            (head, body.collect().await)
        });
        let (head, body) =
            answered.await.unwrap_or_else(|_| panic!("no answer from {} in {ANSWER_TIME:?}", method.path));
        let body = body.unwrap_or_else(|status| panic!("the body of {} breaks: {status}", method.path));
        let status =
            Status::from_header_map(&head.headers).or_else(|| body.trailers().and_then(Status::from_header_map));
        let status = status.unwrap_or_else(|| panic!("{} ends without a status", method.path));
        let wrong = match status.code() {
            Code::Internal | Code::Unknown | Code::DataLoss | Code::Cancelled => !is_bad_message(&status),
            // What was to be replaced has another version: that is ours, and says which.
            Code::Aborted => status.details().is_empty(),
            _ => false,
        };
        assert!(!wrong, "{} answers {status:?}", method.path);
        let messages = messages_of(body.to_bytes());
        for message in &messages {
            self.learn(method, message);
        }
        Answer { code: status.code(), text: status.message().to_owned(), messages }
    }

    /// A message with "@0" and the like replaced by what the node gave out; as it is when it is no such message.
    pub(super) fn filled(&self, method: &Method, bytes: &[u8]) -> Vec<u8> {
        match DynamicMessage::decode(method.descriptor.input(), bytes) {
            Ok(mut message) if bytes.contains(&b'@') => {
                self.fill_in(&mut message);
                message.encode_to_vec()
            }
            _ => bytes.to_vec(),
        }
    }

    fn fill_in(&self, message: &mut DynamicMessage) {
        let fields: Vec<_> = message.fields().map(|(field, _)| field).collect();
        for field in fields {
            let from = if field.name() == "page_token" { &self.tokens } else { &self.ids };
            self.fill_value(message.get_field_mut(&field), from);
        }
    }

    fn fill_value(&self, value: &mut Value, from: &[String]) {
        match value {
            Value::String(text) => {
                let back = text.strip_prefix('@').and_then(|back| back.parse::<usize>().ok());
                if let Some(known) = back.and_then(|back| from.iter().rev().nth(back)) {
                    text.clone_from(known);
                }
            }
            Value::Message(inner) => self.fill_in(inner),
            Value::List(list) => list.iter_mut().for_each(|value| self.fill_value(value, from)),
            _ => {}
        }
    }

    /// Takes down the ids and tokens of an answer, which is a message of its kind.
    fn learn(&mut self, method: &Method, message: &[u8]) {
        let output = method.descriptor.output();
        let read = DynamicMessage::decode(output.clone(), message);
        let read = read.unwrap_or_else(|error| panic!("{} answers with no {}: {error}", method.path, output.name()));
        self.learn_from(&read);
    }

    fn learn_from(&mut self, message: &DynamicMessage) {
        for (field, value) in message.fields() {
            match value {
                Value::String(text) if field.name() == "next_page_token" => remember(&mut self.tokens, text),
                Value::String(text) if matches!(field.name(), "reservation_id" | "return_id") => {
                    remember(&mut self.ids, text);
                }
                Value::Message(inner) => self.learn_from(inner),
                Value::List(list) => {
                    for inner in list {
                        if let Value::Message(inner) = inner {
                            self.learn_from(inner);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Stops the node and holds it against its journal; gives the directory it leaves.
    fn end(self) -> TempDir {
        self.node.close().expect("a node closes");
        let engine = self.node.engine();
        whole(engine, "after the calls");
        let storage = FileStorage::new(self.directory.path());
        let sections = sections_of(engine);
        let mut history = History::new(Rules::default());
        let (mut replayed, mut after_snapshot) =
            (Recovery::new(EngineConfig::default()), Recovery::new(EngineConfig::default()));
        let snapshot = SnapshotStore::new(storage.clone()).newest_whole().expect("a directory of ours reads").snapshot;
        let mut from = Lsn::new(1);
        if let Some(snapshot) = snapshot {
            from = snapshot.end().needed_from;
            let mut payload = Vec::new();
            for section in snapshot.sections() {
                snapshot.read(section, &mut payload).expect("a snapshot of ours reads");
                after_snapshot
                    .load(section.kind, section.unit, section.lsn, &payload)
                    .expect("a section of ours loads");
            }
        }
        let mut log = LogReader::open(storage, Lsn::new(1)).expect("a log of ours opens");
        while let Some(record) = log.next_record().expect("a log of ours reads") {
            history.fold(record.lsn, record.bytes);
            replayed.replay(record.lsn, record.bytes).expect("the engine's own records replay");
            if record.lsn >= from {
                after_snapshot.replay(record.lsn, record.bytes).expect("the engine's own records replay");
            }
        }
        history.balance();
        for (how, recovery) in [("replayed", replayed), ("from its snapshot", after_snapshot)] {
            let recovered = recovery.finish(Arc::new(MemoryJournal::new()));
            history.compare(&recovered);
            same_sections(&sections, &sections_of(&recovered), how);
        }
        assert!(history.findings().is_empty(), "the fold finds {:?}", history.findings());
        self.directory
    }

    /// Makes a call that is written as the world's are. "$name" stands for the id that the call named so was answered with.
    pub(super) async fn call_line(&mut self, line: &str, named: &mut HashMap<String, String>) {
        let mut text = line.to_owned();
        for (name, id) in named.iter() {
            text = text.replace(&format!("\"${name}\""), &format!("\"{id}\""));
        }
        let (name, Piece { tag, bytes }) = world::call(&text);
        let method = super::method(tag).expect("Invariant: a line calls one of our methods");
        self.ids.clear();
        let answer = self.call(method, &[&bytes]).await;
        assert_eq!(answer.code, Code::Ok, "{line}\n says {}", answer.text);
        if let Some(name) = name {
            let id = self.ids.first().unwrap_or_else(|| panic!("{line}\n gives no id, but {:?}", answer.messages));
            named.insert(name, id.clone());
        }
        if let Some(kind) = world::awaited(&text) {
            let began = std::time::Instant::now();
            while !self.kinds().await.contains(&kind) {
                assert!(began.elapsed() < ANSWER_TIME, "{line}\n led to no {kind}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// The kinds of events in the log.
    async fn kinds(&self) -> Vec<String> {
        let last = self.node.engine().journal().appended_lsn();
        self.node.settle(last).await.expect("the journal goes on");
        let mut log =
            LogReader::open(FileStorage::new(self.directory.path()), Lsn::new(1)).expect("a log of ours opens");
        let mut kinds = Vec::new();
        while let Some(record) = log.next_record().expect("a log of ours reads") {
            kinds.extend(crate::kinds::of(record.bytes));
        }
        kinds
    }
}

/// Decoding failures carry INTERNAL in tonic; ours are made legible before they reach a caller.
fn is_bad_message(status: &Status) -> bool {
    status.code() == Code::Cancelled && status.message().is_empty()
}

/// The newest last, each once.
fn remember(list: &mut Vec<String>, text: &str) {
    if !text.is_empty() {
        list.retain(|known| known != text);
        list.push(text.to_owned());
    }
}

fn messages_of(mut body: Bytes) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while body.len() >= 5 {
        let head = body.split_to(5);
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        messages.push(body.split_to(usize::try_from(length).unwrap_or(0)));
    }
    messages
}

/// Nothing that the auditor would say.
pub(super) fn whole(engine: &Engine, when: &str) {
    let violations = engine.audit().violations;
    assert!(violations.is_empty(), "{when} the auditor finds {violations:?}");
    let booked = engine.audit_bookings();
    assert!(booked.is_empty(), "{when} the auditor finds {booked:?}");
}

/// All state, by kind and unit.
pub(super) fn sections_of(engine: &Engine) -> HashMap<(u16, u32), Vec<u8>> {
    let mut sections = HashMap::new();
    let Ok(_) = engine.snapshot(quartermaster_engine::time::Timestamp(0), |Section { kind, unit, payload, .. }| {
        sections.insert((kind, unit), payload);
        Ok::<(), std::convert::Infallible>(())
    });
    sections
}

/// The same state; numbers that were drawn for nothing apart.
pub(super) fn same_sections(one: &HashMap<(u16, u32), Vec<u8>>, other: &HashMap<(u16, u32), Vec<u8>>, how: &str) {
    assert_eq!(one.len(), other.len(), "{how} it has as many sections");
    for ((kind, unit), payload) in one.iter().filter(|((kind, _), _)| *kind != kind::META) {
        let same = other.get(&(*kind, *unit)).is_some_and(|other| other == payload);
        assert!(same, "{how} section {kind}/{unit} differs");
    }
}

/// The records of a node that holds the world.
pub(super) fn records_of_the_world() -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    on_a_node(async |target| {
        let last = target.node.engine().journal().appended_lsn();
        target.node.settle(last).await.expect("the journal goes on");
        let mut log =
            LogReader::open(FileStorage::new(target.directory.path()), Lsn::new(1)).expect("a log of ours opens");
        while let Some(record) = log.next_record().expect("a log of ours reads") {
            records.push(record.bytes.to_vec());
        }
    });
    records
}
