//! What a figure was measured on: the command line, the cores this process may use, the processor.

use serde::Serialize;

/// Where a measurement ran.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Cores that this process may run on; fewer than the machine has when it is pinned.
    pub cores_usable: usize,
    /// Model of the processor, `unknown` when the system does not tell.
    pub cpu: String,
}

impl Machine {
    /// This machine, as this process sees it.
    pub fn here() -> Self {
        Machine { cores_usable: std::thread::available_parallelism().map_or(1, usize::from), cpu: cpu_model() }
    }
}

/// The command line of this process, with the name of the program alone in place of its path.
pub fn command_line() -> String {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    let name =
        std::path::Path::new(&program).file_name().and_then(|name| name.to_str()).unwrap_or("loadtest").to_owned();
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split(':').nth(1)).map(str::trim)
    };
    field("model name").or_else(|| field("CPU part")).unwrap_or("unknown").to_owned()
}
