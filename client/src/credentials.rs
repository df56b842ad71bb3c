//! Who the caller says it is: a bearer token with every call.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::error::BuildError;

/// How often is looked whether a token file has changed.
const LOOK: Duration = Duration::from_secs(1);

/// Where a bearer token comes from. Never shown by `Debug`.
#[derive(Clone)]
pub enum Token {
    /// The token itself.
    Value(String),
    /// A file that holds it, white space around it left out. It is read again when it changes; a file that cannot be read then leaves the
    /// token before in use.
    File(PathBuf),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Value(_) => f.write_str("Value(hidden)"),
            Token::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Puts the token into every call. Cheap to clone; the clones share the token.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    token: Option<Arc<Held>>,
}

#[derive(Debug)]
struct Held {
    file: Option<PathBuf>,
    now: Mutex<Read>,
}

/// A token as it was read.
#[derive(Debug)]
struct Read {
    header: MetadataValue<Ascii>,
    modified: Option<SystemTime>,
    looked: Instant,
}

impl Credentials {
    /// No token.
    #[must_use]
    pub fn none() -> Credentials {
        Credentials::default()
    }

    /// The token of `token`, read now.
    ///
    /// # Errors
    /// When the file cannot be read, or what it holds cannot be sent in a header.
    pub fn new(token: &Token) -> Result<Credentials, BuildError> {
        let (file, text) = match token {
            Token::Value(text) => (None, text.clone()),
            Token::File(path) => (Some(path.clone()), read(path)?),
        };
        let header = header(&text).ok_or_else(|| BuildError::Token { path: file.clone() })?;
        let modified = file.as_deref().and_then(modified);
        let now = Mutex::new(Read { header, modified, looked: Instant::now() });
        Ok(Credentials { token: Some(Arc::new(Held { file, now })) })
    }
}

impl Held {
    fn header(&self) -> MetadataValue<Ascii> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file
            && now.looked.elapsed() >= LOOK
        {
            now.looked = Instant::now();
            let modified = modified(file);
            if modified != now.modified
                && let Some(header) = read(file).ok().and_then(|text| header(&text))
            {
                now.header = header;
                now.modified = modified;
            }
        }
        now.header.clone()
    }
}

fn read(path: &Path) -> Result<String, BuildError> {
    let failed = |source| BuildError::File { what: "the token file", path: path.to_owned(), source };
    fs::read_to_string(path).map_err(failed)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

fn header(text: &str) -> Option<MetadataValue<Ascii>> {
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut header: MetadataValue<Ascii> = format!("Bearer {token}").parse().ok()?;
    header.set_sensitive(true);
    Some(header)
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.header());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(credentials: &Credentials) -> Option<String> {
        let request = credentials.clone().call(Request::new(())).unwrap();
        request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_token_is_sent_and_never_shown() {
        let credentials = Credentials::new(&Token::Value(" s3cret\n".into())).unwrap();
        assert_eq!(sent(&credentials).as_deref(), Some("Bearer s3cret"));
        assert!(!format!("{credentials:?} {:?}", Token::Value("s3cret".into())).contains("s3cret"));
        assert_eq!(sent(&Credentials::none()), None);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_its_file() {
        for wrong in ["", "  \n", "two words", "naïve"] {
            assert!(
                matches!(Credentials::new(&Token::Value(wrong.into())), Err(BuildError::Token { .. })),
                "{wrong:?}"
            );
        }
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("token");
        let error = Credentials::new(&Token::File(missing.clone())).unwrap_err();
        assert!(error.to_string().contains(&missing.display().to_string()), "{error}");
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "first").unwrap();
        let credentials = Credentials::new(&Token::File(path.clone())).unwrap();
        let change = |text: &str, age: u64| {
            fs::write(&path, text).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + age);
            fs::File::options().append(true).open(&path).unwrap().set_modified(at).unwrap();
            let mut now = credentials.token.as_ref().unwrap().now.lock().unwrap();
            now.looked = now.looked.checked_sub(LOOK).unwrap();
        };
        fs::write(&path, "second").unwrap();
        assert_eq!(sent(&credentials).as_deref(), Some("Bearer first"), "not looked at yet");
        change("second", 1);
        assert_eq!(sent(&credentials).as_deref(), Some("Bearer second"));
        change("", 2);
        assert_eq!(sent(&credentials).as_deref(), Some("Bearer second"));
        change("third", 3);
        assert_eq!(sent(&credentials).as_deref(), Some("Bearer third"));
    }
}
