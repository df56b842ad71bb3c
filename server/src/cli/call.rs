//! `quartermaster call`: any method of the API with JSON, by the descriptors built into the binary.

use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use http::uri::PathAndQuery;
use quartermaster_client::request_id;
use serde_json::{Map, Value};

use super::ask::{Asked, Stop};
use super::lines::STDIN;
use super::output::METHODS;
use super::print;
use crate::json;
use crate::methods::Method;

/// Field of a change that names it.
const ID: &str = "requestId";

/// Largest message that is sent; the server has a limit of its own.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Calls any method.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quartermaster call AdminService/GetStatus
  quartermaster call InventoryService/ListCells '{\"sku\":\"TEE-RED-M\"}'
  quartermaster call CatalogService/UpsertSkus @skus.json
  quartermaster call AllocationService/ReserveStream - < messages.jsonl   streams take and give JSON lines
  quartermaster call --list
The answer is the JSON of the message. A rejection is an answer: look for \"rejection\" in it.")]
pub struct CallArgs {
    /// SERVICE/METHOD, with or without quartermaster.v1 before it.
    #[arg(required_unless_present = "list")]
    method: Option<String>,
    /// The request as JSON, @FILE to read it, - to read it from stdin. Default: an empty message.
    #[arg(default_value = "{}")]
    body: String,
    /// List all methods.
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    asked: Asked,
}

/// Calls, and prints each message of the answer.
pub async fn run(args: &CallArgs) -> ExitCode {
    args.asked.end("call", step(args).await)
}

async fn step(args: &CallArgs) -> Result<(), Stop> {
    let Some(name) = args.method.as_deref().filter(|_| !args.list) else {
        print(&list());
        return Ok(());
    };
    let method = find(name).map_err(Stop::Unusable)?;
    let asking = args.asked.open()?;
    let (body, id) = with_id(method, body(&args.body)?);
    // Both are told by the server's own reader of JSON, so that what is wrong reads the same on both sides.
    let framed = json::request(method, &body, MESSAGE_BYTES_MAX);
    let framed = framed.map_err(|status| Stop::Unusable(status.message().to_owned()))?;
    let messages = json::messages(&framed).map_err(|status| Stop::Unusable(status.message().to_owned()))?;
    let path: PathAndQuery = method.path.parse().map_err(|error| Stop::Unusable(format!("{error}")))?;

    if method.is_unary() {
        let message = messages.first().cloned().unwrap_or_default();
        let (answer, _tries) = asking.client.call_raw(&path, &message, id.as_deref()).await?;
        let answer = json::answer(method, answer)?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        print(&format!("{answer:#}\n"));
        if let Some(id) = id {
            eprintln!("request id {id}");
        }
        return Ok(());
    }
    let mut answers = asking.client.stream_raw(path, tokio_stream::iter(messages)).await?;
    while let Some(answer) = answers.message().await? {
        print(&format!("{}\n", String::from_utf8_lossy(&json::answer(method, answer)?)));
    }
    Ok(())
}

/// The method with this name: `Service/Method`, with its package or without.
fn find(name: &str) -> Result<&'static Method, String> {
    let plain = name.trim_start_matches('/');
    let id = METHODS.find(&format!("/{plain}")).or_else(|| METHODS.find(&format!("/quartermaster.v1.{plain}")));
    let id = id.ok_or_else(|| {
        let word = plain.rsplit('/').next().unwrap_or_default().to_lowercase();
        let alike =
            METHODS.all().iter().filter(|method| !word.is_empty() && method.name.to_lowercase().contains(&word));
        let alike: Vec<&str> = alike.map(|method| method.path.as_str()).collect();
        let hint = if alike.is_empty() { "`quartermaster call --list` shows all".to_owned() } else { alike.join(", ") };
        format!("there is no method {name:?}; {hint}")
    })?;
    Ok(METHODS.get(id))
}

fn list() -> String {
    let own = METHODS.all().iter().filter(|method| method.is_own());
    let line = |method: &Method| {
        let stream = if method.is_unary() { "" } else { "  (stream)" };
        format!("{}/{}{stream}\n", method.descriptor.parent_service().name(), method.name)
    };
    own.map(line).collect()
}

fn body(text: &str) -> Result<Vec<u8>, Stop> {
    if text == STDIN {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        return read.map(|_| bytes).map_err(|error| Stop::Unusable(format!("cannot read stdin: {error}")));
    }
    match text.strip_prefix('@') {
        None => Ok(text.as_bytes().to_vec()),
        Some(file) => {
            let path = PathBuf::from(file);
            fs::read(&path).map_err(|error| Stop::Unusable(format!("cannot read {}: {error}", path.display())))
        }
    }
}

/// The body of a change with its request id, made here when the body has none; as it is for everything else, and for what is no object,
/// of which the reader of JSON says what is wrong.
fn with_id(method: &Method, body: Vec<u8>) -> (Vec<u8>, Option<String>) {
    let is_change = method.is_unary() && method.descriptor.input().get_field_by_name("request_id").is_some();
    if !is_change {
        return (body, None);
    }
    let Ok(mut fields) = serde_json::from_slice::<Map<String, Value>>(&body) else { return (body, None) };
    let given = [ID, "request_id"].iter().find_map(|name| fields.get(*name)?.as_str().map(str::to_owned));
    match given {
        Some(id) if !id.is_empty() => (body, Some(id)),
        _ => {
            let id = request_id();
            fields.remove("request_id");
            fields.insert(ID.to_owned(), Value::String(id.clone()));
            (Value::Object(fields).to_string().into_bytes(), Some(id))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_found_by_either_name() {
        for name in
            ["AllocationService/Reserve", "quartermaster.v1.AllocationService/Reserve", "/grpc.health.v1.Health/Check"]
        {
            assert!(find(name).is_ok(), "{name}");
        }
        assert!(find("Reserve").unwrap_err().contains("/quartermaster.v1.AllocationService/ReserveBatch"));
        assert!(find("nonsense").unwrap_err().contains("--list"));
        assert!(list().contains("AllocationService/ReserveStream  (stream)\n"));
    }

    #[test]
    fn a_change_gets_an_id_and_a_question_stays_as_it_is() {
        let (body, id) = with_id(find("AllocationService/Confirm").unwrap(), b"{\"reservationId\":\"R\"}".to_vec());
        let id = id.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["requestId"], Value::String(id));
        let own = b"{\"requestId\":\"mine\"}".to_vec();
        assert_eq!(with_id(find("AllocationService/Confirm").unwrap(), own.clone()), (own, Some("mine".to_owned())));
        assert_eq!(with_id(find("AdminService/GetStatus").unwrap(), b"{}".to_vec()), (b"{}".to_vec(), None));
        assert_eq!(with_id(find("AllocationService/Confirm").unwrap(), b"[".to_vec()), (b"[".to_vec(), None));
    }
}
