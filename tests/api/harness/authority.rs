//! Certificates for both sides of TLS.

use std::path::Path;
use std::time::{Duration, SystemTime};

use hook_keys::domain::Clock as _;
use hook_keys::domain::clock::SystemClock;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// Someone who signs certificates.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { pem: params.self_signed(&key).unwrap().pem(), issuer: Issuer::new(params, key) }
    }

    /// A certificate for `name` and its private key, both PEM.
    pub fn certify(&self, name: &str, last_year: i32) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(last_year, 12, 31);
        self.sign(name, params)
    }

    /// The same for one that ends soon.
    pub fn certify_for_days(&self, name: &str, days: u64) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        let now = SystemTime::from(SystemClock.now());
        params.not_after = (now + Duration::from_secs(days * 24 * 60 * 60)).into();
        self.sign(name, params)
    }

    fn sign(&self, name: &str, mut params: CertificateParams) -> (String, String) {
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    pub fn file(&self, directory: &Path) -> String {
        write(directory, "ca.pem", &self.pem)
    }
}

/// Writes a file and returns its path.
pub fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
