//! A group commit and nothing else: what gathered during the last fdatasync is written and synced together.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path, sync::Arc, thread};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{mpsc, oneshot};

/// Bytes that each request leaves in the file.
const RECORD_BYTES: usize = 64;

/// The file is full of zeros before it begins, so that a write changes no length and allocates no block; it is gone round and round.
const FILE_BYTES: usize = 64 << 20;

/// Length of the writes that fill it.
const CHUNK_BYTES: usize = 1 << 20;

/// Where requests wait for the disk.
#[derive(Debug, Default)]
pub(crate) struct Committer {
    waiting: Mutex<Vec<oneshot::Sender<()>>>,
    work: Condvar,
}

impl Committer {
    /// Makes the file and starts the thread, and the task that lets the answers go: a thread would wake the runtime for every few of them, and
    /// the bound would be lower than what is held against it.
    ///
    /// # Errors
    /// When the file cannot be made.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub(crate) fn start(path: &Path) -> io::Result<Arc<Self>> {
        let file = File::create(path)?;
        for offset in (0..FILE_BYTES).step_by(CHUNK_BYTES) {
            file.write_all_at(&[0; CHUNK_BYTES], offset_of(offset))?;
        }
        file.sync_all()?;
        let committer = Arc::new(Self::default());
        let thread = Arc::clone(&committer);
        let (durable, mut batches) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(batch) = batches.recv().await {
                for done in Vec::into_iter(batch) {
                    // Who has hung up needs no answer.
                    let _ = oneshot::Sender::send(done, ());
                }
            }
        });
        thread::Builder::new().name("commit".into()).spawn(move || thread.run(&file, &durable))?;
        Ok(committer)
    }

    /// Waits until 64 more bytes are durable.
    pub(crate) async fn committed(&self) {
        self.enlist().await.expect("the committer lives as long as the process");
    }

    /// Has 64 more bytes written; what it gives completes when they are durable.
    pub(crate) fn enlist(&self) -> oneshot::Receiver<()> {
        let (done, durable) = oneshot::channel();
        if self.push(done) {
            self.work.notify_one();
        }
        durable
    }

    /// Adds a waiter; gives whether it is the first.
    fn push(&self, done: oneshot::Sender<()>) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.push(done);
        waiting.len() == 1
    }

    fn run(&self, file: &File, durable: &mpsc::UnboundedSender<Vec<oneshot::Sender<()>>>) {
        let mut offset = 0;
        loop {
            let mut waiting = self.waiting.lock();
            while waiting.is_empty() {
                self.work.wait(&mut waiting);
            }
            drop(waiting);
            // As the server's committer does, lest the bound be lower than what is held against it.
            thread::yield_now();
            let batch = std::mem::take(&mut *self.waiting.lock());
            // A whole number of sectors, as any log would write.
            let bytes = vec![0x5A; (batch.len() * RECORD_BYTES).next_multiple_of(512)];
            if offset + bytes.len() > FILE_BYTES {
                offset = 0;
            }
            file.write_all_at(&bytes, offset_of(offset)).expect("the file can be written");
            file.sync_data().expect("the file can be synced");
            offset += bytes.len();
            if durable.send(batch).is_err() {
                return;
            }
        }
    }
}

fn offset_of(place: usize) -> u64 {
    u64::try_from(place).expect("the file is small")
}
