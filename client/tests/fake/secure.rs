//! TLS, certificates and tokens.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use quartermaster_client::v1::ReserveRequest;
use quartermaster_client::{CallError, Client, Retry, Tls, Token};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::fake::Fake;

/// An authority, and files of what it has signed.
struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = named("authority of the test");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { dir, issuer }
    }

    /// Certificate and key for `name`, as PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name = named(name);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

async fn calls(fake: &Fake, tls: Tls) -> Result<(), CallError> {
    let url = format!("https://localhost:{}", fake.address.port());
    let client = Client::builder(&url).tls(tls).retry(Retry::never()).deadline(Duration::from_secs(30));
    client.connect().unwrap().reserve(ReserveRequest::default()).await.map(|_| ())
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_and_asks_for_a_certificate() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("localhost");
    let server = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(authority.issuer.pem()));
    let fake = Fake::start_with([], Some(server)).await;

    let (certificate, key) = authority.sign("gateway");
    fs::write(authority.file("gateway.pem"), certificate).unwrap();
    fs::write(authority.file("gateway.key"), key).unwrap();
    let ca = Some(authority.file("ca.pem"));
    let own = Tls {
        ca: ca.clone(),
        certificate: Some(authority.file("gateway.pem")),
        key: Some(authority.file("gateway.key")),
        ..Tls::default()
    };
    calls(&fake, own.clone()).await.unwrap();

    let anonymous = calls(&fake, Tls { ca, ..Tls::default() }).await.unwrap_err();
    let stranger = Authority::new();
    let distrusted = calls(&fake, Tls { ca: Some(stranger.file("ca.pem")), ..own.clone() }).await.unwrap_err();
    let renamed = calls(&fake, Tls { server_name: Some("elsewhere".into()), ..own }).await.unwrap_err();
    for error in [anonymous, distrusted, renamed] {
        assert!(matches!(error, CallError::Unavailable { .. } | CallError::UnknownOutcome { .. }), "{error}");
    }
    assert_eq!(fake.decided().len(), 1);
}

#[tokio::test]
async fn the_token_goes_with_every_call_and_every_stub() {
    let fake = Fake::start([]).await;
    let client = Client::builder(&fake.url()).token(Token::Value("s3cret".into())).connect().unwrap();
    client.reserve(ReserveRequest::default()).await.unwrap();
    let mut stub =
        quartermaster_client::v1::allocation_service_client::AllocationServiceClient::new(client.transport());
    stub.reserve(ReserveRequest { request_id: "raw".into(), ..Default::default() }).await.unwrap();
    assert_eq!(fake.book.lock().unwrap().tokens, ["Bearer s3cret", "Bearer s3cret"]);
}
