//! A disk that fills up: new promises are refused by name, what was promised can still go on, and room brings everything back.

use std::path::Path;
use std::process::Command;

use quartermaster_proto::v1::{ConfirmRequest, reserve_response};
use tonic::Code;

use super::support::{Server, allocation, order, stock};

/// A file system of its own, gone with the test.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(megabytes: u32) -> Option<Small> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).status();
        mount.is_ok_and(|status| status.success()).then_some(Small(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a process that has just been killed may still be on its way out.
        let _unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_new_promises_and_keeps_old_ones() {
    let Some(disk) = Small::mount(8) else {
        println!("skipped: mounting a tmpfs is not allowed here");
        return;
    };
    let data = disk.path().join("data");
    let more = ["--segment-bytes", "1MiB", "--batch-bytes-max", "256KiB"];
    let server = Server::try_start(&data, &more).unwrap_or_else(|(said, status)| panic!("{status}: {said}"));
    let channel = server.channel().await;
    stock(&channel, 1, 1_000_000).await;
    let mut client = allocation(&channel);
    let first = client.reserve(order("first", 0, 1)).await.unwrap().into_inner();
    let Some(reserve_response::Outcome::Hold(hold)) = first.outcome else { panic!("no hold") };

    let ballast = disk.path().join("ballast");
    fill(&ballast);
    let mut refused = None;
    for number in 0..200_000 {
        match client.reserve(order(&format!("order-{number}"), 0, 1)).await {
            Ok(_) => {}
            Err(status) => {
                refused = Some(status);
                break;
            }
        }
    }
    let refused = refused.expect("a full disk took 200,000 promises");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(refused.message().contains("disk is full"), "{refused:?}");

    let confirm = ConfirmRequest { request_id: "pay".into(), reservation_id: hold.reservation_id };
    client.confirm(confirm).await.expect("what was promised can be confirmed while the disk is full");

    std::fs::remove_file(&ballast).unwrap();
    let mut tries = 0;
    while let Err(status) = client.reserve(order("after", 0, 1)).await {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        tries += 1;
        assert!(tries < 100_000, "room on the disk did not bring promises back");
        tokio::task::yield_now().await;
    }
    assert_eq!(server.stop(), Some(0));
}

fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    let chunk = vec![1; 64 << 10];
    while file.write_all(&chunk).is_ok() {}
    while file.write_all(&[1]).is_ok() {}
}
