use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;

use super::*;

/// A directory with a CA, a certificate that it signed, and its key.
struct Shop {
    dir: TempDir,
    ca: Issuer<'static, KeyPair>,
}

impl Shop {
    fn open() -> Shop {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test CA");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        let shop = Shop { dir, ca: Issuer::new(params, key) };
        shop.sign("server", 0, 30);
        shop
    }

    /// Writes NAME.pem and NAME.key, good from and to these days from now.
    fn sign(&self, name: &str, from_days: i64, to_days: i64) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let uri = format!("spiffe://shop/{name}").try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        let now = SystemTime::now();
        let at = |days: i64| {
            let span = Duration::from_secs(days.unsigned_abs() * 86_400);
            if days < 0 { now - span } else { now + span }
        };
        params.not_before = (at(from_days) - Duration::from_secs(60)).into();
        params.not_after = at(to_days).into();
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.ca).unwrap();
        fs::write(self.path(&format!("{name}.pem")), signed.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        signed.der().clone()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> Config {
        Config {
            tls_cert_file: Some(self.path("server.pem")),
            tls_key_file: Some(self.path("server.key")),
            ..Config::default()
        }
    }
}

fn said(config: &Config) -> String {
    match Tls::open(config, &Arc::default()) {
        Ok(_) => "all is well".to_owned(),
        Err(error) => crate::causes::with_causes(&error),
    }
}

#[test]
fn what_cannot_be_used_is_told_with_its_file_and_key() {
    let shop = Shop::open();
    shop.sign("over", -60, -30);
    shop.sign("early", 30, 60);
    shop.sign("other", 0, 30);
    fs::write(shop.path("garbage"), "garbage").unwrap();
    let base64 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(shop.path("broken.pem"), base64).unwrap();
    let with = |certificate: &str, key: &str| Config {
        tls_cert_file: Some(shop.path(certificate)),
        tls_key_file: Some(shop.path(key)),
        ..Config::default()
    };
    let with_ca = |ca: &str| Config {
        tls_client_ca_file: Some(shop.path(ca)),
        tls_client_auth: ClientAuth::Required,
        ..shop.config()
    };
    let cases = [
        (with("server.pem", "server.key"), "all is well"),
        (with("nowhere", "server.key"), "tls_cert_file: cannot read"),
        (with("server.pem", "nowhere"), "tls_key_file: cannot read"),
        (with("garbage", "server.key"), "tls_cert_file: "),
        (with("broken.pem", "server.key"), "cannot be read: "),
        (with("server.key", "server.key"), "holds no certificate in PEM form"),
        (with("server.pem", "garbage"), "tls_key_file: "),
        (with("server.pem", "server.pem"), "holds no private key in PEM form"),
        (with("server.pem", "other.key"), "does not belong to the first certificate"),
        (with("over.pem", "over.key"), "expired at 20"),
        (with("early.pem", "early.key"), "is good from 20"),
        (with_ca("ca.pem"), "all is well"),
        (with_ca("nowhere"), "tls_client_ca_file: cannot read"),
        (with_ca("garbage"), "tls_client_ca_file: "),
        (with_ca("other.pem"), "is no CA; it holds the certificates that sign those of clients"),
    ];
    for (config, expected) in cases {
        let said = said(&config);
        assert!(said.contains(expected), "{said:?} does not say {expected:?}");
        assert!(!said.contains("BEGIN PRIVATE"), "{said}");
    }
}

#[test]
fn a_new_certificate_is_taken_and_a_bad_one_is_not() {
    let shop = Shop::open();
    let figures = Arc::default();
    let tls = Tls::open(&shop.config(), &figures).unwrap().unwrap();
    let first = figures.expires();
    tls.look();
    assert_eq!(figures.reloads(), [0, 0], "nothing changed");
    shop.sign("server", 0, 60);
    tls.look();
    let second = figures.expires();
    assert!(second > first + 20 * 86_400, "{first} {second}");
    assert_eq!(figures.reloads(), [1, 0]);
    fs::write(shop.path("server.pem"), "half a certifica").unwrap();
    tls.look();
    tls.look();
    assert_eq!((figures.expires(), figures.reloads()), (second, [1, 1]), "told once, and nothing changed");
    assert!(tls.check(&shop.config()).unwrap_err().contains("tls_cert_file"));
    assert!(tls.take(&shop.config()).is_err());
    assert_eq!(figures.expires(), second);
    shop.sign("server", 0, 90);
    tls.check(&shop.config()).unwrap();
    tls.take(&shop.config()).unwrap();
    assert!(figures.expires() > second + 20 * 86_400);
    assert!(tls.take(&Config::default()).unwrap_err().contains("restart"));
}

#[test]
fn a_certificate_tells_whose_it_is() {
    let shop = Shop::open();
    let der = shop.sign("store-7", 0, 1);
    assert!(Peer::of(&der).names.contains(&"store-7".to_owned()), "{:?}", Peer::of(&der));
    assert!(Peer::of(&der).names.contains(&"spiffe://shop/store-7".to_owned()));
    assert_eq!(Peer::of(&CertificateDer::from(vec![1, 2, 3])).names, Vec::<String>::new());
}
