//! TLS of the listener: certificate and key from files, which can be read again while connections are open.

mod certificate;
mod files;
mod unverified;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};

use crate::config::TlsSettings;
use crate::error::{Error, Result};

pub use certificate::Certificate;
pub use unverified::unverified;

/// The one protocol that is spoken inside TLS.
const ALPN: &[u8] = b"http/1.1";

/// What handshakes are made with: that of the last reading of the files which succeeded.
pub struct Tls {
    settings: TlsSettings,
    config: RwLock<Arc<rustls::ServerConfig>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}

impl Tls {
    /// Reads the files. An error names the setting and the file.
    pub fn read(settings: &TlsSettings) -> Result<(Self, Certificate)> {
        let (config, certificate) = load(settings)?;
        Ok((Self { settings: settings.clone(), config: RwLock::new(Arc::new(config)) }, certificate))
    }

    /// Reads the files again, for the handshakes to come. On an error, everything stays as it is.
    pub fn reload(&self) -> Result<Certificate> {
        let (config, certificate) = load(&self.settings)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(certificate)
    }

    /// What the next handshake is made with.
    #[must_use]
    pub fn config(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn load(settings: &TlsSettings) -> Result<(rustls::ServerConfig, Certificate)> {
    let (cert_file, key_file) = (&settings.cert_file, &settings.key_file);
    let chain = files::certificates("tls.cert_file", cert_file)?;
    let shown = chain.first().map(|first| Certificate::of(first)).transpose();
    let shown = shown.map_err(|problem| files::unusable("tls.cert_file", cert_file, &problem))?;
    let shown = shown.ok_or_else(|| Error::internal("reading a certificate", "the chain is empty"))?;
    let key = files::private_key("tls.key_file", key_file)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| Error::internal("setting TLS up", error))?;
    let builder = match &settings.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let unusable = |problem: &dyn fmt::Display| files::unusable("tls.client_ca_file", path, problem);
            let mut roots = RootCertStore::empty();
            for certificate in files::certificates("tls.client_ca_file", path)? {
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| unusable(&error))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let problem = format!("it is not the key of the certificate in {}", cert_file.display());
            files::unusable("tls.key_file", key_file, &problem)
        }
        error => files::unusable("tls.cert_file", cert_file, &error),
    })?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok((config, shown))
}
