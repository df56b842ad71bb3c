//! The standard `process_*` metrics: CPU, memory, files, threads.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use metrics_process::Collector;

/// Reads the process at each scrape. Its recorder is its own, not the global one: two servers in one test do not meet.
pub(super) struct ProcessMetrics {
    recorder: PrometheusRecorder,
    collector: Collector,
}

impl ProcessMetrics {
    pub(super) fn new() -> ProcessMetrics {
        let recorder = PrometheusBuilder::new().build_recorder();
        let collector = Collector::default();
        metrics::with_local_recorder(&recorder, || collector.describe());
        ProcessMetrics { recorder, collector }
    }

    pub(super) fn render(&self) -> String {
        metrics::with_local_recorder(&self.recorder, || self.collector.collect());
        self.recorder.handle().render()
    }
}
