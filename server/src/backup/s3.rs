//! A bucket of an S3-compatible store as a target. Credentials, region and endpoint come from the environment (`AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, web identity files, instance metadata): never from a command line.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig};
use quartermaster_backup::{Object, Target, TargetError};
use tokio::runtime::{Builder, Runtime};
use tokio_stream::StreamExt as _;

/// Time of one try, and of all tries of a call together: what a store that does not answer may cost.
const TRY: Duration = Duration::from_secs(20);
const ALL_TRIES: Duration = Duration::from_secs(50);

/// A prefix of a bucket.
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    bucket: String,
    prefix: String,
    /// Calls block a thread of their own, and never one that serves.
    runtime: Runtime,
}

impl Bucket {
    pub(super) fn open(bucket: &str, prefix: &str) -> Result<Bucket, String> {
        let retries = RetryConfig { max_retries: 4, retry_timeout: ALL_TRIES, ..RetryConfig::default() };
        let options = ClientOptions::new().with_timeout(TRY).with_connect_timeout(Duration::from_secs(5));
        // On loopback and within a cluster stores are often without TLS; an endpoint is only ever what the environment names.
        let plain = std::env::var("AWS_ENDPOINT_URL").is_ok_and(|url| url.starts_with("http://"));
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_retry(retries)
            .with_client_options(options.with_allow_http(plain))
            .build()
            .map_err(|error| {
                format!("s3://{bucket}/{prefix}: {error}; set AWS_REGION and credentials in the environment")
            })?;
        Bucket::over(Arc::new(store), bucket, prefix)
    }

    fn over(store: Arc<dyn ObjectStore>, bucket: &str, prefix: &str) -> Result<Bucket, String> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        Ok(Bucket { store, bucket: bucket.to_owned(), prefix: prefix.to_owned(), runtime })
    }

    fn key(&self, name: &str) -> Path {
        let parts = self.prefix.split('/').chain(name.split('/')).filter(|part| !part.is_empty());
        Path::from_iter(parts)
    }

    fn error(&self, operation: &'static str, name: &str, source: object_store::Error) -> TargetError {
        let missing = matches!(source, object_store::Error::NotFound { .. });
        let object = format!("s3://{}/{}", self.bucket, self.key(name));
        TargetError { operation, object, missing, source: source.into() }
    }
}

impl Target for Bucket {
    fn describe(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), TargetError> {
        let key = self.key(name);
        let put = self.store.put(&key, bytes.to_vec().into());
        self.runtime.block_on(put).map(|_| ()).map_err(|source| self.error("write", name, source))
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, TargetError> {
        let key = self.key(name);
        let get = async { self.store.get(&key).await?.bytes().await };
        self.runtime.block_on(get).map(|bytes| bytes.to_vec()).map_err(|source| self.error("read", name, source))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, TargetError> {
        // The store lists by whole parts of a path; what is more is left out here.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let root = self.key("");
        let key = self.key(folder);
        let list = async {
            let mut found = Vec::new();
            let mut listed = self.store.list(Some(&key));
            while let Some(object) = listed.next().await {
                let object = object?;
                let name = object.location.as_ref().strip_prefix(root.as_ref()).unwrap_or(object.location.as_ref());
                let name = name.trim_start_matches('/').to_owned();
                if name.starts_with(prefix) {
                    found.push(Object { name, bytes: object.size });
                }
            }
            Ok(found)
        };
        let mut found = self.runtime.block_on(list).map_err(|source| self.error("list", prefix, source))?;
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn remove(&self, name: &str) -> Result<(), TargetError> {
        let key = self.key(name);
        match self.runtime.block_on(self.store.delete(&key)) {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            removed => removed.map_err(|source| self.error("remove", name, source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_a_prefix_are_put_got_listed_and_removed() {
        let store = Arc::new(object_store::memory::InMemory::new());
        let bucket = Bucket::over(store.clone(), "b", "eu/a").unwrap();
        let other = Bucket::over(store, "b", "eu/ab").unwrap();
        other.put("log/9", b"other").unwrap();
        bucket.put("log/2", b"22").unwrap();
        bucket.put("log/1", b"1").unwrap();
        bucket.put("history-x.json", b"{}").unwrap();
        let names = |prefix| bucket.list(prefix).unwrap().into_iter().map(|object| object.name).collect::<Vec<_>>();
        assert_eq!(names(""), ["history-x.json", "log/1", "log/2"]);
        assert_eq!(names("log/"), ["log/1", "log/2"]);
        assert_eq!(names("history-"), ["history-x.json"]);
        assert_eq!(bucket.get("log/2").unwrap(), b"22");
        bucket.remove("log/2").unwrap();
        bucket.remove("log/2").unwrap();
        let error = bucket.get("log/2").unwrap_err();
        assert!(error.missing && error.to_string().contains("s3://b/eu/a/log/2"), "{error}");
        assert_eq!(other.list("").unwrap().len(), 1);
    }
}
