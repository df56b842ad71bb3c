//! Backups to an S3-compatible store, with PyPI's `moto[server]` as the store. Skipped where there is none.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::support::{Server, allocation, command, order, stock};

/// A store on loopback; ended when it is dropped.
struct Store {
    child: Child,
    url: String,
}

impl Store {
    /// `MOTO_SERVER` names the program; else it is looked for under its own name.
    fn start() -> Option<Store> {
        let program = std::env::var("MOTO_SERVER").unwrap_or_else(|_| "moto_server".to_owned());
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            eprintln!("skipped: no {program}; `pip install 'moto[server]'`, or name it by MOTO_SERVER");
            return None;
        };
        // " * Running on http://127.0.0.1:41234"
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let url = lines.find_map(|line| line.split("Running on ").nth(1).map(|url| url.trim().to_owned())).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Some(Store { child, url })
    }

    /// What a store's clients find in their environment.
    fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_ACCESS_KEY_ID", "key".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "the-secret-key".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = command(arguments).envs(self.environment()).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    /// Makes a bucket, by plain HTTP.
    fn make_bucket(&self, name: &str) {
        use std::io::{Read, Write};
        let address = self.url.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "PUT /{name} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_a_target_and_one_that_is_not_there_is_told() {
    let Some(store) = Store::start() else { return };
    store.make_bucket("stock");
    let (data, to) = (tempfile::tempdir().unwrap(), "s3://stock/eu/a");
    let server =
        Server::try_start_with(data.path(), &[], &store.environment()).unwrap_or_else(|(said, _)| panic!("{said}"));
    let channel = server.channel().await;
    stock(&channel, 1, 100).await;
    for number in 0..10 {
        allocation(&channel).reserve(order(&format!("o{number}"), 0, 1)).await.unwrap();
    }
    for _ in 0..2 {
        let (code, said) = server.ask(&["backup", "create", "--to", to]);
        assert_eq!(code, Some(0), "{said}");
    }
    let (code, said) = server.ask(&["backup", "create", "--to", "s3://nobodys-bucket/x"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("s3://nobodys-bucket/x") && !said.contains("the-secret-key"), "{said}");
    // Backups that fail touch nothing else.
    allocation(&channel).reserve(order("after", 0, 1)).await.unwrap();
    server.kill();

    let (code, said) = store.run(&["backup", "verify", "--from", to]);
    assert_eq!((code, said.contains("2 backups")), (Some(0), true), "{said}");
    let back = data.path().join("back");
    let (code, said) = store.run(&["backup", "restore", "--from", to, "--to", back.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = store.run(&["verify", back.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let url = store.url.clone();
    drop(store);
    // Gone altogether: an error in bounded time, naming where it was.
    let output = command(&["backup", "list", "--from", to])
        .envs([("AWS_ENDPOINT_URL", url.as_str()), ("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")])
        .env("AWS_REGION", "us-east-1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot list s3://stock/eu/a"));
}
