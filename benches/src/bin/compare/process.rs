//! A server that runs beside us: on the core of the servers, with its CPU time counted over all its threads and children.
//!
//! It is ended with the value that stands for it: at the end, on failure, and on an interrupt, which `main` waits for. A panic aborts this
//! program and drops nothing, so its hook ends what was started, too.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, net, panic, thread};

use parking_lot::Mutex;
use quartermaster_benches::pin;
use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;

/// Cores of the two sides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) client: usize,
    pub(crate) server: usize,
}

impl Cores {
    /// The last two that may be used.
    pub(crate) fn choose() -> Result<Cores, Failure> {
        match pin::cores()[..] {
            [.., client, server] => Ok(Cores { client, server }),
            _ => Err("two cores are needed: one for the client, one for the servers".into()),
        }
    }
}

/// Children that have not been ended.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Has a panic end the servers before it ends this program.
pub(crate) fn end_with_a_panic() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        for root in RUNNING.lock().drain(..) {
            signal(&tree(root), Signal::KILL);
        }
        tell(panic);
    }));
}

/// A child that is ended with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` on the servers' core. Its output is kept in `log`.
    pub(crate) fn start(mut command: Command, cores: Cores, log: &Path) -> Result<Process, Failure> {
        let pinned = pin::to_core(cores.server);
        let output = fs::File::create(log)?;
        command.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output);
        // In a group of its own: an interrupt at the terminal is for this program, which then ends its servers in order.
        let child = command.process_group(0).spawn();
        let pinned = pin::to_core(cores.client) && pinned;
        let child = child?;
        RUNNING.lock().push(child.id());
        let process = Process { child };
        if pinned { Ok(process) } else { Err("a core that may be used cannot be pinned to".into()) }
    }

    /// CPU time so far of it and its children, in nanoseconds.
    pub(crate) fn cpu_nanos(&self) -> u64 {
        tree(self.child.id()).into_iter().map(of_threads).sum()
    }

    /// Stops it and its children where they stand, so that they take nothing from whose turn it is.
    pub(crate) fn pause(&self) {
        signal(&tree(self.child.id()), Signal::STOP);
    }

    /// Lets them go on.
    pub(crate) fn resume(&self) {
        signal(&tree(self.child.id()), Signal::CONT);
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // INT is PostgreSQL's fast shutdown, and everybody's end; who is stopped must go on to hear it.
        let all = tree(self.child.id());
        signal(&all[..1], Signal::INT);
        signal(&all, Signal::CONT);
        let patience = Instant::now();
        while !self.has_ended() && patience.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        RUNNING.lock().retain(|&running| running != self.child.id());
    }
}

fn signal(processes: &[u32], signal: Signal) {
    for process in processes.iter().filter_map(|&process| i32::try_from(process).ok().and_then(Pid::from_raw)) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = kill_process(process, signal);
    }
}

/// A process and its descendants.
fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&process) = found.get(next) {
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        }
        next += 1;
    }
    found
}

/// The scheduler's own count of a process's threads, in nanoseconds; 0 where the system does not tell.
fn of_threads(process: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    nanos.sum()
}

/// CPU time so far of this program, in nanoseconds.
pub(crate) fn own_cpu_nanos() -> u64 {
    of_threads(std::process::id())
}

/// A port of loopback that was free a moment ago, for servers that cannot choose one by themselves.
pub(crate) fn free_port() -> Result<u16, Failure> {
    Ok(net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Where a program is: on the path, or in one of the other places.
pub(crate) fn program(name: &str, others: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = others.iter().map(PathBuf::from).chain(env::split_paths(&path));
    places.map(|place| place.join(name)).find(|candidate| candidate.is_file())
}
